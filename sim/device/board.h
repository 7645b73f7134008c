/* A core on a board behind a serial line: another body of the machine (device.h).
 *
 * Memory stays on the board between runs, so a program is loaded once and only tensors go over the line for each image. */
#ifndef ESPL_DEVICE_BOARD_H
#define ESPL_DEVICE_BOARD_H

#include "device/bridge.h"
#include "device/device.h"

typedef struct espl_board {
  const espl_machine *machine; /* borrowed */
  espl_bridge *bridge;
  char name[128];
} espl_board;

/* Opens the line and checks that the core behind it is one of `m`: E_MISMATCH names both configuration hashes. Arguments as
 * espl_bridge_open. */
espl_status espl_board_open(const char *tty, int64_t baud, double seconds, const espl_machine *m, espl_board *out, espl_err *err) ESPL_MUST_CHECK;
/* Runs the program that lies in the board's memory. run->memory is the image it was loaded from (only read, for the list of commands);
 * `seconds` limits the run. Counters and layers of *out come from the records in the board's memory; counters at the end stay zero. */
espl_status espl_board_run(espl_board *b, const espl_run *run, double seconds, espl_run_result *out, espl_err *err) ESPL_MUST_CHECK;
void espl_board_close(espl_board *b);

#endif
