/* The load unit as time: rtl/load. Bursts are walked one by one; all beat times of a burst are known at its grant, so what it will give
 * (credits, end of a command) is noted there with its cycle: two cycles after the beat. */
#include <stdlib.h>

#include "timing/tsim.h"

enum { FLY = 4 };

typedef struct fly {
  uint32_t index;
  bool push_compute, push_store, credit, err;
  int32_t tile, tile_bytes; /* bytes of a weight tile, and of the unfinished one */
  int64_t done_at;    /* first cycle in which it can retire; ESPL_NEVER until its last burst is granted */
} fly;

typedef struct walk {
  bool valid;
  uint32_t addr, row_addr, group_addr, left, row_bytes, rows, row_left, group_left;
} walk;

struct espl_tload {
  uint32_t mem_row, mem_group; /* LOAD_STRIDE */
  int32_t tile;                /* bytes of a weight tile (LOAD_WGT) */
  int32_t flight;              /* commands in flight at most */
  walk w;
  int64_t ready_at;            /* first cycle in which the walk's burst may become a request */
  int32_t prep;                /* without queues 1: a burst is prepared for a cycle, and becomes a request in the cycle after a grant */
  bool rq_valid, rq_last;      /* the request register and what it asks for */
  uint32_t rq_lane, rq_bytes;
  int64_t last_beat;           /* of everything granted so far */
  fly fly[FLY];                /* in flight: taken at head, granted at fill, retired at tail */
  int32_t head, fill, tail, flying;
};

struct espl_tload *espl_tload_new(const espl_machine *m) {
  struct espl_tload *u = calloc(1, sizeof *u);
  if (!u) return NULL;
  u->tile = espl_tile_bytes(m, m->w_bits);
  u->flight = m->queue_depth == 0 ? 1 : FLY;
  u->prep = m->queue_depth == 0;
  return u;
}
void espl_tload_free(struct espl_tload *u) { free(u); }

/* Credits of a burst whose first byte is byte `lane` of its first beat. */
static void book_tiles(espl_tsim *s, struct espl_tload *u, fly *f, const espl_burst_time *b) {
  int32_t bus = s->m->bus_bytes;
  int32_t at = f->tile - f->tile_bytes; /* bytes of this burst up to and including the end of a tile */
  for (; at <= (int32_t)u->rq_bytes; at += f->tile) espl_credit_push(s, espl_beat_time(b, ((int32_t)u->rq_lane + at - 1) / bus) + 2, 1);
  f->tile_bytes = f->tile - (at - (int32_t)u->rq_bytes);
}

void espl_tload_granted(espl_tsim *s, int64_t now, const espl_burst_time *b, bool bad) {
  struct espl_tload *u = s->load;
  fly *f = &u->fly[u->fill];
  u->rq_valid = false;
  if (u->prep && u->ready_at <= now) u->ready_at = now + 1;
  u->last_beat = b->last;
  if (bad && !f->err) {
    f->err = true;
    espl_tsim_error(s, b->first, ESPL_HW_BUS_READ, f->index);
  }
  if (f->credit && !f->err) book_tiles(s, u, f, b);
  if (u->rq_last) {
    f->done_at = b->last + 2;
    espl_wake(s, ESPL_T_LOAD, f->done_at);
    u->fill = (u->fill + 1) % FLY;
  }
}

static void emit(espl_tsim *s, struct espl_tload *u, int64_t now) {
  walk *w = &u->w;
  u->ready_at = now + 1 + u->prep;
  uint32_t bus = (uint32_t)s->m->bus_bytes, room = 256u - (w->addr & 255u);
  bool run_end = w->left <= room;
  u->rq_bytes = run_end ? w->left : room;
  u->rq_lane = w->addr & (bus - 1u);
  u->rq_valid = true;
  u->rq_last = run_end && w->row_left == 1 && w->group_left == 1;
  espl_port_request(s, now, ESPL_RQ_LOAD, w->addr - u->rq_lane, (int32_t)((u->rq_lane + u->rq_bytes + bus - 1u) / bus));
  if (!run_end) {
    w->addr += room;
    w->left -= room;
  } else if (w->row_left > 1) {
    w->addr = w->row_addr += u->mem_row;
    w->left = w->row_bytes;
    w->row_left--;
  } else if (w->group_left > 1) {
    w->addr = w->row_addr = w->group_addr += u->mem_group;
    w->left = w->row_bytes;
    w->row_left = w->rows;
    w->group_left--;
  } else {
    w->valid = false;
    espl_wake(s, ESPL_T_LOAD, now + 1);
  }
}

static bool may_take(const espl_tsim *s, const struct espl_tload *u, int64_t now) {
  const espl_tqueue *q = &s->queue[ESPL_UNIT_LOAD];
  if (!espl_queue_visible(q, now) || espl_stopped(s, now) || u->w.valid) return false;
  const uint32_t *w = s->prog[q->index[q->head]];
  if ((w[0] & 15u) == ESPL_OPC_CFG) return true;
  if (u->flying == u->flight) return false;
  bool pop_compute = w[0] >> 4 & 1u, pop_store = w[0] >> 5 & 1u;
  return (!pop_compute || espl_reg_get(&s->token[ESPL_TOK_CL], now) > 0) && (!pop_store || espl_reg_get(&s->token[ESPL_TOK_SL], now) > 0);
}

static void take(espl_tsim *s, struct espl_tload *u, int64_t now) {
  uint32_t index = espl_queue_pop(&s->queue[ESPL_UNIT_LOAD], now);
  espl_wake(s, ESPL_T_FETCH, now + 1);
  espl_wake(s, ESPL_T_LOAD, now + 1);
  s->executed[index] = 1;
  const uint32_t *w = s->prog[index];
  if ((w[0] & 15u) == ESPL_OPC_CFG && (w[0] >> 8 & 7u) == 1) {
    u->tile = espl_tile_bytes(s->m, (int32_t)espl_bits_get(w, 16, 4));
    return;
  }
  if ((w[0] & 15u) == ESPL_OPC_CFG) {
    u->mem_row = espl_bits_get(w, 16, 32);
    u->mem_group = espl_bits_get(w, 48, 32);
    return;
  }
  espl_cmd_load c;
  espl_cmd_load_decode(w, &c);
  if (c.pop_compute) {
    espl_reg_add(&s->token[ESPL_TOK_CL], now, -1);
    espl_wake(s, ESPL_T_COMPUTE, now + 1);
  }
  if (c.pop_store) {
    espl_reg_add(&s->token[ESPL_TOK_SL], now, -1);
    espl_wake(s, ESPL_T_STORE, now + 1);
  }
  u->fly[u->head] = (fly){.index = index, .push_compute = c.push_compute, .push_store = c.push_store, .credit = c.credit && c.buffer == 1, .done_at = ESPL_NEVER, .tile = u->tile};
  u->head = (u->head + 1) % FLY;
  u->flying++;
  u->ready_at = now + 1 + u->prep;
  u->w = (walk){true, c.addr, c.addr, c.addr, c.row_bytes, c.row_bytes, c.rows, c.rows, c.groups};
}

static bool has_room(const espl_tsim *s, const fly *f, int64_t now) {
  return (!f->push_compute || espl_reg_get(&s->token[ESPL_TOK_LC], now) < s->m->token_max) &&
         (!f->push_store || espl_reg_get(&s->token[ESPL_TOK_LS], now) < s->m->token_max);
}

/* The oldest finished command pushes its tokens; one a cycle. */
static void retire(espl_tsim *s, struct espl_tload *u, int64_t now) {
  const fly *f = &u->fly[u->tail];
  bool room = has_room(s, f, now);
  if (!room && !f->err && !espl_stopped(s, now)) return;
  if (room && !f->err) {
    if (f->push_compute) {
      espl_reg_add(&s->token[ESPL_TOK_LC], now, 1);
      espl_wake(s, ESPL_T_COMPUTE, now + 1);
    }
    if (f->push_store) {
      espl_reg_add(&s->token[ESPL_TOK_LS], now, 1);
      espl_wake(s, ESPL_T_STORE, now + 1);
    }
  }
  u->tail = (u->tail + 1) % FLY;
  u->flying--;
  s->progress++;
  espl_wake(s, ESPL_T_LOAD, now + 1);
  espl_wake(s, ESPL_T_FETCH, now + 1);
}

static bool finished(const struct espl_tload *u, int64_t now) { return u->flying > 0 && u->fly[u->tail].done_at <= now; }

bool espl_tload_goes_on(espl_tsim *s, int64_t now) {
  struct espl_tload *u = s->load;
  if (!u->w.valid || s->wake[ESPL_T_LOAD] <= now) return false;
  if (now < u->ready_at) {
    espl_wake(s, ESPL_T_LOAD, u->ready_at);
    return false;
  }
  espl_credit_settle(s, s->now);
  if (s->credit.tail - s->credit.head > ESPL_CREDITS - ESPL_MAX_BEATS) {
    espl_wake(s, ESPL_T_LOAD, now);
    return false;
  }
  emit(s, u, now);
  return true;
}

void espl_tload_eval(espl_tsim *s, int64_t now) {
  struct espl_tload *u = s->load;
  bool taking = may_take(s, u, now);
  espl_credit_settle(s, now);
  if (finished(u, now)) retire(s, u, now);
  if (u->w.valid && !u->rq_valid && now >= u->ready_at) emit(s, u, now);
  if (u->w.valid && !u->rq_valid && now < u->ready_at) espl_wake(s, ESPL_T_LOAD, u->ready_at);
  if (taking) take(s, u, now);
  if (u->flying > 0 && u->fly[u->tail].done_at > now) espl_wake(s, ESPL_T_LOAD, u->fly[u->tail].done_at);
}

bool espl_tload_idle(const espl_tsim *s, int64_t now) {
  (void)now;
  return s->load->flying == 0;
}

static bool waits_for_room(const espl_tsim *s, int64_t now) {
  const struct espl_tload *u = s->load;
  const fly *f = &u->fly[u->tail];
  return finished(u, now) && !f->err && !has_room(s, f, now);
}

bool espl_tload_blocked(const espl_tsim *s, int64_t now) {
  const struct espl_tload *u = s->load;
  return waits_for_room(s, now) && !u->w.valid && !u->rq_valid && now > u->last_beat + 1;
}

uint32_t espl_tload_waiting_index(const espl_tsim *s, int64_t now) {
  return waits_for_room(s, now) ? s->load->fly[s->load->tail].index : UINT32_MAX;
}
