/* A file as it stands: a list of tensor operators between named values, run one after the other.
 *
 * Laws: 1. a step reads constants, inputs and outputs of earlier steps only; every value is defined once;
 *       2. a program is not changed by running it. */
#ifndef ESPL_TENSOR_PROGRAM_H
#define ESPL_TENSOR_PROGRAM_H
#include "tensor/op.h"

typedef struct espl_tstep {
  espl_top op;
  char *name;          /* of the node, or of its first output */
  espl_tensor *value;  /* what op.value points to, owned */
  int n_in, n_out;
  int32_t *in, *out;   /* value ids; -1: left out */
} espl_tstep;

/* An input or output of the program. */
typedef struct espl_tport {
  char *name;
  int32_t value;
  espl_type type;
  int dims;                      /* -1: any shape */
  int64_t dim[ESPL_TENSOR_DIMS]; /* -1: any extent */
} espl_tport;

typedef struct espl_tprogram {
  int32_t values;
  espl_tensor **konst; /* [values], NULL where computed */
  int32_t steps;
  espl_tstep *step;
  int n_inputs, n_outputs;
  espl_tport *input, *output;
} espl_tprogram;

void espl_tprogram_free(espl_tprogram *p); /* NULL is allowed */
/* in[n_inputs] as the ports say; out[n_outputs] become the caller's (NULL on error). Messages name the node, or the input.
 * limits.elems also bounds, twice over, what is alive at once. */
espl_status espl_tprogram_run(const espl_tprogram *p, const espl_tensor *const *in, espl_tensor **out, espl_tlimits limits, espl_err *err) ESPL_MUST_CHECK;

#endif
