/* Chooses how to walk a layer. Each structure (plan.c) is refined one size at a time on estimates; the best few plans by estimate are measured on
 * the timing model, which is exact and decides. Where estimate and measurement part (a kind of layer or machine that estimate.c does not
 * know well), and in map_choose_full, refinement goes by measurements alone. */
#include "map/map_int.h"

enum { MAX_CANDIDATES = 12, MAX_OPTIONS = 8, MEASURED = 3 };

/* A measured plan this close to the roof is not worth improving on. */
#define NEAR_ROOF 1.005
/* Estimates are trusted when the measurement of the best is within this of it. */
#define TRUSTED 0.08
/* Another plan is measured when its estimate is better than the best measurement by estimate's own scale, or worse by at most this. */
#define WORTH 1.01

static double cycles_of(const map_measured *c) { return (double)c->counter[ESPL_CNT_CYCLES]; }

/* Values worth trying for one field of the plan; returns how many. */
static int options(const map_geom *g, const map_plan *p, int field, int32_t *v) {
  int32_t pooled_px = g->l->pool == ESPL_QPOOL_NONE ? 1 : g->l->psy * g->l->psx;
  int32_t unit = map_max(1, map_div_up(g->m->rows, map_max(1, map_min(p->tile_w, g->out.w) * pooled_px))); /* rows that fill a pass */
  int n = 0;
  if (field == 0) /* tile_h */
    for (int32_t h = p->tile_h; h > unit && n < 4; h = (h + 1) / 2) v[n++] = (h + 1) / 2;
  else if (field == 1) { /* last_h */
    for (int32_t h = unit; h < p->tile_h && n < 4; h *= 2) v[n++] = h;
  } else if (field == 2) { /* ratio */
    if (p->last_h > 0)
      for (int32_t r = 2; r <= 4; r *= 2) v[n++] = r;
  } else if (field == 3) { /* first_h */
    for (int32_t h = unit; h < p->tile_h && n < 4; h *= 2) v[n++] = h;
  } else { /* cold_cb */
    for (int32_t b = 1; b <= p->chunk_cb && n < 5; b *= 2) v[n++] = b;
  }
  return n;
}

static int32_t *field_of(map_plan *p, int field) {
  int32_t *f[] = {&p->tile_h, &p->last_h, &p->ratio, &p->first_h, &p->cold_cb};
  return f[field];
}

/* What a plan costs: by measurement with e NULL (then *c is filled), else by estimate. */
static espl_status cost_of(const map_geom *g, map_estimator *e, const map_plan *p, map_measured *c, double *cost, espl_err *err) {
  if (e) {
    *cost = map_estimate(e, p);
    return ESPL_OK;
  }
  ESPL_TRY(map_measure(g, p, c, err));
  *cost = cycles_of(c);
  return ESPL_OK;
}

/* One round over all fields; *improved when any value helped. */
static espl_status refine(const map_geom *g, map_estimator *e, map_plan *best, map_measured *measured, double *cost, bool *improved, espl_err *err) {
  *improved = false;
  for (int field = 0; field < 5; field++) {
    int32_t v[MAX_OPTIONS];
    int n = options(g, best, field, v);
    map_plan base = *best;
    for (int i = 0; i < n; i++) {
      map_plan p = base;
      map_measured m;
      double c;
      if (*field_of(&p, field) == v[i]) continue;
      *field_of(&p, field) = v[i];
      ESPL_TRY(cost_of(g, e, &p, &m, &c, err));
      if (c >= *cost) continue;
      *cost = c;
      *best = p;
      if (!e) *measured = m;
      *improved = true;
    }
  }
  return ESPL_OK;
}

/* Refines a structure until nothing helps, three rounds at most. */
static espl_status settle(const map_geom *g, map_estimator *e, map_plan *p, map_measured *measured, double *cost, espl_err *err) {
  ESPL_TRY(cost_of(g, e, p, measured, cost, err));
  for (int round = 0; round < 3; round++) {
    bool improved;
    if (!e && *cost <= NEAR_ROOF * (double)g->roof_cycles) return ESPL_OK;
    ESPL_TRY(refine(g, e, p, measured, cost, &improved, err));
    if (!improved) return ESPL_OK;
  }
  return ESPL_OK;
}

espl_status map_choose_full(const map_geom *g, map_plan *best, map_measured *cost, espl_err *err) {
  map_plan cand[MAX_CANDIDATES];
  int n = 0;
  double least = 0;
  ESPL_TRY(map_plan_candidates(g, cand, MAX_CANDIDATES, &n, err));
  for (int i = 0; i < n; i++) {
    map_measured m;
    double c;
    ESPL_TRY(settle(g, NULL, &cand[i], &m, &c, err));
    if (i > 0 && c >= least) continue;
    least = c;
    *cost = m;
    *best = cand[i];
  }
  return ESPL_OK;
}

/* Structures settled by estimate, best first. */
static espl_status rank(const map_geom *g, map_plan *cand, double *cost, int *n, espl_err *err) {
  ESPL_TRY(map_plan_candidates(g, cand, MAX_CANDIDATES, n, err));
  map_estimator *e = map_estimator_new(g);
  if (!e) return espl_fail(err, ESPL_E_NOMEM, "layer %s: out of memory", g->l->name);
  for (int i = 0; i < *n; i++) {
    map_plan p = cand[i];
    double c;
    espl_status s = settle(g, e, &p, NULL, &c, err);
    if (s != ESPL_OK) {
      map_estimator_free(e);
      return s;
    }
    int k = i;
    for (; k > 0 && cost[k - 1] > c; k--) {
      cost[k] = cost[k - 1];
      cand[k] = cand[k - 1];
    }
    cost[k] = c;
    cand[k] = p;
  }
  map_estimator_free(e);
  return ESPL_OK;
}

espl_status map_choose(const map_geom *g, map_plan *best, map_measured *cost, espl_err *err) {
  map_plan cand[MAX_CANDIDATES];
  double estimate[MAX_CANDIDATES];
  int n = 0;
  ESPL_TRY(rank(g, cand, estimate, &n, err));
  *best = cand[0];
  ESPL_TRY(map_measure(g, best, cost, err));
  double scale = cycles_of(cost) / estimate[0];
  for (int i = 1; i < n && i < MEASURED; i++) {
    map_measured m;
    if (cycles_of(cost) <= NEAR_ROOF * (double)g->roof_cycles || estimate[i] * scale > WORTH * cycles_of(cost)) return ESPL_OK;
    ESPL_TRY(map_measure(g, &cand[i], &m, err));
    if (m.counter[ESPL_CNT_CYCLES] >= cost->counter[ESPL_CNT_CYCLES]) continue;
    *cost = m;
    *best = cand[i];
  }
  return ESPL_OK;
}

espl_status espl_layer_cost(const espl_qnet *q, int32_t layer, const espl_machine *m, int32_t zero_tiles, uint64_t *cycles, espl_err *err) {
  map_geom g;
  map_plan p;
  map_measured cost;
  if (layer < 0 || layer >= q->layers) return espl_fail(err, ESPL_E_INPUT, "layer %d of %d", (int)layer, (int)q->layers);
  ESPL_TRY(espl_machine_check(m, err));
  ESPL_TRY(map_geom_init(&g, q, layer, m, zero_tiles, err));
  espl_status s = map_choose(&g, &p, &cost, err);
  if (s == ESPL_OK) *cycles = cost.counter[ESPL_CNT_CYCLES];
  map_geom_clear(&g);
  return s;
}
