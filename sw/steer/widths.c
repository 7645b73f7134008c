/* Width choice: the groups of a network, the rules and their budgets. */
#include "steer/widths.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "steer/widths_int.h"

const char *espl_width_rule_name(espl_width_rule r) {
  static const char *const name[ESPL_WIDTH_RULES] = {"cycles", "uniform", "macs", "macs-rounded"};
  return r < ESPL_WIDTH_RULES ? name[r] : "?";
}

/* ---- building ---- */

static int32_t free_index(const espl_widths *w, int32_t group) {
  for (int32_t i = 0; i < w->groups; i++)
    if (w->group[i].group == group) return i;
  return -1;
}

/* Groups of a value: its width as a sum. A value that holds a unit more than once (behind FLATTEN) is not a layer operand here. */
static espl_status width_of_value(const espl_widths *w, int32_t node, struct width_of *out, espl_err *err) {
  while (w->g->node[node].op == ESPL_OP_FLATTEN) node = w->g->node[node].input[0];
  *out = (struct width_of){0};
  for (int32_t c = 0; c < w->g->node[node].shape.c; c++) {
    int32_t f = free_index(w, w->u->group_of[espl_unit_of(w->u, node, c)]);
    if (f < 0) {
      out->fixed++;
      continue;
    }
    int32_t i = 0;
    while (i < out->terms && out->term[i] != f) i++;
    if (i < out->terms) continue;
    if (out->terms == 16) return espl_fail(err, ESPL_E_UNSUPPORTED, "%s: value %s mixes more than 16 channel groups", w->g->name, w->g->node[node].name);
    out->term[out->terms++] = f;
  }
  return ESPL_OK;
}

struct ranked {
  int32_t unit;
  double importance;
};
static int by_importance(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  if (x->importance != y->importance) return x->importance > y->importance ? -1 : 1;
  return x->unit - y->unit;
}

static espl_status add_group(espl_widths *w, int32_t group, const double *importance, espl_err *err) {
  struct free_group *f = &w->group[w->groups];
  *f = (struct free_group){.group = group, .size = w->u->group_size[group]};
  f->unit = espl_calloc((size_t)f->size, sizeof *f->unit);
  f->kept = espl_calloc((size_t)f->size + 1, sizeof *f->kept);
  struct ranked *r = espl_calloc((size_t)f->size, sizeof *r);
  w->groups++;
  if (!f->unit || !f->kept || !r) {
    free(r);
    return espl_fail(err, ESPL_E_NOMEM, "steering: out of memory");
  }
  for (int32_t k = 0, n = 0; k < w->u->units; k++)
    if (w->u->group_of[k] == group) r[n++] = (struct ranked){k, importance[k]};
  qsort(r, (size_t)f->size, sizeof *r, by_importance);
  for (int32_t i = 0; i < f->size; i++) {
    f->unit[i] = r[i].unit;
    f->kept[i + 1] = f->kept[i] + r[i].importance;
  }
  w->total += f->kept[f->size];
  free(r);
  return ESPL_OK;
}

/* A group must keep a unit unless every value it lives in has channels of others. */
static void set_least(espl_widths *w) {
  for (int32_t i = 0; i < w->groups; i++) w->group[i].least = 0;
  for (int32_t n = 0; n < w->g->nodes; n++) {
    int32_t group = espl_value_group(w->u, n);
    int32_t f = group < 0 ? -1 : free_index(w, group);
    if (f >= 0) w->group[f].least = 1;
  }
}

espl_status espl_widths_new(const espl_graph *g, const espl_units *u, const double *importance, const espl_qnet *q, espl_cost_table *table,
                            espl_widths **out, espl_err *err) {
  espl_widths *w = espl_calloc(1, sizeof *w);
  *out = w;
  if (!w) return espl_fail(err, ESPL_E_NOMEM, "steering: out of memory");
  *w = (espl_widths){.g = g, .u = u, .q = q, .table = table, .m = espl_cost_machine(table), .layers = q->layers};
  w->group = espl_calloc((size_t)u->groups + 1, sizeof *w->group);
  w->layer = espl_calloc((size_t)q->layers, sizeof *w->layer);
  if (!w->group || !w->layer) return espl_fail(err, ESPL_E_NOMEM, "steering: out of memory");
  for (int32_t k = 0; k < u->groups; k++) {
    if (u->group_frozen[k]) continue;
    if (w->groups == ESPL_WIDTH_GROUPS) return espl_fail(err, ESPL_E_UNSUPPORTED, "%s: more than %d free channel groups", g->name, ESPL_WIDTH_GROUPS);
    ESPL_TRY(add_group(w, k, importance, err));
  }
  set_least(w);
  for (int32_t i = 0; i < q->layers; i++) {
    ESPL_TRY(width_of_value(w, q->tensor[q->layer[i].in].node, &w->layer[i].in, err));
    ESPL_TRY(width_of_value(w, q->tensor[q->layer[i].out].node, &w->layer[i].out, err));
  }
  return ESPL_OK;
}

void espl_widths_free(espl_widths *w) {
  if (!w) return;
  for (int32_t i = 0; w->group && i < w->groups; i++) {
    free(w->group[i].unit);
    free(w->group[i].kept);
  }
  free(w->group);
  free(w->layer);
  free(w);
}

/* ---- costs ---- */

int32_t espl_width_at(const struct width_of *w, const int32_t *k) {
  int32_t c = w->fixed;
  for (int32_t i = 0; i < w->terms; i++) c += k[w->term[i]];
  return c;
}

espl_status espl_width_cost(espl_widths *w, bool macs, int32_t layer, const int32_t *k, int64_t *cost, espl_err *err) {
  espl_layer_form f = {.layer = layer, .in_c = espl_width_at(&w->layer[layer].in, k), .out_c = espl_width_at(&w->layer[layer].out, k)};
  if (w->q->layer[layer].onehot) f.in_c = f.out_c;
  if (!macs) return espl_cost_get(w->table, &f, cost, err);
  *cost = espl_form_macs(w->q, &f);
  return ESPL_OK;
}

static espl_status total_cost(espl_widths *w, bool macs, const int32_t *k, int64_t *cost, espl_err *err) {
  *cost = 0;
  for (int32_t i = 0; i < w->layers; i++) {
    int64_t c;
    ESPL_TRY(espl_width_cost(w, macs, i, k, &c, err));
    *cost += c;
  }
  return ESPL_OK;
}

static void full_widths(const espl_widths *w, int32_t *k) {
  for (int32_t i = 0; i < w->groups; i++) k[i] = w->group[i].size;
}

/* Layers that take as many channels as they give, whatever is cut: copies and depthwise convolutions. */
static bool keeps_width(const espl_qlayer *l) { return l->onehot || (l->groups > 1 && l->groups == l->in_c && l->groups == l->out_c); }

espl_status espl_widths_forms(espl_widths *w, espl_layer_form **forms, int32_t *n, espl_err *err) {
  struct grid grid;
  espl_width_grid(w, ESPL_WIDTH_CYCLES, &grid);
  int32_t cap = 0;
  *forms = NULL;
  *n = 0;
  for (int32_t i = 0; i < w->layers; i++) {
    /* Every width an operand can have: sums of options; at most a few groups meet in a value. */
    uint8_t seen[2][4096] = {{0}};
    const struct width_of *side[2] = {&w->layer[i].in, &w->layer[i].out};
    for (int s = 0; s < 2; s++) {
      int32_t at[16] = {0};
      for (;;) {
        int32_t c = side[s]->fixed, t = 0;
        for (int32_t j = 0; j < side[s]->terms; j++) c += grid.k[side[s]->term[j]][at[j]];
        if (c > 0 && c < 4096) seen[s][c] = 1;
        while (t < side[s]->terms && ++at[t] == grid.n[side[s]->term[t]]) at[t++] = 0;
        if (t == side[s]->terms) break;
      }
    }
    for (int32_t a = 1; a < 4096; a++)
      for (int32_t b = 1; b < 4096; b++) {
        if (!seen[0][a] || !seen[1][b]) continue;
        if (a != b && keeps_width(&w->q->layer[i])) continue;
        if (*n == cap) {
          cap = cap ? 2 * cap : 128;
          espl_layer_form *p = realloc(*forms, (size_t)cap * sizeof *p);
          if (!p) return espl_fail(err, ESPL_E_NOMEM, "steering: out of memory");
          *forms = p;
        }
        (*forms)[(*n)++] = (espl_layer_form){.layer = i, .in_c = a, .out_c = b};
      }
  }
  return ESPL_OK;
}

/* ---- rules ---- */

static int32_t clamp_k(const struct free_group *f, int32_t k) { return k < f->least ? f->least : k > f->size ? f->size : k; }

/* Largest common share, in 1/128 steps, whose cycles meet the budget (bisection; what is returned was checked). */
static espl_status choose_uniform(espl_widths *w, int64_t budget, int32_t *k, bool *feasible, espl_err *err) {
  int32_t low = 0, high = 129; /* low meets (0: none found), high does not */
  while (high - low > 1) {
    int32_t share = (low + high) / 2, trial[ESPL_WIDTH_GROUPS] = {0};
    int64_t cycles;
    for (int32_t i = 0; i < w->groups; i++) trial[i] = clamp_k(&w->group[i], (w->group[i].size * share + 64) / 128);
    ESPL_TRY(total_cost(w, false, trial, &cycles, err));
    if (cycles <= budget) {
      low = share;
      memcpy(k, trial, sizeof trial);
    } else {
      high = share;
    }
  }
  *feasible = low > 0;
  return ESPL_OK;
}

/* The best choice within part/64 of all MACs: whether there is one, and whether its cycles meet theirs. */
static espl_status try_macs(espl_widths *w, const struct grid *grid, int64_t full, int32_t part, int64_t budget, int32_t *k, bool *exists, bool *meets, double *gap, espl_err *err) {
  int64_t cycles;
  *meets = false;
  ESPL_TRY(espl_width_solve(w, grid, true, full * part / 64, k, exists, gap, err));
  if (!*exists) return ESPL_OK;
  ESPL_TRY(total_cost(w, false, k, &cycles, err));
  *meets = cycles <= budget;
  return ESPL_OK;
}

/* Shrinks the MAC budget until the cycles of the best choice meet theirs: bisection over 64 steps, cycles taken as growing with MACs
 * (nearly so; what is returned was checked). Budgets too small for any choice lie below all that meet. */
static espl_status choose_macs(espl_widths *w, const struct grid *grid, int64_t budget, int32_t *k, bool *feasible, double *gap, espl_err *err) {
  int64_t full;
  full_widths(w, k);
  ESPL_TRY(total_cost(w, true, k, &full, err));
  int32_t low = 0, high = 65; /* low meets or has no choice, high has a choice that does not meet */
  *feasible = false;
  while (high - low > 1) {
    int32_t part = (low + high) / 2, trial[ESPL_WIDTH_GROUPS] = {0};
    bool exists, meets;
    double g;
    ESPL_TRY(try_macs(w, grid, full, part, budget, trial, &exists, &meets, &g, err));
    if (meets || !exists) low = part;
    if (meets) {
      *feasible = true;
      *gap = g;
      memcpy(k, trial, sizeof trial);
    } else if (exists) {
      high = part;
    }
  }
  return ESPL_OK;
}

espl_status espl_widths_choose(espl_widths *w, espl_width_rule rule, int64_t budget, uint8_t *keep, espl_width_choice *out, espl_err *err) {
  int32_t k[ESPL_WIDTH_GROUPS] = {0};
  bool feasible = false;
  double gap = 0;
  struct grid grid;
  espl_width_grid(w, rule, &grid);
  if (rule == ESPL_WIDTH_UNIFORM) ESPL_TRY(choose_uniform(w, budget, k, &feasible, err));
  else if (rule == ESPL_WIDTH_CYCLES) ESPL_TRY(espl_width_solve(w, &grid, false, budget, k, &feasible, &gap, err));
  else ESPL_TRY(choose_macs(w, &grid, budget, k, &feasible, &gap, err));
  if (!feasible) return espl_fail(err, ESPL_E_FAILED, "%s: no widths by rule %s meet %lld cycles", w->g->name, espl_width_rule_name(rule), (long long)budget);
  *out = (espl_width_choice){.gap = w->total > 0 ? gap / w->total : 0};
  ESPL_TRY(total_cost(w, false, k, &out->cycles, err));
  ESPL_TRY(total_cost(w, true, k, &out->macs, err));
  memset(keep, 1, (size_t)w->u->units);
  double kept = 0;
  for (int32_t i = 0; i < w->groups; i++) {
    kept += w->group[i].kept[k[i]];
    for (int32_t j = k[i]; j < w->group[i].size; j++) keep[w->group[i].unit[j]] = 0;
  }
  out->kept = w->total > 0 ? kept / w->total : 1;
  return ESPL_OK;
}
