/* SPDX-License-Identifier: Apache-2.0
 * trace/checkpoint.h -- stores to the files of a checkpoint, by all ranks together.
 *
 * Lives here: what each rank writes, and the order in which ranks do it. restore.h is the way back.
 * Not here:   the formats (core/exec/checkpoint_file.h), system calls (core/exec/checkpoint_disk.h).
 * How:        an array that is tiled is written by each rank where it lies, one that all ranks have by rank 0 if it is
 *             small, else in equal pieces. A view's elements are cut as its array is, if there is a closed form for
 *             it; else the array is gathered. An array that is cut in boxes is written by rows, which ranks get for
 *             that. Ranks agree after every 64 MiB that each has written, so that none waits for another longer than
 *             that takes; when all parts are on disk, rank 0 publishes the manifest.
 * Invariant:  a rank removes what it wrote only if all know that it will not be published. */
#ifndef RPI_CHECKPOINT_H
#define RPI_CHECKPOINT_H

#include "core/comm/verdict.h"
#include "core/exec/checkpoint_disk.h"
#include "core/exec/checkpoint_file.h"
#include "trace/context.h"

/* Bytes that a rank moves between two verdicts. */
#define RPI_CHECKPOINT_STEP (INT64_C(64) << 20)

/* Collective. The names and handles are good. See rp_checkpoint. */
rp_status rpi_checkpoint_save(rp_context *ctx, const char *path, int32_t n,
                              const char *const *names, rp_store *const *stores);

/* rpi_verdict_reach; if ranks cannot hear each other, that is passed to rpi_places_failed. */
rp_status rpi_checkpoint_agree(rp_context *ctx, rp_status mine, rpi_verdict *v, bool *heard);
/* The elements of view v of an array that is cut by c: which each rank has, in C order of the view. False: there is no
 * closed form. */
bool rpi_checkpoint_follow(const rpi_tiling *t, const rpi_view *v, rpi_cuts *out);
/* The same of the view's buffer, where it is now; one that is cut in boxes brings each rank its rows first, and
 * stays where it is. *parts false: there is no closed form, and nothing has been brought. Collective. */
rp_status rpi_checkpoint_parts(rp_context *ctx, rpi_buffer *b, const rpi_view *v, rpi_cuts *out,
                               bool *parts);

#endif
