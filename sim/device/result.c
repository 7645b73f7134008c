/* Ownership of run results. */
#include <stdlib.h>

#include "device/device.h"

void espl_run_result_clear(espl_run_result *r) {
  free(r->layer);
  *r = (espl_run_result){0};
}
