/* One ONNX operator on tensors: its attributes, and its evaluation by definition (ONNX operator reference, operator sets 7 to 21).
 *
 * Attributes are kept as the file gives them; where newer operator sets turned an attribute into an input, the evaluation takes whichever is
 * there. What an operator set changed without changing its form (Softmax, Resize) is in `opset`.
 * Law: evaluation never writes its inputs; every output is new and belongs to the caller. */
#ifndef ESPL_TENSOR_OP_H
#define ESPL_TENSOR_OP_H
#include "tensor/tensor.h"

/* X(name in C, ONNX operator, fewest inputs, most inputs, most outputs) */
#define ESPL_TOP_LIST(X)                                                                                                         \
  X(RELU, "Relu", 1, 1, 1) X(LEAKYRELU, "LeakyRelu", 1, 1, 1) X(PRELU, "PRelu", 2, 2, 1) X(CLIP, "Clip", 1, 3, 1)                \
  X(HARDSWISH, "HardSwish", 1, 1, 1) X(HARDSIGMOID, "HardSigmoid", 1, 1, 1) X(SIGMOID, "Sigmoid", 1, 1, 1) X(TANH, "Tanh", 1, 1, 1) \
  X(EXP, "Exp", 1, 1, 1) X(SQRT, "Sqrt", 1, 1, 1) X(NEG, "Neg", 1, 1, 1) X(ABS, "Abs", 1, 1, 1) X(FLOOR, "Floor", 1, 1, 1)       \
  X(CEIL, "Ceil", 1, 1, 1) X(RECIPROCAL, "Reciprocal", 1, 1, 1)                                                                  \
  X(ADD, "Add", 2, 2, 1) X(SUB, "Sub", 2, 2, 1) X(MUL, "Mul", 2, 2, 1) X(DIV, "Div", 2, 2, 1)                                    \
  X(SUM, "Sum", 1, 64, 1) X(MAX, "Max", 1, 64, 1) X(MIN, "Min", 1, 64, 1) X(EQUAL, "Equal", 2, 2, 1) X(WHERE, "Where", 3, 3, 1)  \
  X(CONV, "Conv", 2, 3, 1) X(CONVTRANSPOSE, "ConvTranspose", 2, 3, 1) X(MAXPOOL, "MaxPool", 1, 1, 2)                             \
  X(AVERAGEPOOL, "AveragePool", 1, 1, 1) X(GLOBALAVERAGEPOOL, "GlobalAveragePool", 1, 1, 1)                                      \
  X(GLOBALMAXPOOL, "GlobalMaxPool", 1, 1, 1) X(BATCHNORMALIZATION, "BatchNormalization", 5, 5, 1)                                \
  X(INSTANCENORMALIZATION, "InstanceNormalization", 3, 3, 1) X(SOFTMAX, "Softmax", 1, 1, 1)                                      \
  X(REDUCEMEAN, "ReduceMean", 1, 2, 1) X(REDUCESUM, "ReduceSum", 1, 2, 1) X(REDUCEMAX, "ReduceMax", 1, 2, 1)                     \
  X(REDUCEMIN, "ReduceMin", 1, 2, 1) X(REDUCEPROD, "ReduceProd", 1, 2, 1) X(GEMM, "Gemm", 2, 3, 1) X(MATMUL, "MatMul", 2, 2, 1)  \
  X(RESHAPE, "Reshape", 1, 2, 1) X(FLATTEN, "Flatten", 1, 1, 1) X(SQUEEZE, "Squeeze", 1, 2, 1) X(UNSQUEEZE, "Unsqueeze", 1, 2, 1) \
  X(TRANSPOSE, "Transpose", 1, 1, 1) X(CONCAT, "Concat", 1, 64, 1) X(SLICE, "Slice", 1, 5, 1) X(SPLIT, "Split", 1, 2, 64)        \
  X(PAD, "Pad", 1, 4, 1) X(GATHER, "Gather", 2, 2, 1) X(EXPAND, "Expand", 2, 2, 1) X(SHAPE, "Shape", 1, 1, 1)                    \
  X(SIZE, "Size", 1, 1, 1) X(CONSTANT, "Constant", 0, 0, 1) X(CONSTANTOFSHAPE, "ConstantOfShape", 1, 1, 1)                       \
  X(RANGE, "Range", 3, 3, 1) X(CAST, "Cast", 1, 1, 1) X(IDENTITY, "Identity", 1, 1, 1) X(DROPOUT, "Dropout", 1, 3, 2)            \
  X(RESIZE, "Resize", 1, 4, 1) X(UPSAMPLE, "Upsample", 1, 2, 1) X(QUANTIZELINEAR, "QuantizeLinear", 2, 3, 1)                     \
  X(DEQUANTIZELINEAR, "DequantizeLinear", 2, 3, 1)

typedef enum espl_top_kind {
#define X(name, onnx, fewest, most, outputs) ESPL_TOP_##name,
  ESPL_TOP_LIST(X)
#undef X
  ESPL_TOP_COUNT
} espl_top_kind;

#define ESPL_TOP_INPUTS 64
#define ESPL_TOP_OUTPUTS 64

typedef struct espl_ints {
  int n; /* -1: absent */
  int64_t v[2 * ESPL_TENSOR_DIMS];
} espl_ints;

typedef enum espl_auto_pad { ESPL_PAD_NOTSET, ESPL_PAD_SAME_UPPER, ESPL_PAD_SAME_LOWER, ESPL_PAD_VALID } espl_auto_pad;

/* Words of a text attribute that operators choose by. */
typedef enum espl_word {
  ESPL_WORD_NONE, ESPL_WORD_CONSTANT, ESPL_WORD_REFLECT, ESPL_WORD_EDGE, ESPL_WORD_WRAP, ESPL_WORD_NEAREST, ESPL_WORD_LINEAR,
  ESPL_WORD_HALF_PIXEL, ESPL_WORD_PYTORCH_HALF_PIXEL, ESPL_WORD_ALIGN_CORNERS, ESPL_WORD_ASYMMETRIC, ESPL_WORD_TF_HALF_PIXEL_FOR_NN,
  ESPL_WORD_HALF_PIXEL_SYMMETRIC, ESPL_WORD_STRETCH, ESPL_WORD_NOT_LARGER, ESPL_WORD_NOT_SMALLER,
  ESPL_WORD_ROUND_PREFER_FLOOR, ESPL_WORD_ROUND_PREFER_CEIL, ESPL_WORD_FLOOR, ESPL_WORD_CEIL,
  ESPL_WORD_OTHER /* a word that is not supported */
} espl_word;

typedef struct espl_top {
  espl_top_kind kind;
  int64_t opset;
  bool has_axis;
  int64_t axis, group, to, start, end;    /* to: element type of Cast; start, end: Shape; output_dtype of QuantizeLinear is in `to` */
  bool has_end, has_lo, has_hi;
  float alpha, beta, eps, lo, hi, fill;   /* lo, hi: Clip; fill: Pad */
  bool keepdims, noop_empty, ceil_mode, count_include_pad, column_major, trans_a, trans_b, allowzero;
  espl_auto_pad auto_pad;
  espl_word mode, coordinates, nearest, policy; /* policy: keep_aspect_ratio_policy */
  espl_ints kernel, strides, dilations, pads, out_pads, out_shape;
  espl_ints axes, starts, ends;           /* Slice; axes also of reductions, Squeeze, Pad, Resize */
  espl_ints list;                         /* shape of Reshape, perm of Transpose, split of Split */
  int n_scales;                           /* -1: absent; attribute of Upsample */
  float scales[ESPL_TENSOR_DIMS];
  const espl_tensor *value;               /* Constant, ConstantOfShape; NULL: absent; borrowed */
  int outputs;                            /* Split: how many */
} espl_top;

/* Bounds on what one operator may do; an operator that wants more is refused with E_UNSUPPORTED. */
typedef struct espl_tlimits {
  int64_t elems; /* of one output */
  int64_t work;  /* inner steps */
} espl_tlimits;
#define ESPL_TLIMITS_DEFAULT ((espl_tlimits){ESPL_TENSOR_ELEMS, (int64_t)1 << 42})

const char *espl_top_name(espl_top_kind k); /* "Conv" */
/* False when no such operator is evaluated here. */
bool espl_top_find(const char *onnx, espl_top_kind *k);
/* Inputs allowed, outputs possible. */
void espl_top_arity(espl_top_kind k, int *fewest, int *most, int *outputs);
/* All attributes absent, defaults of ONNX where they are numbers. */
void espl_top_init(espl_top *op, espl_top_kind k, int64_t opset);

/* What position x of `out` positions of an axis of Resize reads from `in` elements: (1 - w) * element[low] + w * element[high]. Nearest reads
 * one: low = high, w = 0; with `nearest` NONE as operator set 10 has it, down where the axis grows and up where it shrinks. Neither low nor
 * high goes back as x goes on; high is at most low + 1. */
typedef struct espl_tap {
  int64_t low, high;
  double w;
} espl_tap;
espl_tap espl_resize_tap(espl_word mode, espl_word coordinates, espl_word nearest, double scale, int64_t in, int64_t out, int64_t x);

/* in[k] NULL: an optional input left out. out[0..n_out) are set (NULL on error); n_out may be less than the operator could give.
 * E_INPUT: shapes or types that do not fit, with what was found and expected; E_UNSUPPORTED: a form that is not evaluated, or beyond the
 * limits. Messages do not name the node; the caller does. */
espl_status espl_top_run(const espl_top *op, const espl_tensor *const *in, int n_in, espl_tensor **out, int n_out, espl_tlimits limits,
                         espl_err *err) ESPL_MUST_CHECK;

#endif
