/* Small text functions: nearest known word by edit distance, and formatted allocation. */
#ifndef ESPL_BASE_TEXT_H
#define ESPL_BASE_TEXT_H

#include <stddef.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Optimal string alignment distance: insert, delete, replace and swap of neighbours cost 1 each.
 * Words longer than 127 bytes compare by their first 127 bytes. */
int espl_edit_distance(const char *a, const char *b);

/* The entry of words[n] nearest to `word` (first of equals); NULL when n is 0. Never a copy. */
const char *espl_nearest(const char *word, const char *const *words, size_t n);

/* printf into a new string, release with free(); NULL when out of memory. */
char *espl_format(const char *fmt, ...) ESPL_PRINTF(1, 2);

#ifdef __cplusplus
}
#endif
#endif
