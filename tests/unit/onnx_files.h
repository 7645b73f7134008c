/* Small ONNX files for unit tests: a folder for one test, a model put together node by node, graphs compared after writing and reading. */
#ifndef TESTS_ONNX_FILES_H
#define TESTS_ONNX_FILES_H
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "base/mem.h"
#include "base/text.h"
#include "onnx.pb-c.h"
#include "onnx/onnx.h"

#define OK(expr) cr_assert_eq((expr), ESPL_OK, "%s", err.msg)

static char dir[SCRATCH], file[SCRATCH_FILE];
static espl_arena *room;

static inline void make_dir(void) {
  scratch_folder(dir, "espl-onnx");
  snprintf(file, sizeof file, "%s/t.onnx", dir);
  room = espl_arena_new(16 << 20);
}
static inline void remove_dir(void) {
  cr_assert_eq(scratch_remove(dir), 0);
  espl_arena_free(room);
}

static inline void expect_same(const espl_graph *a, const espl_graph *b) {
  cr_assert(a->nodes == b->nodes && a->output == b->output);
  cr_expect_str_eq(a->name, b->name);
  cr_expect_str_eq(a->input_name, b->input_name);
  cr_expect_str_eq(a->output_name, b->output_name);
  for (int32_t i = 0; i < a->nodes; i++) {
    const espl_node *x = &a->node[i], *y = &b->node[i];
    if (i) cr_expect_str_eq(x->name, y->name);
    cr_expect(x->op == y->op && x->inputs == y->inputs && memcmp(x->input, y->input, sizeof x->input) == 0, "%s", x->name);
    cr_expect(x->lo == y->lo && x->hi == y->hi && x->eps == y->eps && x->bn_momentum == y->bn_momentum, "%s: %.9g %.9g", x->name,
              (double)x->bn_momentum, (double)y->bn_momentum);
    cr_expect(x->pad_c0 == y->pad_c0 && x->pad_c1 == y->pad_c1 && memcmp(&x->shape, &y->shape, sizeof x->shape) == 0, "%s", x->name);
    const espl_conv_attr *c = &x->conv, *d = &y->conv;
    cr_expect(c->kh == d->kh && c->kw == d->kw && c->sh == d->sh && c->sw == d->sw && c->dh == d->dh && c->dw == d->dw && c->pt == d->pt &&
                  c->pl == d->pl && c->pb == d->pb && c->pr == d->pr && c->groups == d->groups && c->count_include_pad == d->count_include_pad,
              "%s", x->name);
    cr_expect(c->extra_h == d->extra_h && c->extra_w == d->extra_w && x->alpha == y->alpha && x->beta == y->beta, "%s", x->name);
    cr_expect(x->resize.mode == y->resize.mode && x->resize.coordinates == y->resize.coordinates && x->resize.nearest == y->resize.nearest &&
                  x->resize.scale_h == y->resize.scale_h && x->resize.scale_w == y->resize.scale_w, "%s", x->name);
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      const espl_param *p = x->param[k], *q = y->param[k];
      cr_assert_eq(!p, !q, "%s", x->name);
      if (!p) continue;
      cr_expect_str_eq(p->name, q->name);
      cr_assert(p->elems == q->elems && memcmp(p->value, q->value, (size_t)p->elems * sizeof(float)) == 0, "%s", p->name);
    }
  }
}

/* Writes g, reads it back, compares. */
static inline void round_trip(const espl_graph *g) {
  espl_err err = {0};
  espl_graph *h = NULL;
  OK(espl_onnx_write(g, file, &err));
  OK(espl_onnx_read(file, &h, &err));
  expect_same(g, h);
  espl_graph_free(h);
}

/* ---- models ---- */

typedef struct model {
  Onnx__ModelProto m;
  Onnx__GraphProto g;
  Onnx__OperatorSetIdProto opset, *opsets[1];
  Onnx__NodeProto node[16], *nodes[16];
  Onnx__TensorProto init[16], *inits[16];
  Onnx__AttributeProto attr[64], *attrs[64];
  Onnx__ValueInfoProto in, out, *ins[1], *outs[1];
  Onnx__TypeProto type;
  Onnx__TypeProto__Tensor tensor;
  Onnx__TensorShapeProto shape;
  Onnx__TensorShapeProto__Dimension dim[4], *dims[4];
  size_t attrs_used;
} model;

/* Everything of these models lives in one arena, freed behind the test. */
static inline void *keep(size_t bytes) { return espl_arena_alloc(room, bytes); }
static inline char *keep_text(const char *text) { return espl_arena_strdup(room, text); }

static inline char **words(char *text, size_t *n) {
  char **list = keep(16 * sizeof *list);
  *n = 0;
  for (char *save, *p = strtok_r(keep_text(text), ",", &save); p; p = strtok_r(NULL, ",", &save)) list[(*n)++] = strcmp(p, "_") ? p : (char *)"";
  return list;
}

static inline model *new_model(int64_t opset, int32_t c, int32_t h, int32_t w, const char *output) {
  model *m = keep(sizeof *m);
  onnx__model_proto__init(&m->m);
  onnx__graph_proto__init(&m->g);
  onnx__operator_set_id_proto__init(&m->opset);
  onnx__value_info_proto__init(&m->in);
  onnx__value_info_proto__init(&m->out);
  onnx__type_proto__init(&m->type);
  onnx__type_proto__tensor__init(&m->tensor);
  onnx__tensor_shape_proto__init(&m->shape);
  m->m.has_ir_version = 1, m->m.ir_version = 7;
  m->m.n_opset_import = 1, m->opsets[0] = &m->opset, m->m.opset_import = m->opsets;
  m->opset.has_version = 1, m->opset.version = opset;
  m->m.graph = &m->g, m->g.name = (char *)"small";
  m->g.node = m->nodes, m->g.initializer = m->inits;
  m->g.n_input = m->g.n_output = 1, m->g.input = m->ins, m->g.output = m->outs;
  m->ins[0] = &m->in, m->outs[0] = &m->out;
  m->in.name = (char *)"x", m->out.name = (char *)(uintptr_t)output;
  m->in.type = &m->type, m->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE, m->type.tensor_type = &m->tensor;
  m->tensor.has_elem_type = 1, m->tensor.elem_type = 1, m->tensor.shape = &m->shape;
  const int32_t extent[4] = {1, c, h, w};
  m->shape.n_dim = 4, m->shape.dim = m->dims;
  for (int k = 0; k < 4; k++) {
    onnx__tensor_shape_proto__dimension__init(&m->dim[k]);
    m->dims[k] = &m->dim[k];
    m->dim[k].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    m->dim[k].dim_value = extent[k];
  }
  return m;
}

static inline Onnx__NodeProto *put_node(model *m, const char *op, const char *inputs, const char *output) {
  Onnx__NodeProto *n = &m->node[m->g.n_node];
  onnx__node_proto__init(n);
  m->nodes[m->g.n_node++] = n;
  n->op_type = keep_text(op);
  char name[32];
  snprintf(name, sizeof name, "n_%s", output);
  n->name = keep_text(name);
  n->input = words((char *)(uintptr_t)inputs, &n->n_input);
  n->output = words((char *)(uintptr_t)output, &n->n_output);
  n->attribute = keep(8 * sizeof *n->attribute);
  return n;
}

static inline Onnx__AttributeProto *put_attr(model *m, Onnx__NodeProto *n, const char *name) {
  Onnx__AttributeProto *a = &m->attr[m->attrs_used++];
  onnx__attribute_proto__init(a);
  a->name = keep_text(name);
  n->attribute[n->n_attribute++] = a;
  return a;
}

static inline void attr_int(model *m, Onnx__NodeProto *n, const char *name, int64_t v) {
  Onnx__AttributeProto *a = put_attr(m, n, name);
  a->has_i = 1, a->i = v;
}

static inline void attr_ints(model *m, Onnx__NodeProto *n, const char *name, int count, const int64_t *v) {
  Onnx__AttributeProto *a = put_attr(m, n, name);
  a->n_ints = (size_t)count, a->ints = keep((size_t)count * 8);
  memcpy(a->ints, v, (size_t)count * 8);
}

static inline void attr_text(model *m, Onnx__NodeProto *n, const char *name, const char *text) {
  Onnx__AttributeProto *a = put_attr(m, n, name);
  a->has_s = 1, a->s = (ProtobufCBinaryData){strlen(text), (uint8_t *)keep_text(text)};
}

static inline Onnx__TensorProto *put_tensor(model *m, const char *name, int32_t type, int dims, const int64_t *dim) {
  Onnx__TensorProto *t = &m->init[m->g.n_initializer];
  onnx__tensor_proto__init(t);
  m->inits[m->g.n_initializer++] = t;
  t->name = keep_text(name), t->has_data_type = 1, t->data_type = type;
  t->n_dims = (size_t)dims, t->dims = keep(64);
  for (int k = 0; k < dims; k++) t->dims[k] = dim[k];
  return t;
}

/* Float tensor whose element k is 0.5 + k / 8. */
static inline Onnx__TensorProto *put_floats(model *m, const char *name, int dims, const int64_t *dim) {
  Onnx__TensorProto *t = put_tensor(m, name, 1, dims, dim);
  t->n_float_data = 1;
  for (int k = 0; k < dims; k++) t->n_float_data *= (size_t)dim[k];
  t->float_data = keep(t->n_float_data * 4);
  for (size_t k = 0; k < t->n_float_data; k++) t->float_data[k] = 0.5f + (float)k / 8;
  return t;
}

static inline void put_ints(model *m, const char *name, int count, const int64_t *v) {
  Onnx__TensorProto *t = put_tensor(m, name, 7, 1, &(int64_t){count});
  t->n_int64_data = (size_t)count, t->int64_data = keep((size_t)count * 8);
  memcpy(t->int64_data, v, (size_t)count * 8);
}

static inline espl_status read_model(const model *m, espl_graph **g, espl_err *err) {
  size_t n = onnx__model_proto__get_packed_size(&m->m);
  uint8_t *b = malloc(n);
  onnx__model_proto__pack(&m->m, b);
  espl_status s = espl_write_file(file, b, n, err);
  free(b);
  cr_assert_eq(s, ESPL_OK);
  return espl_onnx_read(file, g, err);
}

static inline espl_graph *read_ok(const model *m) {
  espl_err err = {0};
  espl_graph *g = NULL;
  OK(read_model(m, &g, &err));
  return g;
}

static inline void expect_refusal(const model *m, espl_status code, const char *text) {
  espl_err err = {0};
  espl_graph *g = NULL;
  cr_expect_eq(read_model(m, &g, &err), code, "%s: %s", text, err.msg);
  cr_expect(strstr(err.msg, text) && strstr(err.msg, "t.onnx"), "\"%s\" is not in: %s", text, err.msg);
  cr_expect_null(g);
}
#endif
