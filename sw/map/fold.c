/* Folded first layers: an input of at most 4 channels that no layer writes lies in memory as [H][W][4], rows of whole pixel words, and a pass
 * reads P = R/4 neighbouring pixels at once. To the rest of the mapper such a layer is a convolution over R channels with ceil(KW/P) kernel
 * columns, P pixels apart: row r of tile (ky, j) is channel r mod 4 of kernel column j*P + r/4. */
#include <stdlib.h>

#include "base/mem.h"
#include "map/map_int.h"

static int32_t lanes(const espl_machine *m) { return m->rows / 4; }

int32_t map_fold_pitch(const espl_qnet *q, const espl_machine *m, int32_t tensor) { return map_div_up(q->tensor[tensor].shape.w, lanes(m)); }

static bool fits_words(const espl_machine *m, int64_t words) {
  int64_t bytes = words * espl_g(m);
  return bytes <= (int64_t)1 << m->act_aw && bytes < 1 << 20 && words <= 65535;
}

/* The whole input stays in the activation buffer, or two tiles of whole rows, each of what one row of the layer's output needs. Rows are whole in both, so
 * a tile of columns names its first one from the left edge: the last must be in reach, or one tile holds a whole row of sums. */
static bool fits(const espl_qnet *q, const espl_machine *m, const espl_qlayer *l) {
  int64_t h = q->tensor[l->in].shape.h, pitch = map_fold_pitch(q, m, l->in);
  int64_t conv = l->pool == ESPL_QPOOL_NONE ? 1 : map_min(l->win_h, l->conv_h), rows = (conv - 1) * l->sh + (int64_t)(l->kh - 1) * l->dh + 1;
  bool reach = (int64_t)(l->conv_w - 1) * l->sw <= espl_offset_max(m), one = conv * l->conv_w <= 1ll << m->acc_aw && l->conv_w <= espl_dim_max(m);
  if (h <= espl_offset_max(m) && (reach || one) && fits_words(m, h * pitch)) return true;
  return rows <= espl_dim_max(m) && reach && fits_words(m, 2 * (rows * pitch + m->bus_bytes));
}

bool map_fold_tensor(const espl_qnet *q, const espl_machine *m, int32_t tensor) {
  bool read = false;
  if (!m->fold || q->tensor[tensor].shape.c > 4 || tensor == q->output || espl_qnet_joined(q, tensor)) return false;
  for (int32_t i = 0; i < q->layers; i++) {
    const espl_qlayer *l = &q->layer[i];
    if (l->out == tensor || l->res == tensor) return false;
    if (l->in != tensor) continue;
    if (l->onehot || l->groups != 1 || l->kw < 2 || l->dw != 1 || !fits(q, m, l)) return false;
    read = true;
  }
  return read;
}

int32_t map_fold_taps(const map_geom *g, const map_tile *t) { return map_min(lanes(g->m), g->fold_kw - t->kx * lanes(g->m)); }

espl_status map_fold_use(map_geom *g, espl_err *err) {
  const espl_qlayer *l = g->l;
  if (!map_fold_tensor(g->q, g->m, l->in)) return ESPL_OK;
  int32_t R = g->m->rows, P = lanes(g->m);
  g->fold = true;
  g->fold_kw = l->kw;
  g->fold_layer = *l;
  espl_qlayer *v = &g->fold_layer;
  v->in_c = R;
  v->kw = map_div_up(l->kw, P);
  v->dw = P;
  v->w = NULL;
  g->l = v;
  if (!l->w) return ESPL_OK;
  v->w = espl_calloc((size_t)v->out_c * (size_t)R * (size_t)(v->kh * v->kw), 1);
  if (!v->w) return espl_fail(err, ESPL_E_NOMEM, "layer %s: out of memory", l->name);
  for (int64_t o = 0; o < l->out_c; o++)
    for (int32_t i = 0; i < l->in_c; i++)
      for (int32_t ky = 0; ky < l->kh; ky++)
        for (int32_t kx = 0; kx < l->kw; kx++)
          v->w[((o * R + kx % P * 4 + i) * v->kh + ky) * v->kw + kx / P] = l->w[((o * l->in_c + i) * l->kh + ky) * l->kw + kx];
  return ESPL_OK;
}
