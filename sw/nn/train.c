/* The training loop: batches from the loader, forward, loss, backward, hooks, optimizer step. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "nn/exec.h"
#include "nn/loader.h"
#include "nn/loss.h"
#include "nn/room.h"

#define REPORT_SECONDS 0.2

void espl_train_default(espl_train_config *c) {
  *c = (espl_train_config){.epochs = 20, .batch = 128, .lr = 0.1f, .momentum = 0.9f, .weight_decay = 5e-4f, .warmup_epochs = 1.0f, .beta2 = 0.999f, .step_factor = 0.1f,
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
  nn_progress at;
  int64_t steps, warmup;  /* in all; of the linear warm-up */
  int32_t per_epoch;
  int64_t first, saved;   /* step this process began with; step of the last checkpoint */
  char identity[65];
  double began, reported; /* seconds */
} run;

static void report(run *r) {
  double now = espl_now(), done = (double)r->at.step / (double)r->steps;
  double here = (double)(r->at.step - r->first); /* steps this process has made */
  if (!r->h || !r->h->progress || (now - r->reported < REPORT_SECONDS && r->at.step < r->steps)) return;
  r->reported = now;
  double seen = r->at.seen ? (double)r->at.seen : 1.0;
  r->h->progress(r->h->ctx, done, (now - r->began) * (double)(r->steps - r->at.step) / here, r->at.loss / seen, (double)r->at.right / seen);
}

static espl_status one_step(run *r, espl_err *err) {
  const float *images;
  const uint8_t *labels;
  nn_loader_next(r->loader, &images, &labels);
  ESPL_TRY(espl_exec_forward(r->x, images, r->logits, err));
  if (r->tx) ESPL_TRY(espl_exec_forward(r->tx, images, r->soft, err));
  double loss = nn_loss(r->logits, labels, r->tx ? r->soft : NULL, r->c->batch, r->classes, r->c->label_smoothing, r->c->distill,
                        r->dlogits, &r->at.right);
  if (!isfinite(loss))
    return espl_fail(err, ESPL_E_FAILED, "training: the loss is not finite at step %lld; a smaller learning rate than %g may help",
                     (long long)r->at.step, (double)r->c->lr);
  r->at.loss += loss;
  r->at.seen += r->c->batch;
  ESPL_TRY(espl_exec_backward(r->x, r->dlogits, err));
  if (r->h && r->h->after_backward) ESPL_TRY(r->h->after_backward(r->h->ctx, r->g, r->at.step, err));
  nn_optimizer_step(r->g, r->c, nn_learning_rate(r->c, r->at.step, r->steps, r->warmup, r->per_epoch), r->at.step);
  if (r->h && r->h->after_step) ESPL_TRY(r->h->after_step(r->h->ctx, r->g, r->at.step, err));
  return ESPL_OK;
}

static espl_status end_epoch(run *r, espl_err *err) {
  int32_t epoch = (int32_t)((r->at.step - 1) / r->per_epoch);
  if (r->h && r->h->after_epoch) ESPL_TRY(r->h->after_epoch(r->h->ctx, r->g, epoch, err));
  r->at.loss = 0.0;
  r->at.right = r->at.seen = 0;
  return ESPL_OK;
}

static bool due(const run *r) {
  const espl_train_config *c = r->c;
  const double every = c->checkpoint_every > 0.0 ? c->checkpoint_every : 1.0;
  return c->checkpoint && (r->at.step == r->steps || (double)(r->at.step - r->saved) >= every * (double)r->per_epoch);
}

static espl_status save(run *r, espl_err *err) {
  ESPL_TRY(nn_checkpoint_write(r->c->checkpoint, r->g, r->identity, &r->at, err));
  r->saved = r->at.step;
  return ESPL_OK;
}

/* Interrupted: what was reached is kept where a checkpoint was asked for; E_INTERRUPTED, or why it could not be kept. */
static espl_status interrupted(run *r, espl_err *err) {
  if (!r->c->checkpoint) return espl_interrupt_check(err);
  espl_err why = {0};
  if (r->at.step == r->saved || save(r, &why) == ESPL_OK)
    return espl_fail(err, ESPL_E_INTERRUPTED, "training stopped at step %lld of %lld; %s holds it, --resume continues", (long long)r->at.step,
                     (long long)r->steps, r->c->checkpoint);
  return espl_fail(err, why.code, "training stopped, and its checkpoint could not be written: %s", why.msg);
}

static espl_status loop(run *r, espl_err *err) {
  r->began = r->reported = espl_now();
  while (r->at.step < r->steps) {
    if (espl_interrupted()) return interrupted(r, err);
    ESPL_TRY(one_step(r, err));
    r->at.step++;
    report(r);
    if (r->at.step % r->per_epoch == 0 || r->at.step == r->steps) ESPL_TRY(end_epoch(r, err));
    if (due(r)) ESPL_TRY(save(r, err));
  }
  nn_optimizer_end(r->g);
  return ESPL_OK;
}

/* Optimizer state, and everything a checkpoint holds when one is continued. */
static espl_status begin(run *r, const espl_dataset *d, const espl_preprocess *pp, espl_err *err) {
  const espl_train_config *c = r->c;
  if (c->checkpoint) ESPL_TRY(nn_identity(r->g, d, pp, c, r->identity, err));
  ESPL_TRY(nn_optimizer_begin(r->g, c, err));
  if (!c->checkpoint || !espl_path_exists(c->checkpoint)) return ESPL_OK;
  if (c->resume == ESPL_RESUME_NO)
    return espl_fail(err, ESPL_E_INPUT, "%s: exists already (--resume continues it, or remove it)", c->checkpoint);
  ESPL_TRY(nn_checkpoint_read(c->checkpoint, r->g, r->identity, c->resume == ESPL_RESUME_ELSEWHERE, &r->at, err));
  if (r->at.step < 0 || r->at.step > r->steps)
    return espl_fail(err, ESPL_E_INPUT, "%s: stands at step %lld of %lld", c->checkpoint, (long long)r->at.step, (long long)r->steps);
  r->first = r->saved = r->at.step;
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
  ESPL_TRY(begin(r, d, pp, err));
  lc.first = r->at.step;
  ESPL_TRY(nn_exec_new_at(r->g, ESPL_MODE_TRAIN, c->dtype, c->batch, head, true, &r->x, err));
  if (c->fake) ESPL_TRY(espl_exec_fake(r->x, c->fake, err));
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
    espl_exec_freeze(r->tx);
  }
  return nn_loader_new(&lc, &r->loader, err);
}

static espl_status check_config(const espl_train_config *c, espl_err *err) {
  if (!(c->epochs > 0.0) || c->epochs > 1e6) return espl_fail(err, ESPL_E_INPUT, "training: epochs %g, expected > 0", c->epochs);
  if (c->batch < 1) return espl_fail(err, ESPL_E_INPUT, "training: batch %d, expected at least 1", (int)c->batch);
  if (!(c->lr >= 0.0f)) return espl_fail(err, ESPL_E_INPUT, "training: learning rate %g, expected >= 0", (double)c->lr);
  if (!(c->momentum >= 0.0f && c->momentum < 1.0f && c->beta2 >= 0.0f && c->beta2 < 1.0f))
    return espl_fail(err, ESPL_E_INPUT, "training: momentum %g, beta2 %g, expected 0 <= m < 1", (double)c->momentum, (double)c->beta2);
  if (!(c->clip_norm >= 0.0f)) return espl_fail(err, ESPL_E_INPUT, "training: clip norm %g, expected >= 0", (double)c->clip_norm);
  if (!(c->ema >= 0.0f && c->ema < 1.0f)) return espl_fail(err, ESPL_E_INPUT, "training: average decay %g, expected 0 <= d < 1", (double)c->ema);
  if (c->milestones < 0 || c->milestones > ESPL_MAX_MILESTONES)
    return espl_fail(err, ESPL_E_INPUT, "training: %d milestones, expected at most %d", c->milestones, ESPL_MAX_MILESTONES);
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
