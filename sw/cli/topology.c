/* `espalier sim TOPOLOGY.csv`: the exact machine or SCALE-Sim's closed form on a layer table. */
#include "cli/topology.h"

#include <stdlib.h>
#include <string.h>

#include "map/machine_yaml.h"
#include "map/scale.h"

const char *const espl_topology_inputs[] = {"conv", "gemm", NULL};
const char *const espl_topology_timings[] = {"exact", "scale-sim", NULL};
const char *const espl_topology_dataflows[] = {"ws", "os", "is", NULL};

int espl_is_topology(const char *path) {
  size_t n = strlen(path);
  return n > 4 && strcmp(path + n - 4, ".csv") == 0;
}

espl_status espl_cli_topology_check(espl_cli *cli, const espl_topology_args *t, int table, const char *machine) {
  espl_err *err = &cli->err;
  if (!table) ESPL_TRY(espl_opt_none(cli, "table", "is for layer tables (.csv)"));
  if (!machine && !t->config) return espl_fail(err, ESPL_E_INPUT, "--machine is missing; usage: espalier sim NETWORK.onnx|TABLE.csv --machine M");
  return ESPL_OK;
}

static espl_status load(espl_cli *cli, const espl_topology_args *t, const char *path, espl_topology **out) {
  return espl_topology_load(path, t->input_given ? (t->input ? ESPL_TOPO_GEMM : ESPL_TOPO_CONV) : ESPL_TOPO_AUTO, out, &cli->err);
}

espl_status espl_cli_topology_run(espl_cli *cli, const espl_topology_args *t, const char *path, const espl_machine *m, int engine, const espl_trace *trace,
                                  espl_sim_result *r, int *agree) {
  espl_topology *topo = NULL;
  ESPL_TRY(load(cli, t, path, &topo));
  espl_status s = engine ? espl_device_rtl_prepare(m, &cli->err) : ESPL_OK;
  const espl_topo_engine engines[] = {ESPL_TOPO_TIMING, ESPL_TOPO_RTL, ESPL_TOPO_BOTH};
  if (s == ESPL_OK) s = espl_topology_simulate(topo, m, engines[engine], cli->seed, trace, r, &cli->err);
  if (s == ESPL_OK && engine == 2) *agree = 1;
  espl_topology_free(topo);
  return s;
}

static espl_status find_array(espl_cli *cli, const espl_topology_args *t, const char *machine, espl_scale_array *a) {
  *a = (espl_scale_array){.sparsity = true};
  if (t->config) {
    espl_scale_config c;
    ESPL_TRY(espl_scale_config_load(t->config, &c, &cli->err));
    *a = c.array;
    if (c.missing[0]) fprintf(stderr, "%s: missing sections that SCALE-Sim needs: %s\n", t->config, c.missing);
  }
  if (machine) {
    espl_machine m;
    ESPL_TRY(espl_machine_load(machine, &m, &cli->err));
    a->rows = m.rows;
    a->cols = m.cols;
  }
  if (!t->config || t->dataflow_given) a->dataflow = (espl_scale_dataflow)t->dataflow;
  return ESPL_OK;
}

typedef struct sums {
  int64_t layers, cycles, macs;
} sums;

static void line(FILE *f, const espl_topo_layer *l, const espl_scale_result *r, int64_t copies) {
  char name[112];
  if (copies == 1) snprintf(name, sizeof name, "%s", l->name);
  else snprintf(name, sizeof name, "%s x%lld", l->name, (long long)copies);
  fprintf(f, "%-28.28s %9lld %8lld %9lld %11lld %12lld %14lld %6.2f %6.2f %6.2f\n", name, (long long)l->gm, (long long)l->gn, (long long)l->gk, (long long)r->folds,
          (long long)(r->cycles * copies), (long long)(r->macs * copies), r->overall, r->mapping, r->compute);
}

static void json_layer(espl_json *w, const espl_topo_layer *l, const espl_scale_result *r, int64_t copies) {
  espl_json_object(w, NULL);
  espl_json_str(w, "name", l->name);
  const struct { const char *key; int64_t v; } t[] = {{"copies", copies}, {"m", l->gm}, {"n", l->gn}, {"k", l->gk}, {"folds", r->folds}, {"fold_cycles", r->fold_cycles},
      {"cycles", r->cycles}, {"macs", r->macs}};
  for (size_t i = 0; i < sizeof t / sizeof *t; i++) espl_json_int(w, t[i].key, t[i].v);
  const struct { const char *key; double v; } d[] = {{"overall_util", r->overall}, {"mapping_efficiency", r->mapping}, {"compute_util", r->compute},
      {"ifmap_reads", r->ifmap.count}, {"filter_reads", r->filter.count}, {"ofmap_writes", r->ofmap.count}};
  for (size_t i = 0; i < sizeof d / sizeof *d; i++) espl_json_num(w, d[i].key, d[i].v);
  espl_json_close(w);
}

/* Every layer to the table and, when there is one, to the writer. */
static espl_status walk(espl_cli *cli, const espl_topology *topo, const espl_scale_array *a, espl_json *w, sums *total) {
  FILE *f = espl_cli_out(cli);
  for (int32_t i = 0; i < topo->layers; i++) {
    const espl_topo_layer *l = &topo->layer[i];
    espl_scale_result r;
    int64_t copies = l->depthwise ? l->c : 1;
    ESPL_TRY(espl_scale_layer(l, a, &r, &cli->err));
    line(f, l, &r, copies);
    if (w) json_layer(w, l, &r, copies);
    total->layers += copies;
    if (__builtin_add_overflow(total->cycles, r.cycles * copies, &total->cycles) || __builtin_add_overflow(total->macs, r.macs * copies, &total->macs))
      return espl_fail(&cli->err, ESPL_E_UNSUPPORTED, "line %d: layer %s: the total does not fit 63 bits", (int)l->line, l->name);
  }
  return ESPL_OK;
}

static espl_status show(espl_cli *cli, const espl_topology *topo, const char *path, const espl_scale_array *a) {
  FILE *f = espl_cli_out(cli);
  espl_json *w = NULL;
  sums total = {0};
  fprintf(f, "%s by SCALE-Sim's closed form (%dx%d, %s)\n", path, (int)a->rows, (int)a->cols, espl_topology_dataflows[a->dataflow]);
  fprintf(f, "%-28s %9s %8s %9s %11s %12s %14s %6s %6s %6s\n", "layer", "M", "N", "K", "folds", "cycles", "macs", "util%", "map%", "comp%");
  ESPL_TRY(espl_cli_json_begin(cli, &w));
  if (w) {
    espl_json_object(w, NULL);
    espl_json_str(w, "network", path);
    espl_json_str(w, "timing", "scale-sim");
    espl_json_str(w, "dataflow", espl_topology_dataflows[a->dataflow]);
    espl_json_int(w, "rows", a->rows);
    espl_json_int(w, "cols", a->cols);
    espl_json_array(w, "layers");
  }
  espl_status s = walk(cli, topo, a, w, &total);
  if (s == ESPL_OK) fprintf(f, "%lld layers, %lld cycles, %lld MACs\n", (long long)total.layers, (long long)total.cycles, (long long)total.macs);
  if (!w) return s;
  espl_json_close(w);
  espl_json_object(w, "total");
  espl_json_int(w, "layers", total.layers);
  espl_json_int(w, "cycles", total.cycles);
  espl_json_int(w, "macs", total.macs);
  espl_json_close(w);
  espl_json_close(w);
  if (s == ESPL_OK) return espl_cli_json_end(cli, w);
  espl_err unused = {0};
  char *text = NULL;
  if (espl_json_finish(w, &text, &unused) == ESPL_OK) free(text);
  return s;
}

espl_status espl_cli_topology_scale(espl_cli *cli, const espl_topology_args *t, const char *path, const char *machine) {
  espl_topology *topo = NULL;
  espl_scale_array a;
  ESPL_TRY(find_array(cli, t, machine, &a));
  ESPL_TRY(load(cli, t, path, &topo));
  espl_status s = show(cli, topo, path, &a);
  if (s == ESPL_OK && t->report) s = espl_scale_report(topo, &a, t->report, &cli->err);
  espl_topology_free(topo);
  return s;
}
