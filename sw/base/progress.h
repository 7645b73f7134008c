/* Progress of long work on stderr: a bar with an estimate on a terminal, plain lines elsewhere.
 *
 * Stages nest. A stage has its own unit count `total` and takes `share` units of its parent, so the whole
 * job shows ONE overall fraction and one estimate, whatever runs inside:
 *   espl_progress *p = espl_progress_new(stderr, "run");     the job counts 100 units
 *   espl_progress_push(p, "train", 70, epochs);              70 of the job's 100
 *   for (...) espl_progress_at(p, epoch);                    units of "train" done so far
 *   espl_progress_pop(p);                                    the parent advances by the full share
 * Laws: the fraction never goes back; a terminal is redrawn at most ten times a second, other outputs get
 * a line at each stage start of the two outermost levels and at most every 5 s in between. Every function accepts p == NULL and then
 * does nothing, so library code can take an optional progress. Not for concurrent use: one thread reports. */
#ifndef ESPL_BASE_PROGRESS_H
#define ESPL_BASE_PROGRESS_H

#include <stdio.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct espl_progress espl_progress;

#define ESPL_PROGRESS_JOB_UNITS 100.0
#define ESPL_PROGRESS_MAX_DEPTH 16

espl_progress *espl_progress_new(FILE *out, const char *job); /* NULL when out of memory */
void espl_progress_push(espl_progress *p, const char *name, double share, double total);
void espl_progress_at(espl_progress *p, double done); /* units of the innermost stage, clipped to its total */
void espl_progress_note(espl_progress *p, const char *fmt, ...) ESPL_PRINTF(2, 3); /* short text beside the stage */
void espl_progress_pop(espl_progress *p);
double espl_progress_fraction(const espl_progress *p); /* of the whole job, 0..1 */
/* Removes the bar so that other output can be printed; it is drawn again at the next report. */
void espl_progress_clear(espl_progress *p);
void espl_progress_free(espl_progress *p);

#ifdef __cplusplus
}
#endif
#endif
