/* Quantization-aware fine-tuning: the network trains on with its values and weights rounded to the integers of the machine (straight-through
 * gradients), so that it learns to live with them; then it is quantized as any other. */
#ifndef ESPL_QUANT_TUNE_H
#define ESPL_QUANT_TUNE_H
#include "quant/qnet.h"

typedef struct espl_tune_config {
  double epochs;    /* > 0, may be fractional */
  float lr;         /* highest rate, cosine to 0 */
  int32_t batch;
  float distill;    /* share of the float network's own answers in the loss, 0..1 */
  int augment, flip;
  uint64_t seed;
} espl_tune_config;
void espl_tune_default(espl_tune_config *t); /* 1 epoch, 0.002, 128, 0.5, crops, no flips */

/* Tunes g (its weights and statistics change) on `train`, and quantizes it with ranges from the same images: *out as espl_quantize gives it.
 * Ranges during training are those of the untuned network. hooks may be NULL. */
espl_status espl_quantize_tune(espl_graph *g, const espl_dataset *train, const espl_preprocess *pp, const espl_quant_config *cfg,
                               const espl_tune_config *t, const espl_train_hooks *hooks, espl_qnet **out, espl_err *err) ESPL_MUST_CHECK;
#endif
