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
  rpi_device_put(p->device, i->device, i->bytes);
  i->device = 0;
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
    if (*st == RP_OK) *st = rpi_device_download(p->device, who->data, who->device, who->bytes);
    if (*st != RP_OK) return false;
    who->valid = RPI_AT_HOST;
  }
  rpi_residence_leave(p, who);
  p->spilled++;
  return true;
}

static int64_t bytes_in_use(const rpi_pool *p) {
  int64_t n = 0;
  for (const rpi_instance *i = p->newest; i && i->used == p->turn; i = i->older) n += i->bytes;
  return n;
}

rp_status rpi_residence_get(rpi_pool *p, int64_t bytes, CUdeviceptr *out) {
  for (;;) {
    const rp_status st = rpi_device_get(p->device, bytes, out);
    rp_status moved;
    if (st != RP_ERR_MEMORY) return st;
    if (make_room(p, &moved)) continue;
    if (moved != RP_OK) return rpi_status_context(moved, "making room on the GPU");
    return rpi_status_context(st,
                              "the arrays of the launches at hand take %lld bytes on the GPU, "
                              "and %lld more are needed",
                              (long long)bytes_in_use(p), (long long)bytes);
  }
}

static rp_status device_memory(rpi_pool *p, rpi_instance *i) {
  if (i->bytes == 0) return RP_OK; /* nothing has no address */
  if (i->device == 0) {
    RPI_TRY(rpi_residence_get(p, i->bytes, &i->device));
    link_newest(p, i);
  }
  use_now(p, i);
  return RP_OK;
}

rp_status rpi_residence_room(rpi_pool *p, rpi_instance *i, uint8_t sides) {
  RPI_TRY(rpi_residence_ours(p, i));
  if (sides & RPI_AT_HOST) RPI_TRY(host_memory(p, i));
  return sides & RPI_AT_DEVICE ? device_memory(p, i) : RP_OK;
}

/* ---- moves ---- */

rp_status rpi_residence_turn_back(rpi_pool *p, rpi_instance *i) {
  const int64_t stream = i->theirs;
  i->theirs = 0;
  return rpi_device_follow(p->device, stream);
}

rp_status rpi_residence_to_host(rpi_pool *p, rpi_instance *i, rpi_use use) {
  RPI_TRY(rpi_residence_ours(p, i));
  RPI_TRY(host_memory(p, i));
  if (use != RPI_USE_OVERWRITE && i->valid == RPI_AT_DEVICE)
    RPI_TRY(rpi_device_download(p->device, i->data, i->device, i->bytes));
  i->valid |= RPI_AT_HOST;
  if (use != RPI_USE_READ) rpi_residence_leave(p, i);
  return RP_OK;
}

rp_status rpi_residence_device(rpi_pool *p, rpi_instance *i, rpi_use use) {
  RPI_TRY(rpi_residence_ours(p, i));
  RPI_TRY(device_memory(p, i));
  if (use != RPI_USE_OVERWRITE && i->valid == RPI_AT_HOST)
    RPI_TRY(rpi_device_upload(p->device, i->device, i->data, i->bytes));
  i->valid |= RPI_AT_DEVICE;
  if (use != RPI_USE_READ) leave_host(p, i);
  return RP_OK;
}

void rpi_residence_settle(rpi_pool *p, rpi_instance *i, uint8_t valid) {
  i->valid = valid;
  if (!(valid & RPI_AT_HOST)) leave_host(p, i);
  if (!(valid & RPI_AT_DEVICE)) rpi_residence_leave(p, i);
}

static rp_status fetch_to_host(rpi_pool *p, rpi_instance *to, const rpi_instance *from) {
  const size_t bytes = (size_t)to->bytes;
  RPI_TRY(rpi_residence_host(p, to, RPI_USE_OVERWRITE));
  if (from && !(from->valid & RPI_AT_HOST))
    return rpi_device_download(p->device, to->data, from->device, to->bytes);
  if (from)
    memcpy(to->data, from->data, bytes);
  else
    memset(to->data, 0, bytes);
  return RP_OK;
}

rp_status rpi_residence_fetch(rpi_pool *p, rpi_instance *to, rpi_instance *from, uint8_t side) {
  if (from) RPI_TRY(rpi_residence_ours(p, from));
  if (side == RPI_AT_HOST) return fetch_to_host(p, to, from);
  /* Where memory is short `from` may leave the GPU for `to`. */
  RPI_TRY(rpi_residence_device(p, to, RPI_USE_OVERWRITE));
  if (!from) return rpi_device_zero(p->device, to->device, to->bytes);
  if (from->valid & RPI_AT_DEVICE)
    return rpi_device_copy(p->device, to->device, from->device, to->bytes);
  return rpi_device_upload(p->device, to->device, from->data, to->bytes);
}

rp_status rpi_residence_copy(rpi_pool *p, rpi_instance *to, rpi_instance *from) {
  const bool there = p->device && from->valid & RPI_AT_DEVICE;
  return rpi_residence_fetch(p, to, from, there ? RPI_AT_DEVICE : RPI_AT_HOST);
}

rp_status rpi_residence_zero(rpi_pool *p, rpi_instance *i) {
  return rpi_residence_fetch(p, i, NULL, p->device ? RPI_AT_DEVICE : RPI_AT_HOST);
}
