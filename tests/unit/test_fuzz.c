/* Readers of foreign bytes under deterministic mutation: whatever the bytes are, a reader returns, with a message when it refuses; it stays
 * inside its input, leaks nothing and asks for no more than LARGEST bytes at once. `make sanitize` runs this under the address and
 * undefined-behaviour sanitizers, which see the rest; ESPL_FUZZ=n multiplies the rounds, ESPL_FUZZ_SEED=n starts elsewhere. */
#include <criterion/criterion.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
/* of the runtime; gcc has no header for it */
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t), void (*free_hook)(const volatile void *));
#endif

#include <jpeglib.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "base/rng.h"
#include "cli/npy.c"
#include "data/data.h"
#include "data/image.h"
#include "map/machine_yaml.h"
#include "map/topology.h"
#include "tflite/tflite.h"

#define LARGEST ((size_t)300 << 20)

static char dir[SCRATCH];

static void make_dir(void) {
  scratch_folder(dir, "espl-fuzz");
}
static void remove_dir(void) {
  cr_assert_eq(scratch_remove(dir), 0);
}

TestSuite(fuzz, .init = make_dir, .fini = remove_dir, .timeout = 200);

/* ---- what the sanitizers are asked ---- */

#if defined(__SANITIZE_ADDRESS__)
static size_t largest_asked;
static void saw_malloc(const volatile void *p, size_t n) {
  (void)p;
  if (n > largest_asked) largest_asked = n;
}
static void saw_free(const volatile void *p) { (void)p; }
static void watch(void) {
  static bool installed;
  if (!installed) cr_assert(__sanitizer_install_malloc_and_free_hooks(saw_malloc, saw_free) > 0);
  installed = true;
  largest_asked = 0;
}
static void expect_clean(void) {
  cr_expect_leq(largest_asked, LARGEST, "an allocation of %zu bytes", largest_asked);
  cr_expect_eq(__lsan_do_recoverable_leak_check(), 0, "a leak");
}
#else
static void watch(void) {}
static void expect_clean(void) {}
#endif

/* ---- mutation ---- */

typedef struct bytes {
  uint8_t *p;
  size_t n;
} bytes;

static uint64_t seed(void) {
  const char *s = getenv("ESPL_FUZZ_SEED");
  return s ? strtoull(s, NULL, 10) : 1;
}
static int rounds(int n) {
  const char *s = getenv("ESPL_FUZZ");
  long k = s ? strtol(s, NULL, 10) : 1;
  return k > 1 ? n * (int)k : n;
}

static size_t below(espl_rng *r, size_t n) { return n ? (size_t)espl_rng_next(r) % n : 0; }

/* One change at a random place; b has room for `room` bytes. */
static void change(espl_rng *r, bytes *b, size_t room) {
  static const uint32_t odd[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000u, 0xfffffffeu, 0xffffffffu, 0x10000, 4, 64};
  size_t at = below(r, b->n), len = 1 + below(r, 32);
  if (b->n == 0) return;
  if (at + len > b->n) len = b->n - at;
  uint32_t v = odd[below(r, sizeof odd / sizeof *odd)];
  switch (below(r, 9)) {
    case 0: b->p[at] ^= (uint8_t)(1u << below(r, 8)); break;
    case 1: b->p[at] = (uint8_t)espl_rng_next(r); break;
    case 2: memcpy(b->p + at, &v, len < 4 ? len : 4); break;                                        /* a telling number */
    case 3: memcpy(b->p + at, &v, len < 2 ? len : 2); break;
    case 4: b->p[at] = (uint8_t)(b->p[at] + (below(r, 2) ? 1 : 255)); break;
    case 5: memmove(b->p + at, b->p + at + len, b->n - at - len), b->n -= len; break;               /* out */
    case 6:                                                                                         /* twice */
      if (b->n + len > room) break;
      memmove(b->p + at + len, b->p + at, b->n - at), b->n += len;
      break;
    case 7: memmove(b->p + at, b->p + below(r, b->n - len + 1), len); break;                        /* from elsewhere */
    default: if (below(r, 8) == 0) b->n = at; break;                                                /* the end is missing */
  }
}

/* A mutant in an allocation of exactly its own size (plus a NUL for text), so that one byte too far is seen; free() it. */
static bytes mutant(espl_rng *r, const bytes *from) {
  size_t room = from->n + 256;
  bytes b = {malloc(room), from->n};
  cr_assert_not_null(b.p);
  memcpy(b.p, from->p, from->n);
  for (size_t k = 1 + below(r, 5); k > 0; k--) change(r, &b, room);
  bytes exact = {malloc(b.n + 1), b.n};
  memcpy(exact.p, b.p, b.n);
  exact.p[b.n] = 0;
  free(b.p);
  uint8_t *tight = realloc(exact.p, b.n ? b.n : 1);
  exact.p = tight ? tight : exact.p;
  return exact;
}

typedef espl_status (*target)(const bytes *b, espl_err *err);

/* Runs the target on the sound bytes (which must pass) and on `n` mutants; a refusal has a message. */
static void fuzz(const char *what, target run, const bytes *from, int n) {
  espl_rng r = {seed(), 0x66757a7au, 0};
  espl_err err = {0};
  int passed = 0;
  cr_assert_eq(run(from, &err), ESPL_OK, "%s: %s", what, err.msg);
  watch();
  for (int k = 0; k < rounds(n); k++) {
    bytes m = mutant(&r, from);
    espl_err e = {0};
    espl_status s = run(&m, &e);
    cr_assert(s == ESPL_OK || s == ESPL_E_INPUT || s == ESPL_E_UNSUPPORTED, "%s round %d: %s %s", what, k, espl_status_name(s), e.msg);
    cr_assert(s == ESPL_OK || e.msg[0], "%s round %d: no message", what, k);
    passed += s == ESPL_OK;
    free(m.p);
  }
  expect_clean();
  cr_log_info("%s: %d of %d mutants read", what, passed, rounds(n));
}

static bytes file_bytes(const char *path) {
  char *p = NULL;
  size_t n = 0;
  espl_err err = {0};
  cr_assert_eq(espl_read_file(path, 1 << 24, &p, &n, &err), ESPL_OK, "%s", err.msg);
  return (bytes){(uint8_t *)p, n};
}

/* ---- TFLite ---- */

static espl_status read_tflite(const bytes *b, espl_err *err) {
  espl_graph *g = NULL;
  espl_qgiven *v = NULL;
  espl_qnet *q = NULL;
  espl_status s = espl_tflite_import(b->p, b->n, &g, &v, err);
  cr_assert((s == ESPL_OK) == (g != NULL));
  if (s == ESPL_OK && v) s = espl_quantize_given(g, v, &q, err);
  espl_qnet_free(q);
  espl_qgiven_free(v);
  espl_graph_free(g);
  return s;
}

Test(fuzz, tflite) {
  static const char *const names[] = {"mobile", "surround", "asymmetric"};
  char cmd[SCRATCH_COMMAND], path[SCRATCH_FILE];
  snprintf(cmd, sizeof cmd, "python3 tests/tflite/make.py '%s'", dir);
  cr_assert_eq(system(cmd), 0);
  for (int k = 0; k < 3; k++) {
    snprintf(path, sizeof path, "%s/%s.tflite", dir, names[k]);
    bytes b = file_bytes(path);
    fuzz(names[k], read_tflite, &b, 2000);
    free(b.p);
  }
}

/* ---- pictures ---- */

static espl_status read_image(const bytes *b, espl_err *err) {
  espl_image m;
  espl_status s = espl_image_decode(b->p, b->n, &m, err);
  uint32_t sum = 0;
  for (int64_t k = 0; s == ESPL_OK && k < (int64_t)m.w * m.h * m.c; k++) sum += m.pixels[k];
  if (s == ESPL_OK && sum != 1 && (int64_t)m.w * m.h < 65536) s = espl_image_resize(&m, 3, 5, err);
  espl_image_clear(&m);
  return s;
}

Test(fuzz, png) {
  uint8_t pixels[17 * 13 * 4], file[8192];
  for (size_t k = 0; k < sizeof pixels; k++) pixels[k] = (uint8_t)(k * k / 7);
  static const uint32_t formats[] = {PNG_FORMAT_RGB, PNG_FORMAT_GRAY, PNG_FORMAT_RGBA, PNG_FORMAT_GA};
  for (int k = 0; k < 4; k++) {
    png_image m = {.version = PNG_IMAGE_VERSION, .width = 17, .height = 13, .format = formats[k]};
    png_alloc_size_t n = sizeof file;
    cr_assert(png_image_write_to_memory(&m, file, &n, 0, pixels, 0, NULL));
    bytes b = {file, n};
    fuzz("png", read_image, &b, 800);
  }
}

static size_t jpeg_file(bool progressive, uint8_t *out, size_t room) {
  struct jpeg_compress_struct c;
  struct jpeg_error_mgr e;
  uint8_t row[48 * 3], *mem = NULL;
  unsigned long n = 0;
  c.err = jpeg_std_error(&e);
  jpeg_create_compress(&c);
  jpeg_mem_dest(&c, &mem, &n);
  c.image_width = 48;
  c.image_height = 40;
  c.input_components = 3;
  c.in_color_space = JCS_RGB;
  jpeg_set_defaults(&c);
  if (progressive) jpeg_simple_progression(&c);
  jpeg_start_compress(&c, TRUE);
  for (int y = 0; y < 40; y++) {
    for (int k = 0; k < 48 * 3; k++) row[k] = (uint8_t)(k * 3 + y * y);
    JSAMPROW p = row;
    jpeg_write_scanlines(&c, &p, 1);
  }
  jpeg_finish_compress(&c);
  jpeg_destroy_compress(&c);
  cr_assert_leq(n, room);
  memcpy(out, mem, n);
  free(mem);
  return n;
}

Test(fuzz, jpeg) {
  uint8_t file[16384];
  for (int k = 0; k < 2; k++) {
    bytes b = {file, jpeg_file(k, file, sizeof file)};
    fuzz("jpeg", read_image, &b, 1500);
  }
}

Test(fuzz, bmp) {
  uint8_t file[54 + 4 * 16 + 8 * 9 * 4] = {'B', 'M'};
  static const uint8_t depths[] = {32, 24, 8, 4, 1};
  for (int k = 0; k < 5; k++) {
    bool palette = depths[k] <= 8;
    uint32_t start = 54 + (palette ? 4 * (depths[k] == 1 ? 2 : 16) : 0);
    for (size_t j = 54; j < sizeof file; j++) file[j] = palette && j >= start ? (uint8_t)(j % (depths[k] == 8 ? 16 : 256)) : (uint8_t)(j * 5);
    const uint32_t head[] = {sizeof file, 0, start, 40, 8, 9, 1u | (uint32_t)depths[k] << 16, 0, 0, 0, 0, palette && depths[k] > 1 ? 16 : 0, 0};
    memcpy(file + 2, head, sizeof head);
    bytes b = {file, sizeof file};
    fuzz("bmp", read_image, &b, 1000);
  }
}

/* ---- data sets: the mutant stands in the place of one file of a sound set ---- */

static char victim[SCRATCH_FILE];
static bool is_test_split;

static espl_status read_set(const bytes *b, espl_err *err) {
  espl_dataset *d = NULL;
  FILE *f = fopen(victim, "wb");
  cr_assert(f && fwrite(b->p, 1, b->n, f) == b->n && fclose(f) == 0);
  espl_status s = espl_data_open(dir, is_test_split ? ESPL_SPLIT_TEST : ESPL_SPLIT_TRAIN, 1, &d, err);
  for (int32_t i = 0; s == ESPL_OK && i < d->n; i++) cr_assert_lt(d->labels[i], d->classes);
  espl_data_free(d);
  return s;
}

static void write_idx(const char *name, int dims, int n, uint8_t *out, size_t *bytes_out) {
  char path[SCRATCH_FILE];
  espl_err err = {0};
  size_t at = 4 + 4 * (size_t)dims, body = (size_t)n * (dims == 3 ? 12 : 1);
  memset(out, 0, at);
  out[2] = 8, out[3] = (uint8_t)dims, out[7] = (uint8_t)n;
  if (dims == 3) out[11] = 4, out[15] = 3;
  for (size_t k = 0; k < body; k++) out[at + k] = (uint8_t)(dims == 3 ? k * 7 : k % 5);
  snprintf(path, sizeof path, "%s/%s", dir, name);
  cr_assert_eq(espl_write_file(path, out, at + body, &err), ESPL_OK, "%s", err.msg);
  *bytes_out = at + body;
}

Test(fuzz, idx_plain_and_packed) {
  uint8_t file[1024];
  char cmd[2 * SCRATCH_COMMAND];
  bytes b = {file, 0};
  write_idx("t10k-images-idx3-ubyte", 3, 20, file, &b.n);
  write_idx("t10k-labels-idx1-ubyte", 1, 20, file, &b.n);
  write_idx("train-images-idx3-ubyte", 3, 60, file, &b.n);
  write_idx("train-labels-idx1-ubyte", 1, 60, file, &b.n);
  snprintf(victim, sizeof victim, "%s/train-labels-idx1-ubyte", dir);
  fuzz("idx labels", read_set, &b, 400);
  write_idx("train-labels-idx1-ubyte", 1, 60, file, &b.n);
  write_idx("train-images-idx3-ubyte", 3, 60, file, &b.n);
  snprintf(victim, sizeof victim, "%s/train-images-idx3-ubyte", dir);
  fuzz("idx images", read_set, &b, 400);
  write_idx("train-images-idx3-ubyte", 3, 60, file, &b.n);
  static const char *const packers[] = {"gzip -9n", "xz"}, *const ends[] = {"gz", "xz"};
  for (int k = 0; k < 2; k++) {
    snprintf(cmd, sizeof cmd, "cd '%s' && %s <t10k-labels-idx1-ubyte >t10k-labels-idx1-ubyte.%s && mv t10k-labels-idx1-ubyte kept", dir, packers[k], ends[k]);
    cr_assert_eq(system(cmd), 0);
    snprintf(victim, sizeof victim, "%s/t10k-labels-idx1-ubyte.%s", dir, ends[k]);
    bytes packed = file_bytes(victim);
    is_test_split = true;
    fuzz(ends[k], read_set, &packed, 400);
    free(packed.p);
    snprintf(cmd, sizeof cmd, "cd '%s' && rm t10k-labels-idx1-ubyte.%s && mv kept t10k-labels-idx1-ubyte", dir, ends[k]);
    cr_assert_eq(system(cmd), 0);
  }
}

/* A short file in the place of a CIFAR batch: of the wrong size, or packed so. */
Test(fuzz, cifar_batches) {
  char cmd[SCRATCH_COMMAND];
  snprintf(cmd, sizeof cmd, "cd '%s' && for f in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do head -c 3073 /dev/zero | xz >$f.bin.xz; done", dir);
  cr_assert_eq(system(cmd), 0);
  snprintf(victim, sizeof victim, "%s/test_batch.bin.xz", dir);
  bytes b = file_bytes(victim);
  espl_rng r = {seed(), 3, 0};
  is_test_split = true;
  watch();
  for (int k = 0; k < rounds(300); k++) {
    bytes m = mutant(&r, &b);
    espl_err e = {0};
    cr_assert_eq(read_set(&m, &e), ESPL_E_INPUT, "%s", e.msg);
    free(m.p);
  }
  expect_clean();
  free(b.p);
}

/* ---- tensors, machines, layer tables ---- */

static espl_status read_npy(const bytes *b, espl_err *err) {
  espl_tensor *t = NULL;
  FILE *f = fopen(victim, "wb");
  cr_assert(f && fwrite(b->p, 1, b->n, f) == b->n && fclose(f) == 0);
  espl_status s = espl_npy_read(victim, &t, err);
  espl_tensor_free(t);
  return s;
}

Test(fuzz, npy) {
  uint8_t file[128 + 24 * 4] = "\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }";
  for (size_t k = strlen((char *)file + 10) + 10; k < 127; k++) file[k] = ' ';
  file[127] = '\n';
  bytes b = {file, sizeof file};
  snprintf(victim, sizeof victim, "%s/t.npy", dir);
  fuzz("npy", read_npy, &b, 1500);
}

static espl_status read_machine(const bytes *b, espl_err *err) {
  espl_machine m;
  return espl_machine_parse("mutant.yaml", (const char *)b->p, b->n, &m, err);
}

Test(fuzz, machine_yaml) {
  static const char *const files[] = {"configs/machines/16x16.yaml", "configs/machines/up5k.yaml"};
  for (int k = 0; k < 2; k++) {
    bytes b = file_bytes(files[k]);
    fuzz(files[k], read_machine, &b, 1500);
    free(b.p);
  }
}

static espl_topo_form form;

static espl_status read_table(const bytes *b, espl_err *err) {
  espl_topology *t = NULL;
  espl_status s = espl_topology_parse("mutant.csv", (const char *)b->p, b->n, form, &t, err);
  espl_topology_free(t);
  return s;
}

Test(fuzz, layer_tables) {
  static const char conv[] = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
                             "Conv1, 224, 224, 7, 7, 3, 64, 2,\nConv2, 56, 56, 3, 3, 64, 64, 1,\nFC, 1, 1, 1, 1, 512, 1000, 1,\n";
  static const char gemm[] = "Layer, M, N, K,\nqk, 128, 128, 64,\nproj, 128, 768, 768,\n";
  bytes a = {(uint8_t *)(uintptr_t)conv, sizeof conv - 1}, b = {(uint8_t *)(uintptr_t)gemm, sizeof gemm - 1};
  form = ESPL_TOPO_CONV;
  fuzz("conv table", read_table, &a, 2000);
  form = ESPL_TOPO_GEMM;
  fuzz("gemm table", read_table, &b, 1500);
}
