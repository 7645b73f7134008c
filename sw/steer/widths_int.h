/* Inside the width choice: groups, their options, layers as pairs of value widths. */
#ifndef ESPL_STEER_WIDTHS_INT_H
#define ESPL_STEER_WIDTHS_INT_H

#include "steer/widths.h"

#define ESPL_WIDTH_OPTIONS 24

/* A group that may shrink. */
struct free_group {
  int32_t group, size, least; /* units; fewest that may stay (0 when every value it lives in has frozen or other channels too) */
  int32_t *unit;              /* [size] by falling importance */
  double *kept;               /* [size+1] importance of the k best */
};

/* Width of a value = fixed + sum of the k of some free groups. */
struct width_of {
  int32_t fixed, terms;
  int32_t term[16]; /* indices of free groups */
};

struct wlayer {
  struct width_of in, out;
};

struct espl_widths {
  const espl_graph *g;
  const espl_units *u;
  const espl_qnet *q;
  espl_cost_table *table;
  const espl_machine *m;
  int32_t groups, layers;
  struct free_group *group;
  struct wlayer *layer;
  double total; /* importance of all free units */
};

/* Options of every group: k values ascending, the last is the full size. */
struct grid {
  int32_t n[64];
  int32_t k[64][ESPL_WIDTH_OPTIONS];
};
#define ESPL_WIDTH_GROUPS 64

int32_t espl_width_at(const struct width_of *w, const int32_t *k);
/* Cost of a layer at widths k: cycles of the table or multiply-accumulates. */
espl_status espl_width_cost(espl_widths *w, bool macs, int32_t layer, const int32_t *k, int64_t *cost, espl_err *err) ESPL_MUST_CHECK;
/* Best k on a grid within a budget of cycles or MACs; *feasible false when none. */
espl_status espl_width_solve(espl_widths *w, const struct grid *grid, bool macs, int64_t budget, int32_t *k, bool *feasible, double *gap, espl_err *err) ESPL_MUST_CHECK;
void espl_width_grid(const espl_widths *w, espl_width_rule rule, struct grid *grid);
#endif
