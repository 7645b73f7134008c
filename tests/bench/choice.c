/* How good the mapper's choice of tiles is: cycles of every layer of a network by map_choose, beside map_choose_full, which measures every plan
 * it looks at. One line a network and machine, tab-separated: name, difference in percent, "%", note. Times are processor time.
 *
 * usage: choice NETWORK|NET.onnx|TABLE.csv MACHINE */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "graph/zoo.h"
#include "map/machine_yaml.h"
#include "map/map_int.h"
#include "map/topology.h"
#include "onnx/onnx.h"

typedef struct sums {
  uint64_t full, chosen;
  double full_seconds, chosen_seconds, worst; /* worst: layer, in percent */
} sums;

static double processor_time(void) { return (double)clock() / CLOCKS_PER_SEC; }

static espl_status layer(const espl_qnet *q, int32_t i, const espl_machine *m, sums *t, espl_err *err) {
  map_geom g;
  map_plan p;
  map_measured full, chosen;
  ESPL_TRY(map_geom_init(&g, q, i, m, -1, err));
  double t0 = processor_time();
  espl_status s = map_choose_full(&g, &p, &full, err);
  double t1 = processor_time();
  if (s == ESPL_OK) s = map_choose(&g, &p, &chosen, err);
  t->full_seconds += t1 - t0;
  t->chosen_seconds += processor_time() - t1;
  if (s == ESPL_OK) {
    uint32_t a = full.counter[ESPL_CNT_CYCLES], b = chosen.counter[ESPL_CNT_CYCLES];
    double loss = 100 * ((double)b / a - 1);
    t->full += a;
    t->chosen += b;
    if (loss > t->worst) t->worst = loss;
  }
  map_geom_clear(&g);
  return s;
}

static espl_status table(const char *path, const espl_machine *m, sums *t, espl_err *err) {
  espl_topology *topo = NULL;
  ESPL_TRY(espl_topology_load(path, ESPL_TOPO_AUTO, &topo, err));
  espl_status s = ESPL_OK;
  for (int32_t i = 0; i < topo->layers && s == ESPL_OK; i++) {
    espl_qnet *q = NULL;
    s = espl_topology_qnet(topo, i, 1, m, 1, &q, err);
    if (s == ESPL_OK) s = layer(q, 0, m, t, err);
    espl_qnet_free(q);
  }
  espl_topology_free(topo);
  return s;
}

static espl_status network(const char *name, const espl_machine *m, sums *t, espl_err *err) {
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  espl_quant_config c;
  espl_preprocess pp;
  espl_quant_default(&c);
  espl_preprocess_default(&pp);
  espl_status s = strstr(name, ".onnx") ? espl_onnx_read(name, &g, err) : espl_zoo_build(name, (espl_shape){3, 32, 32}, 10, 1, &g, err);
  if (s == ESPL_OK) s = espl_quantize(g, NULL, &pp, &c, &q, err);
  for (int32_t i = 0; s == ESPL_OK && i < q->layers; i++) s = layer(q, i, m, t, err);
  espl_qnet_free(q);
  espl_graph_free(g);
  return s;
}

int main(int argc, char **argv) {
  espl_err err = {0};
  espl_machine m;
  sums t = {.worst = -100};
  if (argc != 3) {
    fputs("usage: choice NETWORK|NET.onnx|TABLE.csv MACHINE\n", stderr);
    return 2;
  }
  espl_status s = espl_machine_load(argv[2], &m, &err);
  if (s == ESPL_OK) s = strstr(argv[1], ".csv") ? table(argv[1], &m, &t, &err) : network(argv[1], &m, &t, &err);
  if (s != ESPL_OK) fprintf(stderr, "choice: %s\n", err.msg);
  const char *slash = strrchr(argv[1], '/');
  if (s == ESPL_OK)
    printf("choice against full search, %s on %s\t%+.3f\t%%\t%llu and %llu cycles, worst layer %+.2f %%, %.0f and %.0f ms\n", slash ? slash + 1 : argv[1], m.name,
           100 * ((double)t.chosen / (double)t.full - 1), (unsigned long long)t.chosen, (unsigned long long)t.full, t.worst, 1e3 * t.chosen_seconds, 1e3 * t.full_seconds);
  return espl_status_exit(s);
}
