/* The arithmetic of TFLite's reference kernels on an integer network: proves an import against TFLite, value by value.
 *
 * It is not the machine's: 31-bit multipliers with two roundings, addition on 20 more bits, average rounded half away from zero and
 * without a multiplier, softmax in fixed point (quant/fixed.h). One image at a time, plain loops. */
#ifndef ESPL_QUANT_TFL_H
#define ESPL_QUANT_TFL_H

#include "quant/qnet.h"

typedef struct espl_tfl espl_tfl;

/* g: the graph q was made from; both must outlive the executor. E_UNSUPPORTED names the layer that has no such rule (an addition without
 * a scale of its operand, a BatchNorm of its own), or says that the file's own weights are not int8. */
espl_status espl_tfl_new(const espl_graph *g, const espl_qnet *q, espl_tfl **out, espl_err *err) ESPL_MUST_CHECK;
void espl_tfl_free(espl_tfl *x);
/* input int8 [c,h,w]; logits int8 [classes] (before a final softmax); last NULL or int8 [classes], what the file's last operator gives. */
void espl_tfl_run(espl_tfl *x, const int8_t *input, int8_t *logits, int8_t *last);
/* Value of a tensor of the last run, int8 [c,h,w]. */
void espl_tfl_tensor(const espl_tfl *x, int32_t tensor, int8_t *out);

/* A network under both rules, the machine's and TFLite's, over the first `limit` images (0: all). */
typedef struct espl_tfl_compared {
  int32_t images;
  double accuracy_machine, accuracy_tflite; /* by the largest logit of the machine, by the file's last operator of TFLite */
  int64_t logits, equal, within1;           /* logits compared, the same, at most 1 apart */
  int32_t largest;                          /* difference */
  int32_t top1_changed;                     /* images whose largest logit is another */
} espl_tfl_compared;
espl_status espl_tfl_compare(const espl_graph *g, const espl_qnet *q, const espl_dataset *d, const espl_preprocess *pp, int32_t limit, espl_tfl_compared *r, espl_err *err) ESPL_MUST_CHECK;

#endif
