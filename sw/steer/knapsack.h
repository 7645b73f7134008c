/* Multiple-choice knapsack: one option of every item, largest total value within a cost budget.
 * Exact: the set of undominated (cost, value) states is merged item by item (Nemhauser and Ullmann 1969). When a set outgrows
 * `state_limit`, states are thinned and the result carries the bound on what that can have lost. */
#ifndef ESPL_STEER_KNAPSACK_H
#define ESPL_STEER_KNAPSACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct espl_option {
  int64_t cost;
  double value;
} espl_option;

typedef struct espl_item {
  int32_t options;           /* >= 1 */
  const espl_option *option; /* [options] */
} espl_item;

typedef struct espl_choice {
  bool feasible;   /* false: even the cheapest options exceed the budget; nothing else is set */
  int64_t cost;
  double value;
  double gap;      /* no selection within the budget is better by more than this; 0: proved best */
} espl_choice;

/* pick[items] receives the option of each item. */
espl_status espl_knapsack(int32_t items, const espl_item *item, int64_t budget, int32_t *pick, espl_choice *out, espl_err *err) ESPL_MUST_CHECK;
#endif
