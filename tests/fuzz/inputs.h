/* Small inputs for a tensor program that came out of damaged bytes: what the fuzz targets and the mutation tests feed it. */
#ifndef ESPL_TESTS_FUZZ_INPUTS_H
#define ESPL_TESTS_FUZZ_INPUTS_H
#include "tensor/program.h"

/* in[p->n_inputs] as the program wants them, unknown extents 3; false when one would have an extent above 4096 or more than `most` elements.
 * What was made is the caller's either way. */
static inline bool small_inputs(const espl_tprogram *p, int64_t most, espl_tensor **in) {
  for (int k = 0; k < p->n_inputs; k++) {
    int64_t dim[ESPL_TENSOR_DIMS], elems = 1;
    int dims = p->input[k].dims < 0 ? 2 : p->input[k].dims;
    for (int d = 0; d < dims; d++) {
      dim[d] = p->input[k].dims < 0 || p->input[k].dim[d] < 0 ? 3 : p->input[k].dim[d];
      if (dim[d] > 4096 || (elems *= dim[d]) > most) return false;
    }
    in[k] = espl_tensor_new(p->input[k].type, dims, dim);
    for (int64_t j = 0; in[k] && j < in[k]->elems; j++)
      if (in[k]->f) in[k]->f[j] = (float)j * 0.25f - 2;
      else in[k]->i[j] = j % 5;
  }
  return true;
}
#endif
