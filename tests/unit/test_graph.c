/* The graph: shape rules against hand-computed extents, laws refused when broken, rewriting, and the published
 * multiply-accumulate counts of our networks. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "graph/graph.h"
#include "graph/zoo.h"

static const espl_shape cifar = {3, 32, 32}, mnist = {1, 28, 28};

#define OK(expr) cr_assert_eq((expr), ESPL_OK, "%s", err.msg)

static espl_node conv_proto(int32_t in, int32_t out_c, int32_t k, int32_t stride, int32_t pad) {
  return (espl_node){.op = ESPL_OP_CONV, .inputs = 1, .input = {in}, .shape = {out_c, 0, 0},
                     .conv = {k, k, stride, stride, 1, 1, pad, pad, pad, pad, 1, false}};
}

static int32_t add(espl_graph *g, espl_node n) {
  espl_err err = {0};
  int32_t id = -1;
  OK(espl_graph_add(g, &n, &id, &err));
  return id;
}

static espl_status try_add(espl_graph *g, espl_node n, espl_err *err) {
  int32_t before = g->nodes, out = g->output;
  espl_status s = espl_graph_add(g, &n, NULL, err);
  if (s != ESPL_OK) cr_assert(g->nodes == before && g->output == out);
  return s;
}

Test(graph, macs_of_known_networks) {
  espl_err err = {0};
  const struct { const char *name; espl_shape in; int64_t macs, trained; } known[] = {
      {"resnet8", cifar, 12501632, 0},
      {"resnet20", cifar, 40813184, 0},
      {"resnet56", cifar, 40813184 + 36 * 2359296LL, 0}, /* 6 more blocks a stack, every 3x3 convolution costs the same */
      {"linear", {1, 16, 16}, 2560, 2570},
      {"lenet-300-100", mnist, 784 * 300 + 300 * 100 + 1000, 784 * 300 + 300 + 300 * 100 + 100 + 1010},
      {"vgg-small", cifar, 1024 * 64 * (27 + 576) + 256 * 128 * (576 + 1152) + 64 * 256 * (1152 + 2304) + 40960, 0},
      {"board-net", cifar, 256 * 27 * 8 + 64 * 72 * 16 + 16 * 144 * 16 + 2560, 27 * 8 + 72 * 16 + 144 * 16 + 4 * 40 + 2570},
      {"ds-cnn", {1, 49, 10}, 125 * 40 * 64 + 4 * 125 * (9 * 64 + 64 * 64) + 640, 0}, /* 2,656,768 with the published 12 classes */
      {"mobilenetv1-025", {3, 96, 96}, 7489664 + 8 * 256, 0}, /* published with 2 classes: 7,489,664 */
      {"mobilenetv2-small", cifar, 17289472, 0},
      {"lenet5", mnist, 24 * 24 * 25 * 16 + 8 * 8 * 25 * 16 * 32 + 512 * 10, 25 * 16 + 16 + 25 * 16 * 32 + 32 + 5130},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    espl_graph *g = NULL;
    OK(espl_zoo_build(known[i].name, known[i].in, 10, 1, &g, &err));
    OK(espl_graph_check(g, &err));
    cr_expect_eq(espl_graph_macs(g), known[i].macs, "%s: %lld", known[i].name, (long long)espl_graph_macs(g));
    if (known[i].trained) cr_expect_eq(espl_graph_params(g), known[i].trained, "%s", known[i].name);
    cr_expect_eq(g->node[g->output].shape.c, 10);
    espl_graph_free(g);
  }
}

Test(graph, zoo_weights_are_he_normal_and_keyed_by_seed) {
  espl_err err = {0};
  espl_graph *a = NULL, *b = NULL, *c = NULL;
  OK(espl_zoo_resnet8(cifar, 10, 1, &a, &err));
  OK(espl_zoo_resnet8(cifar, 10, 1, &b, &err));
  OK(espl_zoo_resnet8(cifar, 10, 2, &c, &err));
  int32_t id = espl_graph_find(a, "stack3.0.conv2");
  const espl_param *p = a->node[id].param[ESPL_PARAM_WEIGHT];
  double sum = 0, sq = 0;
  for (int64_t i = 0; i < p->elems; i++) sum += (double)p->value[i], sq += (double)p->value[i] * (double)p->value[i];
  double n = (double)p->elems, want = 2.0 / (64 * 9);
  cr_expect_lt(fabs(sum / n), 5 * sqrt(want / n));
  cr_expect_lt(fabs(sq / n / want - 1), 5 * sqrt(2 / n));
  cr_expect_arr_eq(p->value, b->node[id].param[ESPL_PARAM_WEIGHT]->value, (size_t)p->elems * sizeof(float));
  cr_expect_neq(memcmp(p->value, c->node[id].param[ESPL_PARAM_WEIGHT]->value, (size_t)p->elems * sizeof(float)), 0);
  espl_graph_free(a);
  espl_graph_free(b);
  espl_graph_free(c);
}

Test(graph, zoo_refuses_bad) {
  espl_err err = {0};
  espl_graph *g = NULL;
  cr_expect_eq(espl_zoo_build("resnet9", cifar, 10, 1, &g, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "resnet8") && !g, "%s", err.msg);
  err = (espl_err){0};
  cr_expect_eq(espl_zoo_resnet(21, cifar, 10, 1, &g, &err), ESPL_E_INPUT);
  err = (espl_err){0};
  cr_expect_eq(espl_zoo_lenet5((espl_shape){1, 4, 28}, 10, 1, &g, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "conv1") && !g, "%s", err.msg);
}

Test(graph, shapes_of_every_operator) {
  espl_graph *g = espl_graph_new("t", (espl_shape){4, 9, 7});
  espl_node n = conv_proto(0, 6, 3, 2, 1);
  n.conv.kw = 5, n.conv.sw = 1, n.conv.dw = 2, n.conv.pl = 3, n.conv.pr = 0, n.conv.groups = 2;
  int32_t c = add(g, n); /* rows (9+2-3)/2+1 = 5; columns (7+3-9)/1+1 = 2 */
  cr_expect(g->node[c].shape.c == 6 && g->node[c].shape.h == 5 && g->node[c].shape.w == 2);
  cr_expect_str_eq(g->node[c].name, "conv_1");
  cr_expect_eq(espl_node_macs(g, c), 6 * 5 * 2 * (4 / 2) * 3 * 5);
  int32_t p = add(g, (espl_node){.op = ESPL_OP_MAXPOOL, .inputs = 1, .input = {0}, .conv = {3, 2, 2, 2, 1, 1, 0, 0, 1, 1, 0, 0}});
  cr_expect(g->node[p].shape.c == 4 && g->node[p].shape.h == 4 && g->node[p].shape.w == 4);
  int32_t s = add(g, (espl_node){.op = ESPL_OP_SUBSAMPLE, .inputs = 1, .input = {0}, .conv = {.sh = 2, .sw = 3}});
  cr_expect(g->node[s].shape.h == 5 && g->node[s].shape.w == 3);
  int32_t pc = add(g, (espl_node){.op = ESPL_OP_PADCHANNELS, .inputs = 1, .input = {c}, .pad_c0 = 2, .pad_c1 = 3});
  cr_expect_eq(g->node[pc].shape.c, 11);
  int32_t cat = add(g, (espl_node){.op = ESPL_OP_CONCAT, .inputs = 3, .input = {c, pc, c}});
  cr_expect_eq(g->node[cat].shape.c, 23);
  int32_t gap = add(g, (espl_node){.op = ESPL_OP_GLOBALAVGPOOL, .inputs = 1, .input = {cat}});
  cr_expect(g->node[gap].shape.c == 23 && g->node[gap].shape.h == 1 && g->node[gap].shape.w == 1);
  int32_t f = add(g, (espl_node){.op = ESPL_OP_FLATTEN, .inputs = 1, .input = {pc}});
  cr_expect_eq(g->node[f].shape.c, 11 * 5 * 2);
  cr_expect_eq(g->output, f);
  cr_expect_eq(espl_graph_readers(g, c), 3);
  cr_expect_eq(espl_graph_readers(g, f), 1);
  espl_graph_free(g);
}

Test(graph, refusals_bad) {
  espl_graph *g = espl_graph_new("t", (espl_shape){4, 9, 7});
  espl_node bad[] = {
      conv_proto(0, 6, 3, 0, 1),  conv_proto(0, 6, 12, 1, 1), conv_proto(0, 0, 3, 1, 1), conv_proto(0, 6, 3, 1, -1),
      conv_proto(1, 6, 3, 1, 1),  conv_proto(-1, 6, 3, 1, 1),
      {.op = ESPL_OP_ADD, .inputs = 1},
      {.op = ESPL_OP_GEMM, .inputs = 1, .shape = {3, 1, 1}},
      {.op = ESPL_OP_MAXPOOL, .inputs = 1, .conv = {2, 2, 2, 2, 1, 1, 2, 0, 0, 0, 0, 0}},
      {.op = ESPL_OP_CLIP, .inputs = 1, .lo = 1, .hi = 0},
      {.op = ESPL_OP_SUBSAMPLE, .inputs = 1},
      {.op = ESPL_OP_PADCHANNELS, .inputs = 1, .pad_c0 = INT32_MAX, .pad_c1 = 3},
      {.op = ESPL_OP_INPUT},
      {.op = ESPL_OP_RELU, .inputs = 1, .name = (char *)"input"},
      {.op = (espl_op)99, .inputs = 1},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    espl_err err = {0};
    cr_expect_neq(try_add(g, bad[i], &err), ESPL_OK, "case %zu", i);
    cr_expect(err.msg[0], "case %zu", i);
  }
  espl_node grouped = conv_proto(0, 6, 3, 1, 1);
  grouped.conv.groups = 3;
  espl_err err = {0};
  cr_expect_eq(try_add(g, grouped, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "3 groups"), "%s", err.msg);
  espl_graph_free(g);
}

Test(graph, params_must_fit) {
  espl_err err = {0};
  espl_graph *g = espl_graph_new("t", (espl_shape){4, 9, 7});
  espl_node n = conv_proto(0, 6, 3, 1, 1);
  n.conv.groups = 2;
  int32_t c = add(g, n);
  cr_expect_eq(espl_graph_check(g, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "has no weight"), "%s", err.msg);
  err = (espl_err){0};
  cr_expect_eq(espl_graph_add_param(g, c, ESPL_PARAM_WEIGHT, NULL, 4, (int32_t[]){6, 4, 3, 3}, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "[6,4,3,3], expected [6,2,3,3]"), "%s", err.msg);
  err = (espl_err){0};
  cr_expect_eq(espl_graph_add_param(g, c, ESPL_PARAM_GAMMA, NULL, 1, (int32_t[]){6}, &err), ESPL_E_INPUT);
  err = (espl_err){0};
  OK(espl_graph_add_param(g, c, ESPL_PARAM_WEIGHT, NULL, 4, (int32_t[]){6, 2, 3, 3}, &err));
  OK(espl_graph_check(g, &err));
  cr_expect_str_eq(g->node[c].param[ESPL_PARAM_WEIGHT]->name, "conv_1.weight");
  cr_expect_eq(g->node[c].param[ESPL_PARAM_WEIGHT]->elems, 108);
  g->node[c].shape.h = 8; /* a rewrite that forgot inference */
  cr_expect_eq(espl_graph_check(g, &err), ESPL_E_BUG);
  err = (espl_err){0};
  OK(espl_graph_infer(g, &err));
  OK(espl_graph_check(g, &err));
  espl_graph_free(g);
}

Test(graph, infer_follows_input_size_and_weight) {
  espl_err err = {0};
  espl_graph *g = NULL;
  OK(espl_zoo_resnet8(cifar, 10, 1, &g, &err));
  g->node[0].shape = (espl_shape){3, 64, 48};
  OK(espl_graph_infer(g, &err));
  cr_expect_eq(espl_graph_macs(g), (12501632 - 640) * 3 + 640);
  g->node[0].shape.c = 4;
  cr_expect_eq(espl_graph_infer(g, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "stem.conv"), "%s", err.msg);
  espl_graph_free(g);
}

Test(graph, remove_joins_readers) {
  espl_err err = {0};
  espl_graph *g = NULL;
  OK(espl_zoo_resnet8(cifar, 10, 1, &g, &err));
  int32_t nodes = g->nodes, bn = espl_graph_find(g, "stem.bn"), relu = espl_graph_find(g, "stem.relu");
  OK(espl_graph_remove(g, relu, 0, &err));
  OK(espl_graph_infer(g, &err));
  OK(espl_graph_check(g, &err));
  cr_expect_eq(g->nodes, nodes - 1);
  cr_expect_eq(espl_graph_readers(g, bn), 2); /* the block's first convolution and its identity shortcut */
  int32_t fc = g->output;
  OK(espl_graph_remove(g, fc, 0, &err));
  cr_expect_str_eq(g->node[g->output].name, "flatten");
  cr_expect_eq(espl_graph_remove(g, 0, 0, &err), ESPL_E_BUG);
  espl_graph_free(g);
}

/* Names are found after growth, renaming, removal and copying; one that is gone is free again. */
Test(graph, names_follow_the_nodes) {
  espl_err err = {0};
  espl_graph *g = espl_graph_new("many", (espl_shape){1, 2, 2});
  char name[16];
  for (int k = 1; k <= 300; k++) {
    snprintf(name, sizeof name, "n%d", k);
    OK(espl_graph_add(g, &(espl_node){.op = ESPL_OP_RELU, .inputs = 1, .input = {k - 1}, .name = name}, NULL, &err));
  }
  cr_expect_eq(espl_graph_add(g, &(espl_node){.op = ESPL_OP_RELU, .inputs = 1, .input = {0}, .name = name}, NULL, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "two nodes are called n300"), "%s", err.msg);
  OK(espl_graph_rename(g, 7, "seven", &err));
  cr_expect_eq(espl_graph_rename(g, 8, "n9", &err), ESPL_E_INPUT);
  OK(espl_graph_remove(g, 100, 0, &err));
  espl_graph *c = espl_graph_clone(g);
  cr_expect(espl_graph_find(c, "n7") == -1 && espl_graph_find(c, "seven") == 7 && espl_graph_find(c, "n100") == -1 && espl_graph_find(c, "input") == 0);
  for (int k = 101; k <= 300; k++) {
    snprintf(name, sizeof name, "n%d", k);
    cr_expect(espl_graph_find(c, name) == k - 1 && espl_graph_find(g, name) == k - 1, "%s", name);
  }
  OK(espl_graph_add(c, &(espl_node){.op = ESPL_OP_RELU, .inputs = 1, .input = {c->output}, .name = (char *)"n100"}, NULL, &err));
  OK(espl_graph_check(c, &err));
  espl_graph_free(g);
  espl_graph_free(c);
}

/* in -> a -> b -> d, in -> c -> (e, f): with output d only a, b, d are needed; ids and readers move down. */
Test(graph, prune_keeps_what_the_output_needs) {
  espl_err err = {0};
  espl_graph *g = espl_graph_new("tree", (espl_shape){1, 2, 2});
  static const struct { const char *name; int from; } t[] = {{"c", 0}, {"a", 0}, {"e", 1}, {"b", 2}, {"f", 1}, {"d", 4}, {"last", 5}};
  for (int k = 0; k < 7; k++)
    OK(espl_graph_add(g, &(espl_node){.op = ESPL_OP_RELU, .inputs = 1, .input = {t[k].from}, .name = (char *)(uintptr_t)t[k].name}, NULL, &err));
  g->output = 6;
  int32_t to[8];
  static const int32_t want[8] = {0, -1, 1, -1, 2, -1, 3, -1};
  OK(espl_graph_prune(g, to, &err));
  cr_expect_arr_eq(to, want, sizeof want);
  cr_assert(g->nodes == 4 && g->output == 3);
  static const char *const names[] = {"input", "a", "b", "d"};
  for (int k = 0; k < 4; k++) cr_expect(espl_graph_find(g, names[k]) == k && (k == 0 || g->node[k].input[0] == k - 1), "%s", names[k]);
  cr_expect_eq(espl_graph_find(g, "last"), -1);
  OK(espl_graph_check(g, &err));
  espl_graph_free(g);
}

Test(graph, clone_is_deep) {
  espl_err err = {0};
  espl_graph *g = NULL;
  OK(espl_zoo_lenet5(mnist, 10, 3, &g, &err));
  OK(espl_graph_note(g, "{\"a\":\"}]\"}", &err));
  espl_graph *c = espl_graph_clone(g);
  float *w = g->node[1].param[ESPL_PARAM_WEIGHT]->value, first = w[0];
  w[0] = 99;
  cr_expect_eq(c->node[1].param[ESPL_PARAM_WEIGHT]->value[0], first);
  espl_graph_free(g);
  OK(espl_graph_check(c, &err));
  cr_expect_str_eq(c->history, "[{\"a\":\"}]\"}]");
  OK(espl_graph_note(c, "{\"b\":[1]}", &err));
  cr_expect_str_eq(c->history, "[{\"a\":\"}]\"},{\"b\":[1]}]");
  cr_expect_eq(espl_graph_note(c, "{\"b\":1},{}", &err), ESPL_E_BUG);
  espl_graph_free(c);
}

Test(graph, softmax_only_last) {
  espl_err err = {0};
  espl_graph *g = NULL;
  OK(espl_zoo_lenet_300_100(mnist, 10, 1, &g, &err));
  add(g, (espl_node){.op = ESPL_OP_SOFTMAX, .inputs = 1, .input = {g->output}});
  OK(espl_graph_check(g, &err));
  add(g, (espl_node){.op = ESPL_OP_RELU, .inputs = 1, .input = {g->output}});
  cr_expect_eq(espl_graph_check(g, &err), ESPL_E_UNSUPPORTED);
  espl_graph_free(g);
}
