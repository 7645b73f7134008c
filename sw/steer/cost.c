/* Cost table: one-layer networks through the mapper and the timing model, remembered by hash. */
#include "steer/cost.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/interrupt.h"
#include "base/mem.h"

struct entry {
  char key[ESPL_HASH_HEX];
  int64_t cycles; /* -1: not measured yet */
};

/* What the mapper's choice of a weight format depends on: whether all values fit int4, and the bits that number the distinct nonzero ones. */
typedef struct weight_kind {
  bool small;
  int32_t index_bits; /* 2..8 */
} weight_kind;

struct espl_cost_table {
  const espl_qnet *q;
  const espl_machine *m;
  espl_store *store;
  int32_t count, cap; /* open addressing, cap a power of two, at most half full */
  struct entry *slot;
  weight_kind *kind; /* [layers of q] */
};

static weight_kind kind_of(const espl_qlayer *l) {
  bool seen[256] = {false};
  int32_t distinct = 0;
  weight_kind k = {true, 2};
  int64_t n = l->w ? (int64_t)l->out_c * l->in_c * l->kh * l->kw : 0;
  for (int64_t i = 0; i < n; i++) {
    bool *s = &seen[(uint8_t)l->w[i]];
    distinct += !*s && l->w[i] != 0;
    *s = true;
    k.small = k.small && l->w[i] >= -8 && l->w[i] <= 7;
  }
  while (k.index_bits < 8 && distinct >= 1 << k.index_bits) k.index_bits++;
  return k;
}

/* Nonzero weights of that kind, as many distinct ones as it has: 1, -1, 2, -2 ... 7, -7, -8, or 127, -127, 126 ...; zeros between groups. */
static void fill_weights(const espl_qlayer *l, int8_t *w, weight_kind kind) {
  int32_t distinct = (1 << kind.index_bits) - 1, taps = l->kh * l->kw, og = l->out_c / l->groups, ig = l->in_c / l->groups;
  size_t n = 0;
  for (int32_t o = 0; o < l->out_c; o++)
    for (int32_t i = 0; i < l->in_c; i++, w += taps)
      for (int32_t t = 0; o / og == i / ig && t < taps; t++, n++) {
        int32_t k = (int32_t)(n % (size_t)(distinct < 254 ? distinct : 254)), magnitude = kind.small ? 1 + k / 2 : 127 - k / 2;
        w[t] = (int8_t)(k & 1 || magnitude == 8 ? -magnitude : magnitude);
      }
}

espl_status espl_cost_table_new(const espl_qnet *q, const espl_machine *m, espl_store *store, espl_cost_table **out, espl_err *err) {
  *out = NULL;
  if (m->mem.banks)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "machine %s: memory has %d banks, so what a layer costs depends on where it lies; costs of layers need `banks: 0`", m->name, (int)m->mem.banks);
  espl_cost_table *t = espl_calloc(1, sizeof *t);
  *out = t;
  if (!t) return espl_fail(err, ESPL_E_NOMEM, "cost table: out of memory");
  *t = (espl_cost_table){.q = q, .m = m, .store = store, .cap = 1024};
  t->slot = espl_calloc((size_t)t->cap, sizeof *t->slot);
  t->kind = espl_calloc((size_t)q->layers, sizeof *t->kind);
  if (!t->slot || !t->kind) return espl_fail(err, ESPL_E_NOMEM, "cost table: out of memory");
  for (int32_t i = 0; i < q->layers; i++) t->kind[i] = kind_of(&q->layer[i]);
  return ESPL_OK;
}

void espl_cost_table_free(espl_cost_table *t) {
  if (!t) return;
  free(t->slot);
  free(t->kind);
  free(t);
}

const espl_machine *espl_cost_machine(const espl_cost_table *t) { return t->m; }

espl_layer_form espl_layer_form_now(const espl_qnet *q, int32_t layer) {
  const espl_qlayer *l = &q->layer[layer];
  return (espl_layer_form){.layer = layer, .in_c = l->in_c, .out_c = l->out_c};
}

/* Groups of a form: those of a depthwise layer are its channels. */
static int32_t groups_of(const espl_qlayer *l, const espl_layer_form *f) {
  return l->groups > 1 && l->groups == l->in_c && l->groups == l->out_c ? f->out_c : l->groups;
}

/* Everything the cycles of a form depend on. */
static void key_of(const espl_cost_table *t, const espl_layer_form *f, char key[ESPL_HASH_HEX]) {
  const espl_qlayer *l = &t->q->layer[f->layer];
  const espl_qtensor *in = &t->q->tensor[l->in];
  const espl_mem_timing *mem = &t->m->mem;
  const weight_kind kind = t->kind[f->layer];
  const int64_t v[] = {espl_machine_hash(t->m), mem->read_latency, mem->write_latency, mem->num, mem->den, mem->outstanding, mem->shared_path, mem->turnaround,
                       mem->stall_mod, mem->stall_seed, in->shape.h, in->shape.w, f->in_c, f->out_c, l->onehot, l->res >= 0, l->kh - f->cut.top - f->cut.bottom,
                       l->kw - f->cut.left - f->cut.right, l->sh, l->sw, l->dh, l->dw, l->pt - f->cut.top * l->dh, l->pl - f->cut.left * l->dw,
                       l->pb - f->cut.bottom * l->dh, l->pr - f->cut.right * l->dw, groups_of(l, f), l->pool, l->win_h, l->win_w, l->psy, l->psx, l->ppt, l->ppl,
                       t->q->tensor[l->out].shape.h, t->q->tensor[l->out].shape.w, f->zero_tiles,
                       kind.small, kind.index_bits};
  espl_hash h;
  espl_hash_init(&h);
  espl_hash_string(&h, "layer cycles 3");
  for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) espl_hash_u64(&h, (uint64_t)v[i]);
  espl_hash_final_hex(&h, key);
}

static struct entry *find(espl_cost_table *t, const char *key) {
  uint64_t h = 0;
  for (int i = 0; i < 16; i++) h = h * 31 + (uint8_t)key[i];
  for (uint64_t i = h;; i++) {
    struct entry *e = &t->slot[i & (uint64_t)(t->cap - 1)];
    if (e->key[0] == '\0' || strcmp(e->key, key) == 0) return e;
  }
}

static espl_status grow(espl_cost_table *t, espl_err *err) {
  if (2 * t->count < t->cap) return ESPL_OK;
  struct entry *old = t->slot;
  int32_t n = t->cap;
  t->slot = espl_calloc((size_t)n * 2, sizeof *t->slot);
  if (!t->slot) {
    t->slot = old;
    return espl_fail(err, ESPL_E_NOMEM, "cost table: out of memory");
  }
  t->cap = 2 * n;
  for (int32_t i = 0; i < n; i++)
    if (old[i].key[0]) *find(t, old[i].key) = old[i];
  free(old);
  return ESPL_OK;
}

/* The form as a network of one layer; of the values of weights only their kind matters. */
static espl_status measure(const espl_cost_table *t, const espl_layer_form *f, int64_t *cycles, espl_err *err) {
  espl_qlayer l = t->q->layer[f->layer];
  l.in = 0;
  l.out = 1;
  l.in_c = l.onehot ? f->out_c : f->in_c;
  l.out_c = f->out_c;
  l.groups = groups_of(&t->q->layer[f->layer], f);
  if (l.in_c % l.groups || l.out_c % l.groups)
    return espl_fail(err, ESPL_E_BUG, "cost of layer %s: %d -> %d channels in %d groups", l.name, (int)l.in_c, (int)l.out_c, (int)l.groups);
  l.kh -= f->cut.top + f->cut.bottom;
  l.kw -= f->cut.left + f->cut.right;
  l.pt -= f->cut.top * l.dh;
  l.pb -= f->cut.bottom * l.dh;
  l.pl -= f->cut.left * l.dw;
  l.pr -= f->cut.right * l.dw;
  l.macs = l.macs_dense = espl_form_macs(t->q, f);
  const espl_qlayer *was = &t->q->layer[f->layer];
  espl_qtensor tensor[3] = {t->q->tensor[was->in], t->q->tensor[was->out]};
  tensor[0].shape.c = l.in_c;
  tensor[1].shape.c = l.out_c;
  if (l.res >= 0) {
    tensor[2] = t->q->tensor[was->res];
    tensor[2].shape.c = l.out_c;
    tensor[2].whole = 0;
    l.res = 2;
  }
  tensor[0].whole = tensor[1].whole = 0; /* a slice costs what a tensor of its own costs, but for where its bursts are cut */
  size_t weights = (size_t)l.in_c * (size_t)l.out_c * (size_t)l.kh * (size_t)l.kw;
  l.w = l.onehot ? NULL : espl_calloc(weights, 1);
  l.par = espl_calloc((size_t)l.out_c, sizeof *l.par);
  espl_status st = (l.w || l.onehot) && l.par ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "cost table: out of memory");
  if (st == ESPL_OK) {
    if (l.w) fill_weights(&l, l.w, t->kind[f->layer]);
    for (int32_t c = 0; c < l.out_c; c++) l.par[c] = (espl_qparam){.m = 1, .s = 1};
    espl_qnet one = {.name = t->q->name, .tensors = l.res >= 0 ? 3 : 2, .layers = 1, .tensor = tensor, .layer = &l, .output = 1};
    uint64_t c = 0;
    st = espl_layer_cost(&one, 0, t->m, f->zero_tiles > 0 ? f->zero_tiles : -1, &c, err); /* none: but those between groups */
    *cycles = (int64_t)c;
  }
  free(l.w);
  free(l.par);
  if (st != ESPL_OK) espl_fail_context(err, "cost of layer %s at %d -> %d channels", was->name, (int)f->in_c, (int)f->out_c);
  return st;
}

static espl_status remember(espl_cost_table *t, const char *key, int64_t cycles, int64_t macs, espl_err *err) {
  ESPL_TRY(grow(t, err));
  struct entry *e = find(t, key);
  if (!e->key[0]) {
    memcpy(e->key, key, ESPL_HASH_HEX);
    t->count++;
  }
  e->cycles = cycles;
  if (!t->store || cycles < 0) return ESPL_OK;
  espl_store_cost c = {.cycles = cycles, .macs = macs, .busy_cycles = -1, .roof_cycles = -1, .read_bytes = -1, .write_bytes = -1, .tiles = -1, .tiles_skipped = -1};
  return espl_store_cost_put(t->store, key, &c, err);
}

/* From memory or the store; -1 when unknown. */
static espl_status recall(espl_cost_table *t, const char *key, int64_t *cycles, espl_err *err) {
  struct entry *e = find(t, key);
  *cycles = e->key[0] ? e->cycles : -1;
  if (e->key[0] || !t->store) return ESPL_OK;
  espl_store_cost c;
  int found = 0;
  ESPL_TRY(espl_store_cost_get(t->store, key, &c, &found, err));
  if (!found) return ESPL_OK;
  *cycles = c.cycles;
  ESPL_TRY(grow(t, err));
  e = find(t, key);
  memcpy(e->key, key, ESPL_HASH_HEX);
  e->cycles = c.cycles;
  t->count++;
  return ESPL_OK;
}

espl_status espl_cost_get(espl_cost_table *t, const espl_layer_form *f, int64_t *cycles, espl_err *err) {
  char key[ESPL_HASH_HEX];
  key_of(t, f, key);
  ESPL_TRY(recall(t, key, cycles, err));
  if (*cycles >= 0) return ESPL_OK;
  ESPL_TRY(measure(t, f, cycles, err));
  return remember(t, key, *cycles, espl_form_macs(t->q, f), err);
}

/* Work shared by the filling threads; `lock` guards next and done. */
struct fill {
  const espl_cost_table *t;
  const espl_layer_form *form;
  int64_t *cycles;
  int32_t n, next;
  pthread_mutex_t lock;
  espl_status status;
  espl_err err;
};

static void *fill_thread(void *arg) {
  struct fill *f = arg;
  for (;;) {
    pthread_mutex_lock(&f->lock);
    int32_t i = f->status == ESPL_OK && f->next < f->n ? f->next++ : -1;
    pthread_mutex_unlock(&f->lock);
    if (i < 0) return NULL;
    espl_err err = {0};
    espl_status st = espl_interrupt_check(&err);
    if (st == ESPL_OK) st = measure(f->t, &f->form[i], &f->cycles[i], &err);
    if (st == ESPL_OK) continue;
    pthread_mutex_lock(&f->lock);
    if (f->status == ESPL_OK) {
      f->status = st;
      f->err = err;
    }
    pthread_mutex_unlock(&f->lock);
  }
}

static espl_status fill_some(espl_cost_table *t, const espl_layer_form *form, const char (*key)[ESPL_HASH_HEX], int32_t n, espl_err *err) {
  struct fill f = {.t = t, .form = form, .n = n, .cycles = espl_calloc((size_t)n, sizeof(int64_t))};
  if (!f.cycles) return espl_fail(err, ESPL_E_NOMEM, "cost table: out of memory");
  pthread_mutex_init(&f.lock, NULL);
  pthread_t other;
  bool two = pthread_create(&other, NULL, fill_thread, &f) == 0;
  fill_thread(&f);
  if (two) pthread_join(other, NULL);
  pthread_mutex_destroy(&f.lock);
  espl_status st = f.status;
  if (st != ESPL_OK) espl_fail(err, st, "%s", f.err.msg);
  bool batch = t->store && st == ESPL_OK;
  if (batch) st = espl_store_begin(t->store, err);
  for (int32_t i = 0; st == ESPL_OK && i < n; i++) st = remember(t, key[i], f.cycles[i], espl_form_macs(t->q, &form[i]), err);
  if (batch && st == ESPL_OK) st = espl_store_commit(t->store, err);
  else if (batch) espl_store_rollback(t->store);
  free(f.cycles);
  return st;
}

espl_status espl_cost_fill(espl_cost_table *t, const espl_layer_form *f, int32_t n, void (*report)(void *ctx, double fraction), void *ctx, espl_err *err) {
  enum { CHUNK = 32 };
  espl_layer_form need[CHUNK];
  char key[CHUNK][ESPL_HASH_HEX];
  int32_t m = 0;
  for (int32_t i = 0; i < n; i++) {
    int64_t cycles;
    key_of(t, &f[i], key[m]);
    ESPL_TRY(recall(t, key[m], &cycles, err));
    bool fresh = cycles < 0;
    for (int32_t k = 0; fresh && k < m; k++) fresh = strcmp(key[k], key[m]) != 0;
    if (fresh) need[m++] = f[i];
    if (m < CHUNK && i + 1 < n) continue;
    if (m > 0) ESPL_TRY(fill_some(t, need, (const char(*)[ESPL_HASH_HEX])key, m, err));
    m = 0;
    if (report) report(ctx, (double)(i + 1) / n);
  }
  return ESPL_OK;
}

int64_t espl_form_macs(const espl_qnet *q, const espl_layer_form *f) {
  const espl_qlayer *l = &q->layer[f->layer];
  if (l->onehot) return 0;
  int64_t taps = (int64_t)(l->kh - f->cut.top - f->cut.bottom) * (l->kw - f->cut.left - f->cut.right);
  int64_t macs = taps * f->in_c * f->out_c * l->conv_h * l->conv_w;
  return macs / groups_of(l, f);
}
