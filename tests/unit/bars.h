/* A small set of pictures that the tests of training make themselves. */
#ifndef TESTS_UNIT_BARS_H
#define TESTS_UNIT_BARS_H
#include <stdlib.h>

#include "base/rng.h"
#include "data/data.h"

/* Four classes of 8x8 images: a bright bar at one of four rows, under noise. */
static espl_dataset bars(int32_t n) {
  espl_dataset d = {.source = "bars", .n = n, .classes = 4, .shape = {1, 8, 8}};
  d.pixels = malloc((size_t)n * 64);
  d.labels = malloc((size_t)n);
  for (int32_t i = 0; i < n; i++) {
    d.labels[i] = (uint8_t)(i % 4);
    for (int k = 0; k < 64; k++)
      d.pixels[i * 64 + k] = (uint8_t)(espl_rng_below(9, (uint64_t)i, (uint64_t)k, 120) + (k / 16 == d.labels[i] ? 60 : 0));
  }
  return d;
}

static void free_bars(espl_dataset *d) {
  free(d->pixels);
  free(d->labels);
}

#endif
