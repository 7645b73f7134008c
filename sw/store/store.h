/* Results in one SQLite file: runs, variants, layers, costs, openings of the test split, events.
 *
 * Nouns: a RUN is one execution of a study, known by the content hash of all its inputs; it owns VARIANTS
 * (one network each), a variant owns LAYERS. COSTS are shared by all runs: content hash -> what the exact
 * timing model said. Everything is keyed so that doing work twice replaces and never duplicates.
 *
 * Laws
 *   1. Write-ahead log and one transaction a call: whatever kills the process, the file opens again and holds
 *      exactly the calls that had returned.
 *   2. A file that is no database, of another application or of another schema version is refused
 *      (E_INPUT) and not changed.
 *   3. Strings in a struct that is put are only read during the call. Strings in a struct that is got are
 *      owned by it: release with espl_store_variant_clear.
 *   4. Unknown values: NAN for numbers, -1 for integers, NULL for text. They are NULL in the database.
 *   5. One espl_store belongs to one thread at a time; several processes may open one file (a writer waits up to 10 s). */
#ifndef ESPL_STORE_STORE_H
#define ESPL_STORE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ESPL_STORE_SCHEMA 1

typedef struct espl_store espl_store;

typedef enum espl_store_mode {
  ESPL_STORE_CREATE, /* open, create when absent (parent folder must exist) */
  ESPL_STORE_READ    /* must exist; nothing is written */
} espl_store_mode;

espl_status espl_store_open(const char *path, espl_store_mode mode, espl_store **out, espl_err *err) ESPL_MUST_CHECK;
void espl_store_close(espl_store *s); /* NULL is allowed; a transaction that is open is rolled back */

/* Several puts as one unit. Not nested. */
espl_status espl_store_begin(espl_store *s, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_store_commit(espl_store *s, espl_err *err) ESPL_MUST_CHECK;
void espl_store_rollback(espl_store *s); /* no error when nothing is open */

typedef struct espl_store_run {
  int64_t id; /* set by the store */
  char hash[ESPL_HASH_HEX]; /* content hash of everything the result depends on */
  const char *name;         /* study or job name */
  const char *command;      /* command line that repeats it */
  const char *network, *data;
  const char *machine;      /* name of the machine point */
  const char *machine_json; /* one flat object, the complete point; the report lists every member and takes rows, cols,
                             * read_bytes_per_cycle, write_bytes_per_cycle, shared_path and clock_mhz for its plots */
  int64_t seed;
  int done;                 /* 1 once espl_store_run_done was called */
  double started, finished; /* seconds since 1970; finished NAN until done */
} espl_store_run;

/* Begins a run, or resumes the newest unfinished run with the same hash. *resumed says which. */
espl_status espl_store_run_begin(espl_store *s, const espl_store_run *run, int64_t *run_id, int *resumed, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_store_run_done(espl_store *s, int64_t run_id, espl_err *err) ESPL_MUST_CHECK;
/* The newest finished run with this hash; *run_id = -1 when there is none. */
espl_status espl_store_run_find_done(espl_store *s, const char *hash, int64_t *run_id, espl_err *err) ESPL_MUST_CHECK;

typedef enum espl_variant_kind {
  ESPL_VARIANT_BASELINE, /* the network as given */
  ESPL_VARIANT_DENSE,    /* fewer channels, merged blocks */
  ESPL_VARIANT_BLOCK,    /* zero R x C tiles */
  ESPL_VARIANT_KERNEL,   /* rows and columns of kernels removed */
  ESPL_VARIANT_MIXED,    /* more than one of these */
  ESPL_VARIANT_KIND_COUNT
} espl_variant_kind;
const char *espl_variant_kind_name(espl_variant_kind k); /* "baseline"; never NULL */

typedef struct espl_store_variant {
  int64_t id;         /* set by the store */
  const char *name;   /* unique in its run */
  espl_variant_kind kind;
  const char *parent; /* name of the variant it was made from */
  const char *network_file, *network_hash; /* the ONNX file, or its content hash, or both */
  const char *config_json;  /* method and its settings */
  const char *steered_by;   /* "cycles", or a control: "uniform", "macs", "macs-rounded", "params"; NULL: not steered */
  int64_t budget_cycles;    /* what steering had to meet; -1 none */
  double float_val, float_test, int8_val, int8_test; /* accuracies as fractions 0..1 */
  int64_t cycles, macs, macs_dense, params;
  double utilization, roof_fraction; /* of the whole network */
  double speedup;           /* cycles of the run's baseline / cycles */
  int64_t overhead_cycles, read_bytes, write_bytes;
  int done;                 /* 0 while being made, so that a resumed run makes it again */
  int rtl_agree;            /* -1 not run, 0 differs, 1 same bits, cycles and counters */
  int64_t rtl_cycles;
  double seconds;           /* wall seconds spent making it */
  const char *note;
} espl_store_variant;

void espl_store_variant_init(espl_store_variant *v); /* everything unknown */
void espl_store_variant_clear(espl_store_variant *v);
/* Inserts or replaces by (run, name). Its layers are kept. *variant_id may be NULL. */
espl_status espl_store_variant_put(espl_store *s, int64_t run_id, const espl_store_variant *v, int64_t *variant_id, espl_err *err) ESPL_MUST_CHECK;
/* *found = 0 and an initialised *v when the run has none of that name. */
espl_status espl_store_variant_get(espl_store *s, int64_t run_id, const char *name, espl_store_variant *v, int *found, espl_err *err) ESPL_MUST_CHECK;

typedef struct espl_store_layer {
  int32_t index; /* order of execution, from 0 */
  const char *name, *op;
  const char *shape; /* for people: "3x3/2 16->32 32x32" */
  int64_t cycles, macs, macs_dense, busy_cycles, idle_cycles;
  const char *stalls_json; /* {"load":12,...}: cycles by cause, causes as the machine's specification names them */
  int64_t read_bytes, write_bytes, tiles, tiles_skipped, roof_cycles;
  double utilization, roof_fraction;
} espl_store_layer;

void espl_store_layer_init(espl_store_layer *l);
/* Replaces all layers of the variant by layers[n]. */
espl_status espl_store_layers_put(espl_store *s, int64_t variant_id, const espl_store_layer *layers, size_t n, espl_err *err) ESPL_MUST_CHECK;

/* Exact cost of one layer on one machine, by the hash of everything it depends on. */
typedef struct espl_store_cost {
  int64_t cycles, macs, busy_cycles, roof_cycles, read_bytes, write_bytes, tiles, tiles_skipped;
} espl_store_cost;
espl_status espl_store_cost_put(espl_store *s, const char *key, const espl_store_cost *c, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_store_cost_get(espl_store *s, const char *key, espl_store_cost *c, int *found, espl_err *err) ESPL_MUST_CHECK;

/* Log: every opening of the test split, and notable events. who: command or step. */
espl_status espl_store_opening(espl_store *s, int64_t run_id, const char *who, const char *network, const char *data, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_store_event(espl_store *s, int64_t run_id, const char *kind, const char *text, espl_err *err) ESPL_MUST_CHECK;

/* Reading in order. The struct handed to `each` is valid during the call only; a status other than OK from
 * it stops the walk and is returned. Runs: newest first. Variants: in order of first insertion. Layers by index. */
typedef espl_status (*espl_store_run_fn)(void *user, const espl_store_run *r, espl_err *err);
typedef espl_status (*espl_store_variant_fn)(void *user, const espl_store_variant *v, espl_err *err);
typedef espl_status (*espl_store_layer_fn)(void *user, const espl_store_layer *l, espl_err *err);
typedef espl_status (*espl_store_log_fn)(void *user, double when, const char *a, const char *b, const char *c, espl_err *err);
espl_status espl_store_each_run(espl_store *s, espl_store_run_fn each, void *user, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_store_each_variant(espl_store *s, int64_t run_id, espl_store_variant_fn each, void *user, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_store_each_layer(espl_store *s, int64_t variant_id, espl_store_layer_fn each, void *user, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_store_each_opening(espl_store *s, int64_t run_id, espl_store_log_fn each, void *user, espl_err *err) ESPL_MUST_CHECK; /* who, network, data */
espl_status espl_store_each_event(espl_store *s, int64_t run_id, espl_store_log_fn each, void *user, espl_err *err) ESPL_MUST_CHECK;   /* kind, text, NULL */

#ifdef __cplusplus
}
#endif
#endif
