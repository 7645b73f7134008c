/* Reading ONNX files: many nodes in bounded time, what the output does not need, operators of other operator sets, a batch that may vary. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "onnx/program.h"
#include "onnx_files.h"

TestSuite(import, .init = make_dir, .fini = remove_dir, .timeout = 120);

/* ---- many nodes ---- */

enum { MANY = 100000 };
enum { OWN_NAMES, ONE_NAME, UNREAD };

/* `nodes` Relu nodes in a row, x to y; UNREAD: each has a second reader that nobody reads. */
static void chain(model *m, int nodes, int kind) {
  size_t all = (size_t)nodes * (kind == UNREAD ? 2 : 1), room_for = all * (sizeof(Onnx__NodeProto) + 4 * sizeof(char *) + 40);
  uint8_t *bytes = calloc(room_for + 64, 1);
  Onnx__NodeProto *n = (Onnx__NodeProto *)bytes;
  char **word = (char **)(n + all), *text = (char *)(word + 2 * all);
  Onnx__NodeProto **list = calloc(all, sizeof *list);
  for (size_t k = 0; k < all; k++) {
    int at = (int)(kind == UNREAD ? k / 2 : k);
    bool unread = kind == UNREAD && k % 2 == 0, last = at == nodes - 1 && !unread;
    onnx__node_proto__init(&n[k]);
    n[k].op_type = (char *)"Relu";
    n[k].name = kind == ONE_NAME ? (char *)"layer" : NULL;
    n[k].n_input = n[k].n_output = 1;
    n[k].input = word++;
    n[k].output = word++;
    n[k].input[0] = at == 0 ? (char *)"x" : text;
    if (at) text += 1 + sprintf(text, "v%d", at - 1);
    n[k].output[0] = last ? (char *)"y" : text;
    if (!last) text += 1 + sprintf(text, unread ? "u%d" : "v%d", at);
    list[k] = &n[k];
  }
  m->g.node = list;
  m->g.n_node = all;
}

static void drop_chain(model *m) {
  free(m->g.node[0]);
  free(m->g.node);
}

/* A walk over all nodes for each node would take most of a minute, this takes a fifth of a second. The graph is checked: 0 -> 1 -> ... -> 100,000. */
Test(import, many_nodes) {
  for (int kind = OWN_NAMES; kind <= UNREAD; kind++) {
    model *m = new_model(13, 1, 2, 2, "y");
    chain(m, kind == UNREAD ? MANY / 2 : MANY, kind);
    clock_t began = clock();
    espl_graph *g = read_ok(m);
    double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
    drop_chain(m);
    cr_expect_lt(seconds, 8.0, "kind %d: %.1f s", kind, seconds);
    cr_assert_eq(g->nodes, (kind == UNREAD ? MANY / 2 : MANY) + 1);
    cr_expect_eq(g->output, g->nodes - 1);
    for (int32_t k = 1; k < g->nodes; k++) cr_assert(g->node[k].input[0] == k - 1 && espl_graph_find(g, g->node[k].name) == k, "node %d", (int)k);
    espl_graph_free(g);
  }
}

Test(import, too_many_nodes_bad) {
  model *m = new_model(13, 1, 2, 2, "y");
  chain(m, 131073, OWN_NAMES);
  expect_refusal(m, ESPL_E_UNSUPPORTED, "131073 nodes, at most 131072 are supported");
  drop_chain(m);
}

/* ---- operator sets ---- */

/* First operator set of each, and the last one of Upsample, from ONNX's list of changes. Both readers refuse one set off. */
Test(import, operators_of_other_sets_bad) {
  static const struct { const char *op, *inputs; int set; const char *says; } t[] = {
      {"QuantizeLinear", "x,c", 9, "came with operator set 10"}, {"DequantizeLinear", "x,c", 9, "came with operator set 10"},
      {"Resize", "x,c", 9, "came with operator set 10"}, {"Where", "x,x,x", 8, "came with operator set 9"},
      {"ConstantOfShape", "x", 8, "came with operator set 9"}, {"Expand", "x,c", 7, "came with operator set 8"},
      {"Range", "x,x,x", 10, "came with operator set 11"}, {"HardSwish", "x", 13, "came with operator set 14"},
      {"GroupNormalization", "x,c,c", 17, "came with operator set 18"}, {"Upsample", "x,c", 10, "left with operator set 10"}};
  for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
    espl_err err = {0};
    espl_tprogram *p = NULL;
    model *m = new_model(t[k].set, 1, 4, 4, "y");
    put_floats(m, "c", 1, (int64_t[]){1});
    put_node(m, t[k].op, t[k].inputs, "y");
    expect_refusal(m, ESPL_E_UNSUPPORTED, t[k].says);
    cr_expect_eq(espl_onnx_program(file, &p, &err), ESPL_E_UNSUPPORTED, "%s", t[k].op);
    cr_expect(strstr(err.msg, t[k].says) && strstr(err.msg, "n_y"), "%s: %s", t[k].op, err.msg);
  }
}

/* One operator set up or down they are read. */
Test(import, operators_of_their_first_set) {
  model *m = new_model(14, 1, 4, 4, "y");
  put_node(m, "HardSwish", "x", "y");
  espl_graph_free(read_ok(m));
  m = new_model(9, 1, 4, 4, "y");
  put_floats(m, "scales", 1, (int64_t[]){4});
  memcpy(m->init[0].float_data, (float[]){1, 1, 2, 2}, 16);
  attr_text(m, put_node(m, "Upsample", "x,scales", "y"), "mode", "nearest");
  espl_graph *g = read_ok(m);
  cr_expect_eq(g->node[g->output].shape.h, 8);
  espl_graph_free(g);
}

/* ---- a batch that may vary ---- */

/* x is [N,3,4,4]; "s" its shape, "n" [N]. Names of constants are their values. */
static model *varying(const char *output) {
  model *m = new_model(13, 3, 4, 4, output);
  m->dim[0].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
  m->dim[0].dim_param = (char *)"N";
  put_node(m, "Shape", "x", "s");
  const int64_t values[] = {-1, 0, 1, 2, 3, 12, 16, 64};
  for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
    char name[8];
    snprintf(name, sizeof name, "%d", (int)values[k]);
    put_ints(m, name, 1, &values[k]);
  }
  attr_int(m, put_node(m, "Gather", "s,0", "n"), "axis", 0);
  return m;
}

/* What holds for every batch is read: each image becomes a row of 48. */
Test(import, batch_stays_the_batch) {
  static const char *const targets[] = {"n,-1", "0,-1", "-1,3_16", "n,3_16"};
  for (size_t k = 0; k < sizeof targets / sizeof *targets; k++) {
    model *m = varying("y");
    char join[16];
    snprintf(join, sizeof join, "%s", targets[k]);
    if (strstr(join, "3_16")) put_node(m, "Mul", "3,16", "3_16");
    attr_int(m, put_node(m, "Concat", join, "t"), "axis", 0);
    put_node(m, "Reshape", "x,t", "y");
    espl_graph *g = read_ok(m);
    cr_expect(g->node[g->output].op == ESPL_OP_FLATTEN && g->node[g->output].shape.c == 48, "%s", targets[k]);
    espl_graph_free(g);
  }
}

/* The batch times something, as another dimension, as a row of everything: with 1 for the batch all of these would be read as if they were
 * an operator on each image. */
Test(import, batch_elsewhere_bad) {
  static const struct { const char *target, *says; } t[] = {
      {"-1,n_48", "n_y (Reshape): shape depends on the batch"}, {"n_3,16", "n_y (Reshape): shape depends on the batch"},
      {"1,-1", "makes one row of a batch that may vary"}, {"-1,n", "has the batch, which may vary, as dimension 1"},
      {"half,-1", "shape depends on the batch"}, {"small,-1", "shape depends on the batch"}};
  for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
    model *m = varying("y");
    char join[16];
    snprintf(join, sizeof join, "%s", t[k].target);
    if (strstr(join, "n_48")) put_node(m, "Mul", "3,16", "48"), put_node(m, "Mul", "n,48", "n_48");
    if (strstr(join, "n_3")) put_node(m, "Mul", "n,3", "n_3");
    if (strstr(join, "half")) put_node(m, "Div", "n,2", "half0"), put_node(m, "Add", "half0,1", "half"); /* N/2 + 1 is 1 for one image */
    if (strstr(join, "small")) put_node(m, "Min", "n,64", "small");
    attr_int(m, put_node(m, "Concat", join, "t"), "axis", 0);
    put_node(m, "Reshape", "x,t", "y");
    expect_refusal(m, ESPL_E_UNSUPPORTED, t[k].says);
  }
}

/* Where the batch is fixed the arithmetic is known: [-1, N*48] of a batch of 1 is a row of 48. */
Test(import, fixed_batch_counts) {
  model *m = varying("y");
  m->dim[0].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
  m->dim[0].dim_value = 1;
  put_node(m, "Mul", "3,16", "48");
  put_node(m, "Mul", "n,48", "n_48");
  attr_int(m, put_node(m, "Concat", "-1,n_48", "t"), "axis", 0);
  put_node(m, "Reshape", "x,t", "y");
  espl_graph *g = read_ok(m);
  cr_expect_eq(g->node[g->output].shape.c, 48);
  espl_graph_free(g);
}

/* Values times the batch: refused; the first image of a batch: refused; all images, by the batch or by the largest number: the same images. */
Test(import, batch_as_value_and_slice) {
  model *m = varying("y");
  attr_int(m, put_node(m, "Cast", "n", "f"), "to", 1);
  put_node(m, "Mul", "x,f", "y");
  expect_refusal(m, ESPL_E_UNSUPPORTED, "n_y (Mul): f depends on the batch");
  static const char *const ends[] = {"1", "n", "most"};
  for (int k = 0; k < 3; k++) {
    char inputs[32];
    m = varying("y");
    put_ints(m, "most", 1, (int64_t[]){INT64_MAX});
    snprintf(inputs, sizeof inputs, "x,0,%s,0", ends[k]);
    put_node(m, "Slice", inputs, "part");
    put_node(m, "Relu", "part", "y");
    if (k == 0) {
      expect_refusal(m, ESPL_E_UNSUPPORTED, "only every k-th row and column of the whole image");
      continue;
    }
    espl_graph *g = read_ok(m);
    cr_expect(g->nodes == 2 && g->node[1].op == ESPL_OP_RELU);
    espl_graph_free(g);
  }
}

/* Resize to [N,C,8,8] put together from the shape, as exporters do; to [64,C,8,8] of a batch that may vary it is refused. */
Test(import, resize_keeps_the_batch) {
  for (int fixed = 0; fixed < 2; fixed++) {
    model *m = varying("y");
    put_node(m, "Mul", "2,2", "4");
    put_node(m, "Mul", "2,4", "8");
    attr_int(m, put_node(m, "Concat", fixed ? "64,3,8,8" : "n,3,8,8", "sizes"), "axis", 0);
    attr_text(m, put_node(m, "Resize", "x,_,_,sizes", "y"), "mode", "nearest");
    if (fixed) {
      expect_refusal(m, ESPL_E_UNSUPPORTED, "only H and W by constants");
      continue;
    }
    espl_graph *g = read_ok(m);
    cr_expect(g->node[g->output].shape.h == 8 && g->node[g->output].shape.w == 8);
    espl_graph_free(g);
  }
}
