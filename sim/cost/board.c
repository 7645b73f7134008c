/* Reads board files. */
#include "cost/board.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/yaml.h"
#include "device/root.h"

static const char *const family_names[] = {"ice40up", "ice40hx", "ecp5", "xc7", NULL};
static const char *const resource_names[] = {"lut", "ff", "dsp", "bram", "spram"};

const char *espl_family_name(espl_family f) { return family_names[f]; }
const char *espl_resource_name(espl_resource r) { return resource_names[r]; }

espl_status espl_board_names(char names[][64], int max, int *n, espl_err *err) {
  char folder[PATH_MAX];
  struct dirent **e = NULL;
  ESPL_TRY(espl_root_path("configs/boards", folder, sizeof folder, err));
  const int count = scandir(folder, &e, NULL, alphasort);
  if (count < 0) return espl_fail(err, ESPL_E_INPUT, "%s: %s", folder, strerror(errno));
  *n = 0;
  for (int i = 0; i < count; i++) {
    const size_t len = strlen(e[i]->d_name);
    if (len > 5 && len < 64 && strcmp(e[i]->d_name + len - 5, ".yaml") == 0 && *n < max) snprintf(names[(*n)++], 64, "%.*s", (int)len - 5, e[i]->d_name);
    free(e[i]);
  }
  free(e);
  return ESPL_OK;
}

static espl_status copy_text(const espl_yaml_node *root, const char *key, espl_need need, char *out, size_t n, espl_err *err) {
  const char *text = "";
  ESPL_TRY(espl_yaml_get_string(root, key, need, &text, err));
  if (strlen(text) >= n) return espl_yaml_fail(espl_yaml_find(root, key), err, "%s: longer than %zu bytes", key, n - 1);
  snprintf(out, n, "%s", text);
  return ESPL_OK;
}

static espl_status read_board(const espl_yaml_node *root, espl_board *b, espl_err *err) {
  static const char *const keys[] = {"part", "family", "machine", "lut", "ff", "dsp", "bram", "spram", "pack", "core_mhz", "baud", "pnr", "seeds", "network", "board_machine", NULL};
  int family = 0;
  ESPL_TRY(espl_yaml_known_keys(root, keys, err));
  ESPL_TRY(copy_text(root, "part", ESPL_REQUIRED, b->part, sizeof b->part, err));
  ESPL_TRY(copy_text(root, "machine", ESPL_REQUIRED, b->machine, sizeof b->machine, err));
  ESPL_TRY(copy_text(root, "pack", ESPL_OPTIONAL, b->pack, sizeof b->pack, err));
  ESPL_TRY(espl_yaml_get_choice(root, "family", ESPL_REQUIRED, family_names, &family, err));
  b->family = (espl_family)family;
  ESPL_TRY(espl_yaml_get_float(root, "core_mhz", ESPL_REQUIRED, 1, 1000, &b->core_mhz, err));
  ESPL_TRY(espl_yaml_get_float(root, "baud", ESPL_REQUIRED, 9600, 12e6, &b->baud, err));
  for (int r = 0; r < ESPL_RESOURCES; r++) ESPL_TRY(espl_yaml_get_int(root, resource_names[r], ESPL_REQUIRED, 0, 100000000, &b->has[r], err));
  return ESPL_OK;
}

espl_status espl_board_load(const char *name_or_path, espl_board *out, espl_err *err) {
  char path[PATH_MAX];
  espl_board b = {.pack = ""};
  ESPL_TRY(espl_config_path("board", "configs/boards", name_or_path, path, sizeof path, err));
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  const size_t len = strlen(base), name = len > 5 && strcmp(base + len - 5, ".yaml") == 0 ? len - 5 : len;
  if (name >= sizeof b.name) return espl_fail(err, ESPL_E_INPUT, "board %s: a name longer than %zu characters", path, sizeof b.name - 1);
  snprintf(b.name, sizeof b.name, "%.*s", (int)name, base);
  espl_yaml *doc = NULL;
  ESPL_TRY(espl_yaml_load(path, &doc, err));
  espl_status s = read_board(espl_yaml_root(doc), &b, err);
  espl_yaml_free(doc);
  if (s == ESPL_OK) *out = b;
  return s;
}
