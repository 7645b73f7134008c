/* Execution plans: construction, compilation, running. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "nn/exec.h"

/* Below this many multiply-accumulates a batch, the barriers of a second thread cost more than it brings. */
#define ONE_THREAD_MACS 8000000

/* Inference passes over the steps with so few images that what one step writes is still in the cache of the processor when the next reads it. */
#define PASS_BYTES (1 << 20)

static bool trainable(espl_param_kind k) { return k != ESPL_PARAM_MEAN && k != ESPL_PARAM_VAR; }

void nn_plan_clear(espl_exec *x) {
  dnn_free(x->d);
  x->d = NULL;
  for (nn_slot *s = x->slots; s;) {
    nn_slot *next = s->next;
    free(s->ptr);
    free(s);
    s = next;
  }
  x->slots = NULL;
  x->prep.n = x->fwd.n = x->bwd.n = 0;
  x->reorders = 0;
  x->ran = x->prepared = false;
}

/* ---- compilation ---- */

static espl_status lower_group(espl_exec *x, nn_group *g, espl_err *err) {
  switch (x->g->node[g->head].op) {
  case ESPL_OP_CONV:
  case ESPL_OP_CONVTRANSPOSE: return nn_lower_conv(x, g, err);
  case ESPL_OP_GEMM: return nn_lower_fc(x, g, err);
  case ESPL_OP_BATCHNORM:
  case ESPL_OP_INSTANCENORM:
  case ESPL_OP_GROUPNORM:
  case ESPL_OP_GRAPHNORM: return nn_lower_norm(x, g, err);
  case ESPL_OP_SUBSAMPLE:
  case ESPL_OP_PADCHANNELS:
  case ESPL_OP_CONCAT:
  case ESPL_OP_FLATTEN: return nn_lower_copy(x, g, err);
  default: return nn_lower_other(x, g, err);
  }
}

static espl_status back_group(espl_exec *x, nn_group *g, nn_tensor *dout, nn_tensor *second, espl_err *err) {
  switch (x->g->node[g->head].op) {
  case ESPL_OP_BATCHNORM:
  case ESPL_OP_INSTANCENORM:
  case ESPL_OP_GROUPNORM:
  case ESPL_OP_GRAPHNORM: return nn_back_norm(x, g, dout, second, err);
  case ESPL_OP_CONV:
  case ESPL_OP_CONVTRANSPOSE: return nn_back_conv(x, g, dout, err);
  case ESPL_OP_GEMM: return nn_back_fc(x, g, dout, err);
  case ESPL_OP_SUBSAMPLE:
  case ESPL_OP_PADCHANNELS:
  case ESPL_OP_CONCAT:
  case ESPL_OP_FLATTEN: return nn_back_copy(x, g, dout, err);
  default: return nn_back_other(x, g, dout, err);
  }
}

/* Inference gives the memory of a value back after its last reader. */
static void release_inputs(espl_exec *x, const nn_group *g) {
  if (x->mode != ESPL_MODE_INFER) return;
  const espl_node *n = &x->g->node[g->head];
  for (int k = 0; k < n->inputs; k++) {
    int32_t r = x->root[n->input[k]];
    if (--x->uses[r] == 0) nn_tensor_drop(&x->val[r]);
  }
  if (g->sum >= 0 && --x->uses[g->sum] == 0) nn_tensor_drop(&x->val[g->sum]);
}

/* A row-major float32 tensor for value `r`, its memory given later. */
static dnn_mem *user_tensor(espl_exec *x, int32_t r, espl_err *err) {
  espl_shape s = x->g->node[r].shape;
  int32_t dim[4] = {x->batch, s.c, s.h, s.w};
  const dnn_md *plain = dnn_md_plain(x->d, DNN_F32, 4, dim, err);
  return plain ? dnn_mem_new(x->d, plain, NULL, err) : NULL;
}

static espl_status make_readers(espl_exec *x, espl_err *err) {
  for (int32_t i = 0; i < x->g->nodes; i++) {
    if (!x->keep[i]) continue;
    nn_reader *k = &x->reader[i];
    *k = (nn_reader){NULL, nn_value(x, i), user_tensor(x, x->root[i], err)};
    if (!k->to || !(k->op = dnn_reorder(x->d, dnn_mem_md(k->from), dnn_mem_md(k->to), err))) return err->code;
  }
  return ESPL_OK;
}

static espl_status user_tensors(espl_exec *x, espl_err *err) {
  int32_t r = x->root[x->output];
  dnn_mem *val = x->val[r].mem;
  if (!(x->out_user = user_tensor(x, r, err))) return err->code;
  const dnn_md *plain = dnn_mem_md(x->out_user);
  ESPL_TRY(nn_emit(&x->fwd, dnn_reorder(x->d, dnn_mem_md(val), plain, err), 2,
                   (dnn_arg[]){{DNN_FROM, val}, {DNN_TO, x->out_user}}, err));
  if (!x->backward) return ESPL_OK;
  if (!(x->dout_user = user_tensor(x, r, err))) return err->code;
  ESPL_TRY(nn_tensor_new(x, dnn_mem_md(val), &x->grad[r], err));
  return nn_emit(&x->bwd, dnn_reorder(x->d, plain, dnn_mem_md(val), err), 2,
                 (dnn_arg[]){{DNN_FROM, x->dout_user}, {DNN_TO, x->grad[r].mem}}, err);
}

static espl_status compile_backward(espl_exec *x, espl_err *err) {
  for (int32_t i = x->groups - 1; i >= 0; i--) {
    nn_group *g = &x->group[i];
    nn_tensor t = x->grad[g->last], second = x->second[g->last];
    x->grad[g->last] = x->second[g->last] = (nn_tensor){0};
    if (t.mem && back_group(x, g, &t, &second, err) != ESPL_OK) return espl_fail_context(err, "node %s, backward", x->g->node[g->head].name);
  }
  return ESPL_OK;
}

/* Rounds what the group has just defined. A value inside a group is never in memory, so it cannot be rounded. */
static espl_status fake_value(espl_exec *x, const nn_group *g, espl_err *err) {
  if (!x->fake) return ESPL_OK;
  const int32_t inside[] = {g->head, g->bn, g->add, g->act};
  for (int i = 0; i < 4; i++)
    if (inside[i] >= 0 && inside[i] != g->last && x->fake->value[inside[i]].scale > 0.0f)
      return espl_fail(err, ESPL_E_UNSUPPORTED, "node %s: its value is not in memory and cannot be rounded", x->g->node[inside[i]].name);
  for (int32_t i = g->last; i < x->g->nodes; i++) { /* itself or another name of it */
    if (x->root[i] != g->last || !(x->fake->value[i].scale > 0.0f)) continue;
    nn_step *s = nn_step_add(&x->fwd, NN_STEP_FAKE_VALUE, err);
    if (!s) return err->code;
    s->fake_value = (nn_fake_value){x->val[g->last].mem, x->fake->value[i]};
    return ESPL_OK;
  }
  return ESPL_OK;
}

static espl_status compile(espl_exec *x, espl_err *err) {
  nn_plan_clear(x);
  size_t n = (size_t)x->g->nodes;
  memset(x->val, 0, n * sizeof *x->val);
  memset(x->grad, 0, n * sizeof *x->grad);
  memset(x->second, 0, n * sizeof *x->second);
  memset(x->pairs, 0, n * sizeof *x->pairs);
  memset(x->faked, 0, n * sizeof *x->faked);
  ESPL_TRY(nn_group_nodes(x, err));
  if (!(x->d = dnn_new(err))) return err->code;
  for (int32_t i = 0; i < x->groups; i++) {
    if (lower_group(x, &x->group[i], err) != ESPL_OK) return espl_fail_context(err, "node %s", x->g->node[x->group[i].head].name);
    ESPL_TRY(fake_value(x, &x->group[i], err));
    release_inputs(x, &x->group[i]);
  }
  ESPL_TRY(make_readers(x, err));
  ESPL_TRY(user_tensors(x, err));
  if (x->backward) ESPL_TRY(compile_backward(x, err));
  x->dirty = false;
  return ESPL_OK;
}

/* Images of one pass; all of them where a value of every image must be there afterwards. */
static int32_t pass_images(const espl_exec *x) {
  int64_t most = 1;
  if (x->mode != ESPL_MODE_INFER) return x->images;
  for (int32_t i = 0; i < x->g->nodes; i++) {
    const espl_node *n = &x->g->node[i];
    int64_t elems = espl_shape_elems(n->shape);
    if (x->keep[i]) return x->images;
    for (int k = 0; k < n->inputs; k++) elems += espl_shape_elems(x->g->node[n->input[k]].shape);
    if (elems > most) most = elems;
  }
  int64_t fit = (int64_t)PASS_BYTES * x->threads / (4 * most);
  return fit < 1 ? 1 : fit > x->images ? x->images : (int32_t)fit;
}

espl_status nn_compile(espl_exec *x, espl_err *err) {
  espl_err local = {0};
  x->threads = espl_graph_macs(x->g) * x->images < ONE_THREAD_MACS ? 1 : dnn_threads_max();
  x->batch = pass_images(x);
  int before = dnn_threads(x->threads);
  espl_status s = compile(x, err ? err : &local);
  dnn_threads(before);
  return s;
}

static espl_status add_gradients(espl_graph *g, espl_err *err) {
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      espl_param *p = g->node[i].param[k];
      if (!p || !trainable((espl_param_kind)k) || p->grad) continue;
      if (!(p->grad = espl_calloc((size_t)p->elems, sizeof *p->grad)))
        return espl_fail(err, ESPL_E_NOMEM, "gradient of %s: out of memory", p->name);
    }
  return ESPL_OK;
}

static bool allocate(espl_exec *x) {
  size_t n = (size_t)x->g->nodes;
  x->keep = espl_calloc(n, 1);
  x->root = espl_calloc(n, sizeof *x->root);
  x->uses = espl_calloc(n, sizeof *x->uses);
  x->needs = espl_calloc(n, 1);
  x->val = espl_calloc(n, sizeof *x->val);
  x->grad = espl_calloc(n, sizeof *x->grad);
  x->second = espl_calloc(n, sizeof *x->second);
  x->pairs = espl_calloc(n, sizeof *x->pairs);
  x->group = espl_calloc(n, sizeof *x->group);
  x->reader = espl_calloc(n, sizeof *x->reader);
  x->faked = espl_calloc(n, sizeof *x->faked);
  return x->second && x->pairs && x->faked && x->keep && x->root && x->uses && x->needs && x->val && x->grad && x->group && x->reader;
}

espl_status nn_exec_new_at(espl_graph *g, espl_mode mode, espl_dtype dtype, int32_t batch, int32_t output, bool backward,
                           espl_exec **out, espl_err *err) {
  espl_err local = {0};
  if (!err) err = &local;
  *out = NULL;
  if (batch < 1) return espl_fail(err, ESPL_E_INPUT, "batch: found %d, expected at least 1", (int)batch);
  if (dtype == ESPL_BF16 && !espl_has_bf16())
    return espl_fail(err, ESPL_E_UNSUPPORTED, "bfloat16: this CPU has no bfloat16 instructions; use float32");
  espl_exec *x = espl_calloc(1, sizeof *x);
  if (!x) return espl_fail(err, ESPL_E_NOMEM, "execution plan: out of memory");
  *x = (espl_exec){.g = g, .mode = mode, .type = dtype == ESPL_BF16 ? DNN_BF16 : DNN_F32, .images = batch, .output = output,
                   .backward = mode == ESPL_MODE_TRAIN && backward, .bn_rate = -1.0};
  espl_status s = allocate(x) ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "execution plan: out of memory");
  if (s == ESPL_OK && x->backward) s = add_gradients(g, err);
  if (s == ESPL_OK) s = nn_compile(x, err);
  if (s == ESPL_OK) *out = x;
  else espl_exec_free(x);
  return s;
}

espl_status espl_exec_new(espl_graph *g, espl_mode mode, espl_dtype dtype, int32_t batch, espl_exec **out, espl_err *err) {
  return nn_exec_new_at(g, mode, dtype, batch, g->output, true, out, err);
}

void espl_exec_free(espl_exec *x) {
  if (!x) return;
  nn_plan_clear(x);
  free(x->keep);
  free(x->faked);
  free(x->root);
  free(x->uses);
  free(x->needs);
  free(x->val);
  free(x->grad);
  free(x->second);
  free(x->pairs);
  free(x->group);
  free(x->reader);
  free(x->prep.step);
  free(x->fwd.step);
  free(x->bwd.step);
  free(x);
}

int espl_has_bf16(void) { return dnn_native_bf16(); }

/* ---- running ---- */

static double bn_rate(const espl_exec *x, const espl_node *bn) { return x->bn_rate >= 0.0 ? x->bn_rate : (double)bn->bn_momentum; }

static espl_status run_step(espl_exec *x, const nn_step *s, espl_err *err) {
  switch (s->kind) {
  case NN_STEP_OP: return dnn_run(x->d, s->op, s->arg, s->args, err);
  case NN_STEP_COPY: nn_run_copy(&s->copy); break;
  case NN_STEP_FOLD: nn_run_fold(&s->fold); break;
  case NN_STEP_FAKE_VALUE: nn_run_fake_value(&s->fake_value); break;
  case NN_STEP_FAKE_WEIGHT: nn_run_fake_weight(&s->fake_weight); break;
  case NN_STEP_BY_DEFINITION: return nn_run_by_definition(&s->by_definition, err);
  case NN_STEP_STATS: nn_run_stats(&s->stats, bn_rate(x, s->stats.bn)); break;
  case NN_STEP_NORM:
    nn_norm_stats(&s->norm, 0, x->batch);
    nn_norm_ready(&s->norm, bn_rate(x, s->norm.bn));
    nn_norm_apply(&s->norm, 0, x->batch);
    break;
  case NN_STEP_POINT: nn_run_point(&s->point); break;
  case NN_STEP_SPREAD: nn_run_spread(&s->spread); break;
  case NN_STEP_SPREAD_BACK: nn_run_spread_back(&s->spread); break;
  case NN_STEP_SLOPE: nn_run_slope(&s->slope); break;
  case NN_STEP_SLOPE_BACK: nn_run_slope_back(&s->slope); break;
  case NN_STEP_RESIZE: nn_run_resize(&s->resize); break;
  case NN_STEP_RESIZE_BACK: nn_run_resize_back(&s->resize); break;
  case NN_STEP_NORM_BACK:
    nn_norm_reduce(&s->norm, 0, x->batch);
    nn_norm_ready_back(&s->norm);
    nn_norm_spread(&s->norm, 0, x->batch);
    break;
  }
  return ESPL_OK;
}

static espl_status run_steps(espl_exec *x, const nn_list *l, espl_err *err) {
  for (int32_t i = 0; i < l->n; i++) {
    nn_step *s = &l->step[i];
    const double began = x->timed ? espl_thread_seconds() : 0.0;
    ESPL_TRY(run_step(x, s, err));
    if (x->timed) s->seconds += espl_thread_seconds() - began;
  }
  return dnn_wait(x->d, err);
}

static espl_status run_list(espl_exec *x, const nn_list *l, espl_err *err) {
  int before = dnn_threads(x->threads);
  espl_status s = run_steps(x, l, err);
  dnn_threads(before);
  return s;
}

espl_status espl_exec_forward(espl_exec *x, const float *input, float *output, espl_err *err) {
  if (x->dirty) ESPL_TRY(nn_compile(x, err));
  int64_t in = espl_shape_elems(x->g->node[0].shape), out = espl_shape_elems(x->g->node[x->output].shape);
  if (!x->frozen || !x->prepared) ESPL_TRY(run_list(x, &x->prep, err));
  x->prepared = true;
  for (int32_t done = 0; done < x->images; done += x->batch) {
    int64_t at = done + x->batch > x->images ? x->images - x->batch : done; /* the last pass does some images again */
    dnn_mem_set(x->in_user, (void *)(uintptr_t)(input + at * in));
    dnn_mem_set(x->out_user, output + at * out);
    ESPL_TRY(run_list(x, &x->fwd, err));
  }
  x->ran = true;
  return ESPL_OK;
}

void espl_exec_freeze(espl_exec *x) {
  x->frozen = x->mode == ESPL_MODE_INFER;
  x->prepared = false;
}

espl_status espl_exec_backward(espl_exec *x, const float *dout, espl_err *err) {
  if (!x->backward) return espl_fail(err, ESPL_E_INPUT, "backward: the plan was not made for training");
  if (!x->ran || x->dirty) return espl_fail(err, ESPL_E_INPUT, "backward: no forward has run on this plan");
  dnn_mem_set(x->dout_user, (void *)(uintptr_t)dout);
  return run_list(x, &x->bwd, err);
}

espl_status espl_exec_fake(espl_exec *x, const espl_fake *f, espl_err *err) {
  if (f && (x->mode != ESPL_MODE_TRAIN || x->type != DNN_F32))
    return espl_fail(err, ESPL_E_UNSUPPORTED, "quantization-aware execution: needs a training plan in float32");
  x->fake = f;
  x->dirty = true;
  return ESPL_OK;
}

espl_status espl_exec_keep(espl_exec *x, int32_t node, espl_err *err) {
  if (node < 0 || node >= x->g->nodes) return espl_fail(err, ESPL_E_INPUT, "keep: node %d of %d", (int)node, (int)x->g->nodes);
  if (!x->keep[node]) x->dirty = true;
  x->keep[node] = 1;
  return ESPL_OK;
}

espl_status espl_exec_value(espl_exec *x, int32_t node, float *out, espl_err *err) {
  if (node < 0 || node >= x->g->nodes || !x->keep[node] || x->dirty || !x->ran)
    return espl_fail(err, ESPL_E_INPUT, "value of node %d: ask for it with espl_exec_keep before the forward", (int)node);
  const nn_reader *r = &x->reader[node];
  dnn_mem_set(r->to, out);
  int before = dnn_threads(x->threads);
  espl_status s = dnn_run(x->d, r->op, (dnn_arg[]){{DNN_FROM, r->from}, {DNN_TO, r->to}}, 2, err);
  if (s == ESPL_OK) s = dnn_wait(x->d, err);
  dnn_threads(before);
  return s;
}
