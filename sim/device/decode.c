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

/* Top bits of a field that must be unused: zero, or copies of the sign. */
typedef struct spare {
  uint8_t lsb, width;
  bool is_signed;
} spare;

static bool too_large(const uint32_t w[4], const spare *f, int n, int32_t top) {
  for (int i = 0; i < n; i++) {
    unsigned keep = (unsigned)(f[i].width - top - f[i].is_signed);
    uint32_t rest = espl_bits_get(w, f[i].lsb + keep, (unsigned)(top + f[i].is_signed));
    if (rest != 0 && !(f[i].is_signed && rest == (2u << top) - 1u)) return true;
  }
  return false;
}

/* A size or a kernel larger than this core keeps bits for (dim_bits, kernel). */
static bool size_refused(const espl_machine *m, const uint32_t w[4]) {
  static const spare load[] = {{68, 20, false}, {88, 12, false}, {100, 12, false}};
  static const spare compute[] = {{60, 16, false}, {76, 12, false}, {88, 12, false}, {100, 12, true}, {112, 12, true}};
  static const spare store[] = {{100, 12, false}, {112, 12, false}};
  static const spare geom[] = {{16, 12, false}, {28, 12, false}, {40, 12, false}};
  static const spare pool[] = {{40, 12, true}, {52, 12, true}, {64, 12, false}, {76, 12, false}};
  static const spare taps[] = {{16, 16, false}, {32, 16, false}};
  int32_t top = 12 - m->dim_bits;
  switch (w[0] & 15u) {
    case ESPL_OPC_LOAD: return too_large(w, load, 3, top);
    case ESPL_OPC_COMPUTE: return too_large(w, compute, 5, top);
    case ESPL_OPC_STORE: return too_large(w, store, 2, top);
    case ESPL_OPC_CFG: break;
    default: return false;
  }
  switch ((w[0] >> 4 & 3u) << 3 | (w[0] >> 8 & 7u)) {
    case ESPL_UNIT_COMPUTE << 3 | 0: return too_large(w, geom, 3, top);
    case ESPL_UNIT_COMPUTE << 3 | 1: return too_large(w, taps, 2, 16 - m->kernel);
    case ESPL_UNIT_STORE << 3 | 2: return too_large(w, pool, 4, top);
    default: return false;
  }
}

/* Configuration words of options that are built. */
static bool cfg_built(const espl_machine *m, const uint32_t w[4]) {
  switch ((w[0] >> 4 & 3u) << 3 | (w[0] >> 8 & 7u)) {
    case ESPL_UNIT_COMPUTE << 3 | 0: return m->fold || !(w[3] & 1u);
    case ESPL_UNIT_LOAD << 3 | 1: {
      espl_cmd_load_wgt c;
      espl_cmd_load_wgt_decode(w, &c);
      int32_t bits = (int32_t)c.bits;
      return espl_weight_choice(m) && (espl_weight_built(m, (espl_weight_format){bits, 0}) || espl_weight_built(m, (espl_weight_format){bits, 1}));
    }
    case ESPL_UNIT_COMPUTE << 3 | 2: {
      espl_cmd_comp_wgt c;
      espl_cmd_comp_wgt_decode(w, &c);
      return espl_weight_choice(m) && espl_weight_built(m, (espl_weight_format){(int32_t)c.bits, (int32_t)c.book});
    }
    case ESPL_UNIT_COMPUTE << 3 | 3: return 8u * espl_bits_get(w, 16, 5) < 1u << m->w_book && m->w_book > 0;
    default: return true;
  }
}

int espl_machine_cmd_check(const espl_machine *m, const uint32_t w[4]) {
  int s = espl_cmd_check(w);
  if (s != ESPL_HW_NONE) return s;
  if (size_refused(m, w)) return ESPL_HW_BAD_FIELD;
  switch (w[0] & 15u) {
    case ESPL_OPC_CFG: return cfg_built(m, w) ? ESPL_HW_NONE : ESPL_HW_BAD_FIELD;
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
