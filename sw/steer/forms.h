/* Budgeted choice of zero weight tiles and of kernel sizes: a multiple-choice knapsack over layers, costs from the timing model.
 * Layers do not influence each other here, so the choice is exact for its options. */
#ifndef ESPL_STEER_FORMS_H
#define ESPL_STEER_FORMS_H

#include "compress/shape.h"
#include "steer/cost.h"
#include "steer/knapsack.h"

/* One entry a layer of the integer network; layers that are not touched have removed = 0 / an empty cut. */
typedef struct espl_tile_choice {
  espl_tiles tiles; /* tiles.tiles = 0 where the layer has no weights */
  int32_t removed;
  uint8_t *keep;    /* [tiles.tiles] */
} espl_tile_choice;

/* Removes the least important tiles of each layer (saliency: weight form), every output block keeping at least one; up to 15/16 of a layer
 * in 16 steps. choice [q->layers], release with espl_tile_choices_clear. E_FAILED when the budget cannot be met. */
espl_status espl_choose_tiles(const espl_graph *g, const espl_saliency *s, const espl_qnet *q, espl_cost_table *table, int64_t budget_cycles,
                              espl_tile_choice *choice, espl_choice *out, espl_err *err) ESPL_MUST_CHECK;
void espl_tile_choices_clear(espl_tile_choice *choice, int32_t layers);

/* cut [q->layers]: outer rows and columns each convolution gives up; of all cuts to one size the least important one is taken. */
espl_status espl_choose_kernels(const espl_graph *g, const espl_saliency *s, const espl_qnet *q, espl_cost_table *table, int64_t budget_cycles,
                                espl_kernel_cut *cut, espl_choice *out, espl_err *err) ESPL_MUST_CHECK;
#endif
