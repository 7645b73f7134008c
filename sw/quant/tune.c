/* Quantization-aware fine-tuning: from the integer network to the rounding of a training, and back. */
#include "quant/tune.h"

#include <stdlib.h>

#include "base/mem.h"
#include "quant/narrow.h"

typedef struct fakes {
  espl_fake_value *value; /* [nodes] */
  int8_t *weight_most;    /* [nodes] */
} fakes;

void espl_tune_default(espl_tune_config *t) {
  *t = (espl_tune_config){.epochs = 1, .lr = 0.002f, .batch = 128, .distill = 0.5f, .augment = 1, .seed = 1};
}

/* Every value that the machine holds as int8, but the output: the loss is taken on what its sums say. */
static espl_status mark(const espl_graph *g, const espl_qnet *q, const char *weights, fakes *f, espl_err *err) {
  for (int32_t i = 0; i < q->layers; i++) {
    const espl_qlayer *l = &q->layer[i];
    if (l->value >= 0) f->value[l->value] = (espl_fake_value){l->vscale, l->zo};
  }
  for (int32_t i = 0; i < q->tensors; i++)
    if (q->tensor[i].node >= 0) f->value[q->tensor[i].node] = (espl_fake_value){q->tensor[i].scale, q->tensor[i].zero};
  const int32_t out = q->tensor[q->output].node;
  if (out >= 0) f->value[out].scale = 0.0f;
  f->value[g->output].scale = 0.0f;
  for (int32_t i = 0; i < g->nodes; i++) {
    espl_weight_form form;
    if (g->node[i].op != ESPL_OP_CONV && g->node[i].op != ESPL_OP_GEMM) continue;
    ESPL_TRY(espl_weight_form_of(weights, g->node[i].name, &form, err));
    f->weight_most[i] = (int8_t)form.most;
  }
  return ESPL_OK;
}

static espl_status train(espl_graph *g, const espl_dataset *d, const espl_preprocess *pp, const espl_tune_config *t, const fakes *f,
                         const espl_train_hooks *hooks, espl_err *err) {
  const espl_fake fake = {f->value, f->weight_most};
  espl_train_config c;
  espl_train_default(&c);
  c.epochs = t->epochs;
  c.batch = t->batch;
  c.lr = t->lr;
  c.warmup_epochs = t->epochs < 4 ? (float)t->epochs / 20.0f : 0.2f;
  c.augment = t->augment;
  c.flip = t->flip;
  c.seed = t->seed;
  c.dtype = ESPL_F32;
  c.fake = &fake;
  c.distill = t->distill;
  espl_graph *teacher = NULL;
  if (t->distill > 0.0f && !(teacher = espl_graph_clone(g))) return espl_fail(err, ESPL_E_NOMEM, "teacher: out of memory");
  c.teacher = teacher;
  espl_graph_at_rest(g);
  espl_status s = espl_train(g, d, pp, &c, hooks, err);
  espl_graph_at_rest(g);
  espl_graph_free(teacher);
  return s;
}

espl_status espl_quantize_tune(espl_graph *g, const espl_dataset *d, const espl_preprocess *pp, const espl_quant_config *cfg,
                               const espl_tune_config *t, const espl_train_hooks *hooks, espl_qnet **out, espl_err *err) {
  *out = NULL;
  if (!(t->epochs > 0)) return espl_fail(err, ESPL_E_INPUT, "tuning: %g epochs, expected more than 0", t->epochs);
  espl_qnet *before = NULL;
  espl_quant_config kept = *cfg;
  kept.keep_range = true; /* the training rounds to the scale of the largest weight */
  ESPL_TRY(espl_quantize(g, d, pp, &kept, &before, err));
  fakes f = {espl_calloc((size_t)g->nodes, sizeof *f.value), espl_calloc((size_t)g->nodes, 1)};
  espl_status s = f.value && f.weight_most ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "tuning: out of memory");
  if (s == ESPL_OK) {
    s = mark(g, before, cfg->weights, &f, err);
    if (s == ESPL_OK) s = train(g, d, pp, t, &f, hooks, err);
  }
  espl_qnet_free(before);
  free(f.value);
  free(f.weight_most);
  return s == ESPL_OK ? espl_quantize(g, d, pp, &kept, out, err) : s;
}
