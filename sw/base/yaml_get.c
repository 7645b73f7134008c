/* Typed values out of a YAML tree, with messages that say where, what was found and what was expected. */
#include "base/yaml.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/yaml_int.h"

espl_yaml_kind espl_yaml_node_kind(const espl_yaml_node *n) { return n->kind; }
size_t espl_yaml_count(const espl_yaml_node *n) { return n->count; }
const espl_yaml_node *espl_yaml_at(const espl_yaml_node *n, size_t i) { return i < n->count ? n->values[i] : NULL; }
const char *espl_yaml_key_at(const espl_yaml_node *n, size_t i) { return n->keys && i < n->count ? n->keys[i]->text : NULL; }

const espl_yaml_node *espl_yaml_find(const espl_yaml_node *map, const char *key) {
  if (map->kind != ESPL_YAML_MAP) return NULL;
  for (size_t i = 0; i < map->count; i++)
    if (strcmp(map->keys[i]->text, key) == 0) return map->values[i];
  return NULL;
}

espl_status espl_yaml_fail(const espl_yaml_node *n, espl_err *err, const char *fmt, ...) {
  char text[ESPL_ERR_MSG_BYTES];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return espl_fail(err, ESPL_E_INPUT, "%s:%d:%d: %s", n->file, n->line, n->column, text);
}

static const char *kind_text(const espl_yaml_node *n) {
  if (n->kind == ESPL_YAML_MAP) return "a map";
  if (n->kind == ESPL_YAML_LIST) return "a list";
  return n->text[0] ? n->text : "nothing";
}

static espl_status want(const espl_yaml_node *n, espl_yaml_kind kind, const char *what, espl_err *err) {
  if (n->kind == kind) return ESPL_OK;
  return espl_yaml_fail(n, err, "found %s, expected %s", kind_text(n), what);
}

espl_status espl_yaml_known_keys(const espl_yaml_node *map, const char *const *keys, espl_err *err) {
  ESPL_TRY(want(map, ESPL_YAML_MAP, "a map of keys", err));
  size_t n = 0;
  while (keys[n]) n++;
  for (size_t i = 0; i < map->count; i++) {
    size_t k = 0;
    while (k < n && strcmp(keys[k], map->keys[i]->text) != 0) k++;
    if (k < n) continue;
    const char *near = espl_nearest(map->keys[i]->text, keys, n);
    return espl_yaml_fail(map->keys[i], err, "unknown key '%s'; the nearest known key is '%s'", map->keys[i]->text, near ? near : "none");
  }
  return ESPL_OK;
}

espl_status espl_yaml_as_int(const espl_yaml_node *n, int64_t min, int64_t max, int64_t *out, espl_err *err) {
  ESPL_TRY(want(n, ESPL_YAML_SCALAR, "an integer", err));
  const char *digits = n->text + (n->text[0] == '-' || n->text[0] == '+');
  int base = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') ? 16 : 10;
  char *end = NULL;
  errno = 0;
  long long v = strtoll(n->text, &end, base);
  if (n->quoted || digits[0] < '0' || digits[0] > '9' || *end) return espl_yaml_fail(n, err, "found '%s', expected an integer", n->text);
  if (errno || v < min || v > max)
    return espl_yaml_fail(n, err, "%s is out of range, expected %" PRId64 " to %" PRId64, n->text, min, max);
  *out = v;
  return ESPL_OK;
}

espl_status espl_yaml_as_float(const espl_yaml_node *n, double min, double max, double *out, espl_err *err) {
  ESPL_TRY(want(n, ESPL_YAML_SCALAR, "a number", err));
  char *end = NULL;
  double v = strtod(n->text, &end);
  if (n->quoted || end == n->text || *end || !isfinite(v)) return espl_yaml_fail(n, err, "found '%s', expected a number", kind_text(n));
  if (v < min || v > max) return espl_yaml_fail(n, err, "%s is out of range, expected %g to %g", n->text, min, max);
  *out = v;
  return ESPL_OK;
}

espl_status espl_yaml_as_bool(const espl_yaml_node *n, int *out, espl_err *err) {
  static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
  ESPL_TRY(want(n, ESPL_YAML_SCALAR, "true or false", err));
  for (int i = 0; !n->quoted && i < 6; i++)
    if (strcmp(n->text, words[i]) == 0) {
      *out = i & 1;
      return ESPL_OK;
    }
  return espl_yaml_fail(n, err, "found '%s', expected true or false", kind_text(n));
}

espl_status espl_yaml_as_string(const espl_yaml_node *n, const char **out, espl_err *err) {
  ESPL_TRY(want(n, ESPL_YAML_SCALAR, "a word or text", err));
  *out = n->text;
  return ESPL_OK;
}

/* *value = the node of `key`, or NULL when it is absent and may be. */
static espl_status lookup(const espl_yaml_node *map, const char *key, espl_need need, const espl_yaml_node **value, espl_err *err) {
  ESPL_TRY(want(map, ESPL_YAML_MAP, "a map of keys", err));
  *value = espl_yaml_find(map, key);
  if (!*value && need == ESPL_REQUIRED) return espl_yaml_fail(map, err, "key '%s' is missing", key);
  return ESPL_OK;
}

/* Adds the key's name behind "file:line:column: " of a message that a value getter has just made. */
static espl_status named(espl_status s, const espl_yaml_node *v, const char *key, espl_err *err) {
  if (s == ESPL_OK || !err) return s;
  char where[ESPL_ERR_MSG_BYTES / 2];
  int n = snprintf(where, sizeof where, "%s:%d:%d: ", v->file, v->line, v->column);
  if (n <= 0 || (size_t)n >= sizeof where || strncmp(err->msg, where, (size_t)n) != 0) return s;
  char rest[ESPL_ERR_MSG_BYTES / 2];
  snprintf(rest, sizeof rest, "%s", err->msg + n);
  snprintf(err->msg, sizeof err->msg, "%s%.120s: %.240s", where, key, rest);
  return s;
}

espl_status espl_yaml_get_int(const espl_yaml_node *map, const char *key, espl_need need, int64_t min, int64_t max, int64_t *out, espl_err *err) {
  const espl_yaml_node *v;
  ESPL_TRY(lookup(map, key, need, &v, err));
  return v ? named(espl_yaml_as_int(v, min, max, out, err), v, key, err) : ESPL_OK;
}

espl_status espl_yaml_get_i32(const espl_yaml_node *map, const char *key, espl_need need, int32_t min, int32_t max, int32_t *out, espl_err *err) {
  int64_t wide = *out;
  ESPL_TRY(espl_yaml_get_int(map, key, need, min, max, &wide, err));
  *out = (int32_t)wide;
  return ESPL_OK;
}

espl_status espl_yaml_get_float(const espl_yaml_node *map, const char *key, espl_need need, double min, double max, double *out, espl_err *err) {
  const espl_yaml_node *v;
  ESPL_TRY(lookup(map, key, need, &v, err));
  return v ? named(espl_yaml_as_float(v, min, max, out, err), v, key, err) : ESPL_OK;
}

espl_status espl_yaml_get_bool(const espl_yaml_node *map, const char *key, espl_need need, int *out, espl_err *err) {
  const espl_yaml_node *v;
  ESPL_TRY(lookup(map, key, need, &v, err));
  return v ? named(espl_yaml_as_bool(v, out, err), v, key, err) : ESPL_OK;
}

espl_status espl_yaml_get_string(const espl_yaml_node *map, const char *key, espl_need need, const char **out, espl_err *err) {
  const espl_yaml_node *v;
  ESPL_TRY(lookup(map, key, need, &v, err));
  return v ? named(espl_yaml_as_string(v, out, err), v, key, err) : ESPL_OK;
}

espl_status espl_yaml_get_choice(const espl_yaml_node *map, const char *key, espl_need need, const char *const *words, int *out, espl_err *err) {
  const espl_yaml_node *v;
  const char *word = NULL;
  ESPL_TRY(lookup(map, key, need, &v, err));
  if (!v) return ESPL_OK;
  ESPL_TRY(named(espl_yaml_as_string(v, &word, err), v, key, err));
  int n = 0;
  for (; words[n]; n++)
    if (strcmp(words[n], word) == 0) {
      *out = n;
      return ESPL_OK;
    }
  const char *near = espl_nearest(word, words, (size_t)n);
  return espl_yaml_fail(v, err, "%s: unknown value '%s'; the nearest known one is '%s'", key, word, near ? near : "none");
}

static espl_status get_kind(const espl_yaml_node *map, const char *key, espl_need need, espl_yaml_kind kind, const char *what,
                            const espl_yaml_node **out, espl_err *err) {
  const espl_yaml_node *v;
  ESPL_TRY(lookup(map, key, need, &v, err));
  if (v) ESPL_TRY(named(want(v, kind, what, err), v, key, err));
  *out = v;
  return ESPL_OK;
}

espl_status espl_yaml_get_list(const espl_yaml_node *map, const char *key, espl_need need, const espl_yaml_node **out, espl_err *err) {
  return get_kind(map, key, need, ESPL_YAML_LIST, "a list", out, err);
}

espl_status espl_yaml_get_map(const espl_yaml_node *map, const char *key, espl_need need, const espl_yaml_node **out, espl_err *err) {
  return get_kind(map, key, need, ESPL_YAML_MAP, "a map of keys", out, err);
}
