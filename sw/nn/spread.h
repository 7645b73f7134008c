/* Arithmetic of two values on tensors of channel blocks of 16 (the layout of norm.h): y = a + b, a - b, a * b or a / b, where each extent C, H, W of an
 * operand is that of y or 1, and then one element stands for all of them.
 *
 * Gradients: with dy of the result, a receives dy, dy, dy * b, dy / b and b receives dy, -dy, dy * a, -dy * a / (b * b), summed over the
 * extents that were spread.
 * Laws: 1. lanes beyond the channels are zero in what is written, whatever they would compute;
 *       2. one thread makes each sum, in the order of rows and columns: results do not depend on threads. */
#ifndef ESPL_NN_SPREAD_H
#define ESPL_NN_SPREAD_H
#include "graph/graph.h"
#include "nn/dnn.h"

/* All borrowed; `shape` is that of y. */
typedef struct nn_spread {
  dnn_binary_kind kind;
  int32_t images;
  bool half; /* bfloat16, else float32 */
  espl_shape shape, side[2];
  dnn_mem *in[2]; /* a, b; backward of ADD and SUB reads neither: NULL */
  dnn_mem *y;     /* the result; backward: its gradient */
  dnn_mem *d;     /* backward: the gradient of operand `of` */
  int of;
} nn_spread;

void nn_run_spread(const nn_spread *s);
void nn_run_spread_back(const nn_spread *s);
#endif
