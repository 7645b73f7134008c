/* The timing engine on a network without a program in memory. Layers end in a barrier that leaves nothing behind, so the run of the whole
 * program is the runs of its layers alone one after the other, between the constants of its start and its end:
 *   cycles = start + sum over layers (counted cycles + cycles of the MARK) + cycles from the last MARK to the interrupt.
 * With a memory of banks a layer's time depends on where everything lies, so there the program itself is timed, its commands in place. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/map_int.h"

static espl_status compose(const map_net *n, espl_run_result *r, espl_err *err) {
  int32_t layers = n->q->layers;
  r->layer = espl_calloc((size_t)layers + 1, sizeof *r->layer);
  if (!r->layer) return espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", n->q->name);
  r->layers = r->cap = layers;
  uint32_t commands = 0;
  uint64_t start;
  ESPL_TRY(map_start_cycles(n->m, &start, err));
  r->cycles = start;
  for (int32_t i = 0; i < layers; i++) {
    const map_measured *c = &n->cost[i];
    commands += (uint32_t)c->commands;
    r->layer[i].mark_index = commands - 1;
    memcpy(r->layer[i].counter, c->counter, sizeof c->counter);
    r->cycles += c->counter[ESPL_CNT_CYCLES] + c->around_cycles - start;
    memcpy(r->counter, c->end, sizeof c->end);
  }
  r->cycles += r->counter[ESPL_CNT_CYCLES] + 1;
  return ESPL_OK;
}

static espl_status in_place(const map_net *n, espl_run_result *r, espl_err *err) {
  ESPL_TRY(map_net_commands(n, err));
  return espl_program_run(n->p, n->q, ESPL_ENGINE_TIMING, NULL, NULL, NULL, r, err);
}

static void widen(const map_net *n, espl_sim_result *r) {
  double macs_a_cycle = (double)n->m->rows * n->m->cols;
  r->total.macs = r->total.macs_dense = 0;
  for (int32_t i = 0; i <= r->layers; i++) {
    espl_sim_layer *l = i < r->layers ? &r->layer[i] : &r->total;
    if (i < r->layers) {
      l->macs = n->cost[i].macs;
      l->macs_dense = n->cost[i].macs_dense;
      r->total.macs += l->macs;
      r->total.macs_dense += l->macs_dense;
    }
    l->utilization = (double)l->macs / (macs_a_cycle * (double)l->cycles);
  }
}

espl_status map_time_network(const espl_qnet *q, const espl_machine *m, bool wide, espl_sim_result *out, espl_err *err) {
  map_net n;
  *out = (espl_sim_result){0};
  if (q->layers < 1) return espl_fail(err, ESPL_E_INPUT, "network %s: no layers", q->name);
  espl_status s = map_net_plan(q, m, NULL, &n, err);
  if (s == ESPL_OK) s = m->mem.banks > 0 ? in_place(&n, &out->raw, err) : compose(&n, &out->raw, err);
  if (s == ESPL_OK) s = map_summarize(n.p, q, out, err);
  if (s == ESPL_OK && wide) widen(&n, out);
  if (s != ESPL_OK) espl_sim_result_clear(out);
  map_net_clear(&n);
  return s;
}

espl_status espl_time_network(const espl_qnet *q, const espl_machine *m, espl_sim_result *out, espl_err *err) { return map_time_network(q, m, false, out, err); }
