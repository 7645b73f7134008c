/* Finds the project's folder by looking upwards, and the files in it that have names. */
#include "device/root.h"

#include <dirent.h>
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

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* "4x4, 8x8, ..." of the files in a folder, as much as fits. */
static void list_names(const char *folder, char *text, size_t n) {
  char *names[256];
  size_t count = 0, used = 0;
  DIR *d = opendir(folder);
  for (struct dirent *e; d && count < 256 && (e = readdir(d));) {
    size_t len = strlen(e->d_name);
    if (len > 5 && strcmp(e->d_name + len - 5, ".yaml") == 0 && (names[count] = strndup(e->d_name, len - 5))) count++;
  }
  if (d) closedir(d);
  qsort(names, count, sizeof *names, by_text);
  text[0] = 0;
  for (size_t i = 0; i < count; i++) {
    int k = used < n ? snprintf(text + used, n - used, "%s%s", used ? ", " : "", names[i]) : 0;
    used += (size_t)(k > 0 ? k : 0);
    free(names[i]);
  }
}

espl_status espl_config_path(const char *what, const char *folder, const char *name_or_path, char *path, size_t n, espl_err *err) {
  size_t len = strlen(name_or_path);
  char dir[PATH_MAX], known[512];
  int k;
  if (strchr(name_or_path, '/') || (len > 5 && strcmp(name_or_path + len - 5, ".yaml") == 0)) {
    k = snprintf(path, n, "%s", name_or_path);
    if (k >= 0 && (size_t)k < n) return ESPL_OK;
    return espl_fail(err, ESPL_E_INPUT, "%s %.40s...: the path is longer than %zu bytes", what, name_or_path, n - 1);
  }
  ESPL_TRY(espl_root_path(folder, dir, sizeof dir, err));
  k = snprintf(path, n, "%s/%s.yaml", dir, name_or_path);
  if (k >= 0 && (size_t)k < n && access(path, F_OK) == 0) return ESPL_OK;
  list_names(dir, known, sizeof known);
  return espl_fail(err, ESPL_E_INPUT, "%s %s is not in %s; there are %s", what, name_or_path, folder, known);
}
