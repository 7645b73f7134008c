/* Layer tables on the exact machine: integer layers with random weights, mapped and simulated one after the other; equal layers once. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/mem.h"
#include "base/rng.h"
#include "map/map_int.h"
#include "map/topology.h"

enum { MAX_WEIGHTS = 1 << 30 };

/* Pixels of a GEMM as an image: the widest row that divides them and is no wider than it is high, so that tiles of rows split evenly. */
static void gemm_image(int64_t pixels, int32_t *h, int32_t *w) {
  int64_t best = 1;
  for (int64_t d = 1; d * d <= pixels; d++)
    if (pixels % d == 0) best = d;
  *w = (int32_t)best;
  *h = (int32_t)(pixels / best);
}

static void shapes(const espl_topo_layer *l, espl_qlayer *q, espl_shape *in) {
  *q = (espl_qlayer){.res = -1, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .groups = 1, .win_h = 1, .win_w = 1, .psy = 1, .psx = 1,
                     .pool_shift = 1, .lo = -128, .hi = 127};
  if (l->gemm) {
    q->in_c = (int32_t)l->gk;
    q->out_c = (int32_t)l->gn;
    gemm_image(l->gm, &in->h, &in->w);
  } else {
    q->in_c = l->c;
    q->out_c = l->depthwise ? l->c * l->m : l->m;
    q->groups = l->depthwise ? l->c : 1;
    q->kh = l->r;
    q->kw = l->s;
    q->sh = q->sw = l->stride;
    q->pt = l->pt;
    q->pl = l->pl;
    q->pb = l->pb;
    q->pr = l->pr;
    in->h = l->h;
    in->w = l->w;
  }
  in->c = q->in_c;
  q->conv_h = (in->h + q->pt + q->pb - q->kh) / q->sh + 1;
  q->conv_w = (in->w + q->pl + q->pr - q->kw) / q->sw + 1;
  q->macs = q->macs_dense = espl_topo_exact_macs(l);
}

static bool sums_fit(const espl_machine *m, int64_t terms, int bits) { return terms * 128 * ((1 << bits) - 1) < (int64_t)1 << (m->acc_w - 1); }

/* Bits of a weight's magnitude: weights are odd numbers of -(2^b - 1)..2^b - 1, so that no sum of `terms` leaves the accumulator. */
static int weight_bits(const espl_machine *m, int64_t terms) {
  int b = m->w_bits < 8 ? m->w_bits - 1 : 7;
  while (b > 1 && !sums_fit(m, terms, b)) b--;
  return b;
}

/* Eight weights of one draw at a time. */
static void random_weights(int8_t *w, int64_t n, int bits, uint64_t seed, uint64_t layer) {
  for (int64_t i = 0; i < n; i += 8) {
    uint64_t word = espl_mix64(seed ^ espl_mix64(layer) ^ (uint64_t)i);
    int8_t b[8];
    memcpy(b, &word, 8);
    for (int k = 0; k < 8; k++) b[k] = (int8_t)((b[k] >> (7 - bits)) | 1);
    memcpy(w + i, b, n - i < 8 ? (size_t)(n - i) : 8);
  }
}

/* Zeros where a group has no such input, and in the rows the sparsity removes (row k of the filter matrix is tap*channels + channel). */
static void remove_weights(const espl_topo_layer *l, espl_qlayer *q) {
  if (q->groups == 1 && l->sparse_n == l->sparse_m) return;
  int32_t taps = q->kh * q->kw, og = q->out_c / q->groups, ig = q->in_c / q->groups;
  for (int64_t o = 0; o < q->out_c; o++)
    for (int64_t i = 0; i < q->in_c; i++)
      for (int64_t t = 0; t < taps; t++) {
        bool there = i / ig == o / og && (t * ig + i % ig) % l->sparse_m < l->sparse_n;
        if (!there) q->w[(o * q->in_c + i) * taps + t] = 0;
      }
}

/* timed: without weights where timing does not need them: all are nonzero, their sums fit and they are stored alike, whatever they are. */
static espl_status make_layer(const espl_topo_layer *l, const espl_machine *m, bool timed, uint64_t seed, uint64_t index, espl_qlayer *q, espl_shape *in, espl_err *err) {
  int64_t taps = l->gemm ? 1 : (int64_t)l->r * l->s, in_c = l->gemm ? l->gk : l->c, out_c = l->gemm ? l->gn : l->depthwise ? (int64_t)l->c * l->m : l->m;
  if ((__int128)taps * in_c * out_c > MAX_WEIGHTS)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: %lld x %lld x %lld weights, this version takes up to 2^30", l->name, (long long)out_c, (long long)in_c, (long long)taps);
  shapes(l, q, in);
  int64_t n = taps * in_c * out_c;
  int bits = weight_bits(m, l->gk);
  q->name = espl_strdup(l->name);
  bool values = !timed || l->sparse_n < l->sparse_m || !sums_fit(m, l->gk, bits) || espl_weight_choice(m);
  q->w = values ? malloc((size_t)n) : NULL;
  q->par = espl_calloc((size_t)q->out_c, sizeof *q->par);
  if (!q->name || (values && !q->w) || !q->par) return espl_fail(err, ESPL_E_NOMEM, "layer %s: out of memory", l->name);
  if (values) random_weights(q->w, n, bits, seed, index);
  if (values) remove_weights(l, q);
  /* A random sum is about 43*2^b*sqrt(K); the requantizer brings that to about 40. */
  int shift = 15 + (int)ceil(log2(1 + ldexp(sqrt((double)l->gk), bits)));
  for (int32_t o = 0; o < q->out_c; o++) q->par[o] = (espl_qparam){.m = 32768, .s = (uint8_t)shift};
  return ESPL_OK;
}

static espl_status make_qnet(const espl_topology *t, int32_t first, int32_t count, const espl_machine *m, bool timed, uint64_t seed, espl_qnet **out, espl_err *err) {
  *out = NULL;
  if (first < 0 || count < 1 || first > t->layers - count) return espl_fail(err, ESPL_E_BUG, "topology %s: layers %d to %d of %d", t->name, (int)first, (int)(first + count), (int)t->layers);
  espl_qnet *q = espl_calloc(1, sizeof *q);
  if (!q) return espl_fail(err, ESPL_E_NOMEM, "topology %s: out of memory", t->name);
  q->name = espl_strdup(t->name);
  q->tensor = espl_calloc((size_t)count * 2, sizeof *q->tensor);
  q->layer = espl_calloc((size_t)count, sizeof *q->layer);
  espl_status s = q->name && q->tensor && q->layer ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "topology %s: out of memory", t->name);
  for (int32_t i = 0; s == ESPL_OK && i < count; i++) {
    espl_qlayer *l = &q->layer[i];
    q->layers = i + 1;
    q->tensors = 2 * (i + 1);
    espl_shape in = {0};
    s = make_layer(&t->layer[first + i], m, timed, seed, (uint64_t)(first + i), l, &in, err);
    l->in = 2 * i;
    l->out = 2 * i + 1;
    l->node = q->tensor[2 * i].node = q->tensor[2 * i + 1].node = -1;
    q->tensor[2 * i].shape = in;
    q->tensor[2 * i + 1].shape = (espl_shape){l->out_c, l->conv_h, l->conv_w};
    q->tensor[2 * i].scale = q->tensor[2 * i + 1].scale = 1;
  }
  q->output = 2 * count - 1;
  if (s == ESPL_OK) *out = q;
  else espl_qnet_free(q);
  return s;
}

espl_status espl_topology_qnet(const espl_topology *t, int32_t first, int32_t count, const espl_machine *m, uint64_t seed, espl_qnet **out, espl_err *err) {
  return make_qnet(t, first, count, m, false, seed, out, err);
}

/* Both bodies on the same memory; the RTL's result stays in out. */
static espl_status compare(const espl_program *p, const espl_qnet *q, const int8_t *input, const espl_trace *trace, espl_err *err) {
  uint8_t *a = espl_calloc(p->mem_bytes, 1), *b = espl_calloc(p->mem_bytes, 1);
  espl_run_result ra = {0}, rb = {0};
  espl_machine m = p->machine;
  m.mem_bytes = p->mem_bytes;
  espl_status s = a && b ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "topology %s: out of memory", q->name);
  if (s == ESPL_OK) s = espl_program_run(p, q, ESPL_ENGINE_MODEL, input, NULL, a, &ra, err);
  if (s == ESPL_OK) s = espl_program_run(p, q, ESPL_ENGINE_RTL, input, trace, b, &rb, err);
  if (s == ESPL_OK) s = espl_device_compare(&m, &ra, a, "model", &rb, b, "rtl", err);
  free(a);
  free(b);
  espl_run_result_clear(&ra);
  espl_run_result_clear(&rb);
  return s;
}

/* The machine counts a layer in 32 bits; of a layer alone the sums are known in 64. */
static void widen(const espl_program *p, espl_sim_result *r) {
  espl_sim_layer *l = &r->layer[0];
  l->macs = p->layer[0].macs;
  l->macs_dense = p->layer[0].macs_dense;
  l->utilization = (double)l->macs / ((double)p->machine.rows * p->machine.cols * (double)l->cycles);
}

static espl_status run_bodies(const espl_qnet *q, const espl_machine *m, espl_topo_engine engine, uint64_t seed, const espl_trace *trace, espl_sim_result *r, espl_err *err) {
  espl_program *p = NULL;
  ESPL_TRY(espl_map_network(q, m, &p, err));
  int64_t n = espl_shape_elems(q->tensor[0].shape);
  int8_t *input = espl_calloc((size_t)n, 1);
  espl_status s = input ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "topology %s: out of memory", q->name);
  for (int64_t i = 0; s == ESPL_OK && i < n; i++) input[i] = (int8_t)(uint8_t)espl_rng_u64(seed, 0x746f706fu, (uint64_t)i);
  if (s == ESPL_OK && engine == ESPL_TOPO_BOTH) s = compare(p, q, input, trace, err);
  if (s == ESPL_OK) s = espl_simulate(p, q, engine == ESPL_TOPO_RTL ? ESPL_ENGINE_RTL : ESPL_ENGINE_TIMING, input, engine == ESPL_TOPO_RTL ? trace : NULL, r, err);
  if (s == ESPL_OK) widen(p, r);
  free(input);
  espl_program_free(p);
  return s;
}

static espl_status run_layer(const espl_qnet *q, const espl_machine *m, espl_topo_engine engine, uint64_t seed, const espl_trace *trace, espl_sim_result *r, espl_err *err) {
  if (engine == ESPL_TOPO_TIMING) ESPL_TRY(map_time_network(q, m, true, r, err));
  else ESPL_TRY(run_bodies(q, m, engine, seed, trace, r, err));
  if (r->raw.cycles <= UINT32_MAX) return ESPL_OK;
  return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: takes %llu cycles, the machine's counters hold 32 bits", q->layer[0].name, (unsigned long long)r->raw.cycles);
}

static void add(espl_sim_layer *t, const espl_sim_layer *l) {
  uint64_t *to[] = {&t->cycles, &t->macs, &t->macs_dense, &t->busy, &t->idle, &t->read_bytes, &t->write_bytes, &t->tiles, &t->tiles_skipped, &t->bus, &t->roof_cycles};
  const uint64_t from[] = {l->cycles, l->macs, l->macs_dense, l->busy, l->idle, l->read_bytes, l->write_bytes, l->tiles, l->tiles_skipped, l->bus, l->roof_cycles};
  for (size_t i = 0; i < sizeof from / sizeof *from; i++) *to[i] += from[i];
  for (int i = 0; i < 6; i++) t->stall[i] += l->stall[i];
}

static bool same_shape(const espl_topo_layer *a, const espl_topo_layer *b) {
  return a->gemm == b->gemm && a->depthwise == b->depthwise && a->h == b->h && a->w == b->w && a->r == b->r && a->s == b->s && a->c == b->c && a->m == b->m &&
         a->stride == b->stride && a->pt == b->pt && a->pl == b->pl && a->pb == b->pb && a->pr == b->pr && a->sparse_n == b->sparse_n && a->sparse_m == b->sparse_m &&
         a->gm == b->gm && a->gn == b->gn && a->gk == b->gk;
}

/* An earlier layer with the same timing, or i. Timing depends on shapes and on which weights are zero, never on other values; layers of one
 * network repeat within a few dozen rows, so no longer search is worth it. */
static int32_t twin(const espl_topology *t, int32_t i) {
  for (int32_t k = i - 1; k >= 0 && k >= i - 64; k--)
    if (same_shape(&t->layer[k], &t->layer[i])) return k;
  return i;
}

/* Layer i alone; *mark: cycles of no layer, from the start write to the end of its MARK, *end: from there to the interrupt (a constant of the machine). */
static espl_status simulate_layer(const espl_topology *t, int32_t i, const espl_machine *m, espl_topo_engine engine, uint64_t seed, const espl_trace *trace, espl_sim_layer *out,
                                  uint64_t *mark, uint64_t *end, espl_err *err) {
  espl_qnet *q = NULL;
  espl_sim_result r = {0};
  ESPL_TRY(espl_interrupt_check(err));
  ESPL_TRY(make_qnet(t, i, 1, m, engine == ESPL_TOPO_TIMING, seed, &q, err));
  espl_status s = run_layer(q, m, engine, seed, trace, &r, err);
  if (s == ESPL_OK) {
    *out = r.layer[0];
    *end = (uint64_t)r.raw.counter[ESPL_CNT_CYCLES] + 1;
    *mark = r.overhead - *end;
  }
  espl_sim_result_clear(&r);
  espl_qnet_free(q);
  return s;
}

static void finish(const espl_machine *m, espl_sim_result *r) {
  espl_sim_layer *t = &r->total;
  snprintf(t->name, sizeof t->name, "total");
  t->cycles += r->overhead;
  double c = (double)t->cycles;
  t->utilization = c > 0 ? (double)t->macs / ((double)m->rows * m->cols * c) : 0;
  t->roof_fraction = c > 0 ? (double)t->roof_cycles / c : 0;
}

espl_status espl_topology_simulate(const espl_topology *t, const espl_machine *m, espl_topo_engine engine, uint64_t seed, const espl_trace *trace, espl_sim_result *out,
                                   espl_err *err) {
  *out = (espl_sim_result){0};
  if (trace && t->layers != 1) return espl_fail(err, ESPL_E_INPUT, "topology %s: a trace needs a table of one layer, found %d", t->name, (int)t->layers);
  out->layer = espl_calloc((size_t)t->layers, sizeof *out->layer);
  uint64_t *mark = espl_calloc((size_t)t->layers, sizeof *mark), start = 0, end = 0;
  espl_status s = out->layer && mark ? map_start_cycles(m, &start, err) : espl_fail(err, ESPL_E_NOMEM, "topology %s: out of memory", t->name);
  for (int32_t i = 0; s == ESPL_OK && i < t->layers; i++) {
    int32_t k = engine == ESPL_TOPO_TIMING ? twin(t, i) : i;
    if (k < i) {
      out->layer[i] = out->layer[k];
      mark[i] = mark[k];
      snprintf(out->layer[i].name, sizeof out->layer[i].name, "%s", t->layer[i].name);
    } else {
      s = simulate_layer(t, i, m, engine, seed, trace, &out->layer[i], &mark[i], &end, err);
      if (s != ESPL_OK) s = espl_fail_context(err, "topology %s, line %d", t->name, (int)t->layer[i].line);
    }
    add(&out->total, &out->layer[i]);
    out->overhead += mark[i] - start; /* one start for all */
    out->layers = i + 1;
  }
  free(mark);
  out->overhead += start + end;
  if (s == ESPL_OK) finish(m, out);
  else espl_sim_result_clear(out);
  return s;
}
