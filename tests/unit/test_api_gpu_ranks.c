/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_gpu_ranks.c -- ranks with a GPU each, or two to a GPU, which speak by way of the host or by NCCL: the
 * bits of one process on the host, only borders between host and GPU, and what becomes of all when one fails. */
#include "tests/support/gpu_members.h"

#include "tests/emulator/emu.h"
#include "tests/support/fake_nccl.h"
#include "tests/support/poisson.h"
#include "tests/support/stencil_pass.h"

static void on_gpus(member *all, int32_t ranks, const char *more, rp_status (*program)(member *),
                    int64_t n) {
  members_on_gpus(all, ranks, "--tier 1", more, program, n);
}

#define NCCL "--nccl " FAKE_WHOLE " "
#define NO_NCCL "--nccl none "

static void same_on_gpus(rp_status (*program)(member *), int64_t n) {
  static const struct {
    int32_t ranks; /* of 4 GPUs */
    bool nccl;
    const char *more;
  } ways[] = {{2, false, NO_NCCL},
              {3, false, NO_NCCL "--tier 0"},
              {7, false, NCCL "--graphs off --cut boxes"},
              {2, true, NCCL},
              {4, true, NCCL "--tier 0"},
              {3, true, NCCL "--graphs off --cut boxes"}};
  member alone, all[MOST];
  run(&alone, 1, "--threads 1 --gpus 0", program, n);
  all_fine(&alone, 1);
  for (int32_t k = 0; k < 6; k++) {
    fake_nccl_reset();
    on_gpus(all, ways[k].ranks, ways[k].more, program, n);
    same_as(&alone, all, ways[k].ranks);
    assert_true(all[0].stat[0] > 0); /* shared out indeed */
    assert_int_equal(fake_nccl.joined, ways[k].nccl ? ways[k].ranks : 0);
    assert_int_equal(fake_nccl.comms, 0);
    forget(all, ways[k].ranks);
    emu_check_empty();
  }
  forget(&alone, 1);
}

/* ---- programs */

enum { SIDE = 130, UNKNOWNS = SIDE * SIDE };

static rp_status by_cg(member *m) {
  TRY(poisson_solve(m->ctx, SIDE, rp_solve_cg, 20, m->out));
  return count(m);
}

/* Index data from the host and index data that the GPU makes, sums over both axes, some of many results. */
enum { ROWS = 700, WIDTH = 90, MIXED = ROWS + WIDTH + 1 };

typedef struct arrays {
  rp_store *x, *a, *t, *s, *i, *y;
} arrays;

static rp_status mixed_passes(member *m, arrays *of) {
  const int64_t shape[] = {ROWS, WIDTH}, n = ROWS, w = WIDTH;
  int64_t at[ROWS];
  for (int64_t k = 0; k < n; k++) at[k] = k * 37 % ROWS;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &of->x));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &of->y));
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &of->a));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &w, &of->t));
  TRY(rp_store_scalar(m->ctx, RP_F64, &(double){0}, &of->s));
  TRY(rp_store_create(m->ctx, RP_I64, 1, &n, &of->i));
  rp_store *x = of->x, *a = of->a, *t = of->t, *s = of->s, *i = of->i, *y = of->y;
  TRY(rp_store_write(i, at, sizeof at));
  TRY(EVAL(m->ctx, "x", "x[k] = 1/(1.0 + k)", x));
  TRY(EVAL(m->ctx, "a, x", "a[k, j] = x[k]*(1 + j)", a, x));
  for (int pass = 0; pass < 4; pass++) {
    TRY(rp_trace_begin(m->ctx, 1));
    TRY(EVAL(m->ctx, "y, x, i", "y[k] = x[i[k]] + x[k]", y, x, i));
    TRY(EVAL(m->ctx, "s, y, x", "s += y*x", s, y, x));
    TRY(EVAL(m->ctx, "t, a", "t[j] += a[k, j]", t, a));
    TRY(EVAL(m->ctx, "x, y, s", "x = y/(1 + s)", x, y, s));
    TRY(EVAL(m->ctx, "a, x, t", "a[k, j] = a[k, j]*x[k] + 1/(2 + t[j]*t[j])", a, x, t));
    TRY(EVAL(m->ctx, "i", "i[k] = (i[k]*3 + 1) % 700", i));
    TRY(rp_trace_end(m->ctx, 1));
  }
  TRY(rp_store_read(x, m->out, sizeof(double) * ROWS));
  TRY(rp_store_read(t, m->out + ROWS, sizeof(double) * WIDTH));
  TRY(rp_store_read(s, m->out + ROWS + WIDTH, sizeof(double)));
  return count(m);
}

static rp_status mixed(member *m) {
  arrays of = {0};
  const rp_status st = mixed_passes(m, &of);
  if (st != RP_OK) snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  rp_store *all[] = {of.x, of.a, of.t, of.s, of.i, of.y};
  for (int k = 0; k < 6; k++) (void)rp_store_release(all[k]);
  return st;
}

/* Kernels side by side in one launch, with beginnings and ends. */
static rp_status pairs(member *m) {
  enum { PAIRS = 2 };
  const int64_t n[PAIRS] = {5000, 6000};
  rp_store *x[PAIRS], *s[PAIRS], *p[PAIRS], *q[PAIRS];
  for (int k = 0; k < PAIRS; k++) {
    TRY(rp_store_create(m->ctx, RP_F64, 1, &n[k], &x[k]));
    TRY(rp_store_scalar(m->ctx, RP_F64, &(double){0}, &s[k]));
    TRY(rp_store_scalar(m->ctx, RP_F64, &(double){0.25 + k}, &p[k]));
    TRY(rp_store_scalar(m->ctx, RP_F64, &(double){1}, &q[k]));
    TRY(EVAL(m->ctx, "x, p", "x[k] = p/(1 + k)", x[k], p[k]));
  }
  for (int pass = 0; pass < 4; pass++) {
    TRY(rp_trace_begin(m->ctx, 1));
    for (int k = 0; k < PAIRS; k++) {
      TRY(EVAL(m->ctx, "s, x, p", "s += x*p", s[k], x[k], p[k]));
      TRY(EVAL(m->ctx, "q, s, p", "q = q + s*p", q[k], s[k], p[k]));
    }
    TRY(rp_trace_end(m->ctx, 1));
  }
  for (int k = 0; k < PAIRS; k++) TRY(rp_store_read(q[k], m->out + k, sizeof(double)));
  TRY(count(m));
  rp_store **all[] = {x, s, p, q};
  for (int k = 0; k < 4 * PAIRS; k++) TRY(rp_store_release(all[k / PAIRS][k % PAIRS]));
  return RP_OK;
}

static void test_programs(void **state) {
  (void)state;
  same_on_gpus(by_cg, UNKNOWNS + 1);
  same_on_gpus(mixed, MIXED);
  same_on_gpus(pairs, 2);
}

/* ---- what moves */

enum { GRID = 60, CELLS = (GRID + 2) * (GRID + 2), PASSES = 12, SIZE = 8 };

static rp_status stencil(member *m) {
  const int64_t shape[] = {GRID + 2, GRID + 2};
  static const char *const names[] = {"gpu_upload_bytes", "gpu_download_bytes"};
  double start[CELLS];
  int64_t before[2], after[2];
  rp_store *g;
  for (int32_t i = 0; i < CELLS; i++) start[i] = i * 37 % 101;
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &g));
  TRY(rp_store_write(g, start, sizeof start));
  stencil_pass pass = stencil_begin(m->ctx, g, GRID);
  TRY(rp_store_retain(g));
  for (int32_t i = 0; i < PASSES; i++) {
    if (i == PASSES - 1) TRY(rp_wait(m->ctx));
    for (int k = 0; k < 2 && i == PASSES - 1; k++) TRY(rp_stat(m->ctx, names[k], &before[k]));
    stencil_run(&pass);
  }
  TRY(rp_wait(m->ctx));
  for (int k = 0; k < 2; k++) TRY(rp_stat(m->ctx, names[k], &after[k]));
  stencil_end(&pass);
  TRY(rp_store_read(g, m->out, sizeof start));
  TRY(count(m));
  for (int k = 0; k < 2; k++) m->stat[1 + k] = after[k] - before[k];
  return rp_store_release(g);
}

/* In a replayed pass a row for each neighbour comes from the GPU and goes there, and nothing else. */
static void test_borders(void **state) {
  (void)state;
  member all[MOST], alone;
  run(&alone, 1, "--threads 1 --gpus 0 --tier 0", stencil, CELLS);
  all_fine(&alone, 1);
  on_gpus(all, 3, NO_NCCL, stencil, CELLS);
  same_as(&alone, all, 3);
  for (int32_t r = 0; r < 3; r++) {
    const int64_t rows = (r > 0) + (r < 2), bytes = rows * (GRID + 1) * SIZE;
    assert_int_equal(all[r].stat[1], bytes);
    assert_int_equal(all[r].stat[2], bytes);
  }
  forget(all, 3);
  /* By NCCL nothing at all. */
  fake_nccl_reset();
  on_gpus(all, 3, NCCL, stencil, CELLS);
  same_as(&alone, all, 3);
  for (int32_t r = 0; r < 3; r++) {
    assert_int_equal(all[r].stat[1], 0);
    assert_int_equal(all[r].stat[2], 0);
  }
  assert_in_range(fake_nccl.sends, 4 * (PASSES - 1), 4 * PASSES);
  assert_int_equal(fake_nccl.bytes, fake_nccl.sends * (GRID + 1) * SIZE);
  forget(all, 3);
  forget(&alone, 1);
  emu_check_empty();
}

/* ---- what goes wrong */

static rp_status large(member *m) {
  const int64_t n = 200000;
  rp_store *x, *y;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &y));
  TRY(EVAL(m->ctx, "x", "x[k] = 1.0*k", x));
  TRY(EVAL(m->ctx, "y, x", "y = 2*x", y, x));
  const rp_status st = rp_store_read(y, m->out, sizeof(double) * (size_t)n);
  if (st != RP_OK) snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  (void)rp_store_release(x);
  (void)rp_store_release(y);
  return st;
}

/* Launch by launch would be other messages: too little memory ends all ranks, and says so. */
static void test_full(void **state) {
  (void)state;
  member all[MOST];
  on_gpus(all, 3, NO_NCCL "--gpu_mb 1 --log quiet", large, 200000);
  for (int32_t r = 0; r < 3; r++) {
    assert_true(all[r].status == RP_ERR_MEMORY || all[r].status == RP_ERR_RANKS);
    if (!strstr(all[r].said, "on the GPU")) fail_msg("rank %d: %s", r, all[r].said);
  }
  forget(all, 3);
  emu_check_empty();
}

/* What NCCL says on one rank ends all of them, but that it cannot be used: then all go by the host. */
static void test_nccl_fails(void **state) {
  static const char *const calls[] = {"ncclGetUniqueId", "ncclCommInitRankConfig",
                                      "ncclGroupStart",  "ncclSend",
                                      "ncclRecv",        "ncclGroupEnd"};
  (void)state;
  member all[MOST];
  for (int32_t k = 0; k < 6; k++) {
    fake_nccl_reset();
    fake_nccl.fail_call = calls[k];
    fake_nccl.fail_rank = k == 0 ? -1 : 0;
    fake_nccl.fail_n = k < 2 ? 1 : 2;
    fake_nccl.fail_code = 3; /* ncclInternalError */
    on_gpus(all, 3, NCCL "--log quiet", mixed, MIXED);
    for (int32_t r = 0; r < 3; r++) {
      if (k < 2 && all[r].status != RP_OK) fail_msg("%s: rank %d: %s", calls[k], r, all[r].said);
      if (k >= 2 && all[r].status == RP_OK) fail_msg("%s: rank %d has not heard", calls[k], r);
    }
    if (k >= 2) assert_non_null(strstr(all[0].said, calls[k]));
    assert_int_equal(fake_nccl.comms, 0);
    forget(all, 3);
    emu_check_empty();
  }
}

static rp_status none(member *m) { return rp_wait(m->ctx); }

static void test_several(void **state) {
  (void)state;
  member all[MOST];
  on_gpus(all, 2, NO_NCCL "--gpus 2", none, 1);
  for (int32_t r = 0; r < 2; r++) {
    assert_int_equal(all[r].status, RP_ERR_CONFIG);
    assert_non_null(strstr(all[r].said, "as many ranks"));
  }
  forget(all, 2);
}

int main(void) {
  if (!getenv("RPI_EMULATED_CUDA")) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_programs), cmocka_unit_test(test_borders), cmocka_unit_test(test_full),
      cmocka_unit_test(test_nccl_fails), cmocka_unit_test(test_several)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
