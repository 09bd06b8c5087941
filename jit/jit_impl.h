/* SPDX-License-Identifier: Apache-2.0
 * jit/jit_impl.h -- what jit.c and builder.c share: the record of a kernel, the builder's door.
 * Nobody else includes it. */
#ifndef RPI_JIT_IMPL_H
#define RPI_JIT_IMPL_H

#include <stdatomic.h>

#include "core/base/hash.h"
#include "jit/cache.h"
#include "jit/compile_cc.h"
#include "jit/interp.h"
#include "jit/jit.h"

enum { RPI_JIT_NAME = 96 };

typedef struct rpi_jit_kernel_record {
  rpi_kernel face; /* first: the public pointer is ours */
  rpi_jit *jit;
  rpi_ir ir;
  rpi_ir_layout layout;
  rpi_strbuf bytes; /* canonical */
  rpi_interp *interp;
  rpi_kernel_code compiled;
  rpi_hash128 key;
  char hex[33];
  char name[RPI_JIT_NAME];
  _Atomic(char *) refusal; /* why it stays interpreted; NULL: none */
  const char *gpu_refusal; /* why it does not run on the GPU; NULL: it does, or there is none */
  struct rpi_jit_kernel_record *next;  /* in one list of the builder */
  struct rpi_jit_kernel_record *older; /* in the jit's list of all */
} rpi_jit_record;

void rpi_jit_refuse(rpi_jit_record *k, const char *why);

/* ---- builder.c: kernels without code go in, `code` is swapped when the object is there. */
typedef struct rpi_builder rpi_builder;

/* What happened so far; written by the builder's thread. */
typedef struct rpi_builder_counts {
  _Atomic int64_t disk_hits, compiles, compile_fails, compile_ns;
} rpi_builder_counts;

typedef struct rpi_builder_tools {
  rpi_cache *cache;
  rpi_cc *cc;
  int32_t vector;
  bool keep_source;
} rpi_builder_tools;

rp_status rpi_builder_create(const rpi_builder_tools *tools, rpi_builder **out);
void rpi_builder_free(rpi_builder *b); /* a running compiler is killed */
/* In a child made by fork: the thread does not exist there, and only the memory is given back. */
void rpi_builder_forget(rpi_builder *b);
rpi_builder_counts *rpi_builder_counts_get(rpi_builder *b);
/* True if the disk had it: it is installed. */
bool rpi_builder_load(rpi_builder *b, rpi_jit_record *k);
/* Hands a list (by `next`) over to the thread, or does it here and now. */
void rpi_builder_enqueue(rpi_builder *b, rpi_jit_record *list);
void rpi_builder_build(rpi_builder *b, rpi_jit_record *list);
void rpi_builder_wait(rpi_builder *b);
int64_t rpi_builder_pending(rpi_builder *b); /* queued or under way */

#endif
