/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_images.c -- images by hint: the same bits for all hints on all numbers of ranks, what each looks at
 * and sends, promises that are broken, and what is refused. Images without hints: test_api_constraints.c. */
#include "tests/support/members.h"

enum { POINTS = 1200, STEP = 16, TABLE = STEP * POINTS, PASSES = 4 };

/* Set before ranks start. */
static rp_constraint_kind kind; /* of the image that `near` names */
static bool descends;           /* near's values do at one place */

/* y[i] = y[i]/2 + x[near[i]]. */
static void pick(double *y, int64_t n, const int64_t *near, const double *x) {
  for (int64_t i = 0; i < n; i++) y[i] = 0.5 * y[i] + x[near[i]];
}

/* y[i] += x[k] for ptr[i] <= k < ptr[i + 1]. */
static void add_segments(double *y, int64_t n, const int32_t *ptr, const double *x) {
  for (int64_t i = 0; i < n; i++)
    for (int32_t k = ptr[i]; k < ptr[i + 1]; k++) y[i] += x[k];
}

static rp_status make(rp_library *lib, const char *name, void (*f)(void), bool ranges,
                      rp_constraint_kind image, rp_op **out) {
  static const int32_t rights[] = {RP_PRIV_READ_WRITE, RP_PRIV_READ, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {{.kind = RP_ARG_PTR, .a = 0},
                                       {.kind = RP_ARG_EXTENT, .a = 0},
                                       {.kind = RP_ARG_PTR, .a = 1},
                                       {.kind = RP_ARG_PTR, .a = 2}};
  const rp_constraint rules[] = {
      ranges ? (rp_constraint){.kind = RP_CONSTRAINT_BLOAT, .a = 1, .b = 0, .factor = 1, .hi = 1}
             : (rp_constraint){.kind = RP_CONSTRAINT_ALIGN, .a = 0, .b = 1},
      {.kind = image, .a = 2, .b = 1}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = name,
                            .params = "y, near, x",
                            .privileges = rights,
                            .function = f,
                            .args = args,
                            .n_args = 4,
                            .flags = RP_OPAQUE_SPLIT | RP_OPAQUE_DENSE,
                            .constraints = rules,
                            .n_constraints = 2,
                            .block_rows = 1,
                            .constraint_size = sizeof(rp_constraint)};
  return rp_op_create_opaque(lib, &d, out);
}

/* Each point names one of a table, 16 apart and further off in each pass; segments follow the same way. */
static rp_status pick_often(member *m, rp_store *s[4]) {
  rp_library *lib;
  rp_op *gather, *segments;
  const bool last = kind == RP_CONSTRAINT_IMAGE_FIRST_LAST;
  TRY(rp_library_create(m->ctx, "hints", &lib));
  TRY(make(lib, "pick", (void (*)(void))pick, false, kind, &gather));
  TRY(make(lib, "segments", (void (*)(void))add_segments, true,
           last ? RP_CONSTRAINT_IMAGE_RANGES_FIRST_LAST : RP_CONSTRAINT_IMAGE_RANGES, &segments));
  TRY(rp_store_create(m->ctx, RP_F64, 1, (int64_t[]){POINTS}, &s[0]));
  TRY(rp_store_create(m->ctx, RP_I64, 1, (int64_t[]){POINTS}, &s[1]));
  TRY(rp_store_create(m->ctx, RP_F64, 1, (int64_t[]){TABLE}, &s[2]));
  TRY(rp_store_create(m->ctx, RP_I32, 1, (int64_t[]){POINTS + 1}, &s[3]));
  TRY(EVAL(m->ctx, "n", "n[i] = 16*i", s[1]));
  if (descends) TRY(EVAL(m->ctx, "n", "n = where(n == 16*700, 0, n)", s[1]));
  TRY(EVAL(m->ctx, "x", "x[i] = 1/(1.0 + f64(i % 777))", s[2]));
  TRY(EVAL(m->ctx, "p", "p[i] = i32(min(15*i, 19200))", s[3]));
  for (int32_t pass = 0; pass < PASSES; pass++) {
    TRY(EVAL(m->ctx, "n", "n = min(n + 100, 19199)", s[1]));
    TRY(rp_launch(gather, STORES(s[0], s[1], s[2]), 3, NULL, 0));
    TRY(rp_launch(segments, STORES(s[0], s[3], s[2]), 3, NULL, 0));
    TRY(EVAL(m->ctx, "x", "x = 0.75*x + 0.1", s[2]));
    TRY(rp_wait(m->ctx));
  }
  TRY(count(m));
  TRY(rp_stat(m->ctx, "index_values", &m->stat[6]));
  TRY(rp_stat(m->ctx, "images", &m->stat[7]));
  return rp_store_read(s[0], m->out, POINTS * 8);
}

static rp_status picks(member *m) {
  rp_store *s[4] = {0}; /* y, near, x, ptr */
  const rp_status st = pick_often(m, s);
  if (st != RP_OK) snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  for (int32_t i = 0; i < 4; i++)
    if (s[i]) rp_store_release(s[i]);
  return st;
}

static const rp_constraint_kind all_kinds[] = {RP_CONSTRAINT_IMAGE, RP_CONSTRAINT_IMAGE_MIN_MAX,
                                               RP_CONSTRAINT_IMAGE_FIRST_LAST};

static void test_bits(void **state) {
  (void)state;
  double exact[POINTS];
  for (int32_t k = 0; k < 3; k++) {
    member alone;
    kind = all_kinds[k];
    same_bits(picks, POINTS);
    run(&alone, 1, "--threads 2 --grain 0", picks, POINTS);
    all_fine(&alone, 1);
    if (k == 0) memcpy(exact, alone.out, sizeof exact);
    assert_memory_equal(alone.out, exact, sizeof exact);
    forget(&alone, 1);
  }
}

/* What is looked at becomes less from hint to hint; a range carries what lies between, too. */
static void test_cost(void **state) {
  (void)state;
  enum { RANKS = 4, MINE = POINTS / RANKS, LOOKS = PASSES + 2 }; /* two at the segments' offsets */
  /* Exact images find the range of values, then each; offsets are looked at by both of their ends. */
  static const int64_t values[] = {(PASSES + 2) * 2 * MINE, PASSES * MINE + 2 * 2 * MINE,
                                   PASSES * 2 + 2 * 2 * 2};
  int64_t messages[3], bytes[3];
  for (int32_t k = 0; k < 3; k++) {
    member all[MOST];
    kind = all_kinds[k];
    run(all, RANKS, "--threads 1 --tile 0", picks, POINTS);
    all_fine(all, RANKS);
    for (int32_t r = 0; r < RANKS; r++) {
      assert_int_equal(all[r].stat[3], 0); /* gathers */
      assert_int_equal(all[r].stat[6], values[k]);
      assert_int_equal(all[r].stat[7], LOOKS);
    }
    messages[k] = all[1].stat[1];
    bytes[k] = all[1].stat[2];
    forget(all, RANKS);
  }
  assert_true(messages[0] > 0 && messages[1] == messages[0] && messages[2] == messages[0]);
  assert_true(bytes[1] > 2 * bytes[0] && bytes[2] == bytes[1]);
}

/* Rank 1 of 3 has the value that breaks the promise. */
static void test_promises(void **state) {
  (void)state;
  member all[MOST];
  kind = RP_CONSTRAINT_IMAGE_FIRST_LAST;
  descends = true;
  run(all, 3, "--threads 1 --tile 0", picks, POINTS);
  descends = false;
#ifdef RPI_VALIDATE
  for (int32_t r = 0; r < 3; r++) {
    assert_int_equal(all[r].status, r == 1 ? RP_ERR_DATA : RP_ERR_RANKS);
    assert_non_null(strstr(all[r].said,
                           "hints.pick: the values of stores[1] ('near') were promised not to "
                           "decrease, but 100 follows 11284"));
  }
#else
  all_fine(all, 3);
#endif
  forget(all, 3);
}

static void test_refusals(void **state) {
  (void)state;
  rp_context *ctx = check_context("--threads 1");
  rp_library *lib;
  rp_op *op;
  rp_store *v = check_vector(ctx, 4, NULL);
  OK(rp_library_create(ctx, "hints", &lib));
  FAILS(RP_ERR_ARGUMENT, "op last: constraints[1].kind is 11",
        make(lib, "last", (void (*)(void))pick, false, RP_CONSTRAINT_IMAGE_RANGES_FIRST_LAST + 1,
             &op));
  const int32_t rights[] = {RP_PRIV_WRITE, RP_PRIV_READ};
  rp_constraint rule = {.kind = RP_CONSTRAINT_IMAGE_MIN_MAX, .a = 0, .b = 1};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "bad",
                            .params = "y, near",
                            .privileges = rights,
                            .function = (void (*)(void))pick,
                            .constraints = &rule,
                            .n_constraints = 1};
  FAILS(RP_ERR_ARGUMENT, "store 0 is written, not an image", rp_op_create_opaque(lib, &d, &op));
  rule = (rp_constraint){.kind = RP_CONSTRAINT_IMAGE_FIRST_LAST, .a = 1, .b = 0, .factor = 3};
  FAILS(RP_ERR_ARGUMENT, "constraints[0] (IMAGE_FIRST_LAST) has factor 3 (0..0)",
        rp_op_create_opaque(lib, &d, &op));
  OK(make(lib, "pick", (void (*)(void))pick, false, RP_CONSTRAINT_IMAGE_FIRST_LAST, &op));
  FAILS(RP_ERR_DTYPE, "stores[1] ('near') is f64, not integers that say what is read of stores[2]",
        rp_launch(op, STORES(v, v, v), 3, NULL, 0));
  OK(rp_store_release(v));
  OK(rp_context_destroy(ctx));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits), cmocka_unit_test(test_cost),
                                     cmocka_unit_test(test_promises),
                                     cmocka_unit_test(test_refusals)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
