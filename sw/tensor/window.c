/* Operators with a window: convolution, transposed convolution, pools; one to three spatial axes, computed as three. */
#include <math.h>
#include <string.h>

#include "tensor/op_int.h"

typedef struct window {
  int axes; /* spatial axes of the tensor; the leading ones of the three are 1 */
  int64_t n, ch, in[3], out[3], k[3], s[3], d[3], before[3], after[3];
} window;

static espl_status three(const espli_call *c, const char *what, const espl_ints *list, int axes, int64_t otherwise, int64_t least, int64_t out[3]) {
  for (int j = 0; j < 3; j++) out[j] = otherwise;
  if (list->n < 0) return ESPL_OK;
  if (list->n != axes) return espl_fail(c->err, ESPL_E_INPUT, "%s has %d values, expected %d", what, list->n, axes);
  for (int j = 0; j < axes; j++) {
    int64_t v = list->v[j];
    if (v < least || v > ESPL_TENSOR_ELEMS) return espl_fail(c->err, ESPL_E_INPUT, "%s holds %lld", what, (long long)v);
    out[3 - axes + j] = v;
  }
  return ESPL_OK;
}

/* Strides, dilations and pads; the kernel is already in w. */
static espl_status window_attrs(const espli_call *c, window *w) {
  const espl_ints *p = &c->op->pads;
  ESPL_TRY(three(c, "strides", &c->op->strides, w->axes, 1, 1, w->s));
  ESPL_TRY(three(c, "dilations", &c->op->dilations, w->axes, 1, 1, w->d));
  if (p->n >= 0 && p->n != 2 * w->axes) return espl_fail(c->err, ESPL_E_INPUT, "pads has %d values, expected %d", p->n, 2 * w->axes);
  for (int j = 0; j < 3; j++) w->before[j] = w->after[j] = 0;
  for (int j = 0; p->n >= 0 && j < w->axes && c->op->auto_pad == ESPL_PAD_NOTSET; j++) {
    int64_t b = p->v[j], a = p->v[w->axes + j];
    if (b < 0 || a < 0 || b > ESPL_TENSOR_ELEMS || a > ESPL_TENSOR_ELEMS) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "pads holds %lld and %lld", (long long)b, (long long)a);
    w->before[3 - w->axes + j] = b;
    w->after[3 - w->axes + j] = a;
  }
  return ESPL_OK;
}

static espl_status read_shape(espli_call *c, const espl_tensor *a, window *w) {
  if (a->dims < 3 || a->dims > 5) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "its input has %d dimensions, 3 to 5 are supported ([N,C] and one to three axes)", a->dims);
  w->axes = a->dims - 2;
  w->n = a->dim[0];
  w->ch = a->dim[1];
  for (int j = 0; j < 3; j++) w->in[j] = j < 3 - w->axes ? 1 : a->dim[j - 1 + w->axes];
  return ESPL_OK;
}

/* SAME padding of an axis: out = ceil(in / s), the odd element after (upper) or before. */
static void same(int64_t in, int64_t reach, int64_t s, bool upper, int64_t *before, int64_t *after) {
  int64_t total = ((in + s - 1) / s - 1) * s + reach - in;
  if (total < 0) total = 0;
  *before = upper ? total / 2 : total - total / 2;
  *after = total - *before;
}

static espl_status forward_extents(espli_call *c, window *w, bool ceil_mode) {
  for (int j = 0; j < 3; j++) {
    int64_t reach = (w->k[j] - 1) * w->d[j] + 1;
    if (c->op->auto_pad == ESPL_PAD_SAME_UPPER || c->op->auto_pad == ESPL_PAD_SAME_LOWER)
      same(w->in[j], reach, w->s[j], c->op->auto_pad == ESPL_PAD_SAME_UPPER, &w->before[j], &w->after[j]);
    int64_t room = w->in[j] + w->before[j] + w->after[j] - reach;
    if (room < 0 || w->in[j] < 1)
      return espl_fail(c->err, ESPL_E_INPUT, "the window spans %lld elements, input and padding have %lld", (long long)reach, (long long)(room + reach));
    w->out[j] = room / w->s[j] + 1;
    if (ceil_mode && room % w->s[j] && w->out[j] * w->s[j] < w->in[j] + w->before[j]) w->out[j]++; /* a window starts inside input or left padding */
  }
  return ESPL_OK;
}

static espl_status make_out(espli_call *c, int k, espl_type type, const window *w, int64_t channels) {
  int64_t dim[5] = {w->n, channels};
  for (int j = 0; j < w->axes; j++) dim[2 + j] = w->out[3 - w->axes + j];
  return espli_out(c, k, type, 2 + w->axes, dim);
}

/* Product of three extents, at most 2^60. */
static int64_t volume(const int64_t v[3]) {
  int64_t p = 1;
  for (int j = 0; j < 3; j++) p = v[j] > 0 && p > ((int64_t)1 << 60) / v[j] ? (int64_t)1 << 60 : p * v[j];
  return p;
}

/* Positions x in [lo, hi) of an output axis whose input position x*s + off lies in [0, in). */
static void inside(int64_t off, int64_t s, int64_t in, int64_t out, int64_t *lo, int64_t *hi) {
  *lo = off >= 0 ? 0 : (-off + s - 1) / s;
  *hi = in > off ? (in - off - 1) / s + 1 : 0;
  if (*hi > out) *hi = out;
  if (*lo > *hi) *lo = *hi;
}

/* Adds weight v at one tap: to[x] += v * from[x*s + off] (gather), or from's scatter for the transposed form. */
static void tap_plane(const window *w, float v, const int64_t off[3], const float *small, float *acc, const float *big, float *scatter) {
  int64_t lo[3], hi[3];
  for (int j = 0; j < 3; j++) inside(off[j], w->s[j], w->in[j], w->out[j], &lo[j], &hi[j]);
  for (int64_t z = lo[0]; z < hi[0]; z++)
    for (int64_t y = lo[1]; y < hi[1]; y++) {
      int64_t o = (z * w->out[1] + y) * w->out[2], i = ((z * w->s[0] + off[0]) * w->in[1] + y * w->s[1] + off[1]) * w->in[2] + off[2];
      if (acc)
        for (int64_t x = lo[2]; x < hi[2]; x++) acc[o + x] += v * big[i + x * w->s[2]];
      else
        for (int64_t x = lo[2]; x < hi[2]; x++) scatter[i + x * w->s[2]] += v * small[o + x];
    }
}

static espl_status bias_of(const espli_call *c, int64_t channels, const float **b) {
  const espl_tensor *t = c->n_in > 2 ? c->in[2] : NULL;
  *b = t ? t->f : NULL;
  if (t && (t->dims != 1 || t->elems != channels)) return espl_fail(c->err, ESPL_E_INPUT, "its bias has %lld elements, expected %lld", (long long)t->elems, (long long)channels);
  return ESPL_OK;
}

static espl_status kernel_of(const espli_call *c, const espl_tensor *wt, window *w) {
  if (wt->dims != w->axes + 2) return espl_fail(c->err, ESPL_E_INPUT, "its weight has %d dimensions, its input %d", wt->dims, w->axes + 2);
  int64_t k[3];
  ESPL_TRY(three(c, "kernel_shape", &c->op->kernel, w->axes, 1, 1, k));
  for (int j = 0; j < 3; j++) {
    w->k[j] = j < 3 - w->axes ? 1 : wt->dim[j - 1 + w->axes];
    if (w->k[j] < 1 || (c->op->kernel.n >= 0 && k[j] != w->k[j])) return espl_fail(c->err, ESPL_E_INPUT, "kernel_shape does not fit the weight");
  }
  return ESPL_OK;
}

espl_status espli_conv(espli_call *c) {
  const espl_tensor *a = c->in[0], *wt = c->in[1];
  window w;
  const float *bias;
  int64_t g = c->op->group;
  ESPL_TRY(espli_want_real(c, 3));
  ESPL_TRY(read_shape(c, a, &w));
  ESPL_TRY(kernel_of(c, wt, &w));
  ESPL_TRY(window_attrs(c, &w));
  ESPL_TRY(forward_extents(c, &w, false));
  int64_t o = wt->dim[0], per = wt->dim[1];
  if (g < 1 || w.ch % g || o % g || per != w.ch / g)
    return espl_fail(c->err, ESPL_E_INPUT, "weight of %lld outputs and %lld input channels, the tensor has %lld in %lld groups", (long long)o, (long long)per, (long long)w.ch, (long long)g);
  ESPL_TRY(bias_of(c, o, &bias));
  ESPL_TRY(make_out(c, 0, a->type, &w, o));
  ESPL_TRY(espli_work(c, c->out[0]->elems, per * volume(w.k)));
  int64_t plane = volume(w.out), from = volume(w.in), taps = volume(w.k);
  for (int64_t m = 0; m < w.n * o; m++) {
    int64_t oc = m % o;
    float *acc = c->out[0]->f + m * plane;
    for (int64_t x = 0; x < plane; x++) acc[x] = bias ? bias[oc] : 0.0f;
    for (int64_t ic = 0; ic < per; ic++)
      for (int64_t t = 0; t < taps; t++) {
        const int64_t off[3] = {t / (w.k[1] * w.k[2]) * w.d[0] - w.before[0], t / w.k[2] % w.k[1] * w.d[1] - w.before[1], t % w.k[2] * w.d[2] - w.before[2]};
        tap_plane(&w, wt->f[(oc * per + ic) * taps + t], off, NULL, acc, a->f + (m / o * w.ch + oc / (o / g) * per + ic) * from, NULL);
      }
  }
  return ESPL_OK;
}

/* Extents of a transposed convolution: w->in is the large (output) side and w->out the small (input) side from here on. */
static espl_status transposed_extents(espli_call *c, window *w) {
  int64_t extra[3], want[3];
  ESPL_TRY(three(c, "output_padding", &c->op->out_pads, w->axes, 0, 0, extra));
  espl_ints shape = c->op->out_shape;
  if (shape.n == w->axes + 2) { /* some files list N and C too */
    shape.n = w->axes;
    memmove(shape.v, shape.v + 2, (size_t)w->axes * sizeof *shape.v);
  }
  ESPL_TRY(three(c, "output_shape", &shape, w->axes, 0, 1, want));
  bool upper = c->op->auto_pad == ESPL_PAD_SAME_UPPER, lower = c->op->auto_pad == ESPL_PAD_SAME_LOWER;
  for (int j = 0; j < 3; j++) {
    int64_t small = w->in[j], full = (small - 1) * w->s[j] + extra[j] + (w->k[j] - 1) * w->d[j] + 1;
    bool real = j >= 3 - w->axes;
    int64_t target = !real ? 0 : shape.n >= 0 ? want[j] : upper || lower ? small * w->s[j] : 0;
    if (target) {
      int64_t total = full - target > 0 ? full - target : 0;
      w->before[j] = upper ? total / 2 : total - total / 2;
      w->after[j] = total - w->before[j];
      full = target + total;
    }
    w->out[j] = small;
    w->in[j] = full - w->before[j] - w->after[j];
    if (w->in[j] < 1 || small < 1) return espl_fail(c->err, ESPL_E_INPUT, "padding leaves nothing of its %lld results", (long long)full);
  }
  return ESPL_OK;
}

espl_status espli_convtranspose(espli_call *c) {
  const espl_tensor *a = c->in[0], *wt = c->in[1];
  window w;
  const float *bias;
  int64_t g = c->op->group, large[3];
  ESPL_TRY(espli_want_real(c, 3));
  ESPL_TRY(read_shape(c, a, &w));
  ESPL_TRY(kernel_of(c, wt, &w));
  ESPL_TRY(window_attrs(c, &w));
  ESPL_TRY(transposed_extents(c, &w));
  int64_t per = wt->dim[1];
  if (g < 1 || w.ch % g || wt->dim[0] != w.ch)
    return espl_fail(c->err, ESPL_E_INPUT, "weight of %lld input channels, the tensor has %lld in %lld groups", (long long)wt->dim[0], (long long)w.ch, (long long)g);
  int64_t o = per * g;
  ESPL_TRY(bias_of(c, o, &bias));
  window shape = w;
  memcpy(large, w.in, sizeof large);
  memcpy(shape.out, large, sizeof large);
  ESPL_TRY(make_out(c, 0, a->type, &shape, o));
  int64_t taps = volume(w.k), small = volume(w.out), plane = volume(w.in);
  ESPL_TRY(espli_work(c, a->elems, per * taps));
  float *y = c->out[0]->f;
  for (int64_t k = 0; k < c->out[0]->elems; k++) y[k] = bias ? bias[k / plane % o] : 0.0f;
  for (int64_t m = 0; m < w.n * w.ch; m++)
    for (int64_t oc = 0; oc < per; oc++)
      for (int64_t t = 0; t < taps; t++) {
        int64_t ic = m % w.ch, to = m / w.ch * o + ic / (w.ch / g) * per + oc;
        const int64_t off[3] = {t / (w.k[1] * w.k[2]) * w.d[0] - w.before[0], t / w.k[2] % w.k[1] * w.d[1] - w.before[1], t % w.k[2] * w.d[2] - w.before[2]};
        tap_plane(&w, wt->f[(ic * per + oc) * taps + t], off, a->f + m * small, NULL, NULL, y + to * plane);
      }
  return ESPL_OK;
}

/* ---- pools ---- */

/* Positions of the window at output o inside the axis: first, number; padded counts those inside input and padding. */
static int64_t pool_axis(const window *w, int j, int64_t o, int64_t *first, int64_t *count) {
  int64_t at = o * w->s[j] - w->before[j], padded = 0;
  *first = *count = 0;
  for (int64_t t = 0; t < w->k[j]; t++, at += w->d[j]) {
    if (at >= 0 && at < w->in[j]) *first = (*count)++ ? *first : at;
    padded += at < w->in[j] + w->after[j];
  }
  return padded;
}

typedef struct pooled {
  double value;
  int64_t at;
} pooled;

static pooled pool_one(const espl_tensor *a, int64_t base, const window *w, const int64_t first[3], const int64_t count[3], bool max) {
  pooled r = {max ? -INFINITY : 0.0, -1};
  for (int64_t z = 0; z < count[0]; z++)
    for (int64_t y = 0; y < count[1]; y++)
      for (int64_t x = 0; x < count[2]; x++) {
        int64_t at = ((first[0] + z * w->d[0]) * w->in[1] + first[1] + y * w->d[1]) * w->in[2] + first[2] + x * w->d[2];
        double v = espl_tensor_at(a, base + at);
        if (!max) r.value += v;
        else if (r.at < 0 || v > r.value || isnan(v)) r = (pooled){v, at};
      }
  return r;
}

/* Index of element `at` of one channel, rows counted first when column_major. */
static int64_t flat_index(const window *w, int64_t at, bool column_major) {
  if (!column_major) return at;
  int64_t x = at % w->in[2], y = at / w->in[2] % w->in[1], z = at / (w->in[1] * w->in[2]);
  return w->axes == 1 ? x : w->axes == 2 ? x * w->in[1] + y : (x * w->in[1] + y) * w->in[0] + z;
}

static void pool_plane(espli_call *c, const window *w, int64_t m, bool max) {
  const espl_tensor *a = c->in[0];
  espl_tensor *t = c->out[0], *index = c->n_out > 1 ? c->out[1] : NULL;
  int64_t plane = volume(w->out), from = volume(w->in), first[3], count[3];
  for (int64_t p = 0; p < plane; p++) {
    const int64_t o[3] = {p / (w->out[1] * w->out[2]), p / w->out[2] % w->out[1], p % w->out[2]};
    int64_t padded = 1, real = 1;
    for (int j = 0; j < 3; j++) {
      padded *= pool_axis(w, j, o[j], &first[j], &count[j]);
      real *= count[j];
    }
    pooled r = pool_one(a, m * from, w, first, count, max);
    int64_t n = c->op->count_include_pad ? padded : real;
    if (!max) r.value = n ? r.value / (double)n : 0;
    if (t->i) t->i[m * plane + p] = r.at < 0 ? 0 : (int64_t)r.value;
    else t->f[m * plane + p] = espl_type_round(a->type, (float)r.value);
    if (index) index->i[m * plane + p] = m * from + (r.at < 0 ? 0 : flat_index(w, r.at, c->op->column_major));
  }
}

espl_status espli_pool(espli_call *c) {
  const espl_tensor *a = c->in[0];
  bool max = c->op->kind == ESPL_TOP_MAXPOOL;
  window w;
  if (!max) ESPL_TRY(espli_want_real(c, 1));
  ESPL_TRY(read_shape(c, a, &w));
  if (c->op->kernel.n < 0) return espl_fail(c->err, ESPL_E_INPUT, "has no kernel_shape");
  ESPL_TRY(three(c, "kernel_shape", &c->op->kernel, w.axes, 1, 1, w.k));
  ESPL_TRY(window_attrs(c, &w));
  ESPL_TRY(forward_extents(c, &w, c->op->ceil_mode));
  ESPL_TRY(make_out(c, 0, a->type, &w, w.ch));
  if (c->n_out > 1) ESPL_TRY(make_out(c, 1, ESPL_T_INT64, &w, w.ch));
  ESPL_TRY(espli_work(c, c->out[0]->elems, volume(w.k)));
  for (int64_t m = 0; m < w.n * w.ch; m++) pool_plane(c, &w, m, max);
  return ESPL_OK;
}

espl_status espli_globalpool(espli_call *c) {
  const espl_tensor *a = c->in[0];
  bool max = c->op->kind == ESPL_TOP_GLOBALMAXPOOL;
  int64_t dim[ESPL_TENSOR_DIMS], inner = 1;
  ESPL_TRY(espli_want_real(c, 1));
  if (a->dims < 3) return espl_fail(c->err, ESPL_E_INPUT, "its input has %d dimensions, expected at least 3", a->dims);
  for (int d = 0; d < a->dims; d++) {
    dim[d] = d < 2 ? a->dim[d] : 1;
    inner *= d < 2 ? 1 : a->dim[d];
  }
  if (inner < 1) return espl_fail(c->err, ESPL_E_INPUT, "its input is empty");
  ESPL_TRY(espli_out(c, 0, a->type, a->dims, dim));
  for (int64_t m = 0; m < c->out[0]->elems; m++) {
    double v = max ? -INFINITY : 0;
    for (int64_t k = 0; k < inner; k++) {
      double x = (double)a->f[m * inner + k];
      v = !max ? v + x : x > v ? x : v;
    }
    c->out[0]->f[m] = (float)(max ? v : v / (double)inner);
  }
  return ESPL_OK;
}
