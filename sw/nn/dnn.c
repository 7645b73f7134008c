/* oneDNN 2.x behind dnn.h: every call to the library in the project is in this file. */
#include "nn/dnn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dnnl.h>
#include <omp.h>

#include "base/mem.h"

#define META_LIMIT_BYTES ((size_t)1 << 30) /* handles and layouts only; tensors are separate */

struct dnn_md {
  dnnl_memory_desc_t d;
};

struct dnn_mem {
  dnn_mem *next;
  const dnn_md *md;
  dnnl_memory_t m;
  void *own; /* freed with the context */
};

struct dnn_op {
  dnn_op *next;
  dnnl_primitive_desc_t pd;
  dnnl_primitive_t prim;
  const dnn_md *md[DNN_ID_COUNT];
  const char *impl, *name;
};

struct dnn {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  espl_arena *arena;
  dnn_mem *mems;
  dnn_op *ops;
};

static const int arg_code[DNN_ID_COUNT] = {
    [DNN_SRC] = DNNL_ARG_SRC, [DNN_SRC1] = DNNL_ARG_SRC_1, [DNN_WEI] = DNNL_ARG_WEIGHTS, [DNN_BIAS] = DNNL_ARG_BIAS,
    [DNN_DST] = DNNL_ARG_DST, [DNN_MEAN] = DNNL_ARG_MEAN, [DNN_VAR] = DNNL_ARG_VARIANCE, [DNN_SCALE] = DNNL_ARG_SCALE,
    [DNN_SHIFT] = DNNL_ARG_SHIFT, [DNN_WS] = DNNL_ARG_WORKSPACE, [DNN_DSRC] = DNNL_ARG_DIFF_SRC,
    [DNN_DWEI] = DNNL_ARG_DIFF_WEIGHTS, [DNN_DBIAS] = DNNL_ARG_DIFF_BIAS, [DNN_DDST] = DNNL_ARG_DIFF_DST,
    [DNN_DSCALE] = DNNL_ARG_DIFF_SCALE, [DNN_DSHIFT] = DNNL_ARG_DIFF_SHIFT, [DNN_FROM] = DNNL_ARG_FROM,
    [DNN_TO] = DNNL_ARG_TO};

static const char *status_text(dnnl_status_t s) {
  switch (s) {
  case dnnl_out_of_memory: return "out of memory";
  case dnnl_invalid_arguments: return "invalid arguments";
  case dnnl_unimplemented: return "no implementation on this CPU";
  case dnnl_runtime_error: return "runtime error";
  default: return "failure";
  }
}

static espl_status lib_fail(espl_err *err, dnnl_status_t s, const char *what) {
  espl_status code = s == dnnl_out_of_memory ? ESPL_E_NOMEM : s == dnnl_unimplemented ? ESPL_E_UNSUPPORTED : ESPL_E_LIBRARY;
  return espl_fail(err, code, "oneDNN: %s: %s", what, status_text(s));
}

/* ---- context ---- */

dnn *dnn_new(espl_err *err) {
  dnn *d = espl_calloc(1, sizeof *d);
  if (!d || !(d->arena = espl_arena_new(META_LIMIT_BYTES))) {
    dnn_free(d);
    espl_fail(err, ESPL_E_NOMEM, "oneDNN context: out of memory");
    return NULL;
  }
  dnnl_status_t s = dnnl_engine_create(&d->engine, dnnl_cpu, 0);
  if (s == dnnl_success) s = dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags);
  if (s == dnnl_success) return d;
  lib_fail(err, s, "CPU engine");
  dnn_free(d);
  return NULL;
}

void dnn_free(dnn *d) {
  if (!d) return;
  for (dnn_op *o = d->ops; o; o = o->next) {
    if (o->prim) dnnl_primitive_destroy(o->prim);
    if (o->pd) dnnl_primitive_desc_destroy(o->pd);
  }
  for (dnn_mem *m = d->mems; m; m = m->next) {
    if (m->m) dnnl_memory_destroy(m->m);
    free(m->own);
  }
  if (d->stream) dnnl_stream_destroy(d->stream);
  if (d->engine) dnnl_engine_destroy(d->engine);
  espl_arena_free(d->arena);
  free(d);
}

bool dnn_native_bf16(void) {
  unsigned isa = (unsigned)dnnl_get_effective_cpu_isa(), need = (unsigned)dnnl_cpu_isa_avx512_core_bf16;
  return (isa & need) == need;
}

void dnn_describe(char *out, size_t room) {
  const dnnl_version_t *v = dnnl_version();
  snprintf(out, room, "oneDNN %d.%d.%d, instruction set %#x", v->major, v->minor, v->patch, (unsigned)dnnl_get_effective_cpu_isa());
}

int dnn_threads_max(void) { return omp_get_max_threads(); }

int dnn_threads(int n) {
  int before = omp_get_max_threads();
  omp_set_num_threads(n);
  return before;
}

/* ---- layouts ---- */

static dnn_md *md_new(dnn *d, espl_err *err) {
  dnn_md *m = espl_arena_alloc(d->arena, sizeof *m);
  if (!m) espl_fail(err, ESPL_E_NOMEM, "tensor layout: out of memory");
  return m;
}

static const dnn_md *md_tag(dnn *d, dnn_type t, int dims, const int32_t *dim, dnnl_format_tag_t tag, espl_err *err) {
  dnn_md *m = md_new(d, err);
  if (!m) return NULL;
  dnnl_dims_t ext = {0};
  for (int i = 0; i < dims; i++) ext[i] = dim[i];
  dnnl_status_t s = dnnl_memory_desc_init_by_tag(&m->d, dims, ext, t == DNN_BF16 ? dnnl_bf16 : dnnl_f32, tag);
  if (s == dnnl_success) return m;
  lib_fail(err, s, "tensor layout");
  return NULL;
}

const dnn_md *dnn_md_any(dnn *d, dnn_type t, int dims, const int32_t *dim, espl_err *err) {
  return md_tag(d, t, dims, dim, dnnl_format_tag_any, err);
}

const dnn_md *dnn_md_plain(dnn *d, dnn_type t, int dims, const int32_t *dim, espl_err *err) {
  static const dnnl_format_tag_t row_major[6] = {dnnl_format_tag_undef, dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde};
  return md_tag(d, t, dims, dim, row_major[dims], err);
}

const dnn_md *dnn_md_swapped(dnn *d, dnn_type t, int dims, const int32_t *dim, espl_err *err) {
  return md_tag(d, t, dims, dim, dims == 5 ? dnnl_acbde : dnnl_bacd, err);
}

const dnn_md *dnn_md_blocked(dnn *d, dnn_type t, const int32_t dim[4], espl_err *err) { return md_tag(d, t, 4, dim, dnnl_nChw16c, err); }

const dnn_md *dnn_md_like(dnn *d, const dnn_md *like, int32_t c, int32_t h, int32_t w, espl_err *err) {
  dnn_type t = like->d.data_type == dnnl_bf16 ? DNN_BF16 : DNN_F32;
  int32_t dim[4] = {(int32_t)like->d.dims[0], c, h, w};
  dnn_view v;
  dnnl_format_tag_t tag = dnnl_nchw;
  if (dnn_md_view(like, &v) && like->d.ndims == 4) {
    if (v.block == 16) tag = dnnl_nChw16c;
    else if (v.block == 8) tag = dnnl_nChw8c;
    else if (v.sc == 1 && v.c > 1) tag = dnnl_nhwc;
  }
  return md_tag(d, t, 4, dim, tag, err);
}

const dnn_md *dnn_md_blocks(dnn *d, const dnn_md *like, espl_err *err) {
  int32_t dim[4];
  for (int i = 0; i < 4; i++) dim[i] = (int32_t)dnn_md_extent(like, i);
  return md_tag(d, like->d.data_type == dnnl_bf16 ? DNN_BF16 : DNN_F32, 4, dim, dnnl_nChw16c, err);
}

size_t dnn_md_bytes(const dnn_md *m) { return dnnl_memory_desc_get_size(&m->d); }
int64_t dnn_md_extent(const dnn_md *m, int axis) { return axis < m->d.ndims ? m->d.dims[axis] : 1; }
int dnn_md_dims(const dnn_md *m) { return m->d.ndims; }
bool dnn_md_equal(const dnn_md *a, const dnn_md *b) { return dnnl_memory_desc_equal(&a->d, &b->d) != 0; }

bool dnn_md_view(const dnn_md *m, dnn_view *v) {
  const dnnl_memory_desc_t *d = &m->d;
  if (d->format_kind != dnnl_blocked || d->ndims < 2 || d->offset0) return false;
  const dnnl_blocking_desc_t *b = &d->format_desc.blocking;
  if (b->inner_nblks > 1 || (b->inner_nblks == 1 && b->inner_idxs[0] != 1)) return false;
  *v = (dnn_view){.n = (int32_t)d->dims[0], .c = (int32_t)d->dims[1], .h = (int32_t)dnn_md_extent(m, 2),
                  .w = (int32_t)dnn_md_extent(m, 3), .block = b->inner_nblks ? (int32_t)b->inner_blks[0] : 1,
                  .sn = b->strides[0], .sc = b->strides[1], .sh = d->ndims > 2 ? b->strides[2] : 0,
                  .sw = d->ndims > 3 ? b->strides[3] : 0, .bytes = d->data_type == dnnl_bf16 ? 2 : 4};
  return true;
}

/* ---- tensors ---- */

dnn_mem *dnn_mem_new(dnn *d, const dnn_md *md, void *ptr, espl_err *err) {
  dnn_mem *m = espl_arena_alloc(d->arena, sizeof *m);
  if (m && !ptr) ptr = m->own = espl_calloc(1, dnn_md_bytes(md));
  if (!m || !ptr) {
    espl_fail(err, ESPL_E_NOMEM, "tensor of %zu bytes: out of memory", dnn_md_bytes(md));
    return NULL;
  }
  m->md = md;
  m->next = d->mems;
  d->mems = m;
  dnnl_status_t s = dnnl_memory_create(&m->m, &md->d, d->engine, ptr);
  if (s == dnnl_success) return m;
  m->m = NULL;
  lib_fail(err, s, "tensor");
  return NULL;
}

const dnn_md *dnn_mem_md(const dnn_mem *m) { return m->md; }
void dnn_mem_set(dnn_mem *m, void *ptr) { (void)dnnl_memory_set_data_handle(m->m, ptr); }

void *dnn_mem_ptr(const dnn_mem *m) {
  void *p = NULL;
  return dnnl_memory_get_data_handle(m->m, &p) == dnnl_success ? p : NULL;
}

/* ---- operators ---- */

static const struct {
  dnn_id id;
  dnnl_query_t what;
  int index;
} queries[] = {{DNN_SRC, dnnl_query_src_md, 0}, {DNN_SRC1, dnnl_query_src_md, 1}, {DNN_WEI, dnnl_query_weights_md, 0},
               {DNN_DST, dnnl_query_dst_md, 0}, {DNN_DSRC, dnnl_query_diff_src_md, 0},
               {DNN_DWEI, dnnl_query_diff_weights_md, 0}, {DNN_DDST, dnnl_query_diff_dst_md, 0},
               {DNN_WS, dnnl_query_workspace_md, 0}};

static bool learn_layouts(dnn *d, dnn_op *op, espl_err *err) {
  for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
    const dnnl_memory_desc_t *q = dnnl_primitive_desc_query_md(op->pd, queries[i].what, queries[i].index);
    if (!q || q->ndims == 0) continue;
    dnn_md *m = md_new(d, err);
    if (!m) return false;
    m->d = *q;
    op->md[queries[i].id] = m;
  }
  return true;
}

static dnn_op *op_finish(dnn *d, dnnl_primitive_desc_t pd, const char *what, espl_err *err) {
  dnn_op *op = espl_arena_alloc(d->arena, sizeof *op);
  if (!op) {
    dnnl_primitive_desc_destroy(pd);
    espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", what);
    return NULL;
  }
  op->pd = pd;
  op->name = what;
  op->next = d->ops;
  d->ops = op;
  if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &op->impl) != dnnl_success) op->impl = "?";
  dnnl_status_t s = dnnl_primitive_create(&op->prim, pd);
  if (s != dnnl_success) {
    op->prim = NULL;
    lib_fail(err, s, what);
    return NULL;
  }
  return learn_layouts(d, op, err) ? op : NULL;
}

/* Forward form of an activation with its two numbers. */
static dnnl_alg_kind_t act_alg(dnn_act act, float *a, float *b) {
  *a = act.kind == DNN_ACT_CLIP || act.kind == DNN_ACT_LEAKY || act.kind == DNN_ACT_LINE ? act.lo : 0.0f;
  *b = act.kind == DNN_ACT_CLIP || act.kind == DNN_ACT_LINE ? act.hi : 0.0f;
  switch (act.kind) {
  case DNN_ACT_CLIP: return dnnl_eltwise_clip_v2;
  case DNN_ACT_SIGMOID: return dnnl_eltwise_logistic;
  case DNN_ACT_TANH: return dnnl_eltwise_tanh;
  case DNN_ACT_HARDSWISH: return dnnl_eltwise_hardswish;
  case DNN_ACT_LINE: return dnnl_eltwise_linear;
  default: return dnnl_eltwise_relu;
  }
}

/* Attribute with the sum and the activation behind the operator; *attr stays NULL for none. */
static dnnl_status_t act_attr(dnn_act act, dnnl_primitive_attr_t *attr) {
  *attr = NULL;
  if (act.kind == DNN_ACT_NONE && !act.sum) return dnnl_success;
  dnnl_post_ops_t po = NULL;
  float a, b;
  dnnl_alg_kind_t alg = act_alg(act, &a, &b);
  dnnl_status_t s = dnnl_post_ops_create(&po);
  if (s == dnnl_success && act.sum) s = dnnl_post_ops_append_sum(po, 1.0f);
  if (s == dnnl_success && act.kind != DNN_ACT_NONE) s = dnnl_post_ops_append_eltwise(po, 1.0f, alg, a, b);
  if (s == dnnl_success) s = dnnl_primitive_attr_create(attr);
  if (s == dnnl_success) s = dnnl_primitive_attr_set_post_ops(*attr, po);
  if (po) dnnl_post_ops_destroy(po);
  return s;
}

/* `s` is the status of filling `desc`; everything after it is the same for all operators. */
static dnn_op *op_make(dnn *d, dnnl_status_t s, const_dnnl_op_desc_t desc, dnn_act act, const dnn_op *fwd, const char *what,
                       espl_err *err) {
  dnnl_primitive_attr_t attr = NULL;
  dnnl_primitive_desc_t pd = NULL;
  if (s == dnnl_success) s = act_attr(act, &attr);
  if (s == dnnl_success) s = dnnl_primitive_desc_create(&pd, desc, attr, d->engine, fwd ? fwd->pd : NULL);
  if (attr) dnnl_primitive_attr_destroy(attr);
  if (s == dnnl_success) return op_finish(d, pd, what, err);
  lib_fail(err, s, what);
  return NULL;
}

static const dnn_act no_act = {.kind = DNN_ACT_NONE};
static dnnl_prop_kind_t prop(dnn_dir dir) { return dir == DNN_FWD_TRAIN ? dnnl_forward_training : dnnl_forward_inference; }

struct extents {
  dnnl_dims_t kernel, stride, dilate, pad0, pad1;
};

static struct extents window(const dnn_window *w) {
  return (struct extents){{w->kh, w->kw}, {w->sh, w->sw}, {w->dh - 1, w->dw - 1}, {w->pt, w->pl}, {w->pb, w->pr}};
}

dnn_op *dnn_conv(dnn *d, dnn_dir dir, const dnn_window *w, const dnn_md *src, const dnn_md *wei, const dnn_md *bias,
                 const dnn_md *dst, dnn_act act, const dnn_op *fwd, espl_err *err) {
  struct extents e = window(w);
  dnnl_convolution_desc_t c;
  dnnl_status_t s;
  if (dir == DNN_BWD_DATA)
    s = dnnl_dilated_convolution_backward_data_desc_init(&c, dnnl_convolution_direct, &src->d, &wei->d, &dst->d, e.stride,
                                                         e.dilate, e.pad0, e.pad1);
  else if (dir == DNN_BWD_WEIGHTS)
    s = dnnl_dilated_convolution_backward_weights_desc_init(&c, dnnl_convolution_direct, &src->d, &wei->d,
                                                            bias ? &bias->d : NULL, &dst->d, e.stride, e.dilate, e.pad0, e.pad1);
  else
    s = dnnl_dilated_convolution_forward_desc_init(&c, prop(dir), dnnl_convolution_direct, &src->d, &wei->d,
                                                   bias ? &bias->d : NULL, &dst->d, e.stride, e.dilate, e.pad0, e.pad1);
  static const char *const name[] = {"convolution", "convolution", "convolution for data", "convolution for weights"};
  static const char *const depthwise[] = {"depthwise", "depthwise", "depthwise for data", "depthwise for weights"};
  return op_make(d, s, &c, act, fwd, wei->d.ndims == 5 && wei->d.dims[0] > 1 && wei->d.dims[2] == 1 ? depthwise[dir] : name[dir], err);
}

dnn_op *dnn_deconv(dnn *d, dnn_dir dir, const dnn_window *w, const dnn_md *src, const dnn_md *wei, const dnn_md *bias,
                   const dnn_md *dst, dnn_act act, const dnn_op *fwd, espl_err *err) {
  struct extents e = window(w);
  dnnl_deconvolution_desc_t c;
  dnnl_status_t s;
  if (dir == DNN_BWD_DATA)
    s = dnnl_dilated_deconvolution_backward_data_desc_init(&c, dnnl_deconvolution_direct, &src->d, &wei->d, &dst->d, e.stride,
                                                           e.dilate, e.pad0, e.pad1);
  else if (dir == DNN_BWD_WEIGHTS)
    s = dnnl_dilated_deconvolution_backward_weights_desc_init(&c, dnnl_deconvolution_direct, &src->d, &wei->d,
                                                              bias ? &bias->d : NULL, &dst->d, e.stride, e.dilate, e.pad0, e.pad1);
  else
    s = dnnl_dilated_deconvolution_forward_desc_init(&c, prop(dir), dnnl_deconvolution_direct, &src->d, &wei->d,
                                                     bias ? &bias->d : NULL, &dst->d, e.stride, e.dilate, e.pad0, e.pad1);
  static const char *const name[] = {"transposed convolution", "transposed convolution", "transposed convolution for data", "transposed convolution for weights"};
  return op_make(d, s, &c, act, fwd, name[dir], err);
}

dnn_op *dnn_fc(dnn *d, dnn_dir dir, const dnn_md *src, const dnn_md *wei, const dnn_md *bias, const dnn_md *dst, dnn_act act,
               const dnn_op *fwd, espl_err *err) {
  dnnl_inner_product_desc_t c;
  dnnl_status_t s;
  if (dir == DNN_BWD_DATA) s = dnnl_inner_product_backward_data_desc_init(&c, &src->d, &wei->d, &dst->d);
  else if (dir == DNN_BWD_WEIGHTS)
    s = dnnl_inner_product_backward_weights_desc_init(&c, &src->d, &wei->d, bias ? &bias->d : NULL, &dst->d);
  else s = dnnl_inner_product_forward_desc_init(&c, prop(dir), &src->d, &wei->d, bias ? &bias->d : NULL, &dst->d);
  return op_make(d, s, &c, act, fwd, "fully connected layer", err);
}

dnn_op *dnn_pool(dnn *d, dnn_dir dir, dnn_pool_kind kind, const dnn_window *w, const dnn_md *src, const dnn_md *dst,
                 const dnn_op *fwd, espl_err *err) {
  static const dnnl_alg_kind_t alg[] = {dnnl_pooling_max, dnnl_pooling_avg_exclude_padding, dnnl_pooling_avg_include_padding};
  struct extents e = window(w);
  dnnl_pooling_v2_desc_t c;
  dnnl_status_t s;
  if (dir == DNN_BWD)
    s = dnnl_pooling_v2_backward_desc_init(&c, alg[kind], &src->d, &dst->d, e.stride, e.kernel, e.dilate, e.pad0, e.pad1);
  else
    s = dnnl_pooling_v2_forward_desc_init(&c, prop(dir), alg[kind], &src->d, &dst->d, e.stride, e.kernel, e.dilate, e.pad0,
                                          e.pad1);
  return op_make(d, s, &c, no_act, fwd, "pooling", err);
}

dnn_op *dnn_bn(dnn *d, dnn_dir dir, const dnn_md *data, float eps, bool relu, const dnn_op *fwd, espl_err *err) {
  unsigned flags = dnnl_use_scale | dnnl_use_shift;
  if (relu) flags |= dnnl_fuse_norm_relu;
  if (dir == DNN_FWD_INFER) flags |= dnnl_use_global_stats;
  dnnl_batch_normalization_desc_t c;
  dnnl_status_t s;
  if (dir == DNN_BWD) s = dnnl_batch_normalization_backward_desc_init(&c, dnnl_backward, &data->d, &data->d, eps, flags);
  else s = dnnl_batch_normalization_forward_desc_init(&c, prop(dir), &data->d, eps, flags);
  return op_make(d, s, &c, no_act, fwd, "batch normalization", err);
}

/* Form whose gradient is taken from the result; hard swish and a line have none. */
static dnnl_alg_kind_t act_trained(dnn_act act) {
  switch (act.kind) {
  case DNN_ACT_CLIP: return dnnl_eltwise_clip_v2_use_dst_for_bwd;
  case DNN_ACT_SIGMOID: return dnnl_eltwise_logistic_use_dst_for_bwd;
  case DNN_ACT_TANH: return dnnl_eltwise_tanh_use_dst_for_bwd;
  case DNN_ACT_HARDSWISH: return dnnl_eltwise_hardswish;
  case DNN_ACT_LINE: return dnnl_eltwise_linear;
  default: return dnnl_eltwise_relu_use_dst_for_bwd;
  }
}

dnn_op *dnn_eltwise(dnn *d, dnn_dir dir, dnn_act act, const dnn_md *data, const dnn_op *fwd, espl_err *err) {
  float a, b;
  dnnl_alg_kind_t alg = act_alg(act, &a, &b);
  dnnl_eltwise_desc_t c;
  dnnl_status_t s;
  if (dir != DNN_FWD_INFER && act.kind == DNN_ACT_LEAKY && act.lo < 0.0f) {
    espl_fail(err, ESPL_E_UNSUPPORTED, "a slope of %g below zero cannot be trained: the sign of the result does not tell where it was taken", (double)act.lo);
    return NULL;
  }
  if (dir == DNN_BWD) s = dnnl_eltwise_backward_desc_init(&c, act_trained(act), &data->d, &data->d, a, b);
  else s = dnnl_eltwise_forward_desc_init(&c, prop(dir), dir == DNN_FWD_TRAIN ? act_trained(act) : alg, &data->d, a, b);
  return op_make(d, s, &c, no_act, fwd, "activation", err);
}

dnn_op *dnn_binary(dnn *d, dnn_binary_kind kind, const dnn_md *a, const dnn_md *b, const dnn_md *dst, dnn_act act, espl_err *err) {
  static const dnnl_alg_kind_t alg[] = {dnnl_binary_add, dnnl_binary_sub, dnnl_binary_mul, dnnl_binary_div};
  dnnl_binary_desc_t c;
  dnnl_status_t s = dnnl_binary_desc_init(&c, alg[kind], &a->d, &b->d, &dst->d);
  return op_make(d, s, &c, act, NULL, "element-wise arithmetic", err);
}

dnn_op *dnn_softmax(dnn *d, dnn_dir dir, const dnn_md *data, const dnn_op *fwd, espl_err *err) {
  dnnl_softmax_desc_t c;
  dnnl_status_t s = dir == DNN_BWD ? dnnl_softmax_backward_desc_init(&c, &data->d, &data->d, 1)
                                   : dnnl_softmax_forward_desc_init(&c, prop(dir), &data->d, 1);
  return op_make(d, s, &c, no_act, fwd, "softmax", err);
}

dnn_op *dnn_reorder(dnn *d, const dnn_md *from, const dnn_md *to, espl_err *err) {
  dnnl_primitive_desc_t pd = NULL;
  dnnl_status_t s = dnnl_reorder_primitive_desc_create(&pd, &from->d, d->engine, &to->d, d->engine, NULL);
  if (s == dnnl_success) return op_finish(d, pd, "reorder", err);
  lib_fail(err, s, "reorder");
  return NULL;
}

const dnn_md *dnn_op_md(const dnn_op *op, dnn_id id) { return op->md[id]; }
const char *dnn_op_name(const dnn_op *op) { return op->name; }
const char *dnn_op_impl(const dnn_op *op) { return op->impl; }

bool dnn_op_fast(const dnn_op *op) { return !strstr(op->impl, "ref") && !strstr(op->impl, "gemm:"); }

espl_status dnn_run(dnn *d, const dnn_op *op, const dnn_arg *arg, int args, espl_err *err) {
  dnnl_exec_arg_t a[DNN_MAX_ARGS];
  for (int i = 0; i < args; i++) a[i] = (dnnl_exec_arg_t){arg_code[arg[i].id], arg[i].mem->m};
  dnnl_status_t s = dnnl_primitive_execute(op->prim, d->stream, args, a);
  return s == dnnl_success ? ESPL_OK : lib_fail(err, s, "execution");
}

espl_status dnn_wait(dnn *d, espl_err *err) {
  dnnl_status_t s = dnnl_stream_wait(d->stream);
  return s == dnnl_success ? ESPL_OK : lib_fail(err, s, "execution");
}
