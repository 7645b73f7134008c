/* CIFAR-10 binary: records of 1 label byte (0-9) and 3072 pixel bytes (1024 R, 1024 G, 1024 B, row-major 32x32);
 * data_batch_1..5.bin are the 50,000 training images, test_batch.bin the 10,000 test images, 10,000 records a file.
 * The folder itself or its parent (with the usual sub-folder) may be given. Two threads unpack the five files. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "data/data_int.h"

#define RECORDS 10000
#define PIXELS 3072
#define RECORD_BYTES (1 + PIXELS)
#define FILE_BYTES ((size_t)RECORDS * RECORD_BYTES)
#define THREADS 2

typedef struct cifar_job {
  char *path[5];
  int files;
  espl_dataset *d;
  atomic_int next;
  espl_err err[5]; /* one a file: no two threads write the same */
} cifar_job;

static espl_status load_file(const char *path, uint8_t *pixels, uint8_t *labels, espl_err *err) {
  uint8_t *raw = NULL;
  size_t n = 0;
  ESPL_TRY(espli_unpack(path, FILE_BYTES, &raw, &n, err));
  espl_status s = ESPL_OK;
  if (n != FILE_BYTES)
    s = espl_fail(err, ESPL_E_INPUT, "%s: %zu bytes are %zu records of %d and %zu bytes, expected %d records", path, n,
                  n / RECORD_BYTES, RECORD_BYTES, n % RECORD_BYTES, RECORDS);
  for (size_t i = 0; s == ESPL_OK && i < RECORDS; i++) {
    labels[i] = raw[i * RECORD_BYTES];
    if (labels[i] > 9) s = espl_fail(err, ESPL_E_INPUT, "%s: record %zu has label %d, expected 0 to 9", path, i, labels[i]);
    memcpy(pixels + i * PIXELS, raw + i * RECORD_BYTES + 1, PIXELS);
  }
  free(raw);
  return s;
}

static void *worker(void *arg) {
  cifar_job *j = arg;
  for (int f; (f = atomic_fetch_add(&j->next, 1)) < j->files;)
    if (load_file(j->path[f], j->d->pixels + (size_t)f * RECORDS * PIXELS, j->d->labels + (size_t)f * RECORDS, &j->err[f]) != ESPL_OK)
      continue; /* kept in err[f]; the first file that failed is reported */
  return NULL;
}

static espl_status load_all(cifar_job *j, espl_err *err) {
  pthread_t other[THREADS - 1];
  int started = 0;
  for (int t = 0; t < THREADS - 1 && t < j->files - 1; t++)
    if (pthread_create(&other[started], NULL, worker, j) == 0) started++;
  worker(j);
  for (int t = 0; t < started; t++) pthread_join(other[t], NULL);
  for (int f = 0; f < j->files; f++)
    if (j->err[f].code != ESPL_OK) return espl_fail(err, j->err[f].code, "%s", j->err[f].msg);
  return ESPL_OK;
}

/* Fills j->path from `dir`; how many of all six files exist goes to *present, the name of the first missing to `missing`. */
static void find_files(const char *dir, bool test, cifar_job *j, int *present, char missing[32]) {
  *present = 0;
  missing[0] = 0;
  j->files = test ? 1 : 5;
  for (int i = 0; i < 6; i++) {
    char name[32];
    if (i < 5) snprintf(name, sizeof name, "data_batch_%d.bin", i + 1);
    else snprintf(name, sizeof name, "test_batch.bin");
    char *p = espli_find_packed(dir, name);
    bool wanted = test ? i == 5 : i < 5;
    *present += p != NULL;
    if (wanted && !p && !missing[0]) memcpy(missing, name, sizeof name);
    if (wanted && p) j->path[test ? 0 : i] = p;
    else free(p);
  }
}

static espl_status load_dir(const char *dir, bool test, espl_dataset *d, bool *found, espl_err *err) {
  cifar_job j = {.d = d};
  char missing[32];
  int present;
  espl_status s = ESPL_OK;
  find_files(dir, test, &j, &present, missing);
  *found = present > 0;
  if (present && missing[0]) s = espl_fail(err, ESPL_E_INPUT, "%s: file %s is missing (plain, .gz or .xz)", dir, missing);
  if (present && s == ESPL_OK) {
    d->n = j.files * RECORDS;
    d->classes = 10;
    d->shape = (espl_shape){3, 32, 32};
    d->pixels = espl_calloc((size_t)d->n, PIXELS);
    d->labels = espl_calloc((size_t)d->n, 1);
    s = d->pixels && d->labels ? load_all(&j, err) : espl_fail(err, ESPL_E_NOMEM, "%s: out of memory for %d images", dir, d->n);
  }
  for (int f = 0; f < 5; f++) free(j.path[f]);
  return s;
}

espl_status espli_cifar_load(const char *dir, bool test, espl_dataset *d, bool *found, espl_err *err) {
  ESPL_TRY(load_dir(dir, test, d, found, err));
  if (*found) return ESPL_OK;
  char *child = espl_format("%s/cifar-10-batches-bin", dir);
  if (!child) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", dir);
  espl_status s = load_dir(child, test, d, found, err);
  free(child);
  return s;
}
