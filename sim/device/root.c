/* Finds the project's folder by looking upwards. */
#include "device/root.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int found(const char *dir, const char *member, char *path, size_t n) {
  int len = snprintf(path, n, "%s/%s", dir, member);
  return len > 0 && (size_t)len < n && access(path, F_OK) == 0;
}

/* dir is shortened on the way up. */
static int found_above(char *dir, const char *member, char *path, size_t n) {
  for (;;) {
    if (found(dir, member, path, n)) return 1;
    char *slash = strrchr(dir, '/');
    if (!slash || slash == dir) return 0;
    *slash = 0;
  }
}

espl_status espl_root_path(const char *member, char *path, size_t n, espl_err *err) {
  const char *root = getenv("ESPL_ROOT");
  if (root && *root) {
    if (found(root, member, path, n)) return ESPL_OK;
    return espl_fail(err, ESPL_E_INPUT, "ESPL_ROOT=%s has no %s", root, member);
  }
  char dir[PATH_MAX];
  if (getcwd(dir, sizeof dir) && found_above(dir, member, path, n)) return ESPL_OK;
  ssize_t len = readlink("/proc/self/exe", dir, sizeof dir - 1);
  if (len > 0) {
    dir[len] = 0;
    if (found_above(dir, member, path, n)) return ESPL_OK;
  }
  return espl_fail(err, ESPL_E_INPUT, "no %s in the working directory, the program's folder or above: set ESPL_ROOT to the repository", member);
}
