/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_file.h -- Matrix Market files on disk: lines of a range of bytes.
 * Not here: the format (mm_read.h), which rank reads what (mm_parts.h), writing (mm_write.h). */
#ifndef RPI_MM_FILE_H
#define RPI_MM_FILE_H

#include "kernels/sparse/csr_host.h"
#include "kernels/sparse/mm_read.h"

typedef struct rpi_mm_file {
  const char *path; /* the caller's */
  int fd;
  int64_t size;
  char *text; /* of what is no regular file, such as a pipe: all of it */
} rpi_mm_file;

/* Whole lines. */
typedef struct rpi_mm_lines {
  int64_t begin; /* of the first one in the file */
  size_t size;
  const char *text; /* NULL: none */
  char *own;        /* its memory, for free(), also after an error */
} rpi_mm_lines;

/* Errors are reported with the path. What is no regular file can be read once and by one process: with `shared` it is
 * RP_ERR_IO. The caller closes *out, also after an error. */
rp_status rpi_mm_file_open(const char *path, bool shared, rpi_mm_file *out);
void rpi_mm_file_close(rpi_mm_file *f);
/* Reads as much as the head takes. */
rp_status rpi_mm_file_head(const rpi_mm_file *f, rpi_mm_head *out);
/* The lines whose first byte is one of lo..hi-1; byte lo - 1 ends a line or belongs to one that began before. */
rp_status rpi_mm_file_lines(const rpi_mm_file *f, int64_t lo, int64_t hi, rpi_mm_lines *out);
/* How many lines end before byte `at`. */
rp_status rpi_mm_file_count(const rpi_mm_file *f, int64_t at, int64_t *out);

#endif
