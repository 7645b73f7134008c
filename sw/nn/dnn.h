/* The one door to oneDNN: layouts, tensors and operators as opaque handles, so that a new major version of the
 * library touches one C file.
 *
 * Nouns: a `dnn` owns engine, stream and everything made through it (freed at once); a `dnn_md` says how a tensor lies in
 * memory; a `dnn_mem` is a md plus a pointer (the bytes belong to the caller unless dnn_mem_new allocated them); a
 * `dnn_op` is a ready primitive.
 * Laws: 1. every constructor returns NULL and fills `err` (E_LIBRARY, E_NOMEM or E_UNSUPPORTED) when it cannot;
 *       2. activations are 2-D [N,C] or 4-D [N,C,H,W], weights 4-D [O,I,KH,KW], 5-D [G,O/G,I/G,KH,KW] or 2-D [O,I];
 *       3. padding lanes of a blocked layout are zero before and after every operator. */
#ifndef ESPL_NN_DNN_H
#define ESPL_NN_DNN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct dnn dnn;
typedef struct dnn_md dnn_md;
typedef struct dnn_mem dnn_mem;
typedef struct dnn_op dnn_op;

typedef enum dnn_type { DNN_F32, DNN_BF16 } dnn_type;
typedef enum dnn_dir { DNN_FWD_INFER, DNN_FWD_TRAIN, DNN_BWD_DATA, DNN_BWD_WEIGHTS, DNN_BWD } dnn_dir;

/* What an operator's tensor is for. */
typedef enum dnn_id {
  DNN_SRC, DNN_SRC1, DNN_WEI, DNN_BIAS, DNN_DST, DNN_MEAN, DNN_VAR, DNN_SCALE, DNN_SHIFT, DNN_WS,
  DNN_DSRC, DNN_DWEI, DNN_DBIAS, DNN_DDST, DNN_DSCALE, DNN_DSHIFT, DNN_FROM, DNN_TO, DNN_ID_COUNT
} dnn_id;
#define DNN_MAX_ARGS 10
typedef struct dnn_arg {
  dnn_id id;
  dnn_mem *mem;
} dnn_arg;

/* Activation: none, max(x,0), clamp to [lo,hi], lo*x below zero (lo >= 0 in training), logistic, tanh, hard swish, lo*x + hi. */
typedef enum dnn_act_kind { DNN_ACT_NONE, DNN_ACT_RELU, DNN_ACT_CLIP, DNN_ACT_LEAKY, DNN_ACT_SIGMOID, DNN_ACT_TANH, DNN_ACT_HARDSWISH, DNN_ACT_LINE } dnn_act_kind;
typedef struct dnn_act {
  dnn_act_kind kind;
  float lo, hi;
  bool sum; /* convolution, fully connected: what DST holds is added to the result first */
} dnn_act;

typedef enum dnn_binary_kind { DNN_ADD, DNN_SUB, DNN_MUL, DNN_DIV } dnn_binary_kind;

/* Window of a convolution or pooling; dilation 1 is dense. */
typedef struct dnn_window {
  int32_t kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
} dnn_window;
typedef enum dnn_pool_kind { DNN_POOL_MAX, DNN_POOL_AVG, DNN_POOL_AVG_PADDED } dnn_pool_kind;

/* Element (n,c,h,w) lies at n*sn + (c/block)*sc + c%block + h*sh + w*sw, in elements. */
typedef struct dnn_view {
  int32_t n, c, h, w, block;
  int64_t sn, sc, sh, sw;
  int bytes; /* an element */
} dnn_view;

dnn *dnn_new(espl_err *err);
void dnn_free(dnn *d);
bool dnn_native_bf16(void);
/* Threads of the calling thread's operators from now on (made and run with the same number); returns the number before. */
int dnn_threads(int n);
int dnn_threads_max(void);
void dnn_describe(char *out, size_t room); /* version of the library and instruction set it uses */

const dnn_md *dnn_md_any(dnn *d, dnn_type t, int dims, const int32_t *dim, espl_err *err);
const dnn_md *dnn_md_plain(dnn *d, dnn_type t, int dims, const int32_t *dim, espl_err *err); /* row-major */
/* Weights of a convolution (4-D or 5-D), row-major but for O and I (of a group), which lie the other way round. */
const dnn_md *dnn_md_swapped(dnn *d, dnn_type t, int dims, const int32_t *dim, espl_err *err);
const dnn_md *dnn_md_blocked(dnn *d, dnn_type t, const int32_t dim[4], espl_err *err); /* [N,C/16,H,W,16] */
/* The physical order of `like` for other extents [N,c,h,w] and type of `like`. */
const dnn_md *dnn_md_like(dnn *d, const dnn_md *like, int32_t c, int32_t h, int32_t w, espl_err *err);
const dnn_md *dnn_md_blocks(dnn *d, const dnn_md *like, espl_err *err); /* the tensor of `like` (4-D) in blocks of 16 channels */
size_t dnn_md_bytes(const dnn_md *m);
int64_t dnn_md_extent(const dnn_md *m, int axis); /* 1 beyond the last axis */
int dnn_md_dims(const dnn_md *m);
bool dnn_md_equal(const dnn_md *a, const dnn_md *b);
bool dnn_md_view(const dnn_md *m, dnn_view *v); /* false: not a layout of that form */

dnn_mem *dnn_mem_new(dnn *d, const dnn_md *m, void *ptr, espl_err *err); /* NULL ptr: zeroed memory of its own */
const dnn_md *dnn_mem_md(const dnn_mem *m);
void dnn_mem_set(dnn_mem *m, void *ptr);
void *dnn_mem_ptr(const dnn_mem *m);

/* Convolution; bias may be NULL. `fwd` is the forward operator (hint) for the two backward directions. */
dnn_op *dnn_conv(dnn *d, dnn_dir dir, const dnn_window *w, const dnn_md *src, const dnn_md *wei, const dnn_md *bias,
                 const dnn_md *dst, dnn_act act, const dnn_op *fwd, espl_err *err);
/* Transposed convolution, the same; weights as those of a convolution with O results. */
dnn_op *dnn_deconv(dnn *d, dnn_dir dir, const dnn_window *w, const dnn_md *src, const dnn_md *wei, const dnn_md *bias,
                   const dnn_md *dst, dnn_act act, const dnn_op *fwd, espl_err *err);
/* Fully connected: wei [O, extents of src without N]. */
dnn_op *dnn_fc(dnn *d, dnn_dir dir, const dnn_md *src, const dnn_md *wei, const dnn_md *bias, const dnn_md *dst, dnn_act act,
               const dnn_op *fwd, espl_err *err);
dnn_op *dnn_pool(dnn *d, dnn_dir dir, dnn_pool_kind kind, const dnn_window *w, const dnn_md *src, const dnn_md *dst,
                 const dnn_op *fwd, espl_err *err);
/* Batch norm. INFER uses the given statistics; TRAIN and BWD use those of the batch. relu: fused behind it. */
dnn_op *dnn_bn(dnn *d, dnn_dir dir, const dnn_md *data, float eps, bool relu, const dnn_op *fwd, espl_err *err);
dnn_op *dnn_eltwise(dnn *d, dnn_dir dir, dnn_act act, const dnn_md *data, const dnn_op *fwd, espl_err *err); /* BWD reads DST, of hard swish and a line SRC */
/* a and dst of one shape; b's extents are those of a or 1. */
dnn_op *dnn_binary(dnn *d, dnn_binary_kind kind, const dnn_md *a, const dnn_md *b, const dnn_md *dst, dnn_act act, espl_err *err);
dnn_op *dnn_softmax(dnn *d, dnn_dir dir, const dnn_md *data, const dnn_op *fwd, espl_err *err); /* over channels */
dnn_op *dnn_reorder(dnn *d, const dnn_md *from, const dnn_md *to, espl_err *err);

const dnn_md *dnn_op_md(const dnn_op *op, dnn_id id); /* layout the operator wants; NULL when it has no such tensor */
bool dnn_op_fast(const dnn_op *op);                   /* generated code, not the reference or im2col path */
const char *dnn_op_name(const dnn_op *op);            /* kind and direction */
const char *dnn_op_impl(const dnn_op *op);
espl_status dnn_run(dnn *d, const dnn_op *op, const dnn_arg *arg, int args, espl_err *err) ESPL_MUST_CHECK;
espl_status dnn_wait(dnn *d, espl_err *err) ESPL_MUST_CHECK;
#endif
