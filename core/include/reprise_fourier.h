/* SPDX-License-Identifier: Apache-2.0
 * reprise_fourier.h -- discrete Fourier transforms.
 *
 * Lives here: the public interface of kernels/fourier, an ordinary client of reprise.h.
 * Not here:   dense matrices (reprise_dense.h), sparse ones (reprise_sparse.h).
 *
 * There are no complex dtypes: a complex array is a store with one axis more, of extent 2, the last one: real and imaginary
 * part. The transform goes over the last `axes` axes before it (of a real array: over the last ones), 1, 2 or 3 of them, each
 * of any extent from 1 on; all axes in front are a batch of independent transforms. Both stores are f32, or both f64.
 *
 * Forward:  y[k] = sum(j) x[j]*exp(-2 pi i j k/n), for each axis. Inverse: with + in place of -, divided by n. So one undoes
 * the other (the convention of NumPy).
 *
 * A call is one launch or a few. Stores are read and written as they are seen, but views that are not dense are copied
 * first. Errors: RP_ERR_ARGUMENT, RP_ERR_HANDLE, RP_ERR_DTYPE, RP_ERR_SHAPE, and nothing happened; memory that lacks when the
 * launch runs poisons y.
 *
 * On the host the threads and processes share the batch, along its first axis; without a batch they share the lines of a
 * transform over several axes; a single line is done by one thread. A line has the same bits on any number of them and beside
 * any other lines, and a transform over several axes has those of the transforms over each: forward from the last axis
 * to the first, inverse likewise, but for inverse_real, whose last axis comes last. The error is O(eps log n).
 * Small factors of n are fast: mixed radices (Cooley and Tukey 1965; autosorting: Stockham, see Cochran et al. 1967; Temperton
 * 1983); large prime ones take a few times as long (Bluestein 1970). What is prepared for a length is kept with the context.
 * On a GPU cuFFT does it where it is found (libcufft.so.12 or .11: by the loader's path, in $CUDA_HOME or /usr/local/cuda), with
 * bits of its own, and else, or among several processes, the host.
 */
#ifndef REPRISE_FOURIER_H
#define REPRISE_FOURIER_H

#include "reprise.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Complex x to complex y of the same shape. y may be x, or shares no elements with it. */
RP_API rp_status rp_fourier_forward(int32_t axes, rp_store *x, rp_store *y);
RP_API rp_status rp_fourier_inverse(int32_t axes, rp_store *x, rp_store *y);

/* Real x to the part of its transform that says all: of the last axis, n in x, the elements 0..n/2, n/2+1 in complex y. */
RP_API rp_status rp_fourier_forward_real(int32_t axes, rp_store *x, rp_store *y);

/* The inverse: complex x, n/2+1 elements along the last axis before the parts, to real y, whose last extent says whether n is
 * even or odd. x is taken to be what a real y has: along the last axis element 0, and n/2 of an even n, are real once the other
 * axes are transformed back. */
RP_API rp_status rp_fourier_inverse_real(int32_t axes, rp_store *x, rp_store *y);

#ifdef __cplusplus
}
#endif

#endif
