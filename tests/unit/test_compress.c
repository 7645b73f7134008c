/* Channel units, slimming, tiles and kernel cuts. Expectation: a removed structure and the same structure set to zero compute the same
 * function; counts are worked out by hand from the network definitions. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "compress/shape.h"
#include "graph/zoo.h"
#include "nn_graphs.h"

static espl_graph *resnet8(void) {
  espl_graph *g = NULL;
  cr_assert_eq(espl_zoo_resnet8((espl_shape){3, 32, 32}, 10, 1, &g, &err), ESPL_OK, "%s", err.msg);
  for (int32_t id = 0; id < g->nodes; id++) /* statistics and affine parameters that matter */
    for (int k = ESPL_PARAM_GAMMA; k < ESPL_PARAM_COUNT; k++)
      for (int64_t i = 0; g->node[id].param[k] && i < g->node[id].param[k]->elems; i++)
        g->node[id].param[k]->value[i] = 0.5f + espl_rng_unit(7, (uint64_t)(id * 8 + k), (uint64_t)i);
  return g;
}

static double difference(espl_graph *a, espl_graph *b) {
  espl_dataset *d = NULL;
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  double diff = 0, top = 0;
  cr_assert_eq(espl_data_open(NULL, ESPL_SPLIT_VAL, 1, &d, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_compare_outputs(a, b, d, &pp, 8, &diff, &top, &err), ESPL_OK, "%s", err.msg);
  cr_assert(top > 0.01, "outputs vanish: the comparison would prove nothing");
  espl_data_free(d);
  return diff / top;
}

/* ResNet-8: stage widths 16, 32, 64 tied through their additions, one free width inside each of the three blocks. */
Test(units, resnet8_has_six_free_groups) {
  espl_graph *g = resnet8();
  espl_units *u = NULL;
  cr_assert_eq(espl_units_new(g, &u, &err), ESPL_OK, "%s", err.msg);
  int free_groups = 0, sum = 0;
  for (int32_t q = 0; q < u->groups; q++)
    if (!u->group_frozen[q]) free_groups++, sum += u->group_size[q];
  cr_assert_eq(free_groups, 6);
  cr_assert_eq(sum, 2 * (16 + 32 + 64));
  espl_units_free(u);
  espl_graph_free(g);
}

/* g without the units that keep does not name, which must compute what g with them at zero does, and not what g does. The caller's. */
static espl_graph *slimmed(espl_graph *g, const espl_units *u, const uint8_t *keep) {
  espl_graph *slim = NULL, *masked = NULL;
  OK(espl_slim(g, u, keep, &slim, &err));
  OK(espl_mask_units(g, u, keep, &masked, &err));
  cr_assert_lt(difference(masked, slim), 1e-5);
  cr_assert_gt(difference(g, slim), 1e-3);
  espl_graph_free(masked);
  return slim;
}

Test(units, slimmed_equals_masked) {
  espl_graph *g = resnet8();
  espl_units *u = NULL;
  OK(espl_units_new(g, &u, &err));
  uint8_t *keep = espl_calloc((size_t)u->units, 1);
  int removed = 0;
  for (int32_t k = 0; k < u->units; k++) {
    keep[k] = u->frozen[k] || espl_rng_below(3, 0, (uint64_t)k, 3) > 0;
    removed += !keep[k];
  }
  cr_assert(removed > 20);
  espl_graph *slim = slimmed(g, u, keep);
  cr_assert_lt(espl_graph_macs(slim), espl_graph_macs(g));
  free(keep);
  espl_units_free(u);
  espl_graph_free(g);
  espl_graph_free(slim);
}

/* A slope that all channels share stays when some of them go; slopes a channel go with theirs. */
Test(units, slopes_of_prelu_slimmed) {
  espl_graph *g = start(3, 32, 32);
  espl_units *u = NULL;
  int a = op(g, ESPL_OP_PRELU, conv(g, 0, 16, k3, true));
  param(g, a, ESPL_PARAM_GAMMA, 1, &(int32_t){1});
  int b = op(g, ESPL_OP_PRELU, conv(g, a, 12, k3, true));
  param(g, b, ESPL_PARAM_GAMMA, 1, &(int32_t){12});
  gemm(g, op(g, ESPL_OP_FLATTEN, op(g, ESPL_OP_GLOBALAVGPOOL, b)), 10);
  OK(espl_units_new(g, &u, &err));
  uint8_t *keep = espl_calloc((size_t)u->units, 1);
  for (int32_t k = 0; k < u->units; k++) keep[k] = u->frozen[k] || k % 4 != 1;
  espl_graph *slim = slimmed(g, u, keep);
  cr_expect(slim->node[a].shape.c == 12 && slim->node[a].param[ESPL_PARAM_GAMMA]->elems == 1);
  cr_expect(slim->node[b].shape.c == 9 && slim->node[b].param[ESPL_PARAM_GAMMA]->elems == 9);
  cr_expect_eq(slim->node[a].param[ESPL_PARAM_GAMMA]->value[0], g->node[a].param[ESPL_PARAM_GAMMA]->value[0]);
  free(keep);
  espl_units_free(u);
  espl_graph_free(g);
  espl_graph_free(slim);
}

static int32_t find_conv(const espl_graph *g, int32_t kernel, int32_t stride) {
  for (int32_t i = 0; i < g->nodes; i++)
    if (g->node[i].op == ESPL_OP_CONV && g->node[i].conv.kh == kernel && g->node[i].conv.sh == stride && g->node[i].conv.pt == 1) return i;
  return -1;
}

Test(kernel, cut_equals_zeros_at_stride_one_and_two) {
  for (int32_t stride = 1; stride <= 2; stride++) {
    espl_graph *g = resnet8();
    int32_t id = -1;
    for (int32_t i = 0; i < g->nodes && id < 0; i++) /* stride 2 pads 0 before and 1 behind, or 1 and 1: cut where there is padding */
      if (g->node[i].op == ESPL_OP_CONV && g->node[i].conv.kh == 3 && g->node[i].conv.sh == stride) id = i;
    cr_assert_geq(id, 0);
    espl_kernel_cut cut = {.bottom = 1, .right = 1};
    if (stride == 1) cut.left = 1;
    espl_graph *small = espl_graph_clone(g), *masked = espl_graph_clone(g);
    cr_assert_eq(espl_cut_kernel(small, id, cut, &err), ESPL_OK, "%s", err.msg);
    espl_mask_kernel(masked, id, cut);
    cr_assert_eq(small->node[id].conv.kh, 2);
    cr_assert_eq(small->node[id].conv.kw, stride == 1 ? 1 : 2);
    cr_assert_lt(difference(masked, small), 1e-5);
    cr_assert_gt(difference(g, small), 1e-4);
    espl_graph_free(g);
    espl_graph_free(small);
    espl_graph_free(masked);
  }
}

Test(kernel, cut_deeper_than_the_padding_is_refused) {
  espl_graph *g = resnet8();
  int32_t id = find_conv(g, 3, 1);
  cr_assert_geq(id, 0);
  cr_assert_eq(espl_cut_kernel(g, id, (espl_kernel_cut){.top = 2}, &err), ESPL_E_INPUT);
  espl_graph_free(g);
}

Test(tiles, masking_zeroes_exactly_the_tile) {
  espl_graph *g = resnet8();
  int32_t id = find_conv(g, 3, 1);
  espl_tiles t;
  cr_assert_eq(espl_tiles_of(g, id, 8, 4, &t, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(t.tiles, ((t.in_c + 7) / 8) * (t.out_c / 4) * 9);
  uint8_t *keep = espl_calloc((size_t)t.tiles, 1);
  for (int32_t i = 0; i < t.tiles; i++) keep[i] = i != 9; /* with one input block: output block 1, tap 0 */
  cr_assert_eq(espl_mask_tiles(g, &t, keep, &err), ESPL_OK, "%s", err.msg);
  const espl_param *w = g->node[id].param[ESPL_PARAM_WEIGHT];
  int zeros = 0;
  for (int64_t i = 0; i < w->elems; i++) zeros += w->mask[i] == 0;
  cr_assert_eq(zeros, 4 * (t.in_c < 8 ? t.in_c : 8));
  free(keep);
  espl_graph_free(g);
}

Test(saliency, a_dead_channel_has_none) {
  espl_graph *g = resnet8();
  espl_dataset *d = NULL;
  espl_preprocess pp;
  espl_preprocess_default(&pp);
  cr_assert_eq(espl_data_open(NULL, ESPL_SPLIT_TRAIN, 1, &d, &err), ESPL_OK, "%s", err.msg);
  espl_units *u = NULL;
  cr_assert_eq(espl_units_new(g, &u, &err), ESPL_OK, "%s", err.msg);
  int32_t bn = -1;
  for (int32_t i = 0; i < g->nodes && bn < 0; i++)
    if (g->node[i].op == ESPL_OP_BATCHNORM && espl_value_group(u, i) >= 0 && u->group_size[espl_value_group(u, i)] == 16) bn = i;
  cr_assert_geq(bn, 0);
  int32_t dead = espl_unit_of(u, bn, 3);
  uint8_t *keep = espl_calloc((size_t)u->units, 1);
  for (int32_t k = 0; k < u->units; k++) keep[k] = k != dead;
  espl_graph *masked = NULL;
  cr_assert_eq(espl_mask_units(g, u, keep, &masked, &err), ESPL_OK, "%s", err.msg);
  espl_saliency *s = NULL;
  cr_assert_eq(espl_saliency_measure(masked, d, &pp, 2, 1, &s, &err), ESPL_OK, "%s", err.msg);
  double *imp = espl_calloc((size_t)u->units, sizeof *imp);
  espl_unit_importance(masked, u, s, imp);
  cr_assert_eq(imp[dead], 0.0);
  cr_assert_gt(imp[espl_unit_of(u, bn, 4)], 0.0);
  free(imp);
  free(keep);
  espl_saliency_free(s);
  espl_units_free(u);
  espl_graph_free(g);
  espl_graph_free(masked);
  espl_data_free(d);
}
