/* The file through which a job goes to the SystemC platform and its result comes back, mapped by both processes.
 *
 * Layout: this header, then at ESPL_JOB_MEMORY_OFFSET the memory image (in and out), then at the next multiple of 64 the
 * layer records in the order of their MARKs (16 counters each, `layer_cap` of them), then at the next multiple of 64 the accepted
 * bursts (`log_cap` of them).
 * Protocol on the platform's standard input and output: one line in, the path of a job file; one line out, "ok" or
 * "fail TEXT". Every job starts from the power-on state of the core (memories zero). */
#ifndef ESPL_DEVICE_RTL_JOB_H
#define ESPL_DEVICE_RTL_JOB_H

#include <stdint.h>

#include "device/device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ESPL_JOB_MAGIC 0x424a5345u /* "ESJB" */
#define ESPL_JOB_VERSION 2u
#define ESPL_JOB_MEMORY_OFFSET 4096u
#define ESPL_JOB_PATH_BYTES 1024

typedef struct espl_rtl_job {
  uint32_t magic, version;
  uint32_t config_hash; /* espl_machine_hash of the machine: the built core must carry the same */
  uint32_t mem_bytes, prog_addr, prog_bytes, expect_hash, layer_cap, log_cap;
  espl_mem_timing mem;
  uint64_t max_cycles;             /* 0: no limit */
  uint64_t trace_from, trace_to;   /* cycles written to the trace, both included */
  char trace[ESPL_JOB_PATH_BYTES]; /* FST file, or empty */
  /* results */
  uint32_t status_reg, err_index, layers, logged;
  uint64_t cycles;
  double cpu_seconds;              /* processor time of the simulation itself */
  uint32_t counter[ESPL_CNT_COUNT];
} espl_rtl_job;

static inline uint64_t espl_job_layers_offset(uint32_t mem_bytes) {
  return (ESPL_JOB_MEMORY_OFFSET + (uint64_t)mem_bytes + 63u) & ~(uint64_t)63u;
}
static inline uint64_t espl_job_log_offset(uint32_t mem_bytes, uint32_t layer_cap) {
  return (espl_job_layers_offset(mem_bytes) + (uint64_t)layer_cap * ESPL_CNT_COUNT * 4u + 63u) & ~(uint64_t)63u;
}
static inline uint64_t espl_job_file_bytes(uint32_t mem_bytes, uint32_t layer_cap, uint32_t log_cap) {
  return espl_job_log_offset(mem_bytes, layer_cap) + (uint64_t)log_cap * sizeof(espl_bus_event);
}

#ifdef __cplusplus
}
#endif
#endif
