/* Resizing: the loops. resize.h has the definition. */
#include "nn/resize.h"

#include "nn/lanes.h"

/* What position x of the result reads: (1 - w) * in[low] + w * in[high]. */
typedef struct tap {
  int32_t low, high;
  float w;
} tap;

/* The positions that read an element: first .. last; none where last < first. */
typedef struct reach {
  int32_t first, last;
} reach;

typedef struct axis {
  tap *tap;     /* [to] */
  reach *reach; /* [from] */
} axis;

int64_t nn_resize_room(espl_shape from, espl_shape to) {
  return (int64_t)(sizeof(tap) / 4) * ((int64_t)to.h + to.w) + (int64_t)(sizeof(reach) / 4) * ((int64_t)from.h + from.w);
}

static void axes_of(const nn_resize *s, axis *rows, axis *columns) {
  rows->tap = dnn_mem_ptr(s->taps);
  columns->tap = rows->tap + s->to.h;
  rows->reach = (reach *)(void *)(columns->tap + s->to.w);
  columns->reach = rows->reach + s->from.h;
}

static void prepare_axis(const axis *a, const espl_resize_attr *r, float scale, int32_t from, int32_t to) {
  for (int32_t i = 0; i < from; i++) a->reach[i] = (reach){0, -1};
  for (int32_t x = 0; x < to; x++) {
    const espl_tap t = espl_resize_tap(r->mode, r->coordinates, r->nearest, (double)scale, from, to, x);
    a->tap[x] = (tap){(int32_t)t.low, (int32_t)t.high, (float)t.w};
    for (int32_t i = a->tap[x].low; i <= a->tap[x].high; i++) {
      if (a->reach[i].last < a->reach[i].first) a->reach[i].first = x;
      a->reach[i].last = x;
    }
  }
}

void nn_resize_prepare(const nn_resize *s, const espl_resize_attr *a) {
  axis rows, columns;
  axes_of(s, &rows, &columns);
  prepare_axis(&rows, a, a->scale_h, s->from.h, s->to.h);
  prepare_axis(&columns, a, a->scale_w, s->from.w, s->to.w);
}

static int32_t blocks_of(const nn_resize *s) { return (s->from.c + LANES - 1) / LANES; }
static int64_t plane(const nn_resize *s, espl_shape of, int32_t n, int32_t b) { return ((int64_t)n * blocks_of(s) + b) * of.h * of.w * LANES; }

LANES_INLINE lanes row_at(const void *x, int64_t row, const tap *t, const bool half) {
  const lanes low = lanes_load(x, row + (int64_t)t->low * LANES, half);
  return low + t->w * (lanes_load(x, row + (int64_t)t->high * LANES, half) - low);
}

LANES_INLINE void forward_plane(const nn_resize *s, int32_t n, int32_t b, const bool half, const bool linear) {
  axis rows, columns;
  axes_of(s, &rows, &columns);
  const void *x = dnn_mem_ptr(s->x);
  void *y = dnn_mem_ptr(s->y);
  const int64_t from = plane(s, s->from, n, b), to = plane(s, s->to, n, b);
  for (int32_t h = 0; h < s->to.h; h++) {
    const tap *r = &rows.tap[h];
    const int64_t low = from + (int64_t)r->low * s->from.w * LANES, high = from + (int64_t)r->high * s->from.w * LANES;
    for (int32_t w = 0; w < s->to.w; w++) {
      const tap *c = &columns.tap[w];
      lanes v = linear ? row_at(x, low, c, half) : lanes_load(x, low + (int64_t)c->low * LANES, half);
      if (linear) v += r->w * (row_at(x, high, c, half) - v);
      lanes_store(y, to + ((int64_t)h * s->to.w + w) * LANES, v, half);
    }
  }
}

void nn_run_resize(const nn_resize *s) {
  const int32_t blocks = blocks_of(s);
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t n = 0; n < s->images; n++)
    for (int32_t b = 0; b < blocks; b++)
      if (s->half && s->linear) forward_plane(s, n, b, true, true);
      else if (s->half) forward_plane(s, n, b, true, false);
      else if (s->linear) forward_plane(s, n, b, false, true);
      else forward_plane(s, n, b, false, false);
}

/* The weight with which a position reads element i; nearest reads one element with weight 1. */
static float weight(const tap *t, int32_t i) { return (t->low == i ? 1.0f - t->w : 0.0f) + (t->high == i ? t->w : 0.0f); }

LANES_INLINE void back_plane(const nn_resize *s, int32_t n, int32_t b, const bool half) {
  axis rows, columns;
  axes_of(s, &rows, &columns);
  const void *dy = dnn_mem_ptr(s->y);
  void *dx = dnn_mem_ptr(s->x);
  const int64_t from = plane(s, s->from, n, b), to = plane(s, s->to, n, b);
  for (int32_t i = 0; i < s->from.h; i++)
    for (int32_t j = 0; j < s->from.w; j++) {
      lanes sum = lanes_all(0.0f);
      for (int32_t h = rows.reach[i].first; h <= rows.reach[i].last; h++) {
        lanes part = lanes_all(0.0f);
        for (int32_t w = columns.reach[j].first; w <= columns.reach[j].last; w++)
          part += weight(&columns.tap[w], j) * lanes_load(dy, to + ((int64_t)h * s->to.w + w) * LANES, half);
        sum += weight(&rows.tap[h], i) * part;
      }
      lanes_store(dx, from + ((int64_t)i * s->from.w + j) * LANES, sum, half);
    }
}

void nn_run_resize_back(const nn_resize *s) {
  const int32_t blocks = blocks_of(s);
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t n = 0; n < s->images; n++)
    for (int32_t b = 0; b < blocks; b++)
      if (s->half) back_plane(s, n, b, true);
      else back_plane(s, n, b, false);
}
