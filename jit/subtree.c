/* SPDX-License-Identifier: Apache-2.0
 * jit/subtree.c -- see subtree.h.
 * How: a list is a row of chains, one for each reduction: a head with the number of nodes, then the nodes in
 *      order. Putting a node at the end of a chain combines as far as neighbours allow. A node has as many values as
 *      the reduction has results, in the row-major order of the axes that are kept. */
#include "jit/subtree.h"

#include <string.h>

#include "core/model/dtype.h"
#include "jit/finish.h"

typedef struct node {
  int64_t index;
  int64_t level;
  char value[]; /* of all results, then zeros up to 8 bytes */
} node;

typedef struct chain {
  int64_t count; /* values of the whole tree */
  int64_t width; /* results */
  int32_t op, dtype;
  int64_t n; /* nodes that follow */
} chain;

static int64_t node_bytes(int64_t width, rp_dtype t) {
  return (int64_t)sizeof(node) + (width * rpi_dtype_size(t) + 7) / 8 * 8;
}

static int64_t bytes_of(const chain *c) {
  return (int64_t)sizeof *c + c->n * node_bytes(c->width, c->dtype);
}

static node *node_at(const chain *c, int64_t i) {
  return (node *)((char *)c + sizeof *c + i * node_bytes(c->width, c->dtype));
}

/* The last node has no right neighbour that could ever come: it takes its parent's place. */
static bool rises(const chain *c, const node *e) {
  if (e->index % 2 != 0 || (e->index == 0 && INT64_C(1) << e->level >= c->count)) return false;
  return (e->index + 1) << e->level >= c->count;
}

/* The node at the end of a chain, where it was written, joins it. */
static void put_last(chain *c) {
  for (c->n++;;) {
    node *last = node_at(c, c->n - 1), *before = c->n > 1 ? node_at(c, c->n - 2) : NULL;
    if (rises(c, last)) {
      last->level++;
      last->index /= 2;
      continue;
    }
    if (!before || last->index % 2 == 0 || before->level != last->level ||
        before->index != last->index - 1)
      return;
    rpi_finish_combine((rpi_redop)c->op, c->dtype, before->value, last->value, c->width);
    before->level++;
    before->index /= 2;
    c->n--;
  }
}

static void put(chain *c, const node *e) {
  memcpy(node_at(c, c->n), e, (size_t)node_bytes(c->width, c->dtype));
  put_last(c);
}

/* ---- from partials ---- */

/* A reduction over some axes, the first among them. */
typedef struct tree {
  const rpi_ir *ir;
  const int64_t *extent;
  uint32_t kept; /* axes */
  int64_t width; /* results */
  int64_t each; /* values of the tree in a row of the first axis; ROW mode: rows of a leaf's kind */
  int64_t leaves; /* of a row's last axis (LEAF mode) */
  int64_t count;  /* values */
} tree;

static tree tree_of(const rpi_ir *ir, const int64_t *extent, const rpi_ir_red *red) {
  tree t = {.ir = ir, .extent = extent, .width = 1, .each = 1};
  const int32_t last = ir->rank - 1;
  t.kept = ((1u << ir->rank) - 1) & ~(uint32_t)red->mask;
  t.leaves = (extent[last] + RPI_LEAF - 1) / RPI_LEAF;
  for (int32_t d = 0; d < ir->rank; d++) {
    if (t.kept >> d & 1)
      t.width *= extent[d];
    else if (d > 0 && (d < last || rpi_ir_row_mode(ir)))
      t.each *= extent[d];
  }
  t.count = ir->rank == 1 ? t.leaves : extent[0] * t.each;
  if (rpi_ir_row_mode(ir)) t.count = (t.count + RPI_ROW_LEAF - 1) / RPI_ROW_LEAF;
  return t;
}

/* The value of the tree that unit u begins. */
static int64_t value_at(const tree *t, int64_t u) {
  const int64_t all = rpi_ir_units(t->ir, t->extent);
  if (t->ir->rank == 1) return u;
  if (rpi_ir_row_mode(t->ir)) return u / (all / t->count);
  return u / (all / t->extent[0]) * t->each;
}

/* Row-major numbers over some axes: the row (all axes but the last, flattened) of number n of `axes`, those of the others
 * 0. */
static int64_t row_of(const tree *t, uint32_t axes, int64_t n) {
  int64_t weight = 1, row = 0;
  for (int32_t d = t->ir->rank - 2; d >= 0; d--) {
    if (axes >> d & 1) {
      row += n % t->extent[d] * weight;
      n /= t->extent[d];
    }
    weight *= t->extent[d];
  }
  return row;
}

/* Value v of the tree, for all results. */
static void read_value(const tree *t, rpi_redop op, rp_dtype dtype, char *partial, int64_t v,
                       char *out) {
  const int64_t size = rpi_dtype_size(dtype);
  if (t->ir->rank == 1 || rpi_ir_row_mode(t->ir)) {
    memcpy(out, partial + v * t->width * size, (size_t)(t->width * size));
    return;
  }
  const uint32_t outer = (1u << (t->ir->rank - 1)) - 1;
  const int64_t base = row_of(t, outer & ~t->kept, v);
  for (int64_t e = 0; e < t->width; e++) {
    char *row = partial + (base + row_of(t, t->kept, e)) * t->leaves * size;
    if (t->leaves > 1) rpi_finish_tree(op, dtype, row, t->leaves);
    memcpy(out + e * size, row, (size_t)size);
  }
}

int64_t rpi_subtree_room(const rpi_ir *ir, const int64_t *extent) {
  int64_t bytes = 0;
  for (int32_t r = 0; r < ir->n_red; r++) {
    const tree t = tree_of(ir, extent, &ir->red[r]);
    const int64_t levels = 64 - __builtin_clzll((uint64_t)t.count | 1);
    bytes += (int64_t)sizeof(chain) +
             (2 * levels + 2) * node_bytes(t.width, ir->operand[ir->red[r].operand].dtype);
  }
  return bytes;
}

int64_t rpi_subtree_list(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w, int64_t first,
                         int64_t end, void *list) {
  int64_t extent[RP_MAX_DIM] = {0}, bytes = 0;
  for (int32_t d = 0; d < ir->rank; d++) extent[d] = w[l->extent + d].i;
  for (int32_t r = 0; r < ir->n_red; r++) {
    const rp_dtype dtype = ir->operand[ir->red[r].operand].dtype;
    const tree t = tree_of(ir, extent, &ir->red[r]);
    const rpi_redop op = (rpi_redop)ir->red[r].op;
    chain *c = (chain *)((char *)list + bytes);
    *c = (chain){.count = t.count, .width = t.width, .op = (int32_t)op, .dtype = dtype};
    const int64_t to = first < end ? value_at(&t, end) : 0;
    for (int64_t v = first < end ? value_at(&t, first) : 0; v < to; v++) {
      node *e = node_at(c, c->n);
      *e = (node){.index = v};
      memset(e->value, 0, (size_t)(node_bytes(t.width, dtype) - (int64_t)sizeof *e));
      read_value(&t, op, dtype, w[l->partial + r].p, v, e->value);
      put_last(c);
    }
    bytes += bytes_of(c);
  }
  return bytes;
}

void rpi_subtree_join(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  char *out = arg, *left = into, *const end = left + *n;
  const char *right = from;
  (void)m;
  while (left < end) {
    const chain *a = (const chain *)left, *b = (const chain *)right;
    chain *c = (chain *)out;
    memcpy(c, a, (size_t)bytes_of(a));
    left += bytes_of(a);
    right += bytes_of(b);
    for (int64_t i = 0; i < b->n; i++) put(c, node_at(b, i));
    out += bytes_of(c);
  }
  *n = out - (char *)arg;
  memcpy(into, arg, (size_t)*n);
}

int64_t rpi_subtree_deliver(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w,
                            const void *list) {
  int64_t bytes = 0;
  for (int32_t r = 0; r < ir->n_red; r++) {
    const chain *c = (const chain *)((const char *)list + bytes);
    rpi_assert(c->n == 1);
    rpi_finish_deliver(ir, l, w, r, node_at(c, 0)->value);
    bytes += bytes_of(c);
  }
  return bytes;
}
