/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_memory.c -- out of memory at every allocation of a program that uses the whole
 * interface: each call succeeds or says RP_ERR_MEMORY, bad data stay poisoned, nothing crashes, and
 * every block is freed.
 *
 * How: the linker (--wrap) sends all of the library's and its kernels' heap calls through the
 *      functions below, which count blocks that live, and refuse from the n-th call on. */
#include "tests/support/api_check.h"

#include <stdio.h>

#include "core/include/reprise_array.h"
#include "core/include/reprise_solve.h"

enum { N = 2000, ROWS = 40 };

/* ---- the heap ----------------------------------------------------------------------------------- */

static int64_t live;         /* blocks */
static int64_t allowed = -1; /* heap calls that still succeed; -1: all */

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
int __real_posix_memalign(void **p, size_t align, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
int __wrap_posix_memalign(void **p, size_t align, size_t size);
void __wrap_free(void *p);

static bool admit(void) {
  if (allowed > 0) allowed--;
  return allowed != 0;
}

static void *counted(void *p) {
  live += p != NULL;
  return p;
}

void *__wrap_malloc(size_t size) { return admit() ? counted(__real_malloc(size)) : NULL; }
void *__wrap_calloc(size_t n, size_t size) {
  return admit() ? counted(__real_calloc(n, size)) : NULL;
}
void *__wrap_realloc(void *p, size_t size) {
  if (!admit()) return NULL;
  return p ? __real_realloc(p, size) : counted(__real_realloc(p, size));
}
int __wrap_posix_memalign(void **p, size_t align, size_t size) {
  if (!admit()) return 12;
  const int failed = __real_posix_memalign(p, align, size);
  live += !failed;
  return failed;
}
void __wrap_free(void *p) {
  live -= p != NULL;
  __real_free(p);
}

/* ---- statuses ----------------------------------------------------------------------------------- */

static int64_t failures;

static void wrong(const char *what, rp_status st) {
  allowed = -1;
  fail_msg("%s: %s: %s", what, rp_status_name(st), rp_last_error());
}

/* A status that an allocation may cause; false if the program cannot go on. */
static bool good(const char *what, rp_status st) {
  if (st == RP_OK) return true;
  if (st != RP_ERR_MEMORY) wrong(what, st);
  failures++;
  return false;
}

/* Something was computed from bad data: the call must not succeed. */
static bool poisoned(const char *what, rp_status st) {
  if (st == RP_ERR_DATA) return true;
  if (st != RP_ERR_MEMORY) wrong(what, st);
  failures++;
  return false;
}

#define GOOD(call) good(#call, call)
#define POISONED(call) poisoned(#call, call)

/* ---- parts of the program ----------------------------------------------------------------------- */

/* Views, temporaries, one-call sugar, copies; every third pass goes another way from the middle on. */
static bool one_pass(rp_context *c, rp_library *lib, rp_store *x, rp_store *s, const double *a,
                     int pass) {
  const int64_t n = N;
  const char *sum = pass % 3 == 2 ? "s = max(i) x[i]" : "s = sum(i) x[i]";
  rp_store *t = NULL, *lo = NULL, *hi = NULL, *made[2] = {NULL, x};
  rp_op *op, *twice;
  const bool begun = GOOD(rp_trace_begin(c, 1));
  bool ok = begun && GOOD(rp_store_create(c, RP_F64, 1, &n, &t)) &&
            GOOD(rp_op_create(lib, "scale", "y, a:f64, x", "y = a*x", &op)) &&
            GOOD(rp_op_create(lib, "twice", "y, x", "y = 2*x", &twice)) &&
            GOOD(rp_launch(op, STORES(t, x), 2, (const void *[]){a}, 1)) &&
            GOOD(rp_store_slice(t, 0, 0, N - 1, 1, &lo)) &&
            GOOD(rp_store_slice(x, 0, 1, N, 1, &hi)) &&
            GOOD(EVAL(c, "hi, lo", "hi = 0.5*hi + 0.25*lo", hi, lo)) &&
            GOOD(EVAL(c, "s, x", sum, s, x)) && GOOD(rp_store_copy(t, x)) &&
            GOOD(rp_call(twice, made, 2, NULL, 0)) && GOOD(rp_store_write(t, a, 8 * N));
  rp_store *all[] = {t, lo, hi, made[0]};
  for (int i = 0; i < 4; i++) ok = GOOD(rp_store_release(all[i])) && ok;
  return begun && GOOD(rp_trace_end(c, 1)) && ok;
}

static int scale_down(double *y, const double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i] / 2;
  return n > 0 && x[0] < 0;
}

/* A C function on a view that must be copied for it; the second time it reports failure, and what read
 * its result through two more tasks is poisoned. */
static void opaque_part(rp_context *c, rp_library *lib, rp_store *x) {
  static const int32_t privileges[] = {RP_PRIV_WRITE, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {
      {.kind = RP_ARG_PTR}, {.kind = RP_ARG_PTR, .a = 1}, {.kind = RP_ARG_SIZE}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "down",
                            .params = "y, x",
                            .privileges = privileges,
                            .function = (void (*)(void))scale_down,
                            .args = args,
                            .n_args = 3,
                            .flags = RP_OPAQUE_DENSE | RP_OPAQUE_STATUS};
  const int64_t n = N;
  double v[N / 2];
  rp_op *op;
  rp_store *y = NULL, *in = NULL, *out = NULL, *z = NULL;
  bool ok =
      GOOD(rp_op_create_opaque(lib, &d, &op)) && GOOD(rp_store_create(c, RP_F64, 1, &n, &y)) &&
      GOOD(rp_store_slice(x, 0, 0, N, 2, &in)) && GOOD(rp_store_slice(y, 0, 1, N, 2, &out)) &&
      GOOD(rp_store_create(c, RP_F64, 0, NULL, &z)) && GOOD(EVAL(c, "x", "x = 1", x)) &&
      GOOD(rp_launch(op, STORES(out, in), 2, NULL, 0)) && GOOD(rp_store_read(out, v, sizeof v));
  if (ok && v[N / 2 - 1] != 0.5) wrong("opaque result", RP_OK);
  if (ok && GOOD(EVAL(c, "x", "x = -1", x)) && GOOD(rp_launch(op, STORES(out, in), 2, NULL, 0)) &&
      GOOD(rp_launch(op, STORES(in, out), 2, NULL, 0)) &&
      GOOD(EVAL(c, "z, x", "z = sum(i) x[i]", z, x)) && POISONED(rp_store_read(z, v, sizeof *v)))
    POISONED(rp_wait(c));
  rp_store *all[] = {y, in, out, z};
  for (int i = 0; i < 4; i++) (void)GOOD(rp_store_release(all[i]));
}

/* Gathers in range and out of it. */
static void gather_part(rp_context *c, rp_store *x) {
  const int64_t n = 3;
  int64_t at[] = {0, N - 1, 5}, far[] = {0, N, 5};
  double v[3];
  rp_store *index = NULL, *y = NULL;
  bool ok = GOOD(rp_store_create(c, RP_I64, 1, &n, &index)) &&
            GOOD(rp_store_create(c, RP_F64, 1, &n, &y)) && GOOD(EVAL(c, "x", "x = 3", x)) &&
            GOOD(rp_store_write(index, at, sizeof at)) &&
            GOOD(EVAL(c, "y, x, k", "y[i] = x[k[i]]", y, x, index)) &&
            GOOD(rp_store_read(y, v, sizeof v));
  if (ok && v[1] != 3) wrong("gather", RP_OK);
  if (ok && GOOD(rp_store_write(index, far, sizeof far)) &&
      GOOD(EVAL(c, "y, x, k", "y[i] = x[k[i]]", y, x, index)) && GOOD(EVAL(c, "y", "y = y + 1", y)))
    POISONED(rp_store_read(y, v, sizeof v));
  (void)GOOD(rp_store_release(index));
  (void)GOOD(rp_store_release(y));
}

/* The library `array`. */
static void array_part(rp_store *x) {
  double total;
  rp_store *y = NULL, *s = NULL, *norm = NULL;
  if (GOOD(rp_array_add_scalar(x, 1, &y)) && GOOD(rp_array_sum(y, &s)) &&
      GOOD(rp_array_norm(y, &norm)) && GOOD(rp_store_read(s, &total, sizeof total)) &&
      total != 4 * N)
    wrong("sum", RP_OK);
  rp_store *all[] = {y, s, norm};
  for (int i = 0; i < 3; i++) (void)GOOD(rp_store_release(all[i]));
}

/* A matrix from triplets that is multiplied and solved with, and one from a file. */
static void sparse_part(rp_context *c) {
  int64_t row[2 * ROWS], col[2 * ROWS];
  double val[2 * ROWS], v[ROWS];
  const int64_t n = ROWS;
  for (int64_t k = 0; k < 2 * ROWS; k++) { /* 3 on the diagonal, and a 1 in a far column */
    row[k] = k / 2;
    col[k] = k % 2 ? (k * 7) % ROWS : k / 2;
    val[k] = k % 2 ? 1 : 3;
  }
  rp_csr *a = NULL, *file = NULL;
  rp_operator *op = NULL;
  rp_store *x = NULL, *y = NULL, *d = NULL;
  if (GOOD(rp_csr_from_triplets(c, RP_F64, ROWS, ROWS, 2 * ROWS, row, col, val, &a)) &&
      GOOD(rp_store_create(c, RP_F64, 1, &n, &x)) && GOOD(EVAL(c, "x", "x = 2", x)) &&
      GOOD(rp_csr_multiply(a, x, &y)) && GOOD(rp_csr_diagonal(a, &d)) &&
      GOOD(rp_store_read(y, v, sizeof v)) && GOOD(rp_operator_from_csr(a, &op))) {
    if (v[1] != 8) wrong("product", RP_OK);
    const rp_solve_options few = {.struct_size = sizeof few, .max_iterations = 6, .check_every = 3};
    GOOD(rp_solve_bicgstab(op, y, x, &few, NULL));
  }
  GOOD(rp_csr_from_matrix_market(c, RP_F32, "tests/fuzz/corpus/fuzz_mm/symmetric", &file));
  rp_store *all[] = {x, y, d};
  for (int i = 0; i < 3; i++) (void)GOOD(rp_store_release(all[i]));
  (void)GOOD(rp_operator_release(op));
  (void)GOOD(rp_csr_release(a));
  (void)GOOD(rp_csr_release(file));
}

static void seeing_part(rp_context *c) {
  static char text[100000];
  size_t need;
  if (GOOD(rp_explain(c, text, sizeof text, &need)) && !strstr(text, "statistics"))
    wrong("explain", RP_OK);
  GOOD(rp_config_print(NULL, NULL, 0, &need));
}

/* ---- the program -------------------------------------------------------------------------------- */

static void parts(rp_context *c, rp_library *lib, rp_store *x, rp_store *s, rp_store *home) {
  static double v[N];
  double sum;
  for (int pass = 0; pass < 7; pass++) one_pass(c, lib, x, s, v, pass);
  (void)(GOOD(EVAL(c, "h, x", "h = x + 1", home, x)) && GOOD(rp_store_home(home)));
  (void)(GOOD(rp_store_copy(x, home)) && GOOD(rp_store_detach(home)));
  (void)(GOOD(rp_wait(c)) && GOOD(rp_store_read(s, &sum, sizeof sum)));
  gather_part(c, x);
  if (GOOD(EVAL(c, "x", "x = 3", x))) array_part(x);
  opaque_part(c, lib, x);
  sparse_part(c);
  seeing_part(c);
}

/* True if nothing failed. */
static bool program(void) {
  static double lent[N];
  rp_context *c = NULL;
  rp_library *lib = NULL;
  rp_store *x = NULL, *s = NULL, *home = NULL;
  const int64_t n = N;
  failures = 0;
  if (!GOOD(rp_context_create("--tier 0 --threads 1 --cache-dir none --pin off", &c))) return false;
  if (GOOD(rp_library_create(c, "lib", &lib)) && GOOD(rp_store_create(c, RP_F64, 1, &n, &x)) &&
      GOOD(rp_store_create(c, RP_F64, 0, NULL, &s)) &&
      GOOD(rp_store_attach(c, RP_F64, 1, &n, lent, RP_READ_WRITE, &home)))
    parts(c, lib, x, s, home);
  GOOD(rp_context_destroy(c));
  rp_store *all[] = {x, s, home};
  for (int i = 0; i < 3; i++) GOOD(rp_store_release(all[i]));
  return failures == 0;
}

/* Step 1 first, then wider: the early part of the program is made of the most varied calls. */
static void test_every_allocation(void **state) {
  (void)state;
  int64_t n = 1, tried = 0;
  assert_true(program()); /* what is made once in a process is made here */
  const int64_t before = live;
  for (;; n++, tried++) {
    allowed = n;
    const bool whole = program();
    allowed = -1;
    if (live != before)
      fail_msg("%lld blocks more than before, after a failure of allocation %lld",
               (long long)(live - before), (long long)n);
    if (whole) break;
    assert_true(n < 100000);
  }
  assert_true(tried > 1000);
  assert_true(program());
  assert_int_equal(live, before);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
