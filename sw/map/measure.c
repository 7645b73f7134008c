/* A layer alone on the timing model: its plan becomes a program of that one layer. The timing model is exact and every layer begins at a
 * barrier, so the numbers found here are the layer's numbers in any network. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/map_int.h"

/* Addresses behind any program (run() refuses longer ones): only their distance and alignment can matter to the timing. */
#define PROGRAM_MOST (1u << 28)

static map_place measuring_place(const map_geom *g, uint64_t *end) {
  uint64_t at = PROGRAM_MOST, images = (uint64_t)(g->stacked ? g->l->conv_h : g->images);
  map_place p = {0};
  const struct { uint32_t *to, behind; uint64_t bytes; } part[] = {
      {&p.record, 0, 256}, {&p.in, g->in_at, (uint64_t)images * g->in_image}, {&p.out, g->out_at, (uint64_t)images * g->out_image},
      {&p.res, g->res_at, (uint64_t)images * g->res_image}, {&p.weights, 0, (uint64_t)g->tiles * (uint64_t)g->tile_bytes},
      {&p.params, 0, (uint64_t)g->nco * (uint64_t)g->m->cols * 16}, {&p.index, 0, 4ull * (uint64_t)g->tiles}};
  for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
    *part[i].to = (uint32_t)at + part[i].behind;
    at = (at + part[i].behind + part[i].bytes + MAP_PAGE - 1) / MAP_PAGE * MAP_PAGE;
  }
  *end = at;
  return p;
}

/* From the counters of a run of one layer; the clock is that of hw/spec: cycle 1 is the first counted one. */
static void take_result(const espl_run_result *r, map_measured *out) {
  memcpy(out->counter, r->layer[0].counter, sizeof out->counter);
  memcpy(out->end, r->counter, sizeof out->end);
  out->around_cycles = r->cycles - 1 - r->counter[ESPL_CNT_CYCLES] - out->counter[ESPL_CNT_CYCLES];
}

static espl_status run(const map_geom *g, const map_list *l, uint64_t mem_bytes, map_measured *out, espl_err *err) {
  if ((int64_t)l->n * 16 > (int64_t)PROGRAM_MOST - 2 * MAP_PAGE)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: needs %d commands on machine %s, a layer may have %u", g->l->name, (int)l->n, g->m->name, (unsigned)((PROGRAM_MOST - 2 * MAP_PAGE) / 16));
  uint32_t mark = map_align((uint32_t)l->n * 16u, MAP_PAGE), bytes = mark + MAP_PAGE; /* END has a line of its own, as in a network */
  uint8_t *prog = espl_calloc(bytes, 1);
  if (!prog) return espl_fail(err, ESPL_E_NOMEM, "layer %s: out of memory", g->l->name);
  map_list_encode(l, prog);
  uint32_t w[4];
  espl_cmd_end_encode(w);
  memcpy(prog + mark, w, 16);
  espl_machine m = *g->m;
  m.mem_bytes = (uint32_t)mem_bytes; /* the timing model reads only the program from memory */
  espl_run run = {.machine = &m, .memory = prog, .prog_bytes = bytes};
  espl_run_result r = {0};
  espl_status s = espl_device_timing(&run, &r, err);
  if (s == ESPL_OK && (r.hw_status != ESPL_HW_NONE || r.layers != 1))
    s = espl_fail(err, ESPL_E_BUG, "layer %s: its program stops with %s at command %u", g->l->name, espl_hw_status_name(r.hw_status), (unsigned)r.err_index);
  if (s == ESPL_OK) take_result(&r, out);
  espl_run_result_clear(&r);
  free(prog);
  return s;
}

espl_status map_start_cycles(const espl_machine *machine, uint64_t *cycles, espl_err *err) {
  uint8_t prog[MAP_PAGE] = {0}; /* a line as before a network's first layer: what fetch reads ahead is all there */
  uint32_t w[4];
  espl_cmd_end_encode(w);
  memcpy(prog, w, sizeof w);
  espl_machine m = *machine;
  m.mem_bytes = 2 * MAP_PAGE;
  espl_run run = {.machine = &m, .memory = prog, .prog_bytes = MAP_PAGE};
  espl_run_result r = {0};
  ESPL_TRY(espl_device_timing(&run, &r, err));
  *cycles = r.cycles - 1 - r.counter[ESPL_CNT_CYCLES];
  espl_run_result_clear(&r);
  return ESPL_OK;
}

espl_status map_measure(const map_geom *g, const map_plan *p, map_measured *out, espl_err *err) {
  uint64_t end;
  map_place at = measuring_place(g, &end);
  *out = (map_measured){0};
  if (end > UINT32_MAX) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: needs more than 4 GiB of memory", g->l->name);
  map_list l;
  map_list_init(&l, g->m->token_max);
  espl_status s = map_emit_layer(g, p, &at, &l, &out->macs, &out->macs_dense, err);
  out->commands = l.n;
  if (s == ESPL_OK) s = run(g, &l, end, out, err);
  map_list_clear(&l);
  return s;
}
