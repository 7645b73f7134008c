/* How to walk a layer: which buffers hold what, the order of the loops, the sizes of the tiles. Structural candidates come from here;
 * choose.c measures them and refines the sizes on the timing model. */
#include "map/map_int.h"

void map_conv_span(int32_t a, int32_t b, int32_t stride, int32_t pad, int32_t win, int32_t limit, bool pooled, int32_t *c0, int32_t *c1) {
  *c0 = a;
  *c1 = b;
  if (!pooled) return;
  *c0 = map_max(0, map_min(a * stride - pad, limit - 1));
  *c1 = map_max(*c0 + 1, map_min(limit, (b - 1) * stride - pad + win));
}

static bool pooled(const map_geom *g) { return g->l->pool != ESPL_QPOOL_NONE; }
static int32_t conv_rows(const map_geom *g, int32_t h) { return pooled(g) ? map_min(g->l->conv_h, (h - 1) * g->l->psy + g->l->win_h) : h; }
static int32_t conv_cols(const map_geom *g, int32_t w) { return pooled(g) ? map_min(g->l->conv_w, (w - 1) * g->l->psx + g->l->win_w) : w; }

/* Most output rows of a tile of w columns that an accumulator bank holds; 0 when not even one fits. */
static int32_t most_rows(const map_geom *g, int32_t w) {
  int64_t depth = 1ll << g->m->acc_aw;
  int32_t lo = 0, hi = g->out.h;
  while (lo < hi) {
    int32_t mid = (lo + hi + 1) / 2;
    if ((int64_t)conv_rows(g, mid) * conv_cols(g, w) <= depth && conv_rows(g, mid) <= espl_dim_max(g->m) && conv_cols(g, w) <= espl_dim_max(g->m)) lo = mid;
    else hi = mid - 1;
  }
  return lo;
}

int32_t map_slot_pitch(const map_geom *g, int32_t tile_w) {
  if (tile_w >= g->out.w || g->fold) return g->pitch;
  int32_t cols = map_min(g->in.w, (conv_cols(g, tile_w) - 1) * g->l->sw + (g->l->kw - 1) * g->l->dw + 1);
  int32_t unit = map_max(1, g->m->bus_bytes / g->g);
  cols += ((g->pitch - cols) % unit + unit) % unit; /* congruent to the row length in memory modulo the bus width */
  return g->dw ? map_depthwise_pitch(g, cols) : cols;
}

/* Input rows of a tile of tile_h output rows. */
static int32_t slot_rows(const map_geom *g, int32_t tile_h) { return map_min(g->vrows, (conv_rows(g, tile_h) - 1) * g->vsy + (g->l->kh - 1) * g->l->dh + 1); }

int32_t map_slot_plane(const map_geom *g, int32_t tile_h, int32_t tile_w) {
  int32_t rows = slot_rows(g, tile_h);
  int32_t unit = map_max(1, g->m->bus_bytes / g->g);
  int64_t words = (int64_t)rows * map_slot_pitch(g, tile_w) + unit - 1; /* the first byte lies at its address modulo the bus width */
  return words > 1 << 20 ? 1 << 20 : map_div_up((int32_t)words, unit) * unit;
}

int32_t map_plan_rows(const map_geom *g, const map_plan *p, int32_t column, int32_t image, int32_t *h, int32_t cap) {
  int32_t total = g->out.h, n = 0, tails = 0, tail[32], rest = total;
  bool head = (!p->column_outer || column == 0) && image == 0, foot = (!p->column_outer || column == g->nco - 1) && image == g->images - 1;
  int32_t first = head && p->first_h > 0 ? map_min(p->first_h, map_min(p->tile_h, total)) : 0;
  rest -= first;
  for (int32_t x = p->last_h; foot && x > 0 && x < p->tile_h && x < rest && tails < 32; x *= p->ratio) {
    tail[tails++] = x;
    rest -= x;
    if (p->ratio <= 1) break;
  }
  if (first > 0) h[n++] = first;
  int32_t parts = map_div_up(rest, p->tile_h);
  for (int32_t i = 0; i < parts && n < cap; i++) h[n++] = (i + 1) * rest / parts - i * rest / parts;
  while (tails > 0 && n < cap) h[n++] = tail[--tails];
  return n;
}

map_span map_row_span(const map_geom *g, int32_t o0, int32_t o1, int32_t done) {
  const espl_qlayer *l = g->l;
  map_span s = {.o0 = o0, .o1 = o1};
  map_conv_span(o0, o1, l->psy, l->ppt, l->win_h, l->conv_h, l->pool != ESPL_QPOOL_NONE, &s.c0, &s.c1);
  s.i0 = map_min(g->vrows - 1, map_max(0, s.c0 * g->vsy - l->pt));
  s.i1 = map_max(s.i0 + 1, map_min(g->vrows, (s.c1 - 1) * g->vsy - l->pt + (l->kh - 1) * l->dh + 1));
  s.useful = map_max(0, s.c1 - map_max(s.c0, done));
  return s;
}

int32_t map_rows_read(const map_geom *g, const map_span *y, int32_t ky) {
  int32_t last = (y->c1 - 1) * g->vsy - g->l->pt + ky * g->l->dh + 1;
  return map_max(0, map_min(last, y->i1));
}

map_span map_col_span(const map_geom *g, int32_t o0, int32_t o1, int32_t done, bool whole) {
  const espl_qlayer *l = g->l;
  map_span s = {.o0 = o0, .o1 = o1};
  map_conv_span(o0, o1, l->psx, l->ppl, l->win_w, l->conv_w, l->pool != ESPL_QPOOL_NONE, &s.c0, &s.c1);
  whole = whole || g->fold || g->mean; /* rows of folded pixels are loaded whole */
  s.i0 = whole ? 0 : map_min(g->in.w - 1, map_max(0, s.c0 * l->sw - l->pl));
  s.i1 = whole ? g->in.w : map_max(s.i0 + 1, map_min(g->in.w, (s.c1 - 1) * l->sw - l->pl + (l->kw - 1) * l->dw + 1));
  s.useful = map_max(0, s.c1 - map_max(s.c0, done));
  return s;
}

/* Loops and segments that follow from what is resident. */
static void finish(const map_geom *g, map_plan *p) {
  int32_t slots = map_weight_slots(g->m, g->tile_rows, g->tile_bytes);
  p->seg_tiles = g->tiles <= slots ? g->tiles : map_max(1, map_min(slots / 4, slots + 1 - map_weight_unit(g->m, g->tile_bytes)));
  if (g->sparse && g->tiles > 1 << g->m->idx_aw) p->seg_tiles = map_min(p->seg_tiles, map_max(1, (1 << g->m->idx_aw) / 4));
  int32_t most = (1 << 19) / g->tile_bytes;
  p->seg_tiles = map_max(1, map_min(p->seg_tiles, most));
  p->cold_cb = map_min(p->chunk_cb, map_max(1, g->ncb / 4));
  p->ratio = 1;
  p->by_row = p->resident && !g->dw && !g->stacked && g->l->kh > 1;
}

static bool add(map_plan *out, int cap, int *n, const map_plan *p) {
  if (*n >= cap) return false;
  out[(*n)++] = *p;
  return true;
}

/* A resident input in every order of loops. */
static void add_orders(const map_geom *g, const map_plan *one, map_plan *out, int cap, int *n) {
  map_plan p = *one;
  add(out, cap, n, &p);
  p.image_inner = true;
  if (g->nco > 1 && g->images > 1) add(out, cap, n, &p);
  p.image_inner = p.column_outer = false;
  if (g->nco > 1) add(out, cap, n, &p);
}

static int32_t widest(const map_geom *g) {
  int32_t w = g->out.w;
  while (w > 1 && most_rows(g, w) == 0) w = (w + 1) / 2;
  return w;
}

static bool resident_fits(const map_geom *g) {
  int64_t words = (1ll << g->m->act_aw) / g->g, need = g->resident_words;
  int32_t off = espl_offset_max(g->m);
  int32_t down = (g->l->conv_h - 1) * g->vsy - g->l->pt, across = (g->l->conv_w - 1) * g->l->sw - g->l->pl; /* the furthest tile */
  bool named = g->vrows <= espl_dim_max(g->m) && down <= off && (across <= off || widest(g) >= g->out.w) && (int64_t)g->ncb * g->nb <= espl_dim_max(g->m);
  return named && need <= words && need <= 65536 && (int64_t)g->plane_words * g->g < 1 << 20;
}

/* Tiles of w columns: the tallest that leave `slots` slots of chunk channel blocks; 0 when none does. */
static int32_t tallest(const map_geom *g, int32_t chunk, int32_t w, int32_t slots) {
  if ((int64_t)chunk * g->nb > espl_dim_max(g->m)) return 0;
  int64_t words = (1ll << g->m->act_aw) / g->g;
  if (words > 65536) words = 65536;
  for (int32_t h = most_rows(g, w); h > 0; h--) {
    int32_t plane = map_slot_plane(g, h, w);
    if ((int64_t)plane * chunk * slots <= words && (int64_t)plane * g->g < 1 << 20 && slot_rows(g, h) <= espl_dim_max(g->m)) return h;
  }
  return 0;
}

static void tile_candidates(const map_geom *g, int32_t slots, map_plan *out, int cap, int *n) {
  int64_t words = (1ll << g->m->act_aw) / g->g;
  if (words > 65536) words = 65536;
  int found = 0;
  for (int32_t chunk = g->mean ? 1 : g->ncb;; chunk = (chunk + 1) / 2) {
    for (int32_t w = widest(g);; w = (w + 1) / 2) {
      int32_t h = tallest(g, chunk, w, slots);
      if (h > 0) {
        map_plan p = {.tile_h = h, .tile_w = w, .chunk_cb = chunk};
        p.slot_words = map_slot_plane(g, h, w) * chunk;
        p.slots = (int32_t)map_min((int32_t)(words / p.slot_words), 16);
        finish(g, &p);
        add(out, cap, n, &p);
        p.column_outer = true;
        if (g->nco > 1) add(out, cap, n, &p);
        p.image_inner = true;
        if (g->nco > 1 && g->images > 1) add(out, cap, n, &p);
        found++;
        break;
      }
      if (w == 1) break;
    }
    if (chunk == 1 || found == 2) return;
  }
}

espl_status map_plan_candidates(const map_geom *g, map_plan *out, int cap, int *n, espl_err *err) {
  *n = 0;
  int32_t w = widest(g), h = most_rows(g, w);
  if (h == 0)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: one output pixel needs %lld accumulators a column, machine %s has %d", g->l->name,
                     (long long)conv_rows(g, 1) * conv_cols(g, 1), g->m->name, 1 << g->m->acc_aw);
  if (resident_fits(g)) {
    int64_t words = (1ll << g->m->act_aw) / g->g, copies = (words < 65536 ? words : 65536) / g->resident_words;
    map_plan p = {.resident = true, .tile_h = h, .tile_w = w, .chunk_cb = g->ncb, .column_outer = true, .copies = copies < g->images ? (int32_t)copies : g->images};
    finish(g, &p);
    add_orders(g, &p, out, cap, n);
    return ESPL_OK;
  }
  tile_candidates(g, 2, out, cap, n);
  if (*n == 0) tile_candidates(g, 1, out, cap, n);
  if (*n > 0) return ESPL_OK;
  return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: one output pixel needs %lld bytes of input in each activation bank, machine %s has %d", g->l->name,
                   (long long)map_slot_plane(g, 1, 1) * g->g, g->m->name, 1 << g->m->act_aw);
}
