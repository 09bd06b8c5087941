/* SPDX-License-Identifier: Apache-2.0
 * tests/scale/meter.h -- what the library does in a stretch of a program: how often each of its basic blocks runs, and
 * what memory it asks for.
 *
 * Lives here: counters, peaks over several stretches, their comparison.
 * Not here:   the programs that are measured (test_scale.c).
 * How:        the library is compiled with -fsanitize-coverage=trace-pc, which calls a function at every edge between
 *             basic blocks; the function counts by the address it was called from. The linker (--wrap) sends heap calls and
 *             mmap through functions that add up bytes. Nothing is timed, so the same program gives the same counts.
 * Limits:     loops inside libc are not seen; what they work on was allocated, and is.
 * Threads:    only the thread that starts the meter is counted. */
#ifndef METER_H
#define METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most that any of several stretches did. Zero: none yet. */
typedef struct meter_peak {
  uint32_t *runs; /* of the block at each address, by meter_block */
  int64_t calls;  /* for memory */
  int64_t bytes;
} meter_peak;

/* Counts anew from here on, and until. */
void meter_start(void);
void meter_stop(void);
/* Adds what was counted last. */
void meter_take(meter_peak *p);
/* How many blocks ran at all: 0 if the library was not compiled for it. */
int64_t meter_blocks(const meter_peak *p);
/* The block that ran most often more in b than in a; by how much. */
int64_t meter_growth(const meter_peak *a, const meter_peak *b, size_t *block);
/* Function and line of a block, as addr2line says. */
void meter_name(size_t block, char *text, size_t size);
void meter_free(meter_peak *p);

#endif
