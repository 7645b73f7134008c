/* A node that runs by its definition (tensor/op.h) on row-major float32: a transposed convolution whose output padding reaches beyond what oneDNN
 * takes. Forward only: training it is refused. */
#include <string.h>

#include "nn/exec.h"

static const dnn_md *plain_of(espl_exec *x, espl_shape s, espl_err *err) {
  int32_t dim[4] = {x->batch, s.c, s.h, s.w};
  return dnn_md_plain(x->d, DNN_F32, 4, dim, err);
}

espl_status nn_lower_tensor(espl_exec *x, nn_group *g, espl_err *err) {
  const espl_node *n = &x->g->node[g->head];
  if (x->mode != ESPL_MODE_INFER || x->type != DNN_F32)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "operator %s: output padding of %d and %d is not below the stride and above the padding: it cannot be trained", espl_op_name(n->op),
                     (int)n->conv.extra_h, (int)n->conv.extra_w);
  nn_by_definition t = {.node = n, .batch = x->batch, .shape = x->g->node[n->input[0]].shape};
  const dnn_md *plain = plain_of(x, t.shape, err);
  t.from = plain ? nn_adapt(x, &x->fwd, nn_value(x, n->input[0]), plain, err) : NULL;
  if (!t.from) return err->code;
  ESPL_TRY(nn_define(x, g->last, plain_of(x, n->shape, err), err));
  t.to = x->val[g->last].mem;
  nn_step *s = nn_step_add(&x->fwd, NN_STEP_BY_DEFINITION, err);
  if (!s) return err->code;
  s->by_definition = t;
  return ESPL_OK;
}

/* The node as a tensor operator. */
static espl_top top_of(const espl_node *n) {
  const espl_conv_attr *a = &n->conv;
  espl_top op;
  espl_top_init(&op, ESPL_TOP_CONVTRANSPOSE, 13);
  op.group = a->groups;
  op.strides = (espl_ints){2, {a->sh, a->sw}};
  op.dilations = (espl_ints){2, {a->dh, a->dw}};
  op.pads = (espl_ints){4, {a->pt, a->pl, a->pb, a->pr}};
  op.out_pads = (espl_ints){2, {a->extra_h, a->extra_w}};
  return op;
}

/* Borrowed elements as a tensor. */
static espl_tensor view(int dims, const int64_t *dim, float *f) {
  espl_tensor t = {.type = ESPL_T_FLOAT, .dims = dims, .elems = 1, .f = f};
  for (int d = 0; d < dims; d++) t.elems *= t.dim[d] = dim[d];
  return t;
}

static espl_tensor view_param(const espl_param *p) {
  int64_t dim[ESPL_MAX_DIMS] = {0};
  for (int d = 0; d < p->dims; d++) dim[d] = p->dim[d];
  return view(p->dims, dim, p->value);
}

espl_status nn_run_by_definition(const nn_by_definition *s, espl_err *err) {
  const espl_param *w = s->node->param[ESPL_PARAM_WEIGHT], *b = s->node->param[ESPL_PARAM_BIAS];
  espl_tensor in[3] = {view(4, (int64_t[]){s->batch, s->shape.c, s->shape.h, s->shape.w}, dnn_mem_ptr(s->from)), view_param(w)}, *out;
  if (b) in[2] = view_param(b);
  espl_top op = top_of(s->node);
  ESPL_TRY(espl_top_run(&op, (const espl_tensor *const[]){&in[0], &in[1], &in[2]}, b ? 3 : 2, &out, 1, ESPL_TLIMITS_DEFAULT, err));
  memcpy(dnn_mem_ptr(s->to), out->f, (size_t)out->elems * sizeof *out->f);
  espl_tensor_free(out);
  return ESPL_OK;
}
