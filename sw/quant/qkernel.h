/* Kernels of the integer evaluation on the CPU, all exact: 32-bit sums without saturation, requantization in 64 bits.
 *
 * Layout: a tensor is rows of pixels of Cp bytes, value q + 128 (unsigned), Cp = 4 for at most 4 channels of the network's input, else channels
 * rounded up to 16; what stands behind the last channel is never used. Rows may have a border around them, which holds the padding that readers want.
 * Dense weights are packed [out block][tap][group of 4 channels][16][4]. A depthwise or one-hot layer ("channelwise") has one weight a channel and tap.
 *
 * With AVX-512 VNNI (qvnni.c) products of four bytes are summed by one instruction that does not saturate, for the layers that q_vnni_fits accepts.
 * All else takes plain C, which calls the definition. */
#ifndef ESPL_QUANT_QKERNEL_H
#define ESPL_QUANT_QKERNEL_H

#include "quant/qnet.h"

#define QBLOCK 16 /* output channels of a block */

/* Requantization of 16 channels for the vector kernels. Each 64-bit array holds the channels of even positions, then those of odd positions. */
typedef struct qblock {
  int32_t bias[QBLOCK];     /* holds -128*sum(w) of the unsigned activations too */
  int64_t m[QBLOCK], s[QBLOCK], mr[QBLOCK], l[QBLOCK];
  int64_t half[QBLOCK];     /* rounding, zero point + 128, and -(zr + 128) times the factor of the residual */
} qblock;

typedef struct qconv {
  const espl_qlayer *l;
  bool channelwise, vnni;
  int32_t in_cp, out_cp, res_cp;    /* bytes from one pixel to the next */
  int32_t c4, taps, blocks;         /* groups of 4 input channels; blocks of 16 output channels */
  int64_t step, row;                /* bytes from one window to the next in x and y */
  int64_t out_row, res_row;         /* bytes of a row of the result and of the residual operand */
  int32_t *offset;                  /* [taps, and zeros up to a multiple of 4] byte offset of a tap from the window's corner */
  int32_t *bias;                    /* [blocks*16], as in qblock */
  int8_t *w;                        /* packed; NULL: a channelwise layer in plain C */
  qblock *block;                    /* vnni: [blocks]; channelwise [blocks rounded up to 4] in the order of its kernel */
} qconv;

/* Packs the layer c->l; everything but the arrays is set. E_NOMEM. q_conv_clear frees the arrays. */
espl_status q_conv_pack(qconv *c, espl_err *err) ESPL_MUST_CHECK;
void q_conv_clear(qconv *c);
/* Rows y0..y1-1 of the result. src: window corner of pixel (0,0); res (or NULL) and dst: pixel (0,0). */
void q_conv_run(const qconv *c, int32_t y0, int32_t y1, const uint8_t *src, const uint8_t *res, uint8_t *dst);
/* Rows y0..y1-1 of pooling q, the result of q_conv_run, into a tensor of `width` pixels cp bytes apart in rows of `row` bytes. */
void q_pool_run(const qconv *c, int32_t width, int32_t cp, int64_t row, int32_t y0, int32_t y1, const uint8_t *q, uint8_t *dst);

/* ---- qvnni.c ---- */
bool q_vnni_fits(const espl_qlayer *l); /* false also where the processor has no such instructions */
void q_vnni_pack(qconv *c);             /* fills c->block, and c->w of a channelwise layer */
void q_vnni_run(const qconv *c, int32_t y0, int32_t y1, const uint8_t *src, const uint8_t *res, uint8_t *dst);

#endif
