/* Writer and reader of case files. */
#include "case.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"

#define MEMORY_MAX (256u << 20)
#define LINE 32u /* bytes of memory a line */

/* Every number of a case, by name. */
#define NUMBERS(X, m, p)                                                                                                                        \
  X("read_latency", (m)->mem.read_latency) X("write_latency", (m)->mem.write_latency) X("num", (m)->mem.num) X("den", (m)->mem.den)              \
  X("outstanding", (m)->mem.outstanding) X("shared_path", (m)->mem.shared_path) X("turnaround", (m)->mem.turnaround) X("banks", (m)->mem.banks)  \
  X("row_bytes", (m)->mem.row_bytes) X("row_open", (m)->mem.row_open) X("row_close", (m)->mem.row_close) X("stall_mod", (m)->mem.stall_mod)                               \
  X("stall_seed", (m)->mem.stall_seed) X("memory_bytes", (m)->mem_bytes) X("kind", (p)->kind) X("prog_addr", (p)->prog_addr)                     \
  X("prog_bytes", (p)->prog_bytes) X("expect_hash", (p)->expect_hash)

static void put_numbers(FILE *f, const pg_program *p) {
  const espl_machine *m = &p->machine;
#define X(c_name, RtlName, min, max) fprintf(f, #c_name " %d\n", (int)m->c_name);
  ESPL_PARAM_LIST(X)
#undef X
#define X(name, value) fprintf(f, name " %lld\n", (long long)(value));
  NUMBERS(X, m, p)
#undef X
}

static void put_memory(FILE *f, const uint8_t *memory, uint32_t bytes) {
  static const uint8_t zero[LINE];
  for (uint32_t at = 0; at < bytes; at += LINE) {
    uint32_t n = bytes - at < LINE ? bytes - at : LINE;
    if (memcmp(memory + at, zero, n) == 0) continue;
    fprintf(f, "@%08" PRIx32 " ", at);
    for (uint32_t i = 0; i < n; i++) fprintf(f, "%02x", memory[at + i]);
    fputc('\n', f);
  }
}

espl_status pg_case_write(const char *path, const pg_program *p, const pg_fields *fields, const char *why, espl_err *err) {
  FILE *f = fopen(path, "w");
  if (!f) return espl_fail(err, ESPL_E_IO, "%s: %s", path, strerror(errno));
  fprintf(f, "# %s\nmachine %s\n", why, p->machine.name);
  put_numbers(f, p);
  fprintf(f, "# %s program of %u commands:\n", pg_kind_name(p->kind), (unsigned)p->n);
  for (uint32_t i = 0; i < p->n; i++) {
    fprintf(f, "# %u ", (unsigned)i);
    pg_fields_print(fields, f, i == p->bad_at ? p->bad : p->cmd[i].w);
    fputs(i == p->bad_at ? "   (the illegal one)\n" : i == p->cut_at ? "   (the program ends here)\n" : "\n", f);
  }
  put_memory(f, p->memory, p->machine.mem_bytes);
  bool bad = ferror(f);
  if (fclose(f) != 0 || bad) return espl_fail(err, ESPL_E_IO, "%s: cannot be written", path);
  return ESPL_OK;
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static bool take_memory(pg_program *p, const char *line) {
  char *text;
  uint64_t at = strtoull(line + 1, &text, 16);
  if (*text++ != ' ' || !p->memory) return false;
  for (; text[0] && text[1]; text += 2, at++) {
    int high = hex_digit(text[0]), low = hex_digit(text[1]);
    if (high < 0 || low < 0 || at >= p->machine.mem_bytes) return false;
    p->memory[at] = (uint8_t)(high << 4 | low);
  }
  return !text[0];
}

/* Takes "key value"; the memory is made when its size is known. */
static bool take_number(pg_program *p, const char *line, uint64_t *seen) {
  espl_machine *m = &p->machine;
  char key[48];
  long long v;
  int at = 0;
  if (sscanf(line, "machine %63s", m->name) == 1) return true;
  if (sscanf(line, "%47s %lld", key, &v) != 2) return false;
#define X(c_name, RtlName, min, max) if (strcmp(key, #c_name) == 0) { m->c_name = (int32_t)v; *seen |= 1ull << at; return true; } at++;
  ESPL_PARAM_LIST(X)
#undef X
#define X(name, value) if (strcmp(key, name) == 0) { value = (__typeof__(value))v; *seen |= 1ull << at; break; } at++;
  do { NUMBERS(X, m, p) return false; } while (0);
#undef X
  if (strcmp(key, "memory_bytes") == 0) {
    if (v < 4096 || v > MEMORY_MAX || p->memory) return false;
    p->memory = calloc(1, (size_t)v);
  }
  return true;
}

static uint64_t all_numbers(void) {
  int n = 0;
#define X(c_name, RtlName, min, max) n++;
  ESPL_PARAM_LIST(X)
#undef X
#define X(name, value) n++;
  NUMBERS(X, 0, 0)
#undef X
  return (1ull << n) - 1;
}

static espl_status parse(const char *path, char *text, pg_program *p, espl_err *err) {
  uint64_t seen = 0;
  int number = 0;
  for (char *line, *rest = text; (line = strsep(&rest, "\n"));) {
    number++;
    if (line[0] == '#' || line[0] == 0) continue;
    if (!(line[0] == '@' ? take_memory(p, line) : take_number(p, line, &seen)))
      return espl_fail(err, ESPL_E_INPUT, "%s:%d: expected \"key value\" or \"@address bytes\" within memory, found \"%.40s\"", path, number, line);
  }
  if (seen != all_numbers()) return espl_fail(err, ESPL_E_INPUT, "%s: not every parameter of a machine and a run is there", path);
  p->prog_base = p->prog_addr;
  p->bad_at = p->cut_at = PG_NO_CMD;
  return espl_machine_check(&p->machine, err);
}

espl_status pg_case_read(const char *path, pg_program **out, espl_err *err) {
  char *text = NULL;
  size_t n = 0;
  *out = NULL;
  ESPL_TRY(espl_read_file(path, 64u << 20, &text, &n, err));
  pg_program *p = calloc(1, sizeof *p);
  espl_status s = p ? parse(path, text, p, err) : espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  free(text);
  if (s == ESPL_OK) *out = p;
  else pg_free(p);
  return s;
}
