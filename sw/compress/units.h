/* Which channels must go together, and the graph without some of them.
 *
 * A *unit* is a set of channels of values that can only be removed together: additions tie channels element-wise, batch norm,
 * activations and pooling tie input to output, flatten ties a channel to all its pixels, depthwise convolution ties input to output,
 * zero padding of channels and concatenation tie by offset (dependency graph idea: Fang et al., CVPR 2023, on channels instead of layers).
 * A *group* is the set of units that live in exactly the same values: its units are interchangeable, only how many stay matters for cost.
 * Units with a channel of the network's input or output, or of a grouped convolution that is not depthwise, are frozen. */
#ifndef ESPL_COMPRESS_UNITS_H
#define ESPL_COMPRESS_UNITS_H

#include "graph/graph.h"

typedef struct espl_units {
  int32_t nodes, units, groups;
  int32_t *first;      /* [nodes+1]: channels of node n are entries first[n] .. first[n+1]-1 of unit_of */
  int32_t *unit_of;    /* [first[nodes]] unit of each channel of each value */
  int32_t *group_of;   /* [units] */
  uint8_t *frozen;     /* [units] */
  int32_t *group_size; /* [groups] units in the group */
  uint8_t *group_frozen; /* [groups] */
} espl_units;

espl_status espl_units_new(const espl_graph *g, espl_units **out, espl_err *err) ESPL_MUST_CHECK;
void espl_units_free(espl_units *u);
static inline int32_t espl_unit_of(const espl_units *u, int32_t node, int32_t channel) { return u->unit_of[u->first[node] + channel]; }
/* Group of a value when all its channels are of one group, otherwise -1. */
int32_t espl_value_group(const espl_units *u, int32_t node);

/* A new graph with the units whose keep flag is 0 physically removed; params, masks and optimizer state are cut to size. keep [units];
 * frozen units must be kept; a value must keep a channel (E_INPUT names the node otherwise). */
espl_status espl_slim(const espl_graph *g, const espl_units *u, const uint8_t *keep, espl_graph **out, espl_err *err) ESPL_MUST_CHECK;
/* The same removal as a mask, for checking: in a clone, every removed channel is forced to zero after the producing convolution,
 * batch norm included (weights, bias, gamma, beta of that channel are zero). */
espl_status espl_mask_units(const espl_graph *g, const espl_units *u, const uint8_t *keep, espl_graph **out, espl_err *err) ESPL_MUST_CHECK;
#endif
