/* SPDX-License-Identifier: Apache-2.0
 * core/model/dlpack.h -- the structs in which libraries hand arrays to each other, as DLPack 1.x lays them out.
 * Lives here: the binary interface and its numbers. Not here: what is made of it (trace/tensor.h).
 * The order, the sizes and the values are DLPack's; tests/unit/test_dlpack.c has the offsets. */
#ifndef RPI_DLPACK_H
#define RPI_DLPACK_H

#include <stdint.h>

enum { RPI_DLPACK_MAJOR = 1, RPI_DLPACK_MINOR = 0 }; /* what we hand out */

enum { /* device_type */
       RPI_DLPACK_CPU = 1,
       RPI_DLPACK_CUDA = 2,     /* memory of one GPU */
       RPI_DLPACK_CUDA_HOST = 3 /* pinned memory of the host */
};
enum {
  RPI_DLPACK_INT = 0,
  RPI_DLPACK_UINT = 1,
  RPI_DLPACK_FLOAT = 2,
  RPI_DLPACK_BOOL = 6
};                                                           /* code */
enum { RPI_DLPACK_READ_ONLY = 1, RPI_DLPACK_IS_COPIED = 2 }; /* flags */

typedef struct rpi_dlpack_device {
  int32_t device_type;
  int32_t device_id;
} rpi_dlpack_device;

typedef struct rpi_dlpack_dtype {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes; /* 1: not a vector type */
} rpi_dlpack_dtype;

typedef struct rpi_dlpack_tensor {
  void *data; /* may be NULL if there are no elements */
  rpi_dlpack_device device;
  int32_t ndim;
  rpi_dlpack_dtype dtype;
  int64_t *shape;
  int64_t *strides; /* elements; NULL: dense in C order (before 1.2) */
  uint64_t byte_offset;
} rpi_dlpack_tensor;

/* Before 1.0. */
struct DLManagedTensor {
  rpi_dlpack_tensor dl_tensor;
  void *manager_ctx;
  void (*deleter)(struct DLManagedTensor *self); /* NULL: there is nothing to do */
};

/* What comes before dl_tensor is the same in all versions. */
struct DLManagedTensorVersioned {
  uint32_t major, minor;
  void *manager_ctx;
  void (*deleter)(struct DLManagedTensorVersioned *self);
  uint64_t flags;
  rpi_dlpack_tensor dl_tensor;
};

#endif
