/* The Verilated core in a plain C++ loop: the yardstick of the SystemC platform. The same jobs, the same memory, the same protocol on
 * standard input and output (sim/device/rtl_job.h), no traces; every job runs on a new core. */
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "Vespl_core.h"
#include "memory_engine.h"

namespace {

template <class W> void to_bytes(const W &w, uint8_t *p) { std::memcpy(p, &w, sizeof w); }
template <class W> void from_bytes(const uint8_t *p, W &w) { std::memcpy(&w, p, sizeof w); }

class bare_port {
 public:
  explicit bare_port(Vespl_core &core) : c_(core) {}
  bool get_reset() const { return c_.mem_reset_o; }
  bool get_rd_req_valid() const { return c_.mem_rd_req_valid_o; }
  uint32_t get_rd_req_addr() const { return c_.mem_rd_req_addr_o; }
  uint32_t get_rd_req_beats() const { return c_.mem_rd_req_beats_o; }
  bool get_wr_req_valid() const { return c_.mem_wr_req_valid_o; }
  uint32_t get_wr_req_addr() const { return c_.mem_wr_req_addr_o; }
  uint32_t get_wr_req_beats() const { return c_.mem_wr_req_beats_o; }
  void get_wr_data(uint8_t *bytes) const { to_bytes(c_.mem_wr_data_o, bytes); }
  uint32_t get_wr_strb() const { return c_.mem_wr_strb_o; }
  void set_rd_valid(bool v) { c_.mem_rd_valid_i = v; }
  void set_rd_data(const uint8_t *bytes) { from_bytes(bytes, c_.mem_rd_data_i); }
  void set_rd_err(bool v) { c_.mem_rd_err_i = v; }
  void set_rd_last(bool v) { c_.mem_rd_last_i = v; }
  void set_wr_take(bool v) { c_.mem_wr_take_i = v; }
  void set_wr_rsp_valid(bool v) { c_.mem_wr_rsp_valid_i = v; }
  void set_wr_rsp_err(bool v) { c_.mem_wr_rsp_err_i = v; }

 private:
  Vespl_core &c_;
};

constexpr int kBusBytes = sizeof(Vespl_core::mem_rd_data_i);

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void fall(Vespl_core &c) {
  c.clk_i = 0;
  c.eval();
}
void rise(Vespl_core &c) {
  c.eval(); /* inputs set while the clock is low */
  c.clk_i = 1;
  c.eval();
}

void write_register(Vespl_core &c, uint32_t addr, uint32_t value) {
  fall(c);
  c.reg_we_i = 1;
  c.reg_addr_i = static_cast<uint8_t>(addr);
  c.reg_wdata_i = value;
  rise(c);
}
uint32_t read_register(Vespl_core &c, uint32_t addr) {
  c.reg_addr_i = static_cast<uint8_t>(addr);
  c.eval();
  return c.reg_rdata_o;
}

std::string run(espl_rtl_job *j, uint8_t *base) {
  auto context = std::make_unique<VerilatedContext>();
  auto core = std::make_unique<Vespl_core>(context.get());
  Vespl_core &c = *core;
  espl::memory_engine<bare_port, kBusBytes> memory{bare_port(c)};
  memory.connect(base + ESPL_JOB_MEMORY_OFFSET, j->mem_bytes, j->mem, reinterpret_cast<espl_bus_event *>(base + espl_job_log_offset(j->mem_bytes, j->layer_cap)), j->log_cap);
  c.mem_rd_req_ready_i = c.mem_wr_req_ready_i = 1;
  c.rst_i = 1;
  for (int i = 0; i < 4; i++) {
    fall(c);
    rise(c);
  }
  c.rst_i = 0;
  if (read_register(c, ESPL_REG_HASH) != j->config_hash) return "this core was built for another machine";
  write_register(c, ESPL_REG_EXPECT_HASH, j->expect_hash);
  write_register(c, ESPL_REG_PROG_ADDR, j->prog_addr);
  write_register(c, ESPL_REG_PROG_BYTES, j->prog_bytes);
  write_register(c, ESPL_REG_OUTSTANDING, static_cast<uint32_t>(j->mem.outstanding));
  write_register(c, ESPL_REG_CONTROL, 1);
  c.reg_we_i = 0;
  int64_t now = 1;
  const double began = cpu_seconds();
  for (;; now++) {
    fall(c);
    if (c.irq_o) break;
    if (j->max_cycles && static_cast<uint64_t>(now) > j->max_cycles) return "no interrupt";
    memory.tick(now);
    rise(c);
  }
  j->cpu_seconds = cpu_seconds() - began;
  j->status_reg = read_register(c, ESPL_REG_STATUS);
  j->err_index = read_register(c, ESPL_REG_ERR_INDEX);
  j->cycles = static_cast<uint64_t>(now);
  for (uint32_t i = 0; i < ESPL_CNT_COUNT; i++) j->counter[i] = read_register(c, ESPL_REG_COUNTER0 + 4 * i);
  j->logged = memory.logged();
  const std::vector<uint32_t> &records = memory.records();
  j->layers = static_cast<uint32_t>(records.size() / ESPL_CNT_COUNT);
  if (j->layers > j->layer_cap) return "more layers than there is room for";
  if (j->layers) std::memcpy(base + espl_job_layers_offset(j->mem_bytes), records.data(), records.size() * sizeof(uint32_t));
  return "";
}

std::string run_file(const std::string &path) {
  int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) return path + ": cannot open the job file";
  void *p = mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (p == MAP_FAILED) return path + ": cannot map the job file";
  espl_rtl_job *j = static_cast<espl_rtl_job *>(p);
  bool known = j->magic == ESPL_JOB_MAGIC && j->version == ESPL_JOB_VERSION;
  std::string failure = known ? run(j, static_cast<uint8_t *>(p)) : path + ": not a job file of this version";
  munmap(p, static_cast<size_t>(st.st_size));
  return failure;
}

}  // namespace

double sc_time_stamp() { return 0; }

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::string failure = run_file(line);
    std::string answer = failure.empty() ? "ok\n" : "fail " + failure + "\n";
    if (write(STDOUT_FILENO, answer.data(), answer.size()) != static_cast<ssize_t>(answer.size())) return 1;
  }
  return 0;
}
