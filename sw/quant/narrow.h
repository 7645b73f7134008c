/* Weights narrower than int8: which form a layer's weights take, and the integers of it.
 *
 * A form is int8, int4 (-7..7) or a codebook of b bits: at most 2^b - 1 distinct nonzero int8 values in a layer, and 0. A spec names the form of
 * all layers and of single ones: "int4", "codebook:3", "int4,conv1=int8,fc=codebook:4". */
#ifndef ESPL_QUANT_NARROW_H
#define ESPL_QUANT_NARROW_H

#include "quant/qnet.h"

typedef struct espl_weight_form {
  int32_t most;      /* largest magnitude: 127 or 7 */
  int32_t book_bits; /* 0, or 2..7 */
} espl_weight_form;

/* The form of node `node` (its name) by the spec; NULL: int8. */
espl_status espl_weight_form_of(const char *spec, const char *node, espl_weight_form *out, espl_err *err) ESPL_MUST_CHECK;
/* E_INPUT when the spec cannot be read or names a layer that is no convolution or fully connected layer of g. */
espl_status espl_weight_spec_check(const char *spec, const espl_graph *g, espl_err *err) ESPL_MUST_CHECK;

/* Scale for n weights of largest magnitude `top` in integers up to `most` with the least squared error (top/most or down to 0.4 of it; the
 * first of equal ones). */
double q_least_error_scale(const double *w, int64_t n, double top, int32_t most);
/* Replaces the weights w[channels][n] of a layer by at most 2^bits - 1 nonzero values and 0, chosen so that the squared error
 * sum over w of (scale[channel] * (old - new))^2 is least (exact, by dynamic programming over the 255 values). */
espl_status q_codebook(int8_t *w, int32_t channels, int64_t n, const float *scale, int32_t bits, espl_err *err) ESPL_MUST_CHECK;

#endif
