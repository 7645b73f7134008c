/* One packed file into memory, with a limit on what it may grow to: gzip through zlib, xz through liblzma.
 * The format is told by the first bytes, not by the name. */
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "base/fsio.h"
#include "base/text.h"
#include "data/data_int.h"

#define LZMA_MEMORY (512u << 20) /* a 9e preset needs 65 MiB */

/* A growing output buffer that never passes `limit`. */
typedef struct out_buf {
  const char *path;
  uint8_t *data;
  size_t n, cap, limit;
} out_buf;

static espl_status out_room(out_buf *b, espl_err *err) {
  if (b->n < b->cap) return ESPL_OK;
  if (b->cap >= b->limit)
    return espl_fail(err, ESPL_E_INPUT, "%s: unpacks to more than the %zu bytes expected", b->path, b->limit - 1);
  size_t cap = b->cap ? b->cap * 2 : 1u << 20;
  if (cap > b->limit) cap = b->limit;
  uint8_t *p = realloc(b->data, cap);
  if (!p) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory for %zu bytes", b->path, cap);
  b->data = p;
  b->cap = cap;
  return ESPL_OK;
}

static espl_status damaged(const out_buf *b, const char *format, const char *why, espl_err *err) {
  return espl_fail(err, ESPL_E_INPUT, "%s: %s after %zu unpacked bytes of %s data", b->path, why, b->n, format);
}

static espl_status gunzip(const uint8_t *in, size_t n, out_buf *b, espl_err *err) {
  z_stream z = {0};
  if (inflateInit2(&z, 15 + 16) != Z_OK) return espl_fail(err, ESPL_E_LIBRARY, "%s: zlib does not start", b->path);
  z.next_in = (uint8_t *)in;
  size_t left = n;
  espl_status s = ESPL_OK;
  for (bool done = false; s == ESPL_OK && !done;) {
    if ((s = out_room(b, err)) != ESPL_OK) break;
    uInt give = left > 1u << 30 ? 1u << 30 : (uInt)left, room = b->cap - b->n > 1u << 30 ? 1u << 30 : (uInt)(b->cap - b->n);
    z.avail_in = give;
    z.next_out = b->data + b->n;
    z.avail_out = room;
    int r = inflate(&z, Z_NO_FLUSH);
    left -= give - z.avail_in;
    b->n += room - z.avail_out;
    if (r == Z_STREAM_END && left == 0) done = true;
    else if (r == Z_STREAM_END) s = inflateReset(&z) == Z_OK ? ESPL_OK : espl_fail(err, ESPL_E_LIBRARY, "%s: zlib does not restart", b->path);
    else if (r == Z_BUF_ERROR && z.avail_out) s = damaged(b, "gzip", "the file ends", err);
    else if (r != Z_OK && r != Z_BUF_ERROR) s = damaged(b, "gzip", z.msg ? z.msg : "damaged", err);
    else if (r == Z_OK && left == 0 && z.avail_out) s = damaged(b, "gzip", "the file ends", err);
  }
  inflateEnd(&z);
  return s;
}

static espl_status unxz(const uint8_t *in, size_t n, out_buf *b, espl_err *err) {
  lzma_stream z = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&z, LZMA_MEMORY, LZMA_CONCATENATED) != LZMA_OK)
    return espl_fail(err, ESPL_E_LIBRARY, "%s: liblzma does not start", b->path);
  z.next_in = in;
  z.avail_in = n;
  espl_status s = ESPL_OK;
  for (bool done = false; s == ESPL_OK && !done;) {
    if ((s = out_room(b, err)) != ESPL_OK) break;
    z.next_out = b->data + b->n;
    z.avail_out = b->cap - b->n;
    lzma_ret r = lzma_code(&z, LZMA_FINISH);
    b->n = b->cap - z.avail_out;
    if (r == LZMA_STREAM_END) done = true;
    else if (r == LZMA_BUF_ERROR && z.avail_out) s = damaged(b, "xz", "the file ends", err);
    else if (r == LZMA_MEMLIMIT_ERROR) s = damaged(b, "xz", "needs more than 512 MiB", err);
    else if (r == LZMA_MEM_ERROR) s = espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", b->path);
    else if (r != LZMA_OK && r != LZMA_BUF_ERROR) s = damaged(b, "xz", "is damaged", err);
  }
  lzma_end(&z);
  return s;
}

espl_status espli_unpack(const char *path, size_t limit_bytes, uint8_t **data, size_t *n, espl_err *err) {
  char *raw = NULL;
  size_t bytes = 0;
  *data = NULL;
  *n = 0;
  ESPL_TRY(espl_read_file(path, limit_bytes + (1u << 20), &raw, &bytes, err));
  const uint8_t *in = (const uint8_t *)raw;
  out_buf b = {.path = path, .limit = limit_bytes + 1};
  espl_status s = ESPL_OK;
  if (bytes >= 2 && in[0] == 0x1f && in[1] == 0x8b) s = gunzip(in, bytes, &b, err);
  else if (bytes >= 6 && memcmp(in, "\xfd" "7zXZ", 6) == 0) s = unxz(in, bytes, &b, err);
  else {
    b.data = (uint8_t *)raw;
    b.n = bytes;
    raw = NULL;
  }
  if (s == ESPL_OK && b.n > limit_bytes)
    s = espl_fail(err, ESPL_E_INPUT, "%s: holds more than the %zu bytes expected", path, limit_bytes);
  free(raw);
  if (s != ESPL_OK) {
    free(b.data);
    return s;
  }
  *data = b.data;
  *n = b.n;
  return ESPL_OK;
}

char *espli_find_packed(const char *dir, const char *name) {
  static const char *const ends[] = {"", ".gz", ".xz"};
  for (int i = 0; i < 3; i++) {
    char *p = espl_format("%s/%s%s", dir, name, ends[i]);
    struct stat st;
    if (!p) return NULL;
    if (stat(p, &st) == 0 && S_ISREG(st.st_mode)) return p;
    free(p);
  }
  return NULL;
}
