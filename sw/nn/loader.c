/* A double buffer between one preparing thread and the training loop. */
#include "nn/loader.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"

#define SLOTS 2
#define STREAM_ORDER 0x6f72646572u /* keeps the draws of the order apart from those of other users of the seed */

struct nn_loader {
  nn_loader_config c;
  float *images[SLOTS];
  uint8_t *labels[SLOTS];
  int32_t *order; /* permutation of the epoch being prepared */
  int64_t order_epoch, made, given; /* batches finished by the thread; batches handed out */
  pthread_mutex_t lock;
  pthread_cond_t change;
  pthread_t thread;
  int running, stop;
};

int32_t nn_loader_epoch_batches(const nn_loader_config *c) { return c->limit < c->batch ? 1 : c->limit / c->batch; }

static void shuffle(nn_loader *l, int64_t epoch) {
  espl_rng r = {l->c.seed, STREAM_ORDER + (uint64_t)epoch, 0};
  for (int32_t i = 0; i < l->c.limit; i++) l->order[i] = i;
  for (int32_t i = l->c.limit - 1; i > 0; i--) {
    int32_t j = (int32_t)espl_rng_next_below(&r, (uint32_t)i + 1);
    int32_t t = l->order[i];
    l->order[i] = l->order[j];
    l->order[j] = t;
  }
  l->order_epoch = epoch;
}

static void prepare(nn_loader *l, int64_t k) {
  const nn_loader_config *c = &l->c;
  int64_t per = nn_loader_epoch_batches(c), epoch = c->shuffle ? k / per : 0, first = (c->shuffle ? k % per : k) * c->batch;
  if (c->shuffle && epoch != l->order_epoch) shuffle(l, epoch);
  uint64_t key = c->augment ? espl_rng_u64(c->seed, 1, (uint64_t)epoch) | 1u : 0;
  int64_t elems = espl_shape_elems(c->data->shape);
  for (int32_t i = 0; i < c->batch; i++) {
    int64_t at = first + i;
    int32_t index = c->shuffle ? l->order[at % c->limit] : at < c->limit ? (int32_t)at : 0;
    espl_data_image(c->data, index, c->pp, key, c->flip, l->images[k % SLOTS] + i * elems);
    l->labels[k % SLOTS][i] = c->data->labels[index];
  }
}

/* Batch k may be written once batch k - SLOTS + 1 has been asked for: only then is batch k - SLOTS no longer read. */
static void *work(void *p) {
  nn_loader *l = p;
  for (int64_t k = l->c.first; k < l->c.batches; k++) {
    pthread_mutex_lock(&l->lock);
    while (!l->stop && k - l->given >= SLOTS - 1 && k - l->c.first >= SLOTS) pthread_cond_wait(&l->change, &l->lock);
    int stop = l->stop;
    pthread_mutex_unlock(&l->lock);
    if (stop) break;
    prepare(l, k);
    pthread_mutex_lock(&l->lock);
    l->made = k + 1;
    pthread_cond_signal(&l->change);
    pthread_mutex_unlock(&l->lock);
  }
  return NULL;
}

espl_status nn_loader_new(const nn_loader_config *c, nn_loader **out, espl_err *err) {
  *out = NULL;
  nn_loader *l = espl_calloc(1, sizeof *l);
  if (!l) return espl_fail(err, ESPL_E_NOMEM, "batch loader: out of memory");
  l->c = *c;
  l->order_epoch = -1;
  l->made = l->given = c->first;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->change, NULL);
  int ok = (l->order = espl_calloc((size_t)c->limit, sizeof *l->order)) != NULL;
  for (int i = 0; ok && i < SLOTS; i++) {
    l->images[i] = espl_calloc((size_t)c->batch * (size_t)espl_shape_elems(c->data->shape), sizeof(float));
    l->labels[i] = espl_calloc((size_t)c->batch, 1);
    ok = l->images[i] && l->labels[i];
  }
  if (ok) ok = l->running = !pthread_create(&l->thread, NULL, work, l);
  if (!ok) {
    nn_loader_free(l);
    return espl_fail(err, ESPL_E_NOMEM, "batch loader: out of memory or threads");
  }
  *out = l;
  return ESPL_OK;
}

void nn_loader_next(nn_loader *l, const float **images, const uint8_t **labels) {
  pthread_mutex_lock(&l->lock);
  int64_t k = l->given++;
  pthread_cond_signal(&l->change);
  while (l->made <= k) pthread_cond_wait(&l->change, &l->lock);
  pthread_mutex_unlock(&l->lock);
  *images = l->images[k % SLOTS];
  *labels = l->labels[k % SLOTS];
}

void nn_loader_free(nn_loader *l) {
  if (!l) return;
  if (l->running) {
    pthread_mutex_lock(&l->lock);
    l->stop = 1;
    pthread_cond_signal(&l->change);
    pthread_mutex_unlock(&l->lock);
    pthread_join(l->thread, NULL);
  }
  for (int i = 0; i < SLOTS; i++) {
    free(l->images[i]);
    free(l->labels[i]);
  }
  free(l->order);
  pthread_mutex_destroy(&l->lock);
  pthread_cond_destroy(&l->change);
  free(l);
}
