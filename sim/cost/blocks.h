/* Memory and multiplier blocks of a core, counted from its structure.
 *
 * A core's buffers are known from the machine point: words, bits of a word, and how many separate write enables a word has (MEMORY below; the
 * formulas follow the modules that instantiate rtl/common/espl_sdp_ram.sv). Which memory becomes block RAM, and of what shape, is decided by
 * the mapper's cost rule, stated in blocks.c. Both counts are exact: tests compare them with every synthesized point of configs/cost/area.csv. */
#ifndef ESPL_COST_BLOCKS_H
#define ESPL_COST_BLOCKS_H

#include "cost/board.h"
#include "device/machine.h"

typedef struct espl_memory {
  const char *name;
  int64_t copies, words;
  int32_t bits;    /* of a word */
  int32_t enables; /* pieces of a word that are written separately, 1: whole words */
} espl_memory;

enum { ESPL_MEMORIES = 11 };
/* The buffers of a core, and the two queues of open bursts that are large enough for a block on iCE40; returns how many of out[ESPL_MEMORIES] are filled. The machine must be legal. */
int espl_machine_memories(const espl_machine *m, espl_memory out[ESPL_MEMORIES]);
/* Blocks of one copy; 0 where it is built of registers or distributed RAM. */
int64_t espl_memory_blocks(const espl_memory *mem, espl_family f);
int64_t espl_ram_blocks(const espl_machine *m, espl_family f);
int64_t espl_dsp_blocks(const espl_machine *m, espl_family f);
/* Bits of a byte address in the machine's memory. */
int32_t espl_address_bits(const espl_machine *m);

#endif
