/* Node names of a graph: an open hash from name to id, so that a name is found or known to be free without a walk over the nodes.
 * Law: `slot` holds id + 1 of every node that has a name, 0 elsewhere; its size is 0 or a power of two of at least twice the nodes. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "graph/graph_int.h"

static size_t first_slot(const espl_graph *g, const char *name) {
  uint64_t h = 1469598103934665603u;
  for (const char *p = name; *p; p++) h = (h ^ (uint8_t)*p) * 1099511628211u;
  return (size_t)(h ^ h >> 32) & (g->names.cap - 1);
}

int32_t espl_graph_find(const espl_graph *g, const char *node_name) {
  if (!node_name || !g->names.cap) return -1;
  for (size_t k = first_slot(g, node_name); g->names.slot[k]; k = (k + 1) & (g->names.cap - 1)) {
    int32_t id = g->names.slot[k] - 1;
    if (strcmp(g->node[id].name, node_name) == 0) return id;
  }
  return -1;
}

static void put(espl_graph *g, int32_t id) {
  size_t k = first_slot(g, g->node[id].name);
  while (g->names.slot[k]) k = (k + 1) & (g->names.cap - 1);
  g->names.slot[k] = id + 1;
}

espl_status espli_names_reserve(espl_graph *g, int32_t nodes, espl_err *err) {
  if ((size_t)nodes * 2 <= g->names.cap) return ESPL_OK;
  size_t cap = 32;
  while (cap < (size_t)nodes * 2) cap *= 2;
  int32_t *slot = espl_calloc(cap, sizeof *slot);
  if (!slot) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory for the names of %d nodes", g->name, nodes);
  free(g->names.slot);
  g->names.slot = slot;
  g->names.cap = cap;
  for (int32_t i = 0; i < g->nodes; i++)
    if (g->node[i].name) put(g, i);
  return ESPL_OK;
}

void espli_names_add(espl_graph *g, int32_t id) { put(g, id); }

void espli_names_again(espl_graph *g) {
  memset(g->names.slot, 0, g->names.cap * sizeof *g->names.slot);
  for (int32_t i = 0; i < g->nodes; i++)
    if (g->node[i].name) put(g, i);
}

espl_status espl_graph_rename(espl_graph *g, int32_t id, const char *name, espl_err *err) {
  int32_t other = espl_graph_find(g, name);
  if (other >= 0 && other != id) return espl_fail(err, ESPL_E_INPUT, "%s: two nodes are called %s", g->name, name);
  char *copy = espl_strdup(name);
  if (!copy) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory for a node name", g->name);
  free(g->node[id].name);
  g->node[id].name = copy;
  espli_names_again(g);
  return ESPL_OK;
}
