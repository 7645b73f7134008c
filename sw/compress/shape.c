/* Zero tiles and cut kernels. */
#include "compress/shape.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

espl_status espl_tiles_of(const espl_graph *g, int32_t node, int32_t rows, int32_t cols, espl_tiles *t, espl_err *err) {
  const espl_node *n = &g->node[node];
  const espl_param *w = n->param[ESPL_PARAM_WEIGHT];
  if (!w || (n->op == ESPL_OP_CONV && n->conv.groups != 1))
    return espl_fail(err, ESPL_E_UNSUPPORTED, "%s: node %s has no dense weights to cut into tiles", g->name, n->name);
  *t = (espl_tiles){.node = node, .rows = rows, .cols = cols, .out_c = w->dim[0], .in_c = w->dim[1], .taps = 1};
  if (n->op == ESPL_OP_CONV) t->taps = w->dim[2] * w->dim[3];
  const espl_node *in = &g->node[n->input[0]];
  if (n->op == ESPL_OP_GEMM && in->op == ESPL_OP_FLATTEN) {
    espl_shape s = g->node[in->input[0]].shape;
    t->in_c = s.c;
    t->taps = s.h * s.w;
  }
  t->out_blocks = (t->out_c + cols - 1) / cols;
  t->in_blocks = (t->in_c + rows - 1) / rows;
  t->tiles = t->out_blocks * t->in_blocks * t->taps;
  return ESPL_OK;
}

static int32_t tile_at(const espl_tiles *t, int32_t o, int32_t i, int32_t tap) { return ((o / t->cols) * t->in_blocks + i / t->rows) * t->taps + tap; }

void espl_tile_importance(const espl_tiles *t, const double *s, double *importance) {
  memset(importance, 0, (size_t)t->tiles * sizeof *importance);
  for (int32_t o = 0; o < t->out_c; o++)
    for (int32_t i = 0; i < t->in_c; i++)
      for (int32_t k = 0; k < t->taps; k++) importance[tile_at(t, o, i, k)] += s[((int64_t)o * t->in_c + i) * t->taps + k];
}

espl_status espl_mask_tiles(espl_graph *g, const espl_tiles *t, const uint8_t *keep, espl_err *err) {
  espl_param *w = g->node[t->node].param[ESPL_PARAM_WEIGHT];
  if (!w->mask) {
    w->mask = espl_calloc((size_t)w->elems, sizeof *w->mask);
    if (!w->mask) return espl_fail(err, ESPL_E_NOMEM, "%s: no memory for a mask", g->name);
    for (int64_t i = 0; i < w->elems; i++) w->mask[i] = 1;
  }
  for (int32_t o = 0; o < t->out_c; o++)
    for (int32_t i = 0; i < t->in_c; i++)
      for (int32_t k = 0; k < t->taps; k++) {
        int64_t at = ((int64_t)o * t->in_c + i) * t->taps + k;
        if (!keep[tile_at(t, o, i, k)]) w->mask[at] = w->value[at] = 0;
      }
  return ESPL_OK;
}

bool espl_kernel_cut_allowed(const espl_node *n, espl_kernel_cut c) {
  const espl_conv_attr *a = &n->conv;
  return n->op == ESPL_OP_CONV && c.top >= 0 && c.bottom >= 0 && c.left >= 0 && c.right >= 0 && a->kh - c.top - c.bottom >= 1 &&
         a->kw - c.left - c.right >= 1 && a->pt >= c.top * a->dh && a->pb >= c.bottom * a->dh && a->pl >= c.left * a->dw && a->pr >= c.right * a->dw;
}

static bool survives(const espl_conv_attr *a, espl_kernel_cut c, int32_t y, int32_t x) {
  return y >= c.top && y < a->kh - c.bottom && x >= c.left && x < a->kw - c.right;
}

double espl_kernel_cut_loss(const espl_graph *g, int32_t node, espl_kernel_cut c, const double *s) {
  const espl_node *n = &g->node[node];
  int64_t taps = (int64_t)n->conv.kh * n->conv.kw, elems = n->param[ESPL_PARAM_WEIGHT]->elems;
  double loss = 0;
  for (int64_t i = 0; i < elems; i++) {
    int32_t tap = (int32_t)(i % taps);
    if (!survives(&n->conv, c, tap / n->conv.kw, tap % n->conv.kw)) loss += s[i];
  }
  return loss;
}

static espl_status cut_copy(float **array, const espl_conv_attr *a, espl_kernel_cut c, int64_t filters, espl_err *err) {
  if (!*array) return ESPL_OK;
  int32_t kh = a->kh - c.top - c.bottom, kw = a->kw - c.left - c.right;
  float *to = espl_calloc((size_t)(filters * kh * kw), sizeof *to);
  if (!to) return espl_fail(err, ESPL_E_NOMEM, "cutting a kernel: out of memory");
  float *p = to;
  for (int64_t f = 0; f < filters; f++)
    for (int32_t y = 0; y < a->kh; y++)
      for (int32_t x = 0; x < a->kw; x++)
        if (survives(a, c, y, x)) *p++ = (*array)[(f * a->kh + y) * a->kw + x];
  free(*array);
  *array = to;
  return ESPL_OK;
}

espl_status espl_cut_kernel(espl_graph *g, int32_t node, espl_kernel_cut c, espl_err *err) {
  espl_node *n = &g->node[node];
  if (!espl_kernel_cut_allowed(n, c))
    return espl_fail(err, ESPL_E_INPUT, "%s: node %s: cannot take %d+%d rows and %d+%d columns off a %dx%d kernel with padding %d,%d,%d,%d", g->name,
                     n->name, (int)c.top, (int)c.bottom, (int)c.left, (int)c.right, (int)n->conv.kh, (int)n->conv.kw, (int)n->conv.pt,
                     (int)n->conv.pl, (int)n->conv.pb, (int)n->conv.pr);
  espl_param *w = n->param[ESPL_PARAM_WEIGHT];
  int64_t filters = (int64_t)w->dim[0] * w->dim[1];
  float **arrays[] = {&w->value, &w->grad, &w->mask, &w->momentum, &w->second, &w->average};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) ESPL_TRY(cut_copy(arrays[i], &n->conv, c, filters, err));
  espl_conv_attr *a = &n->conv;
  a->kh -= c.top + c.bottom;
  a->kw -= c.left + c.right;
  a->pt -= c.top * a->dh;
  a->pb -= c.bottom * a->dh;
  a->pl -= c.left * a->dw;
  a->pr -= c.right * a->dw;
  w->dim[2] = a->kh;
  w->dim[3] = a->kw;
  w->elems = filters * a->kh * a->kw;
  return espl_graph_infer(g, err);
}

void espl_mask_kernel(espl_graph *g, int32_t node, espl_kernel_cut c) {
  espl_node *n = &g->node[node];
  espl_param *w = n->param[ESPL_PARAM_WEIGHT];
  int64_t taps = (int64_t)n->conv.kh * n->conv.kw;
  for (int64_t i = 0; i < w->elems; i++) {
    int32_t tap = (int32_t)(i % taps);
    if (!survives(&n->conv, c, tap / n->conv.kw, tap % n->conv.kw)) w->value[i] = 0;
  }
}

static espl_status run_images(espl_graph *g, const float *in, int32_t images, float *out, espl_err *err) {
  espl_exec *x = NULL;
  espl_status st = espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, images, &x, err);
  if (st == ESPL_OK) st = espl_exec_forward(x, in, out, err);
  espl_exec_free(x);
  return st;
}

espl_status espl_compare_outputs(espl_graph *a, espl_graph *b, const espl_dataset *d, const espl_preprocess *pp, int32_t images, double *max_diff,
                                 double *max_abs, espl_err *err) {
  int32_t n = images < d->n ? images : d->n;
  int64_t in = espl_shape_elems(d->shape), out = espl_shape_elems(a->node[a->output].shape);
  float *x = espl_calloc((size_t)(n * in), sizeof *x), *ya = espl_calloc((size_t)(n * out), sizeof *ya), *yb = espl_calloc((size_t)(n * out), sizeof *yb);
  espl_status st = x && ya && yb ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "comparing outputs: out of memory");
  for (int32_t i = 0; st == ESPL_OK && i < n; i++) espl_data_image(d, i, pp, 0, 0, x + i * in);
  if (st == ESPL_OK) st = run_images(a, x, n, ya, err);
  if (st == ESPL_OK) st = run_images(b, x, n, yb, err);
  *max_diff = *max_abs = 0;
  for (int64_t i = 0; st == ESPL_OK && i < n * out; i++) {
    *max_diff = fmax(*max_diff, fabs((double)ya[i] - (double)yb[i]));
    *max_abs = fmax(*max_abs, fabs((double)ya[i]));
  }
  free(x);
  free(ya);
  free(yb);
  return st;
}
