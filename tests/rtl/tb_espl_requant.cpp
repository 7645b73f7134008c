// espl_requant against sim/model/requant.h: every shift s 0..63 with every l 0..31 (halves, limits, random operands), then random operands.
// The layer's zero point and clamp change only between groups of operations, when the lane is empty. Usage: tb_espl_requant SEED GROUPS.
#include <deque>

#include "Vtb_espl_requant.h"
#include "model/requant.h"
#include "tb_util.hpp"

static const int LAT = P_RqCycles == 1 ? 4 + 2 * P_MulStages : 21;

struct Op { int64_t at; int8_t want; };

struct Tb {
  Vtb_espl_requant top;
  Rng rng;
  int64_t now = 0, ops = 0;
  std::deque<Op> due;
  espl_rq_layer layer{};
  bool ok = true;
  explicit Tb(uint64_t seed) : rng(seed) {}

  void cycle() {
    top.eval();
    if (!due.empty() && due.front().at == now) {
      if ((int8_t)top.q_o != due.front().want && ok) {
        printf("FAIL tb_espl_requant operation %lld: got %d, expected %d\n", (long long)ops, (int8_t)top.q_o, due.front().want);
        ok = false;
      }
      due.pop_front();
    }
    top.clk_i = 1;
    top.eval();
    top.clk_i = 0;
    top.valid_i = 0;
    now++;
  }
  void set_layer(const espl_rq_layer &l) {
    while (!due.empty()) cycle();
    layer = l;
    top.zo_i = (uint8_t)l.zo, top.lo_i = (uint8_t)l.lo, top.hi_i = (uint8_t)l.hi;
  }
  void op(int32_t acc, const espl_rq_param &p, bool res, int8_t r) {
    top.valid_i = 1;
    top.a_i = (uint32_t)acc, top.b_i = (uint32_t)p.bias, top.m_i = p.m, top.mr_i = p.mr, top.s_i = p.s, top.l_i = p.l;
    top.d_i = res ? (uint32_t)(r - layer.zr) & 511 : 0;
    due.push_back({now + LAT, res ? espl_requantize_res(acc, r, &p, &layer) : espl_requantize(acc, &p, &layer)});
    ops++;
    for (int i = 0; i < P_RqCycles; i++) cycle();
    for (uint32_t gap = rng.one_in(8) ? rng.below(4) : 0; gap; gap--) cycle();
  }
  int32_t any_acc() {
    static const int32_t edge[] = {0, 1, -1, INT32_MAX, INT32_MIN, 0x7fffff, -0x800000};
    return rng.one_in(4) ? edge[rng.below(7)] : (int32_t)rng.next() >> rng.below(31);
  }
  espl_rq_layer any_layer() {
    espl_rq_layer l{(int8_t)rng.next(), (int8_t)rng.next(), -128, 127};
    if (rng.one_in(3)) l.lo = (int8_t)rng.next(), l.hi = (int8_t)rng.next();
    return l;
  }
};

int main(int argc, char **argv) {
  uint64_t seed = tb_seed(argc, argv);
  int groups = argc > 2 ? atoi(argv[2]) : 200;
  Verilated::commandArgs(argc, argv);
  Tb tb(seed);
  tb.top.rst_i = 1;
  for (int i = 0; i < 3; i++) tb.cycle();
  tb.top.rst_i = 0;
  for (int s = 0; s < 64 && tb.ok; s++) {
    tb.set_layer(tb.any_layer());
    for (int l = 0; l < 32; l++) {
      espl_rq_param p{0, (uint16_t)tb.rng.next(), (uint16_t)tb.rng.next(), (uint8_t)s, (uint8_t)l};
      for (int k = 0; k < 4; k++) tb.op(tb.any_acc(), p, P_Residual && k > 0, k == 1 ? -128 : k == 2 ? 127 : (int8_t)tb.rng.next());
      p.m = p.mr = 65535;
      tb.op(INT32_MAX, p, P_Residual, 127);
      tb.op(INT32_MIN, p, P_Residual, -128);
      p.m = 1;  // exact halves and their neighbours
      int32_t half = s >= 1 && s <= 31 ? (int32_t)(1u << (s - 1)) : 0;
      for (int k = -1; k <= 1; k++) tb.op(half + k, p, false, 0), tb.op(-half + k, p, false, 0);
    }
  }
  for (int g = 0; g < groups && tb.ok; g++) {
    tb.set_layer(tb.any_layer());
    for (int k = 0; k < 100; k++) {
      espl_rq_param p{tb.any_acc(), (uint16_t)tb.rng.next(), (uint16_t)tb.rng.next(), (uint8_t)tb.rng.range(1, 47), (uint8_t)tb.rng.range(0, 22)};
      tb.op(tb.any_acc(), p, P_Residual && tb.rng.one_in(2), (int8_t)tb.rng.next());
    }
  }
  tb.set_layer(tb.layer);
  if (!tb.ok) return 1;
  printf("PASS tb_espl_requant cycles/op=%d residual=%d: seed %llu, %lld operations equal\n", P_RqCycles, P_Residual, (unsigned long long)seed, (long long)tb.ops);
  return 0;
}
