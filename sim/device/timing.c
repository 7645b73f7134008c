/* The timing twin as a body of the machine: program image in, cycles and counters out; memory is only read. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "device/timing_int.h"
#include "timing/tsim.h"

static espl_status collect(const espl_tsim *s, espl_run_result *out, espl_err *err) {
  out->hw_status = s->err_code;
  out->err_index = s->err_code == ESPL_HW_NONE ? 0 : s->err_index;
  out->cycles = (uint64_t)s->end_at;
  for (int i = 0; i < ESPL_CNT_COUNT; i++) out->counter[i] = i < s->m->counters ? (uint32_t)s->counter[i] : 0;
  if (s->layers == 0) return ESPL_OK;
  out->layer = espl_calloc((size_t)s->layers, sizeof *out->layer);
  if (!out->layer) return espl_fail(err, ESPL_E_NOMEM, "timing: no memory for %d layer records", (int)s->layers);
  out->layers = out->cap = s->layers;
  for (int32_t i = 0; i < s->layers; i++) {
    out->layer[i].mark_index = s->layer[i].mark_index;
    memcpy(out->layer[i].counter, s->layer[i].counter, sizeof out->layer[i].counter);
  }
  return ESPL_OK;
}

espl_status espl_timing_decoded(const espl_run *run, const espl_decoded *d, uint8_t *executed, espl_run_result *out, espl_err *err) {
  *out = (espl_run_result){0};
  const espl_machine *m = run->machine;
  ESPL_TRY(espl_machine_check(m, err));
  if (run->prog_addr % 4096)
    return espl_fail(err, ESPL_E_INPUT, "program at 0x%x: expected a multiple of 4096", (unsigned)run->prog_addr);
  if (run->expect_hash && run->expect_hash != espl_machine_hash(m)) {
    out->hw_status = ESPL_HW_BAD_HASH;
    out->cycles = 1;
    return ESPL_OK;
  }
  uint8_t *mine = executed ? NULL : espl_calloc((size_t)d->count + 1, 1);
  espl_tsim *s = executed || mine ? espl_tsim_new(m, (const uint32_t(*)[4])d->cmd, d->addr, d->count, run->prog_addr, run->prog_bytes, executed ? executed : mine) : NULL;
  if (run->log) run->log->count = 0;
  if (s) s->log = run->log;
  espl_status st = s ? espl_tsim_run(s, err) : espl_fail(err, ESPL_E_NOMEM, "timing: out of memory");
  if (st == ESPL_OK) st = collect(s, out, err);
  espl_tsim_free(s);
  free(mine);
  return st;
}

espl_status espl_device_timing(const espl_run *run, espl_run_result *out, espl_err *err) {
  *out = (espl_run_result){0};
  espl_decoded d;
  ESPL_TRY(espl_decode_program(run->memory, run->machine->mem_bytes, run->prog_addr, run->prog_bytes, &d, err));
  espl_status st = espl_timing_decoded(run, &d, NULL, out, err);
  espl_decoded_clear(&d);
  return st;
}
