/* First difference between two results and memories, as one sentence. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "device/device.h"

typedef struct pair {
  const char *machine, *a, *b;
} pair;

static espl_status differ(espl_err *err, pair p, const char *what, uint64_t a, uint64_t b) {
  return espl_fail(err, ESPL_E_MISMATCH, "machine %s: %s is %" PRIu64 " on %s and %" PRIu64 " on %s", p.machine, what, a, p.a, b, p.b);
}

static espl_status compare_counters(pair p, const char *where, const uint32_t *a, const uint32_t *b, espl_err *err) {
  char what[96];
  for (int i = 0; i < ESPL_CNT_COUNT; i++) {
    if (a[i] == b[i]) continue;
    snprintf(what, sizeof what, "%s, counter %s", where, espl_counter_name(i));
    return differ(err, p, what, a[i], b[i]);
  }
  return ESPL_OK;
}

static espl_status compare_layers(pair p, const espl_run_result *a, const espl_run_result *b, espl_err *err) {
  char where[96];
  int32_t n = a->layers < b->layers ? a->layers : b->layers;
  for (int32_t i = 0; i < n; i++) {
    snprintf(where, sizeof where, "layer %d (MARK %u)", (int)i, (unsigned)a->layer[i].mark_index);
    ESPL_TRY(compare_counters(p, where, a->layer[i].counter, b->layer[i].counter, err));
    if (a->layer[i].mark_index != b->layer[i].mark_index) {
      snprintf(where, sizeof where, "layer %d, command index of its MARK", (int)i);
      return differ(err, p, where, a->layer[i].mark_index, b->layer[i].mark_index);
    }
  }
  if (a->layers != b->layers) return differ(err, p, "the number of finished layers", (uint64_t)a->layers, (uint64_t)b->layers);
  return ESPL_OK;
}

static espl_status compare_status(pair p, const espl_run_result *a, const espl_run_result *b, espl_err *err) {
  if (a->hw_status != b->hw_status)
    return espl_fail(err, ESPL_E_MISMATCH, "machine %s: status is %s (command %u) on %s and %s (command %u) on %s", p.machine, espl_hw_status_name(a->hw_status),
                     (unsigned)a->err_index, p.a, espl_hw_status_name(b->hw_status), (unsigned)b->err_index, p.b);
  if (a->hw_status != ESPL_HW_NONE && a->err_index != b->err_index) return differ(err, p, "the index of the failed command", a->err_index, b->err_index);
  return ESPL_OK;
}

static espl_status compare_memory(pair p, uint32_t n, const uint8_t *a, const uint8_t *b, espl_err *err) {
  if (memcmp(a, b, n) == 0) return ESPL_OK;
  uint32_t at = 0, count = 0;
  for (uint32_t i = n; i-- > 0;)
    if (a[i] != b[i]) at = i, count++;
  return espl_fail(err, ESPL_E_MISMATCH, "machine %s: memory byte 0x%x is %u on %s and %u on %s (%u bytes differ)", p.machine, (unsigned)at,
                   (unsigned)a[at], p.a, (unsigned)b[at], p.b, (unsigned)count);
}

espl_status espl_device_compare(const espl_machine *m, const espl_run_result *a, const uint8_t *mem_a, const char *name_a,
                                const espl_run_result *b, const uint8_t *mem_b, const char *name_b, espl_err *err) {
  pair p = {m->name, name_a, name_b};
  ESPL_TRY(compare_status(p, a, b, err));
  ESPL_TRY(compare_layers(p, a, b, err));
  if (a->cycles != b->cycles) return differ(err, p, "the number of cycles", a->cycles, b->cycles);
  ESPL_TRY(compare_counters(p, "after the last layer", a->counter, b->counter, err));
  return mem_a && mem_b ? compare_memory(p, m->mem_bytes, mem_a, mem_b, err) : ESPL_OK;
}
