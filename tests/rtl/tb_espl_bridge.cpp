// espl_bridge with its serial line against hw/spec/bridge.md: whole frames bit by bit with skewed bit times, a memory that answers late, wrong frames of every
// kind. The CRC here is the textbook form (message times x^16 modulo the polynomial, most significant bit first). Usage: tb_espl_bridge SEED FRAMES.
#include <cstring>
#include <vector>

#include "Vtb_espl_bridge.h"
#include "espl_hw.h"
#include "tb_util.hpp"

typedef std::vector<uint8_t> Bytes;

static uint16_t reversed(uint32_t v, int bits) {
  uint32_t r = 0;
  for (int i = 0; i < bits; i++) r |= (v >> i & 1) << (bits - 1 - i);
  return (uint16_t)r;
}
static uint16_t crc_of(const Bytes &b) {
  uint32_t r = 0xffff;
  for (uint8_t byte : b) {
    r ^= (uint32_t)reversed(byte, 8) << 8;
    for (int i = 0; i < 8; i++) r = (r << 1 ^ (r & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return reversed(r, 16);
}
static Bytes sealed(Bytes b) {
  uint16_t c = crc_of(b);
  b.push_back(c & 255), b.push_back(c >> 8);
  return b;
}

struct Tb {
  Vtb_espl_bridge top;
  Rng rng;
  int64_t now = 0;
  double skew = 1;         // of the host's bit time
  int slow = 0;            // memory answers after up to so many cycles
  int wait = 0, rwait = -1;
  uint8_t rbyte = 0;
  Bytes mem = Bytes(1u << P_MemAw, 0);
  uint32_t reg[64] = {0};
  int reg_writes = 0;
  Bytes got;               // what the board has sent
  int rx_bit = -1;         // receiver of the board's line: -1 idle, else bits seen
  double rx_at = 0;
  uint8_t rx_byte = 0;
  bool ok = true;
  explicit Tb(uint64_t seed) : rng(seed) {}

  void fail(const char *what, long a, long b) {
    if (ok) printf("FAIL tb_espl_bridge cycle %lld: %s: got %ld, expected %ld\n", (long long)now, what, a, b);
    ok = false;
  }
  void listen() {
    double bit = P_ClkDiv * skew;
    if (rx_bit < 0) {
      if (!top.tx_o) rx_bit = 0, rx_at = (double)now + 1.5 * bit, rx_byte = 0;
    } else if ((double)now >= rx_at) {
      if (rx_bit < 8) rx_byte |= (uint8_t)(top.tx_o << rx_bit);
      else if (!top.tx_o) fail("stop bit", 0, 1);
      if (rx_bit++ == 8) got.push_back(rx_byte), rx_bit = -1;
      rx_at += bit;
    }
  }
  void memory() {
    top.mem_ack_i = 0, top.mem_rvalid_i = 0;
    if (rwait >= 0 && rwait-- == 0) top.mem_rvalid_i = 1, top.mem_rdata_i = rbyte;
    top.eval();
    if (!top.mem_req_o) wait = slow ? (int)rng.below((uint32_t)slow) : 0;
    else if (wait-- <= 0) {
      top.mem_ack_i = 1;
      if (top.mem_we_o) mem[top.mem_addr_o] = top.mem_wdata_o;
      else rbyte = mem[top.mem_addr_o], rwait = (int)rng.below(3);
    }
  }
  void cycle() {
    memory();
    top.reg_rdata_i = reg[top.reg_addr_o / 4 % 64];
    top.eval();
    if (top.reg_we_o) reg[top.reg_addr_o / 4 % 64] = top.reg_wdata_o, reg_writes++;
    listen();
    top.clk_i = 1, top.eval();
    top.clk_i = 0, top.eval();
    now++;
  }
  void run(double cycles) { for (int64_t end = now + (int64_t)cycles; now < end;) cycle(); }
  void send(const Bytes &b, int bad_stop = -1) {
    double at = (double)now, bit = P_ClkDiv * skew;
    for (size_t k = 0; k < b.size(); k++) {
      for (int i = 0; i < 10; i++) {
        top.rx_i = i == 0 ? 0 : i < 9 ? b[k] >> (i - 1) & 1 : (int)k != bad_stop;
        for (at += bit; (double)now < at;) cycle();
      }
      top.rx_i = 1;
      if (rng.one_in(6))
        for (at += bit * (double)rng.below(20); (double)now < at;) cycle();
    }
  }
  // The answer, whole, or nothing when the line stays silent for `bits` bit times.
  Bytes answer(size_t n, int bits) {
    for (int64_t end = now + (int64_t)bits * P_ClkDiv; got.size() < n && now < end;) cycle();
    run(P_ClkDiv * 12.0);
    Bytes b = got;
    got.clear();
    return b;
  }
  void expect(const char *what, const Bytes &have, const Bytes &want) {
    if (have.size() != want.size()) return fail(what, (long)have.size(), (long)want.size());
    for (size_t i = 0; i < want.size(); i++)
      if (have[i] != want[i]) return fail(what, have[i], want[i]);
  }
};

static const int GAP = 1 << P_GapW;
static const Bytes NAK = sealed({ESPL_BRIDGE_NAK});

static Bytes head(int op, int seq, uint32_t addr, int n) {
  return sealed({(uint8_t)(op | seq << ESPL_BRIDGE_SEQ_SHIFT), (uint8_t)(n - 1), (uint8_t)addr, (uint8_t)(addr >> 8), (uint8_t)(addr >> 16), (uint8_t)(addr >> 24)});
}
static Bytes word(uint32_t v) { return {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)}; }
static Bytes joined(Bytes a, const Bytes &b) { a.insert(a.end(), b.begin(), b.end()); return a; }

struct Frame { Bytes bytes, answer, after; uint32_t addr; int n, op; };

// A random right frame, its answer, and what its memory bytes are after it.
static Frame any_frame(Tb &tb) {
  Frame f;
  int seq = (int)tb.rng.below(ESPL_BRIDGE_SEQ_COUNT);
  f.op = (int)tb.rng.below(4);
  bool reg = f.op >= ESPL_BRIDGE_READ_REG;
  f.n = reg ? 4 : tb.rng.one_in(8) ? ESPL_BRIDGE_BLOCK : 1 + (int)tb.rng.below(20);
  f.addr = reg ? 4 * tb.rng.below(64) : tb.rng.below((1u << P_MemAw) - (uint32_t)f.n + 1);
  f.bytes = head(f.op, seq, f.addr, f.n);
  Bytes data;
  if (f.op & 1) {
    for (int i = 0; i < f.n; i++) data.push_back((uint8_t)tb.rng.next());
    f.after = data;
    f.bytes = joined(f.bytes, sealed(data));
    data.clear();
  } else if (reg) data = word(tb.reg[f.addr / 4]);
  else data.assign(tb.mem.begin() + f.addr, tb.mem.begin() + f.addr + f.n);
  f.answer = sealed(joined({(uint8_t)(f.op | seq << ESPL_BRIDGE_SEQ_SHIFT)}, data));
  return f;
}
static void check_effect(Tb &tb, const Frame &f) {
  if (f.op == ESPL_BRIDGE_WRITE_MEM && memcmp(&tb.mem[f.addr], f.after.data(), (size_t)f.n)) tb.fail("memory after a write", 0, 1);
  if (f.op == ESPL_BRIDGE_WRITE_REG && word(tb.reg[f.addr / 4]) != f.after) tb.fail("register after a write", tb.reg[f.addr / 4], f.after[0]);
}
static void good(Tb &tb, const Frame &f) {
  tb.send(f.bytes);
  tb.expect("answer", tb.answer(f.answer.size(), 4000), f.answer);
  check_effect(tb, f);
}
// Damages a frame in one of the ways of the spec; the head's damage must leave memory and registers alone.
static void wrong(Tb &tb, Frame f) {
  Bytes before = tb.mem;
  int writes = tb.reg_writes, bad_stop = -1, kind = (int)tb.rng.below(4);
  size_t at = tb.rng.below((uint32_t)f.bytes.size());
  bool write = f.op & 1;
  if (kind == 0) f.bytes[at] ^= (uint8_t)(1u << tb.rng.below(8));
  else if (kind == 1) f.bytes.resize(1 + tb.rng.below((uint32_t)f.bytes.size() - 1));
  else if (kind == 2) f.bytes.erase(f.bytes.begin() + (long)at);
  else bad_stop = (int)at;
  // A reading frame is over after its head: damage ends there too.
  tb.send(f.bytes, bad_stop);
  tb.expect("answer to a wrong frame", tb.answer(3, 2 * GAP + 4000), NAK);
  if (tb.reg_writes != writes) tb.fail("register writes of a wrong frame", tb.reg_writes, writes);
  for (size_t i = 0; i < before.size(); i++)
    if (tb.mem[i] != before[i] && !(write && f.op == ESPL_BRIDGE_WRITE_MEM && i >= f.addr && i < f.addr + (size_t)f.n)) return tb.fail("memory outside of a wrong frame", (long)i, f.addr);
}

int main(int argc, char **argv) {
  uint64_t seed = tb_seed(argc, argv);
  int frames = argc > 2 ? atoi(argv[2]) : 150;
  Verilated::commandArgs(argc, argv);
  Tb tb(seed);
  if (crc_of({'1', '2', '3', '4', '5', '6', '7', '8', '9'}) != 0x6f91) tb.fail("CRC of 123456789", crc_of({'1', '2', '3', '4', '5', '6', '7', '8', '9'}), 0x6f91);
  tb.top.rx_i = 1, tb.top.rst_i = 1;
  tb.run(4);
  tb.top.rst_i = 0;
  for (uint8_t &b : tb.mem) b = (uint8_t)tb.rng.next();
  for (uint32_t &r : tb.reg) r = tb.rng.next();
  for (int i = 0; i < frames && tb.ok; i++) {
    tb.skew = 1 + 0.001 * tb.rng.range(-20, 20);
    tb.slow = tb.rng.one_in(2) ? 0 : P_ClkDiv * 5;
    if (tb.rng.one_in(3)) wrong(tb, any_frame(tb));
    if (tb.rng.one_in(3)) {  // a glitch shorter than half a bit, and a long silence: nothing happens
      tb.top.rx_i = 0, tb.run(P_ClkDiv / 4), tb.top.rx_i = 1;
      tb.run(2.0 * GAP * P_ClkDiv);
      if (!tb.got.empty()) tb.fail("bytes from a quiet line", (long)tb.got.size(), 0);
    }
    good(tb, any_frame(tb));
  }
  tb.slow = 1000000;  // memory that is never free: the frame is wrong, not the memory
  Bytes before = tb.mem;
  tb.rng = Rng(seed + 1);
  tb.wait = 1000000;
  tb.send(joined(head(ESPL_BRIDGE_WRITE_MEM, 3, 0, 8), sealed(Bytes(8, 0x5a))));
  tb.expect("answer when memory is never free", tb.answer(3, 2 * GAP + 4000), NAK);
  if (!tb.ok) return 1;
  printf("PASS tb_espl_bridge bit %d cycles: seed %llu, %d frames\n", P_ClkDiv, (unsigned long long)seed, frames);
  return 0;
}
