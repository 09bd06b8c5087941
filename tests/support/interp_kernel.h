/* SPDX-License-Identifier: Apache-2.0
 * tests/support/interp_kernel.h -- one kernel with its words, for the tests of the interpreter.
 * Lives here: short ways to write an IR, binding, a run in shuffled pieces, comparison of doubles. */
#ifndef INTERP_KERNEL_H
#define INTERP_KERNEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/config.h"
#include "jit/finish.h"
#include "jit/interp.h"

static uint64_t seed = 12345;
static inline uint64_t rnd(void) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return seed >> 33;
}
static inline double rnd_f64(void) { return (double)(int64_t)(rnd() % 2000001) / 1000.0 - 1000.0; }

typedef struct kernel {
  rpi_ir ir;
  rpi_ir_layout l;
  rpi_interp *interp;
  rpi_word *w;
  void *partial[8];
  uint32_t flag;
} kernel;

static inline int32_t affine(kernel *k, rp_dtype t, int32_t access, const char *classes) {
  rpi_ir_operand o = {.dtype = (uint8_t)t,
                      .kind = RPI_OPERAND_AFFINE,
                      .rank = (uint8_t)k->ir.rank,
                      .access = (uint8_t)access};
  for (int32_t d = 0; d < k->ir.rank; d++)
    o.sclass[d] = classes[d] == '0'   ? RPI_STRIDE_ZERO
                  : classes[d] == '1' ? RPI_STRIDE_UNIT
                                      : RPI_STRIDE_ANY;
  return rpi_ir_operand_add(&k->ir, &o);
}

static inline int32_t table(kernel *k, rp_dtype t, int32_t rank, int32_t checked) {
  rpi_ir_operand o = {.dtype = (uint8_t)t,
                      .kind = RPI_OPERAND_TABLE,
                      .rank = (uint8_t)rank,
                      .access = RPI_ACCESS_READ,
                      .checked = (uint8_t)checked};
  for (int32_t d = 0; d < rank; d++) o.sclass[d] = d == rank - 1 ? RPI_STRIDE_UNIT : RPI_STRIDE_ANY;
  return rpi_ir_operand_add(&k->ir, &o);
}

static inline rpi_irval load(kernel *k, int32_t o) {
  return rpi_ir_emit(&k->ir, RPI_IR_LOAD, k->ir.operand[o].dtype, (uint64_t)o, 0, NULL);
}
static inline void store(kernel *k, int32_t o, rpi_irval v) {
  rpi_ir_emit(&k->ir, RPI_IR_STORE, k->ir.operand[o].dtype, (uint64_t)o, 1, &v);
}
static inline rpi_irval op1(kernel *k, rpi_irop op, rp_dtype t, rpi_irval a) {
  return rpi_ir_emit1(&k->ir, op, t, a);
}
static inline rpi_irval op2(kernel *k, rpi_irop op, rp_dtype t, rpi_irval a, rpi_irval b) {
  return rpi_ir_emit2(&k->ir, op, t, a, b);
}
static inline rpi_irval gather1(kernel *k, int32_t o, rpi_irval i) {
  return rpi_ir_emit(&k->ir, RPI_IR_GATHER, k->ir.operand[o].dtype, (uint64_t)o, 1, &i);
}
static inline rpi_irval loop(kernel *k, rpi_looprule rule, rpi_irval lo, rpi_irval hi) {
  const rpi_irval s[2] = {lo, hi};
  return rpi_ir_emit(&k->ir, RPI_IR_LOOP, RP_I64, rule, 2, s);
}
static inline rpi_irval endloop(kernel *k, rpi_redop op, rp_dtype t, rpi_irval v) {
  return rpi_ir_emit(&k->ir, RPI_IR_ENDLOOP, t, op, 1, &v);
}
static inline void reduce(kernel *k, rpi_redop op, int32_t o, int32_t mask, int32_t join,
                          rpi_irval v) {
  const rpi_ir_red r = {
      .operand = (uint16_t)o, .op = (uint8_t)op, .join = (uint8_t)join, .mask = (uint8_t)mask};
  const int32_t n = rpi_ir_red_add(&k->ir, &r);
  rpi_ir_emit(&k->ir, RPI_IR_REDUCE, k->ir.operand[o].dtype, (uint64_t)n, 1, &v);
}

static inline void open_kernel(kernel *k, int32_t rank) {
  memset(k, 0, sizeof *k);
  rpi_ir_init(&k->ir, rank);
}
static inline void
seal(kernel *k) { /* after the body; a prologue sets n_pro itself, an epilogue n_body */
  if (k->ir.n_body == 0) k->ir.n_body = k->ir.n_ins;
  assert_false(k->ir.failed);
  assert_int_equal(rpi_interp_create(&k->ir, RPI_VECTOR_AVX2, &k->interp), RP_OK);
  rpi_ir_layout_get(&k->ir, &k->l);
  k->w = calloc((size_t)k->l.n_words, sizeof *k->w);
  k->w[k->l.flag].p = &k->flag;
}
static inline void bind(kernel *k, int32_t o, void *p, const int64_t *stride) {
  k->w[k->l.ptr + o].p = p;
  const int32_t at = rpi_ir_layout_stride(&k->ir, &k->l, o);
  for (int32_t d = 0; d < k->ir.operand[o].rank; d++) k->w[at + d].i = stride[d];
}
static inline void bind_table(kernel *k, int32_t o, void *p, int64_t extent) {
  const int64_t one = 1;
  bind(k, o, p, &one);
  k->w[rpi_ir_layout_stride(&k->ir, &k->l, o) + 1].i = extent;
}
/* Runs it, the units cut at random places and taken in a shuffled order of pieces. */
static inline void run(kernel *k, const int64_t *extent) {
  const rpi_kernel_code *code = rpi_interp_code(k->interp);
  for (int32_t d = 0; d < k->ir.rank; d++) k->w[k->l.extent + d].i = extent[d];
  for (int32_t r = 0; r < k->ir.n_red; r++) {
    free(k->partial[r]);
    k->partial[r] = malloc((size_t)rpi_ir_partials(&k->ir, extent) * 8 + 8);
    k->w[k->l.partial + r].p = k->partial[r];
  }
  if (code->pro != NULL) code->pro(code->self, k->w);
  const int64_t units = rpi_ir_units(&k->ir, extent);
  void *scratch = aligned_alloc(64, RPI_KERNEL_SCRATCH);
  memset(scratch, 0xee, RPI_KERNEL_SCRATCH);
  for (int64_t pass = 0; pass < 2; pass++) { /* odd pieces, then even ones */
    const uint64_t at = seed;
    int64_t piece = 0;
    for (int64_t u = 0; u < units; piece++) {
      const int64_t n = 1 + (int64_t)(rnd() % 7), end = u + n < units ? u + n : units;
      if (piece % 2 != pass) code->body(code->self, k->w, u, end, scratch);
      u = end;
    }
    if (pass == 0) seed = at;
  }
  free(scratch);
  rpi_finish_all(&k->ir, &k->l, k->w);
  if (code->epi != NULL) code->epi(code->self, k->w);
}
static inline void close_kernel(kernel *k) {
  for (int32_t r = 0; r < 8; r++) free(k->partial[r]);
  rpi_interp_free(k->interp);
  rpi_ir_deinit(&k->ir);
  free(k->w);
}

static inline void same_f64(double a, double b) {
  if (a != a && b != b) return;
  uint64_t x, y;
  memcpy(&x, &a, 8), memcpy(&y, &b, 8);
  if (x != y) print_error("%a and %a\n", a, b);
  assert_true(x == y);
}

#endif
