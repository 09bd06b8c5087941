/* SPDX-License-Identifier: Apache-2.0
 * reprise_dense.h -- products of dense matrices.
 *
 * Lives here: the public interface of kernels/dense, an ordinary client of reprise.h.
 * Not here:   sparse matrices (reprise_sparse.h), solvers (reprise_solve.h).
 *
 * A matrix is a store of two axes, f32 or f64; all of a product have one dtype. Views that are not dense are copied first,
 * so transpose by flags rather than by views. On a GPU the product is cuBLAS' where it is found (libcublas.so.13 or
 * .12: by the loader's path, in $CUDA_HOME or /usr/local/cuda), and else it is computed on the host.
 * On the host an element is a sum in ascending order of k, the same on any number of threads and processes; cuBLAS has an
 * order of its own.
 */
#ifndef REPRISE_DENSE_H
#define REPRISE_DENSE_H

#include "reprise.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  RP_DENSE_TRANSPOSE_A = 1, /* a is taken transposed, */
  RP_DENSE_TRANSPOSE_B = 2  /* and so is b */
};

/* A new store, a b, for a of m x k and b of k x n elements. One launch. */
RP_API rp_status rp_dense_matmul(rp_store *a, rp_store *b, rp_store **out);

/* c = alpha*a*b + beta*c, one launch. With beta 0 c is not read. c shares no elements with a or b. */
RP_API rp_status rp_dense_gemm(int32_t flags, double alpha, rp_store *a, rp_store *b, double beta,
                               rp_store *c);

#ifdef __cplusplus
}
#endif

#endif
