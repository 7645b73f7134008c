/* espl_rtl: the SystemC platform as a program that runs jobs.
 *
 * Reads one job file name a line from standard input and answers each with one line (rtl_job.h). The modules are built once;
 * every job runs in a fork of that state, so it starts from power-on and a crash of one does not end the others. */
#include <cstdio>
#include <ctime>
#include <iostream>
#include <string>

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "memory.h"
#if VM_TRACE_FST
#include <verilated_fst_c.h>
#endif

namespace espl {
namespace {

/* Writes the wires and registers of a window of cycles to an FST file, one nanosecond after each edge, when all has settled. */
SC_MODULE(tracer) {
 public:
  SC_HAS_PROCESS(tracer);
  tracer(sc_module_name name, core_signals &wires, const cycle_counter &cycle, Vespl_core &core) : sc_module(name), cycle_(cycle), core_(core) {
    SC_METHOD(edge);
    sensitive << wires.clk_i.value_changed_event();
    dont_initialize();
    SC_METHOD(dump);
    sensitive << settled_;
    dont_initialize();
  }
#if VM_TRACE_FST
  std::string connect(const espl_rtl_job &job) {
    if (!job.trace[0]) return "";
    job_ = &job;
    return "";
  }
  void close() {
    if (file_.isOpen()) file_.close();
    job_ = nullptr;
  }
  /* A trace was asked for and no cycle of it came. */
  bool missed() const { return job_ && !file_.isOpen(); }

 private:
  void dump() {
    int64_t now = cycle_.now();
    if (!job_ || now < 0 || static_cast<uint64_t>(now) < job_->trace_from) return;
    if (static_cast<uint64_t>(now) > job_->trace_to) {
      close();
      return;
    }
    if (!file_.isOpen()) {
      core_.trace(&file_, 99); /* only possible once the simulation runs */
      file_.open(job_->trace);
    }
    file_.dump(static_cast<uint64_t>(sc_time_stamp().value()));
  }
  VerilatedFstC file_;
#else
  std::string connect(const espl_rtl_job &job) { return job.trace[0] ? "this build writes no trace" : ""; }
  void close() { job_ = nullptr; }
  bool missed() const { return false; }

 private:
  void dump() {}
#endif
  void edge() {
    if (job_) settled_.notify(1, SC_NS);
  }
  const cycle_counter &cycle_;
  Vespl_core &core_;
  const espl_rtl_job *job_ = nullptr;
  sc_event settled_;
};

struct platform {
  core_signals wires;
  cycle_counter cycle;
  Vespl_core core{"core"};
  memory mem{"memory", wires, cycle};
  host cpu{"host", wires, cycle};
  tracer trace{"tracer", wires, cycle, core};
  platform() { wires.bind(core); }
};

/* The job file mapped into this process; `job` is NULL and `failure` says why when it cannot be. */
struct mapped_job {
  espl_rtl_job *job = nullptr;
  uint8_t *base = nullptr;
  std::string failure;

  explicit mapped_job(const std::string &path) {
    int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size < static_cast<off_t>(ESPL_JOB_MEMORY_OFFSET)) {
      failure = path + ": cannot open the job file";
      if (fd >= 0) ::close(fd);
      return;
    }
    void *p = mmap(nullptr, static_cast<size_t>(st.st_size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (p == MAP_FAILED) {
      failure = path + ": cannot map the job file";
      return;
    }
    base = static_cast<uint8_t *>(p);
    espl_rtl_job *j = static_cast<espl_rtl_job *>(p);
    if (j->magic != ESPL_JOB_MAGIC || j->version != ESPL_JOB_VERSION ||
        static_cast<uint64_t>(st.st_size) < espl_job_file_bytes(j->mem_bytes, j->layer_cap, j->log_cap)) {
      failure = path + ": not a job file of this version";
      return;
    }
    job = j;
  }
};

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/* Runs the job to its end; the text of the failure, or empty. */
std::string run_job(platform &p, const std::string &path) {
  mapped_job m(path);
  if (!m.job) return m.failure;
  std::string failure = p.trace.connect(*m.job);
  if (!failure.empty()) return failure;
  void *log = m.base + espl_job_log_offset(m.job->mem_bytes, m.job->layer_cap);
  p.mem.connect(m.base + ESPL_JOB_MEMORY_OFFSET, m.job->mem_bytes, m.job->mem, static_cast<espl_bus_event *>(log), m.job->log_cap);
  p.cpu.connect(m.job);
  const double began = cpu_seconds();
  sc_start();
  m.job->cpu_seconds = cpu_seconds() - began;
  const bool missed = p.trace.missed();
  p.trace.close();
  m.job->logged = p.mem.engine().logged();
  const std::vector<uint32_t> &records = p.mem.engine().records();
  size_t n = records.size() / ESPL_CNT_COUNT;
  if (n > m.job->layer_cap) return std::to_string(n) + " layers, but room for " + std::to_string(m.job->layer_cap);
  m.job->layers = static_cast<uint32_t>(n);
  if (n) std::memcpy(m.base + espl_job_layers_offset(m.job->mem_bytes), records.data(), records.size() * sizeof(uint32_t));
  if (missed && p.cpu.failure().empty()) return "the run ended before the first cycle of the trace (" + std::to_string(m.job->trace_from) + ")";
  return p.cpu.failure();
}

/* Runs the job in a fork and says how it ended. */
std::string run_forked(platform &p, const std::string &path) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return "cannot make a pipe";
  pid_t pid = fork();
  if (pid < 0) return "cannot fork";
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::string failure = run_job(p, path);
    bool sent = failure.empty() || write(ends[1], failure.data(), failure.size()) == static_cast<ssize_t>(failure.size());
    _exit(failure.empty() && sent ? 0 : 1);
  }
  ::close(ends[1]);
  char text[512];
  std::string failure;
  for (ssize_t n; (n = read(ends[0], text, sizeof text)) > 0;) failure.append(text, static_cast<size_t>(n));
  ::close(ends[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  if (WIFSIGNALED(status)) return "the simulation was ended by signal " + std::to_string(WTERMSIG(status));
  if (failure.empty() && WEXITSTATUS(status) != 0) return "the simulation ended with exit status " + std::to_string(WEXITSTATUS(status));
  return failure;
}

}  // namespace
}  // namespace espl

int sc_main(int, char **) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  int answers = dup(STDOUT_FILENO); /* nothing but answers goes there */
  if (answers < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return 1;
  sc_report_handler::set_actions("/OSCI/SystemC", SC_DO_NOTHING); /* the notice of sc_stop */
#if VM_TRACE_FST
  Verilated::traceEverOn(true); /* before the model exists */
#endif
  static espl::platform p;
  for (std::string line; std::getline(std::cin, line);) {
    std::string failure = espl::run_forked(p, line);
    std::string answer = failure.empty() ? "ok\n" : "fail " + failure + "\n";
    if (write(answers, answer.data(), answer.size()) != static_cast<ssize_t>(answer.size())) return 1;
  }
  return 0;
}
