/* SPDX-License-Identifier: Apache-2.0
 * core/exec/kernel.h -- what the runner knows of a kernel: three entries and a block of words.
 * Lives here: the ABI between the runner and code, whoever made the code (interpreter, compiler).
 *             On a GPU code is launched, with what the words say copied into its parameters.
 * Not here:   how code is made (jit/). Invariant: all codes of one kernel give the same bits, so
 *             the runner may change from one to another between any two launches. Not within one: a
 *             code may move the bounds between its units by a few points. */
#ifndef RPI_KERNEL_H
#define RPI_KERNEL_H

#include "core/base/attr.h"

/* A parameter word: integers, bits of scalars (zero-extended), pointers. */
typedef union rpi_word {
  int64_t i;
  uint64_t u;
  double f;
  void *p;
} rpi_word;

/* What a kernel's flag word points to. */
typedef struct rpi_kernel_flag {
  uint32_t raised;   /* an index was clamped */
  uint32_t finished; /* GPU: blocks of a launch that are done; 0 between launches */
  uint32_t
      ended; /* GPU: warps that are done with their own rows, and that have left; 0 between launches */
  uint32_t unused;
} rpi_kernel_flag;

/* Scratch memory a thread hands to `body`, 64-byte aligned. */
enum { RPI_KERNEL_SCRATCH = 1 << 19 };

typedef struct rpi_kernel_code {
  void (*pro)(const void *self, rpi_word *w); /* NULL: nothing to do */
  void (*body)(const void *self, const rpi_word *w, int64_t u0, int64_t u1, void *scratch);
  void (*epi)(const void *self, rpi_word *w); /* NULL: nothing to do */
  const void *self;
  int32_t tier; /* 0 interpreted, 1 compiled */
} rpi_kernel_code;

/* One launch on a GPU: a one-dimensional grid of blocks of `block` threads. */
typedef struct rpi_kernel_launch {
  void *function; /* CUfunction */
  int32_t grid, block;
} rpi_kernel_launch;

/* A launch of a kernel is up to three on the GPU, one after another, all with the same parameters. */
enum { RPI_KERNEL_LAUNCHES = 3, RPI_KERNEL_PARAMETERS = 4096 };

/* For ranks that share out a kernel with reductions: its units alone, which leave a partial for each leaf; and what comes
 * after them, which is of no units: when the roots of all reductions' trees are where partials begin, one for each kept
 * index; or when the partials of all leaves of the space are there, each at its unit's number. */
typedef enum rpi_kernel_part {
  RPI_KERNEL_ALL,
  RPI_KERNEL_BODY,
  RPI_KERNEL_END,
  RPI_KERNEL_JOIN
} rpi_kernel_part;

typedef struct rpi_kernel_gpu_code {
  /* The launches for these words and units (u1 - u0 may be 0), at least one; their number is returned. Depends on extents
   * alone. */
  int32_t (*launches)(const struct rpi_kernel_gpu_code *c, const rpi_word *w, int64_t u0,
                      int64_t u1, rpi_kernel_part part, rpi_kernel_launch *out);
  /* Writes the parameters, which depend on the words and units alone; at most RPI_KERNEL_PARAMETERS bytes, and
   * returns their number. */
  int32_t (*pack)(const struct rpi_kernel_gpu_code *c, const rpi_word *w, int64_t u0, int64_t u1,
                  rpi_kernel_part part, void *out);
  const void *self;
  int32_t tier; /* 0: interpreted by one kernel for all, 1: compiled */
  int32_t registers,
      spills; /* of the body, per thread; bytes that its values move to and from memory for want of these */
} rpi_kernel_gpu_code;

/* A kernel on a GPU, for operands that lie in some way (jit/emit_cuda.h). `code` is replaced at most once, by the
 * context's thread. */
typedef struct rpi_kernel_gpu {
  const rpi_kernel_gpu_code *code; /* NULL: the compiler is waited for (rpi_jit_gpu_wait) */
} rpi_kernel_gpu;

/* A reduction's partials of some units, or the root of its tree: its word, bytes behind what that points to, how many. */
typedef struct rpi_kernel_partials {
  int32_t word;
  int64_t at, bytes;
} rpi_kernel_partials;

/* A kernel's public face; jit/ embeds it. `code` is never NULL and is replaced at most once. */
typedef struct rpi_kernel {
  _Atomic(const rpi_kernel_code *) code;
  /* Combines the partials, in the order of SEMANTICS 3, into the reductions' destinations. NULL: none. */
  void (*finish)(const struct rpi_kernel *k, rpi_word *w);
  /* The same in two halves, for ranks: the list of what units first..end-1 are worth, its bytes returned; and from
   * the join of all ranks' lists to the destinations, the bytes taken returned. `space` and `origin`: extents of the whole
   * space and where the words' box begins in it; NULL: the words have those of the whole space. */
  int64_t (*list)(const struct rpi_kernel *k, const rpi_word *w, const int64_t *space,
                  const int64_t *origin, int64_t first, int64_t end, void *list);
  int64_t (*deliver)(const struct rpi_kernel *k, rpi_word *w, const void *list);
  /* Joins two lists (a join of core/comm/collect.h). */
  void (*join)(void *arg, void *into, int64_t *n, const void *from, int64_t m);
  int32_t n_words;
  const char *name; /* readable: "mul_add_dot_1a2b3c4d" */
  /* Where the partials are that `list` would take of reduction r, and the roots that `deliver` would; of the latter the
   * values, in *list, which is moved on. */
  void (*partials)(const struct rpi_kernel *k, const rpi_word *w, const int64_t *space, int32_t r,
                   int64_t first, int64_t end, rpi_kernel_partials *out);
  const void *(*root)(const struct rpi_kernel *k, int32_t r, const void **list,
                      rpi_kernel_partials *out);
  /* The words of a box become those of the whole space, for what comes behind the units. */
  void (*widen)(const struct rpi_kernel *k, rpi_word *w, const int64_t *space);
  int32_t n_red;
} rpi_kernel;

#endif
