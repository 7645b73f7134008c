/* A Verilated core kept alive for many runs.
 *
 * espl_rtl_open builds (or finds) the platform for the structure of a machine and starts it as a child process; espl_rtl_run gives it
 * one program after the other, each from the power-on state. Runs may differ in memory timing and memory size, not in structure. */
#ifndef ESPL_DEVICE_RTL_H
#define ESPL_DEVICE_RTL_H

#include "device/device.h"

typedef struct espl_rtl espl_rtl;

/* ESPL_RTL_TRACE: a build that can write FST files (espl_run.trace). ESPL_RTL_BARE: no SystemC, the same core and memory in a plain C++
 * loop, the yardstick of the platform's speed. */
typedef enum espl_rtl_flavour { ESPL_RTL_PLATFORM, ESPL_RTL_TRACE, ESPL_RTL_BARE } espl_rtl_flavour;
/* rtl_dir: folder with other RTL sources (rtl/, hw/gen/), NULL for ours.
 * E_UNSUPPORTED as espl_device_rtl; E_FAILED when the build fails. */
espl_status espl_rtl_open(const espl_machine *m, espl_rtl_flavour flavour, const char *rtl_dir, espl_rtl **out, espl_err *err) ESPL_MUST_CHECK;
/* E_FAILED with the platform's own words when it refuses, dies or passes max_cycles; the handle may be used again after that. */
espl_status espl_rtl_run(espl_rtl *rtl, const espl_run *run, espl_run_result *out, espl_err *err) ESPL_MUST_CHECK;
/* Processor time of the last run's simulation alone. */
double espl_rtl_cpu_seconds(const espl_rtl *rtl);
void espl_rtl_close(espl_rtl *rtl); /* NULL is allowed */

#endif
