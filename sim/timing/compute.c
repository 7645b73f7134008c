/* Timing of the compute unit: command front, weight sequencer, pass sequencer, retire slot; the twin of rtl/compute.
 *
 * Every field is a register of the RTL or, for a count that only runs, the cycle in which it ends. Between two evaluations the
 * category a cycle counts as does not change, so cycles are booked as whole intervals. Laws (hw/spec/units.md, "Compute"):
 *   row_last >= any cycle in which a weight row is addressed; a tile taken in c addresses rows c+1..c+R;
 *   COMP_WGT and COMP_TABLE are written from row_last + 2 on: rows under way are expanded with what stood before;
 *   a pass started in c (start) streams c+1..pass_last, pass_last = c + max(M, R, 3), M the words streamed: output pixels, depthwise out_h*((out_w-1)*sx + taps), 16 or more;
 *   a command that enters the slot in c pushes from c + pipe_lat on;
 *   a command of one dense tile that takes and releases its bank makes it full pipe_lat cycles after the first cycle of its pass. */
#include <stdlib.h>

#include "timing/tsim.h"

enum { DW_WORDS = 16 }; /* least of a depthwise pass */
enum { CAUSE_BUSY, CAUSE_LOAD, CAUSE_STORE, CAUSE_BANK, CAUSE_WEIGHTS, CAUSE_FILL, CAUSE_FULL, CAUSE_IDLE };
static const uint8_t cause_counter[] = {ESPL_CNT_BUSY,          ESPL_CNT_STALL_LOAD, ESPL_CNT_STALL_STORE, ESPL_CNT_STALL_BANK,
                                        ESPL_CNT_STALL_WEIGHTS, ESPL_CNT_STALL_FILL, ESPL_CNT_STALL_FULL,  ESPL_CNT_IDLE};

/* What a command needs at its end, carried from the walker to the retire slot. */
typedef struct retire_info {
  uint32_t idx;
  bool push_load, push_store, release;
  uint8_t bank;
  bool early;                             /* one dense tile: its bank becomes full when its first pixel is there */
} retire_info;

struct espl_tcompute {
  int32_t rows, min_len, pipe_lat, banks;
  int32_t row_rdy;                        /* a tile taken in c can have its pass decided in c + row_rdy */
  uint32_t tiles_total, macs, macs_dense; /* COMP_TAPS */
  uint32_t sx, dw_taps;                   /* COMP_GEOM */
  bool popped;                            /* front: tokens of the head are popped */
  bool in_place, handed;                  /* without queues: the head stays until its command has retired; it is in work */
  int32_t late;                           /* without queues 1: a tile is taken in the cycle after the one in which it can be */

  bool walk;                              /* walker: a command whose tiles are not all taken */
  bool walk_credit;
  int32_t walk_left, walk_pixels;
  int64_t walk_entry;                     /* first cycle in which its first sparse entry is there */
  retire_info walk_info;

  int64_t row_last;                       /* last row of the tile taken last */
  bool tile, tile_end;                    /* a tile waits for its pass; it is the command's last */
  int64_t tile_rdy;                       /* first cycle in which its start can be decided */
  int64_t tile_gone;                      /* cycle in which the start of a tile's pass was decided last */
  int32_t tile_pixels;
  retire_info tile_info;

  bool run, hold, pass_end;
  int64_t pass_last;
  retire_info pass_info;

  bool slot;
  int64_t slot_at;                        /* first cycle in which the array is empty of it */
  retire_info slot_info;

  int64_t early_at[2];                    /* by bank: cycle of that event, ESPL_NEVER */

  int64_t book_from;                      /* first cycle not booked */
  int cause;                              /* of the cycles from book_from on, as seen after the last evaluation */
  bool was_idle, was_blocked;
};

struct espl_tcompute *espl_tcompute_new(const espl_machine *m) {
  struct espl_tcompute *u = calloc(1, sizeof *u);
  if (!u) return NULL;
  u->rows = m->rows;
  u->min_len = m->rows > 3 ? m->rows : 3;
  u->pipe_lat = m->rows / 2 + m->cols + m->mul_stages + 1;
  u->banks = m->acc_banks;
  u->in_place = m->queue_depth == 0;
  u->late = u->in_place;
  u->row_rdy = 1 + m->rows / 2 + (m->w_book > 0);
  u->row_last = -1;
  u->early_at[0] = u->early_at[1] = ESPL_NEVER;
  u->book_from = 1;
  u->cause = CAUSE_IDLE;
  u->was_idle = true;
  return u;
}

void espl_tcompute_free(struct espl_tcompute *u) { free(u); }

/* ---- functions of registers, in cycle `now` ---- */

static const uint32_t *head_of(const espl_tsim *s, int64_t now) {
  const espl_tqueue *q = &s->queue[ESPL_UNIT_COMPUTE];
  return espl_queue_visible(q, now) && !s->compute->handed ? s->prog[q->index[q->head]] : NULL;
}
static bool bit(const uint32_t *w, unsigned i) { return (w[0] >> i & 1u) != 0; }
static bool is_cfg(const uint32_t *w) { return (w[0] & 15u) == ESPL_OPC_CFG; }
static uint32_t cfg_index(const uint32_t *w) { return w[0] >> 8 & 7u; }
static bool is_format(const uint32_t *w) { return cfg_index(w) >= 2; } /* COMP_WGT, COMP_TABLE */
static bool waits_load(const espl_tsim *s, const uint32_t *w, int64_t now) { return bit(w, 4) && espl_reg_get(&s->token[ESPL_TOK_LC], now) == 0; }
static bool waits_store(const espl_tsim *s, const uint32_t *w, int64_t now) { return bit(w, 5) && espl_reg_get(&s->token[ESPL_TOK_SC], now) == 0; }
static int head_bank(const struct espl_tcompute *u, const uint32_t *w) { return u->banks == 2 && bit(w, 10); }
static bool waits_bank(const espl_tsim *s, const uint32_t *w, int64_t now) {
  return bit(w, 8) && espl_reg_get(&s->bank[head_bank(s->compute, w)].taken, now) != 0;
}
static bool waits_credit(const espl_tsim *s, int64_t now) { return s->compute->walk_credit && espl_credit_at(s) > now; }
static bool slot_room(const espl_tsim *s, int64_t now) {
  const retire_info *r = &s->compute->slot_info;
  return (!r->push_load || espl_reg_get(&s->token[ESPL_TOK_CL], now) < s->m->token_max) &&
         (!r->push_store || espl_reg_get(&s->token[ESPL_TOK_CS], now) < s->m->token_max);
}
static bool slot_waits(const espl_tsim *s, int64_t now) {
  return s->compute->slot && now >= s->compute->slot_at && !slot_room(s, now);
}

/* The three things the front can do in a cycle. */
static bool front_cfg(const espl_tsim *s, const uint32_t *w, int64_t now) {
  const struct espl_tcompute *u = s->compute;
  return is_cfg(w) && !u->walk && !(cfg_index(w) == 0 && u->tile) && !(is_format(w) && now < u->row_last + 2);
}
static bool front_pops(const espl_tsim *s, const uint32_t *w, int64_t now) {
  return !is_cfg(w) && !s->compute->popped && !waits_load(s, w, now) && !waits_store(s, w, now);
}
static bool front_hands(const espl_tsim *s, const uint32_t *w, int64_t now) {
  return s->compute->popped && !s->compute->walk && !waits_bank(s, w, now);
}
static bool front_acts(const espl_tsim *s, int64_t now) {
  const uint32_t *w = head_of(s, now);
  if (espl_stopped(s, now)) return s->compute->popped;
  return w && (front_cfg(s, w, now) || front_pops(s, w, now) || front_hands(s, w, now));
}

static int cause_at(const espl_tsim *s, int64_t now) {
  const struct espl_tcompute *u = s->compute;
  if (u->run) return CAUSE_BUSY;
  if (slot_waits(s, now)) return CAUSE_FULL;
  if (u->hold || u->tile) return CAUSE_FILL;
  if (u->walk) return waits_credit(s, now) ? CAUSE_WEIGHTS : CAUSE_FILL;
  const uint32_t *w = head_of(s, now);
  if (u->popped) return waits_bank(s, w, now) ? CAUSE_BANK : CAUSE_FILL;
  if (w && !espl_stopped(s, now)) {
    if (is_cfg(w)) return CAUSE_FILL;
    return waits_load(s, w, now) ? CAUSE_LOAD : waits_store(s, w, now) ? CAUSE_STORE : CAUSE_FILL;
  }
  return u->slot ? CAUSE_FILL : CAUSE_IDLE;
}

/* Sums of a command of one tile are on their way to its bank. */
static bool moving(const espl_tsim *s, int64_t now) { return now <= s->bank[0].moving_to || now <= s->bank[1].moving_to; }

bool espl_tcompute_idle(const espl_tsim *s, int64_t now) {
  const struct espl_tcompute *u = s->compute;
  return !u->popped && !u->walk && !u->tile && !u->run && !u->hold && !u->slot && !moving(s, now);
}

bool espl_tcompute_blocked(const espl_tsim *s, int64_t now) {
  const struct espl_tcompute *u = s->compute;
  bool rows = now <= u->row_last, wait = slot_waits(s, now), stop = espl_stopped(s, now);
  bool room = (!rows || now == u->row_last) && !u->tile;
  if (espl_tcompute_idle(s, now) || u->run || rows || front_acts(s, now)) return false;
  if (u->walk && (waits_credit(s, now) ? stop : room)) return false;
  if (moving(s, now)) return false;
  return !(u->tile && !u->hold) && !(u->slot && !wait) && !(wait && stop);
}

uint32_t espl_tcompute_waiting_index(const espl_tsim *s, int64_t now) {
  const struct espl_tcompute *u = s->compute;
  const espl_tqueue *q = &s->queue[ESPL_UNIT_COMPUTE];
  if (u->slot) return u->slot_info.idx;
  if (u->walk) return u->walk_info.idx;
  return espl_queue_visible(q, now) ? q->index[q->head] : UINT32_MAX;
}

/* ---- counters ---- */

void espl_tcompute_account(espl_tsim *s, int64_t upto) {
  struct espl_tcompute *u = s->compute;
  if (upto < u->book_from) return;
  s->counter[cause_counter[u->cause]] += upto - u->book_from;
  s->counter[cause_counter[cause_at(s, upto)]] += 1;
  u->book_from = upto + 1;
}

void espl_tcompute_account_from(espl_tsim *s, int64_t at) { s->compute->book_from = at + 1; }

/* ---- what a cycle changes ---- */

/* The command has left the slot; without queues its entry was kept until now. */
static void let_go(espl_tsim *s, int64_t now) {
  struct espl_tcompute *u = s->compute;
  u->slot = false;
  if (!u->in_place) return;
  espl_queue_pop(&s->queue[ESPL_UNIT_COMPUTE], now);
  u->handed = false;
  espl_wake(s, ESPL_T_FETCH, now + 1);
}

/* Retire slot: pushes, gives up, or waits. True when the slot can be loaded in this cycle. */
static bool slot_step(espl_tsim *s, int64_t now) {
  struct espl_tcompute *u = s->compute;
  if (!u->slot) return true;
  if (now < u->slot_at) return false;
  const retire_info *r = &u->slot_info;
  if (!slot_room(s, now)) {
    if (!espl_stopped(s, now)) return false;
    let_go(s, now);
    return true;
  }
  if (r->push_load) espl_reg_add(&s->token[ESPL_TOK_CL], now, 1);
  if (r->push_store) espl_reg_add(&s->token[ESPL_TOK_CS], now, 1);
  if (r->release) espl_reg_set(&s->bank[r->bank].full, now, 1);
  if (r->push_load) espl_wake(s, ESPL_T_LOAD, now + 1);
  if (r->push_store || r->release) espl_wake(s, ESPL_T_STORE, now + 1);
  let_go(s, now);
  return true;
}

/* Banks whose first pixel is there. */
static void early_step(espl_tsim *s, int64_t now) {
  struct espl_tcompute *u = s->compute;
  for (int b = 0; b < u->banks; b++) {
    if (u->early_at[b] != now) continue;
    espl_reg_set(&s->bank[b].full, now, 1);
    u->early_at[b] = ESPL_NEVER;
    espl_wake(s, ESPL_T_STORE, now + 1);
  }
}

/* Pass sequencer; true when the waiting tile's pass starts with the next cycle. */
static bool pass_step(espl_tsim *s, int64_t now) {
  struct espl_tcompute *u = s->compute;
  bool slot_ok = slot_step(s, now);
  bool over = u->run && now == u->pass_last;
  bool retiring = (over && u->pass_end) || u->hold;
  bool free = retiring ? slot_ok : (!u->run || over);
  if (retiring) {
    u->hold = !slot_ok;
    if (slot_ok) {
      u->slot = true;
      u->slot_at = now + u->pipe_lat;
      u->slot_info = u->pass_info;
    }
  }
  if (over) u->run = false;
  if (!(u->tile && now >= u->tile_rdy && free)) return false;
  u->run = true;
  u->pass_end = u->tile_end;
  u->pass_last = s->running_to = now + (u->tile_pixels > u->min_len ? u->tile_pixels : u->min_len);
  u->pass_info = u->tile_info;
  if (u->tile_info.early) {
    u->early_at[u->tile_info.bank] = now + 1 + u->pipe_lat;
    s->bank[u->tile_info.bank].moving_to = u->pass_last + u->pipe_lat;
    u->pass_info.release = false;
  }
  return true;
}

/* Walker: takes a tile, or gives the command up after a stop. */
static void walk_step(espl_tsim *s, int64_t now, bool start) {
  struct espl_tcompute *u = s->compute;
  if (start) {
    u->tile = false;
    u->tile_gone = now;
  }
  bool room = !u->tile && now >= u->row_last + u->late && now >= u->tile_gone + u->late;
  if (!u->walk) return;
  if (waits_credit(s, now)) {
    if (espl_stopped(s, now)) {
      u->walk = false;
      s->executed[u->walk_info.idx] = 0; /* given up: its tile is never complete */
    }
    return;
  }
  if (!room || now < u->walk_entry || (u->walk_credit && now < espl_credit_at(s) + u->late)) return;
  if (u->walk_credit) espl_credit_take(s);
  u->tile = true;
  u->tile_end = u->walk_left <= 1;
  u->tile_pixels = u->walk_pixels;
  u->tile_info = u->walk_info;
  u->tile_rdy = now + u->row_rdy;
  u->row_last = now + u->rows;
  u->walk_left--;
  if (u->tile_end) u->walk = false;
}

static void take_config(struct espl_tcompute *u, const uint32_t *w) {
  if (cfg_index(w) == 0) {
    espl_cmd_comp_geom q;
    espl_cmd_comp_geom_decode(w, &q);
    u->sx = q.sx;
    u->dw_taps = q.dw_cols + 1;
    return;
  }
  if (cfg_index(w) != 1) return;
  u->tiles_total = w[1] >> 16;
  u->macs = w[2];
  u->macs_dense = w[3];
}

static void hand_over(espl_tsim *s, const uint32_t *w, int64_t now, uint32_t idx) {
  struct espl_tcompute *u = s->compute;
  espl_cmd_compute c;
  espl_cmd_compute_decode(w, &c);
  int bank = head_bank(u, w);
  if (c.first) espl_reg_set(&s->bank[bank].taken, now, 1);
  u->popped = false;
  u->walk = true;
  u->walk_credit = c.credit && c.n_tiles > 0;
  u->walk_left = (int32_t)c.n_tiles;
  u->walk_pixels = (int32_t)(c.out_h * (c.dw ? (c.out_w - 1) * u->sx + u->dw_taps : c.out_w));
  if (c.dw && u->walk_pixels < DW_WORDS) u->walk_pixels = DW_WORDS;
  u->walk_entry = now + 1 + u->late + (c.sparse && c.n_tiles > 0);
  u->walk_info = (retire_info){idx, c.push_load != 0, c.push_store != 0, c.last != 0, (uint8_t)bank, c.first && c.last && c.n_tiles <= 1 && !c.dw && !u->in_place};
  s->counter[ESPL_CNT_MACS] += u->macs;
  s->counter[ESPL_CNT_MACS_DENSE] += u->macs_dense;
  s->counter[ESPL_CNT_TILES] += c.n_tiles;
  s->counter[ESPL_CNT_TILES_SKIPPED] += (u->tiles_total - c.n_tiles) & 0xffffu;
}

/* Front. walk and tile are the registers as they stood at the beginning of the cycle, so this goes first. */
static bool front_step(espl_tsim *s, int64_t now) {
  struct espl_tcompute *u = s->compute;
  espl_tqueue *q = &s->queue[ESPL_UNIT_COMPUTE];
  if (espl_stopped(s, now)) {
    u->popped = false;
    return false;
  }
  const uint32_t *w = head_of(s, now);
  if (!w) return false;
  if (front_pops(s, w, now)) {
    if (bit(w, 4)) { espl_reg_add(&s->token[ESPL_TOK_LC], now, -1); espl_wake(s, ESPL_T_LOAD, now + 1); }
    if (bit(w, 5)) { espl_reg_add(&s->token[ESPL_TOK_SC], now, -1); espl_wake(s, ESPL_T_STORE, now + 1); }
    u->popped = true;
    return false;
  }
  bool hands = front_hands(s, w, now);
  if (!hands && !front_cfg(s, w, now)) return false;
  if (!hands) take_config(u, w);
  s->executed[q->index[q->head]] = 1;
  u->handed = hands && u->in_place;
  if (u->handed) return true;
  espl_queue_pop(q, now);
  espl_wake(s, ESPL_T_FETCH, now + 1);
  return hands;
}

/* Earliest later cycle in which the unit changes by itself. */
static void wake_self(espl_tsim *s, int64_t now) {
  struct espl_tcompute *u = s->compute;
  int64_t next = now + 1, at = ESPL_NEVER;
  if (u->run) at = u->pass_last;
  else if (u->tile && !u->hold) at = u->tile_rdy > next ? u->tile_rdy : next;
  if (u->slot && u->slot_at > now && u->slot_at < at) at = u->slot_at;
  for (int b = 0; b < u->banks; b++) {
    if (u->early_at[b] < at) at = u->early_at[b];
    if (s->bank[b].moving_to > now && s->bank[b].moving_to < at) at = s->bank[b].moving_to; /* idle or blocked from then on */
  }
  if (u->hold && u->row_last >= now && u->row_last + 1 < at) at = u->row_last + 1; /* blocked from then on */
  const uint32_t *w = head_of(s, next);
  if (w && is_cfg(w) && is_format(w) && !u->walk && u->row_last + 2 > now && u->row_last + 2 < at) at = u->row_last + 2;
  int64_t credit = u->walk && u->walk_credit ? espl_credit_at(s) : 0;
  if (u->walk && !u->tile && credit != ESPL_NEVER) {
    int64_t t = u->row_last + u->late;
    if (t < u->walk_entry) t = u->walk_entry;
    if (t < u->tile_gone + u->late) t = u->tile_gone + u->late;
    if (u->walk_credit && t < credit + u->late) t = credit + u->late;
    if (!u->run && credit > next && t > credit) t = credit; /* its cycles count as something else from then on */
    if (t < next) t = next;
    if (t < at) at = t;
  }
  if (front_acts(s, next) || (espl_stopped(s, next) && ((u->walk && waits_credit(s, next)) || slot_waits(s, next)))) at = next;
  if (at != ESPL_NEVER) espl_wake(s, ESPL_T_COMPUTE, at);
}

void espl_tcompute_eval(espl_tsim *s, int64_t now) {
  struct espl_tcompute *u = s->compute;
  espl_tcompute_account(s, now);
  const espl_tqueue *q = &s->queue[ESPL_UNIT_COMPUTE];
  uint32_t idx = q->count > 0 ? q->index[q->head] : 0;
  bool hands = front_step(s, now);
  early_step(s, now);
  bool start = pass_step(s, now);
  walk_step(s, now, start);
  if (hands) hand_over(s, s->prog[idx], now, idx);

  u->cause = cause_at(s, now + 1);
  bool idle = espl_tcompute_idle(s, now + 1), blocked = espl_tcompute_blocked(s, now + 1);
  if (idle != u->was_idle || blocked != u->was_blocked) espl_wake(s, ESPL_T_FETCH, now + 1);
  u->was_idle = idle;
  u->was_blocked = blocked;
  wake_self(s, now);
}
