/* Runs, the cost cache, and the two logs. */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store_int.h"

static espl_status one_id(espl_store *s, const char *sql, const char *hash, int64_t *id, espl_err *err) {
  struct stmt st;
  int row = 0;
  ESPL_TRY(espli_stmt_open(s, sql, &st, err));
  espli_bind_text(&st, hash);
  espl_status r = espli_stmt_step(&st, &row, err);
  if (r == ESPL_OK) *id = row ? espli_col_int(&st) : -1;
  espli_stmt_close(&st);
  return r;
}

static espl_status insert_run(espl_store *s, const espl_store_run *run, int64_t *id, espl_err *err) {
  struct stmt st;
  ESPL_TRY(espli_stmt_open(s,
                           "INSERT INTO run(hash,name,command,network,data,machine,machine_json,seed,done,started)"
                           " VALUES(?,?,?,?,?,?,?,?,0,?)",
                           &st, err));
  espli_bind_text(&st, run->hash);
  espli_bind_text(&st, run->name);
  espli_bind_text(&st, run->command);
  espli_bind_text(&st, run->network);
  espli_bind_text(&st, run->data);
  espli_bind_text(&st, run->machine);
  espli_bind_text(&st, run->machine_json);
  espli_bind_int(&st, run->seed);
  espli_bind_num(&st, espl_wall_time());
  ESPL_TRY(espli_stmt_run(&st, err));
  *id = sqlite3_last_insert_rowid(s->db);
  return ESPL_OK;
}

espl_status espl_store_run_begin(espl_store *s, const espl_store_run *run, int64_t *run_id, int *resumed, espl_err *err) {
  int64_t id = -1;
  ESPL_TRY(one_id(s, "SELECT id FROM run WHERE hash=? AND done=0 ORDER BY id DESC LIMIT 1", run->hash, &id, err));
  int found = id >= 0;
  if (!found) ESPL_TRY(insert_run(s, run, &id, err));
  *run_id = id;
  if (resumed) *resumed = found;
  return ESPL_OK;
}

espl_status espl_store_run_done(espl_store *s, int64_t run_id, espl_err *err) {
  struct stmt st;
  ESPL_TRY(espli_stmt_open(s, "UPDATE run SET done=1, finished=? WHERE id=?", &st, err));
  espli_bind_num(&st, espl_wall_time());
  espli_bind_int(&st, run_id);
  ESPL_TRY(espli_stmt_run(&st, err));
  if (sqlite3_changes(s->db) != 1) return espl_fail(err, ESPL_E_BUG, "%s: there is no run %lld", s->path, (long long)run_id);
  return ESPL_OK;
}

espl_status espl_store_run_find_done(espl_store *s, const char *hash, int64_t *run_id, espl_err *err) {
  return one_id(s, "SELECT id FROM run WHERE hash=? AND done=1 ORDER BY id DESC LIMIT 1", hash, run_id, err);
}

espl_status espl_store_each_run(espl_store *s, espl_store_run_fn each, void *user, espl_err *err) {
  struct stmt st;
  int row = 0;
  ESPL_TRY(espli_stmt_open(s,
                           "SELECT id,hash,name,command,network,data,machine,machine_json,seed,done,started,finished"
                           " FROM run ORDER BY id DESC",
                           &st, err));
  espl_status r = espli_stmt_step(&st, &row, err);
  while (r == ESPL_OK && row) {
    espl_store_run v = {.id = espli_col_int(&st)};
    snprintf(v.hash, sizeof v.hash, "%s", espli_col_text(&st));
    v.name = espli_col_text(&st);
    v.command = espli_col_text(&st);
    v.network = espli_col_text(&st);
    v.data = espli_col_text(&st);
    v.machine = espli_col_text(&st);
    v.machine_json = espli_col_text(&st);
    v.seed = espli_col_int(&st);
    v.done = (int)espli_col_int(&st);
    v.started = espli_col_num(&st);
    v.finished = espli_col_num(&st);
    r = each(user, &v, err);
    if (r == ESPL_OK) r = espli_stmt_step(&st, &row, err);
  }
  espli_stmt_close(&st);
  return r;
}

espl_status espl_store_cost_put(espl_store *s, const char *key, const espl_store_cost *c, espl_err *err) {
  struct stmt st;
  ESPL_TRY(espli_stmt_open(s, "INSERT OR REPLACE INTO cost VALUES(?,?,?,?,?,?,?,?,?)", &st, err));
  espli_bind_text(&st, key);
  const int64_t v[] = {c->cycles, c->macs, c->busy_cycles, c->roof_cycles, c->read_bytes, c->write_bytes, c->tiles, c->tiles_skipped};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) espli_bind_count(&st, v[i]);
  return espli_stmt_run(&st, err);
}

espl_status espl_store_cost_get(espl_store *s, const char *key, espl_store_cost *c, int *found, espl_err *err) {
  struct stmt st;
  ESPL_TRY(espli_stmt_open(s,
                           "SELECT cycles,macs,busy_cycles,roof_cycles,read_bytes,write_bytes,tiles,tiles_skipped"
                           " FROM cost WHERE key=?",
                           &st, err));
  espli_bind_text(&st, key);
  espl_status r = espli_stmt_step(&st, found, err);
  if (r == ESPL_OK && *found) {
    int64_t *v[] = {&c->cycles, &c->macs, &c->busy_cycles, &c->roof_cycles, &c->read_bytes, &c->write_bytes, &c->tiles, &c->tiles_skipped};
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) *v[i] = espli_col_count(&st);
  }
  espli_stmt_close(&st);
  return r;
}

espl_status espl_store_opening(espl_store *s, int64_t run_id, const char *who, const char *network, const char *data, espl_err *err) {
  struct stmt st;
  ESPL_TRY(espli_stmt_open(s, "INSERT INTO opening(run,at,who,network,data) VALUES(?,?,?,?,?)", &st, err));
  espli_bind_count(&st, run_id);
  espli_bind_num(&st, espl_wall_time());
  espli_bind_text(&st, who);
  espli_bind_text(&st, network);
  espli_bind_text(&st, data);
  return espli_stmt_run(&st, err);
}

espl_status espl_store_event(espl_store *s, int64_t run_id, const char *kind, const char *text, espl_err *err) {
  struct stmt st;
  ESPL_TRY(espli_stmt_open(s, "INSERT INTO event(run,at,kind,text) VALUES(?,?,?,?)", &st, err));
  espli_bind_count(&st, run_id);
  espli_bind_num(&st, espl_wall_time());
  espli_bind_text(&st, kind);
  espli_bind_text(&st, text);
  return espli_stmt_run(&st, err);
}

static espl_status each_log(espl_store *s, const char *sql, int64_t run_id, espl_store_log_fn each, void *user, espl_err *err) {
  struct stmt st;
  int row = 0;
  ESPL_TRY(espli_stmt_open(s, sql, &st, err));
  espli_bind_int(&st, run_id);
  espl_status r = espli_stmt_step(&st, &row, err);
  while (r == ESPL_OK && row) {
    double when = espli_col_num(&st);
    const char *a = espli_col_text(&st), *b = espli_col_text(&st), *c = espli_col_text(&st);
    r = each(user, when, a, b, c, err);
    if (r == ESPL_OK) r = espli_stmt_step(&st, &row, err);
  }
  espli_stmt_close(&st);
  return r;
}

espl_status espl_store_each_opening(espl_store *s, int64_t run_id, espl_store_log_fn each, void *user, espl_err *err) {
  return each_log(s, "SELECT at,who,network,data FROM opening WHERE run=? ORDER BY id", run_id, each, user, err);
}

espl_status espl_store_each_event(espl_store *s, int64_t run_id, espl_store_log_fn each, void *user, espl_err *err) {
  return each_log(s, "SELECT at,kind,text,NULL FROM event WHERE run=? ORDER BY id", run_id, each, user, err);
}
