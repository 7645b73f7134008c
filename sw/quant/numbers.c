/* Scales, integer weights, multipliers and shifts of every layer.
 *
 * With x = si*(q_x - zi), w = sw*q_w (sw > 0 per output channel) and BatchNorm y = a*(w.x + b0) + c:
 *   y = si*sw*|a| * ( sum q_w'*(q_x - zi) + B/(si*sw*|a|) ),   q_w' = sign(a)*q_w,   B = a*b0 + c
 * so the accumulator with bias round(B/(si*sw*|a|)) - zi*sum(q_w') counts units of u = si*sw*|a|, and the requantizer's multiplier is
 * M = u/so = m*2^-s. Scales (si, so and sw*|a| together) are float32 numbers and M follows from them alone, so that a file that holds
 * them holds M. The residual operand adds sr/so*(q_r - zr) = mr*2^(l-s)*(q_r - zr). m and mr are normalised to 2^15..2^16-1:
 * s = 16 - e for M = f*2^e, f in [1/2,1), and l = s - s_r with the same s_r for the residual multiplier. Where l would be negative mr
 * takes the shift s itself (l = 0), where it would pass 22 s is lowered to s_r + 22 and m loses as many bits; s never passes 47.
 * A channel without weights (or a = 0) only has B: its accumulator counts units of so/1024. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quant/narrow.h"
#include "quant/quant_int.h"

#define BIAS_MAX 1073741824.0 /* 2^30: leaves room for the sum itself in 32 bits */
#define UNIT_MIN 1.2e-38 /* scales are normal float32 numbers: what a file can hold exactly */

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

/* Bias and multiplier of channel o from the scale of its weights and the bias in units of in->scale*wscale. */
static espl_status finish_channel(espl_qlayer *l, int32_t o, const espl_qtensor *in, double bias, double so, espl_err *err) {
  int64_t sum = l->onehot, n = (int64_t)l->in_c * l->kh * l->kw;
  for (int64_t j = 0; l->w && j < n; j++) sum += l->w[o * n + j];
  espl_qparam *p = &l->par[o];
  p->bias = (int32_t)((int64_t)bias - in->zero * sum);
  return q_multiplier((double)in->scale * (double)l->wscale[o] / so, l->name, &p->m, &p->s, err);
}

static double whole_bias(double c, double unit) { return nearbyint(fmin(BIAS_MAX, fmax(-BIAS_MAX, c / unit))); }

/* What rounding the weights of channel o takes from the mean of w.x (BatchNorm before it): sum of (w - sw*q) * mean of the input's channel. */
static double lost_mean(const qlower *lw, const qsrc *s, const espl_qlayer *l, int32_t o, double sw, bool turned) {
  const espl_qtensor *in = &lw->q->tensor[l->in];
  const float *mean = lw->mean && s->conv >= 0 ? lw->mean[in->node] : NULL;
  if (!mean) return 0;
  int32_t taps = l->kh * l->kw, spread = in->shape.c / lw->g->node[in->node].shape.c; /* a flattened input: that many values a channel */
  double lost = 0;
  for (int64_t j = 0; j < (int64_t)l->in_c * taps; j++) {
    int32_t q = l->w[(int64_t)o * l->in_c * taps + j];
    lost += (weight_of(lw, s, l, o, (int32_t)(j / taps), (int32_t)(j % taps)) - sw * (turned ? -q : q)) * (double)mean[j / taps / spread];
  }
  return lost;
}

static double largest_weight(const qlower *lw, const qsrc *s, const espl_qlayer *l, int32_t o) {
  int32_t taps = l->kh * l->kw;
  double most = 0;
  for (int64_t j = 0; j < (int64_t)l->in_c * taps; j++) most = fmax(most, fabs(weight_of(lw, s, l, o, (int32_t)(j / taps), (int32_t)(j % taps))));
  return most;
}

/* Real scale of one integer step of channel o, before BatchNorm. */
static double step_of(const qlower *lw, const qsrc *s, const espl_qlayer *l, int32_t o, double most, espl_weight_form form) {
  if (l->onehot || (s->kind == QSRC_MATRIX && s->bn < 0)) return 1;
  if (form.most == 127 || lw->cfg->keep_range || most == 0) return most / form.most;
  int32_t taps = l->kh * l->kw;
  int64_t n = (int64_t)l->in_c * taps;
  double *w = espl_calloc((size_t)n, sizeof *w);
  for (int64_t j = 0; w && j < n; j++) w[j] = weight_of(lw, s, l, o, (int32_t)(j / taps), (int32_t)(j % taps));
  double step = w ? q_least_error_scale(w, n, most, form.most) : most / form.most;
  free(w);
  return step;
}

/* One channel: integer weights and their scale; so is the scale of the requantized value; shared: real scale of one step with BatchNorm inside, 0: the
 * channel has its own. Returns the real scale of one step before BatchNorm, 0 for a channel without weights. */
static double quantize_channel(const qlower *lw, const qsrc *s, espl_qlayer *l, int32_t o, const espl_qtensor *in, double so, espl_weight_form form, double shared) {
  int32_t taps = l->kh * l->kw;
  int64_t n = (int64_t)l->in_c * taps;
  channel k = channel_of(lw, s, o);
  double most = l->onehot ? 1 : 0, si = in->scale;
  if (!l->onehot) most = largest_weight(lw, s, l, o);
  double gain = fabs(k.a), sw = shared > 0 && gain > 0 ? shared / gain : step_of(lw, s, l, o, most, form);
  bool dead = most == 0 || gain == 0 || !(si * sw * gain > UNIT_MIN) || !(sw * gain > UNIT_MIN);
  if (!dead && !l->onehot) sw = fmax(sw, fabs(k.c) / (si * gain * BIAS_MAX)); /* a bias far above its weights: coarser weights */
  l->wscale[o] = (float)(dead ? so / 1024 / si : sw * gain);
  int8_t *w = l->onehot ? NULL : l->w + (int64_t)o * n;
  for (int64_t j = 0; w && j < n; j++) {
    double q = dead ? 0 : nearbyint(weight_of(lw, s, l, o, (int32_t)(j / taps), (int32_t)(j % taps)) / sw);
    w[j] = (int8_t)fmin(form.most, fmax(-form.most, k.a < 0 ? -q : q));
  }
  return dead ? 0 : sw;
}

/* The scale that the weights of all channels share, BatchNorm inside; 0: they do not. */
static double shared_step(const qlower *lw, const qsrc *s, const espl_qlayer *l, espl_weight_form form) {
  double most = 0;
  if (s->kind != QSRC_CONV || s->conv < 0 || !lw->cfg->one_scale) return 0; /* a network with given integers has no cfg, and no such layer */
  for (int32_t o = 0; o < l->out_c; o++) most = fmax(most, fabs(channel_of(lw, s, o).a) * largest_weight(lw, s, l, o));
  return most / form.most;
}

/* Integer weights of a layer in the form its name asks for; step [out_c] as quantize_channel says. */
static espl_status quantize_weights(const qlower *lw, const qsrc *s, espl_qlayer *l, const espl_qtensor *in, double so, double *step, espl_err *err) {
  espl_weight_form form = {127, 0};
  if (s->kind == QSRC_CONV && s->conv >= 0) ESPL_TRY(espl_weight_form_of(lw->cfg->weights, lw->g->node[s->conv].name, &form, err));
  double shared = shared_step(lw, s, l, form);
  for (int32_t o = 0; o < l->out_c; o++) step[o] = quantize_channel(lw, s, l, o, in, so, form, shared);
  return form.book_bits ? q_codebook(l->w, l->out_c, (int64_t)l->in_c * l->kh * l->kw, l->wscale, form.book_bits, err) : ESPL_OK;
}

/* Weights, biases and multipliers of all channels, chosen here. */
static espl_status quantize_channels(const qlower *lw, const qsrc *s, espl_qlayer *l, const espl_qtensor *in, double so, espl_err *err) {
  double *step = espl_calloc((size_t)l->out_c, sizeof *step);
  if (!step) return espl_fail(err, ESPL_E_NOMEM, "quantize: out of memory");
  espl_status st = quantize_weights(lw, s, l, in, so, step, err);
  for (int32_t o = 0; st == ESPL_OK && o < l->out_c; o++) {
    channel k = channel_of(lw, s, o);
    double c = step[o] > 0 ? k.c + k.a * lost_mean(lw, s, l, o, step[o], k.a < 0) : k.c;
    st = finish_channel(l, o, in, whole_bias(c, (double)in->scale * (double)l->wscale[o]), so, err);
  }
  free(step);
  return st;
}

/* One channel whose weights are integers in the file. Its bias is taken as it is when it counts units of the accumulator. */
static espl_status given_channel(const qlower *lw, const qsrc *s, espl_qlayer *l, int32_t o, const espl_qtensor *in, double so, espl_err *err) {
  const espl_qnote *note = &lw->given->note[s->conv];
  channel k = channel_of(lw, s, o);
  int32_t ig = l->in_c / l->groups, taps = l->kh * l->kw, first = o / (l->out_c / l->groups) * ig;
  int64_t row = (int64_t)ig * taps;
  double si = in->scale, ws = (double)note->wscale[o] * fabs(k.a);
  bool dead = !(ws > UNIT_MIN) || !(si * ws > UNIT_MIN);
  l->wscale[o] = (float)(dead ? so / 1024 / si : ws);
  int8_t *w = l->w + ((int64_t)o * l->in_c + first) * taps;
  for (int64_t j = 0; !dead && j < row; j++) {
    int32_t v = note->w[o * row + j];
    if (k.a < 0 && v == -128) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: BatchNorm turns its weight -128 round, the machine takes up to 127", l->name);
    w[j] = (int8_t)(k.a < 0 ? -v : v);
  }
  double unit = si * (double)l->wscale[o];
  bool same_unit = note->bias && s->bn < 0 && fabs((double)note->bias_scale[o] - unit) <= 1e-5 * unit;
  double bias = same_unit ? (double)note->bias[o] : whole_bias(k.c, unit);
  if (fabs(bias) > BIAS_MAX) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: bias %.0f of channel %d, the machine takes less than 2^30", l->name, bias, (int)o);
  return finish_channel(l, o, in, bias, so, err);
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

/* ---- scales ---- */

static bool same_note(const qlower *lw, int32_t node, const espl_qtensor *t) {
  return !espl_qgiven_has(lw->given, node) || (lw->given->note[node].scale == t->scale && lw->given->note[node].zero == t->zero);
}

static espl_status given_scale(const qlower *lw, int32_t node, espl_qtensor *t, espl_err *err) {
  const espl_node *n = &lw->g->node[node];
  if (!espl_qgiven_has(lw->given, node))
    return espl_fail(err, ESPL_E_UNSUPPORTED, "node %s (%s): its value stays in memory but the file does not quantize it", n->name, espl_op_name(n->op));
  t->scale = lw->given->note[node].scale;
  t->zero = lw->given->note[node].zero;
  return ESPL_OK;
}

/* A layer that writes a slice (*slice) writes in the numbers of the whole. */
static espl_status slice_scale(const qlower *lw, const espl_qlayer *l, const qrange *range, bool *slice, espl_err *err) {
  espl_qnet *q = lw->q;
  int32_t first, root = espl_qnet_root(q, l->out, &first);
  *slice = root != l->out;
  if (!*slice) return ESPL_OK;
  espl_qtensor *whole = &q->tensor[root];
  if (range) set_scale(whole, range[whole->node]);
  else ESPL_TRY(given_scale(lw, whole->node, whole, err));
  for (int32_t t = l->out; t != root; t = q->tensor[t].whole) q->tensor[t].scale = whole->scale, q->tensor[t].zero = whole->zero;
  return ESPL_OK;
}

/* Scale and zero point of the requantized value and of what the layer writes. */
static espl_status layer_scales(const qlower *lw, int32_t i, const qrange *range, espl_qtensor *value, espl_err *err) {
  const qsrc *s = &lw->src[i];
  const espl_qlayer *l = &lw->q->layer[i];
  espl_qtensor *out = &lw->q->tensor[l->out];
  bool average = l->pool == ESPL_QPOOL_AVG, slice = false;
  ESPL_TRY(slice_scale(lw, l, range, &slice, err));
  if (s->same_scale) *value = lw->q->tensor[l->in];
  else if (slice && !average) *value = *out;
  else if (range) set_scale(value, range[s->value]);
  else ESPL_TRY(given_scale(lw, !average && !espl_qgiven_has(lw->given, s->value) ? s->out : s->value, value, err));
  if (!average) out->scale = value->scale, out->zero = value->zero;
  else if (slice) return ESPL_OK;
  else if (range) set_scale(out, range[s->out]);
  else ESPL_TRY(given_scale(lw, s->out, out, err));
  if (same_note(lw, s->out, out)) return ESPL_OK;
  return espl_fail(err, ESPL_E_UNSUPPORTED, "node %s (%s): changes scale or zero point, the machine copies the bytes", lw->g->node[s->out].name,
                   espl_op_name(lw->g->node[s->out].op));
}

static espl_status has_integers(const qlower *lw, const qsrc *s, const espl_qlayer *l, espl_err *err) {
  if (!lw->given || (s->conv < 0 && s->bn < 0)) return ESPL_OK;
  if (s->conv >= 0 && s->conv < lw->given->cap && lw->given->note[s->conv].w) return ESPL_OK;
  return espl_fail(err, ESPL_E_UNSUPPORTED, "node %s (%s): its weights are not quantized", lw->g->node[l->node].name, espl_op_name(lw->g->node[l->node].op));
}

static espl_status layer_numbers(qlower *lw, int32_t i, const qrange *range, espl_err *err) {
  espl_qnet *q = lw->q;
  espl_qlayer *l = &q->layer[i];
  const qsrc *s = &lw->src[i];
  const espl_qtensor *in = &q->tensor[l->in];
  espl_qtensor *out = &q->tensor[l->out], value = {0};
  ESPL_TRY(has_integers(lw, s, l, err));
  ESPL_TRY(layer_scales(lw, i, range, &value, err));
  l->value = s->value;
  l->vscale = value.scale;
  l->zo = value.zero;
  l->lo = clamp_point(s->lo, value.scale, value.zero);
  l->hi = clamp_point(s->hi, value.scale, value.zero);
  l->par = espl_calloc((size_t)l->out_c, sizeof *l->par);
  l->wscale = espl_calloc((size_t)l->out_c, sizeof *l->wscale);
  if (!l->onehot) l->w = espl_calloc((size_t)l->out_c * (size_t)l->in_c * (size_t)(l->kh * l->kw), 1);
  if (!l->par || !l->wscale || (!l->onehot && !l->w)) return espl_fail(err, ESPL_E_NOMEM, "quantize: out of memory");
  double so = value.scale;
  if (l->res >= 0) l->zr = q->tensor[l->res].zero;
  bool given = lw->given && s->conv >= 0;
  if (!given) ESPL_TRY(quantize_channels(lw, s, l, in, so, err));
  for (int32_t o = 0; o < l->out_c; o++) {
    if (given) ESPL_TRY(given_channel(lw, s, l, o, in, so, err));
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

/* Values that are only other names of a tensor must not change it; classes behind a final Softmax are read before it. */
static espl_status check_aliases(const qlower *lw, espl_err *err) {
  for (int32_t i = 1; i < lw->g->nodes; i++) {
    const espl_node *n = &lw->g->node[i];
    if (lw->tensor_of[i] < 0 || n->op == ESPL_OP_SOFTMAX || same_note(lw, i, &lw->q->tensor[lw->tensor_of[i]])) continue;
    return espl_fail(err, ESPL_E_UNSUPPORTED, "node %s (%s): changes scale or zero point, the machine does not move these bytes", n->name, espl_op_name(n->op));
  }
  return ESPL_OK;
}

espl_status q_numbers(qlower *lw, const qrange *range, espl_err *err) {
  if (range) set_scale(&lw->q->tensor[0], range[0]);
  else ESPL_TRY(given_scale(lw, 0, &lw->q->tensor[0], err));
  for (int32_t i = 0; i < lw->q->layers; i++) ESPL_TRY(layer_numbers(lw, i, range, err));
  return check_aliases(lw, err);
}
