/* Executor of an integer network on the CPU: packs weights once, then runs image after image, images shared out over threads. Every
 * tensor of every image of the last run is kept in that image's slice of one arena. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "quant/qkernel.h"

enum { MAX_THREADS = 64 };

struct espl_qexec {
  const espl_qnet *q;
  int32_t batch, threads, done; /* done: images of the last run */
  int32_t *cp;                  /* [tensors] bytes of a pixel */
  int64_t *offset;              /* [tensors] in an image's slice */
  int64_t image_bytes, pad_bytes, conv_bytes;
  qconv *conv;                  /* [layers] */
  uint8_t *arena, *scratch;     /* [batch * image_bytes], [threads * (pad + conv)] */
};

static int32_t round_to(int32_t v, int32_t n) { return (v + n - 1) / n * n; }

static bool depthwise(const espl_qlayer *l) { return !l->onehot && l->groups > 1 && l->groups == l->in_c && l->in_c == l->out_c; }

static void pack_weights(qconv *c, const espl_qlayer *l) {
  for (int32_t o = 0; o < l->out_c; o++)
    for (int32_t i = 0; i < l->in_c; i++)
      for (int32_t t = 0; t < c->taps; t++) {
        int8_t v = l->w[((int64_t)o * l->in_c + i) * c->taps + t];
        if (c->dw) {
          if (i == o) c->dw[((int64_t)(o / QBLOCK) * c->taps + t) * QBLOCK + o % QBLOCK] = v;
        } else {
          c->w[((((int64_t)(o / QBLOCK) * c->taps + t) * c->c4 + i / 4) * QBLOCK + o % QBLOCK) * 4 + i % 4] = v;
        }
      }
}

static void pack_params(qconv *c, const espl_qlayer *l) {
  int64_t n = (int64_t)l->in_c * c->taps;
  for (int32_t o = 0; o < c->blocks * QBLOCK; o++) {
    qblock *b = &c->block[o / QBLOCK];
    int k = o % QBLOCK;
    espl_qparam p = o < l->out_c ? l->par[o] : (espl_qparam){.s = 1};
    int64_t sum = l->onehot ? 1 : 0;
    for (int64_t j = 0; !l->onehot && o < l->out_c && j < n; j++) sum += l->w[o * n + j];
    b->bias[k] = (int32_t)((uint32_t)p.bias - (uint32_t)(128 * sum));
    b->m[k] = p.m;
    b->mr[k] = p.mr;
    b->s[k] = p.s;
    b->l[k] = p.l;
    b->half[k] = 1ll << (p.s - 1);
  }
}

static espl_status pack_layer(espl_qexec *x, int32_t i, espl_err *err) {
  const espl_qlayer *l = &x->q->layer[i];
  qconv *c = &x->conv[i];
  espl_shape in = x->q->tensor[l->in].shape;
  c->in_cp = x->cp[l->in];
  c->out_cp = x->cp[l->out];
  c->c4 = (l->in_c + 3) / 4;
  c->taps = l->kh * l->kw;
  c->blocks = c->out_cp / QBLOCK;
  c->zo = l->zo;
  c->lo = l->lo;
  c->hi = l->hi;
  c->zr = l->zr;
  c->pw = (l->conv_w - 1) * l->sw + (l->kw - 1) * l->dw + 1;
  c->ph = (l->conv_h - 1) * l->sh + (l->kh - 1) * l->dh + 1;
  if (l->pt == 0 && l->pl == 0 && c->pw <= in.w && c->ph <= in.h) {
    c->pw = in.w;
    c->ph = 0; /* the tensor itself serves */
  }
  c->offset = espl_calloc((size_t)c->taps, sizeof(int32_t));
  c->block = espl_calloc((size_t)c->blocks, sizeof *c->block);
  size_t cells = (size_t)c->blocks * (size_t)c->taps * QBLOCK;
  if (depthwise(l)) c->dw = espl_calloc(cells, sizeof(int32_t));
  else if (!l->onehot) c->w = espl_calloc(cells * (size_t)c->c4, 4);
  if (!c->offset || !c->block || (!l->onehot && !c->dw && !c->w)) return espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
  for (int32_t t = 0; t < c->taps; t++) c->offset[t] = ((t / l->kw) * l->dh * c->pw + (t % l->kw) * l->dw) * c->in_cp;
  if (!l->onehot) pack_weights(c, l);
  pack_params(c, l);
  int64_t pad = (int64_t)c->ph * c->pw * c->in_cp, pre = l->pool == ESPL_QPOOL_NONE ? 0 : (int64_t)l->conv_h * l->conv_w * c->out_cp;
  x->pad_bytes = pad > x->pad_bytes ? pad : x->pad_bytes;
  x->conv_bytes = pre > x->conv_bytes ? pre : x->conv_bytes;
  return ESPL_OK;
}

static int32_t thread_count(void) {
  const char *s = getenv("OMP_NUM_THREADS");
  long n = s ? strtol(s, NULL, 10) : 0;
  if (n < 1) n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int32_t)n;
}

static espl_status build(espl_qexec *x, espl_err *err) {
  const espl_qnet *q = x->q;
  x->cp = espl_calloc((size_t)q->tensors, sizeof(int32_t));
  x->offset = espl_calloc((size_t)q->tensors, sizeof(int64_t));
  x->conv = espl_calloc((size_t)q->layers, sizeof *x->conv);
  if (!x->cp || !x->offset || !x->conv) return espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
  bool narrow = q->tensor[0].shape.c <= 4;
  for (int32_t i = 0; i < q->layers; i++)
    if (q->layer[i].res == 0 || (q->layer[i].in == 0 && (q->layer[i].onehot || depthwise(&q->layer[i])))) narrow = false;
  for (int32_t i = 0; i < q->tensors; i++) {
    espl_shape s = q->tensor[i].shape;
    x->cp[i] = i == 0 && narrow ? 4 : round_to(s.c, QBLOCK);
    x->offset[i] = x->image_bytes;
    x->image_bytes += ((int64_t)s.h * s.w * x->cp[i] + 63) / 64 * 64;
  }
  for (int32_t i = 0; i < q->layers; i++) ESPL_TRY(pack_layer(x, i, err));
  x->threads = thread_count();
  x->pad_bytes = (x->pad_bytes + 127) / 64 * 64;
  x->conv_bytes = (x->conv_bytes + 127) / 64 * 64;
  x->arena = espl_calloc((size_t)x->batch, (size_t)x->image_bytes);
  x->scratch = espl_calloc((size_t)x->threads, (size_t)(x->pad_bytes + x->conv_bytes));
  if (!x->arena || !x->scratch) return espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
  return ESPL_OK;
}

espl_status espl_qexec_new(const espl_qnet *q, int32_t batch, espl_qexec **out, espl_err *err) {
  *out = NULL;
  if (batch < 1) return espl_fail(err, ESPL_E_INPUT, "integer evaluation: batch %d, expected at least 1", (int)batch);
  espl_qexec *x = espl_calloc(1, sizeof *x);
  if (!x) return espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
  x->q = q;
  x->batch = batch;
  espl_status s = build(x, err);
  if (s == ESPL_OK) *out = x;
  else espl_qexec_free(x);
  return s;
}

void espl_qexec_free(espl_qexec *x) {
  if (!x) return;
  for (int32_t i = 0; x->conv && i < x->q->layers; i++) {
    free(x->conv[i].offset);
    free(x->conv[i].w);
    free(x->conv[i].dw);
    free(x->conv[i].block);
  }
  free(x->conv);
  free(x->cp);
  free(x->offset);
  free(x->arena);
  free(x->scratch);
  free(x);
}

/* The input with its padding around it, [ph][pw][cp]. */
static void pad_input(const qconv *c, const espl_qlayer *l, espl_shape in, int32_t zi, const uint8_t *src, uint8_t *dst) {
  int64_t row = (int64_t)c->pw * c->in_cp, cols = c->pw - l->pl < in.w ? c->pw - l->pl : in.w;
  memset(dst, (uint8_t)zi ^ 0x80, (size_t)(row * c->ph));
  for (int32_t y = 0; y < in.h && y + l->pt < c->ph; y++)
    if (cols > 0) memcpy(dst + (y + l->pt) * row + (int64_t)l->pl * c->in_cp, src + (int64_t)y * in.w * c->in_cp, (size_t)(cols * c->in_cp));
}

/* A slice into its place in the whole. */
static void join(const espl_qexec *x, int32_t t, uint8_t *image) {
  const espl_qtensor *s = &x->q->tensor[t];
  const uint8_t *from = image + x->offset[t];
  uint8_t *to = image + x->offset[s->whole] + s->whole_c;
  for (int64_t p = 0; p < (int64_t)s->shape.h * s->shape.w; p++) memcpy(to + p * x->cp[s->whole], from + p * x->cp[t], (size_t)s->shape.c);
}

static void run_layer(const espl_qexec *x, int32_t i, uint8_t *image, uint8_t *scratch) {
  const espl_qlayer *l = &x->q->layer[i];
  const qconv *c = &x->conv[i];
  const uint8_t *src = image + x->offset[l->in], *res = l->res >= 0 ? image + x->offset[l->res] : NULL;
  uint8_t *dst = image + x->offset[l->out], *to = l->pool == ESPL_QPOOL_NONE ? dst : scratch + x->pad_bytes;
  if (l->onehot) {
    q_onehot_run(c, (int64_t)l->conv_h * l->conv_w, src, res, to);
  } else {
    if (c->ph > 0) {
      pad_input(c, l, x->q->tensor[l->in].shape, x->q->tensor[l->in].zero, src, scratch);
      src = scratch;
    }
    q_conv_run(c, l, src, res, to);
  }
  if (to != dst) q_pool_run(l, x->q->tensor[l->out].shape, c->out_cp, to, dst);
  for (int32_t t = l->out; x->q->tensor[t].whole > 0; t = x->q->tensor[t].whole) join(x, t, image);
}

static void put_input(const espl_qexec *x, const int8_t *chw, uint8_t *image) {
  espl_shape s = x->q->tensor[0].shape;
  int64_t px = (int64_t)s.h * s.w;
  for (int32_t c = 0; c < s.c; c++)
    for (int64_t p = 0; p < px; p++) image[p * x->cp[0] + c] = (uint8_t)chw[c * px + p] ^ 0x80u;
}

static void get_tensor(const espl_qexec *x, int32_t t, const uint8_t *image, int8_t *chw) {
  espl_shape s = x->q->tensor[t].shape;
  int64_t px = (int64_t)s.h * s.w;
  for (int32_t c = 0; c < s.c; c++)
    for (int64_t p = 0; p < px; p++) chw[c * px + p] = (int8_t)(image[x->offset[t] + p * x->cp[t] + c] ^ 0x80u);
}

typedef struct share {
  espl_qexec *x;
  int32_t thread, first, last;
  const int8_t *input;
  int8_t *output;
} share;

static void *work(void *arg) {
  const share *s = arg;
  espl_qexec *x = s->x;
  int64_t in = espl_shape_elems(x->q->tensor[0].shape), out = espl_shape_elems(x->q->tensor[x->q->output].shape);
  uint8_t *scratch = x->scratch + s->thread * (x->pad_bytes + x->conv_bytes);
  for (int32_t n = s->first; n < s->last; n++) {
    uint8_t *image = x->arena + n * x->image_bytes;
    put_input(x, s->input + n * in, image);
    for (int32_t i = 0; i < x->q->layers; i++) run_layer(x, i, image, scratch);
    get_tensor(x, x->q->output, image, s->output + n * out);
  }
  return NULL;
}

espl_status espl_qexec_run(espl_qexec *x, int32_t n, const int8_t *input, int8_t *output, espl_err *err) {
  if (n < 1 || n > x->batch) return espl_fail(err, ESPL_E_INPUT, "integer evaluation: %d images, expected 1..%d", (int)n, (int)x->batch);
  int32_t threads = n < x->threads ? n : x->threads;
  share s[MAX_THREADS];
  pthread_t id[MAX_THREADS];
  int32_t started = 0;
  for (int32_t t = 0; t < threads; t++)
    s[t] = (share){x, t, (int32_t)((int64_t)n * t / threads), (int32_t)((int64_t)n * (t + 1) / threads), input, output};
  while (started + 1 < threads && pthread_create(&id[started], NULL, work, &s[started + 1]) == 0) started++;
  work(&s[0]);
  for (int32_t t = started + 1; t < threads; t++) work(&s[t]); /* threads that could not be made */
  for (int32_t t = 0; t < started; t++) pthread_join(id[t], NULL);
  x->done = n;
  return ESPL_OK;
}

espl_status espl_qexec_tensor(espl_qexec *x, int32_t tensor, int8_t *out, espl_err *err) {
  if (tensor < 0 || tensor >= x->q->tensors) return espl_fail(err, ESPL_E_INPUT, "integer evaluation: tensor %d of %d", (int)tensor, (int)x->q->tensors);
  int64_t n = espl_shape_elems(x->q->tensor[tensor].shape);
  for (int32_t i = 0; i < x->done; i++) get_tensor(x, tensor, x->arena + i * x->image_bytes, out + i * n);
  return ESPL_OK;
}
