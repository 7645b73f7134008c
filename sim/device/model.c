/* The model body of the machine: time from the timing twin, memory from the bit-exact executor. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "device/device.h"
#include "device/timing_int.h"
#include "model/exec.h"

static void put32(uint8_t *p, uint32_t v) {
  for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (8 * i));
}

/* The 64-byte record of a MARK; nothing is written when it leaves memory (the hardware's burst is refused). */
static void write_record(const espl_run *run, const uint32_t w[4], const uint32_t counter[ESPL_CNT_COUNT]) {
  espl_cmd_mark mark;
  espl_cmd_mark_decode(w, &mark);
  if ((uint64_t)mark.record + 64 > run->machine->mem_bytes) return;
  for (uint32_t i = 0; i < ESPL_CNT_COUNT; i++) put32(run->memory + mark.record + 4 * i, counter[i]);
}

static espl_status execute(const espl_run *run, const espl_decoded *d, const uint8_t *executed, const espl_run_result *r, espl_err *err) {
  espl_exec_state *s = espl_exec_state_new(run->machine, run->memory);
  if (!s) return espl_fail(err, ESPL_E_NOMEM, "model: no memory for the buffers of machine %s", run->machine->name);
  int32_t layer = 0;
  for (uint32_t i = 0; i < d->count; i++) {
    if (!executed[i]) continue;
    if ((d->cmd[i][0] & 15u) == ESPL_OPC_MARK) {
      if (layer < r->layers) write_record(run, d->cmd[i], r->layer[layer++].counter);
    } else {
      espl_exec_command(s, d->cmd[i]);
    }
  }
  espl_exec_state_free(s);
  return ESPL_OK;
}

espl_status espl_device_model(const espl_run *run, espl_run_result *out, espl_err *err) {
  ESPL_TRY(espl_machine_check(run->machine, err));
  espl_decoded d;
  ESPL_TRY(espl_decode_program(run->memory, run->machine->mem_bytes, run->prog_addr, run->prog_bytes, &d, err));
  uint8_t *executed = espl_calloc((size_t)d.count + 1, 1);
  espl_status st = executed ? espl_timing_decoded(run, &d, executed, out, err) : espl_fail(err, ESPL_E_NOMEM, "model: out of memory");
  if (st == ESPL_OK) st = execute(run, &d, executed, out, err);
  free(executed);
  espl_decoded_clear(&d);
  return st;
}
