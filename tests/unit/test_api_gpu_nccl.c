/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_gpu_nccl.c -- where GPUs speak to each other nothing of arrays goes by way of the host: what every rank
 * reads all of, tables that are reached by index data, reductions that are shared out; with the bits of one process. */
#include "tests/support/gpu_members.h"

#include "tests/emulator/emu.h"
#include "tests/support/fake_nccl.h"

#define NCCL "--nccl " FAKE_WHOLE " "

enum { PASSES = 5, MOVES = 1 };

/* Bytes between host and GPU so far. */
static rp_status moved(member *m, int64_t *out) {
  int64_t up, down;
  TRY(rp_wait(m->ctx));
  TRY(rp_stat(m->ctx, "gpu_upload_bytes", &up));
  TRY(rp_stat(m->ctx, "gpu_download_bytes", &down));
  *out = up + down;
  return RP_OK;
}

/* Runs `pass` PASSES times as a trace; m->stat[MOVES] is what the last one moved between host and GPU. */
static rp_status passes(member *m, rp_status (*pass)(rp_context *, rp_store **), rp_store **all) {
  int64_t before = 0;
  for (int i = 0; i < PASSES; i++) {
    TRY(moved(m, &before));
    TRY(rp_trace_begin(m->ctx, 1));
    TRY(pass(m->ctx, all));
    TRY(rp_trace_end(m->ctx, 1));
  }
  TRY(moved(m, &m->stat[MOVES]));
  m->stat[MOVES] -= before;
  return RP_OK;
}

/* Reads all stores of f64 one behind the other, and releases them. */
static rp_status finish(member *m, rp_store **all, const int64_t *elements, int n) {
  double *out = m->out;
  for (int i = 0; i < n; i++) {
    TRY(rp_store_read(all[i], out, (size_t)elements[i] * sizeof *out));
    out += elements[i];
  }
  for (int i = 0; i < n; i++) TRY(rp_store_release(all[i]));
  return RP_OK;
}

/* ---- reductions */

/* Of a vector, two in one kernel; over rows and columns of a matrix; of all of it, in rows of several leaves; of three axes. */
enum {
  LONG = 70001,
  TALL = 600,
  WIDE = 50,
  ROWS = 9,
  COLUMNS = 5000,
  DEPTH = 14,
  SIDE = 6,
  SHORT = 1500
};

static const int64_t sums_elements[] = {
    LONG, 1, 1, TALL *WIDE, WIDE, TALL, ROWS *COLUMNS, 1, DEPTH *SIDE *SHORT, 1};
enum { N_SUMS = sizeof sums_elements / sizeof *sums_elements };

static rp_status sums_pass(rp_context *c, rp_store **a) {
  TRY(EVAL(c, "s, x", "s += x*x", a[1], a[0]));
  TRY(EVAL(c, "m, x", "m max= x", a[2], a[0]));
  TRY(EVAL(c, "x, s, m", "x = x/(1 + s) + m", a[0], a[1], a[2]));
  TRY(EVAL(c, "t, g", "t[j] += g[k, j]", a[4], a[3]));
  TRY(EVAL(c, "u, g", "u[k] += g[k, j]", a[5], a[3]));
  TRY(EVAL(c, "g, t, u", "g[k, j] = g[k, j]/(1 + t[j]) + u[k]", a[3], a[4], a[5]));
  TRY(EVAL(c, "v, h", "v += h", a[7], a[6]));
  TRY(EVAL(c, "h, v", "h = h/(3 + v*v)", a[6], a[7]));
  TRY(EVAL(c, "w, b", "w += b", a[9], a[8]));
  return EVAL(c, "b, w", "b = b/(3 + w*w)", a[8], a[9]);
}

static rp_status sums(member *m) {
  static const int64_t shapes[N_SUMS][3] = {
      {LONG}, {0}, {0}, {TALL, WIDE}, {WIDE}, {TALL}, {ROWS, COLUMNS}, {0}, {DEPTH, SIDE, SHORT}};
  static const int32_t ndims[N_SUMS] = {1, 0, 0, 2, 1, 1, 2, 0, 3, 0};
  rp_store *a[N_SUMS];
  for (int i = 0; i < N_SUMS; i++) {
    if (ndims[i] == 0) TRY(rp_store_scalar(m->ctx, RP_F64, &(double){0.125 * i}, &a[i]));
    if (ndims[i] > 0) TRY(rp_store_create(m->ctx, RP_F64, ndims[i], shapes[i], &a[i]));
  }
  TRY(EVAL(m->ctx, "x", "x[k] = 1/(1.0 + k)", a[0]));
  TRY(EVAL(m->ctx, "g", "g[k, j] = 1/(1.0 + k + 3*j)", a[3]));
  TRY(EVAL(m->ctx, "h", "h[k, j] = 1/(1.0 + 7*k + j)", a[6]));
  TRY(EVAL(m->ctx, "b", "b[i, k, j] = 1/(1.0 + i + 7*k + j)", a[8]));
  TRY(passes(m, sums_pass, a));
  TRY(rp_stat(m->ctx, "joint_reductions", &m->stat[2]));
  return finish(m, a, sums_elements, N_SUMS);
}

static int64_t total(const int64_t *elements, int n) {
  int64_t all = 0;
  for (int i = 0; i < n; i++) all += elements[i];
  return all;
}

/* ---- reductions of boxes */

/* Neighbours along all axes, which are cut where that moves less: a sum is of boxes of two, three axes. */
enum { FLAT = 0, BULK = 3 };
static const int64_t flat_shape[] = {90, 2100}, bulk_shape[] = {14, 10, 2100};
static const int64_t boxes_elements[] = {90 * 2100,      90 * 2100,      1,
                                         14 * 10 * 2100, 14 * 10 * 2100, 1};

/* All but the border, moved by `by` along `axis`. */
static rp_status inner(rp_store *of, int ndim, const int64_t *shape, int axis, int64_t by,
                       rp_store **out) {
  int64_t lo[3], hi[3];
  for (int d = 0; d < ndim; d++) {
    lo[d] = 1 + (d == axis ? by : 0);
    hi[d] = shape[d] - 1 + (d == axis ? by : 0);
  }
  return rp_store_box(of, lo, hi, out);
}

static rp_status neighbours(rp_context *c, rp_store **a, int ndim, const int64_t *shape) {
  rp_store *to, *from;
  TRY(inner(a[1], ndim, shape, 0, 0, &to));
  TRY(EVAL(c, "q, p", "q = p", a[1], a[0]));
  for (int k = 0; k < 2 * ndim; k++) {
    TRY(inner(a[0], ndim, shape, k / 2, k % 2 ? 1 : -1, &from));
    TRY(EVAL(c, "q, p", "q = 0.5*q + p", to, from));
    TRY(rp_store_release(from));
  }
  TRY(rp_store_release(to));
  TRY(EVAL(c, "s, q", "s += q", a[2], a[1]));
  return EVAL(c, "p, q, s", "p = q/(1 + s*s)", a[0], a[1], a[2]);
}

static rp_status boxes_pass(rp_context *c, rp_store **a) {
  TRY(neighbours(c, a + FLAT, 2, flat_shape));
  return neighbours(c, a + BULK, 3, bulk_shape);
}

static rp_status boxes(member *m) {
  rp_store *a[6];
  for (int i = 0; i < 6; i++) {
    const bool bulk = i >= BULK;
    if (i % 3 == 2)
      TRY(rp_store_scalar(m->ctx, RP_F64, &(double){0}, &a[i]));
    else
      TRY(rp_store_create(m->ctx, RP_F64, bulk ? 3 : 2, bulk ? bulk_shape : flat_shape, &a[i]));
  }
  TRY(EVAL(m->ctx, "p", "p[k, j] = 1/(1.0 + 7*k + j)", a[FLAT]));
  TRY(EVAL(m->ctx, "p", "p[i, k, j] = 1/(1.0 + i + 7*k + j)", a[BULK]));
  TRY(passes(m, boxes_pass, a));
  TRY(rp_stat(m->ctx, "kernels_boxed", &m->stat[2]));
  return finish(m, a, boxes_elements, 6);
}

/* ---- gathers */

/* A matrix times a vector that ranks share; a transposed matrix; one element of arrays that may be cut along two of two, two of
 * three axes. */
enum { N = 300 };
static const int64_t gathers_shapes[][3] = {{N, N}, {N}, {N}, {N, N}, {12, 40, 30}, {14, 60}};
static const int64_t gathers_elements[] = {N * N, N, N, N *N, 12 * 40 * 30, 14 * 60};
enum { N_GATHERS = 6 };

static rp_status gathers_pass(rp_context *c, rp_store **a) {
  TRY(EVAL(c, "y, a, x", "y[k] += a[k, j]*x[j]", a[2], a[0], a[1]));
  TRY(EVAL(c, "x, y", "x = x + 1/(1 + y*y)", a[1], a[2]));
  TRY(EVAL(c, "y, b", "y[k] += b[j, k]", a[2], a[3]));
  TRY(EVAL(c, "b, y, x", "b[k, j] = b[k, j]/(2 + y[k]) + x[j]", a[3], a[2], a[1]));
  TRY(EVAL(c, "y, d, e", "y[k] = y[k] + d[11, 39, 29] + e[13, 59]", a[2], a[4], a[5]));
  TRY(EVAL(c, "d", "d = 0.75*d + 0.01", a[4]));
  return EVAL(c, "e", "e = 0.5*e + 0.01", a[5]);
}

static rp_status gathers(member *m) {
  static const int32_t ndims[] = {2, 1, 1, 2, 3, 2};
  rp_store *a[N_GATHERS];
  for (int i = 0; i < N_GATHERS; i++)
    TRY(rp_store_create(m->ctx, RP_F64, ndims[i], gathers_shapes[i], &a[i]));
  TRY(EVAL(m->ctx, "a", "a[k, j] = 1/(1.0 + k + 3*j)", a[0]));
  TRY(EVAL(m->ctx, "x", "x[k] = 1/(2.0 + k)", a[1]));
  TRY(EVAL(m->ctx, "b", "b[k, j] = 1/(1.0 + 5*k + j)", a[3]));
  TRY(EVAL(m->ctx, "d", "d[i, k, j] = 1/(1.0 + 5*k + j + i)", a[4]));
  TRY(EVAL(m->ctx, "e", "e[k, j] = 1/(1.0 + 5*k + j)", a[5]));
  TRY(passes(m, gathers_pass, a));
  TRY(rp_stat(m->ctx, "gathers", &m->stat[2]));
  return finish(m, a, gathers_elements, N_GATHERS);
}

/* ---- messages beside the inside */

/* Two rows above and two below, without the outer columns: messages of several pieces. */
enum { HIGH = 64, BROAD = 50, EDGE = 2 };
static const int64_t beside_elements[] = {HIGH * BROAD};

static rp_status rows_at(rp_store *of, int64_t by, rp_store **out) {
  return rp_store_box(of, (int64_t[]){EDGE + by, 1}, (int64_t[]){HIGH - EDGE + by, BROAD - 1}, out);
}

static rp_status beside_pass(rp_context *c, rp_store **a) {
  rp_store *to, *north, *south;
  TRY(rows_at(a[1], 0, &to));
  TRY(rows_at(a[0], -EDGE, &north));
  TRY(rows_at(a[0], EDGE, &south));
  TRY(EVAL(c, "q, n, s", "q = n - 0.25*s", to, north, south));
  TRY(rp_store_release(to));
  TRY(rp_store_release(north));
  TRY(rp_store_release(south));
  return EVAL(c, "p, q", "p = 0.5*p + q", a[0], a[1]);
}

static rp_status beside(member *m) {
  const int64_t shape[] = {HIGH, BROAD};
  rp_store *a[2];
  for (int i = 0; i < 2; i++) TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &a[i]));
  TRY(EVAL(m->ctx, "p", "p[k, j] = 1/(1.0 + 7*k + j)", a[0]));
  TRY(passes(m, beside_pass, a));
  TRY(rp_stat(m->ctx, "overlapped", &m->stat[2]));
  TRY(finish(m, a, beside_elements, 1));
  return rp_store_release(a[1]);
}

/* ---- tables */

/* Index data that reach into all parts: so much that each rank gets all of the table; and such as reach every third of some
 * elements around: messages of several pieces. */
static const int64_t tables_elements[] = {LONG, LONG};

static rp_status tables_pass(rp_context *c, rp_store **a) {
  TRY(EVAL(c, "y, x, i", "y[k] = x[i[k]] + 1", a[1], a[0], a[2]));
  return EVAL(c, "x, y, i", "x[k] = 0.5*y[i[k]]", a[0], a[1], a[3]);
}

static rp_status tables(member *m) {
  const int64_t n = LONG;
  int64_t *at = calloc(2 * LONG, sizeof *at), looks;
  rp_store *a[4];
  if (!at) return RP_ERR_MEMORY;
  for (int64_t k = 0; k < n; k++) at[k] = k * 40009 % n;
  for (int64_t k = 0; k < n; k++) at[n + k] = (k + k * k % 7 * 30 + n - 90) % n;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &a[0]));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &a[1]));
  TRY(rp_store_create(m->ctx, RP_I64, 1, &n, &a[2]));
  TRY(rp_store_create(m->ctx, RP_I64, 1, &n, &a[3]));
  TRY(rp_store_write(a[2], at, LONG * sizeof *at));
  TRY(rp_store_write(a[3], at + n, LONG * sizeof *at));
  free(at);
  TRY(EVAL(m->ctx, "x", "x[k] = 1/(1.0 + k)", a[0]));
  TRY(passes(m, tables_pass, a));
  TRY(rp_stat(m->ctx, "images", &looks));
  m->stat[2] = looks;
  TRY(finish(m, a, tables_elements, 2));
  TRY(rp_store_release(a[2]));
  return rp_store_release(a[3]);
}

/* ---- tests */

typedef struct way {
  int32_t ranks; /* 0: no way */
  const char *more;
} way;
static const way usual[] = {{2, "--tier 1 --cut rows"},
                            {3, "--tier 0 --cut boxes"},
                            {4, "--tier 0 --cut rows --max_tasks 4"},
                            {0}},
                 boxes_of_four[] = {{4, "--tier 0 --cut boxes"},
                                    {2, "--tier 1"},
                                    {4, "--tier 0"},
                                    {0}},
                 overlapping[] = {{3, "--tier 0 --overlap 0 --cut rows"},
                                  {4, "--tier 1 --overlap 0 --cut rows --graphs off"},
                                  {0}},
                 by_axes[] = {{4, "--tier 0 --cut auto"}, {2, "--tier 1 --cut auto"}, {0}};

/* `most`: bytes that may move in a pass. `by`: the statistic stat[2], in words. */
static void all_ways(const way *ways, rp_status (*program)(member *), int64_t n, int64_t most,
                     const char *by) {
  member alone, all[MOST];
  char config[600];
  run(&alone, 1, "--threads 1 --gpus 0", program, n);
  all_fine(&alone, 1);
  for (size_t k = 0; ways[k].ranks > 0; k++) {
    fake_nccl_reset();
    snprintf(config, sizeof config, NCCL "%s", ways[k].more);
    members_on_gpus(all, ways[k].ranks, "", config, program, n);
    same_as(&alone, all, ways[k].ranks);
    for (int32_t r = 0; r < ways[k].ranks; r++) {
      if (all[r].stat[MOVES] > most)
        fail_msg("%s: rank %d moved %lld bytes", ways[k].more, r, (long long)all[r].stat[MOVES]);
      if (all[r].stat[2] == 0) fail_msg("%s: no %s on rank %d", ways[k].more, by, r);
    }
    assert_true(fake_nccl.bytes > 0);
    forget(all, ways[k].ranks);
    emu_check_empty();
  }
  forget(&alone, 1);
}

static void test_reductions(void **state) {
  (void)state;
  all_ways(usual, sums, total(sums_elements, N_SUMS), 0, "joint reductions");
  all_ways(by_axes, boxes, total(boxes_elements, 6), 0, "boxes");
}

static void test_gathers(void **state) {
  (void)state;
  all_ways(boxes_of_four, gathers, total(gathers_elements, N_GATHERS), 0, "gathers");
}

static void test_beside(void **state) {
  (void)state;
  all_ways(overlapping, beside, beside_elements[0], 0, "launches beside messages");
}

/* Flags of indices out of range are looked at. */
static void test_tables(void **state) {
  (void)state;
  all_ways(usual, tables, total(tables_elements, 2), 4096, "looks at index data");
  all_ways(overlapping, tables, total(tables_elements, 2), 4096, "looks at index data");
}

/* What has too many partials meets on the host, with the same bits. */
static void test_lists(void **state) {
  (void)state;
  member alone, all[MOST];
  const int64_t n = total(sums_elements, N_SUMS);
  run(&alone, 1, "--threads 1 --gpus 0", sums, n);
  all_fine(&alone, 1);
  members_on_gpus(all, 3, "", NCCL "--tier 0 --gpu_partials 500", sums, n);
  same_as(&alone, all, 3);
  for (int32_t r = 0; r < 3; r++) assert_true(all[r].stat[MOVES] > 0);
  forget(all, 3);
  forget(&alone, 1);
  emu_check_empty();
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_reductions),
                                     cmocka_unit_test(test_gathers), cmocka_unit_test(test_beside),
                                     cmocka_unit_test(test_tables), cmocka_unit_test(test_lists)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
