/* A graph with its integers: what a quantized file says of every value and weight, apart from any machine.
 *
 * A note on a node says that its value exists as int8 (scale, zero point) and, of CONV and GEMM, which integers its weights and bias are.
 * Laws: a graph written with notes and read again gives the integer network it was made from, number by number, because multipliers
 * and shifts follow from the float32 scales alone; an operator never absorbs another one across a quantized value, except a pooling,
 * which acts on quantized values anyway. */
#ifndef ESPL_QUANT_GIVEN_H
#define ESPL_QUANT_GIVEN_H

#include "quant/qnet.h"

typedef struct espl_qnote {
  bool quantized;    /* the value is int8: real = scale * (q - zero), zero -128..127 */
  float scale;
  int32_t zero;
  int8_t *w;         /* NULL, or integers in the layout of the node's weight; real = wscale[o] * w; owned */
  float *wscale;     /* [O] > 0, owned */
  int32_t *bias;     /* NULL, or [O], real = bias_scale[o] * bias; without it the graph's own bias counts; owned */
  float *bias_scale; /* [O], owned */
} espl_qnote;

typedef struct espl_qgiven {
  int32_t cap;
  espl_qnote *note; /* [cap], by node; absent ones are zero */
  bool requantized; /* some integers of weights are not those of the file, only their nearest int8 */
} espl_qgiven;

espl_qgiven *espl_qgiven_new(void); /* NULL: out of memory */
void espl_qgiven_free(espl_qgiven *v);
/* The note of a node to write to (room is made); NULL: out of memory. Valid until the next call. */
espl_qnote *espl_qgiven_note(espl_qgiven *v, int32_t node);
/* True when the value of the node is int8. v may be NULL. */
bool espl_qgiven_has(const espl_qgiven *v, int32_t node);
/* Node `node` leaves the graph: the notes above it shift down. */
void espl_qgiven_removed(espl_qgiven *v, int32_t node);
/* Removes every node that the graph's output does not need, and moves the notes along. v may be NULL. */
espl_status espl_qgiven_prune(espl_qgiven *v, espl_graph *g, espl_err *err) ESPL_MUST_CHECK;

/* The graph q was made from, with BatchNorm inside the integer weights (sign) and their scales, and the notes of q. g is not changed. */
espl_status espl_qgiven_of(const espl_graph *g, const espl_qnet *q, espl_graph **folded, espl_qgiven **out, espl_err *err) ESPL_MUST_CHECK;
/* The integer network of a graph with notes. E_UNSUPPORTED names the node that has no rule of the machine: a value in memory without
 * scale, float weights, a copy or maximum that changes its scale. */
espl_status espl_quantize_given(espl_graph *g, const espl_qgiven *v, espl_qnet **out, espl_err *err) ESPL_MUST_CHECK;

#endif
