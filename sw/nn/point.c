/* Weights' gradient of 1x1 convolutions. point.h has the definition. */
#include "nn/point.h"

#include <string.h>

#include "nn/lanes.h"

#define PAIRS 16     /* of pixels, interleaved ahead of their products */
#define AT_ONCE 1024 /* pixels whose channels stay in the second-level cache while all pairs of blocks pass */

static int32_t blocks_of(int32_t channels) { return (channels + LANES - 1) / LANES; }
int64_t nn_point_sums(int32_t in, int32_t out) { return (int64_t)blocks_of(in) * blocks_of(out) * LANES * LANES; }

#ifdef __AVX512BF16__
bool nn_point_here(void) { return true; }

/* Word 2c is channel c of the first pixel, word 2c + 1 of the second. */
static __m512i interleave(const uint16_t *two_pixels, __m512i order) { return _mm512_permutexvar_epi16(order, _mm512_loadu_si512(two_pixels)); }

/* sums[o][i] += dot products over the pixels of one plane each of x and dy. */
static void block_sums(const uint16_t *x, const uint16_t *dy, int64_t pixels, __m512i order, float *sums) {
  __m512 acc[LANES];
  int32_t pair[PAIRS][LANES] __attribute__((aligned(64)));
#pragma GCC unroll 16
  for (int o = 0; o < LANES; o++) acc[o] = _mm512_loadu_ps(sums + o * LANES);
  for (int64_t p = 0; p < pixels; p += 2 * PAIRS) {
    const int n = (int)(pixels - p < 2 * PAIRS ? (pixels - p) / 2 : PAIRS);
    for (int k = 0; k < n; k++) _mm512_store_si512(pair[k], interleave(dy + (p + 2 * k) * LANES, order));
    __asm__ volatile("" : "+m"(pair)); /* broadcasts come from memory: that is a load each, from a register it would be two shuffles */
    for (int k = 0; k < n; k++) {
      const __m512bh a = (__m512bh)interleave(x + (p + 2 * k) * LANES, order);
#pragma GCC unroll 16
      for (int o = 0; o < LANES; o++) acc[o] = _mm512_dpbf16_ps(acc[o], a, (__m512bh)_mm512_set1_epi32(pair[k][o]));
    }
  }
#pragma GCC unroll 16
  for (int o = 0; o < LANES; o++) _mm512_storeu_ps(sums + o * LANES, acc[o]);
}

static __m512i interleaving(void) {
  uint16_t order[2 * LANES];
  for (int c = 0; c < LANES; c++) order[2 * c] = (uint16_t)c, order[2 * c + 1] = (uint16_t)(LANES + c);
  return _mm512_loadu_si512(order);
}

/* Every pair of blocks belongs to one thread, which meets the images in order. */
static void gather(const nn_point *s) {
  const uint16_t *x = dnn_mem_ptr(s->x), *dy = dnn_mem_ptr(s->dy);
  float *sums = dnn_mem_ptr(s->sums);
  const int32_t ib = blocks_of(s->in), ob = blocks_of(s->out);
  const int64_t plane = s->pixels * LANES;
  const int32_t step = s->pixels < AT_ONCE ? (int32_t)(AT_ONCE / s->pixels) : 1;
  const __m512i order = interleaving();
#pragma omp parallel
  for (int32_t first = 0; first < s->images; first += step) {
#pragma omp for collapse(2) schedule(static) nowait
    for (int32_t o = 0; o < ob; o++)
      for (int32_t i = 0; i < ib; i++)
        for (int32_t n = first; n < first + step && n < s->images; n++)
          block_sums(x + ((int64_t)n * ib + i) * plane, dy + ((int64_t)n * ob + o) * plane, s->pixels, order, sums + ((int64_t)o * ib + i) * LANES * LANES);
  }
}
#else
bool nn_point_here(void) { return false; }
static void gather(const nn_point *s) { (void)s; } /* never asked for: nn_point_here */
#endif

void nn_run_point(const nn_point *s) {
  float *sums = dnn_mem_ptr(s->sums);
  const int32_t ib = blocks_of(s->in);
  memset(sums, 0, (size_t)nn_point_sums(s->in, s->out) * sizeof *sums);
  gather(s);
  for (int32_t o = 0; o < s->out; o++)
    for (int32_t i = 0; i < s->in; i++)
      s->grad[(int64_t)o * s->in + i] = sums[(((int64_t)(o / LANES) * ib + i / LANES) * LANES + o % LANES) * LANES + i % LANES];
}
