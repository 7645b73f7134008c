/* Program images as command lists. */
#include "device/decode.h"

#include <stdlib.h>
#include <string.h>

espl_status espl_decode_program(const uint8_t *memory, uint32_t mem_bytes, uint32_t prog_addr, uint32_t prog_bytes, espl_decoded *out, espl_err *err) {
  *out = (espl_decoded){0};
  uint32_t cap = 0;
  uint64_t end = (uint64_t)prog_addr + prog_bytes, a = prog_addr;
  for (;;) {
    if (a + ESPL_CMD_BYTES > end || a + ESPL_CMD_BYTES > mem_bytes) {
      out->truncated = true;
      return ESPL_OK;
    }
    if (out->count == cap) {
      cap = cap ? 2 * cap : 256;
      void *cmd = realloc(out->cmd, (size_t)cap * sizeof *out->cmd);
      if (cmd) out->cmd = cmd;
      void *addr = realloc(out->addr, (size_t)cap * sizeof *out->addr);
      if (addr) out->addr = addr;
      if (!cmd || !addr) {
        espl_decoded_clear(out);
        return espl_fail(err, ESPL_E_NOMEM, "program at 0x%x: no memory for %u commands", (unsigned)prog_addr, (unsigned)cap);
      }
    }
    uint32_t *w = out->cmd[out->count];
    memcpy(w, memory + a, ESPL_CMD_BYTES);
    out->addr[out->count++] = (uint32_t)a;
    if (espl_cmd_check(w) != ESPL_HW_NONE || (w[0] & 15u) == ESPL_OPC_END) return ESPL_OK;
    a += ESPL_CMD_BYTES;
    if ((w[0] & 15u) == ESPL_OPC_MARK) a = (a + 4095) & ~(uint64_t)4095;
  }
}

void espl_decoded_clear(espl_decoded *d) {
  free(d->cmd);
  free(d->addr);
  *d = (espl_decoded){0};
}

int espl_machine_cmd_check(const espl_machine *m, const uint32_t w[4]) {
  int s = espl_cmd_check(w);
  if (s != ESPL_HW_NONE) return s;
  switch (w[0] & 15u) {
    case ESPL_OPC_LOAD: {
      espl_cmd_load c;
      espl_cmd_load_decode(w, &c);
      bool bad = (c.buffer == 0 && c.bank >= (uint32_t)espl_nb(m)) || (c.buffer == 2 && m->idx_aw == 0);
      return bad ? ESPL_HW_BAD_FIELD : ESPL_HW_NONE;
    }
    case ESPL_OPC_COMPUTE: {
      espl_cmd_compute c;
      espl_cmd_compute_decode(w, &c);
      bool bad = (c.sparse && m->idx_aw == 0) || (c.bank && m->acc_banks == 1) || (c.dw && (m->dw_banks == 0 || c.sparse));
      return bad ? ESPL_HW_BAD_FIELD : ESPL_HW_NONE;
    }
    case ESPL_OPC_STORE: {
      espl_cmd_store c;
      espl_cmd_store_decode(w, &c);
      bool bad = (c.bank && m->acc_banks == 1) || (c.residual && (!m->residual || c.pool)) || (c.pool == 1 && !m->maxpool) ||
                 (c.pool == 2 && !m->avgpool) || c.groups > (uint32_t)(m->cols / espl_g(m));
      return bad ? ESPL_HW_BAD_FIELD : ESPL_HW_NONE;
    }
    default: return ESPL_HW_NONE;
  }
}
