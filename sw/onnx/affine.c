/* Per-channel scale and shift written as separate operators: into the weights of the producer where that is exact. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "onnx/onnx_int.h"

espl_status espli_channels(espli_import *im, const Onnx__NodeProto *n, const espl_tensor *t, int rank, int32_t c, float **out) {
  bool fits = t->dims <= rank;
  int64_t along = 1;
  for (int d = 0; fits && d < t->dims; d++) {
    bool channel = rank - t->dims + d == 1;
    if (channel) along = t->dim[d];
    else fits = t->dim[d] == 1;
  }
  *out = NULL;
  if (!fits || (along != 1 && along != c))
    return espli_refuse(im, n, ESPL_E_UNSUPPORTED, "its constant does not vary along the %d channels only", c);
  float *v = espl_calloc((size_t)c, sizeof *v);
  if (!v) return espli_refuse(im, n, ESPL_E_NOMEM, "out of memory");
  for (int32_t k = 0; k < c; k++) v[k] = (float)espl_tensor_at(t, along == 1 ? 0 : k);
  *out = v;
  return ESPL_OK;
}

static void scale_rows(espl_param *p, const float *scale) {
  int64_t row = p->elems / p->dim[0];
  for (int64_t k = 0; k < p->elems; k++) p->value[k] *= scale[k / row];
}

static void scale_shift(espl_param *p, const float *scale, const float *shift) {
  for (int64_t k = 0; k < p->elems; k++) p->value[k] = p->value[k] * (scale ? scale[k] : 1.0f) + (shift ? shift[k] : 0.0f);
}

static espl_status into_weights(espli_import *im, espl_node *p, int32_t id, const float *scale, const float *shift, const char *name) {
  if (p->op == ESPL_OP_BATCHNORM) {
    if (scale) scale_rows(p->param[ESPL_PARAM_GAMMA], scale);
    scale_shift(p->param[ESPL_PARAM_BETA], scale, shift);
    return ESPL_OK;
  }
  if (scale) scale_rows(p->param[ESPL_PARAM_WEIGHT], scale);
  if (shift && !p->param[ESPL_PARAM_BIAS])
    ESPL_TRY(espl_graph_add_param(im->g, id, ESPL_PARAM_BIAS, name, 1, &p->shape.c, im->err));
  if (p->param[ESPL_PARAM_BIAS]) scale_shift(p->param[ESPL_PARAM_BIAS], scale, shift);
  return ESPL_OK;
}

espl_status espli_affine(espli_import *im, const Onnx__NodeProto *n, espli_value *v, const float *scale, const float *shift, const char *name) {
  espl_node *p = &im->g->node[v->id];
  ESPL_TRY(espli_qdq_affine(im, n, v->id, scale != NULL));
  bool weighted = p->op == ESPL_OP_CONV || p->op == ESPL_OP_GEMM || p->op == ESPL_OP_BATCHNORM;
  if (weighted && v->uses == 1) {
    ESPL_TRY(into_weights(im, p, v->id, scale, shift, name));
    return espli_define_alias(im, n, v, v->rank);
  }
  int32_t c = p->shape.c, id, dim[4] = {c, 1, 1, 1};
  espl_node conv = {.op = ESPL_OP_CONV, .inputs = 1, .input = {v->id}, .shape = {c, 0, 0},
                    .conv = {.kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .groups = c}};
  ESPL_TRY(espli_define_node(im, n, &conv, v->rank, &id));
  ESPL_TRY(espl_graph_add_param(im->g, id, ESPL_PARAM_WEIGHT, NULL, 4, dim, im->err));
  for (int32_t k = 0; k < c; k++) im->g->node[id].param[ESPL_PARAM_WEIGHT]->value[k] = scale ? scale[k] : 1.0f;
  return shift ? espli_set_param(im, n, id, ESPL_PARAM_BIAS, name, 1, dim, shift) : ESPL_OK;
}
