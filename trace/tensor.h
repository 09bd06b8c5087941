/* SPDX-License-Identifier: Apache-2.0
 * trace/tensor.h -- stores and tensors of other libraries, by DLPack: in and out without a copy where that can be.
 *
 * Lives here: between a DLPack tensor and a store.
 * Not here:   the binary interface (core/model/dlpack.h), homes and pins (core/model/lent.h).
 * How:        in: the memory that the elements span is attached, and the store is a view of it. Out, there are three ways. A
 *             *copy* belongs to the tensor. A *snapshot*, which is read-only, is a hidden store that shares the instance as
 *             rp_store_copy's stores do: who writes first takes another. A *window* is the store's home itself. Whatever the
 *             way, the tensor is a handle of its own on a buffer, and its deleter releases that from any thread.
 * Threads:    the context's; deleters from any. */
#ifndef RPI_TENSOR_H
#define RPI_TENSOR_H

#include "core/model/dlpack.h"
#include "trace/context.h"

/* What a tensor calls a dtype. */
rpi_dlpack_dtype rpi_tensor_dtype(rp_dtype t);

/* A tensor that came in, of one of the two layouts. */
typedef struct rpi_tensor_in {
  struct DLManagedTensorVersioned *versioned;
  struct DLManagedTensor *legacy;
} rpi_tensor_in;
/* The tensor is the store's on success, and its own affair else. */
rp_status rpi_tensor_import(rp_context *ctx, const rpi_tensor_in *in, int64_t stream,
                            rp_store **out);

/* One of the two layouts is asked for. */
typedef struct rpi_tensor_out {
  struct DLManagedTensorVersioned **versioned;
  struct DLManagedTensor **legacy;
} rpi_tensor_out;
rp_status rpi_tensor_export(rp_context *ctx, rp_store *s, const rp_export_desc *desc,
                            const rpi_tensor_out *out);
/* Where an export that asks for no device lies. */
void rpi_tensor_where(const rp_context *ctx, const rp_store *s, int32_t *device_type,
                      int32_t *device_id);

#endif
