/* Arena limit, alignment and zeroing; overflow-checked allocation. */
#include <criterion/criterion.h>

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

Test(mem, arena_memory_is_zeroed_and_aligned) {
  espl_arena *a = espl_arena_new(1 << 20);
  for (size_t n = 0; n < 200; n++) {
    unsigned char *p = espl_arena_alloc(a, n);
    cr_assert_not_null(p);
    cr_expect_eq((uintptr_t)p % 64, 0);
    for (size_t i = 0; i < n; i++) {
      cr_assert_eq(p[i], 0);
      p[i] = 0xa5;
    }
  }
  espl_arena_free(a);
}

Test(mem, arena_refuses_beyond_its_limit) {
  espl_arena *a = espl_arena_new(4096);
  cr_expect_not_null(espl_arena_alloc(a, 4096));
  cr_expect_null(espl_arena_alloc(a, 64));
  cr_expect_null(espl_arena_alloc(a, SIZE_MAX));
  espl_arena_free(a);
}

Test(mem, calloc_refuses_overflow) {
  volatile size_t huge = SIZE_MAX / 4;
  cr_expect_null(espl_calloc(huge, 8));
  void *p = espl_calloc(3, 5);
  cr_expect_eq((uintptr_t)p % 64, 0);
  free(p);
}

Test(mem, strdup_accepts_null) {
  cr_expect_null(espl_strdup(NULL));
  char *s = espl_strdup("lattice");
  cr_expect_str_eq(s, "lattice");
  free(s);
}
