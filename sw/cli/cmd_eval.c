/* espalier eval: accuracy of an ONNX network on a split of a data set. */
#include <stdio.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/quantized.h"
#include "nn/nn.h"

typedef struct options {
  espl_quantized_args q;
  int split, int8; /* split: 0 val, 1 test */
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

static espl_status evaluate(espl_cli *cli, const options *o, const char *network, espl_graph *g, espl_qnet **q, const espl_dataset *d) {
  espl_preprocess pp;
  double accuracy = 0.0;
  int32_t images = o->limit > 0 && o->limit < d->n ? (int32_t)o->limit : d->n;
  ESPL_TRY(espl_cli_preprocess(&o->q, g, &pp, &cli->err));
  if (o->int8 && !*q) ESPL_TRY(espl_cli_quantize(cli, &o->q, g, q));
  double began = espl_now();
  espl_status s = o->int8 ? espl_qnet_evaluate(*q, d, &pp, images, &accuracy, &cli->err) : espl_evaluate(g, d, &pp, images, &accuracy, &cli->err);
  ESPL_TRY(s);
  return result(cli, network, d, o->int8 ? "int8" : "float32", images, accuracy, espl_now() - began);
}

espl_status espl_cmd_eval(espl_cli *cli, int argc, char **argv) {
  static const char *const splits[] = {"val", "test", NULL};
  options o = {.split = 1};
  const char *network[1];
  int n_args = 0;
  const espl_opt opts[] = {
      {.name = "data", .type = ESPL_OPT_STRING, .arg = "DIR", .value = &o.q.data, .required = 1, .help = "folder of a data set, or builtin"},
      {.name = "split", .type = ESPL_OPT_CHOICE, .arg = "val|test", .value = &o.split, .choices = splits, .help = "which images (default test)"},
      {.name = "int8", .type = ESPL_OPT_FLAG, .value = &o.int8, .help = "the machine's integers, bit for bit; a float network takes ranges from training images of --data"},
      ESPL_QUANTIZED_OPTIONS(o.q),
      {.name = "limit", .type = ESPL_OPT_INT, .arg = "N", .value = &o.limit, .min = 1, .max = 2147483647.0, .help = "only the first N images"},
  };
  const espl_opt_spec spec = {.usage = "NETWORK.onnx --data DIR [--split val|test] [--int8]",
                              .summary = "Top-1 accuracy. Preprocessing comes from the flags when one is given, else from the network.",
                              .options = opts, .n_options = sizeof opts / sizeof *opts, .min_args = 1, .max_args = 1};
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, network, &n_args));
  if (cli->help) return ESPL_OK;
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  espl_dataset *d = NULL;
  espl_status s = espl_cli_network(cli, &o.q, network[0], o.int8, &g, &q);
  if (s == ESPL_OK) s = espl_data_open(o.q.data, o.split ? ESPL_SPLIT_TEST : ESPL_SPLIT_VAL, 1, &d, &cli->err);
  if (s == ESPL_OK) s = evaluate(cli, &o, network[0], g, &q, d);
  espl_data_free(d);
  espl_qnet_free(q);
  espl_graph_free(g);
  return s;
}
