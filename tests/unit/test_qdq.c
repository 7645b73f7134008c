/* Quantized ONNX files: written and read again they give the same integers; an interpreter in double arithmetic agrees with them; files
 * of the same pattern from elsewhere; damaged files and files without a rule of the machine. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/text.h"
#include "data/data.h"
#include "nn_graphs.h"
#include "onnx/onnx.h"
#include "onnx/qdq.h"
#include "qdq_float.h"
#include "quant/given.h"

static char dir[SCRATCH], file[SCRATCH_FILE];

static void make_dir(void) {
  scratch_folder(dir, "espl-qdq");
  snprintf(file, sizeof file, "%s/q.onnx", dir);
}
static void remove_dir(void) {
  cr_assert_eq(scratch_remove(dir), 0);
}

TestSuite(qdq, .init = make_dir, .fini = remove_dir, .timeout = 400);

/* ---- the same integers ---- */

static void expect_layer(const espl_qlayer *a, const espl_qlayer *b, bool was_batchnorm) {
  int64_t n = (int64_t)a->in_c * a->kh * a->kw;
  cr_assert_str_eq(a->name, b->name);
  const int32_t *x = &a->in_c, *y = &b->in_c;
  cr_assert(a->in == b->in && a->out == b->out && a->res == b->res && a->onehot == b->onehot, "%s", a->name);
  for (int k = 0; k < 12; k++) cr_assert_eq(x[k], y[k], "%s: extent %d is %d, was %d", a->name, k, (int)y[k], (int)x[k]); /* in_c ... pr */
  cr_assert(a->conv_h == b->conv_h && a->conv_w == b->conv_w, "%s", a->name);
  cr_assert(was_batchnorm || (a->groups == b->groups && a->macs == b->macs && a->macs_dense == b->macs_dense), "%s", a->name);
  cr_assert(a->zo == b->zo && a->lo == b->lo && a->hi == b->hi && a->zr == b->zr, "%s", a->name);
  cr_assert(a->pool == b->pool && a->win_h == b->win_h && a->win_w == b->win_w && a->psy == b->psy && a->psx == b->psx && a->ppt == b->ppt && a->ppl == b->ppl, "%s", a->name);
  cr_assert(a->pool_zo == b->pool_zo && a->pool_shift == b->pool_shift && a->pool_fixed == b->pool_fixed, "%s", a->name);
  cr_assert(memcmp(a->pool_m, b->pool_m, sizeof a->pool_m) == 0 && a->vscale == b->vscale, "%s", a->name);
  if (!a->onehot) cr_assert(memcmp(a->w, b->w, (size_t)(n * a->out_c)) == 0, "%s: weights", a->name);
  for (int32_t o = 0; o < a->out_c; o++) {
    const espl_qparam *p = &a->par[o], *q = &b->par[o];
    cr_assert(p->bias == q->bias && p->m == q->m && p->s == q->s && p->mr == q->mr && p->l == q->l, "%s channel %d: %d %d>>%d %d<<%d, was %d %d>>%d %d<<%d", a->name, (int)o, (int)q->bias,
              q->m, q->s, q->mr, q->l, (int)p->bias, p->m, p->s, p->mr, p->l);
  }
}

static void expect_same(const espl_graph *g, const espl_qnet *a, const espl_graph *h, const espl_qnet *b) {
  cr_assert(a->layers == b->layers && a->tensors == b->tensors && a->output == b->output, "%d layers, were %d", (int)b->layers, (int)a->layers);
  cr_assert_str_eq(g->input_name, h->input_name);
  cr_assert_str_eq(g->output_name, h->output_name);
  for (int32_t i = 0; i < a->tensors; i++) {
    const espl_qtensor *x = &a->tensor[i], *y = &b->tensor[i];
    cr_assert(x->scale == y->scale && x->zero == y->zero && memcmp(&x->shape, &y->shape, sizeof x->shape) == 0, "tensor %d", (int)i);
  }
  for (int32_t i = 0; i < a->layers; i++) expect_layer(&a->layer[i], &b->layer[i], g->node[a->layer[i].node].op == ESPL_OP_BATCHNORM);
}

typedef struct pair {
  espl_graph *g, *h; /* the float one; the one read from the file */
  espl_qnet *q, *r;
  espl_dataset *d;   /* NULL: random images */
  espl_preprocess pp;
} pair;

/* Quantizes p->g, writes, reads, compares. */
static void write_and_read(pair *p) {
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  cfg.calib_images = 50;
  OK(espl_quantize(p->g, p->d, &p->pp, &cfg, &p->q, &err));
  OK(espl_qdq_write(p->g, p->q, file, &err));
  OK(espl_qdq_read(file, &p->h, &p->r, &err));
  cr_assert_not_null(p->r);
  expect_same(p->g, p->q, p->h, p->r);
}

static void end(pair *p) {
  espl_graph_free(p->g);
  espl_graph_free(p->h);
  espl_qnet_free(p->q);
  espl_qnet_free(p->r);
  espl_data_free(p->d);
}

static void image(const pair *p, int32_t k, float *x) {
  int64_t n = espl_shape_elems(p->g->node[0].shape);
  if (p->d) espl_data_image(p->d, k, &p->pp, 0, 0, x);
  else
    for (int64_t i = 0; i < n; i++) x[i] = 4 * espl_rng_unit(11, (uint64_t)k, (uint64_t)i) - 2;
}

/* ---- a second opinion in double arithmetic ---- */

typedef struct watch {
  const espl_graph *h;
  const espl_qnet *q;
  espl_qexec *x;
  int8_t *room;
  int64_t values, near; /* compared; of them more than half a step away by rounding of the multiplier */
  double most, pooled;  /* largest distance of a real value to ours, in steps: of layers without and with pooling */
} watch;

static int32_t tensor_named(const watch *t, const char *name) {
  for (int32_t i = t->q->tensors - 1; i >= 0; i--)
    if (t->q->tensor[i].node >= 0 && strcmp(t->h->node[t->q->tensor[i].node].name, name) == 0) return i;
  return -1;
}

/* Compares our value with the real number that the layer should have rounded, then goes on with ours: no error is carried on. */
static const int8_t *compare(void *ctx, const char *name, const qf_value *real, double scale, double zero) {
  watch *t = ctx;
  size_t n = strlen(name);
  char base[256];
  bool out = n > 5 && strcmp(name + n - 5, ".real") == 0; /* the output's own name belongs to its dequantized value */
  snprintf(base, sizeof base, "%.*s", (int)(out ? n - 5 : n), name);
  int32_t i = tensor_named(t, base);
  if (i < 0) return NULL;
  OK(espl_qexec_tensor(t->x, i, t->room, &err));
  bool pooled = false;
  for (int32_t j = 0; j < t->q->layers; j++) pooled = pooled || (t->q->layer[j].out == i && t->q->layer[j].pool != ESPL_QPOOL_NONE);
  double *most = pooled ? &t->pooled : &t->most;
  for (int64_t k = 0; k < real->elems; k++) {
    double d = fabs(fmin(127, fmax(-128, real->v[k] / scale + zero)) - t->room[k]);
    t->values++;
    t->near += d > 0.5;
    *most = fmax(*most, d);
  }
  return t->room;
}

typedef struct tally {
  int64_t values, equal, within_one;
} tally;

/* Runs `images` images through both files' integers and `checked` of them through the interpreter. */
static void run_images(const pair *p, int32_t images, int32_t checked) {
  int64_t n = espl_shape_elems(p->g->node[0].shape), room = 0;
  const espl_qtensor *o = &p->q->tensor[p->q->output];
  int32_t classes = o->shape.c;
  float *x = malloc((size_t)n * sizeof *x);
  int8_t *in = malloc((size_t)n), a[64], b[64];
  espl_qexec *u = NULL, *v = NULL;
  qf_net t;
  for (int32_t i = 0; i < p->r->tensors; i++) room = room > espl_shape_elems(p->r->tensor[i].shape) ? room : espl_shape_elems(p->r->tensor[i].shape);
  watch w = {.h = p->h, .q = p->r, .room = malloc((size_t)room)};
  tally c = {0};
  cr_assert_leq(classes, 64);
  OK(espl_qexec_new(p->q, 1, &u, &err));
  OK(espl_qexec_new(p->r, 1, &v, &err));
  OK(espl_qexec_keep(v, &err));
  qf_open(&t, file);
  w.x = v;
  for (int32_t k = 0; k < images; k++) {
    image(p, k, x);
    espl_qnet_input(p->q, x, in);
    OK(espl_qexec_run(u, 1, in, a, &err));
    espl_qnet_input(p->r, x, in);
    OK(espl_qexec_run(v, 1, in, b, &err));
    cr_assert(memcmp(a, b, (size_t)classes) == 0, "image %d", (int)k);
    for (int pass = 0; k < checked && pass < 2; pass++) { /* on its own, then layer by layer */
      t.hook = pass ? compare : NULL;
      t.ctx = &w;
      const qf_value *y = qf_run(&t, x, p->g->node[0].shape);
      cr_assert_eq(y->elems, classes);
      for (int32_t j = 0; !pass && j < classes; j++) {
        double d = nearbyint(y->v[j] / (double)o->scale) + o->zero - a[j];
        c.values++;
        c.equal += d == 0;
        c.within_one += fabs(d) <= 1;
      }
    }
  }
  printf("%s: %lld logits of %d images, %.2f %% equal, %.2f %% within 1; layer by layer %lld values, %.4f %% more than half a step away, at most %.4f, behind pooling %.4f\n", p->g->name,
         (long long)c.values, (int)checked, 100.0 * (double)c.equal / (double)c.values, 100.0 * (double)c.within_one / (double)c.values, (long long)w.values,
         100.0 * (double)w.near / (double)w.values, w.most, w.pooled);
  cr_expect_geq((double)c.within_one, 0.99 * (double)c.values);
  /* a layer differs from the real value by its rounding (1/2, halves up here and to even there) and by its 16-bit multipliers: 2^-16
   * of at most 255 steps, twice with a residual. What a layer pools was rounded by the interpreter, where a half may be one step off. */
  cr_expect_leq(w.most, 0.5 + 2 * 255.0 / 65536);
  cr_expect_leq(w.pooled, 1.0 + 2 * 255.0 / 65536);
  cr_expect_lt((double)w.near, 0.002 * (double)w.values);
  qf_close(&t);
  espl_qexec_free(u);
  espl_qexec_free(v);
  free(w.room);
  free(x);
  free(in);
}

static void check_with_onnx(void) {
  if (system("/usr/bin/python3 -c 'import onnx' 2>/dev/null") != 0) return;
  char cmd[SCRATCH_COMMAND];
  snprintf(cmd, sizeof cmd, "/usr/bin/python3 -c \"import onnx; onnx.checker.check_model(onnx.load('%s'), full_check=True)\"", file);
  cr_expect_eq(system(cmd), 0, "the ONNX checker refuses the file");
}

/* ---- networks ---- */

Test(qdq, resnet8_builtin) {
  pair p = {0};
  OK(espl_onnx_read("models/resnet8-builtin.onnx", &p.g, &err));
  OK(espl_preprocess_from_json(&p.pp, p.g->preprocess, &err));
  OK(espl_data_open("builtin", ESPL_SPLIT_VAL, 1, &p.d, &err));
  write_and_read(&p);
  cr_expect_str_eq(p.g->preprocess, p.h->preprocess);
  cr_expect_str_eq(p.g->history, p.h->history);
  check_with_onnx();
  run_images(&p, 100, 40);
  end(&p);
}

static void shared_network(pair *p, const char *model, const char *data) {
  const char *root = getenv("ESPL_SHARED");
  char *m = espl_format("%s/models/%s", root ? root : "../shared", model), *d = espl_format("%s/data/%s", root ? root : "../shared", data);
  if (access(m, R_OK) || access(d, R_OK)) cr_skip_test("%s or %s is absent (set ESPL_SHARED)", m, d);
  OK(espl_onnx_read(m, &p->g, &err));
  OK(espl_data_open(d, ESPL_SPLIT_TEST, 1, &p->d, &err)); /* the smallest file to unpack */
  free(m);
  free(d);
}

Test(qdq, mnist8) {
  pair p = {.pp = {.raw = 1, .std = {1, 1, 1, 1}}};
  shared_network(&p, "mnist-8.onnx", "mnist");
  write_and_read(&p);
  check_with_onnx();
  run_images(&p, 100, 100);
  end(&p);
}

Test(qdq, resnet20) {
  pair p = {.pp = {.mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f, 1}}};
  shared_network(&p, "resnet20_cifar10.onnx", "cifar-10-batches-bin");
  write_and_read(&p);
  check_with_onnx();
  run_images(&p, 100, 20);
  end(&p);
}

/* Negative and zero BatchNorm scales, a BatchNorm alone, depthwise, clips, option-A shortcut, concatenation, clamps behind a maximum,
 * averages with padding left out and counted, additions alone, a fully connected layer over an image. */
static espl_graph *mixed(void) {
  espl_graph *g = start(3, 12, 12);
  int a = op(g, ESPL_OP_CLIP, bn(g, conv(g, 0, 16, k3, false)));
  g->node[a].lo = 0, g->node[a].hi = 3;
  for (int k = 0; k < 4; k++) g->node[a - 1].param[ESPL_PARAM_GAMMA]->value[k] = k ? -0.7f : 0;
  espl_conv_attr deep = k3;
  deep.groups = 16;
  int d = op(g, ESPL_OP_RELU, bn(g, conv(g, a, 16, deep, true)));
  int e = add(g, a, d);
  espl_conv_attr wide = k3;
  wide.sh = wide.sw = 2;
  int main = bn(g, conv(g, e, 24, wide, false));
  int sub = node(g, (espl_node){.op = ESPL_OP_SUBSAMPLE, .inputs = 1, .input = {e}, .conv = {.sh = 2, .sw = 2}});
  int padded = node(g, (espl_node){.op = ESPL_OP_PADCHANNELS, .inputs = 1, .input = {sub}, .pad_c0 = 4, .pad_c1 = 4});
  int f = op(g, ESPL_OP_RELU, add(g, main, padded));
  int small = conv(g, f, 8, (espl_conv_attr){.kh = 1, .kw = 1}, true);
  int h = node(g, (espl_node){.op = ESPL_OP_CONCAT, .inputs = 2, .input = {f, small}});
  int i = op(g, ESPL_OP_RELU, bn(g, h));
  i = pool(g, ESPL_OP_MAXPOOL, i, 3, 1, 1, 1, false);
  i = op(g, ESPL_OP_RELU, pool(g, ESPL_OP_MAXPOOL, conv(g, i, 20, k3, true), 2, 1, 0, 1, false));
  i = pool(g, ESPL_OP_AVGPOOL, i, 3, 2, 1, 1, false);
  i = pool(g, ESPL_OP_AVGPOOL, conv(g, i, 12, k3, false), 2, 1, 0, 0, true);
  i = op(g, ESPL_OP_IDENTITY, i);
  i = node(g, (espl_node){.op = ESPL_OP_FLATTEN, .inputs = 1, .input = {i}});
  node(g, (espl_node){.op = ESPL_OP_SOFTMAX, .inputs = 1, .input = {gemm(g, i, 7)}});
  return g;
}

Test(qdq, every_operator_comes_back) {
  pair p = {.g = mixed()};
  write_and_read(&p);
  check_with_onnx();
  cr_expect_eq(p.h->node[p.h->output].op, ESPL_OP_SOFTMAX);
  for (int32_t i = 1; i < p.h->nodes; i++) cr_expect_neq(p.h->node[i].op, ESPL_OP_BATCHNORM, "%s", p.h->node[i].name);
  end(&p);
}

Test(qdq, every_operator_follows_double) {
  pair p = {.g = mixed()};
  OK(espl_graph_remove(p.g, p.g->output, 0, &err)); /* logits, not classes */
  write_and_read(&p);
  run_images(&p, 20, 20);
  end(&p);
}

/* What was read can be written again: the second file gives the same integers. */
Test(qdq, read_write_read) {
  pair p = {.g = mixed()};
  write_and_read(&p);
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  OK(espl_qdq_write(p.h, p.r, file, &err));
  OK(espl_qdq_read(file, &g, &q, &err));
  expect_same(p.h, p.r, g, q);
  espl_graph_free(g);
  espl_qnet_free(q);
  end(&p);
}

Test(qdq, float_networks_have_no_integers) {
  espl_graph *g = mixed(), *h = NULL;
  espl_qnet *q = NULL;
  OK(espl_onnx_write(g, file, &err));
  OK(espl_qdq_read(file, &h, &q, &err));
  cr_expect_null(q);
  cr_expect_eq(h->nodes, g->nodes);
  espl_graph_free(g);
  espl_graph_free(h);
}

Test(qdq, reading_as_float_is_refused) {
  pair p = {.g = mixed()};
  write_and_read(&p);
  espl_graph *g = NULL;
  cr_expect_eq(espl_onnx_read(file, &g, &err), ESPL_E_UNSUPPORTED);
  cr_expect_not_null(strstr(err.msg, "quantized network"), "%s", err.msg);
  cr_expect_null(g);
  end(&p);
}

/* ---- files from elsewhere, made by editing one of ours ---- */

static Onnx__ModelProto *unpack(void) {
  char *data = NULL;
  size_t n = 0;
  OK(espl_read_file(file, 1 << 24, &data, &n, &err));
  Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, n, (uint8_t *)data);
  cr_assert_not_null(m);
  free(data);
  return m;
}

static void pack(const Onnx__ModelProto *m) {
  size_t n = onnx__model_proto__get_packed_size(m);
  uint8_t *data = malloc(n);
  onnx__model_proto__pack(m, data);
  OK(espl_write_file(file, data, n, &err));
  free(data);
}

static Onnx__TensorProto *tensor(const Onnx__ModelProto *m, const char *name) {
  for (size_t k = 0; k < m->graph->n_initializer; k++)
    if (strcmp(m->graph->initializer[k]->name, name) == 0) return m->graph->initializer[k];
  cr_assert_fail("no tensor %s", name);
  return NULL;
}

static Onnx__NodeProto *made(const Onnx__ModelProto *m, const char *output) {
  for (size_t k = 0; k < m->graph->n_node; k++)
    if (strcmp(m->graph->node[k]->output[0], output) == 0) return m->graph->node[k];
  cr_assert_fail("no node %s", output);
  return NULL;
}

/* uint8 activations (zero points 128 higher) and uint8 weights (zero point 128) mean the same integers. */
Test(qdq, unsigned_bytes_mean_the_same) {
  pair p = {.g = mixed()};
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  write_and_read(&p);
  Onnx__ModelProto *m = unpack();
  int changed = 0;
  for (size_t k = 0; k < m->graph->n_initializer; k++) {
    Onnx__TensorProto *t = m->graph->initializer[k];
    if (t->data_type != ONNX__TENSOR_PROTO__DATA_TYPE__INT8) continue;
    t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
    for (size_t j = 0; j < t->raw_data.len; j++) t->raw_data.data[j] ^= 0x80;
    changed++;
  }
  cr_assert_gt(changed, 20);
  pack(m);
  check_with_onnx();
  OK(espl_qdq_read(file, &g, &q, &err));
  expect_same(p.g, p.q, g, q);
  onnx__model_proto__free_unpacked(m, NULL);
  espl_graph_free(g);
  espl_qnet_free(q);
  end(&p);
}

/* A 1x1 convolution of 4 channels with numbers for closed forms: x scale 1/2 zero 3, w scale 1/4, y scale 2 zero -5, then a mean. */
static void tiny_file(void) {
  espl_graph *g = start(2, 4, 4);
  espl_qgiven *v = NULL;
  espl_graph *folded = NULL;
  espl_qnet *q = NULL;
  int c = conv(g, 0, 4, (espl_conv_attr){.kh = 1, .kw = 1}, true);
  node(g, (espl_node){.op = ESPL_OP_GLOBALAVGPOOL, .inputs = 1, .input = {c}});
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  OK(espl_quantize(g, NULL, NULL, &cfg, &q, &err));
  OK(espl_qgiven_of(g, q, &folded, &v, &err));
  cr_assert(espl_qgiven_has(v, 0) && espl_qgiven_has(v, 1) && espl_qgiven_has(v, 2));
  OK(espl_qdq_write(g, q, file, &err));
  espl_qgiven_free(v);
  espl_graph_free(folded);
  espl_graph_free(g);
  espl_qnet_free(q);
  Onnx__ModelProto *m = unpack();
  static const struct { const char *name; float scale; int8_t zero; } set[] = {{"input", 0.5f, 3}, {"conv_1", 2, -5}, {"globalavgpool_2", 1, 7}};
  for (int k = 0; k < 3; k++) {
    char name[64];
    snprintf(name, sizeof name, "%s.scale", set[k].name);
    memcpy(tensor(m, name)->raw_data.data, &set[k].scale, 4);
    snprintf(name, sizeof name, "%s.zero_point", set[k].name);
    tensor(m, name)->raw_data.data[0] = (uint8_t)set[k].zero;
  }
  static const int8_t w[8] = {1, 2, -3, 4, -128, 127, 0, 0};
  static const int32_t bias[4] = {100, -100, 0, 77};
  const float ws = 0.25f, bs = 0.125f;
  memcpy(tensor(m, "conv_1.weight.quantized")->raw_data.data, w, 8);
  memcpy(tensor(m, "conv_1.bias.quantized")->raw_data.data, bias, 16);
  for (int k = 0; k < 4; k++) {
    memcpy(tensor(m, "conv_1.weight.scale")->raw_data.data + 4 * k, &ws, 4);
    memcpy(tensor(m, "conv_1.bias.scale")->raw_data.data + 4 * k, &bs, 4);
  }
  pack(m);
  onnx__model_proto__free_unpacked(m, NULL);
}

Test(qdq, numbers_in_closed_form) {
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  tiny_file();
  OK(espl_qdq_read(file, &g, &q, &err));
  cr_assert_eq(q->layers, 1);
  const espl_qlayer *l = &q->layer[0];
  static const int32_t sum[4] = {3, 1, -1, 0}, bias[4] = {100, -100, 0, 77};
  for (int o = 0; o < 4; o++) {
    cr_expect_eq(l->par[o].bias, bias[o] - 3 * sum[o]);
    cr_expect(l->par[o].m == 32768 && l->par[o].s == 19, "1/2 * 1/4 / 2 = 2^-4: %d >> %d", l->par[o].m, l->par[o].s);
  }
  cr_expect_eq(l->w[4], -128);
  cr_expect(l->zo == -5 && l->lo == -128 && l->hi == 127 && q->tensor[0].zero == 3 && q->tensor[0].scale == 0.5f);
  cr_expect(l->pool == ESPL_QPOOL_AVG && l->pool_zo == 7 && l->pool_m[0] == 32768 && l->pool_shift == 18, "2/1/16 = 2^-3");
  espl_graph_free(g);
  espl_qnet_free(q);
}

/* One scale for all weights; a bias in another unit is rounded to ours: 40 * 0.3 / 0.125 = 96. */
Test(qdq, one_scale_for_all_channels) {
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  tiny_file();
  Onnx__ModelProto *m = unpack();
  const float bs = 0.3f;
  const int32_t forty = 40;
  Onnx__TensorProto *s = tensor(m, "conv_1.weight.scale"), *z = tensor(m, "conv_1.weight.zero_point");
  s->n_dims = z->n_dims = 0;
  s->raw_data.len = 4;
  z->raw_data.len = 1;
  memcpy(tensor(m, "conv_1.bias.scale")->raw_data.data, &bs, 4);
  memcpy(tensor(m, "conv_1.bias.quantized")->raw_data.data, &forty, 4);
  pack(m);
  OK(espl_qdq_read(file, &g, &q, &err));
  cr_expect_eq(q->layer[0].par[0].bias, 96 - 3 * 3);
  cr_expect_eq(q->layer[0].par[3].bias, 77);
  cr_expect_eq(q->layer[0].wscale[3], 0.25f);
  onnx__model_proto__free_unpacked(m, NULL);
  espl_graph_free(g);
  espl_qnet_free(q);
}

/* A pair between convolution and clamp: the clamp becomes a layer of its own, which must not be absorbed across the rounding. */
Test(qdq, nothing_is_absorbed_across_a_pair) {
  espl_graph *g = start(2, 4, 4);
  espl_qgiven *v = espl_qgiven_new();
  espl_qnet *q = NULL;
  int c = conv(g, 0, 4, (espl_conv_attr){.kh = 1, .kw = 1}, false), d = conv(g, 0, 4, (espl_conv_attr){.kh = 1, .kw = 1}, false);
  int top = op(g, ESPL_OP_GLOBALAVGPOOL, op(g, ESPL_OP_RELU, add(g, c, d)));
  for (int i = 0; i <= top; i++) {
    espl_qnote *n = espl_qgiven_note(v, i);
    *n = (espl_qnote){.quantized = i != 3, .scale = 0.5f, .zero = i == 4 ? -128 : 1}; /* all but the sum */
    if (i != c && i != d) continue;
    n->w = calloc(8, 1);
    n->wscale = calloc(4, sizeof(float));
    for (int k = 0; k < 4; k++) n->w[k] = 1, n->wscale[k] = 1;
  }
  OK(espl_quantize_given(g, v, &q, &err));
  cr_assert_eq(q->layers, 4, "two convolutions, addition with ReLU, mean: %d", (int)q->layers);
  cr_expect(q->layer[2].onehot && q->layer[2].res >= 0 && q->layer[2].lo == -128 && q->layer[0].res < 0 && q->layer[1].res < 0);
  espl_qgiven_free(v);
  espl_graph_free(g);
  espl_qnet_free(q);
}

/* ---- refusals ---- */

static void expect_refusal(const Onnx__ModelProto *m, const char *node_name, const char *why) {
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  memset(&err, 0, sizeof err);
  pack(m);
  espl_status s = espl_qdq_read(file, &g, &q, &err);
  cr_expect(s == ESPL_E_UNSUPPORTED || s == ESPL_E_INPUT, "status %d", (int)s);
  cr_expect(strstr(err.msg, node_name) && strstr(err.msg, why), "'%s' names neither %s nor '%s'", err.msg, node_name, why);
  cr_expect(!g && !q);
}

#define EDIT(name) \
  static void edit_##name(Onnx__ModelProto *m); \
  Test(qdq, refuses_##name) { \
    tiny_file(); \
    Onnx__ModelProto *m = unpack(); \
    edit_##name(m); \
    onnx__model_proto__free_unpacked(m, NULL); \
  } \
  static void edit_##name(Onnx__ModelProto *m)

EDIT(a_scale_that_is_not_positive) {
  memset(tensor(m, "conv_1.scale")->raw_data.data, 0, 4);
  expect_refusal(m, "conv_1.quantized", "its scale is 0");
  const float nan = NAN;
  memcpy(tensor(m, "conv_1.scale")->raw_data.data, &nan, 4);
  expect_refusal(m, "conv_1.quantized", "its scale is");
}

EDIT(weights_that_are_not_symmetric) {
  tensor(m, "conv_1.weight.zero_point")->raw_data.data[1] = (uint8_t)-126;
  expect_refusal(m, "conv_1", "minus the zero point is 130");
}

EDIT(scales_along_inputs) {
  Onnx__NodeProto *n = made(m, "conv_1.weight");
  n->attribute[0]->i = 1;
  Onnx__TensorProto *s = tensor(m, "conv_1.weight.scale"), *z = tensor(m, "conv_1.weight.zero_point");
  s->dims[0] = z->dims[0] = 2;
  s->raw_data.len = 8;
  z->raw_data.len = 2;
  expect_refusal(m, "conv_1", "scales along axis 1");
}

EDIT(scales_of_another_count) {
  Onnx__TensorProto *s = tensor(m, "conv_1.weight.scale");
  s->dims[0] = 3;
  s->raw_data.len = 12;
  expect_refusal(m, "conv_1.weight", "3 scales do not fit axis 0");
}

static void rename_input(Onnx__NodeProto *n, size_t k, const char *name) {
  free(n->input[k]);
  n->input[k] = strdup(name);
}

EDIT(float_weights) {
  Onnx__TensorProto *t = tensor(m, "conv_1.weight.quantized");
  t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
  t->raw_data.len = 32;
  free(t->raw_data.data);
  t->raw_data.data = calloc(32, 1);
  rename_input(made(m, "conv_1"), 1, "conv_1.weight.quantized");
  Onnx__NodeProto *n = made(m, "conv_1.weight"); /* goes on with the bias */
  rename_input(n, 0, "conv_1.bias.quantized");
  free(n->input[--n->n_input]);
  expect_refusal(m, "conv_1", "its weights are not quantized");
}

EDIT(a_value_without_scale) {
  rename_input(made(m, "globalavgpool_2.real"), 0, "conv_1");
  expect_refusal(m, "conv_1", "is read both quantized and unquantized");
}

EDIT(an_average_of_unrounded_values) {
  rename_input(made(m, "globalavgpool_2.real"), 0, "conv_1");
  rename_input(made(m, "conv_1.quantized"), 0, "input.dequantized");
  expect_refusal(m, "conv_1.quantized", "a second time in another way");
  rename_input(made(m, "conv_1.quantized"), 1, "input.scale");
  rename_input(made(m, "conv_1.quantized"), 2, "input.zero_point");
  rename_input(made(m, "conv_1.dequantized"), 1, "input.scale");
  rename_input(made(m, "conv_1.dequantized"), 2, "input.zero_point");
  expect_refusal(m, "conv_1", "the file does not quantize it");
}

EDIT(readers_of_bytes) {
  rename_input(made(m, "globalavgpool_2.real"), 0, "conv_1.quantized");
  expect_refusal(m, "globalavgpool_2", "only DequantizeLinear may");
}

EDIT(other_scales_on_the_way_back) {
  rename_input(made(m, "conv_1.dequantized"), 1, "input.scale");
  expect_refusal(m, "conv_1.dequantized", "another scale or zero point");
}

EDIT(values_of_16_bits) {
  Onnx__TensorProto *z = tensor(m, "conv_1.zero_point");
  z->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__UINT16;
  free(z->raw_data.data);
  z->raw_data.data = calloc(2, 1);
  z->raw_data.len = 2;
  expect_refusal(m, "conv_1.quantized", "int8 and uint8 are supported");
}

EDIT(a_quantized_output) {
  free(m->graph->output[0]->name);
  m->graph->output[0]->name = strdup("globalavgpool_2.quantized");
  m->graph->output[0]->type->tensor_type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT8;
  expect_refusal(m, "globalavgpool_2.quantized", "a DequantizeLinear must stand before it");
}

EDIT(multipliers_above_the_machine) {
  const float tiny_scale = 1e-9f;
  memcpy(tensor(m, "conv_1.scale")->raw_data.data, &tiny_scale, 4);
  expect_refusal(m, "conv_1", "the machine takes less than 32768");
}

/* A file cut anywhere inside its graph is refused; one with any byte changed is refused or read, without a crash. */
Test(qdq, damaged_files) {
  char *data = NULL;
  size_t n = 0;
  tiny_file();
  OK(espl_read_file(file, 1 << 24, &data, &n, &err));
  for (size_t k = 0; k < n; k++) {
    espl_graph *g = NULL;
    espl_qnet *q = NULL;
    OK(espl_write_file(file, data, k, &err));
    espl_status s = espl_qdq_read(file, &g, &q, &err);
    cr_assert_neq(s, ESPL_OK, "cut after %zu of %zu bytes", k, n);
      cr_assert(err.msg[0] && !g && !q);
  }
  int read = 0;
  for (size_t k = 0; k < n; k++) {
    espl_graph *g = NULL;
    espl_qnet *q = NULL;
    char was = data[k];
    data[k] = (char)(uint8_t)(was ^ (1 << espl_rng_below(3, 4, k, 8)));
    OK(espl_write_file(file, data, n, &err));
    espl_status s = espl_qdq_read(file, &g, &q, &err);
    cr_assert(s == ESPL_OK || s == ESPL_E_INPUT || s == ESPL_E_UNSUPPORTED, "byte %zu: status %d %s", k, (int)s, err.msg);
    read += s == ESPL_OK;
    data[k] = was;
    espl_graph_free(g);
    espl_qnet_free(q);
  }
  cr_expect(read > 0 && read < (int)n, "%d of %zu", read, n);
  free(data);
}
