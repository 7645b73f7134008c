/* From a results store to something a design review can read: one self-contained HTML page (inline style,
 * inline SVG plots by gnuplot), report.json, variants.csv and layers.csv.
 *
 * The page is about the newest run that has a finished variant, or about `run_id`. Without gnuplot the page has tables only and
 * says so. Files are written one by one, each complete or not at all; the store is only read. */
#ifndef ESPL_REPORT_REPORT_H
#define ESPL_REPORT_REPORT_H

#include <stdint.h>

#include "base/status.h"

typedef struct espl_report_result {
  int variants, layers;
  int plots;       /* 0: gnuplot is absent */
  char html[4096]; /* path of the page */
} espl_report_result;

/* run_id -1: the newest. out_dir is created. E_INPUT: no store there, or it holds no variant. */
espl_status espl_report_write(const char *db, int64_t run_id, const char *out_dir, espl_report_result *result, espl_err *err) ESPL_MUST_CHECK;

#endif
