/* Inside the mapper: a layer seen on a machine (geometry), how to walk it (plan), and the commands of that walk (list).
 *
 * Nouns: a weight *tile* is R input channels x C output channels of one kernel tap; a *channel block* (cb) is R input channels, a
 * *column block* is C output channels; the *stream* of a layer is its present tiles, column block by column block, in walking order;
 * an *item* is one spatial tile of one column block, i.e. one accumulator bank filled and drained; a *segment* is a part of an
 * item's stream that one COMPUTE runs. On a machine with native depthwise the *tile* of a depthwise layer is dw_rows x dw_cols taps of
 * one column block, whose channels are all in one channel block. Buffer rows of an input are *virtual*: with a kernel of one row and a stride only the rows
 * that are touched are loaded (row_step > 1).
 *
 * Ordering law: producer and consumer are two in-order units, so the k-th push of a token counter meets the k-th pop. `map_sync`
 * keeps push and pop positions strictly increasing, so a pop always waits for exactly the command it names or a later one. */
#ifndef ESPL_MAP_MAP_INT_H
#define ESPL_MAP_MAP_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "map/map.h"

#define MAP_PAGE 4096u
/* Cycles of an accumulator's read-modify-write: a pass takes at least so many (hw/spec/units.md). */
#define MAP_ACC_CYCLES 3
#define MAP_DW_CYCLES 16 /* of a depthwise pass */

typedef struct map_tile {
  uint16_t cb;
  uint8_t ky, kx;
} map_tile;

typedef struct map_geom {
  const espl_qnet *q;
  const espl_qlayer *l;
  const espl_machine *m;
  espl_shape in, out;          /* tensors */
  int32_t g, nb, ncb, nco;     /* G, activation banks, channel blocks, column blocks */
  int32_t in_groups, out_groups;
  uint32_t ky_mask, kx_mask;   /* taps present anywhere */
  int32_t nkx, taps;           /* present columns, present rows * present columns */
  bool dw;                     /* native depthwise: masks hold the first rows and columns of the tiles */
  int32_t dw_rows, dw_cols;    /* taps of such a tile; columns in steps of one pixel, so a dilated kernel counts with its gaps */
  int32_t tile_rows;           /* rows of a tile in the weight buffer: R, or the taps of a depthwise tile */
  int32_t tile_bytes;          /* of those rows */
  bool fold;                   /* folded pixels (fold.c): `l` is fold_layer, `in` the real input */
  int32_t fold_kw;             /* the kernel's own columns */
  espl_qlayer fold_layer;      /* its weights are owned */
  bool mean;                   /* sums of an image in blocks (mean.c): `l` is mean_layer, whose parameters are owned */
  espl_qlayer mean_layer;
  int32_t block;               /* channels of a column block: C, or what a depthwise pass takes */
  bool sparse;                 /* tiles through the index buffer */
  espl_weight_format weight;   /* how weights are stored */
  uint8_t code[256];           /* codebook: index of a value (as a byte), and value of an index */
  int8_t table[256];
  int32_t tiles;               /* of the stream */
  int32_t *first;              /* [nco+1] stream position of each column block */
  map_tile *tile;              /* [tiles] */
  uint8_t *zero;               /* [nco] 1: the column block's only tile stands for an empty range (dense machines) */
  int32_t *pairs;              /* [nco*ncb] useful (input, output) channel pairs of a tile; a copy (a layer that counts no MACs) has none */
  int32_t row_step, vrows, vsy; /* virtual rows: input row = v*row_step; stride over virtual rows */
  uint32_t row_bytes, plane_bytes, out_row_bytes, res_row_bytes, out_plane_bytes; /* in memory */
  uint32_t pitch_bytes;        /* of a row's pixels in memory */
  int32_t images;              /* that the layer is walked for, one after the other; 1 when they are stacked (batch.c) */
  bool stacked;                /* `l` is batch_layer: one image whose rows lie image_bytes apart in memory */
  bool woven;                  /* stacked images of one pixel: in the buffer as in memory, the channel blocks of an image side by side */
  int32_t run_rows;            /* buffer rows that lie in a row in memory and are loaded as one run (stacked); else 1 */
  espl_qlayer batch_layer;
  uint32_t in_image, out_image, res_image; /* bytes between the images of a tensor */
  uint32_t in_at, out_at, res_at; /* where the tensors begin behind a 4 KiB line: slices of a concatenation; bursts are cut by address */
  int32_t pitch;               /* pixel words between rows of a resident plane */
  int32_t plane_words;         /* of a resident plane in the buffer, pixel words */
  int64_t resident_words;      /* of the whole input */
  int64_t roof_compute, roof_read, roof_write, roof_cycles;
} map_geom;

/* zero_tiles: -1 as the weights say, else that many tiles count as absent, spread evenly (native depthwise has none absent). Free with map_geom_clear. */
espl_status map_geom_init(map_geom *g, const espl_qnet *q, int32_t layer, const espl_machine *m, int32_t zero_tiles, espl_err *err) ESPL_MUST_CHECK;
/* The same for a batch of images. */
espl_status map_geom_init_batch(map_geom *g, const espl_qnet *q, int32_t layer, const espl_machine *m, int32_t images, int32_t zero_tiles, espl_err *err) ESPL_MUST_CHECK;
void map_geom_clear(map_geom *g);
/* Bytes of a tensor before the one that it is a slice of counts from: 0 for a tensor of its own. */
uint32_t map_slice_offset(const espl_qnet *q, const espl_machine *m, int32_t tensor);
/* Useful multiply-accumulates of tile t of column block `column` for one output pixel. */
int64_t map_geom_tile_macs(const map_geom *g, int32_t column, int32_t t);

/* Native depthwise (depthwise.c). use: decides whether the layer is run so, and sets dw, dw_rows, dw_cols, block and the masks. */
void map_depthwise_use(map_geom *g);
/* Smallest pitch from `least` on, congruent to it modulo the bus, at which kernel rows that are read together do not meet. */
int32_t map_depthwise_pitch(const map_geom *g, int32_t least);
int32_t map_depthwise_bank(const map_geom *g, int32_t column); /* of the column block's first channel */
int32_t map_depthwise_block(const map_geom *g, int32_t column); /* channel block it lies in */
int32_t map_depthwise_taps(const map_geom *g, const map_tile *t); /* kernel taps that the tile multiplies; each tap belongs to one tile */
void map_depthwise_pack(const map_geom *g, int32_t column, const map_tile *t, int8_t *out);

/* Folded first layers (fold.c). tensor: whether a tensor lies in memory as [H][W][4]; pitch: its pixel words a row. use: makes g->l the layer
 * that the rest of the mapper sees. taps: kernel columns that a tile multiplies. */
bool map_fold_tensor(const espl_qnet *q, const espl_machine *m, int32_t tensor);
int32_t map_fold_pitch(const espl_qnet *q, const espl_machine *m, int32_t tensor);
espl_status map_fold_use(map_geom *g, espl_err *err) ESPL_MUST_CHECK;
int32_t map_fold_taps(const map_geom *g, const map_tile *t);

/* Means over images larger than an accumulator bank (mean.c). use: makes g->l the layer of blocks where that is
 * wanted. */
bool map_mean_wanted(const map_geom *g);
espl_status map_mean_use(map_geom *g, espl_err *err) ESPL_MUST_CHECK;

/* Batches (batch.c). use: makes g->l and the extents those of one image of stacked images where the layer allows it. */
void map_batch_use(map_geom *g, int32_t images);
/* Bytes of an image of the tensor (of its whole). */
uint32_t map_image_bytes(const espl_qnet *q, const espl_machine *m, int32_t tensor);

/* Weight tile t of the stream as it is stored: tile_bytes bytes. */
void map_geom_pack_tile(const map_geom *g, int32_t column, int32_t t, uint8_t *out);

typedef struct map_plan {
  bool resident;               /* the whole input stays in the activation buffer */
  bool column_outer;           /* column blocks outside, spatial tiles inside */
  bool image_inner;            /* column blocks outside, images inside (column_outer) */
  int32_t copies;              /* resident: images whose input is held */
  int32_t tile_h, tile_w;      /* output rows and columns of a spatial tile (after pooling) */
  int32_t first_h, last_h, ratio; /* rows of the first and last tile; the last ones shrink by `ratio` */
  int32_t cold_cb;             /* channel blocks of a segment whose activations or weights are not there yet */
  int32_t by_row;              /* resident: 1: as long as rows are missing, a segment is one kernel row and waits for its input rows only */
  int32_t chunk_cb;            /* tiles mode: channel blocks of a slot */
  int32_t slots, slot_words;   /* tiles mode: slots of the activation buffer, pixel words of one */
  int32_t seg_tiles;           /* most tiles of a segment when the weights are streamed */
} map_plan;

/* Candidates, best guess first; *n <= cap. E_UNSUPPORTED says which buffer is too small and what it needs. */
espl_status map_plan_candidates(const map_geom *g, map_plan *out, int cap, int *n, espl_err *err) ESPL_MUST_CHECK;
/* Output rows of the tiles of a column block of an image from top to bottom into h[]; returns how many (<= cap; total <= cap rows). */
int32_t map_plan_rows(const map_geom *g, const map_plan *p, int32_t column, int32_t image, int32_t *h, int32_t cap);

/* Tiles mode: pixel words between rows, and of one channel block, in a slot. */
int32_t map_slot_pitch(const map_geom *g, int32_t tile_w);
int32_t map_slot_plane(const map_geom *g, int32_t tile_h, int32_t tile_w);

/* Convolution rows (or columns) that pooled outputs [a, b) read, clipped to the convolution's output. */
void map_conv_span(int32_t a, int32_t b, int32_t stride, int32_t pad, int32_t win, int32_t limit, bool pooled, int32_t *c0, int32_t *c1);

/* Rows or columns of a spatial tile. */
typedef struct map_span {
  int32_t o0, o1, c0, c1, i0, i1; /* output, convolution, input (virtual rows or columns); half open */
  int32_t useful;                 /* convolution rows or columns that no earlier tile of the walk has computed */
} map_span;
/* Output rows [o0, o1), of which convolution rows before `done` were computed by an earlier tile; columns likewise, `whole`: all of them. */
map_span map_row_span(const map_geom *g, int32_t o0, int32_t o1, int32_t done);
/* Resident rows from the top that kernel row ky of such a tile reads: 0 when all of them are padding. */
int32_t map_rows_read(const map_geom *g, const map_span *y, int32_t ky);
map_span map_col_span(const map_geom *g, int32_t o0, int32_t o1, int32_t done, bool whole);

/* One command being built; words are encoded at the end because pushes are set later. */
typedef struct map_cmd {
  uint8_t unit;                /* espl_unit; 0: MARK or END, already in `word` */
  bool cfg;                    /* `word` is final */
  union {
    espl_cmd_load load;
    espl_cmd_compute compute;
    espl_cmd_store store;
    uint32_t word[4];
  } u;
} map_cmd;

typedef enum map_token { MAP_LC, MAP_CL, MAP_LS, MAP_SL, MAP_TOKENS } map_token;

typedef struct map_sync {
  int32_t n, cap;
  int32_t *push, *pop;         /* list positions, both increasing */
} map_sync;

typedef struct map_list {
  map_cmd *cmd;
  int32_t n, cap;
  int32_t token_max;
  map_sync sync[MAP_TOKENS];
  uint32_t cfg[4][8][4];       /* last word sent, by unit and index */
  bool cfg_sent[4][8];
  espl_status bad;             /* first failure of an append */
} map_list;

void map_list_init(map_list *l, int32_t token_max);
void map_list_clear(map_list *l);
int32_t map_list_add(map_list *l, const map_cmd *c); /* position; -1 after a failure (l->bad) */
void map_list_cfg(map_list *l, const uint32_t word[4]); /* left out when the unit already holds it */
/* The consumer at the end of the list (position l->n, to be added next) must not start before `producer` has finished. Returns 1 when
 * the consumer has to pop a token, 0 when it is ordered already. producer -1: nothing to wait for. */
uint32_t map_list_wait(map_list *l, map_token tok, int32_t producer);
/* 16 bytes a command, in list order. */
void map_list_encode(const map_list *l, uint8_t *out);

/* Tiles of rows x bytes in all that the weight buffer holds, as far as a command can name them (weights.c). */
int32_t map_weight_slots(const espl_machine *m, int32_t tile_rows, int32_t tile_bytes);
/* A tile lies in the buffer at its place in the stream modulo so many tiles: bytes keep their address modulo the bus width. */
int32_t map_weight_unit(const espl_machine *m, int32_t tile_bytes);
/* The buffer has room for a tile at every such place. */
bool map_weight_fits(const espl_machine *m, int32_t tile_rows, int32_t tile_bytes);
/* Format of the layer's weights (weights.c); E_UNSUPPORTED when the machine has none that holds them. */
espl_status map_weight_choose(map_geom *g, espl_err *err) ESPL_MUST_CHECK;
/* C values of a weight row -> its ROW bytes. */
void map_weight_pack(const map_geom *g, const int8_t *values, uint8_t *row);
/* Configuration of the format, for machines built with more than one: before the layer's first load of weights, before its first COMPUTE. */
void map_weight_load_cfg(const map_geom *g, map_list *l);
void map_weight_compute_cfg(const map_geom *g, map_list *l);

/* Addresses of one layer. */
typedef struct map_place {
  uint32_t in, out, res, weights, params, index, record;
} map_place;

/* Appends the layer's commands, MARK included. *macs and *macs_dense receive the sums over its COMPUTE commands. */
espl_status map_emit_layer(const map_geom *g, const map_plan *p, const map_place *at, map_list *l, uint64_t *macs, uint64_t *macs_dense,
                           espl_err *err) ESPL_MUST_CHECK;

/* What the timing model says of a layer alone, which is what it takes in any network. */
typedef struct map_measured {
  uint32_t counter[ESPL_CNT_COUNT]; /* the record of its MARK */
  uint32_t end[ESPL_CNT_COUNT];     /* counters from that MARK to the end of the program: the same after every layer */
  uint64_t around_cycles;           /* those of no layer in a run of this layer alone: its start and its MARK */
  int32_t commands;                 /* MARK included */
  uint64_t macs, macs_dense;        /* in 64 bits */
} map_measured;

espl_status map_measure(const map_geom *g, const map_plan *p, map_measured *out, espl_err *err) ESPL_MUST_CHECK;
/* Cycles between the start write and the first layer's first cycle: a constant of the machine. */
espl_status map_start_cycles(const espl_machine *machine, uint64_t *cycles, espl_err *err) ESPL_MUST_CHECK;

/* Working memory of estimates, for one layer. */
typedef struct map_estimator map_estimator;
map_estimator *map_estimator_new(const map_geom *g); /* NULL: out of memory */
void map_estimator_free(map_estimator *e);
/* Cycles of a plan to within a few percent, hundreds of times faster than map_measure (estimate.c). */
double map_estimate(map_estimator *e, const map_plan *p);

/* A plan with few cycles, and what it takes. */
espl_status map_choose(const map_geom *g, map_plan *best, map_measured *cost, espl_err *err) ESPL_MUST_CHECK;
/* The same by measuring every plan that is looked at: the yardstick of map_choose. */
espl_status map_choose_full(const map_geom *g, map_plan *best, map_measured *cost, espl_err *err) ESPL_MUST_CHECK;

/* A network on its way to a program: layers planned and measured, everything placed in memory. */
typedef struct map_net {
  const espl_qnet *q;
  const espl_machine *m;
  espl_map_config cfg;
  espl_program *p;
  map_geom *geom;              /* [layers] */
  map_plan *plan;
  map_measured *cost;
  map_place *place;            /* tensors and records included */
  uint32_t records;            /* of the layers, 256 bytes each */
  uint32_t end_addr;           /* the page of END */
  uint64_t end;                /* bytes of memory given out */
} map_net;

/* Fills everything but p->image; equal layers are planned once. Release with map_net_clear, also after a failure; it frees p unless it was
 * taken (set to NULL). */
espl_status map_net_plan(const espl_qnet *q, const espl_machine *m, const espl_map_config *cfg, map_net *n, espl_err *err) ESPL_MUST_CHECK;
void map_net_clear(map_net *n);

/* What a layer brings along that no layer writes: address to be filled in, bytes. */
typedef struct map_part {
  uint32_t *addr;
  uint64_t bytes;
} map_part;
/* Those of layer i; returns how many. */
int map_net_parts(map_net *n, int32_t i, map_part out[3]);
/* The next `bytes` of memory, from n->end on; the end becomes a multiple of `unit`. */
espl_status map_net_take(map_net *n, uint64_t bytes, uint32_t unit, uint32_t *addr, espl_err *err) ESPL_MUST_CHECK;
/* All tensors in one region from n->end on, each at a multiple of `unit` from its start. */
espl_status map_net_place_tensors(map_net *n, uint32_t unit, espl_err *err) ESPL_MUST_CHECK;
/* Everything placed anew, from 0, without gaps: the tails of the program's lines are used too, and parts start at multiples of 256 bytes. */
espl_status map_net_place_tight(map_net *n, espl_err *err) ESPL_MUST_CHECK;
/* p->image with the commands of all layers in it, and nothing else: all that the timing model reads. */
espl_status map_net_commands(const map_net *n, espl_err *err) ESPL_MUST_CHECK;
/* espl_time_network; `wide`: MACs in 64 bits instead of the machine's 32. */
espl_status map_time_network(const espl_qnet *q, const espl_machine *m, bool wide, espl_sim_result *out, espl_err *err) ESPL_MUST_CHECK;
/* Names, roofs, sums and ratios of a finished result whose `raw` is filled. */
espl_status map_summarize(const espl_program *p, const espl_qnet *q, espl_sim_result *out, espl_err *err) ESPL_MUST_CHECK;

/* Offsets of tensors whose bytes (multiples of a page; 0: a slice of another one) are given, in one region of *total bytes. keep: every tensor keeps
 * its place to the end. */
espl_status map_memory_place(const espl_qnet *q, const uint64_t *bytes, bool keep, uint64_t *at, uint64_t *total, espl_err *err) ESPL_MUST_CHECK;

static inline int32_t map_div_up(int32_t a, int32_t b) { return (a + b - 1) / b; }
static inline uint32_t map_align(uint32_t a, uint32_t to) { return (a + to - 1) / to * to; }
static inline int32_t map_min(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t map_max(int32_t a, int32_t b) { return a > b ? a : b; }

#endif
