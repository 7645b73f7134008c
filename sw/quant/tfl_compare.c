/* Accuracy under TFLite's arithmetic, beside the machine's. */
#include <stdlib.h>

#include "base/interrupt.h"
#include "base/mem.h"
#include "quant/tfl.h"

enum { BATCH = 64 };

typedef struct pair {
  espl_tfl *t;
  espl_qexec *m;
  float *x;
  int8_t *in, *machine, *logits, *last;
} pair;

static int32_t best(const int8_t *v, int32_t n) {
  int32_t k = 0;
  for (int32_t i = 1; i < n; i++)
    if (v[i] > v[k]) k = i;
  return k;
}

static void count(const pair *p, int32_t k, int32_t classes, int32_t label, espl_tfl_compared *r, int64_t right[2]) {
  const int8_t *m = p->machine + (int64_t)k * classes;
  for (int32_t c = 0; c < classes; c++) {
    int32_t d = abs(m[c] - p->logits[c]);
    r->logits++;
    r->equal += d == 0;
    r->within1 += d <= 1;
    r->largest = d > r->largest ? d : r->largest;
  }
  r->top1_changed += best(m, classes) != best(p->logits, classes);
  right[0] += best(m, classes) == label;
  right[1] += best(p->last, classes) == label;
}

static espl_status over(const pair *p, const espl_qnet *q, const espl_dataset *d, const espl_preprocess *pp, int32_t images, espl_tfl_compared *r, espl_err *err) {
  int64_t n = espl_shape_elems(d->shape), right[2] = {0, 0};
  int32_t classes = q->tensor[q->output].shape.c;
  for (int32_t at = 0; at < images; at += BATCH) {
    int32_t got = images - at < BATCH ? images - at : BATCH;
    for (int32_t k = 0; k < got; k++) {
      espl_data_image(d, at + k, pp, 0, 0, p->x);
      espl_qnet_input(q, p->x, p->in + k * n);
    }
    ESPL_TRY(espl_interrupt_check(err));
    ESPL_TRY(espl_qexec_run(p->m, got, p->in, p->machine, err));
    for (int32_t k = 0; k < got; k++) {
      espl_tfl_run(p->t, p->in + k * n, p->logits, p->last);
      count(p, k, classes, d->labels[at + k], r, right);
    }
  }
  r->images = images;
  r->accuracy_machine = images ? (double)right[0] / images : 0;
  r->accuracy_tflite = images ? (double)right[1] / images : 0;
  return ESPL_OK;
}

espl_status espl_tfl_compare(const espl_graph *g, const espl_qnet *q, const espl_dataset *d, const espl_preprocess *pp, int32_t limit, espl_tfl_compared *r, espl_err *err) {
  int64_t n = espl_shape_elems(d->shape), classes = q->tensor[q->output].shape.c;
  pair p = {0};
  *r = (espl_tfl_compared){0};
  if (n != espl_shape_elems(q->tensor[0].shape))
    return espl_fail(err, ESPL_E_INPUT, "%s: images of %lld values, network %s takes %lld", d->source, (long long)n, q->name, (long long)espl_shape_elems(q->tensor[0].shape));
  p.x = espl_calloc((size_t)n, sizeof *p.x);
  p.in = espl_calloc((size_t)(n * BATCH), 1);
  p.machine = espl_calloc((size_t)(classes * BATCH), 1);
  p.logits = espl_calloc((size_t)classes, 1);
  p.last = espl_calloc((size_t)classes, 1);
  espl_status s = p.x && p.in && p.machine && p.logits && p.last ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
  if (s == ESPL_OK) s = espl_tfl_new(g, q, &p.t, err);
  if (s == ESPL_OK) s = espl_qexec_new(q, BATCH, &p.m, err);
  if (s == ESPL_OK) s = over(&p, q, d, pp, limit > 0 && limit < d->n ? limit : d->n, r, err);
  espl_tfl_free(p.t);
  espl_qexec_free(p.m);
  free(p.x);
  free(p.in);
  free(p.machine);
  free(p.logits);
  free(p.last);
  return s;
}
