/* Memory: an arena with a hard limit, and overflow-checked allocation.
 * Nothing here aborts: NULL means the limit or the system said no. */
#ifndef ESPL_BASE_MEM_H
#define ESPL_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct espl_arena espl_arena;

/* limit_bytes: the most this arena will ever hold; NULL when out of memory. */
espl_arena *espl_arena_new(size_t limit_bytes);
/* Zeroed, 64-byte aligned; lives until the arena is freed; NULL at the limit. */
void *espl_arena_alloc(espl_arena *a, size_t bytes);
char *espl_arena_strdup(espl_arena *a, const char *s);
void espl_arena_free(espl_arena *a); /* NULL is allowed */

/* Zeroed n*size bytes, 64-byte aligned, NULL on overflow or when out of memory. Release with free(). */
void *espl_calloc(size_t n, size_t size);
char *espl_strdup(const char *s); /* release with free(); NULL in, NULL out */

#ifdef __cplusplus
}
#endif
#endif
