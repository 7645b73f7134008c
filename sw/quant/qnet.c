/* The integer network as an object: making it from a graph, its input, its accumulator bounds, its end. */
#include "quant/qnet.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "quant/narrow.h"
#include "quant/quant_int.h"

void espl_qnet_free(espl_qnet *q) {
  if (!q) return;
  for (int32_t i = 0; i < q->layers; i++) {
    free(q->layer[i].name);
    free(q->layer[i].w);
    free(q->layer[i].par);
    free(q->layer[i].wscale);
  }
  free(q->layer);
  free(q->tensor);
  free(q->name);
  free(q);
}

int32_t espl_qnet_root(const espl_qnet *q, int32_t tensor, int32_t *first) {
  for (*first = 0; q->tensor[tensor].whole > 0; tensor = q->tensor[tensor].whole) *first += q->tensor[tensor].whole_c;
  return tensor;
}

bool espl_qnet_joined(const espl_qnet *q, int32_t tensor) {
  for (int32_t i = 0; tensor > 0 && i < q->tensors; i++)
    if (q->tensor[i].whole == tensor) return true;
  return false;
}

void espl_qnet_input(const espl_qnet *q, const float *x, int8_t *out) {
  int64_t n = espl_shape_elems(q->tensor[0].shape);
  float inv = 1.0f / q->tensor[0].scale, zero = (float)q->tensor[0].zero;
  for (int64_t i = 0; i < n; i++) {
    float v = nearbyintf(x[i] * inv) + zero;
    out[i] = (int8_t)(v < -128.0f ? -128.0f : v > 127.0f ? 127.0f : v);
  }
}

static int bits_for(int64_t lo, int64_t hi) {
  int b = 1;
  while (b < 63 && !(hi < 1ll << (b - 1) && -lo < 1ll << (b - 1))) b++;
  return b;
}

/* Sum of the positive and of the negative ones among n weights. */
static void signed_sums(const int8_t *w, int64_t n, int64_t *plus, int64_t *minus) {
  enum { BLOCK = 64 }; /* a fixed count lets the compiler use vectors */
  int64_t j = 0, p = 0, all = 0;
  for (; j + BLOCK <= n; j += BLOCK) {
    int32_t bp = 0, ball = 0;
    for (int k = 0; k < BLOCK; k++) {
      bp += w[j + k] > 0 ? w[j + k] : 0;
      ball += w[j + k];
    }
    p += bp;
    all += ball;
  }
  for (; j < n; j++) {
    p += w[j] > 0 ? w[j] : 0;
    all += w[j];
  }
  *plus = p;
  *minus = all - p;
}

/* The sum itself, and the sum with its bias (which the requantizer holds in 32 bits), over every int8 input, padding included. */
int espl_qlayer_acc_bits(const espl_qnet *q, int32_t layer) {
  const espl_qlayer *l = &q->layer[layer];
  int64_t lo = 0, hi = 0, n = (int64_t)l->in_c * l->kh * l->kw;
  bool wide = false;
  for (int32_t o = 0; o < l->out_c; o++) {
    int64_t plus = 1, minus = 0; /* one-hot */
    if (!l->onehot) signed_sums(l->w + o * n, n, &plus, &minus);
    int64_t a = -128 * plus + 127 * minus, b = 127 * plus - 128 * minus;
    lo = a < lo ? a : lo;
    hi = b > hi ? b : hi;
    wide = wide || bits_for(a + l->par[o].bias, b + l->par[o].bias) > 32;
  }
  return wide ? 33 : bits_for(lo, hi);
}

/* Arrays for the channel means of what convolutions read. */
static espl_status want_means(const qlower *lw, float **mean, espl_err *err) {
  for (int32_t i = 0; i < lw->q->layers; i++) {
    int32_t node = lw->q->tensor[lw->q->layer[i].in].node;
    if (lw->src[i].conv < 0 || mean[node]) continue;
    mean[node] = espl_calloc((size_t)lw->g->node[node].shape.c, sizeof(float));
    if (!mean[node]) return espl_fail(err, ESPL_E_NOMEM, "quantize: out of memory");
  }
  return ESPL_OK;
}

static espl_status quantize(qlower *lw, const espl_dataset *calib, const espl_preprocess *pp, const espl_quant_config *cfg, espl_err *err) {
  size_t nodes = (size_t)lw->g->nodes;
  uint8_t *wanted = espl_calloc(nodes, 1);
  qrange *range = espl_calloc(nodes, sizeof *range);
  float **mean = cfg->correct_bias && calib ? espl_calloc(nodes, sizeof *mean) : NULL;
  espl_status s = wanted && range && (mean || !cfg->correct_bias || !calib) ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "quantize: out of memory");
  if (s == ESPL_OK) {
    wanted[0] = 1;
    for (int32_t i = 0; i < lw->q->layers; i++) {
      if (!lw->src[i].same_scale) wanted[lw->src[i].value] = 1;
      if (lw->q->layer[i].pool == ESPL_QPOOL_AVG) wanted[lw->src[i].out] = 1;
      int32_t first, root = espl_qnet_root(lw->q, lw->q->layer[i].out, &first);
      if (root != lw->q->layer[i].out) wanted[lw->q->tensor[root].node] = 1;
    }
    if (mean) s = want_means(lw, mean, err);
    if (s == ESPL_OK) s = q_calibrate(lw->g, calib, pp, cfg, wanted, range, mean, err);
  }
  lw->mean = mean;
  lw->cfg = cfg;
  if (s == ESPL_OK) s = q_numbers(lw, range, err);
  lw->mean = NULL;
  for (size_t i = 0; mean && i < nodes; i++) free(mean[i]);
  free(mean);
  free(wanted);
  free(range);
  return s;
}

espl_status espl_quantize(espl_graph *g, const espl_dataset *calib, const espl_preprocess *pp, const espl_quant_config *cfg, espl_qnet **out, espl_err *err) {
  qlower lw;
  *out = NULL;
  ESPL_TRY(espl_weight_spec_check(cfg->weights, g, err));
  ESPL_TRY(q_lower(g, NULL, &lw, err));
  espl_status s = quantize(&lw, calib, pp, cfg, err);
  q_lower_clear(&lw);
  if (s == ESPL_OK) *out = lw.q;
  else espl_qnet_free(lw.q);
  return s;
}

espl_status espl_quantize_given(espl_graph *g, const espl_qgiven *v, espl_qnet **out, espl_err *err) {
  qlower lw;
  *out = NULL;
  ESPL_TRY(q_lower(g, v, &lw, err));
  lw.q->requantized = v->requantized;
  espl_status s = q_numbers(&lw, NULL, err);
  q_lower_clear(&lw);
  if (s == ESPL_OK) *out = lw.q;
  else espl_qnet_free(lw.q);
  return s;
}
