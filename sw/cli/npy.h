/* NumPy .npy files: format 1.0-3.0, C order, little endian; float32, float64, int8, uint8 in, float32 out. */
#ifndef ESPL_CLI_NPY_H
#define ESPL_CLI_NPY_H

#include <stdint.h>

#include "base/status.h"

#define ESPL_NPY_MAX_DIMS 8

typedef struct espl_npy {
  int dims;
  int64_t dim[ESPL_NPY_MAX_DIMS], elems;
  float *value; /* [elems]; free with espl_npy_clear */
} espl_npy;

/* E_INPUT: not such a file, an element type or order that is not read, or fewer bytes than its shape needs. */
espl_status espl_npy_read(const char *path, espl_npy *out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_npy_write(const char *path, int dims, const int64_t *dim, const float *value, espl_err *err) ESPL_MUST_CHECK;
void espl_npy_clear(espl_npy *a);

#endif
