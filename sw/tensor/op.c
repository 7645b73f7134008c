/* Dispatch of tensor operators and the checks they share. */
#include <math.h>
#include <string.h>

#include "tensor/op_int.h"

static const struct {
  const char *onnx;
  int fewest, most, outputs;
} rows[ESPL_TOP_COUNT] = {
#define X(name, onnx, fewest, most, outputs) {onnx, fewest, most, outputs},
    ESPL_TOP_LIST(X)
#undef X
};

const char *espl_top_name(espl_top_kind k) { return (unsigned)k < ESPL_TOP_COUNT ? rows[k].onnx : "?"; }

bool espl_top_find(const char *onnx, espl_top_kind *k) {
  for (int j = 0; j < ESPL_TOP_COUNT; j++)
    if (strcmp(rows[j].onnx, onnx) == 0) {
      *k = (espl_top_kind)j;
      return true;
    }
  return false;
}

void espl_top_arity(espl_top_kind k, int *fewest, int *most, int *outputs) {
  *fewest = rows[k].fewest;
  *most = rows[k].most;
  *outputs = rows[k].outputs;
}

void espl_top_init(espl_top *op, espl_top_kind k, int64_t opset) {
  *op = (espl_top){.kind = k, .opset = opset, .group = 1, .keepdims = true, .eps = 1e-5f, .n_scales = -1};
  op->alpha = k == ESPL_TOP_LEAKYRELU ? 0.01f : k == ESPL_TOP_HARDSIGMOID ? 0.2f : 1.0f;
  op->beta = k == ESPL_TOP_HARDSIGMOID ? 0.5f : 1.0f;
  op->lo = -INFINITY;
  op->hi = INFINITY;
  espl_ints *const lists[] = {&op->kernel, &op->strides, &op->dilations, &op->pads, &op->out_pads, &op->out_shape, &op->axes, &op->starts, &op->ends, &op->list};
  for (size_t j = 0; j < sizeof lists / sizeof *lists; j++) lists[j]->n = -1;
}

/* ---- helpers ---- */

espl_status espli_out(espli_call *c, int k, espl_type type, int dims, const int64_t *dim) {
  char text[160];
  int64_t elems = 1;
  espl_dims_text(text, sizeof text, dims, dim);
  if (dims > ESPL_TENSOR_DIMS) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "a result of %d dimensions, at most %d are supported", dims, ESPL_TENSOR_DIMS);
  for (int d = 0; d < dims; d++) {
    if (dim[d] < 0) return espl_fail(c->err, ESPL_E_INPUT, "its result would have the shape %s", text);
    if (dim[d] > 0 && elems > c->limits.elems / dim[d])
      return espl_fail(c->err, ESPL_E_UNSUPPORTED, "a result of shape %s, at most %lld elements are allowed", text, (long long)c->limits.elems);
    elems *= dim[d];
  }
  c->out[k] = espl_tensor_new(type, dims, dim);
  return c->out[k] ? ESPL_OK : espl_fail(c->err, ESPL_E_NOMEM, "out of memory for a tensor of shape %s", text);
}

espl_status espli_work(const espli_call *c, int64_t a, int64_t b) {
  if (b <= 0 || a <= c->limits.work / b) return ESPL_OK;
  return espl_fail(c->err, ESPL_E_UNSUPPORTED, "%lld outputs of %lld terms each, at most %lld terms are allowed", (long long)a, (long long)b, (long long)c->limits.work);
}

espl_status espli_axis(const espli_call *c, int64_t axis, int dims, int *out) {
  int64_t a = axis < 0 ? axis + dims : axis;
  if (a < 0 || a >= dims) return espl_fail(c->err, ESPL_E_INPUT, "axis %lld does not exist in %d dimensions", (long long)axis, dims);
  *out = (int)a;
  return ESPL_OK;
}

espl_status espli_list(const espli_call *c, const char *what, const espl_ints *attr, int k, int most, espl_ints *out) {
  const espl_tensor *t = k < c->n_in && k >= 0 ? c->in[k] : NULL;
  *out = *attr;
  if (attr->n < 0 && t) {
    if (!t->i || t->dims > 1) return espl_fail(c->err, ESPL_E_INPUT, "%s is not a list of integers", what);
    if (t->elems > most) return espl_fail(c->err, ESPL_E_INPUT, "%s has %lld values, at most %d are allowed", what, (long long)t->elems, most);
    out->n = (int)t->elems;
    for (int j = 0; j < out->n; j++) out->v[j] = t->i[j];
  }
  if (out->n > most) return espl_fail(c->err, ESPL_E_INPUT, "%s has %d values, at most %d are allowed", what, out->n, most);
  return ESPL_OK;
}

espl_status espli_axes(const espli_call *c, int k, int dims, bool otherwise_all, bool hit[ESPL_TENSOR_DIMS]) {
  espl_ints list;
  int a = 0;
  ESPL_TRY(espli_list(c, "axes", &c->op->axes, k, ESPL_TENSOR_DIMS, &list));
  for (int d = 0; d < ESPL_TENSOR_DIMS; d++) hit[d] = list.n < 0 && otherwise_all && d < dims;
  for (int j = 0; j < list.n; j++) {
    ESPL_TRY(espli_axis(c, list.v[j], dims, &a));
    if (hit[a]) return espl_fail(c->err, ESPL_E_INPUT, "axis %d is listed twice", a);
    hit[a] = true;
  }
  return ESPL_OK;
}

espl_status espli_want_real(const espli_call *c, int inputs) {
  for (int k = 0; k < inputs && k < c->n_in; k++)
    if (c->in[k] && !c->in[k]->f) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "input %d is of type %s, expected a floating type", k, espl_type_name(c->in[k]->type));
  return ESPL_OK;
}

espl_status espli_broadcast(const espli_call *c, int da, const int64_t *a, int db, const int64_t *b, int *dims, int64_t *dim) {
  *dims = da > db ? da : db;
  for (int d = 0; d < *dims; d++) {
    int64_t x = d < *dims - da ? 1 : a[d - (*dims - da)], y = d < *dims - db ? 1 : b[d - (*dims - db)];
    if (x != y && x != 1 && y != 1) {
      char ta[96], tb[96];
      espl_dims_text(ta, sizeof ta, da, a);
      espl_dims_text(tb, sizeof tb, db, b);
      return espl_fail(c->err, ESPL_E_INPUT, "shapes %s and %s do not broadcast", ta, tb);
    }
    dim[d] = x == 1 ? y : x;
  }
  return ESPL_OK;
}

/* ---- dispatch ---- */

static espli_eval evaluation(espl_top_kind k) {
  switch (k) {
    case ESPL_TOP_RELU: case ESPL_TOP_LEAKYRELU: case ESPL_TOP_HARDSWISH: case ESPL_TOP_HARDSIGMOID: case ESPL_TOP_SIGMOID: case ESPL_TOP_TANH:
    case ESPL_TOP_EXP: case ESPL_TOP_SQRT: case ESPL_TOP_NEG: case ESPL_TOP_ABS: case ESPL_TOP_FLOOR: case ESPL_TOP_CEIL: case ESPL_TOP_RECIPROCAL:
      return espli_unary;
    case ESPL_TOP_PRELU: return espli_prelu;
    case ESPL_TOP_CLIP: return espli_clip;
    case ESPL_TOP_ADD: case ESPL_TOP_SUB: case ESPL_TOP_MUL: case ESPL_TOP_DIV: case ESPL_TOP_EQUAL: return espli_binary;
    case ESPL_TOP_SUM: case ESPL_TOP_MAX: case ESPL_TOP_MIN: return espli_variadic;
    case ESPL_TOP_WHERE: return espli_where;
    case ESPL_TOP_CONV: return espli_conv;
    case ESPL_TOP_CONVTRANSPOSE: return espli_convtranspose;
    case ESPL_TOP_MAXPOOL: case ESPL_TOP_AVERAGEPOOL: return espli_pool;
    case ESPL_TOP_GLOBALAVERAGEPOOL: case ESPL_TOP_GLOBALMAXPOOL: return espli_globalpool;
    case ESPL_TOP_BATCHNORMALIZATION: return espli_batchnorm;
    case ESPL_TOP_INSTANCENORMALIZATION: return espli_instancenorm;
    case ESPL_TOP_SOFTMAX: return espli_softmax;
    case ESPL_TOP_REDUCEMEAN: case ESPL_TOP_REDUCESUM: case ESPL_TOP_REDUCEMAX: case ESPL_TOP_REDUCEMIN: case ESPL_TOP_REDUCEPROD: return espli_reduce;
    case ESPL_TOP_GEMM: return espli_gemm;
    case ESPL_TOP_MATMUL: return espli_matmul;
    case ESPL_TOP_RESHAPE: return espli_reshape;
    case ESPL_TOP_FLATTEN: return espli_flatten;
    case ESPL_TOP_SQUEEZE: case ESPL_TOP_UNSQUEEZE: return espli_squeeze;
    case ESPL_TOP_TRANSPOSE: return espli_transpose;
    case ESPL_TOP_CONCAT: return espli_concat;
    case ESPL_TOP_SLICE: return espli_slice;
    case ESPL_TOP_SPLIT: return espli_split;
    case ESPL_TOP_PAD: return espli_pad;
    case ESPL_TOP_GATHER: return espli_gather;
    case ESPL_TOP_EXPAND: return espli_expand;
    case ESPL_TOP_SHAPE: return espli_shape;
    case ESPL_TOP_SIZE: return espli_size;
    case ESPL_TOP_CONSTANT: return espli_constant;
    case ESPL_TOP_CONSTANTOFSHAPE: return espli_fill;
    case ESPL_TOP_RANGE: return espli_range;
    case ESPL_TOP_CAST: return espli_cast;
    case ESPL_TOP_IDENTITY: return espli_identity;
    case ESPL_TOP_DROPOUT: return espli_dropout;
    case ESPL_TOP_RESIZE: case ESPL_TOP_UPSAMPLE: return espli_resize;
    case ESPL_TOP_QUANTIZELINEAR: return espli_quantize;
    case ESPL_TOP_DEQUANTIZELINEAR: return espli_dequantize;
    case ESPL_TOP_COUNT: break;
  }
  return NULL;
}

espl_status espl_top_run(const espl_top *op, const espl_tensor *const *in, int n_in, espl_tensor **out, int n_out, espl_tlimits limits, espl_err *err) {
  espl_err local = {0};
  espli_call c = {.op = op, .n_in = n_in, .out = out, .n_out = n_out, .limits = limits, .err = err ? err : &local};
  for (int k = 0; k < n_out; k++) out[k] = NULL;
  if ((unsigned)op->kind >= ESPL_TOP_COUNT) return espl_fail(err, ESPL_E_BUG, "tensor operator %d does not exist", (int)op->kind);
  if (n_in < rows[op->kind].fewest || n_in > rows[op->kind].most)
    return espl_fail(err, ESPL_E_INPUT, "has %d inputs, expected %d to %d", n_in, rows[op->kind].fewest, rows[op->kind].most);
  if (n_out < 1 || n_out > rows[op->kind].outputs) return espl_fail(err, ESPL_E_UNSUPPORTED, "has %d outputs, at most %d are supported", n_out, rows[op->kind].outputs);
  for (int k = 0; k < n_in; k++) c.in[k] = in[k];
  for (int k = 0; k < rows[op->kind].fewest; k++)
    if (!in[k]) return espl_fail(err, ESPL_E_INPUT, "input %d is missing", k);
  espl_status s = evaluation(op->kind)(&c);
  for (int k = 0; s != ESPL_OK && k < n_out; k++) {
    espl_tensor_free(out[k]);
    out[k] = NULL;
  }
  return s;
}
