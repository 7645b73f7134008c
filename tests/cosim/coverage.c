/* Coverage of random programs. Fields come from the table itself, so a new field is a new goal. */
#include "coverage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fields.h"

#define MACHINES_MAX 16
#define ENOUGH 200 /* programs after which a machine must have seen every way to end */

typedef struct tally {
  uint64_t seen, at_min, at_max;
} tally;

/* How programs ended on one machine. */
typedef struct ending {
  char machine[ESPL_NAME_BYTES];
  uint64_t programs, status[ESPL_HW_STATUS_COUNT], kind[PG_KINDS];
} ending;

struct coverage {
  ending machine[MACHINES_MAX];
  int machines;
  pg_fields table;
  tally field[PG_FIELDS_MAX];
  uint64_t counter[ESPL_CNT_COUNT], status[ESPL_HW_STATUS_COUNT], kind[PG_KINDS], programs, commands, layers;
};

/* Ends of ranges that no legal program on these machines reaches, with the reason. */
static const struct { const char *command, *name; bool low, high; const char *why; } unreachable[] = {
    {"LOAD", "addr", true, true, "address 0 need not be used, the last address is outside memory"},
    {"LOAD", "dst", false, true, "buffers are smaller"},
    {"LOAD", "row_bytes", true, true, "runs are whole pixel words, entries or tiles, and buffers are smaller"},
    {"LOAD", "bank", false, true, "there are R/G banks"},
    {"COMPUTE", "act_base", false, true, "banks are smaller"},
    {"COMPUTE", "wgt_base", false, true, "the weight buffer is smaller"},
    {"COMPUTE", "n_tiles", false, true, "the weight buffer is smaller"},
    {"STORE", "out_addr", true, true, "address 0 need not be used, the last address is outside memory"},
    {"STORE", "res_addr", false, true, "a multiple of G"},
    {"STORE", "par_base", false, true, "the parameter buffer is smaller"},
    {"STORE", "groups", false, true, "there are C/G groups"},
    {"MARK", "record", true, true, "address 0 need not be used, the last address is outside memory"},
};

coverage *coverage_new(espl_err *err) {
  coverage *c = calloc(1, sizeof *c);
  if (!c) {
    espl_fail(err, ESPL_E_NOMEM, "coverage: out of memory");
    return NULL;
  }
  if (pg_fields_load(&c->table, err) == ESPL_OK) return c;
  free(c);
  return NULL;
}

void coverage_free(coverage *c) { free(c); }

static void add_word(coverage *c, const uint32_t w[4]) {
  for (int i = 0; i < c->table.n; i++) {
    const pg_field *f = &c->table.field[i];
    if (!pg_field_of(f, w)) continue;
    int64_t v = pg_field_get(f, w);
    c->field[i].seen++;
    c->field[i].at_min += v == f->min;
    c->field[i].at_max += v == f->max;
  }
}

static ending *ending_of(coverage *c, const char *machine) {
  for (int i = 0; i < c->machines; i++)
    if (strcmp(c->machine[i].machine, machine) == 0) return &c->machine[i];
  if (c->machines == MACHINES_MAX) return NULL;
  ending *e = &c->machine[c->machines++];
  snprintf(e->machine, sizeof e->machine, "%s", machine);
  return e;
}

void coverage_add(coverage *c, const pg_program *p, const espl_run_result *r) {
  c->programs++;
  c->kind[p->kind]++;
  c->status[r->hw_status]++;
  ending *e = ending_of(c, p->machine.name);
  if (e) {
    e->programs++;
    e->kind[p->kind]++;
    e->status[r->hw_status]++;
  }
  c->layers += (uint64_t)r->layers;
  for (int l = 0; l < r->layers; l++)
    for (int i = 0; i < ESPL_CNT_COUNT; i++) c->counter[i] += r->layer[l].counter[i];
  for (int i = 0; i < ESPL_CNT_COUNT; i++) c->counter[i] += r->counter[i];
  if (p->kind != PG_LEGAL) return;
  c->commands += p->n;
  for (uint32_t i = 0; i < p->n; i++) add_word(c, p->cmd[i].w);
}

static bool excused(const pg_field *f, bool high) {
  for (size_t i = 0; i < sizeof unreachable / sizeof unreachable[0]; i++)
    if (strcmp(unreachable[i].command, f->command) == 0 && strcmp(unreachable[i].name, f->name) == 0) return high ? unreachable[i].high : unreachable[i].low;
  return false;
}

/* 1 when a goal was missed; `what` NULL: without a word. */
static int missed(bool reached, const char *what, const char *name, const char *end) {
  if (!reached && what) printf("  not reached: %s %s%s\n", what, name, end);
  return !reached;
}

/* Every kind of program and every status on every machine that ran enough of them. */
static int missed_endings(const coverage *c, bool goals) {
  int miss = 0;
  for (int m = 0; m < c->machines; m++) {
    const ending *e = &c->machine[m];
    if (e->programs < ENOUGH) continue;
    const char *where = goals ? e->machine : NULL;
    for (int i = 0; i < ESPL_HW_STATUS_COUNT; i++) miss += missed(e->status[i] > 0, where, "status ", espl_hw_status_name(i));
    for (int i = 0; i < PG_KINDS; i++) miss += missed(e->kind[i] > 0, where, "program: ", pg_kind_name((pg_kind)i));
  }
  return miss;
}

bool coverage_report(const coverage *c, bool goals) {
  int miss = 0, ends = 0;
  uint64_t rarest = UINT64_MAX;
  char rare[2 * PG_FIELD_NAME + 2] = "";
  printf("coverage: %llu programs, %llu commands of legal ones, %llu layers\n", (unsigned long long)c->programs, (unsigned long long)c->commands,
         (unsigned long long)c->layers);
  for (int i = 0; i < c->table.n; i++) {
    const pg_field *f = &c->table.field[i];
    const tally *r = &c->field[i];
    char name[2 * PG_FIELD_NAME + 2];
    snprintf(name, sizeof name, "%s.%s", f->command, f->name);
    if (!excused(f, false)) miss += missed(r->at_min > 0, goals ? "field" : NULL, name, " = smallest"), ends++;
    if (!excused(f, true)) miss += missed(r->at_max > 0, goals ? "field" : NULL, name, " = largest"), ends++;
    for (int high = 0; high < 2; high++) {
      uint64_t n = high ? r->at_max : r->at_min;
      if (excused(f, high) || n >= rarest) continue;
      rarest = n;
      snprintf(rare, sizeof rare, "%s", name);
    }
    if (excused(f, false) || excused(f, true)) miss += missed(r->seen > 0, goals ? "field" : NULL, name, "");
  }
  printf("  fields: %d, ends of ranges that must be reached: %d, the rarest %llu times (%s)\n  counters:", c->table.n, ends, (unsigned long long)rarest, rare);
  for (int i = 0; i < ESPL_CNT_COUNT; i++) printf(" %s %llu", espl_counter_name(i), (unsigned long long)c->counter[i]);
  printf("\n  statuses:");
  for (int i = 0; i < ESPL_HW_STATUS_COUNT; i++) printf(" %s %llu", espl_hw_status_name(i), (unsigned long long)c->status[i]);
  printf("\n");
  for (int i = 0; i < ESPL_CNT_COUNT; i++) miss += missed(c->counter[i] > 0, goals ? "counter" : NULL, espl_counter_name(i), " > 0");
  for (int i = 0; i < ESPL_HW_STATUS_COUNT; i++) miss += missed(c->status[i] > 0, goals ? "status" : NULL, espl_hw_status_name(i), "");
  for (int i = 0; i < PG_KINDS; i++) miss += missed(c->kind[i] > 0, goals ? "kind of program" : NULL, pg_kind_name((pg_kind)i), "");
  miss += missed_endings(c, goals);
  return miss == 0;
}
