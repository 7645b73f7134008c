/* Loading: libyaml's document becomes our own tree in one arena, checked while it is copied. */
#include "base/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/yaml_int.h"

#define MAX_DEPTH 64
#define ARENA_BYTES (64u * 1024u * 1024u)

struct espl_yaml {
  espl_arena *arena;
  espl_yaml_node *root;
};

struct loader {
  espl_arena *arena;
  yaml_document_t *doc;
  const char *name;
  espl_err *err;
};

static espl_status fail_at(const struct loader *l, yaml_mark_t m, espl_status code, const char *what) {
  return espl_fail(l->err, code, "%s:%zu:%zu: %s", l->name, m.line + 1, m.column + 1, what);
}

static espl_status copy_node(const struct loader *l, int id, int depth, espl_yaml_node **out);

static espl_status copy_entries(const struct loader *l, const yaml_node_t *from, int depth, espl_yaml_node *n) {
  int is_map = from->type == YAML_MAPPING_NODE;
  size_t count = is_map ? (size_t)(from->data.mapping.pairs.top - from->data.mapping.pairs.start)
                        : (size_t)(from->data.sequence.items.top - from->data.sequence.items.start);
  n->values = espl_arena_alloc(l->arena, count * sizeof *n->values);
  n->keys = is_map ? espl_arena_alloc(l->arena, count * sizeof *n->keys) : NULL;
  if (!n->values || (is_map && !n->keys)) return fail_at(l, from->start_mark, ESPL_E_NOMEM, "out of memory");
  for (size_t i = 0; i < count; i++) {
    int value = is_map ? from->data.mapping.pairs.start[i].value : from->data.sequence.items.start[i];
    if (is_map) {
      espl_yaml_node *key = NULL;
      ESPL_TRY(copy_node(l, from->data.mapping.pairs.start[i].key, depth + 1, &key));
      if (key->kind != ESPL_YAML_SCALAR) return espl_yaml_fail(key, l->err, "a key must be a plain word");
      const espl_yaml_node *twin = espl_yaml_find(n, key->text);
      if (twin) return espl_yaml_fail(key, l->err, "key '%s' occurs twice, first in line %d", key->text, twin->line);
      n->keys[i] = key;
    }
    ESPL_TRY(copy_node(l, value, depth + 1, &n->values[i]));
    n->count = i + 1;
  }
  return ESPL_OK;
}

static espl_status copy_node(const struct loader *l, int id, int depth, espl_yaml_node **out) {
  yaml_node_t *from = yaml_document_get_node(l->doc, id);
  if (depth > MAX_DEPTH) return fail_at(l, from->start_mark, ESPL_E_INPUT, "nested deeper than 64 levels");
  espl_yaml_node *n = espl_arena_alloc(l->arena, sizeof *n);
  if (!n) return fail_at(l, from->start_mark, ESPL_E_NOMEM, "the document is too large");
  n->file = l->name;
  n->line = (int)from->start_mark.line + 1;
  n->column = (int)from->start_mark.column + 1;
  *out = n;
  if (from->type == YAML_SCALAR_NODE) {
    n->kind = ESPL_YAML_SCALAR;
    n->quoted = from->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    n->text = espl_arena_strdup(l->arena, (const char *)from->data.scalar.value);
    if (!n->text) return fail_at(l, from->start_mark, ESPL_E_NOMEM, "the document is too large");
    if (strlen(n->text) != from->data.scalar.length) return fail_at(l, from->start_mark, ESPL_E_INPUT, "text with a NUL byte");
    return ESPL_OK;
  }
  n->kind = from->type == YAML_MAPPING_NODE ? ESPL_YAML_MAP : ESPL_YAML_LIST;
  return copy_entries(l, from, depth, n);
}

/* The scanner states a problem and, often, what it was doing ("while parsing a block mapping"). */
static espl_status syntax_error(const char *name, const yaml_parser_t *p, espl_err *err) {
  if (p->error == YAML_MEMORY_ERROR) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", name);
  if (p->error == YAML_READER_ERROR)
    return espl_fail(err, ESPL_E_INPUT, "%s:%zu:%zu: %s at byte %zu", name, p->mark.line + 1, p->mark.column + 1, p->problem, p->problem_offset);
  return espl_fail(err, ESPL_E_INPUT, "%s:%zu:%zu: %s%s%s", name, p->problem_mark.line + 1, p->problem_mark.column + 1,
                   p->problem ? p->problem : "syntax error", p->context ? ", " : "", p->context ? p->context : "");
}

/* libyaml's loader resolves aliases by sharing nodes, which can be cyclic or exponential: refuse them from the event stream. */
static espl_status refuse_aliases(const char *name, const char *text, size_t n, espl_err *err) {
  yaml_parser_t p;
  if (!yaml_parser_initialize(&p)) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", name);
  yaml_parser_set_input_string(&p, (const unsigned char *)text, n);
  espl_status s = ESPL_OK;
  int depth = 0, documents = 0, end = 0;
  while (s == ESPL_OK && !end) {
    yaml_event_t e;
    if (!yaml_parser_parse(&p, &e)) {
      s = syntax_error(name, &p, err);
      break;
    }
    size_t line = e.start_mark.line + 1, column = e.start_mark.column + 1;
    if (e.type == YAML_SEQUENCE_START_EVENT || e.type == YAML_MAPPING_START_EVENT) depth++;
    if (e.type == YAML_SEQUENCE_END_EVENT || e.type == YAML_MAPPING_END_EVENT) depth--;
    if (e.type == YAML_DOCUMENT_START_EVENT) documents++;
    if (e.type == YAML_ALIAS_EVENT) s = espl_fail(err, ESPL_E_INPUT, "%s:%zu:%zu: aliases are not accepted", name, line, column);
    if (depth > MAX_DEPTH) s = espl_fail(err, ESPL_E_INPUT, "%s:%zu:%zu: nested deeper than 64 levels", name, line, column);
    if (documents > 1) s = espl_fail(err, ESPL_E_INPUT, "%s:%zu:%zu: a second document, expected one", name, line, column);
    end = e.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&e);
  }
  yaml_parser_delete(&p);
  return s;
}

static espl_status build(espl_yaml *d, const char *name, yaml_document_t *doc, espl_err *err) {
  char *kept = espl_arena_strdup(d->arena, name);
  if (!kept) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", name);
  struct loader l = {d->arena, doc, kept, err};
  if (yaml_document_get_root_node(doc)) return copy_node(&l, 1, 0, &d->root);
  d->root = espl_arena_alloc(d->arena, sizeof *d->root);
  if (!d->root) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", name);
  *d->root = (espl_yaml_node){.kind = ESPL_YAML_MAP, .file = kept, .line = 1, .column = 1};
  return ESPL_OK;
}

static espl_status load_tree(const char *name, const char *text, size_t n, espl_yaml *d, espl_err *err) {
  yaml_parser_t p;
  yaml_document_t doc;
  if (!yaml_parser_initialize(&p)) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", name);
  yaml_parser_set_input_string(&p, (const unsigned char *)text, n);
  espl_status s;
  if (!yaml_parser_load(&p, &doc)) {
    s = syntax_error(name, &p, err);
  } else {
    s = build(d, name, &doc, err);
    yaml_document_delete(&doc);
  }
  yaml_parser_delete(&p);
  return s;
}

espl_status espl_yaml_parse(const char *name, const char *text, size_t n, espl_yaml **out, espl_err *err) {
  ESPL_TRY(refuse_aliases(name, text, n, err));
  espl_yaml *d = espl_calloc(1, sizeof *d);
  if (d) d->arena = espl_arena_new(ARENA_BYTES);
  if (!d || !d->arena) {
    free(d);
    return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", name);
  }
  espl_status s = load_tree(name, text, n, d, err);
  if (s != ESPL_OK) {
    espl_yaml_free(d);
    return s;
  }
  *out = d;
  return ESPL_OK;
}

espl_status espl_yaml_load(const char *path, espl_yaml **out, espl_err *err) {
  char *text = NULL;
  size_t n = 0;
  ESPL_TRY(espl_read_file(path, ESPL_YAML_MAX_BYTES, &text, &n, err));
  espl_status s = espl_yaml_parse(path, text, n, out, err);
  free(text);
  return s;
}

void espl_yaml_free(espl_yaml *d) {
  if (!d) return;
  espl_arena_free(d->arena);
  free(d);
}

const espl_yaml_node *espl_yaml_root(const espl_yaml *d) { return d->root; }
