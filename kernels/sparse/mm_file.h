/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_file.h -- Matrix Market files on disk: read whole, written entry by entry.
 * Not here: the format (mm_read.h). */
#ifndef RPI_MM_FILE_H
#define RPI_MM_FILE_H

#include "kernels/sparse/csr_host.h"
#include "kernels/sparse/mm_read.h"

/* Reads and parses `path`; errors are reported with the path in front. The caller frees *out. */
rp_status rpi_mm_file_read(const char *path, rpi_mm_triplets *out);
/* Writes a matrix with `digits` significant digits. */
rp_status rpi_mm_file_write(const char *path, const rpi_csr_host *a, int digits);

#endif
