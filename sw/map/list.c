/* The command list of a layer: appending, configuration words sent only when they change, and token placement. */
#include <stdlib.h>
#include <string.h>

#include "map/map_int.h"

void map_list_init(map_list *l, int32_t token_max) { *l = (map_list){.token_max = token_max}; }

void map_list_clear(map_list *l) {
  free(l->cmd);
  for (int i = 0; i < MAP_TOKENS; i++) {
    free(l->sync[i].push);
    free(l->sync[i].pop);
  }
  *l = (map_list){0};
}

int32_t map_list_add(map_list *l, const map_cmd *c) {
  if (l->bad) return -1;
  if (l->n == l->cap) {
    int32_t cap = l->cap ? 2 * l->cap : 64;
    map_cmd *p = realloc(l->cmd, (size_t)cap * sizeof *p);
    if (!p) {
      l->bad = ESPL_E_NOMEM;
      return -1;
    }
    l->cmd = p;
    l->cap = cap;
  }
  l->cmd[l->n] = *c;
  return l->n++;
}

void map_list_cfg(map_list *l, const uint32_t word[4]) {
  uint32_t unit = word[0] >> 4 & 3u, index = word[0] >> 8 & 7u;
  if (l->cfg_sent[unit][index] && memcmp(l->cfg[unit][index], word, 16) == 0) return;
  l->cfg_sent[unit][index] = true;
  memcpy(l->cfg[unit][index], word, 16);
  map_cmd c = {.unit = (uint8_t)unit, .cfg = true};
  memcpy(c.u.word, word, 16);
  (void)map_list_add(l, &c);
}

static void set_push(map_cmd *c, map_token tok, uint32_t on) {
  if (tok == MAP_LC) c->u.load.push_compute = on;
  else if (tok == MAP_CL) c->u.compute.push_load = on;
  else if (tok == MAP_LS) c->u.load.push_store = on;
  else c->u.store.push_load = on;
}

static bool sync_add(map_list *l, map_sync *s, int32_t push, int32_t pop) {
  if (s->n == s->cap) {
    int32_t cap = s->cap ? 2 * s->cap : 32;
    int32_t *a = realloc(s->push, (size_t)cap * sizeof *a);
    if (a) s->push = a;
    int32_t *b = realloc(s->pop, (size_t)cap * sizeof *b);
    if (b) s->pop = b;
    if (!a || !b) {
      l->bad = ESPL_E_NOMEM;
      return false;
    }
    s->cap = cap;
  }
  s->push[s->n] = push;
  s->pop[s->n++] = pop;
  return true;
}

/* Tokens outstanding just after list position j: pairs pushed at or before j and popped behind it. Every earlier pair is pushed
 * before j, because push positions increase. */
static int32_t outstanding(const map_sync *s, int32_t j) {
  int32_t n = 0;
  for (int32_t i = s->n; i > 0 && s->pop[i - 1] > j; i--) n++;
  return n;
}

uint32_t map_list_wait(map_list *l, map_token tok, int32_t producer) {
  map_sync *s = &l->sync[tok];
  if (l->bad || producer < 0) return 0;
  if (s->n > 0 && producer <= s->push[s->n - 1]) return 0;
  uint8_t unit = l->cmd[producer].unit;
  for (int32_t j = producer; j < l->n; j++) {
    if (l->cmd[j].unit != unit || l->cmd[j].cfg || outstanding(s, j) >= l->token_max) continue;
    if (!sync_add(l, s, j, l->n)) return 0;
    set_push(&l->cmd[j], tok, 1);
    return 1;
  }
  /* The counter is full from `producer` on, so the last pair is still open there: waiting for `producer` moves into it. A later push
   * only shortens the time its token is outstanding. */
  set_push(&l->cmd[s->push[s->n - 1]], tok, 0);
  set_push(&l->cmd[producer], tok, 1);
  s->push[s->n - 1] = producer;
  return 0;
}

void map_list_encode(const map_list *l, uint8_t *out) {
  for (int32_t i = 0; i < l->n; i++) {
    const map_cmd *c = &l->cmd[i];
    uint32_t w[4];
    if (c->cfg || c->unit == 0) memcpy(w, c->u.word, 16);
    else if (c->unit == ESPL_UNIT_LOAD) espl_cmd_load_encode(&c->u.load, w);
    else if (c->unit == ESPL_UNIT_COMPUTE) espl_cmd_compute_encode(&c->u.compute, w);
    else espl_cmd_store_encode(&c->u.store, w);
    memcpy(out + 16 * (size_t)i, w, 16);
  }
}
