/* Arena and checked allocation. */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define ALIGN 64u
#define CHUNK_BYTES (256u * 1024u)

struct chunk {
  struct chunk *next;
  size_t used, size; /* bytes behind the header, which itself fills one ALIGN unit */
};

struct espl_arena {
  struct chunk *head;
  size_t limit, total;
};

static size_t round_up(size_t n) { return (n + (ALIGN - 1)) & ~(size_t)(ALIGN - 1); }

void *espl_calloc(size_t n, size_t size) {
  if (size && n > SIZE_MAX / 2 / size) return NULL;
  size_t bytes = round_up(n == 0 || size == 0 ? 1 : n * size);
  void *p = aligned_alloc(ALIGN, bytes);
  if (p) memset(p, 0, bytes);
  return p;
}

char *espl_strdup(const char *s) {
  if (!s) return NULL;
  size_t n = strlen(s) + 1;
  char *p = malloc(n);
  if (p) memcpy(p, s, n);
  return p;
}

espl_arena *espl_arena_new(size_t limit_bytes) {
  espl_arena *a = espl_calloc(1, sizeof *a);
  if (a) a->limit = limit_bytes;
  return a;
}

void *espl_arena_alloc(espl_arena *a, size_t bytes) {
  if (bytes > SIZE_MAX / 2) return NULL;
  bytes = round_up(bytes ? bytes : 1);
  struct chunk *c = a->head;
  if (!c || c->size - c->used < bytes) {
    size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    if (size > a->limit - a->total) size = bytes;
    if (size > a->limit - a->total) return NULL;
    c = espl_calloc(1, ALIGN + size);
    if (!c) return NULL;
    c->size = size;
    c->next = a->head;
    a->head = c;
    a->total += size;
  }
  void *p = (char *)c + ALIGN + c->used;
  c->used += bytes;
  return p;
}

char *espl_arena_strdup(espl_arena *a, const char *s) {
  if (!s) return NULL;
  size_t n = strlen(s) + 1;
  char *p = espl_arena_alloc(a, n);
  if (p) memcpy(p, s, n);
  return p;
}

void espl_arena_free(espl_arena *a) {
  if (!a) return;
  for (struct chunk *c = a->head; c;) {
    struct chunk *next = c->next;
    free(c);
    c = next;
  }
  free(a);
}
