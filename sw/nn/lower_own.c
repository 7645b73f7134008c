/* Lowering of the operators whose loops are ours and which own no convolution: two values whose extents spread, PReLU, resizing. Their tensors lie in blocks of
 * 16 channels; values in another layout are brought into blocks first. Arithmetic whose first operand is whole runs forward in oneDNN, in
 * whatever layout that operand has. */
#include "nn/exec.h"

static dnn_mem *floats(espl_exec *x, int64_t n, espl_err *err) {
  int32_t elems = (int32_t)n;
  if (n > INT32_MAX) return espl_fail(err, ESPL_E_UNSUPPORTED, "a table of %lld numbers", (long long)n), NULL;
  const dnn_md *m = dnn_md_plain(x->d, DNN_F32, 1, &elems, err);
  return m ? dnn_mem_new(x->d, m, NULL, err) : NULL;
}

/* Layout in blocks of a tensor of this shape. */
static const dnn_md *blocks_of(espl_exec *x, espl_shape s, espl_err *err) {
  return dnn_md_blocked(x->d, x->type, (int32_t[]){x->batch, s.c, s.h, s.w}, err);
}

/* ---- two values ---- */

static bool same(espl_shape a, espl_shape b) { return a.c == b.c && a.h == b.h && a.w == b.w; }

static dnn_binary_kind binary_kind(espl_op op) { return op == ESPL_OP_SUB ? DNN_SUB : op == ESPL_OP_MUL ? DNN_MUL : op == ESPL_OP_DIV ? DNN_DIV : DNN_ADD; }

static nn_spread spread_of(const espl_exec *x, const espl_node *n) {
  return (nn_spread){.kind = binary_kind(n->op), .images = x->batch, .half = x->type == DNN_BF16, .shape = n->shape,
                     .side = {x->g->node[n->input[0]].shape, x->g->node[n->input[1]].shape}};
}

static espl_status lower_spread_own(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  nn_spread s = spread_of(x, n);
  for (int k = 0; k < 2; k++)
    if (!(s.in[k] = nn_in_blocks(x, &x->fwd, nn_value(x, n->input[k]), err))) return err->code;
  ESPL_TRY(nn_define(x, g->last, blocks_of(x, n->shape, err), err));
  s.y = x->val[g->last].mem;
  nn_step *step = nn_step_add(&x->fwd, NN_STEP_SPREAD, err);
  if (!step) return err->code;
  step->spread = s;
  return ESPL_OK;
}

espl_status nn_lower_spread(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  const bool commutes = n->op == ESPL_OP_MUL || n->op == ESPL_OP_SPREADADD;
  int32_t a = n->input[0], b = n->input[1];
  if (commutes && !same(x->g->node[a].shape, n->shape)) a = n->input[1], b = n->input[0];
  const espl_shape sb = x->g->node[b].shape;
  if (!same(x->g->node[a].shape, n->shape) || sb.c != n->shape.c) return lower_spread_own(x, g, err);
  const dnn_md *md = dnn_mem_md(nn_value(x, a)), *small = dnn_md_like(x->d, md, sb.c, sb.h, sb.w, err);
  dnn_mem *other = small ? nn_adapt(x, &x->fwd, nn_value(x, b), small, err) : NULL;
  const dnn_op *op = other ? dnn_binary(x->d, binary_kind(n->op), md, small, md, g->post, err) : NULL;
  if (!op) return err->code;
  ESPL_TRY(nn_define(x, g->last, md, err));
  return nn_emit(&x->fwd, op, 3, (dnn_arg[]){{DNN_SRC, nn_value(x, a)}, {DNN_SRC1, other}, {DNN_DST, x->val[g->last].mem}}, err);
}

espl_status nn_back_spread(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  nn_spread s = spread_of(x, n);
  const bool reads = s.kind == DNN_MUL || s.kind == DNN_DIV;
  for (int k = 0; k < 2 && reads; k++)
    if (!(s.in[k] = nn_in_blocks(x, &x->bwd, nn_value(x, n->input[k]), err))) return err->code;
  if (!(s.y = nn_in_blocks(x, &x->bwd, dout->mem, err))) return err->code;
  for (s.of = 0; s.of < 2; s.of++) {
    nn_tensor d;
    if (!nn_needs(x, n->input[s.of])) continue;
    ESPL_TRY(nn_tensor_new(x, blocks_of(x, s.side[s.of], err), &d, err));
    s.d = d.mem;
    nn_step *step = nn_step_add(&x->bwd, NN_STEP_SPREAD_BACK, err);
    if (!step) return err->code;
    step->spread = s;
    ESPL_TRY(nn_grad_put(x, n->input[s.of], d, err));
  }
  nn_tensor_drop(dout);
  return ESPL_OK;
}

/* ---- PReLU ---- */

static nn_slope slope_of(const espl_exec *x, const espl_node *n, dnn_mem *src) {
  return (nn_slope){.slope = n->param[ESPL_PARAM_GAMMA], .images = x->batch, .channels = n->shape.c, .pixels = (int64_t)n->shape.h * n->shape.w,
                    .half = x->type == DNN_BF16, .x = src};
}

espl_status nn_lower_slope(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  dnn_mem *src = nn_in_blocks(x, &x->fwd, nn_value(x, n->input[0]), err);
  if (!src) return err->code;
  ESPL_TRY(nn_define(x, g->last, dnn_mem_md(src), err));
  nn_step *s = nn_step_add(&x->fwd, NN_STEP_SLOPE, err);
  if (!s) return err->code;
  s->slope = slope_of(x, n, src);
  s->slope.y = x->val[g->last].mem;
  return ESPL_OK;
}

espl_status nn_back_slope(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  nn_slope s = slope_of(x, n, nn_in_blocks(x, &x->bwd, nn_value(x, n->input[0]), err));
  nn_tensor dx = *dout;
  if (!s.x || !(s.sums = floats(x, nn_slope_sums(s.images, s.channels), err))) return err->code;
  if (dout->slot->refs == 1) dout->slot->refs++;
  else ESPL_TRY(nn_tensor_new(x, dnn_mem_md(dout->mem), &dx, err));
  s.dy = dout->mem, s.dx = dx.mem;
  nn_step *step = nn_step_add(&x->bwd, NN_STEP_SLOPE_BACK, err);
  if (!step) return err->code;
  step->slope = s;
  nn_tensor_drop(dout);
  if (nn_needs(x, n->input[0])) return nn_grad_put(x, n->input[0], dx, err);
  nn_tensor_drop(&dx);
  return ESPL_OK;
}

/* ---- resizing ---- */

espl_status nn_lower_resize(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  nn_resize s = {.images = x->batch, .half = x->type == DNN_BF16, .linear = n->resize.mode == ESPL_WORD_LINEAR, .from = x->g->node[n->input[0]].shape, .to = n->shape};
  if (!(s.x = nn_in_blocks(x, &x->fwd, nn_value(x, n->input[0]), err))) return err->code;
  if (!(s.taps = floats(x, nn_resize_room(s.from, s.to), err))) return err->code;
  ESPL_TRY(nn_define(x, g->last, blocks_of(x, n->shape, err), err));
  s.y = x->val[g->last].mem;
  nn_resize_prepare(&s, &n->resize);
  nn_step *step = nn_step_add(&x->fwd, NN_STEP_RESIZE, err);
  if (!step) return err->code;
  step->resize = g->resize = s;
  return ESPL_OK;
}

espl_status nn_back_resize(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  nn_resize s = g->resize;
  if (nn_needs(x, n->input[0])) {
    nn_tensor dx;
    ESPL_TRY(nn_tensor_new(x, dnn_mem_md(s.x), &dx, err));
    s.x = dx.mem, s.y = dout->mem;
    nn_step *step = nn_step_add(&x->bwd, NN_STEP_RESIZE_BACK, err);
    if (!step) return err->code;
    step->resize = s;
    ESPL_TRY(nn_grad_put(x, n->input[0], dx, err));
  }
  nn_tensor_drop(dout);
  return ESPL_OK;
}
