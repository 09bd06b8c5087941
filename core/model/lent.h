/* SPDX-License-Identifier: Apache-2.0
 * core/model/lent.h -- memory that others use beside us: theirs, which they lent to a store, and ours, which they hold.
 *
 * Lives here: homes, pins and owners, on the host and on a GPU.
 * Not here:   what must have run before (trace/lending.h), DLPack (trace/tensor.h).
 * How:        memory that both sides write is a buffer's *home*: an instance pinned on one side, to which rpi_lent_home brings
 *             the values whenever others are to see them. In between tasks do with it what they do with any instance: they
 *             write in place, or rename and leave it stale. Memory that others only read needs none of this: who holds it has a
 *             reference of its own (a hidden buffer's), so nobody writes it while it is shared, and it is pinned.
 * Invariants: a home is pinned on exactly one side; no hidden buffer has an instance that is another's home. An instance is
 *             pinned while `pins` > 0. A buffer with a home is in the pool's list.
 * Threads:    the context's. Only the release of a tensor comes from any (store.h, rpi_store_release_later). */
#ifndef RPI_LENT_H
#define RPI_LENT_H

#include "core/model/store.h"

/* A dense array that others lend. */
typedef struct rpi_lent_array {
  rp_dtype dtype;
  int32_t ndim;
  int64_t shape[RP_MAX_DIM];
  void *data;         /* on the host, or */
  CUdeviceptr device; /* on the GPU */
  bool readonly;
  bool shares; /* it may overlap what is attached for reading, if it is so itself */
} rpi_lent_array;
/* A new buffer with this memory as its home, whose owner may be set then. RP_ERR_ACCESS: it overlaps what is attached already. */
rp_status rpi_lent_attach(rpi_pool *p, const rpi_lent_array *a, rp_store **out);
/* The side of a home. */
static inline uint8_t rpi_lent_side(const rpi_buffer *b) { return b->home->pinned; }

/* The home holds the values and is the buffer's instance, which no other buffer shares if others may write it. */
rp_status rpi_lent_home(rpi_buffer *b);
/* After that: the values move to memory of our own, and the buffer has no home. */
rp_status rpi_lent_leave(rpi_buffer *b);
/* The buffer's own memory on that side becomes its home, with its values. It has none yet. Who asks for this pins it next. */
rp_status rpi_lent_settle(rpi_buffer *b, uint8_t side);
/* The buffer's instance holds its values on that side, and is nobody's home, so that a hidden buffer may share it. */
rp_status rpi_lent_share(rpi_buffer *b, uint8_t side);

/* `t` holds the memory of its store's buffer: its home, or its instance. */
void rpi_lent_pin(rpi_tensor *t);
/* The handle of a tensor goes: its memory is ours alone again, behind what the stream has by now. Frees the tensor. */
void rpi_lent_unpin(rp_store *s);
/* The buffer has no home any more, whose values nobody asks for. */
void rpi_lent_forget(rpi_buffer *b);
/* An instance goes that is foreign: its memory is taken out of it, and its owner will be told. */
void rpi_lent_done(rpi_pool *p, rpi_instance *i);
/* Tells the owners in the list. They may call what is allowed from any thread. */
void rpi_lent_tell(rpi_owner *due);
/* The same for those of the pool. */
static inline void rpi_lent_tell_all(rpi_pool *p) {
  if (RPI_LIKELY(!p->due)) return;
  rpi_owner *due = p->due;
  p->due = NULL;
  rpi_lent_tell(due);
}

#endif
