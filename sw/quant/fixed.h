/* The fixed-point arithmetic that TFLite's reference kernels are defined by, as exact integer formulas.
 *
 * A real factor M is m*2^(e-31) with m in 2^30..2^31-1. Multiplying rounds twice: first x*2^max(e,0)*m*2^-31 to the nearest integer, half
 * up (clamped where both are -2^31), then the division by 2^max(-e,0) to the nearest, half away from zero.
 * Q(i) below is a signed 32-bit number with i bits before the point: raw*2^(i-31). */
#ifndef ESPL_QUANT_FIXED_H
#define ESPL_QUANT_FIXED_H

#include <math.h>
#include <stdint.h>

typedef struct q_factor {
  int32_t m;
  int e; /* -31..31 */
} q_factor;

/* value >= 0; what is below 2^-32 is 0. */
static inline q_factor q_factor_of(double value) {
  int e;
  if (!(value > 0)) return (q_factor){0, 0};
  int64_t m = (int64_t)round(frexp(value, &e) * 2147483648.0);
  if (m == 2147483648ll) m /= 2, e++;
  if (e < -31) return (q_factor){0, 0};
  if (e > 30) return (q_factor){INT32_MAX, 30};
  return (q_factor){(int32_t)m, e};
}

/* round(a*b*2^-31), half up. */
static inline int32_t q_high_mul(int32_t a, int32_t b) {
  if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
  int64_t ab = (int64_t)a * b;
  return (int32_t)((ab + (ab >= 0 ? 1 << 30 : 1 - (1 << 30))) / (1ll << 31));
}

/* round(x*2^-n), half away from zero, n 0..31. */
static inline int32_t q_round_shift(int32_t x, int n) {
  int64_t half = n ? 1ll << (n - 1) : 0, v = x;
  return (int32_t)(v >= 0 ? (v + half) >> n : -((-v + half) >> n));
}

/* x*2^e in 32 bits, which wrap. */
static inline int32_t q_shift_up(int32_t x, int e) { return (int32_t)((uint32_t)x << e); }

static inline int32_t q_scale(int32_t x, q_factor f) { return q_round_shift(q_high_mul(q_shift_up(x, f.e > 0 ? f.e : 0), f.m), f.e < 0 ? -f.e : 0); }

/* sum / n to the nearest, half away from zero; n > 0. */
static inline int32_t q_round_div(int32_t sum, int32_t n) { return (sum > 0 ? sum + n / 2 : sum - n / 2) / n; }

static inline int32_t q_clamp32(int64_t v) { return (int32_t)(v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : v); }

/* exp(x) of x <= 0 in Q(5), result in Q(0): a polynomial on [-1/4, 0) times one factor exp(-2^k) a bit. */
static inline int32_t q_exp_negative(int32_t x) {
  enum { QUARTER = 1 << 24 }; /* 1/4 in Q(5) */
  static const int32_t factor[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242}; /* exp(-2^k), k = -2..4, in Q(0) */
  if (x == 0) return INT32_MAX;
  int32_t part = (int32_t)((uint32_t)x & (QUARTER - 1)) - QUARTER, rest = part - x;
  int32_t a = q_clamp32((int64_t)part * 32 + (1 << 28));    /* in Q(0), about -1/8 */
  int32_t a2 = q_high_mul(a, a), a3 = q_high_mul(a2, a), a4 = q_high_mul(a2, a2);
  int32_t tail = q_round_shift(q_high_mul(q_round_shift(a4, 2) + a3, 715827883) + a2, 1); /* ((a^4/4 + a^3)/3 + a^2)/2 */
  int32_t r = q_clamp32(1895147668ll + q_high_mul(1895147668, a + tail));                 /* exp(-1/8)*(1 + a + ...) */
  for (int k = 0; k < 7; k++)
    if (rest & (QUARTER << k)) r = q_high_mul(r, factor[k]);
  return r;
}

/* 1/(1+x) of x in [0,1], both Q(0): three Newton steps in Q(2) from 48/17 - 32/17*(1+x)/2. */
static inline int32_t q_reciprocal(int32_t x) {
  int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2); /* (1+x)/2 in Q(0) */
  int32_t y = q_clamp32(1515870810ll + q_high_mul(half, -1010580540)); /* 48/17 and -32/17 in Q(2) */
  for (int k = 0; k < 3; k++) {
    int32_t left = q_clamp32((1ll << 29) - q_high_mul(half, y)); /* 1 - half*y in Q(2) */
    int64_t step = (int64_t)q_high_mul(y, left) * 4;             /* Q(4) to Q(2) */
    y = q_clamp32((int64_t)y + q_clamp32(step));
  }
  return q_clamp32((int64_t)y * 2); /* y/2, Q(2) to Q(0) */
}

#endif
