/* IDX image sets (MNIST's format): a big-endian header and bytes.
 *   images: magic 0x00000803, count, rows, columns, then count*rows*columns bytes
 *   labels: magic 0x00000801, count, then count bytes
 * Classes = largest training label + 1; labels may leave out at most one value (some sets start at 1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/data_int.h"

#define IDX_LIMIT ((size_t)2 << 30)

static uint32_t be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* train-images-idx3-ubyte or train-images.idx3-ubyte, packed or not; NULL: none. */
static char *find_idx(const char *dir, bool test, const char *what, int dims) {
  char name[64];
  for (const char *sep = "-."; *sep; sep++) {
    snprintf(name, sizeof name, "%s-%s%cidx%d-ubyte", test ? "t10k" : "train", what, *sep, dims);
    char *p = espli_find_packed(dir, name);
    if (p) return p;
  }
  return NULL;
}

/* Loads one IDX file of uint8 with `dims` dimensions; dim[dims] receives the extents, *data the whole file. */
static espl_status load_idx(const char *path, int dims, uint32_t *dim, uint8_t **data, espl_err *err) {
  size_t n = 0, head = 4 + 4 * (size_t)dims;
  ESPL_TRY(espli_unpack(path, IDX_LIMIT, data, &n, err));
  const uint8_t *p = *data;
  if (n < head) return espl_fail(err, ESPL_E_INPUT, "%s: %zu bytes are too few for an IDX header of %zu", path, n, head);
  if (be32(p) != 0x800u + (uint32_t)dims)
    return espl_fail(err, ESPL_E_INPUT, "%s: IDX magic is 0x%08x, expected 0x%08x", path, be32(p), 0x800u + (uint32_t)dims);
  uint64_t want = 1;
  for (int i = 0; i < dims; i++) {
    dim[i] = be32(p + 4 + 4 * i);
    if (dim[i] == 0 || dim[i] > IDX_LIMIT || want > IDX_LIMIT / dim[i])
      return espl_fail(err, ESPL_E_INPUT, "%s: extent %d in the header is %u", path, i, dim[i]);
    want *= dim[i];
  }
  if (n - head != want)
    return espl_fail(err, ESPL_E_INPUT, "%s: the header announces %u records (%llu bytes), the file holds %llu bytes", path,
                     dim[0], (unsigned long long)want, (unsigned long long)(n - head));
  memmove(*data, *data + head, want);
  return ESPL_OK;
}

static espl_status load_labels(const char *path, uint8_t **labels, uint32_t *n, espl_err *err) {
  return load_idx(path, 1, n, labels, err);
}

static espl_status count_classes(const char *path, const uint8_t *labels, uint32_t n, int32_t *classes, espl_err *err) {
  bool seen[256] = {false};
  int32_t distinct = 0, largest = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (!seen[labels[i]]) distinct++;
    seen[labels[i]] = true;
    if (labels[i] > largest) largest = labels[i];
  }
  if (largest > distinct)
    return espl_fail(err, ESPL_E_INPUT, "%s: label %d is out of range, only %d different labels occur", path, largest, distinct);
  *classes = largest + 1;
  return ESPL_OK;
}

/* Class count of the training labels, so that both splits agree on it; the test labels' own when there are none. */
static espl_status classes_of(const char *dir, bool test, const char *label_path, const espl_dataset *d, int32_t *classes, espl_err *err) {
  char *train = test ? find_idx(dir, false, "labels", 1) : NULL;
  if (!train) return count_classes(label_path, d->labels, (uint32_t)d->n, classes, err);
  uint8_t *labels = NULL;
  uint32_t n = 0;
  espl_status s = load_labels(train, &labels, &n, err);
  if (s == ESPL_OK) s = count_classes(train, labels, n, classes, err);
  free(labels);
  free(train);
  for (int32_t i = 0; s == ESPL_OK && i < d->n; i++)
    if (d->labels[i] >= *classes)
      s = espl_fail(err, ESPL_E_INPUT, "%s: record %d has label %d, expected 0 to %d", label_path, i, d->labels[i], *classes - 1);
  return s;
}

static espl_status load_pair(const char *dir, bool test, const char *images, const char *labels, espl_dataset *d, espl_err *err) {
  uint32_t dim[3], n = 0;
  ESPL_TRY(load_idx(images, 3, dim, &d->pixels, err));
  ESPL_TRY(load_labels(labels, &d->labels, &n, err));
  if (n != dim[0]) return espl_fail(err, ESPL_E_INPUT, "%s: %u labels, but %s has %u images", labels, n, images, dim[0]);
  d->n = (int32_t)n;
  d->shape = (espl_shape){1, (int32_t)dim[1], (int32_t)dim[2]};
  return classes_of(dir, test, labels, d, &d->classes, err);
}

espl_status espli_idx_load(const char *dir, bool test, espl_dataset *d, bool *found, espl_err *err) {
  char *images = find_idx(dir, test, "images", 3), *labels = find_idx(dir, test, "labels", 1);
  char *other = find_idx(dir, !test, "images", 3);
  espl_status s = ESPL_OK;
  *found = images || labels || other;
  if (images && labels) s = load_pair(dir, test, images, labels, d, err);
  else if (*found)
    s = espl_fail(err, ESPL_E_INPUT, "%s: file %s-%s-ubyte is missing (plain, .gz or .xz)", dir, test ? "t10k" : "train",
                  images ? "labels-idx1" : "images-idx3");
  free(images);
  free(labels);
  free(other);
  return s;
}
