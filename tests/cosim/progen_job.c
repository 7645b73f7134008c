/* Writes the commands of jobs: loads, computes, store; and the order in which several jobs overlap. */
#include "progen_job.h"

#include <string.h>

#define ANYWHERE UINT32_MAX /* address in memory: any in the region */

static uint32_t max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }
static uint32_t bus(const pg *g) { return (uint32_t)g->m->bus_bytes; }

/* A value nobody looks at: 0, the largest, or any. */
static uint32_t extreme(pg *g, uint32_t max) {
  uint32_t pick = pg_below(g, 4);
  return pick == 0 ? 0 : pick == 1 ? max : (uint32_t)espl_rng_next(&g->rng) & max;
}

/* --- LOAD ----------------------------------------------------------------------------------------------------------- */

/* Steps in memory that keep runs congruent to the buffer modulo the bus (and parameters whole): dst_step bytes there; at most `most` bytes here. */
static uint32_t memory_step(pg *g, bool params, uint32_t dst_step, uint32_t most) {
  uint32_t b = params ? max_u32(bus(g), 16) : bus(g), off = dst_step % b;
  return most < off + b ? off : off + b * pg_below(g, (most - off) / b + 1);
}

/* Buffer bytes touched and the memory source; dst, row_bytes, rows, groups, bank, buffer and the buffer strides are given. */
static void emit_load(pg *g, espl_cmd_load *c, uint32_t dst_row, uint32_t dst_group, const pg_region *from, uint32_t from_at, pg_intent *extra) {
  uint32_t gr = (uint32_t)espl_g(g->m), nb = (uint32_t)espl_nb(g->m), b = bus(g);
  uint32_t row_room = (from->bytes / 4 - 1) / c->rows, group_room = (from->bytes / 4 - 1) / c->groups;
  uint32_t group_step = c->buffer == BUF_ACT && nb > 1 ? 0 : dst_group * gr;
  espl_cmd_load_stride s = {.dst_row = dst_row, .dst_group = dst_group};
  s.mem_row = c->rows > 1 ? memory_step(g, c->buffer == BUF_PAR, dst_row * gr, row_room) : extreme(g, UINT32_MAX);
  s.mem_group = c->groups > 1 ? memory_step(g, c->buffer == BUF_PAR, group_step, group_room) : extreme(g, UINT32_MAX);
  uint32_t rows = c->rows > 1 ? (c->rows - 1) * s.mem_row : 0, groups = c->groups > 1 ? (c->groups - 1) * s.mem_group : 0;
  uint32_t unit = c->buffer == BUF_ACT ? gr : c->buffer == BUF_IDX ? 4 : c->buffer == BUF_PAR ? 16 : 1, step = max_u32(b, unit);
  uint32_t extent = rows + groups + c->row_bytes, room = from->bytes - extent - 2 * step;
  c->addr = from_at != ANYWHERE ? from_at : from->base + step * pg_below(g, room / step + 1) + c->dst % b;
  uint32_t w[4];
  espl_cmd_load_stride_encode(&s, w);
  pg_cfg(g, LOAD, 0, w);
  espl_cmd_load_encode(c, w);
  uint32_t act_groups = c->buffer == BUF_ACT ? (c->bank + c->groups - 1) / nb : c->groups - 1;
  uint32_t hi = c->dst + (act_groups * dst_group + (c->rows - 1) * dst_row) * gr + c->row_bytes;
  pg_intent in = {.unit = LOAD, .n = 2};
  if (extra) in = *extra, in.unit = LOAD, in.n = 2;
  in.access[0] = (pg_access){.space = (int)c->buffer, .write = true, .lo = c->dst, .hi = hi};
  in.access[1] = (pg_access){.space = MEMORY, .lo = c->addr, .hi = c->addr + extent};
  pg_emit(g, w, &in);
}

static const pg_region *activation_source(pg *g) { return pg_chance(g, 40) ? &g->out : &g->data; }

/* The tile as a mapper would load it: rows of every channel block, one block of banks after the other. False when it does not fit. */
static bool load_exact(pg *g, const pg_job *j) {
  const espl_cmd_comp_geom *q = &j->geom;
  uint32_t gr = (uint32_t)espl_g(g->m), nb = (uint32_t)espl_nb(g->m), bank = 1u << g->m->act_aw, dst = j->part[0].act_base * gr;
  if (j->blocks == 0 || q->in_h > 64 || q->in_w * gr > 4096 || q->in_h * q->in_w * gr * nb * j->blocks > 8192) return false;
  if ((uint64_t)dst + ((uint64_t)(j->blocks - 1) * q->plane_words + (uint64_t)(q->in_h - 1) * q->row_words + q->in_w) * gr > bank) return false;
  if (nb > 1 && j->blocks > 1 && q->plane_words * gr % bus(g)) return false;
  if (j->blocks * nb > (uint32_t)espl_dim_max(g->m)) return false;
  espl_cmd_load c = {.buffer = BUF_ACT, .dst = dst, .row_bytes = q->in_w * gr, .rows = q->in_h, .groups = j->blocks * nb};
  emit_load(g, &c, q->row_words, q->plane_words, activation_source(g), ANYWHERE, NULL);
  return true;
}

/* A stretch of words in every bank, in one or two commands. */
static void load_stretch(pg *g, const pg_job *j) {
  uint32_t gr = (uint32_t)espl_g(g->m), nb = (uint32_t)espl_nb(g->m), lo = j->act_lo, hi = j->act_hi;
  if (hi == lo) hi = lo + 1;
  uint32_t most = 4096 / gr / nb ? 4096 / gr / nb : 1;
  if (hi - lo > most) hi = lo + most;
  uint32_t cut = hi - lo > 1 && pg_chance(g, 30) ? lo + pg_range(g, 1, hi - lo - 1) : hi;
  for (uint32_t from = lo; from < hi; from = cut, cut = hi) {
    espl_cmd_load c = {.buffer = BUF_ACT, .dst = from * gr, .row_bytes = (cut - from) * gr, .rows = 1, .groups = nb, .bank = pg_below(g, nb)};
    if (pg_chance(g, 10)) c.groups = pg_range(g, 1, nb * 2);
    emit_load(g, &c, extreme(g, 65535), 0, activation_source(g), ANYWHERE, NULL);
  }
}

static void load_weights(pg *g, const pg_job *j) {
  uint32_t tile = (uint32_t)espl_tile_bytes(g->m, j->weight.bits), row = (uint32_t)espl_row_bytes(g->m, j->weight.bits), gr = (uint32_t)espl_g(g->m), w[4];
  uint32_t left = j->tiles, at = j->part[0].wgt_base * row;
  if (espl_weight_choice(g->m)) {
    espl_cmd_load_wgt c = {.bits = (uint32_t)j->weight.bits};
    espl_cmd_load_wgt_encode(&c, w);
    pg_cfg(g, LOAD, 1, w);
  }
  while (left) {
    uint32_t n = pg_chance(g, 60) ? left : pg_range(g, 1, left);
    espl_cmd_load c = {.buffer = BUF_WGT, .credit = j->credit, .dst = at, .row_bytes = n * tile, .rows = 1, .groups = 1};
    if (!j->credit && n <= (uint32_t)espl_dim_max(g->m) && pg_chance(g, 30)) { /* a run for each tile, as rows or as groups */
      c.row_bytes = tile;
      if (pg_chance(g, 50)) c.rows = n;
      else c.groups = n;
    }
    emit_load(g, &c, tile / gr, tile / gr, &g->data, ANYWHERE, NULL);
    at += n * tile;
    left -= n;
  }
}

static void load_entries(pg *g, const pg_job *j) {
  if (!j->sparse || j->tiles == 0) return;
  uint32_t dst = 4 * j->part[0].idx_base, b = bus(g), bytes = 4 * j->tiles;
  uint32_t at = (g->entries.used + b - 1) / b * b + dst % b;
  memcpy(g->p->memory + g->entries.base + at, j->entry, bytes);
  g->entries.used = at + bytes;
  espl_cmd_load c = {.buffer = BUF_IDX, .dst = dst, .row_bytes = bytes, .rows = 1, .groups = 1};
  emit_load(g, &c, extreme(g, 65535), extreme(g, 65535), &g->entries, g->entries.base + at, NULL);
}

static void load_params(pg *g, const pg_job *j) {
  uint32_t gr = (uint32_t)espl_g(g->m);
  espl_cmd_load c = {.buffer = BUF_PAR, .dst = 16 * j->par_base, .row_bytes = 16 * gr * j->groups, .rows = 1, .groups = 1};
  emit_load(g, &c, 0, 0, &g->params, ANYWHERE, NULL);
}

void pg_load_job(pg *g, const pg_job *j) {
  bool weights_first = pg_chance(g, 20);
  if (weights_first) load_weights(g, j);
  load_entries(g, j);
  if (!load_exact(g, j) || pg_chance(g, 20)) load_stretch(g, j);
  if (pg_chance(g, 85)) load_params(g, j);
  if (!weights_first) load_weights(g, j);
}

/* --- COMPUTE -------------------------------------------------------------------------------------------------------- */

/* Format of the weights; a codebook that is already there stays now and then. */
static void weight_config(pg *g, const pg_job *j) {
  uint32_t w[4], parts = ((1u << j->weight.bits) + 7) / 8, all = parts < 32 ? (1u << parts) - 1 : UINT32_MAX;
  if (!espl_weight_choice(g->m)) return;
  espl_cmd_comp_wgt c = {.bits = (uint32_t)j->weight.bits, .book = (uint32_t)j->weight.book};
  espl_cmd_comp_wgt_encode(&c, w);
  pg_cfg(g, COMPUTE, 2, w);
  if (!j->weight.book || ((g->table & all) == all && pg_chance(g, 40))) return;
  for (uint32_t part = 0; part < parts; part++) {
    espl_cmd_comp_table t = {part, pg_byte(g), pg_byte(g), pg_byte(g), pg_byte(g), pg_byte(g), pg_byte(g), pg_byte(g), pg_byte(g)};
    espl_cmd_comp_table_encode(&t, w);
    pg_cfg(g, COMPUTE, 3, w);
  }
  g->table |= all;
}

void pg_compute_config(pg *g, const pg_job *j) {
  uint32_t w[4];
  weight_config(g, j);
  espl_cmd_comp_geom_encode(&j->geom, w);
  pg_cfg(g, COMPUTE, 0, w);
  espl_cmd_comp_taps_encode(&j->taps, w);
  pg_cfg(g, COMPUTE, 1, w);
}

void pg_compute_part(pg *g, pg_job *j, int part, uint32_t bank) {
  uint32_t w[4], gr = (uint32_t)espl_g(g->m), row = (uint32_t)espl_row_bytes(g->m, j->weight.bits), rows = (uint32_t)g->m->rows;
  espl_cmd_compute *k = &j->part[part];
  k->bank = bank;
  espl_cmd_compute_encode(k, w);
  pg_intent in = {.unit = COMPUTE};
  pg_access weights = {.space = BUF_WGT, .lo = k->wgt_base * row, .hi = (k->wgt_base + k->n_tiles * rows) * row};
  if (k->n_tiles) in.access[in.n++] = (pg_access){.space = BUF_ACT, .lo = j->act_lo * gr, .hi = j->act_hi * gr};
  if (k->n_tiles && !k->credit) in.access[in.n++] = weights;
  if (k->sparse && k->n_tiles) in.access[in.n++] = (pg_access){.space = BUF_IDX, .lo = 4 * k->idx_base, .hi = 4 * (k->idx_base + k->n_tiles)};
  in.pop_from[LOAD] = j->flood;
  in.push_to[LOAD] = j->flood;
  pg_emit(g, w, &in);
  if (k->n_tiles && k->credit) pg_note(g, COMPUTE, &weights); /* read under credits, but later loads must wait for it */
  g->bank[bank] = k->last ? 2 : 1;
}

static void compute_job(pg *g, pg_job *j, uint32_t bank) {
  pg_compute_config(g, j);
  for (int i = 0; i < j->parts; i++) pg_compute_part(g, j, i, bank);
}

/* --- STORE ---------------------------------------------------------------------------------------------------------- */

static void plan_pooling(pg *g, const pg_job *j, espl_cmd_store *s, espl_cmd_store_pool *p, uint32_t budget) {
  uint32_t h = j->part[0].out_h, w = j->part[0].out_w;
  p->acc_h = h;
  p->acc_w = w;
  if (pg_chance(g, 10)) {
    p->acc_h = w;
    p->acc_w = h;
  }
  uint32_t most = budget < 255 ? budget : 255;
  p->win_h = pg_chance(g, 75) ? pg_range(g, 1, 3) : pg_log(g, 1, most);
  p->win_w = pg_chance(g, 75) ? pg_range(g, 1, 3) : pg_log(g, 1, most / p->win_h ? most / p->win_h : 1);
  if (pg_chance(g, 6) && budget >= 255) {
    p->win_h = pg_chance(g, 50) ? 255 : 1;
    p->win_w = p->win_h == 1 ? 255 : 1;
  }
  p->psy = pg_log(g, 1, 15);
  p->psx = pg_log(g, 1, 15);
  int32_t off = espl_offset_max(g->m);
  p->poff_y = pg_chance(g, 80) ? -(int32_t)pg_below(g, 3) : pg_chance(g, 50) ? -off - 1 : off;
  p->poff_x = pg_chance(g, 80) ? -(int32_t)pg_below(g, 3) : pg_chance(g, 50) ? -off - 1 : off;
  uint32_t pixels = budget / (p->win_h * p->win_w);
  if (pixels == 0) pixels = 1;
  if (pixels > 256) pixels = 256;
  uint32_t dim = (uint32_t)espl_dim_max(g->m);
  s->out_w = pg_log(g, 1, pixels < dim ? pixels : dim);
  s->out_h = pg_log(g, 1, pixels / s->out_w < dim ? pixels / s->out_w : dim);
}

static void plan_pixels(pg *g, const pg_job *j, espl_cmd_store *s, uint32_t budget) {
  s->out_h = j->part[0].out_h;
  s->out_w = j->part[0].out_w;
  if (pg_chance(g, 10)) {
    s->out_h = j->part[0].out_w;
    s->out_w = j->part[0].out_h;
  }
  while (s->out_h * s->out_w > budget) {
    if (s->out_h > 1) s->out_h = (s->out_h + 1) / 2;
    else s->out_w = (s->out_w + 1) / 2;
  }
}

/* Strides of a tensor tile in a region and the place of its pixel (0,0); bytes spanned through *extent. */
static uint32_t place_tensor(pg *g, const pg_region *r, const espl_cmd_store *s, bool contig, uint32_t *row, uint32_t *group, uint32_t *extent) {
  uint32_t gr = (uint32_t)espl_g(g->m), line = s->out_w * gr, rows = s->out_h;
  uint32_t room = r->bytes / 4 / s->groups / rows;
  *row = contig || rows == 1 ? line : line + gr * pg_log(g, 0, room > line ? (room - line) / gr : 0);
  uint32_t plane = (rows - 1) * *row + line;
  *group = plane + gr * pg_log(g, 0, 16);
  *extent = (s->groups - 1) * *group + plane;
  if (contig || rows == 1) *row = extreme(g, 16777215);
  if (s->groups == 1) *group = extreme(g, UINT32_MAX);
  return r->base + gr * pg_below(g, (r->bytes - *extent) / gr + 1);
}

static void store_config(pg *g, const espl_cmd_store *s, const espl_cmd_store_stride *stride, const espl_cmd_store_pool *pool) {
  uint32_t w[4];
  espl_cmd_store_stride_encode(stride, w);
  pg_cfg(g, STORE, 0, w);
  espl_cmd_store_quant q = {.zo = pg_byte(g), .zr = pg_byte(g), .pool_zo = pg_byte(g), .pool_shift = pg_range(g, 1, 47),
                            .pool_fixed = pg_chance(g, 30)};
  int32_t lo = (int8_t)pg_byte(g), hi = pg_chance(g, 20) ? (lo < 0 && pg_chance(g, 50) ? -1 : lo) : lo + (int32_t)pg_below(g, (uint32_t)(128 - lo));
  if (pg_chance(g, 50)) lo = -128, hi = 127;
  q.lo = (uint32_t)lo & 255u;
  q.hi = (uint32_t)hi & 255u;
  if (!g->cfg_known[STORE][1] || pg_chance(g, 60)) {
    espl_cmd_store_quant_encode(&q, w);
    pg_cfg(g, STORE, 1, w);
  }
  if (!s->pool) return;
  espl_cmd_store_pool_encode(pool, w);
  pg_cfg(g, STORE, 2, w);
  if (s->pool != 2 || (g->cfg_known[STORE][4] && pg_chance(g, 60))) return;
  for (int part = 4; part <= 6; part++) {
    memset(w, 0, sizeof w);
    w[0] = ESPL_OPC_CFG | (uint32_t)STORE << 4 | (uint32_t)part << 8;
    for (unsigned i = 0; i < (part == 6 ? 2 : 7); i++) espl_bits_put(w, 16 + 16 * i, 16, pg_chance(g, 10) ? (pg_chance(g, 50) ? 65535 : 0) : pg_below(g, 65536));
    pg_cfg(g, STORE, part, w);
  }
}

void pg_store_job(pg *g, const pg_job *j, uint32_t bank, uint32_t budget) {
  const espl_machine *m = g->m;
  uint32_t gr = (uint32_t)espl_g(m), each = j->groups * (gr / (uint32_t)m->rq_lanes) * (uint32_t)m->rq_cycles;
  uint32_t pixels = budget / each ? budget / each : 1, extent = 0, res_extent = 0;
  espl_cmd_store s = {.bank = bank, .par_base = j->par_base, .groups = j->groups, .out_contig = pg_chance(g, 50), .res_contig = pg_chance(g, 50)};
  espl_cmd_store_pool pool = {0};
  uint32_t kind = pg_below(g, 4);
  s.pool = kind == 1 && m->maxpool ? 1 : kind == 2 && m->avgpool ? 2 : 0;
  s.residual = !s.pool && m->residual && pg_chance(g, 40);
  if (s.pool) plan_pooling(g, j, &s, &pool, pixels);
  else plan_pixels(g, j, &s, pixels);
  espl_cmd_store_stride stride = {0};
  s.out_addr = place_tensor(g, &g->out, &s, s.out_contig, &stride.out_row, &stride.out_group, &extent);
  pg_intent in = {.unit = STORE};
  in.access[in.n++] = (pg_access){.space = MEMORY, .write = true, .lo = s.out_addr, .hi = s.out_addr + extent};
  in.access[in.n++] = (pg_access){.space = BUF_PAR, .lo = 16 * s.par_base, .hi = 16 * (s.par_base + s.groups * gr)};
  if (s.residual && pg_chance(g, 30)) { /* in place */
    s.res_addr = s.out_addr;
    s.res_contig = s.out_contig;
    stride.res_row = stride.out_row;
    stride.res_group = stride.out_group;
    in.access[in.n++] = (pg_access){.space = MEMORY, .lo = s.out_addr, .hi = s.out_addr + extent};
  } else if (s.residual) {
    s.res_addr = place_tensor(g, pg_chance(g, 50) ? &g->out : &g->data, &s, s.res_contig, &stride.res_row, &stride.res_group, &res_extent);
    if (s.res_addr < s.out_addr + extent && s.out_addr < s.res_addr + res_extent)
      s.res_addr = place_tensor(g, &g->data, &s, s.res_contig, &stride.res_row, &stride.res_group, &res_extent);
    in.access[in.n++] = (pg_access){.space = MEMORY, .lo = s.res_addr, .hi = s.res_addr + res_extent};
  } else if (pg_chance(g, 20)) {
    s.res_addr = UINT32_MAX / gr * gr;
  }
  store_config(g, &s, &stride, &pool);
  uint32_t w[4];
  espl_cmd_store_encode(&s, w);
  pg_emit(g, w, &in);
  g->bank[bank] = 0;
}

/* --- several jobs --------------------------------------------------------------------------------------------------- */

static uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Shares of the weight buffer that hold a tile. */
static uint32_t weight_shares(const espl_machine *m, uint32_t slots) { return min_u32(slots, (1u << m->wgt_aw) / (uint32_t)espl_tile_bytes(m, m->w_bits)); }

/* What job `t` takes of every buffer: they take turns in shares, `slots` of them or as many as the buffer is large enough for. */
static pg_share share_of(pg *g, uint32_t t, uint32_t slots) {
  const espl_machine *m = g->m;
  uint32_t gr = (uint32_t)espl_g(m), words = min_u32((1u << m->act_aw) / gr, 65535), bytes = 1u << m->wgt_aw, row = (uint32_t)espl_row_bytes(m, m->w_bits);
  uint32_t entries = m->idx_aw ? 1u << m->idx_aw : 0, params = (1u << m->par_aw) / gr * gr;
  pg_share s = {.act_n = words, .wgt_n = bytes, .idx_n = entries, .par_n = params};
  uint32_t wgt_slots = weight_shares(m, slots), par_slots = min_u32(slots, params / gr);
  s.act_n = words / slots;
  s.act_lo = t % slots * s.act_n;
  s.wgt_n = bytes / wgt_slots / row * row;
  s.wgt_lo = t % wgt_slots * s.wgt_n;
  s.idx_n = entries / slots;
  s.idx_lo = t % slots * s.idx_n;
  s.par_n = params / par_slots / gr * gr;
  s.par_lo = t % par_slots * s.par_n;
  return s;
}

void pg_job_stream(pg *g, int jobs) {
  enum { WINDOW = 4 };
  pg_job job[WINDOW];
  uint32_t bank_of[WINDOW] = {0}, slots = pg_range(g, 1, 4), banks = (uint32_t)g->m->acc_banks, first = pg_below(g, banks);
  int ahead = (int)pg_below(g, min_u32(weight_shares(g->m, slots), 3)), late = banks == 2 && pg_chance(g, 50);
  uint32_t budget = pg_chance(g, g->m->acc_aw == 12 ? 30 : 10) ? 5000 : pg_range(g, 100, 1200); /* 4095 pixels now and then, where they fit */
  for (int t = 0; t < jobs + ahead + late; t++) {
    int c = t - ahead, s = t - ahead - late;
    if (t < jobs && !pg_room(g)) jobs = t; /* no more of them; what was begun is finished */
    if (t < jobs) {
      pg_share share = share_of(g, (uint32_t)t, slots);
      pg_job *j = &job[t % WINDOW];
      memset(j, 0, sizeof *j);
      pg_plan_job(g, j, &share, budget);
      pg_load_job(g, j);
    }
    if (c >= 0 && c < jobs) {
      bank_of[c % WINDOW] = ((uint32_t)c + first) % banks;
      compute_job(g, &job[c % WINDOW], bank_of[c % WINDOW]);
    }
    if (s >= 0 && s < jobs) pg_store_job(g, &job[s % WINDOW], bank_of[s % WINDOW], budget);
  }
}

/* A load of parameters that only moves tokens; now and then with as many runs as a field can say. */
static void token_load(pg *g, bool push, bool pop) {
  pg_intent in = {.push_to = {[COMPUTE] = push}, .pop_from = {[COMPUTE] = pop}};
  espl_cmd_load c = {.buffer = BUF_PAR, .row_bytes = 16, .rows = pg_range(g, 1, 2), .groups = 1};
  if (pg_chance(g, 2)) {
    c.rows = pg_chance(g, 50) ? (uint32_t)espl_dim_max(g->m) : 1;
    c.groups = c.rows == 1 ? (uint32_t)espl_dim_max(g->m) : 1;
  }
  emit_load(g, &c, 0, 0, &g->params, ANYWHERE, &in);
}

/* As many tokens as a counter holds: loads that each push, computes that each pop one and push one back. First load runs ahead of the computes
 * that pop, then compute ahead of a long load whose successors pop, so that each meets a full counter when it wants to push. */
void pg_token_flood(pg *g) {
  enum { AHEAD = 6, MORE = 4 };
  int n = (int)min_u32((uint32_t)g->m->token_max, PG_PARTS_MAX - AHEAD - MORE), part = 0;
  pg_share share = share_of(g, 0, 1);
  pg_job j = {.flood = true, .parts = n + AHEAD + MORE};
  pg_plan_job(g, &j, &share, 200);
  pg_load_job(g, &j);
  for (int i = 0; i < n; i++) token_load(g, true, false);
  pg_compute_config(g, &j);
  for (int i = 0; i < AHEAD; i++) {
    pg_compute_part(g, &j, part++, 0);
    token_load(g, true, false);
  }
  for (int i = 0; i < n; i++) pg_compute_part(g, &j, part++, 0);
  espl_cmd_load slow = {.buffer = BUF_PAR, .row_bytes = 16 * (uint32_t)espl_g(g->m), .rows = pg_range(g, 20, 60), .groups = 1};
  emit_load(g, &slow, 0, 0, &g->params, ANYWHERE, NULL);
  for (int i = 0; i < MORE; i++) {
    token_load(g, false, true);
    pg_compute_part(g, &j, part++, 0);
  }
  for (int i = 0; i < n; i++) token_load(g, false, true);
  pg_store_job(g, &j, 0, 200);
}
