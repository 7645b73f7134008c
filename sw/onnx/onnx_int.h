/* What the files of the ONNX room share: loading, constant tensors, the import state, attribute helpers.
 *
 * Nouns: a `tensor` is a constant of the file (tensor/tensor.h); a `value` is a name of the ONNX graph and is either such a
 * constant or flows through our graph.
 * Laws: shapes of flowing values are per image. The file's own shape computations are made for a batch of 1 and, where the batch may vary,
 * for one of ESPLI_OTHER_BATCH as well; what comes out different depends on the batch and may stand only where the batch itself does. */
#ifndef ESPL_ONNX_ONNX_INT_H
#define ESPL_ONNX_ONNX_INT_H
#include <stdbool.h>
#include <stddef.h>

#include "graph/graph.h"
#include "onnx.pb-c.h"
#include "onnx/onnx.h"
#include "quant/given.h"
#include "tensor/op.h"

#define ESPLI_ONNX_DIMS ESPL_TENSOR_DIMS
#define ESPLI_OPSET_MIN 7
#define ESPLI_OPSET_MAX 21
#define ESPLI_IR_MIN 3
#define ESPLI_IR_MAX 10
#define ESPLI_MAX_NODES 131072
#define ESPLI_OTHER_BATCH 1010 /* one less is a prime: no remainder but that by 1009 is the one of a batch of 1 */

typedef enum espli_state { ESPLI_UNDEFINED, ESPLI_CONST, ESPLI_FLOW } espli_state;

typedef struct espli_value {
  const char *name; /* borrowed from the model */
  espli_state state;
  Onnx__TensorProto *proto;       /* CONST not decoded yet */
  espl_tensor *konst;            /* CONST, owned */
  espl_tensor *varied;           /* CONST that depends on a batch that may vary: what it is for ESPLI_OTHER_BATCH; owned */
  int32_t id;                     /* FLOW: value of our graph */
  int rank;                       /* FLOW: 4 for [N,C,H,W], 3 for [N,C,L] (H = 1, W = L in the graph), 2 for [N,C] */
  int32_t pad[4];                 /* FLOW: zero padding top, left, bottom, right that the next convolution takes over */
  bool integer;                   /* FLOW: quantized, only DequantizeLinear may read it */
  bool on_grid;                   /* FLOW: dequantized, so quantizing it again changes nothing */
  int quantizers;                 /* FLOW: QuantizeLinear nodes that read it */
  const Onnx__NodeProto *dequantizer; /* CONST made by DequantizeLinear: that node */
  int uses;                       /* nodes of the file that read it, plus graph outputs */
} espli_value;

typedef struct espli_import {
  const char *path;
  const Onnx__ModelProto *model;
  int64_t opset;
  int64_t folded, fold_limit; /* elements made by folding so far, and how many may be */
  int64_t batch; /* fixed batch of the file's input, 0 when it may vary */
  int32_t number; /* where the search for a free number of a name begins */
  espl_graph *g;
  espl_qgiven *given; /* notes of quantized values and weights; NULL: none so far */
  int quantized;      /* QuantizeLinear nodes so far */
  espli_value *value; /* open hash by name, cap is a power of two, never full */
  size_t cap;
  espl_err *err;
} espli_import;

/* ---- load.c ---- */
/* Reads, scans and unpacks a file, checks its versions, and brings in tensors that lie in separate files of its folder. *m: free with
 * onnx__model_proto__free_unpacked; NULL on error. */
espl_status espli_model_load(const char *path, Onnx__ModelProto **m, int64_t *opset, espl_err *err) ESPL_MUST_CHECK;

/* ---- scan.c ---- */
/* Walks the wire format of a message without recursion: lengths, nesting (64), counts. E_INPUT names the byte offset. */
espl_status espli_onnx_scan(const uint8_t *p, size_t n, const ProtobufCMessageDescriptor *message, espl_err *err) ESPL_MUST_CHECK;

/* ---- tensor.c ---- */
/* Bytes that the elements of a tensor take when stored raw; refuses types and shapes that are not supported. */
espl_status espli_tensor_bytes(const Onnx__TensorProto *p, uint64_t *bytes, espl_err *err) ESPL_MUST_CHECK;
espl_status espli_tensor_decode(const Onnx__TensorProto *p, espl_tensor **out, espl_err *err) ESPL_MUST_CHECK;
/* The same, and gives the raw bytes of p back: a large file is not held twice. Only once for each p. */
espl_status espli_tensor_take(Onnx__TensorProto *p, espl_tensor **out, espl_err *err) ESPL_MUST_CHECK;

/* ---- top.c ---- */
/* Attributes of a node of the ONNX domain as a tensor operator; *value (owned by the caller) is what op->value points to. Refuses operators,
 * attributes and input or output counts that are not supported; messages do not name the node. */
espl_status espli_top_decode(const Onnx__NodeProto *n, int64_t opset, espl_top *op, espl_tensor **value, espl_err *err) ESPL_MUST_CHECK;

/* ---- attr.c ---- */
const char *espli_text(const char *s); /* "" for NULL */
const char *espli_node_label(const Onnx__NodeProto *n); /* its name, or its first output */
bool espli_is_onnx_domain(const char *domain); /* NULL, "" and "ai.onnx" name one */
/* E_UNSUPPORTED: operator, domain, the operator set of that domain, node, then `why`. */
espl_status espli_refuse_operator(const Onnx__ModelProto *m, const Onnx__NodeProto *n, const char *why, espl_err *err);
const Onnx__AttributeProto *espli_attr(const Onnx__NodeProto *n, const char *name); /* NULL when absent */
int64_t espli_attr_int(const Onnx__NodeProto *n, const char *name, int64_t otherwise);
float espli_attr_float(const Onnx__NodeProto *n, const char *name, float otherwise);
bool espli_attr_is(const Onnx__NodeProto *n, const char *name, const char *text, bool otherwise);
/* Refusals with file-independent "node NAME (Op): " in front. */
espl_status espli_refuse(espli_import *im, const Onnx__NodeProto *n, espl_status code, const char *fmt, ...) ESPL_PRINTF(4, 5);

/* ---- import.c ---- */
espli_value *espli_find(const espli_import *im, const char *name); /* NULL when the file never mentions it */
bool espli_has_input(const Onnx__NodeProto *n, size_t k);
/* Input k as a constant: *t is NULL when it flows (no error) or is absent. One that depends on the batch is refused. */
espl_status espli_const(espli_import *im, const Onnx__NodeProto *n, size_t k, const espl_tensor **t) ESPL_MUST_CHECK;
/* The same for a batch of 1 and for ESPLI_OTHER_BATCH: *other is *t when it does not depend on the batch. */
espl_status espli_const_pair(espli_import *im, const Onnx__NodeProto *n, size_t k, const espl_tensor **t, const espl_tensor **other) ESPL_MUST_CHECK;
/* Integer list from attribute `attr`, or from constant input k (k = 0: attribute only). *count = -1 when absent. *batch: which of them is
 * the batch that may vary, -1 for none; any other dependence on the batch is refused. */
espl_status espli_ints_or_batch(espli_import *im, const Onnx__NodeProto *n, const char *attr, size_t k, int64_t out[ESPLI_ONNX_DIMS], int *count, int *batch) ESPL_MUST_CHECK;
/* The same where the batch may not stand. */
espl_status espli_ints(espli_import *im, const Onnx__NodeProto *n, const char *attr, size_t k, int64_t out[ESPLI_ONNX_DIMS], int *count) ESPL_MUST_CHECK;
/* Input k as a flowing value. Pending spatial padding is refused unless `pads_ok`. */
espl_status espli_flow(espli_import *im, const Onnx__NodeProto *n, size_t k, bool pads_ok, espli_value **v) ESPL_MUST_CHECK;
/* Defines output k as a constant (takes t and `varied` over, also on error; `varied` NULL: the same for every batch), or output 0 as alias of a graph value or by adding a node. */
espl_status espli_define_const(espli_import *im, const Onnx__NodeProto *n, size_t k, espl_tensor *t, espl_tensor *varied) ESPL_MUST_CHECK;
espl_status espli_define_flow(espli_import *im, const Onnx__NodeProto *n, int32_t id, int rank) ESPL_MUST_CHECK;
espl_status espli_define_alias(espli_import *im, const Onnx__NodeProto *n, const espli_value *src, int rank) ESPL_MUST_CHECK;
espl_status espli_define_node(espli_import *im, const Onnx__NodeProto *n, espl_node *proto, int rank, int32_t *id) ESPL_MUST_CHECK;
espl_status espli_set_param(espli_import *im, const Onnx__NodeProto *n, int32_t id, espl_param_kind kind, const char *name, int dims,
                            const int32_t *dim, const float *data) ESPL_MUST_CHECK;

/* ---- affine.c ---- */
/* y = scale[c]*x + shift[c] (NULL: 1, 0) behind `v`: folded into the operator that made v when only this node reads it and it
 * has weights, else a new 1x1 depthwise convolution. `name` is given to a new bias. Defines output 0. */
espl_status espli_affine(espli_import *im, const Onnx__NodeProto *n, espli_value *v, const float *scale, const float *shift, const char *name) ESPL_MUST_CHECK;
/* Elements of t broadcast along channels of a value of `rank` with c channels, new array, free() it. E_UNSUPPORTED when t
 * varies along anything but channels. */
espl_status espli_channels(espli_import *im, const Onnx__NodeProto *n, const espl_tensor *t, int rank, int32_t c, float **out) ESPL_MUST_CHECK;

/* ---- fold.c ---- */
/* Computes the node when all its inputs are constants and it is one of the foldable operators; *done tells. */
espl_status espli_fold(espli_import *im, const Onnx__NodeProto *n, bool *done) ESPL_MUST_CHECK;

/* ---- ops_*.c: one handler an operator ---- */
typedef espl_status (*espli_handler)(espli_import *im, const Onnx__NodeProto *n);
espli_handler espli_window_handler(const char *op_type); /* Conv and pools; NULL: not this file's */
espli_handler espli_shape_handler(const char *op_type);  /* Flatten, Reshape, Slice, Pad, Concat, ... */
espli_handler espli_point_handler(const char *op_type);  /* Relu, Clip, Add, Gemm, BatchNormalization, ... */
espli_handler espli_qdq_handler(const char *op_type);    /* QuantizeLinear, DequantizeLinear */

/* ---- qdq_read.c ---- */
/* After the handler of node n: notes the integers of its weights when they come from a DequantizeLinear. */
espl_status espli_qdq_weights(espli_import *im, const Onnx__NodeProto *n) ESPL_MUST_CHECK;
/* Before a constant is folded into node `id` (`scales`: not only shifts it): refuses when that would change integers. */
espl_status espli_qdq_affine(espli_import *im, const Onnx__NodeProto *n, int32_t id, bool scales) ESPL_MUST_CHECK;
espl_status espli_qdq_finish(espli_import *im) ESPL_MUST_CHECK;

/* ---- whole files, with or without integers ---- */
/* *given: NULL when no value of the file is quantized; else the caller's. */
espl_status espli_import_file(const char *path, espl_graph **g, espl_qgiven **given, espl_err *err) ESPL_MUST_CHECK;
espl_status espli_export(const espl_graph *g, const espl_qgiven *given, const char *path, espl_err *err) ESPL_MUST_CHECK;
#endif
