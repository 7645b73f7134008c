/* Which layers take int8 and which int4 weights, under a budget: sensitivities measured on val, then an exact choice.
 *
 * Sensitivity of a layer: the network in int8 with this layer alone in int4; mean over images of the Kullback-Leibler divergence of its class
 * probabilities (softmax of the logits) from those of the network all in int8, in nats. The choice takes sensitivities of several layers as their
 * sum, which is what a measurement of one layer at a time can know, and is the best one under that sum. */
#ifndef ESPL_STEER_MIXED_H
#define ESPL_STEER_MIXED_H

#include "base/progress.h"
#include "quant/qnet.h"

typedef struct espl_mixed_layer {
  const char *name;    /* borrowed from the graph */
  int64_t weights;
  double sensitivity;  /* nats, >= 0 */
  int32_t bits;        /* chosen: 4 or 8 */
  int64_t bytes;       /* of its weights in that form */
} espl_mixed_layer;

typedef struct espl_mixed {
  int32_t layers;
  espl_mixed_layer *layer; /* [layers] those with weights, in order of execution */
  int64_t weights, bytes, budget_bytes;
  double bits;             /* a weight, on average */
  double gap;              /* no choice within the budget has a sum of sensitivities lower by more than this; 0: proved best */
  int32_t images;          /* of val that were looked at */
  char *spec;              /* "int8,NAME=int4,...": the form that espl_quant_config.weights takes */
} espl_mixed;
void espl_mixed_clear(espl_mixed *m);

/* "mixed:BITS" (an average of 4 to 8 bits a weight) or "mixed:NB" (N bytes of weights). *found = false for another spec, *bits = 0 where bytes are
 * given and *bytes = 0 where bits are. E_INPUT: begins with "mixed:" and cannot be read. */
espl_status espl_mixed_parse(const char *spec, bool *found, double *bits, int64_t *bytes, espl_err *err) ESPL_MUST_CHECK;

/* The choice for the float network g (not changed): ranges from `train` as cfg says (its `weights` is not looked at), sensitivities from the first `images`
 * of val (0: all). E_INPUT: the budget is below all layers in int4, or a layer's name holds a comma. */
espl_status espl_mixed_choose(espl_graph *g, const espl_dataset *train, const espl_dataset *val, const espl_preprocess *pp, const espl_quant_config *cfg, double bits,
                              int64_t bytes, int32_t images, espl_progress *progress, espl_mixed *out, espl_err *err) ESPL_MUST_CHECK;
#endif
