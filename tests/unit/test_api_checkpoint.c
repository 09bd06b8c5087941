/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_checkpoint.c -- rp_checkpoint and rp_restore in one process: what comes back, what is refused, and
 * that what is refused changes nothing. Interruptions are test_api_checkpoint_faults.c, ranks
 * test_api_checkpoint_ranks.c. */
#define _GNU_SOURCE
#include "tests/support/api_group.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <fcntl.h>

#include "core/base/alloc.h"
#include "tests/support/folder.h"

#define NAMES(...) ((const char *const[]){__VA_ARGS__})

static folder_name here;

static int setup_folder(void **state) {
  here = folder_make();
  return setup(state);
}

static int teardown_folder(void **state) {
  folder_remove(here.path);
  return teardown(state);
}

static rp_store *store_of(rp_dtype dtype, int32_t ndim, const int64_t *shape) {
  rp_store *s;
  OK(rp_store_create(ctx, dtype, ndim, shape, &s));
  return s;
}

static size_t bytes_of(rp_store *s) {
  return (size_t)rp_store_size(s) * rp_dtype_size(rp_store_dtype(s));
}

/* Both hold the same bits. */
static void same(rp_store *a, rp_store *b) {
  const size_t bytes = bytes_of(a);
  char *x = malloc(bytes + 1), *y = malloc(bytes + 1);
  assert_true(x && y && bytes == bytes_of(b));
  OK(rp_store_read(a, x, bytes));
  OK(rp_store_read(b, y, bytes));
  assert_memory_equal(x, y, bytes);
  free(x);
  free(y);
}

static void save(const char *name, rp_store *s) {
  OK(rp_checkpoint(ctx, here.path, 1, NAMES(name), STORES(s)));
}
static void load(const char *name, rp_store *s) {
  OK(rp_restore(ctx, here.path, 1, NAMES(name), STORES(s)));
}

static rp_store *counting(int64_t n) {
  rp_store *s = check_vector(ctx, n, NULL);
  OK(EVAL(ctx, "s", "s[i] = f64(i) + 0.5", s));
  return s;
}

/* ---- what comes back ---- */

static void test_every_dtype(void **state) {
  (void)state;
  for (rp_dtype t = RP_BOOL; t <= RP_F64; t++) {
    const int64_t shape[] = {5, 7, 3};
    rp_store *a = store_of(t, 3, shape), *b = store_of(t, 3, shape);
    unsigned char bytes[5 * 7 * 3 * 8];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 83 % 251);
    OK(rp_store_write(a, bytes, bytes_of(a)));
    save(rp_dtype_name(t), a);
    load(rp_dtype_name(t), b);
    same(a, b);
    drop(a);
    drop(b);
  }
}

/* As everywhere, what is not 0 is 1, also in files. */
static void test_bool(void **state) {
  (void)state;
  const int64_t n = 4;
  unsigned char lent[] = {0, 2, 1, 255}, got[4] = {9, 9, 9, 9};
  rp_store *a, *b;
  OK(rp_store_attach(ctx, RP_BOOL, 1, &n, lent, RP_READ_ONLY, &a));
  OK(rp_store_attach(ctx, RP_BOOL, 1, &n, got, RP_READ_WRITE, &b));
  save("a", a);
  load("a", b);
  OK(rp_store_detach(b));
  assert_memory_equal(got, ((unsigned char[]){0, 1, 1, 1}), 4);
  drop(a);
  drop(b);
}

/* More than a step, and not a multiple of a block. */
static void test_large(void **state) {
  (void)state;
  const int64_t n = (70 << 20) / 8 + 12345;
  rp_store *a = counting(n), *b = check_vector(ctx, n, NULL), *c = counting(3);
  OK(rp_checkpoint(ctx, here.path, 2, NAMES("z", "a"), STORES(a, c)));
  load("z", b);
  same(a, b);
  rp_store *all[] = {a, b, c};
  for (int i = 0; i < 3; i++) drop(all[i]);
}

static void test_empty_zero_scalar(void **state) {
  (void)state;
  const int64_t none[] = {0, 4}, some[] = {9};
  rp_store *empty = store_of(RP_I32, 2, none), *zero = store_of(RP_F32, 1, some);
  rp_store *number, *again = check_store(ctx, 0, NULL, NULL), *full = store_of(RP_F32, 1, some);
  const float one = 1;
  OK(rp_store_scalar(ctx, RP_F64, &(double){2.5}, &number));
  OK(rp_checkpoint(ctx, here.path, 3, NAMES("empty", "zero", "number"),
                   STORES(empty, zero, number)));
  OK(rp_store_fill(full, &one));
  OK(rp_restore(ctx, here.path, 3, NAMES("number", "empty", "zero"), STORES(again, empty, full)));
  assert_true(check_scalar(again) == 2.5);
  same(full, zero);
  load("zero", zero); /* without memory it stays so */
  same(full, zero);
  rp_store *all[] = {empty, zero, number, again, full};
  for (int i = 0; i < 5; i++) drop(all[i]);
}

static rp_store *view_of(rp_store *a, int kind) {
  rp_store *v;
  switch (kind) {
    case 0: OK(rp_store_slice(a, 0, 1, INT64_MAX, 3, &v)); break;
    case 1: OK(rp_store_slice(a, 1, INT64_MAX, INT64_MIN, -2, &v)); break;
    case 2: OK(rp_store_transpose(a, (int32_t[]){1, 0}, &v)); break;
    case 3: OK(rp_store_box(a, (int64_t[]){2, 1}, (int64_t[]){9, 6}, &v)); break;
    case 4: OK(rp_store_reshape(a, 1, (int64_t[]){-1}, &v)); break;
    case 5: OK(rp_store_project(a, 1, 3, &v)); break;
    default: OK(rp_store_project(a, 0, 3, &v)); break;
  }
  return v;
}

/* Of a view its elements are saved; restored into a view, the others stay. */
static void test_views(void **state) {
  (void)state;
  const int64_t shape[] = {10, 8};
  for (int kind = 0; kind < 7; kind++) {
    rp_store *a = store_of(RP_F64, 2, shape), *b = store_of(RP_F64, 2, shape);
    rp_store *want = store_of(RP_F64, 2, shape);
    OK(EVAL(ctx, "a", "a[i,j] = f64(i)*8 + f64(j)", a));
    OK(EVAL(ctx, "a", "a[i,j] = -f64(j)", b));
    OK(EVAL(ctx, "a", "a[i,j] = -f64(j)", want));
    rp_store *from = view_of(a, kind), *into = view_of(b, kind), *there = view_of(want, kind);
    rp_store *dense;
    OK(rp_store_copy(there, from));
    save("view", from);
    load("view", into);
    same(want, b);
    int64_t extent[2] = {rp_store_extent(from, 0), rp_store_extent(from, 1)};
    OK(rp_store_create(ctx, RP_F64, rp_store_ndim(from), extent, &dense));
    load("view", dense);
    same(dense, from);
    rp_store *all[] = {a, b, want, from, into, there, dense};
    for (int i = 0; i < 7; i++) drop(all[i]);
  }
}

/* A view of an array without memory, and of one whose memory another shares. */
static void test_view_gets_memory(void **state) {
  (void)state;
  rp_store *a = counting(2), *fresh = check_vector(ctx, 4, NULL), *x = counting(4), *part, *other;
  rp_store *copy = check_vector(ctx, 4, NULL);
  save("a", a);
  OK(rp_store_slice(fresh, 0, 1, 3, 1, &part));
  load("a", part);
  check_values(fresh, (double[]){0, 0.5, 1.5, 0});
  OK(rp_store_copy(copy, x));
  OK(rp_wait(ctx));
  OK(rp_store_slice(x, 0, 2, 4, 1, &other));
  load("a", other);
  check_values(x, (double[]){0.5, 1.5, 0.5, 1.5});
  check_values(copy, (double[]){0.5, 1.5, 2.5, 3.5});
  rp_store *all[] = {a, fresh, x, part, other, copy};
  for (int i = 0; i < 6; i++) drop(all[i]);
}

/* What was launched before is in it, late segments too; what comes after is not. */
static void test_cut(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 100, NULL), *y = check_vector(ctx, 100, NULL);
  for (int i = 0; i < 4; i++) {
    OK(rp_trace_begin(ctx, 7));
    rp_store *t = check_vector(ctx, 100, NULL);
    OK(EVAL(ctx, "t, x", "t = x + 1", t, x));
    OK(EVAL(ctx, "x, t", "x = t", x, t));
    if (i == 2) save("x", x);
    OK(rp_trace_end(ctx, 7));
    drop(t);
  }
  load("x", y);
  for (int i = 0; i < 100; i++) {
    double v[100];
    OK(rp_store_read(y, v, sizeof v));
    assert_true(v[i] == 3);
    OK(rp_store_read(x, v, sizeof v));
    assert_true(v[i] == 4);
  }
  drop(x);
  drop(y);
}

static void test_shared_and_attached(void **state) {
  (void)state;
  double mine[6] = {1, 2, 3, 4, 5, 6}, fixed[6] = {0};
  const int64_t n = 6;
  rp_store *a, *copy = check_vector(ctx, n, NULL), *locked;
  OK(rp_store_attach(ctx, RP_F64, 1, &n, mine, RP_READ_WRITE, &a));
  OK(rp_store_attach(ctx, RP_F64, 1, &n, fixed, RP_READ_ONLY, &locked));
  OK(rp_store_copy(copy, a)); /* shares its memory */
  save("a", a);
  OK(EVAL(ctx, "a", "a = -a", a));
  load("a", copy);
  check_values(a, (double[]){-1, -2, -3, -4, -5, -6});
  load("a", a);
  OK(rp_store_home(a));
  assert_memory_equal(mine, ((double[]){1, 2, 3, 4, 5, 6}), sizeof mine);
  OK(EVAL(ctx, "a", "a = 2*a", a));
  check_values(copy, (double[]){1, 2, 3, 4, 5, 6});
  save("fixed", locked);
  FAILS(RP_ERR_ACCESS, "\"fixed\" is attached read-only",
        rp_restore(ctx, here.path, 1, NAMES("fixed"), STORES(locked)));
  OK(rp_store_detach(a));
  OK(rp_store_detach(locked));
  rp_store *all[] = {a, copy, locked};
  for (int i = 0; i < 3; i++) drop(all[i]);
}

/* Two names into one array, in their order. */
static void test_one_array_twice(void **state) {
  (void)state;
  rp_store *a = counting(10), *zeros = check_vector(ctx, 4, NULL), *b = counting(10), *part;
  OK(rp_checkpoint(ctx, here.path, 2, NAMES("a", "zeros"), STORES(a, zeros)));
  OK(rp_store_slice(b, 0, 3, 7, 1, &part));
  OK(EVAL(ctx, "b", "b = 9*b", b));
  OK(rp_restore(ctx, here.path, 2, NAMES("a", "zeros"), STORES(b, part)));
  check_values(b, (double[]){0.5, 1.5, 2.5, 0, 0, 0, 0, 7.5, 8.5, 9.5});
  OK(rp_restore(ctx, here.path, 2, NAMES("zeros", "a"), STORES(part, b)));
  same(a, b);
  rp_store *all[] = {a, b, zeros, part};
  for (int i = 0; i < 4; i++) drop(all[i]);
}

/* Integers that were restored are good indices. */
static void test_indices(void **state) {
  (void)state;
  const int64_t n = 4, at[] = {3, 0, 2, 9};
  rp_store *i = store_of(RP_I64, 1, &n), *x = counting(10), *y = check_vector(ctx, n, NULL);
  OK(rp_store_write(i, at, sizeof at));
  save("i", i);
  OK(rp_store_write(i, (int64_t[]){0, 0, 0, 0}, sizeof at));
  load("i", i);
  OK(EVAL(ctx, "y, x, i", "y[k] = x[i[k]]", y, x, i));
  check_values(y, (double[]){3.5, 0.5, 2.5, 9.5});
  rp_store *all[] = {i, x, y};
  for (int k = 0; k < 3; k++) drop(all[k]);
}

/* ---- what is refused ---- */

static void test_poison(void **state) {
  (void)state;
  const int64_t n = 3, bad[] = {0, 5, 1};
  rp_store *i = store_of(RP_I64, 1, &n), *x = counting(3), *y = check_vector(ctx, n, NULL);
  save("x", x);
  OK(rp_store_write(i, bad, sizeof bad));
  OK(EVAL(ctx, "y, x, i", "y[k] = x[i[k]]", y, x, i));
  FAILS(RP_ERR_DATA,
        "\"y\" are poisoned: ", rp_checkpoint(ctx, here.path, 2, NAMES("x", "y"), STORES(x, y)));
  load("x", y); /* what was there is there still, and heals */
  same(x, y);
  rp_store *all[] = {i, x, y};
  for (int k = 0; k < 3; k++) drop(all[k]);
}

static void test_arguments(void **state) {
  (void)state;
  rp_store *x = counting(3), *y = counting(3), *other_x;
  rp_context *other = check_context("");
  char longest[257];
  OK(rp_store_scalar(other, RP_F64, &(double){1}, &other_x));
  memset(longest, 'n', sizeof longest);
  longest[255] = 0;
  save(longest, x);
  load(longest, y);
  longest[255] = 'n';
  longest[256] = 0;
#define REFUSED(status, text, ...) FAILS(status, text, rp_checkpoint(__VA_ARGS__))
  REFUSED(RP_ERR_ARGUMENT, "256 bytes", ctx, here.path, 1, NAMES(longest), STORES(x));
  REFUSED(RP_ERR_ARGUMENT, "names[0] is empty", ctx, here.path, 1, NAMES(""), STORES(x));
  REFUSED(RP_ERR_ARGUMENT, "names[1] is NULL", ctx, here.path, 2, NAMES("a", NULL), STORES(x, y));
  REFUSED(RP_ERR_ARGUMENT, "stores[1] is NULL", ctx, here.path, 2, NAMES("a", "b"),
          STORES(x, NULL));
  REFUSED(RP_ERR_ARGUMENT, "the name \"a\" is given twice", ctx, here.path, 3, NAMES("a", "b", "a"),
          STORES(x, x, y));
  REFUSED(RP_ERR_ARGUMENT, "n is 0", ctx, here.path, 0, NAMES("a"), STORES(x));
  REFUSED(RP_ERR_ARGUMENT, "path is NULL", ctx, NULL, 1, NAMES("a"), STORES(x));
  REFUSED(RP_ERR_ARGUMENT, "path is empty", ctx, "", 1, NAMES("a"), STORES(x));
  REFUSED(RP_ERR_ARGUMENT, "names is NULL", ctx, here.path, 1, NULL, STORES(x));
  REFUSED(RP_ERR_ARGUMENT, "stores is NULL", ctx, here.path, 1, NAMES("a"), NULL);
  REFUSED(RP_ERR_HANDLE, "of another context", ctx, here.path, 1, NAMES("a"), STORES(other_x));
  REFUSED(RP_ERR_ARGUMENT, "the context is NULL", NULL, here.path, 1, NAMES("a"), STORES(x));
  load(longest + 1, y); /* nothing of this touched what was there */
  drop(x);
  drop(y);
  OK(rp_store_release(other_x));
  OK(rp_context_destroy(other));
}

static void test_unfit(void **state) {
  (void)state;
  const int64_t shape[] = {2, 3}, six[] = {6};
  rp_store *a = store_of(RP_F64, 2, shape), *flat = counting(6),
           *narrow = store_of(RP_F32, 2, shape);
  rp_store *other = counting(2), *wide;
  OK(EVAL(ctx, "a", "a[i,j] = 1.0", a));
  OK(rp_checkpoint(ctx, here.path, 2, NAMES("a", "b\n"), STORES(a, other)));
  FAILS(RP_ERR_SHAPE, "\"a\" has the shape (2, 3) in the checkpoint, the store (6,)",
        rp_restore(ctx, here.path, 1, NAMES("a"), STORES(flat)));
  FAILS(RP_ERR_DTYPE, "\"a\" is f64 in the checkpoint, the store is f32",
        rp_restore(ctx, here.path, 1, NAMES("a"), STORES(narrow)));
  FAILS(RP_ERR_ARGUMENT, "has no \"c\", but \"a\", \"b\n\"",
        rp_restore(ctx, here.path, 2, NAMES("b\n", "c"), STORES(other, flat)));
  OK(rp_store_broadcast(other, 2, (int64_t[]){3, 2}, &wide));
  FAILS(RP_ERR_ACCESS, "shows elements twice",
        rp_restore(ctx, here.path, 1, NAMES("a"), STORES(wide)));
  check_values(other, (double[]){0.5, 1.5});
  check_values(flat, (double[]){0.5, 1.5, 2.5, 3.5, 4.5, 5.5});
  (void)six;
  rp_store *all[] = {a, flat, narrow, other, wide};
  for (int k = 0; k < 5; k++) drop(all[k]);
}

static void test_paths(void **state) {
  (void)state;
  rp_store *x = counting(3);
  const folder_name deep = folder_file(here.path, "a/b"), file = folder_file(here.path, "file");
  const folder_name fresh = folder_file(here.path, "fresh");
  folder_save(file.path, "x", 1);
  FAILS(RP_ERR_ARGUMENT, "cannot make", rp_checkpoint(ctx, deep.path, 1, NAMES("x"), STORES(x)));
  FAILS(RP_ERR_IO, "cannot open", rp_checkpoint(ctx, file.path, 1, NAMES("x"), STORES(x)));
  FAILS(RP_ERR_IO, "cannot open", rp_restore(ctx, file.path, 1, NAMES("x"), STORES(x)));
  FAILS(RP_ERR_ARGUMENT, "cannot open", rp_restore(ctx, fresh.path, 1, NAMES("x"), STORES(x)));
  FAILS(RP_ERR_ARGUMENT, "there is no checkpoint in",
        rp_restore(ctx, here.path, 1, NAMES("x"), STORES(x)));
  OK(rp_checkpoint(ctx, fresh.path, 1, NAMES("x"), STORES(x)));
  OK(rp_restore(ctx, fresh.path, 1, NAMES("x"), STORES(x)));
  folder_remove(fresh.path);
  drop(x);
}

/* Files of the folder that are not ours stay, and what is not understood is not replaced. */
static void test_what_is_there(void **state) {
  (void)state;
  static const char *const foreign[] = {"notes",
                                        "part-1",
                                        "part-0123456789abcdef",
                                        "part-0123456789abcdef-",
                                        "part-0123456789ABCDEF-0",
                                        "part-0123456789abcdef-0x"};
  rp_store *x = counting(3);
  for (int i = 0; i < 6; i++) folder_save(folder_file(here.path, foreign[i]).path, "keep", 4);
  folder_save(folder_file(here.path, "part-0123456789abcdef-12").path, "torn", 4);
  for (int i = 0; i < 3; i++) save("x", x);
  for (int i = 0; i < 6; i++)
    assert_int_equal(access(folder_file(here.path, foreign[i]).path, F_OK), 0);
  assert_int_equal(folder_each(here.path, "", NULL), 6 + 2);
  folder_save(folder_file(here.path, "manifest").path, "what is this?", 13);
  FAILS(RP_ERR_IO, "is not replaced", rp_checkpoint(ctx, here.path, 1, NAMES("x"), STORES(x)));
  assert_int_equal(folder_each(here.path, "", NULL), 6 + 2);
  drop(x);
}

static void test_lock(void **state) {
  (void)state;
  rp_store *x = counting(3);
  save("x", x);
  const int fd = open(here.path, O_RDONLY | O_DIRECTORY);
  assert_int_equal(flock(fd, LOCK_EX), 0);
  FAILS(RP_ERR_IO, "another context is writing",
        rp_checkpoint(ctx, here.path, 1, NAMES("x"), STORES(x)));
  load("x", x);
  close(fd);
  save("x", x);
  drop(x);
}

/* In a process of its own, since limits and users are the process's. */
static void in_child(int (*body)(rp_context *), const char *what) {
  const pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    rp_context *own = NULL;
    const rp_status st =
        rp_context_create("--tier 0 --threads 1 --cache-dir none --pin off --gpus 0", &own);
    _exit(st == RP_OK ? body(own) : 100);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    fail_msg("%s: status %#x", what, (unsigned)status);
}

/* Exits tell which step went wrong. */
static int full_disk(rp_context *own) {
  const int64_t n = 1 << 20;
  rp_store *x, *small;
  const struct rlimit most = {.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
  signal(SIGXFSZ, SIG_IGN);
  if (rp_store_create(own, RP_F64, 1, &n, &x) || rp_store_fill(x, &(double){1})) return 1;
  if (rp_store_scalar(own, RP_F64, &(double){5}, &small)) return 2;
  if (rp_checkpoint(own, here.path, 1, NAMES("s"), STORES(small))) return 3;
  if (setrlimit(RLIMIT_FSIZE, &most) != 0) return 4;
  if (rp_checkpoint(own, here.path, 2, NAMES("x", "s"), STORES(x, small)) != RP_ERR_IO) return 5;
  if (!strstr(rp_last_error(), "cannot write") || !strstr(rp_last_error(), strerror(EFBIG)))
    return 6;
  if (folder_each(here.path, "", NULL) != 2) return 7; /* the old one, and nothing else */
  return rp_restore(own, here.path, 1, NAMES("s"), STORES(small)) ? 8 : 0;
}

static int no_permission(rp_context *own) {
  rp_store *x;
  if (rp_store_scalar(own, RP_F64, &(double){5}, &x)) return 1;
  if (rp_checkpoint(own, here.path, 1, NAMES("x"), STORES(x))) return 2;
  if (chmod(here.path, 0555) != 0) return 3;
  if (geteuid() == 0 && seteuid(65534) != 0) return 0;
  const rp_status st = rp_checkpoint(own, here.path, 1, NAMES("x"), STORES(x));
  const bool said = strstr(rp_last_error(), strerror(EACCES)) != NULL;
  const rp_status read = rp_restore(own, here.path, 1, NAMES("x"), STORES(x));
  if (geteuid() == 65534 && seteuid(0) != 0) return 4;
  chmod(here.path, 0700);
  return st != RP_ERR_IO || !said ? 5 : read && geteuid() != 0 ? 6 : 0;
}

static void test_full_disk(void **state) {
  (void)state;
  in_child(full_disk, "full disk");
}
static void test_no_permission(void **state) {
  (void)state;
  in_child(no_permission, "no permission");
}

static double check_at_9(rp_store *s) {
  double v = 0;
  OK(rp_store_read_part(s, (int64_t[]){9}, (int64_t[]){10}, &v, sizeof v));
  return v;
}

/* Each allocation fails in turn, with all after it: nothing changes, neither in the folder nor in the stores. */
static void test_out_of_memory(void **state) {
  (void)state;
  const int64_t n = 3;
  rp_status st = RP_ERR_MEMORY;
  rp_store *x = counting(10), *y = store_of(RP_F32, 1, &n), *into = check_vector(ctx, 10, NULL);
  rp_store *part;
  OK(rp_store_slice(into, 0, 9, INT64_MIN, -1, &part));
  OK(rp_store_fill(y, &(float){2}));
  OK(rp_checkpoint(ctx, here.path, 2, NAMES("x", "y"), STORES(x, y)));
  OK(rp_store_fill(into, &(double){-1}));
  OK(EVAL(ctx, "x", "x = -x", x));
  OK(rp_wait(ctx));
  int64_t k = 1;
  for (; st != RP_OK; k++) {
    rpi_alloc_inject(k);
    st = rp_restore(ctx, here.path, 2, NAMES("y", "x"), STORES(y, part));
    rpi_alloc_inject(-1);
    if (st == RP_OK) break;
    assert_int_equal(st, RP_ERR_MEMORY);
    double got[10];
    OK(rp_store_read(into, got, sizeof got));
    for (int i = 0; i < 10; i++) assert_true(got[i] == -1);
  }
  check_values(into, (double[]){9.5, 8.5, 7.5, 6.5, 5.5, 4.5, 3.5, 2.5, 1.5, 0.5});
  assert_true(k > 5);
  st = RP_ERR_MEMORY;
  for (k = 1; st != RP_OK; k++) {
    rpi_alloc_inject(k);
    st = rp_checkpoint(ctx, here.path, 2, NAMES("x", "y"), STORES(x, y));
    rpi_alloc_inject(-1);
    OK(rp_restore(ctx, here.path, 2, NAMES("y", "x"), STORES(y, into)));
    if (st != RP_OK) assert_int_equal(st, RP_ERR_MEMORY);
    assert_true(check_at_9(into) == (st == RP_OK ? -9.5 : 9.5));
  }
  assert_true(k > 5);
  rp_store *all[] = {x, y, into, part};
  for (int i = 0; i < 4; i++) drop(all[i]);
}

/* ---- damage ---- */

static double values[40];

/* What is there is refused with a sentence and changes nothing, or is the right data. Returns whether it was refused. */
static bool refused_or_right(rp_store *x, rp_store *y) {
  OK(rp_store_fill(x, &(double){-1}));
  OK(rp_store_fill(y, &(float){-2}));
  const rp_status st = rp_restore(ctx, here.path, 2, NAMES("x", "y"), STORES(x, y));
  double got[40];
  float one[3];
  OK(rp_store_read(x, got, sizeof got));
  OK(rp_store_read(y, one, sizeof one));
  if (st == RP_OK) {
    assert_memory_equal(got, values, sizeof got);
    for (int i = 0; i < 3; i++) assert_true(one[i] == 7);
    return false;
  }
  assert_int_equal(st, RP_ERR_IO);
  assert_true(strlen(rp_last_error()) > 20);
  for (int i = 0; i < 40; i++) assert_true(got[i] == -1);
  for (int i = 0; i < 3; i++) assert_true(one[i] == -2);
  return true;
}

static rp_store *damaged_x, *damaged_y;
static int64_t n_refused, n_right;

static void damage_file(const char *path) {
  size_t size;
  char *bytes = folder_load(path, &size);
  for (size_t i = 0; i < size; i++) {
    /* Behind a head come zeros, most of a page of them. */
    if (i > 300 && i % 100 && bytes[i] == 0) continue;
    bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
    folder_save(path, bytes, size);
    bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
    if (refused_or_right(damaged_x, damaged_y))
      n_refused++;
    else
      n_right++;
  }
  for (size_t n = 0; n < size; n += n < 300 || n > size - 400 ? 1 : 97) {
    folder_save(path, bytes, n);
    assert_true(refused_or_right(damaged_x, damaged_y));
  }
  folder_save(path, bytes, size);
  assert_false(refused_or_right(damaged_x, damaged_y));
  free(bytes);
}

static void test_damage(void **state) {
  (void)state;
  const int64_t three = 3;
  for (int i = 0; i < 40; i++) values[i] = 1.0 / (i + 3);
  damaged_x = check_vector(ctx, 40, values);
  damaged_y = store_of(RP_F32, 1, &three);
  OK(rp_store_fill(damaged_y, &(float){7}));
  OK(rp_checkpoint(ctx, here.path, 2, NAMES("x", "y"), STORES(damaged_x, damaged_y)));
  n_refused = n_right = 0;
  folder_each(here.path, "", damage_file);
  assert_true(n_refused > 500);
  assert_true(n_right < 300); /* bytes that stand for nothing */
  folder_each(here.path, "part-", folder_unlink);
  assert_true(refused_or_right(damaged_x, damaged_y));
  drop(damaged_x);
  drop(damaged_y);
}

/* The parts of one checkpoint are not those of another, though all else is the same. */
static void test_mixture(void **state) {
  (void)state;
  rp_store *x = counting(50);
  DIR *d;
  size_t size = 0;
  char *bytes = NULL;
  for (int turn = 0; turn < 2; turn++) {
    save("x", x);
    d = opendir(here.path);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
      if (strncmp(e->d_name, "part-", 5) != 0) continue;
      const folder_name f = folder_file(here.path, e->d_name);
      if (turn == 0)
        bytes = folder_load(f.path, &size);
      else
        folder_save(f.path, bytes, size);
    }
    closedir(d);
  }
  FAILS(RP_ERR_IO, "it is not part 0 of this checkpoint",
        rp_restore(ctx, here.path, 1, NAMES("x"), STORES(x)));
  free(bytes);
  drop(x);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup_folder, teardown_folder)

int main(void) {
  const struct CMUnitTest tests[] = {TEST(test_every_dtype),
                                     TEST(test_bool),
                                     TEST(test_large),
                                     TEST(test_empty_zero_scalar),
                                     TEST(test_views),
                                     TEST(test_view_gets_memory),
                                     TEST(test_cut),
                                     TEST(test_shared_and_attached),
                                     TEST(test_one_array_twice),
                                     TEST(test_indices),
                                     TEST(test_poison),
                                     TEST(test_arguments),
                                     TEST(test_unfit),
                                     TEST(test_paths),
                                     TEST(test_what_is_there),
                                     TEST(test_lock),
                                     TEST(test_full_disk),
                                     TEST(test_no_permission),
                                     TEST(test_out_of_memory),
                                     TEST(test_damage),
                                     TEST(test_mixture)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
