/* How a network of ours is trained: one YAML file in configs/networks/, complete, first line says what it is for.
 *
 *   network: resnet8            # espl_zoo_build
 *   data: builtin               # or a folder; optional, default builtin
 *   preprocess: {mean: "0.5", std: "0.25", raw: no}
 *   train: {epochs: 6, batch: 64, lr: 0.2, momentum: 0.9, nesterov: yes, weight_decay: 0.0005, warmup_epochs: 1,
 *           label_smoothing: 0, augment: no, flip: no, dtype: auto}      # dtype auto | float32 | bfloat16
 *   also in train: optimizer sgd | adam, beta2, schedule cosine | step | constant, milestones [epochs], step_factor, clip_norm, ema
 * Absent keys of `train` keep espl_train_default; unknown keys are refused with the nearest known one. */
#ifndef ESPL_NN_RECIPE_H
#define ESPL_NN_RECIPE_H
#include "nn/nn.h"

typedef struct espl_recipe {
  char network[64], data[512];
  espl_preprocess pp;
  espl_train_config train; /* seed stays the default, teacher NULL */
} espl_recipe;

/* E_INPUT with file:line:column; *r unchanged on error. */
espl_status espl_recipe_load(const char *path, espl_recipe *r, espl_err *err) ESPL_MUST_CHECK;

/* Builds the network for the images of `train` (seed: initial weights), trains it, notes preprocessing and history in
 * it. *g is owned by the caller, NULL on error. */
espl_status espl_recipe_run(const espl_recipe *r, const espl_dataset *train, const espl_train_hooks *hooks, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;
/* The same with a network that is there: trained on from the weights it has. On error its weights are of some step of the training. */
espl_status espl_recipe_train(const espl_recipe *r, const espl_dataset *train, const espl_train_hooks *hooks, espl_graph *g, espl_err *err) ESPL_MUST_CHECK;
#endif
