/* SPDX-License-Identifier: Apache-2.0
 * jit/cuda_interp.h -- tier 0 on a GPU: kernels that run any program.
 *
 * Lives here: what a thread does with the steps of a program (cuda_step.h), with units, loops, reductions, the end. Text behind
 *             the head of jit/lanes_cuda.h, cuda_frame.h, cuda_step.h and the cases (emit_interp.c), C11 and CUDA C++
 *             alike; the build embeds it.
 * Not here:   what an operation computes: rpk_compute, rpk_cast, rpk_combine, rpk_beats, all over bits, are switches over the
 *             functions of lanes.h, written for the dtypes that a text is for.
 * How:        a launch is up to three of the one kernel, one after another with the same parameters, told apart by the size of
 *             their blocks, so that the compiler meets the cases once: the first, of one thread, leaves
 *             the prologue's values in memory; the second does the units; the third, where there are reductions or an
 *             epilogue, joins the partials and then runs the epilogue. So nothing is stored before what reads it has ended.
 * Units:      as in emit_cuda.h, a column at a time: 2^k threads do a unit; LEAF mode: a warp does a leaf, lane t has accumulators
 *             2t and 2t + 1, and a row's warps join theirs; ROW mode: a thread has a column of a unit's rows.
 * Loops:      a thread goes through the 64 accumulators of a leaf one after another, in the order in which halving joins
 *             them: bits of their number reversed. Then folding and the tree over leaves are one tree, kept as a stack. An
 *             absent element is an accumulator's identity, which changes nothing.
 * Invariants: the threads of a block come to the same barriers: none is inside the loop over steps. */
/* Tables of macros, laid out by hand: */
/* clang-format off */
#ifdef RPG_HOST
#define RPK_ROLLED
#else
#define RPK_ROLLED _Pragma("unroll 1")
#endif
enum { RPK_LEAF = 1024, RPK_ROW_LEAF = 256, RPK_GROUP = 8, RPK_WARP = 32, RPK_WARPS = 8, RPK_SEGMENT = 32 };
enum { RPK_MODE_BODY = 2, RPK_MODE_ROOTS = 4, RPK_MODE_LEAVES = 32 };
enum { RPK_RULE_SEGMENT, RPK_RULE_AXIS, RPK_RULE_ROWS, RPK_RULE_ORDER /* one by one */ };

/* A loop under way: k, its end, where the leaf began; the accumulator at hand and its number, and the tree. */
typedef struct rpk_turn {
  int64_t k, hi, start, pushed;
  int32_t rule, number, depth, unused;
  uint64_t sum, tree[RPK_TREE];
} rpk_turn;

typedef struct rpk_thread {
  const rpk_program *program;
  const rpk_step *steps;
  const rpk_operand *operands;
  const uint64_t *constants;
  const rpk_word *w;
  rpk_word *uniforms;
  uint64_t *slot;
  rpk_turn *turns;
  int64_t at[RPK_AXES]; /* the point, within the box */
  int bad;            /* an index was clamped */
} rpk_thread;

RPG_DEVICE void rpk_begin(rpk_thread *t, const void *program, const rpk_word *w, uint64_t *slot,
                          rpk_turn *turns) {
  const char *const from = (const char *)program;
  t->program = (const rpk_program *)program;
  t->steps = (const rpk_step *)(from + t->program->steps);
  t->operands = (const rpk_operand *)(from + t->program->operands);
  t->constants = (const uint64_t *)(from + t->program->constants);
  t->w = w;
  t->uniforms = (rpk_word *)w[t->program->values].p;
  t->slot = slot;
  t->turns = turns;
  for (int d = 0; d < RPK_AXES; d++) t->at[d] = 0;
  t->bad = 0;
}

/* ---- values and memory ---------------------------------------------------------------------------- */

RPG_DEVICE uint64_t rpk_get(const rpk_thread *t, uint16_t place) {
  const int n = place & (RPK_PLACES - 1);
  switch (place / RPK_PLACES) {
    case RPK_SLOT: return t->slot[n];
    case RPK_UNIFORM: return t->uniforms[n].u;
    case RPK_WORD: return t->w[n].u;
    default: return t->constants[n];
  }
}

RPG_DEVICE void rpk_set(const rpk_thread *t, uint16_t place, uint64_t v) {
  const int n = place & (RPK_PLACES - 1);
  if (place / RPK_PLACES == RPK_SLOT) t->slot[n] = v;
  else t->uniforms[n].u = v;
}

/* Element `at` of memory with elements of `size` bytes; a bool is any byte that is not 0. An operand without elements has no
 * memory, and is read where what a body without points would have read has been hoisted out of it: nobody uses the value. */
RPG_DEVICE uint64_t rpk_read(const void *p, int64_t at, int size, int is_bool) {
  if (!p) return 0;
  switch (size) {
    case 1: {
      const uint8_t v = ((const uint8_t *)p)[at];
      return is_bool ? v != 0 : v;
    }
    case 2: return ((const uint16_t *)p)[at];
    case 4: return ((const uint32_t *)p)[at];
    default: return ((const uint64_t *)p)[at];
  }
}

RPG_DEVICE void rpk_write(void *p, int64_t at, int size, uint64_t v) {
  switch (size) {
    case 1: ((uint8_t *)p)[at] = (uint8_t)v; break;
    case 2: ((uint16_t *)p)[at] = (uint16_t)v; break;
    case 4: ((uint32_t *)p)[at] = (uint32_t)v; break;
    default: ((uint64_t *)p)[at] = v; break;
  }
}

/* Where the point is in an operand of the space. */
RPG_FAR int64_t rpk_here(const rpk_thread *t, const rpk_operand *o) {
  int64_t at = 0;
  RPK_ROLLED
  for (int d = 0; d < o->rank; d++) at += t->at[d] * t->w[o->stride + d].i;
  return at;
}

RPG_FAR uint64_t rpk_gather(rpk_thread *t, const rpk_step *s) {
  const rpk_operand *const o = t->operands + s->arg;
  int64_t at = 0;
  int empty = 0;
  RPK_ROLLED
  for (int d = 0; d < o->rank; d++) {
    int64_t i = (int64_t)rpk_get(t, s->from[d]);
    if (o->checked) {
      const int64_t n = t->w[o->stride + o->rank + d].i;
      i = rpk_clamp(i, n, &t->bad);
      empty |= n <= 0;
    }
    at += i * t->w[o->stride + d].i;
  }
  return empty ? 0 : rpk_read(t->w[o->ptr].p, at, rpk_size(s->code), s->code == RPK_BOOL);
}

/* ---- loops ---------------------------------------------------------------------------------------- */

RPG_DEVICE int rpk_reversed(int i) {
  i = (i & 21) << 1 | (i >> 1 & 21);
  return ((i & 3) << 4) | (i & 12) | (i >> 4 & 3);
}

/* The accumulator at hand joins the tree. */
RPG_FAR void rpk_push(rpk_turn *l, int code, uint64_t identity) {
  uint64_t top = l->sum;
  RPK_ROLLED
  for (int64_t b = l->pushed; b & 1; b >>= 1) top = rpk_combine(code, l->tree[--l->depth], top);
  l->tree[l->depth++] = top;
  l->pushed++;
  l->sum = identity;
}

/* On to the first accumulator, from this one on, that has an element; 0: there is none. */
RPG_DEVICE int rpk_seek(rpk_turn *l, int code, uint64_t identity) {
  for (;; l->number++) {
    if (l->number == 64) {
      l->number = 0;
      l->start += RPK_LEAF;
    }
    if (l->start >= l->hi && l->number == 0) return 0;
    l->k = l->start + rpk_reversed(l->number);
    if (l->k < l->hi) return 1;
    rpk_push(l, code, identity);
  }
}

RPG_DEVICE int rpk_first(rpk_turn *l, int64_t lo, int64_t hi, const rpk_step *loop, const rpk_step *end) {
  l->k = l->start = lo;
  l->hi = hi;
  l->pushed = 0;
  l->number = l->depth = 0;
  l->sum = end->imm;
  l->rule = loop->code == RPK_RULE_SEGMENT && hi - lo <= RPK_SEGMENT ? RPK_RULE_ORDER : loop->code;
  return lo < hi;
}

/* Behind an element, that of l->k: on to the next; 0: it was the last. */
RPG_DEVICE int rpk_next(rpk_turn *l, int code, uint64_t identity) {
  if (l->rule == RPK_RULE_ORDER) return ++l->k < l->hi;
  if (l->rule == RPK_RULE_ROWS) {
    rpk_push(l, code, identity);
    return ++l->k < l->hi;
  }
  l->k += 64;
  if (l->k < l->hi && l->k < l->start + RPK_LEAF) return 1;
  rpk_push(l, code, identity);
  l->number++;
  return rpk_seek(l, code, identity);
}

RPG_DEVICE uint64_t rpk_total(rpk_turn *l, int code) {
  if (l->rule == RPK_RULE_ORDER) return l->sum;
  uint64_t all = l->tree[--l->depth];
  RPK_ROLLED
  while (l->depth > 0) all = rpk_combine(code, l->tree[--l->depth], all);
  return all;
}

/* An element of an argmin or argmax: sum is the best so far, start its k, which is -1 at first. */
RPG_DEVICE void rpk_compete(rpk_turn *l, int code, uint64_t v) {
  if (l->start >= 0 && !rpk_beats(code, v, l->sum)) return;
  l->sum = v;
  l->start = l->k;
}

/* ---- steps ---------------------------------------------------------------------------------------- */

/* Opens the loop of step `at`; the step to go on behind. */
RPG_FAR int rpk_open(rpk_thread *t, int at, int *turn) {
  const rpk_step *const s = t->steps + at, *const end = t->steps + s->arg;
  rpk_turn *const l = t->turns + ++*turn;
  if (!rpk_first(l, (int64_t)rpk_get(t, s->from[0]), (int64_t)rpk_get(t, s->from[1]), s, end)) {
    rpk_set(t, end->to, s->imm);
    --*turn;
    return (int)s->arg;
  }
  if (end->kind == RPK_END_ARG) l->rule = RPK_RULE_ORDER, l->start = -1;
  rpk_set(t, s->to, (uint64_t)l->k);
  return at;
}

/* The element at the end of the loop; the step to go on behind. */
RPG_FAR int rpk_close(rpk_thread *t, int at, int *turn) {
  const rpk_step *const s = t->steps + at;
  rpk_turn *const l = t->turns + *turn;
  const uint64_t v = rpk_get(t, s->from[0]);
  if (s->kind == RPK_END_ARG) rpk_compete(l, s->code, v);
  else l->sum = rpk_combine(s->code, l->sum, v);
  if (rpk_next(l, s->code, s->imm)) {
    rpk_set(t, t->steps[s->arg].to, (uint64_t)l->k);
    return (int)s->arg;
  }
  rpk_set(t, s->to, s->kind == RPK_END_ARG ? (uint64_t)l->start : rpk_total(l, s->code));
  --*turn;
  return at;
}

RPG_FAR void rpk_run(rpk_thread *t, int from, int end) {
  int turn = -1;
  RPK_ROLLED
  for (int at = from; at < end; at++) {
    const rpk_step *const s = t->steps + at;
    uint64_t v = s->n > 0 ? rpk_get(t, s->from[0]) : 0;
    switch (s->kind) {
      case RPK_COMPUTE: {
        const uint64_t b = s->n > 1 ? rpk_get(t, s->from[1]) : 0, c = s->n > 2 ? rpk_get(t, s->from[2]) : 0;
        rpk_set(t, s->to, rpk_compute(s->code, v, b, c));
        break;
      }
      case RPK_CAST: rpk_set(t, s->to, rpk_cast(s->code, v)); break;
      case RPK_SELECT: rpk_set(t, s->to, rpk_get(t, s->from[v ? 1 : 2])); break;
      case RPK_INDEX: rpk_set(t, s->to, (uint64_t)(t->w[t->program->origin + (int)s->arg].i + t->at[s->arg])); break;
      case RPK_LOAD: {
        const rpk_operand *const o = t->operands + s->arg;
        rpk_set(t, s->to, rpk_read(t->w[o->ptr].p, rpk_here(t, o), rpk_size(s->code), s->code == RPK_BOOL));
        break;
      }
      case RPK_GATHER: rpk_set(t, s->to, rpk_gather(t, s)); break;
      case RPK_STORE: {
        const rpk_operand *const o = t->operands + s->arg;
        rpk_write(t->w[o->ptr].p, rpk_here(t, o), rpk_size(s->code), v);
        break;
      }
      case RPK_REDUCE: { /* of a leaf, the accumulator of the column's parity */
        uint64_t *const sum = t->slot + s->to + (t->program->prefix ? 0 : t->at[t->program->rank - 1] & 1);
        *sum = rpk_combine(s->code, *sum, v);
        break;
      }
      case RPK_LOOP: at = rpk_open(t, at, &turn); break;
      default: at = rpk_close(t, at, &turn); break;
    }
  }
}

/* ---- units ---------------------------------------------------------------------------------------- */

/* Number r of axes [from, to), flattened. */
RPG_FAR void rpk_decode(rpk_thread *t, int from, int to, int64_t r) {
  RPK_ROLLED
  for (int d = to - 1; d >= from; d--) {
    const int64_t n = t->w[t->program->extent + d].i;
    t->at[d] = r % n;
    r /= n;
  }
}

RPG_FAR int64_t rpk_extents(const rpk_thread *t, int from, int to) {
  int64_t n = 1;
  RPK_ROLLED
  for (int d = from; d < to; d++) n *= t->w[t->program->extent + d].i;
  return n;
}

RPG_DEVICE const rpk_red *rpk_reds(const rpk_thread *t) {
  return (const rpk_red *)((const char *)t->program + t->program->reds);
}

RPG_DEVICE void rpk_plain(rpk_thread *t, int64_t u0, int64_t u1, int k) {
  const int last = t->program->rank - 1, lane = RPG_THREAD & ((1 << k) - 1);
  const int64_t columns = t->w[t->program->extent + last].i, leaves = (columns + RPK_LEAF - 1) / RPK_LEAF;
  const int64_t first = u0 + (int64_t)RPG_BLOCK * (RPG_THREADS >> k) + (RPG_THREAD >> k);
  for (int64_t u = first; u < u1; u += (int64_t)RPG_BLOCKS * (RPG_THREADS >> k)) {
    const int64_t c0 = u % leaves * RPK_LEAF, stop = columns - c0 < RPK_LEAF ? columns : c0 + RPK_LEAF;
    rpk_decode(t, 0, last, u / leaves);
    for (t->at[last] = c0 + lane; t->at[last] < stop; t->at[last] += (int64_t)1 << k)
      rpk_run(t, t->program->pro, t->program->body);
  }
}

/* The accumulators of a warp's leaf, folded by halving: thread 0 has the value. */
RPG_FAR uint64_t rpk_fold(int code, uint64_t even, uint64_t odd) {
  RPK_ROLLED
  for (int h = 16; h > 0; h /= 2) {
    even = rpk_combine(code, even, rpk_down_u64(even, h));
    odd = rpk_combine(code, odd, rpk_down_u64(odd, h));
  }
  return rpk_combine(code, even, odd);
}

/* The leaves of a group become one partial: number `group`. */
RPG_DEVICE void rpk_leaves(rpk_thread *t, int64_t group, int n, int k, int on) {
  RPG_SHARED uint64_t leaf[RPK_WARPS];
  const int lane = RPG_THREAD % RPK_WARP, warp = RPG_THREAD / RPK_WARP;
  RPK_ROLLED
  for (int r = 0; r < t->program->n_red; r++) {
    const rpk_red *const red = rpk_reds(t) + r;
    uint64_t v = rpk_fold(red->code, t->slot[2 * r], t->slot[2 * r + 1]);
    if (lane == 0) leaf[warp] = v;
    RPG_SYNC();
    if (lane == 0 && on && (warp & ((1 << k) - 1)) == 0) {
      RPK_ROLLED
      for (int h = 1; h < n; h *= 2)
        RPK_ROLLED
        for (int i = 0; i + h < n; i += 2 * h) leaf[warp + i] = rpk_combine(red->code, leaf[warp + i], leaf[warp + i + h]);
      rpk_write(t->w[red->partial].p, group, rpk_size(red->code & 15), leaf[warp]);
    }
    RPG_SYNC();
  }
}

RPG_DEVICE void rpk_identities(rpk_thread *t) {
  RPK_ROLLED
  for (int r = 0; r < t->program->n_red; r++) t->slot[2 * r] = t->slot[2 * r + 1] = rpk_reds(t)[r].identity;
}

RPG_DEVICE void rpk_leaf_mode(rpk_thread *t, int64_t u0, int64_t u1, int k, int g) {
  const int last = t->program->rank - 1, lane = RPG_THREAD % RPK_WARP, warp = RPG_THREAD / RPK_WARP;
  const int per = RPG_THREADS / RPK_WARP >> k;
  const int64_t columns = t->w[t->program->extent + last].i, leaves = (columns + RPK_LEAF - 1) / RPK_LEAF;
  const int64_t groups = (leaves + g - 1) / g, some = leaves > 0 ? leaves : 1;
  const int64_t t0 = u0 / some * groups + u0 % some / g;
  const int64_t t1 = u1 / some * groups + (u1 % some + g - 1) / g;
  for (int64_t b = t0 + (int64_t)RPG_BLOCK * per; b < t1; b += (int64_t)RPG_BLOCKS * per) {
    const int64_t task = b + (warp >> k), l0 = task % groups * g, l = l0 + (warp & ((1 << k) - 1));
    const int on = task < t1 && l < leaves;
    rpk_identities(t);
    if (on) {
      const int64_t c0 = l * RPK_LEAF, stop = columns - c0 < RPK_LEAF ? columns : c0 + RPK_LEAF;
      rpk_decode(t, 0, last, task / groups);
      for (int64_t c = c0 + 2 * lane; c < stop; c += c & 1 ? 63 : 1) {
        t->at[last] = c;
        rpk_run(t, t->program->pro, t->program->body);
      }
    }
    RPG_WARP();
    rpk_leaves(t, task, leaves - l0 < g ? (int)(leaves - l0) : g, k, on);
  }
}

RPG_DEVICE void rpk_row_mode(rpk_thread *t, int64_t u0, int64_t u1, int k) {
  const int last = t->program->rank - 1, prefix = t->program->prefix, lane = RPG_THREAD & ((1 << k) - 1);
  const int64_t columns = t->w[t->program->extent + last].i, leaves = (columns + RPK_LEAF - 1) / RPK_LEAF;
  const int64_t rows = rpk_extents(t, 0, prefix), kept = rpk_extents(t, prefix, last);
  const int64_t parts = ((columns < RPK_LEAF ? columns : RPK_LEAF) + (1 << k) - 1) >> k;
  const int64_t first = u0 * parts + (int64_t)RPG_BLOCK * (RPG_THREADS >> k) + (RPG_THREAD >> k);
  for (int64_t task = first; task < u1 * parts; task += (int64_t)RPG_BLOCKS * (RPG_THREADS >> k)) {
    const int64_t u = task / parts, kr = u / leaves, c0 = u % leaves * RPK_LEAF;
    const int64_t c = c0 + (task % parts << k) + lane;
    if (c >= columns || c >= c0 + RPK_LEAF) continue;
    const int64_t f0 = kr / kept * RPK_ROW_LEAF, f1 = rows - f0 < RPK_ROW_LEAF ? rows : f0 + RPK_ROW_LEAF;
    rpk_decode(t, prefix, last, kr % kept);
    t->at[last] = c;
    rpk_identities(t);
    for (int64_t f = f0; f < f1; f++) {
      rpk_decode(t, 0, prefix, f);
      rpk_run(t, t->program->pro, t->program->body);
    }
    for (int r = 0; r < t->program->n_red; r++) {
      const rpk_red *const red = rpk_reds(t) + r;
      rpk_write(t->w[red->partial].p, kr * columns + c, rpk_size(red->code & 15), t->slot[2 * r]);
    }
  }
}

RPG_FAR void rpk_units(rpk_thread *t, int64_t u0, int64_t u1, int64_t mode) {
  const int k = (int)(mode >> 8 & 255);
  if (t->program->n_red == 0) rpk_plain(t, u0, u1, k);
  else if (t->program->prefix > 0) rpk_row_mode(t, u0, u1, k);
  else rpk_leaf_mode(t, u0, u1, k, mode & RPK_MODE_BODY ? 1 : RPK_GROUP);
  if (t->bad) RPG_RAISE((uint32_t *)t->w[t->program->flag].p);
}

/* ---- the end -------------------------------------------------------------------------------------- */

/* RPG_FINISH joins elements of a size, by the operator that goes along. */
typedef struct rpk_any {
  rpk_finish f; /* first */
  int32_t code;
  uint64_t empty;
} rpk_any;
#define RPK_ANY(f) ((const rpk_any *)(f))
#define rps_red_any_u8(a, b) ((uint8_t)rpk_combine(RPK_ANY(f)->code, a, b))
#define rps_red_any_u16(a, b) ((uint16_t)rpk_combine(RPK_ANY(f)->code, a, b))
#define rps_red_any_u32(a, b) ((uint32_t)rpk_combine(RPK_ANY(f)->code, a, b))
#define rps_red_any_u64(a, b) rpk_combine(RPK_ANY(f)->code, a, b)
#define rps_empty_any_u8() ((uint8_t)RPK_ANY(f)->empty)
#define rps_empty_any_u16() ((uint16_t)RPK_ANY(f)->empty)
#define rps_empty_any_u32() ((uint32_t)RPK_ANY(f)->empty)
#define rps_empty_any_u64() (RPK_ANY(f)->empty)
RPG_FINISH(any, u8) RPG_FINISH(any, u16) RPG_FINISH(any, u32) RPG_FINISH(any, u64)

#define RPK_JOIN(T) rpk_finish_any_##T(&any.f, (rpc_##T *)from, (rpc_##T *)to, red->join, stage, block, blocks)
RPG_FAR void rpk_join(const rpk_thread *t, int64_t mode, int stage, int block, int blocks) {
  const rpk_program *const p = t->program;
  const int axes = p->prefix ? p->rank : p->rank - 1;
  for (int r = 0; r < p->n_red; r++) {
    const rpk_red *const red = rpk_reds(t) + r;
    void *const from = t->w[red->partial].p, *const to = t->w[red->ptr].p;
    rpk_any any;
    any.f.rank = axes;
    any.f.mask = red->mask & ((1 << axes) - 1);
    any.f.groups = (rpk_extents(t, 0, p->prefix) + RPK_ROW_LEAF - 1) / RPK_ROW_LEAF;
    any.f.step = rpk_extents(t, p->prefix, p->rank);
    if (p->prefix == 0) {
      const int64_t leaf = mode & RPK_MODE_LEAVES ? RPK_LEAF : RPK_GROUP * RPK_LEAF;
      any.f.groups = (t->w[p->extent + axes].i + leaf - 1) / leaf;
      any.f.step = 0;
    }
    RPK_ROLLED
    for (int d = 0; d < axes; d++) {
      any.f.extent[d] = t->w[p->extent + d].i;
      any.f.stride[d] = t->w[red->stride + d].i;
    }
    if (mode & RPK_MODE_ROOTS) rpk_roots(&any.f);
    any.code = red->code;
    any.empty = red->empty;
    switch (rpk_size(red->code & 15)) {
      case 1: RPK_JOIN(u8); break;
      case 2: RPK_JOIN(u16); break;
      case 4: RPK_JOIN(u32); break;
      default: RPK_JOIN(u64); break;
    }
  }
}

RPG_FAR void rpk_end(rpk_thread *t, int64_t mode) {
  if (t->program->n_red > 0) rpk_join(t, mode, RPK_FIRST, RPG_BLOCK, RPG_BLOCKS);
  if (!rpk_last((uint32_t *)t->w[t->program->flag].p)) return;
  if (t->program->n_red > 0) rpk_join(t, mode, RPK_REST, 0, RPG_BLOCKS);
  RPG_SYNC();
  if (RPG_THREAD > 0) return;
  rpk_run(t, t->program->body, t->program->end);
  if (t->bad) RPG_RAISE((uint32_t *)t->w[t->program->flag].p);
}

RPG_DEVICE void rpk_start(rpk_thread *t) {
  if (RPG_BLOCK > 0 || RPG_THREAD > 0) return;
  rpk_run(t, 0, t->program->pro);
  if (t->bad) RPG_RAISE((uint32_t *)t->w[t->program->flag].p);
}

/* ---- kernels -------------------------------------------------------------------------------------- */

struct rpk_interp_args {
  int64_t u0, u1, mode;
  const void *program;
  rpk_word w[RPK_WORDS];
};

RPG_KERNEL(rpk_interp, rpk_interp_args) {
  uint64_t slot[RPK_SLOTS];
  rpk_turn turns[RPK_LOOPS];
  rpk_thread t;
  rpk_begin(&t, a.program, a.w, slot, turns);
  if (RPG_THREADS == RPK_THREADS_PRO) rpk_start(&t);
  else if (RPG_THREADS == RPK_THREADS_FIN) rpk_end(&t, a.mode);
  else rpk_units(&t, a.u0, a.u1, a.mode);
}
