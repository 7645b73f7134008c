/* Bit-exact executor: what a program does to memory, one command after the other in list order, without time.
 * Arithmetic and address rules: hw/spec/numerics.md. One `espl_exec_state` is one core's buffers and configuration words.
 *
 * Law: for a legal program list order gives the same memory as any order the hardware's units may choose.
 * Buffers start at zero, as the simulated RTL's do; a legal program does not depend on that. */
#ifndef ESPL_MODEL_EXEC_H
#define ESPL_MODEL_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "device/machine.h"

typedef struct espl_exec_state {
  const espl_machine *m;
  uint8_t *memory;       /* [m->mem_bytes], borrowed */
  uint8_t *act;          /* [NB][2^act_aw] */
  uint8_t *wgt;          /* [2^wgt_aw] */
  uint8_t *idx;          /* [4 * 2^idx_aw] */
  uint8_t *par;          /* [16 * 2^par_aw] */
  uint32_t *acc;         /* [acc_banks][2^acc_aw][C], modulo 2^32; the drain keeps acc_w bits */
  espl_weight_format weight;
  int8_t table[256];     /* codebook; entry 0 is 0 */
  espl_cmd_load_stride load_stride;
  espl_cmd_comp_geom geom;
  espl_cmd_comp_taps taps;
  espl_cmd_store_stride store_stride;
  espl_cmd_store_quant quant;
  espl_cmd_store_pool pool;
  uint16_t avg[16];
  espl_hw_status error;  /* first error of a command: BUS_READ or BUS_WRITE */
} espl_exec_state;

espl_exec_state *espl_exec_state_new(const espl_machine *m, uint8_t *memory); /* NULL: out of memory */
void espl_exec_state_free(espl_exec_state *s);
/* Executes one LOAD, COMPUTE, STORE or CFG word (others do nothing). The word must pass espl_cmd_check. */
void espl_exec_command(espl_exec_state *s, const uint32_t w[4]);

/* Parts of the above, one file each. */
void espl_exec_load(espl_exec_state *s, const espl_cmd_load *c);
void espl_exec_compute(espl_exec_state *s, const espl_cmd_compute *c);
void espl_exec_store(espl_exec_state *s, const espl_cmd_store *c);

#endif
