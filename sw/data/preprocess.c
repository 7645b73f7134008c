/* From stored bytes to network input, and how that recipe travels as text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/rng.h"
#include "data/data.h"

#define CHANNELS 4
#define PAD 4

void espl_preprocess_default(espl_preprocess *p) {
  *p = (espl_preprocess){0};
  for (int c = 0; c < CHANNELS; c++) p->std[c] = 1.0f;
}

static espl_status check_value(const char *what, double v, float *out, espl_err *err) {
  bool is_std = strcmp(what, "std") == 0;
  if (!isfinite(v) || fabs(v) > 1e6 || (is_std && !(v > 1e-9)))
    return espl_fail(err, ESPL_E_INPUT, "%s: %g, expected a finite number%s", what, v, is_std ? " above 0" : "");
  *out = (float)v;
  return ESPL_OK;
}

/* One value stands for every channel. */
static void spread(float *v, int n) {
  for (int c = 1; n == 1 && c < CHANNELS; c++) v[c] = v[0];
}

static espl_status parse_csv(const char *what, const char *csv, float *out, espl_err *err) {
  const char *s = csv;
  int n = 0;
  for (;;) {
    char *end;
    double v = strtod(s, &end);
    if (end == s || (*end && *end != ',')) return espl_fail(err, ESPL_E_INPUT, "%s: \"%s\" is not a list of numbers a,b,c", what, csv);
    if (n == CHANNELS) return espl_fail(err, ESPL_E_INPUT, "%s: \"%s\" has more than %d values", what, csv, CHANNELS);
    ESPL_TRY(check_value(what, v, &out[n++], err));
    if (!*end) break;
    s = end + 1;
  }
  if (n == 2) return espl_fail(err, ESPL_E_INPUT, "%s: \"%s\" has 2 values, expected 1 or one a channel", what, csv);
  spread(out, n);
  return ESPL_OK;
}

espl_status espl_preprocess_parse(espl_preprocess *p, const char *mean_csv, const char *std_csv, int raw, espl_err *err) {
  espl_preprocess_default(p);
  p->raw = raw != 0;
  if (mean_csv) ESPL_TRY(parse_csv("mean", mean_csv, p->mean, err));
  if (std_csv) ESPL_TRY(parse_csv("std", std_csv, p->std, err));
  return ESPL_OK;
}

static espl_status json_values(const char *what, const espl_json_value *v, float *out, espl_err *err) {
  size_t n = espl_json_count(v);
  if (espl_json_value_kind(v) != ESPL_JSON_ARRAY || n < 1 || n > CHANNELS)
    return espl_fail(err, ESPL_E_INPUT, "espalier.preprocess: %s is not an array of 1 to %d numbers", what, CHANNELS);
  for (size_t i = 0; i < n; i++) ESPL_TRY(check_value(what, espl_json_number(espl_json_at(v, i), NAN), &out[i], err));
  spread(out, (int)n);
  return ESPL_OK;
}

static espl_status json_range(const espl_json_value *v, int *raw, espl_err *err) {
  double lo = espl_json_number(espl_json_at(v, 0), -1), hi = espl_json_number(espl_json_at(v, 1), -1);
  bool one = lo == 0 && hi == 1, bytes = lo == 0 && hi == 255;
  if (espl_json_count(v) != 2 || !(one || bytes))
    return espl_fail(err, ESPL_E_UNSUPPORTED, "espalier.preprocess: range is [%g,%g], [0,1] and [0,255] are supported", lo, hi);
  *raw = bytes;
  return ESPL_OK;
}

static espl_status json_member(espl_preprocess *p, const char *key, const espl_json_value *v, espl_err *err) {
  if (strcmp(key, "range") == 0) return json_range(v, &p->raw, err);
  if (strcmp(key, "mean") == 0) return json_values("mean", v, p->mean, err);
  if (strcmp(key, "std") == 0) return json_values("std", v, p->std, err);
  const char *text = espl_json_string(v, "");
  p->bgr = p->bgr || (strcmp(key, "order") == 0 && strcmp(text, "bgr") == 0);
  if (strcmp(key, "order") == 0 && (strcmp(text, "rgb") == 0 || p->bgr)) return ESPL_OK;
  if (strcmp(key, "size") == 0) return ESPL_OK; /* the input shape says it already */
  return espl_fail(err, ESPL_E_UNSUPPORTED, "espalier.preprocess: %s \"%s\" is not supported", key, text);
}

espl_status espl_preprocess_from_json(espl_preprocess *p, const char *json, espl_err *err) {
  espl_preprocess_default(p);
  if (!json) return ESPL_OK;
  espl_json_doc *doc = NULL;
  ESPL_TRY(espl_json_parse("espalier.preprocess", json, strlen(json), &doc, err));
  const espl_json_value *root = espl_json_root(doc);
  espl_status s = ESPL_OK;
  if (espl_json_value_kind(root) != ESPL_JSON_OBJECT) s = espl_fail(err, ESPL_E_INPUT, "espalier.preprocess: is not a JSON object");
  for (size_t i = 0; s == ESPL_OK && i < espl_json_count(root); i++)
    s = json_member(p, espl_json_key_at(root, i), espl_json_at(root, i), err);
  espl_json_doc_free(doc);
  return s;
}

static void put_values(espl_json *w, const char *key, const float *v, int n) {
  espl_json_array(w, key);
  for (int c = 0; c < n; c++) {
    char shortest[32]; /* 9 digits name a float; the shortest that does is kept */
    int digits = 1;
    do snprintf(shortest, sizeof shortest, "%.*g", digits, (double)v[c]);
    while (strtof(shortest, NULL) != v[c] && ++digits <= 9);
    espl_json_num(w, NULL, strtod(shortest, NULL));
  }
  espl_json_close(w);
}

char *espl_preprocess_to_json(const espl_preprocess *p, int channels) {
  int n = channels < 1 ? 1 : channels > CHANNELS ? CHANNELS : channels;
  espl_json *w = espl_json_to_buffer(0);
  if (!w) return NULL;
  espl_json_object(w, NULL);
  espl_json_array(w, "range");
  espl_json_int(w, NULL, 0);
  espl_json_int(w, NULL, p->raw ? 255 : 1);
  espl_json_close(w);
  put_values(w, "mean", p->mean, n);
  put_values(w, "std", p->std, n);
  espl_json_str(w, "order", p->bgr ? "bgr" : "rgb");
  espl_json_close(w);
  char *text = NULL;
  return espl_json_finish(w, &text, NULL) == ESPL_OK ? text : NULL;
}

static void make_table(const espl_preprocess *p, int c, float table[256]) {
  float scale = p->raw ? 1.0f : 1.0f / 255.0f;
  for (int v = 0; v < 256; v++) table[v] = ((float)v * scale - p->mean[c]) / p->std[c];
}

/* Pixels moved in from outside are stored zeros, so they become -mean/std like any black pixel. */
void espl_data_image(const espl_dataset *d, int32_t index, const espl_preprocess *p, uint64_t aug_key, int flip, float *out) {
  const int32_t ch = d->shape.c, h = d->shape.h, w = d->shape.w;
  const uint8_t *src = d->pixels + (size_t)index * (size_t)espl_shape_elems(d->shape);
  int32_t dy = 0, dx = 0;
  bool mirror = false;
  if (aug_key) {
    dy = (int32_t)espl_rng_below(aug_key, (uint64_t)index, 0, 2 * PAD + 1) - PAD;
    dx = (int32_t)espl_rng_below(aug_key, (uint64_t)index, 1, 2 * PAD + 1) - PAD;
    mirror = flip && espl_rng_below(aug_key, (uint64_t)index, 2, 2);
  }
  for (int32_t c = 0; c < ch; c++) {
    float table[256];
    const uint8_t *plane = src + (size_t)(p->bgr && ch == 3 ? 2 - c : c) * (size_t)h * (size_t)w;
    make_table(p, c < CHANNELS ? c : CHANNELS - 1, table);
    for (int32_t y = 0; y < h; y++) {
      const int32_t sy = y + dy;
      const uint8_t *row = plane + (size_t)(sy < 0 || sy >= h ? 0 : sy) * (size_t)w;
      float *to = out + ((size_t)c * h + y) * w;
      for (int32_t x = 0; x < w; x++) {
        const int32_t sx = (mirror ? w - 1 - x : x) + dx;
        to[x] = table[sy < 0 || sy >= h || sx < 0 || sx >= w ? 0 : row[sx]];
      }
    }
  }
}
