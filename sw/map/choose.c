/* Chooses how to walk a layer. Each structure (plan.c) is refined one size at a time on estimates; the best few plans by estimate are measured on
 * the timing model, which is exact and decides. Where estimate and measurement part (a kind of layer or machine that estimate.c does not
 * know well), and in map_choose_full, refinement goes by measurements alone. */
#include <math.h>

#include "map/map_int.h"

enum { MAX_CANDIDATES = 12, MAX_OPTIONS = 8, KEPT = 8, MEASURED = 4 };

/* Nothing is looked for this close to the roof: by measurement, by estimate. */
#define NEAR_ROOF 1.005
#define NEAR_ROOF_ESTIMATED 1.002
/* Besides the best estimate those are measured that are behind it by at most this and by as much as the first estimate is wrong. */
#define WORTH 0.002

/* Plans by estimate, best first, one for each structure and height of tiles. */
typedef struct ranking {
  int n;
  map_plan plan[KEPT];
  double cost[KEPT];
} ranking;

/* Where costs come from: measurements, or estimates that go into a ranking. */
typedef struct costing {
  const map_geom *g;
  map_estimator *estimator; /* NULL: measure */
  ranking *rank;
} costing;

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
  } else if (field == 4) { /* cold_cb */
    for (int32_t b = 1; b <= p->chunk_cb && n < 5; b *= 2) v[n++] = b;
  } else if (p->resident && !g->dw && !g->stacked && g->l->kh > 1) { /* by_row */
    v[n++] = !p->by_row;
  }
  return n;
}

static int32_t *field_of(map_plan *p, int field) {
  int32_t *f[] = {&p->tile_h, &p->last_h, &p->ratio, &p->first_h, &p->cold_cb, &p->by_row};
  return f[field];
}

static bool alike(const map_plan *a, const map_plan *b) {
  return a->resident == b->resident && a->column_outer == b->column_outer && a->image_inner == b->image_inner && a->chunk_cb == b->chunk_cb && a->tile_w == b->tile_w && a->tile_h == b->tile_h;
}

static void rank(ranking *r, const map_plan *p, double cost) {
  int k = 0;
  while (k < r->n && !alike(&r->plan[k], p)) k++;
  bool fresh = k == r->n;
  if (fresh && r->n == KEPT) k--;
  if ((!fresh || r->n == KEPT) && r->cost[k] <= cost) return;
  if (fresh && r->n < KEPT) r->n++;
  for (; k > 0 && r->cost[k - 1] > cost; k--) {
    r->cost[k] = r->cost[k - 1];
    r->plan[k] = r->plan[k - 1];
  }
  r->cost[k] = cost;
  r->plan[k] = *p;
}

/* What a plan costs; *m is filled by a measurement. */
static espl_status cost_of(const costing *c, const map_plan *p, map_measured *m, double *cost, espl_err *err) {
  if (c->estimator) {
    *cost = map_estimate(c->estimator, p);
    rank(c->rank, p, *cost);
    return ESPL_OK;
  }
  ESPL_TRY(map_measure(c->g, p, m, err));
  *cost = cycles_of(m);
  return ESPL_OK;
}

static bool near_roof(const costing *c, double cost) { return cost <= (c->estimator ? NEAR_ROOF_ESTIMATED : NEAR_ROOF) * (double)c->g->roof_cycles; }

/* One round over all fields; *improved when any value helped. */
static espl_status refine(const costing *by, map_plan *best, map_measured *measured, double *cost, bool *improved, espl_err *err) {
  *improved = false;
  for (int field = 0; field < 6; field++) {
    int32_t v[MAX_OPTIONS];
    int n = options(by->g, best, field, v);
    map_plan base = *best;
    for (int i = 0; i < n; i++) {
      map_plan p = base;
      map_measured m;
      double c;
      if (*field_of(&p, field) == v[i]) continue;
      *field_of(&p, field) = v[i];
      ESPL_TRY(cost_of(by, &p, &m, &c, err));
      if (c >= *cost) continue;
      *cost = c;
      *best = p;
      if (!by->estimator) *measured = m;
      *improved = true;
    }
  }
  return ESPL_OK;
}

/* Refines a structure until nothing helps, three rounds at most. */
static espl_status settle(const costing *by, map_plan *p, map_measured *measured, double *cost, espl_err *err) {
  ESPL_TRY(cost_of(by, p, measured, cost, err));
  for (int round = 0; round < 3; round++) {
    bool improved;
    if (near_roof(by, *cost)) return ESPL_OK;
    ESPL_TRY(refine(by, p, measured, cost, &improved, err));
    if (!improved) return ESPL_OK;
  }
  return ESPL_OK;
}

espl_status map_choose_full(const map_geom *g, map_plan *best, map_measured *cost, espl_err *err) {
  map_plan cand[MAX_CANDIDATES];
  costing by = {.g = g};
  int n = 0;
  double least = 0;
  ESPL_TRY(map_plan_candidates(g, cand, MAX_CANDIDATES, &n, err));
  for (int i = 0; i < n; i++) {
    map_measured m;
    double c;
    ESPL_TRY(settle(&by, &cand[i], &m, &c, err));
    if (i > 0 && c >= least) continue;
    least = c;
    *cost = m;
    *best = cand[i];
  }
  return ESPL_OK;
}

/* Structures settled by estimate until one is near the roof. */
static espl_status estimate_all(const map_geom *g, ranking *r, espl_err *err) {
  map_plan cand[MAX_CANDIDATES];
  int n = 0;
  ESPL_TRY(map_plan_candidates(g, cand, MAX_CANDIDATES, &n, err));
  costing by = {g, map_estimator_new(g), r};
  if (!by.estimator) return espl_fail(err, ESPL_E_NOMEM, "layer %s: out of memory", g->l->name);
  espl_status s = ESPL_OK;
  for (int i = 0; i < n && s == ESPL_OK && !(i > 0 && near_roof(&by, r->cost[0])); i++) {
    double c;
    s = settle(&by, &cand[i], NULL, &c, err);
  }
  map_estimator_free(by.estimator);
  return s;
}

espl_status map_choose(const map_geom *g, map_plan *best, map_measured *cost, espl_err *err) {
  ranking r = {0};
  const costing by = {.g = g};
  ESPL_TRY(estimate_all(g, &r, err));
  *best = r.plan[0];
  ESPL_TRY(map_measure(g, best, cost, err));
  double worth = 1 + WORTH + fabs(cycles_of(cost) / r.cost[0] - 1);
  for (int i = 1; i < r.n && i < MEASURED && r.cost[i] <= worth * r.cost[0] && !near_roof(&by, cycles_of(cost)); i++) {
    map_measured m;
    ESPL_TRY(map_measure(g, &r.plan[i], &m, err));
    if (cycles_of(&m) >= cycles_of(cost)) continue;
    *cost = m;
    *best = r.plan[i];
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
