/* PReLU on tensors of channel blocks of 16 (the layout of norm.h): y = x, below zero slope * x, with a slope a channel or one for all (He et al. 2015).
 *
 * Gradients: dx = dy, where x <= 0 slope * dy; dslope = sum of x * dy over the elements with x <= 0 (of the channel).
 * Law: sums are gathered an image at a time and added in the order of the images, so that results do not depend on threads. */
#ifndef ESPL_NN_SLOPE_H
#define ESPL_NN_SLOPE_H
#include "graph/graph.h"
#include "nn/dnn.h"

/* All borrowed. dx may be dy itself. */
typedef struct nn_slope {
  espl_param *slope; /* [C] or [1] */
  int32_t images, channels;
  int64_t pixels;
  bool half; /* bfloat16, else float32 */
  dnn_mem *x, *y, *dy, *dx;
  dnn_mem *sums; /* float32, nn_slope_sums elements; backward only */
} nn_slope;

int64_t nn_slope_sums(int32_t images, int32_t channels);
void nn_run_slope(const nn_slope *s);      /* y */
void nn_run_slope_back(const nn_slope *s); /* dx, slope->grad (overwritten) */
#endif
