/* Streaming JSON writer. Everything goes through put(), which keeps the first failure. */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct espl_json {
  FILE *file;      /* NULL: into text */
  char *text;
  size_t n, cap;
  int indent, depth;
  espl_status status;
  const char *problem;
  char kind[ESPL_JSON_MAX_DEPTH];  /* '{' or '[' of every open level */
  int members[ESPL_JSON_MAX_DEPTH + 1];
};

static espl_json *new_writer(FILE *f, int indent) {
  espl_json *w = espl_calloc(1, sizeof *w);
  if (!w) return NULL;
  w->file = f;
  w->indent = indent;
  return w;
}

espl_json *espl_json_to_file(FILE *f, int indent) { return new_writer(f, indent); }
espl_json *espl_json_to_buffer(int indent) { return new_writer(NULL, indent); }

static void fail(espl_json *w, espl_status s, const char *problem) {
  if (w->status != ESPL_OK) return;
  w->status = s;
  w->problem = problem;
}

static void put(espl_json *w, const char *s, size_t n) {
  if (w->status != ESPL_OK || n == 0) return;
  if (w->file) {
    if (fwrite(s, 1, n, w->file) != n) fail(w, ESPL_E_IO, "writing JSON failed");
    return;
  }
  if (w->cap - w->n < n + 1) {
    size_t cap = (w->n + n + 1) * 2;
    char *bigger = realloc(w->text, cap);
    if (!bigger) {
      fail(w, ESPL_E_NOMEM, "no memory for JSON text");
      return;
    }
    w->text = bigger;
    w->cap = cap;
  }
  memcpy(w->text + w->n, s, n);
  w->n += n;
  w->text[w->n] = 0;
}

static void puts_(espl_json *w, const char *s) { put(w, s, strlen(s)); }

static void new_line(espl_json *w) {
  if (w->indent <= 0) return;
  puts_(w, "\n");
  for (int i = 0; i < w->depth * w->indent; i++) puts_(w, " ");
}

/* Length of the well-formed UTF-8 sequence at p[n], 0 when there is none (RFC 3629 table). */
static size_t utf8_length(const unsigned char *p, size_t n) {
  if (p[0] < 0x80) return 1;
  size_t len = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
  if (len == 0 || len > n) return 0;
  for (size_t i = 1; i < len; i++)
    if ((p[i] & 0xc0) != 0x80) return 0;
  if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) return 0;
  if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) return 0;
  return len;
}

static void put_control(espl_json *w, unsigned char c) {
  static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
  const char *at = strchr(from, c);
  char s[8];
  if (c && at)
    snprintf(s, sizeof s, "\\%c", to[at - from]);
  else
    snprintf(s, sizeof s, "\\u%04x", c);
  puts_(w, s);
}

static void put_string(espl_json *w, const char *s) {
  const unsigned char *p = (const unsigned char *)s;
  size_t n = strlen(s);
  puts_(w, "\"");
  for (size_t i = 0; i < n;) {
    size_t len = utf8_length(p + i, n - i);
    if (len == 0)
      puts_(w, "\xef\xbf\xbd");
    else if (p[i] < 0x20 || p[i] == '"' || p[i] == '\\' || p[i] == 0x7f)
      put_control(w, p[i]);
    else
      put(w, s + i, len);
    i += len ? len : 1;
  }
  puts_(w, "\"");
}

/* Comma, line and key in front of a value; 0 when the call does not fit here. */
static int lead(espl_json *w, const char *key) {
  if (w->status != ESPL_OK) return 0;
  int in_object = w->depth > 0 && w->kind[w->depth - 1] == '{';
  if (in_object != (key != NULL) || (w->depth == 0 && w->members[0])) {
    fail(w, ESPL_E_BUG, key ? "JSON: a key outside an object" : "JSON: a value without its key, or a second value at the top");
    return 0;
  }
  if (w->members[w->depth]++) puts_(w, ",");
  if (w->depth) new_line(w);
  if (key) {
    put_string(w, key);
    puts_(w, w->indent > 0 ? ": " : ":");
  }
  return 1;
}

static void open_level(espl_json *w, const char *key, char kind) {
  if (w->status == ESPL_OK && w->depth == ESPL_JSON_MAX_DEPTH) fail(w, ESPL_E_BUG, "JSON: nested deeper than 64 levels");
  if (!lead(w, key)) return;
  put(w, &kind, 1);
  w->kind[w->depth++] = kind;
  w->members[w->depth] = 0;
}

void espl_json_object(espl_json *w, const char *key) { open_level(w, key, '{'); }
void espl_json_array(espl_json *w, const char *key) { open_level(w, key, '['); }

void espl_json_close(espl_json *w) {
  if (w->status != ESPL_OK) return;
  if (w->depth == 0) {
    fail(w, ESPL_E_BUG, "JSON: nothing open to close");
    return;
  }
  int empty = w->members[w->depth] == 0;
  w->depth--;
  if (!empty) new_line(w);
  puts_(w, w->kind[w->depth] == '{' ? "}" : "]");
}

void espl_json_raw(espl_json *w, const char *key, const char *json) {
  if (lead(w, key)) puts_(w, json);
}

void espl_json_null(espl_json *w, const char *key) { espl_json_raw(w, key, "null"); }
void espl_json_bool(espl_json *w, const char *key, int v) { espl_json_raw(w, key, v ? "true" : "false"); }

void espl_json_str(espl_json *w, const char *key, const char *s) {
  if (!s)
    espl_json_null(w, key);
  else if (lead(w, key))
    put_string(w, s);
}

void espl_json_int(espl_json *w, const char *key, int64_t v) {
  char s[24];
  snprintf(s, sizeof s, "%" PRId64, v);
  espl_json_raw(w, key, s);
}

void espl_json_uint(espl_json *w, const char *key, uint64_t v) {
  char s[24];
  snprintf(s, sizeof s, "%" PRIu64, v);
  espl_json_raw(w, key, s);
}

void espl_json_num(espl_json *w, const char *key, double v) {
  char s[40];
  if (!isfinite(v)) {
    espl_json_null(w, key);
    return;
  }
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(s, sizeof s, "%.*g", digits, v);
    if (strtod(s, NULL) == v) break;
  }
  for (char *c = s; *c; c++)
    if (*c == ',') *c = '.';
  espl_json_raw(w, key, s);
}

espl_status espl_json_finish(espl_json *w, char **text, espl_err *err) {
  if (!w) return espl_fail(err, ESPL_E_NOMEM, "no memory for JSON text");
  if (w->depth != 0 || w->members[0] == 0) fail(w, ESPL_E_BUG, "JSON: ended before its value was complete");
  if (w->indent > 0) puts_(w, "\n");
  if (w->file && w->status == ESPL_OK && fflush(w->file) != 0) fail(w, ESPL_E_IO, "writing JSON failed");
  espl_status s = w->status;
  if (s != ESPL_OK) espl_fail(err, s, "%s", w->problem);
  if (s == ESPL_OK && text)
    *text = w->text;
  else
    free(w->text);
  free(w);
  return s;
}
