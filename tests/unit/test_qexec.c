/* The integer executor on the CPU against the definition (qref.h), on random networks: dense and channelwise layers of many widths, strides, dilations and
 * paddings, residual operands, pooling; vector kernels and plain C; alone, shared out over images and over rows; memory kept and shared. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "qref.h"
#include "quant/qkernel.h"

enum { LAYERS = 7, IMAGES = 5, NETS = 60 };

typedef struct net {
  espl_qnet q;
  espl_qtensor tensor[LAYERS + 1];
  espl_qlayer layer[LAYERS];
} net;

static int32_t pick(espl_rng *r, int n, const int32_t *v) { return v[espl_rng_next_below(r, (uint32_t)n)]; }

/* A channelwise layer keeps its diagonal; its sums are smaller by the root of the channels, so its shifts are too. */
static void only_diagonal(espl_qlayer *l) {
  int32_t taps = l->kh * l->kw, less = (int32_t)(0.5 * log2(l->in_c));
  for (int32_t o = 0; o < l->out_c; o++) {
    for (int32_t i = 0; i < l->in_c; i++)
      if (i != o) memset(l->w + ((int64_t)o * l->in_c + i) * taps, 0, (size_t)taps);
    l->par[o].s = (uint8_t)(l->par[o].s - less);
    l->par[o].bias /= l->in_c;
  }
}

static void geometry(espl_rng *r, espl_qlayer *l, espl_shape in) {
  l->kh = l->onehot ? 1 : pick(r, 4, (const int32_t[]){1, 1, 3, 2});
  l->kw = l->onehot ? 1 : pick(r, 4, (const int32_t[]){1, 3, 3, 5});
  l->dh = l->dw = pick(r, 4, (const int32_t[]){1, 1, 1, 2});
  l->pt = l->onehot ? 0 : qref_in(r, 0, l->kh - 1);
  l->pl = l->onehot ? 0 : qref_in(r, 0, l->kw - 1);
  l->pb = l->onehot ? 0 : (l->kh - 1) * l->dh;
  l->pr = l->onehot ? 0 : (l->kw - 1) * l->dw;
  l->sh = l->onehot || in.h < 6 ? 1 : qref_in(r, 1, 2);
  l->sw = l->onehot || in.w < 6 ? 1 : qref_in(r, 1, 2);
  l->conv_h = (in.h + l->pt + l->pb - (l->kh - 1) * l->dh - 1) / l->sh + 1;
  l->conv_w = (in.w + l->pl + l->pr - (l->kw - 1) * l->dw - 1) / l->sw + 1;
}

/* A tensor that the layer may add: of the shape of its result before pooling. */
static int32_t other_operand(const net *t, int32_t i, const espl_qlayer *l) {
  for (int32_t k = i; k >= 0; k--) {
    espl_shape s = t->tensor[k].shape;
    if (s.c == l->out_c && s.h == l->conv_h && s.w == l->conv_w) return k;
  }
  return -1;
}

static void pooling(espl_rng *r, espl_qlayer *l) {
  l->pool = (espl_qpool)qref_in(r, 1, 2);
  l->win_h = l->win_w = l->psy = l->psx = 2;
  l->ppt = l->ppl = qref_in(r, 0, 1);
}

static void add_layer(net *t, espl_rng *r, int32_t i, bool extreme) {
  espl_qlayer *l = &t->layer[i];
  espl_shape in = t->tensor[i].shape;
  int32_t kind = qref_in(r, 0, 4); /* 0, 1: depthwise; 2: one-hot; else dense */
  *l = (espl_qlayer){.in = i, .out = i + 1, .res = -1, .in_c = in.c, .onehot = kind == 2, .groups = kind < 2 ? in.c : 1, .win_h = 1, .win_w = 1, .psy = 1, .psx = 1};
  l->out_c = kind < 3 ? in.c : pick(r, 6, (const int32_t[]){3, 16, 24, 40, 70, 130});
  if (i == 0 && kind < 2 && in.c == 1) l->groups = 1;
  geometry(r, l, in);
  t->tensor[i + 1].shape = (espl_shape){l->out_c, l->conv_h, l->conv_w};
  if (qref_in(r, 0, 1)) l->res = other_operand(t, i, l);
  if (l->conv_h > 3 && l->conv_w > 3 && qref_in(r, 0, 4) == 0) {
    pooling(r, l);
    t->tensor[i + 1].shape = (espl_shape){l->out_c, (l->conv_h + l->ppt) / 2, (l->conv_w + l->ppl) / 2};
  }
  qref_fill(&t->q, i, r, 2, 4);
  if (l->groups > 1) only_diagonal(l);
  if (extreme) l->par[0].s = (uint8_t)qref_in(r, 1, 4), l->par[0].m = 65535; /* a result that leaves 32 bits */
}

static void build(net *t, uint64_t seed) {
  espl_rng r = {.seed = 21, .stream = seed};
  *t = (net){0};
  t->q = (espl_qnet){.name = "random", .tensors = LAYERS + 1, .layers = LAYERS, .tensor = t->tensor, .layer = t->layer, .output = LAYERS};
  t->tensor[0] = (espl_qtensor){.shape = {pick(&r, 6, (const int32_t[]){1, 3, 5, 32, 64, 150}), qref_in(&r, 3, 14), qref_in(&r, 3, 33)}, .zero = qref_in(&r, -128, 127), .scale = 1};
  for (int32_t i = 0; i < LAYERS; i++) add_layer(t, &r, i, seed % 8 == 7);
}

static void clear(net *t) {
  for (int32_t i = 0; i < LAYERS; i++) {
    free(t->layer[i].w);
    free(t->layer[i].par);
    free(t->layer[i].name);
  }
}

typedef struct tensors {
  int8_t *v[LAYERS + 1]; /* [images][elements] */
  int64_t n[LAYERS + 1];
} tensors;

static void define(const net *t, uint64_t seed, tensors *d) {
  espl_rng r = {.seed = 22, .stream = seed};
  for (int32_t k = 0; k <= LAYERS; k++) {
    d->n[k] = espl_shape_elems(t->tensor[k].shape);
    d->v[k] = malloc((size_t)(IMAGES * d->n[k]));
  }
  for (int64_t j = 0; j < IMAGES * d->n[0]; j++) d->v[0][j] = (int8_t)(uint8_t)espl_rng_next(&r);
  for (int b = 0; b < IMAGES; b++) {
    int8_t *one[LAYERS + 1];
    for (int32_t k = 0; k <= LAYERS; k++) one[k] = d->v[k] + b * d->n[k];
    for (int32_t i = 0; i < LAYERS; i++) qref_layer(&t->q, i, one);
  }
}

static void run(const net *t, const tensors *d, int32_t n, bool keep, uint64_t seed) {
  espl_err err = {0};
  espl_qexec *x = NULL;
  int8_t *got = malloc((size_t)(IMAGES * d->n[LAYERS]));
  cr_assert_eq(espl_qexec_new(&t->q, IMAGES, &x, &err), ESPL_OK, "%s", err.msg);
  if (keep) cr_assert_eq(espl_qexec_keep(x, &err), ESPL_OK, "%s", err.msg);
  else cr_expect_eq(espl_qexec_tensor(x, 0, got, &err), ESPL_E_INPUT);
  for (int again = 0; again < 2; again++) {
    cr_assert_eq(espl_qexec_run(x, n, d->v[0], got, &err), ESPL_OK, "%s", err.msg);
    cr_assert_eq(memcmp(got, d->v[LAYERS], (size_t)(n * d->n[LAYERS])), 0, "network %d, %d images", (int)seed, (int)n);
  }
  for (int32_t k = 0; keep && k <= LAYERS; k++) {
    int8_t *v = malloc((size_t)(IMAGES * d->n[k]));
    cr_assert_eq(espl_qexec_tensor(x, k, v, &err), ESPL_OK, "%s", err.msg);
    cr_assert_eq(memcmp(v, d->v[k], (size_t)(n * d->n[k])), 0, "network %d, tensor %d", (int)seed, (int)k);
    free(v);
  }
  espl_qexec_free(x);
  free(got);
}

static void networks(const char *threads) {
  int vector = 0, plain = 0;
  setenv("OMP_NUM_THREADS", threads, 1);
  for (uint64_t seed = 0; seed < NETS; seed++) {
    net t;
    tensors d;
    build(&t, seed);
    define(&t, seed, &d);
    for (int32_t i = 0; i < LAYERS; i++) *(q_vnni_fits(&t.layer[i]) ? &vector : &plain) += 1;
    run(&t, &d, IMAGES, true, seed);
    run(&t, &d, IMAGES, false, seed);
    run(&t, &d, 1, false, seed);
    for (int32_t k = 0; k <= LAYERS; k++) free(d.v[k]);
    clear(&t);
  }
  cr_expect_gt(plain, 10);
#ifdef __AVX512VNNI__
  cr_expect_gt(vector, 300);
#endif
}

Test(qexec, random_networks_equal_the_definition) { networks("1"); }
Test(qexec, threads_share_images_or_rows) { networks("3"); }
