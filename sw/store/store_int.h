/* What the store's files share for statements: bind and read with "unknown" mapped to NULL and back. */
#ifndef ESPL_STORE_STORE_INT_H
#define ESPL_STORE_STORE_INT_H

#include <sqlite3.h>

#include "store/store.h"

struct espl_store {
  sqlite3 *db;
  char *path;
};

/* One prepared statement in use. `i` counts bound parameters, then read columns. */
struct stmt {
  espl_store *s;
  sqlite3_stmt *q;
  int i;
};

/* E_IO for a full or failing disk, a busy or read-only file; E_INPUT for what is no database. */
espl_status espli_store_fail(espl_store *s, const char *what, espl_err *err);
espl_status espli_store_exec(espl_store *s, const char *sql, espl_err *err) ESPL_MUST_CHECK;
espl_status espli_stmt_open(espl_store *s, const char *sql, struct stmt *st, espl_err *err) ESPL_MUST_CHECK;
/* *row = 1 when a row is there; 0 at the end. */
espl_status espli_stmt_step(struct stmt *st, int *row, espl_err *err) ESPL_MUST_CHECK;
/* Steps to the end and closes. */
espl_status espli_stmt_run(struct stmt *st, espl_err *err) ESPL_MUST_CHECK;
void espli_stmt_close(struct stmt *st);

void espli_bind_text(struct stmt *st, const char *v);   /* NULL -> NULL */
void espli_bind_num(struct stmt *st, double v);         /* NAN -> NULL */
void espli_bind_count(struct stmt *st, int64_t v);      /* negative -> NULL */
void espli_bind_int(struct stmt *st, int64_t v);        /* as it is */
const char *espli_col_text(struct stmt *st);            /* valid until the next step */
double espli_col_num(struct stmt *st);
int64_t espli_col_count(struct stmt *st);               /* NULL -> -1 */
int64_t espli_col_int(struct stmt *st);                 /* NULL -> 0 */

#endif
