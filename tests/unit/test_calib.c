/* Calibration: the range of least error against every range tried on the values themselves; bias correction in closed form. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn_graphs.h"
#include "quant/quant_int.h"

enum { IMAGES = 50, SIDE = 200 };

/* Images [c,SIDE,SIDE] whose pixels `fill` gives. */
static espl_dataset images(int c, uint8_t (*fill)(int image, int channel, int pixel)) {
  espl_dataset d = {.source = (char *)(uintptr_t)"made here", .n = IMAGES, .classes = 2, .shape = {c, SIDE, SIDE}};
  d.pixels = malloc((size_t)(IMAGES * c * SIDE * SIDE));
  d.labels = calloc(IMAGES, 1);
  for (int i = 0; i < IMAGES; i++)
    for (int k = 0; k < c; k++)
      for (int p = 0; p < SIDE * SIDE; p++) d.pixels[(i * c + k) * SIDE * SIDE + p] = fill(i, k, p);
  return d;
}

static void free_images(espl_dataset *d) {
  free(d->pixels);
  free(d->labels);
}

static espl_preprocess raw(void) {
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  pp.raw = 1;
  return pp;
}

/* Two channels of 0 to 10 whose mixture below is nearly continuous; `spikes` of their pixels are 255. */
static uint32_t spikes;
static uint8_t with_spikes(int image, int channel, int pixel) {
  uint64_t k = (uint64_t)(image * SIDE * SIDE + pixel);
  if (image == 7 && (uint32_t)pixel < spikes) return 255;
  return (uint8_t)espl_rng_below(3, (uint64_t)channel, k, 11);
}

static const float mix[2] = {0.618f, 0.331f};

/* Square error of rounding the mixtures to 255 steps over [0, hi]. */
static double real_error(const espl_dataset *d, double hi) {
  double sum = 0, step = hi / 255;
  for (int i = 0; i < IMAGES; i++)
    for (int p = 0; p < SIDE * SIDE; p++) {
      const uint8_t *px = d->pixels + (int64_t)i * 2 * SIDE * SIDE + p;
      double x = (double)mix[0] * px[0] + (double)mix[1] * px[SIDE * SIDE], q = fmin(255, nearbyint(x / step)) * step;
      sum += (x - q) * (x - q);
    }
  return sum;
}

/* The upper end that calibration takes. */
static double least_error_of(const espl_dataset *d) {
  espl_preprocess pp = raw();
  espl_graph *g = start(2, SIDE, SIDE);
  int a = conv(g, 0, 1, (espl_conv_attr){.kh = 1, .kw = 1}, false);
  memcpy(g->node[a].param[ESPL_PARAM_WEIGHT]->value, mix, sizeof mix);
  node(g, (espl_node){.op = ESPL_OP_RELU, .inputs = 1, .input = {a}});
  const uint8_t wanted[3] = {0, 1, 0};
  qrange r[3];
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  cfg.least_error = true;
  OK(q_calibrate(g, d, &pp, &cfg, wanted, r, NULL, &err));
  espl_graph_free(g);
  cr_assert_eq(r[1].lo, 0.0f);
  return (double)r[1].hi;
}

/* One spike in two million values is worth cutting off, two hundred are not. */
Test(calib, least_error_weighs_rounding_against_clamping) {
  const uint32_t counts[] = {1, 200};
  for (int k = 0; k < 2; k++) {
    spikes = counts[k];
    espl_dataset d = images(2, with_spikes);
    double whole = 255 * ((double)mix[0] + (double)mix[1]), took = least_error_of(&d), cost = real_error(&d, took);
    for (int f = 20; f <= 100; f += 4) cr_expect_leq(cost, 1.05 * real_error(&d, whole * f / 100), "%u spikes: range to %g costs %g, to %d %% of all %g", spikes, took, cost, f, real_error(&d, whole * f / 100));
    cr_expect(k ? took > 0.95 * whole : took < 0.7 * whole, "%u spikes: to %g of %g", spikes, took, whole);
    free_images(&d);
  }
}

/* Channel 0 from 0 to 255, channel 1 always 100. */
static uint8_t ramp_and_constant(int image, int channel, int pixel) { return (uint8_t)(channel ? 100 : (image * 7 + pixel * 5) % 256); }

static int32_t bias_of(bool correct) {
  espl_dataset d = images(2, ramp_and_constant);
  espl_preprocess pp = raw();
  espl_graph *g = start(2, SIDE, SIDE);
  int c = conv(g, 0, 1, (espl_conv_attr){.kh = 1, .kw = 1}, false);
  float *w = g->node[c].param[ESPL_PARAM_WEIGHT]->value;
  w[0] = 1.0f;
  w[1] = 0.4f / 127.0f; /* rounds to 0 */
  node(g, (espl_node){.op = ESPL_OP_GLOBALAVGPOOL, .inputs = 1, .input = {c}});
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  cfg.percentile = 1;
  cfg.correct_bias = correct;
  espl_qnet *q = NULL;
  OK(espl_quantize(g, &d, &pp, &cfg, &q, &err));
  cr_assert_float_eq(q->tensor[0].scale, 1.0f, 1e-6);
  cr_assert(q->layer[0].w[0] == 127 && q->layer[0].w[1] == 0);
  int32_t bias = q->layer[0].par[0].bias;
  espl_qnet_free(q);
  espl_graph_free(g);
  free_images(&d);
  return bias;
}

/* The accumulator counts 1/127; the lost 100 * 0.4/127 are 40 of them. */
Test(calib, bias_takes_back_what_rounding_lost) { cr_expect_eq(bias_of(true) - bias_of(false), 40); }
