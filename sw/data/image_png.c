/* PNG through libpng: every kind of sample to grey or RGB bytes. libpng reports errors by longjmp; everything that must be released
 * afterwards lives in `png_job`. */
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "data/image_int.h"

typedef struct png_job {
  const uint8_t *data;
  size_t n, at;
  png_structp png;
  png_infop info;
  png_bytep *row;
  espl_image *out;
  espl_err *err;
  espl_status status;
} png_job;

static void on_error(png_structp png, png_const_charp text) {
  png_job *j = png_get_error_ptr(png);
  j->status = espl_fail(j->err, ESPL_E_INPUT, "damaged PNG: %s", text);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void read_bytes(png_structp png, png_bytep to, png_size_t n) {
  png_job *j = png_get_io_ptr(png);
  if (n > j->n - j->at) png_error(png, "the file ends");
  memcpy(to, j->data + j->at, n);
  j->at += n;
}

/* Between setjmp and the end: no variable here is needed after a jump. */
static espl_status read_all(png_job *j) {
  png_read_info(j->png, j->info);
  int kind = png_get_color_type(j->png, j->info);
  int32_t c = kind & PNG_COLOR_MASK_COLOR ? 3 : 1;
  uint32_t h = png_get_image_height(j->png, j->info);
  ESPL_TRY(espli_image_room(j->out, png_get_image_width(j->png, j->info), h, c, j->n, 1100 * 8, j->err)); /* deflate: at most 1032 times, 8 pixels a byte */
  png_set_expand(j->png);
  png_set_strip_16(j->png);
  png_set_strip_alpha(j->png);
  png_set_interlace_handling(j->png);
  png_read_update_info(j->png, j->info);
  size_t bytes = (size_t)j->out->w * (size_t)c;
  if (png_get_rowbytes(j->png, j->info) != bytes) return espl_fail(j->err, ESPL_E_BUG, "PNG rows of %zu bytes, expected %zu", png_get_rowbytes(j->png, j->info), bytes);
  j->row = espl_calloc(h, sizeof *j->row);
  if (!j->row) return espl_fail(j->err, ESPL_E_NOMEM, "out of memory");
  for (uint32_t y = 0; y < h; y++) j->row[y] = j->out->pixels + y * bytes;
  png_read_image(j->png, j->row);
  png_read_end(j->png, NULL);
  return ESPL_OK;
}

espl_status espli_png(const uint8_t *data, size_t n, espl_image *out, espl_err *err) {
  png_job j = {.data = data, .n = n, .out = out, .err = err, .status = ESPL_OK};
  j.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &j, on_error, on_warning);
  j.info = j.png ? png_create_info_struct(j.png) : NULL;
  if (!j.info) {
    png_destroy_read_struct(&j.png, NULL, NULL);
    return espl_fail(err, ESPL_E_NOMEM, "libpng does not start");
  }
  png_set_user_limits(j.png, 1 << 20, 1 << 20); /* the limits with a message are espli_image_room's */
  png_set_chunk_malloc_max(j.png, 4 << 20);
  png_set_read_fn(j.png, &j, read_bytes);
  if (setjmp(png_jmpbuf(j.png)) == 0) j.status = read_all(&j);
  png_destroy_read_struct(&j.png, &j.info, NULL);
  free(j.row);
  return j.status;
}
