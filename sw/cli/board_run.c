/* Networks on boards: see board_run.h. */
#include "cli/board_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/machine_yaml.h"

#define RUN_SECONDS 60.0 /* beyond the time the cycles need at the machine's clock */
#define LOAD_STEP 4096

static espl_status timing_of(espl_board_session *s, espl_err *err) {
  espl_run_result r = {0};
  ESPL_TRY(espl_program_run(s->program, s->q, ESPL_ENGINE_TIMING, NULL, NULL, NULL, &r, err));
  s->expected_cycles = r.cycles;
  espl_run_result_clear(&r);
  return ESPL_OK;
}

static espl_status load(espl_cli *cli, espl_board_session *s) {
  uint32_t n = s->program->mem_bytes;
  espl_progress_push(cli->progress, "load", 50, n);
  espl_progress_note(cli->progress, "%u bytes over %s", (unsigned)n, s->args->tty);
  for (uint32_t at = 0; at < n; at += LOAD_STEP) {
    ESPL_TRY(espl_bridge_write_mem(s->board.bridge, at, n - at < LOAD_STEP ? n - at : LOAD_STEP, s->memory + at, &cli->err));
    espl_progress_at(cli->progress, at);
  }
  espl_progress_pop(cli->progress);
  return ESPL_OK;
}

static espl_status prepare(espl_cli *cli, espl_board_session *s) {
  espl_err *err = &cli->err;
  ESPL_TRY(espl_machine_load(s->args->machine, &s->machine, err));
  ESPL_TRY(espl_map_network(s->q, &s->machine, &s->program, err));
  ESPL_TRY(timing_of(s, err));
  s->memory = espl_calloc(s->program->mem_bytes, 1);
  if (!s->memory) return espl_fail(err, ESPL_E_NOMEM, "run: out of memory");
  memcpy(s->memory, s->program->image, s->program->mem_bytes);
  if (!s->args->check) return ESPL_OK;
  s->expected = espl_calloc((size_t)espl_shape_elems(s->q->tensor[s->q->output].shape), 1);
  if (!s->expected) return espl_fail(err, ESPL_E_NOMEM, "run: out of memory");
  return espl_qexec_new(s->q, 1, &s->model, err);
}

espl_status espl_board_session_open(espl_cli *cli, const espl_board_args *a, const espl_qnet *q, espl_board_session *s) {
  *s = (espl_board_session){.args = a, .q = q};
  ESPL_TRY(prepare(cli, s));
  ESPL_TRY(espl_board_open(a->tty, a->baud ? a->baud : 1000000, a->seconds > 0 ? a->seconds : 1.0, &s->machine, &s->board, &cli->err));
  return load(cli, s);
}

static espl_status compare(const espl_board_session *s, const espl_run_result *r, const int8_t *in, const int8_t *out, espl_err *err) {
  if (r->hw_status != ESPL_HW_NONE)
    return espl_fail(err, ESPL_E_FAILED, "%s: the core stopped with %s at command %u", s->args->tty, espl_hw_status_name(r->hw_status), (unsigned)r->err_index);
  if ((uint32_t)s->expected_cycles != r->cycles)
    return espl_fail(err, ESPL_E_MISMATCH, "%s: the board took %llu cycles, the timing model says %llu for machine %s", s->args->tty, (unsigned long long)r->cycles,
                     (unsigned long long)s->expected_cycles, s->machine.name);
  if (!s->model) return ESPL_OK;
  ESPL_TRY(espl_qexec_run(s->model, 1, in, s->expected, err));
  for (int64_t i = 0; i < espl_shape_elems(s->q->tensor[s->q->output].shape); i++)
    if (out[i] != s->expected[i])
      return espl_fail(err, ESPL_E_MISMATCH, "%s: output %lld is %d on the board, %d in the integer model", s->args->tty, (long long)i, out[i], s->expected[i]);
  return ESPL_OK;
}

espl_status espl_board_session_infer(espl_cli *cli, espl_board_session *s, const int8_t *in, int8_t *out) {
  espl_err *err = &cli->err;
  const espl_program *p = s->program;
  const espl_map_tensor *t = &p->tensor[0], *o = &p->tensor[s->q->output];
  espl_machine m = s->machine;
  m.mem_bytes = p->mem_bytes;
  espl_run run = {.machine = &m, .memory = s->memory, .prog_addr = p->prog_addr, .prog_bytes = p->prog_bytes, .expect_hash = espl_machine_hash(&m)};
  espl_run_result r = {0};
  espl_program_put_tensor(p, s->q, 0, in, s->memory);
  ESPL_TRY(espl_bridge_write_mem(s->board.bridge, t->addr, t->bytes, s->memory + t->addr, err));
  double limit = RUN_SECONDS + (m.clock_mhz > 0 ? (double)s->expected_cycles / (1e6 * m.clock_mhz) : 0);
  ESPL_TRY(espl_board_run(&s->board, &run, limit, &r, err));
  espl_status st = espl_bridge_read_mem(s->board.bridge, o->addr, o->bytes, s->memory + o->addr, err);
  if (st == ESPL_OK) {
    espl_program_get_tensor(p, s->q, s->q->output, s->memory, out);
    st = compare(s, &r, in, out, err);
  }
  espl_run_result_clear(&r);
  s->images += st == ESPL_OK;
  return st;
}

void espl_board_session_print(const espl_cli *cli, const espl_board_session *s) {
  FILE *f = espl_cli_out(cli);
  fprintf(f, "%s, machine %s: %lld images, %llu cycles each as the timing model says", s->args->tty, s->machine.name, (long long)s->images, (unsigned long long)s->expected_cycles);
  if (s->machine.clock_mhz > 0) fprintf(f, ", %.3g ms at %g MHz", 1e-3 * (double)s->expected_cycles / s->machine.clock_mhz, s->machine.clock_mhz);
  fprintf(f, "; %llu frames repeated%s\n", (unsigned long long)espl_bridge_repeats(s->board.bridge), s->model ? "; outputs as the integer model" : "");
}

void espl_board_session_close(espl_board_session *s) {
  espl_board_close(&s->board);
  espl_program_free(s->program);
  espl_qexec_free(s->model);
  free(s->expected);
  free(s->memory);
  *s = (espl_board_session){0};
}
