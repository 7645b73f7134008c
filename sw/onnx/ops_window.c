/* Import of operators with a window: convolution, pools, and means over the whole image. */
#include <string.h>

#include "onnx/onnx_int.h"

/* Two small positive or four small non-negative integers of an attribute, with a default. A value of rank 3 ([N,C,L]) is an image of one row: its
 * attributes have half as many numbers, and the row's are those of a window that does nothing. */
static espl_status extents(espli_import *im, const Onnx__NodeProto *n, int rank, const char *attr, int want, int32_t otherwise, int32_t *out) {
  int64_t v[ESPLI_ONNX_DIMS];
  int count, each = rank == 3 ? want / 2 : want;
  ESPL_TRY(espli_ints(im, n, attr, 0, v, &count));
  for (int k = 0; k < want; k++) out[k] = otherwise;
  if (count < 0) return ESPL_OK;
  if (count != each) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "%s has %d values, expected %d", attr, count, each);
  for (int k = 0; k < each; k++) {
    if (v[k] < 0 || v[k] > 65535) return espli_refuse(im, n, ESPL_E_INPUT, "%s holds %lld, expected 0 to 65535", attr, (long long)v[k]);
    out[rank == 3 ? 2 * k + 1 : k] = (int32_t)v[k];
  }
  if (rank == 3 && strcmp(attr, "kernel_shape") == 0) out[0] = 1;
  return ESPL_OK;
}

/* Padding of one axis by auto_pad: out = ceil(in / stride); the odd one goes after (UPPER) or before (LOWER). */
static void same_pads(int32_t in, int32_t k, int32_t s, int32_t d, bool upper, int32_t *before, int32_t *after) {
  int64_t out = (in + (int64_t)s - 1) / s, total = (out - 1) * s + (int64_t)(k - 1) * d + 1 - in;
  if (total < 0) total = 0;
  *before = (int32_t)(upper ? total / 2 : total - total / 2);
  *after = (int32_t)(total - *before);
}

/* ceil_mode: more padding after, so that the floor rule gives the rounded-up extent; a window starts inside the input or
 * the padding before it. */
static void ceil_pads(int32_t in, int32_t k, int32_t s, int32_t d, int32_t before, int32_t *after) {
  int64_t reach = (int64_t)(k - 1) * d + 1, room = (int64_t)in + before + *after - reach;
  if (room < 0) return;
  int64_t out = (room + s - 1) / s + 1;
  if ((out - 1) * s >= (int64_t)in + before) out--;
  int64_t need = (out - 1) * s + reach - in - before;
  if (need > *after) *after = (int32_t)need;
}

/* Everything but the kernel extents; `pending` is the padding of the value that is read. */
static espl_status window(espli_import *im, const Onnx__NodeProto *n, int rank, espl_shape in, const int32_t pending[4], espl_conv_attr *a) {
  int32_t s[2], d[2], p[4];
  ESPL_TRY(extents(im, n, rank, "strides", 2, 1, s));
  ESPL_TRY(extents(im, n, rank, "dilations", 2, 1, d));
  ESPL_TRY(extents(im, n, rank, "pads", 4, 0, p));
  if (!s[0] || !s[1] || !d[0] || !d[1] || !a->kh || !a->kw) return espli_refuse(im, n, ESPL_E_INPUT, "a kernel extent, stride or dilation is 0");
  int64_t high = (int64_t)in.h + pending[0] + pending[2], wide = (int64_t)in.w + pending[1] + pending[3];
  if (high > INT32_MAX || wide > INT32_MAX) return espli_refuse(im, n, ESPL_E_INPUT, "input and padding span more than 2^31-1 elements");
  int32_t h = (int32_t)high, w = (int32_t)wide;
  bool upper = espli_attr_is(n, "auto_pad", "SAME_UPPER", false), lower = espli_attr_is(n, "auto_pad", "SAME_LOWER", false);
  if (upper || lower) {
    same_pads(h, a->kh, s[0], d[0], upper, &p[0], &p[2]);
    same_pads(w, a->kw, s[1], d[1], upper, &p[1], &p[3]);
  } else if (espli_attr_is(n, "auto_pad", "VALID", false)) {
    memset(p, 0, sizeof p);
  } else if (!espli_attr_is(n, "auto_pad", "NOTSET", true)) {
    return espli_refuse(im, n, ESPL_E_INPUT, "auto_pad is none of NOTSET, SAME_UPPER, SAME_LOWER, VALID");
  }
  if (espli_attr_int(n, "ceil_mode", 0)) {
    int32_t bottom = p[2], right = p[3];
    ceil_pads(h, a->kh, s[0], d[0], p[0], &p[2]);
    ceil_pads(w, a->kw, s[1], d[1], p[1], &p[3]);
    if (a->count_include_pad && (p[2] > bottom || p[3] > right))
      return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "ceil_mode with count_include_pad and a window past the padding");
  }
  a->sh = s[0], a->sw = s[1], a->dh = d[0], a->dw = d[1];
  a->pt = p[0] + pending[0], a->pl = p[1] + pending[1], a->pb = p[2] + pending[2], a->pr = p[3] + pending[3];
  return ESPL_OK;
}

static espl_status need_image(espli_import *im, const Onnx__NodeProto *n, const espli_value *v) {
  return v->rank >= 3 ? ESPL_OK : espli_refuse(im, n, ESPL_E_INPUT, "reads %s of shape [N,C], expected [N,C,H,W] or [N,C,L]", v->name);
}

/* Extents of a weight as [A,B,KH,KW]. */
static espl_status weight_dims(espli_import *im, const Onnx__NodeProto *n, const espl_tensor *w, int rank, int32_t dim[4]) {
  if (w->dims != rank) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "weight %s has %d dimensions, expected %d", n->input[1], w->dims, rank);
  dim[2] = 1;
  for (int d = 0; d < rank; d++) dim[d < 2 ? d : d + 4 - rank] = (int32_t)w->dim[d];
  return ESPL_OK;
}

static espl_status conv_bias(espli_import *im, const Onnx__NodeProto *n, int32_t id, int32_t o) {
  const espl_tensor *b;
  ESPL_TRY(espli_const(im, n, 2, &b));
  if (!b) return espli_has_input(n, 2) ? espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its bias is computed at run time") : ESPL_OK;
  if (b->elems != o || b->dims != 1) return espli_refuse(im, n, ESPL_E_INPUT, "bias %s has %lld elements, expected %d", n->input[2], (long long)b->elems, o);
  return espli_set_param(im, n, id, ESPL_PARAM_BIAS, n->input[2], 1, &o, b->f);
}

static espl_status op_conv(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  const espl_tensor *w;
  int32_t k[2], dim[4], id;
  ESPL_TRY(espli_flow(im, n, 0, true, &v));
  ESPL_TRY(need_image(im, n, v));
  ESPL_TRY(espli_const(im, n, 1, &w));
  if (!w) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its weight is computed at run time");
  const int rank = v->rank;
  ESPL_TRY(weight_dims(im, n, w, rank, dim));
  ESPL_TRY(extents(im, n, rank, "kernel_shape", 2, 0, k));
  if (!k[0]) k[0] = dim[2], k[1] = dim[3];
  int64_t groups = espli_attr_int(n, "group", 1);
  espl_shape in = im->g->node[v->id].shape;
  if (k[0] != dim[2] || k[1] != dim[3]) return espli_refuse(im, n, ESPL_E_INPUT, "kernel_shape is %dx%d, weight %s is %dx%d", k[0], k[1], n->input[1], dim[2], dim[3]);
  if (groups < 1 || groups > in.c || in.c % groups || in.c / groups != dim[1])
    return espli_refuse(im, n, ESPL_E_INPUT, "weight %s has %d input channels, the tensor has %d in %lld groups", n->input[1], dim[1], in.c, (long long)groups);
  espl_node p = {.op = ESPL_OP_CONV, .inputs = 1, .input = {v->id}, .shape = {dim[0], 0, 0}, .conv = {.kh = k[0], .kw = k[1], .groups = (int32_t)groups}};
  ESPL_TRY(window(im, n, rank, in, v->pad, &p.conv));
  ESPL_TRY(espli_define_node(im, n, &p, rank, &id));
  ESPL_TRY(espli_set_param(im, n, id, ESPL_PARAM_WEIGHT, n->input[1], 4, dim, w->f));
  return conv_bias(im, n, id, dim[0]);
}

/* Pads by auto_pad or output_shape are taken over as numbers. */
static espl_status transposed_pads(espli_import *im, const Onnx__NodeProto *n, int rank, espl_shape in, espl_conv_attr *a) {
  int32_t p[4], extra[2], want[2];
  bool upper = espli_attr_is(n, "auto_pad", "SAME_UPPER", false), lower = espli_attr_is(n, "auto_pad", "SAME_LOWER", false);
  ESPL_TRY(extents(im, n, rank, "pads", 4, 0, p));
  ESPL_TRY(extents(im, n, rank, "output_padding", 2, 0, extra));
  ESPL_TRY(extents(im, n, rank, "output_shape", 2, 0, want));
  const int64_t small[2] = {in.h, in.w}, k[2] = {a->kh, a->kw}, s[2] = {a->sh, a->sw}, d[2] = {a->dh, a->dw};
  for (int j = 0; j < 2; j++) {
    int64_t full = (small[j] - 1) * s[j] + (k[j] - 1) * d[j] + 1 + extra[j], target = want[j] ? want[j] : upper || lower ? small[j] * s[j] : 0;
    if (!target) continue;
    int64_t total = full > target ? full - target : 0;
    if (total > 65535 || target - full > 65535) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "padding of %lld", (long long)(full - target));
    p[j] = (int32_t)(upper ? total / 2 : total - total / 2);
    p[2 + j] = (int32_t)(total - p[j]);
    if (target > full) extra[j] += (int32_t)(target - full);
  }
  a->pt = p[0], a->pl = p[1], a->pb = p[2], a->pr = p[3], a->extra_h = extra[0], a->extra_w = extra[1];
  return ESPL_OK;
}

static espl_status op_convtranspose(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  const espl_tensor *w;
  int32_t k[2], s[2], d[2], dim[4], id;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(need_image(im, n, v));
  ESPL_TRY(espli_const(im, n, 1, &w));
  if (!w) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its weight is computed at run time");
  const int rank = v->rank;
  ESPL_TRY(weight_dims(im, n, w, rank, dim));
  ESPL_TRY(extents(im, n, rank, "kernel_shape", 2, 0, k));
  ESPL_TRY(extents(im, n, rank, "strides", 2, 1, s));
  ESPL_TRY(extents(im, n, rank, "dilations", 2, 1, d));
  int64_t groups = espli_attr_int(n, "group", 1);
  espl_shape in = im->g->node[v->id].shape;
  if ((k[0] && (k[0] != dim[2] || k[1] != dim[3])) || dim[0] != in.c || groups < 1 || groups > in.c || dim[1] < 1 || (int64_t)dim[1] * groups > 65535)
    return espli_refuse(im, n, ESPL_E_INPUT, "weight %s is [%d,%d,%d,%d] for %d channels in %lld groups", n->input[1], dim[0], dim[1], dim[2], dim[3], in.c, (long long)groups);
  espl_node p = {.op = ESPL_OP_CONVTRANSPOSE, .inputs = 1, .input = {v->id}, .shape = {dim[1] * (int32_t)groups, 0, 0},
                 .conv = {.kh = dim[2], .kw = dim[3], .sh = s[0], .sw = s[1], .dh = d[0], .dw = d[1], .groups = (int32_t)groups}};
  ESPL_TRY(transposed_pads(im, n, rank, in, &p.conv));
  ESPL_TRY(espli_define_node(im, n, &p, rank, &id));
  ESPL_TRY(espli_set_param(im, n, id, ESPL_PARAM_WEIGHT, n->input[1], 4, dim, w->f));
  return conv_bias(im, n, id, p.shape.c);
}

static espl_status pool(espli_import *im, const Onnx__NodeProto *n, espl_op op) {
  static const int32_t none[4] = {0};
  espli_value *v = NULL;
  espl_node p = {.op = op, .inputs = 1};
  int32_t k[2];
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(need_image(im, n, v));
  const int rank = v->rank;
  ESPL_TRY(extents(im, n, rank, "kernel_shape", 2, 0, k));
  if (n->n_output > 1 && n->output[1][0]) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its second output (indices) is not supported");
  p.input[0] = v->id;
  p.conv.kh = k[0], p.conv.kw = k[1];
  p.conv.count_include_pad = op == ESPL_OP_AVGPOOL && espli_attr_int(n, "count_include_pad", 0) != 0;
  ESPL_TRY(window(im, n, rank, im->g->node[v->id].shape, none, &p.conv));
  return espli_define_node(im, n, &p, rank, NULL);
}

static espl_status op_maxpool(espli_import *im, const Onnx__NodeProto *n) { return pool(im, n, ESPL_OP_MAXPOOL); }
static espl_status op_avgpool(espli_import *im, const Onnx__NodeProto *n) { return pool(im, n, ESPL_OP_AVGPOOL); }

static espl_status op_global_avg(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(need_image(im, n, v));
  espl_node p = {.op = ESPL_OP_GLOBALAVGPOOL, .inputs = 1, .input = {v->id}};
  return espli_define_node(im, n, &p, v->rank, NULL);
}

static espl_status op_global_max(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(need_image(im, n, v));
  espl_shape s = im->g->node[v->id].shape;
  espl_node p = {.op = ESPL_OP_MAXPOOL, .inputs = 1, .input = {v->id}, .conv = {.kh = s.h, .kw = s.w, .sh = 1, .sw = 1, .dh = 1, .dw = 1}};
  return espli_define_node(im, n, &p, v->rank, NULL);
}

static espl_status op_reduce_mean(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  int64_t axes[ESPLI_ONNX_DIMS];
  int count;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(need_image(im, n, v));
  ESPL_TRY(espli_ints(im, n, "axes", 1, axes, &count));
  for (int k = 0; k < count; k++) axes[k] += axes[k] < 0 ? v->rank : 0;
  bool hw = v->rank == 3 ? count == 1 && axes[0] == 2 : count == 2 && ((axes[0] == 2 && axes[1] == 3) || (axes[0] == 3 && axes[1] == 2));
  if (!hw) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "only the mean over H and W (axes 2, 3) is supported");
  espl_node p = {.op = ESPL_OP_GLOBALAVGPOOL, .inputs = 1, .input = {v->id}};
  return espli_define_node(im, n, &p, espli_attr_int(n, "keepdims", 1) ? v->rank : 2, NULL);
}

espli_handler espli_window_handler(const char *op_type) {
  static const struct { const char *name; espli_handler h; } table[] = {
      {"Conv", op_conv}, {"ConvTranspose", op_convtranspose}, {"MaxPool", op_maxpool}, {"AveragePool", op_avgpool}, {"GlobalAveragePool", op_global_avg},
      {"GlobalMaxPool", op_global_max}, {"ReduceMean", op_reduce_mean}};
  for (size_t k = 0; k < sizeof table / sizeof *table; k++)
    if (strcmp(table[k].name, op_type) == 0) return table[k].h;
  return NULL;
}
