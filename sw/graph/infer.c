/* Shape rules of the operators, the laws of a graph, and what it costs in multiply-accumulates.
 * Windows follow the floor rule: out = (in + pads - ((k-1)*dilation + 1)) / stride + 1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "graph/graph.h"
#include "graph/graph_int.h"

static int inputs_wanted(espl_op op) {
  switch (op) {
    case ESPL_OP_INPUT: return 0;
    case ESPL_OP_ADD:
    case ESPL_OP_SPREADADD:
    case ESPL_OP_SUB:
    case ESPL_OP_MUL:
    case ESPL_OP_DIV: return 2;
    case ESPL_OP_CONCAT: return -1; /* one or more */
    default: return 1;
  }
}

static espl_status bad_attr(const espl_node *n, const char *what, long found, const char *expected, espl_err *err) {
  return espl_fail(err, ESPL_E_INPUT, "node %s (%s): %s is %ld, expected %s", n->name, espl_op_name(n->op), what, found, expected);
}

static espl_status window_attrs(const espl_node *n, bool pool, espl_err *err) {
  const espl_conv_attr *a = &n->conv;
  const int32_t pos[6] = {a->kh, a->kw, a->sh, a->sw, a->dh, a->dw};
  const char *const pos_name[6] = {"kernel height", "kernel width", "row stride", "column stride", "row dilation", "column dilation"};
  const int32_t pad[4] = {a->pt, a->pl, a->pb, a->pr};
  const char *const pad_name[4] = {"top padding", "left padding", "bottom padding", "right padding"};
  for (int i = 0; i < 6; i++)
    if (pos[i] < 1 || pos[i] > 65535) return bad_attr(n, pos_name[i], pos[i], "1 to 65535", err);
  for (int i = 0; i < 4; i++) {
    if (pad[i] < 0 || pad[i] > 65535) return bad_attr(n, pad_name[i], pad[i], "0 to 65535", err);
    int64_t reach = (i & 1) ? (int64_t)(a->kw - 1) * a->dw + 1 : (int64_t)(a->kh - 1) * a->dh + 1;
    if (pool && pad[i] >= reach) return bad_attr(n, pad_name[i], pad[i], "less than the window (no window may lie in padding only)", err);
  }
  return ESPL_OK;
}

static espl_status window_extent(const espl_node *n, const char *axis, int32_t in, int32_t k, int32_t s, int32_t d,
                                 int32_t before, int32_t after, int32_t *out, espl_err *err) {
  int64_t reach = (int64_t)(k - 1) * d + 1, room = (int64_t)in + before + after;
  if (room < reach)
    return espl_fail(err, ESPL_E_INPUT, "node %s (%s): the window spans %lld %s but input and padding have %lld", n->name,
                     espl_op_name(n->op), (long long)reach, axis, (long long)room);
  *out = (int32_t)((room - reach) / s + 1);
  return ESPL_OK;
}

static espl_status window_shape(const espl_node *n, espl_shape in, espl_shape *out, espl_err *err) {
  const espl_conv_attr *a = &n->conv;
  ESPL_TRY(window_attrs(n, n->op == ESPL_OP_MAXPOOL || n->op == ESPL_OP_AVGPOOL, err));
  ESPL_TRY(window_extent(n, "rows", in.h, a->kh, a->sh, a->dh, a->pt, a->pb, &out->h, err));
  return window_extent(n, "columns", in.w, a->kw, a->sw, a->dw, a->pl, a->pr, &out->w, err);
}

static espl_status conv_shape(const espl_node *n, espl_shape in, espl_shape *out, espl_err *err) {
  ESPL_TRY(window_shape(n, in, out, err));
  out->c = n->param[ESPL_PARAM_WEIGHT] ? n->param[ESPL_PARAM_WEIGHT]->dim[0] : n->shape.c;
  if (out->c < 1) return bad_attr(n, "output channels", out->c, "at least 1 (set shape.c of a new node)", err);
  int32_t groups = n->conv.groups;
  if (groups < 1 || in.c % groups || out->c % groups)
    return espl_fail(err, ESPL_E_INPUT, "node %s (CONV): %d groups do not divide %d input and %d output channels", n->name,
                     groups, in.c, out->c);
  return ESPL_OK;
}

static espl_status gemm_shape(const espl_node *n, espl_shape in, espl_shape *out, espl_err *err) {
  if (in.h != 1 || in.w != 1)
    return espl_fail(err, ESPL_E_INPUT, "node %s (GEMM): input is %dx%dx%d, expected H = W = 1 (flatten it first)", n->name,
                     in.c, in.h, in.w);
  int32_t c = n->param[ESPL_PARAM_WEIGHT] ? n->param[ESPL_PARAM_WEIGHT]->dim[0] : n->shape.c;
  if (c < 1) return bad_attr(n, "outputs", c, "at least 1 (set shape.c of a new node)", err);
  *out = (espl_shape){c, 1, 1};
  return ESPL_OK;
}

static espl_status add_shape(const espl_graph *g, const espl_node *n, espl_err *err) {
  espl_shape a = g->node[n->input[0]].shape, b = g->node[n->input[1]].shape;
  if (a.c != b.c || a.h != b.h || a.w != b.w)
    return espl_fail(err, ESPL_E_INPUT, "node %s (ADD): inputs are %dx%dx%d and %dx%dx%d, expected one shape", n->name, a.c, a.h,
                     a.w, b.c, b.h, b.w);
  return ESPL_OK;
}

static bool spreads(int32_t *out, int32_t other) {
  if (*out != other && *out != 1 && other != 1) return false;
  if (*out == 1) *out = other;
  return true;
}

/* SPREADADD, SUB, MUL, DIV. */
static espl_status spread_shape(const espl_graph *g, const espl_node *n, espl_shape *out, espl_err *err) {
  espl_shape a = *out, b = g->node[n->input[1]].shape;
  if (spreads(&out->c, b.c) && spreads(&out->h, b.h) && spreads(&out->w, b.w)) return ESPL_OK;
  return espl_fail(err, ESPL_E_INPUT, "node %s (%s): inputs are %dx%dx%d and %dx%dx%d, expected equal extents or 1", n->name, espl_op_name(n->op), a.c,
                   a.h, a.w, b.c, b.h, b.w);
}

static espl_status transposed_extent(const espl_node *n, const char *axis, int32_t in, int32_t k, int32_t s, int32_t d, int32_t before, int32_t after,
                                     int32_t extra, int32_t *out, espl_err *err) {
  int64_t v = (int64_t)(in - 1) * s + (int64_t)(k - 1) * d + 1 + extra - before - after;
  if (extra < 0 || extra > 65535) return bad_attr(n, "output padding", extra, "0 to 65535", err);
  if (v < 1 || v > INT32_MAX) return espl_fail(err, ESPL_E_INPUT, "node %s (CONVTRANSPOSE): gives %lld %s", n->name, (long long)v, axis);
  *out = (int32_t)v;
  return ESPL_OK;
}

static espl_status convtranspose_shape(const espl_node *n, espl_shape in, espl_shape *out, espl_err *err) {
  const espl_conv_attr *a = &n->conv;
  const espl_param *w = n->param[ESPL_PARAM_WEIGHT];
  ESPL_TRY(window_attrs(n, false, err));
  ESPL_TRY(transposed_extent(n, "rows", in.h, a->kh, a->sh, a->dh, a->pt, a->pb, a->extra_h, &out->h, err));
  ESPL_TRY(transposed_extent(n, "columns", in.w, a->kw, a->sw, a->dw, a->pl, a->pr, a->extra_w, &out->w, err));
  if (a->groups < 1 || in.c % a->groups) return bad_attr(n, "groups", a->groups, "a divisor of the input channels", err);
  int64_t c = w ? (int64_t)w->dim[1] * a->groups : n->shape.c;
  if (c < 1 || c > INT32_MAX || c % a->groups) return bad_attr(n, "output channels", (long)c, "a multiple of the groups (set shape.c of a new node)", err);
  out->c = (int32_t)c;
  return ESPL_OK;
}

static espl_status resize_shape(const espl_node *n, espl_shape *out, espl_err *err) {
  double h = (double)out->h * (double)n->resize.scale_h, w = (double)out->w * (double)n->resize.scale_w;
  if (!(h >= 1 && w >= 1 && h < INT32_MAX && w < INT32_MAX)) return espl_fail(err, ESPL_E_INPUT, "node %s (RESIZE): gives %g rows and %g columns", n->name, h, w);
  out->h = (int32_t)h;
  out->w = (int32_t)w;
  return ESPL_OK;
}

static espl_status concat_shape(const espl_graph *g, const espl_node *n, espl_shape *out, espl_err *err) {
  int64_t c = 0;
  for (int k = 0; k < n->inputs; k++) {
    espl_shape s = g->node[n->input[k]].shape;
    if (s.h != out->h || s.w != out->w)
      return espl_fail(err, ESPL_E_INPUT, "node %s (CONCAT): input %d is %dx%d, input 0 is %dx%d", n->name, k, s.h, s.w, out->h, out->w);
    c += s.c;
  }
  if (c > INT32_MAX) return bad_attr(n, "channels", (long)c, "less than 2^31", err);
  out->c = (int32_t)c;
  return ESPL_OK;
}

static espl_status subsample_shape(const espl_node *n, espl_shape *out, espl_err *err) {
  if (n->conv.sh < 1) return bad_attr(n, "row stride", n->conv.sh, "at least 1", err);
  if (n->conv.sw < 1) return bad_attr(n, "column stride", n->conv.sw, "at least 1", err);
  out->h = (out->h - 1) / n->conv.sh + 1;
  out->w = (out->w - 1) / n->conv.sw + 1;
  return ESPL_OK;
}

static espl_status padchannels_shape(const espl_node *n, espl_shape *out, espl_err *err) {
  if (n->pad_c0 < 0) return bad_attr(n, "channels before", n->pad_c0, "at least 0", err);
  if (n->pad_c1 < 0) return bad_attr(n, "channels after", n->pad_c1, "at least 0", err);
  int64_t c = (int64_t)out->c + n->pad_c0 + n->pad_c1;
  if (c > INT32_MAX) return bad_attr(n, "channels", (long)c, "less than 2^31", err);
  out->c = (int32_t)c;
  return ESPL_OK;
}

/* Shape of the value of `n`; `out` starts as the shape of the first input. */
static espl_status op_shape(const espl_graph *g, const espl_node *n, espl_shape *out, espl_err *err) {
  espl_shape in = *out;
  switch (n->op) {
    case ESPL_OP_INPUT: *out = n->shape; return ESPL_OK;
    case ESPL_OP_CONV: return conv_shape(n, in, out, err);
    case ESPL_OP_MAXPOOL:
    case ESPL_OP_AVGPOOL: return window_shape(n, in, out, err);
    case ESPL_OP_GLOBALAVGPOOL: *out = (espl_shape){in.c, 1, 1}; return ESPL_OK;
    case ESPL_OP_FLATTEN: *out = (espl_shape){(int32_t)espl_shape_elems(in), 1, 1}; return ESPL_OK;
    case ESPL_OP_GEMM: return gemm_shape(n, in, out, err);
    case ESPL_OP_ADD: return add_shape(g, n, err);
    case ESPL_OP_CONCAT: return concat_shape(g, n, out, err);
    case ESPL_OP_SPREADADD:
    case ESPL_OP_SUB:
    case ESPL_OP_MUL:
    case ESPL_OP_DIV: return spread_shape(g, n, out, err);
    case ESPL_OP_CONVTRANSPOSE: return convtranspose_shape(n, in, out, err);
    case ESPL_OP_RESIZE: return resize_shape(n, out, err);
    case ESPL_OP_SUBSAMPLE: return subsample_shape(n, out, err);
    case ESPL_OP_PADCHANNELS: return padchannels_shape(n, out, err);
    case ESPL_OP_GROUPNORM:
      if (n->conv.groups < 1 || in.c % n->conv.groups) return bad_attr(n, "groups", n->conv.groups, "a divisor of the channels", err);
      return ESPL_OK;
    case ESPL_OP_CLIP:
      if (!(n->lo <= n->hi)) return espl_fail(err, ESPL_E_INPUT, "node %s (CLIP): range [%g, %g] is empty", n->name, (double)n->lo, (double)n->hi);
      return ESPL_OK;
    default: return ESPL_OK;
  }
}

static espl_status shape_law(const espl_node *n, espl_shape s, espl_err *err) {
  if (s.c < 1 || s.h < 1 || s.w < 1 || (int64_t)s.h * s.w > INT32_MAX || (int64_t)s.h * s.w > INT32_MAX / s.c)
    return espl_fail(err, ESPL_E_INPUT, "node %s (%s): shape %dx%dx%d, expected extents of at least 1 and fewer than 2^31 elements",
                     n->name, espl_op_name(n->op), s.c, s.h, s.w);
  return ESPL_OK;
}

/* The shape node `id` must have, given those of its inputs. */
static espl_status shape_of(const espl_graph *g, int32_t id, espl_shape *out, espl_err *err) {
  const espl_node *n = &g->node[id];
  if ((unsigned)n->op >= ESPL_OP_COUNT) return espl_fail(err, ESPL_E_BUG, "node %s: operator %d does not exist", n->name, (int)n->op);
  int want = inputs_wanted(n->op);
  if ((n->op == ESPL_OP_INPUT) != (id == 0)) return espl_fail(err, ESPL_E_BUG, "node %s: INPUT is node 0 and nothing else", n->name);
  if (want >= 0 ? n->inputs != want : n->inputs < 1 || n->inputs > ESPL_MAX_INPUTS)
    return espl_fail(err, ESPL_E_INPUT, "node %s (%s): has %d inputs, expected %d%s", n->name, espl_op_name(n->op), n->inputs,
                     want < 0 ? 1 : want, want < 0 ? " to 16" : "");
  for (int k = 0; k < n->inputs; k++)
    if (n->input[k] < 0 || n->input[k] >= id)
      return espl_fail(err, ESPL_E_BUG, "node %s: input %d is value %d, expected an earlier one (below %d)", n->name, k, n->input[k], id);
  espl_shape s = n->inputs ? g->node[n->input[0]].shape : n->shape;
  ESPL_TRY(op_shape(g, n, &s, err));
  ESPL_TRY(shape_law(n, s, err));
  *out = s;
  return ESPL_OK;
}

espl_status espli_node_infer(espl_graph *g, int32_t id, espl_err *err) {
  espl_shape s;
  ESPL_TRY(shape_of(g, id, &s, err));
  g->node[id].shape = s;
  return ESPL_OK;
}

/* Extents that a param of `kind` must have on node n with input channels in_c; 0 dims: it must not exist. */
static int param_extents(const espl_node *n, int32_t in_c, espl_param_kind kind, int32_t dim[ESPL_MAX_DIMS]) {
  bool bn = n->op == ESPL_OP_BATCHNORM, conv = n->op == ESPL_OP_CONV, gemm = n->op == ESPL_OP_GEMM;
  dim[0] = n->shape.c;
  if (kind == ESPL_PARAM_WEIGHT && conv) {
    dim[1] = in_c / n->conv.groups;
    dim[2] = n->conv.kh;
    dim[3] = n->conv.kw;
    return 4;
  }
  if (kind == ESPL_PARAM_WEIGHT && gemm) {
    dim[1] = in_c;
    return 2;
  }
  if (kind == ESPL_PARAM_WEIGHT && n->op == ESPL_OP_CONVTRANSPOSE) {
    dim[0] = in_c;
    dim[1] = n->shape.c / n->conv.groups;
    dim[2] = n->conv.kh;
    dim[3] = n->conv.kw;
    return 4;
  }
  if (n->op == ESPL_OP_GRAPHNORM) return kind == ESPL_PARAM_BIAS || kind == ESPL_PARAM_GAMMA || kind == ESPL_PARAM_BETA;
  if (kind == ESPL_PARAM_BIAS) return conv || gemm || n->op == ESPL_OP_CONVTRANSPOSE;
  if (n->op == ESPL_OP_PRELU) return kind == ESPL_PARAM_GAMMA;
  if (n->op == ESPL_OP_INSTANCENORM || n->op == ESPL_OP_GROUPNORM) return kind == ESPL_PARAM_GAMMA || kind == ESPL_PARAM_BETA;
  return bn && kind != ESPL_PARAM_WEIGHT;
}

static void dims_text(char *buf, size_t bytes, int dims, const int32_t *dim) {
  size_t at = 0;
  buf[0] = 0;
  for (int i = 0; i < dims && at < bytes; i++) at += (size_t)snprintf(buf + at, bytes - at, "%s%d", i ? "," : "", dim[i]);
}

espl_status espli_param_check(const espl_graph *g, int32_t id, const espl_param *p, espl_err *err) {
  const espl_node *n = &g->node[id];
  int32_t dim[ESPL_MAX_DIMS] = {0};
  int dims = param_extents(n, n->inputs ? g->node[n->input[0]].shape.c : 0, p->kind, dim);
  if (n->op == ESPL_OP_PRELU && p->dims == 1 && p->dim[0] == 1) dim[0] = 1; /* one slope for all channels */
  if (!dims)
    return espl_fail(err, ESPL_E_INPUT, "node %s (%s): cannot own a %s", n->name, espl_op_name(n->op), espli_param_kind_name(p->kind));
  if (p->dims == dims && memcmp(p->dim, dim, (size_t)dims * sizeof *dim) == 0) return ESPL_OK;
  char found[64], want[64];
  dims_text(found, sizeof found, p->dims, p->dim);
  dims_text(want, sizeof want, dims, dim);
  return espl_fail(err, ESPL_E_INPUT, "node %s (%s): %s %s is [%s], expected [%s]", n->name, espl_op_name(n->op),
                   espli_param_kind_name(p->kind), p->name, found, want);
}

espl_status espl_graph_infer(espl_graph *g, espl_err *err) {
  for (int32_t i = 0; i < g->nodes; i++) {
    ESPL_TRY(espli_node_infer(g, i, err));
    for (int k = 0; k < ESPL_PARAM_COUNT; k++)
      if (g->node[i].param[k]) ESPL_TRY(espli_param_check(g, i, g->node[i].param[k], err));
  }
  return ESPL_OK;
}

static espl_status check_params(const espl_graph *g, int32_t i, espl_err *err) {
  const espl_node *n = &g->node[i];
  for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
    const espl_param *p = n->param[k];
    int32_t dim[ESPL_MAX_DIMS];
    bool wanted = k != ESPL_PARAM_BIAS && n->inputs && param_extents(n, g->node[n->input[0]].shape.c, (espl_param_kind)k, dim) > 0;
    if (wanted && !p) return espl_fail(err, ESPL_E_INPUT, "node %s (%s): has no %s", n->name, espl_op_name(n->op), espli_param_kind_name((espl_param_kind)k));
    if (!p) continue;
    if (p->kind != (espl_param_kind)k || !p->value || !p->name) return espl_fail(err, ESPL_E_BUG, "node %s: a param is not whole", n->name);
    ESPL_TRY(espli_param_check(g, i, p, err));
    int64_t elems = 1;
    for (int d = 0; d < p->dims; d++) elems *= p->dim[d];
    if (elems != p->elems) return espl_fail(err, ESPL_E_BUG, "param %s: counts %lld elements, extents give %lld", p->name, (long long)p->elems, (long long)elems);
  }
  return ESPL_OK;
}

static int by_address(const void *a, const void *b) {
  const espl_param *x = *(const espl_param *const *)a, *y = *(const espl_param *const *)b;
  return (x > y) - (x < y);
}

/* Sorts the addresses of all params: a param with two owners shows up twice. */
static espl_status check_owners(const espl_graph *g, espl_err *err) {
  size_t n = 0;
  const espl_param **all = espl_calloc((size_t)g->nodes * ESPL_PARAM_COUNT, sizeof *all);
  if (!all) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", g->name);
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++)
      if (g->node[i].param[k]) all[n++] = g->node[i].param[k];
  qsort(all, n, sizeof *all, by_address);
  espl_status s = ESPL_OK;
  for (size_t k = 1; s == ESPL_OK && k < n; k++)
    if (all[k] == all[k - 1]) s = espl_fail(err, ESPL_E_BUG, "param %s: belongs to two nodes", all[k]->name);
  free(all);
  return s;
}

espl_status espl_graph_check(const espl_graph *g, espl_err *err) {
  if (g->nodes < 1 || g->output < 0 || g->output >= g->nodes)
    return espl_fail(err, ESPL_E_BUG, "%s: output is value %d of %d", g->name, g->output, g->nodes);
  for (int32_t i = 0; i < g->nodes; i++) {
    const espl_node *n = &g->node[i];
    if (!n->name) return espl_fail(err, ESPL_E_BUG, "%s: node %d has no name", g->name, i);
    espl_shape s, have = n->shape;
    ESPL_TRY(shape_of(g, i, &s, err));
    if (have.c != s.c || have.h != s.h || have.w != s.w)
      return espl_fail(err, ESPL_E_BUG, "node %s: shape is %dx%dx%d, its inputs give %dx%dx%d", n->name, have.c, have.h, have.w,
                       s.c, s.h, s.w);
    if (espl_graph_find(g, n->name) != i) return espl_fail(err, ESPL_E_INPUT, "%s: two nodes are called %s", g->name, n->name);
    if (n->op == ESPL_OP_SOFTMAX && (g->output != i || espl_graph_readers(g, i) != 1))
      return espl_fail(err, ESPL_E_UNSUPPORTED, "node %s (SOFTMAX): only supported as the last operator", n->name);
    ESPL_TRY(check_params(g, i, err));
  }
  return check_owners(g, err);
}

int64_t espl_node_macs(const espl_graph *g, int32_t id) {
  const espl_node *n = &g->node[id];
  if (n->op == ESPL_OP_CONVTRANSPOSE)
    return espl_shape_elems(g->node[n->input[0]].shape) * (n->shape.c / n->conv.groups) * n->conv.kh * n->conv.kw;
  if (n->op != ESPL_OP_CONV && n->op != ESPL_OP_GEMM) return 0;
  int64_t taps = g->node[n->input[0]].shape.c;
  if (n->op == ESPL_OP_CONV) taps = taps / n->conv.groups * n->conv.kh * n->conv.kw;
  return taps * espl_shape_elems(n->shape);
}

int64_t espl_graph_macs(const espl_graph *g) {
  int64_t sum = 0;
  for (int32_t i = 0; i < g->nodes; i++) sum += espl_node_macs(g, i);
  return sum;
}

int64_t espl_graph_params(const espl_graph *g) {
  int64_t sum = 0;
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++)
      if (g->node[i].param[k]) sum += g->node[i].param[k]->elems;
  return sum;
}
