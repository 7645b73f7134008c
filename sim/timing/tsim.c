/* The scheduler of the timing twin: goes from event to event, notices deadlock, and ends a run. See tsim.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "timing/tsim.h"

enum { DEAD_CYCLES = 64, SCAN = 8192, IDLE_EVENTS = 20000000 };

espl_tsim *espl_tsim_new(const espl_machine *m, const uint32_t (*prog)[4], const uint32_t *addr, uint32_t count, uint32_t prog_base, uint32_t prog_bytes, uint8_t *executed) {
  espl_tsim *s = espl_calloc(1, sizeof *s);
  if (!s) return NULL;
  s->m = m;
  s->prog = prog;
  s->prog_addr = addr;
  s->prog_count = count;
  s->prog_base = prog_base;
  s->prog_end = prog_base + prog_bytes;
  s->executed = executed;
  s->stop_at = ESPL_NEVER;
  s->err_met = -1;
  s->count_from = 1;
  for (int u = 0; u < ESPL_T_COUNT; u++) s->wake[u] = s->later[u] = ESPL_NEVER;
  for (int q = 0; q < 4; q++) s->queue[q] = (espl_tqueue){.depth = m->queue_depth, .popped_at = -1};
  espl_memtime_reset(&s->mem, &m->mem, 0);
  s->fetch = espl_tfetch_new(m);
  s->load = espl_tload_new(m);
  s->compute = espl_tcompute_new(m);
  s->store = espl_tstore_new(m);
  if (s->fetch && s->load && s->compute && s->store) return s;
  espl_tsim_free(s);
  return NULL;
}

void espl_tsim_free(espl_tsim *s) {
  if (!s) return;
  if (s->fetch) espl_tfetch_free(s->fetch);
  if (s->load) espl_tload_free(s->load);
  if (s->compute) espl_tcompute_free(s->compute);
  if (s->store) espl_tstore_free(s->store);
  free(s->layer);
  free(s);
}

/* Order of reports of one cycle without queues: fetch, load, store, whose residual reads come before its writes. */
static int late_code(int32_t code) { return code == ESPL_HW_BUS_WRITE ? 2 : code == ESPL_HW_BUS_READ; }

void espl_tsim_error(espl_tsim *s, int64_t now, int32_t code, uint32_t index) {
  bool first = s->err_code == ESPL_HW_NONE;
  bool before = s->m->queue_depth > 0 ? index < s->err_index : now < s->err_first || (now == s->err_first && late_code(code) < late_code(s->err_code));
  if (first || before) {
    s->err_code = code;
    s->err_index = index;
    s->err_first = now;
  }
  if (now > s->err_met) s->err_met = now;
  if (now + 2 < s->stop_at) s->stop_at = now + 2;
}

typedef struct observed {
  bool all_idle, all_idle_or_blocked;
} observed;

static observed observe(const espl_tsim *s, int64_t t) {
  bool il = espl_tload_idle(s, t), ic = espl_tcompute_idle(s, t), is = espl_tstore_idle(s, t);
  observed o = {.all_idle = il && ic && is, .all_idle_or_blocked = false};
  o.all_idle_or_blocked = (il || espl_tload_blocked(s, t)) && (ic || espl_tcompute_blocked(s, t)) && (is || espl_tstore_blocked(s, t));
  return o;
}

/* Cycle t is dead: nothing can move and something wants to. */
static bool dead(const espl_tsim *s, int64_t t) {
  if (t <= s->running_to || espl_tport_busy(s, t)) return false;
  observed o = observe(s, t);
  if (!o.all_idle_or_blocked) return false;
  if (!o.all_idle) return true;
  for (int q = ESPL_UNIT_LOAD; q <= ESPL_UNIT_STORE; q++)
    if (s->queue[q].count > 0) return true;
  return false;
}

static uint32_t lowest_waiting(const espl_tsim *s, int64_t t) {
  uint32_t low = 0xffffffu, w[3] = {espl_tload_waiting_index(s, t), espl_tcompute_waiting_index(s, t), espl_tstore_waiting_index(s, t)};
  for (int i = 0; i < 3; i++)
    if (w[i] < low) low = w[i];
  for (int q = ESPL_UNIT_LOAD; q <= ESPL_UNIT_STORE; q++)
    if (s->queue[q].count > 0 && s->queue[q].index[s->queue[q].head] < low) low = s->queue[q].index[s->queue[q].head];
  return low;
}

/* Cycle t may be the one in which `stop` is first seen, which no unit has been evaluated for. */
static void finish(espl_tsim *s, int64_t t) {
  s->done = true;
  if (!s->frozen) espl_tcompute_account(s, t);
  s->end_at = t + 1 + (s->m->queue_depth == 0);
}

/* After `stop`: the first cycle in from..to in which everything has come to rest, or in which 64 dead cycles are full. */
static void end_stopped(espl_tsim *s, int64_t from, int64_t to, int64_t *dead_since) {
  if (from < s->stop_at) from = s->stop_at;
  if (to - from > SCAN) to = from + SCAN;
  for (int64_t t = from; t <= to; t++) {
    bool report = s->err_met == t - 1;
    if (!report && !espl_tport_busy(s, t) && observe(s, t).all_idle) {
      finish(s, t);
      return;
    }
    if (!dead(s, t)) {
      *dead_since = ESPL_NEVER;
    } else {
      if (*dead_since == ESPL_NEVER) *dead_since = t;
      if (t - *dead_since == DEAD_CYCLES - 1) {
        if (!report) {
          finish(s, t);
          return;
        }
        *dead_since = t + 1;
      }
    }
  }
}

/* Before `stop`: no event between from and to, but timers inside the units may bring them to rest there (and then they stay so). Meets
 * DEADLOCK in the 64th dead cycle. */
static void find_deadlock(espl_tsim *s, int64_t from, int64_t to, int64_t *dead_since) {
  int64_t t = from;
  if (to <= s->running_to || to <= s->busy_to[0] || to <= s->busy_to[1]) {
    *dead_since = ESPL_NEVER;
    return;
  }
  if (!dead(s, t)) {
    *dead_since = ESPL_NEVER;
    int64_t last = to - from > SCAN ? from + SCAN : to;
    if (!dead(s, last)) return;
    while (!dead(s, t)) t++;
  }
  if (*dead_since == ESPL_NEVER) *dead_since = t;
  int64_t met = *dead_since + DEAD_CYCLES - 1;
  if (met > to) return;
  espl_tsim_error(s, met, ESPL_HW_DEADLOCK, lowest_waiting(s, met));
  *dead_since = met + 1;
}

/* Next cycle in which something can change; `stop` becoming visible (in a cycle after `done_to`) is such a change for every unit. */
static int64_t next_event(const espl_tsim *s, int64_t done_to) {
  int64_t n = s->stop_at > done_to ? s->stop_at : ESPL_NEVER;
  for (int u = 0; u < ESPL_T_COUNT; u++)
    if (s->wake[u] < n) n = s->wake[u];
  return n;
}

/* True when unit u is to be evaluated in `now`; its next wake takes the place of this one. */
static inline bool due(espl_tsim *s, espl_tunit u, int64_t now) {
  if (s->wake[u] > now && now != s->stop_at) return false;
  s->wake[u] = s->later[u];
  s->later[u] = ESPL_NEVER;
  return true;
}

static void evaluate(espl_tsim *s, int64_t now) {
  s->now = now;
  bool unit_moved = false;
  if (due(s, ESPL_T_RDPORT, now)) espl_trdport_eval(s, now);
  if (due(s, ESPL_T_WRPORT, now)) espl_twrport_eval(s, now);
  if (due(s, ESPL_T_FETCH, now)) espl_tfetch_eval(s, now);
  if (due(s, ESPL_T_LOAD, now)) espl_tload_eval(s, now), unit_moved = true;
  if (due(s, ESPL_T_COMPUTE, now)) espl_tcompute_eval(s, now), unit_moved = true;
  if (due(s, ESPL_T_STORE, now)) espl_tstore_eval(s, now), unit_moved = true;
  if (unit_moved && espl_tfetch_waits_quiet(s)) espl_wake(s, ESPL_T_FETCH, now + 1);
}

static void close_run(espl_tsim *s) {
  if (s->m->queue_depth == 0 && s->err_code != ESPL_HW_NONE) s->err_index = espl_tfetch_stopped_at(s);

  if (s->frozen) return;
  int64_t last = s->end_at - 1;
  espl_tcompute_account(s, last);
  s->counter[ESPL_CNT_CYCLES] = last - s->count_from + 1;
}

espl_status espl_tsim_run(espl_tsim *s, espl_err *err) {
  int64_t done_to = 0, dead_since = ESPL_NEVER, quiet_events = 0, seen = 0;
  espl_wake(s, ESPL_T_FETCH, 1);
  while (!s->done) {
    int64_t n = next_event(s, done_to);
    if (s->stop_at != ESPL_NEVER && s->stop_at <= n) {
      end_stopped(s, done_to + 1, n, &dead_since);
      if (s->done) break;
    } else if (done_to > 0 && n > done_to) {
      int64_t stop = s->stop_at;
      find_deadlock(s, done_to + 1, n, &dead_since);
      if (s->stop_at != stop) continue; /* look again: the end may come before the next event */
    }
    if (n == ESPL_NEVER) return espl_fail(err, ESPL_E_BUG, "timing model: nothing left to do in cycle %lld, command %u of %u", (long long)done_to, (unsigned)espl_tfetch_waiting_index(s, done_to + 1), (unsigned)s->prog_count);
    evaluate(s, n);
    done_to = n;
    if (s->bug) return espl_fail(err, ESPL_E_BUG, "timing model: %s (cycle %lld)", s->bug, (long long)n);
    if (s->progress != seen) {
      seen = s->progress;
      quiet_events = 0;
    } else if (++quiet_events > IDLE_EVENTS) {
      return espl_fail(err, ESPL_E_BUG, "timing model: no progress in %d events, cycle %lld", IDLE_EVENTS, (long long)n);
    }
  }
  close_run(s);
  return ESPL_OK;
}
