/* Whole files, with limits and without half-written results.
 *
 * Law: what is written appears under its name complete or not at all: temporary file beside it, fsync,
 * rename. On any failure (full disk included) the temporary file is removed and the old file is untouched.
 * A link stays, and the file it names is replaced. Devices and pipes are never replaced: they are written as they are.
 * Errors carry the path and the system's reason. A path that is missing or not readable is E_INPUT when
 * reading; everything else is E_IO. */
#ifndef ESPL_BASE_FSIO_H
#define ESPL_BASE_FSIO_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a regular file of at most limit_bytes; *data is NUL-terminated behind its n bytes; free() it. */
espl_status espl_read_file(const char *path, size_t limit_bytes, char **data, size_t *n, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_write_file(const char *path, const void *data, size_t n, espl_err *err) ESPL_MUST_CHECK;

/* The same for a stream: write through espl_outfile_stream, then commit or abandon (both free the handle). */
typedef struct espl_outfile espl_outfile;
espl_status espl_outfile_open(const char *path, espl_outfile **out, espl_err *err) ESPL_MUST_CHECK;
FILE *espl_outfile_stream(espl_outfile *f);
espl_status espl_outfile_commit(espl_outfile *f, espl_err *err) ESPL_MUST_CHECK;
void espl_outfile_abandon(espl_outfile *f); /* NULL is allowed */

/* Whether a file could be written at that path: asked before long work, not after it. The folder is there and writable, the path is no folder.
 * E_INPUT "<what> <path>: ..." when not. Changes nothing. */
espl_status espl_check_writable(const char *what, const char *path, espl_err *err) ESPL_MUST_CHECK;
/* Whether the disk of a path that passed espl_check_writable has room for so many bytes now: asked before long work too, no promise. E_IO
 * "<what> <path>: ..." when not. A device has room. */
espl_status espl_check_room(const char *what, const char *path, uint64_t bytes, espl_err *err) ESPL_MUST_CHECK;

espl_status espl_mkdirs(const char *path, espl_err *err) ESPL_MUST_CHECK; /* as mkdir -p, mode 0777 & ~umask */
int espl_path_exists(const char *path);
/* "dir/name" (just name when dir is empty); free() it; NULL when out of memory. */
char *espl_path_join(const char *dir, const char *name);

#ifdef __cplusplus
}
#endif
#endif
