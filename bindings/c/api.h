/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/api.h -- what every entry point does first and last.
 * Lives here: the checks of handles, threads, forks and callbacks, the queue of releases, and what those who follow a
 *             context (follow.h) do of a call that its entry point does.
 * Not here:   what the calls do.
 * Invariant:  an entry point that works on a context brackets its work with rpi_api_enter and
 *             rpi_api_leave; a failed check changes nothing. */
#ifndef RPI_API_H
#define RPI_API_H

#include "bindings/c/follow.h"
#include "core/exec/opaque.h"
#include "trace/context.h"

/* Its address names the thread. The model saves a call per launch; one byte fits where dlopen needs it. */
extern _Thread_local char rpi_api_thread __attribute__((tls_model("initial-exec")));
extern int32_t rpi_api_forks; /* how often this process is a child of a fork */

rp_status rpi_api_refuse(rp_context *ctx, const char *call);
void rpi_api_drain(rpi_pool *pool);

/* Takes the context for this thread, or says why not. Always part of the entry point itself, whose caller it notes. */
__attribute__((always_inline)) static inline rp_status rpi_api_enter(rp_context *ctx,
                                                                     const char *call) {
  if (RPI_UNLIKELY(!ctx || ctx->magic != RPI_MAGIC_CONTEXT || ctx->forks != rpi_api_forks ||
                   atomic_load_explicit(&ctx->owner, memory_order_relaxed) != NULL ||
                   (ctx->crew && rpi_opaque_inside)))
    return rpi_api_refuse(ctx, call);
  atomic_store_explicit(&ctx->owner, &rpi_api_thread, memory_order_relaxed);
  ctx->caller = __builtin_return_address(0);
  if (RPI_UNLIKELY(atomic_load_explicit(&ctx->pool->released, memory_order_relaxed)))
    rpi_api_drain(ctx->pool);
  return RP_OK;
}

static inline rp_status rpi_api_leave(rp_context *ctx, rp_status st) {
  if (RPI_UNLIKELY(ctx->crew != NULL)) st = rpi_follow_leave(ctx, st);
  atomic_store_explicit(&ctx->owner, NULL, memory_order_relaxed);
  return st;
}

static inline bool rpi_api_store_good(const rp_store *s) {
  return s && s->magic == RPI_MAGIC_STORE;
}
/* The same, or unbound. */
static inline bool rpi_api_store_held(const rp_store *s) {
  return rpi_api_store_good(s) || (s && s->magic == RPI_MAGIC_UNBOUND);
}

/* An array of that dtype and shape can be. */
rp_status rpi_api_check_shape(const char *call, rp_dtype dtype, int32_t ndim, const int64_t *shape);
/* The output of a call that makes something. */
#define RPI_API_NEED_OUT(call, out) \
  do { \
    if (!(out)) return rpi_status_fail(RP_ERR_ARGUMENT, "%s: out is NULL", call); \
    *(out) = NULL; \
  } while (0)

/* The live context of a live store. */
rp_status rpi_api_context_of(const rp_store *s, const char *call, rp_context **ctx);
/* An unbound store gets its size. */
rp_status rpi_api_size(rp_context *ctx, rp_store *s);
/* The same; on failure the context is left. */
rp_status rpi_api_settle(rp_context *ctx, const rp_store *s, const char *call);
/* The elements of a box of the store, in C order; of a context that follows nothing comes to `data`. */
rp_status rpi_api_read(const char *call, rp_context *ctx, rp_store *s, const rpi_geom *g,
                       void *data);
rp_status rpi_api_write(const char *call, rp_context *ctx, rp_store *s, const rpi_geom *g,
                        const void *data);
/* The context of a store, entered; an unbound one has got its size. */
__attribute__((always_inline)) static inline rp_status
rpi_api_enter_store(const rp_store *s, const char *call, rp_context **ctx) {
  RPI_TRY(rpi_api_context_of(s, call, ctx));
  const rp_status st = rpi_api_enter(*ctx, call);
  if (RPI_UNLIKELY(st != RP_OK)) *ctx = NULL;
  if (RPI_UNLIKELY(st == RP_OK && s->magic == RPI_MAGIC_UNBOUND))
    return rpi_api_settle(*ctx, s, call);
  return st;
}

#endif
