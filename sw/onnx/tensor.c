/* Constant tensors of the file: raw bytes (little-endian) or typed fields, any number type (tensor/tensor.h). */
#include <stdlib.h>
#include <string.h>

#include "onnx/onnx_int.h"

#define T(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

static size_t typed_count(const Onnx__TensorProto *p) {
  switch (p->data_type) {
    case T(FLOAT): return p->n_float_data;
    case T(DOUBLE): return p->n_double_data;
    case T(INT64): return p->n_int64_data;
    case T(UINT32):
    case T(UINT64): return p->n_uint64_data;
    default: return p->n_int32_data;
  }
}

static void put_typed(espl_tensor *t, int64_t k, const Onnx__TensorProto *p) {
  switch (p->data_type) {
    case T(FLOAT): t->f[k] = p->float_data[k]; break;
    case T(DOUBLE): t->f[k] = (float)p->double_data[k]; break;
    case T(FLOAT16): t->f[k] = espl_half_to_float((uint16_t)p->int32_data[k]); break;
    case T(BFLOAT16): t->f[k] = espl_bfloat_to_float((uint16_t)p->int32_data[k]); break;
    case T(INT64): t->i[k] = p->int64_data[k]; break;
    case T(UINT32):
    case T(UINT64): t->i[k] = (int64_t)p->uint64_data[k]; break;
    default: t->i[k] = espl_type_wrap(t->type, p->int32_data[k]); break;
  }
}

static espl_status checked(const Onnx__TensorProto *p, int64_t *elems, size_t *bytes, espl_err *err) {
  const char *name = espli_text(p->name);
  if (!espl_type_known(p->data_type)) return espl_fail(err, ESPL_E_UNSUPPORTED, "tensor %s: element type %d is not supported", name, p->data_type);
  if (p->n_dims > ESPLI_ONNX_DIMS)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "tensor %s: %zu dimensions, at most %d are supported", name, p->n_dims, ESPLI_ONNX_DIMS);
  *bytes = espl_type_bytes((espl_type)p->data_type);
  *elems = 1;
  for (size_t d = 0; d < p->n_dims; d++) {
    if (p->dims[d] < 0 || p->dims[d] > ESPL_TENSOR_ELEMS || (p->dims[d] > 0 && *elems > ESPL_TENSOR_ELEMS / p->dims[d]))
      return espl_fail(err, ESPL_E_INPUT, "tensor %s: extent %zu is %lld (at most 2^28 elements are allowed)", name, d, (long long)p->dims[d]);
    *elems *= p->dims[d];
  }
  return ESPL_OK;
}

espl_status espli_tensor_bytes(const Onnx__TensorProto *p, uint64_t *bytes, espl_err *err) {
  int64_t elems;
  size_t each;
  ESPL_TRY(checked(p, &elems, &each, err));
  *bytes = (uint64_t)elems * each;
  return ESPL_OK;
}

espl_status espli_tensor_decode(const Onnx__TensorProto *p, espl_tensor **out, espl_err *err) {
  const char *name = espli_text(p->name);
  int64_t elems = 0;
  size_t bytes = 1;
  *out = NULL;
  ESPL_TRY(checked(p, &elems, &bytes, err));
  if (p->has_data_location && p->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "tensor %s: data in a separate file is supported for initializers and constants only", name);
  bool raw = p->has_raw_data && p->raw_data.len > 0;
  size_t have = raw ? p->raw_data.len / bytes : typed_count(p);
  if (have != (size_t)elems || (raw && p->raw_data.len % bytes))
    return espl_fail(err, ESPL_E_INPUT, "tensor %s: holds %zu elements, its shape says %lld", name, have, (long long)elems);
  espl_tensor *t = espl_tensor_new((espl_type)p->data_type, (int)p->n_dims, p->dims);
  if (!t) return espl_fail(err, ESPL_E_NOMEM, "tensor %s: out of memory for %lld elements", name, (long long)elems);
  if (raw) espl_tensor_unpack(t, p->raw_data.data);
  for (int64_t k = 0; !raw && k < elems; k++) put_typed(t, k, p);
  *out = t;
  return ESPL_OK;
}

espl_status espli_tensor_take(Onnx__TensorProto *p, espl_tensor **out, espl_err *err) {
  ESPL_TRY(espli_tensor_decode(p, out, err));
  free(p->raw_data.data); /* protobuf-c's own allocator is malloc */
  p->raw_data = (ProtobufCBinaryData){0, NULL};
  p->has_raw_data = 0;
  return ESPL_OK;
}
