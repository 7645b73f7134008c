/* Chooses how to walk a layer by measuring: each candidate becomes a program of that one layer and runs on the timing model, which is
 * exact, so the cycles found here are the layer's cycles in any network. Sizes are refined one at a time from the best structure. */
#include "map/map_int.h"

enum { MAX_CANDIDATES = 12, MAX_OPTIONS = 8 };

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

/* One round over all fields; *improved when any value helped. */
static espl_status refine(const map_geom *g, map_plan *best, map_measured *cost, bool *improved, espl_err *err) {
  *improved = false;
  for (int field = 0; field < 5; field++) {
    int32_t v[MAX_OPTIONS];
    int n = options(g, best, field, v);
    map_plan base = *best;
    for (int i = 0; i < n; i++) {
      map_plan p = base;
      if (*field_of(&p, field) == v[i]) continue;
      *field_of(&p, field) = v[i];
      map_measured c;
      ESPL_TRY(map_measure(g, &p, &c, err));
      if (cycles_of(&c) >= cycles_of(cost)) continue;
      *cost = c;
      *best = p;
      *improved = true;
    }
  }
  return ESPL_OK;
}

/* Measures a structure and refines it until nothing helps, three rounds at most. */
static espl_status settle(const map_geom *g, map_plan *p, map_measured *cost, espl_err *err) {
  ESPL_TRY(map_measure(g, p, cost, err));
  for (int round = 0; round < 3; round++) {
    bool improved;
    if (cycles_of(cost) <= 1.005 * (double)g->roof_cycles) return ESPL_OK;
    ESPL_TRY(refine(g, p, cost, &improved, err));
    if (!improved) return ESPL_OK;
  }
  return ESPL_OK;
}

espl_status map_choose(const map_geom *g, map_plan *best, map_measured *cost, espl_err *err) {
  map_plan cand[MAX_CANDIDATES];
  int n = 0;
  ESPL_TRY(map_plan_candidates(g, cand, MAX_CANDIDATES, &n, err));
  for (int i = 0; i < n; i++) {
    map_measured c;
    ESPL_TRY(settle(g, &cand[i], &c, err));
    if (i > 0 && cycles_of(&c) >= cycles_of(cost)) continue;
    *cost = c;
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
