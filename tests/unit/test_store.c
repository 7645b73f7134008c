/* Every field survives a round trip; resuming, refusing foreign files, and being killed at any moment. */
#include <criterion/criterion.h>

#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "store/store.h"

static char dir[SCRATCH], db[SCRATCH_FILE];
static espl_err e;

static void make_dir(void) {
  e = (espl_err){0};
  scratch_folder(dir, "espl-store");
  snprintf(db, sizeof db, "%s/r.db", dir);
}
static void remove_dir(void) {
  cr_assert_eq(scratch_remove(dir), 0);
}
TestSuite(store, .init = make_dir, .fini = remove_dir);

static espl_store *open_store(void) {
  espl_store *s = NULL;
  cr_assert_eq(espl_store_open(db, ESPL_STORE_CREATE, &s, &e), ESPL_OK, "%s", e.msg);
  return s;
}
static int64_t begin(espl_store *s, const char *hash, int *resumed) {
  espl_store_run r = {.name = "demo", .command = "espalier demo", .network = "resnet8", .data = "builtin", .machine = "16x16",
                      .machine_json = "{\"rows\":16}", .seed = 5};
  snprintf(r.hash, sizeof r.hash, "%s", hash);
  int64_t id = -1;
  cr_assert_eq(espl_store_run_begin(s, &r, &id, resumed, &e), ESPL_OK, "%s", e.msg);
  return id;
}

Test(store, unfinished_run_is_resumed_and_a_finished_one_is_not) {
  espl_store *s = open_store();
  int resumed = -1;
  int64_t a = begin(s, "h1", &resumed), found = 0;
  cr_expect_eq(resumed, 0);
  cr_expect_eq(begin(s, "h1", &resumed), a);
  cr_expect_eq(resumed, 1);
  cr_expect_neq(begin(s, "h2", &resumed), a);
  cr_expect_eq(espl_store_run_find_done(s, "h1", &found, &e), ESPL_OK);
  cr_expect_eq(found, -1);
  cr_expect_eq(espl_store_run_done(s, a, &e), ESPL_OK);
  cr_expect_eq(espl_store_run_find_done(s, "h1", &found, &e), ESPL_OK);
  cr_expect_eq(found, a);
  cr_expect_neq(begin(s, "h1", &resumed), a);
  cr_expect_eq(espl_store_run_done(s, 999, &e), ESPL_E_BUG);
  espl_store_close(s);
}

/* Each field gets a number of its own, so that two swapped columns show. */
static espl_store_variant numbered(void) {
  return (espl_store_variant){.name = "dense-50", .kind = ESPL_VARIANT_KERNEL, .parent = "base", .network_file = "f.onnx", .network_hash = "nh",
                              .config_json = "{}", .steered_by = "macs-rounded", .budget_cycles = 1, .float_val = .2, .float_test = .3,
                              .int8_val = .4, .int8_test = .5, .cycles = 6, .macs = 7, .macs_dense = 8, .params = 9, .utilization = .10,
                              .roof_fraction = .11, .speedup = 1.2, .overhead_cycles = 13, .read_bytes = 14, .write_bytes = 15, .done = 1,
                              .rtl_agree = 0, .rtl_cycles = 17, .seconds = 1.8, .note = "a note"};
}

Test(store, variant_fields_survive) {
  espl_store *s = open_store();
  int64_t run = begin(s, "h", NULL), id = 0, again = 0;
  espl_store_variant v = numbered(), g;
  int found = 0;
  cr_assert_eq(espl_store_variant_put(s, run, &v, &id, &e), ESPL_OK, "%s", e.msg);
  v.cycles = 66;
  cr_assert_eq(espl_store_variant_put(s, run, &v, &again, &e), ESPL_OK);
  cr_expect_eq(again, id, "putting again replaces the row in place");
  cr_assert_eq(espl_store_variant_get(s, run, "dense-50", &g, &found, &e), ESPL_OK);
  cr_assert(found);
  cr_expect_str_eq(g.name, "dense-50");
  cr_expect_eq(g.kind, ESPL_VARIANT_KERNEL);
  cr_expect_str_eq(g.parent, "base");
  cr_expect_str_eq(g.network_file, "f.onnx");
  cr_expect_str_eq(g.network_hash, "nh");
  cr_expect_str_eq(g.config_json, "{}");
  cr_expect_str_eq(g.steered_by, "macs-rounded");
  cr_expect_str_eq(g.note, "a note");
  cr_expect_eq(g.budget_cycles, 1);
  cr_expect(g.float_val == .2 && g.float_test == .3 && g.int8_val == .4 && g.int8_test == .5);
  cr_expect(g.cycles == 66 && g.macs == 7 && g.macs_dense == 8 && g.params == 9);
  cr_expect(g.utilization == .10 && g.roof_fraction == .11 && g.speedup == 1.2);
  cr_expect(g.overhead_cycles == 13 && g.read_bytes == 14 && g.write_bytes == 15);
  cr_expect(g.done == 1 && g.rtl_agree == 0 && g.rtl_cycles == 17 && g.seconds == 1.8);
  espl_store_variant_clear(&g);
  cr_expect_eq(espl_store_variant_get(s, run, "other", &g, &found, &e), ESPL_OK);
  cr_expect_not(found);
  cr_expect(g.cycles == -1 && isnan(g.float_val) && g.name == NULL && g.rtl_agree == -1);
  espl_store_close(s);
}

Test(store, unknown_values_stay_unknown) {
  espl_store *s = open_store();
  int64_t run = begin(s, "h", NULL);
  espl_store_variant v, g;
  int found = 0;
  espl_store_variant_init(&v);
  v.name = "x";
  cr_assert_eq(espl_store_variant_put(s, run, &v, NULL, &e), ESPL_OK);
  cr_assert_eq(espl_store_variant_get(s, run, "x", &g, &found, &e), ESPL_OK);
  cr_expect(isnan(g.float_val) && isnan(g.seconds) && g.cycles == -1 && g.rtl_agree == -1 && g.note == NULL && g.done == 0);
  espl_store_variant_clear(&g);
  v.name = "";
  cr_expect_eq(espl_store_variant_put(s, run, &v, NULL, &e), ESPL_E_BUG);
  espl_store_close(s);
}

static int seen;
static espl_status check_layer(void *user, const espl_store_layer *l, espl_err *err) {
  (void)user;
  (void)err;
  cr_expect_eq(l->index, seen);
  if (l->index == 1) {
    cr_expect_str_eq(l->name, "conv1");
    cr_expect_str_eq(l->op, "conv");
    cr_expect_str_eq(l->shape, "3x3 16->16");
    cr_expect_str_eq(l->stalls_json, "{\"load\":4}");
    cr_expect(l->cycles == 1 && l->macs == 2 && l->macs_dense == 3 && l->busy_cycles == 4 && l->idle_cycles == 5);
    cr_expect(l->read_bytes == 6 && l->write_bytes == 7 && l->tiles == 8 && l->tiles_skipped == 9 && l->roof_cycles == 10);
    cr_expect(l->utilization == .11 && l->roof_fraction == .12);
  }
  seen++;
  return ESPL_OK;
}

Test(store, layers_are_replaced_as_a_whole_and_come_in_order) {
  espl_store *s = open_store();
  int64_t run = begin(s, "h", NULL), id = 0;
  espl_store_variant v = numbered();
  cr_assert_eq(espl_store_variant_put(s, run, &v, &id, &e), ESPL_OK);
  espl_store_layer l[3];
  for (int i = 0; i < 3; i++) espl_store_layer_init(&l[i]), l[i].index = 2 - i;
  l[1] = (espl_store_layer){1, "conv1", "conv", "3x3 16->16", 1, 2, 3, 4, 5, "{\"load\":4}", 6, 7, 8, 9, 10, .11, .12};
  cr_assert_eq(espl_store_layers_put(s, id, l, 3, &e), ESPL_OK, "%s", e.msg);
  cr_assert_eq(espl_store_layers_put(s, id, l, 3, &e), ESPL_OK, "%s", e.msg);
  seen = 0;
  cr_expect_eq(espl_store_each_layer(s, id, check_layer, NULL, &e), ESPL_OK);
  cr_expect_eq(seen, 3);
  l[2].index = 1; /* a twin: the whole put must fail and leave the old rows */
  cr_expect_neq(espl_store_layers_put(s, id, l, 3, &e), ESPL_OK);
  seen = 0;
  espl_err e2 = {0};
  cr_expect_eq(espl_store_each_layer(s, id, check_layer, NULL, &e2), ESPL_OK);
  cr_expect_eq(seen, 3);
  espl_store_close(s);
}

Test(store, cost_cache) {
  espl_store *s = open_store();
  espl_store_cost c = {1, 2, 3, 4, 5, 6, 7, 8}, g = {0};
  int found = 1;
  cr_expect_eq(espl_store_cost_get(s, "k", &g, &found, &e), ESPL_OK);
  cr_expect_not(found);
  cr_expect_eq(espl_store_cost_put(s, "k", &c, &e), ESPL_OK);
  c.cycles = 11;
  cr_expect_eq(espl_store_cost_put(s, "k", &c, &e), ESPL_OK);
  cr_expect_eq(espl_store_cost_get(s, "k", &g, &found, &e), ESPL_OK);
  cr_expect(found && memcmp(&c, &g, sizeof c) == 0);
  espl_store_close(s);
}

static espl_status check_opening(void *user, double when, const char *a, const char *b, const char *c, espl_err *err) {
  (void)err;
  cr_expect_gt(when, 1.6e9);
  cr_expect_str_eq(a, "demo");
  cr_expect_str_eq(b, "resnet8");
  cr_expect_str_eq(c, "builtin");
  ++*(int *)user;
  return ESPL_OK;
}
static espl_status count_events(void *user, double when, const char *a, const char *b, const char *c, espl_err *err) {
  (void)when, (void)a, (void)b, (void)c, (void)err;
  ++*(int *)user;
  return ESPL_OK;
}
static espl_status stop_at_once(void *user, const espl_store_run *r, espl_err *err) {
  cr_expect_str_eq(r->machine_json, "{\"rows\":16}");
  cr_expect_eq(r->seed, 5);
  ++*(int *)user;
  return espl_fail(err, ESPL_E_INTERRUPTED, "enough");
}

Test(store, logs_and_stopping_a_walk) {
  espl_store *s = open_store();
  int64_t run = begin(s, "h", NULL);
  begin(s, "h2", NULL);
  int n = 0;
  cr_expect_eq(espl_store_opening(s, run, "demo", "resnet8", "builtin", &e), ESPL_OK);
  cr_expect_eq(espl_store_event(s, run, "resume", "again", &e), ESPL_OK);
  cr_expect_eq(espl_store_each_opening(s, run, check_opening, &n, &e), ESPL_OK);
  cr_expect_eq(n, 1);
  n = 0;
  cr_expect_eq(espl_store_each_run(s, stop_at_once, &n, &e), ESPL_E_INTERRUPTED);
  cr_expect_eq(n, 1);
  espl_store_close(s);
}

Test(store, rollback_undoes_what_commit_would_keep) {
  espl_store *s = open_store();
  espl_store_cost c = {1, 2, 3, 4, 5, 6, 7, 8};
  int found = 0;
  cr_expect_eq(espl_store_begin(s, &e), ESPL_OK);
  cr_expect_eq(espl_store_cost_put(s, "gone", &c, &e), ESPL_OK);
  espl_store_rollback(s);
  espl_store_rollback(s);
  cr_expect_eq(espl_store_begin(s, &e), ESPL_OK);
  cr_expect_eq(espl_store_cost_put(s, "kept", &c, &e), ESPL_OK);
  cr_expect_eq(espl_store_commit(s, &e), ESPL_OK);
  cr_expect_eq(espl_store_cost_get(s, "gone", &c, &found, &e), ESPL_OK);
  cr_expect_not(found);
  cr_expect_eq(espl_store_cost_get(s, "kept", &c, &found, &e), ESPL_OK);
  cr_expect(found);
  espl_store_close(s);
}

static void refuse(espl_store_mode mode, const char *part) {
  espl_store *s = NULL;
  espl_err bad = {0};
  cr_expect_eq(espl_store_open(db, mode, &s, &bad), ESPL_E_INPUT);
  cr_expect_null(s);
  cr_expect_not_null(strstr(bad.msg, part), "got: %s", bad.msg);
}

Test(store, text_file_is_refused_and_unchanged_bad) {
  const char *text = "this is a plain text file, longer than a hundred bytes so that it could hold a database header: "
                     "nothing in it is one, whatever its name says.";
  char *got = NULL;
  size_t n = 0;
  cr_assert_eq(espl_write_file(db, text, strlen(text), &e), ESPL_OK);
  refuse(ESPL_STORE_CREATE, "r.db: is not a results store");
  refuse(ESPL_STORE_READ, "r.db: is not a results store");
  cr_assert_eq(espl_read_file(db, 1000, &got, &n, &e), ESPL_OK);
  cr_expect_str_eq(got, text);
  free(got);
}

Test(store, missing_folder_empty_and_foreign_are_refused_bad) {
  refuse(ESPL_STORE_READ, "no such results store");
  cr_expect_not(espl_path_exists(db), "reading creates nothing");
  cr_assert_eq(espl_write_file(db, "", 0, &e), ESPL_OK);
  refuse(ESPL_STORE_READ, "is empty");
  sqlite3 *raw = NULL;
  cr_assert_eq(sqlite3_open(db, &raw), SQLITE_OK);
  cr_assert_eq(sqlite3_exec(raw, "CREATE TABLE t(x)", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(raw);
  refuse(ESPL_STORE_CREATE, "of another application");
  strcpy(db, dir);
  refuse(ESPL_STORE_CREATE, "is not a file");
}

Test(store, other_schema_version_is_refused_bad) {
  espl_store_close(open_store());
  sqlite3 *raw = NULL;
  cr_assert_eq(sqlite3_open(db, &raw), SQLITE_OK);
  cr_assert_eq(sqlite3_exec(raw, "PRAGMA user_version=77", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(raw);
  refuse(ESPL_STORE_CREATE, "has store schema 77, this version reads schema 1");
}

/* Writes variants with three layers each, telling the parent after every call that returned. */
static void write_until_killed(int pipe_out) {
  espl_store *s = open_store();
  int64_t run = begin(s, "killed", NULL);
  for (int i = 0;; i++) {
    char name[32];
    espl_store_variant v = numbered();
    espl_store_layer l[3];
    int64_t id = 0;
    snprintf(name, sizeof name, "v%d", i);
    v.name = name;
    for (int k = 0; k < 3; k++) espl_store_layer_init(&l[k]), l[k].index = k;
    if (espl_store_begin(s, &e) || espl_store_variant_put(s, run, &v, &id, &e) || espl_store_layers_put(s, id, l, 3, &e) ||
        espl_store_commit(s, &e) || write(pipe_out, &i, sizeof i) != sizeof i)
      _exit(1);
  }
}

static espl_store *walked;
static espl_status count_one(void *user, const espl_store_layer *l, espl_err *err) {
  (void)err;
  cr_expect_eq(l->index, *(int *)user);
  ++*(int *)user;
  return ESPL_OK;
}
static espl_status count_layers(void *user, const espl_store_variant *v, espl_err *err) {
  int layers = 0;
  espl_status r = espl_store_each_layer(walked, v->id, count_one, &layers, err);
  cr_expect_eq(layers, 3, "a variant never appears without its layers");
  ++*(int *)user;
  return r;
}

Test(store, kill_9_while_writing_loses_nothing_that_returned, .timeout = 60) {
  int64_t first_run = -1;
  int total = 0;
  for (int round = 0; round < 12; round++) {
    int ends[2], last = -1, i, resumed = 0, n = 0;
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) write_until_killed(ends[1]);
    close(ends[1]);
    int after = 3 + round * 5; /* commits to wait for, then a moment that differs each round */
    while (last < after && read(ends[0], &i, sizeof i) == sizeof i) last = i;
    usleep((useconds_t)(round * 137));
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    cr_assert(WIFSIGNALED(status), "the writer ended by itself");
    while (read(ends[0], &i, sizeof i) == sizeof i) last = i;
    close(ends[0]);
    espl_store *s = walked = open_store();
    int64_t run = begin(s, "killed", &resumed);
    cr_expect_eq(resumed, 1);
    if (first_run < 0) first_run = run;
    cr_expect_eq(run, first_run);
    cr_assert_eq(espl_store_each_variant(s, run, count_layers, &n, &e), ESPL_OK, "%s", e.msg);
    cr_expect_geq(n, last + 1, "round %d: %d commits returned, %d variants found", round, last + 1, n);
    cr_expect_geq(n, total);
    total = n;
    espl_store_close(s);
  }
}

/* A file-size limit makes the write-ahead log's write() fail the way a full disk does. */
Test(store, full_disk_is_an_error_and_the_store_stays_usable, .timeout = 30) {
  espl_store *s = open_store();
  int64_t run = begin(s, "h", NULL);
  struct rlimit tight = {200000, RLIM_INFINITY}, wide = {RLIM_INFINITY, RLIM_INFINITY};
  char text[4001];
  memset(text, 'x', 4000);
  text[4000] = 0;
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
  espl_status r = ESPL_OK;
  int written = 0, n = 0;
  while (written < 1000 && (r = espl_store_event(s, run, "fill", text, &e)) == ESPL_OK) written++;
  cr_expect_eq(r, ESPL_E_IO);
  cr_expect_not_null(strstr(e.msg, "cannot write"), "got: %s", e.msg);
  espl_store_close(s);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &wide), 0);
  e = (espl_err){0};
  s = open_store();
  cr_expect_eq(espl_store_each_event(s, run, count_events, &n, &e), ESPL_OK);
  cr_expect_eq(n, written, "what returned is there, and nothing else");
  cr_expect_eq(espl_store_event(s, run, "again", "works", &e), ESPL_OK);
  espl_store_close(s);
}
