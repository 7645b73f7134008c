/* Concatenation: operands that begin at multiples of 16 channels are written straight into their places, others are copied; either way every
 * tensor on the machine is what the definition says. */
#include <unistd.h>

#include "../scratch.h"
#include "mapped.h"
#include "nn_graphs.h"
#include "onnx/qdq.h"

static int op1(espl_graph *g, espl_op o, int in) { return node(g, (espl_node){.op = o, .inputs = 1, .input = {in}}); }

static int join(espl_graph *g, int n, const int *in) {
  espl_node c = {.op = ESPL_OP_CONCAT, .inputs = (uint8_t)n};
  for (int i = 0; i < n; i++) c.input[i] = in[i];
  return node(g, c);
}

static int relu_conv(espl_graph *g, int in, int c, espl_conv_attr a) { return op1(g, ESPL_OP_RELU, conv(g, in, c, a, true)); }

static const espl_conv_attr k1 = {.kh = 1, .kw = 1};

static int max3(espl_graph *g, int in) {
  return node(g, (espl_node){.op = ESPL_OP_MAXPOOL, .inputs = 1, .input = {in}, .conv = {.kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .groups = 1}});
}

static void classify(espl_graph *g, int in) { gemm(g, op1(g, ESPL_OP_FLATTEN, op1(g, ESPL_OP_GLOBALAVGPOOL, in)), 5); }

static espl_qnet *quantized(espl_graph *g) {
  espl_qnet *q = NULL;
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  OK(espl_graph_check(g, &err));
  OK(espl_quantize(g, NULL, NULL, &cfg, &q, &err));
  return q;
}

/* Layers that stand for the concatenation itself. */
static int copies(const espl_graph *g, const espl_qnet *q) {
  int n = 0;
  for (int32_t i = 0; i < q->layers; i++) n += g->node[q->layer[i].node].op == ESPL_OP_CONCAT;
  return n;
}

static void on_machines(espl_qnet *q) {
  const int32_t size[][2] = {{16, 16}, {4, 4}, {8, 16}, {16, 4}, {32, 32}};
  for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
    char name[32];
    snprintf(name, sizeof name, "%dx%d", (int)size[i][0], (int)size[i][1]);
    espl_machine m = mapped_machine(name, size[i][0], size[i][1]);
    if (i == 2) m.bus_bytes = 32;
    uint64_t a = mapped_check(q, &m, true, 3 + i), b = mapped_check(q, &m, false, 3 + i);
    cr_assert_eq(a, b, "where tensors lie changes cycles on %s", name);
  }
}

/* Two fire modules as in SqueezeNet; the second one's concatenation is read by a maximum. */
static espl_graph *fires(void) {
  espl_graph *g = start(3, 14, 11);
  int a = relu_conv(g, 0, 16, k3);
  for (int k = 0; k < 2; k++) {
    int s = relu_conv(g, a, 8, k1), e1 = relu_conv(g, s, 32, k1), e3 = relu_conv(g, s, 24, k3);
    a = join(g, 2, (int[]){e1, e3});
  }
  a = relu_conv(g, max3(g, a), 20, k1);
  classify(g, a);
  return g;
}

Test(join, fire_modules_copy_nothing) {
  espl_graph *g = fires();
  espl_qnet *q = quantized(g);
  cr_assert_eq(copies(g, q), 0);
  int slices = 0;
  for (int32_t i = 0; i < q->tensors; i++) {
    const espl_qtensor *t = &q->tensor[i], *w = &q->tensor[t->whole];
    if (t->whole == 0) continue;
    slices++;
    cr_assert(t->scale == w->scale && t->zero == w->zero && t->whole_c + t->shape.c <= w->shape.c && t->whole_c % ESPL_QSLICE == 0);
  }
  cr_assert_eq(slices, 4);
  on_machines(q);
  espl_qnet_free(q);
  espl_graph_free(g);
}

/* Branches of an Inception module: convolutions, a maximum, an average; the maximum takes the numbers of the whole. */
static espl_graph *inception(void) {
  espl_graph *g = start(3, 12, 12);
  int a = relu_conv(g, 0, 16, k3), b = relu_conv(g, a, 32, k1);
  int mean = node(g, (espl_node){.op = ESPL_OP_AVGPOOL, .inputs = 1, .input = {a}, .conv = {.kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .groups = 1}});
  int c = join(g, 4, (int[]){b, max3(g, a), mean, relu_conv(g, a, 12, k3)});
  classify(g, relu_conv(g, c, 9, k3));
  return g;
}

Test(join, branches_that_pool_copy_nothing) {
  espl_graph *g = inception();
  espl_qnet *q = quantized(g);
  cr_assert_eq(copies(g, q), 0);
  on_machines(q);
  espl_qnet_free(q);
  espl_graph_free(g);
}

/* A dense block as exporters write it: each layer joins all values before it. The join before lies inside the next one. */
Test(join, dense_blocks_grow_in_place) {
  espl_graph *g = start(3, 9, 9);
  int part[4] = {relu_conv(g, 0, 32, k3)}, at = part[0];
  for (int k = 1; k < 4; k++) {
    part[k] = conv(g, relu_conv(g, at, 24, k1), 16, k3, false);
    at = join(g, k + 1, part);
  }
  classify(g, op1(g, ESPL_OP_RELU, bn(g, at)));
  espl_qnet *q = quantized(g);
  cr_assert_eq(copies(g, q), 0);
  on_machines(q);
  espl_qnet_free(q);
  espl_graph_free(g);
}

/* The input itself, a value twice, a value of two concatenations: copies of their own; offsets of no multiple: all copies. */
Test(join, what_cannot_lie_in_place_is_copied) {
  espl_graph *g = start(16, 7, 9);
  int a = relu_conv(g, 0, 16, k3), b = relu_conv(g, a, 16, k3);
  int c = join(g, 4, (int[]){0, a, a, b}), d = join(g, 2, (int[]){b, relu_conv(g, c, 16, k1)});
  int e = join(g, 2, (int[]){relu_conv(g, d, 12, k1), relu_conv(g, c, 7, k1)});
  classify(g, e);
  espl_qnet *q = quantized(g);
  cr_assert_eq(copies(g, q), 2 + 1 + 2, "%d copies", copies(g, q));
  on_machines(q);
  espl_qnet_free(q);
  espl_graph_free(g);
}

/* Written as a quantized file and read again: the same slices and integers. */
Test(join, files_keep_slices) {
  espl_graph *made[] = {fires(), inception()};
  for (int k = 0; k < 2; k++) {
    char file[SCRATCH];
    espl_graph *h = NULL;
    espl_qnet *q = quantized(made[k]), *r = NULL;
    scratch_file(file, "espl-join");
    OK(espl_qdq_write(made[k], q, file, &err));
    OK(espl_qdq_read(file, &h, &r, &err));
    cr_assert(q->layers == r->layers && q->tensors == r->tensors, "%d layers, were %d", (int)r->layers, (int)q->layers);
    for (int32_t i = 0; i < q->tensors; i++)
      cr_assert(q->tensor[i].whole == r->tensor[i].whole && q->tensor[i].whole_c == r->tensor[i].whole_c && q->tensor[i].scale == r->tensor[i].scale && q->tensor[i].zero == r->tensor[i].zero, "tensor %d", (int)i);
    for (int32_t i = 0; i < q->layers; i++) {
      const espl_qlayer *a = &q->layer[i], *b = &r->layer[i];
      cr_assert(memcmp(a->par, b->par, (size_t)a->out_c * sizeof *a->par) == 0 && a->zo == b->zo && a->lo == b->lo && a->hi == b->hi, "layer %s", a->name);
    }
    espl_qnet_free(q);
    espl_qnet_free(r);
    espl_graph_free(h);
    espl_graph_free(made[k]);
    cr_assert_eq(remove(file), 0);
  }
}

/* Lives by hand: 0 -> a(1) -> b(2) -> c(3) with a second reader of 1 in layer 2. Three tensors meet at once at most. */
Test(memory, lives_that_do_not_meet_share) {
  espl_qtensor t[5] = {{.shape = {1, 1, 1}}, {.shape = {1, 1, 1}}, {.shape = {1, 1, 1}}, {.shape = {1, 1, 1}}, {.shape = {1, 1, 1}}};
  espl_qlayer l[4] = {{.in = 0, .out = 1, .res = -1}, {.in = 1, .out = 2, .res = -1}, {.in = 2, .out = 3, .res = 1}, {.in = 3, .out = 4, .res = -1}};
  espl_qnet q = {.name = "lives", .tensors = 5, .layers = 4, .tensor = t, .layer = l, .output = 4};
  const uint64_t bytes[5] = {2, 3, 5, 4, 1};
  uint64_t at[5], total;
  espl_err e = {0};
  cr_assert_eq(map_memory_place(&q, bytes, false, at, &total, &e), ESPL_OK, "%s", e.msg);
  cr_assert_eq(total, 12, "layer 2 needs 3 + 5 + 4 at once: %llu", (unsigned long long)total);
  const int first[5] = {-1, 0, 1, 2, 3}, last[5] = {0, 2, 2, 3, 4};
  for (int a = 0; a < 5; a++)
    for (int b = 0; b < a; b++)
      cr_assert(first[a] > last[b] || first[b] > last[a] || at[a] >= at[b] + bytes[b] || at[b] >= at[a] + bytes[a], "tensors %d and %d meet", a, b);
  cr_assert_eq(map_memory_place(&q, bytes, true, at, &total, &e), ESPL_OK, "%s", e.msg);
  cr_assert_eq(total, 15);
}
