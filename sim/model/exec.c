/* Executor: state, configuration words and LOAD. */
#include "model/exec.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

espl_exec_state *espl_exec_state_new(const espl_machine *m, uint8_t *memory) {
  espl_exec_state *s = espl_calloc(1, sizeof *s);
  if (!s) return NULL;
  s->m = m;
  s->memory = memory;
  s->weight = espl_weight_default(m);
  s->act = espl_calloc((size_t)espl_nb(m), (size_t)1 << m->act_aw);
  s->wgt = espl_calloc(1, (size_t)1 << m->wgt_aw);
  s->idx = espl_calloc(4, (size_t)1 << m->idx_aw);
  s->par = espl_calloc(16, (size_t)1 << m->par_aw);
  s->acc = espl_calloc((size_t)m->acc_banks * (size_t)m->cols << m->acc_aw, sizeof *s->acc);
  if (!s->act || !s->wgt || !s->idx || !s->par || !s->acc) {
    espl_exec_state_free(s);
    return NULL;
  }
  return s;
}

void espl_exec_state_free(espl_exec_state *s) {
  if (!s) return;
  free(s->act);
  free(s->wgt);
  free(s->idx);
  free(s->par);
  free(s->acc);
  free(s);
}

/* Reads [addr, addr+n) of memory in whole 256-byte-cut bursts: a burst that leaves memory reads as zeros and flags the command. */
static void read_run(espl_exec_state *s, uint32_t addr, uint8_t *out, uint32_t n) {
  uint64_t a = addr, end = (uint64_t)addr + n;
  uint32_t beat = (uint32_t)s->m->bus_bytes;
  while (a < end) {
    uint64_t cut = (a | 255u) + 1;
    uint32_t len = (uint32_t)((cut < end ? cut : end) - a);
    uint64_t beats_end = (a + len + beat - 1) / beat * beat;
    if (beats_end > s->m->mem_bytes || a > UINT32_MAX) {
      memset(out, 0, len);
      if (s->error == ESPL_HW_NONE) s->error = ESPL_HW_BUS_READ;
    } else {
      memcpy(out, s->memory + a, len);
    }
    out += len;
    a += len;
  }
}

static void put(uint8_t *buffer, uint32_t size, uint32_t at, const uint8_t *data, uint32_t n) {
  for (uint32_t i = 0; i < n;) { /* buffer addresses wrap at the buffer's size, a power of two */
    uint32_t a = (at + i) & (size - 1), len = size - a;
    if (len > n - i) len = n - i;
    memcpy(buffer + a, data + i, len);
    i += len;
  }
}

void espl_exec_load(espl_exec_state *s, const espl_cmd_load *c) {
  const espl_machine *m = s->m;
  uint32_t nb = (uint32_t)espl_nb(m), g = (uint32_t)espl_g(m);
  uint8_t *run = malloc(c->row_bytes);
  if (!run) {
    s->error = ESPL_HW_BUS_READ;
    return;
  }
  for (uint32_t k = 0; k < c->groups; k++) {
    for (uint32_t r = 0; r < c->rows; r++) {
      uint32_t addr = c->addr + k * s->load_stride.mem_group + r * s->load_stride.mem_row;
      read_run(s, addr, run, c->row_bytes);
      if (c->buffer == 0) {
        uint32_t bank = (c->bank + k) % nb;
        uint32_t at = c->dst + ((c->bank + k) / nb * s->load_stride.dst_group + r * s->load_stride.dst_row) * g;
        put(s->act + ((size_t)bank << m->act_aw), 1u << m->act_aw, at, run, c->row_bytes);
      } else {
        uint8_t *buffer = c->buffer == 1 ? s->wgt : c->buffer == 2 ? s->idx : s->par;
        uint32_t size = c->buffer == 1 ? 1u << m->wgt_aw : c->buffer == 2 ? 4u << m->idx_aw : 16u << m->par_aw;
        uint32_t at = c->dst + (k * s->load_stride.dst_group + r * s->load_stride.dst_row) * g;
        put(buffer, size, at, run, c->row_bytes);
      }
    }
  }
  free(run);
}

static void exec_cfg(espl_exec_state *s, const uint32_t w[4]) {
  switch ((w[0] >> 4 & 3u) << 3 | (w[0] >> 8 & 7u)) {
    case ESPL_UNIT_LOAD << 3 | 0: espl_cmd_load_stride_decode(w, &s->load_stride); break;
    case ESPL_UNIT_COMPUTE << 3 | 0: espl_cmd_comp_geom_decode(w, &s->geom); break;
    case ESPL_UNIT_COMPUTE << 3 | 1: espl_cmd_comp_taps_decode(w, &s->taps); break;
    case ESPL_UNIT_COMPUTE << 3 | 2: {
      espl_cmd_comp_wgt c;
      espl_cmd_comp_wgt_decode(w, &c);
      s->weight = (espl_weight_format){(int32_t)c.bits, (int32_t)c.book};
      break;
    }
    case ESPL_UNIT_COMPUTE << 3 | 3:
      for (unsigned i = 0, part = espl_bits_get(w, 16, 5); i < 8; i++)
        if (part + i > 0) s->table[8 * part + i] = (int8_t)espl_bits_get(w, 24 + 8 * i, 8);
      break;
    case ESPL_UNIT_STORE << 3 | 0: espl_cmd_store_stride_decode(w, &s->store_stride); break;
    case ESPL_UNIT_STORE << 3 | 1: espl_cmd_store_quant_decode(w, &s->quant); break;
    case ESPL_UNIT_STORE << 3 | 2: espl_cmd_store_pool_decode(w, &s->pool); break;
    case ESPL_UNIT_STORE << 3 | 4:
      for (unsigned i = 0; i < 7; i++) s->avg[i] = (uint16_t)espl_bits_get(w, 16 + 16 * i, 16);
      break;
    case ESPL_UNIT_STORE << 3 | 5:
      for (unsigned i = 0; i < 7; i++) s->avg[7 + i] = (uint16_t)espl_bits_get(w, 16 + 16 * i, 16);
      break;
    case ESPL_UNIT_STORE << 3 | 6:
      for (unsigned i = 0; i < 2; i++) s->avg[14 + i] = (uint16_t)espl_bits_get(w, 16 + 16 * i, 16);
      break;
    default: break;
  }
}

void espl_exec_command(espl_exec_state *s, const uint32_t w[4]) {
  s->error = ESPL_HW_NONE;
  switch (w[0] & 15u) {
    case ESPL_OPC_CFG: exec_cfg(s, w); break;
    case ESPL_OPC_LOAD: {
      espl_cmd_load c;
      espl_cmd_load_decode(w, &c);
      espl_exec_load(s, &c);
      break;
    }
    case ESPL_OPC_COMPUTE: {
      espl_cmd_compute c;
      espl_cmd_compute_decode(w, &c);
      espl_exec_compute(s, &c);
      break;
    }
    case ESPL_OPC_STORE: {
      espl_cmd_store c;
      espl_cmd_store_decode(w, &c);
      espl_exec_store(s, &c);
      break;
    }
    default: break;
  }
}
