/* What a core's decoder refuses beyond the contract's field ranges: sizes, offsets and kernels that it keeps no bits for. */
#include <criterion/criterion.h>
#include <string.h>

#include "device/decode.h"

/* 7 bits of a size: 127 is the largest, offsets are -64..63, n_tiles 2047, row_bytes 32767; 5 kernel rows and columns. */
static espl_machine small(void) {
  espl_machine m;
  espl_machine_default(&m);
  m.dim_bits = 7;
  m.kernel = 5;
  return m;
}

static int with(const espl_machine *m, const uint32_t base[4], unsigned lsb, unsigned width, int32_t value) {
  uint32_t w[4];
  memcpy(w, base, sizeof w);
  espl_bits_put(w, lsb, width, (uint32_t)value & ((1u << width) - 1u));
  return espl_machine_cmd_check(m, w);
}

typedef struct limit {
  unsigned lsb, width;
  int32_t last, first_refused;
} limit;

static void check(const uint32_t base[4], const limit *t, size_t n) {
  espl_machine whole, m = small();
  espl_machine_default(&whole);
  cr_assert_eq(espl_machine_cmd_check(&m, base), ESPL_HW_NONE);
  for (size_t i = 0; i < n; i++) {
    cr_expect_eq(with(&m, base, t[i].lsb, t[i].width, t[i].last), ESPL_HW_NONE, "bit %u: %d", t[i].lsb, t[i].last);
    cr_expect_eq(with(&m, base, t[i].lsb, t[i].width, t[i].first_refused), ESPL_HW_BAD_FIELD, "bit %u: %d", t[i].lsb, t[i].first_refused);
    cr_expect_eq(with(&whole, base, t[i].lsb, t[i].width, t[i].first_refused), ESPL_HW_NONE, "bit %u: %d", t[i].lsb, t[i].first_refused);
  }
}

Test(decode, sizes_of_a_load) {
  uint32_t w[4];
  espl_cmd_load_encode(&(espl_cmd_load){.row_bytes = 16, .rows = 1, .groups = 1}, w);
  check(w, (limit[]){{68, 20, 32767, 32768}, {88, 12, 127, 128}, {100, 12, 127, 128}, {88, 12, 127, 4095}}, 4);
}

Test(decode, sizes_and_offsets_of_a_compute) {
  uint32_t w[4];
  espl_cmd_compute_encode(&(espl_cmd_compute){.first = 1, .last = 1, .n_tiles = 1, .out_h = 1, .out_w = 1}, w);
  check(w, (limit[]){{60, 16, 2047, 2048}, {76, 12, 127, 128}, {88, 12, 127, 128}, {100, 12, 63, 64}, {100, 12, -64, -65}, {112, 12, 63, 2047}, {112, 12, -64, -2048}}, 7);
}

Test(decode, sizes_of_a_store) {
  uint32_t w[4];
  espl_cmd_store_encode(&(espl_cmd_store){.groups = 1, .out_h = 1, .out_w = 1}, w);
  check(w, (limit[]){{100, 12, 127, 128}, {112, 12, 127, 128}}, 2);
}

Test(decode, configuration_words) {
  uint32_t w[4];
  espl_cmd_comp_geom_encode(&(espl_cmd_comp_geom){.in_h = 1, .in_w = 1, .row_words = 1, .sy = 1, .sx = 1, .dy = 1, .dx = 1}, w);
  check(w, (limit[]){{16, 12, 127, 128}, {28, 12, 127, 128}, {40, 12, 127, 128}}, 3);
  espl_cmd_comp_taps_encode(&(espl_cmd_comp_taps){.ky_mask = 1, .kx_mask = 1}, w);
  check(w, (limit[]){{16, 16, 31, 32}, {32, 16, 31, 32768}}, 2);
  espl_cmd_store_pool_encode(&(espl_cmd_store_pool){.win_h = 1, .win_w = 1, .psy = 1, .psx = 1, .acc_h = 1, .acc_w = 1}, w);
  check(w, (limit[]){{40, 12, -64, -65}, {52, 12, 63, 64}, {64, 12, 127, 128}, {76, 12, 127, 128}}, 4);
}
