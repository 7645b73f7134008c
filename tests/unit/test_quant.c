/* Quantization: multipliers against their closed form, lowering of known networks, integer results against float execution. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "graph/zoo.h"
#include "onnx/onnx.h"
#include "qref.h"
#include "quant/quant_int.h"

/* ---- multipliers ---- */

Test(quant, multiplier_of_powers_of_two_is_exact) {
  espl_err err = {0};
  uint16_t m;
  uint8_t s;
  for (int e = -30; e <= 13; e++) {
    cr_assert_eq(q_multiplier(ldexp(1, e), "l", &m, &s, &err), ESPL_OK);
    cr_assert_eq(m, 32768);
    cr_assert_eq(s, 15 - e);
  }
}

Test(quant, multiplier_is_within_half_a_unit_of_16_bits) {
  espl_err err = {0};
  uint16_t m;
  uint8_t s;
  for (uint64_t i = 0; i < 2000; i++) {
    double v = ldexp(0.5 + 0.5 * (double)espl_rng_unit(1, 2, i), (int)espl_rng_below(1, 3, i, 40) - 26);
    cr_assert_eq(q_multiplier(v, "l", &m, &s, &err), ESPL_OK);
    cr_assert(m >= 32768, "normalised");
    cr_assert(fabs(ldexp(m, -s) - v) <= ldexp(0.5, -s) * 1.000001);
  }
}

Test(quant, tiny_multiplier_stops_at_47_and_huge_is_refused) {
  espl_err err = {0};
  uint16_t m;
  uint8_t s;
  cr_assert_eq(q_multiplier(ldexp(3, -40), "l", &m, &s, &err), ESPL_OK);
  cr_assert_eq(s, 47);
  cr_assert_eq(m, 3 << 7);
  cr_assert_eq(q_multiplier(32768, "deep", &m, &s, &err), ESPL_E_UNSUPPORTED);
  cr_assert(strstr(err.msg, "deep"));
}

Test(quant, residual_shift_stays_in_its_range) {
  espl_err err = {0};
  for (int e = -36; e <= -3; e++)
    for (int er = -20; er <= 6; er++) {
      espl_qparam p = {0};
      double scale = ldexp(0.7, e), value = ldexp(0.9, er);
      cr_assert_eq(q_multiplier(scale, "l", &p.m, &p.s, &err), ESPL_OK);
      cr_assert_eq(q_residual(scale, value, "l", &p, &err), ESPL_OK, "%s", err.msg);
      cr_assert(p.l <= 22 && p.s >= 1 && p.s <= 47);
      double mr = ldexp(p.mr, p.l - p.s), unit = ldexp(1, p.l - p.s);
      cr_assert(fabs(mr - value) <= unit * 0.5000001, "e %d er %d: %g for %g", e, er, mr, value);
      cr_assert(fabs(ldexp(p.m, -p.s) - scale) <= ldexp(0.5, -p.s) * 1.0000001);
    }
}

/* ---- structure ---- */

static espl_qnet *quantized(espl_graph *g) {
  espl_err err = {0};
  espl_qnet *q = NULL;
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  cr_assert_eq(espl_quantize(g, NULL, NULL, &cfg, &q, &err), ESPL_OK, "%s", err.msg);
  return q;
}

Test(quant, resnet8_becomes_eleven_layers) {
  espl_err err = {0};
  espl_graph *g = NULL;
  cr_assert_eq(espl_zoo_resnet8((espl_shape){3, 32, 32}, 10, 1, &g, &err), ESPL_OK, "%s", err.msg);
  espl_qnet *q = quantized(g);
  int residuals = 0;
  int64_t macs = 0;
  for (int32_t i = 0; i < q->layers; i++) {
    residuals += q->layer[i].res >= 0;
    macs += q->layer[i].macs;
    if (q->layer[i].res >= 0) cr_assert(q->layer[i].kh == 3, "the addition goes to the larger convolution");
    if (q->layer[i].res >= 0) cr_assert(q->layer[i].lo == q->layer[i].zo, "ReLU after the addition");
  }
  cr_assert_eq(q->layers, 11, "7 3x3 convolutions, 2 shortcuts, mean, FC: found %d", q->layers);
  cr_assert_eq(residuals, 3);
  cr_assert_eq(macs, espl_graph_macs(g));
  espl_qnet_free(q);
  espl_graph_free(g);
}

Test(quant, image_into_fc_becomes_channels) {
  espl_err err = {0};
  espl_graph *g = NULL;
  cr_assert_eq(espl_zoo_lenet_300_100((espl_shape){1, 28, 28}, 10, 1, &g, &err), ESPL_OK, "%s", err.msg);
  espl_qnet *q = quantized(g);
  cr_assert_eq(q->layers, 3);
  cr_assert_eq(q->tensor[0].shape.c, 784);
  cr_assert_eq(q->layer[0].kh, 1);
  espl_qnet_free(q);
  espl_graph_free(g);
}

/* ---- arithmetic against float ---- */

/* Signal to noise in dB of the dequantized output against float execution, over `images` random inputs. */
static double snr(espl_graph *g, espl_qnet *q, int images) {
  espl_err err = {0};
  espl_exec *x = NULL;
  espl_qexec *qx = NULL;
  int64_t n = espl_shape_elems(g->node[0].shape), k = espl_shape_elems(g->node[g->output].shape);
  float *in = malloc((size_t)n * sizeof *in), *want = malloc((size_t)k * sizeof *want);
  int8_t *a = malloc((size_t)n), *b = malloc((size_t)k);
  cr_assert_eq(espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, 1, &x, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_qexec_new(q, 1, &qx, &err), ESPL_OK, "%s", err.msg);
  double signal = 0, noise = 0;
  for (int i = 0; i < images; i++) {
    for (int64_t j = 0; j < n; j++) in[j] = 4 * espl_rng_unit(9, (uint64_t)i, (uint64_t)j) - 2;
    cr_assert_eq(espl_exec_forward(x, in, want, &err), ESPL_OK, "%s", err.msg);
    espl_qnet_input(q, in, a);
    cr_assert_eq(espl_qexec_run(qx, 1, a, b, &err), ESPL_OK, "%s", err.msg);
    const espl_qtensor *t = &q->tensor[q->output];
    for (int64_t j = 0; j < k; j++) {
      double got = (double)t->scale * (b[j] - t->zero);
      signal += (double)want[j] * want[j];
      noise += (got - (double)want[j]) * (got - (double)want[j]);
    }
  }
  espl_exec_free(x);
  espl_qexec_free(qx);
  free(in);
  free(want);
  free(a);
  free(b);
  return 10 * log10(signal / (noise + 1e-30));
}

Test(quant, integers_follow_float) {
  const char *names[] = {"resnet8", "lenet5"};
  for (int i = 0; i < 2; i++) {
    espl_err err = {0};
    espl_graph *g = NULL;
    cr_assert_eq(espl_zoo_build(names[i], i ? (espl_shape){1, 28, 28} : (espl_shape){3, 32, 32}, 10, 1, &g, &err), ESPL_OK, "%s", err.msg);
    espl_qnet *q = quantized(g);
    double db = snr(g, q, 20);
    cr_assert_gt(db, 22, "%s: %.1f dB", names[i], db);
    espl_qnet_free(q);
    espl_graph_free(g);
  }
}

static int32_t node(espl_graph *g, espl_op op, int32_t a, int32_t b, espl_node proto) {
  espl_err err = {0};
  int32_t id;
  proto.op = op;
  proto.inputs = b >= 0 ? 2 : 1;
  proto.input[0] = a;
  proto.input[1] = b;
  cr_assert_eq(espl_graph_add(g, &proto, &id, &err), ESPL_OK, "%s", err.msg);
  return id;
}

static void param(espl_graph *g, int32_t id, espl_param_kind kind, int dims, const int32_t *dim, float lo, float hi) {
  espl_err err = {0};
  cr_assert_eq(espl_graph_add_param(g, id, kind, NULL, dims, dim, &err), ESPL_OK, "%s", err.msg);
  espl_param *p = g->node[id].param[kind];
  for (int64_t i = 0; i < p->elems; i++) p->value[i] = lo + (hi - lo) * espl_rng_unit(4, (uint64_t)(id * 8 + kind), (uint64_t)i);
}

static int32_t conv(espl_graph *g, int32_t in, int32_t in_c, int32_t out_c, int32_t k, int32_t stride, int32_t groups) {
  espl_conv_attr a = {.kh = k, .kw = k, .sh = stride, .sw = stride, .dh = 1, .dw = 1, .pt = k / 2, .pl = k / 2, .pb = k / 2, .pr = k / 2, .groups = groups};
  int32_t id = node(g, ESPL_OP_CONV, in, -1, (espl_node){.conv = a, .shape = {out_c, 0, 0}});
  param(g, id, ESPL_PARAM_WEIGHT, 4, (int32_t[]){out_c, in_c / groups, k, k}, -0.4f, 0.4f);
  return id;
}

static int32_t batchnorm(espl_graph *g, int32_t in, int32_t c) {
  int32_t id = node(g, ESPL_OP_BATCHNORM, in, -1, (espl_node){.eps = 1e-5f, .bn_momentum = 0.1f});
  param(g, id, ESPL_PARAM_GAMMA, 1, &c, -1.0f, 1.0f);
  param(g, id, ESPL_PARAM_BETA, 1, &c, -1, 1);
  param(g, id, ESPL_PARAM_MEAN, 1, &c, -1, 1);
  param(g, id, ESPL_PARAM_VAR, 1, &c, 0.5f, 2);
  g->node[id].param[ESPL_PARAM_GAMMA]->value[1] = 0; /* its channel is beta alone */
  return id;
}

static int32_t classify(espl_graph *g, int32_t at, int32_t c) {
  int32_t id = node(g, ESPL_OP_GLOBALAVGPOOL, at, -1, (espl_node){0});
  id = node(g, ESPL_OP_FLATTEN, id, -1, (espl_node){0});
  id = node(g, ESPL_OP_GEMM, id, -1, (espl_node){.shape = {7, 1, 1}});
  param(g, id, ESPL_PARAM_WEIGHT, 2, (int32_t[]){7, c}, -1, 1);
  return id;
}

/* Negative and zero BatchNorm scales, depthwise, ReLU6, option-A shortcut, concatenation, a BatchNorm and an addition on their own. */
Test(quant, every_operator_follows_float) {
  espl_graph *g = espl_graph_new("mixed", (espl_shape){3, 12, 12});
  int32_t a = batchnorm(g, conv(g, 0, 3, 16, 3, 1, 1), 16);
  a = node(g, ESPL_OP_CLIP, a, -1, (espl_node){.lo = 0, .hi = 6});
  int32_t d = node(g, ESPL_OP_RELU, batchnorm(g, conv(g, a, 16, 16, 3, 1, 16), 16), -1, (espl_node){0});
  int32_t e = node(g, ESPL_OP_ADD, a, d, (espl_node){0});
  int32_t main = batchnorm(g, conv(g, e, 16, 24, 3, 2, 1), 24);
  int32_t sub = node(g, ESPL_OP_SUBSAMPLE, e, -1, (espl_node){.conv = {.sh = 2, .sw = 2, .kh = 1, .kw = 1, .dh = 1, .dw = 1}});
  int32_t padded = node(g, ESPL_OP_PADCHANNELS, sub, -1, (espl_node){.pad_c0 = 4, .pad_c1 = 4});
  int32_t f = node(g, ESPL_OP_RELU, node(g, ESPL_OP_ADD, main, padded, (espl_node){0}), -1, (espl_node){0});
  int32_t h = node(g, ESPL_OP_CONCAT, f, conv(g, f, 24, 8, 1, 1, 1), (espl_node){0});
  int32_t i = node(g, ESPL_OP_RELU, batchnorm(g, h, 32), -1, (espl_node){0});
  i = node(g, ESPL_OP_MAXPOOL, i, -1, (espl_node){.conv = {.kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1}});
  i = node(g, ESPL_OP_AVGPOOL, i, -1, (espl_node){.conv = {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .dh = 1, .dw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1}});
  classify(g, i, 32);
  espl_err err = {0};
  cr_assert_eq(espl_graph_check(g, &err), ESPL_OK, "%s", err.msg);
  espl_qnet *q = quantized(g);
  double db = snr(g, q, 20);
  cr_assert_gt(db, 22, "%.1f dB", db);
  espl_qnet_free(q);
  espl_graph_free(g);
}

/* ---- bounds, input ---- */

Test(quant, accumulator_bits_of_extremes) {
  int8_t w[4] = {127, 127, 127, 127};
  espl_qparam par = {.s = 1};
  espl_qtensor t[2] = {{.shape = {4, 1, 1}}, {.shape = {1, 1, 1}}};
  espl_qlayer l = {.in = 0, .out = 1, .res = -1, .in_c = 4, .out_c = 1, .kh = 1, .kw = 1, .w = w, .par = &par};
  espl_qnet q = {.tensors = 2, .layers = 1, .tensor = t, .layer = &l};
  cr_assert_eq(espl_qlayer_acc_bits(&q, 0), 17, "4*127*128 = 65024 < 2^16");
  w[0] = 0; /* 3*127*128 = 48768 */
  cr_assert_eq(espl_qlayer_acc_bits(&q, 0), 17);
  w[1] = w[2] = 0; /* -127*128 = -16256 */
  cr_assert_eq(espl_qlayer_acc_bits(&q, 0), 15);
}

Test(quant, input_rounds_half_to_even_and_clamps) {
  espl_qtensor t = {.shape = {5, 1, 1}, .scale = 0.5f, .zero = -3};
  espl_qnet q = {.tensors = 1, .tensor = &t};
  float x[5] = {0.25f, 0.75f, -0.25f, 1000, -1000};
  int8_t y[5], want[5] = {-3, -1, -3, 127, -128};
  espl_qnet_input(&q, x, y);
  cr_assert_eq(memcmp(y, want, 5), 0);
}

/* ---- the CPU evaluation on layers of the sizes that use its wide kernels ---- */

Test(quant, evaluation_equals_the_definition) {
  const int32_t shape[][6] = {{3, 40, 9, 17, 3, 1}, {64, 48, 7, 13, 3, 2}, {17, 33, 5, 9, 1, 1}, {5, 16, 11, 8, 5, 3}, {130, 10, 1, 1, 1, 1}};
  for (int i = 0; i < 5; i++) {
    espl_rng r = {.seed = 8, .stream = (uint64_t)i};
    espl_qtensor t[2] = {{.shape = {shape[i][0], shape[i][2], shape[i][3]}, .zero = qref_in(&r, -128, 127)}, {.scale = 1}};
    espl_qlayer l = {.in = 0, .out = 1, .res = -1, .in_c = shape[i][0], .out_c = shape[i][1], .kh = shape[i][4], .kw = shape[i][4], .sh = shape[i][5], .sw = shape[i][5],
                     .dh = 1, .dw = 1, .groups = 1, .win_h = 1, .win_w = 1, .psy = 1, .psx = 1};
    l.pt = l.pl = l.pb = l.pr = l.kh / 2;
    l.conv_h = (shape[i][2] + 2 * l.pt - l.kh) / l.sh + 1;
    l.conv_w = (shape[i][3] + 2 * l.pl - l.kw) / l.sw + 1;
    t[1].shape = (espl_shape){l.out_c, l.conv_h, l.conv_w};
    espl_qnet q = {.name = "one", .tensors = 2, .layers = 1, .tensor = t, .layer = &l, .output = 1};
    qref_fill(&q, 0, &r, 0, 4);
    int64_t n = espl_shape_elems(t[0].shape), k = espl_shape_elems(t[1].shape);
    int8_t *in = malloc((size_t)(3 * n)), *got = malloc((size_t)(3 * k)), *want = malloc((size_t)k);
    for (int64_t j = 0; j < 3 * n; j++) in[j] = (int8_t)(uint8_t)espl_rng_next(&r);
    espl_err err = {0};
    espl_qexec *x = NULL;
    cr_assert_eq(espl_qexec_new(&q, 3, &x, &err), ESPL_OK, "%s", err.msg);
    cr_assert_eq(espl_qexec_run(x, 3, in, got, &err), ESPL_OK, "%s", err.msg);
    for (int b = 0; b < 3; b++) {
      int8_t *tensor[2] = {in + b * n, want};
      qref_layer(&q, 0, tensor);
      cr_assert_eq(memcmp(want, got + b * k, (size_t)k), 0, "case %d image %d", i, b);
    }
    espl_qexec_free(x);
    free(in);
    free(got);
    free(want);
    free(l.w);
    free(l.par);
    free(l.name);
  }
}
