/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_emit_c_body.c -- a kernel run box by box, with an origin for each, gives the bits of the
 * whole at once, interpreted and compiled; indices are also counted here. Without a compiler the
 * interpreter alone is tested. */
#include "tests/support/kernel_bench.h"

enum { CUTS = 8 };

static const int64_t shapes[][3] = {{3},       {67},       {5003},      {5, 70},
                                    {3, 2055}, {2, 3, 45}, {3, 2, 1029}};

static int32_t rank_of(const int64_t *shape) { return shape[1] == 0 ? 1 : shape[2] == 0 ? 2 : 3; }

static rpi_irval index_of(rpi_ir *ir, int32_t axis) {
  return rpi_ir_emit(ir, RPI_IR_INDEX, RP_I64, (uint64_t)axis, 0, NULL);
}

static rpi_irval index_f64(rpi_ir *ir, int32_t axis) {
  return rpi_ir_emit1(ir, RPI_IR_CAST, RP_F64, index_of(ir, axis));
}

static rpi_irval constant(rpi_ir *ir, int64_t v) { return rpi_ir_const_i64(ir, RP_I64, v); }

/* An operand without zero strides; of its last axis `last`. */
static int32_t box_operand(bench *b, rp_dtype t, uint8_t access, uint8_t last) {
  uint8_t sclass[RP_MAX_DIM] = {RPI_STRIDE_ANY, RPI_STRIDE_ANY, RPI_STRIDE_ANY};
  sclass[b->ir.rank - 1] = last;
  return bench_affine(b, t, access, sclass);
}

static void put(bench *b, rpi_irval v, uint8_t last) {
  const rp_dtype t = b->ir.ins[v].dtype;
  const int32_t o = box_operand(b, t, RPI_ACCESS_WRITE, last);
  rpi_ir_emit(&b->ir, RPI_IR_STORE, t, (uint64_t)o, 1, &v);
}

static rpi_irval take(bench *b, uint8_t last) {
  const int32_t o = box_operand(b, RP_F64, RPI_ACCESS_READ, last);
  return rpi_ir_emit(&b->ir, RPI_IR_LOAD, RP_F64, (uint64_t)o, 0, NULL);
}

/* ---- the kernels ----------------------------------------------------------------------------- */

/* Operand d is the index on axis d. Then z = exp(x) + index(-1), in vectors side by side, past the caches
 * if the space is large; and the product of all indices, in steps. */
static void plain(bench *b) {
  rpi_ir *ir = &b->ir;
  for (int32_t d = 0; d < ir->rank; d++)
    put(b, index_of(ir, d), d % 2 ? RPI_STRIDE_ANY : RPI_STRIDE_UNIT);
  const rpi_irval x = take(b, RPI_STRIDE_UNIT);
  put(b,
      rpi_ir_emit2(ir, RPI_IR_ADD, RP_F64, rpi_ir_emit1(ir, RPI_IR_EXP, RP_F64, x),
                   index_f64(ir, ir->rank - 1)),
      RPI_STRIDE_UNIT);
  rpi_irval all = take(b, RPI_STRIDE_ANY);
  for (int32_t d = 0; d < ir->rank; d++)
    all = rpi_ir_emit2(ir, RPI_IR_MUL, RP_F64, all, index_f64(ir, d));
  put(b, all, RPI_STRIDE_ANY);
}

/* sum(k in lo..hi) table[k] * (k - the indices), the indices asked for inside. */
static rpi_irval inner_sum(bench *b, rpi_looprule rule, rpi_irval lo, rpi_irval hi) {
  rpi_ir *ir = &b->ir;
  const int32_t t = bench_table(b, RP_F64, false, true, 4000);
  const rpi_irval k =
      rpi_ir_emit(ir, RPI_IR_LOOP, RP_I64, (uint64_t)rule, 2, (rpi_irval[]){lo, hi});
  rpi_irval v = k;
  for (int32_t d = 0; d < ir->rank; d++)
    v = rpi_ir_emit2(ir, RPI_IR_SUB, RP_I64, v, index_of(ir, d));
  v = rpi_ir_emit2(ir, RPI_IR_MUL, RP_F64, rpi_ir_emit1(ir, RPI_IR_CAST, RP_F64, v),
                   rpi_ir_emit(ir, RPI_IR_GATHER, RP_F64, (uint64_t)t, 1, &k));
  return rpi_ir_emit(ir, RPI_IR_ENDLOOP, RP_F64, RPI_RED_SUM, 1, &v);
}

/* Operand d as above, tables read at the indices, and inner loops as long as indices say. */
static void inner(bench *b, bool checked) {
  rpi_ir *ir = &b->ir;
  const int32_t last = ir->rank - 1;
  for (int32_t d = 0; d < ir->rank; d++) put(b, index_of(ir, d), RPI_STRIDE_UNIT);
  for (int32_t d = 0; d < ir->rank; d++) {
    const int32_t t = bench_table(b, RP_F64, checked, d % 2 == 0, b->extent[d]);
    const rpi_irval at = index_of(ir, d);
    put(b, rpi_ir_emit(ir, RPI_IR_GATHER, RP_F64, (uint64_t)t, 1, &at), RPI_STRIDE_UNIT);
  }
  const rpi_irval lo = rpi_ir_emit2(ir, RPI_IR_MOD, RP_I64, index_of(ir, last), constant(ir, 7));
  const rpi_irval some = rpi_ir_emit2(ir, RPI_IR_MOD, RP_I64, index_of(ir, 0), constant(ir, 40));
  const rpi_irval hi = rpi_ir_emit2(ir, RPI_IR_ADD, RP_I64, lo, some);
  put(b, inner_sum(b, RPI_LOOP_SEGMENT, lo, hi), RPI_STRIDE_UNIT);
  const rpi_irval far = rpi_ir_emit2(ir, RPI_IR_MOD, RP_I64, index_of(ir, last), constant(ir, 70));
  put(b, inner_sum(b, RPI_LOOP_AXIS, constant(ir, 2), far), RPI_STRIDE_ANY);
}

static bench *make(const int64_t *shape, int32_t kind) {
  bench *b = malloc(sizeof *b);
  bench_init(b, rank_of(shape));
  memcpy(b->extent, shape, sizeof *shape * (size_t)b->ir.rank);
  if (kind == 0)
    plain(b);
  else
    inner(b, kind == 2);
  b->ir.n_body = b->ir.n_ins;
  bench_fill(b);
  for (int32_t o = 0; o < b->ir.n_operand; o++)
    if (b->ir.operand[o].dtype == RP_F64) bench_tame(b, o);
  if (rpi_ir_check(&b->ir) != RP_OK) fail_msg("%s", rpi_status_message());
  return b;
}

/* ---- boxes ----------------------------------------------------------------------------------- */

/* The box lo..hi-1 of the space, with its pointers and its origin `far` further on. `large`: the first
 * extent is said to be so large that what is written goes past the caches. */
static void run_box(bench *b, const rpi_kernel_code *code, const int64_t *lo, const int64_t *hi,
                    int64_t far, bool large) {
  int64_t extent[RP_MAX_DIM], offset[MAX_OPERANDS];
  memcpy(extent, b->extent, sizeof extent);
  memcpy(offset, b->offset, sizeof offset);
  for (int32_t d = 0; d < b->ir.rank; d++) {
    b->extent[d] = hi[d] - lo[d];
    b->origin[d] = lo[d] + far;
    for (int32_t o = 0; o < b->ir.n_operand; o++)
      if (b->ir.operand[o].kind == RPI_OPERAND_AFFINE) b->offset[o] += lo[d] * b->stride[o][d];
  }
  bench_bind(b);
  if (large) b->w[b->l.extent].i = INT64_C(1) << 40;
  bench_units(b, code);
  memcpy(b->extent, extent, sizeof extent);
  memcpy(b->offset, offset, sizeof offset);
}

/* Where an axis of n is cut: once in a vector, and boxes that begin and end on both sides of leaves. */
static int32_t cuts_of(int64_t n, int64_t *cut) {
  static const int64_t wanted[] = {0, 1, 6, 1022, 1030, 3100, 4999};
  int32_t k = 0;
  for (int32_t i = 0; i < RPI_COUNT(wanted); i++)
    if (wanted[i] < n) cut[k++] = wanted[i];
  cut[k] = n;
  return k;
}

static void run_boxes(bench *b, const rpi_kernel_code *code, int64_t far, bool large) {
  int64_t cut[3][CUTS] = {{0, 1}, {0, 1}, {0, 1}};
  int32_t n[3] = {1, 1, 1}, at[3];
  bench_reset(b);
  for (int32_t d = 0; d < b->ir.rank; d++) n[d] = cuts_of(b->extent[d], cut[d]);
  for (at[0] = n[0] - 1; at[0] >= 0; at[0]--)
    for (at[1] = 0; at[1] < n[1]; at[1]++)
      for (at[2] = 0; at[2] < n[2]; at[2]++) {
        int64_t lo[3], hi[3];
        for (int32_t d = 0; d < 3; d++) lo[d] = cut[d][at[d]], hi[d] = cut[d][at[d] + 1];
        run_box(b, code, lo, hi, far, large);
      }
}

/* The first operands are the indices, `far` further on. */
static void check_indices(const bench *b, int64_t far) {
  const int64_t n1 = b->ir.rank > 1 ? b->extent[1] : 1, n2 = b->ir.rank > 2 ? b->extent[2] : 1;
  for (int32_t o = 0; o < b->ir.rank; o++)
    for (int64_t p = 0; p < b->extent[0] * n1 * n2; p++) {
      const int64_t at[] = {p / n2 / n1, p / n2 % n1, p % n2};
      int64_t offset = b->offset[o];
      for (int32_t d = 0; d < b->ir.rank; d++) offset += at[d] * b->stride[o][d];
      assert_int_equal(((const int64_t *)b->memory[o])[offset], at[o] + far);
    }
}

static void same_memory(const bench *b, unsigned char *const *want, const char *what) {
  for (int32_t o = 0; o < b->ir.n_operand; o++) {
    const rp_dtype t = b->ir.operand[o].dtype;
    const int64_t n = BYTES / rpi_dtype_size(t), i = bench_differs(t, want[o], b->memory[o], n);
    if (i < n) bench_fail(b, what, o, i - b->offset[o], (uint64_t)b->extent[0]);
  }
}

/* `want`: what the whole leaves, kept from the first code on. */
static void check_code(bench *b, const rpi_kernel_code *code, unsigned char **want, int32_t kind) {
  const int64_t zero[3] = {0};
  bench_reset(b);
  run_box(b, code, zero, b->extent, 0, false);
  check_indices(b, 0);
  for (int32_t o = 0; o < b->ir.n_operand && !want[o]; o++)
    memcpy(want[o] = malloc(BYTES), b->memory[o], BYTES);
  same_memory(b, want, "whole: operand");
  for (int32_t large = 0; large <= (kind == 0 && b->ir.rank > 1); large++) {
    run_boxes(b, code, 0, large);
    check_indices(b, 0);
    same_memory(b, want, "boxes: operand");
  }
  assert_int_equal(b->flag, 0);
  if (kind == 1) return; /* trusts its indices */
  run_boxes(b, code, INT64_C(5) << 33, false);
  check_indices(b, INT64_C(5) << 33);
  assert_int_equal(b->flag, kind == 2); /* clamped, as they lie behind the tables */
}

/* All shapes; the code of a rank serves all of them. */
static void check_shapes(int32_t kind, int32_t level) {
  rpi_kernel_code code = {0};
  for (int32_t s = 0, rank = 0; s < RPI_COUNT(shapes); s++) {
    unsigned char *want[MAX_OPERANDS] = {0};
    rpi_interp *interp = NULL;
    bench *b = make(shapes[s], kind);
    assert_int_equal(rpi_interp_create(&b->ir, level, &interp), RP_OK);
    check_code(b, rpi_interp_code(interp), want, kind);
    if (bench_cc && b->ir.rank != rank) code = bench_compiled(&b->ir);
    if (bench_cc) check_code(b, &code, want, kind);
    rank = b->ir.rank;
    for (int32_t o = 0; o < MAX_OPERANDS; o++) free(want[o]);
    rpi_interp_free(interp);
    bench_free(b);
    free(b);
  }
}

static void test_plain(void **state) {
  (void)state;
  check_shapes(0, RPI_VECTOR_AVX2);
}

static void test_inner(void **state) {
  (void)state;
  check_shapes(1, RPI_VECTOR_AVX2);
}

static void test_checked(void **state) {
  (void)state;
  check_shapes(2, RPI_VECTOR_AVX2);
}

static void test_avx512(void **state) {
  (void)state;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
      !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl"))
    skip();
  rpi_cc *const usual = bench_cc;
  bench_level = RPI_VECTOR_AVX512;
  assert_int_equal(rpi_cc_create("", bench_level, &bench_cc), RP_OK);
  check_shapes(0, bench_level);
  check_shapes(2, bench_level);
  rpi_cc_free(bench_cc);
  bench_cc = usual;
  bench_level = RPI_VECTOR_AVX2;
}

/* ---- partials -------------------------------------------------------------------------------- */

/* sum x * (index(0) - 3*index(-1)) over the first axis (`rows`) or over the last. */
static bench *make_sum(const int64_t *shape, bool rows) {
  bench *b = malloc(sizeof *b);
  bench_init(b, rank_of(shape));
  rpi_ir *ir = &b->ir;
  const int32_t last = ir->rank - 1;
  uint8_t sclass[RP_MAX_DIM] = {RPI_STRIDE_ANY, RPI_STRIDE_ANY, RPI_STRIDE_ANY};
  memcpy(b->extent, shape, sizeof *shape * (size_t)ir->rank);
  if (rows) sclass[last] = RPI_STRIDE_UNIT;
  sclass[rows ? 0 : last] = RPI_STRIDE_ZERO;
  const rpi_ir_red red = {.operand = (uint16_t)bench_affine(b, RP_F64, RPI_ACCESS_REDUCE, sclass),
                          .op = RPI_RED_SUM,
                          .mask = (uint8_t)(rows ? 1 : 1 << last)};
  const rpi_irval at =
      rpi_ir_emit2(ir, RPI_IR_SUB, RP_I64, index_of(ir, 0),
                   rpi_ir_emit2(ir, RPI_IR_MUL, RP_I64, index_of(ir, last), constant(ir, 3)));
  const rpi_irval v = rpi_ir_emit2(ir, RPI_IR_MUL, RP_F64, take(b, RPI_STRIDE_UNIT),
                                   rpi_ir_emit1(ir, RPI_IR_CAST, RP_F64, at));
  rpi_ir_red_add(ir, &red);
  rpi_ir_emit(ir, RPI_IR_REDUCE, RP_F64, 0, 1, &v);
  ir->n_body = ir->n_ins;
  bench_fill(b);
  bench_tame(b, 1);
  if (rpi_ir_check(ir) != RP_OK) fail_msg("%s", rpi_status_message());
  return b;
}

/* Partials of the box are those of the whole: of rows and leaves, or of row leaves and columns. */
static void check_sum(bench *b, const rpi_kernel_code *code, bool rows, const int64_t *lo,
                      const int64_t *hi, double *want) {
  const int32_t last = b->ir.rank - 1;
  const int64_t zero[3] = {0}, step = rows ? 1 : RPI_LEAF;
  const int64_t wide = (b->extent[last] + step - 1) / step,
                narrow = (hi[last] - lo[last] + step - 1) / step;
  const int64_t n = rows        ? (b->extent[0] + RPI_ROW_LEAF - 1) / RPI_ROW_LEAF
                    : last == 0 ? 1
                                : hi[0] - lo[0];
  bench_reset(b);
  run_box(b, code, zero, b->extent, 0, false);
  if (want[0] == 0) memcpy(want, b->partial[0], PARTIALS * 8); /* of the first code */
  assert_memory_equal(want, b->partial[0], PARTIALS * 8);
  bench_reset(b);
  run_box(b, code, lo, hi, 0, false);
  for (int64_t r = 0; r < n; r++)
    assert_memory_equal((double *)b->partial[0] + r * narrow,
                        want + (rows || last == 0 ? r : lo[0] + r) * wide + lo[last] / step,
                        (size_t)narrow * 8);
}

static void test_partials(void **state) {
  static const struct {
    int64_t shape[3], lo[3], hi[3];
    bool rows;
  } cases[] = {{{5003}, {1024}, {4096}, false},
               {{5003}, {2048}, {5003}, false},
               {{4, 2055}, {1, 1024}, {4, 2055}, false},
               {{300, 37}, {0, 5}, {300, 18}, true},
               {{3, 1500}, {0, 1001}, {3, 1500}, true}};
  (void)state;
  for (int32_t k = 0; k < RPI_COUNT(cases); k++) {
    double *want = calloc(PARTIALS, 8);
    rpi_interp *interp = NULL;
    bench *b = make_sum(cases[k].shape, cases[k].rows);
    assert_int_equal(rpi_interp_create(&b->ir, RPI_VECTOR_AVX2, &interp), RP_OK);
    check_sum(b, rpi_interp_code(interp), cases[k].rows, cases[k].lo, cases[k].hi, want);
    if (bench_cc) {
      const rpi_kernel_code code = bench_compiled(&b->ir);
      check_sum(b, &code, cases[k].rows, cases[k].lo, cases[k].hi, want);
    }
    free(want);
    rpi_interp_free(interp);
    bench_free(b);
    free(b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plain),   cmocka_unit_test(test_inner),
      cmocka_unit_test(test_checked), cmocka_unit_test(test_partials),
      cmocka_unit_test(test_avx512),
  };
  return cmocka_run_group_tests(tests, bench_open, bench_close);
}
