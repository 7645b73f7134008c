/* Checkpoints of a training.
 *
 * File, in the byte order of the host (a tag tells): "ESPLCKPT", u32 version, u32 0x01020304, identity[64], u16 n + where[n], i64 step,
 * f64 loss, i64 right, i64 seen, u32 params; of each: u16 n + name[n], i64 elements, u8 which arrays (bit i: array i of `arrays`),
 * those arrays; last a u32 CRC-32 of everything before it. Nothing of the graph changes until the whole file has been checked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/fsio.h"
#include "base/hash.h"
#include "nn/dnn.h"
#include "nn/loss.h"

#define VERSION 1u
#define ORDER_TAG 0x01020304u
#define ARRAYS 5
#define LIMIT_BYTES ((size_t)8 << 30)

static const char magic[8] = {'E', 'S', 'P', 'L', 'C', 'K', 'P', 'T'};

static void arrays(const espl_param *p, float *a[ARRAYS]) {
  a[0] = p->value;
  a[1] = p->mask;
  a[2] = p->momentum;
  a[3] = p->second;
  a[4] = p->average;
}

static void where(char out[128]) {
  char library[96];
  dnn_describe(library, sizeof library);
  snprintf(out, 128, "%s, %d threads", library, dnn_threads_max());
}

/* ---- identity ---- */

static void hash_graph(espl_hash *h, const espl_graph *g) {
  espl_hash_u64(h, (uint64_t)g->nodes);
  for (int32_t i = 0; i < g->nodes; i++) {
    const espl_node *n = &g->node[i];
    const espl_conv_attr *a = &n->conv;
    const int32_t attr[] = {(int32_t)n->op, n->shape.c, n->shape.h, n->shape.w, a->kh, a->kw, a->sh, a->sw, a->dh, a->dw,
                            a->pt, a->pl, a->pb, a->pr, a->groups, a->count_include_pad, n->pad_c0, n->pad_c1};
    const float real[] = {n->lo, n->hi, n->eps, n->bn_momentum};
    espl_hash_string(h, n->name);
    espl_hash_update(h, attr, sizeof attr);
    espl_hash_update(h, real, sizeof real);
    espl_hash_update(h, n->input, (size_t)n->inputs * sizeof *n->input);
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      const espl_param *p = n->param[k];
      espl_hash_u64(h, p ? (uint64_t)p->elems + 1 : 0);
      if (p) espl_hash_update(h, p->value, (size_t)p->elems * sizeof *p->value);
      if (p && p->mask) espl_hash_update(h, p->mask, (size_t)p->elems * sizeof *p->mask);
    }
  }
}

static void hash_config(espl_hash *h, const espl_preprocess *pp, const espl_train_config *c) {
  const double real[] = {c->epochs, (double)c->lr, (double)c->momentum, (double)c->weight_decay, (double)c->beta2, (double)c->warmup_epochs,
                         (double)c->step_factor, (double)c->clip_norm, (double)c->ema, (double)c->label_smoothing, (double)c->distill};
  const int64_t whole[] = {c->batch, c->optimizer, c->schedule, c->nesterov, c->augment, c->flip, c->dtype, c->milestones, pp->raw};
  espl_hash_update(h, real, sizeof real);
  espl_hash_update(h, whole, sizeof whole);
  espl_hash_update(h, c->milestone, (size_t)c->milestones * sizeof *c->milestone);
  espl_hash_update(h, pp->mean, sizeof pp->mean);
  espl_hash_update(h, pp->std, sizeof pp->std);
  espl_hash_u64(h, c->seed);
}

espl_status nn_identity(const espl_graph *g, const espl_dataset *d, const espl_preprocess *pp, const espl_train_config *c, char hex[65],
                        espl_err *err) {
  if (espl_shape_elems(d->shape) < 1) return espl_fail(err, ESPL_E_INPUT, "%s: images without pixels", d->source);
  espl_hash h;
  espl_hash_init(&h);
  hash_graph(&h, g);
  if (c->teacher) hash_graph(&h, c->teacher);
  hash_config(&h, pp, c);
  if (c->fake) {
    espl_hash_update(&h, c->fake->value, (size_t)g->nodes * sizeof *c->fake->value);
    espl_hash_update(&h, c->fake->weight_most, (size_t)g->nodes);
  }
  espl_hash_u64(&h, (uint64_t)d->n);
  espl_hash_u64(&h, (uint64_t)espl_shape_elems(d->shape));
  espl_hash_update(&h, d->labels, (size_t)d->n);
  espl_hash_update(&h, d->pixels, (size_t)d->n * (size_t)espl_shape_elems(d->shape));
  espl_hash_final_hex(&h, hex);
  return ESPL_OK;
}

/* ---- writing ---- */

/* CRC-32 continued over n bytes; the library counts in 32 bits. */
static uint32_t crc_of(uint32_t crc, const void *p, size_t n) {
  const unsigned char *b = p;
  const size_t most = (size_t)1 << 30;
  for (size_t at = 0; at < n; at += most) crc = (uint32_t)crc32(crc, b + at, (uInt)(n - at < most ? n - at : most));
  return crc;
}

typedef struct sink {
  FILE *f;
  uint32_t crc;
} sink;

static void put(sink *s, const void *p, size_t n) {
  if (n == 0) return;
  s->crc = crc_of(s->crc, p, n);
  fwrite(p, 1, n, s->f); /* a failure stays in the stream; espl_outfile_commit reports it */
}

static void put_text(sink *s, const char *text) {
  uint16_t n = (uint16_t)strlen(text);
  put(s, &n, sizeof n);
  put(s, text, n);
}

static void put_param(sink *s, const espl_param *p) {
  float *a[ARRAYS];
  uint8_t which = 0;
  arrays(p, a);
  for (int i = 0; i < ARRAYS; i++) which = (uint8_t)(which | (a[i] ? 1u << i : 0u));
  put_text(s, p->name);
  put(s, &p->elems, sizeof p->elems);
  put(s, &which, 1);
  for (int i = 0; i < ARRAYS; i++)
    if (a[i]) put(s, a[i], (size_t)p->elems * sizeof(float));
}

static uint32_t count_params(const espl_graph *g) {
  uint32_t n = 0;
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) n += g->node[i].param[k] != NULL;
  return n;
}

espl_status nn_checkpoint_write(const char *path, const espl_graph *g, const char *identity, const nn_progress *at, espl_err *err) {
  espl_outfile *f = NULL;
  ESPL_TRY(espl_outfile_open(path, &f, err));
  sink s = {.f = espl_outfile_stream(f)};
  const uint32_t head[2] = {VERSION, ORDER_TAG}, params = count_params(g);
  char here[128];
  where(here);
  put(&s, magic, sizeof magic);
  put(&s, head, sizeof head);
  put(&s, identity, 64);
  put_text(&s, here);
  put(&s, &at->step, sizeof at->step);
  put(&s, &at->loss, sizeof at->loss);
  put(&s, &at->right, sizeof at->right);
  put(&s, &at->seen, sizeof at->seen);
  put(&s, &params, sizeof params);
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++)
      if (g->node[i].param[k]) put_param(&s, g->node[i].param[k]);
  const uint32_t crc = s.crc;
  put(&s, &crc, sizeof crc);
  return espl_outfile_commit(f, err);
}

/* ---- reading ---- */

typedef struct source {
  const char *path, *p, *end;
} source;

static bool get(source *s, void *to, size_t n) {
  if ((size_t)(s->end - s->p) < n) return false;
  memcpy(to, s->p, n);
  s->p += n;
  return true;
}

static bool get_text(source *s, char out[256]) {
  uint16_t n = 0;
  if (!get(s, &n, sizeof n) || n > 255 || !get(s, out, n)) return false;
  out[n] = 0;
  return true;
}

/* Compares (take false) or copies (take true) one param; the arrays in the file must be those that the training has. */
static espl_status get_param(source *s, espl_param *p, bool take, espl_err *err) {
  char name[256];
  int64_t elems = 0;
  uint8_t which = 0, want = 0;
  float *a[ARRAYS];
  arrays(p, a);
  for (int i = 0; i < ARRAYS; i++) want = (uint8_t)(want | (a[i] ? 1u << i : 0u));
  if (!get_text(s, name) || !get(s, &elems, sizeof elems) || !get(s, &which, 1))
    return espl_fail(err, ESPL_E_INPUT, "%s: ends inside a parameter", s->path);
  if (strncmp(name, p->name, 255) != 0 || elems != p->elems || which != want)
    return espl_fail(err, ESPL_E_INPUT, "%s: holds %s with %lld elements, expected %s with %lld", s->path, name, (long long)elems, p->name,
                     (long long)p->elems);
  const size_t bytes = (size_t)elems * sizeof(float);
  for (int i = 0; i < ARRAYS; i++) {
    if (!a[i]) continue;
    if ((size_t)(s->end - s->p) < bytes) return espl_fail(err, ESPL_E_INPUT, "%s: ends inside %s", s->path, name);
    if (take) memcpy(a[i], s->p, bytes);
    s->p += bytes;
  }
  return ESPL_OK;
}

static espl_status get_params(source s, espl_graph *g, bool take, espl_err *err) {
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++)
      if (g->node[i].param[k]) ESPL_TRY(get_param(&s, g->node[i].param[k], take, err));
  if (s.p != s.end) return espl_fail(err, ESPL_E_INPUT, "%s: %zu bytes too many", s.path, (size_t)(s.end - s.p));
  return ESPL_OK;
}

static espl_status get_head(source *s, const espl_graph *g, const char *identity, int elsewhere, nn_progress *at, espl_err *err) {
  char found[8], made_for[65] = "", made_at[256], here[128];
  uint32_t head[2] = {0}, params = 0;
  if (!get(s, found, sizeof found) || memcmp(found, magic, sizeof magic) != 0)
    return espl_fail(err, ESPL_E_INPUT, "%s: not a checkpoint of a training", s->path);
  if (!get(s, head, sizeof head) || head[0] != VERSION || head[1] != ORDER_TAG)
    return espl_fail(err, ESPL_E_INPUT, "%s: version %u of the format or another byte order, expected version %u", s->path, head[0], VERSION);
  if (!get(s, made_for, 64) || !get_text(s, made_at) || !get(s, &at->step, sizeof at->step) || !get(s, &at->loss, sizeof at->loss) ||
      !get(s, &at->right, sizeof at->right) || !get(s, &at->seen, sizeof at->seen) || !get(s, &params, sizeof params))
    return espl_fail(err, ESPL_E_INPUT, "%s: ends inside its header", s->path);
  if (strcmp(made_for, identity) != 0)
    return espl_fail(err, ESPL_E_INPUT, "%s: belongs to another training (network, data or settings differ); remove it or name another file", s->path);
  where(here);
  if (!elsewhere && strcmp(made_at, here) != 0)
    return espl_fail(err, ESPL_E_INPUT, "%s: made with %s, here are %s, so the result would not be that of an uninterrupted training "
                     "(--resume-elsewhere continues anyway)", s->path, made_at, here);
  if (params != count_params(g)) return espl_fail(err, ESPL_E_INPUT, "%s: %u parameters, expected %u", s->path, params, count_params(g));
  return ESPL_OK;
}

static espl_status read_all(const char *path, const char *data, size_t n, espl_graph *g, const char *identity, int elsewhere, nn_progress *at,
                            espl_err *err) {
  uint32_t crc = 0;
  nn_progress read = {0};
  if (n < sizeof crc + sizeof magic || memcmp(data, magic, sizeof magic) != 0)
    return espl_fail(err, ESPL_E_INPUT, "%s: not a checkpoint of a training", path);
  n -= sizeof crc;
  memcpy(&crc, data + n, sizeof crc);
  const uint32_t sum = crc_of(0, data, n);
  if (sum != crc) return espl_fail(err, ESPL_E_INPUT, "%s: damaged or cut off (checksum %08x, expected %08x)", path, sum, crc);
  source src = {path, data, data + n};
  ESPL_TRY(get_head(&src, g, identity, elsewhere, &read, err));
  ESPL_TRY(get_params(src, g, false, err));
  ESPL_TRY(get_params(src, g, true, err));
  *at = read;
  return ESPL_OK;
}

espl_status nn_checkpoint_read(const char *path, espl_graph *g, const char *identity, int elsewhere, nn_progress *at, espl_err *err) {
  char *data = NULL;
  size_t n = 0;
  ESPL_TRY(espl_read_file(path, LIMIT_BYTES, &data, &n, err));
  espl_status s = read_all(path, data, n, g, identity, elsewhere, at, err);
  free(data);
  return s;
}
