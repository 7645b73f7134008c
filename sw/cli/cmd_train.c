/* espalier train: a recipe of configs/networks and a data set in, a trained ONNX network out: the network of the recipe, or a file that is trained on. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/quantized.h"
#include "graph/zoo.h"
#include "nn/recipe.h"
#include "onnx/onnx.h"

typedef struct options {
  const char *data, *out, *mean, *std, *checkpoint, *resize, *network;
  double epochs, lr, every;
  int64_t batch;
  int resume, elsewhere;
  int bf16, f32, epochs_given, lr_given, batch_given;
} options;

/* A path, or NAME standing for configs/networks/NAME.yaml below the working folder or beside the command's folder. */
static espl_status find_recipe(const char *name, char path[PATH_MAX], espl_err *err) {
  char exe[PATH_MAX / 2] = "";
  if (espl_path_exists(name)) return snprintf(path, PATH_MAX, "%s", name), ESPL_OK;
  snprintf(path, PATH_MAX, "configs/networks/%s.yaml", name);
  if (espl_path_exists(path)) return ESPL_OK;
  ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
  char *slash = n > 0 ? strrchr(exe, '/') : NULL;
  if (slash) {
    *slash = 0;
    snprintf(path, PATH_MAX, "%s/../configs/networks/%.200s.yaml", exe, name);
    if (espl_path_exists(path)) return ESPL_OK;
  }
  if (strpbrk(name, "./")) return espl_fail(err, ESPL_E_INPUT, "%s: no such file", name);
  return espl_fail(err, ESPL_E_INPUT, "%s: no such file, and no configs/networks/%s.yaml", name, name);
}

static void show(void *ctx, double fraction, double eta_s, double loss, double accuracy) {
  espl_progress *p = ctx;
  (void)eta_s; /* the progress keeps its own estimate */
  espl_progress_note(p, "loss %.3f accuracy %.1f %%", loss, 100.0 * accuracy);
  espl_progress_at(p, fraction);
}

static espl_status apply(const options *o, uint64_t seed, espl_recipe *r, espl_err *err) {
  if (o->epochs_given) r->train.epochs = o->epochs;
  if (o->lr_given) r->train.lr = (float)o->lr;
  if (o->batch_given) r->train.batch = (int32_t)o->batch;
  if (o->bf16) r->train.dtype = ESPL_BF16;
  if (o->f32) r->train.dtype = ESPL_F32;
  espl_preprocess given;
  ESPL_TRY(espl_preprocess_parse(&given, o->mean, o->std, 0, err));
  if (o->mean) memcpy(r->pp.mean, given.mean, sizeof given.mean);
  if (o->std) memcpy(r->pp.std, given.std, sizeof given.std);
  r->train.seed = seed;
  r->train.checkpoint = o->checkpoint;
  r->train.checkpoint_every = o->every;
  r->train.resume = o->elsewhere ? ESPL_RESUME_ELSEWHERE : o->resume ? ESPL_RESUME_SAME : ESPL_RESUME_NO;
  return ESPL_OK;
}

/* What a network that is trained on says about its images stands in place of the recipe; --mean and --std stand before both. */
static espl_status preprocess_of(const options *o, const espl_graph *g, espl_recipe *r, espl_err *err) {
  const espl_preprocess given = r->pp;
  if (!g->preprocess) return ESPL_OK;
  ESPL_TRY(espl_preprocess_from_json(&r->pp, g->preprocess, err));
  if (o->mean) memcpy(r->pp.mean, given.mean, sizeof given.mean);
  if (o->std) memcpy(r->pp.std, given.std, sizeof given.std);
  return ESPL_OK;
}

static espl_status open_network(espl_cli *cli, const options *o, espl_recipe *r, espl_graph **g) {
  espl_qnet *q = NULL;
  if (!o->network) return ESPL_OK;
  ESPL_TRY(espl_cli_network(cli, &(espl_quantized_args){0}, o->network, 0, g, &q));
  return preprocess_of(o, *g, r, &cli->err);
}

static espl_status result(espl_cli *cli, const espl_recipe *r, const char *network, const espl_dataset *d, const char *out, double val, double seconds) {
  const bool whole = r->train.resume == ESPL_RESUME_NO; /* a continued training made only some of its steps here */
  double speed = r->train.epochs * d->n / seconds;
  fprintf(espl_cli_out(cli), "%s on %s: %d images, %g epochs, %s; validation accuracy %.2f %%, %.1f s", network, d->source, (int)d->n,
          r->train.epochs, r->train.dtype == ESPL_BF16 ? "bfloat16" : "float32", 100.0 * val, seconds);
  if (whole) fprintf(espl_cli_out(cli), ", %.0f images/s", speed);
  fprintf(espl_cli_out(cli), "%s%s\n", out ? "; written to " : "", out ? out : "");
  espl_json *w = NULL;
  ESPL_TRY(espl_cli_json_begin(cli, &w));
  if (!w) return ESPL_OK;
  espl_json_object(w, NULL);
  espl_json_str(w, "network", network);
  espl_json_str(w, "data", d->source);
  espl_json_str(w, "out", out);
  espl_json_num(w, "epochs", r->train.epochs);
  espl_json_num(w, "val_accuracy", val);
  espl_json_num(w, "seconds", seconds);
  if (whole) espl_json_num(w, "images_per_second", speed);
  espl_json_close(w);
  return espl_cli_json_end(cli, w);
}

/* A training of hours must not end at a full disk: the network is 4 bytes a parameter, a checkpoint has two or three times as many. */
static espl_status check_room(espl_cli *cli, const espl_recipe *r, const options *o, const espl_dataset *d, const espl_graph *g) {
  espl_graph *made = NULL;
  if (!g) ESPL_TRY(espl_zoo_build(r->network, d->shape, d->classes, r->train.seed, &made, &cli->err));
  uint64_t bytes = 4 * (uint64_t)espl_graph_params(g ? g : made);
  espl_graph_free(made);
  if (o->out) ESPL_TRY(espl_check_room("--out", o->out, bytes, &cli->err));
  return o->checkpoint ? espl_check_room("--checkpoint", o->checkpoint, 2 * bytes, &cli->err) : ESPL_OK;
}

/* *g: NULL, or the network to train on. */
static espl_status train(espl_cli *cli, const espl_recipe *r, const options *o, const espl_dataset *d, const espl_dataset *v, espl_graph **g) {
  const char *name = o->network ? o->network : r->network;
  double began = espl_now(), val = 0.0;
  espl_train_hooks hooks = {.ctx = cli->progress, .progress = show};
  espl_progress_push(cli->progress, name, 98, 1.0);
  ESPL_TRY(*g ? espl_recipe_train(r, d, &hooks, *g, &cli->err) : espl_recipe_run(r, d, &hooks, g, &cli->err));
  espl_progress_pop(cli->progress);
  double seconds = espl_now() - began;
  espl_status s = espl_evaluate(*g, v, &r->pp, 0, &val, &cli->err);
  if (s == ESPL_OK && o->out) s = espl_onnx_write(*g, o->out, &cli->err);
  espl_progress_clear(cli->progress);
  return s == ESPL_OK ? result(cli, r, name, d, o->out, val, seconds) : s;
}

espl_status espl_cmd_train(espl_cli *cli, int argc, char **argv) {
  options o = {0};
  const char *config[1];
  char path[PATH_MAX];
  int n_args = 0;
  espl_recipe r;
  const espl_opt opts[] = {
      {.name = "data", .type = ESPL_OPT_STRING, .arg = "DIR", .value = &o.data, .help = "folder of a data set, or builtin (default: what the recipe says)"},
      {.name = "out", .letter = 'o', .type = ESPL_OPT_STRING, .arg = "FILE", .value = &o.out, .help = "ONNX file to write"},
      {.name = "network", .type = ESPL_OPT_STRING, .arg = "FILE", .value = &o.network, .help = "train this network (ONNX, TFLite) on from its weights instead of a new one; the recipe says how"},
      {.name = "resize", .type = ESPL_OPT_STRING, .arg = "WxH", .value = &o.resize, .help = "bring images to this size first (default: as they are)"},
      {.name = "epochs", .type = ESPL_OPT_NUMBER, .arg = "N", .value = &o.epochs, .given = &o.epochs_given, .min = 0.001, .max = 1e5, .help = "passes over the training images, may be fractional"},
      {.name = "lr", .type = ESPL_OPT_NUMBER, .arg = "X", .value = &o.lr, .given = &o.lr_given, .min = 0, .max = 1e3, .help = "highest learning rate"},
      {.name = "batch", .type = ESPL_OPT_INT, .arg = "N", .value = &o.batch, .given = &o.batch_given, .min = 1, .max = 65536, .help = "images a step"},
      {.name = "mean", .type = ESPL_OPT_STRING, .arg = "A,B,C", .value = &o.mean, .help = "subtracted from pixels scaled to 0-1"},
      {.name = "std", .type = ESPL_OPT_STRING, .arg = "A,B,C", .value = &o.std, .help = "divides after the mean"},
      {.name = "checkpoint", .type = ESPL_OPT_STRING, .arg = "FILE", .value = &o.checkpoint, .help = "file that keeps the training at each epoch and on Ctrl-C"},
      {.name = "checkpoint-every", .type = ESPL_OPT_NUMBER, .arg = "N", .value = &o.every, .min = 0.001, .max = 1e5, .with = "checkpoint", .help = "epochs between two checkpoints (default 1)"},
      {.name = "resume", .type = ESPL_OPT_FLAG, .value = &o.resume, .with = "checkpoint", .without = "resume-elsewhere", .help = "continue from the checkpoint when there is one"},
      {.name = "resume-elsewhere", .type = ESPL_OPT_FLAG, .value = &o.elsewhere, .with = "checkpoint", .help = "the same for one made on another kind of machine or with other threads"},
      {.name = "bf16", .type = ESPL_OPT_FLAG, .value = &o.bf16, .without = "f32", .help = "compute in bfloat16 (default where the CPU has it)"},
      {.name = "f32", .type = ESPL_OPT_FLAG, .value = &o.f32, .help = "compute in float32"},
  };
  const espl_opt_spec spec = {.usage = "CONFIG [--data DIR] [--out FILE.onnx]",
                              .summary = "Trains a network from a recipe: a YAML file, or a name of configs/networks such as resnet8.",
                              .options = opts, .n_options = sizeof opts / sizeof *opts, .min_args = 1, .max_args = 1};
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, config, &n_args));
  if (cli->help) return ESPL_OK;
  if (o.out) ESPL_TRY(espl_check_writable("--out", o.out, &cli->err));
  if (o.checkpoint) ESPL_TRY(espl_check_writable("--checkpoint", o.checkpoint, &cli->err));
  ESPL_TRY(find_recipe(config[0], path, &cli->err));
  ESPL_TRY(espl_recipe_load(path, &r, &cli->err));
  ESPL_TRY(apply(&o, cli->seed, &r, &cli->err));
  const char *dir = o.data ? o.data : r.data;
  espl_dataset *d = NULL, *v = NULL;
  espl_graph *g = NULL;
  const espl_quantized_args a = {.data = dir, .resize = o.resize};
  espl_status s = open_network(cli, &o, &r, &g);
  if (s == ESPL_OK) s = espl_cli_open(cli, &a, ESPL_SPLIT_TRAIN, &d);
  if (s == ESPL_OK) s = espl_cli_open(cli, &a, ESPL_SPLIT_VAL, &v);
  if (s == ESPL_OK) s = check_room(cli, &r, &o, d, g);
  if (s == ESPL_OK) s = train(cli, &r, &o, d, v, &g);
  if (!o.checkpoint) s = espl_cli_interrupted(cli, s, "nothing is kept without --checkpoint");
  espl_data_free(d);
  espl_data_free(v);
  espl_graph_free(g);
  return s;
}
