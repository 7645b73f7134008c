/* Optimizers, schedules, clipping and averages by hand; checkpoints: a training that was stopped and continued ends in the bits of one
 * that was not, and every damaged or foreign file is refused without touching the network. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "nn/loss.h"
#include "nn/nn.h"
#include "nn_graphs.h"

/* One weight and one bias, both 1, gradients as given. */
static espl_graph *scalar(espl_param **w, espl_param **b, float gw, float gb) {
  espl_graph *g = start(1, 1, 1);
  int id = gemm(g, 0, 1);
  *w = g->node[id].param[ESPL_PARAM_WEIGHT];
  *b = g->node[id].param[ESPL_PARAM_BIAS];
  (*w)->value[0] = (*b)->value[0] = 1.0f;
  (*w)->grad = espl_calloc(1, sizeof(float));
  (*b)->grad = espl_calloc(1, sizeof(float));
  (*w)->grad[0] = gw;
  (*b)->grad[0] = gb;
  return g;
}

Test(optimizer, adam_by_hand) {
  espl_param *w, *b;
  espl_graph *g = scalar(&w, &b, 0.5f, -3.0f);
  const espl_train_config c = {.optimizer = ESPL_ADAM, .momentum = 0.9f, .beta2 = 0.999f, .weight_decay = 0.1f};
  OK(nn_optimizer_begin(g, &c, &err));
  /* After bias correction the first step is lr * sign(gradient) whatever its size, and decay * lr * w on the weight only. */
  nn_optimizer_step(g, &c, 0.01f, 0);
  cr_expect_float_eq(w->value[0], 1.0 - 0.01 * (1.0 + 0.1), 1e-6);
  cr_expect_float_eq(b->value[0], 1.0 + 0.01, 1e-6);
  /* Second step with gradient 1: m = 0.9*0.05+0.1 = 0.145 over 0.19; v = 0.00025*0.999+0.001 = 0.00124975 over 0.001999. */
  w->grad[0] = 1.0f;
  double before = (double)w->value[0];
  nn_optimizer_step(g, &c, 0.01f, 1);
  cr_expect_float_eq(w->value[0], before - 0.01 * ((0.145 / 0.19) / sqrt(0.00124975 / 0.001999) + 0.1 * before), 1e-6);
  espl_graph_free(g);
}

Test(optimizer, gradient_is_clipped_as_one_vector) {
  espl_param *w, *b;
  espl_graph *g = scalar(&w, &b, 3.0f, 4.0f);
  espl_train_config c = {.clip_norm = 1.0f};
  OK(nn_optimizer_begin(g, &c, &err));
  nn_optimizer_step(g, &c, 1.0f, 0);
  cr_expect_float_eq(w->value[0], 1.0 - 0.6, 1e-6);
  cr_expect_float_eq(b->value[0], 1.0 - 0.8, 1e-6);
  c.clip_norm = 10.0f; /* the gradient is now 0.6, 0.8: below the limit, untouched */
  nn_optimizer_step(g, &c, 1.0f, 1);
  cr_expect_float_eq(b->value[0], 1.0 - 1.6, 1e-6);
  espl_graph_free(g);
}

Test(optimizer, average_follows_and_replaces) {
  espl_param *w, *b;
  espl_graph *g = scalar(&w, &b, 1.0f, 0.0f);
  const espl_train_config c = {.ema = 0.5f};
  OK(nn_optimizer_begin(g, &c, &err));
  double average = 1.0, value = 1.0;
  for (int64_t t = 0; t < 12; t++) {
    nn_optimizer_step(g, &c, 0.1f, t);
    value -= 0.1;
    double d = fmin(0.5, (double)(1 + t) / (double)(10 + t));
    average = d * average + (1 - d) * value;
  }
  cr_expect_float_eq(w->value[0], value, 1e-5);
  nn_optimizer_end(g);
  cr_expect_float_eq(w->value[0], average, 1e-5);
  cr_expect_float_eq(b->value[0], 1.0, 1e-6);
  espl_graph_free(g);
}

Test(optimizer, schedules) {
  espl_train_config c = {.lr = 0.4f, .schedule = ESPL_COSINE};
  cr_expect_float_eq(nn_learning_rate(&c, 0, 110, 10, 10), 0.04, 1e-7);
  cr_expect_float_eq(nn_learning_rate(&c, 9, 110, 10, 10), 0.4, 1e-7);
  cr_expect_float_eq(nn_learning_rate(&c, 60, 110, 10, 10), 0.2, 1e-7);
  c.schedule = ESPL_CONSTANT;
  cr_expect_float_eq(nn_learning_rate(&c, 109, 110, 10, 10), 0.4, 1e-7);
  c = (espl_train_config){.lr = 0.4f, .schedule = ESPL_STEP, .step_factor = 0.1f, .milestones = 2, .milestone = {3, 5.5}};
  cr_expect_float_eq(nn_learning_rate(&c, 29, 110, 0, 10), 0.4, 1e-7);
  cr_expect_float_eq(nn_learning_rate(&c, 30, 110, 0, 10), 0.04, 1e-7);
  cr_expect_float_eq(nn_learning_rate(&c, 54, 110, 0, 10), 0.04, 1e-7);
  cr_expect_float_eq(nn_learning_rate(&c, 55, 110, 0, 10), 0.004, 1e-8);
}

/* ---- checkpoints ---- */

static espl_dataset stripes(int32_t n) {
  espl_dataset d = {.source = "stripes", .n = n, .classes = 4, .shape = {1, 8, 8}};
  d.pixels = malloc((size_t)n * 64);
  d.labels = malloc((size_t)n);
  for (int32_t i = 0; i < n; i++) {
    d.labels[i] = (uint8_t)(i % 4);
    for (int k = 0; k < 64; k++) d.pixels[i * 64 + k] = (uint8_t)(espl_rng_below(3, (uint64_t)i, (uint64_t)k, 160) + (k / 16 == i % 4 ? 60 : 0));
  }
  return d;
}

static espl_graph *small_net(void) {
  espl_graph *g = start(1, 8, 8);
  int a = op(g, ESPL_OP_RELU, bn(g, conv(g, 0, 16, k3, false)));
  gemm(g, op(g, ESPL_OP_FLATTEN, pool(g, ESPL_OP_AVGPOOL, a, 2, 2, 0, 0, false)), 4);
  return g;
}

static espl_train_config config(int adam, const char *file) {
  espl_train_config c;
  espl_train_default(&c);
  c.epochs = 3;
  c.batch = 32;
  c.lr = adam ? 0.003f : 0.02f;
  c.optimizer = adam ? ESPL_ADAM : ESPL_SGD;
  c.ema = 0.9f;
  c.clip_norm = 5.0f;
  c.dtype = ESPL_F32;
  c.checkpoint = file;
  return c;
}

static espl_status stop_at(void *ctx, espl_graph *g, int64_t step, espl_err *e) {
  (void)g;
  (void)e;
  if (step == *(int *)ctx) espl_interrupt_set(1);
  return ESPL_OK;
}

static bool same_values(const espl_graph *a, const espl_graph *b) {
  for (int i = 0; i < a->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      const espl_param *p = a->node[i].param[k], *q = b->node[i].param[k];
      if (p && memcmp(p->value, q->value, (size_t)p->elems * sizeof(float))) return false;
    }
  return true;
}

static const char *temp(char path[SCRATCH], const char *what) {
  char name[64];
  snprintf(name, sizeof name, "espl_ckpt_%d_%s", (int)getpid(), what);
  scratch_name(path, name);
  unlink(path);
  return path;
}

Test(checkpoint, stopped_and_continued_equals_uninterrupted) {
  char path[SCRATCH];
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  espl_dataset d = stripes(300);
  for (int adam = 0; adam < 2; adam++)
    for (int at = 3; at < 20; at += 7) { /* 9 steps an epoch: inside the first, second and third */
      espl_graph *whole = small_net(), *cut = small_net(), *again = small_net();
      espl_train_config c = config(adam, NULL);
      OK(espl_train(whole, &d, &pp, &c, NULL, &err));
      c = config(adam, temp(path, "eq"));
      espl_train_hooks h = {.ctx = &at, .after_step = stop_at};
      err = (espl_err){0};
      cr_assert_eq(espl_train(cut, &d, &pp, &c, &h, &err), ESPL_E_INTERRUPTED);
      cr_expect(strstr(err.msg, "--resume"), "%s", err.msg);
      espl_interrupt_set(0);
      err = (espl_err){0};
      cr_expect_eq(espl_train(again, &d, &pp, &c, NULL, &err), ESPL_E_INPUT); /* it exists and was not asked for */
      c.resume = ESPL_RESUME_SAME;
      err = (espl_err){0};
      OK(espl_train(again, &d, &pp, &c, NULL, &err));
      cr_expect(same_values(whole, again), "adam %d, stopped after step %d", adam, at);
      espl_graph_free(whole);
      espl_graph_free(cut);
      espl_graph_free(again);
      unlink(path);
    }
  free(d.pixels);
  free(d.labels);
}

Test(checkpoint, foreign_and_damaged_files_are_refused) {
  char path[SCRATCH], bad[SCRATCH];
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  espl_dataset d = stripes(96);
  espl_graph *g = small_net(), *fresh = small_net();
  espl_train_config c = config(0, temp(path, "ok"));
  c.epochs = 1;
  OK(espl_train(g, &d, &pp, &c, NULL, &err));
  char *bytes = NULL;
  size_t n = 0;
  OK(espl_read_file(path, 1 << 24, &bytes, &n, &err));
  c.resume = ESPL_RESUME_SAME;
  c.lr *= 2;
  err = (espl_err){0};
  cr_expect_eq(espl_train(fresh, &d, &pp, &c, NULL, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "another training"), "%s", err.msg);
  c.lr /= 2;
  c.checkpoint = temp(bad, "bad");
  espl_graph *clean = small_net();
  for (size_t i = 0; i < 60; i++) {
    size_t at = i * (n - 1) / 59;
    const bool cut = i % 2;
    bytes[at] = (char)(bytes[at] ^ 0x40);
    err = (espl_err){0};
    OK(espl_write_file(bad, bytes, cut ? at : n, &err));
    cr_expect_eq(espl_train(fresh, &d, &pp, &c, NULL, &err), ESPL_E_INPUT, "byte %zu", at);
    cr_expect(strstr(err.msg, "bad"), "%s", err.msg);
    bytes[at] = (char)(bytes[at] ^ 0x40);
  }
  cr_expect(same_values(fresh, clean));
  espl_graph_free(g);
  espl_graph_free(fresh);
  espl_graph_free(clean);
  free(bytes);
  free(d.pixels);
  free(d.labels);
  unlink(path);
  unlink(bad);
}
