/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_cuda_loop.c -- an inner loop whose rows a warp does together.
 *
 * Lives here: who adds what of the rows that a warp's 32 threads are at, by the rows' lengths.
 * Not here:   what a warp does of a longer row, and who helps (emit_cuda_long.c); loops of one thread (emit_c_loop.c):
 *             nested ones, argmin, trees over rows, those that take very many values from around them; how a warp comes to its points (emit_cuda_body.c).
 * How:        the lengths are known when the loop is come to, and a vote costs less than one element, so each warp chooses for
 *             its own rows:
 *             - of at most FEW elements, or not one behind the other in memory (many columns that share the rows of a
 *               matrix): a row per thread. What a thread reads of few elements is one sector of memory, so nothing is read
 *               twice; what threads of shared rows read they read at once.
 *             - of at most RPI_SEGMENT_LEAF, each behind the last, as in a compressed matrix: by elements. Thread t makes
 *               elements t, t + 32, ... of all rows into shared memory, and then each thread adds up its own row from
 *               there, in order. So loads are of neighbours, several are on their way at once, and no thread waits for
 *               another's longer row but where it adds. (Greathouse and Daga's streamed rows, 2014; with rows so
 *               short the elements are shared out evenly without Merrill and Garland's search of 2016.) Only if the loop
 *               takes values of the row is the row of an element searched for.
 *             - longer ones: one after another, a row per warp; of very long ones other warps take parts.
 * Invariants: all threads of a warp come here, those without a point (`in` is 0) too: they have no row and help with the
 *             others'. Each row's order is SEMANTICS', so the choice changes no bit. Repeated elements fill the last
 *             turn: they are of the same rows, so they raise no flag that the rows do not raise. A row has fewer
 *             than 2^42 elements. */
#include <stdio.h>

#include "core/model/dtype.h"
#include "jit/cuda_board.h"
#include "jit/emit_cuda_impl.h"

enum { FEW = 4 }; /* elements of a row that fill a sector of 32 bytes */
enum { TAKEN = 64 * RPK_GIVEN };
enum { SHORT_BODY = 12 }; /* instructions that are worth unrolling */

rpi_emit_team rpi_emit_team_of(const rpi_emit *e, int32_t at) {
  const rpi_ir *ir = e->ir;
  rpi_emit_team p = {.at = at, .end = e->end[at], .segment = ir->ins[at].imm == RPI_LOOP_SEGMENT};
  p.element = rpi_ir_src(ir, &ir->ins[p.end], 0);
  p.dtype = ir->ins[p.element].dtype;
  p.ctype = rpi_emit_ctype(p.dtype);
  p.t = rpi_dtype_name(p.dtype);
  p.red = rpi_ir_redop_name((rpi_redop)ir->ins[p.end].imm);
  return p;
}

void rpi_emit_team_folds(const rpi_emit *e, int32_t at, rpi_redop *op, rp_dtype *t) {
  *op = (rpi_redop)e->ir->ins[e->end[at]].imm;
  *t = rpi_emit_team_of(e, at).dtype;
}

/* ---- values from around the loop */

/* Is it the row's, though it stands in the loop? */
static bool is_early(const rpi_emit *e, int32_t i) {
  return e->ir->ins[i].op == RPI_IR_LOAD || e->ir->ins[i].op == RPI_IR_INDEX;
}

static bool is_taken(const rpi_emit *e, const rpi_emit_team *p, int32_t v) {
  for (int32_t i = p->at + 1; i < p->end; i++)
    for (int32_t s = 0; s < e->ir->ins[i].n_src; s++)
      if (rpi_ir_src(e->ir, &e->ir->ins[i], s) == v && !is_early(e, i)) return true;
  return p->element == v && v < p->at;
}

/* Does each row have its own? Else it is the same for all threads. */
static bool is_own(const rpi_emit *e, int32_t v) {
  const uint8_t op = e->ir->ins[v].op;
  return v >= e->ir->n_pro && op != RPI_IR_CONST && op != RPI_IR_SCALAR && op != RPI_IR_EXTENT;
}

/* The next value that the loop takes from around it, behind v; p->end: there is none. */
int32_t rpi_emit_team_taken(const rpi_emit *e, const rpi_emit_team *p, int32_t v) {
  for (v++; v < p->end; v++) {
    if (v == p->at || (v > p->at && !is_early(e, v))) continue;
    if (is_taken(e, p, v) || (v > p->at && v == p->element)) return v;
  }
  return p->end;
}

bool rpi_emit_is_team(const rpi_emit *e, int32_t at) {
  const rpi_ir *ir = e->ir;
  const int32_t end = e->end[at];
  if (ir->ins[at].op != RPI_IR_LOOP || ir->ins[at].imm == RPI_LOOP_ROWS) return false;
  if (at < ir->n_pro || at >= ir->n_body || ir->ins[end].imm >= RPI_RED_ARGMIN) return false;
  for (int32_t i = 0; i < end; i++) { /* in no loop, and with none inside */
    if (i != at && ir->ins[i].op == RPI_IR_LOOP && e->end[i] > at) return false;
  }
  const rpi_emit_team p = rpi_emit_team_of(e, at);
  int32_t n = 0;
  for (int32_t v = rpi_emit_team_taken(e, &p, -1); v < p.end; v = rpi_emit_team_taken(e, &p, v))
    n++;
  return n <= RPK_GIVEN;
}

bool rpi_emit_has_team(const rpi_emit *e) {
  for (int32_t i = e->ir->n_pro; i < e->ir->n_body; i++)
    if (rpi_emit_is_team(e, i)) return true;
  return false;
}

static bool takes_own(const rpi_emit *e, const rpi_emit_team *p) {
  for (int32_t v = rpi_emit_team_taken(e, p, -1); v < p->end; v = rpi_emit_team_taken(e, p, v))
    if (is_own(e, v)) return true;
  return false;
}

/* `most` elements at once, so that their loads overlap, as far as registers go: wide indices take twice as many. */
void rpi_emit_team_unroll(rpi_emit *e, const rpi_emit_team *p, int32_t most) {
  if (e->wide) most /= 2;
  if (p->end - p->at <= SHORT_BODY && most > 1)
    rpi_emit_line(e, "RPK_UNROLL(%d)", most);
  else
    rpi_emit_line(e, "RPK_ROLLED");
}

/* The loop's instructions for element s<at>. */
void rpi_emit_team_inner(rpi_emit *e, const rpi_emit_team *p) {
  for (int32_t i = p->at + 1; i < p->end; i++)
    if (!is_early(e, i)) rpi_emit_value(e, i, RPI_EMIT_THREAD);
}

void rpi_emit_team_join(rpi_emit *e, const rpi_emit_team *p, const char *only, const char *sum) {
  rpi_emit_line(e, "%s%s = rps_red_%s_%s(%s, s%d);", only, sum, p->red, p->t, sum, p->element);
}

/* ---- rows of the whole warp */

/* The longer rows, from the first thread's on. What each thread knows of its own waits in the block's memory: there are
 * not the registers for it beside a leaf. */
static void emit_longer(rpi_emit *e, const rpi_emit_team *p) {
  char call[TAKEN + 256];
  size_t len = (size_t)snprintf(
      call, sizeof call, "rpk_long%d_%.8s(w, pool, a.mode >> 32 ? tally : 0, r", p->at, e->key);
  for (int32_t v = rpi_emit_team_taken(e, p, -1); v < p->end; v = rpi_emit_team_taken(e, p, v)) {
    rpi_assert(len + 64 <= sizeof call);
    if (is_own(e, v))
      len += (size_t)snprintf(call + len, sizeof call - len, ", rpk_from_%s(s%d, r)",
                              rpi_dtype_name(e->ir->ins[v].dtype), v);
    else
      len += (size_t)snprintf(call + len, sizeof call - len, ", s%d", v);
  }
  rpi_emit_open(e, "if (RPG_BALLOT(longer)) {");
  rpi_emit_line(e, "pool[me] = rpk_put_i64(lo), pool[%d + me] = rpk_put_i64(hi);", RPI_CUDA_WARP);
  rpi_emit_line(e, "pool[%d + me] = rpk_put_%s(s%d);", 2 * RPI_CUDA_WARP, p->t, p->end);
  rpi_emit_line(e, "RPG_WARP();");
  rpi_emit_line(e, "RPK_ROLLED");
  rpi_emit_line(e, "for (int r = 0; r < %d; r++)", RPI_CUDA_WARP);
  rpi_emit_line(e, "  if (RPG_BALLOT(longer) >> r & 1) %s);", call);
  rpi_emit_line(e, "RPG_WARP();");
  rpi_emit_line(e, "s%d = rpk_%s(pool[%d + me]);", p->end, p->t, 2 * RPI_CUDA_WARP);
  rpi_emit_line(e, "RPG_WARP();");
  rpi_emit_close(e);
}

/* ---- rows by elements */

/* Element j of the rows, at its place i of the pool. */
static void emit_element(rpi_emit *e, const rpi_emit_team *p) {
  rpi_emit_line(e, "const int j = i < some ? from + i : from + some - 1;");
  rpi_emit_line(e, "const int64_t s%d = lo0 + j;", p->at);
  if (takes_own(e, p)) rpi_emit_line(e, "const int r = rpk_row_of(end, j);");
  for (int32_t v = rpi_emit_team_taken(e, p, -1); v < p->end; v = rpi_emit_team_taken(e, p, v)) {
    if (!is_own(e, v)) continue;
    const rp_dtype t = e->ir->ins[v].dtype;
    rpi_emit_line(e, "const %s s%d = rpk_from_%s(own%d, r);", rpi_emit_ctype(t), v,
                  rpi_dtype_name(t), v);
  }
  rpi_emit_team_inner(e, p);
  rpi_emit_line(e, "pool[i] = rpk_put_%s(s%d);", p->t, p->element);
}

static void emit_pool(rpi_emit *e, const rpi_emit_team *p) {
  for (int32_t v = rpi_emit_team_taken(e, p, -1); v < p->end; v = rpi_emit_team_taken(e, p, v))
    if (is_own(e, v))
      rpi_emit_line(e, "const %s own%d = s%d;", rpi_emit_ctype(e->ir->ins[v].dtype), v, v);
  rpi_emit_line(e, "const int total = rpk_from_i32(end, %d);", RPI_CUDA_WARP - 1);
  rpi_emit_line(e, "RPK_ROLLED");
  rpi_emit_open(e, "for (int from = 0; from < total; from += %d) {", RPI_CUDA_POOL);
  rpi_emit_line(e, "const int some = total - from < %d ? total - from : %d;", RPI_CUDA_POOL,
                RPI_CUDA_POOL);
  rpi_emit_line(e, "const int last = end < from + some ? end : from + some;");
  rpi_emit_team_unroll(e, p, 4);
  rpi_emit_open(e, "for (int i = me; i - me < some; i += %d) {", RPI_CUDA_WARP);
  emit_element(e, p);
  rpi_emit_close(e);
  rpi_emit_line(e, "RPG_WARP();");
  rpi_emit_line(e, "RPK_UNROLL(4)");
  rpi_emit_line(e, "for (int j = start > from ? start : from; j < last; j++)");
  rpi_emit_line(e, "  sum = rps_red_%s_%s(sum, rpk_%s(pool[j - from]));", p->red, p->t, p->t);
  rpi_emit_line(e, "RPG_WARP();");
  rpi_emit_close(e);
}

/* ---- a row per thread */

static void emit_few(rpi_emit *e, const rpi_emit_team *p) {
  rpi_emit_team_unroll(e, p, 2);
  rpi_emit_open(e, "for (int64_t s%d = lo; s%d < lo + size; s%d++) {", p->at, p->at, p->at);
  rpi_emit_team_inner(e, p);
  rpi_emit_team_join(e, p, "", "sum");
  rpi_emit_close(e);
}

/* Rows in order, of at most RPI_SEGMENT_LEAF elements. */
static void emit_short(rpi_emit *e, const rpi_emit_team *p) {
  rpi_emit_line(e, "const int size = longer || hi <= lo ? 0 : (int)(hi - lo);");
  rpi_emit_line(e, "const int end = rpk_ends(size), start = end - size;");
  rpi_emit_line(e, "const int64_t lo0 = rpk_from_i64(lo, 0);");
  rpi_emit_line(e, "const int apart = size > 0 && lo != lo0 + start;");
  rpi_emit_line(e, "%s sum = rps_identity_%s_%s();", p->ctype, p->red, p->t);
  rpi_emit_open(e, "if (RPG_BALLOT(size > %d) && !RPG_BALLOT(apart || longer)) {", FEW);
  emit_pool(e, p);
  rpi_emit_line(e, "if (size > 0) s%d = sum;", p->end);
  e->indent--;
  rpi_emit_open(e, "} else {");
  emit_few(e, p);
  rpi_emit_line(e, "if (size > 0) s%d = sum;", p->end);
  emit_longer(e, p);
  rpi_emit_close(e);
}

void rpi_emit_team_loop(rpi_emit *e, int32_t at) {
  const rpi_ir *ir = e->ir;
  const rpi_emit_team p = rpi_emit_team_of(e, at);
  rpi_emit_line(e, "%s s%d = rps_empty_%s_%s();", p.ctype, p.end, p.red, p.t);
  rpi_emit_open(e, "{ /* %s over k%d, task %d, by the warp */", p.red, at, ir->ins[at].origin);
  rpi_emit_line(e, "const int64_t lo = in ? s%d : 0, hi = in ? s%d : 0;",
                rpi_ir_src(ir, &ir->ins[at], 0), rpi_ir_src(ir, &ir->ins[at], 1));
  for (int32_t i = at + 1; i < p.end; i++)
    if (is_early(e, i)) rpi_emit_value(e, i, RPI_EMIT_THREAD);
  rpi_emit_line(e, "const int me = RPG_THREAD & %d, longer = hi > lo%s;", RPI_CUDA_WARP - 1,
                p.segment ? " && hi - lo > 32" : "");
  rpi_emit_line(e, "uint64_t *const pool = shared + RPG_THREAD / %d * %d;", RPI_CUDA_WARP,
                RPI_CUDA_POOL);
  e->guarded = false;
  if (p.segment)
    emit_short(e, &p);
  else
    emit_longer(e, &p);
  e->guarded = true;
  rpi_emit_close(e);
}
