/* Slice, Split and Pad: ranges along axes. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/op_int.h"

/* The elements start, start+step, .. (count of them) of every axis. */
static espl_status take(espli_call *c, int k, const int64_t *start, const int64_t *step, const int64_t *count) {
  const espl_tensor *a = c->in[0];
  int64_t stride[ESPL_TENSOR_DIMS] = {0}, n = 1;
  ESPL_TRY(espli_out(c, k, a->type, a->dims, count));
  espli_strides(a->dims, a->dim, stride);
  for (int d = 0; d < a->dims; d++) n += count[d];
  int64_t *t = espl_calloc((size_t)n, sizeof *t), *at = t;
  if (!t) return espl_fail(c->err, ESPL_E_NOMEM, "out of memory");
  for (int d = 0; d < a->dims; d++)
    for (int64_t x = 0; x < count[d]; x++) *at++ = (start[d] + x * step[d]) * stride[d];
  espli_map(a, c->out[k], t, 0);
  free(t);
  return ESPL_OK;
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* One axis: from, to and step as ONNX clamps them. */
static void slice_range(int64_t extent, int64_t from, int64_t to, int64_t by, int64_t *start, int64_t *count) {
  int64_t s = from < -extent ? -1 : from < 0 ? from + extent : from, e = to < -extent ? -1 : to < 0 ? to + extent : to;
  if (by > 0) {
    s = clamp(s, 0, extent);
    e = clamp(e, 0, extent);
    *count = e > s ? (e - s - 1) / by + 1 : 0;
  } else {
    s = from < -extent ? (extent ? 0 : -1) : clamp(s, 0, extent - 1);
    e = clamp(e, -1, extent - 1);
    *count = s > e ? (s - e - 1) / -by + 1 : 0;
  }
  *start = s;
}

espl_status espli_slice(espli_call *c) {
  const espl_tensor *a = c->in[0];
  espl_ints from, to, by, absent = {.n = -1}, axes;
  int64_t start[ESPL_TENSOR_DIMS] = {0}, step[ESPL_TENSOR_DIMS], count[ESPL_TENSOR_DIMS];
  ESPL_TRY(espli_list(c, "starts", &c->op->starts, 1, ESPL_TENSOR_DIMS, &from));
  ESPL_TRY(espli_list(c, "ends", &c->op->ends, 2, ESPL_TENSOR_DIMS, &to));
  ESPL_TRY(espli_list(c, "axes", &c->op->axes, 3, ESPL_TENSOR_DIMS, &axes));
  ESPL_TRY(espli_list(c, "steps", &absent, 4, ESPL_TENSOR_DIMS, &by));
  if (from.n < 0 || to.n != from.n || (axes.n >= 0 && axes.n != from.n) || (by.n >= 0 && by.n != from.n) || from.n > a->dims)
    return espl_fail(c->err, ESPL_E_INPUT, "starts, ends, axes and steps have %d, %d, %d and %d values for %d dimensions", from.n, to.n, axes.n, by.n, a->dims);
  for (int d = 0; d < a->dims; d++) step[d] = 1, count[d] = a->dim[d];
  unsigned seen = 0;
  for (int k = 0; k < from.n; k++) {
    int d;
    ESPL_TRY(espli_axis(c, axes.n < 0 ? k : axes.v[k], a->dims, &d));
    if (seen >> d & 1) return espl_fail(c->err, ESPL_E_INPUT, "axis %d is listed twice", d);
    seen |= 1u << d;
    step[d] = by.n < 0 ? 1 : by.v[k];
    if (step[d] == 0) return espl_fail(c->err, ESPL_E_INPUT, "the step of axis %d is 0", d);
    step[d] = clamp(step[d], -ESPL_TENSOR_ELEMS - 1, ESPL_TENSOR_ELEMS + 1);
    slice_range(a->dim[d], from.v[k], to.v[k], step[d], &start[d], &count[d]);
  }
  return take(c, 0, start, step, count);
}

/* Extents from `split`, else equal parts, the last one smaller when they do not divide (operator set 18). */
espl_status espli_split(espli_call *c) {
  const espl_tensor *a = c->in[0];
  int axis, parts = c->op->outputs;
  espl_ints sizes;
  int64_t start[ESPL_TENSOR_DIMS] = {0}, step[ESPL_TENSOR_DIMS], count[ESPL_TENSOR_DIMS], part;
  const espl_tensor *given = c->n_in > 1 ? c->in[1] : NULL;
  ESPL_TRY(espli_axis(c, c->op->axis, a->dims, &axis));
  sizes = c->op->list;
  if (given && (!given->i || given->dims != 1)) return espl_fail(c->err, ESPL_E_INPUT, "split is not a list of integers");
  int64_t have = given ? given->elems : sizes.n;
  if (have >= 0 && have != parts) return espl_fail(c->err, ESPL_E_INPUT, "split has %lld values, the node %d outputs", (long long)have, parts);
  if (have < 0 && c->op->opset < 18 && a->dim[axis] % parts)
    return espl_fail(c->err, ESPL_E_INPUT, "an extent of %lld does not split into %d equal parts", (long long)a->dim[axis], parts);
  part = (a->dim[axis] + parts - 1) / parts;
  for (int d = 0; d < a->dims; d++) step[d] = 1, count[d] = a->dim[d];
  for (int k = 0; k < c->n_out; k++) {
    int64_t left = a->dim[axis] - start[axis], n = given ? given->i[k] : have >= 0 ? sizes.v[k] : part < left ? part : left;
    if (n < 0 || n > left || (k == parts - 1 && n != left))
      return espl_fail(c->err, ESPL_E_INPUT, "the parts of split do not add up to the extent %lld of axis %d", (long long)a->dim[axis], axis);
    count[axis] = n;
    ESPL_TRY(take(c, k, start, step, count));
    start[axis] += n;
  }
  return ESPL_OK;
}

/* Source index of position x (may be outside) of an axis of extent n; -1: the constant. */
static int64_t pad_source(espl_word mode, int64_t x, int64_t n) {
  if (x >= 0 && x < n) return x;
  if (mode == ESPL_WORD_EDGE) return clamp(x, 0, n - 1);
  if (mode == ESPL_WORD_WRAP) return ((x % n) + n) % n;
  if (mode != ESPL_WORD_REFLECT) return -1;
  if (n == 1) return 0;
  int64_t period = 2 * (n - 1), r = ((x % period) + period) % period;
  return r < n ? r : period - r;
}

/* Pads before and after every axis, from the full list or the listed axes (operator set 18). */
static espl_status pad_amounts(espli_call *c, int64_t *before, int64_t *after) {
  const espl_tensor *a = c->in[0];
  espl_ints pads, axes;
  ESPL_TRY(espli_list(c, "pads", &c->op->pads, 1, 2 * ESPL_TENSOR_DIMS, &pads));
  ESPL_TRY(espli_list(c, "axes", &c->op->axes, 3, ESPL_TENSOR_DIMS, &axes));
  int half = axes.n < 0 ? a->dims : axes.n;
  if (pads.n != 2 * half) return espl_fail(c->err, ESPL_E_INPUT, "has %d pads, expected %d", pads.n, 2 * half);
  for (int k = 0; k < half; k++) {
    int d;
    ESPL_TRY(espli_axis(c, axes.n < 0 ? k : axes.v[k], a->dims, &d));
    if (pads.v[k] < -ESPL_TENSOR_ELEMS || pads.v[k] > ESPL_TENSOR_ELEMS || pads.v[half + k] < -ESPL_TENSOR_ELEMS || pads.v[half + k] > ESPL_TENSOR_ELEMS)
      return espl_fail(c->err, ESPL_E_UNSUPPORTED, "pads axis %d by %lld and %lld", d, (long long)pads.v[k], (long long)pads.v[half + k]);
    before[d] = pads.v[k];
    after[d] = pads.v[half + k];
  }
  return ESPL_OK;
}

espl_status espli_pad(espli_call *c) {
  const espl_tensor *a = c->in[0], *value = c->n_in > 2 ? c->in[2] : NULL;
  espl_word mode = c->op->mode;
  int64_t before[ESPL_TENSOR_DIMS] = {0}, after[ESPL_TENSOR_DIMS] = {0}, dim[ESPL_TENSOR_DIMS], stride[ESPL_TENSOR_DIMS] = {0}, n = 1;
  if (mode > ESPL_WORD_WRAP) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "mode is none of constant, reflect, edge, wrap");
  if (value && value->elems != 1) return espl_fail(c->err, ESPL_E_INPUT, "its constant has %lld elements", (long long)value->elems);
  ESPL_TRY(pad_amounts(c, before, after));
  for (int d = 0; d < a->dims; d++) {
    dim[d] = a->dim[d] + before[d] + after[d];
    if (dim[d] > 0 && a->dim[d] == 0 && mode > ESPL_WORD_CONSTANT) return espl_fail(c->err, ESPL_E_INPUT, "axis %d is empty and padded from its own elements", d);
    n += dim[d] > 0 ? dim[d] : 0;
  }
  ESPL_TRY(espli_out(c, 0, a->type, a->dims, dim));
  espli_strides(a->dims, a->dim, stride);
  int64_t *t = espl_calloc((size_t)n, sizeof *t), *at = t;
  if (!t) return espl_fail(c->err, ESPL_E_NOMEM, "out of memory");
  for (int d = 0; d < a->dims; d++)
    for (int64_t x = 0; x < dim[d]; x++) {
      int64_t from = pad_source(mode, x - before[d], a->dim[d]);
      *at++ = from < 0 ? -1 : from * stride[d];
    }
  espli_map(a, c->out[0], t, value ? espl_tensor_at(value, 0) : (double)c->op->fill);
  free(t);
  return ESPL_OK;
}
