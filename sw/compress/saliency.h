/* First-order Taylor importance from parameter gradients (Molchanov et al., CVPR 2019, in its weight and its gate form).
 *
 * For a mini-batch with mean loss E: a weight w has importance (w dE/dw)^2; an output channel (gate z = 1 behind it) has
 * (dE/dz)^2 with dE/dz = sum dE/dy . y = gamma dE/dgamma + beta dE/dbeta behind a batch norm, = sum w dE/dw + b dE/db behind a
 * convolution. Both are averaged over the mini-batches. Units: squared loss. */
#ifndef ESPL_COMPRESS_SALIENCY_H
#define ESPL_COMPRESS_SALIENCY_H

#include "compress/units.h"
#include "nn/nn.h"

typedef struct espl_saliency {
  int32_t nodes, batches;
  double **weight; /* [nodes] -> [elems of WEIGHT] for CONV and GEMM, else NULL */
  double **gate;   /* [nodes] -> [output channels] for CONV, GEMM and BATCHNORM, else NULL */
} espl_saliency;

/* Averages over `batches` training mini-batches of 64 (at least 1); `g` is not changed. */
espl_status espl_saliency_measure(const espl_graph *g, const espl_dataset *train, const espl_preprocess *pp, int32_t batches, uint64_t seed,
                                  espl_saliency **out, espl_err *err) ESPL_MUST_CHECK;
void espl_saliency_free(espl_saliency *s);
/* importance[units]: sum of the gates of the unit's channels, batch norms where there are any, else convolutions. */
void espl_unit_importance(const espl_graph *g, const espl_units *u, const espl_saliency *s, double *importance);
#endif
