/* Reading and writing of .npy tensors. */
#include "cli/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "onnx/program.h"

#define LIMIT_BYTES (2ull << 30)

static const struct { const char *descr; espl_type type; } kinds[] = {
    {"<f4", ESPL_T_FLOAT}, {"<f8", ESPL_T_DOUBLE}, {"<f2", ESPL_T_FLOAT16}, {"|i1", ESPL_T_INT8}, {"|u1", ESPL_T_UINT8}, {"<i2", ESPL_T_INT16},
    {"<u2", ESPL_T_UINT16}, {"<i4", ESPL_T_INT32}, {"<u4", ESPL_T_UINT32}, {"<i8", ESPL_T_INT64}, {"<u8", ESPL_T_UINT64}, {"|b1", ESPL_T_BOOL}};

/* "shape": (a, b, ) of the header's dictionary. */
static espl_status parse_shape(const char *path, const char *header, int *dims, int64_t dim[ESPL_TENSOR_DIMS], espl_err *err) {
  const char *p = strstr(header, "'shape'");
  p = p ? strchr(p, '(') : NULL;
  if (!p) return espl_fail(err, ESPL_E_INPUT, "%s: the header has no shape", path);
  *dims = 0;
  for (p++;;) {
    p += strspn(p, " ,");
    if (*p == ')') return ESPL_OK;
    char *end;
    long long v = strtoll(p, &end, 10);
    if (end == p || v < 0 || v > ESPL_TENSOR_ELEMS || *dims == ESPL_TENSOR_DIMS) return espl_fail(err, ESPL_E_INPUT, "%s: a shape that is not understood or too large", path);
    dim[(*dims)++] = v;
    p = end;
  }
}

static espl_type element_type(const char *header, bool *big_endian) {
  char quoted[8];
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    for (int big = 0; big < 2; big++) {
      snprintf(quoted, sizeof quoted, "'%c%s'", big ? '>' : kinds[i].descr[0], kinds[i].descr + 1);
      *big_endian = big;
      if (strstr(header, quoted)) return kinds[i].type;
    }
  return (espl_type)0;
}

/* Elements of `size` bytes whose first index runs fastest (column_major), or whose bytes are the other way round, as C order, little endian. */
static void reorder(const espl_tensor *t, size_t size, bool column_major, bool big_endian, const uint8_t *from, uint8_t *to) {
  for (int64_t k = 0; k < t->elems; k++) {
    int64_t at = k, rest = k, stride = t->elems;
    if (column_major) at = 0;
    for (int d = t->dims - 1; column_major && d >= 0; d--) {
      stride /= t->dim[d];
      at += rest % t->dim[d] * stride;
      rest /= t->dim[d];
    }
    for (size_t b = 0; b < size; b++) to[(size_t)k * size + b] = from[(size_t)at * size + (big_endian ? size - 1 - b : b)];
  }
}

static espl_status elements(const char *path, espl_tensor *t, bool column_major, bool big_endian, const uint8_t *from, espl_err *err) {
  size_t size = espl_type_bytes(t->type);
  if ((!column_major && !big_endian) || t->elems == 0) {
    espl_tensor_unpack(t, from);
    return ESPL_OK;
  }
  uint8_t *to = espl_calloc((size_t)t->elems, size);
  if (!to) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  reorder(t, size, column_major, big_endian, from, to);
  espl_tensor_unpack(t, to);
  free(to);
  return ESPL_OK;
}

static espl_status parse(const char *path, char *text, size_t n, espl_tensor **t, espl_err *err) {
  const uint8_t *u = (const uint8_t *)text;
  int dims = 0;
  int64_t dim[ESPL_TENSOR_DIMS];
  if (n < 12) return espl_fail(err, ESPL_E_INPUT, "%s: not a .npy file", path);
  size_t at = u[6] == 1 ? 10 : 12, len = u[6] == 1 ? u[8] + 256u * u[9] : u[8] + 256u * u[9] + 65536u * u[10] + 16777216u * u[11];
  if (u[6] < 1 || u[6] > 3 || len > n - at || len == 0) return espl_fail(err, ESPL_E_INPUT, "%s: its header is damaged", path);
  char last = text[at + len - 1];
  text[at + len - 1] = 0;
  bool big_endian, column_major = strstr(text + at, "'fortran_order': True");
  espl_type type = element_type(text + at, &big_endian);
  if (!type || last != '\n') return espl_fail(err, ESPL_E_INPUT, "%s: expected floating, integer or bool elements", path);
  ESPL_TRY(parse_shape(path, text + at, &dims, dim, err));
  double need = (double)espl_type_bytes(type);
  for (int d = 0; d < dims; d++) need *= (double)dim[d];
  if ((double)(n - at - len) < need) return espl_fail(err, ESPL_E_INPUT, "%s: %zu bytes of elements, its shape needs %.0f", path, n - at - len, need);
  *t = espl_tensor_new(type, dims, dim);
  if (!*t) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  espl_status s = elements(path, *t, column_major, big_endian, u + at + len, err);
  if (s == ESPL_OK) return s;
  espl_tensor_free(*t);
  *t = NULL;
  return s;
}

espl_status espl_npy_read(const char *path, espl_tensor **t, espl_err *err) {
  char *text = NULL;
  size_t n = 0;
  *t = NULL;
  ESPL_TRY(espl_read_file(path, LIMIT_BYTES, &text, &n, err));
  bool npy = n >= 6 && memcmp(text, "\x93NUMPY", 6) == 0;
  espl_status s = npy ? parse(path, text, n, t, err) : ESPL_OK;
  free(text);
  return npy ? s : espl_onnx_tensor_read(path, t, err);
}

static const char *descr_of(espl_type t) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (kinds[i].type == t) return kinds[i].descr;
  return "<f4";
}

espl_status espl_npy_write(const char *path, const espl_tensor *t, espl_err *err) {
  char head[320];
  espl_tensor as = *t;
  if (as.type == ESPL_T_BFLOAT16) as.type = ESPL_T_FLOAT;
  size_t n = (size_t)snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr_of(as.type));
  for (int i = 0; i < t->dims; i++) n += (size_t)snprintf(head + n, sizeof head - n, "%lld,", (long long)t->dim[i]);
  n += (size_t)snprintf(head + n, sizeof head - n, "), }");
  size_t full = (10 + n + 1 + 63) / 64 * 64, bytes = full + (size_t)t->elems * espl_type_bytes(as.type);
  char *out = espl_calloc(bytes, 1);
  if (!out) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  out[8] = (char)((full - 10) & 255);
  out[9] = (char)((full - 10) >> 8);
  memset(out + 10, ' ', full - 10);
  memcpy(out + 10, head, n);
  out[full - 1] = '\n';
  espl_tensor_pack(&as, (uint8_t *)out + full);
  espl_status s = espl_write_file(path, out, bytes, err);
  free(out);
  return s;
}
