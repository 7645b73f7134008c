/* Executor: STORE: drain, requantize, residual, pooling, write (hw/spec/numerics.md). */
#include <stdlib.h>
#include <string.h>

#include "model/exec.h"
#include "model/requant.h"

/* Where the bytes of a tile go or come from: piece (group, row) of `n` bytes at an address; a piece that leaves memory is an error. */
struct tile_walk {
  uint64_t base, group_step, row_step;
  uint32_t row_bytes, rows;
};

/* In words of G bytes: the low bits of addresses and strides are not looked at. */
static struct tile_walk walk_of(const espl_exec_state *s, const espl_cmd_store *c, bool write) {
  uint32_t g = (uint32_t)espl_g(s->m), words = ~(g - 1u), row = c->out_w * g;
  bool contig = write ? c->out_contig : c->res_contig;
  return (struct tile_walk){.base = (write ? c->out_addr : c->res_addr) & words,
                            .group_step = (write ? s->store_stride.out_group : s->store_stride.res_group) & words,
                            .row_step = contig ? row : (write ? s->store_stride.out_row : s->store_stride.res_row) & words,
                            .row_bytes = contig ? row * c->out_h : row,
                            .rows = contig ? 1 : c->out_h};
}

/* Copies the whole tile between memory and `bytes` [groups][out_h][out_w][G], burst by burst: a burst outside memory moves nothing
 * (reads give zeros) and flags the command. Addresses are 32 bits and wrap. */
static void move_tile(espl_exec_state *s, const struct tile_walk *t, uint32_t groups, uint8_t *bytes, bool write) {
  uint32_t beat = (uint32_t)s->m->bus_bytes;
  for (uint32_t k = 0; k < groups; k++)
    for (uint32_t y = 0; y < t->rows; y++) {
      uint64_t a = (uint32_t)(t->base + k * t->group_step + y * t->row_step), end = a + t->row_bytes;
      while (a < end) {
        uint64_t cut = (a | 255u) + 1;
        uint32_t n = (uint32_t)((cut < end ? cut : end) - a);
        uint64_t beats_end = (a + n + beat - 1) / beat * beat;
        if (beats_end > s->m->mem_bytes) {
          if (s->error == ESPL_HW_NONE) s->error = write ? ESPL_HW_BUS_WRITE : ESPL_HW_BUS_READ;
          if (!write) memset(bytes, 0, n);
        } else if (write) {
          memcpy(s->memory + a, bytes, n);
        } else {
          memcpy(bytes, s->memory + a, n);
        }
        bytes += n;
        a += n;
      }
    }
}

struct drain {
  const espl_exec_state *s;
  const espl_cmd_store *c;
  const uint32_t *acc; /* bank: [pixel][C] */
  espl_rq_layer layer;
};

static int32_t accumulator(const struct drain *d, uint32_t pixel, uint32_t column) {
  const espl_machine *m = d->s->m;
  uint32_t v = d->acc[(size_t)(pixel & ((1u << m->acc_aw) - 1)) * (uint32_t)m->cols + column];
  unsigned drop = 32u - (unsigned)m->acc_w;
  return (int32_t)(v << drop) >> drop;
}

static int8_t pooled(const struct drain *d, const espl_rq_param *p, uint32_t column, uint32_t y, uint32_t x) {
  const espl_cmd_store_pool *w = &d->s->pool;
  int32_t sum = 0, n = 0, best = -128;
  for (uint32_t wy = 0; wy < w->win_h; wy++)
    for (uint32_t wx = 0; wx < w->win_w; wx++) {
      int32_t ty = (int32_t)(y * w->psy + wy) + w->poff_y, tx = (int32_t)(x * w->psx + wx) + w->poff_x;
      if (ty < 0 || ty >= (int32_t)w->acc_h || tx < 0 || tx >= (int32_t)w->acc_w) continue;
      int32_t q = espl_requantize(accumulator(d, (uint32_t)ty * w->acc_w + (uint32_t)tx, column), p, &d->layer);
      sum += q;
      n++;
      if (q > best) best = q;
    }
  if (d->c->pool == 1) return (int8_t)best;
  const espl_cmd_store_quant *k = &d->s->quant;
  return espl_average(sum, n, (int8_t)k->zo, (int8_t)k->pool_zo, k->pool_shift, (int)k->pool_fixed, d->s->avg);
}

void espl_exec_store(espl_exec_state *s, const espl_cmd_store *c) {
  const espl_machine *m = s->m;
  uint32_t g = (uint32_t)espl_g(m), pixels = c->out_h * c->out_w;
  size_t bytes = (size_t)c->groups * pixels * g;
  uint8_t *out = malloc(bytes), *res = c->residual ? malloc(bytes) : NULL;
  if (!out || (c->residual && !res)) {
    free(out);
    free(res);
    s->error = ESPL_HW_BUS_WRITE;
    return;
  }
  if (res) {
    struct tile_walk t = walk_of(s, c, false);
    move_tile(s, &t, c->groups, res, false);
  }
  struct drain d = {.s = s, .c = c, .acc = s->acc + ((size_t)c->bank << m->acc_aw) * (uint32_t)m->cols,
                    .layer = {(int8_t)s->quant.zo, (int8_t)s->quant.zr, (int8_t)s->quant.lo, (int8_t)s->quant.hi}};
  size_t at = 0;
  for (uint32_t k = 0; k < c->groups; k++) {
    espl_rq_param par[16];
    for (uint32_t j = 0; j < g; j++) {
      uint32_t entry = (c->par_base + k * g + j) & ((1u << m->par_aw) - 1);
      par[j] = espl_rq_param_unpack(s->par + 16 * (size_t)entry);
    }
    for (uint32_t y = 0; y < c->out_h; y++)
      for (uint32_t x = 0; x < c->out_w; x++)
        for (uint32_t j = 0; j < g; j++, at++) {
          uint32_t column = k * g + j;
          if (c->pool) {
            out[at] = (uint8_t)pooled(&d, &par[j], column, y, x);
            continue;
          }
          int32_t acc = accumulator(&d, y * c->out_w + x, column);
          out[at] = (uint8_t)(res ? espl_requantize_res(acc, (int8_t)res[at], &par[j], &d.layer) : espl_requantize(acc, &par[j], &d.layer));
        }
  }
  struct tile_walk t = walk_of(s, c, true);
  move_tile(s, &t, c->groups, out, true);
  free(out);
  free(res);
}
