/* Scales, zero points and weights: from TFLite's order and integers to the graph's floats and notes.
 *
 * A weight is real = s[o]*(raw - z[o]). When every raw - z is within -128..127 those are the integers of the note; else the floats are
 * quantized again: wscale[o] = max|real|/127, w = round(real/wscale[o]), and the bias stays float.
 * An int32 bias counts units of (input scale)*(weight scale), whatever its own quantization says, as TFLite's kernels take it. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tflite/tflite_int.h"

espl_status espli_tfl_grid(espli_tfl *im, const espli_tfl_op *o, const espli_tfl_tensor *t, float *scale, int32_t *zero) {
  char name[96];
  espli_tfl_name(im, t->index, name, sizeof name);
  if (t->scale.n != 1 || t->zero.n > 1) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "value %s has %u scales and %u zero points, expected one", name, t->scale.n, t->zero.n);
  float s = espli_vec_f32(&im->f, t->scale, 0);
  int64_t z = t->zero.n ? espli_vec_i64(&im->f, t->zero, 0) : 0;
  if (!isnormal(s) || s < 0) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "value %s has scale %g, expected a positive number", name, (double)s);
  if (t->type == ESPLI_TFL_U8) z -= z > -1000 ? 128 : 0;
  if (z < -128 || z > 127) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "value %s has zero point %lld", name, (long long)(t->type == ESPLI_TFL_U8 ? z + 128 : z));
  *scale = s;
  *zero = (int32_t)z;
  return ESPL_OK;
}

/* The constant weight being read. */
typedef struct source {
  espli_tfl *im;
  const espli_tfl_tensor *t;
  const espli_tfl_walk *walk;
  int64_t row; /* elements of an output channel */
} source;

static int64_t offset_of(const source *s, int32_t o, int64_t k) {
  const espli_tfl_walk *w = s->walk;
  int64_t area = (int64_t)w->n[2] * w->n[3];
  return o * w->step[0] + k / area * w->step[1] + k % area / w->n[3] * w->step[2] + k % w->n[3] * w->step[3];
}

static float float_at(const source *s, int32_t o, int64_t k) { return espli_vec_f32(&s->im->f, s->t->data, (uint32_t)offset_of(s, o, k)); }

static int32_t raw_at(const source *s, int32_t o, int64_t k) {
  uint8_t b = s->im->f.p[s->t->data.at + (uint64_t)offset_of(s, o, k)];
  return s->t->type == ESPLI_TFL_U8 ? b : (int8_t)b;
}

static float scale_of(const source *s, int32_t o) { return espli_vec_f32(&s->im->f, s->t->scale, s->t->scale.n == 1 ? 0 : (uint32_t)o); }
static int64_t zero_of(const source *s, int32_t o) { return s->t->zero.n ? espli_vec_i64(&s->im->f, s->t->zero, s->t->zero.n == 1 ? 0 : (uint32_t)o) : 0; }

/* Scales that fit: one, or one an output channel along `axis`; zero points inside their type. */
static espl_status check_scales(const source *s, const espli_tfl_op *o, int32_t axis) {
  const espli_tfl_tensor *t = s->t;
  uint32_t channels = (uint32_t)s->walk->n[0];
  if (t->scale.n != 1 && (t->scale.n != channels || t->axis != axis))
    return espli_tfl_refuse(s->im, o, ESPL_E_UNSUPPORTED, "its weight has %u scales along axis %d, expected 1, or %u along axis %d", t->scale.n, (int)t->axis, channels, (int)axis);
  if (t->zero.n > 1 && t->zero.n != t->scale.n) return espli_tfl_refuse(s->im, o, ESPL_E_INPUT, "its weight has %u zero points for %u scales", t->zero.n, t->scale.n);
  for (uint32_t k = 0; k < t->scale.n; k++) {
    float v = espli_vec_f32(&s->im->f, t->scale, k);
    if (!isnormal(v) || v < 0) return espli_tfl_refuse(s->im, o, ESPL_E_INPUT, "scale %u of its weight is %g, expected a positive number", k, (double)v);
  }
  for (uint32_t k = 0; k < t->zero.n; k++) {
    int64_t z = espli_vec_i64(&s->im->f, t->zero, k);
    if (z < -128 || z > 255) return espli_tfl_refuse(s->im, o, ESPL_E_INPUT, "zero point %u of its weight is %lld", k, (long long)z);
  }
  return ESPL_OK;
}

static int32_t largest(const source *s, int32_t o, bool *fits) {
  int32_t most = 0, z = (int32_t)zero_of(s, o);
  for (int64_t k = 0; k < s->row; k++) {
    int32_t v = raw_at(s, o, k) - z;
    if (v < -128 || v > 127) *fits = false;
    most = abs(v) > most ? abs(v) : most;
  }
  return most;
}

/* Integers of the note; *exact: they are those of the file. */
static espl_status take_integers(const source *s, const espli_tfl_op *op, espl_qnote *note, bool *exact) {
  int32_t channels = s->walk->n[0];
  note->w = espl_calloc((size_t)(s->row * channels), 1);
  note->wscale = espl_calloc((size_t)channels, sizeof *note->wscale);
  if (!note->w || !note->wscale) return espli_tfl_refuse(s->im, op, ESPL_E_NOMEM, "out of memory");
  *exact = true;
  for (int32_t o = 0; o < channels; o++) largest(s, o, exact);
  for (int32_t o = 0; o < channels; o++) {
    int32_t most = largest(s, o, &(bool){true}), z = (int32_t)zero_of(s, o);
    double grow = *exact || !most ? 1.0 : 127.0 / most;
    note->wscale[o] = (float)((double)scale_of(s, o) / grow);
    for (int64_t k = 0; k < s->row; k++) note->w[o * s->row + k] = (int8_t)nearbyint((raw_at(s, o, k) - z) * grow);
  }
  return ESPL_OK;
}

static espl_status take_bias(const source *s, const espli_tfl_op *op, int32_t id, const espli_tfl_tensor *b, bool integers, bool exact) {
  espli_tfl *im = s->im;
  int32_t channels = s->walk->n[0];
  if (b->elems != channels || b->rank != 1) return espli_tfl_refuse(im, op, ESPL_E_INPUT, "its bias has %lld elements, expected %d", (long long)b->elems, (int)channels);
  if (b->type != ESPLI_TFL_F32 && !(b->type == ESPLI_TFL_I32 && integers))
    return espli_tfl_refuse(im, op, ESPL_E_UNSUPPORTED, "its bias has element type %d; float32, and int32 behind quantized values, are supported", (int)b->type);
  char name[200];
  espli_tfl_name(im, b->index, name, sizeof name);
  ESPL_TRY(espl_graph_add_param(im->g, id, ESPL_PARAM_BIAS, name, 1, &channels, im->err));
  float *value = im->g->node[id].param[ESPL_PARAM_BIAS]->value;
  espl_qnote *note = integers ? &im->given->note[id] : NULL;
  if (note && exact && b->type == ESPLI_TFL_I32) {
    note->bias = espl_calloc((size_t)channels, sizeof *note->bias);
    note->bias_scale = espl_calloc((size_t)channels, sizeof *note->bias_scale);
    if (!note->bias || !note->bias_scale) return espli_tfl_refuse(im, op, ESPL_E_NOMEM, "out of memory");
  }
  for (int32_t o = 0; o < channels; o++) {
    double unit = integers ? (double)im->given->note[im->g->node[id].input[0]].scale * (double)scale_of(s, o) : 1;
    value[o] = b->type == ESPLI_TFL_F32 ? espli_vec_f32(&im->f, b->data, (uint32_t)o) : (float)(unit * espli_vec_i32(&im->f, b->data, (uint32_t)o));
    if (!isfinite(value[o])) return espli_tfl_refuse(im, op, ESPL_E_INPUT, "its bias is not finite");
    if (!note || !note->bias) continue;
    note->bias[o] = espli_vec_i32(&im->f, b->data, (uint32_t)o);
    note->bias_scale[o] = (float)unit;
  }
  return ESPL_OK;
}

espl_status espli_tfl_weights(espli_tfl *im, const espli_tfl_op *op, int32_t id, const espli_tfl_tensor *w, const espli_tfl_tensor *b, const espli_tfl_walk *walk, int32_t axis) {
  source s = {.im = im, .t = w, .walk = walk, .row = (int64_t)walk->n[1] * walk->n[2] * walk->n[3]};
  bool floats = w->type == ESPLI_TFL_F32, exact = true;
  bool integers = !floats && espl_qgiven_has(im->given, im->g->node[id].input[0]); /* else weights are stored small, values are float */
  char name[200];
  if (!floats && w->type != ESPLI_TFL_I8 && w->type != ESPLI_TFL_U8)
    return espli_tfl_refuse(im, op, ESPL_E_UNSUPPORTED, "its weight has element type %d; float32, int8 and uint8 are supported", (int)w->type);
  ESPL_TRY(espli_tfl_charge(im, op, w->elems));
  if (!floats) ESPL_TRY(check_scales(&s, op, axis));
  espli_tfl_name(im, w->index, name, sizeof name);
  bool gemm = im->g->node[id].op == ESPL_OP_GEMM;
  int32_t dim[4] = {walk->n[0], gemm ? (int32_t)s.row : walk->n[1], walk->n[2], walk->n[3]};
  ESPL_TRY(espl_graph_add_param(im->g, id, ESPL_PARAM_WEIGHT, name, gemm ? 2 : 4, dim, im->err));
  float *value = im->g->node[id].param[ESPL_PARAM_WEIGHT]->value;
  for (int32_t o = 0; o < dim[0]; o++)
    for (int64_t k = 0; k < s.row; k++) {
      float v = floats ? float_at(&s, o, k) : scale_of(&s, o) * (float)(raw_at(&s, o, k) - zero_of(&s, o));
      if (!isfinite(v)) return espli_tfl_refuse(im, op, ESPL_E_INPUT, "its weight is not finite");
      value[o * s.row + k] = v;
    }
  if (integers) {
    espl_qnote *note = espl_qgiven_note(im->given, id);
    if (!note) return espli_tfl_refuse(im, op, ESPL_E_NOMEM, "out of memory");
    ESPL_TRY(take_integers(&s, op, note, &exact));
    im->given->requantized = im->given->requantized || !exact;
  }
  return b ? take_bias(&s, op, id, b, integers, exact) : ESPL_OK;
}
