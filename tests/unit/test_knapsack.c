/* Multiple-choice knapsack against exhaustive search on random problems. */
#include <criterion/criterion.h>

#include "base/rng.h"
#include "steer/knapsack.h"

enum { ITEMS = 6, OPTIONS = 4 };

static double exhaustive(const espl_item *item, int64_t budget, bool *feasible) {
  double best = -1e300;
  *feasible = false;
  for (int code = 0; code < 4096; code++) { /* OPTIONS^ITEMS */
    int64_t cost = 0;
    double value = 0;
    for (int i = 0, c = code; i < ITEMS; i++, c /= OPTIONS) {
      cost += item[i].option[c % OPTIONS].cost;
      value += item[i].option[c % OPTIONS].value;
    }
    if (cost > budget) continue;
    *feasible = true;
    if (value > best) best = value;
  }
  return best;
}

Test(knapsack, equals_exhaustive_search) {
  espl_rng r = {.seed = 5};
  int infeasible = 0;
  for (int round = 0; round < 200; round++) {
    espl_option opt[ITEMS][OPTIONS];
    espl_item item[ITEMS];
    for (int i = 0; i < ITEMS; i++) {
      for (int k = 0; k < OPTIONS; k++) opt[i][k] = (espl_option){espl_rng_next_below(&r, 100), (double)espl_rng_next_below(&r, 1000)};
      item[i] = (espl_item){OPTIONS, opt[i]};
    }
    int64_t budget = 20 + espl_rng_next_below(&r, 300);
    int32_t pick[ITEMS];
    espl_choice c;
    espl_err err = {0};
    bool feasible;
    double best = exhaustive(item, budget, &feasible);
    cr_assert_eq(espl_knapsack(ITEMS, item, budget, pick, &c, &err), ESPL_OK, "%s", err.msg);
    cr_assert_eq(c.feasible, feasible, "round %d", round);
    infeasible += !feasible;
    if (!feasible) continue;
    cr_assert_float_eq(c.value, best, 1e-9, "round %d", round);
    int64_t cost = 0;
    double value = 0;
    for (int i = 0; i < ITEMS; i++) cost += opt[i][pick[i]].cost, value += opt[i][pick[i]].value;
    cr_assert_eq(cost, c.cost);
    cr_assert_float_eq(value, best, 1e-9);
    cr_assert_leq(cost, budget);
    cr_assert_eq(c.gap, 0.0);
  }
  cr_assert(infeasible > 0 && infeasible < 200);
}
