/* ONNX: networks of other people read, written and read again; small files built here for single rules; damaged files. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "graph/zoo.h"
#include "nn/nn.h"
#include "onnx/program.h"
#include "onnx_files.h"

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

/* Operator set and dilations of the AveragePool that is written for a window of 3x2 taken every dh rows and dw columns. */
static int64_t pool_written(int32_t dh, int32_t dw, int64_t dilation[2]) {
  espl_err err = {0};
  espl_graph *g = espl_graph_new("pool", (espl_shape){1, 9, 10});
  char *data = NULL;
  size_t n = 0;
  OK(espl_graph_add(g, &(espl_node){.op = ESPL_OP_AVGPOOL, .inputs = 1, .conv = {3, 2, 1, 1, dh, dw, 0, 0, 0, 0, 0, false}}, NULL, &err));
  round_trip(g);
  espl_graph_free(g);
  OK(espl_read_file(file, 1 << 20, &data, &n, &err));
  Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, n, (uint8_t *)data);
  cr_assert(m && m->graph->n_node == 1 && strcmp(m->graph->node[0]->op_type, "AveragePool") == 0);
  dilation[0] = dilation[1] = 0;
  for (size_t k = 0; k < m->graph->node[0]->n_attribute; k++) {
    const Onnx__AttributeProto *a = m->graph->node[0]->attribute[k];
    if (strcmp(a->name, "dilations") == 0 && a->n_ints == 2) dilation[0] = a->ints[0], dilation[1] = a->ints[1];
  }
  int64_t opset = m->opset_import[0]->version;
  onnx__model_proto__free_unpacked(m, NULL);
  free(data);
  return opset;
}

/* AveragePool has dilations as of operator set 19: only a file that needs them is written in it. The mean of 10h + w over rows h, h+2, h+4 and
 * columns w, w+3 is 10(h+2) + w + 1.5, operator by operator and in the network graph. */
Test(onnx, dilated_average_pool) {
  espl_err err = {0};
  espl_graph *g = NULL;
  espl_tprogram *p = NULL;
  espl_exec *e = NULL;
  espl_tensor *x = espl_tensor_new(ESPL_T_FLOAT, 4, (int64_t[]){1, 1, 9, 10}), *y = NULL;
  int64_t dilation[2];
  float out[5 * 7];
  cr_expect_eq(pool_written(1, 1, dilation), 13);
  cr_expect_eq(dilation[0], 0);
  cr_expect_eq(pool_written(2, 3, dilation), 19);
  cr_expect(dilation[0] == 2 && dilation[1] == 3);
  for (int k = 0; k < 90; k++) x->f[k] = (float)k;
  OK(espl_onnx_program(file, &p, &err));
  OK(espl_tprogram_run(p, (const espl_tensor *const *)&x, &y, ESPL_TLIMITS_DEFAULT, &err));
  cr_assert_eq(y->elems, 5 * 7);
  OK(espl_onnx_read(file, &g, &err));
  OK(espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, 1, &e, &err));
  OK(espl_exec_forward(e, x->f, out, &err));
  espl_exec_free(e);
  for (int h = 0; h < 5; h++)
    for (int w = 0; w < 7; w++) {
      float want = 10 * ((float)h + 2) + (float)w + 1.5f;
      cr_expect(fabsf(y->f[h * 7 + w] - want) < 1e-4f && fabsf(out[h * 7 + w] - want) < 1e-4f, "%d %d: %g %g", h, w, (double)y->f[h * 7 + w], (double)out[h * 7 + w]);
    }
  espl_tensor_free(x);
  espl_tensor_free(y);
  espl_tprogram_free(p);
  espl_graph_free(g);
}

/* ---- small files built here ---- */

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

/* A fixed batch is what Shape says, and a target of one row for it is not a flatten of each image. */
Test(onnx, reshapes_of_a_fixed_batch) {
  for (int one_row = 0; one_row < 2; one_row++) {
    model *m = new_model(13, 3, 1, 2, "y");
    m->dim[0].dim_value = 2;
    put_ints(m, "zero", 1, (int64_t[]){0});
    put_ints(m, "rest", 1, (int64_t[]){-1});
    put_ints(m, "one", 1, (int64_t[]){1});
    put_node(m, "Shape", "x", "s");
    attr_int(m, put_node(m, "Gather", "s,zero", "n"), "axis", 0);
    attr_int(m, put_node(m, "Concat", one_row ? "one,rest" : "n,rest", "target"), "axis", 0);
    put_node(m, "Reshape", "x,target", "y");
    if (one_row) {
      expect_refusal(m, ESPL_E_UNSUPPORTED, "makes one row of a batch of 2");
      continue;
    }
    espl_graph *g = read_ok(m);
    cr_expect(g->node[g->output].op == ESPL_OP_FLATTEN && g->node[g->output].shape.c == 6);
    espl_graph_free(g);
  }
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

/* ---- refusals ---- */

Test(onnx, operators_refused_bad) {
  model *m = new_model(13, 1, 8, 8, "y");
  put_node(m, "LSTM", "x", "y")->domain = keep_text("com.example");
  expect_refusal(m, ESPL_E_UNSUPPORTED, "operator LSTM (domain com.example, opset not named) of node n_y is not supported");
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
