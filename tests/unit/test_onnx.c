/* ONNX: networks of other people read, written and read again; small files built here for single rules; damaged files. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/text.h"
#include "graph/zoo.h"
#include "onnx.pb-c.h"
#include "nn/nn.h"
#include "onnx/onnx.h"
#include "onnx/program.h"
#include "quant/qnet.h"

#define OK(expr) cr_assert_eq((expr), ESPL_OK, "%s", err.msg)

static char dir[64], file[96];
static espl_arena *room;

static void make_dir(void) {
  strcpy(dir, "/tmp/espl-onnx-XXXXXX");
  cr_assert_not_null(mkdtemp(dir));
  snprintf(file, sizeof file, "%s/t.onnx", dir);
  room = espl_arena_new(16 << 20);
}
static void remove_dir(void) {
  char cmd[128];
  snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
  cr_assert_eq(system(cmd), 0);
  espl_arena_free(room);
}

TestSuite(onnx, .init = make_dir, .fini = remove_dir, .timeout = 240);

/* Path of a shared model, unpacked when it is .xz; the test is skipped when it is absent. */
static char *shared(const char *name) {
  const char *root = getenv("ESPL_SHARED");
  char *p = espl_format("%s/models/%s", root ? root : "../shared", name);
  if (access(p, R_OK) != 0) cr_skip_test("%s is absent (set ESPL_SHARED)", p);
  size_t n = strlen(p);
  if (strcmp(p + n - 3, ".xz")) return p;
  char *cmd = espl_format("xz -dkc '%s' > '%s/model.onnx'", p, dir);
  cr_assert_eq(system(cmd), 0);
  free(cmd);
  free(p);
  return espl_format("%s/model.onnx", dir);
}

static void expect_same(const espl_graph *a, const espl_graph *b) {
  cr_assert(a->nodes == b->nodes && a->output == b->output);
  cr_expect_str_eq(a->name, b->name);
  cr_expect_str_eq(a->input_name, b->input_name);
  cr_expect_str_eq(a->output_name, b->output_name);
  for (int32_t i = 0; i < a->nodes; i++) {
    const espl_node *x = &a->node[i], *y = &b->node[i];
    if (i) cr_expect_str_eq(x->name, y->name);
    cr_expect(x->op == y->op && x->inputs == y->inputs && memcmp(x->input, y->input, sizeof x->input) == 0, "%s", x->name);
    cr_expect(x->lo == y->lo && x->hi == y->hi && x->eps == y->eps && x->bn_momentum == y->bn_momentum, "%s: %.9g %.9g", x->name,
              (double)x->bn_momentum, (double)y->bn_momentum);
    cr_expect(x->pad_c0 == y->pad_c0 && x->pad_c1 == y->pad_c1 && memcmp(&x->shape, &y->shape, sizeof x->shape) == 0, "%s", x->name);
    const espl_conv_attr *c = &x->conv, *d = &y->conv;
    cr_expect(c->kh == d->kh && c->kw == d->kw && c->sh == d->sh && c->sw == d->sw && c->dh == d->dh && c->dw == d->dw && c->pt == d->pt &&
                  c->pl == d->pl && c->pb == d->pb && c->pr == d->pr && c->groups == d->groups && c->count_include_pad == d->count_include_pad,
              "%s", x->name);
    cr_expect(c->extra_h == d->extra_h && c->extra_w == d->extra_w && x->alpha == y->alpha && x->beta == y->beta, "%s", x->name);
    cr_expect(x->resize.mode == y->resize.mode && x->resize.coordinates == y->resize.coordinates && x->resize.nearest == y->resize.nearest &&
                  x->resize.scale_h == y->resize.scale_h && x->resize.scale_w == y->resize.scale_w, "%s", x->name);
    for (int k = 0; k < ESPL_PARAM_COUNT; k++) {
      const espl_param *p = x->param[k], *q = y->param[k];
      cr_assert_eq(!p, !q, "%s", x->name);
      if (!p) continue;
      cr_expect_str_eq(p->name, q->name);
      cr_assert(p->elems == q->elems && memcmp(p->value, q->value, (size_t)p->elems * sizeof(float)) == 0, "%s", p->name);
    }
  }
}

/* Writes g, reads it back, compares. */
static void round_trip(const espl_graph *g) {
  espl_err err = {0};
  espl_graph *h = NULL;
  OK(espl_onnx_write(g, file, &err));
  OK(espl_onnx_read(file, &h, &err));
  expect_same(g, h);
  espl_graph_free(h);
}

static espl_graph *read_shared(const char *name) {
  espl_err err = {0};
  espl_graph *g = NULL;
  char *p = shared(name);
  OK(espl_onnx_read(p, &g, &err));
  free(p);
  return g;
}

/* ---- networks of other people ---- */

/* 28*28*25*8 + 14*14*25*8*16 + 256*10; the file's 5,998 numbers include four shape entries */
Test(onnx, mnist8) {
  espl_graph *g = read_shared("mnist-8.onnx");
  cr_expect_eq(espl_graph_macs(g), 156800 + 627200 + 2560);
  cr_expect_eq(espl_graph_params(g), 5998 - 4);
  int32_t c = espl_graph_find(g, "Convolution110");
  cr_assert_geq(c, 0);
  const espl_conv_attr *a = &g->node[c].conv;
  cr_expect(a->kh == 5 && a->pt == 2 && a->pl == 2 && a->pb == 2 && a->pr == 2); /* SAME_UPPER */
  cr_expect_str_eq(g->node[c].param[ESPL_PARAM_BIAS]->name, "Parameter88");      /* Add of a constant became the bias */
  cr_expect_str_eq(g->input_name, "Input3");
  cr_expect_str_eq(g->output_name, "Plus214_Output_0");
  round_trip(g);
  espl_graph_free(g);
}

Test(onnx, resnet20) {
  espl_graph *g = read_shared("resnet20_cifar10.onnx");
  cr_expect_eq(espl_graph_macs(g), 40551040); /* 442368 + 14155776 + 2 * 12976128 + 640: no convolution in the shortcuts */
  cr_expect_eq(espl_graph_params(g), 271132 - 2 * 17);
  int32_t s = espl_graph_find(g, "layer2.0.shortcut_slice"), p = espl_graph_find(g, "layer2.0.shortcut_pad");
  cr_assert(s > 0 && p > 0);
  cr_expect(g->node[s].op == ESPL_OP_SUBSAMPLE && g->node[s].conv.sh == 2 && g->node[s].conv.sw == 2);
  cr_expect(g->node[p].op == ESPL_OP_PADCHANNELS && g->node[p].pad_c0 == 8 && g->node[p].pad_c1 == 8);
  cr_expect_eq(g->node[espl_graph_find(g, "bn1")].bn_momentum, 0.1f);
  round_trip(g);
  espl_graph_free(g);
}

Test(onnx, mobilenetv2) {
  espl_graph *g = read_shared("mobilenetv2_1.0_224_dequantised.onnx.xz");
  int depthwise = 0, clips = 0;
  for (int32_t i = 0; i < g->nodes; i++) {
    depthwise += g->node[i].op == ESPL_OP_CONV && g->node[i].conv.groups > 1;
    clips += g->node[i].op == ESPL_OP_CLIP && g->node[i].lo == 0 && g->node[i].hi == 6;
  }
  cr_expect(depthwise == 17 && clips == 35);
  cr_expect_eq(espl_graph_params(g), 3489099 - 2);    /* the file also holds the limits 0 and 6 */
  cr_expect_eq(espl_graph_macs(g), 300775552);         /* 300 M is the published figure of MobileNetV2 1.0 at 224 */
  cr_expect_eq(g->node[g->output].op, ESPL_OP_SOFTMAX);
  round_trip(g);
  espl_graph_free(g);
}

Test(onnx, squeezenet) {
  espl_graph *g = read_shared("squeezenet1.0_deepcompression.onnx.xz");
  cr_expect_eq(espl_graph_params(g), 1248424);
  cr_expect_eq(g->node[espl_graph_find(g, "pool1")].shape.h, 55);
  cr_expect_eq(g->node[espl_graph_find(g, "fire2_concat")].shape.c, 128);
  round_trip(g);
  espl_graph_free(g);
}

/* ---- our own networks ---- */

Test(onnx, zoo_round_trip_with_metadata) {
  static const char *const names[] = {"resnet8", "resnet20", "lenet-300-100", "lenet5"};
  for (int k = 0; k < 4; k++) {
    espl_err err = {0};
    espl_graph *g = NULL, *h = NULL;
    OK(espl_zoo_build(names[k], k < 2 ? (espl_shape){3, 32, 32} : (espl_shape){1, 28, 28}, 10, 5, &g, &err));
    g->preprocess = strdup("{\"range\":[0,1]}");
    OK(espl_graph_note(g, "{\"op\":\"made\"}", &err));
    round_trip(g);
    OK(espl_onnx_read(file, &h, &err));
    cr_expect_str_eq(h->preprocess, "{\"range\":[0,1]}");
    cr_expect_str_eq(h->history, "[{\"op\":\"made\"}]");
    espl_graph_free(g);
    espl_graph_free(h);
  }
}

/* The operators that only run forward: all of them in one graph, with the shapes worked out by hand. */
static espl_graph *forward_operators(void) {
  espl_err err = {0};
  espl_graph *g = espl_graph_new("forward", (espl_shape){4, 5, 6});
  int32_t v = 0, gate;
#define ADD(...) OK(espl_graph_add(g, &(espl_node){__VA_ARGS__}, &v, &err))
#define PARAM(kind, dims, ...)                                                                                              \
  do {                                                                                                                       \
    OK(espl_graph_add_param(g, v, ESPL_PARAM_##kind, NULL, dims, (int32_t[]){__VA_ARGS__}, &err));                         \
    espl_param *p_ = g->node[v].param[ESPL_PARAM_##kind];                                                                    \
    for (int64_t k_ = 0; k_ < p_->elems; k_++) p_->value[k_] = (float)((k_ * 7 + v) % 11) * 0.1f - 0.4f;                     \
  } while (0)
  ADD(.op = ESPL_OP_CONVTRANSPOSE, .inputs = 1, .input = {0}, .shape = {6, 0, 0}, .conv = {3, 2, 2, 1, 1, 2, 1, 0, 0, 1, 2, .extra_h = 1});
  PARAM(WEIGHT, 4, 4, 3, 3, 2);
  PARAM(BIAS, 1, 6);
  cr_assert(g->node[v].shape.c == 6 && g->node[v].shape.h == 4 * 2 + 3 + 1 - 1 && g->node[v].shape.w == 5 + 3 - 1);
  ADD(.op = ESPL_OP_LEAKYRELU, .inputs = 1, .input = {v}, .alpha = 0.125f);
  ADD(.op = ESPL_OP_INSTANCENORM, .inputs = 1, .input = {v}, .eps = 0.5f);
  PARAM(GAMMA, 1, 6);
  PARAM(BETA, 1, 6);
  ADD(.op = ESPL_OP_PRELU, .inputs = 1, .input = {v});
  PARAM(GAMMA, 1, 6);
  ADD(.op = ESPL_OP_RESIZE, .inputs = 1, .input = {v}, .resize = {ESPL_WORD_LINEAR, ESPL_WORD_HALF_PIXEL, ESPL_WORD_ROUND_PREFER_FLOOR, 0.5f, 1.5f});
  cr_assert(g->node[v].shape.h == 5 && g->node[v].shape.w == 10);
  ADD(.op = ESPL_OP_HARDSWISH, .inputs = 1, .input = {v});
  gate = v;
  ADD(.op = ESPL_OP_GLOBALAVGPOOL, .inputs = 1, .input = {v});
  ADD(.op = ESPL_OP_HARDSIGMOID, .inputs = 1, .input = {v}, .alpha = 0.25f, .beta = 0.5f);
  ADD(.op = ESPL_OP_MUL, .inputs = 2, .input = {v, gate});
  ADD(.op = ESPL_OP_SIGMOID, .inputs = 1, .input = {v});
  ADD(.op = ESPL_OP_SUB, .inputs = 2, .input = {v, gate});
  ADD(.op = ESPL_OP_TANH, .inputs = 1, .input = {v});
  ADD(.op = ESPL_OP_SPREADADD, .inputs = 2, .input = {gate + 2, v});
  ADD(.op = ESPL_OP_RESIZE, .inputs = 1, .input = {v}, .resize = {ESPL_WORD_NEAREST, ESPL_WORD_ASYMMETRIC, ESPL_WORD_FLOOR, 2, 1});
  ADD(.op = ESPL_OP_DIV, .inputs = 2, .input = {v, gate + 2});
#undef PARAM
#undef ADD
  return g;
}

Test(onnx, forward_operators_round_trip) {
  espl_graph *g = forward_operators();
  round_trip(g);
  espl_graph_free(g);
}

/* Two evaluations of one graph: oneDNN on the graph, and the written file operator by operator. */
Test(onnx, forward_operators_two_ways) {
  espl_err err = {0};
  espl_graph *g = forward_operators();
  espl_tprogram *p = NULL;
  espl_exec *x = NULL;
  espl_tensor *in = espl_tensor_new(ESPL_T_FLOAT, 4, (int64_t[]){2, 4, 5, 6}), *out[1] = {NULL};
  for (int64_t k = 0; k < in->elems; k++) in->f[k] = (float)((k * 5) % 13) * 0.25f - 1.5f;
  OK(espl_onnx_write(g, file, &err));
  OK(espl_onnx_program(file, &p, &err));
  OK(espl_tprogram_run(p, (const espl_tensor *const *)&in, out, ESPL_TLIMITS_DEFAULT, &err));
  cr_assert(out[0]->dims == 4 && out[0]->dim[0] == 2 && out[0]->dim[1] == 6 && out[0]->dim[2] == 10 && out[0]->dim[3] == 10);
  float *fast = espl_calloc((size_t)out[0]->elems, sizeof *fast);
  OK(espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, 2, &x, &err));
  OK(espl_exec_forward(x, in->f, fast, &err));
  for (int64_t k = 0; k < out[0]->elems; k++)
    cr_assert(fabsf(fast[k] - out[0]->f[k]) <= 1e-5f * (1 + fabsf(fast[k])), "element %lld: %g, %g", (long long)k, (double)fast[k], (double)out[0]->f[k]);
  espl_exec *train = NULL;
  cr_expect_eq(espl_exec_new(g, ESPL_MODE_TRAIN, ESPL_F32, 2, &train, &err), ESPL_E_UNSUPPORTED);
  cr_expect(strstr(err.msg, "cannot be trained"), "%s", err.msg);
  free(fast);
  espl_exec_free(x);
  espl_tensor_free(in);
  espl_tensor_free(out[0]);
  espl_tprogram_free(p);
  espl_graph_free(g);
}

/* Each of them is refused by the integer lowering with its own reason. */
Test(onnx, forward_operators_have_no_machine_form) {
  espl_err err = {0};
  espl_graph *g = forward_operators();
  espl_qnet *q = NULL;
  espl_quant_config c;
  espl_quant_default(&c);
  espl_preprocess pp = {0};
  cr_expect_eq(espl_quantize(g, NULL, &pp, &c, &q, &err), ESPL_E_UNSUPPORTED);
  cr_expect(strstr(err.msg, "(CONVTRANSPOSE): the machine has no transposed convolution"), "%s", err.msg);
  espl_graph_free(g);
}

/* The independent reader: python3-onnx's checker with shape inference. */
Test(onnx, written_files_pass_the_checker) {
  if (system("/usr/bin/python3 -c 'import onnx' 2>/dev/null") != 0) cr_skip_test("python3-onnx is absent");
  espl_err err = {0};
  espl_graph *g = NULL;
  OK(espl_zoo_resnet8((espl_shape){3, 32, 32}, 10, 1, &g, &err));
  OK(espl_onnx_write(g, file, &err));
  char *cmd = espl_format("/usr/bin/python3 -c \"import onnx; m = onnx.load('%s'); onnx.checker.check_model(m, full_check=True); "
                          "assert m.ir_version == 7 and m.opset_import[0].version == 13\"", file);
  cr_expect_eq(system(cmd), 0);
  free(cmd);
  espl_graph_free(g);
  g = forward_operators();
  OK(espl_onnx_write(g, file, &err));
  cmd = espl_format("/usr/bin/python3 -c \"import onnx; m = onnx.load('%s'); onnx.checker.check_model(m, full_check=True); "
                    "m = onnx.shape_inference.infer_shapes(m, strict_mode=True); assert m.opset_import[0].version == 14\"", file);
  cr_expect_eq(system(cmd), 0);
  free(cmd);
  espl_graph_free(g);
}

/* Every operator and both tensor ranks survive; ranks that ONNX tells apart are joined by Reshape. */
Test(onnx, every_operator_round_trip) {
  espl_err err = {0};
  espl_graph *g = espl_graph_new("all", (espl_shape){2, 9, 9});
  int32_t v = 0, c;
#define ADD(...) OK(espl_graph_add(g, &(espl_node){__VA_ARGS__}, &v, &err))
  ADD(.op = ESPL_OP_CONV, .inputs = 1, .input = {0}, .shape = {4, 0, 0}, .conv = {3, 2, 2, 1, 1, 2, 1, 0, 2, 1, 2, false});
  OK(espl_graph_add_param(g, v, ESPL_PARAM_WEIGHT, NULL, 4, (int32_t[]){4, 1, 3, 2}, &err));
  ADD(.op = ESPL_OP_CLIP, .inputs = 1, .input = {v}, .lo = -1, .hi = INFINITY);
  ADD(.op = ESPL_OP_CLIP, .inputs = 1, .input = {v}, .lo = -INFINITY, .hi = 6);
  ADD(.op = ESPL_OP_MAXPOOL, .inputs = 1, .input = {v}, .conv = {2, 3, 1, 1, 1, 1, 1, 0, 0, 1, 0, false});
  ADD(.op = ESPL_OP_AVGPOOL, .inputs = 1, .input = {v}, .conv = {2, 2, 1, 1, 1, 1, 0, 1, 1, 0, 0, true});
  c = v;
  ADD(.op = ESPL_OP_IDENTITY, .inputs = 1, .input = {v});
  ADD(.op = ESPL_OP_CONCAT, .inputs = 3, .input = {c, v, c});
  ADD(.op = ESPL_OP_SUBSAMPLE, .inputs = 1, .input = {v}, .conv = {.sh = 3, .sw = 2});
  ADD(.op = ESPL_OP_PADCHANNELS, .inputs = 1, .input = {v}, .pad_c0 = 1, .pad_c1 = 2);
  ADD(.op = ESPL_OP_GLOBALAVGPOOL, .inputs = 1, .input = {v});
  ADD(.op = ESPL_OP_GEMM, .inputs = 1, .input = {v}, .shape = {5, 1, 1}); /* without FLATTEN: rank 4 to 2 */
  OK(espl_graph_add_param(g, v, ESPL_PARAM_WEIGHT, NULL, 2, (int32_t[]){5, 15}, &err));
  ADD(.op = ESPL_OP_CONV, .inputs = 1, .input = {v}, .shape = {5, 0, 0}, .conv = {1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1, false}); /* rank 2 to 4 */
  OK(espl_graph_add_param(g, v, ESPL_PARAM_WEIGHT, NULL, 4, (int32_t[]){5, 5, 1, 1}, &err));
  ADD(.op = ESPL_OP_ADD, .inputs = 2, .input = {v, v - 1});
  ADD(.op = ESPL_OP_FLATTEN, .inputs = 1, .input = {v});
  ADD(.op = ESPL_OP_PADCHANNELS, .inputs = 1, .input = {v}, .pad_c0 = 0, .pad_c1 = 1);
  ADD(.op = ESPL_OP_SOFTMAX, .inputs = 1, .input = {v});
#undef ADD
  round_trip(g);
  espl_graph_free(g);
}

/* ---- small files built here ---- */

typedef struct model {
  Onnx__ModelProto m;
  Onnx__GraphProto g;
  Onnx__OperatorSetIdProto opset, *opsets[1];
  Onnx__NodeProto node[16], *nodes[16];
  Onnx__TensorProto init[16], *inits[16];
  Onnx__AttributeProto attr[64], *attrs[64];
  Onnx__ValueInfoProto in, out, *ins[1], *outs[1];
  Onnx__TypeProto type;
  Onnx__TypeProto__Tensor tensor;
  Onnx__TensorShapeProto shape;
  Onnx__TensorShapeProto__Dimension dim[4], *dims[4];
  size_t attrs_used;
} model;

/* Everything of these models lives in one arena, freed behind the test. */
static void *keep(size_t bytes) { return espl_arena_alloc(room, bytes); }
static char *keep_text(const char *text) { return espl_arena_strdup(room, text); }

static char **words(char *text, size_t *n) {
  char **list = keep(16 * sizeof *list);
  *n = 0;
  for (char *save, *p = strtok_r(keep_text(text), ",", &save); p; p = strtok_r(NULL, ",", &save)) list[(*n)++] = strcmp(p, "_") ? p : (char *)"";
  return list;
}

static model *new_model(int64_t opset, int32_t c, int32_t h, int32_t w, const char *output) {
  model *m = keep(sizeof *m);
  onnx__model_proto__init(&m->m);
  onnx__graph_proto__init(&m->g);
  onnx__operator_set_id_proto__init(&m->opset);
  onnx__value_info_proto__init(&m->in);
  onnx__value_info_proto__init(&m->out);
  onnx__type_proto__init(&m->type);
  onnx__type_proto__tensor__init(&m->tensor);
  onnx__tensor_shape_proto__init(&m->shape);
  m->m.has_ir_version = 1, m->m.ir_version = 7;
  m->m.n_opset_import = 1, m->opsets[0] = &m->opset, m->m.opset_import = m->opsets;
  m->opset.has_version = 1, m->opset.version = opset;
  m->m.graph = &m->g, m->g.name = (char *)"small";
  m->g.node = m->nodes, m->g.initializer = m->inits;
  m->g.n_input = m->g.n_output = 1, m->g.input = m->ins, m->g.output = m->outs;
  m->ins[0] = &m->in, m->outs[0] = &m->out;
  m->in.name = (char *)"x", m->out.name = (char *)(uintptr_t)output;
  m->in.type = &m->type, m->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE, m->type.tensor_type = &m->tensor;
  m->tensor.has_elem_type = 1, m->tensor.elem_type = 1, m->tensor.shape = &m->shape;
  const int32_t extent[4] = {1, c, h, w};
  m->shape.n_dim = 4, m->shape.dim = m->dims;
  for (int k = 0; k < 4; k++) {
    onnx__tensor_shape_proto__dimension__init(&m->dim[k]);
    m->dims[k] = &m->dim[k];
    m->dim[k].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    m->dim[k].dim_value = extent[k];
  }
  return m;
}

static Onnx__NodeProto *put_node(model *m, const char *op, const char *inputs, const char *output) {
  Onnx__NodeProto *n = &m->node[m->g.n_node];
  onnx__node_proto__init(n);
  m->nodes[m->g.n_node++] = n;
  n->op_type = keep_text(op);
  char name[32];
  snprintf(name, sizeof name, "n_%s", output);
  n->name = keep_text(name);
  n->input = words((char *)(uintptr_t)inputs, &n->n_input);
  n->output = words((char *)(uintptr_t)output, &n->n_output);
  n->attribute = keep(8 * sizeof *n->attribute);
  return n;
}

static Onnx__AttributeProto *put_attr(model *m, Onnx__NodeProto *n, const char *name) {
  Onnx__AttributeProto *a = &m->attr[m->attrs_used++];
  onnx__attribute_proto__init(a);
  a->name = keep_text(name);
  n->attribute[n->n_attribute++] = a;
  return a;
}

static void attr_int(model *m, Onnx__NodeProto *n, const char *name, int64_t v) {
  Onnx__AttributeProto *a = put_attr(m, n, name);
  a->has_i = 1, a->i = v;
}

static void attr_ints(model *m, Onnx__NodeProto *n, const char *name, int count, const int64_t *v) {
  Onnx__AttributeProto *a = put_attr(m, n, name);
  a->n_ints = (size_t)count, a->ints = keep((size_t)count * 8);
  memcpy(a->ints, v, (size_t)count * 8);
}

static void attr_text(model *m, Onnx__NodeProto *n, const char *name, const char *text) {
  Onnx__AttributeProto *a = put_attr(m, n, name);
  a->has_s = 1, a->s = (ProtobufCBinaryData){strlen(text), (uint8_t *)keep_text(text)};
}

static Onnx__TensorProto *put_tensor(model *m, const char *name, int32_t type, int dims, const int64_t *dim) {
  Onnx__TensorProto *t = &m->init[m->g.n_initializer];
  onnx__tensor_proto__init(t);
  m->inits[m->g.n_initializer++] = t;
  t->name = keep_text(name), t->has_data_type = 1, t->data_type = type;
  t->n_dims = (size_t)dims, t->dims = keep(64);
  for (int k = 0; k < dims; k++) t->dims[k] = dim[k];
  return t;
}

/* Float tensor whose element k is 0.5 + k / 8. */
static Onnx__TensorProto *put_floats(model *m, const char *name, int dims, const int64_t *dim) {
  Onnx__TensorProto *t = put_tensor(m, name, 1, dims, dim);
  t->n_float_data = 1;
  for (int k = 0; k < dims; k++) t->n_float_data *= (size_t)dim[k];
  t->float_data = keep(t->n_float_data * 4);
  for (size_t k = 0; k < t->n_float_data; k++) t->float_data[k] = 0.5f + (float)k / 8;
  return t;
}

static void put_ints(model *m, const char *name, int count, const int64_t *v) {
  Onnx__TensorProto *t = put_tensor(m, name, 7, 1, &(int64_t){count});
  t->n_int64_data = (size_t)count, t->int64_data = keep((size_t)count * 8);
  memcpy(t->int64_data, v, (size_t)count * 8);
}

static espl_status read_model(const model *m, espl_graph **g, espl_err *err) {
  size_t n = onnx__model_proto__get_packed_size(&m->m);
  uint8_t *b = malloc(n);
  onnx__model_proto__pack(&m->m, b);
  espl_status s = espl_write_file(file, b, n, err);
  free(b);
  cr_assert_eq(s, ESPL_OK);
  return espl_onnx_read(file, g, err);
}

static espl_graph *read_ok(const model *m) {
  espl_err err = {0};
  espl_graph *g = NULL;
  OK(read_model(m, &g, &err));
  return g;
}

static void expect_refusal(const model *m, espl_status code, const char *text) {
  espl_err err = {0};
  espl_graph *g = NULL;
  cr_expect_eq(read_model(m, &g, &err), code, "%s: %s", text, err.msg);
  cr_expect(strstr(err.msg, text) && strstr(err.msg, "t.onnx"), "\"%s\" is not in: %s", text, err.msg);
  cr_expect_null(g);
}

static const int64_t w4133[] = {4, 1, 3, 3}, four[] = {4}, four11[] = {4, 1, 1};

/* Shape -> Gather -> Unsqueeze -> Concat -> Reshape, as exporters write a flatten, then MatMul, Add of [1,3], Dropout. */
Test(onnx, folds_shape_arithmetic) {
  model *m = new_model(12, 4, 3, 2, "y");
  put_node(m, "Shape", "x", "s");
  put_ints(m, "zero", 1, (int64_t[]){0});
  m->init[0].n_dims = 0;
  put_node(m, "Gather", "s,zero", "n0");
  attr_ints(m, put_node(m, "Unsqueeze", "n0", "n1"), "axes", 1, (int64_t[]){0});
  put_ints(m, "rest", 1, (int64_t[]){-1});
  attr_int(m, put_node(m, "Concat", "n1,rest", "target"), "axis", 0);
  put_node(m, "Reshape", "x,target", "flat");
  put_floats(m, "B", 2, (int64_t[]){3, 24});
  put_node(m, "Transpose", "B", "Bt");
  put_node(m, "MatMul", "flat,Bt", "p");
  put_floats(m, "b", 2, (int64_t[]){1, 3});
  put_node(m, "Add", "b,p", "q");
  put_node(m, "Dropout", "q", "y");
  espl_graph *g = read_ok(m);
  cr_assert_eq(g->nodes, 3);
  const espl_node *fc = &g->node[2];
  cr_expect(fc->op == ESPL_OP_GEMM && fc->shape.c == 3 && fc->param[ESPL_PARAM_WEIGHT]->dim[1] == 24);
  for (int k = 0; k < 72; k++) cr_expect_eq(fc->param[ESPL_PARAM_WEIGHT]->value[k], 0.5f + (float)k / 8);
  for (int k = 0; k < 3; k++) cr_expect_eq(fc->param[ESPL_PARAM_BIAS]->value[k], 0.5f + (float)k / 8);
  espl_graph_free(g);
}

/* x -> Sub, Mul by constants (a depthwise 1x1) -> Conv -> Mul, Add (into the convolution). */
Test(onnx, scales_and_shifts) {
  model *m = new_model(13, 1, 8, 8, "y");
  put_floats(m, "mean", 0, NULL);
  put_floats(m, "k", 3, (int64_t[]){1, 1, 1});
  put_floats(m, "W", 4, w4133);
  put_floats(m, "s", 3, four11);
  put_floats(m, "t", 3, four11);
  put_node(m, "Sub", "x,mean", "a");
  put_node(m, "Mul", "a,k", "b");
  put_node(m, "Conv", "b,W", "c");
  put_node(m, "Mul", "c,s", "d");
  put_node(m, "Add", "d,t", "y");
  espl_graph *g = read_ok(m);
  cr_assert_eq(g->nodes, 3);
  cr_expect(g->node[1].param[ESPL_PARAM_WEIGHT]->value[0] == 0.5f && g->node[1].param[ESPL_PARAM_BIAS]->value[0] == -0.25f);
  for (int k = 0; k < 36; k++)
    cr_expect_eq(g->node[2].param[ESPL_PARAM_WEIGHT]->value[k], (0.5f + (float)k / 8) * (0.5f + (float)(k / 9) / 8));
  for (int k = 0; k < 4; k++) cr_expect_eq(g->node[2].param[ESPL_PARAM_BIAS]->value[k], 0.5f + (float)k / 8);
  espl_graph_free(g);
}

/* A convolution that two nodes read must not swallow the Add of one of them. */
Test(onnx, shared_value_keeps_its_meaning) {
  model *m = new_model(13, 1, 8, 8, "y");
  put_floats(m, "W", 4, w4133);
  put_floats(m, "t", 3, four11);
  put_node(m, "Conv", "x,W", "c");
  put_node(m, "Dropout", "c", "alias");
  put_node(m, "Add", "alias,t", "d");
  put_node(m, "Add", "c,d", "y");
  espl_graph *g = read_ok(m);
  cr_assert_eq(g->nodes, 4);
  cr_expect_null(g->node[1].param[ESPL_PARAM_BIAS]);
  cr_expect(g->node[2].op == ESPL_OP_CONV && g->node[2].conv.groups == 4 && g->node[2].param[ESPL_PARAM_BIAS]->value[3] == 0.875f);
  espl_graph_free(g);
}

/* Pad in H and W moves into the convolution; SAME_LOWER puts the odd pixel first; ceil_mode rounds up. */
Test(onnx, padding_rules) {
  model *m = new_model(13, 1, 9, 9, "y");
  put_ints(m, "pads", 8, (int64_t[]){0, 0, 1, 2, 0, 0, 3, 0});
  put_floats(m, "W", 4, w4133);
  put_node(m, "Pad", "x,pads", "p");
  attr_ints(m, put_node(m, "Conv", "p,W", "c"), "strides", 2, (int64_t[]){2, 2}); /* (9+4-3)/2+1 = 6; (9+2-3)/2+1 = 5 */
  Onnx__NodeProto *n = put_node(m, "MaxPool", "c", "d");
  attr_ints(m, n, "kernel_shape", 2, (int64_t[]){2, 2});
  attr_text(m, n, "auto_pad", "SAME_LOWER");
  n = put_node(m, "AveragePool", "d", "y");
  attr_ints(m, n, "kernel_shape", 2, (int64_t[]){3, 2});
  attr_ints(m, n, "strides", 2, (int64_t[]){2, 2});
  attr_int(m, n, "ceil_mode", 1);
  espl_graph *g = read_ok(m);
  cr_assert_eq(g->nodes, 4);
  const espl_conv_attr *a = &g->node[1].conv, *b = &g->node[2].conv, *c = &g->node[3].conv;
  cr_expect(a->pt == 1 && a->pl == 2 && a->pb == 3 && a->pr == 0);
  cr_expect(g->node[1].shape.h == 6 && g->node[1].shape.w == 5);
  cr_expect(b->pt == 1 && b->pl == 1 && b->pb == 0 && b->pr == 0);
  cr_expect(c->pb == 1 && c->pr == 1 && g->node[3].shape.h == 3 && g->node[3].shape.w == 3); /* ceil(3/2)+1, ceil(3/2)+1 */
  espl_graph_free(g);
}

/* The older spelling: Clip, Pad and Slice by attributes; BatchNormalization; ReduceMean; Squeeze; Gemm with alpha and beta. */
Test(onnx, attributes_of_opset_7) {
  model *m = new_model(7, 4, 6, 6, "y");
  for (int k = 0; k < 4; k++) put_floats(m, (const char *[]){"g", "b", "m", "v"}[k], 1, four);
  Onnx__NodeProto *n = put_node(m, "BatchNormalization", "x,g,b,m,v", "a");
  put_attr(m, n, "momentum")->has_f = 1, n->attribute[0]->f = 0.99f;
  n = put_node(m, "Clip", "a", "c");
  put_attr(m, n, "max")->has_f = 1, n->attribute[0]->f = 6.0f;
  n = put_node(m, "Slice", "c", "s");
  attr_ints(m, n, "starts", 2, (int64_t[]){0, -6});
  attr_ints(m, n, "ends", 2, (int64_t[]){99, 6});
  attr_ints(m, n, "axes", 2, (int64_t[]){2, -1});
  attr_ints(m, put_node(m, "Pad", "s", "p"), "pads", 8, (int64_t[]){0, 1, 0, 0, 0, 0, 0, 0});
  attr_ints(m, put_node(m, "ReduceMean", "p", "r"), "axes", 2, (int64_t[]){-1, 2});
  attr_ints(m, put_node(m, "Squeeze", "r", "q"), "axes", 2, (int64_t[]){2, 3});
  put_floats(m, "B", 2, (int64_t[]){5, 3});
  put_floats(m, "C", 1, (int64_t[]){1});
  n = put_node(m, "Gemm", "q,B,C", "y");
  put_attr(m, n, "alpha")->has_f = 1, n->attribute[0]->f = 2;
  put_attr(m, n, "beta")->has_f = 1, n->attribute[1]->f = 4;
  espl_graph *g = read_ok(m);
  cr_assert_eq(g->nodes, 6); /* input, BN, clip, pad, mean, gemm: the slice takes all, the squeeze moves nothing */
  cr_expect_eq(g->node[1].bn_momentum, 0.01f);
  cr_expect(isinf(g->node[2].lo) && g->node[2].hi == 6);
  cr_expect(g->node[3].op == ESPL_OP_PADCHANNELS && g->node[3].pad_c0 == 1 && g->node[3].pad_c1 == 0);
  const float *w = g->node[5].param[ESPL_PARAM_WEIGHT]->value;
  cr_expect(w[1] == 2 * (0.5f + 3.0f / 8) && w[5] == 2 * (0.5f + 1.0f / 8)); /* [O][K] from [K][O] */
  cr_expect_eq(g->node[5].param[ESPL_PARAM_BIAS]->value[2], 2.0f);
  espl_graph_free(g);
}

Test(onnx, stored_number_types) {
  static const uint16_t half[4] = {0x3c00, 0xc000, 0x0001, 0x7bff}, brain[4] = {0x3f80, 0xc000, 0x3e80, 0x0000};
  static const double wide[4] = {0.1, -3, 1e-30, 7};
  static const float want[3][4] = {{1, -2, 0x1p-24f, 65504}, {1, -2, 0.25f, 0}, {0.1f, -3, 1e-30f, 7}};
  for (int k = 0; k < 3; k++) {
    model *m = new_model(13, 1, 8, 8, "y");
    put_floats(m, "W", 4, w4133);
    Onnx__TensorProto *t = put_tensor(m, "B", (int32_t[]){10, 16, 11}[k], 1, four);
    const void *raw = k == 0 ? (const void *)half : k == 1 ? (const void *)brain : (const void *)wide;
    t->has_raw_data = 1, t->raw_data = (ProtobufCBinaryData){k == 2 ? 32 : 8, (uint8_t *)(uintptr_t)raw};
    put_node(m, "Conv", "x,W,B", "y");
    espl_graph *g = read_ok(m);
    cr_expect_arr_eq(g->node[1].param[ESPL_PARAM_BIAS]->value, want[k], 16, "type %d", k);
    espl_graph_free(g);
  }
}

/* The file at `file`, which holds x [1,c,h,w] -> y, both ways. */
static void expect_two_ways_agree(int64_t c, int64_t h, int64_t w) {
  espl_err err = {0};
  espl_graph *g = NULL;
  espl_tprogram *p = NULL;
  espl_exec *x = NULL;
  espl_tensor *in = espl_tensor_new(ESPL_T_FLOAT, 4, (int64_t[]){1, c, h, w}), *out[1] = {NULL};
  for (int64_t k = 0; k < in->elems; k++) in->f[k] = (float)((k * 5) % 13) * 0.25f - 1.5f;
  OK(espl_onnx_read(file, &g, &err));
  OK(espl_onnx_program(file, &p, &err));
  OK(espl_tprogram_run(p, (const espl_tensor *const *)&in, out, ESPL_TLIMITS_DEFAULT, &err));
  cr_assert_eq(out[0]->elems, espl_shape_elems(g->node[g->output].shape));
  float *fast = espl_calloc((size_t)out[0]->elems, sizeof *fast);
  OK(espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, 1, &x, &err));
  OK(espl_exec_forward(x, in->f, fast, &err));
  for (int64_t k = 0; k < out[0]->elems; k++) cr_assert_float_eq(fast[k], out[0]->f[k], 1e-5, "element %lld: %g, %g", (long long)k, (double)fast[k], (double)out[0]->f[k]);
  free(fast);
  espl_exec_free(x);
  espl_tensor_free(in);
  espl_tensor_free(out[0]);
  espl_tprogram_free(p);
  espl_graph_free(g);
}

/* One row: [N,C,1,L] to [N,C,L] and back, with one-dimensional operators between. */
Test(onnx, one_dimensional_operators) {
  model *m = new_model(13, 2, 1, 20, "y");
  put_ints(m, "row", 1, (int64_t[]){2});
  put_ints(m, "pads", 6, (int64_t[]){0, 0, 1, 0, 0, 2});
  put_floats(m, "W", 3, (int64_t[]){4, 2, 3});
  put_floats(m, "T", 3, (int64_t[]){4, 3, 4});
  put_node(m, "Squeeze", "x,row", "s");
  put_node(m, "Pad", "s,pads", "p");
  Onnx__NodeProto *n = put_node(m, "Conv", "p,W", "c");
  attr_ints(m, n, "strides", 1, (int64_t[]){2});
  attr_ints(m, n, "pads", 2, (int64_t[]){1, 0});
  n = put_node(m, "ConvTranspose", "c,T", "t"); /* 10 + 1 columns to (11 - 1) * 3 + 4 + 2 - 1 = 35 */
  attr_ints(m, n, "strides", 1, (int64_t[]){3});
  attr_ints(m, n, "pads", 2, (int64_t[]){0, 1});
  attr_ints(m, n, "output_padding", 1, (int64_t[]){2});
  n = put_node(m, "MaxPool", "t", "q");
  attr_ints(m, n, "kernel_shape", 1, (int64_t[]){3});
  attr_ints(m, n, "strides", 1, (int64_t[]){2});
  put_node(m, "Tanh", "q", "a");
  put_node(m, "Unsqueeze", "a,row", "y");
  espl_graph *g = read_ok(m);
  cr_expect(g->node[g->output].shape.c == 3 && g->node[g->output].shape.h == 1 && g->node[g->output].shape.w == 17);
  espl_graph_free(g);
  expect_two_ways_agree(2, 1, 20);
}

/* ---- refusals ---- */

Test(onnx, operators_refused_bad) {
  model *m = new_model(13, 1, 8, 8, "y");
  put_node(m, "LSTM", "x", "y")->domain = keep_text("com.example");
  expect_refusal(m, ESPL_E_UNSUPPORTED, "operator LSTM (domain com.example, opset 13) of node n_y is not supported");
  m = new_model(13, 1, 8, 8, "y");
  put_node(m, "Einsum", "x", "y");
  expect_refusal(m, ESPL_E_UNSUPPORTED, "operator Einsum (domain ai.onnx, opset 13) of node n_y");
  m = new_model(6, 1, 8, 8, "y");
  put_node(m, "PRelu", "x,x", "y");
  expect_refusal(m, ESPL_E_UNSUPPORTED, "operator set 6, 7 to 21");
  m = new_model(22, 1, 8, 8, "y");
  put_node(m, "Relu", "x", "y");
  expect_refusal(m, ESPL_E_UNSUPPORTED, "operator set 22, 7 to 21");
  m = new_model(13, 1, 8, 8, "y");
  put_node(m, "Relu", "z", "y");
  expect_refusal(m, ESPL_E_INPUT, "node n_y (Relu): reads z, which no earlier node");
  m = new_model(13, 1, 8, 8, "z");
  put_node(m, "Relu", "x", "y");
  expect_refusal(m, ESPL_E_INPUT, "output z is not defined");
  m = new_model(13, 1, 8, 8, "y");
  put_node(m, "Exp", "x", "y");
  expect_refusal(m, ESPL_E_UNSUPPORTED, "operator Exp (domain ai.onnx, opset 13) of node n_y has no form in the network graph");
  m = new_model(13, 1, 8, 8, "y");
  m->dim[2].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM, m->dim[2].dim_param = (char *)"H";
  put_node(m, "Relu", "x", "y");
  expect_refusal(m, ESPL_E_UNSUPPORTED, "input x: dimension 2 has no fixed extent");
}

Test(onnx, shapes_that_disagree_bad) {
  model *m = new_model(13, 3, 8, 8, "y");
  put_floats(m, "W", 4, w4133);
  put_node(m, "Conv", "x,W", "y");
  expect_refusal(m, ESPL_E_INPUT, "node n_y (Conv): weight W has 1 input channels, the tensor has 3");
  m = new_model(13, 1, 8, 8, "y");
  put_floats(m, "W", 4, w4133)->n_float_data = 35;
  put_node(m, "Conv", "x,W", "y");
  expect_refusal(m, ESPL_E_INPUT, "tensor W: holds 35 elements, its shape says 36");
  m = new_model(13, 1, 8, 8, "y");
  put_floats(m, "W", 4, w4133);
  put_floats(m, "B", 1, (int64_t[]){3});
  put_node(m, "Conv", "x,W,B", "y");
  expect_refusal(m, ESPL_E_INPUT, "bias B has 3 elements, expected 4");
  m = new_model(13, 1, 2, 8, "y");
  put_floats(m, "W", 4, w4133);
  put_node(m, "Conv", "x,W", "y");
  expect_refusal(m, ESPL_E_INPUT, "n_y (CONV): the window spans 3 rows");
  m = new_model(13, 1, 8, 8, "y");
  put_ints(m, "to", 2, (int64_t[]){1, 63});
  put_node(m, "Reshape", "x,to", "y");
  expect_refusal(m, ESPL_E_INPUT, "does not hold the 64 elements");
  m = new_model(13, 1, 8, 8, "y");
  put_ints(m, "to", 4, (int64_t[]){60000, 60000, 60000, 60000});
  put_node(m, "ConstantOfShape", "to", "k");
  put_node(m, "Add", "x,k", "y");
  expect_refusal(m, ESPL_E_UNSUPPORTED, "n_k (ConstantOfShape)");
}

/* Every prefix of a real file is refused as input, none crashes. */
Test(onnx, prefixes_bad) {
  char *p = shared("mnist-8.onnx"), *data = NULL;
  size_t n = 0;
  espl_err err = {0};
  OK(espl_read_file(p, 1 << 20, &data, &n, &err));
  for (size_t cut = 0; cut < n; cut += cut < 3000 || cut > n - 1500 ? 1 : 37) {
    espl_err e = {0};
    espl_graph *g = NULL;
    remove(file); /* replacing in place makes some file systems flush */
    FILE *f = fopen(file, "wb");
    cr_assert(fwrite(data, 1, cut, f) == cut && fclose(f) == 0);
    cr_expect_eq(espl_onnx_read(file, &g, &e), ESPL_E_INPUT, "prefix of %zu bytes: %s", cut, e.msg);
    cr_expect_null(g);
  }
  free(data);
  free(p);
}

/* Single bytes changed: refused or read, never a crash, and what is read is a lawful graph. */
Test(onnx, flipped_bytes_bad) {
  char *p = shared("mnist-8.onnx"), *data = NULL;
  size_t n = 0;
  espl_err err = {0};
  int refused = 0;
  OK(espl_read_file(p, 1 << 20, &data, &n, &err));
  for (uint32_t k = 0; k < 1500; k++) {
    size_t at = k * 2654435761u % (k & 1 ? 2600u : (uint32_t)n);
    char old = data[at];
    data[at] = (char)(old ^ (1 << (k % 8)));
    remove(file); /* replacing in place makes some file systems flush */
    FILE *f = fopen(file, "wb");
    cr_assert(fwrite(data, 1, n, f) == n && fclose(f) == 0);
    data[at] = old;
    espl_err e = {0};
    espl_graph *g = NULL;
    espl_status s = espl_onnx_read(file, &g, &e);
    cr_assert(s == ESPL_OK || ((s == ESPL_E_INPUT || s == ESPL_E_UNSUPPORTED || s == ESPL_E_NOMEM) && !g && e.msg[0]), "byte %zu: %s", at, e.msg);
    if (s == ESPL_OK) OK(espl_graph_check(g, &err));
    refused += s != ESPL_OK;
    espl_graph_free(g);
  }
  cr_expect_gt(refused, 100);
  free(data);
  free(p);
}

/* Nested graphs 4,500 deep in about 18 kB, the file that overflows a recursive reader. */
Test(onnx, deep_nesting_bad) {
  enum { ROOM = 65536 };
  static uint8_t b[ROOM];
  size_t at = ROOM, n = 0;
  const uint8_t tags[3] = {1 << 3 | 2, 5 << 3 | 2, 6 << 3 | 2}; /* graph.node, node.attribute, attribute.g, from inside out */
  for (int level = 0; level < 4500; level++) {
    uint8_t head[8];
    size_t h = 0;
    head[h++] = tags[2 - level % 3];
    for (size_t v = n; h == 1 || v; v >>= 7) head[h++] = (uint8_t)((v & 127) | (v >> 7 ? 128 : 0));
    at -= h, n += h;
    memcpy(b + at, head, h);
  }
  FILE *f = fopen(file, "wb");
  const uint8_t top[4] = {7 << 3 | 2, (uint8_t)((n & 127) | 128), (uint8_t)((n >> 7 & 127) | 128), (uint8_t)(n >> 14)};
  cr_assert(fwrite(top, 1, 4, f) == 4 && fwrite(b + at, 1, n, f) == n && fclose(f) == 0);
  espl_err err = {0};
  espl_graph *g = NULL;
  cr_expect_eq(espl_onnx_read(file, &g, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "nested deeper than 64"), "%s", err.msg);
}

Test(onnx, not_onnx_bad) {
  static const char *const texts[] = {"", "hello, I am not a network\n", "\x89PNG\r\n\x1a\n", "\x08\x07", "\x3a\x00"};
  for (size_t k = 0; k < 5; k++) {
    espl_err err = {0};
    espl_graph *g = NULL;
    OK(espl_write_file(file, texts[k], k == 4 ? 2 : strlen(texts[k]), &err));
    cr_expect_eq(espl_onnx_read(file, &g, &err), ESPL_E_INPUT, "text %zu", k);
    cr_expect(strstr(err.msg, file), "%s", err.msg);
  }
  espl_err err = {0};
  espl_graph *g = NULL;
  cr_expect_eq(espl_onnx_read("/nowhere/x.onnx", &g, &err), ESPL_E_INPUT);
}
