/* SPDX-License-Identifier: Apache-2.0
 * jit/subtree.c -- see subtree.h.
 * How: a list is a row of chains, one for each reduction: a head with the number of nodes, then the nodes in
 *      order. Putting a node at the end of a chain combines as far as neighbours allow: what a node lacks on its left,
 *      if it is there at all, is right before it. A node has as many values as the reduction has results, in the
 *      row-major order of the axes that are kept. Of boxes, levels below `inner` are those of a row's own tree, in
 *      which leaf l of row i has the index i << inner | l; level `inner` is that of rows, index i. */
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
  int64_t count;  /* values of the whole tree; of boxes: rows */
  int64_t leaves; /* of boxes: in a row; else 1 */
  int64_t width;  /* results */
  int16_t op, dtype;
  int32_t inner; /* levels that `leaves` take */
  int64_t n;     /* nodes that follow */
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

/* The first leaf of a node, as an index of level 0. */
static int64_t begin_of(const node *e) { return e->index << e->level; }

/* The last node has no right neighbour that could ever come: it takes its parent's place. */
static bool rises(const chain *c, const node *e) {
  const int64_t level = e->level - c->inner;
  if (e->index % 2 != 0) return false;
  if (level < 0)
    return (((e->index + 1) << e->level) & ((INT64_C(1) << c->inner) - 1)) >= c->leaves;
  if (e->index == 0 && INT64_C(1) << level >= c->count) return false;
  return (e->index + 1) << level >= c->count;
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

/* The node that put_last puts; its values are to come. */
static node *begin_last(chain *c, int64_t level, int64_t index) {
  node *e = node_at(c, c->n);
  *e = (node){.index = index, .level = level};
  memset(e->value, 0, (size_t)(node_bytes(c->width, c->dtype) - (int64_t)sizeof *e));
  return e;
}

/* ---- from partials of a range of rows ---- */

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
  t.leaves = rpi_ir_leaves(extent[last]);
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

static void put_range(chain *c, const tree *t, char *partial, int64_t first, int64_t end) {
  const int64_t to = first < end ? value_at(t, end) : 0;
  for (int64_t v = first < end ? value_at(t, first) : 0; v < to; v++) {
    node *e = begin_last(c, 0, v);
    read_value(t, (rpi_redop)c->op, c->dtype, partial, v, e->value);
    put_last(c);
  }
}

/* ---- from partials of a box ---- */

typedef struct box {
  int32_t rank;
  const int64_t *space, *origin, *extent;
} box;

/* The row of the space that is row n of the box. */
static int64_t row_of_box(const box *b, int64_t n) {
  int64_t weight = 1, row = 0;
  for (int32_t d = b->rank - 2; d >= 0; d--) {
    row += (b->origin[d] + n % b->extent[d]) * weight;
    n /= b->extent[d];
    weight *= b->space[d];
  }
  return row;
}

/* The level of the largest node of a row that begins with leaf `at` and has none beyond `end`. */
static int32_t level_at(const chain *c, int64_t at, int64_t end) {
  int32_t level = at == 0 ? c->inner : __builtin_ctzll((uint64_t)at);
  if (end < c->leaves)
    while (at + (INT64_C(1) << level) > end) level--;
  return level;
}

static void put_box(chain *c, const box *b, char *partial, int64_t units) {
  const int64_t size = rpi_dtype_size(c->dtype), first = b->origin[b->rank - 1] / RPI_LEAF;
  const int64_t each = rpi_ir_leaves(b->extent[b->rank - 1]), end = first + each;
  rpi_assert(units == 0 || (b->origin[b->rank - 1] % RPI_LEAF == 0 && end <= c->leaves));
  for (int64_t n = 0; n * each < units; n++) {
    const int64_t row = row_of_box(b, n);
    for (int64_t at = first, next; at < end; at = next) {
      const int32_t level = level_at(c, at, end);
      next = at + (INT64_C(1) << level) < end ? at + (INT64_C(1) << level) : end;
      if (next - at > 1) rpi_finish_tree((rpi_redop)c->op, c->dtype, partial, next - at);
      memcpy(begin_last(c, level, ((row << c->inner) + at) >> level)->value, partial, (size_t)size);
      put_last(c);
      partial += (next - at) * size;
    }
  }
}

/* Levels of a tree: 2^levels values are n at least. */
static int32_t levels_of(int64_t n) { return n > 1 ? 64 - __builtin_clzll((uint64_t)n - 1) : 0; }

/* Nodes of boxes. Consecutive cells of a grid are, for each axis d, those that agree with the first cell before d
 * and come after it on d, and as much at the last cell: as many runs on axis d as boxes have points before it. A
 * run of n rows is 2 log2(n) nodes or less, the first or last leaves of a row half as many; and while a list grows
 * from the left, one run is cut. */
static int64_t nodes_of_boxes(int32_t rank, const int64_t *extent, const int64_t *most) {
  const int32_t last = rank - 1;
  int64_t nodes = 1, runs = 1, rows = 1, cut = 0;
  for (int32_t d = 0; d < rank; d++) {
    if (most[d] < extent[d]) cut = d;
    if (d < last) rows *= extent[d];
  }
  const int64_t all = rows * rpi_ir_leaves(extent[last]);
  for (int32_t d = 0; d <= cut; d++) {
    const int64_t levels =
        d < last ? 2 * levels_of(rows) + 1 : levels_of(rpi_ir_leaves(extent[last]));
    nodes += (2 * runs + 2) * levels;
    if (d < last && extent[d] > 0) rows /= extent[d];
    runs *= most[d];
  }
  return nodes < all ? nodes : all + 1;
}

int64_t rpi_subtree_room(const rpi_ir *ir, const int64_t *extent, const int64_t *most) {
  int64_t bytes = 0;
  for (int32_t r = 0; r < ir->n_red; r++) {
    const tree t = tree_of(ir, extent, &ir->red[r]);
    const int64_t levels = 64 - __builtin_clzll((uint64_t)t.count | 1);
    int64_t nodes = most ? nodes_of_boxes(ir->rank, extent, most) : 2 * levels + 2;
    if (!most && nodes > t.count) nodes = t.count; /* each has a value of its own, at least */
    bytes +=
        (int64_t)sizeof(chain) + nodes * node_bytes(t.width, ir->operand[ir->red[r].operand].dtype);
  }
  return bytes;
}

int64_t rpi_subtree_list(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w,
                         const int64_t *space, const int64_t *origin, int64_t first, int64_t end,
                         void *list) {
  int64_t extent[RP_MAX_DIM] = {0}, bytes = 0;
  for (int32_t d = 0; d < ir->rank; d++) extent[d] = w[l->extent + d].i;
  const box b = {.rank = ir->rank, .space = space, .origin = origin, .extent = extent};
  for (int32_t r = 0; r < ir->n_red; r++) {
    const tree t = tree_of(ir, space ? space : extent, &ir->red[r]);
    char *partial = w[l->partial + r].p;
    chain *c = (chain *)((char *)list + bytes);
    *c = (chain){.count = t.count,
                 .leaves = 1,
                 .width = t.width,
                 .op = ir->red[r].op,
                 .dtype = ir->operand[ir->red[r].operand].dtype};
    if (space) {
      rpi_assert(t.kept == 0 && first == 0 && (end == 0 || end == rpi_ir_units(ir, extent)));
      c->count = ir->rank == 1 ? 1 : t.count;
      c->leaves = t.leaves;
      c->inner = levels_of(t.leaves);
      put_box(c, &b, partial, end);
    } else {
      put_range(c, &t, partial, first, end);
    }
    bytes += bytes_of(c);
  }
  return bytes;
}

void rpi_subtree_range(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w,
                       const int64_t *space, int32_t r, int64_t first, int64_t end, int64_t *at,
                       int64_t *bytes) {
  const int64_t size = rpi_dtype_size(ir->operand[ir->red[r].operand].dtype);
  int64_t extent[RP_MAX_DIM] = {0}, lo = first, hi = end;
  for (int32_t d = 0; d < ir->rank; d++) extent[d] = w[l->extent + d].i;
  if (!space && rpi_ir_row_mode(ir)) { /* else a unit has one */
    const tree t = tree_of(ir, extent, &ir->red[r]);
    lo = first < end ? value_at(&t, first) * t.width : 0;
    hi = first < end ? value_at(&t, end) * t.width : 0;
  }
  *at = lo * size;
  *bytes = lo < hi ? (hi - lo) * size : 0;
}

/* ---- from lists ---- */

/* The nodes of both, in order; `c` begins as a copy of a's head. */
static void merge(chain *c, const chain *a, const chain *b) {
  const int64_t each = node_bytes(a->width, a->dtype);
  rpi_assert(a->count == b->count && a->leaves == b->leaves);
  int64_t i = a->n, k = 0;
  if (i > 0 && b->n > 0 && begin_of(node_at(a, i - 1)) > begin_of(node_at(b, 0))) i = 0;
  c->n = i;
  memcpy(node_at(c, 0), node_at(a, 0), (size_t)(i * each));
  while (i < a->n || k < b->n) {
    const bool left = i < a->n && (k == b->n || begin_of(node_at(a, i)) < begin_of(node_at(b, k)));
    memcpy(node_at(c, c->n), left ? node_at(a, i++) : node_at(b, k++), (size_t)each);
    put_last(c);
  }
}

void rpi_subtree_join(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  char *out = arg, *left = into, *const end = left + *n;
  const char *right = from;
  (void)m;
  while (left < end) {
    const chain *a = (const chain *)left, *b = (const chain *)right;
    chain *c = (chain *)out;
    *c = *a;
    merge(c, a, b);
    left += bytes_of(a);
    right += bytes_of(b);
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

const void *rpi_subtree_root(const void **list, int64_t *bytes) {
  const chain *c = *list;
  rpi_assert(c->n == 1);
  *list = (const char *)*list + bytes_of(c);
  *bytes = c->width * rpi_dtype_size(c->dtype);
  return node_at(c, 0)->value;
}
