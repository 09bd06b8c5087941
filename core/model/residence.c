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

static void use_now(rpi_pool *p, rpi_instance *i) {
  i->used = p->turn;
  if (p->newest == i) return;
  unlink_instance(p, i);
  link_newest(p, i);
}

void rpi_residence_leave(rpi_pool *p, rpi_instance *i) {
  if (i->device == 0) return;
  unlink_instance(p, i);
  rpi_device_put(p->device, i->device, i->bytes);
  i->device = 0;
  i->valid &= (uint8_t)~RPI_AT_DEVICE;
}

/* ---- memory ---- */

static rp_status host_memory(rpi_pool *p, rpi_instance *i) {
  if (i->data) return RP_OK;
  i->data = rpi_memory_get(p->memory, (size_t)i->bytes, NULL);
  return i->data ? RP_OK : RP_ERR_MEMORY;
}

static void leave_host(rpi_pool *p, rpi_instance *i) {
  i->valid &= (uint8_t)~RPI_AT_HOST;
  if (i->foreign || !i->data) return;
  rpi_memory_put(p->memory, i->data, (size_t)i->bytes);
  i->data = NULL;
}

/* One instance leaves the GPU; false: all that are there are in use. */
static bool make_room(rpi_pool *p, rp_status *st) {
  rpi_instance *who = NULL;
  for (rpi_instance *i = p->oldest; i && i->used != p->turn; i = i->newer) {
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
  if (sides & RPI_AT_HOST) RPI_TRY(host_memory(p, i));
  return sides & RPI_AT_DEVICE ? device_memory(p, i) : RP_OK;
}

/* ---- moves ---- */

rp_status rpi_residence_to_host(rpi_pool *p, rpi_instance *i, rpi_use use) {
  RPI_TRY(host_memory(p, i));
  if (use != RPI_USE_OVERWRITE && i->valid == RPI_AT_DEVICE)
    RPI_TRY(rpi_device_download(p->device, i->data, i->device, i->bytes));
  i->valid |= RPI_AT_HOST;
  if (use != RPI_USE_READ) rpi_residence_leave(p, i);
  return RP_OK;
}

rp_status rpi_residence_device(rpi_pool *p, rpi_instance *i, rpi_use use) {
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

rp_status rpi_residence_copy(rpi_pool *p, rpi_instance *to, const rpi_instance *from) {
  if (p->device && (from->valid & RPI_AT_DEVICE)) {
    RPI_TRY(rpi_residence_device(p, to, RPI_USE_OVERWRITE));
    return rpi_device_copy(p->device, to->device, from->device, to->bytes);
  }
  RPI_TRY(rpi_residence_host(p, to, RPI_USE_OVERWRITE));
  memcpy(to->data, from->data, (size_t)to->bytes);
  return RP_OK;
}

rp_status rpi_residence_zero(rpi_pool *p, rpi_instance *i) {
  if (p->device) {
    RPI_TRY(rpi_residence_device(p, i, RPI_USE_OVERWRITE));
    return rpi_device_zero(p->device, i->device, i->bytes);
  }
  memset(i->data, 0, (size_t)i->bytes);
  return RP_OK;
}
