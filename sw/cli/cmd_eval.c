/* espalier eval: accuracy of a network on a split of a data set. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/quantized.h"
#include "nn/nn.h"
#include "quant/tfl.h"

enum { MACHINE, TFLITE, BOTH };

typedef struct options {
  espl_quantized_args q;
  int split, int8, arithmetic; /* split: 0 val, 1 test */
  int64_t limit;
} options;

static espl_status result(espl_cli *cli, const char *network, const espl_dataset *d, const char *arithmetic, int32_t images, double accuracy, double seconds) {
  fprintf(espl_cli_out(cli), "%s on %s %s: accuracy %.2f %% of %d images (%s, %.1f s, %.0f images/s)\n", network, d->source,
          espl_split_name(d->split), 100.0 * accuracy, (int)images, arithmetic, seconds, images / seconds);
  espl_json *w = NULL;
  ESPL_TRY(espl_cli_json_begin(cli, &w));
  if (!w) return ESPL_OK;
  espl_json_object(w, NULL);
  espl_json_str(w, "network", network);
  espl_json_str(w, "data", d->source);
  espl_json_str(w, "split", espl_split_name(d->split));
  espl_json_int(w, "images", images);
  espl_json_str(w, "arithmetic", arithmetic);
  espl_json_num(w, "accuracy", accuracy);
  espl_json_num(w, "seconds", seconds);
  espl_json_close(w);
  return espl_cli_json_end(cli, w);
}

/* Under TFLite's arithmetic, beside the machine's when both are asked for. */
static espl_status evaluate_tflite(espl_cli *cli, const options *o, const char *network, const espl_graph *g, const espl_qnet *q, const espl_dataset *d, const espl_preprocess *pp) {
  espl_tfl_compared r;
  double began = espl_now();
  ESPL_TRY(espl_tfl_compare(g, q, d, pp, (int32_t)o->limit, &r, &cli->err));
  if (o->arithmetic == TFLITE) return result(cli, network, d, "int8, TFLite's arithmetic", r.images, r.accuracy_tflite, espl_now() - began);
  FILE *f = espl_cli_out(cli);
  double n = (double)r.logits;
  fprintf(f, "%s on %s %s, %d images: accuracy %.2f %% by the machine's rule, %.2f %% by TFLite's\n", network, d->source, espl_split_name(d->split), (int)r.images,
          100 * r.accuracy_machine, 100 * r.accuracy_tflite);
  fprintf(f, "logits equal %.2f %%, within 1 %.2f %%, at most %d apart; another top-1 in %d images\n", 100 * (double)r.equal / n, 100 * (double)r.within1 / n, (int)r.largest,
          (int)r.top1_changed);
  espl_json *w = NULL;
  ESPL_TRY(espl_cli_json_begin(cli, &w));
  if (!w) return ESPL_OK;
  espl_json_object(w, NULL);
  espl_json_str(w, "network", network);
  espl_json_str(w, "data", d->source);
  espl_json_str(w, "split", espl_split_name(d->split));
  espl_json_int(w, "images", r.images);
  espl_json_num(w, "accuracy", r.accuracy_machine);
  espl_json_num(w, "accuracy_tflite", r.accuracy_tflite);
  espl_json_num(w, "logits_equal", (double)r.equal / n);
  espl_json_num(w, "logits_within_1", (double)r.within1 / n);
  espl_json_int(w, "largest_difference", r.largest);
  espl_json_int(w, "top1_changed", r.top1_changed);
  espl_json_close(w);
  return espl_cli_json_end(cli, w);
}

static espl_status evaluate(espl_cli *cli, const options *o, const char *network, espl_graph *g, espl_qnet **q, const espl_dataset *d) {
  espl_preprocess pp;
  double accuracy = 0.0;
  int32_t images = o->limit > 0 && o->limit < d->n ? (int32_t)o->limit : d->n;
  ESPL_TRY(espl_cli_preprocess(&o->q, g, &pp, &cli->err));
  if (o->int8 && !*q) ESPL_TRY(espl_cli_quantize(cli, &o->q, g, q));
  if (o->arithmetic != MACHINE) return evaluate_tflite(cli, o, network, g, *q, d, &pp);
  double began = espl_now();
  espl_status s = o->int8 ? espl_qnet_evaluate(*q, d, &pp, images, &accuracy, &cli->err) : espl_evaluate(g, d, &pp, images, &accuracy, &cli->err);
  ESPL_TRY(s);
  return result(cli, network, d, o->int8 ? "int8" : "float32", images, accuracy, espl_now() - began);
}

espl_status espl_cmd_eval(espl_cli *cli, int argc, char **argv) {
  static const char *const splits[] = {"val", "test", NULL}, *const arithmetics[] = {"machine", "tflite", "both", NULL};
  options o = {.split = 1};
  const char *network[1];
  int n_args = 0;
  const espl_opt opts[] = {
      {.name = "data", .type = ESPL_OPT_STRING, .arg = "DIR", .value = &o.q.data, .required = 1, .help = "folder of a data set, or builtin"},
      {.name = "split", .type = ESPL_OPT_CHOICE, .arg = "val|test", .value = &o.split, .choices = splits, .help = "which images (default test)"},
      {.name = "int8", .type = ESPL_OPT_FLAG, .value = &o.int8, .help = "the machine's integers, bit for bit; a float network takes ranges from training images of --data"},
      {.name = "arithmetic", .type = ESPL_OPT_CHOICE, .arg = "machine|tflite|both", .value = &o.arithmetic, .choices = arithmetics, .with = "int8",
       .help = "the machine's rule (default), that of TFLite's reference kernels, or both compared"},
      ESPL_QUANTIZED_OPTIONS(o.q, NULL, "int8", "int8"),
      {.name = "limit", .type = ESPL_OPT_INT, .arg = "N", .value = &o.limit, .min = 1, .max = 2147483647.0, .help = "only the first N images"},
  };
  const espl_opt_spec spec = {.usage = "NETWORK --data DIR [--split val|test] [--int8]",
                              .summary = "Top-1 accuracy. Preprocessing comes from the flags when one is given, else from the network.",
                              .options = opts, .n_options = sizeof opts / sizeof *opts, .min_args = 1, .max_args = 1};
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, network, &n_args));
  if (cli->help) return ESPL_OK;
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  espl_dataset *d = NULL;
  espl_status s = espl_cli_network(cli, &o.q, network[0], o.int8, &g, &q);
  if (s == ESPL_OK) s = espl_cli_open(cli, &o.q, o.split ? ESPL_SPLIT_TEST : ESPL_SPLIT_VAL, &d);
  if (s == ESPL_OK) s = evaluate(cli, &o, network[0], g, &q, d);
  espl_data_free(d);
  espl_qnet_free(q);
  espl_graph_free(g);
  return s;
}
