/* Seconds on a clock that only goes forward, and of processor time. */
#ifndef ESPL_BASE_CLOCK_H
#define ESPL_BASE_CLOCK_H

#ifdef __cplusplus
extern "C" {
#endif

double espl_now(void);         /* seconds since an arbitrary start, monotonic */
double espl_cpu_seconds(void); /* processor seconds of this process, all threads */
double espl_thread_seconds(void); /* processor seconds of the calling thread */
double espl_wall_time(void);   /* seconds since 1970, for records only */

#ifdef __cplusplus
}
#endif
#endif
