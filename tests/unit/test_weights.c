/* Weight formats of the mapper: which one a layer gets, and how a row is packed (by hand from hw/spec/numerics.md). */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map/map_int.h"

enum { CHANNELS = 8 };

static espl_machine machine(int32_t w_bits, int32_t w_int4, int32_t w_book) {
  espl_machine m;
  espl_machine_default(&m);
  m.rows = m.cols = m.rq_lanes = 4;
  m.fold = 0;
  m.w_bits = w_bits;
  m.w_int4 = w_int4;
  m.w_book = w_book;
  return m;
}

/* Format of an 8 -> 8 channel layer whose weights take `distinct` nonzero values from `lo` up. */
static espl_status choose(const espl_machine *m, int32_t lo, int32_t distinct, map_geom *g, espl_err *err) {
  static int8_t w[CHANNELS * CHANNELS * 9];
  static espl_qlayer l;
  l = (espl_qlayer){.name = "layer", .in_c = CHANNELS, .out_c = CHANNELS, .kh = 3, .kw = 3, .w = w};
  int32_t values[256], n = 0;
  for (int32_t v = lo; n < distinct; v++)
    if (v) values[n++] = v;
  values[n++] = 0;
  for (int32_t i = 0; i < CHANNELS * CHANNELS * 9; i++) w[i] = (int8_t)values[i % n];
  *g = (map_geom){.l = &l, .m = m, .tile_rows = m->rows};
  return map_weight_choose(g, err);
}

static void expect(const espl_machine *m, int32_t lo, int32_t distinct, int32_t bits, int32_t book) {
  map_geom g;
  espl_err err = {0};
  cr_assert_eq(choose(m, lo, distinct, &g, &err), ESPL_OK, "%s", err.msg);
  cr_expect(g.weight.bits == bits && g.weight.book == book, "%d values from %d: %d bits, book %d, expected %d, %d", distinct, lo, g.weight.bits, g.weight.book, bits, book);
  cr_expect_eq(g.tile_bytes, 4 * ((4 * bits + 7) / 8));
}

Test(weights, fewest_bits_that_hold_every_value) {
  espl_machine plain = machine(8, 0, 0), full = machine(8, 1, 4), only4 = machine(4, 0, 0), big = machine(8, 0, 7);
  expect(&plain, -1, 2, 8, 0);
  expect(&full, -1, 2, 2, 1);     /* ternary: index of 2 bits */
  expect(&full, 100, 3, 2, 1);    /* 3 values of any size */
  expect(&full, -3, 4, 3, 1);
  expect(&full, -120, 7, 3, 1);
  expect(&full, -8, 15, 4, 0);    /* int4 before a codebook of as many bits: no table */
  expect(&full, 20, 15, 4, 1);
  expect(&full, 20, 16, 8, 0);    /* too many for 4 bits */
  expect(&only4, -8, 15, 4, 0);
  expect(&big, -8, 15, 4, 1);     /* no int4 there */
  expect(&big, -100, 127, 7, 1);
  expect(&big, -100, 128, 8, 0);
}

Test(weights, what_does_not_fit_four_bits_is_refused) {
  espl_machine m = machine(4, 0, 0);
  map_geom g;
  espl_err err = {0};
  cr_expect_eq(choose(&m, -8, 16, &g, &err), ESPL_E_UNSUPPORTED); /* up to 8 */
  cr_expect_not_null(strstr(err.msg, "weights from -8 to 8"), "%s", err.msg);
}

Test(weights, rows_are_packed_from_bit_0) {
  espl_machine m = machine(8, 1, 8);
  uint8_t row[4] = {0};
  map_geom g = {.m = &m, .weight = {8, 0}};
  map_weight_pack(&g, (const int8_t[]){1, -1, 127, -128}, row);
  cr_expect_arr_eq(row, ((const uint8_t[]){0x01, 0xff, 0x7f, 0x80}), 4);
  g.weight.bits = 4;
  map_weight_pack(&g, (const int8_t[]){1, -1, 7, -8}, row);
  cr_expect_arr_eq(row, ((const uint8_t[]){0xf1, 0x87}), 2);
  g.weight = (espl_weight_format){3, 1};
  for (int i = 0; i < 8; i++) g.code[10 * i] = (uint8_t)i;
  map_weight_pack(&g, (const int8_t[]){10, 20, 30, 40}, row); /* 1 + 2*8 + 3*64 + 4*512 = 0x8d1 */
  cr_expect_arr_eq(row, ((const uint8_t[]){0xd1, 0x08}), 2);
  g.weight.bits = 5;
  map_weight_pack(&g, (const int8_t[]){70, 0, 50, 10}, row); /* 7 + 5*2^10 + 1*2^15 = 0x9407 */
  cr_expect_arr_eq(row, ((const uint8_t[]){0x07, 0x94, 0x00}), 3);
}

Test(weights, machines_that_cannot_be) {
  espl_err err = {0};
  espl_machine m = machine(5, 0, 0);
  cr_expect_eq(espl_machine_check(&m, &err), ESPL_E_INPUT);
  m = machine(4, 1, 0);
  cr_expect_eq(espl_machine_check(&m, &err), ESPL_E_INPUT);
  m = machine(8, 1, 1);
  cr_expect_eq(espl_machine_check(&m, &err), ESPL_E_INPUT);
  m = machine(8, 1, 8);
  cr_expect_eq(espl_machine_check(&m, &err), ESPL_OK, "%s", err.msg);
  m = machine(4, 0, 0);
  cr_expect_eq(espl_machine_check(&m, &err), ESPL_OK, "%s", err.msg);
}
