/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/api_store.c -- entry points: stores, host access, views.
 * Not here: the records (core/model/store.c), geometry (core/model/geom.c), fill and copy as tasks
 * (api_op.c), memory of others (api_exchange.c). */
#include <stdatomic.h>
#include <string.h>

#include "bindings/c/api.h"
#include "core/model/lent.h"
#include "core/model/residence.h"
#include "trace/calls.h"
#include "trace/outgoing.h"
#include "trace/places.h"
#include "trace/poison.h"
#include "trace/index_range.h"
#include "trace/runtime.h"
#include "trace/unbound.h"

rp_status rpi_api_check_shape(const char *call, rp_dtype dtype, int32_t ndim,
                              const int64_t *shape) {
  if (!rpi_dtype_valid(dtype))
    return rpi_status_fail(RP_ERR_DTYPE, "%s: %d is no dtype", call, dtype);
  if (ndim > 0 && !shape) return rpi_status_fail(RP_ERR_ARGUMENT, "%s: shape is NULL", call);
  int64_t size, bytes;
  rp_status st = rpi_geom_check(ndim, shape, &size);
  if (st != RP_OK) return rpi_status_context(st, "%s", call);
  if (__builtin_mul_overflow(size, (int64_t)rpi_dtype_size(dtype), &bytes))
    return rpi_status_fail(RP_ERR_SHAPE, "%s: %lld elements of %s have more than 2^63-1 bytes",
                           call, (long long)size, rpi_dtype_name(dtype));
  return RP_OK;
}

static rp_status create(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                        rp_store **out) {
  const rp_status st = rpi_store_new(ctx->pool, dtype, ndim, shape, out);
  if (RPI_UNLIKELY(st != RP_OK)) return st;
  rpi_calls_note(ctx, RPI_CALLS_CREATE, *out);
  if (RPI_UNLIKELY(ctx->crew)) rpi_follow_create(ctx, RPI_FOLLOW_CREATE, dtype, ndim, shape, *out);
  return RP_OK;
}

rp_status rp_store_create(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                          rp_store **out) {
  RPI_API_NEED_OUT("rp_store_create", out);
  RPI_TRY(rpi_api_check_shape("rp_store_create", dtype, ndim, shape));
  RPI_TRY(rpi_api_enter(ctx, "rp_store_create"));
  return rpi_api_leave(ctx, create(ctx, dtype, ndim, shape, out));
}

rp_status rp_store_create_unbound(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *row,
                                  rp_store **out) {
  RPI_API_NEED_OUT("rp_store_create_unbound", out);
  if (ndim < 1) return rpi_status_fail(RP_ERR_SHAPE, "rp_store_create_unbound: ndim is %d", ndim);
  RPI_TRY(rpi_api_check_shape("rp_store_create_unbound", dtype, ndim - 1, row));
  if (ndim > RP_MAX_DIM)
    return rpi_status_fail(RP_ERR_SHAPE, "rp_store_create_unbound: ndim is %d (1..%d)", ndim,
                           RP_MAX_DIM);
  RPI_TRY(rpi_api_enter(ctx, "rp_store_create_unbound"));
  const rp_status st = rpi_unbound_create(ctx, dtype, ndim, row, out);
  if (RPI_UNLIKELY(ctx->crew && st == RP_OK))
    rpi_follow_create(ctx, RPI_FOLLOW_UNBOUND, dtype, ndim, row, *out);
  return rpi_api_leave(ctx, st);
}

rp_status rp_store_scalar(rp_context *ctx, rp_dtype dtype, const void *value, rp_store **out) {
  RPI_API_NEED_OUT("rp_store_scalar", out);
  RPI_TRY(rpi_api_check_shape("rp_store_scalar", dtype, 0, NULL));
  if (!value) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_store_scalar: value is NULL");
  rp_store *s;
  RPI_TRY(rpi_api_enter(ctx, "rp_store_scalar"));
  rp_status st = create(ctx, dtype, 0, NULL, &s);
  if (st != RP_OK) return rpi_api_leave(ctx, st);
  st = rpi_api_write("rp_store_scalar", ctx, s, &s->view->geom, value);
  if (st == RP_OK) {
    *out = s;
  } else {
    if (ctx->crew) rpi_follow_store(ctx, RPI_FOLLOW_RELEASE, s);
    rpi_store_release(s);
  }
  return rpi_api_leave(ctx, st);
}

/* ---- references ---- */

rp_status rp_store_retain(rp_store *s) {
  rp_context *ctx = rpi_api_store_held(s) ? s->buf->pool->ctx : NULL;
  if (ctx && rpi_unbound_is(s))
    RPI_TRY(rpi_api_enter(ctx, "rp_store_retain")); /* its size is nobody's concern yet */
  else
    RPI_TRY(rpi_api_enter_store(s, "rp_store_retain", &ctx));
  s->refs++;
  if (RPI_UNLIKELY(ctx->crew)) rpi_follow_store(ctx, RPI_FOLLOW_RETAIN, s);
  return rpi_api_leave(ctx, RP_OK);
}

rp_status rp_store_release(rp_store *s) {
  if (!s) return RP_OK;
  if (!rpi_api_store_held(s))
    return rpi_status_fail(RP_ERR_HANDLE,
                           "rp_store_release: this is no store (or it was released)");
  rp_context *ctx = s->buf->pool->ctx;
  if (RPI_UNLIKELY(!ctx || ctx->forks != rpi_api_forks)) return rp_store_release_any(s);
  RPI_TRY(rpi_api_enter(ctx, "rp_store_release"));
  bool last = s->refs == 1 && s->buf->app_refs == 1;
  if (RPI_UNLIKELY(ctx->crew)) rpi_follow_store(ctx, RPI_FOLLOW_RELEASE, s);
  rp_status st = last && s->buf->home ? rpi_segment_let_go(ctx, s->buf) : RP_OK;
  if (st == RP_OK) rpi_store_release(s);
  rpi_lent_tell_all(ctx->pool);
  return rpi_api_leave(ctx, st);
}

/* The queue is a stack of handles; a handle with several references is queued once per call by
 * counting in `queued`. */
rp_status rp_store_release_any(rp_store *s) {
  if (!s) return RP_OK;
  if (!rpi_api_store_held(s))
    return rpi_status_fail(RP_ERR_HANDLE,
                           "rp_store_release_any: this is no store (or it was released)");
  rpi_store_release_later(s);
  return RP_OK;
}

/* If lent memory cannot be let go of, for lack of memory, the queue waits for the next call. With several ranks
 * releases wait until all have them (trace/consensus.h). */
void rpi_api_drain(rpi_pool *pool) {
  rp_context *ctx = atomic_load(&pool->ctx);
  if (ctx->comm) {
    rp_store *released = rpi_store_unqueue(pool);
    if (ctx->crew) rpi_follow_drain(ctx, released);
    return;
  }
  for (rp_store *s = atomic_load(&pool->released); s; s = s->next)
    if (s->buf->home && s->refs <= atomic_load(&s->queued) &&
        rpi_segment_let_go(ctx, s->buf) != RP_OK)
      return;
  rpi_store_release_queued(pool);
  rpi_lent_tell_all(pool);
}

/* ---- facts ---- */

rp_dtype rp_store_dtype(const rp_store *s) { return rpi_api_store_held(s) ? s->view->dtype : -1; }
int32_t rp_store_ndim(const rp_store *s) { return rpi_api_store_held(s) ? s->view->geom.ndim : -1; }
rp_context *rp_store_context(const rp_store *s) {
  return rpi_api_store_held(s) ? s->buf->pool->ctx : NULL;
}

/* A store that has a size, at the latest now. */
static bool is_sized(const rp_store *s, const char *call) {
  rp_context *ctx;
  if (rpi_api_store_good(s)) return true;
  if (!rpi_api_store_held(s) || rpi_api_enter_store(s, call, &ctx) != RP_OK) return false;
  rpi_api_leave(ctx, RP_OK);
  return true;
}

int64_t rp_store_size(const rp_store *s) {
  return is_sized(s, "rp_store_size") ? s->view->size : 0;
}
int64_t rp_store_extent(const rp_store *s, int32_t axis) {
  if (!is_sized(s, "rp_store_extent") || axis < 0 || axis >= s->view->geom.ndim) return -1;
  return s->view->geom.shape[axis];
}

/* ---- host access ---- */

/* An array argument is there, or its rank is 0. */
static rp_status check_array(const char *call, const char *name, const void *array, int32_t n) {
  if (array || n <= 0) return RP_OK;
  return rpi_status_fail(RP_ERR_ARGUMENT, "%s: %s is NULL", call, name);
}

static rp_status box_of(const char *call, const rp_store *s, const int64_t *lo, const int64_t *hi,
                        rpi_geom *g) {
  RPI_TRY(check_array(call, lo ? "hi" : "lo", lo ? hi : lo, s->view->geom.ndim));
  rp_status st = rpi_geom_box(&s->view->geom, lo, hi, g);
  return st == RP_OK ? RP_OK : rpi_status_context(st, "%s", call);
}

static rp_status check_bytes(const char *call, const rp_store *s, const rpi_geom *g,
                             const void *data, size_t bytes) {
  size_t want = (size_t)rpi_geom_size(g) * (size_t)rpi_dtype_size(s->view->dtype);
  if (!data && want > 0) return rpi_status_fail(RP_ERR_ARGUMENT, "%s: data is NULL", call);
  if (bytes != want)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: bytes is %zu, the elements take %zu", call, bytes,
                           want);
  return RP_OK;
}

rp_status rpi_api_read(const char *call, rp_context *ctx, rp_store *s, const rpi_geom *g,
                       void *data) {
  if (RPI_UNLIKELY(ctx->crew)) RPI_TRY(rpi_follow_read(ctx, s, g));
  return rpi_outgoing_box(ctx, call, s, g, data);
}

rp_status rpi_api_write(const char *call, rp_context *ctx, rp_store *s, const rpi_geom *g,
                        const void *data) {
  rpi_buffer *b = s->buf;
  if (b->klass & RPI_CLASS_READ_ONLY)
    return rpi_status_fail(RP_ERR_ACCESS, "%s: the store is attached read-only", call);
  if (s->readonly_view)
    return rpi_status_fail(RP_ERR_ACCESS, "%s: the view shows elements twice", call);
  if (RPI_UNLIKELY(ctx->crew)) RPI_TRY(rpi_follow_write(ctx, s, g, data));
  rpi_calls_note(ctx, RPI_CALLS_WRITE, s);
  RPI_TRY(rpi_segment_settle(ctx, b, RPI_REASON_CUT_WRITE));
  const int32_t elem = rpi_dtype_size(s->view->dtype);
  bool all = s->view->covers && rpi_geom_size(g) == s->view->bsize;
  if (all) RPI_TRY(rpi_places_host(ctx, b, &b->place));
  if (!rpi_comm_dry(ctx->comm)) {
    int64_t lo, hi;
    RPI_TRY(rpi_store_own(b, !all));
    rpi_store_part(b, &lo, &hi);
    RPI_TRY(rpi_residence_part(b->pool, b->inst, all ? RPI_USE_OVERWRITE : RPI_USE_UPDATE,
                               (rpi_hull){lo * elem, hi * elem}));
    rpi_store_unpack(b->inst->data, g, elem, data, lo, hi);
  }
  char *poison = all ? NULL : b->poison;
  if (poison) b->poison = NULL;
  rpi_store_touch(b);
  b->poison = poison;
  /* Integers may be indices: their range is found here, not in the first pass of a loop. */
  if (all) rpi_index_range(ctx->workers, b, data, rpi_geom_size(g));
  return RP_OK;
}

rp_status rp_store_read(rp_store *s, void *data, size_t bytes) {
  rp_context *ctx;
  RPI_TRY(rpi_api_enter_store(s, "rp_store_read", &ctx));
  rp_status st = check_bytes("rp_store_read", s, &s->view->geom, data, bytes);
  return rpi_api_leave(
      ctx, st != RP_OK ? st : rpi_api_read("rp_store_read", ctx, s, &s->view->geom, data));
}

rp_status rp_store_write(rp_store *s, const void *data, size_t bytes) {
  rp_context *ctx;
  RPI_TRY(rpi_api_enter_store(s, "rp_store_write", &ctx));
  rp_status st = check_bytes("rp_store_write", s, &s->view->geom, data, bytes);
  return rpi_api_leave(
      ctx, st != RP_OK ? st : rpi_api_write("rp_store_write", ctx, s, &s->view->geom, data));
}

rp_status rp_store_read_part(rp_store *s, const int64_t *lo, const int64_t *hi, void *data,
                             size_t bytes) {
  rp_context *ctx;
  rpi_geom g;
  RPI_TRY(rpi_api_enter_store(s, "rp_store_read_part", &ctx));
  rp_status st = box_of("rp_store_read_part", s, lo, hi, &g);
  if (st == RP_OK) st = check_bytes("rp_store_read_part", s, &g, data, bytes);
  return rpi_api_leave(ctx,
                       st != RP_OK ? st : rpi_api_read("rp_store_read_part", ctx, s, &g, data));
}

rp_status rp_store_write_part(rp_store *s, const int64_t *lo, const int64_t *hi, const void *data,
                              size_t bytes) {
  rp_context *ctx;
  rpi_geom g;
  RPI_TRY(rpi_api_enter_store(s, "rp_store_write_part", &ctx));
  rp_status st = box_of("rp_store_write_part", s, lo, hi, &g);
  if (st == RP_OK) st = check_bytes("rp_store_write_part", s, &g, data, bytes);
  return rpi_api_leave(ctx,
                       st != RP_OK ? st : rpi_api_write("rp_store_write_part", ctx, s, &g, data));
}

rp_status rp_store_wait(rp_store *s) {
  rp_context *ctx;
  RPI_TRY(rpi_api_enter_store(s, "rp_store_wait", &ctx));
  rp_status st = ctx->crew ? rpi_follow_use(ctx, RPI_FOLLOW_WAIT_STORE, s) : RP_OK;
  rpi_calls_note(ctx, RPI_CALLS_WAIT_STORE, s);
  if (st == RP_OK) st = rpi_segment_settle(ctx, s->buf, RPI_REASON_CUT_WAIT);
  if (st == RP_OK && s->buf->poison) st = rpi_poison_refuse("rp_store_wait", s->buf);
  return rpi_api_leave(ctx, st);
}

/* ---- views ---- */

static rp_status transpose_of(const rp_store *s, const int32_t *axes, rpi_geom *g) {
  RPI_TRY(check_array("rp_store_transpose", "axes", axes, s->view->geom.ndim));
  return rpi_geom_transpose(&s->view->geom, axes, g);
}

/* Puts the call in front of a sentence that does not begin with it. */
static rp_status named(rp_status st, const char *call) {
  const char *said = rpi_status_message();
  return strncmp(said, call, strlen(call)) == 0 ? st : rpi_status_context(st, "%s", call);
}

/* A view that takes a shape: broadcast and reshape. */
typedef rp_status (*shape_view)(const rpi_geom *g, int32_t ndim, const int64_t *shape,
                                rpi_geom *out);
static rp_status shaped(const char *call, shape_view view, const rp_store *s, int32_t ndim,
                        const int64_t *shape, rpi_geom *g) {
  RPI_TRY(check_array(call, "shape", shape, ndim));
  return view(&s->view->geom, ndim, shape, g);
}

static rp_status derive(rp_context *ctx, rp_store *s, const rpi_geom *g, rp_store **out) {
  RPI_TRY(rpi_store_derive(s, g, out));
  if (RPI_UNLIKELY(ctx->crew)) rpi_follow_view(ctx, s, g, *out);
  return RP_OK;
}

#define VIEW(call, expr) \
  rp_context *ctx; \
  rpi_geom g; \
  RPI_API_NEED_OUT(call, out); \
  RPI_TRY(rpi_api_enter_store(s, call, &ctx)); \
  rp_status st = (expr); \
  if (st != RP_OK) return rpi_api_leave(ctx, named(st, call)); \
  return rpi_api_leave(ctx, derive(ctx, s, &g, out))

rp_status rp_store_slice(rp_store *s, int32_t axis, int64_t start, int64_t stop, int64_t step,
                         rp_store **out) {
  VIEW("rp_store_slice", rpi_geom_slice(&s->view->geom, axis, start, stop, step, &g));
}

rp_status rp_store_box(rp_store *s, const int64_t *lo, const int64_t *hi, rp_store **out) {
  VIEW("rp_store_box", box_of("rp_store_box", s, lo, hi, &g));
}

rp_status rp_store_transpose(rp_store *s, const int32_t *axes, rp_store **out) {
  VIEW("rp_store_transpose", transpose_of(s, axes, &g));
}

rp_status rp_store_promote(rp_store *s, int32_t axis, int64_t extent, rp_store **out) {
  VIEW("rp_store_promote", rpi_geom_promote(&s->view->geom, axis, extent, &g));
}

rp_status rp_store_project(rp_store *s, int32_t axis, int64_t index, rp_store **out) {
  VIEW("rp_store_project", rpi_geom_project(&s->view->geom, axis, index, &g));
}

rp_status rp_store_broadcast(rp_store *s, int32_t ndim, const int64_t *shape, rp_store **out) {
  VIEW("rp_store_broadcast", shaped("rp_store_broadcast", rpi_geom_broadcast, s, ndim, shape, &g));
}

rp_status rp_store_reshape(rp_store *s, int32_t ndim, const int64_t *shape, rp_store **out) {
  VIEW("rp_store_reshape", shaped("rp_store_reshape", rpi_geom_reshape, s, ndim, shape, &g));
}
