/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_place.c -- where the values of an interpreter's program lie: places, registers, splats, steps.
 *
 * Lives here: giving out places and taking registers back, a value's place as a frame sees it, the
 *             length of blocks and the scratch they take.
 * How:        registers come from one pool, given out along the order of instructions and given back
 *             after the last use. What a loop reads from outside is expanded into a register that is
 *             written before the loop's first step, hence not from the pool. */
#include "jit/interp_plan_impl.h"

bool rpi_interp_grow(rpi_planner *c, void **array, int32_t *cap, int32_t need, size_t elem) {
  if (!c->failed && !rpi_alloc_grow(array, cap, need, elem)) c->failed = true;
  return !c->failed;
}

int32_t rpi_interp_place_add(rpi_planner *c, rpi_place_kind kind, int32_t arg) {
  rpi_program *g = c->g;
  if (!RPI_INTERP_GROW(c, g->place, g->n_place, g->cap_place)) return 0;
  rpi_place *p = &g->place[g->n_place];
  *p = (rpi_place){.kind = (uint8_t)kind, .arg = arg};
  if (kind == RPI_PLACE_MEMORY || kind == RPI_PLACE_STRIDE) {
    p->size = (uint8_t)rpi_dtype_size(c->ir->operand[arg].dtype);
    p->stride = rpi_ir_layout_stride(c->ir, &c->p->layout, arg);
  } else if (kind == RPI_PLACE_PARTIAL) {
    p->size = (uint8_t)rpi_dtype_size(c->ir->operand[c->ir->red[arg].operand].dtype);
  }
  return g->n_place++;
}

int32_t rpi_interp_list_add(rpi_planner *c, int32_t **list, int32_t *n, int32_t *cap,
                            int32_t place) {
  if (rpi_interp_grow(c, (void **)list, cap, *n + 1, sizeof **list)) (*list)[(*n)++] = place;
  return place;
}

int32_t rpi_interp_place_moving(rpi_planner *c, rpi_place_kind kind, int32_t arg) {
  rpi_program *g = c->g;
  for (int32_t i = 0; i < g->n_moving; i++)
    if (g->place[g->moving[i]].kind == kind && g->place[g->moving[i]].arg == arg)
      return g->moving[i];
  return rpi_interp_list_add(c, &g->moving, &g->n_moving, &g->cap_moving,
                             rpi_interp_place_add(c, kind, arg));
}

int32_t rpi_interp_place_coord(rpi_planner *c, int32_t axis) {
  rpi_program *g = c->g;
  for (int32_t i = 0; i < g->n_coord; i++)
    if (g->place[g->coord[i]].arg == axis) return g->coord[i];
  return rpi_interp_list_add(c, &g->coord, &g->n_coord, &g->cap_coord,
                             rpi_interp_place_add(c, RPI_PLACE_COORD, axis));
}

static int32_t register_fresh(rpi_planner *c) {
  return rpi_interp_place_add(c, RPI_PLACE_REGISTER, c->g->n_register++);
}
int32_t rpi_interp_register_get(rpi_planner *c) {
  return c->n_pool > 0 ? c->pool[--c->n_pool] : register_fresh(c);
}
void rpi_interp_register_give(rpi_planner *c, int32_t place) {
  if (place >= 0) rpi_interp_list_add(c, &c->pool, &c->n_pool, &c->cap_pool, place);
}
int32_t rpi_interp_splat_get(rpi_planner *c) {
  return rpi_interp_place_add(c, RPI_PLACE_SPLAT, c->g->n_splat++);
}

rpi_steps *rpi_interp_steps_of(rpi_planner *c, const rpi_frame *f, int32_t level) {
  if (level == RPI_LEVEL_CALL) return &c->g->once;
  if (level == RPI_LEVEL_ROW) return &c->g->row;
  if (f->inner < 0) return &c->g->block;
  return f->tail ? &c->g->inner[f->inner].tail : &c->g->inner[f->inner].step;
}

void rpi_interp_need_loop(rpi_planner *c, rpi_loop_fn *fn) {
  if (fn == NULL && c->missing < 0) c->missing = c->at;
}

void rpi_interp_step_add(rpi_planner *c, rpi_steps *s, rpi_interp_step step) {
  if (step.kind <= RPI_INTERP_CALL4 || step.kind == RPI_INTERP_SETTLE)
    rpi_interp_need_loop(c, step.fn);
  if (RPI_INTERP_GROW(c, s->at, s->n, s->cap)) s->at[s->n++] = step;
}

int32_t rpi_interp_fill_add(rpi_planner *c, rp_dtype dtype, int32_t word, uint64_t bits) {
  rpi_program *g = c->g;
  const int32_t place = rpi_interp_splat_get(c);
  if (RPI_INTERP_GROW(c, g->fill, g->n_fill, g->cap_fill))
    g->fill[g->n_fill++] =
        (rpi_fill){.place = place, .dtype = (uint8_t)dtype, .word = word, .bits = bits};
  return place;
}

int32_t rpi_interp_resolve(rpi_planner *c, const rpi_frame *f, int32_t v) {
  rpi_plan_value *x = &c->v[v];
  if (v < c->first && x->place < 0)
    x->place = rpi_interp_fill_add(c, ins(c, v)->dtype, c->p->layout.uniform + v, 0);
  if (is_splat(c, v) || depth_of(x) == f->depth) {
    if (ins(c, v)->op == RPI_IR_LOOP) c->g->inner[x->inner].need_k = true;
    return x->place;
  }
  const int32_t from = rpi_interp_resolve(c, f->parent, v);
  if (c->failed) return 0;
  rpi_inner *in = &c->g->inner[f->inner];
  for (int32_t i = 0; i < in->n_expansion; i++)
    if (in->expansion[i].from == from) return in->expansion[i].to;
  const int32_t to = register_fresh(c); /* written before the first step: not from the pool */
  in = &c->g->inner[f->inner];
  if (RPI_INTERP_GROW(c, in->expansion, in->n_expansion, in->cap_expansion))
    in->expansion[in->n_expansion++] =
        (rpi_expansion){.from = from, .to = to, .dtype = ins(c, v)->dtype};
  return to;
}

int32_t rpi_interp_resolve_block(rpi_planner *c, const rpi_frame *f, int32_t v, int32_t *temp) {
  const int32_t place = rpi_interp_resolve(c, f, v);
  const rp_dtype t = ins(c, v)->dtype;
  *temp = -1;
  if (!is_splat(c, v)) return place;
  *temp = rpi_interp_register_get(c);
  rpi_interp_step_add(
      c, rpi_interp_steps_of(c, f, RPI_LEVEL_BLOCK),
      (rpi_interp_step){
          .fn = rpi_interp_loops(c->p, t)->copy[t], .d = *temp, .a = place, .flags = RPI_SPLAT(0)});
  return *temp;
}

/* ---- the scratch */

static size_t up64(size_t n) { return (n + 63) & ~(size_t)63; }

static void lay_out_for(rpi_program *g, int32_t size) {
  size_t at = up64((size_t)g->n_place * sizeof(char *));
  g->size = size;
  g->register_bytes = up64((size_t)size * 8);
  g->at_register = at, at += (size_t)g->n_register * g->register_bytes;
  g->at_splat = at, at += (size_t)g->n_splat * RPI_SPLAT_BYTES;
  g->at_acc = at, at += (size_t)g->n_acc * RPI_ACCUMULATORS * 8;
  g->at_offsets = at, at += (size_t)g->n_offsets * up64((size_t)(size + 1) * 4);
  g->at_state = at, at += up64((size_t)g->n_inner * sizeof(struct rpi_inner_state));
  g->at_guard = at, at += up64((size_t)g->n_guard);
  g->scratch = at;
}

/* Blocks as long as registers and stretches of operands stay in the first-level cache. */
static int32_t best_size(const rpi_program *g) {
  enum { CACHE = 32 << 10, MOST = 1024, LEAST = 256, CROWD = 24 };
  int32_t size = MOST, n = g->n_register;
  for (int32_t i = 0; i < g->n_inner; i++)
    if (g->inner[i].dot != RPI_DOT_NONE) n = g->n_inner; /* most registers idle */
  while (size > LEAST && (n + g->n_moving) * size * 8 > CACHE) size /= 2;
  return n > CROWD ? LEAST / 2 : size;
}

/* Shorter ones where the scratch holds no more. Prologues and epilogues have one point, but their
 * inner loops have chunks. */
rp_status rpi_interp_lay_out(const rpi_planner *c) {
  rpi_program *g = c->g;
  int32_t size = best_size(g), least = 16;
  if (c->section != RPI_SECTION_BODY && g->n_inner == 0) size = least = 8;
  for (; size >= least; size /= 2) {
    lay_out_for(g, size);
    if (g->scratch <= RPI_KERNEL_SCRATCH) return RP_OK;
  }
  return rpi_status_fail(RP_ERR_INTERNAL,
                         "the interpreter needs %d registers and %d constants at once: even blocks "
                         "of %d elements take %zu bytes, the scratch has %d",
                         g->n_register, g->n_splat, least, g->scratch, RPI_KERNEL_SCRATCH);
}
