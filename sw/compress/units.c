/* Channel units and groups by union-find over all channels of all values. */
#include "compress/units.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int32_t root(int32_t *parent, int32_t i) {
  while (parent[i] != i) {
    parent[i] = parent[parent[i]];
    i = parent[i];
  }
  return i;
}

static void tie(int32_t *parent, int32_t a, int32_t b) {
  a = root(parent, a);
  b = root(parent, b);
  if (a < b) parent[b] = a;
  else parent[a] = b;
}

static bool is_depthwise(const espl_graph *g, const espl_node *n) {
  int32_t in_c = g->node[n->input[0]].shape.c;
  return n->op == ESPL_OP_CONV && n->conv.groups > 1 && n->conv.groups == in_c && n->shape.c == in_c;
}

/* Ties the channels of node `id` to those of its inputs; freezes what cannot be cut. */
static void freeze_all(const espl_graph *g, const espl_node *n, int32_t me, const int32_t *first, uint8_t *frozen) {
  memset(frozen + me, 1, (size_t)n->shape.c);
  for (int k = 0; k < n->inputs; k++) memset(frozen + first[n->input[k]], 1, (size_t)g->node[n->input[k]].shape.c);
}

static void tie_node(const espl_graph *g, int32_t id, const int32_t *first, int32_t *parent, uint8_t *frozen) {
  const espl_node *n = &g->node[id];
  int32_t me = first[id], in = n->inputs ? first[n->input[0]] : 0, c = n->shape.c;
  int32_t in_c = n->inputs ? g->node[n->input[0]].shape.c : 0;
  switch (n->op) {
    case ESPL_OP_CONV:
      if (is_depthwise(g, n)) {
        for (int32_t i = 0; i < c; i++) tie(parent, me + i, in + i);
      } else if (n->conv.groups > 1) {
        memset(frozen + me, 1, (size_t)c);
        memset(frozen + in, 1, (size_t)in_c);
      }
      break;
    case ESPL_OP_GEMM: break;
    case ESPL_OP_INPUT: memset(frozen + me, 1, (size_t)c); break;
    case ESPL_OP_FLATTEN: {
      int32_t pixels = c / in_c;
      for (int32_t i = 0; i < c; i++) tie(parent, me + i, in + i / pixels);
      break;
    }
    case ESPL_OP_PADCHANNELS:
      for (int32_t i = 0; i < in_c; i++) tie(parent, me + n->pad_c0 + i, in + i);
      break;
    case ESPL_OP_CONCAT:
      for (int32_t k = 0, at = me; k < n->inputs; at += g->node[n->input[k]].shape.c, k++)
        for (int32_t i = 0; i < g->node[n->input[k]].shape.c; i++) tie(parent, at + i, first[n->input[k]] + i);
      break;
    case ESPL_OP_CONVTRANSPOSE:
    case ESPL_OP_SIGMOID: /* a removed channel is not the same as zeros behind these */
    case ESPL_OP_HARDSIGMOID:
    case ESPL_OP_DIV:
      freeze_all(g, n, me, first, frozen);
      break;
    case ESPL_OP_SPREADADD:
    case ESPL_OP_SUB:
    case ESPL_OP_MUL:
      if (g->node[n->input[0]].shape.c != g->node[n->input[1]].shape.c) {
        freeze_all(g, n, me, first, frozen);
        break;
      } /* fall through */
    default: /* element-wise in the channel: ADD ties all its inputs */
      for (int32_t k = 0; k < n->inputs; k++)
        for (int32_t i = 0; i < c; i++) tie(parent, me + i, first[n->input[k]] + i);
  }
  if (id == g->output) memset(frozen + me, 1, (size_t)c);
}

/* Signature of a unit: a hash of the nodes (with multiplicity) its channels live in. */
static uint64_t mix(uint64_t h, uint64_t v) {
  h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
  return h * 0xff51afd7ed558ccdu;
}

static espl_status number(const espl_graph *g, espl_units *u, int32_t *parent, const uint8_t *frozen, espl_err *err) {
  int32_t total = u->first[g->nodes];
  int32_t *id = espl_calloc((size_t)total, sizeof *id);
  uint64_t *sig = espl_calloc((size_t)total, sizeof *sig), *group_sig = espl_calloc((size_t)total, sizeof *group_sig);
  u->unit_of = espl_calloc((size_t)total, sizeof *u->unit_of);
  u->group_of = espl_calloc((size_t)total, sizeof *u->group_of);
  u->frozen = espl_calloc((size_t)total, 1);
  u->group_size = espl_calloc((size_t)total, sizeof *u->group_size);
  u->group_frozen = espl_calloc((size_t)total, 1);
  bool ok = id && sig && group_sig && u->unit_of && u->group_of && u->frozen && u->group_size && u->group_frozen;
  for (int32_t i = 0; ok && i < total; i++) {
    int32_t r = root(parent, i);
    if (r == i) id[i] = u->units++;
    u->unit_of[i] = id[r]; /* roots are the smallest member, so they come first */
    if (frozen[i]) u->frozen[u->unit_of[i]] = 1;
  }
  for (int32_t n = 0; ok && n < g->nodes; n++)
    for (int32_t i = u->first[n]; i < u->first[n + 1]; i++) sig[u->unit_of[i]] = mix(sig[u->unit_of[i]], (uint64_t)n + 1);
  for (int32_t k = 0; ok && k < u->units; k++) {
    uint64_t s = mix(sig[k], u->frozen[k]);
    int32_t q = 0;
    while (q < u->groups && group_sig[q] != s) q++;
    if (q == u->groups) {
      group_sig[q] = s;
      u->group_frozen[q] = u->frozen[k];
      u->groups++;
    }
    u->group_of[k] = q;
    u->group_size[q]++;
  }
  free(id);
  free(sig);
  free(group_sig);
  return ok ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "%s: no memory for %d channels", g->name, (int)total);
}

espl_status espl_units_new(const espl_graph *g, espl_units **out, espl_err *err) {
  *out = NULL;
  espl_units *u = espl_calloc(1, sizeof *u);
  if (!u) return espl_fail(err, ESPL_E_NOMEM, "out of memory");
  u->nodes = g->nodes;
  u->first = espl_calloc((size_t)g->nodes + 1, sizeof *u->first);
  int32_t *parent = NULL;
  uint8_t *frozen = NULL;
  espl_status st = ESPL_E_NOMEM;
  if (u->first) {
    for (int32_t n = 0; n < g->nodes; n++) u->first[n + 1] = u->first[n] + g->node[n].shape.c;
    int32_t total = u->first[g->nodes];
    parent = espl_calloc((size_t)total, sizeof *parent);
    frozen = espl_calloc((size_t)total, 1);
    if (parent && frozen) {
      for (int32_t i = 0; i < total; i++) parent[i] = i;
      for (int32_t n = 0; n < g->nodes; n++) tie_node(g, n, u->first, parent, frozen);
      st = number(g, u, parent, frozen, err);
    }
  }
  free(parent);
  free(frozen);
  if (st != ESPL_OK) {
    espl_units_free(u);
    return espl_fail(err, st, "%s: out of memory", g->name);
  }
  *out = u;
  return ESPL_OK;
}

void espl_units_free(espl_units *u) {
  if (!u) return;
  free(u->first);
  free(u->unit_of);
  free(u->group_of);
  free(u->frozen);
  free(u->group_size);
  free(u->group_frozen);
  free(u);
}

int32_t espl_value_group(const espl_units *u, int32_t node) {
  int32_t q = u->group_of[u->unit_of[u->first[node]]];
  for (int32_t i = u->first[node]; i < u->first[node + 1]; i++)
    if (u->group_of[u->unit_of[i]] != q) return -1;
  return q;
}
