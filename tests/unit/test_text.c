/* Edit distance against hand-counted pairs; nearest word. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "base/text.h"

Test(text, edit_distance_counts_single_edits) {
  cr_expect_eq(espl_edit_distance("", ""), 0);
  cr_expect_eq(espl_edit_distance("", "abc"), 3);
  cr_expect_eq(espl_edit_distance("rows", "rows"), 0);
  cr_expect_eq(espl_edit_distance("row", "rows"), 1);
  cr_expect_eq(espl_edit_distance("kitten", "sitting"), 3);
  cr_expect_eq(espl_edit_distance("rwos", "rows"), 1, "a swap of neighbours is one edit");
  cr_expect_eq(espl_edit_distance("ca", "abc"), 3, "optimal string alignment, not full Damerau");
}

Test(text, edit_distance_is_symmetric_and_bounded) {
  char a[400], b[400];
  for (int i = 0; i < 399; i++) a[i] = 'a', b[i] = 'b';
  a[399] = b[399] = 0;
  cr_expect_eq(espl_edit_distance(a, b), 127, "long words compare by their first 127 bytes");
  cr_expect_eq(espl_edit_distance("stride", "strike"), espl_edit_distance("strike", "stride"));
}

Test(text, nearest_takes_first_of_equals) {
  static const char *const words[] = {"rows", "cols", "acc_depth"};
  cr_expect_str_eq(espl_nearest("row", words, 3), "rows");
  cr_expect_str_eq(espl_nearest("acc_dept", words, 3), "acc_depth");
  cr_expect_str_eq(espl_nearest("zzzz", words, 3), "rows");
  cr_expect_null(espl_nearest("x", words, 0));
}

Test(text, format_allocates_what_it_needs) {
  char *s = espl_format("%s-%05d", "x", 42);
  cr_expect_str_eq(s, "x-00042");
  free(s);
}
