/* Reading and writing of .npy tensors. */
#include "cli/npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"

#define LIMIT_BYTES (1ull << 30)

/* "shape": (a, b, ) of the header's dictionary. */
static espl_status parse_shape(const char *path, const char *header, espl_npy *a, espl_err *err) {
  const char *p = strstr(header, "'shape'");
  p = p ? strchr(p, '(') : NULL;
  if (!p) return espl_fail(err, ESPL_E_INPUT, "%s: the header has no shape", path);
  a->elems = 1;
  for (p++;;) {
    p += strspn(p, " ,");
    if (*p == ')') return ESPL_OK;
    char *end;
    long long v = strtoll(p, &end, 10);
    if (end == p || v < 0 || a->dims == ESPL_NPY_MAX_DIMS || (v > 0 && a->elems > (int64_t)(LIMIT_BYTES / 4) / v))
      return espl_fail(err, ESPL_E_INPUT, "%s: a shape that is not understood or too large", path);
    a->dim[a->dims++] = v;
    a->elems *= v;
    p = end;
  }
}

static int element_bytes(const char *header) {
  static const struct { const char *descr; int bytes; } t[] = {{"'<f4'", 4}, {"'<f8'", 8}, {"'|i1'", 1}, {"'|u1'", 2}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++)
    if (strstr(header, t[i].descr)) return t[i].bytes;
  return 0;
}

/* kind: 4 float32, 8 float64, 1 int8, 2 uint8 */
static void convert(espl_npy *a, const char *data, int kind) {
  for (int64_t i = 0; i < a->elems; i++) {
    if (kind == 4) memcpy(&a->value[i], data + 4 * i, 4);
    else if (kind == 8) {
      double v;
      memcpy(&v, data + 8 * i, 8);
      a->value[i] = (float)v;
    } else a->value[i] = kind == 1 ? (float)(int8_t)data[i] : (float)(uint8_t)data[i];
  }
}

static espl_status parse(const char *path, char *text, size_t n, espl_npy *a, espl_err *err) {
  if (n < 12 || memcmp(text, "\x93NUMPY", 6) != 0) return espl_fail(err, ESPL_E_INPUT, "%s: not a .npy file", path);
  const uint8_t *u = (const uint8_t *)text;
  size_t at = u[6] == 1 ? 10 : 12, len = u[6] == 1 ? u[8] + 256u * u[9] : u[8] + 256u * u[9] + 65536u * u[10] + 16777216u * u[11];
  if (u[6] < 1 || u[6] > 3 || len > n - at || len == 0) return espl_fail(err, ESPL_E_INPUT, "%s: its header is damaged", path);
  char last = text[at + len - 1];
  text[at + len - 1] = 0;
  int kind = element_bytes(text + at);
  if (!kind || last != '\n') return espl_fail(err, ESPL_E_INPUT, "%s: expected float32, float64, int8 or uint8 elements, little endian", path);
  if (!strstr(text + at, "'fortran_order': False")) return espl_fail(err, ESPL_E_INPUT, "%s: expected C order", path);
  ESPL_TRY(parse_shape(path, text + at, a, err));
  size_t need = (size_t)a->elems * (kind == 2 ? 1u : (size_t)kind);
  if (n - at - len < need) return espl_fail(err, ESPL_E_INPUT, "%s: %zu bytes of elements, its shape needs %zu", path, n - at - len, need);
  a->value = espl_calloc((size_t)a->elems + 1, sizeof *a->value);
  if (!a->value) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  convert(a, text + at + len, kind);
  return ESPL_OK;
}

espl_status espl_npy_read(const char *path, espl_npy *out, espl_err *err) {
  char *text = NULL;
  size_t n = 0;
  *out = (espl_npy){0};
  ESPL_TRY(espl_read_file(path, LIMIT_BYTES, &text, &n, err));
  espl_status s = parse(path, text, n, out, err);
  free(text);
  if (s != ESPL_OK) espl_npy_clear(out);
  return s;
}

espl_status espl_npy_write(const char *path, int dims, const int64_t *dim, const float *value, espl_err *err) {
  char head[256] = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  int64_t elems = 1;
  size_t n = strlen(head);
  for (int i = 0; i < dims && n < 200; i++) {
    n += (size_t)snprintf(head + n, sizeof head - n, "%lld,", (long long)dim[i]);
    elems *= dim[i];
  }
  n += (size_t)snprintf(head + n, sizeof head - n, "), }");
  size_t full = (10 + n + 1 + 63) / 64 * 64, bytes = full + (size_t)elems * 4;
  char *out = espl_calloc(bytes, 1);
  if (!out) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  out[8] = (char)((full - 10) & 255);
  out[9] = (char)((full - 10) >> 8);
  memset(out + 10, ' ', full - 10);
  memcpy(out + 10, head, n);
  out[full - 1] = '\n';
  memcpy(out + full, value, (size_t)elems * 4);
  espl_status s = espl_write_file(path, out, bytes, err);
  free(out);
  return s;
}

void espl_npy_clear(espl_npy *a) {
  free(a->value);
  *a = (espl_npy){0};
}
