/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/follow.h -- what the entry points of a context that others follow say to these: a record for each call.
 *
 * Lives here: the records, and the functions by which entry points write them.
 * Not here:   the ring and the threads (crew.h), what followers do (follower.h).
 * How:        handles are named by the index of their record in the pool of the program's context; each follower has a
 *             table from there to its own. What only makes handles is told when it has been done, with the index of what
 *             it made; what may run tasks, and so exchange messages, is told before (follow.def). Small values travel in
 *             the record; of large ones, and of rare calls' arguments, the record has the program's addresses, and the call
 *             does not return before all followers have used them. It does not either where functions of opaque ops
 *             have run, so that what they look at in the program's memory is theirs until then.
 * Invariants: after a call is told, all followers do it as the program's context does. A call that is refused because of
 *             its handles is not told. */
#ifndef RPI_FOLLOW_H
#define RPI_FOLLOW_H

#include "bindings/c/crew.h"
#include "core/model/lent.h"

typedef enum rpi_follow_rule {
  RPI_FOLLOW_AFTER,
  RPI_FOLLOW_ALIKE,
  RPI_FOLLOW_AGREED
} rpi_follow_rule;

typedef enum rpi_follow_kind {
  RPI_FOLLOW_FIRST = RPI_CREW_KINDS - 1,
#define RPI_FOLLOW(kind, function, rule) RPI_FOLLOW_##kind,
#include "bindings/c/follow.def"
#undef RPI_FOLLOW
  RPI_N_FOLLOW
} rpi_follow_kind;

/* ---- payloads; handles and ops are numbers of the program's context, -1: none ---- */

typedef struct rpi_follow_array { /* CREATE, UNBOUND; arg: the store made */
  rp_dtype dtype;
  int32_t ndim;
  int64_t shape[RP_MAX_DIM]; /* of an unbound one, of a row */
} rpi_follow_array;

typedef struct rpi_follow_geom { /* VIEW, READ, WRITE; arg: the store, or the view made */
  int32_t of;                    /* VIEW */
  rpi_geom geom;
  const void *data; /* WRITE: the program's; NULL: the values are behind this */
  uint64_t value[];
} rpi_follow_geom;

typedef struct rpi_follow_op { /* OP; arg: the op made */
  const char *library, *name, *params, *body;
} rpi_follow_op;

typedef struct rpi_follow_opaque { /* OPAQUE */
  const char *library;
  const rp_opaque_desc *desc;
} rpi_follow_opaque;

typedef struct rpi_follow_launch { /* arg: the op */
  uint64_t made;                   /* a bit for each store that the launch makes, too */
  int32_t n_stores, n_scalars;
  uint64_t value[]; /* the scalars, then the stores as int32_t */
} rpi_follow_launch;

typedef struct rpi_follow_repeat { /* arg: the store that is looked at */
  int64_t trace, most;
} rpi_follow_repeat;

typedef struct rpi_follow_attach { /* arg: the store made */
  rpi_lent_array array;            /* .data is the program's */
  bool viewed;                     /* the store made is a view of it, */
  rpi_geom geom;                   /* so */
} rpi_follow_attach;

typedef struct rpi_follow_export { /* arg: the store */
  rp_export_desc desc;
  bool legacy;
} rpi_follow_export;

typedef struct rpi_follow_files { /* CHECKPOINT, RESTORE; arg: how many */
  const char *path;
  const char *const *names;
  rp_store *const *stores; /* the program's */
} rpi_follow_files;

/* ---- telling; the context has followers, and has been entered ---- */

void rpi_follow_create(rp_context *ctx, rpi_follow_kind kind, rp_dtype dtype, int32_t ndim,
                       const int64_t *shape, const rp_store *made);
void rpi_follow_view(rp_context *ctx, const rp_store *of, const rpi_geom *g, const rp_store *made);
void rpi_follow_op_made(const rp_op *op, const char *body);
void rpi_follow_opaque_made(const rp_op *op, const rp_opaque_desc *desc);
/* RETAIN, RELEASE, RELEASE_ANY; TENSOR: the hidden store of what the last EXPORT made. */
void rpi_follow_store(rp_context *ctx, rpi_follow_kind kind, const rp_store *s);
/* The store of memory on the host that somebody lends. */
void rpi_follow_attached(rp_context *ctx, const rp_store *s);

/* The following fail with RP_ERR_RANKS if a follower cannot go on. */

rp_status rpi_follow_launch_of(const rp_op *op, rp_store *const *stores, int32_t n_stores,
                               const void *const *scalars, uint64_t made);
/* A call without arguments, or with a number (kinds BEGIN and END). */
rp_status rpi_follow_call(rp_context *ctx, rpi_follow_kind kind, int64_t number);
/* One on a store. */
rp_status rpi_follow_use(rp_context *ctx, rpi_follow_kind kind, rp_store *s);
rp_status rpi_follow_repeated(rp_context *ctx, int64_t trace, rp_store *go, int64_t most);
rp_status rpi_follow_read(rp_context *ctx, rp_store *s, const rpi_geom *g);
rp_status rpi_follow_write(rp_context *ctx, rp_store *s, const rpi_geom *g, const void *data);
rp_status rpi_follow_exported(rp_context *ctx, rp_store *s, const rp_export_desc *d, bool legacy);
rp_status rpi_follow_saved(rp_context *ctx, rpi_follow_kind kind, const char *path, int32_t n,
                           const char *const *names, rp_store *const *stores);
/* What finalizers have released. */
void rpi_follow_drain(rp_context *ctx, rp_store *released);

/* The call is over, with that status: waits for followers where it has to. */
rp_status rpi_follow_leave(rp_context *ctx, rp_status st);

#endif
