/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_constraints.c -- opaque ops whose stores have other numbers of rows: scaled, bloated, of a least
 * extent. Blocks on threads and parts on ranks give the bits of one call on one process. */
#include "tests/support/members.h"

#include <stdatomic.h>
#include <stddef.h>

enum { ROWS = 61, COLS = 3 };

#define ALIGN(x, y) \
  { .kind = RP_CONSTRAINT_ALIGN, .a = (x), .b = (y) }
#define SCALE(x, y, f) \
  { .kind = RP_CONSTRAINT_SCALE, .a = (x), .b = (y), .factor = (f) }
#define BLOAT(x, y, f, l, h) \
  { .kind = RP_CONSTRAINT_BLOAT, .a = (x), .b = (y), .factor = (f), .lo = (l), .hi = (h) }
#define LEAST(x, n) \
  { .kind = RP_CONSTRAINT_MIN_EXTENT, .a = (x), .factor = (n) }
#define PTR(x) \
  { .kind = RP_ARG_PTR, .a = (x) }
#define EXTENT(x, d) \
  { .kind = RP_ARG_EXTENT, .a = (x), .b = (d) }
#define OFFSET(x) \
  { .kind = RP_ARG_OFFSET, .a = (x) }

#define MAKE(lib, name_, params_, rights_, f, args_, rules_, rows, out) \
  rp_op_create_opaque( \
      (lib), \
      &(rp_opaque_desc){.struct_size = sizeof(rp_opaque_desc), \
                        .name = (name_), \
                        .params = (params_), \
                        .privileges = (rights_), \
                        .function = (void (*)(void))(f), \
                        .args = (args_), \
                        .n_args = sizeof(args_) / sizeof *(args_), \
                        .flags = RP_OPAQUE_SPLIT | RP_OPAQUE_DENSE | RP_OPAQUE_STATUS, \
                        .constraints = (rules_), \
                        .n_constraints = sizeof(rules_) / sizeof *(rules_), \
                        .block_rows = (rows), \
                        .constraint_size = sizeof(rp_constraint)}, \
      (out))

/* ---- functions: each returns 1, which poisons, if what it is given does not go together ---- */

static _Atomic int64_t rows_done, fewest;

static void note(int64_t rows) {
  atomic_fetch_add(&rows_done, rows);
  int64_t old = atomic_load(&fewest);
  while (rows < old && !atomic_compare_exchange_weak(&fewest, &old, rows)) continue;
}

/* fine[2i + k] = coarse[i] + where the row is. */
static int refine(double *fine, int64_t n_fine, int64_t at_fine, const double *coarse,
                  int64_t n_coarse, int64_t at_coarse, int64_t columns) {
  note(n_coarse);
  for (int64_t i = 0; i < n_fine * columns; i++)
    fine[i] =
        coarse[i / columns / 2 * columns + i % columns] + 0.25 * (double)(at_fine + i / columns);
  return n_fine != 2 * n_coarse || at_fine != 2 * at_coarse;
}

/* out[i] = u[i] + 3u[i + 1] - u[i + 3]; u has 1 + 2 more rows. */
static int smooth(double *out, int64_t n, const double *u, int64_t n_u, int64_t at, int64_t at_u,
                  int64_t columns) {
  note(n);
  for (int64_t i = 0; i < n * columns; i++)
    out[i] = u[i] + 3 * u[i + columns] - u[i + 3 * columns] * 0.125;
  return n_u != n + 3 || at != at_u;
}

/* coarse[i] += fine[2i] + fine[2i + 1] + fine[2i + 2]. */
static int coarsen(double *coarse, int64_t n, const double *fine, int64_t n_fine, int64_t at_fine,
                   int64_t at, int64_t columns) {
  note(n);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < columns; j++) {
      double s = 0;
      for (int64_t k = 0; k < 3; k++) s += fine[(2 * i + k) * columns + j];
      coarse[i * columns + j] = 0.1 * coarse[i * columns + j] + 0.2 * s;
    }
  return n_fine != 2 * n + 1 || at_fine != 2 * at;
}

/* Three elements of b for two of c: only whole pairs and triples go together. */
static int pairs(double *b, int64_t n_b, double *c, int64_t n_c, const double *a, int64_t n_a,
                 int64_t at) {
  note(n_c / 2);
  for (int64_t i = 0; i < n_b; i++) b[i] = a[2 * i] - a[2 * i + 1];
  for (int64_t i = 0; i < n_c; i++) c[i] = a[3 * i] + a[3 * i + 2] * 0.5;
  return n_a % 6 != 0 || n_b * 2 != n_a || n_c * 3 != n_a || at % 6 != 0;
}

static const int32_t write_read[] = {RP_PRIV_WRITE, RP_PRIV_READ},
                     change_read[] = {RP_PRIV_READ_WRITE, RP_PRIV_READ},
                     two_and_read[] = {RP_PRIV_WRITE, RP_PRIV_WRITE, RP_PRIV_READ};

static rp_status make_refine(rp_library *lib, int64_t least, rp_op **out) {
  static const rp_opaque_arg args[] = {PTR(0),       EXTENT(0, 0), OFFSET(0),   PTR(1),
                                       EXTENT(1, 0), OFFSET(1),    EXTENT(0, 1)};
  const rp_constraint rules[] = {SCALE(0, 1, 2), LEAST(0, least)};
  return MAKE(lib, "refine", "fine, coarse", write_read, refine, args, rules, 1, out);
}

static rp_status make_smooth(rp_library *lib, int64_t least, rp_op **out) {
  static const rp_opaque_arg args[] = {PTR(0),    EXTENT(0, 0), PTR(1),      EXTENT(1, 0),
                                       OFFSET(0), OFFSET(1),    EXTENT(0, 1)};
  const rp_constraint rules[] = {LEAST(1, least), BLOAT(1, 0, 1, 1, 2)};
  return MAKE(lib, "smooth", "out, u", write_read, smooth, args, rules, 1, out);
}

static rp_status make_coarsen(rp_library *lib, rp_op **out) {
  static const rp_opaque_arg args[] = {PTR(0),    EXTENT(0, 0), PTR(1),      EXTENT(1, 0),
                                       OFFSET(1), OFFSET(0),    EXTENT(0, 1)};
  static const rp_constraint rules[] = {BLOAT(1, 0, 2, 0, 1)};
  return MAKE(lib, "coarsen", "coarse, fine", change_read, coarsen, args, rules, 1, out);
}

static rp_status make_pairs(rp_library *lib, rp_op **out) {
  static const rp_opaque_arg args[] = {PTR(0), EXTENT(0, 0), PTR(1),   EXTENT(1, 0),
                                       PTR(2), EXTENT(2, 0), OFFSET(2)};
  static const rp_constraint rules[] = {SCALE(2, 0, 2), SCALE(2, 1, 3)};
  return MAKE(lib, "pairs", "b, c, a", two_and_read, pairs, args, rules, 1, out);
}

static rp_status matrix(rp_context *c, int64_t rows, rp_store **out) {
  return rp_store_create(c, RP_F64, 2, (int64_t[]){rows, COLS}, out);
}

static rp_status drop_all(rp_store **s, int32_t n) {
  for (int32_t i = 0; i < n; i++) TRY(rp_store_release(s[i]));
  return RP_OK;
}

/* ---- the same bits ---- */

/* A loop over two grids. Nothing is gathered but where the host reads; on one rank's border rows move. */
static rp_status grids(member *m) {
  rp_library *lib;
  rp_op *up, *along, *down;
  rp_store *coarse, *fine, *inner, *tail, *even;
  TRY(rp_library_create(m->ctx, "grids", &lib));
  TRY(make_refine(lib, 1, &up));
  TRY(make_smooth(lib, 1, &along));
  TRY(make_coarsen(lib, &down));
  TRY(matrix(m->ctx, ROWS, &coarse));
  TRY(matrix(m->ctx, 2 * ROWS + 3, &fine));
  TRY(matrix(m->ctx, 2 * ROWS, &inner));
  TRY(rp_store_slice(fine, 0, 0, 2 * ROWS, 1, &even));
  TRY(rp_store_slice(fine, 0, 2, INT64_MAX, 1, &tail));
  TRY(EVAL(m->ctx, "c", "c[i, j] = f64(7*i % 11) + 0.1*f64(j)", coarse));
  for (int32_t pass = 0; pass < 4; pass++) {
    TRY(rp_trace_begin(m->ctx, 1));
    TRY(rp_launch(up, (rp_store *[]){even, coarse}, 2, NULL, 0));
    TRY(rp_launch(along, (rp_store *[]){inner, fine}, 2, NULL, 0));
    TRY(EVAL(m->ctx, "x, y", "x = 0.5*x + 0.01*y", even, inner));
    TRY(rp_launch(down, (rp_store *[]){coarse, tail}, 2, NULL, 0));
    TRY(rp_trace_end(m->ctx, 1));
  }
  TRY(rp_wait(m->ctx));
  TRY(count(m));
  TRY(rp_store_read(coarse, m->out, ROWS * COLS * 8));
  TRY(rp_store_read(fine, m->out + ROWS * COLS, (2 * ROWS + 3) * COLS * 8));
  return drop_all((rp_store *[]){coarse, fine, inner, tail, even}, 5);
}
enum { N_GRIDS = (3 * ROWS + 3) * COLS };

static void test_grids(void **state) {
  (void)state;
  same_bits(grids, N_GRIDS);
  member all[MOST];
  for (int32_t ranks = 1; ranks <= 7; ranks += 3) {
    atomic_store(&rows_done, 0);
    run(all, ranks, "--threads 1 --tile 0", grids, N_GRIDS);
    all_fine(all, ranks);
    assert_int_equal(atomic_load(&rows_done), 4 * (ROWS + 2 * ROWS + ROWS)); /* each by one rank */
    if (ranks > 1)
      for (int32_t r = 0; r < ranks; r++) {
        assert_int_equal(all[r].stat[0], 1 + 4 * 4); /* all is shared out */
        assert_int_equal(all[r].stat[3], 0);         /* and nothing gathered */
      }
    forget(all, ranks);
  }
}

static rp_status halves(member *m) {
  enum { UNITS = 50 };
  rp_library *lib;
  rp_op *op;
  rp_store *a, *b, *c;
  TRY(rp_library_create(m->ctx, "halves", &lib));
  TRY(make_pairs(lib, &op));
  TRY(rp_store_create(m->ctx, RP_F64, 1, (int64_t[]){6 * UNITS}, &a));
  TRY(rp_store_create(m->ctx, RP_F64, 1, (int64_t[]){3 * UNITS}, &b));
  TRY(rp_store_create(m->ctx, RP_F64, 1, (int64_t[]){2 * UNITS}, &c));
  TRY(EVAL(m->ctx, "a", "a[i] = 1/(1.0 + f64(i))", a));
  for (int32_t pass = 0; pass < 3; pass++) {
    TRY(rp_launch(op, (rp_store *[]){b, c, a}, 3, NULL, 0));
    TRY(EVAL(m->ctx, "a, b, c", "a[i] = b[i//2] + c[i//3] + a[i]", a, b, c));
    TRY(rp_wait(m->ctx));
  }
  TRY(count(m));
  TRY(rp_store_read(a, m->out, 6 * UNITS * 8));
  return drop_all((rp_store *[]){a, b, c}, 3);
}

static void test_ratios(void **state) {
  (void)state;
  same_bits(halves, 300);
}

/* ---- the least extent ---- */

enum { LEAST_ROWS = 16 };

static rp_status in_large_blocks(member *m) {
  rp_library *lib;
  rp_op *up, *along;
  rp_store *coarse, *fine, *inner, *part, *other;
  TRY(rp_library_create(m->ctx, "large", &lib));
  TRY(make_refine(lib, 2 * LEAST_ROWS, &up));
  TRY(make_smooth(lib, LEAST_ROWS + 3, &along));
  TRY(matrix(m->ctx, ROWS, &coarse));
  TRY(matrix(m->ctx, 2 * ROWS, &fine));
  TRY(matrix(m->ctx, 2 * ROWS, &inner));
  TRY(rp_store_slice(inner, 0, 3, INT64_MAX, 1, &part));
  TRY(rp_store_slice(coarse, 0, 0, LEAST_ROWS + 3, 1, &other));
  TRY(EVAL(m->ctx, "c", "c[i, j] = f64(7*i % 11) + 0.1*f64(j)", coarse));
  for (int32_t pass = 0; pass < 2; pass++) {
    TRY(rp_launch(up, (rp_store *[]){fine, coarse}, 2, NULL, 0));
    TRY(rp_launch(along, (rp_store *[]){part, fine}, 2, NULL, 0));
    TRY(EVAL(m->ctx, "x, y", "x = x + 0.01*y", inner, fine));
    TRY(rp_wait(m->ctx));
  }
  TRY(count(m));
  TRY(rp_store_read(inner, m->out, 2 * ROWS * COLS * 8));
  /* Of an op whose whole has fewer rows, one block. */
  rp_store *few;
  TRY(matrix(m->ctx, LEAST_ROWS, &few));
  TRY(rp_launch(along, (rp_store *[]){few, other}, 2, NULL, 0));
  TRY(rp_store_read(few, m->out + 2 * ROWS * COLS, LEAST_ROWS * COLS * 8));
  return drop_all((rp_store *[]){coarse, fine, inner, part, other, few}, 6);
}
enum { N_LARGE = (2 * ROWS + LEAST_ROWS) * COLS };

static void test_least(void **state) {
  (void)state;
  member all[MOST];
  same_bits(in_large_blocks, N_LARGE);
  static const char *const configs[] = {"--threads 1 --tile 0", "--threads 7 --grain 0 --tile 0"};
  for (int32_t ranks = 1; ranks <= 7; ranks++)
    for (int32_t k = 0; k < 2; k++) {
      atomic_store(&fewest, INT64_MAX);
      run(all, ranks, configs[k], in_large_blocks, N_LARGE);
      all_fine(all, ranks);
      assert_in_range(atomic_load(&fewest), LEAST_ROWS, ranks + k > 1 ? 31 : ROWS);
      forget(all, ranks);
    }
}

/* ---- images ---- */

enum { NEAR = 900, PER_ROW = 3, ENTRIES = PER_ROW * NEAR };

/* y[i] = sum of val[k]*x[col[k], 0..1] over the row's entries, ptr[i] <= k < ptr[i + 1]. */
static int multiply(double *y, int64_t n, const int32_t *ptr, int64_t n_ptr, const int64_t *col,
                    const double *val, const double *x) {
  for (int64_t i = 0; i < n; i++) {
    y[i] = 0;
    for (int32_t k = ptr[i]; k < ptr[i + 1]; k++)
      y[i] += val[k] * (x[2 * col[k]] - x[2 * col[k] + 1]);
  }
  return n_ptr != n + 1;
}

/* y[i] += x[near[i]], two indices a row. */
static void pick(double *y, int64_t n, const int64_t *near, const double *x) {
  for (int64_t i = 0; i < n; i++) y[i] = 0.5 * y[i] + x[2 * near[2 * i]] - x[2 * near[2 * i + 1]];
}

static rp_status make_images(rp_library *lib, rp_op **product, rp_op **picks) {
  static const int32_t six[] = {RP_PRIV_WRITE, RP_PRIV_READ, RP_PRIV_READ,
                                RP_PRIV_READ,  RP_PRIV_READ, RP_PRIV_READ},
                       three[] = {RP_PRIV_READ_WRITE, RP_PRIV_READ, RP_PRIV_READ};
  static const rp_opaque_arg p[] = {PTR(0), EXTENT(0, 0), PTR(1), EXTENT(1, 0),
                                    PTR(2), PTR(3),       PTR(4)},
                             q[] = {PTR(0), EXTENT(0, 0), PTR(1), PTR(2)};
  static const rp_constraint p_rules[] = {BLOAT(1, 0, 1, 0, 1),
                                          {.kind = RP_CONSTRAINT_IMAGE_RANGES, .a = 2, .b = 1},
                                          {.kind = RP_CONSTRAINT_IMAGE_RANGES, .a = 3, .b = 1},
                                          SCALE(5, 0, PER_ROW), /* the same columns, by rows */
                                          {.kind = RP_CONSTRAINT_IMAGE, .a = 4, .b = 5}},
                             q_rules[] = {ALIGN(0, 1),
                                          {.kind = RP_CONSTRAINT_IMAGE, .a = 2, .b = 1}};
  TRY(MAKE(lib, "multiply", "y, ptr, col, val, x, columns", six, multiply, p, p_rules, 1, product));
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "pick",
                            .params = "y, near, x",
                            .privileges = three,
                            .function = (void (*)(void))pick,
                            .args = q,
                            .n_args = 4,
                            .flags = RP_OPAQUE_SPLIT | RP_OPAQUE_DENSE,
                            .constraints = q_rules,
                            .n_constraints = 2,
                            .block_rows = 1};
  return rp_op_create_opaque(lib, &d, picks);
}

/* A matrix in CSR whose columns lie near; then indices that change. Nothing of it is gathered. */
static rp_status images(member *m) {
  rp_library *lib;
  rp_op *product, *picks;
  rp_store *s[7]; /* y, ptr, col, val, x, columns, near */
  TRY(rp_library_create(m->ctx, "images", &lib));
  TRY(make_images(lib, &product, &picks));
  TRY(rp_store_create(m->ctx, RP_F64, 1, (int64_t[]){NEAR}, &s[0]));
  TRY(rp_store_create(m->ctx, RP_I32, 1, (int64_t[]){NEAR + 1}, &s[1]));
  TRY(rp_store_create(m->ctx, RP_I64, 1, (int64_t[]){ENTRIES}, &s[2]));
  TRY(rp_store_create(m->ctx, RP_F64, 1, (int64_t[]){ENTRIES}, &s[3]));
  TRY(rp_store_create(m->ctx, RP_F64, 2, (int64_t[]){NEAR, 2}, &s[4]));
  TRY(rp_store_create(m->ctx, RP_I64, 1, (int64_t[]){ENTRIES}, &s[5]));
  TRY(rp_store_create(m->ctx, RP_I64, 2, (int64_t[]){NEAR, 2}, &s[6]));
  TRY(EVAL(m->ctx, "p", "p[i] = i32(3*i)", s[1]));
  TRY(EVAL(m->ctx, "c", "c[k] = min(max(k//3 + 7*(k % 3) - 7, 0), 899)", s[2]));
  TRY(EVAL(m->ctx, "c", "c[k] = min(max(k//3 + 7*(k % 3) - 7, 0), 899)", s[5]));
  TRY(EVAL(m->ctx, "v", "v[k] = 1/(1.0 + f64(k))", s[3]));
  TRY(EVAL(m->ctx, "x", "x[i, j] = f64(i % 17) + 0.3*f64(j)", s[4]));
  TRY(EVAL(m->ctx, "n", "n[i, j] = (i + 3 + j) % 900", s[6]));
  for (int32_t pass = 0; pass < 4; pass++) {
    TRY(rp_launch(product, s, 6, NULL, 0));
    TRY(rp_launch(picks, (rp_store *[]){s[0], s[6], s[4]}, 3, NULL, 0));
    TRY(EVAL(m->ctx, "x, y", "x[i, j] = 0.5*x[i, j] + y[i]", s[4], s[0]));
    TRY(EVAL(m->ctx, "n", "n = (n + 11) % 900", s[6]));
    TRY(rp_wait(m->ctx));
  }
  TRY(count(m));
  TRY(rp_store_read(s[4], m->out, 2 * NEAR * 8));
  return drop_all(s, 7);
}

static void test_images(void **state) {
  (void)state;
  same_bits(images, 2 * NEAR);
  member all[MOST];
  run(all, 4, "--threads 1 --tile 0", images, 2 * NEAR);
  all_fine(all, 4);
  for (int32_t r = 0; r < 4; r++) assert_int_equal(all[r].stat[3], 0);
  forget(all, 4);
}

/* ---- what is refused ---- */

static rp_status declare(rp_library *lib, const rp_constraint *c, int32_t n, int32_t flags) {
  static const int32_t rights[] = {RP_PRIV_WRITE, RP_PRIV_READ, RP_PRIV_READ};
  static int number;
  char name[16];
  rp_op *op;
  snprintf(name, sizeof name, "op%d", number++);
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = name,
                            .params = "y, a, w",
                            .privileges = rights,
                            .function = (void (*)(void))smooth,
                            .flags = flags,
                            .constraints = c,
                            .n_constraints = n};
  return rp_op_create_opaque(lib, &d, &op);
}

#define DECLARE(...) \
  declare(lib, (const rp_constraint[]){__VA_ARGS__}, \
          (int32_t)(sizeof((const rp_constraint[]){__VA_ARGS__}) / sizeof(rp_constraint)), \
          RP_OPAQUE_SPLIT)

static void test_declarations(void **state) {
  (void)state;
  rp_context *ctx = check_context("--threads 2");
  rp_library *lib;
  OK(rp_library_create(ctx, "lib", &lib));
  OK(DECLARE(SCALE(0, 1, 2), BLOAT(2, 1, 3, 0, 0), LEAST(2, 9)));
  FAILS(RP_ERR_ARGUMENT, "constraints[0] (SCALE) has factor 0 (1..1048576)",
        DECLARE(SCALE(0, 1, 0), ALIGN(1, 2)));
  FAILS(RP_ERR_ARGUMENT, "constraints[1] (MIN_EXTENT) has factor -1",
        DECLARE(ALIGN(0, 1), LEAST(0, -1)));
  FAILS(RP_ERR_ARGUMENT, "constraints[0] (BLOAT) has lo -1 and hi 0",
        DECLARE(BLOAT(1, 0, 1, -1, 0)));
  FAILS(RP_ERR_ARGUMENT, "store 0 is written, not bloated", DECLARE(BLOAT(0, 1, 1, 1, 1)));
  FAILS(RP_ERR_ARGUMENT, "constraints[0] (SCALE) is about store 1 alone", DECLARE(SCALE(1, 1, 2)));
  FAILS(RP_ERR_ARGUMENT, "(ALIGN) has factor 2",
        DECLARE({.kind = RP_CONSTRAINT_ALIGN, .b = 1, .factor = 2}));
  FAILS(RP_ERR_ARGUMENT, "(SCALE) contradicts others about the rows of stores 1 and 0",
        DECLARE(SCALE(0, 1, 2), SCALE(1, 0, 2), ALIGN(1, 2)));
  FAILS(RP_ERR_ARGUMENT, "(ALIGN) contradicts others",
        DECLARE(SCALE(0, 1, 2), ALIGN(0, 2), ALIGN(1, 2)));
  FAILS(RP_ERR_ARGUMENT, "store 1 is bloated, and its rows are joined by another constraint",
        DECLARE(ALIGN(0, 1), ALIGN(0, 2), BLOAT(1, 2, 1, 1, 1)));
  FAILS(RP_ERR_ARGUMENT, "store 2 is neither", DECLARE(BLOAT(1, 0, 1, 1, 1)));
  FAILS(RP_ERR_ARGUMENT, "constraint_size is 41",
        rp_op_create_opaque(lib,
                            &(rp_opaque_desc){.struct_size = sizeof(rp_opaque_desc),
                                              .name = "size",
                                              .params = "y",
                                              .privileges = (int32_t[]){RP_PRIV_WRITE},
                                              .function = (void (*)(void))smooth,
                                              .constraint_size = 41},
                            &(rp_op *){NULL}));
  OK(rp_context_destroy(ctx));
}

/* What a program was compiled with before there were factors: four members, no constraint_size. */
static void test_older(void **state) {
  (void)state;
  const struct {
    int32_t kind, a, b, axis;
  } rules[] = {{RP_CONSTRAINT_ALIGN, 0, 1, 0}, {RP_CONSTRAINT_BROADCAST, 2, 0, 0}};
  rp_context *ctx = check_context("--threads 2");
  rp_library *lib;
  rp_op *op;
  OK(rp_library_create(ctx, "lib", &lib));
  static const int32_t rights[] = {RP_PRIV_WRITE, RP_PRIV_READ, RP_PRIV_READ};
  OK(rp_op_create_opaque(
      lib,
      &(rp_opaque_desc){.struct_size = offsetof(rp_opaque_desc, constraint_size),
                        .name = "old",
                        .params = "y, a, w",
                        .privileges = rights,
                        .function = (void (*)(void))smooth,
                        .flags = RP_OPAQUE_SPLIT,
                        .constraints = (const rp_constraint *)(const void *)rules,
                        .n_constraints = 2},
      &op));
  rp_store *v = check_vector(ctx, 4, NULL), *w = check_vector(ctx, 5, NULL);
  FAILS(RP_ERR_SHAPE, "one extent of axis 0", rp_launch(op, STORES(v, w, w), 3, NULL, 0));
  OK(drop_all((rp_store *[]){v, w}, 2));
  OK(rp_context_destroy(ctx));
}

static void test_launches(void **state) {
  (void)state;
  rp_context *ctx = check_context("--threads 2");
  rp_library *lib;
  rp_op *up, *along, *product, *picks;
  rp_store *a, *b, *s;
  OK(rp_library_create(ctx, "lib", &lib));
  OK(make_refine(lib, 1, &up));
  OK(make_smooth(lib, 1, &along));
  OK(make_images(lib, &product, &picks));
  OK(matrix(ctx, 8, &a));
  OK(matrix(ctx, 5, &b));
  s = check_store(ctx, 0, NULL, NULL);
  FAILS(RP_ERR_SHAPE,
        "lib.refine: stores[0] ('fine') of shape (8, 3) and stores[1] ('coarse') of shape (5, 3) "
        "must have 2 rows for one",
        rp_launch(up, STORES(a, b), 2, NULL, 0));
  FAILS(RP_ERR_SHAPE, "must have 2 rows for one", rp_launch(up, STORES(a, s), 2, NULL, 0));
  FAILS(RP_ERR_SHAPE,
        "stores[1] ('u') of shape (5, 3) and stores[0] ('out') of shape (8, 3) must have 1 rows "
        "for one, and 1 + 2 more",
        rp_launch(along, STORES(a, b), 2, NULL, 0));
  OK(rp_launch(along, STORES(b, a), 2, NULL, 0));
  FAILS(
      RP_ERR_DTYPE,
      "lib.pick: stores[1] ('near') is f64, not integers that say what is read of stores[2] ('x')",
      rp_launch(picks, STORES(a, a, b), 3, NULL, 0));
  OK(rp_wait(ctx));
  OK(drop_all((rp_store *[]){a, b, s}, 3));
  OK(rp_context_destroy(ctx));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_grids),        cmocka_unit_test(test_ratios),
      cmocka_unit_test(test_least),        cmocka_unit_test(test_images),
      cmocka_unit_test(test_declarations), cmocka_unit_test(test_older),
      cmocka_unit_test(test_launches)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
