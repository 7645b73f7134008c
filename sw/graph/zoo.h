/* The networks that we train, built with fresh weights: He-normal (variance 2 / fan-in; He et al. 2015) from the
 * counter-based generator keyed by (seed, node), batch norm at gamma 1, beta 0, mean 0, variance 1, biases 0.
 *
 * Invariant: the same (shape, classes, seed) gives the same floats on every machine with the same libm. */
#ifndef ESPL_GRAPH_ZOO_H
#define ESPL_GRAPH_ZOO_H
#include "graph/graph.h"

/* All: `shape` is the input image, `classes` >= 2 the outputs (no softmax); *g is owned by the caller, NULL on error.
 * E_INPUT when the image is too small for the network. */

/* MLPerf Tiny's image classifier: conv3x3 16, three stacks of one block (16, 32, 64; strides 1, 2, 2) with 1x1
 * convolutions as shortcuts where the shape changes (no batch norm on them), mean over the image, FC. */
espl_status espl_zoo_resnet8(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;
/* depth = 6n+2 (20, 32, 44, 56, ...): three stacks of n blocks; shortcuts where the shape changes are conv1x1 + batch norm. */
espl_status espl_zoo_resnet(int32_t depth, espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_zoo_resnet20(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;
/* FC 300, FC 100, FC classes with ReLU between. */
espl_status espl_zoo_lenet_300_100(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;
/* conv5x5 16, pool 2, conv5x5 32, pool 2, FC; convolutions unpadded, ReLU behind each. */
espl_status espl_zoo_lenet5(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;

/* By name: resnet8, resnet20, resnet56, lenet-300-100, lenet5, vgg-small, mobilenetv1-025, mobilenetv2-small, ds-cnn. E_INPUT names the nearest known one. */
espl_status espl_zoo_build(const char *name, espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;
#endif
