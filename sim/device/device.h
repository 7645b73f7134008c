/* The machine as software sees it: a memory, a program in it, a start, an end, counters. Three bodies implement it.
 *
 * Use: fill memory (program included), run, read memory and results. Programs are byte images in memory at `prog_addr`
 * (multiple of 4096), `prog_bytes` long; commands are 16 bytes; after a MARK the next command is at the next 4 KiB line.
 *   model    : bit-exact C executor plus the event-driven timing twin (no RTL, no SystemC)
 *   rtl      : the Verilated core inside the SystemC platform, a separate process built once per structural configuration
 * The law: for a legal program every field of espl_run_result and every byte of memory is equal on all bodies. */
#ifndef ESPL_DEVICE_DEVICE_H
#define ESPL_DEVICE_DEVICE_H

#include <stdint.h>

#include "base/status.h"
#include "device/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One MARK record: the 16 counters (order of hw/spec/counters.tbl) and the command index of the MARK. */
typedef struct espl_layer_record {
  uint32_t mark_index;
  uint32_t counter[ESPL_CNT_COUNT];
} espl_layer_record;

typedef struct espl_run_result {
  int32_t hw_status;         /* espl_hw_status */
  uint32_t err_index;        /* when hw_status is not NONE */
  uint64_t cycles;           /* start write accepted .. interrupt */
  uint32_t counter[ESPL_CNT_COUNT]; /* counters as they stand at the end (since the last MARK) */
  int32_t layers, cap;
  espl_layer_record *layer;  /* [layers], owned by the result: espl_run_result_clear */
} espl_run_result;
void espl_run_result_clear(espl_run_result *r);

/* One burst at the memory port, in the cycle in which it was accepted. */
enum { ESPL_BUS_UNIT_UNKNOWN = 255 };
typedef struct espl_bus_event {
  uint64_t cycle;
  uint32_t addr;
  uint16_t beats;
  uint8_t channel; /* 0 read, 1 write */
  uint8_t unit;    /* model: 0 fetch, 1 load, 2 residual, 3 store, 4 mark; rtl: ESPL_BUS_UNIT_UNKNOWN, the port does not say */
} espl_bus_event;
typedef struct espl_bus_log {
  espl_bus_event *event; /* [cap], borrowed: the first `cap` bursts of the run */
  uint32_t cap, count;   /* count: how many were kept */
} espl_bus_log;

/* An FST file of the core's wires and registers over cycles from..to, both included (cycle 0 is that of the start write). */
typedef struct espl_trace {
  const char *path;
  uint64_t from, to;
} espl_trace;

typedef struct espl_run {
  const espl_machine *machine;
  uint8_t *memory;           /* [machine->mem_bytes], in and out; borrowed */
  uint32_t prog_addr, prog_bytes;
  uint32_t expect_hash;      /* 0: not checked */
  uint64_t max_cycles;       /* rtl: give up after so many (0: none); an internal guard, never part of a result */
  espl_bus_log *log;         /* NULL, or where the bursts of the run go; the device sets `count` */
  const espl_trace *trace;   /* rtl: what to trace, or NULL */
} espl_run;

/* Functional executor + timing twin. */
espl_status espl_device_model(const espl_run *run, espl_run_result *out, espl_err *err) ESPL_MUST_CHECK;
/* Timing twin alone: memory is not changed, fetch only reads the program from it. */
espl_status espl_device_timing(const espl_run *run, espl_run_result *out, espl_err *err) ESPL_MUST_CHECK;
/* Verilated core in SystemC; builds the core for this configuration when it is not cached (minutes; progress on stderr through
 * the callback, may be NULL). E_UNSUPPORTED when the array is larger than can be built (rows*cols > 4096) or tools are missing. */
espl_status espl_device_rtl(const espl_run *run, espl_run_result *out, espl_err *err) ESPL_MUST_CHECK;
/* Ensures the build exists (so that a caller can show it as its own stage). */
espl_status espl_device_rtl_prepare(const espl_machine *m, espl_err *err) ESPL_MUST_CHECK;

/* First difference between two results and memories as one sentence in err (E_MISMATCH), or OK. Memories may be NULL. */
espl_status espl_device_compare(const espl_machine *m, const espl_run_result *a, const uint8_t *mem_a, const char *name_a,
                                const espl_run_result *b, const uint8_t *mem_b, const char *name_b, espl_err *err) ESPL_MUST_CHECK;

/* Legality of a program as hw/spec/units.md defines it: fields, tokens in list order, banks, every two commands of different units that
 * touch the same buffer or memory bytes ordered, program bytes disjoint from writes. E_INPUT names the command index and the rule. */
espl_status espl_program_check(const espl_machine *m, const uint8_t *memory, uint32_t prog_addr, uint32_t prog_bytes, espl_err *err) ESPL_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
