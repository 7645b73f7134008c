/* Executor: COMPUTE, pass by pass (hw/spec/numerics.md, "Pass"). */
#include <string.h>

#include "model/exec.h"

struct tap {
  uint32_t ky, kx, cb;
};

/* Bit positions of a mask, ascending; returns how many. */
static uint32_t bits_of(uint32_t mask, uint8_t pos[16]) {
  uint32_t n = 0;
  for (uint8_t k = 0; k < 16; k++)
    if (mask >> k & 1u) pos[n++] = k;
  return n;
}

static struct tap dense_tap(const espl_exec_state *s, uint32_t i) {
  uint8_t ky[16], kx[16];
  /* both masks have a bit: CFG with an empty one is refused, and the reset value of the words is never used by a checked program */
  uint32_t nky = bits_of(s->taps.ky_mask | (s->taps.ky_mask == 0), ky), nkx = bits_of(s->taps.kx_mask | (s->taps.kx_mask == 0), kx);
  return (struct tap){.kx = kx[i % nkx], .ky = ky[i / nkx % nky], .cb = i / nkx / nky};
}

static struct tap sparse_tap(const espl_exec_state *s, uint32_t entry) {
  const uint8_t *e = s->idx + 4 * (entry & ((1u << s->m->idx_aw) - 1));
  return (struct tap){.kx = e[0], .ky = e[1], .cb = (uint32_t)e[2] | (uint32_t)e[3] << 8};
}

/* acc[pixel][c] += sum_r w[r][c] * a[r] over the whole tile; w is [R][C]. */
static void pass(espl_exec_state *s, const espl_cmd_compute *c, struct tap t, const int8_t *w, uint32_t *acc) {
  const espl_machine *m = s->m;
  uint32_t g = (uint32_t)espl_g(m), nb = (uint32_t)espl_nb(m), cols = (uint32_t)m->cols;
  uint32_t words = (1u << m->act_aw) / g, depth = 1u << m->acc_aw;
  const espl_cmd_comp_geom *q = &s->geom;
  int8_t pad[16];
  memset(pad, (int)q->zi, sizeof pad);
  for (uint32_t y = 0; y < c->out_h; y++) {
    int32_t iy = (int32_t)(y * q->sy + t.ky * q->dy) + c->off_y;
    for (uint32_t x = 0; x < c->out_w; x++) {
      int32_t ix = (int32_t)(x * q->sx + t.kx * q->dx) + c->off_x;
      bool inside = iy >= 0 && iy < (int32_t)q->in_h && ix >= 0 && ix < (int32_t)q->in_w;
      uint32_t word = (c->act_base + t.cb * q->plane_words + (uint32_t)iy * q->row_words + (uint32_t)ix) & 0xffffu & (words - 1);
      uint32_t *o = acc + (size_t)((y * c->out_w + x) & (depth - 1)) * cols;
      for (uint32_t b = 0; b < nb; b++) {
        const int8_t *a = inside ? (const int8_t *)s->act + ((size_t)b << m->act_aw) + (size_t)word * g : pad;
        for (uint32_t r = 0; r < g; r++) {
          int32_t av = a[r];
          const int8_t *wr = w + (size_t)(b * g + r) * cols;
          for (uint32_t k = 0; k < cols; k++) o[k] += (uint32_t)(av * wr[k]);
        }
      }
    }
  }
}

/* The same for folded pixels: row r is byte r mod 4 of pixel ix + r/4, G/4 pixels to a word; each pixel has its own padding. */
static void pass_folded(espl_exec_state *s, const espl_cmd_compute *c, struct tap t, const int8_t *w, uint32_t *acc) {
  const espl_machine *m = s->m;
  const espl_cmd_comp_geom *q = &s->geom;
  uint32_t g = (uint32_t)espl_g(m), cols = (uint32_t)m->cols, words = (1u << m->act_aw) / g, depth = 1u << m->acc_aw;
  int32_t per = (int32_t)g / 4;
  for (uint32_t y = 0; y < c->out_h; y++)
    for (uint32_t x = 0; x < c->out_w; x++) {
      int32_t iy = (int32_t)(y * q->sy + t.ky * q->dy) + c->off_y, ix0 = (int32_t)(x * q->sx + t.kx * q->dx) + c->off_x;
      uint32_t *o = acc + (size_t)((y * c->out_w + x) & (depth - 1)) * cols;
      for (uint32_t r = 0; r < (uint32_t)m->rows; r++) {
        int32_t ix = ix0 + (int32_t)(r / 4), lane = (ix % per + per) % per;
        bool inside = iy >= 0 && iy < (int32_t)q->in_h && ix >= 0 && ix < (int32_t)q->in_w;
        uint32_t word = (c->act_base + t.cb * q->plane_words + (uint32_t)iy * q->row_words + (uint32_t)((ix - lane) / per)) & 0xffffu & (words - 1);
        int32_t a = inside ? ((const int8_t *)s->act)[(size_t)word * g + (size_t)(4 * lane) + r % 4] : (int8_t)q->zi;
        for (uint32_t k = 0; k < cols; k++) o[k] += (uint32_t)(a * w[r * cols + k]);
      }
    }
}

/* The same for a depthwise tile: row 2p + h is tap (row k, column t), k = h or, for more than two rows, h + 2 in the lower half of the array. */
static void pass_depthwise(espl_exec_state *s, const espl_cmd_compute *c, struct tap t, const int8_t *w, uint32_t *acc) {
  const espl_machine *m = s->m;
  const espl_cmd_comp_geom *q = &s->geom;
  uint32_t g = (uint32_t)espl_g(m), cols = (uint32_t)m->cols, words = (1u << m->act_aw) / g, depth = 1u << m->acc_aw;
  uint32_t chans = (uint32_t)espl_dw_channels(m), first_bank = c->idx_base / (chans / g) * (chans / g) % (uint32_t)espl_nb(m);
  uint32_t n = q->dw_rows + 1, room = (uint32_t)espl_dw_taps(m, (int32_t)n), taps = q->dw_cols + 1 < room ? q->dw_cols + 1 : room;
  for (uint32_t y = 0; y < c->out_h; y++)
    for (uint32_t x = 0; x < c->out_w; x++) {
      uint32_t *o = acc + (size_t)((y * c->out_w + x) & (depth - 1)) * cols;
      for (uint32_t k = 0; k < n; k++) {
        int32_t iy = (int32_t)(y * q->sy + (t.ky + k) * q->dy) + c->off_y;
        for (uint32_t j = 0; j < taps; j++) {
          int32_t ix = (int32_t)(x * q->sx + t.kx * q->dx + j) + c->off_x;
          bool inside = iy >= 0 && iy < (int32_t)q->in_h && ix >= 0 && ix < (int32_t)q->in_w;
          uint32_t word = (c->act_base + t.cb * q->plane_words + (uint32_t)iy * q->row_words + (uint32_t)ix) & 0xffffu & (words - 1);
          const int8_t *wr = w + (size_t)(2 * ((k >= 2 ? room : 0) + j) + k % 2) * cols;
          for (uint32_t i = 0; i < cols; i++) {
            uint32_t bank = first_bank + i % chans / g;
            int32_t a = inside ? ((const int8_t *)s->act + ((size_t)bank << m->act_aw))[(size_t)word * g + i % g] : (int8_t)q->zi;
            o[i] += (uint32_t)(a * wr[i]);
          }
        }
      }
    }
}

/* Array rows of a depthwise tile that are stored, in their order in the weight buffer. */
static uint32_t depthwise_rows(const espl_machine *m, const espl_cmd_comp_geom *q, uint8_t row[256]) {
  uint32_t n = q->dw_rows + 1, room = (uint32_t)espl_dw_taps(m, (int32_t)n), count = 0;
  for (uint32_t r = 0; r < (uint32_t)m->rows; r++) {
    uint32_t half = n > 2 && r / 2 >= room, k = 2 * half + r % 2, t = r / 2 - half * room;
    if (k < n && t < room && t <= q->dw_cols) row[count++] = (uint8_t)r;
  }
  return count;
}

/* Weight row at byte `at` of the weight buffer (addresses wrap), expanded to C values: weight c is bits [c*bits, (c+1)*bits) of the row. */
static void expand_row(const espl_exec_state *s, uint32_t at, int8_t *out) {
  uint32_t mask = (1u << s->m->wgt_aw) - 1, bits = (uint32_t)s->weight.bits;
  for (uint32_t c = 0; c < (uint32_t)s->m->cols; c++) {
    uint32_t from = c * bits, byte = at + from / 8;
    uint32_t pair = (uint32_t)s->wgt[byte & mask] | (uint32_t)s->wgt[(byte + 1) & mask] << 8;
    uint32_t code = pair >> from % 8 & ((1u << bits) - 1);
    out[c] = (int8_t)(s->weight.book ? s->table[code] : (int32_t)(code << (32 - bits)) >> (32 - bits));
  }
}

void espl_exec_compute(espl_exec_state *s, const espl_cmd_compute *c) {
  const espl_machine *m = s->m;
  uint32_t cols = (uint32_t)m->cols, rows = (uint32_t)m->rows, depth = 1u << m->acc_aw, bytes = (uint32_t)espl_row_bytes(m, s->weight.bits);
  uint32_t *acc = s->acc + ((size_t)c->bank * depth) * cols;
  if (c->first)
    for (uint64_t p = 0; p < (uint64_t)c->out_h * c->out_w && p < depth; p++) memset(acc + p * cols, 0, cols * sizeof *acc);
  int8_t tile[256 * 256];
  uint8_t row[256];
  for (uint32_t r = 0; r < rows; r++) row[r] = (uint8_t)r;
  uint32_t stored = c->dw ? depthwise_rows(m, &s->geom, row) : rows;
  for (uint32_t i = 0; i < c->n_tiles; i++) {
    struct tap t = c->sparse ? sparse_tap(s, c->idx_base + i) : dense_tap(s, i);
    for (uint32_t r = 0; r < stored; r++) expand_row(s, (c->wgt_base + i * stored + r) * bytes, tile + (size_t)row[r] * cols);
    if (c->dw) pass_depthwise(s, c, t, tile, acc);
    else if (s->geom.fold) pass_folded(s, c, t, tile, acc);
    else pass(s, c, t, tile, acc);
  }
}
