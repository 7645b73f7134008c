/* Inside of the store unit's timing twin: its constants, the walk of a command and the state between events. */
#ifndef ESPL_TIMING_STORE_INT_H
#define ESPL_TIMING_STORE_INT_H

#include "timing/tsim.h"

enum { ESPL_ST_IDLE, ESPL_ST_POP, ESPL_ST_BANK, ESPL_ST_DRAIN };
enum { ESPL_ST_RING = 4, ESPL_ST_SLOTS = 8 };

/* A tensor operand as the drain (or the residual reader) walks it: pixels of G bytes, group by group, row by row. A run is a row, or with
 * `contig` a whole group; it is cut at multiples of 256 bytes. */
typedef struct espl_swalk {
  uint32_t addr, row_addr, group_addr; /* next pixel, its row, its group */
  uint32_t row_step, group_step;
  bool contig, fresh;                  /* fresh: the next pixel begins a run */
  int64_t left;                        /* pixels left in the run */
  int64_t run;                         /* pixels of a run */
  int32_t rows_left, rows, groups_left; /* runs of the group left, runs of a group, groups left; these included */
} espl_swalk;

/* An unfinished command, or one that finished (its times stay readable). */
typedef struct espl_sentry {
  uint32_t index;
  bool push_load, push_compute, bad;
  int64_t complete_at; /* cycle of its last response; ESPL_NEVER until its last write burst is granted */
} espl_sentry;

typedef struct espl_swrite {
  int64_t staged; /* cycle in which the last word is written */
  uint32_t addr;
  int32_t beats, entry;
  bool last;      /* of its command */
} espl_swrite;

struct espl_tstore {
  /* constants of the machine point */
  bool in_place; /* a command stays at the head of the queue until it has retired */
  int32_t g, bus, subs, op_cycles, avg_gap, flush, ring_size, stage, res_slots;
  /* configuration words */
  espl_cmd_store_stride stride;
  int32_t taps; /* of a pooling window */

  /* front */
  espl_reg state, ring_count;
  espl_cmd_store cmd;
  bool residual;
  espl_sentry ring[ESPL_ST_RING];
  uint32_t head, tail; /* free running; entry i is ring[i mod ESPL_ST_RING] */

  /* drain: computed ahead of time as far as slot releases and residual bursts are known */
  bool draining;           /* pixels left to place */
  espl_swalk out, res;
  int64_t next_op;         /* first cycle in which the next operation may issue */
  int64_t period;          /* cycles of a pixel */
  int64_t drain_end;       /* cycle of the last operation; ESPL_NEVER while unknown */
  int64_t pixels;          /* left to place */
  int64_t last_op;         /* of the latest command whose end is known */

  /* staging: bursts by number since the start; slot = number mod stage */
  uint64_t opened, staged_n, requested, granted;
  int64_t slot_free[ESPL_ST_SLOTS];
  espl_swrite write[ESPL_ST_SLOTS];
  int64_t last_response;

  /* residual reader: bursts by number since the command began */
  bool reading;            /* requests left to form */
  bool req_shown;
  espl_swalk rq;
  int64_t read_from;       /* first cycle after the pops */
  uint64_t formed, arrived, used; /* used: bursts whose release is known */
  int64_t res_ready[ESPL_ST_SLOTS], res_free[ESPL_ST_SLOTS];
  int64_t last_beat, form_from;

  /* the first errors of each kind, reported in their cycle */
  int64_t rd_err_at, wr_err_at;
  uint32_t rd_err_index, wr_err_index;
};

#endif
