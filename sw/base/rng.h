/* Counter-based random numbers: a pure function of (seed, stream, counter), so results do not depend
 * on threads or on how often anything else drew. The mixer is the 64-bit finaliser known from
 * splitmix64 (Steele, Lea, Flood 2014), applied to each key word in turn. */
#ifndef ESPL_BASE_RNG_H
#define ESPL_BASE_RNG_H

#include <math.h>
#include <stdint.h>

static inline uint64_t espl_mix64(uint64_t z) {
  z += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static inline uint64_t espl_rng_u64(uint64_t seed, uint64_t stream, uint64_t counter) {
  return espl_mix64(espl_mix64(espl_mix64(seed) ^ stream) ^ counter);
}

/* Uniform in [0, 1), 24 bits. */
static inline float espl_rng_unit(uint64_t seed, uint64_t stream, uint64_t counter) {
  return (float)(espl_rng_u64(seed, stream, counter) >> 40) * 0x1p-24f;
}

/* Uniform integer in [0, n), n >= 1 (multiply-shift; bias below 2^-32 for n < 2^32). */
static inline uint32_t espl_rng_below(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t n) {
  return (uint32_t)(((espl_rng_u64(seed, stream, counter) >> 32) * n) >> 32);
}

/* Standard normal (Box-Muller on two draws of one counter). */
static inline float espl_rng_normal(uint64_t seed, uint64_t stream, uint64_t counter) {
  uint64_t u = espl_rng_u64(seed, stream, counter);
  double a = ((double)(u >> 32) + 1.0) * 0x1p-32, b = (double)(uint32_t)u * 0x1p-32;
  return (float)(sqrt(-2.0 * log(a)) * cos(6.283185307179586 * b));
}

/* A sequence on top of the same function, for code that draws one number after the other. */
typedef struct espl_rng {
  uint64_t seed, stream, counter;
} espl_rng;

static inline uint64_t espl_rng_next(espl_rng *r) { return espl_rng_u64(r->seed, r->stream, r->counter++); }
static inline uint32_t espl_rng_next_below(espl_rng *r, uint32_t n) {
  return (uint32_t)(((espl_rng_next(r) >> 32) * n) >> 32);
}

#endif
