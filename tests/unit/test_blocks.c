/* Block counts against shapes worked out by hand from the parts' data sheets, reports of whole cores, and every synthesized point of the table. */
#include <criterion/criterion.h>

#include "cost/area.h"
#include "cost/blocks.h"
#include "map/machine_yaml.h"

Test(blocks, shapes_by_hand) {
  /* iCE40: 256x16, 512x8, 1024x4, 2048x2. ECP5: 512x36, 1024x18, 2048x9. 7-series: 512x36 in half a block of 1024x36. */
  static const struct { espl_memory m; espl_family f; int64_t blocks; } t[] = {
      {{"", 1, 256, 16, 1}, ESPL_ICE40UP, 1},   {{"", 1, 256, 17, 1}, ESPL_ICE40UP, 2},  {{"", 1, 512, 8, 1}, ESPL_ICE40HX, 1},
      {{"", 1, 2048, 64, 8}, ESPL_ICE40HX, 32}, {{"", 1, 256, 24, 1}, ESPL_ICE40UP, 2},  {{"", 1, 4, 8, 1}, ESPL_ICE40UP, 0},
      {{"", 1, 512, 36, 1}, ESPL_ECP5, 1},      {{"", 1, 1024, 32, 1}, ESPL_ECP5, 2},    {{"", 1, 2048, 8, 1}, ESPL_ECP5, 1},
      {{"", 1, 512, 80, 10}, ESPL_ECP5, 3},     {{"", 1, 16, 8, 1}, ESPL_ECP5, 0},       {{"", 1, 512, 32, 1}, ESPL_XC7, 1},
      {{"", 1, 1024, 36, 1}, ESPL_XC7, 2},      {{"", 1, 1024, 32, 4}, ESPL_XC7, 2},     {{"", 1, 16, 8, 1}, ESPL_XC7, 0},
  };
  for (size_t i = 0; i < sizeof t / sizeof *t; i++)
    cr_expect_eq(espl_memory_blocks(&t[i].m, t[i].f), t[i].blocks, "%lld words of %d bits in %d pieces on %s: %lld blocks", (long long)t[i].m.words, (int)t[i].m.bits,
                 (int)t[i].m.enables, espl_family_name(t[i].f), (long long)espl_memory_blocks(&t[i].m, t[i].f));
}

Test(blocks, cores_of_the_reports) { /* docs/synthesis.md */
  static const struct { const char *machine; espl_family f; int64_t dsp, bram; } t[] = {
      {"up5k", ESPL_ICE40UP, 8, 28}, {"up5k", ESPL_ICE40HX, 0, 28}, {"hx8k", ESPL_ICE40HX, 0, 18}, {"ulx3s", ESPL_ECP5, 84, 66}, {"arty", ESPL_XC7, 78, 34}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
    espl_machine m;
    espl_err err = {0};
    cr_assert_eq(espl_machine_load(t[i].machine, &m, &err), ESPL_OK, "%s", err.msg);
    cr_expect_eq(espl_dsp_blocks(&m, t[i].f), t[i].dsp, "%s on %s", t[i].machine, espl_family_name(t[i].f));
    cr_expect_eq(espl_ram_blocks(&m, t[i].f), t[i].bram, "%s on %s", t[i].machine, espl_family_name(t[i].f));
  }
}

Test(blocks, memories_of_a_machine) {
  espl_machine m;
  espl_machine_default(&m); /* 16x16 */
  espl_memory mem[ESPL_MEMORIES];
  int64_t bytes = 0;
  const int n = espl_machine_memories(&m, mem);
  cr_expect_leq(n, ESPL_MEMORIES);
  for (int i = 0; i < n; i++)
    if (mem[i].bits % 32 == 0) bytes += mem[i].copies * mem[i].words * mem[i].bits / 8;
  /* 64 KB of activations, 64 KB of weights, 4 KB of index, 2 banks of 16 columns of 1024 x 4, 512 of commands, 4 bursts each of staging and residuals */
  cr_expect_eq(bytes, 65536 + 65536 + 4096 + 131072 + 512 + 1024 + 1024);
  cr_expect_eq(espl_address_bits(&m), 26);
}

Test(blocks, every_synthesized_point_exactly) {
  espl_area_model *a = NULL;
  espl_err err = {0};
  cr_assert_eq(espl_area_load(NULL, &a, &err), ESPL_OK, "%s", err.msg);
  for (int32_t i = 0; i < espl_area_rows(a); i++) {
    const espl_area_row *r = espl_area_row_at(a, i);
    cr_expect_eq(espl_dsp_blocks(&r->m, r->family), r->dsp, "%s on %s", r->point, r->board);
    cr_expect_eq(espl_ram_blocks(&r->m, r->family), r->bram, "%s on %s", r->point, r->board);
  }
  espl_area_free(a);
}
