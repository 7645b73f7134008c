/* Shared by the libFuzzer targets: see fuzz.h. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_lawful(espl_status s, const espl_err *err) {
  if (s == ESPL_OK) return;
  if ((s == ESPL_E_INPUT || s == ESPL_E_UNSUPPORTED || s == ESPL_E_NOMEM) && err->msg[0]) return;
  fprintf(stderr, "fuzz: status %s, message \"%s\"\n", espl_status_name(s), err->msg);
  abort();
}

void fuzz_expect(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "fuzz: broken: %s\n", what);
  abort();
}

const char *fuzz_file(const uint8_t *data, size_t n) {
  static int fd = -1;
  static char path[32];
  if (fd < 0) {
    fd = memfd_create("fuzz", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  }
  fuzz_expect(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, n, 0) == (ssize_t)n, "a file in memory");
  return path;
}
