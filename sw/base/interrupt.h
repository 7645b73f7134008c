/* Ctrl-C and SIGTERM as a flag that long loops poll.
 *
 * The first signal sets the flag; the second one ends the process at once (the store survives that too).
 * The flag is the one piece of process-wide state here, since signals are process-wide. */
#ifndef ESPL_BASE_INTERRUPT_H
#define ESPL_BASE_INTERRUPT_H

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

void espl_interrupt_install(void); /* for main: SIGINT and SIGTERM set the flag */
int espl_interrupted(void);
/* ESPL_OK, or E_INTERRUPTED with a message. Cheap: call it once per batch, layer or candidate. */
espl_status espl_interrupt_check(espl_err *err) ESPL_MUST_CHECK;
void espl_interrupt_set(int on); /* for tests, and to clear the flag after it was handled */

#ifdef __cplusplus
}
#endif
#endif
