/* QuantizeLinear and DequantizeLinear: q = saturate(round-half-even(x / scale) + zero), x = (q - zero) * scale. */
#include <math.h>

#include "tensor/op_int.h"

/* Scales of the tensor: one, or one for every position of the axis; after: elements behind the axis. */
static espl_status grid(espli_call *c, int64_t *count, int64_t *after) {
  const espl_tensor *a = c->in[0], *s = c->in[1], *z = c->n_in > 2 ? c->in[2] : NULL;
  int axis;
  if (!s->f) return espl_fail(c->err, ESPL_E_INPUT, "its scale is of type %s", espl_type_name(s->type));
  if (z && z->elems != s->elems) return espl_fail(c->err, ESPL_E_INPUT, "%lld zero points for %lld scales", (long long)z->elems, (long long)s->elems);
  *count = *after = 1;
  if (s->elems == 1) return ESPL_OK;
  ESPL_TRY(espli_axis(c, c->op->has_axis ? c->op->axis : 1, a->dims, &axis));
  if (s->dims != 1 || s->elems != a->dim[axis])
    return espl_fail(c->err, ESPL_E_UNSUPPORTED, "%lld scales do not fit axis %d of extent %lld", (long long)s->elems, axis, (long long)a->dim[axis]);
  *count = a->dim[axis];
  for (int d = axis + 1; d < a->dims; d++) *after *= a->dim[d];
  return ESPL_OK;
}

static bool quantized_range(espl_type t, double *lo, double *hi) {
  if (t != ESPL_T_INT8 && t != ESPL_T_UINT8 && t != ESPL_T_INT16 && t != ESPL_T_UINT16) return false;
  bool sign = t == ESPL_T_INT8 || t == ESPL_T_INT16;
  double span = espl_type_bytes(t) == 1 ? 256 : 65536;
  *lo = sign ? -span / 2 : 0;
  *hi = *lo + span - 1;
  return true;
}

espl_status espli_quantize(espli_call *c) {
  const espl_tensor *a = c->in[0], *s = c->in[1], *z = c->n_in > 2 ? c->in[2] : NULL;
  int64_t count, after;
  double lo, hi;
  espl_type type = z ? z->type : c->op->to ? (espl_type)c->op->to : ESPL_T_UINT8;
  ESPL_TRY(grid(c, &count, &after));
  if (!quantized_range(type, &lo, &hi)) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "to element type %s (%d), 8 and 16 bit integers are supported", espl_type_name(type), (int)type);
  ESPL_TRY(espli_out(c, 0, type, a->dims, a->dim));
  for (int64_t k = 0; k < a->elems; k++) {
    int64_t ch = count == 1 ? 0 : k / after % count;
    double v = rint((double)((float)espl_tensor_at(a, k) / s->f[ch])) + (z ? (double)z->i[ch] : 0);
    c->out[0]->i[k] = (int64_t)(v > hi ? hi : v >= lo ? v : lo); /* no number becomes the lowest value */
  }
  return ESPL_OK;
}

espl_status espli_dequantize(espli_call *c) {
  const espl_tensor *a = c->in[0], *s = c->in[1], *z = c->n_in > 2 ? c->in[2] : NULL;
  int64_t count, after;
  ESPL_TRY(grid(c, &count, &after));
  if (!a->i || (z && z->type != a->type)) return espl_fail(c->err, ESPL_E_INPUT, "its input and zero point are of types %s and %s", espl_type_name(a->type), z ? espl_type_name(z->type) : "none");
  ESPL_TRY(espli_out(c, 0, s->type, a->dims, a->dim));
  for (int64_t k = 0; k < a->elems; k++) {
    int64_t ch = count == 1 ? 0 : k / after % count;
    c->out[0]->f[k] = espl_type_round(s->type, (float)(a->i[k] - (z ? z->i[ch] : 0)) * s->f[ch]);
  }
  return ESPL_OK;
}
