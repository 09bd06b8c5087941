/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_emit_c.c -- generated C, compiled by the system's compiler, gives the bits of the
 * interpreter and, for some kernels, of plain loops written here. Without a compiler everything
 * that needs one is skipped. REPRISE_EMIT_CASES sets the number of random kernels,
 * REPRISE_GOLDEN=update rewrites the golden texts. */
#include "tests/support/kernel_random.h"
#include "tests/support/sum_order.h"

/* ---- random kernels -------------------------------------------------------------------------- */

static void random_cases(bool loops, int32_t default_n, uint64_t first) {
  const char *knob = getenv("REPRISE_EMIT_CASES");
  const int32_t n = knob ? atoi(knob) : default_n;
  if (!bench_cc) skip();
  for (int32_t i = 0; i < n; i++) {
    bench *b = malloc(sizeof *b);
    const uint64_t from = bench_seed = first + (uint64_t)i * 7919;
    random_kernel(b, loops);
    bench_compare(b, from);
    bench_free(b);
    free(b);
  }
}

static void test_random(void **state) {
  (void)state;
  random_cases(false, 2, 0x1b123); /* the first has tgamma of a constant */
}

static void test_random_loops(void **state) {
  (void)state;
  random_cases(true, 1, 1000003);
}

/* ---- plain loops as oracle ------------------------------------------------------------------- */

/* y = a*x + y; s += y*y. */
static void axpy_dot(bench *b, int64_t n) {
  bench_init(b, 1);
  rpi_ir *ir = &b->ir;
  const uint8_t zero[] = {RPI_STRIDE_ZERO};
  b->extent[0] = n;
  const int32_t x = bench_line(b, RP_F64, RPI_ACCESS_READ),
                y = bench_line(b, RP_F64, RPI_ACCESS_READ | RPI_ACCESS_WRITE);
  const rpi_ir_red red = {.operand = (uint16_t)bench_affine(b, RP_F64, RPI_ACCESS_REDUCE, zero),
                          .mask = 1};
  const double a = 0.75;
  memcpy(&b->scalar[0], &a, 8);
  rpi_ir_scalar_add(ir, RP_F64);
  const rpi_irval s = rpi_ir_emit(ir, RPI_IR_SCALAR, RP_F64, 0, 0, NULL);
  ir->n_pro = 1;
  const rpi_irval vx = rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, (uint64_t)x, 0, NULL);
  const rpi_irval vy = rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, (uint64_t)y, 0, NULL);
  const rpi_irval z =
      rpi_ir_emit2(ir, RPI_IR_ADD, RP_F64, rpi_ir_emit2(ir, RPI_IR_MUL, RP_F64, s, vx), vy);
  const rpi_irval q = rpi_ir_emit2(ir, RPI_IR_MUL, RP_F64, z, z);
  rpi_ir_emit(ir, RPI_IR_STORE, RP_F64, (uint64_t)y, 1, &z);
  rpi_ir_red_add(ir, &red);
  rpi_ir_emit(ir, RPI_IR_REDUCE, RP_F64, 0, 1, &q);
  ir->n_body = ir->n_ins;
  bench_fill(b);
  bench_tame(b, x);
  bench_tame(b, y);
}

static void test_axpy_dot(void **state) {
  static const int64_t sizes[] = {1, 2, 3, 4, 5, 63, 64, 65, 1023, 1024, 1025, 5000};
  static double square[5000];
  rpi_kernel_code code = {0};
  (void)state;
  if (!bench_cc) skip();
  for (int32_t k = 0; k < RPI_COUNT(sizes); k++) {
    bench *b = malloc(sizeof *b);
    axpy_dot(b, sizes[k]);
    if (!code.body) code = bench_compiled(&b->ir); /* one code for all sizes */
    bench_run(b, &code);
    const double *x = (double *)b->start[0], *y = (double *)b->start[1],
                 *z = (double *)b->memory[1];
    for (int64_t i = 0; i < sizes[k]; i++) {
      const double product = 0.75 * x[i], sum = product + y[i];
      square[i] = sum * sum;
      assert_true(bench_same(RP_F64, (const unsigned char *)&sum, (const unsigned char *)&z[i], 0));
    }
    assert_memory_equal(z + sizes[k], y + sizes[k], 256); /* nothing behind the end */
    for (int64_t u = 0; u * 1024 < sizes[k]; u++) {
      const int64_t rest = sizes[k] - u * 1024;
      const double sum = sum_leaf(square + u * 1024, rest < 1024 ? rest : 1024, 1);
      assert_true(bench_same(RP_F64, (const unsigned char *)&sum, b->partial[0] + 8 * u, 0));
    }
    bench_free(b);
    free(b);
  }
}

/* y[i] = sum(k in ptr[i]..ptr[i+1]) val[k]*x[col[k]]; the operands in this order: ptr, ptr shifted,
 * val, col, x, y. */
static void spmv(bench *b, int64_t n, bool checked, bool dot) {
  bench_init(b, 1);
  rpi_ir *ir = &b->ir;
  b->extent[0] = n;
  rpi_irval at[2];
  for (int32_t i = 0; i < 2; i++) {
    const int32_t o = bench_line(b, RP_I64, RPI_ACCESS_READ);
    b->offset[o] = i;
  }
  const int32_t val = bench_table(b, RP_F64, false, true, 1 << 16),
                col = bench_table(b, RP_I64, false, true, 1 << 16);
  const int32_t x = bench_table(b, RP_F64, checked, true, 1000),
                y = bench_line(b, RP_F64, RPI_ACCESS_WRITE);
  for (int32_t i = 0; i < 2; i++)
    at[i] = rpi_ir_emit(ir, RPI_IR_LOAD, RP_I64, (uint64_t)i, 0, NULL);
  const rpi_irval k = rpi_ir_emit(ir, RPI_IR_LOOP, RP_I64, RPI_LOOP_SEGMENT, 2, at);
  const rpi_irval v = rpi_ir_emit(ir, RPI_IR_GATHER, RP_F64, (uint64_t)val, 1, &k);
  const rpi_irval c = rpi_ir_emit(ir, RPI_IR_GATHER, RP_I64, (uint64_t)col, 1, &k);
  const rpi_irval m = rpi_ir_emit2(ir, RPI_IR_MUL, RP_F64, v,
                                   rpi_ir_emit(ir, RPI_IR_GATHER, RP_F64, (uint64_t)x, 1, &c));
  const rpi_irval e = rpi_ir_emit(ir, RPI_IR_ENDLOOP, RP_F64, RPI_RED_SUM, 1, &m);
  rpi_ir_emit(ir, RPI_IR_STORE, RP_F64, (uint64_t)y, 1, &e);
  if (dot) { /* d += y[i] * p[i] */
    const uint8_t zero[] = {RPI_STRIDE_ZERO};
    const int32_t p = bench_line(b, RP_F64, RPI_ACCESS_READ);
    const rpi_ir_red red = {.operand = (uint16_t)bench_affine(b, RP_F64, RPI_ACCESS_REDUCE, zero),
                            .mask = 1};
    rpi_ir_red_add(ir, &red);
    const rpi_irval q = rpi_ir_emit2(ir, RPI_IR_MUL, RP_F64, e,
                                     rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, (uint64_t)p, 0, NULL));
    rpi_ir_emit(ir, RPI_IR_REDUCE, RP_F64, 0, 1, &q);
  }
  ir->n_body = ir->n_ins;
  bench_fill(b);
  bench_tame(b, val);
  bench_tame(b, x);
}

static void test_spmv(void **state) {
  static const int64_t lengths[] = {0, 1, 5, 31, 32, 33, 64, 100, 1024, 1025, 3000, 7001};
  static double terms[8192];
  (void)state;
  if (!bench_cc) skip();
  for (int32_t checked = 0; checked < 2; checked++) {
    bench *b = malloc(sizeof *b);
    const int64_t n = 41;
    spmv(b, n, checked, false);
    int64_t *ptr = (int64_t *)b->start[0], *col = (int64_t *)b->start[3];
    const double *val = (double *)b->start[2], *x = (double *)b->start[4];
    ptr[0] = 0;
    for (int64_t i = 0; i < n; i++) ptr[i + 1] = ptr[i] + lengths[i % RPI_COUNT(lengths)];
    memcpy(b->start[1], ptr, 8 * 50);
    for (int64_t k = 0; k < ptr[n]; k++) col[k] = bench_below(1000);
    if (checked) col[20] = -5, col[2000] = INT64_MAX, col[30] = INT64_MIN;
    const rpi_kernel_code code = bench_compiled(&b->ir);
    bench_run(b, &code);
    assert_int_equal(b->flag, checked);
    for (int64_t i = 0; i < n; i++) {
      for (int64_t k = ptr[i]; k < ptr[i + 1]; k++) {
        const int64_t c = col[k] < 0 ? 0 : col[k] > 999 ? 999 : col[k];
        terms[k - ptr[i]] = val[k] * x[c];
      }
      const double sum = sum_segment(terms, ptr[i + 1] - ptr[i]);
      assert_true(bench_same(RP_F64, (const unsigned char *)&sum, b->memory[5] + 8 * i, 0));
    }
    bench_free(b);
    free(b);
  }
}

/* The result of a row goes straight into the store and the reduction; leaves of rows as ever. */
static void test_spmv_dot(void **state) {
  static const int64_t lengths[] = {5, 0, 1, 33, 4, 31, 32, 100, 2};
  (void)state;
  if (!bench_cc) skip();
  for (int32_t checked = 0; checked < 2; checked++) {
    bench *b = malloc(sizeof *b);
    const int64_t n = 2000;
    spmv(b, n, checked, true);
    int64_t *ptr = (int64_t *)b->start[0], *col = (int64_t *)b->start[3];
    ptr[0] = 0;
    for (int64_t i = 0; i < n; i++) ptr[i + 1] = ptr[i] + lengths[i % RPI_COUNT(lengths)];
    memcpy(b->start[1], ptr, (size_t)(n + 1) * 8);
    for (int64_t k = 0; k < ptr[n]; k++) col[k] = bench_below(1000);
    bench_tame(b, 6);
    bench_compare(b, 0);
    bench_free(b);
    free(b);
  }
}

/* Bodies with calls do two vectors side by side: strided and plain loads and stores, a value of the row, the
 * point's number, and every remainder of columns. */
static void twins(int64_t n, rp_dtype t) {
  const uint8_t any[] = {RPI_STRIDE_ANY};
  bench *b = malloc(sizeof *b);
  bench_init(b, 1);
  rpi_ir *ir = &b->ir;
  b->extent[0] = n;
  const int32_t x = bench_affine(b, t, RPI_ACCESS_READ, any), y = bench_line(b, t, RPI_ACCESS_READ),
                p = bench_line(b, t, RPI_ACCESS_WRITE),
                q = bench_affine(b, t, RPI_ACCESS_WRITE, any);
  rpi_ir_scalar_add(ir, t);
  const rpi_irval s = rpi_ir_emit(ir, RPI_IR_SCALAR, t, 0, 0, NULL);
  ir->n_pro = 1;
  const rpi_irval vx = rpi_ir_emit(ir, RPI_IR_LOAD, t, (uint64_t)x, 0, NULL);
  const rpi_irval vy = rpi_ir_emit(ir, RPI_IR_LOAD, t, (uint64_t)y, 0, NULL);
  const rpi_irval at = rpi_ir_emit(ir, RPI_IR_INDEX, RP_I64, 0, 0, NULL);
  const rpi_irval e = rpi_ir_emit1(ir, RPI_IR_EXP, t, rpi_ir_emit2(ir, RPI_IR_MUL, t, s, vx));
  const rpi_irval z = rpi_ir_emit2(ir, RPI_IR_ADD, t, e, rpi_ir_emit1(ir, RPI_IR_CAST, t, at));
  rpi_ir_emit(ir, RPI_IR_STORE, t, (uint64_t)p, 1, &z);
  const rpi_irval r = rpi_ir_emit2(ir, RPI_IR_DIV, t, rpi_ir_emit1(ir, RPI_IR_LOG, t, z), vy);
  rpi_ir_emit(ir, RPI_IR_STORE, t, (uint64_t)q, 1, &r);
  ir->n_body = ir->n_ins;
  bench_fill(b);
  bench_tame(b, x);
  bench_tame(b, y);
  bench_compare(b, (uint64_t)n);
  bench_free(b);
  free(b);
}

static void test_twins(void **state) {
  (void)state;
  if (!bench_cc) skip();
  for (int64_t n = 1; n < 70; n += n < 36 ? 5 : 11) {
    twins(n, RP_F64);
    twins(n, RP_F32);
  }
  twins(1024 + 9, RP_F64);
}

/* A launch far beyond the caches writes past them; here only its first and last few leaves are run. */
static void test_stream(void **state) {
  (void)state;
  if (!bench_cc) skip();
  for (int64_t shift = 0; shift < 2; shift++) { /* aligned, and not */
    bench *b = malloc(sizeof *b);
    bench_init(b, 1);
    rpi_ir *ir = &b->ir;
    b->extent[0] = 5003;
    const int32_t x = bench_line(b, RP_F64, RPI_ACCESS_READ),
                  y = bench_line(b, RP_F64, RPI_ACCESS_WRITE);
    const rpi_irval v = rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, (uint64_t)x, 0, NULL);
    const rpi_irval z = rpi_ir_emit2(ir, RPI_IR_MUL, RP_F64, v, v);
    rpi_ir_emit(ir, RPI_IR_STORE, RP_F64, (uint64_t)y, 1, &z);
    ir->n_body = ir->n_ins;
    bench_fill(b);
    bench_tame(b, x);
    b->memory[y] = (free(b->memory[y]), aligned_alloc(64, BYTES));
    b->offset[y] = shift;
    const rpi_kernel_code code = bench_compiled(ir);
    for (int32_t huge = 0; huge < 2; huge++) { /* units are the same whatever the extent */
      memcpy(b->memory[x], b->start[x], BYTES);
      memcpy(b->memory[y], b->start[y], BYTES);
      bench_bind(b);
      b->w[b->l.extent].i = huge ? INT64_C(1) << 40 : 5003;
      code.body(code.self, b->w, 0, huge ? 4 : 5, bench_scratch);
      const double *in = (double *)b->memory[x], *out = (double *)b->memory[y] + shift;
      const int64_t n = huge ? 4096 + 3 * shift : 5003; /* leaves end where whole vectors do */
      for (int64_t i = 0; i < n; i++) assert_true(in[i] * in[i] - out[i] == 0.0);
      assert_memory_equal(out + n, (double *)b->start[y] + shift + n, 256);
    }
    bench_free(b);
    free(b);
  }
}

/* out = a + b, out2 = a - b over rows of an array `huge` rows long, of which three are run; rows begin
 * at any place of a vector, and the two outputs at the same or not. */
static void stream_rows(const rpi_kernel_code *code, bench *b, int64_t columns, int64_t pitch,
                        int64_t shift, int64_t apart) {
  const int64_t rows = 3, leaves = (columns + RPI_LEAF - 1) / RPI_LEAF;
  for (int32_t o = 0; o < 4; o++) {
    memcpy(b->memory[o], b->start[o], BYTES);
    b->stride[o][0] = pitch;
    b->offset[o] = o == 2 ? shift : o == 3 ? shift + apart : 3 * o;
  }
  b->extent[0] = INT64_C(1) << 40;
  b->extent[1] = columns;
  bench_bind(b);
  code->body(code->self, b->w, 0, 2, bench_scratch);
  code->body(code->self, b->w, 2, rows * leaves, bench_scratch);
  double *want[2] = {(double *)b->start[2], (double *)b->start[3]};
  double before[2][8192];
  assert_true(shift + apart + rows * pitch < 8192);
  for (int32_t k = 0; k < 2; k++) {
    memcpy(before[k], want[k], sizeof before[k]);
    double *w = before[k] + b->offset[2 + k];
    for (int64_t i = 0; i < rows; i++) {
      for (int64_t j = 0; j < columns; j++) {
        const double x = ((double *)b->memory[0])[i * pitch + j];
        const double y = ((double *)b->memory[1])[3 + i * pitch + j];
        w[i * pitch + j] = k ? x - y : x + y;
      }
    }
    for (int64_t i = 0; i < 8192; i++)
      assert_true(bench_same(RP_F64, (unsigned char *)before[k], b->memory[2 + k], i));
  }
}

static void stream_level(void) {
  static const int64_t columns[] = {1, 63, 64, 65, 1023, 1024, 1025, 1028, 1031, 1032, 2048, 2050};
  static const uint8_t rows[] = {RPI_STRIDE_ANY, RPI_STRIDE_UNIT};
  bench *b = malloc(sizeof *b);
  bench_init(b, 2);
  rpi_ir *ir = &b->ir;
  b->extent[0] = 3;
  b->extent[1] = 2050;
  for (int32_t o = 0; o < 4; o++)
    bench_affine(b, RP_F64, o < 2 ? RPI_ACCESS_READ : RPI_ACCESS_WRITE, rows);
  const rpi_irval x = rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, 0, 0, NULL),
                  y = rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, 1, 0, NULL);
  const rpi_irval sum = rpi_ir_emit2(ir, RPI_IR_ADD, RP_F64, x, y),
                  difference = rpi_ir_emit2(ir, RPI_IR_SUB, RP_F64, x, y);
  rpi_ir_emit(ir, RPI_IR_STORE, RP_F64, 2, 1, &sum);
  rpi_ir_emit(ir, RPI_IR_STORE, RP_F64, 3, 1, &difference);
  ir->n_body = ir->n_ins;
  bench_fill(b);
  for (int32_t o = 2; o < 4; o++) {
    free(b->memory[o]);
    b->memory[o] = aligned_alloc(64, BYTES);
  }
  const rpi_kernel_code code = bench_compiled(ir);
  for (int32_t i = 0; i < RPI_COUNT(columns); i++) {
    for (int64_t shift = 0; shift < 8; shift++) {
      for (int64_t apart = 0; apart < 9; apart += 8 - (apart == 0) * 3)
        stream_rows(&code, b, columns[i], columns[i] + shift * 3, shift, apart);
    }
  }
  bench_free(b);
  free(b);
}

static void test_stream_rows(void **state) {
  (void)state;
  if (!bench_cc) skip();
  stream_level();
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq")) return;
  rpi_cc *const usual = bench_cc;
  bench_level = RPI_VECTOR_AVX512;
  assert_int_equal(rpi_cc_create("", bench_level, &bench_cc), RP_OK);
  stream_level();
  rpi_cc_free(bench_cc);
  bench_cc = usual;
  bench_level = RPI_VECTOR_AVX2;
}

/* The other vector level compiles, also where it cannot run. */
static void test_avx512(void **state) {
  char path[128];
  rpi_strbuf text;
  rpi_cc *cc512 = NULL;
  (void)state;
  if (!bench_cc) skip();
  assert_int_equal(rpi_cc_create("", RPI_VECTOR_AVX512, &cc512), RP_OK);
  assert_non_null(strstr(rpi_cc_identity(cc512), "-mavx512f"));
  snprintf(path, sizeof path, "%s/k512.so", bench_folder);
  bench *b = malloc(sizeof *b);
  bench_seed = 5;
  random_kernel(b, true);
  rpi_strbuf_init(&text);
  assert_int_equal(rpi_emit_c(&(rpi_emit_unit){&b->ir, "0123"}, 1, RPI_VECTOR_AVX512, &text),
                   RP_OK);
  assert_non_null(strstr(rpi_strbuf_str(&text), "#define RPV_W 8\n#define RPV_BITS 512\n"));
  if (rpi_cc_compile(cc512, rpi_strbuf_str(&text), path) != RP_OK)
    fail_msg("%s", rpi_status_message());
  unlink(path);
  rpi_strbuf_deinit(&text);
  bench_free(b);
  free(b);
  rpi_cc_free(cc512);
}

/* ---- the text -------------------------------------------------------------------------------- */

static void golden(const rpi_ir *ir, const char *path) {
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  const rpi_emit_unit unit = {ir, "00112233445566778899aabbccddeeff"};
  assert_int_equal(rpi_emit_c(&unit, 1, RPI_VECTOR_AVX2, &text), RP_OK);
  const char *from =
      strstr(rpi_strbuf_str(&text), "/* A kernel of"); /* behind lanes.h and helpers */
  assert_non_null(from);
  const char *update = getenv("REPRISE_GOLDEN");
  if (update && strcmp(update, "update") == 0) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(from, f);
    assert_int_equal(fclose(f), 0);
  }
  FILE *f = fopen(path, "r");
  if (!f) fail_msg("cannot open %s (run from the root of the tree)", path);
  char *want = calloc(1, 1 << 16);
  assert_true(fread(want, 1, (1 << 16) - 1, f) > 0);
  fclose(f);
  size_t at = 0, start_of_line = 0;
  for (; from[at] && from[at] == want[at]; at++) {
    if (from[at] == '\n') start_of_line = at + 1;
  }
  if (from[at] != want[at]) {
    fail_msg("%s: the text is now \"%.*s\" (REPRISE_GOLDEN=update rewrites it)", path,
             (int)strcspn(from + start_of_line, "\n"), from + start_of_line);
  }
  free(want);
  rpi_strbuf_deinit(&text);
}

static void test_golden(void **state) {
  (void)state;
  bench *b = malloc(sizeof *b);
  axpy_dot(b, 100);
  b->ir.ins[3].origin = 1;
  golden(&b->ir, "tests/golden/emit_axpy_dot.c.txt");
  bench_free(b);
  spmv(b, 100, false, true);
  golden(&b->ir, "tests/golden/emit_spmv.c.txt");
  bench_free(b);
  free(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden), cmocka_unit_test(test_axpy_dot),
      cmocka_unit_test(test_spmv),   cmocka_unit_test(test_avx512),
      cmocka_unit_test(test_stream), cmocka_unit_test(test_stream_rows),
      cmocka_unit_test(test_twins),  cmocka_unit_test(test_spmv_dot),
      cmocka_unit_test(test_random), cmocka_unit_test(test_random_loops),
  };
  return cmocka_run_group_tests(tests, bench_open, bench_close);
}
