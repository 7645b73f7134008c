/* Whole training steps of a network of the zoo on one batch that lies in memory: weights prepared, forward, loss, backward, SGD with
 * Nesterov momentum and weight decay. Seeded random images and labels; nothing is loaded or augmented.
 *
 * usage: train NETWORK f32|bf16 [BATCH]      answers each line of standard input with one or more lines:
 *   steps N      seconds and processor seconds of N steps
 *   profile N    one line a kind of operator: milliseconds of processor time of the calling thread a step, calls a step, kind
 * The first line it writes by itself: trained parameters, activation reorders between layers a step, library. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "graph/zoo.h"
#include "nn/exec.h"
#include "nn/loss.h"

enum { CLASSES = 10, MAX_KINDS = 64 };

typedef struct job {
  espl_graph *g;
  espl_exec *x;
  espl_train_config c;
  int32_t batch;
  float *images, *logits, *dlogits;
  uint8_t *labels;
  int64_t step;
  double optimizer, loss; /* seconds spent */
} job;

static espl_status one_step(job *j, espl_err *err) {
  int64_t right = 0;
  ESPL_TRY(espl_exec_forward(j->x, j->images, j->logits, err));
  double t0 = espl_thread_seconds();
  double loss = nn_loss(j->logits, j->labels, NULL, j->batch, CLASSES, 0.0f, 0.0f, j->dlogits, &right);
  j->loss += espl_thread_seconds() - t0;
  if (!(loss >= 0.0)) return espl_fail(err, ESPL_E_FAILED, "the loss is not a number at step %lld", (long long)j->step);
  ESPL_TRY(espl_exec_backward(j->x, j->dlogits, err));
  t0 = espl_thread_seconds();
  nn_optimizer_step(j->g, &j->c, 0.01f, j->step++);
  j->optimizer += espl_thread_seconds() - t0;
  return ESPL_OK;
}

static espl_status steps(job *j, int n, espl_err *err) {
  double t = espl_now(), cpu = espl_cpu_seconds();
  for (int i = 0; i < n; i++) ESPL_TRY(one_step(j, err));
  printf("%.6f %.6f\n", espl_now() - t, espl_cpu_seconds() - cpu);
  return ESPL_OK;
}

typedef struct kind {
  const char *name, *way;
  double seconds;
  int calls;
} kind;

static int by_time(const void *a, const void *b) {
  double d = ((const kind *)b)->seconds - ((const kind *)a)->seconds;
  return d > 0.0 ? 1 : d < 0.0 ? -1 : 0;
}

static void gather(const nn_list *l, const char *way, kind *k, int *kinds) {
  for (int32_t i = 0; i < l->n; i++) {
    const nn_step *s = &l->step[i];
    const char *name = nn_step_name(s);
    int at = 0;
    while (at < *kinds && (strcmp(k[at].name, name) != 0 || strcmp(k[at].way, way) != 0)) at++;
    if (at == MAX_KINDS) return;
    if (at == *kinds) k[(*kinds)++] = (kind){name, way, 0.0, 0};
    k[at].seconds += s->seconds;
    k[at].calls++;
  }
}

static espl_status profile(job *j, int n, espl_err *err) {
  kind k[MAX_KINDS];
  int kinds = 0;
  nn_list *lists[] = {&j->x->prep, &j->x->fwd, &j->x->bwd};
  static const char *const way[] = {"weights", "forward", "backward"};
  for (int l = 0; l < 3; l++)
    for (int32_t i = 0; i < lists[l]->n; i++) lists[l]->step[i].seconds = 0.0;
  j->x->timed = true;
  j->loss = j->optimizer = 0.0;
  double t = espl_thread_seconds();
  for (int i = 0; i < n; i++) ESPL_TRY(one_step(j, err));
  t = espl_thread_seconds() - t;
  j->x->timed = false;
  for (int l = 0; l < 3; l++) gather(lists[l], way[l], k, &kinds);
  k[kinds++] = (kind){"loss", "forward", j->loss, 1};
  k[kinds++] = (kind){"optimizer", "weights", j->optimizer, 1};
  qsort(k, (size_t)kinds, sizeof *k, by_time);
  printf("%d\n%.3f 1 whole step\n", kinds + 1, 1e3 * t / n);
  for (int i = 0; i < kinds; i++) printf("%.3f %d %s, %s\n", 1e3 * k[i].seconds / n, k[i].calls, k[i].name, k[i].way);
  return ESPL_OK;
}

static espl_status prepare(job *j, const char *net, espl_dtype type, espl_err *err) {
  const espl_shape shape = {3, 32, 32};
  const size_t n = (size_t)j->batch * (size_t)espl_shape_elems(shape), out = (size_t)j->batch * CLASSES;
  espl_train_default(&j->c);
  ESPL_TRY(espl_zoo_build(net, shape, CLASSES, 1, &j->g, err));
  ESPL_TRY(nn_optimizer_begin(j->g, &j->c, err));
  ESPL_TRY(espl_exec_new(j->g, ESPL_MODE_TRAIN, type, j->batch, &j->x, err));
  j->images = espl_calloc(n, sizeof(float));
  j->logits = espl_calloc(out, sizeof(float));
  j->dlogits = espl_calloc(out, sizeof(float));
  j->labels = espl_calloc((size_t)j->batch, 1);
  if (!j->images || !j->logits || !j->dlogits || !j->labels) return espl_fail(err, ESPL_E_NOMEM, "out of memory");
  for (size_t i = 0; i < n; i++) j->images[i] = espl_rng_normal(1, 1, i);
  for (int32_t i = 0; i < j->batch; i++) j->labels[i] = (uint8_t)(espl_rng_u64(1, 2, (uint64_t)i) % CLASSES);
  return ESPL_OK;
}

static int64_t trained(const espl_graph *g) {
  int64_t n = 0;
  for (int32_t i = 0; i < g->nodes; i++)
    for (int k = 0; k < ESPL_PARAM_COUNT; k++)
      if (g->node[i].param[k] && g->node[i].param[k]->grad) n += g->node[i].param[k]->elems;
  return n;
}

static espl_status serve(job *j, espl_err *err) {
  char line[64], what[16], library[96];
  int n;
  dnn_describe(library, sizeof library);
  printf("%lld %d %s\n", (long long)trained(j->g), (int)j->x->reorders, library);
  fflush(stdout);
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "%15s %d", what, &n) != 2 || n < 1) return espl_fail(err, ESPL_E_INPUT, "expected: steps N or profile N");
    ESPL_TRY(strcmp(what, "profile") == 0 ? profile(j, n, err) : steps(j, n, err));
    fflush(stdout);
  }
  return ESPL_OK;
}

int main(int argc, char **argv) {
  espl_err err = {0};
  job j = {.batch = argc > 3 ? atoi(argv[3]) : 128};
  const bool bf16 = argc > 2 && strcmp(argv[2], "bf16") == 0;
  if (argc < 3 || argc > 4 || j.batch < 1 || (!bf16 && strcmp(argv[2], "f32") != 0)) {
    fprintf(stderr, "usage: train NETWORK f32|bf16 [BATCH]\n");
    return 2;
  }
  espl_status s = prepare(&j, argv[1], bf16 ? ESPL_BF16 : ESPL_F32, &err);
  if (s == ESPL_OK) s = serve(&j, &err);
  if (s != ESPL_OK) fprintf(stderr, "train: %s\n", err.msg);
  espl_exec_free(j.x);
  espl_graph_free(j.g);
  free(j.images);
  free(j.logits);
  free(j.dlogits);
  free(j.labels);
  return s == ESPL_OK ? 0 : 1;
}
