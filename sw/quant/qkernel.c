/* Packing of layers, their evaluation in plain C, pooling. */
#include "quant/qkernel.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/requant.h"

/* ---- packing ---- */

static void pack_dense(qconv *c) {
  const espl_qlayer *l = c->l;
  for (int32_t o = 0; o < l->out_c; o++)
    for (int32_t i = 0; i < l->in_c; i++)
      for (int32_t t = 0; t < c->taps; t++)
        c->w[((((int64_t)(o / QBLOCK) * c->taps + t) * c->c4 + i / 4) * QBLOCK + o % QBLOCK) * 4 + i % 4] = l->w[((int64_t)o * l->in_c + i) * c->taps + t];
}

static void pack_bias(qconv *c) {
  const espl_qlayer *l = c->l;
  int64_t n = (int64_t)l->in_c * c->taps;
  for (int32_t o = 0; o < l->out_c; o++) {
    int64_t sum = l->onehot ? 1 : 0;
    for (int64_t j = 0; !l->onehot && j < n; j++) sum += l->w[o * n + j];
    c->bias[o] = (int32_t)((uint32_t)l->par[o].bias - (uint32_t)(128 * sum));
  }
}

espl_status q_conv_pack(qconv *c, espl_err *err) {
  const espl_qlayer *l = c->l;
  size_t blocks = (size_t)(c->blocks + 3) / 4 * 4, quads = (size_t)(c->taps + 3) / 4;
  c->channelwise = l->onehot || (l->groups > 1 && l->groups == l->in_c && l->in_c == l->out_c);
  c->vnni = q_vnni_fits(l);
  c->bias = espl_calloc(blocks * QBLOCK, sizeof *c->bias);
  if (!c->channelwise) c->w = espl_calloc((size_t)c->blocks * (size_t)c->taps * (size_t)c->c4, 4 * QBLOCK);
  else if (c->vnni) c->w = espl_calloc(blocks * quads, 4 * QBLOCK);
  if (c->vnni) c->block = espl_calloc(blocks, sizeof *c->block);
  if (!c->bias || (!c->w && (!c->channelwise || c->vnni)) || (c->vnni && !c->block)) return espl_fail(err, ESPL_E_NOMEM, "integer evaluation: out of memory");
  pack_bias(c);
  if (!c->channelwise) pack_dense(c);
  if (c->vnni) q_vnni_pack(c);
  return ESPL_OK;
}

void q_conv_clear(qconv *c) {
  free(c->offset);
  free(c->bias);
  free(c->w);
  free(c->block);
}

/* ---- plain C: one pixel, one block ---- */

static void dense_sums(const qconv *c, int32_t block, const uint8_t *src, int32_t acc[QBLOCK]) {
  const int8_t *w = c->w + (int64_t)block * c->taps * c->c4 * 4 * QBLOCK;
  for (int32_t t = 0; t < c->taps; t++)
    for (int32_t g = 0; g < c->c4; g++, w += 4 * QBLOCK) {
      const uint8_t *x = src + c->offset[t] + 4 * g;
      for (int k = 0; k < QBLOCK; k++) acc[k] += x[0] * w[4 * k] + x[1] * w[4 * k + 1] + x[2] * w[4 * k + 2] + x[3] * w[4 * k + 3];
    }
}

static void channel_sums(const qconv *c, int32_t block, const uint8_t *src, int32_t acc[QBLOCK]) {
  const espl_qlayer *l = c->l;
  for (int32_t k = 0, o = block * QBLOCK; k < QBLOCK && o < l->out_c; k++, o++)
    for (int32_t t = 0; t < c->taps; t++) acc[k] += src[c->offset[t] + o] * (l->onehot ? 1 : l->w[((int64_t)o * l->in_c + o) * c->taps + t]);
}

static void requantize(const qconv *c, int32_t block, const int32_t acc[QBLOCK], const uint8_t *res, uint8_t *dst) {
  const espl_qlayer *l = c->l;
  espl_rq_layer q = {(int8_t)l->zo, (int8_t)l->zr, (int8_t)l->lo, (int8_t)l->hi};
  for (int32_t k = 0, o = block * QBLOCK; k < QBLOCK && o < l->out_c; k++, o++) {
    espl_rq_param p = {0, l->par[o].m, l->par[o].mr, l->par[o].s, l->par[o].l};
    int8_t y = res ? espl_requantize_res(acc[k], (int8_t)(res[k] ^ 0x80u), &p, &q) : espl_requantize(acc[k], &p, &q);
    dst[k] = (uint8_t)y ^ 0x80u;
  }
}

void q_conv_run(const qconv *c, int32_t y0, int32_t y1, const uint8_t *src, const uint8_t *res, uint8_t *dst) {
  if (c->vnni) {
    q_vnni_run(c, y0, y1, src, res, dst);
    return;
  }
  for (int32_t y = y0; y < y1; y++)
    for (int32_t x = 0; x < c->l->conv_w; x++)
      for (int32_t b = 0; b < c->blocks; b++) {
        int32_t acc[QBLOCK];
        int32_t at = b * QBLOCK;
        memcpy(acc, c->bias + b * QBLOCK, sizeof acc);
        (c->channelwise ? channel_sums : dense_sums)(c, b, src + y * c->row + x * c->step, acc);
        requantize(c, b, acc, res ? res + y * c->res_row + (int64_t)x * c->res_cp + at : NULL, dst + y * c->out_row + (int64_t)x * c->out_cp + at);
      }
}

/* ---- pooling ---- */

static void pool_pixel(const qconv *c, int32_t y, int32_t x, const uint8_t *q, uint8_t *dst) {
  const espl_qlayer *l = c->l;
  int32_t y0 = y * l->psy - l->ppt, x0 = x * l->psx - l->ppl, y1 = y0 + l->win_h, x1 = x0 + l->win_w;
  y0 = y0 < 0 ? 0 : y0;
  x0 = x0 < 0 ? 0 : x0;
  y1 = y1 > l->conv_h ? l->conv_h : y1;
  x1 = x1 > l->conv_w ? l->conv_w : x1;
  int32_t n = y1 > y0 && x1 > x0 ? (y1 - y0) * (x1 - x0) : 0;
  for (int32_t b = 0; b < c->blocks * QBLOCK; b += QBLOCK) {
    uint8_t top[QBLOCK] = {0}; /* -128 */
    int32_t sum[QBLOCK] = {0};
    for (int32_t i = y0; i < y1; i++)
      for (int32_t j = x0; j < x1; j++) {
        const uint8_t *v = q + i * c->out_row + (int64_t)j * c->out_cp + b;
        for (int k = 0; k < QBLOCK; k++) {
          top[k] = v[k] > top[k] ? v[k] : top[k];
          sum[k] += v[k];
        }
      }
    for (int k = 0; k < QBLOCK; k++)
      dst[b + k] = l->pool == ESPL_QPOOL_MAX ? top[k]
                                             : (uint8_t)espl_average(sum[k] - 128 * n, n, (int8_t)l->zo, (int8_t)l->pool_zo, (uint32_t)l->pool_shift, l->pool_fixed, l->pool_m) ^ 0x80u;
  }
}

void q_pool_run(const qconv *c, int32_t width, int32_t cp, int64_t row, int32_t y0, int32_t y1, const uint8_t *q, uint8_t *dst) {
  for (int32_t y = y0; y < y1; y++)
    for (int32_t x = 0; x < width; x++) pool_pixel(c, y, x, q, dst + y * row + (int64_t)x * cp);
}
