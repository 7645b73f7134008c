/* The variants of a study: chosen under the cycle budget, cut for real, checked against the same cut as zeros, fine-tuned. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "steer/study_int.h"

enum { ATTEMPTS = 40 };
#define SLIM_TOLERANCE 1e-3 /* of the largest logit: float32 sums in another order */

/* Slimmed and masked networks must compute the same function. */
static espl_status check_same(espl_study_state *st, espl_graph *masked, espl_graph *slim, const char *name, double *diff, espl_err *err) {
  double top = 0;
  ESPL_TRY(espl_compare_outputs(masked, slim, st->val, &st->pp, st->s->check_images, diff, &top, err));
  if (*diff > SLIM_TOLERANCE * (top > 1 ? top : 1))
    return espl_fail(err, ESPL_E_MISMATCH, "%s: slimmed network differs from the masked one by %g on %d images (largest logit %g)", name, *diff,
                     (int)st->s->check_images, top);
  return ESPL_OK;
}

/* Makes the network that a choice within `target` cycles (by the table) gives. */
typedef espl_status (*make_fn)(espl_study_state *st, void *choice, int64_t target, espl_graph **out, espl_err *err);

/* The whole network's cycles differ a little from the sum of the table (zero tiles are not spread evenly, overhead): the target of the choice
 * is tightened until the simulated network meets the study's budget. No choice within the target: OK, out->g NULL and the reason. */
static espl_status shrink(espl_study_state *st, const char *name, make_fn make, void *choice, espl_made *out, espl_err *err) {
  int64_t target = st->budget, cycles = 0;
  for (int i = 0; i < ATTEMPTS && target >= 1; i++) {
    espl_err why = {0};
    espl_status s = make(st, choice, target, &out->g, &why);
    if (s != ESPL_OK) {
      espl_graph_free(out->g);
      out->g = NULL;
      if (s != ESPL_E_FAILED) return espl_fail(err, s, "%s", why.msg);
      snprintf(out->reason, sizeof out->reason, "%.*s", (int)sizeof out->reason - 1, why.msg);
      return ESPL_OK;
    }
    ESPL_TRY(espl_study_cycles(st, out->g, st->s->int_epochs > 0, &cycles, err));
    if (cycles <= st->budget) return ESPL_OK;
    espl_graph_free(out->g);
    out->g = NULL;
    int64_t over = cycles - st->budget;
    target -= over > target / 100 ? over : target / 100;
  }
  snprintf(out->reason, sizeof out->reason, "%s: %lld cycles at the last choice, budget %lld", name, (long long)cycles, (long long)st->budget);
  return ESPL_OK;
}

/* ---- dense ---- */

struct dense {
  espl_width_rule rule;
  const char *name;
  espl_width_choice c;
  double diff;
};

static espl_status make_dense(espl_study_state *st, void *choice, int64_t target, espl_graph **out, espl_err *err) {
  struct dense *d = choice;
  uint8_t *keep = espl_calloc((size_t)st->units->units, 1);
  if (!keep) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", d->name);
  espl_graph *masked = NULL;
  espl_status s = espl_widths_choose(st->widths, d->rule, target, keep, &d->c, err);
  if (s == ESPL_OK) s = espl_slim(st->base, st->units, keep, out, err);
  if (s == ESPL_OK) s = espl_mask_units(st->base, st->units, keep, &masked, err);
  if (s == ESPL_OK) s = check_same(st, masked, *out, d->name, &d->diff, err);
  espl_graph_free(masked);
  free(keep);
  return s;
}

static espl_status dense(espl_study_state *st, espl_width_rule rule, const char *name, espl_made *out, espl_err *err) {
  struct dense d = {.rule = rule, .name = name};
  ESPL_TRY(shrink(st, name, make_dense, &d, out, err));
  snprintf(out->config, sizeof out->config, "{\"method\":\"channels\",\"rule\":\"%s\",\"importance\":\"taylor\",\"kept_importance\":%.4f,\"gap\":%.6f,\"slim_difference\":%.3g}",
           espl_width_rule_name(rule), d.c.kept, d.c.gap, d.diff);
  return ESPL_OK;
}

/* ---- block ---- */

struct block {
  int64_t removed, total;
  espl_choice c;
};

static espl_status make_block(espl_study_state *st, void *choice, int64_t target, espl_graph **out, espl_err *err) {
  struct block *b = choice;
  const espl_qnet *q = st->base_q;
  espl_tile_choice *tiles = espl_calloc((size_t)q->layers, sizeof *tiles);
  *out = espl_graph_clone(st->base);
  espl_status s = tiles && *out ? espl_choose_tiles(st->base, st->saliency, q, st->table, target, tiles, &b->c, err) : espl_fail(err, ESPL_E_NOMEM, "block: out of memory");
  b->removed = b->total = 0;
  for (int32_t i = 0; s == ESPL_OK && i < q->layers; i++) {
    b->total += tiles[i].tiles.tiles;
    b->removed += tiles[i].removed;
    if (tiles[i].removed > 0) s = espl_mask_tiles(*out, &tiles[i].tiles, tiles[i].keep, err);
  }
  if (tiles) espl_tile_choices_clear(tiles, q->layers);
  free(tiles);
  return s;
}

static espl_status block(espl_study_state *st, const char *name, espl_made *out, espl_err *err) {
  struct block b = {0};
  ESPL_TRY(shrink(st, name, make_block, &b, out, err));
  out->expect_skipped = b.removed;
  snprintf(out->config, sizeof out->config, "{\"method\":\"zero tiles\",\"tile\":[%d,%d],\"removed\":%lld,\"tiles\":%lld,\"importance\":\"taylor\",\"gap\":%.6g}",
           (int)st->s->machine.rows, (int)st->s->machine.cols, (long long)b.removed, (long long)b.total, b.c.gap);
  return ESPL_OK;
}

/* ---- kernel ---- */

struct kernel {
  int32_t cuts;
  espl_choice c;
  double diff;
};

static espl_status make_kernel(espl_study_state *st, void *choice, int64_t target, espl_graph **out, espl_err *err) {
  struct kernel *k = choice;
  const espl_qnet *q = st->base_q;
  espl_kernel_cut *cut = espl_calloc((size_t)q->layers, sizeof *cut);
  espl_graph *masked = espl_graph_clone(st->base);
  *out = espl_graph_clone(st->base);
  espl_status s = cut && *out && masked ? espl_choose_kernels(st->base, st->saliency, q, st->table, target, cut, &k->c, err) : espl_fail(err, ESPL_E_NOMEM, "kernel: out of memory");
  k->cuts = 0;
  for (int32_t i = 0; s == ESPL_OK && i < q->layers; i++) {
    if (cut[i].top + cut[i].bottom + cut[i].left + cut[i].right == 0) continue;
    k->cuts++;
    espl_mask_kernel(masked, q->layer[i].node, cut[i]);
    s = espl_cut_kernel(*out, q->layer[i].node, cut[i], err);
  }
  if (s == ESPL_OK) s = check_same(st, masked, *out, "kernel-cycles", &k->diff, err);
  espl_graph_free(masked);
  free(cut);
  return s;
}

static espl_status kernel(espl_study_state *st, const char *name, espl_made *out, espl_err *err) {
  struct kernel k = {0};
  ESPL_TRY(shrink(st, name, make_kernel, &k, out, err));
  snprintf(out->config, sizeof out->config, "{\"method\":\"kernel rows and columns\",\"convolutions_cut\":%d,\"importance\":\"taylor\",\"slim_difference\":%.3g,\"gap\":%.6g}",
           (int)k.cuts, k.diff, k.c.gap);
  return ESPL_OK;
}

/* ---- any kind ---- */

espl_status espl_study_make(espl_study_state *st, espl_variant_kind kind, espl_width_rule rule, const char *name, espl_made *out, espl_err *err) {
  *out = (espl_made){.expect_skipped = -1};
  espl_status s = kind == ESPL_VARIANT_DENSE ? dense(st, rule, name, out, err) : kind == ESPL_VARIANT_BLOCK ? block(st, name, out, err) : kernel(st, name, out, err);
  if (s == ESPL_OK && out->g) s = espl_study_tune(st, out->g, err);
  if (s == ESPL_OK) return ESPL_OK;
  espl_graph_free(out->g);
  out->g = NULL;
  return s;
}

espl_status espl_study_variant(espl_study_state *st, espl_variant_kind kind, espl_width_rule rule, espl_err *err) {
  char name[64];
  int done = 0;
  snprintf(name, sizeof name, "%s-%s", espl_variant_kind_name(kind), espl_width_rule_name(rule));
  ESPL_TRY(espl_study_have(st, name, &done, err));
  if (done) return ESPL_OK;
  espl_made made;
  ESPL_TRY(espl_study_make(st, kind, rule, name, &made, err));
  if (!made.g) {
    char text[400];
    snprintf(text, sizeof text, "%s: %s", name, made.reason);
    return espl_store_event(st->store, st->run, ESPL_STUDY_IMPOSSIBLE, text, err);
  }
  espl_make m = {.name = name, .parent = "baseline", .steered_by = espl_width_rule_name(rule), .kind = kind, .g = made.g, .config_json = made.config,
                 .expect_skipped = made.expect_skipped, .verify_rtl = rule == ESPL_WIDTH_CYCLES, .rounded = st->s->int_epochs > 0};
  espl_status s = espl_study_record(st, &m, err);
  espl_graph_free(made.g);
  return s;
}
