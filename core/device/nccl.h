/* SPDX-License-Identifier: Apache-2.0
 * core/device/nccl.h -- NCCL, found at run time: messages between the GPUs of ranks, from memory to memory.
 *
 * Lives here: opening the library, its functions (nccl.def), joining the other ranks, groups of messages, waiting, leaving.
 * Not here:   what is sent (core/exec/exchange.h), how the id comes to the other ranks (core/comm/collect.h), which GPU
 *             a rank takes.
 * How:        messages are queued on the device's stream, in its order, and the host goes on: what is queued later sees what
 *             came. All of a group move together; of the messages between two ranks the k-th sent is the k-th received.
 *             Where the library can (2.14), its calls return at once, and we ask until they are done, so that no rank is
 *             ever stuck in a call while another has ended; `poll` is asked meanwhile. Between GPUs of one process messages
 *             go through memory of NCCL's (its NCCL_P2P_DIRECT_DISABLE is 1 unless it is set): ours is open to its GPU alone.
 * Errors:     RP_ERR_RANKS, with the call and NCCL's words; RP_ERR_DEVICE for what CUDA says and where NCCL cannot be used at
 *             all: no library, too old, two ranks on one GPU. What has failed once stays failed, and is freed by an abort.
 * Threads:    opening: any. One at a time for each rpi_nccl, a group on one thread. The GPU's context is current during a call
 *             only. */
#ifndef RPI_NCCL_H
#define RPI_NCCL_H

#include "core/device/device.h"
#include "core/device/nccl_types.h"

enum {
  RPI_NCCL_OLDEST = 2700, /* as NCCL writes 2.7.0, the first that sends and receives */
  RPI_NCCL_ID = NCCL_UNIQUE_ID_BYTES
};

typedef struct rpi_nccl_table {
#define RPI_NCCL_FN(field, symbol, arguments) ncclResult_t(*field) arguments;
#define RPI_NCCL_OPT RPI_NCCL_FN
#include "core/device/nccl.def"
#undef RPI_NCCL_OPT
#undef RPI_NCCL_FN
  const char *(*words)(ncclResult_t result); /* ncclGetErrorString */
  const char *(*last)(ncclComm_t comm);      /* ncclGetLastError; NULL: older than 2.13 */
  int32_t release;                           /* its version: 22809 is 2.28.9, 2708 is 2.7.8 */
} rpi_nccl_table;

/* The NCCL in `library` (NULL or "": libnccl.so.2). RP_ERR_DEVICE, with a sentence that says what was found and what
 * is needed: no library, too old, a function missing; "none": that it is not wanted. Each path is opened once in a
 * process, and what came of it is remembered. */
rp_status rpi_nccl_open(const char *library, const rpi_nccl_table **out);

/* Is asked while others are waited for, often; false: give up, for the reason that it has left as status message. */
typedef bool rpi_nccl_poll(void *arg);

typedef struct rpi_nccl rpi_nccl;

/* A new id of RPI_NCCL_ID bytes: one rank makes it, all join by it. */
rp_status rpi_nccl_id(const rpi_nccl_table *t, void *id);
/* Collective over `size` ranks, each with a GPU of its own; returns when all are there. The device outlives it. `poll`
 * (NULL: nobody) is asked in this and all later waits. RP_ERR_DEVICE on a rank that shares its GPU with another, while
 * ranks that do not may see another error, or wait until `poll` gives up. */
rp_status rpi_nccl_join(const rpi_nccl_table *t, rpi_device *d, const void *id, int32_t rank,
                        int32_t size, rpi_nccl_poll *poll, void *arg, rpi_nccl **out);

/* Messages between the two are one group, queued in that stream of the device. Both sides name the same number of bytes; 0: nothing. */
rp_status rpi_nccl_group_begin(rpi_nccl *n, CUstream stream);
rp_status rpi_nccl_send(rpi_nccl *n, CUdeviceptr from, int64_t bytes, int32_t peer);
rp_status rpi_nccl_receive(rpi_nccl *n, CUdeviceptr to, int64_t bytes, int32_t peer);
/* Returns when the group is queued; the first with a peer waits until that has come to it, too. */
rp_status rpi_nccl_group_end(rpi_nccl *n);
/* Returns when all of the device's stream is done, which it asks rather than to sleep in the driver. */
rp_status rpi_nccl_wait(rpi_nccl *n);
/* `orderly`: collective, waits for what is queued. Else what is under way is broken off. NULL is allowed. */
void rpi_nccl_free(rpi_nccl *n, bool orderly);

#endif
