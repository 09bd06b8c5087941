/* SPDX-License-Identifier: Apache-2.0
 * trace/decision.c -- see decision.h. */
#include "trace/decision.h"

#include "core/base/hash.h"
#include "core/exec/image.h"

static void add(uint64_t *h, uint64_t x) {
  *h = rpi_hash_bytes64((uint64_t[]){*h, x}, 2 * sizeof(uint64_t));
}

static void add_group(uint64_t *h, const rpi_group *g) {
  add(h, (uint64_t)g->opaque | (uint64_t)g->small << 1 | (uint64_t)g->beside << 2 |
             (uint64_t)g->collapse << 3 | (uint64_t)g->rank << 8 | (uint64_t)g->n_patch << 32);
  add(h, (uint64_t)g->n_pro << 42 | (uint64_t)g->n_body << 21 | (uint64_t)g->n_epi);
  for (int32_t i = 0; i < rpi_group_tasks(g); i++) add(h, (uint64_t)g->task[i]);
  for (int32_t i = 0; i < g->n_patch; i++) add(h, (uint64_t)g->patch[i]);
  for (int32_t i = 0; i < g->n_operand; i++) add(h, (uint64_t)g->operand[i].symbol);
  if (g->kernel) add(h, (uint64_t)rpi_jit_ir(g->kernel)->n_ins);
}

static void add_symbol(uint64_t *h, const rpi_symbol *k) {
  add(h, (uint64_t)k->kind | (uint64_t)k->needs_old << 8 | (uint64_t)k->written << 9 |
             (uint64_t)k->slot << 32);
  add(h, (uint64_t)(uint32_t)k->old << 32 | (uint64_t)k->first << 16 | (uint64_t)k->last);
}

static void add_cuts(uint64_t *h, const rpi_cuts *c) {
  const int64_t form[] = {c->n, c->grain, c->units, c->offset, c->ranks};
  for (int32_t i = 0; i < RPI_COUNT(form); i++) add(h, (uint64_t)form[i]);
}

static void add_tiling(uint64_t *h, const rpi_tiling *t) {
  add(h, (uint64_t)t->ndim);
  for (int32_t d = 0; d < t->ndim; d++) add_cuts(h, &t->axis[d]);
}

static void add_geom(uint64_t *h, const rpi_geom *g) {
  add(h, (uint64_t)g->ndim);
  add(h, (uint64_t)g->offset);
  for (int32_t d = 0; d < g->ndim; d++) {
    add(h, (uint64_t)g->shape[d]);
    add(h, (uint64_t)g->stride[d]);
  }
}

static bool has_geom(const rpi_image_node *n) {
  return n->kind == RPI_IMAGE_DATA || n->kind == RPI_IMAGE_TABLE;
}

/* The subscripts' form, and nothing of which rows are this rank's or of what they reach. */
static void add_image(uint64_t *h, const rpi_image *m) {
  add(h, (uint64_t)m->symbol << 32 | (uint64_t)m->elem);
  add_geom(h, &m->geom);
  add_cuts(h, &m->cuts);
  for (int32_t i = 0; i < m->n_node; i++) {
    const rpi_image_node *n = &m->node[i];
    add(h, (uint64_t)n->hint << 48 | (uint64_t)n->kind << 32 | (uint64_t)n->symbol);
    add(h, (uint64_t)n->lo);
    add(h, (uint64_t)n->hi);
    for (int32_t k = 0; k < RP_MAX_DIM; k++) add(h, (uint64_t)n->src[k]);
    if (has_geom(n)) add_geom(h, &n->geom);
  }
  for (int32_t i = 0; i < m->n_use; i++)
    for (int32_t d = 0; d < m->geom.ndim; d++) add(h, (uint64_t)m->use[i].axis[d]);
}

/* How the kernels of a launch are shared out; what of them is beside messages, each rank says for itself. */
static void add_launch(uint64_t *h, const rpi_plan *p, const rpi_step *s) {
  add(h, (uint64_t)s->list_room);
  for (int32_t i = 0; i < s->n_sub; i++) {
    const rpi_sub *sub = &p->sub[s->first_sub + i];
    add(h, (uint64_t)sub->rows_each << 2 | (uint64_t)sub->boxes << 1 | sub->shared);
  }
}

/* Steps that a rank only has if it has something to exchange, to patch or to call say nothing. */
static void add_step(uint64_t *h, const rpi_plan *p, const rpi_step *s) {
  if (s->kind != RPI_STEP_LAUNCH && s->kind != RPI_STEP_GATHER && s->kind != RPI_STEP_IMAGE) return;
  add(h, (uint64_t)s->kind << 32 | (uint64_t)s->n_sub);
  if (s->kind == RPI_STEP_LAUNCH) add_launch(h, p, s);
  if (s->kind == RPI_STEP_IMAGE) add_image(h, s->image);
  if (s->kind != RPI_STEP_GATHER) return;
  add(h, (uint64_t)s->dst << 32 | (uint64_t)s->elem);
  add_tiling(h, s->tiling);
}

uint64_t rpi_decision_of(const rpi_bound *b, int32_t n_task, uint32_t n_place) {
  const rpi_analysis *an = b->an;
  uint64_t h = b->trusted;
  for (int32_t i = 0; i < n_task; i++) add(&h, (uint64_t)an->fusion.group[i]);
  for (int32_t i = 0; i < an->n_group; i++) add_group(&h, &an->group[i]);
  for (int32_t i = 0; i < an->n_symbol; i++) add_symbol(&h, &an->symbol[i]);
  for (int32_t i = 0; i < an->n_symbol; i++) add(&h, b->patched[i]);
  for (uint32_t i = 0; i < n_place; i++) {
    add(&h, (uint64_t)(uint32_t)an->out[i] << 32 | (uint64_t)an->live[i]);
    add(&h, (uint64_t)b->place[i] << 32 | b->place_out[i]);
  }
  add(&h, (uint64_t)b->joint_failure << 32 | (uint64_t)b->plan.n_shared);
  for (int32_t i = 0; i < b->plan.n_call; i++) add(&h, b->plan.call[i].part);
  for (int32_t i = 0; i < b->plan.n_step; i++) add_step(&h, &b->plan, &b->plan.step[i]);
  return h;
}
