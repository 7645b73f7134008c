/* Coverage of random programs. Fields come from the table itself, so a new field is a new goal. */
#include "coverage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "device/root.h"

#define FIELDS_MAX 160
#define NAME_BYTES 48

typedef struct field {
  char command[NAME_BYTES], name[NAME_BYTES];
  uint32_t head, head_mask; /* bits 15..0 that say this word has the field */
  unsigned lsb, width;
  bool is_signed;
  int64_t min, max;
  uint64_t seen, at_min, at_max;
} field;

struct coverage {
  field field[FIELDS_MAX];
  int fields;
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

static field *add_field(coverage *c, const char *command, uint32_t head, uint32_t mask, const char *line) {
  field *f = &c->field[c->fields];
  char type[16];
  unsigned width;
  *f = (field){.head = head, .head_mask = mask};
  if (sscanf(line, "field %47s %u %15s %lld %lld", f->name, &f->lsb, type, (long long *)&f->min, (long long *)&f->max) != 5) return NULL;
  f->is_signed = type[0] == 's';
  width = (unsigned)strtoul(type + (f->is_signed ? 1 : 0), NULL, 10);
  f->width = width;
  snprintf(f->command, sizeof f->command, "%s", command);
  c->fields++;
  return f;
}

coverage *coverage_new(espl_err *err) {
  char path[4096], *text = NULL;
  size_t n = 0;
  if (espl_root_path("hw/spec/commands.tbl", path, sizeof path, err) != ESPL_OK || espl_read_file(path, 1u << 20, &text, &n, err) != ESPL_OK) return NULL;
  coverage *c = calloc(1, sizeof *c);
  char command[NAME_BYTES] = "", unit[16], *rest = text;
  uint32_t head = 0, mask = 0;
  for (char *line; c && (line = strsep(&rest, "\n"));) {
    unsigned v = 0;
    if (sscanf(line, "command %47s %u", command, &v) == 2) {
      head = v;
      mask = 15;
    } else if (sscanf(line, "config %15s %u %47s", unit, &v, command) == 3) {
      uint32_t u = strcmp(unit, "LOAD") == 0 ? ESPL_UNIT_LOAD : strcmp(unit, "COMPUTE") == 0 ? ESPL_UNIT_COMPUTE : ESPL_UNIT_STORE;
      head = ESPL_OPC_CFG | u << 4 | v << 8;
      mask = 15u | 3u << 4 | 7u << 8;
    } else if (strncmp(line, "field ", 6) == 0 && c->fields < FIELDS_MAX && strcmp(command, "CFG") != 0) {
      add_field(c, command, head, mask, line);
    }
  }
  free(text);
  if (c && c->fields > 60) return c;
  free(c);
  espl_fail(err, ESPL_E_INPUT, "%s: not the table of commands that this test can read", path);
  return NULL;
}

void coverage_free(coverage *c) { free(c); }

static void add_word(coverage *c, const uint32_t w[4]) {
  for (int i = 0; i < c->fields; i++) {
    field *f = &c->field[i];
    if ((w[0] & f->head_mask) != f->head) continue;
    int64_t v = espl_bits_get(w, f->lsb, f->width);
    if (f->is_signed && v >> (f->width - 1)) v -= (int64_t)1 << f->width;
    f->seen++;
    f->at_min += v == f->min;
    f->at_max += v == f->max;
  }
}

void coverage_add(coverage *c, const pg_program *p, const espl_run_result *r) {
  c->programs++;
  c->kind[p->kind]++;
  c->status[r->hw_status]++;
  c->layers += (uint64_t)r->layers;
  for (int l = 0; l < r->layers; l++)
    for (int i = 0; i < ESPL_CNT_COUNT; i++) c->counter[i] += r->layer[l].counter[i];
  for (int i = 0; i < ESPL_CNT_COUNT; i++) c->counter[i] += r->counter[i];
  if (p->kind != PG_LEGAL) return;
  c->commands += p->n;
  for (uint32_t i = 0; i < p->n; i++) add_word(c, p->cmd[i].w);
}

static bool excused(const field *f, bool high) {
  for (size_t i = 0; i < sizeof unreachable / sizeof unreachable[0]; i++)
    if (strcmp(unreachable[i].command, f->command) == 0 && strcmp(unreachable[i].name, f->name) == 0) return high ? unreachable[i].high : unreachable[i].low;
  return false;
}

/* 1 when a goal was missed; `what` NULL: without a word. */
static int missed(bool reached, const char *what, const char *name, const char *end) {
  if (!reached && what) printf("  not reached: %s %s%s\n", what, name, end);
  return !reached;
}

bool coverage_report(const coverage *c, bool goals) {
  int miss = 0, ends = 0;
  uint64_t rarest = UINT64_MAX;
  char rare[2 * NAME_BYTES + 2] = "";
  printf("coverage: %llu programs, %llu commands of legal ones, %llu layers\n", (unsigned long long)c->programs, (unsigned long long)c->commands,
         (unsigned long long)c->layers);
  for (int i = 0; i < c->fields; i++) {
    const field *f = &c->field[i];
    char name[2 * NAME_BYTES + 2];
    snprintf(name, sizeof name, "%s.%s", f->command, f->name);
    if (!excused(f, false)) miss += missed(f->at_min > 0, goals ? "field" : NULL, name, " = smallest"), ends++;
    if (!excused(f, true)) miss += missed(f->at_max > 0, goals ? "field" : NULL, name, " = largest"), ends++;
    for (int high = 0; high < 2; high++) {
      uint64_t n = high ? f->at_max : f->at_min;
      if (excused(f, high) || n >= rarest) continue;
      rarest = n;
      snprintf(rare, sizeof rare, "%s", name);
    }
    if (excused(f, false) || excused(f, true)) miss += missed(f->seen > 0, goals ? "field" : NULL, name, "");
  }
  printf("  fields: %d, ends of ranges that must be reached: %d, the rarest %llu times (%s)\n  counters:", c->fields, ends, (unsigned long long)rarest, rare);
  for (int i = 0; i < ESPL_CNT_COUNT; i++) printf(" %s %llu", espl_counter_name(i), (unsigned long long)c->counter[i]);
  printf("\n  statuses:");
  for (int i = 0; i < ESPL_HW_STATUS_COUNT; i++) printf(" %s %llu", espl_hw_status_name(i), (unsigned long long)c->status[i]);
  printf("\n");
  for (int i = 0; i < ESPL_CNT_COUNT; i++) miss += missed(c->counter[i] > 0, goals ? "counter" : NULL, espl_counter_name(i), " > 0");
  for (int i = 0; i < ESPL_HW_STATUS_COUNT; i++) miss += missed(c->status[i] > 0, goals ? "status" : NULL, espl_hw_status_name(i), "");
  for (int i = 0; i < PG_KINDS; i++) miss += missed(c->kind[i] > 0, goals ? "kind of program" : NULL, pg_kind_name((pg_kind)i), "");
  return miss == 0;
}
