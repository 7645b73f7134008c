/* Writes an ONNX file of about 100 MB for the measurement of import: VGG-11's convolutions and a fully connected layer of 25,088 x 640, random weights.
 *
 * usage: large FILE */
#include <stdio.h>

#include "base/rng.h"
#include "graph/graph.h"
#include "onnx/onnx.h"

static espl_status weighted(espl_graph *g, espl_op op, int32_t outputs, espl_err *err) {
  const espl_shape in = g->node[g->output].shape;
  int32_t id, dim[4] = {outputs, in.c, 3, 3}, dims = op == ESPL_OP_CONV ? 4 : 2;
  espl_node n = {.op = op, .inputs = 1, .input = {g->output}, .shape = {outputs, 1, 1}, .conv = {3, 3, 1, 1, 1, 1, 1, 1, 1, 1, .groups = 1}};
  ESPL_TRY(espl_graph_add(g, &n, &id, err));
  ESPL_TRY(espl_graph_add_param(g, id, ESPL_PARAM_WEIGHT, NULL, dims, dim, err));
  ESPL_TRY(espl_graph_add_param(g, id, ESPL_PARAM_BIAS, NULL, 1, dim, err));
  espl_param *w = g->node[id].param[ESPL_PARAM_WEIGHT];
  for (int64_t k = 0; k < w->elems; k++) w->value[k] = (float)(espl_rng_u64(1, (uint64_t)id, (uint64_t)k) % 2001) * 1e-5f - 1e-2f;
  return ESPL_OK;
}

static espl_status plain(espl_graph *g, espl_op op, espl_err *err) {
  int32_t id;
  espl_node n = {.op = op, .inputs = 1, .input = {g->output}, .conv = {.kh = 2, .kw = 2, .sh = 2, .sw = 2, .dh = 1, .dw = 1}};
  return espl_graph_add(g, &n, &id, err);
}

static espl_status build(espl_graph *g, espl_err *err) {
  static const int32_t channels[] = {64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0}; /* 0: max pooling */
  for (size_t k = 0; k < sizeof channels / sizeof *channels; k++) {
    if (!channels[k]) {
      ESPL_TRY(plain(g, ESPL_OP_MAXPOOL, err));
      continue;
    }
    ESPL_TRY(weighted(g, ESPL_OP_CONV, channels[k], err));
    ESPL_TRY(plain(g, ESPL_OP_RELU, err));
  }
  ESPL_TRY(plain(g, ESPL_OP_FLATTEN, err));
  ESPL_TRY(weighted(g, ESPL_OP_GEMM, 640, err));
  ESPL_TRY(plain(g, ESPL_OP_RELU, err));
  return weighted(g, ESPL_OP_GEMM, 1000, err);
}

int main(int argc, char **argv) {
  espl_err err = {0};
  espl_graph *g = argc == 2 ? espl_graph_new("large", (espl_shape){3, 224, 224}) : NULL;
  if (!g) {
    fputs("usage: large FILE\n", stderr);
    return 2;
  }
  espl_status s = build(g, &err);
  if (s == ESPL_OK) s = espl_onnx_write(g, argv[1], &err);
  if (s != ESPL_OK) fprintf(stderr, "large: %s\n", err.msg);
  espl_graph_free(g);
  return espl_status_exit(s);
}
