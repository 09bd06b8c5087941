/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_gpu_parts.c -- of arrays that ranks share, GPUs have parts: what moves between host and GPU, in bytes,
 * memory, in bytes, and the bits of one process whatever grows, leaves and comes back. */
#include "tests/support/gpu_members.h"
#include "tests/support/odd_ones.h"

#include "tests/emulator/emu.h"

static void on_gpus(member *all, int32_t ranks, const char *more, rp_status (*program)(member *),
                    int64_t n) {
  members_on_gpus(all, ranks, "--tier 0 --nccl none", more, program, n);
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
  WIDE = 1 << 16,
  LINE = 40960,
  TILE = LINE / RANKS * SIZE,
  FEW = 2048 /* bytes of borders, flags, and programs of tier 0 */
};

static double start[WIDE];

static void begin(void) {
  for (int32_t i = 0; i < WIDE; i++) start[i] = 1.0 / (1 + i * 37 % 1009);
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
  TRY(rp_store_write(x, start, LINE * sizeof *start));
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
  TRY(rp_store_read(y, m->out, LINE * sizeof *start));
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

enum { OTHERS = 16 };

/* x is read by index data and at neighbours, leaves the GPU for other arrays, and is read again: what came of other ranks
 * is not sent again, so it must have left and come along. */
static rp_status spilling(member *m) {
  const int64_t n = WIDE;
  rp_store *x, *i, *y, *left, *inner, *other[OTHERS];
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &y));
  TRY(rp_store_create(m->ctx, RP_I64, 1, &n, &i));
  TRY(rp_store_write(x, start, WIDE * sizeof(double)));
  TRY(EVAL(m->ctx, "i", "i[k] = where(k % 1000 == 0, (13*k + 11) % 65536, k)", i));
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
  TRY(rp_stat(m->ctx, "gpu_memory_peak", &m->stat[2]));
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
  same_on_gpus(all, RANKS, "--gpu_mb 2", spilling, WIDE);
  for (int32_t r = 0; r < RANKS; r++) {
    assert_true(all[r].stat[1] > 0);
    assert_in_range(all[r].stat[2], 1 << 20, 2 << 20);
  }
  forget(all, RANKS);
}

/* ---- memory */

enum { GRANULE = 16 << 10, WHOLE = 1 << 20, LONG = WHOLE / SIZE };

static int64_t maps(void) {
  struct emu_counts c;
  emu_counts(&c);
  return c.maps;
}

/* A stencil between two arrays, by turns. From the sixth pass on no rank has anything mapped. */
static rp_status stencil(member *m) {
  const int64_t n = LONG;
  rp_store *x[2], *left[2], *right[2], *inner[2];
  for (int k = 0; k < 2; k++) {
    TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x[k]));
    TRY(EVAL(m->ctx, "x", "x[k] = 1/(1.0 + k)", x[k]));
    TRY(rp_store_slice(x[k], 0, 0, n - 2, 1, &left[k]));
    TRY(rp_store_slice(x[k], 0, 2, n, 1, &right[k]));
    TRY(rp_store_slice(x[k], 0, 1, n - 1, 1, &inner[k]));
  }
  for (int pass = 0; pass < 12; pass++) {
    const int a = pass % 2, b = 1 - a;
    TRY(rp_trace_begin(m->ctx, 1 + a));
    TRY(EVAL(m->ctx, "y, a, b", "y = (a + b)/2", inner[b], left[a], right[a]));
    TRY(rp_trace_end(m->ctx, 1 + a));
    TRY(rp_wait(m->ctx));
    if (pass == 5) m->stat[1] = maps();
  }
  m->stat[1] = maps() - m->stat[1];
  TRY(rp_stat(m->ctx, "gpu_memory_peak", &m->stat[2]));
  TRY(rp_stat(m->ctx, "overlapped", &m->beside));
  TRY(rp_stat(m->ctx, "kernels_shared", &m->stat[0]));
  TRY(rp_store_read(x[0], m->out, WHOLE));
  for (int k = 0; k < 2; k++) {
    rp_store *of[] = {x[k], left[k], right[k], inner[k]};
    for (int i = 0; i < 4; i++) TRY(rp_store_release(of[i]));
  }
  return RP_OK;
}

/* Of two arrays a rank of four has a quarter, what its borders add, and a little. */
static void test_memory(void **state) {
  (void)state;
  member all[MOST];
  same_on_gpus(all, RANKS, "", stencil, LONG);
  for (int32_t r = 0; r < RANKS; r++) {
    assert_int_equal(all[r].stat[1], 0);
    assert_in_range(all[r].stat[2], 2 * WHOLE / RANKS, 2 * (WHOLE / RANKS + 2 * GRANULE) + GRANULE);
  }
  forget(all, RANKS);
}

/* An array is used by rows, a little further, backwards, whole by the host's function, by rows again. */
static rp_status growing(member *m) {
  const int64_t n = LONG, far = 3 * GRANULE / SIZE;
  rp_store *x, *y, *left, *inner, *back;
  rp_op *two, *all;
  TRY(make_ops(m, &two, &all));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &y));
  TRY(rp_store_slice(x, 0, 0, n - far, 1, &left));
  TRY(rp_store_slice(y, 0, far, n, 1, &inner));
  TRY(rp_store_slice(x, 0, n - 1, -n - 1, -1, &back));
  for (int pass = 0; pass < 3; pass++) {
    TRY(EVAL(m->ctx, "x, y", "x[k] = x[k]/2 + y[k] + 1/(1.0 + k)", x, y));
    TRY(rp_wait(m->ctx));
    TRY(rp_stat(m->ctx, "gpu_memory_live", &m->stat[1 + 2 * (pass > 0)]));
    TRY(EVAL(m->ctx, "y, x", "y = y/2 + x", inner, left));
    TRY(rp_wait(m->ctx));
    TRY(EVAL(m->ctx, "y, x", "y = y + x/4", y, back));
    TRY(rp_wait(m->ctx));
    TRY(rp_stat(m->ctx, "gpu_memory_live", &m->stat[2]));
    TRY(rp_launch(all, (rp_store *[]){y, x}, 2, NULL, 0));
    TRY(EVAL(m->ctx, "y", "y = y*0.001", y));
    TRY(rp_wait(m->ctx));
  }
  TRY(rp_stat(m->ctx, "kernels_shared", &m->stat[0]));
  TRY(rp_store_read(x, m->out, WHOLE));
  TRY(rp_store_read(y, m->out + LONG, WHOLE));
  rp_store *of[] = {x, y, left, inner, back};
  for (int i = 0; i < 5; i++) TRY(rp_store_release(of[i]));
  return RP_OK;
}

static void test_growth(void **state) {
  (void)state;
  member all[MOST];
  same_on_gpus(all, RANKS, "", growing, 2 * LONG);
  for (int32_t r = 0; r < RANKS; r++) {
    assert_in_range(all[r].stat[1], 2 * WHOLE / RANKS, 3 * WHOLE / RANKS); /* zeros, too, in part */
    assert_true(all[r].stat[2] > all[r].stat[1]);
  }
  forget(all, RANKS);
  same_on_gpus(all, 3, "--graphs off --gpu_mb 3", growing, 2 * LONG);
  forget(all, 3);
}

/* What needs nothing of its messages is queued before they are waited for. */
static void test_beside(void **state) {
  (void)state;
  member all[MOST];
  same_on_gpus(all, RANKS, "--overlap 0 --tier 1", stencil, LONG);
  for (int32_t r = 0; r < RANKS; r++) assert_in_range(all[r].beside, 10, 12);
  forget(all, RANKS);
  same_on_gpus(all, 3, "--overlap 0 --graphs off", growing, 2 * LONG);
  forget(all, 3);
}

/* Elements that come by rows move a matrix of boxes to rows, also where it shares its memory with a copy. */
static rp_status by_number(void *arg, int64_t first, int64_t n, void *data) {
  (void)arg;
  for (int64_t i = 0; i < n; i++) ((double *)data)[i] = 0.5 * (double)(first + i);
  return RP_OK;
}

static rp_status supplied(member *m) {
  enum { SIDE = 100 };
  const int64_t shape[] = {SIDE, SIDE};
  rp_store *a, *copy, *few;
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &a));
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &copy));
  TRY(EVAL(m->ctx, "a", "a[i, j] = 1/(1.0 + i + 3*j)", a));
  TRY(rp_store_copy(copy, a));
  TRY(rp_wait(m->ctx));
  TRY(rp_stat(m->ctx, "kernels_boxed", &m->stat[0]));
  TRY(rp_store_slice(a, 0, 10, 13, 1, &few));
  TRY(rp_store_supply(few, by_number, NULL));
  TRY(EVAL(m->ctx, "a", "a = a + 1", a));
  TRY(rp_store_read(a, m->out, SIDE * SIDE * SIZE));
  TRY(rp_store_read(copy, m->out + SIDE * SIDE, SIDE * SIDE * SIZE));
  TRY(rp_store_release(few));
  TRY(rp_store_release(copy));
  return rp_store_release(a);
}

static void test_supply(void **state) {
  (void)state;
  member all[MOST];
  same_on_gpus(all, RANKS, "--cut boxes", supplied, 2 * 100 * 100);
  for (int32_t r = 0; r < RANKS; r++) assert_true(all[r].stat[0] > 0);
  forget(all, RANKS);
}

enum { MANY = 9000 };

/* Rows whose number a function decides come to where the tiling of all has them. */
static rp_status unbound(member *m) {
  const int64_t n = MANY;
  rp_store *x, *y;
  rp_op *op;
  TRY(odd_ones_op(m->ctx, &op));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &x));
  TRY(EVAL(m->ctx, "x", "x[k] = where(k % 3 == 0, 2.0, 1.0 + 2*k)", x));
  TRY(rp_store_create_unbound(m->ctx, RP_F64, 1, NULL, &y));
  TRY(rp_launch(op, (rp_store *[]){y, x}, 2, NULL, 0));
  const int64_t made = rp_store_extent(y, 0);
  m->out[MANY] = (double)made;
  TRY(EVAL(m->ctx, "y", "y = y/2", y));
  if (made > 0 && made <= MANY) TRY(rp_store_read(y, m->out, (size_t)made * sizeof(double)));
  TRY(rp_store_release(x));
  return rp_store_release(y);
}

static void test_unbound(void **state) {
  (void)state;
  member all[MOST];
  same_on_gpus(all, RANKS, "", unbound, MANY + 1);
  assert_true(all[0].out[MANY] == MANY / 3 * 2);
  forget(all, RANKS);
}

/* Boxes: parts of a matrix, whose hulls are rows' parts. */
static rp_status boxes(member *m) {
  enum { SIDE = 362 };
  const int64_t shape[] = {SIDE, SIDE};
  rp_store *a, *b, *in, *of[4];
  static const int64_t at[][2] = {{0, 1}, {2, 1}, {1, 0}, {1, 2}};
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &a));
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &b));
  TRY(EVAL(m->ctx, "a", "a[i, j] = 1/(1.0 + i + 3*j)", a));
  TRY(rp_store_box(b, (int64_t[]){1, 1}, (int64_t[]){SIDE - 1, SIDE - 1}, &in));
  for (int k = 0; k < 4; k++)
    TRY(rp_store_box(a, at[k], (int64_t[]){at[k][0] + SIDE - 2, at[k][1] + SIDE - 2}, &of[k]));
  for (int pass = 0; pass < 4; pass++) {
    TRY(rp_trace_begin(m->ctx, 1));
    TRY(EVAL(m->ctx, "y, n, s, w, e", "y = (n + s + w + e)/4", in, of[0], of[1], of[2], of[3]));
    TRY(EVAL(m->ctx, "a, b", "a = a/2 + b", a, b));
    TRY(rp_trace_end(m->ctx, 1));
  }
  TRY(rp_wait(m->ctx));
  TRY(rp_stat(m->ctx, "gpu_memory_peak", &m->stat[1]));
  TRY(rp_stat(m->ctx, "kernels_boxed", &m->stat[0]));
  TRY(rp_store_read(a, m->out, SIDE * SIDE * SIZE));
  rp_store *every[] = {a, b, in, of[0], of[1], of[2], of[3]};
  for (int i = 0; i < 7; i++) TRY(rp_store_release(every[i]));
  return RP_OK;
}

static void test_boxes(void **state) {
  (void)state;
  member all[MOST];
  same_on_gpus(all, RANKS, "--cut boxes", boxes, 362 * 362);
  for (int32_t r = 0; r < RANKS; r++) { /* two by two: the rows of half of each array */
    assert_true(all[r].stat[0] > 0);
    assert_in_range(all[r].stat[1], 0, 3 * (WHOLE / 2 + 3 * GRANULE));
  }
  forget(all, RANKS);
}

int main(void) {
  if (!getenv("RPI_EMULATED_CUDA")) return 77;
  begin();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_moves),   cmocka_unit_test(test_spills),
                                     cmocka_unit_test(test_memory),  cmocka_unit_test(test_growth),
                                     cmocka_unit_test(test_beside),  cmocka_unit_test(test_supply),
                                     cmocka_unit_test(test_unbound), cmocka_unit_test(test_boxes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
