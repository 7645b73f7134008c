/* How many channels each group keeps: the budgeted choice over dependency groups, with true staircase costs, and its controls.
 *
 * Problem: groups g with sorted unit importances; keeping k_g units is worth the sum of its k_g largest. The cost of a layer depends on the
 * widths of its input and output values, each the sum of the k_g of the groups living there. Maximise worth subject to cost <= budget.
 * Exact: groups that meet in a layer with another free group are enumerated until the rest is independent, the rest is a
 * multiple-choice knapsack. Too many combinations are refused into a coarser grid of options, which is reported. */
#ifndef ESPL_STEER_WIDTHS_H
#define ESPL_STEER_WIDTHS_H

#include "compress/units.h"
#include "steer/cost.h"
#include "steer/knapsack.h"

typedef struct espl_widths espl_widths;

/* Borrows all arguments. importance [units->units]. */
espl_status espl_widths_new(const espl_graph *g, const espl_units *u, const double *importance, const espl_qnet *q, espl_cost_table *table,
                            espl_widths **out, espl_err *err) ESPL_MUST_CHECK;
void espl_widths_free(espl_widths *w);

typedef enum espl_width_rule {
  ESPL_WIDTH_CYCLES,       /* cost = exact cycles, options where the staircase of the array steps */
  ESPL_WIDTH_UNIFORM,      /* the same share of every group */
  ESPL_WIDTH_MACS,         /* cost = multiply-accumulates, any width */
  ESPL_WIDTH_MACS_ROUNDED, /* cost = multiply-accumulates, widths multiples of max(R, C) */
  ESPL_WIDTH_RULES
} espl_width_rule;
const char *espl_width_rule_name(espl_width_rule r); /* "cycles", "uniform", "macs", "macs-rounded" */

typedef struct espl_width_choice {
  int64_t cycles, macs; /* of the chosen network by the table (sum over layers) */
  double kept;          /* share of the importance kept, 0..1 */
  double gap;           /* as a share of all importance; 0: proved best for its rule and options */
} espl_width_choice;

/* Chooses by the rule; every rule shrinks by its own criterion until its cycles are <= budget_cycles. keep [units]: 1 where a unit stays.
 * E_FAILED when no choice meets the budget. */
espl_status espl_widths_choose(espl_widths *w, espl_width_rule rule, int64_t budget_cycles, uint8_t *keep, espl_width_choice *out, espl_err *err) ESPL_MUST_CHECK;
/* Every form the cycles rule can ask for, for filling the table beforehand; *forms is free()d by the caller. */
espl_status espl_widths_forms(espl_widths *w, espl_layer_form **forms, int32_t *n, espl_err *err) ESPL_MUST_CHECK;
#endif
