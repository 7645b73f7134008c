/* Layers of a batch of images. Tensors lie in memory image behind image, so where a convolution sees no neighbours (1x1, stride 1, no padding, no
 * pooling) all images are one image for it: N rows of H*W pixels, a row an image. A kernel that covers its whole input makes one pixel an image; it
 * walks over the stacked images in steps of their height. Images of one pixel are one run of all their channels where the array has one bank of rows. Weights are loaded once and a pass has N times the pixels. Other layers are walked
 * image after image. */
#include "map/map_int.h"

uint32_t map_image_bytes(const espl_qnet *q, const espl_machine *m, int32_t tensor) {
  int32_t first, root = espl_qnet_root(q, tensor, &first), g = espl_g(m);
  espl_shape s = q->tensor[root].shape;
  int32_t row = map_fold_tensor(q, m, root) ? map_fold_pitch(q, m, root) : s.w;
  uint32_t unit = (uint32_t)map_max(m->bus_bytes, g);
  return (uint32_t)map_div_up(s.c, g) * map_align((uint32_t)(s.h * row * g), unit);
}

static bool pixelwise(const espl_qlayer *l) {
  return l->kh == 1 && l->kw == 1 && l->sh == 1 && l->sw == 1 && l->pt == 0 && l->pl == 0 && l->pool == ESPL_QPOOL_NONE;
}

static bool covering(const map_geom *g) {
  const espl_qlayer *l = g->l;
  return l->conv_h == 1 && l->conv_w == 1 && l->kh == g->in.h && l->kw == g->in.w && l->pt == 0 && l->pl == 0 && l->dh == 1 && l->dw == 1 && l->res < 0 && l->pool == ESPL_QPOOL_NONE &&
         l->kh <= 7;
}

void map_batch_use(map_geom *g, int32_t images) {
  const espl_qlayer *l = g->l;
  const espl_machine *m = g->m;
  int32_t dim = espl_dim_max(m), off = espl_offset_max(m), px = g->in.h * g->in.w;
  g->images = images;
  g->run_rows = 1;
  bool depthwise = m->dw_banks > 0 && l->groups > 1 && l->groups == l->in_c && l->groups == l->out_c && !l->onehot;
  if (images == 1 || g->fold || g->mean || depthwise || images > dim) return;
  bool flat = pixelwise(l) && px <= dim && px <= off && images <= off;
  bool cover = !flat && covering(g) && images * g->in.h <= map_min(dim, off) && px * g->g % m->bus_bytes == 0;
  bool strides = map_image_bytes(g->q, m, l->out) < 1u << 24 && (l->res < 0 || map_image_bytes(g->q, m, l->res) < 1u << 24);
  if (!(flat || cover) || !strides) return;
  g->stacked = true;
  g->images = 1;
  g->batch_layer = *l;
  espl_qlayer *v = &g->batch_layer;
  v->macs *= images;
  v->macs_dense *= images;
  v->conv_h = images;
  v->conv_w = flat ? px : 1;
  g->out.h = v->conv_h;
  g->out.w = v->conv_w;
  if (flat) {
    int64_t words = (int64_t)images * g->ncb, room = (1ll << m->act_aw) / g->g;
    g->woven = px == 1 && g->nb == 1 && m->bus_bytes <= g->g && g->ncb <= dim && words <= (room < 65536 ? room : 65536);
    g->in.h = images;
    g->in.w = px;
  } else {
    g->run_rows = g->in.h;
    v->sh = g->in.h;
    g->in.h *= images;
  }
  g->l = v;
}
