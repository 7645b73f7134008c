/* Memory module: see memory.h. */
#include "memory.h"

namespace espl {

memory::memory(sc_module_name name, core_signals &wires, const cycle_counter &cycle) : sc_module(name), w_(wires), cycle_(cycle), engine_(signal_port(wires)) {
  SC_METHOD(tick);
  sensitive << w_.clk_i.negedge_event();
  dont_initialize();
}

void memory::connect(uint8_t *bytes, uint32_t size, const espl_mem_timing &timing, espl_bus_event *log, uint32_t log_cap) {
  engine_.connect(bytes, size, timing, log, log_cap);
  w_.mem_rd_req_ready_i.write(true);
  w_.mem_wr_req_ready_i.write(true);
}

void memory::tick() {
  int64_t now = cycle_.now();
  if (now > 0) engine_.tick(now); /* before, the core does not run */
}

}  // namespace espl
