/* Building, copying and rewriting the operator list: memory and identity; shapes and laws are in infer.c. */
#include "graph/graph.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "graph/graph_int.h"

static const char *const op_names[ESPL_OP_COUNT] = {
#define X(name, onnx, text) #name,
    ESPL_OP_LIST(X)
#undef X
};

static const char *const kind_names[ESPL_PARAM_COUNT] = {"weight", "bias", "gamma", "beta", "mean", "var"};

const char *espl_op_name(espl_op op) { return (unsigned)op < ESPL_OP_COUNT ? op_names[op] : "?"; }

const char *espli_param_kind_name(espl_param_kind k) { return (unsigned)k < ESPL_PARAM_COUNT ? kind_names[k] : "?"; }

int64_t espl_shape_elems(espl_shape s) { return (int64_t)s.c * s.h * s.w; }

void espl_param_free(espl_param *p) {
  if (!p) return;
  free(p->name);
  free(p->value);
  free(p->grad);
  free(p->mask);
  free(p->momentum);
  free(p->second);
  free(p->average);
  free(p);
}

void espl_graph_at_rest(espl_graph *g) {
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      espl_param *p = g->node[i].param[k];
      if (!p) continue;
      free(p->momentum);
      free(p->second);
      free(p->average);
      p->momentum = p->second = p->average = NULL;
    }
}

static void node_clear(espl_node *n) {
  free(n->name);
  n->name = NULL;
  for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
    espl_param_free(n->param[k]);
    n->param[k] = NULL;
  }
}

void espl_graph_free(espl_graph *g) {
  if (!g) return;
  for (int32_t i = 0; i < g->nodes; i++) node_clear(&g->node[i]);
  free(g->node);
  free(g->names.slot);
  free(g->name);
  free(g->input_name);
  free(g->output_name);
  free(g->preprocess);
  free(g->history);
  free(g);
}

espl_graph *espl_graph_new(const char *name, espl_shape input) {
  espl_graph *g = espl_calloc(1, sizeof *g);
  if (!g) return NULL;
  g->cap = 16;
  g->node = espl_calloc((size_t)g->cap, sizeof *g->node);
  g->name = espl_strdup(name ? name : "network");
  g->input_name = espl_strdup("input");
  g->output_name = espl_strdup("output");
  if (!g->node || !g->name || !g->input_name || !g->output_name) {
    espl_graph_free(g);
    return NULL;
  }
  g->node[0].op = ESPL_OP_INPUT;
  g->node[0].shape = input;
  g->node[0].name = espl_strdup("input");
  g->nodes = 1;
  if (!g->node[0].name || espli_names_reserve(g, 1, NULL) != ESPL_OK) {
    espl_graph_free(g);
    return NULL;
  }
  return g;
}

/* A copy of `elems` floats; NULL stays NULL; *ok becomes false when out of memory. */
static float *copy_floats(const float *src, int64_t elems, bool *ok) {
  if (!src) return NULL;
  float *dst = espl_calloc((size_t)elems, sizeof *dst);
  if (dst) memcpy(dst, src, (size_t)elems * sizeof *dst);
  else *ok = false;
  return dst;
}

static char *copy_text(const char *s, bool *ok) {
  char *t = espl_strdup(s);
  if (s && !t) *ok = false;
  return t;
}

static espl_param *param_clone(const espl_param *p, bool *ok) {
  if (!p) return NULL;
  espl_param *q = espl_calloc(1, sizeof *q);
  if (!q) {
    *ok = false;
    return NULL;
  }
  *q = *p;
  q->name = copy_text(p->name, ok);
  q->value = copy_floats(p->value, p->elems, ok);
  q->grad = copy_floats(p->grad, p->elems, ok);
  q->mask = copy_floats(p->mask, p->elems, ok);
  q->momentum = copy_floats(p->momentum, p->elems, ok);
  q->second = copy_floats(p->second, p->elems, ok);
  q->average = copy_floats(p->average, p->elems, ok);
  return q;
}

espl_graph *espl_graph_clone(const espl_graph *g) {
  bool ok = true;
  espl_graph *c = espl_calloc(1, sizeof *c);
  if (!c) return NULL;
  c->cap = g->nodes;
  c->node = espl_calloc((size_t)g->nodes, sizeof *c->node);
  c->name = copy_text(g->name, &ok);
  c->input_name = copy_text(g->input_name, &ok);
  c->output_name = copy_text(g->output_name, &ok);
  c->preprocess = copy_text(g->preprocess, &ok);
  c->history = copy_text(g->history, &ok);
  c->output = g->output;
  c->input_rank = g->input_rank;
  c->output_rank = g->output_rank;
  if (!c->node) ok = false;
  for (int32_t i = 0; ok && i < g->nodes; i++) {
    espl_node *n = &c->node[i];
    *n = g->node[i];
    n->name = copy_text(g->node[i].name, &ok);
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) n->param[k] = param_clone(g->node[i].param[k], &ok);
    c->nodes = i + 1;
  }
  if (ok) ok = espli_names_reserve(c, c->nodes, NULL) == ESPL_OK;
  if (ok) return c;
  espl_graph_free(c);
  return NULL;
}

/* "<op>_<id>" in lower case, with underscores appended while the name is taken. */
static char *fresh_name(const espl_graph *g, espl_op op, int32_t id) {
  char buf[96];
  int n = snprintf(buf, 48, "%s_%d", espl_op_name(op), id);
  for (char *p = buf; *p; p++) *p = (char)tolower((unsigned char)*p);
  while (espl_graph_find(g, buf) >= 0 && n < 94) {
    buf[n++] = '_';
    buf[n] = 0;
  }
  return espl_strdup(buf);
}

static espl_status grow(espl_graph *g, espl_err *err) {
  if (g->nodes < g->cap) return ESPL_OK;
  if (g->cap > INT32_MAX / 4) return espl_fail(err, ESPL_E_NOMEM, "%s: too many nodes", g->name);
  int32_t cap = g->cap < 8 ? 16 : g->cap * 2;
  espl_node *p = realloc(g->node, (size_t)cap * sizeof *p);
  if (!p) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory for %d nodes", g->name, cap);
  g->node = p;
  g->cap = cap;
  return ESPL_OK;
}

espl_status espl_graph_add(espl_graph *g, const espl_node *proto, int32_t *id, espl_err *err) {
  if (proto->name && espl_graph_find(g, proto->name) >= 0)
    return espl_fail(err, ESPL_E_INPUT, "%s: two nodes are called %s", g->name, proto->name);
  for (int k = 0; k < ESPL_PARAM_COUNT; k++)
    if (proto->param[k]) return espl_fail(err, ESPL_E_BUG, "%s: a new node must come without params", g->name);
  ESPL_TRY(grow(g, err));
  ESPL_TRY(espli_names_reserve(g, g->nodes + 1, err));
  espl_node *n = &g->node[g->nodes];
  *n = *proto;
  n->name = proto->name ? espl_strdup(proto->name) : fresh_name(g, proto->op, g->nodes);
  if (!n->name) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory for a node name", g->name);
  espl_status s = espli_node_infer(g, g->nodes, err);
  if (s != ESPL_OK) {
    node_clear(n);
    return s;
  }
  g->output = g->nodes;
  if (id) *id = g->nodes;
  espli_names_add(g, g->nodes++);
  return ESPL_OK;
}

static espl_status param_new(const char *node, espl_param_kind kind, const char *name, int dims, const int32_t *dim,
                             espl_param **out, espl_err *err) {
  if (dims < 1 || dims > ESPL_MAX_DIMS)
    return espl_fail(err, ESPL_E_INPUT, "node %s: %s has %d dimensions, 1 to %d are allowed", node,
                     espli_param_kind_name(kind), dims, ESPL_MAX_DIMS);
  int64_t elems = 1;
  for (int i = 0; i < dims; i++) {
    if (dim[i] < 1) return espl_fail(err, ESPL_E_INPUT, "node %s: %s extent %d is %d", node, espli_param_kind_name(kind), i, dim[i]);
    elems *= dim[i];
    if (elems > INT32_MAX)
      return espl_fail(err, ESPL_E_INPUT, "node %s: %s has more than 2^31-1 elements", node, espli_param_kind_name(kind));
  }
  espl_param *p = espl_calloc(1, sizeof *p);
  if (!p) return espl_fail(err, ESPL_E_NOMEM, "node %s: out of memory", node);
  char buf[512];
  snprintf(buf, sizeof buf, "%s.%s", node, espli_param_kind_name(kind));
  p->name = espl_strdup(name ? name : buf);
  p->kind = kind;
  p->dims = dims;
  memcpy(p->dim, dim, (size_t)dims * sizeof *dim);
  p->elems = elems;
  p->value = espl_calloc((size_t)elems, sizeof *p->value);
  if (!p->name || !p->value) {
    espl_param_free(p);
    return espl_fail(err, ESPL_E_NOMEM, "node %s: out of memory for %lld weights", node, (long long)elems);
  }
  *out = p;
  return ESPL_OK;
}

espl_status espl_graph_add_param(espl_graph *g, int32_t node, espl_param_kind kind, const char *name, int dims,
                                 const int32_t *dim, espl_err *err) {
  if (node < 0 || node >= g->nodes || (unsigned)kind >= ESPL_PARAM_COUNT)
    return espl_fail(err, ESPL_E_BUG, "%s: no node %d or param kind %d", g->name, node, (int)kind);
  espl_node *n = &g->node[node];
  if (n->param[kind]) return espl_fail(err, ESPL_E_BUG, "node %s: already has a %s", n->name, espli_param_kind_name(kind));
  espl_param *p = NULL;
  ESPL_TRY(param_new(n->name, kind, name, dims, dim, &p, err));
  espl_status s = espli_param_check(g, node, p, err);
  if (s == ESPL_OK) n->param[kind] = p;
  else espl_param_free(p);
  return s;
}

int espl_graph_readers(const espl_graph *g, int32_t id) {
  int count = g->output == id;
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < g->node[i].inputs; k++) count += g->node[i].input[k] == id;
  return count;
}

espl_status espl_graph_remove(espl_graph *g, int32_t id, int keep, espl_err *err) {
  if (id <= 0 || id >= g->nodes || keep < 0 || keep >= g->node[id].inputs)
    return espl_fail(err, ESPL_E_BUG, "%s: cannot remove node %d keeping input %d", g->name, id, keep);
  int32_t src = g->node[id].input[keep];
  node_clear(&g->node[id]);
  memmove(&g->node[id], &g->node[id + 1], (size_t)(g->nodes - id - 1) * sizeof *g->node);
  g->nodes--;
  for (int32_t i = id; i < g->nodes; i++)
    for (int k = 0; k < g->node[i].inputs; k++) {
      int32_t *in = &g->node[i].input[k];
      *in = *in == id ? src : *in > id ? *in - 1 : *in;
    }
  g->output = g->output == id ? src : g->output > id ? g->output - 1 : g->output;
  espli_names_again(g);
  return ESPL_OK;
}

espl_status espl_graph_prune(espl_graph *g, int32_t *to, espl_err *err) {
  int32_t kept = 0;
  if (g->output < 0 || g->output >= g->nodes) return espl_fail(err, ESPL_E_BUG, "%s: output is value %d of %d", g->name, g->output, g->nodes);
  for (int32_t i = 0; i < g->nodes; i++) to[i] = i == 0 || i == g->output ? 0 : -1; /* needed by what has been seen so far, or not */
  for (int32_t i = g->nodes - 1; i > 0; i--)
    for (int k = 0; to[i] == 0 && k < g->node[i].inputs; k++) to[g->node[i].input[k]] = 0;
  for (int32_t i = 0; i < g->nodes; i++) {
    espl_node *n = &g->node[i];
    if (to[i] < 0) {
      node_clear(n);
      continue;
    }
    for (int k = 0; k < n->inputs; k++) n->input[k] = to[n->input[k]];
    to[i] = kept;
    g->node[kept++] = *n;
  }
  g->nodes = kept;
  g->output = to[g->output];
  espli_names_again(g);
  return ESPL_OK;
}

/* True when `s` is one {...} with balanced brackets outside strings and nothing behind it. */
static bool is_json_object(const char *s) {
  int depth = 0;
  bool quoted = false;
  if (*s != '{') return false;
  for (; *s; s++) {
    if (quoted) {
      if (*s == '\\' && s[1]) s++;
      else if (*s == '"') quoted = false;
      continue;
    }
    if (*s == '"') quoted = true;
    if (*s == '{' || *s == '[') depth++;
    if ((*s == '}' || *s == ']') && --depth == 0) return s[0] == '}' && s[1] == 0;
  }
  return false;
}

espl_status espl_graph_note(espl_graph *g, const char *json, espl_err *err) {
  if (!is_json_object(json)) return espl_fail(err, ESPL_E_BUG, "%s: a history note must be one JSON object: %.60s", g->name, json);
  const char *old = g->history ? g->history : "[]";
  size_t n = strlen(old);
  while (n && isspace((unsigned char)old[n - 1])) n--;
  if (n < 2 || old[0] != '[' || old[n - 1] != ']')
    return espl_fail(err, ESPL_E_INPUT, "%s: espalier.history is not a JSON array", g->name);
  n--;
  size_t blank = 1;
  while (blank < n && isspace((unsigned char)old[blank])) blank++;
  const char *comma = blank < n ? "," : "";
  size_t bytes = n + strlen(json) + 3;
  char *next = malloc(bytes);
  if (!next) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory for the history", g->name);
  snprintf(next, bytes, "%.*s%s%s]", (int)n, old, comma, json);
  free(g->history);
  g->history = next;
  return ESPL_OK;
}
