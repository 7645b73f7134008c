/* Execution of an integer network with TFLite's arithmetic. Tensors are int8 [H][W][C]; a convolution reads its input as int16 [ph][pw][C]
 * with the zero point taken off and zeros around it, so |product| < 2^15 and 2^16 of them fit the 32-bit sum. */
#include "quant/tfl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quant/fixed.h"

typedef enum kind { KIND_CONV, KIND_ADD, KIND_RESCALE, KIND_CONCAT } kind;

typedef struct step {
  kind kind;
  q_factor *factor;        /* CONV [out_c]; RESCALE [1]; ADD [3]: first operand, second, sum */
  int16_t *w;              /* CONV: [out_c][taps][in_c/groups]; CONCAT: [out_c] input channel or -1 */
  int32_t *bias;           /* CONV: [out_c], without the input's zero point */
  int32_t groups, pw, ph;  /* padded input */
  bool mean;               /* the pooling is a mean: `mean_factor` */
  q_factor mean_factor;
} step;

struct espl_tfl {
  const espl_graph *g;
  const espl_qnet *q;
  step *step;       /* [layers] */
  int8_t **tensor;  /* [tensors] */
  int16_t *padded;
  int8_t *before;   /* before a pooling */
  q_factor softmax; /* e counts 5 bits before the point */
  int32_t softmax_least;
  bool has_softmax;
};

static espl_status refuse(const espl_qlayer *l, const char *why, espl_err *err) { return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: %s, TFLite has no such operator", l->name, why); }
static espl_status no_memory(espl_err *err) { return espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory"); }

/* ---- preparation ---- */

static espl_status prepare_conv(const espl_tfl *x, const espl_qlayer *l, step *s, espl_err *err) {
  const espl_qtensor *in = &x->q->tensor[l->in];
  int32_t taps = l->kh * l->kw, ig, og;
  if (l->res >= 0) return refuse(l, "an addition without a quantized operand", err);
  s->groups = l->groups;
  ig = l->in_c / s->groups;
  og = l->out_c / s->groups;
  s->w = espl_calloc((size_t)l->out_c * (size_t)(ig * taps), sizeof *s->w);
  s->bias = espl_calloc((size_t)l->out_c, sizeof *s->bias);
  s->factor = espl_calloc((size_t)l->out_c, sizeof *s->factor);
  if (!s->w || !s->bias || !s->factor) return no_memory(err);
  bool one = x->g->node[l->node].op == ESPL_OP_GEMM; /* matrix product with one scale: TFLite multiplies the two scales as float32 */
  for (int32_t o = 1; o < l->out_c; o++) one = one && l->wscale[o] == l->wscale[0];
  for (int32_t o = 0; o < l->out_c; o++) {
    int64_t sum = 0;
    for (int32_t i = 0; i < ig; i++)
      for (int32_t t = 0; t < taps; t++) {
        int8_t v = l->w[((int64_t)o * l->in_c + o / og * ig + i) * taps + t];
        s->w[((int64_t)o * taps + t) * ig + i] = v;
        sum += v;
      }
    s->bias[o] = (int32_t)(l->par[o].bias + in->zero * sum);
    double product = one ? (double)(in->scale * l->wscale[o]) : (double)in->scale * (double)l->wscale[o];
    s->factor[o] = q_factor_of(product / (double)l->vscale);
  }
  s->pw = (l->conv_w - 1) * l->sw + (l->kw - 1) * l->dw + 1;
  s->ph = (l->conv_h - 1) * l->sh + (l->kh - 1) * l->dh + 1;
  return ESPL_OK;
}

static espl_status prepare_concat(const espl_tfl *x, const espl_qlayer *l, step *s, espl_err *err) {
  const espl_qtensor *in = &x->q->tensor[l->in], *out = &x->q->tensor[l->out];
  if (in->scale != out->scale || in->zero != out->zero) return refuse(l, "joins values of different scales", err);
  s->kind = KIND_CONCAT;
  s->w = espl_calloc((size_t)l->out_c, sizeof *s->w);
  if (!s->w) return no_memory(err);
  for (int32_t o = 0; o < l->out_c; o++) {
    s->w[o] = -1;
    for (int32_t i = 0; i < l->in_c && i < INT16_MAX; i++)
      if (l->w[(int64_t)o * l->in_c + i]) s->w[o] = (int16_t)i;
  }
  return ESPL_OK;
}

static espl_status prepare_onehot(const espl_tfl *x, const espl_qlayer *l, step *s, espl_err *err) {
  double in = (double)x->q->tensor[l->in].scale, out = (double)l->vscale;
  s->factor = espl_calloc(3, sizeof *s->factor);
  if (!s->factor) return no_memory(err);
  s->kind = KIND_RESCALE;
  s->factor[0] = q_factor_of(in / out);
  if (l->res < 0) return ESPL_OK;
  double other = (double)x->q->tensor[l->res].scale, twice = 2.0 * fmax(in, other);
  s->kind = KIND_ADD;
  s->factor[0] = q_factor_of(in / twice);
  s->factor[1] = q_factor_of(other / twice);
  s->factor[2] = q_factor_of(twice / ((1 << 20) * out));
  return ESPL_OK;
}

/* Mean of n values: the factor in/out takes 1/n in, as far as its 31 bits go. */
static q_factor mean_factor(double ratio, int32_t n) {
  q_factor f = q_factor_of(ratio);
  int shift = 0;
  while (n >> (shift + 1)) shift++;
  if (shift > 31 + f.e) shift = 31 + f.e;
  return (q_factor){(int32_t)(((int64_t)f.m << shift) / n), f.e - shift};
}

static espl_status prepare_pool(const espl_tfl *x, const espl_qlayer *l, step *s, espl_err *err) {
  const espl_qtensor *out = &x->q->tensor[l->out];
  if (l->pool != ESPL_QPOOL_AVG) return ESPL_OK;
  s->mean = x->g->node[out->node].op == ESPL_OP_GLOBALAVGPOOL;
  s->mean_factor = mean_factor((double)l->vscale / (double)out->scale, l->win_h * l->win_w);
  if (!s->mean && (out->scale != l->vscale || out->zero != l->zo)) return refuse(l, "an average that changes its scale", err);
  if (!s->mean && l->pool_fixed && (l->ppt || l->ppl)) return refuse(l, "an average that counts its padding", err);
  return ESPL_OK;
}

static espl_status prepare(espl_tfl *x, espl_err *err) {
  const espl_qnet *q = x->q;
  size_t pad = 1, before = 1;
  x->step = espl_calloc((size_t)q->layers, sizeof *x->step);
  x->tensor = espl_calloc((size_t)q->tensors, sizeof *x->tensor);
  if (!x->step || !x->tensor) return no_memory(err);
  for (int32_t i = 0; i < q->tensors; i++)
    if (!(x->tensor[i] = espl_calloc((size_t)espl_shape_elems(q->tensor[i].shape), 1))) return no_memory(err);
  for (int32_t i = 0; i < q->layers; i++) {
    const espl_qlayer *l = &q->layer[i];
    step *s = &x->step[i];
    espl_op op = x->g->node[l->node].op;
    if (op == ESPL_OP_BATCHNORM) return refuse(l, "a BatchNorm of its own", err);
    ESPL_TRY(l->onehot ? prepare_onehot(x, l, s, err) : op == ESPL_OP_CONCAT ? prepare_concat(x, l, s, err) : prepare_conv(x, l, s, err));
    ESPL_TRY(prepare_pool(x, l, s, err));
    size_t cells = (size_t)s->ph * (size_t)s->pw * (size_t)l->in_c, pixels = (size_t)l->conv_h * (size_t)l->conv_w * (size_t)l->out_c;
    pad = cells > pad ? cells : pad;
    before = pixels > before ? pixels : before;
  }
  x->padded = espl_calloc(pad + 16, sizeof *x->padded);
  x->before = espl_calloc(before, 1);
  if (!x->padded || !x->before) return no_memory(err);
  x->has_softmax = x->g->node[x->g->output].op == ESPL_OP_SOFTMAX;
  x->softmax = q_factor_of(fmin((double)q->tensor[q->output].scale * (1 << 26), 2147483647.0));
  x->softmax_least = -(int32_t)floor(31.0 * (1 << 26) / ldexp(1.0, x->softmax.e));
  return ESPL_OK;
}

espl_status espl_tfl_new(const espl_graph *g, const espl_qnet *q, espl_tfl **out, espl_err *err) {
  *out = NULL;
  if (q->requantized) return espl_fail(err, ESPL_E_UNSUPPORTED, "network %s: its weights were quantized again, TFLite's arithmetic is of the file's own", q->name);
  espl_tfl *x = espl_calloc(1, sizeof *x);
  if (!x) return no_memory(err);
  x->g = g;
  x->q = q;
  espl_status s = prepare(x, err);
  if (s == ESPL_OK) *out = x;
  else espl_tfl_free(x);
  return s;
}

void espl_tfl_free(espl_tfl *x) {
  if (!x) return;
  for (int32_t i = 0; x->step && i < x->q->layers; i++) {
    free(x->step[i].factor);
    free(x->step[i].w);
    free(x->step[i].bias);
  }
  for (int32_t i = 0; x->tensor && i < x->q->tensors; i++) free(x->tensor[i]);
  free(x->step);
  free(x->tensor);
  free(x->padded);
  free(x->before);
  free(x);
}

/* ---- layers ---- */

static int8_t clamp8(int32_t v, int32_t lo, int32_t hi) { return (int8_t)(v < lo ? lo : v > hi ? hi : v); }

static int32_t dot(const int16_t *a, const int16_t *b, int32_t n) {
  int32_t part[16] = {0}, sum = 0, k = 0;
  for (; k + 16 <= n; k += 16)
    for (int j = 0; j < 16; j++) part[j] += a[k + j] * b[k + j];
  for (; k < n; k++) sum += a[k] * b[k];
  for (int j = 0; j < 16; j++) sum += part[j];
  return sum;
}

static void pad_input(const step *s, const espl_qlayer *l, const espl_qtensor *in, const int8_t *src, int16_t *dst) {
  memset(dst, 0, (size_t)s->ph * (size_t)s->pw * (size_t)l->in_c * sizeof *dst);
  for (int32_t y = 0; y < in->shape.h; y++)
    for (int32_t xx = 0; xx < in->shape.w; xx++) {
      int32_t py = y + l->pt, px = xx + l->pl;
      if (py >= s->ph || px >= s->pw) continue;
      const int8_t *from = src + ((int64_t)y * in->shape.w + xx) * l->in_c;
      int16_t *to = dst + ((int64_t)py * s->pw + px) * l->in_c;
      for (int32_t c = 0; c < l->in_c; c++) to[c] = (int16_t)(from[c] - in->zero);
    }
}

static void run_conv(const espl_tfl *x, const espl_qlayer *l, const step *s, int8_t *dst) {
  int32_t ig = l->in_c / s->groups, og = l->out_c / s->groups, taps = l->kh * l->kw;
  pad_input(s, l, &x->q->tensor[l->in], x->tensor[l->in], x->padded);
  for (int32_t y = 0; y < l->conv_h; y++)
    for (int32_t xx = 0; xx < l->conv_w; xx++)
      for (int32_t o = 0; o < l->out_c; o++) {
        int32_t sum = s->bias[o];
        const int16_t *w = s->w + (int64_t)o * taps * ig;
        for (int32_t i = 0; i < l->kh; i++)
          for (int32_t j = 0; j < l->kw; j++, w += ig)
            sum += dot(x->padded + ((int64_t)(y * l->sh + i * l->dh) * s->pw + xx * l->sw + j * l->dw) * l->in_c + o / og * ig, w, ig);
        *dst++ = clamp8(q_scale(sum, s->factor[o]) + l->zo, l->lo, l->hi);
      }
}

static void run_add(const espl_tfl *x, const espl_qlayer *l, const step *s, int8_t *dst) {
  const int8_t *a = x->tensor[l->in], *b = x->tensor[l->res];
  int32_t za = x->q->tensor[l->in].zero, zb = x->q->tensor[l->res].zero;
  int64_t n = (int64_t)l->conv_h * l->conv_w * l->out_c;
  for (int64_t k = 0; k < n; k++) {
    int32_t sum = q_scale((a[k] - za) * (1 << 20), s->factor[0]) + q_scale((b[k] - zb) * (1 << 20), s->factor[1]);
    dst[k] = clamp8(q_scale(sum, s->factor[2]) + l->zo, l->lo, l->hi);
  }
}

static void run_rescale(const espl_tfl *x, const espl_qlayer *l, const step *s, int8_t *dst) {
  const int8_t *a = x->tensor[l->in];
  int32_t za = x->q->tensor[l->in].zero;
  int64_t n = (int64_t)l->conv_h * l->conv_w * l->out_c;
  for (int64_t k = 0; k < n; k++) dst[k] = clamp8(q_scale(a[k] - za, s->factor[0]) + l->zo, l->lo, l->hi);
}

/* Channels of the operands before this one pass through; those that no operand has filled yet are written by a later layer. */
static void run_concat(const espl_tfl *x, const espl_qlayer *l, const step *s, int8_t *dst) {
  const int8_t *a = x->tensor[l->in], *before = l->res >= 0 ? x->tensor[l->res] : NULL;
  int64_t n = (int64_t)l->conv_h * l->conv_w;
  for (int64_t p = 0; p < n; p++)
    for (int32_t o = 0; o < l->out_c; o++, dst++) {
      int8_t v = s->w[o] >= 0 ? a[p * l->in_c + s->w[o]] : before ? before[p * l->out_c + o] : 0;
      *dst = clamp8(v, l->lo, l->hi);
    }
}

static int8_t pooled(const espl_qlayer *l, const step *s, const espl_qtensor *out, const int8_t *src, int32_t y, int32_t xx, int32_t c) {
  int32_t top = -128, sum = 0, n = 0;
  for (int32_t i = 0; i < l->win_h; i++)
    for (int32_t j = 0; j < l->win_w; j++) {
      int32_t py = y * l->psy - l->ppt + i, px = xx * l->psx - l->ppl + j;
      if (py < 0 || px < 0 || py >= l->conv_h || px >= l->conv_w) continue;
      int8_t v = src[((int64_t)py * l->conv_w + px) * l->out_c + c];
      top = v > top ? v : top;
      sum += v;
      n++;
    }
  if (l->pool == ESPL_QPOOL_MAX) return (int8_t)top;
  if (s->mean) return clamp8(q_scale(sum - n * l->zo, s->mean_factor) + out->zero, -128, 127);
  return clamp8(n ? q_round_div(sum, n) : 0, -128, 127);
}

/* A slice into its place in the whole. */
static void join(const espl_tfl *x, int32_t t) {
  const espl_qtensor *s = &x->q->tensor[t], *w = &x->q->tensor[s->whole];
  for (int64_t p = 0; p < (int64_t)s->shape.h * s->shape.w; p++)
    memcpy(x->tensor[s->whole] + p * w->shape.c + s->whole_c, x->tensor[t] + p * s->shape.c, (size_t)s->shape.c);
}

static void compute_layer(const espl_tfl *x, int32_t i) {
  const espl_qlayer *l = &x->q->layer[i];
  const step *s = &x->step[i];
  const espl_qtensor *out = &x->q->tensor[l->out];
  int8_t *dst = x->tensor[l->out], *to = l->pool == ESPL_QPOOL_NONE ? dst : x->before;
  switch (s->kind) {
    case KIND_CONV: run_conv(x, l, s, to); break;
    case KIND_ADD: run_add(x, l, s, to); break;
    case KIND_CONCAT: run_concat(x, l, s, to); break;
    case KIND_RESCALE: run_rescale(x, l, s, to); break;
  }
  if (to == dst) return;
  for (int32_t y = 0; y < out->shape.h; y++)
    for (int32_t xx = 0; xx < out->shape.w; xx++)
      for (int32_t c = 0; c < l->out_c; c++) *dst++ = pooled(l, s, out, to, y, xx, c);
}

static void run_layer(const espl_tfl *x, int32_t i) {
  compute_layer(x, i);
  for (int32_t t = x->q->layer[i].out; x->q->tensor[t].whole > 0; t = x->q->tensor[t].whole) join(x, t);
}

static int32_t leading_zeros(uint32_t v) {
  int32_t n = 0;
  while (n < 32 && !(v >> (31 - n))) n++;
  return n;
}

/* Probabilities in units of 1/256, zero point -128. exp in Q(0), their sum in Q(12). */
static void run_softmax(const espl_tfl *x, const int8_t *in, int32_t n, int8_t *out) {
  int32_t top = in[0], sum = 0;
  for (int32_t k = 1; k < n; k++) top = in[k] > top ? in[k] : top;
  for (int32_t k = 0; k < n; k++)
    if (in[k] - top >= x->softmax_least) sum = q_clamp32((int64_t)sum + q_round_shift(q_exp_negative(q_high_mul(q_shift_up(in[k] - top, x->softmax.e), x->softmax.m)), 12));
  int32_t zeros = leading_zeros((uint32_t)sum);
  int32_t scale = q_reciprocal((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
  int shift = 12 - zeros + 31 - 8;
  for (int32_t k = 0; k < n; k++) {
    out[k] = -128;
    if (in[k] - top < x->softmax_least) continue;
    int32_t e = q_exp_negative(q_high_mul(q_shift_up(in[k] - top, x->softmax.e), x->softmax.m));
    out[k] = clamp8(q_round_shift(q_high_mul(scale, e), shift > 31 ? 31 : shift) - 128, -128, 127);
  }
}

/* [c,h,w] to [h,w,c], or back. */
static void turn(espl_shape s, const int8_t *from, int8_t *to, bool back) {
  int64_t px = (int64_t)s.h * s.w;
  for (int32_t c = 0; c < s.c; c++)
    for (int64_t p = 0; p < px; p++) {
      if (back) to[c * px + p] = from[p * s.c + c];
      else to[p * s.c + c] = from[c * px + p];
    }
}

void espl_tfl_tensor(const espl_tfl *x, int32_t tensor, int8_t *out) { turn(x->q->tensor[tensor].shape, x->tensor[tensor], out, true); }

void espl_tfl_run(espl_tfl *x, const int8_t *input, int8_t *logits, int8_t *last) {
  int32_t n = x->q->tensor[x->q->output].shape.c;
  turn(x->q->tensor[0].shape, input, x->tensor[0], false);
  for (int32_t i = 0; i < x->q->layers; i++) run_layer(x, i);
  memcpy(logits, x->tensor[x->q->output], (size_t)n);
  if (!last) return;
  if (x->has_softmax) run_softmax(x, logits, n, last);
  else memcpy(last, logits, (size_t)n);
}
