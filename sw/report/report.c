/* Store in, four files out. Everything is collected before the folder is made, so a refusal writes nothing. */
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fsio.h"
#include "report/report_int.h"

struct output {
  const struct espli_report *r;
  const struct espli_plots *p;
};

static espl_status html(FILE *f, const struct output *o, espl_err *err) {
  (void)err;
  espli_html_write(f, o->r, o->p);
  return ESPL_OK;
}
static espl_status variants(FILE *f, const struct output *o, espl_err *err) {
  (void)err;
  espli_csv_variants(f, o->r);
  return ESPL_OK;
}
static espl_status layers(FILE *f, const struct output *o, espl_err *err) {
  (void)err;
  espli_csv_layers(f, o->r);
  return ESPL_OK;
}
static espl_status json(FILE *f, const struct output *o, espl_err *err) { return espli_json_write(f, o->r, err); }

static const struct {
  const char *name;
  espl_status (*write)(FILE *f, const struct output *o, espl_err *err);
} files[] = {{"variants.csv", variants}, {"layers.csv", layers}, {"report.json", json}, {"index.html", html}};

static espl_status write_one(const char *dir, size_t i, const struct output *o, espl_err *err) {
  espl_outfile *f = NULL;
  char *path = espl_path_join(dir, files[i].name);
  if (!path) return espl_fail(err, ESPL_E_NOMEM, "out of memory");
  espl_status s = espl_outfile_open(path, &f, err);
  free(path);
  if (s != ESPL_OK) return s;
  s = files[i].write(espl_outfile_stream(f), o, err);
  if (s == ESPL_OK || ferror(espl_outfile_stream(f))) return espl_outfile_commit(f, err); /* which fails after a write that failed, and says why */
  espl_outfile_abandon(f);
  return s;
}

static espl_status write_all(const char *dir, const struct output *o, espl_err *err) {
  ESPL_TRY(espl_mkdirs(dir, err));
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) ESPL_TRY(write_one(dir, i, o, err));
  return ESPL_OK;
}

static espl_status with_run(const struct espli_report *r, const char *dir, espl_report_result *result, espl_err *err) {
  struct espli_plots p;
  espl_status s = espli_plots_make(r, &p, err);
  if (s == ESPL_OK) s = write_all(dir, &(struct output){r, &p}, err);
  *result = (espl_report_result){.variants = (int)r->n_variants, .plots = p.present};
  for (size_t i = 0; i < r->n_variants; i++) result->layers += (int)r->variant[i].n_layers;
  snprintf(result->html, sizeof result->html, "%s/index.html", dir);
  espli_plots_release(&p);
  return s;
}

espl_status espl_report_write(const char *db, int64_t run_id, const char *out_dir, espl_report_result *result, espl_err *err) {
  espl_store *store = NULL;
  struct espli_report r;
  *result = (espl_report_result){0};
  ESPL_TRY(espl_store_open(db, ESPL_STORE_READ, &store, err));
  espl_status s = espli_report_collect(store, run_id, &r, err);
  espl_store_close(store);
  if (s != ESPL_OK) espl_fail_context(err, "%s", db);
  if (s == ESPL_OK) s = with_run(&r, out_dir, result, err);
  espli_report_release(&r);
  return s;
}
