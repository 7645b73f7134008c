/* One program on the C model and on the Verilated core, and what differs. */
#ifndef ESPL_COSIM_RUNNER_H
#define ESPL_COSIM_RUNNER_H

#include "device/rtl.h"
#include "progen.h"

typedef struct runner {
  espl_rtl *rtl;       /* NULL: program check and model only */
  const char *fst;     /* trace of the whole run, or NULL */
  uint8_t *mem_a, *mem_b;
  uint32_t mem_bytes;
  espl_bus_log log_a, log_b;
  double rtl_seconds, model_seconds;
  uint64_t patience;   /* cycles beyond twice the model's after which the core is given up */
} runner;

/* machine: structure of the core. rtl_dir: other RTL sources, or NULL. with_rtl false: no core. */
espl_status runner_open(runner *r, const espl_machine *machine, const char *rtl_dir, const char *fst, bool with_rtl, espl_err *err) ESPL_MUST_CHECK;
void runner_close(runner *r);
/* Runs p on both bodies. OK: equal in every byte, cycle and counter; E_MISMATCH and E_FAILED (the core came to no end): different; others:
 * the program is not legal, or something outside the two bodies went wrong. result: the model's, owned by the caller. */
espl_status runner_run(runner *r, const pg_program *p, espl_run_result *result, espl_err *err) ESPL_MUST_CHECK;
/* After runner_run said that p differs: the first difference in time, "" when the end of the run alone shows it. */
void runner_first(runner *r, const pg_program *p, char *text, size_t n);
static inline bool runner_differs(espl_status s) { return s == ESPL_E_MISMATCH || s == ESPL_E_FAILED; }

#endif
