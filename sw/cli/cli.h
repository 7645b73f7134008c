/* What every subcommand gets from `main`: common options, outputs, progress, the error to report.
 *
 * A subcommand is one file cmd_<name>.c with `espl_status espl_cmd_<name>(espl_cli *cli, int argc, char **argv)`
 * (argv[0] is the subcommand's name) and one line in commands.h. It returns a status and leaves the message in
 * cli->err; main prints that and turns it into the exit status. */
#ifndef ESPL_CLI_CLI_H
#define ESPL_CLI_CLI_H

#include <stdint.h>
#include <stdio.h>

#include "base/json.h"
#include "base/progress.h"
#include "base/status.h"

struct espl_opt_spec;

typedef struct espl_cli {
  espl_err err;
  const char *json_path; /* --json FILE, "-" is standard output; NULL when not asked for */
  uint64_t seed;         /* --seed N, default 1 */
  int seed_given;
  const struct espl_opt_spec *spec; /* the command's options, while it runs, and which were given (bit i: its row i) */
  uint64_t given;
  int help;              /* --help was printed: return ESPL_OK at once */
  espl_progress *progress; /* the job's progress on stderr; NULL with --quiet */
} espl_cli;

/* Where tables for people go: stdout, or stderr when --json - takes stdout. */
FILE *espl_cli_out(const espl_cli *cli);
/* After E_INTERRUPTED: the message says what becomes of the work. Returns s. */
espl_status espl_cli_interrupted(espl_cli *cli, espl_status s, const char *what);
/* Writer of --json: *w is NULL when it was not asked for. Finish with espl_cli_json_end, which writes the
 * file atomically (so a command that fails leaves none). */
espl_status espl_cli_json_begin(espl_cli *cli, espl_json **w) ESPL_MUST_CHECK;
espl_status espl_cli_json_end(espl_cli *cli, espl_json *w) ESPL_MUST_CHECK;

#endif
