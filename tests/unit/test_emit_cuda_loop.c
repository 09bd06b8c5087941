/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_emit_cuda_loop.c -- inner loops that a warp does together have the interpreter's bits: rows of all
 * lengths around every bound of the order, short ones beside giants, one behind the other or anywhere, with values of
 * their own; in spaces whose ends leave threads without a point. Without a C compiler nothing is tested. */
#include "tests/support/cuda_bench.h"

/* Where rows begin and end is operands 0 and 1; operand 4 is looked up by elements of operand 3. */
#define HEAD(rank, point) \
  "kernel rank " rank "\n" \
  "operand @0: i64 affine [" point "] read\n" \
  "operand @1: i64 affine [" point "] read\n" \
  "operand @2: f64 table [unit] read\n" \
  "operand @3: i32 table [unit] read\n" \
  "operand @4: f64 table [unit] read checked\n"

/* y = A x, and nothing else. */
static const char product[] = HEAD("1", "unit") //
    "operand @5: f64 affine [unit] write\n"
    "body:\n"
    "  %0 = load.i64 @0\n"
    "  %1 = load.i64 @1\n"
    "  %2 = loop.i64 segment, %0, %1\n"
    "    %3 = gather.f64 @2, %2\n"
    "    %4 = gather.i32 @3, %2\n"
    "    %5 = cast.i64 %4\n"
    "    %6 = gather.f64 @4, %5\n"
    "    %7 = mul.f64 %3, %6\n"
    "  %8 = endloop.f64 sum, %7\n"
    "  store.f64 @5, %8\n";

/* Two loops whose elements take values of the row, and where it is; a reduction over all of them. */
static const char own[] = HEAD("1", "unit") //
    "operand @5: f64 affine [unit] write\n"
    "operand @6: f64 affine [unit] read\n"
    "operand @7: f64 affine [zero] reduce\n"
    "operand @8: i64 affine [unit] write\n"
    "reduction #0: sum into @7 over 0\n"
    "prologue:\n"
    "  %0 = const.f64 0.5\n"
    "body:\n"
    "  %1 = load.i64 @0\n"
    "  %2 = load.i64 @1\n"
    "  %3 = load.f64 @6\n"
    "  %4 = mul.f64 %3, %0\n"
    "  %5 = loop.i64 segment, %1, %2\n"
    "    %6 = gather.f64 @2, %5\n"
    "    %7 = load.f64 @6\n"
    "    %8 = mul.f64 %6, %7\n"
    "    %9 = sub.f64 %8, %4\n"
    "    %10 = mul.f64 %9, %0\n"
    "  %11 = endloop.f64 sum, %10\n"
    "  %12 = loop.i64 segment, %1, %2\n"
    "    %13 = gather.i32 @3, %12\n"
    "    %14 = cast.i64 %13\n"
    "    %15 = index.i64 0\n"
    "    %16 = sub.i64 %14, %15\n"
    "  %17 = endloop.i64 max, %16\n"
    "  store.f64 @5, %11\n"
    "  %19 = gather.f64 @4, %17\n"
    "  %20 = mul.f64 %11, %19\n"
    "  store.i64 @8, %17\n"
    "  reduce.f64 #0, %20\n";

/* Two axes; the sums of the first one's rows. A loop over an axis, and what threads do alone. */
static const char planes[] = HEAD("2", "any unit") //
    "operand @5: f32 affine [any unit] write\n"
    "operand @6: f64 affine [zero unit] reduce\n"
    "operand @7: i64 affine [any unit] write\n"
    "operand @8: f64 affine [any unit] write\n"
    "reduction #0: sum into @6 over 0 join\n"
    "body:\n"
    "  %0 = load.i64 @0\n"
    "  %1 = load.i64 @1\n"
    "  %2 = loop.i64 segment, %0, %1\n"
    "    %3 = gather.f64 @2, %2\n"
    "    %4 = cast.f32 %3\n"
    "  %5 = endloop.f32 sum, %4\n"
    "  %6 = loop.i64 axis, %0, %1\n"
    "    %7 = gather.f64 @2, %6\n"
    "  %8 = endloop.f64 sum, %7\n"
    "  %9 = loop.i64 segment, %0, %1\n"
    "    %10 = gather.f64 @2, %9\n"
    "  %11 = endloop.i64 argmin, %10\n"
    "  %12 = const.i64 2\n"
    "  %13 = loop.i64 segment, %12, %12\n"
    "    %14 = loop.i64 segment, %0, %1\n"
    "      %15 = gather.f64 @2, %14\n"
    "    %16 = endloop.f64 sum, %15\n"
    "  %17 = endloop.f64 sum, %16\n"
    "  %18 = add.f64 %8, %17\n"
    "  store.f32 @5, %5\n"
    "  reduce.f64 #0, %18\n"
    "  store.i64 @7, %11\n"
    "  store.f64 @8, %8\n";

/* Two axes, no reduction. */
static const char planes_plain[] = HEAD("2", "any unit") //
    "operand @5: bool affine [any unit] write\n"
    "operand @6: f64 affine [any unit] read\n"
    "operand @7: f64 affine [any unit] write\n"
    "body:\n"
    "  %0 = load.i64 @0\n"
    "  %1 = load.i64 @1\n"
    "  %2 = load.f64 @6\n"
    "  %3 = loop.i64 segment, %0, %1\n"
    "    %4 = gather.f64 @2, %3\n"
    "    %5 = lt.bool %4, %2\n"
    "  %6 = endloop.bool all, %5\n"
    "  store.bool @5, %6\n"
    "  %8 = loop.i64 axis, %0, %1\n"
    "    %9 = gather.f64 @2, %8\n"
    "    %10 = mul.f64 %9, %2\n"
    "  %11 = endloop.f64 sum, %10\n"
    "  store.f64 @7, %11\n";

/* Two axes; sums of the rows of points, and the largest of all. */
static const char across[] = HEAD("2", "any unit") //
    "operand @5: f64 affine [any zero] reduce\n"
    "operand @6: f64 affine [any unit] write\n"
    "operand @7: i64 affine [zero zero] reduce\n"
    "reduction #0: sum into @5 over 1 join\n"
    "reduction #1: max into @7 over 0 1\n"
    "body:\n"
    "  %0 = load.i64 @0\n"
    "  %1 = load.i64 @1\n"
    "  %2 = loop.i64 segment, %0, %1\n"
    "    %3 = gather.i32 @3, %2\n"
    "    %4 = cast.i64 %3\n"
    "    %5 = gather.f64 @4, %4\n"
    "  %6 = endloop.f64 sum, %5\n"
    "  %7 = sub.i64 %1, %0\n"
    "  store.f64 @6, %6\n"
    "  reduce.f64 #0, %6\n"
    "  reduce.i64 #1, %7\n";

enum { ELEMENTS = BYTES / 8 };
typedef enum order { BEHIND, BACKWARDS, SHARED, ANYWHERE } order;

/* A mixture of lengths: of those up to `most`, or around the bounds up to there; `giant`: of one row; `giants`: of so many
 * in a hundred. */
typedef struct mixture {
  int64_t most, giant;
  int32_t giants;
} mixture;
static const mixture usual[] = {{0, 0, 0},  {4, 0, 0},    {5, 0, 0},    {32, 0, 0},    {33, 0, 0},
                                {65, 0, 0}, {1025, 0, 0}, {2049, 0, 0}, {5, 100000, 0}};

static int64_t length_of(const mixture *m) {
  static const int64_t bounds[] = {0, 1, 2, 31, 32, 33, 63, 64, 65, 1023, 1024, 1025, 2048, 2049};
  const int64_t n = bounds[bench_below(RPI_COUNT(bounds))];
  return n <= m->most && bench_below(2) ? n : bench_below((int32_t)m->most + 1);
}

/* Lengths that warps share, and those just not. */
static int64_t giant_length(void) {
  static const int64_t bounds[] = {4096,  4097,  5119,  5121,  8192,
                                   20000, 65535, 65536, 65537, ELEMENTS - 3};
  const int64_t n = bounds[bench_below(RPI_COUNT(bounds))];
  return bench_below(3) ? n : 4000 + bench_below(9000);
}

static bool is_long(const mixture *m) { return m->most > 65; }

/* Writes rows of the mixture into operands 0 and 1: as long as there is room, then empty ones. */
static void lay_rows(bench *b, const mixture *m, order how) {
  int64_t *lo = (int64_t *)b->start[0], *hi = (int64_t *)b->start[1], used = 0, n = 1;
  for (int32_t d = 0; d < b->ir.rank; d++) n *= b->extent[d];
  const int64_t giant = m->giant ? bench_below((int32_t)n) : -1;
  for (int64_t i = 0; i < n; i++) {
    const bool one = m->giants > 0 && bench_below(100) < m->giants;
    const int64_t wanted = one                    ? giant_length()
                           : i == giant           ? m->giant
                           : is_long(m) && i % 16 ? 3
                                                  : length_of(m);
    const int64_t size = used + wanted + (i < giant ? m->giant : 0) <= ELEMENTS ? wanted : 0;
    lo[i] = how == ANYWHERE ? bench_below(ELEMENTS - (int32_t)size + 1) : used;
    hi[i] = lo[i] + size;
    if (how == BACKWARDS) lo[i] = ELEMENTS - used - size, hi[i] = ELEMENTS - used;
    if (how == SHARED && i % 7) lo[i] = lo[i - 1], hi[i] = hi[i - 1];
    used += how == ANYWHERE ? 0 : size;
    if (size == 0 && bench_below(2)) hi[i] -= 3; /* ends before it begins */
  }
}

static void lay_out(bench *b) {
  for (int32_t o = 0; o < b->ir.n_operand; o++) {
    const rpi_ir_operand *op = &b->ir.operand[o];
    int64_t dense = 1;
    for (int32_t d = op->rank - 1; d >= 0; d--) {
      if (op->kind == RPI_OPERAND_TABLE) {
        b->stride[o][d] = 1;
        continue;
      }
      b->stride[o][d] = op->sclass[d] == RPI_STRIDE_ZERO ? 0 : dense;
      dense *= b->extent[d];
    }
  }
}

/* Indices into operand 4: of its extent, or beyond. */
static void lay_indices(bench *b, bool beyond) {
  int32_t *at = (int32_t *)b->start[3];
  b->table[2][0] = b->table[3][0] = ELEMENTS;
  b->table[4][0] = beyond ? 900 : 1000;
  for (int32_t i = 0; i < ELEMENTS; i++) at[i] = bench_below(1000);
}

static void check(const char *text, const int64_t *extents, int32_t n, const mixture *mixtures,
                  int32_t n_mixture, int32_t widths) {
  bench *b = calloc(1, sizeof *b);
  if (rpi_ir_parse(text, &b->ir) != RP_OK || rpi_ir_check(&b->ir) != RP_OK)
    fail_msg("%s", rpi_status_message());
  bench_fill(b);
  for (int32_t o = 2; o < b->ir.n_operand; o++)
    if (b->ir.operand[o].dtype == RP_F64) bench_tame(b, o);
  for (int32_t wide = 0; wide < 2; wide++) {
    if (!(widths >> wide & 1)) continue;
    const cuda_code code = cuda_compiled(&b->ir, (rpi_cuda_shape){.wide = wide});
    for (int32_t i = 0; i < n; i++) {
      const mixture *m = &mixtures[i % n_mixture];
      for (int32_t d = 0; d < b->ir.rank; d++) b->extent[d] = extents[i * b->ir.rank + d];
      lay_out(b);
      lay_rows(b, m, (order)((i / 3 + wide) % (ANYWHERE + 1)));
      lay_indices(b, i % 4 == 3);
      cuda_compare_run(b, cuda_run, &code, i % 3 ? 1 + bench_below(5) : 400, (uint64_t)i);
    }
    dlclose(code.so);
  }
  bench_free(b);
  free(b);
}

static void test_lines(void **state) {
  static const int64_t lines[] = {1,  5,   31,  32,  33,  64,   100, 999, 40,  1,  1024, 1025, 70,
                                  96, 128, 200, 300, 500, 2100, 33,  64,  160, 90, 1500, 33,   64,
                                  31, 7,   2,   257, 320, 400,  65,  129, 1,   48, 50,   1030};
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 61;
  check(product, lines, RPI_COUNT(lines), usual, RPI_COUNT(usual), 3);
  check(own, lines, RPI_COUNT(lines), usual, RPI_COUNT(usual), 3);
}

static void test_planes(void **state) {
  static const int64_t extents[] = {1,  1,  1,   3, 7,  3,    3,   40, 20, 5,  100, 2,
                                    5,  17, 9,   1, 33, 4,    2,   70, 6,  6,  1,   33,
                                    64, 1,  300, 3, 2,  1030, 260, 2,  4,  31, 5,   8};
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 62;
  check(planes, extents, RPI_COUNT(extents) / 2, usual, RPI_COUNT(usual), 3);
  check(planes_plain, extents, RPI_COUNT(extents) / 2, usual, RPI_COUNT(usual), 3);
}

/* Leaves that a warp does, a block, or several: few and many, whole and not, of long rows and short ones. */
static void test_leaves(void **state) {
  static const int64_t lines[] = {3000, 17000, 1024, 2049, 5000, 40000, 33, 16400, 9000};
  static const int64_t extents[] = {2, 1030, 30, 1100, 3, 700, 1, 3000, 20, 5, 5, 2500, 4, 1024};
  static const mixture mixed[] = {{5, 0, 0}, {65, 0, 0}, {40, 0, 0}, {33, 5000, 0}};
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 65;
  check(own, lines, RPI_COUNT(lines), mixed, RPI_COUNT(mixed), 2);
  check(across, extents, RPI_COUNT(extents) / 2, mixed, RPI_COUNT(mixed), 1);
}

/* Rows so long that warps share them: one alone, some among others, more than can be posted at once. Some raise the flag. */
static void test_giants(void **state) {
  static const int64_t lines[] = {1, 2, 31, 40, 300, 1025, 65, 2100, 8, 5};
  static const int64_t extents[] = {1, 1, 3, 7, 40, 2, 1, 100, 300, 3, 5, 70};
  static const mixture mixed[] = {{0, 0, 100}, {5, 0, 3}, {40, 0, 10}, {3, 0, 2}, {1025, 0, 1}};
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 64;
  check(product, lines, RPI_COUNT(lines), mixed, RPI_COUNT(mixed), 1);
  check(planes_plain, extents, RPI_COUNT(extents) / 2, mixed, RPI_COUNT(mixed), 2);
  cuda_parts = 16; /* so parts have several leaves */
  check(own, lines, RPI_COUNT(lines), mixed, RPI_COUNT(mixed), 1);
  check(planes, extents, RPI_COUNT(extents) / 2, mixed, RPI_COUNT(mixed), 2);
  cuda_parts = 0;
}

/* A loop that takes so many values that a thread does it alone. */
static void test_taken(void **state) {
  static const int64_t lines[] = {1, 5, 31, 33, 64, 70, 100, 300};
  enum { VALUES = 70 };
  rpi_strbuf text;
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 63;
  rpi_strbuf_init(&text);
  rpi_strbuf_add(&text, HEAD("1", "unit") "operand @5: f64 affine [unit] write\nbody:\n"
                                          "  %0 = load.i64 @0\n  %1 = load.i64 @1\n"
                                          "  %2 = cast.f64 %0\n");
  for (int32_t i = 0; i < VALUES; i++)
    rpi_strbuf_addf(&text, "  %%%d = sqrt.f64 %%%d\n", 3 + i, 2 + i);
  rpi_strbuf_addf(&text, "  %%%d = loop.i64 segment, %%0, %%1\n", 3 + VALUES);
  rpi_strbuf_addf(&text, "    %%%d = gather.f64 @2, %%%d\n", 4 + VALUES, 3 + VALUES);
  for (int32_t i = 0; i < VALUES; i++)
    rpi_strbuf_addf(&text, "    %%%d = add.f64 %%%d, %%%d\n", 5 + VALUES + i, 4 + VALUES + i,
                    3 + i);
  rpi_strbuf_addf(&text, "  %%%d = endloop.f64 sum, %%%d\n", 5 + 2 * VALUES, 4 + 2 * VALUES);
  rpi_strbuf_addf(&text, "  store.f64 @5, %%%d\n", 5 + 2 * VALUES);
  check(rpi_strbuf_str(&text), lines, RPI_COUNT(lines), usual, RPI_COUNT(usual), 3);
  rpi_strbuf_deinit(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_planes),
                                     cmocka_unit_test(test_leaves), cmocka_unit_test(test_giants),
                                     cmocka_unit_test(test_taken)};
  return cmocka_run_group_tests(tests, bench_open, bench_close);
}
