/* First error wins, context goes in front, exit statuses are those of the command's contract. */
#include <criterion/criterion.h>

#include <string.h>

#include "base/status.h"

Test(status, first_error_wins) {
  espl_err e = {0};
  cr_expect_eq(espl_fail(&e, ESPL_E_INPUT, "first %d", 1), ESPL_E_INPUT);
  cr_expect_eq(espl_fail(&e, ESPL_E_IO, "second"), ESPL_E_INPUT);
  cr_expect_str_eq(e.msg, "first 1");
  cr_expect_eq(espl_fail(NULL, ESPL_E_IO, "nobody listens"), ESPL_E_IO);
}

Test(status, context_is_prefixed) {
  espl_err e = {0};
  espl_fail(&e, ESPL_E_UNSUPPORTED, "no such operator");
  cr_expect_eq(espl_fail_context(&e, "net.onnx: node %s", "n7"), ESPL_E_UNSUPPORTED);
  cr_expect_str_eq(e.msg, "net.onnx: node n7: no such operator");
}

Test(status, exit_status_is_0_1_or_2) {
  cr_expect_eq(espl_status_exit(ESPL_OK), 0);
  cr_expect_eq(espl_status_exit(ESPL_E_INPUT), 2);
  cr_expect_eq(espl_status_exit(ESPL_E_UNSUPPORTED), 2);
  cr_expect_eq(espl_status_exit(ESPL_E_IO), 1);
  cr_expect_eq(espl_status_exit(ESPL_E_MISMATCH), 1);
  cr_expect_eq(espl_status_exit(ESPL_E_INTERRUPTED), 1);
}

Test(status, every_code_has_name_and_text) {
  for (int i = 0; i <= 9; i++) {
    cr_expect(strcmp(espl_status_name((espl_status)i), "UNKNOWN") != 0);
    cr_expect(strlen(espl_status_text((espl_status)i)) > 5);
  }
  cr_expect_str_eq(espl_status_name((espl_status)99), "UNKNOWN");
}

Test(status, long_messages_are_cut_not_overrun) {
  espl_err e = {0};
  char big[3000];
  memset(big, 'x', sizeof big - 1);
  big[sizeof big - 1] = 0;
  espl_fail(&e, ESPL_E_INPUT, "%s", big);
  cr_expect_eq(strlen(e.msg), ESPL_ERR_MSG_BYTES - 1);
  espl_fail_context(&e, "%s", big);
  cr_expect_lt(strlen(e.msg), ESPL_ERR_MSG_BYTES);
}
