/* Data sets: the split rule, published class counts, the built-in set, refusals of damaged folders, preprocessing. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "../scratch.h"
#include "base/text.h"
#include "data/data.h"

#define OK(expr) cr_assert_eq((expr), ESPL_OK, "%s", err.msg)

/* FNV-1a of the test file of seed 1: two builds (-O0 without vector instructions, -O2 -march=native) agree on it. */
#define BUILTIN_TEST_DIGEST 0x44a0c70a6f3b61e4u

static char dir[SCRATCH];

static void make_dir(void) {
  scratch_folder(dir, "espl-data");
}
static void remove_dir(void) {
  cr_assert_eq(scratch_remove(dir), 0);
}

TestSuite(data, .init = make_dir, .fini = remove_dir);

/* Folder of the shared data; the test is skipped when it is absent. */
static char *shared(const char *name) {
  const char *root = getenv("ESPL_SHARED");
  char *p = espl_format("%s/data/%s", root ? root : "../shared", name);
  if (access(p, R_OK) == 0) return p;
  cr_skip_test("%s is absent (set ESPL_SHARED)", p);
  return NULL;
}

static void put_file(const char *name, const uint8_t *data, size_t n, int gz) {
  char path[SCRATCH_FILE];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  if (gz) {
    gzFile f = gzopen(path, "wb");
    cr_assert(f && gzwrite(f, data, (unsigned)n) == (int)n && gzclose(f) == Z_OK);
    return;
  }
  FILE *f = fopen(path, "wb");
  cr_assert(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
}

static size_t be(uint8_t *p, uint32_t v) {
  for (int k = 0; k < 4; k++) p[k] = (uint8_t)(v >> (24 - 8 * k));
  return 4;
}

/* An IDX pair of n 2x3 images; image i has all pixels i % 251; labels given. `cut` bytes are left off the images. */
static void put_idx(const char *part, uint32_t n, const uint8_t *labels, uint32_t magic, size_t cut, int gz) {
  uint8_t *b = malloc(16 + n * 6);
  char name[64];
  size_t at = be(b, magic);
  at += be(b + at, n), at += be(b + at, 2), at += be(b + at, 3);
  for (uint32_t i = 0; i < n * 6; i++) b[at++] = (uint8_t)(i / 6 % 251);
  snprintf(name, sizeof name, "%s-images-idx3-ubyte%s", part, gz ? ".gz" : "");
  put_file(name, b, at - cut, gz);
  at = be(b, 0x801), at += be(b + at, n);
  memcpy(b + at, labels, n);
  snprintf(name, sizeof name, "%s-labels-idx1-ubyte%s", part, gz ? ".gz" : "");
  put_file(name, b, at + n, gz);
  free(b);
}

static void counts(const espl_dataset *d, int32_t per_class[256]) {
  memset(per_class, 0, 256 * sizeof *per_class);
  for (int32_t i = 0; i < d->n; i++) per_class[d->labels[i]]++;
}

static espl_dataset *open_ok(const char *from, espl_split split) {
  espl_err err = {0};
  espl_dataset *d = NULL;
  OK(espl_data_open(from, split, 1, &d, &err));
  cr_assert_eq(d->split, split);
  return d;
}

static void expect_refusal(const char *from, espl_split split, const char *text) {
  espl_err err = {0};
  espl_dataset *d = NULL;
  cr_expect_eq(espl_data_open(from, split, 1, &d, &err), ESPL_E_INPUT, "%s", text);
  cr_expect(strstr(err.msg, text), "\"%s\" is not in: %s", text, err.msg);
  cr_expect_null(d);
}

/* Class 0 has 5,000 images (500 are held out), class 1 has 37 (3 are), spread unevenly through the file. */
Test(data, split_rule) {
  uint8_t labels[5037];
  memset(labels, 0, sizeof labels);
  for (int i = 0; i < 37; i++) labels[i < 30 ? i * 11 : 4990 + i] = 1;
  put_idx("train", 5037, labels, 0x803, 0, 1);
  espl_dataset *train = open_ok(dir, ESPL_SPLIT_TRAIN), *val = open_ok(dir, ESPL_SPLIT_VAL);
  int32_t nt[256], nv[256];
  counts(train, nt);
  counts(val, nv);
  cr_expect(nt[0] == 4500 && nv[0] == 500 && nt[1] == 34 && nv[1] == 3, "%d %d %d %d", nt[0], nv[0], nt[1], nv[1]);
  cr_expect(train->classes == 2 && train->shape.c == 1 && train->shape.h == 2 && train->shape.w == 3);
  const int held[2] = {500, 3};
  for (int32_t i = 0, t = 0, v = 0; i < 5037; i++) {
    int behind = 0; /* images of the class from here to the end of the file */
    for (int32_t k = i; k < 5037; k++) behind += labels[k] == labels[i];
    const espl_dataset *d = behind <= held[labels[i]] ? val : train;
    int32_t at = d == val ? v++ : t++;
    cr_assert(at < d->n && d->labels[at] == labels[i] && d->pixels[at * 6] == i % 251, "image %d", i);
  }
  espl_data_free(train);
  espl_data_free(val);
}

Test(data, mnist_official_counts) {
  static const int32_t want_train[10] = {5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949};
  static const int32_t want_test[10] = {980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009};
  char *p = shared("mnist");
  espl_dataset *d = open_ok(p, ESPL_SPLIT_TRAIN), *v = open_ok(p, ESPL_SPLIT_VAL), *t = open_ok(p, ESPL_SPLIT_TEST);
  int32_t nd[256], nv[256], nt[256];
  counts(d, nd), counts(v, nv), counts(t, nt);
  for (int c = 0; c < 10; c++) cr_expect(nd[c] + nv[c] == want_train[c] && nv[c] == 500 && nt[c] == want_test[c], "class %d", c);
  cr_expect(t->classes == 10 && t->shape.h == 28 && t->shape.w == 28 && t->shape.c == 1);
  espl_data_free(d), espl_data_free(v), espl_data_free(t);
  free(p);
}

Test(data, cifar_counts, .timeout = 120) {
  char *p = shared("cifar-10-batches-bin"), *parent = espl_format("%s/..", p);
  espl_dataset *d = open_ok(p, ESPL_SPLIT_TRAIN), *t = open_ok(parent, ESPL_SPLIT_TEST);
  int32_t n[256];
  counts(d, n);
  for (int c = 0; c < 10; c++) cr_expect_eq(n[c], 4500, "class %d: %d", c, n[c]);
  counts(t, n);
  for (int c = 0; c < 10; c++) cr_expect_eq(n[c], 1000, "class %d: %d", c, n[c]);
  cr_expect_eq(d->labels[0], 6); /* the first training image is a frog, the first test image a cat */
  cr_expect_eq(t->labels[0], 3);
  espl_data_free(d), espl_data_free(t);
  free(p), free(parent);
}

Test(data, folders_bad) {
  uint8_t labels[20] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  expect_refusal("/nowhere/at/all", ESPL_SPLIT_TRAIN, "/nowhere/at/all does not exist");
  expect_refusal(dir, ESPL_SPLIT_TRAIN, "neither IDX");
  put_idx("train", 20, labels, 0x802, 0, 0);
  expect_refusal(dir, ESPL_SPLIT_TRAIN, "magic is 0x00000802");
  expect_refusal(dir, ESPL_SPLIT_TEST, "t10k-images-idx3-ubyte is missing");
  put_idx("train", 20, labels, 0x803, 7, 0);
  expect_refusal(dir, ESPL_SPLIT_TRAIN, "announces 20 records (120 bytes), the file holds 113");
  put_idx("train", 20, labels, 0x803, 135, 0);
  expect_refusal(dir, ESPL_SPLIT_TRAIN, "too few for an IDX header");
  put_idx("train", 20, labels, 0x803, 0, 0);
  put_file("train-labels-idx1-ubyte", (const uint8_t *)"\0\0\x08\x01\0\0\0\x02\0\1", 10, 0);
  expect_refusal(dir, ESPL_SPLIT_TRAIN, "2 labels, but");
  labels[7] = 200;
  put_idx("train", 20, labels, 0x803, 0, 0);
  expect_refusal(dir, ESPL_SPLIT_TRAIN, "label 200 is out of range");
  labels[7] = 7;
  put_idx("train", 20, labels, 0x803, 0, 0);
  labels[3] = 11;
  put_idx("t10k", 20, labels, 0x803, 0, 0);
  expect_refusal(dir, ESPL_SPLIT_TEST, "record 3 has label 11, expected 0 to 9");
}

Test(data, cifar_bad) {
  size_t n = 10000 * 3073;
  uint8_t *b = calloc(n + 3073, 1);
  put_file("test_batch.bin", b, n - 100, 0);
  expect_refusal(dir, ESPL_SPLIT_TEST, "9999 records of 3073 and 2973 bytes, expected 10000");
  expect_refusal(dir, ESPL_SPLIT_TRAIN, "data_batch_1.bin is missing");
  put_file("test_batch.bin", b, n + 3073, 0);
  expect_refusal(dir, ESPL_SPLIT_TEST, "more than the 30730000 bytes");
  b[3073 * 42] = 10;
  put_file("test_batch.bin", b, n, 0);
  expect_refusal(dir, ESPL_SPLIT_TEST, "record 42 has label 10, expected 0 to 9");
  free(b);
}

enum { RECORD100 = 2 + 3072 }; /* coarse label, fine label, pixels */

/* A CIFAR-100 file of n records: fine labels go round, the coarse one is a fifth of it, pixels tell the record. */
static uint8_t *cifar100(int n) {
  uint8_t *b = calloc((size_t)n, RECORD100);
  for (int i = 0; i < n; i++) {
    uint8_t *r = b + (size_t)i * RECORD100;
    r[0] = (uint8_t)(i % 100 / 5);
    r[1] = (uint8_t)(i % 100);
    r[2] = (uint8_t)(i / 256);
    r[RECORD100 - 1] = (uint8_t)i;
  }
  return b;
}

Test(data, cifar100_fine_labels_and_the_last_tenth_as_val, .timeout = 120) {
  uint8_t *train = cifar100(50000), *test = cifar100(10000);
  put_file("train.bin", train, (size_t)50000 * RECORD100, 0);
  put_file("test.bin", test, (size_t)10000 * RECORD100, 0);
  espl_dataset *d = open_ok(dir, ESPL_SPLIT_TRAIN), *v = open_ok(dir, ESPL_SPLIT_VAL), *t = open_ok(dir, ESPL_SPLIT_TEST);
  cr_expect(d->n == 45000 && v->n == 5000 && t->n == 10000 && d->classes == 100 && d->shape.c == 3 && d->shape.h == 32 && d->shape.w == 32);
  int32_t nd[256], nv[256], nt[256];
  counts(d, nd), counts(v, nv), counts(t, nt);
  for (int c = 0; c < 100; c++) cr_expect(nd[c] == 450 && nv[c] == 50 && nt[c] == 100, "class %d: %d, %d, %d", c, nd[c], nv[c], nt[c]);
  /* the labels go round: val is the last 5,000 records, in file order */
  for (int i = 0; i < 5000; i += 777) cr_expect(v->labels[i] == i % 100 && v->pixels[i * 3072] == (uint8_t)((45000 + i) / 256) && v->pixels[i * 3072 + 3071] == (uint8_t)(45000 + i));
  espl_data_free(d), espl_data_free(v), espl_data_free(t);
  free(train), free(test);
}

Test(data, cifar100_bad) {
  size_t n = (size_t)10000 * RECORD100;
  uint8_t *b = cifar100(10001);
  put_file("test.bin", b, n - 100, 0);
  expect_refusal(dir, ESPL_SPLIT_TEST, "9999 records of 3074 and 2974 bytes, expected 10000 records of CIFAR-100");
  expect_refusal(dir, ESPL_SPLIT_TRAIN, "train.bin is missing");
  put_file("test.bin", b, n + RECORD100, 0);
  expect_refusal(dir, ESPL_SPLIT_TEST, "more than the 30740000 bytes");
  b[RECORD100 * 42 + 1] = 100;
  put_file("test.bin", b, n, 0);
  expect_refusal(dir, ESPL_SPLIT_TEST, "record 42 has fine label 100, expected 0 to 99");
  b[RECORD100 * 42 + 1] = 42;
  b[RECORD100 * 43] = 20;
  put_file("test.bin", b, n, 0);
  expect_refusal(dir, ESPL_SPLIT_TEST, "record 43 has coarse label 20, expected 0 to 19");
  free(b);
}

/* Every prefix of a packed file is refused, whatever packed it. */
Test(data, packed_files_truncated_bad) {
  uint8_t labels[20] = {0}, packed[512];
  char path[SCRATCH_FILE], *name = NULL;
  labels[1] = 1;
  for (int xz = 0; xz < 2; xz++) {
    put_idx("train", 20, labels, 0x803, 0, !xz);
    snprintf(path, sizeof path, "%s/train-images-idx3-ubyte%s", dir, xz ? "" : ".gz");
    if (xz) {
      name = espl_format("rm -f '%s'/*.gz && xz -f '%s'", dir, path);
      cr_assert_eq(system(name), 0);
      free(name);
      strcat(path, ".xz");
    }
    FILE *f = fopen(path, "rb");
    size_t n = fread(packed, 1, sizeof packed, f);
    fclose(f);
    espl_data_free(open_ok(dir, ESPL_SPLIT_TRAIN));
    for (size_t cut = 0; cut < n; cut++) {
      espl_err err = {0};
      espl_dataset *d = NULL;
      put_file(strrchr(path, '/') + 1, packed, cut, 0);
      cr_expect_eq(espl_data_open(dir, ESPL_SPLIT_TRAIN, 1, &d, &err), ESPL_E_INPUT, "prefix of %zu bytes", cut);
    }
    put_file(strrchr(path, '/') + 1, packed, n, 0);
  }
}

/* FNV-1a over pixels and labels. */
static uint64_t digest(const espl_dataset *d) {
  uint64_t h = 1469598103934665603u;
  int64_t bytes = espl_shape_elems(d->shape) * d->n;
  for (int64_t i = 0; i < bytes; i++) h = (h ^ d->pixels[i]) * 1099511628211u;
  for (int32_t i = 0; i < d->n; i++) h = (h ^ d->labels[i]) * 1099511628211u;
  return h;
}

Test(data, builtin_is_fixed) {
  espl_err err = {0};
  espl_dataset *train = open_ok(NULL, ESPL_SPLIT_TRAIN), *val = open_ok("builtin", ESPL_SPLIT_VAL), *test = open_ok(NULL, ESPL_SPLIT_TEST), *other = NULL;
  int32_t n[256];
  cr_expect(train->n == 9000 && val->n == 1000 && test->n == 2000 && train->classes == 10);
  counts(val, n);
  for (int c = 0; c < 10; c++) cr_expect_eq(n[c], 100);
  cr_expect_eq(digest(test), BUILTIN_TEST_DIGEST, "%016llx", (unsigned long long)digest(test));
  OK(espl_data_open(NULL, ESPL_SPLIT_TEST, 2, &other, &err));
  cr_expect_neq(digest(other), digest(test));
  cr_expect_neq(memcmp(train->pixels, test->pixels, 3072), 0);
  espl_data_free(train), espl_data_free(val), espl_data_free(test), espl_data_free(other);
}

/* Nearest class mean, the simplest linear rule, stays near chance: no class is told by its mean image. */
Test(data, builtin_hides_from_means) {
  espl_dataset *train = open_ok(NULL, ESPL_SPLIT_TRAIN), *test = open_ok(NULL, ESPL_SPLIT_TEST);
  static double mean[10][3072];
  int right = 0;
  for (int32_t i = 0; i < train->n; i++)
    for (int k = 0; k < 3072; k++) mean[train->labels[i]][k] += train->pixels[(size_t)i * 3072 + k] / 900.0;
  for (int32_t i = 0; i < test->n; i++) {
    int best = 0;
    double least = INFINITY;
    for (int c = 0; c < 10; c++) {
      double sum = 0;
      for (int k = 0; k < 3072; k++) {
        double d = mean[c][k] - test->pixels[(size_t)i * 3072 + k];
        sum += d * d;
      }
      if (sum < least) least = sum, best = c;
    }
    right += best == test->labels[i];
  }
  cr_expect_lt(right, test->n * 0.3, "%d of %d", right, test->n);
  espl_data_free(train), espl_data_free(test);
}

Test(data, preprocess_text) {
  espl_err err = {0};
  espl_preprocess p, q;
  OK(espl_preprocess_parse(&p, "0.485,0.456,0.406", "0.229,0.224,0.225", 0, &err));
  cr_expect(p.mean[2] == 0.406f && p.std[1] == 0.224f && !p.raw);
  char *json = espl_preprocess_to_json(&p, 3);
  cr_expect_str_eq(json, "{\"range\":[0,1],\"mean\":[0.485,0.456,0.406],\"std\":[0.229,0.224,0.225],\"order\":\"rgb\"}");
  OK(espl_preprocess_from_json(&q, json, &err));
  cr_expect_arr_eq(p.mean, q.mean, 3 * sizeof(float));
  cr_expect_arr_eq(p.std, q.std, 3 * sizeof(float));
  free(json);
  OK(espl_preprocess_from_json(&q, NULL, &err));
  cr_expect(q.mean[0] == 0 && q.std[3] == 1);
  OK(espl_preprocess_parse(&p, "128", NULL, 1, &err));
  cr_expect(p.raw && p.mean[3] == 128 && p.std[0] == 1);
  const char *const bad[] = {"1,x", "", "1,2,3,4,5", "nan", "1,,2", "1,2"};
  for (int k = 0; k < 6; k++) {
    espl_err e = {0};
    cr_expect_eq(espl_preprocess_parse(&p, bad[k], NULL, 0, &e), ESPL_E_INPUT, "%s", bad[k]);
  }
  err = (espl_err){0};
  cr_expect_eq(espl_preprocess_parse(&p, NULL, "1,0,1", 0, &err), ESPL_E_INPUT);
  err = (espl_err){0};
  cr_expect(espl_preprocess_from_json(&p, "{\"order\":\"bgr\"}", &err) == ESPL_OK && p.bgr);
  cr_expect_eq(espl_preprocess_from_json(&p, "{\"order\":\"grb\"}", &err), ESPL_E_UNSUPPORTED);
  err = (espl_err){0};
  cr_expect_eq(espl_preprocess_from_json(&p, "{\"mean\":[\"a\"]}", &err), ESPL_E_INPUT);
}

/* An augmented image is the plain one moved by at most 4 pixels, perhaps mirrored, with black coming in; the key decides. */
Test(data, image_and_augmentation) {
  espl_err err = {0};
  espl_dataset *d = open_ok(NULL, ESPL_SPLIT_TEST);
  espl_preprocess p;
  OK(espl_preprocess_parse(&p, "0.5,0.25,0", "0.5,1,2", 0, &err));
  static float plain[3072], aug[3072], again[3072];
  espl_data_image(d, 7, &p, 0, 1, plain);
  for (int c = 0; c < 3; c++)
    cr_expect_float_eq(plain[c * 1024 + 99], ((double)d->pixels[7 * 3072 + c * 1024 + 99] / 255 - (double)p.mean[c]) / (double)p.std[c], 1e-6);
  int mirrored = 0;
  for (uint64_t key = 1; key <= 40; key++) {
    espl_data_image(d, 7, &p, key, 1, aug);
    espl_data_image(d, 7, &p, key, 1, again);
    cr_assert_arr_eq(aug, again, sizeof aug);
    int matches = 0, flip_found = 0;
    for (int flip = 0; flip < 2; flip++)
      for (int dy = -4; dy <= 4; dy++)
        for (int dx = -4; dx <= 4; dx++) {
          bool same = true;
          for (int k = 0; same && k < 3072; k++) {
            int c = k / 1024, y = k / 32 % 32 + dy, x = (flip ? 31 - k % 32 : k % 32) + dx;
            bool in = y >= 0 && y < 32 && x >= 0 && x < 32;
            same = aug[k] == (in ? plain[c * 1024 + y * 32 + x] : (0.0f - p.mean[c]) / p.std[c]);
          }
          matches += same;
          if (same) flip_found = flip;
        }
    cr_assert_eq(matches, 1, "key %llu: %d", (unsigned long long)key, matches);
    mirrored += flip_found;
  }
  cr_expect(mirrored > 8 && mirrored < 32, "%d of 40", mirrored);
  espl_data_free(d);
}
