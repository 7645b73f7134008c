/* Float execution and training: every operator's forward, in both modes and with every value kept, against a plain
 * double-precision interpreter (nn_check.h); every gradient against central differences of that interpreter. */
#include "graph/zoo.h"
#include "nn_check.h"

/* Each operator under test has a convolution in front, whose weight gradient proves the operator's input gradient. */
static const struct {
  const char *what;
  int in, out;
  espl_conv_attr a;
  bool bias;
} convs[] = {
    {"3x3, 3 channels in", 3, 16, {.kh = 3, .kw = 3, .pt = 1, .pl = 1, .pb = 1, .pr = 1}, true},
    {"odd channel counts", 5, 7, {.kh = 3, .kw = 3, .pt = 1, .pl = 1, .pb = 1, .pr = 1}, false},
    {"blocked channels", 16, 32, {.kh = 3, .kw = 3, .pt = 1, .pl = 1, .pb = 1, .pr = 1}, true},
    {"channels past one block", 20, 35, {.kh = 3, .kw = 3, .pt = 1, .pl = 1, .pb = 1, .pr = 1}, true},
    {"1x1", 16, 24, {.kh = 1, .kw = 1}, false},
    {"1x1, several blocks each way", 40, 50, {.kh = 1, .kw = 1}, false},
    {"1x1 stride 2", 16, 32, {.kh = 1, .kw = 1, .sh = 2, .sw = 2}, true},
    {"stride 2, padding on one side", 16, 16, {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .pb = 1, .pr = 1}, true},
    {"3x4 kernel, asymmetric padding", 16, 16, {.kh = 3, .kw = 4, .pt = 2, .pl = 1, .pb = 0, .pr = 2}, true},
    {"2x1 kernel, padding above the kernel", 4, 6, {.kh = 2, .kw = 1, .pt = 1, .pl = 0, .pb = 2, .pr = 1}, false},
    {"dilation", 8, 8, {.kh = 3, .kw = 3, .dh = 2, .dw = 2, .pt = 2, .pl = 2, .pb = 2, .pr = 2}, true},
    {"rectangular stride", 6, 6, {.kh = 3, .kw = 5, .sh = 2, .sw = 1, .pt = 1, .pl = 2, .pb = 1, .pr = 2}, true},
    {"two groups", 8, 12, {.kh = 3, .kw = 3, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .groups = 2}, true},
    {"depthwise, 16 channels", 16, 16, {.kh = 3, .kw = 3, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .groups = 16}, true},
    {"depthwise stride 2, 5 channels", 5, 5, {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .groups = 5}, false},
};

Test(nn, convolutions) {
  for (size_t i = 0; i < sizeof convs / sizeof convs[0]; i++) {
    espl_graph *g = start(3, 7, 8);
    int a = conv(g, 0, convs[i].in, k3, false);
    conv(g, a, convs[i].out, convs[i].a, convs[i].bias);
    check_all(g);
  }
}

/* bfloat16 gradients of narrow convolutions, which take another path than wide ones, against float32's: 2^-8 relative an element. */
Test(nn, bfloat16_weight_gradients_of_narrow_layers) {
  if (!espl_has_bf16()) cr_skip_test("no native bfloat16 here");
  for (int c = 3; c <= 20; c++) {
    espl_graph *g = start(3, 16, 16);
    int id = conv(g, conv(g, 0, c, k3, false), c, k3, true);
    float *input, *out = calloc((size_t)BATCH * (size_t)c * 256, sizeof *out);
    double **v = values(g, &input), diff = 0.0, size = 0.0;
    const espl_param *w = g->node[id].param[ESPL_PARAM_WEIGHT];
    float *first = calloc((size_t)w->elems, sizeof *first);
    for (int type = ESPL_F32; type <= ESPL_BF16; type++) {
      espl_exec *x;
      OK(espl_exec_new(g, ESPL_MODE_TRAIN, (espl_dtype)type, BATCH, &x, &err));
      OK(espl_exec_forward(x, input, out, &err));
      for (int i = 0; i < BATCH * c * 256; i++) out[i] = (float)((i * 37) % 64 - 32) / 64.0f; /* exact in bfloat16 */
      OK(espl_exec_backward(x, out, &err));
      for (int64_t i = 0; i < w->elems; i++) {
        if (type == ESPL_F32) first[i] = w->grad[i];
        diff += type == ESPL_F32 ? 0.0 : pow((double)(w->grad[i] - first[i]), 2);
        size += type == ESPL_F32 ? pow((double)w->grad[i], 2) : 0.0;
      }
      espl_exec_free(x);
    }
    cr_expect_lt(sqrt(diff / size), 0.02, "%d channels: %g", c, sqrt(diff / size));
    free(first);
    free(out);
    free_values(g, v, input);
    espl_graph_free(g);
  }
}

Test(nn, large_enough_for_all_threads) {
  espl_graph *g = start(16, 30, 30);
  op(g, ESPL_OP_RELU, bn(g, conv(g, 0, 32, k3, true)));
  cr_assert_gt(espl_graph_macs(g) * BATCH, 8000000);
  check_mode(g, ESPL_MODE_INFER, ESPL_F32, true, 2e-5);
  check_mode(g, ESPL_MODE_TRAIN, ESPL_F32, false, 2e-5);
  espl_graph_free(g);
}

Test(nn, convolution_with_activation) {
  espl_graph *g = start(4, 6, 6);
  int a = op(g, ESPL_OP_RELU, conv(g, 0, 16, k3, true));
  op(g, ESPL_OP_CLIP, conv(g, a, 10, k3, true));
  check_all(g);
}

Test(nn, batch_norm_alone_and_with_relu) {
  for (int c = 13; c <= 32; c += 19) {
    espl_graph *g = start(3, 5, 6);
    int a = op(g, ESPL_OP_RELU, bn(g, conv(g, 0, c, k3, true)));
    bn(g, conv(g, a, c, k3, false));
    check_all(g);
  }
}

Test(nn, batch_norm_with_clip_and_before_convolution) {
  espl_graph *g = start(16, 5, 5);
  int a = op(g, ESPL_OP_CLIP, bn(g, 0));
  op(g, ESPL_OP_RELU, bn(g, op(g, ESPL_OP_RELU, conv(g, a, 8, k3, true))));
  check_all(g);
}

Test(nn, residual_blocks) {
  espl_graph *g = start(3, 6, 6);
  int a = op(g, ESPL_OP_RELU, bn(g, conv(g, 0, 16, k3, false)));
  int b = bn(g, conv(g, op(g, ESPL_OP_RELU, bn(g, conv(g, a, 16, k3, false))), 16, k3, false));
  int c = op(g, ESPL_OP_RELU, add(g, b, a));
  espl_conv_attr half = k3, point1 = {.kh = 1, .kw = 1, .sh = 2, .sw = 2};
  half.sh = half.sw = 2;
  int d = bn(g, conv(g, c, 32, half, false)), e = bn(g, conv(g, c, 32, point1, false));
  add(g, d, e); /* two batch norms share one gradient tensor */
  check_all(g);
}

/* Batch norms of a plan that run as our own operator, with the sum they hold. */
static void count_norms(espl_graph *g, int *own, int *sums) {
  espl_exec *x;
  OK(espl_exec_new(g, ESPL_MODE_TRAIN, ESPL_F32, BATCH, &x, &err));
  *own = *sums = 0;
  for (int i = 0; i < x->groups; i++) {
    *own += x->group[i].norm.bn != NULL;
    *sums += x->group[i].norm.bn != NULL && x->group[i].sum >= 0;
  }
  espl_exec_free(x);
}

/* Sum behind a batch norm, activation behind it or not, its value read once, twice and three times; 17 channels leave empty lanes. */
Test(nn, batch_norm_with_a_sum_behind_it) {
  for (int act = 0; act < 3; act++)
    for (int readers = 1; readers <= 3; readers++) {
      espl_graph *g = start(3, 4, 4);
      int a = conv(g, 0, 17, k3, false), b = bn(g, conv(g, a, 17, k3, false)), own, sums;
      int c = add(g, readers == 2 ? a : b, readers == 2 ? b : a);
      if (act) c = op(g, act == 1 ? ESPL_OP_RELU : ESPL_OP_CLIP, c);
      int d = bn(g, conv(g, c, 17, k3, false));
      if (readers > 1) d = add(g, d, c);
      if (readers > 2) d = add(g, conv(g, c, 17, k3, false), d);
      conv(g, op(g, ESPL_OP_CLIP, d), 8, k3, false);
      count_norms(g, &own, &sums);
      cr_expect(own == 0 || own == 2, "%d of 2 batch norms are our own", own);
      if (own) cr_expect_eq(sums, readers > 1 ? 2 : 1, "%d sums with %d readers", sums, readers);
      check_all(g);
    }
}

/* A clamp that does not map 0 to 0 would fill empty lanes: the library's batch norm takes it, also with a sum in between. */
Test(nn, batch_norm_with_a_clamp_away_from_zero) {
  for (int sum = 0; sum < 2; sum++) {
    espl_graph *g = start(3, 5, 5);
    int a = conv(g, 0, 20, k3, false), b = bn(g, conv(g, a, 20, k3, false)), own, sums;
    if (sum) b = add(g, b, a);
    b = node(g, (espl_node){.op = ESPL_OP_CLIP, .inputs = 1, .input = {b}, .lo = 0.1f, .hi = 0.9f});
    conv(g, b, 6, k3, false);
    count_norms(g, &own, &sums);
    cr_expect_eq(own, 0);
    check_all(g);
  }
}

Test(nn, one_value_read_many_times) {
  espl_graph *g = start(3, 5, 5);
  int a = conv(g, 0, 8, k3, true);
  int twice = add(g, a, a);
  int b = add(g, op(g, ESPL_OP_RELU, twice), a);
  add(g, add(g, b, twice), conv(g, a, 8, k3, false));
  check_all(g);
}

/* In front of a convolution, behind one, and where nothing else could take it in. */
Test(nn, smooth_activations) {
  static const espl_op ops[] = {ESPL_OP_LEAKYRELU, ESPL_OP_SIGMOID, ESPL_OP_TANH, ESPL_OP_HARDSWISH};
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    espl_graph *g = start(3, 5, 6);
    int a = node(g, (espl_node){.op = ops[i], .inputs = 1, .input = {conv(g, 0, 10, k3, true)}, .alpha = 0.125f});
    int b = node(g, (espl_node){.op = ops[i], .inputs = 1, .input = {bn(g, conv(g, a, 16, k3, false))}, .alpha = 0.125f});
    conv(g, add(g, b, op(g, ESPL_OP_IDENTITY, b)), 5, k3, false);
    check_all(g);
  }
}

Test(nn, negative_slope_is_refused_in_training) {
  espl_graph *g = start(3, 5, 5);
  espl_exec *x;
  node(g, (espl_node){.op = ESPL_OP_LEAKYRELU, .inputs = 1, .input = {conv(g, 0, 4, k3, true)}, .alpha = -0.5f});
  cr_expect_eq(espl_exec_new(g, ESPL_MODE_TRAIN, ESPL_F32, 2, &x, &err), ESPL_E_UNSUPPORTED);
  espl_graph_free(g);
}

/* Groups of 1, 4 and all channels, a share of the mean; channels that leave lanes empty; read by one and by two. */
Test(nn, normalisation_of_each_image) {
  static const struct {
    espl_op op;
    int groups;
  } t[] = {{ESPL_OP_INSTANCENORM, 0}, {ESPL_OP_GROUPNORM, 5}, {ESPL_OP_GROUPNORM, 1}, {ESPL_OP_GROUPNORM, 20}, {ESPL_OP_GRAPHNORM, 0}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    espl_graph *g = start(3, 4, 5);
    int32_t c = 20;
    int id = node(g, (espl_node){.op = t[i].op, .inputs = 1, .input = {conv(g, 0, c, k3, true)}, .eps = 1e-3f, .conv = {.groups = t[i].groups}});
    param(g, id, ESPL_PARAM_GAMMA, 1, &c);
    param(g, id, ESPL_PARAM_BETA, 1, &c);
    if (t[i].op == ESPL_OP_GRAPHNORM) param(g, id, ESPL_PARAM_BIAS, 1, &c);
    int a = conv(g, op(g, ESPL_OP_TANH, id), 6, k3, false);
    if (i % 2) a = add(g, a, conv(g, id, 6, k3, false));
    check_all(g);
  }
}

Test(nn, pooling) {
  static const struct {
    espl_op op;
    int k, s, p0, p1;
    bool counted;
  } t[] = {{ESPL_OP_MAXPOOL, 2, 2, 0, 0, 0}, {ESPL_OP_MAXPOOL, 3, 2, 1, 1, 0}, {ESPL_OP_MAXPOOL, 3, 2, 0, 1, 0},
           {ESPL_OP_AVGPOOL, 2, 2, 0, 0, 0}, {ESPL_OP_AVGPOOL, 3, 2, 1, 1, 0}, {ESPL_OP_AVGPOOL, 3, 2, 1, 1, 1}};
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
    for (int c = 5; c <= 16; c += 11) {
      espl_graph *g = start(3, 7, 7);
      pool(g, t[i].op, conv(g, 0, c, k3, false), t[i].k, t[i].s, t[i].p0, t[i].p1, t[i].counted);
      check_all(g);
    }
}

Test(nn, classifier_heads) {
  espl_graph *g = start(3, 5, 6);
  gemm(g, op(g, ESPL_OP_FLATTEN, op(g, ESPL_OP_GLOBALAVGPOOL, conv(g, 0, 20, k3, false))), 10);
  check_all(g);
  g = start(3, 5, 6);
  int a = op(g, ESPL_OP_RELU, gemm(g, op(g, ESPL_OP_FLATTEN, conv(g, 0, 20, k3, false)), 33));
  op(g, ESPL_OP_SOFTMAX, gemm(g, a, 7));
  check_all(g);
  g = start(2, 4, 4);
  a = op(g, ESPL_OP_RELU, op(g, ESPL_OP_FLATTEN, conv(g, 0, 19, k3, false))); /* a FLATTEN that must move data */
  gemm(g, op(g, ESPL_OP_IDENTITY, a), 4);
  check_all(g);
  g = start(2, 4, 4);
  op(g, ESPL_OP_FLATTEN, conv(g, 0, 19, k3, false));
  check_all(g);
}

Test(nn, data_movement) {
  for (int c = 8; c <= 16; c += 8) {
    espl_graph *g = start(3, 7, 5);
    int a = conv(g, 0, c, k3, true);
    int s = node(g, (espl_node){.op = ESPL_OP_SUBSAMPLE, .inputs = 1, .input = {a}, .conv = {.sh = 2, .sw = 3}});
    int p = node(g, (espl_node){.op = ESPL_OP_PADCHANNELS, .inputs = 1, .input = {s}, .pad_c0 = 3, .pad_c1 = 5});
    conv(g, p, 8, k3, false);
    check_all(g);
    g = start(3, 5, 5);
    int x = conv(g, 0, 3, k3, true), y = conv(g, 0, c, k3, true), z = op(g, ESPL_OP_RELU, conv(g, x, 5, k3, true));
    int k = node(g, (espl_node){.op = ESPL_OP_CONCAT, .inputs = 4, .input = {x, y, z, y}});
    conv(g, k, 6, k3, false);
    check_all(g);
  }
}

/* ---- plans ---- */

Test(nn, no_reorder_between_layers) {
  espl_graph *g;
  espl_exec *x;
  OK(espl_zoo_resnet20((espl_shape){3, 32, 32}, 10, 1, &g, &err));
  for (int type = 0; type <= (espl_has_bf16() ? ESPL_BF16 : ESPL_F32); type++)
    for (int mode = 0; mode < 2; mode++) {
      OK(espl_exec_new(g, (espl_mode)mode, (espl_dtype)type, 8, &x, &err));
      cr_expect_eq(x->reorders, 0, "mode %d type %d: %d", mode, type, x->reorders);
      espl_exec_free(x);
    }
  espl_graph_free(g);
}

Test(nn, running_statistics_move_by_the_momentum) {
  espl_graph *g = start(2, 3, 3);
  int id = bn(g, 0);
  float *input, out[BATCH * 18];
  double **v = values(g, &input), m = 0.0, q = 0.0, k = BATCH * 9;
  for (int b = 0; b < BATCH; b++)
    for (int i = 0; i < 9; i++) m += v[0][b * 18 + i] / k;
  for (int b = 0; b < BATCH; b++)
    for (int i = 0; i < 9; i++) q += pow(v[0][b * 18 + i] - m, 2) / (k - 1);
  double mean0 = g->node[id].param[ESPL_PARAM_MEAN]->value[0], var0 = g->node[id].param[ESPL_PARAM_VAR]->value[0];
  espl_exec *x;
  OK(espl_exec_new(g, ESPL_MODE_TRAIN, ESPL_F32, BATCH, &x, &err));
  OK(espl_exec_forward(x, input, out, &err));
  cr_expect_float_eq(g->node[id].param[ESPL_PARAM_MEAN]->value[0], 0.9 * mean0 + 0.1 * m, 1e-5);
  cr_expect_float_eq(g->node[id].param[ESPL_PARAM_VAR]->value[0], 0.9 * var0 + 0.1 * q, 1e-5);
  espl_exec_free(x);
  free_values(g, v, input);
  espl_graph_free(g);
}

Test(nn, misuse_is_refused) {
  espl_graph *g = start(2, 3, 3);
  op(g, ESPL_OP_RELU, conv(g, 0, 4, k3, false));
  espl_exec *x;
  float in[18] = {0}, out[36];
  cr_expect_eq(espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, 0, &x, &err), ESPL_E_INPUT);
  memset(&err, 0, sizeof err);
  OK(espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, 1, &x, &err));
  OK(espl_exec_forward(x, in, out, &err));
  cr_expect_eq(espl_exec_backward(x, out, &err), ESPL_E_INPUT);
  memset(&err, 0, sizeof err);
  cr_expect_eq(espl_exec_value(x, 1, out, &err), ESPL_E_INPUT);
  memset(&err, 0, sizeof err);
  OK(espl_exec_keep(x, 1, &err));
  cr_expect_eq(espl_exec_value(x, 1, out, &err), ESPL_E_INPUT); /* no forward since */
  espl_exec_free(x);
  espl_graph_free(g);
}

