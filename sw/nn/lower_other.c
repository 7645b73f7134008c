/* Lowering of the operators without weights of their own. */
#include "nn/exec.h"

static dnn_dir forward_dir(const espl_exec *x) { return x->mode == ESPL_MODE_TRAIN ? DNN_FWD_TRAIN : DNN_FWD_INFER; }

static espl_status lower_input(espl_exec *x, nn_group *g, espl_err *err) {
  espl_shape s = x->g->node[0].shape;
  int32_t dim[4] = {x->batch, s.c, s.h, s.w};
  const dnn_md *plain = dnn_md_plain(x->d, DNN_F32, 4, dim, err), *layout = nn_input_layout(x, err);
  if (!layout || !plain || !(x->in_user = dnn_mem_new(x->d, plain, NULL, err))) return err->code;
  if (x->mode == ESPL_MODE_INFER && dnn_md_equal(layout, plain)) {
    x->val[g->last] = (nn_tensor){x->in_user, NULL}; /* read where the caller has it; without a slot nobody writes into it */
    return ESPL_OK;
  }
  ESPL_TRY(nn_define(x, g->last, layout, err));
  dnn_mem *to = x->val[g->last].mem;
  const dnn_op *op = dnn_reorder(x->d, plain, dnn_mem_md(to), err);
  return nn_emit(&x->fwd, op, 2, (dnn_arg[]){{DNN_FROM, x->in_user}, {DNN_TO, to}}, err);
}

/* ---- activations ---- */

static espl_status lower_act(espl_exec *x, nn_group *g, espl_err *err) {
  dnn_mem *src = nn_value(x, x->g->node[g->head].input[0]);
  const dnn_op *op = dnn_eltwise(x->d, forward_dir(x), g->post, dnn_mem_md(src), NULL, err);
  ESPL_TRY(nn_define(x, g->last, dnn_mem_md(src), err));
  return nn_emit(&x->fwd, op, 2, (dnn_arg[]){{DNN_SRC, src}, {DNN_DST, x->val[g->last].mem}}, err);
}

espl_status nn_back_act(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  if (g->post.kind == DNN_ACT_NONE) return ESPL_OK;
  const bool by_src = g->post.kind == DNN_ACT_HARDSWISH; /* runs alone in training */
  dnn_mem *dst = by_src ? nn_value(x, x->g->node[g->head].input[0]) : x->val[g->last].mem;
  const dnn_op *hint = dnn_eltwise(x->d, DNN_FWD_TRAIN, g->post, dnn_mem_md(dst), NULL, err);
  const dnn_op *op = hint ? dnn_eltwise(x->d, DNN_BWD, g->post, dnn_mem_md(dst), hint, err) : NULL;
  nn_tensor din = *dout;
  if (dout->slot->refs == 1) dout->slot->refs++;
  else ESPL_TRY(nn_tensor_new(x, dnn_mem_md(dst), &din, err));
  ESPL_TRY(nn_emit(&x->bwd, op, 3, (dnn_arg[]){{by_src ? DNN_SRC : DNN_DST, dst}, {DNN_DDST, dout->mem}, {DNN_DSRC, din.mem}}, err));
  nn_tensor_drop(dout);
  *dout = din;
  return ESPL_OK;
}

/* alpha * x + beta, then held between 0 and 1: the group's `post`. */
static espl_status lower_hard_sigmoid(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  dnn_mem *src = nn_value(x, n->input[0]);
  const dnn_md *md = dnn_mem_md(src);
  const dnn_act line = {.kind = DNN_ACT_LINE, .lo = n->alpha, .hi = n->beta};
  const dnn_op *first = dnn_eltwise(x->d, forward_dir(x), line, md, NULL, err), *then = first ? dnn_eltwise(x->d, forward_dir(x), g->post, md, NULL, err) : NULL;
  ESPL_TRY(nn_define(x, g->last, md, err));
  dnn_mem *to = x->val[g->last].mem;
  ESPL_TRY(nn_emit(&x->fwd, first, 2, (dnn_arg[]){{DNN_SRC, src}, {DNN_DST, to}}, err));
  return nn_emit(&x->fwd, then, 2, (dnn_arg[]){{DNN_SRC, to}, {DNN_DST, to}}, err);
}

static espl_status back_hard_sigmoid(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  const dnn_act line = {.kind = DNN_ACT_LINE, .lo = n->alpha, .hi = n->beta};
  if (!nn_needs(x, n->input[0])) return nn_tensor_drop(dout), ESPL_OK;
  ESPL_TRY(nn_back_act(x, g, dout, err));
  dnn_mem *dst = x->val[g->last].mem; /* a line's gradient is the same wherever it is taken */
  const dnn_op *hint = dnn_eltwise(x->d, DNN_FWD_TRAIN, line, dnn_mem_md(dst), NULL, err);
  const dnn_op *op = hint ? dnn_eltwise(x->d, DNN_BWD, line, dnn_mem_md(dst), hint, err) : NULL;
  ESPL_TRY(nn_emit(&x->bwd, op, 3, (dnn_arg[]){{DNN_SRC, dst}, {DNN_DDST, dout->mem}, {DNN_DSRC, dout->mem}}, err));
  return nn_grad_put(x, n->input[0], *dout, err);
}

/* ---- addition ---- */

static espl_status lower_add(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  dnn_mem *a = nn_value(x, n->input[0]);
  const dnn_md *md = dnn_mem_md(a);
  dnn_mem *b = nn_adapt(x, &x->fwd, nn_value(x, n->input[1]), md, err);
  const dnn_op *op = dnn_binary(x->d, DNN_ADD, md, md, md, g->post, err);
  ESPL_TRY(nn_define(x, g->last, md, err));
  return nn_emit(&x->fwd, op, 3, (dnn_arg[]){{DNN_SRC, a}, {DNN_SRC1, b}, {DNN_DST, x->val[g->last].mem}}, err);
}

/* Both summands receive the same tensor; it is shared, not copied. */
static espl_status back_add(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  ESPL_TRY(nn_back_act(x, g, dout, err));
  for (int i = 0; i < n->inputs; i++) {
    if (!nn_needs(x, n->input[i])) continue;
    dout->slot->refs++;
    ESPL_TRY(nn_grad_put(x, n->input[i], *dout, err));
  }
  nn_tensor_drop(dout);
  return ESPL_OK;
}

/* ---- pooling ---- */

static dnn_window pool_window(const espl_graph *g, const espl_node *n) {
  const espl_conv_attr *a = &n->conv;
  espl_shape s = g->node[n->input[0]].shape;
  if (n->op == ESPL_OP_GLOBALAVGPOOL) return (dnn_window){s.h, s.w, 1, 1, 1, 1, 0, 0, 0, 0};
  return (dnn_window){a->kh, a->kw, a->sh, a->sw, a->dh, a->dw, a->pt, a->pl, a->pb, a->pr};
}

static dnn_pool_kind pool_kind(const espl_node *n) {
  if (n->op == ESPL_OP_MAXPOOL) return DNN_POOL_MAX;
  return n->op == ESPL_OP_AVGPOOL && n->conv.count_include_pad ? DNN_POOL_AVG_PADDED : DNN_POOL_AVG;
}

static espl_status lower_pool(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  dnn_mem *src = nn_value(x, n->input[0]);
  dnn_window w = pool_window(x->g, n);
  const dnn_md *dst = dnn_md_like(x->d, dnn_mem_md(src), n->shape.c, n->shape.h, n->shape.w, err);
  dnn_op *op = dst ? dnn_pool(x->d, forward_dir(x), pool_kind(n), &w, dnn_mem_md(src), dst, NULL, err) : NULL;
  if (!op) return err->code;
  g->fwd = op;
  const dnn_md *ws = dnn_op_md(op, DNN_WS);
  if (ws && !(g->ws = dnn_mem_new(x->d, ws, NULL, err))) return err->code;
  ESPL_TRY(nn_define(x, g->last, dst, err));
  return nn_emit(&x->fwd, op, ws ? 3 : 2, (dnn_arg[]){{DNN_SRC, src}, {DNN_DST, x->val[g->last].mem}, {DNN_WS, g->ws}}, err);
}

static espl_status back_pool(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  dnn_window w = pool_window(x->g, n);
  const dnn_md *src = dnn_mem_md(nn_value(x, n->input[0]));
  if (nn_needs(x, n->input[0])) {
    const dnn_op *op = dnn_pool(x->d, DNN_BWD, pool_kind(n), &w, src, dnn_mem_md(dout->mem), g->fwd, err);
    nn_tensor din;
    ESPL_TRY(nn_tensor_new(x, src, &din, err));
    ESPL_TRY(nn_emit(&x->bwd, op, g->ws ? 3 : 2, (dnn_arg[]){{DNN_DDST, dout->mem}, {DNN_DSRC, din.mem}, {DNN_WS, g->ws}}, err));
    ESPL_TRY(nn_grad_put(x, n->input[0], din, err));
  }
  nn_tensor_drop(dout);
  return ESPL_OK;
}

/* ---- softmax ---- */

static espl_status lower_softmax(espl_exec *x, nn_group *g, espl_err *err) {
  dnn_mem *src = nn_value(x, x->g->node[g->head].input[0]);
  g->fwd = dnn_softmax(x->d, forward_dir(x), dnn_mem_md(src), NULL, err);
  ESPL_TRY(nn_define(x, g->last, dnn_mem_md(src), err));
  return nn_emit(&x->fwd, g->fwd, 2, (dnn_arg[]){{DNN_SRC, src}, {DNN_DST, x->val[g->last].mem}}, err);
}

static espl_status back_softmax(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  if (nn_needs(x, n->input[0])) {
    dnn_mem *dst = x->val[g->last].mem;
    const dnn_op *op = dnn_softmax(x->d, DNN_BWD, dnn_mem_md(dst), g->fwd, err);
    nn_tensor din;
    ESPL_TRY(nn_tensor_new(x, dnn_mem_md(dst), &din, err));
    ESPL_TRY(nn_emit(&x->bwd, op, 3, (dnn_arg[]){{DNN_DST, dst}, {DNN_DDST, dout->mem}, {DNN_DSRC, din.mem}}, err));
    ESPL_TRY(nn_grad_put(x, n->input[0], din, err));
  }
  nn_tensor_drop(dout);
  return ESPL_OK;
}

espl_status nn_lower_other(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  switch (n->op) {
  case ESPL_OP_INPUT: return lower_input(x, g, err);
  case ESPL_OP_RELU:
  case ESPL_OP_CLIP:
  case ESPL_OP_LEAKYRELU:
  case ESPL_OP_SIGMOID:
  case ESPL_OP_TANH:
  case ESPL_OP_HARDSWISH: return lower_act(x, g, err);
  case ESPL_OP_SPREADADD:
  case ESPL_OP_SUB:
  case ESPL_OP_MUL:
  case ESPL_OP_DIV: return nn_lower_spread(x, g, err);
  case ESPL_OP_PRELU: return nn_lower_slope(x, g, err);
  case ESPL_OP_HARDSIGMOID: return lower_hard_sigmoid(x, g, err);
  case ESPL_OP_RESIZE: return nn_lower_resize(x, g, err);
  case ESPL_OP_ADD: return lower_add(x, g, err);
  case ESPL_OP_MAXPOOL:
  case ESPL_OP_AVGPOOL:
  case ESPL_OP_GLOBALAVGPOOL: return lower_pool(x, g, err);
  case ESPL_OP_SOFTMAX: return lower_softmax(x, g, err);
  default: return espl_fail(err, ESPL_E_UNSUPPORTED, "operator %s has no float execution", espl_op_name(n->op));
  }
}

espl_status nn_back_other(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  switch (x->g->node[g->head].op) {
  case ESPL_OP_ADD: return back_add(x, g, dout, err);
  case ESPL_OP_MAXPOOL:
  case ESPL_OP_AVGPOOL:
  case ESPL_OP_GLOBALAVGPOOL: return back_pool(x, g, dout, err);
  case ESPL_OP_SOFTMAX: return back_softmax(x, g, dout, err);
  case ESPL_OP_SPREADADD:
  case ESPL_OP_SUB:
  case ESPL_OP_MUL:
  case ESPL_OP_DIV: return nn_back_spread(x, g, dout, err);
  case ESPL_OP_PRELU: return nn_back_slope(x, g, dout, err);
  case ESPL_OP_HARDSIGMOID: return back_hard_sigmoid(x, g, dout, err);
  case ESPL_OP_RESIZE: return nn_back_resize(x, g, dout, err);
  case ESPL_OP_RELU:
  case ESPL_OP_CLIP:
  case ESPL_OP_LEAKYRELU:
  case ESPL_OP_SIGMOID:
  case ESPL_OP_TANH:
  case ESPL_OP_HARDSWISH: {
    ESPL_TRY(nn_back_act(x, g, dout, err));
    int32_t in = x->g->node[g->head].input[0];
    if (nn_needs(x, in)) return nn_grad_put(x, in, *dout, err);
    nn_tensor_drop(dout);
    return ESPL_OK;
  }
  default: nn_tensor_drop(dout); return ESPL_OK; /* INPUT */
  }
}
