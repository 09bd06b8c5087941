/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_read.h -- a Matrix Market text, in one or more parts, to entries.
 * Lives here: the format as its authors define it (R. F. Boisvert, R. Pozo, K. A. Remington, "The Matrix
 *             Market exchange formats: initial design", NISTIR 5935, 1996).
 * Not here:   files (mm_file.h), who reads which part (mm_parts.h), CSR (csr_host.h). Pure: no stores, no contexts. */
#ifndef RPI_MM_READ_H
#define RPI_MM_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/include/reprise.h"

enum { RPI_MM_MESSAGE = 256 };

/* Banner and sizes. */
typedef struct rpi_mm_head {
  int32_t format, field, symmetry; /* of mm_read.c */
  int64_t n_rows, n_cols;
  int64_t n;    /* lines of entries that follow */
  int64_t at;   /* where these begin, in bytes */
  int64_t line; /* which line that is, from 1; after an error the line of the error */
} rpi_mm_head;

typedef struct rpi_mm_entry {
  int64_t row, col; /* from 0 */
  double val;
} rpi_mm_entry;

/* What some lines of a file say. Zero: empty. */
typedef struct rpi_mm_part {
  rpi_mm_entry *entry; /* in file order, mirrored ones right behind their originals */
  int64_t n;
  double *value;    /* array files: one for each line, until they are placed */
  int64_t lines;    /* lines of entries, up to the first error */
  bool more;        /* there are others, but the file may not have so many */
  rp_status status; /* RP_ERR_IO: malformed, in `line` of the part, from 1; RP_ERR_MEMORY */
  int64_t line;
  char message[RPI_MM_MESSAGE]; /* "expected ..." */
} rpi_mm_part;

/* Reads the head from the first `size` bytes of a file of `file_size`. *more: the text ends too early to tell; call again
 * with a longer one, whatever the status. Else RP_ERR_IO (malformed), RP_ERR_DTYPE (complex) and RP_ERR_MEMORY, with
 * `message` and out->line. */
rp_status rpi_mm_read_head(const char *text, size_t size, int64_t file_size, rpi_mm_head *out,
                           bool *more, char message[RPI_MM_MESSAGE]);
/* Reads whole lines from behind the head into an empty *p, which the caller frees also after an error. */
void rpi_mm_read_lines(const rpi_mm_head *h, const char *text, size_t size, rpi_mm_part *p);
/* `before` lines of entries stand before the part, and no error; `last`: none behind it. Faults in their number come to
 * light, and values of array files get their places. */
void rpi_mm_read_place(const rpi_mm_head *h, const char *text, size_t size, int64_t before,
                       bool last, rpi_mm_part *p);
void rpi_mm_read_free(rpi_mm_part *p);

#endif
