/* Machine points: every file loads, the default one is the built-in default, wrong files are refused with the place. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "device/root.h"
#include "map/machine_yaml.h"

static __attribute__((noinline)) char *text_of(const char *name) {
  char member[256], path[4096];
  char *data = NULL;
  espl_err err = {0};
  size_t n = 0;
  snprintf(member, sizeof member, "configs/machines/%s.yaml", name);
  cr_assert_eq(espl_root_path(member, path, sizeof path, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_read_file(path, 1u << 16, &data, &n, &err), ESPL_OK, "%s", err.msg);
  return data;
}

/* The text with the first `find` replaced; free() it. */
static __attribute__((noinline)) char *changed(const char *text, const char *find, const char *with) {
  const char *at = strstr(text, find);
  size_t head = at ? (size_t)(at - text) : 0, n = strlen(text) + strlen(with) + 1;
  char *out = malloc(n);
  cr_assert(at && out, "%s", find);
  snprintf(out, n, "%.*s%s%s", (int)head, text, with, text + head + strlen(find));
  return out;
}

Test(machine_yaml, every_point_loads) {
  char path[4096];
  espl_err err = {0};
  cr_assert_eq(espl_root_path("configs/machines", path, sizeof path, &err), ESPL_OK, "%s", err.msg);
  DIR *d = opendir(path);
  int points = 0;
  for (struct dirent *e; (e = readdir(d));) {
    char *dot = strstr(e->d_name, ".yaml");
    if (!dot) continue;
    *dot = 0;
    espl_machine m;
    cr_assert_eq(espl_machine_load(e->d_name, &m, &err), ESPL_OK, "%s", err.msg);
    cr_assert_str_eq(m.name, e->d_name);
    points++;
  }
  closedir(d);
  cr_assert_geq(points, 12);
}

Test(machine_yaml, the_default_is_16x16) {
  espl_machine a, b;
  espl_err err = {0};
  espl_machine_default(&a);
  cr_assert_eq(espl_machine_load("16x16", &b, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_machine_hash(&a), espl_machine_hash(&b));
  cr_assert_eq(memcmp(&a.mem, &b.mem, sizeof a.mem), 0);
  cr_assert_eq(a.mem_bytes, b.mem_bytes);
  cr_assert_float_eq(a.clock_mhz, b.clock_mhz, 0.0);
}

Test(machine_yaml, a_name_that_does_not_exist_lists_those_that_do) {
  espl_machine m = {.rows = 77};
  espl_err err = {0};
  cr_assert_eq(espl_machine_load("17x17", &m, &err), ESPL_E_INPUT);
  cr_assert_not_null(strstr(err.msg, "17x17"));
  cr_assert_not_null(strstr(err.msg, "8x8"));
  cr_assert_eq(m.rows, 77);
}

static void refused(const char *find, const char *with, const char *place, const char *word) {
  char *text = text_of("16x16"), *bad = changed(text, find, with);
  espl_machine m = {.rows = 77};
  espl_err err = {0};
  cr_assert_eq(espl_machine_parse("m.yaml", bad, strlen(bad), &m, &err), ESPL_E_INPUT);
  cr_assert_eq(strncmp(err.msg, place, strlen(place)), 0, "%s", err.msg);
  cr_assert_not_null(strstr(err.msg, word), "%s", err.msg);
  cr_assert_eq(m.rows, 77);
  free(text);
  free(bad);
}

Test(machine_yaml, wrong_values_are_refused_with_their_place) {
  refused("rows: 16", "rows: 0", "m.yaml:2:", "rows");
  refused("rows: 16", "rows: 12", "m.yaml:2:", "power of two");
  refused("rows: 16", "rowz: 16", "m.yaml:2:", "rows");
  refused("cols: 16", "cols: many", "m.yaml:3:", "many");
  refused("wgt_aw: 16", "wgt_aw: 5", "m.yaml:8:", "512");
  refused("acc_w: 32", "acc_w: 20", "m.yaml:13:", "expected 24 or 32");
  refused("  outstanding: 8", "  outstandin: 8", "m.yaml:", "outstanding");
}

Test(machine_yaml, limits_may_be_left_out_and_are_then_those_of_the_contract) {
  espl_machine m;
  espl_err err = {0};
  cr_assert_eq(espl_machine_load("16x16", &m, &err), ESPL_OK, "%s", err.msg);
  cr_assert(m.bursts == 16 && m.counters == 16 && m.dim_bits == 12 && m.kernel == 16);
  char *text = text_of("16x16"), *with = changed(text, "rows: 16", "bursts: 9\ncounters: 2\nkernel: 8\nqueue_depth: 0\nrows: 16");
  char *once = changed(with, "\nqueue_depth: 4", "");
  cr_assert_eq(espl_machine_parse("m.yaml", once, strlen(once), &m, &err), ESPL_OK, "%s", err.msg);
  cr_assert(m.bursts == 9 && m.counters == 2 && m.dim_bits == 12 && m.kernel == 8 && m.queue_depth == 0);
  free(text);
  free(with);
  free(once);
}

Test(machine_yaml, limits_too_small_for_the_rest_are_refused) {
  refused("rows: 16", "dim_bits: 8\nrows: 16", "m.yaml:", "a run is shorter than 65536 bytes, the largest buffer has 65536");
  refused("rows: 16", "bursts: 4\nrows: 16", "m.yaml:35:", "outstanding is 8, expected 1..4 (bursts)");
}

Test(machine_yaml, a_missing_parameter_is_named) { refused("acc_banks: 2", "", "m.yaml:", "acc_banks"); }
