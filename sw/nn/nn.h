/* Float execution and training of a graph on the CPU through oneDNN: evaluation, SGD, fine-tuning.
 *
 * An `espl_exec` is a compiled plan (graph + mode + batch). It borrows the graph: parameters are read from and written
 * to graph params; rebuild the plan after a graph rewrite. All oneDNN calls are in this room behind one wrapper file. */
#ifndef ESPL_NN_NN_H
#define ESPL_NN_NN_H
#include "data/data.h"
#include "graph/graph.h"

typedef enum espl_mode { ESPL_MODE_INFER, ESPL_MODE_TRAIN } espl_mode;
typedef enum espl_dtype { ESPL_F32, ESPL_BF16 } espl_dtype; /* compute type; parameters and accumulation stay float32 */

typedef struct espl_exec espl_exec;
espl_status espl_exec_new(espl_graph *g, espl_mode mode, espl_dtype dtype, int32_t batch, espl_exec **out, espl_err *err) ESPL_MUST_CHECK;
void espl_exec_free(espl_exec *x);
/* input float [batch,c,h,w]; output float [batch, c,h,w of the graph output], both plain NCHW, owned by the caller. */
espl_status espl_exec_forward(espl_exec *x, const float *input, float *output, espl_err *err) ESPL_MUST_CHECK;
/* INFER only: from now on the params do not change, so the next forward prepares them (folds, reorders) for all that follow. */
void espl_exec_freeze(espl_exec *x);
/* Copies the float value of any node of the last forward into out [batch,c,h,w]. Values are kept only when asked for before:
 * espl_exec_keep(x, node) must come before the forward (calibration, slim checks, tests). */
espl_status espl_exec_keep(espl_exec *x, int32_t node, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_exec_value(espl_exec *x, int32_t node, float *out, espl_err *err) ESPL_MUST_CHECK;
/* TRAIN only: loss gradient at the output [batch,...] in, parameter gradients out (param->grad, overwritten). */
espl_status espl_exec_backward(espl_exec *x, const float *dout, espl_err *err) ESPL_MUST_CHECK;

/* Methods plug into training only through these hooks; any may be NULL; return non-OK to stop. */
typedef struct espl_train_hooks {
  void *ctx;
  espl_status (*after_backward)(void *ctx, espl_graph *g, int64_t step, espl_err *err); /* may add penalty gradients; sees them before the masks are applied */
  espl_status (*after_step)(void *ctx, espl_graph *g, int64_t step, espl_err *err);
  espl_status (*after_epoch)(void *ctx, espl_graph *g, int32_t epoch, espl_err *err);
  /* progress: fraction 0..1, seconds left (estimate), mean loss and accuracy so far in this epoch */
  void (*progress)(void *ctx, double fraction, double eta_s, double loss, double accuracy);
} espl_train_hooks;

/* Training that feels quantization: values and weights are rounded to the integers they will have, in float (value = scale * integer),
 * while gradients pass as if nothing had been rounded (straight-through estimator; Bengio et al. 2013; Jacob et al. 2018). */
typedef struct espl_fake_value {
  float scale; /* > 0, or 0: the value stays float */
  int32_t zero; /* -128..127 */
} espl_fake_value;
typedef struct espl_fake {
  const espl_fake_value *value; /* [nodes] */
  const int8_t *weight_most;    /* [nodes] of a CONV or GEMM: largest integer of its weights, symmetric per output channel with the scale of the
                                 * present largest weight (127: int8, 7: int4); 0: they stay float */
} espl_fake;
/* From the next forward on; TRAIN plans in float32 only (bfloat16 cannot hold scale * integer). Borrowed. NULL: off. */
espl_status espl_exec_fake(espl_exec *x, const espl_fake *f, espl_err *err) ESPL_MUST_CHECK;

typedef enum espl_optimizer { ESPL_SGD, ESPL_ADAM } espl_optimizer;
typedef enum espl_schedule { ESPL_COSINE, ESPL_STEP, ESPL_CONSTANT } espl_schedule;
typedef enum espl_resume { ESPL_RESUME_NO, ESPL_RESUME_SAME, ESPL_RESUME_ELSEWHERE } espl_resume;
#define ESPL_MAX_MILESTONES 8

typedef struct espl_train_config {
  double epochs;         /* may be fractional */
  int32_t batch;         /* 128 */
  espl_optimizer optimizer;
  float lr, momentum, weight_decay; /* decay on WEIGHT params only; momentum is beta1 of Adam */
  float beta2;           /* Adam, 0.999 */
  float warmup_epochs;   /* linear */
  espl_schedule schedule; /* behind the warm-up: cosine to 0 over `epochs`; step: times step_factor at each milestone; constant */
  int milestones;
  double milestone[ESPL_MAX_MILESTONES]; /* epochs */
  float step_factor;     /* 0.1 */
  float clip_norm;       /* largest norm of the whole gradient; 0: not clipped */
  float ema;             /* > 0: the result is an exponential moving average of the weights (BatchNorm statistics too) with this decay */
  int nesterov;          /* SGD only */
  float label_smoothing;
  int augment;           /* random crop (pad 4) */
  int flip;              /* horizontal flip, when augment */
  espl_dtype dtype;
  uint64_t seed;
  const espl_graph *teacher; /* self-distillation when not NULL: loss = a*CE(softmax(t)) + (1-a)*CE(label) */
  float distill;             /* a */
  const espl_fake *fake;     /* quantization-aware training; NULL: none. Needs dtype ESPL_F32 */
  const char *checkpoint;    /* file, NULL: none; written every checkpoint_every epochs (0: 1), at the end and when interrupted */
  double checkpoint_every;
  espl_resume resume;        /* SAME: continue the checkpoint when there is one; a continued training ends in the bits of an uninterrupted one.
                              * ELSEWHERE: also one from another instruction set, library or number of threads */
} espl_train_config;
void espl_train_default(espl_train_config *c);
int espl_has_bf16(void);     /* 1 when this CPU computes bfloat16 convolutions natively */

espl_status espl_train(espl_graph *g, const espl_dataset *train, const espl_preprocess *pp, const espl_train_config *cfg,
                       const espl_train_hooks *hooks, espl_err *err) ESPL_MUST_CHECK;
/* Top-1 accuracy in [0,1] in float32 over the whole set (limit > 0: its first `limit` images). */
espl_status espl_evaluate(espl_graph *g, const espl_dataset *d, const espl_preprocess *pp, int32_t limit, double *accuracy, espl_err *err) ESPL_MUST_CHECK;
/* Re-estimates batch-norm running statistics with `batches` training batches of 128 (cumulative mean). */
espl_status espl_bn_recalibrate(espl_graph *g, const espl_dataset *train, const espl_preprocess *pp, int32_t batches, espl_err *err) ESPL_MUST_CHECK;
#endif
