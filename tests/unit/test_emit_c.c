/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_emit_c.c -- generated C, compiled by the system's compiler, gives the bits of the
 * interpreter and, for some kernels, of plain loops written here. Without a compiler everything
 * that needs one is skipped. REPRISE_EMIT_CASES sets the number of random kernels,
 * REPRISE_GOLDEN=update rewrites the golden texts. */
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

enum { MAX_OPERANDS = 24, BYTES = 1 << 20, PARTIALS = 1 << 14 };

static rpi_cc *cc;
static char folder[64];
static unsigned char scratch[RPI_KERNEL_SCRATCH] __attribute__((aligned(64)));

/* ---- random numbers and values --------------------------------------------------------------- */

static uint64_t seed = 1;

static uint64_t next(void) {
  seed += UINT64_C(0x9e3779b97f4a7c15);
  uint64_t z = seed;
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static int32_t below(int32_t n) { return (int32_t)(next() % (uint64_t)n); }

static void random_element(rp_dtype t, unsigned char *p) {
  static const double odd[] = {0.0, -0.0, 1.0, -1.0, 0.5, 1e300, -1e-310, 3e9, -129.0, 255.0};
  uint64_t bits = next();
  double d = (double)(int64_t)(next() % 2001) * 0.01 - 10.0;
  if (below(8) == 0) d = odd[below(RPI_COUNT(odd))];
  if (below(40) == 0) d = below(2) ? (double)INFINITY : (double)NAN;
  float f = (float)d;
  if (below(2)) bits = (uint64_t)(int64_t)(below(41) - 20);
  switch (t) {
    case RP_F64: memcpy(p, &d, 8); break;
    case RP_F32: memcpy(p, &f, 4); break;
    case RP_BOOL: *p = (unsigned char)(below(3) * 77); break; /* any non-zero byte is true */
    default: memcpy(p, &bits, (size_t)rpi_dtype_size(t)); break;
  }
}

/* ---- a kernel and its memory ----------------------------------------------------------------- */

typedef struct bench {
  rpi_ir ir;
  rpi_ir_layout l;
  int64_t extent[RP_MAX_DIM];
  int64_t stride[MAX_OPERANDS][RP_MAX_DIM]; /* elements */
  int64_t table[MAX_OPERANDS][RP_MAX_DIM];  /* extents of tables */
  int64_t offset[MAX_OPERANDS];             /* of the origin, elements */
  uint64_t scalar[8];
  int64_t param[8];
  unsigned char *memory[MAX_OPERANDS], *start[MAX_OPERANDS]; /* now, and at the beginning */
  unsigned char *partial[MAX_OPERANDS];
  uint32_t flag;
  rpi_word w[512];
} bench;

static void bench_init(bench *b, int32_t rank) {
  memset(b, 0, sizeof *b);
  rpi_ir_init(&b->ir, rank);
}

static void bench_free(bench *b) {
  for (int32_t i = 0; i < MAX_OPERANDS; i++) {
    free(b->memory[i]);
    free(b->start[i]);
    free(b->partial[i]);
  }
  rpi_ir_deinit(&b->ir);
}

/* An affine operand with these classes; memory that covers it. Needs extent. */
static int32_t affine(bench *b, rp_dtype t, uint8_t access, const uint8_t *sclass) {
  rpi_ir_operand op = {.dtype = (uint8_t)t, .rank = (uint8_t)b->ir.rank, .access = access};
  const int32_t o = b->ir.n_operand;
  int64_t dense = 1, low = 0;
  for (int32_t d = b->ir.rank - 1; d >= 0; d--) {
    op.sclass[d] = sclass[d];
    if (sclass[d] == RPI_STRIDE_ZERO) continue;
    b->stride[o][d] = sclass[d] == RPI_STRIDE_UNIT ? 1 : dense * (below(2) ? 1 : 2);
    dense = b->stride[o][d] * b->extent[d];
    if (sclass[d] == RPI_STRIDE_ANY && below(3) == 0) b->stride[o][d] = -b->stride[o][d];
    if (b->stride[o][d] < 0) low += b->stride[o][d] * (b->extent[d] - 1);
  }
  assert_true(dense * 8 <= BYTES);
  b->offset[o] = -low;
  return rpi_ir_operand_add(&b->ir, &op);
}

static int32_t line(bench *b, rp_dtype t, uint8_t access) {
  const uint8_t unit[] = {RPI_STRIDE_UNIT};
  return affine(b, t, access, unit);
}

static int32_t table(bench *b, rp_dtype t, bool checked, bool unit, int64_t extent) {
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
static void fill(bench *b) {
  rpi_ir_layout_get(&b->ir, &b->l);
  assert_true(b->l.n_words <= RPI_COUNT(b->w));
  for (int32_t o = 0; o < b->ir.n_operand; o++) {
    const int32_t size = rpi_dtype_size(b->ir.operand[o].dtype);
    b->memory[o] = malloc(BYTES);
    b->start[o] = malloc(BYTES);
    for (int32_t i = 0; i + size <= BYTES; i += size)
      random_element(b->ir.operand[o].dtype, b->start[o] + i);
  }
  for (int32_t r = 0; r < b->ir.n_red; r++) b->partial[r] = calloc(PARTIALS, 8);
}

static void bind(bench *b) {
  const rpi_ir *ir = &b->ir;
  memset(b->w, 0, sizeof b->w);
  for (int32_t d = 0; d < ir->rank; d++) b->w[b->l.extent + d].i = b->extent[d];
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

/* Runs the sections from the initial memory, units in pieces of random length. */
static void run(bench *b, const rpi_kernel_code *code) {
  const int64_t units = b->ir.n_body > b->ir.n_pro ? rpi_ir_units(&b->ir, b->extent) : 0;
  for (int32_t o = 0; o < b->ir.n_operand; o++) memcpy(b->memory[o], b->start[o], BYTES);
  for (int32_t r = 0; r < b->ir.n_red; r++) memset(b->partial[r], 0, PARTIALS * 8);
  b->flag = 0;
  bind(b);
  memset(scratch, 0xa5, sizeof scratch);
  if (code->pro) code->pro(code->self, b->w);
  for (int64_t u = 0; u < units;) {
    const int64_t to = u + 1 + below(4);
    code->body(code->self, b->w, u, to < units ? to : units, scratch);
    u = to;
  }
  if (code->epi) code->epi(code->self, b->w);
}

/* Emits, compiles and loads; the objects stay. */
static rpi_kernel_code compiled(const rpi_ir *ir) {
  static int32_t number;
  char path[128];
  rpi_strbuf text;
  rpi_kernel_code code = {.tier = 1};
  rpi_strbuf_init(&text);
  rp_status status = rpi_emit_c(&(rpi_emit_unit){ir, "0123"}, 1, RPI_VECTOR_AVX2, &text);
  if (status != RP_OK) fail_msg("%s", rpi_status_message());
  snprintf(path, sizeof path, "%s/k%d.so", folder, number++);
  status = rpi_cc_compile(cc, rpi_strbuf_str(&text), path);
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
static bool same(rp_dtype t, const unsigned char *a, const unsigned char *b, int64_t i) {
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

static void fail_kernel(const bench *b, const char *what, int32_t which, int64_t i, uint64_t from) {
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rpi_ir_print(&b->ir, &text);
  print_message("%s\n", rpi_strbuf_str(&text));
  rpi_strbuf_deinit(&text);
  fail_msg("%s %d differs at element %d (seed %llx)", what, which, (int)i,
           (unsigned long long)from);
}

/* Interpreted and compiled: the same memory, partials and flag. */
static void compare(bench *b, uint64_t from) {
  unsigned char *memory[MAX_OPERANDS] = {0}, *partial[MAX_OPERANDS] = {0};
  rpi_interp *interp = NULL;
  if (rpi_ir_check(&b->ir) != RP_OK) fail_msg("%s", rpi_status_message());
  const rpi_kernel_code code = compiled(&b->ir);
  assert_int_equal(rpi_interp_create(&b->ir, RPI_VECTOR_AVX2, &interp), RP_OK);
  const uint64_t pieces = seed;
  run(b, rpi_interp_code(interp));
  const uint32_t flag = b->flag;
  for (int32_t o = 0; o < b->ir.n_operand; o++)
    memcpy(memory[o] = malloc(BYTES), b->memory[o], BYTES);
  for (int32_t r = 0; r < b->ir.n_red; r++)
    memcpy(partial[r] = malloc(PARTIALS * 8), b->partial[r], PARTIALS * 8);
  seed = pieces + 1; /* other pieces */
  run(b, &code);
  assert_int_equal(flag, b->flag);
  for (int32_t o = 0; o < b->ir.n_operand; o++) {
    const rp_dtype t = b->ir.operand[o].dtype;
    for (int64_t i = 0; i < BYTES / rpi_dtype_size(t); i++) {
      if (!same(t, memory[o], b->memory[o], i))
        fail_kernel(b, "operand", o, i - b->offset[o], from);
    }
    free(memory[o]);
  }
  for (int32_t r = 0; r < b->ir.n_red; r++) {
    const rp_dtype t = b->ir.operand[b->ir.red[r].operand].dtype;
    for (int64_t i = 0; i < PARTIALS; i++) {
      if (!same(t, partial[r], b->partial[r], i)) fail_kernel(b, "partial", r, i, from);
    }
    free(partial[r]);
  }
  rpi_interp_free(interp);
}

/* ---- random kernels -------------------------------------------------------------------------- */

typedef struct pool {
  rpi_irval value[256];
  int32_t n;
} pool;

static void keep(pool *p, rpi_irval v) {
  if (p->n < RPI_COUNT(p->value)) p->value[p->n++] = v;
}

static rp_dtype type_of(const bench *b, rpi_irval v) { return b->ir.ins[v].dtype; }

/* A random value of that dtype, made by a cast if there is none. */
static rpi_irval pick(bench *b, pool *p, rp_dtype t) {
  for (int32_t i = 0; i < 8; i++) {
    const rpi_irval v = p->value[below(p->n)];
    if (type_of(b, v) == t) return v;
  }
  return rpi_ir_emit1(&b->ir, RPI_IR_CAST, t, p->value[below(p->n)]);
}

static void random_op(bench *b, pool *p) {
  const rpi_irop op = (rpi_irop)(RPI_IR_CAST + below(RPI_IR_N_OPS - RPI_IR_CAST));
  rpi_irval s[3];
  s[0] = p->value[below(p->n)];
  rp_dtype t = type_of(b, s[0]);
  if (op == RPI_IR_CAST) {
    keep(p, rpi_ir_emit1(&b->ir, op, below(RPI_N_DTYPE), s[0]));
    return;
  }
  if (op == RPI_IR_SELECT) {
    s[0] = pick(b, p, RP_BOOL);
    s[1] = p->value[below(p->n)];
    s[2] = pick(b, p, type_of(b, s[1]));
    keep(p, rpi_ir_emit(&b->ir, op, type_of(b, s[1]), 0, 3, s));
    return;
  }
  if (!rpi_ir_op_takes(op, t)) return;
  for (int32_t i = 1; i < rpi_ir_op_n_src(op); i++) s[i] = pick(b, p, t);
  keep(p, rpi_ir_emit(&b->ir, op, rpi_ir_op_result(op) == 'B' ? RP_BOOL : t, 0, rpi_ir_op_n_src(op),
                      s));
}

static bool red_takes(rpi_redop op, rp_dtype t) {
  const int32_t kind = rpi_dtype_kind(t);
  if (op <= RPI_RED_MAX) return kind != RPI_KIND_B;
  if (op <= RPI_RED_XOR) return kind != RPI_KIND_F;
  return kind == RPI_KIND_B;
}

/* An inner loop over k of values of the pool; its result joins the pool. */
static void random_loop(bench *b, pool *p, int32_t elements, int32_t depth) {
  rpi_ir *ir = &b->ir;
  const rpi_irval bounds[] = {
      rpi_ir_emit2(ir, RPI_IR_MOD, RP_I64, pick(b, p, RP_I64), rpi_ir_const_i64(ir, RP_I64, 9)),
      rpi_ir_emit2(ir, RPI_IR_MOD, RP_I64, pick(b, p, RP_I64),
                   rpi_ir_const_i64(ir, RP_I64,
                                    depth      ? 12
                                    : below(4) ? 70
                                               : 2300))};
  const rpi_irval k = rpi_ir_emit(ir, RPI_IR_LOOP, RP_I64, (uint64_t)below(3), 2, bounds);
  pool inner = *p;
  keep(&inner, k);
  keep(&inner,
       rpi_ir_emit(ir, RPI_IR_GATHER, ir->operand[elements].dtype, (uint64_t)elements, 1, &k));
  if (depth < 1 && below(4) == 0) random_loop(b, &inner, elements, depth + 1);
  for (int32_t i = 0; i < 4; i++) random_op(b, &inner);
  const rpi_irval e = inner.value[inner.n - 1];
  rpi_redop op;
  do op = (rpi_redop)below(RPI_N_RED);
  while (op < RPI_RED_ARGMIN ? !red_takes(op, type_of(b, e))
                             : rpi_dtype_kind(type_of(b, e)) == RPI_KIND_B);
  keep(p, rpi_ir_emit(ir, RPI_IR_ENDLOOP, op < RPI_RED_ARGMIN ? type_of(b, e) : RP_I64, op, 1, &e));
}

static void random_stores(bench *b, pool *p) {
  for (int32_t i = 0; i < 3; i++) {
    uint8_t sclass[RP_MAX_DIM] = {0};
    for (int32_t d = 0; d < b->ir.rank; d++) sclass[d] = RPI_STRIDE_ANY;
    if (below(3)) sclass[b->ir.rank - 1] = RPI_STRIDE_UNIT;
    const rpi_irval v = p->value[p->n - 1 - below(p->n < 12 ? p->n : 12)];
    const int32_t o = affine(b, type_of(b, v), RPI_ACCESS_WRITE, sclass);
    rpi_ir_emit(&b->ir, RPI_IR_STORE, type_of(b, v), (uint64_t)o, 1, &v);
  }
}

static void random_reductions(bench *b, pool *p) {
  const int32_t rank = b->ir.rank, n = below(4);
  const bool row = rank > 1 && below(2);
  const int32_t prefix = row ? 1 + below(rank - 1) : 0;
  for (int32_t i = 0; i < n; i++) {
    rpi_ir_red r = {.op = (uint8_t)below(RPI_RED_ALL + 1)};
    uint8_t sclass[RP_MAX_DIM] = {0};
    const rpi_irval v = p->value[p->n - 1 - below(p->n < 12 ? p->n : 12)];
    if (!red_takes((rpi_redop)r.op, type_of(b, v))) continue;
    r.mask = (uint8_t)(row ? (1 << prefix) - 1 : (1 << (rank - 1)) | below(1 << rank));
    for (int32_t d = 0; d < rank; d++) {
      if (!(r.mask >> d & 1)) sclass[d] = d == rank - 1 ? RPI_STRIDE_UNIT : RPI_STRIDE_ANY;
    }
    r.operand = (uint16_t)affine(b, type_of(b, v), RPI_ACCESS_REDUCE, sclass);
    const int32_t number = rpi_ir_red_add(&b->ir, &r);
    rpi_ir_emit(&b->ir, RPI_IR_REDUCE, type_of(b, v), (uint64_t)number, 1, &v);
  }
}

static void random_kernel(bench *b, bool loops) {
  static const int64_t lasts[] = {1, 3, 4, 7, 64, 100, 1023, 1024, 1029, 2055};
  pool p = {.n = 0};
  bench_init(b, 1 + below(3));
  const int32_t rank = b->ir.rank;
  rpi_ir *ir = &b->ir;
  b->extent[rank - 1] = lasts[below(loops ? 6 : RPI_COUNT(lasts))];
  for (int32_t d = 0; d < rank - 1; d++) {
    const int64_t last = b->extent[rank - 1];
    b->extent[d] = 1 + below(last <= 7 ? (rank == 2 ? 300 : 60) : last <= 100 || rank == 2 ? 3 : 2);
  }
  for (int32_t s = 0; s < 2; s++) {
    const rp_dtype t = s ? RP_F64 : RP_I32;
    rpi_ir_scalar_add(ir, t);
    random_element(t, (unsigned char *)&b->scalar[s]);
    keep(&p, rpi_ir_emit(ir, RPI_IR_SCALAR, t, (uint64_t)s, 0, NULL));
  }
  const uint8_t zero[RP_MAX_DIM] = {0};
  const rp_dtype alone = below(RPI_N_DTYPE);
  const int32_t rank_0 = affine(b, alone, RPI_ACCESS_READ, zero);
  keep(&p, rpi_ir_emit(ir, RPI_IR_LOAD, alone, (uint64_t)rank_0, 0, NULL));
  for (int32_t i = 0; i < 6; i++) random_op(b, &p);
  const int32_t early = affine(b, type_of(b, p.value[p.n - 1]), RPI_ACCESS_WRITE, zero);
  rpi_ir_emit(ir, RPI_IR_STORE, type_of(b, p.value[p.n - 1]), (uint64_t)early, 1,
              &p.value[p.n - 1]);
  keep(&p, rpi_ir_const_f64(ir, RP_F32, 2.5));
  keep(&p, rpi_ir_const_i64(ir, RP_I64, 1 + below(50)));
  ir->n_pro = ir->n_ins;
  const pool uniform = p;
  const bool narrow = below(4) == 0 && !loops;
  for (int32_t i = 0; i < 4; i++) {
    uint8_t sclass[RP_MAX_DIM] = {0};
    for (int32_t d = 0; d < rank; d++) sclass[d] = below(4) ? RPI_STRIDE_ANY : RPI_STRIDE_ZERO;
    if (below(2)) sclass[rank - 1] = RPI_STRIDE_UNIT;
    rp_dtype t = narrow ? (below(2) ? RP_F32 : RP_I16) : below(RPI_N_DTYPE);
    const int32_t o = affine(b, t, RPI_ACCESS_READ, sclass);
    keep(&p, rpi_ir_emit(ir, RPI_IR_LOAD, t, (uint64_t)o, 0, NULL));
  }
  if (!narrow) {
    for (int32_t d = 0; d < rank; d++)
      keep(&p, rpi_ir_emit(ir, RPI_IR_INDEX, RP_I64, (uint64_t)d, 0, NULL));
    const int32_t t = table(b, below(RPI_N_DTYPE), true, below(2), 1 + below(200));
    const rpi_irval at = pick(b, &p, RP_I64);
    keep(&p, rpi_ir_emit(ir, RPI_IR_GATHER, ir->operand[t].dtype, (uint64_t)t, 1, &at));
  }
  for (int32_t i = 0; i < 25; i++) random_op(b, &p);
  if (loops) {
    const int32_t t = table(b, below(3) ? RP_F64 : RP_I32, false, true, 4000);
    random_loop(b, &p, t, 0);
    for (int32_t i = 0; i < 4; i++) random_op(b, &p);
    random_loop(b, &p, t, 0);
    for (int32_t i = 0; i < 4; i++) random_op(b, &p);
  }
  random_stores(b, &p);
  random_reductions(b, &p);
  ir->n_body = ir->n_ins;
  p = uniform;
  keep(&p, rpi_ir_emit(ir, RPI_IR_LOAD, alone, (uint64_t)rank_0, 0, NULL));
  for (int32_t i = 0; i < 4; i++) random_op(b, &p);
  const int32_t late = affine(b, type_of(b, p.value[p.n - 1]), RPI_ACCESS_WRITE, zero);
  rpi_ir_emit(ir, RPI_IR_STORE, type_of(b, p.value[p.n - 1]), (uint64_t)late, 1, &p.value[p.n - 1]);
  fill(b);
}

static void random_cases(bool loops, int32_t default_n, uint64_t first) {
  const char *knob = getenv("REPRISE_EMIT_CASES");
  const int32_t n = knob ? atoi(knob) : default_n;
  if (!cc) skip();
  for (int32_t i = 0; i < n; i++) {
    bench *b = malloc(sizeof *b);
    const uint64_t from = seed = first + (uint64_t)i * 7919;
    random_kernel(b, loops);
    compare(b, from);
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

/* One leaf of a sum, SEMANTICS 3. */
static double leaf_sum(const double *v, int64_t n) {
  double acc[64];
  for (int32_t j = 0; j < 64; j++) acc[j] = -0.0;
  for (int64_t i = 0; i < n; i++) acc[i % 64] += v[i];
  for (int32_t h = 32; h; h /= 2) {
    for (int32_t j = 0; j < h; j++) acc[j] += acc[j + h];
  }
  return acc[0];
}

/* Ordinary numbers, whose sum tells in which order it was taken. */
static void tame(bench *b, int32_t o) {
  double *v = (double *)b->start[o];
  for (int32_t i = 0; i < BYTES / 8; i++) v[i] = (double)(next() >> 11) * 0x1p-53 - 0.4;
}

/* y = a*x + y; s += y*y. */
static void axpy_dot(bench *b, int64_t n) {
  bench_init(b, 1);
  rpi_ir *ir = &b->ir;
  const uint8_t zero[] = {RPI_STRIDE_ZERO};
  b->extent[0] = n;
  const int32_t x = line(b, RP_F64, RPI_ACCESS_READ),
                y = line(b, RP_F64, RPI_ACCESS_READ | RPI_ACCESS_WRITE);
  const rpi_ir_red red = {.operand = (uint16_t)affine(b, RP_F64, RPI_ACCESS_REDUCE, zero),
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
  fill(b);
  tame(b, x);
  tame(b, y);
}

static void test_axpy_dot(void **state) {
  static const int64_t sizes[] = {1, 2, 3, 4, 5, 63, 64, 65, 1023, 1024, 1025, 5000};
  static double square[5000];
  rpi_kernel_code code = {0};
  (void)state;
  if (!cc) skip();
  for (int32_t k = 0; k < RPI_COUNT(sizes); k++) {
    bench *b = malloc(sizeof *b);
    axpy_dot(b, sizes[k]);
    if (!code.body) code = compiled(&b->ir); /* one code for all sizes */
    run(b, &code);
    const double *x = (double *)b->start[0], *y = (double *)b->start[1],
                 *z = (double *)b->memory[1];
    for (int64_t i = 0; i < sizes[k]; i++) {
      const double product = 0.75 * x[i], sum = product + y[i];
      square[i] = sum * sum;
      assert_true(same(RP_F64, (const unsigned char *)&sum, (const unsigned char *)&z[i], 0));
    }
    assert_memory_equal(z + sizes[k], y + sizes[k], 256); /* nothing behind the end */
    for (int64_t u = 0; u * 1024 < sizes[k]; u++) {
      const int64_t rest = sizes[k] - u * 1024;
      const double sum = leaf_sum(square + u * 1024, rest < 1024 ? rest : 1024);
      assert_true(same(RP_F64, (const unsigned char *)&sum, b->partial[0] + 8 * u, 0));
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
    const int32_t o = line(b, RP_I64, RPI_ACCESS_READ);
    b->offset[o] = i;
  }
  const int32_t val = table(b, RP_F64, false, true, 1 << 16),
                col = table(b, RP_I64, false, true, 1 << 16);
  const int32_t x = table(b, RP_F64, checked, true, 1000), y = line(b, RP_F64, RPI_ACCESS_WRITE);
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
    const int32_t p = line(b, RP_F64, RPI_ACCESS_READ);
    const rpi_ir_red red = {.operand = (uint16_t)affine(b, RP_F64, RPI_ACCESS_REDUCE, zero),
                            .mask = 1};
    rpi_ir_red_add(ir, &red);
    const rpi_irval q = rpi_ir_emit2(ir, RPI_IR_MUL, RP_F64, e,
                                     rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, (uint64_t)p, 0, NULL));
    rpi_ir_emit(ir, RPI_IR_REDUCE, RP_F64, 0, 1, &q);
  }
  ir->n_body = ir->n_ins;
  fill(b);
  tame(b, val);
  tame(b, x);
}

static double segment_sum(double *v, int64_t n) {
  double sum = -0.0;
  int64_t leaves = (n + 1023) / 1024;
  if (n == 0) return 0.0;
  for (int64_t i = 0; i < n && n <= 32; i++) sum += v[i];
  if (n <= 32) return sum;
  for (int64_t u = 0; u < leaves; u++)
    v[u] = leaf_sum(v + 1024 * u, n - 1024 * u < 1024 ? n - 1024 * u : 1024);
  for (; leaves > 1; leaves = (leaves + 1) / 2) {
    for (int64_t u = 0; u < leaves; u += 2) v[u / 2] = u + 1 < leaves ? v[u] + v[u + 1] : v[u];
  }
  return v[0];
}

static void test_spmv(void **state) {
  static const int64_t lengths[] = {0, 1, 5, 31, 32, 33, 64, 100, 1024, 1025, 3000, 7001};
  static double terms[8192];
  (void)state;
  if (!cc) skip();
  for (int32_t checked = 0; checked < 2; checked++) {
    bench *b = malloc(sizeof *b);
    const int64_t n = 41;
    spmv(b, n, checked, false);
    int64_t *ptr = (int64_t *)b->start[0], *col = (int64_t *)b->start[3];
    const double *val = (double *)b->start[2], *x = (double *)b->start[4];
    ptr[0] = 0;
    for (int64_t i = 0; i < n; i++) ptr[i + 1] = ptr[i] + lengths[i % RPI_COUNT(lengths)];
    memcpy(b->start[1], ptr, 8 * 50);
    for (int64_t k = 0; k < ptr[n]; k++) col[k] = below(1000);
    if (checked) col[20] = -5, col[2000] = INT64_MAX, col[30] = INT64_MIN;
    const rpi_kernel_code code = compiled(&b->ir);
    run(b, &code);
    assert_int_equal(b->flag, checked);
    for (int64_t i = 0; i < n; i++) {
      for (int64_t k = ptr[i]; k < ptr[i + 1]; k++) {
        const int64_t c = col[k] < 0 ? 0 : col[k] > 999 ? 999 : col[k];
        terms[k - ptr[i]] = val[k] * x[c];
      }
      const double sum = segment_sum(terms, ptr[i + 1] - ptr[i]);
      assert_true(same(RP_F64, (const unsigned char *)&sum, b->memory[5] + 8 * i, 0));
    }
    bench_free(b);
    free(b);
  }
}

/* The result of a row goes straight into the store and the reduction; leaves of rows as ever. */
static void test_spmv_dot(void **state) {
  static const int64_t lengths[] = {5, 0, 1, 33, 4, 31, 32, 100, 2};
  (void)state;
  if (!cc) skip();
  for (int32_t checked = 0; checked < 2; checked++) {
    bench *b = malloc(sizeof *b);
    const int64_t n = 2000;
    spmv(b, n, checked, true);
    int64_t *ptr = (int64_t *)b->start[0], *col = (int64_t *)b->start[3];
    ptr[0] = 0;
    for (int64_t i = 0; i < n; i++) ptr[i + 1] = ptr[i] + lengths[i % RPI_COUNT(lengths)];
    memcpy(b->start[1], ptr, (size_t)(n + 1) * 8);
    for (int64_t k = 0; k < ptr[n]; k++) col[k] = below(1000);
    tame(b, 6);
    compare(b, 0);
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
  const int32_t x = affine(b, t, RPI_ACCESS_READ, any), y = line(b, t, RPI_ACCESS_READ),
                p = line(b, t, RPI_ACCESS_WRITE), q = affine(b, t, RPI_ACCESS_WRITE, any);
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
  fill(b);
  tame(b, x);
  tame(b, y);
  compare(b, (uint64_t)n);
  bench_free(b);
  free(b);
}

static void test_twins(void **state) {
  (void)state;
  if (!cc) skip();
  for (int64_t n = 1; n < 70; n += n < 36 ? 5 : 11) {
    twins(n, RP_F64);
    twins(n, RP_F32);
  }
  twins(1024 + 9, RP_F64);
}

/* A launch far beyond the caches writes past them; here only its first and last few leaves are run. */
static void test_stream(void **state) {
  (void)state;
  if (!cc) skip();
  for (int64_t shift = 0; shift < 2; shift++) { /* aligned, and not */
    bench *b = malloc(sizeof *b);
    bench_init(b, 1);
    rpi_ir *ir = &b->ir;
    b->extent[0] = 5003;
    const int32_t x = line(b, RP_F64, RPI_ACCESS_READ), y = line(b, RP_F64, RPI_ACCESS_WRITE);
    const rpi_irval v = rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, (uint64_t)x, 0, NULL);
    const rpi_irval z = rpi_ir_emit2(ir, RPI_IR_MUL, RP_F64, v, v);
    rpi_ir_emit(ir, RPI_IR_STORE, RP_F64, (uint64_t)y, 1, &z);
    ir->n_body = ir->n_ins;
    fill(b);
    tame(b, x);
    b->memory[y] = (free(b->memory[y]), aligned_alloc(64, BYTES));
    b->offset[y] = shift;
    const rpi_kernel_code code = compiled(ir);
    for (int32_t huge = 0; huge < 2; huge++) { /* units are the same whatever the extent */
      memcpy(b->memory[x], b->start[x], BYTES);
      memcpy(b->memory[y], b->start[y], BYTES);
      bind(b);
      b->w[b->l.extent].i = huge ? INT64_C(1) << 40 : 5003;
      code.body(code.self, b->w, 0, huge ? 4 : 5, scratch);
      const double *in = (double *)b->memory[x], *out = (double *)b->memory[y] + shift;
      const int64_t n = huge ? 4096 : 5003;
      for (int64_t i = 0; i < n; i++) assert_true(in[i] * in[i] - out[i] == 0.0);
      assert_memory_equal(out + n, (double *)b->start[y] + shift + n, 256);
    }
    bench_free(b);
    free(b);
  }
}

/* The other vector level compiles, also where it cannot run. */
static void test_avx512(void **state) {
  char path[128];
  rpi_strbuf text;
  rpi_cc *cc512 = NULL;
  (void)state;
  if (!cc) skip();
  assert_int_equal(rpi_cc_create("", RPI_VECTOR_AVX512, &cc512), RP_OK);
  assert_non_null(strstr(rpi_cc_identity(cc512), "-mavx512f"));
  snprintf(path, sizeof path, "%s/k512.so", folder);
  bench *b = malloc(sizeof *b);
  seed = 5;
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

static int start(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/reprise-emit-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  if (rpi_cc_create("", RPI_VECTOR_AVX2, &cc) != RP_OK) return -1;
  if (!cc) print_message("no C compiler on PATH: compiled kernels are not tested\n");
  return 0;
}

static int stop(void **state) {
  (void)state;
  rpi_cc_free(cc);
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),       cmocka_unit_test(test_axpy_dot),
      cmocka_unit_test(test_spmv),         cmocka_unit_test(test_avx512),
      cmocka_unit_test(test_stream),       cmocka_unit_test(test_twins),
      cmocka_unit_test(test_spmv_dot),     cmocka_unit_test(test_random),
      cmocka_unit_test(test_random_loops),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
