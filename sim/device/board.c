/* A core on a board: see board.h. */
#include "device/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "device/decode.h"

enum { STATE_RUNNING = 1, STATE_DONE = 2, STATE_ERROR = 3 };

static espl_status identify(espl_board *b, espl_err *err) {
  uint32_t id = 0, version = 0, hash = 0, want = espl_machine_hash(b->machine);
  ESPL_TRY(espl_bridge_read_reg(b->bridge, ESPL_REG_ID, &id, err));
  if (id != ESPL_ID_VALUE) return espl_fail(err, ESPL_E_MISMATCH, "%s: register ID reads 0x%08x, expected 0x%08x: not one of our cores", b->name, (unsigned)id, ESPL_ID_VALUE);
  ESPL_TRY(espl_bridge_read_reg(b->bridge, ESPL_REG_VERSION, &version, err));
  if (version != ESPL_VERSION_VALUE)
    return espl_fail(err, ESPL_E_MISMATCH, "%s: the core has version %u of the contract, expected %u", b->name, (unsigned)version, ESPL_VERSION_VALUE);
  ESPL_TRY(espl_bridge_read_reg(b->bridge, ESPL_REG_HASH, &hash, err));
  if (hash != want)
    return espl_fail(err, ESPL_E_MISMATCH, "%s: the board's core has configuration hash 0x%08x, machine %s has 0x%08x: another bitstream, or another machine file", b->name,
                     (unsigned)hash, b->machine->name, (unsigned)want);
  return ESPL_OK;
}

espl_status espl_board_open(const char *tty, int64_t baud, double seconds, const espl_machine *m, espl_board *out, espl_err *err) {
  *out = (espl_board){.machine = m};
  snprintf(out->name, sizeof out->name, "%s", tty);
  ESPL_TRY(espl_bridge_open(tty, baud, seconds, &out->bridge, err));
  espl_status s = identify(out, err);
  if (s != ESPL_OK) espl_board_close(out);
  return s;
}

void espl_board_close(espl_board *b) {
  espl_bridge_close(b->bridge);
  b->bridge = NULL;
}

static espl_status start(espl_board *b, const espl_run *run, espl_err *err) {
  const struct { uint32_t reg, value; } writes[] = {{ESPL_REG_EXPECT_HASH, run->expect_hash},
                                                    {ESPL_REG_PROG_ADDR, run->prog_addr},
                                                    {ESPL_REG_PROG_BYTES, run->prog_bytes},
                                                    {ESPL_REG_OUTSTANDING, (uint32_t)run->machine->mem.outstanding},
                                                    {ESPL_REG_CONTROL, 1}};
  for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) ESPL_TRY(espl_bridge_write_reg(b->bridge, writes[i].reg, writes[i].value, err));
  return ESPL_OK;
}

static espl_status wait_for_end(espl_board *b, double seconds, uint32_t *status, espl_err *err) {
  double until = espl_now() + seconds;
  long pause_ms = 1;
  for (;;) {
    ESPL_TRY(espl_bridge_read_reg(b->bridge, ESPL_REG_STATUS, status, err));
    uint32_t state = *status & 255u;
    if (state == STATE_DONE || state == STATE_ERROR) return ESPL_OK;
    if (state != STATE_RUNNING) return espl_fail(err, ESPL_E_FAILED, "%s: the core is in state %u after its start; was the board reset?", b->name, (unsigned)state);
    if (espl_now() > until) return espl_fail(err, ESPL_E_FAILED, "%s: the core still runs after %.3g s", b->name, seconds);
    nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000}, NULL);
    if (pause_ms < 32) pause_ms *= 2;
  }
}

/* The records of the MARKs of the program, from the board's memory. */
static espl_status fetch_layers(espl_board *b, const espl_run *run, espl_run_result *out, espl_err *err) {
  espl_decoded d;
  ESPL_TRY(espl_decode_program(run->memory, run->machine->mem_bytes, run->prog_addr, run->prog_bytes, &d, err));
  espl_status s = ESPL_OK;
  out->layer = calloc(d.count + 1u, sizeof *out->layer);
  out->cap = (int32_t)d.count + 1;
  if (!out->layer) s = espl_fail(err, ESPL_E_NOMEM, "%s: no memory for layer records", b->name);
  for (uint32_t i = 0; s == ESPL_OK && i < d.count && (out->hw_status == ESPL_HW_NONE || i < out->err_index); i++) {
    if ((d.cmd[i][0] & 15u) != ESPL_OPC_MARK) continue;
    espl_cmd_mark m;
    espl_cmd_mark_decode(d.cmd[i], &m);
    espl_layer_record *l = &out->layer[out->layers++];
    l->mark_index = i;
    uint8_t raw[4 * ESPL_CNT_COUNT];
    s = espl_bridge_read_mem(b->bridge, m.record & ~255u, sizeof raw, raw, err);
    for (int c = 0; s == ESPL_OK && c < ESPL_CNT_COUNT; c++)
      l->counter[c] = (uint32_t)raw[4 * c] | (uint32_t)raw[4 * c + 1] << 8 | (uint32_t)raw[4 * c + 2] << 16 | (uint32_t)raw[4 * c + 3] << 24;
  }
  espl_decoded_clear(&d);
  return s;
}

espl_status espl_board_run(espl_board *b, const espl_run *run, double seconds, espl_run_result *out, espl_err *err) {
  uint32_t status = 0, cycles = 0;
  *out = (espl_run_result){0};
  ESPL_TRY(start(b, run, err));
  ESPL_TRY(wait_for_end(b, seconds, &status, err));
  out->hw_status = (int32_t)(status >> 8 & 255u);
  ESPL_TRY(espl_bridge_read_reg(b->bridge, ESPL_REG_ERR_INDEX, &out->err_index, err));
  ESPL_TRY(espl_bridge_read_reg(b->bridge, ESPL_REG_CYCLES, &cycles, err));
  out->cycles = cycles;
  espl_status s = fetch_layers(b, run, out, err);
  if (s != ESPL_OK) espl_run_result_clear(out);
  return s;
}
