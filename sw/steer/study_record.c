/* From a network to a row of the table: quantize, map, simulate, compare the bodies, store. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fsio.h"
#include "base/hash.h"
#include "base/mem.h"
#include "onnx/onnx.h"
#include "steer/study_int.h"

char *espl_study_file(const espl_study_state *st, const char *name) {
  char file[128];
  snprintf(file, sizeof file, "%s.onnx", name);
  return espl_path_join(st->s->out, file);
}

void espl_study_quant(const espl_study_state *st, bool rounded, espl_quant_config *c) {
  espl_quant_default(c);
  c->calib_images = st->s->calib_images;
  c->seed = st->s->seed;
  c->weights = st->s->weights;
  c->keep_range = rounded;
}

espl_status espl_study_quantize(espl_study_state *st, espl_graph *g, bool rounded, espl_qnet **q, espl_err *err) {
  espl_quant_config c;
  espl_study_quant(st, rounded, &c);
  return espl_quantize(g, st->train, &st->pp, &c, q, err);
}

/* int8 input of validation image 0: the image every body runs. Owned by the caller. */
static int8_t *first_image(const espl_study_state *st, const espl_qnet *q) {
  int64_t n = espl_shape_elems(st->val->shape);
  float *x = espl_calloc((size_t)n, sizeof *x);
  int8_t *v = espl_calloc((size_t)n, 1);
  if (x && v) {
    espl_data_image(st->val, 0, &st->pp, 0, 0, x);
    espl_qnet_input(q, x, v);
  }
  free(x);
  return v;
}

espl_status espl_study_cycles(espl_study_state *st, espl_graph *g, bool rounded, int64_t *cycles, espl_err *err) {
  espl_qnet *q = NULL;
  espl_sim_result r = {0};
  espl_status s = espl_study_quantize(st, g, rounded, &q, err);
  if (s == ESPL_OK) s = espl_time_network(q, &st->s->machine, &r, err);
  *cycles = (int64_t)r.total.cycles;
  espl_sim_result_clear(&r);
  espl_qnet_free(q);
  return s;
}

/* The C model's logits against the integer evaluation on the CPU: two independent paths, one definition. */
static espl_status check_logits(const espl_qnet *q, const espl_sim_result *r, const int8_t *input, const char *name, espl_err *err) {
  int64_t n = espl_shape_elems(q->tensor[q->output].shape);
  int8_t *logits = espl_calloc((size_t)n, 1);
  espl_qexec *x = NULL;
  espl_status s = logits ? espl_qexec_new(q, 1, &x, err) : espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", name);
  if (s == ESPL_OK) s = espl_qexec_run(x, 1, input, logits, err);
  for (int64_t i = 0; s == ESPL_OK && i < n; i++)
    if (logits[i] != r->logits[i])
      s = espl_fail(err, ESPL_E_MISMATCH, "%s: logit %lld is %d on the machine's model, %d in the integer evaluation", name, (long long)i, r->logits[i], logits[i]);
  espl_qexec_free(x);
  free(logits);
  return s;
}

/* The whole network on the Verilated RTL: every byte of memory, the cycles and every counter of every layer equal to the C model's. */
static espl_status verify_rtl(const espl_program *p, const espl_qnet *q, const int8_t *input, int64_t *rtl_cycles, espl_err *err) {
  const espl_machine *m = &p->machine;
  uint8_t *mem[2] = {espl_calloc(m->mem_bytes, 1), espl_calloc(m->mem_bytes, 1)};
  espl_run_result r[2] = {{0}, {0}};
  espl_status s = mem[0] && mem[1] ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "no memory for two images of %u bytes", (unsigned)m->mem_bytes);
  for (int i = 0; s == ESPL_OK && i < 2; i++) {
    memcpy(mem[i], p->image, p->mem_bytes);
    espl_program_put_tensor(p, q, 0, input, mem[i]);
    espl_run run = {.machine = m, .memory = mem[i], .prog_addr = p->prog_addr, .prog_bytes = p->prog_bytes, .expect_hash = espl_machine_hash(m)};
    s = i == 0 ? espl_device_model(&run, &r[0], err) : espl_device_rtl(&run, &r[1], err);
  }
  if (s == ESPL_OK) s = espl_device_compare(m, &r[0], mem[0], "model", &r[1], mem[1], "rtl", err);
  *rtl_cycles = (int64_t)r[1].cycles;
  for (int i = 0; i < 2; i++) {
    espl_run_result_clear(&r[i]);
    free(mem[i]);
  }
  return s;
}

/* ---- storing ---- */

static void shape_text(const espl_qnet *q, int32_t layer, char *text, size_t n) {
  const espl_qlayer *l = &q->layer[layer];
  const espl_shape *o = &q->tensor[l->out].shape;
  if (l->onehot) snprintf(text, n, "one-hot %d %dx%d", (int)l->out_c, (int)o->h, (int)o->w);
  else snprintf(text, n, "%dx%d/%d %d->%d %dx%d", (int)l->kh, (int)l->kw, (int)l->sh, (int)l->in_c, (int)l->out_c, (int)o->h, (int)o->w);
}

static espl_status store_layers(espl_study_state *st, int64_t variant, const espl_qnet *q, const espl_program *p, const espl_sim_result *r, espl_err *err) {
  size_t n = (size_t)r->layers;
  espl_store_layer *layers = espl_calloc(n, sizeof *layers);
  char (*text)[2][192] = espl_calloc(n, sizeof *text);
  espl_status s = layers && text ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "storing layers: out of memory");
  static const char *const cause[6] = {"load", "store", "bank", "weights", "fill", "full"};
  for (int32_t i = 0; s == ESPL_OK && i < r->layers; i++) {
    const espl_sim_layer *l = &r->layer[i];
    int32_t ql = p->layer[i].qlayer;
    shape_text(q, ql, text[i][0], sizeof text[i][0]);
    size_t at = 0;
    for (int k = 0; k < 6; k++)
      at += (size_t)snprintf(text[i][1] + at, sizeof text[i][1] - at, "%s\"%s\":%llu", k ? "," : "{", cause[k], (unsigned long long)l->stall[k]);
    snprintf(text[i][1] + at, sizeof text[i][1] - at, "}");
    espl_store_layer_init(&layers[i]);
    layers[i] = (espl_store_layer){.index = i, .name = l->name, .op = q->layer[ql].onehot ? "one-hot" : "conv", .shape = text[i][0], .cycles = (int64_t)l->cycles,
                                   .macs = (int64_t)l->macs, .macs_dense = (int64_t)l->macs_dense, .busy_cycles = (int64_t)l->busy, .idle_cycles = (int64_t)l->idle,
                                   .stalls_json = text[i][1], .read_bytes = (int64_t)l->read_bytes, .write_bytes = (int64_t)l->write_bytes, .tiles = (int64_t)l->tiles,
                                   .tiles_skipped = (int64_t)l->tiles_skipped, .roof_cycles = (int64_t)l->roof_cycles, .utilization = l->utilization,
                                   .roof_fraction = l->roof_fraction};
  }
  if (s == ESPL_OK) s = espl_store_layers_put(st->store, variant, layers, n, err);
  free(layers);
  free(text);
  return s;
}

static espl_status store_variant(espl_study_state *st, espl_store_variant *v, const espl_qnet *q, const espl_program *p, const espl_sim_result *r, espl_err *err) {
  int64_t id = 0;
  ESPL_TRY(espl_store_begin(st->store, err));
  espl_status s = espl_store_variant_put(st->store, st->run, v, &id, err);
  if (s == ESPL_OK) s = store_layers(st, id, q, p, r, err);
  if (s == ESPL_OK) s = espl_store_commit(st->store, err);
  if (s != ESPL_OK) espl_store_rollback(st->store);
  return s;
}

static espl_status accuracies(espl_study_state *st, espl_graph *g, const espl_qnet *q, const espl_dataset *d, double *f, double *i8, espl_err *err) {
  ESPL_TRY(espl_evaluate(g, d, &st->pp, 0, f, err));
  return espl_qnet_evaluate(q, d, &st->pp, 0, i8, err);
}

espl_status espl_study_measure(espl_study_state *st, const espl_make *m, espl_measured *w, espl_store_variant *v, espl_err *err) {
  *w = (espl_measured){0};
  ESPL_TRY(espl_study_quantize(st, m->g, m->rounded, &w->q, err));
  ESPL_TRY(espl_map_network(w->q, &st->s->machine, &w->p, err));
  w->input = first_image(st, w->q);
  if (!w->input) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", m->name);
  ESPL_TRY(espl_simulate(w->p, w->q, ESPL_ENGINE_MODEL, w->input, NULL, &w->r, err));
  ESPL_TRY(check_logits(w->q, &w->r, w->input, m->name, err));
  const espl_sim_layer *t = &w->r.total;
  if (m->expect_skipped >= 0 && (int64_t)t->tiles_skipped < m->expect_skipped)
    return espl_fail(err, ESPL_E_MISMATCH, "%s: %lld tiles were set to zero, the machine skipped %llu", m->name, (long long)m->expect_skipped, (unsigned long long)t->tiles_skipped);
  v->cycles = (int64_t)t->cycles;
  v->macs = (int64_t)t->macs;
  v->macs_dense = (int64_t)t->macs_dense;
  v->params = espl_graph_params(m->g);
  v->utilization = t->utilization;
  v->roof_fraction = t->roof_fraction;
  v->overhead_cycles = (int64_t)w->r.overhead;
  v->read_bytes = (int64_t)t->read_bytes;
  v->write_bytes = (int64_t)t->write_bytes;
  return accuracies(st, m->g, w->q, st->val, &v->float_val, &v->int8_val, err);
}

void espl_measured_clear(espl_measured *w) {
  espl_sim_result_clear(&w->r);
  espl_program_free(w->p);
  espl_qnet_free(w->q);
  free(w->input);
  *w = (espl_measured){0};
}

static espl_status measure_and_write(espl_study_state *st, const espl_make *m, const char *file, espl_measured *w, espl_store_variant *v, espl_err *err) {
  ESPL_TRY(espl_study_measure(st, m, w, v, err));
  v->rtl_agree = -1;
  if (m->verify_rtl && st->s->rtl) {
    espl_progress_note(st->progress, "%s on the RTL", m->name);
    ESPL_TRY(verify_rtl(w->p, w->q, w->input, &v->rtl_cycles, err));
    v->rtl_agree = 1;
  }
  return espl_onnx_write(m->g, file, err);
}

espl_status espl_study_record(espl_study_state *st, const espl_make *m, espl_err *err) {
  double began = espl_now();
  espl_measured w = {0};
  espl_store_variant v;
  espl_store_variant_init(&v);
  char *file = espl_study_file(st, m->name);
  espl_status s = file ? measure_and_write(st, m, file, &w, &v, err) : espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", m->name);
  if (s == ESPL_OK) {
    if (!m->parent) st->base_cycles = v.cycles;
    v.name = m->name;
    v.kind = m->kind;
    v.parent = m->parent;
    v.network_file = file;
    v.config_json = m->config_json;
    v.steered_by = m->steered_by;
    v.budget_cycles = m->kind == ESPL_VARIANT_BASELINE ? -1 : st->budget;
    v.speedup = (double)st->base_cycles / (double)v.cycles;
    v.seconds = espl_now() - began;
    v.note = m->note[0] ? m->note : NULL;
    v.done = 1;
    s = store_variant(st, &v, w.q, w.p, &w.r, err);
  }
  espl_measured_clear(&w);
  free(file);
  return s;
}

espl_status espl_study_have(espl_study_state *st, const char *name, int *done, espl_err *err) {
  espl_store_variant v;
  int found = 0;
  *done = 0;
  if (!st->store) return ESPL_OK;
  ESPL_TRY(espl_store_variant_get(st->store, st->run, name, &v, &found, err));
  *done = found && v.done && v.network_file && espl_path_exists(v.network_file);
  espl_store_variant_clear(&v);
  return ESPL_OK;
}

/* ---- the final step ---- */

#define MAX_VARIANTS 32
struct names {
  int n;
  char *name[MAX_VARIANTS];
};
static espl_status collect(void *user, const espl_store_variant *v, espl_err *err) {
  struct names *l = user;
  if (l->n == MAX_VARIANTS || !v->done) return ESPL_OK;
  l->name[l->n] = espl_strdup(v->name);
  return l->name[l->n++] ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "out of memory");
}

static espl_status test_one(espl_study_state *st, const char *name, const espl_dataset *test, espl_err *err) {
  espl_store_variant v;
  int found = 0;
  ESPL_TRY(espl_store_variant_get(st->store, st->run, name, &v, &found, err));
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  espl_status s = espl_onnx_read(v.network_file, &g, err);
  if (s == ESPL_OK) s = espl_study_quantize(st, g, st->s->int_epochs > 0 && v.parent, &q, err); /* all but the network as given are trained so */
  if (s == ESPL_OK) s = accuracies(st, g, q, test, &v.float_test, &v.int8_test, err);
  if (s == ESPL_OK) s = espl_store_opening(st->store, st->run, "study final step", v.network_file, test->source, err);
  if (s == ESPL_OK) s = espl_store_variant_put(st->store, st->run, &v, NULL, err);
  espl_qnet_free(q);
  espl_graph_free(g);
  espl_store_variant_clear(&v);
  return s;
}

espl_status espl_study_test(espl_study_state *st, espl_err *err) {
  struct names l = {0};
  espl_dataset *test = NULL;
  espl_status s = espl_store_each_variant(st->store, st->run, collect, &l, err);
  if (s == ESPL_OK) s = espl_data_open_sized(st->s->data, ESPL_SPLIT_TEST, st->s->seed, st->s->width, st->s->height, &test, err);
  for (int i = 0; s == ESPL_OK && i < l.n; i++) {
    s = test_one(st, l.name[i], test, err);
    espl_progress_at(st->progress, (double)(i + 1) / l.n);
  }
  for (int i = 0; i < l.n; i++) free(l.name[i]);
  espl_data_free(test);
  return s;
}
