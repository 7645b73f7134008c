/* Parsing against the table, and --help from the same table. */
#include "cli/options.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/text.h"

#define MAX_OPTIONS 64

/* The common options are rows like any other; they lie behind the command's own, which win. */
struct table {
  const espl_opt *row[MAX_OPTIONS];
  int n;
  espl_opt common[4];
  int help, quiet, seen[MAX_OPTIONS];
  int64_t seed;
};

static espl_status fill(struct table *t, espl_cli *cli, const espl_opt_spec *spec) {
  if (spec->n_options + 4 > MAX_OPTIONS) return espl_fail(&cli->err, ESPL_E_BUG, "a command has more than %d options", MAX_OPTIONS - 4);
  *t = (struct table){.seed = (int64_t)cli->seed};
  t->common[0] = (espl_opt){.name = "json", .type = ESPL_OPT_STRING, .arg = "FILE", .value = &cli->json_path, .help = "write the result as JSON, - is standard output"};
  t->common[1] = (espl_opt){.name = "seed", .type = ESPL_OPT_INT, .arg = "N", .value = &t->seed, .min = 0, .max = 9007199254740992.0,
                            .given = &cli->seed_given, .help = "seed of everything random (default 1)"};
  t->common[2] = (espl_opt){.name = "quiet", .type = ESPL_OPT_FLAG, .value = &t->quiet, .help = "no progress"};
  t->common[3] = (espl_opt){.name = "help", .letter = 'h', .type = ESPL_OPT_FLAG, .value = &t->help, .help = "this text"};
  for (int i = 0; i < spec->n_options; i++) t->row[t->n++] = &spec->options[i];
  for (int i = 0; i < 4; i++) t->row[t->n++] = &t->common[i];
  return ESPL_OK;
}

static int find_name(const struct table *t, const char *name, size_t n) {
  for (int i = 0; i < t->n; i++)
    if (strlen(t->row[i]->name) == n && strncmp(t->row[i]->name, name, n) == 0) return i;
  return -1;
}

static int find_letter(const struct table *t, char letter) {
  for (int i = 0; i < t->n; i++)
    if (t->row[i]->letter == letter) return i;
  return -1;
}

static espl_status unknown(espl_cli *cli, const struct table *t, const char *word) {
  const char *names[MAX_OPTIONS];
  char bare[80];
  for (int i = 0; i < t->n; i++) names[i] = t->row[i]->name;
  snprintf(bare, sizeof bare, "%.*s", (int)strcspn(word, "="), word);
  const char *name = bare + strspn(bare, "-");
  return espl_fail(&cli->err, ESPL_E_INPUT, "unknown option '%s'; the nearest one is '--%s' (--help lists all)", bare,
                   espl_nearest(name, names, (size_t)t->n));
}

static espl_status set_int(espl_cli *cli, const espl_opt *o, const char *text) {
  char *end = NULL;
  errno = 0;
  long long v = strtoll(text, &end, 10);
  if (end == text || *end) return espl_fail(&cli->err, ESPL_E_INPUT, "--%s: found '%s', expected an integer", o->name, text);
  if (errno == ERANGE || ((o->min != 0 || o->max != 0) && ((double)v < o->min || (double)v > o->max)))
    return espl_fail(&cli->err, ESPL_E_INPUT, "--%s: %s is out of range, expected %.0f to %.0f", o->name, text, o->min, o->max);
  *(int64_t *)o->value = v;
  return ESPL_OK;
}

static espl_status set_number(espl_cli *cli, const espl_opt *o, const char *text) {
  char *end = NULL;
  double v = strtod(text, &end);
  if (end == text || *end || !isfinite(v)) return espl_fail(&cli->err, ESPL_E_INPUT, "--%s: found '%s', expected a number", o->name, text);
  if ((o->min != 0 || o->max != 0) && (v < o->min || v > o->max))
    return espl_fail(&cli->err, ESPL_E_INPUT, "--%s: %s is out of range, expected %g to %g", o->name, text, o->min, o->max);
  *(double *)o->value = v;
  return ESPL_OK;
}

static espl_status set_choice(espl_cli *cli, const espl_opt *o, const char *text) {
  int n = 0;
  for (; o->choices[n]; n++)
    if (strcmp(o->choices[n], text) == 0) {
      *(int *)o->value = n;
      return ESPL_OK;
    }
  return espl_fail(&cli->err, ESPL_E_INPUT, "--%s: unknown value '%s'; the nearest one is '%s'", o->name, text,
                   espl_nearest(text, o->choices, (size_t)n));
}

static espl_status set(espl_cli *cli, const espl_opt *o, const char *text) {
  if (o->type == ESPL_OPT_INT) return set_int(cli, o, text);
  if (o->type == ESPL_OPT_NUMBER) return set_number(cli, o, text);
  if (o->type == ESPL_OPT_CHOICE) return set_choice(cli, o, text);
  if (!*text) return espl_fail(&cli->err, ESPL_E_INPUT, "--%s: needs a value, found nothing", o->name);
  *(const char **)o->value = text;
  return ESPL_OK;
}

/* Does one alternative of `with` or `without` hold? n characters of text; *other: the row it names, NULL when there is none. */
static int holds(const struct table *t, const char *text, size_t n, const espl_opt **other) {
  size_t name = 0;
  while (name < n && text[name] != '=') name++;
  int at = find_name(t, text, name);
  *other = at < 0 ? NULL : t->row[at];
  if (at < 0) return 0;
  const espl_opt *o = t->row[at];
  if (name < n) {
    const char *now = o->choices[*(const int *)o->value];
    return strlen(now) == n - name - 1 && strncmp(now, text + name + 1, n - name - 1) == 0;
  }
  if (o->type == ESPL_OPT_INT) return *(const int64_t *)o->value != 0;
  if (o->type == ESPL_OPT_NUMBER) return *(const double *)o->value != 0;
  return t->seen[at];
}

/* "--engine rtl or --engine both" from "engine=rtl|engine=both". */
static void spell(const char *list, char *text, size_t room) {
  size_t n = 0;
  text[0] = 0;
  for (const char *p = list; *p && n + 12 < room; p++) {
    if (p == list || p[-1] == '|') n += (size_t)snprintf(text + n, room - n, "--");
    if (*p == '|') n += (size_t)snprintf(text + n, room - n, " or ");
    else text[n++] = *p == '=' ? ' ' : *p, text[n] = 0;
  }
}

static void print_help(const espl_opt_spec *spec, const struct table *t, const char *command) {
  printf("usage: espalier %s %s\n\n%s\n\n", command, spec->usage, spec->summary);
  for (int i = 0; i < t->n; i++) {
    const espl_opt *o = t->row[i];
    char left[64];
    char letter[8] = "    ";
    if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
    int wide = snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->arg ? " " : "", o->arg ? o->arg : "") > 28;
    printf("  %-28s %s%-*s%s%s", left, wide ? "\n" : "", wide ? 31 : 0, "", o->help, o->required ? " (required)" : "");
    if (o->type == ESPL_OPT_CHOICE)
      for (int k = 0; o->choices[k]; k++) printf("%s%s", k ? " | " : ": ", o->choices[k]);
    if (o->with) {
      char needs[160];
      spell(o->with, needs, sizeof needs);
      printf(" [with %s]", needs);
    }
    putchar('\n');
  }
}

/* Options that would have no effect beside the others. */
static espl_status check_pair(espl_cli *cli, const struct table *t, const espl_opt *o) {
  const espl_opt *other = NULL, *off = NULL;
  int met = !o->with;
  char needs[160];
  for (const char *p = o->with; p && *p && !met; p += strcspn(p, "|"), p += *p == '|') {
    met = holds(t, p, strcspn(p, "|"), &other);
    if (!met && other && (other->type == ESPL_OPT_INT || other->type == ESPL_OPT_NUMBER)) off = other;
  }
  if (!met && off && t->seen[find_name(t, off->name, strlen(off->name))])
    return espl_fail(&cli->err, ESPL_E_INPUT, "--%s does nothing with --%s 0", o->name, off->name);
  if (!met) {
    spell(o->with, needs, sizeof needs);
    return espl_fail(&cli->err, ESPL_E_INPUT, "--%s needs %s", o->name, needs);
  }
  for (const char *p = o->without; p && *p; p += strcspn(p, "|"), p += *p == '|') {
    if (!holds(t, p, strcspn(p, "|"), &other)) continue;
    char one[64];
    snprintf(one, sizeof one, "%.*s", (int)strcspn(p, "|"), p);
    spell(one, needs, sizeof needs);
    return espl_fail(&cli->err, ESPL_E_INPUT, "--%s does not go with %s", o->name, needs);
  }
  return ESPL_OK;
}

static int has_word(const char *list, const char *word) {
  size_t n = strlen(word);
  for (const char *p = list; p && *p; p += strcspn(p, " "), p += *p == ' ')
    if (strcspn(p, " ") == n && strncmp(p, word, n) == 0) return 1;
  return 0;
}

espl_status espl_opt_none(espl_cli *cli, const char *word, const char *fmt, ...) {
  char why[256];
  for (int i = 0; cli->spec && i < cli->spec->n_options; i++) {
    const espl_opt *o = &cli->spec->options[i];
    if (!(cli->given >> i & 1) || !has_word(o->only, word)) continue;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    return espl_fail(&cli->err, ESPL_E_INPUT, "--%s %s", o->name, why);
  }
  return ESPL_OK;
}

/* One option at argv[*i]; moves *i over a value in the next word. */
static espl_status take(espl_cli *cli, struct table *t, int argc, char **argv, int *i) {
  const char *word = argv[*i], *value = NULL;
  int at;
  if (word[1] == '-') {
    size_t n = strcspn(word + 2, "=");
    at = find_name(t, word + 2, n);
    if (word[2 + n] == '=') value = word + 3 + n;
  } else {
    at = find_letter(t, word[1]);
    if (at >= 0 && word[2]) value = word + 2;
  }
  if (at < 0) return unknown(cli, t, word);
  const espl_opt *o = t->row[at];
  if (t->seen[at]) return espl_fail(&cli->err, ESPL_E_INPUT, "--%s is given twice", o->name);
  t->seen[at] = 1;
  if (o->given) *o->given = 1;
  if (o->type == ESPL_OPT_FLAG) {
    if (value) return espl_fail(&cli->err, ESPL_E_INPUT, "--%s takes no value", o->name);
    *(int *)o->value = 1;
    return ESPL_OK;
  }
  if (!value && *i + 1 >= argc) return espl_fail(&cli->err, ESPL_E_INPUT, "--%s: needs a value (%s)", o->name, o->arg ? o->arg : "VALUE");
  return set(cli, o, value ? value : argv[++*i]);
}

static espl_status check_all(espl_cli *cli, const struct table *t, const espl_opt_spec *spec, const char *command, int n_args) {
  if (n_args < spec->min_args)
    return espl_fail(&cli->err, ESPL_E_INPUT, "an argument is missing; usage: espalier %s %s", command, spec->usage);
  for (int i = 0; i < t->n; i++)
    if (t->row[i]->required && !t->seen[i])
      return espl_fail(&cli->err, ESPL_E_INPUT, "--%s is missing; usage: espalier %s %s", t->row[i]->name, command, spec->usage);
  for (int i = 0; i < t->n; i++)
    if (t->seen[i]) ESPL_TRY(check_pair(cli, t, t->row[i]));
  if (cli->json_path && strcmp(cli->json_path, "-") != 0) return espl_check_writable("--json", cli->json_path, &cli->err);
  return ESPL_OK;
}

static espl_status take_all(espl_cli *cli, struct table *t, const espl_opt_spec *spec, int argc, char **argv, const char **args, int *n_args) {
  int only_args = 0;
  *n_args = 0;
  for (int i = 1; i < argc; i++) {
    if (!only_args && strcmp(argv[i], "--") == 0) {
      only_args = 1;
    } else if (!only_args && argv[i][0] == '-' && argv[i][1]) {
      ESPL_TRY(take(cli, t, argc, argv, &i));
    } else if (!argv[i][0]) {
      return espl_fail(&cli->err, ESPL_E_INPUT, "an argument is empty; usage: espalier %s %s", argv[0], spec->usage);
    } else if (*n_args == spec->max_args) {
      return espl_fail(&cli->err, ESPL_E_INPUT, "unexpected argument '%s'; usage: espalier %s %s", argv[i], argv[0], spec->usage);
    } else {
      args[(*n_args)++] = argv[i];
    }
  }
  return ESPL_OK;
}

espl_status espl_opt_parse(espl_cli *cli, const espl_opt_spec *spec, int argc, char **argv, const char **args, int *n_args) {
  struct table t;
  ESPL_TRY(fill(&t, cli, spec));
  ESPL_TRY(take_all(cli, &t, spec, argc, argv, args, n_args));
  cli->seed = (uint64_t)t.seed;
  cli->spec = spec;
  cli->given = 0;
  for (int i = 0; i < spec->n_options; i++) cli->given |= (uint64_t)t.seen[i] << i;
  if (t.help) {
    print_help(spec, &t, argv[0]);
    cli->help = 1;
    return ESPL_OK;
  }
  if (t.quiet) {
    espl_progress_free(cli->progress);
    cli->progress = NULL;
  }
  return check_all(cli, &t, spec, argv[0], *n_args);
}
