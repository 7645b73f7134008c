/* Program generator: tokens and order, memory regions, the whole. */
#include "progen.h"

#include <stdlib.h>
#include <string.h>

#include "progen_int.h"

#define PROG_REGION ((PG_LAYERS_MAX + 2) * 16384u)

uint32_t pg_log(pg *g, uint32_t lo, uint32_t hi) {
  uint32_t span = hi - lo, bits = 0;
  while (bits < 31 && span >> bits) bits++;
  uint32_t cut = bits ? pg_range(g, 0, bits) : 0, limit = cut >= 31 ? span : (1u << cut) - 1;
  if (limit > span) limit = span;
  return lo + pg_below(g, limit + 1);
}

uint32_t pg_byte(pg *g) {
  static const uint8_t ends[] = {0, 127, 128, 255};
  return pg_chance(g, 30) ? ends[pg_below(g, 4)] : pg_below(g, 256);
}

const char *pg_kind_name(pg_kind kind) {
  static const char *const names[PG_KINDS] = {"legal", "bad opcode", "bad field", "bus read", "bus write", "deadlock", "truncated", "bad hash", "bad fetch"};
  return names[kind];
}

/* --- tokens --------------------------------------------------------------------------------------------------------- */

/* Bit of the pop / push flag: commands of each unit name the two others in the order load, compute, store. */
static unsigned pop_bit(int unit, int from) { return unit == LOAD ? (from == COMPUTE ? 4 : 5) : unit == COMPUTE ? (from == LOAD ? 4 : 5) : (from == LOAD ? 4 : 5); }
static unsigned push_bit(int unit, int to) { return 2 + pop_bit(unit, to); }

static uint32_t outstanding_at(const pg_channel *c, uint32_t index) {
  uint32_t pops = 0;
  for (uint32_t i = c->pops; i-- > 0 && c->pop[i] > index;) pops++;
  return c->pushes - (c->pops - pops);
}

/* Puts a push for `to` on a command of unit `from` with list index >= need; false when none fits. */
static bool place_push(pg *g, int from, int to, uint32_t need) {
  pg_channel *c = &g->channel[from][to];
  uint32_t first = need, found = 0, pick = 0;
  if (c->pushes && c->push[c->pushes - 1] + 1 > first) first = c->push[c->pushes - 1] + 1;
  bool earliest = pg_chance(g, 70);
  for (uint32_t i = first; i < g->p->n; i++) {
    const pg_cmd *k = &g->p->cmd[i];
    if (k->unit != from || (k->w[0] & 15u) == ESPL_OPC_CFG) continue;
    if (outstanding_at(c, i) + 1 > (uint32_t)g->m->token_max) continue;
    found++;
    if (earliest ? found == 1 : pg_below(g, found) == 0) pick = i;
  }
  if (!found) return false;
  g->p->cmd[pick].w[0] |= 1u << push_bit(from, to);
  c->push[c->pushes++] = pick;
  return true;
}

/* Takes the next token of the channel for the command that comes next. */
static void take_token(pg *g, int from, int unit, uint32_t w[4], uint32_t known[4]) {
  pg_channel *c = &g->channel[from][unit];
  uint32_t by = c->push[c->pops];
  c->pop[c->pops++] = g->p->n;
  w[0] |= 1u << pop_bit(unit, from);
  for (int v = 1; v < 4; v++)
    if (g->p->cmd[by].known[v] > known[v]) known[v] = g->p->cmd[by].known[v];
  if (by + 1 > known[from]) known[from] = by + 1;
}

static void add_access(pg *g, const pg_access *a) {
  if (g->n_access == g->cap_access) {
    uint32_t cap = g->cap_access ? 2 * g->cap_access : 256;
    pg_access *p = realloc(g->access, cap * sizeof *p);
    if (!p) {
      g->failed = true;
      return;
    }
    g->access = p;
    g->cap_access = cap;
  }
  g->access[g->n_access++] = *a;
}

/* Highest index + 1 of a command of unit `of` that must have finished before the intent may start. */
static uint32_t needed(const pg *g, const pg_intent *in, int of) {
  uint32_t need = 0;
  for (uint32_t i = 0; i < g->n_access; i++) {
    const pg_access *a = &g->access[i];
    if (a->unit != of || a->index + 1 <= need) continue;
    for (int k = 0; k < in->n; k++) {
      const pg_access *b = &in->access[k];
      if (a->space == b->space && (a->write || b->write) && a->lo < b->hi && b->lo < a->hi) need = a->index + 1;
    }
  }
  return need;
}

/* A push that nobody has asked for yet. Tokens in flight must stay within token_max in list order. */
static void push_now(pg *g, int unit, int to) {
  pg_channel *c = &g->channel[unit][to];
  if (c->pushes - c->pops >= (uint32_t)g->m->token_max) return;
  g->p->cmd[g->p->n - 1].w[0] |= 1u << push_bit(unit, to);
  c->push[c->pushes++] = g->p->n - 1;
}

static void append(pg *g, int unit, const uint32_t w[4], const uint32_t known[4]) {
  pg_cmd *k = &g->p->cmd[g->p->n++];
  memcpy(k->w, w, sizeof k->w);
  memcpy(k->known, known, sizeof k->known);
  k->unit = unit;
  g->layer_cmds++;
}

void pg_mark(pg *g) {
  espl_cmd_mark mark = {.record = g->records.base + 256u * pg_below(g, g->records.bytes / 256u)};
  uint32_t w[4], known[4] = {0};
  espl_cmd_mark_encode(&mark, w);
  append(g, 0, w, known);
  for (int u = 1; u < 4; u++)
    for (int v = 1; v < 4; v++) g->clock[u][v] = g->p->n;
  g->n_access = 0;
  g->prog_used += (g->layer_cmds * ESPL_CMD_BYTES + 4095u) & ~4095u;
  g->layer_cmds = 0;
  g->p->layers++;
}

/* One try to give the command its order; false: it needs a MARK first. Tokens too old to help are taken all the same. */
static bool order(pg *g, const pg_intent *in, uint32_t w[4], uint32_t known[4]) {
  bool ok = true;
  for (int v = 1; v < 4; v++) {
    if (v == in->unit || w[0] >> pop_bit(in->unit, v) & 1u) continue;
    const pg_channel *c = &g->channel[v][in->unit];
    uint32_t need = needed(g, in, v);
    if (in->pop_from[v] && c->pushes > c->pops && known[v] >= need) {
      take_token(g, v, in->unit, w, known);
      continue;
    }
    if (known[v] >= need) {
      if (!pg_chance(g, (uint32_t)g->sync_percent) || (c->pushes == c->pops && !place_push(g, v, in->unit, 0))) continue;
      take_token(g, v, in->unit, w, known);
      continue;
    }
    if (c->pushes == c->pops && !place_push(g, v, in->unit, need - 1)) {
      ok = false;
      continue;
    }
    take_token(g, v, in->unit, w, known);
    if (known[v] < need) ok = false;
  }
  return ok;
}

void pg_emit(pg *g, const uint32_t words[4], const pg_intent *in) {
  uint32_t w[4], known[4];
  memcpy(w, words, sizeof w);
  memcpy(known, g->clock[in->unit], sizeof known);
  uint32_t pops_before[4];
  for (int v = 1; v < 4; v++) pops_before[v] = g->channel[v][in->unit].pops;
  if (!order(g, in, w, known)) {
    pg_mark(g);
    memcpy(known, g->clock[in->unit], sizeof known);
    for (int v = 1; v < 4; v++) /* the pops it has taken are its own: their index moved by the MARK */
      for (uint32_t i = pops_before[v]; i < g->channel[v][in->unit].pops; i++) g->channel[v][in->unit].pop[i] = g->p->n;
  }
  memcpy(g->clock[in->unit], known, sizeof known);
  uint32_t index = g->p->n;
  append(g, in->unit, w, known);
  for (int k = 0; k < in->n; k++) {
    pg_access a = in->access[k];
    a.unit = in->unit;
    a.index = index;
    add_access(g, &a);
  }
  for (int v = 1; v < 4; v++)
    if (in->push_to[v]) push_now(g, in->unit, v);
}

void pg_note(pg *g, int unit, const pg_access *a) {
  pg_access b = *a;
  b.unit = unit;
  b.index = g->p->n - 1;
  add_access(g, &b);
}

void pg_cfg(pg *g, int unit, int index, const uint32_t w[4]) {
  uint32_t *now = g->cfg[unit][index];
  if (g->cfg_known[unit][index] && memcmp(now, w, 16) == 0 && !pg_chance(g, 10)) return;
  memcpy(now, w, 16);
  g->cfg_known[unit][index] = true;
  append(g, unit, w, g->clock[unit]);
}

bool pg_room(const pg *g) { return g->p->layers < PG_LAYERS_MAX && g->p->n < PG_CMDS_MAX - 400 && g->layer_cmds < PG_LAYER_CMDS && !g->failed; }

/* --- memory --------------------------------------------------------------------------------------------------------- */

/* Parameters of channels: fields in their legal ranges, extremes included. */
static void fill_params(pg *g) {
  uint8_t *at = g->p->memory + g->params.base;
  for (uint32_t i = 0; i + 16 <= g->params.bytes; i += 16, at += 16) {
    int32_t bias = pg_chance(g, 80) ? (int32_t)pg_below(g, 20001) - 10000 : (int32_t)espl_rng_next(&g->rng);
    uint32_t s = pg_chance(g, 60) ? pg_range(g, 14, 30) : pg_range(g, 1, 47);
    uint16_t m = (uint16_t)(pg_chance(g, 10) ? 65535u : pg_below(g, 65536)), mr = (uint16_t)pg_below(g, 65536);
    memset(at, 0, 16);
    memcpy(at, &bias, 4);
    memcpy(at + 4, &m, 2);
    memcpy(at + 6, &mr, 2);
    at[8] = (uint8_t)s;
    at[9] = (uint8_t)pg_range(g, 0, 22);
  }
}

static bool layout(pg *g) {
  espl_machine *m = &g->p->machine;
  struct { pg_region *r; uint32_t bytes; } part[] = {{&g->data, 1u << 16}, {&g->params, 1u << 14}, {&g->entries, 1u << 14},
                                                     {&g->out, 1u << 17}, {&g->records, 1u << 12}, {&g->prog, PROG_REGION}};
  int n = (int)(sizeof part / sizeof part[0]);
  for (int i = n - 1; i > 0; i--) { /* any order in memory */
    int k = (int)pg_below(g, (uint32_t)i + 1);
    pg_region *r = part[i].r;
    uint32_t b = part[i].bytes;
    part[i] = part[k];
    part[k].r = r;
    part[k].bytes = b;
  }
  uint32_t at = 4096u * pg_below(g, 4);
  for (int i = 0; i < n; i++) {
    *part[i].r = (pg_region){.base = at, .bytes = part[i].bytes};
    at += part[i].bytes + 4096u * pg_below(g, 3);
  }
  at += 8192; /* nothing there: programs with wrong addresses may touch it */
  m->mem_bytes = at;
  g->p->memory = malloc(at);
  if (!g->p->memory) return false;
  for (uint32_t i = 0; i + 8 <= at; i += 8) {
    uint64_t v = espl_rng_next(&g->rng);
    memcpy(g->p->memory + i, &v, 8);
  }
  fill_params(g);
  return true;
}

static void choose_timing(pg *g) {
  espl_mem_timing *t = &g->p->machine.mem;
  *t = (espl_mem_timing){.read_latency = (int32_t)pg_log(g, 1, 120), .write_latency = (int32_t)pg_log(g, 1, 60), .num = 1, .den = 1,
                         .outstanding = (int32_t)pg_log(g, 1, (uint32_t)g->p->machine.bursts), .shared_path = pg_chance(g, 30)};
  if (t->shared_path && pg_chance(g, 50)) t->turnaround = (int32_t)pg_log(g, 1, 12);
  if (pg_chance(g, 30)) {
    t->banks = 1 << pg_range(g, 0, 6);
    t->row_bytes = 1 << pg_range(g, 8, 13);
    t->row_open = (int32_t)pg_log(g, 1, 40);
    t->row_close = (int32_t)pg_log(g, 1, 40) - 1;
  }
  if (pg_chance(g, 50)) {
    t->den = (int32_t)pg_log(g, 1, 64);
    t->num = (int32_t)pg_range(g, (uint32_t)(t->den + 7) / 8, (uint32_t)t->den);
  }
  if (pg_chance(g, 40)) {
    t->stall_mod = (int32_t)pg_range(g, 2, 40);
    t->stall_seed = (uint32_t)espl_rng_next(&g->rng);
  }
}

void pg_place(pg_program *p, bool legal) {
  uint32_t at = p->prog_base, cut = 0;
  for (uint32_t i = 0; i < p->n; i++) {
    const uint32_t *w = p->cmd[i].w, opcode = w[0] & 15u;
    if (i == p->cut_at) cut = at - p->prog_base + p->cut_in;
    memcpy(p->memory + at, !legal && i == p->bad_at ? p->bad : w, ESPL_CMD_BYTES);
    at += ESPL_CMD_BYTES;
    if (opcode == ESPL_OPC_MARK) at = (at + 4095u) & ~4095u;
  }
  p->prog_bytes = legal || p->cut_at == PG_NO_CMD ? at - p->prog_base : cut;
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

static void generate(pg *g, int size) {
  int layers = 1 + (int)pg_below(g, 3);
  for (int l = 0; l < layers && pg_room(g); l++) {
    if (pg_chance(g, 15)) pg_token_flood(g);
    pg_job_stream(g, 1 + (int)pg_below(g, (uint32_t)(1 + size / 10)));
    if (l + 1 < layers || pg_chance(g, 80)) pg_mark(g);
  }
  uint32_t w[4], known[4] = {0};
  espl_cmd_end_encode(w);
  append(g, 0, w, known);
}

pg_program *pg_make(const espl_machine *structure, uint64_t seed, pg_kind kind, int size) {
  pg *g = calloc(1, sizeof *g);
  pg_program *p = calloc(1, sizeof *p);
  if (!g || !p) {
    free(g);
    free(p);
    return NULL;
  }
  g->p = p;
  g->rng = (espl_rng){.seed = seed, .stream = 1};
  p->machine = *structure;
  p->kind = kind;
  g->m = &p->machine;
  g->sync_percent = pg_chance(g, 50) ? 0 : (int)pg_below(g, 40);
  p->cmd = calloc(PG_CMDS_MAX, sizeof *p->cmd);
  if (!p->cmd || !layout(g)) g->failed = true;
  if (!g->failed) {
    choose_timing(g);
    generate(g, size);
    p->prog_addr = p->prog_base = g->prog.base;
    p->bad_at = p->cut_at = PG_NO_CMD;
    pg_place(p, true);
    p->expect_hash = pg_chance(g, 50) ? espl_machine_hash(&p->machine) : 0;
    if (kind != PG_LEGAL) pg_break(g);
  }
  bool failed = g->failed;
  free(g->access);
  free(g);
  if (!failed) return p;
  pg_free(p);
  return NULL;
}

void pg_free(pg_program *p) {
  if (!p) return;
  free(p->memory);
  free(p->cmd);
  free(p);
}
