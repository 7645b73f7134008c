/* espalier quantize: a network as a quantized ONNX file (QuantizeLinear/DequantizeLinear pairs, per-channel int8 weights): a float one by
 * calibration, one that is quantized already (a TFLite file, for example) with its own integers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/quantized.h"
#include "onnx/qdq.h"
#include "quant/tune.h"
#include "steer/mixed.h"

enum { MIXED_IMAGES = 1000 }; /* of val, for sensitivities */

typedef struct job {
  espl_cli *cli;
  espl_quantized_args a;
  const char *network, *out;
  double tune, tune_lr;
  espl_graph *g;
  espl_qnet *q;
  espl_equalized equalized;
  espl_mixed mixed; /* layers 0: not asked for */
} job;

static int64_t weights_of(const espl_qnet *q) {
  int64_t n = 0;
  for (int32_t i = 0; i < q->layers; i++)
    if (q->layer[i].w && q->layer[i].macs > 0) n += (int64_t)q->layer[i].out_c * (q->layer[i].in_c / q->layer[i].groups) * q->layer[i].kh * q->layer[i].kw;
  return n;
}

/* What the file says of itself: the preprocessing in use, and an entry of the history (cfg NULL: nothing was calibrated). */
static espl_status describe(job *j, const espl_quant_config *cfg) {
  espl_preprocess pp;
  char *text = NULL;
  ESPL_TRY(espl_cli_preprocess(&j->a, j->g, &pp, &j->cli->err));
  text = espl_preprocess_to_json(&pp, j->g->node[0].shape.c);
  if (!text) return espl_fail(&j->cli->err, ESPL_E_NOMEM, "quantize: out of memory");
  free(j->g->preprocess);
  j->g->preprocess = text;
  espl_json *w = espl_json_to_buffer(0);
  espl_json_object(w, NULL);
  espl_json_str(w, "step", "quantize");
  espl_json_str(w, "weights", j->a.weights ? j->a.weights : "int8");
  espl_json_str(w, "weight_scales", j->a.per_tensor ? "per tensor" : "per channel");
  espl_json_str(w, "activations", "int8 per tensor");
  if (cfg) {
    espl_json_str(w, "data", j->a.data);
    espl_json_int(w, "calibration_images", cfg->calib_images);
    if (cfg->least_error) espl_json_str(w, "ranges", "least square error");
    else espl_json_num(w, "percentile", round((double)cfg->percentile * 1e6) / 1e6); /* undoes the rounding to float32 */
    if (cfg->correct_bias) espl_json_bool(w, "bias_correction", true);
    if (j->a.equalize) espl_json_int(w, "equalized_pairs", j->equalized.pairs);
    if (j->a.open_relu6) espl_json_int(w, "opened_relu6", j->equalized.opened);
    espl_json_uint(w, "seed", cfg->seed);
    if (j->tune > 0) espl_json_num(w, "tuned_epochs", j->tune);
  } else {
    espl_json_str(w, "scales", "of the file it was read from");
  }
  espl_json_close(w);
  ESPL_TRY(espl_json_finish(w, &text, &j->cli->err));
  espl_status s = espl_graph_note(j->g, text, &j->cli->err);
  free(text);
  return s;
}

static void print_mixed(FILE *f, const espl_mixed *m) {
  fprintf(f, "%-28s %10s %12s %5s %10s\n", "layer", "weights", "sensitivity", "bits", "bytes");
  for (int32_t i = 0; i < m->layers; i++) {
    const espl_mixed_layer *l = &m->layer[i];
    fprintf(f, "%-28s %10lld %12.3g %5d %10lld\n", l->name, (long long)l->weights, l->sensitivity, (int)l->bits, (long long)l->bytes);
  }
  fprintf(f, "%-28s %10lld %12s %5.2f %10lld of at most %lld; sensitivity: nats that int4 in the layer alone costs on %d val images\n", "all", (long long)m->weights, "", m->bits,
          (long long)m->bytes, (long long)m->budget_bytes, (int)m->images);
}

static void json_mixed(espl_json *w, const espl_mixed *m) {
  espl_json_object(w, "mixed");
  espl_json_num(w, "bits", m->bits);
  espl_json_int(w, "bytes", m->bytes);
  espl_json_int(w, "budget_bytes", m->budget_bytes);
  espl_json_int(w, "val_images", m->images);
  espl_json_num(w, "gap", m->gap);
  espl_json_array(w, "layers");
  for (int32_t i = 0; i < m->layers; i++) {
    espl_json_object(w, NULL);
    espl_json_str(w, "name", m->layer[i].name);
    espl_json_int(w, "weights", m->layer[i].weights);
    espl_json_num(w, "sensitivity", m->layer[i].sensitivity);
    espl_json_int(w, "bits", m->layer[i].bits);
    espl_json_int(w, "bytes", m->layer[i].bytes);
    espl_json_close(w);
  }
  espl_json_close(w);
  espl_json_close(w);
}

static espl_status result(const job *j, const espl_quant_config *cfg) {
  int64_t weights = weights_of(j->q);
  if (j->mixed.layers) print_mixed(espl_cli_out(j->cli), &j->mixed);
  fprintf(espl_cli_out(j->cli), "%s -> %s: %d layers, %lld weights (%s), ", j->network, j->out, (int)j->q->layers, (long long)weights,
          j->a.weights ? j->a.weights : "int8");
  if (j->a.open_relu6) fprintf(espl_cli_out(j->cli), "%d ReLU6 opened, ", (int)j->equalized.opened);
  if (j->a.equalize) fprintf(espl_cli_out(j->cli), "%d pairs equalized (largest over mean weight %.2f, now %.2f), ", (int)j->equalized.pairs, j->equalized.before, j->equalized.after);
  if (cfg) fprintf(espl_cli_out(j->cli), "%d calibration images of %s\n", (int)cfg->calib_images, j->a.data);
  else fprintf(espl_cli_out(j->cli), "the file's own scales\n");
  espl_json *w = NULL;
  ESPL_TRY(espl_cli_json_begin(j->cli, &w));
  if (!w) return ESPL_OK;
  espl_json_object(w, NULL);
  espl_json_str(w, "network", j->network);
  espl_json_str(w, "output", j->out);
  espl_json_str(w, "data", j->a.data);
  espl_json_int(w, "layers", j->q->layers);
  espl_json_int(w, "weights", weights);
  espl_json_str(w, "weight_form", j->a.weights ? j->a.weights : "int8");
  espl_json_int(w, "calibration_images", cfg ? cfg->calib_images : 0);
  if (j->a.equalize) espl_json_int(w, "equalized_pairs", j->equalized.pairs);
  if (j->mixed.layers) json_mixed(w, &j->mixed);
  espl_json_close(w);
  return espl_cli_json_end(j->cli, w);
}

static void show(void *ctx, double fraction, double eta_s, double loss, double accuracy) {
  espl_progress *p = ctx;
  (void)eta_s; /* the progress keeps its own estimate */
  espl_progress_note(p, "loss %.3f accuracy %.1f %%", loss, 100.0 * accuracy);
  espl_progress_at(p, fraction);
}

/* --weights mixed:...: the form of each layer, which --weights then stands for. */
static espl_status choose_mixed(job *j) {
  espl_quant_config cfg;
  espl_preprocess pp;
  espl_dataset *train = NULL, *val = NULL;
  bool asked;
  double bits;
  int64_t bytes;
  ESPL_TRY(espl_mixed_parse(j->a.weights, &asked, &bits, &bytes, &j->cli->err));
  if (!asked) return ESPL_OK;
  j->a.weights = NULL;
  ESPL_TRY(espl_cli_quant_config(j->cli, &j->a, &cfg));
  ESPL_TRY(espl_cli_preprocess(&j->a, j->g, &pp, &j->cli->err));
  espl_status s = espl_cli_open(j->cli, &j->a, ESPL_SPLIT_TRAIN, &train);
  if (s == ESPL_OK) s = espl_cli_open(j->cli, &j->a, ESPL_SPLIT_VAL, &val);
  espl_progress_push(j->cli->progress, "sensitivities", j->tune > 0 ? 20 : 90, 1.0);
  if (s == ESPL_OK) s = espl_mixed_choose(j->g, train, val, &pp, &cfg, bits, bytes, MIXED_IMAGES, j->cli->progress, &j->mixed, &j->cli->err);
  if (s == ESPL_OK) espl_progress_pop(j->cli->progress);
  espl_progress_clear(j->cli->progress);
  espl_data_free(train);
  espl_data_free(val);
  j->a.weights = j->mixed.spec;
  return s;
}

/* Quantization-aware fine-tuning on the training images, then quantization. */
static espl_status tune(job *j, espl_quant_config *cfg) {
  espl_preprocess pp;
  espl_dataset *d = NULL;
  espl_tune_config t;
  espl_tune_default(&t);
  ESPL_TRY(espl_cli_quant_config(j->cli, &j->a, cfg));
  t.epochs = j->tune;
  if (j->tune_lr > 0) t.lr = (float)j->tune_lr;
  t.seed = j->cli->seed;
  t.augment = strcmp(j->a.data, "builtin") != 0; /* as a study: the built-in images stay as they are */
  ESPL_TRY(espl_cli_preprocess(&j->a, j->g, &pp, &j->cli->err));
  ESPL_TRY(espl_cli_open(j->cli, &j->a, ESPL_SPLIT_TRAIN, &d));
  if (cfg->calib_images > d->n) cfg->calib_images = d->n;
  t.flip = d->shape.c == 3; /* photographs look the same mirrored, digits do not */
  const espl_train_hooks hooks = {.ctx = j->cli->progress, .progress = show};
  espl_progress_push(j->cli->progress, "tuning", j->mixed.layers ? 78 : 98, 1.0);
  espl_status s = espl_quantize_tune(j->g, d, &pp, cfg, &t, &hooks, &j->q, &j->cli->err);
  if (s == ESPL_OK) espl_progress_pop(j->cli->progress);
  espl_progress_clear(j->cli->progress);
  espl_data_free(d);
  return s;
}

static espl_status run(job *j) {
  espl_quant_config cfg;
  ESPL_TRY(espl_cli_network(j->cli, &j->a, j->network, 1, &j->g, &j->q));
  bool given = j->q != NULL;
  if (!given && !j->a.data) return espl_fail(&j->cli->err, ESPL_E_INPUT, "--data is missing: %s is a float network, which is calibrated on training images", j->network);
  if (!given) ESPL_TRY(espl_cli_equalize(j->cli, &j->a, j->g, &j->equalized));
  if (!given) ESPL_TRY(choose_mixed(j));
  if (!given && j->tune > 0) ESPL_TRY(tune(j, &cfg));
  else if (!given) ESPL_TRY(espl_cli_calibrate(j->cli, &j->a, j->g, &cfg, &j->q));
  ESPL_TRY(describe(j, given ? NULL : &cfg));
  ESPL_TRY(espl_qdq_write(j->g, j->q, j->out, &j->cli->err));
  return result(j, given ? NULL : &cfg);
}

espl_status espl_cmd_quantize(espl_cli *cli, int argc, char **argv) {
  job j = {.cli = cli};
  const char *args[1];
  int n_args = 0;
  const espl_opt opts[] = {
      {.name = "data", .type = ESPL_OPT_STRING, .arg = "DIR", .value = &j.a.data, .only = "float", .help = "a float network: calibrate on training images of this folder, or builtin"},
      {.name = "out", .letter = 'o', .type = ESPL_OPT_STRING, .arg = "Q.onnx", .value = &j.out, .required = 1, .help = "the quantized network"},
      {.name = "tune", .type = ESPL_OPT_NUMBER, .arg = "EPOCHS", .value = &j.tune, .min = 0.001, .max = 1e5, .only = "float", .help = "train on with rounded values and weights before quantizing (default: not)"},
      {.name = "tune-lr", .type = ESPL_OPT_NUMBER, .arg = "X", .value = &j.tune_lr, .min = 1e-9, .max = 10, .with = "tune", .help = "highest learning rate of --tune (default 0.002)"},
      ESPL_QUANTIZED_OPTIONS(j.a, NULL, NULL, "data"),
  };
  const espl_opt_spec spec = {.usage = "NETWORK [--data DIR] -o Q.onnx",
                              .summary = "Writes the network in int8 as ONNX (QuantizeLinear/DequantizeLinear pairs): eval --int8, run --int8 and sim take it as it is. A network that is "
                                         "quantized already (TFLite, for example) keeps its scales.",
                              .options = opts, .n_options = sizeof opts / sizeof *opts, .min_args = 1, .max_args = 1};
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, args, &n_args));
  if (cli->help) return ESPL_OK;
  ESPL_TRY(espl_check_writable("--out", j.out, &cli->err));
  j.network = args[0];
  espl_status s = run(&j);
  espl_mixed_clear(&j.mixed);
  espl_qnet_free(j.q);
  espl_graph_free(j.g);
  return s;
}
