/* Counts memory and multiplier blocks.
 *
 * Memories, by the cost rule of Yosys 0.23's memory_libmap for one write and one registered read port. A RAM shape holds 2^(abits - k) words of
 * width[k] bits for each k it offers. A memory of D words of W bits in E separately written pieces takes, at one k,
 *   a    = ceil(D / 2^(abits - k))                       rows of blocks
 *   s    = W, with each piece rounded up to the block's write unit: min(byte, width[k]), or width[k] where it has no byte enables
 *   n    = ceil(a * s / width[k])                        blocks
 *   cost = (cost - scale) * n + scale * a * W / width[k] + (a - 1) * W / 2 + (a > 1 ? a * E / 2 : 0) + 2
 * and the cheapest k of the cheapest shape is taken, the earlier at equal whole costs; registers where D * W is no more than that. */
#include "cost/blocks.h"

#include <stdbool.h>

typedef struct shape {
  int blocks; /* block RAMs that one takes, 0: distributed RAM */
  int abits, first, widths, width[7];
  int byte; /* bits with a write enable of their own, 0: the width */
  int cost, scale;
} shape;

/* `first`: the narrowest k a write can use, where narrower ones cannot be made from byte enables. */
static const shape ice40[] = {{1, 11, 0, 4, {2, 4, 8, 16}, 1, 64, 0}};
static const shape ecp5[] = {{0, 4, 0, 1, {4}, 0, 4, 0}, {1, 14, 0, 5, {1, 2, 4, 9, 18}, 9, 128, 0}, {1, 14, 3, 6, {1, 2, 4, 9, 18, 36}, 9, 128, 0}};
static const shape xc7[] = {{0, 5, 0, 1, {6}, 0, 8, 7},
                            {0, 6, 0, 1, {3}, 0, 8, 7},
                            {0, 5, 0, 1, {4}, 0, 8, 8},
                            {0, 6, 0, 1, {2}, 0, 8, 8},
                            {0, 7, 0, 1, {1}, 0, 8, 8},
                            {1, 14, 0, 5, {1, 2, 4, 9, 18}, 9, 129, 0},
                            {2, 15, 0, 6, {1, 2, 4, 9, 18, 36}, 9, 257, 0},
                            {4, 16, 0, 4, {1, 2, 4, 9}, 9, 513, 0},
                            {1, 14, 3, 6, {1, 2, 4, 9, 18, 36}, 9, 129, 0},
                            {2, 15, 3, 7, {1, 2, 4, 9, 18, 36, 72}, 9, 257, 0}};

static int32_t log2i(int64_t v) { /* of a power of two; rounded up otherwise */
  int32_t n = 0;
  while (((int64_t)1 << n) < v) n++;
  return n;
}
static int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

int32_t espl_address_bits(const espl_machine *m) { return log2i(m->mem_bytes) < 32 ? log2i(m->mem_bytes) : 32; }

/* A byte buffer written in beats and read in units, both powers of two bytes: rtl/common/espl_beatbuf.sv. `strobes`: bytes of a beat are written alone. */
static espl_memory beat_buffer(const char *name, int64_t copies, int64_t bytes, int64_t beat, int64_t unit, bool strobes) {
  int64_t word = max64(beat, unit);
  return (espl_memory){name, copies, bytes / word, (int32_t)(8 * word), (int32_t)(strobes ? word : word / beat)};
}

static espl_memory weight_memory(const espl_machine *m) {
  if (m->w_book > 0) { /* even and odd words apart */
    espl_memory w = beat_buffer("weights", 2, (int64_t)1 << m->wgt_aw, m->bus_bytes, m->cols, true);
    w.words /= 2;
    return w;
  }
  return beat_buffer("weights", 1, (int64_t)1 << m->wgt_aw, m->bus_bytes, m->w_int4 ? m->cols : m->cols * m->w_bits / 8, true);
}

/* What the load unit keeps of an open burst: last, lanes of the first byte and behind the last one, beat of a buffer, bank (rtl/load/espl_load.sv). */
static int32_t load_entry_bits(const espl_machine *m) {
  const int32_t ends[] = {m->act_aw, m->wgt_aw, m->idx_aw + 2, m->par_aw + 4};
  int32_t buffer = 0;
  for (int i = 0; i < 4; i++)
    if (ends[i] > buffer) buffer = ends[i];
  return 1 + log2i(m->bus_bytes) + buffer + (espl_nb(m) > 1 ? log2i(espl_nb(m)) : 1);
}

int espl_machine_memories(const espl_machine *m, espl_memory out[ESPL_MEMORIES]) {
  const int64_t g = espl_g(m), b = m->bus_bytes, parts = espl_dw_parts(m);
  const int64_t entries = b > 16 ? b / 16 : 1, banks = max64(m->rq_lanes, entries); /* of parameters: in a beat; side by side */
  const int32_t par_rows = m->par_aw > log2i(banks) ? m->par_aw - log2i(banks) : 1;
  int n = 0;
  out[n++] = beat_buffer("activations", espl_nb(m) * parts, ((int64_t)1 << m->act_aw) / parts, parts > 1 && b > g ? g : b, g, true);
  out[n++] = weight_memory(m);
  if (m->idx_aw > 0) out[n++] = beat_buffer("index", 1, (int64_t)4 << m->idx_aw, b, 4, true);
  if (m->w_book > 4) out[n++] = beat_buffer("codebook", m->cols, (int64_t)1 << m->w_book, 8, 1, false);
  out[n++] = (espl_memory){"accumulators", (int64_t)m->cols * m->acc_banks, (int64_t)1 << m->acc_aw, m->acc_w, 1};
  /* Of the 80 bits of an entry those that are used: bias 32, m 16, s 6, and with residuals mr 16, l 5. */
  out[n++] = (espl_memory){"parameters", banks, (int64_t)1 << par_rows, m->residual ? 75 : 54, m->residual ? 10 : 7};
  out[n++] = beat_buffer("commands", 1, 512, b, m->queue_depth == 0 && m->rows == 2 ? 4 : 16, false); /* Parts of rtl/fetch/espl_fetch_buf.sv */
  out[n++] = beat_buffer("staging", 1, (int64_t)256 << log2i(m->stage_bursts), g, b, false);
  out[n++] = (espl_memory){"open reads", 1, m->bursts, load_entry_bits(m), 1};
  out[n++] = (espl_memory){"open writes", 1, m->bursts, 8, 1};
  if (m->residual) out[n++] = beat_buffer("residuals", 1, (int64_t)256 << log2i(m->res_bursts), b, g, false);
  return n;
}

/* Blocks of a shape in its cheapest width, and that cost. */
static int64_t blocks_of(const shape *s, const espl_memory *mem, double *cost) {
  int64_t best = 0;
  *cost = -1;
  for (int k = s->first; k < s->widths; k++) {
    const int w = s->width[k], unit = s->byte > 0 && s->byte < w ? s->byte : w;
    const int64_t a = ceil_div(mem->words, (int64_t)1 << (s->abits - k));
    const int64_t bits = s->byte == 1 ? mem->bits : mem->enables * ceil_div(ceil_div(mem->bits, mem->enables), unit) * unit;
    const int64_t n = ceil_div(a * bits, w);
    double c = (s->cost - s->scale) * (double)n + s->scale * (double)(a * mem->bits) / w + 0.5 * (double)((a - 1) * mem->bits) + 2;
    if (a > 1) c += 0.5 * (double)(a * mem->enables);
    if (*cost >= 0 && c >= (double)(int64_t)*cost) continue;
    *cost = c;
    best = n * s->blocks;
  }
  return best;
}

int64_t espl_memory_blocks(const espl_memory *mem, espl_family f) {
  const shape *s = f == ESPL_ECP5 ? ecp5 : f == ESPL_XC7 ? xc7 : ice40;
  const size_t n = f == ESPL_ECP5 ? sizeof ecp5 / sizeof *ecp5 : f == ESPL_XC7 ? sizeof xc7 / sizeof *xc7 : 1;
  double least = (double)(mem->words * mem->bits);
  int64_t blocks = 0;
  for (size_t i = 0; i < n; i++) {
    double cost;
    int64_t b = blocks_of(&s[i], mem, &cost);
    if (cost >= least) continue;
    least = cost;
    blocks = b;
  }
  return blocks;
}

int64_t espl_ram_blocks(const espl_machine *m, espl_family f) {
  espl_memory mem[ESPL_MEMORIES];
  int64_t n = 0;
  for (int i = espl_machine_memories(m, mem) - 1; i >= 0; i--) {
    if (f == ESPL_ECP5 && mem[i].enables == 7) mem[i].bits = 75, mem[i].enables = 10; /* parameters: mapped there with the bits that nobody reads */
    n += mem[i].copies * espl_memory_blocks(&mem[i], f);
  }
  return n;
}

/* Multipliers of addresses that fill a block on 7-series (products of 9 bits and more; which do was read from the
 * netlists behind configs/cost/area.csv): the row step, a tile's row (in two halves in arrays of four rows), with an index buffer an entry's
 * plane, row and column (without one none of the three takes a block), and with options the packed row, the residual run, two of a
 * pooling window, two of a depthwise pass. */
static int64_t address_products(const espl_machine *m) {
  const int formats = m->w_int4 || m->w_book, pool = (m->maxpool || m->avgpool) && m->acc_aw >= 9;
  return (m->rows >= 4 && m->rows < 8 ? 3 : 2) + 3 * (m->idx_aw > 0) + formats + m->residual + 2 * pool + 2 * (m->dw_banks > 0);
}

/* The same on ECP5, where small products take a block as well: a tile's row and column always, the choice of a group of accumulators of 24 bits, the
 * bytes of a tile and of what is left of it where weights have formats, the residual run twice without queues, a pooling window of any size. */
static int64_t address_products_ecp5(const espl_machine *m) {
  const int formats = m->w_int4 || m->w_book, groups = m->cols > m->rq_lanes && m->acc_w == 24;
  return (m->rows >= 4 && m->rows < 8 ? 3 : 2) + 2 + (m->idx_aw > 0) + groups + 3 * formats + m->residual * (m->queue_depth > 0 ? 1 : 2) + 2 * (m->maxpool || m->avgpool) + 2 * (m->dw_banks > 0);
}

int64_t espl_dsp_blocks(const espl_machine *m, espl_family f) {
  const int64_t macs = (int64_t)m->rows * m->cols;
  if (f == ESPL_ICE40HX) return 0;
  if (f == ESPL_ICE40UP) return macs / 2; /* a block is two 8x8 products */
  const int64_t lanes = m->rq_cycles == 1 ? (int64_t)m->rq_lanes * (2 + m->residual) : 0; /* 32x16 bits: two; the residual's 9x16: one */
  return macs + lanes + (f == ESPL_ECP5 ? address_products_ecp5(m) : address_products(m));
}
