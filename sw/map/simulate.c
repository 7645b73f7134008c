/* Runs a mapped network on one body of the machine and brings its counters into the terms of `espalier sim`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/map_int.h"

void espl_sim_result_clear(espl_sim_result *r) {
  free(r->layer);
  free(r->logits);
  espl_run_result_clear(&r->raw);
  *r = (espl_sim_result){0};
}

static void ratios(const espl_machine *m, espl_sim_layer *l) {
  double c = (double)l->cycles;
  l->utilization = c > 0 ? (double)l->macs / ((double)m->rows * m->cols * c) : 0;
  l->roof_fraction = c > 0 ? (double)l->roof_cycles / c : 0;
}

static void from_counters(const uint32_t *c, espl_sim_layer *l) {
  l->cycles = c[ESPL_CNT_CYCLES];
  l->macs = c[ESPL_CNT_MACS];
  l->macs_dense = c[ESPL_CNT_MACS_DENSE];
  l->busy = c[ESPL_CNT_BUSY];
  l->idle = c[ESPL_CNT_IDLE];
  l->read_bytes = c[ESPL_CNT_READ_BYTES];
  l->write_bytes = c[ESPL_CNT_WRITE_BYTES];
  l->tiles = c[ESPL_CNT_TILES];
  l->tiles_skipped = c[ESPL_CNT_TILES_SKIPPED];
  l->bus = c[ESPL_CNT_BUS];
  for (int i = 0; i < 6; i++) l->stall[i] = c[ESPL_CNT_STALL_LOAD + i];
}

static void accumulate(espl_sim_layer *t, const espl_sim_layer *l) {
  t->cycles += l->cycles;
  t->macs += l->macs;
  t->macs_dense += l->macs_dense;
  t->busy += l->busy;
  t->idle += l->idle;
  t->read_bytes += l->read_bytes;
  t->write_bytes += l->write_bytes;
  t->tiles += l->tiles;
  t->tiles_skipped += l->tiles_skipped;
  t->bus += l->bus;
  t->roof_cycles += l->roof_cycles;
  for (int i = 0; i < 6; i++) t->stall[i] += l->stall[i];
}

espl_status map_summarize(const espl_program *p, const espl_qnet *q, espl_sim_result *out, espl_err *err) {
  const espl_run_result *r = &out->raw;
  if (r->hw_status != ESPL_HW_NONE)
    return espl_fail(err, ESPL_E_FAILED, "network %s: the machine stopped with %s at command %u", q->name, espl_hw_status_name(r->hw_status), (unsigned)r->err_index);
  if (r->layers != p->layers) return espl_fail(err, ESPL_E_BUG, "network %s: %d layer records, expected %d", q->name, (int)r->layers, (int)p->layers);
  out->layers = p->layers;
  out->layer = espl_calloc((size_t)p->layers + 1, sizeof *out->layer);
  if (!out->layer) return espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", q->name);
  snprintf(out->total.name, sizeof out->total.name, "total");
  for (int32_t i = 0; i < p->layers; i++) {
    espl_sim_layer *l = &out->layer[i];
    snprintf(l->name, sizeof l->name, "%s", q->layer[p->layer[i].qlayer].name);
    from_counters(r->layer[i].counter, l);
    if (p->machine.counters <= ESPL_CNT_MACS_DENSE) { /* not counted by this core: what its commands say */
      l->macs = p->layer[i].macs;
      l->macs_dense = p->layer[i].macs_dense;
    }
    l->roof_cycles = (uint64_t)p->layer[i].roof_cycles;
    ratios(&p->machine, l);
    accumulate(&out->total, l);
  }
  out->overhead = r->cycles - out->total.cycles;
  out->total.cycles = r->cycles;
  ratios(&p->machine, &out->total);
  return ESPL_OK;
}

static espl_status fetch_logits(const espl_program *p, const espl_qnet *q, const uint8_t *memory, espl_sim_result *out, espl_err *err) {
  out->logits = espl_calloc((size_t)p->images * (size_t)espl_shape_elems(q->tensor[q->output].shape), 1);
  if (!out->logits) return espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", q->name);
  espl_program_get_tensor(p, q, q->output, memory, out->logits);
  return ESPL_OK;
}

espl_status espl_program_run(const espl_program *p, const espl_qnet *q, espl_engine engine, const int8_t *input, const espl_trace *trace, uint8_t *memory,
                             espl_run_result *out, espl_err *err) {
  espl_machine m = p->machine;
  m.mem_bytes = p->mem_bytes; /* nothing behind it is used */
  espl_run run = {.machine = &m, .memory = p->image, .prog_addr = p->prog_addr, .prog_bytes = p->prog_bytes, .expect_hash = espl_machine_hash(&m),
                  .trace = trace};
  if (engine == ESPL_ENGINE_TIMING) return espl_device_timing(&run, out, err);
  memcpy(memory, p->image, p->mem_bytes);
  run.memory = memory;
  int64_t n = p->images * espl_shape_elems(q->tensor[0].shape);
  int8_t *zero = input ? NULL : espl_calloc((size_t)n, 1);
  if (!input && !zero) return espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", q->name);
  if (zero) memset(zero, q->tensor[0].zero, (size_t)n);
  espl_program_put_tensor(p, q, 0, input ? input : zero, memory);
  free(zero);
  return engine == ESPL_ENGINE_MODEL ? espl_device_model(&run, out, err) : espl_device_rtl(&run, out, err);
}

espl_status espl_simulate(const espl_program *p, const espl_qnet *q, espl_engine engine, const int8_t *input, const espl_trace *trace, espl_sim_result *out,
                          espl_err *err) {
  *out = (espl_sim_result){0};
  uint8_t *memory = engine == ESPL_ENGINE_TIMING ? NULL : espl_calloc(p->mem_bytes, 1);
  if (engine != ESPL_ENGINE_TIMING && !memory) return espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", q->name);
  espl_status s = espl_program_run(p, q, engine, input, trace, memory, &out->raw, err);
  if (s == ESPL_OK) s = map_summarize(p, q, out, err);
  if (s == ESPL_OK && memory) s = fetch_logits(p, q, memory, out, err);
  free(memory);
  if (s != ESPL_OK) espl_sim_result_clear(out);
  return s;
}
