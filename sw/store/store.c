/* Opening, schema, transactions, and the statements' shared steps. */
#include "store/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "store/store_int.h"

#define APPLICATION_ID 0x4553504c /* "ESPL" in the database header */
#define BUSY_MS 10000

static const char schema[] =
    "CREATE TABLE run(id INTEGER PRIMARY KEY, hash TEXT NOT NULL, name TEXT, command TEXT, network TEXT, data TEXT,"
    " machine TEXT, machine_json TEXT, seed INTEGER, done INTEGER NOT NULL, started REAL, finished REAL);"
    "CREATE INDEX run_hash ON run(hash);"
    "CREATE TABLE variant(id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run(id), name TEXT NOT NULL, kind TEXT NOT NULL,"
    " parent TEXT, network_file TEXT, network_hash TEXT, config TEXT, steered_by TEXT, budget_cycles INTEGER,"
    " float_val REAL, float_test REAL, int8_val REAL, int8_test REAL, cycles INTEGER, macs INTEGER, macs_dense INTEGER,"
    " params INTEGER, utilization REAL, roof_fraction REAL, speedup REAL, overhead_cycles INTEGER, read_bytes INTEGER,"
    " write_bytes INTEGER, done INTEGER NOT NULL, rtl_agree INTEGER, rtl_cycles INTEGER, seconds REAL, note TEXT,"
    " UNIQUE(run, name));"
    "CREATE TABLE layer(variant INTEGER NOT NULL REFERENCES variant(id), idx INTEGER NOT NULL, name TEXT, op TEXT, shape TEXT,"
    " cycles INTEGER, macs INTEGER, macs_dense INTEGER, busy_cycles INTEGER, idle_cycles INTEGER, stalls TEXT,"
    " read_bytes INTEGER, write_bytes INTEGER, tiles INTEGER, tiles_skipped INTEGER, roof_cycles INTEGER,"
    " utilization REAL, roof_fraction REAL, PRIMARY KEY(variant, idx)) WITHOUT ROWID;"
    "CREATE TABLE cost(key TEXT PRIMARY KEY, cycles INTEGER, macs INTEGER, busy_cycles INTEGER, roof_cycles INTEGER,"
    " read_bytes INTEGER, write_bytes INTEGER, tiles INTEGER, tiles_skipped INTEGER) WITHOUT ROWID;"
    "CREATE TABLE opening(id INTEGER PRIMARY KEY, run INTEGER, at REAL, who TEXT, network TEXT, data TEXT);"
    "CREATE TABLE event(id INTEGER PRIMARY KEY, run INTEGER, at REAL, kind TEXT, text TEXT);";

espl_status espli_store_fail(espl_store *s, const char *what, espl_err *err) {
  int code = sqlite3_errcode(s->db);
  espl_status kind = code == SQLITE_NOMEM ? ESPL_E_NOMEM : code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? ESPL_E_INPUT : ESPL_E_IO;
  if (code == SQLITE_NOTADB) return espl_fail(err, kind, "%s: is not a results store (no SQLite database)", s->path);
  return espl_fail(err, kind, "%s: %s: %s", s->path, what, sqlite3_errmsg(s->db));
}

espl_status espli_store_exec(espl_store *s, const char *sql, espl_err *err) {
  if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK) return ESPL_OK;
  return espli_store_fail(s, "cannot write", err);
}

espl_status espli_stmt_open(espl_store *s, const char *sql, struct stmt *st, espl_err *err) {
  *st = (struct stmt){.s = s};
  if (sqlite3_prepare_v2(s->db, sql, -1, &st->q, NULL) == SQLITE_OK) return ESPL_OK;
  return espli_store_fail(s, "cannot prepare", err);
}

void espli_stmt_close(struct stmt *st) {
  sqlite3_finalize(st->q);
  st->q = NULL;
}

espl_status espli_stmt_step(struct stmt *st, int *row, espl_err *err) {
  int code = sqlite3_step(st->q);
  st->i = 0;
  *row = code == SQLITE_ROW;
  if (code == SQLITE_ROW || code == SQLITE_DONE) return ESPL_OK;
  return espli_store_fail(st->s, sqlite3_stmt_readonly(st->q) ? "cannot read" : "cannot write", err);
}

espl_status espli_stmt_run(struct stmt *st, espl_err *err) {
  int row = 1;
  espl_status s = ESPL_OK;
  while (s == ESPL_OK && row) s = espli_stmt_step(st, &row, err);
  espli_stmt_close(st);
  return s;
}

void espli_bind_text(struct stmt *st, const char *v) { sqlite3_bind_text(st->q, ++st->i, v, -1, SQLITE_STATIC); }
void espli_bind_int(struct stmt *st, int64_t v) { sqlite3_bind_int64(st->q, ++st->i, v); }
void espli_bind_num(struct stmt *st, double v) { sqlite3_bind_double(st->q, ++st->i, v); } /* SQLite stores NAN as NULL */

void espli_bind_count(struct stmt *st, int64_t v) {
  if (v < 0)
    sqlite3_bind_null(st->q, ++st->i);
  else
    espli_bind_int(st, v);
}

const char *espli_col_text(struct stmt *st) { return (const char *)sqlite3_column_text(st->q, st->i++); }
int64_t espli_col_int(struct stmt *st) { return sqlite3_column_int64(st->q, st->i++); }

static int is_null(struct stmt *st) { return sqlite3_column_type(st->q, st->i) == SQLITE_NULL; }

double espli_col_num(struct stmt *st) {
  double v = is_null(st) ? (double)NAN : sqlite3_column_double(st->q, st->i);
  st->i++;
  return v;
}

int64_t espli_col_count(struct stmt *st) {
  int64_t v = is_null(st) ? -1 : sqlite3_column_int64(st->q, st->i);
  st->i++;
  return v;
}

static espl_status pragma_int(espl_store *s, const char *sql, int64_t *v, espl_err *err) {
  struct stmt st;
  int row = 0;
  ESPL_TRY(espli_stmt_open(s, sql, &st, err));
  espl_status r = espli_stmt_step(&st, &row, err);
  if (r == ESPL_OK) *v = espli_col_int(&st);
  espli_stmt_close(&st);
  return r;
}

static espl_status create_schema(espl_store *s, espl_err *err) {
  char pragmas[96];
  snprintf(pragmas, sizeof pragmas, "PRAGMA application_id=%d; PRAGMA user_version=%d", APPLICATION_ID, ESPL_STORE_SCHEMA);
  ESPL_TRY(espli_store_exec(s, schema, err));
  return espli_store_exec(s, pragmas, err);
}

static espl_status foreign(espl_store *s, int64_t app, int64_t version, espl_err *err) {
  if (app != APPLICATION_ID)
    return espl_fail(err, ESPL_E_INPUT, "%s: is an SQLite database of another application, not a results store", s->path);
  return espl_fail(err, ESPL_E_INPUT, "%s: has store schema %lld, this version reads schema %d; use another file", s->path,
                   (long long)version, ESPL_STORE_SCHEMA);
}

/* A new file gets the schema inside one transaction: version and tables appear together or not at all. */
static espl_status check_schema(espl_store *s, espl_store_mode mode, espl_err *err) {
  int64_t app = 0, version = 0, tables = 0;
  ESPL_TRY(pragma_int(s, "PRAGMA application_id", &app, err));
  ESPL_TRY(pragma_int(s, "PRAGMA user_version", &version, err));
  if (app == APPLICATION_ID && version == ESPL_STORE_SCHEMA) return ESPL_OK;
  ESPL_TRY(pragma_int(s, "SELECT count(*) FROM sqlite_master", &tables, err));
  if (app || version || tables) return foreign(s, app, version, err);
  if (mode == ESPL_STORE_READ) return espl_fail(err, ESPL_E_INPUT, "%s: is empty, not a results store", s->path);
  return create_schema(s, err);
}

static espl_status prepare(espl_store *s, espl_store_mode mode, espl_err *err) {
  sqlite3_busy_timeout(s->db, BUSY_MS);
  if (mode == ESPL_STORE_READ) return check_schema(s, mode, err);
  ESPL_TRY(espli_store_exec(s, "BEGIN IMMEDIATE", err));
  espl_status r = check_schema(s, mode, err);
  if (r == ESPL_OK) r = espli_store_exec(s, "COMMIT", err);
  if (r != ESPL_OK) {
    espl_store_rollback(s);
    return r;
  }
  return espli_store_exec(s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON", err);
}

/* SQLite would answer a missing file or a folder with "unable to open database file" only. */
static espl_status must_be_file(const char *path, espl_err *err) {
  struct stat st;
  if (stat(path, &st) != 0) return espl_fail(err, ESPL_E_INPUT, "%s: no such results store", path);
  if (!S_ISREG(st.st_mode)) return espl_fail(err, ESPL_E_INPUT, "%s: is not a file, expected a results store", path);
  return ESPL_OK;
}

espl_status espl_store_open(const char *path, espl_store_mode mode, espl_store **out, espl_err *err) {
  struct stat st;
  if (mode == ESPL_STORE_READ || stat(path, &st) == 0) ESPL_TRY(must_be_file(path, err));
  espl_store *s = espl_calloc(1, sizeof *s);
  if (!s || !(s->path = espl_strdup(path))) {
    free(s);
    return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  }
  /* A reader opens for writing too: a log left by a killed writer must be recovered before it can be read.
   * SQLite falls back to read-only by itself when the file does not allow more. */
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (mode == ESPL_STORE_CREATE ? SQLITE_OPEN_CREATE : 0);
  espl_status r = ESPL_OK;
  if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK) r = espli_store_fail(s, "cannot open", err);
  if (r == ESPL_OK) r = prepare(s, mode, err);
  if (r != ESPL_OK) {
    espl_store_close(s);
    return r;
  }
  *out = s;
  return ESPL_OK;
}

void espl_store_close(espl_store *s) {
  if (!s) return;
  sqlite3_close(s->db);
  free(s->path);
  free(s);
}

espl_status espl_store_begin(espl_store *s, espl_err *err) { return espli_store_exec(s, "BEGIN IMMEDIATE", err); }
espl_status espl_store_commit(espl_store *s, espl_err *err) { return espli_store_exec(s, "COMMIT", err); }
void espl_store_rollback(espl_store *s) {
  if (!sqlite3_get_autocommit(s->db)) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}
