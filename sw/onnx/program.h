/* ONNX files as tensor programs: every operator of docs/networks.md, any rank, several inputs and outputs; and single tensors.
 * Refusals (E_INPUT, E_UNSUPPORTED) name file, node and operator. */
#ifndef ESPL_ONNX_PROGRAM_H
#define ESPL_ONNX_PROGRAM_H
#include "tensor/program.h"

/* *p is the caller's (espl_tprogram_free); NULL on error. */
espl_status espl_onnx_program(const char *path, espl_tprogram **p, espl_err *err) ESPL_MUST_CHECK;

/* A TensorProto alone in a file (.pb); *t is the caller's. */
espl_status espl_onnx_tensor_read(const char *path, espl_tensor **t, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_onnx_tensor_write(const char *path, const char *name, const espl_tensor *t, espl_err *err) ESPL_MUST_CHECK; /* atomic */

#endif
