/* Memory, element types and little-endian coding of tensors. */
#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const struct {
  espl_type type;
  const char *name;
  uint8_t bytes, integer;
} types[] = {{ESPL_T_FLOAT, "float", 4, 0}, {ESPL_T_UINT8, "uint8", 1, 1}, {ESPL_T_INT8, "int8", 1, 1}, {ESPL_T_UINT16, "uint16", 2, 1},
             {ESPL_T_INT16, "int16", 2, 1}, {ESPL_T_INT32, "int32", 4, 1}, {ESPL_T_INT64, "int64", 8, 1}, {ESPL_T_BOOL, "bool", 1, 1},
             {ESPL_T_FLOAT16, "float16", 2, 0}, {ESPL_T_DOUBLE, "double", 8, 0}, {ESPL_T_UINT32, "uint32", 4, 1}, {ESPL_T_UINT64, "uint64", 8, 1},
             {ESPL_T_BFLOAT16, "bfloat16", 2, 0}};

static size_t type_row(int32_t type) {
  size_t k = 0, n = sizeof types / sizeof *types;
  while (k < n && (int32_t)types[k].type != type) k++;
  return k;
}

bool espl_type_known(int32_t type) { return type_row(type) < sizeof types / sizeof *types; }
bool espl_type_is_int(espl_type t) { return espl_type_known((int32_t)t) && types[type_row((int32_t)t)].integer; }
size_t espl_type_bytes(espl_type t) { return espl_type_known((int32_t)t) ? types[type_row((int32_t)t)].bytes : 0; }
const char *espl_type_name(espl_type t) { return espl_type_known((int32_t)t) ? types[type_row((int32_t)t)].name : "?"; }

int64_t espl_type_wrap(espl_type t, int64_t v) {
  switch (t) {
    case ESPL_T_BOOL: return v != 0;
    case ESPL_T_UINT8: return (uint8_t)v;
    case ESPL_T_INT8: return (int8_t)(uint8_t)v;
    case ESPL_T_UINT16: return (uint16_t)v;
    case ESPL_T_INT16: return (int16_t)(uint16_t)v;
    case ESPL_T_UINT32: return (uint32_t)v;
    case ESPL_T_INT32: return (int32_t)(uint32_t)v;
    default: return v;
  }
}

float espl_half_to_float(uint16_t h) {
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

float espl_bfloat_to_float(uint16_t h) {
  uint32_t bits = (uint32_t)h << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

uint16_t espl_float_to_half(float v) {
  uint16_t sign = signbit(v) ? 0x8000 : 0;
  float a = fabsf(v);
  if (isnan(v)) return sign | 0x7e00;
  if (a >= 65520.0f) return sign | 0x7c00;
  if (a < 0x1p-14f) return (uint16_t)(sign | (uint16_t)lrintf(a * 0x1p24f)); /* 1024 carries into the exponent */
  int e;
  float m = frexpf(a, &e); /* a = m * 2^e, m in [0.5, 1) */
  return (uint16_t)(sign | (uint16_t)(((e + 13) << 10) + (int)lrintf(m * 2048.0f)));
}

uint16_t espl_float_to_bfloat(float v) {
  uint32_t bits;
  memcpy(&bits, &v, 4);
  if (isnan(v)) return (uint16_t)(bits >> 16 | 64);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float espl_type_round(espl_type t, float v) {
  if (t == ESPL_T_FLOAT16) return espl_half_to_float(espl_float_to_half(v));
  return t == ESPL_T_BFLOAT16 ? espl_bfloat_to_float(espl_float_to_bfloat(v)) : v;
}

espl_tensor *espl_tensor_new(espl_type type, int dims, const int64_t *dim) {
  if (!espl_type_known((int32_t)type) || dims < 0 || dims > ESPL_TENSOR_DIMS) return NULL;
  int64_t elems = 1;
  for (int d = 0; d < dims; d++)
    if (dim[d] < 0 || dim[d] > ESPL_TENSOR_ELEMS) return NULL;
  for (int d = 0; d < dims; d++) {
    if (dim[d] > 0 && elems > ESPL_TENSOR_ELEMS / dim[d]) return NULL;
    elems *= dim[d];
  }
  espl_tensor *t = espl_calloc(1, sizeof *t);
  if (!t) return NULL;
  *t = (espl_tensor){.type = type, .dims = dims, .elems = elems};
  for (int d = 0; d < dims; d++) t->dim[d] = dim[d];
  if (espl_type_is_int(type)) t->i = espl_calloc((size_t)elems + 1, sizeof *t->i);
  else t->f = espl_calloc((size_t)elems + 1, sizeof *t->f);
  if (t->i || t->f) return t;
  free(t);
  return NULL;
}

espl_tensor *espl_tensor_as(const espl_tensor *t, int dims, const int64_t *dim) {
  espl_tensor *c = espl_tensor_new(t->type, dims, dim);
  if (c && c->elems != t->elems) {
    espl_tensor_free(c);
    return NULL;
  }
  if (c && t->i) memcpy(c->i, t->i, (size_t)t->elems * sizeof *t->i);
  else if (c) memcpy(c->f, t->f, (size_t)t->elems * sizeof *t->f);
  return c;
}

espl_tensor *espl_tensor_copy(const espl_tensor *t) { return espl_tensor_as(t, t->dims, t->dim); }

void espl_tensor_free(espl_tensor *t) {
  if (!t) return;
  free(t->i);
  free(t->f);
  free(t);
}

double espl_tensor_at(const espl_tensor *t, int64_t k) { return t->i ? (double)t->i[k] : (double)t->f[k]; }

static void unpack_one(espl_tensor *t, int64_t k, const uint8_t *p) {
  union { uint16_t u16; int16_t i16; int32_t i32; uint32_t u32; int64_t i64; float f; double d; } v = {.i64 = 0};
  memcpy(&v, p, espl_type_bytes(t->type));
  switch (t->type) {
    case ESPL_T_BOOL: t->i[k] = *p != 0; break;
    case ESPL_T_UINT8: t->i[k] = *p; break;
    case ESPL_T_INT8: t->i[k] = (int8_t)*p; break;
    case ESPL_T_UINT16: t->i[k] = v.u16; break;
    case ESPL_T_INT16: t->i[k] = v.i16; break;
    case ESPL_T_INT32: t->i[k] = v.i32; break;
    case ESPL_T_UINT32: t->i[k] = v.u32; break;
    case ESPL_T_INT64:
    case ESPL_T_UINT64: t->i[k] = v.i64; break;
    case ESPL_T_DOUBLE: t->f[k] = (float)v.d; break;
    case ESPL_T_FLOAT16: t->f[k] = espl_half_to_float(v.u16); break;
    case ESPL_T_BFLOAT16: t->f[k] = espl_bfloat_to_float(v.u16); break;
    case ESPL_T_FLOAT: t->f[k] = v.f; break;
  }
}

void espl_tensor_unpack(espl_tensor *t, const uint8_t *data) {
  size_t bytes = espl_type_bytes(t->type);
  if (t->type == ESPL_T_FLOAT) memcpy(t->f, data, (size_t)t->elems * 4);
  else
    for (int64_t k = 0; k < t->elems; k++) unpack_one(t, k, data + (size_t)k * bytes);
}

void espl_tensor_pack(const espl_tensor *t, uint8_t *data) {
  size_t bytes = espl_type_bytes(t->type);
  for (int64_t k = 0; k < t->elems; k++, data += bytes) {
    double d = t->f ? (double)t->f[k] : 0;
    uint16_t h = t->f ? (t->type == ESPL_T_FLOAT16 ? espl_float_to_half(t->f[k]) : espl_float_to_bfloat(t->f[k])) : 0;
    if (t->i) memcpy(data, &t->i[k], bytes); /* little-endian host: the low bytes */
    else if (bytes == 8) memcpy(data, &d, 8);
    else if (bytes == 4) memcpy(data, &t->f[k], 4);
    else memcpy(data, &h, 2);
  }
}

void espl_dims_text(char *buf, size_t n, int dims, const int64_t *dim) {
  size_t at = (size_t)snprintf(buf, n, "[");
  for (int d = 0; d < dims && at < n; d++) at += (size_t)snprintf(buf + at, n - at, "%s%lld", d ? "," : "", (long long)dim[d]);
  if (at < n) snprintf(buf + at, n - at, "]");
}
