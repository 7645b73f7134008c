/* A signal sets the flag; the check turns it into a status; a second signal ends the process. */
#include <criterion/criterion.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/interrupt.h"

Test(interrupt, signal_sets_flag) {
  espl_err e = {0};
  cr_expect_eq(espl_interrupt_check(&e), ESPL_OK);
  espl_interrupt_install();
  raise(SIGINT);
  cr_expect(espl_interrupted());
  cr_expect_eq(espl_interrupt_check(&e), ESPL_E_INTERRUPTED);
  cr_expect_eq(espl_status_exit(e.code), 1);
  espl_interrupt_set(0);
  cr_expect_not(espl_interrupted());
}

Test(interrupt, second_signal_ends_the_process) {
  pid_t child = fork();
  if (child == 0) {
    espl_interrupt_install();
    raise(SIGTERM);
    raise(SIGTERM);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}
