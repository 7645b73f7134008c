/* Rounding inside a training: what is on the grid already passes unchanged, in values and gradients; what is not lands on it; bfloat16 is
 * refused; and a network whose weights must become -1, 0, 1 (times a scale) learns to live with that. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/nn.h"
#include "nn_graphs.h"
#include "quant/tune.h"

enum { BATCH = 4, IN = 8 * 8, CLASSES = 4 };

static espl_graph *net(int *c1, int *r1) {
  espl_graph *g = start(1, 8, 8);
  *c1 = conv(g, 0, 16, k3, true);
  *r1 = op(g, ESPL_OP_RELU, *c1);
  gemm(g, op(g, ESPL_OP_FLATTEN, pool(g, ESPL_OP_AVGPOOL, *r1, 4, 4, 0, 0, false)), CLASSES);
  return g;
}

/* Weights k/127 with one 1 a channel, so that they are their own rounding. */
static void grid_weights(espl_graph *g) {
  for (int i = 0; i < g->nodes; i++) {
    espl_param *w = g->node[i].param[ESPL_PARAM_WEIGHT];
    if (!w) continue;
    const int64_t row = w->elems / w->dim[0];
    for (int64_t k = 0; k < w->elems; k++)
      w->value[k] = k % row == 0 ? 1.0f : ((float)espl_rng_below(5, (uint64_t)i, (uint64_t)k, 255) - 127.0f) * (1.0f / 127.0f);
  }
}

static void run(espl_graph *g, const espl_fake *f, int keep, float *value, float *out) {
  espl_exec *x = NULL;
  float in[BATCH * IN], dout[BATCH * CLASSES];
  for (int i = 0; i < BATCH * IN; i++) in[i] = (float)espl_rng_below(7, 0, (uint64_t)i, 200) - 100.0f;
  for (int i = 0; i < BATCH * CLASSES; i++) dout[i] = (float)(i % 5) - 2.0f;
  OK(espl_exec_new(g, ESPL_MODE_TRAIN, ESPL_F32, BATCH, &x, &err));
  OK(espl_exec_keep(x, keep, &err));
  OK(espl_exec_fake(x, f, &err));
  OK(espl_exec_forward(x, in, out, &err));
  OK(espl_exec_value(x, keep, value, &err));
  OK(espl_exec_backward(x, dout, &err));
  espl_exec_free(x);
}

Test(fake, what_is_on_the_grid_passes_unchanged) {
  int c1, r1;
  espl_graph *g = net(&c1, &r1), *h;
  grid_weights(g);
  h = espl_graph_clone(g);
  espl_fake_value *v = espl_calloc((size_t)g->nodes, sizeof *v);
  int8_t *most = espl_calloc((size_t)g->nodes, 1);
  v[0] = (espl_fake_value){1.0f, 0};
  for (int i = 0; i < g->nodes; i++) most[i] = g->node[i].param[ESPL_PARAM_WEIGHT] ? 127 : 0;
  static float a[BATCH * 16 * IN], b[BATCH * 16 * IN];
  float out_a[BATCH * CLASSES], out_b[BATCH * CLASSES];
  const espl_fake f = {v, most};
  run(g, NULL, r1, a, out_a);
  run(h, &f, r1, b, out_b);
  for (int i = 0; i < BATCH * CLASSES; i++) cr_expect_float_eq(out_a[i], out_b[i], 1e-4 * (1 + fabs((double)out_a[i])));
  for (int i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      const espl_param *p = g->node[i].param[k], *q = h->node[i].param[k];
      for (int64_t j = 0; p && p->grad && j < p->elems; j++)
        cr_expect_float_eq(p->grad[j], q->grad[j], 1e-3 * (1 + fabs((double)p->grad[j])), "%s %lld", p->name, (long long)j);
    }
  espl_graph_free(g);
  espl_graph_free(h);
  free(v);
  free(most);
}

Test(fake, values_land_on_the_grid_within_its_ends) {
  int c1, r1;
  espl_graph *g = net(&c1, &r1);
  espl_fake_value *v = espl_calloc((size_t)g->nodes, sizeof *v);
  int8_t *most = espl_calloc((size_t)g->nodes, 1);
  static float plain[BATCH * 16 * IN], got[BATCH * 16 * IN];
  float out[BATCH * CLASSES];
  const espl_fake f = {v, most};
  run(g, NULL, r1, plain, out);
  v[r1] = (espl_fake_value){0.75f, -100};
  run(g, &f, r1, got, out);
  int cut = 0;
  for (int i = 0; i < BATCH * 16 * IN; i++) {
    const float want = fminf(nearbyintf(plain[i] / 0.75f), 227.0f) * 0.75f; /* 127 + 100 steps above zero */
    cr_expect_float_eq(got[i], want, 1e-3, "%g -> %g", (double)plain[i], (double)got[i]);
    cut += plain[i] > 227 * 0.75f;
  }
  cr_expect_gt(cut, 0);
  v[c1] = v[r1]; /* joined with its activation: never in memory */
  v[r1].scale = 0;
  espl_exec *x = NULL;
  OK(espl_exec_new(g, ESPL_MODE_TRAIN, ESPL_F32, BATCH, &x, &err));
  OK(espl_exec_fake(x, &f, &err));
  static float in[BATCH * IN];
  cr_expect_eq(espl_exec_forward(x, in, out, &err), ESPL_E_UNSUPPORTED);
  espl_exec_free(x);
  err = (espl_err){0};
  OK(espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, BATCH, &x, &err));
  cr_expect_eq(espl_exec_fake(x, &f, &err), ESPL_E_UNSUPPORTED);
  espl_exec_free(x);
  espl_graph_free(g);
  free(v);
  free(most);
}

/* ---- a network with weights of three values ---- */

static espl_dataset bars(int32_t n) {
  espl_dataset d = {.source = "bars", .n = n, .classes = CLASSES, .shape = {1, 8, 8}};
  d.pixels = malloc((size_t)n * IN);
  d.labels = malloc((size_t)n);
  for (int32_t i = 0; i < n; i++) {
    d.labels[i] = (uint8_t)(i % CLASSES);
    for (int k = 0; k < IN; k++) d.pixels[i * IN + k] = (uint8_t)(espl_rng_below(9, (uint64_t)i, (uint64_t)k, 120) + (k / 16 == d.labels[i] ? 60 : 0));
  }
  return d;
}

/* The weights as the rounding leaves them: three values a channel. */
static void round_weights(espl_graph *g) {
  for (int i = 0; i < g->nodes; i++) {
    espl_param *w = g->node[i].param[ESPL_PARAM_WEIGHT];
    const int64_t row = w ? w->elems / w->dim[0] : 0;
    for (int32_t o = 0; w && o < w->dim[0]; o++) {
      float most = 0;
      for (int64_t k = 0; k < row; k++) most = fmaxf(most, fabsf(w->value[o * row + k]));
      for (int64_t k = 0; k < row; k++) w->value[o * row + k] = nearbyintf(w->value[o * row + k] / most) * most;
    }
  }
}

static double rounded_accuracy(const espl_graph *g, const espl_dataset *d, const espl_preprocess *pp) {
  espl_graph *h = espl_graph_clone(g);
  double a = 0;
  round_weights(h);
  OK(espl_evaluate(h, d, pp, 0, &a, &err));
  espl_graph_free(h);
  return a;
}

static espl_train_config short_training(void) {
  espl_train_config c;
  espl_train_default(&c);
  c.epochs = 6;
  c.batch = 32;
  c.lr = 0.05f;
  c.augment = c.flip = 0;
  c.dtype = ESPL_F32;
  return c;
}

Test(fake, three_valued_weights_are_learnt) {
  espl_dataset d = bars(1024);
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  int c1, r1;
  espl_graph *g = net(&c1, &r1);
  espl_train_config c = short_training();
  OK(espl_train(g, &d, &pp, &c, NULL, &err));
  espl_graph_at_rest(g);
  double real = 0, before = rounded_accuracy(g, &d, &pp);
  OK(espl_evaluate(g, &d, &pp, 0, &real, &err));
  espl_fake_value *v = espl_calloc((size_t)g->nodes, sizeof *v);
  int8_t *most = espl_calloc((size_t)g->nodes, 1);
  for (int i = 0; i < g->nodes; i++) most[i] = g->node[i].param[ESPL_PARAM_WEIGHT] ? 1 : 0;
  const espl_fake f = {v, most};
  c.fake = &f;
  c.lr = 0.02f;
  OK(espl_train(g, &d, &pp, &c, NULL, &err));
  double after = rounded_accuracy(g, &d, &pp);
  cr_log_info("float %.3f, rounded %.3f, rounded after tuning %.3f", real, before, after);
  cr_expect_gt(real, 0.95, "%g", real);
  cr_expect_lt(before, 0.8, "%g", before);
  cr_expect_gt(after, 0.95, "%g", after);
  c.dtype = ESPL_BF16;
  if (espl_has_bf16()) cr_expect_eq(espl_train(g, &d, &pp, &c, NULL, &err), ESPL_E_UNSUPPORTED);
  espl_graph_free(g);
  free(v);
  free(most);
  free(d.pixels);
  free(d.labels);
}

Test(fake, tuning_ends_in_an_integer_network) {
  espl_dataset d = bars(512);
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  int c1, r1;
  espl_graph *g = net(&c1, &r1);
  espl_train_config c = short_training();
  OK(espl_train(g, &d, &pp, &c, NULL, &err));
  espl_quant_config qc;
  espl_quant_default(&qc);
  espl_tune_config t;
  espl_tune_default(&t);
  t.batch = 32;
  t.augment = 0;
  espl_qnet *q = NULL;
  double a = 0;
  OK(espl_quantize_tune(g, &d, &pp, &qc, &t, NULL, &q, &err));
  OK(espl_qnet_evaluate(q, &d, &pp, 0, &a, &err));
  cr_expect_gt(a, 0.95, "%g", a);
  espl_qnet_free(q);
  espl_graph_free(g);
  free(d.pixels);
  free(d.labels);
}
