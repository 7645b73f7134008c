/* Resizing of H and W, nearest or linear, on tensors of channel blocks of 16 (the layout of norm.h). Which positions an axis reads, and with which weights,
 * is that of the operator (espl_resize_tap); rows and columns are independent, so y[h][w] is the sum of x over two rows and two columns.
 *
 * The gradient gathers: dx[i][j] = sum of dy over the positions that read (i, j), times the weight they read it with. These positions are
 * one range of rows and one of columns, since what an axis reads never goes back as the position goes on.
 * Law: one thread makes each sum, in the order of rows and columns: results do not depend on threads. */
#ifndef ESPL_NN_RESIZE_H
#define ESPL_NN_RESIZE_H
#include "graph/graph.h"
#include "nn/dnn.h"

/* All borrowed. */
typedef struct nn_resize {
  int32_t images;
  bool half, linear; /* half: bfloat16, else float32 */
  espl_shape from, to;
  dnn_mem *x, *y; /* backward: their gradients */
  dnn_mem *taps;  /* nn_resize_room elements of 4 bytes, filled by nn_resize_prepare */
} nn_resize;

int64_t nn_resize_room(espl_shape from, espl_shape to);
void nn_resize_prepare(const nn_resize *s, const espl_resize_attr *a);
void nn_run_resize(const nn_resize *s);      /* y */
void nn_run_resize_back(const nn_resize *s); /* x */
#endif
