/* Inside the model body: the timing twin on a decoded program. */
#ifndef ESPL_DEVICE_TIMING_INT_H
#define ESPL_DEVICE_TIMING_INT_H

#include "device/decode.h"
#include "device/device.h"

/* Runs the timing twin. executed[d->count], may be NULL, is set to 1 for every command a unit took and finished and for every MARK
 * whose record was written: what memory reflects, in list order, also when the program ends in an error. */
espl_status espl_timing_decoded(const espl_run *run, const espl_decoded *d, uint8_t *executed, espl_run_result *out, espl_err *err) ESPL_MUST_CHECK;
#endif
