/* Operators that run by their definition (tensor/op.h) on row-major float32, and arithmetic of two values whose extents spread. Forward
 * only: training a network that holds them is refused. */
#include <string.h>

#include "nn/exec.h"

static espl_status forward_only(const espl_exec *x, const espl_node *n, espl_err *err) {
  if (x->mode == ESPL_MODE_INFER && x->type == DNN_F32) return ESPL_OK;
  return espl_fail(err, ESPL_E_UNSUPPORTED, "operator %s is computed forward in float32 only: it cannot be trained", espl_op_name(n->op));
}

static const dnn_md *plain_of(espl_exec *x, espl_shape s, espl_err *err) {
  int32_t dim[4] = {x->batch, s.c, s.h, s.w};
  return dnn_md_plain(x->d, DNN_F32, 4, dim, err);
}

espl_status nn_lower_tensor(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  ESPL_TRY(forward_only(x, n, err));
  nn_by_definition t = {.node = n, .batch = x->batch, .values = n->inputs};
  for (int k = 0; k < n->inputs; k++) {
    t.shape[k] = x->g->node[n->input[k]].shape;
    const dnn_md *plain = plain_of(x, t.shape[k], err);
    t.from[k] = plain ? nn_adapt(x, &x->fwd, nn_value(x, n->input[k]), plain, err) : NULL;
    if (!t.from[k]) return err->code;
  }
  ESPL_TRY(nn_define(x, g->last, plain_of(x, n->shape, err), err));
  t.to = x->val[g->last].mem;
  nn_step *s = nn_step_add(&x->fwd, NN_STEP_BY_DEFINITION, err);
  if (!s) return err->code;
  s->by_definition = t;
  return ESPL_OK;
}

static bool whole(espl_shape a, espl_shape out) { return a.c == out.c && a.h == out.h && a.w == out.w; }

static dnn_binary_kind binary_kind(espl_op op) { return op == ESPL_OP_SUB ? DNN_SUB : op == ESPL_OP_MUL ? DNN_MUL : op == ESPL_OP_DIV ? DNN_DIV : DNN_ADD; }

espl_status nn_lower_spread(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  bool commutes = n->op == ESPL_OP_MUL || n->op == ESPL_OP_SPREADADD;
  int32_t a = n->input[0], b = n->input[1];
  ESPL_TRY(forward_only(x, n, err));
  if (commutes && !whole(x->g->node[a].shape, n->shape)) a = n->input[1], b = n->input[0];
  espl_shape sb = x->g->node[b].shape;
  if (!whole(x->g->node[a].shape, n->shape) || sb.c != n->shape.c) return nn_lower_tensor(x, g, err);
  const dnn_md *md = dnn_mem_md(nn_value(x, a)), *small = dnn_md_like(x->d, md, sb.c, sb.h, sb.w, err);
  dnn_mem *other = small ? nn_adapt(x, &x->fwd, nn_value(x, b), small, err) : NULL;
  const dnn_op *op = other ? dnn_binary(x->d, binary_kind(n->op), md, small, md, g->post, err) : NULL;
  if (!op) return err->code;
  ESPL_TRY(nn_define(x, g->last, md, err));
  return nn_emit(&x->fwd, op, 3, (dnn_arg[]){{DNN_SRC, nn_value(x, a)}, {DNN_SRC1, other}, {DNN_DST, x->val[g->last].mem}}, err);
}

/* ---- running ---- */

static void window_op(espl_top *op, const espl_conv_attr *a) {
  op->group = a->groups;
  op->strides = (espl_ints){2, {a->sh, a->sw}};
  op->dilations = (espl_ints){2, {a->dh, a->dw}};
  op->pads = (espl_ints){4, {a->pt, a->pl, a->pb, a->pr}};
  op->out_pads = (espl_ints){2, {a->extra_h, a->extra_w}};
}

/* The node as a tensor operator. */
static espl_top top_of(const espl_node *n) {
  static const struct { espl_op op; espl_top_kind kind; } t[] = {
      {ESPL_OP_PRELU, ESPL_TOP_PRELU}, {ESPL_OP_HARDSIGMOID, ESPL_TOP_HARDSIGMOID},
      {ESPL_OP_CONVTRANSPOSE, ESPL_TOP_CONVTRANSPOSE}, {ESPL_OP_RESIZE, ESPL_TOP_RESIZE}, {ESPL_OP_SPREADADD, ESPL_TOP_ADD},
      {ESPL_OP_SUB, ESPL_TOP_SUB}, {ESPL_OP_MUL, ESPL_TOP_MUL}, {ESPL_OP_DIV, ESPL_TOP_DIV}};
  espl_top op;
  size_t k = 0;
  while (k + 1 < sizeof t / sizeof *t && t[k].op != n->op) k++;
  espl_top_init(&op, t[k].kind, 13);
  if (n->op == ESPL_OP_HARDSIGMOID) op.alpha = n->alpha, op.beta = n->beta;
  if (n->op == ESPL_OP_CONVTRANSPOSE) window_op(&op, &n->conv);
  if (n->op == ESPL_OP_RESIZE) {
    op.mode = n->resize.mode, op.coordinates = n->resize.coordinates, op.nearest = n->resize.nearest;
    op.n_scales = 4;
    const float scale[4] = {1, 1, n->resize.scale_h, n->resize.scale_w};
    memcpy(op.scales, scale, sizeof scale);
  }
  return op;
}

/* Borrowed elements as a tensor. */
static espl_tensor view(int dims, const int64_t *dim, float *f) {
  espl_tensor t = {.type = ESPL_T_FLOAT, .dims = dims, .elems = 1, .f = f};
  for (int d = 0; d < dims; d++) t.elems *= t.dim[d] = dim[d];
  return t;
}

espl_status nn_run_by_definition(const nn_by_definition *s, espl_err *err) {
  const espl_node *n = s->node;
  espl_tensor in[4], *out;
  const espl_tensor *list[4];
  int count = 0;
  for (int k = 0; k < s->values; k++) in[count++] = view(4, (int64_t[]){s->batch, s->shape[k].c, s->shape[k].h, s->shape[k].w}, dnn_mem_ptr(s->from[k]));
  for (int k = 0; k < ESPL_PARAM_COUNT && count < 4; k++) {
    const espl_param *p = n->param[k];
    if (!p) continue;
    int64_t dim[4] = {1, 1, 1, 1};
    for (int d = 0; d < p->dims; d++) dim[d] = p->dim[d];
    in[count++] = view(n->op == ESPL_OP_PRELU ? 3 : p->dims, dim, p->value); /* a slope spreads over H and W */
  }
  for (int k = 0; k < count; k++) list[k] = &in[k];
  espl_top op = top_of(n);
  ESPL_TRY(espl_top_run(&op, list, count, &out, 1, ESPL_TLIMITS_DEFAULT, err));
  memcpy(dnn_mem_ptr(s->to), out->f, (size_t)out->elems * sizeof *out->f);
  espl_tensor_free(out);
  return ESPL_OK;
}
