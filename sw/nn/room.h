/* Small questions about a graph that training and evaluation both ask. */
#ifndef ESPL_NN_ROOM_H
#define ESPL_NN_ROOM_H
#include "nn/nn.h"

/* The node whose value is the logits: the output, or what a final SOFTMAX reads. */
int32_t nn_logits_node(const espl_graph *g);
/* E_INPUT when images or classes of the set do not fit the network. */
espl_status nn_check_fit(const espl_graph *g, const espl_dataset *d, espl_err *err) ESPL_MUST_CHECK;
#endif
