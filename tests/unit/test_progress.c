/* Nested stages fold into one fraction that never goes back; plain output is sparse. */
#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"

static int near(double a, double b) { return fabs(a - b) < 1e-9; }

Test(progress, nested_shares_multiply) {
  FILE *f = tmpfile();
  espl_progress *p = espl_progress_new(f, "job");
  espl_progress_push(p, "train", 60, 10);
  espl_progress_at(p, 5);
  cr_expect(near(espl_progress_fraction(p), 0.30));
  espl_progress_push(p, "epoch", 1, 100); /* the sixth epoch: one of ten units of a stage worth 60 % */
  espl_progress_at(p, 50);
  cr_expect(near(espl_progress_fraction(p), 0.33));
  espl_progress_pop(p);
  cr_expect(near(espl_progress_fraction(p), 0.36));
  espl_progress_pop(p);
  cr_expect(near(espl_progress_fraction(p), 0.60));
  espl_progress_push(p, "rest", 40, 1);
  espl_progress_at(p, 1);
  cr_expect(near(espl_progress_fraction(p), 1.0));
  espl_progress_free(p);
  fclose(f);
}

Test(progress, fraction_is_clipped_and_never_goes_back) {
  FILE *f = tmpfile();
  espl_progress *p = espl_progress_new(f, "job");
  espl_progress_push(p, "a", 50, 10);
  espl_progress_at(p, 1000);
  cr_expect(near(espl_progress_fraction(p), 0.5));
  espl_progress_at(p, 2);
  cr_expect(near(espl_progress_fraction(p), 0.5));
  espl_progress_push(p, "empty", 0, 0);
  espl_progress_at(p, 3);
  cr_expect(near(espl_progress_fraction(p), 0.5));
  espl_progress_free(p);
  fclose(f);
}

Test(progress, plain_output_is_a_line_a_stage_not_a_line_a_step) {
  char *text = NULL;
  size_t n = 0;
  FILE *f = tmpfile();
  espl_progress *p = espl_progress_new(f, "job");
  espl_progress_push(p, "work", 100, 100000);
  for (int i = 0; i < 100000; i++) espl_progress_at(p, i);
  espl_progress_pop(p);
  espl_progress_free(p);
  rewind(f);
  ssize_t got = getline(&text, &n, f);
  cr_assert_gt(got, 0);
  cr_expect_not_null(strstr(text, "job: work"));
  cr_expect_null(strchr(text, '\r'), "no control characters outside a terminal");
  cr_expect_lt(getline(&text, &n, f), 0, "one line only: less than five seconds passed");
  free(text);
  fclose(f);
}

Test(progress, too_many_levels_stay_balanced) {
  FILE *f = tmpfile();
  espl_progress *p = espl_progress_new(f, "job");
  for (int i = 0; i < 40; i++) espl_progress_push(p, "level", 1, 1);
  for (int i = 0; i < 40; i++) espl_progress_pop(p);
  cr_expect(near(espl_progress_fraction(p), 0.01));
  espl_progress_free(p);
  fclose(f);
}

Test(progress, null_is_silent) {
  espl_progress_push(NULL, "a", 1, 1);
  espl_progress_at(NULL, 1);
  espl_progress_pop(NULL);
  cr_expect_eq(espl_progress_fraction(NULL), 0);
  espl_progress_free(NULL);
}
