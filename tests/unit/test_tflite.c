/* TFLite files: values of TFLite's own reference kernels (tests/tflite/golden.txt, made by golden.py beside it), the machine's rule and
 * the float network near them, refusals, damaged files. The small files are written by tests/tflite/make.py. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "nn/nn.h"
#include "onnx/onnx.h"
#include "onnx/qdq.h"
#include "quant/tfl.h"
#include "tflite/tflite.h"

static char dir[SCRATCH];
static espl_err err;

#define OK(expr) cr_assert_eq((expr), ESPL_OK, "%s", err.msg)

static void make_files(void) {
  char cmd[SCRATCH_COMMAND];
  scratch_folder(dir, "espl-tflite");
  snprintf(cmd, sizeof cmd, "python3 tests/tflite/make.py '%s'", dir);
  cr_assert_eq(system(cmd), 0);
}
static void remove_files(void) {
  cr_assert_eq(scratch_remove(dir), 0);
}

TestSuite(tflite, .init = make_files, .fini = remove_files, .timeout = 300);

typedef struct net {
  espl_graph *g;
  espl_qnet *q;
} net;

static net read_net(const char *name) {
  net n = {0};
  char path[SCRATCH_FILE];
  if (strcmp(name, "resnet8") == 0) {
    const char *shared = getenv("ESPL_SHARED");
    snprintf(path, sizeof path, "%s/models/resnet8_ic01_int8.tflite", shared ? shared : "../shared");
  } else {
    snprintf(path, sizeof path, "%s/%s.tflite", dir, name);
  }
  OK(espl_qdq_read(path, &n.g, &n.q, &err));
  cr_assert_not_null(n.q);
  return n;
}

static void free_net(net *n) {
  espl_qnet_free(n->q);
  espl_graph_free(n->g);
}

/* Image n of the golden file as int8 [c,h,w]: the integers of golden.py's input_byte, less 128. */
static void image(espl_shape s, int n, int8_t *out) {
  for (int64_t k = 0; k < espl_shape_elems(s); k++) {
    uint32_t noise = ((uint32_t)k * 2654435761u + (uint32_t)n * 40503u + 12345u) >> 24;
    int64_t byte = (k * (3 + n) / 2 + noise / 2 + 37 * n) % 256;
    out[k % s.c * s.h * s.w + k / s.c] = (int8_t)(byte - 128);
  }
}

typedef struct golden {
  char net[16], tensor[64];
  int image, n;
  int16_t v[512];
} golden;

/* The next line of the golden file for `name`; false at the end. */
static bool next_golden(FILE *f, const char *name, golden *r) {
  static char line[8192];
  while (fgets(line, sizeof line, f)) {
    int at = 0, step, v;
    if (sscanf(line, "%15s %d %63s%n", r->net, &r->image, r->tensor, &at) != 3 || strcmp(r->net, name)) continue;
    for (r->n = 0; r->n < 512 && sscanf(line + at, "%d%n", &v, &step) == 1; at += step) r->v[r->n++] = (int16_t)v;
    return true;
  }
  return false;
}

/* The last tensor that holds the file's tensor of this name: its node has the name, perhaps with ".activation" behind it; -1: none. */
static int32_t tensor_named(const net *n, const char *name) {
  char with[80];
  snprintf(with, sizeof with, "%s.activation", name);
  for (int32_t i = n->q->tensors - 1; i >= 0; i--) {
    const char *have = n->g->node[n->q->tensor[i].node].name;
    if (strcmp(have, name) == 0 || strcmp(have, with) == 0) return i;
  }
  return -1;
}

/* Every golden value of the file equals ours. */
static void expect_golden(const char *name, int least) {
  net n = read_net(name);
  espl_shape s = n.q->tensor[0].shape;
  int8_t in[8192], logits[16], last[16], value[65536];
  espl_tfl *x = NULL;
  golden r;
  int lines = 0, at = -1;
  OK(espl_tfl_new(n.g, n.q, &x, &err));
  FILE *f = fopen("tests/tflite/golden.txt", "r");
  cr_assert_not_null(f);
  while (next_golden(f, name, &r)) {
    if (r.image != at) {
      image(s, r.image, in);
      espl_tfl_run(x, in, logits, last);
      at = r.image;
    }
    int32_t t = tensor_named(&n, r.tensor);
    bool softmax = t < 0 || n.g->node[n.q->tensor[t].node].op == ESPL_OP_SOFTMAX;
    espl_shape o = softmax ? (espl_shape){r.n, 1, 1} : n.q->tensor[t].shape;
    if (softmax) memcpy(value, last, sizeof last);
    else espl_tfl_tensor(x, t, value);
    cr_assert_eq(r.n, espl_shape_elems(o), "%s %s", name, r.tensor);
    for (int k = 0; k < r.n; k++) {
      int8_t v = value[k % o.c * o.h * o.w + k / o.c];
      cr_assert_eq(v, r.v[k], "%s image %d tensor %s element %d: %d, TFLite has %d", name, r.image, r.tensor, k, v, r.v[k]);
    }
    lines++;
  }
  fclose(f);
  cr_assert_geq(lines, least, "%d golden lines of %s", lines, name);
  espl_tfl_free(x);
  free_net(&n);
}

Test(tflite, reference_kernels_mobile) { expect_golden("mobile", 20); }
Test(tflite, reference_kernels_surround) { expect_golden("surround", 20); }
Test(tflite, reference_kernels_resnet8) {
  const char *shared = getenv("ESPL_SHARED");
  char path[SCRATCH_FILE];
  snprintf(path, sizeof path, "%s/models/resnet8_ic01_int8.tflite", shared ? shared : "../shared");
  if (access(path, R_OK) != 0) cr_skip_test("%s is absent (set ESPL_SHARED)", path);
  expect_golden("resnet8", 12);
}

/* The largest distance, in steps of its scale, of the last golden tensor to ours: by the machine's integers and by the float graph. */
static void distances(const char *name, const char *tensor, double *machine, double *floats) {
  net n = read_net(name);
  espl_shape s = n.q->tensor[0].shape;
  const espl_qtensor *o = &n.q->tensor[n.q->output];
  int8_t in[8192], out[16];
  float fin[8192], fout[16];
  espl_qexec *x = NULL;
  espl_exec *e = NULL;
  golden r;
  int seen = 0;
  OK(espl_qexec_new(n.q, 1, &x, &err));
  if (n.g->node[n.g->output].op == ESPL_OP_SOFTMAX) OK(espl_graph_remove(n.g, n.g->output, 0, &err));
  OK(espl_exec_new(n.g, ESPL_MODE_INFER, ESPL_F32, 1, &e, &err));
  *machine = *floats = 0;
  FILE *f = fopen("tests/tflite/golden.txt", "r");
  cr_assert_not_null(f);
  while (next_golden(f, name, &r)) {
    if (strcmp(r.tensor, tensor)) continue;
    image(s, r.image, in);
    for (int64_t k = 0; k < espl_shape_elems(s); k++) fin[k] = n.q->tensor[0].scale * (float)(in[k] - n.q->tensor[0].zero);
    OK(espl_qexec_run(x, 1, in, out, &err));
    OK(espl_exec_forward(e, fin, fout, &err));
    for (int k = 0; k < r.n; k++) {
      double real = (double)o->scale * (r.v[k] - o->zero), clamped = fmin(127, fmax(-128, (double)fout[k] / (double)o->scale + o->zero));
      *machine = fmax(*machine, abs(out[k] - r.v[k]));
      *floats = fmax(*floats, fabs(clamped - (real / (double)o->scale + o->zero)));
    }
    seen++;
  }
  fclose(f);
  cr_assert_eq(seen, 8);
  espl_qexec_free(x);
  espl_exec_free(e);
  free_net(&n);
}

/* Other roundings, the same network: a transposed kernel or a flattened image in another order would be dozens apart. */
Test(tflite, machine_and_float_stay_near) {
  const struct { const char *name; double machine, floats; } t[] = {{"mobile", 8, 8}, {"surround", 2, 4}, {"asymmetric", 2, 3}};
  for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
    double machine, floats;
    distances(t[k].name, "classes", &machine, &floats);
    cr_expect_leq(machine, t[k].machine, "%s: the machine is %g apart", t[k].name, machine);
    cr_expect_leq(floats, t[k].floats, "%s: the float network is %g apart", t[k].name, floats);
  }
}

Test(tflite, weights_quantized_again_are_told) {
  net n = read_net("asymmetric");
  espl_tfl *x = NULL;
  cr_expect(n.q->requantized);
  cr_expect_eq(espl_tfl_new(n.g, n.q, &x, &err), ESPL_E_UNSUPPORTED);
  cr_expect_not_null(strstr(err.msg, "quantized again"), "%s", err.msg);
  free_net(&n);
}

/* Pixel p enters as p - 128: what the preprocessing of the network says. */
Test(tflite, preprocessing_of_pixels) {
  const char *names[] = {"mobile", "asymmetric"};
  for (int k = 0; k < 2; k++) {
    net n = read_net(names[k]);
    espl_preprocess pp;
    OK(espl_preprocess_from_json(&pp, n.g->preprocess, &err));
    int64_t elems = espl_shape_elems(n.q->tensor[0].shape);
    float x[1024];
    int8_t q[1024];
    for (int p = 0; p < 256; p++) {
      for (int64_t e = 0; e < elems; e++) x[e] = ((float)p - pp.mean[0]) / pp.std[0];
      espl_qnet_input(n.q, x, q);
      cr_assert_eq(q[0], p - 128, "%s: pixel %d enters as %d", names[k], p, q[0]);
    }
    free_net(&n);
  }
}

Test(tflite, as_float_network) {
  char path[SCRATCH_FILE];
  espl_graph *g = NULL;
  snprintf(path, sizeof path, "%s/mobile.tflite", dir);
  OK(espl_onnx_read(path, &g, &err));
  cr_expect_eq(espl_graph_macs(g), 33936);
  espl_graph_free(g);
}

/* Written as ONNX with the scales of the file, and read again: the same integers. */
static void through_onnx(const char *name) {
  net n = read_net(name), m = {0};
  char path[SCRATCH_FILE];
  int8_t in[512], a[16], b[16];
  espl_qexec *x = NULL, *y = NULL;
  snprintf(path, sizeof path, "%s/%s.onnx", dir, name);
  OK(espl_qdq_write(n.g, n.q, path, &err));
  OK(espl_qdq_read(path, &m.g, &m.q, &err));
  OK(espl_qexec_new(n.q, 1, &x, &err));
  OK(espl_qexec_new(m.q, 1, &y, &err));
  for (int k = 0; k < 20; k++) {
    image(n.q->tensor[0].shape, k, in);
    OK(espl_qexec_run(x, 1, in, a, &err));
    OK(espl_qexec_run(y, 1, in, b, &err));
    cr_assert_eq(memcmp(a, b, 5), 0, "%s image %d", name, k);
  }
  espl_qexec_free(x);
  espl_qexec_free(y);
  free_net(&n);
  free_net(&m);
}
Test(tflite, through_onnx_mobile) { through_onnx("mobile"); }
Test(tflite, through_onnx_surround) { through_onnx("surround"); }

static void expect_refusal(const uint8_t *data, size_t n, espl_status code, const char *text) {
  espl_graph *g = NULL;
  espl_qgiven *v = NULL;
  espl_err e = {0};
  cr_expect_eq(espl_tflite_import(data, n, &g, &v, &e), code, "%s: %s", text, e.msg);
  cr_expect_not_null(strstr(e.msg, text), "expected '%s', got: %s", text, e.msg);
}

Test(tflite, refusals_name_the_operator) {
  char path[SCRATCH_FILE], *data = NULL;
  size_t n = 0;
  snprintf(path, sizeof path, "%s/refused.tflite", dir);
  OK(espl_read_file(path, 1 << 20, &data, &n, &err));
  expect_refusal((uint8_t *)data, n, ESPL_E_UNSUPPORTED, "operator 1, LOGISTIC (code 14, version 1)");
  data[4] = 'X';
  expect_refusal((uint8_t *)data, n, ESPL_E_INPUT, "not a TFLite file");
  free(data);
}

Test(tflite, every_prefix_is_refused) {
  char path[SCRATCH_FILE], *data = NULL;
  size_t n = 0;
  snprintf(path, sizeof path, "%s/surround.tflite", dir);
  OK(espl_read_file(path, 1 << 20, &data, &n, &err));
  for (size_t cut = 8; cut + 16 < n; cut += 3) {
    uint8_t *part = malloc(cut); /* its own allocation: the sanitizer sees a byte too far */
    memcpy(part, data, cut);
    espl_graph *g = NULL;
    espl_qgiven *v = NULL;
    espl_err e = {0};
    espl_status s = espl_tflite_import(part, cut, &g, &v, &e);
    cr_expect(s == ESPL_E_INPUT || s == ESPL_E_UNSUPPORTED, "prefix of %zu bytes: %s", cut, espl_status_name(s));
    espl_graph_free(g);
    espl_qgiven_free(v);
    free(part);
  }
  free(data);
}
