/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/fourier_cache.h -- what the transforms of a context share: plans and scratch memory.
 * Lives here: plans by length, of which those used last are kept; buffers, one for each call at a time.
 * Not here:   how a plan is made (fourier_plan.h).
 * Threads:    any; while one makes a plan others wait. What has been taken stays until it is given back. */
#ifndef RPI_FOURIER_CACHE_H
#define RPI_FOURIER_CACHE_H

#include "kernels/fourier/fourier_plan.h"

typedef struct rpi_fourier_cache rpi_fourier_cache;

enum { RPI_FOURIER_KEPT = 64 /* plans that nobody uses, at most */ };

rpi_fourier_cache *rpi_fourier_cache_create(void); /* NULL: out of memory */
void rpi_fourier_cache_free(void *cache);

/* As rpi_fourier_plan_create. */
const rpi_fourier_plan *rpi_fourier_cache_plan(rpi_fourier_cache *c, bool wide, bool real,
                                               int64_t n);
/* NULL is allowed. */
void rpi_fourier_cache_give_plan(rpi_fourier_cache *c, const rpi_fourier_plan *p);

/* Memory of at least so many bytes, aligned to 64; NULL: out of memory. */
void *rpi_fourier_cache_buffer(rpi_fourier_cache *c, int64_t bytes);
void rpi_fourier_cache_give_buffer(rpi_fourier_cache *c, void *buffer);

/* How many plans and buffers there are now. */
int32_t rpi_fourier_cache_plans(rpi_fourier_cache *c);
int32_t rpi_fourier_cache_buffers(rpi_fourier_cache *c);

#endif
