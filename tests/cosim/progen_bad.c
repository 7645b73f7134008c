/* Turns a legal program into one that the machine must refuse or end, by one change.
 * Tokens are only taken away or asked for in addition, so what still runs is ordered at least as strictly as before. */
#include <string.h>

#include "device/decode.h"
#include "progen_int.h"

static uint32_t opcode(const pg_cmd *k) { return k->w[0] & 15u; }

/* A random command with one of two opcodes; p->n when there is none. */
static uint32_t pick(pg *g, uint32_t a, uint32_t b) {
  uint32_t found = 0, at = g->p->n;
  for (uint32_t i = 0; i < g->p->n; i++)
    if ((opcode(&g->p->cmd[i]) == a || opcode(&g->p->cmd[i]) == b) && pg_below(g, ++found) == 0) at = i;
  return at;
}

/* Command i as it will stand in memory, to be changed there. */
static uint32_t *change(pg *g, uint32_t i) {
  g->p->bad_at = i;
  return memcpy(g->p->bad, g->p->cmd[i].w, sizeof g->p->bad);
}

static void break_opcode(pg *g) {
  uint32_t v = pg_below(g, 10), *w = change(g, pg_below(g, g->p->n));
  w[0] = (w[0] & ~15u) | (v == 0 ? 0 : 6 + v);
}

/* Sets or clears a few neighbouring bits until the decoder refuses a field of some command. */
static void break_field(pg *g) {
  for (int attempt = 0; attempt < 2000; attempt++) {
    uint32_t i = pg_below(g, g->p->n), w[4];
    memcpy(w, g->p->cmd[i].w, sizeof w);
    unsigned width = 1 + pg_below(g, 12), lsb = pg_range(g, 4, 128 - width);
    espl_bits_put(w, lsb, width, pg_chance(g, 50) ? 0 : (uint32_t)espl_rng_next(&g->rng));
    if (espl_machine_cmd_check(g->m, w) != ESPL_HW_BAD_FIELD) continue;
    memcpy(change(g, i), w, sizeof w);
    return;
  }
}

/* An address behind memory, or in its empty last page so that a long run leaves it; congruent to `like` modulo 32. */
static uint32_t outside(pg *g, uint32_t like, bool partly) {
  uint32_t base = partly ? g->m->mem_bytes - 4096 + 32 * pg_below(g, 128) : g->m->mem_bytes + 32 * pg_log(g, 0, 1u << 24);
  return base + like % 32u;
}

static void break_read(pg *g) {
  uint32_t i = pick(g, ESPL_OPC_LOAD, ESPL_OPC_LOAD);
  if (pg_chance(g, 30)) {
    for (uint32_t k = 0; k < g->p->n; k++)
      if (opcode(&g->p->cmd[k]) == ESPL_OPC_STORE && espl_bits_get(g->p->cmd[k].w, 9, 1)) i = k;
  }
  uint32_t *w = change(g, i);
  if ((w[0] & 15u) == ESPL_OPC_STORE) {
    espl_bits_put(w, 48, 32, outside(g, espl_bits_get(w, 48, 32), pg_chance(g, 30)));
    return;
  }
  bool data = espl_bits_get(w, 8, 2) <= BUF_WGT;
  espl_bits_put(w, 16, 32, outside(g, espl_bits_get(w, 16, 32), data && pg_chance(g, 40)));
}

static void break_write(pg *g) {
  uint32_t i = pick(g, ESPL_OPC_STORE, ESPL_OPC_STORE), mark = pick(g, ESPL_OPC_MARK, ESPL_OPC_MARK);
  if (mark < g->p->n && pg_chance(g, 25)) {
    espl_bits_put(change(g, mark), 16, 32, (g->m->mem_bytes + 255u) / 256u * 256u + 256u * pg_below(g, 1000));
    return;
  }
  uint32_t *w = change(g, i);
  espl_bits_put(w, 16, 32, outside(g, espl_bits_get(w, 16, 32), pg_chance(g, 50)));
}

static void break_tokens(pg *g) {
  for (int attempt = 0; attempt < 1000; attempt++) {
    uint32_t i = pg_below(g, g->p->n), *w = g->p->cmd[i].w, op = w[0] & 15u;
    if (op != ESPL_OPC_LOAD && op != ESPL_OPC_COMPUTE && op != ESPL_OPC_STORE) continue;
    uint32_t bit = 1u << (pg_chance(g, 50) ? pg_range(g, 4, 5) : pg_range(g, 6, 7));
    if (op == ESPL_OPC_COMPUTE && pg_chance(g, 30)) { /* keeps the bank, or asks for credits nobody gives */
      w = change(g, i);
      if (pg_chance(g, 50)) w[0] &= ~(1u << 9);
      else w[0] |= 1u << 12;
      return;
    }
    if (bit >= 64u ? !(w[0] & bit) : (w[0] & bit) != 0) continue;
    change(g, i)[0] ^= bit;
    return;
  }
}

/* The program ends after `bytes` of its bytes. */
static void cut(pg *g, uint32_t bytes) {
  pg_program *p = g->p;
  uint32_t at = 0;
  for (uint32_t i = 0; i < p->n; i++) {
    uint32_t next = at + ESPL_CMD_BYTES;
    if (opcode(&p->cmd[i]) == ESPL_OPC_MARK) next = (next + 4095u) & ~4095u;
    if (bytes < next) {
      p->cut_at = i;
      p->cut_in = bytes - at;
      return;
    }
    at = next;
  }
}

void pg_break(pg *g) {
  pg_program *p = g->p;
  switch (p->kind) {
    case PG_OPCODE: break_opcode(g); break;
    case PG_FIELD: break_field(g); break;
    case PG_READ: break_read(g); break;
    case PG_WRITE: break_write(g); break;
    case PG_DEADLOCK: break_tokens(g); break;
    default: break;
  }
  if (p->kind == PG_TRUNCATED) cut(g, pg_below(g, p->prog_bytes));
  pg_place(p, false);
  if (p->kind == PG_HASH) p->expect_hash = espl_machine_hash(&p->machine) ^ (1u << pg_below(g, 32));
  if (p->kind == PG_FETCH) p->prog_addr = (p->machine.mem_bytes + 4095u + 4096u * pg_below(g, 100)) & ~4095u;
}
