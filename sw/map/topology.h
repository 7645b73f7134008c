/* Layer tables in SCALE-Sim's CSV forms: read, turned into integer layers of the machine, and simulated layer by layer.
 *
 * Two forms. Convolution: name, IFMAP height, IFMAP width, filter height, filter width, channels, filters, stride. GEMM: name, M, N, K
 * (M x K times K x N). The first line is a header and never a layer. Fields are trimmed; lines that are blank or hold only commas are
 * skipped; what stands behind the last comma of a complete row, and columns that have no meaning here, are ignored. Further columns:
 *   N:M sparsity        in the column named "Sparsity", or the first one behind the required ones when it has that form
 *   own extension       columns named "Pad Top", "Pad Left", "Pad Bottom", "Pad Right" (convolution form): zeros around the input
 * A convolution whose name contains "DP" is depthwise: `filters` outputs for each channel.
 * Two output sizes: ours is floor((in + pads - filter)/stride) + 1, SCALE-Sim's is ceil of the same quotient + 1 (`gm` holds the latter).
 * Limits: 16 MiB, 100,000 layers, 64 columns, names of 95 bytes, no control characters. */
#ifndef ESPL_MAP_TOPOLOGY_H
#define ESPL_MAP_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "map/map.h"

typedef enum espl_topo_form { ESPL_TOPO_AUTO, ESPL_TOPO_CONV, ESPL_TOPO_GEMM } espl_topo_form;

typedef struct espl_topo_layer {
  char name[96];
  int32_t line;                 /* of the file, from 1 */
  bool gemm, depthwise;
  int32_t h, w, r, s, c, m, stride;   /* convolution form; a GEMM leaves them 0 */
  int32_t pt, pl, pb, pr;
  int32_t sparse_n, sparse_m;   /* the first n of every m rows of the filter matrix are there; 1:1 is dense */
  int64_t gm, gn, gk;           /* as GEMM by SCALE-Sim's rule; of ONE channel when depthwise (there are c of them) */
} espl_topo_layer;

typedef struct espl_topology {
  char *name;                   /* of the file, without folder and ending */
  espl_topo_form form;
  int32_t layers;
  espl_topo_layer *layer;
} espl_topology;

/* E_INPUT with file:line, what was found and what was expected; E_INPUT when there is no layer. Release with espl_topology_free. */
espl_status espl_topology_parse(const char *file, const char *text, size_t n, espl_topo_form form, espl_topology **out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_topology_load(const char *path, espl_topo_form form, espl_topology **out, espl_err *err) ESPL_MUST_CHECK;
void espl_topology_free(espl_topology *t); /* NULL is allowed */

/* Multiply-accumulates by SCALE-Sim's output size, all channels of a depthwise layer included. */
int64_t espl_topo_macs(const espl_topo_layer *l);
/* Multiply-accumulates as our machine computes the layer (floor). */
int64_t espl_topo_exact_macs(const espl_topo_layer *l);

/* Layers [first, first+count) as integer layers that do not feed each other: layer i reads tensor 2i and writes tensor 2i+1. Weights are
 * odd random int8, as large as accumulators of acc_w bits and weights of w_bits bits allow; rows that the sparsity removes are zero. A GEMM is
 * a 1x1 convolution over M pixels. E_UNSUPPORTED: weights above 1 GiB. Release with espl_qnet_free. */
espl_status espl_topology_qnet(const espl_topology *t, int32_t first, int32_t count, const espl_machine *m, uint64_t seed, espl_qnet **out,
                               espl_err *err) ESPL_MUST_CHECK;

typedef enum espl_topo_engine { ESPL_TOPO_TIMING, ESPL_TOPO_RTL, ESPL_TOPO_BOTH } espl_topo_engine;

/* Every layer alone on the machine, one after the other (memory: that of the largest layer); with TIMING, layers of equal shape once. The
 * total is what one program of all layers takes: their sum, because a barrier separates the layers of a program, and the machine's
 * constants before, between and behind them. BOTH: the C model with values and the RTL on the same random input, compared; E_MISMATCH names
 * the layer. trace (RTL, one layer only): FST file or NULL. out->logits stays NULL. MACs are exact; more than 2^32 cycles of a layer are
 * E_UNSUPPORTED; its other counters are those of the machine, modulo 2^32. */
espl_status espl_topology_simulate(const espl_topology *t, const espl_machine *m, espl_topo_engine engine, uint64_t seed, const espl_trace *trace,
                                   espl_sim_result *out, espl_err *err) ESPL_MUST_CHECK;
#endif
