/* Ranges of activations: float execution over calibration images (or a seeded random input), extremes and channel means first, then, when
 * they are asked for, a histogram between the extremes: a percentile cuts the rarest tail values off on both sides together, the least error
 * shrinks the range to where rounding inside and clamping outside cost least. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/mem.h"
#include "base/rng.h"
#include "quant/quant_int.h"

enum { BATCH = 50, BINS = 4096, RANDOM_IMAGES = 64 };

void espl_quant_default(espl_quant_config *c) { *c = (espl_quant_config){.calib_images = 1000, .seed = 1, .percentile = 0.9999f}; }

typedef struct calib {
  espl_graph *g;
  const espl_dataset *d;
  const espl_preprocess *pp;
  uint64_t seed;
  int32_t images, nodes;
  const uint8_t *wanted;
  espl_exec *x;
  float *in, *value, *out;
  qrange *range;
  float *const *mean;
  uint32_t **hist; /* [nodes] BINS counters each, or NULL */
} calib;

/* Image k of the calibration: drawn without order from the set, or uniform in [-2, 2] (about a normalised image) without one. */
static void fill(const calib *c, int32_t k, float *to) {
  int64_t n = espl_shape_elems(c->g->node[0].shape);
  if (c->d) {
    uint32_t i = c->images >= c->d->n ? (uint32_t)k : espl_rng_below(c->seed, 0x63616c6962u, (uint64_t)k, (uint32_t)c->d->n);
    espl_data_image(c->d, (int32_t)i, c->pp, 0, 0, to);
    return;
  }
  for (int64_t i = 0; i < n; i++) to[i] = 4.0f * espl_rng_unit(c->seed, (uint64_t)k, (uint64_t)i) - 2.0f;
}

static void see(const calib *c, int32_t node, const float *v, int64_t n, int pass) {
  qrange *r = &c->range[node];
  if (pass == 0) {
    for (int64_t i = 0; i < n; i++) {
      r->lo = fminf(r->lo, v[i]);
      r->hi = fmaxf(r->hi, v[i]);
    }
    return;
  }
  float scale = (float)BINS / (r->hi - r->lo);
  for (int64_t i = 0; i < n; i++) {
    int32_t b = (int32_t)((v[i] - r->lo) * scale);
    c->hist[node][b < 0 ? 0 : b >= BINS ? BINS - 1 : b]++;
  }
}

/* Adds the channel means of `got` of all images. */
static void add_means(const calib *c, int32_t node, const float *v, int32_t got) {
  espl_shape s = c->g->node[node].shape;
  int64_t px = (int64_t)s.h * s.w;
  for (int64_t k = 0; k < (int64_t)got * s.c; k++) {
    double sum = 0;
    for (int64_t p = 0; p < px; p++) sum += (double)v[k * px + p];
    c->mean[node][k % s.c] += (float)(sum / (double)(px * c->images));
  }
}

static espl_status pass_over(calib *c, int pass, espl_err *err) {
  int64_t n = espl_shape_elems(c->g->node[0].shape);
  for (int32_t at = 0; at < c->images; at += BATCH) {
    int32_t got = c->images - at < BATCH ? c->images - at : BATCH;
    for (int32_t k = 0; k < BATCH; k++) fill(c, at + (k < got ? k : 0), c->in + k * n);
    ESPL_TRY(espl_interrupt_check(err));
    ESPL_TRY(espl_exec_forward(c->x, c->in, c->out, err));
    for (int32_t i = 0; i < c->nodes; i++) {
      bool mean = pass == 0 && c->mean && c->mean[i];
      if (!c->wanted[i] && !mean) continue;
      int64_t m = espl_shape_elems(c->g->node[i].shape);
      if (i > 0) ESPL_TRY(espl_exec_value(c->x, i, c->value, err));
      if (mean) add_means(c, i, i > 0 ? c->value : c->in, got);
      if (c->wanted[i]) see(c, i, i > 0 ? c->value : c->in, m * got, pass);
    }
  }
  return ESPL_OK;
}

/* Keeps `share` of the values: bins are dropped from the outside, always the emptier side, while fewer than 1 - share are gone. Zero stays. */
static void cut(qrange *r, const uint32_t *hist, double share) {
  double total = 0, gone = 0;
  for (int i = 0; i < BINS; i++) total += hist[i];
  int a = 0, b = BINS - 1;
  float step = (r->hi - r->lo) / (float)BINS, lo = r->lo;
  while (a < b) {
    bool left_ok = lo + (float)(a + 1) * step <= 0, right_ok = lo + (float)b * step >= 0;
    if (!left_ok && !right_ok) break;
    bool left = left_ok && (!right_ok || hist[a] <= hist[b]);
    uint32_t n = hist[left ? a : b];
    if (gone + n > (1.0 - share) * total) break;
    gone += n;
    if (left) a++;
    else b--;
  }
  r->lo = lo + (float)a * step;
  r->hi = lo + (float)(b + 1) * step;
}

/* Mean square error of 255 steps over [lo, hi]: step^2/12 inside, the distance to the nearer end outside. */
static double error_of(const qrange *all, const uint32_t *hist, double lo, double hi) {
  double width = ((double)all->hi - (double)all->lo) / BINS, step = (hi - lo) / 255.0, sum = 0;
  for (int i = 0; i < BINS; i++) {
    double x = (double)all->lo + (i + 0.5) * width, off = x < lo ? lo - x : x > hi ? x - hi : 0;
    sum += hist[i] * (off > 0 ? off * off : step * step / 12.0);
  }
  return sum;
}

/* Each end in turn to the hundredth of itself that costs least, the other end as it then stands; zero stays inside. */
static void shrink(qrange *r, const uint32_t *hist) {
  const qrange all = *r;
  double end[2] = {fmin((double)all.lo, 0), fmax((double)all.hi, 0)};
  for (int k = 1; k >= 0; k--) {
    double whole = end[k], best = INFINITY;
    for (int f = 100; f >= 20; f--) {
      double at = whole * f / 100, e = k ? error_of(&all, hist, end[0], at) : error_of(&all, hist, at, end[1]);
      if (e < best) best = e, end[k] = at;
    }
  }
  r->lo = (float)end[0];
  r->hi = (float)end[1];
}

/* Histograms, then `least_error`, or the percentile `share`. */
static espl_status narrow(calib *c, bool least_error, double share, espl_err *err) {
  for (int32_t i = 0; i < c->nodes; i++) {
    if (!c->wanted[i]) continue;
    c->hist[i] = espl_calloc(BINS, sizeof(uint32_t));
    if (!c->hist[i]) return espl_fail(err, ESPL_E_NOMEM, "calibration: out of memory");
    if (!(c->range[i].hi > c->range[i].lo)) c->range[i].hi = c->range[i].lo + 1e-6f;
  }
  ESPL_TRY(pass_over(c, 1, err));
  for (int32_t i = 1; i < c->nodes; i++)
    if (c->wanted[i] && i != c->g->output) {
      if (least_error) shrink(&c->range[i], c->hist[i]);
      else cut(&c->range[i], c->hist[i], share);
    }
  return ESPL_OK;
}

static espl_status prepare(calib *c, espl_err *err) {
  int64_t most = 1;
  for (int32_t i = 0; i < c->nodes; i++) {
    int64_t n = espl_shape_elems(c->g->node[i].shape);
    if (n > most) most = n;
    c->range[i] = (qrange){INFINITY, -INFINITY};
  }
  c->in = espl_calloc((size_t)(BATCH * espl_shape_elems(c->g->node[0].shape)), sizeof(float));
  c->out = espl_calloc((size_t)(BATCH * espl_shape_elems(c->g->node[c->g->output].shape)), sizeof(float));
  c->value = espl_calloc((size_t)(BATCH * most), sizeof(float));
  c->hist = espl_calloc((size_t)c->nodes, sizeof *c->hist);
  if (!c->in || !c->out || !c->value || !c->hist) return espl_fail(err, ESPL_E_NOMEM, "calibration: out of memory");
  ESPL_TRY(espl_exec_new(c->g, ESPL_MODE_INFER, ESPL_F32, BATCH, &c->x, err));
  espl_exec_freeze(c->x);
  for (int32_t i = 1; i < c->nodes; i++)
    if (c->wanted[i] || (c->mean && c->mean[i])) ESPL_TRY(espl_exec_keep(c->x, i, err));
  return ESPL_OK;
}

espl_status q_calibrate(espl_graph *g, const espl_dataset *calib_set, const espl_preprocess *pp, const espl_quant_config *cfg, const uint8_t *wanted,
                        qrange *range, float *const *mean, espl_err *err) {
  calib c = {.g = g, .d = calib_set, .pp = pp, .seed = cfg->seed, .nodes = g->nodes, .wanted = wanted, .range = range, .mean = mean};
  c.images = calib_set ? (cfg->calib_images < calib_set->n ? cfg->calib_images : calib_set->n) : RANDOM_IMAGES;
  espl_status s = ESPL_OK;
  if (calib_set && (calib_set->shape.c != g->node[0].shape.c || calib_set->shape.h != g->node[0].shape.h || calib_set->shape.w != g->node[0].shape.w))
    s = espl_fail(err, ESPL_E_INPUT, "%s: images are %dx%dx%d, network %s takes %dx%dx%d", calib_set->source, (int)calib_set->shape.c, (int)calib_set->shape.h,
                  (int)calib_set->shape.w, g->name, (int)g->node[0].shape.c, (int)g->node[0].shape.h, (int)g->node[0].shape.w);
  if (s == ESPL_OK && c.images < 1) s = espl_fail(err, ESPL_E_INPUT, "calibration needs at least one image");
  if (s == ESPL_OK) s = prepare(&c, err);
  if (s == ESPL_OK) s = pass_over(&c, 0, err);
  for (int32_t i = 0; s == ESPL_OK && i < c.nodes; i++)
    if (wanted[i] && !(isfinite(range[i].lo) && isfinite(range[i].hi))) s = espl_fail(err, ESPL_E_FAILED, "node %s: its values are not finite", g->node[i].name);
  if (s == ESPL_OK && calib_set && (cfg->least_error || cfg->percentile < 1.0f)) s = narrow(&c, cfg->least_error, (double)cfg->percentile, err);
  espl_exec_free(c.x);
  for (int32_t i = 0; c.hist && i < c.nodes; i++) free(c.hist[i]);
  free(c.hist);
  free(c.in);
  free(c.out);
  free(c.value);
  return s;
}
