/* Softmax cross-entropy, its gradient, and the step of the optimizer; internal to this room. */
#ifndef ESPL_NN_LOSS_H
#define ESPL_NN_LOSS_H
#include "nn/nn.h"

/* logits [batch, classes]; dlogits [batch, classes] = gradient of the mean loss. Target of a row:
 * (1-a) * ((1-s) * onehot(label) + s/classes) + a * softmax(teacher), a = 0 when teacher is NULL.
 * Returns the sum of the row losses; *right += rows whose largest logit is the label's. */
double nn_loss(const float *logits, const uint8_t *labels, const float *teacher, int32_t batch, int32_t classes,
               float smoothing, float a, float *dlogits, int64_t *right);
int32_t nn_argmax(const float *row, int32_t n); /* first of the largest */

/* Zeroes value, gradient and momentum where a mask is 0; allocates momentum where training needs it. */
espl_status nn_sgd_begin(espl_graph *g, espl_err *err) ESPL_MUST_CHECK;
/* v = momentum * v + grad + decay * w;  w -= lr * (nesterov ? grad + decay * w + momentum * v : v). */
void nn_sgd_step(espl_graph *g, const espl_train_config *c, float lr);
#endif
