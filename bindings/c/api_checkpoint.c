/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/api_checkpoint.c -- entry points: checkpoints.
 * Lives here: checks of what a program passes. Not here: what is written and read (trace/checkpoint.c, restore.c). */
#include <string.h>

#include "bindings/c/api.h"
#include "core/exec/checkpoint_file.h"
#include "trace/calls.h"
#include "trace/checkpoint.h"
#include "trace/restore.h"

static rp_status check_name(const char *call, const char *const *names, int32_t i) {
  const size_t bytes = names[i] ? strlen(names[i]) : 0;
  if (!names[i] || bytes == 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: names[%d] is %s", call, i,
                           names[i] ? "empty" : "NULL");
  if (bytes > RPI_CHECKPOINT_NAME)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: names[%d] has %zu bytes, more than %d", call, i,
                           bytes, RPI_CHECKPOINT_NAME);
  return RP_OK;
}

static rp_status check_store(const char *call, rp_context *ctx, rp_store *const *stores,
                             int32_t i) {
  if (!stores[i]) return rpi_status_fail(RP_ERR_ARGUMENT, "%s: stores[%d] is NULL", call, i);
  if (!rpi_api_store_held(stores[i]))
    return rpi_status_fail(RP_ERR_HANDLE, "%s: stores[%d] is no store (or it was released)", call,
                           i);
  if (stores[i]->buf->pool != ctx->pool)
    return rpi_status_fail(RP_ERR_HANDLE, "%s: stores[%d] is of another context", call, i);
  const rp_status st = rpi_api_size(ctx, stores[i]);
  return st == RP_OK ? RP_OK : rpi_status_context(st, "%s: stores[%d]", call, i);
}

static rp_status check(const char *call, rp_context *ctx, const char *path, int32_t n,
                       const char *const *names, rp_store *const *stores) {
  if (!path || !path[0] || !names || !stores)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: %s", call,
                           !path      ? "path is NULL"
                           : !path[0] ? "path is empty"
                           : !names   ? "names is NULL"
                                      : "stores is NULL");
  if (n < 1 || n > RPI_CHECKPOINT_ARRAYS)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: n is %d, not in 1..%d", call, n,
                           RPI_CHECKPOINT_ARRAYS);
  for (int32_t i = 0; i < n; i++) {
    RPI_TRY(check_name(call, names, i));
    RPI_TRY(check_store(call, ctx, stores, i));
  }
  return RP_OK;
}

typedef rp_status move(rp_context *ctx, const char *path, int32_t n, const char *const *names,
                       rp_store *const *stores);

/* The context is entered, by the entry point itself: its caller is noted. */
static rp_status run(rpi_calls_kind kind, const char *call, move *how, rp_context *ctx,
                     const char *path, int32_t n, const char *const *names,
                     rp_store *const *stores) {
  const bool saves = kind == RPI_CALLS_CHECKPOINT;
  rp_status st = check(call, ctx, path, n, names, stores);
  if (st == RP_OK && ctx->crew)
    st = rpi_follow_saved(ctx, saves ? RPI_FOLLOW_CHECKPOINT : RPI_FOLLOW_RESTORE, path, n, names,
                          stores);
  if (st == RP_OK) {
    rpi_calls_note(ctx, kind, stores[0]);
    for (int32_t i = 1; ctx->calls && i < n; i++) rpi_calls_stamp(ctx, kind, stores[i]);
    st = how(ctx, path, n, names, stores);
    if (st != RP_OK) rpi_status_context(st, "%s", call);
  }
  return rpi_api_leave(ctx, st);
}

rp_status rp_checkpoint(rp_context *ctx, const char *path, int32_t n, const char *const *names,
                        rp_store *const *stores) {
  RPI_TRY(rpi_api_enter(ctx, "rp_checkpoint"));
  return run(RPI_CALLS_CHECKPOINT, "rp_checkpoint", rpi_checkpoint_save, ctx, path, n, names,
             stores);
}

rp_status rp_restore(rp_context *ctx, const char *path, int32_t n, const char *const *names,
                     rp_store *const *stores) {
  RPI_TRY(rpi_api_enter(ctx, "rp_restore"));
  return run(RPI_CALLS_RESTORE, "rp_restore", rpi_restore_stores, ctx, path, n, names, stores);
}
