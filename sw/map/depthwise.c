/* Depthwise layers on a machine with native depthwise: how the kernel is cut into tiles, where tiles lie, what they hold.
 *
 * A tile has n kernel rows, read at once, and T kernel columns. Tiles begin at rows 0, n, 2n ... and columns 0, T, 2T ...; the last ones are moved
 * back so that they end with the kernel, and a tap that an earlier tile has is zero there. Columns are counted in pixels: a kernel with
 * dilation across has zero columns between its taps. */
#include <string.h>

#include "map/map_int.h"

static int32_t span_cols(const map_geom *g) { return (g->l->kw - 1) * g->l->dw + 1; }

/* Kernel rows that are read at once lie in different parts of a bank. */
static bool apart(const map_geom *g, int32_t rows, int32_t pitch) {
  int32_t parts = espl_dw_parts(g->m);
  for (int32_t k = 1; k < rows; k++)
    if ((int64_t)k * g->l->dh * pitch % parts == 0) return false;
  return true;
}

static int32_t pitch_for(const map_geom *g, int32_t rows, int32_t least) {
  int32_t unit = map_max(1, g->m->bus_bytes / g->g);
  for (int32_t p = least; p < least + 4 * unit; p += unit)
    if (apart(g, rows, p)) return p;
  return 0;
}

int32_t map_depthwise_pitch(const map_geom *g, int32_t least) { return pitch_for(g, g->dw_rows, least); }

/* Cycles of a channel block when a tile has `rows` rows; 0: not possible. *cols: its columns. */
static int64_t cycles(const map_geom *g, int32_t rows, int32_t *cols) {
  const espl_qlayer *l = g->l;
  int32_t room = map_min(16, espl_dw_taps(g->m, rows)), pitch = pitch_for(g, rows, g->in.w);
  if (room < 2 || pitch == 0 || pitch > 4095) return 0;
  int32_t across = map_div_up(span_cols(g), room), down = map_div_up(l->kh, rows);
  *cols = map_max(2, map_div_up(span_cols(g), across));
  int32_t tile_rows = espl_dw_tile_rows(g->m, rows, *cols);
  if (!map_weight_fits(g->m, tile_rows, tile_rows * espl_row_bytes(g->m, g->m->w_bits))) return 0;
  int64_t pass = g->mean ? *cols : (int64_t)l->conv_h * ((int64_t)(l->conv_w - 1) * l->sw + *cols);
  return (int64_t)across * down * (pass > g->m->rows ? pass : g->m->rows);
}

static uint32_t starts(int32_t length, int32_t step) {
  uint32_t mask = 0;
  for (int32_t at = 0; at < length; at += step) mask |= 1u << map_max(0, map_min(at, length - step));
  return mask;
}

void map_depthwise_use(map_geom *g) {
  const espl_qlayer *l = g->l;
  if (g->m->dw_banks == 0 || (l->onehot && !g->mean) || l->groups < 2 || l->groups != l->in_c || l->groups != l->out_c || l->kh > g->m->kernel || span_cols(g) > g->m->kernel) return; /* bits of the masks: columns are counted in pixels */
  int64_t pixels = g->mean ? 1 : (int64_t)l->conv_h * l->conv_w, best = (int64_t)l->kh * l->kw * (pixels > g->m->rows ? pixels : g->m->rows);
  for (int32_t rows = 1; rows <= map_min(g->m->dw_banks, l->kh); rows++) {
    int32_t cols = 0;
    int64_t c = cycles(g, rows, &cols);
    if (c == 0 || c >= best) continue;
    best = c;
    g->dw = true;
    g->dw_rows = rows;
    g->dw_cols = cols;
  }
  if (!g->dw) return;
  g->block = espl_dw_channels(g->m);
  g->tile_rows = espl_dw_tile_rows(g->m, g->dw_rows, g->dw_cols);
  g->ky_mask = starts(l->kh, g->dw_rows);
  g->kx_mask = starts(span_cols(g), g->dw_cols);
}

int32_t map_depthwise_bank(const map_geom *g, int32_t column) { return column * g->block / g->g % g->nb; }
int32_t map_depthwise_block(const map_geom *g, int32_t column) { return column * g->block / g->m->rows; }

/* First tap of a tile that starts at `start` which no earlier tile has. */
static int32_t first_own(int32_t start, int32_t step, int32_t length) { return start % step == 0 ? start : length / step * step; }

/* The kernel tap in row k, column j of a tile; false: none, or another tile's. */
static bool tap_of(const map_geom *g, const map_tile *t, int32_t k, int32_t j, int32_t *ky, int32_t *kx) {
  int32_t x = t->kx + j;
  *ky = t->ky + k;
  *kx = x / g->l->dw;
  if (x % g->l->dw != 0 || *kx >= g->l->kw || *ky >= g->l->kh) return false;
  return *ky >= first_own(t->ky, g->dw_rows, g->l->kh) && x >= first_own(t->kx, g->dw_cols, span_cols(g));
}

int32_t map_depthwise_taps(const map_geom *g, const map_tile *t) {
  int32_t n = 0, ky, kx;
  for (int32_t k = 0; k < g->dw_rows; k++)
    for (int32_t j = 0; j < g->dw_cols; j++) n += tap_of(g, t, k, j, &ky, &kx);
  return n;
}

void map_depthwise_pack(const map_geom *g, int32_t column, const map_tile *t, int8_t *out) {
  const espl_qlayer *l = g->l;
  int32_t cols = g->m->cols, ky, kx;
  memset(out, 0, (size_t)(g->tile_rows * cols));
  for (int32_t k = 0; k < g->dw_rows; k++)
    for (int32_t j = 0; j < g->dw_cols; j++) {
      if (!tap_of(g, t, k, j, &ky, &kx)) continue;
      int32_t upper = map_min(g->dw_rows, 2), own = k < 2 ? upper : g->dw_rows - 2; /* kernel rows in the half of the array, and in this one's */
      int8_t *row = out + (int64_t)((k < 2 ? 0 : upper * g->dw_cols) + own * j + k % 2) * cols;
      for (int32_t c = 0; c < g->block && column * g->block + c < l->out_c; c++) {
        int64_t o = (int64_t)column * g->block + c;
        row[c] = l->onehot ? 1 : l->w[((o * l->in_c + o) * l->kh + ky) * l->kw + kx];
      }
    }
}
