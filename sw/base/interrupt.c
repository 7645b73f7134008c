/* The flag and its signal handlers. */
#include "base/interrupt.h"

#include <signal.h>

static volatile sig_atomic_t flag;

static void on_signal(int sig) {
  flag = 1;
  signal(sig, SIG_DFL); /* the next one ends the process */
}

void espl_interrupt_install(void) {
  struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&a.sa_mask);
  sigaction(SIGINT, &a, NULL);
  sigaction(SIGTERM, &a, NULL);
}

int espl_interrupted(void) { return flag != 0; }
void espl_interrupt_set(int on) { flag = on; }

espl_status espl_interrupt_check(espl_err *err) {
  if (!flag) return ESPL_OK;
  return espl_fail(err, ESPL_E_INTERRUPTED, "interrupted");
}
