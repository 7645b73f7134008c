/* Arithmetic on constants that exporters leave in the file: shapes put together piece by piece, reshaped weights.
 * A node is folded when every input is a constant and its cost is that of its elements (Shape also of a flowing value);
 * what it means is in tensor/op.h. */
#include <string.h>

#include "onnx/onnx_int.h"

static bool foldable(espl_top_kind k) {
  switch (k) {
    case ESPL_TOP_CONV: case ESPL_TOP_CONVTRANSPOSE: case ESPL_TOP_MAXPOOL: case ESPL_TOP_AVERAGEPOOL: case ESPL_TOP_GEMM: case ESPL_TOP_MATMUL:
    case ESPL_TOP_QUANTIZELINEAR: case ESPL_TOP_DEQUANTIZELINEAR: return false; /* costly, or noted by qdq_read.c */
    default: return true;
  }
}

static espl_status evaluate(espli_import *im, const Onnx__NodeProto *n, const espl_tensor *const *in) {
  espl_top op;
  espl_tensor *value = NULL, *out[ESPL_TOP_OUTPUTS];
  espl_err why = {0};
  espl_tlimits limits = {im->fold_limit - im->folded, ESPL_TENSOR_ELEMS};
  espl_status s = espli_top_decode(n, im->opset, &op, &value, &why);
  int outputs = s == ESPL_OK ? (int)n->n_output : 0;
  while (outputs > 1 && !n->output[outputs - 1][0]) outputs--;
  if (s == ESPL_OK) s = espl_top_run(&op, in, (int)n->n_input, out, outputs, limits, &why);
  espl_tensor_free(value);
  if (s != ESPL_OK) return espli_refuse(im, n, s, "%s", why.msg);
  for (int k = 0; k < outputs; k++)
    if (n->output[k][0] && s == ESPL_OK) s = espli_define_const(im, n, (size_t)k, out[k]);
    else espl_tensor_free(out[k]);
  return s;
}

/* The shape of a flowing value, that of an empty stand-in; a batch that may vary counts as 1. */
static espl_status shape_of_flow(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  espl_shape s = im->g->node[v->id].shape;
  espl_tensor stand_in = {.type = ESPL_T_FLOAT, .dims = v->rank, .dim = {im->batch > 1 ? im->batch : 1, s.c, v->rank == 3 ? s.w : s.h, s.w}};
  return evaluate(im, n, (const espl_tensor *[]){&stand_in});
}

espl_status espli_fold(espli_import *im, const Onnx__NodeProto *n, bool *done) {
  const espl_tensor *in[ESPL_TOP_INPUTS] = {NULL};
  espl_top_kind kind;
  *done = false;
  if (!espl_top_find(espli_text(n->op_type), &kind) || !foldable(kind) || n->n_input > ESPL_TOP_INPUTS) return ESPL_OK;
  for (size_t j = 0; j < n->n_input; j++) {
    ESPL_TRY(espli_const(im, n, j, &in[j]));
    if (in[j] || !espli_has_input(n, j)) continue;
    *done = kind == ESPL_TOP_SHAPE;
    return *done ? shape_of_flow(im, n) : ESPL_OK;
  }
  if (n->n_input == 0 && kind != ESPL_TOP_CONSTANT) return ESPL_OK;
  *done = true;
  return evaluate(im, n, in);
}
