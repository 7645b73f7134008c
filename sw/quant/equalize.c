/* Scales between consecutive layers; BatchNorm is never folded for good, only its gain enters the magnitudes. */
#include "quant/equalize.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

enum { MOST_ROUNDS = 100 };
#define SETTLED 1e-3 /* of a scale */

typedef struct pair {
  int32_t first, bn, second, second_bn; /* nodes; bn, second_bn -1: none */
  int32_t channels, spread;             /* spread: inputs of the second layer a channel (a flattened image has several) */
} pair;

static bool has_weights(const espl_node *n) { return n->op == ESPL_OP_CONV || n->op == ESPL_OP_GEMM; }

static int32_t only_reader(const espl_graph *g, int32_t id) {
  if (g->output == id || espl_graph_readers(g, id) != 1) return -1;
  for (int32_t k = id + 1; k < g->nodes; k++)
    for (int i = 0; i < g->node[k].inputs; i++)
      if (g->node[k].input[i] == id) return k;
  return -1;
}

/* f(s*x) = s*f(x) for every s > 0, channel by channel. */
static bool homogeneous(const espl_node *n) {
  switch (n->op) {
    case ESPL_OP_RELU: case ESPL_OP_LEAKYRELU: case ESPL_OP_PRELU: case ESPL_OP_MAXPOOL: case ESPL_OP_AVGPOOL: case ESPL_OP_GLOBALAVGPOOL:
    case ESPL_OP_FLATTEN: case ESPL_OP_IDENTITY: case ESPL_OP_SUBSAMPLE: return true;
    case ESPL_OP_CLIP: return (n->lo == 0.0f || isinf(n->lo)) && isinf(n->hi);
    default: return false;
  }
}

/* BatchNorm that alone reads layer `id`; -1: none. */
static int32_t batchnorm_of(const espl_graph *g, int32_t id) {
  int32_t r = only_reader(g, id);
  return r >= 0 && g->node[r].op == ESPL_OP_BATCHNORM ? r : -1;
}

/* The pair that layer `id` is the first of. */
static bool find_pair(const espl_graph *g, int32_t id, pair *p) {
  *p = (pair){.first = id, .bn = batchnorm_of(g, id), .channels = g->node[id].shape.c};
  int32_t at = p->bn >= 0 ? p->bn : id;
  do at = only_reader(g, at);
  while (at >= 0 && homogeneous(&g->node[at]));
  if (at < 0 || !has_weights(&g->node[at])) return false;
  p->second = at;
  p->second_bn = batchnorm_of(g, at);
  p->spread = g->node[g->node[at].input[0]].shape.c / p->channels;
  return true;
}

/* Gain of BatchNorm for channel c: what it multiplies the layer's weights by. */
static double gain(const espl_graph *g, int32_t bn, int32_t c) {
  if (bn < 0) return 1;
  const espl_node *n = &g->node[bn];
  return fabs((double)n->param[ESPL_PARAM_GAMMA]->value[c]) / sqrt((double)n->param[ESPL_PARAM_VAR]->value[c] + (double)n->eps);
}

/* Largest weight of every output channel of the first layer. */
static void output_ranges(const espl_graph *g, const pair *p, double *r) {
  const espl_param *w = g->node[p->first].param[ESPL_PARAM_WEIGHT];
  int64_t row = w->elems / p->channels;
  for (int32_t c = 0; c < p->channels; c++) {
    r[c] = 0;
    for (int64_t k = 0; k < row; k++) r[c] = fmax(r[c], fabs((double)w->value[c * row + k]));
    r[c] *= gain(g, p->bn, c);
  }
}

/* Channel that weight (o, i) of the second layer reads: weights are [O, I/groups, taps]. */
static int32_t channel_read(const espl_graph *g, const pair *p, int32_t o, int32_t i) {
  const espl_node *n = &g->node[p->second];
  const espl_param *w = n->param[ESPL_PARAM_WEIGHT];
  int32_t groups = n->op == ESPL_OP_CONV ? n->conv.groups : 1;
  return (o / (w->dim[0] / groups) * w->dim[1] + i) / p->spread;
}

/* Largest weight of every input channel of the second layer. */
static void input_ranges(const espl_graph *g, const pair *p, double *r) {
  const espl_param *w = g->node[p->second].param[ESPL_PARAM_WEIGHT];
  int64_t taps = w->elems / w->dim[0] / w->dim[1];
  for (int32_t c = 0; c < p->channels; c++) r[c] = 0;
  for (int32_t o = 0; o < w->dim[0]; o++)
    for (int32_t i = 0; i < w->dim[1]; i++) {
      double *to = &r[channel_read(g, p, o, i)], up = gain(g, p->second_bn, o);
      for (int64_t t = 0; t < taps; t++) *to = fmax(*to, up * fabs((double)w->value[(o * (int64_t)w->dim[1] + i) * taps + t]));
    }
}

static void times(float *v, double s) { *v = (float)((double)*v * s); }

static void scale_first(espl_graph *g, const pair *p, const double *s) {
  espl_param *w = g->node[p->first].param[ESPL_PARAM_WEIGHT], *b = g->node[p->first].param[ESPL_PARAM_BIAS];
  int64_t row = w->elems / p->channels;
  for (int32_t c = 0; c < p->channels; c++) {
    if (p->bn >= 0) {
      times(&g->node[p->bn].param[ESPL_PARAM_GAMMA]->value[c], 1 / s[c]);
      times(&g->node[p->bn].param[ESPL_PARAM_BETA]->value[c], 1 / s[c]);
      continue;
    }
    for (int64_t k = 0; k < row; k++) times(&w->value[c * row + k], 1 / s[c]);
    if (b) times(&b->value[c], 1 / s[c]);
  }
}

static void scale_second(espl_graph *g, const pair *p, const double *s) {
  espl_param *w = g->node[p->second].param[ESPL_PARAM_WEIGHT];
  int64_t taps = w->elems / w->dim[0] / w->dim[1];
  for (int32_t o = 0; o < w->dim[0]; o++)
    for (int32_t i = 0; i < w->dim[1]; i++)
      for (int64_t t = 0; t < taps; t++) times(&w->value[(o * (int64_t)w->dim[1] + i) * taps + t], s[channel_read(g, p, o, i)]);
}

/* Largest over geometric mean of the values above 0 of both. */
static double unevenness(const double *r1, const double *r2, int32_t n) {
  double sum[2] = {0, 0}, top[2] = {0, 0};
  int32_t count[2] = {0, 0};
  for (int32_t c = 0; c < 2 * n; c++) {
    double v = c < n ? r1[c] : r2[c - n];
    int k = c >= n;
    if (!(v > 0)) continue;
    sum[k] += log(v);
    top[k] = fmax(top[k], v);
    count[k]++;
  }
  double worst = 1;
  for (int k = 0; k < 2; k++)
    if (count[k]) worst = fmax(worst, top[k] / exp(sum[k] / count[k]));
  return worst;
}

/* Scales one pair; returns the largest |s - 1|. */
static double scale_pair(espl_graph *g, const pair *p, double *room) {
  double *r1 = room, *r2 = room + p->channels, *s = room + 2 * p->channels, most = 0;
  output_ranges(g, p, r1);
  input_ranges(g, p, r2);
  for (int32_t c = 0; c < p->channels; c++) {
    s[c] = r1[c] > 0 && r2[c] > 0 ? sqrt(r1[c] / r2[c]) : 1;
    most = fmax(most, fabs(s[c] - 1));
  }
  scale_first(g, p, s);
  scale_second(g, p, s);
  return most;
}

static double mean_unevenness(const espl_graph *g, const pair *p, int32_t n, double *room) {
  double sum = 0;
  for (int32_t k = 0; k < n; k++) {
    output_ranges(g, &p[k], room);
    input_ranges(g, &p[k], room + p[k].channels);
    sum += unevenness(room, room + p[k].channels, p[k].channels);
  }
  return n ? sum / n : 1;
}

static espl_status check_finite(const espl_graph *g, espl_err *err) {
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      const espl_param *p = g->node[i].param[k];
      for (int64_t j = 0; p && j < p->elems; j++)
        if (!isfinite(p->value[j])) return espl_fail(err, ESPL_E_FAILED, "node %s: parameter %s is not finite", g->node[i].name, p->name);
    }
  return ESPL_OK;
}

static void go_over(espl_graph *g, const pair *p, double *room, espl_equalized *e) {
  e->before = mean_unevenness(g, p, e->pairs, room);
  for (double moved = 1; e->pairs && moved > SETTLED && e->rounds < MOST_ROUNDS; e->rounds++) {
    moved = 0;
    for (int32_t k = 0; k < e->pairs; k++) moved = fmax(moved, scale_pair(g, &p[k], room));
  }
  e->after = mean_unevenness(g, p, e->pairs, room);
}

espl_status espl_equalize(espl_graph *g, espl_equalized *out, espl_err *err) {
  espl_equalized e = {0};
  int32_t widest = 1;
  ESPL_TRY(check_finite(g, err));
  for (int32_t i = 0; i < g->nodes; i++) widest = g->node[i].shape.c > widest ? g->node[i].shape.c : widest;
  pair *p = espl_calloc((size_t)g->nodes, sizeof *p);
  double *room = espl_calloc(3 * (size_t)widest, sizeof *room);
  espl_status s = p && room ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "equalize: out of memory");
  for (int32_t i = 1; s == ESPL_OK && i < g->nodes; i++)
    if (has_weights(&g->node[i]) && find_pair(g, i, &p[e.pairs])) e.pairs++;
  if (s == ESPL_OK) go_over(g, p, room, &e);
  free(p);
  free(room);
  if (out && s == ESPL_OK) *out = e;
  return s;
}

int32_t espl_open_clamps(espl_graph *g) {
  int32_t n = 0;
  for (int32_t i = 1; i < g->nodes; i++) {
    espl_node *c = &g->node[i];
    if (c->op != ESPL_OP_CLIP || c->lo != 0 || !isfinite(c->hi)) continue;
    c->op = ESPL_OP_RELU;
    c->hi = 0;
    n++;
  }
  return n;
}
