/* espalier sweep: networks on machines, exact cycles, one line a cell. */
#include <stdlib.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "cli/area.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/study.h"
#include "steer/sweep.h"

/* What the study's board makes of every point. Without a board all pointers are NULL. */
typedef struct board_view {
  espl_cli_area cost;
  espl_area *area; /* [points] */
  int8_t *fits;    /* [points]: 1, 0, or -1 for a machine that cannot be */
} board_view;

static espl_status open_board(const espl_sweep *w, board_view *b, espl_err *err) {
  *b = (board_view){.area = NULL};
  if (!w->board[0]) return ESPL_OK;
  ESPL_TRY(espl_cli_area_open(w->board, &b->cost, err));
  b->area = espl_calloc((size_t)w->points, sizeof *b->area);
  b->fits = espl_calloc((size_t)w->points, 1);
  if (!b->area || !b->fits) return espl_fail(err, ESPL_E_NOMEM, "sweep: out of memory");
  for (int32_t i = 0; i < w->points; i++) {
    espl_err why = {0};
    espl_status s = espl_area_estimate(b->cost.model, &w->point[i].machine, b->cost.board.family, &b->area[i], &why);
    if (s != ESPL_OK && s != ESPL_E_INPUT) return espl_fail(err, s, "%s", why.msg);
    b->fits[i] = s == ESPL_OK ? (int8_t)espl_area_fits(&b->area[i], &b->cost.board) : -1;
  }
  return ESPL_OK;
}

static void close_board(board_view *b) {
  espl_cli_area_close(&b->cost);
  free(b->area);
  free(b->fits);
}

/* Clock of a point: what routed designs reach on the board, else what the machine file says; 0: not known. */
static double clock_of(const espl_machine *m, const board_view *b) { return b->area && b->cost.clock.routed ? b->cost.clock.mhz : m->clock_mhz; }

static void print_area(FILE *f, const board_view *b, int32_t point) {
  const espl_area *a = &b->area[point];
  fprintf(f, " %7.0f %5lld %5lld %-4s", 100 * espl_area_logic(a, b->cost.board.family) / (double)b->cost.board.has[ESPL_LUT], (long long)a->dsp, (long long)a->bram,
          b->fits[point] ? "yes" : "no");
}

static void json_area(espl_json *w, const board_view *b, int32_t point) {
  const espl_area *a = &b->area[point];
  espl_json_object(w, "area");
  espl_json_str(w, "board", b->cost.board.name);
  espl_json_int(w, "logic", (int64_t)espl_area_logic(a, b->cost.board.family));
  espl_json_int(w, "ff", (int64_t)a->ff);
  espl_json_int(w, "dsp", a->dsp);
  espl_json_int(w, "bram", a->bram);
  espl_json_bool(w, "fits", b->fits[point]);
  espl_json_close(w);
}

static espl_status get_cell(const espl_sweep *w, espl_store *store, int64_t run, int32_t cell, espl_store_variant *v, espl_err *err) {
  char name[2 * ESPL_SWEEP_NAME + 4];
  int found = 0;
  espl_sweep_cell_name(w, cell / w->points, cell % w->points, name);
  ESPL_TRY(espl_store_variant_get(store, run, name, v, &found, err));
  return found ? ESPL_OK : espl_fail(err, ESPL_E_BUG, "the store has no cell %s", name);
}

static void print_cell(FILE *f, const espl_sweep *w, const board_view *b, int32_t cell, const espl_store_variant *v) {
  const espl_sweep_point *p = &w->point[cell % w->points];
  const char *net = w->net[cell / w->points].name;
  const double mhz = clock_of(&p->machine, b);
  if (v->cycles < 0) {
    fprintf(f, "%-24s %-44s refused: %s\n", net, p->name, v->note ? v->note : "");
    return;
  }
  fprintf(f, "%-24s %-44s %12lld", net, p->name, (long long)v->cycles);
  if (mhz > 0) fprintf(f, " %9.3f", espl_cli_ms((double)v->cycles, mhz));
  else fprintf(f, " %9s", "-");
  fprintf(f, " %6.1f %6.1f %11lld %11lld", 100 * v->utilization, 100 * v->roof_fraction, (long long)v->read_bytes, (long long)v->write_bytes);
  if (b->area) print_area(f, b, cell % w->points);
  fputc('\n', f);
}

static void json_cell(espl_json *w, const espl_sweep *sweep, const board_view *b, int32_t cell, const espl_store_variant *v) {
  const espl_sweep_point *p = &sweep->point[cell % sweep->points];
  const double mhz = clock_of(&p->machine, b);
  espl_json_object(w, NULL);
  espl_json_str(w, "network", sweep->net[cell / sweep->points].name);
  espl_json_str(w, "point", p->name);
  espl_json_raw(w, "machine", v->config_json);
  if (v->cycles < 0) {
    espl_json_str(w, "refused", v->note);
  } else {
    espl_json_int(w, "cycles", v->cycles);
    if (mhz > 0) espl_json_num(w, "milliseconds", espl_cli_ms((double)v->cycles, mhz));
    espl_json_int(w, "macs", v->macs);
    espl_json_num(w, "utilization", v->utilization);
    espl_json_num(w, "roof_fraction", v->roof_fraction);
    espl_json_int(w, "read_bytes", v->read_bytes);
    espl_json_int(w, "write_bytes", v->write_bytes);
  }
  if (b->area && b->fits[cell % sweep->points] >= 0) json_area(w, b, cell % sweep->points);
  espl_json_close(w);
}

/* What a cell costs in hardware: multipliers, and bytes of the buffers. */
static void hardware(const espl_machine *m, int64_t *multipliers, int64_t *bytes) {
  *multipliers = (int64_t)m->rows * m->cols;
  *bytes = ((int64_t)espl_nb(m) << m->act_aw) + ((int64_t)1 << m->wgt_aw) + ((int64_t)m->acc_banks * m->cols * m->acc_w / 8 << m->acc_aw) + ((int64_t)16 << m->par_aw) +
           (m->idx_aw > 0 ? (int64_t)4 << m->idx_aw : 0);
}

/* Points of a network (that fit the board, where the study has one) that no other of them beats: none is as good or better in cycles, multipliers and buffer bytes and better in one of them.
 * front[points]; cycles[points], below 0 where refused. */
static int32_t find_front(const espl_sweep *w, const board_view *b, const int64_t *cycles, uint8_t *front) {
  int32_t n = 0;
  for (int32_t i = 0; i < w->points; i++) {
    int64_t mi, bi, mk, bk;
    hardware(&w->point[i].machine, &mi, &bi);
    front[i] = cycles[i] >= 0 && (!b->fits || b->fits[i] == 1);
    for (int32_t k = 0; k < w->points && front[i]; k++) {
      if (cycles[k] < 0 || cycles[k] > cycles[i] || (b->fits && b->fits[k] != 1)) continue;
      hardware(&w->point[k].machine, &mk, &bk);
      bool as_good = mk <= mi && bk <= bi, better = cycles[k] < cycles[i] || mk < mi || bk < bi;
      if (as_good && (better || k < i)) front[i] = 0; /* of equal points the first */
    }
    n += front[i];
  }
  return n;
}

static espl_status print_front(espl_cli *cli, const espl_sweep *w, const board_view *b, espl_store *store, int64_t run, int32_t net) {
  FILE *f = espl_cli_out(cli);
  int64_t *cycles = espl_calloc((size_t)w->points, sizeof *cycles);
  uint8_t *front = espl_calloc((size_t)w->points, 1);
  espl_status s = cycles && front ? ESPL_OK : espl_fail(&cli->err, ESPL_E_NOMEM, "sweep: out of memory");
  for (int32_t i = 0; i < w->points && s == ESPL_OK; i++) {
    espl_store_variant v;
    s = get_cell(w, store, run, net * w->points + i, &v, &cli->err);
    cycles[i] = v.cycles;
    espl_store_variant_clear(&v);
  }
  if (s == ESPL_OK) {
    int32_t n = find_front(w, b, cycles, front);
    fprintf(f, "%s: %d points%s%s that no other beats in cycles, multipliers and buffer bytes\n", w->net[net].name, (int)n, b->fits ? " that fit " : "", b->fits ? w->board : "");
    for (int32_t i = 0; i < w->points; i++) {
      int64_t m, bytes;
      if (!front[i]) continue;
      hardware(&w->point[i].machine, &m, &bytes);
      fprintf(f, "  %-80s %12lld cycles %6lld multipliers %9lld bytes\n", w->point[i].name, (long long)cycles[i], (long long)m, (long long)bytes);
    }
  }
  free(cycles);
  free(front);
  return s;
}

static espl_status print(espl_cli *cli, const espl_sweep *w, const board_view *b, espl_store *store, int64_t run, const espl_sweep_counts *n, const char *db) {
  FILE *f = espl_cli_out(cli);
  if (b->area) fprintf(f, "area and clock on %s (%s): estimates\n", w->board, b->cost.board.part);
  fprintf(f, "%-24s %-44s %12s %9s %6s %6s %11s %11s", "network", "machine", "cycles", "ms", "util %", "roof %", "read B", "written B");
  if (b->area) fprintf(f, " %7s %5s %5s %-4s", "logic %", "DSP", "BRAM", "fits");
  fputc('\n', f);
  for (int32_t cell = 0; cell < w->nets * w->points; cell++) {
    espl_store_variant v;
    ESPL_TRY(get_cell(w, store, run, cell, &v, &cli->err));
    print_cell(f, w, b, cell, &v);
    espl_store_variant_clear(&v);
  }
  for (int32_t net = 0; net < w->nets && w->points > 1; net++) ESPL_TRY(print_front(cli, w, b, store, run, net));
  fprintf(f, "%d cells: %d computed, %d known before, %d refused; espalier report %s -o DIR --run %lld writes them as CSV\n", (int)(w->nets * w->points), (int)n->computed, (int)n->known,
          (int)n->refused, db, (long long)run);
  return ESPL_OK;
}

static espl_status as_json(espl_cli *cli, const espl_sweep *w, const board_view *b, espl_store *store, int64_t run, const espl_sweep_counts *n) {
  espl_json *json = NULL;
  ESPL_TRY(espl_cli_json_begin(cli, &json));
  if (!json) return ESPL_OK;
  espl_json_object(json, NULL);
  espl_json_str(json, "sweep", w->name);
  espl_json_int(json, "run", run);
  espl_json_int(json, "computed", n->computed);
  espl_json_int(json, "known", n->known);
  espl_json_int(json, "refused", n->refused);
  espl_json_array(json, "cells");
  for (int32_t cell = 0; cell < w->nets * w->points; cell++) {
    espl_store_variant v;
    ESPL_TRY(get_cell(w, store, run, cell, &v, &cli->err));
    json_cell(json, w, b, cell, &v);
    espl_store_variant_clear(&v);
  }
  espl_json_close(json);
  espl_json_close(json);
  return espl_cli_json_end(cli, json);
}

static espl_status run_and_show(espl_cli *cli, const espl_sweep *w, const char *command, int jobs, const char *db) {
  espl_store *store = NULL;
  espl_sweep_counts n;
  board_view b;
  int64_t run = -1;
  espl_status s = open_board(w, &b, &cli->err);
  if (s == ESPL_OK) s = espl_store_open(db, ESPL_STORE_CREATE, &store, &cli->err);
  if (s == ESPL_OK) s = espl_sweep_run(w, command, jobs, store, cli->progress, &run, &n, &cli->err);
  espl_progress_clear(cli->progress);
  if (s == ESPL_OK) s = print(cli, w, &b, store, run, &n, db);
  if (s == ESPL_OK) s = as_json(cli, w, &b, store, run, &n);
  espl_store_close(store);
  close_board(&b);
  return espl_cli_interrupted(cli, s, "what was finished is kept, the same command goes on from there");
}

espl_status espl_cmd_sweep(espl_cli *cli, int argc, char **argv) {
  const char *db = NULL, *file[1];
  int64_t jobs = sysconf(_SC_NPROCESSORS_ONLN);
  int n_args = 0;
  const espl_opt opts[] = {
      {.name = "db", .type = ESPL_OPT_STRING, .arg = "FILE", .value = &db, .help = "results store (default out/espalier.db)"},
      {.name = "jobs", .letter = 'j', .type = ESPL_OPT_INT, .arg = "N", .value = &jobs, .min = 1, .max = 64, .help = "threads (default: one a processor)"},
  };
  const espl_opt_spec spec = {.usage = "STUDY.yaml [--jobs N] [--db FILE]",
                              .summary = "Exact cycles of networks on a grid of machines. What the store knows is not computed again; a machine that cannot be is a result.",
                              .options = opts, .n_options = 2, .min_args = 1, .max_args = 1};
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, file, &n_args));
  if (cli->help) return ESPL_OK;
  espl_sweep *w = NULL;
  char *command = espl_cli_command_line(argc, argv);
  espl_status s = espl_sweep_load(file[0], cli->seed_given ? &cli->seed : NULL, &w, &cli->err);
  if (s == ESPL_OK && !db) {
    db = "out/espalier.db";
    s = espl_mkdirs("out", &cli->err);
  }
  if (s == ESPL_OK) s = run_and_show(cli, w, command, (int)jobs, db);
  espl_sweep_free(w);
  free(command);
  return s;
}
