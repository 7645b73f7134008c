/* Import of operators that move data: flatten and friends, strided slices, padding, concatenation. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "onnx/onnx_int.h"

static espl_status op_flatten(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  int64_t axis = espli_attr_int(n, "axis", 1);
  if (axis < 0) axis += v->rank;
  if (axis != 1) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "axis is %lld, only 1 is supported", (long long)axis);
  espl_node p = {.op = ESPL_OP_FLATTEN, .inputs = 1, .input = {v->id}};
  return espli_define_node(im, n, &p, 2, NULL);
}

/* The same elements with rank 2, or with rank 3 or 4 and the shape they have: an alias, or a FLATTEN where H*W > 1. */
static espl_status as_rank(espli_import *im, const Onnx__NodeProto *n, espli_value *v, int rank) {
  espl_shape s = im->g->node[v->id].shape;
  if (rank == 2 && (s.h > 1 || s.w > 1)) {
    espl_node p = {.op = ESPL_OP_FLATTEN, .inputs = 1, .input = {v->id}};
    return espli_define_node(im, n, &p, 2, NULL);
  }
  return espli_define_alias(im, n, v, rank);
}

/* Replaces 0 (copy) and -1 (rest) in a Reshape target; false when the element counts do not agree. */
static bool resolve_target(const int64_t have[4], int rank, int64_t elems, int64_t *dim, int dims) {
  int64_t known = 1;
  int rest = -1;
  for (int d = 0; d < dims; d++) {
    if (dim[d] == 0) {
      if (d >= rank) return false;
      dim[d] = have[d];
    }
    if (dim[d] == -1) {
      if (rest >= 0) return false;
      rest = d;
      continue;
    }
    if (dim[d] < 1 || known > INT32_MAX / dim[d]) return false;
    known *= dim[d];
  }
  if (rest >= 0) {
    if (elems % known) return false;
    dim[rest] = elems / known;
    return true;
  }
  return known == elems;
}

static espl_status op_reshape(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  int64_t dim[ESPLI_ONNX_DIMS] = {0};
  int dims, batch;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(espli_ints_or_batch(im, n, "shape", 1, dim, &dims, &batch));
  if (batch > 0) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its target has the batch, which may vary, as dimension %d", batch);
  if (dims < 1) return espli_refuse(im, n, ESPL_E_INPUT, "has no target shape");
  espl_shape s = im->g->node[v->id].shape;
  int64_t have[4] = {1, s.c, v->rank == 3 ? s.w : s.h, s.w};
  if (im->batch > 1 && dim[0] == 1) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "makes one row of a batch of %lld", (long long)im->batch);
  if (!im->batch && batch < 0 && dim[0] == 1) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "makes one row of a batch that may vary; is the batch of input %s meant to be 1?", im->g->input_name);
  if (im->batch > 1 && dim[0] == im->batch) dim[0] = 1;
  if (espli_attr_int(n, "allowzero", 0))
    for (int d = 0; d < dims; d++)
      if (dim[d] == 0) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "asks for an empty tensor");
  if (!resolve_target(have, v->rank, espl_shape_elems(s), dim, dims))
    return espli_refuse(im, n, ESPL_E_INPUT, "its target shape does not hold the %lld elements of an image", (long long)espl_shape_elems(s));
  if (dims == 2 && dim[0] == 1) return as_rank(im, n, v, 2);
  if (dims == 4 && dim[0] == 1 && dim[1] == s.c && dim[2] == s.h && dim[3] == s.w) return as_rank(im, n, v, 4);
  if (dims == 3 && dim[0] == 1 && dim[1] == s.c && s.h == 1 && dim[2] == s.w) return as_rank(im, n, v, 3);
  return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "only a reshape to [N,C*H*W] or between [N,C] and [N,C,1,1] is supported");
}

/* Squeeze takes away, Unsqueeze adds extents of 1 behind the channels: H and W of an image, L of a sequence, or the row between the two. */
static espl_status op_squeeze(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  int64_t axes[ESPLI_ONNX_DIMS];
  int count;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(espli_ints(im, n, "axes", 1, axes, &count));
  bool squeeze = n->op_type[0] == 'S';
  espl_shape s = im->g->node[v->id].shape;
  int larger = squeeze ? v->rank : v->rank + (count > 0 ? count : 0), smaller = larger - (count > 0 ? count : 0), seen = 0;
  for (int k = 0; k < count; k++) {
    int64_t a = axes[k] < 0 ? axes[k] + larger : axes[k];
    seen |= a >= 0 && a < 8 ? 1 << a : 1 << 8;
  }
  const int h = 1 << 2, w = 1 << 3;
  bool image = larger == 4 && smaller == 2 && seen == (h | w) && s.h == 1 && s.w == 1;
  bool sequence = larger == 3 && smaller == 2 && seen == h && s.h == 1 && s.w == 1;
  bool row = larger == 4 && smaller == 3 && seen == h && s.h == 1;
  if (image || sequence || row) return as_rank(im, n, v, squeeze ? smaller : larger);
  return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "only H and W of extent 1 (axes 2, 3), or the row of an image of one row, can be taken away or added");
}

/* Slice arguments: attributes before operator set 10, inputs 1 to 4 since; *count axes. */
static espl_status slice_args(espli_import *im, const Onnx__NodeProto *n, int rank, int64_t start[], int64_t end[], int64_t axis[], int64_t step[], int *count) {
  size_t since = im->opset >= 10;
  int ends, axes, steps = -1, batch;
  ESPL_TRY(espli_ints(im, n, "starts", since * 1, start, count));
  ESPL_TRY(espli_ints_or_batch(im, n, "ends", since * 2, end, &ends, &batch));
  ESPL_TRY(espli_ints(im, n, "axes", since * 3, axis, &axes));
  if (since) ESPL_TRY(espli_ints(im, n, "steps", 4, step, &steps));
  if (*count < 0 || ends != *count || (axes >= 0 && axes != *count) || (steps >= 0 && steps != *count) || *count > rank)
    return espli_refuse(im, n, ESPL_E_INPUT, "starts, ends, axes and steps differ in length");
  for (int k = 0; k < *count; k++) {
    if (axes < 0) axis[k] = k;
    if (steps < 0) step[k] = 1;
    if (axis[k] < 0) axis[k] += rank;
    if (axis[k] < 0 || axis[k] >= rank) return espli_refuse(im, n, ESPL_E_INPUT, "axis %lld does not exist", (long long)axis[k]);
  }
  if (batch < 0) return ESPL_OK;
  if (axis[batch] != 0) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "axis %lld ends at the batch, which may vary", (long long)axis[batch]);
  end[batch] = INT64_MAX;
  return ESPL_OK;
}

static espl_status op_slice(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  int64_t start[ESPLI_ONNX_DIMS], end[ESPLI_ONNX_DIMS], axis[ESPLI_ONNX_DIMS], step[ESPLI_ONNX_DIMS];
  int count = 0;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(slice_args(im, n, v->rank, start, end, axis, step, &count));
  espl_shape s = im->g->node[v->id].shape;
  int64_t extent[4] = {im->batch ? im->batch : INT32_MAX, s.c, v->rank == 3 ? s.w : s.h, s.w}, stride[4] = {1, 1, 1, 1};
  for (int k = 0; k < count; k++) {
    int64_t e = extent[axis[k]];
    bool whole = (start[k] == 0 || start[k] <= -e) && end[k] >= e && step[k] >= 1 && step[k] <= 65535;
    if (!whole || (axis[k] < 2 && step[k] != 1))
      return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "only every k-th row and column of the whole image is supported (axis %lld: %lld to %lld step %lld)",
                          (long long)axis[k], (long long)start[k], (long long)end[k], (long long)step[k]);
    stride[axis[k]] = step[k];
  }
  if (v->rank == 3) stride[3] = stride[2], stride[2] = 1;
  if (stride[2] == 1 && stride[3] == 1) return espli_define_alias(im, n, v, v->rank);
  espl_node p = {.op = ESPL_OP_SUBSAMPLE, .inputs = 1, .input = {v->id}, .conv = {.sh = (int32_t)stride[2], .sw = (int32_t)stride[3]}};
  return espli_define_node(im, n, &p, v->rank, NULL);
}

/* The pads of all axes, before and behind: from the full list, or from the listed axes (operator set 18). */
static espl_status pad_args(espli_import *im, const Onnx__NodeProto *n, int rank, int64_t before[4], int64_t after[4]) {
  int64_t pads[ESPLI_ONNX_DIMS], axes[ESPLI_ONNX_DIMS];
  int count, listed = -1;
  ESPL_TRY(espli_ints(im, n, "pads", im->opset >= 11 ? 1 : 0, pads, &count));
  if (im->opset >= 18) ESPL_TRY(espli_ints(im, n, "axes", 3, axes, &listed));
  int half = listed >= 0 ? listed : rank;
  if (count != 2 * half || half > rank) return espli_refuse(im, n, ESPL_E_INPUT, "has %d pads, expected %d", count, 2 * half);
  for (int k = 0; k < half; k++) {
    int64_t a = listed < 0 ? k : axes[k] < 0 ? axes[k] + rank : axes[k];
    if (a < 0 || a >= rank) return espli_refuse(im, n, ESPL_E_INPUT, "axis %lld does not exist", (long long)a);
    before[a] = pads[k];
    after[a] = pads[half + k];
  }
  for (int k = 0; k < rank; k++)
    if (before[k] < 0 || after[k] < 0 || before[k] > 65535 || after[k] > 65535 || (k == 0 && (before[k] || after[k])))
      return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "pads axis %d by %lld and %lld", k, (long long)before[k], (long long)after[k]);
  return ESPL_OK;
}

static espl_status op_pad(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  const espl_tensor *fill = NULL;
  int64_t before[4] = {0}, after[4] = {0};
  ESPL_TRY(espli_flow(im, n, 0, true, &v));
  if (!espli_attr_is(n, "mode", "constant", true)) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "only mode constant is supported");
  if (im->opset >= 11) ESPL_TRY(espli_const(im, n, 2, &fill));
  double zero = im->opset < 11 ? (double)espli_attr_float(n, "value", 0.0f) : fill && fill->elems == 1 ? espl_tensor_at(fill, 0) : fill || espli_has_input(n, 2) ? 1 : 0;
  if (zero != 0) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "only padding with zero is supported");
  ESPL_TRY(pad_args(im, n, v->rank, before, after));
  if (v->rank == 3) before[3] = before[2], after[3] = after[2], before[2] = after[2] = 0;
  bool channels = before[1] || after[1], image = before[2] || before[3] || after[2] || after[3];
  if (channels && (image || v->pad[0] || v->pad[1] || v->pad[2] || v->pad[3]))
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "pads channels and H or W at once");
  if (channels) {
    espl_node p = {.op = ESPL_OP_PADCHANNELS, .inputs = 1, .input = {v->id}, .pad_c0 = (int32_t)before[1], .pad_c1 = (int32_t)after[1]};
    return espli_define_node(im, n, &p, v->rank, NULL);
  }
  ESPL_TRY(espli_define_alias(im, n, v, v->rank));
  espli_value *out = espli_find(im, n->output[0]);
  const int64_t add[4] = {before[2], before[3], after[2], after[3]};
  for (int k = 0; k < 4; k++) {
    out->pad[k] = v->pad[k] + (int32_t)add[k];
    if (out->pad[k] > 65535) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "padding adds up to %d", out->pad[k]);
  }
  return ESPL_OK;
}

static espl_status op_concat(espli_import *im, const Onnx__NodeProto *n) {
  espl_node p = {.op = ESPL_OP_CONCAT, .inputs = (int)n->n_input};
  int rank = 0;
  if (n->n_input < 1 || n->n_input > ESPL_MAX_INPUTS)
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "joins %zu tensors, 1 to %d are supported", n->n_input, ESPL_MAX_INPUTS);
  for (size_t k = 0; k < n->n_input; k++) {
    espli_value *v = NULL;
    ESPL_TRY(espli_flow(im, n, k, false, &v));
    if (k && v->rank != rank) return espli_refuse(im, n, ESPL_E_INPUT, "its inputs have %d and %d dimensions", rank, v->rank);
    rank = v->rank;
    p.input[k] = v->id;
  }
  int64_t axis = espli_attr_int(n, "axis", 1);
  if (axis < 0) axis += rank;
  if (axis != 1) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "only along channels (axis 1) is supported, axis is %lld", (long long)axis);
  return espli_define_node(im, n, &p, rank, NULL);
}

/* The factor of an extent that gives `to`, as a float whose product does not fall below. */
static float factor(int32_t from, int64_t to) {
  float s = (float)((double)to / from);
  while (floor((double)from * (double)s) < (double)to) s = nextafterf(s, INFINITY);
  return s;
}

/* Before operator set 11: down, but up where the Resize of set 10 shrinks. */
static espl_word old_nearest(const Onnx__NodeProto *n, float h, float w) {
  return n->op_type[0] == 'R' && fminf(h, w) < 1 ? ESPL_WORD_CEIL : ESPL_WORD_FLOOR;
}

/* Resize and Upsample of H and W by constants. */
static espl_status op_resize(espli_import *im, const Onnx__NodeProto *n) {
  espl_top op;
  espl_tensor *ignored = NULL;
  espli_value *v = NULL;
  const espl_tensor *scales = NULL;
  int64_t size[ESPLI_ONNX_DIMS] = {0};
  int sizes = -1, batch = -1;
  espl_err why = {0};
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  if (v->rank != 4) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its input has %d dimensions, expected 4", v->rank);
  espl_status st = espli_top_decode(n, im->opset, &op, &ignored, &why);
  espl_tensor_free(ignored);
  if (st != ESPL_OK) return espli_refuse(im, n, st, "%s", why.msg);
  bool old = im->opset < 11;
  if (op.n_scales < 0) ESPL_TRY(espli_const(im, n, old ? 1 : 2, &scales));
  if (!old && !(scales && scales->elems)) ESPL_TRY(espli_ints_or_batch(im, n, "sizes", 3, size, &sizes, &batch));
  bool four = scales && scales->f && scales->elems == 4, whole = batch == 0 || (batch < 0 && size[0] == im->batch);
  espl_shape s = im->g->node[v->id].shape;
  float f[4] = {0};
  for (int k = 0; k < 4; k++) f[k] = op.n_scales == 4 ? op.scales[k] : four ? scales->f[k] : 0;
  if (sizes == 4 && whole && size[1] == s.c && size[2] > 0 && size[3] > 0 && size[2] <= 65535 && size[3] <= 65535) {
    f[0] = f[1] = 1;
    f[2] = factor(s.h, size[2]);
    f[3] = factor(s.w, size[3]);
  }
  if (op.axes.n >= 0 || f[0] != 1 || f[1] != 1 || op.mode == ESPL_WORD_OTHER || op.coordinates == ESPL_WORD_OTHER || op.nearest == ESPL_WORD_OTHER ||
      op.policy > ESPL_WORD_STRETCH || op.coordinates == ESPL_WORD_HALF_PIXEL_SYMMETRIC)
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "only H and W by constants, nearest or linear, have a form in the network graph");
  if (im->opset == 10 && op.mode != ESPL_WORD_LINEAR && fminf(f[2], f[3]) < 1 && fmaxf(f[2], f[3]) > 1)
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "grows one axis and shrinks the other; in operator set 10 they round in two ways");
  espl_node p = {.op = ESPL_OP_RESIZE, .inputs = 1, .input = {v->id},
                 .resize = {.mode = op.mode ? op.mode : ESPL_WORD_NEAREST, .scale_h = f[2], .scale_w = f[3],
                            .coordinates = old ? ESPL_WORD_ASYMMETRIC : op.coordinates ? op.coordinates : ESPL_WORD_HALF_PIXEL,
                            .nearest = old ? old_nearest(n, f[2], f[3]) : op.nearest ? op.nearest : ESPL_WORD_ROUND_PREFER_FLOOR}};
  return espli_define_node(im, n, &p, 4, NULL);
}

espli_handler espli_shape_handler(const char *op_type) {
  static const struct { const char *name; espli_handler h; } table[] = {
      {"Flatten", op_flatten}, {"Reshape", op_reshape}, {"Squeeze", op_squeeze}, {"Unsqueeze", op_squeeze},
      {"Slice", op_slice}, {"Pad", op_pad}, {"Concat", op_concat}, {"Resize", op_resize}, {"Upsample", op_resize}};
  for (size_t k = 0; k < sizeof table / sizeof *table; k++)
    if (strcmp(table[k].name, op_type) == 0) return table[k].h;
  return NULL;
}
