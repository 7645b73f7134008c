/* The same run as CSV and JSON. Accuracies are fractions, unknown values are empty (CSV) or null (JSON). */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report/report_int.h"

/* RFC 4180: quotes around what holds a comma, a quote or a line break; quotes doubled. */
static void text(FILE *f, const char *s) {
  if (!s) return;
  if (!strpbrk(s, ",\"\r\n")) {
    fputs(s, f);
    return;
  }
  fputc('"', f);
  for (; *s; s++) {
    if (*s == '"') fputc('"', f);
    fputc(*s, f);
  }
  fputc('"', f);
}

static void num(FILE *f, double v) {
  if (!isnan(v)) fprintf(f, "%.9g", v);
}
static void count(FILE *f, int64_t v) {
  if (v >= 0) fprintf(f, "%" PRId64, v);
}

void espli_csv_variants(FILE *f, const struct espli_report *r) {
  fputs("name,kind,parent,steered_by,budget_cycles,float_val,float_test,int8_val,int8_test,cycles,speedup,utilization,roof_fraction,macs,macs_dense,"
        "params,read_bytes,write_bytes,overhead_cycles,rtl_agree,rtl_cycles,done,seconds,network_file,network_hash\r\n", f);
  for (size_t i = 0; i < r->n_variants; i++) {
    const espl_store_variant *v = &r->variant[i].d;
    const char *const words[] = {v->name, espl_variant_kind_name(v->kind), v->parent, v->steered_by};
    const double a[] = {v->float_val, v->float_test, v->int8_val, v->int8_test};
    const double b[] = {v->speedup, v->utilization, v->roof_fraction};
    const int64_t c[] = {v->macs, v->macs_dense, v->params, v->read_bytes, v->write_bytes, v->overhead_cycles, v->rtl_agree, v->rtl_cycles, v->done};
    for (size_t k = 0; k < 4; k++) text(f, words[k]), fputc(',', f);
    count(f, v->budget_cycles), fputc(',', f);
    for (size_t k = 0; k < 4; k++) num(f, a[k]), fputc(',', f);
    count(f, v->cycles), fputc(',', f);
    for (size_t k = 0; k < 3; k++) num(f, b[k]), fputc(',', f);
    for (size_t k = 0; k < 9; k++) count(f, c[k]), fputc(',', f);
    num(f, v->seconds), fputc(',', f);
    text(f, v->network_file), fputc(',', f);
    text(f, v->network_hash);
    fputs("\r\n", f);
  }
}

static void csv_layer(FILE *f, const struct espli_report *r, const struct espli_variant *v, const struct espli_layer *layer) {
  const espl_store_layer *l = &layer->d;
  const int64_t c[] = {l->cycles, l->macs, l->macs_dense, l->busy_cycles, l->idle_cycles, l->roof_cycles, l->read_bytes, l->write_bytes, l->tiles, l->tiles_skipped};
  text(f, v->d.name), fputc(',', f);
  fprintf(f, "%d,", l->index);
  text(f, l->name), fputc(',', f);
  text(f, l->op), fputc(',', f);
  text(f, l->shape), fputc(',', f);
  for (size_t k = 0; k < 10; k++) count(f, c[k]), fputc(',', f);
  num(f, l->utilization), fputc(',', f);
  num(f, l->roof_fraction);
  for (int k = 0; k < r->n_causes; k++) fputc(',', f), count(f, layer->stall[k]);
  fputs("\r\n", f);
}

void espli_csv_layers(FILE *f, const struct espli_report *r) {
  fputs("variant,index,layer,op,shape,cycles,macs,macs_dense,busy_cycles,idle_cycles,roof_cycles,read_bytes,write_bytes,tiles,tiles_skipped,utilization,roof_fraction", f);
  for (int k = 0; k < r->n_causes; k++) {
    char head[80];
    snprintf(head, sizeof head, "stall_%.60s", r->cause[k]);
    fputc(',', f);
    text(f, head);
  }
  fputs("\r\n", f);
  for (size_t i = 0; i < r->n_variants; i++)
    for (size_t k = 0; k < r->variant[i].n_layers; k++) csv_layer(f, r, &r->variant[i], &r->variant[i].layer[k]);
}

static void json_count(espl_json *w, const char *key, int64_t v) {
  if (v < 0)
    espl_json_null(w, key);
  else
    espl_json_int(w, key, v);
}

static void json_layer(espl_json *w, const struct espli_report *r, const struct espli_layer *layer) {
  const espl_store_layer *l = &layer->d;
  espl_json_object(w, NULL);
  espl_json_int(w, "index", l->index);
  espl_json_str(w, "name", l->name);
  espl_json_str(w, "op", l->op);
  espl_json_str(w, "shape", l->shape);
  json_count(w, "cycles", l->cycles);
  json_count(w, "macs", l->macs);
  json_count(w, "macs_dense", l->macs_dense);
  espl_json_num(w, "utilization", l->utilization);
  espl_json_num(w, "roof_fraction", l->roof_fraction);
  json_count(w, "roof_cycles", l->roof_cycles);
  json_count(w, "busy_cycles", l->busy_cycles);
  json_count(w, "idle_cycles", l->idle_cycles);
  espl_json_object(w, "stalls");
  for (int k = 0; k < r->n_causes; k++) espl_json_int(w, r->cause[k], layer->stall[k]);
  espl_json_close(w);
  json_count(w, "read_bytes", l->read_bytes);
  json_count(w, "write_bytes", l->write_bytes);
  json_count(w, "tiles", l->tiles);
  json_count(w, "tiles_skipped", l->tiles_skipped);
  espl_json_close(w);
}

static void json_variant(espl_json *w, const struct espli_report *r, const struct espli_variant *e) {
  const espl_store_variant *v = &e->d;
  espl_json_object(w, NULL);
  espl_json_str(w, "name", v->name);
  espl_json_str(w, "kind", espl_variant_kind_name(v->kind));
  espl_json_str(w, "parent", v->parent);
  espl_json_str(w, "steered_by", v->steered_by);
  json_count(w, "budget_cycles", v->budget_cycles);
  espl_json_bool(w, "done", v->done);
  espl_json_num(w, "float_val", v->float_val);
  espl_json_num(w, "float_test", v->float_test);
  espl_json_num(w, "int8_val", v->int8_val);
  espl_json_num(w, "int8_test", v->int8_test);
  json_count(w, "cycles", v->cycles);
  espl_json_num(w, "speedup", v->speedup);
  espl_json_num(w, "utilization", v->utilization);
  espl_json_num(w, "roof_fraction", v->roof_fraction);
  json_count(w, "macs", v->macs);
  json_count(w, "macs_dense", v->macs_dense);
  json_count(w, "params", v->params);
  json_count(w, "overhead_cycles", v->overhead_cycles);
  json_count(w, "read_bytes", v->read_bytes);
  json_count(w, "write_bytes", v->write_bytes);
  if (v->rtl_agree < 0)
    espl_json_null(w, "rtl_agree");
  else
    espl_json_bool(w, "rtl_agree", v->rtl_agree);
  json_count(w, "rtl_cycles", v->rtl_cycles);
  espl_json_num(w, "seconds", v->seconds);
  espl_json_str(w, "network_file", v->network_file);
  espl_json_str(w, "network_hash", v->network_hash);
  espl_json_str(w, "config", v->config_json);
  espl_json_str(w, "note", v->note);
  espl_json_array(w, "layers");
  for (size_t i = 0; i < e->n_layers; i++) json_layer(w, r, &e->layer[i]);
  espl_json_close(w);
  espl_json_close(w);
}

espl_status espli_json_write(FILE *f, const struct espli_report *r, espl_err *err) {
  espl_json *w = espl_json_to_file(f, 2);
  if (!w) return espl_json_finish(w, NULL, err);
  espl_json_object(w, NULL);
  espl_json_str(w, "name", r->run.name);
  espl_json_str(w, "command", r->run.command);
  espl_json_str(w, "network", r->run.network);
  espl_json_str(w, "data", r->run.data);
  espl_json_str(w, "machine_name", r->run.machine);
  if (r->machine)
    espl_json_raw(w, "machine", r->run.machine_json);
  else
    espl_json_null(w, "machine");
  espl_json_int(w, "seed", r->run.seed);
  espl_json_str(w, "hash", r->run.hash);
  espl_json_bool(w, "done", r->run.done);
  espl_json_str(w, "baseline", r->baseline >= 0 ? r->variant[r->baseline].d.name : NULL);
  espl_json_str(w, "accuracy_reference", r->reference >= 0 ? r->variant[r->reference].d.name : NULL);
  espl_json_str(w, "chosen", r->chosen >= 0 ? r->variant[r->chosen].d.name : NULL);
  espl_json_str(w, "chosen_by", r->chosen_by);
  espl_json_array(w, "variants");
  for (size_t i = 0; i < r->n_variants; i++) json_variant(w, r, &r->variant[i]);
  espl_json_close(w);
  espl_json_close(w);
  return espl_json_finish(w, NULL, err);
}
