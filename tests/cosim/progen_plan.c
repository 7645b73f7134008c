/* Plans a job: kernel, strides, tile of the activation buffer, weight tiles, such that every access stays inside its buffer. */
#include <string.h>

#include "progen_job.h"

static uint32_t low_bit(uint32_t v) { return (uint32_t)__builtin_ctz(v); }
static uint32_t high_bit(uint32_t v) { return 31u - (uint32_t)__builtin_clz(v); }

static uint32_t kernel_mask(pg *g) {
  uint32_t most = (uint32_t)g->m->kernel, usual = pg_chance(g, 80) ? 3 : 7;
  if (pg_chance(g, 8)) return pg_chance(g, 30) ? (1u << most) - 1u : 1u << (most - 1u) >> pg_below(g, most < 3 ? most : 3);
  uint32_t k = pg_range(g, 1, usual < most ? usual : most), mask = pg_below(g, 1u << k);
  if (pg_chance(g, 50)) mask = (1u << k) - 1;
  return mask ? mask : 1u;
}

static int32_t offset(pg *g) {
  if (pg_chance(g, 70)) return -(int32_t)pg_below(g, 4);
  if (pg_chance(g, 60)) return (int32_t)pg_below(g, 33) - 16;
  return pg_chance(g, 50) ? -espl_offset_max(g->m) - 1 : espl_offset_max(g->m);
}

static void plan_output(pg *g, pg_job *j, uint32_t budget) {
  uint32_t depth = 1u << g->m->acc_aw, most = depth < budget ? depth : budget;
  espl_cmd_compute *k = &j->part[0];
  memset(k, 0, sizeof *k);
  uint32_t dim = (uint32_t)espl_dim_max(g->m), side = most < dim ? most : dim;
  uint32_t w = pg_chance(g, most >= dim ? 60 : 5) ? side : pg_log(g, 1, side);
  uint32_t h = pg_log(g, 1, most / w < dim ? most / w : dim);
  bool swap = pg_chance(g, 50);
  k->out_w = swap ? h : w;
  k->out_h = swap ? w : h;
  k->off_y = offset(g);
  k->off_x = offset(g);
}

static void plan_kernel(pg *g, pg_job *j) {
  j->geom = (espl_cmd_comp_geom){.sy = pg_log(g, 1, 7), .sx = pg_log(g, 1, 7), .dy = pg_log(g, 1, 15), .dx = pg_log(g, 1, 15), .zi = pg_byte(g)};
  j->taps = (espl_cmd_comp_taps){.ky_mask = kernel_mask(g), .kx_mask = kernel_mask(g), .tiles_total = pg_chance(g, 20) ? 65535u : 0,
                                 .macs = (uint32_t)espl_rng_next(&g->rng), .macs_dense = (uint32_t)espl_rng_next(&g->rng)};
  if (pg_chance(g, 10)) j->taps.macs = pg_chance(g, 50) ? 0 : UINT32_MAX;
  if (pg_chance(g, 10)) j->taps.macs_dense = pg_chance(g, 50) ? 0 : UINT32_MAX;
}

/* A depthwise job: kernel rows read at once lie in different parts of a bank. The fields mean nothing to other jobs. */
static void plan_depthwise(pg *g, pg_job *j) {
  espl_cmd_comp_geom *q = &j->geom;
  j->dw = !j->flood && g->m->dw_banks > 0 && pg_chance(g, 35);
  q->dw_rows = j->dw ? pg_below(g, (uint32_t)g->m->dw_banks) : pg_below(g, 4);
  q->dw_cols = pg_chance(g, 70) ? pg_range(g, 1, 4) : pg_below(g, 16);
  if (!j->dw) return;
  if (q->dw_cols == 0) q->dw_cols = 1;
  uint32_t parts = (uint32_t)espl_dw_parts(g->m), odd = q->dw_rows > 1 || parts == 2; /* two rows in four parts need only different ones */
  for (;; q->row_words = pg_range(g, 1, 64), q->dy = pg_log(g, 1, 15)) {
    uint32_t step = q->dy * q->row_words;
    if (q->dw_rows == 0 || (odd ? step % 2 : step % parts) != 0) return;
  }
}

static void plan_tile(pg *g, pg_job *j, const pg_share *s) {
  espl_cmd_comp_geom *q = &j->geom;
  uint32_t dim = (uint32_t)espl_dim_max(g->m);
  q->in_h = pg_chance(g, 4) ? dim : pg_log(g, 1, 40);
  q->in_w = pg_chance(g, 4) ? dim : pg_log(g, 1, 40);
  q->row_words = pg_chance(g, 75) ? q->in_w + (pg_chance(g, 50) ? 0 : pg_below(g, 4)) : pg_chance(g, 20) ? dim : pg_log(g, 1, dim < 64 ? dim : 64);
  if (q->row_words > dim) q->row_words = dim;
  uint32_t plane = q->in_h * q->row_words;
  q->plane_words = plane < 65536 && pg_chance(g, 75) ? plane : pg_chance(g, 10) ? 65535 : pg_log(g, 0, s->act_n - 1);
  j->part[0].act_base = s->act_lo + pg_log(g, 0, (s->act_n - 1) / 4);
}

/* Grows [act_lo, act_hi) by what a box of taps of channel block cb reads. */
static bool cover(pg_job *j, uint32_t ky0, uint32_t ky1, uint32_t kx0, uint32_t kx1, uint32_t cb, uint32_t limit) {
  const espl_cmd_comp_geom *q = &j->geom;
  const espl_cmd_compute *k = &j->part[0];
  if (j->dw) ky1 += q->dw_rows;
  int64_t y0 = (int64_t)(ky0 * q->dy) + k->off_y, y1 = (int64_t)((k->out_h - 1) * q->sy + ky1 * q->dy) + k->off_y;
  int64_t x0 = (int64_t)(kx0 * q->dx) + k->off_x, x1 = (int64_t)((k->out_w - 1) * q->sx + kx1 * q->dx) + k->off_x;
  if (j->dw) x1 += q->dw_cols;
  if (j->fold) x1 += j->fold - 1;
  if (y0 < 0) y0 = 0;
  if (x0 < 0) x0 = 0;
  if (y1 >= q->in_h) y1 = (int64_t)q->in_h - 1;
  if (x1 >= q->in_w) x1 = (int64_t)q->in_w - 1;
  if (y1 < y0 || x1 < x0) return true;
  if (j->fold) x0 /= j->fold, x1 /= j->fold; /* pixels to words */
  uint64_t lo = k->act_base + (uint64_t)cb * q->plane_words + (uint64_t)(y0 * q->row_words + x0);
  uint64_t hi = k->act_base + (uint64_t)cb * q->plane_words + (uint64_t)(y1 * q->row_words + x1) + 1;
  if (hi > limit) return false;
  if (j->act_lo == j->act_hi) {
    j->act_lo = (uint32_t)lo;
    j->act_hi = (uint32_t)hi;
  }
  if (lo < j->act_lo) j->act_lo = (uint32_t)lo;
  if (hi > j->act_hi) j->act_hi = (uint32_t)hi;
  return true;
}

static bool cover_tiles(pg_job *j, uint32_t limit) {
  j->act_lo = j->act_hi = 0;
  if (j->sparse) {
    for (uint32_t i = 0; i < j->tiles; i++) {
      uint32_t kx = j->entry[i] & 255u, ky = j->entry[i] >> 8 & 255u;
      if (!cover(j, ky, ky, kx, kx, j->entry[i] >> 16, limit)) return false;
    }
    return true;
  }
  for (uint32_t cb = 0; cb < j->blocks; cb++)
    if (!cover(j, low_bit(j->taps.ky_mask), high_bit(j->taps.ky_mask), low_bit(j->taps.kx_mask), high_bit(j->taps.kx_mask), cb, limit)) return false;
  return true;
}

static void plan_entries(pg *g, pg_job *j) {
  uint32_t ky = 1 + high_bit(j->taps.ky_mask), kx = 1 + high_bit(j->taps.kx_mask), blocks = pg_range(g, 1, 4);
  for (uint32_t i = 0; i < j->tiles; i++) {
    j->entry[i] = pg_below(g, kx) | pg_below(g, ky) << 8 | pg_below(g, blocks) << 16;
    if (pg_chance(g, 3)) j->entry[i] = 255u | 255u << 8 | pg_below(g, blocks) << 16; /* far outside: padding only */
  }
}

/* Shares the tiles out to the parts. A flood repeats one tile. */
static void plan_parts(pg *g, pg_job *j, const pg_share *s) {
  espl_cmd_compute base = j->part[0];
  uint32_t rows = (uint32_t)g->m->rows, left = j->tiles, at = 0;
  if (!j->flood) j->parts = 1 + (int)pg_below(g, j->sparse || left > 2 ? 3 : left);
  for (int i = 0; i < j->parts; i++) {
    espl_cmd_compute *k = &j->part[i];
    uint32_t after = (uint32_t)(j->parts - 1 - i), least = j->sparse ? 0 : 1;
    *k = base;
    if (j->flood) k->n_tiles = j->tiles;
    else if (after == 0) k->n_tiles = left;
    else k->n_tiles = left - after * least > least ? pg_range(g, least, left - after * least) : least;
    if (k->n_tiles > left && !j->flood) k->n_tiles = left;
    k->wgt_base = j->wgt_base + at * rows;
    k->idx_base = j->sparse ? s->idx_lo + at : pg_chance(g, 10) ? 4095 : pg_below(g, 4096);
    k->sparse = j->sparse;
    k->credit = j->credit;
    k->dw = j->dw && pg_chance(g, 80);
    k->first = i == 0;
    k->last = after == 0;
    if (i > 0 && k->out_h > 1 && pg_chance(g, 20)) k->out_h = pg_range(g, 1, k->out_h); /* adds to the first rows only */
    if (j->flood) continue;
    left -= k->n_tiles;
    at += k->n_tiles;
  }
  if (j->taps.tiles_total < j->tiles) j->taps.tiles_total = j->tiles + pg_below(g, 200);
}

/* One of the formats the machine has, and the rows of the share in it; the widest one when a tile of another would not fit beside its alignment. */
static void plan_weights(pg *g, pg_job *j, const pg_share *s) {
  espl_weight_format built[20];
  uint32_t n = 0;
  for (int32_t book = 0; book < 2; book++)
    for (int32_t bits = 2; bits <= 8; bits++)
      if (espl_weight_built(g->m, (espl_weight_format){bits, book})) built[n++] = (espl_weight_format){bits, book};
  for (int attempt = 0; attempt < 2; attempt++) {
    j->weight = attempt ? espl_weight_default(g->m) : built[pg_below(g, n)];
    uint32_t row = (uint32_t)espl_row_bytes(g->m, j->weight.bits), end = (s->wgt_lo + s->wgt_n) / row;
    j->wgt_base = (s->wgt_lo + row - 1) / row;
    if (end > 65535) end = 65535;
    j->wgt_rows = end > j->wgt_base ? end - j->wgt_base : 0;
    if (j->wgt_rows >= (uint32_t)g->m->rows) return;
  }
}

static uint32_t tiles_that_fit(pg *g, const pg_job *j, const pg_share *s, uint32_t budget) {
  uint32_t rows = (uint32_t)g->m->rows, pass = j->part[0].out_h * j->part[0].out_w;
  if (j->dw) pass = j->part[0].out_h * ((j->part[0].out_w - 1) * j->geom.sx + j->geom.dw_cols + 1);
  if (pass < rows) pass = rows;
  uint32_t n = budget / pass, fit = j->wgt_rows / rows, data = g->data.bytes / 2 / (uint32_t)espl_tile_bytes(g->m, j->weight.bits);
  if (n > fit) n = fit;
  if (n > data) n = data;
  if (j->sparse && n > s->idx_n) n = s->idx_n;
  if (n > PG_TILES_MAX) n = PG_TILES_MAX;
  return n ? n : 1;
}

void pg_plan_job(pg *g, pg_job *j, const pg_share *s, uint32_t budget) {
  bool flood = j->flood;
  int parts = j->parts;
  for (int attempt = 0;; attempt++) {
    memset(j, 0, sizeof *j);
    j->flood = flood;
    j->parts = parts;
    plan_output(g, j, budget);
    if (flood) { /* computes slower than the loads that feed them with tokens */
      j->part[0].out_h = j->part[0].out_w = g->m->acc_aw < 6 ? 2 : pg_range(g, 4, 8);
    }
    plan_kernel(g, j);
    plan_tile(g, j, s);
    plan_weights(g, j, s);
    plan_depthwise(g, j);
    j->geom.fold = g->m->fold && !j->dw && pg_chance(g, 40);
    j->fold = j->geom.fold ? (uint32_t)espl_g(g->m) / 4 : 0;
    j->sparse = !flood && !j->dw && g->m->idx_aw > 0 && g->entries.used + 4 * PG_TILES_MAX + 64 <= g->entries.bytes && s->idx_n > 0 && pg_chance(g, 40);
    j->credit = !flood && pg_chance(g, 50);
    uint32_t most = tiles_that_fit(g, j, s, budget);
    j->tiles = flood ? 1 : j->sparse && pg_chance(g, 8) ? 0 : pg_log(g, 1, most);
    if (pg_chance(g, 4) && !flood) j->tiles = most;
    if (j->sparse) plan_entries(g, j);
    uint32_t taps = (uint32_t)(__builtin_popcount(j->taps.ky_mask) * __builtin_popcount(j->taps.kx_mask));
    j->blocks = j->sparse ? 0 : (j->tiles + taps - 1) / taps;
    if (attempt >= 40) { /* one pixel of one block, whatever the taps */
      j->geom.in_h = j->geom.in_w = j->geom.row_words = 1;
      j->geom.plane_words = j->geom.dw_rows = 0;
      j->part[0].act_base = s->act_lo;
    }
    if (cover_tiles(j, s->act_lo + s->act_n)) break;
  }
  plan_parts(g, j, s);
  uint32_t gr = (uint32_t)espl_g(g->m), most = (uint32_t)(g->m->cols / espl_g(g->m)), fit = s->par_n / gr;
  j->groups = pg_range(g, 1, most < fit ? most : fit);
  j->par_base = s->par_lo + gr * pg_below(g, fit - j->groups + 1);
}
