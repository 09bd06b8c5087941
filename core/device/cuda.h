/* SPDX-License-Identifier: Apache-2.0
 * core/device/cuda.h -- CUDA's driver library, found at run time: its functions, or one sentence why there are none.
 *
 * Lives here: opening it, the table of its functions (cuda_driver.def), its words for its errors.
 * Not here:   what is done with a GPU (device.h). Types and constants: cuda_types.h.
 * How:        each path is opened once in a process, and what came of it is remembered, a refusal as well as the
 *             table: every context asks. The library stays loaded until the process ends, for it has threads.
 * Threads:    any. */
#ifndef RPI_CUDA_H
#define RPI_CUDA_H

#include "core/base/status.h"
#include "core/device/cuda_types.h"

enum { RPI_CUDA_OLDEST = 12000 }; /* the oldest driver that will do: CUDA 12.0 */

typedef struct rpi_cuda {
#define RPI_CUDA_FN(field, symbol, arguments) CUresult(*field) arguments;
#define RPI_CUDA_OPT RPI_CUDA_FN
#include "core/device/cuda_driver.def"
#undef RPI_CUDA_OPT
#undef RPI_CUDA_FN
  int32_t process; /* that it began in: in children of fork no call of it succeeds */
  int32_t driver;  /* its version: 12040 is CUDA 12.4 */
  int32_t devices; /* GPUs it sees, at least one */
} rpi_cuda;

/* The driver in `library` (NULL or "": libcuda.so.1), initialized. RP_ERR_DEVICE, with a sentence that says what was found
 * and what is needed: no library, the toolkit's stub, too old, no GPU, a process that was forked behind its beginning, or the
 * driver's own word. */
rp_status rpi_cuda_open(const char *library, const rpi_cuda **out);

/* "CUDA_ERROR_INVALID_VALUE (invalid argument)" into `text`, which is returned. */
const char *rpi_cuda_error(const rpi_cuda *cu, CUresult error, char *text, size_t size);

#endif
