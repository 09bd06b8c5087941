/* SPDX-License-Identifier: Apache-2.0
 * core/base/attr.h -- the compiler's extensions, named once, and the assertions.
 * Lives here: attributes, branch hints, rpi_assert. Not here: anything that allocates or fails. */
#ifndef RPI_ATTR_H
#define RPI_ATTR_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPI_LIKELY(x) __builtin_expect(!!(x), 1)
#define RPI_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define RPI_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define RPI_NOINLINE __attribute__((noinline))
#define RPI_ALIGNED(n) __attribute__((aligned(n)))
#define RPI_COUNT(a) ((int32_t)(sizeof(a) / sizeof((a)[0])))

/* Cheap checks of our own invariants, in builds without NDEBUG. Bad input is never an assert. */
#define rpi_assert(cond) assert(cond)
/* Expensive validators, in builds with RPI_VALIDATE. */
#ifdef RPI_VALIDATE
#define rpi_assert_heavy(cond) assert(cond)
#else
#define rpi_assert_heavy(cond) ((void)0)
#endif

#endif
