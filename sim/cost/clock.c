/* Reads the table of routed designs: a line of column names, then board,top,machine,rows,cols,mhz,asked,tool,sources,date. */
#include "cost/clock.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "device/root.h"

static const char columns[] = "board,top,machine,rows,cols,mhz,asked,tool,sources,date";
enum { FIELDS = 10 };
#define BEYOND 1.15

static espl_status copy(const char *path, int line, const char *text, char *out, size_t n, espl_err *err) {
  if (!text[0] || strlen(text) >= n) return espl_fail(err, ESPL_E_INPUT, "%s:%d: a name is empty or longer than %zu bytes", path, line, n - 1);
  snprintf(out, n, "%s", text);
  return ESPL_OK;
}

static espl_status number(const char *path, int line, const char *text, double min, double max, double *out, espl_err *err) {
  char *end = NULL;
  *out = strtod(text, &end);
  if (end == text || *end || !(*out >= min && *out <= max)) return espl_fail(err, ESPL_E_INPUT, "%s:%d: %s, expected a number in %g..%g", path, line, text, min, max);
  return ESPL_OK;
}

static espl_status read_row(const char *path, int line, char *text, espl_clock_row *r, espl_err *err) {
  char *f[FIELDS], *rest = text;
  double rows = 0, cols = 0;
  int n = 0;
  for (char *field; (field = strsep(&rest, ",")) != NULL; n++)
    if (n < FIELDS) f[n] = field;
  if (n != FIELDS) return espl_fail(err, ESPL_E_INPUT, "%s:%d: %d fields, expected %d", path, line, n, FIELDS);
  ESPL_TRY(copy(path, line, f[0], r->board, sizeof r->board, err));
  ESPL_TRY(copy(path, line, f[1], r->top, sizeof r->top, err));
  ESPL_TRY(copy(path, line, f[2], r->machine, sizeof r->machine, err));
  ESPL_TRY(number(path, line, f[3], 2, 256, &rows, err));
  ESPL_TRY(number(path, line, f[4], 2, 256, &cols, err));
  ESPL_TRY(number(path, line, f[5], 0.1, 10000, &r->mhz, err));
  ESPL_TRY(number(path, line, f[6], 0.1, 10000, &r->asked, err));
  ESPL_TRY(copy(path, line, f[7], r->tool, sizeof r->tool, err));
  ESPL_TRY(copy(path, line, f[8], r->sources, sizeof r->sources, err));
  ESPL_TRY(copy(path, line, f[9], r->date, sizeof r->date, err));
  r->rows = (int32_t)rows;
  r->cols = (int32_t)cols;
  return ESPL_OK;
}

static espl_status read_lines(const char *path, char *text, espl_clock_table *t, espl_err *err) {
  int n = 0;
  for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
    n++;
    line[strcspn(line, "\r")] = 0;
    if (n == 1 && strcmp(line, columns) != 0) return espl_fail(err, ESPL_E_INPUT, "%s:1: expected the columns %s", path, columns);
    if (n == 1 || !line[0]) continue;
    ESPL_TRY(read_row(path, n, line, &t->row[t->n], err));
    t->n++;
  }
  return ESPL_OK;
}

espl_status espl_clock_load(const char *path, espl_clock_table *out, espl_err *err) {
  char at[PATH_MAX], *text = NULL;
  size_t size = 0, lines = 1;
  if (!path) ESPL_TRY(espl_root_path("configs/cost/clock.csv", at, sizeof at, err));
  ESPL_TRY(espl_read_file(path ? path : at, 1 << 20, &text, &size, err));
  for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
  espl_clock_table t = {.row = calloc(lines, sizeof *t.row)};
  espl_status s = t.row ? read_lines(path ? path : at, text, &t, err) : espl_fail(err, ESPL_E_NOMEM, "clock table: out of memory");
  free(text);
  if (s == ESPL_OK) *out = t;
  else free(t.row);
  return s;
}

void espl_clock_free(espl_clock_table *t) {
  free(t->row);
  *t = (espl_clock_table){0};
}

espl_clock espl_clock_estimate(const espl_clock_table *t, const char *board, int32_t without) {
  espl_clock c = {0};
  double sum = 0;
  for (int32_t i = 0; i < t->n; i++) {
    const double mhz = t->row[i].mhz;
    if (i == without || strcmp(t->row[i].board, board) != 0) continue;
    sum += log(mhz);
    if (c.routed == 0 || mhz / BEYOND < c.low) c.low = mhz / BEYOND;
    if (mhz * BEYOND > c.high) c.high = mhz * BEYOND;
    c.routed++;
  }
  if (c.routed > 0) c.mhz = exp(sum / c.routed);
  return c;
}
