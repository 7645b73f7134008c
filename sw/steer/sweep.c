/* Runs the cells of a sweep that the store does not know, on a few threads. */
#include "steer/sweep.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/interrupt.h"
#include "base/mem.h"
#include "steer/study_int.h"

enum { MAX_JOBS = 64 };

/* All that a sweep's threads share; everything but a cell's simulation happens under the lock. */
struct pool {
  const espl_sweep *w;
  espl_store *store;
  espl_progress *progress;
  int64_t run;
  espl_qnet **q;      /* [nets]; NULL where no cell needs it */
  int32_t *todo;      /* cell = net * points + point */
  int32_t n, next, done;
  espl_sweep_counts *counts;
  pthread_mutex_t lock;
  espl_status status;
  espl_err err;
};

void espl_sweep_cell_name(const espl_sweep *w, int32_t net, int32_t point, char name[2 * ESPL_SWEEP_NAME + 4]) {
  snprintf(name, 2 * ESPL_SWEEP_NAME + 4, "%s on %s", w->net[net].name, w->point[point].name);
}

static void cell_key(const espl_sweep *w, int32_t net, int32_t point, char key[ESPL_HASH_HEX]) {
  const espl_machine *m = &w->point[point].machine;
  const espl_mem_timing *t = &m->mem;
  const int64_t v[] = {espl_machine_hash(m), t->read_latency, t->write_latency, t->num, t->den, t->outstanding, t->shared_path, t->turnaround, t->banks, t->row_bytes, t->row_open, t->row_close, t->stall_mod, t->stall_seed, m->mem_bytes};
  espl_hash h;
  espl_hash_init(&h);
  espl_hash_string(&h, "network cycles 2");
  espl_hash_string(&h, w->net[net].hash);
  for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) espl_hash_u64(&h, (uint64_t)v[i]);
  espl_hash_final_hex(&h, key);
}

static void sweep_hash(const espl_sweep *w, char hex[ESPL_HASH_HEX]) {
  espl_hash h;
  char key[ESPL_HASH_HEX], name[2 * ESPL_SWEEP_NAME + 4];
  espl_hash_init(&h);
  espl_hash_string(&h, "sweep 1");
  espl_hash_string(&h, w->name);
  for (int32_t c = 0; c < w->nets * w->points; c++) {
    cell_key(w, c / w->points, c % w->points, key);
    espl_sweep_cell_name(w, c / w->points, c % w->points, name);
    espl_hash_string(&h, key);
    espl_hash_string(&h, name);
  }
  espl_hash_final_hex(&h, hex);
}

/* One finished cell: numbers, or the reason why there are none. */
static espl_status record(struct pool *p, int32_t cell, const espl_store_cost *c, const char *reason, espl_err *err) {
  const espl_sweep *w = p->w;
  int32_t net = cell / w->points, point = cell % w->points;
  const espl_machine *m = &w->point[point].machine;
  char name[2 * ESPL_SWEEP_NAME + 4];
  espl_store_variant v;
  espl_store_variant_init(&v);
  espl_sweep_cell_name(w, net, point, name);
  char *json = espl_study_machine_json(m);
  v.name = name;
  v.network_hash = w->net[net].hash;
  v.config_json = json;
  v.params = espl_graph_params(w->net[net].g);
  v.note = reason;
  v.done = 1;
  if (c) {
    v.cycles = c->cycles;
    v.macs = c->macs;
    v.read_bytes = c->read_bytes;
    v.write_bytes = c->write_bytes;
    v.utilization = (double)c->macs / ((double)m->rows * m->cols * (double)c->cycles);
    v.roof_fraction = (double)c->roof_cycles / (double)c->cycles;
  }
  espl_status s = json ? espl_store_variant_put(p->store, p->run, &v, NULL, err) : espl_fail(err, ESPL_E_NOMEM, "sweep: out of memory");
  free(json);
  return s;
}

static espl_status simulate(const espl_qnet *q, const espl_machine *m, espl_store_cost *c, espl_err *err) {
  espl_sim_result r = {0};
  espl_status s = espl_time_network(q, m, &r, err);
  const espl_sim_layer *t = &r.total;
  *c = (espl_store_cost){.cycles = (int64_t)t->cycles, .macs = (int64_t)t->macs, .busy_cycles = (int64_t)t->busy, .roof_cycles = (int64_t)t->roof_cycles,
                         .read_bytes = (int64_t)t->read_bytes, .write_bytes = (int64_t)t->write_bytes, .tiles = (int64_t)t->tiles, .tiles_skipped = (int64_t)t->tiles_skipped};
  espl_sim_result_clear(&r);
  return s;
}

/* Cost and cell appear together. */
static espl_status keep(struct pool *p, int32_t cell, const espl_store_cost *c, espl_err *err) {
  char key[ESPL_HASH_HEX];
  cell_key(p->w, cell / p->w->points, cell % p->w->points, key);
  ESPL_TRY(espl_store_begin(p->store, err));
  espl_status s = espl_store_cost_put(p->store, key, c, err);
  if (s == ESPL_OK) s = record(p, cell, c, NULL, err);
  if (s == ESPL_OK) s = espl_store_commit(p->store, err);
  if (s != ESPL_OK) espl_store_rollback(p->store);
  return s;
}

/* Takes the result of a cell into the store; the lock is held. */
static void take(struct pool *p, int32_t cell, espl_status s, const espl_store_cost *c, const espl_err *why) {
  espl_err err = *why;
  if (s == ESPL_E_INPUT || s == ESPL_E_UNSUPPORTED) {
    err = (espl_err){0};
    s = record(p, cell, NULL, why->msg, &err);
    if (s == ESPL_OK) p->counts->refused++;
  } else if (s == ESPL_OK) {
    s = keep(p, cell, c, &err);
  }
  if (s == ESPL_OK) {
    p->counts->computed++;
    espl_progress_at(p->progress, ++p->done);
  } else if (p->status == ESPL_OK) {
    p->status = s;
    p->err = err;
  }
}

static void *worker(void *arg) {
  struct pool *p = arg;
  pthread_mutex_lock(&p->lock);
  while (p->next < p->n && p->status == ESPL_OK && !espl_interrupted()) {
    int32_t cell = p->todo[p->next++];
    pthread_mutex_unlock(&p->lock);
    espl_store_cost c = {0};
    espl_err why = {0};
    espl_status s = simulate(p->q[cell / p->w->points], &p->w->point[cell % p->w->points].machine, &c, &why);
    pthread_mutex_lock(&p->lock);
    take(p, cell, s, &c, &why);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

static espl_status compute(struct pool *p, int jobs, espl_err *err) {
  pthread_t thread[MAX_JOBS];
  int started = 0;
  pthread_mutex_init(&p->lock, NULL);
  while (started < jobs - 1 && started < p->n - 1 && pthread_create(&thread[started], NULL, worker, p) == 0) started++;
  worker(p);
  for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
  pthread_mutex_destroy(&p->lock);
  if (p->status != ESPL_OK) return espl_fail(err, p->status, "%s", p->err.msg);
  return espl_interrupt_check(err);
}

/* What the store knows already: the cell in this run, or its cost from another. The rest is the work. */
static espl_status plan(struct pool *p, espl_err *err) {
  const espl_sweep *w = p->w;
  for (int32_t cell = 0; cell < w->nets * w->points; cell++) {
    char name[2 * ESPL_SWEEP_NAME + 4], key[ESPL_HASH_HEX];
    espl_store_variant v;
    espl_store_cost c;
    int found = 0;
    espl_sweep_cell_name(w, cell / w->points, cell % w->points, name);
    cell_key(w, cell / w->points, cell % w->points, key);
    ESPL_TRY(espl_store_variant_get(p->store, p->run, name, &v, &found, err));
    int done = found && v.done, refused = done && v.note != NULL;
    espl_store_variant_clear(&v);
    if (!done) {
      ESPL_TRY(espl_store_cost_get(p->store, key, &c, &found, err));
      if (found) ESPL_TRY(record(p, cell, &c, NULL, err));
      done = found;
    }
    p->counts->known += done;
    p->counts->refused += refused;
    if (!done) p->todo[p->n++] = cell;
  }
  return ESPL_OK;
}

static espl_status quantize(struct pool *p, espl_err *err) {
  for (int32_t i = 0; i < p->n; i++) {
    int32_t net = p->todo[i] / p->w->points;
    espl_quant_config c;
    espl_preprocess pp;
    if (p->q[net]) continue;
    espl_quant_default(&c);
    c.seed = p->w->seed;
    espl_preprocess_default(&pp);
    ESPL_TRY(espl_interrupt_check(err));
    ESPL_TRY(espl_quantize(p->w->net[net].g, NULL, &pp, &c, &p->q[net], err));
  }
  return ESPL_OK;
}

static espl_status begin(struct pool *p, const char *command, int *finished, espl_err *err) {
  const espl_sweep *w = p->w;
  char *json = espl_study_machine_json(&w->base);
  espl_store_run r = {.name = w->name, .command = command, .network = w->nets == 1 ? w->net[0].name : "several", .data = "none", .machine = w->points == 1 ? w->point[0].name : "several",
                      .machine_json = w->points == 1 ? json : NULL, .seed = (int64_t)w->seed};
  int resumed = 0;
  sweep_hash(w, r.hash);
  espl_status s = espl_store_run_find_done(p->store, r.hash, &p->run, err);
  *finished = p->run >= 0;
  if (s == ESPL_OK && !*finished) s = espl_store_run_begin(p->store, &r, &p->run, &resumed, err);
  free(json);
  return s;
}

static espl_status flow(struct pool *p, const char *command, int jobs, espl_err *err) {
  int finished = 0;
  ESPL_TRY(begin(p, command, &finished, err));
  ESPL_TRY(plan(p, err));
  espl_progress_push(p->progress, "quantize", 5, 1);
  ESPL_TRY(quantize(p, err));
  espl_progress_pop(p->progress);
  espl_progress_push(p->progress, "simulate", 95, p->n > 0 ? p->n : 1);
  if (p->n > 0) ESPL_TRY(compute(p, jobs, err));
  espl_progress_pop(p->progress);
  return finished ? ESPL_OK : espl_store_run_done(p->store, p->run, err);
}

espl_status espl_sweep_run(const espl_sweep *w, const char *command, int jobs, espl_store *store, espl_progress *progress, int64_t *run, espl_sweep_counts *counts, espl_err *err) {
  struct pool p = {.w = w, .store = store, .progress = progress, .run = -1, .counts = counts};
  *counts = (espl_sweep_counts){0};
  p.q = espl_calloc((size_t)w->nets, sizeof *p.q);
  p.todo = espl_calloc((size_t)w->nets * (size_t)w->points, sizeof *p.todo);
  espl_status s = p.q && p.todo ? flow(&p, command, jobs < 1 ? 1 : jobs > MAX_JOBS ? MAX_JOBS : jobs, err) : espl_fail(err, ESPL_E_NOMEM, "sweep: out of memory");
  *run = p.run;
  for (int32_t i = 0; p.q && i < w->nets; i++) espl_qnet_free(p.q[i]);
  free(p.q);
  free(p.todo);
  return s;
}
