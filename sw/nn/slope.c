/* PReLU: the loops. slope.h has the definition. */
#include "nn/slope.h"

#include "nn/lanes.h"

static int32_t blocks_of(int32_t channels) { return (channels + LANES - 1) / LANES; }
int64_t nn_slope_sums(int32_t images, int32_t channels) { return (int64_t)images * blocks_of(channels) * LANES; }

/* Slopes of block b; 0 beyond the channels. */
static lanes slopes_of(const nn_slope *s, int32_t b) {
  lanes v = lanes_all(0.0f);
  for (int32_t i = 0; i < LANES && b * LANES + i < s->channels; i++) v[i] = s->slope->value[s->slope->elems == 1 ? 0 : b * LANES + i];
  return v;
}

static int64_t plane(const nn_slope *s, int32_t n, int32_t b) { return ((int64_t)n * blocks_of(s->channels) + b) * s->pixels * LANES; }

LANES_INLINE void forward_plane(const nn_slope *s, int32_t n, int32_t b, const bool half) {
  const void *x = dnn_mem_ptr(s->x);
  void *y = dnn_mem_ptr(s->y);
  const lanes slope = slopes_of(s, b), zero = lanes_all(0.0f);
  const int64_t at = plane(s, n, b);
  for (int64_t p = 0; p < s->pixels; p++) {
    const lanes v = lanes_load(x, at + p * LANES, half);
    lanes_store(y, at + p * LANES, lanes_at_least(v, zero) + slope * lanes_at_most(v, zero), half);
  }
}

void nn_run_slope(const nn_slope *s) {
  const int32_t blocks = blocks_of(s->channels);
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t n = 0; n < s->images; n++)
    for (int32_t b = 0; b < blocks; b++)
      if (s->half) forward_plane(s, n, b, true);
      else forward_plane(s, n, b, false);
}

LANES_INLINE void back_plane(const nn_slope *s, int32_t n, int32_t b, const bool half) {
  const void *x = dnn_mem_ptr(s->x), *dy = dnn_mem_ptr(s->dy);
  void *dx = dnn_mem_ptr(s->dx);
  const lanes slope = slopes_of(s, b), zero = lanes_all(0.0f);
  const int64_t at = plane(s, n, b);
  lanes sum = zero;
  for (int64_t p = 0; p < s->pixels; p++) {
    const lanes v = lanes_load(x, at + p * LANES, half), d = lanes_load(dy, at + p * LANES, half);
    const lanes_int above = v > zero;
    sum += lanes_where(~above, v * d);
    lanes_store(dx, at + p * LANES, lanes_where(above, d) + lanes_where(~above, slope * d), half);
  }
  lanes_store(dnn_mem_ptr(s->sums), ((int64_t)n * blocks_of(s->channels) + b) * LANES, sum, false);
}

void nn_run_slope_back(const nn_slope *s) {
  const int32_t blocks = blocks_of(s->channels), width = blocks * LANES;
  const float *sums = dnn_mem_ptr(s->sums);
  double all = 0.0;
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t n = 0; n < s->images; n++)
    for (int32_t b = 0; b < blocks; b++)
      if (s->half) back_plane(s, n, b, true);
      else back_plane(s, n, b, false);
  for (int32_t c = 0; c < s->channels; c++) {
    double sum = 0.0;
    for (int32_t n = 0; n < s->images; n++) sum += (double)sums[(int64_t)n * width + c];
    all += sum;
    if (s->slope->elems > 1) s->slope->grad[c] = (float)sum;
  }
  if (s->slope->elems == 1) s->slope->grad[0] = (float)all;
}
