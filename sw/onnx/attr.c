/* Attributes and names of ONNX nodes, and refusals that point at a node. */
#include <stdio.h>
#include <string.h>

#include "onnx/onnx_int.h"

const char *espli_text(const char *s) { return s ? s : ""; }

const char *espli_node_label(const Onnx__NodeProto *n) {
  if (n->name && n->name[0]) return n->name;
  return n->n_output ? n->output[0] : "";
}

bool espli_is_onnx_domain(const char *domain) { return !domain || !domain[0] || strcmp(domain, "ai.onnx") == 0; }

espl_status espli_refuse_operator(const Onnx__ModelProto *m, const Onnx__NodeProto *n, const char *why, espl_err *err) {
  const char *domain = espli_is_onnx_domain(n->domain) ? "ai.onnx" : n->domain;
  char opset[32] = "not named";
  for (size_t k = 0; k < m->n_opset_import; k++) {
    const char *d = m->opset_import[k]->domain;
    if (strcmp(espli_is_onnx_domain(d) ? "ai.onnx" : d, domain) == 0) snprintf(opset, sizeof opset, "%lld", (long long)m->opset_import[k]->version);
  }
  return espl_fail(err, ESPL_E_UNSUPPORTED, "operator %s (domain %s, opset %s) of node %s %s", espli_text(n->op_type), domain, opset, espli_node_label(n), why);
}

const Onnx__AttributeProto *espli_attr(const Onnx__NodeProto *n, const char *name) {
  for (size_t k = 0; k < n->n_attribute; k++)
    if (strcmp(espli_text(n->attribute[k]->name), name) == 0) return n->attribute[k];
  return NULL;
}

int64_t espli_attr_int(const Onnx__NodeProto *n, const char *name, int64_t otherwise) {
  const Onnx__AttributeProto *a = espli_attr(n, name);
  return a && a->has_i ? a->i : otherwise;
}

float espli_attr_float(const Onnx__NodeProto *n, const char *name, float otherwise) {
  const Onnx__AttributeProto *a = espli_attr(n, name);
  return a && a->has_f ? a->f : otherwise;
}

bool espli_attr_is(const Onnx__NodeProto *n, const char *name, const char *text, bool otherwise) {
  const Onnx__AttributeProto *a = espli_attr(n, name);
  if (!a || !a->has_s) return otherwise;
  return a->s.len == strlen(text) && memcmp(a->s.data, text, a->s.len) == 0;
}

espl_status espli_refuse(espli_import *im, const Onnx__NodeProto *n, espl_status code, const char *fmt, ...) {
  char msg[512];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(msg, sizeof msg, fmt, ap);
  va_end(ap);
  return espl_fail(im->err, code, "node %s (%s): %s", espli_node_label(n), espli_text(n->op_type), msg);
}
