/* CIFAR binary files: records of labels and 3072 pixel bytes (1024 R, 1024 G, 1024 B, row-major 32x32).
 *   CIFAR-10:  1 label (0-9); data_batch_1..5.bin with 10,000 training images each, test_batch.bin with 10,000
 *   CIFAR-100: 2 labels, coarse (0-19) and fine (0-99), the fine one is the class; train.bin with 50,000, test.bin with 10,000
 * The folder itself or its parent (with the usual sub-folder) may be given. Two threads unpack the five files. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "data/data_int.h"

#define PIXELS 3072
#define THREADS 2
#define MOST_FILES 5

typedef struct cifar_kind {
  const char *name, *folder;
  const char *train[MOST_FILES], *test;
  int train_files, train_records; /* records a file */
  int labels;                     /* bytes of a record before its pixels; the last one is the class */
  uint8_t most[2];                /* largest value of each */
} cifar_kind;

#define TEST_RECORDS 10000
static const cifar_kind kinds[] = {
    {"CIFAR-10", "cifar-10-batches-bin", {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"}, "test_batch.bin", 5, 10000, 1, {9}},
    {"CIFAR-100", "cifar-100-binary", {"train.bin"}, "test.bin", 1, 50000, 2, {19, 99}}};

typedef struct cifar_job {
  const cifar_kind *kind;
  char *path[MOST_FILES];
  int files, records; /* records a file */
  espl_dataset *d;
  atomic_int next;
  espl_err err[MOST_FILES]; /* one a file: no two threads write the same */
} cifar_job;

static espl_status load_file(const cifar_job *j, int f, espl_err *err) {
  const cifar_kind *k = j->kind;
  uint8_t *raw = NULL, *pixels = j->d->pixels + (size_t)f * (size_t)j->records * PIXELS, *labels = j->d->labels + (size_t)f * (size_t)j->records;
  size_t n = 0, record = (size_t)k->labels + PIXELS, whole = (size_t)j->records * record;
  ESPL_TRY(espli_unpack(j->path[f], whole, &raw, &n, err));
  espl_status s = ESPL_OK;
  if (n != whole)
    s = espl_fail(err, ESPL_E_INPUT, "%s: %zu bytes are %zu records of %zu and %zu bytes, expected %d records of %s", j->path[f], n, n / record, record, n % record, j->records, k->name);
  for (size_t i = 0; s == ESPL_OK && i < (size_t)j->records; i++) {
    const uint8_t *at = raw + i * record;
    for (int b = 0; b < k->labels; b++)
      if (at[b] > k->most[b])
        s = espl_fail(err, ESPL_E_INPUT, "%s: record %zu has %slabel %d, expected 0 to %d", j->path[f], i, k->labels == 1 ? "" : b ? "fine " : "coarse ", at[b], k->most[b]);
    labels[i] = at[k->labels - 1];
    memcpy(pixels + i * PIXELS, at + k->labels, PIXELS);
  }
  free(raw);
  return s;
}

static void *worker(void *arg) {
  cifar_job *j = arg;
  for (int f; (f = atomic_fetch_add(&j->next, 1)) < j->files;)
    if (load_file(j, f, &j->err[f]) != ESPL_OK) continue; /* kept in err[f]; the first file that failed is reported */
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

/* Fills j->path from `dir`; how many of all files of the kind exist goes to *present, the name of the first missing to *missing (NULL: none). */
static void find_files(const char *dir, bool test, cifar_job *j, int *present, const char **missing) {
  const cifar_kind *k = j->kind;
  *present = 0;
  *missing = NULL;
  j->files = test ? 1 : k->train_files;
  j->records = test ? TEST_RECORDS : k->train_records;
  for (int i = 0; i <= k->train_files; i++) {
    bool of_test = i == k->train_files;
    const char *name = of_test ? k->test : k->train[i];
    char *p = espli_find_packed(dir, name);
    *present += p != NULL;
    if (of_test == test && !p && !*missing) *missing = name;
    if (of_test == test && p) j->path[of_test ? 0 : i] = p;
    else free(p);
  }
}

static espl_status load_dir(const cifar_kind *k, const char *dir, bool test, espl_dataset *d, bool *found, espl_err *err) {
  cifar_job j = {.kind = k, .d = d};
  const char *missing;
  int present;
  espl_status s = ESPL_OK;
  find_files(dir, test, &j, &present, &missing);
  *found = present > 0;
  if (present && missing) s = espl_fail(err, ESPL_E_INPUT, "%s: file %s is missing (%s; plain, .gz or .xz)", dir, missing, k->name);
  if (present && s == ESPL_OK) {
    d->n = j.files * j.records;
    d->classes = k->most[k->labels - 1] + 1;
    d->shape = (espl_shape){3, 32, 32};
    d->pixels = espl_calloc((size_t)d->n, PIXELS);
    d->labels = espl_calloc((size_t)d->n, 1);
    s = d->pixels && d->labels ? load_all(&j, err) : espl_fail(err, ESPL_E_NOMEM, "%s: out of memory for %d images", dir, d->n);
  }
  for (int f = 0; f < MOST_FILES; f++) free(j.path[f]);
  return s;
}

espl_status espli_cifar_load(const char *dir, bool test, espl_dataset *d, bool *found, espl_err *err) {
  *found = false;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !*found; i++) {
    ESPL_TRY(load_dir(&kinds[i], dir, test, d, found, err));
    if (*found) continue;
    char *child = espl_format("%s/%s", dir, kinds[i].folder);
    if (!child) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", dir);
    espl_status s = load_dir(&kinds[i], child, test, d, found, err);
    free(child);
    ESPL_TRY(s);
  }
  return ESPL_OK;
}
