/* cosim: the same random programs on the C model and on the Verilated core; every byte, cycle and counter must agree.
 *
 *   cosim --machine NAME [--machine NAME...] [--seed S] [--programs N] [--size 0..100] [--kind K] [--coverage] [--rtl DIR] [--check] [--fst FILE]
 *
 * N programs for each machine; the seeds S, S + 1, ... go on from machine to machine; one in five is illegal. --coverage: a goal that chance
 * missed is given two more rounds of programs; missing it then is a failure.
 * --rtl DIR: another set of RTL sources. --check: generator, program check and model only, no RTL. A difference leaves the memory image behind and
 * says how to run that one program again. Exit status 0: all agree. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "coverage.h"
#include "device/rtl.h"
#include "map/machine_yaml.h"
#include "progen.h"

#define MACHINES_MAX 8

enum { ROUNDS = 3 };

typedef struct options {
  const char *machine[MACHINES_MAX], *rtl_dir, *fst;
  int machines, programs, size, kind, coverage, check_only, quiet;
  uint64_t seed;
} options;

typedef struct totals {
  uint64_t cycles;
  double rtl_seconds, model_seconds;
  int run, differences;
} totals;

static int usage(void) {
  fprintf(stderr, "usage: cosim --machine NAME... [--seed S] [--programs N] [--size 0..100] [--kind K] [--coverage] [--rtl DIR] [--check] [--fst FILE] [--quiet]\n");
  return 2;
}

static int parse(int argc, char **argv, options *o) {
  *o = (options){.programs = 20, .size = 40, .kind = -1, .seed = 1};
  for (int i = 1; i < argc; i++) {
    const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(a, "--coverage") == 0) { o->coverage = 1; continue; }
    if (strcmp(a, "--check") == 0) { o->check_only = 1; continue; }
    if (strcmp(a, "--quiet") == 0) { o->quiet = 1; continue; }
    if (!v) return 0;
    i++;
    if (strcmp(a, "--machine") == 0 && o->machines < MACHINES_MAX) o->machine[o->machines++] = v;
    else if (strcmp(a, "--seed") == 0) o->seed = strtoull(v, NULL, 0);
    else if (strcmp(a, "--programs") == 0) o->programs = atoi(v);
    else if (strcmp(a, "--size") == 0) o->size = atoi(v);
    else if (strcmp(a, "--kind") == 0) o->kind = atoi(v);
    else if (strcmp(a, "--rtl") == 0) o->rtl_dir = v;
    else if (strcmp(a, "--fst") == 0) o->fst = v;
    else return 0;
  }
  return o->machines > 0 && o->programs > 0;
}

/* One program in five is illegal, the kinds in turn. */
static pg_kind kind_of(const options *o, uint64_t seed) {
  if (o->kind >= 0) return (pg_kind)(o->kind % PG_KINDS);
  return seed % 5 == 4 ? (pg_kind)(1 + seed / 5 % (PG_KINDS - 1)) : PG_LEGAL;
}

static espl_run run_of(const pg_program *p, uint8_t *memory) {
  return (espl_run){.machine = &p->machine, .memory = memory, .prog_addr = p->prog_addr, .prog_bytes = p->prog_bytes, .expect_hash = p->expect_hash};
}

/* Model on mem_a, RTL (when given) on mem_b, and the comparison. */
static espl_status run_both(const options *o, const pg_program *p, espl_rtl *rtl, uint8_t *mem_a, uint8_t *mem_b, espl_run_result *a, espl_run_result *b,
                            totals *t, espl_err *err) {
  if (p->kind == PG_LEGAL) ESPL_TRY(espl_program_check(&p->machine, p->memory, p->prog_addr, p->prog_bytes, err));
  espl_run ra = run_of(p, mem_a), rb = run_of(p, mem_b);
  double t0 = espl_now();
  ESPL_TRY(espl_device_model(&ra, a, err));
  t->model_seconds += espl_now() - t0;
  if (p->kind == PG_LEGAL && a->hw_status != ESPL_HW_NONE)
    return espl_fail(err, ESPL_E_MISMATCH, "a legal program ended with %s at command %u on the model", espl_hw_status_name(a->hw_status), (unsigned)a->err_index);
  if (!rtl) return ESPL_OK;
  rb.max_cycles = 2 * a->cycles + 100000; /* a core that has gone astray need not end by itself */
  if (o->fst) rb.trace = o->fst, rb.trace_to = UINT64_MAX >> 2;
  t0 = espl_now();
  ESPL_TRY(espl_rtl_run(rtl, &rb, b, err));
  t->rtl_seconds += espl_now() - t0;
  return espl_device_compare(&p->machine, a, mem_a, "the model", b, mem_b, "the RTL", err);
}

static void keep(const pg_program *p, uint64_t seed, const options *o) {
  char path[256];
  espl_err err = {0};
  snprintf(path, sizeof path, "cosim-%s-%llu.mem", p->machine.name, (unsigned long long)seed);
  if (espl_write_file(path, p->memory, p->machine.mem_bytes, &err) != ESPL_OK) printf("  %s\n", err.msg);
  else printf("  memory image: %s (program at 0x%x, %u bytes)\n", path, (unsigned)p->prog_addr, (unsigned)p->prog_bytes);
  printf("  again: cosim --machine %s --seed %llu --programs 1 --size %d%s%s\n", p->machine.name, (unsigned long long)seed, o->size,
         o->rtl_dir ? " --rtl " : "", o->rtl_dir ? o->rtl_dir : "");
}

static int one_program(const options *o, const espl_machine *m, uint64_t seed, espl_rtl *rtl, coverage *cov, totals *t) {
  pg_program *p = pg_make(m, seed, kind_of(o, seed), o->size);
  uint8_t *mem_a = p ? malloc(p->machine.mem_bytes) : NULL, *mem_b = p ? malloc(p->machine.mem_bytes) : NULL;
  espl_run_result a = {0}, b = {0};
  espl_err err = {0};
  espl_status s = ESPL_E_NOMEM;
  if (mem_a && mem_b) {
    memcpy(mem_a, p->memory, p->machine.mem_bytes);
    memcpy(mem_b, p->memory, p->machine.mem_bytes);
    s = run_both(o, p, rtl, mem_a, mem_b, &a, &b, t, &err);
  }
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
  if (s != ESPL_OK && p) keep(p, seed, o);
  espl_run_result_clear(&a);
  espl_run_result_clear(&b);
  free(mem_a);
  free(mem_b);
  pg_free(p);
  return s == ESPL_OK;
}

static int one_machine(const options *o, const char *name, uint64_t seed, coverage *cov, totals *t) {
  espl_machine m;
  espl_err err = {0};
  espl_rtl *rtl = NULL;
  if (espl_machine_load(name, &m, &err) != ESPL_OK || (!o->check_only && espl_rtl_open(&m, o->fst ? ESPL_RTL_TRACE : ESPL_RTL_PLATFORM, o->rtl_dir, &rtl, &err) != ESPL_OK)) {
    fprintf(stderr, "cosim: %s\n", err.msg);
    return 0;
  }
  totals mine = {0};
  for (int i = 0; i < o->programs && mine.differences < 5; i++) one_program(o, &m, seed + (uint64_t)i, rtl, cov, &mine);
  espl_rtl_close(rtl);
  printf("%s: %d programs, %d differences, %llu cycles, RTL %.0f cycles/s, model %.1f s\n", m.name, mine.run, mine.differences, (unsigned long long)mine.cycles,
         mine.rtl_seconds > 0 ? (double)mine.cycles / mine.rtl_seconds : 0.0, mine.model_seconds);
  t->run += mine.run;
  t->differences += mine.differences;
  return mine.differences == 0;
}

int main(int argc, char **argv) {
  options o;
  if (!parse(argc, argv, &o)) return usage();
  espl_err err = {0};
  coverage *cov = coverage_new(&err);
  if (!cov) {
    fprintf(stderr, "cosim: %s\n", err.msg);
    return 1;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  printf("cosim: seed %llu\n", (unsigned long long)o.seed);
  totals t = {0};
  int ok = 1;
  bool covered = false;
  uint64_t seed = o.seed;
  for (int round = 0; round < ROUNDS && ok && !covered; round++) {
    if (round > 0) printf("cosim: goals are missing; as many programs again, from seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < o.machines; i++, seed += (uint64_t)o.programs) ok = one_machine(&o, o.machine[i], seed, cov, &t) && ok;
    covered = coverage_report(cov, o.coverage) || !o.coverage;
  }
  coverage_free(cov);
  if (!covered) printf("cosim: coverage goals were missed\n");
  printf("cosim: %s: %d programs, %d differences\n", ok && covered ? "PASS" : "FAIL", t.run, t.differences);
  return ok && covered ? 0 : 1;
}
