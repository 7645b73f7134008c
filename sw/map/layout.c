/* A network's layers planned and measured, and everything of it placed. Memory from 0 up: layer records, then for each layer weights,
 * parameters and index, then the tensors, then the program; every part starts on a 4 KiB line. What is too much for the machine's memory in this way is placed
 * without gaps (tight.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/map_int.h"

espl_status map_net_take(map_net *n, uint64_t bytes, uint32_t unit, uint32_t *addr, espl_err *err) {
  *addr = (uint32_t)n->end;
  n->end = (n->end + bytes + unit - 1) / unit * unit;
  if (n->end <= UINT32_MAX) return ESPL_OK;
  return espl_fail(err, ESPL_E_UNSUPPORTED, "network %s: needs more than 4 GiB of memory", n->q->name);
}

/* One region for all tensors, in steps of `unit`; slices lie in their wholes. */
static espl_status place_region(map_net *n, uint32_t unit, uint64_t *bytes, uint64_t *at, espl_err *err) {
  espl_program *p = n->p;
  uint64_t total = 0;
  p->tensor_bytes_apart = 0;
  for (int32_t i = 0; i < n->q->tensors; i++) {
    bytes[i] = n->q->tensor[i].whole > 0 ? 0 : ((uint64_t)p->tensor[i].bytes + unit - 1) / unit * unit;
    p->tensor_bytes_apart += bytes[i];
  }
  ESPL_TRY(map_memory_place(n->q, bytes, n->cfg.keep, at, &total, err));
  uint32_t base;
  ESPL_TRY(map_net_take(n, total, unit, &base, err));
  p->tensor_bytes = (uint32_t)total;
  for (int32_t i = 0; i < n->q->tensors; i++) {
    int32_t first, root = espl_qnet_root(n->q, i, &first);
    p->tensor[i].addr = base + (uint32_t)at[root] + map_slice_offset(n->q, n->m, i);
  }
  return ESPL_OK;
}

static espl_status size_tensors(map_net *n, espl_err *err) {
  uint32_t g = (uint32_t)espl_g(n->m), bus = (uint32_t)n->m->bus_bytes;
  int32_t images = n->p->images;
  for (int32_t i = 0; i < n->q->tensors; i++) {
    espl_shape s = n->q->tensor[i].shape;
    espl_map_tensor *t = &n->p->tensor[i];
    t->folded = map_fold_tensor(n->q, n->m, i);
    uint32_t row = (uint32_t)(t->folded ? map_fold_pitch(n->q, n->m, i) : s.w) * g;
    uint64_t plane = ((uint64_t)s.h * row + bus - 1) / bus * bus, all = plane * (((uint64_t)s.c + g - 1) / g);
    if (all > UINT32_MAX) return espl_fail(err, ESPL_E_UNSUPPORTED, "network %s: a tensor of %llu bytes", n->q->name, (unsigned long long)all);
    t->row_bytes = row;
    t->plane_bytes = (uint32_t)plane;
    t->image_bytes = map_image_bytes(n->q, n->m, i);
    all += (uint64_t)t->image_bytes * (uint64_t)(images - 1);
    if (all > UINT32_MAX) return espl_fail(err, ESPL_E_UNSUPPORTED, "network %s: a tensor of %llu bytes", n->q->name, (unsigned long long)all);
    t->bytes = (uint32_t)all;
  }
  return ESPL_OK;
}

espl_status map_net_place_tensors(map_net *n, uint32_t unit, espl_err *err) {
  uint64_t *bytes = espl_calloc(2 * (size_t)n->q->tensors, sizeof *bytes);
  if (!bytes) return espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", n->q->name);
  espl_status s = place_region(n, unit, bytes, bytes + n->q->tensors, err);
  free(bytes);
  return s;
}

static void describe(const map_geom *g, const map_plan *p, char *out, size_t cap) {
  char acts[40] = "input resident";
  const char *outside = p->image_inner ? "columns, then images," : p->column_outer ? "columns" : "pixels";
  if (!p->resident) snprintf(acts, sizeof acts, "%d input slots of %d blocks", (int)p->slots, (int)p->chunk_cb);
  snprintf(out, cap, "rows %d of %d, %s %s%d, %s, %s outside", (int)p->tile_h, (int)g->out.h, g->dw ? "depthwise" : g->fold ? "folded" : g->sparse ? "sparse" : "dense", g->weight.book ? "codebook:" : "int",
           (int)g->weight.bits, acts, outside);
}

/* What a layer is to the timing: everything in it but identities and values. A field that is not named here is compared. */
static espl_qlayer shape_of(const espl_qlayer *l) {
  espl_qlayer k;
  memcpy(&k, l, sizeof k);
  k.name = NULL;
  k.in = k.out = k.node = k.value = 0;
  k.res = l->res >= 0;
  k.w = NULL;
  k.wscale = NULL;
  k.par = NULL;
  k.vscale = 0;
  k.zo = k.lo = k.hi = k.zr = k.pool_zo = k.pool_shift = 0;
  memset(k.pool_m, 0, sizeof k.pool_m);
  return k;
}

static bool same_work(const map_geom *a, const map_geom *b) {
  espl_qlayer la = shape_of(a->l), lb = shape_of(b->l);
  if (a->stacked != b->stacked || a->images != b->images || a->run_rows != b->run_rows) return false;
  bool batch = a->stacked || a->images > 1;
  if (batch && (a->in_image != b->in_image || a->out_image != b->out_image || a->res_image != b->res_image)) return false;
  if (memcmp(&la, &lb, sizeof la) != 0 || memcmp(&a->in, &b->in, sizeof a->in) != 0 || memcmp(&a->out, &b->out, sizeof a->out) != 0) return false;
  if (a->in_at != b->in_at || a->out_at != b->out_at || a->res_at != b->res_at) return false;
  if (a->tiles != b->tiles || a->sparse != b->sparse || a->weight.bits != b->weight.bits || a->weight.book != b->weight.book || a->ky_mask != b->ky_mask || a->kx_mask != b->kx_mask) return false;
  return memcmp(a->first, b->first, ((size_t)a->nco + 1) * sizeof *a->first) == 0 && memcmp(a->zero, b->zero, (size_t)a->nco) == 0 &&
         memcmp(a->pairs, b->pairs, (size_t)a->nco * a->ncb * sizeof *a->pairs) == 0 && memcmp(a->tile, b->tile, (size_t)a->tiles * sizeof *a->tile) == 0;
}

/* Chooses the plan of layer i, or takes that of an equal layer before it. */
static espl_status choose(map_net *n, int32_t i, espl_err *err) {
  for (int32_t k = i - 1; k >= 0; k--)
    if (same_work(&n->geom[k], &n->geom[i])) {
      n->plan[i] = n->plan[k];
      n->cost[i] = n->cost[k];
      return ESPL_OK;
    }
  return map_choose(&n->geom[i], &n->plan[i], &n->cost[i], err);
}

static espl_status plan_layer(map_net *n, int32_t i, espl_err *err) {
  map_geom *g = &n->geom[i];
  ESPL_TRY(map_geom_init_batch(g, n->q, i, n->m, n->p->images, -1, err));
  ESPL_TRY(choose(n, i, err));
  espl_map_layer *l = &n->p->layer[i];
  l->qlayer = i;
  l->macs = n->cost[i].macs;
  l->macs_dense = n->cost[i].macs_dense;
  l->tiles = g->tiles;
  l->tiles_skipped = g->dw ? 0 : (int64_t)g->nco * g->ncb * g->l->kh * g->l->kw - g->tiles;
  l->roof_compute = g->roof_compute;
  l->roof_read = g->roof_read;
  l->roof_write = g->roof_write;
  l->roof_cycles = g->roof_cycles;
  l->tile_h = n->plan[i].tile_h;
  l->tile_w = n->plan[i].tile_w;
  describe(g, &n->plan[i], l->choice, sizeof l->choice);
  return ESPL_OK;
}

int map_net_parts(map_net *n, int32_t i, map_part out[3]) {
  const map_geom *g = &n->geom[i];
  map_place *at = &n->place[i];
  out[0] = (map_part){&at->weights, (uint64_t)g->tiles * (uint64_t)g->tile_bytes};
  out[1] = (map_part){&at->params, (uint64_t)g->nco * (uint64_t)n->m->cols * 16};
  out[2] = (map_part){&at->index, 4ull * (uint64_t)g->tiles};
  return g->sparse ? 3 : 2;
}

static espl_status place_lines(map_net *n, espl_err *err) {
  espl_program *p = n->p;
  map_part part[3];
  ESPL_TRY(map_net_take(n, 256ull * (uint64_t)n->q->layers, MAP_PAGE, &n->records, err));
  for (int32_t i = 0; i < n->q->layers; i++)
    for (int k = 0, parts = map_net_parts(n, i, part); k < parts; k++) ESPL_TRY(map_net_take(n, part[k].bytes, MAP_PAGE, part[k].addr, err));
  ESPL_TRY(map_net_place_tensors(n, MAP_PAGE, err));
  p->prog_addr = (uint32_t)n->end;
  for (int32_t i = 0; i < n->q->layers; i++) ESPL_TRY(map_net_take(n, 16ull * (uint64_t)n->cost[i].commands, MAP_PAGE, &p->layer[i].prog_addr, err));
  ESPL_TRY(map_net_take(n, MAP_PAGE, MAP_PAGE, &n->end_addr, err));
  p->prog_bytes = n->end_addr + MAP_PAGE - p->prog_addr; /* END's line is full: what fetch reads ahead does not depend on what follows a layer */
  return ESPL_OK;
}

static espl_status place_all(map_net *n, espl_err *err) {
  for (int32_t i = 0; i < n->q->layers; i++) ESPL_TRY(plan_layer(n, i, err));
  ESPL_TRY(size_tensors(n, err));
  ESPL_TRY(place_lines(n, err));
  if (n->end > n->m->mem_bytes) ESPL_TRY(map_net_place_tight(n, err));
  if (n->end > n->m->mem_bytes)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "network %s: needs %llu bytes of memory, machine %s has %u", n->q->name, (unsigned long long)n->end, n->m->name,
                     (unsigned)n->m->mem_bytes);
  uint64_t whole = (n->end + MAP_PAGE - 1) / MAP_PAGE * MAP_PAGE;
  n->p->mem_bytes = whole < n->m->mem_bytes ? (uint32_t)whole : n->m->mem_bytes;
  for (int32_t i = 0; i < n->q->layers; i++) {
    const espl_qlayer *l = &n->q->layer[i];
    map_place *at = &n->place[i];
    at->in = n->p->tensor[l->in].addr;
    at->out = n->p->tensor[l->out].addr;
    at->res = l->res >= 0 ? n->p->tensor[l->res].addr : 0;
    at->record = n->p->layer[i].record_addr = n->records + 256u * (uint32_t)i;
  }
  return ESPL_OK;
}

espl_status map_net_plan(const espl_qnet *q, const espl_machine *m, const espl_map_config *cfg, map_net *n, espl_err *err) {
  size_t layers = (size_t)q->layers + 1;
  *n = (map_net){.q = q, .m = m};
  if (cfg) n->cfg = *cfg;
  ESPL_TRY(espl_machine_check(m, err));
  n->p = espl_calloc(1, sizeof *n->p);
  n->geom = espl_calloc(layers, sizeof *n->geom);
  n->plan = espl_calloc(layers, sizeof *n->plan);
  n->cost = espl_calloc(layers, sizeof *n->cost);
  n->place = espl_calloc(layers, sizeof *n->place);
  if (n->p) {
    n->p->machine = *m;
    n->p->images = map_max(1, n->cfg.images);
    n->p->tensors = q->tensors;
    n->p->layers = q->layers;
    n->p->tensor = espl_calloc((size_t)q->tensors + 1, sizeof *n->p->tensor);
    n->p->layer = espl_calloc(layers, sizeof *n->p->layer);
  }
  if (!n->p || !n->geom || !n->plan || !n->cost || !n->place || !n->p->tensor || !n->p->layer)
    return espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", q->name);
  return place_all(n, err);
}

void map_net_clear(map_net *n) {
  for (int32_t i = 0; n->geom && i < n->q->layers; i++) map_geom_clear(&n->geom[i]);
  free(n->geom);
  free(n->plan);
  free(n->cost);
  free(n->place);
  espl_program_free(n->p);
  *n = (map_net){0};
}
