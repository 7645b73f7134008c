/* Accuracy of an integer network over a set of images. */
#include <stdlib.h>

#include "base/interrupt.h"
#include "base/mem.h"
#include "quant/qnet.h"

enum { BATCH = 64 };

/* First of the largest logits, as a float network's argmax. */
static int32_t best(const int8_t *v, int32_t n) {
  int32_t k = 0;
  for (int32_t i = 1; i < n; i++)
    if (v[i] > v[k]) k = i;
  return k;
}

static espl_status count(const espl_qnet *q, espl_qexec *x, const espl_dataset *d, const espl_preprocess *pp, int32_t images, int64_t *right, espl_err *err) {
  int64_t in = espl_shape_elems(d->shape);
  int32_t classes = q->tensor[q->output].shape.c;
  float *f = espl_calloc((size_t)in, sizeof *f);
  int8_t *a = espl_calloc((size_t)(BATCH * in), 1), *b = espl_calloc((size_t)BATCH * (size_t)classes, 1);
  espl_status s = f && a && b ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
  for (int32_t at = 0; s == ESPL_OK && at < images; at += BATCH) {
    int32_t n = images - at < BATCH ? images - at : BATCH;
    for (int32_t k = 0; k < n; k++) {
      espl_data_image(d, at + k, pp, 0, 0, f);
      espl_qnet_input(q, f, a + k * in);
    }
    s = espl_interrupt_check(err);
    if (s == ESPL_OK) s = espl_qexec_run(x, n, a, b, err);
    for (int32_t k = 0; s == ESPL_OK && k < n; k++) *right += best(b + k * classes, classes) == d->labels[at + k];
  }
  free(f);
  free(a);
  free(b);
  return s;
}

espl_status espl_qnet_evaluate(const espl_qnet *q, const espl_dataset *d, const espl_preprocess *pp, int32_t limit, double *accuracy, espl_err *err) {
  espl_qexec *x = NULL;
  int64_t right = 0;
  int32_t images = limit > 0 && limit < d->n ? limit : d->n;
  if (espl_shape_elems(d->shape) != espl_shape_elems(q->tensor[0].shape))
    return espl_fail(err, ESPL_E_INPUT, "%s: images of %lld values, network %s takes %lld", d->source, (long long)espl_shape_elems(d->shape), q->name,
                     (long long)espl_shape_elems(q->tensor[0].shape));
  ESPL_TRY(espl_qexec_new(q, BATCH, &x, err));
  espl_status s = count(q, x, d, pp, images, &right, err);
  espl_qexec_free(x);
  if (s == ESPL_OK) *accuracy = images > 0 ? (double)right / images : 0;
  return s;
}
