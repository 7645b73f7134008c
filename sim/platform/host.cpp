/* Host module: see host.h. */
#include "host.h"

#include <cstdio>

namespace espl {

namespace {
constexpr int kResetCycles = 4;

std::string text_of(const char *format, unsigned long long a, unsigned long long b) {
  char text[256];
  std::snprintf(text, sizeof text, format, a, b);
  return text;
}
}  // namespace

host::host(sc_module_name name, core_signals &wires, cycle_counter &cycle) : sc_module(name), w_(wires), cycle_(cycle) {
  SC_METHOD(tick);
  sensitive << w_.clk_i.negedge_event();
  dont_initialize();
}

void host::connect(espl_rtl_job *job) {
  job_ = job;
  w_.rst_i.write(true);
}

void host::enter(state s) {
  state_ = s;
  step_ = 0;
}

void host::fail(const std::string &text) {
  failure_ = text;
  sc_stop();
}

void host::tick() {
  switch (state_) {
    case state::reset: step_reset(); break;
    case state::identify: step_identify(); break;
    case state::setup: step_setup(); break;
    case state::run: step_run(); break;
    case state::results: step_results(); break;
  }
}

void host::step_reset() {
  if (++step_ < kResetCycles) return;
  w_.rst_i.write(false);
  enter(state::identify);
}

void host::step_identify() {
  const uint32_t addr[] = {ESPL_REG_ID, ESPL_REG_VERSION, ESPL_REG_HASH};
  const uint32_t expected[] = {ESPL_ID_VALUE, ESPL_VERSION_VALUE, job_->config_hash};
  if (step_ > 0 && w_.reg_rdata_o.read() != expected[step_ - 1]) {
    fail("register " + std::to_string(addr[step_ - 1]) + text_of(" reads 0x%llx, expected 0x%llx: this core was built for another machine", w_.reg_rdata_o.read(), expected[step_ - 1]));
    return;
  }
  if (step_ == 3) {
    enter(state::setup);
    return;
  }
  show(addr[step_++]);
}

void host::step_setup() {
  const struct { uint32_t addr, value; } writes[] = {{ESPL_REG_EXPECT_HASH, job_->expect_hash},
                                                     {ESPL_REG_PROG_ADDR, job_->prog_addr},
                                                     {ESPL_REG_PROG_BYTES, job_->prog_bytes},
                                                     {ESPL_REG_OUTSTANDING, static_cast<uint32_t>(job_->mem.outstanding)},
                                                     {ESPL_REG_CONTROL, 1}};
  w_.reg_we_i.write(true);
  show(writes[step_].addr);
  w_.reg_wdata_i.write(writes[step_].value);
  if (++step_ == 4) cycle_.start_next(); /* known before it begins: a trace may begin with it */
  if (step_ == 5) enter(state::run);
}

void host::step_run() {
  w_.reg_we_i.write(false);
  if (w_.irq_o.read()) {
    irq_at_ = cycle_.now();
    enter(state::results);
    step_results();
  } else if (job_->max_cycles && static_cast<uint64_t>(cycle_.now()) > job_->max_cycles) {
    fail(text_of("no interrupt after %llu cycles (limit %llu)", static_cast<unsigned long long>(cycle_.now()), job_->max_cycles));
  }
}

void host::step_results() {
  constexpr int kFixed = 3;
  const uint32_t fixed[kFixed] = {ESPL_REG_STATUS, ESPL_REG_ERR_INDEX, ESPL_REG_CYCLES};
  if (step_ > 0) {
    uint32_t v = w_.reg_rdata_o.read();
    int i = step_ - 1;
    if (i == 0) job_->status_reg = v;
    else if (i == 1) job_->err_index = v;
    else if (i == 2) job_->cycles = static_cast<uint64_t>(irq_at_) - ((static_cast<uint32_t>(irq_at_) - v) & 0xffffffffu); /* 64 bits from the low 32 */
    else job_->counter[i - kFixed] = v;
  }
  if (step_ == kFixed + ESPL_CNT_COUNT) {
    failure_.clear();
    sc_stop();
    return;
  }
  show(step_ < kFixed ? fixed[step_] : ESPL_REG_COUNTER0 + 4u * static_cast<uint32_t>(step_ - kFixed));
  step_++;
}

}  // namespace espl
