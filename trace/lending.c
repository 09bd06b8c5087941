/* SPDX-License-Identifier: Apache-2.0
 * trace/lending.c -- see lending.h. */
#include "trace/lending.h"

#include "trace/calls.h"

rp_status rpi_lending_attach(rp_context *ctx, const rpi_lent_array *a, int64_t stream,
                             rp_store **out) {
  *out = NULL;
  if (!a->data) RPI_TRY(rpi_device_follow(ctx->device, stream));
  RPI_TRY(rpi_lent_attach(ctx->pool, a, out));
  return RP_OK;
}

/* Others may use memory on that side now, on the GPU those behind the stream. */
static rp_status hand_over(rp_context *ctx, uint8_t side, const int64_t *stream) {
  if (side == RPI_AT_HOST) return RP_OK;
  return stream ? rpi_device_lead(ctx->device, *stream) : rpi_device_wait(ctx->device);
}

rp_status rpi_lending_turn(rp_context *ctx, rpi_instance *home, const int64_t *stream) {
  RPI_TRY(hand_over(ctx, home->pinned, stream));
  const bool ordered = home->pinned == RPI_AT_DEVICE && stream && *stream != RPI_STREAM_NONE;
  home->theirs = ordered ? *stream : 0;
  return RP_OK;
}

static rp_status check(const rpi_buffer *b, const char *call) {
  return b->home ? RP_OK : rpi_status_fail(RP_ERR_STATE, "%s: the store is not attached", call);
}

/* What is left to run may change the buffer's instance. */
static rp_status come_home(rp_context *ctx, rpi_buffer *b, const char *call) {
  RPI_TRY(rpi_segment_settle(ctx, b, RPI_REASON_CUT_WRITE));
  if (b->poison)
    return rpi_status_fail(RP_ERR_DATA, "%s: the data are poisoned: %s", call, b->poison);
  return rpi_lent_home(b);
}

rp_status rpi_lending_home(rp_context *ctx, rp_store *s, const char *call, const int64_t *stream) {
  RPI_TRY(check(s->buf, call));
  rpi_calls_note(ctx, RPI_CALLS_HOME, s);
  RPI_TRY(come_home(ctx, s->buf, call));
  return rpi_lending_turn(ctx, s->buf->home, stream);
}

rp_status rpi_lending_leave(rp_context *ctx, rp_store *s, const char *call, const int64_t *stream) {
  rpi_buffer *b = s->buf;
  RPI_TRY(check(b, call));
  if (b->tensors > 0)
    return rpi_status_fail(RP_ERR_STATE, "%s: %d tensors of the store's memory are held by others",
                           call, b->tensors);
  const uint8_t side = rpi_lent_side(b);
  rpi_calls_note(ctx, RPI_CALLS_DETACH, s);
  RPI_TRY(come_home(ctx, b, call));
  RPI_TRY(rpi_lent_leave(b));
  const rp_status st = hand_over(ctx, side, ctx->pool->due ? NULL : stream);
  rpi_lent_tell_all(ctx->pool);
  return st;
}
