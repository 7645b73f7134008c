/* Defaults, legality and hash of a machine point. */
#include "device/machine.h"

#include <string.h>

void espl_machine_default(espl_machine *m) {
  *m = (espl_machine){.name = "16x16", .rows = 16, .cols = 16, .bus_bytes = 16, .act_aw = 16, .dw_banks = 3, .fold = 1, .wgt_aw = 16, .idx_aw = 10,
                      .par_aw = 10, .acc_aw = 10, .acc_banks = 2, .acc_w = 32, .w_bits = 8, .w_int4 = 1, .w_book = 4, .mul_stages = 1, .rq_lanes = 16,
                      .rq_cycles = 1, .residual = 1, .maxpool = 1, .avgpool = 1, .queue_depth = 4, .token_max = 15,
                      .stage_bursts = 4, .res_bursts = 4, .bursts = 16, .counters = 16, .dim_bits = 12, .kernel = 16,
                      .mem = {.read_latency = 40, .write_latency = 20, .num = 1, .den = 1, .outstanding = 8},
                      .mem_bytes = 64u << 20, .clock_mhz = 100.0};
}

static int is_pow2(int32_t v) { return v > 0 && (v & (v - 1)) == 0; }

static espl_status check_ranges(const espl_machine *m, espl_err *err) {
#define X(c_name, RtlName, min, max)                                                                                  \
  if (m->c_name < (min) || m->c_name > (max))                                                                         \
    return espl_fail(err, ESPL_E_INPUT, "machine %s: " #c_name " is %d, expected %d..%d", m->name, (int)m->c_name, min, max);
  ESPL_PARAM_LIST(X)
#undef X
  const struct { const char *name; int32_t v; } pow2[] = {{"rows", m->rows}, {"cols", m->cols}, {"bus_bytes", m->bus_bytes}, {"rq_lanes", m->rq_lanes}};
  for (size_t i = 0; i < sizeof pow2 / sizeof pow2[0]; i++)
    if (!is_pow2(pow2[i].v))
      return espl_fail(err, ESPL_E_INPUT, "machine %s: %s is %d, expected a power of two", m->name, pow2[i].name, (int)pow2[i].v);
  return ESPL_OK;
}

static espl_status need(const espl_machine *m, const char *what, int64_t have, int64_t want, const char *why, espl_err *err) {
  if (have >= want) return ESPL_OK;
  return espl_fail(err, ESPL_E_INPUT, "machine %s: %s holds %lld, needs at least %lld (%s)", m->name, what, (long long)have, (long long)want, why);
}

/* Parts of an activation bank: a beat must not hold two words of one part. */
static espl_status check_depthwise(const espl_machine *m, espl_err *err) {
  if (m->fold && (m->dw_banks < 2 || m->rows < 8 || m->rows > 16 || m->rows > m->cols))
    return espl_fail(err, ESPL_E_INPUT, "machine %s: fold needs dw_banks of 2 or more and 8 or 16 rows, at most cols; found %d, %d and %d", m->name, (int)m->dw_banks,
                     (int)m->rows, (int)m->cols);
  if (m->dw_banks == 0) return ESPL_OK;
  int32_t g = espl_g(m), parts = espl_dw_parts(m), word = m->bus_bytes > g ? m->bus_bytes : g;
  if (m->rows < 4) return espl_fail(err, ESPL_E_INPUT, "machine %s: native depthwise needs 4 rows or more, rows is %d", m->name, (int)m->rows);
  if (parts > 1 && m->bus_bytes > parts * g)
    return espl_fail(err, ESPL_E_INPUT, "machine %s: dw_banks %d cuts a bank into %d parts of %d-byte words: bus_bytes is %d, expected at most %d", m->name,
                     (int)m->dw_banks, (int)parts, (int)g, (int)m->bus_bytes, (int)(parts * g));
  return need(m, "an activation bank (2^act_aw bytes)", 1ll << m->act_aw, 2ll * parts * word, "two words in each part", err);
}

/* One LOAD can fill any buffer. */
static espl_status check_dim_bits(const espl_machine *m, espl_err *err) {
  const int32_t aw[] = {m->act_aw, m->wgt_aw, m->par_aw + 4, m->idx_aw > 0 ? m->idx_aw + 2 : 0};
  for (size_t i = 0; i < sizeof aw / sizeof aw[0]; i++)
    if (m->dim_bits < 12 && aw[i] >= m->dim_bits + 8)
      return espl_fail(err, ESPL_E_INPUT, "machine %s: dim_bits is %d: a run is shorter than %d bytes, the largest buffer has %d", m->name, (int)m->dim_bits,
                       1 << (m->dim_bits + 8), 1 << aw[i]);
  return ESPL_OK;
}

static bool power_of_two(int32_t v, int32_t least, int32_t most) { return v >= least && v <= most && (v & (v - 1)) == 0; }

static espl_status check_banks(const espl_machine *m, espl_err *err) {
  const espl_mem_timing *t = &m->mem;
  if (t->banks == 0 && t->row_bytes == 0 && t->row_open == 0 && t->row_close == 0) return ESPL_OK;
  if (power_of_two(t->banks, 1, 64) && power_of_two(t->row_bytes, 256, 65536) && t->row_open >= 1 && t->row_open <= 255 && t->row_close >= 0 && t->row_close <= 255) return ESPL_OK;
  return espl_fail(err, ESPL_E_INPUT, "machine %s: memory with banks %d, row_bytes %d, row_open %d, row_close %d; expected none of them, or powers of two 1..64 and 256..65536, 1..255, 0..255",
                   m->name, (int)t->banks, (int)t->row_bytes, (int)t->row_open, (int)t->row_close);
}

espl_status espl_machine_check(const espl_machine *m, espl_err *err) {
  ESPL_TRY(check_ranges(m, err));
  int32_t g = espl_g(m), tile = espl_tile_bytes(m, m->w_bits);
  if (m->rq_lanes > g)
    return espl_fail(err, ESPL_E_INPUT, "machine %s: rq_lanes is %d, expected at most G = min(rows, cols, 16) = %d", m->name, (int)m->rq_lanes, (int)g);
  if (m->rq_cycles != 1 && m->rq_cycles != 18)
    return espl_fail(err, ESPL_E_INPUT, "machine %s: rq_cycles is %d, expected 1 (pipelined) or 18 (serial)", m->name, (int)m->rq_cycles);
  if (m->acc_w != 24 && m->acc_w != 32)
    return espl_fail(err, ESPL_E_INPUT, "machine %s: acc_w is %d, expected 24 or 32", m->name, (int)m->acc_w);
  if (m->w_bits != 4 && m->w_bits != 8)
    return espl_fail(err, ESPL_E_INPUT, "machine %s: w_bits is %d, expected 4 or 8", m->name, (int)m->w_bits);
  if (m->w_bits == 4 && (m->w_int4 || m->w_book))
    return espl_fail(err, ESPL_E_INPUT, "machine %s: w_bits 4 has int4 weights only, expected w_int4 0 and w_book 0", m->name);
  if (m->w_book == 1) return espl_fail(err, ESPL_E_INPUT, "machine %s: w_book is 1, expected 0 or 2..8", m->name);
  int64_t beat = m->bus_bytes > m->cols ? m->bus_bytes : m->cols;
  ESPL_TRY(need(m, "an activation bank (2^act_aw bytes)", 1ll << m->act_aw, 4ll * (m->bus_bytes > g ? m->bus_bytes : g), "four words", err));
  ESPL_TRY(need(m, "the weight buffer (2^wgt_aw bytes)", 1ll << m->wgt_aw, 2ll * (tile > beat ? tile : beat), "two weight tiles", err));
  ESPL_TRY(need(m, "the parameter buffer (2^par_aw entries)", 1ll << m->par_aw, m->cols > m->bus_bytes / 16 ? m->cols : m->bus_bytes / 16, "one column block", err));
  ESPL_TRY(check_depthwise(m, err));
  if (m->idx_aw > 0) ESPL_TRY(need(m, "the index buffer (2^idx_aw entries)", 1ll << m->idx_aw, 16, "one beat of each bus", err));
  ESPL_TRY(check_dim_bits(m, err));
  const espl_mem_timing *t = &m->mem;
  if (t->read_latency < 1 || t->read_latency > 1000 || t->write_latency < 1 || t->write_latency > 1000)
    return espl_fail(err, ESPL_E_INPUT, "machine %s: memory latency %d/%d, expected 1..1000 cycles", m->name, (int)t->read_latency, (int)t->write_latency);
  if (t->num < 1 || t->den < t->num || t->den > 64)
    return espl_fail(err, ESPL_E_INPUT, "machine %s: memory rate %d/%d beats per cycle, expected 1 <= num <= den <= 64", m->name, (int)t->num, (int)t->den);
  if (t->outstanding < 1 || t->outstanding > m->bursts)
    return espl_fail(err, ESPL_E_INPUT, "machine %s: outstanding is %d, expected 1..%d (bursts)", m->name, (int)t->outstanding, (int)m->bursts);
  if (t->turnaround < 0 || t->turnaround > 64 || (t->turnaround > 0 && !t->shared_path))
    return espl_fail(err, ESPL_E_INPUT, "machine %s: turnaround is %d with shared_path %s, expected 0..64, and 0 with separate paths", m->name, (int)t->turnaround,
                     t->shared_path ? "true" : "false");
  ESPL_TRY(check_banks(m, err));
  if (t->stall_mod != 0 && (t->stall_mod < 2 || t->stall_mod > 65535))
    return espl_fail(err, ESPL_E_INPUT, "machine %s: stall_mod is %d, expected 0 or 2..65535", m->name, (int)t->stall_mod);
  if (m->mem_bytes < 8192)
    return espl_fail(err, ESPL_E_INPUT, "machine %s: memory of %u bytes, expected at least 8192", m->name, (unsigned)m->mem_bytes);
  return ESPL_OK;
}

uint32_t espl_machine_hash(const espl_machine *m) {
  uint32_t h = ESPL_SPEC_HASH;
#define X(c_name, RtlName, min, max)                                                                    \
  for (int i = 0; i < 4; i++) h = (h ^ (((uint32_t)m->c_name >> (8 * i)) & 255u)) * 0x01000193u;
  ESPL_PARAM_LIST(X)
#undef X
  return h ? h : 1u;
}
