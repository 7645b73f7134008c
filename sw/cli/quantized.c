/* Shared by the commands that need an integer network. */
#include "cli/quantized.h"

#include <stdlib.h>
#include <string.h>

#include "onnx/qdq.h"

espl_status espl_cli_preprocess(const espl_quantized_args *a, const espl_graph *g, espl_preprocess *pp, espl_err *err) {
  bool given = a->mean || a->std || a->raw;
  if (a->order && strcmp(a->order, "rgb") && strcmp(a->order, "bgr")) return espl_fail(err, ESPL_E_INPUT, "--order: found '%s', expected rgb or bgr", a->order);
  ESPL_TRY(given ? espl_preprocess_parse(pp, a->mean, a->std, a->raw, err) : espl_preprocess_from_json(pp, g->preprocess, err));
  if (a->order && g->node[0].shape.c != 3) return espl_fail(err, ESPL_E_INPUT, "--order %s: the network takes %d channels, the order is for 3", a->order, (int)g->node[0].shape.c);
  if (a->order) pp->bgr = a->order[0] == 'b';
  return ESPL_OK;
}

espl_status espl_cli_size(const char *text, int32_t *w, int32_t *h, espl_err *err) {
  char *end = NULL;
  *w = *h = 0;
  if (!text) return ESPL_OK;
  long x = strtol(text, &end, 10), y = end != text && *end == 'x' ? strtol(end + 1, &end, 10) : 0;
  if (*end || x < 1 || y < 1 || x > 16384 || y > 16384) return espl_fail(err, ESPL_E_INPUT, "--resize: found '%s', expected WIDTHxHEIGHT, each 1 to 16384", text);
  *w = (int32_t)x;
  *h = (int32_t)y;
  return ESPL_OK;
}

espl_status espl_cli_open(espl_cli *cli, const espl_quantized_args *a, espl_split split, espl_dataset **d) {
  int32_t w, h;
  ESPL_TRY(espl_cli_size(a->resize, &w, &h, &cli->err));
  return espl_data_open_sized(a->data, split, 1, w, h, d, &cli->err);
}

static espl_status read_calibration(const char *text, espl_quant_config *cfg, espl_err *err) {
  char *end = NULL;
  if (!text) return ESPL_OK;
  cfg->least_error = strcmp(text, "mse") == 0;
  if (cfg->least_error) return ESPL_OK;
  double share = strcmp(text, "minmax") == 0 ? 1.0 : strncmp(text, "percentile:", 11) == 0 ? strtod(text + 11, &end) : 0;
  if (!(share >= 0.5 && share <= 1) || (end && (*end || end == text + 11)))
    return espl_fail(err, ESPL_E_INPUT, "--calibration: found '%s', expected minmax, percentile:P with P 0.5 to 1, or mse", text);
  cfg->percentile = (float)share;
  return ESPL_OK;
}

espl_status espl_cli_quant_config(espl_cli *cli, const espl_quantized_args *a, espl_quant_config *cfg) {
  espl_quant_default(cfg);
  cfg->seed = cli->seed;
  if (a->calib > 0) cfg->calib_images = (int32_t)a->calib;
  if (a->percentile > 0) cfg->percentile = (float)a->percentile;
  cfg->weights = a->weights;
  cfg->correct_bias = a->correct_bias != 0;
  cfg->one_scale = a->per_tensor != 0;
  cfg->keep_range = a->keep_range != 0;
  return read_calibration(a->calibration, cfg, &cli->err);
}

espl_status espl_cli_calibrate(espl_cli *cli, const espl_quantized_args *a, espl_graph *g, espl_quant_config *cfg, espl_qnet **q) {
  espl_preprocess pp;
  espl_dataset *d = NULL;
  ESPL_TRY(espl_cli_quant_config(cli, a, cfg));
  ESPL_TRY(espl_cli_preprocess(a, g, &pp, &cli->err));
  if (a->data) ESPL_TRY(espl_cli_open(cli, a, ESPL_SPLIT_TRAIN, &d));
  if (d && cfg->calib_images > d->n) cfg->calib_images = d->n;
  espl_status s = espl_quantize(g, d, &pp, cfg, q, &cli->err);
  espl_data_free(d);
  return s;
}

espl_status espl_cli_equalize(espl_cli *cli, const espl_quantized_args *a, espl_graph *g, espl_equalized *out) {
  *out = (espl_equalized){0};
  int32_t opened = a->open_relu6 ? espl_open_clamps(g) : 0;
  if (a->equalize) ESPL_TRY(espl_equalize(g, out, &cli->err));
  out->opened = opened;
  return ESPL_OK;
}

espl_status espl_cli_quantize(espl_cli *cli, const espl_quantized_args *a, espl_graph *g, espl_qnet **q) {
  espl_quant_config cfg;
  espl_equalized e;
  ESPL_TRY(espl_cli_equalize(cli, a, g, &e));
  return espl_cli_calibrate(cli, a, g, &cfg, q);
}

espl_status espl_cli_network(espl_cli *cli, const espl_quantized_args *a, const char *path, int integers, espl_graph **g, espl_qnet **q) {
  const char *w = a->weights;
  if (a->keep_range && !(w && (strstr(w, "int4") || strncmp(w, "mixed", 5) == 0)))
    return espl_fail(&cli->err, ESPL_E_INPUT, "--keep-range is for int4 weights, --weights asks for %s", w ? w : "int8");
  ESPL_TRY(espl_qdq_read(path, g, q, &cli->err));
  if (!*q) return ESPL_OK;
  if (!integers) {
    espl_qnet_free(*q);
    *q = NULL;
    return ESPL_OK;
  }
  return espl_opt_none(cli, "float", "is for float networks: %s is quantized already", path);
}
