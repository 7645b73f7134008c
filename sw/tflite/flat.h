/* Bounds-checked reading of a FlatBuffers file in place.
 *
 *   root -> table -> inline field | vector | string | table
 *   a table starts with the signed distance to its vtable; the vtable is {u16 its bytes, u16 bytes of the table, u16 place of field 0, ...},
 *   place 0 means absent; vectors and strings are {u32 count, elements}; what is not inline is behind an unsigned distance.
 *
 * Laws: no byte outside the file is ever read; nothing is allocated; nothing recurses (every access goes one step down). The first
 * access that leaves the file makes the reader `bad` and gives absent or zero from then on: callers check once an object. */
#ifndef ESPL_TFLITE_FLAT_H
#define ESPL_TFLITE_FLAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct espli_flat {
  const uint8_t *p;
  uint64_t n;      /* bytes */
  bool bad;
  uint64_t bad_at; /* offset of the access that failed */
} espli_flat;

typedef struct espli_table {
  uint64_t at, vtable; /* at 0: absent (every field of it is absent) */
  uint32_t fields;
} espli_table;

typedef struct espli_vec {
  uint64_t at; /* of the first element */
  uint32_t n;  /* elements; 0 when absent */
} espli_vec;

espli_table espli_flat_root(espli_flat *f);
/* Scalars: `otherwise` where the field is absent. */
int32_t espli_flat_i8(espli_flat *f, espli_table t, uint32_t field, int32_t otherwise);
uint32_t espli_flat_u8(espli_flat *f, espli_table t, uint32_t field, uint32_t otherwise);
int32_t espli_flat_i32(espli_flat *f, espli_table t, uint32_t field, int32_t otherwise);
uint32_t espli_flat_u32(espli_flat *f, espli_table t, uint32_t field, uint32_t otherwise);
uint64_t espli_flat_u64(espli_flat *f, espli_table t, uint32_t field, uint64_t otherwise);
float espli_flat_f32(espli_flat *f, espli_table t, uint32_t field, float otherwise);
espli_table espli_flat_table(espli_flat *f, espli_table t, uint32_t field);
/* A vector of elements of `bytes` bytes, all inside the file. A string is a vector of 1 byte elements. */
espli_vec espli_flat_vec(espli_flat *f, espli_table t, uint32_t field, uint32_t bytes);

/* Elements; k < v.n is the caller's duty. */
int32_t espli_vec_i32(const espli_flat *f, espli_vec v, uint32_t k);
int64_t espli_vec_i64(const espli_flat *f, espli_vec v, uint32_t k);
float espli_vec_f32(const espli_flat *f, espli_vec v, uint32_t k);
/* Element k of a vector of tables (a vector of 4-byte elements). */
espli_table espli_vec_table(espli_flat *f, espli_vec v, uint32_t k);

/* E_INPUT with the offset when an access left the file. */
espl_status espli_flat_check(const espli_flat *f, espl_err *err) ESPL_MUST_CHECK;

#endif
