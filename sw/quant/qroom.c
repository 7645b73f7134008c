/* Where the tensors of one image lie while an integer network runs: borders, lifetimes, places. */
#include "quant/qroom.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { LINE = 64 };

static int32_t up(int32_t v, int32_t n) { return (v + n - 1) / n * n; }
static int32_t most(int32_t a, int32_t b) { return a > b ? a : b; }

/* The network's input keeps 4 bytes a pixel where only dense layers read it. */
static bool narrow_input(const espl_qnet *q) {
  if (q->tensor[0].shape.c > 4) return false;
  for (int32_t i = 0; i < q->layers; i++) {
    const espl_qlayer *l = &q->layer[i];
    if (l->res == 0 || (l->in == 0 && (l->onehot || l->groups > 1))) return false;
  }
  return true;
}

/* Borders as wide as the widest reader of a tensor wants them, and lifetimes; those of a slice count for its whole. */
static void borders(const espl_qnet *q, qplace *place) {
  int32_t first;
  for (int32_t i = 0; i < q->tensors; i++) place[i].first = q->layers;
  for (int32_t i = 0; i < q->layers; i++) {
    const espl_qlayer *l = &q->layer[i];
    qplace *p = &place[espl_qnet_root(q, l->in, &first)], *out = &place[espl_qnet_root(q, l->out, &first)];
    espl_shape s = q->tensor[l->in].shape;
    p->top = most(p->top, l->pt);
    p->left = most(p->left, l->pl);
    p->bottom = most(p->bottom, (l->conv_h - 1) * l->sh + (l->kh - 1) * l->dh + 1 - l->pt - s.h);
    p->right = most(p->right, (l->conv_w - 1) * l->sw + (l->kw - 1) * l->dw + 1 - l->pl - s.w);
    p->last = i;
    if (l->res >= 0) place[espl_qnet_root(q, l->res, &first)].last = i;
    if (out->first > i) out->first = i;
    out->last = i;
  }
  place[0].first = -1;
  place[espl_qnet_root(q, q->output, &first)].last = q->layers;
}

/* The lowest place at which nothing lies that lives at the same time; n tensors have their places. */
static int64_t lowest(const qplace *place, int32_t n, const qplace *p) {
  int64_t at = 0;
  for (bool moved = true; moved;) {
    moved = false;
    for (int32_t k = 0; k < n; k++) {
      const qplace *o = &place[k];
      bool together = o->first <= p->last && p->first <= o->last;
      if (together && at < o->at + o->bytes && o->at < at + p->bytes) {
        at = o->at + o->bytes;
        moved = true;
      }
    }
  }
  return at;
}

espl_status q_places(const espl_qnet *q, bool apart, qplace **out, int64_t *bytes, espl_err *err) {
  qplace *place = espl_calloc((size_t)q->tensors, sizeof *place);
  *bytes = 0;
  *out = place;
  if (!place) return espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
  borders(q, place);
  bool narrow = narrow_input(q);
  for (int32_t i = 0; i < q->tensors; i++) {
    espl_shape s = q->tensor[i].shape;
    qplace *p = &place[i];
    if (q->tensor[i].whole > 0) continue;
    p->cp = i == 0 && narrow ? 4 : up(s.c, 16);
    p->row = (int64_t)(p->left + s.w + p->right) * p->cp;
    p->origin = p->top * p->row + (int64_t)p->left * p->cp;
    p->bytes = (p->row * (p->top + s.h + p->bottom) + LINE - 1) / LINE * LINE;
    p->at = apart ? *bytes : lowest(place, i, p);
    if (p->at + p->bytes > *bytes) *bytes = p->at + p->bytes;
  }
  for (int32_t i = 0, first; i < q->tensors; i++) {
    if (q->tensor[i].whole == 0) continue;
    place[i] = place[espl_qnet_root(q, i, &first)];
    place[i].origin += first;
  }
  return ESPL_OK;
}

void q_fill_border(const espl_qtensor *t, const qplace *p, uint8_t *image) {
  uint8_t *base = image + p->at;
  int pad = (uint8_t)t->zero ^ 0x80;
  size_t left = (size_t)p->left * (size_t)p->cp, right = (size_t)p->right * (size_t)p->cp;
  memset(base, pad, (size_t)(p->top * p->row));
  base += p->top * p->row;
  for (int32_t y = 0; left + right > 0 && y < t->shape.h; y++) {
    memset(base + y * p->row, pad, left);
    memset(base + (y + 1) * p->row - (int64_t)right, pad, right);
  }
  memset(base + t->shape.h * p->row, pad, (size_t)(p->bottom * p->row));
}
