/* Boards of the repository against the parts' data sheets. */
#include <criterion/criterion.h>

#include <string.h>

#include "cost/board.h"

Test(board, icebreaker_has_what_the_up5k_has) {
  espl_board b;
  espl_err err = {0};
  cr_assert_eq(espl_board_load("icebreaker", &b, &err), ESPL_OK, "%s", err.msg);
  cr_expect_eq(b.family, ESPL_ICE40UP);
  cr_expect_eq(b.has[ESPL_LUT], 5280);
  cr_expect_eq(b.has[ESPL_DSP], 8);
  cr_expect_eq(b.has[ESPL_BRAM], 30);
  cr_expect_eq(b.has[ESPL_SPRAM], 4);
  cr_expect_str_eq(b.machine, "up5k");
  cr_expect(strstr(b.pack, "--up5k"));
}

Test(board, names_and_a_name_that_is_not_there) {
  char names[8][64];
  int n = 0;
  espl_board b = {.name = "kept"};
  espl_err err = {0};
  cr_assert_eq(espl_board_names(names, 8, &n, &err), ESPL_OK, "%s", err.msg);
  cr_expect_geq(n, 4);
  cr_expect_str_eq(names[0], "arty");
  cr_expect_eq(espl_board_load("icebraker", &b, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "there are arty, hx8k, icebreaker, ulx3s"), "%s", err.msg);
  cr_expect_str_eq(b.name, "kept");
  err = (espl_err){0};
  cr_expect_eq(espl_board_load("/absent/own.yaml", &b, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "/absent/own.yaml"), "%s", err.msg);
  cr_expect_str_eq(espl_family_name(ESPL_XC7), "xc7");
  cr_expect_str_eq(espl_resource_name(ESPL_BRAM), "bram");
}
