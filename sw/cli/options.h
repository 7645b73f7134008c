/* Command-line options from a table: parsing, range checks, nearest-match messages and --help.
 *
 *   const char *out = NULL; int64_t images = 0; int int8 = 0;
 *   const espl_opt opts[] = {
 *     {.name = "out", .letter = 'o', .type = ESPL_OPT_STRING, .arg = "DIR", .value = &out, .required = 1, .help = "where to write"},
 *     {.name = "images", .type = ESPL_OPT_INT, .arg = "N", .value = &images, .min = 1, .max = 1e9, .help = "..."},
 *     {.name = "int8", .type = ESPL_OPT_FLAG, .value = &int8, .help = "bit-exact integers"}};
 *   const espl_opt_spec spec = {.usage = "NETWORK --data DIR", .summary = "...", .options = opts, .n_options = 3, .min_args = 1, .max_args = 1};
 *   const char *args[1]; int n_args;
 *   ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, args, &n_args));
 *   if (cli->help) return ESPL_OK;
 * Accepted: --name value, --name=value, -l value, flags alone; `--` ends options. Options and arguments may mix.
 * --help, --json FILE, --seed N and --quiet are added to every command and land in espl_cli.
 * An option that has no effect in the given combination is refused: what it needs and what it does not go with stands in its row (`with`,
 * `without`), what only the arguments tell (a table or a network, floats or integers) in its `only`, which the command asks for afterwards
 * (espl_opt_none). An option may be given once.
 * Every refusal is E_INPUT (exit status 2). Strings point into argv. */
#ifndef ESPL_CLI_OPTIONS_H
#define ESPL_CLI_OPTIONS_H

#include "base/status.h"
#include "cli/cli.h"

typedef enum espl_opt_type {
  ESPL_OPT_FLAG,   /* int: 1 when given */
  ESPL_OPT_STRING, /* const char * */
  ESPL_OPT_INT,    /* int64_t in [min, max] */
  ESPL_OPT_NUMBER, /* double in [min, max] */
  ESPL_OPT_CHOICE  /* int: index into `choices` */
} espl_opt_type;

typedef struct espl_opt {
  const char *name; /* without dashes */
  char letter;      /* short form, 0 for none */
  espl_opt_type type;
  const char *arg; /* what --help calls the value */
  const char *help;
  void *value; /* default on entry; kept when the option is absent */
  double min, max; /* INT and NUMBER; both 0 means no limit */
  const char *const *choices; /* CHOICE: NULL-terminated */
  int required;
  int *given; /* set to 1 when the option is present; may be NULL */
  /* Options of the same table, separated by '|': NAME (it is given; of an INT or NUMBER: its value, default or not, is not 0), or
   * NAME=VALUE (a CHOICE has that value, by default or not). NULL: none. A name that the table does not have never holds. */
  const char *with;    /* one of these must hold */
  const char *without; /* none of these may hold */
  const char *only;    /* words for espl_opt_none, or NULL */
} espl_opt;

typedef struct espl_opt_spec {
  const char *usage;   /* what follows "espalier <command> " */
  const char *summary; /* a sentence or two for --help */
  const espl_opt *options;
  int n_options;
  int min_args, max_args; /* of positional arguments */
} espl_opt_spec;

/* args[max_args] receives the positional arguments. */
espl_status espl_opt_parse(espl_cli *cli, const espl_opt_spec *spec, int argc, char **argv, const char **args, int *n_args) ESPL_MUST_CHECK;
/* After parsing, while the table lives: refuses the first given option that has `word` in its `only`, as "--NAME " and the formatted reason. */
espl_status espl_opt_none(espl_cli *cli, const char *word, const char *fmt, ...) ESPL_PRINTF(3, 4) ESPL_MUST_CHECK;

#endif
