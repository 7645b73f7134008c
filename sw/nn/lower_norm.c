/* Lowering of the normalisations. Batch norm with what its group holds behind it, a residual sum and an activation, is one operator of our
 * own (norm.h) in training on blocks of 16 channels; elsewhere the library's operators run one behind the other. Instance, group and graph
 * normalisation are always our own; values in another layout are brought into blocks first. */
#include "nn/exec.h"

static dnn_mem *vector(espl_exec *x, int32_t n, void *ptr, espl_err *err) {
  const dnn_md *m = dnn_md_plain(x->d, DNN_F32, 1, &n, err);
  return m ? dnn_mem_new(x->d, m, ptr, err) : NULL;
}

/* ---- our own ---- */

static bool own(const espl_exec *x, const nn_group *g, const dnn_md *md) { return x->mode == ESPL_MODE_TRAIN && nn_norm_can(md, g->post); }

static espl_status lower_own(espl_exec *x, nn_group *g, dnn_mem *src, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  const nn_norm_kind kind = n->op == ESPL_OP_BATCHNORM ? NN_NORM_BATCH : n->op == ESPL_OP_GRAPHNORM ? NN_NORM_GRAPH : NN_NORM_GROUP;
  dnn_mem *r = g->sum >= 0 ? nn_adapt(x, &x->fwd, nn_value(x, g->sum), dnn_mem_md(src), err) : NULL;
  if (g->sum >= 0 && !r) return err->code;
  const int32_t blocks = (n->shape.c + 15) / 16;
  ESPL_TRY(nn_define(x, g->last, dnn_mem_md(src), err));
  g->norm = (nn_norm){.kind = kind, .group = n->op == ESPL_OP_GROUPNORM ? n->shape.c / n->conv.groups : 1, .bn = n, .act = g->post, .images = x->batch, .blocks = blocks, .channels = n->shape.c,
                      .pixels = (int64_t)n->shape.h * n->shape.w, .half = x->type == DNN_BF16, .x = src, .r = r, .y = x->val[g->last].mem};
  if (!(g->norm.state = vector(x, (int32_t)nn_norm_state_elems(kind, x->batch, blocks), NULL, err))) return err->code;
  nn_step *s = nn_step_add(&x->fwd, NN_STEP_NORM, err);
  if (!s) return err->code;
  s->norm = g->norm;
  x->pairs[g->last] = x->backward;
  return ESPL_OK;
}

/* Takes over `dout` and `second` (absent where the value has one reader). The sum d = (dout + second) where the activation passes is
 * written only when it differs from dout; it is also the gradient of the other summand. dx never overwrites what is passed on. */
static espl_status back_own(espl_exec *x, nn_group *g, nn_tensor *dout, nn_tensor *second, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  const dnn_md *md = dnn_mem_md(g->norm.x);
  const bool write = second->mem || (g->sum >= 0 && g->post.kind != DNN_ACT_NONE), pass = g->sum >= 0 && nn_needs(x, g->sum);
  nn_norm s = g->norm;
  nn_tensor d = *dout, dx;
  if (!write || dout->slot->refs == 1) d.slot->refs++;
  else ESPL_TRY(nn_tensor_new(x, md, &d, err));
  s.dy = dout->mem, s.dy2 = second->mem, s.d = write ? d.mem : NULL;
  nn_tensor_drop(dout); /* dx may lie where they were: it is written when they have been read */
  nn_tensor_drop(second);
  if (!pass && d.slot->refs == 1) dx = d, d.slot->refs++;
  else ESPL_TRY(nn_tensor_new(x, md, &dx, err));
  s.dx = dx.mem;
  nn_step *step = nn_step_add(&x->bwd, NN_STEP_NORM_BACK, err);
  if (!step) return err->code;
  step->norm = s;
  if (pass) ESPL_TRY(nn_grad_put(x, g->sum, d, err));
  else nn_tensor_drop(&d);
  if (nn_needs(x, n->input[0])) return nn_grad_put(x, n->input[0], dx, err);
  nn_tensor_drop(&dx);
  return ESPL_OK;
}

/* ---- the library's ---- */

/* Batch norm into the value of the group, with ReLU where that is all there is behind it; a sum or a clamp follow in place. */
static espl_status lower_library(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  dnn_mem *src = nn_value(x, n->input[0]);
  const dnn_md *md = dnn_mem_md(src);
  bool train = x->mode == ESPL_MODE_TRAIN, relu = g->sum < 0 && g->post.kind == DNN_ACT_RELU;
  int32_t c = n->shape.c;
  dnn_op *op = dnn_bn(x->d, train ? DNN_FWD_TRAIN : DNN_FWD_INFER, md, n->eps, relu, NULL, err);
  if (!op) return err->code;
  g->fwd = op;
  g->mean = vector(x, c, train ? NULL : n->param[ESPL_PARAM_MEAN]->value, err);
  g->var = vector(x, c, train ? NULL : n->param[ESPL_PARAM_VAR]->value, err);
  const dnn_md *ws = dnn_op_md(op, DNN_WS);
  if (ws && !(g->ws = dnn_mem_new(x->d, ws, NULL, err))) return err->code;
  ESPL_TRY(nn_define(x, g->last, md, err));
  dnn_mem *dst = x->val[g->last].mem;
  dnn_arg a[] = {{DNN_SRC, src}, {DNN_MEAN, g->mean}, {DNN_VAR, g->var},
                 {DNN_SCALE, vector(x, c, n->param[ESPL_PARAM_GAMMA]->value, err)},
                 {DNN_SHIFT, vector(x, c, n->param[ESPL_PARAM_BETA]->value, err)}, {DNN_DST, dst}, {DNN_WS, g->ws}};
  ESPL_TRY(nn_emit(&x->fwd, op, ws ? 7 : 6, a, err));
  if (g->sum >= 0) {
    dnn_mem *r = nn_adapt(x, &x->fwd, nn_value(x, g->sum), md, err);
    ESPL_TRY(nn_emit(&x->fwd, dnn_binary(x->d, DNN_ADD, md, md, md, g->post, err), 3, (dnn_arg[]){{DNN_SRC, dst}, {DNN_SRC1, r}, {DNN_DST, dst}}, err));
  } else if (g->post.kind != DNN_ACT_NONE && !relu) {
    const dnn_op *act = dnn_eltwise(x->d, train ? DNN_FWD_TRAIN : DNN_FWD_INFER, g->post, md, NULL, err);
    ESPL_TRY(nn_emit(&x->fwd, act, 2, (dnn_arg[]){{DNN_SRC, dst}, {DNN_DST, dst}}, err));
  }
  if (!train) return ESPL_OK;
  nn_step *s = nn_step_add(&x->fwd, NN_STEP_STATS, err);
  if (!s) return err->code;
  s->stats = (nn_stats){n, g->mean, g->var, (double)x->batch * n->shape.h * n->shape.w};
  return ESPL_OK;
}

static espl_status back_library(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  espl_param *gamma = n->param[ESPL_PARAM_GAMMA], *beta = n->param[ESPL_PARAM_BETA];
  dnn_mem *src = nn_value(x, n->input[0]);
  const bool relu = g->sum < 0 && g->post.kind == DNN_ACT_RELU;
  int32_t c = n->shape.c;
  if (!relu) ESPL_TRY(nn_back_act(x, g, dout, err));
  if (g->sum >= 0 && nn_needs(x, g->sum)) {
    dout->slot->refs++;
    ESPL_TRY(nn_grad_put(x, g->sum, *dout, err));
  }
  dnn_op *op = dnn_bn(x->d, DNN_BWD, dnn_mem_md(src), n->eps, relu, g->fwd, err);
  nn_tensor din = *dout;
  if (dout->slot->refs == 1) dout->slot->refs++;
  else ESPL_TRY(nn_tensor_new(x, dnn_mem_md(src), &din, err));
  dnn_arg a[] = {{DNN_SRC, src}, {DNN_MEAN, g->mean}, {DNN_VAR, g->var}, {DNN_DDST, dout->mem}, {DNN_DSRC, din.mem},
                 {DNN_SCALE, vector(x, c, gamma->value, err)}, {DNN_SHIFT, vector(x, c, beta->value, err)},
                 {DNN_DSCALE, vector(x, c, gamma->grad, err)}, {DNN_DSHIFT, vector(x, c, beta->grad, err)}, {DNN_WS, g->ws}};
  ESPL_TRY(nn_emit(&x->bwd, op, g->ws ? 10 : 9, a, err));
  nn_tensor_drop(dout);
  if (nn_needs(x, n->input[0])) return nn_grad_put(x, n->input[0], din, err);
  nn_tensor_drop(&din);
  return ESPL_OK;
}

espl_status nn_lower_norm(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  dnn_mem *src = nn_value(x, n->input[0]);
  if (n->op == ESPL_OP_BATCHNORM) return own(x, g, dnn_mem_md(src)) ? lower_own(x, g, src, err) : lower_library(x, g, err);
  src = nn_in_blocks(x, &x->fwd, src, err);
  return src ? lower_own(x, g, src, err) : err->code;
}

espl_status nn_back_norm(espl_exec *x, nn_group *g, nn_tensor *dout, nn_tensor *second, espl_err *err) {
  return g->norm.bn ? back_own(x, g, dout, second, err) : back_library(x, g, dout, err);
}
