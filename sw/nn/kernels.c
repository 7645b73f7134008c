/* The steps that are ours: strided channel copies, folding of batch norm, running statistics, rounding to integers. */
#include <math.h>
#include <string.h>

#include "nn/exec.h"

static int64_t channel(const dnn_view *v, int32_t n, int32_t c) { return n * v->sn + (c / v->block) * v->sc + c % v->block; }

static void copy_row(char *dst, int64_t ds, const char *src, int64_t ss, int32_t n, int bytes) {
  if (bytes == 2) {
    uint16_t *d = (uint16_t *)(void *)dst;
    const uint16_t *s = (const uint16_t *)(const void *)src;
    for (int32_t i = 0; i < n; i++) d[i * ds] = s[i * ss];
  } else {
    uint32_t *d = (uint32_t *)(void *)dst;
    const uint32_t *s = (const uint32_t *)(const void *)src;
    for (int32_t i = 0; i < n; i++) d[i * ds] = s[i * ss];
  }
}

void nn_run_copy(const nn_copy *k) {
  char *dst = dnn_mem_ptr(k->to);
  const char *src = dnn_mem_ptr(k->from);
  int b = k->dst.bytes;
  if (k->clear) memset(dst, 0, dnn_md_bytes(dnn_mem_md(k->to)));
  for (int32_t n = 0; n < k->extent.n; n++)
    for (int32_t c = 0; c < k->extent.c; c++) {
      char *dc = dst + channel(&k->dst, n, k->dst_c0 + c) * b;
      const char *sc = src + channel(&k->src, n, k->src_c0 + c) * b;
      for (int32_t h = 0; h < k->extent.h; h++)
        copy_row(dc + h * k->dst.sh * b, k->dst.sw, sc + h * k->src.sh * b, k->src.sw, k->extent.w, b);
    }
}

void nn_run_fold(const nn_fold *f) {
  const espl_param *w = f->conv->param[ESPL_PARAM_WEIGHT], *bias = f->conv->param[ESPL_PARAM_BIAS];
  const float *gamma = f->bn->param[ESPL_PARAM_GAMMA]->value, *beta = f->bn->param[ESPL_PARAM_BETA]->value;
  const float *mean = f->bn->param[ESPL_PARAM_MEAN]->value, *var = f->bn->param[ESPL_PARAM_VAR]->value;
  float *fw = dnn_mem_ptr(f->weight), *fb = dnn_mem_ptr(f->bias);
  int64_t row = w->elems / w->dim[0];
  for (int32_t o = 0; o < w->dim[0]; o++) {
    double s = gamma[o] / sqrt((double)var[o] + f->bn->eps);
    for (int64_t i = 0; i < row; i++) fw[o * row + i] = (float)(w->value[o * row + i] * s);
    fb[o] = (float)(beta[o] + ((bias ? bias->value[o] : 0.0) - mean[o]) * s);
  }
}

/* The batch variance divides by the sample count; the running one estimates the population (count - 1). */
void nn_run_stats(const nn_stats *s, double rate) {
  espl_param *mean = s->bn->param[ESPL_PARAM_MEAN], *var = s->bn->param[ESPL_PARAM_VAR];
  const float *bm = dnn_mem_ptr(s->mean), *bv = dnn_mem_ptr(s->var);
  double unbiased = s->samples > 1.0 ? s->samples / (s->samples - 1.0) : 1.0;
  for (int64_t c = 0; c < mean->elems; c++) {
    mean->value[c] = (float)((1.0 - rate) * mean->value[c] + rate * bm[c]);
    var->value[c] = (float)((1.0 - rate) * var->value[c] + rate * unbiased * bv[c]);
  }
}

void nn_run_fake_value(const nn_fake_value *f) {
  float *v = dnn_mem_ptr(f->mem);
  const int64_t n = (int64_t)(dnn_md_bytes(dnn_mem_md(f->mem)) / sizeof *v);
  const float scale = f->q.scale, inv = 1.0f / scale, lo = (float)(-128 - f->q.zero), hi = (float)(127 - f->q.zero);
  for (int64_t i = 0; i < n; i++) {
    float q = nearbyintf(v[i] * inv);
    q = q < lo ? lo : q > hi ? hi : q;
    v[i] = q * scale;
  }
}

void nn_run_fake_weight(const nn_fake_weight *f) {
  const espl_param *w = f->weight;
  float *to = dnn_mem_ptr(f->to);
  const int64_t row = w->elems / w->dim[0];
  for (int32_t o = 0; o < w->dim[0]; o++) {
    const float *from = w->value + o * row;
    float most = 0.0f;
    for (int64_t i = 0; i < row; i++) most = fmaxf(most, fabsf(from[i]));
    const float scale = most / (float)f->most, inv = most > 0.0f ? (float)f->most / most : 0.0f;
    for (int64_t i = 0; i < row; i++) to[o * row + i] = nearbyintf(from[i] * inv) * scale;
  }
}
