#include "randnet.h"

#include <math.h>
#include <stddef.h>

/* A graph being drawn: the first error stays, later calls do nothing. */
typedef struct draw {
  const espl_machine *m;
  espl_rng *r;
  espl_graph *g;
  int64_t most; /* cycles of a layer, about */
  espl_status st;
  espl_err *err;
} draw;

enum { CLASSES = 7, BLOCK = 16 };

static int32_t in(draw *d, int32_t lo, int32_t hi) { return hi <= lo ? lo : lo + (int32_t)espl_rng_next_below(d->r, (uint32_t)(hi - lo + 1)); }
static bool one_in(draw *d, int32_t n) { return in(d, 1, n) == 1; }
static int32_t least(int32_t a, int32_t b) { return a < b ? a : b; }
static int32_t blocks(int32_t n, int32_t of) { return (n + of - 1) / of; }
static espl_shape shape(const draw *d, int32_t v) { return d->g->node[v].shape; }

/* ---- operators ---- */

static int32_t put(draw *d, espl_node n) {
  int32_t id = 0;
  if (d->st == ESPL_OK) d->st = espl_graph_add(d->g, &n, &id, d->err);
  return id;
}

static int32_t op(draw *d, espl_op o, int32_t v) { return put(d, (espl_node){.op = o, .inputs = 1, .input = {v}}); }

static void param(draw *d, int32_t id, espl_param_kind kind, int dims, const int32_t *dim, float centre, float spread) {
  if (d->st == ESPL_OK) d->st = espl_graph_add_param(d->g, id, kind, NULL, dims, dim, d->err);
  if (d->st != ESPL_OK) return;
  espl_param *p = d->g->node[id].param[kind];
  for (int64_t i = 0; i < p->elems; i++) p->value[i] = centre + spread * espl_rng_normal(d->r->seed, d->r->stream, d->r->counter++);
}

static int32_t conv_of(draw *d, int32_t v, int32_t out_c, espl_conv_attr a) {
  int32_t dim[4] = {out_c, shape(d, v).c / a.groups, a.kh, a.kw};
  int32_t id = put(d, (espl_node){.op = ESPL_OP_CONV, .inputs = 1, .input = {v}, .shape = {out_c, 0, 0}, .conv = a});
  param(d, id, ESPL_PARAM_WEIGHT, 4, dim, 0, sqrtf(2.0f / (float)(dim[1] * a.kh * a.kw)));
  if (one_in(d, 2)) param(d, id, ESPL_PARAM_BIAS, 1, dim, 0, 0.2f);
  return id;
}

static int32_t full(draw *d, int32_t v, int32_t out_c) {
  int32_t dim[2] = {out_c, shape(d, v).c};
  int32_t id = put(d, (espl_node){.op = ESPL_OP_GEMM, .inputs = 1, .input = {v}, .shape = {out_c, 1, 1}});
  param(d, id, ESPL_PARAM_WEIGHT, 2, dim, 0, sqrtf(2.0f / (float)dim[1]));
  param(d, id, ESPL_PARAM_BIAS, 1, dim, 0, 0.2f);
  return id;
}

/* What may stand behind a convolution and is a part of its layer. */
static int32_t behind(draw *d, int32_t v) {
  if (one_in(d, 4)) {
    int32_t c = shape(d, v).c, id = put(d, (espl_node){.op = ESPL_OP_BATCHNORM, .inputs = 1, .input = {v}, .eps = 1e-3f, .bn_momentum = 0.1f});
    param(d, id, ESPL_PARAM_GAMMA, 1, &c, 1, 0.3f);
    param(d, id, ESPL_PARAM_BETA, 1, &c, 0, 0.2f);
    param(d, id, ESPL_PARAM_MEAN, 1, &c, 0, 0.2f);
    param(d, id, ESPL_PARAM_VAR, 1, &c, 1, 0.1f);
    v = id;
  }
  switch (in(d, 0, 3)) {
    case 0: return v;
    case 1: return put(d, (espl_node){.op = ESPL_OP_CLIP, .inputs = 1, .input = {v}, .lo = -0.5f, .hi = 1.5f});
    default: return op(d, ESPL_OP_RELU, v);
  }
}

/* A maximum or an average over windows, where the machine has one of the two. */
static int32_t pool(draw *d, int32_t v, bool same) {
  bool average = !d->m->maxpool || (d->m->avgpool && one_in(d, 2));
  espl_shape s = shape(d, v);
  if ((average && !d->m->avgpool) || s.h < 3 || s.w < 3) return v;
  espl_conv_attr a = {.kh = in(d, 2, 3), .kw = in(d, 2, 3), .sh = in(d, 1, 3), .sw = in(d, 1, 3), .dh = 1, .dw = 1, .groups = 1, .count_include_pad = one_in(d, 2)};
  if (same) a.kh = a.kw = 3, a.sh = a.sw = a.pt = a.pl = a.pb = a.pr = 1;
  else a.pt = in(d, 0, a.kh - 1), a.pl = in(d, 0, a.kw - 1);
  return put(d, (espl_node){.op = average ? ESPL_OP_AVGPOOL : ESPL_OP_MAXPOOL, .inputs = 1, .input = {v}, .conv = a});
}

/* ---- sizes ---- */

static int32_t extent(int32_t n, int32_t pads, int32_t k, int32_t dil, int32_t stride) { return (n + pads - (k - 1) * dil - 1) / stride + 1; }

static int64_t cost(const draw *d, espl_shape s, int32_t out_c, const espl_conv_attr *a) {
  int64_t px = (int64_t)extent(s.h, a->pt + a->pb, a->kh, a->dh, a->sh) * extent(s.w, a->pl + a->pr, a->kw, a->dw, a->sw);
  int64_t tiles = a->groups == 1 ? (int64_t)blocks(s.c, d->m->rows) * blocks(out_c, d->m->cols) : 2 * blocks(out_c, least(d->m->rows, d->m->cols));
  return tiles * a->kh * a->kw * (px > d->m->rows ? px : d->m->rows);
}

static int32_t kernel_most(const draw *d) { return least(11, d->m->kernel); }
static int32_t channels_most(const draw *d) { return least(3 * d->m->cols + 5, least(60, 1 << d->m->par_aw)); }

/* One axis of a convolution: kernel, dilation, stride, padding of both sides up to the kernel's reach. */
static void axis(draw *d, int32_t n, int32_t *k, int32_t *dil, int32_t *stride, int32_t *p0, int32_t *p1) {
  *k = in(d, 1, one_in(d, 3) ? kernel_most(d) : 4);
  *dil = *k < 6 && one_in(d, 3) ? in(d, 2, 4) : 1;
  *stride = one_in(d, 2) ? 1 : in(d, 1, 4);
  int32_t reach = (*k - 1) * *dil;
  *p0 = one_in(d, 3) ? in(d, 0, reach) : reach / 2;
  *p1 = one_in(d, 3) ? in(d, 0, reach) : reach - reach / 2;
  while (n + *p0 + *p1 <= reach) *(*p0 < *p1 ? p0 : p1) += 1;
}

/* A convolution of any form that the cycles have room for. */
static int32_t any_conv(draw *d, int32_t v) {
  espl_conv_attr a = {.groups = 1};
  espl_shape s = shape(d, v);
  axis(d, s.h, &a.kh, &a.dh, &a.sh, &a.pt, &a.pb);
  axis(d, s.w, &a.kw, &a.dw, &a.sw, &a.pl, &a.pr);
  int32_t out_c = in(d, 1, channels_most(d));
  while (out_c > 1 && cost(d, s, out_c, &a) > d->most) out_c /= 2;
  return conv_of(d, v, out_c, a);
}

static espl_conv_attr same(int32_t k) { return (espl_conv_attr){.kh = k, .kw = k, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .pt = k / 2, .pl = k / 2, .pb = k / 2, .pr = k / 2, .groups = 1}; }

static int32_t pointwise(draw *d, int32_t v, int32_t out_c) { return behind(d, conv_of(d, v, out_c, same(1))); }

/* ---- kinds ---- */

/* Strided convolutions until a fully connected layer's kernel covers what is left. */
static int32_t shrink(draw *d, int32_t v, int32_t most) {
  while (d->st == ESPL_OK && (shape(d, v).h > most || shape(d, v).w > most)) {
    espl_conv_attr a = {.kh = least(2, shape(d, v).h), .kw = least(2, shape(d, v).w), .sh = 4, .sw = 4, .dh = 1, .dw = 1, .groups = 1};
    v = behind(d, conv_of(d, v, in(d, 4, 12), a));
  }
  return v;
}

static void classify(draw *d, int32_t v) {
  espl_shape s = shape(d, v);
  bool mean = d->m->avgpool && s.h * s.w <= 256 && s.h * s.w <= 1 << d->m->acc_aw && one_in(d, 2);
  v = mean ? op(d, ESPL_OP_GLOBALAVGPOOL, v) : shrink(d, v, least(5, d->m->kernel));
  full(d, op(d, ESPL_OP_FLATTEN, v), CLASSES);
}

static void chain(draw *d, int32_t v) {
  for (int32_t i = 0, n = in(d, 2, 4); i < n && d->st == ESPL_OK; i++) {
    v = behind(d, any_conv(d, v));
    if (one_in(d, 3)) v = pool(d, v, false);
    if (d->m->residual && one_in(d, 2)) {
      int32_t side = conv_of(d, v, shape(d, v).c, same(one_in(d, 2) ? 1 : 3));
      v = put(d, (espl_node){.op = ESPL_OP_ADD, .inputs = 2, .input = {v, side}});
      if (one_in(d, 2)) v = op(d, ESPL_OP_RELU, v);
    }
  }
  classify(d, v);
}

static void groups(draw *d, int32_t v) {
  for (int32_t i = 0, n = in(d, 2, 3); i < n && d->st == ESPL_OK; i++) {
    int32_t each = in(d, 1, 9), count = in(d, 2, channels_most(d) / each), deep = one_in(d, 2);
    v = pointwise(d, v, deep ? count : each * count);
    espl_shape s = shape(d, v);
    espl_conv_attr a = {.groups = count};
    do {
      axis(d, s.h, &a.kh, &a.dh, &a.sh, &a.pt, &a.pb);
      axis(d, s.w, &a.kw, &a.dw, &a.sw, &a.pl, &a.pr);
    } while (cost(d, s, s.c, &a) > d->most);
    v = behind(d, conv_of(d, v, deep ? count * in(d, 1, 2) : count * in(d, 1, channels_most(d) / count), a));
  }
  classify(d, v);
}

static int32_t join2(draw *d, int32_t a, int32_t b) { return put(d, (espl_node){.op = ESPL_OP_CONCAT, .inputs = 2, .input = {a, b}}); }

/* Two joins, one inside the other or behind a pooling: operands begin at multiples of 16 or (odd) elsewhere. Elsewhere the mapper copies them, which
 * takes a residual operand: a machine without one gets multiples of 16 alone. */
static void join(draw *d, int32_t v) {
  int32_t room = channels_most(d), wide = room >= 40 ? 2 * BLOCK : BLOCK;
  bool copies = d->m->residual, odd = copies && one_in(d, 2);
  v = pointwise(d, v, odd ? in(d, 1, 15) : BLOCK);
  int32_t b = behind(d, conv_of(d, v, copies ? in(d, 3, BLOCK) : BLOCK, same(3)));
  int32_t a = join2(d, odd || one_in(d, 2) ? pointwise(d, v, odd ? in(d, 5, 15) : wide) : v, b);
  if (one_in(d, 2)) a = pool(d, a, true);
  int32_t c = behind(d, conv_of(d, a, in(d, 2, BLOCK), same(one_in(d, 2) ? 1 : 3)));
  classify(d, behind(d, conv_of(d, join2(d, a, c), in(d, 4, BLOCK), same(1))));
}

/* Zero in whole blocks of 16 channels by 16, one tap or all of them, and in kernel rows and columns. */
static void clear_some(draw *d, int32_t id) {
  if (d->st != ESPL_OK) return;
  espl_param *p = d->g->node[id].param[ESPL_PARAM_WEIGHT];
  int32_t taps = p->dim[2] * p->dim[3], kw = p->dim[3], row = one_in(d, 2) ? in(d, 0, p->dim[2] - 1) : -1, col = one_in(d, 2) ? in(d, 0, kw - 1) : -1;
  uint64_t stream = espl_rng_next(d->r);
  bool by_tap = one_in(d, 2);
  for (int64_t i = 0; i < p->elems; i++) {
    int64_t tap = i % taps, ic = i / taps % p->dim[1], oc = i / taps / p->dim[1];
    uint64_t which = (uint64_t)((oc / BLOCK * 64 + ic / BLOCK) * 256 + (by_tap ? tap : 0));
    if (tap / kw == row || tap % kw == col || espl_rng_below(d->r->seed, stream, which, 5) < 3) p->value[i] = 0;
  }
}

static void zeros(draw *d, int32_t v) {
  int32_t room = channels_most(d);
  v = pointwise(d, v, in(d, room / 2, room));
  for (int32_t i = 0; i < 2 && d->st == ESPL_OK; i++) {
    espl_conv_attr a = same(1 + 2 * in(d, 0, 2));
    int32_t out_c = in(d, room / 2, room);
    while (out_c > 1 && cost(d, shape(d, v), out_c, &a) > 3 * d->most) out_c /= 2;
    v = conv_of(d, v, out_c, a);
    clear_some(d, v);
    v = behind(d, v);
  }
  classify(d, v);
}

/* A first layer that a machine with folding folds; large: its image fills the activation buffer more than once. */
static void first(draw *d, int32_t v, bool large) {
  int32_t most = large ? 7 : kernel_most(d), step = large ? 2 : 1; /* one kernel row with a stride would leave rows of the image out */
  espl_conv_attr a = {.kh = in(d, step, most), .kw = in(d, 2, most), .sh = in(d, step, 4), .sw = in(d, step, 4), .dh = 1, .dw = 1, .groups = 1};
  if (!large && one_in(d, 3)) a.dh = 2;
  espl_shape s = shape(d, v);
  int32_t reach = (a.kh - 1) * a.dh;
  a.pt = in(d, 0, reach), a.pb = in(d, 0, reach), a.pl = in(d, 0, a.kw - 1), a.pr = in(d, 0, a.kw - 1);
  while (s.h + a.pt + a.pb <= reach) a.pb++;
  while (s.w + a.pl + a.pr < a.kw) a.pr++;
  v = behind(d, conv_of(d, v, in(d, 3, large ? d->m->cols : channels_most(d)), a));
  if (one_in(d, 2)) v = pool(d, v, false);
  if (large) v = shrink(d, v, 12);
  classify(d, v);
}

static void mean(draw *d, int32_t v) {
  v = op(d, ESPL_OP_RELU, conv_of(d, v, in(d, 1, least(20, channels_most(d))), same(1)));
  v = op(d, ESPL_OP_FLATTEN, op(d, ESPL_OP_GLOBALAVGPOOL, v));
  full(d, v, CLASSES);
}

static void fully(draw *d, int32_t v) {
  if (one_in(d, 2)) v = behind(d, any_conv(d, v));
  v = op(d, ESPL_OP_FLATTEN, shrink(d, v, least(7, d->m->kernel)));
  for (int32_t i = 0, n = in(d, 1, 2); i < n; i++) v = behind(d, full(d, v, in(d, 1, channels_most(d))));
  full(d, v, CLASSES);
}

/* ---- the whole ---- */

static const char *const names[] = {
#define X(name, text) #name,
  RANDNET_LIST(X)
#undef X
};
const char *randnet_name(randnet_kind k) { return names[k]; }

bool randnet_fits(randnet_kind k, const espl_machine *m) {
  switch (k) {
    case RANDNET_TILES: return m->fold;
    case RANDNET_MEAN: return m->avgpool && m->acc_aw <= 11;
    default: return true;
  }
}

/* Pixels just above a power of two, as height by width. */
static void more_pixels(draw *d, int32_t aw, espl_shape *s) {
  int32_t pixels = (1 << aw) + in(d, 1, 1 << (aw - 2));
  if (pixels < 260) pixels = 260; /* smaller means are no layers of their own */
  s->h = in(d, 14, 40);
  s->w = blocks(pixels, s->h);
}

static espl_shape input(draw *d, randnet_kind k) {
  bool small = d->m->act_aw < 13;
  espl_shape s = {in(d, 1, least(20, channels_most(d))), in(d, 3, small ? 12 : 20), in(d, 3, small ? 12 : 20)};
  if (k == RANDNET_FIRST || k == RANDNET_TILES) s.c = in(d, 1, 4);
  if (k == RANDNET_FIRST && d->m->fold) s.h += in(d, 0, 30), s.w += in(d, 0, 30);
  if (k == RANDNET_TILES) s.h = in(d, 100, 180), s.w = blocks((1 << (d->m->act_aw - 2)) + 2000, s.h);
  if (k == RANDNET_MEAN) more_pixels(d, d->m->acc_aw, &s);
  return s;
}

espl_status randnet_build(randnet_kind k, const espl_machine *m, espl_rng *r, espl_graph **out, espl_err *err) {
  draw d = {.m = m, .r = r, .st = ESPL_OK, .err = err, .most = m->rows * m->cols > 100 ? 8000 : 16000};
  d.g = espl_graph_new(names[k], input(&d, k));
  if (!d.g) return espl_fail(err, ESPL_E_NOMEM, "randnet: out of memory");
  switch (k) {
    case RANDNET_CHAIN: chain(&d, 0); break;
    case RANDNET_GROUPS: groups(&d, 0); break;
    case RANDNET_JOIN: join(&d, 0); break;
    case RANDNET_ZEROS: zeros(&d, 0); break;
    case RANDNET_FIRST: first(&d, 0, false); break;
    case RANDNET_TILES: first(&d, 0, true); break;
    case RANDNET_MEAN: mean(&d, 0); break;
    case RANDNET_FULL: fully(&d, 0); break;
    case RANDNET_KINDS: break;
  }
  if (d.st == ESPL_OK) d.st = espl_graph_check(d.g, err);
  if (d.st == ESPL_OK) *out = d.g;
  else espl_graph_free(d.g);
  return d.st;
}
