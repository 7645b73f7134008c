/* Test support: temporary files and folders, below $TMPDIR or /tmp. */
#ifndef ESPL_TESTS_SCRATCH_H
#define ESPL_TESTS_SCRATCH_H
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SCRATCH 512 /* characters of a path, with the terminator; SCRATCH_FILE for a short name behind it */
#define SCRATCH_FILE (SCRATCH + 128)
#define SCRATCH_COMMAND (SCRATCH_FILE + 128)

/* <temporary folder>/<name>; ends the test program when it has no room. */
static inline void scratch_name(char path[SCRATCH], const char *name) {
  const char *t = getenv("TMPDIR");
  int n = snprintf(path, SCRATCH, "%s/%s", t && *t ? t : "/tmp", name);
  if (n >= SCRATCH) perror("TMPDIR is too long"), abort();
}

/* The same with a suffix that nobody has: an empty file, or an empty folder. */
static inline void scratch_file(char path[SCRATCH], const char *name) {
  char pattern[128];
  snprintf(pattern, sizeof pattern, "%s-XXXXXX", name);
  scratch_name(path, pattern);
  int fd = mkstemp(path);
  if (fd < 0) perror(path), abort();
  close(fd);
}

static inline void scratch_folder(char path[SCRATCH], const char *name) {
  char pattern[128];
  snprintf(pattern, sizeof pattern, "%s-XXXXXX", name);
  scratch_name(path, pattern);
  if (!mkdtemp(path)) perror(path), abort();
}

/* Removes a folder of scratch_folder with all that is in it; 0 when it is gone. */
static inline int scratch_remove(const char *path) {
  char command[SCRATCH_COMMAND];
  snprintf(command, sizeof command, "rm -rf '%s'", path);
  return system(command);
}
#endif
