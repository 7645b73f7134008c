/* Training recipes: YAML in, trained graph out. */
#include "nn/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/yaml.h"
#include "graph/zoo.h"

static espl_status get_text(const espl_yaml_node *m, const char *key, espl_need need, char *out, size_t room, espl_err *err) {
  const char *s = out;
  ESPL_TRY(espl_yaml_get_string(m, key, need, &s, err));
  if (s == out) return ESPL_OK;
  if (strlen(s) >= room) return espl_yaml_fail(espl_yaml_find(m, key), err, "%s: longer than %zu bytes", key, room - 1);
  memcpy(out, s, strlen(s) + 1);
  return ESPL_OK;
}

static espl_status get_float(const espl_yaml_node *m, const char *key, double min, double max, float *out, espl_err *err) {
  double v = *out;
  ESPL_TRY(espl_yaml_get_float(m, key, ESPL_OPTIONAL, min, max, &v, err));
  if (espl_yaml_find(m, key)) *out = (float)v;
  return ESPL_OK;
}

static espl_status read_preprocess(const espl_yaml_node *root, espl_preprocess *pp, espl_err *err) {
  static const char *const keys[] = {"mean", "std", "raw", NULL};
  const espl_yaml_node *m = NULL;
  ESPL_TRY(espl_yaml_get_map(root, "preprocess", ESPL_OPTIONAL, &m, err));
  if (!m) return ESPL_OK;
  ESPL_TRY(espl_yaml_known_keys(m, keys, err));
  const char *mean = NULL, *std = NULL;
  int raw = 0;
  ESPL_TRY(espl_yaml_get_string(m, "mean", ESPL_OPTIONAL, &mean, err));
  ESPL_TRY(espl_yaml_get_string(m, "std", ESPL_OPTIONAL, &std, err));
  ESPL_TRY(espl_yaml_get_bool(m, "raw", ESPL_OPTIONAL, &raw, err));
  espl_err why = {0};
  if (espl_preprocess_parse(pp, mean, std, raw, &why) != ESPL_OK) return espl_yaml_fail(m, err, "%s", why.msg);
  return ESPL_OK;
}

/* milestones: [30, 45], epochs in rising order; what the step schedule needs. */
static espl_status read_milestones(const espl_yaml_node *m, espl_train_config *c, espl_err *err) {
  const espl_yaml_node *list = NULL;
  ESPL_TRY(espl_yaml_get_list(m, "milestones", c->schedule == ESPL_STEP ? ESPL_REQUIRED : ESPL_OPTIONAL, &list, err));
  size_t n = list ? espl_yaml_count(list) : 0;
  if (n > ESPL_MAX_MILESTONES) return espl_yaml_fail(list, err, "%zu milestones, expected at most %d", n, ESPL_MAX_MILESTONES);
  for (size_t i = 0; i < n; i++) {
    ESPL_TRY(espl_yaml_as_float(espl_yaml_at(list, i), i ? c->milestone[i - 1] : 0.0, 1e5, &c->milestone[i], err));
  }
  c->milestones = (int)n;
  return ESPL_OK;
}

static espl_status read_train(const espl_yaml_node *root, espl_train_config *c, espl_err *err) {
  static const char *const keys[] = {"epochs", "batch", "lr", "momentum", "nesterov", "weight_decay", "warmup_epochs",
                                     "label_smoothing", "augment", "flip", "dtype", "optimizer", "beta2", "schedule", "milestones",
                                     "step_factor", "clip_norm", "ema", NULL};
  static const char *const optimizers[] = {"sgd", "adam", NULL}, *const schedules[] = {"cosine", "step", "constant", NULL};
  static const char *const types[] = {"auto", "float32", "bfloat16", NULL};
  const espl_yaml_node *m = NULL;
  int type = 0, optimizer = ESPL_SGD, schedule = ESPL_COSINE;
  ESPL_TRY(espl_yaml_get_map(root, "train", ESPL_REQUIRED, &m, err));
  ESPL_TRY(espl_yaml_known_keys(m, keys, err));
  ESPL_TRY(espl_yaml_get_float(m, "epochs", ESPL_REQUIRED, 0.001, 1e5, &c->epochs, err));
  ESPL_TRY(espl_yaml_get_i32(m, "batch", ESPL_OPTIONAL, 1, 65536, &c->batch, err));
  ESPL_TRY(get_float(m, "lr", 0.0, 1e3, &c->lr, err));
  ESPL_TRY(get_float(m, "momentum", 0.0, 0.9999, &c->momentum, err));
  ESPL_TRY(espl_yaml_get_bool(m, "nesterov", ESPL_OPTIONAL, &c->nesterov, err));
  ESPL_TRY(get_float(m, "weight_decay", 0.0, 1.0, &c->weight_decay, err));
  ESPL_TRY(get_float(m, "warmup_epochs", 0.0, 1e4, &c->warmup_epochs, err));
  ESPL_TRY(get_float(m, "label_smoothing", 0.0, 0.9, &c->label_smoothing, err));
  ESPL_TRY(espl_yaml_get_bool(m, "augment", ESPL_OPTIONAL, &c->augment, err));
  ESPL_TRY(espl_yaml_get_bool(m, "flip", ESPL_OPTIONAL, &c->flip, err));
  ESPL_TRY(espl_yaml_get_choice(m, "optimizer", ESPL_OPTIONAL, optimizers, &optimizer, err));
  ESPL_TRY(get_float(m, "beta2", 0.0, 0.99999, &c->beta2, err));
  ESPL_TRY(espl_yaml_get_choice(m, "schedule", ESPL_OPTIONAL, schedules, &schedule, err));
  c->optimizer = (espl_optimizer)optimizer;
  c->schedule = (espl_schedule)schedule;
  ESPL_TRY(read_milestones(m, c, err));
  ESPL_TRY(get_float(m, "step_factor", 1e-6, 1.0, &c->step_factor, err));
  ESPL_TRY(get_float(m, "clip_norm", 0.0, 1e6, &c->clip_norm, err));
  ESPL_TRY(get_float(m, "ema", 0.0, 0.999999, &c->ema, err));
  ESPL_TRY(espl_yaml_get_choice(m, "dtype", ESPL_OPTIONAL, types, &type, err));
  if (type) c->dtype = type == 1 ? ESPL_F32 : ESPL_BF16;
  return ESPL_OK;
}

static espl_status read_recipe(const espl_yaml_node *root, espl_recipe *r, espl_err *err) {
  static const char *const keys[] = {"network", "data", "preprocess", "train", NULL};
  *r = (espl_recipe){.data = "builtin"};
  espl_preprocess_default(&r->pp);
  espl_train_default(&r->train);
  ESPL_TRY(espl_yaml_known_keys(root, keys, err));
  ESPL_TRY(get_text(root, "network", ESPL_REQUIRED, r->network, sizeof r->network, err));
  ESPL_TRY(get_text(root, "data", ESPL_OPTIONAL, r->data, sizeof r->data, err));
  ESPL_TRY(read_preprocess(root, &r->pp, err));
  return read_train(root, &r->train, err);
}

espl_status espl_recipe_load(const char *path, espl_recipe *r, espl_err *err) {
  espl_yaml *doc = NULL;
  espl_recipe read;
  ESPL_TRY(espl_yaml_load(path, &doc, err));
  espl_status s = read_recipe(espl_yaml_root(doc), &read, err);
  espl_yaml_free(doc);
  if (s == ESPL_OK) *r = read;
  return s;
}

static espl_status note(const espl_recipe *r, const char *network, const espl_dataset *d, espl_graph *g, espl_err *err) {
  const espl_train_config *c = &r->train;
  char *text = NULL;
  espl_json *w = espl_json_to_buffer(0);
  if (!w) return espl_fail(err, ESPL_E_NOMEM, "history note: out of memory");
  espl_json_object(w, NULL);
  espl_json_str(w, "step", "train");
  espl_json_str(w, "network", network);
  espl_json_str(w, "data", strcmp(d->source, "builtin") == 0 ? "builtin" : "folder");
  espl_json_int(w, "images", d->n);
  espl_json_num(w, "epochs", c->epochs);
  espl_json_int(w, "batch", c->batch);
  espl_json_num(w, "lr", (double)c->lr);
  espl_json_str(w, "dtype", c->dtype == ESPL_BF16 ? "bfloat16" : "float32");
  espl_json_uint(w, "seed", c->seed);
  espl_json_close(w);
  ESPL_TRY(espl_json_finish(w, &text, err));
  espl_status s = espl_graph_note(g, text, err);
  free(text);
  return s;
}

static espl_status run(const espl_recipe *r, const char *network, const espl_dataset *d, const espl_train_hooks *hooks, espl_graph *g, espl_err *err) {
  ESPL_TRY(espl_train(g, d, &r->pp, &r->train, hooks, err));
  free(g->preprocess);
  if (!(g->preprocess = espl_preprocess_to_json(&r->pp, d->shape.c))) return espl_fail(err, ESPL_E_NOMEM, "preprocessing: out of memory");
  return note(r, network, d, g, err);
}

espl_status espl_recipe_run(const espl_recipe *r, const espl_dataset *train, const espl_train_hooks *hooks, espl_graph **g, espl_err *err) {
  *g = NULL;
  espl_graph *made = NULL;
  ESPL_TRY(espl_zoo_build(r->network, train->shape, train->classes, r->train.seed, &made, err));
  espl_status s = run(r, r->network, train, hooks, made, err);
  if (s == ESPL_OK) *g = made;
  else espl_graph_free(made);
  return s;
}

espl_status espl_recipe_train(const espl_recipe *r, const espl_dataset *train, const espl_train_hooks *hooks, espl_graph *g, espl_err *err) {
  return run(r, g->name, train, hooks, g, err);
}
