/* SPDX-License-Identifier: Apache-2.0
 * trace/tensor_out.c -- a store becomes a DLPack tensor: as a copy, a snapshot or a window.
 * Not here: the way in (tensor_in.c). */
#include <string.h>

#include "core/base/alloc.h"
#include "core/model/residence.h"
#include "trace/calls.h"
#include "trace/lending.h"
#include "trace/places.h"
#include "trace/tensor.h"

/* What the holder gets, in one block. */
typedef struct abi {
  struct DLManagedTensorVersioned versioned;
  struct DLManagedTensor legacy;
  int64_t shape[RP_MAX_DIM], strides[RP_MAX_DIM];
} abi;

typedef enum way { COPY, SNAPSHOT, WINDOW } way;

/* ---- which way ---- */

static uint8_t usual_side(const rp_context *ctx, const rp_store *s) {
  if (s->buf->home) return rpi_lent_side(s->buf);
  return ctx->device ? RPI_AT_DEVICE : RPI_AT_HOST;
}

static rpi_dlpack_device device_of(const rp_context *ctx, uint8_t side) {
  if (side == RPI_AT_HOST) return (rpi_dlpack_device){RPI_DLPACK_CPU, 0};
  return (rpi_dlpack_device){RPI_DLPACK_CUDA, rpi_device_facts_get(ctx->device)->ordinal};
}

void rpi_tensor_where(const rp_context *ctx, const rp_store *s, int32_t *device_type,
                      int32_t *device_id) {
  const rpi_dlpack_device d = device_of(ctx, usual_side(ctx, s));
  if (device_type) *device_type = d.device_type;
  if (device_id) *device_id = d.device_id;
}

static rp_status side_of(const rp_context *ctx, const rp_store *s, const rp_export_desc *d,
                         uint8_t *side) {
  const int32_t ours = ctx->device ? rpi_device_facts_get(ctx->device)->ordinal : -1;
  *side = usual_side(ctx, s);
  switch (d->device_type) {
    case 0: return RP_OK;
    case RPI_DLPACK_CPU: *side = RPI_AT_HOST; return RP_OK;
    case RPI_DLPACK_CUDA: *side = RPI_AT_DEVICE; break;
    default:
      return rpi_status_fail(RP_ERR_DEVICE, "device_type is %d: 0 (any), 1 (host) or 2 (CUDA)",
                             d->device_type);
  }
  if (!ctx->device)
    return rpi_status_fail(RP_ERR_DEVICE, "GPU %d is asked for, but the context uses none",
                           d->device_id);
  if (d->device_id != ours)
    return rpi_status_fail(RP_ERR_DEVICE, "GPU %d is asked for, but the context uses GPU %d",
                           d->device_id, ours);
  return RP_OK;
}

/* Why the memory itself cannot be handed out; NULL: it can. */
static const char *why_not(const rp_context *ctx, const rp_store *s, const rp_export_desc *d,
                           bool legacy, uint8_t side) {
  const rpi_buffer *b = s->buf;
  const bool writes = d->flags & RP_EXPORT_WRITABLE;
  if (ctx->in_crew) return "several GPUs share the store";
  if (ctx->comm) return "several processes share the store";
  if (b->home && rpi_lent_side(b) != side) return "its memory is attached on the other side";
  if (writes && b->klass & RPI_CLASS_READ_ONLY) return "the store is attached read-only";
  if (writes && s->readonly_view) return "the view shows elements twice";
  if (!writes && legacy) return "a tensor of before DLPack 1.0 cannot say that it is read-only";
  return NULL;
}

static rp_status way_of(const rp_context *ctx, const rp_store *s, const rp_export_desc *d,
                        bool legacy, uint8_t side, way *out) {
  const bool writes = d->flags & RP_EXPORT_WRITABLE;
  *out = COPY;
  if (d->flags & RP_EXPORT_MUST_COPY) return RP_OK;
  const char *why = why_not(ctx, s, d, legacy, side);
  if (!why) {
    *out = writes || s->buf->home ? WINDOW : SNAPSHOT;
    return RP_OK;
  }
  if (d->flags & RP_EXPORT_MAY_COPY) return RP_OK;
  return rpi_status_fail(RP_ERR_ACCESS, "%s, and a copy is not allowed", why);
}

/* ---- the hidden store ---- */

/* On the host the elements of the view in C order; the same on all ranks. */
static rp_status copy_to_host(rp_context *ctx, rp_store *s, rp_store *t) {
  rpi_buffer *b = s->buf, *own = t->buf;
  const int64_t n = own->base->bsize;
  RPI_TRY(rpi_store_own(own, false));
  RPI_TRY(rpi_residence_host(own->pool, own->inst, RPI_USE_OVERWRITE));
  if (b->inst)
    RPI_TRY(rpi_places_read(ctx, b, &s->view->geom, own->inst->data));
  else
    memset(own->inst->data, 0, (size_t)own->inst->bytes);
  uint8_t *truth = own->inst->data;
  for (int64_t i = 0; own->base->dtype == RP_BOOL && i < n; i++) truth[i] = truth[i] != 0;
  return RP_OK;
}

/* A task copies, and what it merely shares becomes the tensor's own. */
static rp_status copy_to_gpu(rp_context *ctx, rp_store *s, rp_store *t) {
  RPI_TRY(rpi_segment_launch(ctx, ctx->copy_op, (rp_store *const[]){t, s}, NULL));
  RPI_TRY(rpi_segment_settle(ctx, t->buf, RPI_REASON_CUT_READ));
  if (ctx->comm) RPI_TRY(rpi_places_gather(ctx, t->buf));
  RPI_TRY(rpi_store_own(t->buf, true));
  return rpi_residence_device(t->buf->pool, t->buf->inst, RPI_USE_UPDATE);
}

static rp_status make_copy(rp_context *ctx, rp_store *s, uint8_t side, rp_store **out) {
  const rpi_geom *g = &s->view->geom;
  RPI_TRY(rpi_store_new(ctx->pool, s->view->dtype, g->ndim, g->shape, out));
  return side == RPI_AT_HOST ? copy_to_host(ctx, s, *out) : copy_to_gpu(ctx, s, *out);
}

static rp_status make_snapshot(rp_store *s, uint8_t side, rp_store **out) {
  rpi_buffer *b = s->buf;
  RPI_TRY(rpi_lent_share(b, side));
  RPI_TRY(rpi_store_make(b->pool, b->base, out));
  (*out)->buf->inst = b->inst;
  b->inst->refs++;
  return RP_OK;
}

static rp_status make_window(rp_store *s, uint8_t side, rp_store **out) {
  RPI_TRY(s->buf->home ? rpi_lent_home(s->buf) : rpi_lent_settle(s->buf, side));
  return rpi_store_derive(s, &s->view->geom, out);
}

/* ---- the tensor ---- */

static void release(void *manager_ctx) {
  const rpi_tensor *t = manager_ctx;
  rpi_store_release_later(t->store);
}

static void delete_versioned(struct DLManagedTensorVersioned *self) { release(self->manager_ctx); }
static void delete_legacy(struct DLManagedTensor *self) { release(self->manager_ctx); }

/* The elements of `g` in the memory that t holds. */
static void describe(const rp_context *ctx, const rpi_tensor *t, const rpi_geom *g, abi *a,
                     rpi_dlpack_tensor *out) {
  const rpi_buffer *b = t->store->buf;
  const rpi_instance *i = b->home ? b->home : b->inst;
  const bool gpu = t->side == RPI_AT_DEVICE;
  const uintptr_t base = gpu ? (uintptr_t)i->device : (uintptr_t)i->data;
  const int64_t first = rpi_geom_size(g) > 0 ? g->offset * rpi_dtype_size(b->base->dtype) : 0;
  for (int32_t d = 0; d < g->ndim; d++) {
    a->shape[d] = g->shape[d];
    a->strides[d] = g->stride[d];
  }
  *out = (rpi_dlpack_tensor){.data = (void *)(base + (uintptr_t)first),
                             .device = device_of(ctx, t->side),
                             .ndim = g->ndim,
                             .dtype = rpi_tensor_dtype(b->base->dtype),
                             .shape = a->shape,
                             .strides = a->strides};
}

/* The records of a tensor, not held by anybody yet. */
static rpi_tensor *make_records(uint8_t side, int64_t stream) {
  rpi_tensor *t = rpi_alloc_zero(sizeof *t);
  abi *a = rpi_alloc_zero(sizeof *a);
  if (t && a) {
    const bool ordered = side == RPI_AT_DEVICE && stream != RPI_STREAM_THREAD;
    *t = (rpi_tensor){.side = side, .stream = ordered ? stream : RPI_STREAM_NONE, .abi = a};
    return t;
  }
  rpi_alloc_free(t);
  rpi_alloc_free(a);
  rpi_status_nomem("a tensor");
  return NULL;
}

static void hand_out(const rp_context *ctx, const rpi_tensor *t, const rpi_geom *g, uint64_t flags,
                     const rpi_tensor_out *out) {
  abi *a = t->abi;
  rpi_dlpack_tensor tensor;
  describe(ctx, t, g, a, &tensor);
  a->versioned = (struct DLManagedTensorVersioned){.major = RPI_DLPACK_MAJOR,
                                                   .minor = RPI_DLPACK_MINOR,
                                                   .manager_ctx = (void *)t,
                                                   .deleter = delete_versioned,
                                                   .flags = flags,
                                                   .dl_tensor = tensor};
  a->legacy = (struct DLManagedTensor){tensor, (void *)t, delete_legacy};
  if (out->versioned)
    *out->versioned = &a->versioned;
  else
    *out->legacy = &a->legacy;
}

/* The way is open: the store of the tensor, and the stream behind our work. */
static rp_status make_store(rp_context *ctx, rp_store *s, way how, uint8_t side, int64_t stream,
                            rp_store **out) {
  RPI_TRY(how == COPY       ? make_copy(ctx, s, side, out)
          : how == SNAPSHOT ? make_snapshot(s, side, out)
                            : make_window(s, side, out));
  if (how == WINDOW) return rpi_lending_turn(ctx, s->buf->home, &stream);
  return side == RPI_AT_DEVICE ? rpi_device_lead(ctx->device, stream) : RP_OK;
}

rp_status rpi_tensor_export(rp_context *ctx, rp_store *s, const rp_export_desc *d,
                            const rpi_tensor_out *out) {
  rpi_buffer *b = s->buf;
  rp_store *own = NULL;
  uint8_t side;
  way how;
  RPI_TRY(side_of(ctx, s, d, &side));
  RPI_TRY(way_of(ctx, s, d, out->legacy != NULL, side, &how));
  if (side == RPI_AT_DEVICE) RPI_TRY(rpi_device_stream_good(ctx->device, d->stream));
  rpi_calls_note(ctx, RPI_CALLS_EXPORT, s);
  RPI_TRY(rpi_segment_settle(ctx, b, how == WINDOW ? RPI_REASON_CUT_WRITE : RPI_REASON_CUT_READ));
  b->unread = NULL;
  if (b->poison) return rpi_status_fail(RP_ERR_DATA, "the data are poisoned: %s", b->poison);
  rpi_tensor *t = make_records(side, d->stream);
  rp_status st = t ? make_store(ctx, s, how, side, d->stream, &own) : RP_ERR_MEMORY;
  if (st != RP_OK) {
    if (own) rpi_store_release(own);
    if (b->home && b->home->pins == 0) rpi_lent_forget(b);
    if (t) rpi_alloc_free(t->abi);
    rpi_alloc_free(t);
    return st;
  }
  t->store = own;
  rpi_lent_pin(t);
  const bool writes = how == COPY || d->flags & RP_EXPORT_WRITABLE;
  hand_out(ctx, t, how == COPY ? &own->view->geom : &s->view->geom,
           (writes ? 0 : RPI_DLPACK_READ_ONLY) | (how == COPY ? RPI_DLPACK_IS_COPIED : 0), out);
  return RP_OK;
}
