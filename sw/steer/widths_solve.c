/* Exact width choice: enumerate the groups that meet others, knapsack over the independent rest. */
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/mem.h"
#include "steer/widths_int.h"

enum { COMBINATIONS = 20000 };

/* Options of a group in steps: least, then multiples of `step`, then the full size; at most ESPL_WIDTH_OPTIONS. */
static void steps(const struct free_group *f, int32_t step, int32_t *n, int32_t k[ESPL_WIDTH_OPTIONS]) {
  while (f->size / step > ESPL_WIDTH_OPTIONS - 2) step *= 2;
  *n = 0;
  if (f->least == 0) k[(*n)++] = 0;
  for (int32_t v = step; v < f->size; v += step) k[(*n)++] = v;
  k[(*n)++] = f->size;
}

void espl_width_grid(const espl_widths *w, espl_width_rule rule, struct grid *grid) {
  int32_t r = w->m->rows, c = w->m->cols, low = r < c ? r : c, high = r < c ? c : r;
  for (int32_t i = 0; i < w->groups; i++) {
    const struct free_group *f = &w->group[i];
    int32_t step = rule == ESPL_WIDTH_CYCLES ? low : rule == ESPL_WIDTH_MACS_ROUNDED ? high : f->size < 8 ? 1 : f->size / 8;
    steps(f, step, &grid->n[i], grid->k[i]);
  }
}

static bool meets(const struct wlayer *l, int32_t a, int32_t b) {
  bool has_a = false, has_b = false;
  const struct width_of *side[2] = {&l->in, &l->out};
  for (int s = 0; s < 2; s++)
    for (int32_t i = 0; i < side[s]->terms; i++) {
      has_a = has_a || side[s]->term[i] == a;
      has_b = has_b || side[s]->term[i] == b;
    }
  return has_a && has_b;
}

/* Marks hubs until no two other groups meet in a layer: always the group that meets most others (a greedy vertex cover). */
static void find_hubs(const espl_widths *w, bool *hub) {
  memset(hub, 0, (size_t)w->groups * sizeof *hub);
  for (;;) {
    int32_t best = -1, most = 0;
    for (int32_t a = 0; a < w->groups; a++) {
      int32_t degree = 0;
      for (int32_t b = 0; !hub[a] && b < w->groups; b++) {
        bool m = false;
        for (int32_t i = 0; b != a && !hub[b] && !m && i < w->layers; i++) m = meets(&w->layer[i], a, b);
        degree += m;
      }
      if (degree > most) most = degree, best = a;
    }
    if (best < 0) return;
    hub[best] = true;
  }
}

static bool touches(const struct wlayer *l, int32_t g) { return meets(l, g, g); }

/* Cost of the layers that touch no free non-hub group, and options of each non-hub group, with the hubs at k. */
static espl_status price(espl_widths *w, const struct grid *grid, const bool *hub, bool macs, int32_t *k, int64_t *fixed, espl_option (*opt)[ESPL_WIDTH_OPTIONS],
                         espl_item *item, int32_t *items, int32_t *of, espl_err *err) {
  *fixed = 0;
  *items = 0;
  for (int32_t i = 0; i < w->layers; i++) {
    bool free_layer = false;
    for (int32_t a = 0; a < w->groups && !free_layer; a++) free_layer = !hub[a] && touches(&w->layer[i], a);
    int64_t c = 0;
    if (!free_layer) ESPL_TRY(espl_width_cost(w, macs, i, k, &c, err));
    *fixed += c;
  }
  for (int32_t a = 0; a < w->groups; a++) {
    if (hub[a]) continue;
    for (int32_t o = 0; o < grid->n[a]; o++) {
      k[a] = grid->k[a][o];
      opt[a][o] = (espl_option){.value = w->group[a].kept[k[a]]};
      for (int32_t i = 0; i < w->layers; i++) {
        int64_t c = 0;
        if (touches(&w->layer[i], a)) ESPL_TRY(espl_width_cost(w, macs, i, k, &c, err));
        opt[a][o].cost += c;
      }
    }
    of[*items] = a;
    item[(*items)++] = (espl_item){grid->n[a], opt[a]};
  }
  return ESPL_OK;
}

/* Thins the options of hubs until the combinations can be enumerated; returns whether anything was thinned. */
static bool thin(const espl_widths *w, const bool *hub, struct grid *grid) {
  bool thinned = false;
  for (;;) {
    double combos = 1;
    int32_t widest = -1;
    for (int32_t a = 0; a < w->groups; a++)
      if (hub[a]) {
        combos *= grid->n[a];
        if (widest < 0 || grid->n[a] > grid->n[widest]) widest = a;
      }
    if (combos <= COMBINATIONS || widest < 0 || grid->n[widest] <= 2) return thinned;
    int32_t n = 0;
    for (int32_t o = (grid->n[widest] + 1) % 2; o < grid->n[widest]; o += 2) grid->k[widest][n++] = grid->k[widest][o]; /* keeps the last */
    grid->n[widest] = n;
    thinned = true;
  }
}

struct best {
  double value, gap;
  bool feasible;
  int32_t k[ESPL_WIDTH_GROUPS];
};

static espl_status try_hubs(espl_widths *w, const struct grid *grid, const bool *hub, bool macs, int64_t budget, int32_t *k, struct best *best, espl_err *err) {
  espl_option opt[ESPL_WIDTH_GROUPS][ESPL_WIDTH_OPTIONS];
  espl_item item[ESPL_WIDTH_GROUPS];
  int32_t items, of[ESPL_WIDTH_GROUPS], pick[ESPL_WIDTH_GROUPS];
  int64_t fixed;
  ESPL_TRY(price(w, grid, hub, macs, k, &fixed, opt, item, &items, of, err));
  if (fixed > budget) return ESPL_OK;
  espl_choice c;
  ESPL_TRY(espl_knapsack(items, item, budget - fixed, pick, &c, err));
  if (!c.feasible) return ESPL_OK;
  double value = c.value;
  for (int32_t a = 0; a < w->groups; a++)
    if (hub[a]) value += w->group[a].kept[k[a]];
  if (best->feasible && value <= best->value) return ESPL_OK;
  best->feasible = true;
  best->value = value;
  best->gap = c.gap;
  memcpy(best->k, k, sizeof best->k);
  for (int32_t i = 0; i < items; i++) best->k[of[i]] = grid->k[of[i]][pick[i]];
  return ESPL_OK;
}

espl_status espl_width_solve(espl_widths *w, const struct grid *full, bool macs, int64_t budget, int32_t *k, bool *feasible, double *gap, espl_err *err) {
  bool hub[ESPL_WIDTH_GROUPS];
  struct grid grid = *full;
  find_hubs(w, hub);
  bool thinned = thin(w, hub, &grid);
  int32_t at[ESPL_WIDTH_GROUPS] = {0};
  struct best best = {0};
  for (;;) {
    ESPL_TRY(espl_interrupt_check(err));
    for (int32_t a = 0; a < w->groups; a++) k[a] = grid.k[a][hub[a] ? at[a] : grid.n[a] - 1];
    ESPL_TRY(try_hubs(w, &grid, hub, macs, budget, k, &best, err));
    int32_t a = 0;
    while (a < w->groups && (!hub[a] || ++at[a] == grid.n[a])) at[a++] = 0;
    if (a == w->groups) break;
  }
  *feasible = best.feasible;
  if (best.feasible) memcpy(k, best.k, (size_t)w->groups * sizeof *k);
  /* with a thinned grid nothing is proved: the bound is all that was given up */
  *gap = thinned && best.feasible ? w->total - best.value : best.gap;
  return ESPL_OK;
}
