/* Random small networks as float graphs, each of a kind that brings one feature of the mapper with it; everything else is drawn.
 * A network is a pure function of the generator it draws from and of the machine, whose options say what it may hold: additions, maxima and
 * averages only where they are built, kernels, sizes and channels that its fields have room for, images of a few thousand cycles a layer. */
#ifndef ESPL_TESTS_RANDNET_H
#define ESPL_TESTS_RANDNET_H
#include "base/rng.h"
#include "device/machine.h"
#include "graph/graph.h"

/* name, what it holds */
#define RANDNET_LIST(X)                                                                     \
  X(CHAIN, "convolutions of any kernel, stride, dilation and padding, pooling, additions")  \
  X(GROUPS, "grouped and depthwise convolutions between pointwise ones")                    \
  X(JOIN, "branches joined at multiples of 16 channels and elsewhere, inside each other")   \
  X(ZEROS, "convolutions with zero tiles, kernel rows and columns")                         \
  X(FIRST, "a first layer of few channels over an image of any size")                       \
  X(TILES, "a first layer of few channels over an image larger than the activation buffer") \
  X(MEAN, "the mean over an image of more pixels than an accumulator bank")                 \
  X(FULL, "fully connected layers, the first one over an image")

typedef enum randnet_kind {
#define X(name, text) RANDNET_##name,
  RANDNET_LIST(X)
#undef X
  RANDNET_KINDS
} randnet_kind;

const char *randnet_name(randnet_kind k); /* "CHAIN" */
/* Whether a machine can hold such a network at all. */
bool randnet_fits(randnet_kind k, const espl_machine *m);
espl_status randnet_build(randnet_kind k, const espl_machine *m, espl_rng *r, espl_graph **out, espl_err *err) ESPL_MUST_CHECK;
#endif
