/* Study files: every key is a field of espl_study. */
#include "base/yaml.h"
#include "map/machine_yaml.h"
#include "steer/study.h"

static espl_status numbers(const espl_yaml_node *m, espl_study *s, espl_err *err) {
  double lr = (double)s->train_lr, tune = (double)s->tune_lr, rounded = (double)s->int_lr, distill = (double)s->distill;
  int64_t seed = (int64_t)s->seed;
  ESPL_TRY(espl_yaml_get_float(m, "budget", ESPL_OPTIONAL, 0.05, 1, &s->budget, err));
  ESPL_TRY(espl_yaml_get_float(m, "train_epochs", ESPL_OPTIONAL, 0, 10000, &s->train_epochs, err));
  ESPL_TRY(espl_yaml_get_float(m, "tune_epochs", ESPL_OPTIONAL, 0, 10000, &s->tune_epochs, err));
  ESPL_TRY(espl_yaml_get_float(m, "train_lr", ESPL_OPTIONAL, 0, 100, &lr, err));
  ESPL_TRY(espl_yaml_get_float(m, "tune_lr", ESPL_OPTIONAL, 0, 100, &tune, err));
  ESPL_TRY(espl_yaml_get_float(m, "int_epochs", ESPL_OPTIONAL, 0, 10000, &s->int_epochs, err));
  ESPL_TRY(espl_yaml_get_float(m, "int_lr", ESPL_OPTIONAL, 0, 100, &rounded, err));
  ESPL_TRY(espl_yaml_get_float(m, "distill", ESPL_OPTIONAL, 0, 1, &distill, err));
  ESPL_TRY(espl_yaml_get_i32(m, "batch", ESPL_OPTIONAL, 1, 4096, &s->batch, err));
  ESPL_TRY(espl_yaml_get_i32(m, "importance_batches", ESPL_OPTIONAL, 1, 100000, &s->importance_batches, err));
  ESPL_TRY(espl_yaml_get_i32(m, "calib_images", ESPL_OPTIONAL, 1, 1000000, &s->calib_images, err));
  ESPL_TRY(espl_yaml_get_i32(m, "check_images", ESPL_OPTIONAL, 1, 4096, &s->check_images, err));
  ESPL_TRY(espl_yaml_get_int(m, "seed", ESPL_OPTIONAL, 0, INT64_MAX, &seed, err));
  s->train_lr = (float)lr;
  s->tune_lr = (float)tune;
  s->int_lr = (float)rounded;
  s->distill = (float)distill;
  s->seed = (uint64_t)seed;
  return ESPL_OK;
}

static espl_status switches(const espl_yaml_node *m, espl_study *s, espl_err *err) {
  const struct { const char *key; int *value; } b[] = {{"dense", &s->dense}, {"block", &s->block}, {"kernel", &s->kernel}, {"controls", &s->controls}, {"bf16", &s->bf16}, {"rtl", &s->rtl}};
  for (size_t i = 0; i < sizeof b / sizeof b[0]; i++) ESPL_TRY(espl_yaml_get_bool(m, b[i].key, ESPL_OPTIONAL, b[i].value, err));
  return ESPL_OK;
}

static espl_status strings(const espl_yaml_node *m, espl_study *s, espl_err *err) {
  const char *machine = NULL, *mean = NULL, *std = NULL;
  int raw = 0;
  ESPL_TRY(espl_yaml_get_string(m, "name", ESPL_OPTIONAL, &s->name, err));
  ESPL_TRY(espl_yaml_get_string(m, "network", ESPL_OPTIONAL, &s->network, err));
  ESPL_TRY(espl_yaml_get_string(m, "trained", ESPL_OPTIONAL, &s->trained, err));
  ESPL_TRY(espl_yaml_get_string(m, "data", ESPL_OPTIONAL, &s->data, err));
  ESPL_TRY(espl_yaml_get_string(m, "weights", ESPL_OPTIONAL, &s->weights, err));
  ESPL_TRY(espl_yaml_get_string(m, "machine", ESPL_OPTIONAL, &machine, err));
  ESPL_TRY(espl_yaml_get_string(m, "mean", ESPL_OPTIONAL, &mean, err));
  ESPL_TRY(espl_yaml_get_string(m, "std", ESPL_OPTIONAL, &std, err));
  ESPL_TRY(espl_yaml_get_bool(m, "raw", ESPL_OPTIONAL, &raw, err));
  if (machine) ESPL_TRY(espl_machine_load(machine, &s->machine, err));
  if (!mean && !std && !raw) return ESPL_OK;
  s->preprocess_given = 1;
  return espl_preprocess_parse(&s->preprocess, mean, std, raw, err);
}

espl_status espl_study_load(const char *path, espl_study *s, struct espl_yaml **doc, espl_err *err) {
  static const char *const keys[] = {"name", "network", "trained", "data", "machine", "mean", "std", "raw", "budget", "train_epochs", "tune_epochs", "train_lr", "tune_lr", "int_epochs", "int_lr", "weights", "distill",
                                     "batch", "importance_batches", "calib_images", "check_images", "seed", "dense", "block", "kernel", "controls", "bf16", "rtl", NULL};
  ESPL_TRY(espl_yaml_load(path, doc, err));
  const espl_yaml_node *m = espl_yaml_root(*doc);
  ESPL_TRY(espl_yaml_known_keys(m, keys, err));
  ESPL_TRY(strings(m, s, err));
  ESPL_TRY(numbers(m, s, err));
  return switches(m, s, err);
}
