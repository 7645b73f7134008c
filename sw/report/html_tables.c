/* Tables of the page: variants, steering against its controls, layers, the machine. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report/report_int.h"

#define DASH "–"

static void cell_text(FILE *f, const char *s) {
  fputs("<td class=l>", f);
  if (s && *s)
    espli_html_text(f, s);
  else
    fputs(DASH, f);
}
static void cell_percent(FILE *f, double v, int digits) {
  fputs("<td>", f);
  espli_html_percent(f, v, digits);
}
static void cell_count(FILE *f, int64_t v) {
  fputs("<td>", f);
  espli_html_count(f, v);
}
static void cell_number(FILE *f, double v, int digits) {
  fputs("<td>", f);
  if (isnan(v))
    fputs(DASH, f);
  else
    fprintf(f, "%.*f", digits, v);
}

static void cell_rtl(FILE *f, const espl_store_variant *v) {
  fputs("<td class=l>", f);
  if (v->rtl_agree < 0) {
    fputs("<span class=soft>not run</span>", f);
  } else if (v->rtl_agree) {
    fputs("<span class=ok>agrees</span>", f);
  } else {
    fputs("<span class=bad>differs</span> (", f);
    espli_html_count(f, v->rtl_cycles);
    fputs(")", f);
  }
}

static void variant_row(FILE *f, const struct espli_report *r, size_t i) {
  const espl_store_variant *v = &r->variant[i].d;
  fputs((int)i == r->chosen ? "<tr class=chosen>" : "<tr>", f);
  cell_text(f, v->name);
  fprintf(f, "<td class=l>%s", espl_variant_kind_name(v->kind));
  cell_percent(f, v->float_val, 2);
  cell_percent(f, v->float_test, 2);
  cell_percent(f, v->int8_val, 2);
  cell_percent(f, v->int8_test, 2);
  cell_count(f, v->cycles);
  if (r->clock_mhz > 0) cell_number(f, v->cycles < 0 ? (double)NAN : (double)v->cycles / r->clock_mhz / 1000, 3);
  cell_number(f, v->speedup, 2);
  cell_percent(f, v->utilization, 1);
  cell_percent(f, v->roof_fraction, 1);
  cell_number(f, v->macs < 0 ? (double)NAN : (double)v->macs * 1e-6, 2);
  cell_number(f, v->params < 0 ? (double)NAN : (double)v->params * 1e-3, 1);
  cell_number(f, v->read_bytes < 0 ? (double)NAN : (double)v->read_bytes * 1e-3, 1);
  cell_rtl(f, v);
  fputs("</tr>", f);
}

void espli_html_variants(FILE *f, const struct espli_report *r) {
  fputs("<h2>Variants</h2><p>Validation accuracy chose; test accuracy stands beside it and chose nothing. Utilization is useful multiply-accumulates over "
        "what the array could do in these cycles; roof is the share of the best possible time that was reached.</p><div class=wide><table>"
        "<tr class=group><th colspan=2><th colspan=2>float, right in %<th colspan=2>int8, right in %", f);
  fprintf(f, "<th colspan=%d>latency<th colspan=2>reached in %%<th colspan=3>size<th></tr><tr><th>variant<th class=l>kind<th>val<th>test<th>val<th>test<th>cycles",
          r->clock_mhz > 0 ? 3 : 2);
  if (r->clock_mhz > 0) fprintf(f, "<th>ms at %g&nbsp;MHz", r->clock_mhz);
  fputs("<th>speed-up (×)<th>array<th>roof<th>MACs (M)<th>weights (k)<th>read (kB)<th class=l>RTL</tr>", f);
  int unfinished = 0;
  for (size_t i = 0; i < r->n_variants; i++) {
    variant_row(f, r, i);
    unfinished += !r->variant[i].d.done;
  }
  fputs("</table></div>", f);
  if (r->reference != r->baseline) {
    fputs("<p class=note>The integers of ", f);
    espli_html_text(f, r->variant[r->baseline].d.name);
    fputs(" come from calibration alone. ", f);
    espli_html_text(f, r->variant[r->reference].d.name);
    fputs(" is the same network behind the training for integers that every variant got; accuracies are compared with it.</p>", f);
  }
  if (unfinished) fprintf(f, "<p class=note>%d of these variants are not finished.</p>", unfinished);
}

/* Rows of one budget and kind stand together: a control answers to the variant steered by cycles that is of its own kind. */
static void steering_rows(FILE *f, const struct espli_report *r, size_t first) {
  double own = (double)NAN;
  for (size_t i = 0; i < r->n_variants; i++)
    if (espli_steering_together(r, first, i) && strcmp(r->variant[i].d.steered_by, "cycles") == 0) own = r->variant[i].d.int8_val;
  for (size_t i = 0; i < r->n_variants; i++) {
    const espl_store_variant *v = &r->variant[i].d;
    if (!espli_steering_together(r, first, i)) continue;
    int cycles = strcmp(v->steered_by, "cycles") == 0;
    fputs(cycles ? "<tr class=chosen>" : "<tr>", f);
    cell_text(f, cycles ? "exact cycles" : v->steered_by);
    cell_text(f, v->name);
    cell_text(f, espl_variant_kind_name(v->kind));
    cell_count(f, v->budget_cycles);
    cell_count(f, v->cycles);
    cell_count(f, v->macs);
    cell_percent(f, v->int8_val, 2);
    cell_percent(f, v->int8_test, 2);
    fputs("<td>", f);
    if (cycles || isnan(own) || isnan(v->int8_val))
      fputs(DASH, f);
    else
      fprintf(f, "%s%.2f", v->int8_val < own ? "−" : "+", 100 * fabs(v->int8_val - own));
    fputs("</tr>", f);
  }
}

void espli_html_steering(FILE *f, const struct espli_report *r, const struct espli_plots *p) {
  int any = 0;
  for (size_t i = 0; i < r->n_variants; i++) any |= r->variant[i].d.steered_by != NULL;
  if (!any) return;
  fputs("<h2>Steering and its controls</h2><p>Each criterion shrank the network by its own rule until the <em>simulated</em> cycles met the same budget. "
        "The last column compares a control with the variant of the same kind and budget that exact cycles steered.</p>", f);
  if (p->common[ESPLI_PLOT_STEERING]) fprintf(f, "<div class=plot>%s</div>", p->common[ESPLI_PLOT_STEERING]);
  fputs("<div class=wide><table><tr><th>steered by<th class=l>variant<th class=l>kind<th>budget (cycles)<th>cycles<th>MACs"
        "<th>int8 val (%)<th>int8 test (%)<th>val against exact cycles (points)</tr>", f);
  for (size_t i = 0; i < r->n_variants; i++)
    if (espli_steering_leads(r, i)) steering_rows(f, r, i);
  fputs("</table></div>", f);
}

static void layer_table(FILE *f, const struct espli_variant *v) {
  fputs("<div class=wide><table><tr><th>layer<th class=l>shape<th>cycles<th>MACs<th>array (%)<th>roof (%)<th>read (bytes)<th>written (bytes)<th>tiles<th>skipped</tr>", f);
  for (size_t i = 0; i < v->n_layers; i++) {
    const espl_store_layer *l = &v->layer[i].d;
    fputs("<tr>", f);
    cell_text(f, l->name);
    cell_text(f, l->shape ? l->shape : l->op);
    cell_count(f, l->cycles);
    cell_count(f, l->macs);
    cell_percent(f, l->utilization, 1);
    cell_percent(f, l->roof_fraction, 1);
    cell_count(f, l->read_bytes);
    cell_count(f, l->write_bytes);
    cell_count(f, l->tiles);
    cell_count(f, l->tiles_skipped);
    fputs("</tr>", f);
  }
  fputs("</table></div>", f);
}

static void layer_plot(FILE *f, const char *svg) {
  if (svg) fprintf(f, "<div class=plot>%s</div>", svg);
}

void espli_html_layers(FILE *f, const struct espli_report *r, const struct espli_plots *p) {
  size_t with = 0;
  for (size_t i = 0; i < r->n_variants; i++) with += r->variant[i].n_layers > 0;
  if (!with) return;
  fputs("<h2>Layers</h2><p>Where the cycles go. Every cycle of the compute unit is busy, waiting for one cause, or idle. Open a variant to see its layers.</p>", f);
  for (size_t i = 0; i < r->n_variants; i++) {
    const struct espli_variant *v = &r->variant[i];
    if (!v->n_layers) continue;
    fputs((int)i == r->chosen || (r->chosen < 0 && (int)i == r->baseline) ? "<details open><summary>" : "<details><summary>", f);
    espli_html_text(f, v->d.name);
    fprintf(f, " <span>%zu layers, ", v->n_layers);
    espli_html_count(f, v->d.cycles);
    fputs(" cycles</span></summary>", f);
    layer_plot(f, p->utilization ? p->utilization[i] : NULL);
    layer_plot(f, p->stalls ? p->stalls[i] : NULL);
    layer_table(f, v);
    fputs("</details>", f);
  }
}

/* What keys of a machine say in words, and their unit. log2: the key holds the logarithm of what is shown. Other keys stand as they are. */
static const struct machine_word { const char *key, *word, *unit; int log2; } machine_words[] = {
    {"clock_mhz", "clock", "MHz", 0}, {"mem_bytes", "memory", "bytes", 0}, {"read_latency", "read latency", "cycles", 0}, {"write_latency", "write latency", "cycles", 0},
    {"rate_num", "rate numerator", "beats", 0}, {"rate_den", "rate denominator", "cycles", 0}, {"outstanding", "outstanding a path", "bursts", 0},
    {"read_bytes_per_cycle", "read rate", "bytes/cycle", 0}, {"write_bytes_per_cycle", "write rate", "bytes/cycle", 0}, {"bus_bytes", "bus", "bytes a beat", 0},
    {"act_aw", "activation bank", "bytes", 1}, {"wgt_aw", "weight buffer", "bytes", 1}, {"idx_aw", "index buffer", "entries", 1}, {"par_aw", "parameter buffer", "channels", 1},
    {"acc_aw", "accumulators", "a column", 1}, {"acc_banks", "accumulator banks", "", 0}, {"acc_w", "accumulator width", "bits", 0}, {"w_bits", "weight width", "bits", 0}, {"w_int4", "int4 weights", "", 0}, {"w_book", "codebook index", "bits", 0},
    {"dw_banks", "depthwise pass", "kernel rows", 0}, {"mul_stages", "multiplier stages", "", 0}, {"rq_lanes", "requantizers", "", 0}, {"rq_cycles", "requantizer interval", "cycles", 0},
    {"queue_depth", "queue of a unit", "commands", 0}, {"stage_bursts", "write staging", "bursts", 0}, {"res_bursts", "residual buffer", "bursts", 0}, {"dim_bits", "sizes", "bits", 0},
    {"kernel", "largest kernel", "rows", 0}};

static const struct machine_word *machine_word(const char *key) {
  for (size_t i = 0; i < sizeof machine_words / sizeof *machine_words; i++)
    if (strcmp(key, machine_words[i].key) == 0) return &machine_words[i];
  return NULL;
}

static void machine_key(FILE *f, const char *key, const struct machine_word *w) {
  if (w) {
    espli_html_text(f, w->word);
    return;
  }
  for (const char *c = key; *c; c++) {
    char one[2] = {*c == '_' ? ' ' : *c, 0};
    espli_html_text(f, one);
  }
}

static void machine_value(FILE *f, const espl_json_value *v) {
  switch (espl_json_value_kind(v)) {
    case ESPL_JSON_STRING: espli_html_text(f, espl_json_string(v, "")); break;
    case ESPL_JSON_NUMBER: fprintf(f, "%.10g", espl_json_number(v, 0)); break;
    case ESPL_JSON_BOOL: fputs(espl_json_number(v, 0) != 0 ? "yes" : "no", f); break;
    case ESPL_JSON_NULL: fputs(DASH, f); break;
    case ESPL_JSON_ARRAY: fprintf(f, "%zu entries", espl_json_count(v)); break;
    case ESPL_JSON_OBJECT: fprintf(f, "%zu members", espl_json_count(v)); break;
  }
}

void espli_html_machine(FILE *f, const struct espli_report *r) {
  if (!r->machine || espl_json_value_kind(r->machine) != ESPL_JSON_OBJECT) return;
  fputs("<h2>Machine ", f);
  espli_html_text(f, r->run.machine);
  fputs("</h2>", f);
  if (r->rows > 0 && r->cols > 0) {
    fprintf(f, "<p>A systolic array of %g × %g: %g multiply-accumulates a cycle", r->rows, r->cols, r->rows * r->cols);
    if (r->clock_mhz > 0) fprintf(f, ", %.3g GMAC/s at %g MHz", r->rows * r->cols * r->clock_mhz / 1000, r->clock_mhz);
    fputs(".</p>", f);
  }
  fputs("<dl>", f);
  for (size_t i = 0; i < espl_json_count(r->machine); i++) {
    const char *key = espl_json_key_at(r->machine, i);
    const espl_json_value *v = espl_json_at(r->machine, i);
    const struct machine_word *w = machine_word(key);
    double x = espl_json_number(v, -1);
    fputs("<div><dt>", f);
    machine_key(f, key, w);
    fputs("</dt><dd>", f);
    /* a logarithm of 0 says that the buffer is not built or holds one entry: it stands as it is */
    if (w && w->log2 && x > 0 && x < 53) fprintf(f, "%lld", 1LL << (int)x);
    else machine_value(f, v);
    if (w && *w->unit) fprintf(f, " %s", w->unit);
    fputs("</dd></div>", f);
  }
  fputs("</dl>", f);
}
