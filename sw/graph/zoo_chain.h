/* Inside of the zoo: writes a network as a chain of calls.
 *
 * Law: after the first failure every call does nothing and returns value 0; zoo_finish reports it. */
#ifndef ESPL_GRAPH_ZOO_CHAIN_H
#define ESPL_GRAPH_ZOO_CHAIN_H
#include "graph/graph.h"

typedef struct zoo_net {
  espl_graph *g;
  uint64_t seed;
  espl_err *err;
  espl_status status;
} zoo_net;

/* E_INPUT for an image without pixels or fewer than two classes. */
espl_status zoo_start(zoo_net *b, const char *name, espl_shape shape, int32_t classes, uint64_t seed, espl_err *err) ESPL_MUST_CHECK;
/* Checks the graph and gives it to the caller; frees it on failure. */
espl_status zoo_finish(zoo_net *b, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;

/* Each returns the id of the value it defines. Weights are He-normal, batch norms fresh, biases zero. */
int32_t zoo_window(zoo_net *b, const char *name, int32_t in, int32_t out_c, const espl_conv_attr *at, bool bias);
int32_t zoo_conv(zoo_net *b, const char *name, int32_t in, int32_t out_c, int32_t k, int32_t stride, int32_t pad, bool bias);
int32_t zoo_batchnorm(zoo_net *b, const char *name, int32_t in);
int32_t zoo_simple(zoo_net *b, const char *name, espl_op op, int32_t in);
int32_t zoo_clip(zoo_net *b, const char *name, int32_t in, float lo, float hi);
int32_t zoo_add(zoo_net *b, const char *name, int32_t in, int32_t side);
int32_t zoo_maxpool2(zoo_net *b, const char *name, int32_t in);
int32_t zoo_fc(zoo_net *b, const char *name, int32_t in, int32_t outputs);

/* zoo_mobile.c */
espl_status zoo_mobilenetv1_025(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;
espl_status zoo_mobilenetv2_small(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;
espl_status zoo_ds_cnn(espl_shape shape, int32_t classes, uint64_t seed, espl_graph **g, espl_err *err) ESPL_MUST_CHECK;
#endif
