/* Legality of a program: fields, tokens, banks and credits in list order, and the order of every conflicting pair of accesses.
 *
 * Order. Each unit starts and retires its commands in list order. `clock[u][v]` is the highest list index (plus one) of unit v that is
 * known to have finished before the command of unit u being looked at starts; it only grows. A pop of counter X's i-th token happens
 * after the i-th push of X, and that command's unit has then finished everything up to it, and knew everything it knew. A weight
 * credit says that every byte loaded before it has been written. MARK orders everything.
 * A buffer granule remembers its last writer (only load writes buffers) and its last reader (one unit reads each buffer), so each
 * access is checked in constant time; memory is checked a layer at a time by sorting the runs (espl_check_memory). */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "device/check_int.h"
#include "device/decode.h"
#include "device/device.h"

enum { LOAD = ESPL_UNIT_LOAD, COMPUTE = ESPL_UNIT_COMPUTE, STORE = ESPL_UNIT_STORE };
enum { BUF_ACT, BUF_WGT, BUF_IDX, BUF_PAR, BUFS };

/* Push history of one token counter: who pushed token i and what that command's unit knew. */
struct push {
  uint32_t index;
  uint32_t known[4];
};
struct counter {
  int from, to;
  uint32_t pushes, pops, cap;
  struct push *push;
};

struct shadow {
  uint32_t size;                     /* granules */
  uint32_t *writer, *reader, *credit; /* list index + 1; credit number of the write (0: none) */
};

struct check {
  const espl_machine *m;
  espl_err *err;
  uint32_t index;                    /* command being looked at */
  uint32_t clock[4][4];
  struct counter tok[6];
  uint32_t credits, credit_pops, credit_cap, *credit_load; /* list index of the LOAD that gave credit i */
  int bank[2];                       /* 0 free, 1 taken, 2 full */
  struct shadow buf[BUFS];
  espl_cmd_load_stride ls;
  espl_cmd_comp_geom geom;
  espl_cmd_comp_taps taps;
  espl_cmd_store_stride ss;
  espl_cmd_store_pool pool;
  bool have_geom, have_taps, have_pool, have_quant, have_load_stride, have_store_stride;
  int32_t load_bits;                 /* LOAD_WGT */
  espl_weight_format weight;         /* COMP_WGT */
  uint32_t table;                    /* parts of the codebook table that have been written */
  struct espl_runs runs;
};

#define FAIL(c, ...) espl_check_fail((c)->err, (c)->index, __VA_ARGS__)

espl_status espl_check_fail(espl_err *err, uint32_t index, const char *fmt, ...) {
  char text[400];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  return espl_fail(err, ESPL_E_INPUT, "program: command %u: %s", (unsigned)index, text);
}

/* ---- tokens, credits, banks ---- */

static espl_status pop_token(struct check *c, int which, int unit) {
  struct counter *t = &c->tok[which];
  if (t->pops == t->pushes) return FAIL(c, "pops an empty token counter (%s)", espl_token_names[which]);
  const struct push *p = &t->push[t->pops++];
  uint32_t *k = c->clock[unit];
  for (int v = 1; v < 4; v++)
    if (p->known[v] > k[v]) k[v] = p->known[v];
  if (p->index + 1 > k[t->from]) k[t->from] = p->index + 1;
  return ESPL_OK;
}

static espl_status push_token(struct check *c, int which, int unit) {
  struct counter *t = &c->tok[which];
  if (t->pushes - t->pops >= (uint32_t)c->m->token_max)
    return FAIL(c, "overflows token counter %s (at most %d)", espl_token_names[which], (int)c->m->token_max);
  if (t->pushes == t->cap) {
    t->cap = t->cap ? 2 * t->cap : 64;
    struct push *p = realloc(t->push, t->cap * sizeof *p);
    if (!p) return espl_fail(c->err, ESPL_E_NOMEM, "program check: out of memory");
    t->push = p;
  }
  struct push *p = &t->push[t->pushes++];
  p->index = c->index;
  memcpy(p->known, c->clock[unit], sizeof p->known);
  return ESPL_OK;
}

static espl_status give_credits(struct check *c, uint32_t n) {
  if (c->credits + n - c->credit_pops > 65535) return FAIL(c, "more than 65535 weight credits outstanding");
  if (c->credits + n > c->credit_cap) {
    uint32_t cap = 2 * (c->credits + n) + 64;
    uint32_t *p = realloc(c->credit_load, cap * sizeof *p);
    if (!p) return espl_fail(c->err, ESPL_E_NOMEM, "program check: out of memory");
    c->credit_load = p;
    c->credit_cap = cap;
  }
  for (uint32_t i = 0; i < n; i++) c->credit_load[c->credits++] = c->index;
  return ESPL_OK;
}

/* ---- buffers ---- */

/* A LOAD writes granules [at, at+n) of a buffer; credit0: credit number of the byte at `at` and granules per tile (0: none). */
static espl_status write_range(struct check *c, int b, uint32_t at, uint32_t n, int reader) {
  struct shadow *s = &c->buf[b];
  for (uint32_t i = at; i < at + n; i++) {
    if (s->reader[i] > c->clock[LOAD][reader])
      return FAIL(c, "writes %s buffer granule %u that command %u may still read", espl_buffer_names[b], (unsigned)i, (unsigned)(s->reader[i] - 1));
    s->writer[i] = c->index + 1;
    s->reader[i] = 0;
    s->credit[i] = 0;
  }
  return ESPL_OK;
}

static espl_status read_range(struct check *c, int b, uint32_t at, uint32_t n, int unit, uint32_t credit) {
  struct shadow *s = &c->buf[b];
  for (uint32_t k = 0; k < n; k++) {
    uint32_t i = (at + k) & (s->size - 1);
    bool by_credit = s->credit[i] && s->credit[i] <= credit;
    if (!by_credit && s->writer[i] > c->clock[unit][LOAD])
      return FAIL(c, "reads %s buffer granule %u that command %u may not have written yet", espl_buffer_names[b], (unsigned)i, (unsigned)(s->writer[i] - 1));
    s->reader[i] = c->index + 1;
  }
  return ESPL_OK;
}

/* ---- commands ---- */

static espl_status check_load(struct check *c, const espl_cmd_load *l) {
  const espl_machine *m = c->m;
  uint32_t g = (uint32_t)espl_g(m), nb = (uint32_t)espl_nb(m), bus = (uint32_t)m->bus_bytes;
  if (l->pop_compute) ESPL_TRY(pop_token(c, ESPL_CHECK_CL, LOAD));
  if (l->pop_store) ESPL_TRY(pop_token(c, ESPL_CHECK_SL, LOAD));
  int b = (int)l->buffer, reader = b == BUF_PAR ? STORE : COMPUTE;
  uint32_t unit = b == BUF_ACT ? g : b == BUF_WGT ? 1 : b == BUF_IDX ? 4 : 16;
  if ((l->rows > 1 || l->groups > 1) && !c->have_load_stride) return FAIL(c, "a LOAD of several runs before LOAD_STRIDE was set");
  if (l->credit && b != BUF_WGT) return FAIL(c, "credit on a load that is not of weights");
  if (l->credit && (l->rows != 1 || l->groups != 1)) return FAIL(c, "a load with credits has one run");
  if (l->row_bytes % unit || l->dst % unit || l->addr % unit)
    return FAIL(c, "address, destination and length of a %s load must be multiples of %u bytes", espl_buffer_names[b], (unsigned)unit);
  uint32_t bank_size = b == BUF_ACT ? 1u << m->act_aw : c->buf[b].size * unit;
  for (uint32_t k = 0; k < l->groups; k++)
    for (uint32_t r = 0; r < l->rows; r++) {
      uint64_t addr = (uint64_t)l->addr + (uint64_t)k * c->ls.mem_group + (uint64_t)r * c->ls.mem_row;
      uint32_t group = b == BUF_ACT ? (l->bank + k) / nb : k;
      uint64_t dst = l->dst + ((uint64_t)group * c->ls.dst_group + (uint64_t)r * c->ls.dst_row) * g;
      if (dst + l->row_bytes > bank_size) return FAIL(c, "run %u.%u leaves the %s buffer", (unsigned)k, (unsigned)r, espl_buffer_names[b]);
      if ((addr - dst) % bus) return FAIL(c, "run %u.%u: destination and address differ modulo the bus width", (unsigned)k, (unsigned)r);
      ESPL_TRY(espl_runs_add(c, &c->runs, c->index, LOAD, false, addr, l->row_bytes, c->err));
      uint32_t base = b == BUF_ACT ? ((l->bank + k) % nb) << m->act_aw : 0;
      ESPL_TRY(write_range(c, b, (base + (uint32_t)dst) / unit, l->row_bytes / unit, reader));
    }
  if (l->credit) {
    uint32_t tile = (uint32_t)espl_tile_bytes(m, c->load_bits), n = l->row_bytes / tile;
    for (uint32_t i = 0; i < n * tile; i++) c->buf[BUF_WGT].credit[l->dst + i] = c->credits + 1 + i / tile;
    ESPL_TRY(give_credits(c, n));
  }
  if (l->push_compute) ESPL_TRY(push_token(c, ESPL_CHECK_LC, LOAD));
  if (l->push_store) ESPL_TRY(push_token(c, ESPL_CHECK_LS, LOAD));
  return ESPL_OK;
}

/* Marks the activations a tap of channel block cb can touch: the box of rows and columns, all banks. */
static espl_status read_activations(struct check *c, const espl_cmd_compute *k, uint32_t ky0, uint32_t ky1, uint32_t kx0, uint32_t kx1, uint32_t cb) {
  const espl_machine *m = c->m;
  const espl_cmd_comp_geom *q = &c->geom;
  if (k->dw) ky1 += q->dw_rows;
  int32_t y0 = (int32_t)(ky0 * q->dy) + k->off_y, y1 = (int32_t)((k->out_h - 1) * q->sy + ky1 * q->dy) + k->off_y;
  int32_t x0 = (int32_t)(kx0 * q->dx) + k->off_x, x1 = (int32_t)((k->out_w - 1) * q->sx + kx1 * q->dx) + k->off_x;
  bool fold = q->fold && !k->dw;
  if (k->dw) x1 += (int32_t)q->dw_cols;
  if (fold) x1 += m->rows / 4 - 1;
  y0 = y0 < 0 ? 0 : y0;
  x0 = x0 < 0 ? 0 : x0;
  y1 = y1 >= (int32_t)q->in_h ? (int32_t)q->in_h - 1 : y1;
  x1 = x1 >= (int32_t)q->in_w ? (int32_t)q->in_w - 1 : x1;
  if (x1 < x0) return ESPL_OK;
  if (fold) x0 /= espl_g(m) / 4, x1 /= espl_g(m) / 4; /* pixels to words */
  uint32_t words = (1u << m->act_aw) / (uint32_t)espl_g(m);
  for (int32_t bank = 0; bank < espl_nb(m); bank++)
    for (int32_t y = y0; y <= y1; y++) {
      uint64_t at = k->act_base + (uint64_t)cb * q->plane_words + (uint64_t)y * q->row_words + (uint64_t)x0;
      uint64_t n = (uint64_t)(x1 - x0 + 1);
      if (at + n > words || at + n > 65536) return FAIL(c, "activation row %d of channel block %u leaves the bank (%u pixel words)", (int)y, (unsigned)cb, (unsigned)words);
      ESPL_TRY(read_range(c, BUF_ACT, (uint32_t)bank * words + (uint32_t)at, (uint32_t)n, COMPUTE, 0));
    }
  return ESPL_OK;
}

static uint32_t low_bit(uint32_t v) { return (uint32_t)__builtin_ctz(v); }
static uint32_t high_bit(uint32_t v) { return 31u - (uint32_t)__builtin_clz(v); }

static espl_status check_tiles(struct check *c, const espl_cmd_compute *k, const uint8_t *idx) {
  const espl_machine *m = c->m;
  uint32_t row = (uint32_t)espl_row_bytes(m, c->weight.bits), tile = (uint32_t)(k->dw ? espl_dw_tile_rows(m, (int32_t)c->geom.dw_rows + 1, (int32_t)c->geom.dw_cols + 1) : m->rows) * row;
  uint32_t parts = ((1u << c->weight.bits) + 7) / 8, need = parts < 32 ? (1u << parts) - 1 : UINT32_MAX;
  if (c->weight.book && k->n_tiles && (c->table & need) != need) return FAIL(c, "reads a codebook table of which parts were not written");
  if (((uint64_t)k->wgt_base * row + (uint64_t)k->n_tiles * tile) > c->buf[BUF_WGT].size)
    return FAIL(c, "%u weight tiles from row %u leave the weight buffer", (unsigned)k->n_tiles, (unsigned)k->wgt_base);
  for (uint32_t i = 0; i < k->n_tiles; i++) {
    if (k->credit) {
      if (c->credit_pops == c->credits) return FAIL(c, "takes a weight credit that no earlier load gives (tile %u)", (unsigned)i);
      uint32_t by = c->credit_load[c->credit_pops++];
      if (by > c->clock[COMPUTE][LOAD]) c->clock[COMPUTE][LOAD] = by;
    }
    /* a tile whose credit this or an earlier command has taken is written, whether this command takes credits or not */
    ESPL_TRY(read_range(c, BUF_WGT, k->wgt_base * row + i * tile, tile, COMPUTE, c->credit_pops));
    if (k->sparse) {
      uint32_t e = k->idx_base + i;
      if (e >= c->buf[BUF_IDX].size) return FAIL(c, "index entry %u leaves the index buffer", (unsigned)e);
      ESPL_TRY(read_range(c, BUF_IDX, e, 1, COMPUTE, 0));
      const uint8_t *p = idx + 4 * (size_t)e;
      ESPL_TRY(read_activations(c, k, p[1], p[1], p[0], p[0], (uint32_t)p[2] | (uint32_t)p[3] << 8));
    }
  }
  if (k->sparse) return ESPL_OK;
  uint32_t taps = (uint32_t)(__builtin_popcount(c->taps.ky_mask) * __builtin_popcount(c->taps.kx_mask));
  for (uint32_t cb = 0; cb * taps < k->n_tiles; cb++)
    ESPL_TRY(read_activations(c, k, low_bit(c->taps.ky_mask), high_bit(c->taps.ky_mask), low_bit(c->taps.kx_mask), high_bit(c->taps.kx_mask), cb));
  return ESPL_OK;
}

/* A depthwise pass reads dw_rows+1 words at once: they must lie in different parts of the bank. Two taps across at least, so that an
 * accumulator is never wanted again within its read-modify-write. */
static espl_status check_depthwise(struct check *c) {
  const espl_cmd_comp_geom *q = &c->geom;
  uint32_t n = q->dw_rows + 1, parts = (uint32_t)espl_dw_parts(c->m), step = q->dy * q->row_words;
  if (n > (uint32_t)c->m->dw_banks) return FAIL(c, "depthwise over %u kernel rows, the machine reads %d at once", (unsigned)n, (int)c->m->dw_banks);
  if (q->dw_cols == 0) return FAIL(c, "depthwise with one kernel column a pass, expected 2 or more");
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t j = i + 1; j < n; j++)
      if ((j - i) * step % parts == 0)
        return FAIL(c, "depthwise kernel rows %u and %u lie in one of the %u parts of a bank (%u pixel words between input rows, dilation %u)", (unsigned)i,
                    (unsigned)j, (unsigned)parts, (unsigned)q->row_words, (unsigned)q->dy);
  return ESPL_OK;
}

static espl_status check_compute(struct check *c, const espl_cmd_compute *k, const uint8_t *idx) {
  if (!c->have_geom || !c->have_taps) return FAIL(c, "COMPUTE before COMP_GEOM and COMP_TAPS were set");
  if (k->dw) ESPL_TRY(check_depthwise(c));
  if (k->n_tiles == 0 && !k->sparse) return FAIL(c, "a dense COMPUTE without tiles");
  if ((uint64_t)k->out_h * k->out_w > 1u << c->m->acc_aw)
    return FAIL(c, "%ux%u output pixels, an accumulator bank holds %u", (unsigned)k->out_h, (unsigned)k->out_w, 1u << c->m->acc_aw);
  if (k->pop_load) ESPL_TRY(pop_token(c, ESPL_CHECK_LC, COMPUTE));
  if (k->pop_store) ESPL_TRY(pop_token(c, ESPL_CHECK_SC, COMPUTE));
  if (c->bank[k->bank] != (k->first ? 0 : 1))
    return FAIL(c, "accumulator bank %u is %s, expected %s", (unsigned)k->bank, espl_bank_names[c->bank[k->bank]], espl_bank_names[k->first ? 0 : 1]);
  c->bank[k->bank] = k->last ? 2 : 1;
  ESPL_TRY(check_tiles(c, k, idx));
  if (k->push_load) ESPL_TRY(push_token(c, ESPL_CHECK_CL, COMPUTE));
  if (k->push_store) ESPL_TRY(push_token(c, ESPL_CHECK_CS, COMPUTE));
  return ESPL_OK;
}

/* The runs of a tensor tile [groups][out_h][out_w*G]; write: output, else residual operand. */
static espl_status tile_runs(struct check *c, const espl_cmd_store *s, bool write) {
  uint32_t g = (uint32_t)espl_g(c->m), row = s->out_w * g;
  bool contig = write ? s->out_contig : s->res_contig;
  uint64_t base = write ? s->out_addr : s->res_addr, group = write ? c->ss.out_group : c->ss.res_group;
  uint64_t step = write ? c->ss.out_row : c->ss.res_row;
  for (uint32_t k = 0; k < s->groups; k++) {
    if (contig) {
      ESPL_TRY(espl_runs_add(c, &c->runs, c->index, STORE, write, base + k * group, (uint64_t)row * s->out_h, c->err));
      continue;
    }
    for (uint32_t y = 0; y < s->out_h; y++) ESPL_TRY(espl_runs_add(c, &c->runs, c->index, STORE, write, base + k * group + y * step, row, c->err));
  }
  return ESPL_OK;
}

static espl_status check_store(struct check *c, const espl_cmd_store *s) {
  const espl_machine *m = c->m;
  uint32_t g = (uint32_t)espl_g(m), depth = 1u << m->acc_aw;
  if (!c->have_quant) return FAIL(c, "STORE before STORE_QUANT was set");
  bool runs = s->groups > 1 || ((!s->out_contig || (s->residual && !s->res_contig)) && s->out_h > 1);
  if (runs && !c->have_store_stride) return FAIL(c, "a STORE of several runs before STORE_STRIDE was set");
  if (s->pool && !c->have_pool) return FAIL(c, "pooling STORE before STORE_POOL was set");
  if (s->out_addr % g || (s->residual && s->res_addr % g) || s->par_base % g) return FAIL(c, "addresses and par_base must be multiples of G = %u", (unsigned)g);
  bool rows = !s->out_contig && s->out_h > 1, res_rows = s->residual && !s->res_contig && s->out_h > 1;
  if ((rows && c->ss.out_row % g) || (res_rows && c->ss.res_row % g) || (s->groups > 1 && c->ss.out_group % g) ||
      (s->residual && s->groups > 1 && c->ss.res_group % g))
    return FAIL(c, "strides must be multiples of G = %u", (unsigned)g);
  uint64_t pixels = s->pool ? (uint64_t)c->pool.acc_h * c->pool.acc_w : (uint64_t)s->out_h * s->out_w;
  if (pixels > depth) return FAIL(c, "drains %llu accumulators, a bank holds %u", (unsigned long long)pixels, (unsigned)depth);
  if (s->par_base + s->groups * g > 1u << m->par_aw) return FAIL(c, "parameters %u..%u leave the buffer", (unsigned)s->par_base, (unsigned)(s->par_base + s->groups * g - 1));
  if (s->pop_load) ESPL_TRY(pop_token(c, ESPL_CHECK_LS, STORE));
  if (s->pop_compute) ESPL_TRY(pop_token(c, ESPL_CHECK_CS, STORE));
  if (c->bank[s->bank] != 2) return FAIL(c, "accumulator bank %u is %s, expected full", (unsigned)s->bank, espl_bank_names[c->bank[s->bank]]);
  c->bank[s->bank] = 0;
  ESPL_TRY(read_range(c, BUF_PAR, s->par_base, s->groups * g, STORE, 0));
  uint32_t mark = c->runs.count;
  if (s->residual) ESPL_TRY(tile_runs(c, s, false));
  ESPL_TRY(tile_runs(c, s, true));
  bool same = s->res_addr == s->out_addr && c->ss.res_group == c->ss.out_group && s->res_contig == s->out_contig && (s->out_contig || c->ss.res_row == c->ss.out_row);
  if (s->residual && !same) ESPL_TRY(espl_runs_self(&c->runs, mark, c->index, c->err));
  if (s->push_load) ESPL_TRY(push_token(c, ESPL_CHECK_SL, STORE));
  if (s->push_compute) ESPL_TRY(push_token(c, ESPL_CHECK_SC, STORE));
  return ESPL_OK;
}

static espl_status check_cfg(struct check *c, const uint32_t w[4]) {
  switch ((w[0] >> 4 & 3u) << 3 | (w[0] >> 8 & 7u)) {
    case LOAD << 3 | 0: espl_cmd_load_stride_decode(w, &c->ls); c->have_load_stride = true; break;
    case LOAD << 3 | 1: c->load_bits = (int32_t)espl_bits_get(w, 16, 4); break;
    case COMPUTE << 3 | 2: c->weight = (espl_weight_format){(int32_t)espl_bits_get(w, 16, 4), (int32_t)espl_bits_get(w, 20, 1)}; break;
    case COMPUTE << 3 | 3: c->table |= 1u << espl_bits_get(w, 16, 5); break;
    case COMPUTE << 3 | 0: espl_cmd_comp_geom_decode(w, &c->geom); c->have_geom = true; break;
    case COMPUTE << 3 | 1: espl_cmd_comp_taps_decode(w, &c->taps); c->have_taps = true; break;
    case STORE << 3 | 0: espl_cmd_store_stride_decode(w, &c->ss); c->have_store_stride = true; break;
    case STORE << 3 | 1: c->have_quant = true; break;
    case STORE << 3 | 2: espl_cmd_store_pool_decode(w, &c->pool); c->have_pool = true; break;
    default: break;
  }
  return ESPL_OK;
}

/* The index entries are data: the checker keeps its own copy of the index buffer as LOADs fill it. */
static void copy_index(const struct check *c, const espl_cmd_load *l, const uint8_t *memory, uint8_t *idx) {
  uint32_t g = (uint32_t)espl_g(c->m);
  for (uint32_t k = 0; k < l->groups; k++)
    for (uint32_t r = 0; r < l->rows; r++) {
      uint32_t dst = l->dst + (k * c->ls.dst_group + r * c->ls.dst_row) * g;
      memcpy(idx + dst, memory + l->addr + k * c->ls.mem_group + r * c->ls.mem_row, l->row_bytes);
    }
}

uint64_t espl_check_known(const struct check *c, int unit, int of) { return c->clock[unit][of]; }

static espl_status check_mark(struct check *c, uint32_t record, uint32_t prog_addr, uint32_t prog_bytes) {
  if (record % 256) return FAIL(c, "record address 0x%x is not a multiple of 256", (unsigned)record);
  ESPL_TRY(espl_runs_add(c, &c->runs, c->index, STORE, true, record, 64, c->err));
  ESPL_TRY(espl_runs_inside(&c->runs, c->m->mem_bytes, (uint32_t)c->m->bus_bytes, c->index, c->err));
  ESPL_TRY(espl_runs_check(&c->runs, prog_addr, prog_bytes, c->err));
  c->runs.count = 0;
  for (int u = 1; u < 4; u++)
    for (int v = 1; v < 4; v++) c->clock[u][v] = c->index + 1;
  return ESPL_OK;
}

static espl_status check_all(struct check *c, const espl_decoded *d, const uint8_t *memory, uint32_t prog_addr, uint32_t prog_bytes, uint8_t *idx) {
  for (c->index = 0; c->index < d->count; c->index++) {
    const uint32_t *w = d->cmd[c->index];
    int s = espl_machine_cmd_check(c->m, w);
    if (s != ESPL_HW_NONE) return FAIL(c, "the decoder refuses it: %s (words %08x %08x %08x %08x)", espl_hw_status_name(s), w[3], w[2], w[1], w[0]);
    switch (w[0] & 15u) {
      case ESPL_OPC_CFG: ESPL_TRY(check_cfg(c, w)); break;
      case ESPL_OPC_LOAD: {
        espl_cmd_load l;
        espl_cmd_load_decode(w, &l);
        ESPL_TRY(check_load(c, &l));
        ESPL_TRY(espl_runs_inside(&c->runs, c->m->mem_bytes, (uint32_t)c->m->bus_bytes, c->index, c->err));
        if (l.buffer == 2) copy_index(c, &l, memory, idx);
        break;
      }
      case ESPL_OPC_COMPUTE: {
        espl_cmd_compute k;
        espl_cmd_compute_decode(w, &k);
        ESPL_TRY(check_compute(c, &k, idx));
        break;
      }
      case ESPL_OPC_STORE: {
        espl_cmd_store k;
        espl_cmd_store_decode(w, &k);
        ESPL_TRY(check_store(c, &k));
        ESPL_TRY(espl_runs_inside(&c->runs, c->m->mem_bytes, (uint32_t)c->m->bus_bytes, c->index, c->err));
        break;
      }
      case ESPL_OPC_MARK: ESPL_TRY(check_mark(c, w[0] >> 16 | w[1] << 16, prog_addr, prog_bytes)); break;
      default: return espl_runs_check(&c->runs, prog_addr, prog_bytes, c->err); /* END */
    }
  }
  c->index = d->count;
  return FAIL(c, "the program ends without END");
}

espl_status espl_program_check(const espl_machine *m, const uint8_t *memory, uint32_t prog_addr, uint32_t prog_bytes, espl_err *err) {
  espl_decoded d;
  ESPL_TRY(espl_decode_program(memory, m->mem_bytes, prog_addr, prog_bytes, &d, err));
  static const struct { int from, to; } pair[6] = {{LOAD, COMPUTE}, {COMPUTE, LOAD}, {LOAD, STORE}, {STORE, LOAD}, {COMPUTE, STORE}, {STORE, COMPUTE}};
  struct check c = {.m = m, .err = err, .load_bits = m->w_bits, .weight = espl_weight_default(m)};
  for (int i = 0; i < 6; i++) c.tok[i].from = pair[i].from, c.tok[i].to = pair[i].to;
  uint32_t size[BUFS] = {((uint32_t)espl_nb(m) << m->act_aw) / (uint32_t)espl_g(m), 1u << m->wgt_aw, 1u << m->idx_aw, 1u << m->par_aw};
  bool ok = true;
  for (int b = 0; b < BUFS; b++) {
    struct shadow *s = &c.buf[b];
    s->size = size[b];
    s->writer = espl_calloc(size[b], sizeof(uint32_t));
    s->reader = espl_calloc(size[b], sizeof(uint32_t));
    s->credit = espl_calloc(size[b], sizeof(uint32_t));
    ok = ok && s->writer && s->reader && s->credit;
  }
  uint8_t *idx = espl_calloc(4, (size_t)1 << m->idx_aw);
  espl_status st = ok && idx ? check_all(&c, &d, memory, prog_addr, prog_bytes, idx) : espl_fail(err, ESPL_E_NOMEM, "program check: out of memory");
  for (int b = 0; b < BUFS; b++) {
    free(c.buf[b].writer);
    free(c.buf[b].reader);
    free(c.buf[b].credit);
  }
  for (int i = 0; i < 6; i++) free(c.tok[i].push);
  free(c.credit_load);
  free(c.runs.run);
  free(idx);
  espl_decoded_clear(&d);
  return st;
}
