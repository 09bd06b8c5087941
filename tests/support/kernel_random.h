/* SPDX-License-Identifier: Apache-2.0
 * tests/support/kernel_random.h -- random kernels with all that the C emitter has a form for: prologues,
 * gathers, inner loops, reductions of both modes. Everything follows from bench_seed. */
#ifndef KERNEL_RANDOM_H
#define KERNEL_RANDOM_H

#include "tests/support/kernel_bench.h"

typedef struct random_pool {
  rpi_irval value[256];
  int32_t n;
} random_pool;

static inline void random_keep(random_pool *p, rpi_irval v) {
  if (p->n < RPI_COUNT(p->value)) p->value[p->n++] = v;
}

static inline rp_dtype random_type(const bench *b, rpi_irval v) { return b->ir.ins[v].dtype; }

/* A random value of that dtype, made by a cast if there is none. */
static inline rpi_irval random_pick(bench *b, random_pool *p, rp_dtype t) {
  for (int32_t i = 0; i < 8; i++) {
    const rpi_irval v = p->value[bench_below(p->n)];
    if (random_type(b, v) == t) return v;
  }
  return rpi_ir_emit1(&b->ir, RPI_IR_CAST, t, p->value[bench_below(p->n)]);
}

static inline void random_op(bench *b, random_pool *p) {
  const rpi_irop op = (rpi_irop)(RPI_IR_CAST + bench_below(RPI_IR_N_OPS - RPI_IR_CAST));
  rpi_irval s[3];
  s[0] = p->value[bench_below(p->n)];
  rp_dtype t = random_type(b, s[0]);
  if (op == RPI_IR_CAST) {
    random_keep(p, rpi_ir_emit1(&b->ir, op, bench_below(RPI_N_DTYPE), s[0]));
    return;
  }
  if (op == RPI_IR_SELECT) {
    s[0] = random_pick(b, p, RP_BOOL);
    s[1] = p->value[bench_below(p->n)];
    s[2] = random_pick(b, p, random_type(b, s[1]));
    random_keep(p, rpi_ir_emit(&b->ir, op, random_type(b, s[1]), 0, 3, s));
    return;
  }
  if (!rpi_ir_op_takes(op, t)) return;
  for (int32_t i = 1; i < rpi_ir_op_n_src(op); i++) s[i] = random_pick(b, p, t);
  random_keep(p, rpi_ir_emit(&b->ir, op, rpi_ir_op_result(op) == 'B' ? RP_BOOL : t, 0,
                             rpi_ir_op_n_src(op), s));
}

static inline bool random_red_takes(rpi_redop op, rp_dtype t) {
  const int32_t kind = rpi_dtype_kind(t);
  if (op <= RPI_RED_MAX) return kind != RPI_KIND_B;
  if (op <= RPI_RED_XOR) return kind != RPI_KIND_F;
  return kind == RPI_KIND_B;
}

/* An inner loop over k of values of the pool; its result joins the pool. */
static inline void random_loop(bench *b, random_pool *p, int32_t elements, int32_t depth) {
  rpi_ir *ir = &b->ir;
  const rpi_irval bounds[] = {rpi_ir_emit2(ir, RPI_IR_MOD, RP_I64, random_pick(b, p, RP_I64),
                                           rpi_ir_const_i64(ir, RP_I64, 9)),
                              rpi_ir_emit2(ir, RPI_IR_MOD, RP_I64, random_pick(b, p, RP_I64),
                                           rpi_ir_const_i64(ir, RP_I64,
                                                            depth            ? 12
                                                            : bench_below(4) ? 70
                                                                             : 2300))};
  const rpi_irval k = rpi_ir_emit(ir, RPI_IR_LOOP, RP_I64, (uint64_t)bench_below(3), 2, bounds);
  random_pool inner = *p;
  random_keep(&inner, k);
  random_keep(&inner, rpi_ir_emit(ir, RPI_IR_GATHER, ir->operand[elements].dtype,
                                  (uint64_t)elements, 1, &k));
  if (depth < 1 && bench_below(4) == 0) random_loop(b, &inner, elements, depth + 1);
  for (int32_t i = 0; i < 4; i++) random_op(b, &inner);
  const rpi_irval e = inner.value[inner.n - 1];
  rpi_redop op;
  do op = (rpi_redop)bench_below(RPI_N_RED);
  while (op < RPI_RED_ARGMIN ? !random_red_takes(op, random_type(b, e))
                             : rpi_dtype_kind(random_type(b, e)) == RPI_KIND_B);
  random_keep(p, rpi_ir_emit(ir, RPI_IR_ENDLOOP, op < RPI_RED_ARGMIN ? random_type(b, e) : RP_I64,
                             op, 1, &e));
}

static inline void random_stores(bench *b, random_pool *p) {
  for (int32_t i = 0; i < 3; i++) {
    uint8_t sclass[RP_MAX_DIM] = {0};
    for (int32_t d = 0; d < b->ir.rank; d++) sclass[d] = RPI_STRIDE_ANY;
    if (bench_below(3)) sclass[b->ir.rank - 1] = RPI_STRIDE_UNIT;
    const rpi_irval v = p->value[p->n - 1 - bench_below(p->n < 12 ? p->n : 12)];
    const int32_t o = bench_affine(b, random_type(b, v), RPI_ACCESS_WRITE, sclass);
    rpi_ir_emit(&b->ir, RPI_IR_STORE, random_type(b, v), (uint64_t)o, 1, &v);
  }
}

static inline void random_reductions(bench *b, random_pool *p) {
  const int32_t rank = b->ir.rank, n = bench_below(4);
  const bool row = rank > 1 && bench_below(2);
  const int32_t prefix = row ? 1 + bench_below(rank - 1) : 0;
  for (int32_t i = 0; i < n; i++) {
    rpi_ir_red r = {.op = (uint8_t)bench_below(RPI_RED_ALL + 1)};
    uint8_t sclass[RP_MAX_DIM] = {0};
    const rpi_irval v = p->value[p->n - 1 - bench_below(p->n < 12 ? p->n : 12)];
    if (!random_red_takes((rpi_redop)r.op, random_type(b, v))) continue;
    r.mask = (uint8_t)(row ? (1 << prefix) - 1 : (1 << (rank - 1)) | bench_below(1 << rank));
    for (int32_t d = 0; d < rank; d++) {
      if (!(r.mask >> d & 1)) sclass[d] = d == rank - 1 ? RPI_STRIDE_UNIT : RPI_STRIDE_ANY;
    }
    r.operand = (uint16_t)bench_affine(b, random_type(b, v), RPI_ACCESS_REDUCE, sclass);
    const int32_t number = rpi_ir_red_add(&b->ir, &r);
    rpi_ir_emit(&b->ir, RPI_IR_REDUCE, random_type(b, v), (uint64_t)number, 1, &v);
  }
}

static inline void random_kernel(bench *b, bool loops) {
  static const int64_t lasts[] = {1, 3, 4, 7, 64, 100, 1023, 1024, 1029, 2055};
  random_pool p = {.n = 0};
  bench_init(b, 1 + bench_below(3));
  const int32_t rank = b->ir.rank;
  rpi_ir *ir = &b->ir;
  b->extent[rank - 1] = lasts[bench_below(loops ? 6 : RPI_COUNT(lasts))];
  for (int32_t d = 0; d < rank - 1; d++) {
    const int64_t last = b->extent[rank - 1];
    b->extent[d] = 1 + bench_below(last <= 7                  ? (rank == 2 ? 300 : 60)
                                   : last <= 100 || rank == 2 ? 3
                                                              : 2);
  }
  for (int32_t s = 0; s < 2; s++) {
    const rp_dtype t = s ? RP_F64 : RP_I32;
    rpi_ir_scalar_add(ir, t);
    bench_element(t, (unsigned char *)&b->scalar[s]);
    random_keep(&p, rpi_ir_emit(ir, RPI_IR_SCALAR, t, (uint64_t)s, 0, NULL));
  }
  const uint8_t zero[RP_MAX_DIM] = {0};
  const rp_dtype alone = bench_below(RPI_N_DTYPE);
  const int32_t rank_0 = bench_affine(b, alone, RPI_ACCESS_READ, zero);
  random_keep(&p, rpi_ir_emit(ir, RPI_IR_LOAD, alone, (uint64_t)rank_0, 0, NULL));
  for (int32_t i = 0; i < 6; i++) random_op(b, &p);
  const int32_t early = bench_affine(b, random_type(b, p.value[p.n - 1]), RPI_ACCESS_WRITE, zero);
  rpi_ir_emit(ir, RPI_IR_STORE, random_type(b, p.value[p.n - 1]), (uint64_t)early, 1,
              &p.value[p.n - 1]);
  random_keep(&p, rpi_ir_const_f64(ir, RP_F32, 2.5));
  random_keep(&p, rpi_ir_const_i64(ir, RP_I64, 1 + bench_below(50)));
  ir->n_pro = ir->n_ins;
  const random_pool uniform = p;
  const bool narrow = bench_below(4) == 0 && !loops;
  for (int32_t i = 0; i < 4; i++) {
    uint8_t sclass[RP_MAX_DIM] = {0};
    for (int32_t d = 0; d < rank; d++)
      sclass[d] = bench_below(4) ? RPI_STRIDE_ANY : RPI_STRIDE_ZERO;
    if (bench_below(2)) sclass[rank - 1] = RPI_STRIDE_UNIT;
    rp_dtype t = narrow ? (bench_below(2) ? RP_F32 : RP_I16) : bench_below(RPI_N_DTYPE);
    const int32_t o = bench_affine(b, t, RPI_ACCESS_READ, sclass);
    random_keep(&p, rpi_ir_emit(ir, RPI_IR_LOAD, t, (uint64_t)o, 0, NULL));
  }
  if (!narrow) {
    for (int32_t d = 0; d < rank; d++)
      random_keep(&p, rpi_ir_emit(ir, RPI_IR_INDEX, RP_I64, (uint64_t)d, 0, NULL));
    const int32_t t =
        bench_table(b, bench_below(RPI_N_DTYPE), true, bench_below(2), 1 + bench_below(200));
    const rpi_irval at = random_pick(b, &p, RP_I64);
    random_keep(&p, rpi_ir_emit(ir, RPI_IR_GATHER, ir->operand[t].dtype, (uint64_t)t, 1, &at));
  }
  for (int32_t i = 0; i < 25; i++) random_op(b, &p);
  if (loops) {
    const int32_t t = bench_table(b, bench_below(3) ? RP_F64 : RP_I32, false, true, 4000);
    random_loop(b, &p, t, 0);
    for (int32_t i = 0; i < 4; i++) random_op(b, &p);
    random_loop(b, &p, t, 0);
    for (int32_t i = 0; i < 4; i++) random_op(b, &p);
  }
  random_stores(b, &p);
  random_reductions(b, &p);
  ir->n_body = ir->n_ins;
  p = uniform;
  random_keep(&p, rpi_ir_emit(ir, RPI_IR_LOAD, alone, (uint64_t)rank_0, 0, NULL));
  for (int32_t i = 0; i < 4; i++) random_op(b, &p);
  const int32_t late = bench_affine(b, random_type(b, p.value[p.n - 1]), RPI_ACCESS_WRITE, zero);
  rpi_ir_emit(ir, RPI_IR_STORE, random_type(b, p.value[p.n - 1]), (uint64_t)late, 1,
              &p.value[p.n - 1]);
  bench_fill(b);
  for (int32_t d = 0; d < rank; d++) /* as a box of a larger space */
    b->origin[d] = bench_below(2) ? bench_below(4000) : 0;
}

/* `n` of them, the sums of reductions joined in either way, each given to `compare` with the seed that makes it. */
static inline void random_kernels(bool loops, int32_t n, void (*compare)(bench *, uint64_t from)) {
  for (int32_t i = 0; i < n; i++) {
    const uint64_t from = bench_seed;
    bench *b = malloc(sizeof *b);
    random_kernel(b, loops);
    for (int32_t r = 0; r < b->ir.n_red; r++) b->ir.red[r].join = (uint8_t)bench_below(2);
    compare(b, from);
    bench_free(b);
    free(b);
  }
}

#endif
