/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_c_loop.c -- LOOP ... ENDLOOP as C: one inner iteration of one point, in the rule's
 * order.
 *
 * Lives here: the orders of SEMANTICS 3 for inner reductions: in order, leaves with 64
 *             accumulators, the pairwise tree. Not here: which values cross into the loop
 *             (emit_c_plan.c).
 * How:        a short segment is the plain loop a person would write. Longer ones, and axes, go by
 *             leaves of 1024 elements: in vectors of consecutive k where nothing nests inside, else
 *             one by one. The tree over leaves is a stack: leaf number b folds as many entries as b
 *             has low one bits. */
#include "jit/emit_c_impl.h"

#include <stdio.h>

#include "core/model/dtype.h"

enum { TAKEN = 4096, APART = 40 }; /* bytes of arguments; instructions of a loop with some */

typedef struct loop {
  int32_t at, end;
  rpi_looprule rule;
  rpi_redop op;
  rp_dtype dtype; /* of the elements */
  rpi_irval element;
  const char *t, *red; /* names of dtype and operator */
  rpi_emit_place where;
} loop;

static void inner(rpi_emit *e, const loop *p) { rpi_emit_scalars(e, p->at + 1, p->end, p->where); }

static bool nests(const rpi_emit *e, const loop *p) {
  for (int32_t i = p->at + 1; i < p->end; i++) {
    if (e->ir->ins[i].op == RPI_IR_LOOP) return true;
  }
  return false;
}

static void emit_arg(rpi_emit *e, const loop *p) {
  rpi_emit_line(e, "%s best = 0;", rpi_emit_ctype(p->dtype));
  rpi_emit_line(e, "s%d = -1;", p->end);
  rpi_emit_open(e, "for (int64_t s%d = lo; s%d < hi; s%d++) {", p->at, p->at, p->at);
  inner(e, p);
  rpi_emit_open(e, "if (s%d < 0 || rps_beats_%s_%s(s%d, best)) {", p->end, p->red, p->t,
                p->element);
  rpi_emit_line(e, "best = s%d;", p->element);
  rpi_emit_line(e, "s%d = s%d;", p->end, p->at);
  rpi_emit_close(e);
  rpi_emit_close(e);
}

/* A block with one element, at k<at> + `plus`; `head` may be a condition. */
static void emit_next(rpi_emit *e, const loop *p, const char *head, int32_t plus) {
  rpi_emit_open(e, "%s{", head);
  rpi_emit_line(e, "const int64_t s%d = k%d + %d;", p->at, p->at, plus);
  inner(e, p);
  rpi_emit_line(e, "sum = rps_red_%s_%s(sum, s%d);", p->red, p->t, p->element);
  rpi_emit_close(e);
}

/* Two elements a turn: rows of a sparse matrix are so short that the turns count. */
static void emit_in_order(rpi_emit *e, const loop *p) {
  char rest[40];
  rpi_emit_line(e, "%s sum = rps_identity_%s_%s();", rpi_emit_ctype(p->dtype), p->red, p->t);
  rpi_emit_line(e, "int64_t k%d = lo;", p->at);
  rpi_emit_open(e, "for (; k%d + 1 < hi; k%d += 2) {", p->at, p->at);
  emit_next(e, p, "", 0);
  emit_next(e, p, "", 1);
  rpi_emit_close(e);
  snprintf(rest, sizeof rest, "if (k%d < hi) ", p->at);
  emit_next(e, p, rest, 0);
  rpi_emit_line(e, "s%d = sum;", p->end);
}

static void emit_push(rpi_emit *e, const loop *p, const char *value) {
  rpi_emit_line(e, "%s top = %s;", rpi_emit_ctype(p->dtype), value);
  rpi_emit_line(e,
                "for (int64_t b = leaf; b & 1; b >>= 1) top = rps_red_%s_%s(tree[--depth], top);",
                p->red, p->t);
  rpi_emit_line(e, "tree[depth++] = top;");
}

static void emit_tree_open(rpi_emit *e, const loop *p) {
  rpi_emit_line(e, "%s tree[64];", rpi_emit_ctype(p->dtype));
  rpi_emit_line(e, "int depth = 0;");
}

static void emit_tree_close(rpi_emit *e, const loop *p) {
  rpi_emit_line(e, "%s all = tree[--depth];", rpi_emit_ctype(p->dtype));
  rpi_emit_line(e, "while (depth) all = rps_red_%s_%s(tree[--depth], all);", p->red, p->t);
  rpi_emit_line(e, "s%d = all;", p->end);
}

static void emit_rows(rpi_emit *e, const loop *p) {
  char element[24];
  emit_tree_open(e, p);
  rpi_emit_open(e, "for (int64_t s%d = lo, leaf = 0; s%d < hi; s%d++, leaf++) {", p->at, p->at,
                p->at);
  inner(e, p);
  snprintf(element, sizeof element, "s%d", p->element);
  emit_push(e, p, element);
  rpi_emit_close(e);
  emit_tree_close(e, p);
}

/* The elements of a leaf as vectors of consecutive k, as far as full vectors go. */
static void emit_lanes(rpi_emit *e, const loop *p) {
  const rpi_ir *ir = e->ir;
  e->loop_inner = p->at;
  rpi_emit_open(e, "{");
  for (int32_t i = p->at + 1; i < p->end; i++) { /* values from around the loop */
    for (int32_t s = 0; s < ir->ins[i].n_src; s++) {
      const int32_t v = rpi_ir_src(ir, &ir->ins[i], s);
      bool seen = v >= p->at;
      for (int32_t j = p->at + 1; j < i && !seen; j++) {
        for (int32_t k = 0; k < ir->ins[j].n_src; k++) seen |= rpi_ir_src(ir, &ir->ins[j], k) == v;
      }
      for (int32_t k = 0; k < s; k++) seen |= rpi_ir_src(ir, &ir->ins[i], k) == v;
      if (seen) continue;
      const char *t = rpi_dtype_name(ir->ins[v].dtype);
      rpi_emit_line(e, "const rpv_%s v%d = rpv_splat_%s(s%d);", t, v, t, v);
    }
  }
  rpi_emit_open(e, "for (; k%d + %d <= stop; k%d += %d) {", p->at, e->lanes, p->at, e->lanes);
  rpi_emit_line(e, "const rpv_i64 v%d = rpv_add_i64(rpv_iota(), rpv_splat_i64(k%d));", p->at,
                p->at);
  for (int32_t i = p->at + 1; i < p->end; i++) rpi_emit_value(e, i, RPI_EMIT_LANES);
  rpi_emit_line(e, "%s *const a = acc + ((k%d - start) & %d);", rpi_emit_ctype(p->dtype), p->at,
                RPI_ACCUMULATORS - 1);
  rpi_emit_line(e, "rpv_store_%s(a, rpv_red_%s_%s(rpv_load_%s(a), v%d));", p->t, p->red, p->t, p->t,
                p->element);
  rpi_emit_close(e);
  rpi_emit_close(e);
}

/* Loops of long segments are rare: written out, they would cost every thread registers. */
static void roll(rpi_emit *e) {
  if (e->cuda) rpi_emit_line(e, "RPK_ROLLED");
}

static void emit_leaves(rpi_emit *e, const loop *p, bool vectors, bool segment) {
  emit_tree_open(e, p);
  rpi_emit_line(e, "int64_t leaf = 0;");
  if (segment)
    rpi_emit_line(e, "const int64_t mask = hi - lo <= %d ? 0 : %d;", RPI_SEGMENT_LEAF,
                  RPI_ACCUMULATORS - 1);
  rpi_emit_open(e, "for (int64_t start = lo; start < hi; start += %d, leaf++) {", RPI_LEAF);
  rpi_emit_line(e, "const int64_t stop = hi - start < %d ? hi : start + %d;", RPI_LEAF, RPI_LEAF);
  rpi_emit_line(e, "%s acc[%d];", rpi_emit_ctype(p->dtype), RPI_ACCUMULATORS);
  roll(e);
  rpi_emit_line(e, "for (int j = 0; j < %d; j++) acc[j] = rps_identity_%s_%s();", RPI_ACCUMULATORS,
                p->red, p->t);
  rpi_emit_line(e, "int64_t k%d = start;", p->at);
  if (vectors) emit_lanes(e, p);
  roll(e);
  rpi_emit_open(e, "for (; k%d < stop; k%d++) {", p->at, p->at);
  rpi_emit_line(e, "const int64_t s%d = k%d;", p->at, p->at);
  inner(e, p);
  if (segment)
    rpi_emit_line(e, "%s *const a = acc + ((k%d - start) & mask);", rpi_emit_ctype(p->dtype),
                  p->at);
  else
    rpi_emit_line(e, "%s *const a = acc + ((k%d - start) & %d);", rpi_emit_ctype(p->dtype), p->at,
                  RPI_ACCUMULATORS - 1);
  rpi_emit_line(e, "*a = rps_red_%s_%s(*a, s%d);", p->red, p->t, p->element);
  rpi_emit_close(e);
  roll(e);
  rpi_emit_line(e, "for (int h = %d; h; h >>= 1)", RPI_ACCUMULATORS / 2);
  roll(e);
  rpi_emit_line(e, "  for (int j = 0; j < h; j++) acc[j] = rps_red_%s_%s(acc[j], acc[j + h]);",
                p->red, p->t);
  emit_push(e, p, "acc[0]");
  rpi_emit_close(e);
  emit_tree_close(e, p);
}

static loop loop_of(const rpi_emit *e, int32_t at, rpi_emit_place where) {
  const rpi_ir *ir = e->ir;
  loop p = {.at = at, .end = e->end[at], .where = where};
  p.rule = (rpi_looprule)ir->ins[at].imm;
  p.op = (rpi_redop)ir->ins[p.end].imm;
  p.element = rpi_ir_src(ir, &ir->ins[p.end], 0);
  p.dtype = ir->ins[p.element].dtype;
  p.t = rpi_dtype_name(p.dtype);
  p.red = rpi_ir_redop_name(p.op);
  return p;
}

bool rpi_emit_apart(const rpi_emit *e, int32_t at) {
  const rpi_ir *ir = e->ir;
  const loop p = loop_of(e, at, RPI_EMIT_POINT);
  if (p.rule != RPI_LOOP_SEGMENT || nests(e, &p)) return false;
  if (p.op == RPI_RED_ARGMIN || p.op == RPI_RED_ARGMAX) return false;
  for (int32_t i = 0; i < at; i++) { /* not in another loop, whose k it may use */
    if (ir->ins[i].op == RPI_IR_LOOP && e->end[i] > at) return false;
  }
  for (int32_t i = at + 1; i < p.end; i++) {
    const uint8_t op = ir->ins[i].op;
    if (op == RPI_IR_LOAD || op == RPI_IR_INDEX) return false;
    if (op == RPI_IR_GATHER && ir->operand[ir->ins[i].imm].checked) return false;
  }
  return !e->cuda && at >= ir->n_pro && at < ir->n_body && p.end - at <= APART;
}

/* The values of the body that the loop takes from around it, as parameters or as arguments. */
static void add_taken(const rpi_emit *e, const loop *p, bool types, char *text, size_t size) {
  const rpi_ir *ir = e->ir;
  size_t len = 0;
  text[0] = '\0';
  for (int32_t v = ir->n_pro; v < p->at; v++) {
    bool used = false;
    for (int32_t i = p->at + 1; i < p->end && !used; i++) {
      for (int32_t s = 0; s < ir->ins[i].n_src; s++) used |= rpi_ir_src(ir, &ir->ins[i], s) == v;
    }
    if (!used) continue;
    rpi_assert(len + 32 <= size);
    len += (size_t)snprintf(text + len, size - len, ", %s%ss%d",
                            types ? rpi_emit_ctype(ir->ins[v].dtype) : "", types ? " " : "", v);
  }
}

void rpi_emit_long(rpi_emit *e, int32_t at) {
  const loop p = loop_of(e, at, RPI_EMIT_POINT);
  char taken[TAKEN];
  add_taken(e, &p, true, taken, sizeof taken);
  rpi_emit_open(e,
                "static __attribute__((noinline, cold)) %s rpk_long%d_%.8s(const rpk_word *w, "
                "int64_t lo, int64_t hi%s) {",
                rpi_emit_ctype(p.dtype), at, e->key, taken);
  rpi_emit_operands(e, at, p.end);
  rpi_emit_uniforms(e, at, p.end, false);
  rpi_emit_line(e, "%s s%d;", rpi_emit_ctype(p.dtype), p.end);
  emit_leaves(e, &p, true, false);
  rpi_emit_line(e, "return s%d;", p.end);
  rpi_emit_close(e);
}

void rpi_emit_loop(rpi_emit *e, int32_t at, rpi_emit_place where) {
  const rpi_ir *ir = e->ir;
  const int32_t end = e->end[at];
  const loop p = loop_of(e, at, where);
  rpi_emit_line(e, "%s s%d;", rpi_emit_ctype(ir->ins[end].dtype), end);
  rpi_emit_open(e, "{ /* %s over k%d, task %d */", p.red, at, ir->ins[at].origin);
  const char *only = e->guarded ? "!in ? 0 : " : "";
  const bool guarded = e->guarded;
  rpi_emit_line(e, "const int64_t lo = %ss%d, hi = %ss%d;", only, rpi_ir_src(ir, &ir->ins[at], 0),
                only, rpi_ir_src(ir, &ir->ins[at], 1));
  e->guarded = false; /* a thread without a point has no element */
  if (p.op == RPI_RED_ARGMIN || p.op == RPI_RED_ARGMAX) {
    emit_arg(e, &p);
  } else {
    const bool deep = nests(e, &p), scalar = where != RPI_EMIT_POINT;
    if (p.rule == RPI_LOOP_SEGMENT && !deep) {
      rpi_emit_open(e, "if (__builtin_expect(lo < hi && hi - lo <= %d, 1)) {", RPI_SEGMENT_LEAF);
      emit_in_order(e, &p);
      e->indent--;
      rpi_emit_open(e, "} else if (hi <= lo) {");
    } else {
      rpi_emit_open(e, "if (hi <= lo) {");
    }
    rpi_emit_line(e, "s%d = rps_empty_%s_%s();", end, p.red, p.t);
    e->indent--;
    rpi_emit_open(e, "} else {");
    if (where != RPI_EMIT_SCALAR && rpi_emit_apart(e, at)) {
      char taken[TAKEN];
      add_taken(e, &p, false, taken, sizeof taken);
      rpi_emit_line(e, "s%d = rpk_long%d_%.8s(w, lo, hi%s);", end, at, e->key, taken);
    } else if (p.rule == RPI_LOOP_ROWS) {
      emit_rows(e, &p);
    } else {
      emit_leaves(e, &p, !deep && !scalar, deep && p.rule == RPI_LOOP_SEGMENT);
    }
    rpi_emit_close(e);
  }
  rpi_emit_close(e);
  e->guarded = guarded;
}
