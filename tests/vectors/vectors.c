/* ONNX's own test vectors through this project's two evaluations: the tensor program and, where the network graph holds the model, the
 * fast execution on oneDNN.
 *
 * usage: vectors SKIP-TABLE FOLDER...     each folder holds test_<name>/model.onnx and test_data_set_<k>/{input,output}_<i>.pb
 * A test counts when every node of its model is an operator of docs/networks.md and its operator set is one of those read. Tolerance: that of ONNX's runner, relative 1e-3 and absolute
 * 1e-7 (1e-5 for the fast execution, whose sums are ordered otherwise); integers and booleans must be equal.
 * The table's line "in-graph N" says how many must also have gone through the network graph. Tests that cannot pass stand in the skip table with a reason; one that passes all the same is a failure, and so is a line that names no test. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "base/mem.h"
#include "base/text.h"
#include "nn/nn.h"
#include "onnx.pb-c.h"
#include "onnx/onnx.h"
#include "onnx/program.h"

enum { MAX_TENSORS = 64, MAX_SKIPS = 512 };

typedef struct skip {
  char *name, *reason;
  int seen;
} skip;

static skip skips[MAX_SKIPS];
static int n_skips, least_in_graph, passed, failed, skipped, in_graph, outside;

static void die(const char *what, const char *why) {
  fprintf(stderr, "vectors: %s: %s\n", what, why);
  exit(1);
}

/* Lines "name reason"; # starts a comment. */
static void read_skips(const char *path) {
  char *text = NULL;
  size_t n;
  espl_err err = {0};
  if (espl_read_file(path, 1 << 20, &text, &n, &err) != ESPL_OK) die(path, err.msg);
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    size_t len = strcspn(line, " ");
    if (line[0] == '#' || len == 0) continue;
    if (!line[len] || n_skips == MAX_SKIPS) die(path, "a line without reason, or too many");
    line[len] = 0;
    if (strcmp(line, "in-graph") == 0) {
      least_in_graph = atoi(line + len + 1);
      continue;
    }
    skips[n_skips++] = (skip){espl_strdup(line), espl_strdup(line + len + 1 + strspn(line + len + 1, " ")), 0};
  }
  free(text);
}

static skip *skip_of(const char *name) {
  for (int k = 0; k < n_skips; k++)
    if (strcmp(skips[k].name, name) == 0) return &skips[k];
  return NULL;
}

/* ---- one data set ---- */

/* The vectors of bfloat16 store the bits as uint16. */
static espl_status as_bits(espl_tensor **t, espl_type want) {
  if (want != ESPL_T_BFLOAT16 || (*t)->type != ESPL_T_UINT16) return ESPL_OK;
  espl_tensor *f = espl_tensor_new(ESPL_T_BFLOAT16, (*t)->dims, (*t)->dim);
  for (int64_t k = 0; f && k < f->elems; k++) f->f[k] = espl_bfloat_to_float((uint16_t)(*t)->i[k]);
  espl_tensor_free(*t);
  *t = f;
  return f ? ESPL_OK : ESPL_E_NOMEM;
}

typedef struct data_set {
  espl_tensor *in[MAX_TENSORS], *want[MAX_TENSORS];
  int n_in, n_want;
} data_set;

static void clear(data_set *d) {
  for (int k = 0; k < d->n_in; k++) espl_tensor_free(d->in[k]);
  for (int k = 0; k < d->n_want; k++) espl_tensor_free(d->want[k]);
  *d = (data_set){0};
}

static espl_status read_side(const char *dir, const char *side, espl_tensor **t, int *n, espl_err *err) {
  for (*n = 0; *n < MAX_TENSORS; (*n)++) {
    char *path = espl_format("%s/%s_%d.pb", dir, side, *n);
    espl_status s = ESPL_OK;
    bool there = espl_path_exists(path);
    if (there) s = espl_onnx_tensor_read(path, &t[*n], err);
    free(path);
    if (s != ESPL_OK || !there) return s;
  }
  return ESPL_OK;
}

static espl_status differ(const espl_tensor *got, const espl_tensor *want, double absolute, espl_err *err) {
  char a[160], b[160];
  espl_dims_text(a, sizeof a, got->dims, got->dim);
  espl_dims_text(b, sizeof b, want->dims, want->dim);
  if (strcmp(a, b) || got->type != want->type)
    return espl_fail(err, ESPL_E_MISMATCH, "%s of type %s, expected %s of type %s", a, espl_type_name(got->type), b, espl_type_name(want->type));
  for (int64_t k = 0; k < got->elems; k++) {
    double x = espl_tensor_at(got, k), y = espl_tensor_at(want, k);
    bool same = got->i ? got->i[k] == want->i[k] : x == y || (isnan(x) && isnan(y)) || fabs(x - y) <= absolute + 1e-3 * fabs(y);
    if (!same) return espl_fail(err, ESPL_E_MISMATCH, "element %lld is %g, expected %g", (long long)k, x, y);
  }
  return ESPL_OK;
}

static espl_status run_program(const espl_tprogram *p, data_set *d, espl_err *err) {
  espl_tensor *out[MAX_TENSORS] = {NULL};
  if (p->n_inputs != d->n_in || p->n_outputs != d->n_want || p->n_outputs > MAX_TENSORS)
    return espl_fail(err, ESPL_E_MISMATCH, "%d inputs and %d outputs, the data has %d and %d", p->n_inputs, p->n_outputs, d->n_in, d->n_want);
  for (int k = 0; k < d->n_in; k++) ESPL_TRY(as_bits(&d->in[k], p->input[k].type));
  espl_status s = espl_tprogram_run(p, (const espl_tensor *const *)d->in, out, ESPL_TLIMITS_DEFAULT, err);
  for (int k = 0; k < p->n_outputs && s == ESPL_OK; k++)
    if (as_bits(&d->want[k], out[k]->type) != ESPL_OK || differ(out[k], d->want[k], 1e-7, err) != ESPL_OK) s = espl_fail_context(err, "output %d", k);
  for (int k = 0; k < p->n_outputs; k++) espl_tensor_free(out[k]);
  return s;
}

/* The fast execution of a model that the network graph holds: shapes may lack extents of 1, the elements count. */
static espl_status run_graph(espl_graph *g, const data_set *d, espl_err *err) {
  int64_t each = espl_shape_elems(g->node[0].shape), out = espl_shape_elems(g->node[g->output].shape), batch = d->in[0]->elems / each;
  if (d->n_in < 1 || !d->in[0]->f || batch < 1 || d->want[0]->elems != batch * out) return espl_fail(err, ESPL_E_MISMATCH, "the graph's extents are not those of the data");
  espl_exec *x = NULL;
  espl_tensor *got = espl_tensor_copy(d->want[0]);
  espl_status s = got ? espl_exec_new(g, ESPL_MODE_INFER, ESPL_F32, (int32_t)batch, &x, err) : espl_fail(err, ESPL_E_NOMEM, "out of memory");
  if (s == ESPL_OK) s = espl_exec_forward(x, d->in[0]->f, got->f, err);
  if (s == ESPL_OK) s = differ(got, d->want[0], 1e-5, err);
  espl_exec_free(x);
  espl_tensor_free(got);
  return s == ESPL_OK ? s : espl_fail_context(err, "fast execution");
}

static Onnx__TensorProto *read_proto(const char *path) {
  char *data = NULL;
  size_t n = 0;
  espl_err err = {0};
  if (espl_read_file(path, 1 << 26, &data, &n, &err) != ESPL_OK) return NULL;
  Onnx__TensorProto *t = onnx__tensor_proto__unpack(NULL, n, (const uint8_t *)data);
  free(data);
  return t;
}

/* The model with all inputs but the first made constants of the values in `set`: most vectors give weights as inputs, the network graph wants
 * them constant. NULL when the graph has no form for it. */
static espl_graph *bound_graph(const char *model, const char *set) {
  char *data = NULL, *path = NULL, whole_file[SCRATCH];
  size_t n = 0;
  espl_err err = {0};
  espl_graph *g = NULL;
  if (espl_read_file(model, 1 << 26, &data, &n, &err) != ESPL_OK) return NULL;
  Onnx__ModelProto *m = onnx__model_proto__unpack(NULL, n, (const uint8_t *)data);
  free(data);
  size_t inputs = m && m->graph ? m->graph->n_input : 0, had = m && m->graph ? m->graph->n_initializer : 0;
  Onnx__TensorProto **list = espl_calloc(had + inputs + 1, sizeof *list), **own = m && m->graph ? m->graph->initializer : NULL;
  bool whole = list && inputs > 1;
  for (size_t k = 0; whole && k < had; k++) list[k] = own[k];
  for (size_t k = 1; whole && k < inputs; k++) {
    path = espl_format("%s/input_%zu.pb", set, k);
    Onnx__TensorProto *t = list[had + k - 1] = read_proto(path);
    free(path);
    whole = t != NULL && m->graph->input[k]->name;
    if (!whole) break;
    free(t->name);
    t->name = strdup(m->graph->input[k]->name);
  }
  if (whole) {
    m->graph->initializer = list;
    m->graph->n_initializer = had + inputs - 1;
    n = onnx__model_proto__get_packed_size(m);
    uint8_t *out = malloc(n);
    onnx__model_proto__pack(m, out);
    scratch_file(whole_file, "espl-vector");
    if (espl_write_file(whole_file, out, n, &err) == ESPL_OK && espl_onnx_read(whole_file, &g, &err) != ESPL_OK) g = NULL;
    remove(whole_file);
    free(out);
    m->graph->initializer = own;
    m->graph->n_initializer = had;
  }
  for (size_t k = had; list && list[k] && k < had + inputs; k++) onnx__tensor_proto__free_unpacked(list[k], NULL);
  free(list);
  if (m) onnx__model_proto__free_unpacked(m, NULL);
  return g;
}

/* One data set through the graph: the model's own, or one with its further inputs bound. */
static espl_status run_graphs(const char *model, const char *set, espl_graph *g, const data_set *d, bool *ran, espl_err *err) {
  espl_graph *bound = g ? NULL : bound_graph(model, set), *use = g ? g : bound;
  espl_status s = use ? run_graph(use, d, err) : ESPL_OK;
  *ran |= use != NULL;
  espl_graph_free(bound);
  return s;
}

static espl_status run_sets(const char *dir, const char *model, const espl_tprogram *p, espl_graph *g, bool *ran, espl_err *err) {
  espl_status s = ESPL_OK;
  int k = 0;
  for (; s == ESPL_OK; k++) {
    data_set d = {0};
    char *set = espl_format("%s/test_data_set_%d", dir, k);
    bool there = espl_path_exists(set);
    if (there) s = read_side(set, "input", d.in, &d.n_in, err);
    if (there && s == ESPL_OK) s = read_side(set, "output", d.want, &d.n_want, err);
    if (there && s == ESPL_OK) s = run_program(p, &d, err);
    if (there && s == ESPL_OK) s = run_graphs(model, set, g, &d, ran, err);
    clear(&d);
    free(set);
    if (!there) break;
  }
  return s == ESPL_OK && k == 0 ? espl_fail(err, ESPL_E_INPUT, "%s: no data", dir) : s;
}

/* ---- one test ---- */

/* The reader refuses operators, and operator sets before 7 and after 21, by messages of their own; those tests are not ours. */
static bool foreign(const espl_err *e) {
  return (strstr(e->msg, "operator ") && strstr(e->msg, ") of node ") && strstr(e->msg, "is not supported")) || strstr(e->msg, ", 7 to 21 are supported");
}

static void one_test(const char *dir, const char *name) {
  espl_err err = {0}, ignored = {0};
  espl_tprogram *p = NULL;
  espl_graph *g = NULL;
  skip *k = skip_of(name);
  char *model = espl_format("%s/model.onnx", dir);
  espl_status s = espl_onnx_program(model, &p, &err);
  if (s != ESPL_OK && !k && foreign(&err)) {
    outside++;
    free(model);
    return;
  }
  if (s == ESPL_OK && espl_onnx_read(model, &g, &ignored) != ESPL_OK) g = NULL;
  bool ran = false;
  if (s == ESPL_OK) s = run_sets(dir, model, p, g, &ran, &err);
  if (k) k->seen++;
  if (k && s != ESPL_OK) skipped++;
  else if (s == ESPL_OK && !k) passed++, in_graph += ran;
  else {
    failed++;
    printf("FAIL %s: %s\n", name, k ? "passes, but the table says it is skipped" : err.msg);
  }
  espl_tprogram_free(p);
  espl_graph_free(g);
  free(model);
}

static int is_test(const struct dirent *e) { return strncmp(e->d_name, "test_", 5) == 0; }

static void folder(const char *path) {
  struct dirent **list = NULL;
  int n = scandir(path, &list, is_test, alphasort);
  if (n <= 0) die(path, "no test vectors there");
  for (int k = 0; k < n; k++) {
    char *dir = espl_format("%s/%s", path, list[k]->d_name), *model = espl_format("%s/model.onnx", dir);
    if (espl_path_exists(model)) one_test(dir, list[k]->d_name);
    free(dir);
    free(model);
    free(list[k]);
  }
  free(list);
}

int main(int argc, char **argv) {
  if (argc < 3) die("usage", "vectors SKIP-TABLE FOLDER...");
  read_skips(argv[1]);
  for (int k = 2; k < argc; k++) folder(argv[k]);
  printf("skipped:\n");
  for (int k = 0; k < n_skips; k++) {
    printf("  %-56s %s\n", skips[k].name, skips[k].reason);
    if (!skips[k].seen) {
      failed++;
      printf("FAIL %s: in the skip table, but no such test\n", skips[k].name);
    }
    free(skips[k].name);
    free(skips[k].reason);
  }
  printf("%d of the passed also through the network graph and oneDNN; %d tests of operators or operator sets that are not supported\n", in_graph, outside);
  if (in_graph < least_in_graph) {
    failed++;
    printf("FAIL: expected at least %d through the network graph\n", least_in_graph);
  }
  printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed != 0;
}
