/* A sweep: every network of a list on every machine of a list, exact cycles from the timing model, kept in a store.
 *
 * Nouns: a POINT is one machine, named in configs/machines or made from a base by overriding parameters; a CELL is one network on one point.
 * Cycles do not depend on weights or images, so networks are quantized with ranges of a seeded random input.
 *
 * Laws
 *   1. A cell is known by the content hash of network, machine and memory timing; a cell that the store knows is not computed again, whichever
 *      sweep asked for it first.
 *   2. A machine that is illegal, or too small for the network, is a result: the cell is recorded as refused with the reason.
 *   3. Cells are stored one by one: killed or interrupted, the same call goes on where it stopped. */
#ifndef ESPL_STEER_SWEEP_H
#define ESPL_STEER_SWEEP_H

#include "base/progress.h"
#include "map/map.h"
#include "store/store.h"

#define ESPL_SWEEP_NAME 160

typedef struct espl_sweep_point {
  char name[ESPL_SWEEP_NAME]; /* "8x8", or "16x16 rows=8 cols=8"; unique in the sweep */
  espl_machine machine;       /* not checked */
} espl_sweep_point;

typedef struct espl_sweep_net {
  char name[ESPL_SWEEP_NAME]; /* as the file says it; unique in the sweep */
  char hash[ESPL_HASH_HEX];   /* of the ONNX file, or of everything the own network is built from */
  espl_graph *g;
} espl_sweep_net;

typedef struct espl_sweep {
  char name[64];
  char board[64]; /* whose area and clock are wanted beside the cycles; empty: none */
  uint64_t seed;
  espl_machine base;
  int32_t points, nets;
  espl_sweep_point *point;
  espl_sweep_net *net;
} espl_sweep;

/* Study file (folder configs/studies):
 *   name: machines
 *   networks: [resnet8, net.onnx]     # names of own networks get seeded weights; a file has an ending ".onnx"
 *   image: [3, 32, 32]                # own networks: input and outputs (this is the default)
 *   classes: 10
 *   seed: 1
 *   board: ulx3s                      # estimates of area and clock on it (espalier cost), optional
 *   machines: [8x8, 16x16]            # points as they are: names in configs/machines, or files
 *   base: 16x16                       # what `grid` starts from
 *   grid:                             # every combination of the values; a list of such maps is their union
 *     rows: [8, 16]
 *     read_latency: 100
 * Keys of `grid` are the structural parameters and bytes, read_latency, write_latency, num, den, outstanding, shared_path of the memory.
 * seed: instead of the file's, or NULL. E_INPUT with file:line:column.
 * At most 10,000 points. */
espl_status espl_sweep_load(const char *path, const uint64_t *seed, espl_sweep **out, espl_err *err) ESPL_MUST_CHECK;
void espl_sweep_free(espl_sweep *w); /* NULL is allowed */

typedef struct espl_sweep_counts {
  int32_t computed, known, refused; /* known: found in the store; refused: of all cells */
} espl_sweep_counts;

/* `jobs` threads (1..64). *run names the run in the store; its variants are the cells. E_INTERRUPTED after Ctrl-C. */
espl_status espl_sweep_run(const espl_sweep *w, const char *command, int jobs, espl_store *store, espl_progress *progress, int64_t *run, espl_sweep_counts *counts,
                           espl_err *err) ESPL_MUST_CHECK;
/* Name of a cell's variant in the run. */
void espl_sweep_cell_name(const espl_sweep *w, int32_t net, int32_t point, char name[2 * ESPL_SWEEP_NAME + 4]);
#endif
