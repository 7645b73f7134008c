/* Requantize and average: the one C definition of hw/spec/numerics.md, used by the functional model, the evaluator on the CPU and the RTL benches.
 *
 * Integers only; `>>` of a signed value is arithmetic; half rounds toward +infinity. Sums are exact in 49-bit two's complement and wrap there.
 * The functions are total: s counts modulo 64 and l modulo 32 (the bits hardware keeps; legal 1 <= s <= 47, 0 <= l <= 22; s = 0 acts
 * as 64), and the clamp is min(max(x, lo), hi) even when lo > hi. */
#ifndef ESPL_MODEL_REQUANT_H
#define ESPL_MODEL_REQUANT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ESPL_RQ_PARAM_BYTES 16

/* One channel's entry of the parameter buffer. bias holds -zi*sum(w). */
typedef struct espl_rq_param {
  int32_t bias;
  uint16_t m, mr;
  uint8_t s, l;
} espl_rq_param;

/* What all channels of a command share (configuration word STORE_QUANT). */
typedef struct espl_rq_layer {
  int8_t zo, zr, lo, hi;
} espl_rq_layer;

/* The 16 bytes of an entry, little endian; bytes 10..15 are zero and ignored on reading. */
static inline void espl_rq_param_pack(const espl_rq_param *p, uint8_t b[ESPL_RQ_PARAM_BYTES]) {
  uint32_t u = (uint32_t)p->bias;
  for (int i = 0; i < 4; i++) b[i] = (uint8_t)(u >> (8 * i));
  b[4] = (uint8_t)p->m;
  b[5] = (uint8_t)(p->m >> 8);
  b[6] = (uint8_t)p->mr;
  b[7] = (uint8_t)(p->mr >> 8);
  b[8] = p->s;
  b[9] = p->l;
  for (int i = 10; i < ESPL_RQ_PARAM_BYTES; i++) b[i] = 0;
}
static inline espl_rq_param espl_rq_param_unpack(const uint8_t b[ESPL_RQ_PARAM_BYTES]) {
  espl_rq_param p;
  p.bias = (int32_t)((uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24);
  p.m = (uint16_t)(b[4] | b[5] << 8);
  p.mr = (uint16_t)(b[6] | b[7] << 8);
  p.s = b[8];
  p.l = b[9];
  return p;
}

/* x modulo 2^49 as a signed number. */
static inline int64_t espl_rq_wrap49(int64_t x) {
  return (int64_t)((uint64_t)x << 15) >> 15;
}

/* zo + ((sum + 2^(s-1)) >> s), clamped; sum in 64 bits, wrapped at 49. floor((x + 2^(s-1)) / 2^s) = floor((floor(x / 2^(s-1)) + 1) / 2). */
static inline int8_t espl_rq_finish(int64_t sum, uint32_t s, int8_t zo, int8_t lo, int8_t hi) {
  int64_t q = zo + (((espl_rq_wrap49(sum) >> ((s - 1u) & 63u)) + 1) >> 1);
  if (q < lo) q = lo;
  if (q > hi) q = hi;
  return (int8_t)q;
}

/* Without residual operand. `acc` is the accumulator, sign-extended; acc + bias wraps at 32 bits. */
static inline int8_t espl_requantize(int32_t acc, const espl_rq_param *p, const espl_rq_layer *q) {
  int32_t v = (int32_t)((uint32_t)acc + (uint32_t)p->bias);
  return espl_rq_finish((int64_t)v * p->m, p->s, q->zo, q->lo, q->hi);
}

/* With residual operand r. */
static inline int8_t espl_requantize_res(int32_t acc, int8_t r, const espl_rq_param *p, const espl_rq_layer *q) {
  int32_t v = (int32_t)((uint32_t)acc + (uint32_t)p->bias);
  int64_t res = (int64_t)(r - q->zr) * p->mr;
  return espl_rq_finish((int64_t)((uint64_t)((int64_t)v * p->m) + ((uint64_t)res << (p->l & 31u))), p->s, q->zo, q->lo, q->hi);
}

/* Average over n valid taps of requantized values whose sum is `sum` (exact in 24 bits); zo is the zero point of those values,
 * pool_zo that of the average, table[16] the multipliers by valid taps 1..16, of which `fixed` takes entry 0 always. */
static inline int8_t espl_average(int32_t sum, int32_t n, int8_t zo, int8_t pool_zo, uint32_t pool_shift, int fixed, const uint16_t table[16]) {
  int32_t e = fixed || n < 1 ? 0 : n > 16 ? 15 : n - 1;
  int64_t v = (int64_t)sum - (int64_t)n * zo; /* 0 when n is 0, whatever the entry */
  return espl_rq_finish(v * table[e], pool_shift, pool_zo, -128, 127);
}

#ifdef __cplusplus
}
#endif
#endif
