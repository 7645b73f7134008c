/* The mean over an image that has more pixels than an accumulator bank. The store unit averages inside one bank, so such a layer (a mean without a
 * convolution of its own) is run as a convolution whose kernel of ones covers the image: the array sums all pixels into one accumulator, and
 * the requantizer does what the average would have done, in every bit:
 *   average: clamp(pool_zo + (((S - n*zi)*m + 2^(s-1)) >> s)),   requantizer: clamp(zo + ((acc + bias)*m + 2^(s-1)) >> s)
 * with acc = S + p*zi over p pixels of padding and bias = -(n + p)*zi. The kernel is walked block by block: a block is a kernel of at most 16x16
 * ones, the same weights for every block, and its place in the image is the walk's "output pixel" of a convolution that strides by blocks. */
#include <stdlib.h>

#include "base/mem.h"
#include "map/map_int.h"

/* The bytes that are averaged are those of the input. */
static bool exact_copy(const map_geom *g) {
  const espl_qlayer *l = g->l;
  if (l->zo != g->q->tensor[l->in].zero || l->lo != -128 || l->hi != 127) return false;
  for (int32_t c = 0; l->par && c < l->out_c; c++)
    if (l->par[c].m != 1u << 15 || l->par[c].s != 15 || l->par[c].bias != -l->zo) return false;
  return l->par != NULL;
}

static int32_t block_of(const map_geom *g, int32_t extent) {
  int32_t most = map_min(16, g->m->kernel);
  return map_div_up(extent, map_div_up(extent, most));
}

bool map_mean_wanted(const map_geom *g) {
  const espl_qlayer *l = g->l;
  int64_t pixels = (int64_t)g->in.h * g->in.w;
  bool whole = l->pool == ESPL_QPOOL_AVG && l->pool_fixed && l->onehot && l->res < 0 && l->kh == 1 && l->kw == 1 && l->sh == 1 && l->sw == 1 && g->out.h == 1 && g->out.w == 1 &&
               l->win_h == g->in.h && l->win_w == g->in.w && l->ppt == 0 && l->ppl == 0;
  return whole && pixels > 1ll << g->m->acc_aw && exact_copy(g);
}

espl_status map_mean_use(map_geom *g, espl_err *err) {
  const espl_qlayer *l = g->l;
  if (!map_mean_wanted(g)) return ESPL_OK;
  g->mean_layer = *l;
  espl_qlayer *v = &g->mean_layer;
  v->kh = block_of(g, g->in.h);
  v->kw = block_of(g, g->in.w);
  v->sh = v->kh;
  v->sw = v->kw;
  v->conv_h = map_div_up(g->in.h, v->kh);
  v->conv_w = map_div_up(g->in.w, v->kw);
  int32_t far = map_max((v->conv_h - 1) * v->sh, (v->conv_w - 1) * v->sw); /* blocks are named from the corner */
  if (far > espl_offset_max(g->m))
    return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: a mean over %dx%d pixels, machine %s names pixels up to %d", l->name, (int)g->in.h, (int)g->in.w, g->m->name, (int)espl_offset_max(g->m));
  v->groups = l->in_c;
  v->pool = ESPL_QPOOL_NONE;
  v->zo = l->pool_zo;
  int64_t taps = (int64_t)v->conv_h * v->conv_w * v->kh * v->kw;
  int bits = 9;
  while (128 * taps >= 1ll << (bits - 1)) bits++;
  if (bits > g->m->acc_w) return espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: its sums need %d bits, accumulators of machine %s have %d", l->name, bits, g->m->name, (int)g->m->acc_w);
  v->par = espl_calloc((size_t)l->out_c, sizeof *v->par);
  if (!v->par) return espl_fail(err, ESPL_E_NOMEM, "layer %s: out of memory", l->name);
  for (int32_t c = 0; c < l->out_c; c++)
    v->par[c] = (espl_qparam){.bias = (int32_t)(-taps * g->q->tensor[l->in].zero), .m = l->pool_m[0], .s = (uint8_t)l->pool_shift};
  g->mean = true;
  g->l = v;
  return ESPL_OK;
}
