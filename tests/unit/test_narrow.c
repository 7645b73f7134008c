/* Forms of weights narrower than int8: specs, the least error of codebooks against a search over all tables, whole networks. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "graph/zoo.h"
#include "quant/narrow.h"

static void expect_form(const char *spec, const char *node, int32_t most, int32_t book) {
  espl_weight_form f;
  espl_err err = {0};
  cr_assert_eq(espl_weight_form_of(spec, node, &f, &err), ESPL_OK, "%s", err.msg);
  cr_expect(f.most == most && f.book_bits == book, "%s for %s: %d, %d", spec ? spec : "NULL", node, f.most, f.book_bits);
}

Test(narrow, specs) {
  expect_form(NULL, "conv1", 127, 0);
  expect_form("int4", "conv1", 7, 0);
  expect_form("codebook:3", "conv1", 127, 3);
  expect_form("int4,conv1=int8,fc=codebook:7", "conv1", 127, 0);
  expect_form("int4,conv1=int8,fc=codebook:7", "fc", 127, 7);
  expect_form("conv1=int4", "conv11", 127, 0);
  const char *bad[] = {"int3", "codebook", "codebook:1", "codebook:8", "codebook:44", "int4,,", "x=", "int44"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    espl_weight_form f;
    espl_err err = {0};
    cr_expect_eq(espl_weight_form_of(bad[i], "conv1", &f, &err), ESPL_E_INPUT, "%s is taken", bad[i]);
  }
}

static double square(double x) { return x * x; }

/* Three values and 0, of all there are in -12..12. */
static double least_error(const int8_t *w, int n, const float *scale, int per) {
  double best = 1e30;
  for (int a = -12; a <= 12; a++)
    for (int b = a; b <= 12; b++)
      for (int c = b; c <= 12; c++) {
        double sum = 0;
        for (int i = 0; i < n; i++) {
          double e = square(w[i]);
          const int t[3] = {a, b, c};
          for (int k = 0; k < 3; k++) e = e < square(w[i] - t[k]) ? e : square(w[i] - t[k]);
          sum += e * square((double)scale[i / per]);
        }
        best = sum < best ? sum : best;
      }
  return best;
}

Test(narrow, codebook_has_the_least_error) {
  enum { N = 12, CHANNELS = 2 };
  for (uint64_t seed = 0; seed < 40; seed++) {
    espl_rng r = {.seed = seed};
    const float scale[CHANNELS] = {1.0f, 0.5f + (float)espl_rng_next_below(&r, 4)};
    int8_t w[N], was[N];
    for (int i = 0; i < N; i++) was[i] = w[i] = (int8_t)((int)espl_rng_next_below(&r, 25) - 12);
    espl_err err = {0};
    double got = 0;
    bool seen[256] = {false};
    int distinct = 0;
    cr_assert_eq(q_codebook(w, CHANNELS, N / CHANNELS, scale, 2, &err), ESPL_OK, "%s", err.msg);
    for (int i = 0; i < N; i++) {
      got += square((w[i] - was[i]) * (double)scale[i / (N / CHANNELS)]);
      distinct += w[i] != 0 && !seen[(uint8_t)w[i]];
      seen[(uint8_t)w[i]] = true;
      if (was[i] == 0) cr_expect_eq(w[i], 0, "a removed weight comes back");
    }
    cr_expect_leq(distinct, 3);
    double best = least_error(was, N, scale, N / CHANNELS);
    cr_expect_leq(got, best + 1e-9, "seed %llu: error %g, a table with %g exists", (unsigned long long)seed, got, best);
  }
}

Test(narrow, few_values_stay_as_they_are) {
  int8_t w[6] = {-100, 0, 3, 3, 127, -100}, was[6];
  const float one = 1;
  espl_err err = {0};
  memcpy(was, w, sizeof w);
  cr_assert_eq(q_codebook(w, 1, 6, &one, 2, &err), ESPL_OK);
  cr_expect_arr_eq(w, was, sizeof w);
}

Test(narrow, scale_of_least_error) {
  const double w[5] = {0.9, -1.1, 1.0, 1.05, 4.2}; /* one outlier: with four steps a scale of 1.05 loses little everywhere */
  double s = q_least_error_scale(w, 5, 4.2, 7), worst = 0, least = 0;
  for (int i = 0; i < 5; i++) {
    double a = 4.2 / 7, qa = (double)(int)(w[i] / a + (w[i] < 0 ? -0.5 : 0.5)), qs = (double)(int)(w[i] / s + (w[i] < 0 ? -0.5 : 0.5));
    qs = qs > 7 ? 7 : qs < -7 ? -7 : qs;
    worst += square(w[i] - a * qa);
    least += square(w[i] - s * qs);
  }
  cr_expect_leq(least, worst);
  const double exact[3] = {0.3, -0.7, 0.1};
  cr_expect_float_eq(q_least_error_scale(exact, 3, 0.7, 7), 0.1, 1e-12, "already on the grid");
}

static void network(const char *spec, int32_t most, int32_t distinct, const char *other) {
  espl_err err = {0};
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  espl_quant_config cfg;
  cr_assert_eq(espl_zoo_resnet8((espl_shape){3, 32, 32}, 10, 1, &g, &err), ESPL_OK, "%s", err.msg);
  espl_quant_default(&cfg);
  cfg.weights = spec;
  cr_assert_eq(espl_quantize(g, NULL, NULL, &cfg, &q, &err), ESPL_OK, "%s", err.msg);
  for (int32_t i = 0; i < q->layers; i++) {
    const espl_qlayer *l = &q->layer[i];
    bool seen[256] = {false};
    int32_t n = 0, top = 0;
    for (int64_t j = 0; l->w && j < (int64_t)l->out_c * l->in_c * l->kh * l->kw; j++) {
      n += l->w[j] != 0 && !seen[(uint8_t)l->w[j]];
      seen[(uint8_t)l->w[j]] = true;
      top = abs(l->w[j]) > top ? abs(l->w[j]) : top;
    }
    if (other && strcmp(g->node[l->node].name, other) == 0) cr_expect_gt(top, 100, "layer %s keeps int8", l->name);
    else cr_expect(top <= most && n <= distinct, "%s: layer %s has weights up to %d, %d values", spec, l->name, top, n);
  }
  espl_qnet_free(q);
  espl_graph_free(g);
}

Test(narrow, whole_networks) {
  network("int4", 7, 14, NULL);
  network("codebook:3", 127, 7, NULL);
  network("int4,stem.conv=int8", 7, 14, "stem.conv");
  espl_graph *g = NULL;
  espl_err err = {0};
  cr_assert_eq(espl_zoo_resnet8((espl_shape){3, 32, 32}, 10, 1, &g, &err), ESPL_OK);
  cr_expect_eq(espl_weight_spec_check("int4,nowhere=int8", g, &err), ESPL_E_INPUT);
  cr_expect_not_null(strstr(err.msg, "nowhere"), "%s", err.msg);
  espl_graph_free(g);
}
