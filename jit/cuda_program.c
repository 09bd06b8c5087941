/* SPDX-License-Identifier: Apache-2.0
 * jit/cuda_program.c -- see cuda_program.h.
 *
 * Invariants: a slot is free again behind the last step that reads it; steps read before they write. The numbers in
 *             `code` are those of emit_interp.c. */
#include "jit/cuda_program.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/model/dtype.h"
#include "jit/cuda_step.h"

enum { NOWHERE = 0xffff, LOOPS_SEEN = 64 };

typedef struct encoder {
  const rpi_ir *ir;
  rpi_ir_layout l;
  uint16_t *place; /* of each value; NOWHERE: not yet */
  int32_t *last;   /* of each value of the body: the last instruction that reads it */
  int32_t *end;    /* of each LOOP its ENDLOOP, and back */
  int32_t *step;   /* of each instruction; of one without, the next one's */
  uint64_t held;   /* slots, a bit each */
  rpk_program head;
  rpk_step *steps;
  uint64_t *constants;
  int32_t n_step, n_constant, n_uniform, slots;
  const char *why;
} encoder;

static uint16_t at(int32_t kind, int32_t n) { return (uint16_t)(kind * RPK_PLACES + n); }

static bool has_step(const rpi_ir_ins *ins) {
  return ins->op != RPI_IR_CONST && ins->op != RPI_IR_SCALAR && ins->op != RPI_IR_EXTENT;
}

static bool has_value(const rpi_ir_ins *ins) {
  return ins->op != RPI_IR_STORE && ins->op != RPI_IR_REDUCE;
}

static bool in_body(const rpi_ir *ir, int32_t i) { return i >= ir->n_pro && i < ir->n_body; }

/* ---- what comes before the steps ---- */

static void pair_loops(encoder *e) {
  int32_t open[LOOPS_SEEN], depth = 0;
  for (int32_t i = 0; i < e->ir->n_ins; i++) {
    e->end[i] = -1;
    if (e->ir->ins[i].op == RPI_IR_LOOP) {
      if (depth == RPK_LOOPS) {
        e->why = "its loops nest deeper than the interpreter's on a GPU";
        return;
      }
      open[depth++] = i;
    } else if (e->ir->ins[i].op == RPI_IR_ENDLOOP) {
      e->end[i] = open[--depth];
      e->end[e->end[i]] = i;
    }
  }
}

/* Instruction i reads v: so v stays up to there, or to the end of the outermost loop that is open at i and began behind v. */
static void note_use(encoder *e, int32_t v, int32_t i, const int32_t *open, int32_t depth) {
  int32_t until = i;
  for (int32_t d = depth - 1; d >= 0 && open[d] >= v; d--) until = e->end[open[d]];
  if (until > e->last[v]) e->last[v] = until;
}

static void find_lasts(encoder *e) {
  const rpi_ir *ir = e->ir;
  int32_t open[RPK_LOOPS + 1], depth = 0;
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    const rpi_ir_ins *ins = &ir->ins[i];
    e->last[i] = i;
    for (int32_t s = 0; s < ins->n_src; s++) note_use(e, rpi_ir_src(ir, ins, s), i, open, depth);
    if (ins->op == RPI_IR_LOOP) {
      e->last[i] = e->end[i];
      open[depth++] = i;
    }
    if (ins->op == RPI_IR_ENDLOOP) depth--;
  }
}

static void number_steps(encoder *e) {
  for (int32_t i = 0; i < e->ir->n_ins; i++) {
    e->step[i] = e->n_step;
    e->n_step += has_step(&e->ir->ins[i]);
    e->n_constant += e->ir->ins[i].op == RPI_IR_CONST;
  }
}

/* ---- places ---- */

static void let_go(encoder *e, int32_t v, int32_t i) {
  if (in_body(e->ir, v) && e->last[v] == i && e->place[v] < RPK_SLOTS)
    e->held &= ~(UINT64_C(1) << e->place[v]);
}

static uint16_t take_slot(encoder *e) {
  if (e->held == UINT64_MAX) {
    e->why = "it has more values at once than a thread of the interpreter on a GPU keeps";
    return 0;
  }
  const int32_t n = __builtin_ctzll(~e->held);
  e->held |= UINT64_C(1) << n;
  if (n >= e->slots) e->slots = n + 1;
  return at(RPK_SLOT, n);
}

static uint16_t place_of(encoder *e, int32_t i) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  switch (ins->op) {
    case RPI_IR_CONST:
      e->constants[e->n_constant] = ins->imm;
      return at(RPK_CONSTANT, e->n_constant++);
    case RPI_IR_SCALAR: return at(RPK_WORD, e->l.scalar + (int32_t)ins->imm);
    case RPI_IR_EXTENT: return at(RPK_WORD, e->l.param + (int32_t)ins->imm);
    default: return in_body(e->ir, i) ? take_slot(e) : at(RPK_UNIFORM, e->n_uniform++);
  }
}

/* The place of i's value, where what i was the last to read may be. */
static void give_place(encoder *e, int32_t i) {
  const rpi_ir *ir = e->ir;
  const rpi_ir_ins *ins = &ir->ins[i];
  for (int32_t s = 0; s < ins->n_src; s++) let_go(e, rpi_ir_src(ir, ins, s), i);
  if (ins->op == RPI_IR_ENDLOOP) /* and what was kept for the loop's other turns */
    for (int32_t v = ir->n_pro; v < i; v++)
      if (has_value(&ir->ins[v])) let_go(e, v, i);
  if (has_value(ins)) e->place[i] = place_of(e, i);
  if (has_value(ins) && in_body(ir, i)) let_go(e, i, i); /* nobody reads it */
}

/* ---- steps ---- */

static uint16_t pair(int32_t a, int32_t b) { return (uint16_t)(a * 16 + b); }

static void encode_loop(encoder *e, int32_t i, rpk_step *s) {
  const rpi_ir *ir = e->ir;
  const rpi_ir_ins *end = &ir->ins[e->end[i]];
  const rp_dtype t = ir->ins[rpi_ir_src(ir, end, 0)].dtype;
  const rpi_redop op = (rpi_redop)end->imm;
  s->kind = RPK_LOOP;
  s->code = (uint16_t)ir->ins[i].imm;
  s->arg = (uint32_t)e->step[e->end[i]];
  s->imm = op >= RPI_RED_ARGMIN ? UINT64_MAX : rpi_ir_redop_empty(op, t);
}

static void encode_end(encoder *e, int32_t i, rpk_step *s) {
  const rpi_ir_ins *ins = &e->ir->ins[i];
  const rp_dtype t = e->ir->ins[rpi_ir_src(e->ir, ins, 0)].dtype;
  const rpi_redop op = (rpi_redop)ins->imm;
  s->kind = op >= RPI_RED_ARGMIN ? RPK_END_ARG : RPK_END;
  s->code = pair(op, t);
  s->arg = (uint32_t)e->step[e->end[i]];
  if (op < RPI_RED_ARGMIN) s->imm = rpi_ir_redop_identity(op, t);
}

static void encode_step(encoder *e, int32_t i) {
  const rpi_ir *ir = e->ir;
  const rpi_ir_ins *ins = &ir->ins[i];
  rpk_step *s = &e->steps[e->step[i]];
  const rp_dtype from = ins->n_src > 0 ? ir->ins[rpi_ir_src(ir, ins, 0)].dtype : ins->dtype;
  s->n = ins->n_src;
  for (int32_t k = 0; k < ins->n_src; k++) s->from[k] = e->place[rpi_ir_src(ir, ins, k)];
  if (has_value(ins)) s->to = e->place[i];
  s->arg = (uint32_t)ins->imm;
  s->code = ins->dtype;
  switch (ins->op) {
    case RPI_IR_INDEX: s->kind = RPK_INDEX; break;
    case RPI_IR_LOAD: s->kind = RPK_LOAD; break;
    case RPI_IR_GATHER: s->kind = RPK_GATHER; break;
    case RPI_IR_STORE: s->kind = RPK_STORE; break;
    case RPI_IR_REDUCE:
      s->kind = RPK_REDUCE;
      s->code = pair(ir->red[ins->imm].op, ir->operand[ir->red[ins->imm].operand].dtype);
      s->to = at(RPK_SLOT, 2 * (int32_t)ins->imm);
      break;
    case RPI_IR_LOOP: encode_loop(e, i, s); break;
    case RPI_IR_ENDLOOP: encode_end(e, i, s); break;
    case RPI_IR_CAST:
      s->kind = RPK_CAST;
      s->code = pair(from, ins->dtype);
      break;
    case RPI_IR_SELECT: s->kind = RPK_SELECT; break;
    default:
      s->kind = RPK_COMPUTE;
      s->code = pair(ins->op, from);
      break;
  }
}

/* ---- the rest of the image ---- */

static void encode_operands(const encoder *e, rpk_operand *out) {
  for (int32_t o = 0; o < e->ir->n_operand; o++) {
    const rpi_ir_operand *op = &e->ir->operand[o];
    out[o] = (rpk_operand){.ptr = e->l.ptr + o,
                           .stride = rpi_ir_layout_stride(e->ir, &e->l, o),
                           .rank = op->rank,
                           .checked = op->checked};
  }
}

static void encode_reds(const encoder *e, rpk_red *out) {
  for (int32_t r = 0; r < e->ir->n_red; r++) {
    const rpi_ir_red *red = &e->ir->red[r];
    const rp_dtype t = e->ir->operand[red->operand].dtype;
    out[r] = (rpk_red){.ptr = e->l.ptr + red->operand,
                       .stride = rpi_ir_layout_stride(e->ir, &e->l, red->operand),
                       .partial = e->l.partial - e->ir->n_pro + r,
                       .code = pair(red->op, t),
                       .mask = red->mask,
                       .join = red->join,
                       .identity = rpi_ir_redop_identity((rpi_redop)red->op, t),
                       .empty = rpi_ir_redop_empty((rpi_redop)red->op, t)};
  }
}

static int32_t prefix_of(const rpi_ir *ir) {
  int32_t n = 0;
  if (ir->n_red > 0 && rpi_ir_row_mode(ir))
    while (ir->red[0].mask >> n & 1) n++;
  return n;
}

static void lay_out(encoder *e) {
  const rpi_ir *ir = e->ir;
  rpk_program *h = &e->head;
  const int32_t behind = ir->n_ins; /* step[] has one more */
  e->step[behind] = e->n_step;
  *h = (rpk_program){.pro = e->step[ir->n_pro],
                     .body = e->step[ir->n_body],
                     .end = e->n_step,
                     .rank = ir->rank,
                     .n_red = ir->n_red,
                     .prefix = prefix_of(ir),
                     .extent = e->l.extent,
                     .origin = e->l.origin,
                     .flag = e->l.flag - ir->n_pro,
                     .values = e->l.values - ir->n_pro};
  h->steps = (uint32_t)(sizeof *h + 7) / 8 * 8;
  h->operands = h->steps + (uint32_t)(sizeof(rpk_step) * (size_t)e->n_step);
  h->reds = h->operands + (uint32_t)(sizeof(rpk_operand) * (size_t)ir->n_operand);
  h->constants = h->reds + (uint32_t)(sizeof(rpk_red) * (size_t)ir->n_red);
  h->bytes = h->constants + (uint32_t)(8 * (size_t)e->n_constant);
}

/* ---- all of it ---- */

static void refuse_sizes(encoder *e) {
  if (e->l.n_words - e->ir->n_pro > RPK_WORDS)
    e->why = "it has more parameters than a launch of the interpreter on a GPU can pass";
  else if (e->ir->n_ins > RPK_PLACES)
    e->why = "it has more instructions than the interpreter on a GPU takes";
  else if (2 * e->ir->n_red > RPK_SLOTS)
    e->why = "it has more reductions than a thread of the interpreter on a GPU keeps";
}

static void encode(encoder *e, char *image) {
  const rpi_ir *ir = e->ir;
  e->steps = (rpk_step *)(void *)(image + e->head.steps);
  e->constants = (uint64_t *)(void *)(image + e->head.constants);
  e->n_constant = 0;
  e->slots = 2 * ir->n_red;
  e->held = e->slots == 64 ? UINT64_MAX : (UINT64_C(1) << e->slots) - 1;
  for (int32_t i = 0; i < ir->n_ins && !e->why; i++) {
    give_place(e, i);
    if (has_step(&ir->ins[i])) encode_step(e, i);
  }
  for (int32_t i = 0; i < ir->n_ins && !e->why; i++) /* an end's place is not known at its loop */
    if (ir->ins[i].op == RPI_IR_LOOP) encode_step(e, i);
  encode_operands(e, (rpk_operand *)(void *)(image + e->head.operands));
  encode_reds(e, (rpk_red *)(void *)(image + e->head.reds));
  memcpy(image, &e->head, sizeof e->head);
}

static void form_of(const rpi_ir *ir, const encoder *e, rpi_cuda_form *out) {
  *out = (rpi_cuda_form){.n_words = e->l.n_words - ir->n_pro,
                         .bytes = 8 * (4 + RPK_WORDS),
                         .lanes = 1,
                         .apart = e->head.pro > 0,
                         .ends = ir->n_red > 0 || e->head.end > e->head.body,
                         .finishes = ir->n_red > 0};
}

rp_status rpi_cuda_program_make(const rpi_ir *ir, rpi_cuda_program *out, const char **why) {
  const size_t n = (size_t)ir->n_ins + 1;
  encoder e = {.ir = ir};
  *out = (rpi_cuda_program){.ir = ir};
  *why = NULL;
  rpi_ir_layout_get(ir, &e.l);
  refuse_sizes(&e);
  char *room = rpi_alloc_zero(n * (3 * sizeof(int32_t) + sizeof(uint16_t)));
  if (!room) return rpi_status_nomem("a kernel's program");
  e.last = (int32_t *)(void *)room;
  e.end = e.last + n;
  e.step = e.end + n;
  e.place = (uint16_t *)(void *)(e.step + n);
  memset(e.place, 0xff, n * sizeof *e.place);
  if (!e.why) pair_loops(&e);
  if (!e.why) {
    find_lasts(&e);
    number_steps(&e);
    lay_out(&e);
    out->image = rpi_alloc_zero(e.head.bytes);
    if (out->image) encode(&e, out->image);
  }
  rpi_alloc_free(room);
  *why = e.why;
  if (e.why) rpi_cuda_program_deinit(out);
  if (!e.why && !out->image) return rpi_status_nomem("a kernel's program");
  out->bytes = e.head.bytes;
  rpi_assert(e.n_uniform <= rpi_ir_values(ir));
  out->slots = e.slots;
  form_of(ir, &e, &out->form);
  return RP_OK;
}

void rpi_cuda_program_deinit(rpi_cuda_program *p) {
  rpi_alloc_free(p->image);
  p->image = NULL;
}

/* ---- launches ---- */

void rpi_cuda_program_grid(const rpi_cuda_program *p, const rpi_word *w, int64_t u0, int64_t u1,
                           rpi_kernel_part part, int32_t most, rpi_cuda_grid *out) {
  rpi_cuda_grid_get(p->ir, &p->form, w, u0, u1, part, most, out);
  if (p->form.ends && out->fin == 0 && part != RPI_KERNEL_BODY) out->fin = 1;
  if (u1 <= u0 && out->pro + out->fin > 0) out->main = 0;
}

int32_t rpi_cuda_program_pack(const rpi_cuda_program *p, const rpi_word *w, int64_t u0, int64_t u1,
                              int64_t mode, uint64_t program, void *out) {
  rpi_ir_layout l;
  rpi_word *to = out;
  rpi_ir_layout_get(p->ir, &l);
  *to++ = (rpi_word){.i = u0};
  *to++ = (rpi_word){.i = u1};
  *to++ = (rpi_word){.i = mode};
  *to++ = (rpi_word){.u = program};
  for (int32_t i = 0; i < l.n_words; i++)
    if (i < l.uniform || i >= l.uniform + p->ir->n_pro) *to++ = w[i];
  memset(to, 0, (size_t)((char *)out + p->form.bytes - (char *)to));
  return p->form.bytes;
}

/* ---- text ---- */

static void print_place(uint16_t place, rpi_strbuf *out) {
  rpi_strbuf_addf(out, " %c%d", "suwc"[place / RPK_PLACES], place % RPK_PLACES);
}

static void print_step(const rpk_step *s, rpi_strbuf *out) {
  static const char *const names[] = {"compute", "cast",   "select", "index", "load",   "gather",
                                      "store",   "reduce", "loop",   "end",   "end_arg"};
  const rp_dtype t = s->code % 16;
  rpi_strbuf_addf(out, "%s", names[s->kind]);
  switch (s->kind) {
    case RPK_COMPUTE:
      rpi_strbuf_addf(out, " %s %s", rpi_ir_op_name((rpi_irop)(s->code / 16)), rpi_dtype_name(t));
      break;
    case RPK_CAST:
      rpi_strbuf_addf(out, " %s %s", rpi_dtype_name(s->code / 16), rpi_dtype_name(t));
      break;
    case RPK_REDUCE:
    case RPK_END:
    case RPK_END_ARG:
      rpi_strbuf_addf(out, " %s %s", rpi_ir_redop_name((rpi_redop)(s->code / 16)),
                      rpi_dtype_name(t));
      break;
    case RPK_LOOP: rpi_strbuf_addf(out, " rule %d", s->code); break;
    default: rpi_strbuf_addf(out, " %s", rpi_dtype_name(s->code)); break;
  }
  rpi_strbuf_addf(out, " %d:", (int)s->arg);
  for (int32_t i = 0; i < s->n; i++) print_place(s->from[i], out);
  if (s->kind == RPK_STORE) return;
  rpi_strbuf_add(out, " ->");
  print_place(s->to, out);
}

void rpi_cuda_program_print(const rpi_cuda_program *p, rpi_strbuf *out) {
  const char *image = p->image;
  rpk_program h;
  memcpy(&h, image, sizeof h);
  const rpk_step *steps = (const rpk_step *)(const void *)(image + h.steps);
  for (int32_t i = 0; i < h.end; i++) {
    if (i == h.pro || i == h.body) rpi_strbuf_add(out, i == h.body ? "epilogue\n" : "body\n");
    rpi_strbuf_addf(out, "%d ", (int)i);
    print_step(&steps[i], out);
    rpi_strbuf_add(out, "\n");
  }
}
