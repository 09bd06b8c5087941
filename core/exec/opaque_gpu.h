/* SPDX-License-Identifier: Apache-2.0
 * core/exec/opaque_gpu.h -- an opaque op's variant for the GPU.
 *
 * Lives here: the checked variant, one call of it, the launch that a call of a text is, what a function queues, recorded,
 *             what it asks for in the meantime: memory, and data that libraries keep with a context's GPU.
 * Not here:   which launches run there (trace/lower.c), graphs of them (graph.h), the variant for the host (opaque.h).
 * How:        a call is given the addresses that the plan is bound to. Memory of a call goes back to the GPU's free blocks
 *             when the function returns, since whoever gets it next uses it in the same stream, later. What is recorded
 *             uses it whenever a graph is launched, so that memory stays, and is that of all recorded calls: their work
 *             is in the order of the stream, too.
 * Invariant:  a function that reports failure poisons what its launch writes; a GPU that failed ends the plan. */
#ifndef RPI_OPAQUE_GPU_H
#define RPI_OPAQUE_GPU_H

#include "core/exec/plan.h"

typedef struct rpi_opaque_gpu rpi_opaque_gpu;

/* What functions find in a context with a GPU. */
typedef struct rpi_opaque_device {
  rpi_device *device;
  rpi_pool *pool;
  struct rpi_opaque_datum *data; /* what libraries keep, newest first, */
  struct rpi_opaque_kept *kept;  /* and memory of theirs */
} rpi_opaque_device;

/* The variant that the description has; NULL: it has none. Errors name the member. */
rp_status rpi_opaque_gpu_create(const rp_opaque_desc *desc, int32_t n_stores, int32_t n_scalars,
                                const uint8_t *scalar_dtype, rpi_opaque_gpu **out);
void rpi_opaque_gpu_free(rpi_opaque_gpu *v);
/* The text of its kernel and that one's name; NULL: it is a function. */
const char *rpi_opaque_gpu_text(const rpi_opaque_gpu *v, const char **entry);
/* Such a variant's kernel, before its first call; RP_ERR_ARGUMENT if its blocks are too large for it. */
rp_status rpi_opaque_gpu_install(rpi_opaque_gpu *v, const rpi_device_function *kernel);

/* The call is of a text, and can be launched: launches and their parameters are said as those of a kernel are
 * (rpi_kernel_gpu_code), with the plan's words or others as long. */
bool rpi_opaque_gpu_is_launch(const rpi_plan_call *c);
/* One, or 0 where there are no elements. Depends on extents alone. */
int32_t rpi_opaque_gpu_launches(const rpi_plan_call *c, rpi_kernel_launch *out);
int32_t rpi_opaque_gpu_pack(const rpi_plan_call *c, const rpi_word *words, void *out);
/* Graphs may have it: such a call, or a function's that can be recorded as far as is known. */
bool rpi_opaque_gpu_in_graphs(const rpi_plan_call *c);
/* What its function queues with these words, for rpi_device_forget. If it cannot be recorded it is loose from now on. */
rp_status rpi_opaque_gpu_record(rpi_plan *plan, rpi_plan_call *c, const rpi_word *words,
                                rpi_opaque_device *d, CUgraph *out);
void rpi_opaque_gpu_loosen(rpi_plan *plan, rpi_plan_call *c);

/* Queues call `c` of `plan`. If the function fails, or a text would take too many blocks, c->failed is set; else only the GPU
 * fails. */
rp_status rpi_opaque_gpu_call(const rpi_plan *plan, rpi_plan_call *c, rpi_opaque_device *d);
/* The call has not failed any more. */
void rpi_opaque_gpu_forgive(rpi_plan_call *c);

/* Behind the entry points, with the names of those. */
rp_status rpi_opaque_gpu_workspace(const rp_gpu_call *call, int64_t bytes, uint64_t *out);
rp_status rpi_opaque_gpu_keep(const rp_gpu_call *call, int64_t bytes, uint64_t *out);
rp_status rpi_opaque_gpu_drop(const rp_gpu_call *call, uint64_t address);
rp_status rpi_opaque_gpu_set_data(const rp_gpu_call *call, const void *key, void *data,
                                  void (*free_data)(void *data));
void *rpi_opaque_gpu_data(const rp_gpu_call *call, const void *key);
/* Waits, and frees all that libraries keep. */
void rpi_opaque_gpu_end(rpi_opaque_device *d);

#endif
