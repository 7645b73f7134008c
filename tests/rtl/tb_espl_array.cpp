// Array against a matrix product: random passes of random length, loading of the next weights at the earliest legal and at
// later cycles, swaps at the earliest legal cycle after loading and later. Every column sum is compared in its exact cycle.
#include <vector>

#include "Vtb_espl_array.h"
#include "tb_util.hpp"

#ifndef P_WBits
#define P_WBits 8
#endif
static const int R = P_Rows, C = P_Cols, S = P_MulStages, W = P_WBits;

// A weight of W bits from any byte.
static int8_t narrow(uint8_t v) { return (int8_t)((int8_t)(uint8_t)(v << (8 - W)) >> (8 - W)); }

int main(int argc, char** argv) {
  uint64_t seed = tb_seed(argc, argv);
  Rng rng(seed);
  auto* top = new Vtb_espl_array;
  const int passes = 200;
  struct Pass {
    long load, swap, len;
    std::vector<int8_t> w, a;
  };
  std::vector<Pass> pass(passes);
  long load = 1, swap = 0, end = 0;
  for (int k = 0; k < passes; k++) {
    Pass& p = pass[(size_t)k];
    bool tight = k < passes / 2 || rng.one_in(2);
    if (k > 0) {
      load = std::max(pass[(size_t)k - 1].swap, load + R);
      if (!tight) load += rng.range(0, 5);
    }
    swap = std::max(load + R / 2 + 1, end);
    if (!tight) swap += rng.range(0, 5);
    p.load = load;
    p.swap = swap;
    p.len = rng.one_in(3) ? 1 : rng.range(1, 3 * R);
    end = swap + p.len;
    p.w.resize((size_t)(R * C));
    p.a.resize((size_t)(p.len * R));
    bool extreme = rng.one_in(5);
    for (auto& v : p.w) v = narrow(extreme ? (uint8_t)(1u << (W - 1)) : (uint8_t)rng.next());
    for (auto& v : p.a) v = extreme ? -128 : (int8_t)rng.next();
  }
  const long cycles = end + R + C + 8;
  std::vector<int> pix_pass((size_t)cycles, -1), row_pass((size_t)cycles, -1);
  for (int k = 0; k < passes; k++) {
    for (long i = 0; i < pass[(size_t)k].len; i++) pix_pass[(size_t)(pass[(size_t)k].swap + i)] = k;
    for (int r = 0; r < R; r++) row_pass[(size_t)(pass[(size_t)k].load + r)] = k;
  }
  long compared = 0, bad = 0;
  for (long t = 0; t < cycles; t++) {
    int k = pix_pass[(size_t)t], l = row_pass[(size_t)t];
    for (int r = 0; r < R; r++) {
      put_byte(top->a_i, r, (uint8_t)(k < 0 ? rng.next() : (uint8_t)pass[(size_t)k].a[(size_t)((t - pass[(size_t)k].swap) * R + r)]));
      put_bit(top->wsel_i, r, l >= 0 && t - pass[(size_t)l].load == r);
    }
    top->swap_i = k >= 0 && t == pass[(size_t)k].swap;
    for (int c = 0; c < C; c++) {
      uint8_t v = (uint8_t)(l < 0 ? rng.next() : (uint8_t)pass[(size_t)l].w[(size_t)((t - pass[(size_t)l].load) * C + c)]);
      for (int b = 0; b < W; b++) put_bit(top->w_i, W * c + b, v >> b & 1);
    }
    top->clk_i = 0;
    top->eval();
    for (int c = 0; c < C; c++) {
      long x = t - (R / 2 + 1 + S + c);
      int q = x < 0 ? -1 : pix_pass[(size_t)x];
      if (q < 0) continue;
      const Pass& p = pass[(size_t)q];
      int want = 0;
      for (int r = 0; r < R; r++) want += p.w[(size_t)(r * C + c)] * p.a[(size_t)((x - p.swap) * R + r)];
      int got = get_field(top->psum_o, 24 * c, 24);
      compared++;
      if (got != want && bad++ < 5)
        printf("FAIL cycle %ld column %d pass %d pixel %ld: sum %d, expected %d\n", t, c, q, x - p.swap, got, want);
    }
    top->clk_i = 1;
    top->eval();
  }
  delete top;
  printf("%s tb_espl_array %dx%d w_bits %d mul_stages %d seed %llu: %ld sums in %ld cycles, %ld wrong\n", bad || !compared ? "FAIL" : "PASS", R, C, W, S,
         (unsigned long long)seed, compared, cycles, bad);
  return bad || !compared;
}
