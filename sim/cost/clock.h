/* Clock that a core reaches on a board, from the designs that were placed and routed there.
 *
 * The longest paths of the core are in its control (addresses of tiles, checks), not in the array, so the clock hardly depends on the size
 * of a point: the estimate is the geometric mean of the board's routed designs, whatever the machine. Its range goes from the slowest to the
 * fastest of them and 15 % further on either side, about what another seed of the placer or another option of the core changes. */
#ifndef ESPL_COST_CLOCK_H
#define ESPL_COST_CLOCK_H

#include <stdint.h>

#include "base/status.h"

typedef struct espl_clock_row {
  char board[64], top[16], machine[64]; /* top: "core" alone, or the whole "board" */
  char tool[64], sources[16], date[16];
  int32_t rows, cols;
  double mhz, asked;
} espl_clock_row;

typedef struct espl_clock_table {
  int32_t n;
  espl_clock_row *row;
} espl_clock_table;

/* path NULL: configs/cost/clock.csv. E_INPUT with file:line. Free with espl_clock_free. */
espl_status espl_clock_load(const char *path, espl_clock_table *out, espl_err *err) ESPL_MUST_CHECK;
void espl_clock_free(espl_clock_table *t);

typedef struct espl_clock {
  int32_t routed;        /* designs of the board; 0: nothing is known and the rest is 0 */
  double mhz, low, high;
} espl_clock;
/* without: a row that is left out, -1 for none. */
espl_clock espl_clock_estimate(const espl_clock_table *t, const char *board, int32_t without);

#endif
