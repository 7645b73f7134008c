/* What `steer` and `demo` share: running a study with overrides from the command line, the table of its variants, the report. */
#ifndef ESPL_CLI_STUDY_H
#define ESPL_CLI_STUDY_H

#include "cli/cli.h"
#include "steer/study.h"

/* Opens (creates) the store at `db`, runs the study, prints the table, writes the report into <study->out>/report and prints its path;
 * --json gets the variants as an array. */
espl_status espl_cli_study(espl_cli *cli, const espl_study *study, const char *db) ESPL_MUST_CHECK;
/* "espalier steer a b c" from argv, for the record; free() it. */
char *espl_cli_command_line(int argc, char **argv);
#endif
