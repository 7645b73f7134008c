/* Tensors of any rank and the operators of ONNX on them: the plain meaning of a network, operator by operator.
 *
 * The network graph (graph/graph.h) holds images [C,H,W] and what training, slimming and mapping need; this room evaluates everything else
 * that a file may hold: other ranks, integers, several inputs. It folds the constants of an import and checks the fast execution.
 *
 * Laws: 1. elements are row-major; floating types are kept as float32, integer types and bool as int64 reduced to the range of their type;
 *       2. extents are >= 0 (empty tensors exist), at most ESPL_TENSOR_DIMS of them, at most ESPL_TENSOR_ELEMS elements;
 *       3. exactly one of f and i is not NULL. */
#ifndef ESPL_TENSOR_TENSOR_H
#define ESPL_TENSOR_TENSOR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define ESPL_TENSOR_DIMS 8
#define ESPL_TENSOR_ELEMS ((int64_t)1 << 28)

/* The numbers are those of ONNX element types. */
typedef enum espl_type {
  ESPL_T_FLOAT = 1, ESPL_T_UINT8 = 2, ESPL_T_INT8 = 3, ESPL_T_UINT16 = 4, ESPL_T_INT16 = 5, ESPL_T_INT32 = 6, ESPL_T_INT64 = 7,
  ESPL_T_BOOL = 9, ESPL_T_FLOAT16 = 10, ESPL_T_DOUBLE = 11, ESPL_T_UINT32 = 12, ESPL_T_UINT64 = 13, ESPL_T_BFLOAT16 = 16
} espl_type;

typedef struct espl_tensor {
  espl_type type;
  int dims; /* 0: scalar */
  int64_t dim[ESPL_TENSOR_DIMS];
  int64_t elems;
  int64_t *i; /* [elems] integers, owned */
  float *f;   /* [elems] reals, owned */
} espl_tensor;

bool espl_type_known(int32_t type);
bool espl_type_is_int(espl_type t);
size_t espl_type_bytes(espl_type t);      /* stored */
const char *espl_type_name(espl_type t);  /* "float16" */
/* v reduced modulo 2^bits to the range of an integer type; bool: v != 0. */
int64_t espl_type_wrap(espl_type t, int64_t v);
/* v rounded to what a floating type can hold (float and double: unchanged). */
float espl_type_round(espl_type t, float v);
float espl_half_to_float(uint16_t h);
float espl_bfloat_to_float(uint16_t h);
uint16_t espl_float_to_half(float v);   /* to nearest, ties to even */
uint16_t espl_float_to_bfloat(float v);

/* Zeroed; NULL when out of memory or beyond the limits above. */
espl_tensor *espl_tensor_new(espl_type type, int dims, const int64_t *dim);
espl_tensor *espl_tensor_copy(const espl_tensor *t);
/* The elements of t (kept) under other extents of the same count; NULL when they differ or out of memory. */
espl_tensor *espl_tensor_as(const espl_tensor *t, int dims, const int64_t *dim);
void espl_tensor_free(espl_tensor *t); /* NULL is allowed */
double espl_tensor_at(const espl_tensor *t, int64_t k);
/* Decodes / encodes little-endian elements of the type of t; data holds elems * espl_type_bytes bytes. */
void espl_tensor_unpack(espl_tensor *t, const uint8_t *data);
void espl_tensor_pack(const espl_tensor *t, uint8_t *data);
/* "[2,3]", at most n bytes with the terminator. */
void espl_dims_text(char *buf, size_t n, int dims, const int64_t *dim);

#endif
