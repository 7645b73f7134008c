/* Which decoder, the limits, and resizing. */
#include "data/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/image_int.h"

enum { MAX_SIDE = 16384, MAX_PIXELS = 1 << 26 };

void espl_image_clear(espl_image *m) {
  free(m->pixels);
  *m = (espl_image){0};
}

espl_status espli_image_room(espl_image *out, int64_t w, int64_t h, int32_t c, size_t n, int64_t most, espl_err *err) {
  if (w < 1 || h < 1) return espl_fail(err, ESPL_E_INPUT, "an image of %lldx%lld pixels", (long long)w, (long long)h);
  if (w > MAX_SIDE || h > MAX_SIDE || w * h > MAX_PIXELS)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "%lldx%lld pixels, at most %dx%d and 2^26 in all are supported", (long long)w, (long long)h, MAX_SIDE, MAX_SIDE);
  if (w * h > (int64_t)n * most) return espl_fail(err, ESPL_E_INPUT, "announces %lldx%lld pixels, more than its %zu bytes can hold", (long long)w, (long long)h, n);
  *out = (espl_image){.w = (int32_t)w, .h = (int32_t)h, .c = c};
  out->pixels = espl_calloc((size_t)(w * h), (size_t)c);
  return out->pixels ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "out of memory for %lldx%lld pixels", (long long)w, (long long)h);
}

espl_status espl_image_decode(const uint8_t *data, size_t n, espl_image *out, espl_err *err) {
  *out = (espl_image){0};
  espl_status s;
  if (n >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0) s = espli_png(data, n, out, err);
  else if (n >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0) s = espli_jpeg(data, n, out, err);
  else if (n >= 2 && memcmp(data, "BM", 2) == 0) s = espli_bmp(data, n, out, err);
  else s = espl_fail(err, ESPL_E_INPUT, "neither PNG, JPEG nor BMP");
  if (s != ESPL_OK) espl_image_clear(out);
  return s;
}

/* The weights of target position t: source positions *first .. *first + *count - 1, weights sum to 1. */
static void triangle(int32_t from, int32_t to, int32_t t, int32_t *first, int32_t *count, float *weight) {
  double step = (double)from / to, reach = step > 1 ? step : 1, centre = (t + 0.5) * step, sum = 0;
  int32_t a = (int32_t)floor(centre - reach), b = (int32_t)ceil(centre + reach);
  a = a < 0 ? 0 : a;
  b = b > from ? from : b;
  *first = a;
  *count = b - a;
  for (int32_t k = 0; k < *count; k++) {
    double v = 1 - fabs((a + k + 0.5 - centre) / reach);
    weight[k] = (float)(v > 0 ? v : 0);
    sum += (double)weight[k];
  }
  for (int32_t k = 0; k < *count; k++) weight[k] = (float)((double)weight[k] / sum);
}

static uint8_t to_byte(float v) { return (uint8_t)(v <= 0 ? 0 : v >= 255 ? 255 : v + 0.5f); }

/* Columns of [h][w][c] bytes into [h][to][c] floats, then rows into [rows][to][c] bytes. */
static void resample(const espl_image *m, int32_t to, int32_t rows, float *weight, float *wide, uint8_t *out) {
  int32_t first, count, c = m->c;
  for (int32_t x = 0; x < to; x++) {
    triangle(m->w, to, x, &first, &count, weight);
    for (int32_t y = 0; y < m->h; y++)
      for (int32_t k = 0; k < c; k++) {
        float sum = 0;
        for (int32_t j = 0; j < count; j++) sum += weight[j] * m->pixels[((int64_t)y * m->w + first + j) * c + k];
        wide[((int64_t)y * to + x) * c + k] = sum;
      }
  }
  for (int32_t y = 0; y < rows; y++) {
    triangle(m->h, rows, y, &first, &count, weight);
    for (int64_t k = 0; k < (int64_t)to * c; k++) {
      float sum = 0;
      for (int32_t j = 0; j < count; j++) sum += weight[j] * wide[(int64_t)(first + j) * to * c + k];
      out[(int64_t)y * to * c + k] = to_byte(sum);
    }
  }
}

espl_status espl_image_resize(espl_image *m, int32_t w, int32_t h, espl_err *err) {
  if (w < 1 || h < 1 || w > MAX_SIDE || h > MAX_SIDE) return espl_fail(err, ESPL_E_INPUT, "resize to %dx%d, expected 1 to %d each", (int)w, (int)h, MAX_SIDE);
  if (w == m->w && h == m->h) return ESPL_OK;
  float *weight = espl_calloc(2 * (size_t)(m->w > m->h ? m->w : m->h) + 4, sizeof *weight);
  float *wide = espl_calloc((size_t)m->h * (size_t)w, (size_t)m->c * sizeof *wide);
  uint8_t *out = espl_calloc((size_t)w * (size_t)h, (size_t)m->c);
  espl_status s = weight && wide && out ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "out of memory for %dx%d pixels", (int)w, (int)h);
  if (s == ESPL_OK) {
    resample(m, w, h, weight, wide, out);
    free(m->pixels);
    m->pixels = out;
    m->w = w;
    m->h = h;
    out = NULL;
  }
  free(weight);
  free(wide);
  free(out);
  return s;
}
