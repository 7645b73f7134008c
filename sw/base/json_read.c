/* Recursive-descent JSON reader. Depth, memory and every byte access are bounded: `at` never passes `end`. */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ARENA_BYTES (256u * 1024u * 1024u)

struct espl_json_value {
  espl_json_kind kind;
  int is_true;
  double number;
  const char *text;               /* STRING; its key in an object is in `key` */
  const char *key;
  espl_json_value *first, *next;  /* while reading: a list */
  const espl_json_value **member; /* [count], in file order */
  size_t count;
};

struct espl_json_doc {
  espl_arena *arena;
  espl_json_value *root;
};

struct reader {
  const char *name, *start, *at, *end;
  espl_arena *arena;
  espl_err *err;
};

static espl_status fail(const struct reader *r, const char *what) {
  size_t line = 1, column = 1;
  for (const char *p = r->start; p < r->at; p++) {
    column++;
    if (*p == '\n') {
      line++;
      column = 1;
    }
  }
  return espl_fail(r->err, ESPL_E_INPUT, "%s:%zu:%zu: %s", r->name, line, column, what);
}

static espl_status no_memory(const struct reader *r) { return espl_fail(r->err, ESPL_E_NOMEM, "%s: the JSON text is too large", r->name); }

static void skip_space(struct reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) r->at++;
}

static int next_is(struct reader *r, char c) {
  skip_space(r);
  return r->at < r->end && *r->at == c;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

static espl_status read_hex4(struct reader *r, uint32_t *code) {
  *code = 0;
  for (int i = 0; i < 4; i++, r->at++) {
    int d = r->at < r->end ? hex_digit(*r->at) : -1;
    if (d < 0) return fail(r, "expected four hexadecimal digits");
    *code = *code * 16 + (uint32_t)d;
  }
  return ESPL_OK;
}

/* Writes the code point as UTF-8: at most 4 bytes, never more than its escape took in the source. */
static char *put_utf8(char *out, uint32_t c) {
  if (c < 0x80) {
    *out++ = (char)c;
  } else if (c < 0x800) {
    *out++ = (char)(0xc0 | (c >> 6));
    *out++ = (char)(0x80 | (c & 63));
  } else if (c < 0x10000) {
    *out++ = (char)(0xe0 | (c >> 12));
    *out++ = (char)(0x80 | ((c >> 6) & 63));
    *out++ = (char)(0x80 | (c & 63));
  } else {
    *out++ = (char)(0xf0 | (c >> 18));
    *out++ = (char)(0x80 | ((c >> 12) & 63));
    *out++ = (char)(0x80 | ((c >> 6) & 63));
    *out++ = (char)(0x80 | (c & 63));
  }
  return out;
}

static espl_status read_unicode(struct reader *r, char **out) {
  uint32_t c = 0, low = 0;
  ESPL_TRY(read_hex4(r, &c));
  if (c >= 0xdc00 && c <= 0xdfff) return fail(r, "half a surrogate pair");
  if (c >= 0xd800 && c <= 0xdbff) {
    if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u') return fail(r, "half a surrogate pair");
    r->at += 2;
    ESPL_TRY(read_hex4(r, &low));
    if (low < 0xdc00 || low > 0xdfff) return fail(r, "half a surrogate pair");
    c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
  }
  if (c == 0) return fail(r, "a NUL character in text");
  *out = put_utf8(*out, c);
  return ESPL_OK;
}

static espl_status read_escape(struct reader *r, char **out) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  char c = r->at < r->end ? *r->at++ : 0;
  if (c == 'u') return read_unicode(r, out);
  const char *at = c ? strchr(from, c) : NULL;
  if (!at) return fail(r, "unknown escape in text");
  *(*out)++ = to[at - from];
  return ESPL_OK;
}

/* r->at is behind the opening quote. The copy is never longer than the source. */
static espl_status read_string(struct reader *r, const char **text) {
  const char *close = r->at;
  while (close < r->end && *close != '"') close += *close == '\\' && r->end - close > 1 ? 2 : 1;
  char *s = espl_arena_alloc(r->arena, (size_t)(close - r->at) + 1), *out = s;
  if (!s) return no_memory(r);
  while (r->at < r->end && *r->at != '"') {
    if ((unsigned char)*r->at < 0x20) return fail(r, "a control character in text");
    if (*r->at == '\\') {
      r->at++;
      ESPL_TRY(read_escape(r, &out));
    } else {
      *out++ = *r->at++;
    }
  }
  if (r->at >= r->end) return fail(r, "text without its closing quote");
  r->at++;
  *out = 0;
  *text = s;
  return ESPL_OK;
}

static size_t digits(struct reader *r) {
  const char *from = r->at;
  while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
  return (size_t)(r->at - from);
}

static espl_status read_number(struct reader *r, espl_json_value *v) {
  const char *from = r->at;
  if (*r->at == '-') r->at++;
  const char *whole = r->at;
  size_t n = digits(r);
  if (n == 0) return fail(r, "expected a value");
  if (n > 1 && *whole == '0') return fail(r, "a number must not begin with 0");
  if (r->at < r->end && *r->at == '.') {
    r->at++;
    if (digits(r) == 0) return fail(r, "expected a digit behind the point");
  }
  if (r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
    r->at++;
    if (r->at < r->end && (*r->at == '+' || *r->at == '-')) r->at++;
    if (digits(r) == 0) return fail(r, "expected a digit in the exponent");
  }
  char *copy = strndup(from, (size_t)(r->at - from));
  if (!copy) return no_memory(r);
  v->kind = ESPL_JSON_NUMBER;
  v->number = strtod(copy, NULL);
  free(copy);
  return isfinite(v->number) ? ESPL_OK : fail(r, "a number beyond the range of a double");
}

static espl_status read_value(struct reader *r, int depth, espl_json_value **out);

static espl_status read_key(struct reader *r, const char **key) {
  if (!next_is(r, '"')) return fail(r, "expected a key in quotes");
  r->at++;
  ESPL_TRY(read_string(r, key));
  if (!next_is(r, ':')) return fail(r, "expected ':'");
  r->at++;
  return ESPL_OK;
}

static int by_key(const void *a, const void *b) {
  const char *const *x = a, *const *y = b;
  return strcmp(*x, *y);
}

/* Sorting first keeps a hostile object of many keys at n log n. */
static espl_status refuse_twins(struct reader *r, const espl_json_value *v) {
  if (v->kind != ESPL_JSON_OBJECT || v->count < 2) return ESPL_OK;
  const char **keys = malloc(v->count * sizeof *keys);
  if (!keys) return no_memory(r);
  for (size_t i = 0; i < v->count; i++) keys[i] = v->member[i]->key;
  qsort(keys, v->count, sizeof *keys, by_key);
  size_t i = 1;
  while (i < v->count && strcmp(keys[i - 1], keys[i]) != 0) i++;
  free(keys);
  return i < v->count ? fail(r, "a key occurs twice in the object that ends here") : ESPL_OK;
}

static espl_status index_members(struct reader *r, espl_json_value *v) {
  v->member = espl_arena_alloc(r->arena, (v->count ? v->count : 1) * sizeof(espl_json_value *));
  if (!v->member) return no_memory(r);
  size_t i = 0;
  for (const espl_json_value *m = v->first; m; m = m->next) v->member[i++] = m;
  return refuse_twins(r, v);
}

static espl_status read_members(struct reader *r, int depth, espl_json_value *v, char close) {
  espl_json_value **tail = &v->first;
  v->kind = close == '}' ? ESPL_JSON_OBJECT : ESPL_JSON_ARRAY;
  r->at++;
  if (!next_is(r, close)) {
    for (;;) {
      const char *key = NULL;
      if (close == '}') ESPL_TRY(read_key(r, &key));
      ESPL_TRY(read_value(r, depth + 1, tail));
      (*tail)->key = key;
      tail = &(*tail)->next;
      v->count++;
      if (!next_is(r, ',')) break;
      r->at++;
    }
    if (!next_is(r, close)) return fail(r, close == '}' ? "expected ',' or '}'" : "expected ',' or ']'");
  }
  r->at++;
  return index_members(r, v);
}

static espl_status read_word(struct reader *r, espl_json_value *v) {
  static const struct { const char *word; espl_json_kind kind; int is_true; } words[] = {
      {"true", ESPL_JSON_BOOL, 1}, {"false", ESPL_JSON_BOOL, 0}, {"null", ESPL_JSON_NULL, 0}};
  for (size_t i = 0; i < 3; i++) {
    size_t n = strlen(words[i].word);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, words[i].word, n) != 0) continue;
    r->at += n;
    v->kind = words[i].kind;
    v->is_true = words[i].is_true;
    return ESPL_OK;
  }
  return read_number(r, v);
}

static espl_status read_value(struct reader *r, int depth, espl_json_value **out) {
  skip_space(r);
  if (r->at >= r->end) return fail(r, "the text ends where a value is expected");
  if (depth > ESPL_JSON_MAX_DEPTH) return fail(r, "nested deeper than 64 levels");
  espl_json_value *v = espl_arena_alloc(r->arena, sizeof *v);
  if (!v) return no_memory(r);
  *out = v;
  if (*r->at == '{') return read_members(r, depth, v, '}');
  if (*r->at == '[') return read_members(r, depth, v, ']');
  if (*r->at != '"') return read_word(r, v);
  r->at++;
  v->kind = ESPL_JSON_STRING;
  return read_string(r, &v->text);
}

espl_status espl_json_parse(const char *name, const char *text, size_t n, espl_json_doc **out, espl_err *err) {
  espl_json_doc *d = espl_calloc(1, sizeof *d);
  if (d) d->arena = espl_arena_new(ARENA_BYTES);
  if (!d || !d->arena) {
    free(d);
    return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", name);
  }
  struct reader r = {name, text, text, text + n, d->arena, err};
  espl_status s = read_value(&r, 1, &d->root);
  if (s == ESPL_OK) {
    skip_space(&r);
    if (r.at < r.end) s = fail(&r, "something follows the value");
  }
  if (s != ESPL_OK) {
    espl_json_doc_free(d);
    return s;
  }
  *out = d;
  return ESPL_OK;
}

void espl_json_doc_free(espl_json_doc *d) {
  if (!d) return;
  espl_arena_free(d->arena);
  free(d);
}

const espl_json_value *espl_json_root(const espl_json_doc *d) { return d->root; }
espl_json_kind espl_json_value_kind(const espl_json_value *v) { return v->kind; }
size_t espl_json_count(const espl_json_value *v) { return v->count; }
const espl_json_value *espl_json_at(const espl_json_value *v, size_t i) { return i < v->count ? v->member[i] : NULL; }
const char *espl_json_key_at(const espl_json_value *v, size_t i) {
  return v->kind == ESPL_JSON_OBJECT && i < v->count ? v->member[i]->key : NULL;
}

const espl_json_value *espl_json_find(const espl_json_value *v, const char *key) {
  if (!v || v->kind != ESPL_JSON_OBJECT) return NULL;
  for (size_t i = 0; i < v->count; i++)
    if (strcmp(v->member[i]->key, key) == 0) return v->member[i];
  return NULL;
}

double espl_json_number(const espl_json_value *v, double otherwise) {
  if (v && v->kind == ESPL_JSON_BOOL) return v->is_true;
  return v && v->kind == ESPL_JSON_NUMBER ? v->number : otherwise;
}

int64_t espl_json_integer(const espl_json_value *v, int64_t otherwise) {
  double x = espl_json_number(v, 0.5);
  if (x != floor(x) || x < -9007199254740992.0 || x > 9007199254740992.0) return otherwise;
  return (int64_t)x;
}

const char *espl_json_string(const espl_json_value *v, const char *otherwise) {
  return v && v->kind == ESPL_JSON_STRING ? v->text : otherwise;
}
