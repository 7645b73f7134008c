/* Counter-based numbers: pure functions with the right moments. The mixer's first output for state 0 is
 * the published first output of splitmix64 seeded with 0. */
#include <criterion/criterion.h>

#include <math.h>

#include "base/rng.h"

Test(rng, mixer_matches_splitmix64) { cr_expect_eq(espl_mix64(0), 0xe220a8397b1dcdafu); }

Test(rng, same_key_same_number_other_key_other_number) {
  cr_expect_eq(espl_rng_u64(1, 2, 3), espl_rng_u64(1, 2, 3));
  cr_expect_neq(espl_rng_u64(1, 2, 3), espl_rng_u64(1, 2, 4));
  cr_expect_neq(espl_rng_u64(1, 2, 3), espl_rng_u64(1, 3, 2));
  cr_expect_neq(espl_rng_u64(1, 2, 3), espl_rng_u64(2, 1, 3));
}

Test(rng, moments) {
  enum { N = 200000 };
  double u = 0, n1 = 0, n2 = 0;
  for (uint64_t i = 0; i < N; i++) {
    float x = espl_rng_unit(7, 1, i);
    cr_assert(x >= 0 && x < 1);
    u += x;
    double g = espl_rng_normal(7, 2, i);
    n1 += g;
    n2 += g * g;
  }
  cr_expect_lt(fabs(u / N - 0.5), 5 * sqrt(1.0 / 12 / N), "mean of the uniform within five standard errors");
  cr_expect_lt(fabs(n1 / N), 5 * sqrt(1.0 / N), "mean of the normal");
  cr_expect_lt(fabs(n2 / N - 1), 5 * sqrt(2.0 / N), "variance of the normal");
}

Test(rng, below_covers_its_range) {
  int seen[7] = {0};
  for (uint64_t i = 0; i < 7000; i++) seen[espl_rng_below(1, 1, i, 7)]++;
  for (int i = 0; i < 7; i++) cr_expect(seen[i] > 800 && seen[i] < 1200);
}
