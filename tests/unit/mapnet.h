/* Test support: random networks of two integer layers or of a depthwise one, and weights that narrow formats hold. */
#ifndef ESPL_TESTS_MAPNET_H
#define ESPL_TESTS_MAPNET_H
#include "qref.h"

/* Two layers over random tensors: a first that makes the operand, a second under test (residual: adds the first's output). */
static inline espl_qnet *mapnet_random(espl_rng *r, int32_t most_c, int32_t most_px, int32_t block) {
  espl_qnet *q = calloc(1, sizeof *q);
  q->name = strdup("random");
  q->tensor = calloc(3, sizeof *q->tensor);
  q->layer = calloc(2, sizeof *q->layer);
  q->tensors = 3;
  q->layers = 2;
  q->output = 2;
  bool residual = qref_in(r, 0, 3) == 0, pool = !residual && qref_in(r, 0, 2) == 0, fc = !residual && !pool && qref_in(r, 0, 5) == 0;
  espl_shape in = {qref_in(r, 1, most_c), qref_in(r, 1, most_px), qref_in(r, 1, most_px)};
  if (fc) in.h = in.h < 6 ? in.h : 6, in.w = in.w < 6 ? in.w : 6;
  q->tensor[0] = (espl_qtensor){.shape = in, .scale = 1, .zero = qref_in(r, -128, 127)};
  espl_qlayer *a = &q->layer[0], *b = &q->layer[1];
  espl_qlayer base = {.res = -1, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .groups = 1, .win_h = 1, .win_w = 1, .psy = 1, .psx = 1};
  *a = base;
  a->out = 1;
  a->in_c = in.c;
  a->out_c = qref_in(r, 0, 2) ? qref_in(r, 1, most_c) : in.c;
  a->onehot = a->out_c == in.c && qref_in(r, 0, 1);
  a->conv_h = in.h;
  a->conv_w = in.w;
  espl_shape mid = q->tensor[1].shape = (espl_shape){a->out_c, in.h, in.w};
  q->tensor[1].scale = q->tensor[2].scale = 1;
  qref_fill(q, 0, r, 0, block);
  *b = base;
  b->in = 1;
  b->out = 2;
  b->in_c = mid.c;
  b->out_c = residual ? mid.c : qref_in(r, 1, most_c);
  b->res = residual ? 1 : -1;
  if (fc) {
    b->kh = mid.h;
    b->kw = mid.w;
  } else if (residual) {
    b->kh = 2 * qref_in(r, 0, 2) + 1;
    b->kw = 2 * qref_in(r, 0, 2) + 1;
    b->pt = b->pb = b->kh / 2;
    b->pl = b->pr = b->kw / 2;
  } else {
    b->kh = qref_in(r, 1, qref_in(r, 1, 11));
    b->kw = qref_in(r, 1, qref_in(r, 1, 11));
    b->dh = b->kh > 5 ? 1 : qref_in(r, 1, 2);
    b->dw = b->kw > 5 ? 1 : qref_in(r, 1, 2);
    b->sh = qref_in(r, 1, 3);
    b->sw = qref_in(r, 1, 3);
    b->pt = qref_in(r, 0, b->kh - 1);
    b->pl = qref_in(r, 0, b->kw - 1);
    while (mid.h + b->pt + b->pb < (b->kh - 1) * b->dh + 1) b->pb++;
    while (mid.w + b->pl + b->pr < (b->kw - 1) * b->dw + 1) b->pr++;
  }
  b->conv_h = (mid.h + b->pt + b->pb - (b->kh - 1) * b->dh - 1) / b->sh + 1;
  b->conv_w = (mid.w + b->pl + b->pr - (b->kw - 1) * b->dw - 1) / b->sw + 1;
  espl_shape out = {b->out_c, b->conv_h, b->conv_w};
  if (pool) {
    b->pool = qref_in(r, 0, 1) ? ESPL_QPOOL_MAX : ESPL_QPOOL_AVG;
    b->win_h = qref_in(r, 1, b->conv_h < 4 ? b->conv_h : 4);
    b->win_w = qref_in(r, 1, b->conv_w < 4 ? b->conv_w : 4);
    b->psy = qref_in(r, 1, 3);
    b->psx = qref_in(r, 1, 3);
    b->ppt = qref_in(r, 0, b->win_h - 1);
    b->ppl = qref_in(r, 0, b->win_w - 1);
    b->pool_fixed = qref_in(r, 0, 1);
    out.h = (b->conv_h + b->ppt - b->win_h) / b->psy + 1;
    out.w = (b->conv_w + b->ppl - b->win_w) / b->psx + 1;
  }
  q->tensor[2].shape = out;
  qref_fill(q, 1, r, qref_in(r, 0, 1) ? qref_in(r, 2, 16) : 0, block);
  return q;
}

/* Weights of four bits, or of few distinct values, layer by layer; zeros stay zeros. */
static inline void mapnet_narrow(espl_qnet *q, espl_rng *r) {
  for (int32_t i = 0; i < q->layers; i++) {
    espl_qlayer *l = &q->layer[i];
    int64_t n = (int64_t)l->in_c * l->out_c * l->kh * l->kw;
    int32_t values = qref_in(r, 0, 1) ? qref_in(r, 1, 15) : 0, value[15];
    for (int32_t k = 0; k < 15; k++) value[k] = qref_in(r, 0, 1) ? qref_in(r, -127, -1) : qref_in(r, 1, 127);
    for (int64_t j = 0; l->w && j < n; j++) {
      int32_t v = l->w[j];
      l->w[j] = (int8_t)(v == 0 ? 0 : values ? value[(v + 127) % values] : v / 16);
    }
    for (int32_t o = 0; l->w && !values && o < l->out_c; o++) l->par[o].s = (uint8_t)(l->par[o].s - 4);
  }
}

typedef struct mapnet_shape {
  int32_t c, h, w, kh, kw, sh, sw, dh, dw, pt, pl;
} mapnet_shape;

/* One layer from tensor 0 to the out_c channels of tensor 1; pooled: with a 2x2 maximum behind it. */
static inline espl_qnet *mapnet_one(const mapnet_shape *s, int32_t out_c, bool pooled, espl_rng *r) {
  espl_qnet *q = calloc(1, sizeof *q);
  q->name = strdup("one");
  q->tensor = calloc(2, sizeof *q->tensor);
  q->layer = calloc(1, sizeof *q->layer);
  q->tensors = 2;
  q->layers = 1;
  q->output = 1;
  q->tensor[0] = (espl_qtensor){.shape = {s->c, s->h, s->w}, .scale = 1, .zero = qref_in(r, -128, 127)};
  espl_qlayer *l = &q->layer[0];
  *l = (espl_qlayer){.out = 1, .res = -1, .in_c = s->c, .out_c = out_c, .groups = 1, .kh = s->kh, .kw = s->kw, .sh = s->sh, .sw = s->sw, .dh = s->dh,
                     .dw = s->dw, .pt = s->pt, .pl = s->pl, .pb = s->pt, .pr = s->pl, .win_h = 1, .win_w = 1, .psy = 1, .psx = 1};
  while (s->h + l->pt + l->pb < (s->kh - 1) * s->dh + 1) l->pb++;
  while (s->w + l->pl + l->pr < (s->kw - 1) * s->dw + 1) l->pr++;
  l->conv_h = (s->h + l->pt + l->pb - (s->kh - 1) * s->dh - 1) / s->sh + 1;
  l->conv_w = (s->w + l->pl + l->pr - (s->kw - 1) * s->dw - 1) / s->sw + 1;
  q->tensor[1] = (espl_qtensor){.shape = {out_c, l->conv_h, l->conv_w}, .scale = 1};
  if (pooled && l->conv_h > 1 && l->conv_w > 1) {
    l->pool = ESPL_QPOOL_MAX;
    l->win_h = l->win_w = l->psy = l->psx = 2;
    q->tensor[1].shape = (espl_shape){out_c, l->conv_h / 2, l->conv_w / 2};
  }
  qref_fill(q, 0, r, 0, 1);
  return q;
}

/* A depthwise one. */
static inline espl_qnet *mapnet_depthwise(const mapnet_shape *s, bool pooled, espl_rng *r) {
  espl_qnet *q = mapnet_one(s, s->c, pooled, r);
  espl_qlayer *l = &q->layer[0];
  l->groups = s->c;
  int64_t taps = (int64_t)s->kh * s->kw;
  for (int32_t o = 0; o < s->c; o++) {
    int64_t sum = 0;
    for (int32_t i = 0; i < s->c; i++)
      for (int64_t k = 0; k < taps; k++) {
        int8_t *w = &l->w[((int64_t)o * s->c + i) * taps + k];
        if (i != o) *w = 0;
        sum += *w;
      }
    l->par[o].bias = (int32_t)(-q->tensor[0].zero * sum);
  }
  l->macs = l->macs_dense = (int64_t)s->c * taps * l->conv_h * l->conv_w;
  return q;
}

static inline mapnet_shape mapnet_depthwise_shape(espl_rng *r, int32_t most_c, int32_t most_px) {
  mapnet_shape s = {.c = qref_in(r, 2, most_c), .h = qref_in(r, 1, most_px), .w = qref_in(r, 1, most_px), .kh = qref_in(r, 1, qref_in(r, 2, 8)), .kw = qref_in(r, 1, qref_in(r, 2, 8)),
             .sh = qref_in(r, 1, 4), .sw = qref_in(r, 1, 4), .dh = 1, .dw = 1};
  if (qref_in(r, 0, 2)) s.kh = s.kw = 2 * qref_in(r, 1, 2) + 1;
  if (qref_in(r, 0, 1)) s.sh = s.sw = qref_in(r, 1, 2);
  if (qref_in(r, 0, 3) == 0) s.dh = qref_in(r, 1, 3), s.dw = qref_in(r, 1, 3);
  s.pt = qref_in(r, 0, s.kh - 1);
  s.pl = qref_in(r, 0, s.kw - 1);
  return s;
}
#endif
