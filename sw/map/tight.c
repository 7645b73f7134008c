/* Memory of a network in as few bytes as there is use for. The program lies at 0: every layer's commands at a 4 KiB line of their own, END at the last one.
 * Behind what fetch reads from END's line, two bursts, lie the tensors and the layers' records. What nobody writes (weights, parameters, index entries) goes,
 * the largest first, to the lowest place with room: the tail of a line, or the end. Everything starts at a multiple of 256 bytes, where bursts are cut,
 * so a layer takes the cycles that were measured for it (exactly, unless memory has banks: then the program is timed in its place). */
#include <stdlib.h>

#include "base/mem.h"
#include "map/map_int.h"

#define UNIT 256u

typedef struct gap {
  uint64_t from, to;
} gap;

static uint64_t up(uint64_t bytes) { return (bytes + UNIT - 1) / UNIT * UNIT; }

/* Largest first; equal ones in the order of the layers. */
static int by_bytes(const void *a, const void *b) {
  const map_part *x = a, *y = b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* The program, and the tails of its lines in g[0..layers]; the last one is behind END. */
static espl_status program(map_net *n, gap *g, espl_err *err) {
  espl_program *p = n->p;
  p->prog_addr = 0;
  for (int32_t i = 0; i < n->q->layers; i++) {
    ESPL_TRY(map_net_take(n, 16ull * (uint64_t)n->cost[i].commands, MAP_PAGE, &p->layer[i].prog_addr, err));
    g[i] = (gap){up(p->layer[i].prog_addr + 16ull * (uint64_t)n->cost[i].commands), n->end};
  }
  ESPL_TRY(map_net_take(n, 2 * UNIT, UNIT, &n->end_addr, err));
  g[n->q->layers] = (gap){n->end_addr + UNIT, n->end};
  p->prog_bytes = (uint32_t)n->end;
  return ESPL_OK;
}

static espl_status place(map_net *n, map_part *part, gap *g, espl_err *err) {
  int32_t parts = 0, gaps = n->q->layers + 1;
  ESPL_TRY(program(n, g, err));
  ESPL_TRY(map_net_place_tensors(n, UNIT, err));
  ESPL_TRY(map_net_take(n, (uint64_t)UNIT * (uint64_t)n->q->layers, UNIT, &n->records, err));
  for (int32_t i = 0; i < n->q->layers; i++) parts += map_net_parts(n, i, part + parts);
  qsort(part, (size_t)parts, sizeof *part, by_bytes);
  for (int32_t k = 0; k < parts; k++) {
    int32_t i = 0;
    while (i < gaps && g[i].to - g[i].from < part[k].bytes) i++;
    if (i == gaps) {
      ESPL_TRY(map_net_take(n, part[k].bytes, UNIT, part[k].addr, err));
    } else {
      *part[k].addr = (uint32_t)g[i].from;
      g[i].from += up(part[k].bytes);
      if (g[i].from > g[i].to) g[i].from = g[i].to;
    }
  }
  return ESPL_OK;
}

espl_status map_net_place_tight(map_net *n, espl_err *err) {
  map_part *part = espl_calloc(3 * (size_t)n->q->layers + 1, sizeof *part);
  gap *g = espl_calloc((size_t)n->q->layers + 1, sizeof *g);
  n->end = 0;
  espl_status s = part && g ? place(n, part, g, err) : espl_fail(err, ESPL_E_NOMEM, "network %s: out of memory", n->q->name);
  free(part);
  free(g);
  return s;
}
