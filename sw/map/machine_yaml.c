/* Reads machine points. */
#include "map/machine_yaml.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/yaml.h"
#include "device/root.h"

static espl_status read_memory(const espl_yaml_node *root, espl_machine *m, espl_err *err) {
  static const char *const keys[] = {"bytes", "read_latency", "write_latency", "num", "den", "outstanding", "shared_path", "turnaround", "banks", "row_bytes", "row_open", "row_close", "stall_mod", "stall_seed", NULL};
  const espl_yaml_node *n = NULL;
  ESPL_TRY(espl_yaml_get_map(root, "memory", ESPL_REQUIRED, &n, err));
  ESPL_TRY(espl_yaml_known_keys(n, keys, err));
  espl_mem_timing *t = &m->mem;
  int shared = 0;
  int64_t bytes = 0, seed = 0;
  ESPL_TRY(espl_yaml_get_int(n, "bytes", ESPL_REQUIRED, 8192, UINT32_MAX, &bytes, err));
  ESPL_TRY(espl_yaml_get_i32(n, "read_latency", ESPL_REQUIRED, 1, 1000, &t->read_latency, err));
  ESPL_TRY(espl_yaml_get_i32(n, "write_latency", ESPL_REQUIRED, 1, 1000, &t->write_latency, err));
  ESPL_TRY(espl_yaml_get_i32(n, "num", ESPL_REQUIRED, 1, 64, &t->num, err));
  ESPL_TRY(espl_yaml_get_i32(n, "den", ESPL_REQUIRED, 1, 64, &t->den, err));
  ESPL_TRY(espl_yaml_get_i32(n, "outstanding", ESPL_REQUIRED, 1, 16, &t->outstanding, err));
  ESPL_TRY(espl_yaml_get_bool(n, "shared_path", ESPL_REQUIRED, &shared, err));
  ESPL_TRY(espl_yaml_get_i32(n, "turnaround", ESPL_OPTIONAL, 0, 64, &t->turnaround, err));
  ESPL_TRY(espl_yaml_get_i32(n, "banks", ESPL_OPTIONAL, 0, 64, &t->banks, err));
  ESPL_TRY(espl_yaml_get_i32(n, "row_bytes", ESPL_OPTIONAL, 0, 65536, &t->row_bytes, err));
  ESPL_TRY(espl_yaml_get_i32(n, "row_open", ESPL_OPTIONAL, 0, 255, &t->row_open, err));
  ESPL_TRY(espl_yaml_get_i32(n, "row_close", ESPL_OPTIONAL, 0, 255, &t->row_close, err));
  ESPL_TRY(espl_yaml_get_i32(n, "stall_mod", ESPL_OPTIONAL, 0, 65535, &t->stall_mod, err));
  ESPL_TRY(espl_yaml_get_int(n, "stall_seed", ESPL_OPTIONAL, 0, UINT32_MAX, &seed, err));
  t->shared_path = shared;
  t->stall_seed = (uint32_t)seed;
  m->mem_bytes = (uint32_t)bytes;
  return ESPL_OK;
}

/* Limits that a file need not name: without them they are those of the contract. */
static int32_t unless_given(const char *name) {
  static const struct { const char *name; int32_t value; } t[] = {{"bursts", 16}, {"counters", 16}, {"dim_bits", 12}, {"kernel", 16}};
  for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
    if (strcmp(t[i].name, name) == 0) return t[i].value;
  return 0;
}

static espl_status read_param(const espl_yaml_node *root, const char *name, int32_t min, int32_t max, int32_t *out, espl_err *err) {
  *out = unless_given(name);
  return espl_yaml_get_i32(root, name, *out > 0 ? ESPL_OPTIONAL : ESPL_REQUIRED, min, max, out, err);
}

/* The first key that an objection names ("machine NAME: ..."), else the whole file. */
static const espl_yaml_node *place_of(const espl_yaml_node *root, const char *why) {
  const char *at = strstr(why, ": ");
  for (at = at ? at : why; *at;) {
    size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
    char word[32];
    if (n > 0 && n < sizeof word) {
      snprintf(word, sizeof word, "%.*s", (int)n, at);
      const espl_yaml_node *found = espl_yaml_find(root, word);
      if (!found) found = espl_yaml_find(espl_yaml_find(root, "memory"), word);
      if (found) return found;
    }
    at += n > 0 ? n : 1;
  }
  return root;
}

static espl_status read_machine(const espl_yaml_node *root, espl_machine *m, espl_err *err) {
#define X(c_name, RtlName, min, max) #c_name,
  static const char *const keys[] = {ESPL_PARAM_LIST(X) "memory", "clock_mhz", NULL};
#undef X
  ESPL_TRY(espl_yaml_known_keys(root, keys, err));
#define X(c_name, RtlName, min, max) ESPL_TRY(read_param(root, #c_name, min, max, &m->c_name, err));
  ESPL_PARAM_LIST(X)
#undef X
  ESPL_TRY(espl_yaml_get_float(root, "clock_mhz", ESPL_REQUIRED, 0.0, 10000.0, &m->clock_mhz, err));
  ESPL_TRY(read_memory(root, m, err));
  espl_err why = {0};
  if (espl_machine_check(m, &why) == ESPL_OK) return ESPL_OK;
  return espl_yaml_fail(place_of(root, why.msg), err, "%s", why.msg);
}

/* "folder/16x16.yaml" -> "16x16" */
static void name_of(const char *file, char name[ESPL_NAME_BYTES]) {
  const char *slash = strrchr(file, '/');
  snprintf(name, ESPL_NAME_BYTES, "%s", slash ? slash + 1 : file);
  char *dot = strstr(name, ".yaml");
  if (dot && dot != name) *dot = 0;
}

static espl_status from_document(espl_yaml *doc, const char *file, espl_machine *out, espl_err *err) {
  espl_machine m = {0};
  name_of(file, m.name);
  espl_status s = read_machine(espl_yaml_root(doc), &m, err);
  espl_yaml_free(doc);
  if (s == ESPL_OK) *out = m;
  return s;
}

espl_status espl_machine_parse(const char *file, const char *text, size_t n, espl_machine *out, espl_err *err) {
  espl_yaml *doc = NULL;
  ESPL_TRY(espl_yaml_parse(file, text, n, &doc, err));
  return from_document(doc, file, out, err);
}

espl_status espl_machine_load(const char *name_or_path, espl_machine *out, espl_err *err) {
  char path[PATH_MAX];
  espl_yaml *doc = NULL;
  ESPL_TRY(espl_config_path("machine", "configs/machines", name_or_path, path, sizeof path, err));
  ESPL_TRY(espl_yaml_load(path, &doc, err));
  return from_document(doc, path, out, err);
}
