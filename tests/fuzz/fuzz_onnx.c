/* ONNX models through both readers (tensor program, graph); a program that was read is also run, on small inputs within limits of work. */
#include <stdlib.h>

#include "base/mem.h"
#include "fuzz.h"
#include "inputs.h"
#include "onnx/onnx.h"
#include "onnx/program.h"

static void run_program(const espl_tprogram *p) {
  espl_tensor **t = espl_calloc((size_t)(p->n_inputs + p->n_outputs) + 1, sizeof *t);
  espl_err err = {0};
  if (small_inputs(p, 1 << 14, t)) fuzz_lawful(espl_tprogram_run(p, (const espl_tensor *const *)t, t + p->n_inputs, (espl_tlimits){1 << 16, 1 << 22}, &err), &err);
  for (int k = 0; k < p->n_inputs + p->n_outputs; k++) espl_tensor_free(t[k]);
  free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  const char *file = fuzz_file(data, n);
  espl_err err = {0};
  espl_tprogram *p = NULL;
  espl_graph *g = NULL;
  espl_status s = espl_onnx_program(file, &p, &err);
  fuzz_lawful(s, &err);
  fuzz_expect((s == ESPL_OK) == (p != NULL), "a program exactly when it was read");
  if (p) run_program(p);
  espl_tprogram_free(p);
  err = (espl_err){0};
  s = espl_onnx_read(file, &g, &err);
  fuzz_lawful(s, &err);
  fuzz_expect((s == ESPL_OK) == (g != NULL), "a graph exactly when it was read");
  err = (espl_err){0};
  if (g) fuzz_expect(espl_graph_check(g, &err) == ESPL_OK, "a graph that was read is sound");
  espl_graph_free(g);
  return 0;
}
