/* Builders of our own networks, one function a network; those with depthwise layers are in zoo_mobile.c. */
#include "graph/zoo.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "graph/zoo_chain.h"

/* conv3x3-BN-ReLU-conv3x3-BN plus shortcut, then ReLU. */
static int32_t block(zoo_net *b, const char *at, int32_t in, int32_t c, int32_t stride, bool bn_shortcut) {
  char name[64];
#define NAMED(part) (snprintf(name, sizeof name, "%s.%s", at, part), name)
  int32_t x = zoo_conv(b, NAMED("conv1"), in, c, 3, stride, 1, false);
  x = zoo_batchnorm(b, NAMED("bn1"), x);
  x = zoo_simple(b, NAMED("relu1"), ESPL_OP_RELU, x);
  x = zoo_conv(b, NAMED("conv2"), x, c, 3, 1, 1, false);
  x = zoo_batchnorm(b, NAMED("bn2"), x);
  int32_t side = in;
  if (stride != 1 || b->g->node[in].shape.c != c) {
    side = zoo_conv(b, NAMED("shortcut"), in, c, 1, stride, 0, false);
    if (bn_shortcut) side = zoo_batchnorm(b, NAMED("shortcut_bn"), side);
  }
  x = zoo_add(b, NAMED("add"), x, side);
  return zoo_simple(b, NAMED("relu2"), ESPL_OP_RELU, x);
#undef NAMED
}

static espl_status resnet(const char *name, int32_t blocks, bool bn_shortcut, espl_shape shape, int32_t classes, uint64_t seed,
                          espl_graph **g, espl_err *err) {
  zoo_net b;
  *g = NULL;
  ESPL_TRY(zoo_start(&b, name, shape, classes, seed, err));
  int32_t x = zoo_conv(&b, "stem.conv", 0, 16, 3, 1, 1, false);
  x = zoo_batchnorm(&b, "stem.bn", x);
  x = zoo_simple(&b, "stem.relu", ESPL_OP_RELU, x);
  for (int s = 0; s < 3; s++)
    for (int i = 0; i < blocks; i++) {
      char at[32];
      snprintf(at, sizeof at, "stack%d.%d", s + 1, i);
      x = block(&b, at, x, 16 << s, s > 0 && i == 0 ? 2 : 1, bn_shortcut);
    }
  x = zoo_simple(&b, "pool", ESPL_OP_GLOBALAVGPOOL, x);
  zoo_fc(&b, "fc", zoo_simple(&b, "flatten", ESPL_OP_FLATTEN, x), classes);
  return zoo_finish(&b, g, err);
}

espl_status espl_zoo_resnet8(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  return resnet("resnet8", 1, false, shape, classes, seed, g, err);
}

espl_status espl_zoo_resnet(int32_t depth, espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  *g = NULL;
  if (depth < 8 || depth > 1202 || (depth - 2) % 6)
    return espl_fail(err, ESPL_E_INPUT, "resnet: depth %d is not 6n+2 between 8 and 1202", depth);
  char name[32];
  snprintf(name, sizeof name, "resnet%d", depth);
  return resnet(name, (depth - 2) / 6, true, shape, classes, seed, g, err);
}

espl_status espl_zoo_resnet20(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  return espl_zoo_resnet(20, shape, classes, seed, g, err);
}

static espl_status resnet56(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  return espl_zoo_resnet(56, shape, classes, seed, g, err);
}

espl_status espl_zoo_lenet_300_100(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  zoo_net b;
  *g = NULL;
  ESPL_TRY(zoo_start(&b, "lenet-300-100", shape, classes, seed, err));
  int32_t x = zoo_fc(&b, "fc1", zoo_simple(&b, "flatten", ESPL_OP_FLATTEN, 0), 300);
  x = zoo_fc(&b, "fc2", zoo_simple(&b, "relu1", ESPL_OP_RELU, x), 100);
  zoo_fc(&b, "fc3", zoo_simple(&b, "relu2", ESPL_OP_RELU, x), classes);
  return zoo_finish(&b, g, err);
}

/* One fully connected layer: what fits where there is room for the commands of one layer only. */
static espl_status linear(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  zoo_net b;
  *g = NULL;
  ESPL_TRY(zoo_start(&b, "linear", shape, classes, seed, err));
  zoo_fc(&b, "fc", zoo_simple(&b, "flatten", ESPL_OP_FLATTEN, 0), classes);
  return zoo_finish(&b, g, err);
}

espl_status espl_zoo_lenet5(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  zoo_net b;
  *g = NULL;
  ESPL_TRY(zoo_start(&b, "lenet5", shape, classes, seed, err));
  int32_t x = zoo_conv(&b, "conv1", 0, 16, 5, 1, 0, true);
  x = zoo_maxpool2(&b, "pool1", zoo_simple(&b, "relu1", ESPL_OP_RELU, x));
  x = zoo_conv(&b, "conv2", x, 32, 5, 1, 0, true);
  x = zoo_maxpool2(&b, "pool2", zoo_simple(&b, "relu2", ESPL_OP_RELU, x));
  zoo_fc(&b, "fc", zoo_simple(&b, "flatten", ESPL_OP_FLATTEN, x), classes);
  return zoo_finish(&b, g, err);
}

/* Three 3x3 convolutions of stride 2 (8, 16, 16 channels) and FC: nothing that a machine without options lacks, few bytes of memory. */
static espl_status board_net(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  static const int32_t channels[] = {8, 16, 16};
  zoo_net b;
  *g = NULL;
  ESPL_TRY(zoo_start(&b, "board-net", shape, classes, seed, err));
  int32_t x = 0;
  char name[32];
  for (int i = 0; i < 3; i++) {
    snprintf(name, sizeof name, "conv%d", i + 1);
    x = zoo_conv(&b, name, x, channels[i], 3, 2, 1, false);
    snprintf(name, sizeof name, "bn%d", i + 1);
    x = zoo_batchnorm(&b, name, x);
    snprintf(name, sizeof name, "relu%d", i + 1);
    x = zoo_simple(&b, name, ESPL_OP_RELU, x);
  }
  zoo_fc(&b, "fc", zoo_simple(&b, "flatten", ESPL_OP_FLATTEN, x), classes);
  return zoo_finish(&b, g, err);
}

/* Six 3x3 convolutions with batch norm in three pairs (64, 128, 256), a 2x2 maximum behind each pair, FC. */
static espl_status vgg_small(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  zoo_net b;
  *g = NULL;
  ESPL_TRY(zoo_start(&b, "vgg-small", shape, classes, seed, err));
  int32_t x = 0;
  char name[32];
  for (int i = 0; i < 6; i++) {
    snprintf(name, sizeof name, "conv%d", i + 1);
    x = zoo_conv(&b, name, x, 64 << (i / 2), 3, 1, 1, false);
    snprintf(name, sizeof name, "bn%d", i + 1);
    x = zoo_batchnorm(&b, name, x);
    snprintf(name, sizeof name, "relu%d", i + 1);
    x = zoo_simple(&b, name, ESPL_OP_RELU, x);
    snprintf(name, sizeof name, "pool%d", i / 2 + 1);
    if (i % 2) x = zoo_maxpool2(&b, name, x);
  }
  zoo_fc(&b, "fc", zoo_simple(&b, "flatten", ESPL_OP_FLATTEN, x), classes);
  return zoo_finish(&b, g, err);
}

typedef espl_status (*builder)(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err);

espl_status espl_zoo_build(const char *name, espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  static const char *const names[] = {"resnet8", "resnet20", "resnet56", "lenet-300-100", "lenet5",
                                      "board-net", "vgg-small", "mobilenetv1-025", "mobilenetv2-small", "ds-cnn", "linear"};
  static const builder builders[] = {espl_zoo_resnet8, espl_zoo_resnet20, resnet56, espl_zoo_lenet_300_100, espl_zoo_lenet5,
                                     board_net, vgg_small, zoo_mobilenetv1_025, zoo_mobilenetv2_small, zoo_ds_cnn, linear};
  *g = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(name, names[i]) == 0) return builders[i](shape, classes, seed, g, err);
  return espl_fail(err, ESPL_E_INPUT, "no network is called \"%s\"; nearest: %s", name, espl_nearest(name, names, sizeof names / sizeof *names));
}
