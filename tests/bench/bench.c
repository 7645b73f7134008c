/* Speed of the simulator: mapping and the timing engine on own networks with seeded weights, and the Verilated core in SystemC.
 * One line a figure, tab-separated: name, value, unit, note. Times are the best of several repetitions (what the code costs when nobody else
 * is on the processor).
 *
 * usage: bench timing|rtl NETWORK MACHINE */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "graph/zoo.h"
#include "map/machine_yaml.h"
#include "map/map.h"

enum { REPEAT = 7 };

static espl_status timing(const espl_qnet *q, const espl_machine *m, const char *net, espl_err *err) {
  double map = 1e9, sim = 1e9;
  uint64_t cycles = 0;
  double roof = 0, util = 0;
  for (int i = 0; i < REPEAT; i++) {
    espl_program *p = NULL;
    espl_sim_result r = {0};
    double t0 = espl_now();
    ESPL_TRY(espl_map_network(q, m, &p, err));
    double t1 = espl_now();
    ESPL_TRY(espl_simulate(p, q, ESPL_ENGINE_TIMING, NULL, NULL, &r, err));
    double t2 = espl_now();
    if (t1 - t0 < map) map = t1 - t0;
    if (t2 - t1 < sim) sim = t2 - t1;
    cycles = r.total.cycles;
    roof = r.total.roof_fraction;
    util = r.total.utilization;
    espl_sim_result_clear(&r);
    espl_program_free(p);
  }
  printf("timing engine, %s on %s\t%.2f\tms\t%llu cycles, %.0f Mcycles/s\n", net, m->name, 1e3 * sim, (unsigned long long)cycles, 1e-6 * (double)cycles / sim);
  printf("mapping, %s on %s\t%.2f\tms\t\n", net, m->name, 1e3 * map);
  printf("roof_fraction, %s on %s\t%.2f\t%%\tutilization %.2f %%\n", net, m->name, 100 * roof, 100 * util);
  return ESPL_OK;
}

/* Wall time of the whole run of the platform process, its start and the transfer of memory included. */
static espl_status rtl(const espl_qnet *q, const espl_machine *m, const char *net, espl_err *err) {
  espl_program *p = NULL;
  double best = 1e9;
  uint64_t cycles = 0;
  ESPL_TRY(espl_device_rtl_prepare(m, err));
  ESPL_TRY(espl_map_network(q, m, &p, err));
  for (int i = 0; i < 3; i++) {
    espl_sim_result r = {0};
    double t0 = espl_now();
    ESPL_TRY(espl_simulate(p, q, ESPL_ENGINE_RTL, NULL, NULL, &r, err));
    double t = espl_now() - t0;
    if (t < best) best = t;
    cycles = r.total.cycles;
    espl_sim_result_clear(&r);
  }
  espl_program_free(p);
  printf("SystemC platform, %s on %s\t%.0f\tcycles/s\t%llu cycles in %.2f s\n", net, m->name, (double)cycles / best, (unsigned long long)cycles, best);
  return ESPL_OK;
}

int main(int argc, char **argv) {
  espl_err err = {0};
  espl_machine m;
  espl_graph *g = NULL;
  espl_qnet *q = NULL;
  espl_quant_config c;
  espl_preprocess pp;
  if (argc != 4 || (strcmp(argv[1], "timing") != 0 && strcmp(argv[1], "rtl") != 0)) {
    fputs("usage: bench timing|rtl NETWORK MACHINE\n", stderr);
    return 2;
  }
  espl_quant_default(&c);
  espl_preprocess_default(&pp);
  espl_status s = espl_machine_load(argv[3], &m, &err);
  if (s == ESPL_OK) s = espl_zoo_build(argv[2], (espl_shape){3, 32, 32}, 10, 1, &g, &err);
  if (s == ESPL_OK) s = espl_quantize(g, NULL, &pp, &c, &q, &err);
  if (s == ESPL_OK) s = strcmp(argv[1], "rtl") == 0 ? rtl(q, &m, argv[2], &err) : timing(q, &m, argv[2], &err);
  if (s != ESPL_OK) fprintf(stderr, "bench: %s\n", err.msg);
  espl_qnet_free(q);
  espl_graph_free(g);
  return espl_status_exit(s);
}
