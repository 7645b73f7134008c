/* Configuration files: a YAML document tree in which every node knows its file, line and column.
 *
 * Reading follows one pattern: load, name the known keys, take the values.
 *   ESPL_TRY(espl_yaml_load(path, &doc, err));
 *   const espl_yaml_node *m = espl_yaml_root(doc);
 *   static const char *const keys[] = {"rows", "cols", NULL};
 *   ESPL_TRY(espl_yaml_known_keys(m, keys, err));
 *   ESPL_TRY(espl_yaml_get_int(m, "rows", ESPL_REQUIRED, 2, 256, &rows, err));
 *
 * Laws
 *   1. Every message begins with "file:line:column: " (both counted from 1).
 *   2. A key that occurs twice in one map, an alias, a second document and nesting deeper than 64 are refused.
 *   3. Nodes belong to the document and live until espl_yaml_free.
 *   4. All refusals are E_INPUT, except E_IO / E_NOMEM. On error `*out` is unchanged. */
#ifndef ESPL_BASE_YAML_H
#define ESPL_BASE_YAML_H

#include <stdint.h>
#include <stddef.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct espl_yaml espl_yaml;
typedef struct espl_yaml_node espl_yaml_node;
typedef enum espl_yaml_kind { ESPL_YAML_SCALAR, ESPL_YAML_LIST, ESPL_YAML_MAP } espl_yaml_kind;
typedef enum espl_need { ESPL_OPTIONAL, ESPL_REQUIRED } espl_need;

#define ESPL_YAML_MAX_BYTES (4u * 1024u * 1024u)

espl_status espl_yaml_load(const char *path, espl_yaml **out, espl_err *err) ESPL_MUST_CHECK;
/* name: what messages call the text. text[n] is not kept. */
espl_status espl_yaml_parse(const char *name, const char *text, size_t n, espl_yaml **out, espl_err *err) ESPL_MUST_CHECK;
void espl_yaml_free(espl_yaml *doc); /* NULL is allowed */

const espl_yaml_node *espl_yaml_root(const espl_yaml *doc); /* an empty file is an empty map */
espl_yaml_kind espl_yaml_node_kind(const espl_yaml_node *n);

/* Entries of a map or list (0 for a scalar), in file order; i < count. Key is NULL in a list. */
size_t espl_yaml_count(const espl_yaml_node *n);
const espl_yaml_node *espl_yaml_at(const espl_yaml_node *n, size_t i);
const char *espl_yaml_key_at(const espl_yaml_node *n, size_t i);
/* Value of `key`, NULL when `map` is no map or has no such key. */
const espl_yaml_node *espl_yaml_find(const espl_yaml_node *map, const char *key);

/* Refuses a non-map, and any key that is not in keys (NULL-terminated), naming the nearest one. */
espl_status espl_yaml_known_keys(const espl_yaml_node *map, const char *const *keys, espl_err *err) ESPL_MUST_CHECK;

/* Reports a caller's own objection at a node: E_INPUT "file:line:column: ...". */
espl_status espl_yaml_fail(const espl_yaml_node *n, espl_err *err, const char *fmt, ...) ESPL_PRINTF(3, 4);

/* The node itself as a value. Integers: decimal or 0x, in [min, max]; floats: finite, in [min, max];
 * bool: true/false/yes/no/on/off; string: any scalar, valid as long as the document. */
espl_status espl_yaml_as_int(const espl_yaml_node *n, int64_t min, int64_t max, int64_t *out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_yaml_as_float(const espl_yaml_node *n, double min, double max, double *out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_yaml_as_bool(const espl_yaml_node *n, int *out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_yaml_as_string(const espl_yaml_node *n, const char **out, espl_err *err) ESPL_MUST_CHECK;

/* The value of `key`. OPTIONAL and absent: `*out` keeps the default that the caller put there. */
espl_status espl_yaml_get_int(const espl_yaml_node *map, const char *key, espl_need need, int64_t min, int64_t max, int64_t *out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_yaml_get_i32(const espl_yaml_node *map, const char *key, espl_need need, int32_t min, int32_t max, int32_t *out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_yaml_get_float(const espl_yaml_node *map, const char *key, espl_need need, double min, double max, double *out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_yaml_get_bool(const espl_yaml_node *map, const char *key, espl_need need, int *out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_yaml_get_string(const espl_yaml_node *map, const char *key, espl_need need, const char **out, espl_err *err) ESPL_MUST_CHECK;
/* One of words (NULL-terminated); *out is the index. The nearest word is named on refusal. */
espl_status espl_yaml_get_choice(const espl_yaml_node *map, const char *key, espl_need need, const char *const *words, int *out, espl_err *err) ESPL_MUST_CHECK;
/* A list / a map; absent and OPTIONAL: *out = NULL. */
espl_status espl_yaml_get_list(const espl_yaml_node *map, const char *key, espl_need need, const espl_yaml_node **out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_yaml_get_map(const espl_yaml_node *map, const char *key, espl_need need, const espl_yaml_node **out, espl_err *err) ESPL_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
