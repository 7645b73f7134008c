/* Every kind of layer that networks have, from an ONNX file to the machine: the float graph is written and read again, its integers follow the
 * float execution, and the machine's model leaves what the definition of the arithmetic says, on arrays of several shapes. */
#include <math.h>
#include <unistd.h>

#include "../scratch.h"
#include "mapped.h"
#include "nn/nn.h"
#include "nn_graphs.h"
#include "onnx/onnx.h"

/* One convolution under test between a 1x1 one and a sum over the image. */
typedef struct conv_case {
  int32_t in_c, out_c, h, w;
  espl_conv_attr a;
  uint32_t absent_ky, absent_kx; /* rows and columns of the kernel that are zero */
} conv_case;

static espl_graph *graph_of(const conv_case *c) {
  espl_graph *g = start(c->in_c, c->h, c->w);
  int x = conv(g, 0, c->out_c, c->a, true);
  espl_param *p = g->node[x].param[ESPL_PARAM_WEIGHT];
  for (int64_t i = 0; i < p->elems; i++) {
    int64_t tap = i % (c->a.kh * c->a.kw);
    if (c->absent_ky >> (tap / c->a.kw) & 1u || c->absent_kx >> (tap % c->a.kw) & 1u) p->value[i] = 0;
  }
  x = node(g, (espl_node){.op = ESPL_OP_GLOBALAVGPOOL, .inputs = 1, .input = {x}});
  gemm(g, node(g, (espl_node){.op = ESPL_OP_FLATTEN, .inputs = 1, .input = {x}}), 6);
  return g;
}

/* Through a file. */
static espl_graph *reread(espl_graph *g) {
  char file[SCRATCH];
  espl_graph *h = NULL;
  scratch_file(file, "espl-layers");
  OK(espl_graph_check(g, &err));
  OK(espl_onnx_write(g, file, &err));
  OK(espl_onnx_read(file, &h, &err));
  cr_assert_eq(remove(file), 0);
  espl_graph_free(g);
  return h;
}

static espl_qnet *quantized(espl_graph *g) {
  espl_qnet *q = NULL;
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  OK(espl_quantize(g, NULL, NULL, &cfg, &q, &err));
  return q;
}

/* Largest difference between the value of tensor `t` by the definition and in float execution, in steps of its scale. */
static double worst_steps(espl_graph *g, const espl_qnet *q, int32_t t, uint64_t seed) {
  espl_exec *x = NULL;
  int64_t n = espl_shape_elems(q->tensor[0].shape), k = espl_shape_elems(q->tensor[t].shape);
  float *in = malloc((size_t)n * sizeof *in), *out = malloc(4096), *want = malloc((size_t)k * sizeof *want);
  int8_t **v = mapped_tensors(q);
  for (int64_t j = 0; j < n; j++) in[j] = 4 * espl_rng_unit(seed, 1, (uint64_t)j) - 2;
  espl_qnet_input(q, in, v[0]);
  for (int64_t j = 0; j < n; j++) in[j] = q->tensor[0].scale * (float)(v[0][j] - q->tensor[0].zero);
  mapped_reference(q, v);
  OK(espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, 1, &x, &err));
  OK(espl_exec_keep(x, q->tensor[t].node, &err));
  OK(espl_exec_forward(x, in, out, &err));
  OK(espl_exec_value(x, q->tensor[t].node, want, &err));
  double worst = 0;
  const espl_qtensor *qt = &q->tensor[t];
  for (int64_t j = 0; j < k; j++) {
    double y = fmin(fmax((double)want[j] / qt->scale + qt->zero, -128), 127);
    worst = fmax(worst, fabs(y - v[t][j]));
  }
  espl_exec_free(x);
  mapped_tensors_free(q, v);
  free(in);
  free(out);
  free(want);
  return worst;
}

static void on_machine(const espl_qnet *q, int which, uint64_t seed) {
  const int32_t size[][2] = {{16, 16}, {4, 4}, {8, 16}, {16, 4}};
  char name[32];
  snprintf(name, sizeof name, "%dx%d", (int)size[which][0], (int)size[which][1]);
  espl_machine m = mapped_machine(name, size[which][0], size[which][1]);
  if (which == 1) m.dw_banks = 0, m.idx_aw = 0, m.acc_aw = 9;
  mapped_check(q, &m, true, seed);
}

/* The convolution's own rounding is half a step; its weights' is what 8 bits leave over the products of a sum. */
static void check_case(const conv_case *c, uint64_t seed) {
  espl_graph *g = reread(graph_of(c));
  espl_qnet *q = quantized(g);
  double products = (double)(c->in_c / c->a.groups) * c->a.kh * c->a.kw;
  double steps = worst_steps(g, q, q->layer[0].out, seed);
  cr_assert_lt(steps, 4 + 0.3 * sqrt(products), "%dx%d/%d,%d dilation %d,%d pads %d,%d,%d,%d groups %d: %.2f steps", c->a.kh, c->a.kw, c->a.sh, c->a.sw, c->a.dh, c->a.dw, c->a.pt, c->a.pl,
               c->a.pb, c->a.pr, c->a.groups, steps);
  for (int k = 0; k < 4; k++) on_machine(q, k, seed);
  espl_qnet_free(q);
  espl_graph_free(g);
}

/* Kernels 1x1 to 11x11, strides 1 to 4, padding up to the kernel's reach, every side its own. */
Test(layers, kernels_and_strides) {
  for (int32_t k = 1; k <= 11; k++)
    for (int32_t s = 1; s <= 4; s++) {
      int32_t kw = (k * 3 + s) % 11 + 1;
      conv_case c = {.in_c = 5 + k, .out_c = 7 + 3 * s, .h = 13 + k, .w = 12 + s};
      c.a = (espl_conv_attr){.kh = k, .kw = kw, .sh = s, .sw = 1 + (s + k) % 4, .dh = 1, .dw = 1, .groups = 1, .pt = s % k, .pl = (k + s) % kw, .pb = (k * s) % k, .pr = k % kw};
      check_case(&c, (uint64_t)(16 * k + s));
    }
}

Test(layers, dilations) {
  for (int32_t d = 2; d <= 6; d++)
    for (int32_t k = 2; k <= 5; k++) {
      int32_t e = 1 + (d + k) % 3, reach = d * (k - 1), across = e * (7 - k - 1);
      conv_case c = {.in_c = 3 + d, .out_c = 18 - k, .h = 15, .w = 17};
      c.a = (espl_conv_attr){.kh = k, .kw = 7 - k, .sh = 1 + d % 2, .sw = 1 + k % 2, .dh = d, .dw = e, .groups = 1, .pt = reach / 2, .pb = reach - reach / 3, .pl = across, .pr = 1};
      check_case(&c, (uint64_t)(32 * d + k));
    }
}

/* Every group count of 48 channels, dense to depthwise, alike on machines with and without native depthwise. */
Test(layers, groups) {
  for (int32_t n = 1; n <= 48; n++) {
    if (48 % n) continue;
    conv_case c = {.in_c = 48, .out_c = n % 2 ? 48 : 96, .h = 9, .w = 8, .a = {.kh = 3, .kw = 3, .sh = 1, .sw = 1 + n % 2, .dh = 1, .dw = 1, .pt = 1, .pl = 0, .pb = 2, .pr = 1, .groups = n}};
    check_case(&c, (uint64_t)n);
    c.out_c = 48;
    check_case(&c, (uint64_t)(100 + n));
  }
}

/* Depthwise with kernels, strides and dilations that native passes take and that they do not. */
Test(layers, depthwise) {
  const int32_t t[][7] = {{1, 1, 1, 1, 1, 1, 20}, {2, 5, 1, 2, 1, 1, 16}, {5, 5, 2, 2, 1, 1, 33}, {7, 7, 1, 1, 1, 1, 8}, {11, 11, 4, 4, 1, 1, 20}, {9, 3, 3, 1, 1, 2, 17},
                          {3, 3, 1, 1, 2, 2, 24}, {3, 3, 1, 1, 4, 4, 16}, {3, 5, 2, 1, 3, 5, 16}, {4, 4, 1, 3, 5, 6, 18}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    int32_t kh = t[i][0], kw = t[i][1], dh = t[i][4], dw = t[i][5], ch = t[i][6];
    conv_case c = {.in_c = ch, .out_c = ch, .h = 14, .w = 19};
    c.a = (espl_conv_attr){.kh = kh, .kw = kw, .sh = t[i][2], .sw = t[i][3], .dh = dh, .dw = dw, .groups = ch, .pt = (kh - 1) * dh / 2, .pb = (kh - 1) * dh, .pl = (kw - 1) * dw, .pr = (kw - 1) * dw / 2};
    check_case(&c, (uint64_t)i);
  }
}

/* Zero kernel rows and columns are absent from the loops, wherever they lie. */
Test(layers, absent_rows_and_columns) {
  const uint32_t t[][4] = {{5, 5, 0x11, 0x11}, {5, 5, 0x0a, 0}, {3, 7, 0x2, 0x3e}, {11, 3, 0x5ff, 0}, {7, 7, 0x7f, 0}, {4, 4, 0x1, 0x8}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    int32_t kh = (int32_t)t[i][0], kw = (int32_t)t[i][1];
    conv_case c = {.in_c = 19, .out_c = 21, .h = 12, .w = 11, .absent_ky = t[i][2], .absent_kx = t[i][3]};
    c.a = (espl_conv_attr){.kh = kh, .kw = kw, .sh = 1 + (int32_t)i % 2, .sw = 1, .dh = 1, .dw = 1, .groups = 1, .pt = kh / 2, .pl = kw / 2, .pb = kh / 2, .pr = kw / 2};
    check_case(&c, 500 + i);
  }
}

/* First layers of few channels whose image is larger than the activation buffer: folded all the same, tile by tile of whole rows. */
Test(layers, folded_images_in_tiles) {
  const int32_t t[][10] = {/* channels, kernel, stride, padding, image, act_aw, acc_aw, pooling window, its stride, R */
                           {3, 7, 2, 3, 61, 13, 10, 0, 0, 16}, {3, 7, 2, 3, 61, 13, 10, 3, 2, 16}, {1, 5, 1, 2, 47, 12, 6, 0, 0, 16}, {4, 3, 1, 0, 40, 12, 5, 2, 2, 8},
                           {2, 11, 4, 5, 90, 14, 9, 3, 2, 8},  {3, 3, 2, 1, 75, 12, 7, 0, 0, 16}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    const int32_t *v = t[i];
    espl_graph *g = start(v[0], v[4], v[4] + (int32_t)i % 3);
    int x = conv(g, 0, 19, (espl_conv_attr){.kh = v[1], .kw = v[1], .sh = v[2], .sw = v[2], .pt = v[3], .pl = v[3], .pb = v[3], .pr = v[3], .dh = 1, .dw = 1, .groups = 1}, true);
    x = node(g, (espl_node){.op = ESPL_OP_RELU, .inputs = 1, .input = {x}});
    if (v[7]) x = node(g, (espl_node){.op = ESPL_OP_MAXPOOL, .inputs = 1, .input = {x}, .conv = {.kh = v[7], .kw = v[7], .sh = v[8], .sw = v[8], .dh = 1, .dw = 1, .groups = 1}});
    x = conv(g, x, 8, (espl_conv_attr){.kh = 3, .kw = 3, .sh = 4, .sw = 4, .dh = 1, .dw = 1, .groups = 1}, true);
    gemm(g, node(g, (espl_node){.op = ESPL_OP_FLATTEN, .inputs = 1, .input = {x}}), 4);
    OK(espl_graph_check(g, &err));
    espl_qnet *q = quantized(g);
    espl_machine m = mapped_machine("folding", v[9], v[9]), plain;
    m.act_aw = v[5];
    m.acc_aw = v[6];
    plain = m;
    plain.fold = 0;
    map_geom geom;
    OK(map_geom_init(&geom, q, 0, &m, -1, &err));
    cr_assert(geom.fold && (int64_t)geom.plane_words * geom.g > 1 << m.act_aw, "case %zu: folded %d, %d words", i, geom.fold, (int)geom.plane_words);
    map_geom_clear(&geom);
    uint64_t folded = mapped_check(q, &m, true, 900 + i), unfolded = mapped_check(q, &plain, true, 900 + i);
    cr_assert_lt(folded, unfolded, "case %zu: %llu cycles folded, %llu without", i, (unsigned long long)folded, (unsigned long long)unfolded);
    espl_qnet_free(q);
    espl_graph_free(g);
  }
}

/* The mean over an image of more pixels than an accumulator bank: summed in the array block by block, every bit that of the average. */
Test(layers, means_over_large_images) {
  const int32_t t[][8] = {/* channels, height, width, acc_aw, act_aw, wgt_aw, R, C */
                          {20, 33, 35, 10, 16, 16, 16, 16}, {35, 17, 16, 7, 11, 12, 8, 16}, {9, 1, 300, 8, 16, 16, 4, 4}, {40, 40, 23, 8, 12, 16, 16, 4},
                          {18, 70, 5, 6, 11, 13, 32, 32}, {5, 100, 90, 10, 16, 16, 16, 16}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++)
    for (int dw = 0; dw < 2; dw++) {
      const int32_t *v = t[i];
      espl_graph *g = start(3, v[1], v[2]);
      int x = node(g, (espl_node){.op = ESPL_OP_RELU, .inputs = 1, .input = {conv(g, 0, v[0], (espl_conv_attr){.kh = 1, .kw = 1}, true)}});
      x = node(g, (espl_node){.op = ESPL_OP_GLOBALAVGPOOL, .inputs = 1, .input = {x}});
      gemm(g, node(g, (espl_node){.op = ESPL_OP_FLATTEN, .inputs = 1, .input = {x}}), 4);
      OK(espl_graph_check(g, &err));
      espl_qnet *q = quantized(g);
      cr_assert(q->layers == 3 && q->layer[1].pool == ESPL_QPOOL_AVG, "a large mean is a layer of its own");
      espl_machine m = mapped_machine("means", v[6], v[7]);
      m.acc_aw = v[3];
      m.act_aw = v[4];
      m.wgt_aw = v[5];
      m.dw_banks = dw ? m.dw_banks : 0;
      if (!dw) m.fold = 0;
      if (i == 1) m.acc_banks = 1;
      map_geom geom;
      OK(map_geom_init(&geom, q, 1, &m, -1, &err));
      cr_assert(geom.mean);
      map_geom_clear(&geom);
      mapped_check(q, &m, true, 700 + i);
      mapped_batch(q, &m, 2, false, 800 + i);
      espl_qnet_free(q);
      espl_graph_free(g);
    }
}
