/* SPDX-License-Identifier: Apache-2.0
 * tests/support/cuda_layout.h -- what a compiler makes of the driver's declarations, as numbers: sizes, offsets, values.
 * How: two files include it behind core/device/cuda_types.h, one with the tree's declarations (cuda_ours.c), one with the
 *      toolkit's (test_cuda_types.c). They define the same names, so neither can see the other's. */
#ifndef CUDA_LAYOUT_H
#define CUDA_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

typedef struct cuda_fact {
  const char *name; /* of a type or a constant, or "TYPE.field" */
  int64_t value;    /* of a constant; a field's offset */
  int64_t size;
} cuda_fact;

/* Calls found() with all of them. */
static inline void cuda_layout(void (*found)(void *arg, const cuda_fact *f), void *arg) {
#define TYPE(type) found(arg, &(cuda_fact){#type, 0, sizeof(type)});
#define FIELD(type, field) \
  found(arg, &(cuda_fact){#type "." #field, offsetof(type, field), sizeof(((type *)0)->field)});
#define CONSTANT(name) found(arg, &(cuda_fact){#name, (int64_t)(intptr_t)(name), 0});
#include "tests/support/cuda_layout.def"
#undef TYPE
#undef FIELD
#undef CONSTANT
}

void cuda_ours(void (*found)(void *arg, const cuda_fact *f), void *arg);

#endif
