/* Native depthwise: random layers of every kernel, stride, dilation and padding, on machines of many shapes, leave what the definition of the
 * arithmetic says; passes take the cycles of the contract; each kernel tap is multiplied by exactly one tile. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "map/map_int.h"
#include "mapnet.h"

static espl_machine machine(const char *name, int32_t rows, int32_t cols, int32_t bus, int32_t dw_banks) {
  espl_machine m;
  espl_machine_default(&m);
  snprintf(m.name, sizeof m.name, "%s", name);
  m.rows = rows;
  m.cols = cols;
  m.bus_bytes = bus;
  m.dw_banks = dw_banks;
  m.fold = 0; /* not every shape below can fold */
  if (m.rq_lanes > espl_g(&m)) m.rq_lanes = espl_g(&m);
  return m;
}

/* Maps, checks and runs the layer; compares the output with the definition and the record with the timing engine's. False: refused. */
static bool run(const espl_qnet *q, const espl_machine *m, uint64_t seed, espl_run_result *r) {
  espl_err err = {0};
  espl_program *p = NULL;
  int64_t n = espl_shape_elems(q->tensor[0].shape), out = espl_shape_elems(q->tensor[1].shape);
  int8_t *t[2] = {malloc((size_t)n), malloc((size_t)out)}, *got = malloc((size_t)out);
  for (int64_t i = 0; i < n; i++) t[0][i] = (int8_t)(uint8_t)espl_rng_u64(seed, 78, (uint64_t)i);
  qref_layer(q, 0, t);
  espl_status s = espl_map_network(q, m, &p, &err);
  bool ran = s == ESPL_OK;
  cr_assert(ran || s == ESPL_E_UNSUPPORTED, "seed %llu machine %s: %s", (unsigned long long)seed, m->name, err.msg);
  if (ran) {
    espl_machine mm = *m;
    mm.mem_bytes = p->mem_bytes;
    cr_assert_eq(espl_program_check(&mm, p->image, p->prog_addr, p->prog_bytes, &err), ESPL_OK, "seed %llu machine %s: %s", (unsigned long long)seed, m->name, err.msg);
    uint8_t *mem = malloc(p->mem_bytes);
    espl_run_result timed = {0};
    cr_assert_eq(espl_program_run(p, q, ESPL_ENGINE_MODEL, t[0], NULL, mem, r, &err), ESPL_OK, "%s", err.msg);
    cr_assert_eq(espl_program_run(p, q, ESPL_ENGINE_TIMING, NULL, NULL, NULL, &timed, &err), ESPL_OK, "%s", err.msg);
    cr_assert(r->hw_status == ESPL_HW_NONE && r->layers == 1 && memcmp(&r->layer[0], &timed.layer[0], sizeof timed.layer[0]) == 0);
    espl_program_get_tensor(p, q, 1, mem, got);
    for (int64_t i = 0; i < out; i++) cr_assert_eq(t[1][i], got[i], "seed %llu machine %s: value %lld is %d, expected %d", (unsigned long long)seed, m->name, (long long)i, got[i], t[1][i]);
    espl_run_result_clear(&timed);
    free(mem);
    espl_program_free(p);
  }
  free(t[0]);
  free(t[1]);
  free(got);
  return ran;
}

/* least: how many of the layers must be run natively. */
static void many(const espl_machine *m, int nets, int32_t most_c, int32_t most_px, int least) {
  int native = 0;
  for (int i = 0; i < nets; i++) {
    espl_rng r = {.seed = 21, .stream = (uint64_t)(m->rows * 1000 + m->cols), .counter = (uint64_t)i << 32};
    mapnet_shape s = mapnet_depthwise_shape(&r, most_c, most_px);
    espl_qnet *q = mapnet_depthwise(&s, i % 5 == 0, &r);
    espl_err err = {0};
    map_geom g;
    espl_run_result res = {0};
    if (run(q, m, (uint64_t)i, &res)) {
      cr_assert_eq(map_geom_init(&g, q, 0, m, -1, &err), ESPL_OK, "%s", err.msg);
      native += g.dw;
      if (g.dw) {
        int32_t taps = 0;
        for (int32_t t = 0; t < g.taps; t++) taps += map_depthwise_taps(&g, &g.tile[t]);
        cr_assert_eq(taps, s.kh * s.kw, "%d of %dx%d taps in %d tiles", (int)taps, (int)s.kh, (int)s.kw, (int)g.taps);
        if (q->layer[0].pool == ESPL_QPOOL_NONE) cr_assert_eq(res.layer[0].counter[ESPL_CNT_MACS], (uint32_t)q->layer[0].macs);
      }
      map_geom_clear(&g);
    }
    espl_run_result_clear(&res);
    espl_qnet_free(q);
  }
  cr_assert_geq(native, least, "machine %s: %d of %d layers ran natively", m->name, native, nets);
}

Test(depthwise, random_16x16) { espl_machine m = machine("16x16", 16, 16, 16, 3); many(&m, 60, 40, 24, 50); }
Test(depthwise, random_16x16_one_row_a_pass) { espl_machine m = machine("one", 16, 16, 16, 1); many(&m, 40, 40, 20, 30); }
Test(depthwise, random_8x8_four_rows_wide_bus) { espl_machine m = machine("8x8", 8, 8, 32, 4); m.idx_aw = 0; many(&m, 40, 40, 20, 20); }
Test(depthwise, random_8x16_two_rows) { espl_machine m = machine("8x16", 8, 16, 8, 2); m.acc_banks = 1; many(&m, 40, 50, 20, 20); }
Test(depthwise, random_32x8_banks) { espl_machine m = machine("32x8", 32, 8, 16, 3); many(&m, 40, 70, 16, 20); }
Test(depthwise, random_4x4_four_rows) { espl_machine m = machine("4x4", 4, 4, 4, 4); m.token_max = m.queue_depth = 1; many(&m, 40, 20, 16, 20); }
Test(depthwise, tiny_buffers) {
  espl_machine m = machine("tiny", 8, 8, 8, 3);
  m.act_aw = 10;
  m.wgt_aw = 8;
  m.idx_aw = 4;
  m.par_aw = 4;
  m.acc_aw = 5;
  many(&m, 60, 40, 24, 30);
}

/* Busy cycles of a layer whose tiles are whole rows: tiles * column blocks * out_h * ((out_w - 1) * stride + columns), from the contract. */
static void takes(const espl_machine *m, mapnet_shape s, uint32_t busy, uint32_t tiles) {
  espl_rng r = {.seed = 5};
  espl_qnet *q = mapnet_depthwise(&s, false, &r);
  espl_run_result res = {0};
  cr_assert(run(q, m, 1, &res));
  cr_assert_eq(res.layer[0].counter[ESPL_CNT_TILES] % tiles, 0, "%u tiles", res.layer[0].counter[ESPL_CNT_TILES]);
  cr_assert_eq(res.layer[0].counter[ESPL_CNT_BUSY], busy, "busy %u, expected %u", res.layer[0].counter[ESPL_CNT_BUSY], busy);
  cr_assert_eq(res.layer[0].counter[ESPL_CNT_TILES_SKIPPED], 0);
  espl_run_result_clear(&res);
  espl_qnet_free(q);
}

Test(depthwise, cycles_of_a_layer) {
  espl_machine m = machine("16x16", 16, 16, 16, 3);
  takes(&m, (mapnet_shape){32, 24, 24, 3, 3, 1, 1, 1, 1, 1, 1}, 2 * 24 * (23 + 3), 2);        /* 3x3: one tile */
  takes(&m, (mapnet_shape){16, 32, 32, 3, 3, 2, 2, 1, 1, 1, 1}, 16 * (15 * 2 + 3), 1);        /* stride 2 */
  takes(&m, (mapnet_shape){20, 20, 20, 5, 5, 1, 1, 1, 1, 2, 2}, 2 * 3 * 20 * (19 + 5), 6);    /* 5x5: two rows a tile, three tiles */
  takes(&m, (mapnet_shape){16, 20, 20, 3, 3, 1, 1, 1, 3, 1, 3}, 2 * 20 * (19 + 4), 2);        /* dilation 3 across: seven columns in two tiles */
  m.dw_banks = 1;
  takes(&m, (mapnet_shape){16, 24, 24, 3, 3, 1, 1, 1, 1, 1, 1}, 3 * 24 * (23 + 3), 3);        /* one bank: a tile for each kernel row */
  espl_machine small = machine("8x8", 8, 8, 8, 3);
  takes(&small, (mapnet_shape){8, 16, 16, 3, 3, 1, 1, 1, 1, 1, 1}, 2 * 16 * (15 + 2), 2);     /* three rows, two columns a tile */
  small.dw_banks = 0;
  takes(&small, (mapnet_shape){8, 16, 16, 3, 3, 1, 1, 1, 1, 1, 1}, 9 * 16 * 16, 9);           /* diagonal blocks */
}

Test(depthwise, what_a_machine_cannot_have) {
  espl_err err = {0};
  espl_machine m = machine("m", 2, 16, 4, 1);
  cr_assert_eq(espl_machine_check(&m, &err), ESPL_E_INPUT);
  cr_assert(strstr(err.msg, "4 rows"), "%s", err.msg);
  err = (espl_err){0};
  m = machine("m", 4, 4, 32, 3);
  cr_assert_eq(espl_machine_check(&m, &err), ESPL_E_INPUT);
  cr_assert(strstr(err.msg, "bus_bytes is 32, expected at most 16"), "%s", err.msg);
  m = machine("m", 8, 8, 8, 4);
  m.act_aw = 5;
  cr_assert_eq(espl_machine_check(&m, &err), ESPL_E_INPUT);
}
