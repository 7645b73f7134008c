/* The fields of every command and configuration word, read from hw/spec/commands.tbl itself, so that a new field is known at once. */
#ifndef ESPL_COSIM_FIELDS_H
#define ESPL_COSIM_FIELDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

#define PG_FIELDS_MAX 160
#define PG_FIELD_NAME 48

typedef struct pg_field {
  char command[PG_FIELD_NAME], name[PG_FIELD_NAME];
  uint32_t head, head_mask; /* bits 15..0 that say this word has the field */
  unsigned lsb, width;
  bool is_signed;
  int64_t min, max;
} pg_field;

typedef struct pg_fields {
  int n;
  pg_field field[PG_FIELDS_MAX];
} pg_fields;

/* E_INPUT: not the table this code can read. */
espl_status pg_fields_load(pg_fields *f, espl_err *err) ESPL_MUST_CHECK;
static inline bool pg_field_of(const pg_field *f, const uint32_t w[4]) { return (w[0] & f->head_mask) == f->head; }
int64_t pg_field_get(const pg_field *f, const uint32_t w[4]);
void pg_field_put(const pg_field *f, uint32_t w[4], int64_t v);
/* One line: the command's name and its fields that are not 0, without the end of line. */
void pg_fields_print(const pg_fields *f, FILE *out, const uint32_t w[4]);

#endif
