/* Chooses how to walk a layer by measuring: each candidate becomes a program of that one layer and runs on the timing model, which is
 * exact, so the cycles found here are the layer's cycles in any network. Sizes are refined one at a time from the best structure. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/map_int.h"

enum { MAX_CANDIDATES = 12, MAX_OPTIONS = 8 };

/* Addresses behind any program: only their distance and alignment can matter to the timing. */
static map_place measuring_place(const map_geom *g, uint64_t *end) {
  uint64_t at = 1u << 28;
  map_place p = {0};
  const struct { uint32_t *to; uint64_t bytes; } part[] = {
      {&p.record, 256}, {&p.in, (uint64_t)g->in_groups * g->plane_bytes}, {&p.out, (uint64_t)g->out_groups * g->out_plane_bytes},
      {&p.res, (uint64_t)g->out_groups * g->out_plane_bytes}, {&p.weights, (uint64_t)g->tiles * (uint64_t)espl_tile_bytes(g->m)},
      {&p.params, (uint64_t)g->nco * (uint64_t)g->m->cols * 16}, {&p.index, 4ull * (uint64_t)g->tiles}};
  for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
    *part[i].to = (uint32_t)at;
    at = (at + part[i].bytes + MAP_PAGE - 1) / MAP_PAGE * MAP_PAGE;
  }
  *end = at;
  return p;
}

static espl_status measure(const map_geom *g, const map_plan *p, uint64_t *cycles, espl_err *err) {
  uint64_t end, macs, dense;
  map_place at = measuring_place(g, &end);
  if (end > UINT32_MAX) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: needs more than 4 GiB of memory", g->l->name);
  map_list l;
  map_list_init(&l, g->m->token_max);
  espl_status s = map_emit_layer(g, p, &at, &l, &macs, &dense, err);
  uint32_t mark = map_align((uint32_t)l.n * 16u, MAP_PAGE), bytes = mark + MAP_PAGE; /* END has a line of its own, as in a network */
  uint8_t *prog = s == ESPL_OK ? espl_calloc(bytes, 1) : NULL;
  if (s == ESPL_OK && !prog) s = espl_fail(err, ESPL_E_NOMEM, "layer %s: out of memory", g->l->name);
  if (s == ESPL_OK) {
    map_list_encode(&l, prog);
    uint32_t w[4];
    espl_cmd_end_encode(w);
    memcpy(prog + mark, w, 16);
    espl_machine m = *g->m;
    m.mem_bytes = (uint32_t)end; /* the timing model reads only the program from memory */
    espl_run run = {.machine = &m, .memory = prog, .prog_bytes = bytes};
    espl_run_result r = {0};
    s = espl_device_timing(&run, &r, err);
    if (s == ESPL_OK && (r.hw_status != ESPL_HW_NONE || r.layers != 1))
      s = espl_fail(err, ESPL_E_BUG, "layer %s: its program stops with %s at command %u", g->l->name, espl_hw_status_name(r.hw_status), (unsigned)r.err_index);
    if (s == ESPL_OK) *cycles = r.layer[0].counter[ESPL_CNT_CYCLES];
    espl_run_result_clear(&r);
  }
  free(prog);
  map_list_clear(&l);
  return s;
}

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
static espl_status refine(const map_geom *g, map_plan *best, uint64_t *cycles, bool *improved, espl_err *err) {
  *improved = false;
  for (int field = 0; field < 5; field++) {
    int32_t v[MAX_OPTIONS];
    int n = options(g, best, field, v);
    map_plan base = *best;
    for (int i = 0; i < n; i++) {
      map_plan p = base;
      if (*field_of(&p, field) == v[i]) continue;
      *field_of(&p, field) = v[i];
      uint64_t c = 0;
      ESPL_TRY(measure(g, &p, &c, err));
      if (c >= *cycles) continue;
      *cycles = c;
      *best = p;
      *improved = true;
    }
  }
  return ESPL_OK;
}

/* Measures a structure and refines it until nothing helps, three rounds at most. */
static espl_status settle(const map_geom *g, map_plan *p, uint64_t *cycles, espl_err *err) {
  ESPL_TRY(measure(g, p, cycles, err));
  for (int round = 0; round < 3; round++) {
    bool improved;
    if ((double)*cycles <= 1.005 * (double)g->roof_cycles) return ESPL_OK;
    ESPL_TRY(refine(g, p, cycles, &improved, err));
    if (!improved) return ESPL_OK;
  }
  return ESPL_OK;
}

espl_status map_choose(const map_geom *g, map_plan *best, uint64_t *cycles, espl_err *err) {
  map_plan cand[MAX_CANDIDATES];
  int n = 0;
  ESPL_TRY(map_plan_candidates(g, cand, MAX_CANDIDATES, &n, err));
  *cycles = UINT64_MAX;
  for (int i = 0; i < n; i++) {
    uint64_t c = 0;
    ESPL_TRY(settle(g, &cand[i], &c, err));
    if (c >= *cycles) continue;
    *cycles = c;
    *best = cand[i];
  }
  return ESPL_OK;
}

espl_status espl_layer_cost(const espl_qnet *q, int32_t layer, const espl_machine *m, int32_t zero_tiles, uint64_t *cycles, espl_err *err) {
  map_geom g;
  map_plan p;
  if (layer < 0 || layer >= q->layers) return espl_fail(err, ESPL_E_INPUT, "layer %d of %d", (int)layer, (int)q->layers);
  ESPL_TRY(espl_machine_check(m, err));
  ESPL_TRY(map_geom_init(&g, q, layer, m, zero_tiles, err));
  espl_status s = map_choose(&g, &p, cycles, err);
  map_geom_clear(&g);
  return s;
}
