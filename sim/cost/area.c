/* The fitted model, its estimates and their errors on held-out points. */
#include "cost/area.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cost/area_int.h"
#include "cost/blocks.h"
#include "device/root.h"

#define RIDGE 1e-3
enum { ROUNDS = 12 }; /* of fitting coefficients and factors in turn */

struct espl_area_model {
  int32_t n;
  espl_area_row *row;
  espli_coefficients c[ESPLI_KINDS][ESPL_CORE_UNITS][ESPL_FAMILIES];
  int32_t of_family[ESPL_FAMILIES]; /* rows the coefficients come from */
  double flip_flop_cells;           /* logic cells that a flip-flop of an iCE40 core takes beside its tables */
};

/* Rows that a unit is fitted by, with their terms times the factor of their family. */
typedef struct sample {
  int32_t n;
  int terms;
  double (*x)[ESPLI_TERMS];
  double *y, *w;
  int *family;
} sample;

static double predict(const espli_coefficients *c, int terms, const double x[ESPLI_TERMS], int family) {
  double v = 0;
  for (int j = 0; j < terms; j++) v += c->b[j] * x[j];
  return v * c->factor[family];
}

static int in_scope(espl_core_unit u, espl_family of, espl_family row) {
  const int scope = espli_area_scope(u);
  return scope == 0 || (scope == 1 ? espli_tech(of) == espli_tech(row) : of == row);
}

static void collect(const espl_area_model *a, int kind, espl_core_unit u, espl_family f, const char *without, sample *s) {
  s->n = 0;
  for (int32_t i = 0; i < a->n; i++) {
    const espl_area_row *r = &a->row[i];
    if ((without && strcmp(without, r->point) == 0) || !in_scope(u, f, r->family)) continue;
    s->terms = espli_area_terms(u, &r->m, r->family, s->x[s->n]);
    s->y[s->n] = r->unit[kind][u];
    s->w[s->n] = 1 / (kind ? r->ff : r->lut);
    s->family[s->n] = (int)r->family;
    s->n++;
  }
}

/* The factor of each family, given the coefficients; pulled a little towards 1. */
static void fit_factors(const sample *s, espli_coefficients *c) {
  for (int t = 0; t < ESPL_FAMILIES; t++) {
    double yp = 0, pp = 0;
    c->factor[t] = 1;
    for (int32_t i = 0; i < s->n; i++) {
      if (s->family[i] != t) continue;
      const double p = s->w[i] * predict(c, s->terms, s->x[i], t);
      yp += s->w[i] * s->y[i] * p;
      pp += p * p;
    }
    const double pull = 0.02 * pp;
    if (pp > 0) c->factor[t] = (yp + pull) / (pp + pull);
  }
}

static void fit_unit(const sample *s, int shared, double (*scaled)[ESPLI_TERMS], espli_coefficients *c) {
  for (int t = 0; t < ESPL_FAMILIES; t++) c->factor[t] = 1;
  for (int round = 0; round < (shared ? ROUNDS : 1); round++) {
    for (int32_t i = 0; i < s->n; i++)
      for (int j = 0; j < s->terms; j++) scaled[i][j] = s->x[i][j] * c->factor[s->family[i]];
    espli_fit_nonnegative(s->n, s->terms, (const double (*)[ESPLI_TERMS])scaled, s->y, s->w, RIDGE, c->b);
    if (shared) fit_factors(s, c);
  }
}

/* Cells of an iCE40 core are its tables and the flip-flops that found no table before them: a share of all flip-flops. */
static double fit_cells(const espl_area_model *a, const char *without) {
  double over = 0, all = 0;
  for (int32_t i = 0; i < a->n; i++) {
    const espl_area_row *r = &a->row[i];
    if (r->cells < 0 || (without && strcmp(without, r->point) == 0)) continue;
    const double w = r->ff / (r->cells * r->cells);
    over += w * (r->cells - r->lut);
    all += w * r->ff;
  }
  return all > 0 ? over / all : 0;
}

static espl_status fit(espl_area_model *a, const char *without, espl_err *err) {
  const size_t n = (size_t)a->n;
  sample s = {.x = calloc(n, sizeof *s.x), .y = calloc(n, sizeof *s.y), .w = calloc(n, sizeof *s.w), .family = calloc(n, sizeof *s.family)};
  double(*scaled)[ESPLI_TERMS] = calloc(n, sizeof *scaled);
  espl_status st = s.x && s.y && s.w && s.family && scaled ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "cost model: out of memory");
  for (int k = 0; k < ESPLI_KINDS && st == ESPL_OK; k++)
    for (int u = 0; u < ESPL_CORE_UNITS; u++)
      for (int f = 0; f < ESPL_FAMILIES; f++) {
        if (espli_area_scope((espl_core_unit)u) == 0 && f > 0) {
          a->c[k][u][f] = a->c[k][u][0];
          continue;
        }
        collect(a, k, (espl_core_unit)u, (espl_family)f, without, &s);
        fit_unit(&s, espli_area_scope((espl_core_unit)u) == 0, scaled, &a->c[k][u][f]);
      }
  memset(a->of_family, 0, sizeof a->of_family);
  for (int32_t i = 0; i < a->n; i++) a->of_family[a->row[i].family] += !(without && strcmp(without, a->row[i].point) == 0);
  a->flip_flop_cells = fit_cells(a, without);
  free(s.x);
  free(s.y);
  free(s.w);
  free(s.family);
  free(scaled);
  return st;
}

espl_status espl_area_load(const char *path, espl_area_model **out, espl_err *err) {
  char at[PATH_MAX];
  if (!path) ESPL_TRY(espl_root_path("configs/cost/area.csv", at, sizeof at, err));
  espl_area_model *a = calloc(1, sizeof *a);
  if (!a) return espl_fail(err, ESPL_E_NOMEM, "cost model: out of memory");
  espl_status s = espli_area_read(path ? path : at, &a->row, &a->n, err);
  if (s == ESPL_OK) s = fit(a, NULL, err);
  if (s == ESPL_OK) *out = a;
  else espl_area_free(a);
  return s;
}

void espl_area_free(espl_area_model *a) {
  if (!a) return;
  free(a->row);
  free(a);
}

int32_t espl_area_rows(const espl_area_model *a) { return a->n; }
const espl_area_row *espl_area_row_at(const espl_area_model *a, int32_t i) { return &a->row[i]; }

const espl_area_row *espl_area_measured(const espl_area_model *a, const espl_machine *m, espl_family f) {
  for (int32_t i = 0; i < a->n; i++) {
    const espl_machine *r = &a->row[i].m;
    int same = a->row[i].family == f && espl_address_bits(r) == espl_address_bits(m);
#define X(c_name, RtlName, min, max) same = same && r->c_name == m->c_name;
    ESPL_PARAM_LIST(X)
#undef X
    if (same) return &a->row[i];
  }
  return NULL;
}

espl_status espl_area_estimate(const espl_area_model *a, const espl_machine *m, espl_family f, espl_area *out, espl_err *err) {
  ESPL_TRY(espl_machine_check(m, err));
  if (a->of_family[f] == 0) return espl_fail(err, ESPL_E_UNSUPPORTED, "the cost table has no point of family %s (make calibrate)", espl_family_name(f));
  espl_area e = {0};
  for (int u = 0; u < ESPL_CORE_UNITS; u++) {
    double x[ESPLI_TERMS];
    const int terms = espli_area_terms((espl_core_unit)u, m, f, x);
    for (int k = 0; k < ESPLI_KINDS; k++) {
      e.unit[k][u] = predict(&a->c[k][u][f], terms, x, (int)f);
      *(k ? &e.ff : &e.lut) += e.unit[k][u];
    }
  }
  e.cells = e.lut + (espli_tech(f) == 0 ? a->flip_flop_cells * e.ff : 0);
  e.dsp = espl_dsp_blocks(m, f);
  e.bram = espl_ram_blocks(m, f);
  *out = e;
  return ESPL_OK;
}

int espl_area_fits(const espl_area *a, const espl_board *b) {
  return espl_area_logic(a, b->family) <= (double)b->has[ESPL_LUT] && a->ff <= (double)b->has[ESPL_FF] && a->dsp <= b->has[ESPL_DSP] && a->bram <= b->has[ESPL_BRAM];
}

espl_status espl_area_held_out(const espl_area_model *a, int32_t i, espl_area *out, espl_err *err) {
  espl_area_model *b = malloc(sizeof *b);
  if (!b) return espl_fail(err, ESPL_E_NOMEM, "cost model: out of memory");
  *b = *a;
  espl_status s = fit(b, a->row[i].point, err);
  if (s == ESPL_OK) s = espl_area_estimate(b, &a->row[i].m, a->row[i].family, out, err);
  free(b);
  return s;
}

espl_status espl_area_check(const espl_area_model *a, espl_family f, espl_area_errors *out, espl_err *err) {
  espl_area_errors e = {0};
  for (int32_t i = 0; i < a->n; i++) {
    const espl_area_row *r = &a->row[i];
    espl_area v;
    espl_err why = {0};
    if (r->family != f) continue;
    e.dsp_wrong += espl_dsp_blocks(&r->m, f) != r->dsp;
    e.bram_wrong += espl_ram_blocks(&r->m, f) != r->bram;
    espl_status s = espl_area_held_out(a, i, &v, &why);
    if (s == ESPL_E_UNSUPPORTED) continue;
    if (s != ESPL_OK) return espl_fail(err, s, "%s", why.msg);
    const double error[] = {fabs((r->cells >= 0 ? v.cells / r->cells : v.lut / r->lut) - 1), fabs(v.ff / r->ff - 1)};
    for (int k = 0; k < ESPLI_KINDS; k++) {
      e.mean[k] += error[k];
      if (error[k] > e.worst[k]) e.worst[k] = error[k];
    }
    e.rows++;
  }
  for (int k = 0; k < ESPLI_KINDS && e.rows > 0; k++) e.mean[k] /= e.rows;
  *out = e;
  return ESPL_OK;
}
