/* One gnuplot run: script in a temporary folder, SVG back, made safe to stand beside other SVGs in one page. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fsio.h"
#include "base/text.h"
#include "report/report_int.h"

enum { DIR_ROOM = 1024, FILE_ROOM = DIR_ROOM + 16 };

extern char **environ;

#define MAX_SVG_BYTES (64u * 1024u * 1024u)

/* *status: exit status, -1 when gnuplot could not be started because it is absent. */
static espl_status start(const char *script, const char *log, int *status, espl_err *err) {
  char name[] = "gnuplot";
  char *argv[] = {name, (char *)(uintptr_t)script, NULL};
  posix_spawn_file_actions_t files;
  pid_t child = 0;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  int code = posix_spawnp(&child, name, &files, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&files);
  *status = -1;
  if (code == ENOENT) return ESPL_OK;
  if (code != 0) return espl_fail(err, ESPL_E_LIBRARY, "gnuplot: %s", strerror(code));
  int raw = 0;
  while (waitpid(child, &raw, 0) < 0)
    if (errno != EINTR) return espl_fail(err, ESPL_E_LIBRARY, "gnuplot: %s", strerror(errno));
  *status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128;
  if (*status == 127) *status = -1;
  return ESPL_OK;
}

/* Several plots share a page, so every id gets the plot's number: id="x" -> id="p3x", and its uses likewise. */
static char *inline_svg(const char *xml, int serial) {
  static const char *const marks[] = {"id='", "id=\"", "href='#", "href=\"#", "url(#"};
  const char *at = strstr(xml, "<svg");
  char prefix[16], *out = NULL;
  size_t n = 0;
  FILE *f = at ? open_memstream(&out, &n) : NULL;
  if (!f) return NULL;
  snprintf(prefix, sizeof prefix, "p%d", serial);
  while (*at) {
    size_t k = 0;
    while (k < 5 && strncmp(at, marks[k], strlen(marks[k])) != 0) k++;
    if (k < 5) {
      fputs(marks[k], f);
      fputs(prefix, f);
      at += strlen(marks[k]);
    } else {
      fputc(*at++, f);
    }
  }
  if (fclose(f) != 0) {
    free(out);
    return NULL;
  }
  return out;
}

static espl_status fetch(const char *dir, const char *script, int serial, char **svg, int *present, espl_err *err) {
  char path[FILE_ROOM], log[FILE_ROOM], out[FILE_ROOM];
  int status = 0;
  size_t n = 0;
  char *text = NULL;
  snprintf(path, sizeof path, "%s/plot.gp", dir);
  snprintf(log, sizeof log, "%s/log", dir);
  snprintf(out, sizeof out, "%s/plot.svg", dir);
  ESPL_TRY(espl_write_file(path, script, strlen(script), err));
  ESPL_TRY(start(path, log, &status, err));
  *present = status >= 0;
  if (status < 0) return ESPL_OK;
  if (status > 0) {
    espl_err ignored = {0};
    if (espl_read_file(log, 65536, &text, &n, &ignored) != ESPL_OK) text = NULL;
    espl_status s = espl_fail(err, ESPL_E_LIBRARY, "gnuplot failed with status %d: %.300s", status, text ? text : "");
    free(text);
    return s;
  }
  ESPL_TRY(espl_read_file(out, MAX_SVG_BYTES, &text, &n, err));
  *svg = inline_svg(text, serial);
  free(text);
  return *svg ? ESPL_OK : espl_fail(err, ESPL_E_LIBRARY, "gnuplot wrote no SVG");
}

static void remove_files(const char *dir) {
  static const char *const names[] = {"plot.gp", "log", "plot.svg"};
  char path[FILE_ROOM];
  for (size_t i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    unlink(path);
  }
  rmdir(dir);
}

espl_status espli_gnuplot(const char *script, int width, int height, int serial, char **svg, int *present, espl_err *err) {
  const char *below = getenv("TMPDIR");
  char dir[DIR_ROOM];
  *svg = NULL;
  if (!below || !*below) below = "/tmp";
  errno = ENAMETOOLONG;
  if (snprintf(dir, sizeof dir, "%s/espl-plot-XXXXXX", below) >= DIR_ROOM || !mkdtemp(dir))
    return espl_fail(err, ESPL_E_IO, "%s: cannot make a folder for gnuplot: %s", below, strerror(errno));
  char *whole = espl_format(
      "set encoding utf8\nset terminal svg size %d,%d dynamic noenhanced fontscale 1 font 'sans-serif,13' background '#ffffff'\n"
      "set output '%s/plot.svg'\n"
      "set border 3 lc rgb '#8a8f98'\nset tics nomirror out scale 0.5 textcolor rgb '#4b5563'\nset grid y lc rgb '#e5e7eb' lt 1 lw 1\n"
      "set key top right outside horizontal center top samplen 1.2 spacing 1.1 textcolor rgb '#374151'\n"
      "set xlabel textcolor rgb '#374151'\nset ylabel textcolor rgb '#374151'\n%s",
      width, height, dir, script);
  espl_status s = whole ? fetch(dir, whole, serial, svg, present, err) : espl_fail(err, ESPL_E_NOMEM, "no memory for a plot");
  free(whole);
  remove_files(dir);
  return s;
}
