/* Inside the program check: the memory runs of a layer and the names its messages use. */
#ifndef ESPL_DEVICE_CHECK_INT_H
#define ESPL_DEVICE_CHECK_INT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

enum { ESPL_CHECK_LC, ESPL_CHECK_CL, ESPL_CHECK_LS, ESPL_CHECK_SL, ESPL_CHECK_CS, ESPL_CHECK_SC };
static const char *const espl_token_names[6] = {"load->compute", "compute->load", "load->store", "store->load", "compute->store", "store->compute"};
static const char *const espl_buffer_names[4] = {"activation", "weight", "index", "parameter"};
static const char *const espl_bank_names[3] = {"free", "taken", "full"};

struct check;

/* One contiguous access of a command; `known`: what that command's unit knew finished of the other unit when it started. */
struct espl_run_access {
  uint64_t addr, end;
  uint32_t index;     /* list index */
  uint32_t known;     /* load runs: of store; store runs: of load (list index + 1) */
  bool store, write;
};
struct espl_runs {
  uint32_t count, cap;
  struct espl_run_access *run;
};

espl_status espl_check_fail(espl_err *err, uint32_t index, const char *fmt, ...) ESPL_PRINTF(3, 4);
uint64_t espl_check_known(const struct check *c, int unit, int of);

espl_status espl_runs_add(const struct check *c, struct espl_runs *r, uint32_t index, int unit, bool write, uint64_t addr, uint64_t bytes, espl_err *err) ESPL_MUST_CHECK;
/* Runs of the command `index` stay inside memory, whole beats included. */
espl_status espl_runs_inside(const struct espl_runs *r, uint64_t mem_bytes, uint32_t bus, uint32_t index, espl_err *err) ESPL_MUST_CHECK;
/* Runs from `mark` on: no read touches a write (residual operand against output of one STORE). */
espl_status espl_runs_self(const struct espl_runs *r, uint32_t mark, uint32_t index, espl_err *err) ESPL_MUST_CHECK;
/* Every overlapping pair of a load and a store run is ordered; no write touches the program. Sorts the runs. */
espl_status espl_runs_check(struct espl_runs *r, uint64_t prog_addr, uint64_t prog_bytes, espl_err *err) ESPL_MUST_CHECK;
#endif
