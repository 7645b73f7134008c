/* Convolution, transposed convolution and fully connected layers: weights are float32 masters in ONNX order, brought into the layout and type
 * of the operator by `prep`; their gradients come back as float32 in ONNX order. */
#include "nn/exec.h"

static const dnn_act no_act = {.kind = DNN_ACT_NONE};

/* Weight extents as oneDNN sees them: groups get an axis of their own; a fully connected layer takes those of its input. */
static int weight_dims(const espl_exec *x, const nn_group *g, int32_t dim[5]) {
  const espl_node *n = &x->g->node[g->head];
  const espl_param *w = n->param[ESPL_PARAM_WEIGHT];
  if (n->op == ESPL_OP_GEMM) {
    const dnn_md *src = dnn_mem_md(nn_value(x, n->input[0]));
    dim[0] = w->dim[0];
    for (int i = 1; i < 4; i++) dim[i] = (int32_t)dnn_md_extent(src, i);
    return 4;
  }
  int groups = n->conv.groups, k = 0;
  if (groups > 1) dim[k++] = groups;
  const bool swapped = n->op == ESPL_OP_CONVTRANSPOSE; /* [I,O/g,KH,KW] */
  dim[k++] = swapped ? w->dim[1] : w->dim[0] / groups;
  dim[k++] = swapped ? w->dim[0] / groups : w->dim[1];
  for (int i = 2; i < 4; i++) dim[k++] = w->dim[i];
  return k;
}

/* Behind a transposed convolution's result: rows that no step of the window reaches count as room left over, as a convolution leaves it. */
static int32_t behind(int32_t pad, int32_t extra, int32_t stride) { return extra < stride ? pad : pad - extra; }

static dnn_window window_of(const espl_node *n) {
  const espl_conv_attr *a = &n->conv;
  const bool swapped = n->op == ESPL_OP_CONVTRANSPOSE;
  const int32_t pb = swapped ? behind(a->pb, a->extra_h, a->sh) : a->pb, pr = swapped ? behind(a->pr, a->extra_w, a->sw) : a->pr;
  return (dnn_window){a->kh, a->kw, a->sh, a->sw, a->dh, a->dw, a->pt, a->pl, pb, pr};
}

/* The forward or a backward operator of the layer that `n` is. */
static dnn_op *make(espl_exec *x, dnn_dir dir, const espl_node *n, const dnn_md *src, const dnn_md *wei, const dnn_md *bias,
                    const dnn_md *dst, dnn_act act, const dnn_op *fwd, espl_err *err) {
  if (n->op == ESPL_OP_GEMM) return dnn_fc(x->d, dir, src, wei, bias, dst, act, fwd, err);
  dnn_window w = window_of(n);
  if (n->op == ESPL_OP_CONVTRANSPOSE) return dnn_deconv(x->d, dir, &w, src, wei, bias, dst, act, fwd, err);
  return dnn_conv(x->d, dir, &w, src, wei, bias, dst, act, fwd, err);
}

static const dnn_md *any_like(espl_exec *x, dnn_type type, const dnn_md *m, espl_err *err) {
  int32_t dim[4];
  for (int i = 0; i < 4; i++) dim[i] = (int32_t)dnn_md_extent(m, i);
  return dnn_md_any(x->d, type, dnn_md_dims(m), dim, err);
}

/* Layout of what a convolution writes. Inference in float32 asks for blocks of 16 channels, in which 1x1 and depthwise convolutions run faster than in
 * the channels-last order that the library chooses by itself; else, and where that has no generated code (make_best), the library chooses. */
static const dnn_md *conv_result(espl_exec *x, const espl_node *n, espl_err *err) {
  int32_t dim[4] = {x->batch, n->shape.c, n->shape.h, n->shape.w};
  if (x->mode == ESPL_MODE_INFER && x->type == DNN_F32) return dnn_md_blocked(x->d, x->type, dim, err);
  return dnn_md_any(x->d, x->type, 4, dim, err);
}

/* Keeps the given layouts when that runs on generated code, else lets the library choose when its choice is faster: first of the result, then of both. For gradients of
 * weights (float32 whatever the type) the last resort is float32 inputs: the library has no generated bfloat16 code for a few widths, and
 * its reference loop is hundreds of times slower than a reorder. */
static dnn_op *make_best(espl_exec *x, dnn_dir dir, const espl_node *n, const dnn_md *src, const dnn_md *wei, const dnn_md *bias,
                         const dnn_md *dst, dnn_act act, const dnn_op *fwd, espl_err *err) {
  espl_err first = {0}, second = {0};
  dnn_op *kept = make(x, dir, n, src, wei, bias, dst, act, fwd, &first);
  if (kept && (dnn_op_fast(kept) || n->op == ESPL_OP_GEMM)) return kept;
  if (dir == DNN_FWD_INFER) {
    const dnn_md *d = any_like(x, x->type, dst, &second);
    dnn_op *loose = d ? make(x, dir, n, src, wei, bias, d, act, fwd, &second) : NULL;
    if (loose && dnn_op_fast(loose)) return loose;
  }
  const int tries = dir == DNN_BWD_WEIGHTS && x->type == DNN_BF16 ? 2 : 1;
  for (int i = 0; i < tries; i++) {
    dnn_type type = i == 0 ? x->type : DNN_F32;
    const dnn_md *s = any_like(x, type, src, &second), *d = any_like(x, type, dst, &second);
    dnn_op *chosen = s && d ? make(x, dir, n, s, wei, bias, d, act, fwd, &second) : NULL;
    if (chosen && dnn_op_fast(chosen)) return chosen;
    if (!kept) kept = chosen;
  }
  if (!kept) espl_fail(err, first.code, "%s", first.msg);
  return kept;
}

static dnn_mem *plain_mem(espl_exec *x, int dims, const int32_t *dim, void *ptr, espl_err *err) {
  const dnn_md *m = dnn_md_plain(x->d, DNN_F32, dims, dim, err);
  return m ? dnn_mem_new(x->d, m, ptr, err) : NULL;
}

/* The same for weights of `n` or their gradient, in the order of the param. */
static dnn_mem *weight_mem(espl_exec *x, const espl_node *n, int dims, const int32_t *dim, void *ptr, espl_err *err) {
  if (n->op != ESPL_OP_CONVTRANSPOSE) return plain_mem(x, dims, dim, ptr, err);
  const dnn_md *m = dnn_md_swapped(x->d, DNN_F32, dims, dim, err);
  return m ? dnn_mem_new(x->d, m, ptr, err) : NULL;
}

/* Master weights (or a fold of them) in the layout `want`, refreshed by prep. */
static dnn_mem *weight_in(espl_exec *x, dnn_mem *plain, const dnn_md *want, espl_err *err) {
  if (!plain || dnn_md_equal(dnn_mem_md(plain), want)) return plain;
  dnn_mem *to = dnn_mem_new(x->d, want, NULL, err);
  if (!to) return NULL;
  const dnn_op *op = dnn_reorder(x->d, dnn_mem_md(plain), want, err);
  return nn_emit(&x->prep, op, 2, (dnn_arg[]){{DNN_FROM, plain}, {DNN_TO, to}}, err) == ESPL_OK ? to : NULL;
}

/* The weights of node `id` as they count in this plan: the params, or a rounded copy that prep refreshes. */
static dnn_mem *plain_weight(espl_exec *x, int32_t id, int dims, const int32_t *dim, espl_err *err) {
  const espl_param *w = x->g->node[id].param[ESPL_PARAM_WEIGHT];
  if (!x->fake || !x->fake->weight_most[id]) return weight_mem(x, &x->g->node[id], dims, dim, w->value, err);
  if (x->faked[id]) return x->faked[id];
  dnn_mem *to = plain_mem(x, dims, dim, NULL, err);
  nn_step *s = to ? nn_step_add(&x->prep, NN_STEP_FAKE_WEIGHT, err) : NULL;
  if (!s) return NULL;
  s->fake_weight = (nn_fake_weight){w, to, x->fake->weight_most[id]};
  return x->faked[id] = to;
}

/* Plain weight and bias tensors: the params themselves, or the result of folding g->bn. *bias NULL when there is none. */
static espl_status masters(espl_exec *x, const nn_group *g, dnn_mem **weight, dnn_mem **bias, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  espl_param *b = n->param[ESPL_PARAM_BIAS];
  int32_t dim[5];
  int dims = weight_dims(x, g, dim);
  bool fold = g->bn >= 0;
  *bias = NULL;
  *weight = fold ? plain_mem(x, dims, dim, NULL, err) : plain_weight(x, g->head, dims, dim, err);
  if (!*weight) return err->code;
  if ((fold || b) && !(*bias = plain_mem(x, 1, &n->shape.c, fold ? NULL : b->value, err))) return err->code;
  if (!fold) return ESPL_OK;
  nn_step *s = nn_step_add(&x->prep, NN_STEP_FOLD, err);
  if (!s) return err->code;
  s->fold = (nn_fold){n, &x->g->node[g->bn], *weight, *bias};
  return ESPL_OK;
}

static const dnn_md *weight_any(espl_exec *x, const nn_group *g, dnn_type type, espl_err *err) {
  int32_t dim[5];
  int dims = weight_dims(x, g, dim);
  return dnn_md_any(x->d, type, dims, dim, err);
}

const dnn_md *nn_input_layout(espl_exec *x, espl_err *err) {
  espl_shape in = x->g->node[0].shape;
  int32_t sd[4] = {x->batch, in.c, in.h, in.w};
  for (int32_t i = 0; i < x->groups; i++) {
    const nn_group *g = &x->group[i];
    const espl_node *n = &x->g->node[g->head];
    if (n->op != ESPL_OP_CONV || x->root[n->input[0]] != 0) continue;
    const dnn_md *src = dnn_md_any(x->d, x->type, 4, sd, err), *dst = conv_result(x, n, err);
    const dnn_md *wei = weight_any(x, g, x->type, err);
    if (!src || !dst || !wei) return NULL;
    dnn_op *op = make_best(x, x->backward ? DNN_FWD_TRAIN : DNN_FWD_INFER, n, src, wei, NULL, dst, no_act, NULL, err);
    return op ? dnn_op_md(op, DNN_SRC) : NULL;
  }
  return dnn_md_plain(x->d, x->type, 4, sd, err);
}

/* Memory for the result of a convolution that adds to value g->sum: that value itself when nobody reads it any more, else a copy. */
static espl_status define_sum(espl_exec *x, const nn_group *g, const dnn_md *md, espl_err *err) {
  nn_tensor *old = &x->val[g->sum];
  if (x->uses[g->sum] == 1 && old->slot && old->slot->refs == 1 && dnn_md_equal(md, dnn_mem_md(old->mem))) {
    old->slot->refs++;
    x->val[g->last] = *old;
    return ESPL_OK;
  }
  ESPL_TRY(nn_define(x, g->last, md, err));
  const dnn_op *op = dnn_reorder(x->d, dnn_mem_md(old->mem), md, err);
  return nn_emit(&x->fwd, op, 2, (dnn_arg[]){{DNN_FROM, old->mem}, {DNN_TO, x->val[g->last].mem}}, err);
}

/* Both layers: output layout is the operator's choice for a convolution, plain for a fully connected layer. */
static espl_status lower(espl_exec *x, nn_group *g, const dnn_md *dst, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  dnn_mem *src = nn_value(x, n->input[0]), *weight, *bias;
  const dnn_md *any = weight_any(x, g, x->type, err);
  if (!dst || !any) return err->code;
  ESPL_TRY(masters(x, g, &weight, &bias, err));
  dnn_dir dir = x->mode == ESPL_MODE_TRAIN ? DNN_FWD_TRAIN : DNN_FWD_INFER;
  dnn_op *op = make_best(x, dir, n, dnn_mem_md(src), any, bias ? dnn_mem_md(bias) : NULL, dst, g->post, NULL, err);
  if (!op) return err->code;
  g->fwd = op;
  dnn_mem *in = nn_adapt(x, &x->fwd, src, dnn_op_md(op, DNN_SRC), err);
  dnn_mem *wei = weight_in(x, weight, dnn_op_md(op, DNN_WEI), err);
  if (!in || !wei) return err->code;
  dnn_mem *out;
  if (n->op == ESPL_OP_GEMM) {
    int32_t d4[4] = {x->batch, n->shape.c, 1, 1};
    ESPL_TRY(nn_define(x, g->last, dnn_md_plain(x->d, x->type, 4, d4, err), err));
    out = dnn_mem_new(x->d, dnn_op_md(op, DNN_DST), dnn_mem_ptr(x->val[g->last].mem), err);
  } else {
    const dnn_md *md = dnn_op_md(op, DNN_DST);
    ESPL_TRY(g->sum >= 0 ? define_sum(x, g, md, err) : nn_define(x, g->last, md, err));
    out = x->val[g->last].mem;
  }
  dnn_arg a[4] = {{DNN_SRC, in}, {DNN_WEI, wei}, {DNN_DST, out}, {DNN_BIAS, bias}};
  return nn_emit(&x->fwd, op, bias ? 4 : 3, a, err);
}

espl_status nn_lower_conv(espl_exec *x, nn_group *g, espl_err *err) {
  const dnn_window w = window_of(&x->g->node[g->head]);
  if (w.pb < 0 || w.pr < 0) return nn_lower_tensor(x, g, err);
  return lower(x, g, g->sum >= 0 ? dnn_mem_md(nn_value(x, g->sum)) : conv_result(x, &x->g->node[g->head], err), err);
}

espl_status nn_lower_fc(espl_exec *x, nn_group *g, espl_err *err) {
  int32_t dim[2] = {x->batch, x->g->node[g->head].shape.c};
  return lower(x, g, dnn_md_plain(x->d, x->type, 2, dim, err), err);
}

/* point.h can do it: 1x1 on blocks of 16 channels in bfloat16, an even number of pixels, no bias. */
static bool is_point(const espl_exec *x, const espl_node *n, const dnn_md *src, const dnn_md *dout) {
  const espl_conv_attr *a = &n->conv;
  const dnn_act none = {.kind = DNN_ACT_NONE};
  return n->op == ESPL_OP_CONV && x->type == DNN_BF16 && nn_point_here() && a->kh == 1 && a->kw == 1 && a->sh == 1 && a->sw == 1 && a->groups == 1 &&
         !(a->pt | a->pl | a->pb | a->pr) && n->shape.h * n->shape.w % 2 == 0 && !n->param[ESPL_PARAM_BIAS] && nn_norm_can(src, none) && nn_norm_can(dout, none);
}

static espl_status back_point(espl_exec *x, const espl_node *n, dnn_mem *src, dnn_mem *dout, espl_err *err) {
  espl_param *w = n->param[ESPL_PARAM_WEIGHT];
  const int32_t elems = (int32_t)nn_point_sums(w->dim[1], w->dim[0]);
  dnn_mem *sums = plain_mem(x, 1, &elems, NULL, err);
  nn_step *s = sums ? nn_step_add(&x->bwd, NN_STEP_POINT, err) : NULL;
  if (!s) return err->code;
  s->point = (nn_point){src, dout, sums, w->grad, x->batch, w->dim[1], w->dim[0], (int64_t)n->shape.h * n->shape.w};
  return ESPL_OK;
}

/* Gradient of the weights (and bias) into the params. */
static espl_status back_weights(espl_exec *x, nn_group *g, dnn_mem *src, dnn_mem *dout, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  espl_param *w = n->param[ESPL_PARAM_WEIGHT], *b = n->param[ESPL_PARAM_BIAS];
  int32_t dim[5];
  if (is_point(x, n, dnn_mem_md(src), dnn_mem_md(dout))) return back_point(x, n, src, dout, err);
  int dims = weight_dims(x, g, dim);
  dnn_mem *plain = weight_mem(x, n, dims, dim, w->grad, err), *dbias = b ? plain_mem(x, 1, b->dim, b->grad, err) : NULL;
  const dnn_md *any = weight_any(x, g, DNN_F32, err);
  if (!plain || !any || (b && !dbias)) return err->code;
  dnn_op *op = make_best(x, DNN_BWD_WEIGHTS, n, dnn_mem_md(src), any, b ? dnn_mem_md(dbias) : NULL, dnn_mem_md(dout), no_act,
                         g->fwd, err);
  if (!op) return err->code;
  const dnn_md *want = dnn_op_md(op, DNN_DWEI);
  dnn_mem *dw = dnn_md_equal(want, dnn_mem_md(plain)) ? plain : dnn_mem_new(x->d, want, NULL, err);
  dnn_arg a[4] = {{DNN_SRC, nn_adapt(x, &x->bwd, src, dnn_op_md(op, DNN_SRC), err)},
                  {DNN_DDST, nn_adapt(x, &x->bwd, dout, dnn_op_md(op, DNN_DDST), err)},
                  {DNN_DWEI, dw}, {DNN_DBIAS, dbias}};
  if (!a[0].mem || !a[1].mem || !dw) return err->code;
  ESPL_TRY(nn_emit(&x->bwd, op, b ? 4 : 3, a, err));
  if (dw == plain) return ESPL_OK;
  return nn_emit(&x->bwd, dnn_reorder(x->d, want, dnn_mem_md(plain), err), 2, (dnn_arg[]){{DNN_FROM, dw}, {DNN_TO, plain}}, err);
}

static espl_status back_data(espl_exec *x, nn_group *g, dnn_mem *src, dnn_mem *dout, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  int32_t dim[5];
  int dims = weight_dims(x, g, dim);
  dnn_mem *plain = plain_weight(x, g->head, dims, dim, err);
  const dnn_md *any = weight_any(x, g, x->type, err);
  if (!plain || !any) return err->code;
  dnn_op *op = make_best(x, DNN_BWD_DATA, n, dnn_mem_md(src), any, NULL, dnn_mem_md(dout), no_act, g->fwd, err);
  if (!op) return err->code;
  dnn_mem *wei = weight_in(x, plain, dnn_op_md(op, DNN_WEI), err);
  dnn_mem *dd = nn_adapt(x, &x->bwd, dout, dnn_op_md(op, DNN_DDST), err);
  nn_tensor din;
  if (!wei || !dd) return err->code;
  ESPL_TRY(nn_tensor_new(x, dnn_op_md(op, DNN_DSRC), &din, err));
  ESPL_TRY(nn_emit(&x->bwd, op, 3, (dnn_arg[]){{DNN_DDST, dd}, {DNN_WEI, wei}, {DNN_DSRC, din.mem}}, err));
  return nn_grad_put(x, n->input[0], din, err);
}

static espl_status back(espl_exec *x, nn_group *g, dnn_mem *dout, espl_err *err) {
  int32_t in = x->g->node[g->head].input[0];
  dnn_mem *src = nn_value(x, in);
  ESPL_TRY(back_weights(x, g, src, dout, err));
  return nn_needs(x, in) ? back_data(x, g, src, dout, err) : ESPL_OK;
}

espl_status nn_back_conv(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  ESPL_TRY(nn_back_act(x, g, dout, err));
  ESPL_TRY(back(x, g, dout->mem, err));
  nn_tensor_drop(dout);
  return ESPL_OK;
}

espl_status nn_back_fc(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  ESPL_TRY(nn_back_act(x, g, dout, err));
  dnn_mem *flat = dnn_mem_new(x->d, dnn_op_md(g->fwd, DNN_DST), dnn_mem_ptr(dout->mem), err); /* [N,O] view of [N,O,1,1] */
  if (!flat) return err->code;
  ESPL_TRY(back(x, g, flat, err));
  nn_tensor_drop(dout);
  return ESPL_OK;
}
