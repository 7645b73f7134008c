/* Clocks of routed designs: means and ranges by hand, and tables that are refused by place. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "cost/clock.h"

#define HEAD "board,top,machine,rows,cols,mhz,asked,tool,sources,date\n"

static char path[SCRATCH];
static espl_status load(const char *text, espl_clock_table *t, espl_err *err) {
  espl_err io = {0};
  *err = (espl_err){0};
  scratch_file(path, "espl_clock");
  cr_assert_eq(espl_write_file(path, text, strlen(text), &io), ESPL_OK, "%s", io.msg);
  espl_status s = espl_clock_load(path, t, err);
  unlink(path);
  return s;
}

Test(clock, mean_and_range_by_hand) {
  espl_clock_table t = {0};
  espl_err err;
  cr_assert_eq(load(HEAD "a,core,m,4,4,40,50,p,s,d\nb,core,m,4,4,1000,50,p,s,d\na,board,n,8,8,90,50,p,s,d\n", &t, &err), ESPL_OK, "%s", err.msg);
  espl_clock c = espl_clock_estimate(&t, "a", -1);
  cr_expect_eq(c.routed, 2);
  cr_expect_float_eq(c.mhz, 60, 1e-9); /* square root of 40 * 90 */
  cr_expect_float_eq(c.low, 40 / 1.15, 1e-9);
  cr_expect_float_eq(c.high, 90 * 1.15, 1e-9);
  cr_expect_float_eq(espl_clock_estimate(&t, "a", 0).mhz, 90, 1e-9);
  cr_expect_eq(espl_clock_estimate(&t, "c", -1).routed, 0);
  cr_expect_eq(espl_clock_estimate(&t, "b", 1).routed, 0);
  espl_clock_free(&t);
}

Test(clock, broken_tables_are_refused_by_line) {
  static const struct { const char *text, *says; } bad[] = {{"board,mhz\n", ":1:"}, {HEAD "a,core,m,4,4,40,50,p,s\n", ":2: 9 fields"}, {HEAD "a,core,m,4,4,40,50,p,s,d,e\n", ":2: 11 fields"},
                                                            {HEAD "a,core,m,4,4,fast,50,p,s,d\n", ":2: fast"}, {HEAD "\na,core,m,1,4,40,50,p,s,d\n", ":3: 1"}, {HEAD ",core,m,4,4,40,50,p,s,d\n", ":2:"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    espl_clock_table t = {0};
    espl_err err;
    cr_expect_eq(load(bad[i].text, &t, &err), ESPL_E_INPUT);
    cr_expect(strstr(err.msg, bad[i].says), "%s", err.msg);
    cr_expect_null(t.row);
  }
}

Test(clock, table_of_the_repository) {
  espl_clock_table t = {0};
  espl_err err = {0};
  cr_assert_eq(espl_clock_load(NULL, &t, &err), ESPL_OK, "%s", err.msg);
  const espl_clock c = espl_clock_estimate(&t, "icebreaker", -1);
  cr_expect_geq(c.routed, 1);
  cr_expect(c.low < c.mhz && c.mhz < c.high);
  espl_clock_free(&t);
}
