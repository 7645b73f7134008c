/* Inside of an execution plan, shared by the files of this room only.
 *
 * Compiling a graph: nodes are gathered into groups (one operator that runs, with the batch norm and activation it
 * absorbs); each group is lowered to steps. `prep` prepares weights (fold, cast, reorder), `fwd` and `bwd` run in order.
 * Laws: 1. a value is materialised only for the last node of a group; IDENTITY and most FLATTEN nodes are aliases (`root`);
 *       2. the gradient of a value has the layout and type of the value;
 *       3. slots are counted: a step may write in place only into a slot with one reference;
 *       4. no activation is reordered between layers unless an operator would otherwise run on a slow path (`reorders`). */
#ifndef ESPL_NN_EXEC_H
#define ESPL_NN_EXEC_H
#include "nn/dnn.h"
#include "nn/nn.h"
#include "nn/norm.h"
#include "nn/point.h"
#include "nn/resize.h"
#include "nn/slope.h"
#include "nn/spread.h"
#include "tensor/op.h"

typedef struct nn_slot {
  struct nn_slot *next;
  void *ptr;
  size_t bytes;
  int refs; /* live tensors on it while compiling */
} nn_slot;

typedef struct nn_tensor {
  dnn_mem *mem;  /* NULL: absent */
  nn_slot *slot; /* its bytes */
} nn_tensor;

/* dst(n, c, h, w) = src(n, c, h, w) over the extents of `extent`; channel c of a view is its channel c0 + c. */
typedef struct nn_copy {
  dnn_view extent, src, dst;
  int32_t src_c0, dst_c0;
  dnn_mem *from, *to;
  bool clear; /* zero all of `to` first */
} nn_copy;

/* Batch norm folded into the weight and bias in front of it; rows = output channels. */
typedef struct nn_fold {
  const espl_node *conv, *bn;
  dnn_mem *weight, *bias; /* plain float32 */
} nn_fold;

typedef struct nn_stats {
  const espl_node *bn;
  dnn_mem *mean, *var;
  double samples; /* values a channel in one batch */
} nn_stats;

/* Rounds a float32 value to its integers in place; whatever its layout, since padding lanes are 0 and 0 stays 0. */
typedef struct nn_fake_value {
  dnn_mem *mem;
  espl_fake_value q;
} nn_fake_value;

/* Rounded copy of a weight, row-major. */
typedef struct nn_fake_weight {
  const espl_param *weight;
  dnn_mem *to;
  int32_t most;
} nn_fake_weight;

/* A node that runs by its definition (tensor/op.h), on row-major float32. */
typedef struct nn_by_definition {
  const espl_node *node;
  int32_t batch;
  espl_shape shape; /* of what flows in */
  dnn_mem *from, *to;
} nn_by_definition;

typedef enum nn_step_kind {
  NN_STEP_OP, NN_STEP_COPY, NN_STEP_FOLD, NN_STEP_STATS, NN_STEP_NORM, NN_STEP_NORM_BACK, NN_STEP_POINT, NN_STEP_SPREAD, NN_STEP_SPREAD_BACK,
  NN_STEP_SLOPE, NN_STEP_SLOPE_BACK, NN_STEP_RESIZE, NN_STEP_RESIZE_BACK, NN_STEP_FAKE_VALUE, NN_STEP_FAKE_WEIGHT, NN_STEP_BY_DEFINITION
} nn_step_kind;
typedef struct nn_step {
  nn_step_kind kind;
  const dnn_op *op;
  int args;
  dnn_arg arg[DNN_MAX_ARGS];
  nn_copy copy;
  nn_fold fold;
  nn_stats stats;
  nn_norm norm;
  nn_point point;
  nn_spread spread;
  nn_slope slope;
  nn_resize resize;
  nn_fake_value fake_value;
  nn_fake_weight fake_weight;
  nn_by_definition by_definition;
  double seconds; /* processor time of the calling thread in it, while the plan is `timed` */
} nn_step;

typedef struct nn_list {
  nn_step *step;
  int32_t n, cap;
} nn_list;

typedef struct nn_group {
  int32_t head, bn, add, act, last; /* node ids; -1 absent; last = the node whose value it defines */
  int32_t sum;                 /* value that is added in front of `act`; -1: none. By `add` where the head is a batch norm in training */
  nn_norm norm;                /* of a batch norm that runs as our own operator; all zero otherwise */
  nn_resize resize;            /* of a RESIZE */
  dnn_act post;                /* of `act` */
  const dnn_op *fwd;
  dnn_mem *ws, *mean, *var;    /* what backward needs from forward */
} nn_group;

/* Brings a kept value into plain float32 memory of the caller. */
typedef struct nn_reader {
  const dnn_op *op;
  dnn_mem *from, *to;
} nn_reader;

struct espl_exec {
  espl_graph *g;
  espl_mode mode;
  dnn_type type;
  int32_t images;        /* that a forward takes */
  int32_t batch, output; /* images of one pass over the steps; node whose value leaves */
  int threads;           /* that compiled it and run it */
  bool backward;         /* TRAIN with gradients */
  double bn_rate;        /* >= 0 replaces every node's bn_momentum */
  bool dirty;            /* compile again before the next forward */
  bool timed;            /* steps count their time */
  bool ran;              /* a forward has run since the last compilation */
  bool frozen, prepared; /* the params do not change any more; `prep` has run since the last compilation */
  uint8_t *keep;         /* [nodes] */
  int32_t *root;         /* [nodes] value that holds the data of this value */
  int32_t *uses;         /* [nodes] reads of a root by groups, output and keep included */
  uint8_t *needs;        /* [nodes] gradient wanted */
  nn_tensor *val, *grad; /* [nodes] by root */
  nn_tensor *second;     /* [nodes] another summand of the gradient, where its reader adds them itself */
  uint8_t *pairs;        /* [nodes] such a reader it is */
  nn_reader *reader;     /* [nodes] of kept nodes */
  nn_group *group;       /* [groups] in order */
  int32_t groups;
  dnn *d;
  nn_slot *slots;
  nn_list prep, fwd, bwd;
  dnn_mem *in_user, *out_user, *dout_user;
  const espl_fake *fake; /* NULL: none */
  dnn_mem **faked;       /* [nodes] rounded weights of this plan, made at the first use */
  int32_t reorders;      /* activation or gradient layout changes between layers, per step */
};

/* ---- plan.c: grouping, compilation ---- */
/* As espl_exec_new, for the value of node `output`; backward false leaves out gradients in TRAIN mode. */
espl_status nn_exec_new_at(espl_graph *g, espl_mode mode, espl_dtype dtype, int32_t batch, int32_t output, bool backward,
                           espl_exec **out, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_compile(espl_exec *x, espl_err *err) ESPL_MUST_CHECK;
void nn_plan_clear(espl_exec *x);
espl_status nn_group_nodes(espl_exec *x, espl_err *err) ESPL_MUST_CHECK; /* group.c */

/* ---- tensor.c: slots, steps, gradients; each NULL/false with err filled on failure ---- */
nn_step *nn_step_add(nn_list *l, nn_step_kind kind, espl_err *err);
const char *nn_step_name(const nn_step *s); /* what it is, for people who read measurements */
espl_status nn_emit(nn_list *l, const dnn_op *op, int args, const dnn_arg *arg, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_tensor_new(espl_exec *x, const dnn_md *md, nn_tensor *t, espl_err *err) ESPL_MUST_CHECK;
void nn_tensor_drop(nn_tensor *t); /* gives one reference back */
/* `mem` in layout `want`: itself when equal, else a reordered copy made by a new step of `l`. */
dnn_mem *nn_adapt(espl_exec *x, nn_list *l, dnn_mem *mem, const dnn_md *want, espl_err *err);
/* Adds `t` (its reference is taken over) to the gradient of value `id`. A second summand stays apart where `pairs` allows it. */
espl_status nn_grad_put(espl_exec *x, int32_t id, nn_tensor t, espl_err *err) ESPL_MUST_CHECK;
/* `mem` in blocks of 16 channels, as nn_adapt. */
dnn_mem *nn_in_blocks(espl_exec *x, nn_list *l, dnn_mem *mem, espl_err *err);
bool nn_needs(const espl_exec *x, int32_t id);
dnn_mem *nn_value(const espl_exec *x, int32_t id); /* data of value id */
espl_status nn_define(espl_exec *x, int32_t id, const dnn_md *md, espl_err *err) ESPL_MUST_CHECK; /* memory for a value */

/* ---- lowering: forward adds to prep and fwd, backward to bwd; backward owns *dout and gives it back ---- */
espl_status nn_lower_conv(espl_exec *x, nn_group *g, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_lower_fc(espl_exec *x, nn_group *g, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_back_conv(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_back_fc(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_lower_norm(espl_exec *x, nn_group *g, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_back_norm(espl_exec *x, nn_group *g, nn_tensor *dout, nn_tensor *second, espl_err *err) ESPL_MUST_CHECK; /* owns both */
espl_status nn_lower_other(espl_exec *x, nn_group *g, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_back_other(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) ESPL_MUST_CHECK;
/* Layout the first convolution behind the graph input would like; plain when there is none. */
const dnn_md *nn_input_layout(espl_exec *x, espl_err *err);
/* Gradient of the activation of `g` in place of *dout (a new tensor where *dout is shared). */
espl_status nn_back_act(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_lower_copy(espl_exec *x, nn_group *g, espl_err *err) ESPL_MUST_CHECK; /* SUBSAMPLE PADCHANNELS CONCAT FLATTEN */
espl_status nn_back_copy(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) ESPL_MUST_CHECK;

/* lower_own.c: SPREADADD SUB MUL DIV; PRELU; RESIZE */
espl_status nn_lower_spread(espl_exec *x, nn_group *g, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_back_spread(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_lower_slope(espl_exec *x, nn_group *g, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_back_slope(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_lower_resize(espl_exec *x, nn_group *g, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_back_resize(espl_exec *x, nn_group *g, nn_tensor *dout, espl_err *err) ESPL_MUST_CHECK;

/* lower_tensor.c; forward only */
espl_status nn_lower_tensor(espl_exec *x, nn_group *g, espl_err *err) ESPL_MUST_CHECK;
espl_status nn_run_by_definition(const nn_by_definition *s, espl_err *err) ESPL_MUST_CHECK;

/* ---- kernels.c: what oneDNN does not do ---- */
void nn_run_fake_value(const nn_fake_value *f);
void nn_run_fake_weight(const nn_fake_weight *f);
void nn_run_copy(const nn_copy *c);
void nn_run_fold(const nn_fold *f);
void nn_run_stats(const nn_stats *s, double rate);
#endif
