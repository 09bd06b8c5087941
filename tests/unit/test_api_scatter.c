/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_scatter.c -- how long the inverses of scatters hold: traces, versions, releases, views, failures,
 * and ranks, which are threads. What a scatter computes is test_semantics_scatter's. */
#include "tests/support/members.h"

enum { POINTS = 3000, BINS = 700 };

static rp_store *keys(rp_context *c, int64_t n, int32_t step) {
  int32_t *k = malloc((size_t)n * sizeof *k);
  rp_store *s;
  for (int64_t i = 0; i < n; i++) k[i] = (int32_t)(i * step % BINS);
  OK(rp_store_create(c, RP_I32, 1, &n, &s));
  OK(rp_store_write(s, k, (size_t)n * sizeof *k));
  free(k);
  return s;
}

static int64_t inverted(rp_context *c) { return check_stat(c, "inversions"); }

static void drop(rp_store *s) { OK(rp_store_release(s)); }

/* ---- traces ------------------------------------------------------------------------------------------------------- */

static void unchanged_indices_invert_once(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *b = keys(c, POINTS, 7), *h = check_vector(c, BINS, NULL),
           *g = check_vector(c, BINS, NULL);
  int64_t templates = 0, calls = 0;
  for (int pass = 0; pass < 8; pass++) {
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "h, b", "h[b[i]] += 1", h, b));
    OK(EVAL(c, "h, b", "h[b[i]] += i", g, b)); /* another op, the same inverse */
    OK(EVAL(c, "h, b", "h[b[i]//2] += 1", h, b));
    OK(rp_trace_end(c, 1));
    OK(rp_wait(c));
    assert_int_equal(inverted(c), 2);
    if (pass == 2) templates = check_stat(c, "templates");
    if (pass == 2) calls = check_stat(c, "memory_calls");
  }
  assert_int_equal(check_stat(c, "templates"), templates);
  assert_int_equal(check_stat(c, "memory_calls"), calls);
  /* In the steady state one kernel does all three. */
  const int64_t kernels = check_stat(c, "kernels_run"), launches = check_stat(c, "launches");
  OK(rp_trace_begin(c, 1));
  OK(EVAL(c, "h, b", "h[b[i]] += 1", h, b));
  OK(EVAL(c, "h, b", "h[b[i]] += i", g, b));
  OK(EVAL(c, "h, b", "h[b[i]//2] += 1", h, b));
  OK(rp_trace_end(c, 1));
  OK(rp_wait(c));
  assert_int_equal(check_stat(c, "kernels_run"), kernels + 1);
  assert_int_equal(check_stat(c, "launches"), launches + 3);
  drop(b);
  drop(h);
  drop(g);
  OK(rp_context_destroy(c));
}

/* Counts per bin after passes in which the indices move on by one, written by a task before or behind the scatter. */
static void written(bool before, const char *config) {
  rp_context *c = check_context(config);
  rp_store *b = keys(c, POINTS, 7), *h = check_vector(c, BINS, NULL);
  double want[BINS] = {0};
  int64_t templates = 0;
  for (int pass = 0; pass < 7; pass++) {
    OK(rp_trace_begin(c, 1));
    if (before) OK(EVAL(c, "b", "b = (b + 1) % 700", b));
    OK(EVAL(c, "h, b", "h[b[i]] += i", h, b));
    if (!before) OK(EVAL(c, "b", "b = (b + 1) % 700", b));
    OK(rp_trace_end(c, 1));
    assert_int_equal(inverted(c), pass + 1);
    for (int i = 0; i < POINTS; i++) want[(i * 7 + pass + before) % BINS] += i;
    if (pass == 3) templates = check_stat(c, "templates");
  }
  if (!strstr(config, "tracing off")) assert_int_equal(check_stat(c, "templates"), templates);
  check_values(h, want);
  drop(b);
  drop(h);
  OK(rp_context_destroy(c));
}

static void indices_written_each_pass(void **state) {
  (void)state;
  static const char *const configs[] = {"", "--late off", "--fusion off", "--tracing off",
                                        "--max_tasks 1"};
  for (int i = 0; i < 5; i++) {
    written(true, configs[i]);
    written(false, configs[i]);
  }
}

/* Written twice in a pass, and scattered by after each, with the same ops and without any cut between. */
static void twice_in_one_segment(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *b = keys(c, POINTS, 7), *h = check_vector(c, BINS, NULL);
  double want[BINS] = {0};
  for (int pass = 0; pass < 4; pass++) {
    OK(rp_trace_begin(c, 1));
    for (int k = 0; k < 2; k++) {
      OK(EVAL(c, "h, b", "h[b[i]] += i", h, b));
      OK(EVAL(c, "h, b", "h[b[i]] += 1", h,
              b)); /* by the same inverse, in the first pass and k at least */
      OK(EVAL(c, "b", "b = (b + 1) % 700", b));
    }
    OK(rp_trace_end(c, 1));
    for (int i = 0; i < 2 * POINTS; i++)
      want[((i % POINTS) * 7 + 2 * pass + i / POINTS) % BINS] += i % POINTS + 1;
  }
  check_values(h, want);
  drop(b);
  drop(h);
  OK(rp_context_destroy(c));
}

/* ---- versions ------------------------------------------------------------------------------------------------------- */

static void the_host_writes_indices(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *b = keys(c, 4, 1), *h = check_vector(c, BINS, NULL), *part;
  double want[BINS] = {1, 1, 1, 1};
  OK(EVAL(c, "h, b", "h[b[i]] += 1", h, b));
  OK(rp_store_write_part(b, (int64_t[]){1}, (int64_t[]){3}, (int32_t[]){9, 9}, 8));
  OK(EVAL(c, "h, b", "h[b[i]] += 1", h, b));
  want[0]++, want[3]++, want[9] += 2;
  check_values(h, want);
  assert_int_equal(inverted(c), 2);
  OK(rp_store_slice(b, 0, 0, 2, 1, &part)); /* another view is another array of keys */
  OK(EVAL(c, "h, b", "h[b[i]] += 1", h, part));
  OK(EVAL(c, "h, b", "h[b[i]] += 1", h, b));
  want[0] += 2, want[9] += 3, want[3]++;
  check_values(h, want);
  assert_int_equal(inverted(c), 3);
  drop(part);
  drop(b);
  drop(h);
  OK(rp_context_destroy(c));
}

/* Subscripts of several arrays hold while all of them do; scalars of the host never do. */
static void several_inputs_and_scalars(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *a = keys(c, 4, 1), *b = keys(c, 4, 2), *h = check_vector(c, BINS, NULL);
  rp_library *lib;
  rp_op *op;
  double want[BINS] = {0};
  for (int pass = 0; pass < 6; pass++) {
    if (pass == 2) OK(rp_store_write(b, (int32_t[]){5, 5, 5, 5}, 16));
    if (pass == 4) OK(EVAL(c, "a", "a = a*2", a));
    OK(EVAL(c, "h, a, b", "h[a[i] + b[i]] += 1", h, a, b));
    for (int i = 0; i < 4; i++) want[(pass < 4 ? i : 2 * i) + (pass < 2 ? 2 * i : 5)]++;
  }
  check_values(h, want);
  assert_int_equal(inverted(c),
                   4); /* pass 4 cannot know yet what it inverted, so pass 5 does it again */
  OK(rp_library_create(c, "test", &lib));
  OK(rp_op_create(lib, "moved", "h, a, by:int", "h[a[i] + by] += 1", &op));
  for (int64_t by = 0; by < 3; by++) {
    OK(rp_launch(op, STORES(h, a), 2, (const void *[]){&by}, 1));
    for (int i = 0; i < 4; i++) want[2 * i + by]++;
  }
  check_values(h, want);
  assert_int_equal(inverted(c), 7);
  drop(a);
  drop(b);
  drop(h);
  OK(rp_context_destroy(c));
}

/* ---- memory --------------------------------------------------------------------------------------------------------- */

static void inverses_go_with_their_arrays(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *h = check_vector(c, BINS, NULL);
  OK(rp_store_fill(h, &(double){1}));
  OK(rp_wait(c));
  const int64_t before = check_stat(c, "memory_live");
  for (int n = 1; n <= 3; n++) {
    rp_store *b = keys(c, POINTS * n, 3);
    OK(EVAL(c, "h, b", "h[b[i]] += 1", h, b));
    OK(EVAL(c, "h, b", "h[b[i]//2] += 1", h, b));
    OK(rp_wait(c));
    assert_true(check_stat(c, "memory_live") >= before + 3 * POINTS * n * 4);
    drop(b);
    OK(rp_wait(c));
    assert_int_equal(check_stat(c, "memory_live"), before);
  }
  /* One array keeps few of them. */
  rp_store *b = keys(c, POINTS, 3);
  int64_t at[12];
  for (int k = 0; k < 12; k++) {
    rp_store *longer = check_vector(c, BINS + k, NULL);
    OK(EVAL(c, "h, b", "h[b[i]] += 1", longer, b));
    OK(rp_wait(c));
    drop(longer);
    OK(rp_wait(c));
    at[k] = check_stat(c, "memory_live");
  }
  assert_true(at[11] < at[5] + 1000);
  drop(h);
  OK(rp_context_destroy(c)); /* with an index array that is still held */
  drop(b);
}

/* What a segment that is committed late wrote lives on where the next one binds it for its extents only. */
static void arrays_that_are_only_asked_for_extents(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *x = check_vector(c, BINS, NULL), *t = check_vector(c, BINS, NULL);
  rp_store *y = check_vector(c, 4, NULL), *b = keys(c, 4, 1);
  double want[BINS], four[] = {1050, 2100, 3150, 4200};
  for (int i = 0; i < BINS; i++) want[i] = 6;
  for (int pass = 0; pass < 6; pass++) {
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "t, x", "t = 2*x", t, x)); /* dies unread, so it pays to wait */
    OK(EVAL(c, "x", "x = x + 1", x));
    OK(rp_trace_end(c, 1));
    OK(rp_trace_begin(c, 2));
    OK(EVAL(c, "y, b, x", "y[b[i]] += (1 + i)*extent(x, 0)/4", y, b, x));
    OK(rp_trace_end(c, 2));
  }
  assert_true(check_stat(c, "late_commits") > 0);
  check_values(x, want);
  check_values(y, four);
  drop(x);
  drop(t);
  drop(y);
  drop(b);
  OK(rp_context_destroy(c));
}

/* ---- ranks ------------------------------------------------------------------------------------------------------------ */

static rp_status make(member *m, rp_dtype t, int64_t n, const void *data, rp_store **out) {
  TRY(rp_store_create(m->ctx, t, 1, &n, out));
  return data ? rp_store_write(*out, data, (size_t)n * rp_dtype_size(t)) : RP_OK;
}

/* Sums into an array that is cut, of arrays that are, by indices of the host and by computed ones; the destination is
 * also read. */
static rp_status shared(member *m) {
  int32_t key[POINTS];
  double w[POINTS];
  rp_store *b, *v, *h, *g;
  for (int32_t i = 0; i < POINTS; i++) key[i] = (i * i + i / 7) % BINS;
  for (int32_t i = 0; i < POINTS; i++) w[i] = 1.0 / (1 + i * 31 % 1009);
  TRY(make(m, RP_I32, POINTS, key, &b));
  TRY(make(m, RP_F64, POINTS, w, &v));
  TRY(make(m, RP_F64, BINS, NULL, &h));
  TRY(make(m, RP_I64, 3, NULL, &g));
  for (int32_t pass = 0; pass < 4; pass++) {
    TRY(rp_trace_begin(m->ctx, 1));
    TRY(EVAL(m->ctx, "v", "v = v*1.25 + 0.1", v));
    TRY(EVAL(m->ctx, "h", "h = h*0.5", h));
    TRY(EVAL(m->ctx, "h, b, v", "h[b[i]] += v[i]", h, b, v));
    TRY(EVAL(m->ctx, "h, b, v", "h[(b[i] + i) % extent(h, 0)] += v[i]*h[b[i]]", h, b, v));
    TRY(EVAL(m->ctx, "g, b", "g[b[i] % 3] += b[i]", g, b));
    if (pass == 2) TRY(EVAL(m->ctx, "b", "b = (b*3 + 1) % 700", b));
    TRY(rp_trace_end(m->ctx, 1));
  }
  TRY(count(m));
  int64_t sums[3];
  TRY(rp_store_read(h, m->out, BINS * 8));
  TRY(rp_store_read(g, sums, sizeof sums));
  for (int32_t i = 0; i < 3; i++) m->out[BINS + i] = (double)sums[i];
  rp_store *const all[] = {b, v, h, g};
  for (int32_t i = 0; i < 4; i++) TRY(rp_store_release(all[i]));
  return RP_OK;
}

static void the_same_bits_on_ranks(void **state) {
  (void)state;
  same_bits(shared, BINS + 3);
}

/* All ranks say alike that an index is bad. */
static rp_status spoiled(member *m) {
  int32_t key[] = {1, 2, BINS, 3};
  rp_store *b, *h;
  double got[BINS];
  TRY(make(m, RP_I32, 4, key, &b));
  TRY(make(m, RP_F64, BINS, NULL, &h));
  TRY(EVAL(m->ctx, "h", "h = h + 1", h));
  TRY(EVAL(m->ctx, "h, b", "h[b[i]] += 1", h, b));
  m->out[0] = rp_store_read(h, got, sizeof got);
  m->out[1] = rp_wait(m->ctx);
  TRY(rp_store_fill(h, &(double){2}));
  TRY(rp_store_read(h, m->out + 2, sizeof got));
  TRY(rp_store_release(b));
  return rp_store_release(h);
}

static void bad_indices_on_ranks(void **state) {
  (void)state;
  member all[3];
  run(all, 3, "--threads 1 --tile 0", spoiled, BINS + 2);
  all_fine(all, 3);
  for (int32_t r = 0; r < 3; r++) {
    assert_true(all[r].out[0] == RP_ERR_DATA && all[r].out[1] == RP_ERR_DATA);
    assert_true(all[r].out[2] == 2 && all[r].out[BINS + 1] == 2);
  }
  forget(all, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(unchanged_indices_invert_once),
      cmocka_unit_test(indices_written_each_pass),
      cmocka_unit_test(twice_in_one_segment),
      cmocka_unit_test(the_host_writes_indices),
      cmocka_unit_test(several_inputs_and_scalars),
      cmocka_unit_test(inverses_go_with_their_arrays),
      cmocka_unit_test(arrays_that_are_only_asked_for_extents),
      cmocka_unit_test(the_same_bits_on_ranks),
      cmocka_unit_test(bad_indices_on_ranks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
