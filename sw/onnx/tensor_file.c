/* One TensorProto a file, as ONNX's own test data has them. */
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "onnx/onnx_int.h"
#include "onnx/program.h"

#define TENSOR_FILE_LIMIT ((size_t)2 << 30)

static espl_status parse(const uint8_t *data, size_t n, espl_tensor **t, espl_err *err) {
  ESPL_TRY(espli_onnx_scan(data, n, &onnx__tensor_proto__descriptor, err));
  Onnx__TensorProto *p = onnx__tensor_proto__unpack(NULL, n, data);
  if (!p) return espl_fail(err, ESPL_E_INPUT, "not a TensorProto: its fields do not unpack");
  espl_status s = espli_tensor_decode(p, t, err);
  onnx__tensor_proto__free_unpacked(p, NULL);
  return s;
}

espl_status espl_onnx_tensor_read(const char *path, espl_tensor **t, espl_err *err) {
  char *data = NULL;
  size_t n = 0;
  *t = NULL;
  ESPL_TRY(espl_read_file(path, TENSOR_FILE_LIMIT, &data, &n, err));
  espl_status s = parse((const uint8_t *)data, n, t, err);
  free(data);
  return s == ESPL_OK || !err ? s : espl_fail_context(err, "%s", path);
}

espl_status espl_onnx_tensor_write(const char *path, const char *name, const espl_tensor *t, espl_err *err) {
  Onnx__TensorProto p = ONNX__TENSOR_PROTO__INIT;
  size_t bytes = (size_t)t->elems * espl_type_bytes(t->type);
  uint8_t *raw = espl_calloc(bytes + 1, 1), *out = NULL;
  if (!raw) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  espl_tensor_pack(t, raw);
  p.name = (char *)(uintptr_t)name;
  p.n_dims = (size_t)t->dims;
  p.dims = (int64_t *)(uintptr_t)t->dim;
  p.has_data_type = 1;
  p.data_type = (int32_t)t->type;
  p.has_raw_data = 1;
  p.raw_data = (ProtobufCBinaryData){bytes, raw};
  size_t n = onnx__tensor_proto__get_packed_size(&p);
  out = malloc(n + 1);
  espl_status s = out ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  if (s == ESPL_OK) {
    onnx__tensor_proto__pack(&p, out);
    s = espl_write_file(path, out, n, err);
  }
  free(raw);
  free(out);
  return s;
}
