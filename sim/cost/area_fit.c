/* Least squares with coefficients of 0 or more, by coordinate descent on the normal equations: each coefficient in turn takes its best value
 * given the others, or 0. The function is convex, so this converges to the minimum; sweeps end when nothing moves any more. */
#include <math.h>
#include <string.h>

#include "cost/area_int.h"

void espli_fit_nonnegative(int32_t rows, int terms, const double (*x)[ESPLI_TERMS], const double *y, const double *w, double ridge, double b[ESPLI_TERMS]) {
  double gram[ESPLI_TERMS][ESPLI_TERMS] = {{0}}, right[ESPLI_TERMS] = {0};
  for (int32_t i = 0; i < rows; i++) {
    const double ww = w[i] * w[i];
    for (int j = 0; j < terms; j++) {
      right[j] += ww * x[i][j] * y[i];
      for (int k = 0; k < terms; k++) gram[j][k] += ww * x[i][j] * x[i][k];
    }
  }
  for (int j = 0; j < terms; j++) gram[j][j] *= 1 + ridge;
  memset(b, 0, ESPLI_TERMS * sizeof *b);
  for (int sweep = 0; sweep < 20000; sweep++) {
    double moved = 0;
    for (int j = 0; j < terms; j++) {
      if (gram[j][j] <= 0) continue; /* no row has this term */
      double v = right[j];
      for (int k = 0; k < terms; k++)
        if (k != j) v -= gram[j][k] * b[k];
      v = v > 0 ? v / gram[j][j] : 0;
      const double step = fabs(v - b[j]) * sqrt(gram[j][j]);
      if (step > moved) moved = step;
      b[j] = v;
    }
    if (moved < 1e-9) break;
  }
}
