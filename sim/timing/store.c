/* The store unit as time: rtl/store, one step a burst. hw/spec/units.md, section Store, states the same recurrence.
 *
 * Constants: RqLat 4 + 2 * mul_stages or 21 (pipelined, serial), OpC = rq_cycles, Gap = RqLat + 1, Flush = RqLat + 4, NS = G / rq_lanes.
 * Pixel period P = NS * W with W = T * OpC (T taps; 1 without pooling) or, with averaging, (T-1) * OpC + Gap + OpC.
 * First operation of a pixel: t = max(t_prev + P, start + 1, release of the staging slot if its word begins a burst, last beat + 1 of the
 * residual burst if its word begins one). Between such pixels nothing can wait, so the drain is placed in stretches of n pixels: the next stretch
 * may begin at t + n*P. Last operation of a pixel: t + P - OpC. A burst is staged Flush after the last operation of its last pixel and its request is
 * raised then (or in the cycle of the previous grant). The last operation of a command is its end e: the bank is free with an event in e, the next command
 * may be taken in e+1 and issues from e + OpC on.
 * The drain is computed ahead of time, at the latest event that makes a stretch known; only what others see is done in its own cycle. */
#include <stdlib.h>

#include "timing/store_int.h"

struct espl_tstore *espl_tstore_new(const espl_machine *m) {
  struct espl_tstore *u = calloc(1, sizeof *u);
  if (!u) return NULL;
  int32_t lat = m->rq_cycles == 1 ? 4 + 2 * m->mul_stages : 21;
  u->g = espl_g(m);
  u->bus = m->bus_bytes;
  u->subs = u->g / m->rq_lanes;
  u->op_cycles = m->rq_cycles;
  u->avg_gap = lat + 1;
  u->flush = lat + 4;
  u->ring_size = m->queue_depth == 0 ? 1 : m->rq_cycles == 1 ? 4 : 2;
  u->in_place = m->queue_depth == 0;
  u->stage = m->stage_bursts;
  u->res_slots = m->res_bursts;
  u->taps = 1;
  u->state.t = u->ring_count.t = -1;
  u->drain_end = u->rd_err_at = u->wr_err_at = ESPL_NEVER;
  u->last_op = -1000;
  u->last_beat = u->last_response = -1;
  for (int i = 0; i < ESPL_ST_RING; i++) u->ring[i].complete_at = -1;
  return u;
}
void espl_tstore_free(struct espl_tstore *u) { free(u); }

static espl_sentry *entry(struct espl_tstore *u, uint32_t i) { return &u->ring[i % ESPL_ST_RING]; }
static const espl_sentry *entry_c(const struct espl_tstore *u, uint32_t i) { return &u->ring[i % ESPL_ST_RING]; }

/* State of the front at the beginning of `now`. */
static int front(const struct espl_tstore *u, int64_t now) {
  int state = espl_reg_get(&u->state, now);
  return state == ESPL_ST_DRAIN && now > u->drain_end ? ESPL_ST_IDLE : state;
}

/* Walks. */

/* A walk goes in words of g bytes: the low bits of addresses and strides are not looked at. */
static void walk_begin(espl_swalk *w, const espl_cmd_store *c, int32_t g, uint32_t addr, bool contig, uint32_t row_step, uint32_t group_step) {
  uint32_t words = ~((uint32_t)g - 1u);
  addr &= words;
  *w = (espl_swalk){.addr = addr, .row_addr = addr, .group_addr = addr, .row_step = row_step & words, .group_step = group_step & words, .contig = contig, .fresh = true};
  w->run = contig ? (int64_t)c->out_h * c->out_w : c->out_w;
  w->left = w->run;
  w->rows_left = w->rows = contig ? 1 : (int32_t)c->out_h;
  w->groups_left = (int32_t)c->groups;
}

/* Pixels to the end of the burst the next pixel lies in. */
static int64_t walk_burst(const espl_swalk *w, int32_t g) {
  int64_t n = (256 - (int64_t)(w->addr & 255u)) / g;
  return n < w->left ? n : w->left;
}
static bool walk_begins(const espl_swalk *w) { return w->fresh || (w->addr & 255u) == 0; }

/* n pixels, at most walk_burst. True when they end a burst. */
static bool walk_advance(espl_swalk *w, int64_t n, int32_t g) {
  w->addr += (uint32_t)(n * g);
  w->left -= n;
  w->fresh = w->left == 0;
  if (!w->fresh) return (w->addr & 255u) == 0;
  w->left = w->run;
  if (w->rows_left > 1) {
    w->rows_left--;
    w->addr = w->row_addr += w->row_step;
  } else {
    w->rows_left = w->rows;
    w->groups_left--;
    w->addr = w->row_addr = w->group_addr += w->group_step;
  }
  return true;
}

static uint32_t aligned(const struct espl_tstore *u, uint32_t addr) { return addr & ~((uint32_t)u->bus - 1u); }
static int32_t beats_of(const struct espl_tstore *u, uint32_t addr, int64_t bytes) {
  return (int32_t)(((int64_t)(addr & ((uint32_t)u->bus - 1u)) + bytes + u->bus - 1) / u->bus);
}

/* Drain. */

/* First cycle in which the pixel to be placed may issue; ESPL_NEVER while a grant it depends on is not there. */
static int64_t pixel_time(const struct espl_tstore *u) {
  int64_t t = u->next_op;
  if (walk_begins(&u->out) && u->opened >= (uint64_t)u->stage) {
    if (u->granted + (uint64_t)u->stage <= u->opened) return ESPL_NEVER;
    int64_t f = u->slot_free[u->opened % (uint64_t)u->stage];
    if (f > t) t = f;
  }
  if (u->residual && walk_begins(&u->res)) {
    if (u->arrived <= u->used) return ESPL_NEVER;
    int64_t r = u->res_ready[u->used % (uint64_t)u->res_slots];
    if (r > t) t = r;
  }
  return t;
}

/* One stretch of pixels from cycle t on. */
static void place(struct espl_tstore *u, int64_t t) {
  if (walk_begins(&u->out)) {
    u->write[u->opened % (uint64_t)u->stage].addr = u->out.addr;
    u->opened++;
  }
  int64_t n = walk_burst(&u->out, u->g);
  if (u->residual) {
    int64_t r = walk_burst(&u->res, u->g);
    if (r < n) n = r;
  }
  uint32_t end = u->out.addr + (uint32_t)(n * u->g);
  u->pixels -= n;
  u->next_op = t + n * u->period;
  int64_t op = u->next_op - u->op_cycles; /* the last operation of the stretch */
  if (walk_advance(&u->out, n, u->g)) {
    espl_swrite *w = &u->write[u->staged_n++ % (uint64_t)u->stage];
    w->staged = op + u->flush;
    w->beats = beats_of(u, w->addr, end - w->addr);
    w->addr = aligned(u, w->addr);
    w->entry = (int32_t)((u->tail - 1) % ESPL_ST_RING);
    w->last = u->pixels == 0;
  }
  if (u->residual && walk_advance(&u->res, n, u->g)) u->res_free[u->used++ % (uint64_t)u->res_slots] = op + 1;
  if (u->pixels == 0) {
    u->draining = false;
    u->drain_end = u->last_op = op;
  }
}

static void drain(struct espl_tstore *u) {
  while (u->draining) {
    int64_t t = pixel_time(u);
    if (t == ESPL_NEVER) return;
    place(u, t);
  }
}

static void start(struct espl_tstore *u, int64_t now) {
  const espl_cmd_store *c = &u->cmd;
  int64_t taps = c->pool ? u->taps : 1;
  int64_t window = c->pool == 2 ? (taps - 1) * u->op_cycles + u->avg_gap + u->op_cycles : taps * u->op_cycles;
  u->period = u->subs * window;
  u->pixels = (int64_t)c->groups * c->out_h * c->out_w;
  int64_t free_at = u->last_op + u->op_cycles;
  u->next_op = now + 1 > free_at ? now + 1 : free_at;
  u->draining = true;
  u->drain_end = ESPL_NEVER;
  walk_begin(&u->out, c, u->g, c->out_addr, c->out_contig, u->stride.out_row, u->stride.out_group);
  drain(u);
}

/* Grants. */

void espl_tstore_write_granted(espl_tsim *s, int64_t now, const espl_burst_time *b, bool bad) {
  struct espl_tstore *u = s->store;
  uint64_t slot = u->granted++ % (uint64_t)u->stage;
  const espl_swrite *w = &u->write[slot];
  espl_sentry *e = &u->ring[w->entry];
  u->slot_free[slot] = b->last + 1;
  u->last_response = b->resp;
  if (w->last) e->complete_at = b->resp;
  if (bad) {
    e->bad = true;
    if (u->wr_err_at == ESPL_NEVER) {
      u->wr_err_at = b->resp;
      u->wr_err_index = e->index;
    }
  }
  drain(u);
  espl_wake(s, ESPL_T_STORE, now);
}

void espl_tstore_residual_granted(espl_tsim *s, int64_t now, const espl_burst_time *b, bool bad) {
  struct espl_tstore *u = s->store;
  u->req_shown = false;
  u->form_from = now + 1;
  u->res_ready[u->arrived++ % (uint64_t)u->res_slots] = b->last + 1;
  u->last_beat = b->last;
  if (bad) {
    espl_sentry *e = entry(u, u->tail - 1);
    e->bad = true;
    if (u->rd_err_at == ESPL_NEVER) {
      u->rd_err_at = b->first;
      u->rd_err_index = e->index;
    }
  }
  drain(u);
  espl_wake(s, ESPL_T_STORE, now);
}

/* Front. */

static bool late_config(const uint32_t *w) {
  uint32_t i = w[0] >> 8 & 7u;
  return i == 1 || i >= 4;
}

static void configure(struct espl_tstore *u, const uint32_t *w) {
  switch (w[0] >> 8 & 7u) {
    case 0: espl_cmd_store_stride_decode(w, &u->stride); break;
    case 2: u->taps = (int32_t)(espl_bits_get(w, 16, 8) * espl_bits_get(w, 24, 8)); break;
    default: break; /* the other words change values only */
  }
}

/* The queue's head can be taken in `now`; *at: if not, the cycle from which a configuration word could. */
static bool can_take(const espl_tsim *s, int64_t now, int64_t *at) {
  const struct espl_tstore *u = s->store;
  const espl_tqueue *q = &s->queue[ESPL_UNIT_STORE];
  *at = ESPL_NEVER;
  if (!espl_queue_visible(q, now) || espl_stopped(s, now)) return false;
  const uint32_t *w = s->prog[q->index[q->head]];
  if ((w[0] & 15u) != ESPL_OPC_CFG) return espl_reg_get(&u->ring_count, now) < u->ring_size;
  int64_t flushed = u->last_op + u->flush + 1;
  if (!late_config(w) || now >= flushed) return true;
  *at = flushed;
  return false;
}

/* The command is done with; without queues its entry was kept until now. */
static void let_go(espl_tsim *s, const struct espl_tstore *u, int64_t now) {
  if (u->in_place) espl_queue_pop(&s->queue[ESPL_UNIT_STORE], now);
  espl_wake(s, ESPL_T_FETCH, now + 1);
}

static void take(espl_tsim *s, struct espl_tstore *u, int64_t now) {
  espl_tqueue *head = &s->queue[ESPL_UNIT_STORE];
  uint32_t index = head->index[head->head];
  const uint32_t *w = s->prog[index];
  if (!u->in_place || (w[0] & 15u) == ESPL_OPC_CFG) espl_queue_pop(head, now);
  s->executed[index] = 1;
  espl_wake(s, ESPL_T_FETCH, now + 1);
  espl_wake(s, ESPL_T_STORE, now + 1);
  if ((w[0] & 15u) == ESPL_OPC_CFG) {
    configure(u, w);
    return;
  }
  espl_cmd_store_decode(w, &u->cmd);
  u->residual = s->m->residual && u->cmd.residual && u->cmd.pool == 0;
  *entry(u, u->tail++) = (espl_sentry){.index = index, .push_load = u->cmd.push_load, .push_compute = u->cmd.push_compute, .complete_at = ESPL_NEVER};
  espl_reg_add(&u->ring_count, now, 1);
  espl_reg_set(&u->state, now, ESPL_ST_POP);
}

static bool pops_ok(const espl_tsim *s, const struct espl_tstore *u, int64_t now) {
  return (!u->cmd.pop_load || espl_reg_get(&s->token[ESPL_TOK_LS], now) > 0) && (!u->cmd.pop_compute || espl_reg_get(&s->token[ESPL_TOK_CS], now) > 0);
}

static void pop(espl_tsim *s, struct espl_tstore *u, int64_t now) {
  if (u->cmd.pop_load) {
    espl_reg_add(&s->token[ESPL_TOK_LS], now, -1);
    espl_wake(s, ESPL_T_LOAD, now + 1);
  }
  if (u->cmd.pop_compute) {
    espl_reg_add(&s->token[ESPL_TOK_CS], now, -1);
    espl_wake(s, ESPL_T_COMPUTE, now + 1);
  }
  if (u->residual) {
    const espl_cmd_store *c = &u->cmd;
    walk_begin(&u->rq, c, u->g, c->res_addr, c->res_contig, u->stride.res_row, u->stride.res_group);
    u->res = u->rq;
    u->reading = true;
    u->read_from = now + 1;
    u->formed = u->arrived = u->used = 0;
  }
  espl_reg_set(&u->state, now, ESPL_ST_BANK);
  espl_wake(s, ESPL_T_STORE, now + 1);
}

static bool reader_busy(const struct espl_tstore *u, int64_t now) { return u->req_shown || now <= u->last_beat; }

/* The command's bank can be drained; a pooling one reads it in another order than it is written, so it waits for the last sum. */
static bool bank_ready(const espl_tsim *s, const struct espl_tstore *u, int64_t now) {
  const espl_tbank *b = &s->bank[u->cmd.bank];
  return espl_reg_get(&b->full, now) && (u->cmd.pool == 0 || now > b->moving_to);
}

/* After stop a command that waits is given up. */
static bool gives_up(const espl_tsim *s, const struct espl_tstore *u, int64_t now) {
  if (!espl_stopped(s, now)) return false;
  int state = front(u, now);
  if (state == ESPL_ST_POP) return !pops_ok(s, u, now);
  return state == ESPL_ST_BANK && !bank_ready(s, u, now) && !reader_busy(u, now);
}

static void give_up(espl_tsim *s, struct espl_tstore *u, int64_t now) {
  espl_sentry *e = entry(u, --u->tail);
  e->complete_at = -1;
  s->executed[e->index] = 0;
  u->reading = false;
  espl_reg_add(&u->ring_count, now, -1);
  espl_reg_set(&u->state, now, ESPL_ST_IDLE);
  espl_wake(s, ESPL_T_STORE, now + 1);
  let_go(s, u, now);
}

static void free_bank(espl_tsim *s, struct espl_tstore *u, int64_t now) {
  espl_reg_set(&s->bank[u->cmd.bank].taken, now, 0);
  espl_reg_set(&s->bank[u->cmd.bank].full, now, 0);
  espl_wake(s, ESPL_T_COMPUTE, now + 1);
  espl_wake(s, ESPL_T_STORE, now + 1);
}

/* One step of the front; returns the next cycle it knows of. */
static int64_t step_front(espl_tsim *s, struct espl_tstore *u, int64_t now) {
  int64_t at = ESPL_NEVER;
  if (gives_up(s, u, now)) {
    give_up(s, u, now);
    return at;
  }
  switch (front(u, now)) {
    case ESPL_ST_IDLE:
      if (can_take(s, now, &at)) take(s, u, now);
      return at;
    case ESPL_ST_POP:
      if (pops_ok(s, u, now)) pop(s, u, now);
      return at;
    case ESPL_ST_BANK:
      if (bank_ready(s, u, now)) {
        espl_reg_set(&u->state, now, ESPL_ST_DRAIN);
        start(u, now);
        espl_wake(s, ESPL_T_STORE, now + 1);
        return u->drain_end;
      }
      if (espl_reg_get(&s->bank[u->cmd.bank].full, now)) at = s->bank[u->cmd.bank].moving_to + 1;
      return espl_stopped(s, now) && u->residual ? (u->last_beat >= now ? u->last_beat + 1 : at) : at;
    default:
      if (now == u->drain_end) free_bank(s, u, now);
      return now < u->drain_end ? u->drain_end : ESPL_NEVER;
  }
}

/* Requests. */

static int64_t raise_write(espl_tsim *s, struct espl_tstore *u, int64_t now) {
  if (u->requested != u->granted || u->requested == u->staged_n) return ESPL_NEVER;
  const espl_swrite *w = &u->write[u->requested % (uint64_t)u->stage];
  if (w->staged > now) return w->staged;
  espl_port_request(s, now, ESPL_RQ_STORE, w->addr, w->beats);
  u->requested++;
  return ESPL_NEVER;
}

/* First cycle in which the reader can form its next request; ESPL_NEVER: not known yet or nothing left. */
static int64_t form_time(const struct espl_tstore *u) {
  if (!u->reading || u->req_shown) return ESPL_NEVER;
  int64_t older = entry_c(u, u->tail - 2)->complete_at;
  if (older == ESPL_NEVER) return ESPL_NEVER;
  int64_t t = u->read_from > older + 1 ? u->read_from : older + 1;
  if (t < u->form_from) t = u->form_from;
  if (u->formed >= (uint64_t)u->res_slots) {
    if (u->used + (uint64_t)u->res_slots <= u->formed) return ESPL_NEVER;
    int64_t f = u->res_free[u->formed % (uint64_t)u->res_slots];
    if (f > t) t = f;
  }
  return t;
}

static bool reader_held(const espl_tsim *s, const struct espl_tstore *u, int64_t now) { return espl_stopped(s, now) && front(u, now) == ESPL_ST_BANK; }

static int64_t form_read(espl_tsim *s, struct espl_tstore *u, int64_t now) {
  int64_t t = form_time(u);
  if (t > now) return t;
  if (reader_held(s, u, now)) return ESPL_NEVER; /* a start or a give-up follows and wakes the unit */
  int64_t n = walk_burst(&u->rq, u->g);
  espl_port_request(s, now, ESPL_RQ_RESIDUAL, aligned(u, u->rq.addr), beats_of(u, u->rq.addr, n * u->g));
  walk_advance(&u->rq, n, u->g);
  u->reading = u->rq.groups_left > 0;
  u->req_shown = true;
  u->formed++;
  return ESPL_NEVER;
}

/* Retirement and errors. */

static bool has_room(const espl_tsim *s, const espl_sentry *e, int64_t now) {
  return (!e->push_load || espl_reg_get(&s->token[ESPL_TOK_SL], now) < s->m->token_max) &&
         (!e->push_compute || espl_reg_get(&s->token[ESPL_TOK_SC], now) < s->m->token_max);
}
static bool complete(const struct espl_tstore *u, int64_t now) { return u->head != u->tail && entry_c(u, u->head)->complete_at < now; }
static bool retires(const espl_tsim *s, const struct espl_tstore *u, int64_t now) {
  const espl_sentry *e = entry_c(u, u->head);
  return complete(u, now) && (has_room(s, e, now) || e->bad || espl_stopped(s, now));
}

static int64_t retire(espl_tsim *s, struct espl_tstore *u, int64_t now) {
  if (retires(s, u, now)) {
    const espl_sentry *e = entry(u, u->head);
    if (has_room(s, e, now) && !e->bad) {
      if (e->push_load) {
        espl_reg_add(&s->token[ESPL_TOK_SL], now, 1);
        espl_wake(s, ESPL_T_LOAD, now + 1);
      }
      if (e->push_compute) {
        espl_reg_add(&s->token[ESPL_TOK_SC], now, 1);
        espl_wake(s, ESPL_T_COMPUTE, now + 1);
      }
    }
    u->head++;
    s->progress++;
    espl_reg_add(&u->ring_count, now, -1);
    let_go(s, u, now);
    espl_wake(s, ESPL_T_STORE, now + 1);
    return ESPL_NEVER;
  }
  if (u->head == u->tail) return ESPL_NEVER;
  int64_t z = entry(u, u->head)->complete_at;
  return z != ESPL_NEVER && z >= now ? z + 1 : ESPL_NEVER;
}

/* Errors of one cycle are of one command; the read error is the one reported. */
static int64_t report(espl_tsim *s, struct espl_tstore *u, int64_t now) {
  if (u->rd_err_at == now) espl_tsim_error(s, now, ESPL_HW_BUS_READ, u->rd_err_index);
  else if (u->wr_err_at == now) espl_tsim_error(s, now, ESPL_HW_BUS_WRITE, u->wr_err_index);
  int64_t t = ESPL_NEVER;
  if (u->rd_err_at > now) t = u->rd_err_at;
  if (u->wr_err_at > now && u->wr_err_at < t) t = u->wr_err_at;
  return t;
}

void espl_tstore_eval(espl_tsim *s, int64_t now) {
  struct espl_tstore *u = s->store;
  espl_wake(s, ESPL_T_STORE, form_read(s, u, now));
  espl_wake(s, ESPL_T_STORE, step_front(s, u, now));
  espl_wake(s, ESPL_T_STORE, raise_write(s, u, now));
  espl_wake(s, ESPL_T_STORE, retire(s, u, now));
  espl_wake(s, ESPL_T_STORE, report(s, u, now));
  if (s->stop_at != ESPL_NEVER && s->stop_at > now) espl_wake(s, ESPL_T_STORE, s->stop_at);
}

/* Observations. */

bool espl_tstore_idle(const espl_tsim *s, int64_t now) { return espl_reg_get(&s->store->ring_count, now) == 0; }

/* Something of the front happens in `now`. */
static bool front_acts(const espl_tsim *s, const struct espl_tstore *u, int64_t now) {
  int64_t at;
  if (gives_up(s, u, now)) return true;
  switch (front(u, now)) {
    case ESPL_ST_IDLE: return can_take(s, now, &at);
    case ESPL_ST_POP: return pops_ok(s, u, now);
    case ESPL_ST_BANK: return bank_ready(s, u, now);
    default: return true;
  }
}

bool espl_tstore_blocked(const espl_tsim *s, int64_t now) {
  const struct espl_tstore *u = s->store;
  bool quiet = u->opened == u->granted && now > u->last_response;
  return !espl_tstore_idle(s, now) && quiet && !reader_busy(u, now) && !front_acts(s, u, now) && !retires(s, u, now) &&
         !(form_time(u) <= now && !reader_held(s, u, now));
}

uint32_t espl_tstore_waiting_index(const espl_tsim *s, int64_t now) {
  const struct espl_tstore *u = s->store;
  int state = front(u, now);
  if (complete(u, now)) return entry_c(u, u->head)->index;
  return state == ESPL_ST_POP || state == ESPL_ST_BANK ? entry_c(u, u->tail - 1)->index : UINT32_MAX;
}
