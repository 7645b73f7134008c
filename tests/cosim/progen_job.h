/* A job: what one output tile needs, as the generator plans it before it writes commands. */
#ifndef ESPL_COSIM_PROGEN_JOB_H
#define ESPL_COSIM_PROGEN_JOB_H

#include "progen_int.h"

#define PG_PARTS_MAX 28
#define PG_TILES_MAX 64

typedef struct pg_job {
  espl_cmd_comp_geom geom;
  espl_cmd_comp_taps taps;
  espl_cmd_compute part[PG_PARTS_MAX];
  int parts;
  bool sparse, credit, flood;
  uint32_t fold;                /* pixels of a word when the tile is folded, else 0 */
  bool dw;                      /* some of its parts are depthwise: the tile is planned for both */
  espl_weight_format weight;
  uint32_t wgt_base, wgt_rows;  /* weight rows of this format that the share has */
  uint32_t entry[PG_TILES_MAX]; /* index entries of sparse tiles */
  uint32_t tiles;
  uint32_t act_lo, act_hi;      /* pixel words read, in every bank */
  uint32_t blocks;              /* channel blocks of the dense walk */
  uint32_t par_base;            /* entry */
  uint32_t groups;              /* drained */
} pg_job;

/* Bounds of one job's share of the buffers: pixel words, bytes of weights, index entries, parameter entries. */
typedef struct pg_share {
  uint32_t act_lo, act_n, wgt_lo, wgt_n, idx_lo, idx_n, par_lo, par_n;
} pg_share;

void pg_plan_job(pg *g, pg_job *j, const pg_share *share, uint32_t budget_cycles);
void pg_load_job(pg *g, const pg_job *j);
void pg_compute_config(pg *g, const pg_job *j);
void pg_compute_part(pg *g, pg_job *j, int part, uint32_t bank);
void pg_store_job(pg *g, const pg_job *j, uint32_t bank, uint32_t budget_cycles);

#endif
