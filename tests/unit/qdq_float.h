/* Test support: an interpreter of quantized ONNX graphs in double arithmetic, written from ONNX's operator definitions alone: every
 * operator computes real numbers, QuantizeLinear rounds to the nearest integer of its grid (half to even). One image at a time. */
#ifndef ESPL_TESTS_QDQ_FLOAT_H
#define ESPL_TESTS_QDQ_FLOAT_H
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "onnx.pb-c.h"

typedef struct qf_value {
  const char *name;
  bool konst;
  int type; /* ONNX element type of an initializer */
  int dims;
  int64_t dim[4], elems;
  double *v;
} qf_value;

/* What stands for the result of a QuantizeLinear instead of the interpreter's own: NULL, or int8 values. real: before rounding. */
typedef const int8_t *(*qf_hook)(void *ctx, const char *name, const qf_value *real, double scale, double zero);

typedef struct qf_net {
  Onnx__ModelProto *m;
  qf_value *value;
  int values;
  qf_hook hook;
  void *ctx;
} qf_net;

static qf_value *qf_find(qf_net *t, const char *name) {
  for (int k = 0; k < t->values; k++)
    if (strcmp(t->value[k].name, name) == 0) return &t->value[k];
  return NULL;
}

static qf_value *qf_new(qf_net *t, const char *name, int dims, const int64_t *dim) {
  qf_value *x = qf_find(t, name);
  if (!x) {
    x = &t->value[t->values++];
    x->name = name;
  }
  cr_assert_not(x->konst, "%s", name);
  free(x->v);
  x->dims = dims;
  x->elems = 1;
  for (int k = 0; k < dims; k++) x->elems *= x->dim[k] = dim[k];
  x->v = calloc((size_t)x->elems + 1, sizeof *x->v);
  return x;
}

static void qf_decode(qf_net *t, const Onnx__TensorProto *p) {
  qf_value *x = qf_new(t, p->name, (int)p->n_dims, p->dims);
  size_t size = p->raw_data.len / (size_t)x->elems;
  x->konst = true;
  x->type = p->data_type;
  for (int64_t k = 0; k < x->elems; k++) {
    const uint8_t *at = p->raw_data.data + (size_t)k * size;
    union { float f; int32_t i; int64_t l; } u;
    memcpy(&u, at, size);
    switch (p->data_type) {
      case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT: x->v[k] = (double)u.f; break;
      case ONNX__TENSOR_PROTO__DATA_TYPE__INT8: x->v[k] = (int8_t)*at; break;
      case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8: x->v[k] = *at; break;
      case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: x->v[k] = u.i; break;
      default: x->v[k] = (double)u.l; break;
    }
  }
}

static const Onnx__AttributeProto *qf_attr(const Onnx__NodeProto *n, const char *name) {
  for (size_t k = 0; k < n->n_attribute; k++)
    if (strcmp(n->attribute[k]->name, name) == 0) return n->attribute[k];
  return NULL;
}
static int64_t qf_int(const Onnx__NodeProto *n, const char *name, size_t k, int64_t otherwise) {
  const Onnx__AttributeProto *a = qf_attr(n, name);
  return !a ? otherwise : a->n_ints ? a->ints[k] : a->i;
}
static qf_value *qf_in(qf_net *t, const Onnx__NodeProto *n, size_t k) { return k < n->n_input && n->input[k][0] ? qf_find(t, n->input[k]) : NULL; }

static qf_value *qf_out(qf_net *t, const Onnx__NodeProto *n, int dims, const int64_t *dim) { return qf_new(t, n->output[0], dims, dim); }

static void qf_dequantize(qf_net *t, const Onnx__NodeProto *n) {
  const qf_value *x = qf_in(t, n, 0), *s = qf_in(t, n, 1), *z = qf_in(t, n, 2);
  qf_value *y = qf_out(t, n, x->dims, x->dim);
  int64_t axis = qf_int(n, "axis", 0, 1), after = 1;
  for (int d = (int)axis + 1; d < x->dims; d++) after *= x->dim[d];
  for (int64_t k = 0; k < y->elems; k++) {
    int64_t ch = s->elems == 1 ? 0 : k / after % x->dim[axis];
    y->v[k] = (x->v[k] - (z ? z->v[z->elems == 1 ? 0 : ch] : 0)) * s->v[ch];
  }
}

static void qf_quantize(qf_net *t, const Onnx__NodeProto *n) {
  const qf_value *x = qf_in(t, n, 0), *s = qf_in(t, n, 1), *z = qf_in(t, n, 2);
  double lo = z->type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT8 ? 0 : -128, shift = lo + 128;
  qf_value *y = qf_out(t, n, x->dims, x->dim);
  const int8_t *given = t->hook ? t->hook(t->ctx, n->input[0], x, s->v[0], z->v[0] - shift) : NULL;
  for (int64_t k = 0; k < y->elems; k++) y->v[k] = given ? given[k] + shift : fmin(lo + 255, fmax(lo, nearbyint(x->v[k] / s->v[0]) + z->v[0]));
}

static void qf_conv(qf_net *t, const Onnx__NodeProto *n) {
  const qf_value *x = qf_in(t, n, 0), *w = qf_in(t, n, 1), *b = qf_in(t, n, 2);
  int64_t sh = qf_int(n, "strides", 0, 1), sw = qf_int(n, "strides", 1, 1), dh = qf_int(n, "dilations", 0, 1), dw = qf_int(n, "dilations", 1, 1);
  int64_t pt = qf_int(n, "pads", 0, 0), pl = qf_int(n, "pads", 1, 0), pb = qf_int(n, "pads", 2, 0), pr = qf_int(n, "pads", 3, 0);
  int64_t O = w->dim[0], I = w->dim[1], KH = w->dim[2], KW = w->dim[3], H = x->dim[2], W = x->dim[3], per = O / qf_int(n, "group", 0, 1);
  int64_t dim[4] = {1, O, (H + pt + pb - (KH - 1) * dh - 1) / sh + 1, (W + pl + pr - (KW - 1) * dw - 1) / sw + 1};
  qf_value *y = qf_out(t, n, 4, dim);
  for (int64_t o = 0; o < O; o++) {
    double *plane = y->v + o * dim[2] * dim[3];
    for (int64_t k = 0; k < dim[2] * dim[3]; k++) plane[k] = b ? b->v[o] : 0;
    for (int64_t r = 0; r < I * KH * KW; r++) {
      int64_t kx = r % KW, ky = r / KW % KH, i = r / KW / KH + o / per * I;
      double c = w->v[o * I * KH * KW + r];
      for (int64_t oy = 0; oy < dim[2]; oy++) {
        int64_t iy = oy * sh + ky * dh - pt;
        if (iy < 0 || iy >= H) continue;
        for (int64_t ox = 0; ox < dim[3]; ox++) {
          int64_t ix = ox * sw + kx * dw - pl;
          if (ix >= 0 && ix < W) plane[oy * dim[3] + ox] += c * x->v[(i * H + iy) * W + ix];
        }
      }
    }
  }
}

static void qf_gemm(qf_net *t, const Onnx__NodeProto *n) {
  const qf_value *x = qf_in(t, n, 0), *w = qf_in(t, n, 1), *b = qf_in(t, n, 2);
  cr_assert(qf_int(n, "transB", 0, 0) == 1 && w->dim[1] == x->dim[1]);
  qf_value *y = qf_out(t, n, 2, (int64_t[]){1, w->dim[0]});
  for (int64_t o = 0; o < w->dim[0]; o++) {
    y->v[o] = b ? b->v[o] : 0;
    for (int64_t i = 0; i < w->dim[1]; i++) y->v[o] += w->v[o * w->dim[1] + i] * x->v[i];
  }
}

static void qf_pool(qf_net *t, const Onnx__NodeProto *n) {
  const qf_value *x = qf_in(t, n, 0);
  bool whole = n->op_type[0] == 'G', top = n->op_type[0] == 'M', all = qf_int(n, "count_include_pad", 0, 0);
  int64_t H = x->dim[2], W = x->dim[3], kh = qf_int(n, "kernel_shape", 0, H), kw = qf_int(n, "kernel_shape", 1, W), sh = qf_int(n, "strides", 0, 1), sw = qf_int(n, "strides", 1, 1);
  int64_t pt = qf_int(n, "pads", 0, 0), pl = qf_int(n, "pads", 1, 0), pb = qf_int(n, "pads", 2, 0), pr = qf_int(n, "pads", 3, 0);
  int64_t dim[4] = {1, x->dim[1], whole ? 1 : (H + pt + pb - kh) / sh + 1, whole ? 1 : (W + pl + pr - kw) / sw + 1};
  qf_value *y = qf_out(t, n, 4, dim);
  for (int64_t k = 0; k < y->elems; k++) {
    int64_t c = k / dim[3] / dim[2], oy = k / dim[3] % dim[2], ox = k % dim[3], count = 0;
    double sum = 0, most = -INFINITY;
    for (int64_t wy = 0; wy < kh; wy++)
      for (int64_t wx = 0; wx < kw; wx++) {
        int64_t iy = oy * sh + wy - pt, ix = ox * sw + wx - pl;
        if (iy < 0 || ix < 0 || iy >= H || ix >= W) continue;
        double v = x->v[(c * H + iy) * W + ix];
        sum += v;
        most = fmax(most, v);
        count++;
      }
    y->v[k] = top ? most : sum / (double)(all ? kh * kw : count);
  }
}

/* Slice of H and W by steps, Pad of channels by zeros, Concat of channels. */
static void qf_move(qf_net *t, const Onnx__NodeProto *n) {
  const qf_value *x = qf_in(t, n, 0);
  int64_t dim[4] = {1, x->dim[1], x->dims > 2 ? x->dim[2] : 1, x->dims > 3 ? x->dim[3] : 1}, first = 0, sh = 1, sw = 1;
  if (n->op_type[0] == 'S') {
    const qf_value *steps = qf_in(t, n, 4);
    sh = (int64_t)steps->v[0], sw = (int64_t)steps->v[1];
    dim[2] = (dim[2] + sh - 1) / sh, dim[3] = (dim[3] + sw - 1) / sw;
  } else {
    const qf_value *pads = qf_in(t, n, 1);
    first = (int64_t)pads->v[1];
    dim[1] += first + (int64_t)pads->v[x->dims + 1];
  }
  qf_value *y = qf_out(t, n, x->dims, dim);
  for (int64_t c = 0; c < x->dim[1]; c++)
    for (int64_t oy = 0; oy < dim[2]; oy++)
      for (int64_t ox = 0; ox < dim[3]; ox++)
        y->v[((c + first) * dim[2] + oy) * dim[3] + ox] = x->v[x->dims > 2 ? (c * x->dim[2] + oy * sh) * x->dim[3] + ox * sw : c];
}

static void qf_concat(qf_net *t, const Onnx__NodeProto *n) {
  const qf_value *x = qf_in(t, n, 0);
  int64_t dim[4] = {1, 0, x->dim[2], x->dim[3]}, at = 0;
  for (size_t k = 0; k < n->n_input; k++) dim[1] += qf_in(t, n, k)->dim[1];
  qf_value *y = qf_out(t, n, x->dims, dim);
  for (size_t k = 0; k < n->n_input; at += qf_in(t, n, k++)->elems) memcpy(y->v + at, qf_in(t, n, k)->v, (size_t)qf_in(t, n, k)->elems * sizeof *y->v);
}

static void qf_point(qf_net *t, const Onnx__NodeProto *n) {
  const qf_value *a = qf_in(t, n, 0), *b = qf_in(t, n, 1), *c = qf_in(t, n, 2);
  const char *op = n->op_type;
  int64_t flat[4] = {1, a->elems, 1, 1}, four[4] = {1, a->dim[1], 1, 1};
  bool reshape = op[0] == 'F' || strcmp(op, "Reshape") == 0;
  int rank = !reshape ? a->dims : op[0] == 'F' ? 2 : (int)b->elems;
  qf_value *y = qf_out(t, n, rank, !reshape ? a->dim : rank == 2 ? flat : four);
  for (int64_t k = 0; k < y->elems; k++) {
    double v = a->v[k];
    if (op[0] == 'A') v += b->v[k];
    else if (strcmp(op, "Relu") == 0) v = fmax(v, 0);
    else if (op[0] == 'C') v = fmin(c ? c->v[0] : INFINITY, fmax(b ? b->v[0] : -INFINITY, v));
    else cr_assert(reshape || strcmp(op, "Identity") == 0, "%s", op);
    y->v[k] = v;
  }
}

static void qf_node(qf_net *t, const Onnx__NodeProto *n) {
  const char *op = n->op_type;
  if (strcmp(op, "DequantizeLinear") == 0) qf_dequantize(t, n);
  else if (strcmp(op, "QuantizeLinear") == 0) qf_quantize(t, n);
  else if (strcmp(op, "Conv") == 0) qf_conv(t, n);
  else if (strcmp(op, "Gemm") == 0) qf_gemm(t, n);
  else if (strstr(op, "Pool")) qf_pool(t, n);
  else if (strcmp(op, "Slice") == 0 || strcmp(op, "Pad") == 0) qf_move(t, n);
  else if (strcmp(op, "Concat") == 0) qf_concat(t, n);
  else qf_point(t, n);
}

static bool qf_is_konst(qf_net *t, const Onnx__NodeProto *n) {
  const qf_value *x = qf_in(t, n, 0);
  return x && x->konst;
}

static void qf_open(qf_net *t, const char *path) {
  char *data = NULL;
  size_t n = 0;
  espl_err e = {0};
  cr_assert_eq(espl_read_file(path, (size_t)1 << 30, &data, &n, &e), ESPL_OK, "%s", e.msg);
  *t = (qf_net){.m = onnx__model_proto__unpack(NULL, n, (uint8_t *)data)};
  free(data);
  cr_assert_not_null(t->m);
  const Onnx__GraphProto *g = t->m->graph;
  t->value = calloc(g->n_initializer + g->n_node + 1, sizeof *t->value);
  for (size_t k = 0; k < g->n_initializer; k++) qf_decode(t, g->initializer[k]);
  for (size_t k = 0; k < g->n_node; k++)
    if (qf_is_konst(t, g->node[k])) {
      qf_node(t, g->node[k]);
      qf_find(t, g->node[k]->output[0])->konst = true;
    }
}

/* Returns the network's output. */
static const qf_value *qf_run(qf_net *t, const float *image, espl_shape s) {
  const Onnx__GraphProto *g = t->m->graph;
  const int rank = (int)g->input[0]->type->tensor_type->shape->n_dim;
  qf_value *x = qf_new(t, g->input[0]->name, rank, (int64_t[]){1, s.c, s.h, s.w});
  for (int64_t k = 0; k < x->elems; k++) x->v[k] = (double)image[k];
  for (size_t k = 0; k < g->n_node; k++)
    if (!qf_is_konst(t, g->node[k])) qf_node(t, g->node[k]);
  return qf_find(t, g->output[0]->name);
}

static void qf_close(qf_net *t) {
  for (int k = 0; k < t->values; k++) free(t->value[k].v);
  free(t->value);
  onnx__model_proto__free_unpacked(t->m, NULL);
}

#endif
