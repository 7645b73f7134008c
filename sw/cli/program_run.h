/* Networks that the network graph does not hold (other ranks, integers, several inputs or outputs), evaluated operator by operator. */
#ifndef ESPL_CLI_PROGRAM_RUN_H
#define ESPL_CLI_PROGRAM_RUN_H

#include "cli/cli.h"

/* Files are the inputs in the network's order, one run for every so many files as it has inputs; a floating input takes numbers of any type. Outputs: DIR/<first file>.out.npy, or, of a
 * network with several, DIR/<first file>.<output's name>.npy. Says on standard output what was written. */
espl_status espl_cli_run_program(espl_cli *cli, const char *network, int files, const char *const *file, const char *dir) ESPL_MUST_CHECK;
/* DIR/<name of the file without its ending>.<what>.npy; free() it; NULL when out of memory. */
char *espl_cli_output_path(const char *dir, const char *file, const char *what);

#endif
