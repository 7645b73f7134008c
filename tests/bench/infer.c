/* Inference as a process that is asked for turns, so that another program can be measured in between under the same conditions.
 *
 * usage: infer float|int8 NETWORK BATCH INPUT OUTPUT
 * Loads the network, reads one image (raw float32 [c,h,w]) from INPUT, fills the batch with it, runs it once, writes the first image's result
 * (raw float32) to OUTPUT and prints "ready". Then for every line on standard input, a number of seconds, it runs batch after batch for at least
 * that long and prints: images, seconds of wall time, seconds of processor time. In int8 a turn includes the quantization of the input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/mem.h"
#include "nn/nn.h"
#include "onnx/onnx.h"
#include "quant/qnet.h"

typedef struct job {
  espl_graph *g;
  espl_exec *x;
  espl_qnet *q;
  espl_qexec *qx;
  int32_t batch;
  int64_t in, out; /* elements an image */
  float *input, *output;
  int8_t *qin, *qout;
} job;

static espl_status once(job *j, espl_err *err) {
  if (j->x) return espl_exec_forward(j->x, j->input, j->output, err);
  for (int32_t i = 0; i < j->batch; i++) espl_qnet_input(j->q, j->input + i * j->in, j->qin + i * j->in);
  return espl_qexec_run(j->qx, j->batch, j->qin, j->qout, err);
}

static espl_status turns(job *j, espl_err *err) {
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    double want = strtod(line, NULL), t0 = espl_now(), c0 = espl_cpu_seconds();
    long images = 0;
    do {
      ESPL_TRY(once(j, err));
      images += j->batch;
    } while (espl_now() - t0 < want);
    printf("%ld %.6f %.6f\n", images, espl_now() - t0, espl_cpu_seconds() - c0);
    fflush(stdout);
  }
  return ESPL_OK;
}

static espl_status fill_input(job *j, const char *path, espl_err *err) {
  char *data = NULL;
  size_t n = 0, want = (size_t)j->in * sizeof(float);
  ESPL_TRY(espl_read_file(path, want, &data, &n, err));
  for (int32_t i = 0; n == want && i < j->batch; i++) memcpy(j->input + i * j->in, data, want);
  free(data);
  return n == want ? ESPL_OK : espl_fail(err, ESPL_E_INPUT, "%s: %zu bytes, expected %zu", path, n, want);
}

static espl_status write_output(job *j, const char *path, espl_err *err) {
  const espl_qtensor *t = j->q ? &j->q->tensor[j->q->output] : NULL;
  for (int64_t k = 0; t && k < j->out; k++) j->output[k] = t->scale * (float)(j->qout[k] - t->zero);
  FILE *f = fopen(path, "wb");
  bool good = f && fwrite(j->output, sizeof(float), (size_t)j->out, f) == (size_t)j->out;
  if (f && fclose(f) != 0) good = false;
  return good ? ESPL_OK : espl_fail(err, ESPL_E_IO, "%s: cannot write", path);
}

static espl_status prepare(job *j, bool int8, const char *network, espl_err *err) {
  espl_quant_config c;
  espl_preprocess pp;
  ESPL_TRY(espl_onnx_read(network, &j->g, err));
  j->in = espl_shape_elems(j->g->node[0].shape);
  j->out = espl_shape_elems(j->g->node[j->g->output].shape);
  j->input = espl_calloc((size_t)(j->in * j->batch), sizeof(float));
  j->output = espl_calloc((size_t)(j->out * j->batch), sizeof(float));
  j->qin = espl_calloc((size_t)(j->in * j->batch), 1);
  j->qout = espl_calloc((size_t)(j->out * j->batch), 1);
  if (!j->input || !j->output || !j->qin || !j->qout) return espl_fail(err, ESPL_E_NOMEM, "no memory for a batch");
  if (!int8) {
    ESPL_TRY(espl_exec_new(j->g, ESPL_MODE_INFER, ESPL_F32, j->batch, &j->x, err));
    espl_exec_freeze(j->x);
    return ESPL_OK;
  }
  espl_quant_default(&c);
  espl_preprocess_default(&pp);
  ESPL_TRY(espl_quantize(j->g, NULL, &pp, &c, &j->q, err)); /* ranges do not change the time */
  return espl_qexec_new(j->q, j->batch, &j->qx, err);
}

int main(int argc, char **argv) {
  espl_err err = {0};
  job j = {0};
  bool int8 = argc == 6 && strcmp(argv[1], "int8") == 0;
  j.batch = argc == 6 ? (int32_t)strtol(argv[3], NULL, 10) : 0;
  if (j.batch < 1 || (!int8 && strcmp(argv[1], "float") != 0)) {
    fputs("usage: infer float|int8 NETWORK BATCH INPUT OUTPUT\n", stderr);
    return 2;
  }
  espl_status s = prepare(&j, int8, argv[2], &err);
  if (s == ESPL_OK) s = fill_input(&j, argv[4], &err);
  if (s == ESPL_OK) s = once(&j, &err);
  if (s == ESPL_OK) s = write_output(&j, argv[5], &err);
  if (s == ESPL_OK) {
    puts("ready");
    fflush(stdout);
    s = turns(&j, &err);
  }
  if (s != ESPL_OK) fprintf(stderr, "infer: %s\n", err.msg);
  espl_qexec_free(j.qx);
  espl_qnet_free(j.q);
  espl_exec_free(j.x);
  espl_graph_free(j.g);
  free(j.input);
  free(j.output);
  free(j.qin);
  free(j.qout);
  return espl_status_exit(s);
}
