/* The memory behind the core's native port: bytes, and the times of sim/timing/memtime.h.
 *
 * A request is accepted in the cycle in which it is shown (both ready wires stay high); from then on all its beat times are known.
 * A burst that leaves memory gives zero beats with the error mark, or drops its beats and answers with an error. */
#ifndef ESPL_PLATFORM_MEMORY_H
#define ESPL_PLATFORM_MEMORY_H

#include <deque>
#include <vector>

#include "core_signals.h"
#include "timing/memtime.h"

namespace espl {

SC_MODULE(memory) {
 public:
  SC_HAS_PROCESS(memory);
  memory(sc_module_name name, core_signals &wires, const cycle_counter &cycle);

  /* bytes is borrowed. Call before the simulation starts. */
  void connect(uint8_t *bytes, uint32_t size, const espl_mem_timing &timing);
  /* The 16 counters of every MARK so far, in order: taken from its record at the pulse of mem_reset. */
  const std::vector<uint32_t> &records() const { return records_; }

 private:
  struct burst {
    uint64_t addr;
    bool bad;
    int32_t next = 0; /* beat that comes next */
    espl_burst_time time;
  };
  struct response {
    int64_t at;
    bool bad;
  };
  void tick();
  void reset_timing(int64_t now);
  void accept(int64_t now);
  burst accept_on(int channel, int64_t now, uint32_t addr, uint32_t beats);
  void read_beat(int64_t now);
  void write_beat(int64_t now);
  void write_response(int64_t now);

  core_signals &w_;
  const cycle_counter &cycle_;
  uint8_t *bytes_ = nullptr;
  uint32_t size_ = 0;
  espl_mem_timing timing_{};
  espl_memtime time_{};
  bool started_ = false;
  std::deque<burst> reads_, writes_;
  std::deque<response> responses_;
  uint64_t last_write_addr_ = 0; /* of the last burst that was written completely: at mem_reset that is the record */
  std::vector<uint32_t> records_;
};

}  // namespace espl
#endif
