/* A whole network as a program: packed weights, parameters, index entries and commands at the addresses of layout.c. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/map_int.h"
#include "model/requant.h"

static void pack_params(const map_net *n, int32_t i, uint8_t *out) {
  const espl_qlayer *l = n->geom[i].mean ? n->geom[i].l : &n->q->layer[i];
  int32_t entries = n->geom[i].nco * n->m->cols;
  for (int32_t c = 0; c < entries; c++) {
    espl_rq_param p = {.s = 1};
    if (c < l->out_c) p = (espl_rq_param){l->par[c].bias, l->par[c].m, l->par[c].mr, l->par[c].s, l->par[c].l};
    espl_rq_param_pack(&p, out + (size_t)c * ESPL_RQ_PARAM_BYTES);
  }
}

static void pack_layer(const map_net *n, int32_t i) {
  const map_geom *g = &n->geom[i];
  uint8_t *mem = n->p->image;
  const map_place *at = &n->place[i];
  for (int32_t k = 0; k < g->nco; k++)
    for (int32_t t = g->first[k]; t < g->first[k + 1]; t++) {
      map_geom_pack_tile(g, k, t, mem + at->weights + (size_t)t * (size_t)g->tile_bytes);
      if (!g->sparse) continue;
      uint32_t cb = g->tile[t].cb, from = n->plan[i].resident ? 0 : cb / (uint32_t)n->plan[i].chunk_cb * (uint32_t)n->plan[i].chunk_cb;
      uint8_t *e = mem + at->index + 4 * (size_t)t;
      e[0] = g->tile[t].kx;
      e[1] = g->tile[t].ky;
      e[2] = (uint8_t)(cb - from);
      e[3] = (uint8_t)((cb - from) >> 8);
    }
  pack_params(n, i, mem + at->params);
}

/* Commands of layer i, straight into the image. */
static espl_status emit_layer(const map_net *n, int32_t i, espl_err *err) {
  map_list l;
  uint64_t macs, dense;
  map_list_init(&l, n->m->token_max);
  espl_status s = map_emit_layer(&n->geom[i], &n->plan[i], &n->place[i], &l, &macs, &dense, err);
  if (s == ESPL_OK && l.n != n->cost[i].commands)
    s = espl_fail(err, ESPL_E_BUG, "layer %s: %d commands, measured with %d", n->q->layer[i].name, (int)l.n, (int)n->cost[i].commands);
  if (s == ESPL_OK) map_list_encode(&l, n->p->image + n->p->layer[i].prog_addr);
  map_list_clear(&l);
  return s;
}

espl_status map_net_commands(const map_net *n, espl_err *err) {
  espl_program *p = n->p;
  p->image = espl_calloc(p->mem_bytes, 1);
  if (!p->image) return espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", n->q->name);
  for (int32_t i = 0; i < n->q->layers; i++) ESPL_TRY(emit_layer(n, i, err));
  uint32_t w[4];
  espl_cmd_end_encode(w);
  memcpy(p->image + n->end_addr, w, 16);
  return ESPL_OK;
}

static espl_status fill_image(const map_net *n, espl_err *err) {
  ESPL_TRY(map_net_commands(n, err));
  for (int32_t i = 0; i < n->q->layers; i++) {
    if (!n->q->layer[i].w && !n->q->layer[i].onehot) return espl_fail(err, ESPL_E_BUG, "layer %s: no weights to pack", n->q->layer[i].name);
    pack_layer(n, i);
  }
  return ESPL_OK;
}

espl_status espl_map_network(const espl_qnet *q, const espl_machine *m, espl_program **out, espl_err *err) { return espl_map_build(q, m, NULL, out, err); }

espl_status espl_map_build(const espl_qnet *q, const espl_machine *m, const espl_map_config *cfg, espl_program **out, espl_err *err) {
  map_net n;
  *out = NULL;
  espl_status s = map_net_plan(q, m, cfg, &n, err);
  if (s == ESPL_OK) s = fill_image(&n, err);
  if (s == ESPL_OK) {
    *out = n.p;
    n.p = NULL;
  }
  map_net_clear(&n);
  return s;
}

void espl_program_free(espl_program *p) {
  if (!p) return;
  free(p->image);
  free(p->tensor);
  free(p->layer);
  free(p);
}

/* Byte of (channel, row, column) of an image of a tensor. */
static size_t byte_at(const espl_program *p, int32_t tensor, espl_shape s, int32_t image, int32_t c, int32_t y, int32_t x) {
  const espl_map_tensor *t = &p->tensor[tensor];
  int32_t g = espl_g(&p->machine);
  size_t at = (size_t)t->addr + (size_t)image * t->image_bytes;
  if (t->folded) return at + (size_t)y * t->row_bytes + (size_t)(4 * x + c);
  return at + (size_t)(c / g) * t->plane_bytes + (size_t)(y * s.w + x) * (size_t)g + (size_t)(c % g);
}

void espl_program_put_tensor(const espl_program *p, const espl_qnet *q, int32_t tensor, const int8_t *nchw, uint8_t *memory) {
  espl_shape s = q->tensor[tensor].shape;
  int32_t g = espl_g(&p->machine), all = p->tensor[tensor].folded ? 4 : map_div_up(s.c, g) * g;
  for (int32_t n = 0; n < p->images; n++, nchw += espl_shape_elems(s))
    for (int32_t c = 0; c < all; c++)
      for (int32_t y = 0; y < s.h; y++)
        for (int32_t x = 0; x < s.w; x++)
          memory[byte_at(p, tensor, s, n, c, y, x)] = (uint8_t)(c < s.c ? nchw[((int64_t)c * s.h + y) * s.w + x] : q->tensor[tensor].zero);
}

void espl_program_get_tensor(const espl_program *p, const espl_qnet *q, int32_t tensor, const uint8_t *memory, int8_t *nchw) {
  espl_shape s = q->tensor[tensor].shape;
  for (int32_t n = 0; n < p->images; n++, nchw += espl_shape_elems(s))
    for (int32_t c = 0; c < s.c; c++)
      for (int32_t y = 0; y < s.h; y++)
        for (int32_t x = 0; x < s.w; x++) nchw[((int64_t)c * s.h + y) * s.w + x] = (int8_t)memory[byte_at(p, tensor, s, n, c, y, x)];
}
