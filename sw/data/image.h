/* Pictures from bytes: PNG (libpng), JPEG (libjpeg-turbo), BMP (own reader), told by their first bytes.
 *
 * Laws: damage anywhere in a picture is an error, never a half-filled picture; an announced size beyond 16384x16384 or 2^26 pixels, or
 * beyond what the bytes could possibly hold, is refused before memory is taken; palettes are resolved, 16-bit samples keep their
 * upper byte, transparency is dropped. */
#ifndef ESPL_DATA_IMAGE_H
#define ESPL_DATA_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct espl_image {
  int32_t w, h, c; /* c: 1 grey, 3 red green blue */
  uint8_t *pixels; /* [h][w][c], owned */
} espl_image;

/* E_INPUT: damaged, or none of the three; E_UNSUPPORTED: CMYK, run-length BMP, too large. *out is empty on error. */
espl_status espl_image_decode(const uint8_t *data, size_t n, espl_image *out, espl_err *err) ESPL_MUST_CHECK;
void espl_image_clear(espl_image *m);
/* In place to w x h by a triangle filter as wide as the step between target pixels where that is above one source pixel (so shrinking
 * averages, growing interpolates), pixel centres at half. */
espl_status espl_image_resize(espl_image *m, int32_t w, int32_t h, espl_err *err) ESPL_MUST_CHECK;

#endif
