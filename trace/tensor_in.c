/* SPDX-License-Identifier: Apache-2.0
 * trace/tensor_in.c -- a DLPack tensor becomes a store.
 * Not here: the way out (tensor_out.c). */
#include "trace/tensor.h"

#include "core/base/alloc.h"
#include "trace/calls.h"
#include "trace/lending.h"

/* ---- what it is ---- */

rpi_dlpack_dtype rpi_tensor_dtype(rp_dtype t) {
  static const uint8_t code[RPI_N_DTYPE] = {
      [RP_BOOL] = RPI_DLPACK_BOOL, [RP_U8] = RPI_DLPACK_UINT,  [RP_U16] = RPI_DLPACK_UINT,
      [RP_U32] = RPI_DLPACK_UINT,  [RP_U64] = RPI_DLPACK_UINT, [RP_F32] = RPI_DLPACK_FLOAT,
      [RP_F64] = RPI_DLPACK_FLOAT, [RP_I8] = RPI_DLPACK_INT,   [RP_I16] = RPI_DLPACK_INT,
      [RP_I32] = RPI_DLPACK_INT,   [RP_I64] = RPI_DLPACK_INT};
  return (rpi_dlpack_dtype){code[t], (uint8_t)(8 * rpi_dtype_size(t)), 1};
}

static rp_status dtype_of(rpi_dlpack_dtype t, rp_dtype *out) {
  for (rp_dtype d = 0; d < RPI_N_DTYPE; d++) {
    const rpi_dlpack_dtype known = rpi_tensor_dtype(d);
    if (known.code == t.code && known.bits == t.bits && known.lanes == t.lanes) {
      *out = d;
      return RP_OK;
    }
  }
  return rpi_status_fail(RP_ERR_DTYPE,
                         "the tensor's elements are of type code %d with %d bits and %d lanes, "
                         "which no dtype is",
                         t.code, t.bits, t.lanes);
}

/* RP_OK and whether it is on the GPU. */
static rp_status side_of(const rp_context *ctx, rpi_dlpack_device d, uint8_t *side) {
  *side = d.device_type == RPI_DLPACK_CUDA ? RPI_AT_DEVICE : RPI_AT_HOST;
  if (d.device_type == RPI_DLPACK_CPU || d.device_type == RPI_DLPACK_CUDA_HOST) return RP_OK;
  if (d.device_type != RPI_DLPACK_CUDA)
    return rpi_status_fail(RP_ERR_DEVICE,
                           "the tensor is on a device of type %d; 1 (host), 2 (CUDA) and 3 (pinned "
                           "host memory) can be imported",
                           d.device_type);
  if (!ctx->device)
    return rpi_status_fail(RP_ERR_DEVICE, "the tensor is on GPU %d, but the context uses none",
                           d.device_id);
  const int32_t ours = rpi_device_facts_get(ctx->device)->ordinal;
  if (d.device_id != ours)
    return rpi_status_fail(RP_ERR_DEVICE, "the tensor is on GPU %d, but the context uses GPU %d",
                           d.device_id, ours);
  return RP_OK;
}

/* Its box in elements, relative to its first one, and the first and the last that it spans. */
static rp_status box_of(const rpi_dlpack_tensor *t, rpi_geom *g, int64_t *lo, int64_t *hi) {
  int64_t n;
  if (t->ndim > 0 && !t->shape)
    return rpi_status_fail(RP_ERR_ARGUMENT, "the tensor's shape is NULL");
  RPI_TRY(rpi_geom_check(t->ndim, t->shape, &n));
  rpi_geom_dense(t->ndim, t->shape, g);
  *lo = *hi = 0;
  for (int32_t d = 0; d < t->ndim; d++) {
    const int64_t last = t->shape[d] - 1;
    int64_t reach;
    if (t->strides) g->stride[d] = last > 0 ? t->strides[d] : 0;
    if (__builtin_mul_overflow(last > 0 ? last : 0, g->stride[d], &reach) ||
        __builtin_add_overflow(reach < 0 ? *lo : *hi, reach, reach < 0 ? lo : hi))
      return rpi_status_fail(RP_ERR_SHAPE, "the tensor's stride %lld of axis %d leaves 2^63",
                             (long long)g->stride[d], d);
  }
  if (n == 0) {
    rpi_geom_dense(t->ndim, t->shape, g);
    *lo = *hi = 0;
  }
  return RP_OK;
}

/* ---- its memory ---- */

static void delete_versioned(void *arg) {
  struct DLManagedTensorVersioned *t = arg;
  if (t->deleter) t->deleter(t);
}

static void delete_legacy(void *arg) {
  struct DLManagedTensor *t = arg;
  if (t->deleter) t->deleter(t);
}

/* The elements lo..hi that the tensor spans, in its own shape if they are just its. */
static rp_status memory_of(const rpi_dlpack_tensor *t, uint8_t side, int64_t lo, int64_t hi,
                           const rpi_geom *g, rpi_lent_array *a) {
  const int64_t elem = rpi_dtype_size(a->dtype);
  int64_t span;
  if (__builtin_sub_overflow(hi, lo, &span) || span >= INT64_MAX / elem)
    return rpi_status_fail(RP_ERR_SHAPE, "the tensor spans more than 2^63 bytes");
  if (!t->data) return rpi_status_fail(RP_ERR_ARGUMENT, "the tensor's data are NULL");
  const uintptr_t at = (uintptr_t)t->data + (uintptr_t)t->byte_offset + (uintptr_t)(lo * elem);
  if (at % (uintptr_t)elem != 0)
    return rpi_status_fail(RP_ERR_ARGUMENT,
                           "the tensor's data at 0x%llx are not aligned to %d bytes",
                           (unsigned long long)at, (int)elem);
  if (side == RPI_AT_HOST)
    a->data = (void *)at;
  else
    a->device = (CUdeviceptr)at;
  const bool dense = rpi_geom_is_dense(g);
  a->ndim = dense ? g->ndim : 1;
  a->shape[0] = span + 1;
  for (int32_t d = 0; dense && d < g->ndim; d++) a->shape[d] = g->shape[d];
  /* What lies between the elements is not ours to bring back, and elements that are shown twice are not written. */
  if (!dense && rpi_geom_size(g) != span + 1) a->readonly = true;
  return RP_OK;
}

/* The store, whose buffer does not know the owner yet. */
static rp_status attach(rp_context *ctx, const rpi_dlpack_tensor *t, bool readonly, int64_t stream,
                        rp_store **out) {
  rpi_lent_array a = {.readonly = readonly, .shares = true};
  uint8_t side;
  rpi_geom g;
  int64_t lo, hi;
  RPI_TRY(dtype_of(t->dtype, &a.dtype));
  RPI_TRY(side_of(ctx, t->device, &side));
  RPI_TRY(box_of(t, &g, &lo, &hi));
  if (rpi_geom_size(&g) == 0) return rpi_store_new(ctx->pool, a.dtype, t->ndim, t->shape, out);
  RPI_TRY(memory_of(t, side, lo, hi, &g, &a));
  if (side == RPI_AT_DEVICE) RPI_TRY(rpi_device_has(ctx->device, a.device));
  rp_store *whole;
  RPI_TRY(rpi_lending_attach(ctx, &a, stream, &whole));
  if (rpi_geom_is_dense(&g)) {
    *out = whole;
    return RP_OK;
  }
  g.offset = -lo;
  const rp_status st = rpi_store_derive(whole, &g, out);
  rpi_store_release(whole); /* after an error with its buffer */
  return st;
}

rp_status rpi_tensor_import(rp_context *ctx, const rpi_tensor_in *in, int64_t stream,
                            rp_store **out) {
  const struct DLManagedTensorVersioned *v = in->versioned;
  *out = NULL;
  if (v && v->major != RPI_DLPACK_MAJOR)
    return rpi_status_fail(RP_ERR_ARGUMENT,
                           "the tensor is of version %u.%u of DLPack, and %d.x is understood",
                           v->major, v->minor, RPI_DLPACK_MAJOR);
  rpi_owner *owner = rpi_alloc_zero(sizeof *owner);
  if (!owner) return rpi_status_nomem("a tensor's owner");
  *owner = (rpi_owner){.let_go = v ? delete_versioned : delete_legacy,
                       .arg = v ? (void *)in->versioned : (void *)in->legacy};
  const rpi_dlpack_tensor *t = v ? &v->dl_tensor : &in->legacy->dl_tensor;
  const rp_status st = attach(ctx, t, v && v->flags & RPI_DLPACK_READ_ONLY, stream, out);
  if (st != RP_OK) {
    rpi_alloc_free(owner);
    return st;
  }
  rpi_calls_note(ctx, RPI_CALLS_IMPORT, *out);
  if ((*out)->buf->home)
    (*out)->buf->home->owner = owner;
  else
    rpi_lent_tell(owner); /* there are no elements */
  return RP_OK;
}
