/* Mapper: every tensor that a mapped program leaves in memory equals the definition of the arithmetic, on machines of many shapes and with
 * buffers that hold hardly anything; programs are legal; counters are those of the layer; what does not fit is refused with the reason. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "graph/zoo.h"
#include "map/map_int.h"
#include "onnx/onnx.h"
#include "mapnet.h"

static espl_machine machine(const char *name, int32_t rows, int32_t cols) {
  espl_machine m;
  espl_machine_default(&m);
  snprintf(m.name, sizeof m.name, "%s", name);
  m.rows = rows;
  m.cols = cols;
  int32_t g = espl_g(&m);
  if (m.rq_lanes > g) m.rq_lanes = g;
  m.fold = rows >= 8 && rows <= 16 && rows <= cols;
  return m;
}

static void compare(const char *who, uint64_t seed, const espl_qnet *q, int32_t t, const int8_t *want, const int8_t *got) {
  espl_shape s = q->tensor[t].shape;
  if (memcmp(want, got, (size_t)espl_shape_elems(s)) == 0) return;
  for (int64_t i = 0; i < espl_shape_elems(s); i++)
    cr_assert_eq(want[i], got[i], "seed %llu: %s: tensor %d [%d,%d,%d], value %lld is %d, expected %d", (unsigned long long)seed, who, t, s.c, s.h, s.w, (long long)i, got[i], want[i]);
}

/* Nothing was removed from the layer's weights (a random weight is zero once in 255). */
static bool whole_weights(const espl_qlayer *l) {
  int64_t n = (int64_t)l->in_c * l->out_c * l->kh * l->kw, zeros = 0;
  for (int64_t i = 0; l->w && i < n; i++) zeros += l->w[i] == 0;
  return zeros == 0;
}

/* The network timed without a program gives what the program's run gives: cycles, end, every counter of every layer. */
static void check_timed(const espl_qnet *q, const espl_machine *m, const espl_run_result *r, const espl_sim_result *sim) {
  espl_err err = {0};
  espl_sim_result t;
  cr_assert_eq(espl_time_network(q, m, &t, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(t.raw.cycles, r->cycles, "%s: %llu cycles timed, %llu run", m->name, (unsigned long long)t.raw.cycles, (unsigned long long)r->cycles);
  cr_assert(t.raw.hw_status == r->hw_status && t.raw.layers == r->layers && t.layers == r->layers);
  cr_assert_eq(memcmp(t.raw.counter, r->counter, sizeof r->counter), 0);
  for (int32_t i = 0; i < r->layers; i++) cr_assert_eq(memcmp(&t.raw.layer[i], &r->layer[i], sizeof r->layer[i]), 0, "%s: layer %d differs", m->name, i);
  if (sim) {
    cr_assert(t.overhead == sim->overhead && memcmp(&t.total, &sim->total, sizeof t.total) == 0);
    for (int32_t i = 0; i < r->layers; i++) cr_assert_eq(memcmp(&t.layer[i], &sim->layer[i], sizeof t.layer[i]), 0, "layer %d", i);
  }
  espl_sim_result_clear(&t);
}

/* A run that writes its bursts down takes every event in its own cycle; one that does not runs ahead where it can. Both end alike. */
static void check_ahead(const espl_program *p, const espl_machine *m) {
  espl_err err = {0};
  espl_machine mm = *m;
  mm.mem_bytes = p->mem_bytes;
  espl_bus_log log = {0};
  espl_run run = {.machine = &mm, .memory = p->image, .prog_addr = p->prog_addr, .prog_bytes = p->prog_bytes};
  espl_run_result ahead = {0}, plain = {0};
  cr_assert_eq(espl_device_timing(&run, &ahead, &err), ESPL_OK, "%s", err.msg);
  run.log = &log;
  cr_assert_eq(espl_device_timing(&run, &plain, &err), ESPL_OK, "%s", err.msg);
  cr_assert(ahead.cycles == plain.cycles && ahead.hw_status == plain.hw_status && ahead.layers == plain.layers && ahead.layers == p->layers, "%s: %llu and %llu cycles", m->name,
            (unsigned long long)ahead.cycles, (unsigned long long)plain.cycles);
  cr_assert_eq(memcmp(ahead.counter, plain.counter, sizeof plain.counter), 0);
  for (int32_t i = 0; i < plain.layers; i++) cr_assert_eq(memcmp(&ahead.layer[i], &plain.layer[i], sizeof plain.layer[i]), 0, "%s: layer %d differs", m->name, i);
  espl_run_result_clear(&ahead);
  espl_run_result_clear(&plain);
}

/* Maps, checks, runs on the model and on the CPU evaluation, and compares every tensor with the reference. Returns 0 when refused. */
static int check_net(const espl_qnet *q, const espl_machine *m, uint64_t seed, const char *must_fit) {
  espl_err err = {0};
  espl_program *p = NULL;
  int8_t *ref[3], *got[3];
  for (int i = 0; i < 3; i++) {
    int64_t n = espl_shape_elems(q->tensor[i].shape);
    ref[i] = malloc((size_t)n);
    got[i] = malloc((size_t)n);
    for (int64_t j = 0; i == 0 && j < n; j++) ref[0][j] = (int8_t)(uint8_t)espl_rng_u64(seed, 77, (uint64_t)j);
  }
  for (int32_t i = 0; i < q->layers; i++) qref_layer(q, i, ref);
  espl_status s = espl_map_build(q, m, &(espl_map_config){.keep = true}, &p, &err);
  if (s == ESPL_E_UNSUPPORTED && !must_fit) {
    for (int i = 0; i < 3; i++) free(ref[i]), free(got[i]);
    return 0;
  }
  cr_assert_eq(s, ESPL_OK, "seed %llu machine %s: %s", (unsigned long long)seed, m->name, err.msg);
  espl_machine mm = *m;
  mm.mem_bytes = p->mem_bytes;
  cr_assert_eq(espl_program_check(&mm, p->image, p->prog_addr, p->prog_bytes, &err), ESPL_OK, "seed %llu machine %s: %s", (unsigned long long)seed, m->name, err.msg);
  uint8_t *mem = calloc(p->mem_bytes, 1);
  espl_run_result r = {0};
  cr_assert_eq(espl_program_run(p, q, ESPL_ENGINE_MODEL, ref[0], NULL, mem, &r, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(r.hw_status, ESPL_HW_NONE, "seed %llu machine %s: stops with %s at command %u", (unsigned long long)seed, m->name, espl_hw_status_name(r.hw_status), r.err_index);
  check_timed(q, m, &r, NULL);
  check_ahead(p, m);
  espl_qexec *x = NULL;
  cr_assert_eq(espl_qexec_new(q, 1, &x, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_qexec_keep(x, &err), ESPL_OK);
  cr_assert_eq(espl_qexec_run(x, 1, ref[0], got[2], &err), ESPL_OK, "%s", err.msg);
  for (int32_t t = 1; t < 3; t++) {
    cr_assert_eq(espl_qexec_tensor(x, t, got[t], &err), ESPL_OK);
    compare("CPU evaluation", seed, q, t, ref[t], got[t]);
    espl_program_get_tensor(p, q, t, mem, got[t]);
    compare(m->name, seed, q, t, ref[t], got[t]);
  }
  for (int32_t i = 0; i < 2; i++) {
    const uint32_t *c = r.layer[i].counter;
    cr_assert_eq(c[ESPL_CNT_MACS], p->layer[i].macs);
    cr_assert_eq(c[ESPL_CNT_MACS_DENSE], (uint32_t)q->layer[i].macs_dense, "seed %llu: macs_dense %u", (unsigned long long)seed, c[ESPL_CNT_MACS_DENSE]);
    cr_assert_leq(c[ESPL_CNT_MACS], (uint32_t)q->layer[i].macs);
    if (whole_weights(&q->layer[i]) && q->layer[i].pool == ESPL_QPOOL_NONE) cr_assert_eq(c[ESPL_CNT_MACS], (uint32_t)q->layer[i].macs, "seed %llu: macs %u of %lld", (unsigned long long)seed, c[ESPL_CNT_MACS], (long long)q->layer[i].macs);
    uint64_t alone = 0;
    cr_assert_eq(espl_layer_cost(q, i, m, -1, &alone, &err), ESPL_OK, "%s", err.msg);
    cr_assert_eq(alone, c[ESPL_CNT_CYCLES], "seed %llu machine %s: layer %d alone %llu cycles, in the network %u", (unsigned long long)seed, m->name, i, (unsigned long long)alone, c[ESPL_CNT_CYCLES]);
  }
  espl_run_result_clear(&r);
  espl_qexec_free(x);
  espl_program_free(p);
  free(mem);
  for (int i = 0; i < 3; i++) free(ref[i]), free(got[i]);
  return 1;
}

static bool narrow_weights;

static void many(const espl_machine *m, int nets, int32_t most_c, int32_t most_px, const char *must_fit) {
  int ran = 0;
  for (int i = 0; i < nets; i++) {
    espl_rng r = {.seed = 20, .stream = (uint64_t)(m->rows * 1000 + m->cols), .counter = (uint64_t)i << 32};
    espl_qnet *q = mapnet_random(&r, most_c, most_px, m->rows < m->cols ? m->rows : m->cols);
    if (narrow_weights) mapnet_narrow(q, &r);
    ran += check_net(q, m, (uint64_t)i, must_fit);
    espl_qnet_free(q);
  }
  cr_assert_gt(ran, nets / 2, "machine %s: only %d of %d nets ran", m->name, ran, nets);
}

Test(map, random_layers_16x16) { espl_machine m = machine("16x16", 16, 16); many(&m, 40, 50, 20, "all"); }
Test(map, random_layers_8x16) { espl_machine m = machine("8x16", 8, 16); m.bus_bytes = 32; many(&m, 40, 40, 20, "all"); }
Test(map, random_layers_16x4) { espl_machine m = machine("16x4", 16, 4); m.acc_banks = 1; many(&m, 40, 40, 16, "all"); }
Test(map, random_layers_8x8) { espl_machine m = machine("8x8", 8, 8); m.idx_aw = 0; m.bus_bytes = 4; many(&m, 40, 40, 16, "all"); }
Test(map, random_layers_4x4) { espl_machine m = machine("4x4", 4, 4); m.rq_lanes = 1; m.rq_cycles = 18; many(&m, 30, 20, 12, "all"); }
Test(map, one_token_one_entry_queues) { espl_machine m = machine("shallow", 8, 8); m.token_max = 1; m.queue_depth = 1; m.bus_bytes = 8; many(&m, 30, 40, 16, "all"); }
Test(map, weight_formats_16x16) { narrow_weights = true; espl_machine m = machine("16x16", 16, 16); many(&m, 30, 50, 20, "all"); }
Test(map, weight_formats_4x4) { narrow_weights = true; espl_machine m = machine("4x4", 4, 4); m.w_book = 3; m.dw_banks = 0; m.bus_bytes = 32; many(&m, 30, 20, 12, "all"); }
Test(map, weight_formats_8x16) { narrow_weights = true; espl_machine m = machine("8x16", 8, 16); m.w_int4 = 0; m.w_book = 7; m.idx_aw = 0; many(&m, 30, 40, 16, "all"); }
Test(map, weight_formats_tiny_buffer) { narrow_weights = true; espl_machine m = machine("tiny", 8, 4); m.wgt_aw = 7; m.bus_bytes = 8; m.idx_aw = 5; many(&m, 30, 30, 16, NULL); }
Test(map, tiny_buffers_8x8) {
  espl_machine m = machine("tiny8", 8, 8);
  m.act_aw = 10;
  m.wgt_aw = 9;
  m.idx_aw = 5;
  m.par_aw = 4;
  m.acc_aw = 6;
  m.token_max = 3;
  many(&m, 60, 40, 24, NULL);
}
Test(map, tiny_buffers_4x16) {
  espl_machine m = machine("tiny4x16", 4, 16);
  m.dw_banks = 0; /* words of 4 bytes in beats of 32: parts cannot be written */
  m.act_aw = 9;
  m.wgt_aw = 8;
  m.idx_aw = 4;
  m.par_aw = 4;
  m.acc_aw = 5;
  m.bus_bytes = 32;
  m.token_max = 1;
  m.mem.num = 1;
  m.mem.den = 2;
  m.mem.shared_path = 1;
  m.mem.stall_mod = 7;
  many(&m, 60, 30, 20, NULL);
}
Test(map, tiny_weights_16x4) {
  espl_machine m = machine("tiny16x4", 16, 4);
  m.act_aw = 9;
  m.wgt_aw = 7;
  m.idx_aw = 0;
  m.par_aw = 2;
  m.acc_aw = 5;
  m.bus_bytes = 8;
  many(&m, 60, 40, 20, NULL);
}

/* A core without queues that keeps six bits of a size: images are wider than its offsets reach, buffers small enough for its runs. */
static espl_machine small_sizes(const char *name, int32_t dw_banks) {
  espl_machine m = machine(name, 4, 4);
  m.queue_depth = 0;
  m.dim_bits = 6;
  m.kernel = 5;
  m.bursts = m.mem.outstanding = 2;
  m.dw_banks = dw_banks;
  m.act_aw = 12;
  m.wgt_aw = 10;
  m.idx_aw = 8;
  m.par_aw = 6;
  m.acc_aw = 9;
  m.acc_banks = 1;
  m.rq_lanes = 1;
  m.rq_cycles = 18;
  return m;
}
Test(map, small_sizes_4x4) { espl_machine m = small_sizes("sizes", 0); many(&m, 60, 24, 60, NULL); }
Test(map, small_sizes_depthwise_4x4) { espl_machine m = small_sizes("sizes-dw", 3); many(&m, 60, 24, 60, NULL); }

/* ---- refusals ---- */

static espl_qnet *pool_net(int32_t px) {
  espl_rng r = {.seed = 3};
  espl_qnet *q = mapnet_random(&r, 4, 4, 4);
  espl_qlayer *l = &q->layer[1];
  q->layer[0].conv_h = q->layer[0].conv_w = q->tensor[0].shape.h = q->tensor[0].shape.w = q->tensor[1].shape.h = q->tensor[1].shape.w = px;
  q->layer[0].macs = q->layer[0].macs_dense = q->layer[0].onehot ? 0 : (int64_t)q->layer[0].in_c * q->layer[0].out_c * px * px;
  free(l->w);
  free(l->par);
  free(l->name);
  *l = (espl_qlayer){.in = 1, .out = 2, .res = -1, .onehot = true, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .groups = 1, .conv_h = px, .conv_w = px,
                     .pool = ESPL_QPOOL_AVG, .win_h = px, .win_w = px, .psy = 1, .psx = 1, .pool_fixed = true};
  l->in_c = l->out_c = q->tensor[1].shape.c;
  q->tensor[2].shape = (espl_shape){l->out_c, 1, 1};
  qref_fill(q, 1, &r, 0, 4);
  return q;
}

Test(map, pool_larger_than_accumulators_is_refused) {
  espl_machine m = machine("small", 8, 8);
  m.acc_aw = 6;
  espl_qnet *q = pool_net(9);
  espl_program *p = NULL;
  espl_err err = {0};
  cr_assert_eq(espl_map_network(q, &m, &p, &err), ESPL_E_UNSUPPORTED);
  cr_assert(strstr(err.msg, "81") && strstr(err.msg, "64"), "%s", err.msg);
  espl_qnet_free(q);
  q = pool_net(8);
  cr_assert_eq(check_net(q, &m, 1, "fits"), 1);
  espl_qnet_free(q);
}

/* A kernel of one row and stride 2: of 8 input rows it touches 4; the fifth output row lies below the image, in the padding. */
/* Blocks of a mean are named from the corner of the image: 8 bits of a size reach 127 pixels. */
Test(map, mean_out_of_reach_is_refused) {
  espl_machine m = machine("reach", 8, 8);
  m.dim_bits = 8;
  m.act_aw = m.wgt_aw = 15;
  m.par_aw = m.idx_aw = 8;
  for (int32_t px = 110; px <= 200; px += 30) {
    espl_qnet *q = pool_net(px);
    espl_qlayer *l = &q->layer[1];
    l->zo = q->tensor[1].zero; /* the average of the input's own bytes */
    l->lo = -128;
    l->hi = 127;
    for (int32_t c = 0; c < l->out_c; c++) l->par[c] = (espl_qparam){.m = 1 << 15, .s = 15, .bias = -l->zo};
    espl_program *p = NULL;
    espl_err err = {0};
    espl_status s = espl_map_network(q, &m, &p, &err);
    cr_expect_eq(s, px < 128 ? ESPL_OK : ESPL_E_UNSUPPORTED, "%d pixels: %s", (int)px, err.msg);
    cr_expect(s == ESPL_OK || strstr(err.msg, "up to 127"), "%s", err.msg);
    espl_program_free(p);
    espl_qnet_free(q);
  }
}
Test(map, output_rows_in_the_padding_alone) {
  for (int32_t rows = 4; rows <= 16; rows *= 2) {
    espl_machine m = machine("below", rows, rows);
    espl_qnet *q = pool_net(5);
    cr_assert(q->layer[0].kh == 1 && q->layer[0].pt == 0 && !q->layer[0].onehot);
    q->layer[0].sh = 2;
    q->tensor[0].shape.h = 8;
    q->tensor[0].shape.w = 8;
    q->layer[0].sw = 2;
    for (uint64_t seed = 0; seed < 4; seed++) cr_assert_eq(check_net(q, &m, seed, "fits"), 1);
    espl_qnet_free(q);
  }
}

Test(map, missing_option_is_refused) {
  espl_machine m = machine("plain", 8, 8);
  m.avgpool = 0;
  espl_qnet *q = pool_net(4);
  espl_program *p = NULL;
  espl_err err = {0};
  cr_assert_eq(espl_map_network(q, &m, &p, &err), ESPL_E_UNSUPPORTED);
  cr_assert(strstr(err.msg, "average pooling"), "%s", err.msg);
  espl_qnet_free(q);
}

/* ---- whole networks ---- */

/* Logits of the model equal the CPU evaluation; timing twin and model agree on cycles. */
static void whole(espl_graph *g, const espl_machine *m, espl_sim_result *out) {
  espl_err err = {0};
  espl_qnet *q = NULL;
  espl_program *p = NULL;
  espl_qexec *x = NULL;
  espl_sim_result t;
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  cr_assert_eq(espl_quantize(g, NULL, NULL, &cfg, &q, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_map_network(q, m, &p, &err), ESPL_OK, "%s", err.msg);
  int64_t n = espl_shape_elems(q->tensor[0].shape), k = espl_shape_elems(q->tensor[q->output].shape);
  int8_t *in = malloc((size_t)n), *logits = malloc((size_t)k);
  for (int64_t i = 0; i < n; i++) in[i] = (int8_t)(uint8_t)espl_rng_u64(5, 6, (uint64_t)i);
  cr_assert_eq(espl_qexec_new(q, 1, &x, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_qexec_run(x, 1, in, logits, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_simulate(p, q, ESPL_ENGINE_MODEL, in, NULL, out, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_simulate(p, q, ESPL_ENGINE_TIMING, NULL, NULL, &t, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(t.total.cycles, out->total.cycles);
  check_timed(q, m, &t.raw, &t);
  check_ahead(p, m);
  cr_assert_eq(memcmp(logits, out->logits, (size_t)k), 0, "logits of machine and CPU evaluation differ");
  espl_sim_result_clear(&t);
  espl_qexec_free(x);
  espl_program_free(p);
  espl_qnet_free(q);
  free(in);
  free(logits);
}

/* The bar of the 16x16 machine: 95 % of the roof in every layer whose roof is at least 2,000 cycles. */
static void bar(const espl_sim_result *r) {
  for (int32_t i = 0; i < r->layers; i++)
    if (r->layer[i].roof_cycles >= 2000) cr_assert_geq(r->layer[i].roof_fraction, 0.95, "%s reaches %.3f of its roof", r->layer[i].name, r->layer[i].roof_fraction);
  cr_assert_leq(r->total.roof_fraction, 1.0);
}

/* Memory of every kind: slow, shared, stalling, one burst at a time, many. */
Test(map, running_ahead_changes_nothing) {
  espl_err err = {0};
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  cr_assert_eq(espl_zoo_resnet8((espl_shape){3, 32, 32}, 10, 1, &g, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_quantize(g, NULL, NULL, &cfg, &q, &err), ESPL_OK, "%s", err.msg);
  static const struct { int32_t latency, write_latency, num, den, outstanding, shared, stall_mod; } t[] = {
      {40, 20, 1, 1, 8, 0, 0}, {1, 1, 1, 1, 16, 0, 0}, {200, 3, 1, 1, 2, 0, 0}, {40, 20, 1, 3, 8, 0, 0}, {40, 20, 1, 1, 8, 1, 0}, {20, 20, 2, 3, 1, 1, 9}, {40, 20, 1, 1, 16, 0, 2}};
  for (size_t i = 0; i < 2 * sizeof t / sizeof *t; i++) {
    espl_machine m = i % 2 ? machine("8x16", 8, 16) : machine("16x16", 16, 16);
    m.mem.read_latency = t[i / 2].latency;
    m.mem.write_latency = t[i / 2].write_latency;
    m.mem.num = t[i / 2].num;
    m.mem.den = t[i / 2].den;
    m.mem.outstanding = t[i / 2].outstanding;
    m.mem.shared_path = t[i / 2].shared;
    m.mem.stall_mod = t[i / 2].stall_mod;
    espl_program *p = NULL;
    cr_assert_eq(espl_map_network(q, &m, &p, &err), ESPL_OK, "%s", err.msg);
    check_ahead(p, &m);
    espl_program_free(p);
  }
  espl_qnet_free(q);
  espl_graph_free(g);
}

/* Estimates and a few measurements find plans as good as measuring every plan that is looked at; sums over the layers of ResNet-8. */
static void compare_choice(const espl_machine *m, double loss, double error) {
  espl_err err = {0};
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  cr_assert_eq(espl_zoo_resnet8((espl_shape){3, 32, 32}, 10, 1, &g, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_quantize(g, NULL, NULL, &cfg, &q, &err), ESPL_OK, "%s", err.msg);
  double chosen = 0, full = 0, estimated = 0;
  for (int32_t i = 0; i < q->layers; i++) {
    map_geom geom;
    map_plan plan, best;
    map_measured c, f;
    cr_assert_eq(map_geom_init(&geom, q, i, m, -1, &err), ESPL_OK, "%s", err.msg);
    cr_assert_eq(map_choose(&geom, &plan, &c, &err), ESPL_OK, "%s", err.msg);
    cr_assert_eq(map_choose_full(&geom, &best, &f, &err), ESPL_OK, "%s", err.msg);
    map_estimator *e = map_estimator_new(&geom);
    estimated += map_estimate(e, &plan);
    chosen += c.counter[ESPL_CNT_CYCLES];
    full += f.counter[ESPL_CNT_CYCLES];
    map_estimator_free(e);
    map_geom_clear(&geom);
  }
  cr_expect_leq(chosen, full * (1 + loss), "machine %s: %.0f cycles, %.0f by the full search", m->name, chosen, full);
  cr_expect_float_eq(estimated / chosen, 1, error, "machine %s: %.0f cycles estimated, %.0f measured", m->name, estimated, chosen);
  espl_qnet_free(q);
  espl_graph_free(g);
}

Test(map, choice_matches_the_full_search) {
  espl_machine m = machine("16x16", 16, 16);
  compare_choice(&m, 0.005, 0.01);
  m = machine("8x8", 8, 8);
  compare_choice(&m, 0.005, 0.01);
  m = machine("slow", 16, 16);
  m.mem.num = 1;
  m.mem.den = 4;
  compare_choice(&m, 0.01, 0.05);
}

Test(map, resnet8_reaches_its_roof) {
  espl_err err = {0};
  espl_graph *g = NULL;
  espl_sim_result r;
  cr_assert_eq(espl_zoo_resnet8((espl_shape){3, 32, 32}, 10, 1, &g, &err), ESPL_OK, "%s", err.msg);
  espl_machine m = machine("16x16", 16, 16);
  whole(g, &m, &r);
  bar(&r);
  cr_assert_eq(r.total.macs, (uint64_t)espl_graph_macs(g));
  cr_assert_lt(r.total.cycles, 61000, "80 %% of the array's peak");
  espl_sim_result_clear(&r);
  espl_graph_free(g);
}

static espl_graph *shared(const char *name) {
  const char *root = getenv("ESPL_SHARED");
  char path[512];
  snprintf(path, sizeof path, "%s/models/%s", root ? root : "../shared", name);
  FILE *f = fopen(path, "rb");
  if (!f) cr_skip_test("%s is not there: set ESPL_SHARED to the folder of shared material", path);
  fclose(f);
  espl_err err = {0};
  espl_graph *g = NULL;
  cr_assert_eq(espl_onnx_read(path, &g, &err), ESPL_OK, "%s", err.msg);
  return g;
}

Test(map, resnet20_bit_for_bit) {
  espl_graph *g = shared("resnet20_cifar10.onnx");
  espl_sim_result r;
  espl_machine m = machine("16x16", 16, 16);
  whole(g, &m, &r);
  bar(&r);
  cr_assert_geq(r.total.roof_fraction, 0.97);
  espl_sim_result_clear(&r);
  m = machine("8x16", 8, 16);
  whole(g, &m, &r);
  espl_sim_result_clear(&r);
  espl_graph_free(g);
}

Test(map, mnist8_bit_for_bit) {
  espl_graph *g = shared("mnist-8.onnx");
  espl_sim_result r;
  espl_machine m = machine("4x4", 4, 4);
  whole(g, &m, &r);
  espl_sim_result_clear(&r);
  m = machine("16x16", 16, 16);
  whole(g, &m, &r);
  espl_sim_result_clear(&r);
  espl_graph_free(g);
}

/* 3x3 over 3 channels on 16 rows: three passes of a whole kernel row instead of nine, the same logits (compared in whole()). */
Test(map, first_layer_folds) {
  espl_graph *g = NULL;
  espl_err err = {0};
  cr_assert_eq(espl_zoo_resnet8((espl_shape){3, 32, 32}, 10, 1, &g, &err), ESPL_OK, "%s", err.msg);
  espl_machine m = machine("16x16", 16, 16);
  espl_sim_result folded, plain;
  whole(g, &m, &folded);
  m.fold = 0;
  whole(g, &m, &plain);
  cr_expect_eq(plain.layer[0].tiles, 3 * folded.layer[0].tiles);
  cr_expect_eq(plain.layer[0].macs, folded.layer[0].macs, "the work is the same");
  cr_expect_eq(plain.layer[1].cycles, folded.layer[1].cycles);
  cr_expect_lt(5 * folded.layer[0].cycles, 2 * plain.layer[0].cycles);
  espl_sim_result_clear(&folded);
  espl_sim_result_clear(&plain);
  espl_graph_free(g);
}

/* ---- what compression buys ---- */

/* A 3x3 layer of 64 channels on 8x8 pixels; rows: bit k set when kernel row k has weights. */
static espl_qnet *conv64(int rows) {
  espl_rng r = {.seed = 6};
  espl_qnet *q = calloc(1, sizeof *q);
  *q = (espl_qnet){.name = strdup("conv64"), .tensors = 2, .layers = 1, .output = 1};
  q->tensor = calloc(2, sizeof *q->tensor);
  q->layer = calloc(1, sizeof *q->layer);
  q->tensor[0].shape = q->tensor[1].shape = (espl_shape){64, 8, 8};
  q->layer[0] = (espl_qlayer){.out = 1, .res = -1, .in_c = 64, .out_c = 64, .kh = 3, .kw = 3, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .pt = 1, .pl = 1, .pb = 1, .pr = 1,
                              .groups = 1, .conv_h = 8, .conv_w = 8, .win_h = 1, .win_w = 1, .psy = 1, .psx = 1};
  qref_fill(q, 0, &r, 0, 16);
  for (int64_t j = 0; j < 64 * 64 * 9; j++)
    if (!(rows >> (j % 9 / 3) & 1)) q->layer[0].w[j] = 0;
  return q;
}

static uint64_t cost(const espl_qnet *q, const espl_machine *m, int32_t zero_tiles) {
  espl_err err = {0};
  uint64_t c = 0;
  cr_assert_eq(espl_layer_cost(q, 0, m, zero_tiles, &c, &err), ESPL_OK, "%s", err.msg);
  return c;
}

Test(map, zero_tiles_save_their_passes) {
  espl_machine m = machine("16x16", 16, 16);
  espl_qnet *q = conv64(7);
  uint64_t dense = cost(q, &m, 0), last = dense;
  cr_assert_eq(dense, cost(q, &m, -1));
  for (int32_t z = 36; z < 144; z += 36) { /* 144 tiles, 64 cycles each */
    uint64_t c = cost(q, &m, z);
    cr_assert_lt(c, last - 36 * 64 + 100, "%d of 144 tiles absent: %llu cycles after %llu", z, (unsigned long long)c, (unsigned long long)last);
    last = c;
  }
  cr_assert_lt(cost(q, &m, 144), 600, "four passes of zeros");
  espl_qnet_free(q);
}

Test(map, absent_kernel_rows_need_no_index_buffer) {
  espl_machine m = machine("dense", 16, 16);
  m.idx_aw = 0;
  espl_qnet *all = conv64(7), *two = conv64(5), *one = conv64(2);
  uint64_t a = cost(all, &m, -1), b = cost(two, &m, -1), c = cost(one, &m, -1);
  cr_assert_geq(a, 144 * 64);
  cr_assert_lt(b, 96 * 64 + 300, "%llu cycles with two of three rows, %llu with all", (unsigned long long)b, (unsigned long long)a);
  cr_assert_lt(c, 48 * 64 + 300, "%llu cycles with one row", (unsigned long long)c);
  espl_qnet_free(all);
  espl_qnet_free(two);
  espl_qnet_free(one);
}
