/* Whether a budget can be met at all, asked before a network is trained: cycles follow from shapes, so one with fresh weights tells. */
#include <stdlib.h>

#include "base/mem.h"
#include "steer/study_int.h"

static espl_status kernels(espl_study_state *r, espl_err *err) {
  espl_choice c;
  espl_kernel_cut *cut = espl_calloc((size_t)r->base_q->layers, sizeof *cut);
  if (!cut) return espl_fail(err, ESPL_E_NOMEM, "rehearsal: out of memory");
  espl_status s = espl_choose_kernels(r->base, r->saliency, r->base_q, r->table, r->budget, cut, &c, err);
  free(cut);
  return s;
}

static espl_status tiles(espl_study_state *r, espl_err *err) {
  espl_choice c;
  espl_tile_choice *t = espl_calloc((size_t)r->base_q->layers, sizeof *t);
  if (!t) return espl_fail(err, ESPL_E_NOMEM, "rehearsal: out of memory");
  espl_status s = espl_choose_tiles(r->base, r->saliency, r->base_q, r->table, r->budget, t, &c, err);
  espl_tile_choices_clear(t, r->base_q->layers);
  free(t);
  return s;
}

static espl_status widths(espl_study_state *r, espl_err *err) {
  espl_width_choice c;
  uint8_t *keep = espl_calloc((size_t)r->units->units, 1);
  if (!keep) return espl_fail(err, ESPL_E_NOMEM, "rehearsal: out of memory");
  espl_status s = espl_widths_new(r->base, r->units, r->unit_importance, r->base_q, r->table, &r->widths, err);
  if (s == ESPL_OK) s = espl_widths_choose(r->widths, ESPL_WIDTH_CYCLES, r->budget, keep, &c, err);
  free(keep);
  return s;
}

/* The kinds of the study, quickest first, until one has a choice within the budget. */
static espl_status any_kind(espl_study_state *r, espl_err *err) {
  const struct { int on; espl_status (*choose)(espl_study_state *, espl_err *); } kind[] = {{r->s->kernel, kernels}, {r->s->block, tiles}, {r->s->dense, widths}};
  for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
    espl_err why = {0};
    espl_status s = kind[i].on ? kind[i].choose(r, &why) : ESPL_E_FAILED;
    if (s == ESPL_OK) return ESPL_OK;
    if (s != ESPL_E_FAILED) return espl_fail(err, s, "%s", why.msg);
  }
  return espl_fail(err, ESPL_E_FAILED, "no variant meets the budget of %.3g %% of the baseline's cycles (%lld of %lld); nothing was trained", 100 * r->s->budget, (long long)r->budget,
                   (long long)r->base_cycles);
}

static espl_status prepare(espl_study_state *r, espl_err *err) {
  espl_sim_result t = {0};
  espl_status s = espl_time_network(r->base_q, &r->s->machine, &t, err);
  r->base_cycles = (int64_t)t.total.cycles;
  r->budget = (int64_t)((double)r->base_cycles * r->s->budget);
  espl_sim_result_clear(&t);
  ESPL_TRY(s);
  ESPL_TRY(espl_units_new(r->base, &r->units, err));
  ESPL_TRY(espl_saliency_measure(r->base, r->train, &r->pp, 1, r->s->seed, &r->saliency, err));
  r->unit_importance = espl_calloc((size_t)r->units->units, sizeof(double));
  if (!r->unit_importance) return espl_fail(err, ESPL_E_NOMEM, "rehearsal: out of memory");
  espl_unit_importance(r->base, r->units, r->saliency, r->unit_importance);
  return espl_cost_table_new(r->base_q, &r->s->machine, NULL, &r->table, err);
}

espl_status espl_study_rehearse(const espl_study_state *st, espl_graph *fresh, espl_qnet *q, espl_err *err) {
  espl_study_state r = {.s = st->s, .pp = st->pp, .train = st->train, .base = fresh, .base_q = q};
  if (!st->s->dense && !st->s->block && !st->s->kernel) return ESPL_OK;
  espl_status s = prepare(&r, err);
  if (s == ESPL_OK) s = any_kind(&r, err);
  espl_widths_free(r.widths);
  espl_cost_table_free(r.table);
  free(r.unit_importance);
  espl_saliency_free(r.saliency);
  espl_units_free(r.units);
  return s;
}
