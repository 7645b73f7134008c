/* Values with ranges, and messages that carry file, line and column. */
#include <criterion/criterion.h>

#include <string.h>

#include "base/yaml.h"

static espl_yaml *doc;
static espl_err e;

static const espl_yaml_node *parse(const char *text) {
  e = (espl_err){0};
  cr_assert_eq(espl_yaml_parse("m.yaml", text, strlen(text), &doc, &e), ESPL_OK, "%s", e.msg);
  return espl_yaml_root(doc);
}
static void refuse(const char *text, const char *message) {
  e = (espl_err){0};
  doc = NULL;
  cr_expect_eq(espl_yaml_parse("m.yaml", text, strlen(text), &doc, &e), ESPL_E_INPUT);
  cr_expect_null(doc);
  cr_expect_eq(strncmp(e.msg, message, strlen(message)), 0, "got: %s", e.msg);
}
static void finish(void) {
  espl_yaml_free(doc);
  doc = NULL;
}
TestSuite(yaml, .fini = finish);

Test(yaml, typed_values) {
  const espl_yaml_node *m = parse("rows: 16\nfreq: 1.5e2\nfold: yes\nname: 16x16\nmask: 0xff\nlist: [a, b, c]\nsub: {x: -3}\n");
  int64_t i = 0;
  int32_t i32 = 0;
  double d = 0;
  int b = 0;
  const char *s = NULL;
  const espl_yaml_node *n = NULL;
  cr_expect_eq(espl_yaml_get_int(m, "rows", ESPL_REQUIRED, 2, 256, &i, &e), ESPL_OK);
  cr_expect_eq(i, 16);
  cr_expect_eq(espl_yaml_get_i32(m, "mask", ESPL_REQUIRED, 0, 255, &i32, &e), ESPL_OK);
  cr_expect_eq(i32, 255);
  cr_expect_eq(espl_yaml_get_float(m, "freq", ESPL_REQUIRED, 0, 1e9, &d, &e), ESPL_OK);
  cr_expect_eq(d, 150.0);
  cr_expect_eq(espl_yaml_get_bool(m, "fold", ESPL_REQUIRED, &b, &e), ESPL_OK);
  cr_expect_eq(b, 1);
  cr_expect_eq(espl_yaml_get_string(m, "name", ESPL_REQUIRED, &s, &e), ESPL_OK);
  cr_expect_str_eq(s, "16x16");
  cr_expect_eq(espl_yaml_get_list(m, "list", ESPL_REQUIRED, &n, &e), ESPL_OK);
  cr_expect_eq(espl_yaml_count(n), 3);
  cr_expect_eq(espl_yaml_as_string(espl_yaml_at(n, 2), &s, &e), ESPL_OK);
  cr_expect_str_eq(s, "c");
  cr_expect_eq(espl_yaml_get_map(m, "sub", ESPL_REQUIRED, &n, &e), ESPL_OK);
  cr_expect_eq(espl_yaml_get_int(n, "x", ESPL_REQUIRED, -5, 5, &i, &e), ESPL_OK);
  cr_expect_eq(i, -3);
  cr_expect_str_eq(espl_yaml_key_at(m, 3), "name");
}

Test(yaml, optional_keeps_the_default) {
  const espl_yaml_node *m = parse("a: 1\n"), *n = m;
  int64_t i = 77;
  cr_expect_eq(espl_yaml_get_int(m, "b", ESPL_OPTIONAL, 0, 9, &i, &e), ESPL_OK);
  cr_expect_eq(i, 77);
  cr_expect_eq(espl_yaml_get_map(m, "b", ESPL_OPTIONAL, &n, &e), ESPL_OK);
  cr_expect_null(n);
  cr_expect_eq(espl_yaml_get_int(m, "b", ESPL_REQUIRED, 0, 9, &i, &e), ESPL_E_INPUT);
  cr_expect_str_eq(e.msg, "m.yaml:1:1: key 'b' is missing");
}

Test(yaml, unknown_key_names_place_and_nearest_bad) {
  static const char *const keys[] = {"rows", "cols", "acc_banks", NULL};
  const espl_yaml_node *m = parse("rows: 4\n\n  # comment\nacc_bank: 2\n");
  cr_expect_eq(espl_yaml_known_keys(m, keys, &e), ESPL_E_INPUT);
  cr_expect_str_eq(e.msg, "m.yaml:4:1: unknown key 'acc_bank'; the nearest known key is 'acc_banks'");
}

Test(yaml, known_keys_pass) {
  static const char *const keys[] = {"rows", "cols", NULL};
  cr_expect_eq(espl_yaml_known_keys(parse("cols: 4\n"), keys, &e), ESPL_OK);
}

static void bad_int(const char *text, const char *message) {
  int64_t i = 5;
  const espl_yaml_node *m = parse(text);
  cr_expect_eq(espl_yaml_get_int(m, "r", ESPL_REQUIRED, 2, 256, &i, &e), ESPL_E_INPUT);
  cr_expect_str_eq(e.msg, message);
  cr_expect_eq(i, 5, "unchanged on refusal");
  finish();
}

Test(yaml, integers_refused_bad) {
  bad_int("r: 0\n", "m.yaml:1:4: r: 0 is out of range, expected 2 to 256");
  bad_int("r: 99999999999999999999\n", "m.yaml:1:4: r: 99999999999999999999 is out of range, expected 2 to 256");
  bad_int("r: 4.5\n", "m.yaml:1:4: r: found '4.5', expected an integer");
  bad_int("r: \"4\"\n", "m.yaml:1:4: r: found '4', expected an integer");
  bad_int("r: [4]\n", "m.yaml:1:4: r: found a list, expected an integer");
  bad_int("r:\n", "m.yaml:1:3: r: found '', expected an integer");
}

Test(yaml, floats_and_bools_refused_bad) {
  double d = 0;
  int b = 0;
  const espl_yaml_node *m = parse("a: nan\nb: 3x\nc: maybe\n");
  espl_err e1 = {0}, e2 = {0}, e3 = {0};
  cr_expect_eq(espl_yaml_get_float(m, "a", ESPL_REQUIRED, 0, 1, &d, &e1), ESPL_E_INPUT);
  cr_expect_eq(espl_yaml_get_float(m, "b", ESPL_REQUIRED, 0, 1, &d, &e2), ESPL_E_INPUT);
  cr_expect_str_eq(e2.msg, "m.yaml:2:4: b: found '3x', expected a number");
  cr_expect_eq(espl_yaml_get_bool(m, "c", ESPL_REQUIRED, &b, &e3), ESPL_E_INPUT);
  cr_expect_str_eq(e3.msg, "m.yaml:3:4: c: found 'maybe', expected true or false");
}

Test(yaml, choice) {
  static const char *const words[] = {"model", "rtl", "both", NULL};
  int c = -1;
  const espl_yaml_node *m = parse("x: both\ny: rlt\n");
  cr_expect_eq(espl_yaml_get_choice(m, "x", ESPL_REQUIRED, words, &c, &e), ESPL_OK);
  cr_expect_eq(c, 2);
  cr_expect_eq(espl_yaml_get_choice(m, "y", ESPL_REQUIRED, words, &c, &e), ESPL_E_INPUT);
  cr_expect_str_eq(e.msg, "m.yaml:2:4: y: unknown value 'rlt'; the nearest known one is 'rtl'");
}

Test(yaml, syntax_errors_have_line_and_column_bad) {
  refuse("a: 1\nb: [1, 2\nc: 3\n", "m.yaml:3:");
  refuse("a: 'open\n", "m.yaml:2:1: ");
  refuse("\ta: 1\n", "m.yaml:1:");
  refuse("a: 1\na: 2\n", "m.yaml:2:1: key 'a' occurs twice, first in line 1");
  refuse("a: &x 1\nb: *x\n", "m.yaml:2:4: aliases are not accepted");
  refuse("a: 1\n---\nb: 2\n", "m.yaml:2:1: a second document");
  refuse("? [a]\n: 1\n", "m.yaml:1:3: a key must be a plain word");
  refuse("a: \"\\0\"\n", "m.yaml:1:4: text with a NUL byte");
}

Test(yaml, deep_nesting_is_refused_bad) {
  char text[400];
  memset(text, '[', 200);
  memset(text + 200, ']', 199);
  text[399] = 0;
  refuse(text, "m.yaml:1:65: nested deeper than 64 levels");
}

Test(yaml, empty_file_is_an_empty_map) {
  const espl_yaml_node *m = parse("# nothing\n");
  cr_expect_eq(espl_yaml_node_kind(m), ESPL_YAML_MAP);
  cr_expect_eq(espl_yaml_count(m), 0);
}

Test(yaml, missing_file_bad) {
  e = (espl_err){0};
  cr_expect_eq(espl_yaml_load("/nonexistent.yaml", &doc, &e), ESPL_E_INPUT);
  cr_expect_not_null(strstr(e.msg, "/nonexistent.yaml: cannot open"));
}
