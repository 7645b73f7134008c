/* The memory port as time: rtl/port, cycle by grant. One grant a path and cycle, the oldest request first, ties to the lower requester;
 * a place is free again in the cycle after the last read beat or the write response. */
#include "timing/tsim.h"

static void drop_closed(espl_tsim *s, int path, int64_t now) {
  while (s->open[path] > 0 && s->close_at[path][s->close_head[path]] <= now) {
    s->close_head[path] = (s->close_head[path] + 1) % 16;
    s->open[path]--;
  }
}

static void add_open(espl_tsim *s, int path, int64_t free_from) {
  s->busy_to[path] = free_from - 1; /* never before that of an earlier burst */
  s->close_at[path][(s->close_head[path] + s->open[path]) % 16] = free_from;
  s->open[path]++;
}

/* The request that is served next among first..last; *more: another one is shown or will be. */
static int choose(const espl_tsim *s, int first, int last, int64_t now, bool *more) {
  int best = -1, valid = 0;
  for (int r = first; r <= last; r++) {
    if (!s->req[r].valid) continue;
    valid++;
    if (s->req[r].raised <= now && (best < 0 || s->req[r].raised < s->req[best].raised)) best = r;
  }
  *more = valid > (best >= 0);
  return best;
}

static void deliver(espl_tsim *s, int64_t now, int r, const espl_burst_time *b, bool bad) {
  switch (r) {
    case ESPL_RQ_FETCH: espl_tfetch_granted(s, now, b, bad); break;
    case ESPL_RQ_LOAD: espl_tload_granted(s, now, b, bad); break;
    case ESPL_RQ_RESIDUAL: espl_tstore_residual_granted(s, now, b, bad); break;
    case ESPL_RQ_STORE: espl_tstore_write_granted(s, now, b, bad); break;
    default: espl_tfetch_mark_granted(s, now, b, bad); break;
  }
}

static bool outside(const espl_tsim *s, const espl_request *rq) {
  uint32_t at = rq->addr & ~((uint32_t)s->m->bus_bytes - 1u);
  return at + (uint64_t)rq->beats * (uint64_t)s->m->bus_bytes > s->m->mem_bytes;
}

static void grant(espl_tsim *s, int64_t now, int path, int r) {
  espl_request rq = s->req[r];
  s->req[r].valid = false;
  espl_burst_time b;
  espl_memtime_accept(&s->mem, path, now, rq.addr, rq.beats, &b);
  drop_closed(s, path, now);
  add_open(s, path, (path == ESPL_READ ? b.last : b.resp) + 1);
  if (!s->frozen) {
    s->counter[ESPL_CNT_BUS] += now - rq.raised;
    s->counter[path == ESPL_READ ? ESPL_CNT_READ_BYTES : ESPL_CNT_WRITE_BYTES] += (int64_t)rq.beats * s->m->bus_bytes;
  }
  s->progress++;
  if (s->log && s->log->count < s->log->cap)
    s->log->event[s->log->count++] = (espl_bus_event){(uint64_t)now, rq.addr, (uint16_t)rq.beats, (uint8_t)path, (uint8_t)r};
  deliver(s, now, r, &b, outside(s, &rq));
}

/* First cycle in which a place is free, `now` at the earliest. */
static int64_t place_at(espl_tsim *s, int path, int64_t now) {
  drop_closed(s, path, now);
  return s->open[path] < s->m->mem.outstanding ? now : s->close_at[path][s->close_head[path]];
}

/* A load's burst was granted in `now`. As long as no other unit has an event, the next bursts of the same command are granted ahead of
 * their cycles: nobody else can ask before the first event, and all they do to others carries its time. */
static void go_on(espl_tsim *s, int64_t now, bool others) {
  int64_t horizon = now, wake = s->wake[ESPL_T_RDPORT];
  if (!others && s->stop_at == ESPL_NEVER && !s->log) { /* a log is in order of time */
    horizon = ESPL_NEVER;
    for (int u = ESPL_T_WRPORT; u < ESPL_T_COUNT; u++)
      if (s->wake[u] < horizon) horizon = s->wake[u];
  }
  while (espl_tload_goes_on(s, now)) {
    int64_t t = place_at(s, ESPL_READ, now + 1);
    for (int u = ESPL_T_LOAD; u <= ESPL_T_COMPUTE; u++) /* what the grant has woken */
      if (s->wake[u] < horizon) horizon = s->wake[u];
    if (t > horizon || outside(s, &s->req[ESPL_RQ_LOAD])) {
      if (t < wake) wake = t;
      break;
    }
    now = t;
    grant(s, now, ESPL_READ, ESPL_RQ_LOAD);
  }
  s->wake[ESPL_T_RDPORT] = wake;
}

static void eval_path(espl_tsim *s, int64_t now, int path, int first, int last, espl_tunit self) {
  bool more;
  int r = choose(s, first, last, now, &more);
  int64_t t = r < 0 ? now : place_at(s, path, now);
  if (t > now) {
    espl_wake(s, self, t);
    return;
  }
  if (more) espl_wake(s, self, now + 1);
  if (r < 0) return;
  grant(s, now, path, r);
  if (r == ESPL_RQ_LOAD) go_on(s, now, more);
}

void espl_trdport_eval(espl_tsim *s, int64_t now) { eval_path(s, now, ESPL_READ, ESPL_RQ_FETCH, ESPL_RQ_RESIDUAL, ESPL_T_RDPORT); }
void espl_twrport_eval(espl_tsim *s, int64_t now) { eval_path(s, now, ESPL_WRITE, ESPL_RQ_STORE, ESPL_RQ_MARK, ESPL_T_WRPORT); }
