/* Memory slots, step lists and gradient sums of a plan under compilation. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "nn/exec.h"

nn_step *nn_step_add(nn_list *l, nn_step_kind kind, espl_err *err) {
  if (l->n == l->cap) {
    int32_t cap = l->cap ? 2 * l->cap : 64;
    nn_step *s = realloc(l->step, (size_t)cap * sizeof *s);
    if (!s) {
      espl_fail(err, ESPL_E_NOMEM, "execution plan: out of memory");
      return NULL;
    }
    l->step = s;
    l->cap = cap;
  }
  nn_step *s = &l->step[l->n++];
  memset(s, 0, sizeof *s);
  s->kind = kind;
  return s;
}

const char *nn_step_name(const nn_step *s) {
  switch (s->kind) {
  case NN_STEP_OP: return dnn_op_name(s->op);
  case NN_STEP_COPY: return "copy of channels";
  case NN_STEP_FOLD: return "batch norm into weights";
  case NN_STEP_STATS: return "running statistics";
  case NN_STEP_NORM:
  case NN_STEP_NORM_BACK: return "own batch norm";
  case NN_STEP_POINT: return "own 1x1 convolution for weights";
  case NN_STEP_SPREAD:
  case NN_STEP_SPREAD_BACK: return "own element-wise arithmetic";
  case NN_STEP_SLOPE:
  case NN_STEP_SLOPE_BACK: return "own PReLU";
  case NN_STEP_RESIZE:
  case NN_STEP_RESIZE_BACK: return "own resizing";
  case NN_STEP_FAKE_VALUE:
  case NN_STEP_FAKE_WEIGHT: return "rounding to integers";
  case NN_STEP_BY_DEFINITION: return "operator by its definition";
  }
  return "?";
}

espl_status nn_emit(nn_list *l, const dnn_op *op, int args, const dnn_arg *arg, espl_err *err) {
  if (!op) return err->code;
  for (int i = 0; i < args; i++)
    if (!arg[i].mem) return espl_fail(err, ESPL_E_BUG, "operator %s: argument %d is missing", dnn_op_impl(op), (int)arg[i].id);
  nn_step *s = nn_step_add(l, NN_STEP_OP, err);
  if (!s) return err->code;
  s->op = op;
  s->args = args;
  memcpy(s->arg, arg, (size_t)args * sizeof *arg);
  return ESPL_OK;
}

/* Best fit among the free slots, so that a buffer just released is written again while it is in the cache. */
static nn_slot *slot_acquire(espl_exec *x, size_t bytes, espl_err *err) {
  nn_slot *best = NULL;
  for (nn_slot *s = x->slots; s; s = s->next)
    if (!s->refs && s->bytes >= bytes && (!best || s->bytes < best->bytes)) best = s;
  if (!best) {
    best = espl_calloc(1, sizeof *best);
    if (best && !(best->ptr = espl_calloc(1, bytes))) {
      free(best);
      best = NULL;
    }
    if (!best) {
      espl_fail(err, ESPL_E_NOMEM, "activation of %zu bytes: out of memory", bytes);
      return NULL;
    }
    best->bytes = bytes;
    best->next = x->slots;
    x->slots = best;
  }
  best->refs = 1;
  return best;
}

espl_status nn_tensor_new(espl_exec *x, const dnn_md *md, nn_tensor *t, espl_err *err) {
  *t = (nn_tensor){0};
  if (!md) return err->code;
  nn_slot *s = slot_acquire(x, dnn_md_bytes(md), err);
  if (!s) return err->code;
  *t = (nn_tensor){dnn_mem_new(x->d, md, s->ptr, err), s};
  return t->mem ? ESPL_OK : err->code;
}

void nn_tensor_drop(nn_tensor *t) {
  if (t->slot) t->slot->refs--;
  *t = (nn_tensor){0};
}

dnn_mem *nn_adapt(espl_exec *x, nn_list *l, dnn_mem *mem, const dnn_md *want, espl_err *err) {
  if (!mem || dnn_md_equal(dnn_mem_md(mem), want)) return mem;
  dnn_mem *to = dnn_mem_new(x->d, want, NULL, err);
  if (!to) return NULL;
  const dnn_op *op = dnn_reorder(x->d, dnn_mem_md(mem), want, err);
  x->reorders++;
  return nn_emit(l, op, 2, (dnn_arg[]){{DNN_FROM, mem}, {DNN_TO, to}}, err) == ESPL_OK ? to : NULL;
}

dnn_mem *nn_in_blocks(espl_exec *x, nn_list *l, dnn_mem *mem, espl_err *err) {
  const dnn_md *md = dnn_mem_md(mem);
  if (nn_norm_can(md, (dnn_act){.kind = DNN_ACT_NONE})) return mem;
  const dnn_md *want = dnn_md_blocks(x->d, md, err);
  return want ? nn_adapt(x, l, mem, want, err) : NULL;
}

bool nn_needs(const espl_exec *x, int32_t id) { return x->needs[x->root[id]]; }
dnn_mem *nn_value(const espl_exec *x, int32_t id) { return x->val[x->root[id]].mem; }

espl_status nn_define(espl_exec *x, int32_t id, const dnn_md *md, espl_err *err) {
  return nn_tensor_new(x, md, &x->val[id], err);
}

static espl_status grad_in_layout(espl_exec *x, nn_tensor *t, const dnn_md *want, espl_err *err) {
  if (dnn_md_equal(dnn_mem_md(t->mem), want)) return ESPL_OK;
  nn_tensor r;
  ESPL_TRY(nn_tensor_new(x, want, &r, err));
  const dnn_op *op = dnn_reorder(x->d, dnn_mem_md(t->mem), want, err);
  x->reorders++;
  ESPL_TRY(nn_emit(&x->bwd, op, 2, (dnn_arg[]){{DNN_FROM, t->mem}, {DNN_TO, r.mem}}, err));
  nn_tensor_drop(t);
  *t = r;
  return ESPL_OK;
}

espl_status nn_grad_put(espl_exec *x, int32_t id, nn_tensor t, espl_err *err) {
  id = x->root[id];
  const dnn_md *md = dnn_mem_md(x->val[id].mem);
  ESPL_TRY(grad_in_layout(x, &t, md, err));
  nn_tensor *g = &x->grad[id];
  if (!g->mem) {
    *g = t;
    return ESPL_OK;
  }
  if (x->pairs[id] && !x->second[id].mem) {
    x->second[id] = t;
    return ESPL_OK;
  }
  nn_tensor sum;
  if (g->slot->refs == 1) {
    sum = *g;
    sum.slot->refs++;
  } else if (t.slot->refs == 1) {
    sum = t;
    sum.slot->refs++;
  } else {
    ESPL_TRY(nn_tensor_new(x, md, &sum, err));
  }
  /* The addition works in place only on its first operand. */
  dnn_mem *a = sum.slot == t.slot ? t.mem : g->mem, *b = a == t.mem ? g->mem : t.mem;
  const dnn_op *op = dnn_binary(x->d, DNN_ADD, md, md, md, (dnn_act){.kind = DNN_ACT_NONE}, err);
  ESPL_TRY(nn_emit(&x->bwd, op, 3, (dnn_arg[]){{DNN_SRC, a}, {DNN_SRC1, b}, {DNN_DST, sum.mem}}, err));
  nn_tensor_drop(g);
  nn_tensor_drop(&t);
  *g = sum;
  return ESPL_OK;
}
