/* layers: random small networks from an ONNX file to the Verilated core.
 *
 *   layers [--seed S] [--only N] MACHINE:NETWORKS...
 *
 * Network N of a machine is drawn from (S, machine, N): its kind in turn (randnet.h), form of the weights, images of a run, memory timing and
 * everything else by chance. It is written as ONNX and read again (every other time as a quantized file), mapped, and then
 *   every value of every image on the RTL is that of the integer evaluator, which knows nothing of the machine
 *     (the logits alone where tensors share memory),
 *   every byte of memory, every cycle and every counter of every layer on the RTL is that of the C model, and of the timing engine alone.
 * A network that the mapper refuses is drawn anew. What the mapper made of the layers is counted; a feature that no network of the run brought is a
 * failure. A difference is told with the command that shows it alone. "N passed, M failed" at the end; exit status 0: all agree. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/clock.h"
#include "device/rtl.h"
#include "map/machine_yaml.h"
#include "map/map_int.h"
#include "onnx/onnx.h"
#include "onnx/qdq.h"
#include "quant/narrow.h"
#include "randnet.h"

enum { IMAGES_MAX = 3, DRAWS = 40 };

/* What the mapper may make of a layer, a tensor or a network. */
#define SEEN_LIST(X)                                                                                                     \
  X(FOLDED, "folded") X(FOLDED_TILES, "folded in tiles") X(DEPTHWISE, "native depthwise") X(DIAGONAL, "grouped on the diagonal")       \
  X(MEANS, "large means") X(SKIPPED, "with absent tiles") X(INDEXED, "through the index buffer") X(ABSENT_ROWS, "with absent kernel rows or columns") \
  X(INT4, "int4") X(BOOK, "codebook") X(KERNEL11, "kernels of 9 to 11") X(DILATED, "dilated") X(STRIDE4, "stride 3 or 4") X(UNEVEN, "uneven padding") \
  X(RESIDUAL, "residual") X(MAXIMUM, "maximum") X(AVERAGE, "average") X(FULL, "fully connected") X(STREAMED, "input in slots")       \
  X(SLICES, "concatenated by address") X(COPIES, "concatenated by copy") X(BATCH, "batches") X(STACKED, "batches as one image")
typedef enum seen {
#define X(name, text) SEEN_##name,
  SEEN_LIST(X)
#undef X
  SEEN_COUNT
} seen;
static const char *const seen_text[] = {
#define X(name, text) text,
  SEEN_LIST(X)
#undef X
};

typedef struct totals {
  int run, failed, refused, layers;
  uint64_t cycles;
  int seen[SEEN_COUNT];
} totals;

typedef struct subject {
  espl_machine m;
  espl_graph *g;
  espl_qnet *q;
  espl_program *p;
  int32_t images;
  bool keep;
  int8_t *input;
} subject;

static void release(subject *s) {
  espl_program_free(s->p);
  espl_qnet_free(s->q);
  espl_graph_free(s->g);
  free(s->input);
  *s = (subject){.m = s->m};
}

/* ---- drawing ---- */

static int32_t in(espl_rng *r, int32_t lo, int32_t hi) { return lo + (int32_t)espl_rng_next_below(r, (uint32_t)(hi - lo + 1)); }

/* Memory timing is a register of the core, so it costs no build. */
static void draw_memory(espl_rng *r, espl_machine *m) {
  espl_mem_timing *t = &m->mem;
  if (in(r, 0, 1)) return;
  t->read_latency = in(r, 1, 60);
  t->write_latency = in(r, 1, 30);
  t->den = in(r, 1, 3);
  t->num = in(r, 1, t->den);
  t->outstanding = in(r, 1, m->bursts < 16 ? m->bursts : 16);
  t->shared_path = in(r, 0, 1);
  t->turnaround = t->shared_path ? in(r, 0, 3) : 0;
  t->stall_mod = in(r, 0, 1) ? in(r, 2, 40) : 0;
  t->stall_seed = (uint32_t)espl_rng_next(r);
  if (in(r, 0, 3)) return;
  t->banks = 1 << in(r, 0, 3);
  t->row_bytes = 256 << in(r, 0, 4);
  t->row_open = in(r, 1, 12);
  t->row_close = in(r, 0, 12);
}

static const char *draw_weights(espl_rng *r) {
  const char *const forms[] = {NULL, NULL, "int4", "codebook:2", "codebook:3", "codebook:4", "codebook:7"};
  return forms[in(r, 0, 6)];
}

/* Through a file: the float network before it is quantized, or the quantized one. */
static espl_status through_file(espl_rng *r, subject *s, espl_err *err) {
  char file[SCRATCH];
  espl_quant_config c;
  espl_quant_default(&c);
  c.weights = draw_weights(r);
  bool quantized = in(r, 0, 1);
  espl_graph *drawn = s->g;
  scratch_file(file, "espl-layers");
  s->g = NULL;
  espl_status st = espl_onnx_write(drawn, file, err);
  if (st == ESPL_OK) st = espl_onnx_read(file, &s->g, err);
  espl_graph_free(drawn);
  if (st == ESPL_OK) st = espl_quantize(s->g, NULL, NULL, &c, &s->q, err);
  if (st == ESPL_OK && quantized) {
    st = espl_qdq_write(s->g, s->q, file, err);
    espl_qnet_free(s->q);
    espl_graph_free(s->g);
    s->q = NULL;
    s->g = NULL;
    if (st == ESPL_OK) st = espl_qdq_read(file, &s->g, &s->q, err);
  }
  remove(file);
  return st;
}

static espl_status prepare(espl_rng *r, randnet_kind kind, subject *s, espl_err *err) {
  ESPL_TRY(randnet_build(kind, &s->m, r, &s->g, err));
  ESPL_TRY(through_file(r, s, err));
  draw_memory(r, &s->m);
  s->images = in(r, 0, 2) ? 1 : in(r, 2, IMAGES_MAX);
  s->keep = in(r, 0, 1);
  int64_t n = s->images * espl_shape_elems(s->q->tensor[0].shape);
  s->input = malloc((size_t)n);
  if (!s->input) return espl_fail(err, ESPL_E_NOMEM, "layers: out of memory");
  for (int64_t i = 0; i < n; i++) s->input[i] = (int8_t)(uint8_t)espl_rng_next(r);
  return espl_map_build(s->q, &s->m, &(espl_map_config){.images = s->images, .keep = s->keep}, &s->p, err);
}

/* ---- what it became ---- */

static void look_at_layer(const subject *s, const map_geom *g, const espl_map_layer *made, bool *saw) {
  const espl_qlayer *l = &s->q->layer[made->qlayer];
  int32_t kernel = l->kh > l->kw ? l->kh : l->kw, stride = l->sh > l->sw ? l->sh : l->sw;
  bool whole_kernel = l->kh == g->in.h && l->kw == g->in.w && l->conv_h == 1 && l->conv_w == 1, copy = s->g->node[l->node].op == ESPL_OP_CONCAT;
  if (g->fold) saw[SEEN_FOLDED] = true;
  if (g->fold && (int64_t)g->plane_words * g->g > 1 << s->m.act_aw) saw[SEEN_FOLDED_TILES] = true;
  if (g->dw) saw[SEEN_DEPTHWISE] = true;
  if (!g->dw && l->groups > 1) saw[SEEN_DIAGONAL] = true;
  if (g->mean) saw[SEEN_MEANS] = true;
  if (made->tiles_skipped && l->groups == 1 && !l->onehot) saw[SEEN_SKIPPED] = true;
  if (g->sparse) saw[SEEN_INDEXED] = true;
  if (!g->dw && !l->onehot && (g->ky_mask != (1u << g->l->kh) - 1 || g->kx_mask != (1u << g->l->kw) - 1)) saw[SEEN_ABSENT_ROWS] = true;
  if (g->weight.bits == 4 && !g->weight.book && !l->onehot) saw[SEEN_INT4] = true;
  if (g->weight.book) saw[SEEN_BOOK] = true;
  if (kernel >= 9 && !whole_kernel) saw[SEEN_KERNEL11] = true;
  if (l->dh > 1 || l->dw > 1) saw[SEEN_DILATED] = true;
  if (stride >= 3) saw[SEEN_STRIDE4] = true;
  if (l->pt != l->pb || l->pl != l->pr) saw[SEEN_UNEVEN] = true;
  if (l->res >= 0) saw[SEEN_RESIDUAL] = true;
  if (l->pool == ESPL_QPOOL_MAX) saw[SEEN_MAXIMUM] = true;
  if (l->pool == ESPL_QPOOL_AVG && !g->mean) saw[SEEN_AVERAGE] = true;
  if (whole_kernel && l->kh * l->kw > 1) saw[SEEN_FULL] = true;
  if (strstr(made->choice, "slots")) saw[SEEN_STREAMED] = true;
  if (copy) saw[SEEN_COPIES] = true;
  if (g->stacked) saw[SEEN_STACKED] = true;
}

/* Counts every layer, tensor and network once for each feature it has. */
static espl_status look(const subject *s, totals *t, espl_err *err) {
  for (int32_t i = 0; i < s->p->layers; i++) {
    bool saw[SEEN_COUNT] = {false};
    map_geom g;
    ESPL_TRY(map_geom_init_batch(&g, s->q, s->p->layer[i].qlayer, &s->m, s->images, -1, err));
    look_at_layer(s, &g, &s->p->layer[i], saw);
    map_geom_clear(&g);
    for (int k = 0; k < SEEN_COUNT; k++) t->seen[k] += saw[k];
  }
  for (int32_t i = 0; i < s->q->tensors; i++) t->seen[SEEN_SLICES] += s->q->tensor[i].whole > 0;
  t->seen[SEEN_BATCH] += s->images > 1;
  t->layers += s->p->layers;
  return ESPL_OK;
}

/* ---- running ---- */

static espl_status run_body(const subject *s, espl_rtl *rtl, uint8_t *memory, espl_run_result *out, espl_err *err) {
  if (!rtl) return espl_program_run(s->p, s->q, ESPL_ENGINE_MODEL, s->input, NULL, memory, out, err);
  espl_machine m = s->m;
  m.mem_bytes = s->p->mem_bytes;
  memcpy(memory, s->p->image, s->p->mem_bytes);
  espl_program_put_tensor(s->p, s->q, 0, s->input, memory);
  espl_run run = {.machine = &m, .memory = memory, .prog_addr = s->p->prog_addr, .prog_bytes = s->p->prog_bytes, .expect_hash = espl_machine_hash(&m)};
  return espl_rtl_run(rtl, &run, out, err);
}

/* The values of tensor t of all images in memory against the evaluator's. */
static espl_status compare_tensor(const subject *s, espl_qexec *x, int32_t t, const uint8_t *memory, espl_err *err) {
  espl_shape c = s->q->tensor[t].shape;
  int64_t n = espl_shape_elems(c) * s->images;
  int8_t *want = malloc((size_t)n), *got = malloc((size_t)n);
  espl_status st = want && got ? espl_qexec_tensor(x, t, want, err) : espl_fail(err, ESPL_E_NOMEM, "layers: out of memory");
  if (st == ESPL_OK) espl_program_get_tensor(s->p, s->q, t, memory, got);
  for (int64_t i = 0; st == ESPL_OK && i < n; i++)
    if (want[i] != got[i])
      st = espl_fail(err, ESPL_E_MISMATCH, "tensor %d [%d,%d,%d], value %lld: the RTL has %d, the integer evaluator %d", (int)t, (int)c.c, (int)c.h, (int)c.w, (long long)i, got[i], want[i]);
  free(want);
  free(got);
  return st;
}

static espl_status compare_values(const subject *s, const uint8_t *memory, espl_err *err) {
  espl_qexec *x = NULL;
  int8_t *logits = malloc((size_t)(s->images * espl_shape_elems(s->q->tensor[s->q->output].shape)));
  espl_status st = logits ? espl_qexec_new(s->q, s->images, &x, err) : espl_fail(err, ESPL_E_NOMEM, "layers: out of memory");
  if (st == ESPL_OK) st = espl_qexec_keep(x, err);
  if (st == ESPL_OK) st = espl_qexec_run(x, s->images, s->input, logits, err);
  for (int32_t t = 0; st == ESPL_OK && t < s->q->tensors; t++)
    if (s->keep || t == s->q->output) st = compare_tensor(s, x, t, memory, err);
  espl_qexec_free(x);
  free(logits);
  return st;
}

/* The network timed without its values. */
static espl_status compare_timing(const subject *s, const espl_machine *m, const espl_run_result *rtl, espl_err *err) {
  espl_run_result r = {0};
  ESPL_TRY(espl_program_run(s->p, s->q, ESPL_ENGINE_TIMING, NULL, NULL, NULL, &r, err));
  espl_status st = espl_device_compare(m, &r, NULL, "the timing engine", rtl, NULL, "the RTL", err);
  espl_run_result_clear(&r);
  return st;
}

static espl_status run_both(const subject *s, espl_rtl *rtl, uint64_t *cycles, espl_err *err) {
  espl_machine m = s->m;
  m.mem_bytes = s->p->mem_bytes;
  ESPL_TRY(espl_program_check(&m, s->p->image, s->p->prog_addr, s->p->prog_bytes, err));
  espl_run_result r[2] = {{0}, {0}};
  uint8_t *mem[2] = {malloc(s->p->mem_bytes), malloc(s->p->mem_bytes)};
  espl_status st = mem[0] && mem[1] ? run_body(s, NULL, mem[0], &r[0], err) : espl_fail(err, ESPL_E_NOMEM, "layers: out of memory");
  if (st == ESPL_OK) st = run_body(s, rtl, mem[1], &r[1], err);
  if (st == ESPL_OK) st = espl_device_compare(&m, &r[0], mem[0], "the model", &r[1], mem[1], "the RTL", err);
  if (st == ESPL_OK && r[1].hw_status != ESPL_HW_NONE)
    st = espl_fail(err, ESPL_E_FAILED, "the machine stopped with %s at command %u", espl_hw_status_name(r[1].hw_status), (unsigned)r[1].err_index);
  if (st == ESPL_OK) st = compare_timing(s, &m, &r[1], err);
  if (st == ESPL_OK) st = compare_values(s, mem[1], err);
  *cycles = r[1].cycles;
  for (int i = 0; i < 2; i++) {
    free(mem[i]);
    espl_run_result_clear(&r[i]);
  }
  return st;
}

static espl_status one(espl_rtl *rtl, const espl_machine *m, uint64_t seed, int32_t n, randnet_kind kind, totals *t, espl_err *err) {
  espl_status st = ESPL_E_UNSUPPORTED;
  for (int32_t i = 0; i < DRAWS && st == ESPL_E_UNSUPPORTED; i++) {
    espl_rng r = {.seed = seed, .stream = espl_machine_hash(m), .counter = ((uint64_t)(uint32_t)n << 40) + ((uint64_t)(uint32_t)i << 32)};
    subject s = {.m = *m};
    uint64_t cycles = 0;
    st = prepare(&r, kind, &s, err);
    if (st == ESPL_OK) st = look(&s, t, err);
    if (st == ESPL_OK) {
      st = run_both(&s, rtl, &cycles, err);
      if (st == ESPL_E_UNSUPPORTED) st = ESPL_E_FAILED; /* a program was made of it */
    } else if (st == ESPL_E_UNSUPPORTED) {
      t->refused++;
    }
    t->cycles += cycles;
    release(&s);
  }
  return st;
}

static espl_status one_machine(const char *name, uint64_t seed, int32_t networks, int32_t only, totals *all, espl_err *err) {
  espl_machine m;
  espl_rtl *rtl = NULL;
  totals t = {0};
  ESPL_TRY(espl_machine_load(name, &m, err));
  ESPL_TRY(espl_rtl_open(&m, ESPL_RTL_PLATFORM, NULL, &rtl, err));
  double t0 = espl_now();
  int32_t kind = 0;
  for (int32_t n = 0; n < networks; n++, kind++) {
    while (!randnet_fits((randnet_kind)(kind % RANDNET_KINDS), &m)) kind++;
    if (only >= 0 && n != only) continue;
    randnet_kind k = (randnet_kind)(kind % RANDNET_KINDS);
    *err = (espl_err){0};
    t.run++;
    if (one(rtl, &m, seed, n, k, &t, err) == ESPL_OK) continue;
    t.failed++;
    printf("FAIL %s, network %d (%s): %s\n     again: make layers SEED=%llu ONLY=%d LAYERS_MACHINES=%s:%d\n", name, (int)n, randnet_name(k), err->msg, (unsigned long long)seed, (int)n, name, (int)networks);
  }
  espl_rtl_close(rtl);
  printf("%-4s %s: %d networks, %d layers, %llu cycles on RTL, model and timing, %d refused and drawn anew, %.1f s\n", t.failed ? "FAIL" : "ok", name, t.run, t.layers, (unsigned long long)t.cycles, t.refused,
         espl_now() - t0);
  all->run += t.run;
  all->failed += t.failed;
  for (int k = 0; k < SEEN_COUNT; k++) all->seen[k] += t.seen[k];
  return ESPL_OK;
}

/* One case a feature. */
static int report_features(const totals *t) {
  int missing = 0;
  for (int k = 0; k < SEEN_COUNT; k++) {
    missing += t->seen[k] == 0;
    printf("%s %d %s", k ? "," : "seen:", t->seen[k], seen_text[k]);
  }
  printf("\n");
  for (int k = 0; k < SEEN_COUNT; k++)
    if (t->seen[k] == 0) printf("FAIL no network of this run was %s\n", seen_text[k]);
  return missing;
}

int main(int argc, char **argv) {
  uint64_t seed = 1;
  int32_t only = -1;
  int at = 1;
  totals t = {0};
  for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
    if (strcmp(argv[at], "--seed") == 0) seed = strtoull(argv[at + 1], NULL, 0);
    else if (strcmp(argv[at], "--only") == 0) only = atoi(argv[at + 1]);
    else break;
  }
  if (at >= argc || argv[at][0] == '-') {
    fputs("usage: layers [--seed S] [--only N] MACHINE:NETWORKS...\n", stderr);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("seed %llu\n", (unsigned long long)seed);
  for (; at < argc; at++) {
    char name[PATH_MAX];
    int networks = 0;
    espl_err err = {0};
    if (sscanf(argv[at], "%1023[^:]:%d", name, &networks) != 2 || networks < 1) {
      fprintf(stderr, "layers: %s is no MACHINE:NETWORKS\n", argv[at]);
      return 2;
    }
    if (one_machine(name, seed, networks, only, &t, &err) == ESPL_OK) continue;
    printf("FAIL %s: %s\n", name, err.msg);
    t.failed++;
  }
  int missing = only >= 0 ? 0 : report_features(&t);
  printf("%d passed, %d failed\n", t.run - t.failed + (only >= 0 ? 0 : SEEN_COUNT - missing), t.failed + missing);
  return t.failed + missing != 0;
}
