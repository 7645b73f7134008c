// Shared by the Verilator benches: counter-based random numbers, access to ports of any width, the clock.
#ifndef ESPL_TB_UTIL_HPP
#define ESPL_TB_UTIL_HPP
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "verilated.h"

struct Rng {
  uint64_t s;
  explicit Rng(uint64_t seed) : s(0) {
    s = seed * 0xd1342543de82ef95ull;
    s = ((uint64_t)next() << 32) ^ next() ^ seed;  // far apart for neighbouring seeds
  }
  uint32_t next() {  // splitmix64
    uint64_t z = (s += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (uint32_t)((z ^ (z >> 31)) >> 16);
  }
  uint32_t below(uint32_t n) { return (uint32_t)(((uint64_t)next() * n) >> 32); }
  int range(int lo, int hi) { return lo + (int)below((uint32_t)(hi - lo + 1)); }
  bool one_in(uint32_t n) { return n <= 1 || below(n) == 0; }
};

// 32-bit word w of a port.
static inline void put_word(CData& p, int, uint32_t v) { p = (CData)v; }
static inline void put_word(SData& p, int, uint32_t v) { p = (SData)v; }
static inline void put_word(IData& p, int, uint32_t v) { p = v; }
static inline void put_word(QData& p, int w, uint32_t v) { p = (p & ~(0xffffffffull << (32 * w))) | ((QData)v << (32 * w)); }
template <std::size_t N> static inline void put_word(VlWide<N>& p, int w, uint32_t v) { p[(size_t)w] = v; }
static inline uint32_t get_word(const CData& p, int) { return p; }
static inline uint32_t get_word(const SData& p, int) { return p; }
static inline uint32_t get_word(const IData& p, int) { return p; }
static inline uint32_t get_word(const QData& p, int w) { return (uint32_t)(p >> (32 * w)); }
template <std::size_t N> static inline uint32_t get_word(const VlWide<N>& p, int w) { return p[(size_t)w]; }

template <class P> static inline void put_byte(P& p, int i, uint8_t v) {
  uint32_t w = get_word(p, i / 4);
  int sh = 8 * (i % 4);
  put_word(p, i / 4, (w & ~(0xffu << sh)) | ((uint32_t)v << sh));
}
template <class P> static inline void put_bit(P& p, int i, bool v) {
  uint32_t w = get_word(p, i / 32);
  put_word(p, i / 32, (w & ~(1u << (i % 32))) | ((uint32_t)v << (i % 32)));
}
// Signed field of at most 32 bits; width is a multiple of 8.
template <class P> static inline int32_t get_field(const P& p, int lsb, int width) {
  uint64_t v = 0;
  for (int i = 0; i < width / 8; i++) {
    int bit = lsb + 8 * i;
    v |= (uint64_t)(get_word(p, bit / 32) >> (bit % 32) & 0xff) << (8 * i);
  }
  return (int32_t)((uint32_t)v << (32 - width)) >> (32 - width);
}

static uint64_t tb_seed(int argc, char** argv) {
  return argc > 1 ? strtoull(argv[1], nullptr, 0) : 1;
}
#endif
