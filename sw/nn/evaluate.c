/* Accuracy of a network on a data set, and re-estimation of its batch-norm statistics. */
#include <stdlib.h>

#include "base/interrupt.h"
#include "base/mem.h"
#include "nn/exec.h"
#include "nn/loader.h"
#include "nn/loss.h"
#include "nn/room.h"

#define BATCH 128
#define PLAN_BYTES (256ll << 20) /* rough ceiling of activation memory of an evaluation plan */
#define RECALIBRATION_SEED 0x626e7374u

int32_t nn_logits_node(const espl_graph *g) {
  const espl_node *n = &g->node[g->output];
  return n->op == ESPL_OP_SOFTMAX ? n->input[0] : g->output;
}

espl_status nn_check_fit(const espl_graph *g, const espl_dataset *d, espl_err *err) {
  espl_shape a = g->node[0].shape, b = d->shape, o = g->node[nn_logits_node(g)].shape;
  if (a.c != b.c || a.h != b.h || a.w != b.w)
    return espl_fail(err, ESPL_E_INPUT, "%s: images are %dx%dx%d (channels, height, width), the network expects %dx%dx%d", d->source,
                     (int)b.c, (int)b.h, (int)b.w, (int)a.c, (int)a.h, (int)a.w);
  if (o.h != 1 || o.w != 1 || o.c < d->classes)
    return espl_fail(err, ESPL_E_INPUT, "%s: %d classes, the network's output is %dx%dx%d", d->source, (int)d->classes, (int)o.c,
                     (int)o.h, (int)o.w);
  return d->n > 0 ? ESPL_OK : espl_fail(err, ESPL_E_INPUT, "%s: no images", d->source);
}

static int32_t batch_for(const espl_graph *g, int32_t images) {
  int64_t bytes = 4;
  for (int32_t i = 0; i < g->nodes; i++) bytes += 4 * espl_shape_elems(g->node[i].shape);
  int64_t fit = PLAN_BYTES / bytes;
  if (fit > BATCH) fit = BATCH;
  if (fit > images) fit = images;
  return fit < 1 ? 1 : (int32_t)fit;
}

static espl_status count_right(espl_exec *x, nn_loader *l, const nn_loader_config *c, int32_t classes, float *logits, int64_t *right,
                               espl_err *err) {
  for (int64_t b = 0; b < c->batches; b++) {
    const float *images;
    const uint8_t *labels;
    ESPL_TRY(espl_interrupt_check(err));
    nn_loader_next(l, &images, &labels);
    ESPL_TRY(espl_exec_forward(x, images, logits, err));
    for (int32_t i = 0; i < c->batch && b * c->batch + i < c->limit; i++)
      *right += nn_argmax(logits + (int64_t)i * classes, classes) == labels[i];
  }
  return ESPL_OK;
}

espl_status espl_evaluate(espl_graph *g, const espl_dataset *d, const espl_preprocess *pp, int32_t limit, double *accuracy, espl_err *err) {
  ESPL_TRY(nn_check_fit(g, d, err));
  int32_t n = limit > 0 && limit < d->n ? limit : d->n, classes = g->node[nn_logits_node(g)].shape.c;
  nn_loader_config c = {.data = d, .pp = pp, .batch = batch_for(g, n), .limit = n};
  c.batches = (n + c.batch - 1) / c.batch;
  espl_exec *x = NULL;
  nn_loader *l = NULL;
  int64_t right = 0;
  float *logits = espl_calloc((size_t)c.batch * (size_t)classes, sizeof *logits);
  espl_status s = logits ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "evaluation: out of memory");
  if (s == ESPL_OK) s = nn_exec_new_at(g, ESPL_MODE_INFER, ESPL_F32, c.batch, nn_logits_node(g), false, &x, err);
  if (s == ESPL_OK) espl_exec_freeze(x);
  if (s == ESPL_OK) s = nn_loader_new(&c, &l, err);
  if (s == ESPL_OK) s = count_right(x, l, &c, classes, logits, &right, err);
  if (s == ESPL_OK) *accuracy = (double)right / n;
  nn_loader_free(l);
  espl_exec_free(x);
  free(logits);
  return s;
}

/* Batch k enters the mean of k+1 batches with weight 1/(k+1), so the old statistics are forgotten at k = 0. */
static espl_status average(espl_exec *x, nn_loader *l, int64_t batches, float *out, espl_err *err) {
  for (int64_t k = 0; k < batches; k++) {
    const float *images;
    const uint8_t *labels;
    ESPL_TRY(espl_interrupt_check(err));
    nn_loader_next(l, &images, &labels);
    x->bn_rate = 1.0 / (double)(k + 1);
    ESPL_TRY(espl_exec_forward(x, images, out, err));
  }
  return ESPL_OK;
}

espl_status espl_bn_recalibrate(espl_graph *g, const espl_dataset *train, const espl_preprocess *pp, int32_t batches, espl_err *err) {
  ESPL_TRY(nn_check_fit(g, train, err));
  if (batches < 1) return espl_fail(err, ESPL_E_INPUT, "batch-norm statistics: %d batches, expected at least 1", (int)batches);
  nn_loader_config c = {.data = train, .pp = pp, .batch = BATCH, .limit = train->n, .shuffle = 1, .seed = RECALIBRATION_SEED, .batches = batches};
  espl_exec *x = NULL;
  nn_loader *l = NULL;
  float *out = espl_calloc((size_t)BATCH * (size_t)espl_shape_elems(g->node[g->output].shape), sizeof *out);
  espl_status s = out ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "batch-norm statistics: out of memory");
  if (s == ESPL_OK) s = nn_exec_new_at(g, ESPL_MODE_TRAIN, ESPL_F32, BATCH, g->output, false, &x, err);
  if (s == ESPL_OK) s = nn_loader_new(&c, &l, err);
  if (s == ESPL_OK) s = average(x, l, batches, out, err);
  nn_loader_free(l);
  espl_exec_free(x);
  free(out);
  return s;
}
