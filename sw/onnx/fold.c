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

/* The outputs of n for these inputs, *outputs of them; free() each. */
static espl_status compute(espli_import *im, const Onnx__NodeProto *n, const espl_tensor *const *in, espl_tensor *out[ESPL_TOP_OUTPUTS], int *outputs) {
  espl_top op;
  espl_tensor *value = NULL;
  espl_err why = {0};
  espl_tlimits limits = {im->fold_limit - im->folded, ESPL_TENSOR_ELEMS};
  espl_status s = espli_top_decode(n, im->opset, &op, &value, &why);
  *outputs = s == ESPL_OK ? (int)n->n_output : 0;
  while (*outputs > 1 && !n->output[*outputs - 1][0]) --*outputs;
  if (s == ESPL_OK) s = espl_top_run(&op, in, (int)n->n_input, out, *outputs, limits, &why);
  espl_tensor_free(value);
  return s == ESPL_OK ? s : espli_refuse(im, n, s, "%s", why.msg);
}

static bool same(const espl_tensor *a, const espl_tensor *b) {
  if (a->type != b->type || a->dims != b->dims || a->elems != b->elems) return false;
  if (memcmp(a->dim, b->dim, (size_t)a->dims * sizeof *a->dim)) return false;
  return a->f ? memcmp(a->f, b->f, (size_t)a->elems * sizeof *a->f) == 0 : memcmp(a->i, b->i, (size_t)a->elems * sizeof *a->i) == 0;
}

static void drop(espl_tensor **t, int n) {
  for (int k = 0; k < n; k++) espl_tensor_free(t[k]);
}

/* Defines the outputs of n; `other`: its inputs for the other batch, NULL when they are the same. */
static espl_status evaluate(espli_import *im, const Onnx__NodeProto *n, const espl_tensor *const *in, const espl_tensor *const *other) {
  espl_tensor *out[ESPL_TOP_OUTPUTS], *varied[ESPL_TOP_OUTPUTS] = {NULL};
  int outputs = 0;
  ESPL_TRY(compute(im, n, in, out, &outputs));
  espl_status s = other ? compute(im, n, other, varied, &outputs) : ESPL_OK;
  if (s != ESPL_OK) {
    drop(out, outputs);
    return s;
  }
  for (int k = 0; k < outputs; k++) {
    if (varied[k] && same(out[k], varied[k])) {
      espl_tensor_free(varied[k]);
      varied[k] = NULL;
    }
    if (n->output[k][0] && s == ESPL_OK) s = espli_define_const(im, n, (size_t)k, out[k], varied[k]);
    else drop((espl_tensor *[]){out[k], varied[k]}, 2);
  }
  return s;
}

/* The shape of a flowing value, that of an empty stand-in. */
static espl_status shape_of_flow(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  espl_shape s = im->g->node[v->id].shape;
  espl_tensor stand_in = {.type = ESPL_T_FLOAT, .dims = v->rank, .dim = {im->batch ? im->batch : 1, s.c, v->rank == 3 ? s.w : s.h, s.w}}, other = stand_in;
  other.dim[0] = ESPLI_OTHER_BATCH;
  return evaluate(im, n, (const espl_tensor *[]){&stand_in}, im->batch ? NULL : (const espl_tensor *[]){&other});
}

espl_status espli_fold(espli_import *im, const Onnx__NodeProto *n, bool *done) {
  const espl_tensor *in[ESPL_TOP_INPUTS] = {NULL}, *other[ESPL_TOP_INPUTS] = {NULL};
  espl_top_kind kind;
  bool varies = false;
  *done = false;
  if (!espl_top_find(espli_text(n->op_type), &kind) || !foldable(kind) || n->n_input > ESPL_TOP_INPUTS) return ESPL_OK;
  for (size_t j = 0; j < n->n_input; j++) {
    ESPL_TRY(espli_const_pair(im, n, j, &in[j], &other[j]));
    varies |= in[j] != other[j];
    if (in[j] || !espli_has_input(n, j)) continue;
    *done = kind == ESPL_TOP_SHAPE;
    return *done ? shape_of_flow(im, n) : ESPL_OK;
  }
  if (n->n_input == 0 && kind != ESPL_TOP_CONSTANT) return ESPL_OK;
  *done = true;
  return evaluate(im, n, in, varies ? other : NULL);
}
