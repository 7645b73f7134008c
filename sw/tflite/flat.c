/* FlatBuffers accessors: each adds unsigned 64-bit offsets below 2^33 and compares with the file's length before it reads. */
#include "tflite/flat.h"

#include <string.h>

static bool inside(espli_flat *f, uint64_t at, uint64_t bytes) {
  if (!f->bad && at <= f->n && bytes <= f->n - at) return true;
  if (!f->bad) f->bad_at = at;
  f->bad = true;
  return false;
}

static uint64_t load(const espli_flat *f, uint64_t at, uint32_t bytes) {
  uint64_t v = 0;
  for (uint32_t k = 0; k < bytes; k++) v |= (uint64_t)f->p[at + k] << (8 * k);
  return v;
}

/* The table at `at`, with its vtable checked. */
static espli_table table_at(espli_flat *f, uint64_t at) {
  espli_table none = {0}, t = {.at = at};
  if (!inside(f, at, 4)) return none;
  int64_t vtable = (int64_t)at - (int32_t)(uint32_t)load(f, at, 4);
  if (!inside(f, vtable < 0 ? UINT64_MAX : (uint64_t)vtable, 4)) return none;
  t.vtable = (uint64_t)vtable;
  uint64_t bytes = load(f, t.vtable, 2);
  if (bytes < 4 || !inside(f, t.vtable, bytes)) {
    inside(f, UINT64_MAX, 1);
    return none;
  }
  t.fields = (uint32_t)(bytes - 4) / 2;
  return t;
}

/* Where a distance stored at `at` leads. */
static uint64_t follow(espli_flat *f, uint64_t at) { return inside(f, at, 4) ? at + load(f, at, 4) : 0; }

espli_table espli_flat_root(espli_flat *f) {
  uint64_t at = follow(f, 0);
  return f->bad ? (espli_table){0} : table_at(f, at);
}

/* Offset of an inline field of `bytes` bytes; 0: absent or bad. */
static uint64_t place(espli_flat *f, espli_table t, uint32_t field, uint32_t bytes) {
  if (!t.at || f->bad || field >= t.fields) return 0;
  uint64_t off = load(f, t.vtable + 4 + 2 * (uint64_t)field, 2);
  return off && inside(f, t.at + off, bytes) ? t.at + off : 0;
}

static uint64_t scalar(espli_flat *f, espli_table t, uint32_t field, uint32_t bytes, uint64_t otherwise) {
  uint64_t at = place(f, t, field, bytes);
  return at ? load(f, at, bytes) : otherwise;
}

int32_t espli_flat_i8(espli_flat *f, espli_table t, uint32_t field, int32_t otherwise) { return (int8_t)scalar(f, t, field, 1, (uint64_t)otherwise); }
uint32_t espli_flat_u8(espli_flat *f, espli_table t, uint32_t field, uint32_t otherwise) { return (uint8_t)scalar(f, t, field, 1, otherwise); }
int32_t espli_flat_i32(espli_flat *f, espli_table t, uint32_t field, int32_t otherwise) { return (int32_t)(uint32_t)scalar(f, t, field, 4, (uint32_t)otherwise); }
uint32_t espli_flat_u32(espli_flat *f, espli_table t, uint32_t field, uint32_t otherwise) { return (uint32_t)scalar(f, t, field, 4, otherwise); }
uint64_t espli_flat_u64(espli_flat *f, espli_table t, uint32_t field, uint64_t otherwise) { return scalar(f, t, field, 8, otherwise); }

static float as_float(uint64_t bits) {
  uint32_t u = (uint32_t)bits;
  float v;
  memcpy(&v, &u, sizeof v);
  return v;
}

float espli_flat_f32(espli_flat *f, espli_table t, uint32_t field, float otherwise) {
  uint64_t at = place(f, t, field, 4);
  return at ? as_float(load(f, at, 4)) : otherwise;
}

espli_table espli_flat_table(espli_flat *f, espli_table t, uint32_t field) {
  uint64_t at = place(f, t, field, 4);
  uint64_t to = at ? follow(f, at) : 0;
  return to ? table_at(f, to) : (espli_table){0};
}

espli_vec espli_flat_vec(espli_flat *f, espli_table t, uint32_t field, uint32_t bytes) {
  uint64_t at = place(f, t, field, 4), to = at ? follow(f, at) : 0;
  if (!to || !inside(f, to, 4)) return (espli_vec){0};
  espli_vec v = {.at = to + 4, .n = (uint32_t)load(f, to, 4)};
  return inside(f, v.at, (uint64_t)v.n * bytes) ? v : (espli_vec){0};
}

int32_t espli_vec_i32(const espli_flat *f, espli_vec v, uint32_t k) { return (int32_t)(uint32_t)load(f, v.at + 4 * (uint64_t)k, 4); }
int64_t espli_vec_i64(const espli_flat *f, espli_vec v, uint32_t k) { return (int64_t)load(f, v.at + 8 * (uint64_t)k, 8); }
float espli_vec_f32(const espli_flat *f, espli_vec v, uint32_t k) { return as_float(load(f, v.at + 4 * (uint64_t)k, 4)); }

espli_table espli_vec_table(espli_flat *f, espli_vec v, uint32_t k) {
  uint64_t at = f->bad ? 0 : follow(f, v.at + 4 * (uint64_t)k);
  return at ? table_at(f, at) : (espli_table){0};
}

espl_status espli_flat_check(const espli_flat *f, espl_err *err) {
  if (!f->bad) return ESPL_OK;
  if (f->bad_at == UINT64_MAX) return espl_fail(err, ESPL_E_INPUT, "damaged: a table's field list lies outside the file");
  return espl_fail(err, ESPL_E_INPUT, "damaged or truncated: it points to byte %llu of %llu", (unsigned long long)f->bad_at, (unsigned long long)f->n);
}
