/* Nested stages folded into one fraction: f(stage) = (done + share_of_child * f(child)) / total. */
#include "base/progress.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define DRAW_EVERY 0.1  /* seconds, on a terminal */
#define LINE_EVERY 5.0  /* seconds, elsewhere */
#define ESTIMATE_AFTER 1.0
#define LINE_LEVELS 2 /* outermost stages that get a line when they start */

struct stage {
  char name[48];
  double share, total, done;
};

struct espl_progress {
  FILE *out;
  int is_terminal, drawn, depth; /* stages 0..depth; 0 is the job itself */
  int too_deep;                  /* pushes beyond the limit, so that pops stay balanced */
  double started, last, highest;
  char note[80];
  struct stage stage[ESPL_PROGRESS_MAX_DEPTH];
};

static void set_name(struct stage *s, const char *name) { snprintf(s->name, sizeof s->name, "%s", name); }

espl_progress *espl_progress_new(FILE *out, const char *job) {
  espl_progress *p = espl_calloc(1, sizeof *p);
  if (!p) return NULL;
  const char *term = getenv("TERM");
  p->out = out;
  p->is_terminal = isatty(fileno(out)) && !(term && strcmp(term, "dumb") == 0);
  p->started = p->last = espl_now();
  p->stage[0].total = ESPL_PROGRESS_JOB_UNITS;
  set_name(&p->stage[0], job);
  return p;
}

static double fraction_now(const espl_progress *p) {
  double inner = 0;
  for (int i = p->depth; i >= 0; i--) {
    const struct stage *s = &p->stage[i];
    double child = i < p->depth ? p->stage[i + 1].share * inner : 0;
    double f = s->total > 0 ? (s->done + child) / s->total : 0;
    inner = f < 0 ? 0 : f > 1 ? 1 : f;
  }
  return inner;
}

double espl_progress_fraction(const espl_progress *p) {
  if (!p) return 0;
  double f = fraction_now(p);
  return f > p->highest ? f : p->highest;
}

static void duration(double s, char *text, size_t n) {
  long t = (long)(s + 0.5);
  if (t < 60)
    snprintf(text, n, "%lds", t);
  else if (t < 3600)
    snprintf(text, n, "%ldm%02lds", t / 60, t % 60);
  else
    snprintf(text, n, "%ldh%02ldm", t / 3600, t / 60 % 60);
}

/* "12 s, 40 s left", the second half once a second has passed and something is done. */
static void times(const espl_progress *p, double now, char *text, size_t n) {
  char spent[24], left[24];
  double elapsed = now - p->started;
  duration(elapsed, spent, sizeof spent);
  if (p->highest > 0.005 && elapsed > ESTIMATE_AFTER) {
    duration(elapsed * (1 - p->highest) / p->highest, left, sizeof left);
    snprintf(text, n, "%s, about %s left", spent, left);
  } else {
    snprintf(text, n, "%s", spent);
  }
}

/* "job: outer > inner (note)" */
static void path(const espl_progress *p, char *text, size_t n) {
  size_t at = 0;
  text[0] = 0;
  for (int i = 0; i <= p->depth && at < n; i++)
    at += (size_t)snprintf(text + at, n - at, "%s%s", i == 0 ? "" : i == 1 ? ": " : " > ", p->stage[i].name);
  if (p->note[0] && at < n) snprintf(text + at, n - at, " (%s)", p->note);
}

static int columns(const espl_progress *p) {
  struct winsize w;
  if (ioctl(fileno(p->out), TIOCGWINSZ, &w) == 0 && w.ws_col > 20) return w.ws_col - 1;
  return 79;
}

static void draw_bar(espl_progress *p, double now) {
  enum { BAR = 24 };
  char bar[BAR + 1], when[64], where[256], line[512];
  for (int i = 0; i < BAR; i++) bar[i] = i < (int)(p->highest * BAR + 0.5) ? '#' : '.';
  bar[BAR] = 0;
  times(p, now, when, sizeof when);
  path(p, where, sizeof where);
  snprintf(line, sizeof line, "[%s] %3d%%  %s  %s", bar, (int)(p->highest * 100), when, where);
  fprintf(p->out, "\r\033[K%.*s", columns(p), line);
  p->drawn = 1;
}

static void draw_line(espl_progress *p, double now) {
  char when[64], where[256];
  times(p, now, when, sizeof when);
  path(p, where, sizeof where);
  fprintf(p->out, "%3d%%  %s  (%s)\n", (int)(p->highest * 100), where, when);
}

static void report(espl_progress *p, int stage_start) {
  double now = espl_now();
  p->highest = espl_progress_fraction(p);
  if (p->is_terminal) {
    if (!stage_start && now - p->last < DRAW_EVERY) return;
    draw_bar(p, now);
  } else {
    if (!(stage_start && p->depth <= LINE_LEVELS) && now - p->last < LINE_EVERY) return;
    draw_line(p, now);
  }
  p->last = now;
  fflush(p->out);
}

void espl_progress_push(espl_progress *p, const char *name, double share, double total) {
  if (!p) return;
  if (p->depth + 1 >= ESPL_PROGRESS_MAX_DEPTH) {
    p->too_deep++;
    return;
  }
  struct stage *s = &p->stage[++p->depth];
  *s = (struct stage){.share = share, .total = total};
  set_name(s, name);
  p->note[0] = 0;
  report(p, 1);
}

void espl_progress_at(espl_progress *p, double done) {
  if (!p || p->too_deep) return;
  struct stage *s = &p->stage[p->depth];
  s->done = done > s->total ? s->total : done;
  report(p, 0);
}

void espl_progress_note(espl_progress *p, const char *fmt, ...) {
  if (!p) return;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(p->note, sizeof p->note, fmt, ap);
  va_end(ap);
  report(p, 0);
}

void espl_progress_pop(espl_progress *p) {
  if (!p) return;
  if (p->too_deep) {
    p->too_deep--;
    return;
  }
  if (p->depth == 0) return;
  double share = p->stage[p->depth].share;
  p->depth--;
  p->stage[p->depth].done += share;
  p->note[0] = 0;
  report(p, 0);
}

void espl_progress_clear(espl_progress *p) {
  if (!p || !p->drawn) return;
  fputs("\r\033[K", p->out);
  fflush(p->out);
  p->drawn = 0;
}

void espl_progress_free(espl_progress *p) {
  espl_progress_clear(p);
  free(p);
}
