/* Writing: operator set 13 (a later one where an operator needs it), IR version 7, float32 or quantized (qdq.h), symbolic batch. Tensor data is borrowed from the graph while packing;
 * everything else lives in one arena. Names stay as the graph has them; a taken tensor name gets underscores.
 *
 * ONNX tells [N,C], [N,C,L] and [N,C,1,1] apart, the graph does not: where an operator, or who reads the output, needs another form a
 * Reshape is written, which reading turns back into nothing. Input and output have the dimensions they had in the file they come from. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "onnx/onnx_int.h"

#define OPSET 13
#define IR_VERSION 7
#define LIST 8 /* most inputs or attributes of what we write, but for Concat */
#define ARENA_LIMIT ((size_t)1 << 30)
#define INT64_TYPE ONNX__TENSOR_PROTO__DATA_TYPE__INT64
#define FLOAT_TYPE ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT

typedef struct writer {
  espl_arena *a;
  const espl_graph *g;
  const espl_qgiven *given; /* NULL: a float network */
  Onnx__GraphProto graph;
  char *input;   /* name of the graph's input */
  char *output;  /* name of the graph's output */
  char **tensor; /* [nodes]: tensor name of each value as its readers know it */
  int *rank;     /* [nodes]: dimensions of that tensor, 2 to 4 */
  char **used;   /* hash set of tensor names */
  size_t used_cap;
  bool failed;   /* out of memory; every later step does nothing useful */
} writer;

static void *take(writer *w, size_t n, size_t size) {
  void *p = espl_arena_alloc(w->a, n * size);
  if (!p) w->failed = true;
  return p;
}

/* ---- names ---- */

/* Slot of `name` in the set of taken names: where it is or where it would go. */
static size_t slot(const writer *w, const char *name) {
  uint64_t h = 1469598103934665603u;
  for (const char *p = name; *p; p++) h = (h ^ (uint8_t)*p) * 1099511628211u;
  size_t k = (size_t)(h ^ h >> 32) % w->used_cap;
  while (w->used[k] && strcmp(w->used[k], name)) k = (k + 1) % w->used_cap;
  return k;
}

/* base, part and underscores until nobody has it. */
static char *unique(writer *w, const char *base, const char *part) {
  size_t n = strlen(base) + strlen(part);
  char *s = take(w, n + 64, 1);
  if (!s) return (char *)"";
  snprintf(s, n + 1, "%s%s", base, part);
  for (int k = 0; k < 62 && w->used[slot(w, s)]; k++) s[n++] = '_', s[n] = 0;
  w->used[slot(w, s)] = s;
  return s;
}

/* ---- nodes, attributes, constants ---- */

static Onnx__NodeProto *node(writer *w, const char *op, const char *name, size_t max_inputs) {
  Onnx__NodeProto *n = take(w, 1, sizeof *n);
  char **in = take(w, max_inputs, sizeof *in), **out = take(w, 1, sizeof *out);
  Onnx__AttributeProto **attr = take(w, LIST, sizeof *attr);
  if (w->failed) return NULL;
  onnx__node_proto__init(n);
  n->op_type = (char *)op;
  n->name = espl_arena_strdup(w->a, name);
  n->input = in;
  n->output = out;
  n->attribute = attr;
  w->graph.node[w->graph.n_node++] = n;
  return n;
}

static void input(Onnx__NodeProto *n, char *name) {
  if (n) n->input[n->n_input++] = name;
}

static Onnx__AttributeProto *attr(writer *w, Onnx__NodeProto *n, const char *name, Onnx__AttributeProto__AttributeType type) {
  Onnx__AttributeProto *a = take(w, 1, sizeof *a);
  if (!a || !n) return NULL;
  onnx__attribute_proto__init(a);
  a->name = (char *)name;
  a->has_type = 1;
  a->type = type;
  n->attribute[n->n_attribute++] = a;
  return a;
}

static void attr_int(writer *w, Onnx__NodeProto *n, const char *name, int64_t v) {
  Onnx__AttributeProto *a = attr(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
  if (a) a->has_i = 1, a->i = v;
}

static void attr_float(writer *w, Onnx__NodeProto *n, const char *name, float v) {
  Onnx__AttributeProto *a = attr(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
  if (a) a->has_f = 1, a->f = v;
}

static void attr_ints(writer *w, Onnx__NodeProto *n, const char *name, size_t count, const int32_t *v) {
  Onnx__AttributeProto *a = attr(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
  int64_t *copy = take(w, count, sizeof *copy);
  if (!a || !copy) return;
  for (size_t k = 0; k < count; k++) copy[k] = v[k];
  a->n_ints = count;
  a->ints = copy;
}

static void attr_text(writer *w, Onnx__NodeProto *n, const char *name, const char *text) {
  Onnx__AttributeProto *a = attr(w, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
  if (a) a->has_s = 1, a->s = (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

/* A constant; `data` must outlive packing. Returns its tensor name. */
static char *constant(writer *w, const char *base, const char *part, int32_t type, int dims, const int32_t *dim, const void *data, size_t bytes) {
  Onnx__TensorProto *t = take(w, 1, sizeof *t);
  int64_t *d = take(w, (size_t)dims + 1, sizeof *d);
  char *name = unique(w, base, part);
  if (w->failed) return name;
  onnx__tensor_proto__init(t);
  for (int k = 0; k < dims; k++) d[k] = dim[k];
  t->name = name;
  t->n_dims = (size_t)dims;
  t->dims = d;
  t->has_data_type = 1;
  t->data_type = type;
  t->has_raw_data = 1;
  t->raw_data = (ProtobufCBinaryData){bytes, (uint8_t *)(uintptr_t)data};
  w->graph.initializer[w->graph.n_initializer++] = t;
  return name;
}

static char *int_list(writer *w, const char *base, const char *part, int count, const int64_t *v) {
  int64_t *copy = take(w, (size_t)count, sizeof *copy);
  if (copy) memcpy(copy, v, (size_t)count * sizeof *v);
  return constant(w, base, part, INT64_TYPE, 1, &(int32_t){count}, copy, (size_t)count * sizeof *v);
}

static char *scalar(writer *w, const char *base, const char *part, float v) {
  float *copy = take(w, 1, sizeof *copy);
  if (copy) *copy = v;
  return constant(w, base, part, FLOAT_TYPE, 0, NULL, copy, sizeof v);
}

/* ---- quantized values ---- */

#define INT8_TYPE ONNX__TENSOR_PROTO__DATA_TYPE__INT8
#define INT32_TYPE ONNX__TENSOR_PROTO__DATA_TYPE__INT32

/* DequantizeLinear of a constant with one scale a channel (axis 0) and zero point 0; its output has the parameter's name. */
static char *dequantized(writer *w, const espl_param *p, int32_t type, const void *data, const float *scale) {
  size_t bytes = (size_t)p->elems * (type == INT8_TYPE ? 1 : 4);
  char *name = unique(w, p->name, ""), *q = constant(w, p->name, ".quantized", type, p->dims, p->dim, data, bytes);
  char *s = constant(w, p->name, ".scale", FLOAT_TYPE, 1, p->dim, scale, (size_t)p->dim[0] * sizeof *scale), *z = NULL;
  if (type == INT8_TYPE) z = constant(w, p->name, ".zero_point", INT8_TYPE, 1, p->dim, take(w, (size_t)p->dim[0], 1), (size_t)p->dim[0]);
  Onnx__NodeProto *n = node(w, "DequantizeLinear", name, 3);
  input(n, q);
  input(n, s);
  if (z) input(n, z);
  attr_int(w, n, "axis", 0);
  if (n) n->output[n->n_output++] = name;
  return name;
}

/* The pair behind value `id` when it is int8; readers then see the dequantized one, which keeps the name of a graph output. */
static void quantize_value(writer *w, int32_t id) {
  if (!espl_qgiven_has(w->given, id)) return;
  const espl_qnote *v = &w->given->note[id];
  const char *base = w->g->node[id].name;
  char *from = w->tensor[id], *quantized = unique(w, base, ".quantized"), *real = unique(w, base, ".dequantized"), *s = scalar(w, base, ".scale", v->scale);
  int8_t *zero = take(w, 1, 1);
  if (zero) *zero = (int8_t)v->zero;
  char *z = constant(w, base, ".zero_point", INT8_TYPE, 0, NULL, zero, 1);
  if (id == w->g->output && w->graph.n_node) {
    Onnx__NodeProto *made = w->graph.node[w->graph.n_node - 1];
    made->output[0] = unique(w, base, ".real");
    real = from;
    from = made->output[0];
  }
  Onnx__NodeProto *q = node(w, "QuantizeLinear", quantized, 3), *d = node(w, "DequantizeLinear", real, 3);
  if (!q || !d) return;
  char *const names[2][4] = {{from, s, z, quantized}, {quantized, s, z, real}};
  for (int k = 0; k < 2; k++) {
    Onnx__NodeProto *n = k ? d : q;
    for (int j = 0; j < 3; j++) input(n, names[k][j]);
    n->output[n->n_output++] = names[k][3];
  }
  w->tensor[id] = real;
}

static char *param_name(writer *w, int32_t id, const espl_param *p) {
  const espl_qnote *v = w->given && id < w->given->cap ? &w->given->note[id] : NULL;
  if (v && v->w && p->kind == ESPL_PARAM_WEIGHT) return dequantized(w, p, INT8_TYPE, v->w, v->wscale);
  if (v && v->bias && p->kind == ESPL_PARAM_BIAS) return dequantized(w, p, INT32_TYPE, v->bias, v->bias_scale);
  bool slope = w->g->node[id].op == ESPL_OP_PRELU; /* spreads over what comes behind the channels */
  int behind = slope ? w->rank[w->g->node[id].input[0]] - 1 : p->dims;
  return constant(w, p->name, "", FLOAT_TYPE, behind, slope ? (int32_t[]){p->dim[0], 1, 1} : p->dim, p->value, (size_t)p->elems * sizeof(float));
}

/* Reshape of value `from` to `rank` dimensions; the result is called `name`. */
static void reshape(writer *w, int32_t from, int rank, char *name, const char *base) {
  const espl_shape *e = &w->g->node[from].shape;
  const int64_t to[3][4] = {{0, -1}, {0, e->c, -1}, {0, e->c, e->h, e->w}};
  char *shape = int_list(w, base, ".shape", rank, to[rank - 2]);
  Onnx__NodeProto *n = node(w, "Reshape", name, 2);
  input(n, w->tensor[from]);
  input(n, shape);
  if (n) n->output[n->n_output++] = name;
}

/* Tensor of input k of node s in the rank it needs. */
static char *in_rank(writer *w, const espl_node *s, int k, int rank) {
  static const char *const part[] = {".to2d", ".to3d", ".to4d"};
  int32_t from = s->input[k];
  if (w->rank[from] == rank) return w->tensor[from];
  char *name = unique(w, s->name, part[rank - 2]);
  reshape(w, from, rank, name, s->name);
  return name;
}

/* ---- operators ---- */

static const char *onnx_name(espl_op op) {
  static const char *const names[ESPL_OP_COUNT] = {
#define X(name, onnx, text) onnx,
      ESPL_OP_LIST(X)
#undef X
  };
  return names[op];
}

static void window_attrs(writer *w, Onnx__NodeProto *n, const espl_node *s, bool dilations) {
  const espl_conv_attr *a = &s->conv;
  attr_ints(w, n, "kernel_shape", 2, (int32_t[]){a->kh, a->kw});
  attr_ints(w, n, "strides", 2, (int32_t[]){a->sh, a->sw});
  attr_ints(w, n, "pads", 4, (int32_t[]){a->pt, a->pl, a->pb, a->pr});
  if (dilations) attr_ints(w, n, "dilations", 2, (int32_t[]){a->dh, a->dw});
}

static void slice_inputs(writer *w, Onnx__NodeProto *n, const espl_node *s) {
  input(n, int_list(w, s->name, ".starts", 2, (int64_t[]){0, 0}));
  input(n, int_list(w, s->name, ".ends", 2, (int64_t[]){INT32_MAX, INT32_MAX}));
  input(n, int_list(w, s->name, ".axes", 2, (int64_t[]){2, 3}));
  input(n, int_list(w, s->name, ".steps", 2, (int64_t[]){s->conv.sh, s->conv.sw}));
}

static void clip_inputs(writer *w, Onnx__NodeProto *n, const espl_node *s) {
  if (isfinite(s->lo) || isfinite(s->hi)) input(n, isfinite(s->lo) ? scalar(w, s->name, ".min", s->lo) : (char *)"");
  if (isfinite(s->hi)) input(n, scalar(w, s->name, ".max", s->hi));
}

static void pad_inputs(writer *w, Onnx__NodeProto *n, const espl_node *s, int rank) {
  int64_t pads[8] = {0};
  pads[1] = s->pad_c0;
  pads[rank + 1] = s->pad_c1;
  input(n, int_list(w, s->name, ".pads", 2 * rank, pads));
  attr_text(w, n, "mode", "constant");
}

/* Resize by factors: no region, factors of all four axes. */
static void resize_inputs(writer *w, Onnx__NodeProto *n, const espl_node *s) {
  static const char *const words[] = {[ESPL_WORD_NEAREST] = "nearest", [ESPL_WORD_LINEAR] = "linear", [ESPL_WORD_HALF_PIXEL] = "half_pixel",
                                      [ESPL_WORD_PYTORCH_HALF_PIXEL] = "pytorch_half_pixel", [ESPL_WORD_ALIGN_CORNERS] = "align_corners",
                                      [ESPL_WORD_ASYMMETRIC] = "asymmetric", [ESPL_WORD_TF_HALF_PIXEL_FOR_NN] = "tf_half_pixel_for_nn",
                                      [ESPL_WORD_ROUND_PREFER_FLOOR] = "round_prefer_floor", [ESPL_WORD_ROUND_PREFER_CEIL] = "round_prefer_ceil",
                                      [ESPL_WORD_FLOOR] = "floor", [ESPL_WORD_CEIL] = "ceil"};
  const espl_resize_attr *r = &s->resize;
  float *scale = take(w, 4, sizeof *scale);
  if (!scale) return;
  scale[0] = scale[1] = 1;
  scale[2] = r->scale_h;
  scale[3] = r->scale_w;
  input(n, (char *)"");
  input(n, constant(w, s->name, ".scales", FLOAT_TYPE, 1, &(int32_t){4}, scale, 4 * sizeof *scale));
  attr_text(w, n, "mode", words[r->mode]);
  attr_text(w, n, "coordinate_transformation_mode", words[r->coordinates]);
  if (r->mode == ESPL_WORD_NEAREST) attr_text(w, n, "nearest_mode", words[r->nearest]);
}

static int rank_in(const writer *w, const espl_node *s) {
  switch (s->op) {
    case ESPL_OP_SPREADADD: case ESPL_OP_SUB: case ESPL_OP_MUL: case ESPL_OP_DIV:
      return w->rank[s->input[0]] > w->rank[s->input[1]] ? w->rank[s->input[0]] : w->rank[s->input[1]];
    case ESPL_OP_INSTANCENORM: case ESPL_OP_GROUPNORM: case ESPL_OP_CONVTRANSPOSE: case ESPL_OP_RESIZE:
    case ESPL_OP_CONV: case ESPL_OP_MAXPOOL: case ESPL_OP_AVGPOOL: case ESPL_OP_GLOBALAVGPOOL: case ESPL_OP_SUBSAMPLE: return 4;
    case ESPL_OP_GEMM: return 2;
    default: return w->rank[s->input[0]];
  }
}

static bool dilated(const espl_node *s) { return s->conv.dh != 1 || s->conv.dw != 1; }

static void extras(writer *w, Onnx__NodeProto *n, const espl_node *s, int rank) {
  switch (s->op) {
    case ESPL_OP_CONV:
      window_attrs(w, n, s, true);
      attr_int(w, n, "group", s->conv.groups);
      break;
    case ESPL_OP_MAXPOOL: window_attrs(w, n, s, true); break;
    case ESPL_OP_AVGPOOL:
      window_attrs(w, n, s, dilated(s));
      attr_int(w, n, "count_include_pad", s->conv.count_include_pad);
      break;
    case ESPL_OP_BATCHNORM:
      attr_float(w, n, "epsilon", s->eps);
      attr_float(w, n, "momentum", (float)(1.0 - (double)s->bn_momentum));
      break;
    case ESPL_OP_CONVTRANSPOSE:
      window_attrs(w, n, s, true);
      attr_int(w, n, "group", s->conv.groups);
      attr_ints(w, n, "output_padding", 2, (int32_t[]){s->conv.extra_h, s->conv.extra_w});
      break;
    case ESPL_OP_HARDSIGMOID: attr_float(w, n, "beta", s->beta); /* fall through */
    case ESPL_OP_LEAKYRELU: attr_float(w, n, "alpha", s->alpha); break;
    case ESPL_OP_GROUPNORM: attr_int(w, n, "num_groups", s->conv.groups); /* fall through */
    case ESPL_OP_INSTANCENORM: attr_float(w, n, "epsilon", s->eps); break;
    case ESPL_OP_RESIZE: resize_inputs(w, n, s); break;
    case ESPL_OP_CLIP: clip_inputs(w, n, s); break;
    case ESPL_OP_GEMM: attr_int(w, n, "transB", 1); break;
    case ESPL_OP_SUBSAMPLE: slice_inputs(w, n, s); break;
    case ESPL_OP_PADCHANNELS: pad_inputs(w, n, s, rank); break;
    case ESPL_OP_FLATTEN: case ESPL_OP_CONCAT: case ESPL_OP_SOFTMAX: attr_int(w, n, "axis", 1); break;
    default: break;
  }
}

static void write_node(writer *w, int32_t id) {
  const espl_node *s = &w->g->node[id];
  int rank = rank_in(w, s);
  char *in[ESPL_MAX_INPUTS], *param[ESPL_PARAM_COUNT] = {0};
  for (int k = 0; k < s->inputs; k++) in[k] = in_rank(w, s, k, rank);
  for (int k = 0; k < ESPL_PARAM_COUNT; k++)
    if (s->param[k]) param[k] = param_name(w, id, s->param[k]);
  Onnx__NodeProto *n = node(w, onnx_name(s->op), s->name, LIST + (size_t)s->inputs);
  for (int k = 0; k < s->inputs; k++) input(n, in[k]);
  for (int k = 0; k < ESPL_PARAM_COUNT; k++)
    if (param[k]) input(n, param[k]);
  extras(w, n, s, rank);
  w->rank[id] = s->op == ESPL_OP_FLATTEN ? 2 : rank;
  if (n) n->output[n->n_output++] = w->tensor[id];
  quantize_value(w, id);
}

/* ---- the file ---- */

static Onnx__ValueInfoProto *value_info(writer *w, char *name, espl_shape s, int rank) {
  Onnx__ValueInfoProto *v = take(w, 1, sizeof *v);
  Onnx__TypeProto *t = take(w, 1, sizeof *t);
  Onnx__TypeProto__Tensor *tt = take(w, 1, sizeof *tt);
  Onnx__TensorShapeProto *sh = take(w, 1, sizeof *sh);
  Onnx__TensorShapeProto__Dimension *d = take(w, 4, sizeof *d), **list = take(w, 4, sizeof *list);
  if (w->failed) return NULL;
  onnx__value_info_proto__init(v);
  onnx__type_proto__init(t);
  onnx__type_proto__tensor__init(tt);
  onnx__tensor_shape_proto__init(sh);
  const int32_t extent[4] = {0, s.c, rank == 3 ? s.w : s.h, s.w};
  for (int k = 0; k < rank; k++) {
    onnx__tensor_shape_proto__dimension__init(&d[k]);
    list[k] = &d[k];
    d[k].value_case = k ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
    if (k) d[k].dim_value = extent[k];
    else d[k].dim_param = (char *)"N";
  }
  sh->n_dim = (size_t)rank;
  sh->dim = list;
  tt->has_elem_type = 1;
  tt->elem_type = FLOAT_TYPE;
  tt->shape = sh;
  t->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
  t->tensor_type = tt;
  v->name = name;
  v->type = t;
  return v;
}

/* Whether a value of this shape can have so many dimensions. */
static bool rank_fits(espl_shape s, int rank) { return rank == 4 || (rank == 3 && s.h == 1) || (rank == 2 && s.h == 1 && s.w == 1); }

/* As in the file that was read; else [N,C] when there is no image and a fully-connected node reads it, else [N,C,H,W]. */
static int input_rank(const espl_graph *g) {
  espl_shape s = g->node[0].shape;
  if (rank_fits(s, g->input_rank)) return g->input_rank;
  for (int32_t i = 1; s.h == 1 && s.w == 1 && i < g->nodes; i++)
    if (g->node[i].op == ESPL_OP_GEMM && g->node[i].input[0] == 0) return 2;
  return 4;
}

static espl_status prepare(writer *w, espl_err *err) {
  const espl_graph *g = w->g;
  size_t nodes = (size_t)g->nodes, inits = nodes * (ESPL_PARAM_COUNT + 10 + ESPL_MAX_INPUTS) + 1, ops = nodes * (ESPL_MAX_INPUTS + 5) + 1;
  onnx__graph_proto__init(&w->graph);
  w->used_cap = 2 * (inits + 2 * ops) + 16;
  w->used = take(w, w->used_cap, sizeof *w->used);
  w->tensor = take(w, nodes, sizeof *w->tensor);
  w->rank = take(w, nodes, sizeof *w->rank);
  w->graph.node = take(w, ops, sizeof *w->graph.node);
  w->graph.initializer = take(w, inits, sizeof *w->graph.initializer);
  w->graph.input = take(w, 1, sizeof *w->graph.input);
  w->graph.output = take(w, 1, sizeof *w->graph.output);
  if (w->failed) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", g->name);
  w->graph.name = g->name && g->name[0] ? g->name : (char *)"network";
  w->tensor[0] = w->input = unique(w, g->input_name, "");
  w->tensor[g->output] = w->output = unique(w, g->output_name, "");
  for (int32_t i = 1; i < g->nodes; i++)
    if (i != g->output) w->tensor[i] = unique(w, g->node[i].name, "");
  w->rank[0] = input_rank(g);
  quantize_value(w, 0);
  return ESPL_OK;
}

static void metadata(writer *w, Onnx__ModelProto *m, const char *key, char *value) {
  if (!value) return;
  Onnx__StringStringEntryProto *e = take(w, 1, sizeof *e);
  if (!e) return;
  onnx__string_string_entry_proto__init(e);
  e->key = (char *)key;
  e->value = value;
  m->metadata_props[m->n_metadata_props++] = e;
}

/* The operator set that has what a node needs: HardSwish, dilations of an average pool, a group normalization with a scale a channel. */
static int64_t first_opset(const espl_node *s) {
  return s->op == ESPL_OP_HARDSWISH ? 14 : s->op == ESPL_OP_AVGPOOL && dilated(s) ? 19 : s->op == ESPL_OP_GROUPNORM ? 21 : OPSET;
}

static espl_status pack(writer *w, const char *path, espl_err *err) {
  Onnx__ModelProto m = ONNX__MODEL_PROTO__INIT;
  Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT, *opsets[1] = {&opset};
  Onnx__StringStringEntryProto *props[2];
  opset.domain = (char *)"";
  opset.has_version = 1;
  opset.version = OPSET;
  for (int32_t k = 0; k < w->g->nodes; k++) {
    int64_t since = first_opset(&w->g->node[k]);
    if (since > opset.version) opset.version = since;
  }
  m.has_ir_version = 1;
  m.ir_version = IR_VERSION;
  m.producer_name = (char *)"espalier";
  m.n_opset_import = 1;
  m.opset_import = opsets;
  m.graph = &w->graph;
  m.metadata_props = props;
  metadata(w, &m, "espalier.preprocess", w->g->preprocess);
  metadata(w, &m, "espalier.history", w->g->history);
  if (w->failed) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  size_t n = onnx__model_proto__get_packed_size(&m);
  if (n > INT32_MAX) return espl_fail(err, ESPL_E_UNSUPPORTED, "%s: the network takes %zu bytes, ONNX files hold less than 2^31", path, n);
  uint8_t *data = malloc(n);
  if (!data) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory for %zu bytes", path, n);
  onnx__model_proto__pack(&m, data);
  espl_status s = espl_write_file(path, data, n, err);
  free(data);
  return s;
}

/* Gives the output the dimensions it had in the file that was read; the last node's own tensor then gets another name. Returns how many. */
static int write_output(writer *w) {
  const int32_t out = w->g->output;
  int rank = w->g->output_rank;
  if (!rank_fits(w->g->node[out].shape, rank) || rank == w->rank[out]) return w->rank[out];
  char *own = unique(w, w->output, ".shaped");
  for (size_t k = 0; k < w->graph.n_node; k++) {
    Onnx__NodeProto *n = w->graph.node[k];
    for (size_t j = 0; j < n->n_output; j++)
      if (n->output[j] == w->output) n->output[j] = own;
    for (size_t j = 0; j < n->n_input; j++)
      if (n->input[j] == w->output) n->input[j] = own;
  }
  w->tensor[out] = own;
  reshape(w, out, rank, w->output, w->g->node[out].name);
  return rank;
}

static espl_status write_graph(writer *w, const char *path, espl_err *err) {
  const espl_graph *g = w->g;
  for (int32_t i = 1; i < g->nodes; i++)
    if (g->node[i].op == ESPL_OP_GRAPHNORM)
      return espl_fail(err, ESPL_E_UNSUPPORTED, "node %s: graph normalisation has no ONNX operator", g->node[i].name);
  ESPL_TRY(prepare(w, err));
  for (int32_t i = 1; i < g->nodes; i++) write_node(w, i);
  int rank = write_output(w);
  w->graph.n_input = w->graph.n_output = 1;
  w->graph.input[0] = value_info(w, w->input, g->node[0].shape, w->rank[0]);
  w->graph.output[0] = value_info(w, w->output, g->node[g->output].shape, rank);
  return pack(w, path, err);
}

espl_status espli_export(const espl_graph *g, const espl_qgiven *given, const char *path, espl_err *err) {
  ESPL_TRY(espl_graph_check(g, err));
  if (g->output == 0) return espl_fail(err, ESPL_E_UNSUPPORTED, "%s: the network has no operators", g->name);
  writer w = {.g = g, .given = given, .a = espl_arena_new(ARENA_LIMIT)};
  if (!w.a) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  espl_status s = write_graph(&w, path, err);
  espl_arena_free(w.a);
  return s;
}

espl_status espl_onnx_write(const espl_graph *g, const char *path, espl_err *err) { return espli_export(g, NULL, path, err); }
