/* Energy of a run, estimated from its exact event counts and a table of picojoules an event that a user can replace.
 *
 * The counts are the machine's own (cycles, macs, busy, tiles, bytes); what a busy cycle and a tile touch follows from the machine point:
 *   mac     one a useful multiply-accumulate
 *   buffer  bytes of on-chip memory read or written: R activations and, in each of C columns, one accumulator read and one written a busy
 *           cycle; the R*C weights of a tile once; what the bus brings or takes once more at its other side
 *   bus     bytes to and from memory
 *   cycle   clock tree and leakage, every cycle
 * Estimates, not measurements: a table is no better than its source, which its file names. */
#ifndef ESPL_COST_ENERGY_H
#define ESPL_COST_ENERGY_H

#include "device/machine.h"

typedef struct espl_energy_table {
  char name[ESPL_NAME_BYTES];
  double mac_pj, buffer_byte_pj, bus_byte_pj, cycle_pj; /* >= 0 */
} espl_energy_table;

typedef struct espl_energy_events {
  uint64_t cycles, macs, busy, tiles, bus_bytes;
} espl_energy_events;

typedef struct espl_energy {
  double mac, buffer, bus, cycle; /* picojoules */
} espl_energy;

/* name_or_path as espl_machine_load, names in configs/energy. E_INPUT with file:line:column. *out is unchanged on error. */
espl_status espl_energy_load(const char *name_or_path, espl_energy_table *out, espl_err *err) ESPL_MUST_CHECK;
espl_energy espl_energy_of(const espl_energy_table *t, const espl_machine *m, const espl_energy_events *e);
double espl_energy_total(const espl_energy *e); /* picojoules */

#endif
