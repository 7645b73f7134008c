/* Sixteen channels at a time: float32 lanes, and bfloat16 as the upper halves of them (rounded to nearest even). The compiler's vectors
 * run on any processor; wide registers only make them faster. */
#ifndef ESPL_NN_LANES_H
#define ESPL_NN_LANES_H
#include <stdbool.h>
#include <stdint.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define LANES 16
#define LANES_INLINE static inline __attribute__((always_inline))
#pragma GCC diagnostic ignored "-Wpsabi" /* vectors never leave an inlined function */

typedef float lanes __attribute__((vector_size(64), aligned(4)));
typedef int32_t lanes_int __attribute__((vector_size(64), aligned(4)));
typedef uint32_t lanes_bits __attribute__((vector_size(64), aligned(4)));
typedef uint16_t lanes_half __attribute__((vector_size(32), aligned(2)));

LANES_INLINE lanes lanes_all(float v) { return (lanes){v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v}; }

/* Lanes at element i of an array of bfloat16 (half) or float32. */
LANES_INLINE lanes lanes_load(const void *p, int64_t i, const bool half) {
  if (!half) return *(const lanes *)(const void *)((const float *)p + i);
#ifdef __AVX512F__
  return (lanes)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)((const uint16_t *)p + i))), 16);
#else
  return (lanes)(__builtin_convertvector(*(const lanes_half *)(const void *)((const uint16_t *)p + i), lanes_bits) << 16);
#endif
}

LANES_INLINE void lanes_store(void *p, int64_t i, lanes v, const bool half) {
  if (!half) {
    *(lanes *)(void *)((float *)p + i) = v;
    return;
  }
#ifdef __AVX512BF16__
  *(lanes_half *)(void *)((uint16_t *)p + i) = (lanes_half)_mm512_cvtneps_pbh((__m512)v);
#else
  lanes_bits b = (lanes_bits)v;
  b = (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
  *(lanes_half *)(void *)((uint16_t *)p + i) = __builtin_convertvector(b, lanes_half);
#endif
}

/* v bounded from below and from above; what is not a number stays that. */
LANES_INLINE lanes lanes_at_least(lanes v, lanes lo) {
#ifdef __AVX512F__
  return (lanes)_mm512_max_ps((__m512)lo, (__m512)v);
#else
  lanes_int low = v < lo;
  return (lanes)((low & (lanes_int)lo) | (~low & (lanes_int)v));
#endif
}
LANES_INLINE lanes lanes_at_most(lanes v, lanes hi) {
#ifdef __AVX512F__
  return (lanes)_mm512_min_ps((__m512)hi, (__m512)v);
#else
  lanes_int high = v > hi;
  return (lanes)((high & (lanes_int)hi) | (~high & (lanes_int)v));
#endif
}
/* v where keep is all ones, 0 where it is 0. */
LANES_INLINE lanes lanes_where(lanes_int keep, lanes v) { return (lanes)((lanes_int)v & keep); }
#endif
