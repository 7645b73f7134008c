/* Running a study and showing what came out. */
#include "cli/study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "report/report.h"

static void percent(FILE *f, double v) {
  if (isnan(v)) fprintf(f, "      -");
  else fprintf(f, " %6.2f", 100 * v);
}

static espl_status print_row(void *user, const espl_store_variant *v, espl_err *err) {
  (void)err;
  FILE *f = user;
  fprintf(f, "%-20s", v->name);
  percent(f, v->float_val);
  percent(f, v->float_test);
  percent(f, v->int8_val);
  percent(f, v->int8_test);
  fprintf(f, " %10lld %6.1f %6.1f %8.2fx  %s\n", (long long)v->cycles, 100 * v->utilization, 100 * v->roof_fraction, v->speedup,
          v->rtl_agree < 0 ? "-" : v->rtl_agree ? "yes" : "NO");
  return ESPL_OK;
}

static espl_status print_event(void *user, double when, const char *kind, const char *text, const char *none, espl_err *err) {
  (void)when;
  (void)none;
  (void)err;
  if (strcmp(kind, ESPL_STUDY_IMPOSSIBLE) == 0) fprintf(user, "%s: %s\n", kind, text);
  return ESPL_OK;
}

static espl_status print_table(espl_cli *cli, espl_store *store, int64_t run, const espl_study *s) {
  FILE *f = espl_cli_out(cli);
  fprintf(f, "\n%s on machine %s, budget %.0f %% of the baseline's cycles\n", s->network, s->machine.name, 100 * s->budget);
  if (espl_path_exists(s->network)) fprintf(f, "imported network: it has probably been trained on the val images; test is the one to compare\n");
  if (s->int_epochs > 0) fprintf(f, "baseline: integers by calibration alone; " ESPL_STUDY_TUNED ": trained for its integers as every variant is\n");
  fprintf(f, "%-20s %13s %13s %10s %6s %6s %9s  %s\n", "", "float acc %", "int8 acc %", "", "util", "roof", "", "RTL");
  fprintf(f, "%-20s %6s %6s %6s %6s %10s %6s %6s %9s  %s\n", "variant", "val", "test", "val", "test", "cycles", "%", "%", "speed-up", "agrees");
  ESPL_TRY(espl_store_each_variant(store, run, print_row, f, &cli->err));
  return espl_store_each_event(store, run, print_event, f, &cli->err);
}

static espl_status json_row(void *user, const espl_store_variant *v, espl_err *err) {
  (void)err;
  espl_json *w = user;
  espl_json_object(w, NULL);
  espl_json_str(w, "name", v->name);
  espl_json_str(w, "kind", espl_variant_kind_name(v->kind));
  if (v->steered_by) espl_json_str(w, "steered_by", v->steered_by);
  const struct { const char *key; double v; } num[] = {{"float_val", v->float_val}, {"float_test", v->float_test}, {"int8_val", v->int8_val}, {"int8_test", v->int8_test},
                                                       {"utilization", v->utilization}, {"roof_fraction", v->roof_fraction}, {"speedup", v->speedup}};
  for (size_t i = 0; i < sizeof num / sizeof num[0]; i++)
    if (!isnan(num[i].v)) espl_json_num(w, num[i].key, num[i].v);
  espl_json_int(w, "cycles", v->cycles);
  espl_json_int(w, "macs", v->macs);
  espl_json_int(w, "params", v->params);
  if (v->rtl_agree >= 0) {
    espl_json_bool(w, "rtl_agree", v->rtl_agree);
    espl_json_int(w, "rtl_cycles", v->rtl_cycles);
  }
  espl_json_close(w);
  return ESPL_OK;
}

static espl_status as_json(espl_cli *cli, espl_store *store, int64_t run, const espl_study *s, const char *html) {
  espl_json *w = NULL;
  ESPL_TRY(espl_cli_json_begin(cli, &w));
  if (!w) return ESPL_OK;
  espl_json_object(w, NULL);
  espl_json_str(w, "study", s->name);
  espl_json_str(w, "network", s->network);
  espl_json_str(w, "machine", s->machine.name);
  espl_json_str(w, "report", html);
  espl_json_array(w, "variants");
  ESPL_TRY(espl_store_each_variant(store, run, json_row, w, &cli->err));
  espl_json_close(w);
  espl_json_close(w);
  return espl_cli_json_end(cli, w);
}

static espl_status show(espl_cli *cli, const espl_study *s, espl_store *store, int64_t run, const char *db, const char *report_dir) {
  espl_progress_clear(cli->progress);
  ESPL_TRY(print_table(cli, store, run, s));
  espl_report_result r;
  ESPL_TRY(espl_report_write(db, run, report_dir, &r, &cli->err));
  fprintf(espl_cli_out(cli), "\nreport: %s\n", r.html);
  return as_json(cli, store, run, s, r.html);
}

static espl_status count_smaller(void *user, const espl_store_variant *v, espl_err *err) {
  (void)err;
  *(int *)user += v->kind != ESPL_VARIANT_BASELINE;
  return ESPL_OK;
}

/* A study that asked for variants and got none has failed, although its table and report say why. */
static espl_status some_variant(espl_cli *cli, const espl_study *s, espl_store *store, int64_t run) {
  int n = 0;
  ESPL_TRY(espl_store_each_variant(store, run, count_smaller, &n, &cli->err));
  if (n > 0 || !(s->dense || s->block || s->kernel)) return ESPL_OK;
  return espl_fail(&cli->err, ESPL_E_FAILED, "no variant meets the budget of %.3g %% of the baseline's cycles", 100 * s->budget);
}

espl_status espl_cli_study(espl_cli *cli, const espl_study *s, const char *db) {
  char *dir = espl_path_join(s->out, "report");
  if (!dir) return espl_fail(&cli->err, ESPL_E_NOMEM, "out of memory");
  espl_store *store = NULL;
  int64_t run = -1;
  espl_status st = espl_study_run(s, db, cli->progress, &store, &run, &cli->err);
  if (st == ESPL_OK) st = show(cli, s, store, run, db, dir);
  if (st == ESPL_OK) st = some_variant(cli, s, store, run);
  espl_store_close(store);
  free(dir);
  return espl_cli_interrupted(cli, st, "what was finished is kept, the same command goes on from there");
}

char *espl_cli_command_line(int argc, char **argv) {
  size_t n = sizeof "espalier";
  for (int i = 0; i < argc; i++) n += strlen(argv[i]) + 1;
  char *s = malloc(n + 1);
  if (!s) return NULL;
  strcpy(s, "espalier");
  for (int i = 0; i < argc; i++) {
    strcat(s, " ");
    strcat(s, argv[i]);
  }
  return s;
}
