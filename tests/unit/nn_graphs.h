/* Small graphs for the tests of execution and training: builders with random parameters, failing the test on any error. */
#ifndef TESTS_UNIT_NN_GRAPHS_H
#define TESTS_UNIT_NN_GRAPHS_H
#include <criterion/criterion.h>

#include <string.h>

#include "base/rng.h"
#include "graph/graph.h"

#define GRAPHS_UNUSED __attribute__((unused)) /* not every file builds every operator */

static espl_err err; /* of the running test */
#define OK(expr) cr_assert_eq((expr), ESPL_OK, "%s", err.msg)

static GRAPHS_UNUSED espl_graph *start(int c, int h, int w) {
  memset(&err, 0, sizeof err);
  espl_graph *g = espl_graph_new("t", (espl_shape){c, h, w});
  cr_assert_not_null(g);
  return g;
}

static GRAPHS_UNUSED void param(espl_graph *g, int id, espl_param_kind kind, int dims, const int32_t *dim) {
  OK(espl_graph_add_param(g, id, kind, NULL, dims, dim, &err));
  espl_param *p = g->node[id].param[kind];
  for (int64_t i = 0; i < p->elems; i++) {
    float r = espl_rng_normal(7, (uint64_t)(id * 8 + (int)kind), (uint64_t)i);
    p->value[i] = kind == ESPL_PARAM_VAR ? 0.5f + r * r : kind == ESPL_PARAM_GAMMA ? 1.0f + 0.3f * r : 0.4f * r;
  }
}

static GRAPHS_UNUSED int node(espl_graph *g, espl_node n) {
  int32_t id;
  OK(espl_graph_add(g, &n, &id, &err));
  return id;
}

static GRAPHS_UNUSED int conv(espl_graph *g, int in, int oc, espl_conv_attr a, bool bias) {
  if (!a.groups) a.groups = 1;
  if (!a.sh) a.sh = a.sw = 1;
  if (!a.dh) a.dh = a.dw = 1;
  int32_t dim[4] = {oc, g->node[in].shape.c / a.groups, a.kh, a.kw};
  int id = node(g, (espl_node){.op = ESPL_OP_CONV, .inputs = 1, .input = {in}, .shape = {oc, 0, 0}, .conv = a});
  param(g, id, ESPL_PARAM_WEIGHT, 4, dim);
  if (bias) param(g, id, ESPL_PARAM_BIAS, 1, dim);
  return id;
}

static const GRAPHS_UNUSED espl_conv_attr k3 = {.kh = 3, .kw = 3, .pt = 1, .pl = 1, .pb = 1, .pr = 1};

static GRAPHS_UNUSED int bn(espl_graph *g, int in) {
  int32_t c = g->node[in].shape.c;
  int id = node(g, (espl_node){.op = ESPL_OP_BATCHNORM, .inputs = 1, .input = {in}, .eps = 1e-3f, .bn_momentum = 0.1f});
  for (int k = ESPL_PARAM_GAMMA; k <= ESPL_PARAM_VAR; k++) param(g, id, (espl_param_kind)k, 1, &c);
  return id;
}

static GRAPHS_UNUSED int gemm(espl_graph *g, int in, int o) {
  int32_t dim[2] = {o, g->node[in].shape.c};
  int id = node(g, (espl_node){.op = ESPL_OP_GEMM, .inputs = 1, .input = {in}, .shape = {o, 1, 1}});
  param(g, id, ESPL_PARAM_WEIGHT, 2, dim);
  param(g, id, ESPL_PARAM_BIAS, 1, dim);
  return id;
}

static GRAPHS_UNUSED int op(espl_graph *g, espl_op o, int in) { return node(g, (espl_node){.op = o, .inputs = 1, .input = {in}, .lo = -0.5f, .hi = 0.7f}); }
static GRAPHS_UNUSED int add(espl_graph *g, int a, int b) { return node(g, (espl_node){.op = ESPL_OP_ADD, .inputs = 2, .input = {a, b}}); }

static GRAPHS_UNUSED int pool(espl_graph *g, espl_op o, int in, int k, int s, int pad0, int pad1, bool counted) {
  espl_conv_attr a = {.kh = k, .kw = k, .sh = s, .sw = s, .dh = 1, .dw = 1, .pt = pad0, .pl = pad0, .pb = pad1, .pr = pad1, .count_include_pad = counted};
  return node(g, (espl_node){.op = o, .inputs = 1, .input = {in}, .conv = a});
}

#endif
