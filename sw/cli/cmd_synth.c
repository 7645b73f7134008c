/* espalier synth: Yosys synthesis of the core of one machine point for one board, and how much of the part it takes.
 *
 * What is synthesized is the core as a board connects it (--top core), the whole board (--top board): hw/board/espl_top_<name>.sv with memory, serial
 * bridge and clock, ready for place and route; or that core with shift registers at its ports (--top alone), which needs three pins and can be routed too.
 * A board is configs/boards/<name>.yaml, its family names the Yosys script hw/synth/<family>.ys. Yosys runs in the project's root with a
 * script written here (sources of rtl/rtl.f, the machine's structural parameters, the family's script); cells are counted from the
 * JSON it prints (stat -json). On iCE40 a logic cell holds a table, a flip-flop and a carry, so what counts is how they pack: nextpnr-ice40
 * says it when it is installed. Files: script.ys, yosys.log, stat.json, netlist.json, report.txt, report.json in OUT/<board>-<machine>/. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/interrupt.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cost/board.h"
#include "device/machine.h"
#include "device/root.h"
#include "map/machine_yaml.h"

enum resource { LUT = ESPL_LUT, FF = ESPL_FF, DSP = ESPL_DSP, BRAM = ESPL_BRAM, SPRAM = ESPL_SPRAM, CARRY = ESPL_RESOURCES, N_RESOURCES };
static const char *resource_name(int r) { return r == CARRY ? "carry" : espl_resource_name((espl_resource)r); }

/* The body of the array's multipliers for a family (rtl/array/espl_pe2.sv), and what it needs besides rtl/rtl.f. */
static const struct body { const char *define, *source; } bodies[] = {[ESPL_ICE40UP] = {" -D ESPL_ICE40_DSP", " rtl/array/espl_pe2_ice40.sv"},
                                                                     [ESPL_ICE40HX] = {" -D ESPL_SOFT_MUL", " rtl/array/espl_mul8.sv"}, 
                                                                     [ESPL_ECP5] = {" -D ESPL_ECP5_DSP", " rtl/array/espl_mul_ecp5.sv rtl/array/espl_pe2_ecp5.sv"}, [ESPL_XC7] = {" -D ESPL_XC7_DSP", " rtl/array/espl_pe2_xc7.sv"}};

/* What a cell takes. A name ending in '*' is a prefix; the first row that matches counts. Cells not listed (buffers, multiplexers
 * inside a slice, constants) take nothing. */
static const struct cell {
  int xc7, ecp5, ice40; /* families that have it */
  const char *name;
  int resource, count;
} cells[] = {
    {0, 0, 1, "SB_LUT4", LUT, 1},      {0, 0, 1, "SB_DFF*", FF, 1},         {0, 0, 1, "SB_CARRY", CARRY, 1},    {0, 0, 1, "SB_MAC16", DSP, 1},
    {0, 0, 1, "SB_RAM40_4K*", BRAM, 1}, {0, 0, 1, "SB_SPRAM256KA", SPRAM, 1}, {0, 1, 0, "LUT4", LUT, 1},         {0, 1, 0, "CCU2C", LUT, 2},
    {0, 1, 0, "TRELLIS_DPR16X4", LUT, 6}, {0, 1, 0, "TRELLIS_FF", FF, 1},    {0, 1, 0, "MULT18X18D", DSP, 1},    {0, 1, 0, "DP16KD", BRAM, 1},
    {1, 0, 0, "LUT*", LUT, 1},         {1, 0, 0, "INV", LUT, 1},            {1, 0, 0, "RAM32M", LUT, 4},        {1, 0, 0, "RAM64M", LUT, 4},
    {1, 0, 0, "RAM32X1D", LUT, 2},     {1, 0, 0, "RAM64X1D", LUT, 2},       {1, 0, 0, "RAM128X1D", LUT, 4},     {1, 0, 0, "SRL*", LUT, 1},
    {1, 0, 0, "FD*", FF, 1},           {1, 0, 0, "CARRY4", CARRY, 1},       {1, 0, 0, "DSP48E1", DSP, 1},       {1, 0, 0, "RAMB18E1", BRAM, 1},
    {1, 0, 0, "RAMB36E1", BRAM, 2},
};

enum { TOP_CORE, TOP_BOARD, TOP_ALONE };
static const char *const top_names[] = {"core", "board", "alone", NULL};

typedef struct job {
  const char *board_name, *machine_name, *out;
  int full, verilog; /* everything of the core, not what the board connects; netlist.v too */
  int top;           /* TOP_CORE, TOP_BOARD, TOP_ALONE */
  espl_board b;
  espl_machine m;
  char root[PATH_MAX], dir[PATH_MAX];
  int64_t uses[N_RESOURCES];
  int64_t packed; /* logic cells after packing, -1: not known */
  int64_t cells;  /* of any type */
  char yosys[128];
  double seconds;
} job;

/* --- Yosys ---------------------------------------------------------------------------------------------------------- */

static espl_status file_in(const job *j, const char *name, char path[PATH_MAX], espl_err *err) {
  int n = snprintf(path, PATH_MAX, "%s/%s", j->dir, name);
  return n > 0 && n < PATH_MAX ? ESPL_OK : espl_fail(err, ESPL_E_INPUT, "%s: the path is too long", j->dir);
}

/* Sources of a list, relative to the root, one after the other with a leading space. */
static espl_status print_list(const char *list, FILE *f, espl_err *err) {
  char path[PATH_MAX], *text = NULL, *save = NULL;
  size_t n = 0;
  ESPL_TRY(espl_root_path(list, path, sizeof path, err));
  ESPL_TRY(espl_read_file(path, 1 << 20, &text, &n, err));
  for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
    line[strcspn(line, "#")] = 0;
    char name[PATH_MAX];
    if (sscanf(line, " %4095s", name) == 1) fprintf(f, " %s", name);
  }
  free(text);
  return ESPL_OK;
}

static espl_status print_sources(const job *j, FILE *f, espl_err *err) {
  ESPL_TRY(print_list("rtl/rtl.f", f, err));
  fprintf(f, "%s", bodies[j->b.family].source);
  if (j->top != TOP_BOARD) {
    fputs(j->top == TOP_ALONE ? " hw/synth/espl_synth.sv hw/synth/espl_alone.sv" : " hw/synth/espl_synth.sv", f);
    return ESPL_OK;
  }
  fprintf(f, " hw/board/espl_top_%s.sv", j->b.name);
  return print_list("rtl/board/board.f", f, err);
}

/* Whether the memory of a board can be what the machine point says (rtl/board/espl_board_mem.sv). */
static espl_status check_memory(const job *j, espl_err *err) {
  const espl_mem_timing *t = &j->m.mem;
  int turn = t->shared_path ? t->read_latency - 1 : 0;
  if (t->num == t->den && !t->stall_mod && !t->banks && t->read_latency >= 2 && t->read_latency <= 3 && t->write_latency == 1 && t->turnaround == turn && !(j->m.mem_bytes & (j->m.mem_bytes - 1)))
    return ESPL_OK;
  return espl_fail(err, ESPL_E_INPUT, "machine %s: a board's memory is a power of two of bytes, has read_latency 2 or 3, write_latency 1, num = den, no banks, no stalls, and turnaround %d for this machine",
                   j->m.name, turn);
}

/* Bits of a byte address in the machine's memory. */
static int address_bits(const espl_machine *m) {
  int bits = 0;
  while (bits < 32 && (1ull << bits) < m->mem_bytes) bits++;
  return bits;
}

static espl_status write_script(const job *j, espl_err *err) {
  char path[PATH_MAX];
  espl_outfile *o = NULL;
  ESPL_TRY(file_in(j, "script.ys", path, err));
  ESPL_TRY(espl_outfile_open(path, &o, err));
  FILE *f = espl_outfile_stream(o);
  fprintf(f, "read_verilog -sv -I hw/gen%s%s", bodies[j->b.family].define, j->b.family == ESPL_ICE40UP && j->top == TOP_BOARD ? " -D ESPL_ICE40_SPRAM" : "");
  espl_status s = print_sources(j, f, err);
  if (s != ESPL_OK) {
    espl_outfile_abandon(o);
    return s;
  }
  fprintf(f, "\nchparam -set ConfigHash 32'd%u", (unsigned)espl_machine_hash(&j->m));
#define X(c_name, RtlName, min, max) fprintf(f, " -set " #RtlName " %d", (int)j->m.c_name);
  ESPL_PARAM_LIST(X)
#undef X
  fprintf(f, " -set MemAw %d -set CounterRegs %d", j->full ? 32 : address_bits(&j->m), j->full || (j->b.family != ESPL_ICE40UP && j->b.family != ESPL_ICE40HX));
  const espl_mem_timing *t = &j->m.mem;
  if (j->top == TOP_BOARD)
    fprintf(f, " -set ReadLat %d -set Shared %d -set Outstanding %d -set ClkDiv %d espl_board\nhierarchy -top espl_top_%s", (int)t->read_latency, (int)t->shared_path,
            (int)t->outstanding, (int)(1e6 * j->b.core_mhz / j->b.baud + 0.5), j->b.name);
  else fputs(j->top == TOP_ALONE ? " espl_alone\nhierarchy -top espl_alone" : " espl_synth\nhierarchy -top espl_synth", f);
  fprintf(f, "\nscript hw/synth/%s.ys\nwrite_json %s/netlist.json\ntee -q -o %s/stat.json stat -json\n", espl_family_name(j->b.family), j->dir, j->dir);
  if (j->verilog) fprintf(f, "write_verilog -noattr %s/netlist.v\n", j->dir);
  return espl_outfile_commit(o, err);
}

/* Runs a program in the project's root with its output in a log; *status is its exit status, 127 when it cannot be started.
 * The program ends with this process, however that ends, and at once when this process is interrupted. */
static espl_status run_tool(const job *j, char *const argv[], const char *log, int *status, espl_err *err) {
  const pid_t self = getpid();
  pid_t pid = fork();
  if (pid < 0) return espl_fail(err, ESPL_E_IO, "fork: %s", strerror(errno));
  if (pid == 0) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != self) _exit(126);
    int in = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (in < 0 || out < 0 || chdir(j->root) != 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0) _exit(126);
    execvp(argv[0], argv);
    _exit(127);
  }
  int raw = 0;
  const struct timespec pause = {.tv_nsec = 20000000};
  pid_t done;
  while ((done = waitpid(pid, &raw, WNOHANG)) == 0 || (done < 0 && errno == EINTR)) {
    if (espl_interrupted()) kill(pid, SIGKILL);
    nanosleep(&pause, NULL);
  }
  *status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  return espl_interrupt_check(err);
}

/* The first line of a log that begins with `start`, without it; empty when there is none. */
static void line_of(const char *path, const char *start, char *out, size_t n) {
  char line[4096];
  FILE *f = fopen(path, "r");
  out[0] = 0;
  while (f && !out[0] && fgets(line, sizeof line, f)) {
    const char *at = strstr(line, start);
    if (at) snprintf(out, n, "%.*s", (int)strcspn(at + strlen(start), "\n"), at + strlen(start));
  }
  if (f) fclose(f);
}

static espl_status run_yosys(job *j, espl_err *err) {
  char script[PATH_MAX], log[PATH_MAX], why[512];
  int status = 0;
  ESPL_TRY(file_in(j, "script.ys", script, err));
  ESPL_TRY(file_in(j, "yosys.log", log, err));
  ESPL_TRY(write_script(j, err));
  char yosys[] = "yosys", *argv[] = {yosys, script, NULL};
  double began = espl_now();
  ESPL_TRY(run_tool(j, argv, log, &status, err));
  j->seconds = espl_now() - began;
  if (status == 127) return espl_fail(err, ESPL_E_UNSUPPORTED, "yosys is not installed (run scripts/setup)");
  line_of(log, "ERROR: ", why, sizeof why);
  if (status != 0) return espl_fail(err, ESPL_E_FAILED, "yosys failed with status %d: %s (%s)", status, why[0] ? why : "no reason given", log);
  return ESPL_OK;
}

/* Logic cells as nextpnr packs them. Without the tool, or for other families, j->packed stays -1. */
static espl_status run_pack(job *j, espl_err *err) {
  j->packed = -1;
  if (!j->b.pack[0]) return ESPL_OK;
  char netlist[PATH_MAX], log[PATH_MAX], words[sizeof j->b.pack], line[512], *save = NULL, *argv[24];
  char tool[] = "nextpnr-ice40", pack[] = "--pack-only", json[] = "--json";
  int n = 0, status = 0;
  ESPL_TRY(file_in(j, "netlist.json", netlist, err));
  ESPL_TRY(file_in(j, "pack.log", log, err));
  snprintf(words, sizeof words, "%s", j->b.pack);
  argv[n++] = tool;
  argv[n++] = pack;
  argv[n++] = json;
  argv[n++] = netlist;
  for (char *w = strtok_r(words, " ", &save); w && n < 23; w = strtok_r(NULL, " ", &save)) argv[n++] = w;
  argv[n] = NULL;
  ESPL_TRY(run_tool(j, argv, log, &status, err));
  if (status != 0) return ESPL_OK;
  line_of(log, "ICESTORM_LC:", line, sizeof line);
  char *end = NULL;
  long long cells_used = strtoll(line, &end, 10);
  if (end != line) j->packed = cells_used;
  return ESPL_OK;
}

/* --- counting ------------------------------------------------------------------------------------------------------- */

static const struct cell *find_cell(const espl_board *b, const char *type) {
  for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
    const struct cell *c = &cells[i];
    if (!(b->family == ESPL_XC7 ? c->xc7 : b->family == ESPL_ECP5 ? c->ecp5 : c->ice40)) continue;
    size_t n = strlen(c->name);
    if (c->name[n - 1] == '*' ? strncmp(type, c->name, n - 1) == 0 : strcmp(type, c->name) == 0) return c;
  }
  return NULL;
}

static espl_status count_cells(job *j, espl_err *err) {
  char path[PATH_MAX], *text = NULL;
  size_t n = 0;
  espl_json_doc *doc = NULL;
  ESPL_TRY(file_in(j, "stat.json", path, err));
  ESPL_TRY(espl_read_file(path, 64u << 20, &text, &n, err));
  espl_status s = espl_json_parse(path, text, n, &doc, err);
  if (s == ESPL_E_INPUT) {
    char why[sizeof err->msg];
    snprintf(why, sizeof why, "%s", err->msg);
    *err = (espl_err){0};
    s = espl_fail(err, ESPL_E_IO, "%s; Yosys ended well, is the disk full?", why);
  }
  if (s == ESPL_OK) {
    const espl_json_value *types = espl_json_find(espl_json_find(espl_json_root(doc), "design"), "num_cells_by_type");
    snprintf(j->yosys, sizeof j->yosys, "%s", espl_json_string(espl_json_find(espl_json_root(doc), "creator"), "Yosys"));
    if (!types) s = espl_fail(err, ESPL_E_LIBRARY, "%s: no cell counts of the design", path);
    for (size_t i = 0; i < espl_json_count(types); i++) {
      int64_t count = espl_json_integer(espl_json_at(types, i), 0);
      const struct cell *c = find_cell(&j->b, espl_json_key_at(types, i));
      j->cells += count;
      if (c) j->uses[c->resource] += count * c->count;
    }
  }
  espl_json_doc_free(doc);
  free(text);
  return s;
}

/* --- the report ----------------------------------------------------------------------------------------------------- */

/* Logic that counts against the part: packed cells where they are known. */
static int64_t used(const job *j, int r) { return r == LUT && j->packed >= 0 ? j->packed : j->uses[r]; }
static int fits(const job *j, int r) { return used(j, r) <= j->b.has[r]; }
static int fits_all(const job *j) {
  for (int r = LUT; r <= SPRAM; r++)
    if (!fits(j, r)) return 0;
  return 1;
}
static double percent(int64_t a, int64_t b) { return b > 0 ? 100.0 * (double)a / (double)b : 0.0; }

static void print_row(FILE *f, const char *name, int64_t uses, int64_t has) {
  fprintf(f, "%-14s %9lld", name, (long long)uses);
  if (has > 0) fprintf(f, " %9lld %7.1f %%", (long long)has, percent(uses, has));
  else fprintf(f, " %9s %9s", has == 0 ? "0" : "", "");
  fputs(has >= 0 && uses > has ? "  does not fit\n" : "\n", f);
}

static void print_table(FILE *f, const job *j) {
  const espl_machine *m = &j->m;
  fprintf(f, "%s (%s), machine %s: %dx%d, %d byte bus, %d accumulator bank(s) of %d bits, %d lane(s) of %d cycle(s)\n", j->b.name, j->b.part, m->name,
          (int)m->rows, (int)m->cols, (int)m->bus_bytes, (int)m->acc_banks, (int)m->acc_w, (int)m->rq_lanes, (int)m->rq_cycles);
  fprintf(f, "%s, hw/synth/%s.ys, %.0f s\n\n%-14s %9s %9s %9s\n", j->yosys, espl_family_name(j->b.family), j->seconds, "resource", "used", "of", "share");
  if (j->packed >= 0) print_row(f, "logic cells", j->packed, j->b.has[LUT]);
  print_row(f, "LUT", j->uses[LUT], j->b.has[LUT]);
  print_row(f, "FF", j->uses[FF], j->b.has[FF]);
  print_row(f, "carry", j->uses[CARRY], -1);
  print_row(f, "DSP", j->uses[DSP], j->b.has[DSP]);
  print_row(f, "BRAM", j->uses[BRAM], j->b.has[BRAM]);
  if (j->b.has[SPRAM] || j->uses[SPRAM]) print_row(f, "SPRAM", j->uses[SPRAM], j->b.has[SPRAM]);
  fprintf(f, "\n%s\n", fits_all(j) ? "fits" : "does not fit");
}

static void put_json(espl_json *w, const job *j) {
  espl_json_object(w, NULL);
  espl_json_str(w, "board", j->b.name);
  espl_json_str(w, "part", j->b.part);
  espl_json_str(w, "machine", j->m.name);
  espl_json_str(w, "yosys", j->yosys);
  espl_json_num(w, "seconds", j->seconds);
  espl_json_bool(w, "fits", fits_all(j));
  espl_json_int(w, "cells", j->cells);
  if (j->packed >= 0) espl_json_int(w, "logic_cells", j->packed);
  for (int r = 0; r < N_RESOURCES; r++) {
    espl_json_object(w, resource_name(r));
    espl_json_int(w, "used", j->uses[r]);
    if (r != CARRY) espl_json_int(w, "available", j->b.has[r]);
    if (r != CARRY && j->b.has[r] > 0) espl_json_num(w, "percent", percent(j->uses[r], j->b.has[r]));
    espl_json_close(w);
  }
  espl_json_object(w, "parameters");
#define X(c_name, RtlName, min, max) espl_json_int(w, #c_name, j->m.c_name);
  ESPL_PARAM_LIST(X)
#undef X
  espl_json_close(w);
  espl_json_close(w);
}

static espl_status write_reports(const job *j, espl_err *err) {
  char path[PATH_MAX], *text = NULL;
  espl_outfile *o = NULL;
  ESPL_TRY(file_in(j, "report.txt", path, err));
  ESPL_TRY(espl_outfile_open(path, &o, err));
  print_table(espl_outfile_stream(o), j);
  ESPL_TRY(espl_outfile_commit(o, err));
  ESPL_TRY(file_in(j, "report.json", path, err));
  espl_json *w = espl_json_to_buffer(2);
  if (!w) return espl_fail(err, ESPL_E_NOMEM, "no memory for JSON text");
  put_json(w, j);
  ESPL_TRY(espl_json_finish(w, &text, err));
  espl_status s = espl_write_file(path, text, strlen(text), err);
  free(text);
  return s;
}

static espl_status verdict(const job *j, espl_err *err) {
  char text[512];
  size_t n = 0;
  text[0] = 0;
  for (int r = LUT; r <= SPRAM; r++)
    if (!fits(j, r) && n < sizeof text)
      n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %lld of %lld", n ? ", " : "", r == LUT && j->packed >= 0 ? "logic cells" : resource_name(r),
                            (long long)used(j, r), (long long)j->b.has[r]);
  if (n) return espl_fail(err, ESPL_E_FAILED, "machine %s does not fit %s: %s", j->m.name, j->b.part, text);
  return ESPL_OK;
}

static espl_status synth(espl_cli *cli, job *j) {
  espl_err *err = &cli->err;
  char path[PATH_MAX], here[PATH_MAX];
  ESPL_TRY(espl_board_load(j->board_name, &j->b, err));
  ESPL_TRY(espl_machine_load(j->machine_name ? j->machine_name : j->b.machine, &j->m, err));
  if (j->top == TOP_BOARD) ESPL_TRY(check_memory(j, err));
  ESPL_TRY(espl_root_path("rtl/rtl.f", path, sizeof path, err));
  snprintf(j->root, sizeof j->root, "%.*s", (int)(strlen(path) - strlen("/rtl/rtl.f")), path);
  if (!getcwd(here, sizeof here)) return espl_fail(err, ESPL_E_IO, "working directory: %s", strerror(errno));
  int n = snprintf(j->dir, sizeof j->dir, "%s%s%s/%s-%s", j->out[0] == '/' ? "" : here, j->out[0] == '/' ? "" : "/", j->out, j->b.name, j->m.name);
  if (n < 0 || (size_t)n >= sizeof j->dir || strpbrk(j->dir, "\"; \t\n"))
    return espl_fail(err, ESPL_E_INPUT, "--out %s: the path %s is too long, or has a blank, a quote or a semicolon in it, which Yosys does not take", j->out, j->dir);
  ESPL_TRY(espl_mkdirs(j->dir, err));
  espl_progress_push(cli->progress, "yosys", 95, 1.0);
  espl_progress_note(cli->progress, "%s for %s", j->m.name, j->b.part);
  ESPL_TRY(run_yosys(j, err));
  espl_progress_pop(cli->progress);
  ESPL_TRY(count_cells(j, err));
  ESPL_TRY(run_pack(j, err));
  espl_progress_clear(cli->progress);
  ESPL_TRY(write_reports(j, err));
  print_table(espl_cli_out(cli), j);
  espl_json *w = NULL;
  ESPL_TRY(espl_cli_json_begin(cli, &w));
  if (w) put_json(w, j);
  ESPL_TRY(espl_cli_json_end(cli, w));
  return verdict(j, err);
}

espl_status espl_cmd_synth(espl_cli *cli, int argc, char **argv) {
  job *j = calloc(1, sizeof *j);
  if (!j) return espl_fail(&cli->err, ESPL_E_NOMEM, "no memory");
  j->out = "build/synth";
  const espl_opt opts[] = {
      {.name = "board", .letter = 'b', .type = ESPL_OPT_STRING, .arg = "B", .value = &j->board_name, .required = 1, .help = "a name in configs/boards, or a file"},
      {.name = "machine", .letter = 'm', .type = ESPL_OPT_STRING, .arg = "M", .value = &j->machine_name, .help = "machine point, a name or a file (default: the board's)"},
      {.name = "full", .type = ESPL_OPT_FLAG, .value = &j->full, .help = "the whole core: 32 address bits and counters in registers on small parts too"},
      {.name = "top", .type = ESPL_OPT_CHOICE, .arg = "core|board|alone", .value = &j->top, .choices = top_names, .help = "the core (default), the whole board with memory, serial bridge and pins, or the core with shift registers at its ports, to be routed alone"},
      {.name = "verilog", .type = ESPL_OPT_FLAG, .value = &j->verilog, .help = "also write netlist.v"},
      {.name = "out", .letter = 'o', .type = ESPL_OPT_STRING, .arg = "DIR", .value = &j->out, .help = "where the folder BOARD-MACHINE goes (default build/synth)"}};
  const espl_opt_spec spec = {.usage = "--board B [--machine M]",
                              .summary = "Synthesizes the core of a machine point with Yosys and prints how much of the board's part it takes. Exit status 1 when it does not fit.",
                              .options = opts, .n_options = sizeof opts / sizeof *opts};
  int n_args = 0;
  espl_status s = espl_opt_parse(cli, &spec, argc, argv, NULL, &n_args);
  if (s == ESPL_OK && !cli->help) s = synth(cli, j);
  free(j);
  return s;
}
