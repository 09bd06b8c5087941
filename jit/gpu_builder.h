/* SPDX-License-Identifier: Apache-2.0
 * jit/gpu_builder.h -- from CUDA texts to cubins: disk, lock, compiler; now or in the background.
 *
 * Lives here: one text's way to a cubin. Not here: which texts (gpu_kernels.c, gpu_interp.c), loading: the context's thread does
 *             that when a job is done.
 * How:        a job's text is made where it is compiled. Two processes do not compile the same one: who does not have the key's
 *             lock looks on the disk every few milliseconds. */
#ifndef RPI_GPU_BUILDER_H
#define RPI_GPU_BUILDER_H

#include <stdatomic.h>

#include "jit/cache.h"
#include "jit/nvrtc.h"

typedef struct rpi_gpu_builder rpi_gpu_builder;

typedef struct rpi_gpu_job {
  rp_status (*text)(const void *of, rpi_strbuf *out);
  const void *of;
  rpi_hash128 key;
  rpi_hash128 also; /* kept under this key, too, if `twice` */
  bool twice;
  const char *entry; /* the function whose spills are asked for; NULL: none */
  /* afterwards */
  rpi_cubin cubin;
  int32_t spills; /* bytes that its values move to and from memory, per thread */
  rp_status status;
  char *failure; /* a sentence */
  bool compiled;
  int64_t ns; /* in the compiler */
  struct rpi_gpu_job *next;
  _Atomic bool done;
} rpi_gpu_job;

/* `nvrtc`: NULL: nothing is compiled; `cache`: NULL: nothing is kept. Both are borrowed. */
rp_status rpi_gpu_builder_create(const rpi_nvrtc *nvrtc, rpi_cache *cache, int32_t arch,
                                 bool keep_source, rpi_gpu_builder **out);
/* A compile that runs is given up, or waited for where the compiler cannot; jobs that have not begun are left as they are.
 * NULL is allowed. */
void rpi_gpu_builder_free(rpi_gpu_builder *b);
const rpi_nvrtc *rpi_gpu_builder_nvrtc(const rpi_gpu_builder *b);
/* True: the disk has the cubin, and the job is done. */
bool rpi_gpu_builder_read(rpi_gpu_builder *b, rpi_gpu_job *job);
/* Here and now: job->status, with the sentence set. */
rp_status rpi_gpu_builder_build(rpi_gpu_builder *b, rpi_gpu_job *job);
/* In the background; false: there is no thread. The job stays where it is until it is done. */
bool rpi_gpu_builder_add(rpi_gpu_builder *b, rpi_gpu_job *job);
/* Jobs that the thread has finished so far: cheap. */
int64_t rpi_gpu_builder_finished(rpi_gpu_builder *b);
void rpi_gpu_builder_wait(rpi_gpu_builder *b);
void rpi_gpu_job_deinit(rpi_gpu_job *job);

#endif
