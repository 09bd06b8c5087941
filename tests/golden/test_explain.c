/* SPDX-License-Identifier: Apache-2.0
 * tests/golden/test_explain.c -- what rp_explain says of small programs, word by word: segments, groups,
 * what was never stored, renamed, shared, dropped or committed late, and every kind of refusal.
 * What varies between machines is avoided (tier 0, one thread, AVX2) or cut (statistics, the hash
 * in a kernel's name). REPRISE_GOLDEN=update rewrites tests/golden/explain_*.txt. */
#include "tests/support/api_check.h"

#include "core/include/reprise_sparse.h"

#include <stdio.h>

#include "core/include/reprise_array.h"
#include "tests/support/stencil_pass.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

static rp_context *ctx;

static int setup(void **state) {
  (void)state;
  ctx = check_context("--threads 1 --vector avx2");
  return 0;
}

static int teardown(void **state) {
  (void)state;
  return rp_context_destroy(ctx) == RP_OK ? 0 : -1;
}

/* ---- comparing ---------------------------------------------------------------------------------- */

/* "kernel name_0123abcd, tier" loses its hash; statistics follow in no particular form. */
static char *explained(void) {
  char *text = check_explained(ctx);
  char *end = strstr(text, "statistics\n");
  assert_non_null(end);
  *end = '\0';
  char *to = text;
  for (char *from = text; *from; from++) {
    if (from[0] == '_' && strspn(from + 1, "0123456789abcdef") == 8 && from[9] == ',') from += 9;
    *to++ = *from;
  }
  *to = '\0';
  return text;
}

static void check_golden(const char *name) {
  char path[128];
  char *text = explained();
  const char *update = getenv("REPRISE_GOLDEN");
  snprintf(path, sizeof path, "tests/golden/explain_%s.txt", name);
  if (update && strcmp(update, "update") == 0) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
  }
  FILE *f = fopen(path, "r");
  if (!f) fail_msg("cannot open %s (run from the root of the tree)", path);
  char *want = calloc(1, 1 << 16);
  assert_non_null(want);
  assert_true(fread(want, 1, (1 << 16) - 1, f) > 0);
  fclose(f);
  size_t at = 0, line = 0;
  for (; text[at] && text[at] == want[at]; at++)
    if (text[at] == '\n') line = at + 1;
  if (text[at] != want[at])
    fail_msg("%s: \"%.*s\" is now \"%.*s\" (REPRISE_GOLDEN=update rewrites it)", path,
             (int)strcspn(want + line, "\n"), want + line, (int)strcspn(text + line, "\n"),
             text + line);
  free(want);
  free(text);
}

static void drop(rp_store *s) { OK(rp_store_release(s)); }

/* ---- programs ------------------------------------------------------------------------------------- */

static void test_stencil(void **state) {
  (void)state;
  enum { SIDE = 30 };
  rp_store *g = check_store(ctx, 2, (int64_t[]){SIDE + 2, SIDE + 2}, NULL);
  stencil_pass pass = stencil_begin(ctx, g, SIDE);
  for (int i = 0; i < 6; i++) stencil_run(&pass);
  check_golden("stencil");
  stencil_end(&pass);
}

/* A matrix of three diagonals as CSR. */
static void make_csr(rp_store *m[3], int64_t n) {
  int64_t ptr[64] = {0}, nnz = 0;
  int32_t col[192];
  double val[192];
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = i > 0 ? i - 1 : 0; j <= i + 1 && j < n; j++, nnz++) {
      col[nnz] = (int32_t)j;
      val[nnz] = i == j ? 4 : -1;
    }
    ptr[i + 1] = nnz;
  }
  OK(rp_store_create(ctx, RP_I64, 1, (int64_t[]){n + 1}, &m[0]));
  OK(rp_store_write(m[0], ptr, sizeof *ptr * (size_t)(n + 1)));
  OK(rp_store_create(ctx, RP_I32, 1, &nnz, &m[1]));
  OK(rp_store_write(m[1], col, sizeof *col * (size_t)nnz));
  m[2] = check_vector(ctx, nnz, val);
}

/* Passes of conjugate gradients: the product with its dot, the residual with its norm, both updates. */
static void test_cg(void **state) {
  (void)state;
  enum { N = 40 };
  double one[N];
  for (int i = 0; i < N; i++) one[i] = 1 + i % 3;
  rp_store *m[3], *x = check_vector(ctx, N, NULL), *r = check_vector(ctx, N, one);
  rp_store *p = check_vector(ctx, N, one), *q = check_vector(ctx, N, NULL);
  rp_store *rho = check_store(ctx, 0, NULL, NULL), *pq = check_store(ctx, 0, NULL, NULL);
  rp_store *alpha = check_store(ctx, 0, NULL, NULL), *beta = check_store(ctx, 0, NULL, NULL);
  rp_store *fresh = check_store(ctx, 0, NULL, NULL);
  make_csr(m, N);
  OK(EVAL(ctx, "s, r", "s = sum(i) r[i]*r[i]", rho, r));
  for (int i = 0; i < 4; i++) {
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "q, ptr, col, val, p", "q[i] = sum(k in ptr[i]..ptr[i+1]) val[k]*p[col[k]]", q,
            m[0], m[1], m[2], p));
    OK(EVAL(ctx, "s, p, q", "s = sum(i) p[i]*q[i]", pq, p, q));
    OK(EVAL(ctx, "a, rho, pq", "a = rho/pq", alpha, rho, pq));
    OK(EVAL(ctx, "x, a, p", "x = x + a*p", x, alpha, p));
    OK(EVAL(ctx, "r, a, q", "r = r - a*q", r, alpha, q));
    OK(EVAL(ctx, "s, r", "s = sum(i) r[i]*r[i]", fresh, r));
    OK(EVAL(ctx, "b, fresh, rho", "b = fresh/rho; rho = fresh", beta, fresh, rho));
    OK(EVAL(ctx, "p, r, b", "p = r + b*p", p, r, beta));
    OK(rp_trace_end(ctx, 1));
  }
  check_golden("cg");
  rp_store *all[] = {m[0], m[1], m[2], x, r, p, q, rho, pq, alpha, beta, fresh};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

static rp_store *binary(rp_array_code code, rp_store *a, rp_store *b, bool last) {
  rp_store *y;
  OK(rp_array_binary(code, a, b, &y));
  drop(a);
  if (last) drop(b);
  return y;
}

/* Calls of an array library, each result dropped when it has been used: one kernel, nothing stored. */
static void test_chain(void **state) {
  (void)state;
  enum { N = 3000 };
  rp_store *s = check_vector(ctx, N, NULL), *k = check_vector(ctx, N, NULL), *call = NULL;
  for (int i = 0; i < 3; i++) {
    OK(rp_trace_begin(ctx, 1));
    drop(call);
    rp_store *ratio, *d, *cdf, *discount;
    OK(rp_array_divide(s, k, &ratio));
    OK(rp_array_unary(RP_ARRAY_LOG, ratio, &d));
    drop(ratio);
    OK(rp_array_binary_float(RP_ARRAY_ADD, d, 0.02, &cdf));
    d = binary(RP_ARRAY_DIVIDE, d, cdf, true);
    OK(rp_array_unary(RP_ARRAY_ERF, d, &cdf));
    drop(d);
    OK(rp_array_multiply_scalar(k, 0.97, &discount));
    cdf = binary(RP_ARRAY_MULTIPLY, cdf, s, false);
    call = binary(RP_ARRAY_SUBTRACT, cdf, discount, true);
    OK(rp_trace_end(ctx, 1));
  }
  check_golden("chain");
  drop(s);
  drop(k);
  drop(call);
}

/* One kernel that reads the array at other points than it writes: it writes another instance, which
 * takes the rest from the old one until both have it. */
static void test_patch(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 500, NULL), *lo, *hi;
  OK(rp_store_slice(x, 0, 0, 499, 1, &lo));
  OK(rp_store_slice(x, 0, 1, 500, 1, &hi));
  for (int i = 0; i < 4; i++) {
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "hi, lo", "hi = 0.5*(hi + lo)", hi, lo));
    OK(rp_trace_end(ctx, 1));
  }
  check_golden("patch");
  drop(x);
  drop(lo);
  drop(hi);
}

static void test_copy(void **state) {
  (void)state;
  enum { N = 3000 };
  rp_store *u = check_vector(ctx, N, NULL), *un = check_vector(ctx, N, NULL);
  for (int i = 0; i < 4; i++) {
    OK(rp_trace_begin(ctx, 1));
    OK(rp_store_copy(un, u));
    OK(EVAL(ctx, "u, un", "u = un*0.5 + 1", u, un));
    OK(rp_trace_end(ctx, 1));
  }
  check_golden("copy");
  drop(u);
  drop(un);
}

/* Names that are given to new arrays in the next pass: the old ones die unread. */
static void test_late(void **state) {
  (void)state;
  enum { N = 3000 };
  rp_store *x = check_vector(ctx, N, NULL), *t = NULL;
  for (int i = 0; i < 6; i++) {
    OK(rp_trace_begin(ctx, 1));
    drop(t);
    t = check_vector(ctx, N, NULL);
    OK(EVAL(ctx, "t, x", "t = x*0.5", t, x));
    OK(EVAL(ctx, "x, t", "x = x - t", x, t));
    OK(rp_trace_end(ctx, 1));
  }
  check_golden("late");
  drop(x);
  drop(t);
}

static void smooth(double *y, const double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i] + (i > 0 ? x[i - 1] : 0);
}

static rp_op *opaque_op(rp_library *lib, const char *name, int32_t flags) {
  static const int32_t privilege[] = {RP_PRIV_WRITE, RP_PRIV_READ};
  static const rp_opaque_arg arg[] = {
      {.kind = RP_ARG_PTR, .a = 0}, {.kind = RP_ARG_PTR, .a = 1}, {.kind = RP_ARG_SIZE, .a = 0}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = name,
                            .params = "y, x",
                            .privileges = privilege,
                            .function = (void (*)(void))smooth,
                            .args = arg,
                            .n_args = 3,
                            .flags = flags};
  rp_op *op;
  OK(rp_op_create_opaque(lib, &d, &op));
  return op;
}

/* A C function in the middle; it wants dense memory and gets it. */
static void test_opaque(void **state) {
  (void)state;
  enum { N = 100 };
  rp_library *lib;
  OK(rp_library_create(ctx, "mine", &lib));
  rp_op *op = opaque_op(lib, "smooth", RP_OPAQUE_DENSE);
  rp_store *x = check_vector(ctx, 2 * N, NULL), *even, *y = check_vector(ctx, N, NULL);
  OK(rp_store_slice(x, 0, 0, INT64_MAX, 2, &even));
  for (int i = 0; i < 2; i++) {
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "x", "x = x + 1", even));
    OK(rp_launch(op, STORES(y, even), 2, NULL, 0));
    OK(EVAL(ctx, "y", "y = 2*y", y));
    OK(rp_trace_end(ctx, 1));
  }
  check_golden("opaque");
  drop(x);
  drop(even);
  drop(y);
}

/* Small kernels over spaces of their own, independent of each other; what nobody reads is dropped. */
static void test_beside(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 10, NULL), *y = check_vector(ctx, 11, NULL);
  rp_store *z = check_vector(ctx, 12, NULL), *sum = check_store(ctx, 0, NULL, NULL);
  OK(rp_trace_begin(ctx, 1));
  OK(EVAL(ctx, "x", "x = x + 1", x));
  OK(EVAL(ctx, "y", "y = y + 2", y));
  OK(EVAL(ctx, "z", "z = 7", z));
  OK(EVAL(ctx, "z", "z = 3", z));
  OK(EVAL(ctx, "s, y", "s = sum(i) y[i]", sum, y));
  OK(rp_trace_end(ctx, 1));
  check_golden("beside");
  drop(x);
  drop(y);
  drop(z);
  drop(sum);
}

/* A view that moves: another segment each time, one analysis while its guards hold. */
static void test_moving(void **state) {
  (void)state;
  enum { M = 8 };
  rp_store *a = check_store(ctx, 2, (int64_t[]){M, M}, NULL);
  for (int64_t k = 0; k < 4; k++) {
    rp_store *col, *below, *row;
    OK(rp_trace_begin(ctx, 1));
    OK(rp_store_project(a, 1, k, &col));
    OK(rp_store_slice(col, 0, k + 1, INT64_MAX, 1, &below));
    OK(rp_store_project(a, 0, k, &row));
    OK(EVAL(ctx, "b", "b = b*0.5", below));
    OK(EVAL(ctx, "r", "r = r + 1", row));
    OK(rp_trace_end(ctx, 1));
    drop(col);
    drop(below);
    drop(row);
  }
  check_golden("moving");
  drop(a);
}

/* Refusals of several kinds, in one segment. */
static void test_refusals(void **state) {
  (void)state;
  enum { N = 200 };
  rp_library *lib;
  OK(rp_library_create(ctx, "mine", &lib));
  rp_op *op = opaque_op(lib, "smooth", 0);
  rp_store *x = check_vector(ctx, N, NULL), *y = check_vector(ctx, N, NULL), *lo, *hi, *few, *other;
  rp_store *z = check_vector(ctx, N, NULL), *s = check_store(ctx, 0, NULL, NULL);
  rp_store *m = check_store(ctx, 2, (int64_t[]){10, 20}, NULL);
  rp_store *rows = check_vector(ctx, 10, NULL), *cols = check_vector(ctx, 20, NULL);
  OK(rp_store_slice(x, 0, 0, N - 1, 1, &lo));
  OK(rp_store_slice(x, 0, 1, N, 1, &hi));
  OK(rp_store_slice(z, 0, 10, 40, 1, &few));
  OK(rp_store_slice(z, 0, 20, 50, 1, &other));
  OK(rp_trace_begin(ctx, 1));
  OK(EVAL(ctx, "lo", "lo = lo + 1", lo));
  OK(EVAL(ctx, "hi", "hi = 2*hi", hi)); /* what the first one wrote, elsewhere */
  OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, hi));
  OK(EVAL(ctx, "s", "s = s + 1", s));
  OK(EVAL(ctx, "hi, s", "hi = hi/s", hi, s));             /* a scalar of the group's own */
  OK(EVAL(ctx, "r, m", "r[i] = sum(j) m[i,j]", rows, m)); /* another space */
  OK(EVAL(ctx, "c, m", "c += m", cols, m));               /* rows and columns of one array */
  OK(EVAL(ctx, "f, o", "f = f + o", few, other));         /* shifted onto itself, a small part */
  OK(rp_launch(op, STORES(y, x), 2, NULL, 0));
  OK(EVAL(ctx, "y", "y = y + 1", y)); /* behind a C function */
  OK(rp_store_copy(lo, hi));          /* a copy of a view */
  OK(rp_trace_end(ctx, 1));
  check_golden("refusals");
  rp_store *all[] = {x, y, z, lo, hi, few, other, m, s, rows, cols};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

/* One of four ranks: it plans as if the others were there, runs nothing, and reads zeros. */
static void test_ranks(void **state) {
  (void)state;
  enum { SIDE = 30 };
  OK(rp_context_destroy(ctx));
  ctx = check_context("--threads 1 --vector avx2 --tile 0 --dryrun 1/4");
  rp_store *g = check_store(ctx, 2, (int64_t[]){SIDE + 2, SIDE + 2}, NULL);
  rp_store *s = check_vector(ctx, 1, NULL);
  stencil_pass pass = stencil_begin(ctx, g, SIDE);
  for (int i = 0; i < 6; i++) stencil_run(&pass);
  OK(EVAL(ctx, "s, g", "s += g*g", s, g));
  check_values(s, (double[]){0});
  check_golden("ranks");
  drop(s);
  stencil_end(&pass);
}

/* Passes over a square of `side`, each point the mean of its four neighbours. */
static void run_star(int64_t side, int passes) {
  static const int64_t shift[5][2] = {{0, 0}, {-1, 0}, {1, 0}, {0, -1}, {0, 1}};
  rp_store *a = check_store(ctx, 2, (int64_t[]){side, side}, NULL), *v[5];
  for (int k = 0; k < 5; k++) v[k] = stencil_view(a, side - 2, 1 + shift[k][0], 1 + shift[k][1]);
  for (int i = 0; i < passes; i++) {
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "o, n, s, w, e", "o = 0.25*(n + s + w + e)", v[0], v[1], v[2], v[3], v[4]));
    OK(rp_trace_end(ctx, 1));
  }
  OK(rp_wait(ctx));
  for (int k = 0; k < 5; k++) drop(v[k]);
  drop(a);
}

static void check_star(const char *config, int64_t side, const char *name) {
  OK(rp_context_destroy(ctx));
  ctx = check_context(config);
  run_star(side, 4);
  check_golden(name);
}

/* The middle one of nine ranks, by boxes: four neighbours, and a row or a column to each. */
static void test_ranks_boxes(void **state) {
  (void)state;
  check_star("--threads 1 --vector avx2 --tile 0 --dryrun 4/9 --cut boxes", 48, "ranks_boxes");
}

/* Among many ranks rows would be short of a message's worth: boxes are chosen. */
static void test_ranks_auto(void **state) {
  (void)state;
  check_star("--threads 1 --vector avx2 --dryrun 528/1024", 1 << 15, "ranks_auto");
}

/* Two neighbours with long rows are less than what two more messages cost; and of short rows nothing is cut. */
static void test_ranks_auto_rows(void **state) {
  (void)state;
  check_star("--threads 1 --vector avx2 --dryrun 1/3", 1 << 15, "ranks_auto_few");
  check_star("--threads 1 --vector avx2 --dryrun 528/1024", 1 << 10, "ranks_auto_small");
}

/* The same with a sparse matrix: what its columns reach is looked up when there is something to look at. */
static void test_ranks_sparse(void **state) {
  (void)state;
  static const int64_t shape[] = {40, 40}, offsets[] = {0, 0, -1, 0, 1, 0, 0, -1, 0, 1};
  rp_csr *a;
  OK(rp_context_destroy(ctx));
  ctx = check_context("--threads 1 --vector avx2 --tile 0 --dryrun 1/4");
  OK(rp_csr_from_stencil(ctx, RP_F64, 2, shape, 5, offsets, (double[]){4, -1, -1, -1, -1}, &a));
  rp_store *x = check_vector(ctx, 1600, NULL), *y = check_vector(ctx, 1600, NULL);
  OK(EVAL(ctx, "x", "x = x + 1", x));
  OK(rp_wait(ctx));
  OK(rp_csr_multiply_to(a, x, y));
  OK(rp_wait(ctx));
  check_golden("ranks_sparse");
  drop(x);
  drop(y);
  OK(rp_csr_release(a));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_stencil),     TEST(test_cg),         TEST(test_chain),
      TEST(test_patch),       TEST(test_copy),       TEST(test_late),
      TEST(test_opaque),      TEST(test_beside),     TEST(test_moving),
      TEST(test_refusals),    TEST(test_ranks),      TEST(test_ranks_sparse),
      TEST(test_ranks_boxes), TEST(test_ranks_auto), TEST(test_ranks_auto_rows)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
