/* Shared by the commands that need an integer network. */
#include "cli/quantized.h"

espl_status espl_cli_preprocess(const espl_quantized_args *a, const espl_graph *g, espl_preprocess *pp, espl_err *err) {
  if (a->mean || a->std || a->raw) return espl_preprocess_parse(pp, a->mean, a->std, a->raw, err);
  return espl_preprocess_from_json(pp, g->preprocess, err);
}

espl_status espl_cli_quantize(espl_cli *cli, const espl_quantized_args *a, espl_graph *g, espl_qnet **q) {
  espl_preprocess pp;
  espl_quant_config cfg;
  espl_dataset *d = NULL;
  espl_quant_default(&cfg);
  cfg.seed = cli->seed;
  if (a->calib > 0) cfg.calib_images = (int32_t)a->calib;
  if (a->percentile > 0) cfg.percentile = (float)a->percentile;
  ESPL_TRY(espl_cli_preprocess(a, g, &pp, &cli->err));
  if (a->data) ESPL_TRY(espl_data_open(a->data, ESPL_SPLIT_TRAIN, 1, &d, &cli->err));
  espl_status s = espl_quantize(g, d, &pp, &cfg, q, &cli->err);
  espl_data_free(d);
  return s;
}
