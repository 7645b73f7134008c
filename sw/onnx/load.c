/* The file itself: bytes, wire format, versions, tensors in separate files. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/text.h"
#include "onnx/onnx_int.h"

#define FILE_LIMIT ((size_t)2 << 30)

/* ---- data in separate files ---- */

/* The number of an entry "offset" or "length". */
static espl_status entry_number(const Onnx__TensorProto *t, const char *key, const char *text, uint64_t *v, espl_err *err) {
  char *end;
  errno = 0;
  *v = strtoull(text, &end, 10);
  if (text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0) return ESPL_OK;
  return espl_fail(err, ESPL_E_INPUT, "tensor %s: its %s in a separate file is \"%.40s\"", espli_text(t->name), key, text);
}

/* A location is a relative path without "..", and what it names lies in the folder of the model, links followed. */
static espl_status safe_path(const char *folder, const Onnx__TensorProto *t, const char *location, char **out, espl_err *err) {
  const char *name = espli_text(t->name);
  char root[PATH_MAX], full[PATH_MAX];
  bool up = false;
  for (const char *p = location; *p; p += strcspn(p, "/"), p += *p == '/')
    up |= strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == 0);
  if (!location[0] || location[0] == '/' || up)
    return espl_fail(err, ESPL_E_INPUT, "tensor %s: data in \"%.200s\", expected a path inside the model's folder", name, location);
  char *joined = espl_path_join(folder, location);
  if (!joined) return espl_fail(err, ESPL_E_NOMEM, "out of memory");
  bool found = realpath(folder[0] ? folder : ".", root) && realpath(joined, full);
  free(joined);
  if (!found) return espl_fail(err, ESPL_E_INPUT, "tensor %s: its data file %.200s is not there", name, location);
  size_t n = strlen(root);
  bool inside = strncmp(full, root, n) == 0 && (full[n] == '/' || strcmp(root, "/") == 0);
  if (!inside) return espl_fail(err, ESPL_E_INPUT, "tensor %s: its data file %.200s leads outside the model's folder", name, location);
  *out = espl_strdup(full);
  return *out ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "out of memory");
}

/* offset, then length bytes, of a regular file; the bytes become raw_data. */
static espl_status read_part(Onnx__TensorProto *t, const char *path, uint64_t offset, uint64_t length, espl_err *err) {
  const char *name = espli_text(t->name);
  struct stat st;
  if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return espl_fail(err, ESPL_E_INPUT, "tensor %s: %s is not a regular file", name, path);
  uint64_t size = (uint64_t)st.st_size;
  if (offset > size || length > size - offset)
    return espl_fail(err, ESPL_E_INPUT, "tensor %s: %llu bytes at %llu of %s, which has %llu", name, (unsigned long long)length, (unsigned long long)offset, path, (unsigned long long)size);
  FILE *f = fopen(path, "rb");
  uint8_t *data = f ? malloc((size_t)length + 1) : NULL;
  bool ok = data && fseek(f, (long)offset, SEEK_SET) == 0 && fread(data, 1, (size_t)length, f) == length;
  if (f) fclose(f);
  if (!ok) {
    free(data);
    return espl_fail(err, f && !data ? ESPL_E_NOMEM : ESPL_E_INPUT, "tensor %s: cannot read %s", name, path);
  }
  t->has_raw_data = 1;
  t->raw_data = (ProtobufCBinaryData){(size_t)length, data};
  t->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__DEFAULT;
  return ESPL_OK;
}

static espl_status external(const char *folder, Onnx__TensorProto *t, uint64_t *left, espl_err *err) {
  if (!t || !t->has_data_location || t->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) return ESPL_OK;
  const char *location = "";
  uint64_t offset = 0, length = UINT64_MAX, want = 0;
  char *path = NULL;
  if (t->has_raw_data && t->raw_data.len) return espl_fail(err, ESPL_E_INPUT, "tensor %s: has data here and in a separate file", espli_text(t->name));
  for (size_t k = 0; k < t->n_external_data; k++) {
    const char *key = espli_text(t->external_data[k]->key), *v = espli_text(t->external_data[k]->value);
    if (strcmp(key, "location") == 0) location = v;
    if (strcmp(key, "offset") == 0) ESPL_TRY(entry_number(t, key, v, &offset, err));
    if (strcmp(key, "length") == 0) ESPL_TRY(entry_number(t, key, v, &length, err));
  }
  ESPL_TRY(espli_tensor_bytes(t, &want, err));
  if (length == UINT64_MAX) length = want;
  if (length != want)
    return espl_fail(err, ESPL_E_INPUT, "tensor %s: %llu bytes in a separate file, its shape needs %llu", espli_text(t->name), (unsigned long long)length, (unsigned long long)want);
  if (length > *left) return espl_fail(err, ESPL_E_UNSUPPORTED, "tensor %s: the tensors in separate files take more than 2^31 bytes", espli_text(t->name));
  *left -= length;
  ESPL_TRY(safe_path(folder, t, location, &path, err));
  espl_status s = read_part(t, path, offset, length, err);
  free(path);
  return s;
}

static espl_status all_external(const char *path, Onnx__GraphProto *g, espl_err *err) {
  const char *slash = strrchr(path, '/');
  char *folder = slash ? espl_format("%.*s", (int)(slash - path) + (slash == path), path) : espl_strdup("");
  uint64_t left = FILE_LIMIT;
  espl_status s = folder ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "out of memory");
  for (size_t k = 0; s == ESPL_OK && k < g->n_initializer; k++) s = external(folder, g->initializer[k], &left, err);
  for (size_t k = 0; s == ESPL_OK && k < g->n_node; k++)
    for (size_t j = 0; s == ESPL_OK && j < g->node[k]->n_attribute; j++) s = external(folder, g->node[k]->attribute[j]->t, &left, err);
  free(folder);
  return s;
}

/* ---- versions ---- */

/* The operator set since which an operator has the form it has in set 7; 0: it came or changed later. */
static int64_t form_of_set_7_since(const char *op) {
  static const struct { const char *op; int64_t since; } t[] = {
      {"Conv", 1}, {"ConvTranspose", 1}, {"MaxPool", 1}, {"GlobalAveragePool", 1}, {"GlobalMaxPool", 1}, {"Softmax", 1}, {"Transpose", 1},
      {"Flatten", 1}, {"Squeeze", 1}, {"Unsqueeze", 1}, {"Slice", 1}, {"Shape", 1}, {"Size", 1}, {"Gather", 1}, {"Constant", 1}, {"Identity", 1},
      {"ReduceMean", 1}, {"ReduceSum", 1}, {"ReduceMax", 1}, {"ReduceMin", 1}, {"ReduceProd", 1}, {"Pad", 2}, {"Split", 2}, {"Concat", 4},
      {"Reshape", 5}, {"Relu", 6}, {"LeakyRelu", 6}, {"HardSigmoid", 6}, {"Sigmoid", 6}, {"Tanh", 6}, {"Exp", 6}, {"Sqrt", 6}, {"Neg", 6},
      {"Abs", 6}, {"Floor", 6}, {"Ceil", 6}, {"Reciprocal", 6}, {"Sum", 6}, {"Max", 6}, {"Min", 6}, {"Clip", 6}, {"Cast", 6},
      {"InstanceNormalization", 6}};
  for (size_t k = 0; k < sizeof t / sizeof *t; k++)
    if (strcmp(t[k].op, op) == 0) return t[k].since;
  return 0;
}

/* True when a file of an operator set before 7 holds only operators that already had their later form, or that are refused by name anyway. */
static bool old_but_same(const Onnx__GraphProto *g, int64_t opset) {
  espl_top_kind kind;
  for (size_t k = 0; k < g->n_node; k++) {
    const char *op = espli_text(g->node[k]->op_type);
    int64_t since = form_of_set_7_since(op);
    bool ours = espli_is_onnx_domain(g->node[k]->domain) && espl_top_find(op, &kind);
    if (ours && (since == 0 || since > opset)) return false;
  }
  return g->n_node > 0;
}

/* Refuses a node whose operator is not in the operator set that the model names: it came later (sets up to 7 have the rest), or was taken out. */
static espl_status check_operators(const Onnx__ModelProto *m, int64_t opset, espl_err *err) {
  static const struct { const char *op; int64_t from, to; } t[] = {
      {"Expand", 8, INT64_MAX}, {"Where", 9, INT64_MAX}, {"ConstantOfShape", 9, INT64_MAX}, {"QuantizeLinear", 10, INT64_MAX},
      {"DequantizeLinear", 10, INT64_MAX}, {"Resize", 10, INT64_MAX}, {"Range", 11, INT64_MAX}, {"HardSwish", 14, INT64_MAX},
      {"GroupNormalization", 18, INT64_MAX}, {"Upsample", 1, 9}};
  for (size_t k = 0; k < m->graph->n_node; k++) {
    const Onnx__NodeProto *n = m->graph->node[k];
    char why[64];
    for (size_t j = 0; espli_is_onnx_domain(n->domain) && j < sizeof t / sizeof *t; j++) {
      if (strcmp(t[j].op, espli_text(n->op_type)) || (opset >= t[j].from && opset <= t[j].to)) continue;
      snprintf(why, sizeof why, opset < t[j].from ? "came with operator set %lld" : "left with operator set %lld", (long long)(opset < t[j].from ? t[j].from : t[j].to + 1));
      return espli_refuse_operator(m, n, why, err);
    }
  }
  return ESPL_OK;
}

static espl_status check_versions(const Onnx__ModelProto *m, int64_t *opset, espl_err *err) {
  if (!m->graph || !m->has_ir_version) return espl_fail(err, ESPL_E_INPUT, "not an ONNX file, or truncated: it has no %s", m->graph ? "IR version" : "graph");
  if (m->ir_version < ESPLI_IR_MIN || m->ir_version > ESPLI_IR_MAX)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "IR version %lld, %d to %d are supported", (long long)m->ir_version, ESPLI_IR_MIN, ESPLI_IR_MAX);
  if (m->graph->n_sparse_initializer) return espl_fail(err, ESPL_E_UNSUPPORTED, "sparse initializers are not supported");
  if (m->graph->n_node > ESPLI_MAX_NODES) return espl_fail(err, ESPL_E_UNSUPPORTED, "%zu nodes, at most %d are supported", m->graph->n_node, ESPLI_MAX_NODES);
  *opset = 0;
  for (size_t k = 0; k < m->n_opset_import; k++) {
    if (!espli_is_onnx_domain(m->opset_import[k]->domain)) continue;
    if (*opset && m->opset_import[k]->version != *opset)
      return espl_fail(err, ESPL_E_INPUT, "the model names two ONNX operator sets, %lld and %lld", (long long)*opset, (long long)m->opset_import[k]->version);
    *opset = m->opset_import[k]->version;
  }
  if (*opset >= ESPLI_OPSET_MIN && *opset <= ESPLI_OPSET_MAX) return ESPL_OK;
  if (*opset >= 0 && *opset < ESPLI_OPSET_MIN && old_but_same(m->graph, *opset)) return ESPL_OK;
  if (*opset == 0) return espl_fail(err, ESPL_E_INPUT, "the model names no ONNX operator set");
  return espl_fail(err, ESPL_E_UNSUPPORTED, "operator set %lld, %d to %d are supported", (long long)*opset, ESPLI_OPSET_MIN, ESPLI_OPSET_MAX);
}

static espl_status unpack(const char *path, const uint8_t *data, size_t n, Onnx__ModelProto **out, int64_t *opset, espl_err *err) {
  ESPL_TRY(espli_onnx_scan(data, n, &onnx__model_proto__descriptor, err));
  Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, n, data);
  if (!m) return espl_fail(err, ESPL_E_INPUT, "not an ONNX file: its fields do not unpack");
  espl_status s = check_versions(m, opset, err);
  if (s == ESPL_OK) s = check_operators(m, *opset, err);
  if (s == ESPL_OK) s = all_external(path, m->graph, err);
  if (s == ESPL_OK) *out = m;
  else onnx__model_proto__free_unpacked(m, NULL);
  return s;
}

espl_status espli_model_load(const char *path, Onnx__ModelProto **m, int64_t *opset, espl_err *err) {
  char *data = NULL;
  size_t n = 0;
  *m = NULL;
  ESPL_TRY(espl_read_file(path, FILE_LIMIT, &data, &n, err));
  espl_status s = unpack(path, (const uint8_t *)data, n, m, opset, err);
  free(data);
  return s == ESPL_OK || !err ? s : espl_fail_context(err, "%s", path);
}
