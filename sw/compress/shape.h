/* The two other shapes of compression: R x C weight tiles set to zero, and kernels that lose outer rows and columns.
 *
 * Weights of CONV [O,I,KH,KW] and GEMM [O,I] are seen as [O][I][T], T taps; a GEMM behind a FLATTEN of [C,h,w] has I = C, T = h*w,
 * because that is how the machine runs it. A tile is (output block of C, input block of R, tap). */
#ifndef ESPL_COMPRESS_SHAPE_H
#define ESPL_COMPRESS_SHAPE_H

#include "compress/saliency.h"

typedef struct espl_tiles {
  int32_t node, rows, cols;              /* R (inputs), C (outputs) of a tile */
  int32_t out_c, in_c, taps;             /* O, I, T */
  int32_t out_blocks, in_blocks, tiles;  /* tiles = out_blocks * in_blocks * taps; tile index = (ob * in_blocks + ib) * taps + t */
} espl_tiles;
/* E_UNSUPPORTED for a node without weights or with groups. */
espl_status espl_tiles_of(const espl_graph *g, int32_t node, int32_t rows, int32_t cols, espl_tiles *out, espl_err *err) ESPL_MUST_CHECK;
/* importance[tiles]: sum of the weights' saliency over each tile. */
void espl_tile_importance(const espl_tiles *t, const double *weight_saliency, double *importance);
/* Masks the tiles whose keep flag is 0 (mask and values become zero); keep [tiles]. */
espl_status espl_mask_tiles(espl_graph *g, const espl_tiles *t, const uint8_t *keep, espl_err *err) ESPL_MUST_CHECK;

/* Rows and columns taken off a kernel. */
typedef struct espl_kernel_cut {
  int32_t top, bottom, left, right;
} espl_kernel_cut;
/* Whether the cut leaves a kernel and padding >= 0 (a cut deeper than the padding would crop the input: not allowed). */
bool espl_kernel_cut_allowed(const espl_node *n, espl_kernel_cut cut);
/* Saliency of the weights a cut would remove. */
double espl_kernel_cut_loss(const espl_graph *g, int32_t node, espl_kernel_cut cut, const double *weight_saliency);
/* In place: smaller kernel, padding smaller by dilation per row or column; output size and, for zero weights, output unchanged. */
espl_status espl_cut_kernel(espl_graph *g, int32_t node, espl_kernel_cut cut, espl_err *err) ESPL_MUST_CHECK;
/* The same removal as zeros (for checking). */
void espl_mask_kernel(espl_graph *g, int32_t node, espl_kernel_cut cut);

/* Largest |difference| of two graphs' outputs over the first `images` of a set, and the largest |output| of `a`. */
espl_status espl_compare_outputs(espl_graph *a, espl_graph *b, const espl_dataset *d, const espl_preprocess *pp, int32_t images, double *max_diff,
                                 double *max_abs, espl_err *err) ESPL_MUST_CHECK;
#endif
