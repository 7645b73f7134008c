/* One handler an operator. */
#include <stdlib.h>

#include "base/mem.h"
#include "tflite/tflite_int.h"

static espl_shape shape_of(const espli_tfl *im, const espli_tfl_value *v) { return im->g->node[v->id].shape; }

static espl_status need_rank4(espli_tfl *im, const espli_tfl_op *o, const espli_tfl_value *v) {
  return v->rank == 4 ? ESPL_OK : espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "reads a value of shape [N,C], expected [N,H,W,C]");
}

/* SAME: out = ceil(in / stride), the odd row goes behind. */
static void same_pads(int32_t in, int32_t k, int32_t s, int32_t d, int32_t *before, int32_t *after) {
  int64_t out = (in + (int64_t)s - 1) / s, total = (out - 1) * s + (int64_t)(k - 1) * d + 1 - in;
  if (total < 0) total = 0;
  *before = (int32_t)(total / 2);
  *after = (int32_t)(total - *before);
}

/* Strides, dilations and padding from the option fields first, first+1 (width, height) and the dilations' (0: none). */
static espl_status window(espli_tfl *im, const espli_tfl_op *o, espl_shape in, uint32_t first, uint32_t dilation, const int32_t pending[4], espl_conv_attr *a) {
  espli_flat *f = &im->f;
  int32_t padding = espli_flat_i8(f, o->options, 0, 0);
  a->sw = espli_flat_i32(f, o->options, first, 0);
  a->sh = espli_flat_i32(f, o->options, first + 1, 0);
  a->dw = dilation ? espli_flat_i32(f, o->options, dilation, 1) : 1;
  a->dh = dilation ? espli_flat_i32(f, o->options, dilation + 1, 1) : 1;
  const int32_t v[6] = {a->sh, a->sw, a->dh, a->dw, a->kh, a->kw};
  for (int k = 0; k < 6; k++)
    if (v[k] < 1 || v[k] > 65535) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "a stride, dilation or window extent is %d", (int)v[k]);
  if (padding != ESPLI_TFL_SAME && padding != ESPLI_TFL_VALID) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "padding is %d, neither SAME nor VALID", (int)padding);
  int64_t h = (int64_t)in.h + pending[0] + pending[2], w = (int64_t)in.w + pending[1] + pending[3];
  if (h > INT32_MAX || w > INT32_MAX) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "its input and padding span more than 2^31-1 elements");
  a->pt = a->pl = a->pb = a->pr = 0;
  if (padding == ESPLI_TFL_SAME) {
    same_pads((int32_t)h, a->kh, a->sh, a->dh, &a->pt, &a->pb);
    same_pads((int32_t)w, a->kw, a->sw, a->dw, &a->pl, &a->pr);
  }
  a->pt += pending[0], a->pl += pending[1], a->pb += pending[2], a->pr += pending[3];
  return ESPL_OK;
}

/* Input 1 and, when it is there, input 2. */
static espl_status weight_and_bias(espli_tfl *im, const espli_tfl_op *o, int rank, espli_tfl_tensor *w, espli_tfl_tensor *b, bool *biased) {
  bool found;
  ESPL_TRY(espli_tfl_const(im, o, 1, w, &found));
  if (!found || w->rank != rank) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "its weight has %d dimensions, expected %d", found ? w->rank : 0, rank);
  for (int d = 0; d < rank; d++)
    if (w->dim[d] < 1) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "extent %d of its weight is %d", d, (int)w->dim[d]);
  return espli_tfl_const(im, o, 2, b, biased);
}

static espl_status convolution(espli_tfl *im, const espli_tfl_op *o, bool depthwise) {
  espli_tfl_value *v = NULL;
  espli_tfl_tensor w, b;
  bool biased = false;
  int32_t id;
  ESPL_TRY(espli_tfl_flow(im, o, 0, true, &v));
  ESPL_TRY(need_rank4(im, o, v));
  ESPL_TRY(weight_and_bias(im, o, 4, &w, &b, &biased));
  espl_shape in = shape_of(im, v);
  int32_t out_c = depthwise ? w.dim[3] : w.dim[0], in_g = depthwise ? 1 : w.dim[3], kw = w.dim[2];
  bool fits = depthwise ? w.dim[0] == 1 && out_c % in.c == 0 : in.c % in_g == 0 && out_c % (in.c / in_g) == 0;
  if (!fits) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "its weight is [%d,%d,%d,%d], its input has %d channels", w.dim[0], w.dim[1], w.dim[2], w.dim[3], (int)in.c);
  espl_node p = {.op = ESPL_OP_CONV, .inputs = 1, .input = {v->id}, .shape = {out_c, 0, 0}, .conv = {.kh = w.dim[1], .kw = kw, .groups = in.c / in_g}};
  ESPL_TRY(window(im, o, in, 1, depthwise ? 5 : 4, v->pad, &p.conv));
  ESPL_TRY(espli_tfl_node(im, o, &p, "", &id));
  espli_tfl_walk walk = {.n = {out_c, in_g, w.dim[1], kw}};
  int64_t pixel = w.dim[3];
  const int64_t step[4] = {depthwise ? 1 : pixel * kw * w.dim[1], depthwise ? 0 : 1, pixel * kw, pixel};
  for (int k = 0; k < 4; k++) walk.step[k] = step[k];
  ESPL_TRY(espli_tfl_weights(im, o, id, &w, biased ? &b : NULL, &walk, depthwise ? 3 : 0));
  ESPL_TRY(espli_tfl_activation(im, o, espli_flat_i8(&im->f, o->options, depthwise ? 4 : 3, 0), &id));
  return espli_tfl_define(im, o, id, 4);
}

/* The value with H = W = 1 in the graph's order; *from is the image whose order H, W, C the weights follow. */
static espl_status flatten_for(espli_tfl *im, const espli_tfl_op *o, const espli_tfl_value *v, int32_t *id, espl_shape *from) {
  espl_shape s = shape_of(im, v);
  *id = v->id;
  *from = v->nhwc ? v->from : s;
  if (v->nhwc || (s.h == 1 && s.w == 1)) return ESPL_OK;
  espl_node p = {.op = ESPL_OP_FLATTEN, .inputs = 1, .input = {v->id}};
  ESPL_TRY(espli_tfl_node(im, o, &p, ".flatten", id));
  if (!espl_qgiven_has(im->given, v->id)) return ESPL_OK;
  espl_qnote *to = espl_qgiven_note(im->given, *id);
  if (!to) return espli_tfl_refuse(im, o, ESPL_E_NOMEM, "out of memory");
  to->quantized = true, to->scale = im->given->note[v->id].scale, to->zero = im->given->note[v->id].zero;
  return ESPL_OK;
}

static espl_status fully_connected(espli_tfl *im, const espli_tfl_op *o) {
  espli_tfl_value *v = NULL;
  espli_tfl_tensor w, b;
  bool biased = false;
  int32_t flat, id;
  espl_shape from;
  ESPL_TRY(espli_tfl_flow(im, o, 0, true, &v));
  if (v->pad[0] || v->pad[1] || v->pad[2] || v->pad[3]) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "reads a value padded in H or W");
  ESPL_TRY(weight_and_bias(im, o, 2, &w, &b, &biased));
  if (espli_flat_i8(&im->f, o->options, 1, 0)) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "its weights are shuffled");
  if (w.dim[1] != espl_shape_elems(shape_of(im, v)))
    return espli_tfl_refuse(im, o, ESPL_E_INPUT, "its weight is [%d,%d], its input has %lld values", w.dim[0], w.dim[1], (long long)espl_shape_elems(shape_of(im, v)));
  ESPL_TRY(flatten_for(im, o, v, &flat, &from));
  espl_node p = {.op = ESPL_OP_GEMM, .inputs = 1, .input = {flat}, .shape = {w.dim[0], 1, 1}};
  ESPL_TRY(espli_tfl_node(im, o, &p, "", &id));
  espli_tfl_walk walk = {.n = {w.dim[0], from.c, from.h, from.w}, .step = {w.dim[1], 1, (int64_t)from.w * from.c, from.c}};
  ESPL_TRY(espli_tfl_weights(im, o, id, &w, biased ? &b : NULL, &walk, 0));
  ESPL_TRY(espli_tfl_activation(im, o, espli_flat_i8(&im->f, o->options, 0, 0), &id));
  return espli_tfl_define(im, o, id, espli_flat_u8(&im->f, o->options, 2, 0) && v->rank == 4 ? 4 : 2);
}

static espl_status pool(espli_tfl *im, const espli_tfl_op *o, espl_op op) {
  static const int32_t none[4] = {0};
  espli_tfl_value *v = NULL;
  espl_node p = {.op = op, .inputs = 1};
  int32_t id;
  ESPL_TRY(espli_tfl_flow(im, o, 0, false, &v));
  ESPL_TRY(need_rank4(im, o, v));
  p.input[0] = v->id;
  p.conv.kw = espli_flat_i32(&im->f, o->options, 3, 0);
  p.conv.kh = espli_flat_i32(&im->f, o->options, 4, 0);
  ESPL_TRY(window(im, o, shape_of(im, v), 1, 0, none, &p.conv));
  ESPL_TRY(espli_tfl_node(im, o, &p, "", &id));
  ESPL_TRY(espli_tfl_activation(im, o, espli_flat_i8(&im->f, o->options, 5, 0), &id));
  return espli_tfl_define(im, o, id, 4);
}

static espl_status mean(espli_tfl *im, const espli_tfl_op *o) {
  espli_tfl_value *v = NULL;
  espli_tfl_tensor axes;
  bool found;
  int32_t id, seen = 0;
  ESPL_TRY(espli_tfl_flow(im, o, 0, false, &v));
  ESPL_TRY(need_rank4(im, o, v));
  ESPL_TRY(espli_tfl_const(im, o, 1, &axes, &found));
  bool hw = found && axes.type == ESPLI_TFL_I32 && axes.elems <= 4;
  for (int64_t k = 0; hw && k < axes.elems; k++) {
    int32_t a = espli_vec_i32(&im->f, axes.data, (uint32_t)k);
    a += a < 0 ? 4 : 0;
    hw = a == 1 || a == 2;
    seen |= a;
  }
  if (!hw || seen != 3) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "only the mean over H and W (axes 1, 2) is supported");
  espl_node p = {.op = ESPL_OP_GLOBALAVGPOOL, .inputs = 1, .input = {v->id}};
  ESPL_TRY(espli_tfl_node(im, o, &p, "", &id));
  return espli_tfl_define(im, o, id, espli_flat_u8(&im->f, o->options, 0, 0) ? 4 : 2);
}

static espl_status add(espli_tfl *im, const espli_tfl_op *o) {
  espli_tfl_value *a = NULL, *b = NULL;
  int32_t id;
  ESPL_TRY(espli_tfl_flow(im, o, 0, false, &a));
  ESPL_TRY(espli_tfl_flow(im, o, 1, false, &b));
  espl_node p = {.op = ESPL_OP_ADD, .inputs = 2, .input = {a->id, b->id}};
  ESPL_TRY(espli_tfl_node(im, o, &p, "", &id));
  ESPL_TRY(espli_tfl_activation(im, o, espli_flat_i8(&im->f, o->options, 0, 0), &id));
  return espli_tfl_define(im, o, id, a->rank);
}

static espl_status concatenation(espli_tfl *im, const espli_tfl_op *o) {
  espl_node p = {.op = ESPL_OP_CONCAT};
  int32_t id, axis = espli_flat_i32(&im->f, o->options, 0, 0);
  int rank = 0;
  if (o->in.n < 1 || o->in.n > ESPL_MAX_INPUTS) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "joins %u values, 1 to %d are supported", o->in.n, ESPL_MAX_INPUTS);
  for (uint32_t k = 0; k < o->in.n; k++) {
    espli_tfl_value *v = NULL;
    ESPL_TRY(espli_tfl_flow(im, o, k, false, &v));
    if (k && v->rank != rank) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "joins values of different ranks");
    rank = v->rank;
    p.input[p.inputs++] = v->id;
  }
  if (axis != rank - 1 && axis != -1) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "joins along axis %d, only channels (the last axis) are supported", (int)axis);
  ESPL_TRY(espli_tfl_node(im, o, &p, "", &id));
  ESPL_TRY(espli_tfl_activation(im, o, espli_flat_i8(&im->f, o->options, 1, 0), &id));
  return espli_tfl_define(im, o, id, rank);
}

static espl_status relu(espli_tfl *im, const espli_tfl_op *o, int32_t activation) {
  espli_tfl_value *v = NULL;
  ESPL_TRY(espli_tfl_flow(im, o, 0, false, &v));
  int32_t id = v->id;
  ESPL_TRY(espli_tfl_activation(im, o, activation, &id));
  return espli_tfl_define(im, o, id, v->rank);
}

/* The declared shape of the output says what becomes of the value. */
static espl_status reshape(espli_tfl *im, const espli_tfl_op *o) {
  espli_tfl_value *v = NULL;
  espli_tfl_tensor t;
  ESPL_TRY(espli_tfl_flow(im, o, 0, false, &v));
  espl_shape s = shape_of(im, v);
  int32_t index = espli_vec_i32(&im->f, o->out, 0), id = v->id;
  ESPL_TRY(espli_tfl_tensor_at(im, index, &t));
  bool flat = t.rank == 2 && t.dim[1] == espl_shape_elems(s), same = t.rank == 4 && t.dim[1] == s.h && t.dim[2] == s.w && t.dim[3] == s.c;
  if (!flat && !same) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "only a reshape to [N,H*W*C], or between [N,C] and [N,1,1,C], is supported");
  bool image = flat && (s.h > 1 || s.w > 1);
  if (image) {
    espl_node p = {.op = ESPL_OP_FLATTEN, .inputs = 1, .input = {v->id}};
    ESPL_TRY(espli_tfl_node(im, o, &p, "", &id));
  }
  ESPL_TRY(espli_tfl_define(im, o, id, flat ? 2 : 4));
  if (image && !espl_qgiven_has(im->given, id) != !espl_qgiven_has(im->given, v->id)) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "quantizes its value");
  im->value[index].nhwc = image && s.c > 1;
  im->value[index].from = s;
  return ESPL_OK;
}

static espl_status pad(espli_tfl *im, const espli_tfl_op *o) {
  espli_tfl_value *v = NULL;
  espli_tfl_tensor t;
  bool found;
  int64_t n[8];
  ESPL_TRY(espli_tfl_flow(im, o, 0, true, &v));
  ESPL_TRY(need_rank4(im, o, v));
  ESPL_TRY(espli_tfl_const(im, o, 1, &t, &found));
  if (!found || t.elems != 8 || (t.type != ESPLI_TFL_I32 && t.type != ESPLI_TFL_I64)) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "its paddings are not 4 pairs of integers");
  for (uint32_t k = 0; k < 8; k++) {
    n[k] = t.type == ESPLI_TFL_I32 ? espli_vec_i32(&im->f, t.data, k) : espli_vec_i64(&im->f, t.data, k);
    if (n[k] < 0 || n[k] > 65535 || (k < 2 && n[k])) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "pads axis %u by %lld", k / 2, (long long)n[k]);
  }
  espli_tfl_value was = *v;
  int32_t id = v->id, index = espli_vec_i32(&im->f, o->out, 0);
  if (n[6] || n[7]) {
    espl_node p = {.op = ESPL_OP_PADCHANNELS, .inputs = 1, .input = {id}, .pad_c0 = (int32_t)n[6], .pad_c1 = (int32_t)n[7]};
    ESPL_TRY(espli_tfl_node(im, o, &p, "", &id));
  }
  espli_tfl_tensor out;
  ESPL_TRY(espli_tfl_tensor_at(im, index, &out));
  espl_shape s = im->g->node[id].shape;
  int32_t total[4] = {was.pad[0] + (int32_t)n[2], was.pad[1] + (int32_t)n[4], was.pad[2] + (int32_t)n[3], was.pad[3] + (int32_t)n[5]};
  bool fits = out.rank == 4 && out.dim[1] == (int64_t)s.h + total[0] + total[2] && out.dim[2] == (int64_t)s.w + total[1] + total[3] && out.dim[3] == s.c;
  if (!fits || im->value[index].flows) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "its output's declared shape is not that of the padded input");
  bool quantized = out.type == ESPLI_TFL_I8 || out.type == ESPLI_TFL_U8;
  if (quantized != espl_qgiven_has(im->given, was.id)) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "quantizes its value");
  if (quantized) {
    float scale = 0;
    int32_t zero = 0;
    ESPL_TRY(espli_tfl_grid(im, o, &out, &scale, &zero));
    if (scale != im->given->note[was.id].scale || zero != im->given->note[was.id].zero)
      return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "its output has another scale or zero point than its input");
    espl_qnote *note = espl_qgiven_note(im->given, id);
    if (!note) return espli_tfl_refuse(im, o, ESPL_E_NOMEM, "out of memory");
    note->quantized = true, note->scale = scale, note->zero = zero;
  }
  im->value[index] = (espli_tfl_value){.flows = true, .id = id, .rank = 4, .pad = {total[0], total[1], total[2], total[3]}};
  return ESPL_OK;
}

static espl_status softmax(espli_tfl *im, const espli_tfl_op *o) {
  espli_tfl_value *v = NULL;
  int32_t id;
  ESPL_TRY(espli_tfl_flow(im, o, 0, false, &v));
  float beta = espli_flat_f32(&im->f, o->options, 0, 0);
  espl_shape s = shape_of(im, v);
  if (beta != 1.0f || s.h != 1 || s.w != 1) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "beta %g over %dx%d pixels; beta 1 over a vector is supported", (double)beta, (int)s.h, (int)s.w);
  espl_node p = {.op = ESPL_OP_SOFTMAX, .inputs = 1, .input = {v->id}};
  ESPL_TRY(espli_tfl_node(im, o, &p, "", &id));
  return espli_tfl_define(im, o, id, v->rank);
}

/* Float values take the scale over; quantized ones of another scale get a node of their own, which the machine requantizes. */
static espl_status quantize(espli_tfl *im, const espli_tfl_op *o) {
  espli_tfl_value *v = NULL;
  espli_tfl_tensor t;
  float scale = 0;
  int32_t zero = 0;
  ESPL_TRY(espli_tfl_flow(im, o, 0, false, &v));
  ESPL_TRY(espli_tfl_tensor_at(im, espli_vec_i32(&im->f, o->out, 0), &t));
  if (t.type != ESPLI_TFL_I8 && t.type != ESPLI_TFL_U8) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "quantizes to element type %d; int8 and uint8 are supported", (int)t.type);
  ESPL_TRY(espli_tfl_grid(im, o, &t, &scale, &zero));
  int32_t id = v->id;
  bool other = espl_qgiven_has(im->given, id) && (im->given->note[id].scale != scale || im->given->note[id].zero != zero);
  if (other) {
    espl_node p = {.op = ESPL_OP_IDENTITY, .inputs = 1, .input = {id}};
    ESPL_TRY(espli_tfl_node(im, o, &p, "", &id));
  }
  return espli_tfl_define(im, o, id, v->rank);
}

static espl_status dequantize(espli_tfl *im, const espli_tfl_op *o) {
  espli_tfl_value *v = NULL;
  espli_tfl_tensor t;
  ESPL_TRY(espli_tfl_flow(im, o, 0, false, &v));
  ESPL_TRY(espli_tfl_tensor_at(im, espli_vec_i32(&im->f, o->out, 0), &t));
  if (t.type != ESPLI_TFL_F32) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "its output has element type %d, expected float32", (int)t.type);
  return espli_tfl_define(im, o, v->id, v->rank);
}

espl_status espli_tfl_operator(espli_tfl *im, const espli_tfl_op *o) {
  espl_status s;
  switch (o->code) {
    case ESPLI_TFL_CONV_2D: s = convolution(im, o, false); break;
    case ESPLI_TFL_DEPTHWISE_CONV_2D: s = convolution(im, o, true); break;
    case ESPLI_TFL_FULLY_CONNECTED: s = fully_connected(im, o); break;
    case ESPLI_TFL_ADD: s = add(im, o); break;
    case ESPLI_TFL_AVERAGE_POOL_2D: s = pool(im, o, ESPL_OP_AVGPOOL); break;
    case ESPLI_TFL_MAX_POOL_2D: s = pool(im, o, ESPL_OP_MAXPOOL); break;
    case ESPLI_TFL_CONCATENATION: s = concatenation(im, o); break;
    case ESPLI_TFL_RELU: s = relu(im, o, 1); break;
    case ESPLI_TFL_RELU_N1_TO_1: s = relu(im, o, 2); break;
    case ESPLI_TFL_RELU6: s = relu(im, o, 3); break;
    case ESPLI_TFL_RESHAPE: s = reshape(im, o); break;
    case ESPLI_TFL_SOFTMAX: s = softmax(im, o); break;
    case ESPLI_TFL_PAD: s = pad(im, o); break;
    case ESPLI_TFL_MEAN: s = mean(im, o); break;
    case ESPLI_TFL_QUANTIZE: s = quantize(im, o); break;
    default: s = dequantize(im, o); break;
  }
  ESPL_TRY(s);
  return espli_flat_check(&im->f, im->err);
}
