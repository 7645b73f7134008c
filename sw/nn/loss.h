/* Softmax cross-entropy and its gradient, the optimizer, checkpoints; internal to this room. */
#ifndef ESPL_NN_LOSS_H
#define ESPL_NN_LOSS_H
#include "nn/nn.h"

/* logits [batch, classes]; dlogits [batch, classes] = gradient of the mean loss. Target of a row:
 * (1-a) * ((1-s) * onehot(label) + s/classes) + a * softmax(teacher), a = 0 when teacher is NULL.
 * Returns the sum of the row losses; *right += rows whose largest logit is the label's. */
double nn_loss(const float *logits, const uint8_t *labels, const float *teacher, int32_t batch, int32_t classes,
               float smoothing, float a, float *dlogits, int64_t *right);
int32_t nn_argmax(const float *row, int32_t n); /* first of the largest */

#define NN_ADAM_EPS 1e-8f

/* Zeroes value, gradient and optimizer state where a mask is 0; allocates the state that is not there yet. */
espl_status nn_optimizer_begin(espl_graph *g, const espl_train_config *c, espl_err *err) ESPL_MUST_CHECK;
/* One step at rate lr; step counts from 0. With G = gradient after masks and clipping, decay only on WEIGHT params:
 *   SGD:  v = momentum * v + G + decay * w;  w -= lr * (nesterov ? G + decay * w + momentum * v : v)
 *   Adam: m, v first and second moment (rates momentum, beta2), bias-corrected;  w -= lr * (m / (sqrt(v) + eps) + decay * w) */
void nn_optimizer_step(espl_graph *g, const espl_train_config *c, float lr, int64_t step);
void nn_optimizer_end(espl_graph *g); /* values become their averages, where there are averages */
/* Learning rate of a step: linear warm-up over the first `warmup` steps, then the schedule of c. per_epoch: steps of an epoch. */
float nn_learning_rate(const espl_train_config *c, int64_t step, int64_t steps, int64_t warmup, int64_t per_epoch);

/* Where a training stands: what a checkpoint holds besides the params. */
typedef struct nn_progress {
  int64_t step;        /* done */
  double loss;         /* sum over the images of this epoch */
  int64_t right, seen; /* in this epoch */
} nn_progress;
/* Identity of a training: graph, data set, preprocessing, configuration. Two trainings of one identity take the same steps. */
espl_status nn_identity(const espl_graph *g, const espl_dataset *d, const espl_preprocess *pp, const espl_train_config *c, char hex[65], espl_err *err) ESPL_MUST_CHECK;
/* One file, written whole or not at all: identity, where it was made (instruction set, library, threads), progress, and of every param
 * value, mask, optimizer state and average. */
espl_status nn_checkpoint_write(const char *path, const espl_graph *g, const char *identity, const nn_progress *at, espl_err *err) ESPL_MUST_CHECK;
/* E_INPUT: not such a file, damaged, of another identity, or (unless elsewhere) made where results would not be identical.
 * g is changed only on success. */
espl_status nn_checkpoint_read(const char *path, espl_graph *g, const char *identity, int elsewhere, nn_progress *at, espl_err *err) ESPL_MUST_CHECK;
#endif
