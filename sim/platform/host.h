/* The host: resets the core, writes its registers, starts it, waits for the interrupt and reads the results.
 * One register access a cycle; a read is taken in the cycle after its address was set. */
#ifndef ESPL_PLATFORM_HOST_H
#define ESPL_PLATFORM_HOST_H

#include <string>
#include <vector>

#include "core_signals.h"
#include "device/rtl_job.h"

namespace espl {

SC_MODULE(host) {
 public:
  SC_HAS_PROCESS(host);
  host(sc_module_name name, core_signals &wires, cycle_counter &cycle);

  void connect(espl_rtl_job *job);
  /* Empty when the results were read; otherwise what went wrong. */
  const std::string &failure() const { return failure_; }

 private:
  enum class state { reset, identify, setup, run, results };
  void tick();
  void step_reset();
  void step_identify();
  void step_setup();
  void step_run();
  void step_results();
  void enter(state s);
  void fail(const std::string &text);
  void show(uint32_t addr) { w_.reg_addr_i.write(addr); }

  core_signals &w_;
  cycle_counter &cycle_;
  espl_rtl_job *job_ = nullptr;
  state state_ = state::reset;
  int step_ = 0;
  int64_t irq_at_ = 0;
  std::string failure_ = "the simulation ended before the interrupt";
};

}  // namespace espl
#endif
