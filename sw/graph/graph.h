/* The one graph: a typed, topologically ordered list of operators on NCHW tensors that import,
 * training, slimming, quantization and mapping all share.
 *
 * Nouns: a `value` is a tensor flowing along an edge (batch dimension left out: shapes are per image);
 * a `param` is a named weight object with its training state; a `node` is one operator, reads values,
 * owns params and defines exactly one value.
 *
 * Invariants (espl_graph_check verifies them):
 *   1. nodes are stored in topological order: every input value is the graph input or the output of an earlier node;
 *   2. value i is defined by exactly one node (or is the graph input, value 0, defined by node 0 of op INPUT);
 *      value ids and node ids are the same number: node i defines value i;
 *   3. shapes are concrete, every extent >= 1, element counts fit int32;
 *   4. a param belongs to one node only;
 *   5. exactly one output value, `graph->output`. */
#ifndef ESPL_GRAPH_GRAPH_H
#define ESPL_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "tensor/op.h"

/* name, ONNX operator it mostly stands for, one-line meaning */
#define ESPL_OP_LIST(X)                                                                          \
  X(INPUT, "", "the graph input")                                                                \
  X(CONV, "Conv", "2-D convolution, groups, weight [O,I/g,KH,KW], optional bias [O]")            \
  X(BATCHNORM, "BatchNormalization", "per channel: gamma,beta,mean,var, each [C]")               \
  X(RELU, "Relu", "max(x,0)")                                                                    \
  X(CLIP, "Clip", "clamp to [lo,hi]; ReLU6 is [0,6]")                                            \
  X(ADD, "Add", "element-wise sum of two values of one shape")                                   \
  X(MAXPOOL, "MaxPool", "maximum over a window; padding never wins")                             \
  X(AVGPOOL, "AveragePool", "mean over a window, padding counted or not")                        \
  X(GLOBALAVGPOOL, "GlobalAveragePool", "mean over H and W; output H = W = 1")                   \
  X(FLATTEN, "Flatten", "[C,H,W] -> [C*H*W,1,1], NCHW order")                                    \
  X(GEMM, "Gemm", "y = W x + b; weight [O,I], optional bias [O]; input has H = W = 1")           \
  X(SUBSAMPLE, "Slice", "every sh-th row and sw-th column, starting at 0")                       \
  X(PADCHANNELS, "Pad", "zero channels put before (pad_c0) and after (pad_c1)")                  \
  X(CONCAT, "Concat", "values joined along channels")                                            \
  X(SOFTMAX, "Softmax", "over channels; only as the last operator")                              \
  X(IDENTITY, "Identity", "y = x")                                                               \
  X(LEAKYRELU, "LeakyRelu", "x, below zero alpha * x")                                           \
  X(PRELU, "PRelu", "x, below zero gamma[c] * x")                                                \
  X(SIGMOID, "Sigmoid", "1 / (1 + exp(-x))")                                                     \
  X(TANH, "Tanh", "hyperbolic tangent")                                                          \
  X(HARDSIGMOID, "HardSigmoid", "alpha * x + beta, clamped to [0,1]")                            \
  X(HARDSWISH, "HardSwish", "x * clamp(x/6 + 1/2 to [0,1])")                                     \
  X(SPREADADD, "Add", "sum of two values; extents of 1 are spread over those of the other")      \
  X(SUB, "Sub", "difference, spread likewise")                                                   \
  X(MUL, "Mul", "product, spread likewise")                                                      \
  X(DIV, "Div", "quotient, spread likewise")                                                     \
  X(INSTANCENORM, "InstanceNormalization", "per image and channel: gamma, beta, each [C]")       \
  X(GROUPNORM, "GroupNormalization", "per image over conv.groups groups of channels: gamma, beta, each [C]") \
  X(GRAPHNORM, "", "per image and channel, a learnt share of the mean subtracted: share (BIAS), gamma, beta, each [C]") \
  X(CONVTRANSPOSE, "ConvTranspose", "transposed convolution, weight [I,O/g,KH,KW], bias [O]")    \
  X(RESIZE, "Resize", "H and W to other extents, nearest or linear")

typedef enum espl_op {
#define X(name, onnx, text) ESPL_OP_##name,
  ESPL_OP_LIST(X)
#undef X
  ESPL_OP_COUNT
} espl_op;

/* Which weight a param is; decides weight decay and quantization treatment. */
typedef enum espl_param_kind {
  ESPL_PARAM_WEIGHT, /* conv [O,I/g,KH,KW], transposed conv [I,O/g,KH,KW] or gemm [O,I] */
  ESPL_PARAM_BIAS,   /* [O]; the share of GRAPHNORM, [C] */
  ESPL_PARAM_GAMMA, ESPL_PARAM_BETA, ESPL_PARAM_MEAN, ESPL_PARAM_VAR, /* batch norm, [C]; MEAN and VAR are not trained; GAMMA also the slope of PRELU, [C] or [1] */
  ESPL_PARAM_COUNT
} espl_param_kind;

#define ESPL_MAX_DIMS 4

/* A named weight object. `value` always exists; the rest is NULL until training or a method needs it.
 * All arrays hold `elems` floats in row-major order of `dim`. Owned by the graph. */
typedef struct espl_param {
  char *name;
  espl_param_kind kind;
  int dims;
  int32_t dim[ESPL_MAX_DIMS];
  int64_t elems;
  float *value;
  float *grad;     /* dLoss/dvalue of the last step */
  float *mask;     /* 0/1; zero keeps value, gradient and momentum at zero */
  float *momentum; /* optimizer state, slimmed together with value: velocity of SGD, first moment of Adam */
  float *second;   /* second moment of Adam */
  float *average;  /* exponential moving average of value */
} espl_param;

/* Per-image tensor shape. */
typedef struct espl_shape {
  int32_t c, h, w;
} espl_shape;

typedef struct espl_conv_attr {
  int32_t kh, kw, sh, sw, dh, dw; /* kernel, stride, dilation: >= 1 */
  int32_t pt, pl, pb, pr;         /* zero padding top, left, bottom, right: >= 0 */
  int32_t groups;                 /* CONV, CONVTRANSPOSE, GROUPNORM */
  bool count_include_pad;         /* AVGPOOL only */
  int32_t extra_h, extra_w;       /* CONVTRANSPOSE: rows and columns added behind */
} espl_conv_attr;                 /* also the window of MAXPOOL and AVGPOOL, the strides of SUBSAMPLE */

/* RESIZE: how positions map (words of tensor/op.h), and the scale: new extent = floor(extent * scale). */
typedef struct espl_resize_attr {
  espl_word mode, coordinates, nearest;
  float scale_h, scale_w;
} espl_resize_attr;

#define ESPL_MAX_INPUTS 16

typedef struct espl_node {
  espl_op op;
  char *name; /* unique, kept from ONNX where there was one; changed by espl_graph_rename only */
  int inputs;
  int32_t input[ESPL_MAX_INPUTS]; /* value ids */
  espl_shape shape;               /* of the value this node defines */
  espl_conv_attr conv;            /* CONV, CONVTRANSPOSE, MAXPOOL, AVGPOOL, SUBSAMPLE */
  espl_resize_attr resize;        /* RESIZE */
  float lo, hi;                   /* CLIP */
  float alpha, beta;              /* LEAKYRELU: alpha; HARDSIGMOID: both */
  float eps, bn_momentum;         /* BATCHNORM, INSTANCENORM, GROUPNORM, GRAPHNORM: eps; BATCHNORM: running = (1-m)*running + m*batch, m = bn_momentum */
  int32_t pad_c0, pad_c1;         /* PADCHANNELS */
  espl_param *param[ESPL_PARAM_COUNT]; /* by kind; NULL where absent */
} espl_node;

/* Where names.c finds nodes by name; nobody else's. */
typedef struct espl_graph_names {
  int32_t *slot;
  size_t cap;
} espl_graph_names;

typedef struct espl_graph {
  char *name;
  int32_t nodes, cap;
  espl_node *node;   /* [nodes] */
  int32_t output;    /* value id */
  char *input_name, *output_name; /* kept from ONNX */
  int input_rank, output_rank;    /* dimensions they have there: 4 for [N,C,H,W], 3 for [N,C,L], 2 for [N,C]; 0: as the extents say */
  char *preprocess;  /* JSON of ONNX metadata `espalier.preprocess`, or NULL */
  char *history;     /* JSON array of what was done to it (metadata `espalier.history`), or NULL */
  espl_graph_names names;
} espl_graph;

/* ---- build ---- */
espl_graph *espl_graph_new(const char *name, espl_shape input); /* NULL: out of memory */
void espl_graph_free(espl_graph *g);
espl_graph *espl_graph_clone(const espl_graph *g); /* deep: params, masks, optimizer state too; NULL: out of memory */

/* Appends a node whose attributes and inputs the caller has filled in `proto` (params NULL, name copied; NULL name:
 * "<op>_<id>" in lower case; shape.c of a CONV or GEMM proto says its output channels, the weight's first extent rules once
 * there is one), infers its shape and makes it the output. Returns the id in *id. E_INPUT when shapes do not agree. */
espl_status espl_graph_add(espl_graph *g, const espl_node *proto, int32_t *id, espl_err *err) ESPL_MUST_CHECK;
/* Creates a zeroed param on a node; name "<node>.<kind>" when NULL. dims/dim as in the kind's comment. */
espl_status espl_graph_add_param(espl_graph *g, int32_t node, espl_param_kind kind, const char *name, int dims,
                                 const int32_t *dim, espl_err *err) ESPL_MUST_CHECK;
void espl_param_free(espl_param *p);
void espl_graph_at_rest(espl_graph *g); /* drops the optimizer's state and the averages: the next training starts anew */

/* ---- use ---- */
const char *espl_op_name(espl_op op); /* "CONV" */
int32_t espl_graph_find(const espl_graph *g, const char *node_name); /* -1: none */
/* Recomputes every shape from the input shape; E_INPUT names node, found and expected. Call after a rewrite. */
espl_status espl_graph_infer(espl_graph *g, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_graph_check(const espl_graph *g, espl_err *err) ESPL_MUST_CHECK;
/* Removes node `id`; its readers read its input `keep` instead (keep = 0 for one-input nodes). Ids above shift down. */
espl_status espl_graph_remove(espl_graph *g, int32_t id, int keep, espl_err *err) ESPL_MUST_CHECK;
/* Gives a node another name; E_INPUT when a node has it. Takes a walk over all nodes. */
espl_status espl_graph_rename(espl_graph *g, int32_t id, const char *name, espl_err *err) ESPL_MUST_CHECK;
/* Removes every node that the output does not need (the input stays) in one walk. to[nodes as they were]: the new id of each, -1 for those
 * removed. */
espl_status espl_graph_prune(espl_graph *g, int32_t *to, espl_err *err) ESPL_MUST_CHECK;
/* Number of nodes that read value `id` (the graph output counts as one reader). */
int espl_graph_readers(const espl_graph *g, int32_t id);
int64_t espl_graph_macs(const espl_graph *g);   /* multiply-accumulates an image: convolutions and gemm, padding taps included */
int64_t espl_node_macs(const espl_graph *g, int32_t id);
int64_t espl_graph_params(const espl_graph *g); /* all param elements, BN statistics included */
int64_t espl_shape_elems(espl_shape s);
/* Appends an object to `history`; `json` must be one JSON object. */
espl_status espl_graph_note(espl_graph *g, const char *json, espl_err *err) ESPL_MUST_CHECK;

#endif
