/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/triangle_loop.h -- the loop of triangle_host.c for one dtype (REAL) and one kind of indices (INDEX); included once
 * for each. */

int SOLVE(REAL *x, const INDEX *ptr, const INDEX *col, const REAL *val, const REAL *b, int64_t n,
          int64_t nnz, int32_t flags) {
  const bool upper = flags & RP_CSR_UPPER, unit = flags & RP_CSR_UNIT_DIAGONAL;
  for (int64_t q = 0; q < n; q++) {
    const int64_t i = upper ? n - 1 - q : q;
    REAL sum = b[i], diagonal = 0;
    bool stored = unit;
    if (ptr[i] < 0 || ptr[i] > ptr[i + 1] || ptr[i + 1] > nnz) return 1;
    for (INDEX k = ptr[i]; k < ptr[i + 1]; k++) {
      const INDEX j = col[k];
      if (j < 0 || j >= n) return 1;
      if (j == i) {
        diagonal += val[k];
        stored = true;
      } else if (upper ? j > i : j < i) {
        sum -= val[k] * x[j];
      }
    }
    if (!stored) return 1;
    x[i] = unit ? sum : sum / diagonal;
  }
  return 0;
}
