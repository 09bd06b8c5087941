/* SPDX-License-Identifier: Apache-2.0
 * core/model/residence.c -- see residence.h. */
#include "core/model/residence.h"

#include <string.h>

/* ---- the list of those on the GPU, by last use ---- */

static void unlink_instance(rpi_pool *p, rpi_instance *i) {
  *(i->newer ? &i->newer->older : &p->newest) = i->older;
  *(i->older ? &i->older->newer : &p->oldest) = i->newer;
  i->newer = i->older = NULL;
}

static void link_newest(rpi_pool *p, rpi_instance *i) {
  i->older = p->newest;
  i->newer = NULL;
  *(p->newest ? &p->newest->newer : &p->oldest) = i;
  p->newest = i;
}

/* Memory that others lent is not in the list: nothing is won where it leaves the GPU. */
static bool is_ours(const rpi_instance *i) { return !(i->foreign && i->pinned & RPI_AT_DEVICE); }

static void use_now(rpi_pool *p, rpi_instance *i) {
  i->used = p->turn;
  if (p->newest == i || !is_ours(i)) return;
  unlink_instance(p, i);
  link_newest(p, i);
}

void rpi_residence_leave(rpi_pool *p, rpi_instance *i) {
  if (i->device == 0) return;
  i->valid &= (uint8_t)~RPI_AT_DEVICE;
  if (i->pinned & RPI_AT_DEVICE) return;
  unlink_instance(p, i);
  if (i->span)
    rpi_device_span_put(p->device, i->span);
  else
    rpi_device_put(p->device, i->device, i->bytes);
  i->device = 0;
  i->span = NULL;
}

/* ---- memory ---- */

static rp_status host_memory(rpi_pool *p, rpi_instance *i) {
  if (i->data) return RP_OK;
  i->data = rpi_memory_get(p->memory, (size_t)i->bytes, NULL);
  return i->data ? RP_OK : RP_ERR_MEMORY;
}

static void leave_host(rpi_pool *p, rpi_instance *i) {
  i->valid &= (uint8_t)~RPI_AT_HOST;
  if (i->pinned & RPI_AT_HOST || !i->data) return;
  rpi_memory_put(p->memory, i->data, (size_t)i->bytes);
  i->data = NULL;
}

/* What is held comes to a side from the other. */
static rp_status move(rpi_pool *p, const rpi_instance *i, uint8_t side) {
  const int64_t lo = i->held.lo, n = i->held.hi - lo;
  const CUdeviceptr there = i->device + (CUdeviceptr)lo;
  if (n == 0) return RP_OK;
  return side == RPI_AT_HOST ? rpi_device_download(p->device, (char *)i->data + lo, there, n)
                             : rpi_device_upload(p->device, there, (const char *)i->data + lo, n);
}

/* One instance leaves the GPU; false: all that are there are in use. */
static bool make_room(rpi_pool *p, rp_status *st) {
  rpi_instance *who = NULL;
  for (rpi_instance *i = p->oldest; i && i->used != p->turn; i = i->newer) {
    if (i->pinned & RPI_AT_DEVICE) continue;
    if (!who) who = i;
    if (!(i->valid & RPI_AT_HOST)) continue;
    who = i;
    break;
  }
  *st = RP_OK;
  if (!who) return false;
  if (who->valid == RPI_AT_DEVICE) {
    *st = host_memory(p, who);
    if (*st == RP_OK) *st = move(p, who, RPI_AT_HOST);
    if (*st != RP_OK) return false;
    who->valid = RPI_AT_HOST;
  }
  rpi_residence_leave(p, who);
  p->spilled++;
  return true;
}

static int64_t bytes_in_use(const rpi_pool *p) {
  int64_t n = 0;
  for (const rpi_instance *i = p->newest; i && i->used == p->turn; i = i->older)
    n += i->span ? rpi_device_span_bytes(i->span) : i->bytes;
  return n;
}

/* Memory for `bytes` was refused with `st`. RP_OK: something has left, and it may be tried again. */
static rp_status give_way(rpi_pool *p, rp_status st, int64_t bytes) {
  rp_status moved;
  if (st != RP_ERR_MEMORY || make_room(p, &moved)) return st == RP_ERR_MEMORY ? RP_OK : st;
  if (moved != RP_OK) return rpi_status_context(moved, "making room on the GPU");
  return rpi_status_context(st,
                            "the arrays of the launches at hand take %lld bytes on the GPU, "
                            "and %lld more are needed",
                            (long long)bytes_in_use(p), (long long)bytes);
}

rp_status rpi_residence_get(rpi_pool *p, int64_t bytes, CUdeviceptr *out) {
  for (;;) {
    const rp_status st = rpi_device_get(p->device, bytes, out);
    if (st == RP_OK) return RP_OK;
    RPI_TRY(give_way(p, st, bytes));
  }
}

bool rpi_residence_spans(const rpi_pool *p, int64_t bytes) {
  enum { FEW = 2 }; /* granules, below which parts are worth no addresses of their own */
  const int64_t granule = p->parts ? rpi_device_granule(p->device) : 0;
  return granule > 0 && bytes >= FEW * granule;
}

rp_status rpi_residence_span(rpi_pool *p, int64_t bytes, rpi_hull part, rpi_device_span **span) {
  for (;;) {
    const rp_status st = *span ? rpi_device_span_grow(p->device, *span, part.lo, part.hi)
                               : rpi_device_span_get(p->device, bytes, part.lo, part.hi, span);
    if (st == RP_OK) return RP_OK;
    RPI_TRY(give_way(p, st, part.hi - part.lo));
  }
}

static rpi_hull all_of(const rpi_instance *i) { return (rpi_hull){0, i->bytes}; }

/* For that part of it at least. */
static rp_status device_memory(rpi_pool *p, rpi_instance *i, rpi_hull part) {
  if (i->bytes == 0) return RP_OK; /* nothing has no address */
  if (i->device != 0) {
    use_now(p, i); /* it does not leave to make room for itself */
    return i->span ? rpi_residence_span(p, i->bytes, part, &i->span) : RP_OK;
  }
  if (rpi_residence_spans(p, i->bytes) && !rpi_hull_has(part, all_of(i))) {
    RPI_TRY(rpi_residence_span(p, i->bytes, part, &i->span));
    i->device = rpi_device_span_at(i->span);
  } else {
    RPI_TRY(rpi_residence_get(p, i->bytes, &i->device));
  }
  link_newest(p, i);
  use_now(p, i);
  return RP_OK;
}

/* ---- moves ---- */

rp_status rpi_residence_turn_back(rpi_pool *p, rpi_instance *i) {
  const int64_t stream = i->theirs;
  i->theirs = 0;
  return rpi_device_follow(p->device, stream);
}

static rp_status memory_on(rpi_pool *p, rpi_instance *i, uint8_t side) {
  return side == RPI_AT_HOST ? host_memory(p, i) : device_memory(p, i, i->held);
}

static void leave(rpi_pool *p, rpi_instance *i, uint8_t side) {
  if (side == RPI_AT_HOST)
    leave_host(p, i);
  else
    rpi_residence_leave(p, i);
}

static uint8_t other(uint8_t side) { return RPI_AT_HOST + RPI_AT_DEVICE - side; }

static rp_status fill(rpi_pool *p, const rpi_instance *i, uint8_t sides, int64_t lo, int64_t hi) {
  if (lo >= hi) return RP_OK;
  if (sides & RPI_AT_HOST) memset((char *)i->data + lo, 0, (size_t)(hi - lo));
  return sides & RPI_AT_DEVICE ? rpi_device_zero(p->device, i->device + (CUdeviceptr)lo, hi - lo)
                               : RP_OK;
}

/* What is held becomes valid on a side that has memory. */
static rp_status bring(rpi_pool *p, rpi_instance *i, uint8_t side) {
  if (i->valid == other(side))
    RPI_TRY(move(p, i, side));
  else if (i->valid == 0 && i->zeros)
    RPI_TRY(fill(p, i, side, i->held.lo, i->held.hi));
  i->valid |= side;
  return RP_OK;
}

/* From now on anything may be used there: what lies around the held part is made what it stands for. */
static rp_status complete(rpi_pool *p, rpi_instance *i, uint8_t side) {
  const rpi_hull was = i->held;
  const bool zeros = i->zeros;
  if (rpi_hull_has(was, all_of(i))) return RP_OK;
  if (zeros) leave(p, i, other(side));
  i->held = all_of(i);
  i->zeros = false;
  RPI_TRY(memory_on(p, i, side));
  if (!zeros) return RP_OK;
  RPI_TRY(fill(p, i, side, 0, was.lo));
  return fill(p, i, side, was.hi, i->bytes);
}

/* The values come to a side, for somebody who does not say what he touches of them. Where he only reads, what means nothing
 * may stay so. */
static rp_status use_all(rpi_pool *p, rpi_instance *i, uint8_t side, rpi_use use) {
  RPI_TRY(rpi_residence_ours(p, i));
  RPI_TRY(memory_on(p, i, side));
  if (use == RPI_USE_OVERWRITE)
    i->zeros = false;
  else
    RPI_TRY(bring(p, i, side));
  i->valid |= side;
  if (use != RPI_USE_READ) leave(p, i, other(side));
  return use != RPI_USE_READ || i->zeros ? complete(p, i, side) : RP_OK;
}

rp_status rpi_residence_to_host(rpi_pool *p, rpi_instance *i, rpi_use use) {
  return use_all(p, i, RPI_AT_HOST, use);
}

rp_status rpi_residence_device(rpi_pool *p, rpi_instance *i, rpi_use use) {
  return use_all(p, i, RPI_AT_DEVICE, use);
}

/* ---- parts ---- */

rp_status rpi_residence_room(rpi_pool *p, rpi_instance *i, uint8_t sides, rpi_hull touched) {
  RPI_TRY(rpi_residence_ours(p, i));
  if (sides & RPI_AT_HOST) RPI_TRY(host_memory(p, i));
  if (!(sides & RPI_AT_DEVICE)) return RP_OK;
  return device_memory(p, i, rpi_hull_join(i->held, touched));
}

rp_status rpi_residence_bring(rpi_pool *p, rpi_instance *i, uint8_t sides) {
  if (sides & RPI_AT_HOST) RPI_TRY(bring(p, i, RPI_AT_HOST));
  return sides & RPI_AT_DEVICE ? bring(p, i, RPI_AT_DEVICE) : RP_OK;
}

rp_status rpi_residence_hold(rpi_pool *p, rpi_instance *i, rpi_hull touched) {
  const rpi_hull was = i->held, now = rpi_hull_join(was, touched);
  if (RPI_LIKELY(rpi_hull_has(was, touched))) return RP_OK;
  if (i->device != 0) RPI_TRY(device_memory(p, i, now));
  i->held = now;
  if (!i->zeros) return RP_OK;
  if (rpi_hull_is_empty(was)) return fill(p, i, i->valid, now.lo, now.hi);
  RPI_TRY(fill(p, i, i->valid, now.lo, was.lo));
  return fill(p, i, i->valid, was.hi, now.hi);
}

void rpi_residence_forget(const rpi_pool *p, rpi_instance *i) {
  if (!p->parts || i->pinned) return;
  i->held = (rpi_hull){0, 0};
  i->zeros = false;
}

rp_status rpi_residence_part(rpi_pool *p, rpi_instance *i, rpi_use use, rpi_hull part) {
  if (!p->device) return RP_OK;
  if (!p->parts || i->pinned) return rpi_residence_to_host(p, i, use);
  RPI_TRY(rpi_residence_ours(p, i));
  RPI_TRY(host_memory(p, i));
  if (use == RPI_USE_OVERWRITE)
    rpi_residence_forget(p, i);
  else
    RPI_TRY(bring(p, i, RPI_AT_HOST));
  i->valid = RPI_AT_HOST;
  rpi_residence_leave(p, i);
  return rpi_residence_hold(p, i, part);
}

void rpi_residence_settle(rpi_pool *p, rpi_instance *i, uint8_t valid) {
  i->valid = valid;
  if (!(valid & RPI_AT_HOST)) leave_host(p, i);
  if (!(valid & RPI_AT_DEVICE)) rpi_residence_leave(p, i);
}

/* ---- copies ---- */

/* What `from` holds, between two sides that have memory. */
static rp_status copy(rpi_pool *p, rpi_instance *to, const rpi_instance *from, uint8_t side) {
  const int64_t lo = from->held.lo, n = from->held.hi - lo;
  const CUdeviceptr there = to->device + (CUdeviceptr)lo;
  char *here = (char *)to->data + lo;
  if (n == 0) return RP_OK;
  if (side == RPI_AT_DEVICE)
    return from->valid & RPI_AT_DEVICE
               ? rpi_device_copy(p->device, there, from->device + (CUdeviceptr)lo, n)
               : rpi_device_upload(p->device, there, (const char *)from->data + lo, n);
  if (!(from->valid & RPI_AT_HOST))
    return rpi_device_download(p->device, here, from->device + (CUdeviceptr)lo, n);
  memcpy(here, (const char *)from->data + lo, (size_t)n);
  return RP_OK;
}

/* Nothing has been written: what of it is needed is filled in when it is. */
static bool is_untouched(const rpi_instance *from) { return from->valid == 0 && from->zeros; }

rp_status rpi_residence_fetch(rpi_pool *p, rpi_instance *to, rpi_instance *from, uint8_t side) {
  const bool zeros = !from || from->zeros;
  if (from) RPI_TRY(rpi_residence_ours(p, from));
  RPI_TRY(rpi_residence_ours(p, to));
  rpi_residence_forget(p, to);
  if (p->parts && !to->pinned) {
    to->zeros = zeros;
    if (from) to->held = from->held;
    if (!from || is_untouched(from)) {
      to->held = (rpi_hull){0, 0};
      to->valid = 0;
      return RP_OK;
    }
  }
  /* Where memory is short `from` may leave the GPU for `to`. */
  RPI_TRY(memory_on(p, to, side));
  if (zeros && !to->zeros) RPI_TRY(fill(p, to, side, 0, to->bytes));
  if (from && !is_untouched(from)) RPI_TRY(copy(p, to, from, side));
  to->valid = side;
  leave(p, to, other(side));
  return RP_OK;
}

rp_status rpi_residence_copy(rpi_pool *p, rpi_instance *to, rpi_instance *from) {
  const bool there = p->device && from->valid & RPI_AT_DEVICE;
  return rpi_residence_fetch(p, to, from, there ? RPI_AT_DEVICE : RPI_AT_HOST);
}

rp_status rpi_residence_zero(rpi_pool *p, rpi_instance *i) {
  return rpi_residence_fetch(p, i, NULL, p->device ? RPI_AT_DEVICE : RPI_AT_HOST);
}
