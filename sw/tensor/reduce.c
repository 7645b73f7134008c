/* Normalisations, softmax and reductions over axes. */
#include <math.h>
#include <string.h>

#include "tensor/op_int.h"

static int64_t inner_of(const espl_tensor *a, int from) {
  int64_t n = 1;
  for (int d = from; d < a->dims; d++) n *= a->dim[d];
  return n;
}

/* Inputs 1 to `last` are vectors of one value a channel. */
static espl_status channel_vectors(espli_call *c, int last) {
  const espl_tensor *a = c->in[0];
  ESPL_TRY(espli_want_real(c, last + 1));
  if (a->dims < 2) return espl_fail(c->err, ESPL_E_INPUT, "its input has %d dimensions, expected at least 2", a->dims);
  for (int k = 1; k <= last; k++)
    if (c->in[k]->dims != 1 || c->in[k]->elems != a->dim[1])
      return espl_fail(c->err, ESPL_E_INPUT, "input %d has %lld elements, expected %lld (one a channel)", k, (long long)c->in[k]->elems, (long long)a->dim[1]);
  return ESPL_OK;
}

espl_status espli_batchnorm(espli_call *c) {
  const espl_tensor *a = c->in[0];
  ESPL_TRY(channel_vectors(c, 4));
  ESPL_TRY(espli_out(c, 0, a->type, a->dims, a->dim));
  int64_t inner = inner_of(a, 2);
  for (int64_t m = 0; inner && m < a->elems / inner; m++) {
    int64_t ch = m % a->dim[1];
    double s = c->in[1]->f[ch] / sqrt((double)c->in[4]->f[ch] + c->op->eps), b = c->in[2]->f[ch] - c->in[3]->f[ch] * s;
    for (int64_t k = m * inner; k < (m + 1) * inner; k++) c->out[0]->f[k] = espl_type_round(a->type, (float)(a->f[k] * s + b));
  }
  return ESPL_OK;
}

espl_status espli_instancenorm(espli_call *c) {
  const espl_tensor *a = c->in[0];
  ESPL_TRY(channel_vectors(c, 2));
  ESPL_TRY(espli_out(c, 0, a->type, a->dims, a->dim));
  int64_t inner = inner_of(a, 2);
  for (int64_t m = 0; inner && m < a->elems / inner; m++) {
    const float *x = a->f + m * inner;
    double mean = 0, var = 0;
    for (int64_t k = 0; k < inner; k++) mean += x[k];
    mean /= (double)inner;
    for (int64_t k = 0; k < inner; k++) var += (x[k] - mean) * (x[k] - mean);
    double s = c->in[1]->f[m % a->dim[1]] / sqrt(var / (double)inner + c->op->eps);
    for (int64_t k = 0; k < inner; k++) c->out[0]->f[m * inner + k] = espl_type_round(a->type, (float)((x[k] - mean) * s + c->in[2]->f[m % a->dim[1]]));
  }
  return ESPL_OK;
}

/* n values, `stride` apart. */
static void softmax_one(const float *x, float *y, int64_t n, int64_t stride) {
  float top = -INFINITY;
  double sum = 0;
  for (int64_t k = 0; k < n; k++) top = x[k * stride] > top ? x[k * stride] : top;
  for (int64_t k = 0; k < n; k++) sum += y[k * stride] = expf(x[k * stride] - top);
  for (int64_t k = 0; k < n; k++) y[k * stride] = (float)(y[k * stride] / sum);
}

/* Before operator set 13 everything from the axis on is one vector, and the axis is 1 unless given. */
espl_status espli_softmax(espli_call *c) {
  const espl_tensor *a = c->in[0];
  bool old = c->op->opset < 13;
  int axis = 0;
  ESPL_TRY(espli_want_real(c, 1));
  int64_t given = c->op->has_axis ? c->op->axis : old ? 1 : -1;
  if (!(old && given == a->dims)) ESPL_TRY(espli_axis(c, given, a->dims, &axis));
  else axis = a->dims;
  ESPL_TRY(espli_out(c, 0, a->type, a->dims, a->dim));
  int64_t inner = old ? 1 : inner_of(a, axis + 1), n = old ? inner_of(a, axis) : a->dim[axis];
  for (int64_t m = 0; n && inner && m < a->elems / n; m++) {
    int64_t at = m / inner * n * inner + m % inner;
    softmax_one(a->f + at, c->out[0]->f + at, n, inner);
  }
  for (int64_t k = 0; a->type != ESPL_T_FLOAT && k < a->elems; k++) c->out[0]->f[k] = espl_type_round(a->type, c->out[0]->f[k]);
  return ESPL_OK;
}

/* ---- reductions ---- */

typedef struct reduced {
  double f;
  int64_t i, n;
} reduced;

static void reduce_value(espl_top_kind op, const espl_tensor *a, int64_t k, reduced *r) {
  double f = a->f ? (double)a->f[k] : 0;
  int64_t i = a->i ? a->i[k] : 0;
  bool first = r->n++ == 0;
  switch (op) {
    case ESPL_TOP_REDUCEMAX:
      r->f = first || f > r->f ? f : r->f;
      r->i = first || i > r->i ? i : r->i;
      break;
    case ESPL_TOP_REDUCEMIN:
      r->f = first || f < r->f ? f : r->f;
      r->i = first || i < r->i ? i : r->i;
      break;
    case ESPL_TOP_REDUCEPROD:
      r->f = first ? f : r->f * f;
      r->i = first ? i : (int64_t)((uint64_t)r->i * (uint64_t)i);
      break;
    default: /* mean, sum */
      r->f += f;
      r->i = (int64_t)((uint64_t)r->i + (uint64_t)i);
  }
}

static void store(espli_call *c, int64_t k, reduced r) {
  espl_tensor *t = c->out[0];
  if (c->op->kind == ESPL_TOP_REDUCEMEAN && r.n) r.f /= (double)r.n, r.i /= r.n;
  if (c->op->kind == ESPL_TOP_REDUCEPROD && !r.n) r.f = 1, r.i = 1;
  if (t->f) t->f[k] = espl_type_round(t->type, (float)r.f);
  else t->i[k] = espl_type_wrap(t->type, r.i);
}

/* Kept axes outside, reduced axes inside, both walked by odometers over the input's strides. */
static void reduce_all(espli_call *c, const bool hit[ESPL_TENSOR_DIMS]) {
  const espl_tensor *a = c->in[0];
  int64_t stride[ESPL_TENSOR_DIMS] = {0}, x[ESPL_TENSOR_DIMS] = {0}, base = 0, inside = 1;
  espli_strides(a->dims, a->dim, stride);
  for (int d = 0; d < a->dims; d++) inside *= hit[d] ? a->dim[d] : 1;
  for (int64_t o = 0; o < c->out[0]->elems; o++) {
    reduced r = {0};
    for (int64_t k = 0, at = base; k < inside; k++) {
      reduce_value(c->op->kind, a, at, &r);
      for (int d = a->dims - 1; d >= 0; d--) {
        if (!hit[d]) continue;
        at += stride[d];
        if (++x[d] < a->dim[d]) break;
        at -= stride[d] * x[d];
        x[d] = 0;
      }
    }
    store(c, o, r);
    for (int d = a->dims - 1; d >= 0; d--) {
      if (hit[d]) continue;
      base += stride[d];
      if (++x[d] < a->dim[d]) break;
      base -= stride[d] * x[d];
      x[d] = 0;
    }
  }
}

espl_status espli_reduce(espli_call *c) {
  const espl_tensor *a = c->in[0];
  bool hit[ESPL_TENSOR_DIMS], any = false;
  int64_t dim[ESPL_TENSOR_DIMS];
  int dims = 0;
  ESPL_TRY(espli_axes(c, 1, a->dims, false, hit));
  for (int d = 0; d < a->dims; d++) any |= hit[d];
  if (!any && c->op->noop_empty) {
    c->out[0] = espl_tensor_copy(a);
    return c->out[0] ? ESPL_OK : espl_fail(c->err, ESPL_E_NOMEM, "out of memory");
  }
  for (int d = 0; d < a->dims; d++) {
    hit[d] |= !any;
    if (!hit[d]) dim[dims++] = a->dim[d];
    else if (c->op->keepdims) dim[dims++] = 1;
  }
  ESPL_TRY(espli_out(c, 0, a->type, dims, dim));
  reduce_all(c, hit);
  return ESPL_OK;
}
