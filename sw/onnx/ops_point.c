/* Import of operators without a window: activations, sums, batch normalization, matrix products. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "onnx/onnx_int.h"

static espl_status unary(espli_import *im, const Onnx__NodeProto *n, espl_op op) {
  espli_value *v = NULL;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  espl_node p = {.op = op, .inputs = 1, .input = {v->id}};
  return espli_define_node(im, n, &p, v->rank, NULL);
}

static espl_status op_activation(espli_import *im, const Onnx__NodeProto *n) {
  static const struct { const char *name; espl_op op; } t[] = {
      {"Sigmoid", ESPL_OP_SIGMOID}, {"Tanh", ESPL_OP_TANH}, {"HardSwish", ESPL_OP_HARDSWISH}, {"HardSigmoid", ESPL_OP_HARDSIGMOID}, {"LeakyRelu", ESPL_OP_LEAKYRELU}};
  espli_value *v = NULL;
  size_t k = 0;
  while (k + 1 < sizeof t / sizeof *t && strcmp(t[k].name, n->op_type)) k++;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  espl_node p = {.op = t[k].op, .inputs = 1, .input = {v->id}};
  bool hard = p.op == ESPL_OP_HARDSIGMOID;
  if (hard || p.op == ESPL_OP_LEAKYRELU) p.alpha = espli_attr_float(n, "alpha", hard ? 0.2f : 0.01f);
  if (hard) p.beta = espli_attr_float(n, "beta", 0.5f);
  return espli_define_node(im, n, &p, v->rank, NULL);
}

/* A slope for every channel, or one for all. */
static espl_status op_prelu(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  const espl_tensor *t;
  float *slope;
  int32_t id;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(espli_const(im, n, 1, &t));
  if (!t || !t->f) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its slope is not a float constant");
  int32_t c = im->g->node[v->id].shape.c;
  ESPL_TRY(espli_channels(im, n, t, v->rank, c, &slope));
  if (t->elems == 1) c = 1;
  espl_node p = {.op = ESPL_OP_PRELU, .inputs = 1, .input = {v->id}};
  espl_status s = espli_define_node(im, n, &p, v->rank, &id);
  if (s == ESPL_OK) s = espli_set_param(im, n, id, ESPL_PARAM_GAMMA, n->input[1], 1, &c, slope);
  free(slope);
  return s;
}

/* InstanceNormalization, and GroupNormalization as of operator set 21 (before, its scale was a number a group; ONNX withdrew that form). */
static espl_status op_imagenorm(espli_import *im, const Onnx__NodeProto *n) {
  const bool grouped = strcmp(n->op_type, "GroupNormalization") == 0;
  espli_value *v = NULL;
  int32_t id;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  if (v->rank < 3) return espli_refuse(im, n, ESPL_E_INPUT, "its input has %d dimensions, expected 3 or 4", v->rank);
  if (grouped && im->opset < 21) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "only as of operator set 21");
  espl_node p = {.op = grouped ? ESPL_OP_GROUPNORM : ESPL_OP_INSTANCENORM, .inputs = 1, .input = {v->id}, .eps = espli_attr_float(n, "epsilon", 1e-5f)};
  if (grouped) p.conv.groups = (int32_t)espli_attr_int(n, "num_groups", 0);
  ESPL_TRY(espli_define_node(im, n, &p, v->rank, &id));
  for (size_t k = 0; k < 2; k++) {
    const espl_tensor *t;
    ESPL_TRY(espli_const(im, n, k + 1, &t));
    if (!t) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "input %zu is missing or computed at run time", k + 1);
    int32_t c = (int32_t)t->elems;
    ESPL_TRY(espli_set_param(im, n, id, k ? ESPL_PARAM_BETA : ESPL_PARAM_GAMMA, n->input[k + 1], 1, &c, t->f));
  }
  return ESPL_OK;
}

static espl_status op_relu(espli_import *im, const Onnx__NodeProto *n) { return unary(im, n, ESPL_OP_RELU); }
static espl_status op_identity(espli_import *im, const Onnx__NodeProto *n) { return unary(im, n, ESPL_OP_IDENTITY); }

/* Dropout does nothing at inference and leaves no node. */
static espl_status op_dropout(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  return espli_define_alias(im, n, v, v->rank);
}

/* A limit of Clip: attribute before operator set 11, constant input since. */
static espl_status clip_limit(espli_import *im, const Onnx__NodeProto *n, const char *attr, size_t k, float *v) {
  const espl_tensor *t;
  if (im->opset < 11) {
    *v = espli_attr_float(n, attr, *v);
    return ESPL_OK;
  }
  ESPL_TRY(espli_const(im, n, k, &t));
  if (!t && espli_has_input(n, k)) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "%s is computed at run time", attr);
  if (t && t->elems != 1) return espli_refuse(im, n, ESPL_E_INPUT, "%s has %lld elements, expected 1", attr, (long long)t->elems);
  if (t) *v = (float)espl_tensor_at(t, 0);
  return ESPL_OK;
}

static espl_status op_clip(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  espl_node p = {.op = ESPL_OP_CLIP, .inputs = 1, .lo = -INFINITY, .hi = INFINITY};
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(clip_limit(im, n, "min", 1, &p.lo));
  ESPL_TRY(clip_limit(im, n, "max", 2, &p.hi));
  p.input[0] = v->id;
  return espli_define_node(im, n, &p, v->rank, NULL);
}

static espl_status op_batchnorm(espli_import *im, const Onnx__NodeProto *n) {
  static const espl_param_kind kind[4] = {ESPL_PARAM_GAMMA, ESPL_PARAM_BETA, ESPL_PARAM_MEAN, ESPL_PARAM_VAR};
  espli_value *v = NULL;
  int32_t id;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  if (espli_attr_int(n, "training_mode", 0) || (im->opset < 9 && !espli_attr_int(n, "spatial", 1)))
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "only inference form with one scale a channel is supported");
  espl_node p = {.op = ESPL_OP_BATCHNORM, .inputs = 1, .input = {v->id}, .eps = espli_attr_float(n, "epsilon", 1e-5f)};
  /* ONNX keeps 1 - m; rounding to 7 decimals undoes the float rounding of that difference */
  p.bn_momentum = (float)(round((1.0 - (double)espli_attr_float(n, "momentum", 0.9f)) * 1e7) / 1e7);
  ESPL_TRY(espli_define_node(im, n, &p, v->rank, &id));
  for (size_t k = 0; k < 4; k++) {
    const espl_tensor *t;
    ESPL_TRY(espli_const(im, n, k + 1, &t));
    if (!t) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "input %zu is missing or computed at run time", k + 1);
    int32_t c = (int32_t)t->elems;
    ESPL_TRY(espli_set_param(im, n, id, kind[k], n->input[k + 1], 1, &c, t->f));
  }
  return ESPL_OK;
}

/* Two flowing values: a plain addition where they have one shape, else extents of 1 spread. */
static espl_status two_flows(espli_import *im, const Onnx__NodeProto *n) {
  static const struct { char letter; espl_op op; } t[] = {{'S', ESPL_OP_SUB}, {'M', ESPL_OP_MUL}, {'D', ESPL_OP_DIV}};
  espli_value *a = NULL, *b = NULL;
  ESPL_TRY(espli_flow(im, n, 0, false, &a));
  ESPL_TRY(espli_flow(im, n, 1, false, &b));
  if (a->rank != b->rank) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its inputs have %d and %d dimensions", a->rank, b->rank);
  espl_shape p = im->g->node[a->id].shape, q = im->g->node[b->id].shape;
  espl_node node = {.op = p.c == q.c && p.h == q.h && p.w == q.w ? ESPL_OP_ADD : ESPL_OP_SPREADADD, .inputs = 2, .input = {a->id, b->id}};
  for (size_t k = 0; strcmp(n->op_type, "Sum") && k < sizeof t / sizeof *t; k++)
    if (n->op_type[0] == t[k].letter) node.op = t[k].op;
  return espli_define_node(im, n, &node, a->rank, NULL);
}

/* Add, Sub, Mul, Div with a constant on input `side` as scale and shift of the flowing one. */
static espl_status with_constant(espli_import *im, const Onnx__NodeProto *n, const espl_tensor *t, size_t side) {
  espli_value *v = NULL;
  float *c = NULL, *minus = NULL;
  ESPL_TRY(espli_flow(im, n, 1 - side, false, &v));
  int32_t channels = im->g->node[v->id].shape.c;
  char op = n->op_type[0];
  if (op == 'D' && side == 0) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "dividing a constant by a tensor has no form in the network graph");
  ESPL_TRY(espli_channels(im, n, t, v->rank, channels, &c));
  bool negate = op == 'S' && side == 0;
  if (negate) minus = espl_calloc((size_t)channels, sizeof *minus);
  for (int32_t k = 0; k < channels; k++) {
    if (minus) minus[k] = -1.0f;
    if (op == 'S' && side == 1) c[k] = -c[k];
    if (op == 'D') c[k] = 1.0f / c[k];
  }
  bool product = op == 'M' || op == 'D';
  espl_status s = negate && !minus ? espli_refuse(im, n, ESPL_E_NOMEM, "out of memory")
                                   : espli_affine(im, n, v, product ? c : minus, product ? NULL : c, n->input[side]);
  free(c);
  free(minus);
  return s;
}

static espl_status op_arithmetic(espli_import *im, const Onnx__NodeProto *n) {
  const espl_tensor *a, *b;
  ESPL_TRY(espli_const(im, n, 0, &a));
  ESPL_TRY(espli_const(im, n, 1, &b));
  if (a) return with_constant(im, n, a, 0);
  if (b) return with_constant(im, n, b, 1);
  return two_flows(im, n);
}

static espl_status op_sum(espli_import *im, const Onnx__NodeProto *n) {
  if (n->n_input == 2) return two_flows(im, n);
  return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "of %zu tensors, two are supported", n->n_input);
}

/* A fully-connected node: weight[o][k] = alpha * B, where B is [K,O] or, transposed, [O,K]. */
static espl_status fully_connected(espli_import *im, const Onnx__NodeProto *n, bool trans, float alpha, int32_t *id) {
  espli_value *v = NULL;
  const espl_tensor *b;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  ESPL_TRY(espli_const(im, n, 1, &b));
  if (!b || !b->f) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its second input is not a float constant");
  if (v->rank != 2 || b->dims != 2)
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its inputs have %d and %d dimensions, expected 2 and 2", v->rank, b->dims);
  int32_t o = (int32_t)b->dim[trans ? 0 : 1], k = (int32_t)b->dim[trans ? 1 : 0], have = im->g->node[v->id].shape.c;
  if (k != have) return espli_refuse(im, n, ESPL_E_INPUT, "weight %s has %d inputs, the tensor has %d", n->input[1], k, have);
  espl_node p = {.op = ESPL_OP_GEMM, .inputs = 1, .input = {v->id}, .shape = {o, 1, 1}};
  ESPL_TRY(espli_define_node(im, n, &p, 2, id));
  ESPL_TRY(espl_graph_add_param(im->g, *id, ESPL_PARAM_WEIGHT, n->input[1], 2, (int32_t[]){o, k}, im->err));
  float *w = im->g->node[*id].param[ESPL_PARAM_WEIGHT]->value;
  for (int64_t r = 0; r < o; r++)
    for (int64_t c = 0; c < k; c++) w[r * k + c] = alpha * b->f[trans ? r * k + c : c * o + r];
  return ESPL_OK;
}

static espl_status op_matmul(espli_import *im, const Onnx__NodeProto *n) {
  int32_t id;
  return fully_connected(im, n, false, 1.0f, &id);
}

static espl_status op_gemm(espli_import *im, const Onnx__NodeProto *n) {
  int32_t id = 0;
  const espl_tensor *c;
  float beta = espli_attr_float(n, "beta", 1.0f), *bias = NULL;
  if (espli_attr_int(n, "transA", 0)) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "transA is not supported");
  ESPL_TRY(espli_const(im, n, 2, &c));
  if (!c && espli_has_input(n, 2)) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its third input is computed at run time");
  ESPL_TRY(fully_connected(im, n, espli_attr_int(n, "transB", 0) != 0, espli_attr_float(n, "alpha", 1.0f), &id));
  if (!c) return ESPL_OK;
  int32_t o = im->g->node[id].shape.c;
  ESPL_TRY(espli_channels(im, n, c, 2, o, &bias));
  for (int32_t k = 0; k < o; k++) bias[k] *= beta;
  espl_status s = espli_set_param(im, n, id, ESPL_PARAM_BIAS, n->input[2], 1, &o, bias);
  free(bias);
  return s;
}

static espl_status op_softmax(espli_import *im, const Onnx__NodeProto *n) {
  espli_value *v = NULL;
  ESPL_TRY(espli_flow(im, n, 0, false, &v));
  espl_shape s = im->g->node[v->id].shape;
  int64_t axis = espli_attr_int(n, "axis", im->opset < 13 ? 1 : -1);
  if (axis < 0) axis += v->rank;
  if (axis != 1 || (im->opset < 13 && (s.h > 1 || s.w > 1)))
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "only over channels (axis 1) is supported, axis is %lld", (long long)axis);
  return unary(im, n, ESPL_OP_SOFTMAX);
}

espli_handler espli_point_handler(const char *op_type) {
  static const struct { const char *name; espli_handler h; } table[] = {
      {"Relu", op_relu}, {"Identity", op_identity}, {"Dropout", op_dropout}, {"Clip", op_clip}, {"BatchNormalization", op_batchnorm},
      {"Sigmoid", op_activation}, {"Tanh", op_activation}, {"HardSwish", op_activation}, {"HardSigmoid", op_activation},
      {"LeakyRelu", op_activation}, {"PRelu", op_prelu}, {"InstanceNormalization", op_imagenorm},
      {"GroupNormalization", op_imagenorm},
      {"Add", op_arithmetic}, {"Sub", op_arithmetic}, {"Mul", op_arithmetic}, {"Div", op_arithmetic}, {"Sum", op_sum},
      {"Gemm", op_gemm}, {"MatMul", op_matmul}, {"Softmax", op_softmax}};
  for (size_t k = 0; k < sizeof table / sizeof *table; k++)
    if (strcmp(table[k].name, op_type) == 0) return table[k].h;
  return NULL;
}
