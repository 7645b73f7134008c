/* Runs programs on both bodies. */
#include "runner.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "first.h"

#define LOG_CAP 65536u

espl_status runner_open(runner *r, const espl_machine *machine, const char *rtl_dir, const char *fst, bool with_rtl, espl_err *err) {
  *r = (runner){.fst = fst, .patience = 20000};
  r->log_a = (espl_bus_log){.event = calloc(LOG_CAP, sizeof(espl_bus_event)), .cap = LOG_CAP};
  r->log_b = (espl_bus_log){.event = calloc(LOG_CAP, sizeof(espl_bus_event)), .cap = LOG_CAP};
  espl_status s = r->log_a.event && r->log_b.event ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "cosim: out of memory");
  if (s == ESPL_OK && with_rtl) s = espl_rtl_open(machine, fst ? ESPL_RTL_TRACE : ESPL_RTL_PLATFORM, rtl_dir, &r->rtl, err);
  if (s != ESPL_OK) runner_close(r);
  return s;
}

void runner_close(runner *r) {
  espl_rtl_close(r->rtl);
  free(r->mem_a);
  free(r->mem_b);
  free(r->log_a.event);
  free(r->log_b.event);
  *r = (runner){0};
}

static espl_status copy_memory(runner *r, const pg_program *p, espl_err *err) {
  uint32_t n = p->machine.mem_bytes;
  if (n > r->mem_bytes) {
    free(r->mem_a);
    free(r->mem_b);
    r->mem_a = malloc(n);
    r->mem_b = malloc(n);
    r->mem_bytes = r->mem_a && r->mem_b ? n : 0;
    if (!r->mem_bytes) return espl_fail(err, ESPL_E_NOMEM, "cosim: out of memory");
  }
  memcpy(r->mem_a, p->memory, n);
  memcpy(r->mem_b, p->memory, n);
  return ESPL_OK;
}

static espl_run run_of(const pg_program *p, uint8_t *memory) {
  return (espl_run){.machine = &p->machine, .memory = memory, .prog_addr = p->prog_addr, .prog_bytes = p->prog_bytes, .expect_hash = p->expect_hash};
}

/* The RTL on mem_b; log: NULL or where its bursts go. */
static espl_status run_rtl(runner *r, const pg_program *p, uint64_t model_cycles, espl_bus_log *log, espl_run_result *b, espl_err *err) {
  espl_run run = run_of(p, r->mem_b);
  run.max_cycles = 2 * model_cycles + r->patience; /* a core that has gone astray need not end by itself */
  run.log = log;
  const espl_trace whole = {r->fst, 0, UINT64_MAX};
  if (r->fst) run.trace = &whole;
  double t0 = espl_now();
  espl_status s = espl_rtl_run(r->rtl, &run, b, err);
  r->rtl_seconds += espl_now() - t0;
  return s;
}

espl_status runner_run(runner *r, const pg_program *p, espl_run_result *result, espl_err *err) {
  espl_run_result b = {0};
  *result = (espl_run_result){0};
  if (p->kind == PG_LEGAL) ESPL_TRY(espl_program_check(&p->machine, p->memory, p->prog_addr, p->prog_bytes, err));
  ESPL_TRY(copy_memory(r, p, err));
  espl_run run = run_of(p, r->mem_a);
  double t0 = espl_now();
  ESPL_TRY(espl_device_model(&run, result, err));
  r->model_seconds += espl_now() - t0;
  if (p->kind == PG_LEGAL && result->hw_status != ESPL_HW_NONE)
    return espl_fail(err, ESPL_E_BUG, "a legal program ended with %s at command %u on the model", espl_hw_status_name(result->hw_status), (unsigned)result->err_index);
  if (!r->rtl) return ESPL_OK;
  espl_status s = run_rtl(r, p, result->cycles, NULL, &b, err);
  if (s == ESPL_OK) s = espl_device_compare(&p->machine, result, r->mem_a, "the model", &b, r->mem_b, "the RTL", err);
  espl_run_result_clear(&b);
  return s;
}

void runner_first(runner *r, const pg_program *p, char *text, size_t n) {
  espl_run_result a = {0}, b = {0};
  espl_err err = {0};
  text[0] = 0;
  if (copy_memory(r, p, &err) != ESPL_OK) return;
  espl_run run = run_of(p, r->mem_a);
  run.log = &r->log_a;
  r->log_a.count = r->log_b.count = 0;
  if (espl_device_model(&run, &a, &err) == ESPL_OK) {
    espl_status s = run_rtl(r, p, a.cycles, &r->log_b, &b, &err);
    if (s == ESPL_OK || runner_differs(s)) first_difference(&p->machine, &r->log_a, r->mem_a, &r->log_b, r->mem_b, text, n);
  }
  espl_run_result_clear(&a);
  espl_run_result_clear(&b);
}
