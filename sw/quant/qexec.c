/* Executor of an integer network on the CPU: packs weights once, then runs image after image, images shared out over threads; where there are fewer
 * images than threads, the rows of every layer are shared out instead. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "quant/qkernel.h"
#include "quant/qroom.h"

enum { MAX_THREADS = 64, SPINS = 2000 };

struct espl_qexec {
  const espl_qnet *q;
  int32_t batch, threads, done; /* done: images of the last run */
  bool keep;                    /* every tensor of every image stays */
  qplace *place;                /* [tensors] */
  int64_t image_bytes, pool_bytes;
  qconv *conv;                  /* [layers] */
  uint8_t *arena, *scratch;     /* [slices * image_bytes], slices: images when kept, else threads; [threads * pool_bytes] */
};

/* Threads that work on one image together; they meet between layers. */
typedef struct team {
  atomic_int size; /* 0: not known yet */
  atomic_int waiting, round;
} team;

typedef struct share {
  espl_qexec *x;
  int32_t thread, first, last; /* images */
  team *team;                  /* NULL: alone */
  const int8_t *input;
  int8_t *output;
} share;

/* ---- construction ---- */

static espl_status pack_layer(espl_qexec *x, int32_t i, espl_err *err) {
  const espl_qlayer *l = &x->q->layer[i];
  const qplace *in = &x->place[l->in], *out = &x->place[l->out];
  qconv *c = &x->conv[i];
  *c = (qconv){.l = l, .in_cp = in->cp, .out_cp = out->cp, .c4 = (l->in_c + 3) / 4, .taps = l->kh * l->kw, .blocks = (l->out_c + QBLOCK - 1) / QBLOCK,
               .step = (int64_t)l->sw * in->cp, .row = l->sh * in->row, .out_row = out->row};
  if (l->res >= 0) c->res_cp = x->place[l->res].cp, c->res_row = x->place[l->res].row;
  if (l->pool != ESPL_QPOOL_NONE) c->out_cp = c->blocks * QBLOCK, c->out_row = (int64_t)l->conv_w * c->out_cp;
  if (!(c->offset = espl_calloc((size_t)c->taps + 3, sizeof(int32_t)))) return espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
  for (int32_t t = 0; t < c->taps; t++) c->offset[t] = (int32_t)((t / l->kw) * l->dh * in->row) + (t % l->kw) * l->dw * in->cp;
  int64_t pool = l->pool == ESPL_QPOOL_NONE ? 0 : l->conv_h * c->out_row;
  x->pool_bytes = pool > x->pool_bytes ? pool : x->pool_bytes;
  return q_conv_pack(c, err);
}

static int32_t thread_count(void) {
  const char *s = getenv("OMP_NUM_THREADS");
  long n = s ? strtol(s, NULL, 10) : 0;
  if (n < 1) n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int32_t)n;
}

/* Places of the tensors and memory for them. */
static espl_status make_room(espl_qexec *x, espl_err *err) {
  free(x->place);
  free(x->arena);
  x->place = NULL;
  x->arena = NULL;
  ESPL_TRY(q_places(x->q, x->keep, &x->place, &x->image_bytes, err));
  x->arena = espl_calloc((size_t)(x->keep ? x->batch : x->threads), (size_t)x->image_bytes);
  return x->arena ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
}

static espl_status build(espl_qexec *x, espl_err *err) {
  x->threads = thread_count();
  x->conv = espl_calloc((size_t)x->q->layers, sizeof *x->conv);
  if (!x->conv) return espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
  ESPL_TRY(make_room(x, err));
  for (int32_t i = 0; i < x->q->layers; i++) ESPL_TRY(pack_layer(x, i, err));
  x->pool_bytes = (x->pool_bytes + 127) / 64 * 64;
  x->scratch = espl_calloc((size_t)x->threads, (size_t)x->pool_bytes);
  return x->scratch ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
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

espl_status espl_qexec_keep(espl_qexec *x, espl_err *err) {
  x->keep = true;
  x->done = 0;
  return make_room(x, err); /* rows and borders are the same, so the layers stay as they are packed */
}

void espl_qexec_free(espl_qexec *x) {
  if (!x) return;
  for (int32_t i = 0; x->conv && i < x->q->layers; i++) q_conv_clear(&x->conv[i]);
  free(x->conv);
  free(x->place);
  free(x->arena);
  free(x->scratch);
  free(x);
}

/* ---- running ---- */

static void put_input(const espl_qexec *x, const int8_t *chw, uint8_t *image) {
  espl_shape s = x->q->tensor[0].shape;
  const qplace *p = &x->place[0];
  q_fill_border(&x->q->tensor[0], p, image);
  for (int32_t y = 0; y < s.h; y++) {
    uint8_t *row = image + p->at + p->origin + y * p->row;
    for (int32_t c = 0; c < s.c; c++) {
      const int8_t *v = chw + ((int64_t)c * s.h + y) * s.w;
      for (int32_t k = 0; k < s.w; k++) row[(int64_t)k * p->cp + c] = (uint8_t)v[k] ^ 0x80u;
    }
  }
}

static void get_tensor(const espl_qexec *x, int32_t t, const uint8_t *image, int8_t *chw) {
  espl_shape s = x->q->tensor[t].shape;
  const qplace *p = &x->place[t];
  for (int32_t c = 0; c < s.c; c++)
    for (int32_t y = 0; y < s.h; y++)
      for (int32_t k = 0; k < s.w; k++) *chw++ = (int8_t)(image[p->at + p->origin + y * p->row + (int64_t)k * p->cp + c] ^ 0x80u);
}

/* All of the team come here before any goes on. */
static void meet(team *t) {
  if (!t) return;
  int now = atomic_load(&t->round);
  if (atomic_fetch_add(&t->waiting, 1) + 1 == t->size) {
    atomic_store(&t->waiting, 0);
    atomic_store(&t->round, now + 1);
    return;
  }
  for (int spin = 0; atomic_load(&t->round) == now; spin++)
    if (spin > SPINS) sched_yield();
}

static void meet_first(team *t) {
  while (t && atomic_load(&t->size) == 0) sched_yield();
}

/* The rows of `h` that are this thread's. */
static int32_t first_row(const share *s, int32_t h) { return s->team ? (int32_t)((int64_t)h * s->thread / s->team->size) : 0; }
static int32_t end_row(const share *s, int32_t h) { return s->team ? (int32_t)((int64_t)h * (s->thread + 1) / s->team->size) : h; }

static void run_layer(const share *s, int32_t i, uint8_t *image, uint8_t *scratch) {
  const espl_qexec *x = s->x;
  const espl_qlayer *l = &x->q->layer[i];
  const qconv *c = &x->conv[i];
  const qplace *in = &x->place[l->in], *out = &x->place[l->out], *other = l->res >= 0 ? &x->place[l->res] : NULL;
  const uint8_t *src = image + in->at + in->origin - l->pt * in->row - (int64_t)l->pl * in->cp, *res = other ? image + other->at + other->origin : NULL;
  uint8_t *dst = image + out->at + out->origin;
  espl_shape shape = x->q->tensor[l->out].shape;
  bool pool = l->pool != ESPL_QPOOL_NONE;
  if (out->first == i && (!s->team || s->thread == 0)) q_fill_border(&x->q->tensor[l->out], out, image);
  q_conv_run(c, first_row(s, l->conv_h), end_row(s, l->conv_h), src, res, pool ? scratch : dst);
  if (pool) {
    meet(s->team);
    q_pool_run(c, shape.w, out->cp, out->row, first_row(s, shape.h), end_row(s, shape.h), scratch, dst);
  }
  meet(s->team);
}

static void *work(void *arg) {
  const share *s = arg;
  espl_qexec *x = s->x;
  int64_t in = espl_shape_elems(x->q->tensor[0].shape), out = espl_shape_elems(x->q->tensor[x->q->output].shape);
  uint8_t *scratch = x->scratch + (s->team ? 0 : s->thread) * x->pool_bytes;
  bool leads = !s->team || s->thread == 0;
  meet_first(s->team);
  for (int32_t n = s->first; n < s->last; n++) {
    uint8_t *image = x->arena + (x->keep ? n : s->team ? 0 : s->thread) * x->image_bytes;
    if (leads) put_input(x, s->input + n * in, image);
    meet(s->team);
    for (int32_t i = 0; i < x->q->layers; i++) run_layer(s, i, image, scratch);
    if (leads) get_tensor(x, x->q->output, image, s->output + n * out);
    meet(s->team);
  }
  return NULL;
}

/* A team is as large as the threads that could be made; alone, the images of the others are done here. */
static void run_shares(share *s, int32_t threads, team *t) {
  pthread_t id[MAX_THREADS];
  int32_t started = 0;
  while (started + 1 < threads && pthread_create(&id[started], NULL, work, &s[started + 1]) == 0) started++;
  if (t) atomic_store(&t->size, started + 1);
  work(&s[0]);
  for (int32_t k = started + 1; !t && k < threads; k++) work(&s[k]);
  for (int32_t k = 0; k < started; k++) pthread_join(id[k], NULL);
}

espl_status espl_qexec_run(espl_qexec *x, int32_t n, const int8_t *input, int8_t *output, espl_err *err) {
  if (n < 1 || n > x->batch) return espl_fail(err, ESPL_E_INPUT, "integer evaluation: %d images, expected 1..%d", (int)n, (int)x->batch);
  bool together = n < x->threads;
  team all = {0};
  share s[MAX_THREADS];
  for (int32_t t = 0; t < x->threads; t++)
    s[t] = (share){.x = x, .thread = t, .first = together ? 0 : (int32_t)((int64_t)n * t / x->threads), .last = together ? n : (int32_t)((int64_t)n * (t + 1) / x->threads),
                   .team = together ? &all : NULL, .input = input, .output = output};
  run_shares(s, x->threads, together ? &all : NULL);
  x->done = n;
  return ESPL_OK;
}

espl_status espl_qexec_tensor(espl_qexec *x, int32_t tensor, int8_t *out, espl_err *err) {
  if (tensor < 0 || tensor >= x->q->tensors) return espl_fail(err, ESPL_E_INPUT, "integer evaluation: tensor %d of %d", (int)tensor, (int)x->q->tensors);
  if (!x->keep) return espl_fail(err, ESPL_E_INPUT, "integer evaluation: ask for its tensors with espl_qexec_keep before the run");
  int64_t n = espl_shape_elems(x->q->tensor[tensor].shape);
  for (int32_t i = 0; i < x->done; i++) get_tensor(x, tensor, x->arena + i * x->image_bytes, out + i * n);
  return ESPL_OK;
}
