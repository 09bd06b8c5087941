/* SPDX-License-Identifier: Apache-2.0
 * jit/interp_loop.c -- runs steps: plain ones, gathers, and inner loops.
 *
 * Lives here: the pass over a list of steps; LOOP ... ENDLOOP. Not here: blocks, rows and units.
 * How:        the (point, k) pairs of a block's points are laid end to end and cut into chunks, which
 *             are blocks of the inner program. Points whose pairs fit into one chunk are never cut, so
 *             most are reduced from one stretch of values; a longer one has its chunks to itself.
 *             Where k runs on from point to point, as in CSR, tables read at k are used in place. */
#include <string.h>

#include "jit/finish.h"
#include "jit/interp_impl.h"

typedef struct chunk {
  const rpi_inner *in;
  struct rpi_inner_state *state;
  int32_t *off;  /* offsets of the chunk's points, and the end */
  int64_t first; /* the first of them, in the block */
  int32_t n;     /* points */
  int32_t longest;
} chunk;

/* Values of the pairwise tree over elements that arrive in order: one partial result per set bit of
 * the count, so that equal subtrees meet (finish.h has the tree). */
typedef struct stack {
  uint64_t value[64];
  int64_t count;
  int32_t top;
} stack;

void rpi_interp_fill(void *dst, uint64_t bits, int32_t size, int64_t n) {
  static const uint64_t spread[9] = {
      [1] = 0x0101010101010101u, [2] = 0x0001000100010001u, [4] = 0x0000000100000001u, [8] = 1};
  const uint64_t low = size == 8 ? bits : bits & ((UINT64_C(1) << (8 * size)) - 1);
  const uint64_t word = low * spread[size];
  char *d = dst;
  int64_t bytes = n * size;
  for (; bytes >= 8; bytes -= 8, d += 8) memcpy(d, &word, 8);
  if (bytes > 0) memcpy(d, &word, (size_t)bytes);
}

static void stack_push(stack *s, rpi_redop op, rp_dtype t, const void *v) {
  memcpy(&s->value[s->top++], v, (size_t)rpi_dtype_size(t));
  for (int64_t c = ++s->count; (c & 1) == 0; c >>= 1, s->top--)
    rpi_finish_combine(op, t, &s->value[s->top - 2], &s->value[s->top - 1], 1);
}

static void stack_end(stack *s, rpi_redop op, rp_dtype t, void *out) {
  for (; s->top > 1; s->top--)
    rpi_finish_combine(op, t, &s->value[s->top - 2], &s->value[s->top - 1], 1);
  memcpy(out, s->value, (size_t)rpi_dtype_size(t));
}

/* ---- gathers */

static void k_fill(const rpi_run *r, const chunk *c, int64_t lo_step, const int64_t *lo);

/* A table of one axis read at the loop's own k: a stretch of memory, if k has no gaps. */
static bool gather_in_place(const rpi_run *r, const rpi_gather *t, int64_t n) {
  const int32_t at = t->stride;
  if (t->loop < 0 || !r->state[t->loop].contiguous || r->w[at].i != 1) return false;
  const int64_t k0 = r->state[t->loop].k0;
  if (t->checked && (k0 < 0 || n > r->w[at + 1].i - k0)) return false;
  r->ptr[t->d] = (char *)r->w[r->p->layout.ptr + t->operand].p + k0 * rpi_dtype_size(t->dtype);
  return true;
}

/* The indices may be used as they are: one axis without gaps, and none is outside. */
static bool gather_plain(const rpi_run *r, const rpi_gather *t, int64_t n) {
  const int32_t at = t->stride;
  const int64_t extent = r->w[at + 1].i;
  int64_t inside = 1;
  if (t->n_axes != 1 || t->splat[0] || r->w[at].i != 1 || extent <= 0) return false;
  if (t->checked)
    (t->narrow[0] ? r->p->wide->inside32 : r->p->wide->inside64)(&inside, r->ptr[t->index[0]], NULL,
                                                                 (void *)(intptr_t)extent, n);
  return inside;
}

static void gather(const rpi_run *r, const rpi_gather *t, int64_t n) {
  const int32_t at = t->stride;
  const rpi_loops *wide = r->p->wide, *loops = rpi_interp_loops(r->p, t->dtype);
  const int64_t *off = NULL;
  if (gather_in_place(r, t, n)) return;
  r->ptr[t->d] = r->ptr[t->reg];
  if (t->loop >= 0 && !r->state[t->loop].have_k) {
    wide->iota(r->ptr[t->index[0]], (void *)(intptr_t)r->state[t->loop].k0, NULL, NULL, n);
    r->state[t->loop].have_k = true;
  }
  if (gather_plain(r, t, n)) {
    (t->narrow[0] ? loops->gather32 : loops->gather)[t->dtype](
        r->ptr[t->d], r->w[r->p->layout.ptr + t->operand].p, r->ptr[t->index[0]], NULL, n);
    return;
  }
  for (int32_t a = 0; a < t->n_axes; a++) {
    const int64_t stride = r->w[at + a].i, extent = r->w[at + t->n_axes + a].i;
    const int64_t splat = t->splat[a] ? RPI_SPLAT(0) : 0;
    const char *index = r->ptr[t->index[a]];
    if (extent <= 0) { /* nothing to read: zeros */
      memset(r->ptr[t->d], 0, (size_t)n * (size_t)rpi_dtype_size(t->dtype));
      if (t->checked) __atomic_store_n((uint32_t *)r->w[r->p->layout.flag].p, 1, __ATOMIC_RELAXED);
      return;
    }
    if (t->narrow[a]) {
      wide->cast[RP_I32][RP_I64](r->ptr[t->temp[0]], index, NULL, NULL, n);
      index = r->ptr[t->temp[0]];
    }
    if (t->checked) {
      wide->clamp(r->ptr[t->temp[0]], index, r->w[r->p->layout.flag].p, (void *)(intptr_t)extent,
                  n | splat);
      index = r->ptr[t->temp[0]];
    }
    off = (const int64_t *)(const void *)index;
    if (t->n_axes == 1 && stride == 1 && (t->checked || !splat)) break;
    wide->scale(r->ptr[t->temp[1]], index, a > 0 ? r->p : NULL, (void *)(intptr_t)stride,
                n | (t->checked ? 0 : splat));
    off = (const int64_t *)(const void *)r->ptr[t->temp[1]];
  }
  loops->gather[t->dtype](r->ptr[t->d], r->w[r->p->layout.ptr + t->operand].p, off, NULL, n);
}

/* ---- inner loops */

static void run_chunk(const rpi_run *r, const chunk *c, const int64_t *lo, int64_t lo_step) {
  const rpi_inner *in = c->in;
  const int32_t n = c->off[c->n];
  if (n == 0) return;
  c->state->have_k = false;
  if (in->need_k || !c->state->contiguous) k_fill(r, c, lo_step, lo);
  for (int32_t i = 0; i < in->n_expansion; i++) {
    const rpi_expansion *e = &in->expansion[i];
    rpi_interp_loops(r->p, e->dtype)
        ->expand[e->dtype](r->ptr[e->to], r->ptr[e->from] + c->first * rpi_dtype_size(e->dtype),
                           c->off, NULL, c->n);
  }
  rpi_interp_steps(r, &in->step, n);
}

/* k of each pair; lo are the first k of the chunk's points. */
static void k_fill(const rpi_run *r, const chunk *c, int64_t lo_step, const int64_t *lo) {
  char *k = r->ptr[c->in->k];
  c->state->have_k = true;
  if (c->state->contiguous) {
    r->p->wide->iota(k, (void *)(intptr_t)c->state->k0, NULL, NULL, c->off[c->n]);
    return;
  }
  for (int32_t s = 0; s < c->n; s++)
    if (c->off[s + 1] > c->off[s])
      r->p->wide->iota(k + 8 * (int64_t)c->off[s], (void *)(intptr_t)lo[s * lo_step], NULL, NULL,
                       c->off[s + 1] - c->off[s]);
}

static void leaf_begin(const rpi_run *r, const rpi_inner *in) {
  rpi_interp_fill(r->ptr[in->acc], rpi_ir_redop_identity(in->op, in->dtype),
                  rpi_dtype_size(in->dtype), RPI_ACCUMULATORS);
}

/* n elements of a leaf, from its element `at` on; they end before or at a multiple of 64 then. */
static void leaf_add(const rpi_run *r, const rpi_inner *in, const char *v, int64_t at, int64_t n) {
  char *acc = r->ptr[in->acc] + at % RPI_ACCUMULATORS * rpi_dtype_size(in->dtype);
  rpi_interp_loops(r->p, in->dtype)->leaf[in->op][in->dtype](acc, v, NULL, NULL, n);
}

static const char *leaf_end(const rpi_run *r, const rpi_inner *in) {
  rpi_interp_loops(r->p, in->dtype)->fold[in->op][in->dtype](r->ptr[in->acc], NULL, NULL, NULL, 0);
  return r->ptr[in->acc];
}

static bool is_arg(const rpi_inner *in) { return in->op >= RPI_RED_ARGMIN; }

/* One point whose n values lie at v; lo is its first k. */
static void reduce_point(const rpi_run *r, const rpi_inner *in, const char *v, int32_t n,
                         int64_t lo, char *out) {
  const int32_t size = rpi_dtype_size(in->dtype);
  if (is_arg(in)) {
    rpi_winner best = {.k = -1};
    rpi_interp_loops(r->p, in->dtype)
        ->segment[in->op][in->dtype](&best, v, NULL, (void *)(intptr_t)lo, n);
    memcpy(out, &best.k, sizeof best.k);
  } else if (n == 0) {
    const uint64_t bits = rpi_ir_redop_empty(in->op, in->dtype);
    memcpy(out, &bits, (size_t)size);
  } else if (in->rule == RPI_LOOP_ROWS) {
    memcpy(r->ptr[in->temp], v, (size_t)n * (size_t)size);
    rpi_finish_tree(in->op, in->dtype, r->ptr[in->temp], n);
    memcpy(out, r->ptr[in->temp], (size_t)size);
  } else {
    leaf_begin(r, in);
    leaf_add(r, in, v, 0, n);
    memcpy(out, leaf_end(r, in), (size_t)size);
  }
}

/* Short segments of products, summed as they are made. */
static bool dot_chunk(const rpi_run *r, const chunk *c) {
  const rpi_inner *in = c->in;
  const rpi_loops *loops = rpi_interp_loops(r->p, in->dtype);
  char *out = r->ptr[in->d] + c->first * rpi_dtype_size(in->dtype);
  rpi_dot dot = {.offsets = c->off};
  if (in->dot == RPI_DOT_NONE || c->longest > RPI_SEGMENT_LEAF) return false;
  if (in->dot == RPI_DOT_PLAIN) {
    loops->dot[in->dtype](out, r->ptr[in->dot_a], r->ptr[in->dot_b], &dot, c->n);
    return true;
  }
  const rpi_gather *t = &r->g->gather[in->dot_b];
  if (!gather_plain(r, t, c->off[c->n])) return false;
  dot.table = r->w[r->p->layout.ptr + t->operand].p;
  (t->narrow[0] ? loops->dot_gather32 : loops->dot_gather64)[in->dtype](
      out, r->ptr[in->dot_a], r->ptr[t->index[0]], &dot, c->n);
  return true;
}

static void reduce_chunk(const rpi_run *r, const chunk *c, const int64_t *lo, int64_t lo_step) {
  const rpi_inner *in = c->in;
  const int32_t size = rpi_dtype_size(in->dtype), out_size = is_arg(in) ? 8 : size;
  const char *v = r->ptr[in->value];
  char *out = r->ptr[in->d] + c->first * out_size;
  rpi_loop_fn *segment = rpi_interp_loops(r->p, in->dtype)->segment[in->op][in->dtype];
  const bool in_order = in->rule == RPI_LOOP_SEGMENT && !is_arg(in);
  if (in_order && c->longest <= RPI_SEGMENT_LEAF) {
    segment(out, v, c->off, NULL, c->n);
    return;
  }
  for (int32_t s = 0; s < c->n; s++) {
    const int32_t n = c->off[s + 1] - c->off[s];
    if (in_order && n <= RPI_SEGMENT_LEAF)
      segment(out + (int64_t)s * size, v, c->off + s, NULL, 1);
    else
      reduce_point(r, in, v + (int64_t)c->off[s] * size, n, lo[s * lo_step],
                   out + (int64_t)s * out_size);
  }
}

/* One point with more pairs than a chunk holds. A chunk is a power of two of elements that divides a
 * leaf, so chunks are subtrees of ROWS, and parts of one leaf otherwise. */
static void run_long(const rpi_run *r, chunk *c, int64_t lo, int64_t n) {
  const rpi_inner *in = c->in;
  const int32_t size = rpi_dtype_size(in->dtype);
  rpi_winner best = {.k = -1};
  stack tree = {.count = 0};
  for (int64_t at = 0; at < n; at += r->g->size) {
    const int32_t m = (int32_t)(n - at < r->g->size ? n - at : r->g->size);
    const int64_t k0 = lo + at;
    c->off[0] = 0, c->off[1] = m, c->n = 1;
    c->state->k0 = k0, c->state->contiguous = true;
    run_chunk(r, c, &k0, 0);
    rpi_interp_steps(r, &in->tail, m);
    const char *v = r->ptr[in->value];
    if (is_arg(in)) {
      rpi_interp_loops(r->p, in->dtype)
          ->segment[in->op][in->dtype](&best, v, NULL, (void *)(intptr_t)k0, m);
    } else if (in->rule == RPI_LOOP_ROWS) {
      memcpy(r->ptr[in->temp], v, (size_t)m * (size_t)size);
      rpi_finish_tree(in->op, in->dtype, r->ptr[in->temp], m);
      stack_push(&tree, in->op, in->dtype, r->ptr[in->temp]);
    } else {
      if (at % RPI_LEAF == 0) leaf_begin(r, in);
      leaf_add(r, in, v, at, m);
      if ((at + m) % RPI_LEAF == 0 || at + m == n)
        stack_push(&tree, in->op, in->dtype, leaf_end(r, in));
    }
  }
  if (is_arg(in))
    memcpy(r->ptr[in->d] + c->first * 8, &best.k, 8);
  else
    stack_end(&tree, in->op, in->dtype, r->ptr[in->d] + c->first * size);
}

/* Takes points from c->first on while their pairs fit; the number of points taken. */
static int32_t fill_chunk(const rpi_run *r, chunk *c, const int64_t *lo, const int64_t *hi,
                          int64_t left) {
  const int64_t lo_step = c->in->lo_splat ? 0 : 1, hi_step = c->in->hi_splat ? 0 : 1;
  int64_t next = 0, total = 0;
  int32_t n = 0;
  c->longest = 0, c->state->contiguous = true, c->off[0] = 0;
  if (lo_step == 1 && hi_step == 1) {
    rpi_stretch s = {.limit = r->g->size};
    r->p->wide->run_on(c->off, lo, hi, &s, left);
    n = (int32_t)s.points, c->longest = (int32_t)s.longest;
    if (n > 0) total = c->off[n], c->state->k0 = lo[0], next = hi[n - 1];
  }
  for (; n < left; n++) {
    const int64_t a = lo[n * lo_step], b = hi[n * hi_step];
    const int64_t len = b > a ? (int64_t)((uint64_t)b - (uint64_t)a) : 0;
    if (len < 0 || len > r->g->size - total) break;
    if (len > 0) {
      if (total == 0)
        c->state->k0 = a;
      else if (a != next)
        c->state->contiguous = false;
      next = b;
    }
    total += len;
    if (len > c->longest) c->longest = (int32_t)len;
    c->off[n + 1] = (int32_t)total;
  }
  return c->n = n;
}

static void run_inner(const rpi_run *r, int32_t number, int64_t n) {
  const rpi_inner *in = &r->g->inner[number];
  const int64_t *lo = (const int64_t *)(const void *)r->ptr[in->lo];
  const int64_t *hi = (const int64_t *)(const void *)r->ptr[in->hi];
  const int64_t lo_step = in->lo_splat ? 0 : 1, hi_step = in->hi_splat ? 0 : 1;
  chunk c = {.in = in, .state = &r->state[number]};
  c.off = (int32_t *)(void *)r->ptr[in->offsets];
  while (c.first < n) {
    const int64_t *from = lo + c.first * lo_step, *to = hi + c.first * hi_step;
    if (fill_chunk(r, &c, from, to, n - c.first) > 0) {
      run_chunk(r, &c, from, lo_step);
      if (!dot_chunk(r, &c)) {
        if (c.off[c.n] > 0) rpi_interp_steps(r, &in->tail, c.off[c.n]);
        reduce_chunk(r, &c, from, lo_step);
      }
      c.first += c.n;
    } else {
      run_long(r, &c, *from, *to - *from);
      c.first++;
    }
  }
}

static void guard(const rpi_run *r, int32_t number, int64_t n) {
  const rpi_guard *g = &r->g->guard[number];
  const bool aliased = r->aliased[number];
  r->ptr[g->d] = r->ptr[aliased ? g->reg : g->memory];
  if (aliased && g->copy != NULL) g->copy(r->ptr[g->d], r->ptr[g->memory], NULL, NULL, n);
}

void rpi_interp_steps(const rpi_run *r, const rpi_steps *s, int64_t n) {
  char **ptr = r->ptr;
  for (const rpi_interp_step *i = s->at, *end = s->n > 0 ? i + s->n : i; i < end; i++) {
    if (RPI_LIKELY(i->kind == RPI_INTERP_CALL))
      i->fn(ptr[i->d], ptr[i->a], ptr[i->b], ptr[i->c], i->flags | (i->fixed != 0 ? i->fixed : n));
    else if (i->kind == RPI_INTERP_CALL4)
      i->fn(ptr[i->d], ptr[i->a], ptr[i->b], (const void *[]){ptr[i->c], ptr[i->e]}, i->flags | n);
    else if (i->kind == RPI_INTERP_GATHER)
      gather(r, &r->g->gather[i->a], n);
    else if (i->kind == RPI_INTERP_LOOP)
      run_inner(r, i->a, n);
    else if (i->kind == RPI_INTERP_GUARD)
      guard(r, i->a, n);
    else if (ptr[i->d] != ptr[i->a])
      i->fn(ptr[i->d], ptr[i->a], NULL, NULL, n);
  }
}
