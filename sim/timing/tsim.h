/* The event-driven, cycle-exact twin of the core: shared state of its units and the scheduler.
 *
 * Law: the model is the RTL evaluated only in the cycles in which something can change. Time is an int64 cycle number; cycle 1 is the
 * first cycle in which the core is running (the cycle after the accepted start write).
 *   1. A unit's eval(s, now) does what the unit's RTL does in cycle `now`: it reads registered state as it stands at the
 *      beginning of `now` and writes what the registers hold from now+1 on.
 *   2. A unit that changes something another unit looks at calls espl_wake(s, that unit, now + 1).
 *      Waking a unit too often is harmless; evaluating a unit in a cycle in which nothing changed must not change anything.
 *   3. Ports are evaluated before all other units in a cycle: a grant is combinational.
 *   4. No loop over cycles: work per event only (bursts, passes, commands).
 *   5. A unit may run ahead of `now` up to and including the first cycle in which any other unit has a wake, because until then nobody can
 *      change what it looks at; what it does to others carries its own time (wakes, credits, ends of commands). */
#ifndef ESPL_TIMING_TSIM_H
#define ESPL_TIMING_TSIM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "device/device.h"
#include "timing/memtime.h"

#define ESPL_NEVER INT64_MAX

/* Scheduler slots, in the order of evaluation within a cycle. */
typedef enum espl_tunit { ESPL_T_RDPORT, ESPL_T_WRPORT, ESPL_T_FETCH, ESPL_T_LOAD, ESPL_T_COMPUTE, ESPL_T_STORE, ESPL_T_COUNT } espl_tunit;

/* A counter register: `cur` is its value in cycles <= t, `next` afterwards. */
typedef struct espl_reg {
  int64_t t;
  int32_t cur, next;
} espl_reg;
static inline int32_t espl_reg_get(const espl_reg *r, int64_t now) { return r->t < now ? r->next : r->cur; }
static inline void espl_reg_add(espl_reg *r, int64_t now, int32_t delta) {
  if (r->t < now) { r->cur = r->next; r->t = now; }
  r->next += delta;
}
static inline void espl_reg_set(espl_reg *r, int64_t now, int32_t v) {
  if (r->t < now) { r->cur = r->next; r->t = now; }
  r->next = v;
}

typedef enum espl_token { ESPL_TOK_LC, ESPL_TOK_CL, ESPL_TOK_LS, ESPL_TOK_SL, ESPL_TOK_CS, ESPL_TOK_SC, ESPL_TOK_COUNT } espl_token;

/* A unit's command queue. An entry pushed in cycle t is visible from t+1; fetch sees the room of a pop in t from t+1.
 * With queue_depth 0 (depth 0) an entry is the oldest prefetched command, offered to its unit; it is popped when the unit lets go of it. */
#define ESPL_QUEUE_MAX 16
typedef struct espl_tqueue {
  int32_t head, count, depth;
  uint32_t index[ESPL_QUEUE_MAX]; /* command index: the words are s->prog[index] */
  int64_t pushed[ESPL_QUEUE_MAX];
  int64_t popped_at;              /* cycle of the last pop */
} espl_tqueue;
static inline bool espl_queue_visible(const espl_tqueue *q, int64_t now) { return q->count > 0 && q->pushed[q->head] < now; }
static inline int32_t espl_queue_level(const espl_tqueue *q, int64_t now) { return q->count + (q->popped_at == now); } /* registered count, as fetch sees it */
static inline void espl_queue_push(espl_tqueue *q, int64_t now, uint32_t index) {
  int32_t slot = (q->head + q->count++) % ESPL_QUEUE_MAX;
  q->index[slot] = index;
  q->pushed[slot] = now;
}
static inline uint32_t espl_queue_pop(espl_tqueue *q, int64_t now) {
  uint32_t i = q->index[q->head];
  q->head = (q->head + 1) % ESPL_QUEUE_MAX;
  q->count--;
  q->popped_at = now;
  return i;
}

/* Requesters of the memory port; the order is the priority of ties on a path. */
typedef enum espl_requester { ESPL_RQ_FETCH, ESPL_RQ_LOAD, ESPL_RQ_RESIDUAL, ESPL_RQ_STORE, ESPL_RQ_MARK, ESPL_RQ_COUNT } espl_requester;

typedef struct espl_request {
  bool valid;
  int64_t raised; /* first cycle in which the port sees it */
  uint32_t addr;
  int32_t beats;
} espl_request;

/* Weight credits: pushes are known before their cycle, so they wait here with their times instead of as events. A push in cycle t can be
 * taken from t+1 on. */
#define ESPL_CREDITS 2048 /* places for pushes that are not taken: 16 open bursts of at most 64 beats, one push a beat */
typedef struct espl_credits {
  int64_t there;               /* pushed before the first entry of the ring */
  uint32_t head, tail;         /* free running */
  int64_t t[ESPL_CREDITS];     /* cycle of the push, increasing */
  int32_t n[ESPL_CREDITS];
} espl_credits;

typedef struct espl_tsim espl_tsim;
struct espl_tfetch; struct espl_tload; struct espl_tcompute; struct espl_tstore;

/* Bank state, owned by compute (taken, full) and store (free): see hw/spec/units.md. */
typedef struct espl_tbank {
  espl_reg taken; /* 1 from the cycle after compute took it until the cycle after store freed it */
  espl_reg full;  /* 1 from the cycle after compute released it until the cycle after store freed it */
  int64_t moving_to; /* last cycle in which sums of a command of one tile are still on their way to it: a pooling store waits for them */
} espl_tbank;

typedef struct espl_tlayer {
  uint32_t mark_index, counter[ESPL_CNT_COUNT];
} espl_tlayer;

struct espl_tsim {
  const espl_machine *m;
  const uint32_t (*prog)[4]; /* commands in list order, padding between layers left out */
  const uint32_t *prog_addr; /* [prog_count] memory address of each command */
  uint32_t prog_count;
  uint32_t prog_base;        /* PROG_ADDR */
  uint32_t prog_end;         /* PROG_ADDR + PROG_BYTES */
  uint8_t *executed;         /* [prog_count] set to 1 when a unit takes the command (errors: what memory must reflect) */

  int64_t now, wake[ESPL_T_COUNT];
  int64_t running_to;        /* last cycle of the pass that runs (compute) */
  int64_t busy_to[2];        /* last cycle with a burst open, by path */
  int64_t later[ESPL_T_COUNT]; /* the next wake of a unit that is still to be evaluated in `now` */
  espl_reg token[ESPL_TOK_COUNT];
  espl_credits credit;
  espl_tbank bank[2];
  espl_tqueue queue[4];      /* by espl_unit 1..3 */

  espl_memtime mem;
  espl_request req[ESPL_RQ_COUNT];
  espl_bus_log *log;         /* NULL, or where granted bursts are written down */
  int32_t open[2];           /* bursts open by path, as the arbiter sees them in `now` */
  int64_t close_at[2][16];   /* ring of the open bursts: first cycle in which the place is free, in order */
  int32_t close_head[2];

  int64_t stop_at;           /* first cycle in which `stop` is seen; ESPL_NEVER */
  int32_t err_code;
  uint32_t err_index;
  int64_t err_met;           /* cycle in which the last error was met */
  int64_t err_first;         /* without queues: cycle in which the error that counts was met */
  bool done;
  int64_t end_at;            /* cycle in which the interrupt rises */

  int64_t counter[ESPL_CNT_COUNT]; /* since the last MARK */
  bool frozen;               /* between the snapshot of a MARK and its mem_reset nothing is counted */
  int64_t count_from;        /* first counted cycle of the layer */
  espl_tlayer *layer;        /* [layers] records of the MARKs so far */
  int32_t layers, layer_cap;
  int64_t progress;          /* grants, dispatches and retirements so far (the guard against an endless run) */
  const char *bug;           /* a broken promise of the model itself, or NULL */
  struct espl_tfetch *fetch;
  struct espl_tload *load;
  struct espl_tcompute *compute;
  struct espl_tstore *store;
};

static inline void espl_wake(espl_tsim *s, espl_tunit u, int64_t t) {
  if (t > s->now && s->wake[u] <= s->now) {
    if (t < s->later[u]) s->later[u] = t;
  } else if (t < s->wake[u]) {
    if (t <= s->now && s->wake[u] < s->later[u]) s->later[u] = s->wake[u];
    s->wake[u] = t;
  }
}
/* First cycle in which a credit can be taken; ESPL_NEVER when none is known. */
static inline int64_t espl_credit_at(const espl_tsim *s) {
  const espl_credits *c = &s->credit;
  return c->there > 0 ? 0 : c->head != c->tail ? c->t[c->head % ESPL_CREDITS] + 1 : ESPL_NEVER;
}
static inline void espl_credit_take(espl_tsim *s) {
  espl_credits *c = &s->credit;
  if (c->there == 0) c->there = c->n[c->head++ % ESPL_CREDITS];
  c->there--;
}
/* Pushes that could be taken before cycle `now` need no place of their own any more. */
static inline void espl_credit_settle(espl_tsim *s, int64_t now) {
  espl_credits *c = &s->credit;
  for (; c->head != c->tail && c->t[c->head % ESPL_CREDITS] < now - 1; c->head++) c->there += c->n[c->head % ESPL_CREDITS];
}
/* n credits pushed in cycle t, not before the last push. */
static inline void espl_credit_push(espl_tsim *s, int64_t t, int32_t n) {
  espl_credits *c = &s->credit;
  if (espl_credit_at(s) == ESPL_NEVER) espl_wake(s, ESPL_T_COMPUTE, t + 1);
  if (c->head != c->tail && c->t[(c->tail - 1) % ESPL_CREDITS] == t) {
    c->n[(c->tail - 1) % ESPL_CREDITS] += n;
    return;
  }
  if (c->tail - c->head == ESPL_CREDITS) {
    s->bug = "load: no place for a credit";
    return;
  }
  c->t[c->tail % ESPL_CREDITS] = t;
  c->n[c->tail++ % ESPL_CREDITS] = n;
}
static inline bool espl_stopped(const espl_tsim *s, int64_t now) { return now >= s->stop_at; }
/* Reports an error met in cycle `now` (the report register shows it in now+1, `stop` is seen from now+2 on); the lowest index wins. Without
 * queues the first error wins, and its index is that of the oldest command when `stop` is seen.
 * `now` may lie ahead when the cycle is known already. Every unit is evaluated in the first cycle in which stop is seen. */
void espl_tsim_error(espl_tsim *s, int64_t now, int32_t code, uint32_t index);

/* Raises a request in cycle `now` (the port sees it from now+1). The requester must not have one valid. */
static inline void espl_port_request(espl_tsim *s, int64_t now, espl_requester r, uint32_t addr, int32_t beats) {
  s->req[r] = (espl_request){true, now + 1, addr, beats};
  espl_wake(s, r <= ESPL_RQ_RESIDUAL ? ESPL_T_RDPORT : ESPL_T_WRPORT, now + 1);
}

/* Called by the port in the cycle of the grant, before the unit itself is evaluated in that cycle. `bad`: outside memory. */
void espl_tfetch_granted(espl_tsim *s, int64_t now, const espl_burst_time *b, bool bad);
void espl_tload_granted(espl_tsim *s, int64_t now, const espl_burst_time *b, bool bad);
/* After a grant in `now`: forms the next request of the same command as its evaluation would (the port then sees it in now+1). False: there is
 * none, or the unit is to be evaluated in `now` anyway. */
bool espl_tload_goes_on(espl_tsim *s, int64_t now);
void espl_tstore_residual_granted(espl_tsim *s, int64_t now, const espl_burst_time *b, bool bad);
void espl_tstore_write_granted(espl_tsim *s, int64_t now, const espl_burst_time *b, bool bad);
void espl_tfetch_mark_granted(espl_tsim *s, int64_t now, const espl_burst_time *b, bool bad);

/* Each unit: create (NULL: out of memory), free, evaluate cycle s->now, and two observations used by MARK/END/deadlock,
 * both functions of registered state in cycle `now`:
 *   idle: no command taken and unfinished (its queue is not part of this);
 *   blocked: not idle, and only waiting for a token, a credit, a bank or room in a token counter, with nothing in its pipes.
 * waiting_index: lowest command index the unit waits at (UINT32_MAX: none), for the deadlock report. */
#define ESPL_TUNIT_API(unit)                                          \
  struct espl_t##unit *espl_t##unit##_new(const espl_machine *m);     \
  void espl_t##unit##_free(struct espl_t##unit *u);                   \
  void espl_t##unit##_eval(espl_tsim *s, int64_t now);                \
  bool espl_t##unit##_idle(const espl_tsim *s, int64_t now);          \
  bool espl_t##unit##_blocked(const espl_tsim *s, int64_t now);       \
  uint32_t espl_t##unit##_waiting_index(const espl_tsim *s, int64_t now);
ESPL_TUNIT_API(fetch)
ESPL_TUNIT_API(load)
ESPL_TUNIT_API(compute)
ESPL_TUNIT_API(store)
/* Fetch waits until all units are idle, or until its offered command is gone: the scheduler then evaluates it after every change of a unit. */
bool espl_tfetch_waits_quiet(const espl_tsim *s);
/* Without queues: list index of the oldest command not popped before `stop` was seen. */
uint32_t espl_tfetch_stopped_at(const espl_tsim *s);
/* A burst is open or requested in cycle t (t not before the last evaluated cycle + 1). */
static inline bool espl_tport_busy(const espl_tsim *s, int64_t t) {
  if (s->busy_to[0] >= t || s->busy_to[1] >= t) return true;
  for (int r = 0; r < ESPL_RQ_COUNT; r++)
    if (s->req[r].valid && s->req[r].raised <= t) return true;
  return false;
}
void espl_trdport_eval(espl_tsim *s, int64_t now);
void espl_twrport_eval(espl_tsim *s, int64_t now);

/* Compute books every cycle up to and including `upto` into busy/stall/idle counters (called before a snapshot). */
void espl_tcompute_account(espl_tsim *s, int64_t upto);
/* Counters are cleared by MARK: accounting starts again after cycle `at`. */
void espl_tcompute_account_from(espl_tsim *s, int64_t at);

/* A run. prog, addr, executed are borrowed; NULL: out of memory. run: until the interrupt; E_BUG or E_NOMEM otherwise. */
espl_tsim *espl_tsim_new(const espl_machine *m, const uint32_t (*prog)[4], const uint32_t *addr, uint32_t count, uint32_t prog_base, uint32_t prog_bytes, uint8_t *executed);
void espl_tsim_free(espl_tsim *s);
espl_status espl_tsim_run(espl_tsim *s, espl_err *err) ESPL_MUST_CHECK;

#endif
