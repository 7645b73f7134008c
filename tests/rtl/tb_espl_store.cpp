// espl_store and its C twin in lockstep: random CFG and STORE commands, tokens, banks, grants, memory timing, stops and bus errors.
// Every cycle compares queue pops, token counters, bank state, requests, errors and observations; the bytes written are compared with the formulas
// of hw/spec/numerics.md, evaluated pixel by pixel. Usage: tb_espl_store SEED BATCHES. Structural parameters come as macros P_*.
#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "Vtb_espl_store.h"
#include "tb_util.hpp"
extern "C" {
#include "timing/tsim.h"
}
#include "model/requant.h"

enum { MEM = 1 << 16, QDEPTH = 4 };
static const int MINRC = P_Rows < P_Cols ? P_Rows : P_Cols, G = MINRC < 16 ? MINRC : 16, B = P_BusBytes, NPAR = 1 << P_ParAw, NACC = 1 << P_AccAw;

static espl_tsim S;
static int64_t twin_err_met;
static int twin_err_code;
static uint32_t twin_err_index;
extern "C" void espl_tsim_error(espl_tsim *s, int64_t now, int32_t code, uint32_t index) {
  if (twin_err_met != ESPL_NEVER) return;
  twin_err_met = now, twin_err_code = code, twin_err_index = index;
  if (now + 2 >= s->stop_at) return;
  s->stop_at = now + 2;
  espl_wake(s, ESPL_T_STORE, now + 2);
}

struct Burst { uint32_t addr; espl_burst_time t; bool bad; int next; };
struct Tap { int bank, group, addr; bool on; };

struct Tb {
  std::unique_ptr<Vtb_espl_store> top{new Vtb_espl_store};
  espl_machine m{};
  Rng rng;
  uint64_t seed;
  std::vector<std::array<uint32_t, 4>> prog;
  std::vector<uint8_t> mem, want, done;
  std::vector<espl_rq_param> par;
  std::vector<int32_t> acc[2];
  std::deque<Burst> rd, wr;
  std::deque<std::pair<int64_t, bool>> rsp;
  int tok[ESPL_TOK_COUNT];
  bool full[2];
  int open[2];
  Tap tap[2];
  int64_t now = 0;
  bool errors, any_stop;
  int banks;  // accumulator banks in use
  int64_t ext_stop;
  uint32_t fed, expected_at, stores = 0;
  // configuration as the expected-value walk sees it
  espl_cmd_store_stride stride{};
  espl_cmd_store_quant quant{};
  espl_cmd_store_pool pool{};
  uint16_t table[16];
  int fails = 0;

  explicit Tb(uint64_t sd) : rng(sd), seed(sd) {}
  void fail(const char *what, int64_t got, int64_t wanted) {
    if (fails++ < 10) printf("FAIL tb_espl_store seed %llu cycle %lld: %s rtl %lld twin %lld\n", (unsigned long long)seed, (long long)now, what, (long long)got, (long long)wanted);
  }
  void check(const char *what, int64_t got, int64_t wanted) { if (got != wanted) fail(what, got, wanted); }

  void tick() { top->clk_i = 1; top->eval(); top->clk_i = 0; }

  // ---- program ----
  void push(const uint32_t w[4]) { prog.push_back({w[0], w[1], w[2], w[3]}); }
  int pick_dim(int small, int big) { return rng.one_in(4) ? rng.range(1, big) : rng.range(1, small); }

  void cfg_quant() {
    espl_cmd_store_quant q{};
    q.zo = rng.below(256), q.zr = rng.below(256), q.pool_zo = rng.below(256);
    int lo = rng.range(-128, 127), hi = rng.range(-128, 127);
    if (rng.one_in(2)) lo = -128, hi = 127;
    if (lo > hi) std::swap(lo, hi);
    q.lo = (uint8_t)lo, q.hi = (uint8_t)hi;
    q.pool_shift = rng.one_in(4) ? rng.range(1, 47) : rng.range(12, 17), q.pool_fixed = rng.one_in(3);
    uint32_t w[4];
    espl_cmd_store_quant_encode(&q, w);
    push(w);
  }
  void cfg_avg() {
    for (int k = 0; k < 3; k++) {
      uint32_t w[4] = {1u | 3u << 4 | (uint32_t)(4 + k) << 8, 0, 0, 0};
      for (int e = 0; e < 7 && 7 * k + e < 16; e++) espl_bits_put(w, 16 + 16 * e, 16, rng.one_in(2) ? rng.below(65536) : 32768 / (7 * k + e + 1));
      push(w);
    }
  }

  void command() {
    espl_cmd_store c{};
    c.pool = rng.below(3);
    if (!P_MaxPool && c.pool == 1) c.pool = 0;
    if (!P_AvgPool && c.pool == 2) c.pool = 0;
    c.residual = P_Residual && c.pool == 0 && rng.one_in(2);
    c.groups = (uint32_t)rng.range(1, P_Cols / G < 4 ? P_Cols / G : 4);
    c.out_h = (uint32_t)pick_dim(4, 9), c.out_w = (uint32_t)pick_dim(8, 40);
    uint32_t px = G;
    if (c.pool) {
      espl_cmd_store_pool p{};
      c.out_h = (uint32_t)rng.range(1, 4), c.out_w = (uint32_t)rng.range(1, 6);
      p.win_h = (uint32_t)pick_dim(3, 6), p.win_w = (uint32_t)pick_dim(3, 6);
      p.psy = (uint32_t)rng.range(1, 3), p.psx = (uint32_t)rng.range(1, 3);
      p.poff_y = rng.range(-3, 2), p.poff_x = rng.range(-3, 2);
      if (rng.one_in(20)) p.psy = 15, p.psx = 15, p.poff_y = -2048, p.poff_x = 2047;
      p.acc_h = (uint32_t)rng.range(1, 9), p.acc_w = (uint32_t)rng.range(1, 9);
      uint32_t w[4];
      espl_cmd_store_pool_encode(&p, w);
      bool set = pool_set || rng.one_in(2);  // a pooling command before any STORE_POOL: no tap of its window is there
      if (set) push(w);
      pool_set = set;
    }
    // Output in one half of memory, residual in the other or in place.
    c.out_contig = rng.one_in(2), c.res_contig = rng.one_in(2);
    espl_cmd_store_stride st{};
    uint32_t half = rng.below(2) * (MEM / 2);
    lay(c, c.out_contig, half, &c.out_addr, &st.out_row, &st.out_group, px);
    lay(c, c.res_contig, half ^ (MEM / 2), &c.res_addr, &st.res_row, &st.res_group, px);
    if (rng.one_in(4)) c.res_addr = c.out_addr, st.res_row = st.out_row, st.res_group = st.out_group, c.res_contig = c.out_contig;
    if (errors && rng.one_in(8)) {
      if (rng.one_in(2)) c.out_addr = MEM - 64; else c.res_addr = 0x7fffff00u;
    }
    if (rng.one_in(4)) {  // low bits that nobody may look at
      for (uint32_t *a : {&c.out_addr, &c.res_addr, &st.out_row, &st.out_group, &st.res_row, &st.res_group}) *a |= rng.below((uint32_t)G);
    }
    uint32_t w[4];
    espl_cmd_store_stride_encode(&st, w);
    if (prog.empty() || rng.one_in(2) || memcmp(&st, &last_stride, sizeof st)) push(w);
    last_stride = st;
    if (rng.one_in(4)) cfg_quant();
    if (P_AvgPool && rng.one_in(6)) cfg_avg();
    c.bank = banks == 2 ? rng.below(2) : 0;
    c.par_base = rng.below((uint32_t)NPAR / G) * G;
    c.pop_load = rng.one_in(3), c.pop_compute = rng.one_in(2), c.push_load = rng.one_in(3), c.push_compute = rng.one_in(2);
    espl_cmd_store_encode(&c, w);
    push(w);
  }
  espl_cmd_store_stride last_stride{};
  bool pool_set = false;
  // A place for groups planes of rows inside the half of memory.
  void lay(const espl_cmd_store &c, bool contig, uint32_t half, uint32_t *addr, uint32_t *row, uint32_t *group, uint32_t px) {
    uint32_t line = c.out_w * px;
    *row = contig ? line : line + px * rng.below(6);
    uint32_t plane = *row * c.out_h;
    *group = plane + px * rng.below(6);
    uint32_t total = *group * c.groups, space = MEM / 2;
    *addr = half + (total < space ? px * rng.below((space - total) / px + 1) : 0);
    if (rng.one_in(3)) *addr &= ~255u;
  }

  // ---- expected bytes, by the formulas ----
  void expect(const std::array<uint32_t, 4> &w) {
    if ((w[0] & 15) == ESPL_OPC_CFG) {
      int k = w[0] >> 8 & 7;
      if (k == 0) {
        espl_cmd_store_stride_decode(w.data(), &stride);
        for (uint32_t *a : {&stride.out_row, &stride.out_group, &stride.res_row, &stride.res_group}) *a &= ~(uint32_t)(G - 1);
      }
      if (k == 1) espl_cmd_store_quant_decode(w.data(), &quant);
      if (k == 2) espl_cmd_store_pool_decode(w.data(), &pool);
      for (int e = 0; k >= 4 && e < 7 && 7 * (k - 4) + e < 16; e++) table[7 * (k - 4) + e] = (uint16_t)espl_bits_get(w.data(), 16 + 16 * e, 16);
      return;
    }
    espl_cmd_store c;
    espl_cmd_store_decode(w.data(), &c);
    c.out_addr &= ~(uint32_t)(G - 1), c.res_addr &= ~(uint32_t)(G - 1);
    espl_rq_layer l{(int8_t)quant.zo, (int8_t)quant.zr, (int8_t)quant.lo, (int8_t)quant.hi};
    for (uint32_t g = 0; g < c.groups; g++)
      for (uint32_t y = 0; y < c.out_h; y++)
        for (uint32_t x = 0; x < c.out_w; x++)
          for (uint32_t ch = 0; ch < (uint32_t)G; ch++) {
            const espl_rq_param &p = par[(c.par_base + g * G + ch) % (uint32_t)NPAR];
            auto q_at = [&](int64_t pixel, bool res, int8_t r) {
              int32_t a = acc[c.bank][(size_t)((g * (uint32_t)NACC + (uint32_t)(pixel & (NACC - 1))) * (uint32_t)G + ch)];
              return res ? espl_requantize_res(a, r, &p, &l) : espl_requantize(a, &p, &l);
            };
            int8_t q;
            if (!c.pool) {
              int8_t r = 0;
              if (c.residual) r = (int8_t)want[c.res_addr + g * stride.res_group + (c.res_contig ? (y * c.out_w + x) * (uint32_t)G : y * stride.res_row + x * (uint32_t)G) + ch];
              q = q_at((int64_t)y * c.out_w + x, c.residual, r);
            } else {
              int32_t best = -128, sum = 0, n = 0;
              for (uint32_t wy = 0; wy < pool.win_h; wy++)
                for (uint32_t wx = 0; wx < pool.win_w; wx++) {
                  int32_t ty = (int32_t)(y * pool.psy + wy) + pool.poff_y, tx = (int32_t)(x * pool.psx + wx) + pool.poff_x;
                  if (ty < 0 || tx < 0 || ty >= (int32_t)pool.acc_h || tx >= (int32_t)pool.acc_w) continue;
                  int8_t v = q_at((int64_t)ty * pool.acc_w + tx, false, 0);
                  if (v > best) best = v;
                  sum += v, n++;
                }
              q = c.pool == 1 ? (int8_t)best : espl_average(sum, n, l.zo, (int8_t)quant.pool_zo, quant.pool_shift, (int)quant.pool_fixed, table);
            }
            want[c.out_addr + g * stride.out_group + (c.out_contig ? (y * c.out_w + x) * (uint32_t)G : y * stride.out_row + x * (uint32_t)G) + ch] = (uint8_t)q;
          }
  }

  // ---- environment ----
  void fill_bank(int b) {
    bool narrow = rng.one_in(2);
    for (auto &v : acc[b]) {
      v = (int32_t)rng.next() >> (narrow ? 12 : 0);
      if (P_AccW == 24) v = (int32_t)((uint32_t)v << 8) >> 8;
    }
  }
  void load_params() {
    std::vector<uint8_t> img((size_t)NPAR * 16);
    par.resize(NPAR);
    for (int e = 0; e < NPAR; e++) {
      espl_rq_param p{(int32_t)rng.next() >> 14, (uint16_t)rng.next(), (uint16_t)rng.next(), (uint8_t)rng.range(20, 34), (uint8_t)rng.range(0, 12)};
      if (rng.one_in(8)) p = {(int32_t)rng.next(), (uint16_t)rng.next(), 65535, (uint8_t)rng.range(1, 47), (uint8_t)rng.range(0, 22)};
      par[e] = p;
      espl_rq_param_pack(&p, &img[16 * e]);
      for (int k = 10; k < 16; k++) img[16 * e + k] = (uint8_t)rng.next();
    }
    // First garbage everywhere, then the entries in random order, in two halves by byte enables.
    for (int pass = 0; pass < 3; pass++)
      for (int a = 0; a < NPAR * 16; a += B) {
        top->bw_we_i = 1, top->bw_sel_i = 3, top->bw_addr_i = (uint32_t)a;
        for (int i = 0; i < B; i++) {
          bool on = pass == 0 || (i & 1) == (pass & 1);
          put_byte(top->bw_data_i, i, on && pass ? img[a + i] : (uint8_t)rng.next());
          put_bit(top->bw_strb_i, i, on);
        }
        top->eval();
        tick();
      }
    top->bw_sel_i = 1;  // beats of another buffer change nothing
    for (int a = 0; a < 8; a++) { top->bw_addr_i = (uint32_t)(a * B); top->eval(); tick(); }
    top->bw_we_i = 0;
  }

  void reset(int batch) {
    prog.clear();
    errors = batch % 6 == 5;
    ext_stop = batch % 7 == 6 ? 100 + rng.below(6000) : ESPL_NEVER;
    any_stop = errors || ext_stop != ESPL_NEVER;
    banks = rng.range(1, 2);
    cfg_quant();
    if (P_AvgPool) cfg_avg();
    int n = rng.range(20, 50);
    for (int i = 0; i < n; i++) command();
    mem.resize(MEM);
    for (auto &b : mem) b = (uint8_t)rng.next();
    want = mem;
    done.assign(prog.size(), 0);
    for (int b = 0; b < 2; b++) acc[b].assign((size_t)(P_Cols / G) * NACC * G, 0);
    memset(tok, 0, sizeof tok);
    full[0] = full[1] = false;
    open[0] = open[1] = 0;
    tap[0] = tap[1] = {};
    rd.clear(), wr.clear(), rsp.clear();
    fed = expected_at = 0;
    m = espl_machine{};
    m.rows = P_Rows, m.cols = P_Cols, m.bus_bytes = P_BusBytes, m.par_aw = P_ParAw, m.acc_aw = P_AccAw, m.acc_w = P_AccW, m.acc_banks = banks, m.w_bits = 8;
    m.rq_lanes = P_RqLanes, m.rq_cycles = P_RqCycles, m.mul_stages = P_MulStages, m.residual = P_Residual, m.maxpool = P_MaxPool, m.avgpool = P_AvgPool;
    m.stage_bursts = P_StageBursts, m.res_bursts = P_ResBursts, m.token_max = rng.one_in(2) ? 1 : 3, m.queue_depth = QDEPTH, m.mem_bytes = MEM;
    m.mem = {.read_latency = rng.range(1, 60), .write_latency = rng.range(1, 40), .num = 1, .den = 1, .outstanding = rng.range(1, 16), .shared_path = (int32_t)rng.below(2), .stall_mod = 0, .stall_seed = rng.next()};
    if (rng.one_in(2)) m.mem.den = rng.range(2, 8), m.mem.num = rng.range(1, m.mem.den);
    if (rng.one_in(2)) m.mem.stall_mod = rng.range(2, 20);
    espl_tstore_free(S.store);
    memset(&S, 0, sizeof S);
    S.m = &m, S.prog = (const uint32_t(*)[4])prog.data(), S.prog_count = (uint32_t)prog.size(), S.executed = done.data();
    S.store = espl_tstore_new(&m), S.stop_at = ESPL_NEVER;
    for (auto &w : S.wake) w = ESPL_NEVER;
    for (auto &t : S.token) t.t = -1;
    for (auto &b : S.bank) b.full.t = b.taken.t = -1;
    S.queue[ESPL_UNIT_STORE].depth = QDEPTH, S.queue[ESPL_UNIT_STORE].popped_at = -1;
    twin_err_met = ESPL_NEVER;
    top->rst_i = 1, top->q_valid_i = 0, top->stop_i = 0, top->rq_gnt_i = 0, top->rd_valid_i = 0, top->wq_gnt_i = 0, top->wd_take_i = 0, top->wr_rsp_i = 0, top->bank_full_i = top->bank_done_i = 0;
    top->tok_ls_avail_i = top->tok_cs_avail_i = 0, top->tok_sl_room_i = top->tok_sc_room_i = 1;
    for (int i = 0; i < 3; i++) { top->eval(); tick(); }
    top->rst_i = 0;
    load_params();
    now = 0;
    espl_memtime_reset(&S.mem, &m.mem, 0);
  }

  void grant_read() {
    espl_request &q = S.req[ESPL_RQ_RESIDUAL];
    check("rq_valid", top->rq_valid_o, q.valid && q.raised <= now);
    bool g = top->rq_valid_o && open[0] < m.mem.outstanding && !rng.one_in(3);
    top->rq_gnt_i = g;
    if (!top->rq_valid_o || !q.valid) return;
    check("rq_addr", top->rq_addr_o, q.addr), check("rq_beats", top->rq_beats_o, q.beats);
    if (!g) return;
    Burst b{q.addr, {}, q.addr + (uint64_t)(q.beats * B) > MEM, 0};
    espl_memtime_accept(&S.mem, ESPL_READ, now, q.addr, q.beats, &b.t);
    q.valid = false, open[0]++;
    espl_tstore_residual_granted(&S, now, &b.t, b.bad);
    rd.push_back(b);
  }
  void grant_write() {
    espl_request &q = S.req[ESPL_RQ_STORE];
    check("wq_valid", top->wq_valid_o, q.valid && q.raised <= now);
    bool g = top->wq_valid_o && open[1] < m.mem.outstanding && !rng.one_in(3);
    top->wq_gnt_i = g;
    if (!top->wq_valid_o || !q.valid) return;
    check("wq_addr", top->wq_addr_o, q.addr), check("wq_beats", top->wq_beats_o, q.beats);
    if (!g) return;
    Burst b{q.addr, {}, q.addr + (uint64_t)(q.beats * B) > MEM, 0};
    espl_memtime_accept(&S.mem, ESPL_WRITE, now, q.addr, q.beats, &b.t);
    q.valid = false, open[1]++;
    espl_tstore_write_granted(&S, now, &b.t, b.bad);
    wr.push_back(b);
    rsp.push_back({b.t.resp, b.bad});
  }
  void memory_inputs() {
    top->rd_valid_i = top->rd_last_i = top->rd_err_i = top->wd_take_i = top->wr_rsp_i = top->wr_err_i = 0;
    if (!rd.empty() && espl_beat_time(&rd.front().t, rd.front().next) == now) {
      Burst &b = rd.front();
      top->rd_valid_i = 1, top->rd_err_i = b.bad, top->rd_last_i = b.next + 1 == b.t.beats;
      for (int i = 0; i < B; i++) put_byte(top->rd_data_i, i, b.bad ? 0 : mem[b.addr + (uint32_t)(b.next * B + i)]);
    }
    if (!wr.empty() && espl_beat_time(&wr.front().t, wr.front().next) == now) top->wd_take_i = 1;
    if (!rsp.empty() && rsp.front().first == now) top->wr_rsp_i = 1, top->wr_err_i = rsp.front().second;
  }
  void memory_edges() {
    if (top->rd_valid_i && ++rd.front().next == rd.front().t.beats) rd.pop_front(), open[0]--;
    if (top->wd_take_i) {
      Burst &b = wr.front();
      for (int i = 0; i < B && !b.bad; i++)
        if (get_word(top->wd_strb_o, i / 32) >> (i % 32) & 1) mem[b.addr + (uint32_t)(b.next * B + i)] = (uint8_t)(get_word(top->wd_data_o, i / 4) >> (8 * (i % 4)));
      if (++b.next == b.t.beats) wr.pop_front();
    }
    if (top->wr_rsp_i) rsp.pop_front(), open[1]--;
  }

  void token(espl_token k, bool pop, bool push) {
    tok[k] += push - pop;
    espl_reg_add(&S.token[k], now, 0);  // brings `next` up to date
    check("token counter", tok[k], S.token[k].next);
    if (tok[k] < 0 || tok[k] > m.token_max) fail("token range", tok[k], 0);
  }
  void outside(espl_token k, int delta) {
    tok[k] += delta;
    espl_reg_add(&S.token[k], now, delta);
    espl_wake(&S, ESPL_T_STORE, now + 1);
  }
  int push_rate, pop_rate, bank_rate, feed_rate;

  void cycle() {
    espl_tqueue *q = &S.queue[ESPL_UNIT_STORE];
    bool qv = espl_queue_visible(q, now);
    top->q_valid_i = qv;
    if (qv) {
      for (int i = 0; i < 4; i++) put_word(top->q_cmd_i, i, prog[q->index[q->head]][(size_t)i]);
      top->q_idx_i = q->index[q->head];
    }
    int t0[ESPL_TOK_COUNT];
    memcpy(t0, tok, sizeof t0);
    top->tok_ls_avail_i = tok[ESPL_TOK_LS] > 0, top->tok_cs_avail_i = tok[ESPL_TOK_CS] > 0;
    top->tok_sl_room_i = tok[ESPL_TOK_SL] < m.token_max, top->tok_sc_room_i = tok[ESPL_TOK_SC] < m.token_max;
    if (now >= ext_stop && ext_stop < S.stop_at) S.stop_at = ext_stop, espl_wake(&S, ESPL_T_STORE, now);
    top->stop_i = espl_stopped(&S, now);
    memory_inputs();
    for (int i = 0; i < P_RqLanes * P_AccW / 8; i++) {
      const Tap &t = tap[1];
      int subs = G / P_RqLanes, ch = t.group % subs * P_RqLanes + i / (P_AccW / 8), by = i % (P_AccW / 8);
      uint32_t v = t.on && t.group < P_Cols / P_RqLanes ? (uint32_t)acc[t.bank][(size_t)((t.group / subs * NACC + t.addr) * G + ch)] : 0xa5a5a5a5u;
      put_byte(top->acc_rdata_i, i, (uint8_t)(v >> (8 * by)));
    }
    top->rq_gnt_i = top->wq_gnt_i = 0;
    for (int b = 0; b < 2; b++) if (top->bank_free_o >> b & 1) {
      full[b] = false;
      while (expected_at < prog.size()) {
        const auto &w = prog[expected_at++];
        if (!any_stop) expect(w);
        if ((w[0] & 15) == ESPL_OPC_STORE) break;
      }
      stores++;
    }
    top->bank_full_i = (uint8_t)(full[0] | full[1] << 1);
    top->bank_done_i = (uint8_t)((full[0] && now > S.bank[0].moving_to) | (full[1] && now > S.bank[1].moving_to) << 1);
    for (int b = 0; b < 2; b++) check("bank full", full[b], espl_reg_get(&S.bank[b].full, now));
    top->eval();
    grant_read();
    grant_write();
    top->eval();
    check("idle", top->idle_o, espl_tstore_idle(&S, now));
    check("blocked", top->blocked_o, espl_tstore_blocked(&S, now));
    check("waiting index", top->wait_valid_o ? (int64_t)top->wait_idx_o : -1, (int64_t)(int32_t)espl_tstore_waiting_index(&S, now));
    bool twin_err = twin_err_met == now - 1;
    if (twin_err) {
      check("error", top->err_valid_o, 1), check("error code", top->err_code_o, twin_err_code), check("error index", top->err_idx_o, twin_err_index);
    } else if (top->err_valid_o && (twin_err_met > now || top->err_idx_o < twin_err_index)) fail("error only in rtl", top->err_idx_o, -1);
    if (S.wake[ESPL_T_STORE] <= now) {
      S.wake[ESPL_T_STORE] = ESPL_NEVER;
      espl_tstore_eval(&S, now);
    }
    if (S.wake[ESPL_T_STORE] <= now) fail("wake not in the future", 0, S.wake[ESPL_T_STORE]);
    check("queue pop", top->q_pop_o, q->popped_at == now);
    token(ESPL_TOK_LS, top->tok_ls_pop_o, false), token(ESPL_TOK_CS, top->tok_cs_pop_o, false);
    token(ESPL_TOK_SL, false, top->tok_sl_push_o), token(ESPL_TOK_SC, false, top->tok_sc_push_o);
    // the other units
    bool frozen = espl_stopped(&S, now) && (seed & 1);
    if (!frozen) {
      if (t0[ESPL_TOK_LS] < m.token_max && rng.one_in(push_rate)) outside(ESPL_TOK_LS, 1);
      if (t0[ESPL_TOK_CS] < m.token_max && rng.one_in(push_rate)) outside(ESPL_TOK_CS, 1);
      if (t0[ESPL_TOK_SL] > 0 && rng.one_in(pop_rate)) outside(ESPL_TOK_SL, -1);
      if (t0[ESPL_TOK_SC] > 0 && rng.one_in(pop_rate)) outside(ESPL_TOK_SC, -1);
      for (int b = 0; b < banks; b++)
        if (!full[b] && tap_clear(b) && rng.one_in(bank_rate)) {
          fill_bank(b);
          full[b] = true;
          if (rng.one_in(2)) S.bank[b].moving_to = now + rng.range(1, 40);  // sums on their way
          espl_reg_set(&S.bank[b].full, now, 1);
          espl_reg_set(&S.bank[b].taken, now, 1);
          espl_wake(&S, ESPL_T_STORE, now + 1);
        }
    }
    if (fed < prog.size() && espl_queue_level(q, now) < QDEPTH && rng.one_in(feed_rate)) {
      espl_queue_push(q, now, fed++);
      espl_wake(&S, ESPL_T_STORE, now + 1);
    }
    tap[1] = tap[0];
    tap[0] = {(int)top->acc_rbank_o, (int)top->acc_rgroup_o, (int)top->acc_raddr_o, (bool)top->acc_re_o};
    memory_edges();
    tick();
    now++;
  }
  // A read of the bank is still on its way: its words are kept by the bench until then.
  bool tap_clear(int b) { return !(tap[0].on && tap[0].bank == b) && !(top->acc_re_o && top->acc_rbank_o == b); }

  bool batch(int k) {
    reset(k);
    push_rate = rng.one_in(3) ? 200 : 5, pop_rate = rng.one_in(3) ? 200 : 5, bank_rate = rng.one_in(3) ? 100 : 3, feed_rate = rng.one_in(3) ? 50 : 1;
    int64_t quiet = 0;
    while (quiet < 200 && fails == 0) {
      cycle();
      bool rest = top->idle_o && rd.empty() && rsp.empty();
      bool over = espl_stopped(&S, now) || (fed == prog.size() && S.queue[ESPL_UNIT_STORE].count == 0);
      quiet = rest && over ? quiet + 1 : 0;
      if (now > 3000000) fail("batch does not end", (int64_t)fed, (int64_t)prog.size());
    }
    if (fails == 0 && !any_stop)
      for (uint32_t i = 0; i < MEM; i++)
        if (mem[i] != want[i]) {
          fail("memory byte (address, wanted value)", i, want[i]);
          break;
        }
    return fails == 0;
  }
};

int main(int argc, char **argv) {
  uint64_t seed = tb_seed(argc, argv);
  int batches = argc > 2 ? atoi(argv[2]) : 14;
  Verilated::commandArgs(argc, argv);
  uint64_t stores = 0, cycles = 0;
  for (int k = 0; k < batches; k++) {
    Tb tb(seed * 1000 + (uint64_t)k);
    bool ok = tb.batch(k);
    stores += tb.stores, cycles += (uint64_t)tb.now;
    if (!ok) {
      printf("FAIL tb_espl_store batch %d of seed %llu\n", k, (unsigned long long)seed);
      return 1;
    }
  }
  printf("PASS tb_espl_store G=%d B=%d lanes=%d cycles/op=%d: seed %llu, %d batches, %llu STORE commands, %llu cycles equal\n", G, B, P_RqLanes, P_RqCycles, (unsigned long long)seed, batches,
         (unsigned long long)stores, (unsigned long long)cycles);
  return 0;
}
