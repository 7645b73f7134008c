/* A whole network: addresses, packed weights, parameters and index entries, and one program. Memory from 0 up: layer records, then for
 * each layer weights, parameters and index, then the tensors, then the program; every part starts on a 4 KiB line. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/map_int.h"
#include "model/requant.h"

typedef struct net {
  const espl_qnet *q;
  const espl_machine *m;
  espl_program *p;
  map_geom *geom;   /* [layers] */
  map_plan *plan;
  map_place *place;
  map_list *list;
  uint64_t end;     /* bytes of memory given out */
} net;

static espl_status take(net *n, uint64_t bytes, uint32_t *addr, espl_err *err) {
  *addr = (uint32_t)n->end;
  n->end = (n->end + bytes + MAP_PAGE - 1) / MAP_PAGE * MAP_PAGE;
  if (n->end <= UINT32_MAX) return ESPL_OK;
  return espl_fail(err, ESPL_E_UNSUPPORTED, "network %s: needs more than 4 GiB of memory", n->q->name);
}

static espl_status place_tensors(net *n, espl_err *err) {
  uint32_t g = (uint32_t)espl_g(n->m), bus = (uint32_t)n->m->bus_bytes;
  for (int32_t i = 0; i < n->q->tensors; i++) {
    espl_shape s = n->q->tensor[i].shape;
    espl_map_tensor *t = &n->p->tensor[i];
    uint64_t plane = ((uint64_t)s.h * (uint64_t)s.w * g + bus - 1) / bus * bus, all = plane * (((uint64_t)s.c + g - 1) / g);
    if (all > UINT32_MAX) return espl_fail(err, ESPL_E_UNSUPPORTED, "network %s: a tensor of %llu bytes", n->q->name, (unsigned long long)all);
    t->row_bytes = (uint32_t)s.w * g;
    t->plane_bytes = (uint32_t)plane;
    t->bytes = (uint32_t)all;
    ESPL_TRY(take(n, all, &t->addr, err));
  }
  return ESPL_OK;
}

static void describe(const map_geom *g, const map_plan *p, char *out, size_t cap) {
  char acts[40] = "input resident";
  if (!p->resident) snprintf(acts, sizeof acts, "%d input slots of %d blocks", (int)p->slots, (int)p->chunk_cb);
  snprintf(out, cap, "rows %d of %d, %s, %s, %s outside", (int)p->tile_h, (int)g->out.h, g->sparse ? "sparse" : "dense", acts, p->column_outer ? "columns" : "pixels");
}

static espl_status plan_layer(net *n, int32_t i, espl_err *err) {
  map_geom *g = &n->geom[i];
  uint64_t cycles;
  ESPL_TRY(map_geom_init(g, n->q, i, n->m, -1, err));
  ESPL_TRY(map_choose(g, &n->plan[i], &cycles, err));
  map_place *at = &n->place[i];
  ESPL_TRY(take(n, (uint64_t)g->tiles * (uint64_t)espl_tile_bytes(n->m), &at->weights, err));
  ESPL_TRY(take(n, (uint64_t)g->nco * (uint64_t)n->m->cols * 16, &at->params, err));
  if (g->sparse) ESPL_TRY(take(n, 4ull * (uint64_t)g->tiles, &at->index, err));
  espl_map_layer *l = &n->p->layer[i];
  l->qlayer = i;
  l->tiles = g->tiles;
  l->tiles_skipped = (int64_t)g->nco * g->ncb * g->l->kh * g->l->kw - g->tiles;
  l->roof_compute = g->roof_compute;
  l->roof_read = g->roof_read;
  l->roof_write = g->roof_write;
  l->roof_cycles = g->roof_cycles;
  l->tile_h = n->plan[i].tile_h;
  l->tile_w = n->plan[i].tile_w;
  describe(g, &n->plan[i], l->choice, sizeof l->choice);
  return ESPL_OK;
}

static espl_status emit_layer(net *n, int32_t i, espl_err *err) {
  const espl_qlayer *l = &n->q->layer[i];
  map_place *at = &n->place[i];
  at->in = n->p->tensor[l->in].addr;
  at->out = n->p->tensor[l->out].addr;
  at->res = l->res >= 0 ? n->p->tensor[l->res].addr : 0;
  at->record = n->p->layer[i].record_addr;
  map_list_init(&n->list[i], n->m->token_max);
  espl_map_layer *ml = &n->p->layer[i];
  ESPL_TRY(map_emit_layer(&n->geom[i], &n->plan[i], at, &n->list[i], &ml->macs, &ml->macs_dense, err));
  return take(n, 16ull * (uint64_t)n->list[i].n, &ml->prog_addr, err);
}

static void pack_params(const net *n, int32_t i, uint8_t *out) {
  const espl_qlayer *l = &n->q->layer[i];
  int32_t entries = n->geom[i].nco * n->m->cols;
  for (int32_t c = 0; c < entries; c++) {
    espl_rq_param p = {.s = 1};
    if (c < l->out_c) p = (espl_rq_param){l->par[c].bias, l->par[c].m, l->par[c].mr, l->par[c].s, l->par[c].l};
    espl_rq_param_pack(&p, out + (size_t)c * ESPL_RQ_PARAM_BYTES);
  }
}

static void pack_layer(const net *n, int32_t i) {
  const map_geom *g = &n->geom[i];
  uint8_t *mem = n->p->image;
  const map_place *at = &n->place[i];
  for (int32_t k = 0; k < g->nco; k++)
    for (int32_t t = g->first[k]; t < g->first[k + 1]; t++) {
      map_geom_pack_tile(g, k, t, (int8_t *)mem + at->weights + (size_t)t * (size_t)espl_tile_bytes(n->m));
      if (!g->sparse) continue;
      uint32_t cb = g->tile[t].cb, from = n->plan[i].resident ? 0 : cb / (uint32_t)n->plan[i].chunk_cb * (uint32_t)n->plan[i].chunk_cb;
      uint8_t *e = mem + at->index + 4 * (size_t)t;
      e[0] = g->tile[t].kx;
      e[1] = g->tile[t].ky;
      e[2] = (uint8_t)(cb - from);
      e[3] = (uint8_t)((cb - from) >> 8);
    }
  pack_params(n, i, mem + at->params);
  map_list_encode(&n->list[i], mem + n->p->layer[i].prog_addr);
}

static espl_status build(net *n, espl_err *err) {
  espl_program *p = n->p;
  uint32_t records, end;
  ESPL_TRY(take(n, 256ull * (uint64_t)n->q->layers, &records, err));
  for (int32_t i = 0; i < n->q->layers; i++) {
    p->layer[i].record_addr = records + 256u * (uint32_t)i;
    ESPL_TRY(plan_layer(n, i, err));
  }
  ESPL_TRY(place_tensors(n, err));
  p->prog_addr = (uint32_t)n->end;
  for (int32_t i = 0; i < n->q->layers; i++) ESPL_TRY(emit_layer(n, i, err));
  ESPL_TRY(take(n, MAP_PAGE, &end, err));
  p->prog_bytes = end + MAP_PAGE - p->prog_addr; /* END's line is full: what fetch reads ahead does not depend on what follows a layer */
  if (n->end > n->m->mem_bytes)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "network %s: needs %llu bytes of memory, machine %s has %u", n->q->name, (unsigned long long)n->end, n->m->name,
                     (unsigned)n->m->mem_bytes);
  p->mem_bytes = (uint32_t)n->end;
  p->image = espl_calloc(p->mem_bytes, 1);
  if (!p->image) return espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", n->q->name);
  for (int32_t i = 0; i < n->q->layers; i++) pack_layer(n, i);
  uint32_t w[4];
  espl_cmd_end_encode(w);
  memcpy(p->image + end, w, 16);
  return ESPL_OK;
}

espl_status espl_map_network(const espl_qnet *q, const espl_machine *m, espl_program **out, espl_err *err) {
  *out = NULL;
  ESPL_TRY(espl_machine_check(m, err));
  size_t layers = (size_t)q->layers + 1;
  net n = {.q = q, .m = m, .p = espl_calloc(1, sizeof *n.p), .geom = espl_calloc(layers, sizeof *n.geom), .plan = espl_calloc(layers, sizeof *n.plan),
           .place = espl_calloc(layers, sizeof *n.place), .list = espl_calloc(layers, sizeof *n.list)};
  espl_status s = ESPL_OK;
  if (n.p) {
    n.p->machine = *m;
    n.p->tensors = q->tensors;
    n.p->layers = q->layers;
    n.p->tensor = espl_calloc((size_t)q->tensors + 1, sizeof *n.p->tensor);
    n.p->layer = espl_calloc(layers, sizeof *n.p->layer);
  }
  if (!n.p || !n.geom || !n.plan || !n.place || !n.list || !n.p->tensor || !n.p->layer) s = espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", q->name);
  if (s == ESPL_OK) s = build(&n, err);
  for (int32_t i = 0; n.geom && n.list && i < q->layers; i++) {
    map_geom_clear(&n.geom[i]);
    map_list_clear(&n.list[i]);
  }
  free(n.geom);
  free(n.plan);
  free(n.place);
  free(n.list);
  if (s == ESPL_OK) *out = n.p;
  else espl_program_free(n.p);
  return s;
}

void espl_program_free(espl_program *p) {
  if (!p) return;
  free(p->image);
  free(p->tensor);
  free(p->layer);
  free(p);
}

/* Byte of (channel, row, column) of a tensor. */
static size_t byte_at(const espl_program *p, int32_t tensor, espl_shape s, int32_t c, int32_t y, int32_t x) {
  const espl_map_tensor *t = &p->tensor[tensor];
  int32_t g = espl_g(&p->machine);
  return (size_t)t->addr + (size_t)(c / g) * t->plane_bytes + (size_t)(y * s.w + x) * (size_t)g + (size_t)(c % g);
}

void espl_program_put_tensor(const espl_program *p, const espl_qnet *q, int32_t tensor, const int8_t *chw, uint8_t *memory) {
  espl_shape s = q->tensor[tensor].shape;
  int32_t g = espl_g(&p->machine), all = map_div_up(s.c, g) * g;
  for (int32_t c = 0; c < all; c++)
    for (int32_t y = 0; y < s.h; y++)
      for (int32_t x = 0; x < s.w; x++)
        memory[byte_at(p, tensor, s, c, y, x)] = (uint8_t)(c < s.c ? chw[((int64_t)c * s.h + y) * s.w + x] : q->tensor[tensor].zero);
}

void espl_program_get_tensor(const espl_program *p, const espl_qnet *q, int32_t tensor, const uint8_t *memory, int8_t *chw) {
  espl_shape s = q->tensor[tensor].shape;
  for (int32_t c = 0; c < s.c; c++)
    for (int32_t y = 0; y < s.h; y++)
      for (int32_t x = 0; x < s.w; x++) chw[((int64_t)c * s.h + y) * s.w + x] = (int8_t)memory[byte_at(p, tensor, s, c, y, x)];
}
