/* The integer network: what quantization makes of a graph, what the mapper turns into a program and what the fast CPU evaluation computes.
 * Every layer is one walk of the machine: convolution into accumulators, then requantize, optional residual, clamp, optional pooling
 * (arithmetic: hw/spec/numerics.md). A fully connected layer is a convolution whose kernel covers its whole input; a pooling, addition or
 * copy without a convolution of its own is a one-hot 1x1 layer (`onehot`), weights not stored.
 *
 * Concatenation: a tensor may be a slice of another one (`whole`), channels in a row; whoever writes the slice writes into the whole, in memory too.
 *
 * Invariants: layers are in execution order; a tensor is written by exactly one layer, or is made of slices that are (tensor 0 is the network input);
 * slices begin at multiples of ESPL_QSLICE channels, do not overlap, have the scale and zero point of their whole, and are all written before it is read;
 * weights -127..127 (a quantized file may bring -128); accumulators proved to fit the machine by espl_qnet_acc_bits. */
#ifndef ESPL_QUANT_QNET_H
#define ESPL_QUANT_QNET_H

#include <stdbool.h>
#include <stdint.h>

#include "data/data.h"
#include "graph/graph.h"
#include "nn/nn.h"

/* Slices begin at multiples of this: the most channels that lie side by side in memory (G) on any machine. */
#define ESPL_QSLICE 16

typedef struct espl_qtensor {
  espl_shape shape;
  float scale;      /* real = scale * (q - zero) */
  int32_t zero;     /* -128..127 */
  int32_t node;     /* graph node whose value this is (-1: none) */
  int32_t whole;    /* the tensor that this one is a slice of; 0: none (tensor 0 is never made of slices) */
  int32_t whole_c;  /* its first channel there */
} espl_qtensor;

/* Parameters of one output channel, as the machine's parameter buffer holds them. */
typedef struct espl_qparam {
  int32_t bias;     /* includes -zi * sum(w) */
  uint16_t m, mr;   /* multiplier; residual multiplier (0 without) */
  uint8_t s, l;     /* shift 1..47; residual left shift 0..22 */
} espl_qparam;

typedef enum espl_qpool { ESPL_QPOOL_NONE, ESPL_QPOOL_MAX, ESPL_QPOOL_AVG } espl_qpool;

typedef struct espl_qlayer {
  char *name;
  int32_t in, out, res;             /* tensor ids; res -1: no residual operand */
  bool onehot;                      /* identity 1x1: out channels = in channels, weight 1 */
  int32_t in_c, out_c, kh, kw, sh, sw, dh, dw, pt, pl, pb, pr;
  int32_t groups;                   /* weights are stored expanded to dense [out_c][in_c][kh][kw]; groups is kept for MAC counts */
  int32_t conv_h, conv_w;           /* convolution output, before pooling */
  int8_t *w;                        /* [out_c][in_c][kh][kw]; NULL when onehot, or in a layer that is only timed: then no weight inside its groups is zero and
                                     its sums are known to fit */
  float *wscale;                    /* [out_c] real weight (BatchNorm inside) = wscale*w; NULL in layers that no graph stands behind */
  float vscale;                     /* scale of the requantized value, before pooling (its zero point is zo) */
  espl_qparam *par;                 /* [out_c] */
  int32_t zo, lo, hi, zr;           /* zero point and clamp of the requantized value; residual zero point */
  espl_qpool pool;
  int32_t win_h, win_w, psy, psx, ppt, ppl;  /* pooling window, stride, padding top/left */
  int32_t pool_zo, pool_shift;      /* average: zero point and shift of the result */
  bool pool_fixed;
  uint16_t pool_m[16];              /* average multipliers by valid taps (entry n-1), or entry 0 when fixed */
  int64_t macs;                     /* useful MACs an image: present (nonzero-tile-independent) taps of the layer as it stands */
  int64_t macs_dense;               /* MACs of the dense layer it came from (= macs when nothing was removed) */
  int32_t node;                     /* graph node of the convolution (or pooling/add), for reports */
  int32_t value;                    /* graph node whose value is requantized */
} espl_qlayer;

typedef struct espl_qnet {
  char *name;
  int32_t tensors, layers;
  espl_qtensor *tensor;
  espl_qlayer *layer;
  int32_t output;                   /* tensor id of the logits [classes,1,1] */
  bool requantized;                 /* from a file whose weights had to be quantized again */
} espl_qnet;
void espl_qnet_free(espl_qnet *q);
/* The tensor that `tensor` is a slice of, directly or through others, or itself; *first: its first channel there. */
int32_t espl_qnet_root(const espl_qnet *q, int32_t tensor, int32_t *first);
/* Whether slices make up the tensor. */
bool espl_qnet_joined(const espl_qnet *q, int32_t tensor);

typedef struct espl_quant_config {
  int32_t calib_images;             /* 1000 */
  uint64_t seed;                    /* which images, and the random input when there is no data */
  float percentile;                 /* activation range keeps this share of the values, e.g. 0.9999; 1: min-max */
  bool least_error;                 /* instead: the range whose rounding and clamping have the least mean square error */
  bool correct_bias;                /* biases take back what rounding the weights moves the mean by (needs calibration images) */
  const char *weights;              /* form of the weights (narrow.h), e.g. "int4,conv1=int8"; NULL: int8; borrowed */
  bool one_scale;                   /* one scale for all weights of a layer, BatchNorm inside (else one a channel) */
  bool keep_range;                  /* int4: the largest weight decides the scale (else the least squared error does) */
} espl_quant_config;
void espl_quant_default(espl_quant_config *c);

/* Post-training quantization: per-channel symmetric weights (int8, or as cfg->weights says; per tensor with one_scale), per-tensor activations with zero point; ranges from `calib`
 * (training images), or from a seeded random input when calib is NULL. BatchNorm scale goes into the multiplier, its sign into the weights.
 * The graph is not changed. E_UNSUPPORTED names the node that cannot be lowered to the machine. */
espl_status espl_quantize(espl_graph *g, const espl_dataset *calib, const espl_preprocess *pp, const espl_quant_config *cfg,
                          espl_qnet **out, espl_err *err) ESPL_MUST_CHECK;

/* Network input: float [c,h,w] -> int8 [c,h,w] by tensor 0's scale and zero (round half to even, clamp). */
void espl_qnet_input(const espl_qnet *q, const float *x, int8_t *out);

/* Fast exact integer evaluation on the CPU: int8 input [n,c,h,w] -> int8 logits [n,classes]; bit-identical to the machine.
 * An executor keeps packed weights; images are shared out over OMP_NUM_THREADS threads (all processors without it). */
typedef struct espl_qexec espl_qexec;
espl_status espl_qexec_new(const espl_qnet *q, int32_t batch, espl_qexec **out, espl_err *err) ESPL_MUST_CHECK;
void espl_qexec_free(espl_qexec *x);
espl_status espl_qexec_run(espl_qexec *x, int32_t n, const int8_t *input, int8_t *output, espl_err *err) ESPL_MUST_CHECK; /* n <= batch */
/* From the next run on, every tensor of every image is kept; without it tensors share memory. E_NOMEM. */
espl_status espl_qexec_keep(espl_qexec *x, espl_err *err) ESPL_MUST_CHECK;
/* Value of any tensor of the last run, int8 [n,c,h,w] (layer-by-layer comparison with the machine); needs espl_qexec_keep before that run. */
espl_status espl_qexec_tensor(espl_qexec *x, int32_t tensor, int8_t *out, espl_err *err) ESPL_MUST_CHECK;
/* Top-1 accuracy in [0,1] over a set (limit > 0: its first images). */
espl_status espl_qnet_evaluate(const espl_qnet *q, const espl_dataset *d, const espl_preprocess *pp, int32_t limit, double *accuracy, espl_err *err) ESPL_MUST_CHECK;
/* Bits the accumulator of a layer needs, from the real weights: smallest b with |sum| < 2^(b-1) for every channel and input. */
int espl_qlayer_acc_bits(const espl_qnet *q, int32_t layer);
#endif
