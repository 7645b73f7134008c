/* Plots about layers as gnuplot scripts, and what all plots share. Units stand on every axis; colours are readable without red-green vision. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/report_int.h"

#define INK "#1f2937"
#define ACCENT "#0f766e"
#define MUTED "#9ca3af"

static const char *const cause_colors[ESPLI_MAX_CAUSES] = {"#d97706", "#7c3aed", "#2563eb", "#db2777", "#65a30d", "#b45309", "#0891b2", "#be123c",
                                                           "#4f46e5", "#a16207", "#15803d", "#9333ea", "#c2410c", "#0e7490", "#4d7c0f", "#86198f"};

/* A name inside a quoted gnuplot string of at most `most` characters: quotes, backslashes and control characters become spaces. */
void espli_plot_quoted(FILE *f, const char *s, size_t most) {
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

espl_status espli_plot_finish(struct espli_maker *m, FILE *f, char **script, int width, int height, char **svg) {
  espl_status s = ESPL_OK;
  if (fclose(f) != 0) s = espl_fail(m->err, ESPL_E_NOMEM, "no memory for a plot");
  if (s == ESPL_OK) s = espli_gnuplot(*script, width, height, m->serial++, svg, &m->present, m->err);
  free(*script);
  return s;
}

FILE *espli_plot_begin(struct espli_maker *m, char **script, size_t *n) {
  FILE *f = open_memstream(script, n);
  if (!f) (void)espl_fail(m->err, ESPL_E_NOMEM, "no memory for a plot");
  return f;
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
static espl_status plot_roofline(struct espli_maker *m, char **svg) {
  const struct espli_report *r = m->r;
  const struct espli_variant *base = r->baseline >= 0 ? &r->variant[r->baseline] : NULL, *chosen = r->chosen >= 0 ? &r->variant[r->chosen] : NULL;
  double peak = r->rows * r->cols, rate = r->shared_path ? r->read_rate : r->read_rate + r->write_rate;
  char *script = NULL;
  size_t n = 0;
  int points = (base && base->n_layers) || (chosen && chosen->n_layers);
  if (peak <= 0 || rate <= 0 || !points) return ESPL_OK;
  FILE *f = espli_plot_begin(m, &script, &n);
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
    espli_plot_quoted(f, title, 80);
  }
  fputc('\n', f);
  return espli_plot_finish(m, f, &script, 900, 430, svg);
}

static int bar_width(const struct espli_variant *v) {
  int w = 170 + (int)v->n_layers * 26;
  return w < 900 ? 900 : w > 4000 ? 4000 : w;
}

static espl_status plot_utilization(struct espli_maker *m, const struct espli_variant *v, char **svg) {
  char *script = NULL;
  size_t n = 0;
  FILE *f = espli_plot_begin(m, &script, &n);
  if (!f) return ESPL_E_NOMEM;
  fputs("$d << EOD\n", f);
  for (size_t i = 0; i < v->n_layers; i++) {
    espli_plot_quoted(f, v->layer[i].d.name, 26);
    number(f, 100 * v->layer[i].d.utilization);
    number(f, 100 * v->layer[i].d.roof_fraction);
    fputc('\n', f);
  }
  fputs("EOD\nset yrange [0:100]\nset ylabel 'share (%)'\nset xtics rotate by 45 right font ',11'\nset style fill solid\nset boxwidth 0.62\n"
        "plot $d using 0:2:xtic(1) with boxes lc rgb '#5aa9a0' title 'utilization: useful MACs / array capacity', "
        "$d using 0:3 with points pt 9 ps 0.8 lc rgb '" INK "' title 'roof reached'\n", f);
  return espli_plot_finish(m, f, &script, bar_width(v), 330, svg);
}

static espl_status plot_stalls(struct espli_maker *m, const struct espli_variant *v, char **svg) {
  const struct espli_report *r = m->r;
  char *script = NULL;
  size_t n = 0;
  FILE *f = espli_plot_begin(m, &script, &n);
  if (!f) return ESPL_E_NOMEM;
  fputs("$d << EOD\n", f);
  for (size_t i = 0; i < v->n_layers; i++) {
    const struct espli_layer *l = &v->layer[i];
    espli_plot_quoted(f, l->d.name, 26);
    number(f, l->d.busy_cycles < 0 ? 0 : (double)l->d.busy_cycles / 1000);
    for (int c = 0; c < r->n_causes; c++) number(f, (double)l->stall[c] / 1000);
    number(f, l->d.idle_cycles < 0 ? 0 : (double)l->d.idle_cycles / 1000);
    fputc('\n', f);
  }
  fputs("EOD\nset ylabel 'thousand cycles'\nset yrange [0:*]\nset xtics rotate by 45 right font ',11'\nset style data histograms\n"
        "set style histogram rowstacked\nset style fill solid\nset boxwidth 0.62\nplot $d using 2:xtic(1) lc rgb '#5aa9a0' title 'busy'", f);
  for (int c = 0; c < r->n_causes; c++) {
    fprintf(f, ", '' using %d lc rgb '%s' title ", c + 3, cause_colors[c]);
    espli_plot_quoted(f, r->cause[c], 24);
  }
  fprintf(f, ", '' using %d lc rgb '#d1d5db' title 'idle'\n", r->n_causes + 3);
  return espli_plot_finish(m, f, &script, bar_width(v), 340, svg);
}

static espl_status make_all(struct espli_maker *m, struct espli_plots *p) {
  ESPL_TRY(espli_plot_front(m, &p->common[ESPLI_PLOT_FRONT]));
  if (m->present) ESPL_TRY(espli_plot_steering(m, &p->common[ESPLI_PLOT_STEERING]));
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
  struct espli_maker m = {.r = r, .present = 1, .err = err};
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
