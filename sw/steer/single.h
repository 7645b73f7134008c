/* One variant of one network, without a store: what `espalier compress` does. The steps are those of a study (study.h). */
#ifndef ESPL_STEER_SINGLE_H
#define ESPL_STEER_SINGLE_H

#include "steer/study.h"
#include "steer/widths.h"

typedef struct espl_single {
  espl_store_variant before, after; /* numbers only: accuracies on val, cycles, MACs, parameters, utilization; no text */
  espl_store_variant tuned;         /* with s->int_epochs: the network itself behind the same training for its integers */
  int64_t budget_cycles;
  char config[320];                 /* JSON object: method and settings */
} espl_single;

/* s->trained names the network's ONNX file. kind DENSE, BLOCK or KERNEL; rule: DENSE only, the others take CYCLES.
 * Laws: the variant's cycles on s->machine are <= budget * baseline; the slimmed network computes what the masked one did before
 * fine-tuning; `file` read back computes bit for bit the logits of the network in memory (E_MISMATCH, and no file, otherwise).
 * On any error nothing is written. */
espl_status espl_study_single(const espl_study *s, espl_variant_kind kind, espl_width_rule rule, const char *file, espl_progress *progress, espl_single *out,
                              espl_err *err) ESPL_MUST_CHECK;
#endif
