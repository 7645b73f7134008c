/* Scales, integer weights, multipliers and shifts of every layer.
 *
 * With x = si*(q_x - zi), w = sw*q_w (sw > 0 per output channel) and BatchNorm y = a*(w.x + b0) + c:
 *   y = si*sw*|a| * ( sum q_w'*(q_x - zi) + B/(si*sw*|a|) ),   q_w' = sign(a)*q_w,   B = a*b0 + c
 * so the accumulator with bias round(B/(si*sw*|a|)) - zi*sum(q_w') counts units of u = si*sw*|a|, and the requantizer's multiplier is
 * M = u/so = m*2^-s. The residual operand adds sr/so*(q_r - zr) = mr*2^(l-s)*(q_r - zr). m and mr are normalised to 2^15..2^16-1:
 * s = 16 - e for M = f*2^e, f in [1/2,1), and l = s - s_r with the same s_r for the residual multiplier. Where l would be negative mr
 * takes the shift s itself (l = 0), where it would pass 22 s is lowered to s_r + 22 and m loses as many bits; s never passes 47.
 * A channel without weights (or a = 0) only has B: its accumulator counts units of so/1024. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quant/quant_int.h"

#define BIAS_MAX 1073741824.0 /* 2^30: leaves room for the sum itself in 32 bits */

/* value = f*2^-s with f rounded to 16 bits, 2^15 <= f <= 2^16 - 1 */
static int32_t normalise(double value, int32_t *s) {
  int e;
  double f = frexp(value, &e);
  int32_t m = (int32_t)floor(f * 65536.0 + 0.5);
  if (m == 65536) {
    m = 32768;
    e++;
  }
  *s = 16 - e;
  return m;
}

espl_status q_multiplier(double value, const char *layer, uint16_t *m, uint8_t *s, espl_err *err) {
  int32_t shift = 1, mant = value > 0 ? normalise(value, &shift) : 0;
  if (shift < 1) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: multiplier %g, the machine takes less than 32768", layer, value);
  if (shift > 47) {
    shift = 47;
    mant = (int32_t)floor(ldexp(value, 47) + 0.5);
  }
  *m = (uint16_t)mant;
  *s = (uint8_t)shift;
  return ESPL_OK;
}

espl_status q_residual(double scale, double value, const char *layer, espl_qparam *p, espl_err *err) {
  int32_t sr = 1, mr = value > 0 ? normalise(value, &sr) : 0;
  if (sr < 1) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: residual multiplier %g, the machine takes less than 32768", layer, value);
  int32_t l = p->s - sr;
  if (l < 0) {
    mr = (int32_t)floor(ldexp(value, p->s) + 0.5);
    l = 0;
  } else if (l > 22) {
    l = 22;
    p->s = (uint8_t)(sr + 22);
    p->m = (uint16_t)floor(ldexp(scale, p->s) + 0.5);
  }
  p->mr = (uint16_t)mr;
  p->l = (uint8_t)l;
  return ESPL_OK;
}

/* Scale and zero point of a range; zero is always inside and exact. */
static void set_scale(espl_qtensor *t, qrange r) {
  double lo = fmin(r.lo, 0), hi = fmax(r.hi, 0);
  if (!(hi - lo > 1e-30)) hi = lo + 1;
  t->scale = (float)((hi - lo) / 255.0);
  double z = -128.0 - lo / t->scale;
  t->zero = (int32_t)fmin(127, fmax(-128, nearbyint(z)));
}

static int32_t clamp_point(double x, double scale, int32_t zero) {
  if (isinf(x)) return x < 0 ? -128 : 127;
  return (int32_t)fmin(127, fmax(-128, nearbyint(x / scale) + zero));
}

typedef struct channel {
  double a, c; /* y = a*(w.x) + c */
} channel;

static channel channel_of(const qlower *lw, const qsrc *s, int32_t o) {
  const espl_node *conv = s->conv >= 0 ? &lw->g->node[s->conv] : NULL, *bn = s->bn >= 0 ? &lw->g->node[s->bn] : NULL;
  const espl_param *b = conv ? conv->param[ESPL_PARAM_BIAS] : NULL;
  channel k = {1, b ? b->value[o] : 0};
  if (!bn) return k;
  double gamma = bn->param[ESPL_PARAM_GAMMA]->value[o], beta = bn->param[ESPL_PARAM_BETA]->value[o];
  double mean = bn->param[ESPL_PARAM_MEAN]->value[o], var = bn->param[ESPL_PARAM_VAR]->value[o];
  k.a = gamma / sqrt(var + bn->eps);
  k.c = k.a * (k.c - mean) + beta;
  return k;
}

/* Real weight of the dense-expanded kernel. */
static double weight_of(const qlower *lw, const qsrc *s, const espl_qlayer *l, int32_t o, int32_t i, int32_t tap) {
  if (s->kind == QSRC_MATRIX) return o - s->shift_c == i ? 1 : 0;
  int32_t og = l->out_c / l->groups, ig = l->in_c / l->groups, grp = o / og;
  if (i / ig != grp) return 0;
  return lw->g->node[s->conv].param[ESPL_PARAM_WEIGHT]->value[((int64_t)o * ig + i % ig) * l->kh * l->kw + tap];
}

/* One channel: integer weights, bias, multiplier; so is the scale of the requantized value. */
static espl_status quantize_channel(const qlower *lw, const qsrc *s, espl_qlayer *l, int32_t o, const espl_qtensor *in, double so, espl_err *err) {
  int32_t taps = l->kh * l->kw;
  int64_t n = (int64_t)l->in_c * taps;
  channel k = channel_of(lw, s, o);
  double most = l->onehot ? 1 : 0, si = in->scale;
  for (int64_t j = 0; !l->onehot && j < n; j++) most = fmax(most, fabs(weight_of(lw, s, l, o, (int32_t)(j / taps), (int32_t)(j % taps))));
  double sw = l->onehot || s->same_scale || s->concat ? 1 : most / 127.0, gain = fabs(k.a);
  bool dead = most == 0 || gain == 0 || !(si * sw * gain > 0);
  if (!dead && !l->onehot) sw = fmax(sw, fabs(k.c) / (si * gain * BIAS_MAX)); /* a bias far above its weights: coarser weights */
  double unit = dead ? so / 1024 : si * sw * gain;
  int64_t sum = l->onehot && !dead ? 1 : 0;
  int8_t *w = l->onehot ? NULL : l->w + (int64_t)o * n;
  for (int64_t j = 0; w && j < n; j++) {
    double q = dead ? 0 : nearbyint(weight_of(lw, s, l, o, (int32_t)(j / taps), (int32_t)(j % taps)) / sw);
    w[j] = (int8_t)fmin(127, fmax(-127, k.a < 0 ? -q : q));
    sum += w[j];
  }
  double bias = nearbyint(fmin(BIAS_MAX, fmax(-BIAS_MAX, k.c / unit)));
  espl_qparam *p = &l->par[o];
  p->bias = (int32_t)((int64_t)bias - in->zero * sum);
  return q_multiplier(unit / so, l->name, &p->m, &p->s, err);
}

static espl_status average(espl_qlayer *l, double sq, const espl_qtensor *out, espl_err *err) {
  double ratio = sq / out->scale;
  uint16_t m;
  uint8_t s;
  if (l->pool_fixed) ratio /= (double)l->win_h * l->win_w;
  ESPL_TRY(q_multiplier(ratio, l->name, &m, &s, err));
  l->pool_m[0] = m;
  l->pool_shift = s;
  l->pool_zo = out->zero;
  for (int n = 2; !l->pool_fixed && n <= 16; n++) l->pool_m[n - 1] = (uint16_t)floor(ldexp(ratio / n, s) + 0.5);
  return ESPL_OK;
}

static espl_status layer_numbers(qlower *lw, int32_t i, const qrange *range, espl_err *err) {
  espl_qnet *q = lw->q;
  espl_qlayer *l = &q->layer[i];
  const qsrc *s = &lw->src[i];
  const espl_qtensor *in = &q->tensor[l->in];
  espl_qtensor *out = &q->tensor[l->out], value;
  if (s->same_scale) value = *in;
  else set_scale(&value, range[s->value]);
  if (l->pool == ESPL_QPOOL_AVG) set_scale(out, range[s->out]);
  else out->scale = value.scale, out->zero = value.zero;
  l->zo = value.zero;
  l->lo = clamp_point(s->lo, value.scale, value.zero);
  l->hi = clamp_point(s->hi, value.scale, value.zero);
  l->par = espl_calloc((size_t)l->out_c, sizeof *l->par);
  if (!l->onehot) l->w = espl_calloc((size_t)l->out_c * (size_t)l->in_c * (size_t)(l->kh * l->kw), 1);
  if (!l->par || (!l->onehot && !l->w)) return espl_fail(err, ESPL_E_NOMEM, "quantize: out of memory");
  double so = value.scale;
  if (l->res >= 0) l->zr = q->tensor[l->res].zero;
  for (int32_t o = 0; o < l->out_c; o++) {
    ESPL_TRY(quantize_channel(lw, s, l, o, in, so, err));
    bool own = !s->concat || (o >= s->shift_c && o < s->shift_c + l->in_c);
    if (!own) l->par[o] = (espl_qparam){.s = 15};
    if (l->res < 0 || (s->concat && o >= s->shift_c)) continue;
    double scale = own ? ldexp((double)l->par[o].m, -l->par[o].s) : 0;
    ESPL_TRY(q_residual(scale, q->tensor[l->res].scale / so, l->name, &l->par[o], err));
  }
  if (l->pool == ESPL_QPOOL_AVG) ESPL_TRY(average(l, so, out, err));
  if (espl_qlayer_acc_bits(q, i) > 32) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: its sums do not fit 32 bits", l->name);
  return ESPL_OK;
}

espl_status q_numbers(qlower *lw, const qrange *range, espl_err *err) {
  set_scale(&lw->q->tensor[0], range[0]);
  for (int32_t i = 0; i < lw->q->layers; i++) ESPL_TRY(layer_numbers(lw, i, range, err));
  return ESPL_OK;
}
