/* espalier steer, espalier demo: a co-design study from a file, or the main job with its defaults. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/yaml.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/quantized.h"
#include "cli/study.h"
#include "device/root.h"
#include "map/machine_yaml.h"

struct overrides {
  const char *db, *out, *data, *network, *mean, *std, *machine, *resize, *weights;
  double budget, tune, train, rounded;
  int raw, fast, no_rtl;
  char trained[PATH_MAX]; /* the network that --fast loads */
};

#define FAST_OWN "resnet8"
#define FAST_NETWORK "models/resnet8-builtin.onnx" /* FAST_OWN, trained */

static espl_status apply(espl_cli *cli, struct overrides *o, espl_study *s) {
  if (o->data) s->data = strcmp(o->data, "builtin") == 0 ? NULL : o->data;
  if (o->resize) ESPL_TRY(espl_cli_size(o->resize, &s->width, &s->height, &cli->err));
  if (o->network) {
    const char *slash = strrchr(o->network, '/');
    s->network = o->network;
    s->name = slash ? slash + 1 : o->network;
  }
  if (o->out) s->out = o->out;
  if (o->budget > 0) s->budget = o->budget;
  if (o->tune >= 0) s->tune_epochs = o->tune;
  if (o->train >= 0) s->train_epochs = o->train;
  if (o->weights) s->weights = o->weights;
  if (o->rounded >= 0) s->int_epochs = o->rounded;
  if (o->machine) ESPL_TRY(espl_machine_load(o->machine, &s->machine, &cli->err));
  if (o->no_rtl) s->rtl = 0;
  if (cli->seed_given) s->seed = cli->seed;
  if (o->fast) {
    if (s->data || strcmp(s->network, FAST_OWN) != 0)
      return espl_fail(&cli->err, ESPL_E_INPUT, "--fast loads the %s trained on the built-in images; it does not go with %s %s", FAST_OWN, s->data ? "the data" : "the network", s->data ? s->data : s->network);
    ESPL_TRY(espl_root_path(FAST_NETWORK, o->trained, sizeof o->trained, &cli->err));
    s->trained = o->trained;
  }
  const char *file = s->trained ? s->trained : espl_path_exists(s->network) ? s->network : NULL;
  if (o->train >= 0 && file) return espl_fail(&cli->err, ESPL_E_INPUT, "--train-epochs is for networks that are trained here, the network %s is loaded", file);
  if (!o->mean && !o->std && !o->raw) return ESPL_OK;
  s->preprocess_given = 1;
  return espl_preprocess_parse(&s->preprocess, o->mean, o->std, o->raw, &cli->err);
}

static espl_status run(espl_cli *cli, int argc, char **argv, int from_file) {
  struct overrides o = {.tune = -1, .train = -1, .rounded = -1};
  const espl_opt opts[] = {
      {.name = "db", .type = ESPL_OPT_STRING, .arg = "FILE", .value = &o.db, .help = "results store (default OUT/espalier.db)"},
      {.name = "out", .letter = 'o', .type = ESPL_OPT_STRING, .arg = "DIR", .value = &o.out, .help = "networks and report (default out)"},
      {.name = "data", .type = ESPL_OPT_STRING, .arg = "DIR", .value = &o.data, .help = "data set folder, or builtin"},
      {.name = "resize", .type = ESPL_OPT_STRING, .arg = "WxH", .value = &o.resize, .help = "bring images to this size first (default: as they are)"},
      {.name = "network", .type = ESPL_OPT_STRING, .arg = "NET", .value = &o.network, .help = "ONNX file, or resnet8, resnet20, lenet5, lenet-300-100 to train one"},
      {.name = "mean", .type = ESPL_OPT_STRING, .arg = "A,B,C", .value = &o.mean, .help = "subtracted from pixels scaled to 0-1"},
      {.name = "std", .type = ESPL_OPT_STRING, .arg = "A,B,C", .value = &o.std, .help = "divides after the mean"},
      {.name = "raw", .type = ESPL_OPT_FLAG, .value = &o.raw, .help = "keep pixels 0-255"},
      {.name = "machine", .type = ESPL_OPT_STRING, .arg = "M", .value = &o.machine, .help = "machine file, or a name in configs/machines"},
      {.name = "budget", .type = ESPL_OPT_NUMBER, .arg = "SHARE", .value = &o.budget, .min = 0.05, .max = 1, .help = "cycles allowed, as a share of the baseline's"},
      {.name = "train-epochs", .type = ESPL_OPT_NUMBER, .arg = "N", .value = &o.train, .min = 0, .max = 10000, .without = "fast", .help = "epochs of training the own network"},
      {.name = "tune-epochs", .type = ESPL_OPT_NUMBER, .arg = "N", .value = &o.tune, .min = 0, .max = 10000, .help = "epochs of fine-tuning each variant"},
      {.name = "weights", .type = ESPL_OPT_STRING, .arg = "FORM[,LAYER=FORM]", .value = &o.weights, .help = "of integer networks: int8 (default), int4 or codebook:B"},
      {.name = "int-epochs", .type = ESPL_OPT_NUMBER, .arg = "N", .value = &o.rounded, .min = 0, .max = 10000, .help = "epochs of training each variant, and the network itself, for its integers behind fine-tuning (default 0)"},
      {.name = "fast", .type = ESPL_OPT_FLAG, .value = &o.fast, .help = "load the trained network of the built-in job instead of training it"},
      {.name = "no-rtl", .type = ESPL_OPT_FLAG, .value = &o.no_rtl, .help = "do not verify on the Verilated RTL"},
  };
  const espl_opt_spec spec = {.usage = from_file ? "STUDY.yaml [--db FILE] [-o DIR]" : "[--data DIR --network NET.onnx --mean A,B,C --std A,B,C] [-o DIR]",
                              .summary = from_file ? "Runs a co-design study: variants steered by exact cycles, their controls, the proof on RTL, the report. Resumes what was cut off."
                                                   : "The main job: train or load a network, make three kinds of smaller ones for the machine, verify them on the RTL, write the report.",
                              .options = opts, .n_options = (int)(sizeof opts / sizeof opts[0]), .min_args = from_file, .max_args = from_file};
  const char *args[1] = {NULL};
  int n_args = 0;
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, args, &n_args));
  if (cli->help) return ESPL_OK;
  espl_study s;
  espl_study_default(&s);
  espl_yaml *doc = NULL;
  char *command = espl_cli_command_line(argc, argv), *db = NULL;
  s.command = command;
  espl_status st = from_file ? espl_study_load(args[0], &s, &doc, &cli->err) : ESPL_OK;
  if (st == ESPL_OK) st = apply(cli, &o, &s);
  if (st == ESPL_OK && !o.db) db = espl_path_join(s.out, "espalier.db");
  if (st == ESPL_OK) st = espl_cli_study(cli, &s, o.db ? o.db : db);
  free(command);
  free(db);
  espl_yaml_free(doc);
  return st;
}

espl_status espl_cmd_steer(espl_cli *cli, int argc, char **argv) { return run(cli, argc, argv, 1); }
espl_status espl_cmd_demo(espl_cli *cli, int argc, char **argv) { return run(cli, argc, argv, 0); }
