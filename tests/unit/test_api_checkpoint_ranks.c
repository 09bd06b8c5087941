/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_checkpoint_ranks.c -- checkpoints of several ranks, which are threads here: written on one number of
 * them and restored on another with the same bits, each rank its part, and one status of all. */
#include "tests/support/members.h"

#include <errno.h>
#include <stdatomic.h>

#include "core/exec/checkpoint_disk.h"
#include "tests/support/folder.h"

enum { ROWS = 61, COLUMNS = 23, GRID = ROWS * COLUMNS, LINE = 5000, ALL = 2 * GRID + LINE + 10 };

static folder_name here;

#define NAMES(...) ((const char *const[]){__VA_ARGS__})

typedef struct arrays {
  rp_store *grid, *line, *inside, *odd, *turned, *middle, *whole, *number, *zero, *flags, *index;
} arrays;

static const char *const names[] = {"grid",  "line",   "inside", "odd",   "turned", "middle",
                                    "whole", "number", "zero",   "flags", "index"};
enum { N_NAMES = 11 };

/* Views of arrays that tasks have written, of those that the host has, and of none. */
static rp_status make(rp_context *c, arrays *a) {
  const int64_t shape[] = {ROWS, COLUMNS}, line = LINE, few = 5;
  TRY(rp_store_create(c, RP_F64, 2, shape, &a->grid));
  TRY(rp_store_create(c, RP_F64, 1, &line, &a->line));
  TRY(rp_store_create(c, RP_F64, 2, shape, &a->whole));
  TRY(rp_store_create(c, RP_F64, 0, NULL, &a->number));
  TRY(rp_store_create(c, RP_F32, 2, shape, &a->zero));
  TRY(rp_store_create(c, RP_BOOL, 1, &line, &a->flags));
  TRY(rp_store_create(c, RP_I64, 1, &few, &a->index));
  TRY(rp_store_box(a->grid, (int64_t[]){1, 1}, (int64_t[]){ROWS - 1, COLUMNS - 1}, &a->inside));
  TRY(rp_store_slice(a->line, 0, 3, INT64_MAX, 2, &a->odd));
  TRY(rp_store_transpose(a->grid, (int32_t[]){1, 0}, &a->turned));
  return rp_store_slice(a->line, 0, 100, LINE - 77, 1, &a->middle);
}

static rp_status fill(rp_context *c, const arrays *a) {
  double host[GRID];
  for (int32_t i = 0; i < GRID; i++) host[i] = 1.0 / (1 + i);
  TRY(rp_store_write(a->whole, host, sizeof host));
  TRY(rp_store_write(a->index, (int64_t[]){4, 1, 0, 3, 2}, 5 * 8));
  TRY(EVAL(c, "g", "g[i,j] = f64(i)*0.37 + f64(j)", a->grid));
  TRY(EVAL(c, "l", "l[i] = 1.0/(f64(i) + 1)", a->line));
  TRY(EVAL(c, "f, l", "f = l > 0.01", a->flags, a->line));
  return EVAL(c, "s, l", "s += l*l", a->number, a->line);
}

static rp_store **list(arrays *a) { return &a->grid; } /* in the order of names */

static rp_status forget_arrays(arrays *a) {
  for (int32_t i = 0; i < N_NAMES; i++) TRY(rp_store_release(list(a)[i]));
  return RP_OK;
}

static rp_status save(member *m) {
  arrays a;
  TRY(make(m->ctx, &a));
  TRY(fill(m->ctx, &a));
  TRY(rp_checkpoint(m->ctx, here.path, N_NAMES, names, list(&a)));
  return forget_arrays(&a);
}

/* Bits of what was restored, and of a task on it. */
static rp_status digest(member *m, arrays *a) {
  double *to = m->out;
  unsigned char flags[LINE];
  float zero[GRID];
  int64_t index[5];
  TRY(EVAL(m->ctx, "s, l", "s += 2*l", a->number, a->line));
  TRY(rp_store_read(a->grid, to, GRID * 8));
  TRY(rp_store_read(a->whole, to + GRID, GRID * 8));
  TRY(rp_store_read(a->line, to + 2 * GRID, LINE * 8));
  TRY(rp_store_read(a->flags, flags, sizeof flags));
  TRY(rp_store_read(a->zero, zero, sizeof zero));
  TRY(rp_store_read(a->index, index, sizeof index));
  to += 2 * GRID + LINE;
  TRY(rp_store_read(a->number, to++, 8));
  for (int32_t i = 0; i < LINE; i++) *to += flags[i];
  to++;
  for (int32_t i = 0; i < GRID; i++) *to += zero[i] != 0;
  to++;
  for (int32_t i = 0; i < 5; i++) *to++ = (double)index[i];
  return RP_OK;
}

static rp_status direct(member *m) {
  arrays a;
  TRY(make(m->ctx, &a));
  TRY(fill(m->ctx, &a));
  TRY(digest(m, &a));
  return forget_arrays(&a);
}

static const char *const first_names[] = {"grid", "line",  "whole", "number",
                                          "zero", "flags", "index"};

/* All of the arrays, or those that have views piecewise: by another's name where shapes agree. */
static rp_status load(member *m) {
  arrays a;
  TRY(make(m->ctx, &a));
  rp_store *const stores[] = {a.grid, a.line, a.whole, a.number, a.zero, a.flags, a.index};
  TRY(rp_restore(m->ctx, here.path, 7, first_names, stores));
  TRY(digest(m, &a));
  return forget_arrays(&a);
}

/* Views are restored over arrays that tasks have written before, so that they are cut already. */
static rp_status load_views(member *m) {
  arrays a;
  TRY(make(m->ctx, &a));
  TRY(fill(m->ctx, &a));
  TRY(EVAL(m->ctx, "v", "v = -v", a.inside));
  TRY(EVAL(m->ctx, "v", "v = 0*v", a.odd));
  TRY(EVAL(m->ctx, "v", "v = v + 1", a.middle));
  TRY(EVAL(m->ctx, "v", "v = v + 1", a.whole));
  rp_store *const stores[] = {a.turned, a.middle, a.odd, a.inside, a.whole};
  TRY(rp_restore(m->ctx, here.path, 5, NAMES("turned", "middle", "odd", "inside", "whole"),
                 stores));
  TRY(digest(m, &a));
  return forget_arrays(&a);
}

static const int32_t counts[] = {1, 2, 3, 4, 7};
static const char *const configs[] = {"--threads 1 --tile 0", "--threads 2 --tile 20000"};

static void same_out(const member *all, int32_t ranks, const member *want, const char *what) {
  all_fine(all, ranks);
  for (int32_t r = 0; r < ranks; r++)
    for (int32_t i = 0; i < ALL; i++)
      if (memcmp(&all[r].out[i], &want->out[i], 8) != 0)
        fail_msg("%s, rank %d of %d: value %d is %g, not %g", what, r, ranks, i, all[r].out[i],
                 want->out[i]);
}

static void test_any_ranks(void **state) {
  (void)state;
  member want, all[MOST];
  here = folder_make();
  run(&want, 1, configs[0], direct, ALL);
  all_fine(&want, 1);
  for (int32_t p = 0; p < 5; p++)
    for (int32_t k = 0; k < 2; k++) {
      run(all, counts[p], configs[k], save, 0);
      all_fine(all, counts[p]);
      forget(all, counts[p]);
      /* Every rank has written, if all is shared out. */
      if (k == 0) assert_int_equal(folder_each(here.path, "part-", NULL), counts[p]);
      for (int32_t q = 0; q < 5; q++) {
        run(all, counts[q], configs[(p + q) % 2], load, ALL);
        same_out(all, counts[q], &want, "whole arrays");
        forget(all, counts[q]);
        run(all, counts[q], configs[(p + q + 1) % 2], load_views, ALL);
        same_out(all, counts[q], &want, "views");
        forget(all, counts[q]);
      }
    }
  forget(&want, 1);
  folder_remove(here.path);
}

/* ---- how much is moved ---- */

/* Also where the call failed, which is what is said then. */
static rp_status and_release(member *m, rp_status st, rp_store *x) {
  if (st != RP_OK) snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  TRY(rp_store_release(x));
  return st;
}

static _Atomic int64_t n_read, n_written;

static int count_bytes(const char *call, const char *file, size_t *bytes) {
  if (strncmp(file, "part-", 5) == 0 && strcmp(call, "read") == 0) n_read += (int64_t)*bytes;
  if (strncmp(file, "part-", 5) == 0 && strcmp(call, "write") == 0) n_written += (int64_t)*bytes;
  return 0;
}

enum { MANY = 1 << 20 };

static rp_status save_many(member *m) {
  const int64_t n = MANY;
  rp_store *x;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(EVAL(m->ctx, "x", "x[i] = f64(i)", x));
  return and_release(m, rp_checkpoint(m->ctx, here.path, 1, NAMES("x"), STORES(x)), x);
}

static rp_status load_many(member *m) {
  const int64_t n = MANY;
  rp_store *x, *s;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &s));
  TRY(rp_restore(m->ctx, here.path, 1, NAMES("x"), STORES(x)));
  TRY(EVAL(m->ctx, "s, x", "s += x", s, x));
  TRY(rp_store_read(s, m->out, 8));
  TRY(rp_store_release(s));
  return rp_store_release(x);
}

/* Each byte is written once; and read once, but for blocks that two ranks need. */
static void test_parts(void **state) {
  (void)state;
  member all[MOST];
  const int64_t bytes = MANY * 8;
  here = folder_make();
  rpi_checkpoint_disk_fault = count_bytes;
  run(all, 4, "--threads 1", save_many, 0);
  all_fine(all, 4);
  forget(all, 4);
  assert_true(n_written >= bytes && n_written < bytes + 4 * 5000);
  run(all, 4, "--threads 1", load_many, 1);
  all_fine(all, 4);
  for (int32_t r = 0; r < 4; r++) assert_true(all[r].out[0] == (double)MANY * (MANY - 1) / 2);
  forget(all, 4);
  assert_true(n_read >= bytes && n_read < bytes + 4 * 5000);
  n_read = 0;
  run(all, 3, "--threads 1", load_many, 1);
  all_fine(all, 3);
  forget(all, 3);
  assert_true(n_read < bytes + 3 * 2 * (1 << 20));
  rpi_checkpoint_disk_fault = NULL;
  folder_remove(here.path);
}

/* More than a step on each rank. */
enum { STEPS = 3 * ((66 << 20) / 8) };

static rp_status make_steps(member *m, rp_store **x, rp_store **s) {
  const int64_t n = STEPS;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, x));
  return rp_store_create(m->ctx, RP_F64, 0, NULL, s);
}

static rp_status save_steps(member *m) {
  rp_store *x, *s, *shared[2];
  const int64_t some = (65 << 20) / 8;
  TRY(make_steps(m, &x, &s));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &some, &shared[1]));
  TRY(EVAL(m->ctx, "x", "x[i] = f64(i % 1000)", x));
  TRY(rp_store_fill(shared[1], &(double){3}));
  shared[0] = x;
  TRY(rp_checkpoint(m->ctx, here.path, 2, NAMES("x", "a"), shared));
  TRY(rp_store_release(shared[1]));
  TRY(rp_store_release(s));
  return rp_store_release(x);
}

static rp_status load_steps(member *m) {
  rp_store *x, *s;
  TRY(make_steps(m, &x, &s));
  TRY(rp_restore(m->ctx, here.path, 1, NAMES("x"), STORES(x)));
  TRY(EVAL(m->ctx, "s, x", "s = sum(i) where(x[i] == f64(i % 1000), 1.0, 0.0)", s, x));
  TRY(rp_store_read(s, m->out, 8));
  TRY(rp_store_release(s));
  return rp_store_release(x);
}

static void test_steps(void **state) {
  (void)state;
  member all[MOST] = {0};
  here = folder_make();
  run(all, 3, "--threads 1", save_steps, 0);
  all_fine(all, 3);
  forget(all, 3);
  run(all, 2, "--threads 1", load_steps, 1);
  all_fine(all, 2);
  for (int32_t r = 0; r < 2; r++) assert_true(all[r].out[0] == STEPS);
  forget(all, 2);
  folder_remove(here.path);
}

/* ---- one status of all ---- */

static int rank_2_fails(const char *call, const char *file, size_t *bytes) {
  (void)bytes;
  const size_t n = strlen(file);
  return n > 2 && strcmp(file + n - 2, "-2") == 0 &&
                 (strcmp(call, "write") == 0 || strcmp(call, "read") == 0)
             ? EIO
             : 0;
}

/* Which call fails, every rank says; afterwards all go on. */
static rp_status one_fails(member *m) {
  const int64_t n = MANY;
  rp_store *x;
  double v = 0;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(EVAL(m->ctx, "x", "x[i] = f64(i)", x));
  const bool saves = m->stat[0] == 0;
  const rp_status st = saves ? rp_checkpoint(m->ctx, here.path, 1, NAMES("x"), STORES(x))
                             : rp_restore(m->ctx, here.path, 1, NAMES("x"), STORES(x));
  m->out[0] = st;
  snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  TRY(rp_store_read_part(x, (int64_t[]){MANY - 1}, (int64_t[]){MANY}, &v, 8));
  m->out[1] = v;
  return rp_store_release(x);
}

static rp_status one_fails_to_read(member *m) {
  m->stat[0] = 1;
  return one_fails(m);
}

static void test_one_status(void **state) {
  (void)state;
  member all[MOST];
  here = folder_make();
  rpi_checkpoint_disk_fault = rank_2_fails;
  for (int32_t turn = 0; turn < 2; turn++) {
    run(all, 4, "--threads 1", turn == 0 ? one_fails : one_fails_to_read, 2);
    for (int32_t r = 0; r < 4; r++) {
      if (all[r].status != RP_OK || all[r].out[0] != RP_ERR_IO || all[r].out[1] != MANY - 1)
        fail_msg("turn %d, rank %d: %d, %g, %g: %s", turn, r, all[r].status, all[r].out[0],
                 all[r].out[1], all[r].said);
      assert_non_null(
          strstr(all[r].said, turn == 0 ? ": rank 2: cannot write" : ": rank 2: cannot read"));
    }
    forget(all, 4);
    if (turn == 0) { /* nothing is left of it */
      assert_int_equal(folder_each(here.path, "", NULL), 0);
      rpi_checkpoint_disk_fault = NULL;
      run(all, 4, "--threads 1", save_many, 0);
      all_fine(all, 4);
      forget(all, 4);
      rpi_checkpoint_disk_fault = rank_2_fails;
    }
  }
  rpi_checkpoint_disk_fault = NULL;
  folder_remove(here.path);
}

static void all_fail(int32_t ranks, rp_status (*program)(member *), rp_status want,
                     const char *text) {
  member all[MOST] = {0};
  run(all, ranks, "--threads 1", program, 0);
  for (int32_t r = 0; r < ranks; r++)
    if (all[r].status != want || !strstr(all[r].said, text))
      fail_msg("rank %d: %d, %s", r, all[r].status, all[r].said);
  forget(all, ranks);
}

static rp_status other_names(member *m) {
  rp_store *x;
  TRY(rp_store_scalar(m->ctx, RP_F64, &(double){1}, &x));
  const char *name = m->rank == 1 ? "y" : "x";
  return and_release(m, rp_checkpoint(m->ctx, here.path, 1, &name, &x), x);
}

static void test_diverging(void **state) {
  (void)state;
  here = folder_make();
  all_fail(3, other_names, RP_ERR_RANKS, "the ranks do not do the same");
  assert_int_equal(folder_each(here.path, "manifest", NULL), 0);
  folder_remove(here.path);
}

/* Rank 1 restores something else. */
static rp_status other_choice(member *m) {
  rp_store *s[2];
  for (int32_t i = 0; i < 2; i++) TRY(rp_store_scalar(m->ctx, RP_F64, &(double){1}, &s[i]));
  TRY(rp_checkpoint(m->ctx, here.path, 2, NAMES("x", "y"), s));
  const char *name = m->rank == 1 ? "y" : "x";
  TRY(rp_store_release(s[1]));
  return and_release(m, rp_restore(m->ctx, here.path, 1, &name, s), s[0]);
}

static int nothing_there(const char *call, const char *file, size_t *bytes) {
  (void)file, (void)bytes;
  return strcmp(call, "see") == 0 ? ENOENT : 0;
}

static void test_other_choice(void **state) {
  (void)state;
  here = folder_make();
  all_fail(3, other_choice, RP_ERR_RANKS, "the ranks do not do the same");
  folder_remove(here.path);
}

/* Each rank has a folder of its own by that name. */
static void test_not_shared(void **state) {
  (void)state;
  here = folder_make();
  rpi_checkpoint_disk_fault = nothing_there;
  all_fail(3, save_many, RP_ERR_IO, "is here another folder than for rank 0");
  rpi_checkpoint_disk_fault = NULL;
  assert_int_equal(folder_each(here.path, "", NULL), 0);
  folder_remove(here.path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_steps),      cmocka_unit_test(test_other_choice),
      cmocka_unit_test(test_not_shared), cmocka_unit_test(test_any_ranks),
      cmocka_unit_test(test_parts),      cmocka_unit_test(test_one_status),
      cmocka_unit_test(test_diverging)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
