/* SPDX-License-Identifier: Apache-2.0
 * core/exec/checkpoint_file.h -- what the files of a checkpoint say: the manifest, and the head of a part.
 *
 * Lives here: both formats, as bytes in memory, and where each array's elements lie in each part.
 * Not here:   files (checkpoint_disk.h), stores and ranks (trace/checkpoint.h, trace/restore.h).
 * How:        a checkpoint is a folder: a file `manifest` and one file for each part, which one rank writes. Each
 *             array, its elements in C order, is cut among the parts by a closed form (core/model/cuts.h), so
 *             that the manifest is as long for a million parts as for one, and what a part holds, and where, is
 *             arithmetic. A part begins with its head, which has a checksum (XXH3, 64 bits) for each block of
 *             1 MiB of an array's elements; then come the elements, array after array in the order of names:
 *
 *               manifest   head | for each array: numbers, shape, cuts, name | checksum of all before
 *               part       head | checksums of blocks | checksum of all before | zeros | elements | ...
 *
 *             Numbers are in the order of bytes of the machine that wrote them, which the manifest tells.
 *             `attempt`, a random number, is in the manifest, in the names of the parts and in their heads, and a
 *             head has the manifest's checksum: parts of different checkpoints cannot be mixed up.
 * Invariants: what is read has been checked before it is used: any bytes are refused with a sentence, or give a
 *             table that encodes to the same bytes. */
#ifndef RPI_CHECKPOINT_FILE_H
#define RPI_CHECKPOINT_FILE_H

#include "core/base/alloc.h"
#include "core/model/cuts.h"
#include "core/model/geom.h"

enum {
  RPI_CHECKPOINT_NAME = 255,     /* bytes of a name at most */
  RPI_CHECKPOINT_ARRAYS = 65536, /* of one checkpoint at most */
  RPI_CHECKPOINT_VERSION = 1
};
#define RPI_CHECKPOINT_BLOCK (INT64_C(1) << 20)
#define RPI_CHECKPOINT_MOST (INT64_C(1) << 61) /* bytes of one checkpoint */

typedef struct rpi_checkpoint_array {
  const char *name;
  rp_dtype dtype;
  bool zero; /* all elements are 0: no part has any of them */
  int32_t ndim;
  int64_t shape[RP_MAX_DIM];
  rpi_cuts
      cuts; /* of its n elements in C order among `ranks` parts; units 0: part 0 has them all */
  int32_t index; /* the caller's; in no file */
} rpi_checkpoint_array;

typedef struct rpi_checkpoint_table {
  uint64_t generation; /* 1 for the first checkpoint of a folder */
  uint64_t attempt;
  int32_t parts, n;
  rpi_checkpoint_array *array; /* in the order of their names' bytes, which differ */
  uint64_t sum;                /* of the manifest that says all this */
} rpi_checkpoint_table;

/* Where a part has its elements of one array. */
typedef struct rpi_checkpoint_section {
  int64_t lo, hi; /* elements of the array */
  int64_t at;     /* byte of the file at which they begin */
  int64_t block;  /* number of their first block */
} rpi_checkpoint_section;

typedef struct rpi_checkpoint_layout {
  int64_t blocks;
  int64_t head;  /* bytes of the head */
  int64_t start; /* byte at which what is not the head begins; zeros lie between */
  int64_t bytes; /* of the file */
} rpi_checkpoint_layout;

/* The cuts that leave all n elements to part 0. */
rpi_cuts rpi_checkpoint_cuts_first(int64_t n, int32_t parts);
/* The part that has element i of a. */
int32_t rpi_checkpoint_part_of(const rpi_checkpoint_array *a, int64_t i);

/* Sorts t->array; two equal names are RP_ERR_ARGUMENT. */
rp_status rpi_checkpoint_sort(rpi_checkpoint_table *t);
/* NULL: there is none of that name. */
const rpi_checkpoint_array *rpi_checkpoint_find(const rpi_checkpoint_table *t, const char *name);

/* The manifest's bytes, for rpi_alloc_free; t->array is sorted. Sets t->sum. */
rp_status rpi_checkpoint_encode(rpi_checkpoint_table *t, void **bytes, size_t *size);
/* Reads a manifest; everything it makes lies in `memory`. RP_ERR_IO: the bytes are none, with what is wrong. */
rp_status rpi_checkpoint_decode(const void *bytes, size_t size, rpi_arena *memory,
                                rpi_checkpoint_table *out);

/* section[t->n] and the sizes of one part. */
void rpi_checkpoint_lay_out(const rpi_checkpoint_table *t, int32_t part,
                            rpi_checkpoint_section *section, rpi_checkpoint_layout *out);
/* A head is an array of l->head / 8 words; the checksums of its blocks begin here. */
uint64_t *rpi_checkpoint_sums(uint64_t *head);
/* Writes what is in a head beside them, which are there. */
void rpi_checkpoint_seal(const rpi_checkpoint_table *t, int32_t part,
                         const rpi_checkpoint_layout *l, uint64_t *head);
/* RP_ERR_IO: the head is not of that part of that checkpoint, or damaged. */
rp_status rpi_checkpoint_check(const rpi_checkpoint_table *t, int32_t part,
                               const rpi_checkpoint_layout *l, const uint64_t *head);

#endif
