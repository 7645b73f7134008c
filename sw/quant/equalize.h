/* Cross-layer equalization (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1): channels between
 * two layers are scaled by 1/s in the first and by s in the second, so that both hold weights of the same magnitude. The network computes what it did.
 *
 * A pair: a convolution or fully connected layer, BatchNorm behind it or not, then operators f with f(s*x) = s*f(x) for s > 0 (ReLU, leaky ReLU, PReLU,
 * max and average pooling, flattening, identity), then the second layer; each value between them has one reader. A clamp with an upper end (ReLU6) is
 * no such operator and ends a chain (espl_open_clamps), as do residual additions and concatenations. Depthwise layers take part as any other: in a chain
 * 1x1 -> 3x3 depthwise -> 1x1 the depthwise one is second in one pair and first in the next.
 *
 * With r1 the largest weight of output channel c in the first layer and r2 that of input channel c in the second, both with BatchNorm inside,
 * s = sqrt(r1/r2) makes both sqrt(r1*r2). Pairs are gone over in turn until no scale moves by more than a thousandth, or 100 times. */
#ifndef ESPL_QUANT_EQUALIZE_H
#define ESPL_QUANT_EQUALIZE_H

#include "graph/graph.h"

typedef struct espl_equalized {
  int32_t pairs;   /* pairs of layers found */
  int32_t rounds;  /* times they were gone over */
  int32_t opened;  /* clamps that the caller opened before (espl_open_clamps) */
  double before, after; /* mean over pairs: largest of the r1, or of the r2, over their geometric mean, the greater of the two (1: all alike) */
} espl_equalized;

/* Changes parameters of g: BatchNorm's gamma and beta take 1/s where there is one, else weights and bias of the first layer. Channels with r1 or
 * r2 of 0 stay. E_FAILED when a parameter is not finite (g is then unchanged). out may be NULL. */
espl_status espl_equalize(espl_graph *g, espl_equalized *out, espl_err *err) ESPL_MUST_CHECK;

/* Clamps from 0 to a finite end (ReLU6) become ReLU, which equalization goes through (same paper, section 5.1.1). This changes what the network
 * computes wherever a value reaches the end. Returns how many there were. */
int32_t espl_open_clamps(espl_graph *g);

#endif
