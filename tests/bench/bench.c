/* Speed of the simulator: mapping and the timing engine on own networks with seeded weights, and the Verilated core in SystemC.
 * One line a figure, tab-separated: name, value, unit, note. Times are the best of several repetitions (what the code costs when nobody else
 * is on the processor).
 *
 * usage: bench timing|rtl NETWORK MACHINE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "device/rtl.h"
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

/* Cycles per second of processor time, start of the process and transfer of memory not included; the best of several runs. */
static espl_status best_speed(espl_rtl *rtl, const espl_program *p, const espl_machine *m, double *best, uint64_t *cycles, espl_err *err) {
  espl_run_result r = {0};
  uint8_t *memory = malloc(p->mem_bytes);
  if (!memory) return espl_fail(err, ESPL_E_NOMEM, "no memory for a run");
  memcpy(memory, p->image, p->mem_bytes); /* the input is zero: activations are those that its biases make */
  espl_machine own = *m;
  own.mem_bytes = p->mem_bytes;
  espl_run run = {.machine = &own, .memory = memory, .prog_addr = p->prog_addr, .prog_bytes = p->prog_bytes};
  espl_status s = espl_rtl_run(rtl, &run, &r, err);
  if (s == ESPL_OK) {
    double speed = (double)r.cycles / espl_rtl_cpu_seconds(rtl);
    if (speed > *best) *best = speed;
    *cycles = r.cycles;
  }
  espl_run_result_clear(&r);
  free(memory);
  return s;
}

/* The SystemC platform beside a plain loop around the same core, in turns. */
static espl_status rtl(const espl_qnet *q, const espl_machine *m, const char *net, espl_err *err) {
  espl_program *p = NULL;
  espl_rtl *platform = NULL, *bare = NULL;
  double speed[2] = {0, 0};
  uint64_t cycles = 0;
  espl_status s = espl_map_network(q, m, &p, err);
  if (s == ESPL_OK) s = espl_rtl_open(m, ESPL_RTL_PLATFORM, NULL, &platform, err);
  if (s == ESPL_OK) s = espl_rtl_open(m, ESPL_RTL_BARE, NULL, &bare, err);
  for (int i = 0; i < REPEAT && s == ESPL_OK; i++) {
    s = best_speed(platform, p, m, &speed[0], &cycles, err);
    if (s == ESPL_OK) s = best_speed(bare, p, m, &speed[1], &cycles, err);
  }
  if (s == ESPL_OK) {
    printf("SystemC platform, %s on %s\t%.0f\tcycles/s\t%llu cycles\n", net, m->name, speed[0], (unsigned long long)cycles);
    printf("plain Verilator loop, %s on %s\t%.0f\tcycles/s\tplatform %.2fx\n", net, m->name, speed[1], speed[0] / speed[1]);
  }
  espl_rtl_close(platform);
  espl_rtl_close(bare);
  espl_program_free(p);
  return s;
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
