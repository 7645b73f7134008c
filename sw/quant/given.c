/* Notes of quantized values and weights: their container, and the notes of an integer network. */
#include "quant/given.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

espl_qgiven *espl_qgiven_new(void) { return espl_calloc(1, sizeof(espl_qgiven)); }

static void note_clear(espl_qnote *n) {
  free(n->w);
  free(n->wscale);
  free(n->bias);
  free(n->bias_scale);
  *n = (espl_qnote){0};
}

void espl_qgiven_free(espl_qgiven *v) {
  if (!v) return;
  for (int32_t i = 0; i < v->cap; i++) note_clear(&v->note[i]);
  free(v->note);
  free(v);
}

espl_qnote *espl_qgiven_note(espl_qgiven *v, int32_t node) {
  if (node >= v->cap) {
    int32_t cap = 2 * node + 16;
    espl_qnote *p = realloc(v->note, (size_t)cap * sizeof *p);
    if (!p) return NULL;
    memset(p + v->cap, 0, (size_t)(cap - v->cap) * sizeof *p);
    v->note = p;
    v->cap = cap;
  }
  return &v->note[node];
}

bool espl_qgiven_has(const espl_qgiven *v, int32_t node) { return v && node < v->cap && v->note[node].quantized; }

void espl_qgiven_removed(espl_qgiven *v, int32_t node) {
  if (!v || node >= v->cap) return;
  note_clear(&v->note[node]);
  memmove(&v->note[node], &v->note[node + 1], (size_t)(v->cap - node - 1) * sizeof *v->note);
  v->note[v->cap - 1] = (espl_qnote){0};
}

espl_status espl_qgiven_prune(espl_qgiven *v, espl_graph *g, espl_err *err) {
  int32_t nodes = g->nodes, *to = espl_calloc((size_t)nodes, sizeof *to);
  espl_status s = to ? espl_graph_prune(g, to, err) : espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", g->name);
  for (int32_t i = 0; v && s == ESPL_OK && i < nodes && i < v->cap; i++) {
    if (to[i] == i) continue;
    if (to[i] < 0) note_clear(&v->note[i]);
    else v->note[to[i]] = v->note[i];
    v->note[i] = (espl_qnote){0};
  }
  free(to);
  return s;
}

/* ---- from an integer network ---- */

static espl_status no_memory(espl_err *err) { return espl_fail(err, ESPL_E_NOMEM, "quantized graph: out of memory"); }

static void note_value(espl_qgiven *v, int32_t node, float scale, int32_t zero) {
  if (node < 0) return;
  v->note[node].quantized = true;
  v->note[node].scale = scale;
  v->note[node].zero = zero;
}

/* Integers of layer l in the layout [O][I/g][KH][KW], bias without the input's zero point. */
static espl_status note_weights(espl_qnote *n, const espl_qlayer *l, const espl_qtensor *in, espl_err *err) {
  int32_t taps = l->kh * l->kw, ig = l->in_c / l->groups, og = l->out_c / l->groups;
  n->w = espl_calloc((size_t)l->out_c * (size_t)(ig * taps), 1);
  n->wscale = espl_calloc((size_t)l->out_c, sizeof *n->wscale);
  n->bias = espl_calloc((size_t)l->out_c, sizeof *n->bias);
  n->bias_scale = espl_calloc((size_t)l->out_c, sizeof *n->bias_scale);
  if (!n->w || !n->wscale || !n->bias || !n->bias_scale) return no_memory(err);
  for (int32_t o = 0; o < l->out_c; o++) {
    const int8_t *row = l->w + ((int64_t)o * l->in_c + o / og * ig) * taps;
    int64_t sum = 0;
    for (int32_t j = 0; j < ig * taps; j++) sum += row[j];
    memcpy(n->w + (int64_t)o * ig * taps, row, (size_t)(ig * taps));
    n->wscale[o] = l->wscale[o];
    n->bias[o] = (int32_t)(l->par[o].bias + in->zero * sum);
    n->bias_scale[o] = (float)((double)in->scale * (double)l->wscale[o]);
  }
  return ESPL_OK;
}

/* BatchNorm with a layer of its own: a depthwise 1x1 convolution with the same integers (the diagonal of the layer's matrix). */
static espl_status batchnorm_as_conv(espl_graph *f, int32_t id, espl_qlayer *l, espl_err *err) {
  espl_node *n = &f->node[id];
  int32_t dim[4] = {l->out_c, 1, 1, 1};
  for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
    espl_param_free(n->param[k]);
    n->param[k] = NULL;
  }
  n->op = ESPL_OP_CONV;
  n->conv = (espl_conv_attr){.kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .groups = l->out_c};
  l->groups = l->out_c;
  return espl_graph_add_param(f, id, ESPL_PARAM_WEIGHT, NULL, 4, dim, err);
}

/* The float parameters become what the integers stand for; a bias that is 0 everywhere and was not there stays away. */
static espl_status set_params(espl_graph *f, int32_t id, espl_qnote *n, espl_err *err) {
  espl_node *node = &f->node[id];
  espl_param *w = node->param[ESPL_PARAM_WEIGHT];
  int32_t o = w->dim[0];
  int64_t row = w->elems / o;
  bool any = node->param[ESPL_PARAM_BIAS] != NULL;
  for (int32_t k = 0; k < o; k++) any = any || n->bias[k];
  if (any && !node->param[ESPL_PARAM_BIAS]) ESPL_TRY(espl_graph_add_param(f, id, ESPL_PARAM_BIAS, NULL, 1, &o, err));
  for (int64_t k = 0; k < w->elems; k++) w->value[k] = n->wscale[k / row] * (float)n->w[k];
  for (int32_t k = 0; any && k < o; k++) node->param[ESPL_PARAM_BIAS]->value[k] = n->bias_scale[k] * (float)n->bias[k];
  if (any) return ESPL_OK;
  free(n->bias);
  free(n->bias_scale);
  n->bias = NULL;
  n->bias_scale = NULL;
  return ESPL_OK;
}

static espl_status note_layer(espl_graph *f, espl_qgiven *v, const espl_qnet *q, int32_t i, uint8_t *alone, espl_err *err) {
  espl_qlayer l = q->layer[i]; /* groups is that of the file */
  note_value(v, l.value, l.vscale, l.zo);
  espl_op op = f->node[l.node].op;
  if (op != ESPL_OP_CONV && op != ESPL_OP_GEMM && op != ESPL_OP_BATCHNORM) return ESPL_OK;
  alone[l.node] = 1;
  if (op == ESPL_OP_BATCHNORM) ESPL_TRY(batchnorm_as_conv(f, l.node, &l, err));
  ESPL_TRY(note_weights(&v->note[l.node], &l, &q->tensor[l.in], err));
  return set_params(f, l.node, &v->note[l.node], err);
}

static espl_status make_notes(espl_graph *f, espl_qgiven *v, const espl_qnet *q, uint8_t *alone, espl_err *err) {
  for (int32_t i = 0; i < q->layers; i++) ESPL_TRY(note_layer(f, v, q, i, alone, err));
  for (int32_t i = 0; i < q->tensors; i++) note_value(v, q->tensor[i].node, q->tensor[i].scale, q->tensor[i].zero);
  for (int32_t i = 1; i < f->nodes; i++) {
    int32_t from = f->node[i].input[0];
    if (f->node[i].op == ESPL_OP_FLATTEN && v->note[from].quantized) note_value(v, i, v->note[from].scale, v->note[from].zero);
  }
  for (int32_t i = f->nodes - 1; i > 0; i--) {
    if (f->node[i].op != ESPL_OP_BATCHNORM || alone[i]) continue;
    if (v->note[i].quantized) note_value(v, f->node[i].input[0], v->note[i].scale, v->note[i].zero);
    espl_qgiven_removed(v, i);
    ESPL_TRY(espl_graph_remove(f, i, 0, err));
  }
  return espl_graph_check(f, err);
}

espl_status espl_qgiven_of(const espl_graph *g, const espl_qnet *q, espl_graph **folded, espl_qgiven **out, espl_err *err) {
  espl_graph *f = espl_graph_clone(g);
  espl_qgiven *v = espl_qgiven_new();
  uint8_t *alone = espl_calloc((size_t)g->nodes, 1);
  espl_status s = f && v && alone && espl_qgiven_note(v, g->nodes) ? make_notes(f, v, q, alone, err) : no_memory(err);
  free(alone);
  if (s == ESPL_OK) {
    *folded = f;
    *out = v;
    return ESPL_OK;
  }
  espl_graph_free(f);
  espl_qgiven_free(v);
  return s;
}
