/* Opening a set: which loader, and the rule that divides training images into train and val.
 * val = the last 500 of each class in file order, or the last tenth (rounded down) of a class with fewer than 5,000. */
#include "data/data.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "data/data_int.h"
#include "data/image.h"

#define SET_BYTES ((int64_t)4 << 30)

const char *espl_split_name(espl_split s) {
  return s == ESPL_SPLIT_TRAIN ? "train" : s == ESPL_SPLIT_VAL ? "val" : s == ESPL_SPLIT_TEST ? "test" : "?";
}

void espl_data_free(espl_dataset *d) {
  if (!d) return;
  free(d->source);
  free(d->pixels);
  free(d->labels);
  free(d);
}

/* Keeps the records of one side of the rule, in file order. */
static espl_status carve(espl_dataset *d, bool val, espl_err *err) {
  int32_t left[256] = {0}, keep = 0; /* left: records of the class that are not yet passed */
  int32_t held[256];
  for (int32_t i = 0; i < d->n; i++) left[d->labels[i]]++;
  for (int c = 0; c < 256; c++) {
    held[c] = left[c] >= 5000 ? 500 : left[c] / 10;
    keep += val ? held[c] : left[c] - held[c];
  }
  if (keep == 0) return espl_fail(err, ESPL_E_INPUT, "%s: the %s split is empty (%d training images)", d->source, val ? "val" : "train", d->n);
  size_t bytes = (size_t)espl_shape_elems(d->shape);
  int32_t at = 0;
  for (int32_t i = 0; i < d->n; i++) {
    uint8_t c = d->labels[i];
    bool is_val = left[c]-- <= held[c];
    if (is_val != val) continue;
    if (at != i) memcpy(d->pixels + (size_t)at * bytes, d->pixels + (size_t)i * bytes, bytes);
    d->labels[at++] = c;
  }
  d->n = at;
  uint8_t *smaller = realloc(d->pixels, (size_t)at * bytes);
  if (smaller) d->pixels = smaller;
  return ESPL_OK;
}

static espl_status load_folder(const char *dir, espl_split split, int32_t w, int32_t h, espl_dataset *d, bool *carved, espl_err *err) {
  struct stat st;
  bool found = false, test = split == ESPL_SPLIT_TEST;
  if (stat(dir, &st) != 0) return espl_fail(err, ESPL_E_INPUT, "data folder %s does not exist", dir);
  if (!S_ISDIR(st.st_mode)) return espl_fail(err, ESPL_E_INPUT, "%s: is a file, expected a data folder", dir);
  ESPL_TRY(espli_idx_load(dir, test, d, &found, err));
  if (!found) ESPL_TRY(espli_cifar_load(dir, test, d, &found, err));
  *carved = !test;
  if (!found) ESPL_TRY(espli_folder_load(dir, split, w, h, d, &found, carved, err));
  if (found) return ESPL_OK;
  return espl_fail(err, ESPL_E_INPUT, "%s: found neither IDX files (train-images-idx3-ubyte ...) nor CIFAR binary files "
                   "(data_batch_1.bin ... or train.bin), plain, .gz or .xz, nor pictures in class folders", dir);
}

/* Every image brought to w x h. */
static espl_status resize(espl_dataset *d, int32_t w, int32_t h, espl_err *err) {
  int32_t c = d->shape.c;
  int64_t px = (int64_t)d->shape.h * d->shape.w, to = (int64_t)w * h;
  if (c * to * d->n > SET_BYTES) return espl_fail(err, ESPL_E_UNSUPPORTED, "%s: %d images of %dx%d take more than 4 GiB", d->source, (int)d->n, (int)w, (int)h);
  uint8_t *out = espl_calloc((size_t)(c * to), (size_t)d->n);
  espl_status s = out ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", d->source);
  for (int64_t i = 0; s == ESPL_OK && i < (int64_t)d->n * c; i++) { /* a plane at a time */
    espl_image m = {.w = d->shape.w, .h = d->shape.h, .c = 1, .pixels = espl_calloc((size_t)px, 1)};
    if (!m.pixels) s = espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", d->source);
    if (s == ESPL_OK) memcpy(m.pixels, d->pixels + i * px, (size_t)px);
    if (s == ESPL_OK) s = espl_image_resize(&m, w, h, err);
    if (s == ESPL_OK) memcpy(out + i * to, m.pixels, (size_t)to);
    espl_image_clear(&m);
  }
  if (s != ESPL_OK) {
    free(out);
    return s;
  }
  free(d->pixels);
  d->pixels = out;
  d->shape = (espl_shape){c, h, w};
  return ESPL_OK;
}

espl_status espl_data_open(const char *dir, espl_split split, uint64_t seed, espl_dataset **out, espl_err *err) { return espl_data_open_sized(dir, split, seed, 0, 0, out, err); }

espl_status espl_data_open_sized(const char *dir, espl_split split, uint64_t seed, int32_t w, int32_t h, espl_dataset **out, espl_err *err) {
  bool builtin = !dir || strcmp(dir, "builtin") == 0, test = split == ESPL_SPLIT_TEST, carved = !test;
  *out = NULL;
  espl_dataset *d = espl_calloc(1, sizeof *d);
  if (d) d->source = espl_strdup(builtin ? "builtin" : dir);
  if (!d || !d->source) {
    espl_data_free(d);
    return espl_fail(err, ESPL_E_NOMEM, "data: out of memory");
  }
  d->split = split;
  espl_status s = builtin ? espli_builtin_load(seed, test, d, err) : load_folder(dir, split, w, h, d, &carved, err);
  if (s == ESPL_OK && carved) s = carve(d, split == ESPL_SPLIT_VAL, err);
  if (s == ESPL_OK && w && (d->shape.w != w || d->shape.h != h)) s = resize(d, w, h, err);
  if (s != ESPL_OK) {
    espl_data_free(d);
    return s;
  }
  *out = d;
  return ESPL_OK;
}
