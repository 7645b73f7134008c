/* Inside quantization: a graph lowered to machine layers, before numbers are chosen.
 *
 * `qsrc` says of each layer which graph nodes it stands for. Real arithmetic of a layer: y = clamp(a*(w.x + b0) + c + residual, lo, hi)
 * with a, c from BatchNorm (a = gamma/sqrt(var+eps), c = beta - a*mean; a = 1, c = 0 without), then pooling. */
#ifndef ESPL_QUANT_QUANT_INT_H
#define ESPL_QUANT_QUANT_INT_H

#include "quant/given.h"
#include "quant/qnet.h"

typedef enum qsrc_kind {
  QSRC_CONV,   /* weights of `conv` */
  QSRC_ONEHOT, /* identity */
  QSRC_MATRIX  /* 1x1, output channel o reads input channel o - shift_c where that exists, weight 1 */
} qsrc_kind;

typedef struct qsrc {
  qsrc_kind kind;
  int32_t conv, bn;    /* nodes, -1: none */
  int32_t value;       /* node whose value the requantizer produces (before pooling) */
  int32_t out;         /* node whose value the layer writes */
  float lo, hi;        /* clamp, +-INFINITY where open */
  bool same_scale;     /* the requantized value has the input's scale and zero point: an exact copy */
  int32_t shift_c;     /* MATRIX */
  bool concat;         /* MATRIX: channels of the residual operand pass through unchanged */
} qsrc;

typedef struct qlower {
  espl_graph *g;
  const espl_quant_config *cfg; /* NULL with given numbers */
  const espl_qgiven *given; /* notes of a quantized file; NULL: numbers are chosen here */
  espl_qnet *q;
  qsrc *src;           /* [layers] */
  int32_t cap_layers, cap_tensors;
  int32_t *tensor_of;  /* [nodes] tensor that holds the node's value, -1 not (yet) */
  int32_t *reader;     /* [nodes] the only reader, -1 none or several */
  uint8_t *gone;       /* [nodes] absorbed: the value never exists in memory */
  float *const *mean;  /* [nodes] channel means of values that convolutions read, for bias correction; NULL: none */
  uint8_t *closed;     /* [nodes] additions that are promised to a convolution already */
} qlower;

/* Graph -> layers and tensors (no weights, no scales); nothing is absorbed across a quantized value. E_UNSUPPORTED names the node. */
espl_status q_lower(espl_graph *g, const espl_qgiven *given, qlower *out, espl_err *err) ESPL_MUST_CHECK;
void q_lower_clear(qlower *lw); /* not the qnet */
/* Parts of lowering. A new tensor with the value of `node`; a new layer with a 1x1 walk over tensor `in`, valid until the next one. */
espl_status q_new_tensor(qlower *lw, espl_shape s, int32_t node, int32_t *id, espl_err *err) ESPL_MUST_CHECK;
espl_status q_new_layer(qlower *lw, qsrc_kind kind, int32_t in, int32_t node, espl_qlayer **out, qsrc **src, espl_err *err) ESPL_MUST_CHECK;
/* Concatenation (join.c), its operands lowered: by address where that is possible, else copies. */
espl_status q_lower_concat(qlower *lw, int32_t id, espl_err *err) ESPL_MUST_CHECK;

typedef struct qrange {
  float lo, hi;
} qrange;

/* Ranges of the wanted nodes ([nodes], 1 = wanted) over calibration images. mean: NULL, or [nodes] arrays [channels] that receive the mean of
 * every channel of those nodes (NULL entries: not wanted). */
espl_status q_calibrate(espl_graph *g, const espl_dataset *calib, const espl_preprocess *pp, const espl_quant_config *cfg, const uint8_t *wanted,
                        qrange *range, float *const *mean, espl_err *err) ESPL_MUST_CHECK;

/* value = m * 2^-s, m <= 65535, s <= 47; E_UNSUPPORTED when value >= 2^15. */
espl_status q_multiplier(double value, const char *layer, uint16_t *m, uint8_t *s, espl_err *err) ESPL_MUST_CHECK;
/* Adds the residual multiplier `value` at the shift of p (which may be lowered). */
espl_status q_residual(double scale, double value, const char *layer, espl_qparam *p, espl_err *err) ESPL_MUST_CHECK;
/* Numbers of all layers from the ranges of tensors and requantized values ([nodes]), or from the given notes (range NULL). */
espl_status q_numbers(qlower *lw, const qrange *range, espl_err *err) ESPL_MUST_CHECK;

#endif
