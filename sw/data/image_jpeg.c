/* JPEG through libjpeg-turbo. Its errors leave by longjmp; its warnings about damaged data count as errors, but for stray bytes between
 * markers, which change nothing. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <jerror.h>

#include "data/image_int.h"

enum { MAX_SCANS = 200 };

typedef struct jpeg_job {
  struct jpeg_error_mgr errors; /* first: libjpeg hands out a pointer to it */
  struct jpeg_progress_mgr progress;
  struct jpeg_decompress_struct d;
  jmp_buf leave;
  espl_image *out;
  espl_err *err;
  espl_status status;
} jpeg_job;

static void on_error(j_common_ptr c) {
  jpeg_job *j = (jpeg_job *)(void *)c->err;
  char text[JMSG_LENGTH_MAX];
  c->err->format_message(c, text);
  j->status = espl_fail(j->err, c->err->msg_code == JERR_OUT_OF_MEMORY ? ESPL_E_NOMEM : ESPL_E_INPUT, "damaged JPEG: %s", text);
  longjmp(j->leave, 1);
}

static void on_message(j_common_ptr c, int level) {
  if (level < 0 && c->err->msg_code != JWRN_EXTRANEOUS_DATA) on_error(c);
}

static void on_progress(j_common_ptr c) {
  jpeg_job *j = (jpeg_job *)(void *)c->err;
  if (j->d.input_scan_number <= MAX_SCANS) return;
  j->status = espl_fail(j->err, ESPL_E_UNSUPPORTED, "a JPEG of more than %d scans", MAX_SCANS);
  longjmp(j->leave, 1);
}

static espl_status read_all(jpeg_job *j, const uint8_t *data, size_t n) {
  struct jpeg_decompress_struct *d = &j->d;
  jpeg_mem_src(d, data, n);
  jpeg_read_header(d, TRUE);
  bool grey = d->jpeg_color_space == JCS_GRAYSCALE;
  if (!grey && d->jpeg_color_space != JCS_YCbCr && d->jpeg_color_space != JCS_RGB)
    return espl_fail(j->err, ESPL_E_UNSUPPORTED, "a JPEG of %d components in colour space %d; grey, YCbCr and RGB are supported", d->num_components, (int)d->jpeg_color_space);
  d->out_color_space = grey ? JCS_GRAYSCALE : JCS_RGB;
  ESPL_TRY(espli_image_room(j->out, d->image_width, d->image_height, grey ? 1 : 3, n, 4096, j->err));
  jpeg_start_decompress(d);
  while (d->output_scanline < d->output_height) {
    JSAMPROW row = j->out->pixels + (size_t)d->output_scanline * (size_t)j->out->w * (size_t)j->out->c;
    jpeg_read_scanlines(d, &row, 1);
  }
  jpeg_finish_decompress(d);
  return ESPL_OK;
}

espl_status espli_jpeg(const uint8_t *data, size_t n, espl_image *out, espl_err *err) {
  jpeg_job j = {.out = out, .err = err, .status = ESPL_OK};
  j.d.err = jpeg_std_error(&j.errors);
  j.errors.error_exit = on_error;
  j.errors.emit_message = on_message;
  j.progress.progress_monitor = on_progress;
  if (setjmp(j.leave) == 0) {
    jpeg_create_decompress(&j.d);
    j.d.mem->max_memory_to_use = 256l << 20;
    j.d.progress = &j.progress;
    j.status = read_all(&j, data, n);
  }
  jpeg_destroy_decompress(&j.d);
  return j.status;
}
