/* Taylor importance: gradients are taken by the trainer with a learning rate of zero and read in its after-backward hook. */
#include "compress/saliency.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BATCH = 64 };

static double dot(const espl_param *p, int64_t from, int64_t n) {
  double s = 0;
  if (p && p->grad)
    for (int64_t i = from; i < from + n; i++) s += (double)p->value[i] * (double)p->grad[i];
  return s;
}

static double gate_gradient(const espl_node *n, int32_t c) {
  if (n->op == ESPL_OP_BATCHNORM) return dot(n->param[ESPL_PARAM_GAMMA], c, 1) + dot(n->param[ESPL_PARAM_BETA], c, 1);
  const espl_param *w = n->param[ESPL_PARAM_WEIGHT];
  int64_t row = w->elems / w->dim[0];
  return dot(w, c * row, row) + dot(n->param[ESPL_PARAM_BIAS], c, 1);
}

static espl_status accumulate(void *ctx, espl_graph *g, int64_t step, espl_err *err) {
  (void)step;
  (void)err;
  espl_saliency *s = ctx;
  for (int32_t id = 0; id < g->nodes; id++) {
    const espl_node *n = &g->node[id];
    if (s->gate[id])
      for (int32_t c = 0; c < n->shape.c; c++) {
        double z = gate_gradient(n, c);
        s->gate[id][c] += z * z;
      }
    const espl_param *w = n->param[ESPL_PARAM_WEIGHT];
    if (s->weight[id] && w->grad)
      for (int64_t i = 0; i < w->elems; i++) {
        double v = (double)w->value[i] * (double)w->grad[i];
        s->weight[id][i] += v * v;
      }
  }
  s->batches++;
  return ESPL_OK;
}

static espl_saliency *saliency_new(const espl_graph *g) {
  espl_saliency *s = espl_calloc(1, sizeof *s);
  if (!s) return NULL;
  s->nodes = g->nodes;
  s->weight = espl_calloc((size_t)g->nodes, sizeof *s->weight);
  s->gate = espl_calloc((size_t)g->nodes, sizeof *s->gate);
  bool ok = s->weight && s->gate;
  for (int32_t i = 0; ok && i < g->nodes; i++) {
    const espl_node *n = &g->node[i];
    bool weights = n->op == ESPL_OP_CONV || n->op == ESPL_OP_GEMM;
    if (weights) ok = (s->weight[i] = espl_calloc((size_t)n->param[ESPL_PARAM_WEIGHT]->elems, sizeof(double))) != NULL;
    if (ok && (weights || n->op == ESPL_OP_BATCHNORM)) ok = (s->gate[i] = espl_calloc((size_t)n->shape.c, sizeof(double))) != NULL;
  }
  if (ok) return s;
  espl_saliency_free(s);
  return NULL;
}

espl_status espl_saliency_measure(const espl_graph *g, const espl_dataset *train, const espl_preprocess *pp, int32_t batches, uint64_t seed,
                                  espl_saliency **out, espl_err *err) {
  *out = NULL;
  espl_graph *copy = espl_graph_clone(g);
  espl_saliency *s = copy ? saliency_new(copy) : NULL;
  if (!s) {
    espl_graph_free(copy);
    return espl_fail(err, ESPL_E_NOMEM, "%s: no memory for importances", g->name);
  }
  espl_train_config cfg;
  espl_train_default(&cfg);
  cfg.batch = BATCH;
  cfg.epochs = (double)batches * BATCH / (double)train->n;
  cfg.lr = cfg.momentum = cfg.weight_decay = 0;
  cfg.augment = 0;
  cfg.dtype = ESPL_F32;
  cfg.seed = seed;
  espl_train_hooks hooks = {.ctx = s, .after_backward = accumulate};
  espl_status st = espl_train(copy, train, pp, &cfg, &hooks, err);
  espl_graph_free(copy);
  if (st == ESPL_OK && s->batches == 0) st = espl_fail(err, ESPL_E_INPUT, "%s: %d training images do not fill one batch of %d", g->name, (int)train->n, BATCH);
  if (st != ESPL_OK) {
    espl_saliency_free(s);
    return st;
  }
  for (int32_t id = 0; id < s->nodes; id++) {
    const espl_node *n = &g->node[id];
    for (int32_t c = 0; s->gate[id] && c < n->shape.c; c++) s->gate[id][c] /= s->batches;
    for (int64_t i = 0; s->weight[id] && i < n->param[ESPL_PARAM_WEIGHT]->elems; i++) s->weight[id][i] /= s->batches;
  }
  *out = s;
  return ESPL_OK;
}

void espl_saliency_free(espl_saliency *s) {
  if (!s) return;
  for (int32_t i = 0; i < s->nodes; i++) {
    if (s->weight) free(s->weight[i]);
    if (s->gate) free(s->gate[i]);
  }
  free(s->weight);
  free(s->gate);
  free(s);
}

/* A convolution whose only reader is a batch norm leaves its gate to the batch norm. */
static bool feeds_batchnorm(const espl_graph *g, int32_t id) {
  for (int32_t k = id + 1; k < g->nodes; k++)
    if (g->node[k].op == ESPL_OP_BATCHNORM && g->node[k].input[0] == id) return true;
  return false;
}

void espl_unit_importance(const espl_graph *g, const espl_units *u, const espl_saliency *s, double *importance) {
  memset(importance, 0, (size_t)u->units * sizeof *importance);
  for (int32_t id = 0; id < g->nodes; id++) {
    if (!s->gate[id] || feeds_batchnorm(g, id)) continue;
    for (int32_t c = 0; c < g->node[id].shape.c; c++) importance[espl_unit_of(u, id, c)] += s->gate[id][c];
  }
}
