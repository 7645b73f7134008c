/* Reading: file, scan, unpack, names, then one handler a node in file order (ONNX demands topological order).
 * Constants are folded while walking; what does not reach the output is dropped at the end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "onnx/onnx_int.h"
#include "tflite/tflite.h"

#define FOLD_ELEMS ((int64_t)1 << 22)

/* ---- names ---- */

static size_t slot_of(const espli_import *im, const char *name) {
  uint64_t h = 1469598103934665603u;
  for (const char *p = name; *p; p++) h = (h ^ (uint8_t)*p) * 1099511628211u;
  size_t k = (size_t)(h ^ h >> 32) & (im->cap - 1);
  while (im->value[k].name && strcmp(im->value[k].name, name)) k = (k + 1) & (im->cap - 1);
  return k;
}

espli_value *espli_find(const espli_import *im, const char *name) {
  espli_value *v = &im->value[slot_of(im, name)];
  return v->name ? v : NULL;
}

static espli_value *intern(espli_import *im, const char *name) {
  espli_value *v = &im->value[slot_of(im, name)];
  v->name = name;
  return v;
}

static espl_status intern_all(espli_import *im) {
  const Onnx__GraphProto *s = im->model->graph;
  size_t names = s->n_input + s->n_output + s->n_initializer;
  for (size_t k = 0; k < s->n_node; k++) names += s->node[k]->n_input + s->node[k]->n_output;
  for (im->cap = 16; im->cap < 2 * names; im->cap *= 2) continue;
  im->value = espl_calloc(im->cap, sizeof *im->value);
  if (!im->value) return espl_fail(im->err, ESPL_E_NOMEM, "out of memory for %zu names", names);
  for (size_t k = 0; k < s->n_node; k++) {
    for (size_t j = 0; j < s->node[k]->n_input; j++) intern(im, s->node[k]->input[j])->uses++;
    for (size_t j = 0; j < s->node[k]->n_output; j++) intern(im, s->node[k]->output[j]);
  }
  for (size_t k = 0; k < s->n_output; k++) intern(im, espli_text(s->output[k]->name))->uses++;
  for (size_t k = 0; k < s->n_initializer; k++) {
    espli_value *v = intern(im, espli_text(s->initializer[k]->name));
    if (v->state != ESPLI_UNDEFINED) return espl_fail(im->err, ESPL_E_INPUT, "two initializers are called %s", v->name);
    v->state = ESPLI_CONST;
    v->proto = s->initializer[k];
  }
  return ESPL_OK;
}

/* ---- inputs of a node ---- */

bool espli_has_input(const Onnx__NodeProto *n, size_t k) { return k < n->n_input && n->input[k][0]; }

static espl_status input_value(espli_import *im, const Onnx__NodeProto *n, size_t k, espli_value **v) {
  if (!espli_has_input(n, k)) return espli_refuse(im, n, ESPL_E_INPUT, "input %zu is missing", k);
  *v = espli_find(im, n->input[k]);
  if (*v && (*v)->state != ESPLI_UNDEFINED) return ESPL_OK;
  return espli_refuse(im, n, ESPL_E_INPUT, "reads %s, which no earlier node, input or initializer defines", n->input[k]);
}

espl_status espli_const_pair(espli_import *im, const Onnx__NodeProto *n, size_t k, const espl_tensor **t, const espl_tensor **other) {
  espli_value *v;
  *t = *other = NULL;
  if (!espli_has_input(n, k)) return ESPL_OK;
  ESPL_TRY(input_value(im, n, k, &v));
  if (v->state == ESPLI_CONST && !v->konst) ESPL_TRY(espli_tensor_take(v->proto, &v->konst, im->err));
  if (v->state == ESPLI_CONST) *t = v->konst;
  *other = v->varied ? v->varied : *t;
  return ESPL_OK;
}

static espl_status depends(espli_import *im, const Onnx__NodeProto *n, const char *what) {
  return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "%s depends on the batch, which may vary (input %s has no fixed first dimension)", what, im->g->input_name);
}

espl_status espli_const(espli_import *im, const Onnx__NodeProto *n, size_t k, const espl_tensor **t) {
  const espl_tensor *other;
  ESPL_TRY(espli_const_pair(im, n, k, t, &other));
  return other == *t ? ESPL_OK : depends(im, n, n->input[k]);
}

/* The one element of two lists that is the batch; false when they differ in another way. */
static bool find_batch(const espl_tensor *t, const espl_tensor *other, int *batch) {
  if (!other->i || other->elems != t->elems) return false;
  for (int64_t j = 0; j < t->elems; j++) {
    if (t->i[j] == other->i[j]) continue;
    if (*batch >= 0 || t->i[j] != 1 || other->i[j] != ESPLI_OTHER_BATCH) return false;
    *batch = (int)j;
  }
  return true;
}

espl_status espli_ints_or_batch(espli_import *im, const Onnx__NodeProto *n, const char *attr, size_t k, int64_t out[ESPLI_ONNX_DIMS], int *count, int *batch) {
  const Onnx__AttributeProto *a = espli_attr(n, attr);
  const espl_tensor *t = NULL, *other = NULL;
  *count = *batch = -1;
  if (!a && k) ESPL_TRY(espli_const_pair(im, n, k, &t, &other));
  if (!a && !t) {
    if (!a && k && espli_has_input(n, k)) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "%s is computed at run time", attr);
    return ESPL_OK;
  }
  if (!a && !t->i) return espli_refuse(im, n, ESPL_E_INPUT, "%s is not a list of integers", attr);
  size_t have = a ? a->n_ints : (size_t)t->elems;
  if (have > ESPLI_ONNX_DIMS) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "%s has %zu values, at most %d are supported", attr, have, ESPLI_ONNX_DIMS);
  if (other != t && !find_batch(t, other, batch)) return depends(im, n, attr);
  for (size_t j = 0; j < have; j++) out[j] = a ? a->ints[j] : t->i[j];
  *count = (int)have;
  return ESPL_OK;
}

espl_status espli_ints(espli_import *im, const Onnx__NodeProto *n, const char *attr, size_t k, int64_t out[ESPLI_ONNX_DIMS], int *count) {
  int batch;
  ESPL_TRY(espli_ints_or_batch(im, n, attr, k, out, count, &batch));
  return batch < 0 ? ESPL_OK : depends(im, n, attr);
}

espl_status espli_flow(espli_import *im, const Onnx__NodeProto *n, size_t k, bool pads_ok, espli_value **v) {
  ESPL_TRY(input_value(im, n, k, v));
  if ((*v)->state == ESPLI_CONST) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "input %zu (%s) is a constant", k, (*v)->name);
  if ((*v)->integer) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "reads %s, which is quantized; only DequantizeLinear may", (*v)->name);
  const int32_t *p = (*v)->pad;
  if (!pads_ok && (p[0] || p[1] || p[2] || p[3]))
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "reads %s, padded in H or W; only a convolution can take such padding over", (*v)->name);
  return ESPL_OK;
}

/* ---- outputs of a node ---- */

static espl_status output_value(espli_import *im, const Onnx__NodeProto *n, size_t k, espli_value **v) {
  if (k >= n->n_output || !n->output[k][0]) return espli_refuse(im, n, ESPL_E_INPUT, "has no output");
  *v = espli_find(im, n->output[k]);
  if ((*v)->state != ESPLI_UNDEFINED) return espli_refuse(im, n, ESPL_E_INPUT, "%s is defined twice", n->output[k]);
  return ESPL_OK;
}

espl_status espli_define_const(espli_import *im, const Onnx__NodeProto *n, size_t k, espl_tensor *t, espl_tensor *varied) {
  espli_value *v = NULL;
  espl_status s = t ? output_value(im, n, k, &v) : espli_refuse(im, n, ESPL_E_NOMEM, "out of memory for a folded constant");
  if (s == ESPL_OK && (im->folded += t->elems + (varied ? varied->elems : 0)) > im->fold_limit)
    s = espli_refuse(im, n, ESPL_E_UNSUPPORTED, "constant arithmetic makes more than %lld elements", (long long)im->fold_limit);
  if (s != ESPL_OK) {
    espl_tensor_free(t);
    espl_tensor_free(varied);
    return s;
  }
  v->state = ESPLI_CONST;
  v->konst = t;
  v->varied = varied;
  return ESPL_OK;
}

espl_status espli_define_flow(espli_import *im, const Onnx__NodeProto *n, int32_t id, int rank) {
  espli_value *v = NULL;
  ESPL_TRY(output_value(im, n, 0, &v));
  v->state = ESPLI_FLOW;
  v->id = id;
  v->rank = rank;
  return ESPL_OK;
}

espl_status espli_define_alias(espli_import *im, const Onnx__NodeProto *n, const espli_value *src, int rank) {
  ESPL_TRY(espli_define_flow(im, n, src->id, rank));
  espli_value *v = espli_find(im, n->output[0]);
  v->uses += src->uses - 1; /* other readers of the source read the same thing */
  v->on_grid = src->on_grid;
  return ESPL_OK;
}

espl_status espli_define_node(espli_import *im, const Onnx__NodeProto *n, espl_node *proto, int rank, int32_t *id) {
  char name[256]; /* names are kept; a taken one gets a number */
  const char *label = espli_node_label(n);
  snprintf(name, sizeof name, "%s", label);
  for (int32_t k = im->g->nodes > im->number ? im->g->nodes : im->number; espl_graph_find(im->g, name) >= 0; im->number = ++k)
    snprintf(name, sizeof name, "%.230s_%d", label, k); /* numbers only rise: names taken on purpose cost one try each */
  int32_t at;
  proto->name = name;
  espl_status s = espl_graph_add(im->g, proto, &at, im->err);
  proto->name = NULL;
  ESPL_TRY(s);
  if (id) *id = at;
  return espli_define_flow(im, n, at, rank);
}

espl_status espli_set_param(espli_import *im, const Onnx__NodeProto *n, int32_t id, espl_param_kind kind, const char *name, int dims,
                            const int32_t *dim, const float *data) {
  ESPL_TRY(espl_graph_add_param(im->g, id, kind, name, dims, dim, im->err));
  espl_param *p = im->g->node[id].param[kind];
  if (!data) return espli_refuse(im, n, ESPL_E_INPUT, "parameter %s is not float", espli_text(name));
  memcpy(p->value, data, (size_t)p->elems * sizeof *data);
  return ESPL_OK;
}

/* ---- the whole file ---- */

/* The shape of a graph input without its batch dimension. */
static espl_status input_shape(espli_import *im, const Onnx__ValueInfoProto *in, espl_shape *s, int *rank) {
  const char *name = espli_text(in->name);
  const Onnx__TypeProto *t = in->type;
  if (!t || t->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !t->tensor_type->shape)
    return espl_fail(im->err, ESPL_E_INPUT, "input %s: has no tensor shape", name);
  const Onnx__TensorShapeProto *shape = t->tensor_type->shape;
  if (espl_type_is_int((espl_type)t->tensor_type->elem_type))
    return espl_fail(im->err, ESPL_E_UNSUPPORTED, "input %s: is of type %s, the network graph takes reals", name, espl_type_name((espl_type)t->tensor_type->elem_type));
  if (shape->n_dim < 2 || shape->n_dim > 4)
    return espl_fail(im->err, ESPL_E_UNSUPPORTED, "input %s: has %zu dimensions, [N,C,H,W], [N,C,L] and [N,C] are supported", name, shape->n_dim);
  int32_t extent[3] = {1, 1, 1};
  for (size_t d = 1; d < shape->n_dim; d++) {
    const Onnx__TensorShapeProto__Dimension *x = shape->dim[d];
    bool known = x->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && x->dim_value > 0 && x->dim_value <= INT32_MAX;
    if (!known) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "input %s: dimension %zu has no fixed extent (only the batch may vary)", name, d);
    extent[shape->n_dim == 3 && d == 2 ? 2 : d - 1] = (int32_t)x->dim_value; /* a sequence is an image of one row */
  }
  if ((int64_t)extent[0] * extent[1] > INT32_MAX || (int64_t)extent[0] * extent[1] * extent[2] > INT32_MAX)
    return espl_fail(im->err, ESPL_E_INPUT, "input %s: more than 2^31-1 elements an image", name);
  const Onnx__TensorShapeProto__Dimension *n = shape->dim[0];
  im->batch = n->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && n->dim_value > 0 ? n->dim_value : 0;
  *s = (espl_shape){extent[0], extent[1], extent[2]};
  *rank = (int)shape->n_dim;
  return ESPL_OK;
}

static espl_status replace_text(espli_import *im, char **slot, const char *text) {
  char *copy = espl_strdup(text);
  if (!copy) return espl_fail(im->err, ESPL_E_NOMEM, "out of memory");
  free(*slot);
  *slot = copy;
  return ESPL_OK;
}

static espl_status start_graph(espli_import *im) {
  const Onnx__GraphProto *s = im->model->graph;
  const Onnx__ValueInfoProto *in = NULL;
  for (size_t k = 0; k < s->n_input; k++) {
    if (intern(im, espli_text(s->input[k]->name))->state == ESPLI_CONST) continue; /* old files list initializers as inputs */
    if (in) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "two inputs, %s and %s; one is supported", espli_text(in->name), espli_text(s->input[k]->name));
    in = s->input[k];
  }
  if (!in) return espl_fail(im->err, ESPL_E_INPUT, "the graph has no input");
  if (s->n_output != 1) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "the graph has %zu outputs, one is supported", s->n_output);
  espl_shape shape = {0};
  int rank = 0;
  ESPL_TRY(input_shape(im, in, &shape, &rank));
  im->g = espl_graph_new(espli_text(s->name)[0] ? s->name : "network", shape);
  if (!im->g) return espl_fail(im->err, ESPL_E_NOMEM, "out of memory");
  ESPL_TRY(replace_text(im, &im->g->input_name, espli_text(in->name)));
  ESPL_TRY(espl_graph_rename(im->g, 0, espli_text(in->name), im->err));
  ESPL_TRY(replace_text(im, &im->g->output_name, espli_text(s->output[0]->name)));
  espli_value *v = espli_find(im, espli_text(in->name));
  v->state = ESPLI_FLOW;
  v->rank = im->g->input_rank = rank;
  return ESPL_OK;
}

static espl_status one_node(espli_import *im, const Onnx__NodeProto *n) {
  const char *op = espli_text(n->op_type);
  bool done = false, onnx = espli_is_onnx_domain(n->domain);
  espli_handler h = NULL;
  if (onnx) {
    ESPL_TRY(espli_fold(im, n, &done));
    if (done) return ESPL_OK;
    h = espli_window_handler(op);
    if (!h) h = espli_shape_handler(op);
    if (!h) h = espli_point_handler(op);
    if (!h) h = espli_qdq_handler(op);
  }
  if (h) {
    ESPL_TRY(h(im, n));
    return espli_qdq_weights(im, n);
  }
  espl_top_kind kind;
  bool evaluated = onnx && espl_top_find(op, &kind);
  return espli_refuse_operator(im->model, n, evaluated ? "has no form in the network graph (espalier run evaluates it)" : "is not supported", im->err);
}

static espl_status finish_graph(espli_import *im) {
  const Onnx__GraphProto *s = im->model->graph;
  const espli_value *v = espli_find(im, espli_text(s->output[0]->name));
  if (v->state != ESPLI_FLOW) return espl_fail(im->err, ESPL_E_INPUT, "output %s is %s", v->name, v->state == ESPLI_CONST ? "a constant" : "not defined by any node");
  if (v->pad[0] || v->pad[1] || v->pad[2] || v->pad[3]) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "output %s is padded in H or W", v->name);
  ESPL_TRY(espli_qdq_finish(im));
  im->g->output = v->id;
  im->g->output_rank = v->rank;
  ESPL_TRY(espl_qgiven_prune(im->given, im->g, im->err));
  for (size_t k = 0; k < im->model->n_metadata_props; k++) {
    const Onnx__StringStringEntryProto *p = im->model->metadata_props[k];
    if (strcmp(espli_text(p->key), "espalier.preprocess") == 0) ESPL_TRY(replace_text(im, &im->g->preprocess, espli_text(p->value)));
    if (strcmp(espli_text(p->key), "espalier.history") == 0) ESPL_TRY(replace_text(im, &im->g->history, espli_text(p->value)));
  }
  return espl_graph_check(im->g, im->err);
}

/* Folding may make FOLD_ELEMS elements and four times what the file holds: a small file cannot ask for much memory. */
static void set_fold_limit(espli_import *im) {
  uint64_t all = 0;
  for (size_t k = 0; k < im->model->graph->n_initializer; k++) {
    const Onnx__TensorProto *t = im->model->graph->initializer[k];
    all += t->raw_data.len + t->n_float_data + t->n_int32_data + t->n_int64_data + t->n_double_data + t->n_uint64_data;
  }
  im->fold_limit = all < (uint64_t)ESPL_TENSOR_ELEMS / 4 ? FOLD_ELEMS + 4 * (int64_t)all : ESPL_TENSOR_ELEMS;
}

static espl_status import_model(espli_import *im) {
  const Onnx__GraphProto *s = im->model->graph;
  ESPL_TRY(intern_all(im));
  set_fold_limit(im);
  ESPL_TRY(start_graph(im));
  for (size_t k = 0; k < s->n_node; k++) ESPL_TRY(one_node(im, s->node[k]));
  return finish_graph(im);
}

static void import_free(espli_import *im) {
  for (size_t k = 0; im->value && k < im->cap; k++) {
    espl_tensor_free(im->value[k].konst);
    espl_tensor_free(im->value[k].varied);
  }
  free(im->value);
  espl_qgiven_free(im->given);
  espl_graph_free(im->g);
}

static espl_status import_onnx(const char *path, espl_graph **g, espl_qgiven **given, espl_err *err) {
  Onnx__ModelProto *m = NULL;
  espli_import im = {.path = path, .err = err};
  *g = NULL;
  *given = NULL;
  ESPL_TRY(espli_model_load(path, &m, &im.opset, err));
  im.model = m;
  espl_status s = import_model(&im);
  if (s == ESPL_OK) {
    *g = im.g;
    im.g = NULL;
    if (im.quantized) {
      *given = im.given;
      im.given = NULL;
    }
  }
  import_free(&im);
  onnx__model_proto__free_unpacked(m, NULL);
  return s == ESPL_OK || !err ? s : espl_fail_context(err, "%s", path);
}

espl_status espli_import_file(const char *path, espl_graph **g, espl_qgiven **given, espl_err *err) {
  return espl_tflite_is_file(path) ? espl_tflite_read(path, g, given, err) : import_onnx(path, g, given, err);
}

espl_status espl_onnx_read(const char *path, espl_graph **g, espl_err *err) {
  espl_qgiven *given = NULL;
  ESPL_TRY(espli_import_file(path, g, &given, err));
  if (!given) return ESPL_OK;
  espl_qgiven_free(given);
  if (espl_tflite_is_file(path)) return ESPL_OK;
  espl_graph_free(*g);
  *g = NULL;
  return espl_fail(err, ESPL_E_UNSUPPORTED, "%s: a quantized network, expected a float one", path);
}
