/* What the cells of each unit of a core are proportional to. Sizes in bits unless said otherwise; an option that is off has terms of 0. */
#include <math.h>

#include "cost/area_int.h"
#include "cost/blocks.h"

static const char *const names[] = {"array", "acc", "act", "weights", "compute", "lanes", "residual", "store", "load", "fetch", "queue", "port", "regs"};
const char *espl_core_unit_name(espl_core_unit u) { return names[u]; }

int espli_area_scope(espl_core_unit u) {
  if (u == ESPL_CORE_ARRAY) return 2;                           /* multipliers in logic, blocks of two kinds, slices that add */
  return u == ESPL_CORE_LANES || u == ESPL_CORE_QUEUE ? 1 : 0; /* multipliers in logic or blocks; queues of registers or distributed RAM */
}

/* Levels of a multiplexer that selects `part` of `whole`. */
static double levels(int32_t whole, int32_t part) { return whole > part ? log2((double)whole / part) : 0; }

static int put(double x[ESPLI_TERMS], int n, const double *terms) {
  for (int i = 0; i < n; i++) x[i] = terms[i];
  return n;
}
#define PUT(x, ...) put(x, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__})

static int array(const espl_machine *m, double x[ESPLI_TERMS]) {
  const double r = m->rows, c = m->cols, pairs = r / 2, macs = r * c;
  const double skew = 8 * pairs * (pairs - 1) + m->w_bits * c * (c - 1) / 2 + (c - 1) * (r + pairs); /* activations, weights, selects and swaps */
  return PUT(x, m->w_bits == 8 ? macs : 0, m->w_bits == 4 ? macs : 0, m->mul_stages == 2 ? macs : 0, m->dw_banks > 0 ? macs : 0, skew);
}

static int accumulators(const espl_machine *m, double x[ESPLI_TERMS]) {
  const double bits = (double)m->cols * m->acc_w;
  const int32_t g = espl_g(m);
  return PUT(x, bits, m->acc_banks == 2 ? bits : 0, (double)m->cols * m->acc_aw, bits * levels(m->cols, g), (double)g * m->acc_w * levels(g, m->rq_lanes));
}

static int activations(const espl_machine *m, double x[ESPLI_TERMS]) {
  const double bits = 8.0 * m->rows;
  return PUT(x, bits, bits * levels(m->bus_bytes, espl_g(m)), m->fold ? bits : 0, m->dw_banks > 0 ? bits * espl_dw_parts(m) : 0,
             8.0 * espl_dw_channels(m) * m->dw_banks, m->dw_banks > 0 ? m->act_aw : 0);
}

static int weights(const espl_machine *m, double x[ESPLI_TERMS]) {
  const double bits = 8.0 * m->cols, row = m->w_int4 ? m->cols : espl_row_bytes(m, m->w_bits);
  const int32_t word = m->bus_bytes > m->cols ? m->bus_bytes : m->cols;
  const int book = m->w_book > 0, index = m->idx_aw > 0;
  return PUT(x, book ? bits * log2(2.0 * word) : 0, book ? bits * m->w_book : 0, m->w_int4 ? bits : 0, book ? 0 : bits * levels(m->bus_bytes, (int32_t)row),
             index ? 32 * levels(m->bus_bytes, 4) : 0, index);
}

static int lanes(const espl_machine *m, double x[ESPLI_TERMS]) {
  const double l = m->rq_lanes, pipe = m->rq_cycles == 1;
  return PUT(x, pipe * l, (1 - pipe) * l, m->residual * pipe * l, m->residual * (1 - pipe) * l, (m->avgpool || m->maxpool) * l, 8.0 * espl_g(m), 1);
}

int espli_area_terms(espl_core_unit u, const espl_machine *m, espl_family f, double x[ESPLI_TERMS]) {
  const double address = espl_address_bits(m), sizes = m->dim_bits, bus = 8.0 * m->bus_bytes, word = 8.0 * espl_g(m);
  const int queued = m->queue_depth > 0, formats = m->w_int4 || m->w_book, pool = m->maxpool || m->avgpool, index = m->idx_aw > 0;
  switch (u) {
  case ESPL_CORE_ARRAY: return array(m, x);
  case ESPL_CORE_ACC: return accumulators(m, x);
  case ESPL_CORE_ACT: return activations(m, x);
  case ESPL_CORE_WEIGHTS: return weights(m, x);
  case ESPL_CORE_COMPUTE: return PUT(x, 1, sizes, queued, m->dw_banks, m->fold, index, formats, m->act_aw + m->wgt_aw + m->acc_aw, m->rows + m->kernel);
  case ESPL_CORE_LANES: return lanes(m, x);
  case ESPL_CORE_RESIDUAL: return PUT(x, m->residual, m->residual * (address + sizes), m->residual * word);
  case ESPL_CORE_STORE: return PUT(x, 1, sizes, queued, address * m->stage_bursts, pool, bus, word * levels(8 * m->bus_bytes, (int32_t)word), m->residual);
  case ESPL_CORE_LOAD: return PUT(x, 1, address, sizes, bus, queued, formats, index, m->bursts, espl_nb(m));
  case ESPL_CORE_FETCH: return PUT(x, 1, address, sizes, queued, m->kernel, levels(m->bus_bytes, 16));
  case ESPL_CORE_QUEUE: return PUT(x, queued, m->queue_depth);
  case ESPL_CORE_PORT: return PUT(x, 1, address, bus, m->bursts, queued);
  case ESPL_CORE_REGS: return PUT(x, 1, m->counters, espli_tech(f) ? m->counters : 0, address, queued);
  case ESPL_CORE_UNITS: break;
  }
  return 0;
}
