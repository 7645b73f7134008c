/* The two plots about accuracy: every variant over its cycles, and steering beside its controls. Accuracy axes end at 100 %. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/report_int.h"

#define MAX_NAMED 24 /* with more points only the front, the baseline and the chosen variant carry a name */
#define PLOT_W 900
#define PLOT_H 430
/* The plot area of the front, in pixels: fixed, so that labels can be placed before gnuplot runs. */
#define LEFT 75
#define RIGHT 25
#define TOP 50
#define BOTTOM 60
#define AREA_W (PLOT_W - LEFT - RIGHT)
#define AREA_H (PLOT_H - TOP - BOTTOM)

static int shown(const espl_store_variant *v, int which) { return v->done && v->cycles >= 0 && !isnan(espli_accuracy(v, which)); }

/* Not dominated: no other variant is at least as good in both and better in one. */
static int on_front(const struct espli_report *r, size_t i, int which) {
  const espl_store_variant *v = &r->variant[i].d;
  for (size_t k = 0; k < r->n_variants; k++) {
    const espl_store_variant *o = &r->variant[k].d;
    double a = espli_accuracy(v, which), b = espli_accuracy(o, which);
    if (k == i || !shown(o, which)) continue;
    if (o->cycles <= v->cycles && b >= a && (o->cycles < v->cycles || b > a)) return 0;
  }
  return 1;
}

/* Axis limits: x in thousand cycles, y in percent and inside 0 to 100. */
struct frame {
  double x0, x1, y0, y1;
};

static struct frame frame_of(const struct espli_report *r, int which) {
  struct frame a = {INFINITY, -INFINITY, INFINITY, -INFINITY};
  for (size_t i = 0; i < r->n_variants; i++) {
    const espl_store_variant *v = &r->variant[i].d;
    if (!shown(v, which)) continue;
    a.x0 = fmin(a.x0, (double)v->cycles / 1000), a.x1 = fmax(a.x1, (double)v->cycles / 1000);
    a.y0 = fmin(a.y0, 100 * espli_accuracy(v, which)), a.y1 = fmax(a.y1, 100 * espli_accuracy(v, which));
  }
  double dx = fmax(0.12 * (a.x1 - a.x0), 0.01 * a.x1 + 1e-3), dy = fmax(0.08 * (a.y1 - a.y0), 0.5);
  return (struct frame){fmax(0, a.x0 - 1.5 * dx), a.x1 + dx, fmax(0, a.y0 - dy), fmin(100, a.y1 + dy)};
}

static int front_row(FILE *f, const espl_store_variant *v, int which) {
  fprintf(f, "%.9g %.9g\n", (double)v->cycles / 1000, 100 * espli_accuracy(v, which));
  return 1;
}

/* Names, each with a thin line to its point where it had to move away. */
static espl_status labels(FILE *f, const struct espli_report *r, int which, struct frame a, int many, espl_err *err) {
  struct espli_mark *m = espl_calloc(r->n_variants, sizeof *m);
  size_t n = 0;
  if (!m) return espl_fail(err, ESPL_E_NOMEM, "no memory for a plot");
  for (size_t i = 0; i < r->n_variants; i++) {
    const espl_store_variant *v = &r->variant[i].d;
    if (!shown(v, which)) continue;
    int named = !many || on_front(r, i, which) || r->variant[i].d.kind == ESPL_VARIANT_BASELINE || (int)i == r->chosen;
    m[n++] = (struct espli_mark){.x = ((double)v->cycles / 1000 - a.x0) / (a.x1 - a.x0) * AREA_W,
                                 .y = (a.y1 - 100 * espli_accuracy(v, which)) / (a.y1 - a.y0) * AREA_H, .text = named ? v->name : NULL};
  }
  espli_place_labels(m, n, AREA_W, AREA_H);
  for (size_t i = 0; i < n; i++) {
    if (!m[i].placed) continue;
    fputs("set label ", f);
    espli_plot_quoted(f, m[i].text, 60);
    fprintf(f, " at graph %.5f, graph %.5f left font ',11' textcolor rgb '#4b5563' front boxed\n", m[i].left / AREA_W, 1 - espli_label_middle(&m[i]) / AREA_H);
    if (m[i].placed == 2)
      fprintf(f, "set arrow from graph %.5f, graph %.5f to graph %.5f, graph %.5f nohead back lw 1 lc rgb '#6b7280'\n", m[i].x / AREA_W, 1 - m[i].y / AREA_H,
              m[i].anchor_x / AREA_W, 1 - m[i].anchor_y / AREA_H);
  }
  free(m);
  return ESPL_OK;
}

static void front_series(FILE *f, const int used[ESPL_VARIANT_KIND_COUNT], int front) {
  static const char *const color[] = {"#111827", "#2563eb", "#d97706", "#7c3aed", "#0f766e"};
  static const int point[] = {7, 5, 9, 13, 11};
  const char *comma = "";
  fputs("plot ", f);
  if (front > 1) fprintf(f, "$front using 1:2 smooth unique with lines lw 1.5 lc rgb '#94a3b8' title 'front'"), comma = ", ";
  for (int k = 0; k < ESPL_VARIANT_KIND_COUNT; k++) {
    if (!used[k]) continue;
    fprintf(f, "%s$k%d using 1:2 with points pt %d ps 0.9 lc rgb '%s' title '%s'", comma, k, point[k], color[k], espl_variant_kind_name((espl_variant_kind)k));
    comma = ", ";
  }
  fputc('\n', f);
}

espl_status espli_plot_front(struct espli_maker *m, char **svg) {
  const struct espli_report *r = m->r;
  int which = espli_accuracy_choice(r), any = 0, used[ESPL_VARIANT_KIND_COUNT] = {0}, front = 0;
  char *script = NULL;
  size_t n = 0;
  for (size_t i = 0; i < r->n_variants; i++) any += shown(&r->variant[i].d, which);
  if (any < 2) return ESPL_OK;
  FILE *f = espli_plot_begin(m, &script, &n);
  if (!f) return ESPL_E_NOMEM;
  for (int k = 0; k < ESPL_VARIANT_KIND_COUNT; k++) {
    fprintf(f, "$k%d << EOD\n", k);
    for (size_t i = 0; i < r->n_variants; i++)
      if ((int)r->variant[i].d.kind == k && shown(&r->variant[i].d, which)) used[k] |= front_row(f, &r->variant[i].d, which);
    fputs("EOD\n", f);
  }
  fputs("$front << EOD\n", f);
  for (size_t i = 0; i < r->n_variants; i++)
    if (shown(&r->variant[i].d, which) && on_front(r, i, which)) front += front_row(f, &r->variant[i].d, which);
  struct frame a = frame_of(r, which);
  fprintf(f, "EOD\nset lmargin at screen %.5f\nset rmargin at screen %.5f\nset tmargin at screen %.5f\nset bmargin at screen %.5f\n", (double)LEFT / PLOT_W,
          1 - (double)RIGHT / PLOT_W, 1 - (double)TOP / PLOT_H, (double)BOTTOM / PLOT_H);
  fputs("set style textbox opaque noborder margins 0.2,0.2\n", f); /* lines pass under the names */
  fprintf(f, "set xrange [%.9g:%.9g]\nset yrange [%.9g:%.9g]\nset xlabel 'latency (thousand cycles per image)'\nset ylabel '%s (%%)'\n", a.x0, a.x1, a.y0, a.y1,
          espli_accuracy_name(which));
  espl_status s = labels(f, r, which, a, any > MAX_NAMED, m->err);
  if (s != ESPL_OK) {
    fclose(f);
    free(script);
    return s;
  }
  front_series(f, used, front);
  return espli_plot_finish(m, f, &script, PLOT_W, PLOT_H, svg);
}

/* --- steering and controls ------------------------------------------------------------------------------------------ */

#define MAX_CRITERIA 8

/* Criteria in order of appearance, "cycles" first. */
static int criteria(const struct espli_report *r, const char *names[MAX_CRITERIA]) {
  int n = 1;
  names[0] = "cycles";
  for (size_t i = 0; i < r->n_variants; i++) {
    const char *by = r->variant[i].d.steered_by;
    int k = 0;
    if (!by) continue;
    while (k < n && strcmp(names[k], by) != 0) k++;
    if (k == n && n < MAX_CRITERIA) names[n++] = by;
  }
  return n;
}

/* Bars of one budget and kind stand together; a kind without a control has nothing to compare and is left out. */
static int compared(const struct espli_report *r, size_t i) {
  int controls = 0;
  if (!espli_steering_leads(r, i)) return 0;
  for (size_t k = 0; k < r->n_variants; k++)
    controls += espli_steering_together(r, i, k) && strcmp(r->variant[k].d.steered_by, "cycles") != 0;
  return controls > 0;
}

/* One bar a group for criterion c of n; returns how many. */
static int bars(FILE *f, const struct espli_report *r, int c, int n, const char *name) {
  int g = 0, drawn = 0;
  fprintf(f, "$s%d << EOD\n", c);
  for (size_t i = 0; i < r->n_variants; i++) {
    if (!compared(r, i)) continue;
    for (size_t k = 0; k < r->n_variants; k++) {
      const espl_store_variant *v = &r->variant[k].d;
      if (!espli_steering_together(r, i, k) || strcmp(v->steered_by, name) != 0 || isnan(v->int8_val)) continue;
      fprintf(f, "%d %.9g \"%.1f\"\n", g * (n + 1) + c, 100 * v->int8_val, 100 * v->int8_val);
      drawn++;
    }
    g++;
  }
  fputs("EOD\n", f);
  return drawn;
}

static void group_axis(FILE *f, const struct espli_report *r, int n) {
  int g = 0;
  fputs("set xtics (", f);
  for (size_t i = 0; i < r->n_variants; i++) {
    const espl_store_variant *v = &r->variant[i].d;
    if (!compared(r, i)) continue;
    fprintf(f, "%s\"%s, at most %" PRId64 " cycles\" %.1f", g ? ", " : "", espl_variant_kind_name(v->kind), v->budget_cycles, g * (n + 1) + (n - 1) / 2.0);
    g++;
  }
  fprintf(f, ")\nset xrange [-1:%d]\n", g * (n + 1) - 1);
}

espl_status espli_plot_steering(struct espli_maker *m, char **svg) {
  static const char *const color[MAX_CRITERIA] = {"#0f766e", "#b45309", "#2563eb", "#7c3aed", "#be185d", "#4d7c0f", "#475569", "#0e7490"};
  const struct espli_report *r = m->r;
  const char *names[MAX_CRITERIA];
  int n_names = criteria(r, names), used[MAX_CRITERIA], any = 0;
  char *script = NULL;
  size_t n = 0;
  for (size_t i = 0; i < r->n_variants; i++) any += compared(r, i);
  if (!any) return ESPL_OK;
  FILE *f = espli_plot_begin(m, &script, &n);
  if (!f) return ESPL_E_NOMEM;
  for (int c = 0; c < n_names; c++) used[c] = bars(f, r, c, n_names, names[c]);
  group_axis(f, r, n_names);
  fputs("set ylabel 'int8 validation accuracy (%)'\nset yrange [0:100]\nset style fill solid\nset boxwidth 0.8\nplot NaN notitle", f);
  for (int c = 0; c < n_names; c++) {
    if (!used[c]) continue;
    fprintf(f, ", $s%d using 1:2 with boxes lc rgb '%s' title ", c, color[c]);
    espli_plot_quoted(f, c == 0 ? "exact cycles" : names[c], 40);
    fprintf(f, ", $s%d using 1:2:3 with labels offset 0,-0.7 font ',11' textcolor rgb '#ffffff' notitle", c);
  }
  fputc('\n', f);
  return espli_plot_finish(m, f, &script, PLOT_W, 330, svg);
}
