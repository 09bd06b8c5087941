/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_gpu_parts.c -- of arrays that ranks share, GPUs have parts: what moves between host and GPU, in bytes,
 * memory, in bytes, and the bits of one process whatever grows, leaves and comes back. */
#include "tests/support/members.h"

#include "tests/emulator/emu.h"

static char gpu_config[8000];

/* `more` are further options of all ranks. */
static void on_gpus(member *all, int32_t ranks, const char *more, rp_status (*program)(member *),
                    int64_t n) {
  const char *library = getenv("RPI_EMULATED_CUDA");
  snprintf(gpu_config, sizeof gpu_config,
           "--gpus 1 --cuda %s --nvrtc %s --cache_dir " GPU_CACHE
           " --tier 0 --cc none --threads 1 --tile 0 --nccl none %s",
           library, library, more);
  run(all, ranks, gpu_config, program, n);
}

/* On so many ranks with GPUs the program has the bits of one process on the host. Forget `all`. */
static void same_on_gpus(member *all, int32_t ranks, const char *more,
                         rp_status (*program)(member *), int64_t n) {
  member alone;
  run(&alone, 1, "--threads 1 --gpus 0", program, n);
  all_fine(&alone, 1);
  on_gpus(all, ranks, more, program, n);
  same_as(&alone, all, ranks);
  forget(&alone, 1);
  emu_check_empty();
}

enum { RANKS = 4, SIZE = 8 };

/* What was counted since the last time. */
static rp_status since(member *m, const char *name, int64_t *last, int64_t *out) {
  int64_t now;
  TRY(rp_stat(m->ctx, name, &now));
  *out = now - *last;
  *last = now;
  return RP_OK;
}

/* ---- moves */

static void twice(double *y, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] *= 2;
}

static void broad(double *y, const double *all, int64_t n, int64_t n_all) {
  double s = 0;
  for (int64_t i = 0; i < n_all; i += 97) s += all[i];
  for (int64_t i = 0; i < n; i++) y[i] += s;
}

/* `twice` has its rows of y; `broad` its rows of y, and all of another array. */
static rp_status make_ops(member *m, rp_op **two, rp_op **all) {
  static const rp_opaque_arg two_args[] = {{.kind = RP_ARG_PTR, .a = 0},
                                           {.kind = RP_ARG_EXTENT, .a = 0, .b = 0}};
  static const rp_opaque_arg all_args[] = {{.kind = RP_ARG_PTR, .a = 0},
                                           {.kind = RP_ARG_PTR, .a = 1},
                                           {.kind = RP_ARG_EXTENT, .a = 0, .b = 0},
                                           {.kind = RP_ARG_EXTENT, .a = 1, .b = 0}};
  static const int32_t two_rights[] = {RP_PRIV_READ_WRITE},
                       all_rights[] = {RP_PRIV_READ_WRITE, RP_PRIV_READ};
  static const rp_constraint constraints[] = {{.kind = RP_CONSTRAINT_BROADCAST, .a = 1}};
  const rp_opaque_desc t = {.struct_size = sizeof t,
                            .name = "twice",
                            .params = "y",
                            .privileges = two_rights,
                            .function = (void (*)(void))twice,
                            .args = two_args,
                            .n_args = 2,
                            .flags = RP_OPAQUE_DENSE | RP_OPAQUE_SPLIT};
  const rp_opaque_desc b = {.struct_size = sizeof b,
                            .name = "broad",
                            .params = "y, x",
                            .privileges = all_rights,
                            .function = (void (*)(void))broad,
                            .args = all_args,
                            .n_args = 4,
                            .flags = RP_OPAQUE_DENSE | RP_OPAQUE_SPLIT,
                            .constraints = constraints,
                            .n_constraints = 1};
  rp_library *lib;
  TRY(rp_library_create(m->ctx, "parts", &lib));
  TRY(rp_op_create_opaque(lib, &t, two));
  return rp_op_create_opaque(lib, &b, all);
}

enum {
  LINE = 40960,
  TILE = LINE / RANKS * SIZE,
  FEW = 2048 /* bytes of borders, flags, and programs of tier 0 */
};

static double start[LINE];

static void begin(void) {
  for (int32_t i = 0; i < LINE; i++) start[i] = 1.0 / (1 + i * 37 % 1009);
}

/* x goes to the GPU, y to the host and back in each pass, for the function is there. */
static rp_status moving(member *m) {
  const int64_t n = LINE;
  int64_t up = 0, down = 0, bytes[2];
  rp_store *x, *y, *left, *right, *inner;
  rp_op *two, *all;
  TRY(make_ops(m, &two, &all));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &y));
  TRY(rp_store_write(x, start, sizeof start));
  TRY(rp_store_slice(x, 0, 0, n - 2, 1, &left));
  TRY(rp_store_slice(x, 0, 2, n, 1, &right));
  TRY(rp_store_slice(y, 0, 1, n - 1, 1, &inner));
  for (int pass = 0; pass < 4; pass++) {
    TRY(rp_trace_begin(m->ctx, 1));
    TRY(EVAL(m->ctx, "y, a, b", "y[k] = y[k]/4 + a[k] + b[k]", inner, left, right));
    TRY(rp_launch(two, (rp_store *[]){y}, 1, NULL, 0));
    TRY(rp_trace_end(m->ctx, 1));
    TRY(rp_wait(m->ctx));
    if (pass != 0 && pass != 3) continue;
    TRY(since(m, "gpu_upload_bytes", &up, &bytes[0]));
    TRY(since(m, "gpu_download_bytes", &down, &bytes[1]));
    m->stat[pass == 0 ? 1 : 3] = bytes[0];
    m->stat[pass == 0 ? 2 : 4] = bytes[1];
  }
  TRY(rp_stat(m->ctx, "kernels_shared", &m->stat[0]));
  TRY(rp_store_read(y, m->out, sizeof start));
  rp_store *of[] = {x, y, left, right, inner};
  for (int k = 0; k < 5; k++) TRY(rp_store_release(of[k]));
  return RP_OK;
}

static void test_moves(void **state) {
  (void)state;
  member all[MOST];
  same_on_gpus(all, RANKS, "", moving, LINE);
  for (int32_t r = 0; r < RANKS; r++) {
    assert_true(all[r].stat[0] > 0);
    assert_in_range(all[r].stat[1], TILE, TILE + FEW); /* x; y was zeros */
    assert_in_range(all[r].stat[2], TILE, TILE + FEW);
    assert_in_range(all[r].stat[3], 3 * TILE, 3 * TILE + FEW); /* three passes: y */
    assert_in_range(all[r].stat[4], 3 * TILE, 3 * TILE + FEW);
  }
  forget(all, RANKS);
  same_on_gpus(all, 3, "--graphs off", moving, LINE);
  forget(all, 3);
}

/* ---- a full GPU */

enum { OTHERS = 10, WIDE = 1 << 14 };

/* x is read by index data and at neighbours, leaves the GPU for other arrays, and is read again: what came of other ranks
 * is not sent again, so it must have left and come along. */
static rp_status spilling(member *m) {
  const int64_t n = WIDE;
  rp_store *x, *i, *y, *left, *inner, *other[OTHERS];
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &y));
  TRY(rp_store_create(m->ctx, RP_I64, 1, &n, &i));
  TRY(rp_store_write(x, start, WIDE * sizeof(double)));
  TRY(EVAL(m->ctx, "i", "i[k] = where(k % 1000 == 0, (13*k + 11) % 16384, k)", i));
  TRY(rp_store_slice(x, 0, 0, n - 1, 1, &left));
  TRY(rp_store_slice(y, 0, 1, n, 1, &inner));
  for (int k = 0; k < OTHERS; k++) {
    TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &other[k]));
    TRY(EVAL(m->ctx, "z", "z[k] = 0.5*k", other[k]));
    TRY(rp_wait(m->ctx));
  }
  for (int pass = 0; pass < 3; pass++) {
    TRY(EVAL(m->ctx, "y, x, i", "y[k] = y[k]/2 + x[i[k]]", y, x, i));
    TRY(EVAL(m->ctx, "y, x", "y[k] = y[k] + x[k]", inner, left));
    TRY(rp_wait(m->ctx));
    for (int k = 0; k < OTHERS; k++) {
      TRY(EVAL(m->ctx, "z", "z = z*0.5 + 1", other[k]));
      TRY(rp_wait(m->ctx));
    }
  }
  TRY(rp_stat(m->ctx, "gpu_spilled", &m->stat[1]));
  TRY(rp_stat(m->ctx, "kernels_shared", &m->stat[0]));
  TRY(rp_store_read(y, m->out, WIDE * sizeof(double)));
  rp_store *of[] = {x, i, y, left, inner};
  for (int k = 0; k < 5; k++) TRY(rp_store_release(of[k]));
  for (int k = 0; k < OTHERS; k++) TRY(rp_store_release(other[k]));
  return RP_OK;
}

static void test_spills(void **state) {
  (void)state;
  member all[MOST];
  same_on_gpus(all, RANKS, "--gpu_mb 1", spilling, WIDE);
  for (int32_t r = 0; r < RANKS; r++) assert_true(all[r].stat[1] > 0);
  forget(all, RANKS);
}

int main(void) {
  if (!getenv("RPI_EMULATED_CUDA")) return 77;
  begin();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_moves), cmocka_unit_test(test_spills)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
