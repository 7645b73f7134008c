/* A layer seen on a machine: tiles present, their walking order, useful MACs, roof. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "map/map_int.h"

/* Weight of (output channel, input channel, ky, kx); one-hot layers carry 1 on the diagonal. */
static int8_t weight_at(const espl_qlayer *l, int32_t o, int32_t i, int32_t ky, int32_t kx) {
  if (o >= l->out_c || i >= l->in_c) return 0;
  if (l->onehot) return (int8_t)(o == i);
  return l->w[(((int64_t)o * l->in_c + i) * l->kh + ky) * l->kw + kx];
}

/* Channel pairs of a tile: both channels exist and share a group. */
static int32_t channel_pairs(const map_geom *g, int32_t c, int32_t cb) {
  const espl_qlayer *l = g->l;
  int32_t R = g->m->rows, C = g->m->cols, n = 0;
  int32_t o0 = c * C, o1 = map_min(o0 + C, l->out_c), i0 = cb * R, i1 = map_min(i0 + R, l->in_c);
  if (g->fold) return (o1 - o0) * g->in.c;
  if (l->groups == 1) return (o1 - o0) * (i1 - i0);
  int32_t og = l->out_c / l->groups, ig = l->in_c / l->groups;
  for (int32_t o = o0; o < o1; o++) {
    int32_t a = map_max(i0, o / og * ig), b = map_min(i1, (o / og + 1) * ig);
    n += map_max(b - a, 0);
  }
  return n;
}

static bool tile_nonzero(const map_geom *g, int32_t c, int32_t cb, int32_t ky, int32_t kx) {
  const espl_qlayer *l = g->l;
  int32_t R = g->m->rows, C = g->m->cols;
  int32_t o1 = map_min((c + 1) * C, l->out_c), i1 = map_min((cb + 1) * R, l->in_c);
  if (l->onehot) return map_max(c * C, cb * R) < map_min(o1, i1);
  if (!l->w) return channel_pairs(g, c, cb) > 0;
  for (int32_t o = c * C; o < o1; o++)
    for (int32_t i = cb * R; i < i1; i++)
      if (l->w[(((int64_t)o * l->in_c + i) * l->kh + ky) * l->kw + kx]) return true;
  return false;
}

void map_geom_pack_tile(const map_geom *g, int32_t column, int32_t t, uint8_t *out) {
  int32_t R = g->m->rows, C = g->m->cols, bytes = espl_row_bytes(g->m, g->weight.bits);
  const map_tile *e = &g->tile[t];
  int8_t tile[256 * 256];
  if (g->dw) map_depthwise_pack(g, column, e, tile);
  for (int32_t r = 0; r < g->tile_rows; r++) {
    for (int32_t c = 0; !g->dw && c < C; c++) tile[(int64_t)r * C + c] = weight_at(g->l, column * C + c, e->cb * R + r, e->ky, e->kx);
    map_weight_pack(g, tile + (int64_t)r * C, out + (int64_t)r * bytes);
  }
}

int64_t map_geom_tile_macs(const map_geom *g, int32_t column, int32_t t) {
  const map_tile *e = &g->tile[t];
  int64_t pairs = g->zero[column] ? 0 : g->pairs[column * g->ncb + e->cb];
  return g->dw ? pairs * map_depthwise_taps(g, e) : g->fold ? pairs * map_fold_taps(g, e) : pairs;
}

/* present[((c*ncb + cb)*kh + ky)*kw + kx] */
static void find_present(const map_geom *g, uint8_t *present, int32_t zero_tiles) {
  const espl_qlayer *l = g->l;
  int64_t total = (int64_t)g->nco * g->ncb * l->kh * l->kw, i = 0;
  for (int32_t c = 0; c < g->nco; c++)
    for (int32_t cb = 0; cb < g->ncb; cb++)
      for (int32_t ky = 0; ky < l->kh; ky++)
        for (int32_t kx = 0; kx < l->kw; kx++, i++) {
          /* spread: absent where floor((i+1)*z/total) grows */
          if (zero_tiles >= 0) present[i] = (uint8_t)((i + 1) * zero_tiles / total == i * zero_tiles / total);
          else present[i] = (uint8_t)tile_nonzero(g, c, cb, ky, kx);
        }
}

static bool at(const map_geom *g, const uint8_t *present, int32_t c, int32_t cb, int32_t ky, int32_t kx) {
  return present[(((int64_t)c * g->ncb + cb) * g->l->kh + ky) * g->l->kw + kx];
}

/* Dense walks take channel blocks lo..hi-1 of a column block, all taps of the masks; *hi = *lo when nothing is present. */
static void dense_range(const map_geom *g, const uint8_t *present, int32_t c, int32_t *lo, int32_t *hi) {
  int32_t n = g->l->kh * g->l->kw;
  *lo = g->ncb;
  *hi = 0;
  for (int32_t cb = 0; cb < g->ncb; cb++)
    if (memchr(present + ((int64_t)c * g->ncb + cb) * n, 1, (size_t)n)) {
      *lo = map_min(*lo, cb);
      *hi = cb + 1;
    }
  if (*hi == 0) *lo = 0;
}

static void find_masks(map_geom *g, const uint8_t *present) {
  for (int32_t c = 0; c < g->nco; c++)
    for (int32_t cb = 0; cb < g->ncb; cb++)
      for (int32_t ky = 0; ky < g->l->kh; ky++)
        for (int32_t kx = 0; kx < g->l->kw; kx++)
          if (at(g, present, c, cb, ky, kx)) {
            g->ky_mask |= 1u << ky;
            g->kx_mask |= 1u << kx;
          }
  if (!g->ky_mask) g->ky_mask = g->kx_mask = 1;
  g->nkx = __builtin_popcount(g->kx_mask);
  g->taps = g->nkx * __builtin_popcount(g->ky_mask);
}

/* Appends column block c: the tiles that are present, or the dense range. */
static void append_column(map_geom *g, const uint8_t *present, int32_t c, bool count_only) {
  int32_t lo = 0, hi = g->ncb, start = g->tiles;
  if (!g->sparse) dense_range(g, present, c, &lo, &hi);
  for (int32_t cb = lo; cb < hi; cb++)
    for (int32_t ky = 0; ky < g->l->kh; ky++)
      for (int32_t kx = 0; kx < g->l->kw; kx++) {
        bool on = g->sparse ? at(g, present, c, cb, ky, kx) : (g->ky_mask >> ky & 1u) && (g->kx_mask >> kx & 1u);
        if (!on) continue;
        if (!count_only) g->tile[g->tiles] = (map_tile){(uint16_t)cb, (uint8_t)ky, (uint8_t)kx};
        g->tiles++;
      }
  if (g->tiles == start && !g->sparse) { /* a dense machine has no empty range: one tile of zeros */
    if (!count_only) {
      g->tile[g->tiles] = (map_tile){0, (uint8_t)__builtin_ctz(g->ky_mask), (uint8_t)__builtin_ctz(g->kx_mask)};
      g->zero[c] = 1;
    }
    g->tiles++;
  }
}

static bool allocate_stream(map_geom *g) {
  g->tile = espl_calloc((size_t)g->tiles + 1, sizeof *g->tile);
  g->first = espl_calloc((size_t)g->nco + 1, sizeof *g->first);
  g->zero = espl_calloc((size_t)g->nco, 1);
  g->pairs = espl_calloc((size_t)g->nco * g->ncb, sizeof *g->pairs);
  return g->tile && g->first && g->zero && g->pairs;
}

/* Native depthwise: every column block has all its tiles, whatever its weights. */
static espl_status build_depthwise(map_geom *g, espl_err *err) {
  const espl_qlayer *l = g->l;
  g->nkx = __builtin_popcount(g->kx_mask);
  g->taps = g->nkx * __builtin_popcount(g->ky_mask);
  g->tiles = g->nco * g->taps;
  if (!allocate_stream(g)) return espl_fail(err, ESPL_E_NOMEM, "layer %s: out of memory", l->name);
  map_tile *t = g->tile;
  for (int32_t c = 0; c < g->nco; c++) {
    int32_t cb = map_depthwise_block(g, c);
    for (uint8_t ky = 0; ky < 16; ky++)
      for (uint8_t kx = 0; kx < 16; kx++)
        if ((g->ky_mask >> ky & 1u) && (g->kx_mask >> kx & 1u)) *t++ = (map_tile){(uint16_t)cb, ky, kx};
    g->first[c + 1] = (c + 1) * g->taps;
    g->pairs[c * g->ncb + cb] = l->macs == 0 ? 0 : map_min(g->block, l->out_c - c * g->block);
  }
  return ESPL_OK;
}

static espl_status build_stream(map_geom *g, int32_t zero_tiles, espl_err *err) {
  const espl_qlayer *l = g->l;
  int64_t total = (int64_t)g->nco * g->ncb * l->kh * l->kw;
  uint8_t *present = espl_calloc((size_t)total, 1);
  if (!present) return espl_fail(err, ESPL_E_NOMEM, "layer %s: out of memory", l->name);
  find_present(g, present, zero_tiles);
  find_masks(g, present);
  int64_t ones = 0;
  for (int64_t i = 0; i < total; i++) ones += present[i];
  for (int32_t c = 0; c < g->nco; c++) append_column(g, present, c, true);
  if (g->tiles > ones && g->m->idx_aw > 0) {
    g->sparse = true;
    g->tiles = (int32_t)ones;
  }
  if (!allocate_stream(g)) {
    free(present);
    return espl_fail(err, ESPL_E_NOMEM, "layer %s: out of memory", l->name);
  }
  g->tiles = 0;
  for (int32_t c = 0; c < g->nco; c++) {
    append_column(g, present, c, false);
    g->first[c + 1] = g->tiles;
    for (int32_t cb = 0; cb < g->ncb; cb++) g->pairs[c * g->ncb + cb] = l->onehot || l->macs == 0 ? 0 : channel_pairs(g, c, cb);
  }
  free(present);
  return ESPL_OK;
}

/* Input rows that any present tap of any output row touches. */
static int32_t touched_rows(const map_geom *g) {
  const espl_qlayer *l = g->l;
  int32_t n = 0;
  for (int32_t y = 0; y < g->in.h; y++) {
    bool hit = false;
    for (int32_t ky = 0; ky < l->kh && !hit; ky++) {
      int32_t d = y - ky * l->dh + l->pt;
      hit = (g->dw || (g->ky_mask >> ky & 1u)) && d >= 0 && d % l->sh == 0 && d / l->sh < l->conv_h;
    }
    n += hit;
  }
  return n;
}

/* Convolution rows (or columns) that the layer's outputs need: all without pooling, those inside a window with it. */
static int64_t needed(int32_t outputs, int32_t stride, int32_t pad, int32_t win, int32_t limit, bool pooled) {
  int64_t n = 0;
  for (int32_t o = 0, done = 0; o < outputs; o++) {
    int32_t c0, c1;
    map_conv_span(o, o + 1, stride, pad, win, limit, pooled, &c0, &c1);
    n += map_max(0, c1 - map_max(c0, done));
    done = map_max(done, c1);
  }
  return n;
}

/* Roof of a layer (useful work, bytes once, latencies): never from a tiling. */
static void find_roof(map_geom *g) {
  const espl_machine *m = g->m;
  const espl_qlayer *l = g->l;
  bool pooled = l->pool != ESPL_QPOOL_NONE;
  int64_t pixels = g->images * needed(g->out.h, l->psy, l->ppt, l->win_h, l->conv_h, pooled) * needed(g->out.w, l->psx, l->ppl, l->win_w, l->conv_w, pooled);
  int64_t least = map_max(m->rows, MAP_ACC_CYCLES), pass = pixels > least ? pixels : least;
  int64_t tiles = g->tiles;
  g->roof_compute = tiles * pass * (g->mean ? (int64_t)l->conv_h * l->conv_w : 1);
  int64_t groups = g->in_groups, images = g->images;
  int64_t read = images * groups * touched_rows(g) * g->pitch_bytes + tiles * g->tile_bytes + (int64_t)g->out_groups * g->g * 16;
  if (g->sparse) read += 4 * tiles;
  int64_t out = images * g->out_groups * g->out.h * g->out.w * g->g;
  if (l->res >= 0) read += out;
  int64_t per = (int64_t)m->bus_bytes * m->mem.num, den = m->mem.den;
  g->roof_read = (read * den + per - 1) / per;
  g->roof_write = (out * den + per - 1) / per;
  int64_t top = m->mem.shared_path ? g->roof_read + g->roof_write : g->roof_read > g->roof_write ? g->roof_read : g->roof_write;
  if (g->roof_compute > top) top = g->roof_compute;
  g->roof_cycles = top + 2 * m->mem.read_latency + m->rows + m->cols;
}

static espl_status limit(const map_geom *g, const char *what, int64_t found, int64_t lo, int64_t hi, espl_err *err) {
  if (found >= lo && found <= hi) return ESPL_OK;
  return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: %s is %lld, the machine takes %lld..%lld", g->l->name, what, (long long)found, (long long)lo, (long long)hi);
}

/* Tensors of an image, those they are slices of included, have addresses of 32 bits; from here on their bytes are counted in as many. */
static espl_status check_bytes(const map_geom *g, espl_err *err) {
  const struct { const char *what; int32_t tensor; } t[] = {{"input", g->l->in}, {"output", g->l->out}, {"residual operand", g->l->res}};
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
    int32_t first;
    if (t[i].tensor < 0) continue;
    espl_shape s = g->q->tensor[espl_qnet_root(g->q, t[i].tensor, &first)].shape;
    int64_t bytes = ((int64_t)s.h * s.w * g->g + g->m->bus_bytes) * map_div_up(s.c, g->g);
    if (bytes > UINT32_MAX || (int64_t)s.h * s.w * g->g > INT32_MAX)
      return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: its %s [%d,%d,%d] takes %lld bytes, more than 32-bit addresses reach", g->l->name, t[i].what, (int)s.c, (int)s.h, (int)s.w, (long long)bytes);
  }
  return ESPL_OK;
}

static espl_status check_limits(const map_geom *g, espl_err *err) {
  const espl_qlayer *l = g->l;
  const espl_machine *m = g->m;
  const int64_t dim = espl_dim_max(m), off = espl_offset_max(m);
  const struct { const char *what; int64_t v, lo, hi; } t[] = {
      {"kernel height", l->kh, 1, m->kernel}, {"kernel width", l->kw, 1, m->kernel}, {"stride down", l->sh, 1, 7}, {"stride across", l->sw, 1, 7},
      {"dilation down", l->dh, 1, 15}, {"dilation across", l->dw, 1, 15}, {"input width", g->in.w, 1, dim}, {"output width", g->out.w, 1, dim},
      {"output height", g->out.h, 1, 4095}, {"input height", g->in.h, 1, 65535}, {"padding top", l->pt, 0, off}, {"padding left", l->pl, 0, off},
      {"padding bottom", (int64_t)(l->conv_h - 1) * l->sh - l->pt - (g->in.h - 1), INT32_MIN, off},
      {"padding right", (int64_t)(l->conv_w - 1) * l->sw - l->pl - (g->in.w - 1), INT32_MIN, off}};
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) ESPL_TRY(limit(g, t[i].what, t[i].v, t[i].lo, t[i].hi, err));
  ESPL_TRY(check_bytes(g, err));
  bool mean = map_mean_wanted(g); /* without the store unit's averages */
  if (l->pool != ESPL_QPOOL_NONE && !mean) {
    ESPL_TRY(limit(g, "pooling window height", l->win_h, 1, 255, err));
    ESPL_TRY(limit(g, "pooling window width", l->win_w, 1, 255, err));
    ESPL_TRY(limit(g, "pooling stride down", l->psy, 1, 15, err));
    ESPL_TRY(limit(g, "pooling stride across", l->psx, 1, 15, err));
  }
  if (l->res >= 0 && !m->residual) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: needs the residual operand, machine %s is built without it", l->name, m->name);
  if (l->pool == ESPL_QPOOL_MAX && !m->maxpool) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: needs maximum pooling, machine %s is built without it", l->name, m->name);
  if (l->pool == ESPL_QPOOL_AVG && !m->avgpool && !mean) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: needs average pooling, machine %s is built without it", l->name, m->name);
  if (l->res >= 0 && l->pool != ESPL_QPOOL_NONE) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: residual operand together with pooling", l->name);
  int bits = l->w || l->onehot ? espl_qlayer_acc_bits(g->q, (int32_t)(l - g->q->layer)) : 0;
  if (bits > m->acc_w) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: its sums need %d bits, accumulators of machine %s have %d", l->name, bits, m->name, (int)m->acc_w);
  return ESPL_OK;
}

uint32_t map_slice_offset(const espl_qnet *q, const espl_machine *m, int32_t tensor) {
  int32_t first, g = espl_g(m);
  espl_shape s = q->tensor[tensor].shape;
  espl_qnet_root(q, tensor, &first);
  uint32_t bus = (uint32_t)m->bus_bytes, gb = (uint32_t)g;
  return (uint32_t)(first / g) * map_align((uint32_t)(s.h * s.w) * gb, bus > gb ? bus : gb);
}

espl_status map_geom_init(map_geom *g, const espl_qnet *q, int32_t layer, const espl_machine *m, int32_t zero_tiles, espl_err *err) {
  return map_geom_init_batch(g, q, layer, m, 1, zero_tiles, err);
}

/* Strides in memory, the walk over virtual rows, and the buffer's rows. */
static void set_strides(map_geom *g) {
  const espl_machine *m = g->m;
  const espl_qlayer *l = g->l;
  const espl_qnet *q = g->q;
  uint32_t bus = (uint32_t)m->bus_bytes, gb = (uint32_t)g->g, unit = bus > gb ? bus : gb;
  g->pitch = g->fold ? map_fold_pitch(q, m, l->in) : g->in.w;
  g->pitch_bytes = (uint32_t)g->pitch * gb;
  g->in_image = map_image_bytes(q, m, l->in);
  g->out_image = map_image_bytes(q, m, l->out);
  g->res_image = l->res >= 0 ? map_image_bytes(q, m, l->res) : 0;
  espl_shape in = q->tensor[l->in].shape, out = q->tensor[l->out].shape; /* of one image */
  g->row_bytes = g->stacked && g->run_rows == 1 ? g->in_image : g->pitch_bytes;
  g->plane_bytes = map_align((uint32_t)in.h * (g->stacked ? (uint32_t)in.w * gb : g->pitch_bytes), unit);
  g->out_row_bytes = g->stacked ? g->out_image : (uint32_t)out.w * gb;
  g->res_row_bytes = g->stacked ? g->res_image : g->out_row_bytes;
  g->out_plane_bytes = map_align((uint32_t)(out.h * out.w) * gb, unit);
  bool skip = l->kh == 1 && l->sh > 1 && l->pt == 0 && g->row_bytes % bus == 0;
  g->row_step = skip ? l->sh : 1;
  g->vrows = skip ? map_min(l->conv_h, map_div_up(g->in.h, l->sh)) : g->in.h; /* output rows below them lie in the padding alone */
  g->vsy = skip ? 1 : l->sh;
  if (g->stacked && g->run_rows == 1) g->pitch = (int32_t)(map_align(g->pitch_bytes, unit) / gb); /* as its rows lie in memory, modulo the bus width */
  if (g->dw) g->pitch = map_depthwise_pitch(g, g->in.w);
  g->in_at = map_slice_offset(q, m, l->in) % MAP_PAGE;
  g->out_at = map_slice_offset(q, m, l->out) % MAP_PAGE;
  g->res_at = l->res >= 0 ? map_slice_offset(q, m, l->res) % MAP_PAGE : 0;
  g->plane_words = (int32_t)(map_align((uint32_t)(g->vrows * g->pitch) * gb, unit) / gb);
  g->resident_words = (int64_t)g->ncb * g->plane_words;
  if (!g->woven) return;
  g->pitch = g->ncb;
  g->plane_words = 1;
  g->resident_words = (int64_t)g->vrows * g->ncb;
}

espl_status map_geom_init_batch(map_geom *g, const espl_qnet *q, int32_t layer, const espl_machine *m, int32_t images, int32_t zero_tiles, espl_err *err) {
  const espl_qlayer *l = &q->layer[layer];
  *g = (map_geom){.q = q, .l = l, .m = m, .in = q->tensor[l->in].shape, .out = q->tensor[l->out].shape};
  g->g = espl_g(m);
  g->nb = espl_nb(m);
  g->ncb = map_div_up(l->in_c, m->rows);
  g->block = m->cols;
  g->tile_rows = m->rows;
  g->in_groups = map_div_up(l->in_c, g->g);
  g->out_groups = map_div_up(l->out_c, g->g);
  ESPL_TRY(check_limits(g, err));
  ESPL_TRY(map_fold_use(g, err));
  ESPL_TRY(map_mean_use(g, err));
  map_batch_use(g, images);
  l = g->l;
  map_depthwise_use(g);
  g->nco = map_div_up(l->out_c, g->block);
  espl_status s = map_weight_choose(g, err);
  if (s != ESPL_OK) {
    map_geom_clear(g);
    return s;
  }
  set_strides(g);
  s = g->dw ? build_depthwise(g, err) : build_stream(g, zero_tiles, err);
  if (s == ESPL_OK) find_roof(g);
  else map_geom_clear(g);
  return s;
}

void map_geom_clear(map_geom *g) {
  if (g->fold) free(g->fold_layer.w);
  if (g->mean) free(g->mean_layer.par);
  g->fold = g->mean = false;
  free(g->first);
  free(g->tile);
  free(g->zero);
  free(g->pairs);
  g->first = NULL;
  g->tile = NULL;
  g->zero = NULL;
  g->pairs = NULL;
}
