/* Batch norm with its surroundings: the loops. norm.h has the definition. */
#include "nn/norm.h"

#include <math.h>

#include "nn/lanes.h"

/* Rows of the state, each blocks * 16 floats; behind them two rows of partial sums a slab. */
enum { MEAN, INV, SCALE, SHIFT, PIVOT, BY_GRAD, BY_VALUE, CONSTANT, ROWS };
typedef enum gate { GATE_OPEN, GATE_BY_X, GATE_BY_Y } gate; /* where the gradient passes: everywhere, by what x gives, by y */

static int32_t slabs(const nn_norm *s) { return (s->images + NN_NORM_SLAB - 1) / NN_NORM_SLAB; }
static int32_t width(const nn_norm *s) { return s->blocks * LANES; }
static float *row(const nn_norm *s, int i) { return (float *)dnn_mem_ptr(s->state) + (int64_t)i * width(s); }
static float *partial(const nn_norm *s, int32_t slab, int which) { return row(s, ROWS + 2 * slab + which); }
int64_t nn_norm_state_elems(int32_t images, int32_t blocks) {
  return (int64_t)blocks * LANES * (ROWS + 2 * ((images + NN_NORM_SLAB - 1) / NN_NORM_SLAB));
}

bool nn_norm_can(const dnn_md *md, dnn_act act) {
  dnn_view v;
  if (!dnn_md_view(md, &v) || v.block != LANES || v.sw != LANES || v.sh != (int64_t)v.w * LANES || v.sc != v.sh * v.h) return false;
  if (v.sn != v.sc * ((v.c + LANES - 1) / LANES)) return false;
  return act.kind == DNN_ACT_NONE || act.kind == DNN_ACT_RELU || (act.kind == DNN_ACT_CLIP && act.lo <= 0.0f && act.hi >= 0.0f);
}

/* Bounds of an activation as numbers, so that one loop serves all of them. */
static float lower(dnn_act a) { return a.kind == DNN_ACT_RELU ? 0.0f : a.kind == DNN_ACT_CLIP ? a.lo : -INFINITY; }
static float upper(dnn_act a) { return a.kind == DNN_ACT_CLIP ? a.hi : INFINITY; }

/* First element of block b of image n. */
static int64_t plane(const nn_norm *s, int32_t n, int32_t b) { return ((int64_t)n * s->blocks + b) * s->pixels * LANES; }

/* ---- forward ---- */

/* Sums of x - pivot and its square over one plane. */
LANES_INLINE void stats_plane(const void *x, int64_t at, int64_t pixels, lanes pivot, lanes *sum, lanes *square, const bool half) {
  lanes s0 = lanes_all(0.0f), s1 = s0, q0 = s0, q1 = s0;
  int64_t p = 0;
  for (; p + 2 <= pixels; p += 2) {
    lanes a = lanes_load(x, at + p * LANES, half) - pivot, b = lanes_load(x, at + (p + 1) * LANES, half) - pivot;
    s0 += a, s1 += b;
    q0 += a * a, q1 += b * b;
  }
  if (p < pixels) {
    lanes a = lanes_load(x, at + p * LANES, half) - pivot;
    s0 += a, q0 += a * a;
  }
  *sum += s0 + s1;
  *square += q0 + q1;
}

/* The pivot is the first pixel of the batch: it keeps the difference of large squares away where a mean is far from 0. */
void nn_norm_stats(const nn_norm *s, int32_t first, int32_t last) {
  const void *x = dnn_mem_ptr(s->x);
  const int32_t from = first / NN_NORM_SLAB, to = (last + NN_NORM_SLAB - 1) / NN_NORM_SLAB;
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t k = from; k < to; k++)
    for (int32_t b = 0; b < s->blocks; b++) {
      lanes sum = lanes_all(0.0f), square = sum, pivot = lanes_load(x, plane(s, 0, b), s->half);
      for (int32_t n = k * NN_NORM_SLAB; n < (k + 1) * NN_NORM_SLAB && n < last; n++)
        if (s->half) stats_plane(x, plane(s, n, b), s->pixels, pivot, &sum, &square, true);
        else stats_plane(x, plane(s, n, b), s->pixels, pivot, &sum, &square, false);
      lanes_store(partial(s, k, 0), (int64_t)b * LANES, sum, false);
      lanes_store(partial(s, k, 1), (int64_t)b * LANES, square, false);
      if (k == 0) lanes_store(row(s, PIVOT), (int64_t)b * LANES, pivot, false);
    }
}

static double total(const nn_norm *s, int which, int32_t c) {
  double sum = 0.0;
  for (int32_t k = 0; k < slabs(s); k++) sum += (double)partial(s, k, which)[c];
  return sum;
}

void nn_norm_ready(const nn_norm *s, double rate) {
  const espl_node *n = s->bn;
  const float *gamma = n->param[ESPL_PARAM_GAMMA]->value, *beta = n->param[ESPL_PARAM_BETA]->value;
  float *mean = n->param[ESPL_PARAM_MEAN]->value, *var = n->param[ESPL_PARAM_VAR]->value;
  const double m = (double)s->images * (double)s->pixels, unbiased = m > 1.0 ? m / (m - 1.0) : 1.0;
  for (int32_t c = 0; c < s->channels; c++) {
    const double d = total(s, 0, c) / m, mu = d + (double)row(s, PIVOT)[c];
    double v = total(s, 1, c) / m - d * d;
    if (v < 0.0) v = 0.0; /* rounding only; what is not a number stays that */
    const double inv = 1.0 / sqrt(v + (double)n->eps);
    row(s, MEAN)[c] = (float)mu;
    row(s, INV)[c] = (float)inv;
    row(s, SCALE)[c] = (float)((double)gamma[c] * inv);
    row(s, SHIFT)[c] = (float)((double)beta[c] - mu * (double)gamma[c] * inv);
    mean[c] = (float)((1.0 - rate) * (double)mean[c] + rate * mu);
    var[c] = (float)((1.0 - rate) * (double)var[c] + rate * unbiased * v);
  }
}

LANES_INLINE void apply_plane(const void *x, const void *r, void *y, int64_t at, int64_t pixels, lanes scale, lanes shift, lanes lo, lanes hi,
                              const bool half, const bool residual) {
  for (int64_t p = 0; p < pixels; p++) {
    lanes z = lanes_load(x, at + p * LANES, half) * scale + shift;
    if (residual) z += lanes_load(r, at + p * LANES, half);
    lanes_store(y, at + p * LANES, lanes_at_most(lanes_at_least(z, lo), hi), half);
  }
}

void nn_norm_apply(const nn_norm *s, int32_t first, int32_t last) {
  const void *x = dnn_mem_ptr(s->x), *r = s->r ? dnn_mem_ptr(s->r) : NULL;
  void *y = dnn_mem_ptr(s->y);
  const lanes lo = lanes_all(lower(s->act)), hi = lanes_all(upper(s->act));
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t n = first; n < last; n++)
    for (int32_t b = 0; b < s->blocks; b++) {
      const lanes scale = lanes_load(row(s, SCALE), (int64_t)b * LANES, false), shift = lanes_load(row(s, SHIFT), (int64_t)b * LANES, false);
      const int64_t at = plane(s, n, b);
      if (s->half && r) apply_plane(x, r, y, at, s->pixels, scale, shift, lo, hi, true, true);
      else if (s->half) apply_plane(x, r, y, at, s->pixels, scale, shift, lo, hi, true, false);
      else if (r) apply_plane(x, r, y, at, s->pixels, scale, shift, lo, hi, false, true);
      else apply_plane(x, r, y, at, s->pixels, scale, shift, lo, hi, false, false);
    }
}

/* ---- backward ---- */

/* Per-channel numbers of one block. */
typedef struct block {
  lanes mean, scale, shift, lo, hi, by_grad, by_value, constant;
} block;

typedef struct planes {
  const void *x, *y, *dy, *dy2;
  void *d, *dx;
} planes;

static inline block block_of(const nn_norm *s, int32_t b) {
  const int64_t at = (int64_t)b * LANES;
  return (block){lanes_load(row(s, MEAN), at, false), lanes_load(row(s, SCALE), at, false), lanes_load(row(s, SHIFT), at, false),
                 lanes_all(lower(s->act)), lanes_all(upper(s->act)), lanes_load(row(s, BY_GRAD), at, false),
                 lanes_load(row(s, BY_VALUE), at, false), lanes_load(row(s, CONSTANT), at, false)};
}

static planes planes_of(const nn_norm *s, gate g) {
  return (planes){dnn_mem_ptr(s->x), g == GATE_BY_Y ? dnn_mem_ptr(s->y) : NULL, dnn_mem_ptr(s->dy), s->dy2 ? dnn_mem_ptr(s->dy2) : NULL,
                  s->d ? dnn_mem_ptr(s->d) : NULL, s->dx ? dnn_mem_ptr(s->dx) : NULL};
}

static gate gate_of(const nn_norm *s) { return s->act.kind == DNN_ACT_NONE ? GATE_OPEN : s->r ? GATE_BY_Y : GATE_BY_X; }

LANES_INLINE lanes gated(lanes d, lanes x, const planes *m, int64_t i, const block *k, const bool half, const gate g) {
  if (g == GATE_OPEN) return d;
  const lanes z = g == GATE_BY_Y ? lanes_load(m->y, i, half) : x * k->scale + k->shift;
  return lanes_where((z > k->lo) & (z < k->hi), d);
}

LANES_INLINE void reduce_plane(const planes *m, int64_t at, int64_t pixels, const block *k, lanes *sum, lanes *product, const bool half,
                               const gate g, const bool two, const bool write) {
  lanes s = lanes_all(0.0f), q = s;
  for (int64_t p = 0; p < pixels; p++) {
    const int64_t i = at + p * LANES;
    const lanes x = lanes_load(m->x, i, half);
    lanes d = lanes_load(m->dy, i, half);
    if (two) d += lanes_load(m->dy2, i, half);
    d = gated(d, x, m, i, k, half, g);
    if (write) lanes_store(m->d, i, d, half);
    s += d;
    q += d * (x - k->mean);
  }
  *sum += s;
  *product += q;
}

/* One copy of the loop for each combination. */
static void reduce(const planes *m, int64_t at, int64_t pixels, const block *k, lanes *s, lanes *q, bool half, gate g) {
#define FOR_GATE(HALF, TWO, WRITE)                                                                                                     \
  do {                                                                                                                                 \
    if (g == GATE_OPEN) reduce_plane(m, at, pixels, k, s, q, HALF, GATE_OPEN, TWO, WRITE);                                               \
    else if (g == GATE_BY_X) reduce_plane(m, at, pixels, k, s, q, HALF, GATE_BY_X, TWO, WRITE);                                          \
    else reduce_plane(m, at, pixels, k, s, q, HALF, GATE_BY_Y, TWO, WRITE);                                                              \
  } while (0)
  if (half && m->dy2) FOR_GATE(true, true, true);
  else if (half && m->d) FOR_GATE(true, false, true);
  else if (half) FOR_GATE(true, false, false);
  else if (m->dy2) FOR_GATE(false, true, true);
  else if (m->d) FOR_GATE(false, false, true);
  else FOR_GATE(false, false, false);
#undef FOR_GATE
}

void nn_norm_reduce(const nn_norm *s, int32_t first, int32_t last) {
  const gate g = gate_of(s);
  const planes m = planes_of(s, g);
  const int32_t from = first / NN_NORM_SLAB, to = (last + NN_NORM_SLAB - 1) / NN_NORM_SLAB;
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t k = from; k < to; k++)
    for (int32_t b = 0; b < s->blocks; b++) {
      const block c = block_of(s, b);
      lanes sum = lanes_all(0.0f), product = sum;
      for (int32_t n = k * NN_NORM_SLAB; n < (k + 1) * NN_NORM_SLAB && n < last; n++) reduce(&m, plane(s, n, b), s->pixels, &c, &sum, &product, s->half, g);
      lanes_store(partial(s, k, 0), (int64_t)b * LANES, sum, false);
      lanes_store(partial(s, k, 1), (int64_t)b * LANES, product, false);
    }
}

void nn_norm_ready_back(const nn_norm *s) {
  espl_param *gamma = s->bn->param[ESPL_PARAM_GAMMA], *beta = s->bn->param[ESPL_PARAM_BETA];
  const double m = (double)s->images * (double)s->pixels;
  for (int32_t c = 0; c < s->channels; c++) {
    const double sum = total(s, 0, c), product = total(s, 1, c), inv = (double)row(s, INV)[c], by = (double)gamma->value[c] * inv;
    beta->grad[c] = (float)sum;
    gamma->grad[c] = (float)(product * inv);
    row(s, BY_GRAD)[c] = (float)by;
    row(s, BY_VALUE)[c] = (float)(-by * inv * inv * product / m);
    row(s, CONSTANT)[c] = (float)(-by * sum / m);
  }
}

LANES_INLINE void spread_plane(const planes *m, const void *from, int64_t at, int64_t pixels, const block *k, const bool half, const gate g) {
  for (int64_t p = 0; p < pixels; p++) {
    const int64_t i = at + p * LANES;
    const lanes x = lanes_load(m->x, i, half), d = gated(lanes_load(from, i, half), x, m, i, k, half, g);
    lanes_store(m->dx, i, d * k->by_grad + (x - k->mean) * k->by_value + k->constant, half);
  }
}

/* Where d was written it is read, already masked; else dy is, and masked again. */
void nn_norm_spread(const nn_norm *s, int32_t first, int32_t last) {
  const gate g = s->d ? GATE_OPEN : gate_of(s);
  const planes m = planes_of(s, g);
  const void *from = s->d ? m.d : m.dy;
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t n = first; n < last; n++)
    for (int32_t b = 0; b < s->blocks; b++) {
      const block k = block_of(s, b);
      const int64_t at = plane(s, n, b);
      if (s->half && g == GATE_OPEN) spread_plane(&m, from, at, s->pixels, &k, true, GATE_OPEN);
      else if (s->half) spread_plane(&m, from, at, s->pixels, &k, true, GATE_BY_X);
      else if (g == GATE_OPEN) spread_plane(&m, from, at, s->pixels, &k, false, GATE_OPEN);
      else spread_plane(&m, from, at, s->pixels, &k, false, GATE_BY_X);
    }
}
