/* SPDX-License-Identifier: Apache-2.0
 * trace/context.h -- a context: everything one program's run owns.
 * Lives here: the record and its counters. Not here: behaviour (segment, template, commit, ...). */
#ifndef RPI_CONTEXT_H
#define RPI_CONTEXT_H

#include "core/base/config.h"
#include <stdatomic.h>

#include "core/base/alloc.h"
#include "core/comm/comm.h"
#include "core/exec/opaque_gpu.h"
#include "core/exec/workers.h"
#include "core/model/tiling.h"
#include "core/model/op.h"
#include "jit/jit.h"
#include "trace/segment.h"

typedef enum rpi_reason {
#define RPI_REASON(code, sentence) RPI_REASON_##code,
#include "trace/reason.def"
#undef RPI_REASON
  RPI_N_REASON
} rpi_reason;

typedef struct rpi_stats {
#define RPI_STAT(name, meaning) int64_t name;
#include "trace/stat.def"
#undef RPI_STAT
} rpi_stats;

/* A marked loop. */
typedef struct rpi_trace {
  int64_t id;
  struct rpi_template *first; /* predicted first segment of the next pass */
  struct rpi_template *all;   /* its templates, most recently made first (chained by in_trace) */
  int64_t passes;
  int64_t launches; /* of the context, when the pass began */
} rpi_trace;

/* What a library keeps here (rp_context_set_data). */
typedef struct rpi_client_data {
  const void *key;
  void *data;
  void (*free_data)(void *data);
  struct rpi_client_data *next;
} rpi_client_data;

struct rp_context {
  uint32_t magic;
  int32_t forks;               /* of the process when it was made */
  _Atomic(const void *) owner; /* names the thread inside a call; NULL: none */
  const void *caller;          /* the return address of that call, or of the last one */
  rpi_config config;
  rpi_memory *memory;
  rpi_device *device; /* NULL: no GPU */
  rpi_opaque_device opaque_device;
  rpi_pool *pool;
  rpi_workers *workers;
  rpi_jit *jit;
  rpi_comm *comm;     /* NULL: a process alone */
  rpi_tiling *tiling; /* all that are in use: RPI_PLACE_TILED + number */
  int32_t n_tiling, cap_tiling;
  int32_t factor[32], n_factor; /* the number of ranks as primes, ascending */
  rpi_tiling last_grid;         /* of rpi_places_grid */
  bool rows_only;               /* no array is cut in boxes any more, */
  bool stale;                   /* and plans that do so are to be forgotten */
  bool
      in_crew; /* of one process: the program uses rank 0, which the others follow (bindings/c/crew.h) */
  struct rpi_calls *calls; /* what the program called last; NULL: a process alone */
  uint64_t stamp;          /* a hash of what it did so far: the same on all ranks (calls.h) */
  struct rpi_crew *crew;   /* who follows this context; NULL: nobody */
  struct rpi_consensus *consensus; /* on releases in any order; NULL: a process alone */
  rp_status ranks_status;          /* of the first message between ranks that failed */
  rp_library *libraries;
  rp_library *runtime_lib; /* "rp": fill and copy */
  rp_op *copy_op, *fill_op[RPI_N_DTYPE];
  rp_op *ops;
  rp_op **op_by_id;
  rpi_map op_by_name; /* by the hash of the name, libraries mixed */
  int32_t n_ops, cap_ops;
  rpi_map eval_ops;      /* rp_eval: by text */
  uint64_t scatter_fits; /* numbers given out (scatter.c) */

  rpi_segment seg;     /* what is being launched */
  rpi_segment pending; /* complete, committed late; number 0: none */
  rpi_segment running; /* committed, run as far as a host read needed; number 0: none */
  struct rpi_bound *running_plan;
  int32_t running_step;
  rpi_trace *trace; /* open, or NULL */
  rpi_trace *last_trace;
  rpi_trace loose; /* what runs outside traces */
  rpi_map traces;
  rpi_map templates, skeletons;
  struct rpi_template *all_templates;
  int64_t n_templates;
  struct rpi_analysis *all_analyses;
  struct rpi_template *last; /* template of the previous segment of this pass */

  void *scratch; /* leased to the plan that runs: scratch of a segment */
  int64_t scratch_bytes;
  CUdeviceptr gpu_scratch, gpu_flags; /* the same on the GPU, */
  CUdeviceptr
      gpu_board; /* and where its kernels post long rows (jit/cuda_board.h); 0: none did yet */
  int64_t gpu_scratch_bytes, gpu_flags_bytes;
  rp_status gpu_status;   /* of the first run on it that failed */
  void **pointers;        /* per symbol of the plan at hand, with what goes with it */
  CUdeviceptr *addresses; /* the same on the GPU */
  bool *patch;
  int64_t *patch_bytes;
  uint64_t
      *values; /* the version of what the buffer holds, while nothing writes it; 0: it changes */
  rpi_instance **instances;
  rpi_hull *parts; /* with a GPU: what is held of it */
  rpi_instance *
      *held; /* given up by their buffers, but steps that are left to run still read them */
  int32_t cap_symbols, cap_held, n_held;
  rpi_kernel_flag *flags; /* of the kernels of the plan at hand */
  int32_t cap_flags;
  bool data_error; /* something was poisoned since the last wait */
  char *data_message;
  char *nonfinite; /* the first op that made a non-finite result (knob nonfinite) */

  struct rpi_client_data *client_data;
  rpi_stats stats;
  int64_t reason[RPI_N_REASON];

  /* Behind what each commit touches: */
  bool gpu_shared; /* with another rank */
  bool
      gpu_somewhere; /* a rank has a GPU: partial runs of plans would not end at the same step on all */
  rpi_device_span *gpu_span;   /* what gpu_scratch is the address of; NULL: a block */
  uint64_t gpu_scratch_number; /* of the scratch memory there, from 1 on */
  int64_t nccl_until;          /* when joining it is given up; 0: it is not being joined */
  struct rpi_repeat *repeat;   /* of the pass at hand (repeat.h); NULL: none */
  int64_t functions;           /* of opaque ops in the plans that ran so far, */
  int64_t
      functions_done; /* and those that followers have come to the end of, too (bindings/c/follow.h) */
  int32_t told;       /* the rule of what followers were told in the call under way; 0: nothing */
  bool lends;         /* they read the program's memory in it */
  struct rpi_nccl *nccl; /* between the GPUs of all ranks; NULL: they speak by way of the host */
};

static inline void rpi_context_reason(rp_context *ctx, rpi_reason r) { ctx->reason[r]++; }

#endif
