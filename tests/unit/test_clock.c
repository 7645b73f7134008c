/* Clocks move forward; processor time is spent by work and not by sleep. */
#include <criterion/criterion.h>

#include <unistd.h>

#include "base/clock.h"

Test(clock, monotonic_and_independent_of_work) {
  double wall = espl_now(), cpu = espl_cpu_seconds();
  usleep(30000);
  cr_expect_geq(espl_now() - wall, 0.029);
  cr_expect_lt(espl_cpu_seconds() - cpu, 0.02);
  cr_expect_gt(espl_wall_time(), 1.6e9);
}
