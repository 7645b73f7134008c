/* Commands of one layer for one plan: what is in each buffer is tracked here, loads are emitted on demand just before the command that
 * needs them, and every reuse of a buffer waits for the last command that read it. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/map_int.h"

/* A buffer used as a ring of units (weight tiles, index entries, column blocks of parameters). */
typedef struct ring {
  int32_t cap, next;
  int32_t *owner; /* [cap] what a unit holds, -1 nothing */
  int32_t *user;  /* [cap] list position of the last reader, -1 none */
} ring;

typedef struct slot {
  int32_t image;
  int32_t r0, r1, c0, c1;  /* virtual rows and columns it holds; r1 0: nothing */
  int32_t chunk;           /* and which channel blocks */
  int32_t have;            /* channel blocks of the chunk that are loaded (from the chunk's first) */
  int32_t user, load;      /* last COMPUTE reading it, last LOAD writing it */
} slot;

typedef struct emit {
  const map_geom *g;
  const map_plan *p;
  const map_place *at;
  map_list *l;
  int32_t image, copy;            /* walked now; resident: its place among the images that are held */
  int32_t *held, *held_user, *copy_user; /* resident: [copies] image that lies there, last COMPUTE reading the one before, and it */
  int32_t *rows_have, *rows_load; /* resident: [copies * ncb] rows loaded and the LOAD that brought the last of them */
  slot *slot;
  int32_t next_slot;
  ring weight, index, param;
  int32_t *wslot, *islot;         /* [tiles] unit of the ring, valid when that unit's owner is the tile */
  int32_t param_load;
  bool format_sent;
  int32_t bank;
  int32_t items, item;
  uint64_t macs, macs_dense;
} emit;

/* ---- rings ---- */

static bool ring_init(ring *r, int32_t cap) {
  r->cap = cap;
  r->owner = malloc((size_t)cap * sizeof(int32_t) + 1);
  r->user = malloc((size_t)cap * sizeof(int32_t) + 1);
  if (!r->owner || !r->user) return false;
  for (int32_t i = 0; i < cap; i++) r->owner[i] = r->user[i] = -1;
  return true;
}

/* n units in a row, the first congruent to `residue` modulo `unit`; *wait = last reader of what was there. */
static int32_t ring_take(ring *r, int32_t n, int32_t residue, int32_t unit, int32_t *wait) {
  int32_t at = r->next + ((residue - r->next) % unit + unit) % unit;
  if (at + n > r->cap) at = residue;
  *wait = -1;
  for (int32_t i = at; i < at + n; i++) {
    *wait = map_max(*wait, r->user[i]);
    r->user[i] = -1;
  }
  r->next = at + n;
  return at;
}

/* ---- loads ---- */

static void load_stride(emit *e, uint32_t mem_row, uint32_t mem_group, int32_t dst_row, int32_t dst_group) {
  espl_cmd_load_stride s = {.mem_row = mem_row, .mem_group = mem_group, .dst_row = (uint32_t)dst_row, .dst_group = (uint32_t)dst_group};
  uint32_t w[4];
  espl_cmd_load_stride_encode(&s, w);
  map_list_cfg(e->l, w);
}

static int32_t load(emit *e, espl_cmd_load c, map_token tok, int32_t wait) {
  uint32_t pop = map_list_wait(e->l, tok, wait);
  if (tok == MAP_CL) c.pop_compute = pop;
  else c.pop_store = pop;
  map_cmd m = {.unit = ESPL_UNIT_LOAD, .u.load = c};
  return map_list_add(e->l, &m);
}

/* One contiguous run into a buffer other than activations. */
static int32_t load_run(emit *e, uint32_t buffer, uint32_t addr, uint32_t dst, uint32_t bytes, uint32_t credit, map_token tok, int32_t wait) {
  return load(e, (espl_cmd_load){.buffer = buffer, .credit = credit, .addr = addr, .dst = dst, .row_bytes = bytes, .rows = 1, .groups = 1}, tok, wait);
}

/* Rows [r0, r1) x columns [c0, c1) of channel blocks [b0, b1); base: pixel word in the buffer where row r0, column c0 of b0 goes. */
static int32_t load_acts(emit *e, int32_t b0, int32_t b1, int32_t r0, int32_t r1, int32_t c0, int32_t c1, int32_t base, int32_t pitch, int32_t plane,
                         int32_t wait) {
  const map_geom *g = e->g;
  uint32_t gb = (uint32_t)g->g;
  int32_t g0 = b0 * g->nb, g1 = map_min(b1 * g->nb, g->in_groups);
  espl_cmd_load c = {.buffer = 0, .groups = (uint32_t)(g1 - g0), .dst = (uint32_t)base * gb};
  c.addr = e->at->in + (uint32_t)e->image * g->in_image + (uint32_t)g0 * g->plane_bytes + (uint32_t)c0 * gb;
  if (g->run_rows > 1) { /* whole images, one below the other */
    c.addr += (uint32_t)(r0 / g->run_rows) * g->in_image;
    c.rows = (uint32_t)((r1 - r0) / g->run_rows);
    c.row_bytes = (uint32_t)g->run_rows * g->row_bytes;
    load_stride(e, g->in_image, g->plane_bytes, g->run_rows * pitch, plane);
    return load(e, c, MAP_CL, wait);
  }
  c.addr += (uint32_t)(r0 * g->row_step) * g->row_bytes;
  if (g->woven) {
    c.groups = 1;
    c.rows = (uint32_t)(r1 - r0);
    c.row_bytes = (uint32_t)(g1 - g0) * gb;
    load_stride(e, g->row_bytes, 0, pitch, 0);
    return load(e, c, MAP_CL, wait);
  }
  bool whole = g->row_step == 1 && c0 == 0 && c1 == g->in.w && (uint32_t)pitch * gb == g->row_bytes;
  c.rows = whole ? 1 : (uint32_t)(r1 - r0);
  c.row_bytes = whole ? (uint32_t)(r1 - r0) * g->row_bytes : g->fold ? g->row_bytes : (uint32_t)(c1 - c0) * gb;
  if (c.rows > 1 || c.groups > 1) load_stride(e, (uint32_t)g->row_step * g->row_bytes, g->plane_bytes, pitch, plane);
  return load(e, c, MAP_CL, wait);
}

/* ---- activations ---- */

static int32_t chunk_of(const emit *e, int32_t cb) { return e->p->resident ? 0 : cb / e->p->chunk_cb; }

static slot *find_slot(const emit *e, const map_span *y, const map_span *x, int32_t chunk) {
  for (int32_t i = 0; i < e->p->slots; i++) {
    slot *s = &e->slot[i];
    if (s->image == e->image && s->chunk == chunk && s->r0 == y->i0 && s->r1 == y->i1 && s->c0 == x->i0 && s->c1 == x->i1) return s;
  }
  return NULL;
}

static bool acts_ready(const emit *e, const map_span *y, const map_span *x, int32_t cb) {
  if (e->p->resident) return e->rows_have[e->copy * e->g->ncb + cb] >= y->i1;
  const slot *s = find_slot(e, y, x, chunk_of(e, cb));
  return s && cb - s->chunk * e->p->chunk_cb < s->have;
}

/* Brings rows before i1 of channel blocks [b0, b1); returns the LOAD that a reader has to wait for (-1: none). */
static int32_t need_resident(emit *e, int32_t i1, int32_t b0, int32_t b1) {
  const map_geom *g = e->g;
  int32_t last = -1, first = e->copy * g->ncb, *rows = e->rows_have + first, *loads = e->rows_load + first;
  for (int32_t b = b0; b < b1;) {
    int32_t have = rows[b], end = b + 1;
    while (end < b1 && rows[end] == have) end++;
    if (have < i1) {
      int32_t at = load_acts(e, b, end, have, i1, 0, g->in.w, (first + b) * g->plane_words + have * g->pitch, g->pitch, g->plane_words, e->held_user[e->copy]);
      for (int32_t k = b; k < end; k++) {
        rows[k] = i1;
        loads[k] = at;
      }
    }
    for (; b < end; b++) last = map_max(last, loads[b]);
  }
  return last;
}

/* Pixel word of row i0, column i0 of the first channel block in slot s: its address modulo the bus width is kept. */
static int32_t slot_base(const emit *e, const slot *s, const map_span *y, const map_span *x) {
  const map_geom *g = e->g;
  uint32_t off = (uint32_t)(y->i0 * g->row_step) * g->row_bytes + (uint32_t)x->i0 * (uint32_t)g->g;
  return (int32_t)(s - e->slot) * e->p->slot_words + (int32_t)(off % (uint32_t)map_max(g->m->bus_bytes, g->g)) / g->g;
}

static int32_t need_slot(emit *e, const map_span *y, const map_span *x, int32_t b1, slot **out) {
  const map_geom *g = e->g;
  int32_t chunk = chunk_of(e, b1 - 1), wait = -1;
  slot *s = find_slot(e, y, x, chunk);
  if (!s) {
    s = &e->slot[e->next_slot];
    e->next_slot = (e->next_slot + 1) % e->p->slots;
    wait = s->user;
    *s = (slot){e->image, y->i0, y->i1, x->i0, x->i1, chunk, .user = -1, .load = -1};
  }
  *out = s;
  int32_t first = chunk * e->p->chunk_cb, plane = e->p->slot_words / e->p->chunk_cb;
  if (first + s->have < b1) {
    s->load = load_acts(e, first + s->have, b1, y->i0, y->i1, x->i0, x->i1, slot_base(e, s, y, x) + s->have * plane,
                        map_slot_pitch(g, e->p->tile_w), plane, wait);
    s->have = b1 - first;
  }
  return s->load;
}

/* ---- segments ---- */

static bool weights_there(const emit *e, int32_t t) {
  bool w = e->wslot[t] >= 0 && e->weight.owner[e->wslot[t]] == t;
  return w && (!e->g->sparse || (e->islot[t] >= 0 && e->index.owner[e->islot[t]] == t));
}

/* Dense walks are rectangles: whole channel blocks, or kernel rows of one, or columns of one row. */
static int32_t dense_count(const map_geom *g, int32_t column, int32_t t, int32_t n) {
  if (g->zero[column]) return 1;
  int32_t pos = (t - g->first[column]) % g->taps;
  if (pos == 0 && n >= g->taps) return n / g->taps * g->taps;
  if (pos % g->nkx == 0 && n >= g->nkx) return map_min(n, g->taps - pos) / g->nkx * g->nkx;
  return map_min(n, g->nkx - pos % g->nkx);
}

static bool by_row(const emit *e) { return e->p->resident && e->p->by_row && !e->g->dw; }

/* End of the segment that starts at stream position t. */
static int32_t segment_end(const emit *e, int32_t column, int32_t t, const map_span *y, const map_span *x) {
  const map_geom *g = e->g;
  int32_t end = g->first[column + 1], t1 = t + 1, cb = g->tile[t].cb;
  bool there = weights_there(e, t), ready = acts_ready(e, y, x, cb), warm = there && ready;
  int64_t pixels = (int64_t)(y->c1 - y->c0) * (x->c1 - x->c0), most = UINT32_MAX / (pixels * g->m->rows * g->m->cols);
  if (most < 1) most = 1;
  if (!there && most > e->p->seg_tiles) most = e->p->seg_tiles;
  if (most >= 1 << (g->m->dim_bits + 4)) most = (1 << (g->m->dim_bits + 4)) - 1;
  for (; t1 < end && t1 - t < most; t1++) {
    int32_t b = g->tile[t1].cb;
    if (weights_there(e, t1) != there || chunk_of(e, b) != chunk_of(e, cb)) break;
    if (there && e->wslot[t1] != e->wslot[t1 - 1] + 1) break;
    if (there && g->sparse && e->islot[t1] != e->islot[t1 - 1] + 1) break;
    if (warm ? !acts_ready(e, y, x, b) : b - cb >= e->p->cold_cb) break;
    if (by_row(e) && !ready && (b != cb || g->tile[t1].ky != g->tile[t].ky)) break;
  }
  return g->sparse ? t1 : t + dense_count(g, column, t, t1 - t);
}

static uint32_t bits_from(uint32_t mask, int32_t skip, int32_t n) {
  uint32_t out = 0;
  for (uint32_t k = 0; k < 16; k++) {
    if (!(mask >> k & 1u)) continue;
    if (skip-- <= 0 && n-- > 0) out |= 1u << k;
  }
  return out;
}

static void taps_of(const map_geom *g, int32_t column, int32_t t, int32_t n, uint32_t *ky, uint32_t *kx) {
  *ky = g->ky_mask;
  *kx = g->kx_mask;
  if (g->sparse) return;
  int32_t pos = (t - g->first[column]) % g->taps;
  if (g->zero[column]) *ky = g->ky_mask & -g->ky_mask, *kx = g->kx_mask & -g->kx_mask;
  else if (n % g->taps != 0 || pos != 0) {
    *ky = bits_from(g->ky_mask, pos / g->nkx, map_max(1, n / g->nkx));
    if (n % g->nkx != 0 || pos % g->nkx != 0) *kx = bits_from(g->kx_mask, pos % g->nkx, n);
  }
}

static void mark_users(ring *r, int32_t at, int32_t n, int32_t user) {
  for (int32_t i = at; i < at + n; i++) r->user[i] = user;
}

/* Weights (and index entries) of stream [t, t1); returns the index LOAD to wait for. */
static int32_t bring_index(emit *e, int32_t t, int32_t t1) {
  int32_t n = t1 - t, wait, unit = map_max(1, e->g->m->bus_bytes / 4);
  int32_t at = ring_take(&e->index, n, t % unit, unit, &wait);
  for (int32_t i = 0; i < n; i++) {
    e->islot[t + i] = at + i;
    e->index.owner[at + i] = t + i;
  }
  return load_run(e, 2, e->at->index + 4u * (uint32_t)t, 4u * (uint32_t)at, 4u * (uint32_t)n, 0, MAP_CL, wait);
}

/* Native depthwise: credits count tiles of R rows, so its weights are waited for by a token. */
static int32_t bring_weights(emit *e, int32_t t, int32_t t1) {
  uint32_t bytes = (uint32_t)e->g->tile_bytes;
  int32_t n = t1 - t, wait, unit = map_weight_unit(e->g->m, e->g->tile_bytes);
  map_weight_load_cfg(e->g, e->l);
  int32_t at = ring_take(&e->weight, n, t % unit, unit, &wait);
  for (int32_t i = 0; i < n; i++) {
    e->wslot[t + i] = at + i;
    e->weight.owner[at + i] = t + i;
  }
  int32_t loaded = load_run(e, 1, e->at->weights + bytes * (uint32_t)t, bytes * (uint32_t)at, bytes * (uint32_t)n, !e->g->dw, MAP_CL, wait);
  return e->g->dw ? loaded : -1;
}

static void compute_cfg(emit *e, const map_span *y, const map_span *x, bool tiles, uint32_t ky, uint32_t kx, int32_t total, uint32_t macs, uint32_t dense) {
  const map_geom *g = e->g;
  const espl_qlayer *l = g->l;
  espl_cmd_comp_geom q = {.in_h = (uint32_t)(tiles ? y->i1 - y->i0 : g->vrows), .in_w = (uint32_t)(tiles ? x->i1 - x->i0 : g->in.w)};
  q.row_words = (uint32_t)(tiles ? map_slot_pitch(g, e->p->tile_w) : g->pitch);
  q.plane_words = (uint32_t)(tiles ? e->p->slot_words / e->p->chunk_cb : g->ncb > 1 ? g->plane_words : 0);
  q.sy = (uint32_t)(g->mean ? 1 : g->vsy); /* a block of a mean is one pixel */
  q.sx = (uint32_t)(g->mean ? 1 : l->sw);
  q.fold = g->fold;
  q.dy = (uint32_t)l->dh;
  q.dx = (uint32_t)(g->dw ? 1 : l->dw);
  if (g->dw) {
    q.dw_rows = (uint32_t)g->dw_rows - 1;
    q.dw_cols = (uint32_t)g->dw_cols - 1;
  }
  q.zi = (uint8_t)g->q->tensor[l->in].zero;
  espl_cmd_comp_taps k = {.ky_mask = ky, .kx_mask = kx, .tiles_total = (uint32_t)map_min(total, 65535), .macs = macs, .macs_dense = dense};
  uint32_t w[4];
  espl_cmd_comp_geom_encode(&q, w);
  map_list_cfg(e->l, w);
  espl_cmd_comp_taps_encode(&k, w);
  map_list_cfg(e->l, w);
}

static uint32_t clamp32(uint64_t v) { return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v; }

/* Dense MACs of this item: the layer's total, shared out evenly so that the sum is exact. */
static uint32_t dense_share(const emit *e) {
  uint64_t total = (uint64_t)e->g->l->macs_dense * (uint64_t)e->g->images, n = (uint64_t)e->items, i = (uint64_t)e->item;
  return clamp32(total / n * (i + 1) + total % n * (i + 1) / n - total / n * i - total % n * i / n);
}

/* One COMPUTE over stream [t, t1) of a column; first and last are those of the item; absent: tiles of the item that are not in it. */
static void segment(emit *e, int32_t column, int32_t t, int32_t t1, const map_span *y, const map_span *x, bool first, bool last, int32_t absent) {
  const map_geom *g = e->g;
  bool empty = t1 == t, cold = !empty && !weights_there(e, t);
  int32_t b0 = empty ? 0 : g->tile[t].cb, b1 = empty ? 1 : g->tile[t1 - 1].cb + 1, wait = -1;
  if (!empty && g->sparse && cold) wait = bring_index(e, t, t1);
  slot *s = NULL;
  int32_t rows = !empty && by_row(e) && !acts_ready(e, y, x, b0) ? map_rows_read(g, y, g->tile[t].ky) : y->i1;
  if (!empty && e->p->resident) wait = map_max(wait, need_resident(e, rows, b0, b1));
  else if (!empty) wait = map_max(wait, need_slot(e, y, x, b1, &s));
  if (cold) wait = map_max(wait, bring_weights(e, t, t1));
  if (!e->format_sent) map_weight_compute_cfg(g, e->l);
  e->format_sent = true;
  uint32_t ky, kx;
  taps_of(g, column, t, t1 - t, &ky, &kx);
  uint64_t macs = 0, pixels = (uint64_t)y->useful * (uint64_t)x->useful;
  for (int32_t i = t; i < t1; i++) macs += (uint64_t)map_geom_tile_macs(g, column, i) * pixels;
  uint32_t dense = last ? dense_share(e) : 0;
  int32_t present = g->zero[column] ? 0 : t1 - t;
  compute_cfg(e, y, x, s != NULL, ky, kx, map_max(t1 - t, present + (last ? absent : 0)), clamp32(macs), dense);
  e->macs += clamp32(macs);
  e->macs_dense += dense;
  espl_cmd_compute c = {.first = first, .last = last, .bank = (uint32_t)e->bank, .sparse = g->sparse, .dw = g->dw, .credit = cold && !g->dw, .n_tiles = (uint32_t)(t1 - t)};
  c.out_h = (uint32_t)(y->c1 - y->c0);
  c.out_w = (uint32_t)(x->c1 - x->c0);
  c.off_y = empty ? 0 : y->c0 * g->vsy - g->l->pt - (s ? y->i0 : 0);
  c.off_x = empty ? 0 : x->c0 * g->l->sw - g->l->pl - (s ? x->i0 : 0);
  int32_t base = s ? slot_base(e, s, y, x) : e->copy * g->ncb * g->plane_words, from = s ? s->chunk * e->p->chunk_cb : 0, plane = s ? e->p->slot_words / e->p->chunk_cb : g->plane_words;
  c.act_base = (uint32_t)(base + (g->sparse ? 0 : (b0 - from) * plane));
  if (!empty) {
    c.wgt_base = (uint32_t)(e->wslot[t] * g->tile_rows);
    if (g->sparse) c.idx_base = (uint32_t)e->islot[t];
    if (g->dw) c.idx_base = (uint32_t)map_depthwise_bank(g, column);
  }
  c.pop_load = map_list_wait(e->l, MAP_LC, wait);
  map_cmd m = {.unit = ESPL_UNIT_COMPUTE, .u.compute = c};
  int32_t at = map_list_add(e->l, &m);
  if (s) s->user = at;
  else if (!empty) e->copy_user[e->copy] = at;
  if (empty) return;
  mark_users(&e->weight, e->wslot[t], t1 - t, at);
  if (g->sparse) mark_users(&e->index, e->islot[t], t1 - t, at);
}

/* ---- store ---- */

static uint8_t byte_of(int32_t v) { return (uint8_t)(int8_t)v; }

static void store_cfg(emit *e, const map_span *y, const map_span *x) {
  const map_geom *g = e->g;
  const espl_qlayer *l = g->l;
  uint32_t w[4];
  espl_cmd_store_stride s = {.out_group = g->out_plane_bytes, .res_group = l->res >= 0 ? g->out_plane_bytes : 0, .out_row = g->out_row_bytes,
                             .res_row = l->res >= 0 ? g->res_row_bytes : 0};
  espl_cmd_store_stride_encode(&s, w);
  map_list_cfg(e->l, w);
  espl_cmd_store_quant q = {.zo = byte_of(l->zo), .zr = byte_of(l->zr), .lo = byte_of(l->lo), .hi = byte_of(l->hi), .pool_zo = byte_of(l->pool_zo),
                            .pool_shift = (uint32_t)map_max(1, l->pool_shift), .pool_fixed = l->pool_fixed};
  espl_cmd_store_quant_encode(&q, w);
  map_list_cfg(e->l, w);
  if (l->pool == ESPL_QPOOL_NONE) return;
  espl_cmd_store_pool p = {.win_h = (uint32_t)l->win_h, .win_w = (uint32_t)l->win_w, .psy = (uint32_t)l->psy, .psx = (uint32_t)l->psx,
                           .poff_y = y->o0 * l->psy - l->ppt - y->c0, .poff_x = x->o0 * l->psx - l->ppl - x->c0,
                           .acc_h = (uint32_t)(y->c1 - y->c0), .acc_w = (uint32_t)(x->c1 - x->c0)};
  espl_cmd_store_pool_encode(&p, w);
  map_list_cfg(e->l, w);
  if (l->pool != ESPL_QPOOL_AVG) return;
  const uint16_t *m = l->pool_m;
  espl_cmd_store_avg0 a0 = {m[0], m[1], m[2], m[3], m[4], m[5], m[6]};
  espl_cmd_store_avg0_encode(&a0, w);
  map_list_cfg(e->l, w);
  if (l->pool_fixed) return;
  espl_cmd_store_avg1 a1 = {m[7], m[8], m[9], m[10], m[11], m[12], m[13]};
  espl_cmd_store_avg1_encode(&a1, w);
  map_list_cfg(e->l, w);
  espl_cmd_store_avg2 a2 = {m[14], m[15]};
  espl_cmd_store_avg2_encode(&a2, w);
  map_list_cfg(e->l, w);
}

static void store(emit *e, int32_t column, const map_span *y, const map_span *x) {
  const map_geom *g = e->g;
  int32_t per = g->block / g->g, g0 = column * per, n = map_min(per, g->out_groups - g0), C = g->m->cols;
  int32_t unit = column % e->param.cap;
  if (e->param.owner[unit] != column) {
    int32_t wait = e->param.user[unit];
    e->param.owner[unit] = column;
    e->param_load = load_run(e, 3, e->at->params + 16u * (uint32_t)(column * g->block), 16u * (uint32_t)(unit * C), 16u * (uint32_t)(n * g->g), 0, MAP_SL, wait);
  }
  store_cfg(e, y, x);
  espl_cmd_store s = {.bank = (uint32_t)e->bank, .residual = g->l->res >= 0, .pool = (uint32_t)g->l->pool, .groups = (uint32_t)n};
  uint32_t row = (uint32_t)(g->out.w * g->g), off = (uint32_t)g0 * g->out_plane_bytes + (uint32_t)(x->o0 * g->g);
  s.out_contig = x->o1 - x->o0 == g->out.w && g->out_row_bytes == row;
  s.res_contig = s.residual && x->o1 - x->o0 == g->out.w && g->res_row_bytes == row;
  s.out_addr = e->at->out + (uint32_t)e->image * g->out_image + off + (uint32_t)y->o0 * g->out_row_bytes;
  s.res_addr = s.residual ? e->at->res + (uint32_t)e->image * g->res_image + off + (uint32_t)y->o0 * g->res_row_bytes : 0;
  s.par_base = (uint32_t)(unit * C);
  s.out_h = (uint32_t)(y->o1 - y->o0);
  s.out_w = (uint32_t)(x->o1 - x->o0);
  s.pop_load = map_list_wait(e->l, MAP_LS, e->param_load);
  map_cmd m = {.unit = ESPL_UNIT_STORE, .u.store = s};
  e->param.user[unit] = map_list_add(e->l, &m);
}

/* ---- items ---- */

static void item(emit *e, int32_t column, const map_span *y, const map_span *x) {
  const map_geom *g = e->g;
  int32_t end = g->first[column + 1], t = g->first[column];
  int32_t absent = g->dw ? 0 : g->ncb * g->l->kh * g->l->kw - (g->zero[column] ? 0 : end - t);
  if (t == end) segment(e, column, t, t, y, x, true, true, absent);
  for (bool first = true; t < end; first = false) {
    int32_t t1 = segment_end(e, column, t, y, x);
    segment(e, column, t, t1, y, x, first, t1 == end, absent);
    t = t1;
  }
  store(e, column, y, x);
  if (g->m->acc_banks > 1) e->bank ^= 1;
  e->item++;
}

/* Image n is walked next: its place in the buffer is its own, or that of an image before it. */
static void begin_image(emit *e, int32_t n) {
  e->image = n;
  if (!e->p->resident) return;
  e->copy = n % e->p->copies;
  if (e->held[e->copy] == n) return;
  e->held[e->copy] = n;
  e->held_user[e->copy] = e->copy_user[e->copy];
  for (int32_t b = 0; b < e->g->ncb; b++) e->rows_have[e->copy * e->g->ncb + b] = 0;
}

/* A mean: all blocks of the image into one pixel. */
static void item_of_blocks(emit *e, int32_t column) {
  const map_geom *g = e->g;
  map_span y = {0}, x = {0};
  for (int32_t by = 0; by < g->l->conv_h; by++)
    for (int32_t bx = 0; bx < g->l->conv_w; bx++) {
      y = map_row_span(g, by, by + 1, 0);
      x = map_col_span(g, bx, bx + 1, 0, true);
      bool first = by + bx == 0, last = by == g->l->conv_h - 1 && bx == g->l->conv_w - 1;
      int32_t end = g->first[column + 1];
      for (int32_t t = g->first[column]; t < end;) {
        int32_t t1 = segment_end(e, column, t, &y, &x);
        segment(e, column, t, t1, &y, &x, first && t == g->first[column], last && t1 == end, 0);
        t = t1;
      }
    }
  y = (map_span){.o1 = 1};
  x = (map_span){.o1 = 1};
  store(e, column, &y, &x);
  if (g->m->acc_banks > 1) e->bank ^= 1;
  e->item++;
}

/* All spatial tiles of columns [k0, k1) of an image, columns inside. */
static void walk(emit *e, int32_t image, int32_t k0, int32_t k1, int32_t *h, int32_t cap) {
  const map_geom *g = e->g;
  int32_t rows_done = 0, n = map_plan_rows(g, e->p, k0, image, h, cap);
  begin_image(e, image);
  for (int32_t k = k0; g->mean && k < k1; k++) item_of_blocks(e, k);
  for (int32_t i = 0, o = 0; i < n && !g->mean; o += h[i++]) {
    map_span y = map_row_span(g, o, o + h[i], rows_done);
    int32_t cols_done = 0;
    for (int32_t x0 = 0; x0 < g->out.w; x0 += e->p->tile_w) {
      map_span x = map_col_span(g, x0, map_min(g->out.w, x0 + e->p->tile_w), cols_done, e->p->tile_w >= g->out.w);
      for (int32_t k = k0; k < k1; k++) item(e, k, &y, &x);
      cols_done = x.c1;
    }
    rows_done = y.c1;
  }
}

static bool start(emit *e) {
  const map_geom *g = e->g;
  const espl_machine *m = g->m;
  size_t tiles = (size_t)g->tiles + 1;
  size_t copies = (size_t)map_max(1, e->p->copies), blocks = copies * (size_t)g->ncb;
  e->rows_have = espl_calloc(blocks, sizeof(int32_t));
  e->rows_load = espl_calloc(blocks, sizeof(int32_t));
  e->held = malloc(3 * copies * sizeof(int32_t));
  e->slot = espl_calloc((size_t)e->p->slots + 1, sizeof *e->slot);
  e->wslot = malloc(tiles * sizeof(int32_t));
  e->islot = malloc(tiles * sizeof(int32_t));
  bool ok = ring_init(&e->weight, map_weight_slots(m, g->tile_rows, g->tile_bytes)) && ring_init(&e->index, m->idx_aw > 0 ? 1 << m->idx_aw : 0) &&
            ring_init(&e->param, (1 << m->par_aw) / m->cols);
  if (!ok || !e->rows_have || !e->rows_load || !e->held || !e->slot || !e->wslot || !e->islot) return false;
  e->held_user = e->held + copies;
  e->copy_user = e->held + 2 * copies;
  for (size_t i = 0; i < 3 * copies; i++) e->held[i] = -1;
  for (size_t i = 0; i < blocks; i++) e->rows_load[i] = -1;
  for (size_t i = 0; i < tiles; i++) e->wslot[i] = e->islot[i] = -1;
  for (int32_t i = 0; i < e->p->slots; i++) e->slot[i] = (slot){.image = -1, .user = -1, .load = -1};
  return true;
}

static void stop(emit *e) {
  free(e->rows_have);
  free(e->rows_load);
  free(e->held);
  free(e->slot);
  free(e->wslot);
  free(e->islot);
  ring *r[] = {&e->weight, &e->index, &e->param};
  for (int i = 0; i < 3; i++) {
    free(r[i]->owner);
    free(r[i]->user);
  }
}

espl_status map_emit_layer(const map_geom *g, const map_plan *p, const map_place *at, map_list *l, uint64_t *macs, uint64_t *macs_dense, espl_err *err) {
  emit e = {.g = g, .p = p, .at = at, .l = l, .param_load = -1};
  int32_t *h = espl_calloc((size_t)g->out.h + 64, sizeof *h);
  if (!h || !start(&e)) {
    free(h);
    stop(&e);
    return espl_fail(err, ESPL_E_NOMEM, "layer %s: out of memory", g->l->name);
  }
  int32_t across = map_div_up(g->out.w, p->tile_w), cap = g->out.h + 64;
  for (int32_t n = 0; n < g->images; n++)
    for (int32_t k = 0; k < g->nco; k++) e.items += map_plan_rows(g, p, k, n, h, cap) * across;
  if (p->image_inner)
    for (int32_t k = 0; k < g->nco; k++)
      for (int32_t n = 0; n < g->images; n++) walk(&e, n, k, k + 1, h, cap);
  else
    for (int32_t n = 0; n < g->images; n++) {
      if (!p->column_outer) walk(&e, n, 0, g->nco, h, cap);
      else
        for (int32_t k = 0; k < g->nco; k++) walk(&e, n, k, k + 1, h, cap);
    }
  map_cmd mark = {.unit = 0};
  espl_cmd_mark r = {.record = at->record};
  espl_cmd_mark_encode(&r, mark.u.word);
  (void)map_list_add(l, &mark);
  *macs = e.macs;
  *macs_dense = e.macs_dense;
  free(h);
  stop(&e);
  if (l->bad) return espl_fail(err, l->bad, "layer %s: out of memory", g->l->name);
  return ESPL_OK;
}
