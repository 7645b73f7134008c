/* A small store becomes the four files; refusals write nothing; hostile names stay text; no gnuplot means tables only. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "base/json.h"
#include "report/report.h"
#include "report/report_int.h"
#include "store/store.h"

static char dir[SCRATCH], db[SCRATCH_FILE], out[SCRATCH_FILE];
static espl_err e;

static void make_dir(void) {
  e = (espl_err){0};
  scratch_folder(dir, "espl-report");
  snprintf(db, sizeof db, "%s/r.db", dir);
  snprintf(out, sizeof out, "%s/page", dir);
}
static void remove_dir(void) {
  cr_assert_eq(scratch_remove(dir), 0);
}
TestSuite(report, .init = make_dir, .fini = remove_dir, .timeout = 60);

static void put(espl_store *s, int64_t run, const char *name, espl_variant_kind kind, const char *by, double acc, int64_t cycles) {
  espl_store_variant v;
  espl_store_layer l[2];
  int64_t id = 0;
  espl_store_variant_init(&v);
  v.name = name, v.kind = kind, v.steered_by = by, v.int8_val = acc, v.int8_test = acc - 0.01, v.cycles = cycles, v.done = 1;
  v.speedup = 4000.0 / (double)cycles, v.rtl_agree = 1, v.rtl_cycles = cycles, v.budget_cycles = by ? 2000 : -1;
  cr_assert_eq(espl_store_variant_put(s, run, &v, &id, &e), ESPL_OK, "%s", e.msg);
  for (int i = 0; i < 2; i++) {
    espl_store_layer_init(&l[i]);
    l[i].index = i, l[i].name = i ? "b<&\"\\'" : "a", l[i].cycles = cycles / 2, l[i].macs = 1000, l[i].busy_cycles = 700, l[i].idle_cycles = 1;
    l[i].stalls_json = i ? "{\"load\":5,\"store\":2}" : "{\"load\":3}", l[i].utilization = 0.5, l[i].read_bytes = 10, l[i].write_bytes = 10;
  }
  cr_assert_eq(espl_store_layers_put(s, id, l, 2, &e), ESPL_OK, "%s", e.msg);
}

static void fill(void) {
  espl_store *s = NULL;
  espl_store_run run = {.name = "<script>alert(1)</script>", .command = "espalier demo", .machine = "4x4", .seed = 1,
                        .machine_json = "{\"rows\":4,\"cols\":4,\"act_aw\":14,\"new_key\":7,\"read_bytes_per_cycle\":8,\"write_bytes_per_cycle\":8,\"shared_path\":true}"};
  int64_t id = 0;
  strcpy(run.hash, "h");
  cr_assert_eq(espl_store_open(db, ESPL_STORE_CREATE, &s, &e), ESPL_OK, "%s", e.msg);
  cr_assert_eq(espl_store_run_begin(s, &run, &id, NULL, &e), ESPL_OK);
  put(s, id, "base", ESPL_VARIANT_BASELINE, NULL, 0.95, 4000);
  put(s, id, "by, cycles \"x\"", ESPL_VARIANT_DENSE, "cycles", 0.94, 1990);
  put(s, id, "by-macs", ESPL_VARIANT_DENSE, "macs", 0.945, 1995);
  put(s, id, "tiles", ESPL_VARIANT_BLOCK, "cycles", 0.90, 1980);
  cr_assert_eq(espl_store_opening(s, id, "demo", "net", "builtin", &e), ESPL_OK);
  cr_assert_eq(espl_store_run_done(s, id, &e), ESPL_OK);
  espl_store_close(s);
}

static char *slurp(const char *name) {
  char *path = espl_path_join(out, name), *text = NULL;
  size_t n = 0;
  cr_assert_eq(espl_read_file(path, 1 << 26, &text, &n, &e), ESPL_OK, "%s", e.msg);
  free(path);
  return text;
}
static int times(const char *text, const char *word) {
  int n = 0;
  for (const char *p = text; (p = strstr(p, word)); p += strlen(word)) n++;
  return n;
}

/* A second row of kind baseline is what accuracies are compared with, is never the chosen variant, and the cycles stay those of the first. */
Test(report, baseline_tuned_like_the_variants) {
  espl_report_result r;
  espl_store *s = NULL;
  espl_store_run run = {.name = "int4", .command = "espalier steer", .machine = "4x4", .seed = 1, .machine_json = "{\"rows\":4,\"cols\":4}"};
  int64_t id = 0;
  strcpy(run.hash, "h");
  cr_assert_eq(espl_store_open(db, ESPL_STORE_CREATE, &s, &e), ESPL_OK, "%s", e.msg);
  cr_assert_eq(espl_store_run_begin(s, &run, &id, NULL, &e), ESPL_OK);
  put(s, id, "baseline", ESPL_VARIANT_BASELINE, NULL, 0.70, 4000);
  put(s, id, "baseline-tuned", ESPL_VARIANT_BASELINE, NULL, 0.95, 3999);
  put(s, id, "dense-cycles", ESPL_VARIANT_DENSE, NULL, 0.93, 1990);
  cr_assert_eq(espl_store_run_done(s, id, &e), ESPL_OK);
  espl_store_close(s);
  cr_assert_eq(espl_report_write(db, -1, out, &r, &e), ESPL_OK, "%s", e.msg);
  char *h = slurp("index.html"), *j = slurp("report.json");
  cr_expect(strstr(h, "−2.00 points against the baseline trained likewise"), "0.93 against 0.95, not against 0.70");
  cr_expect_not_null(strstr(h, "<b>4&#8239;000</b><span>cycles per image, baseline"));
  cr_expect_not_null(strstr(h, "baseline-tuned is the same network behind the training for integers"));
  cr_expect_not_null(strstr(j, "\"baseline\": \"baseline\""));
  cr_expect_not_null(strstr(j, "\"accuracy_reference\": \"baseline-tuned\""));
  cr_expect_not_null(strstr(j, "\"chosen\": \"dense-cycles\""));
  free(h);
  free(j);
}

Test(report, page_is_self_contained_and_escaped) {
  espl_report_result r;
  fill();
  cr_assert_eq(espl_report_write(db, -1, out, &r, &e), ESPL_OK, "%s", e.msg);
  cr_expect(r.variants == 4 && r.layers == 8);
  char *h = slurp("index.html");
  cr_expect_eq(times(h, "<script"), 0, "names are text");
  cr_expect_geq(times(h, "&lt;script&gt;alert(1)"), 2);
  cr_expect_eq(times(h, " src="), 0, "nothing is fetched");
  cr_expect_eq(times(h, "<link"), 0);
  cr_expect_eq(times(h, "<?xml"), 0);
  cr_expect_eq(times(h, "<details"), 4);
  cr_expect_eq(times(h, ">agrees<"), 4);
  cr_expect_not_null(strstr(h, "b&lt;&amp;&quot;\\'"));
  cr_expect_not_null(strstr(h, "Openings of the test split"));
  cr_expect_not_null(strstr(h, "<dt>activation bank</dt><dd>16384 bytes</dd>"));
  cr_expect_not_null(strstr(h, "<dt>new key</dt><dd>7</dd>"), "a key without words of its own");
  if (r.plots) {
    cr_expect_eq(times(h, "<svg"), 3 + 4 * 2, "front, steering, roofline, and two plots a variant");
    cr_expect_not_null(strstr(h, "latency (thousand cycles per image)"));
    cr_expect_not_null(strstr(h, "intensity (MAC per byte moved)"));
  }
  free(h);
}

Test(report, chosen_variant_meets_its_budget) {
  espl_store *s = NULL;
  espl_report_result r;
  espl_json_doc *doc = NULL;
  fill();
  cr_assert_eq(espl_store_open(db, ESPL_STORE_CREATE, &s, &e), ESPL_OK, "%s", e.msg);
  put(s, 1, "over", ESPL_VARIANT_KERNEL, "cycles", 0.949, 2001); /* better than any, a cycle above the budget */
  espl_store_close(s);
  cr_assert_eq(espl_report_write(db, -1, out, &r, &e), ESPL_OK, "%s", e.msg);
  char *j = slurp("report.json"), *h = slurp("index.html");
  cr_assert_eq(espl_json_parse("report.json", j, strlen(j), &doc, &e), ESPL_OK, "%s", e.msg);
  const espl_json_value *root = espl_json_root(doc);
  cr_expect_str_eq(espl_json_string(espl_json_find(root, "chosen"), ""), "by, cycles \"x\"");
  const char *by = espl_json_string(espl_json_find(root, "chosen_by"), "");
  cr_expect(strstr(by, "validation accuracy") && strstr(by, "meet their budget"), "%s", by);
  cr_expect_not_null(strstr(h, by), "the page says by what");
  espl_json_doc_free(doc);
  free(j), free(h);
}

Test(report, json_and_csv_hold_the_numbers) {
  espl_report_result r;
  espl_json_doc *doc = NULL;
  fill();
  cr_assert_eq(espl_report_write(db, -1, out, &r, &e), ESPL_OK, "%s", e.msg);
  char *j = slurp("report.json");
  cr_assert_eq(espl_json_parse("report.json", j, strlen(j), &doc, &e), ESPL_OK, "%s", e.msg);
  const espl_json_value *root = espl_json_root(doc), *v = espl_json_at(espl_json_find(root, "variants"), 1);
  const espl_json_value *l = espl_json_at(espl_json_find(v, "layers"), 1);
  cr_expect_str_eq(espl_json_string(espl_json_find(root, "chosen"), ""), "by, cycles \"x\"", "steered by cycles, although a control has better accuracy");
  cr_expect_eq(espl_json_integer(espl_json_find(v, "cycles"), 0), 1990);
  cr_expect_float_eq(espl_json_number(espl_json_find(v, "int8_val"), 0), 0.94, 1e-12);
  cr_expect_eq(espl_json_value_kind(espl_json_find(v, "float_val")), ESPL_JSON_NULL);
  cr_expect_eq(espl_json_integer(espl_json_find(espl_json_find(l, "stalls"), "store"), 0), 2);
  espl_json_doc_free(doc);
  char *c = slurp("variants.csv");
  cr_expect_eq(times(c, "\r\n"), 5);
  cr_expect_not_null(strstr(c, "\r\n\"by, cycles \"\"x\"\"\",dense,,cycles,2000,,,0.94,0.93,1990,"));
  char *lc = slurp("layers.csv");
  cr_expect_not_null(strstr(lc, ",stall_load,stall_store\r\n"));
  cr_expect_eq(times(lc, ",5,2\r\n"), 4);
  free(j), free(c), free(lc);
}

Test(report, without_gnuplot_the_page_says_so) {
  espl_report_result r;
  fill();
  cr_assert_eq(setenv("PATH", "/nonexistent", 1), 0);
  espl_status s = espl_report_write(db, -1, out, &r, &e);
  setenv("PATH", "/usr/bin:/bin", 1);
  cr_assert_eq(s, ESPL_OK, "%s", e.msg);
  cr_expect_eq(r.plots, 0);
  char *h = slurp("index.html");
  cr_expect_eq(times(h, "<svg"), 0);
  cr_expect_not_null(strstr(h, "gnuplot was not found"));
  free(h);
}

Test(report, refusals_write_nothing_bad) {
  espl_report_result r;
  cr_expect_eq(espl_report_write(db, -1, out, &r, &e), ESPL_E_INPUT);
  cr_expect_not_null(strstr(e.msg, "no such results store"));
  espl_store *s = NULL;
  e = (espl_err){0};
  cr_assert_eq(espl_store_open(db, ESPL_STORE_CREATE, &s, &e), ESPL_OK);
  espl_store_close(s);
  cr_expect_eq(espl_report_write(db, -1, out, &r, &e), ESPL_E_INPUT);
  cr_expect_not_null(strstr(e.msg, "r.db: the store has no run with a finished variant"));
  e = (espl_err){0};
  fill();
  cr_expect_eq(espl_report_write(db, 99, out, &r, &e), ESPL_E_INPUT);
  cr_expect_not_null(strstr(e.msg, "the store has no run 99"));
  cr_expect_not(espl_path_exists(out));
}

/* The control of 94.5 % answers to the dense variant of 94 %, not to the block variant of 90 % that comes after it. */
Test(report, controls_answer_to_their_own_kind) {
  espl_report_result r;
  fill();
  cr_assert_eq(espl_report_write(db, -1, out, &r, &e), ESPL_OK, "%s", e.msg);
  char *h = slurp("index.html"), *at = strstr(h, "Steering and its controls");
  cr_assert_not_null(at);
  cr_expect_not_null(strstr(at, "<td>+0.50</tr>"));
  cr_expect_null(strstr(at, "+4.50"));
  free(h);
}

static int apart(const struct espli_mark *a, const struct espli_mark *b) {
  return a->left + a->width <= b->left || b->left + b->width <= a->left || fabs(a->top - b->top) >= 14;
}

Test(report, labels_cover_neither_labels_nor_points) {
  struct espli_mark m[7] = {{.x = 300, .y = 100, .text = "first-of-several"}, {.x = 300, .y = 100, .text = "second-of-several"},
                            {.x = 301, .y = 102, .text = "third-of-several"}, {.x = 299, .y = 99, .text = "fourth-of-several"},
                            {.x = 310, .y = 100, .text = "fifth-of-several"}, {.x = 598, .y = 3, .text = "in-the-corner"}, {.x = 330, .y = 100}};
  espli_place_labels(m, 7, 600, 300);
  cr_expect_eq(m[6].placed, 0, "a point without a name gets no place");
  for (int i = 0; i < 6; i++) {
    cr_assert(m[i].placed, "label %d", i);
    cr_expect(m[i].left >= 0 && m[i].top >= 0 && m[i].left + m[i].width <= 600 && m[i].top + 14 <= 300, "label %d is inside", i);
    for (int k = 0; k < 6; k++) cr_expect(k == i || apart(&m[i], &m[k]), "labels %d and %d", i, k);
    for (int k = 0; k < 7; k++)
      cr_expect(m[k].x <= m[i].left || m[k].x >= m[i].left + m[i].width || m[k].y <= m[i].top || m[k].y >= m[i].top + 14, "label %d, point %d", i, k);
  }
  struct espli_mark full[2] = {{.x = 20, .y = 10, .text = "too-long-for-so-small-an-area"}, {.x = 5, .y = 5, .text = "a"}};
  espli_place_labels(full, 2, 40, 20);
  cr_expect_eq(full[0].placed, 0, "no room, no label");
}
