/* SPDX-License-Identifier: Apache-2.0
 * tests/support/nccl_layout.h -- what a compiler makes of NCCL's declarations, as numbers. As cuda_layout.h: one file includes it
 * with the tree's declarations (nccl_ours.c), one with the toolkit's (test_nccl_types.c). */
#ifndef NCCL_LAYOUT_H
#define NCCL_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

typedef struct nccl_fact {
  const char *name; /* of a type or a constant, or "TYPE.field" */
  int64_t value;    /* of a constant; a field's offset */
  int64_t size;
} nccl_fact;

/* Calls found() with all of them. */
static inline void nccl_layout(void (*found)(void *arg, const nccl_fact *f), void *arg) {
#define TYPE(type) found(arg, &(nccl_fact){#type, 0, sizeof(type)});
#define FIELD(type, field) \
  found(arg, &(nccl_fact){#type "." #field, offsetof(type, field), sizeof(((type *)0)->field)});
#define CONSTANT(name) found(arg, &(nccl_fact){#name, (int64_t)(name), 0});
#include "tests/support/nccl_layout.def"
#undef TYPE
#undef FIELD
#undef CONSTANT
}

void nccl_ours(void (*found)(void *arg, const nccl_fact *f), void *arg);

#endif
