/* The memory behind the native port, as time: hw/spec/memory.md in C. The timing model and the SystemC memory both call this.
 *
 * Law: all beat times of a burst are known when it is granted, because beats of a path never overtake and nothing later can
 * change them. Times are absolute cycles. A path state is reset by espl_memtime_reset at start and at every MARK.
 * Invariants: free_at and resp_at never decrease between resets; credit is in 0..den at cycle `credit_at`. */
#ifndef ESPL_TIMING_MEMTIME_H
#define ESPL_TIMING_MEMTIME_H

#include <stdint.h>

#include "device/machine.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ESPL_READ = 0, ESPL_WRITE = 1 };
#define ESPL_MAX_BEATS 64 /* 256 bytes over a 4-byte bus */
#define ESPL_MAX_BANKS 64

typedef struct espl_path {
  int64_t free_at;   /* F: first cycle without a beat of an earlier burst */
  int64_t credit_at; /* cycle for which `credit` holds, after refill and take */
  int32_t credit;
  int32_t wrote;     /* the burst granted before was a write */
} espl_path;

typedef struct espl_bank {
  int64_t row;     /* -1: none open */
  int64_t ready;   /* first cycle with the row open */
  int64_t free_at; /* first cycle without a beat of an earlier burst in this bank */
} espl_bank;

typedef struct espl_memtime {
  espl_mem_timing t;
  espl_path path[2];  /* with shared_path only path[0] is used */
  uint32_t bursts[2]; /* since the last reset, by channel */
  espl_bank bank[ESPL_MAX_BANKS]; /* the first t.banks of them */
  int64_t resp_at;    /* cycle of the last write response; responses are at most one a cycle */
} espl_memtime;

typedef struct espl_burst_time {
  int32_t beats;
  int32_t uniform;              /* 1: beat i is at first + i, and beat[] is not filled */
  int64_t first, last, resp;    /* resp: cycle of the write response (writes only) */
  int64_t beat[ESPL_MAX_BEATS]; /* cycle of each beat when not uniform */
} espl_burst_time;

void espl_memtime_reset(espl_memtime *mt, const espl_mem_timing *t, int64_t now);
/* A burst at `addr` granted in cycle t on `channel`; fills *out. beats 1..64, within 256 aligned bytes. Calls in order of t; of one cycle the read first. */
void espl_memtime_accept(espl_memtime *mt, int channel, int64_t t, uint32_t addr, int32_t beats, espl_burst_time *out);
static inline int64_t espl_beat_time(const espl_burst_time *b, int32_t i) { return b->uniform ? b->first + i : b->beat[i]; }

#ifdef __cplusplus
}
#endif
#endif
