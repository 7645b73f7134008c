/* espalier cost: area and clock of a machine point on boards, estimated from synthesized and routed points, and how wrong the estimates are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/area.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "map/machine_yaml.h"

enum { MAX_BOARDS = 32 };

typedef struct cost {
  espl_cli *cli;
  const char *machine_name, *board_name;
  int check;
  espl_machine m;
  espl_area_model *model;
  espl_clock_table clocks;
} cost;

/* One board with everything that is said about it. */
typedef struct answer {
  espl_board b;
  espl_area area;
  const espl_area_row *measured; /* NULL: never synthesized */
  espl_clock clock;
  int fits, known; /* known 0: the table has no point of this family */
} answer;

static espl_status ask(cost *c, const char *board, answer *a) {
  espl_err why = {0};
  *a = (answer){.known = 1};
  ESPL_TRY(espl_board_load(board, &a->b, &c->cli->err));
  if (!c->machine_name) ESPL_TRY(espl_machine_load(a->b.machine, &c->m, &c->cli->err));
  espl_status s = espl_area_estimate(c->model, &c->m, a->b.family, &a->area, &why);
  if (s != ESPL_OK && s != ESPL_E_UNSUPPORTED) return espl_fail(&c->cli->err, s, "%s", why.msg);
  a->known = s == ESPL_OK;
  a->fits = a->known && espl_area_fits(&a->area, &a->b);
  a->measured = espl_area_measured(c->model, &c->m, a->b.family);
  a->clock = espl_clock_estimate(&c->clocks, a->b.name, -1);
  return ESPL_OK;
}

static double peak(const cost *c, const answer *a) { return (double)c->m.rows * c->m.cols * a->clock.mhz / 1000; }
static double share(double used, int64_t has) { return has > 0 ? 100 * used / (double)has : 0; }

/* --- text ----------------------------------------------------------------------------------------------------------- */

static void cell(FILE *f, double used, int64_t has) {
  if (has > 0) fprintf(f, " %9.0f %5.0f %%", used, share(used, has));
  else fprintf(f, " %9.0f %7s", used, "");
}

static void board_line(FILE *f, const cost *c, const answer *a) {
  fprintf(f, "%-12s", a->b.name);
  if (!a->known) {
    fprintf(f, " no synthesized point of family %s (make calibrate)\n", espl_family_name(a->b.family));
    return;
  }
  cell(f, espl_area_logic(&a->area, a->b.family), a->b.has[ESPL_LUT]);
  cell(f, a->area.ff, a->b.has[ESPL_FF]);
  cell(f, (double)a->area.dsp, a->b.has[ESPL_DSP]);
  cell(f, (double)a->area.bram, a->b.has[ESPL_BRAM]);
  fprintf(f, "  %-4s", a->fits ? "yes" : "no");
  if (a->clock.routed) fprintf(f, " %5.0f MHz %8.2f GMAC/s\n", a->clock.mhz, peak(c, a));
  else fprintf(f, " %9s\n", "not known");
}

static void resource_line(FILE *f, const char *name, double used, int64_t has, double measured) {
  fprintf(f, "%-14s %9.0f", name, used);
  if (has > 0) fprintf(f, " %9lld %7.1f %%", (long long)has, share(used, has));
  else if (has == 0) fprintf(f, " %9d %9s", 0, "");
  else fprintf(f, " %9s %9s", "", "");
  if (measured >= 0) fprintf(f, " %11.0f", measured);
  fputs(has >= 0 && used > (double)has ? "  does not fit\n" : "\n", f);
}

static void clock_lines(FILE *f, const cost *c, const answer *a) {
  if (!a->clock.routed) {
    fprintf(f, "clock: not known, no design has been placed and routed for this board\n");
    return;
  }
  fprintf(f, "clock: %.1f MHz, %.1f to %.1f, from %d routed design(s):", a->clock.mhz, a->clock.low, a->clock.high, (int)a->clock.routed);
  for (int32_t i = 0, n = 0; i < c->clocks.n; i++) {
    const espl_clock_row *r = &c->clocks.row[i];
    if (strcmp(r->board, a->b.name) == 0) fprintf(f, "%s %s %s %.1f", n++ ? "," : "", r->machine, strcmp(r->top, "core") == 0 ? "(core alone)" : "(whole board)", r->mhz);
  }
  fprintf(f, "\npeak: %d multiply-accumulates a cycle, %.2f GMAC/s at that clock\n", (int)(c->m.rows * c->m.cols), peak(c, a));
}

/* What the estimate rests on, and how wrong such estimates are on held-out points. */
static espl_status basis_lines(FILE *f, const cost *c, const answer *a) {
  const espl_area_row *last = NULL;
  int n = 0, same = 1;
  for (int32_t i = 0; i < espl_area_rows(c->model); i++) {
    const espl_area_row *r = espl_area_row_at(c->model, i);
    if (r->family != a->b.family) continue;
    same = same && (!last || strcmp(last->sources, r->sources) == 0);
    last = r;
    n++;
  }
  espl_area_errors e;
  ESPL_TRY(espl_area_check(c->model, a->b.family, &e, &c->cli->err));
  fprintf(f, "from %d synthesized point(s) of family %s, %s, sources %s%s", n, espl_family_name(a->b.family), last->tool, last->sources, same ? "" : " and others");
  if (e.rows > 0)
    fprintf(f, "; error on held-out points: logic %.0f %% (worst %.0f %%), FF %.0f %% (worst %.0f %%)", 100 * e.mean[0], 100 * e.worst[0], 100 * e.mean[1], 100 * e.worst[1]);
  fprintf(f, "\n");
  return ESPL_OK;
}

static espl_status detail(FILE *f, const cost *c, const answer *a) {
  const espl_area_row *r = a->measured;
  const int cells = a->b.family == ESPL_ICE40UP || a->b.family == ESPL_ICE40HX;
  fprintf(f, "%s (%s), machine %s, %dx%d: estimate%s\n\n", a->b.name, a->b.part, c->m.name, (int)c->m.rows, (int)c->m.cols,
          r ? " beside the same point synthesized" : "");
  fprintf(f, "%-14s %9s %9s %9s%s\n", "resource", "estimate", "of", "share", r ? "  synthesized" : "");
  if (cells) resource_line(f, "logic cells", a->area.cells, a->b.has[ESPL_LUT], r ? r->cells : -1);
  resource_line(f, "LUT", a->area.lut, cells ? -1 : a->b.has[ESPL_LUT], r ? r->lut : -1);
  resource_line(f, "FF", a->area.ff, a->b.has[ESPL_FF], r ? r->ff : -1);
  resource_line(f, "DSP", (double)a->area.dsp, a->b.has[ESPL_DSP], r ? (double)r->dsp : -1);
  resource_line(f, "BRAM", (double)a->area.bram, a->b.has[ESPL_BRAM], r ? (double)r->bram : -1);
  fprintf(f, "\n%-14s %9s %9s%s\n", "unit", "LUT", "FF", r ? "  synthesized LUT and FF" : "");
  for (int u = 0; u < ESPL_CORE_UNITS; u++) {
    fprintf(f, "%-14s %9.0f %9.0f", espl_core_unit_name((espl_core_unit)u), a->area.unit[0][u], a->area.unit[1][u]);
    if (r) fprintf(f, " %9.0f %9.0f", r->unit[0][u], r->unit[1][u]);
    fputc('\n', f);
  }
  fputc('\n', f);
  ESPL_TRY(basis_lines(f, c, a));
  clock_lines(f, c, a);
  fprintf(f, "%s\n", a->fits ? "fits" : "does not fit");
  return ESPL_OK;
}

/* --- JSON ----------------------------------------------------------------------------------------------------------- */

static void json_used(espl_json *w, const char *name, double used, int64_t has, double measured) {
  espl_json_object(w, name);
  espl_json_num(w, "estimate", round(used));
  if (has >= 0) espl_json_int(w, "available", has);
  if (measured >= 0) espl_json_num(w, "synthesized", measured);
  espl_json_close(w);
}

static void json_answer(espl_json *w, const cost *c, const answer *a) {
  const espl_area_row *r = a->measured;
  const int cells = a->b.family == ESPL_ICE40UP || a->b.family == ESPL_ICE40HX;
  espl_json_object(w, NULL);
  espl_json_str(w, "board", a->b.name);
  espl_json_str(w, "part", a->b.part);
  espl_json_str(w, "family", espl_family_name(a->b.family));
  espl_json_str(w, "machine", c->m.name);
  if (a->known) {
    espl_json_bool(w, "fits", a->fits);
    if (cells) json_used(w, "logic_cells", a->area.cells, a->b.has[ESPL_LUT], r ? r->cells : -1);
    json_used(w, "lut", a->area.lut, cells ? -1 : a->b.has[ESPL_LUT], r ? r->lut : -1);
    json_used(w, "ff", a->area.ff, a->b.has[ESPL_FF], r ? r->ff : -1);
    json_used(w, "dsp", (double)a->area.dsp, a->b.has[ESPL_DSP], r ? (double)r->dsp : -1);
    json_used(w, "bram", (double)a->area.bram, a->b.has[ESPL_BRAM], r ? (double)r->bram : -1);
    espl_json_object(w, "units");
    for (int u = 0; u < ESPL_CORE_UNITS; u++) {
      espl_json_object(w, espl_core_unit_name((espl_core_unit)u));
      espl_json_num(w, "lut", round(a->area.unit[0][u]));
      espl_json_num(w, "ff", round(a->area.unit[1][u]));
      espl_json_close(w);
    }
    espl_json_close(w);
  }
  if (a->clock.routed) {
    espl_json_object(w, "clock");
    espl_json_num(w, "mhz", a->clock.mhz);
    espl_json_num(w, "low", a->clock.low);
    espl_json_num(w, "high", a->clock.high);
    espl_json_int(w, "routed", a->clock.routed);
    espl_json_close(w);
    espl_json_num(w, "peak_gmacs", peak(c, a));
  }
  espl_json_close(w);
}

/* --- what is asked -------------------------------------------------------------------------------------------------- */

static espl_status answer_boards(cost *c) {
  char names[MAX_BOARDS][64];
  int n = 1;
  FILE *f = espl_cli_out(c->cli);
  espl_json *w = NULL;
  if (!c->board_name) ESPL_TRY(espl_board_names(names, MAX_BOARDS, &n, &c->cli->err));
  ESPL_TRY(espl_cli_json_begin(c->cli, &w));
  if (w) espl_json_array(w, NULL);
  if (!c->board_name) {
    fprintf(f, "machine %s (%dx%d), estimates\n", c->m.name, (int)c->m.rows, (int)c->m.cols);
    fprintf(f, "%-12s %17s %17s %17s %17s  %-4s %9s %15s\n", "board", "logic", "FF", "DSP", "BRAM", "fits", "clock", "peak");
  }
  for (int i = 0; i < n; i++) {
    answer a;
    ESPL_TRY(ask(c, c->board_name ? c->board_name : names[i], &a));
    if (c->board_name && !a.known) return espl_fail(&c->cli->err, ESPL_E_UNSUPPORTED, "no synthesized point of family %s (make calibrate)", espl_family_name(a.b.family));
    if (c->board_name) ESPL_TRY(detail(f, c, &a));
    else board_line(f, c, &a);
    if (w) json_answer(w, c, &a);
  }
  if (w) espl_json_close(w);
  return espl_cli_json_end(c->cli, w);
}

static void check_row(FILE *f, espl_json *w, const espl_area_row *r, const espl_area *v) {
  const double had[] = {r->cells >= 0 ? r->cells : r->lut, r->ff}, said[] = {r->cells >= 0 ? v->cells : v->lut, v->ff};
  fprintf(f, "%-10s %-12s %2dx%-3d", r->board, r->point, (int)r->m.rows, (int)r->m.cols);
  for (int k = 0; k < 2; k++) fprintf(f, " %9.0f %9.0f %+6.1f %%", had[k], said[k], 100 * (said[k] / had[k] - 1));
  fprintf(f, " %5lld%s %5lld%s\n", (long long)r->dsp, v->dsp == r->dsp ? " " : "!", (long long)r->bram, v->bram == r->bram ? " " : "!");
  if (!w) return;
  espl_json_object(w, NULL);
  espl_json_str(w, "board", r->board);
  espl_json_str(w, "point", r->point);
  espl_json_num(w, "logic", had[0]);
  espl_json_num(w, "logic_held_out", round(said[0]));
  espl_json_num(w, "ff", had[1]);
  espl_json_num(w, "ff_held_out", round(said[1]));
  espl_json_bool(w, "dsp_exact", v->dsp == r->dsp);
  espl_json_bool(w, "bram_exact", v->bram == r->bram);
  espl_json_close(w);
}

static espl_status check_area(cost *c, FILE *f, espl_json *w) {
  espl_err *err = &c->cli->err;
  fprintf(f, "each point estimated by a model fitted without it (on any board); logic: cells on iCE40, else LUT; ! a count of blocks that is wrong\n");
  fprintf(f, "%-10s %-12s %6s %28s %28s %6s %6s\n", "board", "point", "size", "logic: synthesized, estimate", "FF: synthesized, estimate", "DSP", "BRAM");
  if (w) espl_json_array(w, "points");
  for (int32_t i = 0; i < espl_area_rows(c->model); i++) {
    espl_area v;
    espl_err why = {0};
    espl_status s = espl_area_held_out(c->model, i, &v, &why);
    if (s == ESPL_E_UNSUPPORTED) continue;
    if (s != ESPL_OK) return espl_fail(err, s, "%s", why.msg);
    check_row(f, w, espl_area_row_at(c->model, i), &v);
  }
  if (w) espl_json_close(w);
  fprintf(f, "\n%-10s %6s %24s %24s %12s %12s\n", "family", "points", "logic error mean, worst", "FF error mean, worst", "DSP", "BRAM");
  if (w) espl_json_array(w, "families");
  for (int k = 0; k < ESPL_FAMILIES; k++) {
    espl_area_errors e;
    ESPL_TRY(espl_area_check(c->model, (espl_family)k, &e, err));
    if (e.rows == 0) continue;
    fprintf(f, "%-10s %6d %12.1f %% %7.1f %% %12.1f %% %7.1f %% %12s %12s\n", espl_family_name((espl_family)k), (int)e.rows, 100 * e.mean[0], 100 * e.worst[0],
            100 * e.mean[1], 100 * e.worst[1], e.dsp_wrong ? "wrong" : "exact", e.bram_wrong ? "wrong" : "exact");
    if (!w) continue;
    espl_json_object(w, NULL);
    espl_json_str(w, "family", espl_family_name((espl_family)k));
    espl_json_int(w, "points", e.rows);
    const struct { const char *key; double v; } num[] = {{"logic_mean", e.mean[0]}, {"logic_worst", e.worst[0]}, {"ff_mean", e.mean[1]}, {"ff_worst", e.worst[1]}};
    for (size_t i = 0; i < sizeof num / sizeof *num; i++) espl_json_num(w, num[i].key, num[i].v);
    espl_json_int(w, "dsp_wrong", e.dsp_wrong);
    espl_json_int(w, "bram_wrong", e.bram_wrong);
    espl_json_close(w);
  }
  if (w) espl_json_close(w);
  return ESPL_OK;
}

static void check_clock(const cost *c, FILE *f, espl_json *w) {
  fprintf(f, "\n%-10s %-12s %-6s %10s %12s %s\n", "board", "machine", "top", "MHz", "estimate", "by the other routed designs of the board");
  if (w) espl_json_array(w, "clocks");
  for (int32_t i = 0; i < c->clocks.n; i++) {
    const espl_clock_row *r = &c->clocks.row[i];
    const espl_clock e = espl_clock_estimate(&c->clocks, r->board, i);
    fprintf(f, "%-10s %-12s %-6s %10.2f", r->board, r->machine, r->top, r->mhz);
    if (e.routed) fprintf(f, " %12.2f (%+.1f %%)\n", e.mhz, 100 * (e.mhz / r->mhz - 1));
    else fprintf(f, " %12s\n", "-");
    if (!w) continue;
    espl_json_object(w, NULL);
    espl_json_str(w, "board", r->board);
    espl_json_str(w, "machine", r->machine);
    espl_json_num(w, "mhz", r->mhz);
    if (e.routed) espl_json_num(w, "held_out", e.mhz);
    espl_json_close(w);
  }
  if (w) espl_json_close(w);
}

static espl_status check(cost *c) {
  FILE *f = espl_cli_out(c->cli);
  espl_json *w = NULL;
  ESPL_TRY(espl_cli_json_begin(c->cli, &w));
  if (w) espl_json_object(w, NULL);
  ESPL_TRY(check_area(c, f, w));
  check_clock(c, f, w);
  if (w) espl_json_close(w);
  return espl_cli_json_end(c->cli, w);
}

static espl_status run(cost *c) {
  espl_err *err = &c->cli->err;
  if (!c->check && !c->machine_name && !c->board_name) return espl_fail(err, ESPL_E_INPUT, "--machine or --board is missing (or --check)");
  if (c->machine_name) ESPL_TRY(espl_machine_load(c->machine_name, &c->m, err));
  ESPL_TRY(espl_area_load(NULL, &c->model, err));
  ESPL_TRY(espl_clock_load(NULL, &c->clocks, err));
  return c->check ? check(c) : answer_boards(c);
}

espl_status espl_cmd_cost(espl_cli *cli, int argc, char **argv) {
  cost c = {.cli = cli};
  int n_args = 0;
  const espl_opt opts[] = {
      {.name = "machine", .letter = 'm', .type = ESPL_OPT_STRING, .arg = "M", .value = &c.machine_name, .without = "check", .help = "machine point, a name or a file (default: the board's)"},
      {.name = "board", .letter = 'b', .type = ESPL_OPT_STRING, .arg = "B", .value = &c.board_name, .without = "check", .help = "a name in configs/boards or a file (default: a line for each)"},
      {.name = "check", .type = ESPL_OPT_FLAG, .value = &c.check, .help = "errors of the estimates on held-out points"}};
  const espl_opt_spec spec = {.usage = "--machine M [--board B] | --check",
                              .summary = "Estimates tables, flip-flops, multiplier and memory blocks and the clock of a machine point on boards, from the synthesized and "
                                         "routed points in configs/cost. No tool is run.",
                              .options = opts, .n_options = sizeof opts / sizeof *opts};
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, NULL, &n_args));
  if (cli->help) return ESPL_OK;
  espl_status s = run(&c);
  espl_area_free(c.model);
  espl_clock_free(&c.clocks);
  return s;
}
