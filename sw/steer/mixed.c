/* One layer at a time in int4, then a knapsack over layers. */
#include "steer/mixed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/mem.h"
#include "steer/knapsack.h"

enum { BATCH = 50 };
static const char PREFIX[] = "mixed:";

void espl_mixed_clear(espl_mixed *m) {
  free(m->layer);
  free(m->spec);
  *m = (espl_mixed){0};
}

espl_status espl_mixed_parse(const char *spec, bool *found, double *bits, int64_t *bytes, espl_err *err) {
  *found = spec && strncmp(spec, PREFIX, sizeof PREFIX - 1) == 0;
  *bits = 0;
  *bytes = 0;
  if (!*found) return ESPL_OK;
  char *end = NULL;
  const char *number = spec + sizeof PREFIX - 1;
  double v = strtod(number, &end);
  bool whole_bytes = end != number && strcmp(end, "B") == 0;
  if (whole_bytes && v >= 1 && v <= 1e15 && v == floor(v)) *bytes = (int64_t)v;
  else if (end != number && !*end && v >= 4 && v <= 8) *bits = v;
  else return espl_fail(err, ESPL_E_INPUT, "weights: \"%s\": expected mixed:BITS with 4 to 8 bits a weight on average, or mixed:NB with N bytes of weights", spec);
  return ESPL_OK;
}

typedef struct study {
  espl_qnet *q8, *q4;      /* the network in int8 and in int4: only weights, their scales and parameters differ */
  const espl_dataset *val;
  int32_t images, classes;
  int8_t *input;           /* [images, c*h*w] */
  int8_t *logits;          /* [BATCH, classes] */
  double *reference;       /* [images, classes] log-probabilities in int8 */
  double *log_p;           /* [classes] */
} study;

/* log softmax of int8 logits */
static void log_softmax(const espl_qtensor *t, const int8_t *v, int32_t n, double *out) {
  double top = -INFINITY, sum = 0;
  for (int32_t i = 0; i < n; i++) top = fmax(top, (double)t->scale * v[i]);
  for (int32_t i = 0; i < n; i++) sum += exp((double)t->scale * v[i] - top);
  for (int32_t i = 0; i < n; i++) out[i] = (double)t->scale * v[i] - top - log(sum);
}

/* Runs q over the images: keeps its log-probabilities as the reference, or compares with it. */
static espl_status run(study *s, const espl_qnet *q, double *divergence, espl_err *err) {
  espl_qexec *x = NULL;
  int64_t n = espl_shape_elems(s->val->shape);
  double sum = 0;
  ESPL_TRY(espl_qexec_new(q, BATCH, &x, err));
  espl_status e = ESPL_OK;
  for (int32_t at = 0; e == ESPL_OK && at < s->images; at += BATCH) {
    int32_t got = s->images - at < BATCH ? s->images - at : BATCH;
    e = espl_interrupt_check(err);
    if (e == ESPL_OK) e = espl_qexec_run(x, got, s->input + at * n, s->logits, err);
    for (int32_t k = 0; e == ESPL_OK && k < got; k++) {
      double *ref = s->reference + (int64_t)(at + k) * s->classes, *p = divergence ? s->log_p : ref;
      log_softmax(&q->tensor[q->output], s->logits + (int64_t)k * s->classes, s->classes, p);
      for (int32_t c = 0; divergence && c < s->classes; c++) sum += exp(ref[c]) * (ref[c] - p[c]);
    }
  }
  espl_qexec_free(x);
  if (divergence) *divergence = fmax(0, sum / s->images);
  return e;
}

/* Exchanges what differs between the two forms of layer i. */
static void exchange(study *s, int32_t i) {
  espl_qlayer *a = &s->q8->layer[i], *b = &s->q4->layer[i], was = *a;
  a->w = b->w, a->wscale = b->wscale, a->par = b->par;
  b->w = was.w, b->wscale = was.wscale, b->par = was.par;
}

static bool has_weights(const espl_graph *g, const espl_qlayer *l) {
  return l->w && (g->node[l->node].op == ESPL_OP_CONV || g->node[l->node].op == ESPL_OP_GEMM);
}

static int64_t weights_of(const espl_qlayer *l) { return (int64_t)l->out_c * (l->in_c / l->groups) * l->kh * l->kw; }

static int64_t bytes_in(int64_t weights, int32_t bits) { return (weights * bits + 7) / 8; }

static espl_status list_layers(const espl_graph *g, const study *s, espl_mixed *m, espl_err *err) {
  m->layer = espl_calloc((size_t)s->q8->layers, sizeof *m->layer);
  if (!m->layer) return espl_fail(err, ESPL_E_NOMEM, "mixed weights: out of memory");
  for (int32_t i = 0; i < s->q8->layers; i++) {
    const espl_qlayer *l = &s->q8->layer[i];
    if (!has_weights(g, l)) continue;
    const char *name = g->node[l->node].name;
    if (strchr(name, ',')) return espl_fail(err, ESPL_E_INPUT, "mixed weights: layer \"%s\" has a comma in its name, which a list of layers cannot hold", name);
    m->layer[m->layers++] = (espl_mixed_layer){.name = name, .weights = weights_of(l)};
    m->weights += weights_of(l);
  }
  return ESPL_OK;
}

static espl_status measure(const espl_graph *g, study *s, espl_progress *progress, espl_mixed *m, espl_err *err) {
  int32_t k = 0;
  ESPL_TRY(run(s, s->q8, NULL, err));
  for (int32_t i = 0; i < s->q8->layers; i++) {
    if (!has_weights(g, &s->q8->layer[i])) continue;
    exchange(s, i);
    espl_status e = run(s, s->q8, &m->layer[k].sensitivity, err);
    exchange(s, i);
    ESPL_TRY(e);
    espl_progress_at(progress, (double)++k / m->layers);
  }
  return ESPL_OK;
}

/* int8 keeps what int4 would lose. */
static espl_status choose(espl_mixed *m, espl_err *err) {
  espl_option *option = espl_calloc((size_t)m->layers * 2, sizeof *option);
  espl_item *item = espl_calloc((size_t)m->layers, sizeof *item);
  int32_t *pick = espl_calloc((size_t)m->layers, sizeof *pick);
  espl_choice c = {0};
  int64_t least = 0;
  espl_status e = option && item && pick ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "mixed weights: out of memory");
  for (int32_t i = 0; e == ESPL_OK && i < m->layers; i++) {
    espl_option *o = option + 2 * (int64_t)i;
    o[0] = (espl_option){bytes_in(m->layer[i].weights, 4), 0};
    o[1] = (espl_option){bytes_in(m->layer[i].weights, 8), m->layer[i].sensitivity};
    item[i] = (espl_item){2, o};
    least += o[0].cost;
  }
  if (e == ESPL_OK) e = espl_knapsack(m->layers, item, m->budget_bytes, pick, &c, err);
  if (e == ESPL_OK && !c.feasible)
    e = espl_fail(err, ESPL_E_INPUT, "mixed weights: the budget is %lld bytes, all layers in int4 take %lld", (long long)m->budget_bytes, (long long)least);
  for (int32_t i = 0; e == ESPL_OK && i < m->layers; i++) {
    m->layer[i].bits = pick[i] ? 8 : 4;
    m->layer[i].bytes = bytes_in(m->layer[i].weights, m->layer[i].bits);
    m->bytes += m->layer[i].bytes;
  }
  m->bits = 8.0 * (double)m->bytes / (double)m->weights;
  m->gap = c.gap;
  free(option);
  free(item);
  free(pick);
  return e;
}

static espl_status write_spec(espl_mixed *m, espl_err *err) {
  size_t room = sizeof "int8", at;
  for (int32_t i = 0; i < m->layers; i++) room += strlen(m->layer[i].name) + sizeof ",=int4";
  m->spec = espl_calloc(room, 1);
  if (!m->spec) return espl_fail(err, ESPL_E_NOMEM, "mixed weights: out of memory");
  at = (size_t)snprintf(m->spec, room, "int8");
  for (int32_t i = 0; i < m->layers; i++)
    if (m->layer[i].bits == 4) at += (size_t)snprintf(m->spec + at, room - at, ",%s=int4", m->layer[i].name);
  return ESPL_OK;
}

static espl_status prepare(study *s, const espl_preprocess *pp, espl_err *err) {
  int64_t n = espl_shape_elems(s->val->shape);
  const espl_qtensor *out = &s->q8->tensor[s->q8->output];
  s->classes = out->shape.c;
  s->input = espl_calloc((size_t)s->images, (size_t)n);
  s->logits = espl_calloc((size_t)s->classes, BATCH);
  s->reference = espl_calloc((size_t)s->images * (size_t)s->classes, sizeof *s->reference);
  s->log_p = espl_calloc((size_t)s->classes, sizeof *s->log_p);
  float *x = espl_calloc((size_t)n, sizeof *x);
  bool room = s->input && s->logits && s->reference && s->log_p && x;
  for (int32_t i = 0; room && i < s->images; i++) {
    espl_data_image(s->val, i, pp, 0, 0, x);
    espl_qnet_input(s->q8, x, s->input + i * n);
  }
  free(x);
  return room ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "mixed weights: out of memory");
}

espl_status espl_mixed_choose(espl_graph *g, const espl_dataset *train, const espl_dataset *val, const espl_preprocess *pp, const espl_quant_config *cfg, double bits,
                              int64_t bytes, int32_t images, espl_progress *progress, espl_mixed *out, espl_err *err) {
  study s = {.val = val, .images = images > 0 && images < val->n ? images : val->n};
  espl_quant_config form = *cfg;
  *out = (espl_mixed){.images = s.images};
  form.weights = NULL;
  espl_status e = espl_quantize(g, train, pp, &form, &s.q8, err);
  form.weights = "int4";
  if (e == ESPL_OK) e = espl_quantize(g, train, pp, &form, &s.q4, err);
  if (e == ESPL_OK) e = list_layers(g, &s, out, err);
  if (e == ESPL_OK) e = prepare(&s, pp, err);
  if (e == ESPL_OK) e = measure(g, &s, progress, out, err);
  out->budget_bytes = bytes > 0 ? bytes : (int64_t)((double)out->weights * bits / 8);
  if (e == ESPL_OK) e = choose(out, err);
  if (e == ESPL_OK) e = write_spec(out, err);
  espl_qnet_free(s.q8);
  espl_qnet_free(s.q4);
  free(s.input);
  free(s.logits);
  free(s.reference);
  free(s.log_p);
  if (e != ESPL_OK) espl_mixed_clear(out);
  return e;
}
