/* ONNX files as tensor programs: tensors in separate files, single tensors, versions, wrong inputs. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "base/text.h"
#include "onnx.pb-c.h"
#include "onnx/onnx.h"
#include "onnx/program.h"

#define OK(expr) cr_assert_eq((expr), ESPL_OK, "%s", err.msg)

static char dir[SCRATCH], file[SCRATCH_FILE];

static void make_dir(void) {
  scratch_folder(dir, "espl-prog");
  snprintf(file, sizeof file, "%s/t.onnx", dir);
}

static void remove_dir(void) {
  cr_assert_eq(scratch_remove(dir), 0);
}

TestSuite(program, .init = make_dir, .fini = remove_dir, .timeout = 60);

/* y = x + w, x [2,3], w [2,3] (or what the caller makes of it) in a separate file. */
typedef struct sum {
  Onnx__ModelProto m;
  Onnx__GraphProto g;
  Onnx__OperatorSetIdProto set, *sets[1];
  Onnx__NodeProto n, *nodes[1];
  Onnx__TensorProto w, *inits[1];
  Onnx__ValueInfoProto x, y, *xs[1], *ys[1];
  Onnx__TypeProto type;
  Onnx__TypeProto__Tensor tensor;
  Onnx__TensorShapeProto shape;
  Onnx__TensorShapeProto__Dimension d[2], *ds[2];
  Onnx__StringStringEntryProto e[3], *es[3];
  char *in[2], *out[1];
  int64_t wdim[2];
} sum;

static void build(sum *s, const char *location, const char *offset, const char *length) {
  *s = (sum){.m = ONNX__MODEL_PROTO__INIT, .g = ONNX__GRAPH_PROTO__INIT, .set = ONNX__OPERATOR_SET_ID_PROTO__INIT, .n = ONNX__NODE_PROTO__INIT, .w = ONNX__TENSOR_PROTO__INIT,
             .x = ONNX__VALUE_INFO_PROTO__INIT, .y = ONNX__VALUE_INFO_PROTO__INIT, .type = ONNX__TYPE_PROTO__INIT, .tensor = ONNX__TYPE_PROTO__TENSOR__INIT,
             .shape = ONNX__TENSOR_SHAPE_PROTO__INIT, .in = {(char *)"x", (char *)"w"}, .out = {(char *)"y"}, .wdim = {2, 3}};
  s->set.has_version = 1, s->set.version = 17, s->sets[0] = &s->set;
  s->m.has_ir_version = 1, s->m.ir_version = 8, s->m.n_opset_import = 1, s->m.opset_import = s->sets, s->m.graph = &s->g;
  s->n.op_type = (char *)"Add", s->n.name = (char *)"plus", s->n.n_input = 2, s->n.input = s->in, s->n.n_output = 1, s->n.output = s->out, s->nodes[0] = &s->n;
  s->g.n_node = 1, s->g.node = s->nodes, s->g.n_initializer = 1, s->g.initializer = s->inits, s->inits[0] = &s->w;
  s->g.n_input = s->g.n_output = 1, s->g.input = s->xs, s->g.output = s->ys, s->xs[0] = &s->x, s->ys[0] = &s->y;
  s->x.name = (char *)"x", s->x.type = &s->type, s->y.name = (char *)"y";
  s->type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE, s->type.tensor_type = &s->tensor;
  s->tensor.has_elem_type = 1, s->tensor.elem_type = 1, s->tensor.shape = &s->shape, s->shape.n_dim = 2, s->shape.dim = s->ds;
  for (int k = 0; k < 2; k++) {
    onnx__tensor_shape_proto__dimension__init(&s->d[k]);
    s->ds[k] = &s->d[k];
    s->d[k].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE, s->d[k].dim_value = k ? 3 : 2;
  }
  s->w.name = (char *)"w", s->w.has_data_type = 1, s->w.data_type = 1, s->w.n_dims = 2, s->w.dims = s->wdim;
  s->w.has_data_location = 1, s->w.data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL, s->w.external_data = s->es;
  const char *const pairs[3][2] = {{"location", location}, {"offset", offset}, {"length", length}};
  for (int k = 0; k < 3; k++) {
    if (!pairs[k][1]) continue;
    onnx__string_string_entry_proto__init(&s->e[k]);
    s->e[k].key = (char *)pairs[k][0], s->e[k].value = (char *)pairs[k][1];
    s->es[s->w.n_external_data++] = &s->e[k];
  }
}

static void write_model(const sum *s) {
  espl_err err = {0};
  size_t n = onnx__model_proto__get_packed_size(&s->m);
  uint8_t *data = malloc(n);
  onnx__model_proto__pack(&s->m, data);
  OK(espl_write_file(file, data, n, &err));
  free(data);
}

static void put_weights(const char *name, int count) {
  espl_err err = {0};
  float v[16];
  for (int k = 0; k < 16; k++) v[k] = (float)k;
  char *path = espl_format("%s/%s", dir, name);
  OK(espl_write_file(path, v, (size_t)count * sizeof *v, &err));
  free(path);
}

static void refused(const sum *s, espl_status code, const char *text) {
  espl_err err = {0};
  espl_tprogram *p = NULL;
  espl_graph *g = NULL;
  write_model(s);
  cr_expect_eq(espl_onnx_program(file, &p, &err), code, "%s", err.msg);
  cr_expect(strstr(err.msg, text) && strstr(err.msg, file), "\"%s\" is not in: %s", text, err.msg);
  cr_expect_null(p);
  err = (espl_err){0};
  cr_expect_eq(espl_onnx_read(file, &g, &err), code, "%s", err.msg);
  cr_expect_null(g);
}

Test(program, weights_in_a_separate_file) {
  sum s;
  espl_err err = {0};
  espl_tprogram *p = NULL;
  espl_tensor *x = espl_tensor_new(ESPL_T_FLOAT, 2, (int64_t[]){2, 3}), *y[1] = {NULL};
  put_weights("w.bin", 8);
  build(&s, "w.bin", "8", "24");
  write_model(&s);
  OK(espl_onnx_program(file, &p, &err));
  for (int k = 0; k < 6; k++) x->f[k] = (float)(10 * k);
  OK(espl_tprogram_run(p, (const espl_tensor *const *)&x, y, ESPL_TLIMITS_DEFAULT, &err));
  for (int k = 0; k < 6; k++) cr_expect_eq(y[0]->f[k], (float)(10 * k + k + 2));
  espl_tensor_free(x);
  espl_tensor_free(y[0]);
  espl_tprogram_free(p);
}

Test(program, separate_files_bad) {
  sum s;
  char *outside = espl_format("%s/../espl-outside-%d.bin", dir, (int)getpid()), *link_path = espl_format("%s/link.bin", dir), *absolute = espl_format("%s/w.bin", dir);
  espl_err err = {0};
  put_weights("w.bin", 8);
  OK(espl_write_file(outside, "0123456789012345678901234567", 28, &err));
  cr_assert_eq(symlink(outside, link_path), 0);
  const char *up = strrchr(outside, '/') - 2;
  const struct { const char *location, *offset, *length, *text; } t[] = {
      {"../w.bin", NULL, NULL, "data in \"../w.bin\", expected a path inside the model's folder"}, {up, NULL, NULL, "expected a path inside the model's folder"},
      {"a/../../w.bin", NULL, NULL, "inside the model's folder"}, {absolute, NULL, NULL, "inside the model's folder"}, {"", NULL, NULL, "inside the model's folder"},
      {"link.bin", NULL, NULL, "leads outside the model's folder"}, {"absent.bin", NULL, NULL, "absent.bin is not there"}, {".", NULL, NULL, "leads outside"},
      {"w.bin", "16", NULL, "24 bytes at 16 of"}, {"w.bin", "0", "20", "20 bytes in a separate file, its shape needs 24"}, {"w.bin", "-8", NULL, "its offset in a separate file is \"-8\""},
      {"w.bin", "99999999999999999999999", NULL, "its offset in a separate file"}, {"w.bin", "18446744073709551608", "24", "24 bytes at 18446744073709551608"}};
  for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
    build(&s, t[k].location, t[k].offset, t[k].length);
    refused(&s, ESPL_E_INPUT, t[k].text);
  }
  build(&s, "w.bin", NULL, NULL);
  s.wdim[0] = (int64_t)1 << 40; /* 2^43 bytes claimed */
  refused(&s, ESPL_E_INPUT, "tensor w: extent 0 is 1099511627776");
  cr_expect_eq(remove(outside), 0);
  free(outside);
  free(link_path);
  free(absolute);
}

Test(program, versions_bad) {
  static const struct { int64_t ir, set; const char *text; } t[] = {{2, 17, "IR version 2, 3 to 10 are supported"}, {11, 17, "IR version 11"}, {8, 6, "operator set 6, 7 to 21"}, {8, 22, "operator set 22"}};
  sum s;
  put_weights("w.bin", 6);
  for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
    build(&s, "w.bin", NULL, NULL);
    s.m.ir_version = t[k].ir;
    s.set.version = t[k].set;
    refused(&s, ESPL_E_UNSUPPORTED, t[k].text);
  }
  build(&s, "w.bin", NULL, NULL);
  s.m.n_opset_import = 0;
  refused(&s, ESPL_E_INPUT, "names no ONNX operator set");
  for (int other = 0; other < 2; other++) { /* twice the ONNX domain; or another domain beside it, whose set is told */
    Onnx__OperatorSetIdProto more = ONNX__OPERATOR_SET_ID_PROTO__INIT, *two[2] = {&s.set, &more};
    build(&s, "w.bin", NULL, NULL);
    more.domain = other ? (char *)"com.example" : (char *)"ai.onnx";
    more.has_version = 1, more.version = 3;
    s.m.n_opset_import = 2, s.m.opset_import = two;
    if (other) s.n.domain = (char *)"com.example";
    refused(&s, other ? ESPL_E_UNSUPPORTED : ESPL_E_INPUT, other ? "operator Add (domain com.example, opset 3) of node plus" : "names two ONNX operator sets, 17 and 3");
  }
  build(&s, "w.bin", NULL, NULL);
  s.n.op_type = (char *)"Einsum";
  refused(&s, ESPL_E_UNSUPPORTED, "operator Einsum (domain ai.onnx, opset 17) of node plus is not supported");
}

Test(program, inputs_bad) {
  sum s;
  espl_err err = {0};
  espl_tprogram *p = NULL;
  espl_tensor *y[1], *wide = espl_tensor_new(ESPL_T_FLOAT, 2, (int64_t[]){2, 4}), *whole = espl_tensor_new(ESPL_T_INT64, 2, (int64_t[]){2, 3});
  put_weights("w.bin", 6);
  build(&s, "w.bin", NULL, NULL);
  write_model(&s);
  OK(espl_onnx_program(file, &p, &err));
  cr_expect_eq(espl_tprogram_run(p, (const espl_tensor *const *)&wide, y, ESPL_TLIMITS_DEFAULT, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "input x has the shape [2,4], expected [2,3]"), "%s", err.msg);
  err = (espl_err){0};
  cr_expect_eq(espl_tprogram_run(p, (const espl_tensor *const *)&whole, y, ESPL_TLIMITS_DEFAULT, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "input x is of type int64, expected float"), "%s", err.msg);
  espl_tensor_free(wide);
  espl_tensor_free(whole);
  espl_tprogram_free(p);
}

Test(program, tensor_files) {
  static const espl_type types[] = {ESPL_T_FLOAT, ESPL_T_INT64, ESPL_T_UINT8, ESPL_T_FLOAT16, ESPL_T_BOOL, ESPL_T_DOUBLE};
  for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
    espl_err err = {0};
    espl_tensor *a = espl_tensor_new(types[k], 3, (int64_t[]){2, 1, 3}), *b = NULL;
    for (int j = 0; j < 6; j++)
      if (a->f) a->f[j] = (float)j - 2.5f;
      else a->i[j] = espl_type_wrap(types[k], j);
    OK(espl_onnx_tensor_write(file, "t", a, &err));
    OK(espl_onnx_tensor_read(file, &b, &err));
    cr_assert(b->type == a->type && b->dims == 3 && b->dim[2] == 3);
    for (int j = 0; j < 6; j++) cr_expect_eq(espl_tensor_at(a, j), espl_tensor_at(b, j));
    espl_tensor_free(a);
    espl_tensor_free(b);
  }
}
