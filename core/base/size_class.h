/* SPDX-License-Identifier: Apache-2.0
 * core/base/size_class.h -- the size classes of allocators that keep one free list per class.
 * Lives here: from a size in units of the allocator's own to its class, and back. Not here: lists, memory.
 * How: a size of up to eight units is its own class; above, each power of two is cut into eight equal steps, so that
 *      at most an eighth is lost. */
#ifndef RPI_SIZE_CLASS_H
#define RPI_SIZE_CLASS_H

#include "core/base/attr.h"

/* How many classes sizes of up to 2^log2_units units have. */
#define RPI_SIZE_CLASSES(log2_units) (8 + 8 * ((log2_units)-3))

/* Units of class c. */
static inline uint64_t rpi_size_class_units(int32_t c) {
  if (c < 8) return (uint64_t)c + 1;
  return (uint64_t)(9 + (c - 8) % 8) << ((c - 8) / 8);
}

/* The class of `units` >= 1: the smallest that holds as many. */
static inline int32_t rpi_size_class_of(uint64_t units) {
  if (units <= 8) return (int32_t)units - 1;
  const uint64_t below = units - 1;
  const int32_t step = 60 - __builtin_clzll(below); /* steps of 2^step units */
  return 8 + 8 * step + (int32_t)((below >> step) & 7);
}

#endif
