/* The wires of the Verilated core: one signal a port, of the type Verilator chose for it, and bytes in and out of wide ones.
 *
 * Cycle t is the time between two rising edges. Everything outside the core acts on the falling edge in the middle of it: it reads what
 * the core shows in cycle t and sets what the core samples at the end of cycle t. */
#ifndef ESPL_PLATFORM_CORE_SIGNALS_H
#define ESPL_PLATFORM_CORE_SIGNALS_H

#include <cstdint>
#include <cstring>
#include <type_traits>

#include <systemc.h>

#include "Vespl_core.h"

namespace espl {

/* T of sc_in<T>: what Verilator uses for a port of that width (bool, uint32_t, uint64_t, sc_bv<W>). */
template <class Port> using data_of = typename std::remove_reference<Port>::type::data_type;

constexpr int64_t kClockNs = 10;

/* Bus words as bytes, little endian. */
template <int W> void word_from_bytes(const uint8_t *p, sc_bv<W> &w) {
  for (int i = 0; i < W / 32; i++) {
    uint32_t v;
    std::memcpy(&v, p + 4 * i, 4);
    w.set_word(i, v);
  }
}
template <int W> void word_to_bytes(const sc_bv<W> &w, uint8_t *p) {
  for (int i = 0; i < W / 32; i++) {
    uint32_t v = static_cast<uint32_t>(w.get_word(i));
    std::memcpy(p + 4 * i, &v, 4);
  }
}
inline void word_from_bytes(const uint8_t *p, uint32_t &w) { std::memcpy(&w, p, 4); }
inline void word_to_bytes(const uint32_t &w, uint8_t *p) { std::memcpy(p, &w, 4); }
inline void word_from_bytes(const uint8_t *p, uint64_t &w) { std::memcpy(&w, p, 8); }
inline void word_to_bytes(const uint64_t &w, uint8_t *p) { std::memcpy(p, &w, 8); }

using data_word = data_of<decltype(Vespl_core::mem_rd_data_i)>;
template <class T> struct bus_bytes_of { static constexpr int value = sizeof(T); };
template <int W> struct bus_bytes_of<sc_bv<W>> { static constexpr int value = W / 8; };
constexpr int kBusBytes = bus_bytes_of<data_word>::value;

/* X(name): every port of the core but the clock. */
#define ESPL_CORE_PORTS(X)                                                                                        \
  X(rst_i) X(reg_we_i) X(reg_addr_i) X(reg_wdata_i) X(reg_rdata_o) X(irq_o)                              \
  X(mem_rd_req_valid_o) X(mem_rd_req_ready_i) X(mem_rd_req_addr_o) X(mem_rd_req_beats_o)                          \
  X(mem_rd_valid_i) X(mem_rd_data_i) X(mem_rd_last_i) X(mem_rd_err_i)                                             \
  X(mem_wr_req_valid_o) X(mem_wr_req_ready_i) X(mem_wr_req_addr_o) X(mem_wr_req_beats_o)                          \
  X(mem_wr_take_i) X(mem_wr_data_o) X(mem_wr_strb_o) X(mem_wr_last_o) X(mem_wr_rsp_valid_i) X(mem_wr_rsp_err_i)   \
  X(mem_reset_o)

struct core_signals {
  sc_clock clk_i{"clk_i", kClockNs, SC_NS};
#define X(name) sc_signal<data_of<decltype(Vespl_core::name)>> name;
  ESPL_CORE_PORTS(X)
#undef X
  void bind(Vespl_core &core) {
    core.clk_i(clk_i);
#define X(name) core.name(name);
    ESPL_CORE_PORTS(X)
#undef X
  }
};

/* Cycle number: 0 is the cycle of the start write, negative before it. */
struct cycle_counter {
  int64_t start = INT64_MAX / 2;
  static int64_t since_power_on() { return static_cast<int64_t>(sc_time_stamp().value() / static_cast<uint64_t>(sc_time(kClockNs, SC_NS).value())); }
  int64_t now() const { return since_power_on() - start; }
  void start_next() { start = since_power_on() + 1; }
};

}  // namespace espl
#endif
