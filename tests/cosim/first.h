/* Where two runs of one program part: the first burst at the memory port, or the first byte written, that differs. */
#ifndef ESPL_COSIM_FIRST_H
#define ESPL_COSIM_FIRST_H

#include "device/device.h"

/* One sentence with the first differing cycle and the unit, or (equal bursts) the first differing byte and the cycle of its write; "" when
 * bursts and memories agree. a: the model, b: the RTL; logs may have been cut at their capacity. */
void first_difference(const espl_machine *m, const espl_bus_log *a, const uint8_t *mem_a, const espl_bus_log *b, const uint8_t *mem_b, char *text, size_t n);

#endif
