/* The page: head, key figures, and the order of its sections. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/report_int.h"
#include "report/style.h"

#define DASH "–"

void espli_html_text(FILE *f, const char *s) {
  for (; s && *s; s++) {
    switch (*s) {
      case '&': fputs("&amp;", f); break;
      case '<': fputs("&lt;", f); break;
      case '>': fputs("&gt;", f); break;
      case '"': fputs("&quot;", f); break;
      default: fputc((unsigned char)*s < 0x20 ? ' ' : *s, f);
    }
  }
}

void espli_html_percent(FILE *f, double fraction, int digits) {
  if (isnan(fraction))
    fputs(DASH, f);
  else
    fprintf(f, "%.*f", digits, 100 * fraction);
}

/* Thin spaces between groups of three digits. */
void espli_html_count(FILE *f, int64_t v) {
  char s[32];
  if (v < 0) {
    fputs(DASH, f);
    return;
  }
  int n = snprintf(s, sizeof s, "%" PRId64, v);
  for (int i = 0; i < n; i++) {
    if (i && (n - i) % 3 == 0) fputs("&#8239;", f);
    fputc(s[i], f);
  }
}

static void date(FILE *f, double when) {
  char s[40];
  time_t t = (time_t)when;
  struct tm tm;
  if (isnan(when) || !gmtime_r(&t, &tm)) return;
  strftime(s, sizeof s, "%Y-%m-%d %H:%M UTC", &tm);
  fputs(s, f);
}

static void fact(FILE *f, const char *name, const char *value) {
  if (!value || !*value) return;
  fprintf(f, "<div><dt>%s</dt><dd>", name);
  espli_html_text(f, value);
  fputs("</dd></div>", f);
}

static void heading(FILE *f, const struct espli_report *r) {
  fputs("<h1>", f);
  espli_html_text(f, r->run.name ? r->run.name : "Espalier");
  fputs("</h1><p class=soft>Espalier report, ", f);
  date(f, r->run.done ? r->run.finished : r->run.started);
  fputs(r->run.done ? "" : ". The run has not finished: what follows is what is there so far.", f);
  fputs("</p>", f);
}

static void figure_open(FILE *f) { fputs("<div class=figure><b>", f); }
static void figure_close(FILE *f, const char *text) { fprintf(f, "</b><span>%s</span></div>", text); }

static void figure_accuracy(FILE *f, const struct espli_report *r, const espl_store_variant *v) {
  const espl_store_variant *base = r->reference >= 0 ? &r->variant[r->reference].d : NULL;
  int which = espli_accuracy_choice(r);
  double a = espli_accuracy(v, which), b = base ? espli_accuracy(base, which) : (double)NAN;
  char text[160];
  figure_open(f);
  espli_html_percent(f, a, 2);
  fputs(" %", f);
  if (isnan(a) || isnan(b))
    snprintf(text, sizeof text, "%s of the chosen variant", espli_accuracy_name(which));
  else
    snprintf(text, sizeof text, "%s, %s%.2f points against the %s", espli_accuracy_name(which), a < b ? "−" : "+", 100 * fabs(a - b),
             r->reference == r->baseline ? "baseline" : "baseline trained likewise");
  figure_close(f, text);
}

static void figure_rtl(FILE *f, const struct espli_report *r) {
  int same = 0, run = 0;
  for (size_t i = 0; i < r->n_variants; i++) {
    run += r->variant[i].d.rtl_agree >= 0;
    same += r->variant[i].d.rtl_agree == 1;
  }
  figure_open(f);
  fprintf(f, "%d of %d", same, run);
  figure_close(f, "variants run on RTL agree in every bit, cycle and counter");
}

static void figures(FILE *f, const struct espli_report *r) {
  const espl_store_variant *base = r->baseline >= 0 ? &r->variant[r->baseline].d : NULL;
  const espl_store_variant *v = r->chosen >= 0 ? &r->variant[r->chosen].d : NULL;
  char text[160];
  fputs("<div class=figures>", f);
  if (base) {
    figure_open(f);
    espli_html_count(f, base->cycles);
    figure_close(f, "cycles per image, baseline");
  }
  if (v) {
    figure_open(f);
    espli_html_count(f, v->cycles);
    fputs("</b><span>cycles per image, chosen variant <strong>", f);
    espli_html_text(f, v->name);
    fprintf(f, "</strong>: %s</span></div>", r->chosen_by);
    figure_open(f);
    if (!isnan(v->speedup))
      fprintf(f, "%.2f ×", v->speedup);
    else
      fputs(DASH, f);
    snprintf(text, sizeof text, "speed-up, %.1f %% of the array in use", isnan(v->utilization) ? 0 : 100 * v->utilization);
    figure_close(f, isnan(v->utilization) ? "speed-up" : text);
    figure_accuracy(f, r, v);
  }
  figure_rtl(f, r);
  fputs("</div>", f);
}

static void plot(FILE *f, const char *svg) {
  if (!svg) return;
  fputs("<div class=plot>", f);
  fputs(svg, f);
  fputs("</div>", f);
}

static void front(FILE *f, const struct espli_plots *p) {
  if (!p->common[ESPLI_PLOT_FRONT]) return;
  fputs("<h2>Accuracy and latency</h2><p>Every variant at its simulated cycles. The line joins the variants that no other beats in both.</p>", f);
  plot(f, p->common[ESPLI_PLOT_FRONT]);
}

static void roofline(FILE *f, const struct espli_plots *p) {
  if (!p->common[ESPLI_PLOT_ROOFLINE]) return;
  fputs("<h2>Roofline</h2><p>One point a layer. On the slope the memory port limits, under the flat part the array does; the distance to the roof is what "
        "mapping and waiting cost.</p>", f);
  plot(f, p->common[ESPLI_PLOT_ROOFLINE]);
}

static void log_table(FILE *f, const char *title, const char *text, const struct espli_log *l) {
  if (!l) return;
  fprintf(f, "<h2>%s</h2><p>%s</p><div class=wide><table>", title, text);
  for (; l; l = l->next) {
    const char *const cells[] = {l->a, l->b, l->c};
    fputs("<tr><td>", f);
    date(f, l->when);
    for (int i = 0; i < 3; i++) {
      if (!cells[i]) continue;
      fputs("<td class=l>", f);
      espli_html_text(f, cells[i]);
    }
    fputs("</tr>", f);
  }
  fputs("</table></div>", f);
}

static void provenance(FILE *f, const struct espli_report *r) {
  char seed[32];
  snprintf(seed, sizeof seed, "%" PRId64, r->run.seed);
  fputs("<h2>How to repeat it</h2>", f);
  if (r->run.command) {
    fputs("<pre><code>", f);
    espli_html_text(f, r->run.command);
    fputs("</code></pre>", f);
  }
  fputs("<dl>", f);
  fact(f, "network", r->run.network);
  fact(f, "data", r->run.data);
  fact(f, "machine", r->run.machine);
  fact(f, "seed", seed);
  fact(f, "content hash", r->run.hash);
  fputs("</dl>", f);
}

void espli_html_write(FILE *f, const struct espli_report *r, const struct espli_plots *p) {
  fputs("<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\"><title>", f);
  espli_html_text(f, r->run.name ? r->run.name : "run");
  fprintf(f, " – Espalier report</title><style>%s</style></head><body><main>", espli_style);
  heading(f, r);
  figures(f, r);
  if (!p->present) fputs("<p class=note>gnuplot was not found, so this page has tables only.</p>", f);
  espli_html_variants(f, r);
  front(f, p);
  espli_html_steering(f, r, p);
  espli_html_layers(f, r, p);
  roofline(f, p);
  espli_html_machine(f, r);
  provenance(f, r);
  log_table(f, "Openings of the test split", "Nothing that chooses may see test data; every opening is recorded here.", r->openings);
  log_table(f, "Events", "What the run noted on its way.", r->events);
  fputs("</main></body></html>\n", f);
}
