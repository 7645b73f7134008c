/* Weights narrower than int8. */
#include "quant/narrow.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- specs ---- */

static bool read_form(const char *s, size_t n, espl_weight_form *f) {
  static const char book[] = "codebook:";
  size_t k = sizeof book - 1;
  *f = (espl_weight_form){127, 0};
  if (n == 4 && strncmp(s, "int8", 4) == 0) return true;
  if (n == 4 && strncmp(s, "int4", 4) == 0) {
    f->most = 7;
    return true;
  }
  if (n != k + 1 || strncmp(s, book, k) != 0 || s[k] < '2' || s[k] > '7') return false;
  f->book_bits = s[k] - '0';
  return true;
}

/* Next item of a spec: [*name, *name + *name_n) is empty for the form of all layers. NULL at the end. */
static const char *next_item(const char *s, const char **name, size_t *name_n, const char **form, size_t *form_n) {
  if (!*s) return NULL;
  size_t n = strcspn(s, ",");
  const char *eq = memrchr(s, '=', n);
  *name = s;
  *name_n = eq ? (size_t)(eq - s) : 0;
  *form = eq ? eq + 1 : s;
  *form_n = n - (size_t)(*form - s);
  return s + n + (s[n] == ',');
}

static espl_status bad_form(const char *s, size_t n, espl_err *err) {
  if (n > 6 && strncmp(s, "mixed:", 6) == 0)
    return espl_fail(err, ESPL_E_INPUT, "weights: %.*s stands alone and is a choice that espalier quantize makes; its file takes the place of the network", (int)n, s);
  return espl_fail(err, ESPL_E_INPUT, "weights: \"%.*s\" is no form; expected int8, int4 or codebook:B with B from 2 to 7, for all or as LAYER=FORM", (int)n, s);
}

espl_status espl_weight_form_of(const char *spec, const char *node, espl_weight_form *out, espl_err *err) {
  const char *name, *form;
  size_t name_n, form_n;
  *out = (espl_weight_form){127, 0};
  for (const char *s = spec ? spec : ""; (s = next_item(s, &name, &name_n, &form, &form_n));) {
    espl_weight_form f;
    if (!read_form(form, form_n, &f)) return bad_form(form, form_n, err);
    if (name_n == 0 || (strlen(node) == name_n && strncmp(name, node, name_n) == 0)) *out = f;
  }
  return ESPL_OK;
}

espl_status espl_weight_spec_check(const char *spec, const espl_graph *g, espl_err *err) {
  const char *name, *form;
  size_t name_n, form_n;
  for (const char *s = spec ? spec : ""; (s = next_item(s, &name, &name_n, &form, &form_n));) {
    espl_weight_form f;
    if (!read_form(form, form_n, &f)) return bad_form(form, form_n, err);
    bool found = name_n == 0;
    for (int32_t i = 0; i < g->nodes && !found; i++) {
      const espl_node *n = &g->node[i];
      found = (n->op == ESPL_OP_CONV || n->op == ESPL_OP_GEMM) && strlen(n->name) == name_n && strncmp(n->name, name, name_n) == 0;
    }
    if (!found) return espl_fail(err, ESPL_E_INPUT, "weights: network %s has no layer \"%.*s\" with weights", g->name, (int)name_n, name);
  }
  return ESPL_OK;
}

/* ---- scale ---- */

double q_least_error_scale(const double *w, int64_t n, double top, int32_t most) {
  double best = INFINITY, scale = top / most;
  for (int k = 0; k <= 24; k++) {
    double s = top / most * (1.0 - 0.025 * k), sum = 0;
    for (int64_t i = 0; i < n; i++) {
      double e = w[i] - s * fmin(most, fmax(-most, nearbyint(w[i] / s)));
      sum += e * e;
    }
    if (sum < best) {
      best = sum;
      scale = s;
    }
  }
  return scale;
}

/* ---- codebook ---- */

enum { VALUES = 256, SIDES = 2 };

/* Prefix sums over values -128..127 (bin v + 128): weight, weight*v, weight*v^2. */
typedef struct moments {
  double n[VALUES + 1], s[VALUES + 1], q[VALUES + 1];
} moments;

/* Error of bins [i, j) as one value; the best nonzero one through *value, or zero itself. */
static double cluster(const moments *m, int32_t i, int32_t j, bool zero, int32_t *value) {
  double n = m->n[j] - m->n[i], s = m->s[j] - m->s[i], q = m->q[j] - m->q[i], c = n > 0 ? nearbyint(s / n) : 0;
  *value = zero ? 0 : (int32_t)c;
  if (zero || n == 0) return zero ? q : 0;
  if (*value == 0) return INFINITY; /* such a range belongs to zero */
  return fmax(0, q - 2 * c * s + c * c * n);
}

/* Best partition of the first j bins into k nonzero clusters, with or without the zero cluster. */
typedef struct step {
  double error;
  int16_t from; /* first bin of the last cluster */
  bool zero;    /* the last cluster is zero */
} step;

static void relax(step *to, const step *from, double cost, int32_t i, bool zero) {
  if (from->error + cost < to->error) *to = (step){from->error + cost, (int16_t)i, zero};
}

static void partition(const moments *m, int32_t most, step *table) {
  size_t row = VALUES + 1;
  int32_t v;
  for (size_t k = 0; k < SIDES * (size_t)(most + 1) * row; k++) table[k].error = INFINITY;
  table[0].error = 0;
  for (int32_t z = 0; z < SIDES; z++)
    for (int32_t k = 0; k <= most; k++)
      for (int32_t j = 1; j <= VALUES; j++) {
        step *to = &table[((size_t)z * (size_t)(most + 1) + (size_t)k) * row + (size_t)j];
        for (int32_t i = 0; i < j; i++) {
          const step *without = &table[(size_t)k * row + (size_t)i];
          if (z && i <= 128 && j > 128 && isfinite(without->error)) relax(to, without, cluster(m, i, j, true, &v), i, true);
          if (k > 0 && (to - row + i - j)->error < to->error) relax(to, to - row + i - j, cluster(m, i, j, false, &v), i, false);
        }
      }
}

espl_status q_codebook(int8_t *w, int32_t channels, int64_t n, const float *scale, int32_t bits, espl_err *err) {
  moments m = {0};
  double weight[VALUES] = {0};
  int32_t most = (1 << bits) - 1;
  int8_t map[VALUES];
  step *table = espl_calloc(SIDES * (size_t)(most + 1) * (VALUES + 1), sizeof *table);
  if (!table) return espl_fail(err, ESPL_E_NOMEM, "codebook: out of memory");
  for (int32_t o = 0; o < channels; o++)
    for (int64_t j = 0; j < n; j++) weight[w[o * n + j] + 128] += (double)scale[o] * scale[o];
  for (int32_t i = 0; i < VALUES; i++) {
    double v = i - 128;
    m.n[i + 1] = m.n[i] + weight[i];
    m.s[i + 1] = m.s[i] + weight[i] * v;
    m.q[i + 1] = m.q[i] + weight[i] * v * v;
  }
  partition(&m, most, table);
  size_t row = VALUES + 1;
  int32_t best = 0, z = 1;
  for (int32_t k = 1; k <= most; k++)
    if (table[((size_t)(most + 1) + (size_t)k) * row + VALUES].error < table[((size_t)(most + 1) + (size_t)best) * row + VALUES].error) best = k;
  for (int32_t j = VALUES, k = best; j > 0;) {
    const step *s = &table[((size_t)z * (size_t)(most + 1) + (size_t)k) * row + (size_t)j];
    int32_t value;
    (void)cluster(&m, s->from, j, s->zero, &value);
    for (int32_t i = s->from; i < j; i++) map[i] = (int8_t)value;
    j = s->from;
    if (s->zero) z = 0;
    else k--;
  }
  for (int64_t i = 0; i < (int64_t)channels * n; i++) w[i] = map[w[i] + 128];
  free(table);
  return ESPL_OK;
}
