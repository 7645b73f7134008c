/* Delta debugging: makes a program that shows a difference as small as it can while it stays legal and still differs.
 *
 * In turns until nothing helps any more: commands are left out (half of them, a quarter, ... one; a token's other end goes with its
 * command), pairs of tokens, fields towards their smallest value, memory timing towards the simplest; when many commands are left, again with other read latencies; at last
 * memory is cleared. An
 * illegal program keeps its one change; without it, it stays legal. */
#ifndef ESPL_COSIM_SHRINK_H
#define ESPL_COSIM_SHRINK_H

#include "fields.h"
#include "progen.h"

typedef struct pg_oracle {
  bool (*differs)(void *ctx, const pg_program *p); /* p as it stands in memory; must not change it */
  void *ctx;
} pg_oracle;

typedef struct pg_shrunk {
  uint32_t trials, commands_before, commands; /* CFG, MARK and END included */
} pg_shrunk;

/* `p` differs before and after. trials: give up after so many. False: out of memory (p is still a program that differs). */
bool pg_shrink(pg_program *p, const pg_fields *fields, const pg_oracle *oracle, uint32_t trials, pg_shrunk *out);

#endif
