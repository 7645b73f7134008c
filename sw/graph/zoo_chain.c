/* The chain writer of the zoo: one call adds one operator with fresh parameters. */
#include "graph/zoo_chain.h"

#include <math.h>
#include <stddef.h>

#include "base/rng.h"

#define BN_EPS 1e-5f
#define BN_MOMENTUM 0.1f

static int32_t put(zoo_net *b, const espl_node *proto) {
  int32_t id = 0;
  if (b->status == ESPL_OK) b->status = espl_graph_add(b->g, proto, &id, b->err);
  return id;
}

static void param(zoo_net *b, int32_t id, espl_param_kind kind, int dims, const int32_t *dim, float fill) {
  if (b->status == ESPL_OK) b->status = espl_graph_add_param(b->g, id, kind, NULL, dims, dim, b->err);
  if (b->status != ESPL_OK) return;
  espl_param *p = b->g->node[id].param[kind];
  int64_t fan_in = p->elems / p->dim[0];
  float std = sqrtf(2.0f / (float)fan_in);
  for (int64_t i = 0; i < p->elems; i++)
    p->value[i] = kind == ESPL_PARAM_WEIGHT ? std * espl_rng_normal(b->seed, (uint64_t)id, (uint64_t)i) : fill;
}

int32_t zoo_window(zoo_net *b, const char *name, int32_t in, int32_t out_c, const espl_conv_attr *at, bool bias) {
  espl_node n = {.op = ESPL_OP_CONV, .name = (char *)name, .inputs = 1, .input = {in}, .shape = {out_c, 0, 0}, .conv = *at};
  int32_t id = put(b, &n);
  const int32_t dim[4] = {out_c, b->status == ESPL_OK ? b->g->node[in].shape.c / at->groups : 1, at->kh, at->kw};
  param(b, id, ESPL_PARAM_WEIGHT, 4, dim, 0);
  if (bias) param(b, id, ESPL_PARAM_BIAS, 1, dim, 0);
  return id;
}

int32_t zoo_conv(zoo_net *b, const char *name, int32_t in, int32_t out_c, int32_t k, int32_t stride, int32_t pad, bool bias) {
  const espl_conv_attr at = {.kh = k, .kw = k, .sh = stride, .sw = stride, .dh = 1, .dw = 1,
                             .pt = pad, .pl = pad, .pb = pad, .pr = pad, .groups = 1};
  return zoo_window(b, name, in, out_c, &at, bias);
}

int32_t zoo_batchnorm(zoo_net *b, const char *name, int32_t in) {
  espl_node n = {.op = ESPL_OP_BATCHNORM, .name = (char *)name, .inputs = 1, .input = {in}, .eps = BN_EPS, .bn_momentum = BN_MOMENTUM};
  int32_t id = put(b, &n);
  const int32_t c = b->status == ESPL_OK ? b->g->node[in].shape.c : 1;
  for (int k = ESPL_PARAM_GAMMA; k <= ESPL_PARAM_VAR; k++)
    param(b, id, (espl_param_kind)k, 1, &c, k == ESPL_PARAM_GAMMA || k == ESPL_PARAM_VAR ? 1.0f : 0.0f);
  return id;
}

int32_t zoo_simple(zoo_net *b, const char *name, espl_op op, int32_t in) {
  espl_node n = {.op = op, .name = (char *)name, .inputs = 1, .input = {in}};
  return put(b, &n);
}

int32_t zoo_clip(zoo_net *b, const char *name, int32_t in, float lo, float hi) {
  espl_node n = {.op = ESPL_OP_CLIP, .name = (char *)name, .inputs = 1, .input = {in}, .lo = lo, .hi = hi};
  return put(b, &n);
}

int32_t zoo_add(zoo_net *b, const char *name, int32_t in, int32_t side) {
  espl_node n = {.op = ESPL_OP_ADD, .name = (char *)name, .inputs = 2, .input = {in, side}};
  return put(b, &n);
}

int32_t zoo_maxpool2(zoo_net *b, const char *name, int32_t in) {
  espl_node n = {.op = ESPL_OP_MAXPOOL, .name = (char *)name, .inputs = 1, .input = {in},
                 .conv = {.kh = 2, .kw = 2, .sh = 2, .sw = 2, .dh = 1, .dw = 1}};
  return put(b, &n);
}

int32_t zoo_fc(zoo_net *b, const char *name, int32_t in, int32_t outputs) {
  espl_node n = {.op = ESPL_OP_GEMM, .name = (char *)name, .inputs = 1, .input = {in}, .shape = {outputs, 1, 1}};
  int32_t id = put(b, &n);
  const int32_t dim[2] = {outputs, b->status == ESPL_OK ? b->g->node[in].shape.c : 1};
  param(b, id, ESPL_PARAM_WEIGHT, 2, dim, 0);
  param(b, id, ESPL_PARAM_BIAS, 1, dim, 0);
  return id;
}

espl_status zoo_start(zoo_net *b, const char *name, espl_shape shape, int32_t classes, uint64_t seed, espl_err *err) {
  *b = (zoo_net){.seed = seed, .err = err};
  if (shape.c < 1 || shape.h < 1 || shape.w < 1) return espl_fail(err, ESPL_E_INPUT, "%s: image %dx%dx%d has no pixels", name, shape.c, shape.h, shape.w);
  if (classes < 2) return espl_fail(err, ESPL_E_INPUT, "%s: %d classes, expected at least 2", name, classes);
  b->g = espl_graph_new(name, shape);
  return b->g ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", name);
}

espl_status zoo_finish(zoo_net *b, espl_graph **g, espl_err *err) {
  if (b->status == ESPL_OK) b->status = espl_graph_check(b->g, err);
  if (b->status == ESPL_OK) {
    *g = b->g;
    return ESPL_OK;
  }
  espl_graph_free(b->g);
  return b->status;
}
