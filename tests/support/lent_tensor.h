/* SPDX-License-Identifier: Apache-2.0
 * tests/support/lent_tensor.h -- DLPack tensors of doubles as another library would hand them out: their deleter counts. */
#ifndef LENT_TENSOR_H
#define LENT_TENSOR_H

#include <stdlib.h>

#include "core/model/dlpack.h"

typedef struct tensor_record {
  struct DLManagedTensorVersioned versioned;
  struct DLManagedTensor legacy;
  int64_t shape[9], strides[9];
  int *deleted;
} tensor_record;

static void tensor_delete_versioned(struct DLManagedTensorVersioned *t) {
  tensor_record *r = t->manager_ctx;
  ++*r->deleted;
  free(r);
}

static inline void tensor_delete_legacy(struct DLManagedTensor *t) {
  tensor_record *r = t->manager_ctx;
  ++*r->deleted;
  free(r);
}

static inline tensor_record *tensor_record_make(void *data, int32_t ndim, const int64_t *shape,
                                                const int64_t *strides, int *deleted) {
  tensor_record *r = calloc(1, sizeof *r);
  int64_t step = 1;
  r->deleted = deleted;
  for (int32_t d = ndim - 1; d >= 0; d--) {
    r->shape[d] = shape[d];
    r->strides[d] = strides ? strides[d] : step;
    step *= shape[d];
  }
  r->versioned = (struct DLManagedTensorVersioned){.major = 1,
                                                   .manager_ctx = r,
                                                   .deleter = tensor_delete_versioned,
                                                   .dl_tensor = {.data = data,
                                                                 .device = {RPI_DLPACK_CPU, 0},
                                                                 .ndim = ndim,
                                                                 .dtype = {RPI_DLPACK_FLOAT, 64, 1},
                                                                 .shape = r->shape,
                                                                 .strides = r->strides}};
  return r;
}

static inline struct DLManagedTensorVersioned *
tensor_make(void *data, int32_t ndim, const int64_t *shape, const int64_t *strides, int *deleted) {
  return &tensor_record_make(data, ndim, shape, strides, deleted)->versioned;
}

static inline struct DLManagedTensor *tensor_make_legacy(void *data, int32_t ndim,
                                                         const int64_t *shape, int *deleted) {
  tensor_record *r = tensor_record_make(data, ndim, shape, NULL, deleted);
  r->legacy = (struct DLManagedTensor){r->versioned.dl_tensor, r, tensor_delete_legacy};
  r->legacy.dl_tensor.strides = NULL;
  return &r->legacy;
}

#endif
