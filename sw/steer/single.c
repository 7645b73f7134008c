/* The steps of a study for a single variant: measure, make, measure again, write, read back. */
#include "steer/single.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "onnx/onnx.h"
#include "steer/study_int.h"

static espl_status measure(espl_study_state *st, espl_graph *g, espl_variant_kind kind, const char *name, int64_t expect_skipped, bool rounded, espl_store_variant *v, espl_err *err) {
  espl_make m = {.name = name, .kind = kind, .g = g, .expect_skipped = expect_skipped, .rounded = rounded};
  espl_measured w = {0};
  espl_store_variant_init(v);
  espl_status e = espl_study_measure(st, &m, &w, v, err);
  espl_measured_clear(&w);
  return e;
}

/* The same logits, bit for bit: what the file holds is what was measured. */
static espl_status read_back(espl_study_state *st, espl_graph *g, const char *file, espl_err *err) {
  espl_graph *again = NULL;
  double diff = 0, top = 0;
  espl_status e = espl_onnx_read(file, &again, err);
  if (e == ESPL_OK) e = espl_compare_outputs(g, again, st->val, &st->pp, st->s->check_images, &diff, &top, err);
  if (e == ESPL_OK && (diff != 0 || espl_graph_params(again) != espl_graph_params(g)))
    e = espl_fail(err, ESPL_E_MISMATCH, "%s: read back, the network differs by %g from the one that was written", file, diff);
  espl_graph_free(again);
  return e;
}

static espl_status finish(espl_study_state *st, espl_variant_kind kind, const espl_made *made, const char *file, espl_single *out, espl_err *err) {
  espl_progress_push(st->progress, "result on the machine", 15, 1);
  ESPL_TRY(measure(st, made->g, kind, "result", made->expect_skipped, st->s->int_epochs > 0, &out->after, err));
  if (out->after.cycles > out->budget_cycles)
    return espl_fail(err, ESPL_E_FAILED, "after fine-tuning the network takes %lld cycles, the budget is %lld", (long long)out->after.cycles, (long long)out->budget_cycles);
  memcpy(out->config, made->config, sizeof out->config);
  ESPL_TRY(espl_graph_note(made->g, made->config, err));
  ESPL_TRY(espl_onnx_write(made->g, file, err));
  espl_status e = read_back(st, made->g, file, err);
  if (e != ESPL_OK) unlink(file);
  espl_progress_pop(st->progress);
  return e;
}

static espl_status measure_tuned(espl_study_state *st, espl_single *out, espl_err *err) {
  espl_graph *g = NULL;
  espl_progress_push(st->progress, "the network itself, tuned", 20, 1);
  ESPL_TRY(espl_study_tuned_base(st, &g, err));
  espl_status e = measure(st, g, ESPL_VARIANT_BASELINE, "network, tuned", -1, true, &out->tuned, err);
  espl_graph_free(g);
  espl_progress_pop(st->progress);
  return e;
}

static espl_status flow(espl_study_state *st, espl_variant_kind kind, espl_width_rule rule, const char *file, espl_single *out, espl_err *err) {
  ESPL_TRY(espl_study_open_data(st, err));
  espl_progress_push(st->progress, "network on the machine", 15, 1);
  ESPL_TRY(espl_study_base(st, err));
  ESPL_TRY(measure(st, st->base, ESPL_VARIANT_BASELINE, "network", -1, false, &out->before, err));
  espl_progress_pop(st->progress);
  st->base_cycles = out->before.cycles;
  out->budget_cycles = st->budget = (int64_t)((double)st->base_cycles * st->s->budget);
  espl_progress_push(st->progress, "importance and cost table", 30, 1);
  ESPL_TRY(espl_study_prepare(st, err));
  espl_progress_pop(st->progress);
  const bool tuned = st->s->int_epochs > 0;
  espl_progress_push(st->progress, "make and fine-tune", tuned ? 20 : 40, 1);
  espl_made made;
  ESPL_TRY(espl_study_make(st, kind, rule, espl_variant_kind_name(kind), &made, err));
  espl_progress_pop(st->progress);
  if (!made.g) return espl_fail(err, ESPL_E_FAILED, "%s", made.reason);
  espl_status e = tuned ? measure_tuned(st, out, err) : ESPL_OK;
  if (e == ESPL_OK) e = finish(st, kind, &made, file, out, err);
  espl_graph_free(made.g);
  return e;
}

espl_status espl_study_single(const espl_study *s, espl_variant_kind kind, espl_width_rule rule, const char *file, espl_progress *progress, espl_single *out, espl_err *err) {
  espl_study one = *s;
  one.dense = kind == ESPL_VARIANT_DENSE;
  espl_study_state st = {.s = &one, .progress = progress};
  espl_preprocess_default(&st.pp);
  *out = (espl_single){0};
  espl_status e = flow(&st, kind, rule, file, out, err);
  espl_study_close(&st);
  return e;
}
