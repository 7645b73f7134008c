/* Quantized networks as ONNX: QuantizeLinear/DequantizeLinear pairs around float operators.
 *
 * Written: operator set 13; a pair behind every value that the machine keeps in memory or pools; weights int8 with one scale a
 * channel and zero point 0; biases int32 with scale (input scale)*(weight scale); BatchNorm inside them. Names are kept: a weight's
 * name is that of its dequantized value.
 * Read: the same pattern from any tool, activations int8 or uint8 per tensor, weights int8 or uint8 per tensor or per channel. */
#ifndef ESPL_ONNX_QDQ_H
#define ESPL_ONNX_QDQ_H

#include "graph/graph.h"
#include "quant/qnet.h"

/* g: the graph q was quantized from (its preprocess and history are written too). Atomic. */
espl_status espl_qdq_write(const espl_graph *g, const espl_qnet *q, const char *path, espl_err *err) ESPL_MUST_CHECK;

/* Any network, ONNX or TFLite (told by its first bytes): *g with float parameters (dequantized ones of a quantized file), *q its integers, NULL when no value of the file is
 * quantized. A file that espl_qdq_write made gives the integer network it was made from. E_UNSUPPORTED names the node that does not
 * map to the machine's rule. Both are the caller's; NULL on error. */
espl_status espl_qdq_read(const char *path, espl_graph **g, espl_qnet **q, espl_err *err) ESPL_MUST_CHECK;

#endif
