/* Mixed int8 and int4 weights: how a budget is read, the best choice under it, sensitivities that are what they say. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../scratch.h"
#include "nn_graphs.h"
#include "onnx/qdq.h"
#include "quant/narrow.h"
#include "steer/mixed.h"

Test(mixed, budgets_are_read_or_refused) {
  static const struct { const char *spec; bool found; double bits; int64_t bytes; } good[] = {
      {NULL, false, 0, 0}, {"int4", false, 0, 0}, {"mixed:6", true, 6, 0}, {"mixed:4", true, 4, 0}, {"mixed:5.25", true, 5.25, 0}, {"mixed:58000B", true, 0, 58000}};
  const char *bad[] = {"mixed:", "mixed:3.9", "mixed:8.5", "mixed:6x", "mixed:0B", "mixed:1.5B", "mixed:nan", "mixed:-4", "mixed:6,fc=int8"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    bool found;
    double bits;
    int64_t bytes;
    memset(&err, 0, sizeof err);
    OK(espl_mixed_parse(good[i].spec, &found, &bits, &bytes, &err));
    cr_expect(found == good[i].found && bits == good[i].bits && bytes == good[i].bytes, "%s", good[i].spec ? good[i].spec : "NULL");
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    bool found;
    double bits;
    int64_t bytes;
    err = (espl_err){0};
    cr_expect_eq(espl_mixed_parse(bad[i], &found, &bits, &bytes, &err), ESPL_E_INPUT, "%s is taken", bad[i]);
    cr_expect(strstr(err.msg, bad[i]), "%s", err.msg);
  }
}

enum { IMAGES = 60, LAYERS = 4 };

static espl_dataset images(void) {
  espl_dataset d = {.source = (char *)(uintptr_t)"made here", .n = IMAGES, .classes = 5, .shape = {3, 8, 8}};
  d.pixels = malloc(IMAGES * 3 * 8 * 8);
  d.labels = calloc(IMAGES, 1);
  for (int i = 0; i < IMAGES * 3 * 8 * 8; i++) d.pixels[i] = (uint8_t)espl_rng_below(4, 5, (uint64_t)i, 256);
  return d;
}

/* Three convolutions and a classifier of 108, 216, 144 and 90 weights. */
static espl_graph *network(void) {
  espl_graph *g = start(3, 8, 8);
  int a = op(g, ESPL_OP_RELU, bn(g, conv(g, 0, 4, k3, false))), b = op(g, ESPL_OP_RELU, bn(g, conv(g, a, 6, k3, false)));
  int c = op(g, ESPL_OP_RELU, conv(g, b, 24, (espl_conv_attr){.kh = 1, .kw = 1}, true));
  gemm(g, op(g, ESPL_OP_FLATTEN, op(g, ESPL_OP_GLOBALAVGPOOL, c)), 5);
  return g;
}

/* Mean divergence of the classes with form `spec` from those in int8, from the public parts alone. */
static double divergence(espl_graph *g, const espl_dataset *d, const espl_preprocess *pp, const char *spec) {
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  int8_t logits[2][IMAGES * 5], *in = malloc(IMAGES * 192);
  float scale = 0, x[192];
  for (int k = 0; k < 2; k++) {
    espl_qnet *q = NULL;
    espl_qexec *e = NULL;
    cfg.weights = k ? spec : NULL;
    OK(espl_quantize(g, d, pp, &cfg, &q, &err));
    for (int i = 0; i < IMAGES; i++) {
      espl_data_image(d, i, pp, 0, 0, x);
      espl_qnet_input(q, x, in + i * 192);
    }
    OK(espl_qexec_new(q, IMAGES, &e, &err));
    OK(espl_qexec_run(e, IMAGES, in, logits[k], &err));
    scale = q->tensor[q->output].scale;
    espl_qexec_free(e);
    espl_qnet_free(q);
  }
  free(in);
  double sum = 0;
  for (int i = 0; i < IMAGES; i++) {
    double z[2] = {0, 0};
    for (int k = 0; k < 2; k++)
      for (int c = 0; c < 5; c++) z[k] += exp((double)scale * logits[k][i * 5 + c]);
    for (int c = 0; c < 5; c++) {
      double p = exp((double)scale * logits[0][i * 5 + c]) / z[0], r = exp((double)scale * logits[1][i * 5 + c]) / z[1];
      sum += p * log(p / r);
    }
  }
  return sum / IMAGES;
}

Test(mixed, sensitivities_are_those_of_one_layer_alone) {
  espl_dataset d = images();
  espl_graph *g = network();
  espl_preprocess pp;
  espl_quant_config cfg;
  espl_mixed m;
  espl_preprocess_default(&pp);
  espl_quant_default(&cfg);
  OK(espl_mixed_choose(g, &d, &d, &pp, &cfg, 6, 0, 0, NULL, &m, &err));
  cr_assert_eq(m.layers, LAYERS);
  cr_expect_eq(m.weights, 108 + 216 + 144 + 120);
  for (int i = 0; i < LAYERS; i++) {
    char spec[64];
    snprintf(spec, sizeof spec, "int8,%s=int4", m.layer[i].name);
    double want = divergence(g, &d, &pp, spec);
    cr_expect_float_eq(m.layer[i].sensitivity, want, 1e-9 + 1e-6 * want, "%s: %g, expected %g", m.layer[i].name, m.layer[i].sensitivity, want);
    cr_expect_gt(want, 0);
  }
  espl_mixed_clear(&m);
  espl_graph_free(g);
  free(d.pixels);
  free(d.labels);
}

Test(mixed, the_choice_is_the_best_of_all_and_the_spec_says_it) {
  espl_dataset d = images();
  espl_graph *g = network();
  espl_preprocess pp;
  espl_quant_config cfg;
  espl_preprocess_default(&pp);
  espl_quant_default(&cfg);
  for (double bits = 4; bits <= 8; bits += 0.5) {
    espl_mixed m;
    OK(espl_mixed_choose(g, &d, &d, &pp, &cfg, bits, 0, 0, NULL, &m, &err));
    double best = INFINITY, got = 0;
    for (int k = 0; k < 1 << LAYERS; k++) { /* bit i: layer i in int4 */
      double lost = 0;
      int64_t bytes = 0;
      for (int i = 0; i < LAYERS; i++) {
        lost += k >> i & 1 ? m.layer[i].sensitivity : 0;
        bytes += k >> i & 1 ? m.layer[i].weights / 2 : m.layer[i].weights;
      }
      if (8 * (double)bytes <= bits * (double)m.weights) best = fmin(best, lost);
    }
    int64_t bytes = 0;
    for (int i = 0; i < LAYERS; i++) {
      espl_weight_form f;
      OK(espl_weight_form_of(m.spec, m.layer[i].name, &f, &err));
      cr_expect_eq(f.most, m.layer[i].bits == 4 ? 7 : 127, "%s in %s", m.layer[i].name, m.spec);
      got += m.layer[i].bits == 4 ? m.layer[i].sensitivity : 0;
      bytes += m.layer[i].bytes;
    }
    cr_expect_float_eq(got, best, 1e-12 + 1e-9 * best, "%g bits: %g, a choice with %g exists", bits, got, best);
    cr_expect(m.bytes == bytes && bytes <= m.budget_bytes && m.gap == 0);
    OK(espl_weight_spec_check(m.spec, g, &err));
    espl_mixed_clear(&m);
  }
  espl_mixed m;
  cr_expect_eq(espl_mixed_choose(g, &d, &d, &pp, &cfg, 0, 293, 0, NULL, &m, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "all layers in int4 take 294"), "%s", err.msg);
  espl_graph_free(g);
  free(d.pixels);
  free(d.labels);
}

Test(mixed, chosen_forms_go_through_a_file) {
  espl_dataset d = images();
  espl_graph *g = network(), *again = NULL;
  espl_qnet *q[2] = {NULL, NULL};
  espl_preprocess pp;
  espl_quant_config cfg;
  espl_mixed m;
  char path[SCRATCH];
  scratch_file(path, "espl_mixed");
  espl_preprocess_default(&pp);
  espl_quant_default(&cfg);
  OK(espl_mixed_choose(g, &d, &d, &pp, &cfg, 5.5, 0, 0, NULL, &m, &err));
  cfg.weights = m.spec;
  OK(espl_quantize(g, &d, &pp, &cfg, &q[0], &err));
  OK(espl_qdq_write(g, q[0], path, &err));
  OK(espl_qdq_read(path, &again, &q[1], &err));
  cr_assert(q[1] && q[1]->layers == q[0]->layers);
  int narrow = 0, wide = 0;
  for (int32_t i = 0, k = 0; i < q[0]->layers; i++) {
    const espl_qlayer *a = &q[0]->layer[i], *b = &q[1]->layer[i];
    if (!a->w) continue;
    int top = 0;
    for (int32_t j = 0; j < a->out_c * a->in_c * a->kh * a->kw; j++) {
      cr_assert_eq(a->w[j], b->w[j], "layer %s, weight %d", a->name, j);
      top = abs(a->w[j]) > top ? abs(a->w[j]) : top;
    }
    cr_expect(m.layer[k].bits == 4 ? top <= 7 : top > 7, "layer %s has weights up to %d", a->name, top);
    narrow += m.layer[k].bits == 4;
    wide += m.layer[k++].bits == 8;
    for (int32_t o = 0; o < a->out_c; o++) cr_assert(a->par[o].bias == b->par[o].bias && a->par[o].m == b->par[o].m && a->par[o].s == b->par[o].s);
  }
  cr_expect(narrow > 0 && wide > 0, "%d layers in int4, %d in int8", narrow, wide);
  unlink(path);
  espl_qnet_free(q[0]);
  espl_qnet_free(q[1]);
  espl_mixed_clear(&m);
  espl_graph_free(g);
  espl_graph_free(again);
  free(d.pixels);
  free(d.labels);
}
