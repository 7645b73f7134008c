/* The training loop: batches from the loader, forward, loss, backward, hooks, optimizer step. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "nn/exec.h"
#include "nn/loader.h"
#include "nn/loss.h"
#include "nn/room.h"

#define REPORT_SECONDS 0.2

void espl_train_default(espl_train_config *c) {
  *c = (espl_train_config){.epochs = 20, .batch = 128, .lr = 0.1f, .momentum = 0.9f, .weight_decay = 5e-4f, .warmup_epochs = 1.0f,
                           .nesterov = 1, .augment = 1, .flip = 1, .dtype = espl_has_bf16() ? ESPL_BF16 : ESPL_F32, .seed = 1};
}

typedef struct run {
  espl_graph *g, *teacher;
  const espl_train_config *c;
  const espl_train_hooks *h;
  espl_exec *x, *tx;
  nn_loader *loader;
  float *logits, *dlogits, *soft;
  int32_t classes;
  int64_t step, steps, warmup; /* done; in all; of the linear warm-up */
  int32_t per_epoch;
  double loss;                 /* sum over the images of this epoch */
  int64_t right, seen;
  double began, reported;      /* seconds */
} run;

static float learning_rate(const run *r) {
  const double pi = 3.14159265358979323846;
  if (r->step < r->warmup) return (float)(r->c->lr * (double)(r->step + 1) / (double)r->warmup);
  double span = (double)(r->steps - r->warmup), at = (double)(r->step - r->warmup);
  return (float)(0.5 * r->c->lr * (1.0 + cos(pi * at / (span > 0 ? span : 1.0))));
}

static void report(run *r) {
  double now = espl_now(), done = (double)r->step / (double)r->steps;
  if (!r->h || !r->h->progress || (now - r->reported < REPORT_SECONDS && r->step < r->steps)) return;
  r->reported = now;
  double seen = r->seen ? (double)r->seen : 1.0;
  r->h->progress(r->h->ctx, done, (now - r->began) * (1.0 - done) / done, r->loss / seen, (double)r->right / seen);
}

static espl_status one_step(run *r, espl_err *err) {
  const float *images;
  const uint8_t *labels;
  nn_loader_next(r->loader, &images, &labels);
  ESPL_TRY(espl_exec_forward(r->x, images, r->logits, err));
  if (r->tx) ESPL_TRY(espl_exec_forward(r->tx, images, r->soft, err));
  double loss = nn_loss(r->logits, labels, r->tx ? r->soft : NULL, r->c->batch, r->classes, r->c->label_smoothing, r->c->distill,
                        r->dlogits, &r->right);
  if (!isfinite(loss))
    return espl_fail(err, ESPL_E_FAILED, "training: the loss is not finite at step %lld; a smaller learning rate than %g may help",
                     (long long)r->step, (double)r->c->lr);
  r->loss += loss;
  r->seen += r->c->batch;
  ESPL_TRY(espl_exec_backward(r->x, r->dlogits, err));
  if (r->h && r->h->after_backward) ESPL_TRY(r->h->after_backward(r->h->ctx, r->g, r->step, err));
  nn_sgd_step(r->g, r->c, learning_rate(r));
  if (r->h && r->h->after_step) ESPL_TRY(r->h->after_step(r->h->ctx, r->g, r->step, err));
  return ESPL_OK;
}

static espl_status loop(run *r, espl_err *err) {
  r->began = r->reported = espl_now();
  while (r->step < r->steps) {
    ESPL_TRY(espl_interrupt_check(err));
    ESPL_TRY(one_step(r, err));
    r->step++;
    report(r);
    if (r->step % r->per_epoch && r->step < r->steps) continue;
    int32_t epoch = (int32_t)((r->step - 1) / r->per_epoch);
    if (r->h && r->h->after_epoch) ESPL_TRY(r->h->after_epoch(r->h->ctx, r->g, epoch, err));
    r->loss = 0.0;
    r->right = r->seen = 0;
  }
  return ESPL_OK;
}

static espl_status prepare(run *r, const espl_dataset *d, const espl_preprocess *pp, espl_err *err) {
  const espl_train_config *c = r->c;
  int32_t head = nn_logits_node(r->g);
  r->classes = r->g->node[head].shape.c;
  nn_loader_config lc = {.data = d, .pp = pp, .batch = c->batch, .limit = d->n, .shuffle = 1, .augment = c->augment,
                         .flip = c->flip, .seed = c->seed};
  r->per_epoch = nn_loader_epoch_batches(&lc);
  lc.batches = r->steps = (int64_t)ceil(c->epochs * r->per_epoch - 1e-9);
  r->warmup = (int64_t)(c->warmup_epochs * (float)r->per_epoch);
  if (r->warmup > r->steps / 2) r->warmup = r->steps / 2;
  ESPL_TRY(nn_sgd_begin(r->g, err));
  ESPL_TRY(nn_exec_new_at(r->g, ESPL_MODE_TRAIN, c->dtype, c->batch, head, true, &r->x, err));
  size_t n = (size_t)c->batch * (size_t)r->classes;
  r->logits = espl_calloc(n, sizeof(float));
  r->dlogits = espl_calloc(n, sizeof(float));
  r->soft = espl_calloc(n, sizeof(float));
  if (!r->logits || !r->dlogits || !r->soft) return espl_fail(err, ESPL_E_NOMEM, "training: out of memory");
  if (c->teacher && c->distill > 0.0f) {
    if (!(r->teacher = espl_graph_clone(c->teacher))) return espl_fail(err, ESPL_E_NOMEM, "teacher: out of memory");
    int32_t th = nn_logits_node(r->teacher);
    if (r->teacher->node[th].shape.c != r->classes)
      return espl_fail(err, ESPL_E_INPUT, "teacher has %d classes, the network %d", (int)r->teacher->node[th].shape.c, (int)r->classes);
    ESPL_TRY(nn_exec_new_at(r->teacher, ESPL_MODE_INFER, c->dtype, c->batch, th, false, &r->tx, err));
  }
  return nn_loader_new(&lc, &r->loader, err);
}

static espl_status check_config(const espl_train_config *c, espl_err *err) {
  if (!(c->epochs > 0.0) || c->epochs > 1e6) return espl_fail(err, ESPL_E_INPUT, "training: epochs %g, expected > 0", c->epochs);
  if (c->batch < 1) return espl_fail(err, ESPL_E_INPUT, "training: batch %d, expected at least 1", (int)c->batch);
  if (!(c->lr >= 0.0f)) return espl_fail(err, ESPL_E_INPUT, "training: learning rate %g, expected >= 0", (double)c->lr);
  if (!(c->distill >= 0.0f && c->distill <= 1.0f))
    return espl_fail(err, ESPL_E_INPUT, "training: distillation share %g, expected 0..1", (double)c->distill);
  if (!(c->label_smoothing >= 0.0f && c->label_smoothing < 1.0f))
    return espl_fail(err, ESPL_E_INPUT, "training: label smoothing %g, expected 0 <= s < 1", (double)c->label_smoothing);
  return ESPL_OK;
}

espl_status espl_train(espl_graph *g, const espl_dataset *train, const espl_preprocess *pp, const espl_train_config *cfg,
                       const espl_train_hooks *hooks, espl_err *err) {
  ESPL_TRY(check_config(cfg, err));
  ESPL_TRY(nn_check_fit(g, train, err));
  run r = {.g = g, .c = cfg, .h = hooks};
  espl_status s = prepare(&r, train, pp, err);
  if (s == ESPL_OK) s = loop(&r, err);
  nn_loader_free(r.loader);
  espl_exec_free(r.x);
  espl_exec_free(r.tx);
  espl_graph_free(r.teacher);
  free(r.logits);
  free(r.dlogits);
  free(r.soft);
  return s;
}
