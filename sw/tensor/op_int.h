/* What the files of the tensor room share: one call of an operator, and helpers that every evaluation uses. */
#ifndef ESPL_TENSOR_OP_INT_H
#define ESPL_TENSOR_OP_INT_H
#include "tensor/op.h"

typedef struct espli_call {
  const espl_top *op;
  const espl_tensor *in[ESPL_TOP_INPUTS]; /* NULL: left out */
  int n_in;
  espl_tensor **out;
  int n_out;
  espl_tlimits limits;
  espl_err *err;
} espli_call;

typedef espl_status (*espli_eval)(espli_call *c);

/* ---- op.c ---- */
espl_status espli_out(espli_call *c, int k, espl_type type, int dims, const int64_t *dim) ESPL_MUST_CHECK; /* makes out[k] */
espl_status espli_work(const espli_call *c, int64_t a, int64_t b) ESPL_MUST_CHECK; /* refuses a * b inner steps above the limit */
/* Axis in [0, dims). */
espl_status espli_axis(const espli_call *c, int64_t axis, int dims, int *out) ESPL_MUST_CHECK;
/* `attr` when present, else the integers of input k; n = -1 when neither is there. At most `most` values. */
espl_status espli_list(const espli_call *c, const char *what, const espl_ints *attr, int k, int most, espl_ints *out) ESPL_MUST_CHECK;
/* Marks of the axes listed (each once); all when absent and `otherwise_all`. */
espl_status espli_axes(const espli_call *c, int k, int dims, bool otherwise_all, bool hit[ESPL_TENSOR_DIMS]) ESPL_MUST_CHECK;
espl_status espli_want_real(const espli_call *c, int inputs) ESPL_MUST_CHECK; /* the first `inputs` that are there hold reals */
/* ONNX broadcasting of two shapes. */
espl_status espli_broadcast(const espli_call *c, int da, const int64_t *a, int db, const int64_t *b, int *dims, int64_t *dim) ESPL_MUST_CHECK;

/* ---- map.c ---- */
/* out[x0,x1,..] = in[table[0][x0] + table[1][x1] + ..]; a negative entry gives `fill`. Tables of every axis of out, one after the other. */
void espli_map(const espl_tensor *in, espl_tensor *out, const int64_t *table, double fill);
void espli_strides(int dims, const int64_t *dim, int64_t stride[ESPL_TENSOR_DIMS]); /* row-major */

espl_status espli_transpose(espli_call *c), espli_slice(espli_call *c), espli_split(espli_call *c), espli_pad(espli_call *c),
    espli_gather(espli_call *c), espli_expand(espli_call *c), espli_concat(espli_call *c); /* map.c, slice.c */
espl_status espli_resize(espli_call *c);                                                     /* resize.c */
espl_status espli_reshape(espli_call *c), espli_flatten(espli_call *c), espli_squeeze(espli_call *c), espli_shape(espli_call *c),
    espli_size(espli_call *c), espli_constant(espli_call *c), espli_fill(espli_call *c), espli_range(espli_call *c), espli_cast(espli_call *c),
    espli_identity(espli_call *c), espli_dropout(espli_call *c); /* shape.c */
espl_status espli_unary(espli_call *c), espli_clip(espli_call *c), espli_prelu(espli_call *c), espli_binary(espli_call *c),
    espli_variadic(espli_call *c), espli_where(espli_call *c); /* point.c */
espl_status espli_conv(espli_call *c), espli_convtranspose(espli_call *c), espli_pool(espli_call *c), espli_globalpool(espli_call *c); /* window.c */
espl_status espli_batchnorm(espli_call *c), espli_instancenorm(espli_call *c), espli_softmax(espli_call *c), espli_reduce(espli_call *c); /* reduce.c */
espl_status espli_gemm(espli_call *c), espli_matmul(espli_call *c); /* matmul.c */
espl_status espli_quantize(espli_call *c), espli_dequantize(espli_call *c); /* quantize.c */

#endif
