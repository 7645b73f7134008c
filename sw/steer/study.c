/* The flow of a study: data, baseline, importance, cost table, variants, test. */
#include "steer/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fsio.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "graph/zoo.h"
#include "onnx/onnx.h"
#include "quant/tune.h"
#include "steer/study_int.h"

#define NETWORK_LIMIT (256u << 20)

void espl_study_default(espl_study *s) {
  *s = (espl_study){.name = "builtin", .network = "resnet8", .budget = 0.65, .dense = 1, .block = 1, .kernel = 1, .controls = 1, .train_epochs = 6,
                    .tune_epochs = 2, .train_lr = 0.2f, .tune_lr = 0.05f, .batch = 64, .bf16 = espl_has_bf16(), .distill = 0.5f, .int_lr = 0.002f, .importance_batches = 20,
                    .calib_images = 1000, .check_images = 64, .rtl = 1, .seed = 1, .out = "out"};
  espl_machine_default(&s->machine);
  espl_preprocess_default(&s->preprocess);
}

/* ---- identity of a run ---- */

static espl_status hash_file(espl_hash *h, const char *path, espl_err *err) {
  char *data = NULL;
  size_t n = 0;
  ESPL_TRY(espl_read_file(path, NETWORK_LIMIT, &data, &n, err));
  espl_hash_update(h, data, n);
  free(data);
  return ESPL_OK;
}

static bool is_file(const char *path) {
  struct stat b;
  return stat(path, &b) == 0 && S_ISREG(b.st_mode);
}

/* A network that is named like a file is one, whether it exists or not. */
static bool names_file(const char *network) {
  const char *end = strrchr(network, '.');
  return is_file(network) || strchr(network, '/') || (end && strcmp(end, ".onnx") == 0);
}

static espl_status run_hash(const espl_study *s, char hex[ESPL_HASH_HEX], espl_err *err) {
  espl_hash h;
  espl_hash_init(&h);
  espl_hash_string(&h, "study 1");
  espl_hash_string(&h, s->name);
  espl_hash_string(&h, s->network);
  espl_hash_string(&h, s->data);
  if (s->width) espl_hash_u64(&h, (uint64_t)s->width << 32 | (uint64_t)s->height);
  if (names_file(s->network)) ESPL_TRY(hash_file(&h, s->network, err));
  if (s->trained) ESPL_TRY(hash_file(&h, s->trained, err));
  espl_hash_u64(&h, espl_machine_hash(&s->machine));
  espl_hash_update(&h, &s->machine.mem, sizeof s->machine.mem);
  if (s->preprocess_given) espl_hash_update(&h, &s->preprocess, sizeof s->preprocess);
  const double v[] = {s->budget, s->train_epochs, s->tune_epochs, (double)s->train_lr, (double)s->tune_lr, (double)s->distill, s->batch, s->bf16, s->importance_batches,
                      s->calib_images, s->rtl, (double)s->seed, s->dense, s->block, s->kernel, s->controls};
  espl_hash_update(&h, v, sizeof v);
  if (s->weights) espl_hash_string(&h, s->weights);
  const double rounded[] = {s->int_epochs, (double)s->int_lr, 2}; /* 2: the baseline is trained for its integers too */
  if (s->int_epochs > 0) espl_hash_update(&h, rounded, sizeof rounded);
  espl_hash_final_hex(&h, hex);
  return ESPL_OK;
}

char *espl_study_machine_json(const espl_machine *m) {
  char *text = malloc(4096);
  if (!text) return NULL;
  double rate = (double)m->bus_bytes * m->mem.num / m->mem.den;
  size_t at = (size_t)snprintf(text, 4096, "{\"name\":\"%s\",\"clock_mhz\":%g,\"mem_bytes\":%u,\"read_latency\":%d,\"write_latency\":%d,\"rate_num\":%d,\"rate_den\":%d,\"outstanding\":%d,"
                               "\"shared_path\":%d,\"read_bytes_per_cycle\":%g,\"write_bytes_per_cycle\":%g",
                               m->name, m->clock_mhz, (unsigned)m->mem_bytes, (int)m->mem.read_latency, (int)m->mem.write_latency, (int)m->mem.num, (int)m->mem.den, (int)m->mem.outstanding,
                               (int)m->mem.shared_path, rate, rate);
#define X(c_name, RtlName, min, max) at += (size_t)snprintf(text + at, 4096 - at, ",\"" #c_name "\":%d", (int)m->c_name);
  ESPL_PARAM_LIST(X)
#undef X
  snprintf(text + at, 4096 - at, "}");
  return text;
}

static espl_status begin_run(espl_study_state *st, espl_err *err) {
  const espl_study *s = st->s;
  espl_store_run r = {.name = s->name, .command = s->command, .network = s->network, .data = s->data ? s->data : "builtin", .machine = s->machine.name, .seed = (int64_t)s->seed};
  ESPL_TRY(run_hash(s, r.hash, err));
  char *json = espl_study_machine_json(&s->machine);
  r.machine_json = json;
  int resumed = 0;
  espl_status e = espl_store_run_begin(st->store, &r, &st->run, &resumed, err);
  if (e == ESPL_OK && resumed) e = espl_store_event(st->store, st->run, "resumed", "an unfinished run with the same inputs goes on", err);
  free(json);
  return e;
}

/* ---- training ---- */

static void on_progress(void *ctx, double fraction, double eta_s, double loss, double accuracy) {
  (void)eta_s;
  espl_progress *p = ctx;
  espl_progress_at(p, fraction);
  espl_progress_note(p, "loss %.3f, train accuracy %.1f %%", loss, 100 * accuracy);
}

static espl_status poll_interrupt(void *ctx, espl_graph *g, int64_t step, espl_err *err) {
  (void)ctx;
  (void)g;
  (void)step;
  return espl_interrupt_check(err);
}

static espl_status train(espl_study_state *st, espl_graph *g, double epochs, float lr, const espl_graph *teacher, espl_err *err) {
  if (epochs <= 0) return ESPL_OK;
  espl_train_config c;
  espl_train_default(&c);
  c.epochs = epochs;
  c.batch = st->s->batch;
  c.lr = lr;
  c.warmup_epochs = teacher ? 0.2f : 1.0f;
  if (c.warmup_epochs > (float)epochs / 4) c.warmup_epochs = (float)epochs / 4;
  c.augment = st->s->data != NULL;
  c.flip = c.augment && st->train->shape.c == 3; /* photographs look the same mirrored, digits do not */
  c.dtype = st->s->bf16 && espl_has_bf16() ? ESPL_BF16 : ESPL_F32;
  c.seed = st->s->seed;
  c.teacher = st->s->distill > 0 ? teacher : NULL;
  c.distill = c.teacher ? st->s->distill : 0;
  espl_train_hooks h = {.ctx = st->progress, .progress = on_progress, .after_step = poll_interrupt};
  return espl_train(g, st->train, &st->pp, &c, &h, err);
}

/* Training with the rounding of the study's integers in place. */
static espl_status train_rounded(espl_study_state *st, espl_graph *g, espl_err *err) {
  espl_quant_config q;
  espl_tune_config t;
  espl_qnet *out = NULL;
  espl_study_quant(st, true, &q);
  espl_tune_default(&t);
  t.epochs = st->s->int_epochs;
  t.lr = st->s->int_lr;
  t.batch = st->s->batch;
  t.distill = st->s->distill;
  t.augment = st->s->data != NULL;
  t.flip = t.augment && st->train->shape.c == 3;
  t.seed = st->s->seed;
  const espl_train_hooks h = {.ctx = st->progress, .progress = on_progress, .after_step = poll_interrupt};
  espl_status s = espl_quantize_tune(g, st->train, &st->pp, &q, &t, &h, &out, err);
  espl_qnet_free(out);
  return s;
}

/* Without fine-tuning the batch-norm statistics still belong to the uncut network: they are measured again. */
espl_status espl_study_tune(espl_study_state *st, espl_graph *g, espl_err *err) {
  if (st->s->tune_epochs > 0) ESPL_TRY(train(st, g, st->s->tune_epochs, st->s->tune_lr, st->base, err));
  else ESPL_TRY(espl_bn_recalibrate(g, st->train, &st->pp, 20, err));
  return st->s->int_epochs > 0 ? train_rounded(st, g, err) : ESPL_OK;
}

/* ---- baseline ---- */

static espl_status choose_preprocess(espl_study_state *st, const espl_graph *g, espl_err *err) {
  if (st->s->preprocess_given) {
    st->pp = st->s->preprocess;
    return ESPL_OK;
  }
  return espl_preprocess_from_json(&st->pp, g->preprocess, err);
}

/* What travels with the network from now on. */
static espl_status set_preprocess(espl_study_state *st, espl_graph *g, espl_err *err) {
  free(g->preprocess);
  g->preprocess = espl_preprocess_to_json(&st->pp, g->node[0].shape.c);
  return g->preprocess ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "out of memory");
}

/* Networks of our own on the built-in set: pixels centred, the recipe of configs/networks. */
static void own_preprocess(espl_study_state *st) {
  if (st->s->preprocess_given) st->pp = st->s->preprocess;
  else
    for (int i = 0; i < 4; i++) {
      st->pp.mean[i] = 0.5f;
      st->pp.std[i] = 0.25f;
    }
}

static espl_status load_or_train(espl_study_state *st, espl_err *err) {
  const espl_study *s = st->s;
  char *file = espl_study_file(st, "baseline");
  int done = 0;
  espl_status e = file ? espl_study_have(st, "baseline", &done, err) : espl_fail(err, ESPL_E_NOMEM, "out of memory");
  const char *load = done ? file : names_file(s->network) ? s->network : s->trained;
  if (e == ESPL_OK && load) {
    e = espl_onnx_read(load, &st->base, err);
    if (e == ESPL_OK) e = choose_preprocess(st, st->base, err);
  } else if (e == ESPL_OK) {
    own_preprocess(st);
    e = espl_zoo_build(s->network, st->train->shape, st->train->classes, s->seed, &st->base, err);
    if (e == ESPL_OK) e = train(st, st->base, s->train_epochs, s->train_lr, NULL, err);
    if (e == ESPL_OK) espl_graph_at_rest(st->base); /* fine-tuning starts at rest, as when a resumed run reads the network from its file */
  }
  if (e == ESPL_OK) e = set_preprocess(st, st->base, err);
  free(file);
  return e;
}

static espl_status check_fit(const espl_study_state *st, const espl_graph *g, espl_err *err) {
  espl_shape in = g->node[0].shape, out = g->node[g->output].shape, d = st->train->shape;
  if (in.c != d.c || in.h != d.h || in.w != d.w)
    return espl_fail(err, ESPL_E_INPUT, "%s takes [%d,%d,%d], the images of %s are [%d,%d,%d]", st->s->network, (int)in.c, (int)in.h, (int)in.w, st->train->source, (int)d.c, (int)d.h, (int)d.w);
  if (espl_shape_elems(out) != st->train->classes)
    return espl_fail(err, ESPL_E_INPUT, "%s has %lld outputs, %s has %d classes", st->s->network, (long long)espl_shape_elems(out), st->train->source, (int)st->train->classes);
  return ESPL_OK;
}

espl_status espl_study_base(espl_study_state *st, espl_err *err) {
  ESPL_TRY(load_or_train(st, err));
  return check_fit(st, st->base, err);
}

static espl_status record_base(espl_study_state *st, espl_err *err) {
  int done = 0;
  ESPL_TRY(espl_study_have(st, "baseline", &done, err));
  if (!done) {
    espl_make m = {.name = "baseline", .kind = ESPL_VARIANT_BASELINE, .g = st->base, .config_json = "{\"method\":\"none\"}", .expect_skipped = -1, .verify_rtl = 1};
    ESPL_TRY(espl_study_record(st, &m, err));
  } else {
    ESPL_TRY(espl_study_cycles(st, st->base, false, &st->base_cycles, err));
  }
  st->budget = (int64_t)((double)st->base_cycles * st->s->budget);
  return ESPL_OK;
}

espl_status espl_study_tuned_base(espl_study_state *st, espl_graph **g, espl_err *err) {
  *g = NULL;
  if (!(st->s->int_epochs > 0)) return ESPL_OK;
  *g = espl_graph_clone(st->base);
  espl_status s = *g ? train_rounded(st, *g, err) : espl_fail(err, ESPL_E_NOMEM, ESPL_STUDY_TUNED ": out of memory");
  if (s == ESPL_OK) return ESPL_OK;
  espl_graph_free(*g);
  *g = NULL;
  return s;
}

static espl_status record_tuned_base(espl_study_state *st, espl_err *err) {
  int done = 0;
  espl_graph *g = NULL;
  ESPL_TRY(espl_study_have(st, ESPL_STUDY_TUNED, &done, err));
  if (!done) ESPL_TRY(espl_study_tuned_base(st, &g, err));
  if (!g) return ESPL_OK;
  espl_make m = {.name = ESPL_STUDY_TUNED, .parent = "baseline", .kind = ESPL_VARIANT_BASELINE, .g = g, .config_json = "{\"method\":\"none\",\"tuned\":true}",
                 .expect_skipped = -1, .rounded = true, .note = "the network as given behind the training for its integers that every variant gets"};
  espl_status s = espl_study_record(st, &m, err);
  espl_graph_free(g);
  return s;
}

/* ---- what steering needs ---- */

static void fill_progress(void *ctx, double fraction) { espl_progress_at(ctx, fraction); }

espl_status espl_study_prepare(espl_study_state *st, espl_err *err) {
  ESPL_TRY(espl_study_quantize(st, st->base, st->s->int_epochs > 0, &st->base_q, err));
  ESPL_TRY(espl_units_new(st->base, &st->units, err));
  ESPL_TRY(espl_saliency_measure(st->base, st->train, &st->pp, st->s->importance_batches, st->s->seed, &st->saliency, err));
  st->unit_importance = espl_calloc((size_t)st->units->units, sizeof(double));
  if (!st->unit_importance) return espl_fail(err, ESPL_E_NOMEM, "out of memory");
  espl_unit_importance(st->base, st->units, st->saliency, st->unit_importance);
  ESPL_TRY(espl_cost_table_new(st->base_q, &st->s->machine, st->store, &st->table, err));
  ESPL_TRY(espl_widths_new(st->base, st->units, st->unit_importance, st->base_q, st->table, &st->widths, err));
  if (!st->s->dense) return ESPL_OK;
  espl_layer_form *forms = NULL;
  int32_t n = 0;
  espl_status e = espl_widths_forms(st->widths, &forms, &n, err);
  if (e == ESPL_OK) e = espl_cost_fill(st->table, forms, n, fill_progress, st->progress, err);
  free(forms);
  return e;
}

static espl_status make_variants(espl_study_state *st, espl_err *err) {
  const espl_study *s = st->s;
  const int tuned = s->int_epochs > 0;
  double share = 45.0 / (s->dense + s->block + s->kernel + (s->dense && s->controls ? 3 : 0) + tuned);
  if (tuned) {
    espl_progress_push(st->progress, "baseline, tuned", share, 1);
    ESPL_TRY(record_tuned_base(st, err));
    espl_progress_pop(st->progress);
  }
  for (int rule = 0; s->dense && rule < (s->controls ? ESPL_WIDTH_RULES : 1); rule++) {
    espl_progress_push(st->progress, espl_width_rule_name((espl_width_rule)rule), share, 1);
    ESPL_TRY(espl_study_variant(st, ESPL_VARIANT_DENSE, (espl_width_rule)rule, err));
    espl_progress_pop(st->progress);
  }
  const struct { int on; espl_variant_kind kind; const char *name; } others[] = {{s->block, ESPL_VARIANT_BLOCK, "zero tiles"}, {s->kernel, ESPL_VARIANT_KERNEL, "kernels"}};
  for (int i = 0; i < 2; i++) {
    if (!others[i].on) continue;
    espl_progress_push(st->progress, others[i].name, share, 1);
    ESPL_TRY(espl_study_variant(st, others[i].kind, ESPL_WIDTH_CYCLES, err));
    espl_progress_pop(st->progress);
  }
  return ESPL_OK;
}

espl_status espl_study_open_data(espl_study_state *st, espl_err *err) {
  const espl_study *s = st->s;
  ESPL_TRY(espl_machine_check(&s->machine, err));
  ESPL_TRY(espl_data_open_sized(s->data, ESPL_SPLIT_TRAIN, s->seed, s->width, s->height, &st->train, err));
  return espl_data_open_sized(s->data, ESPL_SPLIT_VAL, s->seed, s->width, s->height, &st->val, err);
}

/* Whether the network can be read, fits the data and can be mapped to the machine, and whether the budget can be met, before hours go into
 * it: ranges of a random input do. */
static espl_status check_network(const espl_study_state *st, espl_err *err) {
  const espl_study *s = st->s;
  const char *file = names_file(s->network) ? s->network : s->trained;
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  espl_program *p = NULL;
  espl_quant_config c;
  espl_study_quant(st, false, &c);
  espl_status e = file ? espl_onnx_read(file, &g, err) : espl_zoo_build(s->network, st->train->shape, st->train->classes, s->seed, &g, err);
  if (e == ESPL_OK) e = check_fit(st, g, err);
  if (e == ESPL_OK) e = espl_quantize(g, NULL, &s->preprocess, &c, &q, err);
  if (e == ESPL_OK) e = espl_map_network(q, &s->machine, &p, err);
  if (e == ESPL_OK && !file) e = espl_study_rehearse(st, g, q, err);
  espl_program_free(p);
  espl_qnet_free(q);
  espl_graph_free(g);
  return e;
}

static espl_status flow(espl_study_state *st, const char *db, espl_store **store, espl_err *err) {
  const espl_study *s = st->s;
  ESPL_TRY(espl_study_open_data(st, err));
  ESPL_TRY(check_network(st, err));
  ESPL_TRY(espl_mkdirs(s->out, err));
  ESPL_TRY(espl_store_open(db, ESPL_STORE_CREATE, store, err));
  st->store = *store;
  ESPL_TRY(begin_run(st, err));
  if (s->rtl) { /* a minute or two when this machine point was not built before, nothing when it was */
    espl_progress_push(st->progress, "RTL simulator of the machine", 5, 1);
    ESPL_TRY(espl_device_rtl_prepare(&s->machine, err));
    espl_progress_pop(st->progress);
  }
  espl_progress_push(st->progress, names_file(s->network) || s->trained ? "load the network" : "train the network", s->rtl ? 30 : 35, 1);
  ESPL_TRY(espl_study_base(st, err));
  espl_progress_pop(st->progress);
  espl_progress_push(st->progress, "baseline on the machine", 5, 1);
  ESPL_TRY(record_base(st, err));
  espl_progress_pop(st->progress);
  espl_progress_push(st->progress, "importance and cost table", 10, 1);
  ESPL_TRY(espl_study_prepare(st, err));
  espl_progress_pop(st->progress);
  ESPL_TRY(make_variants(st, err));
  espl_progress_push(st->progress, "test split", 5, 1);
  ESPL_TRY(espl_study_test(st, err));
  espl_progress_pop(st->progress);
  return espl_store_run_done(st->store, st->run, err);
}

void espl_study_close(espl_study_state *st) {
  espl_widths_free(st->widths);
  espl_cost_table_free(st->table);
  free(st->unit_importance);
  espl_saliency_free(st->saliency);
  espl_units_free(st->units);
  espl_qnet_free(st->base_q);
  espl_graph_free(st->base);
  espl_data_free(st->train);
  espl_data_free(st->val);
}

espl_status espl_study_run(const espl_study *s, const char *db, espl_progress *progress, espl_store **store, int64_t *run_id, espl_err *err) {
  espl_study_state st = {.s = s, .progress = progress};
  espl_preprocess_default(&st.pp);
  *store = NULL;
  espl_status e = flow(&st, db, store, err);
  *run_id = st.run;
  espl_study_close(&st);
  return e;
}
