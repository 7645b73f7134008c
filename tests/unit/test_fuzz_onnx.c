/* Damaged ONNX files: thousands of mutations of small models and tensors (fixed seeds) through both readers and, within limits, the evaluation.
 * Longer runs: ESPL_FUZZ_SEED=n ESPL_FUZZ_COUNT=n.
 * Law checked: every one is read or refused with a message that names the file; no crash, no leak (under the address sanitizer), no long run. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fuzz/inputs.h"
#include "../scratch.h"
#include "base/fsio.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "onnx/onnx.h"
#include "onnx/program.h"

#define VECTORS "/usr/share/libonnx-testdata/data/node"

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

enum { SEEDS = 600, BIG = 4096 };

typedef struct seed {
  uint8_t *data;
  size_t n;
} seed;

static char dir[SCRATCH], file[SCRATCH_FILE];
static espl_rng rng;

static uint64_t next(uint64_t below) { return espl_rng_next(&rng) % below; }

static int from_environment(const char *name, int otherwise) {
  const char *v = getenv(name);
  return v ? atoi(v) : otherwise;
}

static void make_dir(void) {
  scratch_folder(dir, "espl-fuzz");
  snprintf(file, sizeof file, "%s/t.onnx", dir);
}

static void remove_dir(void) {
  remove(file);
  cr_expect_eq(rmdir(dir), 0);
}

TestSuite(fuzz_onnx, .init = make_dir, .fini = remove_dir, .timeout = 1200);

static int is_test(const struct dirent *e) { return strncmp(e->d_name, "test_", 5) == 0; }

/* Small files <VECTORS>/test_*<name>. */
static int read_seeds(const char *name, seed *s) {
  struct dirent **list = NULL;
  int n = scandir(VECTORS, &list, is_test, alphasort), count = 0;
  if (n <= 0) cr_skip_test("libonnx-testdata is absent");
  for (int k = 0; k < n; k++) {
    char *path = espl_format("%s/%s/%s", VECTORS, list[k]->d_name, name), *data = NULL;
    size_t bytes = 0;
    espl_err err = {0};
    if (count < SEEDS && espl_read_file(path, BIG, &data, &bytes, &err) == ESPL_OK && bytes > 1) s[count++] = (seed){(uint8_t *)data, bytes};
    else free(data);
    free(path);
    free(list[k]);
  }
  free(list);
  return count;
}

/* One to four of: bits and bytes changed, a number replaced by a telling one, parts cut out, repeated, or taken from another file. Two files in
 * three keep their length, so that their structure often survives and the damage reaches attributes, shapes and values. */
static size_t mutate(const seed *a, const seed *b, uint8_t *out) {
  static const uint8_t telling[] = {0, 1, 2, 7, 8, 9, 16, 21, 63, 64, 127, 128, 255};
  size_t n = a->n;
  memcpy(out, a->data, n);
  bool keep = next(3) != 0;
  for (uint64_t k = 1 + next(keep ? 2 : 4); k > 0 && n > 1; k--) {
    size_t at = (size_t)next(n), len = 1 + (size_t)next(n - at < 16 ? n - at : 16);
    switch (next(keep ? 3 : 7)) {
      case 0: out[at] ^= (uint8_t)(1u << next(8)); break;
      case 1: out[at] = (uint8_t)next(256); break;
      case 2: out[at] = telling[next(sizeof telling)]; break;
      case 3:
        memmove(out + at, out + at + len, n - at - len);
        n -= len;
        break;
      case 4:
        if (n + len > 2 * BIG) break;
        memmove(out + at + len, out + at, n - at);
        n += len;
        break;
      case 5:
        len = b->n < n - at ? b->n : n - at;
        len = 1 + (size_t)next(len);
        memcpy(out + at, b->data + (size_t)next(b->n - len + 1), len);
        break;
      default: memset(out + at, 255, len); break;
    }
  }
  return keep || n == 0 || next(3) ? n : 1 + (size_t)next(n);
}

static void put_file(const uint8_t *data, size_t n) {
  remove(file); /* replacing in place makes some file systems flush */
  FILE *f = fopen(file, "wb");
  cr_assert(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
}

static bool lawful(espl_status s, const espl_err *e, bool names_file) {
  if (s == ESPL_OK) return e->msg[0] == 0;
  return (s == ESPL_E_INPUT || s == ESPL_E_UNSUPPORTED || s == ESPL_E_NOMEM) && e->msg[0] && (!names_file || strstr(e->msg, file));
}

static void try_program(const espl_tprogram *p, int *ran) {
  espl_tensor **t = espl_calloc((size_t)(p->n_inputs + p->n_outputs) + 1, sizeof *t);
  espl_err err = {0};
  if (small_inputs(p, 1 << 16, t)) {
    espl_status s = espl_tprogram_run(p, (const espl_tensor *const *)t, t + p->n_inputs, (espl_tlimits){1 << 18, 1 << 24}, &err);
    cr_assert(lawful(s, &err, false), "run: %d %s", (int)s, err.msg);
    *ran += s == ESPL_OK;
  }
  for (int k = 0; k < p->n_inputs + p->n_outputs; k++) espl_tensor_free(t[k]);
  free(t);
}

static void try_model(int *read, int *ran) {
  espl_err err = {0};
  espl_graph *g = NULL;
  espl_tprogram *p = NULL;
  espl_status s = espl_onnx_program(file, &p, &err);
  cr_assert(lawful(s, &err, true) && (s == ESPL_OK) == (p != NULL), "program: %d %s", (int)s, err.msg);
  if (p) try_program(p, ran);
  *read += p != NULL;
  espl_tprogram_free(p);
  err = (espl_err){0};
  s = espl_onnx_read(file, &g, &err);
  cr_assert(lawful(s, &err, true) && (s == ESPL_OK) == (g != NULL), "graph: %d %s", (int)s, err.msg);
  err = (espl_err){0};
  if (g) cr_assert_eq(espl_graph_check(g, &err), ESPL_OK, "%s", err.msg);
  espl_graph_free(g);
}

static void no_leak(void) {
  if (__lsan_do_recoverable_leak_check) cr_expect_eq(__lsan_do_recoverable_leak_check(), 0, "memory was lost");
}

Test(fuzz_onnx, models) {
  static seed s[SEEDS];
  static uint8_t out[3 * BIG];
  int n = read_seeds("model.onnx", s), read = 0, ran = 0;
  const int mutations = from_environment("ESPL_FUZZ_COUNT", 6000);
  cr_assert_gt(n, 100);
  rng = (espl_rng){(uint64_t)from_environment("ESPL_FUZZ_SEED", 20261122), 0, 0};
  for (int k = 0; k < mutations; k++) {
    put_file(out, mutate(&s[next((uint64_t)n)], &s[next((uint64_t)n)], out));
    try_model(&read, &ran);
  }
  cr_expect(read > mutations / 20 && read < mutations && ran > mutations / 50, "%d read, %d ran", read, ran);
  for (int k = 0; k < n; k++) free(s[k].data);
  no_leak();
}

Test(fuzz_onnx, tensors) {
  static seed s[SEEDS];
  static uint8_t out[3 * BIG];
  int n = read_seeds("test_data_set_0/input_0.pb", s), read = 0;
  const int mutations = from_environment("ESPL_FUZZ_COUNT", 3000);
  cr_assert_gt(n, 100);
  rng = (espl_rng){(uint64_t)from_environment("ESPL_FUZZ_SEED", 4711), 1, 0};
  for (int k = 0; k < mutations; k++) {
    espl_err err = {0};
    espl_tensor *t = NULL;
    put_file(out, mutate(&s[next((uint64_t)n)], &s[next((uint64_t)n)], out));
    espl_status st = espl_onnx_tensor_read(file, &t, &err);
    cr_assert(lawful(st, &err, true) && (st == ESPL_OK) == (t != NULL), "%d %s", (int)st, err.msg);
    read += t != NULL;
    espl_tensor_free(t);
  }
  cr_expect(read > mutations / 20 && read < mutations, "%d read", read);
  for (int k = 0; k < n; k++) free(s[k].data);
  no_leak();
}
