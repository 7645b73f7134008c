/* Arithmetic on constants that exporters leave in the file: shapes put together piece by piece, reshaped weights.
 * A node is folded when every input is a constant (Shape also of a flowing value: batch counts as 1). Integers stay int64. */
#include <math.h>
#include <string.h>

#include "onnx/onnx_int.h"

typedef espl_status (*folder)(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count);

static espl_status give(espli_import *im, const Onnx__NodeProto *n, espli_tensor *t) { return espli_define_const(im, n, t); }

static espli_tensor *copy_as(const espli_tensor *a, int dims, const int64_t *dim) {
  espli_tensor *t = espli_tensor_new(a->i != NULL, dims, dim);
  if (!t || t->elems != a->elems) {
    espli_tensor_free(t);
    return NULL;
  }
  t->type = a->type;
  if (a->i) memcpy(t->i, a->i, (size_t)a->elems * sizeof *a->i);
  else memcpy(t->f, a->f, (size_t)a->elems * sizeof *a->f);
  return t;
}

static void copy_elem(espli_tensor *to, int64_t k, const espli_tensor *from, int64_t j) {
  if (to->i) to->i[k] = from->i ? from->i[j] : (int64_t)from->f[j];
  else to->f[k] = (float)espli_tensor_at(from, j);
}

static espl_status fold_constant(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  (void)in, (void)count;
  const Onnx__AttributeProto *a = n->n_attribute ? n->attribute[0] : NULL;
  const char *name = a ? espli_text(a->name) : "";
  espli_tensor *t = NULL;
  if (strcmp(name, "value") == 0 && a->t) {
    ESPL_TRY(espli_tensor_decode(a->t, &t, im->err));
    return give(im, n, t);
  }
  bool ints = strncmp(name, "value_int", 9) == 0, many = name[0] && name[strlen(name) - 1] == 's';
  if (!ints && strncmp(name, "value_float", 11)) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "constant given as \"%s\"", name);
  int64_t len = (int64_t)(ints ? a->n_ints : a->n_floats);
  t = espli_tensor_new(ints, many ? 1 : 0, &len);
  for (int64_t k = 0; t && k < t->elems; k++)
    if (ints) t->i[k] = many ? a->ints[k] : a->i;
    else t->f[k] = many ? a->floats[k] : a->f;
  return give(im, n, t);
}

static espl_status fold_identity(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  (void)count;
  return give(im, n, copy_as(in[0], in[0]->dims, in[0]->dim));
}

static espl_status fold_reshape(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  const espli_tensor *a = in[0], *s = count > 1 ? in[1] : NULL;
  int64_t dim[ESPLI_ONNX_DIMS], known = 1;
  if (!s || !s->i || s->elems > ESPLI_ONNX_DIMS) return espli_refuse(im, n, ESPL_E_INPUT, "its target shape is not a short list of integers");
  int rest = -1;
  for (int d = 0; d < (int)s->elems; d++) {
    dim[d] = s->i[d] == 0 && d < a->dims ? a->dim[d] : s->i[d];
    if (dim[d] == -1 && rest < 0) rest = d;
    else if (dim[d] < 1 || known > INT32_MAX / dim[d]) return espli_refuse(im, n, ESPL_E_INPUT, "extent %d of its target is %lld", d, (long long)dim[d]);
    else known *= dim[d];
  }
  if (rest >= 0) dim[rest] = a->elems / known;
  if (known * (rest >= 0 ? dim[rest] : 1) != a->elems)
    return espli_refuse(im, n, ESPL_E_INPUT, "its target shape does not hold the %lld elements of %s", (long long)a->elems, n->input[0]);
  return give(im, n, copy_as(a, (int)s->elems, dim));
}

/* Squeeze and Unsqueeze of a constant. */
static espl_status fold_squeeze(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  (void)count;
  const espli_tensor *a = in[0];
  bool squeeze = n->op_type[0] == 'S';
  int64_t axes[ESPLI_ONNX_DIMS], dim[2 * ESPLI_ONNX_DIMS];
  int given, dims = 0, from = 0;
  ESPL_TRY(espli_ints(im, n, "axes", 1, axes, &given));
  int total = squeeze ? a->dims : a->dims + (given < 0 ? 0 : given);
  unsigned marked = 0;
  for (int k = 0; k < given; k++) {
    int64_t x = axes[k] < 0 ? axes[k] + total : axes[k];
    if (x < 0 || x >= total) return espli_refuse(im, n, ESPL_E_INPUT, "axis %lld does not exist", (long long)axes[k]);
    marked |= 1u << x;
  }
  for (int d = 0; d < total; d++) {
    bool hit = marked >> d & 1;
    if (!squeeze) dim[dims++] = hit ? 1 : from < a->dims ? a->dim[from++] : 1;
    else if (!(given < 0 ? a->dim[d] == 1 : hit)) dim[dims++] = a->dim[d];
    else if (a->dim[d] != 1) return espli_refuse(im, n, ESPL_E_INPUT, "axis %d has extent %lld, expected 1", d, (long long)a->dim[d]);
  }
  if (dims > ESPLI_ONNX_DIMS) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "more than %d dimensions", ESPLI_ONNX_DIMS);
  return give(im, n, copy_as(a, dims, dim));
}

static espl_status fold_flatten(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  (void)count;
  int64_t axis = espli_attr_int(n, "axis", 1), dim[2] = {1, 1};
  if (axis < 0) axis += in[0]->dims;
  for (int d = 0; d < in[0]->dims; d++) dim[d >= axis] *= in[0]->dim[d];
  return give(im, n, copy_as(in[0], 2, dim));
}

static espl_status fold_transpose(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  (void)count;
  const espli_tensor *a = in[0];
  int64_t perm[ESPLI_ONNX_DIMS], dim[ESPLI_ONNX_DIMS], stride[ESPLI_ONNX_DIMS + 1] = {0};
  int given;
  unsigned seen = 0;
  ESPL_TRY(espli_ints(im, n, "perm", 0, perm, &given));
  if (given >= 0 && given != a->dims) return espli_refuse(im, n, ESPL_E_INPUT, "perm has %d values, expected %d", given, a->dims);
  stride[a->dims] = 1;
  for (int d = a->dims - 1; d >= 0; d--) stride[d] = (d == a->dims - 1 ? 1 : stride[d + 1] * a->dim[d + 1]);
  for (int d = 0; d < a->dims; d++) {
    if (given < 0) perm[d] = a->dims - 1 - d;
    if (perm[d] < 0 || perm[d] >= a->dims || (seen >> perm[d] & 1)) return espli_refuse(im, n, ESPL_E_INPUT, "perm is not a permutation");
    seen |= 1u << perm[d];
    dim[d] = a->dim[perm[d]];
  }
  espli_tensor *t = espli_tensor_new(a->i != NULL, a->dims, dim);
  for (int64_t k = 0; t && k < t->elems; k++) {
    int64_t left = k, from = 0;
    for (int d = a->dims - 1; d >= 0; d--) {
      from += left % dim[d] * stride[perm[d]];
      left /= dim[d];
    }
    copy_elem(t, k, a, from);
  }
  return give(im, n, t);
}

static espl_status fold_cast(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  (void)count;
  int64_t to = espli_attr_int(n, "to", 0);
  bool is_float = to == 1 || to == 10 || to == 11 || to == 16;
  for (int64_t k = 0; !is_float && in[0]->f && k < in[0]->elems; k++)
    if (!(fabsf(in[0]->f[k]) < 9e18f)) return espli_refuse(im, n, ESPL_E_INPUT, "element %lld does not fit an integer", (long long)k);
  espli_tensor *t = espli_tensor_new(!is_float, in[0]->dims, in[0]->dim);
  for (int64_t k = 0; t && k < t->elems; k++) copy_elem(t, k, in[0], k);
  return give(im, n, t);
}

static espl_status fold_concat(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  const espli_tensor *a = in[0];
  int64_t axis = espli_attr_int(n, "axis", 0), dim[ESPLI_ONNX_DIMS], inner = 1, at = 0;
  if (axis < 0) axis += a->dims;
  if (axis < 0 || axis >= a->dims) return espli_refuse(im, n, ESPL_E_INPUT, "axis %lld does not exist", (long long)axis);
  memcpy(dim, a->dim, sizeof dim);
  dim[axis] = 0;
  for (size_t j = 0; j < count; j++) {
    bool same = in[j]->dims == a->dims && (in[j]->i != NULL) == (a->i != NULL);
    for (int d = 0; same && d < a->dims; d++) same = d == axis || in[j]->dim[d] == a->dim[d];
    if (!same || dim[axis] > INT32_MAX) return espli_refuse(im, n, ESPL_E_INPUT, "its constants do not fit together");
    dim[axis] += in[j]->dim[axis];
  }
  for (int d = (int)axis + 1; d < a->dims; d++) inner *= a->dim[d];
  espli_tensor *t = espli_tensor_new(a->i != NULL, a->dims, dim);
  int64_t outer = inner && dim[axis] && t ? t->elems / (inner * dim[axis]) : 0;
  for (int64_t o = 0; o < outer; o++)
    for (size_t j = 0; j < count; j++) {
      int64_t run = in[j]->dim[axis] * inner;
      for (int64_t k = 0; k < run; k++) copy_elem(t, at++, in[j], o * run + k);
    }
  return give(im, n, t);
}

static espl_status fold_gather(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  const espli_tensor *a = in[0], *x = count > 1 ? in[1] : NULL;
  if (espli_attr_int(n, "axis", 0) != 0 || a->dims != 1 || !x || !x->i)
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "of constants is supported from one-dimensional ones only");
  espli_tensor *t = espli_tensor_new(a->i != NULL, x->dims, x->dim);
  for (int64_t k = 0; t && k < t->elems; k++) {
    int64_t j = x->i[k] < 0 ? x->i[k] + a->elems : x->i[k];
    if (j < 0 || j >= a->elems) {
      espli_tensor_free(t);
      return espli_refuse(im, n, ESPL_E_INPUT, "index %lld of %lld elements", (long long)x->i[k], (long long)a->elems);
    }
    copy_elem(t, k, a, j);
  }
  return give(im, n, t);
}

/* One-dimensional Slice with positive step. */
static espl_status fold_slice(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  (void)count;
  int64_t start[ESPLI_ONNX_DIMS], end[ESPLI_ONNX_DIMS], step[ESPLI_ONNX_DIMS] = {1};
  int ns, ne, nt = -1;
  size_t since = im->opset >= 10;
  ESPL_TRY(espli_ints(im, n, "starts", since * 1, start, &ns));
  ESPL_TRY(espli_ints(im, n, "ends", since * 2, end, &ne));
  if (since) ESPL_TRY(espli_ints(im, n, "steps", 4, step, &nt));
  if (in[0]->dims != 1 || ns != 1 || ne != 1 || nt > 1 || step[0] < 1 || step[0] > INT32_MAX)
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "of constants is supported for one-dimensional ones with positive step only");
  int64_t e = in[0]->elems, from = start[0] < -e ? 0 : start[0] < 0 ? start[0] + e : start[0], to = end[0] < -e ? 0 : end[0] < 0 ? end[0] + e : end[0];
  if (from > e) from = e;
  if (to > e) to = e;
  int64_t len = to > from ? (to - from + step[0] - 1) / step[0] : 0;
  espli_tensor *t = espli_tensor_new(in[0]->i != NULL, 1, &len);
  for (int64_t k = 0; t && k < len; k++) copy_elem(t, k, in[0], from + k * step[0]);
  return give(im, n, t);
}

/* Wrapping integer arithmetic; division by zero gives 0 (an ONNX file leaves it undefined). */
static int64_t int_op(char op, int64_t a, int64_t b) {
  uint64_t x = (uint64_t)a, y = (uint64_t)b;
  if (op == 'A') return (int64_t)(x + y);
  if (op == 'S') return (int64_t)(x - y);
  if (op == 'M') return (int64_t)(x * y);
  return b == 0 ? 0 : b == -1 ? (int64_t)(0 - x) : a / b;
}

static float float_op(char op, float a, float b) { return op == 'A' ? a + b : op == 'S' ? a - b : op == 'M' ? a * b : a / b; }

/* Add, Sub, Mul, Div with broadcasting. */
static espl_status fold_binary(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  if (count != 2 || (in[0]->i != NULL) != (in[1]->i != NULL)) return espli_refuse(im, n, ESPL_E_INPUT, "its constants differ in type");
  const espli_tensor *a = in[0], *b = in[1];
  int dims = a->dims > b->dims ? a->dims : b->dims;
  int64_t dim[ESPLI_ONNX_DIMS], da[ESPLI_ONNX_DIMS], db[ESPLI_ONNX_DIMS];
  for (int d = 0; d < dims; d++) {
    int ka = d - (dims - a->dims), kb = d - (dims - b->dims);
    da[d] = ka < 0 ? 1 : a->dim[ka];
    db[d] = kb < 0 ? 1 : b->dim[kb];
    if (da[d] != db[d] && da[d] != 1 && db[d] != 1) return espli_refuse(im, n, ESPL_E_INPUT, "its constants do not broadcast");
    dim[d] = da[d] == 1 ? db[d] : da[d];
  }
  espli_tensor *t = espli_tensor_new(a->i != NULL, dims, dim);
  for (int64_t k = 0; t && k < t->elems; k++) {
    int64_t left = k, ia = 0, ib = 0, sa = 1, sb = 1;
    for (int d = dims - 1; d >= 0; d--) {
      int64_t x = left % dim[d];
      left /= dim[d];
      ia += da[d] == 1 ? 0 : x * sa;
      ib += db[d] == 1 ? 0 : x * sb;
      sa *= da[d];
      sb *= db[d];
    }
    if (a->i) t->i[k] = int_op(n->op_type[0], a->i[ia], b->i[ib]);
    else t->f[k] = float_op(n->op_type[0], a->f[ia], b->f[ib]);
  }
  return give(im, n, t);
}

static espl_status fold_fill(espli_import *im, const Onnx__NodeProto *n, const espli_tensor *const *in, size_t count) {
  (void)count;
  const Onnx__AttributeProto *a = espli_attr(n, "value");
  espli_tensor *one = NULL, *t;
  if (!in[0]->i || in[0]->elems > ESPLI_ONNX_DIMS) return espli_refuse(im, n, ESPL_E_INPUT, "its shape is not a short list of integers");
  if (a && a->t) ESPL_TRY(espli_tensor_decode(a->t, &one, im->err));
  t = espli_tensor_new(one && one->i, (int)in[0]->elems, in[0]->i);
  for (int64_t k = 0; t && one && one->elems && k < t->elems; k++) copy_elem(t, k, one, 0);
  espli_tensor_free(one);
  return give(im, n, t);
}

/* The shape of a constant or of a flowing value. */
static espl_status fold_shape(espli_import *im, const Onnx__NodeProto *n, bool *done) {
  const espli_tensor *a;
  espli_value *v = NULL;
  int64_t dim[ESPLI_ONNX_DIMS] = {1}, dims;
  ESPL_TRY(espli_const(im, n, 0, &a));
  if (a) {
    memcpy(dim, a->dim, sizeof dim);
    dims = a->dims;
  } else {
    ESPL_TRY(espli_flow(im, n, 0, false, &v));
    espl_shape s = im->g->node[v->id].shape;
    dim[1] = s.c, dim[2] = s.h, dim[3] = s.w;
    dims = v->rank;
  }
  if (espli_attr(n, "start") || espli_attr(n, "end")) return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "start and end are not supported");
  espli_tensor *t = espli_tensor_new(true, 1, &dims);
  if (t) memcpy(t->i, dim, (size_t)dims * sizeof *dim);
  *done = true;
  return give(im, n, t);
}

espl_status espli_fold(espli_import *im, const Onnx__NodeProto *n, bool *done) {
  static const struct { const char *name; folder f; size_t inputs; } table[] = {
      {"Constant", fold_constant, 0}, {"Identity", fold_identity, 1}, {"Reshape", fold_reshape, 2}, {"Squeeze", fold_squeeze, 1},
      {"Unsqueeze", fold_squeeze, 1}, {"Flatten", fold_flatten, 1}, {"Transpose", fold_transpose, 1}, {"Cast", fold_cast, 1},
      {"Concat", fold_concat, 1}, {"Gather", fold_gather, 2}, {"Slice", fold_slice, 1}, {"Add", fold_binary, 2}, {"Sub", fold_binary, 2},
      {"Mul", fold_binary, 2}, {"Div", fold_binary, 2}, {"ConstantOfShape", fold_fill, 1}};
  const espli_tensor *in[64] = {NULL};
  const char *op = espli_text(n->op_type);
  *done = false;
  if (strcmp(op, "Shape") == 0) return fold_shape(im, n, done);
  size_t k = 0, kinds = sizeof table / sizeof *table;
  while (k < kinds && strcmp(table[k].name, op)) k++;
  if (k == kinds || n->n_input < table[k].inputs || n->n_input > 64) return ESPL_OK;
  for (size_t j = 0; j < n->n_input; j++) {
    ESPL_TRY(espli_const(im, n, j, &in[j]));
    if (!in[j] && (j < table[k].inputs || espli_has_input(n, j))) return ESPL_OK;
  }
  *done = true;
  return table[k].f(im, n, in, n->n_input);
}
