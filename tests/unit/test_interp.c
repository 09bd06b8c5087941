/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_interp.c -- tier 0 against plain loops written here, bit by bit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/config.h"
#include "jit/finish.h"
#include "jit/interp.h"

/* ---- a kernel with its words */

static uint64_t seed = 12345;
static uint64_t rnd(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return seed >> 33;
}
static double rnd_f64(void) { return (double)(int64_t)(rnd() % 2000001) / 1000.0 - 1000.0; }

typedef struct kernel {
  rpi_ir ir;
  rpi_ir_layout l;
  rpi_interp *interp;
  rpi_word *w;
  void *partial[8];
  uint32_t flag;
} kernel;

static int32_t affine(kernel *k, rp_dtype t, int32_t access, const char *classes) {
  rpi_ir_operand o = {.dtype = (uint8_t)t, .kind = RPI_OPERAND_AFFINE, .rank = (uint8_t)k->ir.rank,
                      .access = (uint8_t)access};
  for (int32_t d = 0; d < k->ir.rank; d++)
    o.sclass[d] = classes[d] == '0' ? RPI_STRIDE_ZERO : classes[d] == '1' ? RPI_STRIDE_UNIT : RPI_STRIDE_ANY;
  return rpi_ir_operand_add(&k->ir, &o);
}

static int32_t table(kernel *k, rp_dtype t, int32_t rank, int32_t checked) {
  rpi_ir_operand o = {.dtype = (uint8_t)t, .kind = RPI_OPERAND_TABLE, .rank = (uint8_t)rank,
                      .access = RPI_ACCESS_READ, .checked = (uint8_t)checked};
  for (int32_t d = 0; d < rank; d++) o.sclass[d] = d == rank - 1 ? RPI_STRIDE_UNIT : RPI_STRIDE_ANY;
  return rpi_ir_operand_add(&k->ir, &o);
}

static rpi_irval load(kernel *k, int32_t o) {
  return rpi_ir_emit(&k->ir, RPI_IR_LOAD, k->ir.operand[o].dtype, (uint64_t)o, 0, NULL);
}
static void store(kernel *k, int32_t o, rpi_irval v) {
  rpi_ir_emit(&k->ir, RPI_IR_STORE, k->ir.operand[o].dtype, (uint64_t)o, 1, &v);
}
static rpi_irval op1(kernel *k, rpi_irop op, rp_dtype t, rpi_irval a) { return rpi_ir_emit1(&k->ir, op, t, a); }
static rpi_irval op2(kernel *k, rpi_irop op, rp_dtype t, rpi_irval a, rpi_irval b) {
  return rpi_ir_emit2(&k->ir, op, t, a, b);
}
static rpi_irval gather1(kernel *k, int32_t o, rpi_irval i) {
  return rpi_ir_emit(&k->ir, RPI_IR_GATHER, k->ir.operand[o].dtype, (uint64_t)o, 1, &i);
}
static rpi_irval loop(kernel *k, rpi_looprule rule, rpi_irval lo, rpi_irval hi) {
  const rpi_irval s[2] = {lo, hi};
  return rpi_ir_emit(&k->ir, RPI_IR_LOOP, RP_I64, rule, 2, s);
}
static rpi_irval endloop(kernel *k, rpi_redop op, rp_dtype t, rpi_irval v) {
  return rpi_ir_emit(&k->ir, RPI_IR_ENDLOOP, t, op, 1, &v);
}
static void reduce(kernel *k, rpi_redop op, int32_t o, int32_t mask, int32_t join, rpi_irval v) {
  const rpi_ir_red r = {.operand = (uint16_t)o, .op = (uint8_t)op, .join = (uint8_t)join, .mask = (uint8_t)mask};
  const int32_t n = rpi_ir_red_add(&k->ir, &r);
  rpi_ir_emit(&k->ir, RPI_IR_REDUCE, k->ir.operand[o].dtype, (uint64_t)n, 1, &v);
}

static void open_kernel(kernel *k, int32_t rank) {
  memset(k, 0, sizeof *k);
  rpi_ir_init(&k->ir, rank);
}
static void seal(kernel *k) { /* after the body; a prologue sets n_pro itself, an epilogue n_body */
  if (k->ir.n_body == 0) k->ir.n_body = k->ir.n_ins;
  assert_false(k->ir.failed);
  assert_int_equal(rpi_interp_create(&k->ir, RPI_VECTOR_AVX2, &k->interp), RP_OK);
  rpi_ir_layout_get(&k->ir, &k->l);
  k->w = calloc((size_t)k->l.n_words, sizeof *k->w);
  k->w[k->l.flag].p = &k->flag;
}
static void bind(kernel *k, int32_t o, void *p, const int64_t *stride) {
  k->w[k->l.ptr + o].p = p;
  const int32_t at = rpi_ir_layout_stride(&k->ir, &k->l, o);
  for (int32_t d = 0; d < k->ir.operand[o].rank; d++) k->w[at + d].i = stride[d];
}
static void bind_table(kernel *k, int32_t o, void *p, int64_t extent) {
  const int64_t one = 1;
  bind(k, o, p, &one);
  k->w[rpi_ir_layout_stride(&k->ir, &k->l, o) + 1].i = extent;
}
/* Runs it, the units cut at random places and taken in a shuffled order of pieces. */
static void run(kernel *k, const int64_t *extent) {
  const rpi_kernel_code *code = rpi_interp_code(k->interp);
  for (int32_t d = 0; d < k->ir.rank; d++) k->w[k->l.extent + d].i = extent[d];
  for (int32_t r = 0; r < k->ir.n_red; r++) {
    free(k->partial[r]);
    k->partial[r] = malloc((size_t)rpi_ir_partials(&k->ir, extent) * 8 + 8);
    k->w[k->l.partial + r].p = k->partial[r];
  }
  if (code->pro != NULL) code->pro(code->self, k->w);
  const int64_t units = rpi_ir_units(&k->ir, extent);
  void *scratch = aligned_alloc(64, RPI_KERNEL_SCRATCH);
  memset(scratch, 0xee, RPI_KERNEL_SCRATCH);
  for (int64_t pass = 0; pass < 2; pass++) { /* odd pieces, then even ones */
    const uint64_t at = seed;
    int64_t piece = 0;
    for (int64_t u = 0; u < units; piece++) {
      const int64_t n = 1 + (int64_t)(rnd() % 7), end = u + n < units ? u + n : units;
      if (piece % 2 != pass) code->body(code->self, k->w, u, end, scratch);
      u = end;
    }
    if (pass == 0) seed = at;
  }
  free(scratch);
  rpi_finish_all(&k->ir, &k->l, k->w);
  if (code->epi != NULL) code->epi(code->self, k->w);
}
static void close_kernel(kernel *k) {
  for (int32_t r = 0; r < 8; r++) free(k->partial[r]);
  rpi_interp_free(k->interp);
  rpi_ir_deinit(&k->ir);
  free(k->w);
}

static void same_f64(double a, double b) {
  if (a != a && b != b) return;
  uint64_t x, y;
  memcpy(&x, &a, 8), memcpy(&y, &b, 8);
  if (x != y) print_error("%a and %a\n", a, b);
  assert_true(x == y);
}

/* ---- element-wise */

static void test_elementwise(void **state) {
  (void)state;
  kernel k;
  open_kernel(&k, 2);
  const int32_t a = affine(&k, RP_F64, RPI_ACCESS_READ, "21"), b = affine(&k, RP_F64, RPI_ACCESS_READ, "22");
  const int32_t c = affine(&k, RP_I32, RPI_ACCESS_READ, "20"), d = affine(&k, RP_F32, RPI_ACCESS_READ, "01");
  const int32_t z = affine(&k, RP_F64, RPI_ACCESS_WRITE, "21"), y = affine(&k, RP_I32, RPI_ACCESS_WRITE, "22");
  const int32_t q = affine(&k, RP_BOOL, RPI_ACCESS_WRITE, "21"), x = affine(&k, RP_I64, RPI_ACCESS_WRITE, "21");
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
  for (int32_t i = 0; i < ROWS * MOST; i++) fa[i] = rnd_f64(), fb[2 * i] = rnd_f64(), fb[2 * i + 1] = 0;
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
  const int32_t a = affine(&k, RP_F64, RPI_ACCESS_READ, "1"), b = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
  const int32_t c = affine(&k, RP_F64, RPI_ACCESS_READ, "1"), d = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
  const rpi_irval va = load(&k, a), one = rpi_ir_const_f64(&k.ir, RP_F64, 1), two = op2(&k, RPI_IR_ADD, RP_F64, va, one);
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

static void shared_point(const shared_ins *p, double *const *at, bool narrow, int64_t i, double *terms) {
  double v[SHARED_INS];
  for (int32_t j = 0; j < SHARED_INS; j++) {
    if (p[j].op == RPI_IR_LOAD) v[j] = at[p[j].b][i];
    else if (p[j].op == RPI_IR_STORE) at[p[j].b][i] = v[p[j].a];
    else if (p[j].op == RPI_IR_CONST) v[j] = 0.5;
    else if (p[j].op == RPI_IR_REDUCE) terms[i] = v[p[j].a];
    else v[j] = shared_op(p[j].op, v[p[j].a], v[p[j].b]);
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
    if (j < 2 || c < 2) p[j] = (shared_ins){RPI_IR_LOAD, 0, o};
    else if (c == 2) p[j] = (shared_ins){RPI_IR_CONST, 0, 0};
    else if (c < 5) p[j] = (shared_ins){RPI_IR_STORE, shared_value(p, j), o};
    else p[j] = (shared_ins){ops[rnd() % 3], shared_value(p, j), shared_value(p, j)};
  }
  if (!reduced) return;
  p[SHARED_INS - 2] = (shared_ins){RPI_IR_MUL, shared_value(p, SHARED_INS - 2), shared_value(p, SHARED_INS - 2)};
  p[SHARED_INS - 1] = (shared_ins){RPI_IR_REDUCE, SHARED_INS - 2, 0};
}

static double leaf_f64(const double *v, int64_t n, int64_t stride);

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
  for (int32_t o = 0; o < SHARED_OPERANDS; o++) affine(&k, t, RPI_ACCESS_READ | RPI_ACCESS_WRITE, "1");
  const int32_t sum = affine(&k, t, RPI_ACCESS_REDUCE, "0");
  for (int32_t j = 0; j < SHARED_INS; j++) {
    number[j] = (rpi_irval)k.ir.n_ins;
    if (p[j].op == RPI_IR_LOAD) load(&k, p[j].b);
    else if (p[j].op == RPI_IR_STORE) store(&k, p[j].b, number[p[j].a]);
    else if (p[j].op == RPI_IR_CONST) rpi_ir_const_f64(&k.ir, t, 0.5);
    else if (p[j].op == RPI_IR_REDUCE) reduce(&k, RPI_RED_SUM, sum, 1, 0, number[p[j].a]);
    else op2(&k, (rpi_irop)p[j].op, t, number[p[j].a], number[p[j].b]);
  }
  seal(&k);
  const uint64_t memories = 2 + rnd() % SHARED_OPERANDS;
  for (int32_t o = 0; o < SHARED_OPERANDS; o++) {
    const uint64_t m = rnd() % memories % SHARED_OPERANDS;
    for (int32_t i = 0; i < N; i++) thin[o][i] = (float)(rnd_f64() * 0.001), want[o][i] = wide[o][i] = (double)thin[o][i];
    at[o] = want[m];
    bind(&k, o, narrow ? (void *)thin[m] : (void *)wide[m], &one);
  }
  bind(&k, sum, &total, &zero);
  for (int64_t i = 0; i < N; i++) shared_point(p, at, narrow, i, terms);
  run(&k, &n);
  for (int32_t o = 0; o < SHARED_OPERANDS; o++)
    for (int32_t i = 0; i < N; i++) same_f64(narrow ? (double)thin[o][i] : wide[o][i], want[o][i]);
  if (reduced && !narrow) same_f64(total, leaf_f64(terms, N, 1));
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
  const int32_t a = affine(&k, RP_F64, RPI_ACCESS_READ, "1"), b = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
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

/* ---- reductions: SEMANTICS 3, written out */

static double tree_f64(double *v, int64_t n) {
  if (n == 1) return v[0];
  int64_t half = 1;
  while (2 * half < n) half *= 2;
  const double a = tree_f64(v, half), b = tree_f64(v + half, n - half);
  return a + b;
}
static double leaf_f64(const double *v, int64_t n, int64_t stride) {
  double acc[64];
  for (int32_t i = 0; i < 64; i++) acc[i] = -0.0;
  for (int64_t i = 0; i < n; i++) acc[i % 64] += v[i * stride];
  for (int32_t h = 32; h > 0; h /= 2)
    for (int32_t i = 0; i < h; i++) acc[i] += acc[i + h];
  return acc[0];
}
static double axis_f64(const double *v, int64_t n, int64_t stride) {
  static double leaf[1000];
  int64_t m = 0;
  for (int64_t i = 0; i < n; i += 1024) leaf[m++] = leaf_f64(v + i * stride, n - i < 1024 ? n - i : 1024, stride);
  return tree_f64(leaf, m);
}

static void test_leaf_mode(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 2, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025, 3000, 5121};
  enum { A = 3, B = 5, MOST = 5121 };
  double *x = malloc(sizeof(double) * A * B * MOST), rows[A * B], out[B], total, kept[A];
  int64_t count;
  kernel k;
  open_kernel(&k, 3);
  const int32_t a = affine(&k, RP_F64, RPI_ACCESS_READ, "221"), t = affine(&k, RP_F64, RPI_ACCESS_REDUCE, "000");
  const int32_t o = affine(&k, RP_F64, RPI_ACCESS_REDUCE, "020"), q = affine(&k, RP_F64, RPI_ACCESS_REDUCE, "200");
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
    bind(&k, t, &total, (const int64_t[]){0, 0, 0}), bind(&k, o, out + B - 1, (const int64_t[]){0, -1, 0});
    bind(&k, q, kept, (const int64_t[]){1, 0, 0}), bind(&k, c, &count, (const int64_t[]){0, 0, 0});
    total = 0.3;
    run(&k, (const int64_t[]){A, B, n});
    double *sqr = malloc(sizeof(double) * (size_t)n);
    for (int32_t r = 0; r < A * B; r++) {
      for (int64_t i = 0; i < n; i++) sqr[i] = x[r * n + i] * x[r * n + i];
      rows[r] = axis_f64(sqr, n, 1);
    }
    free(sqr);
    same_f64(total, tree_f64(rows, A * B) + 0.3);
    for (int32_t j = 0; j < B; j++) {
      double part[A];
      for (int32_t i = 0; i < A; i++) part[i] = axis_f64(x + (i * B + j) * n, n, 1);
      same_f64(out[B - 1 - j], tree_f64(part, A));
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
  const int32_t a = affine(&k, RP_F64, RPI_ACCESS_READ, "221"), o = affine(&k, RP_F64, RPI_ACCESS_REDUCE, "021");
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
      same_f64(out[i], tree_f64(leaf, leaves) + mean[i]);
    }
  }
  free(x), free(out), free(mean);
  close_kernel(&k);
}

/* ---- inner loops */

static double segment_f64(const double *v, int64_t n) {
  if (n > 32) return axis_f64(v, n, 1);
  double s = n == 0 ? 0.0 : -0.0;
  for (int64_t i = 0; i < n; i++) s += v[i];
  return s;
}

/* y[i] = sum(k in ptr[i]..ptr[i+1]) val[k] * x[col[k]], rows of all kinds; `gaps`: rows do not abut. */
static void spmv(bool gaps, bool checked, bool scaled, bool swapped) {
  static const int32_t lens[] = {0, 3, 5, 33, 0, 32, 1, 5000, 7, 255, 256, 257, 1024, 31, 2048, 64, 0};
  enum { ROWS = 400 };
  static int64_t lo[ROWS], hi[ROWS];
  int64_t nnz = 0;
  for (int32_t i = 0; i < ROWS; i++) {
    if (gaps) nnz += (int64_t)(rnd() % 3);
    lo[i] = nnz, hi[i] = nnz += i < 17 ? lens[i] : i < 60 || i > 390 ? (int64_t)(rnd() % 40) : 1 + i / 50;
  }
  double *val = malloc(sizeof(double) * (size_t)nnz), *prod = malloc(sizeof(double) * (size_t)nnz);
  int32_t *col = malloc(sizeof(int32_t) * (size_t)nnz);
  double x[500], y[ROWS], scale[ROWS];
  for (int64_t i = 0; i < nnz; i++) val[i] = rnd_f64(), col[i] = (int32_t)(rnd() % 500);
  for (int32_t i = 0; i < 500; i++) x[i] = rnd_f64();
  for (int32_t i = 0; i < ROWS; i++) scale[i] = scaled ? rnd_f64() : 1;
  kernel k;
  open_kernel(&k, 1);
  const int32_t from = affine(&k, RP_I64, RPI_ACCESS_READ, "1"), to = affine(&k, RP_I64, RPI_ACCESS_READ, "1");
  const int32_t s = affine(&k, RP_F64, RPI_ACCESS_READ, "1"), o = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1");
  const int32_t v = table(&k, RP_F64, 1, checked), c = table(&k, RP_I32, 1, checked), t = table(&k, RP_F64, 1, checked);
  const rpi_irval j = loop(&k, RPI_LOOP_SEGMENT, load(&k, from), load(&k, to));
  const rpi_irval at = op1(&k, RPI_IR_CAST, RP_I64, gather1(&k, c, j));
  const rpi_irval gv = gather1(&k, v, j), gx = gather1(&k, t, at);
  rpi_irval term = swapped ? op2(&k, RPI_IR_MUL, RP_F64, gx, gv) : op2(&k, RPI_IR_MUL, RP_F64, gv, gx);
  if (scaled) term = op2(&k, RPI_IR_MUL, RP_F64, term, load(&k, s)); /* a row's value inside */
  store(&k, o, endloop(&k, RPI_RED_SUM, RP_F64, term));
  seal(&k);
  const int64_t one = 1, n = ROWS;
  bind(&k, from, lo, &one), bind(&k, to, hi, &one), bind(&k, s, scale, &one), bind(&k, o, y, &one);
  bind_table(&k, v, val, nnz), bind_table(&k, c, col, nnz), bind_table(&k, t, x, 500);
  run(&k, &n);
  for (int32_t i = 0; i < ROWS; i++) {
    for (int64_t e = lo[i]; e < hi[i]; e++) prod[e] = val[e] * x[col[e]] * scale[i];
    same_f64(y[i], segment_f64(prod + lo[i], hi[i] - lo[i]));
  }
  assert_int_equal(k.flag, 0);
  if (checked) { /* one bad index: clamped and flagged */
    const int64_t e = lo[200]; /* among rows that are summed as they are made */
    assert_true(hi[200] > e);
    col[e] = -7;
    run(&k, &n);
    assert_int_equal(k.flag, 1);
    for (int64_t g = e; g < hi[200]; g++) prod[g] = val[g] * x[g == e ? 0 : col[g]] * scale[200];
    same_f64(y[200], segment_f64(prod + e, hi[200] - e));
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
        same_f64(y[r], len <= 0 ? 0.0 : rule == RPI_LOOP_ROWS ? tree_f64(copy, len) : axis_f64(copy, len, 1));
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
  const rpi_irval zero = rpi_ir_const_i64(&k.ir, RP_I64, 0), n = rpi_ir_const_i64(&k.ir, RP_I64, 300);
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
      part[a] = segment_f64(prod, a + r);
    }
    same_f64(y[r], axis_f64(part, 300, 1));
  }
  assert_int_equal(k.flag, 0);
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
  const int32_t pa = affine(&k, RP_F64, RPI_ACCESS_READ, "0"), pb = affine(&k, RP_F64, RPI_ACCESS_READ, "0");
  const int32_t pc = affine(&k, RP_F64, RPI_ACCESS_WRITE, "0"), px = affine(&k, RP_F64, RPI_ACCESS_READ, "1");
  const int32_t py = affine(&k, RP_F64, RPI_ACCESS_WRITE, "1"), pd = affine(&k, RP_F64, RPI_ACCESS_REDUCE, "0");
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
  bind(&k, pa, &a, &zero), bind(&k, pb, &b, &zero), bind(&k, pc, &alpha, &zero), bind(&k, px, x, &one);
  bind(&k, py, y, &one), bind(&k, pd, &dot, &zero), bind(&k, pr, &root, &zero);
  run(&k, &n);
  for (int32_t i = 0; i < N; i++) same_f64(y[i], x[i] * 12), prod[i] = y[i] * y[i];
  same_f64(alpha, 12), same_f64(dot, axis_f64(prod, N, 1)), same_f64(root, __builtin_sqrt(dot) + 12);
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
  const rpi_irval j = loop(&k, RPI_LOOP_SEGMENT, rpi_ir_const_i64(&k.ir, RP_I64, 0), rpi_ir_const_i64(&k.ir, RP_I64, 700));
  const rpi_irval g = gather1(&k, v, j);
  const rpi_irval sum = endloop(&k, RPI_RED_SUM, RP_F64, op2(&k, RPI_IR_MUL, RP_F64, g, g));
  k.ir.n_pro = k.ir.n_ins;
  const rpi_irval i = op1(&k, RPI_IR_CAST, RP_F64, rpi_ir_emit(&k.ir, RPI_IR_INDEX, RP_I64, 0, 0, NULL));
  store(&k, o, op2(&k, RPI_IR_ADD, RP_F64, sum, i));
  seal(&k);
  const int64_t one = 1, n = N;
  bind_table(&k, v, x, 700), bind(&k, o, y, &one);
  run(&k, &n);
  for (int32_t r = 0; r < N; r++) same_f64(y[r], axis_f64(square, 700, 1) + r);
  assert_int_equal(k.flag, 0);
  close_kernel(&k);
}

/* ---- limits */

/* `many` values at once, their squares summed at each point; and a long inner loop. */
static void many_values(kernel *k, int32_t many) {
  rpi_irval v[8000];
  open_kernel(k, 1);
  const int32_t x = affine(k, RP_F64, RPI_ACCESS_READ, "1"), o = affine(k, RP_F64, RPI_ACCESS_REDUCE, "0");
  const int32_t t = table(k, RP_F64, 1, 0), y = affine(k, RP_F64, RPI_ACCESS_WRITE, "1");
  const rpi_irval vx = load(k, x), zero = rpi_ir_const_i64(&k->ir, RP_I64, 0);
  const rpi_irval c = rpi_ir_const_f64(&k->ir, RP_F64, 1.25);
  v[0] = vx;
  for (int32_t i = 1; i < many; i++) v[i] = op2(k, RPI_IR_MAX, RP_F64, v[i - 1], op2(k, RPI_IR_ADD, RP_F64, v[i - 1], c));
  rpi_irval sum = rpi_ir_const_f64(&k->ir, RP_F64, 0);
  for (int32_t i = many - 1; i >= 0; i--) sum = op2(k, RPI_IR_ADD, RP_F64, op2(k, RPI_IR_MUL, RP_F64, v[i], v[i]), sum);
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
  bind(&k, 0, x, &one), bind(&k, 1, &total, &zero), bind_table(&k, 2, table_of, 1500), bind(&k, 3, y, &one);
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
      same_f64(y[i], axis_f64(shifted, 1500, 1));
    }
    same_f64(total, axis_f64(sums, N, 1));
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
  const int32_t a = affine(&k, RP_I32, RPI_ACCESS_READ, "1"), b = affine(&k, RP_I32, RPI_ACCESS_WRITE, "1");
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
    cmocka_unit_test(test_late_store),  cmocka_unit_test(test_leaf_mode),
    cmocka_unit_test(test_row_mode),    cmocka_unit_test(test_spmv),
    cmocka_unit_test(test_loop_rules),  cmocka_unit_test(test_nested),
    cmocka_unit_test(test_sections),    cmocka_unit_test(test_shared),
    cmocka_unit_test(test_prologue_loop), cmocka_unit_test(test_many_values),
    cmocka_unit_test(test_no_loop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
