/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_interp.c -- tier 0 against plain loops written here, bit by bit: element-wise kernels,
 * prologues and epilogues, limits. */
#include "tests/support/interp_kernel.h"
#include "tests/support/sum_order.h"

/* ---- element-wise */

static void test_elementwise(void **state) {
  (void)state;
  kernel k;
  open_kernel(&k, 2);
  const int32_t a = affine(&k, RP_F64, RPI_ACCESS_READ, "21"),
                b = affine(&k, RP_F64, RPI_ACCESS_READ, "22");
  const int32_t c = affine(&k, RP_I32, RPI_ACCESS_READ, "20"),
                d = affine(&k, RP_F32, RPI_ACCESS_READ, "01");
  const int32_t z = affine(&k, RP_F64, RPI_ACCESS_WRITE, "21"),
                y = affine(&k, RP_I32, RPI_ACCESS_WRITE, "22");
  const int32_t q = affine(&k, RP_BOOL, RPI_ACCESS_WRITE, "21"),
                x = affine(&k, RP_I64, RPI_ACCESS_WRITE, "21");
  rpi_ir_scalar_add(&k.ir, RP_F64);
  const rpi_irval s = rpi_ir_emit(&k.ir, RPI_IR_SCALAR, RP_F64, 0, 0, NULL);
  const rpi_irval va = load(&k, a), vb = load(&k, b), vc = load(&k, c), vd = load(&k, d);
  const rpi_irval less = op2(&k, RPI_IR_LT, RP_BOOL, va, vb);
  const rpi_irval wide = op1(&k, RPI_IR_CAST, RP_F64, vc);
  const rpi_irval sum = op2(&k, RPI_IR_ADD, RP_F64, op2(&k, RPI_IR_MUL, RP_F64, wide, va), s);
  const rpi_irval pick = rpi_ir_emit3(&k.ir, RPI_IR_SELECT, RP_F64, less, sum, vb);
  store(&k, z, pick);
  store(&k, q, less);
  store(&k, y, op1(&k, RPI_IR_CAST, RP_I32, op2(&k, RPI_IR_MUL, RP_F32, vd, vd)));
  const rpi_irval i0 = rpi_ir_emit(&k.ir, RPI_IR_INDEX, RP_I64, 0, 0, NULL);
  const rpi_irval i1 = rpi_ir_emit(&k.ir, RPI_IR_INDEX, RP_I64, 1, 0, NULL);
  store(&k, x, op2(&k, RPI_IR_SUB, RP_I64, op2(&k, RPI_IR_MUL, RP_I64, i0, i0), i1));
  seal(&k);
  enum { ROWS = 3, MOST = 1200 };
  static double fa[ROWS * MOST], fb[ROWS * MOST * 2], fz[ROWS * MOST];
  static float fd[MOST];
  static int32_t ic[ROWS * 2], iy[ROWS * MOST * 3];
  static int64_t ix[ROWS * MOST];
  static uint8_t bq[ROWS * MOST];
  for (int32_t i = 0; i < ROWS * MOST; i++)
    fa[i] = rnd_f64(), fb[2 * i] = rnd_f64(), fb[2 * i + 1] = 0;
  for (int32_t i = 0; i < MOST; i++) fd[i] = (float)rnd_f64() * 1000;
  for (int32_t i = 0; i < ROWS * 2; i++) ic[i] = (int32_t)rnd() - 1000000000;
  for (int64_t n = 0; n <= 1100; n = n == 70 ? 1000 : n + 1) {
    memset(fz, 0x55, sizeof fz), memset(iy, 0x55, sizeof iy), memset(bq, 0x55, sizeof bq);
    memset(ix, 0x55, sizeof ix);
    bind(&k, a, fa, (const int64_t[]){n, 1});
    bind(&k, b, fb + 2 * (n > 0 ? n - 1 : 0), (const int64_t[]){2 * n, -2}); /* reversed */
    bind(&k, c, ic, (const int64_t[]){2, 0});
    bind(&k, d, fd, (const int64_t[]){0, 1});
    bind(&k, z, fz, (const int64_t[]){n + 1, 1});
    bind(&k, y, iy, (const int64_t[]){3 * n, 3});
    bind(&k, q, bq, (const int64_t[]){n, 1});
    bind(&k, x, ix, (const int64_t[]){n, 1});
    k.w[k.l.scalar].f = 0.1;
    run(&k, (const int64_t[]){ROWS, n});
    for (int64_t r = 0; r < ROWS; r++) {
      for (int64_t i = 0; i < n; i++) {
        const double u = fa[r * n + i], v = fb[2 * (r * n + n - 1 - i)];
        const double t = (double)ic[2 * r] * u;
        const double e = u < v ? t + 0.1 : v, got = fz[r * (n + 1) + i];
        const float f = fd[i] * fd[i];
        same_f64(got, e);
        assert_int_equal(bq[r * n + i], u < v);
        assert_int_equal(iy[3 * (r * n + i)], f >= 2147483648.0f ? INT32_MAX : (int32_t)f);
        if (n > 0) assert_int_equal(iy[3 * (r * n + i) + 1], 0x55555555);
        assert_int_equal(ix[r * n + i], r * r - i);
      }
      uint64_t gap;
      memcpy(&gap, &fz[r * (n + 1) + n], 8);
      assert_true(gap == 0x5555555555555555u); /* nothing beyond the row's end */
    }
    assert_int_equal(bq[ROWS * n], 0x55);
  }
  close_kernel(&k);
}

/* Two operands that are one memory: stores and loads keep their order. */
static void test_same_box(void **state) {
  (void)state;
  enum { N = 700 };
  static double x[N], y[N], old[N];
  kernel k;
  open_kernel(&k, 1);
  const int32_t a = affine(&k, RP_F64, RPI_ACCESS_READ, "1"),
                b = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
  const int32_t c = affine(&k, RP_F64, RPI_ACCESS_READ, "1"),
                d = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
  const rpi_irval va = load(&k, a), one = rpi_ir_const_f64(&k.ir, RP_F64, 1),
                  two = op2(&k, RPI_IR_ADD, RP_F64, va, one);
  store(&k, b, two); /* a, b and c are one */
  const rpi_irval vc = load(&k, c);
  const rpi_irval three = op2(&k, RPI_IR_MUL, RP_F64, vc, va);
  store(&k, b, op2(&k, RPI_IR_SUB, RP_F64, three, one));
  store(&k, d, va);
  seal(&k);
  for (int32_t i = 0; i < N; i++) x[i] = old[i] = rnd_f64();
  const int64_t one_s = 1, n = N;
  bind(&k, a, x, &one_s), bind(&k, b, x, &one_s), bind(&k, c, x, &one_s), bind(&k, d, y, &one_s);
  run(&k, &n);
  for (int32_t i = 0; i < N; i++) {
    const double p = (old[i] + 1) * old[i];
    same_f64(x[i], p - 1);
    same_f64(y[i], old[i]);
  }
  close_kernel(&k);
}

/* Random programs whose operands share three memories, point by point as oracle: results and loads in
 * place, guards, pairs, products that are summed. */
enum { SHARED_INS = 40, SHARED_OPERANDS = 7 };
typedef struct shared_ins {
  int32_t op, a, b; /* LOAD, STORE: b is the operand */
} shared_ins;

static double shared_op(int32_t op, double a, double b) {
  return op == RPI_IR_ADD ? a + b : op == RPI_IR_SUB ? a - b : a * b;
}

static void shared_point(const shared_ins *p, double *const *at, bool narrow, int64_t i,
                         double *terms) {
  double v[SHARED_INS];
  for (int32_t j = 0; j < SHARED_INS; j++) {
    if (p[j].op == RPI_IR_LOAD)
      v[j] = at[p[j].b][i];
    else if (p[j].op == RPI_IR_STORE)
      at[p[j].b][i] = v[p[j].a];
    else if (p[j].op == RPI_IR_CONST)
      v[j] = 0.5;
    else if (p[j].op == RPI_IR_REDUCE)
      terms[i] = v[p[j].a];
    else
      v[j] = shared_op(p[j].op, v[p[j].a], v[p[j].b]);
    if (narrow && p[j].op != RPI_IR_STORE && p[j].op != RPI_IR_REDUCE) v[j] = (double)(float)v[j];
  }
}

static int32_t shared_value(const shared_ins *p, int32_t n) {
  for (;;) {
    const int32_t j = rnd() % 2 ? (int32_t)(rnd() % (uint64_t)n) : n - 1 - (int32_t)(rnd() % 3);
    if (j >= 0 && p[j].op != RPI_IR_STORE) return j;
  }
}

static void shared_program(shared_ins *p, bool reduced) {
  static const int32_t ops[] = {RPI_IR_ADD, RPI_IR_SUB, RPI_IR_MUL};
  for (int32_t j = 0; j < SHARED_INS; j++) {
    const uint64_t c = rnd() % 10;
    const int32_t o = (int32_t)(rnd() % SHARED_OPERANDS);
    if (j < 2 || c < 2)
      p[j] = (shared_ins){RPI_IR_LOAD, 0, o};
    else if (c == 2)
      p[j] = (shared_ins){RPI_IR_CONST, 0, 0};
    else if (c < 5)
      p[j] = (shared_ins){RPI_IR_STORE, shared_value(p, j), o};
    else
      p[j] = (shared_ins){ops[rnd() % 3], shared_value(p, j), shared_value(p, j)};
  }
  if (!reduced) return;
  p[SHARED_INS - 2] =
      (shared_ins){RPI_IR_MUL, shared_value(p, SHARED_INS - 2), shared_value(p, SHARED_INS - 2)};
  p[SHARED_INS - 1] = (shared_ins){RPI_IR_REDUCE, SHARED_INS - 2, 0};
}

static double sum_leaf(const double *v, int64_t n, int64_t stride);

static void shared_case(bool narrow, bool reduced) {
  enum { N = 610 };
  static double want[SHARED_OPERANDS][N], terms[N], wide[SHARED_OPERANDS][N];
  static float thin[SHARED_OPERANDS][N];
  const rp_dtype t = narrow ? RP_F32 : RP_F64;
  shared_ins p[SHARED_INS];
  rpi_irval number[SHARED_INS];
  double *at[SHARED_OPERANDS], total = 0;
  kernel k;
  const int64_t one = 1, zero = 0, n = N;
  shared_program(p, reduced);
  open_kernel(&k, 1);
  for (int32_t o = 0; o < SHARED_OPERANDS; o++)
    affine(&k, t, RPI_ACCESS_READ | RPI_ACCESS_WRITE, "1");
  const int32_t sum = affine(&k, t, RPI_ACCESS_REDUCE, "0");
  for (int32_t j = 0; j < SHARED_INS; j++) {
    number[j] = (rpi_irval)k.ir.n_ins;
    if (p[j].op == RPI_IR_LOAD)
      load(&k, p[j].b);
    else if (p[j].op == RPI_IR_STORE)
      store(&k, p[j].b, number[p[j].a]);
    else if (p[j].op == RPI_IR_CONST)
      rpi_ir_const_f64(&k.ir, t, 0.5);
    else if (p[j].op == RPI_IR_REDUCE)
      reduce(&k, RPI_RED_SUM, sum, 1, 0, number[p[j].a]);
    else
      op2(&k, (rpi_irop)p[j].op, t, number[p[j].a], number[p[j].b]);
  }
  seal(&k);
  const uint64_t memories = 2 + rnd() % SHARED_OPERANDS;
  for (int32_t o = 0; o < SHARED_OPERANDS; o++) {
    const uint64_t m = rnd() % memories % SHARED_OPERANDS;
    for (int32_t i = 0; i < N; i++)
      thin[o][i] = (float)(rnd_f64() * 0.001), want[o][i] = wide[o][i] = (double)thin[o][i];
    at[o] = want[m];
    bind(&k, o, narrow ? (void *)thin[m] : (void *)wide[m], &one);
  }
  bind(&k, sum, &total, &zero);
  for (int64_t i = 0; i < N; i++) shared_point(p, at, narrow, i, terms);
  run(&k, &n);
  for (int32_t o = 0; o < SHARED_OPERANDS; o++)
    for (int32_t i = 0; i < N; i++) same_f64(narrow ? (double)thin[o][i] : wide[o][i], want[o][i]);
  if (reduced && !narrow) same_f64(total, sum_leaf(terms, N, 1));
  close_kernel(&k);
}

static void test_shared(void **state) {
  (void)state;
  for (int32_t c = 0; c < 1200; c++) shared_case(c & 1, c & 2);
}

/* A result that is stored late must not overtake a load of the same memory. */
static void test_late_store(void **state) {
  (void)state;
  enum { N = 300 };
  static double x[N], y[N], old[N];
  kernel k;
  open_kernel(&k, 1);
  const int32_t a = affine(&k, RP_F64, RPI_ACCESS_READ, "1"),
                b = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
  const int32_t d = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
  const rpi_irval va = load(&k, a), sq = op2(&k, RPI_IR_MUL, RP_F64, va, va);
  const rpi_irval again = load(&k, a), neg = op1(&k, RPI_IR_NEG, RP_F64, again);
  store(&k, b, sq);
  store(&k, d, neg);
  seal(&k);
  for (int32_t i = 0; i < N; i++) x[i] = old[i] = rnd_f64();
  const int64_t one_s = 1, n = N;
  bind(&k, a, x, &one_s), bind(&k, b, x, &one_s), bind(&k, d, y, &one_s);
  run(&k, &n);
  for (int32_t i = 0; i < N; i++) same_f64(x[i], old[i] * old[i]), same_f64(y[i], -old[i]);
  close_kernel(&k);
}

/* ---- prologue and epilogue */

static void test_sections(void **state) {
  (void)state;
  enum { N = 3000 };
  static double x[N], y[N], prod[N];
  double a = 3, b = 0.25, alpha = 0, dot = 0, root = 0;
  for (int32_t i = 0; i < N; i++) x[i] = rnd_f64();
  kernel k;
  open_kernel(&k, 1);
  const int32_t pa = affine(&k, RP_F64, RPI_ACCESS_READ, "0"),
                pb = affine(&k, RP_F64, RPI_ACCESS_READ, "0");
  const int32_t pc = affine(&k, RP_F64, RPI_ACCESS_WRITE, "0"),
                px = affine(&k, RP_F64, RPI_ACCESS_READ, "1");
  const int32_t py = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1"),
                pd = affine(&k, RP_F64, RPI_ACCESS_REDUCE, "0");
  const int32_t pr = affine(&k, RP_F64, RPI_ACCESS_WRITE, "0");
  const rpi_irval q = op2(&k, RPI_IR_DIV, RP_F64, load(&k, pa), load(&k, pb));
  store(&k, pc, q);
  k.ir.n_pro = k.ir.n_ins;
  const rpi_irval v = op2(&k, RPI_IR_MUL, RP_F64, load(&k, px), q);
  store(&k, py, v);
  reduce(&k, RPI_RED_SUM, pd, 1, 0, op2(&k, RPI_IR_MUL, RP_F64, v, v));
  k.ir.n_body = k.ir.n_ins;
  store(&k, pr, op2(&k, RPI_IR_ADD, RP_F64, op1(&k, RPI_IR_SQRT, RP_F64, load(&k, pd)), q));
  seal(&k);
  const int64_t zero = 0, one = 1, n = N;
  bind(&k, pa, &a, &zero), bind(&k, pb, &b, &zero), bind(&k, pc, &alpha, &zero),
      bind(&k, px, x, &one);
  bind(&k, py, y, &one), bind(&k, pd, &dot, &zero), bind(&k, pr, &root, &zero);
  run(&k, &n);
  for (int32_t i = 0; i < N; i++) same_f64(y[i], x[i] * 12), prod[i] = y[i] * y[i];
  same_f64(alpha, 12), same_f64(dot, sum_axis(prod, N, 1)),
      same_f64(root, __builtin_sqrt(dot) + 12);
  close_kernel(&k);
}

/* A loop in the prologue: its result is a word, what it is made of is not. */
static void test_prologue_loop(void **state) {
  (void)state;
  enum { N = 100 };
  double x[700], square[700], y[N];
  for (int32_t i = 0; i < 700; i++) x[i] = rnd_f64(), square[i] = x[i] * x[i];
  kernel k;
  open_kernel(&k, 1);
  const int32_t v = table(&k, RP_F64, 1, 1), o = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
  const rpi_irval j = loop(&k, RPI_LOOP_SEGMENT, rpi_ir_const_i64(&k.ir, RP_I64, 0),
                           rpi_ir_const_i64(&k.ir, RP_I64, 700));
  const rpi_irval g = gather1(&k, v, j);
  const rpi_irval sum = endloop(&k, RPI_RED_SUM, RP_F64, op2(&k, RPI_IR_MUL, RP_F64, g, g));
  k.ir.n_pro = k.ir.n_ins;
  const rpi_irval i =
      op1(&k, RPI_IR_CAST, RP_F64, rpi_ir_emit(&k.ir, RPI_IR_INDEX, RP_I64, 0, 0, NULL));
  store(&k, o, op2(&k, RPI_IR_ADD, RP_F64, sum, i));
  seal(&k);
  const int64_t one = 1, n = N;
  bind_table(&k, v, x, 700), bind(&k, o, y, &one);
  run(&k, &n);
  for (int32_t r = 0; r < N; r++) same_f64(y[r], sum_axis(square, 700, 1) + r);
  assert_int_equal(k.flag, 0);
  close_kernel(&k);
}

/* ---- limits */

/* `many` values at once, their squares summed at each point; and a long inner loop. */
static void many_values(kernel *k, int32_t many) {
  rpi_irval v[8000];
  open_kernel(k, 1);
  const int32_t x = affine(k, RP_F64, RPI_ACCESS_READ, "1"),
                o = affine(k, RP_F64, RPI_ACCESS_REDUCE, "0");
  const int32_t t = table(k, RP_F64, 1, 0), y = affine(k, RP_F64, RPI_ACCESS_WRITE, "1");
  const rpi_irval vx = load(k, x), zero = rpi_ir_const_i64(&k->ir, RP_I64, 0);
  const rpi_irval c = rpi_ir_const_f64(&k->ir, RP_F64, 1.25);
  v[0] = vx;
  for (int32_t i = 1; i < many; i++)
    v[i] = op2(k, RPI_IR_MAX, RP_F64, v[i - 1], op2(k, RPI_IR_ADD, RP_F64, v[i - 1], c));
  rpi_irval sum = rpi_ir_const_f64(&k->ir, RP_F64, 0);
  for (int32_t i = many - 1; i >= 0; i--)
    sum = op2(k, RPI_IR_ADD, RP_F64, op2(k, RPI_IR_MUL, RP_F64, v[i], v[i]), sum);
  reduce(k, RPI_RED_SUM, o, 1, 0, sum);
  const rpi_irval j = loop(k, RPI_LOOP_AXIS, zero, rpi_ir_const_i64(&k->ir, RP_I64, 1500));
  store(k, y, endloop(k, RPI_RED_SUM, RP_F64, op2(k, RPI_IR_SUB, RP_F64, gather1(k, t, j), vx)));
}

static void test_many_values(void **state) {
  (void)state;
  enum { N = 1100, MANY = 2500 };
  static double x[N], table_of[1500], sums[N], y[N], shifted[1500];
  double total;
  const int64_t one = 1, zero = 0, n = N;
  kernel k;
  many_values(&k, MANY);
  seal(&k);
  for (int32_t i = 0; i < 1500; i++) table_of[i] = rnd_f64();
  bind(&k, 0, x, &one), bind(&k, 1, &total, &zero), bind_table(&k, 2, table_of, 1500),
      bind(&k, 3, y, &one);
  for (int32_t pass = 0; pass < 4; pass++) { /* one order of a sum may give the bits of another */
    for (int32_t i = 0; i < N; i++) x[i] = rnd_f64() * (i % 7 ? 1 : 1e5);
    run(&k, &n);
    for (int32_t i = 0; i < N; i++) {
      static double v[MANY];
      v[0] = x[i], sums[i] = 0;
      for (int32_t j = 1; j < MANY; j++) v[j] = v[j - 1] + 1.25;
      for (int32_t j = MANY - 1; j >= 0; j--) sums[i] = v[j] * v[j] + sums[i];
      if (i % 100 != 0) continue;
      for (int32_t j = 0; j < 1500; j++) shifted[j] = table_of[j] - x[i];
      same_f64(y[i], sum_axis(shifted, 1500, 1));
    }
    same_f64(total, sum_axis(sums, N, 1));
  }
  close_kernel(&k);
  many_values(&k, 7000); /* more than blocks of 16 elements allow */
  k.ir.n_body = k.ir.n_ins;
  assert_int_equal(rpi_interp_create(&k.ir, RPI_VECTOR_AVX2, &k.interp), RP_ERR_INTERNAL);
  assert_non_null(strstr(rpi_status_message(), "registers"));
  close_kernel(&k);
}

static void test_no_loop(void **state) {
  (void)state;
  kernel k;
  open_kernel(&k, 1);
  const int32_t a = affine(&k, RP_I32, RPI_ACCESS_READ, "1"),
                b = affine(&k, RP_I32, RPI_ACCESS_WRITE, "1");
  store(&k, b, op1(&k, RPI_IR_FLOOR, RP_I32, load(&k, a)));
  k.ir.n_body = k.ir.n_ins;
  assert_int_equal(rpi_interp_create(&k.ir, RPI_VECTOR_AVX2, &k.interp), RP_ERR_INTERNAL);
  assert_null(k.interp);
  assert_non_null(strstr(rpi_status_message(), "floor"));
  assert_non_null(strstr(rpi_status_message(), "i32"));
  close_kernel(&k);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_elementwise), cmocka_unit_test(test_same_box),
      cmocka_unit_test(test_late_store),  cmocka_unit_test(test_sections),
      cmocka_unit_test(test_shared),      cmocka_unit_test(test_prologue_loop),
      cmocka_unit_test(test_many_values), cmocka_unit_test(test_no_loop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
