/* Networks of depthwise convolutions: a 3x3 filter a channel, then a 1x1 convolution that mixes channels. */
#include <stdio.h>

#include "graph/zoo_chain.h"

/* Where a layer's name goes: "<at>.<part>". */
#define NAMED(part) (snprintf(name, sizeof name, "%s.%s", at, part), name)

/* Batch norm and an activation: RELU, CLIP for ReLU6, IDENTITY for none. */
static int32_t bn_act(zoo_net *b, const char *at, const char *part, int32_t in, espl_op act) {
  char name[64];
  snprintf(name, sizeof name, "%s.%s_bn", at, part);
  int32_t x = zoo_batchnorm(b, name, in);
  snprintf(name, sizeof name, "%s.%s_relu", at, part);
  if (act == ESPL_OP_CLIP) return zoo_clip(b, name, x, 0.0f, 6.0f);
  return act == ESPL_OP_RELU ? zoo_simple(b, name, act, x) : x;
}

/* 3x3 a channel, padded by 1. */
static int32_t depthwise(zoo_net *b, const char *at, int32_t in, int32_t stride, espl_op act) {
  char name[64];
  int32_t c = b->status == ESPL_OK ? b->g->node[in].shape.c : 1;
  const espl_conv_attr a = {.kh = 3, .kw = 3, .sh = stride, .sw = stride, .dh = 1, .dw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1, .groups = c};
  return bn_act(b, at, "depthwise", zoo_window(b, NAMED("depthwise"), in, c, &a, false), act);
}

static int32_t pointwise(zoo_net *b, const char *at, const char *part, int32_t in, int32_t c, espl_op act) {
  char name[64];
  return bn_act(b, at, part, zoo_conv(b, NAMED(part), in, c, 1, 1, 0, false), act);
}

static espl_status head(zoo_net *b, int32_t x, int32_t classes, espl_graph **g, espl_err *err) {
  x = zoo_simple(b, "pool", ESPL_OP_GLOBALAVGPOOL, x);
  zoo_fc(b, "fc", zoo_simple(b, "flatten", ESPL_OP_FLATTEN, x), classes);
  return zoo_finish(b, g, err);
}

/* The visual wake words network of MLPerf Tiny: width 0.25, thirteen pairs of depthwise and pointwise layers. */
espl_status zoo_mobilenetv1_025(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  static const struct { int32_t c, stride; } pair[13] = {{16, 1}, {32, 2}, {32, 1}, {64, 2}, {64, 1}, {128, 2}, {128, 1},
                                                         {128, 1}, {128, 1}, {128, 1}, {128, 1}, {256, 2}, {256, 1}};
  zoo_net b;
  *g = NULL;
  ESPL_TRY(zoo_start(&b, "mobilenetv1-025", shape, classes, seed, err));
  int32_t x = bn_act(&b, "stem", "conv", zoo_conv(&b, "stem.conv", 0, 8, 3, 2, 1, false), ESPL_OP_RELU);
  for (int i = 0; i < 13; i++) {
    char at[32];
    snprintf(at, sizeof at, "pair%d", i + 1);
    x = depthwise(&b, at, x, pair[i].stride, ESPL_OP_RELU);
    x = pointwise(&b, at, "pointwise", x, pair[i].c, ESPL_OP_RELU);
  }
  return head(&b, x, classes, g, err);
}

/* Inverted residuals (Sandler et al. 2018) with expansion 6 for images of about 32x32. */
espl_status zoo_mobilenetv2_small(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  static const struct { int32_t c, stride; } unit[7] = {{16, 1}, {24, 2}, {24, 1}, {40, 2}, {40, 1}, {64, 1}, {64, 1}};
  zoo_net b;
  *g = NULL;
  ESPL_TRY(zoo_start(&b, "mobilenetv2-small", shape, classes, seed, err));
  int32_t x = bn_act(&b, "stem", "conv", zoo_conv(&b, "stem.conv", 0, 16, 3, 1, 1, false), ESPL_OP_CLIP), c = 16;
  for (int i = 0; i < 7; i++) {
    char at[32], name[64];
    snprintf(at, sizeof at, "block%d", i + 1);
    int32_t in = x;
    x = pointwise(&b, at, "expand", x, 6 * c, ESPL_OP_CLIP);
    x = depthwise(&b, at, x, unit[i].stride, ESPL_OP_CLIP);
    x = pointwise(&b, at, "project", x, unit[i].c, ESPL_OP_IDENTITY);
    if (unit[i].stride == 1 && unit[i].c == c) x = zoo_add(&b, NAMED("add"), in, x);
    c = unit[i].c;
  }
  return head(&b, pointwise(&b, "last", "conv", x, 128, ESPL_OP_CLIP), classes, g, err);
}

/* The keyword network of MLPerf Tiny: 10x4 convolution with stride 2 ("same" padding), four pairs of 64 channels. */
espl_status zoo_ds_cnn(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  zoo_net b;
  *g = NULL;
  ESPL_TRY(zoo_start(&b, "ds-cnn", shape, classes, seed, err));
  /* "same" for stride 2: out = ceil(in / 2), the odd cell of padding below and to the right */
  const int32_t ph = (shape.h + 1) / 2 * 2 - 2 + 10 - shape.h, pw = (shape.w + 1) / 2 * 2 - 2 + 4 - shape.w;
  const espl_conv_attr stem = {.kh = 10, .kw = 4, .sh = 2, .sw = 2, .dh = 1, .dw = 1, .pt = ph / 2, .pb = ph - ph / 2,
                               .pl = pw / 2, .pr = pw - pw / 2, .groups = 1};
  int32_t x = bn_act(&b, "stem", "conv", zoo_window(&b, "stem.conv", 0, 64, &stem, false), ESPL_OP_RELU);
  for (int i = 0; i < 4; i++) {
    char at[32];
    snprintf(at, sizeof at, "pair%d", i + 1);
    x = depthwise(&b, at, x, 1, ESPL_OP_RELU);
    x = pointwise(&b, at, "pointwise", x, 64, ESPL_OP_RELU);
  }
  return head(&b, x, classes, g, err);
}
