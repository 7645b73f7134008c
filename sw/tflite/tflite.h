/* TFLite files (FlatBuffers, schema 3) into the graph, with the integers they hold.
 *
 * An int8 network gives the graph with float parameters (dequantized) and the notes of its integers (quant/given.h). uint8 values are
 * moved down by 128. Weights that are not symmetric int8 are taken as floats and quantized again, per channel, to -127..127
 * (given->requantized). Activations fused into an operator become nodes of their own. The network's `preprocess` says that byte p of a
 * pixel enters as p - 128.
 * Refusals (E_INPUT: damaged, shapes disagree; E_UNSUPPORTED) name operator, its number in the file, and its version. */
#ifndef ESPL_TFLITE_TFLITE_H
#define ESPL_TFLITE_TFLITE_H

#include <stddef.h>
#include <stdint.h>

#include "quant/given.h"

/* Whether the bytes carry TFLite's file identifier. */
bool espl_tflite_is(const uint8_t *data, size_t n);
/* The same of a file that can be read. */
bool espl_tflite_is_file(const char *path);
/* *given: NULL when no value of the file is quantized. Both are the caller's; NULL on error. */
espl_status espl_tflite_import(const uint8_t *data, size_t n, espl_graph **g, espl_qgiven **given, espl_err *err) ESPL_MUST_CHECK;
/* The same from a file of at most 2 GiB; messages start with its path. */
espl_status espl_tflite_read(const char *path, espl_graph **g, espl_qgiven **given, espl_err *err) ESPL_MUST_CHECK;

#endif
