/* Lowering: a float graph becomes layers of the machine. Nodes are taken in order; a convolution absorbs what follows it as long as each
 * value has one reader: BatchNorm, clamps, an addition whose other operand exists already, clamps, a pooling. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quant/quant_int.h"

static espl_status refuse(const qlower *lw, int32_t node, const char *why, espl_err *err) {
  const espl_node *n = &lw->g->node[node];
  return espl_fail(err, ESPL_E_UNSUPPORTED, "node %s (%s): %s", n->name, espl_op_name(n->op), why);
}

espl_status q_new_tensor(qlower *lw, espl_shape s, int32_t node, int32_t *id, espl_err *err) {
  espl_qnet *q = lw->q;
  if (q->tensors == lw->cap_tensors) {
    lw->cap_tensors = 2 * lw->cap_tensors + 16;
    espl_qtensor *p = realloc(q->tensor, (size_t)lw->cap_tensors * sizeof *p);
    if (!p) return espl_fail(err, ESPL_E_NOMEM, "quantize: out of memory");
    q->tensor = p;
  }
  *id = q->tensors;
  q->tensor[q->tensors++] = (espl_qtensor){.shape = s, .node = node, .scale = 1};
  return ESPL_OK;
}

espl_status q_new_layer(qlower *lw, qsrc_kind kind, int32_t in, int32_t node, espl_qlayer **out, qsrc **src, espl_err *err) {
  espl_qnet *q = lw->q;
  if (q->layers == lw->cap_layers) {
    lw->cap_layers = 2 * lw->cap_layers + 16;
    espl_qlayer *a = realloc(q->layer, (size_t)lw->cap_layers * sizeof *a);
    if (a) q->layer = a;
    qsrc *b = realloc(lw->src, (size_t)lw->cap_layers * sizeof *b);
    if (b) lw->src = b;
    if (!a || !b) return espl_fail(err, ESPL_E_NOMEM, "quantize: out of memory");
  }
  espl_shape s = q->tensor[in].shape;
  espl_qlayer *l = &q->layer[q->layers];
  *l = (espl_qlayer){.in = in, .out = -1, .res = -1, .onehot = kind == QSRC_ONEHOT, .in_c = s.c, .out_c = s.c, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1,
                     .dw = 1, .groups = 1, .conv_h = s.h, .conv_w = s.w, .win_h = 1, .win_w = 1, .psy = 1, .psx = 1, .pool_shift = 1, .node = node};
  l->name = espl_strdup(lw->g->node[node].name);
  if (!l->name) return espl_fail(err, ESPL_E_NOMEM, "quantize: out of memory");
  lw->src[q->layers] = (qsrc){.kind = kind, .conv = -1, .bn = -1, .value = node, .out = node, .lo = -INFINITY, .hi = INFINITY};
  *out = l;
  *src = &lw->src[q->layers++];
  return ESPL_OK;
}

/* The file quantizes this value: only a pooling may follow it inside a layer. */
static bool fixed(const qlower *lw, int32_t id) { return espl_qgiven_has(lw->given, id); }

/* Moves *id to its only reader when that has operator `op`. */
static bool follow(const qlower *lw, int32_t *id, espl_op op) {
  int32_t r = lw->reader[*id];
  if (r < 0 || lw->g->node[r].op != op || fixed(lw, *id)) return false;
  *id = r;
  return true;
}

static bool absorb_clamp(const qlower *lw, int32_t *id, qsrc *s) {
  bool any = false;
  for (;;) {
    if (follow(lw, id, ESPL_OP_RELU)) {
      s->lo = fmaxf(s->lo, 0.0f);
      s->hi = fmaxf(s->hi, s->lo);
    } else if (follow(lw, id, ESPL_OP_CLIP)) {
      const espl_node *n = &lw->g->node[*id];
      s->lo = fminf(fmaxf(s->lo, n->lo), n->hi);
      s->hi = fmaxf(fminf(s->hi, n->hi), n->lo);
    } else if (!follow(lw, id, ESPL_OP_IDENTITY)) {
      return any;
    }
    any = true;
  }
}

/* More pixels than every machine's accumulator bank is sure to hold: the mean over them is a layer of its own, which the mapper sums in the array. */
#define MEAN_ALONE 256

static bool large_mean(const qlower *lw, int32_t id) {
  const espl_node *n = &lw->g->node[id];
  espl_shape s = lw->g->node[n->input[0]].shape;
  return (n->op == ESPL_OP_GLOBALAVGPOOL || (n->op == ESPL_OP_AVGPOOL && n->conv.kh == s.h && n->conv.kw == s.w)) && s.h * s.w > MEAN_ALONE;
}

/* Makes node `id` (a pooling over the layer's requantized value) part of the layer. */
static espl_status set_pool(qlower *lw, int32_t id, espl_qlayer *l, espl_err *err) {
  const espl_node *n = &lw->g->node[id];
  const espl_conv_attr *a = &n->conv;
  l->pool = n->op == ESPL_OP_MAXPOOL ? ESPL_QPOOL_MAX : ESPL_QPOOL_AVG;
  if (n->op == ESPL_OP_GLOBALAVGPOOL) {
    l->win_h = l->conv_h;
    l->win_w = l->conv_w;
    l->pool_fixed = true;
  } else {
    if (a->dh > 1 || a->dw > 1) return refuse(lw, id, "a dilated pooling window", err);
    l->win_h = a->kh;
    l->win_w = a->kw;
    l->psy = a->sh;
    l->psx = a->sw;
    l->ppt = a->pt;
    l->ppl = a->pl;
    l->pool_fixed = a->count_include_pad || (a->pt | a->pl | a->pb | a->pr) == 0;
    if (l->pool == ESPL_QPOOL_AVG && !l->pool_fixed && a->kh * a->kw > 16) return refuse(lw, id, "an average over more than 16 taps that leaves padding out", err);
  }
  if (((l->win_h > 255 || l->win_w > 255) && !large_mean(lw, id)) || l->psy > 15 || l->psx > 15) return refuse(lw, id, "pooling window above 255 or stride above 15", err);
  return ESPL_OK;
}

static bool is_pool(espl_op op) { return op == ESPL_OP_MAXPOOL || op == ESPL_OP_AVGPOOL || op == ESPL_OP_GLOBALAVGPOOL; }

/* Clamps, then a pooling, that follow value `id` of the layer; then the layer's output tensor. */
static espl_status finish(qlower *lw, espl_qlayer *l, qsrc *s, int32_t id, espl_err *err) {
  absorb_clamp(lw, &id, s);
  s->value = id;
  int32_t r = lw->reader[id];
  if (l->res < 0 && r >= 0 && is_pool(lw->g->node[r].op) && !large_mean(lw, r) && l->pool == ESPL_QPOOL_NONE) {
    ESPL_TRY(set_pool(lw, r, l, err));
    id = r;
  }
  if (l->pool == ESPL_QPOOL_MAX && !fixed(lw, s->value) && absorb_clamp(lw, &id, s)) s->value = id; /* a clamp commutes with the maximum */
  s->out = id;
  espl_status st = q_new_tensor(lw, lw->g->node[id].shape, id, &l->out, err);
  if (st == ESPL_OK) lw->tensor_of[id] = l->out;
  return st;
}

/* Absorbs the addition that reads *id when its other operand exists already; a later operand absorbs it otherwise. */
static void add_residual(qlower *lw, int32_t *id, espl_qlayer *l) {
  int32_t r = lw->reader[*id];
  if (r < 0 || lw->g->node[r].op != ESPL_OP_ADD || lw->closed[r] || fixed(lw, *id)) return;
  const espl_node *n = &lw->g->node[r];
  int32_t other = n->input[0] == *id ? n->input[1] : n->input[0];
  if (lw->tensor_of[other] < 0) return;
  l->res = lw->tensor_of[other];
  *id = r;
}

static espl_status lower_value(qlower *lw, int32_t id, espl_err *err);

/* MACs of the convolution whose (normalised) value `id` is and which could absorb the reader of `id`; -1: none. */
static int64_t absorbing_macs(const qlower *lw, int32_t id) {
  const espl_node *n = &lw->g->node[id];
  if (fixed(lw, id)) return -1;
  if (n->op == ESPL_OP_BATCHNORM && lw->reader[n->input[0]] == id) id = n->input[0];
  espl_op op = lw->g->node[id].op;
  return op == ESPL_OP_CONV || op == ESPL_OP_GEMM ? espl_node_macs(lw->g, id) : -1;
}

/* An addition behind convolution `id` whose other operand is not there yet: that operand is lowered first, unless it is the value of a
 * larger convolution, which then absorbs the addition itself. It cannot depend on `id`, whose only reader is the addition. */
static espl_status prepare_residual(qlower *lw, int32_t id, espl_err *err) {
  int32_t at = id;
  follow(lw, &at, ESPL_OP_BATCHNORM);
  int32_t r = lw->reader[at];
  if (r < 0 || lw->g->node[r].op != ESPL_OP_ADD || lw->closed[r] || fixed(lw, at)) return ESPL_OK;
  const espl_node *n = &lw->g->node[r];
  int32_t other = n->input[0] == at ? n->input[1] : n->input[0];
  if (lw->tensor_of[other] >= 0 || absorbing_macs(lw, other) >= espl_node_macs(lw->g, id)) return ESPL_OK;
  lw->closed[r] = 1;
  ESPL_TRY(lower_value(lw, other, err));
  lw->closed[r] = 0;
  return ESPL_OK;
}

static espl_status lower_conv(qlower *lw, int32_t id, espl_err *err) {
  const espl_node *n = &lw->g->node[id];
  espl_qlayer *l;
  qsrc *s;
  ESPL_TRY(prepare_residual(lw, id, err));
  ESPL_TRY(q_new_layer(lw, QSRC_CONV, lw->tensor_of[n->input[0]], id, &l, &s, err));
  espl_shape in = lw->q->tensor[l->in].shape;
  s->conv = id;
  l->out_c = n->shape.c;
  l->conv_h = n->shape.h;
  l->conv_w = n->shape.w;
  if (n->op == ESPL_OP_CONV) {
    const espl_conv_attr *a = &n->conv;
    l->kh = a->kh;
    l->kw = a->kw;
    l->sh = a->sh;
    l->sw = a->sw;
    l->dh = a->dh;
    l->dw = a->dw;
    l->pt = a->pt;
    l->pl = a->pl;
    l->pb = a->pb;
    l->pr = a->pr;
    l->groups = a->groups;
  } else {
    l->kh = in.h;
    l->kw = in.w;
  }
  if (l->kh > 16 || l->kw > 16) return refuse(lw, id, "a kernel larger than 16x16", err);
  if (l->sh > 7 || l->sw > 7 || l->dh > 15 || l->dw > 15) return refuse(lw, id, "a stride above 7 or a dilation above 15", err);
  l->macs = l->macs_dense = espl_node_macs(lw->g, id);
  if (follow(lw, &id, ESPL_OP_BATCHNORM)) s->bn = id;
  add_residual(lw, &id, l);
  return finish(lw, l, s, id, err);
}

/* SUBSAMPLE and PADCHANNELS, alone or one behind the other: a strided 1x1 one-hot convolution. */
static espl_status lower_select(qlower *lw, int32_t id, espl_err *err) {
  const espl_graph *g = lw->g;
  espl_qlayer *l;
  qsrc *s;
  ESPL_TRY(q_new_layer(lw, QSRC_MATRIX, lw->tensor_of[g->node[id].input[0]], id, &l, &s, err));
  int32_t last = id;
  follow(lw, &last, g->node[id].op == ESPL_OP_SUBSAMPLE ? ESPL_OP_PADCHANNELS : ESPL_OP_SUBSAMPLE);
  for (int32_t k = id;; k = last) {
    const espl_node *n = &g->node[k];
    if (n->op == ESPL_OP_SUBSAMPLE) {
      l->sh = n->conv.sh;
      l->sw = n->conv.sw;
    } else s->shift_c = n->pad_c0;
    if (k == last) break;
  }
  if (l->sh > 7 || l->sw > 7) return refuse(lw, id, "a step above 7", err);
  espl_shape out = g->node[last].shape;
  l->out_c = out.c;
  l->conv_h = out.h;
  l->conv_w = out.w;
  s->same_scale = true;
  s->value = s->out = last;
  ESPL_TRY(q_new_tensor(lw, out, last, &l->out, err));
  lw->tensor_of[last] = l->out;
  return ESPL_OK;
}

/* A pooling, addition, clamp or BatchNorm without a convolution of its own. */
static espl_status lower_alone(qlower *lw, int32_t id, espl_err *err) {
  const espl_node *n = &lw->g->node[id];
  espl_qlayer *l;
  qsrc *s;
  ESPL_TRY(q_new_layer(lw, n->op == ESPL_OP_BATCHNORM ? QSRC_MATRIX : QSRC_ONEHOT, lw->tensor_of[n->input[0]], id, &l, &s, err));
  if (n->op == ESPL_OP_BATCHNORM) s->bn = id;
  if (n->op == ESPL_OP_ADD) l->res = lw->tensor_of[n->input[1]];
  if (n->op == ESPL_OP_RELU) s->lo = 0.0f;
  if (n->op == ESPL_OP_CLIP) s->lo = n->lo, s->hi = n->hi;
  if (!is_pool(n->op)) return finish(lw, l, s, id, err);
  ESPL_TRY(set_pool(lw, id, l, err));
  s->same_scale = true;
  s->value = n->input[0];
  int32_t last = id;
  if (l->pool == ESPL_QPOOL_MAX) absorb_clamp(lw, &last, s);
  s->out = last;
  ESPL_TRY(q_new_tensor(lw, n->shape, last, &l->out, err));
  lw->tensor_of[last] = l->out;
  return ESPL_OK;
}

static bool all_readers_gemm(const espl_graph *g, int32_t id) {
  for (int32_t k = id + 1; k < g->nodes; k++)
    for (int i = 0; i < g->node[k].inputs; i++)
      if (g->node[k].input[i] == id && g->node[k].op != ESPL_OP_GEMM) return false;
  return id != g->output;
}

static espl_status lower_flatten(qlower *lw, int32_t id, espl_err *err) {
  const espl_node *n = &lw->g->node[id];
  int32_t t = lw->tensor_of[n->input[0]];
  espl_shape s = lw->q->tensor[t].shape;
  lw->tensor_of[id] = t;
  if (s.h == 1 && s.w == 1) return ESPL_OK;
  if (t == 0 && lw->reader[n->input[0]] == id) { /* the input itself: the same bytes as [C*H*W,1,1] */
    lw->q->tensor[0].shape = n->shape;
    return ESPL_OK;
  }
  if (!all_readers_gemm(lw->g, id)) return refuse(lw, id, "its readers must be Gemm when H or W is above 1", err);
  return ESPL_OK;
}

/* An identity that the file gives another scale or zero point than its input. */
static bool requantizes(const qlower *lw, int32_t id) {
  int32_t from = lw->g->node[id].input[0];
  if (!fixed(lw, id) || !fixed(lw, from)) return false;
  const espl_qnote *a = &lw->given->note[from], *b = &lw->given->note[id];
  return a->scale != b->scale || a->zero != b->zero;
}

/* Why the machine does not run an operator that the network graph holds. */
static const char *why_not(espl_op op) {
  switch (op) {
    case ESPL_OP_LEAKYRELU: case ESPL_OP_PRELU: return "the machine's only activation is a clamp; a slope below zero has no form";
    case ESPL_OP_SIGMOID: case ESPL_OP_TANH: case ESPL_OP_HARDSIGMOID: case ESPL_OP_HARDSWISH: return "the machine's only activation is a clamp";
    case ESPL_OP_MUL: case ESPL_OP_DIV: return "the machine multiplies by weights only, not two computed values";
    case ESPL_OP_SPREADADD: return "the machine adds two values of one shape only";
    case ESPL_OP_SUB: return "the machine adds two values, it does not subtract one from the other";
    case ESPL_OP_INSTANCENORM: case ESPL_OP_GROUPNORM: case ESPL_OP_GRAPHNORM: return "its statistics are those of each image, the machine has constants";
    case ESPL_OP_CONVTRANSPOSE: return "the machine has no transposed convolution";
    case ESPL_OP_RESIZE: return "the machine does not resize images";
    default: return "not an operator of the machine";
  }
}

static espl_status lower_node(qlower *lw, int32_t id, espl_err *err) {
  const espl_node *n = &lw->g->node[id];
  switch (n->op) {
    case ESPL_OP_CONV:
    case ESPL_OP_GEMM: return lower_conv(lw, id, err);
    case ESPL_OP_BATCHNORM:
    case ESPL_OP_RELU:
    case ESPL_OP_CLIP:
    case ESPL_OP_ADD:
    case ESPL_OP_MAXPOOL:
    case ESPL_OP_AVGPOOL:
    case ESPL_OP_GLOBALAVGPOOL: return lower_alone(lw, id, err);
    case ESPL_OP_SUBSAMPLE:
    case ESPL_OP_PADCHANNELS: return lower_select(lw, id, err);
    case ESPL_OP_CONCAT: return q_lower_concat(lw, id, err);
    case ESPL_OP_FLATTEN: return lower_flatten(lw, id, err);
    case ESPL_OP_SOFTMAX:
      if (lw->g->output != id) return refuse(lw, id, "only as the last operator", err);
      lw->tensor_of[id] = lw->tensor_of[n->input[0]];
      return ESPL_OK;
    case ESPL_OP_IDENTITY:
      if (requantizes(lw, id)) return lower_alone(lw, id, err);
      lw->tensor_of[id] = lw->tensor_of[n->input[0]];
      return ESPL_OK;
    default: return refuse(lw, id, why_not(n->op), err);
  }
}

static int32_t only_reader(const espl_graph *g, int32_t id) {
  if (espl_graph_readers(g, id) != 1 || g->output == id) return -1;
  for (int32_t k = id + 1; k < g->nodes; k++)
    for (int i = 0; i < g->node[k].inputs; i++)
      if (g->node[k].input[i] == id) return k;
  return -1;
}

/* Values between a layer's first node and its output are never materialised: their nodes are done. */
static void mark_absorbed(qlower *lw, int32_t layer) {
  const qsrc *s = &lw->src[layer];
  int32_t first = s->conv >= 0 ? s->conv : lw->q->layer[layer].node;
  for (int32_t k = first; k >= 0 && k != s->out; k = lw->reader[k]) lw->gone[k] = 1;
}

/* Lowers the node and, before it, whatever it reads and is not there yet (only with an operand that is wanted out of order). */
static espl_status lower_value(qlower *lw, int32_t id, espl_err *err) {
  if (lw->gone[id] || lw->tensor_of[id] >= 0) return ESPL_OK;
  const espl_node *n = &lw->g->node[id];
  for (int i = 0; i < n->inputs; i++) ESPL_TRY(lower_value(lw, n->input[i], err));
  if (lw->gone[id] || lw->tensor_of[id] >= 0) return ESPL_OK; /* absorbed by what it reads */
  int32_t before = lw->q->layers;
  ESPL_TRY(lower_node(lw, id, err));
  for (int32_t i = before; i < lw->q->layers; i++) mark_absorbed(lw, i);
  return ESPL_OK;
}

espl_status q_lower(espl_graph *g, const espl_qgiven *given, qlower *lw, espl_err *err) {
  *lw = (qlower){.g = g, .given = given};
  lw->q = espl_calloc(1, sizeof *lw->q);
  lw->tensor_of = espl_calloc((size_t)g->nodes, sizeof(int32_t));
  lw->reader = espl_calloc((size_t)g->nodes, sizeof(int32_t));
  lw->gone = espl_calloc((size_t)g->nodes, 1);
  lw->closed = espl_calloc((size_t)g->nodes, 1);
  espl_status st = lw->q && lw->tensor_of && lw->reader && lw->gone && lw->closed ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "quantize: out of memory");
  if (st == ESPL_OK && !(lw->q->name = espl_strdup(g->name))) st = espl_fail(err, ESPL_E_NOMEM, "quantize: out of memory");
  for (int32_t i = 0; st == ESPL_OK && i < g->nodes; i++) {
    lw->tensor_of[i] = -1;
    lw->reader[i] = only_reader(g, i);
  }
  int32_t t0;
  if (st == ESPL_OK) st = q_new_tensor(lw, g->node[0].shape, 0, &t0, err);
  if (st == ESPL_OK) lw->tensor_of[0] = 0;
  for (int32_t i = 1; st == ESPL_OK && i < g->nodes; i++) st = lower_value(lw, i, err);
  if (st == ESPL_OK) {
    lw->q->output = lw->tensor_of[g->output];
    espl_shape s = lw->q->tensor[lw->q->output].shape;
    if (lw->q->layers == 0) st = espl_fail(err, ESPL_E_UNSUPPORTED, "network %s: nothing to compute", g->name);
    else if (s.h != 1 || s.w != 1) st = espl_fail(err, ESPL_E_UNSUPPORTED, "network %s: its output is %dx%dx%d, expected a vector of classes", g->name, (int)s.c, (int)s.h, (int)s.w);
  }
  if (st != ESPL_OK) {
    espl_qnet_free(lw->q);
    lw->q = NULL;
    q_lower_clear(lw);
  }
  return st;
}

void q_lower_clear(qlower *lw) {
  free(lw->src);
  free(lw->tensor_of);
  free(lw->reader);
  free(lw->gone);
  free(lw->closed);
  lw->gone = lw->closed = NULL;
  lw->src = NULL;
  lw->tensor_of = lw->reader = NULL;
}
