/* Training recipes: what a file says arrives, what it gets wrong is refused at its place, and the recipes of
 * configs/networks/ all load. Run from the repository root. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "nn/recipe.h"

static espl_status load(const char *text, espl_recipe *r, espl_err *err) {
  char path[SCRATCH];
  scratch_file(path, "espl_recipe");
  cr_assert_eq(espl_write_file(path, text, strlen(text), err), ESPL_OK);
  espl_status s = espl_recipe_load(path, r, err);
  unlink(path);
  return s;
}

Test(recipe, values_arrive_and_absent_ones_keep_the_default) {
  espl_err err = {0};
  espl_recipe r;
  espl_train_config d;
  espl_train_default(&d);
  cr_assert_eq(load("network: lenet5\npreprocess: {mean: \"0.1,0.2,0.3\", std: 0.5}\n"
                    "train: {epochs: 2.5, batch: 10, lr: 0.25, nesterov: no, dtype: float32, flip: off}\n", &r, &err), ESPL_OK, "%s", err.msg);
  cr_expect_str_eq(r.network, "lenet5");
  cr_expect_str_eq(r.data, "builtin");
  cr_expect_eq(r.pp.mean[1], 0.2f);
  cr_expect_eq(r.pp.std[2], 0.5f);
  cr_expect_eq(r.train.epochs, 2.5);
  cr_expect_eq(r.train.batch, 10);
  cr_expect_eq(r.train.lr, 0.25f);
  cr_expect_eq(r.train.nesterov, 0);
  cr_expect_eq(r.train.flip, 0);
  cr_expect_eq(r.train.dtype, ESPL_F32);
  cr_expect_eq(r.train.weight_decay, d.weight_decay);
  cr_expect_eq(r.train.momentum, d.momentum);
}

Test(recipe, mistakes_are_refused_at_their_place) {
  static const struct {
    const char *text, *where, *what;
  } t[] = {{"network: resnet8\ntrain: {epochs: 1, bach: 3}\n", ":2:", "batch"},
           {"network: resnet8\ntrain: {epochs: -1}\n", ":2:", "epochs"},
           {"network: resnet8\n", ":1:", "train"},
           {"train: {epochs: 1}\n", ":1:", "network"},
           {"network: resnet8\npreprocess: {std: 0}\ntrain: {epochs: 1}\n", ":2:", "std"},
           {"network: resnet8\ntrain: {epochs: 1, dtype: bfloat61}\n", ":2:", "bfloat16"}};
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    espl_err err = {0};
    espl_recipe r = {.network = "as it was"};
    cr_expect_eq(load(t[i].text, &r, &err), ESPL_E_INPUT, "%s", t[i].text);
    cr_expect(strstr(err.msg, t[i].where) && strstr(err.msg, t[i].what), "%s", err.msg);
    cr_expect_str_eq(r.network, "as it was");
  }
}

Test(recipe, those_of_the_repository_load) {
  static const char *const names[] = {"resnet8", "resnet20", "resnet56", "lenet5", "lenet-300-100", "vgg-small",
                                      "mobilenetv1-025", "mobilenetv2-small", "ds-cnn", "resnet8-cifar10", "linear"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    espl_err err = {0};
    espl_recipe r;
    char path[128];
    snprintf(path, sizeof path, "configs/networks/%s.yaml", names[i]);
    cr_expect_eq(espl_recipe_load(path, &r, &err), ESPL_OK, "%s", err.msg);
    cr_expect_eq(strncmp(r.network, names[i], strlen(r.network)), 0, "%s trains %s", names[i], r.network);
  }
}

Test(recipe, one_short_training_leaves_its_trace) {
  espl_err err = {0};
  espl_recipe r;
  espl_dataset *d = NULL;
  espl_graph *g = NULL;
  cr_assert_eq(espl_recipe_load("configs/networks/resnet8.yaml", &r, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_data_open(NULL, ESPL_SPLIT_VAL, 1, &d, &err), ESPL_OK, "%s", err.msg);
  r.train.epochs = 0.2;
  cr_assert_eq(espl_recipe_run(&r, d, NULL, &g, &err), ESPL_OK, "%s", err.msg);
  cr_expect(strstr(g->preprocess, "0.25") && strstr(g->history, "\"train\"") && strstr(g->history, "resnet8"));
  espl_dataset few = *d;
  few.n = 128; /* trained on: the weights it starts with are those it has */
  r.train.epochs = 1;
  r.train.lr = 0;
  r.train.weight_decay = 0;
  const float was = g->node[1].param[ESPL_PARAM_WEIGHT]->value[0];
  cr_assert_eq(espl_recipe_train(&r, &few, NULL, g, &err), ESPL_OK, "%s", err.msg);
  cr_expect_eq(g->node[1].param[ESPL_PARAM_WEIGHT]->value[0], was);
  cr_expect(strstr(strstr(g->history, "\"train\"") + 1, "\"train\"") && strstr(g->history, "\"images\":128"), "%s", g->history);
  espl_graph_free(g);
  strcpy(r.network, "resnet9");
  cr_expect_eq(espl_recipe_run(&r, d, NULL, &g, &err), ESPL_E_INPUT);
  cr_expect_null(g);
  espl_data_free(d);
}
