/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_finish.c -- trees, kept and reduced axes, joins, empty spaces, on partials made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "jit/finish.h"
#include "tests/support/sum_order.h"

static uint64_t seed = 99;
static double rnd_f64(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (double)(seed >> 40) / 1000.0 - 8000.0;
}

/* Level by level, as finish.h words it. */
static void test_tree(void **state) {
  (void)state;
  for (int64_t n = 1; n < 200; n++) {
    double v[200], w[200];
    for (int64_t i = 0; i < n; i++) v[i] = w[i] = rnd_f64();
    rpi_finish_tree(RPI_RED_SUM, RP_F64, v, n);
    assert_true(v[0] == sum_tree(w, n));
  }
  int8_t a[3] = {100, 100, -1};
  rpi_finish_tree(RPI_RED_SUM, RP_I8, a, 3);
  assert_int_equal(a[0], -57);
  uint8_t b[4] = {0, 0, 1, 0};
  rpi_finish_tree(RPI_RED_ANY, RP_BOOL, b, 4);
  assert_int_equal(b[0], 1);
  float m[3] = {1, -__builtin_inff(), 0};
  m[2] = __builtin_nanf("");
  rpi_finish_tree(RPI_RED_MIN, RP_F32, m, 3);
  assert_true(m[0] != m[0]);
}

/* A space of A x B x C x N; every mask. Partials are random; destinations are laid out densely over
 * the kept axes. */
enum { A = 3, B = 4, C = 5 };
static void finish_mask(int32_t mask, int64_t n, int32_t join) {
  const int64_t extent[4] = {A, B, C, n};
  const bool leaf = mask >> 3 & 1;
  rpi_ir ir;
  rpi_ir_init(&ir, 4);
  rpi_ir_operand o = {.dtype = RP_F64, .rank = 4, .access = RPI_ACCESS_REDUCE};
  for (int32_t d = 0; d < 4; d++) o.sclass[d] = mask >> d & 1 ? RPI_STRIDE_ZERO : RPI_STRIDE_ANY;
  rpi_ir_operand_add(&ir, &o);
  const rpi_ir_red r = {
      .operand = 0, .op = RPI_RED_SUM, .join = (uint8_t)join, .mask = (uint8_t)mask};
  rpi_ir_red_add(&ir, &r);
  rpi_ir_layout l;
  rpi_ir_layout_get(&ir, &l);
  rpi_word *w = calloc((size_t)l.n_words, sizeof *w);
  int64_t stride[4], kept = 1;
  for (int32_t d = 3; d >= 0; d--) {
    stride[d] = mask >> d & 1 ? 0 : kept;
    if (stride[d] != 0) kept *= extent[d];
    w[l.extent + d].i = extent[d], w[rpi_ir_layout_stride(&ir, &l, 0) + d].i = stride[d];
  }
  const int64_t np = rpi_ir_partials(&ir, extent);
  double *partial = malloc(sizeof(double) * (size_t)np),
         *copy = malloc(sizeof(double) * (size_t)np);
  double *out = malloc(sizeof(double) * (size_t)kept), *old = malloc(sizeof(double) * (size_t)kept);
  for (int64_t i = 0; i < np; i++) partial[i] = copy[i] = rnd_f64();
  for (int64_t i = 0; i < kept; i++) out[i] = old[i] = rnd_f64();
  w[l.ptr].p = out, w[l.partial].p = partial;
  rpi_finish_all(&ir, &l, w);
  const int64_t leaves = (n + RPI_LEAF - 1) / RPI_LEAF, rows = A * B * C;
  for (int64_t k = 0; k < kept; k++) {
    double value[A * B * C], want;
    int64_t m = 0;
    if (leaf) {
      for (int64_t row = 0; row < rows; row++) {
        const int64_t x[3] = {row / (B * C), row / C % B, row % C};
        if (x[0] * stride[0] + x[1] * stride[1] + x[2] * stride[2] != k) continue;
        value[m++] = sum_tree(copy + row * leaves, leaves);
      }
      want = sum_tree(value, m);
    } else { /* few rows: one leaf of 256 */
      want = copy[k];
    }
    assert_true(out[k] == (join ? want + old[k] : want));
  }
  free(partial), free(copy), free(out), free(old), free(w);
  rpi_ir_deinit(&ir);
}
static void test_masks(void **state) {
  (void)state;
  static const int64_t sizes[] = {1, 1024, 1025, 5000};
  static const int32_t prefix[] = {1, 3, 7};
  for (int32_t z = 0; z < 4; z++)
    for (int32_t join = 0; join < 2; join++) {
      for (int32_t mask = 8; mask < 16; mask++) finish_mask(mask, sizes[z], join);
      for (int32_t p = 0; p < 3; p++) finish_mask(prefix[p], sizes[z], join);
    }
}

/* ROW mode with many leaves of rows, and a space without points. */
static void test_rows(void **state) {
  (void)state;
  enum { N = 7, F = 256 * 5 + 3 };
  rpi_ir ir;
  rpi_ir_init(&ir, 2);
  const rpi_ir_operand o = {
      .dtype = RP_F64, .rank = 2, .access = RPI_ACCESS_REDUCE, .sclass = {0, RPI_STRIDE_UNIT}};
  rpi_ir_operand_add(&ir, &o);
  const rpi_ir_red r = {.operand = 0, .op = RPI_RED_SUM, .join = 0, .mask = 1};
  rpi_ir_red_add(&ir, &r);
  rpi_ir_layout l;
  rpi_ir_layout_get(&ir, &l);
  rpi_word *w = calloc((size_t)l.n_words, sizeof *w);
  double partial[6 * N], copy[6 * N], out[N];
  for (int32_t i = 0; i < 6 * N; i++) partial[i] = copy[i] = rnd_f64();
  w[l.extent].i = F, w[l.extent + 1].i = N, w[l.ptr].p = out, w[l.partial].p = partial;
  w[rpi_ir_layout_stride(&ir, &l, 0) + 1].i = 1;
  rpi_finish_all(&ir, &l, w);
  for (int32_t i = 0; i < N; i++) {
    double v[6];
    for (int32_t f = 0; f < 6; f++) v[f] = copy[f * N + i];
    assert_true(out[i] == sum_tree(v, 6));
  }
  w[l.extent].i = 0;
  rpi_finish_all(&ir, &l, w);
  for (int32_t i = 0; i < N; i++) assert_true(out[i] == 0 && !__builtin_signbit(out[i]));
  free(w);
  rpi_ir_deinit(&ir);
}

/* ROW mode with a whole number of leaves: no leaf more than there are. */
static void test_whole_leaves(void **state) {
  (void)state;
  for (int32_t leaves = 1; leaves < 5; leaves++) {
    rpi_ir ir;
    rpi_ir_init(&ir, 2);
    const rpi_ir_operand o = {
        .dtype = RP_F64, .rank = 2, .access = RPI_ACCESS_REDUCE, .sclass = {0, RPI_STRIDE_UNIT}};
    rpi_ir_operand_add(&ir, &o);
    rpi_ir_red_add(&ir, &(rpi_ir_red){.operand = 0, .op = RPI_RED_SUM, .mask = 1});
    rpi_ir_layout l;
    rpi_ir_layout_get(&ir, &l);
    rpi_word *w = calloc((size_t)l.n_words, sizeof *w);
    double partial[6], copy[6], out = 0;
    for (int32_t i = 0; i < 6; i++) partial[i] = copy[i] = rnd_f64();
    w[l.extent].i = leaves * RPI_ROW_LEAF, w[l.extent + 1].i = 1;
    w[l.ptr].p = &out, w[l.partial].p = partial;
    w[rpi_ir_layout_stride(&ir, &l, 0) + 1].i = 1;
    rpi_finish_all(&ir, &l, w);
    assert_true(out == sum_tree(copy, leaves));
    free(w);
    rpi_ir_deinit(&ir);
  }
}

/* One axis, as in every dot product: all its reductions, of several widths, with and without an old value;
 * nothing is written beside the destinations. */
static void test_line(void **state) {
  (void)state;
  enum { N = 3 * RPI_LEAF + 5, LEAVES = 4 };
  rpi_ir ir;
  rpi_ir_init(&ir, 1);
  static const uint8_t dtype[] = {RP_F64, RP_F32, RP_I8, RP_F64};
  for (int32_t r = 0; r < 4; r++) {
    rpi_ir_operand_add(
        &ir, &(rpi_ir_operand){.dtype = dtype[r], .rank = 1, .access = RPI_ACCESS_REDUCE});
    rpi_ir_red_add(
        &ir, &(rpi_ir_red){.operand = (uint16_t)r, .op = RPI_RED_SUM, .join = r == 3, .mask = 1});
  }
  rpi_ir_layout l;
  rpi_ir_layout_get(&ir, &l);
  rpi_word *w = calloc((size_t)l.n_words, sizeof *w);
  double f64[LEAVES] = {0.1, 0.2, 0.3, 1e17}, other[LEAVES] = {1, 2, 3, 4}, out[2] = {7, 7},
         joined[2] = {0.5, 7};
  float f32[LEAVES] = {0.1f, 0.2f, 0.3f, 1e8f}, out4[2] = {7, 7};
  int8_t i8[LEAVES] = {100, 100, 1, 1}, out1[2] = {7, 7};
  const double want = sum_tree(f64, LEAVES);
  const float want4 = (f32[0] + f32[1]) + (f32[2] + f32[3]);
  void *const to[] = {out, out4, out1, joined}, *const from[] = {f64, f32, i8, other};
  w[l.extent].i = N;
  for (int32_t r = 0; r < 4; r++) w[l.ptr + r].p = to[r], w[l.partial + r].p = from[r];
  rpi_finish_all(&ir, &l, w);
  assert_true(out[0] == want && out[1] == 7);
  assert_true(out4[0] == want4 && out4[1] == 7);
  assert_int_equal(out1[0], (int8_t)202);
  assert_int_equal(out1[1], 7);
  assert_true(joined[0] == 10.5 && joined[1] == 7);
  free(w);
  rpi_ir_deinit(&ir);
}

/* No kept index: nothing is written, though something could be reduced. */
static void test_nothing_kept(void **state) {
  (void)state;
  rpi_ir ir;
  rpi_ir_init(&ir, 2);
  const rpi_ir_operand o = {
      .dtype = RP_F64, .rank = 2, .access = RPI_ACCESS_REDUCE, .sclass = {RPI_STRIDE_ANY, 0}};
  rpi_ir_operand_add(&ir, &o);
  rpi_ir_red_add(&ir, &(rpi_ir_red){.operand = 0, .op = RPI_RED_SUM, .mask = 2});
  rpi_ir_layout l;
  rpi_ir_layout_get(&ir, &l);
  rpi_word *w = calloc((size_t)l.n_words, sizeof *w);
  double out = 7, partial = 1;
  w[l.extent].i = 0, w[l.extent + 1].i = 5, w[l.ptr].p = &out, w[l.partial].p = &partial;
  w[rpi_ir_layout_stride(&ir, &l, 0)].i = 1;
  rpi_finish_all(&ir, &l, w);
  assert_true(out == 7);
  free(w);
  rpi_ir_deinit(&ir);
}

static void test_combine(void **state) {
  (void)state;
  double a = 3, b = 4;
  rpi_finish_combine(RPI_RED_SUM, RP_F64, &a, &b, 1);
  assert_true(a == 7 && b == 4);
  rpi_finish_combine(RPI_RED_PROD, RP_F64, &a, &b, 1);
  assert_true(a == 28);
  rpi_finish_combine(RPI_RED_MIN, RP_F64, &a, &b, 1);
  assert_true(a == 4);
  uint16_t x = 0x0ff0, y = 0x1234;
  rpi_finish_combine(RPI_RED_XOR, RP_U16, &x, &y, 1);
  assert_int_equal(x, 0x0ff0 ^ 0x1234);
  rpi_finish_combine(RPI_RED_AND, RP_U16, &x, &y, 1);
  assert_int_equal(x, (0x0ff0 ^ 0x1234) & 0x1234);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tree),    cmocka_unit_test(test_masks),
      cmocka_unit_test(test_rows),    cmocka_unit_test(test_whole_leaves),
      cmocka_unit_test(test_line),    cmocka_unit_test(test_nothing_kept),
      cmocka_unit_test(test_combine),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
