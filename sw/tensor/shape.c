/* Operators on shapes, types and constants. */
#include <math.h>
#include <string.h>

#include "tensor/op_int.h"

static espl_status give(espli_call *c, espl_tensor *t) {
  c->out[0] = t;
  return t ? ESPL_OK : espl_fail(c->err, ESPL_E_NOMEM, "out of memory");
}

espl_status espli_identity(espli_call *c) { return give(c, espl_tensor_copy(c->in[0])); }

/* Inference: the input; the mask is all true. */
espl_status espli_dropout(espli_call *c) {
  const espl_tensor *training = c->n_in > 2 ? c->in[2] : NULL, *a = c->in[0];
  if (training && training->elems && espl_tensor_at(training, 0) != 0) {
    const espl_tensor *ratio = c->in[1];
    if (!ratio || ratio->elems != 1 || espl_tensor_at(ratio, 0) != 0) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "training mode, only inference is supported");
  }
  ESPL_TRY(give(c, espl_tensor_copy(a)));
  if (c->n_out < 2) return ESPL_OK;
  ESPL_TRY(espli_out(c, 1, c->op->opset < 10 ? a->type : ESPL_T_BOOL, a->dims, a->dim));
  for (int64_t k = 0; k < a->elems; k++)
    if (c->out[1]->i) c->out[1]->i[k] = 1;
    else c->out[1]->f[k] = 1;
  return ESPL_OK;
}

espl_status espli_reshape(espli_call *c) {
  const espl_tensor *a = c->in[0];
  espl_ints s;
  int64_t dim[ESPL_TENSOR_DIMS], known = 1;
  int rest = -1;
  ESPL_TRY(espli_list(c, "its target shape", &c->op->list, 1, ESPL_TENSOR_DIMS, &s));
  if (s.n < 0) return espl_fail(c->err, ESPL_E_INPUT, "has no target shape");
  for (int d = 0; d < s.n; d++) {
    dim[d] = s.v[d];
    if (dim[d] == 0 && !c->op->allowzero) {
      if (d >= a->dims) return espl_fail(c->err, ESPL_E_INPUT, "extent %d of its target is copied from an input of %d dimensions", d, a->dims);
      dim[d] = a->dim[d];
    }
    if (dim[d] == -1 && rest < 0) {
      rest = d;
      continue;
    }
    if (dim[d] < 0 || dim[d] > ESPL_TENSOR_ELEMS || (dim[d] && known > ESPL_TENSOR_ELEMS / dim[d]))
      return espl_fail(c->err, ESPL_E_INPUT, "extent %d of its target is %lld", d, (long long)dim[d]);
    known *= dim[d];
  }
  if (rest >= 0) dim[rest] = known ? a->elems / known : 0;
  if (known * (rest >= 0 ? dim[rest] : 1) != a->elems) {
    char text[160];
    espl_dims_text(text, sizeof text, s.n, s.v);
    return espl_fail(c->err, ESPL_E_INPUT, "its target shape %s does not hold the %lld elements of its input", text, (long long)a->elems);
  }
  return give(c, espl_tensor_as(a, s.n, dim));
}

espl_status espli_flatten(espli_call *c) {
  const espl_tensor *a = c->in[0];
  int64_t axis = c->op->has_axis ? c->op->axis : 1, dim[2] = {1, 1};
  if (axis < 0) axis += a->dims;
  if (axis < 0 || axis > a->dims) return espl_fail(c->err, ESPL_E_INPUT, "axis %lld does not exist in %d dimensions", (long long)c->op->axis, a->dims);
  for (int d = 0; d < a->dims; d++) dim[d >= axis] *= a->dim[d];
  return give(c, espl_tensor_as(a, 2, dim));
}

espl_status espli_squeeze(espli_call *c) {
  const espl_tensor *a = c->in[0];
  bool squeeze = c->op->kind == ESPL_TOP_SQUEEZE, hit[ESPL_TENSOR_DIMS];
  espl_ints axes;
  int64_t dim[ESPL_TENSOR_DIMS];
  ESPL_TRY(espli_list(c, "axes", &c->op->axes, 1, ESPL_TENSOR_DIMS, &axes));
  int total = squeeze ? a->dims : a->dims + (axes.n < 0 ? 0 : axes.n), dims = 0, from = 0;
  if (!squeeze && axes.n < 0) return espl_fail(c->err, ESPL_E_INPUT, "has no axes");
  if (total > ESPL_TENSOR_DIMS) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "a result of %d dimensions, at most %d are supported", total, ESPL_TENSOR_DIMS);
  ESPL_TRY(espli_axes(c, 1, total, false, hit));
  for (int d = 0; d < total; d++) {
    if (!squeeze) dim[dims++] = hit[d] ? 1 : a->dim[from++];
    else if (!(axes.n < 0 ? a->dim[d] == 1 : hit[d])) dim[dims++] = a->dim[d];
    else if (a->dim[d] != 1) return espl_fail(c->err, ESPL_E_INPUT, "axis %d has extent %lld, expected 1", d, (long long)a->dim[d]);
  }
  return give(c, espl_tensor_as(a, dims, dim));
}

/* start and end of operator set 15, clamped to the rank. */
espl_status espli_shape(espli_call *c) {
  const espl_tensor *a = c->in[0];
  int64_t from = c->op->start, to = c->op->has_end ? c->op->end : a->dims;
  if (from < 0) from += a->dims;
  if (to < 0) to += a->dims;
  from = from < 0 ? 0 : from > a->dims ? a->dims : from;
  to = to < 0 ? 0 : to > a->dims ? a->dims : to;
  int64_t n = to > from ? to - from : 0;
  ESPL_TRY(espli_out(c, 0, ESPL_T_INT64, 1, &n));
  for (int64_t k = 0; k < n; k++) c->out[0]->i[k] = a->dim[from + k];
  return ESPL_OK;
}

espl_status espli_size(espli_call *c) {
  ESPL_TRY(espli_out(c, 0, ESPL_T_INT64, 0, NULL));
  c->out[0]->i[0] = c->in[0]->elems;
  return ESPL_OK;
}

espl_status espli_constant(espli_call *c) {
  if (!c->op->value) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "a constant without a tensor");
  return give(c, espl_tensor_copy(c->op->value));
}

espl_status espli_fill(espli_call *c) {
  const espl_tensor *one = c->op->value;
  espl_ints s, absent = {.n = -1};
  ESPL_TRY(espli_list(c, "its shape", &absent, 0, ESPL_TENSOR_DIMS, &s));
  if (one && one->elems != 1) return espl_fail(c->err, ESPL_E_INPUT, "its value has %lld elements, expected 1", (long long)one->elems);
  ESPL_TRY(espli_out(c, 0, one ? one->type : ESPL_T_FLOAT, s.n, s.v));
  espl_tensor *t = c->out[0];
  for (int64_t k = 0; one && k < t->elems; k++)
    if (t->i) t->i[k] = one->i[0];
    else t->f[k] = one->f[0];
  return ESPL_OK;
}

espl_status espli_range(espli_call *c) {
  const espl_tensor *a = c->in[0];
  for (int k = 0; k < 3; k++)
    if (c->in[k]->elems != 1 || c->in[k]->type != a->type) return espl_fail(c->err, ESPL_E_INPUT, "start, limit and delta are not three numbers of one type");
  double from = espl_tensor_at(a, 0), by = espl_tensor_at(c->in[2], 0), count = ceil((espl_tensor_at(c->in[1], 0) - from) / by);
  if (by == 0 || !(count < (double)c->limits.elems)) return espl_fail(c->err, ESPL_E_INPUT, "a range of %g elements", count);
  int64_t n = count > 0 ? (int64_t)count : 0;
  ESPL_TRY(espli_out(c, 0, a->type, 1, &n));
  for (int64_t k = 0; k < n; k++)
    if (a->i) c->out[0]->i[k] = espl_type_wrap(a->type, (int64_t)((uint64_t)a->i[0] + (uint64_t)k * (uint64_t)c->in[2]->i[0]));
    else c->out[0]->f[k] = (float)(from + (double)k * by);
  return ESPL_OK;
}

/* Reals to integers truncate; what does not fit an int64 is refused. */
espl_status espli_cast(espli_call *c) {
  const espl_tensor *a = c->in[0];
  if (c->op->to < 0 || c->op->to > 64 || !espl_type_known((int32_t)c->op->to)) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "to element type %lld", (long long)c->op->to);
  espl_type to = (espl_type)c->op->to;
  ESPL_TRY(espli_out(c, 0, to, a->dims, a->dim));
  espl_tensor *t = c->out[0];
  for (int64_t k = 0; k < a->elems; k++) {
    if (t->f) t->f[k] = espl_type_round(to, a->i ? (float)a->i[k] : a->f[k]);
    else if (a->i) t->i[k] = espl_type_wrap(to, a->i[k]);
    else if (to == ESPL_T_BOOL) t->i[k] = a->f[k] != 0.0f;
    else if (fabsf(a->f[k]) < 9e18f) t->i[k] = espl_type_wrap(to, (int64_t)a->f[k]);
    else return espl_fail(c->err, ESPL_E_INPUT, "element %lld is %g, which is no %s", (long long)k, (double)a->f[k], espl_type_name(to));
  }
  return ESPL_OK;
}
