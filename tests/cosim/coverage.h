/* What the random programs have reached: every field's extremes, every counter, every status, and on every machine every
 * kind of program and every status. */
#ifndef ESPL_COSIM_COVERAGE_H
#define ESPL_COSIM_COVERAGE_H

#include <stdbool.h>

#include "progen.h"

typedef struct coverage coverage;

coverage *coverage_new(espl_err *err); /* reads hw/spec/commands.tbl; NULL with a message */
void coverage_add(coverage *c, const pg_program *p, const espl_run_result *r);
/* Prints what was reached and, with `goals`, each goal that was not; false when one was missed. */
bool coverage_report(const coverage *c, bool goals);
void coverage_free(coverage *c);

#endif
