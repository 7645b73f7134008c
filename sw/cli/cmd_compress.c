/* espalier compress: one smaller network for one machine, written as ONNX, with its numbers before and after. */
#include <stdio.h>
#include <string.h>

#include "base/fsio.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/quantized.h"
#include "map/machine_yaml.h"
#include "steer/single.h"

typedef struct options {
  const char *data, *machine, *out, *mean, *std, *resize, *weights;
  int kind, rule, raw;
  double budget, tune, lr, rounded, rounded_lr;
} options;

static espl_status settings(espl_cli *cli, const options *o, const char *network, espl_study *s) {
  espl_study_default(s);
  s->network = s->trained = network;
  s->data = strcmp(o->data, "builtin") == 0 ? NULL : o->data; /* a study trains on the built-in images as they are, on others cropped and mirrored */
  s->seed = cli->seed;
  s->budget = o->budget;
  s->tune_epochs = o->tune;
  s->tune_lr = (float)o->lr;
  s->weights = o->weights;
  s->int_epochs = o->rounded;
  s->int_lr = (float)o->rounded_lr;
  ESPL_TRY(espl_cli_size(o->resize, &s->width, &s->height, &cli->err));
  if (o->machine) ESPL_TRY(espl_machine_load(o->machine, &s->machine, &cli->err));
  if (!o->mean && !o->std && !o->raw) return ESPL_OK;
  s->preprocess_given = 1;
  return espl_preprocess_parse(&s->preprocess, o->mean, o->std, o->raw, &cli->err);
}

static void print_row(FILE *f, const char *name, const espl_store_variant *v) {
  fprintf(f, "%-8s %10lld %12lld %12lld %12lld %6.1f %8.2f %8.2f\n", name, (long long)v->params, (long long)v->macs, (long long)v->cycles, (long long)v->read_bytes, 100 * v->utilization, 100 * v->float_val, 100 * v->int8_val);
}

static void print(FILE *f, const espl_study *s, const espl_single *r, const char *kind, const char *out) {
  fprintf(f, "%s, %s, weights %s, on machine %s, budget %.0f %% = %lld cycles\n", s->network, kind, s->weights ? s->weights : "int8", s->machine.name, 100 * s->budget,
          (long long)r->budget_cycles);
  fprintf(f, "%-8s %10s %12s %12s %12s %6s %8s %8s\n", "", "params", "MACs", "cycles", "bytes read", "util %", "float %", "int %");
  print_row(f, "before", &r->before);
  if (s->int_epochs > 0) print_row(f, "tuned", &r->tuned);
  print_row(f, "after", &r->after);
  if (s->int_epochs > 0) fprintf(f, "before: integers by calibration alone; tuned: the same network behind the training for integers that the smaller one got\n");
  fprintf(f, "%.2f times as fast; accuracies are of the val split; written: %s\n", (double)r->before.cycles / (double)r->after.cycles, out);
}

static void json_row(espl_json *w, const char *name, const espl_store_variant *v) {
  espl_json_object(w, name);
  espl_json_int(w, "params", v->params);
  espl_json_int(w, "macs", v->macs);
  espl_json_int(w, "macs_dense", v->macs_dense);
  espl_json_int(w, "cycles", v->cycles);
  espl_json_int(w, "read_bytes", v->read_bytes);
  espl_json_int(w, "write_bytes", v->write_bytes);
  espl_json_num(w, "utilization", v->utilization);
  espl_json_num(w, "roof_fraction", v->roof_fraction);
  espl_json_num(w, "float_val", v->float_val);
  espl_json_num(w, "int8_val", v->int8_val);
  espl_json_close(w);
}

static espl_status as_json(espl_cli *cli, const espl_study *s, const espl_single *r, const char *kind, const char *out) {
  espl_json *w = NULL;
  ESPL_TRY(espl_cli_json_begin(cli, &w));
  if (!w) return ESPL_OK;
  espl_json_object(w, NULL);
  espl_json_str(w, "network", s->network);
  espl_json_str(w, "machine", s->machine.name);
  espl_json_str(w, "kind", kind);
  espl_json_str(w, "weights", s->weights ? s->weights : "int8");
  espl_json_num(w, "budget", s->budget);
  espl_json_int(w, "budget_cycles", r->budget_cycles);
  json_row(w, "before", &r->before);
  if (s->int_epochs > 0) json_row(w, "tuned", &r->tuned);
  json_row(w, "after", &r->after);
  espl_json_num(w, "speedup", (double)r->before.cycles / (double)r->after.cycles);
  espl_json_raw(w, "method", r->config);
  espl_json_str(w, "out", out);
  espl_json_close(w);
  return espl_cli_json_end(cli, w);
}

espl_status espl_cmd_compress(espl_cli *cli, int argc, char **argv) {
  static const char *const kinds[] = {"dense", "block", "kernel", NULL};
  static const espl_variant_kind kind_of[] = {ESPL_VARIANT_DENSE, ESPL_VARIANT_BLOCK, ESPL_VARIANT_KERNEL};
  static const char *const rules[] = {"cycles", "uniform", "macs", "macs-rounded", NULL}; /* order of espl_width_rule */
  espl_study s;
  espl_study_default(&s);
  options o = {.budget = s.budget, .tune = s.tune_epochs, .lr = (double)s.tune_lr, .rounded_lr = (double)s.int_lr};
  const espl_opt opts[] = {
      {.name = "kind", .type = ESPL_OPT_CHOICE, .arg = "KIND", .value = &o.kind, .choices = kinds, .required = 1, .help = "channels, zero tiles or kernel rows and columns"},
      {.name = "data", .type = ESPL_OPT_STRING, .arg = "DIR", .value = &o.data, .required = 1, .help = "folder of a data set, or builtin"},
      {.name = "resize", .type = ESPL_OPT_STRING, .arg = "WxH", .value = &o.resize, .help = "bring images to this size first (default: as they are)"},
      {.name = "out", .letter = 'o', .type = ESPL_OPT_STRING, .arg = "FILE", .value = &o.out, .required = 1, .help = "ONNX file to write"},
      {.name = "machine", .type = ESPL_OPT_STRING, .arg = "M", .value = &o.machine, .help = "machine file, or a name in configs/machines (default 16x16)"},
      {.name = "budget", .type = ESPL_OPT_NUMBER, .arg = "SHARE", .value = &o.budget, .min = 0.05, .max = 1, .help = "cycles allowed, as a share of the network's (default 0.65)"},
      {.name = "rule", .type = ESPL_OPT_CHOICE, .arg = "RULE", .value = &o.rule, .choices = rules, .with = "kind=dense", .help = "what chooses the channels"},
      {.name = "tune-epochs", .type = ESPL_OPT_NUMBER, .arg = "N", .value = &o.tune, .min = 0, .max = 10000, .help = "epochs of fine-tuning (default 2)"},
      {.name = "tune-lr", .type = ESPL_OPT_NUMBER, .arg = "X", .value = &o.lr, .min = 1e-9, .max = 100, .with = "tune-epochs", .help = "learning rate of fine-tuning (default 0.05)"},
      {.name = "weights", .type = ESPL_OPT_STRING, .arg = "FORM[,LAYER=FORM]", .value = &o.weights, .help = "of the integer network that is measured: int8 (default), int4 or codebook:B"},
      {.name = "int-epochs", .type = ESPL_OPT_NUMBER, .arg = "N", .value = &o.rounded, .min = 0, .max = 10000, .help = "epochs of training for these integers behind fine-tuning, of the network itself too, for comparison (default 0)"},
      {.name = "int-lr", .type = ESPL_OPT_NUMBER, .arg = "X", .value = &o.rounded_lr, .min = 1e-9, .max = 100, .with = "int-epochs", .help = "its learning rate (default 0.002)"},
      {.name = "mean", .type = ESPL_OPT_STRING, .arg = "A,B,C", .value = &o.mean, .help = "subtracted from pixels scaled to 0-1"},
      {.name = "std", .type = ESPL_OPT_STRING, .arg = "A,B,C", .value = &o.std, .help = "divides after the mean"},
      {.name = "raw", .type = ESPL_OPT_FLAG, .value = &o.raw, .help = "pixels stay 0-255"},
  };
  const espl_opt_spec spec = {.usage = "NETWORK.onnx --kind dense|block|kernel --data DIR -o OUT.onnx [--machine M] [--budget SHARE] [--tune-epochs N]",
                              .summary = "Makes one smaller network within a budget of exact cycles, fine-tunes it, and compares it with the network it came from.",
                              .options = opts, .n_options = (int)(sizeof opts / sizeof opts[0]), .min_args = 1, .max_args = 1};
  const char *network[1];
  int n_args = 0;
  espl_single r;
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, network, &n_args));
  if (cli->help) return ESPL_OK;
  ESPL_TRY(espl_check_writable("--out", o.out, &cli->err));
  ESPL_TRY(settings(cli, &o, network[0], &s));
  ESPL_TRY(espl_study_single(&s, kind_of[o.kind], (espl_width_rule)o.rule, o.out, cli->progress, &r, &cli->err));
  espl_progress_clear(cli->progress);
  print(espl_cli_out(cli), &s, &r, kinds[o.kind], o.out);
  return as_json(cli, &s, &r, kinds[o.kind], o.out);
}
