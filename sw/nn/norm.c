/* Normalisations: the loops. norm.h has the definition. */
#include "nn/norm.h"

#include <math.h>
#include <string.h>

#include "nn/lanes.h"

/* Rows of the state, each blocks * 16 floats, once or for each image; behind them two rows of partial sums a slab. MEAN is what is
 * subtracted; the normalised value is (x - MEAN) * INV, y = SCALE * x + SHIFT, dx = BY_GRAD * d + BY_VALUE * (x - MEAN) + CONSTANT. */
enum { MEAN, INV, SCALE, SHIFT, PIVOT, BY_GRAD, BY_VALUE, CONSTANT, WHOLE_MEAN, ROWS };
typedef enum gate { GATE_OPEN, GATE_BY_X, GATE_BY_Y } gate; /* where the gradient passes: everywhere, by what x gives, by y */

static int32_t slab_of(nn_norm_kind kind) { return kind == NN_NORM_BATCH ? NN_NORM_SLAB : 1; }
static int32_t slabs_of(nn_norm_kind kind, int32_t images) { return (images + slab_of(kind) - 1) / slab_of(kind); }
static int32_t states_of(nn_norm_kind kind, int32_t images) { return kind == NN_NORM_BATCH ? 1 : images; }
static int32_t slabs(const nn_norm *s) { return slabs_of(s->kind, s->images); }
static int32_t width(const nn_norm *s) { return s->blocks * LANES; }

/* Row i of image n. */
static float *row(const nn_norm *s, int32_t n, int i) {
  return (float *)dnn_mem_ptr(s->state) + (int64_t)((s->kind == NN_NORM_BATCH ? 0 : n) * ROWS + i) * width(s);
}
static float *partial(const nn_norm *s, int32_t slab, int which) {
  return (float *)dnn_mem_ptr(s->state) + (int64_t)(states_of(s->kind, s->images) * ROWS + 2 * slab + which) * width(s);
}
int64_t nn_norm_state_elems(nn_norm_kind kind, int32_t images, int32_t blocks) {
  return (int64_t)blocks * LANES * (ROWS * states_of(kind, images) + 2 * slabs_of(kind, images));
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

/* The pivot is the first pixel of the batch or image: it keeps the difference of large squares away where a mean is far from 0. */
void nn_norm_stats(const nn_norm *s, int32_t first, int32_t last) {
  const void *x = dnn_mem_ptr(s->x);
  const int32_t slab = slab_of(s->kind), from = first / slab, to = (last + slab - 1) / slab;
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t back = from; back < to; back++) /* from the end: what was just written is still in the cache */
    for (int32_t b = 0; b < s->blocks; b++) {
      const int32_t k = to - 1 - (back - from);
      lanes sum = lanes_all(0.0f), square = sum, pivot = lanes_load(x, plane(s, s->kind == NN_NORM_BATCH ? 0 : k, b), s->half);
      for (int32_t n = k * slab; n < (k + 1) * slab && n < last; n++)
        if (s->half) stats_plane(x, plane(s, n, b), s->pixels, pivot, &sum, &square, true);
        else stats_plane(x, plane(s, n, b), s->pixels, pivot, &sum, &square, false);
      lanes_store(partial(s, k, 0), (int64_t)b * LANES, sum, false);
      lanes_store(partial(s, k, 1), (int64_t)b * LANES, square, false);
      if (k == 0 || s->kind != NN_NORM_BATCH) lanes_store(row(s, k, PIVOT), (int64_t)b * LANES, pivot, false);
    }
}

static double total(const nn_norm *s, int which, int32_t c) {
  double sum = 0.0;
  for (int32_t k = 0; k < slabs(s); k++) sum += (double)partial(s, k, which)[c];
  return sum;
}

static void ready_batch(const nn_norm *s, double rate) {
  const espl_node *n = s->bn;
  const float *gamma = n->param[ESPL_PARAM_GAMMA]->value, *beta = n->param[ESPL_PARAM_BETA]->value;
  float *mean = n->param[ESPL_PARAM_MEAN]->value, *var = n->param[ESPL_PARAM_VAR]->value;
  const double m = (double)s->images * (double)s->pixels, unbiased = m > 1.0 ? m / (m - 1.0) : 1.0;
  for (int32_t c = 0; c < s->channels; c++) {
    const double d = total(s, 0, c) / m, mu = d + (double)row(s, 0, PIVOT)[c];
    double v = total(s, 1, c) / m - d * d;
    if (v < 0.0) v = 0.0; /* rounding only; what is not a number stays that */
    const double inv = 1.0 / sqrt(v + (double)n->eps);
    row(s, 0, MEAN)[c] = (float)mu;
    row(s, 0, INV)[c] = (float)inv;
    row(s, 0, SCALE)[c] = (float)((double)gamma[c] * inv);
    row(s, 0, SHIFT)[c] = (float)((double)beta[c] - mu * (double)gamma[c] * inv);
    mean[c] = (float)((1.0 - rate) * (double)mean[c] + rate * mu);
    var[c] = (float)((1.0 - rate) * (double)var[c] + rate * unbiased * v);
  }
}

/* Statistics of channels c .. c + group - 1 of image n. The sum of (x - m)^2 of a channel with pivot p, sum S of x - p and Q of its square
 * is Q + 2 (p - m) S + P (p - m)^2. */
static void ready_group(const nn_norm *s, int32_t n, int32_t c, int32_t group) {
  const espl_node *node = s->bn;
  const float *sum = partial(s, n, 0), *square = partial(s, n, 1), *pivot = row(s, n, PIVOT);
  const double p = (double)s->pixels, m = p * (double)group;
  double mu = 0.0, v = 0.0;
  for (int32_t k = c; k < c + group; k++) mu += ((double)sum[k] + p * (double)pivot[k]) / m;
  const double share = s->kind == NN_NORM_GRAPH ? (double)node->param[ESPL_PARAM_BIAS]->value[c] : 1.0, centre = share * mu;
  for (int32_t k = c; k < c + group; k++) {
    const double off = (double)pivot[k] - centre;
    v += ((double)square[k] + 2.0 * off * (double)sum[k] + p * off * off) / m;
  }
  const double inv = 1.0 / sqrt((v > 0.0 ? v : 0.0 * v) + (double)node->eps);
  for (int32_t k = c; k < c + group; k++) {
    const double scale = (double)node->param[ESPL_PARAM_GAMMA]->value[k] * inv;
    row(s, n, MEAN)[k] = (float)centre;
    row(s, n, WHOLE_MEAN)[k] = (float)mu;
    row(s, n, INV)[k] = (float)inv;
    row(s, n, SCALE)[k] = (float)scale;
    row(s, n, SHIFT)[k] = (float)((double)node->param[ESPL_PARAM_BETA]->value[k] - centre * scale);
  }
}

void nn_norm_ready(const nn_norm *s, double rate) {
  const int32_t group = s->kind == NN_NORM_GROUP ? s->group : 1;
  if (s->kind == NN_NORM_BATCH) ready_batch(s, rate);
  else
    for (int32_t n = 0; n < s->images; n++)
      for (int32_t c = 0; c < s->channels; c += group) ready_group(s, n, c, group);
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
      const lanes scale = lanes_load(row(s, n, SCALE), (int64_t)b * LANES, false), shift = lanes_load(row(s, n, SHIFT), (int64_t)b * LANES, false);
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

static inline block block_of(const nn_norm *s, int32_t n, int32_t b) {
  const int64_t at = (int64_t)b * LANES;
  return (block){lanes_load(row(s, n, MEAN), at, false), lanes_load(row(s, n, SCALE), at, false), lanes_load(row(s, n, SHIFT), at, false),
                 lanes_all(lower(s->act)), lanes_all(upper(s->act)), lanes_load(row(s, n, BY_GRAD), at, false),
                 lanes_load(row(s, n, BY_VALUE), at, false), lanes_load(row(s, n, CONSTANT), at, false)};
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
  const int32_t slab = slab_of(s->kind), from = first / slab, to = (last + slab - 1) / slab;
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t back = from; back < to; back++) /* from the end, as above */
    for (int32_t b = 0; b < s->blocks; b++) {
      const int32_t k = to - 1 - (back - from);
      const block c = block_of(s, k * slab, b);
      lanes sum = lanes_all(0.0f), product = sum;
      for (int32_t n = k * slab; n < (k + 1) * slab && n < last; n++) reduce(&m, plane(s, n, b), s->pixels, &c, &sum, &product, s->half, g);
      lanes_store(partial(s, k, 0), (int64_t)b * LANES, sum, false);
      lanes_store(partial(s, k, 1), (int64_t)b * LANES, product, false);
    }
}

static void ready_back_batch(const nn_norm *s) {
  espl_param *gamma = s->bn->param[ESPL_PARAM_GAMMA], *beta = s->bn->param[ESPL_PARAM_BETA];
  const double m = (double)s->images * (double)s->pixels;
  for (int32_t c = 0; c < s->channels; c++) {
    const double sum = total(s, 0, c), product = total(s, 1, c), inv = (double)row(s, 0, INV)[c], by = (double)gamma->value[c] * inv;
    beta->grad[c] = (float)sum;
    gamma->grad[c] = (float)(product * inv);
    row(s, 0, BY_GRAD)[c] = (float)by;
    row(s, 0, BY_VALUE)[c] = (float)(-by * inv * inv * product / m);
    row(s, 0, CONSTANT)[c] = (float)(-by * sum / m);
  }
}

/* One group of one image, with D = sum d and E = sum d * t of a channel, t = x - MEAN, i = INV:
 *   group: dx = i * (gamma d - sum(gamma D) / M - t * i^2 * sum(gamma E) / M), sums over its channels, M values;
 *   graph: dt = gamma i (d - t i^2 E / P), dx = dt - share * mean(dt), dshare = -mu * sum dt, sum t = P (1 - share) mu. */
static void ready_back_group(const nn_norm *s, int32_t n, int32_t c, int32_t group) {
  const float *gamma = s->bn->param[ESPL_PARAM_GAMMA]->value, *d = partial(s, n, 0), *e = partial(s, n, 1);
  const double inv = (double)row(s, n, INV)[c], p = (double)s->pixels, m = p * (double)group;
  double sum = 0.0, product = 0.0;
  for (int32_t k = c; k < c + group; k++) {
    sum += (double)gamma[k] * (double)d[k];
    product += (double)gamma[k] * (double)e[k];
    s->bn->param[ESPL_PARAM_BETA]->grad[k] += d[k];
    s->bn->param[ESPL_PARAM_GAMMA]->grad[k] += (float)((double)e[k] * inv);
  }
  const double by_value = -inv * inv * inv * product / m;
  double constant = -inv * sum / m;
  if (s->kind == NN_NORM_GRAPH) {
    const double share = (double)s->bn->param[ESPL_PARAM_BIAS]->value[c], mu = (double)row(s, n, WHOLE_MEAN)[c];
    const double all = inv * sum + by_value * p * (1.0 - share) * mu; /* sum of dt */
    constant = -share * all / p;
    s->bn->param[ESPL_PARAM_BIAS]->grad[c] -= (float)(mu * all);
  }
  for (int32_t k = c; k < c + group; k++) {
    row(s, n, BY_GRAD)[k] = (float)((double)gamma[k] * inv);
    row(s, n, BY_VALUE)[k] = (float)by_value;
    row(s, n, CONSTANT)[k] = (float)constant;
  }
}

void nn_norm_ready_back(const nn_norm *s) {
  static const espl_param_kind trained[] = {ESPL_PARAM_GAMMA, ESPL_PARAM_BETA, ESPL_PARAM_BIAS};
  const int32_t group = s->kind == NN_NORM_GROUP ? s->group : 1;
  if (s->kind == NN_NORM_BATCH) {
    ready_back_batch(s);
    return;
  }
  for (size_t k = 0; k < sizeof trained / sizeof *trained; k++) {
    espl_param *p = s->bn->param[trained[k]];
    if (p) memset(p->grad, 0, (size_t)p->elems * sizeof *p->grad);
  }
  for (int32_t n = 0; n < s->images; n++)
    for (int32_t c = 0; c < s->channels; c += group) ready_back_group(s, n, c, group);
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
      const block k = block_of(s, n, b);
      const int64_t at = plane(s, n, b);
      if (s->half && g == GATE_OPEN) spread_plane(&m, from, at, s->pixels, &k, true, GATE_OPEN);
      else if (s->half) spread_plane(&m, from, at, s->pixels, &k, true, GATE_BY_X);
      else if (g == GATE_OPEN) spread_plane(&m, from, at, s->pixels, &k, false, GATE_OPEN);
      else spread_plane(&m, from, at, s->pixels, &k, false, GATE_BY_X);
    }
}
