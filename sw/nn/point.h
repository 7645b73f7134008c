/* Gradient of the weights of a 1x1 convolution (stride 1, no padding, one group) in bfloat16, on tensors of channel blocks of 16 as in
 * norm.h: dW[o][i] = sum over images and pixels p of dy[p][o] * x[p][i], accumulated in float32 in that order whatever the threads.
 * The library transposes both tensors first; here two pixels are interleaved in a register, which is all that the dot product needs. */
#ifndef ESPL_NN_POINT_H
#define ESPL_NN_POINT_H
#include "nn/dnn.h"

typedef struct nn_point {
  dnn_mem *x, *dy; /* [images] of `in` and `out` channels, `pixels` each */
  dnn_mem *sums;   /* float32, nn_point_sums elements */
  float *grad;     /* [out][in], overwritten */
  int32_t images, in, out;
  int64_t pixels; /* even */
} nn_point;

bool nn_point_here(void); /* this processor's instructions were compiled in */
int64_t nn_point_sums(int32_t in, int32_t out);
void nn_run_point(const nn_point *s);
#endif
