/* Layer tables for `espalier sim`: their options, the exact run, and SCALE-Sim's closed form beside it. */
#ifndef ESPL_CLI_TOPOLOGY_H
#define ESPL_CLI_TOPOLOGY_H

#include "cli/options.h"
#include "map/map.h"

typedef struct espl_topology_args {
  int input, timing, dataflow;                    /* choices below */
  int input_given, dataflow_given;
  const char *report, *config;
} espl_topology_args;

extern const char *const espl_topology_inputs[], *const espl_topology_timings[], *const espl_topology_dataflows[];

#define ESPL_TOPOLOGY_OPTIONS(t)                                                                                                                     \
  {.name = "input", .type = ESPL_OPT_CHOICE, .arg = "conv|gemm", .value = &(t).input, .choices = espl_topology_inputs, .given = &(t).input_given, .only = "table",    \
   .help = "table: its form (default: from its header)"},                                                                                            \
  {.name = "timing", .type = ESPL_OPT_CHOICE, .arg = "exact|scale-sim", .value = &(t).timing, .choices = espl_topology_timings, .only = "table",     \
   .help = "table: our machine (default), or SCALE-Sim's closed form"},                                                                              \
  {.name = "dataflow", .type = ESPL_OPT_CHOICE, .arg = "ws|os|is", .value = &(t).dataflow, .choices = espl_topology_dataflows,                       \
   .given = &(t).dataflow_given, .with = "timing=scale-sim", .help = "what stays in the array (default ws)"},                                                         \
  {.name = "config", .type = ESPL_OPT_STRING, .arg = "FILE.cfg", .value = &(t).config, .with = "timing=scale-sim", .help = "SCALE-Sim's configuration; --machine and --dataflow win over it"}, \
  {.name = "report", .type = ESPL_OPT_STRING, .arg = "DIR", .value = &(t).report, .with = "timing=scale-sim", .help = "write SCALE-Sim's three report files here"}

int espl_is_topology(const char *path); /* ends in .csv */
/* E_INPUT for options that do not go together; table: the argument is a layer table. */
espl_status espl_cli_topology_check(espl_cli *cli, const espl_topology_args *t, int table, const char *machine) ESPL_MUST_CHECK;
/* The exact run; engine 0 model, 1 rtl, 2 both. *agree is set when both ran. The result is released by the caller. */
espl_status espl_cli_topology_run(espl_cli *cli, const espl_topology_args *t, const char *path, const espl_machine *m, int engine, const espl_trace *trace,
                                  espl_sim_result *r, int *agree) ESPL_MUST_CHECK;
/* The closed form: table, --json and --report. machine may be NULL when there is a --config. */
espl_status espl_cli_topology_scale(espl_cli *cli, const espl_topology_args *t, const char *path, const char *machine) ESPL_MUST_CHECK;

#endif
