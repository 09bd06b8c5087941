/* SPDX-License-Identifier: Apache-2.0
 * core/model/store.c -- makes, counts and recycles handles, buffers and instances.
 * Not here: geometry (geom.c), views (view.c), copies of elements (store_pack.c), entry points
 *           (bindings/c/api_store.c).
 * How: handles and buffers come from slabs through free lists, so that a temporary made and released
 *      in a pass costs no system call. */
#include "core/model/store.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/model/lent.h"
#include "core/model/residence.h"

rp_status rpi_store_pool_create(rp_context *ctx, rpi_memory *memory, rpi_pool **out) {
  *out = NULL;
  rpi_pool *p = rpi_alloc_zero(sizeof *p);
  if (!p) return rpi_status_nomem("store pool");
  atomic_init(&p->ctx, ctx);
  pthread_mutex_init(&p->closed, NULL);
  p->memory = memory;
  rpi_view_init(&p->views);
  *out = p;
  return RP_OK;
}

static void pool_free(rpi_pool *p) {
  for (int32_t i = 0; i < p->n_buffer_slabs; i++) rpi_alloc_free(p->buffer_slab[i]);
  for (int32_t i = 0; i < p->n_store_slabs; i++) rpi_alloc_free(p->store_slab[i]);
  rpi_alloc_free(p->buffer_slab);
  rpi_alloc_free(p->store_slab);
  pthread_mutex_destroy(&p->closed);
  rpi_alloc_free(p->free_instances);
  rpi_view_deinit(&p->views);
  rpi_alloc_free(p);
}

/* Instances go now, whoever still holds a handle: their memory ends with the context. */
static void drop_instances(rpi_pool *p, rpi_buffer *b) {
  if (b->home) rpi_lent_forget(b);
  if (b->spare) rpi_store_instance_release(p, b->spare);
  if (b->inst) rpi_store_instance_release(p, b->inst);
  b->home = b->spare = b->inst = NULL;
}

static void release_waiting(rp_store *s) {
  for (int32_t n = atomic_exchange_explicit(&s->queued, 0, memory_order_acq_rel); n > 0; n--)
    rpi_store_release(s);
}

void rpi_store_pool_empty(rpi_pool *p) {
  /* The counters that `unread` points to went with the context. */
  for (int32_t s = 0; s < p->n_buffer_slabs; s++)
    for (int32_t i = 0; i < RPI_POOL_SLAB; i++) p->buffer_slab[s][i].unread = NULL;
  rpi_store_release_queued(p);
  for (int32_t s = 0; p->weighs && s < p->n_store_slabs; s++)
    for (int32_t i = 0; i < RPI_POOL_SLAB; i++) release_waiting(&p->store_slab[s][i]);
  for (int32_t s = 0; s < p->n_buffer_slabs; s++)
    for (int32_t i = 0; i < RPI_POOL_SLAB; i++) rpi_store_kept_trim(&p->buffer_slab[s][i], 0);
  while (p->free_kept) {
    rpi_kept *k = p->free_kept;
    p->free_kept = k->next;
    rpi_alloc_free(k);
  }
  /* What is foreign goes back to its owner, so the GPU must have done with it. A failed one has. */
  if (p->device && p->attached) (void)rpi_device_wait(p->device);
  for (int32_t s = 0; s < p->n_buffer_slabs; s++)
    for (int32_t i = 0; i < RPI_POOL_SLAB; i++)
      if (p->buffer_slab[s][i].tensors == 0) drop_instances(p, &p->buffer_slab[s][i]);
  rpi_lent_tell_all(p);
}

/* No tensor is left: what their memory came from goes. */
static void end_memory(rpi_pool *p) {
  for (int32_t i = 0; i < p->n_free_instances; i++) rpi_alloc_free(p->free_instances[i]);
  p->n_free_instances = 0;
  if (p->device) rpi_device_close(p->device);
  if (p->memory) rpi_memory_destroy(p->memory);
  p->device = NULL;
  p->memory = NULL;
}

/* Under the lock of a closed pool: nobody needs it any more. */
static bool is_unused(rpi_pool *p) {
  if (p->tensors == 0) end_memory(p);
  return p->live_stores == 0 && atomic_load(&p->entering) == 0;
}

void rpi_store_pool_close(rpi_pool *p) {
  pthread_mutex_lock(&p->closed);
  atomic_store(&p->ctx, NULL);
  rpi_store_release_queued(p);
  const bool unused = is_unused(p);
  rpi_owner *due = p->due;
  p->due = NULL;
  pthread_mutex_unlock(&p->closed);
  rpi_lent_tell(due);
  if (unused) pool_free(p);
}

/* ---- views ---- */

void rpi_store_views_trim(rpi_pool *p) {
  bool *used = rpi_alloc_zero((size_t)p->views.n + 1);
  if (!used) return;
  for (int32_t s = 0; s < p->n_store_slabs; s++)
    for (int32_t i = 0; i < RPI_POOL_SLAB; i++)
      if (p->store_slab[s][i].magic == RPI_MAGIC_STORE ||
          p->store_slab[s][i].magic == RPI_MAGIC_UNBOUND)
        used[p->store_slab[s][i].view_id] = true;
  for (int32_t s = 0; s < p->n_buffer_slabs; s++)
    for (int32_t i = 0; i < RPI_POOL_SLAB; i++) {
      rpi_buffer *b = &p->buffer_slab[s][i];
      b->unread = NULL;
      if (b->app_refs + b->run_refs > 0) used[b->base->id] = true;
    }
  p->last_dense = NULL;
  rpi_view_trim(&p->views, used);
  rpi_alloc_free(used);
}

/* The whole array: the view of the last create is the usual answer. */
static const rpi_view *dense_view(rpi_pool *p, rp_dtype dtype, int32_t ndim, const int64_t *shape) {
  const rpi_view *v = p->last_dense;
  if (v && v->dtype == dtype && v->bdim == ndim) {
    bool same = true;
    for (int32_t d = 0; d < ndim; d++) same = same && v->bshape[d] == shape[d];
    if (same) return v;
  }
  rpi_geom g;
  rpi_geom_dense(ndim, shape, &g);
  v = rpi_view_get(&p->views, dtype, ndim, shape, &g);
  if (v) p->last_dense = v;
  return v;
}

/* ---- records from slabs ---- */

/* A slab of records, and room for it in the list of `n`; NULL and a status message when out of
 * memory. */
static void *slab(size_t record, void **list, int32_t n, int32_t *cap) {
  void *s = rpi_alloc_zero(record * RPI_POOL_SLAB);
  if (s && rpi_alloc_grow(list, cap, n + 1, sizeof s)) return s;
  rpi_alloc_free(s);
  rpi_status_nomem("store records");
  return NULL;
}

static rp_store *store_get(rpi_pool *p) {
  if (RPI_UNLIKELY(!p->free_stores)) {
    void *list = p->store_slab;
    rp_store *s = slab(sizeof *s, &list, p->n_store_slabs, &p->cap_store_slabs);
    if (!s) return NULL;
    p->store_slab = list;
    p->store_slab[p->n_store_slabs++] = s;
    for (int32_t i = 0; i < RPI_POOL_SLAB; i++) {
      s[i].index = (p->n_store_slabs - 1) * RPI_POOL_SLAB + i;
      s[i].next = p->free_stores;
      p->free_stores = &s[i];
    }
  }
  rp_store *s = p->free_stores;
  p->free_stores = s->next;
  return s;
}

static rpi_buffer *buffer_get(rpi_pool *p) {
  if (RPI_UNLIKELY(!p->free_buffers)) {
    void *list = p->buffer_slab;
    rpi_buffer *b = slab(sizeof *b, &list, p->n_buffer_slabs, &p->cap_buffer_slabs);
    if (!b) return NULL;
    p->buffer_slab = list;
    p->buffer_slab[p->n_buffer_slabs++] = b;
    for (int32_t i = 0; i < RPI_POOL_SLAB; i++) {
      b[i].pool = p;
      b[i].next = p->free_buffers;
      p->free_buffers = &b[i];
    }
  }
  rpi_buffer *b = p->free_buffers;
  p->free_buffers = b->next;
  return b;
}

static void store_init(rp_store *s, rpi_buffer *b, const rpi_view *v) {
  s->magic = RPI_MAGIC_STORE;
  s->view_id = v->id;
  s->view = v;
  s->buf = b;
  s->refs = 1;
  s->readonly_view = !v->injective;
  s->ctx = b->pool->ctx;
  b->app_refs++;
  b->pool->live_stores++;
}

rp_status rpi_store_new(rpi_pool *p, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                        rp_store **out) {
  *out = NULL;
  const rpi_view *v = dense_view(p, dtype, ndim, shape);
  return v ? rpi_store_make(p, v, out) : RP_ERR_MEMORY;
}

rp_status rpi_store_make(rpi_pool *p, const rpi_view *v, rp_store **out) {
  *out = NULL;
  rpi_buffer *b = buffer_get(p);
  rp_store *s = b ? store_get(p) : NULL;
  if (!s) {
    if (b) {
      b->next = p->free_buffers;
      p->free_buffers = b;
    }
    return RP_ERR_MEMORY;
  }
  b->base = v; /* everything else of a free buffer is as it should be */
  p->live_buffers++;
  if (p->weighs) p->live_bytes += rpi_store_bytes(b);
  b->number = ++p->numbers;
  b->version = ++p->versions;
  store_init(s, b, v);
  *out = s;
  return RP_OK;
}

rp_status rpi_store_derive(rp_store *s, const rpi_geom *geom, rp_store **out) {
  *out = NULL;
  rpi_buffer *b = s->buf;
  const rpi_view *v =
      rpi_view_get(&b->pool->views, b->base->dtype, b->base->bdim, b->base->bshape, geom);
  if (!v) return RP_ERR_MEMORY;
  rp_store *d = store_get(b->pool);
  if (!d) return RP_ERR_MEMORY;
  store_init(d, b, v);
  *out = d;
  return RP_OK;
}

void rpi_store_reshape(rp_store *s, const rpi_view *whole) {
  s->buf->base = s->view = whole;
  s->view_id = whole->id;
}

void rpi_store_release(rp_store *s) {
  if (--s->refs > 0) return;
  if (RPI_UNLIKELY(s->made != NULL)) rpi_store_release(s->made);
  s->made = NULL;
  if (RPI_UNLIKELY(s->tensor != NULL)) rpi_lent_unpin(s);
  rpi_buffer *b = s->buf;
  rpi_pool *p = b->pool;
  s->magic = RPI_MAGIC_DEAD;
  s->next = p->free_stores;
  p->free_stores = s;
  p->live_stores--;
  if (--b->app_refs == 0 && b->run_refs == 0)
    rpi_store_buffer_drop(b);
  else if (RPI_UNLIKELY(!p->ctx && b->tensors == 0))
    drop_instances(p, b); /* a tensor had kept them beyond their context */
}

void rpi_store_release_queued(rpi_pool *p) {
  rp_store *s = atomic_exchange_explicit(&p->released, NULL, memory_order_acquire);
  while (s) {
    rp_store *next = s->next;
    release_waiting(s);
    s = next;
  }
}

rp_store *rpi_store_unqueue(rpi_pool *p) {
  return atomic_exchange_explicit(&p->released, NULL, memory_order_acquire);
}

void rpi_store_waiting(rpi_pool *p, uint64_t *word) {
  for (int32_t s = 0; s < p->n_store_slabs; s++) {
    word[s] = 0;
    for (int32_t i = 0; i < RPI_POOL_SLAB; i++)
      if (atomic_load_explicit(&p->store_slab[s][i].queued, memory_order_acquire) > 0)
        word[s] |= UINT64_C(1) << i;
  }
}

void rpi_store_queue(rp_store *s) {
  rpi_pool *p = s->buf->pool;
  rp_store *head = atomic_load_explicit(&p->released, memory_order_relaxed);
  do {
    s->next = head;
  } while (!atomic_compare_exchange_weak(&p->released, &head, s));
}

/* A handle enters the queue with its first waiting release, so that its link is used once; who empties the
 * queue releases the link to the next who finds no release waiting. */
void rpi_store_release_later(rp_store *s) {
  rpi_pool *p = s->buf->pool;
  atomic_fetch_add(&p->entering, 1); /* while the handle still keeps the pool */
  if (atomic_fetch_add_explicit(&s->queued, 1, memory_order_acq_rel) == 0) rpi_store_queue(s);
  if (atomic_load(&p->ctx)) {
    atomic_fetch_sub(&p->entering, 1);
    return;
  }
  pthread_mutex_lock(&p->closed);
  rpi_store_release_queued(p);
  atomic_fetch_sub(&p->entering, 1);
  const bool unused = is_unused(p);
  rpi_owner *due = p->due;
  p->due = NULL;
  pthread_mutex_unlock(&p->closed);
  rpi_lent_tell(due);
  if (unused) pool_free(p);
}

/* ---- what buffers keep */

rpi_kept *rpi_store_keep(rpi_buffer *b) {
  rpi_pool *p = b->pool;
  rpi_kept *k = p->free_kept;
  if (k)
    p->free_kept = k->next;
  else if (!(k = rpi_alloc(sizeof *k)))
    return NULL;
  *k = (rpi_kept){.next = b->kept};
  b->kept = k;
  return k;
}

void rpi_store_kept_trim(rpi_buffer *b, int32_t n) {
  rpi_kept **at = &b->kept;
  while (n-- > 0 && *at) at = &(*at)->next;
  while (*at) {
    rpi_kept *k = *at;
    *at = k->next;
    for (int32_t i = 0; i < RPI_KEPT_STORES; i++)
      if (k->store[i]) rpi_store_release(k->store[i]);
    k->next = b->pool->free_kept;
    b->pool->free_kept = k;
  }
}

void rpi_store_buffer_drop(rpi_buffer *b) {
  rpi_pool *p = b->pool;
  if (RPI_UNLIKELY(b->kept)) rpi_store_kept_trim(b, 0);
  if (b->home) rpi_lent_forget(b);
  if (b->spare) rpi_store_instance_release(p, b->spare);
  if (b->inst) rpi_store_instance_release(p, b->inst);
  if (b->poison) rpi_store_poison(b, NULL);
  if (b->unread && b->base->bsize > 1) ++*b->unread;
  b->home = b->spare = b->inst = NULL;
  b->unread = NULL;
  b->klass = 0;
  b->place = RPI_PLACE_WHOLE;
  b->whole = false;
  b->turns = 0;
  b->theirs = false;
  b->spare_place = RPI_PLACE_WHOLE;
  b->spare_tag = 0;
  b->range_version = 0;
  p->live_buffers--;
  if (p->weighs) p->live_bytes -= rpi_store_bytes(b);
  b->next = p->free_buffers;
  p->free_buffers = b;
}

/* ---- instances ---- */

static rpi_instance *instance_record(rpi_pool *p) {
  if (p->n_free_instances > 0) return p->free_instances[--p->n_free_instances];
  return rpi_alloc_zero(sizeof(rpi_instance));
}

rpi_instance *rpi_store_instance(rpi_pool *p, int64_t bytes, const rpi_instance *like) {
  rpi_instance *i = instance_record(p);
  if (!i) {
    rpi_status_nomem("instance");
    return NULL;
  }
  *i = (rpi_instance){.bytes = bytes, .refs = 1, .held.hi = p->parts ? 0 : bytes};
  p->made++;
  if (p->device) return i;
  i->data = rpi_memory_get(p->memory, (size_t)bytes, like ? like->data : NULL);
  i->valid = RPI_AT_HOST;
  if (i->data) return i;
  rpi_alloc_free(i);
  return NULL;
}

void rpi_store_instance_release(rpi_pool *p, rpi_instance *i) {
  if (--i->refs > 0) return;
  if (RPI_UNLIKELY(i->foreign)) rpi_lent_done(p, i);
  i->pinned = 0;
  rpi_residence_leave(p, i);
  if (p->memory) rpi_memory_put(p->memory, i->data, (size_t)i->bytes);
  void *list = (void *)p->free_instances;
  if (p->memory && rpi_alloc_grow(&list, &p->cap_free_instances, p->n_free_instances + 1,
                                  sizeof *p->free_instances)) {
    p->free_instances = list;
    p->free_instances[p->n_free_instances++] = i;
  } else {
    rpi_alloc_free(i);
  }
}

void rpi_store_part(const rpi_buffer *b, int64_t *lo, int64_t *hi) {
  *lo = 0;
  *hi = b->base->bsize;
  if (b->place < RPI_PLACE_TILED) return;
  rpi_tiling_hull(rpi_store_tiling(b), b->pool->rank, lo, hi);
}

/* The elements of a box that has its innermost axis in runs. */
static void copy_box(char *to, const char *from, const rpi_geom *g, int64_t elem, int32_t axis,
                     int64_t at) {
  const int64_t n = g->shape[axis];
  if (axis == g->ndim - 1)
    memcpy(to + at * elem, from + at * elem, (size_t)(n * elem));
  else
    for (int64_t i = 0; i < n; i++) copy_box(to, from, g, elem, axis + 1, at + i * g->stride[axis]);
}

/* What this rank holds, and no more: memory that is not touched does not exist. */
static void copy_held(const rpi_buffer *b, char *to, const char *from) {
  const int64_t elem = rpi_dtype_size(b->base->dtype);
  int64_t lo, hi;
  rpi_geom tile;
  rpi_store_part(b, &lo, &hi);
  if (b->place < RPI_PLACE_TILED || rpi_tiling_is_line(rpi_store_tiling(b)))
    tile = (rpi_geom){.ndim = 1, .offset = lo, .shape = {hi - lo}, .stride = {1}};
  else if (!rpi_tiling_box(rpi_store_tiling(b), b->pool->rank, &tile))
    return;
  if (lo < hi) copy_box(to, from, &tile, elem, 0, tile.offset);
}

/* Of an array that ranks share only this rank's part is copied: whoever asks for this writes then, and what came of
 * others' parts is old. */
rp_status rpi_store_own(rpi_buffer *b, bool keep) {
  rpi_instance *old = b->inst;
  if (old && old->refs == 1 + (old == b->home)) return RP_OK;
  int64_t bytes = rpi_store_bytes(b);
  rpi_instance *own = rpi_store_instance(b->pool, bytes, old);
  if (!own) return RP_ERR_MEMORY;
  rp_status st = RP_OK;
  if (keep && old && b->place >= RPI_PLACE_TILED && !b->pool->device)
    copy_held(b, own->data, old->data);
  else if (keep && old)
    st = rpi_residence_copy(b->pool, own, old);
  else if (keep)
    st = rpi_residence_zero(b->pool, own);
  if (st != RP_OK) {
    rpi_store_instance_release(b->pool, own);
    return st;
  }
  if (old) rpi_store_instance_release(b->pool, old);
  b->inst = own;
  return RP_OK;
}

rp_status rpi_store_unshare(rpi_pool *p, rpi_instance *i, int32_t refs) {
  for (int32_t s = 0; s < p->n_buffer_slabs && i->refs > refs; s++)
    for (int32_t k = 0; k < RPI_POOL_SLAB && i->refs > refs; k++) {
      rpi_buffer *b = &p->buffer_slab[s][k];
      if (b->home == i) continue;
      if (b->spare == i) {
        rpi_store_instance_release(p, b->spare);
        b->spare = NULL;
        b->spare_tag = 0;
      }
      if (b->inst == i) RPI_TRY(rpi_store_own(b, true));
    }
  return RP_OK;
}

void rpi_store_touch(rpi_buffer *b) {
  b->version = ++b->pool->versions;
  b->spare_tag = 0;
  b->unread = NULL;
  if (b->poison) rpi_store_poison(b, NULL);
}

/* Poison without memory for its reason is poison all the same. */
static char no_reason[] = "an index was out of range (no memory for the place)";

void rpi_store_poison(rpi_buffer *b, const char *why) {
  if (b->poison) {
    if (b->poison != no_reason) rpi_alloc_free(b->poison);
    b->pool->n_poisoned--;
  }
  b->poison = why ? rpi_alloc_string(why) : NULL;
  if (why && !b->poison) b->poison = no_reason;
  if (b->poison) b->pool->n_poisoned++;
}
