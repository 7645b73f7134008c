// espl_board_mem against the law of memory (sim/timing/memtime.c): every beat and response in its cycle, every byte right, with a host that reads
// and writes bytes in between. Bursts never race for the same 256 bytes, as in legal programs. Usage: tb_espl_board_mem SEED CYCLES.
#include <deque>
#include <vector>

#include "Vtb_espl_board_mem.h"
#include "tb_util.hpp"
#include "timing/memtime.h"

static const int B = P_BusBytes, LINE = 256, LINES = (1 << P_MemAw) / LINE;

struct Burst { uint32_t addr; int next; espl_burst_time time; };

struct Tb {
  Vtb_espl_board_mem top;
  Rng rng;
  int64_t now = 0, beats = 0, host_ops = 0;
  espl_mem_timing timing{};
  espl_memtime law{};
  std::vector<uint8_t> mem;
  std::vector<int> reading, writing;  // open uses of a line
  std::deque<Burst> rd, wr;
  std::deque<int64_t> rd_free, rsp;  // cycles in which places become free; response times
  std::deque<uint32_t> rsp_line;
  bool host_open = false, host_wait = false;
  uint32_t host_addr = 0;
  uint8_t host_want = 0;
  int load = 1;  // requests come in one of `load` cycles
  bool ok = true;

  explicit Tb(uint64_t seed) : rng(seed), mem(1u << P_MemAw, 0), reading(LINES, 0), writing(LINES, 0) {
    timing.read_latency = P_ReadLat, timing.write_latency = 1, timing.num = timing.den = 1;
    timing.outstanding = P_Outstanding, timing.shared_path = P_Shared, timing.turnaround = P_Shared ? P_ReadLat - 1 : 0;
  }
  void fail(const char *what, long got, long want) {
    if (ok) printf("FAIL tb_espl_board_mem cycle %lld: %s is %ld, expected %ld\n", (long long)now, what, got, want);
    ok = false;
  }
  void check(const char *what, long got, long want) { if (got != want) fail(what, got, want); }
  uint32_t host_line() const { return host_addr / LINE; }
  bool host_on(uint32_t line) const { return (host_open || host_wait) && host_line() == line; }

  bool pick(uint32_t *addr, uint32_t *n, bool write) {
    uint32_t line = rng.below(LINES), words = LINE / B, first = rng.one_in(2) ? 0 : rng.below(words);
    if (writing[line] || (write && reading[line]) || host_on(line)) return false;
    *addr = line * LINE + first * B;
    *n = rng.one_in(3) ? 1 : 1 + rng.below(words - first);
    return true;
  }
  void requests() {
    uint32_t addr = 0, n = 0;
    top.rd_req_valid_i = top.wr_req_valid_i = 0;
    if ((int)rd_free.size() < P_Outstanding && rng.one_in(load) && pick(&addr, &n, false)) {
      top.rd_req_valid_i = 1, top.rd_req_addr_i = addr, top.rd_req_beats_i = n;
      Burst b{addr, 0, {}};
      espl_memtime_accept(&law, ESPL_READ, now, addr, (int32_t)n, &b.time);
      rd.push_back(b), rd_free.push_back(b.time.last + 1), reading[addr / LINE]++;
    }
    if ((int)(wr.size() + rsp.size()) < P_Outstanding && rng.one_in(load) && pick(&addr, &n, true)) {
      top.wr_req_valid_i = 1, top.wr_req_addr_i = addr;
      Burst b{addr, 0, {}};
      espl_memtime_accept(&law, ESPL_WRITE, now, addr, (int32_t)n, &b.time);
      wr.push_back(b), writing[addr / LINE]++;
    }
  }
  void host() {
    top.host_req_i = host_open;
    if (host_open || host_wait || !rng.one_in(5)) return;
    host_addr = rng.below(1u << P_MemAw);
    bool we = rng.one_in(2);
    if (writing[host_line()] || (we && reading[host_line()])) return;
    host_open = true;
    top.host_req_i = 1, top.host_we_i = we, top.host_addr_i = host_addr, top.host_wdata_i = (uint8_t)rng.next();
  }
  void show_write_data() {
    for (int i = 0; i < B; i++) put_byte(top.wr_data_i, i, (uint8_t)rng.next());
    top.wr_strb_i = rng.one_in(2) ? (1ull << B) - 1 : rng.next() & ((1ull << B) - 1);
    top.wr_last_i = !wr.empty() && wr.front().next + 1 == wr.front().time.beats;
  }
  void read_side() {
    bool due = !rd.empty() && espl_beat_time(&rd.front().time, rd.front().next) == now;
    check("rd_valid_o", top.rd_valid_o, due);
    if (!due) return;
    Burst &b = rd.front();
    beats++;
    for (int i = 0; i < B; i++) check("a byte of rd_data_o", (get_word(top.rd_data_o, i / 4) >> (8 * (i % 4))) & 0xff, mem[b.addr + b.next * B + i]);
    check("rd_last_o", top.rd_last_o, b.next + 1 == b.time.beats);
    if (++b.next == b.time.beats) reading[b.addr / LINE]--, rd.pop_front();
  }
  void write_side() {
    bool answer = !rsp.empty() && rsp.front() == now;
    check("wr_rsp_o", top.wr_rsp_o, answer);
    if (answer) writing[rsp_line.front()]--, rsp.pop_front(), rsp_line.pop_front();
    bool due = !wr.empty() && espl_beat_time(&wr.front().time, wr.front().next) == now;
    check("wr_take_o", top.wr_take_o, due);
    if (!due) return;
    Burst &b = wr.front();
    beats++;
    for (int i = 0; i < B; i++)
      if (top.wr_strb_i >> i & 1) mem[b.addr + b.next * B + i] = (uint8_t)(get_word(top.wr_data_i, i / 4) >> (8 * (i % 4)));
    if (++b.next < b.time.beats) return;
    rsp.push_back(b.time.resp), rsp_line.push_back(b.addr / LINE);
    wr.pop_front();
  }
  void host_side() {
    check("host_rvalid_o", top.host_rvalid_o && !host_wait, 0);
    if (host_wait && top.host_rvalid_o) check("host_rdata_o", top.host_rdata_o, host_want), host_wait = false;
    if (!host_open || !top.host_ack_o) return;
    host_ops++, host_open = false;
    if (top.host_we_i) mem[host_addr] = top.host_wdata_i;
    else host_want = mem[host_addr], host_wait = true;
  }
  void cycle() {
    while (!rd_free.empty() && rd_free.front() <= now) rd_free.pop_front();
    if (!wr.empty() || !rsp.empty() || !top.rst_i) show_write_data();
    if (!top.rst_i) requests(), host();
    top.eval();
    if (!top.rst_i) {
      if (top.rd_req_valid_i) check("rd_req_ready_o", top.rd_req_ready_o, 1);
      if (top.wr_req_valid_i) check("wr_req_ready_o", top.wr_req_ready_o, 1);
      read_side(), write_side(), host_side();
    }
    top.clk_i = 1, top.eval();
    top.clk_i = 0, top.eval();
    now++;
  }
};

int main(int argc, char **argv) {
  uint64_t seed = tb_seed(argc, argv);
  int64_t cycles = argc > 2 ? atoll(argv[2]) : 60000;
  Verilated::commandArgs(argc, argv);
  Tb tb(seed);
  tb.top.rst_i = 1;
  for (int i = 0; i < 3; i++) tb.cycle();
  tb.top.rst_i = 0;
  espl_memtime_reset(&tb.law, &tb.timing, tb.now);
  for (int64_t i = 0; i < cycles && tb.ok; i++) {
    if (i % 1000 == 0) tb.load = tb.rng.one_in(2) ? 1 : 1 + (int)tb.rng.below(200);
    tb.cycle();
  }
  if (tb.ok && (tb.beats < cycles / 20 || tb.host_ops < cycles / 200)) tb.fail("the amount of traffic", (long)tb.beats, (long)cycles / 20);
  if (!tb.ok) return 1;
  printf("PASS tb_espl_board_mem bus %d latency %d shared %d outstanding %d: seed %llu, %lld beats, %lld host bytes\n", B, P_ReadLat, P_Shared, P_Outstanding,
         (unsigned long long)seed, (long long)tb.beats, (long long)tb.host_ops);
  return 0;
}
