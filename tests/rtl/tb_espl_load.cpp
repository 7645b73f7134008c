// Load unit and memory port against their timing twin, cycle by cycle, under random commands, tokens, other requesters and memory timings;
// buffer writes against a byte-by-byte walk of the command. An episode may end with a burst outside memory: error report and stop.
#include <algorithm>
#include <cstring>
#include <deque>
#include <vector>

#include "Vtb_espl_load.h"
#include "tb_util.hpp"
extern "C" {
#include "timing/tsim.h"
}

static const int R = P_Rows, C = P_Cols, B = P_BusBytes, G = R < C ? (R < 16 ? R : 16) : (C < 16 ? C : 16), NB = R / G;
static const int TOKEN_MAX = 3;
static const uint32_t MEM = 1u << 20;
static long failures = 0, cycles = 0, beats_seen = 0, commands = 0, errors_seen = 0, stalled = 0;

// Credits that can be taken in cycle t: those pushed before it.
static int64_t credits_at(const espl_tsim& s, int64_t t) {
  int64_t n = s.credit.there;
  for (uint32_t i = s.credit.head; i != s.credit.tail; i++)
    if (s.credit.t[i % ESPL_CREDITS] < t) n += s.credit.n[i % ESPL_CREDITS];
  return n;
}

// ---- what the twin tells the bench
struct Granted { int rq; espl_burst_time b; bool bad; };
static std::vector<Granted> twin_grants;
static std::vector<std::pair<int64_t, uint32_t>> twin_errors;  // met, index
extern "C" {
void espl_tfetch_granted(espl_tsim*, int64_t, const espl_burst_time* b, bool bad) { twin_grants.push_back({ESPL_RQ_FETCH, *b, bad}); }
void espl_tstore_residual_granted(espl_tsim*, int64_t, const espl_burst_time* b, bool bad) { twin_grants.push_back({ESPL_RQ_RESIDUAL, *b, bad}); }
void espl_tstore_write_granted(espl_tsim*, int64_t, const espl_burst_time* b, bool bad) { twin_grants.push_back({ESPL_RQ_STORE, *b, bad}); }
void espl_tfetch_mark_granted(espl_tsim*, int64_t, const espl_burst_time* b, bool bad) { twin_grants.push_back({ESPL_RQ_MARK, *b, bad}); }
void espl_tsim_error(espl_tsim* s, int64_t now, int32_t, uint32_t index) {
  twin_errors.push_back({now, index});
  if (now + 2 < s->stop_at) s->stop_at = now + 2;
}
}

static uint8_t mem_byte(uint32_t a) { return (uint8_t)((a * 2654435761u) >> 24 ^ a); }

struct Expect { int sel, bank; uint32_t at; uint8_t v; };
struct Open { uint32_t addr; bool bad; int next; espl_burst_time b; };

struct Bench {
  Vtb_espl_load* top = new Vtb_espl_load;
  Rng rng;
  espl_machine m;
  std::vector<uint32_t> prog;
  std::deque<Expect> expect;
  espl_cmd_load_stride stride = {};
  int bits = 8;                  // of a stored weight
  long credits_due = 0, credits_seen = 0;
  int episode = 0;
  explicit Bench(uint64_t seed) : rng(seed) {}
  ~Bench() { delete top; }

  void fail(int64_t t, const char* what, long got, long want) {
    if (failures++ < 10) printf("FAIL episode %d cycle %ld: %s is %ld, expected %ld\n", episode, (long)t, what, got, want);
  }
  void check(int64_t t, const char* what, long got, long want) {
    if (got != want) fail(t, what, got, want);
  }

  // Bytes a command writes, in order (independent of bursts).
  void walk(const espl_cmd_load& c) {
    for (uint32_t g = 0; g < c.groups; g++)
      for (uint32_t r = 0; r < c.rows; r++)
        for (uint32_t i = 0; i < c.row_bytes; i++) {
          uint32_t a = c.addr + g * stride.mem_group + r * stride.mem_row + i;
          int bank = c.buffer == 0 ? (int)((c.bank + g) % (uint32_t)NB) : 0;
          uint32_t turn = c.buffer == 0 ? (c.bank + g) / (uint32_t)NB : g;
          uint32_t at = c.dst + (r * stride.dst_row + turn * stride.dst_group) * (uint32_t)G + i;
          expect.push_back({(int)c.buffer, bank, at & 0xfffffu, mem_byte(a)});
        }
  }

  // A tile is R rows of ceil(C*bits/8) bytes; a command gives a credit for each whole one.
  long tile() const { return (long)R * ((C * bits + 7) / 8); }
  void new_format() {
#ifdef P_WBook
    bits = rng.one_in(5) ? 8 : rng.range(2, P_WBook);
    espl_cmd_load_wgt c = {(uint32_t)bits};
    uint32_t w[4];
    espl_cmd_load_wgt_encode(&c, w);
    add(w);
#endif
  }
  void add(const uint32_t w[4]) { prog.insert(prog.end(), w, w + 4); }

  // One LOAD with its strides; steps are multiples of the bus width so that dst = addr modulo the bus width in every run.
  void make_load(bool bad) {
    uint32_t w[4];
    if (rng.one_in(3)) new_format();
    uint32_t step = (uint32_t)(B > G ? B : G);
    stride.mem_row = step * (uint32_t)rng.range(0, 40);
    stride.mem_group = step * (uint32_t)rng.range(0, 200);
    stride.dst_row = step / (uint32_t)G * (uint32_t)rng.range(0, 20);
    stride.dst_group = step / (uint32_t)G * (uint32_t)rng.range(0, 100);
    espl_cmd_load_stride_encode(&stride, w);
    add(w);
    espl_cmd_load c = {};
    c.pop_compute = rng.one_in(4);
    c.pop_store = rng.one_in(6);
    c.push_compute = rng.one_in(3);
    c.push_store = rng.one_in(5);
    c.buffer = rng.below(4);
    c.credit = rng.one_in(2);
    c.addr = rng.below(MEM / 2);
    c.row_bytes = rng.one_in(3) ? (uint32_t)rng.range(1, 700) : (uint32_t)rng.range(1, 40);
    c.rows = (uint32_t)rng.range(1, 4);
    c.groups = (uint32_t)rng.range(1, 5);
    if (rng.one_in(4)) {  // a block of weights
      c.buffer = 1;
      c.credit = 1;
      c.row_bytes = (uint32_t)tile() * (uint32_t)rng.range(1, 1 + 600 / (int)tile());
    }
    if (bad) {
      c.addr = MEM - (uint32_t)rng.range(1, 300);
      c.rows = 2;
      stride.mem_row = 0;
    }
    c.dst = ((uint32_t)rng.below(1u << 14) * (uint32_t)B + c.addr % (uint32_t)B) & 0xfffffu;
    c.bank = rng.below((uint32_t)NB);
    espl_cmd_load_encode(&c, w);
    add(w);
    commands++;
    if (!bad) walk(c);
    if (c.credit && c.buffer == 1) credits_due += (long)(c.row_bytes * c.rows * c.groups) / tile();
  }

  void machine() {
    memset(&m, 0, sizeof m);
    m.rows = R, m.cols = C, m.bus_bytes = B, m.w_bits = 8, m.token_max = TOKEN_MAX, m.queue_depth = 4, m.mem_bytes = MEM;
    const int lat[] = {1, 2, 3, 7, 40};
    m.mem.read_latency = lat[rng.below(5)];
    m.mem.write_latency = lat[rng.below(5)];
    m.mem.den = rng.one_in(2) ? 1 : rng.range(1, 5);
    m.mem.num = rng.range(1, m.mem.den);
    m.mem.outstanding = rng.one_in(3) ? rng.range(1, 3) : rng.range(4, 16);
    m.mem.shared_path = rng.one_in(3);
    m.mem.turnaround = m.mem.shared_path && rng.one_in(2) ? rng.range(1, 6) : 0;
    m.mem.stall_mod = rng.one_in(4) ? rng.range(2, 9) : 0;
    m.mem.stall_seed = rng.next();
  }

  void clock() {
    top->clk_i = 1;
    top->eval();
    top->clk_i = 0;
    top->eval();
  }

  void run_episode();
};

void Bench::run_episode() {
  episode++;
  prog.clear();
  expect.clear();
  twin_errors.clear();
  machine();
  bits = 8;
  credits_due = credits_seen = 0;
  bool busy_port = rng.one_in(2), with_error = rng.one_in(5), scarce = rng.one_in(2), tight = rng.one_in(3), full_rate = !busy_port && rng.one_in(3);
  int n = rng.range(3, 25);
  for (int i = 0; i < n; i++) make_load(with_error && i == n - 1);
  uint32_t count = (uint32_t)(prog.size() / 4);
  std::vector<uint8_t> executed(count);

  espl_tsim s;
  memset(&s, 0, sizeof s);
  s.m = &m;
  espl_bus_log log = {};
  s.log = &log;  // a log is written in order of time: no burst is granted ahead of its cycle
  s.prog = (const uint32_t(*)[4])prog.data();
  s.prog_count = count;
  s.executed = executed.data();
  s.stop_at = ESPL_NEVER;
  for (auto& w : s.wake) w = ESPL_NEVER;
  for (auto& w : s.later) w = ESPL_NEVER;
  for (auto& q : s.queue) q.depth = m.queue_depth, q.popped_at = -1;
  espl_memtime_reset(&s.mem, &m.mem, 0);
  s.load = espl_tload_new(&m);
  espl_memtime mem;
  espl_memtime_reset(&mem, &m.mem, 0);
  std::deque<Open> reads, writes;
  std::deque<std::pair<int64_t, bool>> responses;

  top->rst_i = 1;
  top->stop_i = 0;
  top->outstanding_i = (CData)m.mem.outstanding;
  top->q_push_i = top->push_cl_i = top->push_sl_i = top->pop_lc_i = top->pop_ls_i = top->credit_pop_i = 0;
  top->rq0_valid_i = top->rq2_valid_i = top->wq_valid_i = 0;
  top->mem_rd_valid_i = top->mem_wr_take_i = top->mem_wr_rsp_valid_i = 0;
  clock();
  clock();
  top->rst_i = 0;

  uint32_t pushed = 0;
  int64_t bus_dut = 0, over = 0;
  bool dummy[ESPL_RQ_COUNT] = {};
  int64_t may_raise[ESPL_RQ_COUNT] = {};
  for (int64_t t = 1; t < 2000000; t++) {
    cycles++;
    // registered state that neighbours see
    for (int k = 0; k < 4; k++) {
      int v = espl_reg_get(&s.token[k], t);
      check(t, "token available", top->avail_o >> k & 1, v > 0);
      check(t, "token room", top->room_o >> k & 1, v < TOKEN_MAX);
    }
    check(t, "credit available", top->credit_avail_o, credits_at(s, t) > 0);
    check(t, "idle", top->idle_o, espl_tload_idle(&s, t));
    check(t, "blocked", top->blocked_o, espl_tload_blocked(&s, t));
    uint32_t wi = espl_tload_waiting_index(&s, t);
    check(t, "waits", top->wait_valid_o, wi != UINT32_MAX);
    if (top->wait_valid_o) check(t, "waiting index", top->wait_idx_o, wi);
    check(t, "request shown", top->rq1_valid_o, s.req[ESPL_RQ_LOAD].valid && s.req[ESPL_RQ_LOAD].raised <= t);
    check(t, "port busy", top->busy_o, espl_tport_busy(&s, t));
    bool err_now = false;
    for (auto& e : twin_errors)
      if (e.first == t - 1) {
        err_now = true;
        check(t, "error index", top->err_idx_o, e.second);
        check(t, "error code", top->err_code_o, ESPL_HW_BUS_READ);
        errors_seen++;
      }
    check(t, "error report", top->err_valid_o, err_now);
    if (top->bw_we_o) {
      beats_seen++;
      if (s.stop_at == ESPL_NEVER && twin_errors.empty())
        for (int i = 0; i < B; i++) {
          if (!(top->bw_strb_o >> i & 1)) continue;
          if (expect.empty()) {  // the faulty command of an episode is not walked
            if (!with_error) fail(t, "write beyond the command", 1, 0);
            break;
          }
          Expect e = expect.front();
          expect.pop_front();
          check(t, "buffer", top->bw_sel_o, e.sel);
          check(t, "bank", top->bw_bank_o, e.bank);
          check(t, "buffer address", (long)((top->bw_addr_o + (uint32_t)i) & 0xfffff), e.at);
          check(t, "byte", get_word(top->bw_data_o, i / 4) >> (8 * (i % 4)) & 255, e.v);
        }
    }

    // stimulus of this cycle
    top->stop_i = espl_stopped(&s, t);
    bool room = espl_queue_level(&s.queue[1], t) < 4;
    check(t, "queue full", top->q_full_o, !room);
    bool push = room && pushed < count && (full_rate || !rng.one_in(3));
    top->q_push_i = push;
    if (push) {
      for (int i = 0; i < 4; i++) put_word(top->q_cmd_i, i, prog[4 * pushed + (uint32_t)i]);
      top->q_idx_i = pushed;
    }
    uint32_t slow = scarce ? 60 : 3;
    bool give_cl = espl_reg_get(&s.token[ESPL_TOK_CL], t) < TOKEN_MAX && rng.one_in(slow);
    bool give_sl = espl_reg_get(&s.token[ESPL_TOK_SL], t) < TOKEN_MAX && rng.one_in(slow);
    bool take_lc = espl_reg_get(&s.token[ESPL_TOK_LC], t) > 0 && (tight ? top->wait_valid_o && rng.one_in(20) : rng.one_in(2 * slow));
    bool take_ls = espl_reg_get(&s.token[ESPL_TOK_LS], t) > 0 && (tight ? top->wait_valid_o && rng.one_in(20) : rng.one_in(2 * slow));
    bool take_credit = credits_at(s, t) > 0 && rng.one_in(4);
    top->push_cl_i = give_cl, top->push_sl_i = give_sl, top->pop_lc_i = take_lc, top->pop_ls_i = take_ls, top->credit_pop_i = take_credit;

    // memory of this cycle
    top->mem_rd_valid_i = top->mem_wr_take_i = top->mem_wr_rsp_valid_i = 0;
    int read_owner = -1, write_owner = -1;
    if (!reads.empty() && espl_beat_time(&reads.front().b, reads.front().next) == t) {
      Open& o = reads.front();
      top->mem_rd_valid_i = 1;
      top->mem_rd_err_i = o.bad;
      for (int i = 0; i < B; i++) put_byte(top->mem_rd_data_i, i, o.bad ? 0 : mem_byte(o.addr + (uint32_t)(o.next * B + i)));
      top->mem_rd_last_i = ++o.next == o.b.beats;
      read_owner = (int)(o.b.resp);  // the bench keeps the requester there for reads
      if (top->mem_rd_last_i) reads.pop_front();
    }
    bool last_write = false;
    if (!writes.empty() && espl_beat_time(&writes.front().b, writes.front().next) == t) {
      Open& o = writes.front();
      top->mem_wr_take_i = 1;
      write_owner = (int)o.addr;
      last_write = ++o.next == o.b.beats;
      if (last_write) writes.pop_front();
    }
    int rsp_owner = -1;
    if (!responses.empty() && responses.front().first == t) {
      top->mem_wr_rsp_valid_i = 1;
      rsp_owner = responses.front().second;
      responses.pop_front();
    }
    top->eval();
    check(t, "beat goes to", top->rd_valid_o, read_owner < 0 ? 0 : 1 << read_owner);
    check(t, "beat is taken from", top->wd_take_o, write_owner < 0 ? 0 : 1 << write_owner);
    if (write_owner >= 0) check(t, "last write beat", top->mem_wr_last_o, last_write);
    check(t, "response goes to", top->wr_rsp_o, rsp_owner < 0 ? 0 : 1 << rsp_owner);
    bus_dut += top->wait_o;

    // the twin in this cycle: only when it asked to be woken
    s.now = t;
    if (t == s.stop_at) espl_wake(&s, ESPL_T_LOAD, t);  // the scheduler evaluates every unit in that cycle
    twin_grants.clear();
    bool had = s.req[ESPL_RQ_LOAD].valid && s.req[ESPL_RQ_LOAD].raised <= t;
    uint32_t had_addr = s.req[ESPL_RQ_LOAD].addr, had_beats = (uint32_t)s.req[ESPL_RQ_LOAD].beats;
    if (s.wake[ESPL_T_RDPORT] <= t) s.wake[ESPL_T_RDPORT] = ESPL_NEVER, espl_trdport_eval(&s, t);
    if (s.wake[ESPL_T_WRPORT] <= t) s.wake[ESPL_T_WRPORT] = ESPL_NEVER, espl_twrport_eval(&s, t);
    const espl_request& now_shown = s.req[ESPL_RQ_LOAD];
    bool load_granted = had && (!now_shown.valid || now_shown.raised > t);  // the next one may be formed with the grant
    int want_rd = load_granted ? 2 : 0, want_wr = 0;
    for (auto& g : twin_grants) (g.rq <= 2 ? want_rd : want_wr) |= g.rq <= 2 ? 1 << g.rq : 1 << (g.rq - 3);
    check(t, "read grant", top->rq_gnt_o, want_rd);
    check(t, "write grant", top->wq_gnt_o, want_wr);
    if (load_granted) {
      check(t, "request address", top->mem_rd_req_addr_o, had_addr);
      check(t, "request beats", top->mem_rd_req_beats_o, had_beats);
    }
    int popped = s.queue[1].count;
    int64_t credit0 = credits_at(s, t);
    if (s.wake[ESPL_T_LOAD] <= t) s.wake[ESPL_T_LOAD] = ESPL_NEVER, espl_tload_eval(&s, t);
    check(t, "queue pop", top->q_pop_o, popped - s.queue[1].count);
    int64_t credit1 = credits_at(s, t + 1);
    credits_seen += top->credit_push_o;
    check(t, "credits", top->credit_push_o, credit1 - credit0);
    if (s.bug) fail(t, s.bug, 1, 0);

    // the DUT's grants start bursts of the bench's memory (a read before a write)
    if (top->mem_rd_req_valid_o) {
      Open o = {top->mem_rd_req_addr_o, false, 0, {}};
      o.bad = o.addr + (uint64_t)top->mem_rd_req_beats_o * B > MEM;
      espl_memtime_accept(&mem, ESPL_READ, t, o.addr, top->mem_rd_req_beats_o, &o.b);
      o.b.resp = top->rq_gnt_o == 1 ? 0 : top->rq_gnt_o == 2 ? 1 : 2;
      reads.push_back(o);
    }
    if (top->mem_wr_req_valid_o) {
      Open o = {(uint32_t)(top->wq_gnt_o >> 1), false, 0, {}};
      espl_memtime_accept(&mem, ESPL_WRITE, t, o.addr, top->mem_wr_req_beats_o, &o.b);
      writes.push_back(o);
      responses.push_back({o.b.resp, (bool)(top->wq_gnt_o >> 1)});
    }
    int granted = top->rq_gnt_o | top->wq_gnt_o << 3;

    // what both see from the next cycle on
    if (push) {
      espl_queue_push(&s.queue[1], t, pushed++);
      espl_wake(&s, ESPL_T_LOAD, t + 1);
    }
    if (give_cl) espl_reg_add(&s.token[ESPL_TOK_CL], t, 1);
    if (give_sl) espl_reg_add(&s.token[ESPL_TOK_SL], t, 1);
    if (take_lc) espl_reg_add(&s.token[ESPL_TOK_LC], t, -1);
    if (take_ls) espl_reg_add(&s.token[ESPL_TOK_LS], t, -1);
    if (give_cl || give_sl || take_lc || take_ls) espl_wake(&s, ESPL_T_LOAD, t + 1);
    if (take_credit) espl_credit_take(&s);
    clock();
    for (int r : {0, 2, 3, 4}) {
      if (granted >> r & 1) dummy[r] = false;
      if (busy_port && !dummy[r] && t >= may_raise[r] && rng.one_in(4)) {
        dummy[r] = true;
        if (rng.one_in(4)) may_raise[r] = t + rng.range(1, 100);
        uint32_t addr = rng.below(MEM / 256) * 256u, beats = (uint32_t)rng.range(1, 256 / B);
        espl_port_request(&s, t, (espl_requester)r, addr, (int32_t)beats);
        if (r == 0) top->rq0_addr_i = addr, top->rq0_beats_i = (CData)beats;
        if (r == 2) top->rq2_addr_i = addr, top->rq2_beats_i = (CData)beats;
        if (r >= 3) {
          put_word(top->wq_addr_i, r - 3, addr);
          top->wq_beats_i = (SData)((top->wq_beats_i & ~(127u << (7 * (r - 3)))) | beats << (7 * (r - 3)));
        }
      }
    }
    top->rq0_valid_i = dummy[0], top->rq2_valid_i = dummy[2], top->wq_valid_i = (CData)(dummy[3] | dummy[4] << 1);
    top->eval();
    stalled += top->wait_valid_o;
    if (failures > 10) break;
    bool done = (pushed == count && s.queue[1].count == 0) || espl_stopped(&s, t);
    if (done && espl_tload_idle(&s, t + 1)) busy_port = false;
    if (done && espl_tload_idle(&s, t + 1) && !espl_tport_busy(&s, t + 1)) {
      if (++over > 3) break;
    }
    if (t == 1999998) fail(t, "end of the episode", 0, 1);
  }
  check(0, "bus counter", s.counter[ESPL_CNT_BUS], bus_dut);
  if (!with_error) check(0, "bytes not written", (long)expect.size(), 0);
  if (!with_error) check(0, "credits of the episode", credits_seen, credits_due);
  espl_tload_free(s.load);
}

int main(int argc, char** argv) {
  uint64_t seed = tb_seed(argc, argv);
  Bench b(seed);
  for (int i = 0; i < 60 && failures == 0; i++) b.run_episode();
  bool covered = beats_seen > 10000 && commands > 500 && errors_seen > 3 && stalled > 20;
  if (!covered) printf("FAIL coverage: %ld beats, %ld commands, %ld errors, %ld cycles waiting for room\n", beats_seen, commands, errors_seen, stalled);
  printf("%s tb_espl_load R=%d C=%d B=%d seed %llu: %ld commands, %ld beats, %ld errors, %ld cycles\n", failures == 0 && covered ? "PASS" : "FAIL", R, C, B,
         (unsigned long long)seed, commands, beats_seen, errors_seen, cycles);
  return failures == 0 && covered ? 0 : 1;
}
