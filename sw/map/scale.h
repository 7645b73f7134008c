/* SCALE-Sim's published closed form, for comparison: compute cycles, utilizations and SRAM accesses of a layer on an R x C array.
 *
 * A layer is the product of M x K and K x N (output size by its ceil rule). On the array lie Sr x Sc values, T stream past:
 *   ws: Sr = K, Sc = N, T = M      is: Sr = K, Sc = M, T = N      os: Sr = M, Sc = N, T = K
 *   folds F = ceil(Sr/R) * ceil(Sc/C), one after the other; fold length L = 2R + C + T - 2 (ws, is) or R + C + T - 2 (os)
 *   cycles = F*L - 1: the index of the last cycle, which is what it reports
 *   mapping efficiency = Sr*Sc / (F*R*C); overall utilization = M*N*K / (cycles*R*C)
 *   compute utilization = Sr*Sc*T / (F*R*C*L'), L' = L for os and L + C - 1 for ws and is (it counts the skew a second time)
 * N:M sparsity (ws only) keeps N of every M rows of the filter matrix: K becomes floor(K/M)*N + min(K mod M, N) everywhere but in the overall
 * utilization. These numbers are that program's, with its habits; docs/scale-sim.md says where an array differs. */
#ifndef ESPL_MAP_SCALE_H
#define ESPL_MAP_SCALE_H

#include "map/topology.h"

typedef enum espl_scale_dataflow { ESPL_SCALE_WS, ESPL_SCALE_OS, ESPL_SCALE_IS } espl_scale_dataflow;

typedef struct espl_scale_array {
  int32_t rows, cols;
  espl_scale_dataflow dataflow;
  bool sparsity;                /* use the N:M column */
} espl_scale_array;

typedef struct espl_scale_access {
  /* First and last cycle as it numbers them: reads from 1, writes from 0. stop is -1 for inputs whose last window hangs over the edge (the
   * ceil rule): it reads nothing there, and which access is the last depends on the shape of the window. */
  int64_t start, stop;
  double count;                 /* words; a fraction only for inputs of a sparse layer */
} espl_scale_access;

typedef struct espl_scale_result {
  int64_t folds, fold_cycles, cycles, macs;
  double overall, mapping, compute; /* percent */
  espl_scale_access ifmap, filter, ofmap;
} espl_scale_result;

/* One layer; of a depthwise layer one channel. E_UNSUPPORTED: sparsity with another dataflow than ws; more than 2^53 cycles, or one. */
espl_status espl_scale_layer(const espl_topo_layer *l, const espl_scale_array *a, espl_scale_result *out, espl_err *err) ESPL_MUST_CHECK;

/* COMPUTE_REPORT.csv, BANDWIDTH_REPORT.csv and DETAILED_ACCESS_REPORT.csv in SCALE-Sim's columns, into a folder that is made when missing.
 * A depthwise layer takes a row for each channel. Columns that depend on its DRAM model hold "n/a". */
espl_status espl_scale_report(const espl_topology *t, const espl_scale_array *a, const char *dir, espl_err *err) ESPL_MUST_CHECK;

typedef struct espl_scale_config {
  espl_scale_array array;
  int64_t sram_kb[3];           /* IFMAP, filter, OFMAP; the closed form does not depend on them */
  char missing[64];             /* sections that SCALE-Sim needs and the file lacks, "layout sparsity"; empty when none */
} espl_scale_config;

/* Its .cfg: [section], key : value or key = value, keys in any case, unknown ones ignored. E_INPUT with file:line for a broken line or value, a
 * missing [architecture_presets] or key in it; E_UNSUPPORTED for InterfaceBandwidth USER and OptimizedMapping, which have no closed form. */
espl_status espl_scale_config_parse(const char *file, const char *text, size_t n, espl_scale_config *out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_scale_config_load(const char *path, espl_scale_config *out, espl_err *err) ESPL_MUST_CHECK;
#endif
