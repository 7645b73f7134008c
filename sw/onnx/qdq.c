/* Quantized networks in and out: the graph with its notes between the file and the integer network. */
#include "onnx/qdq.h"

#include "onnx/onnx_int.h"

espl_status espl_qdq_write(const espl_graph *g, const espl_qnet *q, const char *path, espl_err *err) {
  espl_graph *folded = NULL;
  espl_qgiven *v = NULL;
  ESPL_TRY(espl_qgiven_of(g, q, &folded, &v, err));
  espl_status s = espli_export(folded, v, path, err);
  espl_qgiven_free(v);
  espl_graph_free(folded);
  return s;
}

espl_status espl_qdq_read(const char *path, espl_graph **g, espl_qnet **q, espl_err *err) {
  espl_qgiven *v = NULL;
  *q = NULL;
  ESPL_TRY(espli_import_file(path, g, &v, err));
  if (!v) return ESPL_OK;
  espl_status s = espl_quantize_given(*g, v, q, err);
  espl_qgiven_free(v);
  if (s == ESPL_OK) return s;
  espl_graph_free(*g);
  *g = NULL;
  return err ? espl_fail_context(err, "%s", path) : s;
}
