/* The Verilated core as a device: builds it, keeps the platform as a child process, passes jobs through mapped files (rtl_job.h). */
#include "device/rtl.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/interrupt.h"
#include "device/decode.h"
#include "device/root.h"
#include "device/rtl_job.h"

#define MAX_ARRAY 4096 /* PEs: larger cores take too long to build and run */
#define ARGS_MAX 40
#define ARG_BYTES 64

struct espl_rtl {
  espl_machine machine; /* its structure is that of the build */
  char program[PATH_MAX];
  espl_rtl_flavour flavour;
  double cpu_seconds;
  pid_t pid;            /* 0: not running */
  int line;             /* socket: job names out, answers in */
};

/* --- building ------------------------------------------------------------------------------------------------------- */

#define X(c_name, RtlName, min, max) +1
_Static_assert(1 ESPL_PARAM_LIST(X) <= ARGS_MAX, "every parameter is an argument of build-core");
#undef X

static int build_arguments(const espl_machine *m, char text[ARGS_MAX][ARG_BYTES]) {
  int n = 0;
  snprintf(text[n++], ARG_BYTES, "ConfigHash=%u", (unsigned)espl_machine_hash(m));
#define X(c_name, RtlName, min, max) snprintf(text[n++], ARG_BYTES, #RtlName "=%d", (int)m->c_name);
  ESPL_PARAM_LIST(X)
#undef X
  return n;
}

/* Runs build-core and keeps the line it prints (the program's path). Its messages go to standard error. */
static espl_status run_builder(char *const argv[], char path[PATH_MAX], espl_err *err) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return espl_fail(err, ESPL_E_IO, "pipe: %s", strerror(errno));
  pid_t pid = fork();
  if (pid < 0) {
    close(ends[0]);
    close(ends[1]);
    return espl_fail(err, ESPL_E_IO, "fork: %s", strerror(errno));
  }
  if (pid == 0) {
    if (dup2(ends[1], STDOUT_FILENO) >= 0) execv(argv[0], argv);
    _exit(127);
  }
  close(ends[1]);
  size_t n = 0;
  for (ssize_t k; n + 1 < PATH_MAX && ((k = read(ends[0], path + n, PATH_MAX - 1 - n)) > 0 || (k < 0 && errno == EINTR));)
    if (k > 0) n += (size_t)k;
  path[n] = 0;
  path[strcspn(path, "\n")] = 0;
  close(ends[0]);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && path[0]) return ESPL_OK;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 3) return espl_fail(err, ESPL_E_UNSUPPORTED, "%s: a tool for the RTL simulator is missing", argv[0]);
  return espl_fail(err, ESPL_E_FAILED, "%s failed: the RTL simulator was not built", argv[0]);
}

static espl_status build(const espl_machine *m, espl_rtl_flavour flavour, const char *rtl_dir, char path[PATH_MAX], espl_err *err) {
  ESPL_TRY(espl_machine_check(m, err));
  if (m->rows * m->cols > MAX_ARRAY)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "machine %s: the RTL of a %dx%d array is too large to build (at most %d multipliers)", m->name, (int)m->rows,
                     (int)m->cols, MAX_ARRAY);
  char script[PATH_MAX], text[ARGS_MAX][ARG_BYTES];
  ESPL_TRY(espl_root_path("scripts/build-core", script, sizeof script, err));
  char *argv[ARGS_MAX + 6];
  int n = 0;
  argv[n++] = script;
  char fst[] = "--fst", bare[] = "--bare", rtl[] = "--rtl", dir[PATH_MAX];
  if (flavour == ESPL_RTL_TRACE) argv[n++] = fst;
  if (flavour == ESPL_RTL_BARE) argv[n++] = bare;
  if (rtl_dir) {
    snprintf(dir, sizeof dir, "%s", rtl_dir);
    argv[n++] = rtl;
    argv[n++] = dir;
  }
  int params = build_arguments(m, text);
  for (int i = 0; i < params; i++) argv[n++] = text[i];
  argv[n] = NULL;
  return run_builder(argv, path, err);
}

espl_status espl_device_rtl_prepare(const espl_machine *m, espl_err *err) {
  char path[PATH_MAX];
  return build(m, ESPL_RTL_PLATFORM, NULL, path, err);
}

/* --- the child ------------------------------------------------------------------------------------------------------ */

static espl_status start_child(espl_rtl *r, espl_err *err) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return espl_fail(err, ESPL_E_IO, "socketpair: %s", strerror(errno));
  pid_t pid = fork();
  if (pid < 0) {
    close(ends[0]);
    close(ends[1]);
    return espl_fail(err, ESPL_E_IO, "fork: %s", strerror(errno));
  }
  if (pid == 0) {
    setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 1);
    if (dup2(ends[1], STDIN_FILENO) >= 0 && dup2(ends[1], STDOUT_FILENO) >= 0) execl(r->program, r->program, (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  r->line = ends[0];
  r->pid = pid;
  return ESPL_OK;
}

/* Ends the child and says how it ended. */
static void stop_child(espl_rtl *r, char *how, size_t n) {
  if (r->pid == 0) return;
  close(r->line);
  int status = 0;
  while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR) {}
  r->pid = 0;
  if (!how) return;
  if (WIFSIGNALED(status)) snprintf(how, n, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  else snprintf(how, n, "exit status %d", WEXITSTATUS(status));
}

/* Until the child answers or goes; 0 when this process is interrupted before. */
static int answered(const espl_rtl *r) {
  struct pollfd p = {.fd = r->line, .events = POLLIN};
  while (!espl_interrupted()) {
    int k = poll(&p, 1, 100);
    if (k > 0 || (k < 0 && errno != EINTR)) return 1;
  }
  return 0;
}

/* One line to the child and one back; 0 when the child has gone. An interrupt ends the child in the middle of its job. */
static int talk(espl_rtl *r, const char *out, char *answer, size_t n) {
  size_t len = strlen(out), got = 0;
  for (size_t sent = 0; sent < len;) {
    ssize_t k = send(r->line, out + sent, len - sent, MSG_NOSIGNAL);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return 0;
    sent += (size_t)k;
  }
  while (got + 1 < n) {
    if (!answered(r)) {
      kill(r->pid, SIGKILL);
      return 0;
    }
    ssize_t k = recv(r->line, answer + got, n - 1 - got, 0);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return 0;
    got += (size_t)k;
    if (answer[got - 1] == '\n') break;
  }
  answer[got] = 0;
  answer[strcspn(answer, "\n")] = 0;
  return 1;
}

espl_status espl_rtl_open(const espl_machine *m, espl_rtl_flavour flavour, const char *rtl_dir, espl_rtl **out, espl_err *err) {
  espl_rtl *r = calloc(1, sizeof *r);
  if (!r) return espl_fail(err, ESPL_E_NOMEM, "machine %s: no memory for the RTL device", m->name);
  r->machine = *m;
  r->flavour = flavour;
  espl_status s = build(m, flavour, rtl_dir, r->program, err);
  if (s == ESPL_OK) s = start_child(r, err);
  if (s != ESPL_OK) {
    free(r);
    return s;
  }
  *out = r;
  return ESPL_OK;
}

double espl_rtl_cpu_seconds(const espl_rtl *r) { return r->cpu_seconds; }

void espl_rtl_close(espl_rtl *r) {
  if (!r) return;
  stop_child(r, NULL, 0);
  free(r);
}

/* --- a job ---------------------------------------------------------------------------------------------------------- */

typedef struct job_file {
  char path[64]; /* by which another process of this user opens it while fd is open */
  int fd;
  size_t bytes;
  uint8_t *base; /* NULL: not mapped */
} job_file;

static espl_status job_open(job_file *f, size_t bytes, espl_err *err) {
  const char *dir = getenv("TMPDIR");
  if (!dir || !*dir) dir = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  char name[PATH_MAX];
  snprintf(name, sizeof name, "%s/espl_job_XXXXXX", dir);
  f->base = NULL;
  f->bytes = bytes;
  int fd = mkostemp(name, O_CLOEXEC);
  if (fd < 0) return espl_fail(err, ESPL_E_IO, "%s: %s", name, strerror(errno));
  unlink(name); /* nothing stays behind, however this process ends */
  int e = posix_fallocate(fd, 0, (off_t)bytes); /* a full disk is an error here, not a signal later */
  void *p = e ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (!e && p == MAP_FAILED) e = errno;
  if (e) {
    close(fd);
    return espl_fail(err, ESPL_E_IO, "%s: %zu bytes for a job: %s", dir, bytes, strerror(e));
  }
  snprintf(f->path, sizeof f->path, "/proc/%ld/fd/%d", (long)getpid(), fd);
  f->fd = fd;
  f->base = p;
  return ESPL_OK;
}

static void job_close(job_file *f) {
  if (!f->base) return;
  munmap(f->base, f->bytes);
  close(f->fd);
}

static void fill_job(const espl_run *run, uint32_t layer_cap, uint8_t *base) {
  espl_rtl_job *j = (espl_rtl_job *)(void *)base;
  *j = (espl_rtl_job){.magic = ESPL_JOB_MAGIC, .version = ESPL_JOB_VERSION, .config_hash = espl_machine_hash(run->machine),
                      .mem_bytes = run->machine->mem_bytes, .prog_addr = run->prog_addr, .prog_bytes = run->prog_bytes,
                      .expect_hash = run->expect_hash, .layer_cap = layer_cap, .log_cap = run->log ? run->log->cap : 0, .mem = run->machine->mem, .max_cycles = run->max_cycles};
  if (run->trace) {
    j->trace_from = run->trace->from;
    j->trace_to = run->trace->to;
    snprintf(j->trace, sizeof j->trace, "%s", run->trace->path);
  }
  memcpy(base + ESPL_JOB_MEMORY_OFFSET, run->memory, run->machine->mem_bytes);
}

/* mark_index of the n-th record is the n-th MARK of the program as it was before the run. */
static espl_status take_layers(const espl_run *run, const espl_rtl_job *j, const uint8_t *base, espl_run_result *out, espl_err *err) {
  if (j->layers == 0) return ESPL_OK;
  out->layer = calloc(j->layers, sizeof *out->layer);
  if (!out->layer) return espl_fail(err, ESPL_E_NOMEM, "no memory for %u layer records", (unsigned)j->layers);
  out->cap = (int32_t)j->layers;
  espl_decoded d;
  ESPL_TRY(espl_decode_program(run->memory, run->machine->mem_bytes, run->prog_addr, run->prog_bytes, &d, err));
  const uint8_t *records = base + espl_job_layers_offset(run->machine->mem_bytes);
  for (uint32_t i = 0; i < d.count && out->layers < out->cap; i++) {
    if ((d.cmd[i][0] & 15u) != ESPL_OPC_MARK) continue;
    espl_layer_record *l = &out->layer[out->layers];
    l->mark_index = i;
    memcpy(l->counter, records + (size_t)out->layers * sizeof l->counter, sizeof l->counter);
    out->layers++;
  }
  espl_decoded_clear(&d);
  if (out->layers < out->cap) return espl_fail(err, ESPL_E_MISMATCH, "the RTL finished %d layers, the program has %d", (int)out->cap, (int)out->layers);
  return ESPL_OK;
}

static espl_status take_results(const espl_run *run, const uint8_t *base, espl_run_result *out, espl_err *err) {
  const espl_rtl_job *j = (const espl_rtl_job *)(const void *)base;
  *out = (espl_run_result){.hw_status = (int32_t)(j->status_reg >> 8 & 255u), .err_index = j->err_index, .cycles = j->cycles};
  memcpy(out->counter, j->counter, sizeof out->counter);
  uint32_t state = j->status_reg & 255u, expected = out->hw_status == ESPL_HW_NONE ? 2 : 3;
  if (state != expected)
    return espl_fail(err, ESPL_E_MISMATCH, "the RTL raised its interrupt in state %u with status %s", (unsigned)state, espl_hw_status_name(out->hw_status));
  ESPL_TRY(take_layers(run, j, base, out, err));
  memcpy(run->memory, base + ESPL_JOB_MEMORY_OFFSET, run->machine->mem_bytes);
  return ESPL_OK;
}

/* The bursts up to the end of the run, however it ended. */
static void take_log(const espl_run *run, uint32_t layer_cap, const uint8_t *base) {
  const espl_rtl_job *j = (const espl_rtl_job *)(const void *)base;
  if (!run->log) return;
  run->log->count = j->logged < run->log->cap ? j->logged : run->log->cap;
  if (run->log->count) memcpy(run->log->event, base + espl_job_log_offset(run->machine->mem_bytes, layer_cap), run->log->count * sizeof *run->log->event);
}

static espl_status run_job(espl_rtl *r, const espl_run *run, uint32_t layer_cap, const job_file *f, espl_run_result *out, espl_err *err) {
  char line[PATH_MAX + 2], answer[1024], how[96] = "";
  snprintf(line, sizeof line, "%s\n", f->path);
  if (!talk(r, line, answer, sizeof answer)) {
    stop_child(r, how, sizeof how);
    ESPL_TRY(espl_interrupt_check(err)); /* Ctrl-C reaches the child too */
    return espl_fail(err, ESPL_E_FAILED, "machine %s: the RTL simulator %s ended with %s", run->machine->name, r->program, how);
  }
  take_log(run, layer_cap, f->base);
  r->cpu_seconds = ((const espl_rtl_job *)(const void *)f->base)->cpu_seconds;
  if (strcmp(answer, "ok") != 0) return espl_fail(err, ESPL_E_FAILED, "machine %s: RTL simulation: %s", run->machine->name, answer + (strncmp(answer, "fail ", 5) ? 0 : 5));
  return take_results(run, f->base, out, err);
}

espl_status espl_rtl_run(espl_rtl *r, const espl_run *run, espl_run_result *out, espl_err *err) {
  *out = (espl_run_result){0};
  if (espl_machine_hash(run->machine) != espl_machine_hash(&r->machine))
    return espl_fail(err, ESPL_E_BUG, "machine %s: run on the RTL of %s, another structure", run->machine->name, r->machine.name);
  if (run->trace && r->flavour != ESPL_RTL_TRACE) return espl_fail(err, ESPL_E_BUG, "machine %s: a trace was asked of a build without traces", run->machine->name);
  if (run->trace && strlen(run->trace->path) >= ESPL_JOB_PATH_BYTES) return espl_fail(err, ESPL_E_INPUT, "%.64s...: the name of the trace is too long", run->trace->path);
  if (r->pid == 0) ESPL_TRY(start_child(r, err));
  uint32_t layer_cap = run->prog_bytes / 4096 + 2; /* a MARK ends its 4 KiB line */
  job_file f;
  ESPL_TRY(job_open(&f, (size_t)espl_job_file_bytes(run->machine->mem_bytes, layer_cap, run->log ? run->log->cap : 0), err));
  fill_job(run, layer_cap, f.base);
  espl_status s = run_job(r, run, layer_cap, &f, out, err);
  job_close(&f);
  if (s != ESPL_OK) espl_run_result_clear(out);
  return s;
}

espl_status espl_device_rtl(const espl_run *run, espl_run_result *out, espl_err *err) {
  espl_rtl *r = NULL;
  *out = (espl_run_result){0};
  ESPL_TRY(espl_rtl_open(run->machine, run->trace ? ESPL_RTL_TRACE : ESPL_RTL_PLATFORM, NULL, &r, err));
  espl_status s = espl_rtl_run(r, run, out, err);
  espl_rtl_close(r);
  return s;
}
