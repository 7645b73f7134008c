/* Operators without a form on the machine: PReLU, hard sigmoid, transposed convolution, resizing, arithmetic of two values. Forward and gradients against the
 * interpreter of nn_check.h, a gated network against its parts, and a small network of them that learns. */
#include "bars.h"
#include "nn/loss.h"
#include "nn_check.h"

/* Each operator under test stands between convolutions: the weight gradient of the one in front proves the operator's input gradient. */

Test(operators, slopes_of_prelu) {
  for (int c = 7; c <= 32; c += 25)
    for (int shared = 0; shared < 2; shared++) {
      espl_graph *g = start(3, 5, 6);
      int32_t dim = shared ? 1 : c;
      int a = op(g, ESPL_OP_PRELU, conv(g, 0, c, k3, true));
      param(g, a, ESPL_PARAM_GAMMA, 1, &dim);
      for (int32_t i = 0; i < dim; i++) g->node[a].param[ESPL_PARAM_GAMMA]->value[i] -= 0.9f; /* of both signs */
      int b = op(g, ESPL_OP_PRELU, bn(g, conv(g, a, 5, k3, false)));
      param(g, b, ESPL_PARAM_GAMMA, 1, &(int32_t){5});
      conv(g, add(g, b, conv(g, a, 5, k3, false)), 4, k3, false);
      check_all(g);
    }
  espl_graph *g = start(6, 1, 1); /* behind the input itself, and on [N,C] */
  int a = op(g, ESPL_OP_PRELU, 0);
  param(g, a, ESPL_PARAM_GAMMA, 1, &(int32_t){6});
  a = op(g, ESPL_OP_PRELU, gemm(g, a, 9));
  param(g, a, ESPL_PARAM_GAMMA, 1, &(int32_t){1});
  gemm(g, a, 3);
  check_all(g);
}

Test(operators, hard_sigmoid) {
  for (int c = 10; c <= 16; c += 6) {
    espl_graph *g = start(3, 5, 6);
    int a = node(g, (espl_node){.op = ESPL_OP_HARDSIGMOID, .inputs = 1, .input = {conv(g, 0, c, k3, true)}, .alpha = 0.2f, .beta = 0.5f});
    int b = node(g, (espl_node){.op = ESPL_OP_HARDSIGMOID, .inputs = 1, .input = {bn(g, conv(g, a, 5, k3, false))}, .alpha = -0.3f, .beta = 0.4f});
    conv(g, add(g, b, op(g, ESPL_OP_IDENTITY, b)), 5, k3, false);
    check_all(g);
  }
}

static int transposed(espl_graph *g, int in, int oc, espl_conv_attr a, bool bias) {
  if (!a.groups) a.groups = 1;
  if (!a.sh) a.sh = a.sw = 1;
  if (!a.dh) a.dh = a.dw = 1;
  int32_t dim[4] = {g->node[in].shape.c, oc / a.groups, a.kh, a.kw};
  int id = node(g, (espl_node){.op = ESPL_OP_CONVTRANSPOSE, .inputs = 1, .input = {in}, .shape = {oc, 0, 0}, .conv = a});
  param(g, id, ESPL_PARAM_WEIGHT, 4, dim);
  if (bias) param(g, id, ESPL_PARAM_BIAS, 1, &oc);
  return id;
}

static const struct {
  const char *what;
  int in, out;
  espl_conv_attr a;
  bool bias;
} windows[] = {
    {"2x2 stride 2", 16, 16, {.kh = 2, .kw = 2, .sh = 2, .sw = 2}, true},
    {"odd channel counts", 5, 7, {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .pt = 1, .pl = 1, .pb = 1, .pr = 1}, false},
    {"output padding", 16, 8, {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .extra_h = 1, .extra_w = 1}, true},
    {"output padding below stride 3, one way", 4, 20, {.kh = 3, .kw = 2, .sh = 3, .sw = 3, .extra_h = 2}, true},
    {"output padding above stride 1", 6, 5, {.kh = 3, .kw = 3, .dh = 3, .dw = 3, .pt = 2, .pl = 2, .pb = 2, .pr = 2, .extra_h = 2, .extra_w = 1}, true},
    {"stride 1, pads on one side", 9, 6, {.kh = 3, .kw = 3, .pt = 2, .pr = 1}, false},
    {"dilation", 8, 8, {.kh = 3, .kw = 3, .sh = 2, .sw = 1, .dh = 2, .dw = 2, .pt = 2, .pl = 1, .pb = 1, .pr = 2, .extra_h = 1}, true},
    {"two groups", 8, 12, {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .groups = 2, .extra_w = 1}, true},
    {"as many groups as channels", 16, 16, {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .groups = 16}, true},
};

Test(operators, transposed_convolutions) {
  for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
    espl_graph *g = start(3, 4, 5);
    int a = transposed(g, conv(g, 0, windows[i].in, k3, false), windows[i].out, windows[i].a, windows[i].bias);
    conv(g, op(g, ESPL_OP_TANH, a), 4, k3, false);
    check_all(g);
  }
}

/* The input itself is read; the value is read twice. */
Test(operators, transposed_convolution_first_and_read_twice) {
  espl_graph *g = start(3, 4, 4);
  int a = transposed(g, 0, 6, windows[0].a, true);
  conv(g, add(g, op(g, ESPL_OP_SIGMOID, a), a), 3, k3, false);
  check_all(g);
}

/* Rows that not even the padding covers: computed by definition, not trained. */
Test(operators, output_padding_beyond_is_forward_only) {
  espl_graph *g = start(3, 4, 4);
  transposed(g, 0, 6, (espl_conv_attr){.kh = 2, .kw = 2, .dh = 3, .dw = 3, .extra_h = 2}, true);
  check_mode(g, ESPL_MODE_INFER, ESPL_F32, false, 2e-5);
  espl_exec *x;
  cr_expect_eq(espl_exec_new(g, ESPL_MODE_TRAIN, ESPL_F32, 2, &x, &err), ESPL_E_UNSUPPORTED);
  cr_expect(strstr(err.msg, "CONVTRANSPOSE") && strstr(err.msg, "cannot be trained") && strstr(err.msg, g->node[1].name), "%s", err.msg);
  espl_graph_free(g);
}

Test(operators, resizing) {
  static const espl_word how[] = {ESPL_WORD_HALF_PIXEL, ESPL_WORD_PYTORCH_HALF_PIXEL, ESPL_WORD_ALIGN_CORNERS, ESPL_WORD_ASYMMETRIC};
  static const espl_word nearest[] = {ESPL_WORD_ROUND_PREFER_FLOOR, ESPL_WORD_FLOOR, ESPL_WORD_CEIL, ESPL_WORD_ROUND_PREFER_CEIL};
  static const float scale[][2] = {{2, 2}, {1, 3}, {0.5f, 1.5f}, {0.25f, 0.4f}, {1.75f, 0.6f}};
  for (int k = 0; k < 4; k++)
    for (size_t s = 0; s < sizeof scale / sizeof *scale; s++)
      for (int linear = 0; linear < 2; linear++) {
        espl_graph *g = start(3, 4, 5);
        espl_resize_attr r = {linear ? ESPL_WORD_LINEAR : ESPL_WORD_NEAREST, how[k], nearest[((size_t)k + s) % 4], scale[s][0], scale[s][1]};
        int a = node(g, (espl_node){.op = ESPL_OP_RESIZE, .inputs = 1, .input = {conv(g, 0, s % 2 ? 16 : 19, k3, true)}, .resize = r});
        int b = conv(g, op(g, ESPL_OP_TANH, a), 5, k3, false);
        if (s == 0) b = add(g, b, conv(g, a, 5, k3, false));
        check_all(g);
      }
}

static int pair(espl_graph *g, espl_op o, int a, int b) { return node(g, (espl_node){.op = o, .inputs = 2, .input = {a, b}}); }

/* A value of this shape that stays away from zero, so that it may divide. */
static int shaped(espl_graph *g, int from, espl_shape s) {
  espl_shape in = g->node[from].shape;
  int v = conv(g, from, s.c, (espl_conv_attr){.kh = s.h == 1 ? in.h : 1, .kw = s.w == 1 ? in.w : 1}, true);
  v = op(g, ESPL_OP_SIGMOID, v);
  return node(g, (espl_node){.op = ESPL_OP_CLIP, .inputs = 1, .input = {v}, .lo = 0.2f, .hi = 2.0f});
}

/* One shape; a gate a channel, a gate a pixel, one number an image, rows against columns, on either side. */
Test(operators, arithmetic_of_two_values) {
  static const espl_op ops[] = {ESPL_OP_SPREADADD, ESPL_OP_SUB, ESPL_OP_MUL, ESPL_OP_DIV};
  static const espl_shape sides[][2] = {{{19, 4, 5}, {19, 4, 5}}, {{16, 4, 5}, {16, 1, 1}}, {{19, 1, 1}, {19, 4, 5}}, {{19, 4, 5}, {1, 4, 5}}, {{1, 4, 5}, {16, 4, 5}},
                                        {{19, 4, 5}, {1, 1, 1}}, {{1, 1, 5}, {20, 4, 1}}, {{18, 1, 5}, {1, 4, 5}}, {{1, 4, 5}, {1, 4, 1}}};
  for (size_t o = 0; o < sizeof ops / sizeof *ops; o++)
    for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
      espl_graph *g = start(3, 4, 5);
      int a = shaped(g, 0, sides[s][0]), b = shaped(g, 0, sides[s][1]);
      conv(g, op(g, ESPL_OP_TANH, pair(g, ops[o], a, b)), 5, k3, false);
      check_all(g);
    }
}

/* One value on both sides, values behind fully connected layers, the input as one side. */
Test(operators, arithmetic_of_a_value_with_itself_and_of_vectors) {
  espl_graph *g = start(3, 4, 5);
  int a = conv(g, 0, 6, k3, true);
  conv(g, pair(g, ESPL_OP_MUL, a, pair(g, ESPL_OP_MUL, a, op(g, ESPL_OP_SIGMOID, a))), 3, k3, false);
  check_all(g);
  g = start(7, 1, 1);
  gemm(g, pair(g, ESPL_OP_SUB, gemm(g, pair(g, ESPL_OP_MUL, op(g, ESPL_OP_TANH, gemm(g, 0, 7)), 0), 5), gemm(g, 0, 5)), 3);
  check_all(g);
}

/* A gate a channel from the means over space, by two 1x1 convolutions (Hu et al. 2018). */
static int gated(espl_graph *g, int in, int squeezed, bool hard) {
  const espl_conv_attr k1 = {.kh = 1, .kw = 1};
  int v = conv(g, op(g, ESPL_OP_GLOBALAVGPOOL, in), squeezed, k1, true);
  v = op(g, ESPL_OP_PRELU, v);
  param(g, v, ESPL_PARAM_GAMMA, 1, &(int32_t){squeezed});
  v = conv(g, v, g->node[in].shape.c, k1, true);
  v = hard ? node(g, (espl_node){.op = ESPL_OP_HARDSIGMOID, .inputs = 1, .input = {v}, .alpha = 1.0f / 6.0f, .beta = 0.5f}) : op(g, ESPL_OP_SIGMOID, v);
  return pair(g, ESPL_OP_MUL, v, in);
}

Test(operators, squeeze_and_excitation) {
  for (int hard = 0; hard < 2; hard++) {
    espl_graph *g = start(3, 5, 6);
    int a = op(g, ESPL_OP_HARDSWISH, bn(g, conv(g, 0, 20, k3, false)));
    int b = add(g, bn(g, conv(g, gated(g, a, 6, hard), 20, k3, false)), a);
    conv(g, b, 4, k3, true);
    check_all(g);
  }
}

/* ---- training ---- */

/* Weight decay is for weights: a slope whose gradient is zero stays. */
Test(operators, slopes_do_not_decay) {
  espl_graph *g = start(4, 1, 1);
  int a = op(g, ESPL_OP_PRELU, gemm(g, 0, 3));
  param(g, a, ESPL_PARAM_GAMMA, 1, &(int32_t){3});
  espl_param *slope = g->node[a].param[ESPL_PARAM_GAMMA], *w = g->node[1].param[ESPL_PARAM_WEIGHT];
  const float before[2] = {slope->value[2], w->value[0]};
  for (int i = 1; i < g->nodes; i++)
    for (int k = 0; k <= ESPL_PARAM_BETA; k++)
      if (g->node[i].param[k]) g->node[i].param[k]->grad = calloc((size_t)g->node[i].param[k]->elems, sizeof(float));
  espl_train_config c = {.momentum = 0.9f, .weight_decay = 0.1f};
  OK(nn_optimizer_begin(g, &c, &err));
  nn_optimizer_step(g, &c, 0.5f, 0);
  cr_expect_eq(slope->value[2], before[0]);
  cr_expect_float_eq(w->value[0], before[1] * 0.95f, 1e-6);
  espl_graph_free(g);
}

/* Every operator of this file on the way from the picture to the classes; what comes down is read through all of them. */
static espl_graph *network(void) {
  espl_graph *g = start(1, 8, 8);
  const espl_conv_attr half = {.kh = 3, .kw = 3, .sh = 2, .sw = 2, .pt = 1, .pl = 1, .pb = 1, .pr = 1};
  int a = op(g, ESPL_OP_PRELU, bn(g, conv(g, 0, 12, half, false)));
  param(g, a, ESPL_PARAM_GAMMA, 1, &(int32_t){12});
  a = gated(g, a, 4, true);
  int up = bn(g, transposed(g, bn(g, conv(g, a, 8, half, false)), 12, windows[2].a, false));
  a = pair(g, ESPL_OP_SUB, op(g, ESPL_OP_TANH, up), node(g, (espl_node){.op = ESPL_OP_RESIZE, .inputs = 1, .input = {pool(g, ESPL_OP_AVGPOOL, a, 2, 2, 0, 0, false)},
                                                                        .resize = {ESPL_WORD_LINEAR, ESPL_WORD_HALF_PIXEL, ESPL_WORD_NONE, 2, 2}}));
  gemm(g, op(g, ESPL_OP_FLATTEN, a), 4);
  return g;
}

/* Mean loss of the last epoch in *ctx: the end is always reported. */
static void last_loss(void *ctx, double fraction, double eta_s, double loss, double accuracy) {
  (void)fraction, (void)eta_s, (void)accuracy;
  *(double *)ctx = loss;
}

Test(operators, a_network_of_them_learns) {
  espl_dataset train = bars(1024), test = bars(400);
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  for (int32_t i = 0; i < test.n * 64; i++) test.pixels[i] = (uint8_t)(test.pixels[i] + espl_rng_below(10, 0, (uint64_t)i, 8));
  for (int type = 0; type <= (espl_has_bf16() ? ESPL_BF16 : ESPL_F32); type++) {
    espl_graph *g = network();
    double before, after, loss = INFINITY;
    espl_train_hooks h = {.ctx = &loss, .progress = last_loss};
    espl_train_config c;
    espl_train_default(&c);
    c.epochs = 4, c.batch = 32, c.lr = 0.02f, c.augment = c.flip = 0, c.dtype = (espl_dtype)type;
    float slope = g->node[3].param[ESPL_PARAM_GAMMA]->value[1];
    OK(espl_evaluate(g, &test, &pp, 0, &before, &err));
    OK(espl_train(g, &train, &pp, &c, &h, &err));
    OK(espl_evaluate(g, &test, &pp, 0, &after, &err));
    cr_expect_lt(before, 0.6, "accuracy %g", before);
    cr_expect_gt(after, 0.97, "accuracy %g", after);
    cr_expect_lt(loss, 0.1 * log(4.0), "loss %g, %g where nothing is known", loss, log(4.0));
    cr_expect_neq(g->node[3].param[ESPL_PARAM_GAMMA]->value[1], slope);
    espl_graph_free(g);
  }
  free_bars(&train);
  free_bars(&test);
}
