/* SPDX-License-Identifier: Apache-2.0
 * trace/restore.h -- stores from the files of a checkpoint, by all ranks together.
 *
 * Lives here: what each rank reads, and that a store changes only when all ranks have all there is to read.
 * Not here:   the formats (core/exec/checkpoint_file.h), system calls (core/exec/checkpoint_disk.h).
 * How:        rank 0 reads the manifest and sends it to all. Each rank reads the blocks that hold its own elements, of
 *             whichever part they are, and compares their checksums, into memory that no store has yet: for a whole
 *             array a new instance, for a view a copy. Then all agree, and the rest cannot fail. A large array of
 *             floating-point numbers that all ranks had becomes a tiled one; integers may be indices, of which all
 *             ranks need to know the range.
 * Invariant:  a failed restore has changed no store. */
#ifndef RPI_RESTORE_H
#define RPI_RESTORE_H

#include "trace/context.h"

/* Collective. The names and handles are good. See rp_restore. */
rp_status rpi_restore_stores(rp_context *ctx, const char *path, int32_t n, const char *const *names,
                             rp_store *const *stores);

#endif
