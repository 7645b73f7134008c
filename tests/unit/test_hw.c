/* The generated decode vectors against the generated C header: status, fields, and encode(decode(w)) == w. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "espl_hw.h"

/* Decodes a word of block `name` and encodes it again; 0 when the block has no fields of its own (END, refused opcodes). */
static int round_trip(const char *name, const uint32_t w[4], uint32_t out[4]) {
#define BLOCK(NAME, type)                   \
  if (strcmp(name, NAME) == 0) {            \
    espl_cmd_##type c;                      \
    espl_cmd_##type##_decode(w, &c);        \
    espl_cmd_##type##_encode(&c, out);      \
    return 1;                               \
  }
  BLOCK("LOAD", load)
  BLOCK("COMPUTE", compute)
  BLOCK("STORE", store)
  BLOCK("MARK", mark)
  BLOCK("LOAD_STRIDE", load_stride)
  BLOCK("COMP_GEOM", comp_geom)
  BLOCK("COMP_TAPS", comp_taps)
  BLOCK("LOAD_WGT", load_wgt)
  BLOCK("COMP_WGT", comp_wgt)
  BLOCK("COMP_TABLE", comp_table)
  BLOCK("STORE_STRIDE", store_stride)
  BLOCK("STORE_QUANT", store_quant)
  BLOCK("STORE_POOL", store_pool)
  BLOCK("STORE_AVG0", store_avg0)
  BLOCK("STORE_AVG1", store_avg1)
  BLOCK("STORE_AVG2", store_avg2)
#undef BLOCK
  return 0;
}

typedef struct vector {
  char name[64];
  uint32_t w[4];
  int status;
  char fields[2048];
} vector;

static FILE *open_vectors(void) {
  const char *paths[] = {"hw/gen/vectors.txt", "../hw/gen/vectors.txt"};
  for (int i = 0; i < 2; i++) {
    FILE *f = fopen(paths[i], "r");
    if (f) return f;
  }
  return NULL;
}

static int read_vector(FILE *f, vector *v) {
  char line[4096];
  while (fgets(line, sizeof line, f)) {
    if (line[0] == '#') continue;
    v->fields[0] = 0;
    return sscanf(line, "%63s %x %x %x %x %d %2047[^\n]", v->name, &v->w[3], &v->w[2], &v->w[1], &v->w[0], &v->status, v->fields) >= 6 ? 1 : -1;
  }
  return 0;
}

Test(hw, vectors_decode_and_encode) {
  FILE *f = open_vectors();
  cr_assert_not_null(f, "hw/gen/vectors.txt not found: run from the repository root");
  vector v;
  int count = 0, round = 0, r;
  while ((r = read_vector(f, &v)) != 0) {
    cr_assert_eq(r, 1, "vector %d not understood", count);
    count++;
    cr_expect_eq(espl_cmd_check(v.w), v.status, "%s %08x %08x %08x %08x: status %d, expected %d", v.name, v.w[3], v.w[2], v.w[1], v.w[0], espl_cmd_check(v.w), v.status);
    uint32_t out[4];
    if (!round_trip(v.name, v.w, out)) continue;
    round++;
    cr_expect_arr_eq(out, v.w, sizeof out, "%s %08x %08x %08x %08x: encode(decode) differs", v.name, v.w[3], v.w[2], v.w[1], v.w[0]);
  }
  fclose(f);
  cr_expect_geq(count, 200);
  cr_expect_geq(round, 200);
}

/* Values written by hand from the bit numbers of commands.tbl. */
Test(hw, fields_are_where_the_table_says) {
  const uint32_t load[4] = {0x56780352u, 0xABC01234u, 0x0400005Fu, 0x00030021u};
  espl_cmd_load c;
  espl_cmd_load_decode(load, &c);
  cr_expect_eq(c.addr, 0x12345678u);
  cr_expect_eq(c.dst, 0xFABC0u, "bits 48..67");
  cr_expect_eq(c.row_bytes, 5u, "bits 68..87");
  cr_expect_eq(c.rows, 0x104u, "bits 88..99");
  cr_expect_eq(c.groups, 2u, "bits 100..111");
  cr_expect_eq(c.bank, 3u, "bits 112..119");
  cr_expect_eq(c.pop_compute, 1u);
  cr_expect_eq(c.pop_store, 0u);
  cr_expect_eq(c.push_compute, 1u);
  cr_expect_eq(c.push_store, 0u);
  cr_expect_eq(c.buffer, 3u);
}

Test(hw, signed_fields_keep_their_sign) {
  espl_cmd_compute c = {.out_h = 1, .out_w = 1, .n_tiles = 1, .off_y = -2048, .off_x = -1};
  uint32_t w[4];
  espl_cmd_compute_encode(&c, w);
  cr_expect_eq(w[3] >> 4 & 0xfffu, 0x800u);
  cr_expect_eq(w[3] >> 16 & 0xfffu, 0xfffu);
  espl_cmd_compute d;
  espl_cmd_compute_decode(w, &d);
  cr_expect_eq(d.off_y, -2048);
  cr_expect_eq(d.off_x, -1);
}
