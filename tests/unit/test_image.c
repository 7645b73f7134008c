/* Pictures: pixels given to libpng and libjpeg as writers, BMP bytes written out here, resizing in closed form, image folders. */
#include <criterion/criterion.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jpeglib.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "base/text.h"
#include "data/data.h"
#include "data/image.h"
#include "nn/nn.h"
#include "onnx/onnx.h"

static char dir[SCRATCH];
static espl_err err;

#define OK(expr) cr_assert_eq((expr), ESPL_OK, "%s", err.msg)

static void make_dir(void) {
  scratch_folder(dir, "espl-image");
}
static void remove_dir(void) {
  cr_assert_eq(scratch_remove(dir), 0);
}

TestSuite(image, .init = make_dir, .fini = remove_dir, .timeout = 120);

/* ---- decoders ---- */

static size_t png_of(uint32_t format, int w, int h, const void *pixels, const void *map, int colours, uint8_t *out, size_t room) {
  png_image m = {.version = PNG_IMAGE_VERSION, .width = (uint32_t)w, .height = (uint32_t)h, .format = format, .colormap_entries = (uint32_t)colours};
  png_alloc_size_t n = room;
  cr_assert(png_image_write_to_memory(&m, out, &n, 0, pixels, 0, map), "%s", m.message);
  return n;
}

Test(image, png_samples_come_back) {
  uint8_t rgb[5 * 4 * 3], rgba[5 * 4 * 4], grey[20], index[20], map[3 * 3] = {1, 2, 3, 250, 0, 9, 77, 88, 99}, file[4096];
  espl_image m;
  for (int k = 0; k < 20; k++) {
    grey[k] = (uint8_t)(k * 12);
    index[k] = (uint8_t)(k % 3);
    for (int c = 0; c < 3; c++) rgba[4 * k + c] = rgb[3 * k + c] = (uint8_t)(k * 7 + c * 50);
    rgba[4 * k + 3] = 255;
  }
  OK(espl_image_decode(file, png_of(PNG_FORMAT_RGB, 5, 4, rgb, NULL, 0, file, sizeof file), &m, &err));
  cr_expect(m.w == 5 && m.h == 4 && m.c == 3 && memcmp(m.pixels, rgb, sizeof rgb) == 0);
  espl_image_clear(&m);
  OK(espl_image_decode(file, png_of(PNG_FORMAT_RGBA, 5, 4, rgba, NULL, 0, file, sizeof file), &m, &err));
  cr_expect(m.c == 3 && memcmp(m.pixels, rgb, sizeof rgb) == 0);
  espl_image_clear(&m);
  OK(espl_image_decode(file, png_of(PNG_FORMAT_GRAY, 5, 4, grey, NULL, 0, file, sizeof file), &m, &err));
  cr_expect(m.c == 1 && memcmp(m.pixels, grey, sizeof grey) == 0);
  espl_image_clear(&m);
  OK(espl_image_decode(file, png_of(PNG_FORMAT_RGB_COLORMAP, 5, 4, index, map, 3, file, sizeof file), &m, &err));
  for (int k = 0; k < 20; k++) cr_expect_eq(memcmp(m.pixels + 3 * k, map + 3 * index[k], 3), 0, "pixel %d", k);
  espl_image_clear(&m);
}

static size_t jpeg_of(int components, int w, int h, const uint8_t *pixels, uint8_t *out, size_t room) {
  struct jpeg_compress_struct c;
  struct jpeg_error_mgr e;
  unsigned long n = 0;
  uint8_t *mem = NULL;
  c.err = jpeg_std_error(&e);
  jpeg_create_compress(&c);
  jpeg_mem_dest(&c, &mem, &n);
  c.image_width = (JDIMENSION)w;
  c.image_height = (JDIMENSION)h;
  c.input_components = components;
  c.in_color_space = components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&c);
  jpeg_set_quality(&c, 100, TRUE);
  jpeg_start_compress(&c, TRUE);
  for (int y = 0; y < h; y++) {
    JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + y * w * components);
    jpeg_write_scanlines(&c, &row, 1);
  }
  jpeg_finish_compress(&c);
  jpeg_destroy_compress(&c);
  cr_assert_leq(n, room);
  memcpy(out, mem, n);
  free(mem);
  return n;
}

Test(image, jpeg_flat_colours_and_a_cut_file) {
  uint8_t rgb[32 * 24 * 3], grey[32 * 24], file[8192];
  espl_image m;
  for (int k = 0; k < 32 * 24; k++) rgb[3 * k] = 200, rgb[3 * k + 1] = 40, rgb[3 * k + 2] = 90, grey[k] = 123;
  size_t n = jpeg_of(3, 32, 24, rgb, file, sizeof file);
  OK(espl_image_decode(file, n, &m, &err));
  cr_assert(m.w == 32 && m.h == 24 && m.c == 3);
  for (int k = 0; k < 32 * 24 * 3; k++) cr_assert_leq(abs(m.pixels[k] - rgb[k]), 2);
  espl_image_clear(&m);
  cr_expect_eq(espl_image_decode(file, n - 20, &m, &err), ESPL_E_INPUT);
  cr_expect_not_null(strstr(err.msg, "damaged JPEG"), "%s", err.msg);
  err = (espl_err){0};
  n = jpeg_of(1, 32, 24, grey, file, sizeof file);
  OK(espl_image_decode(file, n, &m, &err));
  cr_expect(m.c == 1 && abs(m.pixels[100] - 123) <= 1);
  espl_image_clear(&m);
}

static void put32(uint8_t *p, uint32_t v) {
  for (int k = 0; k < 4; k++) p[k] = (uint8_t)(v >> 8 * k);
}

/* A BMP with `colours` palette entries already at 54; returns where the pixels start. */
static size_t bmp_head(uint8_t *f, int w, int h, int bits, int colours) {
  size_t start = 54 + 4 * (size_t)colours;
  memset(f, 0, 54);
  memcpy(f, "BM", 2);
  put32(f + 10, (uint32_t)start);
  put32(f + 14, 40);
  put32(f + 18, (uint32_t)w);
  put32(f + 22, (uint32_t)h);
  f[26] = 1;
  f[28] = (uint8_t)bits;
  put32(f + 46, (uint32_t)colours);
  return start;
}

Test(image, bmp_rows_and_palettes) {
  uint8_t f[256];
  espl_image m;
  size_t at = bmp_head(f, 3, 2, 24, 0); /* rows of 9 bytes in 12, from the bottom, blue green red */
  const uint8_t rows[24] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 0, 0, 0};
  memcpy(f + at, rows, 24);
  OK(espl_image_decode(f, at + 24, &m, &err));
  const uint8_t want[18] = {13, 12, 11, 16, 15, 14, 19, 18, 17, 3, 2, 1, 6, 5, 4, 9, 8, 7};
  cr_expect(m.w == 3 && m.h == 2 && m.c == 3 && memcmp(m.pixels, want, 18) == 0);
  espl_image_clear(&m);
  cr_expect_eq(espl_image_decode(f, at + 23, &m, &err), ESPL_E_INPUT);
  err = (espl_err){0};
  at = bmp_head(f, 2, -2, 32, 0); /* from the top */
  for (int k = 0; k < 16; k++) f[at + (size_t)k] = (uint8_t)k;
  OK(espl_image_decode(f, at + 16, &m, &err));
  const uint8_t top[12] = {2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12};
  cr_expect_eq(memcmp(m.pixels, top, 12), 0);
  espl_image_clear(&m);
  at = bmp_head(f, 10, 1, 1, 2); /* bits from the top of a byte; a grey palette gives a grey picture */
  put32(f + 54, 0x0a0a0a);
  put32(f + 58, 0xf0f0f0);
  put32(f + at, 0x0040a5);
  OK(espl_image_decode(f, at + 4, &m, &err));
  const uint8_t bits[10] = {0xf0, 0x0a, 0xf0, 0x0a, 0x0a, 0xf0, 0x0a, 0xf0, 0x0a, 0xf0};
  cr_expect(m.c == 1 && memcmp(m.pixels, bits, 10) == 0);
  espl_image_clear(&m);
}

Test(image, claims_beyond_the_bytes_are_refused) {
  uint8_t f[256] = {0};
  espl_image m;
  size_t at = bmp_head(f, 16000, 4000, 24, 0);
  cr_expect_eq(espl_image_decode(f, at + 24, &m, &err), ESPL_E_INPUT);
  cr_expect_not_null(strstr(err.msg, "more than its"), "%s", err.msg);
  err = (espl_err){0};
  at = bmp_head(f, 60000, 60000, 24, 0);
  cr_expect_eq(espl_image_decode(f, at + 24, &m, &err), ESPL_E_UNSUPPORTED);
}

/* ---- resizing ---- */

static espl_image picture(int w, int h, const uint8_t *pixels) {
  espl_image m = {.w = w, .h = h, .c = 1, .pixels = malloc((size_t)(w * h))};
  memcpy(m.pixels, pixels, (size_t)(w * h));
  return m;
}

Test(image, resize_closed_forms) {
  espl_image m = picture(4, 1, (const uint8_t[]){10, 20, 40, 200});
  OK(espl_image_resize(&m, 2, 1, &err)); /* weights 3/7 3/7 1/7 */
  cr_expect(m.pixels[0] == (int)((3 * 10 + 3 * 20 + 40) / 7.0 + 0.5) && m.pixels[1] == (int)((20 + 3 * 40 + 3 * 200) / 7.0 + 0.5));
  espl_image_clear(&m);
  m = picture(2, 2, (const uint8_t[]){0, 100, 100, 200});
  OK(espl_image_resize(&m, 4, 4, &err)); /* between centres: 1/4 and 3/4 */
  const uint8_t want[16] = {0, 25, 75, 100, 25, 50, 100, 125, 75, 100, 150, 175, 100, 125, 175, 200};
  cr_expect_eq(memcmp(m.pixels, want, 16), 0);
  OK(espl_image_resize(&m, 1, 1, &err));
  cr_expect_eq(m.pixels[0], 100);
  espl_image_clear(&m);
}

/* ---- folders ---- */

/* A flat 4x4 BMP whose pixels tell which picture it is. */
static void write_bmp(const char *sub, int number, int side) {
  uint8_t f[54 + 16 * 16 * 4];
  char *folder = espl_format("%s/%s", dir, sub), *path = espl_format("%s/picture%03d.bmp", folder, number);
  size_t at = bmp_head(f, side, side, 32, 0), n = at + (size_t)(side * side) * 4;
  for (size_t k = at; k < n; k += 4) f[k] = 7, f[k + 1] = 9, f[k + 2] = (uint8_t)number, f[k + 3] = 0;
  OK(espl_mkdirs(folder, &err));
  OK(espl_write_file(path, f, n, &err));
  free(folder);
  free(path);
}

static espl_dataset *open_split(espl_split split) {
  espl_dataset *d = NULL;
  OK(espl_data_open(dir, split, 1, &d, &err));
  return d;
}

Test(image, folder_without_split_is_divided_once) {
  bool seen[256] = {false};
  int count[3] = {0};
  for (int k = 0; k < 200; k++) write_bmp(k < 100 ? "cat" : "dog", k, 4);
  char *notes = espl_format("%s/notes", dir); /* a class of no picture */
  OK(espl_mkdirs(notes, &err));
  free(notes);
  for (int s = 0; s < 3; s++) {
    espl_dataset *d = open_split((espl_split)s), *other = NULL;
    cr_assert(d->classes == 3 && d->shape.c == 3 && d->shape.h == 4 && d->shape.w == 4);
    for (int32_t i = 0; i < d->n; i++) {
      uint8_t number = d->pixels[i * 48];
      cr_assert_not(seen[number], "picture %d in two splits", number);
      cr_assert_eq(d->labels[i], number < 100 ? 0 : 1);
      seen[number] = true;
      count[s]++;
    }
    OK(espl_data_open(dir, (espl_split)s, 99, &other, &err)); /* another seed, the same division */
    cr_assert(other->n == d->n && memcmp(other->pixels, d->pixels, (size_t)d->n * 48) == 0);
    espl_data_free(d);
    espl_data_free(other);
  }
  cr_expect(count[0] == 162 && count[1] == 18 && count[2] == 20, "%d %d %d", count[0], count[1], count[2]);
}

Test(image, folder_with_given_split) {
  espl_dataset *d = NULL;
  for (int k = 0; k < 30; k++) write_bmp(k < 10 ? "train/a" : k < 20 ? "train/b" : "test/b", k, 4);
  d = open_split(ESPL_SPLIT_TEST);
  cr_expect(d->n == 10 && d->classes == 2 && d->labels[3] == 1);
  espl_data_free(d);
  d = open_split(ESPL_SPLIT_VAL); /* a tenth of the training pictures */
  cr_expect_eq(d->n, 2);
  espl_data_free(d);
  write_bmp("valid/a", 40, 4);
  d = open_split(ESPL_SPLIT_VAL);
  cr_expect(d->n == 1 && d->pixels[0] == 40);
  espl_data_free(d);
  d = open_split(ESPL_SPLIT_TRAIN);
  cr_expect_eq(d->n, 20);
  espl_data_free(d);
  write_bmp("test/zebra", 41, 4);
  cr_expect_eq(espl_data_open(dir, ESPL_SPLIT_TEST, 1, &d, &err), ESPL_E_INPUT);
  cr_expect_not_null(strstr(err.msg, "zebra"), "%s", err.msg);
}

Test(image, folder_refusals_name_the_file) {
  espl_dataset *d = NULL;
  for (int k = 0; k < 20; k++) write_bmp(k < 10 ? "a" : "b", k, 4);
  char *path = espl_format("%s/a/broken.png", dir);
  OK(espl_write_file(path, "\x89PNG\r\n\x1a\nand so on", 17, &err));
  cr_expect_eq(espl_data_open(dir, ESPL_SPLIT_TRAIN, 1, &d, &err), ESPL_E_INPUT);
  bool in_train = strstr(err.msg, "a/broken.png") != NULL;
  espl_err first = err;
  err = (espl_err){0};
  if (!in_train) cr_expect(espl_data_open(dir, ESPL_SPLIT_TEST, 1, &d, &err) == ESPL_E_INPUT && strstr(err.msg, "a/broken.png"), "%s; %s", first.msg, err.msg);
  remove(path);
  err = (espl_err){0};
  for (int k = 50; k < 60; k++) write_bmp("b", k, 8);
  cr_expect_eq(espl_data_open(dir, ESPL_SPLIT_TRAIN, 1, &d, &err), ESPL_E_INPUT);
  cr_expect_not_null(strstr(err.msg, "--resize"), "%s", err.msg);
  err = (espl_err){0};
  OK(espl_data_open_sized(dir, ESPL_SPLIT_TRAIN, 1, 6, 5, &d, &err));
  cr_expect(d->shape.w == 6 && d->shape.h == 5);
  espl_data_free(d);
  free(path);
}

Test(image, order_of_channels) {
  espl_dataset *d = NULL;
  espl_preprocess p;
  float x[48];
  for (int k = 0; k < 20; k++) write_bmp(k < 10 ? "a" : "b", 100, 4), write_bmp(k < 10 ? "a" : "b", k, 4);
  OK(espl_data_open(dir, ESPL_SPLIT_TRAIN, 1, &d, &err));
  OK(espl_preprocess_from_json(&p, "{\"range\":[0,255],\"mean\":[1,2,3],\"std\":[1],\"order\":\"bgr\"}", &err));
  espl_data_image(d, 0, &p, 0, 0, x);
  cr_expect(x[0] == 6.0f && x[16] == 7.0f && x[32] == (float)d->pixels[0] - 3.0f); /* blue 7, green 9, red */
  char *text = espl_preprocess_to_json(&p, 3);
  cr_expect_not_null(strstr(text, "bgr"), "%s", text);
  free(text);
  espl_data_free(d);
}

/* Five photographs through MobileNetV2: classes and probabilities as recorded with the network, so decoding, resizing and order are right. */
Test(image, photographs_are_recognised) {
  static const struct { int32_t cls; float p; } want[] = {{20, 0.98f}, {286, 0.78f}, {320, 0.98f}, {653, 0.93f}, {935, 0.88f}}; /* bird, cat, dragonfly, grace_hopper, hot_dog */
  const char *shared = getenv("ESPL_SHARED");
  char cmd[4096];
  shared = shared ? shared : "../shared";
  snprintf(cmd, sizeof cmd, "test -r %s/data/imagenet-samples/cat.bmp && test -r %s/models/mobilenetv2_1.0_224_dequantised.onnx.xz", shared, shared);
  if (system(cmd) != 0) cr_skip_test("%s has no photographs or no MobileNetV2 (set ESPL_SHARED)", shared);
  snprintf(cmd, sizeof cmd, "xz -dkc %s/models/mobilenetv2_1.0_224_dequantised.onnx.xz >'%s'/net.onnx && for k in bird cat dragonfly grace_hopper hot_dog; do "
           "mkdir -p '%s'/p/train/$k '%s'/p/test/$k && cp %s/data/imagenet-samples/$k.* '%s'/p/train/$k/ && cp %s/data/imagenet-samples/$k.* '%s'/p/test/$k/ || exit 1; done",
           shared, dir, dir, dir, shared, dir, shared, dir);
  cr_assert_eq(system(cmd), 0);
  espl_graph *g = NULL;
  espl_dataset *d = NULL;
  espl_exec *x = NULL;
  espl_preprocess pp;
  static float in[3 * 224 * 224], out[1001];
  snprintf(cmd, sizeof cmd, "%s/net.onnx", dir);
  OK(espl_onnx_read(cmd, &g, &err));
  snprintf(cmd, sizeof cmd, "%s/p", dir);
  OK(espl_data_open_sized(cmd, ESPL_SPLIT_TEST, 1, 224, 224, &d, &err));
  OK(espl_preprocess_parse(&pp, "128", "128", 1, &err));
  OK(espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, 1, &x, &err));
  cr_assert_eq(d->n, 5);
  for (int32_t i = 0; i < d->n; i++) {
    int32_t best = 0;
    espl_data_image(d, i, &pp, 0, 0, in);
    OK(espl_exec_forward(x, in, out, &err));
    for (int32_t k = 0; k < 1001; k++) best = out[k] > out[best] ? k : best;
    cr_expect_eq(best, want[d->labels[i]].cls, "picture of class folder %d is taken for %d", d->labels[i], best);
    cr_expect_float_eq(out[best], want[d->labels[i]].p, 0.011f, "class folder %d: %g", d->labels[i], (double)out[best]);
  }
  espl_exec_free(x);
  espl_data_free(d);
  espl_graph_free(g);
}
