/* Test support: random integer layers and their value by the definition of hw/spec/numerics.md, written down as plain loops. */
#ifndef ESPL_TESTS_QREF_H
#define ESPL_TESTS_QREF_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "plain.h"
#include "quant/qnet.h"

static PLAIN int64_t qref_clamp(int64_t v, int64_t lo, int64_t hi) { return v < lo ? lo : v > hi ? hi : v; }

/* floor((x + 2^(s-1)) / 2^s), computed with 128-bit integers. */
static PLAIN int64_t qref_shift(__int128 x, int s) {
  __int128 y = x + ((__int128)1 << (s - 1)), d = (__int128)1 << s, q = y / d;
  if (y % d < 0) q--;
  return (int64_t)q;
}

static PLAIN int64_t qref_sum(const espl_qlayer *l, const int8_t *in, espl_shape s, int32_t zi, int32_t o, int32_t y, int32_t x) {
  if (l->onehot) return in[((int64_t)o * s.h + y) * s.w + x];
  const int8_t *w = l->w + (int64_t)o * l->in_c * l->kh * l->kw;
  int64_t sum = 0;
  for (int32_t i = 0; i < l->in_c; i++)
    for (int32_t ky = 0; ky < l->kh; ky++) {
      int32_t iy = y * l->sh + ky * l->dh - l->pt;
      const int8_t *row = iy < 0 || iy >= s.h ? NULL : in + ((int64_t)i * s.h + iy) * s.w;
      for (int32_t kx = 0; kx < l->kw; kx++) {
        int32_t ix = x * l->sw + kx * l->dw - l->pl;
        sum += (!row || ix < 0 || ix >= s.w ? zi : row[ix]) * *w++;
      }
    }
  return sum;
}

/* tensor[]: plain [c][h][w] arrays; writes tensor[l->out]. */
static PLAIN void qref_layer(const espl_qnet *q, int32_t layer, int8_t **tensor) {
  const espl_qlayer *l = &q->layer[layer];
  espl_shape in = q->tensor[l->in].shape, out = q->tensor[l->out].shape;
  int64_t px = (int64_t)l->conv_h * l->conv_w;
  int8_t *v = malloc((size_t)(px * l->out_c));
  for (int32_t o = 0; o < l->out_c; o++)
    for (int32_t y = 0; y < l->conv_h; y++)
      for (int32_t x = 0; x < l->conv_w; x++) {
        const espl_qparam *p = &l->par[o];
        __int128 a = (__int128)(qref_sum(l, tensor[l->in], in, q->tensor[l->in].zero, o, y, x) + p->bias) * p->m;
        if (l->res >= 0) a += ((__int128)(tensor[l->res][((int64_t)o * l->conv_h + y) * l->conv_w + x] - l->zr) * p->mr) * ((__int128)1 << p->l);
        v[(int64_t)o * px + (int64_t)y * l->conv_w + x] = (int8_t)qref_clamp(l->zo + qref_shift(a, p->s), l->lo, l->hi);
      }
  for (int32_t o = 0; o < l->out_c; o++)
    for (int32_t y = 0; y < out.h; y++)
      for (int32_t x = 0; x < out.w; x++) {
        int8_t *to = &tensor[l->out][((int64_t)o * out.h + y) * out.w + x];
        if (l->pool == ESPL_QPOOL_NONE) {
          *to = v[(int64_t)o * px + (int64_t)y * l->conv_w + x];
          continue;
        }
        int64_t sum = 0, n = 0, top = -128;
        for (int32_t wy = 0; wy < l->win_h; wy++)
          for (int32_t wx = 0; wx < l->win_w; wx++) {
            int32_t iy = y * l->psy + wy - l->ppt, ix = x * l->psx + wx - l->ppl;
            if (iy < 0 || ix < 0 || iy >= l->conv_h || ix >= l->conv_w) continue;
            int8_t k = v[(int64_t)o * px + (int64_t)iy * l->conv_w + ix];
            sum += k;
            n++;
            if (k > top) top = k;
          }
        int64_t mt = n == 0 ? 0 : l->pool_m[l->pool_fixed ? 0 : n > 16 ? 15 : n - 1];
        *to = (int8_t)(l->pool == ESPL_QPOOL_MAX ? top : qref_clamp(l->pool_zo + qref_shift((__int128)(sum - n * l->zo) * mt, l->pool_shift), -128, 127));
      }
  free(v);
}

static inline int32_t qref_in(espl_rng *r, int32_t lo, int32_t hi) { return lo + (int32_t)espl_rng_next_below(r, (uint32_t)(hi - lo + 1)); }

/* Weights, parameters and clamps of a layer whose shapes are set; zeros: share of weights (in 1/16) removed in blocks of a tap. */
static inline void qref_fill(espl_qnet *q, int32_t layer, espl_rng *r, int32_t zero_16ths, int32_t block) {
  espl_qlayer *l = &q->layer[layer];
  int32_t zi = q->tensor[l->in].zero;
  int64_t n = (int64_t)l->in_c * l->kh * l->kw;
  l->name = strdup("layer");
  l->par = calloc((size_t)l->out_c, sizeof *l->par);
  l->macs = l->macs_dense = l->onehot ? 0 : n * l->out_c * l->conv_h * l->conv_w;
  if (!l->onehot) {
    uint64_t key = espl_rng_next(r);
    l->w = malloc((size_t)(n * l->out_c));
    for (int64_t j = 0; j < n * l->out_c; j++) {
      int64_t tap = j % (l->kh * l->kw), i = j / (l->kh * l->kw) % l->in_c, o = j / n;
      uint64_t cell = espl_rng_u64(key, (uint64_t)tap, (uint64_t)(i / block * 4096 + o / block));
      l->w[j] = (int8_t)((int32_t)(cell % 16) < zero_16ths ? 0 : qref_in(r, -127, 127));
    }
  }
  double spread = l->onehot ? 40 : 5000 * sqrt((double)n);
  for (int32_t o = 0; o < l->out_c; o++) {
    espl_qparam *p = &l->par[o];
    int64_t sum = l->onehot;
    for (int64_t j = 0; !l->onehot && j < n; j++) sum += l->w[o * n + j];
    p->m = (uint16_t)qref_in(r, 20000, 65535);
    p->s = (uint8_t)(16 + (int)log2(spread / 64 + 1) + qref_in(r, -1, 1));
    p->bias = (int32_t)(-zi * sum + qref_in(r, -2000, 2000));
    if (l->res >= 0) {
      p->mr = (uint16_t)qref_in(r, 1000, 65535);
      p->l = (uint8_t)(p->s > 16 ? p->s - 16 : 0);
    }
  }
  l->zo = qref_in(r, -100, 100);
  l->lo = qref_in(r, 0, 3) ? -128 : l->zo;
  l->hi = qref_in(r, 0, 3) ? 127 : qref_in(r, l->zo, 127);
  if (l->res >= 0) l->zr = q->tensor[l->res].zero;
  q->tensor[l->out].zero = l->zo;
  if (l->pool == ESPL_QPOOL_AVG) {
    l->pool_zo = q->tensor[l->out].zero = qref_in(r, -60, 60);
    l->pool_shift = 17;
    for (int i = 0; i < 16; i++) l->pool_m[i] = (uint16_t)(65535 / (l->pool_fixed ? l->win_h * l->win_w : i + 1));
  } else {
    l->pool_shift = 1;
  }
}

#endif
