/* espalier info: what a network is made of. One row an operator: shape of its output, parameters, multiply-accumulates. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "onnx/qdq.h"

static int64_t node_params(const espl_node *n) {
  int64_t sum = 0;
  for (int k = 0; k < ESPL_PARAM_COUNT; k++) sum += n->param[k] ? n->param[k]->elems : 0;
  return sum;
}

/* "3x5/2 pad 1,1,1,1 groups 4", or nothing for operators without a window. */
static void window_text(const espl_node *n, char *buf, size_t bytes) {
  const espl_conv_attr *a = &n->conv;
  buf[0] = 0;
  if (n->op == ESPL_OP_SUBSAMPLE) snprintf(buf, bytes, "/%dx%d", a->sh, a->sw);
  if (n->op != ESPL_OP_CONV && n->op != ESPL_OP_MAXPOOL && n->op != ESPL_OP_AVGPOOL) return;
  int at = snprintf(buf, bytes, "%dx%d", a->kh, a->kw);
  if (a->sh != 1 || a->sw != 1) at += snprintf(buf + at, bytes - (size_t)at, a->sh == a->sw ? "/%d" : "/%dx%d", a->sh, a->sw);
  if (a->dh != 1 || a->dw != 1) at += snprintf(buf + at, bytes - (size_t)at, " dilation %dx%d", a->dh, a->dw);
  bool one = a->pt == a->pl && a->pt == a->pb && a->pt == a->pr;
  if (one && a->pt) at += snprintf(buf + at, bytes - (size_t)at, " pad %d", a->pt);
  if (!one) at += snprintf(buf + at, bytes - (size_t)at, " pad %d,%d,%d,%d", a->pt, a->pl, a->pb, a->pr);
  if (n->op == ESPL_OP_CONV && a->groups > 1) snprintf(buf + at, bytes - (size_t)at, " groups %d", a->groups);
}

static void print_table(FILE *out, const espl_graph *g) {
  espl_shape in = g->node[0].shape;
  fprintf(out, "%s: input %s %dx%dx%d, output %s\n\n", g->name, g->input_name, in.c, in.h, in.w, g->output_name);
  fprintf(out, "%4s  %-14s %-32s %-26s %-15s %10s %13s\n", "#", "operator", "name", "window", "output CxHxW", "params", "MACs");
  for (int32_t i = 1; i < g->nodes; i++) {
    const espl_node *n = &g->node[i];
    char window[160], shape[48];
    window_text(n, window, sizeof window);
    snprintf(shape, sizeof shape, "%dx%dx%d", n->shape.c, n->shape.h, n->shape.w);
    fprintf(out, "%4d  %-14s %-32s %-26s %-15s %10lld %13lld\n", i, espl_op_name(n->op), n->name, window, shape,
            (long long)node_params(n), (long long)espl_node_macs(g, i));
  }
  fprintf(out, "\n%d operators, %lld parameters, %lld multiply-accumulates an image\n", g->nodes - 1, (long long)espl_graph_params(g),
          (long long)espl_graph_macs(g));
}

static void json_shape(espl_json *w, const char *key, espl_shape s) {
  espl_json_array(w, key);
  espl_json_int(w, NULL, s.c);
  espl_json_int(w, NULL, s.h);
  espl_json_int(w, NULL, s.w);
  espl_json_close(w);
}

static void json_ints(espl_json *w, const char *key, int count, const int32_t *v) {
  espl_json_array(w, key);
  for (int k = 0; k < count; k++) espl_json_int(w, NULL, v[k]);
  espl_json_close(w);
}

static void json_layer(espl_json *w, const espl_graph *g, int32_t i) {
  const espl_node *n = &g->node[i];
  espl_json_object(w, NULL);
  espl_json_int(w, "id", i);
  espl_json_str(w, "name", n->name);
  espl_json_str(w, "op", espl_op_name(n->op));
  espl_json_array(w, "inputs");
  for (int k = 0; k < n->inputs; k++) espl_json_int(w, NULL, n->input[k]);
  espl_json_close(w);
  json_shape(w, "shape", n->shape);
  if (n->op == ESPL_OP_CONV || n->op == ESPL_OP_MAXPOOL || n->op == ESPL_OP_AVGPOOL) {
    const espl_conv_attr *a = &n->conv;
    json_ints(w, "kernel", 2, (int32_t[]){a->kh, a->kw});
    json_ints(w, "stride", 2, (int32_t[]){a->sh, a->sw});
    json_ints(w, "dilation", 2, (int32_t[]){a->dh, a->dw});
    json_ints(w, "pad", 4, (int32_t[]){a->pt, a->pl, a->pb, a->pr});
    if (n->op == ESPL_OP_CONV) espl_json_int(w, "groups", a->groups);
  }
  espl_json_int(w, "params", node_params(n));
  espl_json_int(w, "macs", espl_node_macs(g, i));
  espl_json_close(w);
}

static espl_status as_json(espl_cli *cli, const espl_graph *g, const char *path) {
  espl_json *w = NULL;
  ESPL_TRY(espl_cli_json_begin(cli, &w));
  if (!w) return ESPL_OK;
  espl_json_object(w, NULL);
  espl_json_str(w, "network", g->name);
  espl_json_str(w, "file", path);
  espl_json_str(w, "input", g->input_name);
  json_shape(w, "input_shape", g->node[0].shape);
  espl_json_str(w, "output", g->output_name);
  json_shape(w, "output_shape", g->node[g->output].shape);
  espl_json_int(w, "params", espl_graph_params(g));
  espl_json_int(w, "macs", espl_graph_macs(g));
  espl_json_str(w, "preprocess", g->preprocess);
  espl_json_str(w, "history", g->history);
  espl_json_array(w, "layers");
  for (int32_t i = 1; i < g->nodes; i++) json_layer(w, g, i);
  espl_json_close(w);
  espl_json_close(w);
  return espl_cli_json_end(cli, w);
}

espl_status espl_cmd_info(espl_cli *cli, int argc, char **argv) {
  const char *path[1];
  int n_args = 0;
  const espl_opt_spec spec = {.usage = "NETWORK", .summary = "Prints layers, shapes, parameters and multiply-accumulates of an ONNX file.",
                              .min_args = 1, .max_args = 1};
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, path, &n_args));
  if (cli->help) return ESPL_OK;
  ESPL_TRY(espl_qdq_read(path[0], &g, &q, &cli->err));
  espl_qnet_free(q); /* the table is that of the operators */
  print_table(espl_cli_out(cli), g);
  espl_status s = as_json(cli, g, path[0]);
  espl_graph_free(g);
  return s;
}
