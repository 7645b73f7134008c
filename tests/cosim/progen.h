/* Random programs for the comparison of bodies.
 *
 * A legal program is legal by construction: commands are written in list order while a happens-before model (who knows which command
 * of another unit has finished) is kept; a command that touches bytes of another unit's command pops a token for which a push is
 * put on a fitting earlier command. Where no token can say it, a MARK is inserted, which orders everything.
 * An illegal program is a legal one with one change of one kind. Everything follows from the seed. */
#ifndef ESPL_COSIM_PROGEN_H
#define ESPL_COSIM_PROGEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "device/device.h"

typedef enum pg_kind { PG_LEGAL, PG_OPCODE, PG_FIELD, PG_READ, PG_WRITE, PG_DEADLOCK, PG_TRUNCATED, PG_HASH, PG_FETCH, PG_KINDS } pg_kind;

/* Command list with the flags still open, and where it goes. */
typedef struct pg_cmd {
  uint32_t w[4];
  int unit;           /* espl_unit, 0: MARK and END */
  uint32_t known[4];  /* list index + 1 of the commands of each unit known finished when it starts */
} pg_cmd;

typedef struct pg_program {
  espl_machine machine; /* structure as given; memory timing and size chosen by the seed */
  pg_kind kind;
  uint8_t *memory;      /* [machine.mem_bytes], program included */
  uint32_t prog_base;   /* where the list lies in memory; prog_addr, prog_bytes: what the registers say */
  uint32_t prog_addr, prog_bytes, expect_hash;
  pg_cmd *cmd;          /* [n] a legal list */
  uint32_t n, layers;
  uint32_t bad_at, bad[4];  /* command bad_at reads `bad` in memory instead; PG_NO_CMD: none does */
  uint32_t cut_at, cut_in;  /* the program ends cut_in bytes into command cut_at; PG_NO_CMD: it is whole */
} pg_program;

#define PG_NO_CMD UINT32_MAX

/* NULL: out of memory. size 0..100 scales the work of a program. */
pg_program *pg_make(const espl_machine *structure, uint64_t seed, pg_kind kind, int size);
void pg_free(pg_program *p);
/* Writes the list to memory and sets prog_bytes. legal: without the change that makes an illegal program illegal. */
void pg_place(pg_program *p, bool legal);
const char *pg_kind_name(pg_kind kind);

#endif
