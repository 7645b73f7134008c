/* Training: loss and optimizer by hand, and the laws of a training (masks, determinism, order of batches, statistics,
 * refusals) on small networks and a four-class set of bars made here. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "base/mem.h"
#include "nn/loader.h"
#include "nn/loss.h"
#include "nn/nn.h"
#include "bars.h"
#include "nn_graphs.h"

/* ---- loss and optimizer ---- */

Test(train, loss_gradient_matches_differences) {
  enum { B = 2, K = 5 };
  float z[B * K], t[B * K], d[B * K], scratch[B * K];
  const uint8_t labels[B] = {4, 1};
  int64_t right = 0;
  for (int i = 0; i < B * K; i++) {
    z[i] = espl_rng_normal(1, 1, (uint64_t)i);
    t[i] = espl_rng_normal(1, 2, (uint64_t)i);
  }
  nn_loss(z, labels, t, B, K, 0.1f, 0.3f, d, &right);
  for (int i = 0; i < B * K; i++) {
    float keep = z[i];
    z[i] = keep + 0.01f;
    double up = nn_loss(z, labels, t, B, K, 0.1f, 0.3f, scratch, &right);
    z[i] = keep - 0.01f;
    double down = nn_loss(z, labels, t, B, K, 0.1f, 0.3f, scratch, &right);
    z[i] = keep;
    cr_expect_float_eq(d[i], (up - down) / 0.02 / B, 1e-4);
  }
  /* Equal logits: the loss is log K whatever the label. */
  float flat[K] = {2, 2, 2, 2, 2};
  cr_expect_float_eq(nn_loss(flat, labels, NULL, 1, K, 0.0f, 0.0f, scratch, &right), log(K), 1e-6);
}

Test(train, two_steps_of_sgd_by_hand) {
  for (int nesterov = 0; nesterov < 2; nesterov++) {
    espl_graph *g = start(1, 1, 1);
    int id = gemm(g, 0, 1);
    espl_param *w = g->node[id].param[ESPL_PARAM_WEIGHT], *b = g->node[id].param[ESPL_PARAM_BIAS];
    w->value[0] = 1.0f;
    b->value[0] = 1.0f;
    w->grad = espl_calloc(1, sizeof(float));
    b->grad = espl_calloc(1, sizeof(float));
    w->grad[0] = b->grad[0] = 0.5f;
    espl_train_config c = {.momentum = 0.9f, .weight_decay = 0.1f, .nesterov = nesterov};
    OK(nn_optimizer_begin(g, &c, &err));
    nn_optimizer_step(g, &c, 0.1f, 0);
    nn_optimizer_step(g, &c, 0.1f, 0);
    /* plain: v = 0.6, w = 0.94; v = 0.54 + 0.594 = 1.134, w = 0.8266. Bias has no decay: v = 0.5, 0.95.
     * Nesterov: w = 1 - 0.1*(0.6 + 0.54) = 0.886; d = 0.5886, v = 1.1286, w = 0.886 - 0.1*(0.5886 + 1.01574). */
    cr_expect_float_eq(w->value[0], nesterov ? 0.725566 : 0.8266, 1e-6);
    cr_expect_float_eq(b->value[0], nesterov ? 1.0 - 0.1 * (0.5 + 0.45) - 0.1 * (0.5 + 0.855) : 1.0 - 0.1 * 0.5 - 0.1 * 0.95, 1e-6);
    espl_graph_free(g);
  }
}

/* ---- training ---- */

static espl_graph *small_net(void) {
  espl_graph *g = start(1, 8, 8);
  int a = op(g, ESPL_OP_RELU, bn(g, conv(g, 0, 16, k3, false)));
  int b = op(g, ESPL_OP_RELU, add(g, bn(g, conv(g, a, 16, k3, false)), a));
  gemm(g, op(g, ESPL_OP_FLATTEN, pool(g, ESPL_OP_AVGPOOL, b, 2, 2, 0, 0, false)), 4);
  return g;
}

static espl_train_config small_config(void) {
  espl_train_config c;
  espl_train_default(&c);
  c.epochs = 3;
  c.batch = 32;
  c.lr = 0.02f;
  c.augment = c.flip = 0;
  c.dtype = ESPL_F32;
  return c;
}

Test(train, small_training_learns) {
  espl_dataset train = bars(1024), test = bars(400);
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  espl_graph *g = small_net();
  espl_train_config c = small_config();
  double before, after;
  for (int32_t i = 0; i < test.n * 64; i++) test.pixels[i] = (uint8_t)(test.pixels[i] + espl_rng_below(10, 0, (uint64_t)i, 8));
  OK(espl_evaluate(g, &test, &pp, 0, &before, &err));
  OK(espl_train(g, &train, &pp, &c, NULL, &err));
  OK(espl_evaluate(g, &test, &pp, 0, &after, &err));
  cr_expect_lt(before, 0.6);
  cr_expect_gt(after, 0.97, "accuracy %g", after);
  espl_graph_free(g);
  free_bars(&train);
  free_bars(&test);
}

static espl_status hasten(void *ctx, espl_graph *g, int64_t step, espl_err *e) {
  (void)g;
  (void)e;
  if (step % 7 == 0) usleep(*(useconds_t *)ctx); /* the loader runs ahead by another amount */
  return ESPL_OK;
}

static bool same_params(const espl_graph *a, const espl_graph *b) {
  for (int i = 0; i < a->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      const espl_param *p = a->node[i].param[k], *q = b->node[i].param[k];
      if (p && memcmp(p->value, q->value, (size_t)p->elems * sizeof(float))) return false;
    }
  return true;
}

Test(train, equal_trainings_give_equal_bits) {
  espl_dataset d = bars(300);
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  for (int type = 0; type <= (espl_has_bf16() ? ESPL_BF16 : ESPL_F32); type++) {
    espl_graph *g[3];
    for (int i = 0; i < 3; i++) {
      useconds_t pause = i ? 0 : 2000;
      espl_train_hooks h = {.ctx = &pause, .after_step = hasten};
      espl_train_config c = small_config();
      c.augment = c.flip = 1;
      c.batch = 100; /* large enough for all threads */
      c.dtype = (espl_dtype)type;
      c.seed = i == 2 ? 6 : 5;
      g[i] = small_net();
      OK(espl_train(g[i], &d, &pp, &c, &h, &err));
    }
    cr_expect(same_params(g[0], g[1]));
    cr_expect_not(same_params(g[0], g[2]));
    for (int i = 0; i < 3; i++) espl_graph_free(g[i]);
  }
  free_bars(&d);
}

static espl_status mask_holds(void *ctx, espl_graph *g, int64_t step, espl_err *e) {
  (void)step;
  for (int i = 0; i < g->nodes; i++) {
    const espl_param *p = g->node[i].param[ESPL_PARAM_WEIGHT];
    for (int64_t k = 0; p && p->mask && k < p->elems; k++)
      if (p->mask[k] == 0.0f && (p->value[k] != 0.0f || p->grad[k] != 0.0f || p->momentum[k] != 0.0f))
        return espl_fail(e, ESPL_E_FAILED, "masked weight %lld of %s moved", (long long)k, p->name);
  }
  ++*(int *)ctx;
  return ESPL_OK;
}

Test(train, masked_weights_stay_zero) {
  espl_dataset d = bars(256);
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  espl_graph *g = small_net();
  int64_t kept = 0;
  for (int i = 0; i < g->nodes; i++) {
    espl_param *p = g->node[i].param[ESPL_PARAM_WEIGHT];
    if (!p) continue;
    p->mask = espl_calloc((size_t)p->elems, sizeof(float));
    for (int64_t k = 0; k < p->elems; k++) p->mask[k] = espl_rng_below(1, (uint64_t)i, (uint64_t)k, 2) ? 1.0f : 0.0f;
  }
  int calls = 0;
  espl_train_hooks h = {.ctx = &calls, .after_step = mask_holds};
  espl_train_config c = small_config();
  OK(espl_train(g, &d, &pp, &c, &h, &err));
  cr_expect_eq(calls, 24);
  for (int i = 0; i < g->nodes; i++) {
    espl_param *p = g->node[i].param[ESPL_PARAM_WEIGHT];
    for (int64_t k = 0; p && k < p->elems; k++) kept += p->mask[k] != 0.0f && p->value[k] != 0.0f;
  }
  cr_expect_gt(kept, 1000);
  espl_graph_free(g);
  free_bars(&d);
}

Test(train, distillation_pulls_towards_the_teacher) {
  espl_dataset d = bars(1024);
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  espl_graph *teacher = small_net(), *g = small_net();
  espl_train_config c = small_config();
  OK(espl_train(teacher, &d, &pp, &c, NULL, &err));
  for (int32_t i = 0; i < d.n; i++) d.labels[i] = 0; /* labels that say nothing: only the teacher can teach */
  c.teacher = teacher;
  c.distill = 1.0f;
  OK(espl_train(g, &d, &pp, &c, NULL, &err));
  for (int32_t i = 0; i < d.n; i++) d.labels[i] = (uint8_t)(i % 4);
  double a;
  OK(espl_evaluate(g, &d, &pp, 0, &a, &err));
  cr_expect_gt(a, 0.95, "accuracy %g", a);
  espl_graph_free(g);
  espl_graph_free(teacher);
  free_bars(&d);
}

Test(train, recalibrated_statistics_are_those_of_the_set) {
  espl_dataset d = bars(128); /* one batch: its statistics are the set's */
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  espl_graph *g = start(1, 8, 8);
  int id = bn(g, 0);
  gemm(g, op(g, ESPL_OP_FLATTEN, id), 4);
  double m = 0.0, q = 0.0, n = 128.0 * 64.0;
  for (int i = 0; i < 128 * 64; i++) m += d.pixels[i] / 255.0 / n;
  for (int i = 0; i < 128 * 64; i++) q += pow(d.pixels[i] / 255.0 - m, 2) / (n - 1.0);
  for (int batches = 1; batches <= 3; batches += 2) {
    OK(espl_bn_recalibrate(g, &d, &pp, batches, &err));
    cr_expect_float_eq(g->node[id].param[ESPL_PARAM_MEAN]->value[0], m, 1e-5);
    cr_expect_float_eq(g->node[id].param[ESPL_PARAM_VAR]->value[0], q, 1e-5);
  }
  espl_graph_free(g);
  free_bars(&d);
}

Test(train, batches_cover_every_image_once_an_epoch) {
  espl_dataset d = bars(96);
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  for (int32_t i = 0; i < d.n; i++) memset(d.pixels + i * 64, i, 64);
  nn_loader_config c = {.data = &d, .pp = &pp, .batch = 32, .limit = 96, .shuffle = 1, .seed = 4, .batches = 6};
  nn_loader *l;
  OK(nn_loader_new(&c, &l, &err));
  int order[2][96];
  for (int b = 0; b < 6; b++) {
    const float *images;
    const uint8_t *labels;
    nn_loader_next(l, &images, &labels);
    if (b == 2) usleep(3000);
    for (int i = 0; i < 32; i++) {
      order[b / 3][b % 3 * 32 + i] = (int)lrintf(images[i * 64] * 255.0f);
      cr_expect_eq(labels[i], order[b / 3][b % 3 * 32 + i] % 4);
    }
  }
  cr_expect(memcmp(order[0], order[1], sizeof order[0]));
  for (int e = 0; e < 2; e++) {
    int seen[96] = {0};
    for (int i = 0; i < 96; i++) seen[order[e][i]]++;
    for (int i = 0; i < 96; i++) cr_expect_eq(seen[i], 1);
  }
  nn_loader_free(l);
  free_bars(&d);
}

Test(train, wrong_images_and_bad_settings_are_refused) {
  espl_dataset d = bars(64);
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  espl_graph *g = start(3, 8, 8);
  gemm(g, op(g, ESPL_OP_FLATTEN, conv(g, 0, 4, k3, true)), 4);
  double a;
  cr_expect_eq(espl_evaluate(g, &d, &pp, 0, &a, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "1x8x8") && strstr(err.msg, "3x8x8"), "%s", err.msg);
  espl_graph_free(g);
  g = small_net();
  espl_train_config c = small_config();
  c.epochs = -1;
  cr_expect_eq(espl_train(g, &d, &pp, &c, NULL, &err), ESPL_E_INPUT);
  c = small_config();
  c.lr = 1e30f;
  memset(&err, 0, sizeof err);
  cr_expect_eq(espl_train(g, &d, &pp, &c, NULL, &err), ESPL_E_FAILED);
  cr_expect(strstr(err.msg, "not finite"), "%s", err.msg);
  espl_graph_free(g);
  free_bars(&d);
}

Test(train, training_stops_when_interrupted) {
  espl_dataset d = bars(64);
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  espl_graph *g = small_net();
  espl_train_config c = small_config();
  espl_interrupt_set(1);
  cr_expect_eq(espl_train(g, &d, &pp, &c, NULL, &err), ESPL_E_INTERRUPTED);
  espl_interrupt_set(0);
  espl_graph_free(g);
  free_bars(&d);
}
