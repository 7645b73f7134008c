/* JSON out (streaming) and in (bounded tree).
 *
 * Writer laws
 *   1. The first failure is kept and every later call does nothing; espl_json_finish reports it.
 *   2. `key` is NULL inside an array and at the top, a string inside an object; anything else is E_BUG.
 *   3. Text is written as UTF-8 with control characters, quote and backslash escaped; bytes that are not
 *      UTF-8 become U+FFFD. Floats print the shortest of 15..17 digits that reads back equal; NaN and
 *      infinities are written as null. The decimal point is '.' whatever the locale.
 * Reader laws
 *   1. RFC 8259 and nothing more: no comments, no trailing comma, one value. Nesting at most 64.
 *   2. Messages begin with "name:line:column: ". Duplicate keys are refused. All refusals are E_INPUT. */
#ifndef ESPL_BASE_JSON_H
#define ESPL_BASE_JSON_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ESPL_JSON_MAX_DEPTH 64

typedef struct espl_json espl_json;

espl_json *espl_json_to_file(FILE *f, int indent); /* f is borrowed; indent 0 = one line; NULL: out of memory */
espl_json *espl_json_to_buffer(int indent);
void espl_json_object(espl_json *w, const char *key);
void espl_json_array(espl_json *w, const char *key);
void espl_json_close(espl_json *w); /* the innermost object or array */
void espl_json_str(espl_json *w, const char *key, const char *s); /* NULL is written as null */
void espl_json_int(espl_json *w, const char *key, int64_t v);
void espl_json_uint(espl_json *w, const char *key, uint64_t v);
void espl_json_num(espl_json *w, const char *key, double v);
void espl_json_bool(espl_json *w, const char *key, int v);
void espl_json_null(espl_json *w, const char *key);
void espl_json_raw(espl_json *w, const char *key, const char *json); /* json: one valid value, not checked */
/* Ends the text with a newline (indent > 0), frees w. text: NULL for a file writer; else the buffer, free() it.
 * E_IO when the file refused a write, E_BUG when calls were unbalanced. w may be NULL (E_NOMEM). */
espl_status espl_json_finish(espl_json *w, char **text, espl_err *err) ESPL_MUST_CHECK;

typedef struct espl_json_doc espl_json_doc;
typedef struct espl_json_value espl_json_value;
typedef enum espl_json_kind {
  ESPL_JSON_NULL, ESPL_JSON_BOOL, ESPL_JSON_NUMBER, ESPL_JSON_STRING, ESPL_JSON_ARRAY, ESPL_JSON_OBJECT
} espl_json_kind;

espl_status espl_json_parse(const char *name, const char *text, size_t n, espl_json_doc **out, espl_err *err) ESPL_MUST_CHECK;
void espl_json_doc_free(espl_json_doc *d); /* NULL is allowed; values live until then */
const espl_json_value *espl_json_root(const espl_json_doc *d);
espl_json_kind espl_json_value_kind(const espl_json_value *v);
size_t espl_json_count(const espl_json_value *v); /* members of an array or object, else 0 */
const espl_json_value *espl_json_at(const espl_json_value *v, size_t i);   /* NULL past the end */
const char *espl_json_key_at(const espl_json_value *v, size_t i);          /* NULL when not an object */
const espl_json_value *espl_json_find(const espl_json_value *v, const char *key); /* NULL when absent */
double espl_json_number(const espl_json_value *v, double otherwise);       /* `otherwise` when v is NULL or no number */
int64_t espl_json_integer(const espl_json_value *v, int64_t otherwise);    /* also when not an exact integer */
const char *espl_json_string(const espl_json_value *v, const char *otherwise);

#ifdef __cplusplus
}
#endif
#endif
