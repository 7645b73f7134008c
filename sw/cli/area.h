/* The cost model as commands use it: a board, the area model and the clocks of routed designs, read together. */
#ifndef ESPL_CLI_AREA_H
#define ESPL_CLI_AREA_H

#include "cost/area.h"
#include "cost/board.h"
#include "cost/clock.h"

typedef struct espl_cli_area {
  espl_board board;
  espl_area_model *model;
  espl_clock_table clocks;
  espl_clock clock; /* of the board */
} espl_cli_area;

espl_status espl_cli_area_open(const char *board, espl_cli_area *a, espl_err *err) ESPL_MUST_CHECK; /* espl_cli_area_close afterwards, also on error */
void espl_cli_area_close(espl_cli_area *a);

/* Milliseconds of a number of cycles at a clock in MHz. */
static inline double espl_cli_ms(double cycles, double mhz) { return cycles / mhz / 1000; }

#endif
