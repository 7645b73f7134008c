/* The program check and the executor on a hand-made program: one 1x1 layer, 4 channels to 4, on a 4x4 machine with a 16-byte bus.
 * Expectations are computed here by hand from hw/spec/numerics.md. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "device/decode.h"
#include "device/device.h"
#include "model/exec.h"

enum { PROG = 0x4000, ACT = 0x1000, WGT = 0x2000, PAR = 0x3000, OUT = 0x8000, RECORD = 0x9000, MEM = 0x10000 };

struct prog {
  espl_machine m;
  uint8_t *mem;
  uint32_t n;
  espl_cmd_load act, wgt, par;
  espl_cmd_compute comp;
  espl_cmd_store store;
  espl_cmd_comp_geom geom;
  espl_cmd_comp_taps taps;
  espl_cmd_store_quant quant;
  uint32_t record;
  int no_strides;
  int late_load; /* a LOAD of the output behind the STORE, without a token */
};

static void put(struct prog *p, const uint32_t w[4]) { memcpy(p->mem + PROG + 16 * p->n++, w, 16); }

static struct prog start(void) {
  struct prog p;
  memset(&p, 0, sizeof p);
  espl_machine_default(&p.m);
  p.m.rows = p.m.cols = p.m.rq_lanes = 4;
  p.m.fold = 0;
  p.m.act_aw = p.m.wgt_aw = 8;
  p.m.par_aw = p.m.acc_aw = 4;
  p.m.mem_bytes = MEM;
  p.record = RECORD;
  p.mem = calloc(1, MEM);
  p.act = (espl_cmd_load){.buffer = 0, .addr = ACT, .row_bytes = 16, .rows = 1, .groups = 1};
  p.wgt = (espl_cmd_load){.buffer = 1, .addr = WGT, .row_bytes = 16, .rows = 1, .groups = 1, .push_compute = 1};
  p.par = (espl_cmd_load){.buffer = 3, .addr = PAR, .row_bytes = 64, .rows = 1, .groups = 1, .push_store = 1};
  p.geom = (espl_cmd_comp_geom){.in_h = 1, .in_w = 4, .row_words = 4, .plane_words = 4, .sy = 1, .sx = 1, .dy = 1, .dx = 1};
  p.taps = (espl_cmd_comp_taps){.ky_mask = 1, .kx_mask = 1, .tiles_total = 1, .macs = 64, .macs_dense = 64};
  p.comp = (espl_cmd_compute){.pop_load = 1, .first = 1, .last = 1, .n_tiles = 1, .out_h = 1, .out_w = 4};
  p.store = (espl_cmd_store){.pop_load = 1, .out_contig = 1, .out_addr = OUT, .groups = 1, .out_h = 1, .out_w = 4};
  p.quant = (espl_cmd_store_quant){.lo = 0x80, .hi = 0x7f, .pool_shift = 1};
  return p;
}

static void finish(struct prog *p) {
  uint32_t w[4];
  espl_cmd_load_stride ls = {0};
  espl_cmd_store_stride ss = {0};
  if (!p->no_strides) espl_cmd_load_stride_encode(&ls, w), put(p, w);
  espl_cmd_comp_geom_encode(&p->geom, w), put(p, w);
  espl_cmd_comp_taps_encode(&p->taps, w), put(p, w);
  if (!p->no_strides) espl_cmd_store_stride_encode(&ss, w), put(p, w);
  espl_cmd_store_quant_encode(&p->quant, w), put(p, w);
  espl_cmd_load_encode(&p->act, w), put(p, w);
  espl_cmd_load_encode(&p->wgt, w), put(p, w);
  espl_cmd_load_encode(&p->par, w), put(p, w);
  espl_cmd_compute_encode(&p->comp, w), put(p, w);
  espl_cmd_store_encode(&p->store, w), put(p, w);
  espl_cmd_load late = {.buffer = 0, .addr = OUT, .dst = 64, .row_bytes = 16, .rows = 1, .groups = 1};
  if (p->late_load) espl_cmd_load_encode(&late, w), put(p, w);
  espl_cmd_mark mark = {.record = p->record};
  espl_cmd_mark_encode(&mark, w), put(p, w);
  uint32_t end[4] = {ESPL_OPC_END, 0, 0, 0};
  memcpy(p->mem + PROG + 0x1000, end, 16);
}

static espl_status check(struct prog *p, espl_err *err) { return espl_program_check(&p->m, p->mem, PROG, 0x2000, err); }

Test(check, legal_program_passes) {
  struct prog p = start();
  espl_err err = {0};
  finish(&p);
  cr_assert_eq(check(&p, &err), ESPL_OK, "%s", err.msg);
  free(p.mem);
}

#define REFUSED(name, change, words)                                                             \
  Test(check, name) {                                                                            \
    struct prog p = start();                                                                     \
    espl_err err = {0};                                                                          \
    change;                                                                                      \
    finish(&p);                                                                                  \
    cr_assert_eq(check(&p, &err), ESPL_E_INPUT, "accepted");                                      \
    cr_assert(strstr(err.msg, words), "message \"%s\" lacks \"%s\"", err.msg, words);             \
    free(p.mem);                                                                                 \
  }

REFUSED(compute_without_token_reads_unordered, p.comp.pop_load = 0, "may not have written yet")
REFUSED(pop_of_an_empty_counter, p.wgt.push_compute = 0, "empty token counter (load->compute)")
REFUSED(store_of_a_bank_not_full, p.comp.last = 0, "bank 0 is taken, expected full")
REFUSED(add_to_a_free_bank, p.comp.first = 0, "bank 0 is free, expected taken")
REFUSED(parameters_not_loaded_in_order, p.store.pop_load = 0, "parameter buffer granule 0")
REFUSED(destination_off_the_bus, p.act.dst = 4, "differ modulo the bus width")
REFUSED(tile_larger_than_bank, (p.comp.out_h = 5, p.comp.out_w = 4), "holds 16")
REFUSED(write_into_program, p.store.out_addr = PROG, "into the program")
REFUSED(load_of_what_store_writes, p.late_load = 1, "without a token between them")
REFUSED(outside_memory, p.store.out_addr = MEM - 8, "memory ends at 0x10000")
REFUSED(record_outside_memory, p.record = MEM, "memory ends at 0x10000")
REFUSED(load_stride_never_set, (p.no_strides = 1, p.act.rows = 2), "before LOAD_STRIDE")
REFUSED(store_stride_never_set, (p.no_strides = 1, p.store.out_contig = 0, p.store.out_h = 2, p.store.out_w = 2), "before STORE_STRIDE")
REFUSED(credit_nobody_gives, p.comp.credit = 1, "no earlier load gives")
REFUSED(zero_rows, p.act.rows = 0, "BAD_FIELD")
REFUSED(second_bank_not_built, (p.m.acc_banks = 1, p.comp.bank = 1), "BAD_FIELD")

REFUSED(depthwise_not_built, (p.m.dw_banks = 0, p.comp.dw = 1), "BAD_FIELD")
REFUSED(fold_not_built, p.geom.fold = 1, "BAD_FIELD")
REFUSED(depthwise_and_sparse, p.comp.dw = p.comp.sparse = 1, "BAD_FIELD")
REFUSED(depthwise_of_one_column, p.comp.dw = 1, "one kernel column")
REFUSED(depthwise_of_too_many_rows, (p.comp.dw = p.geom.dw_cols = 1, p.geom.dw_rows = 3), "reads 3 at once")
REFUSED(depthwise_rows_meet, (p.comp.dw = p.geom.dw_cols = p.geom.dw_rows = 1), "kernel rows 0 and 1 lie in one of the 4 parts")

static void put_format(struct prog *p, uint32_t load_bits, uint32_t bits, uint32_t book, uint32_t parts) {
  uint32_t w[4];
  espl_cmd_load_wgt l = {.bits = load_bits};
  espl_cmd_comp_wgt c = {.bits = bits, .book = book};
  espl_cmd_load_wgt_encode(&l, w), put(p, w);
  espl_cmd_comp_wgt_encode(&c, w), put(p, w);
  for (uint32_t i = 0; i < parts; i++) {
    espl_cmd_comp_table t = {.part = i, .e1 = 5, .e2 = 0xfd, .e3 = 100};
    espl_cmd_comp_table_encode(&t, w), put(p, w);
  }
}

REFUSED(codebook_half_written, put_format(&p, 4, 4, 1, 1), "codebook table")
REFUSED(codebook_not_built, (p.m.w_book = 3, put_format(&p, 4, 4, 1, 2)), "BAD_FIELD")
REFUSED(format_of_a_machine_with_one, (p.m.w_book = p.m.w_int4 = 0, put_format(&p, 8, 8, 0, 0)), "BAD_FIELD")
REFUSED(int4_credits_for_int8_tiles, (p.wgt.credit = p.comp.credit = 1, p.wgt.push_compute = 0, p.act.push_compute = 1, put_format(&p, 4, 8, 0, 0)), "may not have written yet")

/* Codebook of two bits: a row of four codes is one byte; codes 1, 2, 3, 0 are 5, -3, 100, 0. */
Test(exec, codebook_row) {
  struct prog p = start();
  put_format(&p, 2, 2, 1, 1);
  finish(&p);
  for (int x = 0; x < 4; x++) p.mem[ACT + 4 * x] = (uint8_t)(x + 1); /* channel 0 only */
  p.mem[WGT] = 1 | 2 << 2 | 3 << 4;
  for (int c = 0; c < 4; c++) p.mem[PAR + 16 * c + 4] = 2, p.mem[PAR + 16 * c + 8] = 1; /* (2*acc + 1) >> 1 = acc */
  espl_err err = {0};
  espl_run run = {.machine = &p.m, .memory = p.mem, .prog_addr = PROG, .prog_bytes = 0x2000};
  espl_run_result r = {0};
  cr_assert_eq(check(&p, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_device_model(&run, &r, &err), ESPL_OK, "%s", err.msg);
  for (int x = 0; x < 4; x++) {
    const int want[4] = {5 * (x + 1), -3 * (x + 1), x == 0 ? 100 : 127, 0};
    for (int c = 0; c < 4; c++) cr_expect_eq((int8_t)p.mem[OUT + 4 * x + c], want[c], "pixel %d column %d is %d", x, c, (int8_t)p.mem[OUT + 4 * x + c]);
  }
  espl_run_result_clear(&r);
  free(p.mem);
}

Test(check, credit_orders_weights_without_token) {
  struct prog p = start();
  espl_err err = {0};
  p.wgt.push_compute = 0;
  p.act.push_compute = 1;
  p.wgt.credit = p.comp.credit = 1;
  finish(&p);
  cr_assert_eq(check(&p, &err), ESPL_OK, "%s", err.msg);
  free(p.mem);
}

/* units.md: met in the 64th dead cycle; `stop` is seen two cycles later, and from then on no head waits for anything. Without queues the first dead cycle is
 * the one in which the COMPUTE shows; with them that of the first CFG, a cycle of which counts as fill. */
Test(exec, deadlock_counts) {
  for (int32_t depth = 0; depth < 5; depth += 4) {
    struct prog p = start();
    uint32_t w[4];
    p.m.queue_depth = depth;
    espl_cmd_comp_geom_encode(&p.geom, w), put(&p, w);
    espl_cmd_comp_taps_encode(&p.taps, w), put(&p, w);
    espl_cmd_compute_encode(&p.comp, w), put(&p, w); /* a token that no load pushes */
    espl_cmd_end_encode(w), put(&p, w);
    espl_err err = {0};
    espl_run run = {.machine = &p.m, .memory = p.mem, .prog_addr = PROG, .prog_bytes = 16 * p.n};
    espl_run_result r = {0};
    cr_assert_eq(espl_device_model(&run, &r, &err), ESPL_OK, "%s", err.msg);
    cr_assert(r.hw_status == ESPL_HW_DEADLOCK && r.err_index == 2, "status %d at command %u", (int)r.hw_status, (unsigned)r.err_index);
    uint32_t waits = r.counter[ESPL_CNT_STALL_LOAD] + (depth ? r.counter[ESPL_CNT_STALL_FILL] : 0);
    cr_expect_eq(waits, 64 + 1, "queues of %d: %u cycles", (int)depth, (unsigned)waits);
    espl_run_result_clear(&r);
    free(p.mem);
  }
}

Test(exec, one_tile_layer) {
  struct prog p = start();
  finish(&p);
  /* pixel x has channels (x+1, 0, 0, -1); weights W[r][c] = r + 1 + c; m = 1, s = 1: q = (acc + bias + 1) >> 1 */
  for (int x = 0; x < 4; x++) {
    p.mem[ACT + 4 * x] = (uint8_t)(x + 1);
    p.mem[ACT + 4 * x + 3] = (uint8_t)-1;
  }
  for (int r = 0; r < 4; r++)
    for (int c = 0; c < 4; c++) p.mem[WGT + 4 * r + c] = (uint8_t)(r + 1 + c);
  for (int c = 0; c < 4; c++) {
    p.mem[PAR + 16 * c] = (uint8_t)(10 * c); /* bias */
    p.mem[PAR + 16 * c + 4] = 1;             /* m */
    p.mem[PAR + 16 * c + 8] = 1;             /* s */
  }
  espl_exec_state *s = espl_exec_state_new(&p.m, p.mem);
  for (uint32_t i = 0; i < p.n; i++) espl_exec_command(s, (const uint32_t *)(const void *)(p.mem + PROG + 16 * i));
  for (int x = 0; x < 4; x++)
    for (int c = 0; c < 4; c++) {
      int acc = (x + 1) * (1 + c) - (4 + c) + 10 * c;
      int q = (acc + 1) >> 1;
      cr_assert_eq((int8_t)p.mem[OUT + 4 * x + c], q, "pixel %d channel %d", x, c);
    }
  espl_exec_state_free(s);
  free(p.mem);
}

/* Two taps across: pixel x becomes W0[c] * a[x][c] + W1[c] * a[x+1][c]; behind the tile the zero point 3. */
Test(exec, one_depthwise_tile) {
  struct prog p = start();
  espl_err err = {0};
  p.comp.dw = p.geom.dw_cols = 1;
  p.geom.zi = 3;
  finish(&p);
  cr_assert_eq(check(&p, &err), ESPL_OK, "%s", err.msg);
  for (int i = 0; i < 16; i++) p.mem[ACT + i] = (uint8_t)(5 * i - 20);
  for (int i = 0; i < 8; i++) p.mem[WGT + i] = (uint8_t)(i < 4 ? i + 1 : 2 - i); /* only the rows that are taps are stored */
  for (int c = 0; c < 4; c++) {
    p.mem[PAR + 16 * c + 4] = 1;
    p.mem[PAR + 16 * c + 8] = 1;
  }
  espl_exec_state *s = espl_exec_state_new(&p.m, p.mem);
  for (uint32_t i = 0; i < p.n; i++) espl_exec_command(s, (const uint32_t *)(const void *)(p.mem + PROG + 16 * i));
  espl_exec_state_free(s);
  for (int x = 0; x < 4; x++)
    for (int c = 0; c < 4; c++) {
      int next = x < 3 ? 5 * (4 * (x + 1) + c) - 20 : 3, acc = (c + 1) * (5 * (4 * x + c) - 20) + (-2 - c) * next;
      int want = (acc + 1) >> 1;
      want = want < -128 ? -128 : want > 127 ? 127 : want;
      cr_assert_eq((int8_t)p.mem[OUT + 4 * x + c], want, "pixel %d channel %d: %d, expected %d", x, c, (int8_t)p.mem[OUT + 4 * x + c], want);
    }
  free(p.mem);
}
