/* A plain double-precision interpreter of the network graph, and the checks of execution plans against it: forward in both modes and types, gradients against
 * central differences of the interpreter, bfloat16's gradients against float32's. */
#ifndef TESTS_UNIT_NN_CHECK_H
#define TESTS_UNIT_NN_CHECK_H
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/exec.h"
#include "nn_graphs.h"
#include "plain.h"

#define BATCH 3

/* ---- the interpreter ---- */

/* One param element moved by `delta`: how differences are taken without rounding to float. */
static struct {
  const espl_param *p;
  int64_t i;
  double delta;
} moved;

static PLAIN double pv(const espl_param *p, int64_t i) { return p->value[i] + (p == moved.p && i == moved.i ? moved.delta : 0.0); }
static PLAIN int64_t at(espl_shape s, int64_t n, int64_t c, int64_t h, int64_t w) { return ((n * s.c + c) * s.h + h) * s.w + w; }

static PLAIN double conv_point(const espl_node *n, espl_shape si, const double *x, int b, int o, int oh, int ow) {
  const espl_conv_attr *a = &n->conv;
  const espl_param *w = n->param[ESPL_PARAM_WEIGHT];
  int ipg = w->dim[1], opg = w->dim[0] / a->groups;
  double sum = n->param[ESPL_PARAM_BIAS] ? pv(n->param[ESPL_PARAM_BIAS], o) : 0.0;
  for (int i = 0; i < ipg; i++)
    for (int y = 0; y < a->kh; y++)
      for (int z = 0; z < a->kw; z++) {
        int h = oh * a->sh - a->pt + y * a->dh, v = ow * a->sw - a->pl + z * a->dw;
        if (h < 0 || v < 0 || h >= si.h || v >= si.w) continue;
        sum += x[at(si, b, (o / opg) * ipg + i, h, v)] * pv(w, ((int64_t)(o * ipg + i) * a->kh + y) * a->kw + z);
      }
  return sum;
}

static PLAIN double pool_point(const espl_node *n, espl_shape si, const double *x, int b, int c, int oh, int ow) {
  espl_conv_attr a = n->conv;
  if (n->op == ESPL_OP_GLOBALAVGPOOL) a = (espl_conv_attr){.kh = si.h, .kw = si.w, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
  double sum = 0.0, best = -INFINITY;
  int inside = 0;
  for (int y = 0; y < a.kh; y++)
    for (int z = 0; z < a.kw; z++) {
      int h = oh * a.sh - a.pt + y * a.dh, v = ow * a.sw - a.pl + z * a.dw;
      if (h < 0 || v < 0 || h >= si.h || v >= si.w) continue;
      double e = x[at(si, b, c, h, v)];
      sum += e;
      inside++;
      if (e > best) best = e;
    }
  if (n->op == ESPL_OP_MAXPOOL) return best;
  return sum / (a.count_include_pad ? a.kh * a.kw : inside);
}

/* Every tap of every input that falls on the place. */
static PLAIN double transposed_point(const espl_node *n, espl_shape si, const double *x, int b, int o, int oh, int ow) {
  const espl_conv_attr *a = &n->conv;
  const espl_param *w = n->param[ESPL_PARAM_WEIGHT];
  int opg = w->dim[1], ipg = w->dim[0] / a->groups, group = o / opg;
  double sum = n->param[ESPL_PARAM_BIAS] ? pv(n->param[ESPL_PARAM_BIAS], o) : 0.0;
  for (int i = group * ipg; i < (group + 1) * ipg; i++)
    for (int h = 0; h < si.h; h++)
      for (int v = 0; v < si.w; v++)
        for (int y = 0; y < a->kh; y++)
          for (int z = 0; z < a->kw; z++)
            if (h * a->sh + y * a->dh - a->pt == oh && v * a->sw + z * a->dw - a->pl == ow)
              sum += x[at(si, b, i, h, v)] * pv(w, ((int64_t)(i * opg + o % opg) * a->kh + y) * a->kw + z);
  return sum;
}

/* How much position `to` of `extent_to` reads of element i, by the formulas of ONNX's Resize. */
static PLAIN double resize_weight(const espl_resize_attr *r, double scale, int i, int extent, int to, int extent_to) {
  double p = (to + 0.5) / scale - 0.5;
  if (r->coordinates == ESPL_WORD_ASYMMETRIC) p = to / scale;
  if (r->coordinates == ESPL_WORD_ALIGN_CORNERS) p = extent_to == 1 ? 0.0 : to * (extent - 1.0) / (extent * scale - 1.0);
  if (r->coordinates == ESPL_WORD_PYTORCH_HALF_PIXEL && extent_to == 1) p = 0.0;
  if (r->mode == ESPL_WORD_LINEAR) {
    p = fmin(fmax(p, 0.0), extent - 1.0);
    return fmax(1.0 - fabs(p - i), 0.0);
  }
  double whole = r->nearest == ESPL_WORD_FLOOR ? floor(p) : r->nearest == ESPL_WORD_CEIL ? ceil(p) : r->nearest == ESPL_WORD_ROUND_PREFER_CEIL ? floor(p + 0.5) : ceil(p - 0.5);
  return fmin(fmax(whole, 0.0), extent - 1.0) == i;
}

static PLAIN double resize_point(const espl_node *n, espl_shape si, const double *x, int b, int c, int oh, int ow) {
  double sum = 0.0;
  for (int h = 0; h < si.h; h++)
    for (int w = 0; w < si.w; w++)
      sum += x[at(si, b, c, h, w)] * resize_weight(&n->resize, (double)n->resize.scale_h, h, si.h, oh, n->shape.h) *
             resize_weight(&n->resize, (double)n->resize.scale_w, w, si.w, ow, n->shape.w);
  return sum;
}

static PLAIN double pair_point(const espl_graph *g, const espl_node *n, double **val, int b, int c, int h, int w) {
  double v[2];
  for (int k = 0; k < 2; k++) {
    espl_shape s = g->node[n->input[k]].shape;
    v[k] = val[n->input[k]][at(s, b, s.c == 1 ? 0 : c, s.h == 1 ? 0 : h, s.w == 1 ? 0 : w)];
  }
  return n->op == ESPL_OP_SUB ? v[0] - v[1] : n->op == ESPL_OP_MUL ? v[0] * v[1] : n->op == ESPL_OP_DIV ? v[0] / v[1] : v[0] + v[1];
}

static PLAIN void batchnorm(const espl_node *n, int batch, const double *x, double *y, bool train) {
  espl_shape s = n->shape;
  int64_t hw = (int64_t)s.h * s.w;
  for (int c = 0; c < s.c; c++) {
    double m = pv(n->param[ESPL_PARAM_MEAN], c), v = pv(n->param[ESPL_PARAM_VAR], c), k = (double)batch * (double)hw;
    if (train) {
      m = v = 0.0;
      for (int b = 0; b < batch; b++)
        for (int64_t i = 0; i < hw; i++) m += x[at(s, b, c, 0, i)] / k;
      for (int b = 0; b < batch; b++)
        for (int64_t i = 0; i < hw; i++) v += (x[at(s, b, c, 0, i)] - m) * (x[at(s, b, c, 0, i)] - m) / k;
    }
    for (int b = 0; b < batch; b++)
      for (int64_t i = 0; i < hw; i++)
        y[at(s, b, c, 0, i)] = (x[at(s, b, c, 0, i)] - m) / sqrt(v + n->eps) * pv(n->param[ESPL_PARAM_GAMMA], c) + pv(n->param[ESPL_PARAM_BETA], c);
  }
}

/* INSTANCENORM, GROUPNORM, GRAPHNORM: statistics of a group of channels of one image. */
static PLAIN void image_norm(const espl_node *n, int batch, const double *x, double *y) {
  espl_shape s = n->shape;
  int hw = s.h * s.w, per = n->op == ESPL_OP_GROUPNORM ? s.c / n->conv.groups : 1;
  for (int b = 0; b < batch; b++)
    for (int c = 0; c < s.c; c++) {
      int first = c / per * per;
      double m = 0.0, v = 0.0, k = (double)per * hw;
      for (int i = 0; i < per * hw; i++) m += x[at(s, b, first, 0, i)] / k;
      if (n->op == ESPL_OP_GRAPHNORM) m *= pv(n->param[ESPL_PARAM_BIAS], c);
      for (int i = 0; i < per * hw; i++) v += pow(x[at(s, b, first, 0, i)] - m, 2) / k;
      for (int i = 0; i < hw; i++)
        y[at(s, b, c, 0, i)] = (x[at(s, b, c, 0, i)] - m) / sqrt(v + n->eps) * pv(n->param[ESPL_PARAM_GAMMA], c) + pv(n->param[ESPL_PARAM_BETA], c);
    }
}

static PLAIN double point(const espl_graph *g, const espl_node *n, double **val, int b, int c, int h, int w) {
  const double *x = val[n->input[0]];
  espl_shape si = g->node[n->input[0]].shape;
  switch (n->op) {
  case ESPL_OP_CONV: return conv_point(n, si, x, b, c, h, w);
  case ESPL_OP_RELU: return fmax(x[at(si, b, c, h, w)], 0.0);
  case ESPL_OP_CLIP: return fmin(fmax(x[at(si, b, c, h, w)], n->lo), n->hi);
  case ESPL_OP_LEAKYRELU: return x[at(si, b, c, h, w)] * (x[at(si, b, c, h, w)] < 0.0 ? n->alpha : 1.0);
  case ESPL_OP_SIGMOID: return 1.0 / (1.0 + exp(-x[at(si, b, c, h, w)]));
  case ESPL_OP_TANH: return tanh(x[at(si, b, c, h, w)]);
  case ESPL_OP_HARDSWISH: return x[at(si, b, c, h, w)] * fmin(fmax(x[at(si, b, c, h, w)] / 6.0 + 0.5, 0.0), 1.0);
  case ESPL_OP_PRELU: {
    const espl_param *slope = n->param[ESPL_PARAM_GAMMA];
    double v = x[at(si, b, c, h, w)];
    return v < 0.0 ? pv(slope, slope->elems == 1 ? 0 : c) * v : v;
  }
  case ESPL_OP_HARDSIGMOID: return fmin(fmax(n->alpha * x[at(si, b, c, h, w)] + n->beta, 0.0), 1.0);
  case ESPL_OP_CONVTRANSPOSE: return transposed_point(n, si, x, b, c, h, w);
  case ESPL_OP_RESIZE: return resize_point(n, si, x, b, c, h, w);
  case ESPL_OP_SPREADADD:
  case ESPL_OP_SUB:
  case ESPL_OP_MUL:
  case ESPL_OP_DIV: return pair_point(g, n, val, b, c, h, w);
  case ESPL_OP_ADD: return x[at(si, b, c, h, w)] + val[n->input[1]][at(si, b, c, h, w)];
  case ESPL_OP_MAXPOOL:
  case ESPL_OP_AVGPOOL:
  case ESPL_OP_GLOBALAVGPOOL: return pool_point(n, si, x, b, c, h, w);
  case ESPL_OP_FLATTEN: return x[(int64_t)b * n->shape.c + c];
  case ESPL_OP_GEMM: {
    double sum = n->param[ESPL_PARAM_BIAS] ? pv(n->param[ESPL_PARAM_BIAS], c) : 0.0;
    for (int i = 0; i < si.c; i++) sum += x[(int64_t)b * si.c + i] * pv(n->param[ESPL_PARAM_WEIGHT], (int64_t)c * si.c + i);
    return sum;
  }
  case ESPL_OP_SUBSAMPLE: return x[at(si, b, c, h * n->conv.sh, w * n->conv.sw)];
  case ESPL_OP_PADCHANNELS: return c < n->pad_c0 || c >= n->pad_c0 + si.c ? 0.0 : x[at(si, b, c - n->pad_c0, h, w)];
  case ESPL_OP_CONCAT:
    for (int k = 0; k < n->inputs; k++) {
      espl_shape s = g->node[n->input[k]].shape;
      if (c < s.c) return val[n->input[k]][at(s, b, c, h, w)];
      c -= s.c;
    }
    return NAN;
  case ESPL_OP_SOFTMAX: {
    double sum = 0.0;
    for (int i = 0; i < si.c; i++) sum += exp(x[at(si, b, i, h, w)]);
    return exp(x[at(si, b, c, h, w)]) / sum;
  }
  default: return x[at(si, b, c, h, w)];
  }
}

/* val[i]: caller's [batch, shape of node i]; val[0] is the input. */
static PLAIN void interpret(const espl_graph *g, int batch, double **val, bool train) {
  for (int i = 1; i < g->nodes; i++) {
    const espl_node *n = &g->node[i];
    espl_shape s = n->shape;
    if (n->op == ESPL_OP_BATCHNORM) {
      batchnorm(n, batch, val[n->input[0]], val[i], train);
      continue;
    }
    if (n->op == ESPL_OP_INSTANCENORM || n->op == ESPL_OP_GROUPNORM || n->op == ESPL_OP_GRAPHNORM) {
      image_norm(n, batch, val[n->input[0]], val[i]);
      continue;
    }
    for (int b = 0; b < batch; b++)
      for (int c = 0; c < s.c; c++)
        for (int h = 0; h < s.h; h++)
          for (int w = 0; w < s.w; w++) val[i][at(s, b, c, h, w)] = point(g, n, val, b, c, h, w);
  }
}

/* ---- comparison ---- */

static int64_t elems(const espl_graph *g, int id) { return BATCH * espl_shape_elems(g->node[id].shape); }

static double **values(const espl_graph *g, float **input) {
  double **v = calloc((size_t)g->nodes, sizeof *v);
  for (int i = 0; i < g->nodes; i++) v[i] = calloc((size_t)elems(g, i), sizeof **v);
  *input = calloc((size_t)elems(g, 0), sizeof **input);
  for (int64_t i = 0; i < elems(g, 0); i++) v[0][i] = (*input)[i] = espl_rng_normal(3, 0, (uint64_t)i);
  return v;
}

static void free_values(const espl_graph *g, double **v, float *input) {
  for (int i = 0; i < g->nodes; i++) free(v[i]);
  free(v);
  free(input);
}

/* Root mean square error against root mean square: bfloat16 keeps 8 bits, single elements may be off by more. */
static void expect_similar(const float *got, const double *want, int64_t n, double tol, const char *what) {
  double d = 0.0, all = 0.0;
  for (int64_t i = 0; i < n; i++) {
    d += pow(got[i] - want[i], 2);
    all += want[i] * want[i];
  }
  cr_expect(d <= tol * tol * all, "%s: error %g of the signal", what, sqrt(d / all));
}

static void expect_close(const float *got, const double *want, int64_t n, double tol, const char *what) {
  double top = 0.0, worst = 0.0;
  int64_t where = 0;
  for (int64_t i = 0; i < n; i++) {
    top = fmax(top, fabs(want[i]));
    double d = fabs(got[i] - want[i]);
    if (!(d <= worst)) {
      worst = d;
      where = i;
    }
  }
  cr_expect(worst <= tol * top + 2e-5, "%s: element %lld is %g, expected %g (largest %g)", what, (long long)where, (double)got[where], want[where], top);
}

static void check_mode(espl_graph *g, espl_mode mode, espl_dtype type, bool keep, double tol) {
  float *input, *out = calloc((size_t)elems(g, g->output), sizeof *out);
  double **v = values(g, &input);
  interpret(g, BATCH, v, mode == ESPL_MODE_TRAIN);
  espl_exec *x;
  espl_graph *c = espl_graph_clone(g); /* TRAIN moves running statistics */
  OK(espl_exec_new(c, mode, type, BATCH, &x, &err));
  for (int i = 0; keep && i < g->nodes; i++) OK(espl_exec_keep(x, i, &err));
  for (int again = 0; again < 2; again++) { /* the second run meets buffers that are no longer zero */
    OK(espl_exec_forward(x, input, out, &err));
    (type == ESPL_F32 ? expect_close : expect_similar)(out, v[g->output], elems(g, g->output), tol, "output");
  }
  for (int i = 0; keep && i < g->nodes; i++) {
    float *f = calloc((size_t)elems(g, i), sizeof *f);
    OK(espl_exec_value(x, i, f, &err));
    expect_close(f, v[i], elems(g, i), tol, g->node[i].name);
    free(f);
  }
  espl_exec_free(x);
  espl_graph_free(c);
  free_values(g, v, input);
  free(out);
}

static double weighted(const espl_graph *g, double **v, const float *dout) {
  interpret(g, BATCH, v, true);
  double sum = 0.0;
  for (int64_t i = 0; i < elems(g, g->output); i++) sum += v[g->output][i] * dout[i];
  return sum;
}

/* At most SAMPLES elements of a param, spread evenly. */
#define SAMPLES 16
static void check_gradient(const espl_graph *g, double **v, const float *dout, const espl_param *p) {
  double want[SAMPLES];
  float got[SAMPLES];
  int64_t n = p->elems < SAMPLES ? p->elems : SAMPLES;
  for (int64_t k = 0; k < n; k++) {
    moved.p = p;
    moved.i = k * p->elems / n;
    moved.delta = 1e-6;
    double up = weighted(g, v, dout);
    moved.delta = -1e-6;
    want[k] = (up - weighted(g, v, dout)) / 2e-6;
    got[k] = p->grad[moved.i];
  }
  moved.p = NULL;
  expect_close(got, want, n, 2e-3, p->name);
}

static void check_backward(espl_graph *g) {
  float *input, *out = calloc((size_t)elems(g, g->output), sizeof *out), *dout = calloc((size_t)elems(g, g->output), sizeof *dout);
  double **v = values(g, &input);
  for (int64_t i = 0; i < elems(g, g->output); i++) dout[i] = espl_rng_normal(5, 0, (uint64_t)i);
  espl_exec *x;
  OK(espl_exec_new(g, ESPL_MODE_TRAIN, ESPL_F32, BATCH, &x, &err));
  for (int again = 0; again < 2; again++) {
    OK(espl_exec_forward(x, input, out, &err));
    OK(espl_exec_backward(x, dout, &err));
  }
  for (int i = 0; i < g->nodes; i++)
    for (int k = 0; k <= ESPL_PARAM_BETA; k++)
      if (g->node[i].param[k]) check_gradient(g, v, dout, g->node[i].param[k]);
  espl_exec_free(x);
  free_values(g, v, input);
  free(out);
  free(dout);
}

/* Gradients of every param, one behind the other, in a fresh plan of the given type. */
static double *gradients(espl_graph *g, espl_dtype type, int64_t *n) {
  float *input, *out = calloc((size_t)elems(g, g->output), sizeof *out);
  double **v = values(g, &input), *all = NULL;
  espl_exec *x;
  OK(espl_exec_new(g, ESPL_MODE_TRAIN, type, BATCH, &x, &err));
  OK(espl_exec_forward(x, input, out, &err));
  for (int64_t i = 0; i < elems(g, g->output); i++) out[i] = (float)((i * 37) % 64 - 32) / 64.0f; /* exact in bfloat16 */
  OK(espl_exec_backward(x, out, &err));
  *n = 0;
  for (int i = 0; i < g->nodes; i++)
    for (int k = 0; k <= ESPL_PARAM_BETA; k++) {
      const espl_param *p = g->node[i].param[k];
      if (!p) continue;
      all = realloc(all, (size_t)(*n + p->elems) * sizeof *all);
      for (int64_t e = 0; e < p->elems; e++) all[(*n)++] = p->grad[e];
    }
  espl_exec_free(x);
  free_values(g, v, input);
  free(out);
  return all;
}

/* bfloat16's gradients against float32's: 2^-9 a rounding, a few roundings a layer; where an operator has a kink, single elements of these
 * few fall on its other side. */
static void check_bfloat16_backward(espl_graph *g) {
  int64_t n;
  double tol = 0.04;
  for (int i = 0; i < g->nodes; i++)
    switch (g->node[i].op) {
    case ESPL_OP_RELU: case ESPL_OP_CLIP: case ESPL_OP_MAXPOOL: case ESPL_OP_PRELU: case ESPL_OP_HARDSIGMOID: tol = 0.5; break;
    default: break;
    }
  double *exact = gradients(g, ESPL_F32, &n), *rough = gradients(g, ESPL_BF16, &n), diff = 0.0, size = 0.0;
  for (int64_t i = 0; i < n; i++) diff += pow(rough[i] - exact[i], 2), size += exact[i] * exact[i];
  cr_expect(diff <= tol * tol * size, "bfloat16 gradients: error %g of the signal", sqrt(diff / size));
  free(exact);
  free(rough);
}

static void check_all(espl_graph *g) {
  OK(espl_graph_check(g, &err));
  check_mode(g, ESPL_MODE_INFER, ESPL_F32, false, 2e-5);
  check_mode(g, ESPL_MODE_INFER, ESPL_F32, true, 2e-5);
  check_mode(g, ESPL_MODE_TRAIN, ESPL_F32, false, 2e-5);
  check_mode(g, ESPL_MODE_TRAIN, ESPL_F32, true, 2e-5);
  if (espl_has_bf16()) check_mode(g, ESPL_MODE_INFER, ESPL_BF16, false, 4e-2);
  check_backward(g);
  if (espl_has_bf16()) check_bfloat16_backward(g);
  espl_graph_free(g);
}

#endif
