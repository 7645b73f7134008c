/* Resize and the older Upsample: nearest by one table walk, linear axis by axis. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/op_int.h"

typedef struct plan {
  espl_word mode, coordinates, nearest; /* nearest 0: operator set 10, down where an axis grows and up where it shrinks */
  int64_t dim[ESPL_TENSOR_DIMS];
  double scale[ESPL_TENSOR_DIMS];
} plan;

/* Where output position x of an axis lies in the input. */
static double source(espl_word how, double x, double scale, int64_t in, int64_t out) {
  switch (how) {
    case ESPL_WORD_ASYMMETRIC: return x / scale;
    case ESPL_WORD_ALIGN_CORNERS: return out > 1 ? x * (double)(in - 1) / (scale * (double)in - 1) : 0; /* the unrounded extent, as ONNX has it */
    case ESPL_WORD_PYTORCH_HALF_PIXEL: return out > 1 ? (x + 0.5) / scale - 0.5 : 0;
    case ESPL_WORD_TF_HALF_PIXEL_FOR_NN: return (x + 0.5) / scale;
    case ESPL_WORD_HALF_PIXEL_SYMMETRIC: return (double)in / 2 * (1 - (double)out / (scale * (double)in)) + (x + 0.5) / scale - 0.5; /* both ends lose alike */
    default: return (x + 0.5) / scale - 0.5;
  }
}

static int64_t clamped(double v, int64_t extent) { return v < 0 ? 0 : v > (double)(extent - 1) ? extent - 1 : (int64_t)v; }

static int64_t nearest(espl_word how, double x, int64_t extent) {
  double v = how == ESPL_WORD_FLOOR ? floor(x) : how == ESPL_WORD_CEIL ? ceil(x) : how == ESPL_WORD_ROUND_PREFER_CEIL ? floor(x + 0.5) : ceil(x - 0.5);
  return clamped(v, extent);
}

espl_tap espl_resize_tap(espl_word mode, espl_word coordinates, espl_word how, double scale, int64_t in, int64_t out, int64_t x) {
  if (scale == 1 && in == out) return (espl_tap){x, x, 0}; /* also where the formula would shift by half a pixel */
  const double at = source(coordinates, (double)x, scale, in, out), low = floor(at);
  if (mode == ESPL_WORD_LINEAR) return (espl_tap){clamped(low, in), clamped(low + 1, in), at - low};
  const int64_t one = nearest(how ? how : scale < 1 ? ESPL_WORD_CEIL : ESPL_WORD_FLOOR, at, in);
  return (espl_tap){one, one, 0};
}

static espl_tap tap_of(const plan *p, int d, int64_t in, int64_t out, int64_t x) {
  return espl_resize_tap(p->mode, p->coordinates, p->nearest, p->scale[d], in, out, x);
}

static espl_status resize_nearest(espli_call *c, const plan *p) {
  const espl_tensor *a = c->in[0];
  int64_t stride[ESPL_TENSOR_DIMS] = {0}, n = 1;
  espli_strides(a->dims, a->dim, stride);
  for (int d = 0; d < a->dims; d++) n += p->dim[d];
  int64_t *t = espl_calloc((size_t)n, sizeof *t), *at = t;
  if (!t) return espl_fail(c->err, ESPL_E_NOMEM, "out of memory");
  for (int d = 0; d < a->dims; d++)
    for (int64_t x = 0; x < p->dim[d]; x++)
      *at++ = stride[d] * tap_of(p, d, a->dim[d], p->dim[d], x).low;
  espli_map(a, c->out[0], t, 0);
  free(t);
  return ESPL_OK;
}

/* One axis from extent n of `from` to m of `to`; inner elements behind it. */
static void linear_axis(const plan *p, int d, const float *from, int64_t n, float *to, int64_t m, int64_t outer, int64_t inner) {
  for (int64_t x = 0; x < m; x++) {
    const espl_tap t = tap_of(p, d, n, m, x);
    for (int64_t o = 0; o < outer; o++)
      for (int64_t k = 0; k < inner; k++)
        to[(o * m + x) * inner + k] = (float)((1 - t.w) * from[(o * n + t.low) * inner + k] + t.w * from[(o * n + t.high) * inner + k]);
  }
}

static espl_status resize_linear(espli_call *c, const plan *p) {
  espl_tensor *now = espl_tensor_copy(c->in[0]);
  for (int d = 0; now && d < c->in[0]->dims; d++) {
    if (p->dim[d] == now->dim[d] && p->scale[d] == 1) continue;
    int64_t dim[ESPL_TENSOR_DIMS], outer = 1, inner = 1;
    memcpy(dim, now->dim, sizeof dim);
    dim[d] = p->dim[d];
    for (int k = 0; k < d; k++) outer *= dim[k];
    for (int k = d + 1; k < now->dims; k++) inner *= dim[k];
    espl_tensor *next = espl_tensor_new(now->type, now->dims, dim);
    if (next) linear_axis(p, d, now->f, now->dim[d], next->f, dim[d], outer, inner);
    espl_tensor_free(now);
    now = next;
  }
  espl_tensor_free(c->out[0]);
  c->out[0] = now;
  return now ? ESPL_OK : espl_fail(c->err, ESPL_E_NOMEM, "out of memory");
}

/* Values of the scales input or attribute, for the listed axes; *n = 0 when there are none. */
static espl_status scales_of(espli_call *c, double v[ESPL_TENSOR_DIMS], int *n) {
  bool old = c->op->kind == ESPL_TOP_UPSAMPLE || c->op->opset < 11;
  int k = old ? 1 : 2;
  const espl_tensor *t = k < c->n_in ? c->in[k] : NULL;
  *n = c->op->n_scales > 0 ? c->op->n_scales : 0;
  for (int j = 0; j < *n; j++) v[j] = (double)c->op->scales[j];
  if (*n || !t) return ESPL_OK;
  if (!t->f || t->dims != 1 || t->elems > ESPL_TENSOR_DIMS) return espl_fail(c->err, ESPL_E_INPUT, "its scales are not a short list of reals");
  *n = (int)t->elems;
  for (int j = 0; j < *n; j++) v[j] = (double)t->f[j];
  return ESPL_OK;
}

static espl_status extents(espli_call *c, plan *p) {
  const espl_tensor *a = c->in[0];
  double v[ESPL_TENSOR_DIMS];
  espl_ints sizes, absent = {.n = -1};
  int n;
  ESPL_TRY(scales_of(c, v, &n));
  ESPL_TRY(espli_list(c, "sizes", &absent, c->op->kind == ESPL_TOP_RESIZE && c->op->opset >= 11 ? 3 : -1, ESPL_TENSOR_DIMS, &sizes));
  int listed = c->op->axes.n, want = listed < 0 ? a->dims : listed, have = n ? n : sizes.n;
  if (n && sizes.n > 0) return espl_fail(c->err, ESPL_E_INPUT, "has both scales and sizes");
  if (have != want) return espl_fail(c->err, ESPL_E_INPUT, "has %d scales or sizes, expected %d", have, want);
  for (int d = 0; d < a->dims; d++) p->dim[d] = a->dim[d], p->scale[d] = 1;
  for (int k = 0; k < want; k++) {
    int d;
    ESPL_TRY(espli_axis(c, listed < 0 ? k : c->op->axes.v[k], a->dims, &d));
    double size = n ? floor((double)a->dim[d] * v[k]) : (double)sizes.v[k];
    if (!(size >= 0 && size <= (double)ESPL_TENSOR_ELEMS) || (n && !(v[k] > 0))) return espl_fail(c->err, ESPL_E_INPUT, "axis %d would get the extent %g", d, size);
    p->dim[d] = (int64_t)size;
    p->scale[d] = n ? v[k] : a->dim[d] ? size / (double)a->dim[d] : 1;
    if (p->dim[d] && !a->dim[d]) return espl_fail(c->err, ESPL_E_INPUT, "axis %d is empty", d);
  }
  return ESPL_OK;
}

/* keep_aspect_ratio_policy with sizes: one scale for the listed axes, the least or the greatest of theirs. */
static espl_status keep_aspect(espli_call *c, plan *p) {
  const espl_tensor *a = c->in[0];
  const espl_ints *axes = &c->op->axes;
  int listed = axes->n < 0 ? a->dims : axes->n, d = 0;
  double scale = 0;
  for (int k = 0; k < listed; k++) {
    ESPL_TRY(espli_axis(c, axes->n < 0 ? k : axes->v[k], a->dims, &d));
    bool better = c->op->policy == ESPL_WORD_NOT_LARGER ? p->scale[d] < scale : p->scale[d] > scale;
    if (k == 0 || better) scale = p->scale[d];
  }
  for (int k = 0; k < listed; k++) {
    ESPL_TRY(espli_axis(c, axes->n < 0 ? k : axes->v[k], a->dims, &d));
    double size = floor(scale * (double)a->dim[d] + 0.5);
    if (!(size <= (double)ESPL_TENSOR_ELEMS)) return espl_fail(c->err, ESPL_E_INPUT, "axis %d would get the extent %g", d, size);
    p->dim[d] = (int64_t)size;
    p->scale[d] = scale;
  }
  return ESPL_OK;
}

espl_status espli_resize(espli_call *c) {
  const espl_tensor *a = c->in[0];
  bool old = c->op->kind == ESPL_TOP_UPSAMPLE || c->op->opset < 11;
  plan p = {.mode = c->op->mode ? c->op->mode : ESPL_WORD_NEAREST,
            .coordinates = old ? ESPL_WORD_ASYMMETRIC : c->op->coordinates ? c->op->coordinates : ESPL_WORD_HALF_PIXEL,
            .nearest = old ? (c->op->kind == ESPL_TOP_RESIZE ? ESPL_WORD_NONE : ESPL_WORD_FLOOR) : c->op->nearest ? c->op->nearest : ESPL_WORD_ROUND_PREFER_FLOOR};
  if (p.mode != ESPL_WORD_NEAREST && p.mode != ESPL_WORD_LINEAR) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "its mode is neither nearest nor linear");
  if (p.coordinates == ESPL_WORD_OTHER || p.nearest == ESPL_WORD_OTHER || c->op->policy == ESPL_WORD_OTHER) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "its coordinate transformation, rounding or policy is not supported");
  ESPL_TRY(extents(c, &p));
  bool sizes = c->op->kind == ESPL_TOP_RESIZE && c->n_in > 3 && c->in[3] && c->in[3]->elems > 0;
  if (sizes && c->op->policy > ESPL_WORD_STRETCH) ESPL_TRY(keep_aspect(c, &p));
  ESPL_TRY(espli_out(c, 0, a->type, a->dims, p.dim));
  if (p.mode == ESPL_WORD_LINEAR) ESPL_TRY(espli_want_real(c, 1));
  if (!c->out[0]->elems) return ESPL_OK;
  return p.mode == ESPL_WORD_NEAREST ? resize_nearest(c, &p) : resize_linear(c, &p);
}
