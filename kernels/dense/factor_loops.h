/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/factor_loops.h -- the loops of factor_host.c for one dtype; included once for each.
 * Lives here: products that are subtracted, substitution, LU, Cholesky. Not here: names, sizes and instructions (the macros).
 * How: a triangle t is described by where it begins, its rows' distance and whether it is taken transposed: at(k, j) is the
 *      share of unknown k in equation j. */

typedef REAL NAME(vector) __attribute__((vector_size(32), aligned(sizeof(REAL))));
enum { NAME(LANES) = 32 / sizeof(REAL), NAME(WIDTH) = 2 * NAME(LANES) };

/* ---- c -= a b ---- */

/* WIDTH columns of b from j on, or of b transposed, in order; beyond `cols` zeros. */
static void NAME(strip)(REAL *p, const REAL *b, int64_t ldb, bool transposed, int64_t depth,
                        int64_t cols) {
  const int64_t width = cols < NAME(WIDTH) ? cols : NAME(WIDTH);
  if (width < NAME(WIDTH)) memset(p, 0, (size_t)depth * NAME(WIDTH) * sizeof *p);
  if (transposed) {
    for (int64_t j = 0; j < width; j++)
      for (int64_t k = 0; k < depth; k++) p[k * NAME(WIDTH) + j] = b[j * ldb + k];
  } else {
    for (int64_t k = 0; k < depth; k++)
      for (int64_t j = 0; j < width; j++) p[k * NAME(WIDTH) + j] = b[k * ldb + j];
  }
}

/* TILE rows and WIDTH columns of c. */
static void NAME(tile)(REAL *restrict c, int64_t ldc, const REAL *const a[TILE],
                       const REAL *restrict p, int64_t depth) {
  NAME(vector) s[TILE][2];
  for (int i = 0; i < TILE; i++) {
    const NAME(vector) *from = (const NAME(vector) *)(c + i * ldc);
    s[i][0] = from[0];
    s[i][1] = from[1];
  }
  for (int64_t k = 0; k < depth; k++) {
    const NAME(vector) *b = (const NAME(vector) *)(p + k * NAME(WIDTH));
    for (int i = 0; i < TILE; i++) {
      s[i][0] = MINUS_PRODUCT(SPREAD(a[i][k]), b[0], s[i][0]);
      s[i][1] = MINUS_PRODUCT(SPREAD(a[i][k]), b[1], s[i][1]);
    }
  }
  for (int i = 0; i < TILE; i++) {
    NAME(vector) *to = (NAME(vector) *)(c + i * ldc);
    to[0] = s[i][0];
    to[1] = s[i][1];
  }
}

/* The same for fewer rows or columns: what is not there is computed beside c. */
static void NAME(edge)(REAL *c, int64_t ldc, const REAL *const a[TILE], const REAL *p,
                       int64_t depth, int64_t rows, int64_t cols) {
  REAL beside[TILE * NAME(WIDTH)] = {0};
  for (int64_t i = 0; i < rows; i++)
    memcpy(beside + i * NAME(WIDTH), c + i * ldc, (size_t)cols * sizeof *c);
  NAME(tile)(beside, NAME(WIDTH), a, p, depth);
  for (int64_t i = 0; i < rows; i++)
    memcpy(c + i * ldc, beside + i * NAME(WIDTH), (size_t)cols * sizeof *c);
}

static int64_t NAME(least)(int64_t x, int64_t y) { return x < y ? x : y; }

/* c (rows x cols) -= a (rows x depth) times b (depth x cols, or cols x depth and transposed). */
static void NAME(subtract)(REAL *c, int64_t ldc, const REAL *a, int64_t lda, const REAL *b,
                           int64_t ldb, bool transposed, int64_t rows, int64_t cols,
                           int64_t depth) {
  REAL p[DEPTH * NAME(WIDTH)];
  for (int64_t k = 0; k < depth; k += DEPTH) {
    const int64_t d = NAME(least)(depth - k, DEPTH);
    for (int64_t first = 0; first < rows; first += BLOCK) {
      const int64_t last = NAME(least)(rows, first + BLOCK);
      for (int64_t j = 0; j < cols; j += NAME(WIDTH)) {
        NAME(strip)
        (p, transposed ? b + j * ldb + k : b + k * ldb + j, ldb, transposed, d, cols - j);
        for (int64_t i = first; i < last; i += TILE) {
          const int64_t m = NAME(least)(last - i, TILE), n = NAME(least)(cols - j, NAME(WIDTH));
          const REAL *row[TILE];
          for (int64_t r = 0; r < TILE; r++) row[r] = a + (i + (r < m ? r : 0)) * lda + k;
          if (m == TILE && n == NAME(WIDTH))
            NAME(tile)(c + i * ldc + j, ldc, row, p, d);
          else
            NAME(edge)(c + i * ldc + j, ldc, row, p, d, m, n);
        }
      }
    }
  }
}

/* ---- substitution: each row of x is a right-hand side ---- */

typedef struct NAME(triangle) {
  const REAL *at;
  int64_t ld, n;
  bool transposed; /* at(k, j) is t[j][k] */
  bool unit;       /* ones on the diagonal, which is not looked at */
} NAME(triangle);

static REAL NAME(share)(const NAME(triangle) * t, int64_t k, int64_t j) {
  return t->transposed ? t->at[j * t->ld + k] : t->at[k * t->ld + j];
}

/* Unknowns first .. first+n-1, of which those after k need k (`down`: those before k). */
static void NAME(small)(REAL *x, int64_t ldx, int64_t rows, const NAME(triangle) * t, int64_t first,
                        int64_t n, bool down) {
  REAL p[SMALL * SMALL], diagonal[SMALL];
  for (int64_t k = 0; k < n; k++) {
    diagonal[k] = t->unit ? 1 : NAME(share)(t, first + k, first + k);
    for (int64_t j = down ? 0 : k + 1; j < (down ? k : n); j++)
      p[k * SMALL + j] = NAME(share)(t, first + k, first + j);
  }
  for (int64_t i = 0; i < rows; i++) {
    REAL *restrict y = x + i * ldx + first;
    for (int64_t q = 0; q < n; q++) {
      const int64_t k = down ? n - 1 - q : q, end = down ? k : n;
      const REAL *restrict of = p + k * SMALL;
      const REAL found = y[k] = t->unit ? y[k] : y[k] / diagonal[k];
      for (int64_t j = down ? 0 : k + 1; j < end; j++)
        y[j] = MINUS_PRODUCT_OF_ONE(found, of[j], y[j]);
    }
  }
}

/* Unknowns in ascending order. */
static void NAME(forward)(REAL *x, int64_t ldx, int64_t rows, const NAME(triangle) * t) {
  for (int64_t k = 0; k < t->n; k += SMALL) {
    const int64_t n = NAME(least)(t->n - k, SMALL), next = k + n;
    const REAL *rest = t->transposed ? t->at + next * t->ld + k : t->at + k * t->ld + next;
    NAME(small)(x, ldx, rows, t, k, n, false);
    NAME(subtract)
    (x + next, ldx, x + k, ldx, rest, t->ld, t->transposed, rows, t->n - next, n);
  }
}

/* In descending order. */
static void NAME(backward)(REAL *x, int64_t ldx, int64_t rows, const NAME(triangle) * t) {
  for (int64_t end = t->n; end > 0; end -= SMALL) {
    const int64_t k = end > SMALL ? end - SMALL : 0;
    const REAL *rest = t->transposed ? t->at + k : t->at + k * t->ld;
    NAME(small)(x, ldx, rows, t, k, end - k, true);
    NAME(subtract)(x, ldx, x + k, ldx, rest, t->ld, t->transposed, rows, k, end - k);
  }
}

/* ---- LU ---- */

static void NAME(swap)(REAL *row, const int64_t *pivot, int64_t first, int64_t end) {
  for (int64_t k = first; k < end; k++) {
    const REAL was = row[k];
    row[k] = row[pivot[k] - 1];
    row[pivot[k] - 1] = was;
  }
}

/* Rows first..end-1, one by one: each looks for its pivot, exchanges columns, and is subtracted from those below. */
static void NAME(lu_few)(REAL *a, int64_t *pivot, int32_t *info, int64_t n, int64_t first,
                         int64_t end) {
  for (int64_t k = first; k < end; k++) {
    REAL *restrict row = a + k * n;
    int64_t at = k;
    for (int64_t j = k + 1; j < n; j++)
      if (MAGNITUDE(row[j]) > MAGNITUDE(row[at])) at = j;
    pivot[k] = at + 1;
    for (int64_t i = first; i < end; i++) NAME(swap)(a + i * n, pivot, k, k + 1);
    if (row[k] == 0) {
      if (*info == 0) *info = (int32_t)(k + 1);
      continue;
    }
    const REAL found = row[k];
    for (int64_t j = k + 1; j < n; j++) row[j] /= found;
    for (int64_t i = k + 1; i < end; i++) {
      REAL *restrict below = a + i * n;
      const REAL share = below[k];
      for (int64_t j = k + 1; j < n; j++) below[j] = MINUS_PRODUCT_OF_ONE(share, row[j], below[j]);
    }
  }
}

static void NAME(lu_rows)(REAL *a, int64_t *pivot, int32_t *info, int64_t n, int64_t first,
                          int64_t end) {
  if (end - first <= FEW) {
    NAME(lu_few)(a, pivot, info, n, first, end);
    return;
  }
  const int64_t half = first + (end - first) / 2, done = half - first;
  const NAME(triangle) u = {a + first * n + first, n, done, false, true};
  REAL *below = a + half * n;
  NAME(lu_rows)(a, pivot, info, n, first, half);
  for (int64_t i = half; i < end; i++) NAME(swap)(a + i * n, pivot, first, half);
  NAME(forward)(below + first, n, end - half, &u);
  NAME(subtract)
  (below + half, n, below + first, n, a + first * n + half, n, false, end - half, n - half, done);
  NAME(lu_rows)(a, pivot, info, n, half, end);
  for (int64_t i = first; i < half; i++) NAME(swap)(a + i * n, pivot, half, end);
}

void NAME(rpi_factor_lu)(REAL *a, int64_t *pivot, int32_t *info, int64_t n) {
  *info = 0;
  NAME(lu_rows)(a, pivot, info, n, 0, n);
}

void NAME(rpi_factor_lu_solve)(REAL *x, const REAL *lu, const int64_t *pivot, int64_t rows,
                               int64_t n) {
  const NAME(triangle) l = {lu, n, n, true, false}, u = {lu, n, n, true, true};
  NAME(forward)(x, n, rows, &l);
  NAME(backward)(x, n, rows, &u);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t k = n; k-- > 0;) NAME(swap)(x + i * n, pivot, k, k + 1);
}

/* ---- Cholesky ---- */

/* Row i needs the rows before it. False where a pivot is not positive. */
static bool NAME(cholesky_few)(REAL *a, int32_t *info, int64_t n, int64_t first, int64_t end) {
  for (int64_t i = first; i < end; i++) {
    REAL *row = a + i * n;
    for (int64_t j = first; j <= i; j++) {
      const REAL *other = a + j * n;
      for (int64_t k = first; k < j; k++) row[j] = MINUS_PRODUCT_OF_ONE(row[k], other[k], row[j]);
      if (j < i) row[j] /= other[j];
    }
    if (!(row[i] > 0)) {
      *info = (int32_t)(i + 1);
      return false;
    }
    row[i] = ROOT(row[i]);
  }
  return true;
}

static bool NAME(cholesky_rows)(REAL *a, int32_t *info, int64_t n, int64_t first, int64_t end) {
  if (end - first <= FEW) return NAME(cholesky_few)(a, info, n, first, end);
  const int64_t half = first + (end - first) / 2, done = half - first;
  const NAME(triangle) l = {a + first * n + first, n, done, true, false};
  REAL *below = a + half * n + first;
  if (!NAME(cholesky_rows)(a, info, n, first, half)) return false;
  NAME(forward)(below, n, end - half, &l);
  for (int64_t j = half; j < end;
       j += BLOCK) { /* of what is above the diagonal only what its blocks have */
    const REAL *from = a + j * n + first;
    const int64_t cols = NAME(least)(end - j, BLOCK);
    NAME(subtract)(a + j * n + j, n, from, n, from, n, true, end - j, cols, done);
  }
  return NAME(cholesky_rows)(a, info, n, half, end);
}

void NAME(rpi_factor_cholesky)(REAL *a, int32_t *info, int64_t n) {
  *info = 0;
  (void)NAME(cholesky_rows)(a, info, n, 0, n);
}

void NAME(rpi_factor_cholesky_solve)(REAL *x, const REAL *l, int64_t rows, int64_t n) {
  const NAME(triangle) down = {l, n, n, true, false}, up = {l, n, n, false, false};
  NAME(forward)(x, n, rows, &down);
  NAME(backward)(x, n, rows, &up);
}
