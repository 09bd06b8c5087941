/* SPDX-License-Identifier: Apache-2.0
 * trace/image.h -- what kernels gather of other ranks' parts, found out once and kept until index data change.
 *
 * Lives here: recognising x[col[i]] and x[col[k]] with k in ptr[i]..ptr[i+1], the range of x that this rank's rows reach,
 *             and the messages that follow when all ranks have said theirs.
 * Not here:   the kernels, who runs them (distribute.h), closed needs (needs.h).
 * How:        each rank looks at the index data of its own rows, which every rank has whole and the segment does not
 *             write, for the least and the largest element reached (a min-max image). Ranks tell each other their
 *             ranges; owners follow from the cuts. The versions of the index buffers say when this is old; they are
 *             the same on all ranks, so all look again at the same commit.
 * Cost:       when index data have changed: one look at the rank's own index data, one gather of 16 bytes of each rank
 *             and a walk over these. Afterwards nothing but the messages. */
#ifndef RPI_IMAGE_H
#define RPI_IMAGE_H

#include "trace/analyse.h"
#include "trace/needs.h"

/* Integers that a rank looks at: element first + step*i of a buffer for row i (or for each k). */
typedef struct rpi_image_index {
  uint32_t slot;
  rp_dtype dtype;
  int64_t first, step;
  uint64_t version; /* that was looked at, + 1; 0: none yet */
} rpi_image_index;

typedef struct rpi_image {
  int32_t symbol; /* what is gathered from; element first + step*index */
  int64_t first, step, extent;
  int32_t elem;
  rpi_cuts cuts;
  rpi_rows space;
  bool looped;
  rpi_image_index from, to;    /* looped: k runs from ptr[i] to ptr[i + 1] */
  rpi_image_index at;          /* the index, for row i or for k */
  rpi_plan_exchange *exchange; /* the plan's */
  struct rpi_image *next;
} rpi_image;

/* The image of operand o of a group of one axis with these rows; false if it is none of the two forms, or the indices
 * are not known before the segment runs. */
bool rpi_image_find(const rpi_analysis *an, const rpi_group *g, const rpi_geom *geom, int32_t o,
                    const rpi_rows *space, rpi_image *out);
/* Looks again if index data have changed; slot[] are the segment's buffers. Collective. */
rp_status rpi_image_refresh(rp_context *ctx, rpi_image *image, rpi_buffer *const *slot);

#endif
