/* Concatenation in lowering. By address: the operands' tensors become slices of the concatenated one, so the layers that make them write into
 * their places and nothing is copied. That takes operands that begin at multiples of ESPL_QSLICE channels; an operand that is the network's
 * input, lies in another concatenation already or has other numbers in the file gets a copy of its own in its place. Otherwise one-hot layers copy
 * the operands one after the other, each passing what is there through as its residual. */
#include "quant/quant_int.h"

static bool aligned(const qlower *lw, const espl_node *n) {
  int32_t at = 0;
  for (int i = 0; i < n->inputs; i++) {
    espl_shape s = lw->q->tensor[lw->tensor_of[n->input[i]]].shape;
    if (at % ESPL_QSLICE != 0 || s.h != n->shape.h || s.w != n->shape.w) return false;
    at += s.c;
  }
  return at == n->shape.c;
}

static qsrc *writer_of(const qlower *lw, int32_t tensor) {
  for (int32_t i = 0; i < lw->q->layers; i++)
    if (lw->q->layer[i].out == tensor) return &lw->src[i];
  return NULL;
}

static bool same_numbers(const qlower *lw, int32_t a, int32_t b) {
  const espl_qnote *x = &lw->given->note[a], *y = &lw->given->note[b];
  return x->scale == y->scale && x->zero == y->zero;
}

/* A free tensor that may take the numbers of concatenation `id`. What copies its bytes requantizes them instead, unless the file has the numbers. */
static bool may_join(const qlower *lw, int32_t id, int32_t tensor) {
  const espl_qtensor *t = &lw->q->tensor[tensor];
  qsrc *s = writer_of(lw, tensor);
  if (tensor == 0 || t->whole > 0 || (!s && !espl_qnet_joined(lw->q, tensor))) return false;
  if (lw->given && espl_qgiven_has(lw->given, t->node)) {
    if (!espl_qgiven_has(lw->given, id) || !same_numbers(lw, t->node, id)) return false;
  } else if (lw->given && (!s || s->same_scale)) return false;
  if (!s || !s->same_scale || lw->q->layer[s - lw->src].pool == ESPL_QPOOL_AVG) return true;
  s->same_scale = false;
  s->value = s->out;
  return true;
}

/* Operands i.. of the node that are, in their order, an earlier concatenation: how many; *tensor: that concatenation. */
static int earlier(const qlower *lw, const espl_node *n, int i, int32_t *tensor) {
  int32_t at = 0, first;
  int k = 0;
  *tensor = espl_qnet_root(lw->q, lw->tensor_of[n->input[i]], &first);
  for (; i + k < n->inputs && at < lw->q->tensor[*tensor].shape.c; k++) {
    int32_t o = lw->tensor_of[n->input[i + k]];
    if (espl_qnet_root(lw->q, o, &first) != *tensor || first != at) return 0;
    at += lw->q->tensor[o].shape.c;
  }
  return at == lw->q->tensor[*tensor].shape.c ? k : 0;
}

static espl_status copy_to(qlower *lw, int32_t id, int32_t in, int32_t *out, espl_err *err) {
  espl_qlayer *l;
  qsrc *s;
  ESPL_TRY(q_new_layer(lw, QSRC_ONEHOT, in, id, &l, &s, err));
  int32_t layer = lw->q->layers - 1;
  ESPL_TRY(q_new_tensor(lw, lw->q->tensor[in].shape, id, out, err));
  lw->q->layer[layer].out = *out;
  return ESPL_OK;
}

static espl_status by_address(qlower *lw, int32_t id, espl_err *err) {
  const espl_node *n = &lw->g->node[id];
  int32_t whole, at = 0;
  ESPL_TRY(q_new_tensor(lw, n->shape, id, &whole, err));
  for (int i = 0; i < n->inputs;) {
    int32_t t = 0;
    int k = earlier(lw, n, i, &t);
    if (k == 0 || !may_join(lw, id, t)) {
      k = 1;
      t = lw->tensor_of[n->input[i]];
      if (!may_join(lw, id, t)) ESPL_TRY(copy_to(lw, id, t, &t, err));
    }
    lw->q->tensor[t].whole = whole;
    lw->q->tensor[t].whole_c = at;
    at += lw->q->tensor[t].shape.c;
    i += k;
  }
  lw->tensor_of[id] = whole;
  return ESPL_OK;
}

static espl_status by_copies(qlower *lw, int32_t id, espl_err *err) {
  const espl_node *n = &lw->g->node[id];
  int32_t before = -1, at = 0;
  for (int i = 0; i < n->inputs; i++) {
    espl_qlayer *l;
    qsrc *s;
    int32_t in = lw->tensor_of[n->input[i]];
    ESPL_TRY(q_new_layer(lw, QSRC_MATRIX, in, id, &l, &s, err));
    s->shift_c = at;
    s->concat = true;
    l->out_c = n->shape.c;
    l->res = before;
    ESPL_TRY(q_new_tensor(lw, n->shape, id, &l->out, err));
    before = l->out;
    at += lw->q->tensor[in].shape.c;
  }
  lw->tensor_of[id] = before;
  return ESPL_OK;
}

espl_status q_lower_concat(qlower *lw, int32_t id, espl_err *err) {
  return aligned(lw, &lw->g->node[id]) ? by_address(lw, id, err) : by_copies(lw, id, err);
}
