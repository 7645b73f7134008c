/* The decoders behind image.h; each fills *out or leaves what it took for the caller to clear. */
#ifndef ESPL_DATA_IMAGE_INT_H
#define ESPL_DATA_IMAGE_INT_H

#include "data/image.h"

espl_status espli_png(const uint8_t *data, size_t n, espl_image *out, espl_err *err) ESPL_MUST_CHECK;
espl_status espli_jpeg(const uint8_t *data, size_t n, espl_image *out, espl_err *err) ESPL_MUST_CHECK;
espl_status espli_bmp(const uint8_t *data, size_t n, espl_image *out, espl_err *err) ESPL_MUST_CHECK;
/* Takes memory for w x h x c after the limits; `most` is how many pixels one byte of the format can stand for. */
espl_status espli_image_room(espl_image *out, int64_t w, int64_t h, int32_t c, size_t n, int64_t most, espl_err *err) ESPL_MUST_CHECK;

#endif
