/* SPDX-License-Identifier: Apache-2.0
 * core/device/device.h -- one GPU: its facts, its memory, its stream.
 *
 * Lives here: what the rest of the library asks of a GPU. Not here: the driver's symbols (cuda.h), who owns which
 *             memory (core/model/residence.h), kernels' texts (jit/).
 * How:        a device is the primary context of one GPU, retained, and one stream: all work of a context goes there in
 *             the order of the calls, so memory that was given back may be handed out again at once. Only what names a host
 *             address that it reads or fills before it returns waits.
 * Errors:     RP_ERR_MEMORY when the GPU's memory does not suffice; RP_ERR_DEVICE for all else, with the call, the
 *             driver's word for it, and for failures that come late (a kernel's illegal access) a note that an earlier
 *             launch is meant. A device that has failed so stays failed.
 * Threads:    one thread at a time. The GPU's context is current during a call only; the caller's is restored. */
#ifndef RPI_DEVICE_H
#define RPI_DEVICE_H

#include "core/base/status.h"
#include "core/device/cuda_types.h"

typedef struct rpi_device rpi_device;

typedef struct rpi_device_facts {
  char name[128];
  int32_t ordinal;
  int32_t arch; /* 90: compute capability 9.0 */
  int32_t multiprocessors;
  int32_t driver; /* 12040: CUDA 12.4 */
  int64_t memory; /* bytes */
  int64_t l2;     /* bytes */
  int32_t
      parameter_most; /* bytes of a kernel's parameters: 4096, or 32764 where the driver takes them */
} rpi_device_facts;

typedef struct rpi_device_stats {
  int64_t live, peak;            /* bytes handed out */
  int64_t uploads, upload_bytes; /* host to device */
  int64_t downloads, download_bytes;
  int64_t launches, waits;
  int64_t graph_launches;
} rpi_device_stats;

/* How many GPUs there are; RP_ERR_DEVICE with one sentence why there is none: no driver library, the stub of the toolkit,
 * driver too old (with both versions), no device. `library`: path of libcuda, or NULL. Makes no context. */
rp_status rpi_device_count(const char *library, int32_t *out);
/* GPU number `ordinal`; `limit`: bytes of memory to use at most, 0: all there is. */
rp_status rpi_device_open(const char *library, int32_t ordinal, int64_t limit, rpi_device **out);
/* Waits for what runs. NULL is allowed. What is handed out is freed. */
void rpi_device_close(rpi_device *d);
const rpi_device_facts *rpi_device_facts_get(const rpi_device *d);
const rpi_device_stats *rpi_device_stats_get(const rpi_device *d);
/* RP_OK, or the error that the device failed with. */
rp_status rpi_device_status(const rpi_device *d);
CUstream rpi_device_stream(const rpi_device *d);
/* For functions of others: from one to the other the GPU's context is current on this thread. */
rp_status rpi_device_lend(rpi_device *d);
rp_status rpi_device_regain(rpi_device *d); /* not after a lend that failed */

/* ---- memory, in stream order: what was put back may be in use by earlier work. 256-byte aligned. */
rp_status rpi_device_get(rpi_device *d, int64_t bytes, CUdeviceptr *out);
void rpi_device_put(rpi_device *d, CUdeviceptr p,
                    int64_t bytes); /* bytes as asked for; 0: nothing */
/* Blocks that were put back go to the driver, after a wait. */
void rpi_device_trim(rpi_device *d);

/* ---- spans, in stream order as well: addresses for all of an array, and memory, in granules, for what is used of it.
 * What has none must not be touched. */
typedef struct rpi_device_span rpi_device_span;
/* Finds out whether the driver can do this, by doing it; without it there are no granules. */
rp_status rpi_device_span_begin(rpi_device *d);
int64_t rpi_device_granule(const rpi_device *d); /* bytes; 0: no spans can be had */
/* Addresses for `bytes`, with memory for bytes lo..hi-1. */
rp_status rpi_device_span_get(rpi_device *d, int64_t bytes, int64_t lo, int64_t hi,
                              rpi_device_span **out);
/* Memory for bytes lo..hi-1, too; what others hold stays as it is, and so do addresses. RP_ERR_MEMORY: some may have it by
 * now. */
rp_status rpi_device_span_grow(rpi_device *d, rpi_device_span *s, int64_t lo, int64_t hi);
CUdeviceptr rpi_device_span_at(const rpi_device_span *s);
int64_t rpi_device_span_bytes(const rpi_device_span *s); /* of memory */
void rpi_device_span_put(rpi_device *d, rpi_device_span *s);

/* ---- copies, in stream order */
/* `from` is free for other use when it returns. */
rp_status rpi_device_upload(rpi_device *d, CUdeviceptr to, const void *from, int64_t bytes);
/* Waits for all work before, and for the copy. */
rp_status rpi_device_download(rpi_device *d, void *to, CUdeviceptr from, int64_t bytes);
rp_status rpi_device_copy(rpi_device *d, CUdeviceptr to, CUdeviceptr from, int64_t bytes);
rp_status rpi_device_zero(rpi_device *d, CUdeviceptr to, int64_t bytes);
/* Pinned memory of the host: what is copied to and from it does not wait. NULL is nothing. */
rp_status rpi_device_pin(rpi_device *d, int64_t bytes, void **out);
void rpi_device_unpin(rpi_device *d, void *p); /* no work may still use it */
/* Queued: `rows` rows of `bytes`, `pitch` bytes from one to the next on the GPU, one behind another in pinned memory. */
rp_status rpi_device_pack(rpi_device *d, void *to, CUdeviceptr from, int64_t bytes, int64_t rows,
                          int64_t pitch);
rp_status rpi_device_unpack(rpi_device *d, CUdeviceptr to, const void *from, int64_t bytes,
                            int64_t rows, int64_t pitch);
/* `rows` rows of `bytes`, so many bytes from one to the next on each side; a pitch of `bytes`: densely. The sides share no
 * byte. */
rp_status rpi_device_copy_pitched(rpi_device *d, CUdeviceptr to, int64_t to_pitch, CUdeviceptr from,
                                  int64_t from_pitch, int64_t bytes, int64_t rows);
/* The same with one pitch for both. */
rp_status rpi_device_copy_rows(rpi_device *d, CUdeviceptr to, CUdeviceptr from, int64_t bytes,
                               int64_t rows, int64_t pitch);
rp_status rpi_device_wait(rpi_device *d);
/* From now on who waits for the GPU asks it, and `poll` meanwhile: work may wait for other ranks. False: give up, for the
 * reason it has left as status message: RP_ERR_RANKS. NULL: the driver waits. */
typedef bool rpi_device_poll(void *arg);
void rpi_device_ask(rpi_device *d, rpi_device_poll *poll, void *arg);
/* Asks instead of waiting: *out: all work is done, as after rpi_device_wait. */
rp_status rpi_device_idle(rpi_device *d, bool *out);

/* ---- places in the stream: what was queued before is waited for, what comes behind is not */
rp_status rpi_device_mark(rpi_device *d, CUevent *mark); /* NULL at first: it is made */
rp_status rpi_device_reach(rpi_device *d, CUevent mark); /* as rpi_device_wait */
void rpi_device_unmark(rpi_device *d, CUevent mark);     /* NULL is allowed */

/* ---- a stream beside ours, for what is to go on while ours does other work */
/* Its work from now on comes after ours so far. */
rp_status rpi_device_aside(rpi_device *d, CUstream *out);
/* Our work from now on comes after all that was given to it. */
rp_status rpi_device_rejoin(rpi_device *d);

/* ---- streams of others, as DLPack numbers them: 1 the legacy default stream, 2 the calling thread's default stream, a
 * greater number a CUstream of the GPU's primary context, -1 none. Another number is RP_ERR_ARGUMENT. */
enum { RPI_STREAM_NONE = -1, RPI_STREAM_LEGACY = 1, RPI_STREAM_THREAD = 2 };
rp_status rpi_device_stream_good(const rpi_device *d, int64_t stream);
/* Our work from now on comes after what that stream has by now. */
rp_status rpi_device_follow(rpi_device *d, int64_t stream);
/* That stream's work from now on comes after ours so far. */
rp_status rpi_device_lead(rpi_device *d, int64_t stream);
/* RP_OK if the driver knows p as memory of this GPU; else RP_ERR_ARGUMENT, or RP_ERR_DEVICE with the GPU it is of. */
rp_status rpi_device_has(rpi_device *d, CUdeviceptr p);

/* ---- code */
rp_status rpi_device_module(rpi_device *d, const void *image, CUmodule *out);
void rpi_device_module_unload(rpi_device *d, CUmodule m);
typedef struct rpi_device_function {
  CUfunction function;
  int32_t registers, local; /* per thread; bytes of spills and arrays */
  int32_t shared;           /* bytes per block */
  int32_t threads_most;     /* of a block */
} rpi_device_function;
/* RP_ERR_DEVICE names the function if the module has none. */
rp_status rpi_device_function_get(rpi_device *d, CUmodule m, const char *name,
                                  rpi_device_function *out);
/* Blocks of `threads` that one multiprocessor holds at once. */
rp_status rpi_device_occupancy(rpi_device *d, CUfunction f, int32_t threads, int32_t *out);
/* One-dimensional grid and block; `parameters` is one struct, copied before the return. */
rp_status rpi_device_launch(rpi_device *d, CUfunction f, int32_t grid, int32_t block,
                            const void *parameters, int64_t bytes);

/* ---- graphs: launches with an order among them, queued by one call */
typedef struct rpi_device_node {
  CUfunction function; /* NULL: */
  CUgraph child;       /* what was recorded, a copy of it */
  int32_t grid, block;
  int32_t first_after, n_after; /* the nodes before it that must have ended, a range of them */
  const void *parameters;       /* as for rpi_device_launch */
  int64_t bytes;
} rpi_device_node;
typedef struct rpi_device_graph rpi_device_graph;
/* What `queue` puts into the stream is not done, but becomes a graph. The error of `queue`, or of the driver, which does not
 * record everything. Memory must not be asked for meanwhile. */
rp_status rpi_device_record(rpi_device *d, rp_status (*queue)(void *arg), void *arg, CUgraph *out);
void rpi_device_forget(rpi_device *d, CUgraph recorded); /* NULL is allowed */
rp_status rpi_device_graph_create(rpi_device *d, const rpi_device_node *nodes, int32_t n,
                                  rpi_device_graph **out);
/* Node i, of a function, has these parameters in launches from now on. */
rp_status rpi_device_graph_set(rpi_device *d, rpi_device_graph *g, int32_t i,
                               const rpi_device_node *node);
rp_status rpi_device_graph_launch(rpi_device *d, rpi_device_graph *g);
void rpi_device_graph_free(rpi_device *d, rpi_device_graph *g); /* NULL is allowed */

/* ---- loops: graphs that begin again as long as a kernel says so, by conditional nodes (CUDA 12.4) */
enum { RPI_DEVICE_PHASES = 2 };
/* What a loop does in turn. `last` follows all other launches of the phase and says whether the next phase begins, or behind
 * the last one the first again: its parameters begin with two uint64_t, which are filled in here with the handles that it sets, each
 * to 1 or 0: of what comes next, and of the whole loop; equal ones are to be set once. */
typedef struct rpi_device_fill {
  CUdeviceptr at;
  int64_t bytes; /* > 0 */
} rpi_device_fill;
typedef struct rpi_device_phase {
  const rpi_device_node *node;
  int32_t n;
  const rpi_device_fill *zero; /* filled with zeros before all else, n_zero of them */
  int32_t n_zero;
  rpi_device_node last;
  void *parameters; /* of last */
} rpi_device_phase;
/* The driver has conditional nodes. */
bool rpi_device_loops(const rpi_device *d);
/* The first phase begins in any case. Parameters cannot be changed; it is launched and freed as a graph is. */
rp_status rpi_device_loop_create(rpi_device *d, const rpi_device_phase *phase, int32_t n,
                                 rpi_device_graph **out);

#endif
