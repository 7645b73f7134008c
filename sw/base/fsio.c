/* Whole-file reading and atomic writing. */
#include "base/fsio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

static espl_status read_all(int fd, const char *path, char *p, size_t want, size_t *n, espl_err *err) {
  *n = 0;
  while (*n < want) {
    ssize_t r = read(fd, p + *n, want - *n);
    if (r < 0 && errno == EINTR) continue;
    if (r < 0) return espl_fail(err, ESPL_E_IO, "%s: cannot read: %s", path, strerror(errno));
    if (r == 0) break;
    *n += (size_t)r;
  }
  return ESPL_OK;
}

static espl_status read_fd(int fd, const char *path, size_t limit, char **data, size_t *n, espl_err *err) {
  struct stat st;
  if (fstat(fd, &st) != 0) return espl_fail(err, ESPL_E_IO, "%s: %s", path, strerror(errno));
  if (!S_ISREG(st.st_mode))
    return espl_fail(err, ESPL_E_INPUT, "%s: %s, expected a file", path, S_ISDIR(st.st_mode) ? "is a folder" : "is not a regular file");
  if ((uint64_t)st.st_size > limit)
    return espl_fail(err, ESPL_E_INPUT, "%s: has %lld bytes, at most %zu are accepted", path, (long long)st.st_size, limit);
  char *p = malloc((size_t)st.st_size + 1);
  if (!p) return espl_fail(err, ESPL_E_NOMEM, "%s: no memory for %lld bytes", path, (long long)st.st_size);
  espl_status s = read_all(fd, path, p, (size_t)st.st_size, n, err);
  if (s != ESPL_OK) {
    free(p);
    return s;
  }
  p[*n] = 0;
  *data = p;
  return ESPL_OK;
}

espl_status espl_read_file(const char *path, size_t limit_bytes, char **data, size_t *n, espl_err *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return espl_fail(err, ESPL_E_INPUT, "%s: cannot open: %s", path, strerror(errno));
  espl_status s = read_fd(fd, path, limit_bytes, data, n, err);
  close(fd);
  return s;
}

struct espl_outfile {
  char *path, *temp; /* temp is NULL when the path itself is written: a device or a pipe */
  FILE *f;
};

static void outfile_release(espl_outfile *o) {
  free(o->path);
  free(o->temp);
  free(o);
}

/* mkstemp makes the file 0600; give it what a plain create would have. */
static void usual_mode(int fd) {
  mode_t mask = umask(0);
  umask(mask);
  fchmod(fd, 0666 & ~mask);
}

/* Something is there that a file must not replace: a device, a pipe, a socket. */
static int is_special(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

/* Where the bytes go: beside the path, or into what it is. -1 with errno when that cannot be opened. */
static int open_target(espl_outfile *o) {
  if (is_special(o->path)) return open(o->path, O_WRONLY | O_CLOEXEC);
  o->temp = espl_format("%s.tmp-XXXXXX", o->path);
  int fd = o->temp ? mkostemp(o->temp, O_CLOEXEC) : -1;
  if (fd >= 0) usual_mode(fd);
  return fd;
}

espl_status espl_outfile_open(const char *path, espl_outfile **out, espl_err *err) {
  espl_outfile *o = espl_calloc(1, sizeof *o);
  if (!o) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  struct stat st;
  if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode)) o->path = realpath(path, NULL); /* the link stays, what it names is replaced */
  if (!o->path) o->path = espl_strdup(path);
  int fd = o->path ? open_target(o) : -1;
  if (fd >= 0) o->f = fdopen(fd, "wb");
  if (!o->f) {
    espl_status s = espl_fail(err, ESPL_E_IO, "%s: cannot create: %s", path, strerror(errno));
    if (fd >= 0) {
      close(fd);
      if (o->temp) unlink(o->temp);
    }
    outfile_release(o);
    return s;
  }
  *out = o;
  return ESPL_OK;
}

FILE *espl_outfile_stream(espl_outfile *f) { return f->f; }

void espl_outfile_abandon(espl_outfile *o) {
  if (!o) return;
  fclose(o->f);
  if (o->temp) unlink(o->temp);
  outfile_release(o);
}

/* The rename itself becomes durable with the folder. Not every file system can sync a folder, so its answer is no error. */
static void sync_folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : espl_strdup(".");
  int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    fsync(fd);
    close(fd);
  }
  free(dir);
}

/* The stream remembers that a write failed, not why: one more block asks again. 0 when that one is taken. */
static int failed_because(int fd) {
  const char block[4096] = {0};
  ssize_t n = write(fd, block, sizeof block);
  return n < 0 ? errno : n < (ssize_t)sizeof block ? ENOSPC : 0;
}

espl_status espl_outfile_commit(espl_outfile *o, espl_err *err) {
  errno = 0;
  int good = !ferror(o->f) && fflush(o->f) == 0 && (!o->temp || fsync(fileno(o->f)) == 0);
  int reason = good || errno ? errno : failed_because(fileno(o->f));
  if (fclose(o->f) != 0 && good) {
    good = 0;
    reason = errno;
  }
  if (good && o->temp && rename(o->temp, o->path) != 0) {
    good = 0;
    reason = errno;
  }
  espl_status s = ESPL_OK;
  if (!good) {
    if (o->temp) unlink(o->temp);
    s = espl_fail(err, ESPL_E_IO, "%s: cannot write: %s", o->path, reason ? strerror(reason) : "a write before failed");
  } else if (o->temp) {
    sync_folder_of(o->path);
  }
  outfile_release(o);
  return s;
}

espl_status espl_write_file(const char *path, const void *data, size_t n, espl_err *err) {
  espl_outfile *o = NULL;
  ESPL_TRY(espl_outfile_open(path, &o, err));
  errno = 0;
  if (n && fwrite(data, 1, n, o->f) != n) {
    espl_status s = espl_fail(err, ESPL_E_IO, "%s: cannot write: %s", path, strerror(errno));
    espl_outfile_abandon(o);
    return s;
  }
  return espl_outfile_commit(o, err);
}

static espl_status make_one(const char *path, const char *whole, espl_err *err) {
  struct stat st;
  if (mkdir(path, 0777) == 0) return ESPL_OK;
  int reason = errno;
  if (reason == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return ESPL_OK;
  if (reason == EEXIST) return espl_fail(err, ESPL_E_IO, "%s: cannot make the folder: %s is a file", whole, path);
  return espl_fail(err, ESPL_E_IO, "%s: cannot make the folder: %s", whole, strerror(reason));
}

espl_status espl_mkdirs(const char *path, espl_err *err) {
  char *p = espl_strdup(path);
  if (!p || !*p) {
    espl_status s = espl_fail(err, p ? ESPL_E_INPUT : ESPL_E_NOMEM, "cannot make a folder without a name");
    free(p);
    return s;
  }
  espl_status s = ESPL_OK;
  for (char *c = p + 1; s == ESPL_OK && *c; c++) {
    if (*c != '/') continue;
    *c = 0;
    s = make_one(p, path, err);
    *c = '/';
  }
  if (s == ESPL_OK) s = make_one(p, path, err);
  free(p);
  return s;
}

espl_status espl_check_room(const char *what, const char *path, uint64_t bytes, espl_err *err) {
  struct statvfs v;
  const char *slash = strrchr(path, '/');
  if (is_special(path)) return ESPL_OK;
  char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : espl_strdup(".");
  if (!dir) return espl_fail(err, ESPL_E_NOMEM, "%s %s: out of memory", what, path);
  int known = statvfs(dir, &v) == 0;
  free(dir);
  if (!known || (uint64_t)v.f_bavail * v.f_frsize >= bytes) return ESPL_OK; /* what cannot be asked is found out by writing */
  return espl_fail(err, ESPL_E_IO, "%s %s: about %llu bytes will be written, its disk has room for %llu", what, path, (unsigned long long)bytes,
                   (unsigned long long)((uint64_t)v.f_bavail * v.f_frsize));
}

espl_status espl_check_writable(const char *what, const char *path, espl_err *err) {
  struct stat st;
  const char *slash = strrchr(path, '/');
  char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : espl_strdup(".");
  if (!dir) return espl_fail(err, ESPL_E_NOMEM, "%s %s: out of memory", what, path);
  espl_status s = ESPL_OK;
  if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
    s = espl_fail(err, ESPL_E_INPUT, "%s %s: there is no folder %s", what, path, dir);
  else if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
    s = espl_fail(err, ESPL_E_INPUT, "%s %s: is a folder, expected a file", what, path);
  else if (is_special(path)) {
    if (access(path, W_OK) != 0) s = espl_fail(err, ESPL_E_INPUT, "%s %s: cannot be written to", what, path);
  } else if (access(dir, W_OK) != 0)
    s = espl_fail(err, ESPL_E_INPUT, "%s %s: the folder %s cannot be written to", what, path, dir);
  free(dir);
  return s;
}

int espl_path_exists(const char *path) { return access(path, F_OK) == 0; }

char *espl_path_join(const char *dir, const char *name) {
  size_t n = strlen(dir);
  if (n == 0) return espl_strdup(name);
  return espl_format(dir[n - 1] == '/' ? "%s%s" : "%s/%s", dir, name);
}
