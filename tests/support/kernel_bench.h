/* SPDX-License-Identifier: Apache-2.0
 * tests/support/kernel_bench.h -- a kernel, the memory it runs on, and both tiers of it side by side.
 * Lives here: operands of any strides with random contents, running, compiling, comparing. bench_open and
 *             bench_close are a group's setup and teardown; without a compiler bench_cc is NULL. */
#ifndef KERNEL_BENCH_H
#define KERNEL_BENCH_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <unistd.h>

#include "core/base/config.h"
#include "core/model/dtype.h"
#include "jit/compile_cc.h"
#include "jit/emit_c.h"
#include "jit/interp.h"

enum { MAX_OPERANDS = 24, BYTES = 1 << 20, PARTIALS = 1 << 16 };

static rpi_cc *bench_cc;
static int32_t bench_level = RPI_VECTOR_AVX2; /* what bench_cc compiles for */
static char bench_folder[64];
static unsigned char bench_scratch[RPI_KERNEL_SCRATCH] __attribute__((aligned(64)));

/* ---- random numbers and values --------------------------------------------------------------- */

static uint64_t bench_seed = 1;

static inline uint64_t bench_next(void) {
  bench_seed += UINT64_C(0x9e3779b97f4a7c15);
  uint64_t z = bench_seed;
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static inline int32_t bench_below(int32_t n) { return (int32_t)(bench_next() % (uint64_t)n); }

static inline void bench_element(rp_dtype t, unsigned char *p) {
  static const double odd[] = {0.0, -0.0, 1.0, -1.0, 0.5, 1e300, -1e-310, 3e9, -129.0, 255.0};
  uint64_t bits = bench_next();
  double d = (double)(int64_t)(bench_next() % 2001) * 0.01 - 10.0;
  if (bench_below(8) == 0) d = odd[bench_below(RPI_COUNT(odd))];
  if (bench_below(40) == 0) d = bench_below(2) ? (double)INFINITY : (double)NAN;
  float f = (float)d;
  if (bench_below(2)) bits = (uint64_t)(int64_t)(bench_below(41) - 20);
  switch (t) {
    case RP_F64: memcpy(p, &d, 8); break;
    case RP_F32: memcpy(p, &f, 4); break;
    case RP_BOOL: *p = (unsigned char)(bench_below(3) * 77); break; /* any non-zero byte is true */
    default: memcpy(p, &bits, (size_t)rpi_dtype_size(t)); break;
  }
}

/* ---- a kernel and its memory ----------------------------------------------------------------- */

typedef struct bench {
  rpi_ir ir;
  rpi_ir_layout l;
  int64_t extent[RP_MAX_DIM], origin[RP_MAX_DIM];
  int64_t stride[MAX_OPERANDS][RP_MAX_DIM]; /* elements */
  int64_t table[MAX_OPERANDS][RP_MAX_DIM];  /* extents of tables */
  int64_t offset[MAX_OPERANDS];             /* of the first point, elements */
  uint64_t scalar[8];
  int64_t param[8];
  unsigned char *memory[MAX_OPERANDS], *start[MAX_OPERANDS]; /* now, and at the beginning */
  unsigned char *partial[MAX_OPERANDS];
  uint32_t flag;
  rpi_word w[512];
} bench;

static inline void bench_init(bench *b, int32_t rank) {
  memset(b, 0, sizeof *b);
  rpi_ir_init(&b->ir, rank);
}

static inline void bench_free(bench *b) {
  for (int32_t i = 0; i < MAX_OPERANDS; i++) {
    free(b->memory[i]);
    free(b->start[i]);
    free(b->partial[i]);
  }
  rpi_ir_deinit(&b->ir);
}

/* An affine operand with these classes; memory that covers it. Needs extent. */
static inline int32_t bench_affine(bench *b, rp_dtype t, uint8_t access, const uint8_t *sclass) {
  rpi_ir_operand op = {.dtype = (uint8_t)t, .rank = (uint8_t)b->ir.rank, .access = access};
  const int32_t o = b->ir.n_operand;
  int64_t dense = 1, low = 0;
  for (int32_t d = b->ir.rank - 1; d >= 0; d--) {
    op.sclass[d] = sclass[d];
    if (sclass[d] == RPI_STRIDE_ZERO) continue;
    b->stride[o][d] = sclass[d] == RPI_STRIDE_UNIT ? 1 : dense * (bench_below(2) ? 1 : 2);
    dense = b->stride[o][d] * b->extent[d];
    if (sclass[d] == RPI_STRIDE_ANY && bench_below(3) == 0) b->stride[o][d] = -b->stride[o][d];
    if (b->stride[o][d] < 0) low += b->stride[o][d] * (b->extent[d] - 1);
  }
  assert_true(dense * 8 <= BYTES);
  b->offset[o] = -low;
  return rpi_ir_operand_add(&b->ir, &op);
}

static inline int32_t bench_line(bench *b, rp_dtype t, uint8_t access) {
  const uint8_t unit[] = {RPI_STRIDE_UNIT};
  return bench_affine(b, t, access, unit);
}

static inline int32_t bench_table(bench *b, rp_dtype t, bool checked, bool unit, int64_t extent) {
  rpi_ir_operand op = {.dtype = (uint8_t)t,
                       .kind = RPI_OPERAND_TABLE,
                       .rank = 1,
                       .access = RPI_ACCESS_READ,
                       .checked = checked};
  op.sclass[0] = unit ? RPI_STRIDE_UNIT : RPI_STRIDE_ANY;
  b->stride[b->ir.n_operand][0] = unit ? 1 : 2;
  b->table[b->ir.n_operand][0] = extent;
  return rpi_ir_operand_add(&b->ir, &op);
}

/* After the IR is complete: memory with random contents. */
static inline void bench_fill(bench *b) {
  rpi_ir_layout_get(&b->ir, &b->l);
  assert_true(b->l.n_words <= RPI_COUNT(b->w));
  for (int32_t o = 0; o < b->ir.n_operand; o++) {
    const int32_t size = rpi_dtype_size(b->ir.operand[o].dtype);
    b->memory[o] = malloc(BYTES);
    b->start[o] = malloc(BYTES);
    for (int32_t i = 0; i + size <= BYTES; i += size)
      bench_element(b->ir.operand[o].dtype, b->start[o] + i);
  }
  for (int32_t r = 0; r < b->ir.n_red; r++) b->partial[r] = calloc(PARTIALS, 8);
}

/* Ordinary numbers, whose sum tells in which order it was taken. */
static inline void bench_tame(bench *b, int32_t o) {
  double *v = (double *)b->start[o];
  for (int32_t i = 0; i < BYTES / 8; i++) v[i] = (double)(bench_next() >> 11) * 0x1p-53 - 0.4;
}

static inline void bench_bind(bench *b) {
  const rpi_ir *ir = &b->ir;
  memset(b->w, 0, sizeof b->w);
  for (int32_t d = 0; d < ir->rank; d++) {
    b->w[b->l.extent + d].i = b->extent[d];
    b->w[b->l.origin + d].i = b->origin[d];
  }
  for (int32_t o = 0; o < ir->n_operand; o++) {
    const int32_t at = rpi_ir_layout_stride(ir, &b->l, o);
    b->w[b->l.ptr + o].p = b->memory[o] + b->offset[o] * rpi_dtype_size(ir->operand[o].dtype);
    for (int32_t d = 0; d < ir->operand[o].rank; d++) {
      b->w[at + d].i = b->stride[o][d];
      if (ir->operand[o].kind == RPI_OPERAND_TABLE)
        b->w[at + ir->operand[o].rank + d].i = b->table[o][d];
    }
  }
  for (int32_t s = 0; s < ir->n_scalar; s++) b->w[b->l.scalar + s].u = b->scalar[s];
  for (int32_t p = 0; p < ir->n_extent; p++) b->w[b->l.param + p].i = b->param[p];
  for (int32_t r = 0; r < ir->n_red; r++) b->w[b->l.partial + r].p = b->partial[r];
  b->w[b->l.flag].p = &b->flag;
}

/* The initial memory, and no partials. */
static inline void bench_reset(bench *b) {
  for (int32_t o = 0; o < b->ir.n_operand; o++) memcpy(b->memory[o], b->start[o], BYTES);
  for (int32_t r = 0; r < b->ir.n_red; r++) memset(b->partial[r], 0, PARTIALS * 8);
  b->flag = 0;
}

/* Runs the sections over the words at hand, units in pieces of random length. */
static inline void bench_units(bench *b, const rpi_kernel_code *code) {
  const int64_t units = b->ir.n_body > b->ir.n_pro ? rpi_ir_units(&b->ir, b->extent) : 0;
  memset(bench_scratch, 0xa5, sizeof bench_scratch);
  if (code->pro) code->pro(code->self, b->w);
  for (int64_t u = 0; u < units;) {
    const int64_t to = u + 1 + bench_below(4);
    code->body(code->self, b->w, u, to < units ? to : units, bench_scratch);
    u = to;
  }
  if (code->epi) code->epi(code->self, b->w);
}

static inline void bench_run(bench *b, const rpi_kernel_code *code) {
  bench_reset(b);
  bench_bind(b);
  bench_units(b, code);
}

/* Emits, compiles and loads; the objects stay. */
static inline rpi_kernel_code bench_compiled(const rpi_ir *ir) {
  static int32_t number;
  char path[128];
  rpi_strbuf text;
  rpi_kernel_code code = {.tier = 1};
  rpi_strbuf_init(&text);
  rp_status status = rpi_emit_c(&(rpi_emit_unit){ir, "0123"}, 1, bench_level, &text);
  if (status != RP_OK) fail_msg("%s", rpi_status_message());
  snprintf(path, sizeof path, "%s/k%d.so", bench_folder, number++);
  status = rpi_cc_compile(bench_cc, rpi_strbuf_str(&text), path);
  if (status != RP_OK) fail_msg("%s", rpi_status_message());
  void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!so) fail_msg("%s", dlerror());
  unlink(path);
  const rpi_emit_entry *entry = rpi_emit_c_find(dlsym(so, "rpk_table"), "0123");
  assert_non_null(entry);
  code.body = entry->body;
  if (ir->n_pro > 0) code.pro = entry->pro;
  if (ir->n_ins > ir->n_body) code.epi = entry->epi;
  rpi_strbuf_deinit(&text);
  return code;
}

/* Element i of both is the same value: NaN is one value (SEMANTICS 1). */
static inline bool bench_same(rp_dtype t, const unsigned char *a, const unsigned char *b,
                              int64_t i) {
  const size_t size = (size_t)rpi_dtype_size(t);
  double x[2];
  float y[2];
  if (memcmp(a + (size_t)i * size, b + (size_t)i * size, size) == 0) return true;
  if (t == RP_F64) {
    memcpy(&x[0], a + 8 * i, 8);
    memcpy(&x[1], b + 8 * i, 8);
    return isnan(x[0]) && isnan(x[1]);
  }
  if (t == RP_F32) {
    memcpy(&y[0], a + 4 * i, 4);
    memcpy(&y[1], b + 4 * i, 4);
    return isnan(y[0]) && isnan(y[1]);
  }
  return false;
}

/* The first of n elements that is not the same; n: all are. */
static inline int64_t bench_differs(rp_dtype t, const unsigned char *a, const unsigned char *b,
                                    int64_t n) {
  int64_t i = 0;
  if (memcmp(a, b, (size_t)(n * rpi_dtype_size(t))) == 0) return n;
  while (i < n && bench_same(t, a, b, i)) i++;
  return i;
}

static inline void bench_fail(const bench *b, const char *what, int32_t which, int64_t i,
                              uint64_t from) {
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rpi_ir_print(&b->ir, &text);
  print_message("%s\n", rpi_strbuf_str(&text));
  rpi_strbuf_deinit(&text);
  fail_msg("%s %d differs at element %d (seed %llx)", what, which, (int)i,
           (unsigned long long)from);
}

/* Interpreted and compiled: the same memory, partials and flag. */
static inline void bench_compare(bench *b, uint64_t from) {
  unsigned char *memory[MAX_OPERANDS] = {0}, *partial[MAX_OPERANDS] = {0};
  rpi_interp *interp = NULL;
  if (rpi_ir_check(&b->ir) != RP_OK) fail_msg("%s", rpi_status_message());
  const rpi_kernel_code code = bench_compiled(&b->ir);
  assert_int_equal(rpi_interp_create(&b->ir, RPI_VECTOR_AVX2, &interp), RP_OK);
  const uint64_t pieces = bench_seed;
  bench_run(b, rpi_interp_code(interp));
  const uint32_t flag = b->flag;
  for (int32_t o = 0; o < b->ir.n_operand; o++)
    memcpy(memory[o] = malloc(BYTES), b->memory[o], BYTES);
  for (int32_t r = 0; r < b->ir.n_red; r++)
    memcpy(partial[r] = malloc(PARTIALS * 8), b->partial[r], PARTIALS * 8);
  bench_seed = pieces + 1; /* other pieces */
  bench_run(b, &code);
  assert_int_equal(flag, b->flag);
  for (int32_t o = 0; o < b->ir.n_operand; o++) {
    const rp_dtype t = b->ir.operand[o].dtype;
    const int64_t n = BYTES / rpi_dtype_size(t), i = bench_differs(t, memory[o], b->memory[o], n);
    if (i < n) bench_fail(b, "operand", o, i - b->offset[o], from);
    free(memory[o]);
  }
  for (int32_t r = 0; r < b->ir.n_red; r++) {
    const rp_dtype t = b->ir.operand[b->ir.red[r].operand].dtype;
    const int64_t i = bench_differs(t, partial[r], b->partial[r], PARTIALS);
    if (i < PARTIALS) bench_fail(b, "partial", r, i, from);
    free(partial[r]);
  }
  rpi_interp_free(interp);
}

/* ---- a group's setup and teardown ------------------------------------------------------------ */

static inline int bench_open(void **state) {
  (void)state;
  snprintf(bench_folder, sizeof bench_folder, "/tmp/reprise-bench-XXXXXX");
  if (!mkdtemp(bench_folder)) return -1;
  if (rpi_cc_create("", RPI_VECTOR_AVX2, &bench_cc) != RP_OK) return -1;
  if (!bench_cc) print_message("no C compiler on PATH: compiled kernels are not tested\n");
  return 0;
}

static inline int bench_close(void **state) {
  (void)state;
  rpi_cc_free(bench_cc);
  return rmdir(bench_folder);
}

#endif
