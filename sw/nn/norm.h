/* Normalisations, and batch norm in training with what stands behind it (a residual sum, ReLU or a clamp) in one pass over memory each way, on tensors of
 * channel blocks of 16: element (n, c, p) of N images, C channels, P pixels lies at ((n * blocks + c / 16) * P + p) * 16 + c % 16.
 *
 * y = act(gamma * (x - mean) / sqrt(var + eps) + beta + r), mean and var over the batch (Ioffe & Szegedy 2015). With d = dy (+ dy2) where
 * the activation passes and 0 elsewhere, the gradients are dbeta = sum d, dgamma = sum d * xhat, dr = d and
 * dx = gamma / sqrt(var + eps) * (d - dbeta / M - xhat * dgamma / M), M = N * P.
 * Instance, group and graph normalisation take their statistics from each image alone, over the P pixels of a channel or of a group of
 * channels (Ulyanov et al. 2016; Wu & He 2018); graph normalisation subtracts only a learnt share of the mean, a number a channel, and
 * divides by the root of the mean square of what is left (Cai et al. 2021). The formulas are above norm.c's functions.
 *
 * Laws: 1. the phases of a direction run in order (stats, ready, apply; reduce, ready_back, spread); all but the `ready` ones take a range
 *          of images that begins at a multiple of NN_NORM_SLAB, and every image must be covered once;
 *       2. sums are gathered a slab of images at a time and added in the order of the images, so that results do not depend on threads;
 *       3. lanes beyond C are zero in x, r, dy and stay zero in y and dx (the activation maps 0 to 0). */
#ifndef ESPL_NN_NORM_H
#define ESPL_NN_NORM_H
#include "graph/graph.h"
#include "nn/dnn.h"

#define NN_NORM_SLAB 4

typedef enum nn_norm_kind { NN_NORM_BATCH, NN_NORM_GROUP, NN_NORM_GRAPH } nn_norm_kind;

/* All borrowed. r, dy2, d may be NULL; d, when there, receives the masked gradient (it may be dy itself) and dx may be dy or d itself. */
typedef struct nn_norm {
  nn_norm_kind kind;
  int32_t group; /* GROUP: channels a group; 1: instance normalisation */
  const espl_node *bn;
  dnn_act act; /* NONE, RELU, CLIP with lo <= 0 <= hi */
  int32_t images, blocks, channels;
  int64_t pixels;
  bool half; /* bfloat16, else float32 */
  dnn_mem *x, *r, *y;
  dnn_mem *dy, *dy2, *d, *dx;
  dnn_mem *state; /* float32, nn_norm_state_elems, zero at first; shared by the two directions */
} nn_norm;

int64_t nn_norm_state_elems(nn_norm_kind kind, int32_t images, int32_t blocks);
bool nn_norm_can(const dnn_md *md, dnn_act act); /* layout and activation are those of this file */

void nn_norm_stats(const nn_norm *s, int32_t first, int32_t last); /* sums of x; images first .. last-1 */
void nn_norm_ready(const nn_norm *s, double rate);                 /* mean, var; BATCH: running statistics move by `rate` */
void nn_norm_apply(const nn_norm *s, int32_t first, int32_t last); /* y */
void nn_norm_reduce(const nn_norm *s, int32_t first, int32_t last); /* sums of d and d * (x - mean); d */
void nn_norm_ready_back(const nn_norm *s);                         /* gradients of gamma, beta and share */
void nn_norm_spread(const nn_norm *s, int32_t first, int32_t last); /* dx */
#endif
