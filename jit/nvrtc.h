/* SPDX-License-Identifier: Apache-2.0
 * jit/nvrtc.h -- NVIDIA's run-time compiler: CUDA text in, a cubin for one architecture out.
 *
 * Lives here: finding the library, one compile, what the compiler says of registers and spills.
 * Not here:   texts (emit_cuda.h), caching, loading into a GPU.
 * Threads:    compiles may run side by side. The library stays loaded until the process ends. */
#ifndef RPI_NVRTC_H
#define RPI_NVRTC_H

#include "core/base/status.h"

typedef struct rpi_nvrtc rpi_nvrtc;

/* Opens `library`, or with NULL or "" the newest that is found by its usual names (libnvrtc.so.13, .12, and in
 * $CUDA_HOME and /usr/local/cuda). RP_ERR_DEVICE with one sentence if there is none, or it is too old (before 12.0). The
 * same library is opened once in a process. */
rp_status rpi_nvrtc_open(const char *library, const rpi_nvrtc **out);
/* The same, for a driver that has CUDA `driver` (12040: 12.4): with NULL or "" the newest that makes what it loads.
 * RP_ERR_DEVICE if there is none. */
rp_status rpi_nvrtc_open_for(const char *library, int32_t driver, const rpi_nvrtc **out);
/* "nvrtc 13.0": part of a kernel's key. */
const char *rpi_nvrtc_identity(const rpi_nvrtc *n);
/* Does it compile for sm_<arch>? */
bool rpi_nvrtc_knows(const rpi_nvrtc *n, int32_t arch);

typedef struct rpi_cubin {
  void *image; /* rpi_alloc_free */
  size_t size;
  char *log; /* NULL: nothing was said; rpi_alloc_free */
} rpi_cubin;
/* Compiles `text` for sm_<arch> with --fmad=false and IEEE division, square roots and subnormals. RP_ERR_INTERNAL with the first lines of the
 * compiler's log if it does not compile. `report`: ask for registers and spills, which the log then has. */
rp_status rpi_nvrtc_compile(const rpi_nvrtc *n, const char *text, int32_t arch, bool report,
                            rpi_cubin *out);
/* The same, given up soon after *stop has become true, where the compiler can (from 12.8 on): RP_ERR_DEVICE. */
rp_status rpi_nvrtc_compile_until(const rpi_nvrtc *n, const char *text, int32_t arch, bool report,
                                  const _Atomic bool *stop, rpi_cubin *out);
void rpi_cubin_deinit(rpi_cubin *c);
/* Of function `name` in the log of a compile with `report`; false: it is not there. Bytes are per thread. */
typedef struct rpi_nvrtc_usage {
  int32_t registers, spill_stores, spill_loads, stack, shared;
} rpi_nvrtc_usage;
bool rpi_nvrtc_usage_get(const char *log, const char *name, rpi_nvrtc_usage *out);

#endif
