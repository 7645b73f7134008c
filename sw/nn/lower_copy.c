/* Operators that only move data: subsampling, channel padding, concatenation, and a FLATTEN whose readers need a
 * plain layout. Their gradients are the same moves in the other direction. */
#include "nn/exec.h"

static espl_status view_of(const dnn_mem *m, dnn_view *v, espl_err *err) {
  if (dnn_md_view(dnn_mem_md(m), v)) return ESPL_OK;
  return espl_fail(err, ESPL_E_UNSUPPORTED, "this operator cannot read the memory layout in front of it");
}

/* from(src_c0 + c) -> to(dst_c0 + c) for c < channels; big_strides stretches the side given by `stretch_src`. */
static espl_status move(nn_list *l, dnn_mem *from, int32_t src_c0, dnn_mem *to, int32_t dst_c0, int32_t channels, int32_t sh,
                        int32_t sw, bool stretch_src, bool clear, espl_err *err) {
  nn_copy k = {.src_c0 = src_c0, .dst_c0 = dst_c0, .from = from, .to = to, .clear = clear};
  ESPL_TRY(view_of(from, &k.src, err));
  ESPL_TRY(view_of(to, &k.dst, err));
  dnn_view *big = stretch_src ? &k.src : &k.dst;
  k.extent = stretch_src ? k.dst : k.src;
  k.extent.c = channels;
  big->sh *= sh;
  big->sw *= sw;
  nn_step *s = nn_step_add(l, NN_STEP_COPY, err);
  if (!s) return err->code;
  s->copy = k;
  return ESPL_OK;
}

/* The same bytes seen as row-major [N, C,H,W of the input of a FLATTEN]. */
static dnn_mem *unflat(espl_exec *x, espl_shape s, dnn_mem *flat, espl_err *err) {
  int32_t dim[4] = {x->batch, s.c, s.h, s.w};
  const dnn_md *m = dnn_md_plain(x->d, x->type, 4, dim, err);
  return m ? dnn_mem_new(x->d, m, dnn_mem_ptr(flat), err) : NULL;
}

static espl_status lower_flatten(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  dnn_mem *src = nn_value(x, n->input[0]);
  int32_t dim[4] = {x->batch, n->shape.c, 1, 1};
  ESPL_TRY(nn_define(x, g->last, dnn_md_plain(x->d, x->type, 4, dim, err), err));
  dnn_mem *to = unflat(x, x->g->node[n->input[0]].shape, x->val[g->last].mem, err);
  if (!to) return err->code;
  const dnn_op *op = dnn_reorder(x->d, dnn_mem_md(src), dnn_mem_md(to), err);
  return nn_emit(&x->fwd, op, 2, (dnn_arg[]){{DNN_FROM, src}, {DNN_TO, to}}, err);
}

static espl_status back_flatten(espl_exec *x, nn_group *g, dnn_mem *dout, espl_err *err) {
  int32_t in = x->g->node[g->head].input[0];
  const dnn_md *want = dnn_mem_md(nn_value(x, in));
  dnn_mem *from = unflat(x, x->g->node[in].shape, dout, err);
  nn_tensor din;
  if (!from) return err->code;
  ESPL_TRY(nn_tensor_new(x, want, &din, err));
  const dnn_op *op = dnn_reorder(x->d, dnn_mem_md(from), want, err);
  ESPL_TRY(nn_emit(&x->bwd, op, 2, (dnn_arg[]){{DNN_FROM, from}, {DNN_TO, din.mem}}, err));
  return nn_grad_put(x, in, din, err);
}

espl_status nn_lower_copy(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  if (n->op == ESPL_OP_FLATTEN) return lower_flatten(x, g, err);
  const dnn_md *like = dnn_mem_md(nn_value(x, n->input[0]));
  ESPL_TRY(nn_define(x, g->last, dnn_md_like(x->d, like, n->shape.c, n->shape.h, n->shape.w, err), err));
  dnn_mem *to = x->val[g->last].mem;
  int32_t at = n->op == ESPL_OP_PADCHANNELS ? n->pad_c0 : 0;
  bool sub = n->op == ESPL_OP_SUBSAMPLE;
  for (int i = 0; i < n->inputs; i++) {
    int32_t c = x->g->node[n->input[i]].shape.c;
    ESPL_TRY(move(&x->fwd, nn_value(x, n->input[i]), 0, to, at, c, sub ? n->conv.sh : 1, sub ? n->conv.sw : 1, true, i == 0, err));
    at += c;
  }
  return ESPL_OK;
}

espl_status nn_back_copy(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  int32_t at = n->op == ESPL_OP_PADCHANNELS ? n->pad_c0 : 0;
  bool sub = n->op == ESPL_OP_SUBSAMPLE;
  for (int i = 0; i < n->inputs; i++) {
    int32_t c = x->g->node[n->input[i]].shape.c;
    if (nn_needs(x, n->input[i])) {
      if (n->op == ESPL_OP_FLATTEN) {
        ESPL_TRY(back_flatten(x, g, dout->mem, err));
      } else {
        nn_tensor din;
        ESPL_TRY(nn_tensor_new(x, dnn_mem_md(nn_value(x, n->input[i])), &din, err));
        ESPL_TRY(move(&x->bwd, dout->mem, at, din.mem, 0, c, sub ? n->conv.sh : 1, sub ? n->conv.sw : 1, false, true, err));
        ESPL_TRY(nn_grad_put(x, n->input[i], din, err));
      }
    }
    at += c;
  }
  nn_tensor_drop(dout);
  return ESPL_OK;
}
