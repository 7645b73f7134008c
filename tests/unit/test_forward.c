/* Operators without a form on the machine: written and read again, evaluated in two ways, refused by the integer lowering; one-dimensional networks. */
#include "nn/nn.h"
#include "onnx/program.h"
#include "onnx_files.h"
#include "quant/qnet.h"

#include <math.h>

TestSuite(forward, .init = make_dir, .fini = remove_dir, .timeout = 120);

/* All of them in one graph, with the shapes worked out by hand. */
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
  ADD(.op = ESPL_OP_PRELU, .inputs = 1, .input = {v});
  PARAM(GAMMA, 1, 1); /* for all channels */
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

Test(forward, round_trip) {
  espl_graph *g = forward_operators();
  round_trip(g);
  espl_graph_free(g);
}

/* Group normalisation has an operator as of operator set 21, graph normalisation has none. */
Test(forward, normalisation_by_groups) {
  espl_err err = {0};
  int32_t v = 0, c = 6;
  espl_graph *g = espl_graph_new("groups", (espl_shape){6, 4, 5});
  OK(espl_graph_add(g, &(espl_node){.op = ESPL_OP_GROUPNORM, .inputs = 1, .input = {0}, .eps = 0.25f, .conv = {.groups = 3}}, &v, &err));
  for (int k = ESPL_PARAM_GAMMA; k <= ESPL_PARAM_BETA; k++) {
    OK(espl_graph_add_param(g, v, (espl_param_kind)k, NULL, 1, &c, &err));
    for (int i = 0; i < 6; i++) g->node[v].param[k]->value[i] = 0.5f * (float)(i + k);
  }
  round_trip(g);
  g->node[v].conv.groups = 4;
  cr_expect_eq(espl_onnx_write(g, file, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "groups"), "%s", err.msg);
  err = (espl_err){0};
  g->node[v].op = ESPL_OP_GRAPHNORM;
  OK(espl_graph_add_param(g, v, ESPL_PARAM_BIAS, NULL, 1, &c, &err));
  cr_expect_eq(espl_onnx_write(g, file, &err), ESPL_E_UNSUPPORTED);
  cr_expect(strstr(err.msg, "no ONNX operator"), "%s", err.msg);
  espl_graph_free(g);
}

/* Two evaluations of one graph: oneDNN on the graph, and the written file operator by operator. */
Test(forward, two_ways) {
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
  free(fast);
  espl_exec_free(x);
  espl_tensor_free(in);
  espl_tensor_free(out[0]);
  espl_tprogram_free(p);
  espl_graph_free(g);
}

/* Each of them is refused by the integer lowering, alone on the input, with its node, its operator and its own reason. */
Test(forward, have_no_machine_form) {
  static const struct {
    espl_node node;
    const char *says;
  } t[] = {{{.op = ESPL_OP_CONVTRANSPOSE, .shape = {6, 0, 0}, .conv = {3, 2, 2, 1, 1, 2, 1, 0, 0, 1, 2}}, "(CONVTRANSPOSE): the machine has no transposed convolution"},
           {{.op = ESPL_OP_LEAKYRELU, .alpha = 0.125f}, "(LEAKYRELU): the machine's only activation is a clamp; a slope below zero has no form"},
           {{.op = ESPL_OP_PRELU}, "(PRELU): the machine's only activation is a clamp; a slope below zero has no form"},
           {{.op = ESPL_OP_SIGMOID}, "(SIGMOID): the machine's only activation is a clamp"},
           {{.op = ESPL_OP_TANH}, "(TANH): the machine's only activation is a clamp"},
           {{.op = ESPL_OP_HARDSIGMOID, .alpha = 0.25f, .beta = 0.5f}, "(HARDSIGMOID): the machine's only activation is a clamp"},
           {{.op = ESPL_OP_HARDSWISH}, "(HARDSWISH): the machine's only activation is a clamp"},
           {{.op = ESPL_OP_MUL, .inputs = 2}, "(MUL): the machine multiplies by weights only, not two computed values"},
           {{.op = ESPL_OP_DIV, .inputs = 2}, "(DIV): the machine multiplies by weights only, not two computed values"},
           {{.op = ESPL_OP_SUB, .inputs = 2}, "(SUB): the machine adds two values, it does not subtract one from the other"},
           {{.op = ESPL_OP_SPREADADD, .inputs = 2}, "(SPREADADD): the machine adds two values of one shape only"},
           {{.op = ESPL_OP_INSTANCENORM, .eps = 0.5f}, "(INSTANCENORM): its statistics are those of each image, the machine has constants"},
           {{.op = ESPL_OP_RESIZE, .resize = {ESPL_WORD_NEAREST, ESPL_WORD_ASYMMETRIC, ESPL_WORD_FLOOR, 2, 1}}, "(RESIZE): the machine does not resize images"}};
  espl_quant_config c;
  espl_preprocess pp = {0};
  espl_quant_default(&c);
  for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
    espl_err err = {0};
    espl_graph *g = espl_graph_new("one", (espl_shape){4, 5, 6});
    espl_node n = t[k].node;
    espl_qnet *q = NULL;
    int32_t id;
    n.name = (char[]){"it"};
    if (!n.inputs) n.inputs = 1;
    OK(espl_graph_add(g, &n, &id, &err));
    if (n.op == ESPL_OP_CONVTRANSPOSE) OK(espl_graph_add_param(g, id, ESPL_PARAM_WEIGHT, NULL, 4, (int32_t[]){4, 3, 3, 2}, &err));
    if (n.op == ESPL_OP_PRELU || n.op == ESPL_OP_INSTANCENORM) OK(espl_graph_add_param(g, id, ESPL_PARAM_GAMMA, NULL, 1, &(int32_t){4}, &err));
    if (n.op == ESPL_OP_INSTANCENORM) OK(espl_graph_add_param(g, id, ESPL_PARAM_BETA, NULL, 1, &(int32_t){4}, &err));
    cr_expect_eq(espl_quantize(g, NULL, &pp, &c, &q, &err), ESPL_E_UNSUPPORTED, "%s", t[k].says);
    cr_expect(strstr(err.msg, "node it ") && strstr(err.msg, t[k].says), "%s, not %s", err.msg, t[k].says);
    espl_graph_free(g);
  }
}

/* The independent reader: python3-onnx's checker with shape inference. */
Test(forward, written_file_passes_the_checker) {
  if (system("/usr/bin/python3 -c 'import onnx' 2>/dev/null") != 0) cr_skip_test("python3-onnx is absent");
  espl_err err = {0};
  espl_graph *g = forward_operators();
  OK(espl_onnx_write(g, file, &err));
  char *cmd = espl_format("/usr/bin/python3 -c \"import onnx; m = onnx.load('%s'); onnx.checker.check_model(m, full_check=True); "
                    "m = onnx.shape_inference.infer_shapes(m, strict_mode=True); assert m.opset_import[0].version == 14\"", file);
  cr_expect_eq(system(cmd), 0);
  free(cmd);
  espl_graph_free(g);
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
Test(forward, one_dimensional_operators) {
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

/* Extents (0: by name) of the file's input and output. */
static void declared(int *in_dims, int *out_dims, int64_t in[4], int64_t out[4]) {
  espl_err err = {0};
  char *text = NULL;
  size_t n = 0;
  OK(espl_read_file(file, 1 << 20, &text, &n, &err));
  Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, n, (const uint8_t *)text);
  cr_assert_not_null(m);
  for (int k = 0; k < 2; k++) {
    const Onnx__TensorShapeProto *s = (k ? m->graph->output : m->graph->input)[0]->type->tensor_type->shape;
    *(k ? out_dims : in_dims) = (int)s->n_dim;
    for (size_t d = 0; d < s->n_dim; d++) (k ? out : in)[d] = s->dim[d]->dim_value;
  }
  onnx__model_proto__free_unpacked(m, NULL);
  free(text);
}

/* What is read as [N,C,L] is written as [N,C,L], what ends as [N,C] as [N,C], and [N,C,1,1] stays that. */
Test(forward, files_keep_their_dimensions) {
  static const struct { const char *tail; int in, out; } cases[] = {{"Relu", 3, 3}, {"GlobalAveragePool", 3, 3}, {"Squeeze", 3, 2}, {"Flatten", 4, 2}, {"GlobalAveragePool", 4, 4}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    espl_err err = {0};
    espl_graph *h = NULL;
    int64_t in[4] = {0}, out[4] = {0};
    int in_dims, out_dims, rank = cases[k].in;
    bool squeeze = cases[k].tail[0] == 'S';
    model *m = new_model(12, 2, rank == 3 ? 9 : 5, 7, "y");
    m->shape.n_dim = (size_t)rank;
    put_floats(m, "W", rank, (int64_t[]){4, 2, 3, 3});
    put_floats(m, "S", rank - 1, (int64_t[]){2, 1, 1});
    put_node(m, "PRelu", "x,S", "r");
    put_node(m, "Conv", "r,W", "c");
    if (squeeze) put_node(m, "GlobalAveragePool", "c", "p");
    Onnx__NodeProto *n = put_node(m, cases[k].tail, squeeze ? "p" : "c", "y");
    if (squeeze) attr_ints(m, n, "axes", 1, (int64_t[]){2});
    espl_graph *g = read_ok(m);
    OK(espl_onnx_write(g, file, &err));
    declared(&in_dims, &out_dims, in, out);
    cr_expect(in_dims == rank && in[1] == 2 && in[rank - 1] == (rank == 3 ? 9 : 7), "case %zu: %d dimensions in", k, in_dims);
    cr_expect(out_dims == cases[k].out, "case %zu: %d dimensions out", k, out_dims);
    if (k == 0) cr_expect(out[1] == 4 && out[2] == 7);
    OK(espl_onnx_read(file, &h, &err));
    expect_same(g, h);
    cr_expect(h->input_rank == rank && h->output_rank == cases[k].out);
    espl_graph_free(g);
    espl_graph_free(h);
  }
}
