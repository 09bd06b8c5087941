/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/dense_loops.h -- the loops of dense_host.c for one dtype; included once for each.
 * Lives here: a product in panels of b. Not here: names and sizes (REAL, NAME, DEPTH, WIDTH).
 * How: a panel of DEPTH rows and WIDTH columns of op(b) lies in order, whatever b is; each row of c meets it before the next
 *      one, four rows of the panel at a time. */

static void NAME(panel)(REAL *p, const REAL *b, int64_t ldb, int32_t transposed, int64_t k0,
                        int64_t depth, int64_t j0, int64_t width) {
  for (int64_t k = 0; k < depth; k++)
    for (int64_t j = 0; j < width; j++)
      p[k * WIDTH + j] = transposed ? b[(j0 + j) * ldb + k0 + k] : b[(k0 + k) * ldb + j0 + j];
}

/* c[j] += the sum over k of a[k]*p[k][j]. */
static void NAME(row)(REAL *restrict c, const REAL *restrict a, const REAL *restrict p,
                      int64_t depth, int64_t width) {
  int64_t k = 0;
  for (; k + 4 <= depth; k += 4) {
    const REAL *restrict q = p + k * WIDTH;
    const REAL a0 = a[k], a1 = a[k + 1], a2 = a[k + 2], a3 = a[k + 3];
    for (int64_t j = 0; j < width; j++)
      c[j] = (((c[j] + a0 * q[j]) + a1 * q[j + WIDTH]) + a2 * q[j + 2 * WIDTH]) +
             a3 * q[j + 3 * WIDTH];
  }
  for (; k < depth; k++)
    for (int64_t j = 0; j < width; j++) c[j] += a[k] * p[k * WIDTH + j];
}

static void NAME(scale)(REAL *c, int64_t n, REAL beta) {
  for (int64_t i = 0; i < n; i++) c[i] = beta == 0 ? 0 : beta * c[i];
}

void NAME(rpi_dense_host)(REAL *c, const REAL *a, const REAL *b, int64_t rows, int64_t n, int64_t k,
                          int64_t lda, int64_t ldb, int64_t first, int32_t transpose_a,
                          int32_t transpose_b, double alpha, double beta) {
  REAL p[DEPTH * WIDTH], mine[DEPTH];
  NAME(scale)(c, rows * n, (REAL)beta);
  for (int64_t j = 0; j < n; j += WIDTH) {
    const int64_t width = n - j < WIDTH ? n - j : WIDTH;
    for (int64_t k0 = 0; k0 < k; k0 += DEPTH) {
      const int64_t depth = k - k0 < DEPTH ? k - k0 : DEPTH;
      NAME(panel)(p, b, ldb, transpose_b, k0, depth, j, width);
      for (int64_t i = 0; i < rows; i++) {
        for (int64_t d = 0; d < depth; d++)
          mine[d] =
              (REAL)alpha * (transpose_a ? a[(k0 + d) * lda + first + i] : a[i * lda + k0 + d]);
        NAME(row)(c + i * n + j, mine, p, depth, width);
      }
    }
  }
}
