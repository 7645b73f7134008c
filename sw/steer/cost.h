/* Latency as a table: exact cycles of any layer of an integer network at any width, kernel or number of zero tiles, from the timing
 * model, cached by content hash in memory and, when there is a store, in it. */
#ifndef ESPL_STEER_COST_H
#define ESPL_STEER_COST_H

#include "compress/shape.h"
#include "map/map.h"
#include "store/store.h"

typedef struct espl_cost_table espl_cost_table;

/* Borrows everything; store may be NULL. E_UNSUPPORTED: a memory with banks, where cycles depend on addresses. */
espl_status espl_cost_table_new(const espl_qnet *q, const espl_machine *m, espl_store *store, espl_cost_table **out, espl_err *err) ESPL_MUST_CHECK;
void espl_cost_table_free(espl_cost_table *t);
const espl_machine *espl_cost_machine(const espl_cost_table *t);

/* A layer as it could be. */
typedef struct espl_layer_form {
  int32_t layer;        /* index in the integer network */
  int32_t in_c, out_c;  /* widths; a one-hot layer takes out_c for both */
  espl_kernel_cut cut;
  int32_t zero_tiles;   /* weight tiles treated as absent */
} espl_layer_form;
espl_layer_form espl_layer_form_now(const espl_qnet *q, int32_t layer); /* as the network has it, dense */

espl_status espl_cost_get(espl_cost_table *t, const espl_layer_form *f, int64_t *cycles, espl_err *err) ESPL_MUST_CHECK;
/* Fills the table for many forms on two threads; progress 0..1 is reported through `report` (may be NULL). */
espl_status espl_cost_fill(espl_cost_table *t, const espl_layer_form *f, int32_t n, void (*report)(void *ctx, double fraction), void *ctx, espl_err *err) ESPL_MUST_CHECK;
int64_t espl_form_macs(const espl_qnet *q, const espl_layer_form *f); /* multiply-accumulates of the form, zero tiles not subtracted */
#endif
