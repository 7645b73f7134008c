/* Batches of float images prepared ahead by one thread.
 *
 * Law: batch k is a pure function of (data set, preprocessing, seed, k); when it is prepared never matters. Training
 * order: a permutation of the set for each epoch keyed by (seed, epoch), the incomplete last batch left out; a set smaller
 * than one batch is repeated. In order: images 0..limit-1, the last batch filled up with image 0. */
#ifndef ESPL_NN_LOADER_H
#define ESPL_NN_LOADER_H
#include "data/data.h"

typedef struct nn_loader_config {
  const espl_dataset *data;
  const espl_preprocess *pp;
  int32_t batch, limit; /* limit: images used, <= data->n */
  int shuffle, augment, flip;
  uint64_t seed;
  int64_t first;   /* the first batch that nn_loader_next gives */
  int64_t batches; /* one behind the last that it will be asked for */
} nn_loader_config;

typedef struct nn_loader nn_loader;
espl_status nn_loader_new(const nn_loader_config *c, nn_loader **out, espl_err *err) ESPL_MUST_CHECK;
/* The next batch: *images [batch,c,h,w], *labels [batch]; both valid until the call after it. */
void nn_loader_next(nn_loader *l, const float **images, const uint8_t **labels);
void nn_loader_free(nn_loader *l);
int32_t nn_loader_epoch_batches(const nn_loader_config *c); /* batches in one epoch of a training order */
#endif
