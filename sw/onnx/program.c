/* Reading a file as a tensor program: names become value ids, attributes are decoded, nothing is computed. */
#include "onnx/program.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "onnx/onnx_int.h"

typedef struct entry {
  const char *name; /* borrowed from the model */
  int32_t value;
  bool defined;
} entry;

typedef struct reading {
  const Onnx__ModelProto *model;
  const Onnx__GraphProto *g;
  int64_t opset;
  espl_tprogram *p;
  entry *names; /* open hash, cap is a power of two, never full */
  size_t cap;
  espl_err *err;
} reading;

/* ---- names ---- */

static entry *lookup(reading *r, const char *name) {
  uint64_t h = 1469598103934665603u;
  for (const char *p = name; *p; p++) h = (h ^ (uint8_t)*p) * 1099511628211u;
  size_t k = (size_t)(h ^ h >> 32) & (r->cap - 1);
  while (r->names[k].name && strcmp(r->names[k].name, name)) k = (k + 1) & (r->cap - 1);
  return &r->names[k];
}

static espl_status define(reading *r, const char *name, int32_t *value) {
  entry *e = lookup(r, name);
  if (e->defined) return espl_fail(r->err, ESPL_E_INPUT, "value %s is defined twice", name);
  *e = (entry){name, r->p->values, true};
  *value = r->p->values++;
  return ESPL_OK;
}

static espl_status make_room(reading *r) {
  const Onnx__GraphProto *g = r->g;
  size_t names = g->n_input + g->n_output + g->n_initializer;
  for (size_t k = 0; k < g->n_node; k++) names += g->node[k]->n_input + g->node[k]->n_output;
  if (names > INT32_MAX / 4) return espl_fail(r->err, ESPL_E_INPUT, "%zu names", names);
  for (r->cap = 16; r->cap < 2 * names; r->cap *= 2) continue;
  r->names = espl_calloc(r->cap, sizeof *r->names);
  r->p = espl_calloc(1, sizeof *r->p);
  if (r->p) {
    r->p->konst = espl_calloc(names + 1, sizeof *r->p->konst);
    r->p->step = espl_calloc(g->n_node + 1, sizeof *r->p->step);
    r->p->input = espl_calloc(g->n_input + 1, sizeof *r->p->input);
    r->p->output = espl_calloc(g->n_output + 1, sizeof *r->p->output);
  }
  bool ok = r->names && r->p && r->p->konst && r->p->step && r->p->input && r->p->output;
  return ok ? ESPL_OK : espl_fail(r->err, ESPL_E_NOMEM, "out of memory for %zu names", names);
}

/* ---- inputs, outputs ---- */

static espl_status port(reading *r, const Onnx__ValueInfoProto *v, espl_tport *out) {
  const char *name = espli_text(v->name);
  const Onnx__TypeProto *t = v->type;
  if (!t || t->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) return espl_fail(r->err, ESPL_E_UNSUPPORTED, "input %s: is not a tensor", name);
  if (!espl_type_known(t->tensor_type->elem_type))
    return espl_fail(r->err, ESPL_E_UNSUPPORTED, "input %s: element type %d is not supported", name, t->tensor_type->elem_type);
  const Onnx__TensorShapeProto *s = t->tensor_type->shape;
  if (s && s->n_dim > ESPL_TENSOR_DIMS) return espl_fail(r->err, ESPL_E_UNSUPPORTED, "input %s: %zu dimensions, at most %d are supported", name, s->n_dim, ESPL_TENSOR_DIMS);
  out->type = (espl_type)t->tensor_type->elem_type;
  out->dims = s ? (int)s->n_dim : -1;
  for (int d = 0; d < out->dims; d++) {
    const Onnx__TensorShapeProto__Dimension *x = s->dim[d];
    out->dim[d] = x->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && x->dim_value >= 0 ? x->dim_value : -1;
  }
  out->name = espl_strdup(name);
  r->p->n_inputs++; /* counted at once, so that the name is freed */
  return out->name ? ESPL_OK : espl_fail(r->err, ESPL_E_NOMEM, "out of memory");
}

static espl_status sources(reading *r) {
  int32_t v;
  for (size_t k = 0; k < r->g->n_initializer; k++) {
    ESPL_TRY(define(r, espli_text(r->g->initializer[k]->name), &v));
    ESPL_TRY(espli_tensor_take(r->g->initializer[k], &r->p->konst[v], r->err));
  }
  for (size_t k = 0; k < r->g->n_input; k++) {
    const char *name = espli_text(r->g->input[k]->name);
    entry *e = lookup(r, name);
    if (e->defined && r->p->konst[e->value]) continue; /* old files list initializers as inputs */
    ESPL_TRY(define(r, name, &v));
    espl_tport *at = &r->p->input[r->p->n_inputs];
    ESPL_TRY(port(r, r->g->input[k], at));
    at->value = v;
  }
  return ESPL_OK;
}

static espl_status sinks(reading *r) {
  for (size_t k = 0; k < r->g->n_output; k++) {
    const char *name = espli_text(r->g->output[k]->name);
    entry *e = lookup(r, name);
    if (!e->defined) return espl_fail(r->err, ESPL_E_INPUT, "output %s is not defined by any node", name);
    r->p->output[k].value = e->value;
    r->p->output[k].name = espl_strdup(name);
    r->p->n_outputs++;
    if (!r->p->output[k].name) return espl_fail(r->err, ESPL_E_NOMEM, "out of memory");
  }
  return r->p->n_outputs ? ESPL_OK : espl_fail(r->err, ESPL_E_INPUT, "the graph has no output");
}

/* ---- nodes ---- */

static espl_status wire(reading *r, const Onnx__NodeProto *n, espl_tstep *s) {
  s->in = espl_calloc(n->n_input + 1, sizeof *s->in);
  s->out = espl_calloc(n->n_output + 1, sizeof *s->out);
  if (!s->in || !s->out) return espl_fail(r->err, ESPL_E_NOMEM, "out of memory");
  for (size_t k = 0; k < n->n_input; k++) {
    const entry *e = lookup(r, n->input[k]);
    if (n->input[k][0] && !e->defined) return espl_fail(r->err, ESPL_E_INPUT, "reads %s, which no earlier node, input or initializer defines", n->input[k]);
    s->in[k] = n->input[k][0] ? e->value : -1;
  }
  s->n_in = (int)n->n_input;
  s->n_out = (int)n->n_output;
  while (s->n_out > 0 && !n->output[s->n_out - 1][0]) s->n_out--;
  for (int k = 0; k < s->n_out; k++) {
    s->out[k] = -1;
    if (n->output[k][0]) ESPL_TRY(define(r, n->output[k], &s->out[k]));
  }
  return ESPL_OK;
}

static espl_status known_operator(reading *r, const Onnx__NodeProto *n) {
  espl_top_kind kind;
  if (espli_is_onnx_domain(n->domain) && espl_top_find(espli_text(n->op_type), &kind)) return ESPL_OK;
  return espli_refuse_operator(r->model, n, "is not supported", r->err);
}

static espl_status one_node(reading *r, const Onnx__NodeProto *n) {
  espl_tstep *s = &r->p->step[r->p->steps++];
  s->name = espl_strdup(espli_node_label(n));
  espl_status st = s->name ? espli_top_decode(n, r->opset, &s->op, &s->value, r->err) : espl_fail(r->err, ESPL_E_NOMEM, "out of memory");
  if (st == ESPL_OK) st = wire(r, n, s);
  return st == ESPL_OK ? st : espl_fail_context(r->err, "node %s (%s, opset %lld)", espli_node_label(n), n->op_type, (long long)r->opset);
}

static espl_status read_program(reading *r) {
  for (size_t k = 0; k < r->g->n_node; k++) ESPL_TRY(known_operator(r, r->g->node[k]));
  ESPL_TRY(make_room(r));
  ESPL_TRY(sources(r));
  for (size_t k = 0; k < r->g->n_node; k++) ESPL_TRY(one_node(r, r->g->node[k]));
  return sinks(r);
}

espl_status espl_onnx_program(const char *path, espl_tprogram **p, espl_err *err) {
  espl_err local = {0};
  Onnx__ModelProto *m = NULL;
  reading r = {.err = err ? err : &local};
  *p = NULL;
  ESPL_TRY(espli_model_load(path, &m, &r.opset, r.err));
  r.model = m;
  r.g = m->graph;
  espl_status s = read_program(&r);
  free(r.names);
  onnx__model_proto__free_unpacked(m, NULL);
  if (s == ESPL_OK) *p = r.p;
  else espl_tprogram_free(r.p);
  return s == ESPL_OK ? s : espl_fail_context(r.err, "%s", path);
}
