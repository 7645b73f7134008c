/* Operators that only choose and move elements, all through one table walk. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/op_int.h"

void espli_strides(int dims, const int64_t *dim, int64_t stride[ESPL_TENSOR_DIMS]) {
  for (int d = dims - 1; d >= 0; d--) stride[d] = d == dims - 1 ? 1 : stride[d + 1] * dim[d + 1];
}

/* One row: the innermost axis. `base` negative: the whole row is fill. */
static void map_row(const espl_tensor *in, espl_tensor *out, int64_t at, const int64_t *row, int64_t n, int64_t base, double fill) {
  for (int64_t x = 0; x < n; x++) {
    bool hit = base >= 0 && row[x] >= 0;
    if (out->i) out->i[at + x] = hit ? in->i[base + row[x]] : (int64_t)fill;
    else out->f[at + x] = hit ? in->f[base + row[x]] : (float)fill;
  }
}

void espli_map(const espl_tensor *in, espl_tensor *out, const int64_t *table, double fill) {
  static const int64_t one[1] = {0};
  const int64_t *t[ESPL_TENSOR_DIMS + 1] = {table};
  int64_t x[ESPL_TENSOR_DIMS] = {0}, n = out->dims ? out->dim[out->dims - 1] : 1;
  for (int d = 1; d < out->dims; d++) t[d] = t[d - 1] + out->dim[d - 1];
  const int64_t *row = out->dims ? t[out->dims - 1] : one;
  for (int64_t at = 0; at < out->elems; at += n) {
    int64_t base = 0;
    for (int d = 0; d < out->dims - 1 && base >= 0; d++) base = t[d][x[d]] < 0 ? -1 : base + t[d][x[d]];
    map_row(in, out, at, row, n, base, fill);
    for (int d = out->dims - 2; d >= 0 && ++x[d] == out->dim[d]; d--) x[d] = 0;
  }
}

/* Room for the tables of `dims` axes; NULL when out of memory. */
static int64_t *tables(int dims, const int64_t *dim) {
  int64_t n = 1;
  for (int d = 0; d < dims; d++) n += dim[d];
  return espl_calloc((size_t)n, sizeof(int64_t));
}

static espl_status no_memory(const espli_call *c) { return espl_fail(c->err, ESPL_E_NOMEM, "out of memory"); }

espl_status espli_transpose(espli_call *c) {
  const espl_tensor *a = c->in[0];
  const espl_ints *perm = &c->op->list;
  int64_t dim[ESPL_TENSOR_DIMS] = {0}, stride[ESPL_TENSOR_DIMS] = {0}, p[ESPL_TENSOR_DIMS] = {0};
  unsigned seen = 0;
  if (perm->n >= 0 && perm->n != a->dims) return espl_fail(c->err, ESPL_E_INPUT, "perm has %d values, its input %d dimensions", perm->n, a->dims);
  espli_strides(a->dims, a->dim, stride);
  for (int d = 0; d < a->dims; d++) {
    p[d] = perm->n < 0 ? a->dims - 1 - d : perm->v[d];
    if (p[d] < 0 || p[d] >= a->dims || (seen >> p[d] & 1)) return espl_fail(c->err, ESPL_E_INPUT, "perm is not a permutation of its %d axes", a->dims);
    seen |= 1u << p[d];
    dim[d] = a->dim[p[d]];
  }
  ESPL_TRY(espli_out(c, 0, a->type, a->dims, dim));
  int64_t *t = tables(a->dims, dim), *at = t;
  if (!t) return no_memory(c);
  for (int d = 0; d < a->dims; d++)
    for (int64_t x = 0; x < dim[d]; x++) *at++ = x * stride[p[d]];
  espli_map(a, c->out[0], t, 0);
  free(t);
  return ESPL_OK;
}

espl_status espli_expand(espli_call *c) {
  const espl_tensor *a = c->in[0];
  espl_ints want, absent = {.n = -1};
  int dims;
  int64_t dim[ESPL_TENSOR_DIMS] = {0}, stride[ESPL_TENSOR_DIMS] = {0};
  ESPL_TRY(espli_list(c, "its shape", &absent, 1, ESPL_TENSOR_DIMS, &want));
  ESPL_TRY(espli_broadcast(c, a->dims, a->dim, want.n, want.v, &dims, dim));
  ESPL_TRY(espli_out(c, 0, a->type, dims, dim));
  espli_strides(a->dims, a->dim, stride);
  int64_t *t = tables(dims, dim), *at = t;
  if (!t) return no_memory(c);
  for (int d = 0; d < dims; d++) {
    int from = d - (dims - a->dims);
    for (int64_t x = 0; x < dim[d]; x++) *at++ = from < 0 || a->dim[from] == 1 ? 0 : x * stride[from];
  }
  espli_map(a, c->out[0], t, 0);
  free(t);
  return ESPL_OK;
}

/* Indices of any shape take the place of the axis. */
espl_status espli_gather(espli_call *c) {
  const espl_tensor *a = c->in[0], *x = c->in[1];
  int axis;
  int64_t dim[2 * ESPL_TENSOR_DIMS] = {0}, flat[3] = {1, x->elems, 1};
  ESPL_TRY(espli_axis(c, c->op->axis, a->dims, &axis));
  if (!x->i) return espl_fail(c->err, ESPL_E_INPUT, "its indices are of type %s", espl_type_name(x->type));
  if (a->dims - 1 + x->dims > ESPL_TENSOR_DIMS) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "more than %d dimensions", ESPL_TENSOR_DIMS);
  int dims = 0;
  for (int d = 0; d < axis; d++) flat[0] *= dim[dims++] = a->dim[d];
  for (int d = 0; d < x->dims; d++) dim[dims++] = x->dim[d];
  for (int d = axis + 1; d < a->dims; d++) flat[2] *= dim[dims++] = a->dim[d];
  ESPL_TRY(espli_out(c, 0, a->type, dims, dim));
  for (int64_t k = 0; k < x->elems; k++)
    if (x->i[k] < -a->dim[axis] || x->i[k] >= a->dim[axis])
      return espl_fail(c->err, ESPL_E_INPUT, "index %lld of an axis of extent %lld", (long long)x->i[k], (long long)a->dim[axis]);
  int64_t *t = tables(3, flat), *at = t;
  if (!t) return no_memory(c);
  for (int64_t k = 0; k < flat[0]; k++) *at++ = k * a->dim[axis] * flat[2];
  for (int64_t k = 0; k < flat[1]; k++) *at++ = (x->i[k] < 0 ? x->i[k] + a->dim[axis] : x->i[k]) * flat[2];
  for (int64_t k = 0; k < flat[2]; k++) *at++ = k;
  espl_tensor view = *c->out[0];
  view.dims = 3;
  memcpy(view.dim, flat, sizeof flat);
  if (view.elems) espli_map(a, &view, t, 0);
  free(t);
  return ESPL_OK;
}

espl_status espli_concat(espli_call *c) {
  const espl_tensor *a = c->in[0];
  int axis;
  int64_t dim[ESPL_TENSOR_DIMS], inner = 1, outer = 1, at = 0;
  if (!c->op->has_axis && c->op->opset >= 4) return espl_fail(c->err, ESPL_E_INPUT, "has no axis");
  ESPL_TRY(espli_axis(c, c->op->axis, a->dims, &axis));
  memcpy(dim, a->dim, sizeof dim);
  dim[axis] = 0;
  for (int k = 0; k < c->n_in; k++) {
    const espl_tensor *b = c->in[k];
    if (!b) return espl_fail(c->err, ESPL_E_INPUT, "input %d is missing", k);
    bool same = b->dims == a->dims && b->type == a->type;
    for (int d = 0; same && d < a->dims; d++) same = d == axis || b->dim[d] == a->dim[d];
    if (!same) return espl_fail(c->err, ESPL_E_INPUT, "input %d does not fit input 0 in type or in extents other than axis %d", k, axis);
    dim[axis] += b->dim[axis];
  }
  ESPL_TRY(espli_out(c, 0, a->type, a->dims, dim));
  for (int d = 0; d < a->dims; d++) *(d < axis ? &outer : d > axis ? &inner : &(int64_t){0}) *= a->dim[d];
  for (int64_t o = 0; o < outer; o++)
    for (int k = 0; k < c->n_in; k++) {
      int64_t run = c->in[k]->dim[axis] * inner;
      if (a->i) memcpy(c->out[0]->i + at, c->in[k]->i + o * run, (size_t)run * sizeof(int64_t));
      else memcpy(c->out[0]->f + at, c->in[k]->f + o * run, (size_t)run * sizeof(float));
      at += run;
    }
  return ESPL_OK;
}
