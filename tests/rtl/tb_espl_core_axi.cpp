// The core behind AXI against a memory with random ready signals and random delays: a program that loads, computes zeros, stores a clamped
// constant and marks; then one that reads outside memory. Checked: register access, held and steady requests, AXI burst rules, every byte
// of memory, the record's counters, status.
#include <cstring>
#include <deque>
#include <vector>

#include "Vtb_espl_core_axi.h"
#include "tb_util.hpp"
extern "C" {
#include "espl_hw.h"
}

static const int B = P_BusBytes;
static const uint32_t MEM = 1u << 16, PROG = 0x1000, OUT = 0x8040, REC = 0x9000;
static const uint8_t VALUE = 0x5a;
static int failures = 0;

struct Bench {
  Vtb_espl_core_axi* top = new Vtb_espl_core_axi;
  Rng rng;
  std::vector<uint8_t> mem;
  struct Burst { uint32_t addr, beats, next; bool bad; };
  std::deque<Burst> reads, writes, responses;
  long cycles = 0;
  uint32_t ready_one_in;
  bool ar_held = false, aw_held = false;
  uint32_t ar_addr = 0, aw_addr = 0;
  explicit Bench(uint64_t seed) : rng(seed), mem(MEM), ready_one_in(1) {}
  ~Bench() { delete top; }

  void check(const char* what, uint64_t got, uint64_t want) {
    if (got == want) return;
    if (failures++ < 10) printf("FAIL cycle %ld: %s is 0x%llx, expected 0x%llx\n", cycles, what, (unsigned long long)got, (unsigned long long)want);
  }

  void rules(const char* what, uint32_t addr, uint32_t len, uint32_t size, uint32_t kind) {
    uint32_t bytes = (len + 1) * (uint32_t)B;
    check(what, kind == 1 && (1u << size) == (uint32_t)B && bytes <= 256 && addr / 4096 == (addr + bytes - 1) / 4096, 1);
  }

  // One cycle: sets the memory's outputs, looks at the core's, then the clock edge.
  void cycle() {
    top->m_arready_i = rng.one_in(ready_one_in);
    top->m_awready_i = rng.one_in(ready_one_in);
    top->m_wready_i = rng.one_in(ready_one_in);
    bool r = !reads.empty() && rng.one_in(ready_one_in), b = !responses.empty() && rng.one_in(ready_one_in);
    top->m_rvalid_i = r;
    if (r) {
      Burst& f = reads.front();
      for (int i = 0; i < B; i++) put_byte(top->m_rdata_i, i, f.bad ? 0 : mem[f.addr + f.next * (uint32_t)B + (uint32_t)i]);
      top->m_rresp_i = f.bad ? 2 : 0;
      top->m_rlast_i = f.next + 1 == f.beats;
    }
    top->m_bvalid_i = b;
    if (b) top->m_bresp_i = responses.front().bad ? 2 : 0;
    top->eval();
    if (ar_held) check("held read request", top->m_arvalid_o ? top->m_araddr_o : ~0ull, ar_addr);
    if (aw_held) check("held write request", top->m_awvalid_o ? top->m_awaddr_o : ~0ull, aw_addr);
    ar_held = top->m_arvalid_o && !top->m_arready_i;
    aw_held = top->m_awvalid_o && !top->m_awready_i;
    ar_addr = top->m_araddr_o;
    aw_addr = top->m_awaddr_o;
    bool ar = top->m_arvalid_o && top->m_arready_i, aw = top->m_awvalid_o && top->m_awready_i, w = top->m_wvalid_o && top->m_wready_i;
    if (r && top->m_rready_o && ++reads.front().next == reads.front().beats) reads.pop_front();
    if (b && top->m_bready_o) responses.pop_front();
    if (w) {
      check("data before its address", writes.empty(), 0);
      if (!writes.empty()) {
        Burst& f = writes.front();
        for (int i = 0; i < B; i++)
          if (!f.bad && (top->m_wstrb_o >> i & 1)) mem[f.addr + f.next * (uint32_t)B + (uint32_t)i] = (uint8_t)(get_word(top->m_wdata_o, i / 4) >> (8 * (i % 4)));
        bool last = ++f.next == f.beats;
        check("last beat", top->m_wlast_o, last);
        if (last) {
          responses.push_back(f);
          writes.pop_front();
        }
      }
    }
    if (ar) {
      rules("read burst is legal", top->m_araddr_o, top->m_arlen_o, top->m_arsize_o, top->m_arburst_o);
      uint32_t n = top->m_arlen_o + 1u;
      reads.push_back({top->m_araddr_o, n, 0, top->m_araddr_o + (uint64_t)n * B > MEM});
    }
    if (aw) {
      rules("write burst is legal", top->m_awaddr_o, top->m_awlen_o, top->m_awsize_o, top->m_awburst_o);
      uint32_t n = top->m_awlen_o + 1u;
      writes.push_back({top->m_awaddr_o, n, 0, top->m_awaddr_o + (uint64_t)n * B > MEM});
    }
    top->clk_i = 1;
    top->eval();
    top->clk_i = 0;
    top->eval();
    cycles++;
  }

  void write_reg(uint32_t addr, uint32_t v) {
    top->s_awvalid_i = top->s_wvalid_i = 1;
    top->s_awaddr_i = (CData)addr;
    top->s_wdata_i = v;
    top->eval();
    while (!(top->s_awready_o && top->s_wready_o)) cycle();
    cycle();
    top->s_awvalid_i = top->s_wvalid_i = 0;
    top->s_bready_i = 1;
    top->eval();
    for (int i = 0; i < 100 && !top->s_bvalid_o; i++) cycle();
    check("write response", top->s_bvalid_o, 1);
    cycle();
    top->s_bready_i = 0;
  }
  uint32_t read_reg(uint32_t addr) {
    top->s_arvalid_i = 1;
    top->s_araddr_i = (CData)addr;
    top->eval();
    while (!top->s_arready_o) cycle();
    cycle();
    top->s_arvalid_i = 0;
    for (int i = 0, n = rng.range(0, 3); i < n; i++) cycle();
    check("read response", top->s_rvalid_o, 1);
    uint32_t v = top->s_rdata_o;
    top->s_rready_i = 1;
    cycle();
    top->s_rready_i = 0;
    return v;
  }

  uint32_t prog_at = 0, prog_n = 0;
  void add(const uint32_t w[4]) {
    memcpy(&mem[prog_at], w, 16);
    prog_at += 16;
    prog_n++;
  }
  void load(uint32_t addr, uint32_t bytes) {
    uint32_t w[4];
    espl_cmd_load c = {};
    c.buffer = 1, c.addr = addr, c.dst = addr % (uint32_t)B, c.row_bytes = bytes, c.rows = 1, c.groups = 1;
    espl_cmd_load_encode(&c, w);
    add(w);
  }

  void start(uint32_t ready) {
    ready_one_in = ready;
    write_reg(ESPL_REG_PROG_ADDR, PROG);
    write_reg(ESPL_REG_PROG_BYTES, prog_at - PROG);
    write_reg(ESPL_REG_OUTSTANDING, (uint32_t)rng.range(1, 8));
    write_reg(ESPL_REG_CONTROL, 1);
    long limit = cycles + 100000;
    while (!top->irq_o && cycles < limit) cycle();
    check("interrupt", top->irq_o, 1);
  }

  void reset() {
    reads.clear();
    writes.clear();
    responses.clear();
    top->s_awvalid_i = top->s_wvalid_i = top->s_arvalid_i = top->s_bready_i = top->s_rready_i = 0;
    top->rst_i = 1;
    cycle();
    cycle();
    top->rst_i = 0;
    ar_held = aw_held = false;
    for (auto& v : mem) v = (uint8_t)rng.next();
    prog_at = PROG;
    prog_n = 0;
    check("ID", read_reg(ESPL_REG_ID), ESPL_ID_VALUE);
  }

  void good_program(uint32_t ready) {
    reset();
    uint32_t w[4];
    load(0x4003, 500);
    espl_cmd_comp_geom geom = {1, 1, 1, 0, 1, 1, 1, 1, 0};
    espl_cmd_comp_geom_encode(&geom, w), add(w);
    espl_cmd_comp_taps taps = {1, 1, 3, 7, 9};
    espl_cmd_comp_taps_encode(&taps, w), add(w);
    espl_cmd_compute c = {};
    c.first = c.last = c.sparse = 1, c.out_h = 8, c.out_w = 9;
    espl_cmd_compute_encode(&c, w), add(w);
    espl_cmd_store_stride ss = {};
    ss.out_row = 9 * 4;
    espl_cmd_store_stride_encode(&ss, w), add(w);
    espl_cmd_store_quant sq = {};
    sq.lo = sq.hi = VALUE, sq.pool_shift = 1;
    espl_cmd_store_quant_encode(&sq, w), add(w);
    espl_cmd_store s = {};
    s.out_contig = 1, s.out_addr = OUT, s.groups = 1, s.out_h = 8, s.out_w = 9;
    espl_cmd_store_encode(&s, w), add(w);
    espl_cmd_mark m = {REC};
    espl_cmd_mark_encode(&m, w), add(w);
    prog_at = (prog_at + 4095) & ~4095u;
    espl_cmd_end_encode(w), add(w);
    std::vector<uint8_t> want = mem;
    memset(&want[OUT], VALUE, 8 * 9 * 4);
    start(ready);
    check("status", read_reg(ESPL_REG_STATUS), 2);
    uint32_t record[16];
    memcpy(record, &mem[REC], 64);
    memcpy(&want[REC], record, 64);
    for (uint32_t i = 0; i < MEM; i++)
      if (mem[i] != want[i]) check("byte of memory", (uint64_t)i << 8 | mem[i], (uint64_t)i << 8 | want[i]);
    uint32_t sum = 0;
    for (int i : {1, 4, 5, 6, 7, 8, 9, 10}) sum += record[i];
    check("busy + stalls + idle", sum, record[ESPL_CNT_CYCLES]);
    check("macs", record[ESPL_CNT_MACS], 7);
    check("macs_dense", record[ESPL_CNT_MACS_DENSE], 9);
    check("tiles_skipped", record[ESPL_CNT_TILES_SKIPPED], 3);
    check("busy", record[ESPL_CNT_BUSY], 72);
    uint32_t first = OUT / (uint32_t)B, last = (OUT + 287) / (uint32_t)B;
    check("write_bytes", record[ESPL_CNT_WRITE_BYTES], (last - first + 1) * (uint32_t)B);
    uint32_t beats = (0x4003 + 499) / (uint32_t)B - 0x4003 / (uint32_t)B + 1;
    check("read_bytes", record[ESPL_CNT_READ_BYTES], beats * (uint32_t)B + (uint32_t)(B > 16 ? B : 16));  // and END, read ahead while the MARK waits
  }

  void bad_program(uint32_t ready) {
    reset();
    load(0x4000, 64);
    load(MEM - 40, 128);
    load(0x4000, 64);
    uint32_t w[4];
    espl_cmd_end_encode(w), add(w);
    start(ready);
    check("status", read_reg(ESPL_REG_STATUS), 3 | ESPL_HW_BUS_READ << 8);
    check("failed command", read_reg(ESPL_REG_ERR_INDEX), 1);
  }
};

int main(int argc, char** argv) {
  uint64_t seed = tb_seed(argc, argv);
  Bench b(seed);
  for (uint32_t i = 0; i < 30 && failures == 0; i++) {
    b.good_program(1 + i % 5);
    b.bad_program(1 + i % 5);
  }
  printf("%s tb_espl_core_axi B=%d seed %llu: 60 programs, %ld cycles\n", failures ? "FAIL" : "PASS", B, (unsigned long long)seed, b.cycles);
  return failures != 0;
}
