/* Reader of the table of commands. */
#include "fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "device/root.h"
#include "espl_hw.h"

static void add_field(pg_fields *t, const char *command, uint32_t head, uint32_t mask, const char *line) {
  pg_field *f = &t->field[t->n];
  char type[16];
  *f = (pg_field){.head = head, .head_mask = mask};
  if (sscanf(line, "field %47s %u %15s %lld %lld", f->name, &f->lsb, type, (long long *)&f->min, (long long *)&f->max) != 5) return;
  f->is_signed = type[0] == 's';
  f->width = (unsigned)strtoul(type + (f->is_signed ? 1 : 0), NULL, 10);
  snprintf(f->command, sizeof f->command, "%s", command);
  t->n++;
}

static void read_table(pg_fields *t, char *text) {
  char command[PG_FIELD_NAME] = "", unit[16], *rest = text;
  uint32_t head = 0, mask = 0;
  t->n = 0;
  for (char *line; (line = strsep(&rest, "\n"));) {
    unsigned v = 0;
    if (sscanf(line, "command %47s %u", command, &v) == 2) {
      head = v;
      mask = 15;
    } else if (sscanf(line, "config %15s %u %47s", unit, &v, command) == 3) {
      uint32_t u = strcmp(unit, "LOAD") == 0 ? ESPL_UNIT_LOAD : strcmp(unit, "COMPUTE") == 0 ? ESPL_UNIT_COMPUTE : ESPL_UNIT_STORE;
      head = ESPL_OPC_CFG | u << 4 | v << 8;
      mask = 15u | 3u << 4 | 7u << 8;
    } else if (strncmp(line, "field ", 6) == 0 && t->n < PG_FIELDS_MAX && strcmp(command, "CFG") != 0) {
      add_field(t, command, head, mask, line);
    }
  }
}

espl_status pg_fields_load(pg_fields *t, espl_err *err) {
  char path[4096], *text = NULL;
  size_t n = 0;
  ESPL_TRY(espl_root_path("hw/spec/commands.tbl", path, sizeof path, err));
  ESPL_TRY(espl_read_file(path, 1u << 20, &text, &n, err));
  read_table(t, text);
  free(text);
  return t->n > 60 ? ESPL_OK : espl_fail(err, ESPL_E_INPUT, "%s: %d fields, not the table of commands that this test can read", path, t->n);
}

int64_t pg_field_get(const pg_field *f, const uint32_t w[4]) {
  int64_t v = espl_bits_get(w, f->lsb, f->width);
  return f->is_signed && v >> (f->width - 1) ? v - ((int64_t)1 << f->width) : v;
}

void pg_field_put(const pg_field *f, uint32_t w[4], int64_t v) { espl_bits_put(w, f->lsb, f->width, (uint32_t)v); }

void pg_fields_print(const pg_fields *t, FILE *out, const uint32_t w[4]) {
  const char *name = (w[0] & 15u) == ESPL_OPC_END ? "END" : (w[0] & 15u) == ESPL_OPC_CFG ? "CFG" : "?";
  for (int i = 0; i < t->n; i++)
    if (pg_field_of(&t->field[i], w)) name = t->field[i].command;
  fputs(name, out);
  for (int i = 0; i < t->n; i++) {
    int64_t v = pg_field_of(&t->field[i], w) ? pg_field_get(&t->field[i], w) : 0;
    if (v) fprintf(out, " %s=%lld", t->field[i].name, (long long)v);
  }
}
