/* Stochastic gradient descent with momentum; weight decay on WEIGHT params only; masks respected. */
#include "base/mem.h"
#include "nn/loss.h"

static void apply_mask(float *v, const float *mask, int64_t n) {
  if (!v || !mask) return;
  for (int64_t i = 0; i < n; i++)
    if (mask[i] == 0.0f) v[i] = 0.0f;
}

static void mask_param(espl_param *p) {
  apply_mask(p->value, p->mask, p->elems);
  apply_mask(p->grad, p->mask, p->elems);
  apply_mask(p->momentum, p->mask, p->elems);
}

static espl_param *trained(espl_graph *g, int32_t node, int kind) {
  return kind == ESPL_PARAM_MEAN || kind == ESPL_PARAM_VAR ? NULL : g->node[node].param[kind];
}

espl_status nn_sgd_begin(espl_graph *g, espl_err *err) {
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      espl_param *p = trained(g, i, k);
      if (!p) continue;
      if (!p->momentum && !(p->momentum = espl_calloc((size_t)p->elems, sizeof *p->momentum)))
        return espl_fail(err, ESPL_E_NOMEM, "momentum of %s: out of memory", p->name);
      mask_param(p);
    }
  return ESPL_OK;
}

static void step_param(espl_param *p, const espl_train_config *c, float lr, float decay) {
  float *restrict w = p->value, *restrict v = p->momentum;
  const float *restrict g = p->grad;
  float m = c->momentum, look = c->nesterov ? m : 0.0f, now = c->nesterov ? 1.0f : 0.0f, kept = c->nesterov ? 0.0f : 1.0f;
  for (int64_t i = 0; i < p->elems; i++) {
    float d = g[i] + decay * w[i];
    v[i] = m * v[i] + d;
    w[i] -= lr * (now * d + (look + kept) * v[i]);
  }
}

void nn_sgd_step(espl_graph *g, const espl_train_config *c, float lr) {
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      espl_param *p = trained(g, i, k);
      if (!p) continue;
      apply_mask(p->grad, p->mask, p->elems);
      step_param(p, c, lr, k == ESPL_PARAM_WEIGHT ? c->weight_decay : 0.0f);
      mask_param(p);
    }
}
