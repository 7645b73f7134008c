/* One machine point: the structural parameters of a core (one RTL build) and the run-time settings of its memory.
 * This struct and device.h are all that software knows of a machine. Units: bytes, cycles, MHz.
 *
 * Derived sizes (functions below): G = min(R, C, 16) channels of a pixel word; NB = R/G activation banks;
 * ROW = ceil(C*bits/8) bytes of a weight row and TILE = R*ROW bytes of a weight tile, stored with `bits` bits a weight. */
#ifndef ESPL_DEVICE_MACHINE_H
#define ESPL_DEVICE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "espl_hw.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Memory timing; meaning of every number: hw/spec/memory.md. */
typedef struct espl_mem_timing {
  int32_t read_latency;  /* L, 1..1000 */
  int32_t write_latency; /* Lw, 1..1000 */
  int32_t num, den;      /* beats per cycle num/den, 1 <= num <= den <= 64 */
  int32_t outstanding;   /* N, 1..16 */
  int32_t shared_path;   /* 0: separate read and write paths, 1: one path */
  int32_t turnaround;    /* 0..64, with shared_path: cycles a read keeps from the write before it */
  int32_t banks;         /* 0: any address takes the same time; otherwise banks of a DRAM, a power of two 1..64, with the three below */
  int32_t row_bytes;     /* of one bank's row, a power of two 256..65536 */
  int32_t row_open;      /* 1..255: cycles to open a row */
  int32_t row_close;     /* 0..255: cycles to close the one that is open before */
  int32_t stall_mod;     /* 0: none; otherwise injected stalls, 2..65535 */
  uint32_t stall_seed;
} espl_mem_timing;

#define ESPL_NAME_BYTES 64

typedef struct espl_machine {
  char name[ESPL_NAME_BYTES];
#define X(c_name, RtlName, min, max) int32_t c_name;
  ESPL_PARAM_LIST(X)
#undef X
  espl_mem_timing mem;
  uint32_t mem_bytes; /* size of the memory behind the port */
  double clock_mhz;   /* for milliseconds in reports; 0: unknown */
} espl_machine;

/* The default 16x16 machine of configs/machines/16x16.yaml. */
void espl_machine_default(espl_machine *m);
/* E_INPUT names the parameter, what was found and what is needed (a buffer too small for one tile: how many bytes it needs). */
espl_status espl_machine_check(const espl_machine *m, espl_err *err) ESPL_MUST_CHECK;
/* FNV-1a over the contract and every structural parameter (memory timing not included); never 0. */
uint32_t espl_machine_hash(const espl_machine *m);

static inline int32_t espl_g(const espl_machine *m) {
  int32_t g = m->rows < m->cols ? m->rows : m->cols;
  return g < 16 ? g : 16;
}
static inline int32_t espl_nb(const espl_machine *m) { return m->rows / espl_g(m); }
/* Interleaved parts of an activation bank: word a lies in part a mod parts. */
static inline int32_t espl_dw_parts(const espl_machine *m) { return m->dw_banks > 2 ? 4 : m->dw_banks == 2 ? 2 : 1; }
/* Channels that one depthwise pass takes. */
static inline int32_t espl_dw_channels(const espl_machine *m) { return m->rows < m->cols ? m->rows : m->cols; }
/* Kernel columns a depthwise pass of n kernel rows has room for: row pairs, halved for more than two kernel rows. */
static inline int32_t espl_dw_taps(const espl_machine *m, int32_t n) { return n > 2 ? m->rows / 4 : m->rows / 2; }
/* Largest size (rows, columns, groups) and largest offset that a command may name. */
static inline int32_t espl_dim_max(const espl_machine *m) { return (1 << m->dim_bits) - 1; }
static inline int32_t espl_offset_max(const espl_machine *m) { return (1 << (m->dim_bits - 1)) - 1; }
/* Rows of a tile of n kernel rows and t kernel columns that are taps, and stored. */
static inline int32_t espl_dw_tile_rows(const espl_machine *m, int32_t n, int32_t t) { return n * (t < espl_dw_taps(m, n) ? t : espl_dw_taps(m, n)); }

/* How weights are stored: `bits` each, signed, or (book) as an index into a table of 2^bits - 1 int8 values, index 0 meaning weight 0. */
typedef struct espl_weight_format {
  int32_t bits; /* 2..8 */
  int32_t book; /* 0 or 1 */
} espl_weight_format;

/* The format after a start; a machine built for one format only has no other and takes no configuration of it. */
static inline espl_weight_format espl_weight_default(const espl_machine *m) { return (espl_weight_format){m->w_bits, 0}; }
static inline bool espl_weight_choice(const espl_machine *m) { return m->w_int4 != 0 || m->w_book != 0; }
static inline bool espl_weight_built(const espl_machine *m, espl_weight_format f) {
  if (f.book) return f.bits >= 2 && f.bits <= m->w_book;
  return f.bits == m->w_bits || (f.bits == 4 && m->w_int4 != 0);
}
static inline int32_t espl_row_bytes(const espl_machine *m, int32_t bits) { return (m->cols * bits + 7) / 8; }
static inline int32_t espl_tile_bytes(const espl_machine *m, int32_t bits) { return m->rows * espl_row_bytes(m, bits); }

#ifdef __cplusplus
}
#endif
#endif
