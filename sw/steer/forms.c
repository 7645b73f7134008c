/* Tiles and kernels under a cycle budget. */
#include "steer/forms.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { TILE_STEPS = 16, KERNEL_OPTIONS = 128 };

/* ---- tiles ---- */

struct ranked_tile {
  int32_t tile;
  double importance;
};
static int by_importance(const void *a, const void *b) {
  const struct ranked_tile *x = a, *y = b;
  if (x->importance != y->importance) return x->importance < y->importance ? -1 : 1;
  return x->tile - y->tile;
}

/* Order in which tiles go: least important first, the most important of every output block last of all (those never go). */
struct tile_order {
  espl_tiles t;
  int32_t removable;
  struct ranked_tile *order; /* [removable] */
  double total;
};

static espl_status order_tiles(const espl_graph *g, int32_t node, const espl_machine *m, const double *saliency, struct tile_order *o, espl_err *err) {
  ESPL_TRY(espl_tiles_of(g, node, m->rows, m->cols, &o->t, err));
  double *importance = espl_calloc((size_t)o->t.tiles, sizeof *importance);
  o->order = espl_calloc((size_t)o->t.tiles, sizeof *o->order);
  if (!importance || !o->order) {
    free(importance);
    return espl_fail(err, ESPL_E_NOMEM, "steering: out of memory");
  }
  espl_tile_importance(&o->t, saliency, importance);
  int32_t per_block = o->t.in_blocks * o->t.taps;
  for (int32_t b = 0; b < o->t.out_blocks; b++) {
    int32_t best = b * per_block;
    for (int32_t i = b * per_block; i < (b + 1) * per_block; i++) {
      o->total += importance[i];
      if (importance[i] > importance[best]) best = i;
    }
    for (int32_t i = b * per_block; i < (b + 1) * per_block; i++)
      if (i != best) o->order[o->removable++] = (struct ranked_tile){i, importance[i]};
  }
  qsort(o->order, (size_t)o->removable, sizeof *o->order, by_importance);
  free(importance);
  return ESPL_OK;
}

static int32_t step_tiles(const struct tile_order *o, int32_t step) {
  int32_t n = (int32_t)((int64_t)o->t.tiles * step / TILE_STEPS);
  return n < o->removable ? n : o->removable;
}

static espl_status tile_options(espl_cost_table *table, const espl_qnet *q, int32_t layer, const struct tile_order *o, espl_option *opt, int32_t *n, espl_err *err) {
  *n = 0;
  for (int32_t step = 0; step < TILE_STEPS; step++) {
    int32_t zero = step_tiles(o, step);
    if (step > 0 && zero == step_tiles(o, step - 1)) break;
    espl_layer_form f = espl_layer_form_now(q, layer);
    f.zero_tiles = zero;
    opt[*n].value = o->total;
    for (int32_t i = 0; i < zero; i++) opt[*n].value -= o->order[i].importance;
    ESPL_TRY(espl_cost_get(table, &f, &opt[*n].cost, err));
    ++*n;
  }
  return ESPL_OK;
}

static bool has_tiles(const espl_graph *g, const espl_qlayer *l) {
  return !l->onehot && g->node[l->node].param[ESPL_PARAM_WEIGHT] && l->groups == 1;
}

struct tile_work {
  struct tile_order *order;
  espl_option (*opt)[TILE_STEPS];
  espl_item *item;
  int32_t *pick;
};

static espl_status choose_tiles(const espl_graph *g, const espl_saliency *s, const espl_qnet *q, espl_cost_table *table, int64_t budget, struct tile_work *w,
                                espl_tile_choice *choice, espl_choice *out, espl_err *err) {
  for (int32_t i = 0; i < q->layers; i++) {
    const espl_qlayer *l = &q->layer[i];
    int32_t n = 1;
    if (has_tiles(g, l)) {
      ESPL_TRY(order_tiles(g, l->node, espl_cost_machine(table), s->weight[l->node], &w->order[i], err));
      ESPL_TRY(tile_options(table, q, i, &w->order[i], w->opt[i], &n, err));
    } else {
      espl_layer_form f = espl_layer_form_now(q, i);
      ESPL_TRY(espl_cost_get(table, &f, &w->opt[i][0].cost, err));
    }
    w->item[i] = (espl_item){n, w->opt[i]};
  }
  ESPL_TRY(espl_knapsack(q->layers, w->item, budget, w->pick, out, err));
  if (!out->feasible) return espl_fail(err, ESPL_E_FAILED, "%s: no choice of zero tiles meets %lld cycles", g->name, (long long)budget);
  for (int32_t i = 0; i < q->layers; i++) {
    if (!w->order[i].order) continue;
    choice[i].tiles = w->order[i].t;
    choice[i].removed = step_tiles(&w->order[i], w->pick[i]);
    choice[i].keep = espl_calloc((size_t)choice[i].tiles.tiles, 1);
    if (!choice[i].keep) return espl_fail(err, ESPL_E_NOMEM, "steering: out of memory");
    memset(choice[i].keep, 1, (size_t)choice[i].tiles.tiles);
    for (int32_t k = 0; k < choice[i].removed; k++) choice[i].keep[w->order[i].order[k].tile] = 0;
  }
  return ESPL_OK;
}

espl_status espl_choose_tiles(const espl_graph *g, const espl_saliency *s, const espl_qnet *q, espl_cost_table *table, int64_t budget_cycles,
                              espl_tile_choice *choice, espl_choice *out, espl_err *err) {
  size_t n = (size_t)q->layers;
  memset(choice, 0, n * sizeof *choice);
  struct tile_work w = {.order = espl_calloc(n, sizeof *w.order), .opt = espl_calloc(n, sizeof *w.opt), .item = espl_calloc(n, sizeof *w.item),
                        .pick = espl_calloc(n, sizeof *w.pick)};
  espl_status st = w.order && w.opt && w.item && w.pick ? choose_tiles(g, s, q, table, budget_cycles, &w, choice, out, err)
                                                        : espl_fail(err, ESPL_E_NOMEM, "steering: out of memory");
  for (size_t i = 0; w.order && i < n; i++) free(w.order[i].order);
  free(w.order);
  free(w.opt);
  free(w.item);
  free(w.pick);
  if (st != ESPL_OK) espl_tile_choices_clear(choice, q->layers);
  return st;
}

void espl_tile_choices_clear(espl_tile_choice *choice, int32_t layers) {
  for (int32_t i = 0; i < layers; i++) {
    free(choice[i].keep);
    choice[i].keep = NULL;
  }
}

/* ---- kernels ---- */

/* The least important way to take `rows` rows and `cols` columns off; false when padding allows none. */
static bool best_cut(const espl_graph *g, int32_t node, int32_t rows, int32_t cols, const double *saliency, espl_kernel_cut *best, double *loss) {
  bool some = false;
  for (int32_t top = 0; top <= rows; top++)
    for (int32_t left = 0; left <= cols; left++) {
      espl_kernel_cut c = {top, rows - top, left, cols - left};
      if (!espl_kernel_cut_allowed(&g->node[node], c)) continue;
      double l = espl_kernel_cut_loss(g, node, c, saliency);
      if (some && l >= *loss) continue;
      some = true;
      *best = c;
      *loss = l;
    }
  return some;
}

static espl_status kernel_options(const espl_graph *g, const espl_saliency *s, const espl_qnet *q, int32_t layer, espl_cost_table *table, espl_option *opt,
                                  espl_kernel_cut *cut, int32_t *n, espl_err *err) {
  int32_t node = q->layer[layer].node;
  const espl_node *c = &g->node[node];
  bool conv = !q->layer[layer].onehot && c->op == ESPL_OP_CONV && s->weight[node];
  *n = 0;
  for (int32_t rows = 0; rows < (conv ? c->conv.kh : 1); rows++)
    for (int32_t cols = 0; cols < (conv ? c->conv.kw : 1) && *n < KERNEL_OPTIONS; cols++) {
      double loss = 0;
      cut[*n] = (espl_kernel_cut){0};
      if (conv && !best_cut(g, node, rows, cols, s->weight[node], &cut[*n], &loss)) continue;
      espl_layer_form f = espl_layer_form_now(q, layer);
      f.cut = cut[*n];
      opt[*n].value = -loss;
      ESPL_TRY(espl_cost_get(table, &f, &opt[*n].cost, err));
      ++*n;
    }
  return ESPL_OK;
}

espl_status espl_choose_kernels(const espl_graph *g, const espl_saliency *s, const espl_qnet *q, espl_cost_table *table, int64_t budget_cycles,
                                espl_kernel_cut *cut, espl_choice *out, espl_err *err) {
  size_t n = (size_t)q->layers;
  espl_option (*opt)[KERNEL_OPTIONS] = espl_calloc(n, sizeof *opt);
  espl_kernel_cut (*cuts)[KERNEL_OPTIONS] = espl_calloc(n, sizeof *cuts);
  espl_item *item = espl_calloc(n, sizeof *item);
  int32_t *pick = espl_calloc(n, sizeof *pick);
  espl_status st = opt && cuts && item && pick ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "steering: out of memory");
  for (int32_t i = 0; st == ESPL_OK && i < q->layers; i++) {
    int32_t options = 0;
    st = kernel_options(g, s, q, i, table, opt[i], cuts[i], &options, err);
    item[i] = (espl_item){options, opt[i]};
  }
  if (st == ESPL_OK) st = espl_knapsack(q->layers, item, budget_cycles, pick, out, err);
  if (st == ESPL_OK && !out->feasible) st = espl_fail(err, ESPL_E_FAILED, "%s: no choice of kernel sizes meets %lld cycles", g->name, (long long)budget_cycles);
  for (int32_t i = 0; st == ESPL_OK && i < q->layers; i++) cut[i] = cuts[i][pick[i]];
  free(opt);
  free(cuts);
  free(item);
  free(pick);
  return st;
}
