/* Constant tensors of the file: raw bytes (little-endian) or typed fields, any number type, to int64 or float32. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "onnx/onnx_int.h"

#define T(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

espli_tensor *espli_tensor_new(bool is_int, int dims, const int64_t *dim) {
  espli_tensor *t = espl_calloc(1, sizeof *t);
  if (!t || dims < 0 || dims > ESPLI_ONNX_DIMS) {
    free(t);
    return NULL;
  }
  t->dims = dims;
  t->elems = 1;
  for (int d = 0; d < dims; d++) {
    t->dim[d] = dim[d];
    if (dim[d] < 0 || (dim[d] > 0 && t->elems > ESPLI_TENSOR_ELEMS / dim[d])) {
      free(t);
      return NULL;
    }
    t->elems *= dim[d];
  }
  if (is_int) t->i = espl_calloc((size_t)t->elems, sizeof *t->i);
  else t->f = espl_calloc((size_t)t->elems, sizeof *t->f);
  if (t->i || t->f) return t;
  free(t);
  return NULL;
}

void espli_tensor_free(espli_tensor *t) {
  if (!t) return;
  free(t->i);
  free(t->f);
  free(t);
}

double espli_tensor_at(const espli_tensor *t, int64_t k) { return t->i ? (double)t->i[k] : (double)t->f[k]; }

/* IEEE binary16 to float. */
static float half_to_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = (h >> 10) & 31, m = h & 1023u, bits;
  if (e == 31) bits = sign | 0x7f800000u | m << 13;
  else if (e) bits = sign | (e + 112) << 23 | m << 13;
  else {
    float v = (float)m * 0x1p-24f;
    return sign ? -v : v;
  }
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

static float bfloat_to_float(uint16_t h) {
  uint32_t bits = (uint32_t)h << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

/* Bytes of one stored element; 0: type not supported. */
static size_t elem_bytes(int32_t type) {
  switch (type) {
    case T(UINT8): case T(INT8): case T(BOOL): return 1;
    case T(UINT16): case T(INT16): case T(FLOAT16): case T(BFLOAT16): return 2;
    case T(FLOAT): case T(INT32): case T(UINT32): return 4;
    case T(DOUBLE): case T(INT64): return 8;
    default: return 0;
  }
}

static bool type_is_int(int32_t type) { return type != T(FLOAT) && type != T(DOUBLE) && type != T(FLOAT16) && type != T(BFLOAT16); }

static void put_raw(espli_tensor *t, int64_t k, int32_t type, const uint8_t *p) {
  union { uint16_t u16; int16_t i16; int32_t i32; uint32_t u32; int64_t i64; float f; double d; } v = {.i64 = 0};
  memcpy(&v, p, elem_bytes(type));
  switch (type) {
    case T(BOOL):
    case T(UINT8): t->i[k] = *p; break;
    case T(INT8): t->i[k] = (int8_t)*p; break;
    case T(UINT16): t->i[k] = v.u16; break;
    case T(INT16): t->i[k] = v.i16; break;
    case T(INT32): t->i[k] = v.i32; break;
    case T(UINT32): t->i[k] = v.u32; break;
    case T(INT64): t->i[k] = v.i64; break;
    case T(FLOAT): t->f[k] = v.f; break;
    case T(DOUBLE): t->f[k] = (float)v.d; break;
    case T(FLOAT16): t->f[k] = half_to_float(v.u16); break;
    default: t->f[k] = bfloat_to_float(v.u16); break;
  }
}

static size_t typed_count(const Onnx__TensorProto *p) {
  switch (p->data_type) {
    case T(FLOAT): return p->n_float_data;
    case T(DOUBLE): return p->n_double_data;
    case T(INT64): return p->n_int64_data;
    case T(UINT32): return p->n_uint64_data;
    default: return p->n_int32_data;
  }
}

static void put_typed(espli_tensor *t, int64_t k, const Onnx__TensorProto *p) {
  switch (p->data_type) {
    case T(FLOAT): t->f[k] = p->float_data[k]; break;
    case T(DOUBLE): t->f[k] = (float)p->double_data[k]; break;
    case T(FLOAT16): t->f[k] = half_to_float((uint16_t)p->int32_data[k]); break;
    case T(BFLOAT16): t->f[k] = bfloat_to_float((uint16_t)p->int32_data[k]); break;
    case T(INT64): t->i[k] = p->int64_data[k]; break;
    case T(UINT32): t->i[k] = (int64_t)p->uint64_data[k]; break;
    default: t->i[k] = p->int32_data[k]; break;
  }
}

espl_status espli_tensor_decode(const Onnx__TensorProto *p, espli_tensor **out, espl_err *err) {
  const char *name = espli_text(p->name);
  size_t bytes = elem_bytes(p->data_type);
  *out = NULL;
  if (!bytes) return espl_fail(err, ESPL_E_UNSUPPORTED, "tensor %s: element type %d is not supported", name, p->data_type);
  if (p->has_data_location && p->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "tensor %s: data in a separate file is not supported", name);
  if (p->n_dims > ESPLI_ONNX_DIMS)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "tensor %s: %zu dimensions, at most %d are supported", name, p->n_dims, ESPLI_ONNX_DIMS);
  int64_t elems = 1;
  for (size_t d = 0; d < p->n_dims; d++) {
    if (p->dims[d] < 0 || (p->dims[d] > 0 && elems > ESPLI_TENSOR_ELEMS / p->dims[d]))
      return espl_fail(err, ESPL_E_INPUT, "tensor %s: extent %zu is %lld (at most 2^28 elements are allowed)", name, d, (long long)p->dims[d]);
    elems *= p->dims[d];
  }
  bool raw = p->has_raw_data && p->raw_data.len > 0;
  size_t have = raw ? p->raw_data.len / bytes : typed_count(p);
  if (have != (size_t)elems || (raw && p->raw_data.len % bytes))
    return espl_fail(err, ESPL_E_INPUT, "tensor %s: holds %zu elements, its shape says %lld", name, have, (long long)elems);
  espli_tensor *t = espli_tensor_new(type_is_int(p->data_type), (int)p->n_dims, p->dims);
  if (!t) return espl_fail(err, ESPL_E_NOMEM, "tensor %s: out of memory for %lld elements", name, (long long)elems);
  t->type = p->data_type;
  for (int64_t k = 0; k < elems; k++)
    if (raw) put_raw(t, k, p->data_type, p->raw_data.data + (size_t)k * bytes);
    else put_typed(t, k, p);
  *out = t;
  return ESPL_OK;
}
