/* Reads the table of synthesized points: a line of column names, then a line a point, fields separated by commas. Columns: docs/cost.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "cost/area_int.h"

enum { COLUMNS = 128, LIMIT = 1 << 20, PARAMS_FIRST = 100, UNITS_FIRST = 300 };
enum { BOARD = 1, FAMILY, POINT, MEM_AW, LUT, FF, DSP, BRAM, CELLS, TOOL, SOURCES, DATE, FIXED_END };
static const char *const fixed[FIXED_END] = {[BOARD] = "board", [FAMILY] = "family", [POINT] = "point", [MEM_AW] = "mem_aw", [LUT] = "lut", [FF] = "ff", [DSP] = "dsp",
                                             [BRAM] = "bram", [CELLS] = "cells", [TOOL] = "tool", [SOURCES] = "sources", [DATE] = "date"};
#define X(c_name, RtlName, min, max) {#c_name, min, max},
static const struct { const char *name; int32_t min, max; } params[] = {ESPL_PARAM_LIST(X)};
#undef X
enum { PARAMS = sizeof params / sizeof *params };

typedef struct reader {
  const char *path;
  int line, columns, what[COLUMNS]; /* of each column: a fixed one, PARAMS_FIRST + parameter, UNITS_FIRST + 2 * unit + kind */
  espl_err *err;
} reader;

static int32_t *param_of(espl_machine *m, int i) {
#define X(c_name, RtlName, min, max) &m->c_name,
  int32_t *const at[] = {ESPL_PARAM_LIST(X)};
#undef X
  return at[i];
}

static int column(const char *name) {
  for (int i = BOARD; i < FIXED_END; i++)
    if (strcmp(name, fixed[i]) == 0) return i;
  for (int i = 0; i < PARAMS; i++)
    if (strcmp(name, params[i].name) == 0) return PARAMS_FIRST + i;
  for (int u = 0; u < ESPL_CORE_UNITS; u++) {
    size_t n = strlen(espl_core_unit_name((espl_core_unit)u));
    if (strncmp(name, espl_core_unit_name((espl_core_unit)u), n) != 0) continue;
    if (strcmp(name + n, "_lut") == 0) return UNITS_FIRST + 2 * u;
    if (strcmp(name + n, "_ff") == 0) return UNITS_FIRST + 2 * u + 1;
  }
  return 0;
}

static espl_status header(reader *r, char *line) {
  for (char *rest = line, *name; (name = strsep(&rest, ",")) != NULL;) {
    if (r->columns == COLUMNS) return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: more than %d columns", r->path, r->line, COLUMNS);
    int what = column(name);
    if (!what) return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: column %s is not known", r->path, r->line, name);
    for (int i = 0; i < r->columns; i++)
      if (r->what[i] == what) return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: column %s twice", r->path, r->line, name);
    r->what[r->columns++] = what;
  }
  for (int need = BOARD; need < UNITS_FIRST + 2 * ESPL_CORE_UNITS; need = need + 1 == FIXED_END ? UNITS_FIRST : need + 1) {
    int i = 0;
    while (i < r->columns && r->what[i] != need) i++;
    if (i < r->columns) continue;
    if (need < FIXED_END) return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: column %s is missing", r->path, r->line, fixed[need]);
    return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: column %s_%s is missing", r->path, r->line, espl_core_unit_name((espl_core_unit)((need - UNITS_FIRST) / 2)), need % 2 ? "ff" : "lut");
  }
  return ESPL_OK;
}

static espl_status number(const reader *r, const char *name, const char *text, int64_t min, int64_t max, int64_t *out) {
  char *end = NULL;
  const long long v = strtoll(text, &end, 10);
  if (end == text || *end || v < min || v > max)
    return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: %s is %s, expected a number in %lld..%lld", r->path, r->line, name, text, (long long)min, (long long)max);
  *out = v;
  return ESPL_OK;
}

static espl_status text_field(const reader *r, const char *name, const char *text, char *out, size_t n) {
  if (!text[0] || strlen(text) >= n) return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: %s is empty or longer than %zu bytes", r->path, r->line, name, n - 1);
  snprintf(out, n, "%s", text);
  return ESPL_OK;
}

static espl_status family_field(const reader *r, const char *text, espl_area_row *row) {
  for (int f = 0; f < ESPL_FAMILIES; f++) {
    if (strcmp(text, espl_family_name((espl_family)f)) != 0) continue;
    row->family = (espl_family)f;
    return ESPL_OK;
  }
  return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: family %s is not known", r->path, r->line, text);
}

static espl_status field(const reader *r, int what, const char *text, espl_area_row *row) {
  int64_t v = 0;
  switch (what) {
  case BOARD: return text_field(r, "board", text, row->board, sizeof row->board);
  case FAMILY: return family_field(r, text, row);
  case POINT: return text_field(r, "point", text, row->point, sizeof row->point);
  case TOOL: return text_field(r, "tool", text, row->tool, sizeof row->tool);
  case SOURCES: return text_field(r, "sources", text, row->sources, sizeof row->sources);
  case DATE: return text_field(r, "date", text, row->date, sizeof row->date);
  default: break;
  }
  if (what >= UNITS_FIRST) {
    const int u = (what - UNITS_FIRST) / 2, kind = what % 2;
    ESPL_TRY(number(r, espl_core_unit_name((espl_core_unit)u), text, 0, 100000000, &v));
    row->unit[kind][u] = (double)v;
  } else if (what >= PARAMS_FIRST) {
    const int i = what - PARAMS_FIRST;
    ESPL_TRY(number(r, params[i].name, text, params[i].min, params[i].max, &v));
    *param_of(&row->m, i) = (int32_t)v;
  } else {
    ESPL_TRY(number(r, fixed[what], text, what == CELLS ? -1 : what == MEM_AW ? 13 : 0, what == MEM_AW ? 32 : 100000000, &v));
    if (what == MEM_AW) row->m.mem_bytes = v < 32 ? 1u << v : UINT32_MAX;
    else if (what == DSP) row->dsp = v;
    else if (what == BRAM) row->bram = v;
    else *(what == LUT ? &row->lut : what == FF ? &row->ff : &row->cells) = (double)v;
  }
  return ESPL_OK;
}

static espl_status check_row(const reader *r, const espl_area_row *row, const espl_area_row *rows, int32_t n) {
  static const char *const kinds[] = {"lut", "ff"};
  espl_err why = {0};
  if (espl_machine_check(&row->m, &why) != ESPL_OK) return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: %s", r->path, r->line, why.msg);
  for (int k = 0; k < ESPLI_KINDS; k++) {
    double sum = 0;
    for (int u = 0; u < ESPL_CORE_UNITS; u++) sum += row->unit[k][u];
    const double all = k ? row->ff : row->lut;
    if (sum != all) return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: %s is %.0f, the units have %.0f", r->path, r->line, kinds[k], all, sum);
  }
  for (int32_t i = 0; i < n; i++)
    if (strcmp(rows[i].board, row->board) == 0 && strcmp(rows[i].point, row->point) == 0)
      return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: point %s on %s twice", r->path, r->line, row->point, row->board);
  return ESPL_OK;
}

static espl_status data_line(const reader *r, char *line, espl_area_row *row) {
  int n = 1;
  for (const char *c = line; *c; c++) n += *c == ',';
  if (n != r->columns) return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: %d fields, expected %d", r->path, r->line, n, r->columns);
  espl_machine_default(&row->m);
  for (int i = 0; i < PARAMS; i++) *param_of(&row->m, i) = params[i].min;
  row->m.mem.outstanding = 1;
  char *rest = line;
  for (int i = 0; i < n; i++) ESPL_TRY(field(r, r->what[i], strsep(&rest, ","), row));
  snprintf(row->m.name, sizeof row->m.name, "%.*s", (int)sizeof row->m.name - 1, row->point);
  return ESPL_OK;
}

static espl_status read_lines(reader *r, char *text, espl_area_row *rows, int32_t *n) {
  for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
    r->line++;
    line[strcspn(line, "\r")] = 0;
    if (!line[0]) continue;
    if (r->columns == 0) {
      ESPL_TRY(header(r, line));
      continue;
    }
    rows[*n] = (espl_area_row){.cells = -1};
    ESPL_TRY(data_line(r, line, &rows[*n]));
    ESPL_TRY(check_row(r, &rows[*n], rows, *n));
    (*n)++;
  }
  return *n > 0 ? ESPL_OK : espl_fail(r->err, ESPL_E_INPUT, "%s: no points", r->path);
}

espl_status espli_area_read(const char *path, espl_area_row **rows, int32_t *n, espl_err *err) {
  char *text = NULL;
  size_t size = 0, lines = 1;
  ESPL_TRY(espl_read_file(path, LIMIT, &text, &size, err));
  for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
  reader r = {.path = path, .err = err};
  *n = 0;
  *rows = calloc(lines, sizeof **rows);
  espl_status s = *rows ? read_lines(&r, text, *rows, n) : espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  free(text);
  if (s != ESPL_OK) {
    free(*rows);
    *rows = NULL;
  }
  return s;
}
