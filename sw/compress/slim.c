/* Physical removal of channel units, and the same removal as zeros. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "compress/units.h"

/* Kept channels of a value: indices ascending; returns how many. */
static int32_t kept(const espl_units *u, const uint8_t *keep, int32_t node, int32_t *index) {
  int32_t n = 0;
  for (int32_t i = u->first[node]; i < u->first[node + 1]; i++)
    if (keep[u->unit_of[i]]) index[n++] = i - u->first[node];
  return n;
}

/* dst [no][ni][inner] from src [so][si][inner] by index lists; a NULL list takes all in order. */
static void cut(float *dst, const float *src, const int32_t *o, int32_t no, const int32_t *i, int32_t ni, int32_t si, int64_t inner) {
  for (int32_t a = 0; a < no; a++)
    for (int32_t b = 0; b < ni; b++) {
      int64_t from = ((int64_t)o[a] * si + (i ? i[b] : b)) * inner;
      memcpy(dst + ((int64_t)a * ni + b) * inner, src + from, (size_t)inner * sizeof *dst);
    }
}

static espl_status cut_array(float **dst, const float *src, int64_t elems, const int32_t *o, int32_t no, const int32_t *i, int32_t ni, int32_t si,
                             int64_t inner, espl_err *err) {
  if (!src) return ESPL_OK;
  if (!*dst) *dst = espl_calloc((size_t)elems, sizeof **dst);
  if (!*dst) return espl_fail(err, ESPL_E_NOMEM, "slimming: out of memory");
  cut(*dst, src, o, no, i, ni, si, inner);
  return ESPL_OK;
}

/* Cuts one param of node `id` into the node `to` of the new graph. */
static espl_status cut_param(espl_graph *out, int32_t to, const espl_param *p, const int32_t *o, int32_t no, const int32_t *i, int32_t ni, espl_err *err) {
  int32_t dim[ESPL_MAX_DIMS];
  memcpy(dim, p->dim, sizeof dim);
  dim[0] = no;
  int32_t si = 1;
  int64_t inner = 1;
  if (p->kind == ESPL_PARAM_WEIGHT) {
    si = p->dim[1];
    dim[1] = i ? ni : si;
    for (int d = 2; d < p->dims; d++) inner *= p->dim[d];
  }
  ESPL_TRY(espl_graph_add_param(out, to, p->kind, p->name, p->dims, dim, err));
  espl_param *q = out->node[to].param[p->kind];
  int32_t width = i ? ni : si;
  ESPL_TRY(cut_array(&q->value, p->value, q->elems, o, no, i, width, si, inner, err));
  ESPL_TRY(cut_array(&q->mask, p->mask, q->elems, o, no, i, width, si, inner, err));
  ESPL_TRY(cut_array(&q->momentum, p->momentum, q->elems, o, no, i, width, si, inner, err));
  ESPL_TRY(cut_array(&q->second, p->second, q->elems, o, no, i, width, si, inner, err));
  return cut_array(&q->average, p->average, q->elems, o, no, i, width, si, inner, err);
}

/* The slope of a PReLU that all channels share: it stays whatever is removed. */
static bool one_for_all(const espl_node *n, const espl_param *p) { return n->op == ESPL_OP_PRELU && p->elems == 1 && n->shape.c > 1; }

static espl_status slim_node(const espl_graph *g, const espl_units *u, const uint8_t *keep, int32_t id, int32_t *map, int32_t *oi, int32_t *ii,
                             espl_graph *out, espl_err *err) {
  const espl_node *n = &g->node[id];
  int32_t no = kept(u, keep, id, oi);
  if (no == 0) return espl_fail(err, ESPL_E_INPUT, "%s: node %s would keep no channel", g->name, n->name);
  int32_t ni = kept(u, keep, n->input[0], ii);
  espl_node proto = *n;
  memset(proto.param, 0, sizeof proto.param);
  for (int k = 0; k < n->inputs; k++) proto.input[k] = map[n->input[k]];
  bool depthwise = n->op == ESPL_OP_CONV && n->conv.groups > 1;
  if (depthwise && n->param[ESPL_PARAM_WEIGHT]->dim[1] == 1) proto.conv.groups = no;
  proto.shape.c = no;
  if (n->op == ESPL_OP_PADCHANNELS) {
    proto.pad_c0 = 0;
    while (proto.pad_c0 < no && oi[proto.pad_c0] < n->pad_c0) proto.pad_c0++;
    proto.pad_c1 = no - ni - proto.pad_c0;
  }
  ESPL_TRY(espl_graph_add(out, &proto, &map[id], err));
  for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
    if (!n->param[k]) continue;
    bool both = k == ESPL_PARAM_WEIGHT && !depthwise;
    if (one_for_all(n, n->param[k])) {
      ESPL_TRY(cut_param(out, map[id], n->param[k], &(int32_t){0}, 1, NULL, ni, err));
      continue;
    }
    ESPL_TRY(cut_param(out, map[id], n->param[k], oi, no, both ? ii : NULL, ni, err));
  }
  return ESPL_OK;
}

espl_status espl_slim(const espl_graph *g, const espl_units *u, const uint8_t *keep, espl_graph **out, espl_err *err) {
  *out = NULL;
  for (int32_t k = 0; k < u->units; k++)
    if (u->frozen[k] && !keep[k]) return espl_fail(err, ESPL_E_BUG, "%s: frozen channel unit %d was chosen for removal", g->name, (int)k);
  int32_t widest = 1;
  for (int32_t n = 0; n < g->nodes; n++)
    if (g->node[n].shape.c > widest) widest = g->node[n].shape.c;
  espl_graph *s = espl_graph_new(g->name, g->node[0].shape);
  int32_t *map = espl_calloc((size_t)g->nodes, sizeof *map), *oi = espl_calloc((size_t)widest, sizeof *oi), *ii = espl_calloc((size_t)widest, sizeof *ii);
  espl_status st = s && map && oi && ii ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "slimming: out of memory");
  for (int32_t id = 1; st == ESPL_OK && id < g->nodes; id++) st = slim_node(g, u, keep, id, map, oi, ii, s, err);
  if (st == ESPL_OK) {
    s->output = map[g->output];
    s->input_rank = g->input_rank;
    s->output_rank = g->output_rank;
    char **text[] = {&s->input_name, &s->output_name, &s->preprocess, &s->history};
    char *const from[] = {g->input_name, g->output_name, g->preprocess, g->history};
    for (int i = 0; i < 4; i++)
      if (from[i]) {
        free(*text[i]);
        *text[i] = espl_strdup(from[i]);
      }
    st = espl_graph_check(s, err);
  }
  free(map);
  free(oi);
  free(ii);
  if (st != ESPL_OK) {
    espl_graph_free(s);
    return st;
  }
  *out = s;
  return ESPL_OK;
}

/* Zeroes what makes channel c of node n non-zero. */
static void zero_channel(espl_node *n, int32_t c) {
  static const espl_param_kind kinds[] = {ESPL_PARAM_WEIGHT, ESPL_PARAM_BIAS, ESPL_PARAM_GAMMA, ESPL_PARAM_BETA};
  for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
    espl_param *p = n->param[kinds[k]];
    if (!p || one_for_all(n, p)) continue;
    int64_t row = p->elems / p->dim[0];
    memset(p->value + c * row, 0, (size_t)row * sizeof *p->value);
  }
}

espl_status espl_mask_units(const espl_graph *g, const espl_units *u, const uint8_t *keep, espl_graph **out, espl_err *err) {
  *out = espl_graph_clone(g);
  if (!*out) return espl_fail(err, ESPL_E_NOMEM, "masking: out of memory");
  for (int32_t n = 1; n < g->nodes; n++)
    for (int32_t c = 0; c < g->node[n].shape.c; c++)
      if (!keep[espl_unit_of(u, n, c)]) zero_channel(&(*out)->node[n], c);
  return ESPL_OK;
}
