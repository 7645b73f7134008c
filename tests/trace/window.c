/* window: an FST trace of a window of cycles holds exactly those cycles, and what the core did in them.
 *
 * A random program runs on the 4x4 core with a trace over a window. The file is read with the reader that comes with Verilator: the clock
 * rises and falls once in every cycle of the window and at no other time, and the requests at the memory port stand in the trace in the very
 * cycles, with the very addresses, in which the memory wrote them down by itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/rtl.h"
#include "fstapi.h"
#include "map/machine_yaml.h"
#include "progen.h"

#define LOG_CAP 65536u
#define CYCLE 10000u /* a clock period in the trace's unit, picoseconds */

enum { CLK, RD_VALID, RD_ADDR, WR_VALID, WR_ADDR, SIGNALS };
static const char *const names[SIGNALS] = {"clk_i", "mem_rd_req_valid_o", "mem_rd_req_addr_o", "mem_wr_req_valid_o", "mem_wr_req_addr_o"};

/* What was seen of the trace; `now` counts cycles from the first one of the window. */
typedef struct seen {
  fstHandle handle[SIGNALS];
  uint64_t value[SIGNALS], first, rises, falls, wrong_times, requests, wrong_requests;
  bool begun;
  uint64_t time;
  const espl_bus_log *log;
  uint64_t from, at; /* cycle number of the first cycle; next event of the log */
} seen;

static uint64_t bits(const unsigned char *text) {
  uint64_t v = 0;
  for (; *text; text++) v = v << 1 | (*text == '1');
  return v;
}

static const espl_bus_event *event_at(const espl_bus_log *log, uint64_t cycle, int channel) {
  for (uint32_t i = 0; i < log->count; i++)
    if (log->event[i].cycle == cycle && log->event[i].channel == channel) return &log->event[i];
  return NULL;
}

/* The wires after the clock fell: in the middle of a cycle, when the memory looks at them. */
static void look(seen *s) {
  uint64_t cycle = s->from + (s->time - s->first) / CYCLE;
  for (int channel = 0; channel < 2; channel++) {
    const espl_bus_event *e = event_at(s->log, cycle, channel);
    bool valid = s->value[channel ? WR_VALID : RD_VALID] != 0;
    s->requests += valid;
    if (valid != (e != NULL) || (e && s->value[channel ? WR_ADDR : RD_ADDR] != e->addr)) s->wrong_requests++;
  }
}

/* All changes of one time have come. */
static void end_of_time(seen *s) {
  if (!s->begun) return;
  uint64_t phase = (s->time - s->first) % CYCLE;
  if (phase != 0 && phase != CYCLE / 2) s->wrong_times++;
  if (phase == CYCLE / 2) look(s);
}

static void change(void *user, uint64_t time, fstHandle h, const unsigned char *value) {
  seen *s = user;
  if (s->begun && time != s->time) end_of_time(s);
  if (!s->begun) s->first = time;
  s->begun = true;
  s->time = time;
  for (int i = 0; i < SIGNALS; i++) {
    if (s->handle[i] != h) continue;
    s->value[i] = bits(value);
    if (i == CLK && s->value[i]) s->rises++;
    if (i == CLK && !s->value[i]) s->falls++;
  }
}

static void find_signals(void *fst, seen *s) {
  int depth = 0;
  for (struct fstHier *h; (h = fstReaderIterateHier(fst));) {
    if (h->htyp == FST_HT_SCOPE) depth++;
    if (h->htyp == FST_HT_UPSCOPE) depth--;
    for (int i = 0; i < SIGNALS && h->htyp == FST_HT_VAR; i++)
      if (strncmp(h->u.var.name, names[i], strlen(names[i])) == 0 && strchr(" [", h->u.var.name[strlen(names[i])]) && !s->handle[i]) s->handle[i] = h->u.var.handle;
  }
}

/* 0: the file holds cycles from..to of the run and nothing else. */
static int check_file(const char *path, const espl_bus_log *log, uint64_t from, uint64_t to) {
  seen s = {.log = log, .from = from};
  void *fst = fstReaderOpen(path);
  if (!fst) {
    printf("FAIL %s is not an FST file\n", path);
    return 1;
  }
  find_signals(fst, &s);
  int missing = 0;
  for (int i = 0; i < SIGNALS; i++) missing += s.handle[i] == 0;
  fstReaderSetFacProcessMaskAll(fst);
  fstReaderIterBlocks(fst, change, &s, NULL);
  end_of_time(&s);
  fstReaderClose(fst);
  uint64_t cycles = to - from + 1, held = s.begun ? (s.time - s.first) / CYCLE + 1 : 0;
  bool ok = !missing && s.rises == cycles && s.falls == cycles && held == cycles && s.wrong_times == 0 && s.wrong_requests == 0;
  printf("%s cycles %" PRIu64 "..%" PRIu64 ": the trace holds %" PRIu64 " cycles, the clock rises %" PRIu64 " and falls %" PRIu64 " times, %" PRIu64
         " requests (%" PRIu64 " wrong), %" PRIu64 " wrong times, %d wires missing\n",
         ok ? "ok  " : "FAIL", from, to, held, s.rises, s.falls, s.requests, s.wrong_requests, s.wrong_times, missing);
  return !ok;
}

typedef struct fixture {
  pg_program *p;
  espl_rtl *rtl;
  uint8_t *memory;
  espl_bus_log log;
  uint64_t cycles;
} fixture;

static espl_status run(fixture *f, const espl_trace *trace, espl_err *err) {
  espl_run_result r = {0};
  memcpy(f->memory, f->p->memory, f->p->machine.mem_bytes);
  espl_run run = {.machine = &f->p->machine, .memory = f->memory, .prog_addr = f->p->prog_addr, .prog_bytes = f->p->prog_bytes, .log = &f->log, .trace = trace};
  espl_status s = espl_rtl_run(f->rtl, &run, &r, err);
  f->cycles = r.cycles;
  espl_run_result_clear(&r);
  return s;
}

static int windows(fixture *f, espl_err *err) {
  const char *path = "trace-window.fst";
  if (run(f, NULL, err) != ESPL_OK) return 1;
  uint64_t n = f->cycles, busy = f->log.event[f->log.count / 2].cycle;
  const struct { uint64_t from, to; } w[] = {{0, 60}, {busy, busy}, {busy - 7, busy + 600}, {n - 100, n}, {0, n}};
  int failed = 0;
  for (size_t i = 0; i < sizeof w / sizeof *w; i++) {
    espl_trace t = {path, w[i].from, w[i].to};
    remove(path);
    if (run(f, &t, err) != ESPL_OK) return 1;
    failed += check_file(path, &f->log, w[i].from, w[i].to);
  }
  remove(path);
  espl_trace late = {path, 100 * n, 100 * n + 10};
  bool refused = run(f, &late, err) == ESPL_E_FAILED && strstr(err->msg, "before the first cycle of the trace");
  printf("%s a window behind the end of the run: %s\n", refused ? "ok  " : "FAIL", err->msg);
  *err = (espl_err){0};
  failed += !refused;
  printf("%zu passed, %d failed\n", sizeof w / sizeof *w + 1 - (size_t)failed, failed);
  return failed;
}

int main(void) {
  espl_err err = {0};
  espl_machine m;
  fixture f = {.log = {.event = calloc(LOG_CAP, sizeof(espl_bus_event)), .cap = LOG_CAP}};
  espl_status s = espl_machine_load("4x4", &m, &err);
  if (s == ESPL_OK) s = espl_rtl_open(&m, ESPL_RTL_TRACE, NULL, &f.rtl, &err);
  f.p = s == ESPL_OK ? pg_make(&m, 11, PG_LEGAL, 20) : NULL;
  f.memory = f.p ? malloc(f.p->machine.mem_bytes) : NULL;
  int failed = f.memory && f.log.event ? windows(&f, &err) : 1;
  if (err.msg[0]) printf("FAIL %s\n", err.msg);
  espl_rtl_close(f.rtl);
  pg_free(f.p);
  free(f.memory);
  free(f.log.event);
  return failed != 0;
}
