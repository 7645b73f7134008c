/* Exact text of the writer, exact refusals of the reader, and both together. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static void expect_text(espl_json *w, const char *want) {
  espl_err e = {0};
  char *text = NULL;
  cr_assert_eq(espl_json_finish(w, &text, &e), ESPL_OK, "%s", e.msg);
  cr_expect_str_eq(text, want);
  free(text);
}

Test(json, writer_compact) {
  espl_json *w = espl_json_to_buffer(0);
  espl_json_object(w, NULL);
  espl_json_str(w, "s", "a\"b\\c\n\x01\xc3\xa9\xff");
  espl_json_int(w, "i", INT64_MIN);
  espl_json_uint(w, "u", UINT64_MAX);
  espl_json_array(w, "n");
  espl_json_num(w, NULL, 0.1);
  espl_json_num(w, NULL, 1.0 / 3);
  espl_json_num(w, NULL, 1e300);
  espl_json_num(w, NULL, (double)NAN);
  espl_json_bool(w, NULL, 1);
  espl_json_null(w, NULL);
  espl_json_str(w, NULL, NULL);
  espl_json_close(w);
  espl_json_array(w, "empty");
  espl_json_close(w);
  espl_json_close(w);
  expect_text(w, "{\"s\":\"a\\\"b\\\\c\\n\\u0001\xc3\xa9\xef\xbf\xbd\",\"i\":-9223372036854775808,\"u\":18446744073709551615,"
                 "\"n\":[0.1,0.3333333333333333,1e+300,null,true,null,null],\"empty\":[]}");
}

Test(json, writer_indented) {
  espl_json *w = espl_json_to_buffer(2);
  espl_json_object(w, NULL);
  espl_json_int(w, "a", 1);
  espl_json_array(w, "b");
  espl_json_int(w, NULL, 2);
  espl_json_close(w);
  espl_json_close(w);
  expect_text(w, "{\n  \"a\": 1,\n  \"b\": [\n    2\n  ]\n}\n");
}

Test(json, writer_refuses_misuse_bad) {
  for (int kind = 0; kind < 4; kind++) {
    espl_err e = {0};
    char *text = NULL;
    espl_json *w = espl_json_to_buffer(0);
    espl_json_object(w, NULL);
    if (kind == 0) espl_json_int(w, NULL, 1);
    if (kind == 1) espl_json_close(w), espl_json_object(w, NULL);
    if (kind == 2) espl_json_close(w), espl_json_close(w);
    cr_expect_eq(espl_json_finish(w, &text, &e), ESPL_E_BUG, "misuse %d", kind);
    cr_expect_null(text);
  }
}

Test(json, writer_reports_a_full_device_bad) {
  espl_err e = {0};
  FILE *f = fopen("/dev/full", "w");
  if (!f) cr_skip_test("no /dev/full here");
  espl_json *w = espl_json_to_file(f, 0);
  espl_json_array(w, NULL);
  for (int i = 0; i < 10000; i++) espl_json_int(w, NULL, i);
  espl_json_close(w);
  cr_expect_eq(espl_json_finish(w, NULL, &e), ESPL_E_IO);
  fclose(f);
}

Test(json, reader_reads_what_the_writer_wrote) {
  espl_err e = {0};
  espl_json_doc *d = NULL;
  const char *text = " {\"a\": [1, -2.5e1, \"x\\u00e9\\ud83d\\ude00\\n\"], \"t\": true, \"z\": null} ";
  cr_assert_eq(espl_json_parse("t", text, strlen(text), &d, &e), ESPL_OK, "%s", e.msg);
  const espl_json_value *r = espl_json_root(d), *a = espl_json_find(r, "a");
  cr_expect_eq(espl_json_count(r), 3);
  cr_expect_eq(espl_json_integer(espl_json_at(a, 0), -1), 1);
  cr_expect_eq(espl_json_number(espl_json_at(a, 1), 0), -25.0);
  cr_expect_str_eq(espl_json_string(espl_json_at(a, 2), ""), "x\xc3\xa9\xf0\x9f\x98\x80\n");
  cr_expect_null(espl_json_at(a, 3));
  cr_expect_eq(espl_json_integer(espl_json_find(r, "t"), -1), 1);
  cr_expect_eq(espl_json_value_kind(espl_json_find(r, "z")), ESPL_JSON_NULL);
  cr_expect_null(espl_json_find(r, "missing"));
  cr_expect_str_eq(espl_json_key_at(r, 1), "t");
  cr_expect_eq(espl_json_integer(espl_json_at(a, 1), 7), -25);
  espl_json_doc_free(d);
}

static void refuse(const char *text, size_t n, const char *message) {
  espl_err e = {0};
  espl_json_doc *d = NULL;
  cr_expect_eq(espl_json_parse("t", text, n, &d, &e), ESPL_E_INPUT, "accepted: %.40s", text);
  cr_expect_null(d);
  cr_expect_str_eq(e.msg, message);
}

Test(json, reader_refuses_bad) {
  static const char *const cases[][2] = {
      {"", "t:1:1: the text ends where a value is expected"},
      {"[1,", "t:1:4: the text ends where a value is expected"},
      {"[1,]", "t:1:4: expected a value"},
      {"{\"a\":1,\n \"a\":2}", "t:2:8: a key occurs twice in the object that ends here"},
      {"{a:1}", "t:1:2: expected a key in quotes"},
      {"{\"a\" 1}", "t:1:6: expected ':'"},
      {"[1 2]", "t:1:4: expected ',' or ']'"},
      {"01", "t:1:3: a number must not begin with 0"},
      {"1.", "t:1:3: expected a digit behind the point"},
      {"1e", "t:1:3: expected a digit in the exponent"},
      {"1e999", "t:1:6: a number beyond the range of a double"},
      {"\"abc", "t:1:5: text without its closing quote"},
      {"\"\\x\"", "t:1:4: unknown escape in text"},
      {"\"\\ud800\"", "t:1:8: half a surrogate pair"},
      {"\"\\u00g0\"", "t:1:6: expected four hexadecimal digits"},
      {"\"\\", "t:1:3: unknown escape in text"},
      {"nul", "t:1:1: expected a value"},
      {"1 2", "t:1:3: something follows the value"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) refuse(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

Test(json, reader_limits_nesting_to_64) {
  char text[131];
  memset(text, '[', 65);
  memset(text + 65, ']', 65);
  refuse(text, 130, "t:1:65: nested deeper than 64 levels");
  espl_err e = {0};
  espl_json_doc *d = NULL;
  cr_expect_eq(espl_json_parse("t", text + 1, 128, &d, &e), ESPL_OK);
  espl_json_doc_free(d);
}

/* Every prefix of a legal text is refused or accepted without reading past its end (run under the address sanitizer). */
Test(json, every_prefix_is_safe) {
  const char *text = "{\"k\\u00e9\":[1.5e-3,true,{\"x\":\"\\ud83d\\ude00\"}],\"n\":null}";
  for (size_t n = 0; n < strlen(text); n++) {
    char *exact = malloc(n + 1);
    memcpy(exact, text, n);
    espl_json_doc *d = NULL;
    cr_expect_eq(espl_json_parse("t", exact, n, &d, NULL), ESPL_E_INPUT);
    free(exact);
  }
}
