/* What the files of the TFLite room share: the state of one import.
 *
 * Nouns: a `tensor` is an entry of the file's tensor list; it is a constant (it has bytes) or flows through the graph (its `value` says
 * as what). TFLite's layout is [N,H,W,C]; shapes of the graph are [C,H,W].
 * Law: what is decoded in total stays below 16 times the file, so that a small file cannot ask for much memory. */
#ifndef ESPL_TFLITE_TFLITE_INT_H
#define ESPL_TFLITE_TFLITE_INT_H

#include "graph/graph.h"
#include "tflite/flat.h"
#include "tflite/tflite.h"

#define ESPLI_TFL_DIMS 6

enum { ESPLI_TFL_F32 = 0, ESPLI_TFL_I32 = 2, ESPLI_TFL_U8 = 3, ESPLI_TFL_I64 = 4, ESPLI_TFL_I8 = 9 };
enum { ESPLI_TFL_SAME = 0, ESPLI_TFL_VALID = 1 };

/* Operators that are imported: name, code in the file, highest version known to mean the same, type of its options (0: none needed). */
#define ESPLI_TFL_OPS(X)       \
  X(ADD, 0, 5, 11)             \
  X(AVERAGE_POOL_2D, 1, 3, 5)  \
  X(CONCATENATION, 2, 4, 10)   \
  X(CONV_2D, 3, 8, 1)          \
  X(DEPTHWISE_CONV_2D, 4, 7, 2) \
  X(DEQUANTIZE, 6, 6, 0)       \
  X(FULLY_CONNECTED, 9, 13, 8) \
  X(MAX_POOL_2D, 17, 3, 5)     \
  X(RELU, 19, 3, 0)            \
  X(RELU_N1_TO_1, 20, 2, 0)    \
  X(RELU6, 21, 3, 0)           \
  X(RESHAPE, 22, 1, 0)         \
  X(SOFTMAX, 25, 3, 9)         \
  X(PAD, 34, 4, 0)             \
  X(MEAN, 40, 3, 27)           \
  X(QUANTIZE, 114, 3, 0)

enum {
#define X(name, code, version, options) ESPLI_TFL_##name = code,
  ESPLI_TFL_OPS(X)
#undef X
};

typedef struct espli_tfl_tensor {
  int32_t index, type;
  int rank;
  int32_t dim[ESPLI_TFL_DIMS]; /* as in the file; the batch may be -1 */
  int64_t elems;               /* without the batch for values, all for constants; >= 0 */
  espli_vec data;              /* bytes of a constant; n = 0: none */
  espli_vec scale, zero;       /* float, int64 */
  int32_t axis;                /* along which the scales run */
} espli_tfl_tensor;

typedef struct espli_tfl_value {
  bool flows;
  int32_t id;     /* value of our graph */
  int rank;       /* 4: [N,H,W,C], 2: [N,C] */
  int32_t pad[4]; /* zero padding top, left, bottom, right that the next convolution takes over */
  bool nhwc;      /* rank 2, in the order H, W, C of `from`, whose H*W > 1: only FULLY_CONNECTED may read it */
  espl_shape from;
} espli_tfl_value;

typedef struct espli_tfl_op {
  int32_t index, code, version;
  espli_vec in, out;   /* tensor numbers */
  espli_table options; /* of the type the operator needs, or absent */
} espli_tfl_op;

typedef struct espli_tfl {
  espli_flat f;
  espli_vec buffers, tensors, operators, codes;
  espl_graph *g;
  espl_qgiven *given;
  bool quantized;
  uint64_t decoded; /* elements so far */
  espli_tfl_value *value; /* [tensors.n] */
  espl_err *err;
} espli_tfl;

/* ---- import.c ---- */
espl_status espli_tfl_refuse(espli_tfl *im, const espli_tfl_op *o, espl_status code, const char *fmt, ...) ESPL_PRINTF(4, 5);
/* Tensor `index` of the file, checked (extents, bytes of a constant). */
espl_status espli_tfl_tensor_at(espli_tfl *im, int64_t index, espli_tfl_tensor *t) ESPL_MUST_CHECK;
/* Input k as a value that flows. Pending padding, and the order of a flattened image, are refused unless `any`. */
espl_status espli_tfl_flow(espli_tfl *im, const espli_tfl_op *o, uint32_t k, bool any, espli_tfl_value **v) ESPL_MUST_CHECK;
/* Input k as a constant; *found = false when it is left out. */
espl_status espli_tfl_const(espli_tfl *im, const espli_tfl_op *o, uint32_t k, espli_tfl_tensor *t, bool *found) ESPL_MUST_CHECK;
/* Appends a node named after output 0 plus `suffix` ("" for none). */
espl_status espli_tfl_node(espli_tfl *im, const espli_tfl_op *o, espl_node *proto, const char *suffix, int32_t *id) ESPL_MUST_CHECK;
/* Appends the activation of the file's code (0: none) behind *id. */
espl_status espli_tfl_activation(espli_tfl *im, const espli_tfl_op *o, int32_t code, int32_t *id) ESPL_MUST_CHECK;
/* Output 0 is value `id`: its declared shape must be that of the node, its scale is noted. */
espl_status espli_tfl_define(espli_tfl *im, const espli_tfl_op *o, int32_t id, int rank) ESPL_MUST_CHECK;
/* A tensor's name for messages and nodes: printable, up to a ';'. */
void espli_tfl_name(espli_tfl *im, int64_t index, char *buf, size_t bytes);
/* Counts elements about to be decoded. */
espl_status espli_tfl_charge(espli_tfl *im, const espli_tfl_op *o, int64_t elems) ESPL_MUST_CHECK;

/* ---- quantization.c ---- */
/* Scale and zero point (int8 sense) of a quantized value. */
espl_status espli_tfl_grid(espli_tfl *im, const espli_tfl_op *o, const espli_tfl_tensor *t, float *scale, int32_t *zero) ESPL_MUST_CHECK;
/* Where element (o, i, y, x) of a weight lies, and its extents. */
typedef struct espli_tfl_walk {
  int32_t n[4];     /* o, i, y, x */
  int64_t step[4];
} espli_tfl_walk;
/* Weight and bias of node `id` from constants `w` and `b` (NULL: none), in the order of `walk`; `axis`: of w's scales. */
espl_status espli_tfl_weights(espli_tfl *im, const espli_tfl_op *o, int32_t id, const espli_tfl_tensor *w, const espli_tfl_tensor *b, const espli_tfl_walk *walk,
                              int32_t axis) ESPL_MUST_CHECK;

/* ---- operators.c ---- */
espl_status espli_tfl_operator(espli_tfl *im, const espli_tfl_op *o) ESPL_MUST_CHECK;

#endif
