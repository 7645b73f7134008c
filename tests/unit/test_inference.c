/* Plans for inference: additions inside convolutions, a batch in several passes, params prepared once. What a plan fuses or shares is compared
 * with a plan of the same graph that keeps every value, in which nothing is fused, shared or split. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>

#include "nn/exec.h"
#include "nn_graphs.h"

enum { IMAGES = 5 };

static float *images(const espl_graph *g) {
  int64_t n = IMAGES * espl_shape_elems(g->node[0].shape);
  float *in = calloc((size_t)n, sizeof *in);
  for (int64_t i = 0; i < n; i++) in[i] = espl_rng_normal(11, 0, (uint64_t)i);
  return in;
}

static espl_exec *plan(espl_graph *g, bool keep) {
  espl_exec *x;
  OK(espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, IMAGES, &x, &err));
  for (int i = 0; keep && i < g->nodes; i++) OK(espl_exec_keep(x, i, &err));
  return x;
}

static int32_t additions_left(const espl_exec *x) {
  int32_t n = 0;
  for (int32_t i = 0; i < x->groups; i++) n += x->g->node[x->group[i].head].op == ESPL_OP_ADD;
  return n;
}

/* `alone`: additions that must stay operators of their own. Takes the graph. */
static void check(espl_graph *g, int32_t alone) {
  int64_t n = IMAGES * espl_shape_elems(g->node[g->output].shape);
  float *in = images(g), *got = calloc((size_t)n, sizeof *got), *want = calloc((size_t)n, sizeof *want), top = 0;
  espl_exec *x = plan(g, false), *all = plan(g, true);
  OK(espl_graph_check(g, &err));
  OK(espl_exec_forward(all, in, want, &err));
  for (int64_t i = 0; i < n; i++) top = fmaxf(top, fabsf(want[i]));
  cr_assert_gt(top, 0.0f);
  for (int again = 0; again < 2; again++) { /* the second run meets what the first left behind */
    OK(espl_exec_forward(x, in, got, &err));
    for (int64_t i = 0; i < n; i++) cr_assert_float_eq(got[i], want[i], 2e-5f * top, "run %d, element %lld", again, (long long)i);
  }
  cr_expect_eq(additions_left(x), alone, "%d additions are operators", (int)additions_left(x));
  espl_exec_free(x);
  espl_exec_free(all);
  espl_graph_free(g);
  free(in);
  free(got);
  free(want);
}

Test(inference, addition_to_the_value_that_the_convolution_reads) {
  espl_graph *g = start(3, 6, 6);
  int a = conv(g, 0, 16, k3, true);
  op(g, ESPL_OP_RELU, add(g, conv(g, a, 16, k3, false), a));
  check(g, 0);
}

Test(inference, addition_over_a_block_with_batch_norm_and_clip) {
  for (int c = 5; c <= 32; c += 9) {
    espl_graph *g = start(3, 6, 6);
    int a = op(g, ESPL_OP_RELU, conv(g, 0, c, k3, true));
    int b = bn(g, conv(g, op(g, ESPL_OP_CLIP, conv(g, a, 24, k3, true)), c, k3, false));
    conv(g, op(g, ESPL_OP_RELU, add(g, a, b)), 7, k3, true);
    check(g, 0);
  }
}

Test(inference, addition_of_two_convolutions) {
  espl_graph *g = start(3, 6, 6);
  int a = conv(g, 0, 16, k3, true), b = conv(g, a, 24, k3, true), c = conv(g, a, 24, k3, false);
  conv(g, add(g, b, c), 16, k3, true);
  check(g, 0);
}

/* The other operand is made after the convolution, which therefore runs later than the file has it. */
Test(inference, addition_of_a_copy_that_comes_behind_the_convolution) {
  espl_graph *g = start(3, 6, 6);
  int a = op(g, ESPL_OP_RELU, conv(g, 0, 16, k3, true)), b = conv(g, a, 20, k3, true);
  int p = node(g, (espl_node){.op = ESPL_OP_PADCHANNELS, .inputs = 1, .input = {a}, .pad_c0 = 1, .pad_c1 = 3});
  conv(g, op(g, ESPL_OP_RELU, add(g, b, p)), 8, k3, true);
  check(g, 0);
}

Test(inference, value_that_is_still_read_is_not_written_over) {
  espl_graph *g = start(3, 6, 6);
  int a = conv(g, 0, 16, k3, true), s = add(g, conv(g, a, 16, k3, true), a), t = add(g, conv(g, s, 16, k3, true), a);
  add(g, add(g, t, s), a); /* a and s are read again: these two stay */
  check(g, 2);
}

Test(inference, the_input_is_not_written_over) {
  espl_graph *g = start(16, 6, 6);
  add(g, conv(g, 0, 16, k3, true), 0);
  float *in = images(g), *before = images(g), *out = calloc(IMAGES * 16 * 36, sizeof *out);
  espl_exec *x = plan(g, false);
  OK(espl_exec_forward(x, in, out, &err));
  cr_expect_arr_eq(in, before, IMAGES * 16 * 36 * sizeof *in);
  espl_exec_free(x);
  free(in);
  free(before);
  free(out);
  check(g, 0);
}

Test(inference, batch_norm_behind_an_addition_is_not_folded_into_the_convolution) {
  espl_graph *g = start(3, 6, 6);
  int a = conv(g, 0, 16, k3, true);
  op(g, ESPL_OP_RELU, bn(g, add(g, conv(g, a, 16, k3, true), a)));
  check(g, 0);
}

/* Two images fill a pass, so that five take three of which the last overlaps. */
Test(inference, a_batch_in_passes_that_do_not_divide_it) {
  espl_graph *g = start(3, 64, 60);
  conv(g, op(g, ESPL_OP_RELU, conv(g, 0, 16, k3, true)), 16, k3, true);
  espl_exec *x = plan(g, false);
  cr_expect(x->batch > 1 && x->batch < IMAGES && IMAGES % x->batch != 0, "%d images a pass", (int)x->batch);
  espl_exec_free(x);
  check(g, 0);
}

Test(inference, frozen_params_are_prepared_once) {
  espl_graph *g = start(3, 6, 6);
  int id = conv(g, 0, 4, k3, true);
  float *in = images(g), out[2][IMAGES * 4 * 36];
  espl_exec *x = plan(g, false);
  OK(espl_exec_forward(x, in, out[0], &err));
  g->node[id].param[ESPL_PARAM_WEIGHT]->value[0] += 1.0f;
  OK(espl_exec_forward(x, in, out[1], &err));
  cr_expect_arr_neq(out[0], out[1], sizeof out[0]); /* not frozen: seen at once */
  g->node[id].param[ESPL_PARAM_WEIGHT]->value[0] += 1.0f;
  espl_exec_freeze(x);
  OK(espl_exec_forward(x, in, out[0], &err));
  cr_expect_arr_neq(out[0], out[1], sizeof out[0]); /* prepared at the first forward behind the call */
  OK(espl_exec_forward(x, in, out[1], &err));
  cr_expect_arr_eq(out[0], out[1], sizeof out[0]);
  OK(espl_exec_keep(x, id, &err)); /* compiles again: must prepare again */
  OK(espl_exec_forward(x, in, out[0], &err));
  cr_expect_arr_eq(out[0], out[1], sizeof out[0]);
  espl_exec_free(x);
  espl_graph_free(g);
  free(in);
}
