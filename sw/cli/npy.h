/* Tensors in files: NumPy .npy (format 1.0-3.0, either order of indices and of bytes; floating types, integers, bool) and ONNX TensorProto (.pb). */
#ifndef ESPL_CLI_NPY_H
#define ESPL_CLI_NPY_H

#include "base/status.h"
#include "tensor/tensor.h"

/* Reads either kind, told apart by the first bytes; *t is the caller's. E_INPUT: not such a file, an element type that is not read,
 * or fewer bytes than its shape needs. */
espl_status espl_npy_read(const char *path, espl_tensor **t, espl_err *err) ESPL_MUST_CHECK;
/* A .npy file of the tensor's own type (bfloat16, which NumPy lacks, as float32). Atomic. */
espl_status espl_npy_write(const char *path, const espl_tensor *t, espl_err *err) ESPL_MUST_CHECK;

#endif
