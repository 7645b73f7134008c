/* Requantize and average against the formula of hw/spec/numerics.md in 128-bit integers with floor division, and hand-computed corners. */
#include <criterion/criterion.h>

#include "model/requant.h"

static uint64_t rng = 0x9e3779b97f4a7c15u;
static uint64_t draw(void) {
  rng ^= rng << 13;
  rng ^= rng >> 7;
  rng ^= rng << 17;
  return rng;
}

/* floor(x / 2^s) by division, so that no shift of a negative number is involved. */
static __int128 floor_div(__int128 x, unsigned s) {
  __int128 d = (__int128)1 << s, q = x / d;
  return x % d < 0 ? q - 1 : q;
}

static int expect(int64_t acc, const espl_rq_param *p, const espl_rq_layer *l, int has_res, int r) {
  __int128 v = acc + p->bias;
  if (v > INT32_MAX) v -= (__int128)1 << 32;
  if (v < INT32_MIN) v += (__int128)1 << 32;
  __int128 sum = v * p->m + ((__int128)1 << (p->s - 1));
  if (has_res) sum += (__int128)(r - l->zr) * p->mr * ((__int128)1 << p->l);
  __int128 lim = (__int128)1 << 48;
  cr_assert(sum < lim && sum >= -lim, "the sum of legal parameters fits 49 bits");
  __int128 q = l->zo + floor_div(sum, p->s);
  return (int)(q < l->lo ? l->lo : q > l->hi ? l->hi : q);
}

Test(requant, random_matches_formula) {
  static const int32_t corner[] = {0, 1, -1, INT32_MAX, INT32_MIN, 1 << 23, -(1 << 23)};
  for (int i = 0; i < 400000; i++) {
    uint64_t a = draw(), b = draw(), c = draw();
    espl_rq_param p = {(int32_t)a, (uint16_t)b, (uint16_t)(b >> 16), (uint8_t)(1 + (b >> 32) % 47), (uint8_t)((b >> 40) % 23)};
    if (i % 5 == 0) p.bias = corner[a % 7];
    if (i % 7 == 0) p.m = 65535, p.mr = 65535;
    int32_t acc = i % 3 == 0 ? corner[(a >> 32) % 7] : (int32_t)(a >> 32) >> (c >> 56 & 31);
    espl_rq_layer l = {(int8_t)c, (int8_t)(c >> 8), -128, 127};
    if (i % 2) l.lo = (int8_t)((c >> 16) % 128 - 128), l.hi = (int8_t)((c >> 24) % 128);
    int8_t r = (int8_t)(c >> 32);
    cr_assert_eq(espl_requantize(acc, &p, &l), expect(acc, &p, &l, 0, 0), "case %d", i);
    cr_assert_eq(espl_requantize_res(acc, r, &p, &l), expect(acc, &p, &l, 1, r), "case %d with residual", i);
  }
}

Test(requant, half_rounds_up) {
  espl_rq_layer l = {0, 0, -128, 127};
  for (uint8_t s = 1; s <= 30; s++) {
    espl_rq_param p = {0, 1, 0, s, 0};
    int32_t half = 1 << (s - 1);
    cr_assert_eq(espl_requantize(half, &p, &l), 1, "0.5 to 1, s %d", s);
    cr_assert_eq(espl_requantize(half - 1, &p, &l), 0, "below 0.5 to 0, s %d", s);
    cr_assert_eq(espl_requantize(-half, &p, &l), 0, "-0.5 to 0, s %d", s);
    cr_assert_eq(espl_requantize(-half - 1, &p, &l), -1, "below -0.5 to -1, s %d", s);
  }
}

Test(requant, bias_wraps_and_clamp_ends) {
  espl_rq_layer l = {5, 0, -128, 127};
  espl_rq_param p = {1, 1, 0, 24, 0};
  cr_assert_eq(espl_requantize(INT32_MAX, &p, &l), 5 - 128, "2^31-1 + 1 wraps to -2^31");
  l = (espl_rq_layer){-128, 0, -128, 127};
  p = (espl_rq_param){0, 65535, 0, 1, 0};
  cr_assert_eq(espl_requantize(INT32_MAX, &p, &l), 127);
  cr_assert_eq(espl_requantize(INT32_MIN, &p, &l), -128);
  p.s = 47;
  cr_assert_eq(espl_requantize(INT32_MAX, &p, &l), -127, "just below 2^47 rounds to 1");
}

Test(requant, residual_alone_is_a_shift) {
  espl_rq_layer l = {0, -128, -128, 127};
  espl_rq_param p = {0, 0, 1, 22, 22};
  for (int r = -128; r < 0; r++) cr_assert_eq(espl_requantize_res(12345, (int8_t)r, &p, &l), r + 128);
  cr_assert_eq(espl_requantize_res(0, 0, &p, &l), 127, "clamped");
}

Test(requant, parameters_round_trip_bytes) {
  espl_rq_param p = {-0x01020304, 0xa1b2, 0xc3d4, 47, 22};
  uint8_t b[16];
  espl_rq_param_pack(&p, b);
  const uint8_t want[16] = {0xfc, 0xfc, 0xfd, 0xfe, 0xb2, 0xa1, 0xd4, 0xc3, 47, 22, 0, 0, 0, 0, 0, 0};
  cr_assert_arr_eq(b, want, 16);
  espl_rq_param q = espl_rq_param_unpack(b);
  cr_assert(q.bias == p.bias && q.m == p.m && q.mr == p.mr && q.s == p.s && q.l == p.l);
}

Test(requant, average_matches_formula) {
  uint16_t table[16];
  for (int i = 0; i < 200000; i++) {
    uint64_t a = draw(), b = draw();
    for (int k = 0; k < 16; k++) table[k] = (uint16_t)(draw() >> 20);
    int32_t n = i % 4 ? (int32_t)(a % 20) : (int32_t)(a % 65026);
    int32_t sum = n ? (int32_t)((int64_t)(draw() % (255u * (uint64_t)n + 1)) - 128 * n) : 0;
    int8_t zo = (int8_t)b, pz = (int8_t)(b >> 8);
    unsigned s = 1 + (unsigned)(b >> 16) % 47;
    int fixed = b >> 40 & 1;
    __int128 mt = n == 0 ? 0 : fixed ? table[0] : table[n > 16 ? 15 : n - 1];
    __int128 q = pz + floor_div(((__int128)sum - (__int128)n * zo) * mt + ((__int128)1 << (s - 1)), s);
    int want = (int)(q < -128 ? -128 : q > 127 ? 127 : q);
    cr_assert_eq(espl_average(sum, n, zo, pz, s, fixed, table), want, "case %d", i);
  }
}

Test(requant, average_of_equal_values_is_the_value) {
  uint16_t table[16];
  for (int n = 1; n <= 16; n++) table[n - 1] = (uint16_t)((1 << 15) / n);
  for (int n = 1; n <= 16; n *= 2)
    for (int q = -128; q <= 127; q++) cr_assert_eq(espl_average(q * n, n, 3, 3, 15, 0, table), q);
}
