/* The mapper on machine points drawn at random within what espl_machine_check allows: any R and C, widths of the bus, options and buffers down to
 * the smallest. A network is refused with its layer's name, or every tensor equals the definition and every cycle is counted once. */
#include <criterion/criterion.h>
#include <string.h>

#include "mapnet.h"
#include "mapped.h"

static int32_t power(espl_rng *r, int32_t lo, int32_t hi) { return 1 << qref_in(r, lo, hi); }

static void draw_memory(espl_rng *r, espl_machine *m) {
  espl_mem_timing *t = &m->mem;
  t->read_latency = qref_in(r, 1, 60);
  t->write_latency = qref_in(r, 1, 30);
  t->den = qref_in(r, 1, 3);
  t->num = qref_in(r, 1, t->den);
  t->outstanding = qref_in(r, 1, m->bursts);
  t->shared_path = qref_in(r, 0, 1);
  t->turnaround = t->shared_path ? qref_in(r, 0, 3) : 0;
  if (qref_in(r, 0, 2)) return;
  t->banks = power(r, 0, 3);
  t->row_bytes = power(r, 8, 12);
  t->row_open = qref_in(r, 1, 12);
  t->row_close = qref_in(r, 0, 12);
}

/* `slack`: buffers are up to so many powers of two above the least. */
static espl_machine draw_point(espl_rng *r, int32_t most_aw, int32_t slack) {
  espl_machine m;
  espl_err err = {0};
  do {
    espl_machine_default(&m);
    memcpy(m.name, "drawn", 6);
    m.rows = power(r, 1, most_aw);
    m.cols = power(r, 1, most_aw);
    m.bus_bytes = power(r, 2, 5);
    m.dw_banks = qref_in(r, 0, 1) ? qref_in(r, 1, 4) : 0;
    m.fold = qref_in(r, 0, 1);
    m.act_aw = qref_in(r, 6, 6 + 3 * slack);
    m.wgt_aw = qref_in(r, 4, 6 + 4 * slack);
    m.idx_aw = qref_in(r, 0, 2) ? qref_in(r, 4, 4 + slack) : 0;
    m.par_aw = qref_in(r, 2, 3 + 2 * slack);
    m.acc_aw = qref_in(r, 2, 3 + 3 * slack);
    m.acc_banks = qref_in(r, 1, 2);
    m.acc_w = qref_in(r, 0, 2) ? 32 : 24;
    m.w_bits = qref_in(r, 0, 5) ? 8 : 4;
    m.w_int4 = m.w_bits == 8 ? qref_in(r, 0, 1) : 0;
    m.w_book = m.w_bits == 8 && qref_in(r, 0, 1) ? qref_in(r, 2, 8) : 0;
    m.mul_stages = qref_in(r, 1, 2);
    m.rq_lanes = power(r, 0, 4);
    m.rq_cycles = qref_in(r, 0, 2) ? 1 : 18;
    m.residual = qref_in(r, 0, 3) > 0;
    m.maxpool = qref_in(r, 0, 3) > 0;
    m.avgpool = qref_in(r, 0, 3) > 0;
    m.queue_depth = qref_in(r, 0, 1) ? qref_in(r, 0, 16) : 0;
    m.token_max = qref_in(r, 0, 1) ? 1 : qref_in(r, 2, 255);
    m.stage_bursts = qref_in(r, 2, 8);
    m.res_bursts = qref_in(r, 2, 8);
    m.bursts = qref_in(r, 1, 16);
    m.counters = 16;
    m.dim_bits = qref_in(r, 0, 1) ? 12 : qref_in(r, 6, 11);
    m.kernel = qref_in(r, 0, 1) ? 16 : qref_in(r, 1, 11);
    draw_memory(r, &m);
  } while (espl_machine_check(&m, &err) != ESPL_OK);
  return m;
}

/* Cycles of every layer are its causes, and not below its roof. */
static void check_counts(const espl_qnet *q, const espl_machine *m) {
  espl_sim_result s;
  espl_err err = {0};
  cr_assert_eq(espl_time_network(q, m, &s, &err), ESPL_OK, "%s", err.msg);
  for (int32_t i = 0; i < s.layers; i++) {
    const espl_sim_layer *l = &s.layer[i];
    uint64_t sum = l->busy + l->idle;
    for (int k = 0; k < 6; k++) sum += l->stall[k];
    cr_assert_eq(sum, l->cycles, "layer %d: %llu cycles have a cause, of %llu", i, (unsigned long long)sum, (unsigned long long)l->cycles);
    cr_assert_leq(l->macs, l->busy * (uint64_t)m->rows * (uint64_t)m->cols);
  }
  espl_sim_result_clear(&s);
}

static int one(uint64_t seed, int32_t most_aw, int32_t slack) {
  espl_rng r = {.seed = 71, .stream = (uint64_t)(most_aw * 100 + slack), .counter = seed << 32};
  espl_machine m = draw_point(&r, most_aw, slack);
  int32_t most_c = 3 * (m.cols < 12 ? m.cols : 12) + 5;
  mapnet_shape s = mapnet_depthwise_shape(&r, most_c, 4 + 6 * slack);
  bool deep = m.dw_banks > 0 && qref_in(&r, 0, 1);
  bool first = m.fold && !deep && qref_in(&r, 0, 1), pooled = m.maxpool && qref_in(&r, 0, 2) == 0;
  if (first) {
    s.c = qref_in(&r, 1, 4);
    s.dw = 1;
    s.w = qref_in(&r, 1, 20 + 60 * slack);
    s.kw = qref_in(&r, 1, m.kernel < 11 ? m.kernel : 11);
  }
  espl_qnet *q = deep ? mapnet_depthwise(&s, pooled, &r) : first ? mapnet_one(&s, qref_in(&r, 1, most_c), pooled, &r) : mapnet_random(&r, most_c, 4 + 6 * slack, espl_g(&m));
  if (m.w_bits == 4 || (qref_in(&r, 0, 1) && (m.w_int4 || m.w_book))) mapnet_narrow(q, &r);
  espl_program *p = NULL;
  espl_err err = {0};
  bool keep = m.mem.banks == 0;
  int32_t images = qref_in(&r, 0, 3) ? 1 : qref_in(&r, 2, 3);
  espl_status made = espl_map_build(q, &m, &(espl_map_config){.images = images, .keep = keep}, &p, &err);
  espl_program_free(p);
  bool ran = made == ESPL_OK; /* tensors that keep their memory lie elsewhere than those of the network that is timed */
  snprintf(m.name, sizeof m.name, "drawn-%llu", (unsigned long long)seed);
  if (ran && images == 1) mapped_check(q, &m, keep, seed);
  else if (ran) mapped_batch(q, &m, images, keep, seed);
  else cr_assert(made == ESPL_E_UNSUPPORTED && strncmp(err.msg, "layer ", 6) == 0, "case %llu: %s", (unsigned long long)seed, err.msg);
  if (ran && images == 1) check_counts(q, &m);
  espl_qnet_free(q);
  return ran;
}

/* Weight tiles that are no power of two of bytes in buffers of hardly more than two int8 tiles: a tile keeps its address modulo the bus. */
static espl_machine tight(int32_t rows, int32_t cols, int32_t wgt_aw, int32_t book, int32_t dw_banks) {
  espl_machine m;
  espl_machine_default(&m);
  memcpy(m.name, "tight", 6);
  m.rows = rows;
  m.cols = cols;
  m.bus_bytes = 32;
  m.wgt_aw = wgt_aw;
  m.w_int4 = 0;
  m.w_book = book;
  m.dw_banks = dw_banks;
  m.fold = 0;
  m.rq_lanes = espl_g(&m);
  espl_err err = {0};
  cr_assert_eq(espl_machine_check(&m, &err), ESPL_OK, "%s", err.msg);
  return m;
}

/* At most 127 distinct weights: seven bits. */
static void halve(espl_qnet *q) {
  for (int32_t i = 0; i < q->layers; i++) {
    const espl_qlayer *l = &q->layer[i];
    for (int64_t j = 0; l->w && j < (int64_t)l->in_c * l->out_c * l->kh * l->kw; j++) l->w[j] = (int8_t)(l->w[j] / 2);
  }
}

static void codebooks_on(espl_machine m) {
  for (uint64_t i = 0; i < 60; i++) {
    espl_rng r = {.seed = 72, .stream = (uint64_t)m.wgt_aw, .counter = i << 32};
    espl_qnet *q = mapnet_random(&r, 60, 5, espl_g(&m));
    if (i % 3 == 1) mapnet_narrow(q, &r);
    if (i % 3 == 2) halve(q);
    mapped_check(q, &m, true, i);
    espl_qnet_free(q);
  }
}

Test(points, codebook_tiles_in_a_tight_buffer) {
  codebooks_on(tight(2, 16, 6, 7, 0));
  codebooks_on(tight(2, 16, 7, 7, 0));
  codebooks_on(tight(2, 8, 8, 7, 0));
  codebooks_on(tight(4, 8, 7, 5, 0));
}

Test(points, depthwise_tiles_in_a_tight_buffer) {
  for (uint64_t i = 0; i < 30; i++) {
    espl_machine m = tight(16, 2, 6 + (int32_t)(i % 3), i % 2 ? 6 : 0, 1);
    espl_rng r = {.seed = 73, .counter = i << 32};
    mapnet_shape s = mapnet_depthwise_shape(&r, 24, 12);
    espl_qnet *q = mapnet_depthwise(&s, false, &r);
    mapped_check(q, &m, true, i);
    espl_qnet_free(q);
  }
}

static void many(int cases, int32_t most_aw, int32_t slack) {
  int ran = 0;
  for (int i = 0; i < cases; i++) ran += one((uint64_t)i, most_aw, slack);
  cr_assert_gt(ran, cases / 4, "only %d of %d ran", ran, cases);
}

Test(points, smallest_buffers) { many(150, 4, 1); }
Test(points, medium_buffers) { many(100, 5, 2); }
Test(points, large_arrays) { many(60, 8, 3); }

/* One row of sums is more than the accumulators hold and the last column of the image further than an offset says: not folded, not named wrongly. */
Test(points, folded_rows_out_of_reach) {
  espl_machine m;
  espl_err err = {0};
  espl_machine_default(&m);
  memcpy(m.name, "reach", 6);
  m.rows = 8;
  m.act_aw = 13;
  m.wgt_aw = 10;
  m.acc_aw = 4;
  m.par_aw = 6;
  m.idx_aw = 4;
  m.rq_lanes = 8;
  m.dw_banks = 2;
  m.dim_bits = 8;
  cr_assert_eq(espl_machine_check(&m, &err), ESPL_OK, "%s", err.msg);
  for (int32_t w = 100; w <= 240; w += 20) {
    espl_rng r = {.seed = 74};
    mapnet_shape s = {.c = 3, .h = 5, .w = w, .kh = 3, .kw = 5, .sh = 1, .sw = 1, .dh = 1, .dw = 1};
    espl_qnet *q = mapnet_one(&s, 6, false, &r);
    mapped_check(q, &m, true, (uint64_t)w);
    espl_qnet_free(q);
  }
}

/* A mask of kernel columns counts pixels in a depthwise pass: a dilated kernel may need more bits than the core has. */
Test(points, dilated_depthwise_in_few_kernel_bits) {
  espl_machine m;
  espl_err err = {0};
  espl_machine_default(&m);
  memcpy(m.name, "kernel", 7);
  m.kernel = 5;
  cr_assert_eq(espl_machine_check(&m, &err), ESPL_OK, "%s", err.msg);
  for (int32_t dw = 1; dw <= 3; dw++) {
    espl_rng r = {.seed = 75};
    mapnet_shape s = {.c = 17, .h = 9, .w = 22, .kh = 5, .kw = 5, .sh = 1, .sw = 1, .dh = 1, .dw = dw, .pt = 2, .pl = 2};
    espl_qnet *q = mapnet_depthwise(&s, false, &r);
    mapped_check(q, &m, true, (uint64_t)dw);
    espl_qnet_free(q);
  }
}
