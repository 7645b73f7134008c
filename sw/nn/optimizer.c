/* SGD with momentum, Adam with decoupled weight decay (Kingma & Ba 2015; Loshchilov & Hutter 2019), clipping of the
 * gradient's norm, moving averages; weight decay on WEIGHT params only; masks respected by every one of them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/loss.h"

typedef void (*param_visit)(espl_param *p, void *ctx);

/* Every param with a gradient (BatchNorm statistics have none); all: those too. */
static void each(espl_graph *g, bool all, param_visit visit, void *ctx) {
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      espl_param *p = g->node[i].param[k];
      if (p && (all || (k != ESPL_PARAM_MEAN && k != ESPL_PARAM_VAR))) visit(p, ctx);
    }
}

static void apply_mask(float *v, const float *mask, int64_t n) {
  if (!v || !mask) return;
  for (int64_t i = 0; i < n; i++)
    if (mask[i] == 0.0f) v[i] = 0.0f;
}

static void mask_param(espl_param *p) {
  float *const arrays[] = {p->value, p->grad, p->momentum, p->second, p->average};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) apply_mask(arrays[i], p->mask, p->elems);
}

typedef struct begin_ctx {
  const espl_train_config *c;
  espl_status status;
  espl_err *err;
} begin_ctx;

static void make(begin_ctx *b, espl_param *p, float **array, const char *what) {
  if (b->status != ESPL_OK || *array) return;
  if (!(*array = espl_calloc((size_t)p->elems, sizeof **array))) b->status = espl_fail(b->err, ESPL_E_NOMEM, "%s of %s: out of memory", what, p->name);
}

static void begin_param(espl_param *p, void *ctx) {
  begin_ctx *b = ctx;
  make(b, p, &p->momentum, "momentum");
  if (b->c->optimizer == ESPL_ADAM) make(b, p, &p->second, "second moment");
  mask_param(p);
}

static void begin_average(espl_param *p, void *ctx) {
  begin_ctx *b = ctx;
  const bool fresh = !p->average;
  make(b, p, &p->average, "average");
  if (fresh && p->average) memcpy(p->average, p->value, (size_t)p->elems * sizeof *p->average);
}

espl_status nn_optimizer_begin(espl_graph *g, const espl_train_config *c, espl_err *err) {
  begin_ctx b = {c, ESPL_OK, err};
  each(g, false, begin_param, &b);
  if (c->ema > 0.0f) each(g, true, begin_average, &b);
  return b.status;
}

/* ---- one step ---- */

static void sgd(espl_param *p, const espl_train_config *c, float lr, float decay) {
  float *restrict w = p->value, *restrict v = p->momentum;
  const float *restrict g = p->grad;
  float m = c->momentum, look = c->nesterov ? m : 0.0f, now = c->nesterov ? 1.0f : 0.0f, kept = c->nesterov ? 0.0f : 1.0f;
  for (int64_t i = 0; i < p->elems; i++) {
    float d = g[i] + decay * w[i];
    v[i] = m * v[i] + d;
    w[i] -= lr * (now * d + (look + kept) * v[i]);
  }
}

/* step counts from 1; the bias corrections are in double, since beta2^step comes close to 1. */
static void adam(espl_param *p, const espl_train_config *c, float lr, float decay, int64_t step) {
  float *restrict w = p->value, *restrict m = p->momentum, *restrict v = p->second;
  const float *restrict g = p->grad;
  const float b1 = c->momentum, b2 = c->beta2;
  const float c1 = (float)(1.0 / (1.0 - pow((double)b1, (double)step))), c2 = (float)(1.0 / (1.0 - pow((double)b2, (double)step)));
  for (int64_t i = 0; i < p->elems; i++) {
    m[i] = b1 * m[i] + (1.0f - b1) * g[i];
    v[i] = b2 * v[i] + (1.0f - b2) * g[i] * g[i];
    w[i] -= lr * (c1 * m[i] / (sqrtf(c2 * v[i]) + NN_ADAM_EPS) + decay * w[i]);
  }
}

static void mask_and_sum(espl_param *p, void *ctx) {
  double *sum = ctx;
  apply_mask(p->grad, p->mask, p->elems);
  for (int64_t i = 0; i < p->elems; i++) *sum += (double)p->grad[i] * (double)p->grad[i];
}

static void scale_grad(espl_param *p, void *ctx) {
  const float by = *(const float *)ctx;
  for (int64_t i = 0; i < p->elems; i++) p->grad[i] *= by;
}

typedef struct step_ctx {
  const espl_train_config *c;
  float lr;
  int64_t step; /* from 0 */
} step_ctx;

static void step_param(espl_param *p, void *ctx) {
  const step_ctx *s = ctx;
  const float decay = p->kind == ESPL_PARAM_WEIGHT ? s->c->weight_decay : 0.0f;
  if (!(s->c->clip_norm > 0.0f)) apply_mask(p->grad, p->mask, p->elems);
  if (s->c->optimizer == ESPL_ADAM) adam(p, s->c, s->lr, decay, s->step + 1);
  else sgd(p, s->c, s->lr, decay);
  mask_param(p);
}

/* The first steps weigh more than `ema` would let them, so that the start does not linger: d = min(ema, (1+t)/(10+t)). */
static void average_param(espl_param *p, void *ctx) {
  const step_ctx *s = ctx;
  const float early = (float)(s->step + 1) / (float)(s->step + 10), d = early < s->c->ema ? early : s->c->ema;
  for (int64_t i = 0; i < p->elems; i++) p->average[i] = d * p->average[i] + (1.0f - d) * p->value[i];
}

void nn_optimizer_step(espl_graph *g, const espl_train_config *c, float lr, int64_t step) {
  step_ctx s = {c, lr, step};
  if (c->clip_norm > 0.0f) {
    double sum = 0.0;
    each(g, false, mask_and_sum, &sum);
    float by = (float)((double)c->clip_norm / sqrt(sum));
    if (sum > (double)c->clip_norm * (double)c->clip_norm) each(g, false, scale_grad, &by);
  }
  each(g, false, step_param, &s);
  if (c->ema > 0.0f) each(g, true, average_param, &s);
}

static void take_average(espl_param *p, void *ctx) {
  (void)ctx;
  if (!p->average) return;
  memcpy(p->value, p->average, (size_t)p->elems * sizeof *p->value);
  free(p->average);
  p->average = NULL;
}

void nn_optimizer_end(espl_graph *g) { each(g, true, take_average, NULL); }

float nn_learning_rate(const espl_train_config *c, int64_t step, int64_t steps, int64_t warmup, int64_t per_epoch) {
  const double pi = 3.14159265358979323846;
  if (step < warmup) return (float)(c->lr * (double)(step + 1) / (double)warmup);
  if (c->schedule == ESPL_CONSTANT) return c->lr;
  if (c->schedule == ESPL_STEP) {
    double lr = (double)c->lr;
    for (int i = 0; i < c->milestones; i++)
      if ((double)step >= c->milestone[i] * (double)per_epoch) lr *= (double)c->step_factor;
    return (float)lr;
  }
  double span = (double)(steps - warmup), at = (double)(step - warmup);
  return (float)(0.5 * c->lr * (1.0 + cos(pi * at / (span > 0 ? span : 1.0))));
}
