/* What the files of the graph room share: the shape rule of one node and the shape law of one param. */
#ifndef ESPL_GRAPH_GRAPH_INT_H
#define ESPL_GRAPH_GRAPH_INT_H
#include "graph/graph.h"

const char *espli_param_kind_name(espl_param_kind k); /* "weight" */

/* ---- infer.c ---- */
/* Sets the shape of node `id` (which may be the one just behind the last) from the shapes of its inputs, all of which
 * must have smaller ids. Output channels of CONV and GEMM: the weight's first extent, or node.shape.c without weight. */
espl_status espli_node_infer(espl_graph *g, int32_t id, espl_err *err) ESPL_MUST_CHECK;

/* Checks that `p` may be a param of node `id`: kind fits the operator, extents fit the shapes. */
espl_status espli_param_check(const espl_graph *g, int32_t id, const espl_param *p, espl_err *err) ESPL_MUST_CHECK;

/* ---- names.c ---- */
/* Room for the names of so many nodes; to be called before `nodes` grows to it. */
espl_status espli_names_reserve(espl_graph *g, int32_t nodes, espl_err *err) ESPL_MUST_CHECK;
void espli_names_add(espl_graph *g, int32_t id); /* a node that has just got its name; room was reserved */
void espli_names_again(espl_graph *g);           /* after ids have moved */
#endif
