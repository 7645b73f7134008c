/* The espalier command: finds the subcommand, prints the error it returns, chooses the exit status. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"

#define VERSION "0.1"

static const struct command {
  const char *name, *text;
  espl_status (*run)(espl_cli *cli, int argc, char **argv);
} commands[] = {
#define X(name, text) {#name, text, espl_cmd_##name},
    ESPL_COMMANDS(X)
#undef X
};
#define N_COMMANDS (sizeof commands / sizeof *commands)

static void usage(FILE *f) {
  fputs("usage: espalier COMMAND ...\n\nMakes a trained network fit a systolic array: smaller networks, their exact cycles, and the proof.\n\n", f);
  for (size_t i = 0; i < N_COMMANDS; i++) fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].text);
  fputs("\nEvery command has --help, --json FILE (- is standard output), --seed N and --quiet.\n"
        "Exit status: 0 done, 1 the work failed, 2 the command line or input was wrong.\n", f);
}

FILE *espl_cli_out(const espl_cli *cli) {
  return cli->json_path && strcmp(cli->json_path, "-") == 0 ? stderr : stdout;
}

espl_status espl_cli_interrupted(espl_cli *cli, espl_status s, const char *what) {
  if (s != ESPL_E_INTERRUPTED) return s;
  cli->err = (espl_err){0};
  return espl_fail(&cli->err, s, "interrupted; %s", what);
}

espl_status espl_cli_json_begin(espl_cli *cli, espl_json **w) {
  *w = NULL;
  if (!cli->json_path) return ESPL_OK;
  *w = espl_json_to_buffer(2);
  return *w ? ESPL_OK : espl_fail(&cli->err, ESPL_E_NOMEM, "no memory for JSON text");
}

espl_status espl_cli_json_end(espl_cli *cli, espl_json *w) {
  if (!w) return ESPL_OK;
  char *text = NULL;
  ESPL_TRY(espl_json_finish(w, &text, &cli->err));
  espl_status s = ESPL_OK;
  if (strcmp(cli->json_path, "-") != 0)
    s = espl_write_file(cli->json_path, text, strlen(text), &cli->err);
  else if (fputs(text, stdout) < 0)
    s = espl_fail(&cli->err, ESPL_E_IO, "standard output: %s", strerror(errno));
  free(text);
  return s;
}

static const struct command *find(const char *name) {
  for (size_t i = 0; i < N_COMMANDS; i++)
    if (strcmp(commands[i].name, name) == 0) return &commands[i];
  return NULL;
}

static int unknown(const char *name) {
  const char *names[N_COMMANDS];
  for (size_t i = 0; i < N_COMMANDS; i++) names[i] = commands[i].name;
  fprintf(stderr, "espalier: unknown command '%s'; the nearest one is '%s' (espalier --help lists all)\n", name,
          espl_nearest(name, names, N_COMMANDS));
  return 2;
}

static int run(const struct command *c, int argc, char **argv) {
  espl_cli cli = {.seed = 1};
  cli.progress = espl_progress_new(stderr, c->name);
  espl_status s = c->run(&cli, argc, argv);
  espl_progress_free(cli.progress);
  if (s == ESPL_OK && fflush(stdout) != 0) s = espl_fail(&cli.err, ESPL_E_IO, "standard output: %s", strerror(errno));
  if (s != ESPL_OK) fprintf(stderr, "espalier %s: %s\n", c->name, cli.err.code ? cli.err.msg : espl_status_text(s));
  return espl_status_exit(s);
}

/* OpenMP threads that spin while they wait halve the speed of training when other programs use the processors (10 s instead of 19 to 25 s for
 * a third of an epoch at a load of 8). The runtime reads its setting while it is loaded, so the command starts itself once more with it; what
 * never trains or evaluates images is spared that (6 ms). */
static void shorten_openmp_spinning(int argc, char **argv) {
  static const char *const plain[] = {"sweep", "info", "report", "synth"};
  for (size_t i = 0; argc > 1 && i < sizeof plain / sizeof *plain; i++)
    if (strcmp(argv[1], plain[i]) == 0) return;
  for (int i = 2; i < argc && strcmp(argv[1], "sim") == 0; i++)
    if (strlen(argv[i]) > 4 && strcmp(argv[i] + strlen(argv[i]) - 4, ".csv") == 0) return; /* a layer table */
  if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return;
  if (setenv("GOMP_SPINCOUNT", "1000", 0) == 0) execv("/proc/self/exe", argv); /* when this fails the default does */
}

/* Exit status after a text that is all there was to do. */
static int said(void) {
  if (fflush(stdout) == 0) return 0;
  fprintf(stderr, "espalier: standard output: %s\n", strerror(errno));
  return 1;
}

int main(int argc, char **argv) {
  shorten_openmp_spinning(argc, argv);
  espl_interrupt_install();
  if (argc < 2) {
    usage(stderr);
    return 2;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    usage(stdout);
    return said();
  }
  if (strcmp(argv[1], "--version") == 0) {
    puts("espalier " VERSION);
    return said();
  }
  const struct command *c = find(argv[1]);
  return c ? run(c, argc - 1, argv + 1) : unknown(argv[1]);
}
