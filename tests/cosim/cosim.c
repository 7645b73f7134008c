/* cosim: the same random programs on the C model and on the Verilated core; every byte, cycle and counter must agree.
 *
 *   cosim --machine NAME[:PROGRAMS]... [--seed S] [--programs N] [--size 0..100] [--kind K] [--coverage] [--rtl DIR] [--check] [--fst FILE]
 *         [--failures N] [--trials N] [--quiet]
 *   cosim --replay FILE [--rtl DIR] [--fst FILE]
 *
 * N programs for each machine without a number of its own; the seeds S, S + 1, ... go on from machine to machine; one in five is illegal.
 * --coverage: a goal that chance missed is given two more rounds of programs; missing it then is a failure. --rtl DIR: another set of RTL
 * sources. --failures: differences after which a machine is left. --check: generator, program check and model only, no RTL.
 * A difference is told with its first cycle or byte, shrunk (--trials N, 0: not) and left as a file; --replay runs such a file again.
 * Exit status 0: all agree. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "coverage.h"
#include "map/machine_yaml.h"
#include "runner.h"
#include "shrink.h"

#define MACHINES_MAX 12

enum { ROUNDS = 3, SHRUNK_MAX = 1 };

typedef struct options {
  const char *self, *rtl_dir, *fst, *replay;
  char machine[MACHINES_MAX][PATH_MAX];
  int count[MACHINES_MAX]; /* programs; 0: as --programs says */
  int machines, programs, size, kind, trials, failures, coverage, check_only, quiet;
  uint64_t seed;
} options;

typedef struct totals {
  uint64_t cycles;
  int run, differences, shrunk;
} totals;

static int usage(void) {
  fprintf(stderr, "usage: cosim --machine NAME[:PROGRAMS]... [--seed S] [--programs N] [--size 0..100] [--kind K] [--coverage] [--rtl DIR] [--check] [--fst FILE] [--failures N] [--trials N] [--quiet]\n"
                  "       cosim --replay FILE [--rtl DIR] [--fst FILE]\n");
  return 2;
}

static int add_machine(options *o, const char *text) {
  if (o->machines == MACHINES_MAX || strlen(text) >= PATH_MAX) return 0;
  char *name = o->machine[o->machines];
  strcpy(name, text);
  char *colon = strrchr(name, ':');
  if (colon) {
    *colon = 0;
    o->count[o->machines] = atoi(colon + 1);
    if (o->count[o->machines] < 1) return 0;
  }
  o->machines++;
  return 1;
}

static int parse(int argc, char **argv, options *o) {
  *o = (options){.self = argv[0], .programs = 20, .size = 40, .kind = -1, .seed = 1, .trials = 10000, .failures = 5};
  for (int i = 1; i < argc; i++) {
    const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(a, "--coverage") == 0) { o->coverage = 1; continue; }
    if (strcmp(a, "--check") == 0) { o->check_only = 1; continue; }
    if (strcmp(a, "--quiet") == 0) { o->quiet = 1; continue; }
    if (!v) return 0;
    i++;
    if (strcmp(a, "--machine") == 0) { if (!add_machine(o, v)) return 0; }
    else if (strcmp(a, "--seed") == 0) o->seed = strtoull(v, NULL, 0);
    else if (strcmp(a, "--programs") == 0) o->programs = atoi(v);
    else if (strcmp(a, "--size") == 0) o->size = atoi(v);
    else if (strcmp(a, "--kind") == 0) o->kind = atoi(v);
    else if (strcmp(a, "--failures") == 0) o->failures = atoi(v);
    else if (strcmp(a, "--trials") == 0) o->trials = atoi(v);
    else if (strcmp(a, "--rtl") == 0) o->rtl_dir = v;
    else if (strcmp(a, "--fst") == 0) o->fst = v;
    else if (strcmp(a, "--replay") == 0) o->replay = v;
    else return 0;
  }
  return o->replay ? o->machines == 0 : o->machines > 0 && o->programs > 0 && o->trials >= 0;
}

/* One program in five is illegal, the kinds in turn. */
static pg_kind kind_of(const options *o, uint64_t seed) {
  if (o->kind >= 0) return (pg_kind)(o->kind % PG_KINDS);
  return seed % 5 == 4 ? (pg_kind)(1 + seed / 5 % (PG_KINDS - 1)) : PG_LEGAL;
}

static void print_first(runner *r, const pg_program *p) {
  char text[512];
  runner_first(r, p, text, sizeof text);
  if (text[0]) printf("  %s\n", text);
}

static bool differs(void *ctx, const pg_program *p) {
  espl_run_result a;
  espl_err err = {0};
  bool d = runner_differs(runner_run(ctx, p, &a, &err));
  espl_run_result_clear(&a);
  return d;
}

/* Shrinks the program, says what is left of the difference, leaves the file. */
static void keep(const options *o, runner *r, pg_program *p, uint64_t seed, espl_status found, const char *why) {
  char path[256], absolute[PATH_MAX];
  espl_err err = {0};
  pg_fields *fields = malloc(sizeof *fields);
  if (!fields || pg_fields_load(fields, &err) != ESPL_OK) {
    printf("  not kept: %s\n", err.msg[0] ? err.msg : "out of memory");
    free(fields);
    return;
  }
  pg_shrunk shrunk = {0};
  pg_oracle oracle = {differs, r};
  r->patience = 2000; /* trials are many, and small */
  if (r->rtl && runner_differs(found) && o->trials && pg_shrink(p, fields, &oracle, (uint32_t)o->trials, &shrunk)) {
    espl_run_result a;
    espl_status s = runner_run(r, p, &a, &err);
    printf("  shrunk from %u to %u commands in %u trials: %s\n", (unsigned)shrunk.commands_before, (unsigned)shrunk.commands, (unsigned)shrunk.trials,
           s == ESPL_OK ? "the bodies agree (a bug of the shrinker)" : err.msg);
    print_first(r, p);
    espl_run_result_clear(&a);
  }
  snprintf(path, sizeof path, "cosim-%s-%llu.case", p->machine.name, (unsigned long long)seed);
  if (pg_case_write(path, p, fields, why, &err) != ESPL_OK) printf("  %s\n", err.msg);
  else printf("  again: %s --replay %s%s%s\n", o->self, realpath(path, absolute) ? absolute : path, o->rtl_dir ? " --rtl " : "", o->rtl_dir ? o->rtl_dir : "");
  free(fields);
}

static void one_program(const options *o, const espl_machine *m, uint64_t seed, runner *r, coverage *cov, totals *t) {
  pg_program *p = pg_make(m, seed, kind_of(o, seed), o->size);
  espl_run_result a = {0};
  espl_err err = {0};
  espl_status s = p ? runner_run(r, p, &a, &err) : espl_fail(&err, ESPL_E_NOMEM, "out of memory");
  t->run++;
  if (s == ESPL_OK) {
    coverage_add(cov, p, &a);
    t->cycles += a.cycles;
  } else {
    t->differences++;
  }
  if (s != ESPL_OK || !o->quiet)
    printf("%s %s seed %llu %s: %u commands, %d layers, %llu cycles, %s%s%s\n", s == ESPL_OK ? "ok  " : "FAIL", m->name, (unsigned long long)seed,
           p ? pg_kind_name(p->kind) : "?", p ? (unsigned)p->n : 0u, (int)a.layers, (unsigned long long)a.cycles, espl_hw_status_name(a.hw_status), err.msg[0] ? ": " : "", err.msg);
  if (runner_differs(s)) print_first(r, p);
  if (s != ESPL_OK && p && t->shrunk++ < SHRUNK_MAX) keep(o, r, p, seed, s, err.msg);
  espl_run_result_clear(&a);
  pg_free(p);
}

static int one_machine(const options *o, int which, uint64_t seed, coverage *cov, totals *t) {
  espl_machine m;
  espl_err err = {0};
  runner r;
  if (espl_machine_load(o->machine[which], &m, &err) != ESPL_OK || runner_open(&r, &m, o->rtl_dir, o->fst, !o->check_only, &err) != ESPL_OK) {
    fprintf(stderr, "cosim: %s\n", err.msg);
    return 0;
  }
  totals mine = {.shrunk = t->shrunk};
  int n = o->count[which] ? o->count[which] : o->programs;
  for (int i = 0; i < n && mine.differences < o->failures; i++) one_program(o, &m, seed + (uint64_t)i, &r, cov, &mine);
  printf("%s: %d programs, %d differences, %llu cycles, RTL %.0f cycles/s (%.1f s), model %.1f s\n", m.name, mine.run, mine.differences, (unsigned long long)mine.cycles,
         r.rtl_seconds > 0 ? (double)mine.cycles / r.rtl_seconds : 0.0, r.rtl_seconds, r.model_seconds);
  runner_close(&r);
  t->run += mine.run;
  t->differences += mine.differences;
  t->shrunk = mine.shrunk;
  return mine.differences == 0;
}

static int replay(const options *o) {
  pg_program *p = NULL;
  runner r = {0};
  espl_run_result a = {0};
  espl_err err = {0};
  espl_status s = pg_case_read(o->replay, &p, &err);
  if (s == ESPL_OK) s = runner_open(&r, &p->machine, o->rtl_dir, o->fst, true, &err);
  if (s != ESPL_OK) {
    fprintf(stderr, "cosim: %s\n", err.msg);
    pg_free(p);
    return 2;
  }
  s = runner_run(&r, p, &a, &err);
  printf("%s %s %s program, %llu cycles, %s%s%s\n", s == ESPL_OK ? "ok  " : "FAIL", p->machine.name, pg_kind_name(p->kind), (unsigned long long)a.cycles, espl_hw_status_name(a.hw_status),
         err.msg[0] ? ": " : "", err.msg);
  if (runner_differs(s)) print_first(&r, p);
  espl_run_result_clear(&a);
  runner_close(&r);
  pg_free(p);
  return s == ESPL_OK ? 0 : 1;
}

int main(int argc, char **argv) {
  options o;
  if (!parse(argc, argv, &o)) return usage();
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (o.replay) return replay(&o);
  espl_err err = {0};
  coverage *cov = coverage_new(&err);
  if (!cov) {
    fprintf(stderr, "cosim: %s\n", err.msg);
    return 1;
  }
  printf("cosim: seed %llu\n", (unsigned long long)o.seed);
  totals t = {0};
  int ok = 1;
  bool covered = false;
  uint64_t seed = o.seed;
  for (int round = 0; round < ROUNDS && ok && !covered; round++) {
    if (round > 0) printf("cosim: goals are missing; as many programs again, from seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < o.machines; i++) {
      ok = one_machine(&o, i, seed, cov, &t) && ok;
      seed += (uint64_t)(o.count[i] ? o.count[i] : o.programs);
    }
    covered = coverage_report(cov, o.coverage) || !o.coverage;
  }
  coverage_free(cov);
  if (!covered) printf("cosim: coverage goals were missed\n");
  printf("cosim: %s: %d programs, %d differences\n", ok && covered ? "PASS" : "FAIL", t.run, t.differences);
  return ok && covered ? 0 : 1;
}
