/* Arithmetic of two values: the loops. spread.h has the definition. */
#include "nn/spread.h"

#include "nn/lanes.h"

/* How an operand is walked by the indices of y, in elements; a spread extent does not move. */
typedef struct walk {
  int64_t n, b, h, w;
  bool all; /* its one channel stands for those of a whole block */
} walk;

static int32_t blocks_of(espl_shape s) { return (s.c + LANES - 1) / LANES; }

static walk walk_of(espl_shape s, espl_shape y) {
  const int64_t plane = (int64_t)s.h * s.w * LANES;
  return (walk){.n = plane * blocks_of(s), .b = s.c == 1 ? 0 : plane, .h = s.h == 1 ? 0 : (int64_t)s.w * LANES, .w = s.w == 1 ? 0 : LANES, .all = s.c == 1 && y.c > 1};
}

static int64_t place(const walk *k, int32_t n, int32_t b, int32_t h, int32_t w) { return n * k->n + b * k->b + h * k->h + w * k->w; }

LANES_INLINE lanes take(const void *p, const walk *k, int64_t at, const bool half) {
  const lanes v = lanes_load(p, at, half);
  return k->all ? lanes_all(v[0]) : v;
}

/* All ones in the lanes of block b that are channels. */
static lanes_int channels_of(espl_shape s, int32_t b) {
  const int32_t left = s.c - b * LANES;
  lanes_int keep;
  for (int i = 0; i < LANES; i++) keep[i] = i < left ? -1 : 0;
  return keep;
}

/* ---- forward ---- */

LANES_INLINE lanes result(dnn_binary_kind kind, lanes a, lanes b) {
  switch (kind) {
  case DNN_SUB: return a - b;
  case DNN_MUL: return a * b;
  case DNN_DIV: return a / b;
  default: return a + b;
  }
}

LANES_INLINE void forward_plane(const nn_spread *s, int32_t n, int32_t b, const bool half) {
  const walk ka = walk_of(s->side[0], s->shape), kb = walk_of(s->side[1], s->shape), ky = walk_of(s->shape, s->shape);
  const void *a = dnn_mem_ptr(s->in[0]), *c = dnn_mem_ptr(s->in[1]);
  void *y = dnn_mem_ptr(s->y);
  const lanes_int keep = channels_of(s->shape, b);
  for (int32_t h = 0; h < s->shape.h; h++)
    for (int32_t w = 0; w < s->shape.w; w++) {
      const lanes v = result(s->kind, take(a, &ka, place(&ka, n, b, h, w), half), take(c, &kb, place(&kb, n, b, h, w), half));
      lanes_store(y, place(&ky, n, b, h, w), lanes_where(keep, v), half);
    }
}

void nn_run_spread(const nn_spread *s) {
  const int32_t blocks = blocks_of(s->shape);
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t n = 0; n < s->images; n++)
    for (int32_t b = 0; b < blocks; b++)
      if (s->half) forward_plane(s, n, b, true);
      else forward_plane(s, n, b, false);
}

/* ---- backward ---- */

typedef struct back {
  walk in[2], y;
  const void *a, *b, *dy;
} back;

/* What one element of y gives to the gradient of the operand. */
LANES_INLINE lanes share(const nn_spread *s, const back *k, int32_t n, int32_t b, int32_t h, int32_t w, const bool half) {
  const lanes dy = lanes_load(k->dy, place(&k->y, n, b, h, w), half);
  if (s->kind == DNN_ADD) return dy;
  if (s->kind == DNN_SUB) return s->of ? -dy : dy;
  if (s->kind == DNN_MUL) {
    const walk *other = &k->in[1 - s->of];
    return dy * take(s->of ? k->a : k->b, other, place(other, n, b, h, w), half);
  }
  const lanes by = take(k->b, &k->in[1], place(&k->in[1], n, b, h, w), half);
  return s->of ? -dy * take(k->a, &k->in[0], place(&k->in[0], n, b, h, w), half) / (by * by) : dy / by;
}

typedef struct range {
  int32_t first, last; /* first .. last - 1 */
} range;

/* The indices of y that index i of an operand of this extent stands for. */
static range behind(int32_t i, int32_t extent, int32_t whole) { return extent == whole ? (range){i, i + 1} : (range){0, whole}; }

LANES_INLINE lanes gathered(const nn_spread *s, const back *k, int32_t n, range b, range h, range w, const bool half) {
  lanes sum = lanes_all(0.0f);
  for (int32_t i = b.first; i < b.last; i++) {
    const lanes_int keep = channels_of(s->shape, i);
    lanes part = lanes_all(0.0f);
    for (int32_t y = h.first; y < h.last; y++)
      for (int32_t z = w.first; z < w.last; z++) part += share(s, k, n, i, y, z, half);
    sum += lanes_where(keep, part);
  }
  return sum;
}

/* The sum of all lanes in the first, zero in the others. */
static lanes in_first(lanes v) {
  lanes r = lanes_all(0.0f);
  for (int i = 0; i < LANES; i++) r[0] += v[i];
  return r;
}

LANES_INLINE void back_plane(const nn_spread *s, int32_t n, int32_t b, const bool half) {
  const espl_shape d = s->side[s->of], y = s->shape;
  const back k = {{walk_of(s->side[0], y), walk_of(s->side[1], y)}, walk_of(y, y), s->in[0] ? dnn_mem_ptr(s->in[0]) : NULL, s->in[1] ? dnn_mem_ptr(s->in[1]) : NULL,
                  dnn_mem_ptr(s->y)};
  const walk kd = walk_of(d, d);
  const bool spread = d.c == 1 && y.c > 1;
  const range blocks = spread ? (range){0, blocks_of(y)} : (range){b, b + 1};
  for (int32_t h = 0; h < d.h; h++)
    for (int32_t w = 0; w < d.w; w++) {
      const lanes sum = gathered(s, &k, n, blocks, behind(h, d.h, y.h), behind(w, d.w, y.w), half);
      lanes_store(dnn_mem_ptr(s->d), place(&kd, n, b, h, w), spread ? in_first(sum) : sum, half);
    }
}

void nn_run_spread_back(const nn_spread *s) {
  const int32_t blocks = blocks_of(s->side[s->of]);
#pragma omp parallel for collapse(2) schedule(static)
  for (int32_t n = 0; n < s->images; n++)
    for (int32_t b = 0; b < blocks; b++)
      if (s->half) back_plane(s, n, b, true);
      else back_plane(s, n, b, false);
}
