/* Import of QuantizeLinear and DequantizeLinear.
 *
 * A pair on a flowing value leaves no node: it notes scale and zero point of the value (int8 sense: uint8 values are moved down by 128)
 * and goes on under another name. DequantizeLinear of a constant folds to floats; the convolution or matrix product that reads them
 * notes the integers. Laws: an int8 value is read by DequantizeLinear only, a value that is quantized is not read unquantized. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "onnx/onnx_int.h"

static espl_status note_of(espli_import *im, const Onnx__NodeProto *n, int32_t id, espl_qnote **note) {
  if (!im->given) im->given = espl_qgiven_new();
  *note = im->given ? espl_qgiven_note(im->given, id) : NULL;
  return *note ? ESPL_OK : espli_refuse(im, n, ESPL_E_NOMEM, "out of memory");
}

static bool good_scale(double s) { return isfinite(s) && s > 0; }

/* Scale and zero point of a whole value from inputs 1 and 2, zero point in the int8 sense. */
static espl_status per_tensor(espli_import *im, const Onnx__NodeProto *n, float *scale, int32_t *zero) {
  const espl_tensor *s = NULL, *z = NULL;
  ESPL_TRY(espli_const(im, n, 1, &s));
  ESPL_TRY(espli_const(im, n, 2, &z));
  if (!s || !s->f || (!z && espli_has_input(n, 2))) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its scale or zero point is computed at run time");
  if (s->elems != 1 || (z && z->elems != 1))
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "an activation with %lld scales, the machine takes one", (long long)s->elems);
  if (!good_scale((double)s->f[0])) return espli_refuse(im, n, ESPL_E_INPUT, "its scale is %g, expected a positive number", (double)s->f[0]);
  int64_t type = z ? z->type : espli_attr_int(n, "output_dtype", ESPL_T_UINT8), v = z && z->i ? z->i[0] : 0;
  if (type != ESPL_T_INT8 && type != ESPL_T_UINT8) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "values of element type %lld, int8 and uint8 are supported", (long long)type);
  *scale = s->f[0];
  *zero = (int32_t)v - (type == ESPL_T_UINT8 ? 128 : 0);
  if (*zero < -128 || *zero > 127) return espli_refuse(im, n, ESPL_E_INPUT, "its zero point is %lld", (long long)v);
  return ESPL_OK;
}

static espl_status op_quantize(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  espl_qnote *note = NULL;
  float scale = 0;
  int32_t zero = 0;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(per_tensor(im, n, &scale, &zero));
  ESPL_TRY(note_of(im, n, v->id, &note));
  if (note->quantized && (note->scale != scale || note->zero != zero))
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "quantizes %s a second time in another way", v->name);
  note->quantized = true;
  note->scale = scale;
  note->zero = zero;
  v->quantizers += !v->on_grid;
  im->quantized++;
  ESPL_TRY(espli_define_flow(im, n, v->id, v->rank));
  espli_find(im, n->output[0])->integer = true;
  return ESPL_OK;
}

/* Scale and zero point of element k of a constant with `after` elements behind the axis of extent `count`. */
typedef struct grid {
  const espl_tensor *q, *s, *z;
  int64_t count, after;
} grid;

static int64_t channel_of(const grid *g, int64_t k) { return g->s->elems == 1 ? 0 : k / g->after % g->count; }
static int64_t zero_of(const grid *g, int64_t ch) { return g->z ? g->z->i[g->z->elems == 1 ? 0 : ch] : 0; }

/* The parts of a DequantizeLinear of a constant, checked. */
static espl_status read_grid(espli_import *im, const Onnx__NodeProto *n, grid *g, int64_t *axis) {
  ESPL_TRY(espli_const(im, n, 0, &g->q));
  ESPL_TRY(espli_const(im, n, 1, &g->s));
  ESPL_TRY(espli_const(im, n, 2, &g->z));
  const espl_tensor *q = g->q;
  if (!q || !g->s || !g->s->f || (!g->z && espli_has_input(n, 2))) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its scale or zero point is computed at run time");
  if (!q->i || (q->type != ESPL_T_INT8 && q->type != ESPL_T_UINT8 && q->type != ESPL_T_INT32))
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "constants of element type %d, int8, uint8 and int32 are supported", q->type);
  if (espli_attr_int(n, "block_size", 0)) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "scales by block are not supported");
  *axis = espli_attr_int(n, "axis", 1);
  if (*axis < 0) *axis += q->dims;
  bool one = g->s->elems == 1, along = *axis >= 0 && *axis < q->dims && g->s->dims == 1 && g->s->elems == q->dim[*axis];
  if (!one && !along) return espli_refuse(im, n, ESPL_E_INPUT, "%lld scales do not fit axis %lld of its input", (long long)g->s->elems, (long long)*axis);
  if (g->z && (!g->z->i || (g->z->elems != 1 && g->z->elems != g->s->elems))) return espli_refuse(im, n, ESPL_E_INPUT, "%lld zero points for %lld scales", (long long)g->z->elems, (long long)g->s->elems);
  g->count = one ? 1 : q->dim[*axis];
  g->after = 1;
  for (int d = (int)*axis + 1; !one && d < q->dims; d++) g->after *= q->dim[d];
  for (int64_t k = 0; k < g->s->elems; k++)
    if (!good_scale((double)g->s->f[k])) return espli_refuse(im, n, ESPL_E_INPUT, "scale %lld is %g, expected a positive number", (long long)k, (double)g->s->f[k]);
  return ESPL_OK;
}

static espl_status dequantize_constant(espli_import *im, const Onnx__NodeProto *n) {
  grid g = {0};
  int64_t axis;
  ESPL_TRY(read_grid(im, n, &g, &axis));
  espl_tensor *t = espl_tensor_new(ESPL_T_FLOAT, g.q->dims, g.q->dim);
  for (int64_t k = 0; t && k < t->elems; k++) {
    int64_t ch = channel_of(&g, k);
    t->f[k] = (float)(g.q->i[k] - zero_of(&g, ch)) * g.s->f[ch];
  }
  ESPL_TRY(espli_define_const(im, n, 0, t, NULL));
  espli_find(im, n->output[0])->dequantizer = n;
  return ESPL_OK;
}

static espl_status op_dequantize(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = espli_has_input(n, 0) ? espli_find(im, n->input[0]) : NULL;
  float scale = 0;
  int32_t zero = 0;
  if (v && v->state == ESPLI_CONST) return dequantize_constant(im, n);
  if (!v || v->state != ESPLI_FLOW || !v->integer) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "reads %s, which no QuantizeLinear made", v ? v->name : "nothing");
  ESPL_TRY(per_tensor(im, n, &scale, &zero));
  const espl_qnote *note = &im->given->note[v->id];
  if (note->scale != scale || note->zero != zero) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "has another scale or zero point than the QuantizeLinear before it");
  ESPL_TRY(espli_define_alias(im, n, v, v->rank));
  espli_find(im, n->output[0])->on_grid = true;
  return ESPL_OK;
}

espli_handler espli_qdq_handler(const char *op_type) {
  if (strcmp(op_type, "QuantizeLinear") == 0) return op_quantize;
  return strcmp(op_type, "DequantizeLinear") == 0 ? op_dequantize : NULL;
}

/* ---- weights ---- */

/* Integers of the [O][row] matrix behind a weight; `outer`: its output channels are the first axis, else the last of two. */
static espl_status take_weights(espli_import *im, const Onnx__NodeProto *n, const Onnx__NodeProto *dq, bool outer, int32_t o, espl_qnote *note) {
  grid g = {0};
  int64_t axis;
  ESPL_TRY(read_grid(im, dq, &g, &axis));
  int64_t row = g.q->elems / o;
  if (g.s->elems != 1 && axis != (outer ? 0 : 1))
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its weight %s has scales along axis %lld, expected its output channels", n->input[1], (long long)axis);
  free(note->w);
  free(note->wscale);
  note->w = espl_calloc((size_t)g.q->elems, 1);
  note->wscale = espl_calloc((size_t)o, sizeof *note->wscale);
  if (!note->w || !note->wscale) return espli_refuse(im, n, ESPL_E_NOMEM, "out of memory");
  for (int64_t k = 0; k < g.q->elems; k++) {
    int64_t to = outer ? k : k % o * row + k / o, v = g.q->i[k] - zero_of(&g, channel_of(&g, k));
    if (v < -128 || v > 127)
      return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its weight %s minus the zero point is %lld, the machine's weights are symmetric int8", n->input[1], (long long)v);
    note->w[to] = (int8_t)v;
  }
  for (int32_t k = 0; k < o; k++) note->wscale[k] = g.s->f[g.s->elems == 1 ? 0 : k];
  return ESPL_OK;
}

/* An int32 bias; others count by their float value. */
static espl_status take_bias(espli_import *im, const Onnx__NodeProto *n, const Onnx__NodeProto *dq, int32_t o, espl_qnote *note) {
  grid g = {0};
  int64_t axis;
  ESPL_TRY(read_grid(im, dq, &g, &axis));
  if (g.q->type != ESPL_T_INT32 || g.q->elems != o || g.q->dims != 1 || g.z) return ESPL_OK;
  note->bias = espl_calloc((size_t)o, sizeof *note->bias);
  note->bias_scale = espl_calloc((size_t)o, sizeof *note->bias_scale);
  if (!note->bias || !note->bias_scale) return espli_refuse(im, n, ESPL_E_NOMEM, "out of memory");
  for (int32_t k = 0; k < o; k++) {
    note->bias[k] = (int32_t)g.q->i[k];
    note->bias_scale[k] = g.s->f[g.s->elems == 1 ? 0 : k];
  }
  return ESPL_OK;
}

espl_status espli_qdq_weights(espli_import *im, const Onnx__NodeProto *n) {
  bool conv = strcmp(n->op_type, "Conv") == 0, gemm = strcmp(n->op_type, "Gemm") == 0;
  if (!conv && !gemm && strcmp(n->op_type, "MatMul")) return ESPL_OK;
  const espli_value *w = espli_find(im, n->input[1]), *b = n->n_input > 2 && n->input[2][0] ? espli_find(im, n->input[2]) : NULL;
  if (!w->dequantizer) return ESPL_OK;
  int32_t id = espli_find(im, n->output[0])->id;
  espl_qnote *note = NULL;
  if (gemm && (espli_attr_float(n, "alpha", 1.0f) != 1.0f || espli_attr_float(n, "beta", 1.0f) != 1.0f))
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "alpha and beta other than 1 on quantized weights");
  ESPL_TRY(note_of(im, n, id, &note));
  int32_t o = im->g->node[id].shape.c;
  ESPL_TRY(take_weights(im, n, w->dequantizer, conv || espli_attr_int(n, "transB", 0), o, note));
  return b && b->dequantizer ? take_bias(im, n, b->dequantizer, o, note) : ESPL_OK;
}

espl_status espli_qdq_affine(espli_import *im, const Onnx__NodeProto *n, int32_t id, bool scales) {
  if (!im->given || id >= im->given->cap) return ESPL_OK;
  espl_qnote *note = &im->given->note[id];
  if (note->quantized || (note->w && scales))
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "arithmetic with a constant on a quantized %s", note->quantized ? "value" : "weight");
  free(note->bias);
  free(note->bias_scale);
  note->bias = NULL;
  note->bias_scale = NULL;
  return ESPL_OK;
}

/* ---- the end ---- */

espl_status espli_qdq_finish(espli_import *im) {
  for (size_t k = 0; im->quantized && k < im->cap; k++) {
    const espli_value *v = &im->value[k];
    if (v->name && v->quantizers && v->quantizers != v->uses)
      return espl_fail(im->err, ESPL_E_UNSUPPORTED, "value %s is read both quantized and unquantized", v->name);
  }
  const espli_value *out = espli_find(im, espli_text(im->model->graph->output[0]->name));
  if (out->integer) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "output %s is quantized; a DequantizeLinear must stand before it", out->name);
  return ESPL_OK;
}
