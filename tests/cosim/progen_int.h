/* Inside the program generator. */
#ifndef ESPL_COSIM_PROGEN_INT_H
#define ESPL_COSIM_PROGEN_INT_H

#include "progen.h"

enum { LOAD = ESPL_UNIT_LOAD, COMPUTE = ESPL_UNIT_COMPUTE, STORE = ESPL_UNIT_STORE };
enum { BUF_ACT, BUF_WGT, BUF_IDX, BUF_PAR, MEMORY, SPACES }; /* the first four as LOAD's field `buffer` */

#define PG_LAYERS_MAX 20
#define PG_CMDS_MAX 4096
#define PG_LAYER_CMDS 900 /* a layer ends before it reaches the end of its share of the program region */

/* An access of one command: bytes [lo, hi) of a space (activations: of every bank). */
typedef struct pg_access {
  int unit, space;
  bool write;
  uint32_t index, lo, hi;
} pg_access;

/* History of one token counter; channel (from, to). */
typedef struct pg_channel {
  uint32_t pushes, pops;
  uint32_t push[PG_CMDS_MAX], pop[PG_CMDS_MAX]; /* list indices */
} pg_channel;

typedef struct pg_region {
  uint32_t base, bytes, used;
} pg_region;

/* What a command is going to do, before its tokens are decided. */
typedef struct pg_intent {
  int unit, n;
  pg_access access[8];
  bool pop_from[4]; /* take a token of that unit if there is one, needed or not */
  bool push_to[4];  /* give one to that unit if there is room, wanted or not */
} pg_intent;

typedef struct pg {
  pg_program *p;
  const espl_machine *m;
  espl_rng rng;
  uint32_t clock[4][4];
  pg_channel channel[4][4];
  pg_access *access;
  uint32_t n_access, cap_access;
  int bank[2];              /* 0 free, 1 taken, 2 full */
  uint32_t layer_cmds, prog_used; /* commands of this layer; bytes of the layers before */
  bool failed;              /* out of memory */
  pg_region data, params, entries, out, records, prog;
  uint32_t cfg[4][8][4];    /* configuration words as last written */
  bool cfg_known[4][8];
  uint32_t table;           /* parts of the codebook that have been written */
  int sync_percent;         /* how often a command takes a token it does not need */
} pg;

static inline uint32_t pg_below(pg *g, uint32_t n) { return espl_rng_next_below(&g->rng, n); }
static inline uint32_t pg_range(pg *g, uint32_t lo, uint32_t hi) { return lo + pg_below(g, hi - lo + 1); }
static inline bool pg_chance(pg *g, uint32_t percent) { return pg_below(g, 100) < percent; }
/* Small numbers often, large ones sometimes: lo..hi, on a logarithmic scale. */
uint32_t pg_log(pg *g, uint32_t lo, uint32_t hi);

uint32_t pg_byte(pg *g); /* 0, 127, 128 and 255 more often than others */

/* Writes a command: finds the tokens its accesses need (or inserts a MARK), sets their flags, records the accesses. */
void pg_emit(pg *g, const uint32_t w[4], const pg_intent *in);
/* One more access of the command written last, for others to wait for. */
void pg_note(pg *g, int unit, const pg_access *a);
void pg_cfg(pg *g, int unit, int index, const uint32_t w[4]); /* left out when the word stands already, most of the time */
void pg_mark(pg *g);
bool pg_room(const pg *g); /* room for another job in the program region */
void pg_job_stream(pg *g, int jobs);
void pg_token_flood(pg *g);
void pg_break(pg *g); /* turns the program into an illegal one of its kind */

#endif
