/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_emit_cuda.c -- the CUDA text of a kernel, run on the CPU with blocks and threads, computes the
 * interpreter's bits: random kernels; reductions of every operator, dtype and shape; ends and prologues. Without a C
 * compiler nothing is tested. */
#include "tests/support/cuda_bench.h"
#include "tests/support/cuda_kernels.h"
#include "tests/support/kernel_random.h"

static void test_random(void **state) {
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 41;
  random_kernels(false, 12, cuda_compare);
}

static void test_random_loops(void **state) {
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 42;
  random_kernels(true, 8, cuda_compare);
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
                                    {257, 65}, {300, 2100}, {2100, 1}, {33000, 2}};
static const int64_t spaces[][3] = {
    {0, 2, 3},    {2, 0, 3},    {2, 3, 0},   {1, 1, 1},   {3, 5, 7},    {2, 3, 1100}, {4, 70, 2},
    {60, 140, 2}, {3, 2, 9000}, {257, 2, 5}, {40, 30, 3}, {3, 100, 50}, {2800, 3, 2}};

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
  cuda_compare_run(b, cuda_run, code, 1 + bench_below(8),
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
    check_mask(&mask_cases[i], i % 2); /* by turns with a store in the prologue */
}

/* ---- prologues and ends */

/* The same places: a reduction into what the prologue reads and the epilogue reads as it was, and as it is. */
static const char replaced[] = "kernel rank 1\n"
                               "operand @0: f64 affine [zero] read\n"
                               "operand @1: f64 affine [zero] read reduce\n"
                               "operand @2: f64 affine [unit] read\n"
                               "operand @3: f64 affine [zero] write\n"
                               "operand @4: f64 affine [unit] write\n"
                               "reduction #0: max into @1 over 0 join\n"
                               "prologue:\n"
                               "  %0 = load.f64 @0\n"
                               "body:\n"
                               "  %1 = load.f64 @2\n"
                               "  %2 = mul.f64 %1, %0\n"
                               "  store.f64 @4, %2\n"
                               "  reduce.f64 #0, %2\n"
                               "epilogue:\n"
                               "  %5 = load.f64 @1\n"
                               "  %6 = sub.f64 %5, %0\n"
                               "  store.f64 @3, %6\n";

/* No body: what one thread does. An operand stored and loaded again in the prologue and in the epilogue. */
static const char scalars[] = "kernel rank 0\n"
                              "operand @0: f64 affine [] read write\n"
                              "operand @1: i32 affine [] write\n"
                              "scalar $0: f64\n"
                              "prologue:\n"
                              "  %0 = load.f64 @0\n"
                              "  %1 = scalar.f64 $0\n"
                              "  %2 = add.f64 %0, %1\n"
                              "  store.f64 @0, %2\n"
                              "  %4 = load.f64 @0\n"
                              "  %5 = mul.f64 %4, %4\n"
                              "epilogue:\n"
                              "  %6 = load.f64 @0\n"
                              "  %7 = add.f64 %5, %6\n"
                              "  %8 = cast.i32 %7\n"
                              "  store.i32 @1, %8\n";

/* Pairs of operands of one place, each to the left the one that keeps its memory. */
typedef int32_t place_pair[2];

static bench *parsed(const char *text, int64_t n, const place_pair *pairs, int32_t n_pairs) {
  bench *b = calloc(1, sizeof *b);
  if (rpi_ir_parse(text, &b->ir) != RP_OK) fail_msg("%s", rpi_status_message());
  if (rpi_ir_check(&b->ir) != RP_OK) fail_msg("%s", rpi_status_message());
  b->extent[0] = n;
  for (int32_t o = 0; o < b->ir.n_operand; o++)
    for (int32_t d = 0; d < b->ir.rank; d++) b->stride[o][d] = b->ir.operand[o].sclass[d];
  bench_fill(b);
  b->scalar[0] = UINT64_C(0x4008000000000000);
  for (int32_t o = 0; o < b->ir.n_operand; o++)
    if (b->ir.operand[o].dtype == RP_F64) bench_tame(b, o);
  for (int32_t i = 0; i < n_pairs; i++) { /* the memory of the second is given away */
    free(b->memory[pairs[i][1]]);
    memcpy(b->start[pairs[i][1]], b->start[pairs[i][0]], BYTES);
    b->memory[pairs[i][1]] = b->memory[pairs[i][0]];
  }
  return b;
}

static void check_text(const char *text, const place_pair *pairs, int32_t n_pairs) {
  static const int64_t sizes[] = {0, 1, 2, 100, 1024, 8192, 8193, 30001};
  cuda_code code = {0};
  for (int32_t i = 0; i < RPI_COUNT(sizes); i++) {
    bench *b = parsed(text, sizes[i], pairs, n_pairs);
    if (!code.so) code = cuda_compiled(&b->ir, (rpi_cuda_shape){.aligned = cuda_aligned(b)});
    for (int32_t most = 1; most < 8; most += 3)
      cuda_compare_run(b, cuda_run, &code, most, (uint64_t)sizes[i]);
    for (int32_t k = 0; k < n_pairs; k++) b->memory[pairs[k][1]] = NULL;
    bench_free(b);
    free(b);
  }
  dlclose(code.so);
}

static void test_ends(void **state) {
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 44;
  check_text(kernel_update, (const place_pair[]){{0, 11}, {2, 6}, {4, 7}}, 3);
  check_text(replaced, (const place_pair[]){{0, 1}, {2, 4}}, 2);
  check_text(scalars, NULL, 0);
}

/* A prologue so long that a launch of its own makes it: its stores are seen by the body. */
static void test_apart(void **state) {
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 45;
  for (int64_t n = 1; n < 3000; n += 1499) {
    bench *b = malloc(sizeof *b);
    bench_init(b, 1);
    b->extent[0] = n;
    const uint8_t zero[] = {RPI_STRIDE_ZERO};
    const int32_t x = bench_affine(b, RP_F64, RPI_ACCESS_READ | RPI_ACCESS_WRITE, zero);
    rpi_irval v = rpi_ir_emit(&b->ir, RPI_IR_LOAD, RP_F64, (uint64_t)x, 0, NULL);
    for (int32_t i = 0; i < 70; i++)
      v = rpi_ir_emit2(&b->ir, i % 2 ? RPI_IR_ADD : RPI_IR_MUL, RP_F64, v, i % 3 ? v : 0);
    rpi_ir_emit(&b->ir, RPI_IR_STORE, RP_F64, (uint64_t)x, 1, &v);
    b->ir.n_pro = b->ir.n_ins;
    const int32_t y = bench_line(b, RP_F64, RPI_ACCESS_WRITE);
    const rpi_irval again = rpi_ir_emit(&b->ir, RPI_IR_LOAD, RP_F64, (uint64_t)x, 0, NULL);
    const rpi_irval sum = rpi_ir_emit2(&b->ir, RPI_IR_ADD, RP_F64, again, v);
    rpi_ir_emit(&b->ir, RPI_IR_STORE, RP_F64, (uint64_t)y, 1, &sum);
    b->ir.n_body = b->ir.n_ins;
    bench_fill(b);
    rpi_cuda_form form;
    rpi_cuda_form_get(&b->ir, &(rpi_cuda_shape){0}, &form);
    assert_true(form.apart);
    assert_false(form.ends);
    cuda_compare(b, (uint64_t)n);
    bench_free(b);
    free(b);
  }
}

/* More parameters than fit are refused with a sentence. */
static void test_refusal(void **state) {
  (void)state;
  bench *b = parsed(kernel_update, 1, NULL, 0);
  assert_null(rpi_emit_cuda_refusal(&b->ir, &(rpi_cuda_shape){0}, 4096));
  assert_string_equal(rpi_emit_cuda_refusal(&b->ir, &(rpi_cuda_shape){0}, 100),
                      "the kernel has more parameters than a launch on a GPU can pass");
  bench_free(b);
  free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random),     cmocka_unit_test(test_random_loops),
      cmocka_unit_test(test_reductions), cmocka_unit_test(test_ends),
      cmocka_unit_test(test_apart),      cmocka_unit_test(test_refusal)};
  return cmocka_run_group_tests(tests, bench_open, bench_close);
}
