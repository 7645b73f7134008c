/* Builders of our own networks: a small chain writer (`net`) and one function a network. */
#include "graph/zoo.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/text.h"

#define BN_EPS 1e-5f
#define BN_MOMENTUM 0.1f

/* The graph under construction; after the first failure every step does nothing and returns value 0. */
typedef struct net {
  espl_graph *g;
  uint64_t seed;
  espl_err *err;
  espl_status status;
} net;

static int32_t put(net *b, const espl_node *proto) {
  int32_t id = 0;
  if (b->status == ESPL_OK) b->status = espl_graph_add(b->g, proto, &id, b->err);
  return id;
}

static void param(net *b, int32_t id, espl_param_kind kind, int dims, const int32_t *dim, float fill) {
  if (b->status == ESPL_OK) b->status = espl_graph_add_param(b->g, id, kind, NULL, dims, dim, b->err);
  if (b->status != ESPL_OK) return;
  espl_param *p = b->g->node[id].param[kind];
  int64_t fan_in = p->elems / p->dim[0];
  float std = sqrtf(2.0f / (float)fan_in);
  for (int64_t i = 0; i < p->elems; i++)
    p->value[i] = kind == ESPL_PARAM_WEIGHT ? std * espl_rng_normal(b->seed, (uint64_t)id, (uint64_t)i) : fill;
}

static int32_t conv(net *b, const char *name, int32_t in, int32_t out_c, int32_t k, int32_t stride, int32_t pad, bool bias) {
  espl_node n = {.op = ESPL_OP_CONV, .name = (char *)name, .inputs = 1, .input = {in}, .shape = {out_c, 0, 0},
                 .conv = {.kh = k, .kw = k, .sh = stride, .sw = stride, .dh = 1, .dw = 1, .pt = pad, .pl = pad, .pb = pad, .pr = pad, .groups = 1}};
  int32_t id = put(b, &n);
  const int32_t dim[4] = {out_c, b->g->node[in].shape.c, k, k};
  param(b, id, ESPL_PARAM_WEIGHT, 4, dim, 0);
  if (bias) param(b, id, ESPL_PARAM_BIAS, 1, dim, 0);
  return id;
}

static int32_t batchnorm(net *b, const char *name, int32_t in) {
  espl_node n = {.op = ESPL_OP_BATCHNORM, .name = (char *)name, .inputs = 1, .input = {in}, .eps = BN_EPS, .bn_momentum = BN_MOMENTUM};
  int32_t id = put(b, &n);
  const int32_t c = b->g->node[in].shape.c;
  for (int k = ESPL_PARAM_GAMMA; k <= ESPL_PARAM_VAR; k++)
    param(b, id, (espl_param_kind)k, 1, &c, k == ESPL_PARAM_GAMMA || k == ESPL_PARAM_VAR ? 1.0f : 0.0f);
  return id;
}

static int32_t simple(net *b, const char *name, espl_op op, int32_t in) {
  espl_node n = {.op = op, .name = (char *)name, .inputs = 1, .input = {in}};
  return put(b, &n);
}

static int32_t maxpool2(net *b, const char *name, int32_t in) {
  espl_node n = {.op = ESPL_OP_MAXPOOL, .name = (char *)name, .inputs = 1, .input = {in},
                 .conv = {.kh = 2, .kw = 2, .sh = 2, .sw = 2, .dh = 1, .dw = 1}};
  return put(b, &n);
}

static int32_t fc(net *b, const char *name, int32_t in, int32_t outputs) {
  espl_node n = {.op = ESPL_OP_GEMM, .name = (char *)name, .inputs = 1, .input = {in}, .shape = {outputs, 1, 1}};
  int32_t id = put(b, &n);
  const int32_t dim[2] = {outputs, b->g->node[in].shape.c};
  param(b, id, ESPL_PARAM_WEIGHT, 2, dim, 0);
  param(b, id, ESPL_PARAM_BIAS, 1, dim, 0);
  return id;
}

/* conv3x3-BN-ReLU-conv3x3-BN plus shortcut, then ReLU. */
static int32_t block(net *b, const char *at, int32_t in, int32_t c, int32_t stride, bool bn_shortcut) {
  char name[64];
#define NAMED(part) (snprintf(name, sizeof name, "%s.%s", at, part), name)
  int32_t x = conv(b, NAMED("conv1"), in, c, 3, stride, 1, false);
  x = batchnorm(b, NAMED("bn1"), x);
  x = simple(b, NAMED("relu1"), ESPL_OP_RELU, x);
  x = conv(b, NAMED("conv2"), x, c, 3, 1, 1, false);
  x = batchnorm(b, NAMED("bn2"), x);
  int32_t side = in;
  if (stride != 1 || b->g->node[in].shape.c != c) {
    side = conv(b, NAMED("shortcut"), in, c, 1, stride, 0, false);
    if (bn_shortcut) side = batchnorm(b, NAMED("shortcut_bn"), side);
  }
  espl_node n = {.op = ESPL_OP_ADD, .name = NAMED("add"), .inputs = 2, .input = {x, side}};
  x = put(b, &n);
  return simple(b, NAMED("relu2"), ESPL_OP_RELU, x);
#undef NAMED
}

static espl_status start(net *b, const char *name, espl_shape shape, int32_t classes, uint64_t seed, espl_err *err) {
  *b = (net){.seed = seed, .err = err};
  if (shape.c < 1 || shape.h < 1 || shape.w < 1) return espl_fail(err, ESPL_E_INPUT, "%s: image %dx%dx%d has no pixels", name, shape.c, shape.h, shape.w);
  if (classes < 2) return espl_fail(err, ESPL_E_INPUT, "%s: %d classes, expected at least 2", name, classes);
  b->g = espl_graph_new(name, shape);
  return b->g ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", name);
}

static espl_status finish(net *b, espl_graph **g, espl_err *err) {
  if (b->status == ESPL_OK) b->status = espl_graph_check(b->g, err);
  if (b->status == ESPL_OK) {
    *g = b->g;
    return ESPL_OK;
  }
  espl_graph_free(b->g);
  return b->status;
}

static espl_status resnet(const char *name, int32_t blocks, bool bn_shortcut, espl_shape shape, int32_t classes, uint64_t seed,
                          espl_graph **g, espl_err *err) {
  net b;
  *g = NULL;
  ESPL_TRY(start(&b, name, shape, classes, seed, err));
  int32_t x = conv(&b, "stem.conv", 0, 16, 3, 1, 1, false);
  x = batchnorm(&b, "stem.bn", x);
  x = simple(&b, "stem.relu", ESPL_OP_RELU, x);
  for (int s = 0; s < 3; s++)
    for (int i = 0; i < blocks; i++) {
      char at[32];
      snprintf(at, sizeof at, "stack%d.%d", s + 1, i);
      x = block(&b, at, x, 16 << s, s > 0 && i == 0 ? 2 : 1, bn_shortcut);
    }
  x = simple(&b, "pool", ESPL_OP_GLOBALAVGPOOL, x);
  fc(&b, "fc", simple(&b, "flatten", ESPL_OP_FLATTEN, x), classes);
  return finish(&b, g, err);
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
  net b;
  *g = NULL;
  ESPL_TRY(start(&b, "lenet-300-100", shape, classes, seed, err));
  int32_t x = fc(&b, "fc1", simple(&b, "flatten", ESPL_OP_FLATTEN, 0), 300);
  x = fc(&b, "fc2", simple(&b, "relu1", ESPL_OP_RELU, x), 100);
  fc(&b, "fc3", simple(&b, "relu2", ESPL_OP_RELU, x), classes);
  return finish(&b, g, err);
}

espl_status espl_zoo_lenet5(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  net b;
  *g = NULL;
  ESPL_TRY(start(&b, "lenet5", shape, classes, seed, err));
  int32_t x = conv(&b, "conv1", 0, 16, 5, 1, 0, true);
  x = maxpool2(&b, "pool1", simple(&b, "relu1", ESPL_OP_RELU, x));
  x = conv(&b, "conv2", x, 32, 5, 1, 0, true);
  x = maxpool2(&b, "pool2", simple(&b, "relu2", ESPL_OP_RELU, x));
  fc(&b, "fc", simple(&b, "flatten", ESPL_OP_FLATTEN, x), classes);
  return finish(&b, g, err);
}

typedef espl_status (*builder)(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err);

espl_status espl_zoo_build(const char *name, espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) {
  static const char *const names[] = {"resnet8", "resnet20", "resnet56", "lenet-300-100", "lenet5"};
  static const builder builders[] = {espl_zoo_resnet8, espl_zoo_resnet20, resnet56, espl_zoo_lenet_300_100, espl_zoo_lenet5};
  *g = NULL;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(name, names[i]) == 0) return builders[i](shape, classes, seed, g, err);
  return espl_fail(err, ESPL_E_INPUT, "no network is called \"%s\"; nearest: %s", name, espl_nearest(name, names, sizeof names / sizeof *names));
}
