/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_emit_cuda.c -- the CUDA text of a kernel, run on the CPU with blocks and threads, computes the
 * interpreter's bits: random kernels; reductions of every operator, dtype and shape; ends and prologues. Without a C
 * compiler nothing is tested. */
#include "tests/support/cuda_bench.h"
#include "tests/support/kernel_random.h"

static void random_kernels(bool loops, int32_t n) {
  for (int32_t i = 0; i < n; i++) {
    const uint64_t from = bench_seed;
    bench *b = malloc(sizeof *b);
    random_kernel(b, loops);
    for (int32_t r = 0; r < b->ir.n_red; r++) b->ir.red[r].join = (uint8_t)bench_below(2);
    cuda_compare(b, from);
    bench_free(b);
    free(b);
  }
}

static void test_random(void **state) {
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 41;
  random_kernels(false, 30);
}

static void test_random_loops(void **state) {
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 42;
  random_kernels(true, 20);
}

/* ---- reductions: every operator and dtype, over all masks, in spaces around every bound of the tree */

enum { REDS = 5, ROOM = 1 << 15 };

static const struct mask_case {
  int32_t rank;
  uint8_t mask;
} mask_cases[] = {{1, 1}, {2, 2}, {2, 3}, {2, 1}, {3, 4}, {3, 6}, {3, 5}, {3, 7}, {3, 1}, {3, 3}};

static const int64_t lines[] = {0,    1,    31,   32,   33,   63,   64,   65,
                                1023, 1024, 1025, 2049, 8191, 8193, 9217, 60000};
static const int64_t planes[][2] = {{0, 5},    {3, 0},      {1, 1},    {7, 33},   {9, 1},
                                    {300, 3},  {513, 2},    {3, 1025}, {5, 8200}, {2, 17000},
                                    {257, 65}, {300, 2100}, {2100, 1}};
static const int64_t spaces[][3] = {{0, 2, 3},    {2, 0, 3},    {2, 3, 0},   {1, 1, 1},
                                    {3, 5, 7},    {2, 3, 1100}, {4, 70, 2},  {60, 140, 2},
                                    {3, 2, 9000}, {257, 2, 5},  {40, 30, 3}, {3, 100, 50}};

/* The pairs of operator and dtype, one after another. */
static void next_pair(rpi_redop *op, rp_dtype *t) {
  static int32_t at;
  do {
    *op = (rpi_redop)(at % (RPI_RED_ALL + 1));
    *t = (rp_dtype)(at / (RPI_RED_ALL + 1) % RPI_N_DTYPE);
    at += 7;
  } while (!random_red_takes(*op, *t));
}

/* What is reduced: an element of memory, of few rows, and the indices. */
static rpi_irval varied(bench *b, rp_dtype t, int32_t i) {
  rpi_ir *ir = &b->ir;
  uint8_t sclass[RP_MAX_DIM] = {0};
  rpi_irval v = rpi_ir_const_i64(ir, RP_I64, i);
  for (int32_t d = 0; d < ir->rank; d++) {
    const rpi_irval at = rpi_ir_emit(ir, RPI_IR_INDEX, RP_I64, (uint64_t)d, 0, NULL);
    v = rpi_ir_emit2(ir, RPI_IR_ADD, RP_I64,
                     rpi_ir_emit2(ir, RPI_IR_MUL, RP_I64, v, rpi_ir_const_i64(ir, RP_I64, 5)), at);
  }
  v = rpi_ir_emit2(ir, RPI_IR_MOD, RP_I64, v, rpi_ir_const_i64(ir, RP_I64, 7));
  v = rpi_ir_emit1(ir, RPI_IR_CAST, t, v);
  sclass[ir->rank - 1] = i % 3 ? RPI_STRIDE_UNIT : RPI_STRIDE_ANY;
  const int32_t o = bench_affine(b, t, RPI_ACCESS_READ, sclass);
  const rpi_irval x = rpi_ir_emit(ir, RPI_IR_LOAD, t, (uint64_t)o, 0, NULL);
  return rpi_ir_emit2(ir, t == RP_BOOL ? RPI_IR_XOR : RPI_IR_ADD, t, v, x);
}

static void add_reduction(bench *b, uint8_t mask, int32_t i) {
  uint8_t sclass[RP_MAX_DIM] = {0};
  rpi_redop op;
  rp_dtype t;
  next_pair(&op, &t);
  const rpi_irval v = varied(b, t, i);
  for (int32_t d = 0; d < b->ir.rank; d++)
    if (!(mask >> d & 1))
      sclass[d] = d == b->ir.rank - 1 && i % 2 ? RPI_STRIDE_UNIT : RPI_STRIDE_ANY;
  rpi_ir_red r = {.op = (uint8_t)op, .join = (uint8_t)(i / 2 % 2), .mask = mask};
  r.operand = (uint16_t)bench_affine(b, t, RPI_ACCESS_REDUCE, sclass);
  rpi_ir_emit(&b->ir, RPI_IR_REDUCE, t, (uint64_t)rpi_ir_red_add(&b->ir, &r), 1, &v);
}

/* Strides for the extents at hand, of the classes that the operands have. */
static void lay_out(bench *b, uint64_t aligned) {
  for (int32_t o = 0; o < b->ir.n_operand; o++) {
    const rpi_ir_operand *op = &b->ir.operand[o];
    int64_t dense = 1, low = 0;
    for (int32_t d = op->rank - 1; d >= 0; d--) {
      if (op->sclass[d] == RPI_STRIDE_ZERO) continue;
      b->stride[o][d] = op->sclass[d] == RPI_STRIDE_UNIT ? 1 : dense * (1 + bench_below(2));
      dense = b->stride[o][d] * (b->extent[d] > 0 ? b->extent[d] : 1);
      if (op->sclass[d] == RPI_STRIDE_ANY && bench_below(3) == 0 && b->extent[d] > 0) {
        b->stride[o][d] = -b->stride[o][d];
        low += b->stride[o][d] * (b->extent[d] - 1);
      }
    }
    if (dense * 8 > BYTES) fail_msg("operand %d takes %d elements", o, (int)dense);
    b->offset[o] = -low + (aligned >> o & 1 ? 0 : bench_below(3));
  }
}

static void check_space(bench *b, const cuda_code *code, const int64_t *extent) {
  memcpy(b->extent, extent, sizeof *extent * (size_t)b->ir.rank);
  if (rpi_ir_partials(&b->ir, b->extent) > PARTIALS) return;
  lay_out(b, code->shape.aligned);
  cuda_compare_code(b, code, 1 + bench_below(5),
                    (uint64_t)(b->extent[0] * 1000000 + b->extent[b->ir.rank - 1]));
}

static void check_mask(const struct mask_case *m, bool stored) {
  bench *b = malloc(sizeof *b);
  bench_init(b, m->rank);
  for (int32_t d = 0; d < m->rank; d++) b->extent[d] = 1;
  if (stored) { /* a store in the prologue keeps a launch from being direct */
    const uint8_t zero[RP_MAX_DIM] = {0};
    const int32_t o = bench_affine(b, RP_F32, RPI_ACCESS_WRITE, zero);
    const rpi_irval v = rpi_ir_const_f64(&b->ir, RP_F32, 3.5);
    rpi_ir_emit(&b->ir, RPI_IR_STORE, RP_F32, (uint64_t)o, 1, &v);
    b->ir.n_pro = b->ir.n_ins;
  }
  for (int32_t i = 0; i < REDS; i++) add_reduction(b, m->mask, i);
  b->ir.n_body = b->ir.n_ins;
  bench_fill(b);
  if (rpi_ir_check(&b->ir) != RP_OK) fail_msg("%s", rpi_status_message());
  const rpi_cuda_shape shape = {.wide = stored, .aligned = stored ? 0 : UINT64_C(0x5555)};
  const cuda_code code = cuda_compiled(&b->ir, shape);
  for (int32_t i = 0; i < RPI_COUNT(lines) && m->rank == 1; i++) check_space(b, &code, &lines[i]);
  for (int32_t i = 0; i < RPI_COUNT(planes) && m->rank == 2; i++) check_space(b, &code, planes[i]);
  for (int32_t i = 0; i < RPI_COUNT(spaces) && m->rank == 3; i++) check_space(b, &code, spaces[i]);
  dlclose(code.so);
  bench_free(b);
  free(b);
}

static void test_reductions(void **state) {
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 43;
  for (int32_t i = 0; i < RPI_COUNT(mask_cases); i++)
    for (int32_t stored = 0; stored < 2; stored++) check_mask(&mask_cases[i], stored);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random),
                                     cmocka_unit_test(test_random_loops),
                                     cmocka_unit_test(test_reductions)};
  return cmocka_run_group_tests(tests, bench_open, bench_close);
}
