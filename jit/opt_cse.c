/* SPDX-License-Identifier: Apache-2.0
 * jit/opt_cse.c -- equal pure instructions become one.
 *
 * Lives here: value numbering in one walk (Cocke and Schwartz), with scopes.
 * How:        a table holds, per key (operation, dtype, immediate, sources, version of the operand
 *             read), the last value that computed it. If that value is still visible the instruction
 *             is dropped; if not (its loop has closed, or it belongs to the body and this is the
 *             epilogue) the new one takes its entry, since a closed scope never opens again.
 *             CONST, SCALAR and EXTENT are shared within a section only: they cost nothing there,
 *             and a body reads them cheaper than a word of the prologue.
 * Memory:     a STORE or REDUCE to an operand starts a new version of it: a LOAD is merged with an
 *             earlier one of the same operand and version only. */
#include <string.h>

#include "core/base/alloc.h"
#include "jit/opt_rewrite.h"

typedef struct cse {
  rpi_opt_rewrite w;
  int32_t section;
  int32_t loop;      /* innermost open LOOP in the new IR, -1: none */
  int32_t *in_loop;  /* per new value: the LOOP around it, -1: none */
  uint32_t *version; /* per new value: that of the operand it read */
  uint32_t *current; /* per operand */
  bool *closed;      /* per new LOOP */
  rpi_irval *slot;   /* open addressing over new values */
  uint32_t n_slot;   /* a power of two, at least twice the values */
} cse;

static bool is_free(int32_t op) {
  return op == RPI_IR_CONST || op == RPI_IR_SCALAR || op == RPI_IR_EXTENT;
}

static bool reads(int32_t op) { return op == RPI_IR_LOAD || op == RPI_IR_GATHER; }

static bool is_pure(int32_t op) {
  return op != RPI_IR_STORE && op != RPI_IR_REDUCE && op != RPI_IR_LOOP && op != RPI_IR_ENDLOOP;
}

static bool commutes(int32_t op) {
  switch (op) {
    case RPI_IR_ADD:
    case RPI_IR_MUL:
    case RPI_IR_MIN:
    case RPI_IR_MAX:
    case RPI_IR_AND:
    case RPI_IR_OR:
    case RPI_IR_XOR:
    case RPI_IR_EQ:
    case RPI_IR_NE: return true;
    default: return false;
  }
}

/* The sources in the order by which equal instructions are told. */
static void key_sources(const rpi_ir *ir, const rpi_ir_ins *i, rpi_irval *src) {
  for (int32_t s = 0; s < i->n_src; s++) src[s] = rpi_ir_src(ir, i, s);
  if (commutes(i->op) && src[0] > src[1]) {
    rpi_irval t = src[0];
    src[0] = src[1];
    src[1] = t;
  }
}

static uint64_t mix(uint64_t h, uint64_t v) {
  h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ h >> 29;
}

static uint64_t key_hash(const rpi_ir_ins *i, uint32_t version, const rpi_irval *src) {
  uint64_t h = mix(i->op, i->dtype);
  h = mix(mix(h, i->imm), version);
  for (int32_t s = 0; s < i->n_src; s++) h = mix(h, src[s]);
  return h;
}

static bool equal(const cse *c, rpi_irval old, const rpi_ir_ins *i, uint32_t version,
                  const rpi_irval *src) {
  const rpi_ir_ins *o = &c->w.to.ins[old];
  rpi_irval other[UINT8_MAX];
  if (o->op != i->op || o->dtype != i->dtype || o->imm != i->imm || o->n_src != i->n_src ||
      c->version[old] != version) {
    return false;
  }
  key_sources(&c->w.to, o, other);
  return memcmp(other, src, (size_t)i->n_src * sizeof *src) == 0;
}

static bool visible(const cse *c, rpi_irval v) {
  int32_t begin = c->section == 0 ? 0 : c->section == 1 ? c->w.to.n_pro : c->w.to.n_body;
  if (v >= begin) return c->in_loop[v] < 0 || !c->closed[c->in_loop[v]];
  bool prologue = c->section > 0 && v < c->w.to.n_pro;
  return prologue && !is_free(c->w.to.ins[v].op);
}

/* New instruction v has just been appended: finds an older equal one, or enters v. */
static rpi_irval find(cse *c, rpi_irval v) {
  const rpi_ir_ins *i = &c->w.to.ins[v];
  uint32_t version = reads(i->op) ? c->current[i->imm] : 0;
  rpi_irval src[UINT8_MAX];
  key_sources(&c->w.to, i, src);
  c->version[v] = version;
  c->in_loop[v] = c->loop;
  uint32_t at = (uint32_t)key_hash(i, version, src) & (c->n_slot - 1);
  for (; c->slot[at] != RPI_IR_NONE; at = (at + 1) & (c->n_slot - 1)) {
    if (!equal(c, c->slot[at], i, version, src)) continue;
    if (visible(c, c->slot[at])) return c->slot[at];
    break;
  }
  c->slot[at] = v;
  return v;
}

static void number_ins(cse *c, int32_t i) {
  rpi_ir *to = &c->w.to;
  rpi_irval v = rpi_opt_rewrite_keep(&c->w, i);
  if (to->failed) return;
  const rpi_ir_ins *n = &to->ins[v];
  if (is_pure(n->op)) {
    rpi_irval old = find(c, v);
    c->w.map[i] = old;
    if (old != v) {
      to->n_src -= n->n_src;
      to->n_ins--;
    }
    return;
  }
  if (n->op == RPI_IR_STORE) c->current[n->imm]++;
  if (n->op == RPI_IR_REDUCE) c->current[to->red[n->imm].operand]++;
  if (n->op == RPI_IR_ENDLOOP) {
    int32_t loop = c->loop;
    c->loop = c->in_loop[loop];
    c->closed[loop] = true;
  }
  c->in_loop[v] = c->loop;
  if (n->op == RPI_IR_LOOP) {
    /* `in_loop` of a LOOP is the one around it; its k is a source inside only. */
    c->loop = v;
  }
}

static bool tables(cse *c, const rpi_ir *ir) {
  size_t n = (size_t)ir->n_ins;
  for (c->n_slot = 16; c->n_slot < 2 * n;) c->n_slot *= 2;
  c->in_loop = rpi_alloc_zero(n * sizeof *c->in_loop);
  c->version = rpi_alloc_zero(n * sizeof *c->version);
  c->current = rpi_alloc_zero((size_t)ir->n_operand * sizeof *c->current);
  c->closed = rpi_alloc_zero(n * sizeof *c->closed);
  c->slot = rpi_alloc(c->n_slot * sizeof *c->slot);
  if (!c->in_loop || !c->version || !c->current || !c->closed || !c->slot) return false;
  memset(c->slot, 0xff, c->n_slot * sizeof *c->slot); /* RPI_IR_NONE */
  return true;
}

rp_status rpi_opt_cse(rpi_ir *ir) {
  cse c = {.loop = -1};
  RPI_TRY(rpi_opt_rewrite_begin(&c.w, ir));
  bool ok = tables(&c, ir);
  for (int32_t i = 0; ok && i < ir->n_ins && !c.w.to.failed; i++) {
    rpi_opt_rewrite_mark(&c.w, i);
    c.section = (i >= ir->n_pro) + (i >= ir->n_body);
    number_ins(&c, i);
  }
  rpi_alloc_free(c.slot);
  rpi_alloc_free(c.closed);
  rpi_alloc_free(c.current);
  rpi_alloc_free(c.version);
  rpi_alloc_free(c.in_loop);
  if (ok) return rpi_opt_rewrite_end(&c.w, ir);
  rpi_opt_rewrite_drop(&c.w);
  return rpi_status_nomem("a pass over a kernel's IR");
}
