/* Inside a study: what its steps share. One `espl_study_state` lives for one espl_study_run. */
#ifndef ESPL_STEER_STUDY_INT_H
#define ESPL_STEER_STUDY_INT_H

#include "compress/shape.h"
#include "steer/cost.h"
#include "steer/forms.h"
#include "steer/study.h"
#include "steer/widths.h"

typedef struct espl_study_state {
  const espl_study *s;
  espl_store *store;
  espl_progress *progress;
  int64_t run;
  espl_preprocess pp;
  espl_dataset *train, *val;
  espl_graph *base;         /* the trained network */
  espl_qnet *base_q;
  int64_t base_cycles, budget;
  espl_units *units;
  espl_saliency *saliency;
  double *unit_importance;
  espl_cost_table *table;
  espl_widths *widths;
} espl_study_state;

/* One network on its way to a row of the table. */
typedef struct espl_make {
  const char *name, *parent, *steered_by;
  espl_variant_kind kind;
  espl_graph *g;            /* slimmed or masked; owned by the maker's caller */
  const char *config_json;
  int64_t expect_skipped;   /* block: tiles that must be skipped at least; -1 not asked */
  int verify_rtl;
  bool rounded;             /* trained for its integers: quantized as that training rounds */
  char note[256];
} espl_make;

/* Calibration and weights as the study says; rounded: for a network that a training with the study's rounding made (int_epochs). */
void espl_study_quant(const espl_study_state *st, bool rounded, espl_quant_config *c);
/* Post-training quantization with the study's calibration: every network of a study goes through this one. */
espl_status espl_study_quantize(espl_study_state *st, espl_graph *g, bool rounded, espl_qnet **q, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_study_tune(espl_study_state *st, espl_graph *g, espl_err *err) ESPL_MUST_CHECK;
/* Where the study trains for its integers: a copy of the network as given behind the training for its integers that every variant gets, what
 * a variant's accuracy is fairly compared with. (The fine-tuning in float before it repairs what a removal did; nothing was removed here.) *g is the caller's; NULL where int_epochs is 0. */
espl_status espl_study_tuned_base(espl_study_state *st, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;
/* Quantizes, maps, simulates on the C model, checks model = integer evaluation, verifies on the RTL when asked, stores variant, layers and
 * file. */
espl_status espl_study_record(espl_study_state *st, const espl_make *m, espl_err *err) ESPL_MUST_CHECK;
/* Test accuracies of every variant of the run: the final step. */
espl_status espl_study_test(espl_study_state *st, espl_err *err) ESPL_MUST_CHECK;
/* A variant as it is made: chosen, cut, checked, fine-tuned. */
typedef struct espl_made {
  espl_graph *g;            /* owned by the caller; NULL on error, and when no choice meets the budget */
  char reason[320];         /* why there is none */
  char config[320];         /* JSON object: method and settings */
  int64_t expect_skipped;   /* as in espl_make */
} espl_made;
/* kind DENSE, BLOCK or KERNEL; rule: DENSE only, the others take CYCLES. Cycles of the result are <= st->budget. */
espl_status espl_study_make(espl_study_state *st, espl_variant_kind kind, espl_width_rule rule, const char *name, espl_made *out, espl_err *err) ESPL_MUST_CHECK;
/* Makes and records "<kind>-<rule>", or an event ESPL_STUDY_IMPOSSIBLE; skipped when the store has it done. */
espl_status espl_study_variant(espl_study_state *st, espl_variant_kind kind, espl_width_rule rule, espl_err *err) ESPL_MUST_CHECK;

/* Steps of a study, in order (study.c). */
espl_status espl_study_open_data(espl_study_state *st, espl_err *err) ESPL_MUST_CHECK; /* train and val; the machine is checked */
/* E_FAILED when no kind of variant that the study wants can meet its budget. fresh: the own network before its training, q: it in integers. Nothing is
 * written; that a variant passes here does not promise that it meets the budget (choices are tightened later). */
espl_status espl_study_rehearse(const espl_study_state *st, espl_graph *fresh, espl_qnet *q, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_study_base(espl_study_state *st, espl_err *err) ESPL_MUST_CHECK;      /* loads or trains; must fit the data */
espl_status espl_study_prepare(espl_study_state *st, espl_err *err) ESPL_MUST_CHECK;   /* importance and cost table */
void espl_study_close(espl_study_state *st);                                           /* frees everything but store and progress */

/* What measuring a network leaves behind. */
typedef struct espl_measured {
  espl_qnet *q;
  espl_program *p;
  espl_sim_result r;
  int8_t *input;            /* int8 input of validation image 0 */
} espl_measured;
/* Quantizes, maps, simulates on the C model, checks model = integer evaluation, evaluates on val. *w is filled (also on error: clear it),
 * *v gets accuracies, cycles, MACs, parameters, utilization and traffic. */
espl_status espl_study_measure(espl_study_state *st, const espl_make *m, espl_measured *w, espl_store_variant *v, espl_err *err) ESPL_MUST_CHECK;
void espl_measured_clear(espl_measured *w);
/* Cycles of a graph on the machine right now (quantized with ranges of the training set), without training it. */
espl_status espl_study_cycles(espl_study_state *st, espl_graph *g, bool rounded, int64_t *cycles, espl_err *err) ESPL_MUST_CHECK;
/* Whether the store has this variant finished (a resumed run skips it); 0 without a store. */
espl_status espl_study_have(espl_study_state *st, const char *name, int *done, espl_err *err) ESPL_MUST_CHECK;
/* The complete point as one flat JSON object, as espl_store_run wants it; free() it; NULL: out of memory. */
char *espl_study_machine_json(const espl_machine *m);
/* out/<name>.onnx; free() it. */
char *espl_study_file(const espl_study_state *st, const char *name);
#endif
