/* ONNX files in and out of the graph. One direction only: this room knows protobuf-c, the graph does not.
 * Refusals (E_INPUT: not ONNX, truncated, shapes disagree; E_UNSUPPORTED: operator) name file, node and operator. */
#ifndef ESPL_ONNX_ONNX_H
#define ESPL_ONNX_ONNX_H
#include "graph/graph.h"

/* Reads a float network: ONNX (a quantized one is refused: onnx/qdq.h), or TFLite, told by its first bytes, whose integers count as the
 * floats they stand for. Constant arithmetic of exporters is folded; Conv+Add(const) becomes a bias. *g is owned by
 * the caller (espl_graph_free); NULL on error. */
espl_status espl_onnx_read(const char *path, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;

/* Writes opset 13 (14 with HardSwish, 21 with GroupNormalization), IR 7, batch dimension symbolic, atomically (temporary file, then rename). */
espl_status espl_onnx_write(const espl_graph *g, const char *path, espl_err *err) ESPL_MUST_CHECK;
#endif
