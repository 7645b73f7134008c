/* A co-design study, start to end: a network (given, or trained here), variants of three kinds steered by exact cycles, their controls,
 * int8 networks, cycles on one machine, and the proof on the Verilated RTL. Everything lands in a store; a run that was cut off
 * resumes with the variants that are done.
 *
 * Data discipline: training, importance, calibration and every choice see train and val; test is opened once, at the end, and logged. */
#ifndef ESPL_STEER_STUDY_H
#define ESPL_STEER_STUDY_H

#include "base/progress.h"
#include "map/map.h"
#include "store/store.h"

typedef struct espl_study {
  const char *name;
  const char *network;      /* ONNX file, or the name of an own network ("resnet8") that is then trained */
  const char *trained;      /* ONNX file of that own network already trained; NULL: train */
  const char *data;         /* folder; NULL: the built-in set */
  int32_t width, height;    /* images are brought to this size; 0: as they are */
  espl_preprocess preprocess;
  int preprocess_given;     /* otherwise the network's own metadata, then the default */
  espl_machine machine;
  double budget;            /* cycles allowed, as a share of the baseline's, 0.05..1 */
  int dense, block, kernel; /* kinds of variant to make */
  int controls;             /* uniform, macs, macs-rounded beside the dense variant */
  double train_epochs, tune_epochs;
  float train_lr, tune_lr;
  int32_t batch;
  int bf16;                 /* compute type of training: 1 when the processor has it */
  float distill;            /* weight of the baseline network's own predictions in fine-tuning, 0..1 */
  const char *weights;      /* form of the weights in integer networks (quant/narrow.h), e.g. "int4"; NULL: int8 */
  double int_epochs;        /* behind fine-tuning: epochs of training with values and weights rounded (quant/tune.h) */
  float int_lr;
  int32_t importance_batches, calib_images, check_images;
  int rtl;                  /* verify the baseline and the steered variants on the RTL */
  uint64_t seed;
  const char *out;          /* folder for networks and the report */
  const char *command;      /* command line that repeats it, for the store */
} espl_study;

/* Name of the row that a study with int_epochs has beside its baseline: the network as given, trained for its integers as the variants are. */
#define ESPL_STUDY_TUNED "baseline-tuned"
/* Kind of the event that a run keeps for a variant that cannot meet the budget: that is a result, and the study goes on. */
#define ESPL_STUDY_IMPOSSIBLE "no such variant"

void espl_study_default(espl_study *s);
/* A study file (folder configs/studies): every key is a field above; the machine by name or file. Strings live as long as *doc, which the
 * caller frees with espl_yaml_free. */
struct espl_yaml;
espl_status espl_study_load(const char *path, espl_study *s, struct espl_yaml **doc, espl_err *err) ESPL_MUST_CHECK;

/* Runs it; *run_id names the run in the store at `db`. Inputs (data, network, machine, that they fit each other) are checked before anything is
 * made or written; then the output folder and the store are opened, and *store is the caller's to close, also on error (NULL before).
 * E_MISMATCH when bits or cycles differ between bodies, E_INTERRUPTED after Ctrl-C. */
espl_status espl_study_run(const espl_study *s, const char *db, espl_progress *progress, espl_store **store, int64_t *run_id, espl_err *err) ESPL_MUST_CHECK;
#endif
