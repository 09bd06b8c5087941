/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_unbound.c -- stores that get their size from the task that writes them: filters and expansions on
 * threads and ranks give the bits of one call; errors, nothing at all, many sizes, and handles released early. */
#include "tests/support/members.h"

#include <malloc.h>
#include <stdatomic.h>

enum { ROWS = 301, COLS = 2 };

static _Atomic int64_t lie, calls_made; /* lie: what is added to the last block's count */

/* Of rows whose first element is below the limit: the row, and where it was. */
static int keep(double *out, int64_t room, int64_t *count, int64_t *where, int64_t *n_where,
                const double *x, int64_t n, int64_t columns, int64_t at, double limit) {
  int64_t k = 0;
  atomic_fetch_add(&calls_made, 1);
  for (int64_t i = 0; i < n; i++) {
    if (!(x[i * columns] < limit)) continue;
    memcpy(out + k * columns, x + i * columns, (size_t)columns * sizeof *x);
    where[k++] = at + i;
  }
  *count = k + (at + n == ROWS ? atomic_load(&lie) : 0);
  *n_where = k;
  return room != n;
}

/* Row i is made i % 4 times. */
static void repeat(double *out, int64_t *count, const double *x, int64_t n, int64_t columns,
                   int64_t at) {
  int64_t k = 0;
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < (at + i) % 4; j++, k++)
      for (int64_t c = 0; c < columns; c++) out[k * columns + c] = x[i * columns + c] + (double)j;
  *count = k;
}

static void forgets(double *out, int64_t n) { memset(out, 0, (size_t)n * sizeof *out); }

#define A(k, x, y) \
  { .kind = RP_ARG_##k, .a = (x), .b = (y) }
#define SCALE(x, y, f) \
  { .kind = RP_CONSTRAINT_SCALE, .a = (x), .b = (y), .factor = (f) }

static const int32_t keep_rights[] = {RP_PRIV_UNBOUND, RP_PRIV_UNBOUND, RP_PRIV_READ},
                     repeat_rights[] = {RP_PRIV_UNBOUND, RP_PRIV_READ};
static const rp_opaque_arg keep_args[] = {A(PTR, 0, 0),    A(EXTENT, 0, 0), A(COUNT, 0, 0),
                                          A(PTR, 1, 0),    A(COUNT, 1, 0),  A(PTR, 2, 0),
                                          A(EXTENT, 2, 0), A(EXTENT, 2, 1), A(OFFSET, 2, 0),
                                          A(SCALAR, 0, 0)},
                           repeat_args[] = {A(PTR, 0, 0),    A(COUNT, 0, 0),  A(PTR, 1, 0),
                                            A(EXTENT, 1, 0), A(EXTENT, 1, 1), A(OFFSET, 1, 0)};
static const rp_constraint keep_rules[] = {SCALE(0, 2, 1), SCALE(1, 2, 1)},
                           repeat_rules[] = {SCALE(0, 1, 3)};

static rp_status make(rp_library *lib, const char *name, rp_op **out, int32_t flags) {
  const bool keeps = strncmp(name, "keep", 4) == 0;
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = name,
                            .params = keeps ? "out, where, x, limit:f64" : "out, x",
                            .privileges = keeps ? keep_rights : repeat_rights,
                            .function = keeps ? (void (*)(void))keep : (void (*)(void))repeat,
                            .args = keeps ? keep_args : repeat_args,
                            .n_args = keeps ? 10 : 6,
                            .flags = flags | RP_OPAQUE_DENSE | (keeps ? RP_OPAQUE_STATUS : 0),
                            .constraints = keeps ? keep_rules : repeat_rules,
                            .n_constraints = keeps ? 2 : 1,
                            .block_rows = 1};
  return rp_op_create_opaque(lib, &d, out);
}

static rp_status unbound(rp_context *c, rp_dtype t, int32_t ndim, rp_store **out) {
  return rp_store_create_unbound(c, t, ndim, (int64_t[]){COLS}, out);
}

static rp_status drop_all(rp_store **s, int32_t n) {
  for (int32_t i = 0; i < n; i++) TRY(rp_store_release(s[i]));
  return RP_OK;
}

/* ---- the same bits ---- */

static rp_status start(member *m, int32_t flags, rp_op **filter, rp_op **again, rp_store **x) {
  rp_library *lib;
  TRY(rp_library_create(m->ctx, "lib", &lib));
  TRY(make(lib, "keep", filter, flags));
  TRY(make(lib, "repeat", again, flags));
  TRY(rp_store_create(m->ctx, RP_F64, 2, (int64_t[]){ROWS, COLS}, x));
  return EVAL(m->ctx, "x", "x[i, j] = f64(37*i % 101) + 0.01*f64(j)", *x);
}

/* Sizes that no pass has had before; what is made is read, computed with, looked through and made more of. */
static rp_status passes(member *m, int32_t flags) {
  rp_op *filter, *again;
  rp_store *x, *sum;
  int64_t at = 0;
  TRY(start(m, flags, &filter, &again, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &sum));
  for (int32_t pass = 0; pass < 9; pass++) {
    const double limit = pass == 4 ? -1 : pass == 5 ? 1000 : 100 - 9.7 * pass; /* none, all */
    rp_store *some, *where, *more, *half;
    TRY(unbound(m->ctx, RP_F64, 2, &some));
    TRY(unbound(m->ctx, RP_I64, 1, &where));
    TRY(unbound(m->ctx, RP_F64, 2, &more));
    TRY(rp_trace_begin(m->ctx, 1));
    TRY(EVAL(m->ctx, "x", "x = x*1.01", x));
    TRY(rp_launch(filter, (rp_store *[]){some, where, x}, 3, (const void *[]){&limit}, 1));
    TRY(EVAL(m->ctx, "x", "x = x + 0", x)); /* does not wait */
    TRY(EVAL(m->ctx, "y", "y = y*0.5", some));
    TRY(rp_launch(again, (rp_store *[]){more, some}, 2, NULL, 0));
    TRY(EVAL(m->ctx, "s, y", "s = sum(i, j) y[i, j]", sum, more));
    TRY(rp_trace_end(m->ctx, 1));
    const int64_t n = rp_store_extent(some, 0), k = rp_store_extent(more, 0);
    TRY(rp_store_slice(more, 0, 0, INT64_MAX, 2, &half));
    TRY(EVAL(m->ctx, "y", "y = -y", half));
    m->out[at++] = (double)n;
    m->out[at++] = (double)k;
    TRY(rp_store_read(sum, &m->out[at++], 8));
    TRY(rp_store_read(some, m->out + at, (size_t)(n * COLS) * 8));
    at += n * COLS;
    TRY(rp_store_read(where, m->out + at, (size_t)n * 8));
    at += n;
    TRY(rp_store_read(more, m->out + at, (size_t)(k * COLS) * 8));
    at += k * COLS;
    TRY(drop_all((rp_store *[]){some, where, more, half}, 4));
  }
  TRY(count(m));
  return drop_all((rp_store *[]){x, sum}, 2);
}
enum { N_PASSES = 9 * (3 + ROWS * (3 * COLS + COLS + 1)) };

static rp_status split(member *m) { return passes(m, RP_OPAQUE_SPLIT); }
static rp_status whole(member *m) { return passes(m, 0); }

static void test_passes(void **state) {
  (void)state;
  member one, all[MOST];
  same_bits(split, N_PASSES);
  atomic_store(&calls_made, 0);
  run(all, 4, "--threads 1 --tile 0", split, N_PASSES);
  all_fine(all, 4);
  forget(all, 4);
  assert_int_equal(atomic_load(&calls_made), 9 * 4); /* each rank makes its own rows */
  run(&one, 1, "--threads 1", whole,
      N_PASSES); /* one call: of one process, or of every rank alike */
  all_fine(&one, 1);
  static const int32_t ranks[] = {1, 3};
  for (int32_t k = 0; k < 4; k++) {
    run(all, ranks[k / 2], "--threads 4 --grain 0 --tile 0", k % 2 ? split : whole, N_PASSES);
    all_fine(all, ranks[k / 2]);
    for (int32_t r = 0; r < ranks[k / 2]; r++)
      assert_memory_equal(all[r].out, one.out, N_PASSES * sizeof(double));
    forget(all, ranks[k / 2]);
  }
  forget(&one, 1);
}

/* ---- one process, in detail ---- */

static rp_context *ctx;
static rp_library *lib;
static rp_op *filter, *again;
static rp_store *x;

static void open_with(const char *config) {
  member m = {0};
  ctx = m.ctx = check_context(config);
  OK(start(&m, RP_OPAQUE_SPLIT, &filter, &again, &x));
  OK(rp_library_create(ctx, "lib", &lib));
}
static void close_it(void) {
  OK(rp_store_release(x));
  OK(rp_context_destroy(ctx));
}

static rp_status launch(rp_store *some, rp_store *where, double limit) {
  return rp_launch(filter, STORES(some, where, x), 3, (const void *[]){&limit}, 1);
}

static void test_states(void **state) {
  (void)state;
  rp_store *some, *where, *view, *fixed, *more;
  open_with("--threads 3 --grain 0");
  OK(unbound(ctx, RP_F64, 2, &some));
  OK(unbound(ctx, RP_I64, 1, &where));
  OK(unbound(ctx, RP_F64, 2, &more));
  assert_int_equal(rp_op_n_stores(filter), 3);
  assert_int_equal(rp_op_privilege(filter, 0), RP_PRIV_UNBOUND);
  assert_int_equal(rp_op_privilege(filter, 3), 0);
  assert_int_equal(rp_store_ndim(some), 2);
  assert_int_equal(rp_store_dtype(where), RP_I64);
  assert_ptr_equal(rp_store_context(some), ctx);
  assert_int_equal(rp_store_extent(some, 0), -1); /* nothing has written it */
  assert_non_null(strstr(rp_last_error(), "nothing has been launched that gives it a size"));
  assert_int_equal(rp_store_size(some), 0);
  FAILS(RP_ERR_STATE, "rp_store_slice: the store is unbound",
        rp_store_slice(some, 0, 0, 1, 1, &view));
  FAILS(RP_ERR_STATE, "rp_eval: the store is unbound", EVAL(ctx, "y", "y = y + 1", some));
  FAILS(RP_ERR_STATE, "the store is unbound", rp_launch(again, STORES(more, some), 2, NULL, 0));
  FAILS(RP_ERR_ARGUMENT, "takes 3 stores", rp_launch(filter, STORES(some), 1, NULL, 0));
  FAILS(RP_ERR_STATE, "stores[0] ('out') is to be sized, but has a size", launch(x, where, 1));
  FAILS(RP_ERR_ACCESS, "stores[1] ('where') is written twice", launch(some, some, 1));
  OK(rp_store_retain(some));
  OK(rp_store_release(some));
  OK(launch(some, where, 50));
  OK(rp_store_retain(some)); /* no wait */
  OK(rp_store_release(some));
  assert_int_equal(check_stat(ctx, "segments"), 0);
  FAILS(RP_ERR_STATE, "stores[0] ('out') is to be sized, but has a size", launch(some, where, 50));
  const int64_t n = rp_store_extent(where, 0);
  assert_int_equal(n, rp_store_extent(some, 0));
  assert_int_equal(rp_store_extent(some, 1), COLS);
  assert_in_range(n, 140, 160);
  /* From now on a store like others: of its own size, whole. */
  OK(rp_store_create(ctx, RP_F64, 2, (int64_t[]){n, COLS}, &fixed));
  OK(rp_store_copy(fixed, some));
  OK(EVAL(ctx, "a, b", "a = a - b", fixed, some));
  OK(rp_store_slice(some, 0, n - 1, n, 1, &view));
  double *v = malloc((size_t)n * COLS * sizeof *v);
  OK(rp_store_read(fixed, v, (size_t)n * COLS * sizeof *v));
  for (int64_t i = 0; i < n * COLS; i++) assert_true(v[i] == 0);
  OK(rp_store_fill(some, &(double){3}));
  OK(rp_store_read(view, v, COLS * sizeof *v));
  assert_true(v[0] == 3 && v[1] == 3);
  free(v);
  OK(drop_all((rp_store *[]){some, where, view, fixed, more}, 5));
  close_it();
}

/* Released before anybody knows the size: at each stage, by either call, and by the end of the context. */
static void test_released_early(void **state) {
  (void)state;
  rp_store *some, *where;
  open_with("--threads 3 --grain 0");
  for (int32_t k = 0; k < 6; k++) {
    OK(unbound(ctx, RP_F64, 2, &some));
    OK(unbound(ctx, RP_I64, 1, &where));
    if (k > 0) OK(launch(some, where, 50));
    if (k > 2) OK(rp_wait(ctx));
    OK(k % 2 ? rp_store_release(some) : rp_store_release_any(some));
    if (k == 5) assert_in_range(rp_store_extent(where, 0), 140, 160);
    OK(rp_store_release(where));
  }
  OK(unbound(ctx, RP_F64, 2, &some));
  OK(unbound(ctx, RP_I64, 1, &where));
  OK(launch(some, where, 50));
  OK(rp_store_release(x));
  OK(rp_context_destroy(ctx));
  OK(drop_all((rp_store *[]){some, where}, 2));
}

/* A count that there was no room for; a count that nobody wrote. */
static rp_status lies(member *m) {
  rp_op *f, *g;
  rp_store *a, *some, *where, *more;
  double v;
  TRY(start(m, RP_OPAQUE_SPLIT, &f, &g, &a));
  TRY(unbound(m->ctx, RP_F64, 2, &some));
  TRY(unbound(m->ctx, RP_I64, 1, &where));
  TRY(unbound(m->ctx, RP_F64, 2, &more));
  TRY(rp_launch(f, (rp_store *[]){some, where, a}, 3, (const void *[]){&(double){50}}, 1));
  TRY(rp_launch(g, (rp_store *[]){more, some}, 2, NULL, 0));
  m->stat[6] = rp_store_extent(where, 0);
  m->stat[7] = rp_store_extent(more, 0);
  const rp_status st = rp_store_read(more, &v, 0);
  snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  if (rp_wait(m->ctx) != RP_ERR_DATA) return RP_ERR_INTERNAL;
  TRY(drop_all((rp_store *[]){a, some, where, more}, 4));
  return st;
}

static void test_lies(void **state) {
  (void)state;
  static const int64_t by[] = {ROWS, -ROWS};
  member all[MOST];
  for (int32_t ranks = 1; ranks <= 4; ranks += 3)
    for (int32_t k = 0; k < 2; k++) {
      atomic_store(&lie, by[k]);
      run(all, ranks, "--threads 2 --grain 0 --tile 0", lies, 1);
      atomic_store(&lie, 0);
      for (int32_t r = 0; r < ranks; r++) {
        assert_int_equal(all[r].status, RP_ERR_DATA);
        assert_non_null(strstr(all[r].said, "lib.keep, launch 2 of the context"));
        assert_non_null(strstr(all[r].said, "reported failure"));
        assert_int_equal(all[r].stat[6], 0);
        assert_int_equal(all[r].stat[7], 0);
      }
      forget(all, ranks);
    }
}

static void test_declarations(void **state) {
  (void)state;
  static const int32_t rights[] = {RP_PRIV_UNBOUND, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {A(PTR, 0, 0), A(EXTENT, 0, 0), A(COUNT, 0, 0),
                                       A(COUNT, 1, 0)};
  static const rp_constraint rules[] = {SCALE(0, 1, 1), {.kind = RP_CONSTRAINT_ALIGN, .b = 1}};
  open_with("--threads 2");
  rp_opaque_desc d = {.struct_size = sizeof d,
                      .name = "bad",
                      .params = "y, x",
                      .privileges = rights,
                      .function = (void (*)(void))forgets,
                      .args = args,
                      .n_args = 3,
                      .constraints = rules,
                      .n_constraints = 1};
  rp_op *op;
  d.n_args = 2;
  FAILS(RP_ERR_ARGUMENT, "store 0 is unbound", rp_op_create_opaque(lib, &d, &op));
  d.n_args = 4;
  FAILS(RP_ERR_ARGUMENT, "args[3]: store 1 is not unbound", rp_op_create_opaque(lib, &d, &op));
  d.n_args = 3;
  d.n_constraints = 2;
  FAILS(RP_ERR_ARGUMENT, "not 1 (1 other) and 1", rp_op_create_opaque(lib, &d, &op));
  d.n_constraints = 0;
  FAILS(RP_ERR_ARGUMENT, "not 0 (0 other) and 1", rp_op_create_opaque(lib, &d, &op));
  rp_store *s;
  FAILS(RP_ERR_SHAPE, "ndim is 0", rp_store_create_unbound(ctx, RP_F64, 0, NULL, &s));
  FAILS(RP_ERR_ARGUMENT, "shape is NULL", rp_store_create_unbound(ctx, RP_F64, 2, NULL, &s));
  FAILS(RP_ERR_DTYPE, "no dtype", rp_store_create_unbound(ctx, 99, 1, NULL, &s));
  /* A function that never says how many. */
  d.n_constraints = 1;
  static const rp_opaque_arg silent[] = {A(PTR, 0, 0), A(EXTENT, 0, 0), A(COUNT, 0, 0)};
  d.args = silent;
  d.n_args = 3;
  OK(rp_op_create_opaque(lib, &d, &op));
  OK(rp_store_create_unbound(ctx, RP_F64, 1, NULL, &s));
  OK(rp_launch(op, STORES(s, x), 2, NULL, 0));
  assert_int_equal(rp_store_size(s), 0);
  FAILS(RP_ERR_DATA, "lib.bad", rp_store_read(s, &op, 0));
  FAILS(RP_ERR_DATA, "lib.bad", rp_wait(ctx));
  OK(rp_store_release(s));
  close_it();
}

/* Templates, views and memory do not grow with the number of sizes that have been. */
static void test_many_sizes(void **state) {
  (void)state;
  open_with("--threads 2 --grain 0 --templates 16");
  size_t before = 0;
  for (int32_t pass = 0; pass < 400; pass++) {
    rp_store *some, *where;
    OK(unbound(ctx, RP_F64, 2, &some));
    OK(unbound(ctx, RP_I64, 1, &where));
    OK(rp_trace_begin(ctx, 1));
    OK(launch(some, where, 0.25 * (pass % 8 ? pass : 7 * pass % 400)));
    OK(EVAL(ctx, "y", "y = y + 1", some));
    OK(rp_trace_end(ctx, 1));
    OK(drop_all((rp_store *[]){some, where}, 2));
    if (pass == 100) before = mallinfo2().uordblks;
  }
  const size_t after = mallinfo2().uordblks;
  assert_in_range(after > before ? after - before : 0, 0, 300000);
  close_it();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_passes),         cmocka_unit_test(test_states),
      cmocka_unit_test(test_released_early), cmocka_unit_test(test_lies),
      cmocka_unit_test(test_declarations),   cmocka_unit_test(test_many_sizes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
