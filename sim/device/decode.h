/* A program image in memory as a list of commands, the order everything else counts in.
 * After a MARK the next command is at the next 4 KiB line; the list ends with END, or with the first word the decoder refuses,
 * or at prog_addr + prog_bytes (`truncated`), or at the end of memory. */
#ifndef ESPL_DEVICE_DECODE_H
#define ESPL_DEVICE_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "device/machine.h"

typedef struct espl_decoded {
  uint32_t count;
  uint32_t (*cmd)[4];  /* [count] words as in memory */
  uint32_t *addr;      /* [count] memory address of each */
  bool truncated;      /* the list ran past prog_addr + prog_bytes or memory without END or a refused word */
} espl_decoded;

/* NOMEM or OK. Owned by the caller: espl_decoded_clear. */
espl_status espl_decode_program(const uint8_t *memory, uint32_t mem_bytes, uint32_t prog_addr, uint32_t prog_bytes, espl_decoded *out, espl_err *err) ESPL_MUST_CHECK;
void espl_decoded_clear(espl_decoded *d);
/* What this core's decoder says of a word: espl_cmd_check plus options that are not built (sparse without index buffer, bank 1 with
 * one bank, residual, pooling, residual with pooling, activation bank >= NB, groups > C/G, weight formats) and sizes beyond dim_bits or kernel. */
int espl_machine_cmd_check(const espl_machine *m, const uint32_t w[4]);
#endif
