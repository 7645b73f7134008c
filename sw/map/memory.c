/* Memory of tensors. A tensor lives from the layer that first writes into it (the network's input: from the start) to the last layer that reads it
 * (the output: to the end); what a layer reads and what it writes never share memory. Tensors whose lives do not meet may lie in the same place:
 * the largest first, each at the lowest free place (greedy by size: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020). */
#include <stdlib.h>

#include "base/mem.h"
#include "map/map_int.h"

typedef struct life {
  int32_t tensor, first, last;
  uint64_t bytes, at;
} life;

static void touch(const espl_qnet *q, life *l, int32_t tensor, int32_t layer) {
  int32_t c, root = espl_qnet_root(q, tensor, &c);
  l[root].first = map_min(l[root].first, layer);
  l[root].last = map_max(l[root].last, layer);
}

static void lives(const espl_qnet *q, const uint64_t *bytes, bool keep, life *l) {
  for (int32_t i = 0; i < q->tensors; i++) l[i] = (life){i, keep ? -1 : q->layers, keep ? q->layers : -1, bytes[i], 0};
  touch(q, l, 0, -1);
  for (int32_t i = 0; i < q->layers; i++) {
    touch(q, l, q->layer[i].in, i);
    touch(q, l, q->layer[i].out, i);
    if (q->layer[i].res >= 0) touch(q, l, q->layer[i].res, i);
  }
  for (int32_t i = 0; i < q->layers; i++) { /* what no layer writes is there from the start */
    int32_t c, in = espl_qnet_root(q, q->layer[i].in, &c), res = q->layer[i].res >= 0 ? espl_qnet_root(q, q->layer[i].res, &c) : in;
    if (l[in].first == i) l[in].first = -1;
    if (l[res].first == i) l[res].first = -1;
  }
  touch(q, l, q->output, q->layers);
}

static int by_size(const void *a, const void *b) {
  const life *x = a, *y = b;
  return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : x->tensor - y->tensor;
}

static int by_place(const void *a, const void *b) {
  const life *x = *(life *const *)a, *y = *(life *const *)b;
  return x->at != y->at ? (x->at > y->at ? 1 : -1) : x->tensor - y->tensor;
}

/* Lowest place for l[k] beside those of l[0..k) that live when it does. */
static uint64_t place(life *l, int32_t k, life **beside) {
  int32_t n = 0;
  uint64_t at = 0;
  for (int32_t i = 0; i < k; i++)
    if (l[i].bytes > 0 && l[i].first <= l[k].last && l[k].first <= l[i].last) beside[n++] = &l[i];
  qsort(beside, (size_t)n, sizeof(life *), by_place);
  for (int32_t i = 0; i < n; i++) {
    if (beside[i]->at >= at + l[k].bytes) return at;
    if (beside[i]->at + beside[i]->bytes > at) at = beside[i]->at + beside[i]->bytes;
  }
  return at;
}

espl_status map_memory_place(const espl_qnet *q, const uint64_t *bytes, bool keep, uint64_t *at, uint64_t *total, espl_err *err) {
  life *l = espl_calloc((size_t)q->tensors, sizeof *l), **beside = espl_calloc((size_t)q->tensors, sizeof *beside);
  espl_status s = l && beside ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", q->name);
  if (s == ESPL_OK) {
    lives(q, bytes, keep, l);
    if (!keep) qsort(l, (size_t)q->tensors, sizeof *l, by_size);
    *total = 0;
    for (int32_t k = 0; k < q->tensors; k++) {
      l[k].at = place(l, k, beside);
      at[l[k].tensor] = l[k].at;
      if (l[k].at + l[k].bytes > *total) *total = l[k].at + l[k].bytes;
    }
  }
  free(l);
  free(beside);
  return s;
}
