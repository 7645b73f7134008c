/* espalier report: one store in, one folder with the page and its data out. */
#include "cli/commands.h"
#include "cli/options.h"
#include "report/report.h"

static espl_status as_json(espl_cli *cli, const espl_report_result *r, const char *out) {
  espl_json *w = NULL;
  ESPL_TRY(espl_cli_json_begin(cli, &w));
  if (!w) return ESPL_OK;
  espl_json_object(w, NULL);
  espl_json_str(w, "html", r->html);
  espl_json_str(w, "folder", out);
  espl_json_int(w, "variants", r->variants);
  espl_json_int(w, "layers", r->layers);
  espl_json_bool(w, "plots", r->plots);
  espl_json_close(w);
  return espl_cli_json_end(cli, w);
}

espl_status espl_cmd_report(espl_cli *cli, int argc, char **argv) {
  const char *out = NULL, *db[1];
  int64_t run = -1;
  int n_args = 0;
  const espl_opt opts[] = {
      {.name = "out", .letter = 'o', .type = ESPL_OPT_STRING, .arg = "DIR", .value = &out, .required = 1, .help = "folder to write, made when absent"},
      {.name = "run", .type = ESPL_OPT_INT, .arg = "ID", .value = &run, .min = 1, .max = 9007199254740992.0, .help = "a run of the store (default: the newest with results)"},
  };
  const espl_opt_spec spec = {.usage = "DB -o DIR",
                              .summary = "Writes DIR/index.html (self-contained), report.json, variants.csv and layers.csv.",
                              .options = opts, .n_options = 2, .min_args = 1, .max_args = 1};
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, db, &n_args));
  if (cli->help) return ESPL_OK;
  espl_report_result r;
  ESPL_TRY(espl_report_write(db[0], run, out, &r, &cli->err));
  fprintf(espl_cli_out(cli), "%s: %d variants, %d layers%s\n", r.html, r.variants, r.layers, r.plots ? "" : "; gnuplot is absent, so there are no plots");
  return as_json(cli, &r, out);
}
