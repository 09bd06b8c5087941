/* SPDX-License-Identifier: Apache-2.0
 * trace/index_range.h -- smallest and largest value of index data, so that gathers go unchecked.
 * Lives here: the look at a buffer's values. Not here: which buffers, and what must hold (ranges.c). */
#ifndef RPI_INDEX_RANGE_H
#define RPI_INDEX_RANGE_H

#include "core/exec/workers.h"
#include "core/model/store.h"

/* Makes range_lo and range_hi of an integer buffer, which holds the n values at `data` (NULL: zeros), true for its
 * present version; nothing is done if they are. A u64 beyond INT64_MAX gives a negative range_lo: such data is in no range. */
void rpi_index_range(rpi_workers *workers, rpi_buffer *b, const void *data, int64_t n);

#endif
