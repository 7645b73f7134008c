/* Where the tensors of one image lie while an integer network runs (layout of a tensor: qkernel.h).
 *
 * A tensor has the padding that its readers want as a border around it, filled with its zero point before its layer runs. Tensors that never live
 * at the same time share bytes, unless all are to be read afterwards. A slice lies in its whole: it has the whole's place, and pixels as far apart. */
#ifndef ESPL_QUANT_QROOM_H
#define ESPL_QUANT_QROOM_H

#include "quant/qnet.h"

typedef struct qplace {
  int32_t top, left, bottom, right; /* border, pixels */
  int32_t first, last;              /* layers between which it lives; -1: before the first */
  int32_t cp;                       /* bytes from one pixel to the next */
  int64_t row, origin;              /* bytes of a row with its border; from `at` to pixel (0,0) */
  int64_t at, bytes;                /* in the slice of an image */
} qplace;

/* Places of all tensors, [q->tensors], free() them, and the bytes of a slice. apart: no two share bytes. E_NOMEM leaves *out NULL. */
espl_status q_places(const espl_qnet *q, bool apart, qplace **out, int64_t *bytes, espl_err *err) ESPL_MUST_CHECK;
void q_fill_border(const espl_qtensor *t, const qplace *p, uint8_t *image);

#endif
