/* How a layer's weights are stored: the format with the fewest bits that the machine has and that holds every value exactly, and the
 * packing of a row. The values decide alone, so a layer quantized to 4 bits or to few distinct weights is smaller wherever it comes from. */
#include <string.h>

#include "map/map_int.h"

typedef struct census {
  int32_t lo, hi, distinct; /* distinct nonzero values */
  bool seen[256];
} census;

static void count_value(census *s, int8_t v) {
  bool *seen = &s->seen[(uint8_t)v];
  if (*seen) return;
  *seen = true;
  s->lo = map_min(s->lo, v);
  s->hi = map_max(s->hi, v);
  s->distinct += v != 0;
}

/* Stops as soon as neither int4 nor a codebook smaller than int8 can hold the layer. A layer without weights (a table) has the default format. */
static void take_census(const espl_qlayer *l, census *s) {
  memset(s, 0, sizeof *s);
  if (l->onehot) {
    count_value(s, 1);
    return;
  }
  int64_t n = (int64_t)l->out_c * l->in_c * l->kh * l->kw;
  for (int64_t i = 0; i < n && s->distinct <= 127; i++) count_value(s, l->w[i]);
}

static void build_table(map_geom *g, const census *s) {
  int32_t next = 0;
  memset(g->table, 0, sizeof g->table);
  memset(g->code, 0, sizeof g->code);
  for (int32_t v = -128; v < 128; v++) {
    if (v == 0 || !s->seen[(uint8_t)v]) continue;
    g->table[++next] = (int8_t)v;
    g->code[(uint8_t)v] = (uint8_t)next;
  }
}

int32_t map_weight_slots(const espl_machine *m, int32_t tile_rows, int32_t tile_bytes) {
  int64_t by_row = 65536 / tile_rows, n = (1ll << m->wgt_aw) / tile_bytes;
  return (int32_t)(n < by_row ? n : by_row);
}

int32_t map_weight_unit(const espl_machine *m, int32_t tile_bytes) { return m->bus_bytes / map_min(m->bus_bytes, tile_bytes & -tile_bytes); }

bool map_weight_fits(const espl_machine *m, int32_t tile_rows, int32_t tile_bytes) {
  return map_weight_slots(m, tile_rows, tile_bytes) >= map_weight_unit(m, tile_bytes);
}

static bool format_fits(const map_geom *g, int32_t bits) { return map_weight_fits(g->m, g->tile_rows, g->tile_rows * espl_row_bytes(g->m, bits)); }

espl_status map_weight_choose(map_geom *g, espl_err *err) {
  const espl_machine *m = g->m;
  census s;
  g->weight = espl_weight_default(m);
  g->tile_bytes = g->tile_rows * espl_row_bytes(m, g->weight.bits);
  if ((m->w_bits == 8 && !espl_weight_choice(m)) || (!g->l->w && !g->l->onehot)) return ESPL_OK;
  take_census(g->l, &s);
  bool small = s.lo >= -8 && s.hi <= 7;
  if (m->w_bits == 4 && !small)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: weights from %d to %d, machine %s stores -8..7 only (quantize with --weights int4)", g->l->name,
                     (int)s.lo, (int)s.hi, m->name);
  if (small && m->w_int4 && format_fits(g, 4)) g->weight.bits = 4;
  for (int32_t b = 2; b <= m->w_book && b < g->weight.bits; b++)
    if (s.distinct < 1 << b && format_fits(g, b)) g->weight = (espl_weight_format){b, 1};
  if (g->weight.book) build_table(g, &s);
  g->tile_bytes = g->tile_rows * espl_row_bytes(m, g->weight.bits);
  return ESPL_OK;
}

void map_weight_pack(const map_geom *g, const int8_t *values, uint8_t *row) {
  uint32_t bits = (uint32_t)g->weight.bits, mask = (1u << bits) - 1;
  memset(row, 0, (size_t)espl_row_bytes(g->m, g->weight.bits));
  for (uint32_t c = 0; c < (uint32_t)g->m->cols; c++) {
    uint32_t code = (g->weight.book ? g->code[(uint8_t)values[c]] : (uint8_t)values[c]) & mask, at = c * bits;
    row[at / 8] |= (uint8_t)(code << at % 8);
    if (at % 8 + bits > 8) row[at / 8 + 1] |= (uint8_t)(code >> (8 - at % 8));
  }
}

void map_weight_load_cfg(const map_geom *g, map_list *l) {
  if (!espl_weight_choice(g->m)) return;
  uint32_t w[4];
  espl_cmd_load_wgt load = {.bits = (uint32_t)g->weight.bits};
  espl_cmd_load_wgt_encode(&load, w);
  map_list_cfg(l, w);
}

void map_weight_compute_cfg(const map_geom *g, map_list *l) {
  if (!espl_weight_choice(g->m)) return;
  uint32_t w[4];
  espl_cmd_comp_wgt format = {.bits = (uint32_t)g->weight.bits, .book = (uint32_t)g->weight.book};
  espl_cmd_comp_wgt_encode(&format, w);
  map_list_cfg(l, w);
  for (uint32_t part = 0; g->weight.book && 8 * part < 1u << g->weight.bits; part++) {
    uint8_t e[8];
    memcpy(e, g->table + 8 * part, sizeof e);
    espl_cmd_comp_table t = {part, e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7]};
    espl_cmd_comp_table_encode(&t, w);
    map_list_cfg(l, w);
  }
}
