/* What the report's files share: one run in memory, and the writers that turn it into files. */
#ifndef ESPL_REPORT_REPORT_INT_H
#define ESPL_REPORT_REPORT_INT_H

#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "report/report.h"
#include "store/store.h"

#define ESPLI_MAX_CAUSES 16

struct espli_layer {
  espl_store_layer d;
  int64_t stall[ESPLI_MAX_CAUSES]; /* by espli_report.cause */
};

struct espli_variant {
  espl_store_variant d;
  struct espli_layer *layer;
  size_t n_layers;
};

struct espli_log {
  double when;
  const char *a, *b, *c;
  struct espli_log *next;
};

/* Everything lives in the arena. */
struct espli_report {
  espl_arena *arena;
  espl_store_run run;
  int has_run;
  int64_t wanted; /* run id, -1 the newest */
  struct espli_variant *variant;
  size_t n_variants;
  const char *cause[ESPLI_MAX_CAUSES]; /* stall causes in order of first appearance */
  int n_causes;
  struct espli_log *openings, *events;
  const espl_json_value *machine; /* NULL when the record is absent */
  espl_json_doc *machine_doc;
  double rows, cols, read_rate, write_rate, clock_mhz; /* 0: unknown; rates in bytes per cycle */
  int shared_path;
  int baseline, chosen; /* indices of variants, -1: none */
  int reference;        /* what accuracies are compared with: the last finished row of kind baseline (one tuned like the variants), else baseline */
  const char *chosen_by; /* the rule in words */
};

espl_status espli_report_collect(espl_store *s, int64_t run_id, struct espli_report *r, espl_err *err) ESPL_MUST_CHECK;
void espli_report_release(struct espli_report *r);

/* Accuracy number `which` of a variant and its name: 0 int8 test, 1 int8 val, 2 float test, 3 float val. */
double espli_accuracy(const espl_store_variant *v, int which);
const char *espli_accuracy_name(int which);
/* The first of these known for the most variants. */
int espli_accuracy_choice(const struct espli_report *r);

/* Variants steered to one budget and of one kind are compared with each other. i leads when it is the first of its group; k is together
 * with i when both are steered and of one group. Only the criterion "cycles" is ours, the others are its controls. */
int espli_steering_leads(const struct espli_report *r, size_t i);
int espli_steering_together(const struct espli_report *r, size_t i, size_t k);

/* Plots as SVG text without XML prologue, from malloc; NULL where there is nothing to show. `present` is 0 without gnuplot. */
enum { ESPLI_PLOT_FRONT, ESPLI_PLOT_STEERING, ESPLI_PLOT_ROOFLINE, ESPLI_PLOT_COUNT };
struct espli_plots {
  int present;
  char *common[ESPLI_PLOT_COUNT];
  char **utilization, **stalls; /* [n_variants] */
  size_t n_variants;
};
espl_status espli_plots_make(const struct espli_report *r, struct espli_plots *p, espl_err *err) ESPL_MUST_CHECK;
void espli_plots_release(struct espli_plots *p);

/* While plots are made. A plot: begin opens its script (NULL: no memory, in m->err), finish closes, runs and frees it. */
struct espli_maker {
  const struct espli_report *r;
  int serial, present;
  espl_err *err;
};
FILE *espli_plot_begin(struct espli_maker *m, char **script, size_t *n);
espl_status espli_plot_finish(struct espli_maker *m, FILE *f, char **script, int width, int height, char **svg) ESPL_MUST_CHECK;
void espli_plot_quoted(FILE *f, const char *s, size_t most);
espl_status espli_plot_front(struct espli_maker *m, char **svg) ESPL_MUST_CHECK;
espl_status espli_plot_steering(struct espli_maker *m, char **svg) ESPL_MUST_CHECK;

/* A point of a plot and the place of its name: pixels, y downwards, from the plot area's upper left corner. */
struct espli_mark {
  double x, y;
  const char *text;                       /* NULL: the point has no name, but no name covers it */
  int placed;                             /* out: 0 no free place, 1 beside its point, 2 away from it (a line from x, y to the anchor helps) */
  double left, top, width;                /* out, where placed: box of the text */
  double anchor_x, anchor_y;              /* out, where placed: the box's end next to the point */
};
void espli_place_labels(struct espli_mark *m, size_t n, double width, double height);
double espli_label_middle(const struct espli_mark *m); /* y of the text's middle line */

/* Runs gnuplot on a script whose terminal is set here (width x height px); *svg from malloc, *present 0 when there is no gnuplot. */
espl_status espli_gnuplot(const char *script, int width, int height, int serial, char **svg, int *present, espl_err *err) ESPL_MUST_CHECK;

void espli_html_write(FILE *f, const struct espli_report *r, const struct espli_plots *p);
/* Parts of the page, in files of their own. */
void espli_html_text(FILE *f, const char *s);
void espli_html_variants(FILE *f, const struct espli_report *r);
void espli_html_steering(FILE *f, const struct espli_report *r, const struct espli_plots *p);
void espli_html_layers(FILE *f, const struct espli_report *r, const struct espli_plots *p);
void espli_html_machine(FILE *f, const struct espli_report *r);
/* Numbers for people; unknown values become an en dash. */
void espli_html_percent(FILE *f, double fraction, int digits);
void espli_html_count(FILE *f, int64_t v);

void espli_csv_variants(FILE *f, const struct espli_report *r);
void espli_csv_layers(FILE *f, const struct espli_report *r);
espl_status espli_json_write(FILE *f, const struct espli_report *r, espl_err *err) ESPL_MUST_CHECK;

#endif
