/* Reads energy tables and applies them to event counts. */
#include "cost/energy.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/yaml.h"
#include "device/root.h"

static espl_status read_table(const espl_yaml_node *root, const char *path, espl_energy_table *out, espl_err *err) {
  static const char *const keys[] = {"mac", "buffer_byte", "bus_byte", "cycle", NULL};
  espl_energy_table t = {0};
  double *const to[] = {&t.mac_pj, &t.buffer_byte_pj, &t.bus_byte_pj, &t.cycle_pj};
  ESPL_TRY(espl_yaml_known_keys(root, keys, err));
  for (int i = 0; keys[i]; i++) ESPL_TRY(espl_yaml_get_float(root, keys[i], ESPL_REQUIRED, 0.0, 1e9, to[i], err));
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  snprintf(t.name, sizeof t.name, "%.*s", (int)(strlen(base) > 5 && strcmp(base + strlen(base) - 5, ".yaml") == 0 ? strlen(base) - 5 : strlen(base)), base);
  *out = t;
  return ESPL_OK;
}

espl_status espl_energy_load(const char *name_or_path, espl_energy_table *out, espl_err *err) {
  char file[PATH_MAX];
  espl_yaml *doc = NULL;
  ESPL_TRY(espl_config_path("energy table", "configs/energy", name_or_path, file, sizeof file, err));
  ESPL_TRY(espl_yaml_load(file, &doc, err));
  espl_status s = read_table(espl_yaml_root(doc), file, out, err);
  espl_yaml_free(doc);
  return s;
}

espl_energy espl_energy_of(const espl_energy_table *t, const espl_machine *m, const espl_energy_events *e) {
  const double accumulators = 2.0 * (double)m->cols * (double)m->acc_w / 8.0;
  const double buffer = (double)e->busy * ((double)m->rows + accumulators) + (double)e->tiles * (double)espl_tile_bytes(m, m->w_bits) + (double)e->bus_bytes;
  return (espl_energy){(double)e->macs * t->mac_pj, buffer * t->buffer_byte_pj, (double)e->bus_bytes * t->bus_byte_pj, (double)e->cycles * t->cycle_pj};
}

double espl_energy_total(const espl_energy *e) { return e->mac + e->buffer + e->bus + e->cycle; }
