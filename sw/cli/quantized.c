/* Shared by the commands that need an integer network. */
#include "cli/quantized.h"

#include "onnx/qdq.h"

espl_status espl_cli_preprocess(const espl_quantized_args *a, const espl_graph *g, espl_preprocess *pp, espl_err *err) {
  if (a->mean || a->std || a->raw) return espl_preprocess_parse(pp, a->mean, a->std, a->raw, err);
  return espl_preprocess_from_json(pp, g->preprocess, err);
}

void espl_cli_quant_config(const espl_cli *cli, const espl_quantized_args *a, espl_quant_config *cfg) {
  espl_quant_default(cfg);
  cfg->seed = cli->seed;
  if (a->calib > 0) cfg->calib_images = (int32_t)a->calib;
  if (a->percentile > 0) cfg->percentile = (float)a->percentile;
}

espl_status espl_cli_calibrate(espl_cli *cli, const espl_quantized_args *a, espl_graph *g, espl_quant_config *cfg, espl_qnet **q) {
  espl_preprocess pp;
  espl_dataset *d = NULL;
  espl_cli_quant_config(cli, a, cfg);
  ESPL_TRY(espl_cli_preprocess(a, g, &pp, &cli->err));
  if (a->data) ESPL_TRY(espl_data_open(a->data, ESPL_SPLIT_TRAIN, 1, &d, &cli->err));
  if (d && cfg->calib_images > d->n) cfg->calib_images = d->n;
  espl_status s = espl_quantize(g, d, &pp, cfg, q, &cli->err);
  espl_data_free(d);
  return s;
}

espl_status espl_cli_quantize(espl_cli *cli, const espl_quantized_args *a, espl_graph *g, espl_qnet **q) {
  espl_quant_config cfg;
  return espl_cli_calibrate(cli, a, g, &cfg, q);
}

espl_status espl_cli_network(espl_cli *cli, const espl_quantized_args *a, const char *path, int integers, espl_graph **g, espl_qnet **q) {
  ESPL_TRY(espl_qdq_read(path, g, q, &cli->err));
  if (!*q) return ESPL_OK;
  if (!integers) {
    espl_qnet_free(*q);
    *q = NULL;
    return ESPL_OK;
  }
  if (a->calib > 0 || a->percentile > 0) return espl_fail(&cli->err, ESPL_E_INPUT, "%s: is quantized already; --calib and --percentile are for float networks", path);
  return ESPL_OK;
}
