/* The memory module: the engine of memory_engine.h on the wires of the core, once a cycle. */
#ifndef ESPL_PLATFORM_MEMORY_H
#define ESPL_PLATFORM_MEMORY_H

#include "core_signals.h"
#include "memory_engine.h"

namespace espl {

/* The wires of the memory port as signals. */
class signal_port {
 public:
  explicit signal_port(core_signals &wires) : w_(wires) {}
  bool get_reset() const { return w_.mem_reset_o.read(); }
  bool get_rd_req_valid() const { return w_.mem_rd_req_valid_o.read(); }
  uint32_t get_rd_req_addr() const { return w_.mem_rd_req_addr_o.read(); }
  uint32_t get_rd_req_beats() const { return w_.mem_rd_req_beats_o.read(); }
  bool get_wr_req_valid() const { return w_.mem_wr_req_valid_o.read(); }
  uint32_t get_wr_req_addr() const { return w_.mem_wr_req_addr_o.read(); }
  uint32_t get_wr_req_beats() const { return w_.mem_wr_req_beats_o.read(); }
  void get_wr_data(uint8_t *bytes) const { word_to_bytes(w_.mem_wr_data_o.read(), bytes); }
  uint32_t get_wr_strb() const { return static_cast<uint32_t>(w_.mem_wr_strb_o.read()); }
  void set_rd_valid(bool v) { w_.mem_rd_valid_i.write(v); }
  void set_rd_data(const uint8_t *bytes) {
    data_word word;
    word_from_bytes(bytes, word);
    w_.mem_rd_data_i.write(word);
  }
  void set_rd_err(bool v) { w_.mem_rd_err_i.write(v); }
  void set_rd_last(bool v) { w_.mem_rd_last_i.write(v); }
  void set_wr_take(bool v) { w_.mem_wr_take_i.write(v); }
  void set_wr_rsp_valid(bool v) { w_.mem_wr_rsp_valid_i.write(v); }
  void set_wr_rsp_err(bool v) { w_.mem_wr_rsp_err_i.write(v); }

 private:
  core_signals &w_;
};

SC_MODULE(memory) {
 public:
  SC_HAS_PROCESS(memory);
  memory(sc_module_name name, core_signals &wires, const cycle_counter &cycle);

  /* bytes and log are borrowed. Call before the simulation starts. */
  void connect(uint8_t *bytes, uint32_t size, const espl_mem_timing &timing, espl_bus_event *log, uint32_t log_cap);
  const memory_engine<signal_port, kBusBytes> &engine() const { return engine_; }

 private:
  void tick();

  core_signals &w_;
  const cycle_counter &cycle_;
  memory_engine<signal_port, kBusBytes> engine_;
};

}  // namespace espl
#endif
