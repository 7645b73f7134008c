/* The four clocks. */
#include "base/clock.h"

#include <time.h>

static double seconds(clockid_t id) {
  struct timespec t = {0};
  clock_gettime(id, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double espl_now(void) { return seconds(CLOCK_MONOTONIC); }
double espl_cpu_seconds(void) { return seconds(CLOCK_PROCESS_CPUTIME_ID); }
double espl_thread_seconds(void) { return seconds(CLOCK_THREAD_CPUTIME_ID); }
double espl_wall_time(void) { return seconds(CLOCK_REALTIME); }
