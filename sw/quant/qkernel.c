/* Exact integer kernels: convolution blocks of pixels x 16 channels, depthwise, one-hot, requantization, pooling. */
#include "quant/qkernel.h"

#include <string.h>
#if defined(__AVX512F__) && defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#define Q_VNNI 1
#include <immintrin.h>
#endif

#include "model/requant.h"

#define ALWAYS static inline __attribute__((always_inline))

/* ---- 16 sums -> 16 bytes ---- */

#ifdef Q_VNNI
ALWAYS __m512i half_of(__m256i v, __m256i r, const qblock *b, int at, bool res, __m512i zr) {
  __m512i x = _mm512_mul_epi32(_mm512_cvtepi32_epi64(v), _mm512_loadu_si512(b->m + at));
  x = _mm512_add_epi64(x, _mm512_loadu_si512(b->half + at));
  if (res) {
    __m512i y = _mm512_mul_epi32(_mm512_sub_epi64(_mm512_cvtepi32_epi64(r), zr), _mm512_loadu_si512(b->mr + at));
    x = _mm512_add_epi64(x, _mm512_sllv_epi64(y, _mm512_loadu_si512(b->l + at)));
  }
  return _mm512_srav_epi64(x, _mm512_loadu_si512(b->s + at));
}

/* |sum| < 2^48 (2^47 + 2^46 + 2^46), so the wrap at 49 bits never happens and 64-bit arithmetic is the definition itself. */
ALWAYS void requantize16(const qconv *c, const qblock *b, __m512i v, const uint8_t *res, uint8_t *dst) {
  __m512i zo = _mm512_set1_epi64(c->zo), lo = _mm512_set1_epi64(c->lo), hi = _mm512_set1_epi64(c->hi), zr = _mm512_set1_epi64(c->zr + 128);
  __m512i r = res ? _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)res)) : _mm512_setzero_si512();
  __m512i a = half_of(_mm512_castsi512_si256(v), _mm512_castsi512_si256(r), b, 0, res != NULL, zr);
  __m512i d = half_of(_mm512_extracti64x4_epi64(v, 1), _mm512_extracti64x4_epi64(r, 1), b, 8, res != NULL, zr);
  a = _mm512_min_epi64(_mm512_max_epi64(_mm512_add_epi64(a, zo), lo), hi);
  d = _mm512_min_epi64(_mm512_max_epi64(_mm512_add_epi64(d, zo), lo), hi);
  __m128i q = _mm_unpacklo_epi64(_mm512_cvtepi64_epi8(a), _mm512_cvtepi64_epi8(d));
  _mm_storeu_si128((__m128i *)(void *)dst, _mm_xor_si128(q, _mm_set1_epi8((char)0x80)));
}
#else
static void requantize16(const qconv *c, const qblock *b, const int32_t *v, const uint8_t *res, uint8_t *dst) {
  espl_rq_layer q = {(int8_t)c->zo, (int8_t)c->zr, (int8_t)c->lo, (int8_t)c->hi};
  for (int k = 0; k < QBLOCK; k++) {
    espl_rq_param p = {0, (uint16_t)b->m[k], (uint16_t)b->mr[k], (uint8_t)b->s[k], (uint8_t)b->l[k]};
    int8_t y = res ? espl_requantize_res(v[k], (int8_t)(res[k] ^ 0x80u), &p, &q) : espl_requantize(v[k], &p, &q);
    dst[k] = (uint8_t)y ^ 0x80u;
  }
}
#endif

/* ---- convolution: np pixels of a row x nb blocks ---- */

#ifdef Q_VNNI
ALWAYS void tile(const qconv *c, int32_t block, const uint8_t *src, int64_t step, const uint8_t *res, uint8_t *dst, int np, int nb) {
  __m512i acc[16];
  int64_t wblock = (int64_t)c->taps * c->c4 * 64;
  for (int b = 0; b < nb; b++)
    for (int p = 0; p < np; p++) acc[b * np + p] = _mm512_loadu_si512(c->block[block + b].bias);
  const int8_t *w = c->w + block * wblock;
  for (int32_t t = 0; t < c->taps; t++) {
    const uint8_t *s = src + c->offset[t];
    for (int32_t g = 0; g < c->c4; g++, w += 64, s += 4) {
      __m512i w0 = _mm512_loadu_si512(w), w1 = nb > 1 ? _mm512_loadu_si512(w + wblock) : w0;
#pragma GCC unroll 8
      for (int p = 0; p < np; p++) {
        int32_t x;
        memcpy(&x, s + p * step, 4);
        __m512i a = _mm512_set1_epi32(x);
        acc[p] = _mm512_dpbusd_epi32(acc[p], a, w0);
        if (nb > 1) acc[np + p] = _mm512_dpbusd_epi32(acc[np + p], a, w1);
      }
    }
  }
  for (int p = 0; p < np; p++)
    for (int b = 0; b < nb; b++) {
      int64_t at = (int64_t)p * c->out_cp + (block + b) * QBLOCK;
      requantize16(c, &c->block[block + b], acc[b * np + p], res ? res + at : NULL, dst + at);
    }
}
#else
ALWAYS void tile(const qconv *c, int32_t block, const uint8_t *src, int64_t step, const uint8_t *res, uint8_t *dst, int np, int nb) {
  for (int b = 0; b < nb; b++)
    for (int p = 0; p < np; p++) {
      int32_t acc[QBLOCK];
      memcpy(acc, c->block[block + b].bias, sizeof acc);
      const int8_t *w = c->w + (int64_t)(block + b) * c->taps * c->c4 * 64;
      for (int32_t t = 0; t < c->taps; t++)
        for (int32_t g = 0; g < c->c4; g++, w += 64) {
          const uint8_t *x = src + p * step + c->offset[t] + 4 * g;
          for (int k = 0; k < QBLOCK; k++) acc[k] += x[0] * w[4 * k] + x[1] * w[4 * k + 1] + x[2] * w[4 * k + 2] + x[3] * w[4 * k + 3];
        }
      int64_t at = (int64_t)p * c->out_cp + (block + b) * QBLOCK;
      requantize16(c, &c->block[block + b], acc, res ? res + at : NULL, dst + at);
    }
}
#endif

ALWAYS void row_blocks(const qconv *c, int32_t block, const uint8_t *src, int64_t step, int32_t width, const uint8_t *res, uint8_t *dst, int nb) {
  int32_t x = 0;
#define AT(n) tile(c, block, src + x * step, step, res ? res + (int64_t)x * c->out_cp : NULL, dst + (int64_t)x * c->out_cp, n, nb)
  for (; x + 8 <= width; x += 8) AT(8);
  for (; x + 4 <= width; x += 4) AT(4);
  for (; x < width; x++) AT(1);
#undef AT
}

static void depthwise_pixel(const qconv *c, int32_t block, const uint8_t *src, const uint8_t *res, uint8_t *dst) {
  int32_t acc[QBLOCK];
  memcpy(acc, c->block[block].bias, sizeof acc);
  const int32_t *w = c->dw + (int64_t)block * c->taps * QBLOCK;
  for (int32_t t = 0; t < c->taps; t++, w += QBLOCK) {
    const uint8_t *x = src + c->offset[t] + block * QBLOCK;
    for (int k = 0; k < QBLOCK; k++) acc[k] += x[k] * w[k];
  }
#ifdef Q_VNNI
  requantize16(c, &c->block[block], _mm512_loadu_si512(acc), res, dst);
#else
  requantize16(c, &c->block[block], acc, res, dst);
#endif
}

void q_conv_run(const qconv *c, const espl_qlayer *l, const uint8_t *src, const uint8_t *res, uint8_t *dst) {
  int64_t step = (int64_t)l->sw * c->in_cp, row = (int64_t)l->sh * c->pw * c->in_cp, out = (int64_t)l->conv_w * c->out_cp;
  for (int32_t y = 0; y < l->conv_h; y++, src += row, dst += out, res = res ? res + out : NULL) {
    int32_t b = 0;
    if (c->dw) {
      for (; b < c->blocks; b++)
        for (int32_t x = 0; x < l->conv_w; x++) {
          int64_t at = (int64_t)x * c->out_cp + b * QBLOCK;
          depthwise_pixel(c, b, src + x * step, res ? res + at : NULL, dst + at);
        }
      continue;
    }
    for (; b + 2 <= c->blocks; b += 2) row_blocks(c, b, src, step, l->conv_w, res, dst, 2);
    for (; b < c->blocks; b++) row_blocks(c, b, src, step, l->conv_w, res, dst, 1);
  }
}

void q_onehot_run(const qconv *c, int64_t pixels, const uint8_t *src, const uint8_t *res, uint8_t *dst) {
  for (int64_t p = 0; p < pixels; p++)
    for (int32_t b = 0; b < c->blocks; b++) {
      int64_t at = p * c->out_cp + b * QBLOCK;
      int32_t acc[QBLOCK];
      for (int k = 0; k < QBLOCK; k++) acc[k] = c->block[b].bias[k] + src[p * c->in_cp + b * QBLOCK + k];
#ifdef Q_VNNI
      requantize16(c, &c->block[b], _mm512_loadu_si512(acc), res ? res + at : NULL, dst + at);
#else
      requantize16(c, &c->block[b], acc, res ? res + at : NULL, dst + at);
#endif
    }
}

void q_pool_run(const espl_qlayer *l, espl_shape out, int32_t cp, const uint8_t *q, uint8_t *dst) {
  for (int32_t y = 0; y < out.h; y++)
    for (int32_t x = 0; x < out.w; x++, dst += cp) {
      int32_t y0 = y * l->psy - l->ppt, x0 = x * l->psx - l->ppl, y1 = y0 + l->win_h, x1 = x0 + l->win_w;
      y0 = y0 < 0 ? 0 : y0;
      x0 = x0 < 0 ? 0 : x0;
      y1 = y1 > l->conv_h ? l->conv_h : y1;
      x1 = x1 > l->conv_w ? l->conv_w : x1;
      int32_t n = y1 > y0 && x1 > x0 ? (y1 - y0) * (x1 - x0) : 0;
      for (int32_t b = 0; b < cp; b += QBLOCK) {
        uint8_t top[QBLOCK] = {0}; /* -128 */
        int32_t sum[QBLOCK] = {0};
        for (int32_t i = y0; i < y1; i++)
          for (int32_t j = x0; j < x1; j++) {
            const uint8_t *v = q + ((int64_t)i * l->conv_w + j) * cp + b;
            for (int k = 0; k < QBLOCK; k++) {
              top[k] = v[k] > top[k] ? v[k] : top[k];
              sum[k] += v[k];
            }
          }
        for (int k = 0; k < QBLOCK; k++)
          dst[b + k] = l->pool == ESPL_QPOOL_MAX ? top[k]
                                                 : (uint8_t)espl_average(sum[k] - 128 * n, n, (int8_t)l->zo, (int8_t)l->pool_zo, (uint32_t)l->pool_shift, l->pool_fixed, l->pool_m) ^ 0x80u;
      }
    }
}
