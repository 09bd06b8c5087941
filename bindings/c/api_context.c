/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/api_context.c -- entry points: versions, errors, contexts, knobs; and the checks of
 * api.h. Not here: what a context consists of (trace/context.c). */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "bindings/c/api.h"
#include "bindings/c/follower.h"
#include "trace/gpu_bind.h"
#include "trace/runtime.h"
#include "trace/unbound.h"

_Thread_local char rpi_api_thread;
int32_t rpi_api_forks;

static void count_fork(void) { rpi_api_forks++; }
static void register_fork(void) { pthread_atfork(NULL, NULL, count_fork); }

rp_status rpi_api_refuse(rp_context *ctx, const char *call) {
  if (!ctx) return rpi_status_fail(RP_ERR_ARGUMENT, "%s: the context is NULL", call);
  if (ctx->magic != RPI_MAGIC_CONTEXT)
    return rpi_status_fail(RP_ERR_HANDLE, "%s: this is no context (or it is destroyed)", call);
  if (ctx->forks != rpi_api_forks)
    return rpi_status_fail(RP_ERR_STATE,
                           "%s: the context was made before a fork; make one in the "
                           "child process",
                           call);
  if (ctx->crew && rpi_opaque_inside)
    return rpi_status_fail(RP_ERR_STATE, "%s: called from inside a callback of the same context",
                           call);
  const void *owner = atomic_load_explicit(&ctx->owner, memory_order_relaxed);
  if (owner == &rpi_api_thread)
    return rpi_status_fail(RP_ERR_STATE, "%s: called from inside a callback of the same context",
                           call);
  return rpi_status_fail(RP_ERR_THREAD, "%s: another thread is inside a call with this context",
                         call);
}

rp_status rpi_api_context_of(const rp_store *s, const char *call, rp_context **ctx) {
  *ctx = NULL;
  if (!s) return rpi_status_fail(RP_ERR_ARGUMENT, "%s: the store is NULL", call);
  if (!rpi_api_store_held(s))
    return rpi_status_fail(RP_ERR_HANDLE, "%s: this is no store (or it was released)", call);
  rp_context *c = s->buf->pool->ctx;
  if (!c) return rpi_status_fail(RP_ERR_STATE, "%s: the store's context is destroyed", call);
  *ctx = c;
  return RP_OK;
}

rp_status rpi_api_size(rp_context *ctx, rp_store *s) {
  if (RPI_UNLIKELY(ctx->crew && rpi_unbound_is(s)))
    RPI_TRY(rpi_follow_use(ctx, RPI_FOLLOW_SETTLE, s));
  return rpi_unbound_settle(ctx, s);
}

rp_status rpi_api_settle(rp_context *ctx, const rp_store *s, const char *call) {
  const rp_status st = rpi_api_size(ctx, (rp_store *)s);
  return st == RP_OK ? RP_OK : rpi_api_leave(ctx, rpi_status_context(st, "%s", call));
}

int32_t rp_context_gpus(const rp_context *ctx) {
  if (!ctx || ctx->magic != RPI_MAGIC_CONTEXT || !ctx->device) return 0;
  return ctx->crew ? rpi_crew_size(ctx->crew) : 1;
}

const char *rp_last_error(void) { return rpi_status_message(); }

rp_status rp_error_set(rp_status status, const char *sentence) {
  return rpi_status_fail(status, "%s", sentence ? sentence : "");
}

const char *rp_status_name(rp_status status) {
  static const char *const names[] = {
      "RP_OK",         "RP_ERR_ARGUMENT", "RP_ERR_SHAPE",  "RP_ERR_DTYPE",  "RP_ERR_BODY",
      "RP_ERR_ACCESS", "RP_ERR_HANDLE",   "RP_ERR_STATE",  "RP_ERR_THREAD", "RP_ERR_MEMORY",
      "RP_ERR_DATA",   "RP_ERR_IO",       "RP_ERR_CONFIG", "RP_ERR_OPAQUE", "RP_ERR_INTERNAL",
      "RP_ERR_RANKS",  "RP_ERR_DEVICE"};
  return status <= 0 && -status < RPI_COUNT(names) ? names[-status] : "RP_ERR_?";
}

int32_t rp_version(void) {
  return RP_VERSION_MAJOR * 10000 + RP_VERSION_MINOR * 100 + RP_VERSION_PATCH;
}

size_t rp_dtype_size(rp_dtype t) { return rpi_dtype_valid(t) ? (size_t)rpi_dtype_size(t) : 0; }

const char *rp_dtype_name(rp_dtype t) { return rpi_dtype_valid(t) ? rpi_dtype_name(t) : "?"; }

rp_status rp_dtype_promote(rp_dtype a, rp_dtype b, rp_dtype *out) {
  if (!out) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_dtype_promote: out is NULL");
  *out = 0;
  if (!rpi_dtype_valid(a) || !rpi_dtype_valid(b))
    return rpi_status_fail(RP_ERR_DTYPE, "rp_dtype_promote: %d and %d are not both dtypes", a, b);
  *out = rpi_dtype_promote(a, b);
  return RP_OK;
}

/* One context, or for several GPUs as many, of which the others follow the first. */
static rp_status create(const char *config, rp_context **out) {
  rpi_config base;
  int32_t n;
  RPI_TRY(rpi_config_init(&base, config));
  rp_status st = rpi_gpu_bind_several(&base, &n);
  if (st == RP_OK)
    st = n > 1 ? rpi_crew_create(&base, config, n, &rpi_follower_duty, out)
               : rpi_runtime_create(config, false, out);
  rpi_config_deinit(&base);
  return st;
}

rp_status rp_context_create(const char *config, rp_context **out) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (!out) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_context_create: out is NULL");
  *out = NULL;
  pthread_once(&once, register_fork);
  RPI_TRY(create(config, out));
  (*out)->forks = rpi_api_forks;
  return RP_OK;
}

/* All have run what is pending before data of libraries go, which their functions may use. */
static rp_status destroy_all(rp_context *ctx) {
  rpi_crew *crew = ctx->crew;
  rp_status st = rpi_follow_call(ctx, RPI_FOLLOW_CUT, 0);
  if (st == RP_OK) st = rpi_segment_cut(ctx, RPI_REASON_CUT_DESTROY, true);
  st = rpi_follow_leave(ctx, st);
  char why[1024];
  snprintf(why, sizeof why, "%s", rpi_status_message());
  rpi_crew_close(crew);
  const rp_status end = rpi_runtime_destroy(ctx);
  rpi_crew_free(crew);
  return st == RP_OK ? end : rpi_status_fail(st, "%s", why);
}

rp_status rp_context_destroy(rp_context *ctx) {
  if (!ctx) return RP_OK;
  RPI_TRY(rpi_api_enter(ctx, "rp_context_destroy"));
  return ctx->crew ? destroy_all(ctx) : rpi_runtime_destroy(ctx);
}

/* snprintf's contract for a text that is ready. */
static rp_status hand_out(const rpi_strbuf *text, char *buf, size_t size, size_t *needed) {
  if (text->failed) return rpi_status_nomem("text");
  if (needed) *needed = text->len;
  if (buf && size > 0) {
    size_t n = text->len < size - 1 ? text->len : size - 1;
    memcpy(buf, rpi_strbuf_str(text), n);
    buf[n] = 0;
  }
  return RP_OK;
}

rp_status rp_config_print(rp_context *ctx, char *buf, size_t size, size_t *needed) {
  if (needed) *needed = 0;
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rp_status st;
  if (ctx) {
    RPI_TRY(rpi_api_enter(ctx, "rp_config_print"));
    rpi_config_print(&ctx->config, &text);
    st = rpi_api_leave(ctx, hand_out(&text, buf, size, needed));
  } else {
    rpi_config defaults;
    st = rpi_config_defaults(&defaults);
    if (st == RP_OK) {
      rpi_config_print(&defaults, &text);
      st = hand_out(&text, buf, size, needed);
      rpi_config_deinit(&defaults);
    }
  }
  rpi_strbuf_deinit(&text);
  return st;
}

rp_status rp_explain(rp_context *ctx, char *buf, size_t size, size_t *needed) {
  if (needed) *needed = 0;
  RPI_TRY(rpi_api_enter(ctx, "rp_explain"));
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rpi_explain(ctx, &text);
  rp_status st = hand_out(&text, buf, size, needed);
  rpi_strbuf_deinit(&text);
  return rpi_api_leave(ctx, st);
}

rp_status rp_stat(rp_context *ctx, const char *name, int64_t *out) {
  if (!out || !name)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_stat: %s is NULL", out ? "name" : "out");
  *out = 0;
  RPI_TRY(rpi_api_enter(ctx, "rp_stat"));
  rp_status st =
      rpi_explain_stat(ctx, name, out)
          ? RP_OK
          : rpi_status_fail(RP_ERR_ARGUMENT, "rp_stat: there is no statistic \"%s\"", name);
  return rpi_api_leave(ctx, st);
}
