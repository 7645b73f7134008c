/* Sweep files: networks, named machines, and grids of overrides on a base machine. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "graph/zoo.h"
#include "map/machine_yaml.h"
#include "onnx/onnx.h"
#include "steer/sweep.h"

enum { MAX_POINTS = 10000, SLOTS = 32768, MAX_NETS = 256, MAX_AXES = 64 };
#define NETWORK_LIMIT (256u << 20)

/* ---- points ---- */

/* The sweep being made, and its points by name: a hash table of 1 + index, 0 where it is free. */
typedef struct maker {
  espl_sweep *w;
  int32_t room;        /* points there is memory for */
  int32_t slot[SLOTS];
  size_t combinations; /* of all grids, repeated ones too */
} maker;

/* Place of the point in the table, or where it belongs. The table is never more than a third full. */
static int32_t *find_point(maker *mk, const char *name) {
  uint32_t h = 2166136261u; /* FNV-1a */
  for (const char *c = name; *c; c++) h = (h ^ (uint8_t)*c) * 16777619u;
  while (mk->slot[h % SLOTS] && strcmp(mk->w->point[mk->slot[h % SLOTS] - 1].name, name) != 0) h++;
  return &mk->slot[h % SLOTS];
}

static espl_status add_point(maker *mk, const char *name, const espl_machine *m, const espl_yaml_node *at, espl_err *err) {
  espl_sweep *w = mk->w;
  int32_t *slot = find_point(mk, name);
  if (*slot) return ESPL_OK; /* the same overrides of the same base */
  if (w->points == MAX_POINTS) return espl_yaml_fail(at, err, "more than %d machine points", MAX_POINTS);
  if (w->points == mk->room) {
    int32_t room = mk->room ? 2 * mk->room : 64;
    espl_sweep_point *more = realloc(w->point, (size_t)room * sizeof *more);
    if (!more) return espl_fail(err, ESPL_E_NOMEM, "sweep: out of memory");
    w->point = more;
    mk->room = room;
  }
  espl_sweep_point *p = &w->point[w->points++];
  *slot = w->points;
  snprintf(p->name, sizeof p->name, "%s", name);
  p->machine = *m;
  return ESPL_OK;
}

static espl_status named_points(maker *mk, const espl_yaml_node *root, espl_err *err) {
  const espl_yaml_node *list = NULL;
  ESPL_TRY(espl_yaml_get_list(root, "machines", ESPL_OPTIONAL, &list, err));
  if (list && espl_yaml_count(list) > MAX_POINTS) return espl_yaml_fail(list, err, "more than %d machines", MAX_POINTS);
  for (size_t i = 0; list && i < espl_yaml_count(list); i++) {
    const espl_yaml_node *n = espl_yaml_at(list, i);
    const char *name = NULL;
    espl_machine m;
    espl_err why = {0};
    ESPL_TRY(espl_yaml_as_string(n, &name, err));
    if (espl_machine_load(name, &m, &why) != ESPL_OK) return espl_yaml_fail(n, err, "%s", why.msg);
    ESPL_TRY(add_point(mk, m.name, &m, n, err));
  }
  return ESPL_OK;
}

#define X(c_name, RtlName, min, max) #c_name,
static const char *const axis_keys[] = {ESPL_PARAM_LIST(X) "read_latency", "write_latency", "num", "den", "outstanding", "shared_path", "bytes", NULL};
#undef X
/* Where the keys before "bytes" live in espl_machine, all int32. */
#define X(c_name, RtlName, min, max) offsetof(espl_machine, c_name),
static const size_t axis_place[] = {ESPL_PARAM_LIST(X) offsetof(espl_machine, mem.read_latency), offsetof(espl_machine, mem.write_latency),
                                    offsetof(espl_machine, mem.num), offsetof(espl_machine, mem.den), offsetof(espl_machine, mem.outstanding),
                                    offsetof(espl_machine, mem.shared_path)};
#undef X
enum { AXIS_BYTES = sizeof axis_place / sizeof axis_place[0], AXIS_SHARED = AXIS_BYTES - 1 };

static int axis_of(const char *key) {
  int k = 0;
  while (axis_keys[k] && strcmp(axis_keys[k], key) != 0) k++;
  return k;
}

/* Any value may be tried: legality is the machine's own business, and a result. */
static void set_parameter(espl_machine *m, int axis, int64_t v) {
  int32_t narrow = (int32_t)v;
  if (axis == AXIS_BYTES) m->mem_bytes = (uint32_t)v;
  else memcpy((char *)m + axis_place[axis], &narrow, sizeof narrow);
}

struct axis {
  int key;                      /* of axis_keys */
  const espl_yaml_node *values; /* list, or one scalar */
  size_t count;
};

static espl_status read_value(const struct axis *a, size_t i, int64_t *v, espl_err *err) {
  const espl_yaml_node *n = espl_yaml_node_kind(a->values) == ESPL_YAML_LIST ? espl_yaml_at(a->values, i) : a->values;
  int on = 0;
  if (a->key == AXIS_BYTES) return espl_yaml_as_int(n, 0, UINT32_MAX, v, err);
  if (a->key != AXIS_SHARED) return espl_yaml_as_int(n, INT32_MIN, INT32_MAX, v, err);
  ESPL_TRY(espl_yaml_as_bool(n, &on, err));
  *v = on;
  return ESPL_OK;
}

static espl_status grid_point(maker *mk, const espl_yaml_node *map, const struct axis *a, size_t axes, const size_t *at, espl_err *err) {
  const espl_sweep *w = mk->w;
  espl_machine m = w->base;
  char name[ESPL_SWEEP_NAME];
  size_t used = (size_t)snprintf(name, sizeof name, "%s", w->base.name);
  for (size_t k = 0; k < axes; k++) {
    int64_t v = 0;
    ESPL_TRY(read_value(&a[k], at[k], &v, err));
    set_parameter(&m, a[k].key, v);
    used += (size_t)snprintf(name + used, sizeof name - used, " %s=%lld", axis_keys[a[k].key], (long long)v);
    if (used >= sizeof name) return espl_yaml_fail(map, err, "the name of a point would be longer than %d characters; keep what does not vary in a base machine", ESPL_SWEEP_NAME - 1);
  }
  snprintf(m.name, sizeof m.name, "%.*s", ESPL_NAME_BYTES - 1, name);
  return add_point(mk, name, &m, map, err);
}

static espl_status one_grid(maker *mk, const espl_yaml_node *map, espl_err *err) {
  struct axis a[MAX_AXES];
  size_t axes = espl_yaml_count(map), at[MAX_AXES] = {0}, total = 1;
  ESPL_TRY(espl_yaml_known_keys(map, axis_keys, err));
  if (axes > MAX_AXES) return espl_yaml_fail(map, err, "more than %d parameters in a grid", MAX_AXES);
  for (size_t k = 0; k < axes; k++) {
    const espl_yaml_node *v = espl_yaml_at(map, k);
    if (espl_yaml_node_kind(v) == ESPL_YAML_MAP) return espl_yaml_fail(v, err, "found a map, expected a value or a list of values");
    a[k] = (struct axis){axis_of(espl_yaml_key_at(map, k)), v, espl_yaml_node_kind(v) == ESPL_YAML_LIST ? espl_yaml_count(v) : 1};
    if (a[k].count == 0) return espl_yaml_fail(v, err, "an empty list: a grid without points");
    total *= a[k].count;
    if (total > MAX_POINTS) return espl_yaml_fail(map, err, "a grid of more than %d points", MAX_POINTS);
  }
  if ((mk->combinations += total) > MAX_POINTS) return espl_yaml_fail(map, err, "the grids together have more than %d points", MAX_POINTS);
  for (size_t i = 0; i < total; i++) {
    size_t rest = i;
    for (size_t k = axes; k-- > 0;) {
      at[k] = rest % a[k].count;
      rest /= a[k].count;
    }
    ESPL_TRY(grid_point(mk, map, a, axes, at, err));
  }
  return ESPL_OK;
}

static espl_status grids(maker *mk, const espl_yaml_node *root, espl_err *err) {
  const espl_yaml_node *g = espl_yaml_find(root, "grid"), *b = espl_yaml_find(root, "base");
  const char *base = NULL;
  espl_sweep *w = mk->w;
  espl_err why = {0};
  ESPL_TRY(espl_yaml_get_string(root, "base", ESPL_OPTIONAL, &base, err));
  if (base && espl_machine_load(base, &w->base, &why) != ESPL_OK) return espl_yaml_fail(b, err, "%s", why.msg);
  if (!g) return ESPL_OK;
  if (espl_yaml_node_kind(g) != ESPL_YAML_LIST) return one_grid(mk, g, err);
  for (size_t i = 0; i < espl_yaml_count(g); i++) ESPL_TRY(one_grid(mk, espl_yaml_at(g, i), err));
  return ESPL_OK;
}

/* ---- networks ---- */

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), k = strlen(end);
  return n >= k && strcmp(s + n - k, end) == 0;
}

static espl_status from_file(const char *path, espl_sweep_net *n, espl_err *err) {
  char *data = NULL;
  size_t bytes = 0;
  ESPL_TRY(espl_read_file(path, NETWORK_LIMIT, &data, &bytes, err));
  espl_hash_bytes_hex(data, bytes, n->hash);
  free(data);
  return espl_onnx_read(path, &n->g, err);
}

static espl_status from_zoo(const char *name, espl_shape shape, int32_t classes, uint64_t seed, espl_sweep_net *n, espl_err *err) {
  espl_hash h;
  espl_hash_init(&h);
  espl_hash_string(&h, "own network 1");
  espl_hash_string(&h, name);
  const int64_t v[] = {shape.c, shape.h, shape.w, classes, (int64_t)seed};
  for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) espl_hash_u64(&h, (uint64_t)v[i]);
  espl_hash_final_hex(&h, n->hash);
  return espl_zoo_build(name, shape, classes, seed, &n->g, err);
}

static espl_status read_image(const espl_yaml_node *root, espl_shape *shape, int32_t *classes, espl_err *err) {
  const espl_yaml_node *image = NULL;
  int32_t *const side[] = {&shape->c, &shape->h, &shape->w};
  ESPL_TRY(espl_yaml_get_list(root, "image", ESPL_OPTIONAL, &image, err));
  if (image && espl_yaml_count(image) != 3) return espl_yaml_fail(image, err, "found %zu numbers, expected channels, height, width", espl_yaml_count(image));
  for (size_t i = 0; image && i < 3; i++) {
    int64_t v = 0;
    ESPL_TRY(espl_yaml_as_int(espl_yaml_at(image, i), 1, 4096, &v, err));
    *side[i] = (int32_t)v;
  }
  return espl_yaml_get_i32(root, "classes", ESPL_OPTIONAL, 2, 65536, classes, err);
}

static espl_status networks(espl_sweep *w, const espl_yaml_node *root, espl_err *err) {
  const espl_yaml_node *list = NULL;
  espl_shape shape = {3, 32, 32};
  int32_t classes = 10;
  ESPL_TRY(read_image(root, &shape, &classes, err));
  ESPL_TRY(espl_yaml_get_list(root, "networks", ESPL_REQUIRED, &list, err));
  size_t n = espl_yaml_count(list);
  if (n == 0 || n > MAX_NETS) return espl_yaml_fail(list, err, "found %zu networks, expected 1..%d", n, MAX_NETS);
  w->net = espl_calloc(n, sizeof *w->net);
  if (!w->net) return espl_fail(err, ESPL_E_NOMEM, "sweep: out of memory");
  for (size_t i = 0; i < n; i++) {
    const char *name = NULL;
    espl_err why = {0};
    const espl_yaml_node *at = espl_yaml_at(list, i);
    ESPL_TRY(espl_yaml_as_string(at, &name, err));
    for (int32_t k = 0; k < w->nets; k++)
      if (strcmp(w->net[k].name, name) == 0) return espl_yaml_fail(at, err, "network %s is there twice", name);
    espl_sweep_net *net = &w->net[w->nets++];
    if ((size_t)snprintf(net->name, sizeof net->name, "%s", name) >= sizeof net->name) return espl_yaml_fail(at, err, "a path longer than %d characters", ESPL_SWEEP_NAME - 1);
    espl_status s = ends_with(name, ".onnx") ? from_file(name, net, &why) : from_zoo(name, shape, classes, w->seed, net, &why);
    if (s == ESPL_E_INPUT) return espl_yaml_fail(at, err, "%s", why.msg);
    if (s != ESPL_OK) return espl_fail(err, s, "%s", why.msg);
  }
  return ESPL_OK;
}

static espl_status read_sweep(maker *mk, const espl_yaml_node *root, const uint64_t *own_seed, espl_err *err) {
  static const char *const keys[] = {"name", "networks", "image", "classes", "seed", "board", "machines", "base", "grid", NULL};
  const char *name = "sweep", *board = "";
  int64_t seed = 1;
  espl_sweep *w = mk->w;
  ESPL_TRY(espl_yaml_known_keys(root, keys, err));
  ESPL_TRY(espl_yaml_get_string(root, "name", ESPL_OPTIONAL, &name, err));
  ESPL_TRY(espl_yaml_get_int(root, "seed", ESPL_OPTIONAL, 0, INT64_MAX, &seed, err));
  ESPL_TRY(espl_yaml_get_string(root, "board", ESPL_OPTIONAL, &board, err));
  snprintf(w->name, sizeof w->name, "%s", name);
  if ((size_t)snprintf(w->board, sizeof w->board, "%s", board) >= sizeof w->board) return espl_yaml_fail(espl_yaml_find(root, "board"), err, "longer than %zu characters", sizeof w->board - 1);
  w->seed = own_seed ? *own_seed : (uint64_t)seed;
  ESPL_TRY(named_points(mk, root, err));
  ESPL_TRY(grids(mk, root, err));
  if (w->points == 0) return espl_yaml_fail(root, err, "no machine: expected `machines`, `grid`, or both");
  return networks(w, root, err);
}

espl_status espl_sweep_load(const char *path, const uint64_t *seed, espl_sweep **out, espl_err *err) {
  espl_yaml *doc = NULL;
  *out = NULL;
  ESPL_TRY(espl_yaml_load(path, &doc, err));
  espl_sweep *w = espl_calloc(1, sizeof *w);
  maker *mk = espl_calloc(1, sizeof *mk);
  if (w) espl_machine_default(&w->base);
  if (mk) mk->w = w;
  espl_status s = w && mk ? read_sweep(mk, espl_yaml_root(doc), seed, err) : espl_fail(err, ESPL_E_NOMEM, "sweep: out of memory");
  free(mk);
  espl_yaml_free(doc);
  if (s == ESPL_OK) *out = w;
  else espl_sweep_free(w);
  return s;
}

void espl_sweep_free(espl_sweep *w) {
  if (!w) return;
  for (int32_t i = 0; i < w->nets; i++) espl_graph_free(w->net[i].g);
  free(w->net);
  free(w->point);
  free(w);
}
