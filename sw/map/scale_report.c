/* The closed form in the files SCALE-Sim writes: a header, one line a layer, fields separated by ", " and a comma behind the last one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "map/scale.h"

enum { REPORTS = 3 };

static const char *const file_names[REPORTS] = {"COMPUTE_REPORT.csv", "BANDWIDTH_REPORT.csv", "DETAILED_ACCESS_REPORT.csv"};

static void header(FILE *f, int report) {
  static const char *const buffers[] = {"IFMAP", "Filter", "OFMAP"};
  if (report == 0) {
    fputs("LayerID, Total Cycles (incl. prefetch), Total Cycles, Stall Cycles, Overall Util %, Mapping Efficiency %, Compute Util %,\n", f);
  } else if (report == 1) {
    fputs("LayerID, Avg IFMAP SRAM BW, Avg FILTER SRAM BW, Avg OFMAP SRAM BW, Avg IFMAP DRAM BW, Avg FILTER DRAM BW, Avg OFMAP DRAM BW,\n", f);
  } else {
    fputs("LayerID", f);
    for (int i = 0; i < 6; i++) {
      const char *level = i < 3 ? "SRAM" : "DRAM", *b = buffers[i % 3];
      fprintf(f, ", %s %s Start Cycle, %s %s Stop Cycle, %s %s %s", level, b, level, b, level, b, i % 3 == 2 ? "Writes" : "Reads");
    }
    fputs(",\n", f);
  }
}

/* The shortest of 15 to 17 digits that reads back equal, with a point: 100.0, not 100. */
static void real(FILE *f, double v) {
  char s[40];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(s, sizeof s, "%.*g", digits, v);
    if (strtod(s, NULL) == v) break;
  }
  fprintf(f, ", %s%s", s, strpbrk(s, ".e") ? "" : ".0");
}

static void access_columns(FILE *f, const espl_scale_access *a) {
  fprintf(f, ", %lld.0", (long long)a->start);
  if (a->stop < 0) fputs(", n/a", f);
  else fprintf(f, ", %lld.0", (long long)a->stop);
  if (a->count == (double)(int64_t)a->count) fprintf(f, ", %lld", (long long)a->count);
  else real(f, a->count);
}

static void row(FILE *f, int report, int64_t id, const espl_scale_result *r) {
  fprintf(f, "%lld", (long long)id);
  double cycles = (double)r->cycles;
  if (report == 0) {
    fprintf(f, ", n/a, %lld, 0", (long long)r->cycles);
    real(f, r->overall);
    real(f, r->mapping);
    real(f, r->compute);
  } else if (report == 1) {
    real(f, r->ifmap.count / cycles);
    real(f, r->filter.count / cycles);
    real(f, r->ofmap.count / cycles);
    fputs(", n/a, n/a, n/a", f);
  } else {
    access_columns(f, &r->ifmap);
    access_columns(f, &r->filter);
    access_columns(f, &r->ofmap);
    for (int i = 0; i < 9; i++) fputs(", n/a", f);
  }
  fputs(",\n", f);
}

static espl_status write_report(const espl_topology *t, const espl_scale_array *a, int report, const char *path, espl_err *err) {
  espl_outfile *o = NULL;
  ESPL_TRY(espl_outfile_open(path, &o, err));
  FILE *f = espl_outfile_stream(o);
  espl_status s = ESPL_OK;
  int64_t id = 0;
  header(f, report);
  for (int32_t i = 0; s == ESPL_OK && i < t->layers; i++) {
    espl_scale_result r = {0};
    s = espl_scale_layer(&t->layer[i], a, &r, err);
    int32_t copies = t->layer[i].depthwise ? t->layer[i].c : 1;
    for (int32_t c = 0; s == ESPL_OK && c < copies; c++) row(f, report, id++, &r);
  }
  if (s == ESPL_OK) return espl_outfile_commit(o, err);
  espl_outfile_abandon(o);
  return s;
}

espl_status espl_scale_report(const espl_topology *t, const espl_scale_array *a, const char *dir, espl_err *err) {
  ESPL_TRY(espl_mkdirs(dir, err));
  for (int report = 0; report < REPORTS; report++) {
    char *path = espl_path_join(dir, file_names[report]);
    if (!path) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", dir);
    espl_status s = write_report(t, a, report, path, err);
    free(path);
    ESPL_TRY(s);
  }
  return ESPL_OK;
}
