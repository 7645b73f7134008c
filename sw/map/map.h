/* The mapper: an integer network and a machine point in, one program with its memory image layout out.
 * Any layer size by tiling (output rows, output columns, column blocks, channel-block ranges of the reduction) and double buffering;
 * what cannot be mapped is refused with the reason and the number of bytes it would need. */
#ifndef ESPL_MAP_MAP_H
#define ESPL_MAP_MAP_H

#include "device/device.h"
#include "quant/qnet.h"

/* Where a tensor lives in memory: for each image [C/G][H][W][G], group planes padded to a multiple of the bus width; or folded. */
typedef struct espl_map_tensor {
  uint32_t addr, row_bytes, plane_bytes, image_bytes, bytes; /* bytes: of all images; image_bytes: from one to the next */
  bool folded;                 /* [H][W][4], rows of row_bytes */
} espl_map_tensor;

typedef struct espl_map_layer {
  int32_t qlayer;              /* index in the qnet */
  uint32_t prog_addr, record_addr;
  uint64_t macs, macs_dense;
  int64_t tiles, tiles_skipped;
  /* Roof (MACHINE.md): from the layer alone. */
  int64_t roof_compute, roof_read, roof_write, roof_cycles;
  int32_t tile_h, tile_w;      /* output tile chosen */
  char choice[160];            /* why: "rows 8 of 32, dense, weights streamed" */
} espl_map_layer;

typedef struct espl_program {
  espl_machine machine;
  int32_t images;              /* that one run takes */
  uint32_t prog_addr, prog_bytes, mem_bytes; /* mem_bytes: memory used, <= machine.mem_bytes */
  uint32_t tensor_bytes;       /* of it: tensors, those that live one after the other in the same place */
  uint64_t tensor_bytes_apart; /* what they would take side by side */
  uint8_t *image;              /* [mem_bytes] program, weights, parameters, index; activations zero; owned */
  int32_t tensors, layers;
  espl_map_tensor *tensor;     /* by qnet tensor id */
  espl_map_layer *layer;
} espl_program;

typedef struct espl_map_config {
  int32_t images;              /* images of a run, all in one program; 0: 1 */
  bool keep;                   /* every tensor keeps its memory: all of them can be read after a run */
} espl_map_config;

/* cfg NULL: tensors share memory when their lives do not meet. */
espl_status espl_map_build(const espl_qnet *q, const espl_machine *m, const espl_map_config *cfg, espl_program **out, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_map_network(const espl_qnet *q, const espl_machine *m, espl_program **out, espl_err *err) ESPL_MUST_CHECK;
void espl_program_free(espl_program *p);
/* int8 [images,c,h,w] <-> memory image of tensor t (channel tails get the zero point). */
void espl_program_put_tensor(const espl_program *p, const espl_qnet *q, int32_t tensor, const int8_t *nchw, uint8_t *memory);
void espl_program_get_tensor(const espl_program *p, const espl_qnet *q, int32_t tensor, const uint8_t *memory, int8_t *nchw);

typedef enum espl_engine { ESPL_ENGINE_TIMING, ESPL_ENGINE_MODEL, ESPL_ENGINE_RTL } espl_engine;

/* Result of one layer or of the whole network, in the terms of `espalier sim --json`. */
typedef struct espl_sim_layer {
  char name[96];
  uint64_t cycles, macs, macs_dense, busy, idle, read_bytes, write_bytes, tiles, tiles_skipped, bus, roof_cycles;
  uint64_t stall[6];           /* load, store, bank, weights, fill, full */
  double utilization, roof_fraction;
} espl_sim_layer;
typedef struct espl_sim_result {
  int32_t layers;
  espl_sim_layer *layer;       /* owned */
  espl_sim_layer total;        /* cycles include overhead */
  uint64_t overhead;           /* cycles that belong to no layer: a constant of the machine */
  int8_t *logits;              /* [images,classes]; NULL for the timing engine */
  espl_run_result raw;
} espl_sim_result;
void espl_sim_result_clear(espl_sim_result *r);
/* Runs a mapped network on one body. input int8 [images,c,h,w] (NULL: zero point; ignored by the timing engine). */
espl_status espl_simulate(const espl_program *p, const espl_qnet *q, espl_engine engine, const int8_t *input, const espl_trace *trace,
                          espl_sim_result *out, espl_err *err) ESPL_MUST_CHECK;

/* The same with the memory kept: memory [p->mem_bytes] receives the image, the input and what the machine writes (NULL allowed for the
 * timing engine); tensors can be read from it with espl_program_get_tensor: the output, with espl_map_config.keep all. hw_status is left to the caller. */
espl_status espl_program_run(const espl_program *p, const espl_qnet *q, espl_engine engine, const int8_t *input, const espl_trace *trace, uint8_t *memory,
                             espl_run_result *out, espl_err *err) ESPL_MUST_CHECK;

/* What espl_map_network and espl_simulate with the timing engine give, in every number, without a program: no memory image is built, equal
 * layers are timed once, and memory does not grow with the weights. Where memory has banks the commands of the whole program are timed in their places. */
espl_status espl_time_network(const espl_qnet *q, const espl_machine *m, espl_sim_result *out, espl_err *err) ESPL_MUST_CHECK;

/* Cycles of one layer alone on a machine (its record), for cost tables. `zero_tiles`: how many of the layer's weight tiles are
 * treated as absent (spread evenly), or -1: as the weights say. */
espl_status espl_layer_cost(const espl_qnet *q, int32_t layer, const espl_machine *m, int32_t zero_tiles, uint64_t *cycles, espl_err *err) ESPL_MUST_CHECK;
#endif
