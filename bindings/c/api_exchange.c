/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/api_exchange.c -- entry points: memory and tensors of others, in and out, on the host and on a GPU.
 * Not here: what becomes of them (trace/lending.h, trace/tensor.h, core/model/lent.h). */
#include "bindings/c/api.h"
#include "trace/calls.h"
#include "trace/lending.h"
#include "trace/tensor.h"

/* ---- attached memory ---- */

static rp_status check_memory(const char *call, rp_dtype dtype, const void *data, int32_t access) {
  if (access != RP_READ_ONLY && access != RP_READ_WRITE)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: access is %d", call, access);
  if (!data) return rpi_status_fail(RP_ERR_ARGUMENT, "%s: data is NULL", call);
  if ((uintptr_t)data % (uintptr_t)rpi_dtype_size(dtype) != 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: data at %p is not aligned to %d bytes", call, data,
                           rpi_dtype_size(dtype));
  return RP_OK;
}

static rp_status attach(const char *call, rp_context *ctx, rpi_lent_array *a, const int64_t *shape,
                        int64_t stream, rp_store **out) {
  for (int32_t d = 0; d < a->ndim; d++) a->shape[d] = shape[d];
  const rp_status st = rpi_lending_attach(ctx, a, stream, out);
  if (st != RP_OK) return rpi_status_context(st, "%s", call);
  rpi_calls_note(ctx, RPI_CALLS_ATTACH, *out);
  if (RPI_UNLIKELY(ctx->crew)) rpi_follow_attached(ctx, *out);
  return RP_OK;
}

rp_status rp_store_attach(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                          void *data, int32_t access, rp_store **out) {
  static const char call[] = "rp_store_attach";
  RPI_API_NEED_OUT(call, out);
  RPI_TRY(rpi_api_check_shape(call, dtype, ndim, shape));
  RPI_TRY(check_memory(call, dtype, data, access));
  rpi_lent_array a = {
      .dtype = dtype, .ndim = ndim, .data = data, .readonly = access == RP_READ_ONLY};
  RPI_TRY(rpi_api_enter(ctx, call));
  return rpi_api_leave(ctx, attach(call, ctx, &a, shape, RPI_STREAM_NONE, out));
}

/* The others have no memory for what lies on one of several GPUs. */
static rp_status only_one(const rp_context *ctx, const char *call) {
  return rpi_status_fail(RP_ERR_DEVICE,
                         "%s: memory on a GPU can be lent to a context that uses one GPU, and this "
                         "one uses %d",
                         call, rpi_crew_size(ctx->crew));
}

/* Memory of the GPU that the context uses. */
static rp_status check_device(const char *call, const rp_context *ctx, int32_t device,
                              CUdeviceptr data) {
  if (!ctx->device)
    return rpi_status_fail(RP_ERR_DEVICE, "%s: device is %d, but the context uses no GPU", call,
                           device);
  if (ctx->crew) return only_one(ctx, call);
  const rpi_device_facts *f = rpi_device_facts_get(ctx->device);
  if (device != f->ordinal)
    return rpi_status_fail(RP_ERR_DEVICE, "%s: device is %d, but the context uses GPU %d (%s)",
                           call, device, f->ordinal, f->name);
  const rp_status st = rpi_device_has(ctx->device, data);
  return st == RP_OK ? RP_OK : rpi_status_context(st, "%s", call);
}

rp_status rp_store_attach_device(rp_context *ctx, rp_dtype dtype, int32_t ndim,
                                 const int64_t *shape, void *data, int32_t device, int64_t stream,
                                 int32_t access, rp_store **out) {
  static const char call[] = "rp_store_attach_device";
  RPI_API_NEED_OUT(call, out);
  RPI_TRY(rpi_api_check_shape(call, dtype, ndim, shape));
  RPI_TRY(check_memory(call, dtype, data, access));
  rpi_lent_array a = {.dtype = dtype,
                      .ndim = ndim,
                      .device = (CUdeviceptr)(uintptr_t)data,
                      .readonly = access == RP_READ_ONLY};
  RPI_TRY(rpi_api_enter(ctx, call));
  const rp_status st = check_device(call, ctx, device, a.device);
  return rpi_api_leave(ctx, st != RP_OK ? st : attach(call, ctx, &a, shape, stream, out));
}

typedef rp_status turn(rp_context *ctx, rp_store *s, const char *call, const int64_t *stream);

static rp_status take_turn(const char *call, rp_store *s, turn *what, const int64_t *stream) {
  rp_context *ctx;
  rp_status st = RP_OK;
  RPI_TRY(rpi_api_enter_store(s, call, &ctx));
  if (stream && ctx->device) st = rpi_device_stream_good(ctx->device, *stream);
  if (st != RP_OK) return rpi_api_leave(ctx, rpi_status_context(st, "%s", call));
  const bool leaves = what == rpi_lending_leave;
  if (RPI_UNLIKELY(ctx->crew && s->buf->home))
    st = rpi_follow_use(ctx, leaves ? RPI_FOLLOW_DETACH : RPI_FOLLOW_HOME, s);
  if (st == RP_OK) st = what(ctx, s, call, stream);
  /* The caller's turn may change what followers have. */
  if (RPI_UNLIKELY(ctx->crew && st == RP_OK && !leaves))
    s->buf->theirs = !(s->buf->klass & RPI_CLASS_READ_ONLY);
  return rpi_api_leave(ctx, st);
}

rp_status rp_store_home(rp_store *s) {
  return take_turn("rp_store_home", s, rpi_lending_home, NULL);
}

rp_status rp_store_home_stream(rp_store *s, int64_t stream) {
  return take_turn("rp_store_home_stream", s, rpi_lending_home, &stream);
}

rp_status rp_store_detach(rp_store *s) {
  return take_turn("rp_store_detach", s, rpi_lending_leave, NULL);
}

rp_status rp_store_detach_stream(rp_store *s, int64_t stream) {
  return take_turn("rp_store_detach_stream", s, rpi_lending_leave, &stream);
}

/* ---- tensors ---- */

static void told_import(rp_context *ctx, const rp_store *s) {
  const rpi_view *v = s->view;
  if (s->buf->home)
    rpi_follow_attached(ctx, s);
  else /* without elements */
    rpi_follow_create(ctx, RPI_FOLLOW_CREATE, v->dtype, v->geom.ndim, v->geom.shape, s);
}

static rp_status import(const char *call, rp_context *ctx, const rpi_tensor_in *in, int64_t stream,
                        rp_store **out) {
  if (!in->versioned && !in->legacy)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: tensor is NULL", call);
  const rpi_dlpack_tensor *t = in->versioned ? &in->versioned->dl_tensor : &in->legacy->dl_tensor;
  if (ctx->crew && t->device.device_type == RPI_DLPACK_CUDA) return only_one(ctx, call);
  const rp_status st = rpi_tensor_import(ctx, in, stream, out);
  if (st != RP_OK) return rpi_status_context(st, "%s", call);
  if (RPI_UNLIKELY(ctx->crew)) told_import(ctx, *out);
  return RP_OK;
}

rp_status rp_store_import_dlpack(rp_context *ctx, struct DLManagedTensorVersioned *tensor,
                                 int64_t stream, rp_store **out) {
  static const char call[] = "rp_store_import_dlpack";
  const rpi_tensor_in in = {.versioned = tensor};
  RPI_API_NEED_OUT(call, out);
  RPI_TRY(rpi_api_enter(ctx, call));
  return rpi_api_leave(ctx, import(call, ctx, &in, stream, out));
}

rp_status rp_store_import_dlpack_legacy(rp_context *ctx, struct DLManagedTensor *tensor,
                                        int64_t stream, rp_store **out) {
  static const char call[] = "rp_store_import_dlpack_legacy";
  const rpi_tensor_in in = {.legacy = tensor};
  RPI_API_NEED_OUT(call, out);
  RPI_TRY(rpi_api_enter(ctx, call));
  return rpi_api_leave(ctx, import(call, ctx, &in, stream, out));
}

static rp_status check_desc(const char *call, const rp_export_desc *d) {
  const int32_t known = RP_EXPORT_MAY_COPY | RP_EXPORT_MUST_COPY | RP_EXPORT_WRITABLE;
  if (d->struct_size != sizeof *d)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: desc.struct_size is %zu, not %zu", call,
                           d->struct_size, sizeof *d);
  if (d->flags & ~known)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: desc.flags is %d, of which %d is known", call,
                           d->flags, known);
  if (d->max_major < 0 || d->max_minor < 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: desc.max_major.max_minor is %d.%d", call,
                           d->max_major, d->max_minor);
  return RP_OK;
}

/* What one GPU has is its own; others cannot see whether it fits what is asked for. */
static rp_status check_crew(const rp_context *ctx, const rp_store *s, const rp_export_desc *d) {
  const bool any = d->device_type == 0 && !s->buf->home;
  const int32_t ours = rpi_device_facts_get(ctx->device)->ordinal;
  if (d->device_type == RPI_DLPACK_CUDA && d->device_id != ours)
    return rpi_status_fail(
        RP_ERR_DEVICE,
        "GPU %d is asked for, but what a context of several GPUs hands out is on "
        "its first, GPU %d",
        d->device_id, ours);
  return any || d->device_type == RPI_DLPACK_CUDA ? rpi_device_stream_good(ctx->device, d->stream)
                                                  : RP_OK;
}

static rp_status export_store(const char *call, rp_store *s, const rp_export_desc *desc,
                              const rpi_tensor_out *out) {
  static const rp_export_desc usual = {.struct_size = sizeof usual, .stream = RPI_STREAM_LEGACY};
  rp_context *ctx;
  if (!desc) desc = &usual;
  RPI_TRY(check_desc(call, desc));
  RPI_TRY(rpi_api_enter_store(s, call, &ctx));
  rp_status st = ctx->crew ? check_crew(ctx, s, desc) : RP_OK;
  if (st == RP_OK && ctx->crew) st = rpi_follow_exported(ctx, s, desc, out->legacy != NULL);
  if (st == RP_OK) st = rpi_tensor_export(ctx, s, desc, out);
  if (st == RP_OK && ctx->crew) {
    const rpi_tensor *t =
        out->legacy ? (*out->legacy)->manager_ctx : (*out->versioned)->manager_ctx;
    rpi_follow_store(ctx, RPI_FOLLOW_TENSOR, t->store);
  }
  return rpi_api_leave(ctx, st == RP_OK ? RP_OK : rpi_status_context(st, "%s", call));
}

rp_status rp_store_export_dlpack(rp_store *s, const rp_export_desc *desc,
                                 struct DLManagedTensorVersioned **out) {
  static const char call[] = "rp_store_export_dlpack";
  RPI_API_NEED_OUT(call, out);
  return export_store(call, s, desc, &(rpi_tensor_out){.versioned = out});
}

rp_status rp_store_export_dlpack_legacy(rp_store *s, const rp_export_desc *desc,
                                        struct DLManagedTensor **out) {
  static const char call[] = "rp_store_export_dlpack_legacy";
  RPI_API_NEED_OUT(call, out);
  return export_store(call, s, desc, &(rpi_tensor_out){.legacy = out});
}

/* ---- facts ---- */

rp_status rp_context_gpu(rp_context *ctx, int32_t *device, int64_t *stream) {
  static const char call[] = "rp_context_gpu";
  if (device) *device = -1;
  if (stream) *stream = 0;
  RPI_TRY(rpi_api_enter(ctx, call));
  if (!ctx->device)
    return rpi_api_leave(ctx, rpi_status_fail(RP_ERR_DEVICE, "%s: the context uses no GPU", call));
  if (device) *device = rpi_device_facts_get(ctx->device)->ordinal;
  if (stream) *stream = (int64_t)(intptr_t)rpi_device_stream(ctx->device);
  return rpi_api_leave(ctx, RP_OK);
}

rp_status rp_store_device(rp_store *s, int32_t *device_type, int32_t *device_id) {
  rp_context *ctx;
  if (device_type) *device_type = 0;
  if (device_id) *device_id = 0;
  RPI_TRY(rpi_api_enter_store(s, "rp_store_device", &ctx));
  rpi_tensor_where(ctx, s, device_type, device_id);
  return rpi_api_leave(ctx, RP_OK);
}
