/* The closed form of one layer. */
#include "map/scale.h"

static int64_t div_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/* Values in the last of the folds that cover n by steps of `by`. */
static int64_t last_part(int64_t n, int64_t by) { return n - (div_up(n, by) - 1) * by; }

static int64_t first_part(int64_t n, int64_t by) { return n < by ? n : by; }

static int64_t kept_rows(const espl_topo_layer *l) {
  int64_t rest = l->gk % l->sparse_m;
  return l->gk / l->sparse_m * l->sparse_n + (rest < l->sparse_n ? rest : l->sparse_n);
}

/* Accesses when Sr x Sc values are loaded first (from the last row up) and T rows stream past: weight and input stationary. */
static void stationary(const espl_scale_array *a, int64_t sr, int64_t sc, int64_t t, const espl_scale_result *r, espl_scale_access *held, espl_scale_access *streamed,
                       espl_scale_access *written) {
  int64_t last = (r->folds - 1) * r->fold_cycles;
  held->start = a->rows - first_part(sr, a->rows) + 1;
  held->stop = last + a->rows;
  held->count = (double)(sr * sc);
  streamed->start = a->rows + 1;
  streamed->stop = last + a->rows + t + last_part(sr, a->rows) - 1;
  streamed->count = (double)(sr * t * div_up(sc, a->cols));
  written->start = 2 * (int64_t)a->rows - 1;
  written->stop = last + 2 * (int64_t)a->rows + t + last_part(sc, a->cols) - 3;
  written->count = (double)(sc * t * div_up(sr, a->rows));
}

/* Output stationary: both operands stream, skewed; the count of writes has one of each edge too many in every fold. */
static void output_stationary(const espl_scale_array *a, int64_t m, int64_t n, int64_t k, espl_scale_result *r) {
  int64_t last = (r->folds - 1) * r->fold_cycles;
  r->ifmap = (espl_scale_access){1, last + k + last_part(m, a->rows) - 1, (double)(m * k * div_up(n, a->cols))};
  r->filter = (espl_scale_access){1, last + k + last_part(n, a->cols) - 1, (double)(k * n * div_up(m, a->rows))};
  r->ofmap = (espl_scale_access){k - 1 + a->rows - first_part(m, a->rows), last + k + a->rows + last_part(n, a->cols) - 3,
                                 (double)(m * n + r->folds * ((int64_t)a->rows + a->cols))};
}

espl_status espl_scale_layer(const espl_topo_layer *l, const espl_scale_array *a, espl_scale_result *out, espl_err *err) {
  bool sparse = a->sparsity && l->sparse_n < l->sparse_m;
  if (sparse && a->dataflow != ESPL_SCALE_WS)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "line %d: layer %s: sparsity %d:%d is defined for the dataflow ws only", (int)l->line, l->name, (int)l->sparse_n, (int)l->sparse_m);
  int64_t m = l->gm, n = l->gn, k = sparse ? kept_rows(l) : l->gk;
  const int64_t by_flow[3][3] = {{k, n, m}, {m, n, k}, {k, m, n}};
  int64_t sr = by_flow[a->dataflow][0], sc = by_flow[a->dataflow][1], t = by_flow[a->dataflow][2];
  bool os = a->dataflow == ESPL_SCALE_OS;
  espl_scale_result r = {.macs = m * n * l->gk};
  int64_t all, most = ((int64_t)1 << 53) / (l->depthwise ? l->c : 1);
  r.fold_cycles = (os ? 1 : 2) * (int64_t)a->rows + a->cols + t - 2;
  if (__builtin_mul_overflow(div_up(sr, a->rows), div_up(sc, a->cols), &r.folds) || __builtin_mul_overflow(r.folds, r.fold_cycles, &all) || all > most)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "line %d: layer %s: more than 2^53 cycles", (int)l->line, l->name);
  if (all == 1) return espl_fail(err, ESPL_E_UNSUPPORTED, "line %d: layer %s: one cycle, which is reported as 0 and leaves the utilization undefined", (int)l->line, l->name);
  r.cycles = all - 1;
  double pes = (double)a->rows * a->cols, used = (double)sr * (double)sc / ((double)r.folds * pes);
  r.overall = 100.0 * (double)r.macs / ((double)r.cycles * pes);
  r.mapping = 100.0 * used;
  r.compute = 100.0 * used * (double)t / (double)(r.fold_cycles + (os ? 0 : a->cols - 1));
  if (os) output_stationary(a, m, n, k, &r);
  else if (a->dataflow == ESPL_SCALE_WS) stationary(a, sr, sc, t, &r, &r.filter, &r.ifmap, &r.ofmap);
  else stationary(a, sr, sc, t, &r, &r.ifmap, &r.filter, &r.ofmap);
  bool overhang = !l->gemm && ((l->h + l->pt + l->pb - l->r) % l->stride != 0 || (l->w + l->pl + l->pr - l->s) % l->stride != 0);
  if (overhang) r.ifmap.stop = -1;
  if (sparse) r.ifmap.count = r.ifmap.count * l->sparse_m / l->sparse_n;
  *out = r;
  return ESPL_OK;
}
