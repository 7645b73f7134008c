/* Reading with limits, atomic writing, folders, and a device that is full. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"

static char dir[SCRATCH];

static void make_dir(void) {
  scratch_folder(dir, "espl-fsio");
}
static void remove_dir(void) {
  cr_assert_eq(scratch_remove(dir), 0);
}
static int entries(void) {
  int n = 0;
  DIR *d = opendir(dir);
  while (readdir(d)) n++;
  closedir(d);
  return n - 2;
}

TestSuite(fsio, .init = make_dir, .fini = remove_dir);

Test(fsio, write_then_read) {
  espl_err e = {0};
  char *path = espl_path_join(dir, "a.bin"), *got = NULL;
  size_t n = 0;
  cr_assert_eq(espl_write_file(path, "ab\0cd", 5, &e), ESPL_OK);
  cr_assert_eq(espl_read_file(path, 5, &got, &n, &e), ESPL_OK);
  cr_expect_eq(n, 5);
  cr_expect_arr_eq(got, "ab\0cd", 6, "content and the NUL behind it");
  free(got);
  cr_expect_eq(espl_read_file(path, 4, &got, &n, &e), ESPL_E_INPUT);
  cr_expect_not_null(strstr(e.msg, "5 bytes, at most 4"));
  cr_expect_eq(entries(), 1, "no temporary file stays");
  free(path);
}

Test(fsio, missing_file_and_folder_are_named_bad) {
  espl_err e = {0}, e2 = {0};
  char *got = NULL;
  size_t n = 0;
  cr_expect_eq(espl_read_file("/nonexistent/x.yaml", 10, &got, &n, &e), ESPL_E_INPUT);
  cr_expect_str_eq(e.msg, "/nonexistent/x.yaml: cannot open: No such file or directory");
  cr_expect_eq(espl_read_file(dir, 10, &got, &n, &e2), ESPL_E_INPUT);
  cr_expect_not_null(strstr(e2.msg, "is a folder"));
}

Test(fsio, abandoned_output_leaves_the_old_file) {
  espl_err e = {0};
  char *path = espl_path_join(dir, "a"), *got = NULL;
  size_t n = 0;
  cr_assert_eq(espl_write_file(path, "old", 3, &e), ESPL_OK);
  espl_outfile *o = NULL;
  cr_assert_eq(espl_outfile_open(path, &o, &e), ESPL_OK);
  fputs("half of the new", espl_outfile_stream(o));
  espl_outfile_abandon(o);
  cr_assert_eq(espl_read_file(path, 100, &got, &n, &e), ESPL_OK);
  cr_expect_str_eq(got, "old");
  cr_expect_eq(entries(), 1);
  free(got);
  free(path);
}

/* A pipe gets the bytes and stays one; a link stays and what it names is replaced; a device refuses as its driver says. */
Test(fsio, pipes_devices_and_links_are_not_replaced) {
  espl_err e = {0};
  char *pipe_path = espl_path_join(dir, "pipe"), *file = espl_path_join(dir, "file"), *link = espl_path_join(dir, "link"), *got = NULL, text[16] = "";
  size_t n = 0;
  struct stat st;
  cr_assert_eq(mkfifo(pipe_path, 0600), 0);
  int end = open(pipe_path, O_RDONLY | O_NONBLOCK);
  cr_assert_geq(end, 0);
  cr_expect_eq(espl_check_writable("--out", pipe_path, &e), ESPL_OK);
  cr_assert_eq(espl_write_file(pipe_path, "through", 7, &e), ESPL_OK, "%s", e.msg);
  cr_expect_eq(read(end, text, sizeof text - 1), 7);
  cr_expect_str_eq(text, "through");
  cr_expect(lstat(pipe_path, &st) == 0 && S_ISFIFO(st.st_mode));
  close(end);

  cr_assert_eq(espl_write_file(file, "old", 3, &e), ESPL_OK);
  cr_assert_eq(symlink("file", link), 0);
  cr_assert_eq(espl_write_file(link, "new", 3, &e), ESPL_OK, "%s", e.msg);
  cr_expect(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
  cr_assert_eq(espl_read_file(file, 100, &got, &n, &e), ESPL_OK);
  cr_expect_str_eq(got, "new");
  cr_expect_eq(entries(), 3);
  free(got);

  char *full = espl_path_join(dir, "full");
  cr_assert_eq(symlink("/dev/full", full), 0);
  cr_expect_eq(espl_write_file(full, "x", 1, &e), ESPL_E_IO);
  cr_expect_str_eq(e.msg, "/dev/full: cannot write: No space left on device");
  cr_expect(stat("/dev/full", &st) == 0 && S_ISCHR(st.st_mode));
  free(full);
  free(link);
  free(file);
  free(pipe_path);
}

/* A file-size limit makes write() fail the way a full disk does, in the middle of the data. */
Test(fsio, failing_write_is_reported_and_leaves_nothing_bad) {
  espl_err e = {0};
  char *path = espl_path_join(dir, "big"), *data = calloc(1, 1 << 20);
  struct rlimit small = {65536, RLIM_INFINITY};
  signal(SIGXFSZ, SIG_IGN);
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
  cr_expect_eq(espl_write_file(path, data, 1 << 20, &e), ESPL_E_IO);
  cr_expect_not_null(strstr(e.msg, "big: cannot write: File too large"));
  cr_expect_eq(entries(), 0);
  espl_err e2 = {0};
  espl_outfile *o = NULL;
  cr_assert_eq(espl_outfile_open(path, &o, &e2), ESPL_OK);
  fwrite(data, 1, 1 << 20, espl_outfile_stream(o));
  cr_expect_eq(espl_outfile_commit(o, &e2), ESPL_E_IO);
  cr_expect_not_null(strstr(e2.msg, "big: cannot write: File too large"), "%s", e2.msg);
  cr_expect_eq(entries(), 0);
  free(data);
  free(path);
}

Test(fsio, mkdirs_makes_all_and_accepts_existing) {
  espl_err e = {0};
  char deep[SCRATCH_FILE], file[SCRATCH_FILE];
  struct stat st;
  snprintf(deep, sizeof deep, "%s/a/b//c/", dir);
  cr_expect_eq(espl_mkdirs(deep, &e), ESPL_OK);
  cr_expect_eq(espl_mkdirs(deep, &e), ESPL_OK);
  cr_expect(stat(deep, &st) == 0 && S_ISDIR(st.st_mode));
  snprintf(file, sizeof file, "%s/f", dir);
  cr_assert_eq(espl_write_file(file, "", 0, &e), ESPL_OK);
  strcat(file, "/x");
  cr_expect_eq(espl_mkdirs(file, &e), ESPL_E_IO);
  cr_expect_not_null(strstr(e.msg, "is a file"));
}

Test(fsio, written_files_have_the_usual_mode) {
  espl_err e = {0};
  struct stat st;
  char *path = espl_path_join(dir, "m");
  umask(022);
  cr_assert_eq(espl_write_file(path, "x", 1, &e), ESPL_OK);
  cr_assert_eq(stat(path, &st), 0);
  cr_expect_eq(st.st_mode & 0777, 0644);
  free(path);
}

Test(fsio, writable_is_known_before_the_work) {
  espl_err e = {0};
  char *path = espl_path_join(dir, "a"), *deep = espl_path_join(dir, "no/a");
  cr_expect_eq(espl_check_writable("--out", path, &e), ESPL_OK, "%s", e.msg);
  cr_expect_eq(entries(), 0, "nothing is made");
  cr_expect_eq(espl_check_writable("--out", "a-file-in-the-working-folder", &e), ESPL_OK, "%s", e.msg);
  cr_expect_eq(espl_check_writable("--out", deep, &e), ESPL_E_INPUT);
  cr_expect_not_null(strstr(e.msg, "/no/a: there is no folder "), "%s", e.msg);
  e = (espl_err){0};
  cr_expect_eq(espl_check_writable("--out", dir, &e), ESPL_E_INPUT);
  cr_expect_not_null(strstr(e.msg, "is a folder, expected a file"), "%s", e.msg);
  free(path), free(deep);
}

Test(fsio, room_is_asked_before_long_work) {
  espl_err e = {0};
  char *path = espl_path_join(dir, "a");
  cr_expect_eq(espl_check_room("--out", path, 1, &e), ESPL_OK, "%s", e.msg);
  cr_expect_eq(espl_check_room("--out", "/dev/null", UINT64_MAX, &e), ESPL_OK, "%s", e.msg);
  cr_expect_eq(espl_check_room("--out", path, UINT64_MAX, &e), ESPL_E_IO);
  cr_expect(strstr(e.msg, "--out ") && strstr(e.msg, "/a: about 18446744073709551615 bytes will be written, its disk has room for "), "%s", e.msg);
  cr_expect_eq(entries(), 0, "nothing is made");
  free(path);
}
