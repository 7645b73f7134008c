/* Gathers the nodes of a graph into groups that run as one operator each.
 *
 * Fusions: convolution or fully connected + activation; addition + activation; batch norm + ReLU; for training, batch norm + addition of
 * another value + ReLU or clamp; for inference, convolution + batch norm + addition of another value + activation; any of them absent. Each
 * needs that the value between has one reader and was not asked for. */
#include <string.h>

#include "nn/exec.h"

static void mark_live(const espl_exec *x, uint8_t *live) {
  for (int32_t i = x->g->nodes - 1; i >= 0; i--) {
    if (i == x->output || x->keep[i]) live[i] = 1;
    if (!live[i]) continue;
    for (int k = 0; k < x->g->node[i].inputs; k++) live[x->g->node[i].input[k]] = 1;
  }
  live[0] = 1;
}

static bool only_gemm_reads(const espl_graph *g, int32_t id) {
  for (int32_t i = id + 1; i < g->nodes; i++)
    for (int k = 0; k < g->node[i].inputs; k++)
      if (g->node[i].input[k] == id && g->node[i].op != ESPL_OP_GEMM) return false;
  return true;
}

static bool is_alias(const espl_graph *g, int32_t id) {
  const espl_node *n = &g->node[id];
  if (n->op == ESPL_OP_IDENTITY) return true;
  if (n->op != ESPL_OP_FLATTEN) return false;
  espl_shape s = g->node[n->input[0]].shape;
  return (s.h == 1 && s.w == 1) || only_gemm_reads(g, id);
}

static espl_status check_params(const espl_node *n, espl_err *err) {
  if ((n->op == ESPL_OP_CONV || n->op == ESPL_OP_GEMM) && !n->param[ESPL_PARAM_WEIGHT])
    return espl_fail(err, ESPL_E_INPUT, "node %s: %s has no weight", n->name, espl_op_name(n->op));
  if (n->op == ESPL_OP_BATCHNORM)
    for (int k = ESPL_PARAM_GAMMA; k <= ESPL_PARAM_VAR; k++)
      if (!n->param[k]) return espl_fail(err, ESPL_E_INPUT, "node %s: batch norm lacks gamma, beta, mean or var", n->name);
  if (n->op == ESPL_OP_PRELU && !n->param[ESPL_PARAM_GAMMA]) return espl_fail(err, ESPL_E_INPUT, "node %s: PRELU has no slope", n->name);
  const bool group = n->op == ESPL_OP_INSTANCENORM || n->op == ESPL_OP_GROUPNORM || n->op == ESPL_OP_GRAPHNORM;
  if (group && (!n->param[ESPL_PARAM_GAMMA] || !n->param[ESPL_PARAM_BETA] || (n->op == ESPL_OP_GRAPHNORM && !n->param[ESPL_PARAM_BIAS])))
    return espl_fail(err, ESPL_E_INPUT, "node %s: %s lacks gamma, beta or share", n->name, espl_op_name(n->op));
  if (n->op == ESPL_OP_CONVTRANSPOSE && !n->param[ESPL_PARAM_WEIGHT]) return espl_fail(err, ESPL_E_INPUT, "node %s: CONVTRANSPOSE has no weight", n->name);
  return ESPL_OK;
}

/* The group that defines value `r`, when a node that follows it may join. */
static nn_group *joinable(espl_exec *x, int32_t r) {
  if (x->uses[r] != 1) return NULL;
  for (int32_t i = x->groups - 1; i >= 0; i--)
    if (x->group[i].last == r) return x->group[i].act < 0 ? &x->group[i] : NULL;
  return NULL;
}

/* An addition joins the convolution behind which it stands: the later of two. That group then runs last of all so far, so that the other
 * operand is there. */
static bool join_sum(espl_exec *x, int32_t id) {
  const espl_node *n = &x->g->node[id];
  nn_group *best = NULL, *end = &x->group[x->groups - 1];
  int32_t other = -1;
  if (x->mode != ESPL_MODE_INFER || n->inputs != 2 || x->root[n->input[0]] == x->root[n->input[1]]) return false;
  for (int k = 0; k < 2; k++) {
    nn_group *g = joinable(x, x->root[n->input[k]]);
    if (!g || x->g->node[g->head].op != ESPL_OP_CONV || g->sum >= 0 || (best && g < best)) continue;
    best = g;
    other = x->root[n->input[1 - k]];
  }
  if (!best) return false;
  nn_group g = *best;
  memmove(best, best + 1, (size_t)(end - best) * sizeof *best);
  g.sum = other;
  g.last = id;
  *end = g;
  return true;
}

/* The value of `id` must be in memory to be rounded. */
static bool rounded(const espl_exec *x, int32_t id) { return x->fake && x->fake->value[id].scale > 0.0f; }

/* Addition behind a batch norm of a training plan: joins the later of the two, since the other summand must be there by then. */
static bool join_add(espl_exec *x, int32_t id) {
  const espl_node *n = &x->g->node[id];
  const int32_t a = x->root[n->input[0]], b = x->root[n->input[1]];
  if (a == b) return false;
  const int32_t late = a > b ? a : b;
  nn_group *g = joinable(x, late);
  if (!g || x->g->node[g->head].op != ESPL_OP_BATCHNORM || g->add >= 0 || rounded(x, late)) return false;
  g->add = g->last = id;
  g->sum = a > b ? b : a;
  return true;
}

static bool join(espl_exec *x, int32_t id) {
  const espl_node *n = &x->g->node[id];
  if (n->op == ESPL_OP_ADD) return x->mode == ESPL_MODE_TRAIN ? join_add(x, id) : join_sum(x, id);
  bool more = n->op == ESPL_OP_LEAKYRELU || n->op == ESPL_OP_SIGMOID || n->op == ESPL_OP_TANH || n->op == ESPL_OP_HARDSWISH;
  if (n->op == ESPL_OP_HARDSWISH && x->mode == ESPL_MODE_TRAIN) return false; /* its gradient needs what it reads */
  bool act = n->op == ESPL_OP_RELU || n->op == ESPL_OP_CLIP || more;
  if (!act && n->op != ESPL_OP_BATCHNORM) return false;
  nn_group *g = joinable(x, x->root[n->input[0]]);
  if (!g) return false;
  espl_op head = x->g->node[g->head].op;
  if (n->op == ESPL_OP_BATCHNORM) {
    if (x->mode != ESPL_MODE_INFER || head != ESPL_OP_CONV || g->bn >= 0 || g->sum >= 0) return false;
    g->bn = id;
  } else {
    bool behind_norm = head == ESPL_OP_BATCHNORM && (n->op == ESPL_OP_RELU || (n->op == ESPL_OP_CLIP && x->mode == ESPL_MODE_TRAIN));
    bool can = head == ESPL_OP_CONV || head == ESPL_OP_GEMM || head == ESPL_OP_ADD || behind_norm;
    if (!can || (behind_norm && rounded(x, g->last))) return false;
    g->act = id;
  }
  g->last = id;
  return true;
}

/* Nearest bfloat16, ties to even. */
static float as_half(float v) {
  uint32_t b;
  memcpy(&b, &v, sizeof b);
  b = (b + 0x7fffu + ((b >> 16) & 1u)) & 0xffff0000u;
  memcpy(&v, &b, sizeof v);
  return v;
}

/* Backward reads from the stored value whether a clamp held it, so a bound must be a number that the plan's type can store. */
static dnn_act activation(const espl_exec *x, const espl_node *n) {
  if (n->op == ESPL_OP_CLIP && x->backward && x->type == DNN_BF16) return (dnn_act){.kind = DNN_ACT_CLIP, .lo = as_half(n->lo), .hi = as_half(n->hi)};
  if (n->op == ESPL_OP_RELU) return (dnn_act){.kind = DNN_ACT_RELU};
  if (n->op == ESPL_OP_CLIP) return (dnn_act){.kind = DNN_ACT_CLIP, .lo = n->lo, .hi = n->hi};
  if (n->op == ESPL_OP_HARDSIGMOID) return (dnn_act){.kind = DNN_ACT_CLIP, .lo = 0.0f, .hi = 1.0f};
  if (n->op == ESPL_OP_LEAKYRELU) return (dnn_act){.kind = DNN_ACT_LEAKY, .lo = n->alpha};
  if (n->op == ESPL_OP_SIGMOID) return (dnn_act){.kind = DNN_ACT_SIGMOID};
  if (n->op == ESPL_OP_TANH) return (dnn_act){.kind = DNN_ACT_TANH};
  if (n->op == ESPL_OP_HARDSWISH) return (dnn_act){.kind = DNN_ACT_HARDSWISH};
  return (dnn_act){.kind = DNN_ACT_NONE};
}

static void count_uses(espl_exec *x, const uint8_t *live, bool heads_only) {
  memset(x->uses, 0, (size_t)x->g->nodes * sizeof *x->uses);
  for (int32_t i = 0; i < x->g->nodes; i++) {
    if (i == x->output) x->uses[x->root[i]]++;
    if (x->keep[i]) x->uses[x->root[i]]++;
    if (heads_only || !live[i] || x->root[i] != i) continue;
    for (int k = 0; k < x->g->node[i].inputs; k++) x->uses[x->root[x->g->node[i].input[k]]]++;
  }
  for (int32_t i = 0; heads_only && i < x->groups; i++) {
    const espl_node *n = &x->g->node[x->group[i].head];
    for (int k = 0; k < n->inputs; k++) x->uses[x->root[n->input[k]]]++;
    if (x->group[i].sum >= 0) x->uses[x->group[i].sum]++;
  }
}

static void mark_needs(espl_exec *x) {
  for (int32_t i = 0; i < x->groups; i++) {
    const nn_group *g = &x->group[i];
    const espl_node *n = &x->g->node[g->head];
    uint8_t need = n->param[ESPL_PARAM_WEIGHT] || n->param[ESPL_PARAM_GAMMA];
    for (int k = 0; k < n->inputs; k++) need |= x->needs[x->root[n->input[k]]];
    if (g->sum >= 0) need |= x->needs[g->sum];
    x->needs[g->last] = need;
  }
}

/* `needs` serves as the live mark until the groups are known. */
espl_status nn_group_nodes(espl_exec *x, espl_err *err) {
  uint8_t *live = x->needs;
  memset(live, 0, (size_t)x->g->nodes);
  mark_live(x, live);
  for (int32_t i = 0; i < x->g->nodes; i++) {
    ESPL_TRY(check_params(&x->g->node[i], err));
    x->root[i] = is_alias(x->g, i) ? x->root[x->g->node[i].input[0]] : i;
  }
  count_uses(x, live, false);
  x->groups = 0;
  for (int32_t i = 0; i < x->g->nodes; i++) {
    if (!live[i] || x->root[i] != i || join(x, i)) continue;
    x->group[x->groups++] = (nn_group){.head = i, .bn = -1, .add = -1, .sum = -1, .act = -1, .last = i};
  }
  for (int32_t i = 0; i < x->groups; i++) {
    nn_group *g = &x->group[i];
    g->post = activation(x, &x->g->node[g->act >= 0 ? g->act : g->head]);
    g->post.sum = g->sum >= 0 && g->add < 0; /* an `add` runs with its batch norm */
  }
  count_uses(x, live, true);
  memset(x->needs, 0, (size_t)x->g->nodes);
  mark_needs(x);
  return ESPL_OK;
}
