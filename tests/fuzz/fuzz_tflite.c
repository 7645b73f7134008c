/* TFLite models: import, and the integer network of those that carry their own scales. */
#include "fuzz.h"
#include "quant/given.h"
#include "tflite/tflite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  espl_err err = {0};
  espl_graph *g = NULL;
  espl_qgiven *given = NULL;
  espl_qnet *q = NULL;
  espl_status s = espl_tflite_import(data, n, &g, &given, &err);
  fuzz_expect((s == ESPL_OK) == (g != NULL), "a graph exactly when it was read");
  if (s == ESPL_OK && given) s = espl_quantize_given(g, given, &q, &err);
  fuzz_lawful(s, &err);
  espl_qnet_free(q);
  espl_qgiven_free(given);
  espl_graph_free(g);
  return 0;
}
