/* Variants and their layers. Column lists and bind order stand next to each other; a test reads every field back. */
#include "store/store.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/store_int.h"

static const char *const kind_names[ESPL_VARIANT_KIND_COUNT] = {"baseline", "dense", "block", "kernel", "mixed"};

const char *espl_variant_kind_name(espl_variant_kind k) {
  return (unsigned)k < ESPL_VARIANT_KIND_COUNT ? kind_names[k] : "unknown";
}

static espl_variant_kind kind_of(const char *name) {
  int k = 0;
  while (k < ESPL_VARIANT_KIND_COUNT - 1 && strcmp(kind_names[k], name) != 0) k++;
  return (espl_variant_kind)k;
}

void espl_store_variant_init(espl_store_variant *v) {
  double none = (double)NAN;
  *v = (espl_store_variant){.id = -1, .budget_cycles = -1, .float_val = none, .float_test = none, .int8_val = none, .int8_test = none,
                            .cycles = -1, .macs = -1, .macs_dense = -1, .params = -1, .utilization = none, .roof_fraction = none,
                            .speedup = none, .overhead_cycles = -1, .read_bytes = -1, .write_bytes = -1, .rtl_agree = -1,
                            .rtl_cycles = -1, .seconds = none};
}

void espl_store_layer_init(espl_store_layer *l) {
  *l = (espl_store_layer){.cycles = -1, .macs = -1, .macs_dense = -1, .busy_cycles = -1, .idle_cycles = -1, .read_bytes = -1,
                          .write_bytes = -1, .tiles = -1, .tiles_skipped = -1, .roof_cycles = -1, .utilization = (double)NAN,
                          .roof_fraction = (double)NAN};
}

static void release(const char *s) { free((void *)(uintptr_t)s); }

void espl_store_variant_clear(espl_store_variant *v) {
  release(v->name);
  release(v->parent);
  release(v->network_file);
  release(v->network_hash);
  release(v->config_json);
  release(v->steered_by);
  release(v->note);
  espl_store_variant_init(v);
}

#define VARIANT_COLUMNS                                                                                                    \
  "name,kind,parent,network_file,network_hash,config,steered_by,note,budget_cycles,float_val,float_test,int8_val,int8_test," \
  "cycles,macs,macs_dense,params,utilization,roof_fraction,speedup,overhead_cycles,read_bytes,write_bytes,done,rtl_agree,"   \
  "rtl_cycles,seconds"

static void bind_variant(struct stmt *st, const espl_store_variant *v) {
  espli_bind_text(st, v->name);
  espli_bind_text(st, espl_variant_kind_name(v->kind));
  espli_bind_text(st, v->parent);
  espli_bind_text(st, v->network_file);
  espli_bind_text(st, v->network_hash);
  espli_bind_text(st, v->config_json);
  espli_bind_text(st, v->steered_by);
  espli_bind_text(st, v->note);
  espli_bind_count(st, v->budget_cycles);
  espli_bind_num(st, v->float_val);
  espli_bind_num(st, v->float_test);
  espli_bind_num(st, v->int8_val);
  espli_bind_num(st, v->int8_test);
  espli_bind_count(st, v->cycles);
  espli_bind_count(st, v->macs);
  espli_bind_count(st, v->macs_dense);
  espli_bind_count(st, v->params);
  espli_bind_num(st, v->utilization);
  espli_bind_num(st, v->roof_fraction);
  espli_bind_num(st, v->speedup);
  espli_bind_count(st, v->overhead_cycles);
  espli_bind_count(st, v->read_bytes);
  espli_bind_count(st, v->write_bytes);
  espli_bind_int(st, v->done != 0);
  espli_bind_count(st, v->rtl_agree);
  espli_bind_count(st, v->rtl_cycles);
  espli_bind_num(st, v->seconds);
}

/* Text columns point into the statement: valid until its next step. */
static void read_variant(struct stmt *st, espl_store_variant *v) {
  espl_store_variant_init(v);
  v->id = espli_col_int(st);
  v->name = espli_col_text(st);
  v->kind = kind_of(espli_col_text(st));
  v->parent = espli_col_text(st);
  v->network_file = espli_col_text(st);
  v->network_hash = espli_col_text(st);
  v->config_json = espli_col_text(st);
  v->steered_by = espli_col_text(st);
  v->note = espli_col_text(st);
  v->budget_cycles = espli_col_count(st);
  v->float_val = espli_col_num(st);
  v->float_test = espli_col_num(st);
  v->int8_val = espli_col_num(st);
  v->int8_test = espli_col_num(st);
  v->cycles = espli_col_count(st);
  v->macs = espli_col_count(st);
  v->macs_dense = espli_col_count(st);
  v->params = espli_col_count(st);
  v->utilization = espli_col_num(st);
  v->roof_fraction = espli_col_num(st);
  v->speedup = espli_col_num(st);
  v->overhead_cycles = espli_col_count(st);
  v->read_bytes = espli_col_count(st);
  v->write_bytes = espli_col_count(st);
  v->done = (int)espli_col_int(st);
  v->rtl_agree = (int)espli_col_count(st);
  v->rtl_cycles = espli_col_count(st);
  v->seconds = espli_col_num(st);
}

espl_status espl_store_variant_put(espl_store *s, int64_t run_id, const espl_store_variant *v, int64_t *variant_id, espl_err *err) {
  struct stmt st;
  int row = 0;
  if (!v->name || !*v->name) return espl_fail(err, ESPL_E_BUG, "%s: a variant needs a name", s->path);
  /* The upsert keeps the row's id, so layers stay attached. */
  ESPL_TRY(espli_stmt_open(s,
                           "INSERT INTO variant(" VARIANT_COLUMNS ",run) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
                           " ON CONFLICT(run,name) DO UPDATE SET (" VARIANT_COLUMNS ")=(excluded.name,excluded.kind,excluded.parent,"
                           "excluded.network_file,excluded.network_hash,excluded.config,excluded.steered_by,excluded.note,"
                           "excluded.budget_cycles,excluded.float_val,excluded.float_test,excluded.int8_val,excluded.int8_test,"
                           "excluded.cycles,excluded.macs,excluded.macs_dense,excluded.params,excluded.utilization,"
                           "excluded.roof_fraction,excluded.speedup,excluded.overhead_cycles,excluded.read_bytes,excluded.write_bytes,"
                           "excluded.done,excluded.rtl_agree,excluded.rtl_cycles,excluded.seconds) RETURNING id",
                           &st, err));
  bind_variant(&st, v);
  espli_bind_int(&st, run_id);
  espl_status r = espli_stmt_step(&st, &row, err);
  int64_t id = r == ESPL_OK && row ? espli_col_int(&st) : -1;
  if (r != ESPL_OK) {
    espli_stmt_close(&st);
    return r;
  }
  ESPL_TRY(espli_stmt_run(&st, err));
  if (variant_id) *variant_id = id;
  return ESPL_OK;
}

static espl_status own(const char **field, espl_err *err) {
  if (!*field) return ESPL_OK;
  *field = espl_strdup(*field);
  return *field ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "no memory for a variant's text");
}

static espl_status copy_variant(const espl_store_variant *from, espl_store_variant *v, espl_err *err) {
  *v = *from;
  const char **fields[] = {&v->name, &v->parent, &v->network_file, &v->network_hash, &v->config_json, &v->steered_by, &v->note};
  espl_status r = ESPL_OK;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (r == ESPL_OK)
      r = own(fields[i], err);
    else
      *fields[i] = NULL;
  }
  if (r != ESPL_OK) espl_store_variant_clear(v);
  return r;
}

espl_status espl_store_variant_get(espl_store *s, int64_t run_id, const char *name, espl_store_variant *v, int *found, espl_err *err) {
  struct stmt st;
  espl_store_variant seen;
  espl_store_variant_init(v);
  ESPL_TRY(espli_stmt_open(s, "SELECT id," VARIANT_COLUMNS " FROM variant WHERE run=? AND name=?", &st, err));
  espli_bind_int(&st, run_id);
  espli_bind_text(&st, name);
  espl_status r = espli_stmt_step(&st, found, err);
  if (r == ESPL_OK && *found) {
    read_variant(&st, &seen);
    r = copy_variant(&seen, v, err);
  }
  espli_stmt_close(&st);
  return r;
}

espl_status espl_store_each_variant(espl_store *s, int64_t run_id, espl_store_variant_fn each, void *user, espl_err *err) {
  struct stmt st;
  int row = 0;
  ESPL_TRY(espli_stmt_open(s, "SELECT id," VARIANT_COLUMNS " FROM variant WHERE run=? ORDER BY id", &st, err));
  espli_bind_int(&st, run_id);
  espl_status r = espli_stmt_step(&st, &row, err);
  while (r == ESPL_OK && row) {
    espl_store_variant v;
    read_variant(&st, &v);
    r = each(user, &v, err);
    if (r == ESPL_OK) r = espli_stmt_step(&st, &row, err);
  }
  espli_stmt_close(&st);
  return r;
}

static espl_status insert_layer(espl_store *s, int64_t variant_id, const espl_store_layer *l, espl_err *err) {
  struct stmt st;
  ESPL_TRY(espli_stmt_open(s, "INSERT INTO layer VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", &st, err));
  espli_bind_int(&st, variant_id);
  espli_bind_int(&st, l->index);
  espli_bind_text(&st, l->name);
  espli_bind_text(&st, l->op);
  espli_bind_text(&st, l->shape);
  espli_bind_count(&st, l->cycles);
  espli_bind_count(&st, l->macs);
  espli_bind_count(&st, l->macs_dense);
  espli_bind_count(&st, l->busy_cycles);
  espli_bind_count(&st, l->idle_cycles);
  espli_bind_text(&st, l->stalls_json);
  espli_bind_count(&st, l->read_bytes);
  espli_bind_count(&st, l->write_bytes);
  espli_bind_count(&st, l->tiles);
  espli_bind_count(&st, l->tiles_skipped);
  espli_bind_count(&st, l->roof_cycles);
  espli_bind_num(&st, l->utilization);
  espli_bind_num(&st, l->roof_fraction);
  return espli_stmt_run(&st, err);
}

static void read_layer(struct stmt *st, espl_store_layer *l) {
  l->index = (int32_t)espli_col_int(st);
  l->name = espli_col_text(st);
  l->op = espli_col_text(st);
  l->shape = espli_col_text(st);
  l->cycles = espli_col_count(st);
  l->macs = espli_col_count(st);
  l->macs_dense = espli_col_count(st);
  l->busy_cycles = espli_col_count(st);
  l->idle_cycles = espli_col_count(st);
  l->stalls_json = espli_col_text(st);
  l->read_bytes = espli_col_count(st);
  l->write_bytes = espli_col_count(st);
  l->tiles = espli_col_count(st);
  l->tiles_skipped = espli_col_count(st);
  l->roof_cycles = espli_col_count(st);
  l->utilization = espli_col_num(st);
  l->roof_fraction = espli_col_num(st);
}

static espl_status replace_layers(espl_store *s, int64_t variant_id, const espl_store_layer *layers, size_t n, espl_err *err) {
  struct stmt st;
  ESPL_TRY(espli_stmt_open(s, "DELETE FROM layer WHERE variant=?", &st, err));
  espli_bind_int(&st, variant_id);
  ESPL_TRY(espli_stmt_run(&st, err));
  for (size_t i = 0; i < n; i++) ESPL_TRY(insert_layer(s, variant_id, &layers[i], err));
  return ESPL_OK;
}

/* A savepoint is a transaction of its own when none is open, and part of the caller's when one is. */
espl_status espl_store_layers_put(espl_store *s, int64_t variant_id, const espl_store_layer *layers, size_t n, espl_err *err) {
  ESPL_TRY(espli_store_exec(s, "SAVEPOINT layers", err));
  espl_status r = replace_layers(s, variant_id, layers, n, err);
  if (r == ESPL_OK) return espli_store_exec(s, "RELEASE layers", err);
  sqlite3_exec(s->db, "ROLLBACK TO layers; RELEASE layers", NULL, NULL, NULL);
  return r;
}

espl_status espl_store_each_layer(espl_store *s, int64_t variant_id, espl_store_layer_fn each, void *user, espl_err *err) {
  struct stmt st;
  int row = 0;
  ESPL_TRY(espli_stmt_open(s,
                           "SELECT idx,name,op,shape,cycles,macs,macs_dense,busy_cycles,idle_cycles,stalls,read_bytes,write_bytes,"
                           "tiles,tiles_skipped,roof_cycles,utilization,roof_fraction FROM layer WHERE variant=? ORDER BY idx",
                           &st, err));
  espli_bind_int(&st, variant_id);
  espl_status r = espli_stmt_step(&st, &row, err);
  while (r == ESPL_OK && row) {
    espl_store_layer l;
    read_layer(&st, &l);
    r = each(user, &l, err);
    if (r == ESPL_OK) r = espli_stmt_step(&st, &row, err);
  }
  espli_stmt_close(&st);
  return r;
}
