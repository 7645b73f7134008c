/* Command fetch as time: rtl/fetch. Prefetch of 256-byte bursts into two slots, one command dispatched a cycle, start, MARK and END. */
#include <stdlib.h>

#include "base/mem.h"
#include "device/decode.h"
#include "timing/tsim.h"

typedef enum state { PRIME, RUN, TURN, WAIT, MARK, RESET, HALT } state;

typedef struct slot {
  bool granted, bad;
  espl_burst_time b;
} slot;

struct espl_tfetch {
  state state;
  bool waiting;        /* for room (the pop wakes fetch) or quiet */
  bool for_quiet;      /* for quiet, or without queues for the pop of the offered command */
  uint32_t pc;         /* next command, index in list order */
  uint32_t at;         /* its position in the image, in commands */
  uint32_t limit;      /* commands in the image */
  uint32_t pos;        /* next burst to ask for, in 16 commands */
  int32_t slots;       /* slots in use */
  slot slot[2];
  bool rq_valid;
  int64_t granted_at, last_beat, popped_at, reset_at;
  bool marked;         /* a MARK ends in RESET; otherwise the start does */
  bool checked;        /* `pc` has passed the decoder */
  int offered;         /* without queues: the unit that `pc` was offered to, 0: none */
  int32_t late;        /* without queues 1: pops, the program's end and quiet take a cycle more, verdicts two */
  int32_t parts;       /* without queues and with two rows 3: a command is read in four parts, and is shown that many cycles later */
  int64_t quiet_at;    /* first cycle of the barrier in which all was quiet; ESPL_NEVER */
};

struct espl_tfetch *espl_tfetch_new(const espl_machine *m) {
  struct espl_tfetch *u = calloc(1, sizeof *u);
  if (!u) return NULL;
  u->late = m->queue_depth == 0;
  u->parts = u->late && m->rows == 2 ? 3 : 0;
  return u;
}
void espl_tfetch_free(struct espl_tfetch *u) { free(u); }
bool espl_tfetch_waits_quiet(const espl_tsim *s) { return s->fetch->for_quiet; }

void espl_tfetch_granted(espl_tsim *s, int64_t now, const espl_burst_time *b, bool bad) {
  struct espl_tfetch *u = s->fetch;
  slot *k = &u->slot[(u->pos - 1u) & 1u];
  k->granted = true;
  k->bad = bad;
  k->b = *b;
  u->rq_valid = false;
  u->granted_at = now;
  u->last_beat = b->last;
  espl_wake(s, ESPL_T_FETCH, now + 1);
}

void espl_tfetch_mark_granted(espl_tsim *s, int64_t now, const espl_burst_time *b, bool bad) {
  struct espl_tfetch *u = s->fetch;
  (void)now;
  if (bad) {
    espl_tsim_error(s, b->resp, ESPL_HW_BUS_WRITE, u->pc);
    u->state = HALT;
  } else {
    u->state = RESET;
    u->marked = true;
    u->reset_at = b->resp + 1;
    espl_wake(s, ESPL_T_FETCH, u->reset_at);
  }
}

static void prefetch(espl_tsim *s, struct espl_tfetch *u, int64_t now) {
  if (u->rq_valid || now <= u->granted_at || u->slots == 2 || (uint64_t)u->pos * 16u >= u->limit) return;
  uint32_t left = u->limit - u->pos * 16u, cmds = left < 16u ? left : 16u, bus = (uint32_t)s->m->bus_bytes;
  espl_port_request(s, now, ESPL_RQ_FETCH, s->prog_base + u->pos * 256u, (int32_t)((cmds * 16u + bus - 1u) / bus));
  u->slot[u->pos & 1u].granted = false;
  u->pos++;
  u->slots++;
  u->rq_valid = true;
}

static bool quiet(const espl_tsim *s, int64_t now) {
  for (int unit = ESPL_UNIT_LOAD; unit <= ESPL_UNIT_STORE; unit++)
    if (espl_queue_level(&s->queue[unit], now) > 0) return false;
  return now < s->stop_at - 1 && espl_tload_idle(s, now) && espl_tcompute_idle(s, now) && espl_tstore_idle(s, now);
}

static void refuse(espl_tsim *s, struct espl_tfetch *u, int64_t now, int code) {
  espl_tsim_error(s, now, code, u->pc);
  u->state = HALT;
}

/* The unit a command goes to, 0 for MARK and END. */
static int target(const uint32_t w[4]) {
  switch (w[0] & 15u) {
    case ESPL_OPC_CFG: return (int)(w[0] >> 4 & 3u);
    case ESPL_OPC_LOAD: return ESPL_UNIT_LOAD;
    case ESPL_OPC_COMPUTE: return ESPL_UNIT_COMPUTE;
    case ESPL_OPC_STORE: return ESPL_UNIT_STORE;
    default: return 0;
  }
}

static void pop(struct espl_tfetch *u, int64_t now) {
  u->popped_at = now;
  u->slots -= (u->at & 15u) == 15u;
  u->at++;
  u->pc++;
  u->checked = false;
}

/* Without queues: the offered command leaves in the cycle after the one in which its unit popped it. */
static void follow_offer(espl_tsim *s, struct espl_tfetch *u, int64_t now) {
  if (u->offered == 0 || s->queue[u->offered].count > 0) return;
  int64_t left = s->queue[u->offered].popped_at + u->late;
  if (now <= left) {
    espl_wake(s, ESPL_T_FETCH, left + 1);
    return;
  }
  pop(u, left);
  u->offered = 0;
}

uint32_t espl_tfetch_stopped_at(const espl_tsim *s) {
  const struct espl_tfetch *u = s->fetch;
  bool gone = u->offered != 0 && s->queue[u->offered].count == 0; /* popped, and fetch has not looked since */
  int64_t last = gone ? s->queue[u->offered].popped_at + u->late : u->popped_at;
  return u->pc + gone - (last >= s->stop_at);
}

static void dispatch(espl_tsim *s, struct espl_tfetch *u, int64_t now) {
  if (u->offered != 0) {
    u->waiting = u->for_quiet = true;
    return;
  }
  if (now <= u->popped_at + u->late) {
    espl_wake(s, ESPL_T_FETCH, u->popped_at + u->late + 1);
    return;
  }
  if (u->at >= u->limit) {
    refuse(s, u, now, ESPL_HW_TRUNCATED);
    return;
  }
  const slot *k = &u->slot[u->at >> 4 & 1u];
  if (u->at >> 4 >= u->pos || !k->granted) return; /* the grant wakes fetch */
  int64_t shown = espl_beat_time(&k->b, (int32_t)((u->at & 15u) * 16u + 15u) / s->m->bus_bytes) + 2;
  if (shown <= u->popped_at) shown = u->popped_at + 1;
  shown += 2 * u->late + u->parts;
  if (shown > now) {
    espl_wake(s, ESPL_T_FETCH, shown);
    return;
  }
  if (k->bad || u->pc >= s->prog_count) {
    refuse(s, u, now, ESPL_HW_BUS_READ);
    return;
  }
  const uint32_t *w = s->prog[u->pc];
  if (!u->checked) {
    int status = espl_machine_cmd_check(s->m, w);
    if (status != ESPL_HW_NONE) {
      refuse(s, u, now, status);
      return;
    }
    u->checked = true;
  }
  int unit = target(w);
  if (unit != 0 && s->queue[unit].depth > 0 && espl_queue_level(&s->queue[unit], now) >= s->queue[unit].depth) {
    u->waiting = true;
    return;
  }
  s->progress++;
  espl_wake(s, ESPL_T_FETCH, now + 1);
  if (unit == 0) {
    u->state = TURN;
    u->quiet_at = quiet(s, now) ? now : ESPL_NEVER;
    return;
  }
  espl_queue_push(&s->queue[unit], now, u->pc);
  espl_wake(s, (espl_tunit)(ESPL_T_LOAD + unit - ESPL_UNIT_LOAD), now + 1);
  if (s->queue[unit].depth > 0) pop(u, now);
  else u->offered = unit;
}

/* No own burst open or requested; otherwise wakes fetch when the last beat of those asked for is over (a grant wakes it before). */
static bool drained(espl_tsim *s, const struct espl_tfetch *u, int64_t now) {
  if (!u->rq_valid && now > u->last_beat) return true;
  if (!u->rq_valid) espl_wake(s, ESPL_T_FETCH, u->last_beat + 1);
  return false;
}

static bool full(espl_tsim *s, const struct espl_tfetch *u, int64_t now) {
  return drained(s, u, now) && (u->slots == 2 || (uint64_t)u->pos * 16u >= u->limit);
}

/* Looks in every evaluation of a barrier, so that the first quiet cycle is known. */
static void look_quiet(espl_tsim *s, struct espl_tfetch *u, int64_t now) {
  bool is = quiet(s, now);
  if (!is) u->quiet_at = ESPL_NEVER;
  else if (u->quiet_at == ESPL_NEVER) u->quiet_at = now;
  u->waiting = u->for_quiet = !is;
  if (is && now < u->quiet_at + u->late) espl_wake(s, ESPL_T_FETCH, now + 1);
}
static bool all_quiet(const struct espl_tfetch *u, int64_t now) { return u->quiet_at != ESPL_NEVER && now >= u->quiet_at + u->late; }

static void prime(espl_tsim *s, struct espl_tfetch *u, int64_t now) {
  prefetch(s, u, now);
  if (!full(s, u, now)) return;
  u->state = RESET;
  u->reset_at = now + 1;
  espl_wake(s, ESPL_T_FETCH, now + 1);
}

/* END stays the oldest command; a MARK is dropped with all that was prefetched behind it. */
static void turn(espl_tsim *s, struct espl_tfetch *u, int64_t now) {
  look_quiet(s, u, now);
  if (!drained(s, u, now)) return;
  if ((s->prog[u->pc][0] & 15u) == ESPL_OPC_END) {
    if (!all_quiet(u, now)) return;
    s->executed[u->pc] = 1;
    s->done = true;
    s->end_at = now + 2;
    return;
  }
  u->at = (u->at + 256u) & ~255u; /* `at` is the MARK itself: the next 4 KiB line */
  u->pos = u->at >> 4;
  u->slots = 0;
  u->checked = false;
  u->state = WAIT;
  espl_wake(s, ESPL_T_FETCH, now + 1);
}

/* The last cycle counted. */
static void snap(espl_tsim *s, struct espl_tfetch *u, int64_t now) {
  espl_cmd_mark c;
  espl_cmd_mark_decode(s->prog[u->pc], &c);
  espl_tcompute_account(s, now);
  s->counter[ESPL_CNT_CYCLES] = now - s->count_from + 1;
  s->frozen = true;
  espl_port_request(s, now, ESPL_RQ_MARK, c.record & ~255u, 64 / s->m->bus_bytes);
  u->state = MARK;
}

static void wait(espl_tsim *s, struct espl_tfetch *u, int64_t now) {
  prefetch(s, u, now);
  look_quiet(s, u, now);
  if (!full(s, u, now) || !all_quiet(u, now)) return;
  snap(s, u, now);
}

static void record(espl_tsim *s, const struct espl_tfetch *u) {
  if (s->layers == s->layer_cap) {
    int32_t cap = s->layer_cap ? 2 * s->layer_cap : 64;
    espl_tlayer *l = realloc(s->layer, (size_t)cap * sizeof *l);
    if (!l) {
      s->bug = "out of memory for layer records";
      return;
    }
    s->layer = l;
    s->layer_cap = cap;
  }
  espl_tlayer *l = &s->layer[s->layers++];
  l->mark_index = u->pc;
  for (int i = 0; i < ESPL_CNT_COUNT; i++) l->counter[i] = i < s->m->counters ? (uint32_t)s->counter[i] : 0;
}

static void reset(espl_tsim *s, struct espl_tfetch *u, int64_t now) {
  if (now < u->reset_at) {
    espl_wake(s, ESPL_T_FETCH, u->reset_at);
    return;
  }
  if (u->marked) {
    record(s, u);
    s->executed[u->pc++] = 1;
  }
  for (int i = 0; i < ESPL_CNT_COUNT; i++) s->counter[i] = 0;
  espl_tcompute_account_from(s, now);
  espl_memtime_reset(&s->mem, &s->m->mem, now);
  s->frozen = false;
  s->count_from = now + 1;
  u->state = RUN;
  espl_wake(s, ESPL_T_FETCH, now + 1);
}

void espl_tfetch_eval(espl_tsim *s, int64_t now) {
  struct espl_tfetch *u = s->fetch;
  u->waiting = u->for_quiet = false;
  follow_offer(s, u, now);
  if (u->limit == 0) u->limit = (s->prog_end - s->prog_base) / 16u;
  if (espl_stopped(s, now) && (u->state == RUN || u->state == TURN || u->state == WAIT)) u->state = HALT;
  switch (u->state) {
    case PRIME: prime(s, u, now); break;
    case RUN:
      prefetch(s, u, now); /* before dispatch: a slot freed now is seen from now+1 on */
      dispatch(s, u, now);
      break;
    case TURN: turn(s, u, now); break;
    case WAIT: wait(s, u, now); break;
    case RESET: reset(s, u, now); break;
    default: break;
  }
}

/* Fetch is never in the way of the units' own idleness; its waiting is part of the queues' heads. */
bool espl_tfetch_idle(const espl_tsim *s, int64_t now) {
  (void)now;
  return s->fetch->state == HALT;
}
bool espl_tfetch_blocked(const espl_tsim *s, int64_t now) {
  (void)now;
  return s->fetch->waiting;
}
uint32_t espl_tfetch_waiting_index(const espl_tsim *s, int64_t now) {
  (void)now;
  return s->fetch->waiting ? s->fetch->pc : UINT32_MAX;
}
