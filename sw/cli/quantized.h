/* What the commands on integer networks share: their options, and a network file as an integer network. */
#ifndef ESPL_CLI_QUANTIZED_H
#define ESPL_CLI_QUANTIZED_H

#include "cli/options.h"
#include "quant/equalize.h"
#include "quant/qnet.h"

typedef struct espl_quantized_args {
  const char *data, *mean, *std, *weights, *order, *resize; /* order: "rgb", "bgr"; resize: "WxH"; NULL: not given */
  int raw;
  int64_t calib; /* images, 0: the default */
  double percentile;
  const char *calibration; /* "minmax", "percentile:P", "mse"; NULL: as --percentile says */
  int correct_bias, equalize, open_relu6, per_tensor, keep_range;
} espl_quantized_args;

/* Entries for a command's option table (the caller writes --data itself, because its meaning differs). What a row needs (`with` of options.h)
 * differs too: pictures: those that say how images of --data come in; integers: those that say how a float network becomes integers; ranges:
 * those of them that look at images. The last two kinds are `only` for "float" networks, and none for tables of layers ("network"). */
#define ESPL_QUANTIZED_OPTIONS(a, pictures, integers, ranges)                                                                              \
  {.name = "mean", .type = ESPL_OPT_STRING, .arg = "A,B,C", .value = &(a).mean, .with = pictures, .help = "subtracted from pixels scaled to 0-1"}, \
  {.name = "std", .type = ESPL_OPT_STRING, .arg = "A,B,C", .value = &(a).std, .with = pictures, .help = "divides after the mean"},         \
  {.name = "raw", .type = ESPL_OPT_FLAG, .value = &(a).raw, .with = pictures, .help = "pixels stay 0-255"},                                \
  {.name = "order", .type = ESPL_OPT_STRING, .arg = "rgb|bgr", .value = &(a).order, .with = pictures, .help = "channels as the network takes them (default: as it says, else rgb)"}, \
  {.name = "resize", .type = ESPL_OPT_STRING, .arg = "WxH", .value = &(a).resize, .with = "data", .help = "bring images to this size first (default: as they are)"}, \
  {.name = "calib", .type = ESPL_OPT_INT, .arg = "N", .value = &(a).calib, .min = 1, .max = 1e6, .with = ranges, .only = "float network", .help = "calibration images (default 1000)"}, \
  {.name = "percentile", .type = ESPL_OPT_NUMBER, .arg = "P", .value = &(a).percentile, .min = 0.5, .max = 1, .with = ranges, .without = "calibration", .only = "float network", .help = "share of the values inside the activation range (1: all)"}, \
  {.name = "calibration", .type = ESPL_OPT_STRING, .arg = "minmax|percentile:P|mse", .value = &(a).calibration, .with = ranges, .only = "float network", .help = "activation ranges: all values, a share of them, or least square error (default percentile:0.9999)"}, \
  {.name = "bias-correction", .type = ESPL_OPT_FLAG, .value = &(a).correct_bias, .with = ranges, .only = "float network", .help = "biases take back what rounding the weights moves the mean by"}, \
  {.name = "equalize", .type = ESPL_OPT_FLAG, .value = &(a).equalize, .with = integers, .only = "float network", .help = "first share the magnitude of weights out between consecutive layers (the float network stays what it is)"}, \
  {.name = "open-relu6", .type = ESPL_OPT_FLAG, .value = &(a).open_relu6, .with = "equalize", .only = "float network", .help = "ReLU6 becomes ReLU first, so that depthwise networks have pairs (this changes the float network a little)"}, \
  {.name = "per-tensor", .type = ESPL_OPT_FLAG, .value = &(a).per_tensor, .with = integers, .without = "tune", .only = "float network", .help = "one scale for all weights of a layer (default: one a channel)"}, \
  {.name = "keep-range", .type = ESPL_OPT_FLAG, .value = &(a).keep_range, .with = "weights", .without = "tune", .only = "float network", .help = "int4: the largest weight decides the scale, as where a training rounded so (default: the least squared error does)"}, \
  {.name = "weights", .type = ESPL_OPT_STRING, .arg = "FORM[,LAYER=FORM]", .value = &(a).weights, .with = integers, .only = "float network", .help = "int8 (default), int4 or codebook:B (2^B - 1 values and 0); quantize: mixed:BITS or mixed:NB chooses int4 or int8 a layer for an average of BITS or N bytes"}

/* The flags when any is given, else what the network carries, else 0-1. */
espl_status espl_cli_preprocess(const espl_quantized_args *a, const espl_graph *g, espl_preprocess *pp, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_cli_quant_config(espl_cli *cli, const espl_quantized_args *a, espl_quant_config *cfg) ESPL_MUST_CHECK; /* defaults and the flags */
/* Opens a->data with --resize. */
espl_status espl_cli_open(espl_cli *cli, const espl_quantized_args *a, espl_split split, espl_dataset **d) ESPL_MUST_CHECK;
/* "WxH", each 1 to 16384; NULL gives 0, 0. */
espl_status espl_cli_size(const char *text, int32_t *w, int32_t *h, espl_err *err) ESPL_MUST_CHECK;
/* --equalize and --open-relu6 on a float network; *out all 0 without them. */
espl_status espl_cli_equalize(espl_cli *cli, const espl_quantized_args *a, espl_graph *g, espl_equalized *out) ESPL_MUST_CHECK;
/* Quantizes g, equalized when that is asked for: ranges from training images of a->data, or from a seeded random input when that is NULL. */
espl_status espl_cli_quantize(espl_cli *cli, const espl_quantized_args *a, espl_graph *g, espl_qnet **q) ESPL_MUST_CHECK;
/* The same without --equalize; *cfg is what was used (calib_images: at most what the set has). */
espl_status espl_cli_calibrate(espl_cli *cli, const espl_quantized_args *a, espl_graph *g, espl_quant_config *cfg, espl_qnet **q) ESPL_MUST_CHECK;
/* Reads a network file; *q: with `integers`, those of a quantized one (options only for float networks are refused then), else NULL: the graph holds
 * the floats that the integers stand for. */
espl_status espl_cli_network(espl_cli *cli, const espl_quantized_args *a, const char *path, int integers, espl_graph **g, espl_qnet **q) ESPL_MUST_CHECK;

#endif
