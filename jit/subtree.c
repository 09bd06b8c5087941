/* SPDX-License-Identifier: Apache-2.0
 * jit/subtree.c -- see subtree.h.
 * How: a list is a row of chains, one for each reduction: a head with the number of nodes, then the nodes in
 *      order. Putting a node at the end of a chain combines as far as neighbours allow. */
#include "jit/subtree.h"

#include <string.h>

#include "core/model/dtype.h"
#include "jit/finish.h"

typedef struct node {
  int64_t index;
  int64_t level;
  uint64_t value; /* the bits, in its first bytes */
} node;

typedef struct chain {
  int64_t count; /* values of the whole reduction */
  int32_t op, dtype;
  int64_t n; /* nodes that follow */
  node node[];
} chain;

static int64_t bytes_of(const chain *c) {
  return (int64_t)sizeof *c + c->n * (int64_t)sizeof(node);
}

/* The last node has no right neighbour that could ever come: it takes its parent's place. */
static bool rises(const chain *c, const node *e) {
  if (e->index % 2 != 0 || (e->index == 0 && INT64_C(1) << e->level >= c->count)) return false;
  return (e->index + 1) << e->level >= c->count;
}

static void put(chain *c, node e) {
  c->node[c->n++] = e;
  for (;;) {
    node *last = &c->node[c->n - 1];
    if (rises(c, last)) {
      last->level++;
      last->index /= 2;
      continue;
    }
    if (c->n < 2 || last->index % 2 == 0 || last[-1].level != last->level ||
        last[-1].index != last->index - 1)
      return;
    rpi_finish_combine((rpi_redop)c->op, c->dtype, &last[-1].value, &last->value);
    last[-1].level++;
    last[-1].index /= 2;
    c->n--;
  }
}

/* Values of the tree over partials: leaves of the only row, or rows. */
static int64_t values_of(const rpi_ir *ir, const int64_t *extent, int64_t *leaves) {
  int64_t rows = 1;
  for (int32_t d = 0; d < ir->rank - 1; d++) rows *= extent[d];
  *leaves = (extent[ir->rank - 1] + RPI_LEAF - 1) / RPI_LEAF;
  return ir->rank == 1 ? *leaves : rows;
}

int64_t rpi_subtree_room(const rpi_ir *ir, const int64_t *extent) {
  int64_t leaves;
  const uint64_t count = (uint64_t)values_of(ir, extent, &leaves);
  const int64_t levels = 64 - __builtin_clzll(count | 1);
  return ir->n_red * ((int64_t)sizeof(chain) + (2 * levels + 2) * (int64_t)sizeof(node));
}

int64_t rpi_subtree_list(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w, int64_t first,
                         int64_t end, void *list) {
  int64_t extent[RP_MAX_DIM] = {0}, leaves, bytes = 0;
  for (int32_t d = 0; d < ir->rank; d++) extent[d] = w[l->extent + d].i;
  const int64_t count = values_of(ir, extent, &leaves), step = ir->rank == 1 ? 1 : leaves;
  for (int32_t r = 0; r < ir->n_red; r++) {
    const rp_dtype t = ir->operand[ir->red[r].operand].dtype;
    const int64_t size = rpi_dtype_size(t);
    chain *c = (chain *)((char *)list + bytes);
    *c = (chain){.count = count, .op = ir->red[r].op, .dtype = t};
    for (int64_t u = first; u < end; u += step) {
      char *value = (char *)w[l->partial + r].p + u * size;
      if (step > 1) rpi_finish_tree((rpi_redop)c->op, t, value, step);
      node e = {.index = u / step};
      memcpy(&e.value, value, (size_t)size);
      put(c, e);
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
    for (int64_t i = 0; i < b->n; i++) put(c, b->node[i]);
    out += bytes_of(c);
  }
  *n = out - (char *)arg;
  memcpy(into, arg, (size_t)*n);
}

int64_t rpi_subtree_deliver(const rpi_ir *ir, const rpi_ir_layout *l, const rpi_word *w,
                            const void *list) {
  int64_t bytes = 0;
  for (int32_t r = 0; r < ir->n_red; r++) {
    const rpi_ir_red *red = &ir->red[r];
    const chain *c = (const chain *)((const char *)list + bytes);
    void *to = w[l->ptr + red->operand].p;
    uint64_t value = c->node[0].value;
    rpi_assert(c->n == 1);
    if (red->join) rpi_finish_combine((rpi_redop)red->op, c->dtype, &value, to);
    memcpy(to, &value, (size_t)rpi_dtype_size(c->dtype));
    bytes += bytes_of(c);
  }
  return bytes;
}
