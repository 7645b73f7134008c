/* The four kinds of plot as gnuplot scripts. Units stand on every axis; colours are readable without red-green vision. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/report_int.h"

#define INK "#1f2937"
#define ACCENT "#0f766e"
#define MUTED "#9ca3af"

static const char *const cause_colors[ESPLI_MAX_CAUSES] = {"#d97706", "#7c3aed", "#2563eb", "#db2777", "#65a30d", "#b45309", "#0891b2", "#be123c",
                                                           "#4f46e5", "#a16207", "#15803d", "#9333ea", "#c2410c", "#0e7490", "#4d7c0f", "#86198f"};

struct maker {
  const struct espli_report *r;
  int serial, present;
  espl_err *err;
};

/* A name inside a quoted gnuplot string of at most `most` characters: quotes, backslashes and control characters become spaces. */
static void quoted(FILE *f, const char *s, size_t most) {
  size_t n = s ? strlen(s) : 0;
  fputc('"', f);
  if (n > most) fputs("…", f);
  for (const char *c = n > most ? s + n - most : s; c && *c; c++) fputc((unsigned char)*c < 0x20 || *c == '"' || *c == '\\' ? ' ' : *c, f);
  fputc('"', f);
}

/* NAN where the value is unknown: gnuplot leaves the point out. */
static void number(FILE *f, double v) {
  if (isnan(v))
    fputs(" NaN", f);
  else
    fprintf(f, " %.9g", v);
}

static espl_status finish(struct maker *m, FILE *f, char **script, int width, int height, char **svg) {
  espl_status s = ESPL_OK;
  if (fclose(f) != 0) s = espl_fail(m->err, ESPL_E_NOMEM, "no memory for a plot");
  if (s == ESPL_OK) s = espli_gnuplot(*script, width, height, m->serial++, svg, &m->present, m->err);
  free(*script);
  return s;
}

static FILE *begin(struct maker *m, char **script, size_t *n) {
  FILE *f = open_memstream(script, n);
  if (!f) (void)espl_fail(m->err, ESPL_E_NOMEM, "no memory for a plot");
  return f;
}

/* Not dominated: no other variant is at least as good in both and better in one. */
static int on_front(const struct espli_report *r, size_t i, int which) {
  const espl_store_variant *v = &r->variant[i].d;
  for (size_t k = 0; k < r->n_variants; k++) {
    const espl_store_variant *o = &r->variant[k].d;
    double a = espli_accuracy(v, which), b = espli_accuracy(o, which);
    if (k == i || o->cycles < 0 || isnan(b)) continue;
    if (o->cycles <= v->cycles && b >= a && (o->cycles < v->cycles || b > a)) return 0;
  }
  return 1;
}

static int shown(const espl_store_variant *v, int which) { return v->done && v->cycles >= 0 && !isnan(espli_accuracy(v, which)); }

static int front_row(FILE *f, const struct espli_report *r, size_t i, int which) {
  const espl_store_variant *v = &r->variant[i].d;
  fprintf(f, "%.9g %.9g ", (double)v->cycles / 1000, 100 * espli_accuracy(v, which));
  quoted(f, v->name, 28);
  fputc('\n', f);
  return 1;
}

static espl_status plot_front(struct maker *m, char **svg) {
  static const char *const color[] = {"#111827", "#2563eb", "#d97706", "#7c3aed", "#0f766e"};
  static const int point[] = {7, 5, 9, 13, 11};
  const struct espli_report *r = m->r;
  int which = espli_accuracy_choice(r), any = 0, used[ESPL_VARIANT_KIND_COUNT] = {0}, front = 0;
  char *script = NULL;
  size_t n = 0;
  for (size_t i = 0; i < r->n_variants; i++) any += shown(&r->variant[i].d, which);
  if (any < 2) return ESPL_OK;
  FILE *f = begin(m, &script, &n);
  if (!f) return ESPL_E_NOMEM;
  for (int k = 0; k < ESPL_VARIANT_KIND_COUNT; k++) {
    fprintf(f, "$k%d << EOD\n", k);
    for (size_t i = 0; i < r->n_variants; i++)
      if ((int)r->variant[i].d.kind == k && shown(&r->variant[i].d, which)) used[k] |= front_row(f, r, i, which);
    fputs("EOD\n", f);
  }
  fputs("$front << EOD\n", f);
  for (size_t i = 0; i < r->n_variants; i++)
    if (shown(&r->variant[i].d, which) && on_front(r, i, which)) front += front_row(f, r, i, which);
  fputs("EOD\n", f);
  fprintf(f, "set xlabel 'latency (thousand cycles per image)'\nset ylabel '%s (%%)'\nset format y '%%.1f'\nset offsets graph 0.06, graph 0.14, graph 0.08, graph 0.06\nplot ",
          espli_accuracy_name(which));
  if (front > 1) fputs("$front using 1:2 smooth unique with lines lw 1.5 lc rgb '#94a3b8' title 'front', ", f);
  for (int k = 0; k < ESPL_VARIANT_KIND_COUNT; k++)
    if (used[k])
      fprintf(f, "$k%d using 1:2 with points pt %d ps 0.9 lc rgb '%s' title '%s', $k%d using 1:2:3 with labels left offset 0.8,0.55 font ',11' textcolor rgb '#4b5563' notitle, ",
              k, point[k], color[k], espl_variant_kind_name((espl_variant_kind)k), k);
  fputs("1/0 notitle\n", f);
  return finish(m, f, &script, 900, 430, svg);
}

static void roofline_points(FILE *f, const struct espli_variant *v, const char *block) {
  fprintf(f, "$%s << EOD\n", block);
  for (size_t i = 0; v && i < v->n_layers; i++) {
    const espl_store_layer *l = &v->layer[i].d;
    if (l->macs > 0 && l->cycles > 0 && l->read_bytes + l->write_bytes > 0)
      fprintf(f, "%.9g %.9g\n", (double)l->macs / (double)(l->read_bytes + l->write_bytes), (double)l->macs / (double)l->cycles);
  }
  fputs("EOD\n", f);
}

/* Ceilings: R*C multiply-accumulates a cycle, and what the memory port feeds at best (both paths busy). */
static espl_status plot_roofline(struct maker *m, char **svg) {
  const struct espli_report *r = m->r;
  const struct espli_variant *base = r->baseline >= 0 ? &r->variant[r->baseline] : NULL, *chosen = r->chosen >= 0 ? &r->variant[r->chosen] : NULL;
  double peak = r->rows * r->cols, rate = r->shared_path ? r->read_rate : r->read_rate + r->write_rate;
  char *script = NULL;
  size_t n = 0;
  int points = (base && base->n_layers) || (chosen && chosen->n_layers);
  if (peak <= 0 || rate <= 0 || !points) return ESPL_OK;
  FILE *f = begin(m, &script, &n);
  if (!f) return ESPL_E_NOMEM;
  roofline_points(f, base, "base");
  roofline_points(f, chosen, "chosen");
  fprintf(f,
          "set logscale xy\nset grid x y\nset xlabel 'intensity (MAC per byte moved)'\nset ylabel 'throughput (MAC per cycle)'\n"
          "set xrange [0.1:*]\nset yrange [*:%g]\nset format xy '%%g'\nroof(x) = x*%g < %g ? x*%g : %g\nset samples 500\n"
          "plot [0.1:1000] roof(x) with lines lw 2 lc rgb '" INK "' title 'roof: %g MAC per cycle, %g bytes per cycle'",
          peak * 2, rate, peak, rate, peak, peak, rate);
  if (base && base->n_layers) fputs(", $base using 1:2 with points pt 6 ps 0.8 lw 1.5 lc rgb '" MUTED "' title 'layers of the baseline'", f);
  if (chosen && chosen->n_layers) {
    fputs(", $chosen using 1:2 with points pt 7 ps 0.7 lc rgb '" ACCENT "' title ", f);
    char title[96];
    snprintf(title, sizeof title, "layers of %.60s", chosen->d.name);
    quoted(f, title, 80);
  }
  fputc('\n', f);
  return finish(m, f, &script, 900, 430, svg);
}

static int bar_width(const struct espli_variant *v) {
  int w = 170 + (int)v->n_layers * 26;
  return w < 900 ? 900 : w > 4000 ? 4000 : w;
}

static espl_status plot_utilization(struct maker *m, const struct espli_variant *v, char **svg) {
  char *script = NULL;
  size_t n = 0;
  FILE *f = begin(m, &script, &n);
  if (!f) return ESPL_E_NOMEM;
  fputs("$d << EOD\n", f);
  for (size_t i = 0; i < v->n_layers; i++) {
    quoted(f, v->layer[i].d.name, 26);
    number(f, 100 * v->layer[i].d.utilization);
    number(f, 100 * v->layer[i].d.roof_fraction);
    fputc('\n', f);
  }
  fputs("EOD\nset yrange [0:100]\nset ylabel 'share (%)'\nset xtics rotate by 45 right font ',11'\nset style fill solid\nset boxwidth 0.62\n"
        "plot $d using 0:2:xtic(1) with boxes lc rgb '#5aa9a0' title 'utilization: useful MACs / array capacity', "
        "$d using 0:3 with points pt 9 ps 0.8 lc rgb '" INK "' title 'roof reached'\n", f);
  return finish(m, f, &script, bar_width(v), 330, svg);
}

static espl_status plot_stalls(struct maker *m, const struct espli_variant *v, char **svg) {
  const struct espli_report *r = m->r;
  char *script = NULL;
  size_t n = 0;
  FILE *f = begin(m, &script, &n);
  if (!f) return ESPL_E_NOMEM;
  fputs("$d << EOD\n", f);
  for (size_t i = 0; i < v->n_layers; i++) {
    const struct espli_layer *l = &v->layer[i];
    quoted(f, l->d.name, 26);
    number(f, l->d.busy_cycles < 0 ? 0 : (double)l->d.busy_cycles / 1000);
    for (int c = 0; c < r->n_causes; c++) number(f, (double)l->stall[c] / 1000);
    number(f, l->d.idle_cycles < 0 ? 0 : (double)l->d.idle_cycles / 1000);
    fputc('\n', f);
  }
  fputs("EOD\nset ylabel 'thousand cycles'\nset yrange [0:*]\nset xtics rotate by 45 right font ',11'\nset style data histograms\n"
        "set style histogram rowstacked\nset style fill solid\nset boxwidth 0.62\nplot $d using 2:xtic(1) lc rgb '#5aa9a0' title 'busy'", f);
  for (int c = 0; c < r->n_causes; c++) {
    fprintf(f, ", '' using %d lc rgb '%s' title ", c + 3, cause_colors[c]);
    quoted(f, r->cause[c], 24);
  }
  fprintf(f, ", '' using %d lc rgb '#d1d5db' title 'idle'\n", r->n_causes + 3);
  return finish(m, f, &script, bar_width(v), 340, svg);
}

static espl_status make_all(struct maker *m, struct espli_plots *p) {
  ESPL_TRY(plot_front(m, &p->common[ESPLI_PLOT_FRONT]));
  if (m->present) ESPL_TRY(plot_roofline(m, &p->common[ESPLI_PLOT_ROOFLINE]));
  for (size_t i = 0; m->present && i < m->r->n_variants; i++) {
    if (m->r->variant[i].n_layers == 0) continue;
    ESPL_TRY(plot_utilization(m, &m->r->variant[i], &p->utilization[i]));
    if (m->present) ESPL_TRY(plot_stalls(m, &m->r->variant[i], &p->stalls[i]));
  }
  return ESPL_OK;
}

espl_status espli_plots_make(const struct espli_report *r, struct espli_plots *p, espl_err *err) {
  *p = (struct espli_plots){.n_variants = r->n_variants};
  p->utilization = espl_calloc(r->n_variants, sizeof(char *));
  p->stalls = espl_calloc(r->n_variants, sizeof(char *));
  if (!p->utilization || !p->stalls) return espl_fail(err, ESPL_E_NOMEM, "no memory for plots");
  struct maker m = {.r = r, .present = 1, .err = err};
  espl_status s = make_all(&m, p);
  p->present = m.present;
  return s;
}

void espli_plots_release(struct espli_plots *p) {
  for (int i = 0; i < ESPLI_PLOT_COUNT; i++) free(p->common[i]);
  for (size_t i = 0; i < p->n_variants; i++) {
    if (p->utilization) free(p->utilization[i]);
    if (p->stalls) free(p->stalls[i]);
  }
  free(p->utilization);
  free(p->stalls);
}
