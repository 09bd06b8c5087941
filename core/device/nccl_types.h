/* SPDX-License-Identifier: Apache-2.0
 * core/device/nccl_types.h -- the types and constants of NCCL that are used here, under NCCL's own names.
 *
 * Lives here: declarations of NCCL's ABI. Not here: functions: those are found at run time (nccl.def).
 * How:        ncclConfig_t is that of NCCL 2.14, the first; it says so itself, and later libraries take their defaults for what it
 *             lacks. RPI_NCCL_TOOLKIT puts <nccl.h> in the place of all of it.
 * Invariant:  tests/unit/test_nccl_types.c holds all of it against <nccl.h> where there is one. */
#ifndef RPI_NCCL_TYPES_H
#define RPI_NCCL_TYPES_H

#include "core/device/cuda_types.h"

#ifdef RPI_NCCL_TOOLKIT
#include <nccl.h>
#else

typedef struct ncclComm *ncclComm_t;
typedef struct CUstream_st *cudaStream_t;

#define NCCL_UNIQUE_ID_BYTES 128
typedef struct {
  char internal[NCCL_UNIQUE_ID_BYTES];
} ncclUniqueId;

typedef enum {
  ncclSuccess = 0,
  ncclUnhandledCudaError = 1,
  ncclSystemError = 2,
  ncclInternalError = 3,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6,
  ncclInProgress = 7
} ncclResult_t;

typedef enum { ncclUint8 = 1 } ncclDataType_t;

typedef struct ncclConfig_v21400 {
  size_t size;
  unsigned int magic;
  unsigned int version;
  int blocking;
} ncclConfig_t;

#endif

/* What is the first of a config, and the version that says it is the one above. */
#define RPI_NCCL_CONFIG_MAGIC 0xcafebeefu
#define RPI_NCCL_CONFIG_VERSION 21400u

#endif
