/* Element by element: activations, arithmetic with broadcasting. */
#include <math.h>
#include <string.h>

#include "tensor/op_int.h"

/* ---- one input ---- */

static float real_unary(const espl_top *op, float x) {
  switch (op->kind) {
    case ESPL_TOP_RELU: return x > 0 || isnan(x) ? x : 0.0f;
    case ESPL_TOP_LEAKYRELU: return x < 0 ? op->alpha * x : x;
    case ESPL_TOP_HARDSWISH: return x * fmaxf(0.0f, fminf(1.0f, x / 6.0f + 0.5f));
    case ESPL_TOP_HARDSIGMOID: return fmaxf(0.0f, fminf(1.0f, op->alpha * x + op->beta));
    case ESPL_TOP_SIGMOID: return x >= 0 ? 1.0f / (1.0f + expf(-x)) : expf(x) / (1.0f + expf(x));
    case ESPL_TOP_TANH: return tanhf(x);
    case ESPL_TOP_EXP: return expf(x);
    case ESPL_TOP_SQRT: return sqrtf(x);
    case ESPL_TOP_NEG: return -x;
    case ESPL_TOP_ABS: return fabsf(x);
    case ESPL_TOP_FLOOR: return floorf(x);
    case ESPL_TOP_CEIL: return ceilf(x);
    default: return 1.0f / x;
  }
}

espl_status espli_unary(espli_call *c) {
  const espl_tensor *a = c->in[0];
  espl_top_kind k = c->op->kind;
  if (a->i && k != ESPL_TOP_RELU && k != ESPL_TOP_NEG && k != ESPL_TOP_ABS) return espli_want_real(c, 1);
  ESPL_TRY(espli_out(c, 0, a->type, a->dims, a->dim));
  espl_tensor *t = c->out[0];
  for (int64_t j = 0; j < a->elems; j++)
    if (a->f) t->f[j] = espl_type_round(a->type, real_unary(c->op, a->f[j]));
    else t->i[j] = espl_type_wrap(a->type, a->i[j] >= 0 && k != ESPL_TOP_NEG ? a->i[j] : k == ESPL_TOP_RELU ? 0 : (int64_t)(0 - (uint64_t)a->i[j]));
  return ESPL_OK;
}

/* The limits are inputs since operator set 11, attributes before; a missing one does not limit; the upper one wins. */
espl_status espli_clip(espli_call *c) {
  const espl_tensor *a = c->in[0], *lo = c->n_in > 1 ? c->in[1] : NULL, *hi = c->n_in > 2 ? c->in[2] : NULL;
  if ((lo && (lo->elems != 1 || lo->type != a->type)) || (hi && (hi->elems != 1 || hi->type != a->type)))
    return espl_fail(c->err, ESPL_E_INPUT, "its limits are not single values of the type of its input (%s)", espl_type_name(a->type));
  ESPL_TRY(espli_out(c, 0, a->type, a->dims, a->dim));
  espl_tensor *t = c->out[0];
  float flo = lo && lo->f ? lo->f[0] : c->op->lo, fhi = hi && hi->f ? hi->f[0] : c->op->hi;
  for (int64_t k = 0; k < a->elems; k++)
    if (a->f) {
      float v = a->f[k] < flo ? flo : a->f[k];
      t->f[k] = v > fhi ? fhi : v;
    } else {
      int64_t v = lo && a->i[k] < lo->i[0] ? lo->i[0] : a->i[k];
      t->i[k] = hi && v > hi->i[0] ? hi->i[0] : v;
    }
  return ESPL_OK;
}

/* ---- two inputs ---- */

/* Walks two broadcast inputs row by row of the output: calls `row` with offsets and the inner steps (0 or 1). */
typedef struct walk {
  int dims;
  int64_t dim[ESPL_TENSOR_DIMS], sa[ESPL_TENSOR_DIMS], sb[ESPL_TENSOR_DIMS], x[ESPL_TENSOR_DIMS], a, b;
} walk;

static void walk_strides(const espl_tensor *t, int dims, int64_t s[ESPL_TENSOR_DIMS]) {
  int64_t own[ESPL_TENSOR_DIMS] = {0};
  espli_strides(t->dims, t->dim, own);
  for (int d = 0; d < dims; d++) {
    int k = d - (dims - t->dims);
    s[d] = k < 0 || t->dim[k] == 1 ? 0 : own[k];
  }
}

static espl_status walk_start(espli_call *c, const espl_tensor *a, const espl_tensor *b, walk *w) {
  memset(w, 0, sizeof *w);
  ESPL_TRY(espli_broadcast(c, a->dims, a->dim, b->dims, b->dim, &w->dims, w->dim));
  walk_strides(a, w->dims, w->sa);
  walk_strides(b, w->dims, w->sb);
  if (w->dims == 0) w->dims = 1, w->dim[0] = 1;
  return ESPL_OK;
}

/* Offsets of the next row. */
static void walk_next(walk *w) {
  for (int d = w->dims - 2; d >= 0; d--) {
    w->a += w->sa[d];
    w->b += w->sb[d];
    if (++w->x[d] < w->dim[d]) return;
    w->a -= w->sa[d] * w->dim[d];
    w->b -= w->sb[d] * w->dim[d];
    w->x[d] = 0;
  }
}

static float real_op(espl_top_kind k, float a, float b) {
  switch (k) {
    case ESPL_TOP_SUM:
    case ESPL_TOP_ADD: return a + b;
    case ESPL_TOP_SUB: return a - b;
    case ESPL_TOP_MUL: return a * b;
    case ESPL_TOP_DIV: return a / b;
    case ESPL_TOP_MAX: return isnan(a) || a > b ? a : b;
    case ESPL_TOP_MIN: return isnan(a) || a < b ? a : b;
    default: return b < 0 ? 0 : b;
  }
}

/* Wrapping arithmetic; division truncates, by zero gives 0 (ONNX leaves it undefined). */
static int64_t int_op(espl_top_kind k, int64_t a, int64_t b) {
  uint64_t x = (uint64_t)a, y = (uint64_t)b;
  switch (k) {
    case ESPL_TOP_SUM:
    case ESPL_TOP_ADD: return (int64_t)(x + y);
    case ESPL_TOP_SUB: return (int64_t)(x - y);
    case ESPL_TOP_MUL: return (int64_t)(x * y);
    case ESPL_TOP_MAX: return a > b ? a : b;
    case ESPL_TOP_MIN: return a < b ? a : b;
    default: return b == 0 ? 0 : b == -1 ? (int64_t)(0 - x) : a / b;
  }
}

/* Unsigned 64-bit values beyond int64 are kept modulo 2^64; comparing or dividing them would be wrong. */
static espl_status check_pair(espli_call *c, const espl_tensor *a, const espl_tensor *b) {
  if (a->type != b->type) return espl_fail(c->err, ESPL_E_INPUT, "its inputs are of types %s and %s", espl_type_name(a->type), espl_type_name(b->type));
  return ESPL_OK;
}

static espl_status combine(espli_call *c, espl_top_kind op, const espl_tensor *a, const espl_tensor *b, int k) {
  walk w;
  ESPL_TRY(check_pair(c, a, b));
  ESPL_TRY(walk_start(c, a, b, &w));
  int dims = a->dims > b->dims ? a->dims : b->dims;
  ESPL_TRY(espli_out(c, k, a->type, dims, w.dim));
  espl_tensor *t = c->out[k];
  int64_t n = w.dim[w.dims - 1], sa = w.sa[w.dims - 1], sb = w.sb[w.dims - 1];
  for (int64_t at = 0; at < t->elems; at += n, walk_next(&w))
    for (int64_t x = 0; x < n; x++)
      if (a->f) t->f[at + x] = espl_type_round(a->type, real_op(op, a->f[w.a + x * sa], b->f[w.b + x * sb]));
      else t->i[at + x] = espl_type_wrap(a->type, int_op(op, a->i[w.a + x * sa], b->i[w.b + x * sb]));
  return ESPL_OK;
}

static espl_status equal(espli_call *c) {
  const espl_tensor *a = c->in[0], *b = c->in[1];
  walk w;
  ESPL_TRY(check_pair(c, a, b));
  ESPL_TRY(walk_start(c, a, b, &w));
  ESPL_TRY(espli_out(c, 0, ESPL_T_BOOL, a->dims > b->dims ? a->dims : b->dims, w.dim));
  int64_t n = w.dim[w.dims - 1], sa = w.sa[w.dims - 1], sb = w.sb[w.dims - 1];
  for (int64_t at = 0; at < c->out[0]->elems; at += n, walk_next(&w))
    for (int64_t x = 0; x < n; x++) {
      int64_t p = w.a + x * sa, q = w.b + x * sb;
      c->out[0]->i[at + x] = a->f ? a->f[p] == b->f[q] : a->i[p] == b->i[q];
    }
  return ESPL_OK;
}

espl_status espli_binary(espli_call *c) { return c->op->kind == ESPL_TOP_EQUAL ? equal(c) : combine(c, c->op->kind, c->in[0], c->in[1], 0); }

/* Sum, Max, Min of any number of inputs, one after the other. */
espl_status espli_variadic(espli_call *c) {
  espl_tensor *sum = espl_tensor_copy(c->in[0]);
  if (!sum) return espl_fail(c->err, ESPL_E_NOMEM, "out of memory");
  for (int k = 1; k < c->n_in; k++) {
    espl_status s = c->in[k] ? combine(c, c->op->kind, sum, c->in[k], 0) : espl_fail(c->err, ESPL_E_INPUT, "input %d is missing", k);
    espl_tensor_free(sum);
    ESPL_TRY(s);
    sum = c->out[0];
    c->out[0] = NULL;
  }
  c->out[0] = sum;
  return ESPL_OK;
}

espl_status espli_prelu(espli_call *c) {
  const espl_tensor *a = c->in[0], *b = c->in[1];
  walk w;
  ESPL_TRY(espli_want_real(c, 2));
  ESPL_TRY(walk_start(c, a, b, &w));
  ESPL_TRY(espli_out(c, 0, a->type, a->dims, a->dim));
  if (a->dims != (a->dims > b->dims ? a->dims : b->dims) || memcmp(a->dim, w.dim, (size_t)a->dims * sizeof *a->dim))
    return espl_fail(c->err, ESPL_E_INPUT, "its slope does not broadcast to its input");
  int64_t n = w.dim[w.dims - 1], sa = w.sa[w.dims - 1], sb = w.sb[w.dims - 1];
  for (int64_t at = 0; at < a->elems; at += n, walk_next(&w))
    for (int64_t x = 0; x < n; x++) {
      float v = a->f[w.a + x * sa];
      c->out[0]->f[at + x] = espl_type_round(a->type, v < 0 ? v * b->f[w.b + x * sb] : v);
    }
  return ESPL_OK;
}

espl_status espli_where(espli_call *c) {
  const espl_tensor *q = c->in[0], *a = c->in[1], *b = c->in[2];
  walk w, m;
  espl_tensor shape = {0}; /* of a and b together */
  ESPL_TRY(check_pair(c, a, b));
  if (q->type != ESPL_T_BOOL) return espl_fail(c->err, ESPL_E_INPUT, "its condition is of type %s", espl_type_name(q->type));
  ESPL_TRY(espli_broadcast(c, a->dims, a->dim, b->dims, b->dim, &shape.dims, shape.dim));
  ESPL_TRY(walk_start(c, q, &shape, &w));
  int dims = q->dims > shape.dims ? q->dims : shape.dims;
  ESPL_TRY(espli_out(c, 0, a->type, dims, w.dim));
  m = w;
  walk_strides(a, m.dims, m.sa);
  walk_strides(b, m.dims, m.sb);
  espl_tensor *t = c->out[0];
  int64_t n = w.dim[w.dims - 1], sq = w.sa[w.dims - 1], sa = m.sa[w.dims - 1], sb = m.sb[w.dims - 1];
  for (int64_t at = 0; at < t->elems; at += n, walk_next(&w), walk_next(&m))
    for (int64_t x = 0; x < n; x++) {
      bool yes = q->i[w.a + x * sq] != 0;
      int64_t p = yes ? m.a + x * sa : m.b + x * sb;
      const espl_tensor *from = yes ? a : b;
      if (t->i) t->i[at + x] = from->i[p];
      else t->f[at + x] = from->f[p];
    }
  return ESPL_OK;
}
