/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_boxes.c -- arrays that are cut along several axes, ranks being threads: the bits of one process, one
 * message for each neighbour, and every way in which such an array can be used beside. */
#include "tests/support/members.h"

#include "core/include/reprise_array.h"

static rp_status grid(member *m, int32_t ndim, const int64_t *shape, rp_store **out) {
  int64_t n = 1;
  for (int32_t d = 0; d < ndim; d++) n *= shape[d];
  double *data = malloc((size_t)n * sizeof *data);
  if (!data) return RP_ERR_MEMORY;
  for (int64_t i = 0; i < n; i++) data[i] = 1.0 / (double)(1 + i * 31 % 1009);
  rp_status st = rp_store_create(m->ctx, RP_F64, ndim, shape, out);
  if (st == RP_OK) st = rp_store_write(*out, data, (size_t)n * sizeof *data);
  free(data);
  return st;
}

static rp_status drop_all(rp_store **s, int32_t n) {
  for (int32_t i = 0; i < n; i++) TRY(rp_store_release(s[i]));
  return RP_OK;
}

static int64_t overlapped(const member *all, int32_t ranks) {
  int64_t n = 0;
  for (int32_t r = 0; r < ranks; r++) n += all[r].beside;
  return n;
}

/* The bits of one process on 2 to 9 ranks, with the statistics of the last. */
static void same_boxes(rp_status (*program)(member *), int64_t n, bool boxed, bool beside) {
  static const int32_t ranks[] = {2, 3, 4, 6, 7, 9};
  static const char *const configs[] = {"--threads 1 --tile 0 --cut boxes",
                                        "--threads 2 --grain 0 --tile 0 --cut boxes --overlap 0",
                                        "--threads 1 --tile 0"};
  member alone, all[MOST];
  run(&alone, 1, "--threads 1", program, n);
  all_fine(&alone, 1);
  for (int32_t i = 0; i < 6; i++) {
    for (int32_t k = 0; k < 3; k++) {
      run(all, ranks[i], configs[k], program, n);
      same_as(&alone, all, ranks[i]);
      if (boxed && k < 2 && (ranks[i] == 4 || ranks[i] == 9)) assert_true(all[0].stat[7] > 0);
      if (beside && k == 1) assert_true(overlapped(all, ranks[i]) > 0);
      forget(all, ranks[i]);
    }
  }
  forget(&alone, 1);
}

static rp_status count_boxes(member *m) {
  TRY(count(m));
  TRY(rp_stat(m->ctx, "overlapped", &m->beside));
  return rp_stat(m->ctx, "kernels_boxed", &m->stat[7]);
}

/* ---- stencils ---- */

enum { SIDE = 48, PASSES = 6 };

/* Asked in each pass: the counts so far, in the last but one, */
static rp_status mark(member *m, int32_t pass, int64_t before[8]) {
  if (pass != PASSES - 2) return RP_OK;
  TRY(count_boxes(m));
  memcpy(before, m->stat, sizeof m->stat);
  return RP_OK;
}

/* and what came after. */
static rp_status count_last(member *m, const int64_t before[8]) {
  TRY(count_boxes(m));
  for (int32_t i = 0; i < 8; i++) m->stat[i] -= before[i];
  return RP_OK;
}

/* The view of `a` shifted by dy, dx of what lies `by` inside. */
static rp_status inside(rp_store *a, const int64_t *shape, int64_t by, int64_t dy, int64_t dx,
                        rp_store **out) {
  const int64_t lo[] = {by + dy, by + dx}, hi[] = {shape[0] - by + dy, shape[1] - by + dx};
  return rp_store_box(a, lo, hi, out);
}

static rp_status star(member *m) {
  const int64_t shape[] = {SIDE, SIDE};
  rp_store *a, *b, *v[6];
  TRY(grid(m, 2, shape, &a));
  TRY(grid(m, 2, shape, &b));
  int64_t before[8] = {0};
  for (int32_t pass = 0; pass < PASSES; pass++) {
    TRY(inside(b, shape, 1, 0, 0, &v[0]));
    TRY(inside(a, shape, 1, 0, 0, &v[1]));
    TRY(inside(a, shape, 1, -1, 0, &v[2]));
    TRY(inside(a, shape, 1, 1, 0, &v[3]));
    TRY(inside(a, shape, 1, 0, -1, &v[4]));
    TRY(inside(a, shape, 1, 0, 1, &v[5]));
    TRY(EVAL(m->ctx, "o, c, n, s, w, e", "o = c + 0.125*(n + s + w + e - 4*c)", v[0], v[1], v[2],
             v[3], v[4], v[5]));
    TRY(rp_wait(m->ctx));
    TRY(drop_all(v, 6));
    rp_store *t = a;
    a = b;
    b = t;
    TRY(mark(m, pass, before));
  }
  TRY(count_last(m, before));
  TRY(rp_store_read(a, m->out, SIDE * SIDE * 8));
  return drop_all((rp_store *[]){a, b}, 2);
}

/* In a grid of 3 x 3 ranks the one in the middle speaks to four others, of a row or a column each. */
static void test_star(void **state) {
  (void)state;
  member all[MOST];
  static const int32_t neighbours[] = {2, 3, 2, 3, 4, 3, 2, 3, 2};
  static const int32_t elements[] = {30, 46, 30, 46, 64, 46, 30, 46, 30}; /* none of the margin's */
  same_boxes(star, SIDE * SIDE, true, true);
  run(all, 9, "--threads 1 --tile 0 --cut boxes", star, SIDE * SIDE);
  all_fine(all, 9);
  for (int32_t r = 0; r < 9; r++) {
    assert_int_equal(all[r].stat[7], 1);
    assert_int_equal(all[r].stat[1], neighbours[r]);
    assert_int_equal(all[r].stat[2], elements[r] * 8);
    assert_int_equal(all[r].stat[3], 0);
  }
  forget(all, 9);
}

static rp_status square(member *m) {
  const int64_t shape[] = {SIDE + 5, SIDE + 3};
  rp_store *a, *b, *v[10];
  TRY(grid(m, 2, shape, &a));
  TRY(grid(m, 2, shape, &b));
  int64_t before[8] = {0};
  for (int32_t pass = 0; pass < PASSES; pass++) {
    TRY(inside(b, shape, 1, 0, 0, &v[0]));
    for (int32_t k = 0; k < 9; k++) TRY(inside(a, shape, 1, k / 3 - 1, k % 3 - 1, &v[1 + k]));
    TRY(EVAL(m->ctx, "o, a, b, c, d, e, f, g, h, i",
             "o = (a + b + c + d + 2*e + f + g + h + i)*0.1 + index(1) - index(0)", v[0], v[1],
             v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9]));
    TRY(rp_wait(m->ctx));
    TRY(drop_all(v, 10));
    rp_store *t = a;
    a = b;
    b = t;
    TRY(mark(m, pass, before));
  }
  TRY(count_last(m, before));
  TRY(rp_store_read(a, m->out, (size_t)(shape[0] * shape[1]) * 8));
  return drop_all((rp_store *[]){a, b}, 2);
}

static void test_square(void **state) {
  (void)state;
  member all[MOST];
  static const int32_t neighbours[] = {3, 5, 3, 5, 8, 5, 3, 5, 3};
  same_boxes(square, (SIDE + 5) * (SIDE + 3), true, true);
  run(all, 9, "--threads 1 --tile 0 --cut boxes", square, (SIDE + 5) * (SIDE + 3));
  all_fine(all, 9);
  for (int32_t r = 0; r < 9; r++) assert_int_equal(all[r].stat[1], neighbours[r]);
  forget(all, 9);
}

/* ---- three axes ---- */

enum { EDGE = 12 };

static rp_status cube(member *m) {
  const int64_t shape[] = {EDGE, EDGE + 1, EDGE + 2};
  rp_store *a, *b, *v[5];
  TRY(grid(m, 3, shape, &a));
  TRY(grid(m, 3, shape, &b));
  static const int64_t shift[5][3] = {{0, 0, 0}, {-1, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, -1}};
  for (int32_t pass = 0; pass < 4; pass++) {
    for (int32_t k = 0; k < 5; k++) {
      int64_t lo[3], hi[3];
      for (int32_t d = 0; d < 3; d++) {
        lo[d] = 1 + shift[k][d];
        hi[d] = shape[d] - 1 + shift[k][d];
      }
      TRY(rp_store_box(k == 0 ? b : a, lo, hi, &v[k]));
    }
    TRY(EVAL(m->ctx, "o, a, b, c, d", "o = 0.25*(a + b + c + d) + index(0)*index(1) - index(2)",
             v[0], v[1], v[2], v[3], v[4]));
    TRY(drop_all(v, 5));
    TRY(EVAL(m->ctx, "a, b", "a = a + 0.5*b", a, b));
    TRY(rp_wait(m->ctx));
  }
  TRY(count_boxes(m));
  TRY(rp_store_read(a, m->out, (size_t)(shape[0] * shape[1] * shape[2]) * 8));
  return drop_all((rp_store *[]){a, b}, 2);
}

static void test_cube(void **state) {
  (void)state;
  same_boxes(cube, EDGE * (EDGE + 1) * (EDGE + 2), true, true);
}

/* ---- beside messages ---- */

enum { HIGH = 1100, ACROSS = 1300 };

/* So large that what runs beside messages is a part of what could; in each launch a kernel with a value that comes before
 * its points and is another one each time, and one that needs nothing. */
static rp_status plate(member *m) {
  const int64_t shape[] = {HIGH, ACROSS};
  rp_store *a, *b, *c, *s, *v[6];
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &a));
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &b));
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &c));
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &s));
  TRY(EVAL(m->ctx, "a", "a = 1.0/(1 + index(0)*31 + index(1)*7)", a));
  for (int32_t pass = 0; pass < 4; pass++) {
    TRY(inside(b, shape, 1, 0, 0, &v[0]));
    TRY(inside(a, shape, 1, 0, 0, &v[1]));
    TRY(inside(a, shape, 1, -1, 0, &v[2]));
    TRY(inside(a, shape, 1, 1, 0, &v[3]));
    TRY(inside(a, shape, 1, 0, -1, &v[4]));
    TRY(inside(a, shape, 1, 0, 1, &v[5]));
    TRY(EVAL(m->ctx, "s", "s = s*0.5 + 1", s));
    TRY(EVAL(m->ctx, "o, c, n, s, w, e, f", "o = c + f*(n + s - w - e) + index(1) - index(0)", v[0],
             v[1], v[2], v[3], v[4], v[5], s));
    TRY(EVAL(m->ctx, "c", "c = 0.5*c + index(1)", c));
    TRY(rp_wait(m->ctx));
    TRY(drop_all(v, 6));
    rp_store *t = a;
    a = b;
    b = t;
  }
  TRY(count_boxes(m));
  TRY(rp_store_read(a, m->out, (size_t)HIGH * ACROSS * 8));
  TRY(rp_store_read(c, m->out + HIGH * ACROSS, (size_t)HIGH * ACROSS * 8));
  TRY(rp_store_read(s, m->out + 2 * HIGH * ACROSS, 8));
  return drop_all((rp_store *[]){a, b, c, s}, 4);
}

static void test_plate(void **state) {
  (void)state;
  static const int32_t ranks[] = {2, 4, 6};
  const int64_t n = 2 * HIGH * ACROSS + 1;
  member alone, all[MOST];
  run(&alone, 1, "--threads 1", plate, n);
  all_fine(&alone, 1);
  for (int32_t i = 0; i < 3; i++) {
    run(all, ranks[i], "--threads 1 --cut boxes", plate, n);
    all_fine(all, ranks[i]);
    for (int32_t r = 0; r < ranks[i]; r++) {
      assert_memory_equal(all[r].out, alone.out, (size_t)n * sizeof(double));
      assert_int_equal(all[r].beside, 4);
    }
    forget(all, ranks[i]);
  }
  forget(&alone, 1);
}

/* ---- everything else that can be done to such an array ---- */

enum { TALL = 26, WIDE = 38 };

static rp_status mixed(member *m) {
  const int64_t shape[] = {TALL, WIDE}, turned[] = {WIDE, TALL};
  rp_store *a, *b, *t, *c, *r, *s, *v, *x, *row, *wide;
  double *out = m->out;
  TRY(grid(m, 2, shape, &a));
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &b));
  TRY(rp_store_create(m->ctx, RP_F64, 2, turned, &t));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &shape[1], &c));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &shape[0], &r));
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &s));
  for (int32_t pass = 0; pass < 3; pass++) {
    TRY(EVAL(m->ctx, "b, a", "b = 2*a + index(0) - 3*index(1)", b, a)); /* cut by boxes */
    TRY(rp_store_project(b, 0, pass, &row));
    TRY(rp_store_project(b, 1, 2 * pass, &v));
    TRY(EVAL(m->ctx, "x", "x = x - 7", row));
    TRY(EVAL(m->ctx, "x", "x = 0.5*x", v));
    TRY(EVAL(m->ctx, "c, b", "c += b", c, b));          /* sums of columns, */
    TRY(EVAL(m->ctx, "r, b", "r[i] += b[i, j]", r, b)); /* of rows, */
    TRY(EVAL(m->ctx, "s, b", "s += b*b", s, b));        /* and of all */
    TRY(rp_store_transpose(b, (int32_t[]){1, 0}, &x));
    TRY(EVAL(m->ctx, "t, x", "t = x + t", t, x));
    TRY(rp_store_release(x));
    TRY(rp_store_slice(b, 1, WIDE - 1, -WIDE - 1, -1, &x)); /* backwards */
    TRY(EVAL(m->ctx, "a, x", "a = 0.5*a + 0.001*x", a, x));
    TRY(rp_store_promote(c, 0, TALL, &wide)); /* one for each row */
    TRY(EVAL(m->ctx, "a, w", "a = a + 0.01*w", a, wide));
    TRY(drop_all((rp_store *[]){x, wide, v, row}, 4));
    TRY(rp_wait(m->ctx));
    const double five[] = {5, 6, 7, 8};
    TRY(rp_store_write_part(b, (int64_t[]){3, 5 + pass}, (int64_t[]){5, 7 + pass}, five,
                            sizeof five));
    TRY(rp_store_read_part(b, (int64_t[]){2, 4}, (int64_t[]){6, 9}, out + 200 * pass, 20 * 8));
    TRY(EVAL(m->ctx, "a, b", "a[i, j] = a[i, j] + b[i, (j*7 + 3) % extent(b, 1)]*0.125", a, b));
  }
  TRY(count_boxes(m));
  out += 600;
  TRY(rp_store_read(a, out, TALL * WIDE * 8));
  TRY(rp_store_read(b, out += TALL * WIDE, TALL * WIDE * 8));
  TRY(rp_store_read(t, out += TALL * WIDE, TALL * WIDE * 8));
  TRY(rp_store_read(c, out += TALL * WIDE, WIDE * 8));
  TRY(rp_store_read(r, out += WIDE, TALL * 8));
  TRY(rp_store_read(s, out += TALL, 8));
  return drop_all((rp_store *[]){a, b, t, c, r, s}, 6);
}

static void test_mixed(void **state) {
  (void)state;
  same_boxes(mixed, 600 + 3 * TALL * WIDE + WIDE + TALL + 1, true, false);
}

/* ---- sums over everything ---- */

enum { LOW = 37, LONG = 6 * 1024 + 100 };

static rp_status sums(member *m) {
  const int64_t shape[] = {LOW, LONG};
  rp_store *a, *b, *s[4];
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &a));
  TRY(rp_store_create(m->ctx, RP_F32, 2, shape, &b));
  for (int32_t i = 0; i < 4; i++)
    TRY(rp_store_create(m->ctx, i == 1 ? RP_F32 : i == 3 ? RP_I64 : RP_F64, 0, NULL, &s[i]));
  for (int32_t pass = 0; pass < 3; pass++) {
    TRY(EVAL(m->ctx, "a", "a = a*0.5 + 1.0/(1 + index(0)*31 + index(1)*7)", a));
    TRY(EVAL(m->ctx, "b, a", "b = f32(a)", b, a));
    TRY(EVAL(m->ctx, "s, a", "s += a*a", s[0], a)); /* beside what is written */
    TRY(rp_wait(m->ctx));
    TRY(EVAL(m->ctx, "s, b", "s += b", s[1], b));
    TRY(EVAL(m->ctx, "s, a", "s max= -a", s[2], a));
    TRY(EVAL(m->ctx, "s, a", "s += i64(a > 0.25)", s[3], a));
    TRY(rp_wait(m->ctx));
  }
  TRY(count_boxes(m));
  float single;
  TRY(rp_store_read(s[0], m->out, 8));
  TRY(rp_store_read(s[1], &single, 4));
  TRY(rp_store_read(s[2], m->out + 2, 8));
  TRY(rp_store_read(s[3], m->out + 3, 8));
  m->out[1] = single;
  return drop_all((rp_store *[]){a, b, s[0], s[1], s[2], s[3]}, 6);
}

static void test_sums(void **state) {
  (void)state;
  member all[MOST];
  same_boxes(sums, 4, false, false);
  run(all, 6, "--threads 1 --tile 0 --cut boxes", sums, 4);
  all_fine(all, 6);
  for (int32_t r = 0; r < 6; r++) {
    assert_int_equal(all[r].stat[7], 3 * 2);
    assert_int_equal(all[r].stat[1], 0); /* nothing but the sums travels, */
    assert_int_equal(all[r].stat[3], 0);
    assert_int_equal(all[r].stat[4], 3 * 2); /* those of a launch together */
  }
  forget(all, 6);
}

/* ---- which of the two ways ---- */

/* Each point of the interior becomes the mean of its four neighbours. */
static rp_status spread(rp_context *ctx, const int64_t *shape, rp_store *a) {
  rp_store *v[5];
  TRY(inside(a, shape, 1, 0, 0, &v[0]));
  TRY(inside(a, shape, 1, -1, 0, &v[1]));
  TRY(inside(a, shape, 1, 1, 0, &v[2]));
  TRY(inside(a, shape, 1, 0, -1, &v[3]));
  TRY(inside(a, shape, 1, 0, 1, &v[4]));
  TRY(EVAL(ctx, "o, n, s, w, e", "o = 0.25*(n + s + w + e)", v[0], v[1], v[2], v[3], v[4]));
  TRY(rp_wait(ctx));
  return drop_all(v, 5);
}

/* How many of four passes over squares of `side` are by boxes. */
static int64_t boxed(int64_t side, const char *config) {
  const int64_t shape[] = {side, side};
  rp_context *ctx = check_context(config);
  rp_store *s = check_store(ctx, 2, shape, NULL);
  for (int32_t i = 0; i < 4; i++) OK(spread(ctx, shape, s));
  const int64_t n = check_stat(ctx, "kernels_boxed");
  assert_int_equal(check_stat(ctx, "kernels_run"), 4);
  OK(rp_store_release(s));
  OK(rp_context_destroy(ctx));
  return n;
}

static void test_choice(void **state) {
  (void)state;
  static const int32_t as[] = {0, 1, 31, 528, 1023};
  char config[100];
  for (int32_t i = 0; i < 5; i++) { /* whichever rank asks */
    snprintf(config, sizeof config, "--dryrun %d/1024", as[i]);
    assert_int_equal(boxed(1 << 15, config), 4);
    assert_int_equal(boxed(1 << 10, config), 0); /* columns of a leaf leave no grid */
    strcat(config, " --cut rows");
    assert_int_equal(boxed(1 << 15, config), 0);
  }
  assert_int_equal(boxed(1 << 15, "--dryrun 1/2"), 0); /* one neighbour as well as one */
  assert_int_equal(boxed(1 << 11, "--dryrun 1/4"), 0); /* messages cost more than their bytes */
  assert_int_equal(boxed(48, "--tile 0 --dryrun 1/4"), 0);
  assert_int_equal(boxed(48, "--tile 0 --dryrun 1/4 --cut boxes"), 4);
  assert_int_equal(boxed(48, "--tile 0 --dryrun 1/4 --cut rows"), 0);
}

/* How many kernels of passes between two arrays run by boxes, each in a segment of its own. */
static int64_t to_and_fro(int64_t side, const char *config) {
  enum { ROUNDS = 4 };
  const int64_t shape[] = {side, side};
  rp_store *a, *b, *v[6];
  rp_context *c;
  int64_t n;
  OK(rp_context_create(config, &c));
  OK(rp_store_create(c, RP_F64, 2, shape, &a));
  OK(rp_store_create(c, RP_F64, 2, shape, &b));
  for (int32_t i = 0; i < 2 * ROUNDS; i++) {
    static const int64_t shift[6][2] = {{0, 0}, {0, 0}, {-1, 0}, {1, 0}, {0, -1}, {0, 1}};
    for (int32_t k = 0; k < 6; k++)
      OK(inside(k == 0 ? b : a, shape, 1, shift[k][0], shift[k][1], &v[k]));
    OK(EVAL(c, "o, c, n, s, w, e", "o = c + n + s + w + e", v[0], v[1], v[2], v[3], v[4], v[5]));
    OK(rp_wait(c));
    OK(drop_all(v, 6));
    rp_store *t = a;
    a = b;
    b = t;
  }
  OK(rp_stat(c, "kernels_boxed", &n));
  OK(drop_all((rp_store *[]){a, b}, 2));
  OK(rp_context_destroy(c));
  return n;
}

static void test_to_and_fro(void **state) {
  (void)state;
  assert_int_equal(to_and_fro(1 << 15, "--dryrun 528/1024"), 8);
  assert_int_equal(to_and_fro(1 << 11, "--dryrun 1/4"), 0);
}

enum { FLAT = 96, BROAD = 8 * 1024, BAND = 2 };

/* Passes that are worth boxes; between them the host's program writes a row of the border, which is worth neither. */
static rp_status bordered(member *m) {
  const int64_t shape[] = {FLAT, BROAD};
  rp_store *s, *row;
  int64_t before[8] = {0};
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &s));
  TRY(EVAL(m->ctx, "a", "a = 1.0/(1 + index(0)*31 + index(1)*7)", s));
  TRY(rp_wait(m->ctx));
  TRY(rp_store_project(s, 0, 0, &row));
  for (int32_t pass = 0; pass < PASSES; pass++) {
    TRY(mark(m, pass, before));
    TRY(spread(m->ctx, shape, s));
    TRY(EVAL(m->ctx, "x", "x = 0.5 - 0.125*x", row));
    TRY(rp_wait(m->ctx));
  }
  TRY(count_last(m, before));
  TRY(rp_store_read_part(s, (int64_t[]){0, 0}, (int64_t[]){BAND, BROAD}, m->out,
                         sizeof(double) * BAND * BROAD));
  return drop_all((rp_store *[]){s, row}, 2);
}

/* In 3 x 3 ranks tiles have 32 rows and 2, 3, 3 leaves of columns; nothing but margins travels. */
static void test_bordered(void **state) {
  (void)state;
  member alone, all[MOST];
  run(&alone, 1, "--threads 1", bordered, BAND * BROAD);
  all_fine(&alone, 1);
  run(all, 9, "--threads 1", bordered, BAND * BROAD);
  all_fine(all, 9);
  for (int32_t r = 0; r < 9; r++) {
    const int64_t y = r / 3, x = r % 3, beside = (x > 0) + (x < 2), above = (y > 0) + (y < 2);
    const int64_t rows = y == 1 ? 32 : 31, columns = x == 0 ? 2047 : x == 1 ? 3072 : 3071;
    assert_memory_equal(all[r].out, alone.out, sizeof(double) * BAND * BROAD);
    assert_true(all[r].stat[7] >= 2);
    assert_int_equal(all[r].stat[1], 2 * (beside + above));
    assert_int_equal(all[r].stat[2], 2 * 8 * (beside * rows + above * columns));
    assert_int_equal(all[r].stat[3], 0);
  }
  forget(all, 9);
  run(all, 9, "--threads 1 --cut rows", bordered, BAND * BROAD);
  all_fine(all, 9);
  for (int32_t r = 0; r < 9; r++) {
    assert_memory_equal(all[r].out, alone.out, sizeof(double) * BAND * BROAD);
    assert_int_equal(all[r].stat[7], 0);
  }
  forget(all, 9);
  forget(&alone, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_star),     cmocka_unit_test(test_square),
      cmocka_unit_test(test_cube),     cmocka_unit_test(test_mixed),
      cmocka_unit_test(test_sums),     cmocka_unit_test(test_choice),
      cmocka_unit_test(test_bordered), cmocka_unit_test(test_to_and_fro),
      cmocka_unit_test(test_plate)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
