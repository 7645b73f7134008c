/* Softmax cross-entropy with label smoothing and distillation. */
#include "nn/loss.h"

#include <math.h>
#include <stddef.h>

int32_t nn_argmax(const float *row, int32_t n) {
  int32_t best = 0;
  for (int32_t i = 1; i < n; i++)
    if (row[i] > row[best]) best = i;
  return best;
}

/* log(sum(exp(row))), safe for large entries. */
static double log_sum_exp(const float *row, int32_t n) {
  double top = row[nn_argmax(row, n)], sum = 0.0;
  for (int32_t i = 0; i < n; i++) sum += exp(row[i] - top);
  return top + log(sum);
}

double nn_loss(const float *logits, const uint8_t *labels, const float *teacher, int32_t batch, int32_t classes,
               float smoothing, float a, float *dlogits, int64_t *right) {
  double total = 0.0;
  double floor_ = (double)smoothing / classes, soft = teacher ? a : 0.0;
  for (int32_t b = 0; b < batch; b++) {
    const float *z = logits + (int64_t)b * classes, *t = teacher ? teacher + (int64_t)b * classes : NULL;
    double lse = log_sum_exp(z, classes), tlse = t ? log_sum_exp(t, classes) : 0.0;
    for (int32_t k = 0; k < classes; k++) {
      double hard = floor_ + (k == labels[b] ? 1.0 - smoothing : 0.0);
      double target = (1.0 - soft) * hard + (t ? soft * exp(t[k] - tlse) : 0.0);
      total += target * (lse - z[k]);
      dlogits[(int64_t)b * classes + k] = (float)((exp(z[k] - lse) - target) / batch);
    }
    *right += nn_argmax(z, classes) == labels[b];
  }
  return total;
}
