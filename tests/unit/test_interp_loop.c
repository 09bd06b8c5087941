/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_interp_loop.c -- tier 0 against plain loops written here, bit by bit: reductions and
 * inner loops, in the order of SEMANTICS 3. */
#include "tests/support/interp_kernel.h"
#include "tests/support/sum_order.h"

/* ---- reductions */

static void test_leaf_mode(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 2, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 3000, 5121};
  enum { A = 3, B = 5, MOST = 5121 };
  double *x = malloc(sizeof(double) * A * B * MOST), rows[A * B], out[B], total, kept[A];
  int64_t count;
  kernel k;
  open_kernel(&k, 3);
  const int32_t a = affine(&k, RP_F64, RPI_ACCESS_READ, "221"),
                t = affine(&k, RP_F64, RPI_ACCESS_REDUCE, "000");
  const int32_t o = affine(&k, RP_F64, RPI_ACCESS_REDUCE, "020"),
                q = affine(&k, RP_F64, RPI_ACCESS_REDUCE, "200");
  const int32_t c = affine(&k, RP_I64, RPI_ACCESS_REDUCE, "000");
  const rpi_irval va = load(&k, a), sq = op2(&k, RPI_IR_MUL, RP_F64, va, va);
  reduce(&k, RPI_RED_SUM, t, 7, 1, sq);
  reduce(&k, RPI_RED_SUM, o, 5, 0, va);
  reduce(&k, RPI_RED_MAX, q, 6, 0, va);
  reduce(&k, RPI_RED_SUM, c, 7, 0, rpi_ir_const_i64(&k.ir, RP_I64, 1)); /* a splat */
  seal(&k);
  for (int32_t i = 0; i < A * B * MOST; i++) x[i] = rnd_f64();
  for (int32_t z = 0; z < (int32_t)(sizeof sizes / sizeof *sizes); z++) {
    const int64_t n = sizes[z];
    bind(&k, a, x, (const int64_t[]){B * n, n, 1});
    bind(&k, t, &total, (const int64_t[]){0, 0, 0}),
        bind(&k, o, out + B - 1, (const int64_t[]){0, -1, 0});
    bind(&k, q, kept, (const int64_t[]){1, 0, 0}), bind(&k, c, &count, (const int64_t[]){0, 0, 0});
    total = 0.3;
    run(&k, (const int64_t[]){A, B, n});
    double *sqr = malloc(sizeof(double) * (size_t)n);
    for (int32_t r = 0; r < A * B; r++) {
      for (int64_t i = 0; i < n; i++) sqr[i] = x[r * n + i] * x[r * n + i];
      rows[r] = sum_axis(sqr, n, 1);
    }
    free(sqr);
    same_f64(total, sum_tree(rows, A * B) + 0.3);
    for (int32_t j = 0; j < B; j++) {
      double part[A];
      for (int32_t i = 0; i < A; i++) part[i] = sum_axis(x + (i * B + j) * n, n, 1);
      same_f64(out[B - 1 - j], sum_tree(part, A));
    }
    for (int32_t i = 0; i < A; i++) {
      double most = x[i * B * n];
      for (int64_t j = 0; j < B * n; j++) most = x[i * B * n + j] > most ? x[i * B * n + j] : most;
      same_f64(kept[i], most);
    }
    assert_int_equal(count, A * B * n);
  }
  total = -1, out[0] = 7, kept[0] = 5;
  run(&k, (const int64_t[]){1, 1, 0}); /* nothing to reduce: the empty value, joined where asked */
  same_f64(total, -1), same_f64(out[B - 1], 0.0), same_f64(kept[0], -__builtin_inf());
  free(x);
  close_kernel(&k);
}

static void test_row_mode(void **state) {
  (void)state;
  static const int64_t lengths[] = {1, 2, 255, 256, 257, 600, 1300};
  enum { KEPT = 3, N = 1100 };
  double *x = malloc(sizeof(double) * 1300 * KEPT * N), *out = malloc(sizeof(double) * KEPT * N);
  double *mean = malloc(sizeof(double) * KEPT * N);
  for (int32_t i = 0; i < 1300 * KEPT * N; i++) x[i] = rnd_f64();
  kernel k;
  open_kernel(&k, 3);
  const int32_t a = affine(&k, RP_F64, RPI_ACCESS_READ, "221"),
                o = affine(&k, RP_F64, RPI_ACCESS_REDUCE, "021");
  reduce(&k, RPI_RED_SUM, o, 1, 1, load(&k, a));
  seal(&k);
  for (int32_t z = 0; z < (int32_t)(sizeof lengths / sizeof *lengths); z++) {
    const int64_t m = lengths[z], n = m < 300 ? N : 70;
    bind(&k, a, x, (const int64_t[]){KEPT * n, n, 1});
    bind(&k, o, out, (const int64_t[]){0, n, 1});
    for (int64_t i = 0; i < KEPT * n; i++) out[i] = mean[i] = rnd_f64();
    run(&k, (const int64_t[]){m, KEPT, n});
    for (int64_t i = 0; i < KEPT * n; i++) {
      double leaf[8];
      int64_t leaves = 0;
      for (int64_t f = 0; f < m; f += 256) {
        double s = -0.0;
        for (int64_t g = f; g < m && g < f + 256; g++) s += x[g * KEPT * n + i];
        leaf[leaves++] = s;
      }
      same_f64(out[i], sum_tree(leaf, leaves) + mean[i]);
    }
  }
  free(x), free(out), free(mean);
  close_kernel(&k);
}

/* ---- inner loops */

/* y[i] = sum(k in ptr[i]..ptr[i+1]) val[k] * x[col[k]], rows of all kinds; `gaps`: rows do not abut. */
static void spmv(bool gaps, bool checked, bool scaled, bool swapped) {
  static const int32_t lens[] = {0,   3,   5,   33,   0,  32,   1,  5000, 7,
                                 255, 256, 257, 1024, 31, 2048, 64, 0};
  enum { ROWS = 400 };
  static int64_t lo[ROWS], hi[ROWS];
  int64_t nnz = 0;
  for (int32_t i = 0; i < ROWS; i++) {
    if (gaps) nnz += (int64_t)(rnd() % 3);
    lo[i] = nnz, hi[i] = nnz += i < 17              ? lens[i]
                                : i < 60 || i > 390 ? (int64_t)(rnd() % 40)
                                                    : 1 + i / 50;
  }
  double *val = malloc(sizeof(double) * (size_t)nnz), *prod = malloc(sizeof(double) * (size_t)nnz);
  int32_t *col = malloc(sizeof(int32_t) * (size_t)nnz);
  double x[500], y[ROWS], scale[ROWS];
  for (int64_t i = 0; i < nnz; i++) val[i] = rnd_f64(), col[i] = (int32_t)(rnd() % 500);
  for (int32_t i = 0; i < 500; i++) x[i] = rnd_f64();
  for (int32_t i = 0; i < ROWS; i++) scale[i] = scaled ? rnd_f64() : 1;
  kernel k;
  open_kernel(&k, 1);
  const int32_t from = affine(&k, RP_I64, RPI_ACCESS_READ, "1"),
                to = affine(&k, RP_I64, RPI_ACCESS_READ, "1");
  const int32_t s = affine(&k, RP_F64, RPI_ACCESS_READ, "1"),
                o = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
  const int32_t v = table(&k, RP_F64, 1, checked), c = table(&k, RP_I32, 1, checked),
                t = table(&k, RP_F64, 1, checked);
  const rpi_irval j = loop(&k, RPI_LOOP_SEGMENT, load(&k, from), load(&k, to));
  const rpi_irval at = op1(&k, RPI_IR_CAST, RP_I64, gather1(&k, c, j));
  const rpi_irval gv = gather1(&k, v, j), gx = gather1(&k, t, at);
  rpi_irval term =
      swapped ? op2(&k, RPI_IR_MUL, RP_F64, gx, gv) : op2(&k, RPI_IR_MUL, RP_F64, gv, gx);
  if (scaled) term = op2(&k, RPI_IR_MUL, RP_F64, term, load(&k, s)); /* a row's value inside */
  store(&k, o, endloop(&k, RPI_RED_SUM, RP_F64, term));
  seal(&k);
  const int64_t one = 1, n = ROWS;
  bind(&k, from, lo, &one), bind(&k, to, hi, &one), bind(&k, s, scale, &one), bind(&k, o, y, &one);
  bind_table(&k, v, val, nnz), bind_table(&k, c, col, nnz), bind_table(&k, t, x, 500);
  run(&k, &n);
  for (int32_t i = 0; i < ROWS; i++) {
    for (int64_t e = lo[i]; e < hi[i]; e++) prod[e] = val[e] * x[col[e]] * scale[i];
    same_f64(y[i], sum_segment(prod + lo[i], hi[i] - lo[i]));
  }
  assert_int_equal(k.flag, 0);
  if (checked) {               /* one bad index: clamped and flagged */
    const int64_t e = lo[200]; /* among rows that are summed as they are made */
    assert_true(hi[200] > e);
    col[e] = -7;
    run(&k, &n);
    assert_int_equal(k.flag, 1);
    for (int64_t g = e; g < hi[200]; g++) prod[g] = val[g] * x[g == e ? 0 : col[g]] * scale[200];
    same_f64(y[200], sum_segment(prod + e, hi[200] - e));
  }
  free(val), free(prod), free(col);
  close_kernel(&k);
}
static void test_spmv(void **state) {
  (void)state;
  for (int32_t c = 0; c < 16; c++) spmv(c & 1, c & 2, c & 4, c & 8);
}

static void test_loop_rules(void **state) {
  (void)state;
  static const int64_t sizes[] = {0, 1, 2, 31, 63, 65, 200, 300, 1025, 4000};
  double x[4000];
  for (int32_t i = 0; i < 4000; i++) x[i] = rnd_f64();
  for (int32_t rule = RPI_LOOP_AXIS; rule <= RPI_LOOP_ROWS; rule++) {
    kernel k;
    open_kernel(&k, 1);
    rpi_ir_scalar_add(&k.ir, RP_I64);
    const int32_t v = table(&k, RP_F64, 1, 0), o = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
    const int32_t a = affine(&k, RP_I64, RPI_ACCESS_WRITE, "1");
    const rpi_irval i = rpi_ir_emit(&k.ir, RPI_IR_INDEX, RP_I64, 0, 0, NULL);
    const rpi_irval end = rpi_ir_emit(&k.ir, RPI_IR_SCALAR, RP_I64, 0, 0, NULL);
    const rpi_irval j = loop(&k, (rpi_looprule)rule, i, end);
    store(&k, o, endloop(&k, RPI_RED_SUM, RP_F64, gather1(&k, v, j)));
    const rpi_irval h = loop(&k, (rpi_looprule)rule, i, end);
    store(&k, a, endloop(&k, RPI_RED_ARGMAX, RP_I64, gather1(&k, v, h)));
    seal(&k);
    for (int32_t z = 0; z < (int32_t)(sizeof sizes / sizeof *sizes); z++) {
      double y[5], copy[4000];
      int64_t arg[5];
      const int64_t one = 1, n = 5;
      bind_table(&k, v, x, 4000), bind(&k, o, y, &one), bind(&k, a, arg, &one);
      k.w[k.l.scalar].i = sizes[z];
      run(&k, &n);
      for (int64_t r = 0; r < 5; r++) {
        const int64_t len = sizes[z] - r;
        int64_t best = -1;
        for (int64_t e = r; e < sizes[z]; e++)
          if (best < 0 || x[e] > x[best]) best = e;
        assert_int_equal(arg[r], best);
        if (len > 0) memcpy(copy, x + r, sizeof(double) * (size_t)len);
        same_f64(y[r], len <= 0                ? 0.0
                       : rule == RPI_LOOP_ROWS ? sum_tree(copy, len)
                                               : sum_axis(copy, len, 1));
      }
    }
    close_kernel(&k);
  }
}

/* sum over j < n of (sum over k < j+i of x[k] * x[j]): a loop in a loop, with values of all levels. */
static void test_nested(void **state) {
  (void)state;
  double x[400], y[6];
  for (int32_t i = 0; i < 400; i++) x[i] = rnd_f64();
  kernel k;
  open_kernel(&k, 1);
  const int32_t v = table(&k, RP_F64, 1, 1), o = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
  const rpi_irval i = rpi_ir_emit(&k.ir, RPI_IR_INDEX, RP_I64, 0, 0, NULL);
  const rpi_irval zero = rpi_ir_const_i64(&k.ir, RP_I64, 0),
                  n = rpi_ir_const_i64(&k.ir, RP_I64, 300);
  const rpi_irval j = loop(&k, RPI_LOOP_AXIS, zero, n);
  const rpi_irval xj = gather1(&k, v, j), top = op2(&k, RPI_IR_ADD, RP_I64, j, i);
  const rpi_irval h = loop(&k, RPI_LOOP_SEGMENT, zero, top);
  const rpi_irval term = op2(&k, RPI_IR_MUL, RP_F64, gather1(&k, v, h), xj);
  const rpi_irval inner = endloop(&k, RPI_RED_SUM, RP_F64, term);
  store(&k, o, endloop(&k, RPI_RED_SUM, RP_F64, inner));
  seal(&k);
  const int64_t one = 1, six = 6;
  bind_table(&k, v, x, 400), bind(&k, o, y, &one);
  run(&k, &six);
  for (int64_t r = 0; r < 6; r++) {
    double part[300], prod[400];
    for (int64_t a = 0; a < 300; a++) {
      for (int64_t b = 0; b < a + r; b++) prod[b] = x[b] * x[a];
      part[a] = sum_segment(prod, a + r);
    }
    same_f64(y[r], sum_axis(part, 300, 1));
  }
  assert_int_equal(k.flag, 0);
  close_kernel(&k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_leaf_mode), cmocka_unit_test(test_row_mode),
      cmocka_unit_test(test_spmv),      cmocka_unit_test(test_loop_rules),
      cmocka_unit_test(test_nested),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
