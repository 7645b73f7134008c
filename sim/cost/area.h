/* Area of a machine point on a family of parts, estimated from synthesized points.
 *
 * The table configs/cost/area.csv (written by `make calibrate`) has one row for each synthesized point: its structural parameters and the
 * tables (LUT) and flip-flops of every unit of the core. The model is a sum over units; a unit is a sum of terms, each a size that follows
 * from the parameters (area_terms.c: multipliers, bits of a column's accumulator, bits of the bus, address bits, options) times a
 * coefficient that is at least 0. Coefficients are fitted when the table is loaded: least squares of the errors relative to the core's size,
 * by coordinate descent with coefficients held at 0 or above and a small ridge against terms the points do not tell apart. Units of control
 * are fitted over all families together with one factor a family; array and requantizer for each kind of multiplier. Block RAM and DSP are
 * counted (blocks.h), not fitted. Estimates are for the core as hw/synth/espl_synth.sv connects it, for the state of the sources in the table. */
#ifndef ESPL_COST_AREA_H
#define ESPL_COST_AREA_H

#include "cost/board.h"
#include "device/machine.h"

typedef enum espl_core_unit {
  ESPL_CORE_ARRAY, ESPL_CORE_ACC, ESPL_CORE_ACT, ESPL_CORE_WEIGHTS, ESPL_CORE_COMPUTE, ESPL_CORE_LANES, ESPL_CORE_RESIDUAL, ESPL_CORE_STORE,
  ESPL_CORE_LOAD, ESPL_CORE_FETCH, ESPL_CORE_QUEUE, ESPL_CORE_PORT, ESPL_CORE_REGS, ESPL_CORE_UNITS
} espl_core_unit;
const char *espl_core_unit_name(espl_core_unit u);

typedef struct espl_area_row {
  char board[64], point[64];
  char tool[64], sources[16], date[16]; /* what synthesized it, state of the sources, day */
  espl_family family;
  espl_machine m; /* structural parameters; mem_bytes is the smallest memory of its address width */
  double lut, ff, cells; /* cells: logic cells after packing, -1: not known */
  int64_t dsp, bram;
  double unit[2][ESPL_CORE_UNITS]; /* LUT, FF of each unit; they add up to lut and ff */
} espl_area_row;

typedef struct espl_area {
  double lut, ff;
  double cells; /* iCE40: logic cells after packing; else lut */
  int64_t dsp, bram;
  double unit[2][ESPL_CORE_UNITS];
} espl_area;

typedef struct espl_area_model espl_area_model;

/* path NULL: configs/cost/area.csv. A structural parameter without a column did not exist when the table was made and counts as its least
 * value. E_INPUT with file:line for an unknown or missing column, a wrong number, an illegal machine, a row twice, units that do not add up. */
espl_status espl_area_load(const char *path, espl_area_model **out, espl_err *err) ESPL_MUST_CHECK;
void espl_area_free(espl_area_model *a); /* NULL is allowed */
int32_t espl_area_rows(const espl_area_model *a);
const espl_area_row *espl_area_row_at(const espl_area_model *a, int32_t i);

/* The row of a machine that was synthesized for a family; NULL when there is none. */
const espl_area_row *espl_area_measured(const espl_area_model *a, const espl_machine *m, espl_family f);
/* E_UNSUPPORTED where the table has no row of the family; E_INPUT for an illegal machine. */
espl_status espl_area_estimate(const espl_area_model *a, const espl_machine *m, espl_family f, espl_area *out, espl_err *err) ESPL_MUST_CHECK;

/* What counts against a part's LUTs: logic cells on iCE40. */
static inline double espl_area_logic(const espl_area *a, espl_family f) { return f == ESPL_ICE40UP || f == ESPL_ICE40HX ? a->cells : a->lut; }
int espl_area_fits(const espl_area *a, const espl_board *b);

/* Errors on held-out points: each row estimated by a model fitted without its point, on whatever board it was synthesized. */
typedef struct espl_area_errors {
  int32_t rows;      /* of the family; 0: no row, or none left to fit by */
  double mean[2], worst[2]; /* of |estimate / measured - 1|, LUT (logic cells where the rows have them) and FF */
  int32_t dsp_wrong, bram_wrong; /* rows whose counted blocks are not the synthesized ones */
} espl_area_errors;
espl_status espl_area_check(const espl_area_model *a, espl_family f, espl_area_errors *out, espl_err *err) ESPL_MUST_CHECK;
/* Estimate of row i by a model fitted without its point. E_UNSUPPORTED where nothing of its family is left. */
espl_status espl_area_held_out(const espl_area_model *a, int32_t i, espl_area *out, espl_err *err) ESPL_MUST_CHECK;

#endif
