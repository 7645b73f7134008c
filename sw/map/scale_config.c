/* Reads SCALE-Sim's configuration file (an INI file as Python's configparser takes it, without continuation lines). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fsio.h"
#include "map/scale.h"

enum { MAX_BYTES = 1 << 20, MAX_TEXT = 256, MAX_ARRAY = 65536 };

enum { GENERAL, ARCHITECTURE, LAYOUT, SPARSITY, PRESETS, SECTIONS };
static const char *const sections[SECTIONS] = {"general", "architecture_presets", "layout", "sparsity", "run_presets"};

enum { HEIGHT, WIDTH, IFMAP_KB, FILTER_KB, OFMAP_KB, DATAFLOW, SUPPORT, MAPPING, BANDWIDTH, KEYS };
static const struct {
  int section;
  const char *name;
} keys[KEYS] = {{ARCHITECTURE, "ArrayHeight"}, {ARCHITECTURE, "ArrayWidth"}, {ARCHITECTURE, "IfmapSramSzkB"}, {ARCHITECTURE, "FilterSramSzkB"},
                {ARCHITECTURE, "OfmapSramSzkB"}, {ARCHITECTURE, "Dataflow"}, {SPARSITY, "SparsitySupport"}, {SPARSITY, "OptimizedMapping"}, {PRESETS, "InterfaceBandwidth"}};

typedef struct ini {
  const char *file;
  int line, section;          /* section: SECTIONS for an unknown one, -1 before the first */
  int seen[SECTIONS], at[KEYS]; /* line of the section and the key, 0: absent */
  char value[KEYS][MAX_TEXT];
  espl_err *err;
} ini;

/* One line without its blanks into a string. */
static espl_status take_line(ini *c, const char *p, const char *end, char *out) {
  while (p < end && isspace((unsigned char)*p)) p++;
  while (end > p && isspace((unsigned char)end[-1])) end--;
  if (end - p >= MAX_TEXT) return espl_fail(c->err, ESPL_E_INPUT, "%s:%d: a line of %lld bytes, expected at most %d", c->file, c->line, (long long)(end - p), MAX_TEXT - 1);
  for (const char *s = p; s < end; s++)
    if ((unsigned char)*s < 32 && *s != '\t') return espl_fail(c->err, ESPL_E_INPUT, "%s:%d: found the byte 0x%02x, expected text", c->file, c->line, (unsigned char)*s);
  memcpy(out, p, (size_t)(end - p));
  out[end - p] = 0;
  return ESPL_OK;
}

static espl_status read_section(ini *c, char *s) {
  char *close = strchr(s, ']');
  if (!close) return espl_fail(c->err, ESPL_E_INPUT, "%s:%d: found '%.60s', expected [section]", c->file, c->line, s);
  *close = 0;
  c->section = SECTIONS;
  for (int i = 0; i < SECTIONS; i++)
    if (strcmp(s + 1, sections[i]) == 0) c->section = i;
  if (c->section == SECTIONS) return ESPL_OK;
  if (c->seen[c->section]) return espl_fail(c->err, ESPL_E_INPUT, "%s:%d: section [%s] again, first at line %d", c->file, c->line, s + 1, c->seen[c->section]);
  c->seen[c->section] = c->line;
  return ESPL_OK;
}

static espl_status read_line(ini *c, char *s) {
  if (!*s || *s == '#' || *s == ';') return ESPL_OK;
  if (*s == '[') return read_section(c, s);
  char *sep = strpbrk(s, ":=");
  if (!sep || c->section < 0) return espl_fail(c->err, ESPL_E_INPUT, "%s:%d: found '%.60s', expected %s", c->file, c->line, s, c->section < 0 ? "[section]" : "key : value");
  char *end = sep;
  while (end > s && isspace((unsigned char)end[-1])) end--;
  *end = 0;
  for (sep++; isspace((unsigned char)*sep); sep++) continue;
  for (int i = 0; i < KEYS; i++)
    if (keys[i].section == c->section && strcasecmp(keys[i].name, s) == 0) {
      if (c->at[i]) return espl_fail(c->err, ESPL_E_INPUT, "%s:%d: %s again, first at line %d", c->file, c->line, s, c->at[i]);
      c->at[i] = c->line;
      snprintf(c->value[i], MAX_TEXT, "%s", sep);
    }
  return ESPL_OK;
}

static espl_status required(const ini *c, int key) {
  if (c->at[key]) return ESPL_OK;
  return espl_fail(c->err, ESPL_E_INPUT, "%s: key %s of section [%s] is missing", c->file, keys[key].name, sections[keys[key].section]);
}

static espl_status integer(const ini *c, int key, int64_t hi, int64_t *out) {
  ESPL_TRY(required(c, key));
  const char *s = c->value[key];
  int64_t v = 0;
  size_t n = strspn(s, "0123456789");
  for (size_t i = 0; i < n && v <= hi; i++) v = v * 10 + (s[i] - '0');
  *out = v;
  if (n > 0 && !s[n] && v >= 1 && v <= hi) return ESPL_OK;
  return espl_fail(c->err, ESPL_E_INPUT, "%s:%d: %s: found '%.60s', expected an integer 1..%lld", c->file, c->at[key], keys[key].name, s, (long long)hi);
}

static espl_status presets(const ini *c) {
  const char *mode = c->value[BANDWIDTH];
  if (!c->at[BANDWIDTH] || strcmp(mode, "CALC") == 0) return ESPL_OK;
  if (strcmp(mode, "USER") == 0)
    return espl_fail(c->err, ESPL_E_UNSUPPORTED, "%s:%d: InterfaceBandwidth USER: stalls of a given bandwidth have no closed form, use CALC", c->file, c->at[BANDWIDTH]);
  return espl_fail(c->err, ESPL_E_INPUT, "%s:%d: InterfaceBandwidth: found '%.60s', expected CALC or USER", c->file, c->at[BANDWIDTH], mode);
}

static espl_status interpret(const ini *c, espl_scale_config *out) {
  static const char *const flows[] = {"ws", "os", "is"};
  if (!c->seen[ARCHITECTURE]) return espl_fail(c->err, ESPL_E_INPUT, "%s: section [architecture_presets] is missing", c->file);
  int64_t rows, cols;
  ESPL_TRY(integer(c, HEIGHT, MAX_ARRAY, &rows));
  ESPL_TRY(integer(c, WIDTH, MAX_ARRAY, &cols));
  for (int i = 0; i < 3; i++) ESPL_TRY(integer(c, IFMAP_KB + i, INT32_MAX, &out->sram_kb[i]));
  ESPL_TRY(required(c, DATAFLOW));
  out->array.rows = (int32_t)rows;
  out->array.cols = (int32_t)cols;
  int flow = -1;
  for (int i = 0; i < 3; i++)
    if (strcmp(c->value[DATAFLOW], flows[i]) == 0) flow = i;
  if (flow < 0) return espl_fail(c->err, ESPL_E_INPUT, "%s:%d: Dataflow: found '%.60s', expected ws, os or is", c->file, c->at[DATAFLOW], c->value[DATAFLOW]);
  out->array.dataflow = (espl_scale_dataflow)flow;
  out->array.sparsity = strcasecmp(c->value[SUPPORT], "true") == 0;
  if (out->array.sparsity && strcasecmp(c->value[MAPPING], "true") == 0)
    return espl_fail(c->err, ESPL_E_UNSUPPORTED, "%s:%d: OptimizedMapping draws a random sparsity for each filter, which has no closed form", c->file, c->at[MAPPING]);
  for (int i = 0; i < SECTIONS; i++)
    if (!c->seen[i]) {
      size_t n = strlen(out->missing);
      snprintf(out->missing + n, sizeof out->missing - n, "%s%s", n ? " " : "", sections[i]);
    }
  return presets(c);
}

espl_status espl_scale_config_parse(const char *file, const char *text, size_t n, espl_scale_config *out, espl_err *err) {
  ini c = {.file = file, .section = -1, .err = err};
  espl_scale_config found = {0};
  const char *p = text, *end = text + n;
  if (n > MAX_BYTES) return espl_fail(err, ESPL_E_INPUT, "%s: %zu bytes, expected at most %d", file, n, MAX_BYTES);
  while (p < end) {
    char line[MAX_TEXT];
    const char *stop = memchr(p, '\n', (size_t)(end - p)), *eol = stop ? stop : end;
    c.line++;
    ESPL_TRY(take_line(&c, p, eol, line));
    ESPL_TRY(read_line(&c, line));
    p = stop ? stop + 1 : end;
  }
  ESPL_TRY(interpret(&c, &found));
  *out = found;
  return ESPL_OK;
}

espl_status espl_scale_config_load(const char *path, espl_scale_config *out, espl_err *err) {
  char *text = NULL;
  size_t n = 0;
  ESPL_TRY(espl_read_file(path, MAX_BYTES, &text, &n, err));
  espl_status s = espl_scale_config_parse(path, text, n, out, err);
  free(text);
  return s;
}
