/* Reads layer tables: lines into fields, fields into layers, and every refusal with the line it is about. */
#include "map/topology.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"

enum { MAX_BYTES = 16 << 20, MAX_LAYERS = 100000, MAX_COLUMNS = 64, CONV_FIELDS = 8, GEMM_FIELDS = 4 };
enum { MAX_SIZE = 65535, MAX_CHANNELS = 1000000, MAX_GEMM = 1000000000 };

typedef struct field {
  const char *p;
  int n;
} field;

/* Columns behind the required ones that the header gives a meaning; -1: none. */
typedef struct columns {
  int sparsity, pad[4];
} columns;

typedef struct reader {
  const char *file;
  int line;
  espl_topo_form form;
  columns col;
  espl_topology *t;
  int32_t cap;
  espl_err *err;
} reader;

static const char *const pad_names[4] = {"padtop", "padleft", "padbottom", "padright"};

static field trim(const char *p, const char *end) {
  while (p < end && isspace((unsigned char)*p)) p++;
  while (end > p && isspace((unsigned char)end[-1])) end--;
  return (field){p, (int)(end - p)};
}

/* Splits at commas; returns how many fields, or -1 for too many. The last field is what stands behind the last comma. */
static int split(const char *p, const char *end, field *f) {
  int n = 0;
  for (;;) {
    const char *comma = memchr(p, ',', (size_t)(end - p));
    if (n == MAX_COLUMNS) return -1;
    f[n++] = trim(p, comma ? comma : end);
    if (!comma) return n;
    p = comma + 1;
  }
}

/* Letters and digits in lower case, for comparing column names. */
static void plain(field f, char *out, size_t cap) {
  size_t n = 0;
  for (int i = 0; i < f.n && n + 1 < cap; i++)
    if (isalnum((unsigned char)f.p[i])) out[n++] = (char)tolower((unsigned char)f.p[i]);
  out[n] = 0;
}

static bool digits(field f) {
  for (int i = 0; i < f.n; i++)
    if (!isdigit((unsigned char)f.p[i])) return false;
  return f.n > 0;
}

static espl_topo_form form_of_header(const field *f, int n) {
  bool m = false, k = false, conv = false;
  for (int i = 1; i < n; i++) {
    char name[40];
    plain(f[i], name, sizeof name);
    m |= strcmp(name, "m") == 0;
    k |= strcmp(name, "k") == 0;
    conv |= strncmp(name, "ifmap", 5) == 0 || strncmp(name, "filter", 6) == 0;
  }
  return conv ? ESPL_TOPO_CONV : m && k ? ESPL_TOPO_GEMM : ESPL_TOPO_AUTO;
}

static espl_status read_header(reader *r, const field *f, int n) {
  int numbers = 0;
  for (int i = 1; i < n; i++) numbers += digits(f[i]);
  if (numbers >= 3)
    return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: found a layer ('%.*s'), expected the header line, which is never a layer", r->file, r->line, f[0].n > 40 ? 40 : f[0].n, f[0].p);
  espl_topo_form found = form_of_header(f, n);
  if (r->form == ESPL_TOPO_AUTO) r->form = found;
  for (int i = GEMM_FIELDS; i < n; i++) {
    char name[40];
    plain(f[i], name, sizeof name);
    if (strcmp(name, "sparsity") == 0) r->col.sparsity = i;
    for (int k = 0; k < 4; k++)
      if (strcmp(name, pad_names[k]) == 0) r->col.pad[k] = i;
  }
  return ESPL_OK;
}

static espl_status number(const reader *r, const char *what, field f, int64_t lo, int64_t hi, int64_t *out) {
  int64_t v = 0;
  for (int i = 0; digits(f) && i < f.n && v <= hi; i++) v = v * 10 + (f.p[i] - '0');
  *out = v;
  if (digits(f) && v >= lo && v <= hi) return ESPL_OK;
  return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: %s: found '%.*s', expected an integer %lld..%lld", r->file, r->line, what, f.n > 40 ? 40 : f.n, f.p, (long long)lo, (long long)hi);
}

static espl_status size_field(const reader *r, const char *what, field f, int64_t lo, int64_t hi, int32_t *out) {
  int64_t v;
  ESPL_TRY(number(r, what, f, lo, hi, &v));
  *out = (int32_t)v;
  return ESPL_OK;
}

static espl_status read_sparsity(const reader *r, field f, espl_topo_layer *l) {
  const char *colon = memchr(f.p, ':', (size_t)f.n);
  field n = colon ? trim(f.p, colon) : f, m = colon ? trim(colon + 1, f.p + f.n) : f;
  if (colon && digits(n) && digits(m)) {
    ESPL_TRY(size_field(r, "Sparsity N of N:M", n, 1, MAX_SIZE, &l->sparse_n));
    return size_field(r, "Sparsity M of N:M", m, l->sparse_n, MAX_SIZE, &l->sparse_m);
  }
  return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: Sparsity: found '%.*s', expected N:M with N <= M", r->file, r->line, f.n > 40 ? 40 : f.n, f.p);
}

/* Column i when the row has it and it is not blank. */
static bool has(const field *f, int n, int i) { return i >= 0 && i < n && f[i].n > 0; }

static espl_status read_extras(const reader *r, const field *f, int n, int required, espl_topo_layer *l) {
  l->sparse_n = l->sparse_m = 1;
  if (has(f, n, r->col.sparsity)) ESPL_TRY(read_sparsity(r, f[r->col.sparsity], l));
  else if (r->col.sparsity < 0 && has(f, n, required) && memchr(f[required].p, ':', (size_t)f[required].n)) ESPL_TRY(read_sparsity(r, f[required], l));
  int32_t *pad[4] = {&l->pt, &l->pl, &l->pb, &l->pr};
  for (int k = 0; k < 4; k++)
    if (!l->gemm && has(f, n, r->col.pad[k])) ESPL_TRY(size_field(r, pad_names[k], f[r->col.pad[k]], 0, MAX_SIZE, pad[k]));
  return ESPL_OK;
}

static espl_status check_filter(const reader *r, const char *what, int32_t filter, int64_t input) {
  if (filter <= input) return ESPL_OK;
  return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: filter %s is %d, expected at most that of the input, %lld", r->file, r->line, what, (int)filter, (long long)input);
}

static espl_status read_conv(const reader *r, const field *f, espl_topo_layer *l) {
  ESPL_TRY(size_field(r, "IFMAP height", f[1], 1, MAX_SIZE, &l->h));
  ESPL_TRY(size_field(r, "IFMAP width", f[2], 1, MAX_SIZE, &l->w));
  ESPL_TRY(size_field(r, "filter height", f[3], 1, MAX_SIZE, &l->r));
  ESPL_TRY(size_field(r, "filter width", f[4], 1, MAX_SIZE, &l->s));
  ESPL_TRY(size_field(r, "channels", f[5], 1, MAX_CHANNELS, &l->c));
  ESPL_TRY(size_field(r, "number of filters", f[6], 1, MAX_CHANNELS, &l->m));
  ESPL_TRY(size_field(r, "stride", f[7], 1, MAX_SIZE, &l->stride));
  l->depthwise = strstr(l->name, "DP") != NULL;
  return ESPL_OK;
}

static espl_status finish_conv(const reader *r, espl_topo_layer *l) {
  int64_t h = (int64_t)l->h + l->pt + l->pb, w = (int64_t)l->w + l->pl + l->pr;
  ESPL_TRY(check_filter(r, "height", l->r, h));
  ESPL_TRY(check_filter(r, "width", l->s, w));
  l->gm = ((h - l->r + l->stride - 1) / l->stride + 1) * ((w - l->s + l->stride - 1) / l->stride + 1);
  l->gn = l->m;
  l->gk = (int64_t)l->r * l->s * (l->depthwise ? 1 : l->c);
  return ESPL_OK;
}

static espl_status read_gemm(const reader *r, const field *f, espl_topo_layer *l) {
  ESPL_TRY(number(r, "M", f[1], 1, MAX_GEMM, &l->gm));
  ESPL_TRY(number(r, "N", f[2], 1, MAX_GEMM, &l->gn));
  return number(r, "K", f[3], 1, MAX_GEMM, &l->gk);
}

static espl_status new_layer(reader *r, espl_topo_layer **out) {
  espl_topology *t = r->t;
  if (t->layers == MAX_LAYERS) return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: more than %d layers", r->file, r->line, MAX_LAYERS);
  if (t->layers == r->cap) {
    r->cap = r->cap ? 2 * r->cap : 64;
    espl_topo_layer *grown = realloc(t->layer, (size_t)r->cap * sizeof *grown);
    if (!grown) return espl_fail(r->err, ESPL_E_NOMEM, "%s: out of memory", r->file);
    t->layer = grown;
  }
  *out = &t->layer[t->layers];
  **out = (espl_topo_layer){.line = r->line};
  return ESPL_OK;
}

/* SCALE-Sim drops what follows the last comma; here it counts when the row would not be complete without it or its column has a name. */
static int without_tail(const reader *r, const field *f, int n, int required) {
  bool named = n - 1 == r->col.sparsity;
  for (int k = 0; k < 4; k++) named |= n - 1 == r->col.pad[k];
  return n > required && !(named && f[n - 1].n > 0) ? n - 1 : n;
}

static espl_status read_row(reader *r, const field *f, int n) {
  if (r->form == ESPL_TOPO_AUTO) { /* a header that says nothing: by the number of fields */
    int filled = 0;
    while (filled < n && f[filled].n > 0) filled++;
    if (filled >= CONV_FIELDS) r->form = ESPL_TOPO_CONV;
    else if (filled == GEMM_FIELDS || filled == GEMM_FIELDS + 1) r->form = ESPL_TOPO_GEMM;
    else
      return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: found %d fields, expected %d (convolution) or %d (GEMM)", r->file, r->line, filled, CONV_FIELDS, GEMM_FIELDS);
  }
  bool gemm = r->form == ESPL_TOPO_GEMM;
  int required = gemm ? GEMM_FIELDS : CONV_FIELDS;
  int given = f[n - 1].n > 0 ? n : n - 1; /* nothing stands behind the last comma */
  if (given < required)
    return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: found %d fields, expected %s", r->file, r->line, given, gemm ? "4: name, M, N, K" : "8: name and seven integers");
  n = without_tail(r, f, n, required);
  espl_topo_layer *l = NULL;
  ESPL_TRY(new_layer(r, &l));
  if (f[0].n >= (int)sizeof l->name)
    return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: layer name of %d bytes, expected at most %d", r->file, r->line, f[0].n, (int)sizeof l->name - 1);
  memcpy(l->name, f[0].p, (size_t)f[0].n);
  l->gemm = gemm;
  ESPL_TRY(gemm ? read_gemm(r, f, l) : read_conv(r, f, l));
  ESPL_TRY(read_extras(r, f, n, required, l));
  if (!gemm) ESPL_TRY(finish_conv(r, l));
  int64_t a, b, c;
  if (__builtin_mul_overflow(l->gm, l->gn, &a) || __builtin_mul_overflow(a, l->gk, &b) || __builtin_mul_overflow(b, (int64_t)(l->depthwise ? l->c : 1), &c) || c > INT64_MAX / 1024)
    return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: layer %s has more than 2^53 multiply-accumulates", r->file, r->line, l->name);
  r->t->layers++;
  return ESPL_OK;
}

static espl_status check_bytes(const reader *r, const char *p, const char *end) {
  for (; p < end; p++) {
    unsigned char c = (unsigned char)*p;
    if ((c < 32 && c != '\t' && c != '\r') || c == 127) return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: found the byte 0x%02x, expected text", r->file, r->line, c);
  }
  return ESPL_OK;
}

static espl_status read_lines(reader *r, const char *p, const char *end) {
  field f[MAX_COLUMNS];
  while (p < end) {
    const char *stop = memchr(p, '\n', (size_t)(end - p)), *eol = stop ? stop : end;
    r->line++;
    ESPL_TRY(check_bytes(r, p, eol));
    int n = split(p, eol, f), filled = 0;
    if (n < 0) return espl_fail(r->err, ESPL_E_INPUT, "%s:%d: more than %d columns", r->file, r->line, MAX_COLUMNS);
    for (int i = 0; i < n; i++) filled += f[i].n > 0;
    if (r->line == 1) ESPL_TRY(read_header(r, f, n));
    else if (filled) ESPL_TRY(read_row(r, f, n));
    p = stop ? stop + 1 : end;
  }
  return r->t->layers > 0 ? ESPL_OK : espl_fail(r->err, ESPL_E_INPUT, "%s: no layer behind the header line", r->file);
}

static char *base_name(const char *file) {
  const char *slash = strrchr(file, '/');
  char *s = espl_strdup(slash ? slash + 1 : file);
  size_t n = s ? strlen(s) : 0;
  if (n > 4 && strcmp(s + n - 4, ".csv") == 0) s[n - 4] = 0;
  return s;
}

espl_status espl_topology_parse(const char *file, const char *text, size_t n, espl_topo_form form, espl_topology **out, espl_err *err) {
  *out = NULL;
  if (n > MAX_BYTES) return espl_fail(err, ESPL_E_INPUT, "%s: %zu bytes, expected at most %d", file, n, MAX_BYTES);
  reader r = {.file = file, .form = form, .col = {-1, {-1, -1, -1, -1}}, .t = espl_calloc(1, sizeof *r.t), .err = err};
  if (!r.t || !(r.t->name = base_name(file))) {
    espl_topology_free(r.t);
    return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", file);
  }
  espl_status s = read_lines(&r, text, text + n);
  r.t->form = r.form;
  if (s == ESPL_OK) *out = r.t;
  else espl_topology_free(r.t);
  return s;
}

espl_status espl_topology_load(const char *path, espl_topo_form form, espl_topology **out, espl_err *err) {
  char *text = NULL;
  size_t n = 0;
  *out = NULL;
  ESPL_TRY(espl_read_file(path, MAX_BYTES, &text, &n, err));
  espl_status s = espl_topology_parse(path, text, n, form, out, err);
  free(text);
  return s;
}

void espl_topology_free(espl_topology *t) {
  if (!t) return;
  free(t->name);
  free(t->layer);
  free(t);
}

int64_t espl_topo_macs(const espl_topo_layer *l) { return l->gm * l->gn * l->gk * (l->depthwise ? l->c : 1); }

int64_t espl_topo_exact_macs(const espl_topo_layer *l) {
  if (l->gemm) return espl_topo_macs(l);
  int64_t h = ((int64_t)l->h + l->pt + l->pb - l->r) / l->stride + 1, w = ((int64_t)l->w + l->pl + l->pr - l->s) / l->stride + 1;
  return h * w * l->gn * l->gk * (l->depthwise ? l->c : 1);
}
