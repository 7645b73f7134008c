/* Running a program: values live from their step to their last reader. */
#include "tensor/program.h"

#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/mem.h"

void espl_tprogram_free(espl_tprogram *p) {
  if (!p) return;
  for (int32_t k = 0; p->konst && k < p->values; k++) espl_tensor_free(p->konst[k]);
  for (int32_t k = 0; p->step && k < p->steps; k++) {
    espl_tstep *s = &p->step[k];
    free(s->name);
    espl_tensor_free(s->value);
    free(s->in);
    free(s->out);
  }
  for (int k = 0; p->input && k < p->n_inputs; k++) free(p->input[k].name);
  for (int k = 0; p->output && k < p->n_outputs; k++) free(p->output[k].name);
  free(p->konst);
  free(p->step);
  free(p->input);
  free(p->output);
  free(p);
}

typedef struct run {
  const espl_tprogram *p;
  const espl_tensor **seen; /* [values] what readers get */
  espl_tensor **own;        /* [values] computed here and still alive */
  int32_t *readers;         /* [values] steps and outputs to come */
  int64_t alive;
  espl_tlimits limits;
  espl_err *err;
} run;

static espl_status check_input(const espl_tport *port, const espl_tensor *t, espl_err *err) {
  char found[160], want[160];
  bool fits = t && (port->dims < 0 || t->dims == port->dims);
  for (int d = 0; fits && d < port->dims; d++) fits = port->dim[d] < 0 || port->dim[d] == t->dim[d];
  if (!t) return espl_fail(err, ESPL_E_INPUT, "input %s is missing", port->name);
  espl_dims_text(found, sizeof found, t->dims, t->dim);
  espl_dims_text(want, sizeof want, port->dims < 0 ? 0 : port->dims, port->dim);
  if (!fits) return espl_fail(err, ESPL_E_INPUT, "input %s has the shape %s, expected %s (-1: any)", port->name, found, want);
  if (t->type != port->type) return espl_fail(err, ESPL_E_INPUT, "input %s is of type %s, expected %s", port->name, espl_type_name(t->type), espl_type_name(port->type));
  return ESPL_OK;
}

static void drop(run *r, int32_t v) {
  if (v < 0 || --r->readers[v] > 0 || !r->own[v]) return;
  r->alive -= r->own[v]->elems;
  espl_tensor_free(r->own[v]);
  r->own[v] = NULL;
  r->seen[v] = NULL;
}

static espl_status take_outputs(run *r, const espl_tstep *s, espl_tensor **out) {
  for (int k = 0; k < s->n_out; k++) {
    int32_t v = s->out[k];
    if (v < 0 || r->readers[v] == 0) {
      espl_tensor_free(out[k]);
      continue;
    }
    r->own[v] = out[k];
    r->seen[v] = out[k];
    r->alive += out[k]->elems;
  }
  if (r->alive <= 2 * r->limits.elems) return ESPL_OK;
  return espl_fail(r->err, ESPL_E_UNSUPPORTED, "node %s (%s): more than %lld elements are alive", s->name, espl_top_name(s->op.kind), (long long)(2 * r->limits.elems));
}

static espl_status run_step(run *r, const espl_tstep *s) {
  const espl_tensor *in[ESPL_TOP_INPUTS];
  espl_tensor *out[ESPL_TOP_OUTPUTS];
  for (int k = 0; k < s->n_in; k++) in[k] = s->in[k] < 0 ? NULL : r->seen[s->in[k]];
  if (espl_top_run(&s->op, in, s->n_in, out, s->n_out, r->limits, r->err) != ESPL_OK)
    return espl_fail_context(r->err, "node %s (%s)", s->name, espl_top_name(s->op.kind));
  ESPL_TRY(take_outputs(r, s, out));
  for (int k = 0; k < s->n_in; k++) drop(r, s->in[k]);
  return ESPL_OK;
}

static espl_status run_all(run *r, const espl_tensor *const *in, espl_tensor **out) {
  const espl_tprogram *p = r->p;
  for (int32_t v = 0; v < p->values; v++) r->seen[v] = p->konst[v];
  for (int k = 0; k < p->n_inputs; k++) {
    ESPL_TRY(check_input(&p->input[k], in[k], r->err));
    r->seen[p->input[k].value] = in[k];
  }
  for (int32_t s = 0; s < p->steps; s++)
    for (int k = 0; k < p->step[s].n_in; k++)
      if (p->step[s].in[k] >= 0) r->readers[p->step[s].in[k]]++;
  for (int k = 0; k < p->n_outputs; k++) r->readers[p->output[k].value]++;
  for (int32_t s = 0; s < p->steps; s++) {
    ESPL_TRY(espl_interrupt_check(r->err));
    ESPL_TRY(run_step(r, &p->step[s]));
  }
  for (int k = 0; k < p->n_outputs; k++) {
    out[k] = espl_tensor_copy(r->seen[p->output[k].value]);
    if (!out[k]) return espl_fail(r->err, ESPL_E_NOMEM, "output %s: out of memory", p->output[k].name);
  }
  return ESPL_OK;
}

espl_status espl_tprogram_run(const espl_tprogram *p, const espl_tensor *const *in, espl_tensor **out, espl_tlimits limits, espl_err *err) {
  espl_err local = {0};
  size_t n = (size_t)p->values + 1;
  run r = {.p = p, .limits = limits, .err = err ? err : &local, .seen = espl_calloc(n, sizeof *r.seen), .own = espl_calloc(n, sizeof *r.own), .readers = espl_calloc(n, sizeof *r.readers)};
  for (int k = 0; k < p->n_outputs; k++) out[k] = NULL;
  espl_status s = r.seen && r.own && r.readers ? run_all(&r, in, out) : espl_fail(r.err, ESPL_E_NOMEM, "out of memory for %d values", p->values);
  for (int32_t v = 0; r.own && v < p->values; v++) espl_tensor_free(r.own[v]);
  for (int k = 0; s != ESPL_OK && k < p->n_outputs; k++) {
    espl_tensor_free(out[k]);
    out[k] = NULL;
  }
  free(r.seen);
  free(r.own);
  free(r.readers);
  return s;
}
