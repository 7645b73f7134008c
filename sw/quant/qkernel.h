/* Kernels of the integer evaluation on the CPU, all exact: 32-bit sums without saturation, 64-bit requantization.
 *
 * Layout: a tensor is [H][W][Cp] bytes, value q + 128 (unsigned), Cp = 4 for at most 4 channels of the network's input, else channels
 * rounded up to 16; what stands behind the last channel is never used. Weights are packed [out block][tap][group of 4 channels][16][4].
 * With AVX-512 VNNI products of four bytes are summed by one instruction that does not saturate; elsewhere plain C does the same sums. */
#ifndef ESPL_QUANT_QKERNEL_H
#define ESPL_QUANT_QKERNEL_H

#include "quant/qnet.h"

#define QBLOCK 16 /* output channels of a block */

/* 16 channels' requantization; bias already holds -128*sum(w) of the unsigned activations. */
typedef struct qblock {
  int32_t bias[QBLOCK];
  int64_t m[QBLOCK], mr[QBLOCK], s[QBLOCK], l[QBLOCK], half[QBLOCK];
} qblock;

typedef struct qconv {
  int32_t in_cp, c4;                /* bytes of a pixel, groups of 4 channels that are used */
  int32_t taps, *offset;            /* [taps] byte offset of a tap from the window's corner in the padded input */
  int32_t pw, ph;                   /* padded input */
  int32_t out_cp, blocks;
  int8_t *w;                        /* packed; depthwise: NULL */
  int32_t *dw;                      /* depthwise: [block][tap][16] */
  qblock *block;                    /* [blocks] */
  int32_t zo, lo, hi, zr;
} qconv;

/* src: padded input whose rows are pw pixels; res: NULL or the residual operand [conv_h][conv_w][out_cp]; dst [conv_h][conv_w][out_cp]. */
void q_conv_run(const qconv *c, const espl_qlayer *l, const uint8_t *src, const uint8_t *res, uint8_t *dst);
/* src, dst [..][Cp] of the same channel count. */
void q_onehot_run(const qconv *c, int64_t pixels, const uint8_t *src, const uint8_t *res, uint8_t *dst);
/* Pooling of q [conv_h][conv_w][cp] into [h][w][cp]. */
void q_pool_run(const espl_qlayer *l, espl_shape out, int32_t cp, const uint8_t *q, uint8_t *dst);

#endif
