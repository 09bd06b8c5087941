/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_memory.c -- out of memory at every allocation of a small program: each call succeeds
 * or says RP_ERR_MEMORY, nothing crashes, and (under a leak checker) nothing is lost. */
#include "tests/support/api_check.h"

#include "core/base/alloc.h"

enum { N = 2000 };

static int64_t failures;

/* A status that an allocation may cause; false if the program cannot go on. */
static bool good(const char *what, rp_status st) {
  if (st == RP_OK) return true;
  if (st != RP_ERR_MEMORY) {
    rpi_alloc_inject(-1);
    fail_msg("%s: %s: %s", what, rp_status_name(st), rp_last_error());
  }
  failures++;
  return false;
}

#define GOOD(call) good(#call, call)

static bool one_pass(rp_context *c, rp_library *lib, rp_store *x, rp_store *s, const double *a) {
  const int64_t n = N;
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
            GOOD(EVAL(c, "s, x", "s = sum(i) x[i]", s, x)) && GOOD(rp_store_copy(t, x)) &&
            GOOD(rp_call(twice, made, 2, NULL, 0)) && GOOD(rp_store_write(t, a, 8 * N));
  rp_store *all[] = {t, lo, hi, made[0]};
  for (int i = 0; i < 4; i++) ok = GOOD(rp_store_release(all[i])) && ok;
  return begun && GOOD(rp_trace_end(c, 1)) && ok;
}

/* The program; true if nothing failed. */
static bool program(void) {
  static double v[N], lent[N];
  rp_context *c = NULL;
  rp_library *lib = NULL;
  rp_store *x = NULL, *s = NULL, *home = NULL;
  const int64_t n = N;
  double sum;
  size_t need;
  failures = 0;
  if (!GOOD(rp_context_create("--tier 0 --threads 1 --cache-dir none --pin off", &c))) return false;
  if (GOOD(rp_library_create(c, "lib", &lib)) && GOOD(rp_store_create(c, RP_F64, 1, &n, &x)) &&
      GOOD(rp_store_create(c, RP_F64, 0, NULL, &s)) && GOOD(rp_store_write(x, v, sizeof v)) &&
      GOOD(rp_store_attach(c, RP_F64, 1, &n, lent, RP_READ_WRITE, &home))) {
    for (int i = 0; i < 4; i++) one_pass(c, lib, x, s, v);
    (void)(GOOD(EVAL(c, "h, x", "h = x + 1", home, x)) && GOOD(rp_store_home(home)));
    (void)(GOOD(rp_store_copy(x, home)) && GOOD(rp_store_detach(home)));
    (void)(GOOD(rp_wait(c)) && GOOD(rp_store_read(s, &sum, sizeof sum)));
    GOOD(rp_explain(c, NULL, 0, &need));
    GOOD(rp_config_print(NULL, NULL, 0, &need));
  }
  GOOD(rp_context_destroy(c));
  rp_store *all[] = {x, s, home};
  for (int i = 0; i < 3; i++) GOOD(rp_store_release(all[i]));
  return failures == 0;
}

/* Step 1 first, then wider: the early part of the program is made of the most varied calls. */
static void test_every_allocation(void **state) {
  (void)state;
  int64_t n = 1, tried = 0;
  for (;; n += n < 600 ? 1 : 3, tried++) {
    rpi_alloc_inject(n);
    const bool whole = program();
    rpi_alloc_inject(-1);
    if (whole) break;
    assert_true(n < 100000);
  }
  assert_true(tried > 100);
  assert_true(program());
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
