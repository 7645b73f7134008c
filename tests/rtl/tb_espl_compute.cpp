// Compute unit and its timing twin under one random stimulus: commands, tokens, credits with late weights, bank frees, stop.
// In every cycle the registers that neighbours see must agree (tokens, credit, banks, queue, idle, blocked, waiting index), the
// counters whenever they are asked for, and every drained accumulator must hold what a direct convolution gives (numerics.md).
// Episodes have scarce or plentiful neighbours; some end with a stop. Every eighth has nothing to wait for: its passes must follow
// each other without a gap.
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "Vtb_espl_compute.h"
#include "tb_util.hpp"
extern "C" {
#include "timing/tsim.h"
void espl_tsim_error(espl_tsim*, int64_t, int32_t, uint32_t) {}
}

static const int R = P_Rows, C = P_Cols, B = P_BusBytes, G = R < C ? (R < 16 ? R : 16) : (C < 16 ? C : 16), NB = R / G;
#ifndef P_WBits
#define P_WBits 8
#endif
#ifndef P_WInt4
#define P_WInt4 0
#endif
#ifndef P_Fold
#define P_Fold 0
#endif
#ifndef P_WBook
#define P_WBook 0
#endif
static const int PIX_WORDS = 1 << (P_ActAw - __builtin_ctz((unsigned)G) < 16 ? P_ActAw - __builtin_ctz((unsigned)G) : 16);
static const int DW = P_DwBanks, DW_PARTS = DW > 2 ? 4 : DW == 2 ? 2 : 1, DW_CHANNELS = R < C ? R : C;
static const int WGT_BYTES = 1 << P_WgtAw, ACC_DEPTH = 1 << P_AccAw;
static const int TOKEN_MAX = 3, QUEUE = 4;
static long failures = 0, drained = 0, commands = 0, cycles_run = 0, tiles_dw = 0, followed = 0;

// Credits that can be taken in cycle t: those pushed before it.
static int64_t credits_at(const espl_tsim& s, int64_t t) {
  int64_t n = s.credit.there;
  for (uint32_t i = s.credit.head; i != s.credit.tail; i++)
    if (s.credit.t[i % ESPL_CREDITS] < t) n += s.credit.n[i % ESPL_CREDITS];
  return n;
}

typedef std::shared_ptr<std::vector<int32_t>> Drain;  // accumulators of one release: [address][column]
struct Beat {
  int sel, bank;
  uint32_t addr, strobe;
  uint8_t data[32];
};
struct Delivery {  // beats of one tile, then its credit
  std::vector<Beat> beats;
};

struct Bench {
  Vtb_espl_compute* top = new Vtb_espl_compute;
  Rng rng;
  espl_machine m;
  std::vector<uint8_t> act[64], wgt, idx;
  int32_t acc[2][1 << P_AccAw][P_Cols];
  int64_t next_prog = 0;

  explicit Bench(uint64_t seed) : rng(seed) {
    espl_machine mm = {};
    m = mm;
    m.rows = R, m.cols = C, m.bus_bytes = B, m.acc_banks = P_AccBanks, m.mul_stages = P_MulStages, m.token_max = TOKEN_MAX;
    m.act_aw = P_ActAw, m.wgt_aw = P_WgtAw, m.w_bits = P_WBits, m.w_int4 = P_WInt4, m.w_book = P_WBook, m.idx_aw = P_IdxAw, m.acc_aw = P_AccAw, m.queue_depth = QUEUE;
    memset(acc, 0, sizeof acc);
    for (int b = 0; b < NB; b++) act[b].assign(1u << P_ActAw, 0);
    wgt.assign((size_t)WGT_BYTES, 0);
    idx.assign(P_IdxAw ? 4u << P_IdxAw : 4u, 0);
  }
  ~Bench() { delete top; }

  std::vector<uint32_t> prog;  // four words a command
  std::vector<Drain> drains[2];
  std::deque<Delivery> deliveries;
  uint32_t wgt_next = 0;       // first byte of the weight buffer not given out in this episode (late weights)
  int bits = P_WBits, book = 0;  // format of stored weights
  int8_t table[256] = {0};
  bool late = false;
  espl_cmd_comp_geom geom = {};
  espl_cmd_comp_taps taps = {};
  bool open[2] = {false, false};

  void clock() {
    top->clk_i = 1;
    top->eval();
    top->clk_i = 0;
    top->eval();
  }
  void drive_beat(const Beat& b) {
    top->bw_we_i = 1;
    top->bw_sel_i = (CData)b.sel;
    top->bw_bank_i = (CData)b.bank;
    top->bw_addr_i = b.addr;
    top->bw_strb_i = b.strobe;
    for (int i = 0; i < B; i++) put_byte(top->bw_data_i, i, b.data[i]);
  }

  // Fills a buffer with random bytes: every beat twice, the first time with a random strobe and other data.
  void fill(int sel, int bank, std::vector<uint8_t>& mem) {
    for (uint32_t a = 0; a < mem.size(); a += (uint32_t)B) {
      uint32_t strobe = rng.next() & (uint32_t)((1ull << B) - 1);
      Beat b = {sel, bank, a, 0, {0}};
      for (int i = 0; i < B; i++) b.data[i] = (uint8_t)rng.next();
      for (int pass = 0; pass < 2; pass++) {
        b.strobe = pass ? ~strobe & (uint32_t)((1ull << B) - 1) : strobe;
        for (int i = 0; i < B; i++)
          if (b.strobe >> i & 1) mem[a + (uint32_t)i] = b.data[i];
        drive_beat(b);
        clock();
        for (int i = 0; i < B; i++) b.data[i] = (uint8_t)rng.next();
      }
    }
    top->bw_we_i = 0;
  }

  // ---- commands and what they must compute ----
  void push(const uint32_t w[4]) { prog.insert(prog.end(), w, w + 4); }

  void new_geom() {
    geom.in_h = (uint32_t)rng.range(1, 12);
    geom.in_w = (uint32_t)rng.range(1, 12);
    geom.row_words = (uint32_t)(rng.one_in(4) ? rng.range(1, 4095) : rng.range(1, 20));
    geom.plane_words = rng.next() & 0xffff;
    geom.sy = (uint32_t)rng.range(1, rng.one_in(3) ? 7 : 2);
    geom.sx = (uint32_t)rng.range(1, rng.one_in(3) ? 7 : 2);
    geom.dy = (uint32_t)rng.range(1, rng.one_in(3) ? 15 : 2);
    geom.dx = (uint32_t)rng.range(1, rng.one_in(3) ? 15 : 2);
    geom.zi = rng.next() & 255;
    geom.dw_rows = DW ? rng.below(rng.one_in(4) ? 4 : (uint32_t)DW) : rng.below(4);
    geom.dw_cols = (uint32_t)(rng.one_in(3) ? rng.below(16) : 1 + rng.below(4));
    if (rng.one_in(2)) geom.row_words |= 1, geom.dy |= 1;
    geom.fold = P_Fold && rng.one_in(2);
    uint32_t w[4];
    espl_cmd_comp_geom_encode(&geom, w);
    push(w);
  }
  uint32_t mask() { return rng.one_in(6) ? (rng.next() & 0xffff) | 1u << rng.below(16) : rng.range(1, 15); }
  void new_taps() {
    taps.ky_mask = mask();
    taps.kx_mask = mask();
    taps.tiles_total = rng.next() & 0xffff;
    taps.macs = rng.next() & 0xffffff;
    taps.macs_dense = rng.next() & 0xffffff;
    uint32_t w[4];
    espl_cmd_comp_taps_encode(&taps, w);
    push(w);
  }

  uint32_t row_bytes() const { return (uint32_t)(C * bits + 7) / 8; }
  void new_format() {
    static const bool choice = P_WInt4 || P_WBook;
    if (!choice) return;
    do {
      bits = rng.range(2, 8);
      book = (int)rng.below(2);
    } while (!espl_weight_built(&m, espl_weight_format{bits, book}));
    espl_cmd_comp_wgt f = {(uint32_t)bits, (uint32_t)book};
    uint32_t w[4];
    espl_cmd_comp_wgt_encode(&f, w);
    push(w);
    if (book || (P_WBook && rng.one_in(3))) new_table(book ? bits : P_WBook);
  }
  // A whole table for indices of b bits; what is written to entry 0 must not matter.
  void new_table(int b) {
    for (int part = 0; 8 * part < 1 << b; part++) {
      uint8_t e[8];
      for (int i = 0; i < 8; i++) {
        e[i] = (uint8_t)rng.next();
        if (part + i > 0) table[8 * part + i] = (int8_t)e[i];
      }
      espl_cmd_comp_table t = {(uint32_t)part, e[0], e[1], e[2], e[3], e[4], e[5], e[6], e[7]};
      uint32_t w[4];
      espl_cmd_comp_table_encode(&t, w);
      push(w);
    }
  }
  // Bit by bit, as numerics.md says it.
  int8_t weight(const espl_cmd_compute& c, int tile, int r, int col) { return stored_weight(c.wgt_base + (uint32_t)(tile * R + r), col); }
  int8_t stored_weight(uint32_t number, int col) {
    uint32_t row = number * row_bytes(), code = 0;
    for (int b = 0; b < bits; b++) {
      uint32_t at = (uint32_t)(col * bits + b);
      code |= (uint32_t)(wgt[(row + at / 8) & (uint32_t)(WGT_BYTES - 1)] >> at % 8 & 1) << b;
    }
    if (book) return table[code];
    return (int8_t)(code >= 1u << (bits - 1) ? (int)code - (1 << bits) : (int)code);
  }
  // One pass of the direct convolution.
  void convolve(const espl_cmd_compute& c, int tile, int cb, int ky, int kx, bool first) {
    for (uint32_t y = 0; y < c.out_h; y++)
      for (uint32_t x = 0; x < c.out_w; x++) {
        int iy = (int)(y * geom.sy) + ky * (int)geom.dy + c.off_y, ix = (int)(x * geom.sx) + kx * (int)geom.dx + c.off_x;
        bool pad = iy < 0 || iy >= (int)geom.in_h || ix < 0 || ix >= (int)geom.in_w;
        uint32_t word = (c.act_base + (uint32_t)cb * geom.plane_words + (uint32_t)iy * geom.row_words + (uint32_t)ix) & (uint32_t)(PIX_WORDS - 1);
        const uint32_t line = (c.act_base + (uint32_t)cb * geom.plane_words + (uint32_t)iy * geom.row_words) & 0xffff;
        for (int col = 0; col < C; col++) {
          int32_t sum = 0;
          for (int r = 0; r < R && tile >= 0; r++) {
            int a = (int8_t)(pad ? geom.zi : act[r / G][word * (uint32_t)G + (uint32_t)(r % G)]);
            if (geom.fold) {  // byte r of the row of four-byte pixels, from pixel ix on
              int pixel = ix + r / 4, byte = 4 * pixel + r % 4, from = byte >= 0 ? byte / G : -((-byte + G - 1) / G);
              bool out = iy < 0 || iy >= (int)geom.in_h || pixel < 0 || pixel >= (int)geom.in_w;
              a = (int8_t)(out ? geom.zi : act[0][((line + (uint32_t)from) & (uint32_t)(PIX_WORDS - 1)) * (uint32_t)G + (uint32_t)(byte - from * G)]);
            }
            sum += weight(c, tile, r, col) * a;
          }
          int32_t& v = acc[c.bank][y * c.out_w + x][col];
          v = (int32_t)((first ? 0u : (uint32_t)v) + (uint32_t)sum);
          v = (int32_t)((uint32_t)v << (32 - P_AccW)) >> (32 - P_AccW);
        }
      }
  }
  // A depthwise pass reads its kernel rows from different parts of a bank.
  bool depthwise_fits() const {
    if ((int)geom.dw_rows >= DW || geom.dw_cols == 0) return false;
    for (uint32_t i = 0; i <= geom.dw_rows; i++)
      for (uint32_t j = i + 1; j <= geom.dw_rows; j++)
        if ((j - i) * geom.dy * geom.row_words % (uint32_t)DW_PARTS == 0) return false;
    return true;
  }
  // One depthwise pass: column c takes channel c; array row 2p + h is tap p of kernel row h, from the middle on of kernel row 2 + h if there
  // are more than two.
  int8_t depthwise_weight(const espl_cmd_compute& c, int tile, int at, int col) {
    const int n = (int)geom.dw_rows + 1, room = n > 2 ? R / 4 : R / 2, stored = n * std::min((int)geom.dw_cols + 1, room);
    return stored_weight(c.wgt_base + (uint32_t)(tile * stored + at), col);
  }
  void depthwise(const espl_cmd_compute& c, int tile, int cb, int ky, int kx, bool first) {
    const int first_bank = (int)c.idx_base / (DW_CHANNELS / G) * (DW_CHANNELS / G) % NB;
    for (uint32_t y = 0; y < c.out_h; y++)
      for (uint32_t x = 0; x < c.out_w; x++)
        for (int col = 0; col < C; col++) {
          int32_t sum = 0;
          for (int r = 0, at = 0; r < R; r++) {  // rows that are no tap are not stored
            int k = r % 2, tap = r / 2;
            if (geom.dw_rows > 1 && r >= R / 2) k += 2, tap -= R / 4;
            if (k > (int)geom.dw_rows || tap > (int)geom.dw_cols) continue;
            int iy = (int)(y * geom.sy) + (ky + k) * (int)geom.dy + c.off_y, ix = (int)(x * geom.sx) + kx * (int)geom.dx + tap + c.off_x;
            bool pad = iy < 0 || iy >= (int)geom.in_h || ix < 0 || ix >= (int)geom.in_w;
            uint32_t word = (c.act_base + (uint32_t)cb * geom.plane_words + (uint32_t)iy * geom.row_words + (uint32_t)ix) & (uint32_t)(PIX_WORDS - 1);
            int a = (int8_t)(pad ? geom.zi : act[first_bank + col % DW_CHANNELS / G][word * (uint32_t)G + (uint32_t)(col % G)]);
            sum += depthwise_weight(c, tile, at++, col) * a;
          }
          int32_t& v = acc[c.bank][y * c.out_w + x][col];
          v = (int32_t)((first ? 0u : (uint32_t)v) + (uint32_t)sum);
          v = (int32_t)((uint32_t)v << (32 - P_AccW)) >> (32 - P_AccW);
        }
  }
  void expect(const espl_cmd_compute& c) {
    if (c.n_tiles == 0) convolve(c, -1, 0, 0, 0, c.first);
    int tile = 0;
    if (c.sparse) {
      for (; tile < (int)c.n_tiles; tile++) {
        const uint8_t* e = &idx[4 * ((c.idx_base + (uint32_t)tile) & ((1u << P_IdxAw) - 1))];
        convolve(c, tile, e[2] | e[3] << 8, e[1], e[0], c.first && tile == 0);
      }
      return;
    }
    for (int cb = 0; tile < (int)c.n_tiles; cb++)
      for (int ky = 0; ky < 16; ky++)
        for (int kx = 0; kx < 16; kx++)
          if ((taps.ky_mask >> ky & 1) && (taps.kx_mask >> kx & 1) && tile < (int)c.n_tiles) {
            if (c.dw) depthwise(c, tile, cb, ky, kx, c.first && tile == 0), tiles_dw++;
            else convolve(c, tile, cb, ky, kx, c.first && tile == 0);
            tile++;
          }
  }

  // Late weights: the tile's bytes reach the buffer just before its credit.
  void late_tiles(espl_cmd_compute& c) {
    const uint32_t row = row_bytes(), bytes = (uint32_t)R * row;
    c.wgt_base = (wgt_next + row - 1) / row;
    wgt_next = (c.wgt_base + c.n_tiles * (uint32_t)R) * row;
    for (uint32_t t = 0; t < c.n_tiles; t++) {
      Delivery d;
      uint32_t from = c.wgt_base * row + t * bytes, to = from + bytes;
      for (uint32_t a = from; a < to; a++) wgt[a] = (uint8_t)rng.next();
      for (uint32_t a = from / (uint32_t)B * (uint32_t)B; a < to; a += (uint32_t)B) {
        Beat b = {1, rng.range(0, 255), a, 0, {0}};
        for (int i = 0; i < B; i++) {
          bool mine = a + (uint32_t)i >= from && a + (uint32_t)i < to;
          b.data[i] = mine ? wgt[a + (uint32_t)i] : (uint8_t)rng.next();
          if (mine) b.strobe |= 1u << i;
        }
        d.beats.push_back(b);
      }
      deliveries.push_back(d);
    }
  }

  // Plain: accumulate in one bank for as long as the array needs to drain, M >= R, nothing to wait for.
  void new_compute(bool plain, bool final) {
    espl_cmd_compute c = {};
    c.bank = P_AccBanks == 2 && !plain ? rng.below(2) : 0;
    c.first = !open[c.bank];
    c.last = plain ? final : !rng.one_in(3);
    open[c.bank] = !c.last;
    if (!plain) {
      c.pop_load = rng.below(2);
      c.pop_store = rng.one_in(3);
      c.push_load = rng.below(2);
      c.push_store = rng.below(2);
    }
    c.act_base = rng.next() & 0xffff;
    c.n_tiles = plain ? (uint32_t)(R / 2 + C + 5) / (uint32_t)R + 1 : (uint32_t)rng.range(1, rng.one_in(4) ? 20 : 5);
    c.sparse = P_IdxAw > 0 && rng.below(2);
    c.dw = !c.sparse && rng.below(2) && depthwise_fits();
    c.credit = late || (!plain && rng.one_in(3));
    c.wgt_base = rng.next() & 0xffff;
    c.idx_base = rng.next() & (c.dw ? 4095 : (1u << P_IdxAw) - 1);
    if (c.sparse && !plain && rng.one_in(6)) c.n_tiles = 0;
    if (late && wgt_next + (c.n_tiles * (uint32_t)R + 1) * row_bytes() > (uint32_t)WGT_BYTES) c.n_tiles = 1, wgt_next = WGT_BYTES;
    if (late && wgt_next >= (uint32_t)WGT_BYTES) c.credit = 0, late = false;
    if (late) late_tiles(c);
    else if (c.credit) deliveries.insert(deliveries.end(), c.n_tiles, Delivery());
    do {
      c.out_h = (uint32_t)(plain ? 8 : rng.range(1, 8));
      c.out_w = (uint32_t)(plain ? (R + 7) / 8 + (int)rng.below(2) : rng.range(1, rng.one_in(8) ? ACC_DEPTH : 8));
    } while ((int)(c.out_h * c.out_w) > ACC_DEPTH);
    c.off_y = rng.one_in(10) ? rng.range(-2048, 2047) : rng.range(-6, 6);
    c.off_x = rng.one_in(10) ? rng.range(-2048, 2047) : rng.range(-6, 6);
    uint32_t w[4];
    espl_cmd_compute_encode(&c, w);
    push(w);
    expect(c);
    commands++;
    if (c.last) {
      Drain d = std::make_shared<std::vector<int32_t>>(&acc[c.bank][0][0], &acc[c.bank][0][0] + ACC_DEPTH * C);
      drains[c.bank].push_back(d);
    }
  }

  void episode(uint64_t number, bool plain);
};

#define CHECK(what, rtl, twin)                                                                                              \
  do {                                                                                                                      \
    if ((int64_t)(rtl) != (int64_t)(twin) && failures++ < 12)                                                              \
      printf("FAIL episode %llu cycle %lld: %s is %lld in RTL, %lld in the twin\n", (unsigned long long)number, (long long)t, what, \
             (long long)(rtl), (long long)(twin));                                                                          \
  } while (0)

// Store's part of the stimulus: reads a full bank in some order, compares, frees.
struct Drainer {
  bool active = false;
  int bank = 0, pos = 0, wait = 0;
  std::vector<int> order;  // address * groups + group
  Drain want;
};
struct InFlight {
  int64_t due;
  int addr, group;
  Drain want;
};

void Bench::episode(uint64_t number, bool plain) {
  prog.clear();
  deliveries.clear();
  for (int b = 0; b < 2; b++) drains[b].clear(), open[b] = false;
  memset(acc, 0, sizeof acc);
  delete top;
  top = new Vtb_espl_compute;  // accumulators start as zeros
  top->clk_i = 0;
  top->eval();
  late = !plain && rng.one_in(2);
  wgt_next = 0;
  top->rst_i = 1;
  top->q_valid_i = 0, top->stop_i = 0, top->bank_free_i = 0, top->acc_re_i = 0, top->bw_we_i = 0;
  top->tok_lc_avail_i = top->tok_sc_avail_i = top->tok_cl_room_i = top->tok_cs_room_i = top->credit_avail_i = 0;
  for (int b = 0; b < NB; b++) fill(0, b, act[b]);
  fill(1, 0, wgt);
  if (P_IdxAw) fill(2, 0, idx);
  top->rst_i = 0;

  bits = P_WBits, book = 0;
  if (!rng.one_in(4)) new_format();
  new_geom();
  new_taps();
  const int n = plain ? 12 : rng.range(4, 14);
  for (int i = 0; i < n; i++) {
    if (!plain && rng.one_in(5)) new_geom();
    if (!plain && rng.one_in(3)) new_taps();
    if (!plain && rng.one_in(3)) new_format();
    if (plain && i > 0 && rng.one_in(4)) new_taps();
    new_compute(plain, i == n - 1);
  }
  const uint32_t total = (uint32_t)(prog.size() / 4);
  std::vector<uint8_t> executed(total, 0);

  espl_tsim s = {};
  s.m = &m;
  s.prog = (const uint32_t(*)[4])prog.data();
  s.prog_count = total;
  s.executed = executed.data();
  s.stop_at = ESPL_NEVER;
  for (auto& w : s.wake) w = ESPL_NEVER;
  for (auto& w : s.later) w = ESPL_NEVER;
  s.wake[ESPL_T_COMPUTE] = 1;
  s.compute = espl_tcompute_new(&m);

  static const uint32_t rates[] = {1, 1, 2, 5, 30};
  uint32_t rate_q = rates[rng.below(5)], rate_tok = rates[rng.below(5)], rate_pop = rates[rng.below(5)], rate_credit = rates[rng.below(5)];
  uint32_t rate_drain = rates[rng.below(4)], rate_ask = rates[rng.below(5)];
  if (plain) rate_q = rate_tok = rate_pop = rate_credit = 1;
  const int64_t stop_at = !plain && rng.one_in(4) ? rng.range(5, 600) : ESPL_NEVER;
  int tok[ESPL_TOK_COUNT] = {0};
  int credit = 0, freed = 0;
  std::deque<uint32_t> queue;
  uint32_t pushed = 0;
  size_t beat = 0;
  int credit_due = 0;  // a delivered tile's credit is given one cycle after its last beat
  int64_t counter[ESPL_CNT_COUNT] = {0};
  Drainer dr[2];
  size_t drain_no[2] = {0, 0};
  int seen[2] = {0, 0}, rested[2] = {0, 0};
  bool in_order[2] = {true, false};  // drains in the order of pixels, as soon as it may
  std::deque<InFlight> flight;
  int quiet = 0;
  int64_t t = 1, first_busy = 0, last_busy = 0;

  for (; quiet < 60 && t < 200000; t++) {
    // Inputs are registers of the neighbours.
    const bool stop = t >= stop_at;
    s.now = t;
    top->stop_i = stop;
    top->q_valid_i = !queue.empty();
    for (int w = 0; w < 4; w++) put_word(top->q_cmd_i, w, queue.empty() ? rng.next() : prog[4 * queue.front() + (uint32_t)w]);
    top->q_idx_i = queue.empty() ? rng.next() & 0xffffff : queue.front();
    top->tok_lc_avail_i = tok[ESPL_TOK_LC] > 0;
    top->tok_sc_avail_i = tok[ESPL_TOK_SC] > 0;
    top->tok_cl_room_i = tok[ESPL_TOK_CL] < TOKEN_MAX;
    top->tok_cs_room_i = tok[ESPL_TOK_CS] < TOKEN_MAX;
    top->credit_avail_i = credit > 0;
    top->bank_free_i = (CData)freed;
    // Weights on their way.
    bool beat_now = !deliveries.empty() && beat < deliveries.front().beats.size() && rng.one_in(rate_credit);
    top->bw_we_i = 0;
    bool give_credit = credit_due > 0;
    if (give_credit) credit_due--;
    if (beat_now) drive_beat(deliveries.front().beats[beat++]);
    if (!deliveries.empty() && beat == deliveries.front().beats.size() && (beat_now || (deliveries.front().beats.empty() && rng.one_in(rate_credit)))) {
      deliveries.pop_front();
      beat = 0;
      credit_due++;
    }
    // Store side reads in the third cycle in which it sees the bank full, or later.
    top->eval();
    int full_now = top->bank_full_o;
    int free_now = 0;
    top->acc_re_i = 0;
    for (int b = 0; b < 2; b++) {
      Drainer& d = dr[b];
      seen[b] = full_now >> b & 1 ? seen[b] + 1 : 0;
      rested[b] = top->bank_done_o >> b & 1 ? rested[b] + 1 : 0;
      const bool done = rested[b] >= 3;
      if (!d.active && (done || (seen[b] >= 3 && in_order[b]))) {
        d.active = true;
        d.pos = 0;
        d.order.clear();
        if (drain_no[b] >= drains[b].size()) {
          CHECK("released banks", drain_no[b] + 1, drains[b].size());
          continue;
        }
        d.want = drains[b][drain_no[b]++];
        int cells = ACC_DEPTH * (C / G), reads = rng.one_in(3) ? cells : rng.range(1, 12);
        int from = rng.one_in(2) ? 0 : (int)rng.below((uint32_t)cells);
        if (!done) from = 0;  // behind the pass that still writes
        for (int i = 0; i < reads; i++) d.order.push_back(done && rng.one_in(4) ? (int)rng.below((uint32_t)cells) : (from + i) % cells);
        if (!done) followed++, in_order[b] = rng.below(2);
        else if (rng.one_in(2)) std::swap(d.order[0], d.order[(size_t)rng.below((uint32_t)d.order.size())]);
      }
      if (d.active && !top->acc_re_i && !(rate_drain > 1 && !rng.one_in(rate_drain)) && d.pos < (int)d.order.size()) {
        int cell = d.order[(size_t)d.pos++];
        top->acc_re_i = 1;
        top->acc_rbank_i = (CData)b;
        top->acc_rgroup_i = (CData)(cell % (C / G));
        top->acc_raddr_i = (SData)(cell / (C / G));
        flight.push_back({t + 2, cell / (C / G), cell % (C / G), d.want});
        if (d.pos == (int)d.order.size()) free_now |= 1 << b, d.active = false;
      }
    }
    top->eval();
    if (!flight.empty() && flight.front().due == t) {
      const InFlight& f = flight.front();
      for (int g = 0; g < G; g++) {
        int32_t got = get_field(top->acc_rdata_o, g * P_AccW, P_AccW), want = (*f.want)[(size_t)(f.addr * C + f.group * G + g)];
        drained++;
        if (got != want && failures++ < 12)
          printf("FAIL episode %llu cycle %lld: accumulator %d column %d is %d, expected %d\n", (unsigned long long)number, (long long)t, f.addr,
                 f.group * G + g, got, want);
      }
      flight.pop_front();
    }

    // What neighbours see in this cycle.
    CHECK("idle", top->idle_o, espl_tcompute_idle(&s, t));
    CHECK("blocked", top->blocked_o, espl_tcompute_blocked(&s, t));
    uint32_t wi = espl_tcompute_waiting_index(&s, t);
    CHECK("wait_valid", top->wait_valid_o, wi != UINT32_MAX);
    if (top->wait_valid_o) CHECK("wait_idx", top->wait_idx_o, wi);
    for (int b = 0; b < P_AccBanks; b++) {
      CHECK("bank full", full_now >> b & 1, espl_reg_get(&s.bank[b].full, t));
      CHECK("bank done", top->bank_done_o >> b & 1, espl_reg_get(&s.bank[b].full, t) && t > s.bank[b].moving_to);
    }
    for (int k = 0; k < ESPL_TOK_COUNT; k++) CHECK("token", tok[k], espl_reg_get(&s.token[k], t));
    CHECK("credit", credit, credits_at(s, t));
    CHECK("queue level", queue.size(), s.queue[ESPL_UNIT_COMPUTE].count);

    static const int of_cause[] = {ESPL_CNT_BUSY,          ESPL_CNT_STALL_LOAD, ESPL_CNT_STALL_STORE, ESPL_CNT_STALL_BANK,
                                   ESPL_CNT_STALL_WEIGHTS, ESPL_CNT_STALL_FILL, ESPL_CNT_STALL_FULL,  ESPL_CNT_IDLE};
    counter[of_cause[top->cnt_cause_o]]++;
    if (top->cnt_cause_o == 0) {
      last_busy = t;
      if (!first_busy) first_busy = t;
    }
    if (top->cnt_cmd_o) {
      counter[ESPL_CNT_MACS] += top->cnt_macs_o;
      counter[ESPL_CNT_MACS_DENSE] += top->cnt_macs_dense_o;
      counter[ESPL_CNT_TILES] += top->cnt_tiles_o;
      counter[ESPL_CNT_TILES_SKIPPED] += top->cnt_skipped_o;
    }

    // Neighbours act, in the twin before or after the unit.
    bool room[ESPL_TOK_COUNT];
    for (int k = 0; k < ESPL_TOK_COUNT; k++) room[k] = tok[k] < TOKEN_MAX;
    const bool push_lc = room[ESPL_TOK_LC] && rng.one_in(rate_tok), push_sc = room[ESPL_TOK_SC] && rng.one_in(rate_tok);
    const bool pop_cl = tok[ESPL_TOK_CL] > 0 && rng.one_in(rate_pop), pop_cs = tok[ESPL_TOK_CS] > 0 && rng.one_in(rate_pop);
    const bool push_q = pushed < total && (int)queue.size() < QUEUE && !stop && rng.one_in(rate_q);
    const uint32_t new_index = pushed;
    auto act_twin = [&]() {
      if (push_lc) espl_reg_add(&s.token[ESPL_TOK_LC], t, 1);
      if (push_sc) espl_reg_add(&s.token[ESPL_TOK_SC], t, 1);
      if (pop_cl) espl_reg_add(&s.token[ESPL_TOK_CL], t, -1);
      if (pop_cs) espl_reg_add(&s.token[ESPL_TOK_CS], t, -1);
      if (give_credit) espl_credit_push(&s, t, 1);
      for (int b = 0; b < 2; b++)
        if (free_now >> b & 1) espl_reg_set(&s.bank[b].taken, t, 0), espl_reg_set(&s.bank[b].full, t, 0);
      if (push_q) espl_queue_push(&s.queue[ESPL_UNIT_COMPUTE], t, new_index);
      if (stop_at == t + 1) s.stop_at = t + 1;
      if (push_lc || push_sc || pop_cl || pop_cs || give_credit || free_now || push_q || stop_at == t + 1) espl_wake(&s, ESPL_T_COMPUTE, t + 1);
    };
    const bool twin_first = rng.below(2);
    bool ask = rng.one_in(rate_ask), ask_late = rng.below(2);
    if (twin_first) act_twin();
    if (ask && !ask_late) espl_tcompute_account(&s, t);
    if (s.wake[ESPL_T_COMPUTE] <= t) {
      s.wake[ESPL_T_COMPUTE] = s.later[ESPL_T_COMPUTE];
      s.later[ESPL_T_COMPUTE] = ESPL_NEVER;
      espl_tcompute_eval(&s, t);
    } else if (rng.one_in(50)) {
      espl_tcompute_eval(&s, t);  // once too often must not matter
    }
    if (!twin_first) act_twin();
    if (ask) {
      if (ask_late) espl_tcompute_account(&s, t);
      static const int counted[] = {ESPL_CNT_BUSY, ESPL_CNT_STALL_LOAD, ESPL_CNT_STALL_STORE, ESPL_CNT_STALL_BANK, ESPL_CNT_STALL_WEIGHTS, ESPL_CNT_STALL_FILL, ESPL_CNT_STALL_FULL, ESPL_CNT_IDLE};
      int64_t sum = 0;
      for (int k : counted) {
        CHECK(espl_counter_name(k), counter[k], s.counter[k]);
        sum += counter[k];
      }
      CHECK("sum of causes", t, sum);
    }

    // Registers of the neighbours at the end of the cycle.
    if (top->q_pop_o) {
      if (queue.empty()) CHECK("pop of an empty queue", 1, 0);
      else queue.pop_front();
    }
    tok[ESPL_TOK_LC] += push_lc - top->tok_lc_pop_o;
    tok[ESPL_TOK_SC] += push_sc - top->tok_sc_pop_o;
    tok[ESPL_TOK_CL] += top->tok_cl_push_o - pop_cl;
    tok[ESPL_TOK_CS] += top->tok_cs_push_o - pop_cs;
    credit += give_credit - top->credit_pop_o;
    freed = free_now;
    if (push_q) queue.push_back(pushed++);
    bool live = (!stop && (pushed < total || !queue.empty())) || !top->idle_o || dr[0].active || dr[1].active || !flight.empty();
    quiet = live ? 0 : quiet + 1;
    clock();
  }
  cycles_run += t;
  espl_tcompute_account(&s, t - 1);
  static const int per_command[] = {ESPL_CNT_MACS, ESPL_CNT_MACS_DENSE, ESPL_CNT_TILES, ESPL_CNT_TILES_SKIPPED};
  for (int k : per_command) CHECK(espl_counter_name(k), counter[k], s.counter[k]);
  if (stop_at == ESPL_NEVER) {
    CHECK("commands executed", pushed, total);
    for (int b = 0; b < 2; b++) CHECK("banks drained", drain_no[b], drains[b].size());
    for (uint32_t i = 0; i < total; i++) CHECK("command taken", 1, executed[i]);
  }
  if (quiet < 60) CHECK("episode ends", 0, 1);
  if (plain) CHECK("cycles without a pass", last_busy - first_busy + 1 - counter[ESPL_CNT_BUSY], 0);
  espl_tcompute_free(s.compute);
}

int main(int argc, char** argv) {
  uint64_t seed = tb_seed(argc, argv);
  int episodes = argc > 2 ? atoi(argv[2]) : 60;
  Bench bench(seed);
  for (int e = 0; e < episodes && failures < 12; e++) bench.episode((uint64_t)e, e % 8 == 7);
  printf("%s tb_espl_compute %dx%d bus %d banks %d mul_stages %d idx %d dw %d weights %d+%d/%d seed %llu: %ld commands, %ld depthwise tiles, %ld accumulators, %ld cycles, %ld failures\n",
         failures || !drained || !followed || (DW && !tiles_dw) ? "FAIL" : "PASS", R, C, B, P_AccBanks, P_MulStages, P_IdxAw, DW, P_WBits, P_WInt4, P_WBook,
         (unsigned long long)seed, commands,
         tiles_dw, drained, cycles_run, failures);
  return failures || !drained || !followed || (DW && !tiles_dw);
}
