/* SPDX-License-Identifier: Apache-2.0
 * core/exec/image.c -- see image.h. */
#include "core/exec/image.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/comm/collect.h"
#include "core/comm/route.h"
#include "core/exec/exchange.h"
#include "core/model/dtype.h"
#include "core/model/op.h"

enum { CHUNK = 512, GAP = 8 /* elements between two that are sent with them */ };

/* lo > hi: nothing. */
typedef struct range {
  int64_t lo, hi;
} range;

static const range everything = {INT64_MIN, INT64_MAX}, nothing = {INT64_MAX, INT64_MIN};

typedef struct look {
  rpi_image *m;
  void *const *pointers;
  int32_t rank;
  range own;    /* elements of the table that this rank holds */
  range *value; /* per node */
  int64_t
      *reached; /* elements that other ranks hold, first sorted and each once, then as they came */
  int64_t n_reached, sorted, cap;
  int64_t n_values; /* of index data that were read */
  rp_status status; /* of what validators found */
  bool failed;      /* no memory */
  bool asks;        /* only whether anything of other ranks is reached: */
  bool reaches;
} look;

/* ---- boxes ---- */

/* Calls `each` with the runs of a box along its last axis. */
typedef void run_fn(void *arg, int64_t at, int64_t n, int64_t step);

static void runs_of(const rpi_geom *g, int32_t axis, int64_t at, run_fn *each, void *arg) {
  if (g->ndim == 0) {
    each(arg, at, 1, 1);
  } else if (axis == g->ndim - 1) {
    each(arg, at, g->shape[axis], g->stride[axis]);
  } else {
    for (int64_t i = 0; i < g->shape[axis]; i++)
      runs_of(g, axis + 1, at + i * g->stride[axis], each, arg);
  }
}

/* The box of subscripts lo[d]..hi[d] of an array's axes; false if it is empty. */
static bool box_at(const rpi_geom *g, const range *r, rpi_geom *out) {
  *out = *g;
  for (int32_t d = 0; d < g->ndim; d++) {
    if (g->shape[d] == 0 || r[d].lo > r[d].hi) return false;
    const int64_t most = g->shape[d] - 1; /* clamped, as kernels do */
    const int64_t lo = r[d].lo < 0 ? 0 : r[d].lo > most ? most : r[d].lo;
    const int64_t hi = r[d].hi < 0 ? 0 : r[d].hi > most ? most : r[d].hi;
    out->offset += lo * g->stride[d];
    out->shape[d] = hi - lo + 1;
  }
  return true;
}

/* The same elements upwards in memory: positive strides, the smallest last, none twice. */
static void upwards(rpi_geom *g) {
  int32_t n = 0;
  for (int32_t d = 0; d < g->ndim; d++) {
    int64_t shape = g->shape[d], stride = g->stride[d];
    if (shape == 1 || stride == 0) continue;
    if (stride < 0) g->offset += (shape - 1) * stride, stride = -stride;
    int32_t at = n++;
    for (; at > 0 && g->stride[at - 1] < stride; at--) {
      g->shape[at] = g->shape[at - 1];
      g->stride[at] = g->stride[at - 1];
    }
    g->shape[at] = shape;
    g->stride[at] = stride;
  }
  g->ndim = n;
}

/* ---- index data ---- */

#define EACH_INTEGER(X) \
  X(RP_BOOL, uint8_t) \
  X(RP_I8, int8_t) \
  X(RP_I16, int16_t) \
  X(RP_I32, int32_t) \
  X(RP_I64, int64_t) X(RP_U8, uint8_t) X(RP_U16, uint16_t) X(RP_U32, uint32_t) X(RP_U64, uint64_t)

/* Values n elements long, from a strided run. A u64 beyond the i64s is taken for the largest. */
static void load(rp_dtype t, const void *data, int64_t at, int64_t n, int64_t step, int64_t *out) {
  switch (t) {
#define CASE(name, type) \
  case name: \
    for (int64_t i = 0; i < n; i++) out[i] = (int64_t)((const type *)data)[at + i * step]; \
    break;
    EACH_INTEGER(CASE)
#undef CASE
    default: rpi_assert(false);
  }
  for (int64_t i = 0; t == RP_U64 && i < n; i++)
    if (out[i] < 0) out[i] = INT64_MAX;
}

/* Index data on their way to whoever looks at them. */
typedef struct reader {
  look *l;
  const rpi_image_node *node;
  void (*take)(look *l, const int64_t *values, int64_t n);
  range seen;
} reader;

static void read_run(void *arg, int64_t at, int64_t n, int64_t step) {
  reader *r = arg;
  int64_t values[CHUNK];
  for (int64_t i = 0; i < n; i += CHUNK) {
    const int64_t k = n - i < CHUNK ? n - i : CHUNK;
    load(r->node->dtype, r->l->pointers[r->node->symbol], at + i * step, k, step, values);
    r->l->n_values += k;
    if (r->take) r->take(r->l, values, k);
    for (int64_t j = 0; j < k; j++) {
      if (values[j] < r->seen.lo) r->seen.lo = values[j];
      if (values[j] > r->seen.hi) r->seen.hi = values[j];
    }
  }
}

/* Where in its array a node's index data lie; false if there are none. */
static bool place_of(const look *l, const rpi_image_node *n, rpi_geom *box) {
  range at[RP_MAX_DIM];
  for (int32_t d = 0; d < n->geom.ndim; d++)
    at[d] = n->kind == RPI_IMAGE_TABLE ? l->value[n->src[d]]
            : d == 0                   ? (range){l->m->row_lo, l->m->row_hi - 1}
                                       : (range){0, n->geom.shape[d] - 1};
  return box_at(&n->geom, at, box);
}

static range look_at_data(look *l, const rpi_image_node *n,
                          void (*take)(look *, const int64_t *, int64_t)) {
  reader r = {.l = l, .node = n, .take = take, .seen = nothing};
  rpi_geom box;
  if (!place_of(l, n, &box)) return nothing;
  upwards(&box);
  runs_of(&box, 0, box.offset, read_run, &r);
  return r.seen;
}

/* ---- index data in order ---- */

#ifdef RPI_VALIDATE
typedef struct order {
  look *l;
  const rpi_image_node *node;
  int64_t before;
} order;

static void check_run(void *arg, int64_t at, int64_t n, int64_t step) {
  order *o = arg;
  const rpi_image_node *node = o->node;
  char name[RPI_OP_PARAM];
  for (int64_t i = 0; i < n && o->l->status == RP_OK; i++) {
    int64_t value;
    load(node->dtype, o->l->pointers[node->symbol], at + i * step, 1, 1, &value);
    if (value < o->before)
      o->l->status = rpi_status_fail(
          RP_ERR_DATA,
          "%s.%s: the values of %s were promised not to decrease, but %lld follows %lld",
          node->op->lib->name, node->op->name, rpi_op_param(node->op, node->store, false, name),
          (long long)value, (long long)o->before);
    o->before = value;
  }
}

static void check_order(look *l, const rpi_image_node *n, const rpi_geom *box) {
  order o = {.l = l, .node = n, .before = INT64_MIN};
  if (l->status == RP_OK && !l->asks) runs_of(box, 0, box->offset, check_run, &o);
}
#endif

/* Of data that are in order two values tell all; if they are not, the range is no empty one for that. */
static range look_at_ends(look *l, const rpi_image_node *n) {
  rpi_geom box;
  int64_t first, last;
  if (!place_of(l, n, &box)) return nothing;
#ifdef RPI_VALIDATE
  check_order(l, n, &box);
#endif
  const void *data = l->pointers[n->symbol];
  int64_t end = box.offset;
  for (int32_t d = 0; d < box.ndim; d++) end += (box.shape[d] - 1) * box.stride[d];
  load(n->dtype, data, box.offset, 1, 1, &first);
  load(n->dtype, data, end, 1, 1, &last);
  l->n_values += 2;
  return first < last ? (range){first, last} : (range){last, first};
}

/* ---- interval arithmetic ---- */

static bool is_nothing(range r) { return r.lo > r.hi; }
static bool is_everything(range r) { return r.lo == INT64_MIN || r.hi == INT64_MAX; }

static range add(range a, range b) {
  range r;
  if (__builtin_add_overflow(a.lo, b.lo, &r.lo) || __builtin_add_overflow(a.hi, b.hi, &r.hi))
    return everything;
  return r;
}

static range subtract(range a, range b) {
  range r;
  if (__builtin_sub_overflow(a.lo, b.hi, &r.lo) || __builtin_sub_overflow(a.hi, b.lo, &r.hi))
    return everything;
  return r;
}

static range multiply(range a, range b) {
  const int64_t x[] = {a.lo, a.lo, a.hi, a.hi}, y[] = {b.lo, b.hi, b.lo, b.hi};
  range r = nothing;
  for (int32_t i = 0; i < 4; i++) {
    int64_t p;
    if (__builtin_mul_overflow(x[i], y[i], &p)) return everything;
    if (p < r.lo) r.lo = p;
    if (p > r.hi) r.hi = p;
  }
  return r;
}

static range value_of(look *l, const rpi_image_node *n) {
  if (n->kind == RPI_IMAGE_BOUNDS) return (range){n->lo, n->hi};
  if (n->kind == RPI_IMAGE_ROW) return (range){l->m->row_lo, l->m->row_hi - 1};
  if (n->hint == RPI_IMAGE_FIRST_LAST) return look_at_ends(l, n);
  if (n->kind == RPI_IMAGE_DATA || n->kind == RPI_IMAGE_TABLE) return look_at_data(l, n, NULL);
  const range a = l->value[n->src[0]], b = l->value[n->src[1]];
  if (is_nothing(a) || is_nothing(b)) return nothing;
  if (n->kind == RPI_IMAGE_LOOP)
    return b.hi == INT64_MIN ? nothing : (range){a.lo, b.hi == INT64_MAX ? b.hi : b.hi - 1};
  if (is_everything(a) || is_everything(b)) return everything;
  if (n->kind == RPI_IMAGE_ADD) return add(a, b);
  return n->kind == RPI_IMAGE_SUB ? subtract(a, b) : multiply(a, b);
}

/* ---- what is reached ---- */

static int by_value(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static void sort_reached(look *l) {
  if (l->n_reached > 1) qsort(l->reached, (size_t)l->n_reached, sizeof *l->reached, by_value);
  int64_t n = 0;
  for (int64_t i = 0; i < l->n_reached; i++)
    if (n == 0 || l->reached[n - 1] != l->reached[i]) l->reached[n++] = l->reached[i];
  l->n_reached = l->sorted = n;
}

/* One more; when memory is full it is put in order first, and doubled if that does not make room for as much. */
static void reach(look *l, int64_t element) {
  l->reaches = true;
  if (l->asks) return;
  if (l->n_reached > l->sorted && l->reached[l->n_reached - 1] == element) return;
  if (l->n_reached == l->cap) {
    sort_reached(l);
    const int64_t cap = l->n_reached < l->cap / 2 ? l->cap : 2 * l->cap + CHUNK;
    int64_t *p = cap == l->cap ? l->reached : rpi_alloc_resize(l->reached, (size_t)cap * sizeof *p);
    l->failed = l->failed || !p;
    if (!p) return;
    l->reached = p;
    l->cap = cap;
  }
  l->reached[l->n_reached++] = element;
}

/* Subscripts of a table of one axis. */
static void take_exactly(look *l, const int64_t *values, int64_t n) {
  const rpi_geom *g = &l->m->geom;
  for (int64_t i = 0; i < n; i++) {
    const int64_t v = values[i] < 0 ? 0 : values[i] < g->shape[0] ? values[i] : g->shape[0] - 1;
    const int64_t at = g->offset + v * g->stride[0];
    if (at < l->own.lo || at > l->own.hi) reach(l, at);
  }
}

/* n blocks of `block` elements, `step` from one to the next, as runs from their owners. */
static void need(look *l, int64_t at, int64_t block, int64_t n, int64_t step) {
  const rpi_image *m = l->m;
  if (at < l->own.lo || at + (n - 1) * step + block - 1 > l->own.hi) l->reaches = true;
  if (l->asks) return;
  while (n > 0) {
    const int32_t owner = rpi_cuts_owner(&m->cuts, at);
    const int64_t end = rpi_cuts_at(&m->cuts, owner + 1);
    int64_t blocks = 1, elements = block < end - at ? block : end - at;
    if (n > 1 && at + block <= end) blocks = (end - block - at) / step + 1;
    if (blocks > n) blocks = n;
    const rpi_plan_run run = {.at = at * m->elem,
                              .bytes = elements * m->elem,
                              .count = blocks,
                              .step = blocks > 1 ? step * m->elem : 0};
    if (owner != l->rank && !rpi_messages_add(m->exchange, m->symbol, owner, false, &run))
      l->failed = true;
    if (elements < block) { /* the rest of a block that owners share */
      need(l, at + elements, block - elements, 1, 0);
      blocks = 1;
    }
    at += blocks * step;
    n -= blocks;
  }
}

static void need_run(void *arg, int64_t at, int64_t n, int64_t step) {
  if (step == 1)
    need(arg, at, n, 1, 0);
  else
    need(arg, at, 1, n, step);
}

static void need_reached(look *l) {
  sort_reached(l);
  for (int64_t i = 0, end; i < l->n_reached; i = end) {
    for (end = i + 1; end < l->n_reached; end++) {
      const int64_t gap = l->reached[end] - l->reached[end - 1];
      /* Not over this rank's own range. */
      if (gap > GAP || (l->reached[end - 1] < l->own.lo && l->reached[end] > l->own.lo)) break;
    }
    need(l, l->reached[i], l->reached[end - 1] - l->reached[i] + 1, 1, 0);
  }
  l->n_reached = l->sorted = 0;
}

static bool is_index_data(const rpi_image_node *n) {
  return n->kind == RPI_IMAGE_DATA || n->kind == RPI_IMAGE_TABLE;
}

static void need_use(look *l, const rpi_image_use *u) {
  const rpi_image *m = l->m;
  range at[RP_MAX_DIM];
  rpi_geom box;
  const rpi_image_node *n = &m->node[u->axis[0]];
  if (m->geom.ndim == 1 && is_index_data(n) && n->hint == RPI_IMAGE_EXACT) {
    if (m->geom.shape[0] > 0) look_at_data(l, n, take_exactly);
    return;
  }
  for (int32_t d = 0; d < m->geom.ndim; d++) at[d] = l->value[u->axis[d]];
  if (!box_at(&m->geom, at, &box)) return;
  upwards(&box);
  runs_of(&box, 0, box.offset, need_run, l);
}

static void need_rows(look *l) {
  const rpi_image *m = l->m;
  for (int32_t i = 0; i < m->n_node; i++) l->value[i] = value_of(l, &m->node[i]);
  for (int32_t i = 0; i < m->n_use; i++) need_use(l, &m->use[i]);
}

/* The longest row of blocks that reach nothing of other ranks. */
static void find_inner(look *l) {
  rpi_image *m = l->m;
  const int64_t lo = m->row_lo, hi = m->row_hi;
  int64_t from = lo;
  m->inner_lo = m->inner_hi = lo;
  l->asks = true;
  for (int64_t at = lo; at < hi; at = m->row_hi) {
    m->row_lo = at;
    m->row_hi = hi - at < m->block ? hi : at + m->block;
    l->reaches = false;
    need_rows(l);
    if (l->reaches) {
      from = m->row_hi;
    } else if (m->row_hi - from > m->inner_hi - m->inner_lo) {
      m->inner_lo = from;
      m->inner_hi = m->row_hi;
    }
  }
  m->row_lo = lo;
  m->row_hi = hi;
}

/* What this rank receives. */
static bool find_receives(look *l) {
  rpi_image *m = l->m;
  rpi_messages_clear(m->exchange);
  m->inner_lo = m->inner_hi = m->row_lo;
  if (m->row_lo >= m->row_hi) return true;
  l->value = rpi_alloc_zero(((size_t)m->n_node + 1) * sizeof *l->value);
  if (!l->value) return false;
  need_rows(l);
  need_reached(l);
  if (m->sub >= 0) find_inner(l);
  rpi_alloc_free(l->value);
  rpi_alloc_free(l->reached);
  return !l->failed;
}

/* ---- who needs it of whom ---- */

/* The owners learn what they send. */
static rp_status tell_owners(rpi_comm *comm, rpi_image *m) {
  rpi_route_list list = {0};
  bool ok = true;
  for (int32_t i = 0; i < m->exchange->n; i++) {
    const rpi_plan_message *e = &m->exchange->list[i];
    for (int32_t k = 0; k < e->n_run && ok; k++) {
      const rpi_plan_run *r = &m->exchange->run[e->first_run + k];
      ok = rpi_route_add(&list, e->peer, (int64_t[4]){r->at, r->bytes, r->count, r->step});
    }
  }
  rp_status st = ok ? rpi_route_records(comm, &list) : rpi_status_nomem("an image");
  for (int32_t i = 0; st == RP_OK && i < list.n; i++) {
    const rpi_route_record *r = &list.records[i];
    const rpi_plan_run run = {
        .at = r->word[0], .bytes = r->word[1], .count = r->word[2], .step = r->word[3]};
    if (!rpi_messages_add(m->exchange, m->symbol, r->from, true, &run))
      st = rpi_status_nomem("an image");
  }
  rpi_alloc_free(list.records);
  return st;
}

/* Are the index data other ones than were looked at? */
static bool is_old(rpi_image *m, const uint64_t *version) {
  bool old = !m->looked;
  for (int32_t i = 0; i < m->n_node; i++) {
    rpi_image_node *n = &m->node[i];
    if (!is_index_data(n)) continue;
    const uint64_t v = version[n->symbol];
    old = old || v == 0 || v != n->seen;
    n->seen = v;
  }
  m->looked = true;
  return old;
}

static void larger(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  (void)arg, (void)n, (void)m;
  if (*(const int64_t *)from > *(int64_t *)into) *(int64_t *)into = *(const int64_t *)from;
}

/* Do ranks reach so much that all is better? */
static rp_status choose_all(rpi_comm *comm, rpi_image *m) {
  int64_t most = 0, bytes = sizeof most;
  for (int32_t i = 0; i < m->exchange->n; i++) most += m->exchange->list[i].bytes;
  RPI_TRY(rpi_collect_merge(comm, &most, &bytes, bytes, larger, NULL));
  m->all = most >= m->cuts.n / 2 * m->elem;
  m->seen = 0;
  if (!m->all) return RP_OK;
  rpi_messages_clear(m->exchange);
  m->inner_lo = m->inner_hi = m->row_lo;
  if (!m->exchange->direct) return RP_OK;
  const rpi_tiling t = rpi_tiling_line(&m->cuts);
  return rpi_messages_tiles(m->exchange, m->symbol, &t, m->elem, rpi_comm_rank(comm))
             ? RP_OK
             : rpi_status_nomem("an image");
}

/* The parts of all ranks meet on the host, unless they are the exchange's messages. */
rp_status rpi_image_gather(rpi_comm *comm, rpi_image *m, const rpi_exchange_memory *at,
                           const uint64_t *version) {
  const uint64_t v = version[m->symbol];
  if (m->exchange->direct || (v != 0 && v == m->seen)) return RP_OK;
  m->seen = v;
  const rpi_tiling t = rpi_tiling_line(&m->cuts);
  const uint8_t sides = m->exchange->sides;
  char *data = at->pointers[m->symbol];
  if (sides == RPI_AT_DEVICE) {
    const int32_t rank = rpi_comm_rank(comm);
    const int64_t lo = rpi_cuts_at(&m->cuts, rank) * m->elem;
    const int64_t hi = rpi_cuts_at(&m->cuts, rank + 1) * m->elem;
    RPI_TRY(rpi_device_download(at->device, data + lo, at->addresses[m->symbol] + (CUdeviceptr)lo,
                                hi - lo));
  }
  RPI_TRY(rpi_exchange_gather(comm, &t, m->elem, data, data));
  if (!(sides & RPI_AT_DEVICE)) return RP_OK;
  return rpi_device_upload(at->device, at->addresses[m->symbol], data, m->cuts.n * m->elem);
}

rp_status rpi_image_look(rpi_comm *comm, rpi_image *m, void *const *pointers,
                         const uint64_t *version, rpi_exchange_count *count) {
  if (RPI_LIKELY(!is_old(m, version))) return RP_OK;
  count->images++;
  look l = {.m = m, .pointers = pointers, .rank = rpi_comm_rank(comm)};
  l.own = (range){rpi_cuts_at(&m->cuts, l.rank), rpi_cuts_at(&m->cuts, l.rank + 1) - 1};
  if (!find_receives(&l)) return rpi_status_nomem("an image");
  count->index_values += l.n_values;
  if (l.status != RP_OK) return l.status;
  RPI_TRY(choose_all(comm, m));
  if (!m->all) RPI_TRY(tell_owners(comm, m));
  m->reach =
      m->all ? (rpi_hull){0, m->cuts.n * m->elem} : rpi_messages_hull(m->exchange, m->symbol);
  return rpi_messages_close(m->exchange) ? RP_OK : rpi_status_nomem("an image");
}
