/* Vector kernels with AVX-512 VNNI: dense layers in tiles of up to 8 pixels x 32 channels, channelwise layers in tiles of up to 4 pixels x 64 channels.
 *
 * Requantization: v*m + half + residual is exact in 64 bits, and what is left of it after the shift fits 32 bits, because q_vnni_fits has made sure
 * from the real weights. Even positions of a vector of 32-bit sums are multiplied in place, odd ones after a shift. Packing with saturation
 * then is the clamp to a byte. */
#include "quant/qkernel.h"

#include <string.h>
#if defined(__AVX512F__) && defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include <immintrin.h>

#define ALWAYS static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16") /* loops over registers */

/* Largest |v| of channel `o`, as 32-bit numbers have it. */
static int64_t largest_sum(const espl_qlayer *l, int32_t o) {
  int64_t n = (int64_t)l->in_c * l->kh * l->kw, sum = l->onehot ? 1 : 0;
  for (int64_t j = 0; !l->onehot && j < n; j++) sum += l->w[o * n + j] < 0 ? -l->w[o * n + j] : l->w[o * n + j];
  sum = 128 * sum + (l->par[o].bias < 0 ? -(int64_t)l->par[o].bias : l->par[o].bias);
  return sum > 1ll << 31 ? 1ll << 31 : sum;
}

/* |v*m| < 2^48 and |(r - zr)*mr*2^l| < 2^46; with 1,000 for rounding and the zero point the shifted sum stays inside 32 bits. */
bool q_vnni_fits(const espl_qlayer *l) {
  for (int32_t o = 0; o < l->out_c; o++) {
    const espl_qparam *p = &l->par[o];
    if (p->s < 1 || p->s > 47 || p->l > 22) return false;
    int64_t residual = l->res >= 0 ? 255 * ((int64_t)p->mr << p->l) : 0;
    if (((largest_sum(l, o) * p->m + residual) >> p->s) + 1000 > INT32_MAX) return false;
  }
  return true;
}

/* ---- packing ---- */

/* Channel at position `k` of vector `block` of a channelwise layer: unpacking bytes of four pixels to 32 bits deals out the channels like this. */
static int32_t dealt(int32_t block, int32_t k) { return block / 4 * 64 + k / 4 * 16 + block % 4 * 4 + k % 4; }

static void pack_block(const qconv *c, int32_t block) {
  const espl_qlayer *l = c->l;
  qblock *b = &c->block[block];
  for (int32_t k = 0; k < QBLOCK; k++) {
    int32_t o = c->channelwise ? dealt(block, k) : block * QBLOCK + k, at = k % 2 * 8 + k / 2;
    espl_qparam p = o < l->out_c ? l->par[o] : (espl_qparam){.s = 1};
    if (o < l->out_c) b->bias[k] = c->bias[o];
    b->m[at] = p.m;
    b->s[at] = p.s;
    b->mr[at] = p.mr;
    b->l[at] = p.l;
    b->half[at] = (1ll << (p.s - 1)) + (int64_t)(l->zo + 128) * (1ll << p.s) - (l->res >= 0 ? (l->zr + 128) * ((int64_t)p.mr << p.l) : 0);
  }
}

/* [vector][quad of taps][16][4] */
static void pack_channels(const qconv *c, int32_t block) {
  const espl_qlayer *l = c->l;
  int32_t quads = (c->taps + 3) / 4;
  for (int32_t t = 0; t < c->taps; t++)
    for (int32_t k = 0; k < QBLOCK; k++) {
      int32_t o = dealt(block, k);
      if (o < l->out_c) c->w[(((int64_t)block * quads + t / 4) * QBLOCK + k) * 4 + t % 4] = l->onehot ? 1 : l->w[((int64_t)o * l->in_c + o) * c->taps + t];
    }
}

void q_vnni_pack(qconv *c) {
  int32_t blocks = c->channelwise ? (c->blocks + 3) / 4 * 4 : c->blocks;
  for (int32_t b = 0; b < blocks; b++) {
    pack_block(c, b);
    if (c->channelwise) pack_channels(c, b);
  }
}

/* acc += products of unsigned bytes and signed weights, four by four. As written, because the compiler's own form copies accumulators about. */
ALWAYS __m512i dot4(__m512i acc, __m512i bytes, __m512i weights) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(bytes), "v"(weights));
  return acc;
}

/* ---- 16 sums -> 16 numbers of 32 bits, to be saturated to bytes ---- */

typedef struct factors {
  __m512i m[2], half[2], s[2], mr[2], l[2];
} factors;

ALWAYS factors load_factors(const qblock *b, bool res) {
  factors f;
  UNROLL
  for (int i = 0; i < 2; i++) {
    f.m[i] = _mm512_loadu_si512(b->m + 8 * i);
    f.half[i] = _mm512_loadu_si512(b->half + 8 * i);
    f.s[i] = _mm512_loadu_si512(b->s + 8 * i);
    f.mr[i] = res ? _mm512_loadu_si512(b->mr + 8 * i) : _mm512_setzero_si512();
    f.l[i] = res ? _mm512_loadu_si512(b->l + 8 * i) : _mm512_setzero_si512();
  }
  return f;
}

/* r: residual bytes as 32-bit numbers in the order of v. */
ALWAYS __m512i scaled(__m512i v, __m512i r, const factors *f, bool res) {
  __m512i x[2];
  UNROLL
  for (int i = 0; i < 2; i++) {
    x[i] = _mm512_add_epi64(_mm512_mul_epi32(i ? _mm512_srli_epi64(v, 32) : v, f->m[i]), f->half[i]);
    if (res) x[i] = _mm512_add_epi64(x[i], _mm512_sllv_epi64(_mm512_mul_epi32(i ? _mm512_srli_epi64(r, 32) : r, f->mr[i]), f->l[i]));
    x[i] = _mm512_srav_epi64(x[i], f->s[i]);
  }
  return _mm512_castps_si512(_mm512_mask_moveldup_ps(_mm512_castsi512_ps(x[0]), 0xaaaa, _mm512_castsi512_ps(x[1])));
}

/* 4 x 16 numbers to bytes, clamped; each 128-bit lane holds 4 numbers of each, in turn. */
ALWAYS __m512i bytes_of(const __m512i v[4], __m512i lo, __m512i hi) {
  __m512i b = _mm512_packus_epi16(_mm512_packs_epi32(v[0], v[1]), _mm512_packs_epi32(v[2], v[3]));
  return _mm512_min_epu8(_mm512_max_epu8(b, lo), hi);
}

/* ---- dense: np pixels of a row x nb blocks ---- */

/* v[i] belongs to pixel i / nb, block i % nb; n of them are stored. */
ALWAYS void store_tile(const qconv *c, const __m512i *v, int n, int nb, uint8_t *dst) {
  const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  __m512i lo = _mm512_set1_epi8((char)(c->l->lo + 128)), hi = _mm512_set1_epi8((char)(c->l->hi + 128));
  UNROLL
  for (int i = 0; i < n; i += 4) {
    __m512i four[4];
    UNROLL
    for (int k = 0; k < 4; k++) four[k] = v[i + k < n ? i + k : n - 1];
    __m512i b = _mm512_permutexvar_epi32(order, bytes_of(four, lo, hi));
    if (nb == 2) {
      _mm256_storeu_si256((__m256i *)(void *)(dst + i / 2 * c->out_cp), _mm512_castsi512_si256(b));
      if (i + 2 < n) _mm256_storeu_si256((__m256i *)(void *)(dst + (i / 2 + 1) * c->out_cp), _mm512_extracti64x4_epi64(b, 1));
      continue;
    }
    _mm_storeu_si128((__m128i *)(void *)(dst + i * c->out_cp), _mm512_castsi512_si128(b));
    if (i + 1 < n) _mm_storeu_si128((__m128i *)(void *)(dst + (i + 1) * c->out_cp), _mm512_extracti32x4_epi32(b, 1));
    if (i + 2 < n) _mm_storeu_si128((__m128i *)(void *)(dst + (i + 2) * c->out_cp), _mm512_extracti32x4_epi32(b, 2));
    if (i + 3 < n) _mm_storeu_si128((__m128i *)(void *)(dst + (i + 3) * c->out_cp), _mm512_extracti32x4_epi32(b, 3));
  }
}

ALWAYS void dense_tile(const qconv *c, int32_t block, const uint8_t *src, const uint8_t *res, uint8_t *dst, int np, int nb) {
  __m512i acc[16];
  int64_t wblock = (int64_t)c->taps * c->c4 * 4 * QBLOCK, step = c->step;
  UNROLL
  for (int b = 0; b < nb; b++)
    UNROLL
    for (int p = 0; p < np; p++) acc[p * nb + b] = _mm512_loadu_si512(c->block[block + b].bias);
  const int8_t *w = c->w + block * wblock;
  for (int32_t t = 0; t < c->taps; t++) {
    const uint8_t *s = src + c->offset[t];
    for (int32_t g = 0; g < c->c4; g++, w += 4 * QBLOCK, s += 4) {
      __m512i w0 = _mm512_loadu_si512(w), w1 = nb > 1 ? _mm512_loadu_si512(w + wblock) : w0;
      UNROLL
      for (int p = 0; p < np; p++) {
        int32_t x;
        memcpy(&x, s + p * step, 4);
        __m512i a = _mm512_set1_epi32(x);
        acc[p * nb] = dot4(acc[p * nb], a, w0);
        if (nb > 1) acc[p * nb + 1] = dot4(acc[p * nb + 1], a, w1);
      }
    }
  }
  UNROLL
  for (int b = 0; b < nb; b++) {
    factors f = load_factors(&c->block[block + b], res != NULL);
    UNROLL
    for (int p = 0; p < np; p++) {
      const uint8_t *rp = res ? res + (int64_t)p * c->res_cp + b * QBLOCK : NULL;
      __m512i r = res ? _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)rp)) : _mm512_setzero_si512();
      acc[p * nb + b] = scaled(acc[p * nb + b], r, &f, res != NULL);
    }
  }
  store_tile(c, acc, np * nb, nb, dst);
}

ALWAYS void dense_few(const qconv *c, int32_t block, const uint8_t *src, const uint8_t *res, uint8_t *dst, int np, int nb) {
  if (res) dense_tile(c, block, src, res, dst, np, nb);
  else dense_tile(c, block, src, NULL, dst, np, nb);
}

/* A row of `width` pixels; the last tiles share what is left evenly, so that none has a single pixel to multiply with. */
ALWAYS void dense_row(const qconv *c, int32_t block, const uint8_t *src, const uint8_t *res, uint8_t *dst, int32_t width, int nb) {
  for (int32_t x = 0, np; x < width; x += np) {
    int32_t left = width - x;
    np = left >= 16 || left == 8 ? 8 : left > 8 ? (left + 1) / 2 : left;
    const uint8_t *s = src + x * c->step, *r = res ? res + (int64_t)x * c->res_cp : NULL;
    uint8_t *d = dst + (int64_t)x * c->out_cp;
    switch (np) {
    case 8: dense_few(c, block, s, r, d, 8, nb); break;
    case 7: dense_few(c, block, s, r, d, 7, nb); break;
    case 6: dense_few(c, block, s, r, d, 6, nb); break;
    case 5: dense_few(c, block, s, r, d, 5, nb); break;
    case 4: dense_few(c, block, s, r, d, 4, nb); break;
    case 3: dense_few(c, block, s, r, d, 3, nb); break;
    case 2: dense_few(c, block, s, r, d, 2, nb); break;
    default: dense_few(c, block, s, r, d, 1, nb); break;
    }
  }
}

static void dense_row_2(const qconv *c, int32_t block, const uint8_t *src, const uint8_t *res, uint8_t *dst, int32_t width) {
  dense_row(c, block, src, res, dst, width, 2);
}
static void dense_row_1(const qconv *c, int32_t block, const uint8_t *src, const uint8_t *res, uint8_t *dst, int32_t width) {
  dense_row(c, block, src, res, dst, width, 1);
}

/* ---- channelwise: np pixels of a row x 64 channels ---- */

/* Four vectors of 64 bytes to 4 x 16 quads, channels dealt out. */
ALWAYS void deal(const __m512i t[4], __m512i quad[4]) {
  __m512i a = _mm512_unpacklo_epi8(t[0], t[1]), b = _mm512_unpackhi_epi8(t[0], t[1]), c = _mm512_unpacklo_epi8(t[2], t[3]), d = _mm512_unpackhi_epi8(t[2], t[3]);
  quad[0] = _mm512_unpacklo_epi16(a, c);
  quad[1] = _mm512_unpackhi_epi16(a, c);
  quad[2] = _mm512_unpacklo_epi16(b, d);
  quad[3] = _mm512_unpackhi_epi16(b, d);
}

ALWAYS void channel_tile(const qconv *c, int32_t first, __mmask64 mask, const uint8_t *src, const uint8_t *res, uint8_t *dst, int np) {
  const __m512i zero = _mm512_setzero_si512();
  const qblock *block = c->block + first;
  int32_t quads = (c->taps + 3) / 4;
  __m512i acc[4][4]; /* [pixel][vector] */
  UNROLL
  for (int p = 0; p < np; p++)
    UNROLL
    for (int k = 0; k < 4; k++) acc[p][k] = _mm512_loadu_si512(block[k].bias);
  const int8_t *w = c->w + (int64_t)first * quads * 4 * QBLOCK;
  for (int32_t q = 0; q < quads; q++, w += 4 * QBLOCK) {
    __m512i wk[4];
    const int32_t *offset = c->offset + 4 * q;
    bool many = 4 * q + 1 < c->taps;
    UNROLL
    for (int k = 0; k < 4; k++) wk[k] = _mm512_loadu_si512(w + (int64_t)k * quads * 4 * QBLOCK);
    UNROLL
    for (int p = 0; p < np; p++) {
      __m512i t[4], x[4];
      UNROLL
      for (int k = 0; k < 4; k++) t[k] = k == 0 || many ? _mm512_maskz_loadu_epi8(mask, src + p * c->step + offset[k]) : zero;
      deal(t, x);
      UNROLL
      for (int k = 0; k < 4; k++) acc[p][k] = dot4(acc[p][k], x[k], wk[k]);
    }
  }
  __m512i r[4][4];
  UNROLL
  for (int p = 0; res && p < np; p++) deal((__m512i[4]){_mm512_maskz_loadu_epi8(mask, res + (int64_t)p * c->res_cp), zero, zero, zero}, r[p]);
  UNROLL
  for (int k = 0; k < 4; k++) {
    factors f = load_factors(&block[k], res != NULL);
    UNROLL
    for (int p = 0; p < np; p++) acc[p][k] = scaled(acc[p][k], res ? r[p][k] : zero, &f, res != NULL);
  }
  __m512i lo = _mm512_set1_epi8((char)(c->l->lo + 128)), hi = _mm512_set1_epi8((char)(c->l->hi + 128));
  UNROLL
  for (int p = 0; p < np; p++) _mm512_mask_storeu_epi8(dst + (int64_t)p * c->out_cp, mask, bytes_of(acc[p], lo, hi));
}

static void channel_row(const qconv *c, int32_t first, __mmask64 mask, const uint8_t *src, const uint8_t *res, uint8_t *dst) {
  int32_t x = 0;
  for (; x + 4 <= c->l->conv_w; x += 4, src += 4 * c->step, dst += 4 * (int64_t)c->out_cp) {
    if (res) channel_tile(c, first, mask, src, res + (int64_t)x * c->res_cp, dst, 4);
    else channel_tile(c, first, mask, src, NULL, dst, 4);
  }
  for (; x < c->l->conv_w; x++, src += c->step, dst += c->out_cp) channel_tile(c, first, mask, src, res ? res + (int64_t)x * c->res_cp : NULL, dst, 1);
}

/* ---- a layer ---- */

void q_vnni_run(const qconv *c, int32_t y0, int32_t y1, const uint8_t *src, const uint8_t *res, uint8_t *dst) {
  int32_t width = c->l->conv_w;
  for (int32_t b = 0; b < c->blocks; b += c->channelwise ? 4 : 2) {
    int32_t left = c->blocks - b;
    __mmask64 mask = left >= 4 ? ~0ull : (1ull << (left * QBLOCK)) - 1;
    for (int32_t y = y0; y < y1; y++) {
      const uint8_t *s = src + y * c->row, *r = res ? res + y * c->res_row : NULL;
      uint8_t *d = dst + y * c->out_row;
      int32_t at = b * QBLOCK;
      if (c->channelwise) channel_row(c, b, mask, s + at, r ? r + at : NULL, d + at);
      else (left > 1 ? dense_row_2 : dense_row_1)(c, b, s, r ? r + at : NULL, d + at, width);
    }
  }
}

#else

bool q_vnni_fits(const espl_qlayer *l) {
  (void)l;
  return false;
}

void q_vnni_pack(qconv *c) { (void)c; }

void q_vnni_run(const qconv *c, int32_t y0, int32_t y1, const uint8_t *src, const uint8_t *res, uint8_t *dst) { (void)c, (void)y0, (void)y1, (void)src, (void)res, (void)dst; }

#endif
