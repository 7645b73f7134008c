/* The area model: the solver against minima known in closed form, a table made by a known law, tables refused by file and line, and the errors
 * on held-out points of the repository's table. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "cost/area.h"
#include "cost/area_int.h"
#include "map/machine_yaml.h"

/* Bounds with margin over what was measured: docs/cost.md. */
#define FITTED_BOUND 0.10
#define HELD_OUT_BOUND 0.30

Test(area, solver_finds_the_law_and_keeps_to_zero) {
  double x[6][ESPLI_TERMS] = {{1, 2, 0}, {1, 4, 1}, {1, 8, 0}, {1, 1, 5}, {1, 3, 2}, {1, 7, 7}}, y[6], w[6], b[ESPLI_TERMS];
  for (int i = 0; i < 6; i++) {
    y[i] = 10 + 3 * x[i][1] + 0.5 * x[i][2];
    w[i] = 1 + i;
  }
  espli_fit_nonnegative(6, 3, (const double (*)[ESPLI_TERMS])x, y, w, 0, b);
  cr_expect_float_eq(b[0], 10, 1e-4);
  cr_expect_float_eq(b[1], 3, 1e-4);
  cr_expect_float_eq(b[2], 0.5, 1e-4);
  /* y falls with the term: the best coefficient is below 0, so 0 is taken and the constant is the mean of y. */
  for (int i = 0; i < 6; i++) {
    y[i] = 20 - x[i][1];
    w[i] = 1;
  }
  espli_fit_nonnegative(6, 2, (const double (*)[ESPLI_TERMS])x, y, w, 0, b);
  cr_expect_float_eq(b[0], 20 - 25.0 / 6, 1e-6);
  cr_expect_eq(b[1], 0);
  /* One term alone with a ridge: xy / (xx (1 + ridge)). */
  espli_fit_nonnegative(1, 1, (const double (*)[ESPLI_TERMS])x, (double[]){6}, (double[]){1}, 0.5, b);
  cr_expect_float_eq(b[0], 4, 1e-9);
}

/* --- tables in text ------------------------------------------------------------------------------------------------- */

static char header[4096], path[SCRATCH];

static void make_header(const char *without) {
  size_t n = (size_t)snprintf(header, sizeof header, "board,family,point,mem_aw,lut,ff,dsp,bram,cells,tool,sources,date");
#define X(c_name, RtlName, min, max) \
  if (!without || strcmp(#c_name, without) != 0) n += (size_t)snprintf(header + n, sizeof header - n, "," #c_name);
  ESPL_PARAM_LIST(X)
#undef X
  for (int u = 0; u < ESPL_CORE_UNITS; u++)
    n += (size_t)snprintf(header + n, sizeof header - n, ",%s_lut,%s_ff", espl_core_unit_name((espl_core_unit)u), espl_core_unit_name((espl_core_unit)u));
}

/* A row: `macs_lut` tables a multiplier in the array, 500 tables and 300 flip-flops in the registers, nothing else. */
static int line(char *out, size_t size, const char *without, const char *point, const espl_machine *m, int macs_lut) {
  const int array = macs_lut * m->rows * m->cols;
  size_t n = (size_t)snprintf(out, size, "ulx3s,ecp5,%s,20,%d,300,0,0,-1,tool,state,day", point, array + 500);
#define X(c_name, RtlName, min, max) \
  if (!without || strcmp(#c_name, without) != 0) n += (size_t)snprintf(out + n, size - n, ",%d", (int)m->c_name);
  ESPL_PARAM_LIST(X)
#undef X
  for (int u = 0; u < ESPL_CORE_UNITS; u++)
    n += (size_t)snprintf(out + n, size - n, ",%d,%d", u == ESPL_CORE_ARRAY ? array : u == ESPL_CORE_REGS ? 500 : 0, u == ESPL_CORE_REGS ? 300 : 0);
  return (int)n;
}

static espl_status load(const char *text, espl_area_model **a, espl_err *err) {
  espl_err io = {0};
  *err = (espl_err){0};
  *a = NULL;
  scratch_file(path, "espl_area");
  cr_assert_eq(espl_write_file(path, text, strlen(text), &io), ESPL_OK, "%s", io.msg);
  espl_status s = espl_area_load(path, a, err);
  unlink(path);
  return s;
}

static void small(espl_machine *m, int32_t rows, int32_t cols) {
  espl_err err = {0};
  cr_assert_eq(espl_machine_load("8x4-min", m, &err), ESPL_OK, "%s", err.msg);
  m->rows = rows;
  m->cols = cols;
  m->wgt_aw = 11;
  m->mem_bytes = 1u << 20;
}

static void table_by_law(char *text, size_t size, const char *without) {
  static const int32_t shape[][2] = {{2, 2}, {4, 4}, {8, 4}, {4, 8}, {8, 8}, {16, 8}, {8, 16}};
  make_header(without);
  size_t n = (size_t)snprintf(text, size, "%s\n", header);
  for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) {
    espl_machine m;
    char name[16];
    small(&m, shape[i][0], shape[i][1]);
    snprintf(name, sizeof name, "p%zu", i);
    n += (size_t)line(text + n, size - n, without, name, &m, 40);
    n += (size_t)snprintf(text + n, size - n, "\n");
  }
}

Test(area, law_of_a_made_table_is_found_again) {
  char text[16384];
  espl_area_model *a = NULL;
  espl_err err;
  espl_machine m;
  espl_area v;
  table_by_law(text, sizeof text, NULL);
  cr_assert_eq(load(text, &a, &err), ESPL_OK, "%s", err.msg);
  cr_expect_eq(espl_area_rows(a), 7);
  small(&m, 16, 16); /* larger than every row */
  cr_assert_eq(espl_area_estimate(a, &m, ESPL_ECP5, &v, &err), ESPL_OK, "%s", err.msg);
  cr_expect_float_eq(v.lut, 40 * 256 + 500, 0.02 * 10740, "%g", v.lut);
  cr_expect_float_eq(v.ff, 300, 3, "%g", v.ff);
  cr_expect_float_eq(v.unit[0][ESPL_CORE_ARRAY], 40 * 256, 0.02 * 10240);
  cr_expect_null(espl_area_measured(a, &m, ESPL_ECP5));
  small(&m, 8, 4);
  const espl_area_row *r = espl_area_measured(a, &m, ESPL_ECP5);
  cr_assert_not_null(r);
  cr_expect_str_eq(r->point, "p2");
  cr_expect_null(espl_area_measured(a, &m, ESPL_XC7));
  cr_expect_eq(espl_area_estimate(a, &m, ESPL_XC7, &v, &err), ESPL_E_UNSUPPORTED);
  m.rows = 3;
  err = (espl_err){0};
  cr_expect_eq(espl_area_estimate(a, &m, ESPL_ECP5, &v, &err), ESPL_E_INPUT);
  espl_area_errors e;
  cr_assert_eq(espl_area_check(a, ESPL_ECP5, &e, &err), ESPL_OK, "%s", err.msg);
  cr_expect_eq(e.rows, 7);
  cr_expect_lt(e.worst[0], 0.05);
  cr_expect_eq(e.dsp_wrong, 7); /* the made table says 0 blocks */
  espl_area_free(a);
}

Test(area, parameter_that_came_later_counts_as_its_least) {
  char text[16384];
  espl_area_model *a = NULL;
  espl_err err;
  table_by_law(text, sizeof text, "avgpool");
  cr_assert_eq(load(text, &a, &err), ESPL_OK, "%s", err.msg);
  cr_expect_eq(espl_area_row_at(a, 0)->m.avgpool, 0);
  espl_area_free(a);
}

static void replace(char *text, size_t size, const char *from, const char *to) {
  char *at = strstr(text, from), rest[16384];
  cr_assert_not_null(at, "%s", from);
  snprintf(rest, sizeof rest, "%s", at + strlen(from));
  snprintf(at, size - (size_t)(at - text), "%s%s", to, rest);
}

Test(area, broken_tables_are_refused_by_file_and_line) {
  static const struct { const char *from, *to, *says; } bad[] = {{"mem_aw,", "mem_av,", ":1: column mem_av is not known"},
                                                                  {"point,mem_aw", "point,point", ":1: column point twice"},
                                                                  {",regs_lut", ",regs_ff", ":1: column regs_ff twice"},
                                                                  {",date,rows", ",rows", ":1: column date is missing"},
                                                                  {"ecp5,p1,20,1140,", "ecp5,p1,20,many,", ":3: lut is many"},
                                                                  {"ecp5,p1,20,1140,", "ecp5,p1,20,1141,", ":3: lut is 1141, the units have 1140"},
                                                                  {"ecp5,p1,20,1140,", "ecp6,p1,20,1140,", ":3: family ecp6"},
                                                                  {"ecp5,p1,20,1140,", "ecp5,p0,20,1140,", ":3: point p0 on ulx3s twice"},
                                                                  {"ecp5,p1,20,1140,", "ecp5,p1,20,1140,7,", ":3: 65 fields, expected 64"},
                                                                  {"ecp5,p1,20,1140,", "ecp5,,20,1140,", ":3: point is empty"},
                                                                  {"day,4,4,", "day,4,5,", ":3: "},
                                                                  {"day,4,4,", "day,4,512,", ":3: cols is 512, expected a number in 2..256"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char text[16384], says[128], fields[2][16];
    espl_area_model *a = NULL;
    espl_err err;
    table_by_law(text, sizeof text, NULL);
    int columns = 1;
    for (const char *c = header; *c; c++) columns += *c == ',';
    replace(text, sizeof text, bad[i].from, bad[i].to);
    snprintf(says, sizeof says, "%s", bad[i].says);
    if (strstr(says, "fields")) {
      snprintf(fields[0], sizeof fields[0], "%d", columns + 1);
      snprintf(fields[1], sizeof fields[1], "%d", columns);
      snprintf(says, sizeof says, ":3: %s fields, expected %s", fields[0], fields[1]);
    }
    cr_expect_eq(load(text, &a, &err), ESPL_E_INPUT, "%s", bad[i].says);
    cr_expect(strstr(err.msg, path) && strstr(err.msg, says), "%s, expected %s", err.msg, says);
    cr_expect_null(a);
  }
  espl_area_model *a = NULL;
  espl_err err;
  make_header(NULL);
  cr_expect_eq(load(header, &a, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "no points"), "%s", err.msg);
}

/* --- the table of the repository ------------------------------------------------------------------------------------ */

Test(area, synthesized_points_and_held_out_ones) {
  espl_area_model *a = NULL;
  espl_err err = {0};
  cr_assert_eq(espl_area_load(NULL, &a, &err), ESPL_OK, "%s", err.msg);
  for (int32_t i = 0; i < espl_area_rows(a); i++) {
    const espl_area_row *r = espl_area_row_at(a, i);
    espl_area v;
    cr_expect_eq(espl_area_measured(a, &r->m, r->family), r, "%s on %s", r->point, r->board);
    cr_assert_eq(espl_area_estimate(a, &r->m, r->family, &v, &err), ESPL_OK, "%s", err.msg);
    double sum = 0;
    for (int u = 0; u < ESPL_CORE_UNITS; u++) sum += v.unit[0][u];
    cr_expect_float_eq(sum, v.lut, 1e-6 * v.lut);
    cr_expect_lt(fabs(v.lut / r->lut - 1), FITTED_BOUND, "%s on %s: %.0f for %.0f", r->point, r->board, v.lut, r->lut);
  }
  for (int f = 0; f < ESPL_FAMILIES; f++) {
    espl_area_errors e;
    cr_assert_eq(espl_area_check(a, (espl_family)f, &e, &err), ESPL_OK, "%s", err.msg);
    cr_expect_eq(e.dsp_wrong, 0);
    cr_expect_eq(e.bram_wrong, 0);
    cr_expect_lt(e.mean[0], HELD_OUT_BOUND, "%s: %.3f", espl_family_name((espl_family)f), e.mean[0]);
    cr_expect_lt(e.mean[1], HELD_OUT_BOUND, "%s: %.3f", espl_family_name((espl_family)f), e.mean[1]);
  }
  espl_area_free(a);
}
