/* SPDX-License-Identifier: Apache-2.0
 * core/model/lent.c -- see lent.h. */
#include "core/model/lent.h"

#include "core/base/alloc.h"
#include "core/model/residence.h"

/* ---- attaching ---- */

static uint64_t address_of(const rpi_instance *i) {
  return i->pinned == RPI_AT_DEVICE ? (uint64_t)i->device : (uint64_t)(uintptr_t)i->data;
}

/* Addresses of both sides are one space. */
static rp_status check_overlap(const rpi_pool *p, const rpi_instance *i, bool may_share) {
  const uint64_t at = address_of(i);
  for (const rpi_buffer *b = p->attached; b; b = b->next) {
    const uint64_t lo = address_of(b->home);
    if (may_share && b->klass & RPI_CLASS_READ_ONLY) continue;
    if (at < lo + (uint64_t)b->home->bytes && lo < at + (uint64_t)i->bytes)
      return rpi_status_fail(
          RP_ERR_ACCESS,
          "%lld bytes at 0x%llx overlap %lld bytes at 0x%llx, which are attached already",
          (long long)i->bytes, (unsigned long long)at, (long long)b->home->bytes,
          (unsigned long long)lo);
  }
  return RP_OK;
}

static void enter_list(rpi_buffer *b) {
  b->home->home = true;
  b->place = RPI_PLACE_PINNED;
  b->next = b->pool->attached;
  b->pool->attached = b;
}

static void leave_list(rpi_buffer *b) {
  for (rpi_buffer **at = &b->pool->attached; *at; at = &(*at)->next)
    if (*at == b) {
      *at = b->next;
      break;
    }
  b->next = NULL;
  b->place = RPI_PLACE_WHOLE;
}

rp_status rpi_lent_attach(rpi_pool *p, const rpi_lent_array *a, rp_store **out) {
  enum { ALIGNED = 16 };
  rp_store *s;
  *out = NULL;
  RPI_TRY(rpi_store_new(p, a->dtype, a->ndim, a->shape, &s));
  rpi_buffer *b = s->buf;
  rpi_instance *i = rpi_alloc_zero(sizeof *i);
  const uint8_t side = a->data ? RPI_AT_HOST : RPI_AT_DEVICE;
  if (i)
    *i = (rpi_instance){.data = a->data,
                        .device = a->data ? 0 : a->device,
                        .bytes = rpi_store_bytes(b),
                        .held.hi = rpi_store_bytes(b),
                        .refs = 2,
                        .pins = 1,
                        .valid = side,
                        .pinned = side,
                        .foreign = true};
  const rp_status st =
      i ? check_overlap(p, i, a->shares && a->readonly) : rpi_status_nomem("instance");
  if (st != RP_OK) {
    rpi_alloc_free(i);
    rpi_store_release(s);
    return st;
  }
  b->inst = b->home = i;
  i->unaligned = side == RPI_AT_DEVICE && a->device % ALIGNED;
  b->klass = (a->readonly ? RPI_CLASS_READ_ONLY : 0) | (i->unaligned ? RPI_CLASS_UNALIGNED : 0);
  enter_list(b);
  *out = s;
  return RP_OK;
}

/* ---- homes ---- */

static void forget_spare(rpi_buffer *b) {
  if (b->spare) rpi_store_instance_release(b->pool, b->spare);
  b->spare = NULL;
  b->spare_tag = 0;
}

static rp_status bring(rpi_pool *p, rpi_instance *i, uint8_t side, rpi_use use) {
  return side == RPI_AT_HOST ? rpi_residence_host(p, i, use) : rpi_residence_device(p, i, use);
}

rp_status rpi_lent_home(rpi_buffer *b) {
  rpi_pool *p = b->pool;
  rpi_instance *home = b->home;
  const bool here = b->inst == home, changes = !(b->klass & RPI_CLASS_READ_ONLY);
  rpi_assert(home->pinned == RPI_AT_HOST || home->pinned == RPI_AT_DEVICE);
  /* Copies that share the home keep the values it has until now. */
  if (changes) RPI_TRY(rpi_store_unshare(p, home, 1 + here + (b->spare == home)));
  if (here) {
    RPI_TRY(bring(p, home, home->pinned, changes ? RPI_USE_UPDATE : RPI_USE_READ));
  } else {
    RPI_TRY(rpi_residence_fetch(p, home, b->inst, home->pinned));
    if (b->inst) rpi_store_instance_release(p, b->inst);
    forget_spare(b);
    b->inst = home;
    home->refs++;
  }
  if (changes) rpi_store_touch(b); /* others may write it now */
  return RP_OK;
}

rp_status rpi_lent_leave(rpi_buffer *b) {
  rpi_pool *p = b->pool;
  rpi_instance *own = rpi_store_instance(p, b->home->bytes, b->home);
  if (!own) return RP_ERR_MEMORY;
  rp_status st = rpi_residence_copy(p, own, b->home);
  /* Copies that still share the home get values of their own. */
  if (st == RP_OK) st = rpi_store_unshare(p, b->home, 2);
  if (st != RP_OK) {
    rpi_store_instance_release(p, own);
    return st;
  }
  leave_list(b);
  rpi_store_instance_release(p, b->inst);
  rpi_store_instance_release(p, b->home);
  b->inst = own;
  b->home = NULL;
  b->klass = 0;
  return RP_OK;
}

rp_status rpi_lent_settle(rpi_buffer *b, uint8_t side) {
  RPI_TRY(rpi_store_own(b, true));
  RPI_TRY(bring(b->pool, b->inst, side, RPI_USE_UPDATE));
  forget_spare(b);
  b->home = b->inst;
  b->home->refs++;
  b->home->pinned = side;
  enter_list(b);
  rpi_store_touch(b);
  return RP_OK;
}

rp_status rpi_lent_share(rpi_buffer *b, uint8_t side) {
  rpi_assert(!b->home);
  if (!b->inst || b->inst->home) RPI_TRY(rpi_store_own(b, true));
  return bring(b->pool, b->inst, side, RPI_USE_READ);
}

/* The home of a buffer that nobody else uses any more is an instance like any other. */
void rpi_lent_forget(rpi_buffer *b) {
  rpi_instance *home = b->home;
  leave_list(b);
  home->home = false;
  if (home->pins == 0) home->pinned = 0;
  b->home = NULL;
  rpi_store_instance_release(b->pool, home);
}

/* ---- tensors ---- */

static rpi_instance *held_by(const rpi_buffer *b) { return b->home ? b->home : b->inst; }

void rpi_lent_pin(rpi_tensor *t) {
  rpi_buffer *b = t->store->buf;
  rpi_instance *i = held_by(b);
  t->store->tensor = t;
  i->pins++;
  i->pinned |= t->side;
  b->tensors++;
  b->pool->tensors++;
}

void rpi_lent_unpin(rp_store *s) {
  rpi_tensor *t = s->tensor;
  rpi_buffer *b = s->buf;
  rpi_pool *p = b->pool;
  rpi_instance *i = held_by(b);
  s->tensor = NULL;
  b->tensors--;
  p->tensors--;
  /* A device that has failed so needs no order. */
  if (t->side == RPI_AT_DEVICE && p->device) (void)rpi_device_follow(p->device, t->stream);
  rpi_alloc_free(t->abi);
  rpi_alloc_free(t);
  if (--i->pins > 0) return;
  i->pinned = 0;
  if (b->home) rpi_lent_forget(b);
}

/* ---- owners ---- */

void rpi_lent_done(rpi_pool *p, rpi_instance *i) {
  if (i->pinned == RPI_AT_HOST) i->data = NULL;
  if (i->pinned == RPI_AT_DEVICE) i->device = 0;
  if (!i->owner) return;
  i->owner->next = p->due;
  p->due = i->owner;
  i->owner = NULL;
}

void rpi_lent_tell(rpi_owner *due) {
  while (due) {
    rpi_owner *o = due;
    due = o->next;
    o->let_go(o->arg);
    rpi_alloc_free(o);
  }
}
