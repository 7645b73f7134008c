/* The walk over a file: tables, tensors, then one handler an operator in file order (TFLite demands execution order). */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "data/data.h"
#include "tflite/tflite_int.h"

enum { MAX_OPERATORS = 16384, MAX_TENSORS = 65536 };

bool espl_tflite_is(const uint8_t *data, size_t n) { return n >= 8 && memcmp(data + 4, "TFL3", 4) == 0; }

/* ---- names and refusals ---- */

static const char *operator_name(int32_t code) {
  switch (code) {
#define X(name, number, version, options) \
  case number: return #name;
    ESPLI_TFL_OPS(X)
#undef X
    case 5: return "DEPTH_TO_SPACE";
    case 8: return "FLOOR";
    case 11: return "L2_NORMALIZATION";
    case 13: return "LOCAL_RESPONSE_NORMALIZATION";
    case 14: return "LOGISTIC";
    case 16: return "LSTM";
    case 18: return "MUL";
    case 23: return "RESIZE_BILINEAR";
    case 26: return "SPACE_TO_DEPTH";
    case 27: return "SVDF";
    case 28: return "TANH";
    case 32: return "CUSTOM";
    case 36: return "GATHER";
    case 39: return "TRANSPOSE";
    case 41: return "SUB";
    case 42: return "DIV";
    case 43: return "SQUEEZE";
    case 44: return "UNIDIRECTIONAL_SEQUENCE_LSTM";
    case 45: return "STRIDED_SLICE";
    case 49: return "SPLIT";
    case 53: return "CAST";
    case 54: return "PRELU";
    case 55: return "MAXIMUM";
    case 56: return "ARG_MAX";
    case 57: return "MINIMUM";
    case 60: return "PADV2";
    case 65: return "SLICE";
    case 67: return "TRANSPOSE_CONV";
    case 70: return "EXPAND_DIMS";
    case 74: return "SUM";
    case 77: return "SHAPE";
    case 82: return "REDUCE_MAX";
    case 83: return "PACK";
    case 88: return "UNPACK";
    case 97: return "RESIZE_NEAREST_NEIGHBOR";
    case 98: return "LEAKY_RELU";
    case 99: return "SQUARED_DIFFERENCE";
    case 117: return "HARD_SWISH";
    case 126: return "BATCH_MATMUL";
    case 150: return "GELU";
    default: return "of unknown kind";
  }
}

espl_status espli_tfl_refuse(espli_tfl *im, const espli_tfl_op *o, espl_status code, const char *fmt, ...) {
  char text[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return espl_fail(im->err, code, "operator %d, %s (code %d, version %d): %s", (int)o->index, operator_name(o->code), (int)o->code, (int)o->version, text);
}

void espli_tfl_name(espli_tfl *im, int64_t index, char *buf, size_t bytes) {
  snprintf(buf, bytes, "tensor_%lld", (long long)index);
  if (index < 0 || index >= im->tensors.n) return;
  espli_vec s = espli_flat_vec(&im->f, espli_vec_table(&im->f, im->tensors, (uint32_t)index), 3, 1);
  size_t n = 0; /* converters join the names of what was fused by ';', the last operator first */
  for (; n < s.n && n < bytes - 1 && im->f.p[s.at + n] != ';'; n++) {
    uint8_t c = im->f.p[s.at + n];
    buf[n] = c > 32 && c < 127 ? (char)c : '_';
  }
  if (n) buf[n] = 0;
}

espl_status espli_tfl_charge(espli_tfl *im, const espli_tfl_op *o, int64_t elems) {
  im->decoded += (uint64_t)elems;
  if (im->decoded <= 16 * im->f.n) return ESPL_OK;
  return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "the constants of the operators so far hold more than 16 times the elements of the file");
}

/* ---- tensors ---- */

static int32_t type_bytes(int32_t type) {
  switch (type) {
    case ESPLI_TFL_F32:
    case ESPLI_TFL_I32: return 4;
    case ESPLI_TFL_U8:
    case ESPLI_TFL_I8: return 1;
    case ESPLI_TFL_I64: return 8;
    default: return 0;
  }
}

/* The bytes behind a constant; n = 0 for a value. */
static espl_status tensor_bytes(espli_tfl *im, espli_table table, espli_tfl_tensor *t, const char *name) {
  uint32_t buffer = espli_flat_u32(&im->f, table, 2, 0);
  if (buffer >= im->buffers.n) return buffer ? espl_fail(im->err, ESPL_E_INPUT, "tensor %s: is in buffer %u of %u", name, buffer, im->buffers.n) : ESPL_OK;
  espli_table b = espli_vec_table(&im->f, im->buffers, buffer);
  if (espli_flat_u64(&im->f, b, 1, 0) > 1 || espli_flat_u32(&im->f, table, 10, 0))
    return espl_fail(im->err, ESPL_E_UNSUPPORTED, "tensor %s: its data are outside the FlatBuffer", name);
  t->data = espli_flat_vec(&im->f, b, 0, 1);
  ESPL_TRY(espli_flat_check(&im->f, im->err));
  if (!t->data.n) return ESPL_OK;
  int32_t bytes = type_bytes(t->type);
  if (!bytes) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "tensor %s: a constant of element type %d; float32, int32, int64, int8 and uint8 are supported", name, (int)t->type);
  if (espli_flat_table(&im->f, table, 6).at) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "tensor %s: a constant stored as sparse", name);
  if (t->elems < 0 || (uint64_t)t->elems * (uint64_t)bytes != t->data.n)
    return espl_fail(im->err, ESPL_E_INPUT, "tensor %s: holds %u bytes, its shape needs %lld elements of %d", name, t->data.n, (long long)t->elems, (int)bytes);
  return ESPL_OK;
}

espl_status espli_tfl_tensor_at(espli_tfl *im, int64_t index, espli_tfl_tensor *t) {
  char name[64];
  *t = (espli_tfl_tensor){.index = (int32_t)index};
  if (index < 0 || index >= im->tensors.n) return espl_fail(im->err, ESPL_E_INPUT, "tensor %lld of %u", (long long)index, im->tensors.n);
  espli_tfl_name(im, index, name, sizeof name);
  espli_table table = espli_vec_table(&im->f, im->tensors, (uint32_t)index), q = espli_flat_table(&im->f, table, 4);
  espli_vec shape = espli_flat_vec(&im->f, table, 0, 4);
  t->type = espli_flat_i8(&im->f, table, 1, 0);
  t->scale = espli_flat_vec(&im->f, q, 2, 4);
  t->zero = espli_flat_vec(&im->f, q, 3, 8);
  t->axis = espli_flat_i32(&im->f, q, 6, 0);
  if (espli_flat_u8(&im->f, q, 4, 0)) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "tensor %s: custom or blockwise quantization", name);
  ESPL_TRY(espli_flat_check(&im->f, im->err));
  if (shape.n > ESPLI_TFL_DIMS) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "tensor %s: %u dimensions, at most %d are supported", name, shape.n, ESPLI_TFL_DIMS);
  t->rank = (int)shape.n;
  t->elems = 1;
  for (int d = 0; d < t->rank; d++) {
    t->dim[d] = espli_vec_i32(&im->f, shape, (uint32_t)d);
    if (t->dim[d] == -1 && d == 0) t->dim[d] = 1;
    if (t->dim[d] < 0 || (t->dim[d] && t->elems > INT32_MAX / t->dim[d]))
      return espl_fail(im->err, ESPL_E_INPUT, "tensor %s: extent %d is %d", name, d, (int)t->dim[d]);
    t->elems *= t->dim[d];
  }
  return tensor_bytes(im, table, t, name);
}

espl_status espli_tfl_flow(espli_tfl *im, const espli_tfl_op *o, uint32_t k, bool any, espli_tfl_value **v) {
  char name[96];
  int32_t index = k < o->in.n ? espli_vec_i32(&im->f, o->in, k) : -1;
  if (index < 0 || (uint32_t)index >= im->tensors.n) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "input %u is missing", k);
  *v = &im->value[index];
  espli_tfl_name(im, index, name, sizeof name);
  if (!(*v)->flows) {
    espli_tfl_tensor t;
    ESPL_TRY(espli_tfl_tensor_at(im, index, &t));
    if (t.data.n) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "input %u (%s) is a constant", k, name);
    return espli_tfl_refuse(im, o, ESPL_E_INPUT, "reads %s, which no earlier operator or input defines", name);
  }
  const int32_t *p = (*v)->pad;
  if (!any && (p[0] || p[1] || p[2] || p[3]))
    return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "reads %s, padded in H or W; only a convolution can take such padding over", name);
  if (!any && (*v)->nhwc) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "reads %s, a flattened image; only FULLY_CONNECTED may", name);
  return ESPL_OK;
}

espl_status espli_tfl_const(espli_tfl *im, const espli_tfl_op *o, uint32_t k, espli_tfl_tensor *t, bool *found) {
  int32_t index = k < o->in.n ? espli_vec_i32(&im->f, o->in, k) : -1;
  *found = index != -1;
  if (!*found) return ESPL_OK;
  ESPL_TRY(espli_tfl_tensor_at(im, index, t));
  if (t->data.n) return ESPL_OK;
  return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "its input %u is computed at run time", k);
}

/* ---- nodes ---- */

espl_status espli_tfl_node(espli_tfl *im, const espli_tfl_op *o, espl_node *proto, const char *suffix, int32_t *id) {
  char base[200], name[256];
  espli_tfl_name(im, espli_vec_i32(&im->f, o->out, 0), base, sizeof base);
  snprintf(name, sizeof name, "%s%s", base, suffix);
  for (int k = im->g->nodes; espl_graph_find(im->g, name) >= 0; k++) snprintf(name, sizeof name, "%s%s_%d", base, suffix, k);
  proto->name = name;
  espl_status s = espl_graph_add(im->g, proto, id, im->err);
  proto->name = NULL;
  if (s == ESPL_OK || !im->err) return s;
  return espl_fail_context(im->err, "operator %d, %s", (int)o->index, operator_name(o->code));
}

espl_status espli_tfl_activation(espli_tfl *im, const espli_tfl_op *o, int32_t code, int32_t *id) {
  espl_node p = {.op = code == 1 ? ESPL_OP_RELU : ESPL_OP_CLIP, .inputs = 1, .input = {*id}};
  switch (code) {
    case 0: return ESPL_OK;
    case 1: break;
    case 2: p.lo = -1.0f, p.hi = 1.0f; break;
    case 3: p.lo = 0.0f, p.hi = 6.0f; break;
    default: return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "fused activation %d; none, RELU, RELU_N1_TO_1 and RELU6 are supported", (int)code);
  }
  return espli_tfl_node(im, o, &p, ".activation", id);
}

static espl_status note_value(espli_tfl *im, const espli_tfl_op *o, const espli_tfl_tensor *t, int32_t id) {
  float scale = 0;
  int32_t zero = 0;
  ESPL_TRY(espli_tfl_grid(im, o, t, &scale, &zero));
  espl_qnote *note = espl_qgiven_note(im->given, id);
  if (!note) return espli_tfl_refuse(im, o, ESPL_E_NOMEM, "out of memory");
  if (note->quantized && (note->scale != scale || note->zero != zero))
    return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "its output has another scale or zero point than its input");
  note->quantized = im->quantized = true;
  note->scale = scale;
  note->zero = zero;
  return ESPL_OK;
}

espl_status espli_tfl_define(espli_tfl *im, const espli_tfl_op *o, int32_t id, int rank) {
  espli_tfl_tensor t;
  int32_t index = espli_vec_i32(&im->f, o->out, 0);
  ESPL_TRY(espli_tfl_tensor_at(im, index, &t));
  espl_shape s = im->g->node[id].shape;
  bool fits = rank == 4 ? t.rank == 4 && t.dim[1] == s.h && t.dim[2] == s.w && t.dim[3] == s.c : t.rank == 2 && t.dim[1] == s.c;
  if (!fits) {
    char text[96];
    int at = snprintf(text, sizeof text, "[");
    for (int d = 0; d < t.rank; d++) at += snprintf(text + at, sizeof text - (size_t)at, "%s%d", d ? "," : "", (int)t.dim[d]);
    return espli_tfl_refuse(im, o, ESPL_E_INPUT, "its output is declared as %s], computed are %d channels of %dx%d", text, (int)s.c, (int)s.h, (int)s.w);
  }
  if (im->value[index].flows || t.data.n) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "its output is defined already");
  if (t.type == ESPLI_TFL_I8 || t.type == ESPLI_TFL_U8) ESPL_TRY(note_value(im, o, &t, id));
  else if (t.type != ESPLI_TFL_F32) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "its output has element type %d; int8, uint8 and float32 are supported", (int)t.type);
  im->value[index] = (espli_tfl_value){.flows = true, .id = id, .rank = rank};
  return ESPL_OK;
}

/* ---- the whole file ---- */

static espl_status replace_text(espli_tfl *im, char **slot, const char *text) {
  char *copy = espl_strdup(text);
  if (!copy) return espl_fail(im->err, ESPL_E_NOMEM, "out of memory");
  free(*slot);
  *slot = copy;
  return ESPL_OK;
}

/* Byte p of a pixel enters as q = p - 128, so x = scale * (p - (zero + 128)). */
static espl_status describe_input(espli_tfl *im) {
  const espl_qnote *n = &im->given->note[0];
  espl_preprocess p = {.raw = 1};
  if (im->g->node[0].shape.c > 4 || !(n->scale > 1e-6f && n->scale < 1e6f)) return ESPL_OK;
  for (int c = 0; c < 4; c++) p.mean[c] = (float)(n->zero + 128), p.std[c] = 1.0f / n->scale;
  im->g->preprocess = espl_preprocess_to_json(&p, im->g->node[0].shape.c);
  return im->g->preprocess ? ESPL_OK : espl_fail(im->err, ESPL_E_NOMEM, "out of memory");
}

static espl_status start_graph(espli_tfl *im, espli_table sub, espli_vec inputs) {
  espli_tfl_tensor t;
  char name[200];
  if (inputs.n != 1) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "the file has %u inputs, one is supported", inputs.n);
  int32_t index = espli_vec_i32(&im->f, inputs, 0);
  ESPL_TRY(espli_tfl_tensor_at(im, index, &t));
  espli_tfl_name(im, index, name, sizeof name);
  if ((t.rank != 4 && t.rank != 2) || t.data.n) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "input %s: has %d dimensions, [N,H,W,C] and [N,C] are supported", name, t.rank);
  for (int d = 1; d < t.rank; d++)
    if (t.dim[d] < 1) return espl_fail(im->err, ESPL_E_INPUT, "input %s: extent %d is %d", name, d, (int)t.dim[d]);
  espl_shape s = t.rank == 4 ? (espl_shape){t.dim[3], t.dim[1], t.dim[2]} : (espl_shape){t.dim[1], 1, 1};
  espli_vec title = espli_flat_vec(&im->f, sub, 4, 1);
  char title_text[64] = "network";
  if (title.n && title.n < sizeof title_text) {
    for (uint32_t k = 0; k < title.n; k++) title_text[k] = im->f.p[title.at + k] > 32 && im->f.p[title.at + k] < 127 ? (char)im->f.p[title.at + k] : '_';
    title_text[title.n] = 0;
  }
  im->g = espl_graph_new(title_text, s);
  im->given = espl_qgiven_new();
  if (!im->g || !im->given || !espl_qgiven_note(im->given, 0)) return espl_fail(im->err, ESPL_E_NOMEM, "out of memory");
  ESPL_TRY(replace_text(im, &im->g->input_name, name));
  ESPL_TRY(espl_graph_rename(im->g, 0, name, im->err));
  im->value[index] = (espli_tfl_value){.flows = true, .id = 0, .rank = t.rank};
  espli_tfl_op o = {.index = -1, .code = ESPLI_TFL_QUANTIZE};
  if (t.type == ESPLI_TFL_F32) return ESPL_OK;
  if (t.type != ESPLI_TFL_I8 && t.type != ESPLI_TFL_U8)
    return espl_fail(im->err, ESPL_E_UNSUPPORTED, "input %s: has element type %d; int8, uint8 and float32 are supported", name, (int)t.type);
  ESPL_TRY(note_value(im, &o, &t, 0));
  return describe_input(im);
}

/* Operator k of the list with its code, version and options. */
static espl_status read_operator(espli_tfl *im, uint32_t k, espli_tfl_op *o) {
  espli_table t = espli_vec_table(&im->f, im->operators, k);
  uint32_t opcode = espli_flat_u32(&im->f, t, 0, 0);
  *o = (espli_tfl_op){.index = (int32_t)k, .in = espli_flat_vec(&im->f, t, 1, 4), .out = espli_flat_vec(&im->f, t, 2, 4)};
  ESPL_TRY(espli_flat_check(&im->f, im->err));
  if (opcode >= im->codes.n) return espl_fail(im->err, ESPL_E_INPUT, "operator %u: has code entry %u of %u", k, opcode, im->codes.n);
  espli_table c = espli_vec_table(&im->f, im->codes, opcode);
  int32_t narrow = espli_flat_i8(&im->f, c, 0, 0), wide = espli_flat_i32(&im->f, c, 3, 0);
  o->code = wide > narrow ? wide : narrow; /* old files have the narrow field only */
  o->version = espli_flat_i32(&im->f, c, 2, 1);
  uint32_t have = espli_flat_u8(&im->f, t, 3, 0), need = 0;
  int32_t highest = -1;
  switch (o->code) {
#define X(name, number, version, options) \
  case number: highest = version, need = options; break;
    ESPLI_TFL_OPS(X)
#undef X
    default: break;
  }
  if (highest < 0) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "not a supported operator");
  if (o->version < 1 || o->version > highest) return espli_tfl_refuse(im, o, ESPL_E_UNSUPPORTED, "versions 1 to %d are supported", (int)highest);
  if (o->out.n != 1) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "has %u outputs, expected 1", o->out.n);
  int32_t out = espli_vec_i32(&im->f, o->out, 0);
  if (out < 0 || (uint32_t)out >= im->tensors.n) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "its output is tensor %d of %u", (int)out, im->tensors.n);
  if (need) {
    if (have != need) return espli_tfl_refuse(im, o, ESPL_E_INPUT, "has options of type %u, expected %u", have, need);
    o->options = espli_flat_table(&im->f, t, 4);
  }
  return espli_flat_check(&im->f, im->err);
}

static espl_status finish_graph(espli_tfl *im, espli_vec outputs) {
  char name[200];
  if (outputs.n != 1) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "the file has %u outputs, one is supported", outputs.n);
  int32_t index = espli_vec_i32(&im->f, outputs, 0);
  if (index < 0 || (uint32_t)index >= im->tensors.n) return espl_fail(im->err, ESPL_E_INPUT, "output is tensor %d of %u", (int)index, im->tensors.n);
  const espli_tfl_value *v = &im->value[index];
  espli_tfl_name(im, index, name, sizeof name);
  if (!v->flows) return espl_fail(im->err, ESPL_E_INPUT, "output %s is defined by no operator", name);
  if (v->pad[0] || v->pad[1] || v->pad[2] || v->pad[3] || v->nhwc) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "output %s is a padded or flattened image", name);
  im->g->output = v->id;
  ESPL_TRY(espl_qgiven_prune(im->given, im->g, im->err));
  ESPL_TRY(replace_text(im, &im->g->output_name, name));
  return espl_graph_check(im->g, im->err);
}

static espl_status import_model(espli_tfl *im) {
  espli_flat *f = &im->f;
  espli_table root = espli_flat_root(f);
  uint32_t version = espli_flat_u32(f, root, 0, 0);
  espli_vec subs = espli_flat_vec(f, root, 2, 4);
  im->codes = espli_flat_vec(f, root, 1, 4);
  im->buffers = espli_flat_vec(f, root, 4, 4);
  ESPL_TRY(espli_flat_check(f, im->err));
  if (version != 3) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "TFLite schema version %u, 3 is supported", version);
  if (subs.n != 1) return espl_fail(im->err, ESPL_E_UNSUPPORTED, "%u subgraphs, one is supported", subs.n);
  espli_table sub = espli_vec_table(f, subs, 0);
  espli_vec inputs = espli_flat_vec(f, sub, 1, 4), outputs = espli_flat_vec(f, sub, 2, 4);
  im->tensors = espli_flat_vec(f, sub, 0, 4);
  im->operators = espli_flat_vec(f, sub, 3, 4);
  ESPL_TRY(espli_flat_check(f, im->err));
  if (im->operators.n > MAX_OPERATORS || im->tensors.n > MAX_TENSORS)
    return espl_fail(im->err, ESPL_E_UNSUPPORTED, "%u operators and %u tensors, at most %d and %d are supported", im->operators.n, im->tensors.n, MAX_OPERATORS, MAX_TENSORS);
  im->value = espl_calloc((size_t)im->tensors.n + 1, sizeof *im->value);
  if (!im->value) return espl_fail(im->err, ESPL_E_NOMEM, "out of memory");
  ESPL_TRY(start_graph(im, sub, inputs));
  for (uint32_t k = 0; k < im->operators.n; k++) {
    espli_tfl_op o;
    ESPL_TRY(read_operator(im, k, &o));
    ESPL_TRY(espli_tfl_operator(im, &o));
  }
  return finish_graph(im, outputs);
}

espl_status espl_tflite_import(const uint8_t *data, size_t n, espl_graph **g, espl_qgiven **given, espl_err *err) {
  espli_tfl im = {.f = {.p = data, .n = n}, .err = err};
  *g = NULL;
  *given = NULL;
  if (!espl_tflite_is(data, n)) return espl_fail(err, ESPL_E_INPUT, "not a TFLite file");
  espl_status s = import_model(&im);
  if (s == ESPL_OK) {
    *g = im.g;
    im.g = NULL;
    if (im.quantized) {
      *given = im.given;
      im.given = NULL;
    }
  }
  free(im.value);
  espl_qgiven_free(im.given);
  espl_graph_free(im.g);
  return s;
}

bool espl_tflite_is_file(const char *path) {
  uint8_t head[8];
  FILE *f = fopen(path, "rb");
  size_t n = f ? fread(head, 1, sizeof head, f) : 0;
  if (f) fclose(f);
  return espl_tflite_is(head, n);
}

espl_status espl_tflite_read(const char *path, espl_graph **g, espl_qgiven **given, espl_err *err) {
  char *data = NULL;
  size_t n = 0;
  *g = NULL;
  *given = NULL;
  ESPL_TRY(espl_read_file(path, (size_t)2 << 30, &data, &n, err));
  espl_status s = espl_tflite_import((const uint8_t *)data, n, g, given, err);
  free(data);
  return s == ESPL_OK || !err ? s : espl_fail_context(err, "%s", path);
}
