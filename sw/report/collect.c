/* One run out of the store into memory, with the facts that the plots need. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/report_int.h"

#define ARENA_BYTES (512u * 1024u * 1024u)

static espl_status keep(struct espli_report *r, const char **field, espl_err *err) {
  if (!*field) return ESPL_OK;
  *field = espl_arena_strdup(r->arena, *field);
  return *field ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "the store is too large for a report");
}

static espl_status keep_all(struct espli_report *r, const char **const fields[], size_t n, espl_err *err) {
  for (size_t i = 0; i < n; i++) ESPL_TRY(keep(r, fields[i], err));
  return ESPL_OK;
}

/* Doubles an array that lives in the arena. */
static void *grown(struct espli_report *r, void *old, size_t n, size_t size) {
  if (n & (n - 1)) return old; /* room is left until n reaches a power of two */
  void *p = espl_arena_alloc(r->arena, (n ? 2 * n : 1) * size);
  if (p && n) memcpy(p, old, n * size);
  return p;
}

static espl_status take_variant(void *user, const espl_store_variant *v, espl_err *err) {
  struct espli_report *r = user;
  r->variant = grown(r, r->variant, r->n_variants, sizeof *r->variant);
  if (!r->variant) return espl_fail(err, ESPL_E_NOMEM, "the store is too large for a report");
  struct espli_variant *n = &r->variant[r->n_variants];
  *n = (struct espli_variant){.d = *v};
  const char **const fields[] = {&n->d.name, &n->d.parent, &n->d.network_file, &n->d.network_hash, &n->d.config_json, &n->d.steered_by, &n->d.note};
  ESPL_TRY(keep_all(r, fields, sizeof fields / sizeof *fields, err));
  r->n_variants++;
  return ESPL_OK;
}

static int cause_index(struct espli_report *r, const char *name) {
  for (int i = 0; i < r->n_causes; i++)
    if (strcmp(r->cause[i], name) == 0) return i;
  if (r->n_causes == ESPLI_MAX_CAUSES) return -1;
  const char *copy = espl_arena_strdup(r->arena, name);
  if (!copy) return -1;
  r->cause[r->n_causes] = copy;
  return r->n_causes++;
}

static espl_status take_stalls(struct espli_report *r, struct espli_layer *l, espl_err *err) {
  espl_json_doc *doc = NULL;
  if (!l->d.stalls_json) return ESPL_OK;
  ESPL_TRY(espl_json_parse("stalls of a layer", l->d.stalls_json, strlen(l->d.stalls_json), &doc, err));
  const espl_json_value *o = espl_json_root(doc);
  espl_status s = ESPL_OK;
  for (size_t i = 0; s == ESPL_OK && i < espl_json_count(o); i++) {
    const char *name = espl_json_key_at(o, i);
    int at = name ? cause_index(r, name) : -1;
    if (at < 0)
      s = espl_fail(err, ESPL_E_UNSUPPORTED, "layer %s: stalls are no object of at most %d causes", l->d.name ? l->d.name : "?", ESPLI_MAX_CAUSES);
    else
      l->stall[at] = espl_json_integer(espl_json_at(o, i), 0);
  }
  espl_json_doc_free(doc);
  return s;
}

struct layer_walk {
  struct espli_report *r;
  struct espli_variant *v;
};

static espl_status take_layer(void *user, const espl_store_layer *l, espl_err *err) {
  struct layer_walk *w = user;
  struct espli_variant *v = w->v;
  v->layer = grown(w->r, v->layer, v->n_layers, sizeof *v->layer);
  if (!v->layer) return espl_fail(err, ESPL_E_NOMEM, "the store is too large for a report");
  struct espli_layer *n = &v->layer[v->n_layers];
  *n = (struct espli_layer){.d = *l};
  const char **const fields[] = {&n->d.name, &n->d.op, &n->d.shape, &n->d.stalls_json};
  ESPL_TRY(keep_all(w->r, fields, 4, err));
  ESPL_TRY(take_stalls(w->r, n, err));
  v->n_layers++;
  return ESPL_OK;
}

struct log_walk {
  struct espli_report *r;
  struct espli_log **tail;
};

static espl_status take_log(void *user, double when, const char *a, const char *b, const char *c, espl_err *err) {
  struct log_walk *w = user;
  struct espli_log *n = espl_arena_alloc(w->r->arena, sizeof *n);
  if (!n) return espl_fail(err, ESPL_E_NOMEM, "the store is too large for a report");
  *n = (struct espli_log){when, a, b, c, NULL};
  const char **const fields[] = {&n->a, &n->b, &n->c};
  ESPL_TRY(keep_all(w->r, fields, 3, err));
  *w->tail = n;
  w->tail = &n->next;
  return ESPL_OK;
}

struct run_walk {
  struct espli_report *r;
  espl_store *s;
};

static espl_status count_done(void *user, const espl_store_variant *v, espl_err *err) {
  (void)err;
  *(int *)user += v->done != 0;
  return ESPL_OK;
}

/* Runs come newest first; the first that fits is taken. */
static espl_status take_run(void *user, const espl_store_run *run, espl_err *err) {
  struct run_walk *w = user;
  struct espli_report *r = w->r;
  int done = 0;
  if (r->has_run || (r->wanted >= 0 && run->id != r->wanted)) return ESPL_OK;
  ESPL_TRY(espl_store_each_variant(w->s, run->id, count_done, &done, err));
  if (done == 0 && r->wanted < 0) return ESPL_OK;
  r->run = *run;
  const char **const fields[] = {&r->run.name, &r->run.command, &r->run.network, &r->run.data, &r->run.machine, &r->run.machine_json};
  ESPL_TRY(keep_all(r, fields, sizeof fields / sizeof *fields, err));
  r->has_run = 1;
  return ESPL_OK;
}

static espl_status take_machine(struct espli_report *r, espl_err *err) {
  const char *text = r->run.machine_json;
  if (!text) return ESPL_OK;
  ESPL_TRY(espl_json_parse("machine record", text, strlen(text), &r->machine_doc, err));
  const espl_json_value *m = r->machine = espl_json_root(r->machine_doc);
  r->rows = espl_json_number(espl_json_find(m, "rows"), 0);
  r->cols = espl_json_number(espl_json_find(m, "cols"), 0);
  r->read_rate = espl_json_number(espl_json_find(m, "read_bytes_per_cycle"), 0);
  r->write_rate = espl_json_number(espl_json_find(m, "write_bytes_per_cycle"), 0);
  r->shared_path = espl_json_integer(espl_json_find(m, "shared_path"), 0) != 0;
  r->clock_mhz = espl_json_number(espl_json_find(m, "clock_mhz"), 0);
  return ESPL_OK;
}

static int by_cycles(const espl_store_variant *v) { return v->steered_by && strcmp(v->steered_by, "cycles") == 0; }
static int within_budget(const espl_store_variant *v) { return v->budget_cycles < 0 || v->cycles <= v->budget_cycles; }

/* The chosen variant: among those steered by cycles (or, without any, among all but the baselines) that meet their budget the one with the
 * best validation accuracy, fewer cycles on a tie. Test accuracy chooses nothing. */
static void choose(struct espli_report *r) {
  int steered = 0;
  r->baseline = r->chosen = r->reference = -1;
  for (size_t i = 0; i < r->n_variants; i++) {
    const espl_store_variant *v = &r->variant[i].d;
    if (v->kind == ESPL_VARIANT_BASELINE && r->baseline < 0) r->baseline = (int)i;
    if (v->kind == ESPL_VARIANT_BASELINE && (v->done || r->reference < 0)) r->reference = (int)i;
    if (v->done && by_cycles(v)) steered = 1;
  }
  for (size_t i = 0; i < r->n_variants; i++) {
    const espl_store_variant *v = &r->variant[i].d, *best = r->chosen >= 0 ? &r->variant[r->chosen].d : NULL;
    if (!v->done || v->kind == ESPL_VARIANT_BASELINE || v->cycles < 0 || !within_budget(v)) continue;
    if (steered && !by_cycles(v)) continue;
    double a = isnan(v->int8_val) ? -1 : v->int8_val, b = !best || isnan(best->int8_val) ? -1 : best->int8_val;
    if (!best || a > b || (a == b && v->cycles < best->cycles)) r->chosen = (int)i;
  }
  r->chosen_by = steered ? "best int8 validation accuracy of the variants steered by cycles that meet their budget"
                         : "best int8 validation accuracy of the variants that meet their budget";
}

int espli_steering_together(const struct espli_report *r, size_t i, size_t k) {
  const espl_store_variant *a = &r->variant[i].d, *b = &r->variant[k].d;
  return a->steered_by && b->steered_by && a->budget_cycles == b->budget_cycles && a->kind == b->kind;
}

int espli_steering_leads(const struct espli_report *r, size_t i) {
  for (size_t k = 0; k < i; k++)
    if (espli_steering_together(r, i, k)) return 0;
  return r->variant[i].d.steered_by != NULL;
}

double espli_accuracy(const espl_store_variant *v, int which) {
  const double a[] = {v->int8_test, v->int8_val, v->float_test, v->float_val};
  return a[which];
}

const char *espli_accuracy_name(int which) {
  static const char *const names[] = {"int8 test accuracy", "int8 validation accuracy", "float test accuracy", "float validation accuracy"};
  return names[which];
}

int espli_accuracy_choice(const struct espli_report *r) {
  int best = 0, most = -1;
  for (int which = 0; which < 4; which++) {
    int n = 0;
    for (size_t i = 0; i < r->n_variants; i++) n += !isnan(espli_accuracy(&r->variant[i].d, which));
    if (n > most) {
      most = n;
      best = which;
    }
  }
  return best;
}

espl_status espli_report_collect(espl_store *s, int64_t run_id, struct espli_report *r, espl_err *err) {
  *r = (struct espli_report){.wanted = run_id, .arena = espl_arena_new(ARENA_BYTES)};
  if (!r->arena) return espl_fail(err, ESPL_E_NOMEM, "out of memory");
  struct run_walk runs = {r, s};
  ESPL_TRY(espl_store_each_run(s, take_run, &runs, err));
  if (!r->has_run && run_id >= 0) return espl_fail(err, ESPL_E_INPUT, "the store has no run %lld", (long long)run_id);
  if (!r->has_run) return espl_fail(err, ESPL_E_INPUT, "the store has no run with a finished variant");
  ESPL_TRY(espl_store_each_variant(s, r->run.id, take_variant, r, err));
  if (r->n_variants == 0) return espl_fail(err, ESPL_E_INPUT, "run %lld has no variant", (long long)r->run.id);
  for (size_t i = 0; i < r->n_variants; i++) {
    struct layer_walk w = {r, &r->variant[i]};
    ESPL_TRY(espl_store_each_layer(s, r->variant[i].d.id, take_layer, &w, err));
  }
  struct log_walk openings = {r, &r->openings}, events = {r, &r->events};
  ESPL_TRY(espl_store_each_opening(s, r->run.id, take_log, &openings, err));
  ESPL_TRY(espl_store_each_event(s, r->run.id, take_log, &events, err));
  choose(r);
  return take_machine(r, err);
}

void espli_report_release(struct espli_report *r) {
  espl_json_doc_free(r->machine_doc);
  espl_arena_free(r->arena);
}
