/* Shared by the parts of the area model: the table's rows, the terms of a unit, the fit. */
#ifndef ESPL_COST_AREA_INT_H
#define ESPL_COST_AREA_INT_H

#include "cost/area.h"

enum { ESPLI_TERMS = 9, ESPLI_KINDS = 2 }; /* kinds: LUT, FF */

/* Families of equal cells: iCE40, ECP5, 7-series. */
static inline int espli_tech(espl_family f) { return f == ESPL_ECP5 ? 1 : f == ESPL_XC7 ? 2 : 0; }

/* Sizes that a unit's cells are proportional to; returns how many. */
int espli_area_terms(espl_core_unit u, const espl_machine *m, espl_family f, double x[ESPLI_TERMS]);
/* The families whose rows a unit is fitted by when it is estimated for f: 0 all, with a factor each; 1 those of f's cells; 2 f alone. */
int espli_area_scope(espl_core_unit u);

typedef struct espli_coefficients {
  double b[ESPLI_TERMS];
  double factor[ESPL_FAMILIES]; /* 1 where the scope is not all families */
} espli_coefficients;

/* b >= 0 that minimizes sum_i w_i^2 (y_i - sum_j x_ij b_j)^2 + ridge * sum_j b_j^2 sum_i w_i^2 x_ij^2. x: rows of ESPLI_TERMS. */
void espli_fit_nonnegative(int32_t rows, int terms, const double (*x)[ESPLI_TERMS], const double *y, const double *w, double ridge, double b[ESPLI_TERMS]);

espl_status espli_area_read(const char *path, espl_area_row **rows, int32_t *n, espl_err *err) ESPL_MUST_CHECK; /* free(*rows) */

#endif
