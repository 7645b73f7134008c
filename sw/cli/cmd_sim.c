/* espalier sim: a network on a machine: cycles, utilization and stalls of every layer, on the C model, the RTL or both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/area.h"
#include "cli/commands.h"
#include "cli/quantized.h"
#include "cli/topology.h"
#include "cost/energy.h"
#include "map/machine_yaml.h"
#include "map/map.h"

enum { MODEL, RTL, BOTH };
static const char *const engines[] = {"model", "rtl", "both", NULL};
static const char *const causes[] = {"load", "store", "bank", "weights", "fill", "full"};

typedef struct sim {
  espl_cli *cli;
  espl_quantized_args a;
  espl_topology_args t;
  const char *network, *machine_name, *trace_path;
  const char *energy_name;
  espl_energy_table energy; /* of energy_name */
  const char *board_name;
  espl_cli_area cost;       /* of board_name */
  int64_t trace_from, trace_to, batch;
  espl_trace trace;
  int engine;
  espl_machine machine;
  espl_graph *g;
  espl_qnet *q;
  espl_program *p;
  int8_t *input;
  espl_sim_result r;
  int agree; /* -1: not compared */
} sim;

static void row(FILE *f, const espl_sim_layer *l) {
  fprintf(f, "%-28.28s %10llu %12llu %6.1f %6.1f", l->name, (unsigned long long)l->cycles, (unsigned long long)l->macs, 100 * l->utilization, 100 * l->roof_fraction);
  for (int i = 0; i < 6; i++) fprintf(f, " %7llu", (unsigned long long)l->stall[i]);
  fprintf(f, " %10llu %9llu %6llu %6llu\n", (unsigned long long)l->read_bytes, (unsigned long long)l->write_bytes, (unsigned long long)l->tiles,
          (unsigned long long)l->tiles_skipped);
}

static espl_energy energy_of(const sim *s, const espl_sim_layer *l) {
  const espl_energy_events e = {l->cycles, l->macs, l->busy, l->tiles, l->read_bytes + l->write_bytes};
  return espl_energy_of(&s->energy, &s->machine, &e);
}

static void energy_line(FILE *f, const sim *s) {
  const espl_energy e = energy_of(s, &s->r.total);
  const double all = espl_energy_total(&e), share = all > 0 ? 100 / all : 0;
  fprintf(f, "%.4g uJ by %s: multiply-accumulate %.1f %%, buffers %.1f %%, bus %.1f %%, clock %.1f %%\n", 1e-6 * all, s->energy.name, share * e.mac,
          share * e.buffer, share * e.bus, share * e.cycle);
}

/* What the cost model says: time at the clock that routed designs reach on the board, and whether the core fits. */
static espl_status board_line(FILE *f, const sim *s) {
  const espl_cli_area *c = &s->cost;
  const double cycles = (double)s->r.total.cycles;
  espl_area a;
  ESPL_TRY(espl_area_estimate(c->model, &s->machine, c->board.family, &a, &s->cli->err));
  if (c->clock.routed)
    fprintf(f, "%s: %.3f ms at %.1f MHz (%.3f to %.3f ms)", c->board.name, espl_cli_ms(cycles, c->clock.mhz), c->clock.mhz, espl_cli_ms(cycles, c->clock.high), espl_cli_ms(cycles, c->clock.low));
  else fprintf(f, "%s: no design has been routed for it, so no clock", c->board.name);
  fprintf(f, "; the core %s, %.0f %% of the logic (estimates, espalier cost)\n", espl_area_fits(&a, &c->board) ? "fits" : "does not fit",
          100 * espl_area_logic(&a, c->board.family) / (double)c->board.has[ESPL_LUT]);
  return ESPL_OK;
}

static espl_status table(const sim *s) {
  FILE *f = espl_cli_out(s->cli);
  const espl_machine *m = &s->machine;
  fprintf(f, "%s on %s (%dx%d, %s)\n", s->network, m->name, (int)m->rows, (int)m->cols, engines[s->engine]);
  fprintf(f, "%-28s %10s %12s %6s %6s", "layer", "cycles", "macs", "util%", "roof%");
  for (int i = 0; i < 6; i++) fprintf(f, " %7s", causes[i]);
  fprintf(f, " %10s %9s %6s %6s\n", "read B", "write B", "tiles", "skip");
  for (int32_t i = 0; i < s->r.layers; i++) row(f, &s->r.layer[i]);
  row(f, &s->r.total);
  if (s->batch > 1) fprintf(f, "%d images, %.1f cycles each\n", (int)s->batch, (double)s->r.total.cycles / (double)s->batch);
  if (m->clock_mhz > 0) fprintf(f, "%.3f ms at %g MHz", (double)s->r.total.cycles / m->clock_mhz / 1000, m->clock_mhz);
  fprintf(f, "%s%llu cycles belong to no layer\n", m->clock_mhz > 0 ? "; " : "", (unsigned long long)s->r.overhead);
  if (s->p)
    fprintf(f, "%u bytes of memory, tensors %u (%llu side by side), program %u\n", (unsigned)s->p->mem_bytes, (unsigned)s->p->tensor_bytes,
            (unsigned long long)s->p->tensor_bytes_apart, (unsigned)s->p->prog_bytes);
  if (s->energy_name) energy_line(f, s);
  if (s->board_name) ESPL_TRY(board_line(f, s));
  if (s->agree >= 0) fprintf(f, "model and rtl %s\n", s->agree ? "agree in every byte, cycle and counter" : "DIFFER");
  return ESPL_OK;
}

static void json_layer(const sim *s, espl_json *w, const espl_sim_layer *l, int named) {
  if (named) espl_json_str(w, "name", l->name);
  const struct { const char *key; uint64_t v; } t[] = {{"cycles", l->cycles}, {"macs", l->macs}, {"macs_dense", l->macs_dense}, {"busy_cycles", l->busy}, {"idle_cycles", l->idle},
      {"roof_cycles", l->roof_cycles}, {"read_bytes", l->read_bytes}, {"write_bytes", l->write_bytes}, {"tiles", l->tiles}, {"tiles_skipped", l->tiles_skipped}, {"bus_waits", l->bus}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) espl_json_uint(w, t[i].key, t[i].v);
  espl_json_num(w, "utilization", l->utilization);
  espl_json_num(w, "roof_fraction", l->roof_fraction);
  if (s->energy_name) {
    const espl_energy e = energy_of(s, l);
    espl_json_num(w, "energy_pj", espl_energy_total(&e));
  }
  espl_json_object(w, "stalls");
  for (int i = 0; i < 6; i++) espl_json_uint(w, causes[i], l->stall[i]);
  espl_json_close(w);
}

static espl_status json(const sim *s) {
  espl_json *w = NULL;
  ESPL_TRY(espl_cli_json_begin(s->cli, &w));
  if (!w) return ESPL_OK;
  espl_json_object(w, NULL);
  espl_json_str(w, "machine", s->machine.name);
  espl_json_str(w, "network", s->network);
  espl_json_str(w, "engine", engines[s->engine]);
  espl_json_uint(w, "images", (uint64_t)s->batch);
  if (s->agree >= 0) espl_json_bool(w, "agree", s->agree);
  if (s->p) {
    espl_json_uint(w, "memory_bytes", s->p->mem_bytes);
    espl_json_uint(w, "tensor_bytes", s->p->tensor_bytes);
    espl_json_uint(w, "tensor_bytes_apart", s->p->tensor_bytes_apart);
  }
  if (s->board_name && s->cost.clock.routed) {
    espl_json_object(w, "board");
    espl_json_str(w, "name", s->cost.board.name);
    espl_json_num(w, "mhz", s->cost.clock.mhz);
    espl_json_num(w, "milliseconds", espl_cli_ms((double)s->r.total.cycles, s->cost.clock.mhz));
    espl_json_close(w);
  }
  espl_json_object(w, "total");
  json_layer(s, w, &s->r.total, 0);
  espl_json_uint(w, "overhead", s->r.overhead);
  espl_json_close(w);
  espl_json_array(w, "layers");
  for (int32_t i = 0; i < s->r.layers; i++) {
    espl_json_object(w, NULL);
    json_layer(s, w, &s->r.layer[i], 1);
    espl_json_close(w);
  }
  espl_json_close(w);
  espl_json_close(w);
  return espl_cli_json_end(s->cli, w);
}

/* Runs both bodies on the same input and compares memory, cycles and every counter; a difference is left in cli->err (E_MISMATCH). */
static espl_status compare(sim *s) {
  espl_err *err = &s->cli->err;
  uint8_t *a = espl_calloc(s->p->mem_bytes, 1), *b = espl_calloc(s->p->mem_bytes, 1);
  espl_run_result ra = {0}, rb = {0};
  espl_machine m = s->machine;
  m.mem_bytes = s->p->mem_bytes;
  espl_status st = a && b ? ESPL_OK : espl_fail(err, ESPL_E_NOMEM, "sim: out of memory");
  if (st == ESPL_OK) st = espl_program_run(s->p, s->q, ESPL_ENGINE_MODEL, s->input, NULL, a, &ra, err);
  if (st == ESPL_OK) st = espl_program_run(s->p, s->q, ESPL_ENGINE_RTL, s->input, s->trace_path ? &s->trace : NULL, b, &rb, err);
  if (st == ESPL_OK) {
    st = espl_device_compare(&m, &ra, a, "model", &rb, b, "rtl", err);
    s->agree = st == ESPL_OK;
  }
  free(a);
  free(b);
  espl_run_result_clear(&ra);
  espl_run_result_clear(&rb);
  return st;
}

/* Validation images from the first one on, all over again behind the last; seeded pixels without data. */
static espl_status make_input(sim *s) {
  espl_preprocess pp;
  int64_t n = espl_shape_elems(s->q->tensor[0].shape);
  s->input = espl_calloc((size_t)(n * s->batch), 1);
  if (!s->input) return espl_fail(&s->cli->err, ESPL_E_NOMEM, "sim: out of memory");
  if (!s->a.data) {
    for (int64_t i = 0; i < n * s->batch; i++) s->input[i] = (int8_t)(uint8_t)espl_rng_u64(s->cli->seed, 0x696e707574u, (uint64_t)i);
    return ESPL_OK;
  }
  espl_dataset *d = NULL;
  float *x = espl_calloc((size_t)n, sizeof *x);
  espl_status st = x ? espl_cli_preprocess(&s->a, s->g, &pp, &s->cli->err) : espl_fail(&s->cli->err, ESPL_E_NOMEM, "sim: out of memory");
  if (st == ESPL_OK) st = espl_cli_open(s->cli, &s->a, ESPL_SPLIT_VAL, &d);
  for (int64_t i = 0; st == ESPL_OK && i < s->batch; i++) {
    espl_data_image(d, (int32_t)(i % d->n), &pp, 0, 0, x);
    espl_qnet_input(s->q, x, s->input + i * n);
  }
  free(x);
  espl_data_free(d);
  return st;
}

static espl_status run(sim *s) {
  espl_cli *cli = s->cli;
  ESPL_TRY(espl_machine_load(s->machine_name, &s->machine, &cli->err));
  ESPL_TRY(espl_cli_network(cli, &s->a, s->network, 1, &s->g, &s->q));
  if (!s->q) ESPL_TRY(espl_cli_quantize(cli, &s->a, s->g, &s->q));
  const espl_map_config cfg = {.images = (int32_t)s->batch};
  ESPL_TRY(espl_map_build(s->q, &s->machine, &cfg, &s->p, &cli->err));
  ESPL_TRY(make_input(s));
  if (s->engine != MODEL) ESPL_TRY(espl_device_rtl_prepare(&s->machine, &cli->err));
  espl_status st = s->engine == BOTH ? compare(s) : ESPL_OK;
  if (st != ESPL_OK && st != ESPL_E_MISMATCH) return st;
  espl_err err = {0};
  espl_engine e = s->engine == RTL ? ESPL_ENGINE_RTL : ESPL_ENGINE_MODEL;
  espl_status shown = espl_simulate(s->p, s->q, e, s->input, s->engine == RTL && s->trace_path ? &s->trace : NULL, &s->r, &err);
  if (shown != ESPL_OK) return st != ESPL_OK ? st : espl_fail(&cli->err, shown, "%s", err.msg);
  ESPL_TRY(table(s));
  ESPL_TRY(json(s));
  return st;
}

/* A layer table: on the exact machine with the output of any network, or by the closed form with its own. */
static espl_status run_table(sim *s) {
  if (s->t.timing) return espl_cli_topology_scale(s->cli, &s->t, s->network, s->machine_name);
  ESPL_TRY(espl_machine_load(s->machine_name, &s->machine, &s->cli->err));
  ESPL_TRY(espl_cli_topology_run(s->cli, &s->t, s->network, &s->machine, s->engine, s->trace_path ? &s->trace : NULL, &s->r, &s->agree));
  ESPL_TRY(table(s));
  return json(s);
}

espl_status espl_cmd_sim(espl_cli *cli, int argc, char **argv) {
  sim s = {.cli = cli, .agree = -1, .trace_to = -1, .batch = 1};
  const char *args[1];
  int n_args = 0;
  const espl_opt opts[] = {
      {.name = "machine", .type = ESPL_OPT_STRING, .arg = "M", .value = &s.machine_name, .help = "a file, or a name in configs/machines"},
      {.name = "engine", .type = ESPL_OPT_CHOICE, .arg = "model|rtl|both", .value = &s.engine, .choices = engines, .without = "timing=scale-sim", .help = "C model (default), Verilated RTL, or both compared"},
      {.name = "batch", .type = ESPL_OPT_INT, .arg = "N", .value = &s.batch, .min = 1, .max = 1024, .only = "network", .help = "images of one run, in one program (default 1)"},
      {.name = "trace", .type = ESPL_OPT_STRING, .arg = "FILE", .value = &s.trace_path, .with = "engine=rtl|engine=both", .help = "FST waveform of the RTL"},
      {.name = "trace-from", .type = ESPL_OPT_INT, .arg = "CYCLE", .value = &s.trace_from, .min = 0, .max = 1e15, .with = "trace", .help = "first cycle of the waveform (default 0, the start)"},
      {.name = "trace-to", .type = ESPL_OPT_INT, .arg = "CYCLE", .value = &s.trace_to, .min = 0, .max = 1e15, .with = "trace", .help = "its last cycle (default: to the end)"},
      {.name = "energy", .type = ESPL_OPT_STRING, .arg = "TABLE", .value = &s.energy_name, .without = "timing=scale-sim", .help = "estimate energy by a table: a file, or a name in configs/energy"},
      {.name = "board", .type = ESPL_OPT_STRING, .arg = "B", .value = &s.board_name, .without = "timing=scale-sim", .help = "estimate the time on a board of configs/boards, and whether the core fits"},
      {.name = "data", .type = ESPL_OPT_STRING, .arg = "DIR", .value = &s.a.data, .only = "network", .help = "calibrate a float network on its training images and run a validation image (default: seeded random input)"},
      ESPL_QUANTIZED_OPTIONS(s.a, "data", NULL, "data"),
      ESPL_TOPOLOGY_OPTIONS(s.t),
  };
  const espl_opt_spec spec = {.usage = "NETWORK.onnx|TABLE.csv --machine M [--engine model|rtl|both]",
                              .summary = "Quantizes the network (or takes the layers of a SCALE-Sim table), maps it to the machine and runs one image: cycles, utilization "
                                         "and stalls of every layer.",
                              .options = opts, .n_options = sizeof opts / sizeof *opts, .min_args = 1, .max_args = 1};
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, args, &n_args));
  if (cli->help) return ESPL_OK;
  s.network = args[0];
  int table_given = espl_is_topology(s.network);
  ESPL_TRY(espl_cli_topology_check(cli, &s.t, table_given, s.machine_name));
  if (table_given) ESPL_TRY(espl_opt_none(cli, "network", "is for networks, %s is a table of layers", s.network));
  if (s.energy_name) ESPL_TRY(espl_energy_load(s.energy_name, &s.energy, &cli->err));
  if (s.trace_path) ESPL_TRY(espl_check_writable("--trace", s.trace_path, &cli->err));
  if (s.trace_to >= 0 && s.trace_to < s.trace_from)
    return espl_fail(&cli->err, ESPL_E_INPUT, "--trace-to %lld comes before --trace-from %lld", (long long)s.trace_to, (long long)s.trace_from);
  s.trace = (espl_trace){s.trace_path, (uint64_t)s.trace_from, s.trace_to < 0 ? UINT64_MAX : (uint64_t)s.trace_to};
  espl_status st = s.board_name ? espl_cli_area_open(s.board_name, &s.cost, &cli->err) : ESPL_OK;
  if (st == ESPL_OK) st = table_given ? run_table(&s) : run(&s);
  espl_cli_area_close(&s.cost);
  espl_sim_result_clear(&s.r);
  free(s.input);
  espl_program_free(s.p);
  espl_qnet_free(s.q);
  espl_graph_free(s.g);
  return st;
}
