/* Multiple-choice knapsack by merging undominated states. */
#include "steer/knapsack.h"

#include <stdlib.h>

#include "base/mem.h"

enum { STATE_LIMIT = 100000 };

/* A selection of options of the first items: where it came from is enough to read it back. */
struct state {
  int64_t cost;
  double value;
  int32_t parent, option;
};
struct layer {
  int32_t states;
  struct state *state; /* cost ascending, value strictly ascending */
};

static int by_cost(const void *a, const void *b) {
  const struct state *x = a, *y = b;
  if (x->cost != y->cost) return x->cost < y->cost ? -1 : 1;
  return x->value > y->value ? -1 : x->value < y->value;
}

/* Keeps undominated states; when there are still too many, the best of each of STATE_LIMIT equal cost ranges. Returns the loss. */
static double prune(struct layer *l) {
  int32_t n = 0;
  double best = -1e300;
  for (int32_t i = 0; i < l->states; i++)
    if (l->state[i].value > best) {
      best = l->state[i].value;
      l->state[n++] = l->state[i];
    }
  l->states = n;
  if (n <= STATE_LIMIT) return 0;
  double loss = 0, width = (double)(l->state[n - 1].cost - l->state[0].cost + 1) / STATE_LIMIT;
  int64_t base = l->state[0].cost;
  int32_t kept = 0;
  for (int32_t i = 0; i < n;) { /* the cheapest state of a range stands for it: always within the budget */
    int32_t range = (int32_t)((double)(l->state[i].cost - base) / width), k = i;
    while (k + 1 < n && (int32_t)((double)(l->state[k + 1].cost - base) / width) == range) k++;
    double lost = l->state[k].value - l->state[i].value;
    loss = lost > loss ? lost : loss;
    l->state[kept++] = l->state[i];
    i = k + 1;
  }
  l->states = kept;
  return loss;
}

static espl_status extend(const struct layer *from, const espl_item *item, int64_t budget, int64_t rest, struct layer *to, espl_err *err) {
  to->state = espl_calloc((size_t)from->states * (size_t)item->options, sizeof *to->state);
  if (!to->state) return espl_fail(err, ESPL_E_NOMEM, "knapsack: out of memory");
  for (int32_t i = 0; i < from->states; i++)
    for (int32_t k = 0; k < item->options; k++) {
      struct state s = {from->state[i].cost + item->option[k].cost, from->state[i].value + item->option[k].value, i, k};
      if (s.cost + rest <= budget) to->state[to->states++] = s;
    }
  qsort(to->state, (size_t)to->states, sizeof *to->state, by_cost);
  return ESPL_OK;
}

static int64_t cheapest(const espl_item *item) {
  int64_t c = item->option[0].cost;
  for (int32_t k = 1; k < item->options; k++)
    if (item->option[k].cost < c) c = item->option[k].cost;
  return c;
}

espl_status espl_knapsack(int32_t items, const espl_item *item, int64_t budget, int32_t *pick, espl_choice *out, espl_err *err) {
  *out = (espl_choice){0};
  struct layer *l = espl_calloc((size_t)items + 1, sizeof *l);
  if (!l) return espl_fail(err, ESPL_E_NOMEM, "knapsack: out of memory");
  l[0].state = espl_calloc(1, sizeof *l[0].state);
  l[0].states = 1;
  espl_status st = l[0].state ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "knapsack: out of memory");
  int64_t rest = 0;
  for (int32_t i = 0; i < items; i++) rest += cheapest(&item[i]);
  for (int32_t i = 0; st == ESPL_OK && i < items; i++) {
    rest -= cheapest(&item[i]);
    st = extend(&l[i], &item[i], budget, rest, &l[i + 1], err);
    if (st == ESPL_OK) out->gap += prune(&l[i + 1]);
  }
  if (st == ESPL_OK && l[items].states > 0 && l[items].state[0].cost <= budget) {
    int32_t at = l[items].states - 1; /* most expensive undominated state = most valuable */
    out->feasible = true;
    out->cost = l[items].state[at].cost;
    out->value = l[items].state[at].value;
    for (int32_t i = items; i > 0; i--) {
      pick[i - 1] = l[i].state[at].option;
      at = l[i].state[at].parent;
    }
  }
  for (int32_t i = 0; i <= items; i++) free(l[i].state);
  free(l);
  return st;
}
