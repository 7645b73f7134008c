/* Matrix products. */
#include <string.h>

#include "tensor/op_int.h"

/* y[m,n] += alpha * sum_k a * b, with the steps of a's rows and columns (k) and of b's rows (k) and columns (n). */
static void product(const float *a, int64_t am, int64_t ak, const float *b, int64_t bk, int64_t bn, float *y, int64_t m, int64_t k, int64_t n, float alpha) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t p = 0; p < k; p++) {
      float v = alpha * a[i * am + p * ak];
      const float *row = b + p * bk;
      for (int64_t j = 0; j < n; j++) y[i * n + j] += v * row[j * bn];
    }
}

espl_status espli_gemm(espli_call *c) {
  const espl_tensor *a = c->in[0], *b = c->in[1], *bias = c->n_in > 2 ? c->in[2] : NULL;
  bool ta = c->op->trans_a, tb = c->op->trans_b;
  ESPL_TRY(espli_want_real(c, 3));
  if (a->dims != 2 || b->dims != 2) return espl_fail(c->err, ESPL_E_INPUT, "its inputs have %d and %d dimensions, expected 2 and 2", a->dims, b->dims);
  int64_t m = a->dim[ta], k = a->dim[!ta], n = b->dim[!tb], dim[2] = {m, n};
  if (b->dim[tb] != k) return espl_fail(c->err, ESPL_E_INPUT, "inner extents are %lld and %lld", (long long)k, (long long)b->dim[tb]);
  int64_t rows = bias && bias->dims == 2 ? bias->dim[0] : 1, cols = bias && bias->dims ? bias->dim[bias->dims - 1] : 1;
  if (bias && (bias->dims > 2 || (rows != 1 && rows != m) || (cols != 1 && cols != n)))
    return espl_fail(c->err, ESPL_E_INPUT, "its third input does not broadcast to [%lld,%lld]", (long long)m, (long long)n);
  ESPL_TRY(espli_out(c, 0, a->type, 2, dim));
  ESPL_TRY(espli_work(c, c->out[0]->elems, k));
  float *y = c->out[0]->f;
  for (int64_t i = 0; bias && i < m; i++)
    for (int64_t j = 0; j < n; j++) y[i * n + j] = c->op->beta * bias->f[(rows == 1 ? 0 : i) * cols + (cols == 1 ? 0 : j)];
  product(a->f, ta ? 1 : k, ta ? m : 1, b->f, tb ? 1 : n, tb ? k : 1, y, m, k, n, c->op->alpha);
  return ESPL_OK;
}

/* As numpy: vectors get an axis that leaves again, leading axes broadcast. */
espl_status espli_matmul(espli_call *c) {
  const espl_tensor *a = c->in[0], *b = c->in[1];
  int64_t da[ESPL_TENSOR_DIMS] = {1, 1}, db[ESPL_TENSOR_DIMS] = {1, 1}, dim[ESPL_TENSOR_DIMS];
  int ra = a->dims, rb = b->dims, lead;
  ESPL_TRY(espli_want_real(c, 2));
  if (!ra || !rb) return espl_fail(c->err, ESPL_E_INPUT, "a scalar, expected at least one dimension");
  if (ra == 1) da[1] = a->dim[0], ra = 2;
  else memcpy(da, a->dim, sizeof da);
  if (rb == 1) db[0] = b->dim[0], db[1] = 1, rb = 2;
  else memcpy(db, b->dim, sizeof db);
  int64_t m = da[ra - 2], k = da[ra - 1], n = db[rb - 1];
  if (db[rb - 2] != k) return espl_fail(c->err, ESPL_E_INPUT, "inner extents are %lld and %lld", (long long)k, (long long)db[rb - 2]);
  ESPL_TRY(espli_broadcast(c, ra - 2, da, rb - 2, db, &lead, dim));
  int dims = lead, batches = 1;
  for (int d = 0; d < lead; d++) {
    if (dim[d] > 0 && batches > (int)(ESPL_TENSOR_ELEMS / dim[d])) return espl_fail(c->err, ESPL_E_UNSUPPORTED, "too many products");
    batches *= (int)dim[d];
  }
  if (a->dims > 1) dim[dims++] = m;
  if (b->dims > 1) dim[dims++] = n;
  ESPL_TRY(espli_out(c, 0, a->type, dims, dim));
  ESPL_TRY(espli_work(c, c->out[0]->elems, k));
  for (int64_t i = 0; i < batches; i++) {
    int64_t left = i, pa = 0, pb = 0, sa = 1, sb = 1;
    for (int d = lead - 1; d >= 0; d--) {
      int64_t x = left % dim[d];
      int ka = d - (lead - (ra - 2)), kb = d - (lead - (rb - 2));
      left /= dim[d];
      if (ka >= 0) pa += (da[ka] == 1 ? 0 : x) * sa, sa *= da[ka];
      if (kb >= 0) pb += (db[kb] == 1 ? 0 : x) * sb, sb *= db[kb];
    }
    product(a->f + pa * m * k, k, 1, b->f + pb * k * n, n, 1, c->out[0]->f + i * m * n, m, k, n, 1.0f);
  }
  return ESPL_OK;
}
