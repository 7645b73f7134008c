/* Cross-layer equalization: the network computes what it did, magnitudes meet at sqrt(r1*r2), pairs end where they must, integers gain. */
#include <math.h>
#include <stdlib.h>

#include "graph/zoo.h"
#include "nn/nn.h"
#include "nn_graphs.h"
#include "quant/equalize.h"
#include "quant/qnet.h"

enum { BATCH = 4 };

/* Outputs of g for BATCH random images; free() them. */
static float *outputs(espl_graph *g) {
  int64_t in = espl_shape_elems(g->node[0].shape), n = espl_shape_elems(g->node[g->output].shape);
  float *x = malloc((size_t)(BATCH * in) * sizeof *x), *y = malloc((size_t)(BATCH * n) * sizeof *y);
  for (int64_t i = 0; i < BATCH * in; i++) x[i] = espl_rng_normal(5, 6, (uint64_t)i);
  espl_exec *e = NULL;
  OK(espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, BATCH, &e, &err));
  OK(espl_exec_forward(e, x, y, &err));
  espl_exec_free(e);
  free(x);
  return y;
}

/* Equalizes g and expects its outputs to stay, within 1e-5 of the largest. */
static espl_equalized equalize_exactly(espl_graph *g) {
  int64_t n = BATCH * espl_shape_elems(g->node[g->output].shape);
  espl_equalized e;
  float *before = outputs(g), top = 0, most = 0;
  OK(espl_equalize(g, &e, &err));
  float *after = outputs(g);
  for (int64_t i = 0; i < n; i++) {
    top = fmaxf(top, fabsf(before[i]));
    most = fmaxf(most, fabsf(before[i] - after[i]));
  }
  cr_expect_leq(most, 1e-5f * fmaxf(1, top), "outputs move by %g of %g", (double)most, (double)top);
  cr_expect_gt(top, 0);
  free(before);
  free(after);
  return e;
}

/* Channels of every BatchNorm and bias of very different size, as after real training. */
static void make_uneven(espl_graph *g) {
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = ESPL_PARAM_BIAS; k <= ESPL_PARAM_VAR; k++) {
      espl_param *p = g->node[i].param[k];
      for (int64_t j = 0; p && j < p->elems; j++) {
        float r = espl_rng_normal(9, (uint64_t)(i * 8 + k), (uint64_t)j);
        p->value[j] = k == ESPL_PARAM_GAMMA ? expf(1.5f * r) * (j % 5 ? 1 : -1) : k == ESPL_PARAM_VAR ? 0.2f + r * r : 0.3f * r;
      }
    }
}

Test(equalize, networks_of_ours_compute_the_same) {
  static const struct { const char *name; espl_shape in; int32_t pairs; } nets[] = {
      {"mobilenetv1-025", {3, 32, 32}, 27}, /* stem, 13 times depthwise and pointwise: each to the next, the last one through the mean to the classes */
      {"ds-cnn", {1, 49, 10}, 9},           /* stem and four times two layers, classes */
      {"vgg-small", {3, 32, 32}, 6},        /* six convolutions, classes */
      {"lenet5", {1, 28, 28}, 2},
      {"resnet20", {3, 32, 32}, 9},         /* inside the blocks only: sums end a chain */
      {"mobilenetv2-small", {3, 32, 32}, 0}}; /* ReLU6 everywhere but behind the narrow layers, and sums there */
  for (size_t k = 0; k < sizeof nets / sizeof *nets; k++) {
    espl_graph *g = NULL;
    memset(&err, 0, sizeof err);
    OK(espl_zoo_build(nets[k].name, nets[k].in, 10, 1, &g, &err));
    make_uneven(g);
    espl_equalized e = equalize_exactly(g);
    if (k < 5) cr_expect_eq(e.pairs, nets[k].pairs, "%s: %d pairs", nets[k].name, e.pairs);
    if (e.pairs) cr_expect(e.before > e.after && e.rounds > 1 && e.rounds <= 100, "%s: %g to %g in %d rounds", nets[k].name, e.before, e.after, e.rounds);
    espl_graph_free(g);
  }
}

/* MobileNetV2 with ReLU for ReLU6: stem, then expansion to depthwise and depthwise to projection of every block, and the last 1x1 through the mean to
 * the classes; a sum ends a chain, and behind a projection without one the next expansion follows. */
Test(equalize, opened_clamps_make_pairs) {
  espl_graph *g = NULL;
  memset(&err, 0, sizeof err);
  OK(espl_zoo_build("mobilenetv2-small", (espl_shape){3, 32, 32}, 10, 1, &g, &err));
  make_uneven(g);
  int32_t clip = 0;
  for (int32_t i = 0; i < g->nodes; i++) clip += g->node[i].op == ESPL_OP_CLIP;
  cr_expect_eq(espl_open_clamps(g), clip);
  cr_expect_eq(clip, 16);
  cr_expect_eq(espl_open_clamps(g), 0);
  espl_equalized e = equalize_exactly(g);
  cr_expect_eq(e.pairs, 15);
  cr_expect(e.before > 1.5 * e.after, "%g to %g", e.before, e.after);
  espl_graph_free(g);
}

Test(equalize, two_layers_meet_at_the_geometric_mean) {
  espl_graph *g = start(3, 6, 6);
  int a = conv(g, 0, 4, k3, true), b = conv(g, op(g, ESPL_OP_RELU, a), 5, k3, true);
  espl_param *wa = g->node[a].param[ESPL_PARAM_WEIGHT], *wb = g->node[b].param[ESPL_PARAM_WEIGHT];
  for (int j = 0; j < 27; j++) wa->value[3 * 27 + j] = 0; /* a channel without weights stays as it is */
  float r[2][4] = {{0}}, kept = g->node[a].param[ESPL_PARAM_BIAS]->value[3];
  for (int c = 0; c < 4; c++) {
    for (int j = 0; j < 27; j++) r[0][c] = fmaxf(r[0][c], fabsf(wa->value[c * 27 + j]));
    for (int j = 0; j < 45; j++) r[1][c] = fmaxf(r[1][c], fabsf(wb->value[(j / 9 * 4 + c) * 9 + j % 9]));
  }
  espl_equalized e = equalize_exactly(g);
  cr_assert_eq(e.pairs, 1);
  for (int c = 0; c < 3; c++) {
    float got[2] = {0, 0}, want = sqrtf(r[0][c] * r[1][c]);
    for (int j = 0; j < 27; j++) got[0] = fmaxf(got[0], fabsf(wa->value[c * 27 + j]));
    for (int j = 0; j < 45; j++) got[1] = fmaxf(got[1], fabsf(wb->value[(j / 9 * 4 + c) * 9 + j % 9]));
    cr_expect_float_eq(got[0], want, 1e-5f * want, "channel %d: %g of %g", c, (double)got[0], (double)want);
    cr_expect_float_eq(got[1], want, 1e-5f * want);
  }
  cr_expect_eq(g->node[a].param[ESPL_PARAM_BIAS]->value[3], kept);
  espl_graph_free(g);
}

Test(equalize, grouped_layers_and_flattened_images) {
  espl_graph *g = start(4, 6, 6);
  espl_conv_attr groups = k3;
  groups.groups = 2;
  int a = conv(g, 0, 8, k3, true), b = conv(g, op(g, ESPL_OP_RELU, bn(g, a)), 8, groups, false);
  gemm(g, op(g, ESPL_OP_FLATTEN, pool(g, ESPL_OP_MAXPOOL, op(g, ESPL_OP_RELU, bn(g, b)), 2, 2, 0, 0, false)), 3);
  cr_expect_eq(equalize_exactly(g).pairs, 2);
  espl_graph_free(g);
}

Test(equalize, chains_end_at_clamps_sums_and_second_readers) {
  espl_graph *g = start(4, 6, 6);
  int a = conv(g, 0, 4, k3, true);
  int six = op(g, ESPL_OP_CLIP, a);
  int b = conv(g, six, 4, k3, true), r = op(g, ESPL_OP_RELU, b);
  add(g, conv(g, r, 4, k3, true), conv(g, r, 4, k3, false)); /* two readers of r */
  conv(g, op(g, ESPL_OP_RELU, g->output), 2, k3, false);      /* behind a sum */
  cr_expect_eq(equalize_exactly(g).pairs, 0);
  espl_graph_free(g);
}

Test(equalize, parameters_that_are_not_finite_are_refused) {
  espl_graph *g = start(3, 6, 6);
  int a = conv(g, 0, 4, k3, true);
  conv(g, op(g, ESPL_OP_RELU, a), 4, k3, true);
  g->node[a].param[ESPL_PARAM_WEIGHT]->value[5] = INFINITY;
  float was = g->node[a].param[ESPL_PARAM_WEIGHT]->value[4];
  cr_expect_eq(espl_equalize(g, NULL, &err), ESPL_E_FAILED);
  cr_expect(strstr(err.msg, "not finite"), "%s", err.msg);
  cr_expect_eq(g->node[a].param[ESPL_PARAM_WEIGHT]->value[4], was);
  espl_graph_free(g);
}

/* Mean square error of the integer logits against the float ones, random images, over the mean square of the float ones. */
static double integer_error(espl_graph *g, bool one_scale) {
  espl_quant_config c;
  espl_qnet *q = NULL;
  espl_qexec *x = NULL;
  espl_preprocess pp;
  espl_quant_default(&c);
  c.one_scale = one_scale;
  espl_preprocess_default(&pp);
  OK(espl_quantize(g, NULL, &pp, &c, &q, &err));
  OK(espl_qexec_new(q, BATCH, &x, &err));
  int64_t in = espl_shape_elems(g->node[0].shape), n = BATCH * espl_shape_elems(g->node[g->output].shape);
  float *image = malloc((size_t)in * sizeof *image), *want = outputs(g);
  int8_t *bytes = malloc((size_t)(BATCH * in)), *got = malloc((size_t)n);
  for (int b = 0; b < BATCH; b++) {
    for (int64_t i = 0; i < in; i++) image[i] = espl_rng_normal(5, 6, (uint64_t)(b * in + i));
    espl_qnet_input(q, image, bytes + b * in);
  }
  OK(espl_qexec_run(x, BATCH, bytes, got, &err));
  double off = 0, all = 0;
  for (int64_t i = 0; i < n; i++) {
    double v = (double)q->tensor[q->output].scale * (got[i] - q->tensor[q->output].zero);
    off += (v - (double)want[i]) * (v - (double)want[i]);
    all += (double)want[i] * (double)want[i];
  }
  for (int32_t k = 0; one_scale && k < q->layers; k++) /* one scale it is */
    for (int32_t o = 1; q->layer[k].w && o < q->layer[k].out_c; o++) cr_expect_float_eq(q->layer[k].wscale[o], q->layer[k].wscale[0], 1e-6f * q->layer[k].wscale[0]);
  free(image);
  free(want);
  free(bytes);
  free(got);
  espl_qexec_free(x);
  espl_qnet_free(q);
  return off / all;
}

/* BatchNorm `norm` gives channel c times 2^(c % 5 - 2) of what it gave, the weights of `next` that read it take that back. */
static void make_lopsided(espl_graph *g, int norm, int next) {
  espl_param *w = g->node[next].param[ESPL_PARAM_WEIGHT];
  int64_t taps = w->elems / w->dim[0] / w->dim[1];
  for (int32_t c = 0; c < g->node[norm].shape.c; c++) {
    g->node[norm].param[ESPL_PARAM_GAMMA]->value[c] *= ldexpf(1, c % 5 * 2 - 4);
    g->node[norm].param[ESPL_PARAM_BETA]->value[c] *= ldexpf(1, c % 5 * 2 - 4);
  }
  for (int64_t k = 0; k < w->elems; k++) {
    int64_t c = w->dim[1] == 1 ? k / taps : k / taps % w->dim[1]; /* depthwise, or all channels */
    w->value[k] *= ldexpf(1, 4 - (int)(c % 5) * 2);
  }
}

Test(equalize, uneven_depthwise_network_gains_with_one_scale_a_layer) {
  espl_graph *g = start(3, 12, 12);
  espl_conv_attr depth = k3, one = {.kh = 1, .kw = 1};
  depth.groups = 8;
  int n1 = bn(g, conv(g, 0, 8, k3, false)), c2 = conv(g, op(g, ESPL_OP_RELU, n1), 8, depth, false), n2 = bn(g, c2);
  int c3 = conv(g, op(g, ESPL_OP_RELU, n2), 8, one, false), n3 = bn(g, c3);
  gemm(g, op(g, ESPL_OP_FLATTEN, op(g, ESPL_OP_GLOBALAVGPOOL, op(g, ESPL_OP_RELU, n3))), 5);
  double even = integer_error(g, true);
  make_lopsided(g, n1, c2);
  make_lopsided(g, n2, c3);
  double lopsided = integer_error(g, true), channel = integer_error(g, false);
  equalize_exactly(g);
  double after = integer_error(g, true);
  cr_expect_gt(lopsided, 2 * even, "error %g of the even network, %g lopsided", even, lopsided);
  cr_expect_lt(after, lopsided / 2, "error %g, %g equalized; %g of the even network, %g with a scale a channel", lopsided, after, even, channel);
  espl_graph_free(g);
}
