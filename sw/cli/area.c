/* Opens and closes what the cost model needs. */
#include "cli/area.h"

espl_status espl_cli_area_open(const char *board, espl_cli_area *a, espl_err *err) {
  *a = (espl_cli_area){.model = NULL};
  ESPL_TRY(espl_board_load(board, &a->board, err));
  ESPL_TRY(espl_area_load(NULL, &a->model, err));
  ESPL_TRY(espl_clock_load(NULL, &a->clocks, err));
  a->clock = espl_clock_estimate(&a->clocks, a->board.name, -1);
  return ESPL_OK;
}

void espl_cli_area_close(espl_cli_area *a) {
  espl_area_free(a->model);
  espl_clock_free(&a->clocks);
  a->model = NULL;
}
