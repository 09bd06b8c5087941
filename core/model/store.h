/* SPDX-License-Identifier: Apache-2.0
 * core/model/store.h -- stores (handles), buffers (arrays), instances.
 *
 * Lives here: the three records, their counts, and the pool of a context that makes them.
 * Not here:   views (view.h), what tasks do to them (trace/), entry points (bindings/c).
 *
 *   rp_store ──► rpi_view          (dtype, geometry, the buffer's shape: interned, an id each)
 *      │
 *      └───────► rpi_buffer ──► rpi_instance   (one piece of memory, shared copy-on-write)
 *
 * Invariants: a buffer lives while a handle (app_refs) or a segment (run_refs) holds it; an instance
 *             while a buffer holds it. A buffer without instance holds zeros. Counts are plain
 *             integers: a context belongs to one thread at a time. A released handle's magic is
 *             cleared, so that a stale use is seen. */
#ifndef RPI_STORE_H
#define RPI_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/device/device.h"
#include "core/exec/memory.h"
#include "core/model/tiling.h"
#include "core/model/dtype.h"
#include "core/model/geom.h"
#include "core/model/hull.h"
#include "core/model/view.h"

enum {
  RPI_MAGIC_STORE = 0x52505331,
  RPI_MAGIC_UNBOUND = 0x52505531, /* a store whose size is not known yet */
  RPI_MAGIC_CONTEXT = 0x52504331,
  RPI_MAGIC_OP = 0x52504f31,
  RPI_MAGIC_LIBRARY = 0x52504c31,
  RPI_MAGIC_DEAD = 0x52504430
};

enum { RPI_AT_HOST = 1, RPI_AT_DEVICE = 2 };

typedef struct rpi_instance {
  void *data;            /* on the host; NULL: no memory there */
  CUdeviceptr device;    /* on the GPU; 0: no memory there */
  rpi_device_span *span; /* there: memory for a part of it; NULL: for all */
  int64_t bytes;
  int32_t refs;
  uint8_t valid; /* RPI_AT_ bits: where its values are */
  uint8_t
      pinned; /* RPI_AT_ bits: others know its address there, so it stays until the instance goes (lent.h) */
  bool foreign; /* memory that is pinned is not ours: never freed, never given to another buffer */
  bool home;    /* it is some buffer's home, */
  bool unaligned;          /* which begins on the GPU at no multiple of 16 bytes */
  int32_t pins;            /* what pins it: tensors that others hold, and 1 if it is foreign */
  uint64_t used;           /* the pool's turn in which the GPU used it last */
  int64_t theirs;          /* of a home on the GPU: the stream whose turn it is; 0: none's */
  struct rpi_owner *owner; /* of foreign memory: told when the instance goes; NULL: nobody asks */
  struct rpi_instance *newer,
      *older;    /* of those with memory on the GPU that is ours, by last use */
  rpi_hull held; /* of several ranks with GPUs: the bytes that mean something here; else all */
  bool zeros;    /* what lies around them is 0; else it means nothing */
} rpi_instance;

/* Whoever lent memory to us wants to hear when we have done with it. */
typedef struct rpi_owner {
  struct rpi_owner *next; /* of those who are to be told */
  void (*let_go)(void *arg);
  void *arg;
} rpi_owner;

/* A store's memory as a tensor that others hold; which side of it that is, and what comes before its reuse. */
typedef struct rpi_tensor {
  struct rp_store *store; /* a handle of its own: the tensor lives as long */
  uint8_t side;
  int64_t
      stream; /* of a GPU: what the holder does to it goes there; RPI_STREAM_NONE: nothing is left */
  void *abi;  /* what the holder was given (trace/tensor.c), freed with it */
} rpi_tensor;

enum {
  RPI_CLASS_READ_ONLY = 1,
  RPI_CLASS_UNALIGNED = 2 /* memory on the GPU does not begin at a multiple of 16 bytes */
};

/* Where a buffer's values are valid, with several ranks: WHOLE: on each, all of them; PINNED: the same, and it stays
 * so; TILED + k: on each, those of its own range by the k-th cuts of the context (trace/distribute.h). */
enum { RPI_PLACE_WHOLE, RPI_PLACE_PINNED, RPI_PLACE_TILED };

/* Stores that hold what was computed from a buffer's values, and which values those were. Kept by the buffer, and goes
 * with it. */
enum { RPI_KEPT_STORES = RP_MAX_DIM + 4, RPI_KEPT_INPUTS = 4, RPI_KEPT_NAME = 4 };
typedef struct rpi_kept {
  struct rpi_kept *next; /* of the buffer, last used first; of the pool's free ones */
  uint64_t name[RPI_KEPT_NAME];
  struct rpi_buffer *input[RPI_KEPT_INPUTS]; /* only compared */
  uint64_t version[RPI_KEPT_INPUTS];         /* of the inputs; 0: of none */
  uint64_t before; /* version of what the stores held before they were written last */
  struct rp_store *store[RPI_KEPT_STORES]; /* NULL: none */
} rpi_kept;

typedef struct rpi_buffer {
  uint64_t stamp; /* number of the segment that bound it last, and its slot there */
  uint32_t slot;
  uint32_t klass; /* RPI_CLASS_ bits: part of every segment's key */
  uint32_t place; /* RPI_PLACE_ */
  int32_t app_refs;
  int32_t run_refs;
  rpi_instance *inst;
  const rpi_view *base;
  rpi_instance *spare;  /* the instance before the last renaming, kept for the next */
  uint64_t spare_tag;   /* names what the spare lacks against `inst`; 0: unknown */
  uint32_t spare_place; /* where else it is valid */
  bool whole;           /* all ranks needed all of it before: a host write leaves it so */
  uint8_t turns;        /* between rows and boxes that it has moved */
  bool
      theirs; /* in a crew's first context: it is the turn of who lent the home, so followers have old values */
  rpi_instance *home; /* attached: memory that others use between tasks (lent.h) */
  int32_t tensors;    /* handles of tensors on it */
  int64_t *unread;    /* counts outputs that die unread, for who wrote this one; NULL: was read */
  uint64_t number;    /* of all that its pool made, from 1 on: the same on all ranks */
  uint64_t version;   /* a new one of the pool with every write: names the contents */
  uint64_t range_version; /* version + 1 for which range_lo/hi hold; 0: never computed */
  int64_t range_lo, range_hi;
  rpi_kept *kept;
  char *poison;            /* why its data must not be read; NULL: sound */
  struct rpi_buffer *next; /* free list, or the list of attached buffers */
  struct rpi_pool *pool;
} rpi_buffer;

struct rp_store {
  uint32_t magic;
  uint32_t view_id;
  rpi_buffer *buf;
  const rpi_view *view;
  int32_t refs;
  int32_t readonly_view; /* broadcast: not injective */
  rp_context *ctx;
  rp_store
      *made; /* unbound: gets what its writer made (trace/unbound.h); NULL: not written, or bound */
  rpi_tensor *tensor;     /* the tensor whose handle this is; NULL: an ordinary one */
  rp_store *next;         /* free list, or the queue of releases */
  _Atomic int32_t queued; /* releases that wait in the queue */
  int32_t index;          /* of the record, in its pool */
};

enum { RPI_POOL_SLAB = 64 };

/* What all records of a context are made from; outlives the context while handles are held. */
typedef struct rpi_pool {
  _Atomic(rp_context *) ctx;    /* NULL once the context is destroyed */
  _Atomic(rp_store *) released; /* queue of rp_store_release_any */
  _Atomic int64_t
      entering;           /* threads between their entry into it and their last look at the pool */
  pthread_mutex_t closed; /* serialises releases after that */
  rpi_memory *memory;
  rpi_device *device;            /* NULL: no GPU */
  rpi_instance *newest, *oldest; /* with memory there, by last use */
  uint64_t turn;                 /* of plans that bind memory there */
  bool parts;      /* the context is one of several ranks, with a GPU: instances are held in part */
  int64_t spilled; /* instances that left it because it was full */
  int64_t made;    /* instances ever */
  rpi_buffer *free_buffers;
  rp_store *free_stores;
  rpi_kept *free_kept;
  rpi_instance **free_instances;
  int32_t n_free_instances, cap_free_instances;
  rpi_views views;
  const rpi_view *last_dense; /* of the last create: the usual answer of the next */
  rpi_buffer *attached;
  rpi_owner *due; /* owners of memory that we have done with */
  int64_t live_stores, live_buffers;
  int64_t tensors;    /* that others hold */
  int64_t live_bytes; /* if weighs */
  bool weighs;
  uint64_t versions;         /* given out */
  uint64_t numbers;          /* the same, of buffers */
  rpi_tiling *const *tiling; /* with several ranks: the context's tilings, */
  int32_t rank;              /* and which of the ranks this is */
  int32_t n_poisoned;
  rpi_buffer **buffer_slab; /* RPI_POOL_SLAB records each */
  int32_t n_buffer_slabs, cap_buffer_slabs;
  rp_store **store_slab;
  int32_t n_store_slabs, cap_store_slabs;
} rpi_pool;

rp_status rpi_store_pool_create(rp_context *ctx, rpi_memory *memory, rpi_pool **out);
/* The context goes: instances are freed but for those of tensors that others hold. */
void rpi_store_pool_empty(rpi_pool *p);
/* The context has gone, and memory and device are the pool's, which ends them with the last tensor. Views and handles stay until
 * the last handle is released. */
void rpi_store_pool_close(rpi_pool *p);

/* Nobody outside the pool holds a view or its id any more: frees those without a store or buffer. Also forgets
 * who waits for unread outputs (rpi_buffer.unread). */
void rpi_store_views_trim(rpi_pool *p);
/* A new array of zeros and a handle on the whole of it. */
rp_status rpi_store_new(rpi_pool *p, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                        rp_store **out);
/* The same for an interned view of a whole array. */
rp_status rpi_store_make(rpi_pool *p, const rpi_view *whole, rp_store **out);
/* The only handle of a buffer, and the buffer, get another shape; what the buffer holds is the caller's affair. */
void rpi_store_reshape(rp_store *s, const rpi_view *whole);
/* A new handle on `s`'s buffer with another geometry. */
rp_status rpi_store_derive(rp_store *s, const rpi_geom *geom, rp_store **out);
void rpi_store_release(rp_store *s);
/* From any thread: queues one release; on a closed pool it is done at once. */
void rpi_store_release_later(rp_store *s);
/* Puts a handle that is not in the queue into it. */
void rpi_store_queue(rp_store *s);
/* The context's thread: does the queued releases. May free a closed pool. */
void rpi_store_release_queued(rpi_pool *p);
/* The same thread, where releases are not done as they come: empties the queue, whose handles are then known by
 * `queued` alone. Returns the first, with the others behind it. */
rp_store *rpi_store_unqueue(rpi_pool *p);
/* After that: one word for each slab of handles, with a bit for each whose releases wait. */
void rpi_store_waiting(rpi_pool *p, uint64_t *word);
/* Drops a segment's reference / the buffer when nobody holds it. */
void rpi_store_buffer_drop(rpi_buffer *b);
static inline void rpi_store_buffer_unbind(rpi_buffer *b) {
  if (--b->run_refs == 0 && b->app_refs == 0) rpi_store_buffer_drop(b);
}

/* An instance for `bytes` (contents undefined), counted once; NULL when out of memory. It is laid out like
 * `like`, one of the same buffer, if there is one. With a GPU it has no memory yet (residence.h). */
rpi_instance *rpi_store_instance(rpi_pool *p, int64_t bytes, const rpi_instance *like);
void rpi_store_instance_release(rpi_pool *p, rpi_instance *i);
/* Gives `b` an instance of its own that holds its values (zeros if it had none); with `keep` false
 * the contents may be anything. */
rp_status rpi_store_own(rpi_buffer *b, bool keep);
/* Buffers of the pool other than its owner that share instance `i` get copies (it has `refs`
 * references of its owner's). */
rp_status rpi_store_unshare(rpi_pool *p, rpi_instance *i, int32_t refs);
/* The buffer was written by the host or outside a plan's own bookkeeping. */
void rpi_store_touch(rpi_buffer *b);
void rpi_store_poison(rpi_buffer *b, const char *why); /* NULL clears */
static inline int64_t rpi_store_bytes(const rpi_buffer *b) {
  return b->base->bsize * rpi_dtype_size(b->base->dtype);
}

/* A new record in front of those that the buffer keeps; NULL without memory. */
rpi_kept *rpi_store_keep(rpi_buffer *b);
/* Lets go of all but the first n. */
void rpi_store_kept_trim(rpi_buffer *b, int32_t n);

/* How a buffer whose place is a tiling is shared out. */
static inline const rpi_tiling *rpi_store_tiling(const rpi_buffer *b) {
  return &(*b->pool->tiling)[b->place - RPI_PLACE_TILED];
}
/* The elements lo..hi-1 of the buffer that this rank holds; of a tile that is no range, from its first to its last. */
void rpi_store_part(const rpi_buffer *b, int64_t *lo, int64_t *hi);

/* Copies between a dense host array and the elements of `geom` in `data`, as far as they are elements lo..hi-1 of the
 * buffer. */
void rpi_store_pack(const void *data, const rpi_geom *geom, int32_t elem, void *host, int64_t lo,
                    int64_t hi);
void rpi_store_unpack(void *data, const rpi_geom *geom, int32_t elem, const void *host, int64_t lo,
                      int64_t hi);
/* The same for n of its elements, from the from-th in C order on; unpack from NULL writes zeros. */
void rpi_store_pack_part(const void *data, const rpi_geom *geom, int32_t elem, int64_t from,
                         int64_t n, void *host);
void rpi_store_unpack_part(void *data, const rpi_geom *geom, int32_t elem, int64_t from, int64_t n,
                           const void *host);

#endif
